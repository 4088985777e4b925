"""Displays of transition probabilities: of the states, and of the syllables in each state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from hhmm._sequences.read import find_unused
from hhmm._validation import check_flag, check_option
from hhmm.estimator import EfficientHHMM
from hhmm.plotting import _figures, _heat_maps, _states

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap


@dataclass(eq=False, repr=False)
class StateTransitionDisplay:
    """Heat map of the state transition probabilities.

    Sticky models stay in a state with a probability near 1. Therefore colours are on a
    logarithmic scale by default, and the numbers in the cells have as many decimals as the rarer
    transitions need: ``.987``, ``<.001``, ``>.999``.

    Parameters
    ----------
    trans_probs : array of shape (n_states, n_states)
        Transition probabilities A, from state (row) to state (column).
    usage : array of shape (n_states,), default=None
        Fraction of time in each state; equal if None. The numbers of states that take less than
        1% are grey.
    state_names : list of n_states str, default=None
        Names of the states; numbers if None.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The heat map.
    text_ : ndarray of shape (n_states, n_states) of matplotlib Text, or None
        The numbers in the cells; None if they are left out.
    ax_, figure_ : matplotlib Axes and Figure

    Examples
    --------
    >>> from hhmm.plotting import StateTransitionDisplay
    >>> display = StateTransitionDisplay([[0.99, 0.01], [0.002, 0.998]]).plot()
    >>> [text.get_text() for text in display.text_.flat]
    ['.990', '.010', '.002', '.998']
    """

    trans_probs: ArrayLike
    _: KW_ONLY
    usage: ArrayLike | None = None
    state_names: Sequence[str] | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: EfficientHHMM,
        *,
        state_names: Sequence[str] | None = None,
        ax: Axes | None = None,
        cmap: str | Colormap = "viridis",
        color_scale: str = "log",
        include_values: bool | None = None,
    ) -> Self:
        """Plot ``estimator.trans_probs_``.

        The time in each state is that of ``estimator.states_``. For a model made from parameters
        it is the stationary distribution.

        Parameters
        ----------
        estimator : fitted EfficientHHMM
        state_names, ax, cmap, color_scale, include_values
            See the class and `plot`; `state_names` are by default those of the estimator.

        Returns
        -------
        display : StateTransitionDisplay
        """
        _figures.check_has(estimator, "trans_probs_")
        names = _states.names_of(estimator, state_names)
        usage = _states.usage_of(estimator)
        return cls(estimator.trans_probs_, usage=usage, state_names=names).plot(
            ax, cmap=cmap, color_scale=color_scale, include_values=include_values
        )

    def plot(
        self,
        ax: Axes | None = None,
        *,
        cmap: str | Colormap = "viridis",
        color_scale: str = "log",
        include_values: bool | None = None,
    ) -> Self:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in; a new figure if None.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the probabilities.
        color_scale : {"log", "linear"}, default="log"
            Scale of the colours.
        include_values : bool, default=None
            True writes the numbers into the cells. None does so if there is room to read them.

        Returns
        -------
        self : StateTransitionDisplay
        """
        trans_probs = np.asarray(self.trans_probs, dtype=float)
        norm, bar = _probability_colors(trans_probs, color_scale)
        names = _states.check_state_names(self.state_names, len(trans_probs))
        side = min(12.0, max(2.4, 0.52 * len(trans_probs)))
        self.figure_, self.ax_ = _figures.figure_and_axes(ax, (side + 1.7, side + 0.6))
        self.ax_.set(xlabel="to state", ylabel="from state")
        self.image_, self.text_ = _heat_maps.draw_state_matrix(
            self.ax_,
            trans_probs,
            decimals=_informative_decimals(trans_probs),
            cmap=cmap,
            norm=norm,
            usages=(self.usage, self.usage),
            names=names,
            bar=bar,
            include_values=include_values,
        )
        return self


@dataclass(eq=False, repr=False)
class SyllableTransitionDisplay:
    """Heat maps of the syllable transition probabilities, one panel per state.

    With ``plot(differences=True)``, panels show what a state changes in the order of syllables:
    its probabilities minus their mean over states, weighted by the time in each state. The
    diagonal is grey if no syllable can follow itself, as in models without self-transitions.

    Parameters
    ----------
    syllable_trans_probs : array of shape (n_states, n_syllables, n_syllables)
        Probability in a state (first axis) of a transition from a syllable (second) to a syllable
        (third).
    usage : array of shape (n_states,), default=None
        Fraction of time in each state; equal if None. The titles of states that take less than 1%
        are grey.
    state_names : list of n_states str, default=None
        Names of the states; numbers if None.

    Attributes
    ----------
    images_ : list of n_states matplotlib AxesImage
        The heat maps; they share one scale of colours.
    axes_ : ndarray of shape (n_states,) of matplotlib Axes
        The panels.
    ax_, figure_ : matplotlib Axes and Figure
        The first panel and the figure of the display.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.plotting import SyllableTransitionDisplay
    >>> display = SyllableTransitionDisplay(np.full((2, 4, 4), 0.25)).plot()
    >>> [ax.get_title() for ax in display.axes_]
    ['state 0', 'state 1']
    """

    syllable_trans_probs: ArrayLike
    _: KW_ONLY
    usage: ArrayLike | None = None
    state_names: Sequence[str] | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: EfficientHHMM,
        *,
        state_names: Sequence[str] | None = None,
        ax: Axes | Sequence[Axes] | np.ndarray | None = None,
        cmap: str | Colormap | None = None,
        color_scale: str = "log",
        differences: bool = False,
    ) -> Self:
        """Plot ``estimator.syllable_trans_probs_``.

        The time in each state is that of ``estimator.states_``. For a model made from parameters
        it is the stationary distribution.

        Parameters
        ----------
        estimator : fitted EfficientHHMM
        state_names, ax, cmap, color_scale, differences
            See the class and `plot`; `state_names` are by default those of the estimator.

        Returns
        -------
        display : SyllableTransitionDisplay
        """
        _figures.check_has(estimator, "syllable_trans_probs_")
        names = _states.names_of(estimator, state_names)
        usage = _states.usage_of(estimator)
        return cls(estimator.syllable_trans_probs_, usage=usage, state_names=names).plot(
            ax, cmap=cmap, color_scale=color_scale, differences=differences
        )

    def plot(
        self,
        ax: Axes | Sequence[Axes] | np.ndarray | None = None,
        *,
        cmap: str | Colormap | None = None,
        color_scale: str = "log",
        differences: bool = False,
    ) -> Self:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or array of n_states matplotlib Axes, default=None
            The axes to draw in; a single axes is divided into panels. A new figure if None.
        cmap : str or matplotlib Colormap, default=None
            Colours; "viridis" of probabilities and "RdBu_r" of differences if None.
        color_scale : {"log", "linear"}, default="log"
            Scale of the colours of probabilities. That of differences is always linear.
        differences : bool, default=False
            True shows the probabilities of each state minus their mean over states, weighted by
            `usage`.

        Returns
        -------
        self : SyllableTransitionDisplay
        """
        probs = np.asarray(self.syllable_trans_probs, dtype=float)
        check_flag(differences, "differences")
        n_states, n_syllables, _ = probs.shape
        names = _states.check_state_names(self.state_names, n_states, default="state {}")
        usage = _states.usage_or_equal(self.usage, n_states)
        colors = _figures.import_pyplot().get_cmap(cmap or ("RdBu_r" if differences else "viridis"))
        shown = probs
        norm, bar = _probability_colors(probs, color_scale)
        if differences:
            from matplotlib.colors import Normalize

            shown = probs - np.tensordot(usage / usage.sum(), probs, 1)
            largest = np.abs(shown).max() or 1.0
            norm, bar = Normalize(-largest, largest), {"label": "change in transition probability"}
        diagonal = np.eye(n_syllables, dtype=bool)
        if n_syllables > 1 and not probs[:, diagonal].any():  # syllables are held
            shown = np.ma.masked_array(shown, np.broadcast_to(diagonal, shown.shape))
            colors = colors.with_extremes(bad=_figures.MISSING_COLOR)

        n_rows = 1 if n_states <= 3 else max(2, round(math.sqrt(n_states / 2)))
        n_columns = -(-n_states // n_rows)
        side = min(2.4, 1.7 + 0.007 * n_syllables)
        size = (side * n_columns + 1.6, (side + 0.3) * n_rows + 0.6)
        self.figure_, self.axes_ = _figures.figure_and_panels(ax, n_states, n_columns, size)
        self.ax_ = self.axes_[0]
        # Only panels that were arranged here have a neighbour with the same axis.
        own_grid = not _figures.is_array_of_axes(ax)
        panel_inches = self.ax_.get_window_extent().width / self.figure_.dpi
        label_size = "medium" if panel_inches > 1.2 else "x-small"
        unused = find_unused(usage)
        self.images_ = []
        for state, panel in enumerate(self.axes_):
            image = panel.imshow(shown[state], cmap=colors, norm=norm, interpolation="nearest")
            self.images_.append(image)
            color = {"color": _figures.UNUSED_COLOR} if unused[state] else {}
            panel.set_title(names[state], fontsize="medium", **color, **_figures.LITERAL)
            _heat_maps.label_cells(panel, n_syllables, max_labels=6)
            panel.tick_params(labelsize=label_size)
            if own_grid and state + n_columns < n_states:
                panel.tick_params(labelbottom=False)
            else:
                panel.set_xlabel("to syllable", fontsize=label_size)
            if own_grid and state % n_columns > 0:
                panel.tick_params(labelleft=False)
            else:
                panel.set_ylabel("from syllable", fontsize=label_size)
        self.figure_.colorbar(self.images_[0], ax=list(self.axes_), aspect=25, **bar)
        return self


def _probability_colors(probs, color_scale):
    """Return the matplotlib norm of probabilities, and properties of its colour bar.

    Scales end at 1 unless they are linear and all probabilities are small, so the tick at their
    end is above the largest probability. The bar is pointed if there are smaller probabilities.
    """
    _figures.import_pyplot()
    from matplotlib.colors import LogNorm, Normalize

    check_option(color_scale, "color_scale", ("log", "linear"))
    if color_scale == "linear":
        norm = Normalize(0.0, 1.0 if probs.max() > 0.5 else probs.max())
    else:
        # probabilities below 1e-4 share one colour
        smallest = 10.0 ** math.floor(math.log10(probs[probs > 0].min()))
        norm = LogNorm(min(max(smallest, 1e-4), 0.1), 1.0, clip=True)
    extend = "min" if probs.min() < norm.vmin else "neither"
    return norm, {"label": "transition probability", "extend": extend}


def _informative_decimals(trans_probs):
    """Return how many decimals show the typical transition to another state, 2 to 4."""
    others = trans_probs[~np.eye(len(trans_probs), dtype=bool)]
    others = others[others > 0]
    if not others.size:
        return 2
    return min(4, max(2, math.ceil(-math.log10(np.median(others)))))
