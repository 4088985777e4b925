"""Display of the transitions between states as a graph."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar

from hhmm._sequences.read import check_n_states, read_runs
from hhmm.estimator import EfficientHHMM
from hhmm.metrics import state_transitions, state_usage
from hhmm.plotting import _figures, _states

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(eq=False, repr=False)
class StateGraphDisplay:
    """Graph of the transitions between states: states are circles, transitions are arrows.

    The area of a circle is the time in its state, above a smallest area. The width and the
    darkness of an arrow are the probability of the state at its head when the state at its tail
    ends. Staying in a state is left out, because it would hide all else in a sticky model. States
    that take less than 1% of the time are left out too, unless ``unused_states=True`` is given.

    Parameters
    ----------
    trans_probs : array of shape (n_states, n_states)
        Transition probabilities A, from state (row) to state (column), or counts of
        transitions. The diagonal is not used.
    usage : array of shape (n_states,), default=None
        Fraction of time in each state; equal if None.
    state_names : list of n_states str, default=None
        Names of the states, beside the circles; numbers in the circles if None.

    Attributes
    ----------
    next_probs_ : ndarray of shape (n_states, n_states)
        Probability of each next state when a state ends. Rows sum to 1, or to 0 if a state never
        ends. All states are included.
    states_ : ndarray of shape (n_drawn,), int64
        The states that are drawn.
    circles_ : list of n_states matplotlib Circle, or None for a state that is left out
        The states, clockwise from the top.
    arrows_ : dict of matplotlib FancyArrowPatch
        The arrow of each pair of states that has one, ``arrows_[i, j]`` from i to j.
    legend_ : matplotlib Legend
        Widths of arrows and their probabilities.
    ax_, figure_ : matplotlib Axes and Figure

    See Also
    --------
    StateTransitionDisplay : All transition probabilities, as a heat map.

    Examples
    --------
    >>> from hhmm.plotting import StateGraphDisplay
    >>> display = StateGraphDisplay.from_predictions([0, 0, 1, 2, 1, 0])
    >>> display.trans_probs
    array([[1, 1, 0],
           [1, 0, 1],
           [0, 1, 0]])
    >>> display.next_probs_
    array([[0. , 1. , 0. ],
           [0.5, 0. , 0.5],
           [0. , 1. , 0. ]])
    >>> sorted(display.arrows_)
    [(0, 1), (1, 0), (1, 2), (2, 1)]
    """

    trans_probs: ArrayLike
    _: KW_ONLY
    usage: ArrayLike | None = None
    state_names: Sequence[str] | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: EfficientHHMM,
        X: ArrayLike | None = None,
        *,
        model_groups: ArrayLike | None = None,
        state_names: Sequence[str] | None = None,
        ax: Axes | None = None,
        min_probability: float = 0.1,
        unused_states: bool = False,
    ) -> Self:
        """Plot ``estimator.trans_probs_``.

        Parameters
        ----------
        estimator : fitted EfficientHHMM
        X : array of shape (n_sequences, n_timesteps) or list of arrays, default=None
            Syllables on which the time in each state is measured, with ``estimator.predict(X)``.
            If None, it is that of ``estimator.states_``. For a model made from parameters it is
            the stationary distribution.
        model_groups : array-like of shape (n_sequences,) or data frame, default=None
            ``groups`` of `EfficientHHMM.predict`, if the model was fitted with groups.
        state_names, ax, min_probability, unused_states
            See the class and `plot`; `state_names` are by default those of the estimator.

        Returns
        -------
        display : StateGraphDisplay
        """
        _figures.check_has(estimator, "trans_probs_")
        usage = _states.usage_of(estimator, X, model_groups)
        names = _states.names_of(estimator, state_names)
        return cls(estimator.trans_probs_, usage=usage, state_names=names).plot(
            ax, min_probability=min_probability, unused_states=unused_states
        )

    @classmethod
    def from_predictions(
        cls,
        states: ArrayLike,
        *,
        n_states: int | None = None,
        state_names: Sequence[str] | None = None,
        ax: Axes | None = None,
        min_probability: float = 0.1,
        unused_states: bool = False,
    ) -> Self:
        """Count the transitions of given states and plot.

        Parameters
        ----------
        states : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
                or list of arrays of shape (n_timesteps_i,)
            States, integers; negative timesteps have no state.
        n_states : int, default=None
            Number of states; the largest label plus one if None.
        state_names, ax, min_probability, unused_states
            See the class and `plot`.

        Returns
        -------
        display : StateGraphDisplay
        """
        sequences = read_runs(states, "states")
        n_states = check_n_states(n_states, sequences)
        if not (sequences.labels >= 0).any():
            raise ValueError(
                "states must hold a state (an integer >= 0), got none in "
                f"{sequences.lengths.sum()} timesteps."
            )
        _states.check_few_states(n_states)  # before their pairs are counted
        counts = state_transitions(states, n_states=n_states)
        usage = state_usage(states, n_states=n_states)
        return cls(counts, usage=usage, state_names=state_names).plot(
            ax, min_probability=min_probability, unused_states=unused_states
        )

    def plot(
        self, ax: Axes | None = None, *, min_probability: float = 0.1, unused_states: bool = False
    ) -> Self:
        """Draw the graph.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in; a new figure if None.
        min_probability : float, default=0.1
            Arrows of smaller probability are left out.
        unused_states : bool, default=False
            True draws states that take less than 1% of the time, in grey. False leaves them out,
            and a note says how many.

        Returns
        -------
        self : StateGraphDisplay
        """
        _figures.import_pyplot()
        from matplotlib.lines import Line2D
        from matplotlib.patches import Circle, FancyArrowPatch

        others = np.array(self.trans_probs, dtype=float)
        np.fill_diagonal(others, 0.0)
        totals = others.sum(axis=1, keepdims=True)
        self.next_probs_ = others / np.where(totals > 0, totals, 1.0)
        n_states = len(others)
        usage = _states.usage_or_equal(self.usage, n_states)
        names = _states.check_state_names(self.state_names, n_states)
        check_scalar(min_probability, "min_probability", Real, min_val=0, max_val=1)
        self.states_ = _states.drawn_states(usage, unused_states)
        self.figure_, self.ax_ = _figures.figure_and_axes(ax, (3.4, 3.4))
        n_drawn = self.states_.size
        angles = math.pi / 2 - 2 * math.pi * np.arange(n_drawn) / n_drawn
        centers = np.column_stack([np.cos(angles), np.sin(angles)])
        largest = min(0.36, 0.62 * math.sin(math.pi / n_drawn)) if n_drawn > 1 else 0.36
        radii = largest * np.sqrt(np.maximum(usage[self.states_] / usage.max(), 0.09))

        colors = _figures.state_colors(n_states, usage)
        self.circles_: list[Any] = [None] * n_states
        for state, center, radius in zip(self.states_, centers, radii, strict=True):
            circle = Circle(center, radius, facecolor=colors[state], edgecolor="white", zorder=3)
            self.circles_[state] = self.ax_.add_patch(circle)
            if self.state_names is None:
                style = {"color": _figures.text_color(circle.get_facecolor()[:3]), "zorder": 4}
                self.ax_.text(*center, names[state], ha="center", va="center", **style)
            else:
                x, y = center * (1 + radius + 0.08)
                ha = "center" if abs(center[0]) < 0.3 else ("left" if center[0] > 0 else "right")
                va = "center" if abs(center[1]) < 0.3 else ("bottom" if center[1] > 0 else "top")
                self.ax_.text(x, y, names[state], ha=ha, va=va, **_figures.LITERAL)
        self.arrows_ = {}
        for i, j in itertools.product(self.states_.tolist(), repeat=2):
            probability = self.next_probs_[i, j]
            if probability == 0 or probability < min_probability:
                continue
            arrow = FancyArrowPatch(
                self.circles_[i].center,
                self.circles_[j].center,
                connectionstyle="arc3,rad=0.16",
                arrowstyle="-|>",
                mutation_scale=7 + 7 * probability,
                patchA=self.circles_[i],
                patchB=self.circles_[j],
                shrinkA=1.0,
                shrinkB=1.0,
                zorder=1 + probability,
                **_arrow_style(probability),
            )
            self.arrows_[i, j] = self.ax_.add_patch(arrow)
        if n_drawn < n_states:
            note = self.ax_.text(0.5, 0.0, _states.left_out_note(n_states - n_drawn))
            note.set(transform=self.ax_.transAxes, ha="center", va="top", fontsize="small")
        reach = 1.05 + radii.max()
        above = reach if self.state_names is None else reach + 0.25  # room for the names
        self.ax_.set(xlim=(-reach, reach), ylim=(-above, above))
        self.ax_.set_aspect("equal")
        self.ax_.set_axis_off()
        key = [Line2D([], [], label=f"{p:g}", **_arrow_style(p)) for p in (0.1, 0.5, 1.0)]
        self.legend_ = _figures.legend_above(self.ax_, key, title="probability of the next state")
        return self


def _arrow_style(probability):
    """Return the colour of an arrow, and its width in points."""
    color = str(round(0.65 - 0.5 * probability, 3))
    return {"color": color, "linewidth": 0.4 + 2.6 * probability}
