"""Compare groups of animals: use, duration, order and content of states.

The unit of replication is the animal. Frames of a recording are not independent, and neither are
recordings of an animal. So the recordings of an animal are pooled into one value for each quantity,
and all tests and intervals treat animals as the observations.

Tests are permutation tests of the labels of animals, by `scipy.stats.permutation_test`. With few
animals all permutations are used. The statistic is that of Welch's analysis of variance, the
squared t of Welch for two groups. Being studentised, it also keeps the level approximately if
groups differ in variance but not in mean [1]_ [2]_. If animals were recorded in several groups
(before and after a treatment), labels are permuted within animals.

Intervals are bootstrap-t intervals [3]_, which resample animals. With 12 animals in a group, 90%
intervals of dwell times held the true ratio in 0.90 of simulated labs, and percentile and BCa
intervals in 0.86 (``python -m benchmarks.studies.comparisons``). The q values control the false
discovery rate within a quantity [4]_.

The content of a state is the use of syllables in it. Groups may differ in their use of syllables
in all states alike, for example because animals differ. That is no change of one state. Counts of
syllables are therefore compared with a log-linear model without interaction of animal, state and
syllable [5]_: each animal has its own preferences, each state has its own, and they multiply. The
deviations from this model are compared between groups. A difference that most states share, the
median over states, is subtracted. If a state differs, it distorts the model for the other states,
so these are tested again without it.

References
----------
.. [1] Janssen, A. (1997). Studentized permutation tests for non-i.i.d. hypotheses and the
   generalized Behrens-Fisher problem. Statistics & Probability Letters, 36(1), 9-21.
.. [2] Chung, E. and Romano, J. P. (2013). Exact and asymptotically robust permutation tests.
   Annals of Statistics, 41(2), 484-507.
.. [3] Efron, B. and Tibshirani, R. J. (1993). An Introduction to the Bootstrap, chapter 12.
   Chapman & Hall.
.. [4] Benjamini, Y. and Hochberg, Y. (1995). Controlling the false discovery rate: a practical and
   powerful approach to multiple testing. Journal of the Royal Statistical Society B, 57(1),
   289-300.
.. [5] Bishop, Y. M. M., Fienberg, S. E. and Holland, P. W. (1975). Discrete Multivariate Analysis,
   chapter 3 (iterative proportional fitting). MIT Press.
"""

from hhmm.comparisons._compare import compare_groups
from hhmm.comparisons._result import GroupComparison

__all__ = ["GroupComparison", "compare_groups"]
