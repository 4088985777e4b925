"""Display of which syllables each state promotes and suppresses."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_scalar

from hhmm._conversions import to_array
from hhmm.metrics import syllable_preferences
from hhmm.plotting._figures import LITERAL, OKABE_ITO, check_has, import_pyplot, name_ticks
from hhmm.plotting._states import check_names, check_state_names
from hhmm.plotting._transitions import _figure_and_panels

_PROMOTED, _SUPPRESSED = OKABE_ITO[0], OKABE_ITO[5]


class SyllablePreferenceDisplay:
    """Which syllables each state promotes and which it suppresses, a panel a state.

    Bars are entries of the bias C of the model, for each state the largest and the smallest:
    what being in the state adds to the log odds of a syllable, whichever syllable was before.
    Syllables with bars to the right are promoted, those with bars to the left suppressed.

    Parameters
    ----------
    biases : array of shape (n_states, n_syllables)
        C, nats.

    standard_deviations : array of shape (n_states, n_syllables), default=None
        Posterior standard deviations, for error bars; NaN where there is none.

    syllable_names : list of n_syllables str, default=None
        Names of the syllables; numbers if None.

    state_names : list of n_states str, default=None
        Names of the states; "state 0" and so on if None.

    Attributes
    ----------
    shown_ : list of n_states ndarrays of shape (n_bars,), int64
        Syllables of the bars of each state, from top to bottom.

    bars_ : list of n_states matplotlib BarContainer
        The bars.

    axes_ : ndarray of shape (n_states,) of matplotlib Axes
        The panels.

    ax_ : matplotlib Axes
        The first panel.

    figure_ : matplotlib Figure
        The figure they belong to.

    See Also
    --------
    hhmm.metrics.syllable_preferences : All of it as numbers.

    Examples
    --------
    >>> from hhmm.plotting import SyllablePreferenceDisplay
    >>> display = SyllablePreferenceDisplay(
    ...     [[1.0, -0.7, -0.3, 0.0], [-1.0, 0.7, 0.3, 0.0]],
    ...     syllable_names=["run", "rear", "groom", "pause"],
    ... ).plot(n_top=1)
    >>> [[display.syllable_names[j] for j in shown] for shown in display.shown_]
    [['run', 'rear'], ['rear', 'run']]
    """

    def __init__(self, biases, *, standard_deviations=None, syllable_names=None, state_names=None):
        self.biases = biases
        self.standard_deviations = standard_deviations
        self.syllable_names = syllable_names
        self.state_names = state_names

    @classmethod
    def from_estimator(cls, estimator, *, syllable_names=None, state_names=None, ax=None, n_top=3):
        """Plot the biases of a fitted model, with their posterior standard deviations.

        Parameters
        ----------
        estimator : EfficientHHMM
            A fitted model.

        syllable_names, state_names
            See the class.

        ax, n_top
            See `plot`.

        Returns
        -------
        display : SyllablePreferenceDisplay

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> from hhmm.datasets import make_hhmm
        >>> from hhmm.plotting import SyllablePreferenceDisplay
        >>> data = make_hhmm(4, 100, n_states=2, n_syllables=9, random_state=0)
        >>> model = EfficientHHMM.from_params(
        ...     data.emission_base, data.emission_biases, data.trans_probs
        ... )
        >>> display = SyllablePreferenceDisplay.from_estimator(model)
        >>> [len(shown) for shown in display.shown_]
        [6, 6]
        """
        check_has(estimator, "emission_biases_")
        import_pyplot()
        biases, standard_deviations, _ = syllable_preferences(estimator)
        return cls(
            biases,
            standard_deviations=standard_deviations,
            syllable_names=syllable_names,
            state_names=state_names,
        ).plot(ax, n_top=n_top)

    def plot(self, ax=None, *, n_top=3):
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or array of n_states matplotlib Axes, default=None
            Where to draw; a single axes is divided into panels. A new figure if
            None.

        n_top : int, default=3
            How many promoted and how many suppressed syllables to show of each state; all if
            there are no more than twice as many.

        Returns
        -------
        self : SyllablePreferenceDisplay
        """
        plt = import_pyplot()
        biases, errors = self._checked()
        check_scalar(n_top, "n_top", Integral, min_val=1)
        n_states, n_syllables = biases.shape
        syllable_names = check_names(
            self.syllable_names, n_syllables, "syllable_names", default="{}"
        )
        state_names = check_state_names(self.state_names, n_states, default="state {}")
        ranking = np.argsort(-biases, axis=1, kind="stable")
        if n_syllables > 2 * n_top:
            ranking = np.hstack([ranking[:, :n_top], ranking[:, -n_top:]])
        self.shown_ = list(ranking)

        n_columns = min(n_states, 2 if max(map(len, syllable_names)) > 4 or n_states < 3 else 3)
        n_rows = -(-n_states // n_columns)
        if ax is None:
            size = (3.4, 0.7 + n_rows * (0.4 + 0.14 * ranking.shape[1]))
            self.figure_ = plt.figure(figsize=size, layout="constrained")
            grid = self.figure_.subplots(n_rows, n_columns, squeeze=False).ravel()
            for panel in grid[n_states:]:
                panel.set_axis_off()
            self.axes_ = grid[:n_states]
        else:
            self.figure_, self.axes_ = _figure_and_panels(
                plt, ax, n_states, n_rows, n_columns, panel_size=1.2
            )
        self.ax_ = self.axes_[0]

        reach = 1.08 * np.max(np.abs(biases) + np.nan_to_num(errors))
        reach = reach if reach > 0 else 1.0
        label = "bias (log odds)" if np.isnan(errors).all() else "bias ± posterior s.d. (log odds)"
        if ax is None:
            self.figure_.supxlabel(label, fontsize="small")
        self.bars_ = []
        for state, panel in enumerate(self.axes_):
            shown = self.shown_[state]
            values, spread = biases[state, shown], errors[state, shown]
            bars = panel.barh(
                np.arange(shown.size),
                values,
                xerr=None if np.isnan(spread).all() else spread,
                color=[_PROMOTED if value > 0 else _SUPPRESSED for value in values],
                error_kw={"elinewidth": 0.9, "ecolor": "0.35"},
            )
            self.bars_.append(bars)
            panel.axvline(0.0, color="0.3", linewidth=0.8)
            if n_syllables > 2 * n_top:
                panel.axhline(n_top - 0.5, color="0.6", linewidth=0.8, linestyle=":")
            names = [syllable_names[j] for j in shown]
            name_ticks(panel, "y", np.arange(shown.size), names)
            panel.set(xlim=(-reach, reach), ylim=(shown.size - 0.5, -0.5))
            panel.set_title(state_names[state], fontsize="small", **LITERAL)
            panel.tick_params(labelsize="x-small")
            panel.tick_params(axis="y", length=0)
            panel.locator_params(axis="x", nbins=4)
            panel.spines[["left", "right", "top"]].set_visible(False)
            if ax is not None and state + n_columns >= n_states:
                panel.set_xlabel(label, fontsize="small")
            if self.syllable_names is None and state % n_columns == 0:
                panel.set_ylabel("syllable", fontsize="small")
        return self

    def _checked(self):
        """Biases and standard deviations, (n_states, n_syllables); NaN where there are none."""
        biases = to_array(self.biases, "biases must be an array of numbers", float)
        if biases.ndim != 2 or biases.size == 0 or not np.isfinite(biases).all():
            raise ValueError(
                "biases must be finite and have shape (n_states, n_syllables), got shape "
                f"{biases.shape}"
            )
        if self.standard_deviations is None:
            return biases, np.full(biases.shape, np.nan)
        errors = to_array(
            self.standard_deviations, "standard_deviations must be an array of numbers", float
        )
        if errors.shape != biases.shape or (errors < 0).any():
            raise ValueError(
                f"standard_deviations must be >= 0 and have shape {biases.shape}, got shape "
                f"{errors.shape}"
            )
        return biases, errors
