"""Choose the number of states and the stickiness: priors from durations, and scans of settings.

`trans_kappa_from_duration` computes the stickiness of the prior from how long the states of an
animal last. `scan` fits every point of a grid to every fold of a cross-validation from several
seeds, and measures three things that can disagree.

- How well held-out sequences are predicted, in nats per transition. With many data this keeps
  rising slowly with the number of states, since more states describe more of what the model leaves
  out [2]_.
- How long the inferred states last and how many of them are used. A state that lasts two syllables
  is no state of the animal, and a state that is hardly used was not needed.
- Whether fits from different seeds find the same states: the mean, over pairs of seeds, of the
  accuracy after matching and of the adjusted Rand index [3]_, which is 0 for chance and 1 for the
  same partition.

A choice by the best score alone tends to be too large. The one-standard-error rule [1]_ takes the
simplest model that predicts as well within the noise of the folds: `ScanResult.one_standard_error`.

References
----------
.. [1] Hastie, T., Tibshirani, R. and Friedman, J. (2009). The elements of statistical
   learning, 2nd ed., section 7.10.
.. [2] Pohle, J., Langrock, R., van Beest, F. M. and Schmidt, N. M. (2017). Selecting the
   number of states in hidden Markov models: pragmatic solutions illustrated using animal
   movement. Journal of Agricultural, Biological and Environmental Statistics, 22(3), 270-293.
.. [3] Hubert, L. and Arabie, P. (1985). Comparing partitions. Journal of Classification,
   2(1), 193-218.
"""

from hhmm.model_selection._result import ScanResult
from hhmm.model_selection._scan import scan
from hhmm.model_selection._stickiness import duration_from_trans_kappa, trans_kappa_from_duration

__all__ = ["ScanResult", "duration_from_trans_kappa", "scan", "trans_kappa_from_duration"]
