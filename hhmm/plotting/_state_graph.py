"""Display of the transitions between states as a graph."""

import math
from numbers import Real

import numpy as np

from hhmm._conversions import shorten, to_array
from hhmm._inference.draws import stationary_distribution
from hhmm._lagged_information import lay_out, pair_counts
from hhmm._states import check_n_states, read_states
from hhmm.metrics import state_usage
from hhmm.plotting._figures import (
    LITERAL,
    check_has,
    figure_and_axes,
    import_pyplot,
    legend_above,
    state_colors,
)
from hhmm.plotting._heat_maps import as_matrix
from hhmm.plotting._states import check_few_states, check_state_names, text_color

_KEY = (0.1, 0.5, 1.0)  # probabilities that the legend shows the width of


class StateGraphDisplay:
    """Which state follows which: states as circles, transitions as arrows.

    The area of a circle is the time spent in its state, but for a smallest one. The width and
    the darkness of an arrow are the probability that the state at its tail is followed by the
    state at its head when it ends: staying, which would hide all else in a sticky model, is
    left out.

    Parameters
    ----------
    trans_probs : array of shape (n_states, n_states)
        Transition probabilities A, from state (row) to state (column), or counts of
        transitions. The diagonal is not used.

    usage : array of shape (n_states,), default=None
        Fraction of time in each state; equal if None.

    state_names : list of n_states str, default=None
        Names of the states, written beside the circles; numbers, in the circles, if None.

    Attributes
    ----------
    next_probs_ : ndarray of shape (n_states, n_states)
        Probability of each next state when a state ends; rows sum to 1, or to 0 for a state that
        never ends.

    circles_ : list of n_states matplotlib Circle
        The states, clockwise from the top.

    arrows_ : dict of matplotlib FancyArrowPatch
        The arrow of each pair of states that has one, ``arrows_[i, j]`` from i to j.

    legend_ : matplotlib Legend
        What widths and areas mean.

    ax_ : matplotlib Axes
        The axes that were drawn in.

    figure_ : matplotlib Figure
        The figure they belong to.

    See Also
    --------
    StateTransitionDisplay : All transition probabilities, as a heat map.

    Examples
    --------
    >>> from hhmm.plotting import StateGraphDisplay
    >>> display = StateGraphDisplay([[0.9, 0.1, 0], [0.02, 0.96, 0.02], [0, 0.5, 0.5]]).plot()
    >>> display.next_probs_
    array([[0. , 1. , 0. ],
           [0.5, 0. , 0.5],
           [0. , 1. , 0. ]])
    >>> sorted(display.arrows_)
    [(0, 1), (1, 0), (1, 2), (2, 1)]
    """

    def __init__(self, trans_probs, *, usage=None, state_names=None):
        self.trans_probs = trans_probs
        self.usage = usage
        self.state_names = state_names

    @classmethod
    def from_estimator(cls, estimator, X=None, *, state_names=None, ax=None, min_probability=0.1):
        """Plot ``estimator.trans_probs_``.

        Parameters
        ----------
        estimator : EfficientHHMM
            A fitted model.

        X : array of shape (n_sequences, n_timesteps) or list of arrays, default=None
            Syllables to measure the time in each state on, by ``estimator.predict(X)``. If None,
            it is what the transition probabilities lead to in the long run.

        state_names
            See the class.

        ax, min_probability
            See `plot`.

        Returns
        -------
        display : StateGraphDisplay

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> from hhmm.datasets import make_hhmm
        >>> from hhmm.plotting import StateGraphDisplay
        >>> data = make_hhmm(4, 100, n_states=3, n_syllables=4, random_state=0)
        >>> model = EfficientHHMM.from_params(
        ...     data.emission_base, data.emission_biases, data.trans_probs
        ... )
        >>> display = StateGraphDisplay.from_estimator(model)
        >>> len(display.circles_)
        3
        """
        check_has(estimator, "trans_probs_")
        import_pyplot()
        trans_probs = estimator.trans_probs_
        if X is None:
            usage = stationary_distribution(trans_probs)
        else:
            usage = state_usage(estimator.predict(X), n_states=len(trans_probs))
        return cls(trans_probs, usage=usage, state_names=state_names).plot(
            ax, min_probability=min_probability
        )

    @classmethod
    def from_predictions(
        cls, states, *, n_states=None, state_names=None, ax=None, min_probability=0.1
    ):
        """Count the transitions of given states and plot.

        Parameters
        ----------
        states : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
                or list of arrays of shape (n_timesteps_i,)
            States, integers; negative where there is none.

        n_states : int, default=None
            Number of states; the largest label plus one if None.

        state_names
            See the class.

        ax, min_probability
            See `plot`.

        Returns
        -------
        display : StateGraphDisplay

        Examples
        --------
        >>> from hhmm.plotting import StateGraphDisplay
        >>> display = StateGraphDisplay.from_predictions([0, 0, 1, 2, 1, 0])
        >>> display.trans_probs
        array([[1, 1, 0],
               [1, 0, 1],
               [0, 1, 0]])
        """
        sequences = read_states(states, "states")
        n_states = check_n_states(n_states, sequences)
        if not (sequences.states >= 0).any():
            raise ValueError(
                "states must hold a state (an integer >= 0), got none in "
                f"{sequences.states.size} timesteps"
            )
        check_few_states(n_states)  # before their pairs are counted
        counts = pair_counts(lay_out(sequences.states, sequences.lengths, n_states), 1)
        usage = state_usage(states, n_states=n_states)
        return cls(counts, usage=usage, state_names=state_names).plot(
            ax, min_probability=min_probability
        )

    def plot(self, ax=None, *, min_probability=0.1):
        """Draw the graph.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        min_probability : float, default=0.1
            Arrows of smaller probability are left out.

        Returns
        -------
        self : StateGraphDisplay
        """
        plt = import_pyplot()
        from matplotlib.lines import Line2D
        from matplotlib.patches import Circle, FancyArrowPatch

        usage = self._checked_usage()
        n_states = len(usage)
        names = check_state_names(self.state_names, n_states, default="{}")
        if not isinstance(min_probability, Real):
            raise TypeError(f"min_probability must be a number, got {shorten(min_probability)}")
        if not 0 <= min_probability <= 1:
            raise ValueError(
                f"min_probability must be between 0 and 1, got {shorten(min_probability)}"
            )
        self.figure_, self.ax_ = figure_and_axes(plt, ax, (3.4, 3.4))
        angles = math.pi / 2 - 2 * math.pi * np.arange(n_states) / n_states
        centers = np.column_stack([np.cos(angles), np.sin(angles)])
        largest = min(0.36, 0.62 * math.sin(math.pi / n_states)) if n_states > 1 else 0.36
        radii = largest * np.sqrt(np.maximum(usage / usage.max(), 0.09))

        self.circles_ = []
        for center, radius, color in zip(centers, radii, state_colors(plt, n_states), strict=True):
            circle = Circle(center, radius, facecolor=color, edgecolor="white", zorder=3)
            self.circles_.append(self.ax_.add_patch(circle))
        self.arrows_ = {}
        for i, j in np.ndindex(n_states, n_states):
            probability = self.next_probs_[i, j]
            if probability == 0 or probability < min_probability:
                continue
            arrow = FancyArrowPatch(
                centers[i],
                centers[j],
                connectionstyle="arc3,rad=0.16",
                arrowstyle="-|>",
                mutation_scale=7 + 7 * probability,
                patchA=self.circles_[i],
                patchB=self.circles_[j],
                shrinkA=1.0,
                shrinkB=1.0,
                color=_gray(probability),
                linewidth=_line_width(probability),
                zorder=1 + probability,
            )
            self.arrows_[i, j] = self.ax_.add_patch(arrow)
        self._label(names, centers, radii)
        self.ax_.set_aspect("equal")
        self.ax_.set_axis_off()
        key = [
            Line2D([], [], color=_gray(p), linewidth=_line_width(p), label=f"{p:g}") for p in _KEY
        ]
        self.legend_ = legend_above(self.ax_, key, title="probability of the next state")
        return self

    def _checked_usage(self):
        """Sets `next_probs_`; returns the usage (n_states,)."""
        probs = as_matrix(self.trans_probs, "trans_probs")
        if (probs < 0).any():
            raise ValueError(
                "trans_probs must hold probabilities or counts, got values from "
                f"{probs.min():g} to {probs.max():g}"
            )
        expectation = f"usage must hold {len(probs)} fractions of time, not all of them 0"
        usage = np.ones(len(probs))
        if self.usage is not None:
            usage = to_array(self.usage, expectation, float)
        fractions = np.isfinite(usage) & (usage >= 0)
        if usage.shape != (len(probs),) or not fractions.all() or not usage.any():
            raise ValueError(f"{expectation}, got {shorten(usage)}")
        others = probs * (1 - np.eye(len(probs)))
        totals = others.sum(axis=1, keepdims=True)
        self.next_probs_ = np.divide(others, totals, out=np.zeros_like(others), where=totals > 0)
        return usage

    def _label(self, names, centers, radii):
        """Names beside the circles, or numbers in them; limits that leave room for them."""
        for name, center, radius, circle in zip(names, centers, radii, self.circles_, strict=True):
            if self.state_names is None:
                color = text_color(circle.get_facecolor())
                self.ax_.text(*center, name, ha="center", va="center", color=color, zorder=4)
                continue
            x, y = center * (1 + radius + 0.08)
            ha = "center" if abs(center[0]) < 0.3 else ("left" if center[0] > 0 else "right")
            va = "center" if abs(center[1]) < 0.3 else ("bottom" if center[1] > 0 else "top")
            self.ax_.text(x, y, name, ha=ha, va=va, **LITERAL)
        reach = 1.05 + radii.max()
        above = reach if self.state_names is None else reach + 0.25
        self.ax_.set(xlim=(-reach, reach), ylim=(-above, above))


def _line_width(probability):
    """Points."""
    return 0.4 + 2.6 * probability


def _gray(probability):
    return str(round(0.65 - 0.5 * probability, 3))
