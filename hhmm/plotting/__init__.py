"""Displays: pictures of data, of a fitted model and of its fit.

They follow scikit-learn's convention. The constructor stores data. ``plot`` draws them and stores
the result as ``ax_`` and ``figure_``. The class methods ``from_estimator`` and
``from_predictions`` compute the data and plot. matplotlib is part of the extra ``demo`` and is
imported when something is drawn. At most 200 states are drawn. Names are drawn as they are given:
a dollar sign in them does not start a formula.

States are coloured with the palette of Okabe and Ito [1]_, if it has enough colours: readers with
any kind of colour vision can distinguish them. Groups have another palette, the muted scheme of
Tol [2]_, so that no group looks like a state.

States that take less than 1% of the time are grey, and so are their numbers and names.
`StateGraphDisplay` and `SyllablePreferenceDisplay` leave them out and say how many, unless
``unused_states=True``.

References
----------
.. [1] Okabe, M. and Ito, K. (2008). Color universal design (CUD): how to make
   figures and presentations that are friendly to colorblind people.
   https://jfly.uni-koeln.de/color/
.. [2] Tol, P. (2021). Colour schemes. SRON technical note SRON/EPS/TN/09-002, 3.2.
   https://personal.sron.nl/~pault/
"""

from hhmm.plotting._alignment import AlignmentDisplay
from hhmm.plotting._confusion import MatchedConfusionDisplay
from hhmm.plotting._durations import DurationDisplay
from hhmm.plotting._ethogram import EthogramDisplay
from hhmm.plotting._group_comparison import GroupComparisonDisplay
from hhmm.plotting._lagged_information import LaggedInformationDisplay
from hhmm.plotting._preferences import SyllablePreferenceDisplay
from hhmm.plotting._raster import RasterDisplay
from hhmm.plotting._scan import ScanDisplay
from hhmm.plotting._state_graph import StateGraphDisplay
from hhmm.plotting._traces import EmissionLossDisplay, LogJointDisplay
from hhmm.plotting._transitions import StateTransitionDisplay, SyllableTransitionDisplay
from hhmm.plotting._usage import StateUsageDisplay

__all__ = [
    "AlignmentDisplay",
    "DurationDisplay",
    "EmissionLossDisplay",
    "EthogramDisplay",
    "GroupComparisonDisplay",
    "LaggedInformationDisplay",
    "LogJointDisplay",
    "MatchedConfusionDisplay",
    "RasterDisplay",
    "ScanDisplay",
    "StateGraphDisplay",
    "StateTransitionDisplay",
    "StateUsageDisplay",
    "SyllablePreferenceDisplay",
    "SyllableTransitionDisplay",
]
