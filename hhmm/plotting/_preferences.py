"""Display of which syllables each state promotes and suppresses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar

from hhmm._sequences.read import find_unused
from hhmm._validation import check_option
from hhmm.estimator import EfficientHHMM
from hhmm.metrics import syllable_preferences
from hhmm.plotting import _figures, _states

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELS = {"usage_change": ("change in usage", ""), "bias": ("bias", " (log odds)")}


@dataclass(eq=False, repr=False)
class SyllablePreferenceDisplay:
    """Syllables that each state promotes and suppresses, one panel per state.

    By default, bars are changes in usage: the fraction of time at a syllable in the state, minus
    that in all states together. With ``kind="bias"`` they are entries of the bias C of the model:
    what the state adds to the log odds of a syllable, whichever syllable comes before. The
    largest and the smallest values of each state are shown. Promoted syllables have bars to the
    right, suppressed ones to the left.

    States that take less than 1% of the time are left out, unless ``unused_states=True`` is given.

    Parameters
    ----------
    values : array of shape (n_states, n_syllables)
        Changes in usage, or C in nats.
    kind : {"usage_change", "bias"}, default="usage_change"
        The kind of `values`, for the label of the axis.
    standard_deviations : array of shape (n_states, n_syllables), default=None
        Posterior standard deviations, for error bars; NaN for no error bar.
    syllable_names : list of n_syllables str, default=None
        Names of the syllables; numbers if None.
    state_names : list of n_states str, default=None
        Names of the states; "state 0" and so on if None.
    usage : array of shape (n_states,), default=None
        Fraction of time in each state; equal if None.

    Attributes
    ----------
    states_ : ndarray of shape (n_panels,), int64
        The states that are drawn.
    shown_ : list of n_panels ndarrays of shape (n_bars,), int64
        Syllables of the bars of each of `states_`, from top to bottom.
    bars_ : list of n_panels matplotlib BarContainer
        The bars.
    axes_ : ndarray of shape (n_panels,) of matplotlib Axes
        The panels.
    ax_, figure_ : matplotlib Axes and Figure
        The first panel and the figure of the display.

    See Also
    --------
    hhmm.metrics.syllable_preferences : All of it as numbers.
    SyllableTransitionDisplay : With ``differences=True``, what each state changes in the order of
        syllables. States can differ in it and use all syllables equally often.

    Examples
    --------
    >>> from hhmm.plotting import SyllablePreferenceDisplay
    >>> display = SyllablePreferenceDisplay(
    ...     [[0.4, -0.3, -0.1, 0.0], [-0.4, 0.3, 0.1, 0.0]],
    ...     syllable_names=["run", "rear", "groom", "pause"],
    ... ).plot(n_top=1)
    >>> [[display.syllable_names[j] for j in shown] for shown in display.shown_]
    [['run', 'rear'], ['rear', 'run']]
    """

    values: ArrayLike
    _: KW_ONLY
    kind: str = "usage_change"
    standard_deviations: ArrayLike | None = None
    syllable_names: Sequence[str] | None = None
    state_names: Sequence[str] | None = None
    usage: ArrayLike | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: EfficientHHMM,
        X: ArrayLike | None = None,
        *,
        model_groups: ArrayLike | None = None,
        kind: str = "usage_change",
        syllable_names: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        ax: Axes | Sequence[Axes] | np.ndarray | None = None,
        n_top: int = 3,
        unused_states: bool = False,
    ) -> Self:
        """Plot ``syllable_preferences(estimator, X, groups=model_groups)``.

        Posterior standard deviations are drawn too.

        Parameters
        ----------
        estimator : fitted EfficientHHMM
        X : array of shape (n_sequences, n_timesteps) or list of arrays, default=None
            Syllables on which changes in usage and the time in each state are measured, with
            ``estimator.predict(X)``. If None, changes are those in the long run, and the time in
            each state is that of ``estimator.states_``. For a model made from parameters it is
            the stationary distribution. Changes that are measured have no standard deviations.
        model_groups : array-like of shape (n_sequences,) or data frame, default=None
            ``groups`` of `EfficientHHMM.predict`, if the model was fitted with groups.
        kind : {"usage_change", "bias"}, default="usage_change"
            Plot changes in usage, or biases.
        syllable_names, state_names, ax, n_top, unused_states
            See the class and `plot`; `state_names` are by default those of the estimator.

        Returns
        -------
        display : SyllablePreferenceDisplay
        """
        _figures.check_has(estimator, "emission_biases_")
        preferences = syllable_preferences(estimator, X, groups=model_groups)
        values, standard_deviations = preferences.usage_changes, preferences.usage_change_deviations
        if kind == "bias":
            values, standard_deviations = preferences.biases, preferences.standard_deviations
        return cls(
            values,
            kind=kind,
            standard_deviations=standard_deviations,
            syllable_names=syllable_names,
            state_names=_states.names_of(estimator, state_names),
            usage=_states.usage_of(estimator, X, model_groups),
        ).plot(ax, n_top=n_top, unused_states=unused_states)

    def plot(
        self,
        ax: Axes | Sequence[Axes] | np.ndarray | None = None,
        *,
        n_top: int = 3,
        unused_states: bool = False,
    ) -> Self:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or array of n_panels or n_states matplotlib Axes, default=None
            The axes to draw in; a single axes is divided into panels. If there is one for each
            state, those of states that are left out are turned off. A new figure if None.
        n_top : int, default=3
            Number of promoted and of suppressed syllables to show for each state. If there are no
            more than twice as many syllables, all are shown.
        unused_states : bool, default=False
            True draws states that take less than 1% of the time, in grey. False leaves them out,
            and a note says how many.

        Returns
        -------
        self : SyllablePreferenceDisplay
        """
        check_option(self.kind, "kind", tuple(_LABELS))
        check_scalar(n_top, "n_top", Integral, min_val=1)
        values = np.asarray(self.values, dtype=float)
        errors = np.full(values.shape, np.nan)
        if self.standard_deviations is not None:
            errors = np.asarray(self.standard_deviations, dtype=float)
        n_states, n_syllables = values.shape
        usage = _states.usage_or_equal(self.usage, n_states)
        syllable_names = _states.check_names(self.syllable_names, n_syllables, "syllable_names")
        state_names = _states.check_state_names(self.state_names, n_states, default="state {}")
        unused = find_unused(usage)
        self.states_ = _states.drawn_states(usage, unused_states)
        n_panels = self.states_.size
        ranking = np.argsort(-values[self.states_], axis=1, kind="stable")
        if n_syllables > 2 * n_top:
            ranking = np.hstack([ranking[:, :n_top], ranking[:, -n_top:]])
        self.shown_ = list(ranking)

        n_columns = min(n_panels, 2 if max(map(len, syllable_names)) > 4 else 3)
        size = (3.4, 0.7 + math.ceil(n_panels / n_columns) * (0.4 + 0.14 * ranking.shape[1]))
        axes: Any = ax
        if _figures.is_array_of_axes(axes) and np.size(axes) == n_states:
            for left_out in np.delete(np.ravel(axes), self.states_):
                left_out.set_axis_off()
            axes = np.ravel(axes)[self.states_]
        self.figure_, self.axes_ = _figures.figure_and_panels(axes, n_panels, n_columns, size)
        self.ax_ = self.axes_[0]

        reach = np.abs(values[self.states_]) + np.nan_to_num(errors[self.states_])
        reach = 1.08 * reach.max() if reach.any() else 1.0
        tick = _round_down(reach)
        what, unit = _LABELS[self.kind]
        label = what + ("" if np.isnan(errors).all() else " ± posterior s.d.") + unit
        note = _states.left_out_note(n_states - n_panels)
        if ax is None:
            self.figure_.supxlabel("\n".join(filter(None, (label, note))), fontsize="small")
        self.bars_ = []
        for position, (state, panel) in enumerate(zip(self.states_, self.axes_, strict=True)):
            shown = self.shown_[position]
            widths, spread = values[state, shown], errors[state, shown]
            colors = [_figures.OKABE_ITO[0 if width > 0 else 5] for width in widths]
            bars = panel.barh(
                np.arange(shown.size),
                widths,
                xerr=None if np.isnan(spread).all() else spread,
                color=_figures.UNUSED_COLOR if unused[state] else colors,
                error_kw={"elinewidth": 0.9, "ecolor": "0.35"},
            )
            self.bars_.append(bars)
            panel.axvline(0.0, color="0.3", linewidth=0.8)
            if n_syllables > 2 * n_top:
                panel.axhline(n_top - 0.5, color="0.6", linewidth=0.8, linestyle=":")
            names = [syllable_names[j] for j in shown]
            _figures.name_ticks(panel, "y", np.arange(shown.size), names)
            panel.set(xlim=(-reach, reach), ylim=(shown.size - 0.5, -0.5))
            panel.set_title(state_names[state], fontsize="small", **_figures.LITERAL)
            panel.tick_params(labelsize="x-small")
            panel.tick_params(axis="y", length=0)
            panel.set_xticks([-tick, 0, tick], [f"\N{MINUS SIGN}{tick:g}", "0", f"{tick:g}"])
            panel.spines[["left", "right", "top"]].set_visible(False)
            if ax is not None and position + n_columns >= n_panels:
                lines = label, note if position == n_panels - 1 else ""
                panel.set_xlabel("\n".join(filter(None, lines)), fontsize="small")
            if self.syllable_names is None and position % n_columns == 0:
                panel.set_ylabel("syllable", fontsize="small")
        return self


def _round_down(value):
    """Return the largest number of one digit 1, 2, 3 or 5 that is not above `value`."""
    decade = 10.0 ** math.floor(math.log10(value))
    return max(digit * decade for digit in (1, 2, 3, 5) if digit == 1 or digit * decade <= value)
