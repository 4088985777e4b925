"""Display of how the states of one fit go over into those of another."""

import numpy as np

from hhmm._validation import shorten, to_array
from hhmm.metrics import match_states, matched_confusion_matrix
from hhmm.plotting._figures import (
    LITERAL,
    check_has,
    figure_and_axes,
    import_pyplot,
    name_ticks,
    state_colors,
)
from hhmm.plotting._states import check_few_states, check_names, check_state_names

_BAR = 0.07  # width of a bar, of the distance between the columns
_GAP = 0.015  # between the bars of a column, of the height
_LABEL_INCHES = 0.14


class AlignmentDisplay:
    """How the states of two fits correspond: bands from the states of one to those of the other.

    The height of a band is the number of timesteps in its state of the first fit, on the
    left, and its state of the second, on the right. Matched states have one colour, and the
    states of the second fit stand in the order of those that they match: where fits agree,
    bands run straight across. A state that splits in the other fit is seen at once, which a
    score does not tell. Both fits keep their numbers. States that take less than 1% of the time
    of their fit are grey.

    Parameters
    ----------
    counts : array of shape (n_first, n_second)
        Number of timesteps in each state of the first fit (row) and of the second
        (column), both numbered as in their own fit.

    mapping : array of shape (n_second,), int
        The state of the first fit that each state of the second is matched with; numbers from
        n_first on for those that are left over.

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

    ax_ : matplotlib Axes
        The axes that were drawn in.

    figure_ : matplotlib Figure
        The figure they belong to.

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

    def __init__(
        self,
        counts,
        mapping,
        *,
        names=("first", "second"),
        first_names=None,
        second_names=None,
    ):
        self.counts = counts
        self.mapping = mapping
        self.names = names
        self.first_names = first_names
        self.second_names = second_names

    @classmethod
    def from_estimators(
        cls,
        first,
        second,
        X,
        *,
        names=("first", "second"),
        first_names=None,
        second_names=None,
        ax=None,
    ):
        """Compare what two fitted models predict and plot.

        Parameters
        ----------
        first, second : EfficientHHMM
            Fitted models, of as many states each as they like.

        X : array of shape (n_sequences, n_timesteps) or list of arrays
            Syllables, in any form that both estimators take.

        names, first_names, second_names
            See the class.

        ax : matplotlib Axes, default=None
            See `plot`.

        Returns
        -------
        display : AlignmentDisplay

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> from hhmm.datasets import make_hhmm
        >>> from hhmm.plotting import AlignmentDisplay
        >>> data = make_hhmm(4, 100, n_states=2, n_syllables=4, random_state=0)
        >>> model = EfficientHHMM.from_params(
        ...     data.emission_base, data.emission_biases, data.trans_probs
        ... )
        >>> AlignmentDisplay.from_estimators(model, model, data.X).accuracy_
        1.0
        """
        check_has(first, "trans_probs_")
        check_has(second, "trans_probs_")
        import_pyplot()
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
        first,
        second,
        *,
        names=("first", "second"),
        first_names=None,
        second_names=None,
        ax=None,
    ):
        """Match the states of two fits and plot.

        Parameters
        ----------
        first, second : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
                or list of arrays of shape (n_timesteps_i,)
            States; timesteps that are negative in either are ignored.

        names, first_names, second_names
            See the class.

        ax : matplotlib Axes, default=None
            See `plot`.

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
        check_few_states(max(mapping.size, int(mapping.max()) + 1))  # before they are counted
        confusion = matched_confusion_matrix(first, second)
        n_labels = max(len(confusion), int(mapping.max()) + 1)
        confusion = np.pad(confusion, (0, n_labels - len(confusion)))
        n_first = int(np.flatnonzero(confusion.any(axis=1)).max()) + 1
        return cls(
            confusion[:n_first, mapping],
            mapping,
            names=names,
            first_names=first_names,
            second_names=second_names,
        ).plot(ax)

    def plot(self, ax=None):
        """Draw bars and bands.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        self : AlignmentDisplay
        """
        plt = import_pyplot()
        counts, mapping = self._checked()
        n_first, n_second = counts.shape
        names = check_names(self.names, 2, "names", default="{}")
        first_names = check_state_names(self.first_names, n_first, "first_names", default="{}")
        second_names = check_state_names(self.second_names, n_second, "second_names", default="{}")
        matched = mapping[np.newaxis] == np.arange(n_first)[:, np.newaxis]
        self.accuracy_ = float(counts[matched].sum() / counts.sum())

        height = min(7.0, 1.0 + 0.4 * max(n_first, n_second))
        self.figure_, self.ax_ = figure_and_axes(plt, ax, (3.4, max(2.4, height)))
        fractions = counts / counts.sum()
        n_colors = max(n_first, int(mapping.max()) + 1)
        of_first, of_second = np.zeros((2, n_colors))
        of_first[:n_first] = fractions.sum(axis=1)
        of_second[mapping] = fractions.sum(axis=0)
        colors, colors_second = (state_colors(plt, n_colors, u) for u in (of_first, of_second))
        order = np.argsort(mapping, kind="stable")
        tops_first = _tops(fractions.sum(axis=1), np.arange(n_first))
        tops_second = _tops(fractions.sum(axis=0), order)
        self.bars_ = (
            self._bars(0.0, tops_first, fractions.sum(axis=1), colors),
            self._bars(
                1.0, tops_second, fractions.sum(axis=0), [colors_second[k] for k in mapping]
            ),
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
        inches = self.ax_.get_window_extent().height / self.figure_.dpi
        spacing = _LABEL_INCHES * bottom / inches
        self._label(-_BAR - 0.03, "right", tops_first, fractions.sum(axis=1), first_names, spacing)
        self._label(
            1 + _BAR + 0.03, "left", tops_second, fractions.sum(axis=0), second_names, spacing
        )
        name_ticks(self.ax_, "x", [-_BAR / 2, 1 + _BAR / 2], names)
        self.ax_.set_yticks([])
        self.ax_.tick_params(length=0)
        self.ax_.spines[:].set_visible(False)
        self.ax_.set_title(f"matched accuracy {self.accuracy_:.3f}", fontsize="medium")
        return self

    def _checked(self):
        expectation = (
            "counts must be numbers of timesteps of shape (n_first, n_second), not all of them 0"
        )
        counts = to_array(self.counts, expectation, float)
        if counts.ndim != 2 or not counts.any():
            raise ValueError(f"{expectation}, got shape {counts.shape}")
        if not (np.isfinite(counts) & (counts >= 0)).all():
            raise ValueError(f"{expectation}, got {shorten(counts)}")
        expectation = f"mapping must hold {counts.shape[1]} different states"
        mapping = to_array(self.mapping, expectation, float)
        if mapping.shape != counts.shape[1:] or np.unique(mapping).size != mapping.size:
            raise ValueError(f"{expectation}, got {shorten(mapping)}")
        if not ((mapping >= 0) & (mapping == np.trunc(mapping)) & np.isfinite(mapping)).all():
            raise ValueError(f"{expectation}, integers >= 0, got {shorten(mapping)}")
        check_few_states(max(*counts.shape, int(mapping.max()) + 1))
        return counts, mapping.astype(np.int64)

    def _bars(self, side, tops, heights, colors):
        from matplotlib.patches import Rectangle

        x = -_BAR if side == 0 else 1.0
        return [
            self.ax_.add_patch(Rectangle((x, top), _BAR, height, facecolor=color, linewidth=0))
            for top, height, color in zip(tops, heights, colors, strict=False)
        ]

    def _label(self, x, ha, tops, heights, names, spacing):
        """Names beside the bars, from top to bottom, without those there is no room for."""
        last = -np.inf
        for state in np.argsort(tops, kind="stable"):
            center = tops[state] + heights[state] / 2
            if heights[state] > 0 and center - last >= spacing:
                self.ax_.text(
                    x, center, names[state], ha=ha, va="center", fontsize="small", **LITERAL
                )
                last = center


def _tops(heights, order):
    """Upper ends of bars stacked in `order` from the top, with gaps between them."""
    tops = np.empty(len(heights))
    tops[order] = np.cumsum(heights[order]) - heights[order] + _GAP * np.arange(len(heights))
    return tops


def _band(left, right, height):
    """A band from the left column to the right one, from the given upper ends down."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    vertices = [
        (0.0, left),
        (0.5, left),
        (0.5, right),
        (1.0, right),
        (1.0, right + height),
        (0.5, right + height),
        (0.5, left + height),
        (0.0, left + height),
        (0.0, left),
    ]
    curve = [Path.CURVE4] * 3
    codes = [Path.MOVETO, *curve, Path.LINETO, *curve, Path.CLOSEPOLY]
    return PathPatch(Path(vertices, codes), linewidth=0)
