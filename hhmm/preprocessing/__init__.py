"""Bring sequences of labels to the form that the model takes: codes, and one entry a run.

`SyllableEncoder` numbers labels of any kind 0 to S - 1, as `sklearn.preprocessing.OrdinalEncoder`
does, but with one numbering for all columns: a column is a moment in time here, and a label means
the same in each. Syllables that are too rare to learn from can share one class.

`RunCollapser` takes sequences at the frame rate of a camera, which repeat each syllable for tens
of frames, to sequences of one entry a run. Wiltschko et al. [1]_ study transitions between
syllables in this form. It also brings what was inferred of runs back to frames. This is another
model of the same data: a run has one transition, whatever its length, so states differ in the
order of syllables alone, and states and scores count runs instead of frames. To keep the
durations, fit the frames as they are, which `EfficientHHMM` does run by run anyway.

Both take and return sequences in the forms of `EfficientHHMM`. A 2-D array
(n_sequences, n_timesteps) gives a 2-D array, -1 where there is nothing; a list of 1-D arrays gives
a list. Nested Python lists of equal lengths are a 2-D array, as everywhere in scikit-learn. Both
can be steps of a Pipeline before the model. Their output is never a data frame, since the model
after them takes lists too.

References
----------
.. [1] Wiltschko, A. B., Johnson, M. J., Iurilli, G., Peterson, R. E., Katon, J. M.,
   Pashkovski, S. L., Abraira, V. E., Adams, R. P. and Datta, S. R. (2015). Mapping sub-second
   structure in mouse behavior. Neuron, 88(6), 1121-1135.
"""

from hhmm.preprocessing._encoder import SyllableEncoder
from hhmm.preprocessing._run_collapser import RunCollapser

__all__ = ["RunCollapser", "SyllableEncoder"]
