"""Display of how the states of two fits correspond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from hhmm.estimator import EfficientHHMM
from hhmm.metrics import match_states, matched_confusion_matrix
from hhmm.plotting import _figures, _states

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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

    See Also
    --------
    MatchedConfusionDisplay : Inferred states against true ones, as a heat map.
    hhmm.metrics.match_states : The matching.

    Examples
    --------
    >>> from hhmm.plotting import AlignmentDisplay
    >>> display = AlignmentDisplay.from_predictions([0, 0, 0, 1, 1], [2, 2, 0, 1, 1])
    >>> display.counts
    array([[1, 0, 2],
           [0, 2, 0]])
    >>> display.mapping
    array([2, 1, 0])
    >>> sorted(display.bands_)
    [(0, 0), (0, 2), (1, 1)]
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
        model_groups: ArrayLike | None = None,
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
        model_groups : array-like of shape (n_sequences,) or data frame, default=None
            ``groups`` of `EfficientHHMM.predict`, for each model that was fitted with groups.
        names, first_names, second_names, ax
            See the class and `plot`; names of states are by default those of the estimators.

        Returns
        -------
        display : AlignmentDisplay
        """
        _figures.check_has(first, "trans_probs_")
        _figures.check_has(second, "trans_probs_")
        predicted = [
            model.predict(X, groups=model_groups if model.group_labels_ else None)
            for model in (first, second)
        ]
        return cls.from_predictions(
            *predicted,
            names=names,
            first_names=_states.names_of(first, first_names),
            second_names=_states.names_of(second, second_names),
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
        """
        mapping = match_states(first, second)
        _states.check_few_states(int(mapping.max()) + 1)  # before they are counted
        counts = matched_confusion_matrix(first, second)
        n_first = int(np.flatnonzero(counts.any(axis=1)).max()) + 1
        # states that never occur together with a state of the first fit have no column yet
        counts = np.pad(counts, (0, max(0, int(mapping.max()) + 1 - len(counts))))
        counts = counts[:n_first, mapping]
        return cls(
            counts, mapping, names=names, first_names=first_names, second_names=second_names
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
        _states.check_few_states(n_colors)
        names = _states.check_names(self.names, 2, "names")
        first_names = _states.check_names(self.first_names, n_first, "first_names")
        second_names = _states.check_names(self.second_names, n_second, "second_names")
        matched = mapping[np.newaxis] == np.arange(n_first)[:, np.newaxis]
        fractions = counts / counts.sum()
        self.accuracy_ = float(counts[matched].sum() / counts.sum())

        height = min(7.0, max(2.4, 1.0 + 0.4 * max(n_first, n_second)))
        self.figure_, self.ax_ = _figures.figure_and_axes(ax, (3.4, height))
        bottom = 1 + _GAP * (max(n_first, n_second) - 1)
        self.ax_.set(xlim=(-_BAR - 0.01, 1 + _BAR + 0.01), ylim=(bottom, 0.0))
        first, second = fractions.sum(axis=1), fractions.sum(axis=0)
        self.bars_ = (
            self._stack(first, np.arange(n_first), n_colors, first_names, "right"),
            self._stack(second, mapping, n_colors, second_names, "left"),
        )
        self.bands_ = {}
        left, right = ([bar.get_y() for bar in bars] for bars in self.bars_)
        for i, bar in enumerate(self.bars_[0]):
            for j in np.argsort(mapping).tolist():
                if counts[i, j]:
                    band = _band(left[i], right[j], fractions[i, j])
                    alpha = 0.65 if matched[i, j] else 0.35
                    band.set(facecolor=bar.get_facecolor(), alpha=alpha)
                    self.bands_[i, j] = self.ax_.add_patch(band)
                left[i] += fractions[i, j]
                right[j] += fractions[i, j]
        _figures.name_ticks(self.ax_, "x", [-_BAR / 2, 1 + _BAR / 2], names)
        self.ax_.set_yticks([])
        self.ax_.tick_params(length=0)
        self.ax_.spines[:].set_visible(False)
        self.ax_.set_title(f"matched accuracy {self.accuracy_:.3f}", fontsize="medium")
        return self

    def _stack(self, heights, labels, n_colors, names, side):
        """Draw bars of states from top to bottom by their labels, and names beside them."""
        from matplotlib.patches import Rectangle

        usage = np.zeros(n_colors)
        usage[labels] = heights
        colors = _figures.state_colors(n_colors, usage)
        x, text_x = (-_BAR, -_BAR - 0.03) if side == "right" else (1.0, 1 + _BAR + 0.03)
        bars = [None] * len(labels)
        inches = self.ax_.get_window_extent().height / self.figure_.dpi
        spacing = 0.14 * self.ax_.get_ylim()[0] / inches
        top, last = 0.0, -np.inf
        for state in np.argsort(labels):
            height = heights[state]
            style = {"facecolor": colors[labels[state]], "linewidth": 0}
            bars[state] = self.ax_.add_patch(Rectangle((x, top), _BAR, height, **style))
            center = top + height / 2
            if height > 0 and center - last >= spacing:  # there is room for the name
                style = {"ha": side, "va": "center", "fontsize": "small", **_figures.LITERAL}
                self.ax_.text(text_x, center, names[state], **style)
                last = center
            top += height + _GAP
        return bars


def _band(left, right, height):
    """Return a band from the left column to the right one, below the given upper ends."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    upper = [(0.0, left), (0.5, left), (0.5, right), (1.0, right)]
    lower = [(x, y + height) for x, y in reversed(upper)]
    curve = [Path.CURVE4] * 3
    codes = [Path.MOVETO, *curve, Path.LINETO, *curve, Path.CLOSEPOLY]
    return PathPatch(Path([*upper, *lower, upper[0]], codes), linewidth=0)
