"""Display of a comparison between groups of animals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from sklearn.utils import check_scalar

from hhmm._validation import check_option, shorten, to_list
from hhmm.comparisons import GroupComparison
from hhmm.comparisons._result import ALL_GROUPS
from hhmm.plotting import _figures, _states

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_QUANTITIES = ("usage", "dwell", "transition", "content")
_SMALL = 0.05  # p or q values below it are black, others grey
# A log axis of dwell times extends so many times beyond the animals; longer intervals are cut.
_MOST_BEYOND = 4.0
_ROW = 0.085  # height of a row of p or q values, as a fraction of the axes
_MOST_ROWS = 4  # of these values
_N_COLUMNS = 2
_MOST_ITEMS = 8  # of panels that lie side by side


@dataclass(eq=False, repr=False)
class GroupComparisonDisplay:
    """Differences between groups: every animal, means with intervals, and p or q values.

    Each quantity has a panel. Groups have colours, and each dot is an animal. Means are over
    animals, with Student's t intervals; those of dwell times are geometric means. Lines connect the
    values of an animal that was recorded in several groups. Above each state is the q value of the
    difference, black below 0.05. A dash says that there was no test, for the reason that the status
    in the table gives. With three groups, there is a row for the test of all groups together, and
    one for each pair. With more groups, there is only the row of all groups.

    Parameters
    ----------
    comparison : GroupComparison
        Result of `hhmm.comparisons.compare_groups`.

    Attributes
    ----------
    means_ : list of n_panels arrays of shape (n_groups, n_items)
        Means over the animals of each group, NaN without any. Items are states, pairs of states or
        syllables.
    intervals_ : list of n_panels arrays of shape (2, n_groups, n_items)
        Ends of the intervals of the means; NaN for fewer than two animals.
    points_ : list of n_panels lists of n_groups matplotlib PathCollection
        The animals.
    marks_ : list of n_panels arrays of shape (n_comparisons, n_items), of matplotlib Text
        The p or q values.
    legend_ : matplotlib Legend
        Groups with their numbers of animals.
    axes_ : ndarray of n_panels matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    hhmm.comparisons.compare_groups : The numbers, and what they mean.

    Examples
    --------
    >>> from hhmm.comparisons import compare_groups
    >>> from hhmm.plotting import GroupComparisonDisplay
    >>> states = [[0, 0, 1, 1, 0, 1], [0, 1, 1, 1, 0, 0], [0, 1, 0, 0, 1, 0], [1, 0, 1, 0, 1, 1]]
    >>> comparison = compare_groups(states, groups=["saline", "saline", "drug", "drug"])
    >>> display = GroupComparisonDisplay.from_comparison(comparison)
    >>> display.means_[0].round(2)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """

    comparison: GroupComparison

    @classmethod
    def from_comparison(
        cls,
        comparison: GroupComparison,
        *,
        quantities: Sequence[str] = ("usage", "dwell"),
        values: str = "q",
        n_top: int = 8,
        ax: Axes | None = None,
    ) -> Self:
        """Plot a comparison.

        Parameters
        ----------
        comparison : GroupComparison
        quantities, values, n_top, ax
            See `plot`.

        Returns
        -------
        display : GroupComparisonDisplay
        """
        if not isinstance(comparison, GroupComparison):
            raise TypeError(
                "comparison must be a GroupComparison, the result of "
                f"hhmm.comparisons.compare_groups, got {shorten(comparison)}."
            )
        return cls(comparison).plot(ax, quantities=quantities, values=values, n_top=n_top)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        quantities: Sequence[str] = ("usage", "dwell"),
        values: str = "q",
        n_top: int = 8,
    ) -> Self:
        """Draw animals, means, intervals, and p or q values.

        Parameters
        ----------
        ax : matplotlib Axes, or array of n_panels Axes, default=None
            The axes to draw in; a single one is divided into panels. A new figure if None.
        quantities : sequence of str, default=("usage", "dwell")
            What to draw: "usage", "dwell", "transition" or "content". "content" draws a panel for
            each state, with the syllables whose use differs most between groups.
        values : {"q", "p"}, default="q"
            The values above the dots: q values, or p values, which are not corrected for the number
            of tests.
        n_top : int, default=8
            Number of syllables in a panel of content.

        Returns
        -------
        self : GroupComparisonDisplay
        """
        comparison = self.comparison
        check_option(values, "values", ("q", "p"))
        check_scalar(n_top, "n_top", Integral, min_val=1)
        _states.check_few_states(len(comparison.state_names))
        if isinstance(quantities, str):
            quantities = (quantities,)
        quantities = to_list(quantities, "quantities must be a list of names")
        panels: list[_Panel] = []
        for quantity in quantities:
            check_option(quantity, "each of quantities", _QUANTITIES)
            panels += _panels_of(comparison, quantity, values, n_top)
        if not panels:
            raise ValueError("quantities must name one quantity or more, got none.")

        is_wide = max(len(panel.names) for panel in panels) > _MOST_ITEMS
        n_columns = 1 if is_wide else min(len(panels), _N_COLUMNS)
        width = min(7.0, max(n_columns * 2.2, 1.2 + n_columns * max(map(_width, panels))))
        height = 2.7 + 0.2 * max(len(panel.rows) for panel in panels)
        size = (width, height * -(-len(panels) // n_columns))
        self.figure_, self.axes_ = _figures.figure_and_panels(ax, len(panels), n_columns, size)
        colors = _figures.group_colors(len(comparison.groups))
        self.means_, self.intervals_, self.points_, self.marks_ = [], [], [], []
        for place, (panel, panel_ax) in enumerate(zip(panels, self.axes_, strict=True)):
            means, intervals = _means_and_intervals(comparison, panel)
            self.means_.append(means)
            self.intervals_.append(intervals)
            self.points_.append(_draw_animals(panel_ax, comparison, panel, colors))
            handles = _draw_means(panel_ax, comparison, means, intervals, colors)
            _finish_axes(panel_ax, panel, intervals)
            # panels beside each other have the same rows
            has_headings = len(panel.rows) == 1 or place % n_columns == 0
            self.marks_.append(_draw_marks(panel_ax, panel, values, has_headings))
        label = f"mean, {100 * comparison.confidence_level:g}% interval"
        bars = self.axes_[0].errorbar([], [], [], fmt="none", ecolor="0.4", capsize=1.8)
        bars.set_label(label)
        self.legend_ = _figures.legend_above(self.axes_[0], [*handles, bars])
        return self


class _Panel(NamedTuple):
    """Contents of a panel."""

    quantity: str
    names: list[str]  # (n_items,)
    values: np.ndarray  # (n_units, n_items)
    marks: np.ndarray  # (n_comparisons, n_items), p or q values
    rows: list[str]  # (n_comparisons,), their names
    xlabel: str
    ylabel: str
    usage: np.ndarray | None  # (n_items,), of the states


def _panels_of(comparison, quantity, values, n_top):
    """Return the `_Panel` of each picture of a quantity."""
    p_or_q = comparison.q_value if values == "q" else comparison.p_value
    names = [_states.as_text(name) for name in comparison.state_names]
    state_label = "state" if names == [str(k) for k in range(len(names))] else ""
    usage = np.nanmean(comparison.usage, axis=0)
    if quantity == "content":
        return _content_panels(comparison, p_or_q, values, names, n_top)
    rows = np.flatnonzero(comparison.quantity == quantity)
    if not rows.size:
        raise ValueError(
            "The comparison has no transitions, because with two states the next state is always "
            "the other one. Leave 'transition' out of quantities."
        )
    contrasts, marks = _by_contrast(comparison, rows, p_or_q)
    if quantity == "transition":
        first = _of_first_contrast(comparison, rows)
        states, next_states = comparison.state[first], comparison.next_state[first]
        drawn = comparison.transition[:, states, next_states]
        pairs = [
            f"{names[k]} \N{RIGHTWARDS ARROW} {names[m]}"
            for k, m in zip(states, next_states, strict=True)
        ]
        label = "transition" if not state_label else "state \N{RIGHTWARDS ARROW} next state"
        part = _Panel(quantity, pairs, drawn, marks, contrasts, label, "probability", None)
        return [part]
    if quantity == "dwell":
        unit = "timesteps" if comparison.frame_rate is None else "s"
        ylabel = f"dwell time ({unit})"
        drawn = comparison.dwell
    else:
        ylabel, drawn = "fraction of time", comparison.usage
    return [_Panel(quantity, names, drawn, marks, contrasts, state_label, ylabel, usage)]


def _content_panels(comparison, p_or_q, values, names, n_top):
    """Return a panel for each state, with the syllables whose p values are smallest."""
    if comparison.content is None:
        raise ValueError(
            "The comparison has no content of states. Give syllables to compare_groups, or leave "
            "'content' out of quantities."
        )
    panels = []
    for state, name in enumerate(names):
        rows = np.flatnonzero((comparison.quantity == "syllable") & (comparison.state == state))
        first = _of_first_contrast(comparison, rows)
        p_value = np.where(np.isnan(comparison.p_value[first]), np.inf, comparison.p_value[first])
        # of equal p values those of larger effects, which the first pair of groups has
        effects = comparison.effect[rows].reshape(len(first), -1)
        effect = np.max(np.abs(np.nan_to_num(effects)), axis=1)
        syllables = np.lexsort((-effect, p_value))[:n_top]
        contrasts, marks = _by_contrast(comparison, rows, p_or_q)
        overall = np.flatnonzero((comparison.quantity == "content") & (comparison.state == state))
        of_state = _text_of(p_or_q[overall[0]], "not tested")
        if of_state != "not tested":
            sign = "" if of_state.startswith("<") else "= "
            of_state = f"{values} {sign}{of_state}"
        state_name = f"state {name}" if name == str(state) else name
        panels.append(
            _Panel(
                "content",
                [str(syllable) for syllable in syllables],
                comparison.content[:, state, syllables],
                marks[:, syllables],
                contrasts,
                f"syllable in {state_name} ({of_state})",
                "fraction of syllables",
                None,
            )
        )
    return panels


def _of_first_contrast(comparison, rows):
    """Return those of rows that compare the groups that are compared first."""
    same = comparison.group_1[rows] == comparison.group_1[rows[0]]
    return rows[same & (comparison.group_2[rows] == comparison.group_2[rows[0]])]


def _by_contrast(comparison, rows, p_or_q):
    """Return the names of comparisons of groups, and their values (n_comparisons, n_items)."""
    pairs = list(zip(comparison.group_1[rows], comparison.group_2[rows], strict=True))
    contrasts = list(dict.fromkeys(pairs))
    if len(contrasts) > _MOST_ROWS:
        contrasts = contrasts[:1]
    marks = np.array([p_or_q[rows][[pair == contrast for pair in pairs]] for contrast in contrasts])
    names = [
        "all" if first == ALL_GROUPS else f"{second} \N{EN DASH} {first}"
        for first, second in contrasts
    ]
    if names != ["all"] and len(names) == 1:
        names = [""]
    return [_states.as_text(name) for name in names], marks


def _width(panel):
    """Return the width of a panel in inches."""
    return max(0.55, 0.13 * max(map(len, panel.names))) * len(panel.names)


def _text_of(value, without):
    """Return a p or q value as text."""
    if np.isnan(value):
        return without
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def _means_and_intervals(comparison, panel):
    """Return means (n_groups, n_items) and intervals (2, n_groups, n_items)."""
    from scipy.stats import t

    n_groups, n_items = len(comparison.groups), len(panel.names)
    means, errors = np.full((2, n_groups, n_items), np.nan)
    is_log = panel.quantity == "dwell"
    values = np.log(panel.values) if is_log else panel.values
    for group in range(n_groups):
        part = values[comparison.animal_groups == group]
        for item in range(n_items):
            x = part[np.isfinite(part[:, item]), item]
            if x.size:
                means[group, item] = x.mean()
            if x.size > 1:
                quantile = t.ppf((1 + comparison.confidence_level) / 2, x.size - 1)
                errors[group, item] = quantile * x.std(ddof=1) / np.sqrt(x.size)
    intervals = np.stack([means - errors, means + errors])
    if is_log:
        return np.exp(means), np.exp(intervals)
    return means, np.clip(intervals, 0, 1)


def _centers(n_groups, n_items):
    """Return the positions of groups on the x axis, (n_groups, n_items), and their distance."""
    slot = 0.8 / n_groups
    return np.arange(n_items) - 0.4 + slot * (np.arange(n_groups)[:, np.newaxis] + 0.5), slot


def _draw_animals(ax, comparison, panel, colors):
    """Draw a dot for each animal, and connect dots of the same animal."""
    n_groups = len(comparison.groups)
    centers, slot = _centers(n_groups, len(panel.names))
    animals = list(dict.fromkeys(comparison.animals))
    # multiples of the golden ratio modulo 1 are far from those around them
    spread = (0.5 + np.arange(len(animals)) * (np.sqrt(5) - 1) / 2) % 1
    place = dict(zip(animals, slot * 0.55 * (spread - 0.5), strict=True))
    shifts = np.array([place[animal] for animal in comparison.animals])
    x = centers[comparison.animal_groups] + shifts[:, np.newaxis]
    for animal in animals:
        units = [i for i, name in enumerate(comparison.animals) if name == animal]
        if len(units) > 1:
            units = sorted(units, key=lambda i: comparison.animal_groups[i])
            ax.plot(x[units], panel.values[units], color="0.6", lw=0.4, alpha=0.6, zorder=0.5)
    points = []
    for group, color in enumerate(colors):
        units = comparison.animal_groups == group
        style = {"s": 9, "color": color, "alpha": 0.45, "linewidths": 0}
        points.append(ax.scatter(x[units].ravel(), panel.values[units].ravel(), **style))
    return points


def _draw_means(ax, comparison, means, intervals, colors):
    """Draw the mean and the interval of each group; return handles for the legend."""
    centers, _ = _centers(*means.shape)
    handles = []
    for group, color in enumerate(colors):
        n_animals = np.count_nonzero(comparison.animal_groups == group)
        handles.append(
            ax.errorbar(
                centers[group],
                means[group],
                np.abs(intervals[:, group] - means[group]),
                fmt=_figures.MARKERS[group % len(_figures.MARKERS)],
                color=color,
                markersize=4.5,
                markeredgecolor="white",
                markeredgewidth=0.6,
                elinewidth=1.3,
                capsize=1.8,
                label=f"{_states.as_text(comparison.groups[group])} (n = {n_animals})",
            )
        )
    return handles


def _finish_axes(ax, panel, intervals):
    """Set scales, ticks and labels; leave room for the p or q values."""
    from matplotlib.ticker import FixedLocator, LogLocator

    room = 1 - _ROW * (len(panel.rows) + 0.4)  # of the axes, below the values
    drawn = np.append(panel.values.ravel(), intervals.ravel())
    finite = drawn[np.isfinite(drawn)]
    if panel.quantity == "dwell" and finite.size:
        ax.set_yscale("log")
        animals = panel.values[np.isfinite(panel.values)]
        low = max(finite.min(), animals.min() / _MOST_BEYOND) / 1.15
        high = min(finite.max(), animals.max() * _MOST_BEYOND) * 1.1
        ax.set_ylim(low, low * (high / low) ** (1 / room))
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_minor_formatter(lambda value, _: "")
    else:
        low, high = 0.0, 1.05 * max(finite.max(initial=0.0), 1e-3)
        ax.set_ylim(low, high / room)
    # the y axis ends below the values
    ticks, minor = (ax.yaxis.get_ticklocs(minor=which) for which in (False, True))
    ax.yaxis.set_major_locator(FixedLocator(ticks[(ticks >= low) & (ticks <= high)]))
    ax.yaxis.set_minor_locator(FixedLocator(minor[(minor >= low) & (minor <= high)]))
    ax.spines["left"].set_bounds(low, high)
    n_items = len(panel.names)
    _figures.name_ticks(ax, "x", np.arange(n_items), panel.names)
    if panel.usage is not None:
        _figures.gray_ticks(ax.xaxis, panel.usage)
    if max(map(len, panel.names)) > (5 if panel.quantity == "transition" else 3):
        for tick in ax.get_xticklabels():
            tick.set(rotation=40, ha="right", rotation_mode="anchor", fontsize="small")
    elif panel.quantity in ("transition", "content"):
        ax.tick_params(axis="x", labelsize="small")
    ax.set_xlim(-0.5, n_items - 0.5)
    ax.set_ylabel(panel.ylabel, y=room / 2)
    if panel.xlabel:
        ax.set_xlabel(panel.xlabel, **_figures.LITERAL)
    ax.spines[["right", "top"]].set_visible(False)


def _draw_marks(ax, panel, values, has_headings):
    """Write the p or q values above the items; return texts (n_comparisons, n_items)."""
    transform = ax.get_xaxis_transform()
    texts = np.empty(panel.marks.shape, dtype=object)
    for row, (name, marks) in enumerate(zip(panel.rows, panel.marks, strict=True)):
        y = 1 - _ROW * (row + 0.5)
        style = {"fontsize": "x-small", "va": "center", **_figures.LITERAL}
        if has_headings:
            heading = f"{values} " if not name else f"{values}, {name} "
            ax.text(-0.5, y, heading, transform=transform, ha="right", **style)
        for item, value in enumerate(marks):
            color = "black" if value < _SMALL else "0.45"
            text = _text_of(value, "\N{EN DASH}")
            texts[row, item] = ax.text(
                item, y, text, transform=transform, ha="center", color=color, **style
            )
    return texts
