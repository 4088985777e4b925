"""Displays: pictures of data, of a fitted model and of how the fit went.

They follow scikit-learn's convention. The constructor stores data, ``plot``
draws them and keeps what it drew as ``ax_`` and ``figure_``, and the
classmethods ``from_estimator`` and ``from_predictions`` compute the data and
plot. matplotlib is an extra, and is imported when something is drawn.

States are coloured with the palette of Okabe and Ito [1]_, which readers with
any kind of colour vision can tell apart, as long as it has enough colours.

References
----------
.. [1] Okabe, M. and Ito, K. (2008). Color universal design (CUD): how to make
   figures and presentations that are friendly to colorblind people.
   https://jfly.uni-koeln.de/color/
"""

from hhmm.plotting._confusion import MatchedConfusionDisplay
from hhmm.plotting._raster import RasterDisplay
from hhmm.plotting._traces import EmissionLossDisplay, LogJointDisplay
from hhmm.plotting._transitions import StateTransitionDisplay, SyllableTransitionDisplay

__all__ = [
    "EmissionLossDisplay",
    "LogJointDisplay",
    "MatchedConfusionDisplay",
    "RasterDisplay",
    "StateTransitionDisplay",
    "SyllableTransitionDisplay",
]
