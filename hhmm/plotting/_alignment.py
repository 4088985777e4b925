"""Display of how the states of two fits correspond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from hhmm.metrics import match_states, matched_confusion_matrix
from hhmm.plotting._figures import (
    LITERAL,
    check_has,
    figure_and_axes,
    name_ticks,
    state_colors,
)
from hhmm.plotting._states import check_few_states, check_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hhmm.estimator import EfficientHHMM

_BAR = 0.07  # width of a bar, as a fraction of the distance between the columns
_GAP = 0.015  # between the bars of a column, as a fraction of the height


@dataclass(eq=False, repr=False)
class AlignmentDisplay:
    """Bands from the states of one fit to the states of another.

    The height of a band is the number of timesteps in its state of the first fit, on the left,
    and its state of the second, on the right. Matched states have one colour, and the states of
    the second fit are in the order of those that they match, so bands are straight if the fits
    agree. The picture shows at once if a state is split in the other fit, which a score does not
    show. Both fits keep their numbers. States that take less than 1% of the time of their fit are
    grey.

    Parameters
    ----------
    counts : array of shape (n_first, n_second)
        Number of timesteps in each state of the first fit (row) and of the second (column), both
        numbered as in their own fit.
    mapping : array of shape (n_second,), int
        The state of the first fit that each state of the second is matched with. States without
        a match have numbers from n_first on.
    names : tuple of two str, default=("first", "second")
        Names of the fits.
    first_names, second_names : list of n_first and list of n_second str, default=None
        Names of the states of each fit; numbers if None.

    Attributes
    ----------
    bands_ : dict of matplotlib PathPatch
        The band of each pair of states that share a timestep, ``bands_[i, j]``.
    bars_ : tuple of two lists of matplotlib Rectangle
        The states of the first and of the second fit.
    accuracy_ : float
        Fraction of timesteps in matched states.
    ax_, figure_ : matplotlib Axes and Figure
        The axes and the figure of the display.

    See Also
    --------
    MatchedConfusionDisplay : Inferred states against true ones, as a heat map.
    hhmm.metrics.match_states : The matching.

    Examples
    --------
    >>> from hhmm.plotting import AlignmentDisplay
    >>> display = AlignmentDisplay([[0, 50], [40, 10]], [1, 0]).plot()
    >>> display.accuracy_
    0.9
    >>> sorted(display.bands_)
    [(0, 1), (1, 0), (1, 1)]
    """

    counts: ArrayLike
    mapping: ArrayLike
    _: KW_ONLY
    names: Sequence[str] = ("first", "second")
    first_names: Sequence[str] | None = None
    second_names: Sequence[str] | None = None

    @classmethod
    def from_estimators(
        cls,
        first: EfficientHHMM,
        second: EfficientHHMM,
        X: ArrayLike,
        *,
        names: Sequence[str] = ("first", "second"),
        first_names: Sequence[str] | None = None,
        second_names: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Plot the predictions of two fitted models.

        Parameters
        ----------
        first, second : EfficientHHMM
            Fitted models; their numbers of states may differ.
        X : array of shape (n_sequences, n_timesteps) or list of arrays
            Syllables, in any form that both estimators take.
        names, first_names, second_names, ax
            See the class and `plot`.

        Returns
        -------
        display : AlignmentDisplay
        """
        check_has(first, "trans_probs_")
        check_has(second, "trans_probs_")
        return cls.from_predictions(
            first.predict(X),
            second.predict(X),
            names=names,
            first_names=first_names,
            second_names=second_names,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        first: ArrayLike,
        second: ArrayLike,
        *,
        names: Sequence[str] = ("first", "second"),
        first_names: Sequence[str] | None = None,
        second_names: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Match the states of two fits and plot.

        Parameters
        ----------
        first, second : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
                or list of arrays of shape (n_timesteps_i,)
            States; timesteps that are negative in either are ignored.
        names, first_names, second_names, ax
            See the class and `plot`.

        Returns
        -------
        display : AlignmentDisplay

        Examples
        --------
        >>> from hhmm.plotting import AlignmentDisplay
        >>> display = AlignmentDisplay.from_predictions([0, 0, 0, 1, 1], [2, 2, 0, 1, 1])
        >>> display.counts
        array([[1, 0, 2],
               [0, 2, 0]])
        >>> display.mapping
        array([2, 1, 0])
        """
        mapping = match_states(first, second)
        n_labels = int(mapping.max()) + 1
        check_few_states(max(mapping.size, n_labels))  # before they are counted
        confusion = matched_confusion_matrix(first, second)
        n_labels = max(len(confusion), n_labels)
        confusion = np.pad(confusion, (0, n_labels - len(confusion)))
        n_first = int(np.flatnonzero(confusion.any(axis=1)).max()) + 1
        return cls(
            confusion[:n_first, mapping],
            mapping,
            names=names,
            first_names=first_names,
            second_names=second_names,
        ).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw bars and bands.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in; a new figure if None.

        Returns
        -------
        self : AlignmentDisplay
        """
        counts, mapping = np.asarray(self.counts), np.asarray(self.mapping)
        n_first, n_second = counts.shape
        n_colors = max(n_first, int(mapping.max()) + 1)
        check_few_states(n_colors)
        names = check_names(self.names, 2, "names")
        first_names = check_names(self.first_names, n_first, "first_names")
        second_names = check_names(self.second_names, n_second, "second_names")
        matched = mapping[np.newaxis] == np.arange(n_first)[:, np.newaxis]
        fractions = counts / counts.sum()
        self.accuracy_ = float(counts[matched].sum() / counts.sum())

        height = min(7.0, max(2.4, 1.0 + 0.4 * max(n_first, n_second)))
        self.figure_, self.ax_ = figure_and_axes(ax, (3.4, height))
        of_first, of_second = fractions.sum(axis=1), fractions.sum(axis=0)
        by_color = np.zeros((2, n_colors))
        by_color[0, :n_first] = of_first
        by_color[1, mapping] = of_second
        colors, colors_second = (state_colors(n_colors, usage) for usage in by_color)
        order = np.argsort(mapping)
        tops_first, tops_second = _tops(of_first, np.arange(n_first)), _tops(of_second, order)
        self.bars_ = (
            self._bars(-_BAR, tops_first, of_first, colors),
            self._bars(1.0, tops_second, of_second, [colors_second[k] for k in mapping]),
        )
        self.bands_ = {}
        left, right = tops_first.copy(), tops_second.copy()
        for i in range(n_first):
            for j in order:
                if counts[i, j]:
                    band = _band(left[i], right[j], fractions[i, j])
                    band.set(facecolor=colors[i], alpha=0.65 if matched[i, j] else 0.35)
                    self.bands_[i, int(j)] = self.ax_.add_patch(band)
                left[i] += fractions[i, j]
                right[j] += fractions[i, j]

        bottom = 1 + _GAP * (max(n_first, n_second) - 1)
        self.ax_.set(xlim=(-_BAR - 0.01, 1 + _BAR + 0.01), ylim=(bottom, 0.0))
        self._label(-_BAR - 0.03, "right", tops_first, of_first, first_names)
        self._label(1 + _BAR + 0.03, "left", tops_second, of_second, second_names)
        name_ticks(self.ax_, "x", [-_BAR / 2, 1 + _BAR / 2], names)
        self.ax_.set_yticks([])
        self.ax_.tick_params(length=0)
        self.ax_.spines[:].set_visible(False)
        self.ax_.set_title(f"matched accuracy {self.accuracy_:.3f}", fontsize="medium")
        return self

    def _bars(self, x, tops, heights, colors):
        from matplotlib.patches import Rectangle

        return [
            self.ax_.add_patch(Rectangle((x, top), _BAR, height, facecolor=color, linewidth=0))
            for top, height, color in zip(tops, heights, colors, strict=False)
        ]

    def _label(self, x, ha, tops, heights, names):
        """Write names beside the bars, from top to bottom, as many as there is room for."""
        inches = self.ax_.get_window_extent().height / self.figure_.dpi
        spacing = 0.14 * self.ax_.get_ylim()[0] / inches
        last = -np.inf
        for state in np.argsort(tops, kind="stable"):
            center = tops[state] + heights[state] / 2
            if heights[state] > 0 and center - last >= spacing:
                self.ax_.text(
                    x, center, names[state], ha=ha, va="center", fontsize="small", **LITERAL
                )
                last = center


def _tops(heights, order):
    """Return the upper ends of bars stacked in `order` from the top, with gaps between them."""
    tops = np.empty(len(heights))
    tops[order] = np.cumsum(heights[order]) - heights[order] + _GAP * np.arange(len(heights))
    return tops


def _band(left, right, height):
    """Return a band from the left column to the right one, below the given upper ends."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    upper = [(0.0, left), (0.5, left), (0.5, right), (1.0, right)]
    lower = [(x, y + height) for x, y in reversed(upper)]
    curve = [Path.CURVE4] * 3
    codes = [Path.MOVETO, *curve, Path.LINETO, *curve, Path.CLOSEPOLY]
    return PathPatch(Path([*upper, *lower, upper[0]], codes), linewidth=0)
