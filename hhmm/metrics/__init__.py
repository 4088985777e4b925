"""Score and describe state sequences whose labels are arbitrary.

The states of a hidden Markov model have no names: a fit that numbers them differently from the
reference is as good as one that does not. The scores here therefore compare states after the
one-to-one relabelling that makes the two agree most often. Finding it is the linear assignment
problem on the table of how often a true and a predicted state occur together [1]_, which scipy
solves by shortest augmenting paths [2]_.

`syllable_preferences` ranks the syllables that one state uses more than the others.
`lagged_mutual_information` measures whether syllables have a slow memory at all.

States and syllables come in three forms: one sequence as a 1-D array, a 2-D array
(n_sequences, n_timesteps), or a list of 1-D arrays of any lengths. A negative value, NaN or a
masked entry marks a timestep without a state, such as the padding after the end of a sequence.

References
----------
.. [1] Kuhn, H. W. (1955). The Hungarian method for the assignment problem. Naval Research
   Logistics Quarterly, 2(1-2), 83-97.
.. [2] Crouse, D. F. (2016). On implementing 2D rectangular assignment algorithms. IEEE
   Transactions on Aerospace and Electronic Systems, 52(4), 1679-1696.
"""

from hhmm.metrics._information import LaggedInformation, lagged_mutual_information
from hhmm.metrics._matching import match_states, matched_accuracy, matched_confusion_matrix
from hhmm.metrics._preferences import SyllablePreferences, syllable_preferences
from hhmm.metrics._usage import state_durations, state_transitions, state_usage

__all__ = [
    "LaggedInformation",
    "SyllablePreferences",
    "lagged_mutual_information",
    "match_states",
    "matched_accuracy",
    "matched_confusion_matrix",
    "state_durations",
    "state_transitions",
    "state_usage",
    "syllable_preferences",
]
