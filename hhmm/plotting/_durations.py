"""Display of how long states last, beside what the model expects."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from hhmm._sequences.read import check_n_states, read_runs
from hhmm._validation import check_frame_rate, check_option
from hhmm.estimator import EfficientHHMM
from hhmm.metrics import state_usage
from hhmm.plotting import _figures, _states

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DASHED: dict[str, Any] = {"linestyle": (0, (3, 2)), "linewidth": 1.0}


@dataclass(eq=False, repr=False)
class DurationDisplay:
    """Survival curves of state durations: the fraction of bouts that last at least so long.

    A bout is a longest run of a state. Bouts are left out if their beginning was not observed,
    because they are at the beginning of a recording or follow a timestep without a state. Bouts
    whose end was not observed are censored observations of the Kaplan-Meier estimate [1]_. To
    leave them out would favour short bouts.

    Under the model, durations are geometric: a bout continues for another timestep with
    probability A[k, k]. Dashed lines show this expectation.

    States that take less than 1% of the time are grey.

    Parameters
    ----------
    durations : list of n_states arrays of shape (n_bouts_k,)
        Durations of the bouts of each state, in timesteps.
    ended : list of n_states arrays of shape (n_bouts_k,), bool, default=None
        True if the end of a bout was observed; all True if None.
    trans_probs : array of shape (n_states, n_states), default=None
        Transition probabilities A, for the dashed lines.
    state_names : list of n_states str, default=None
        Names of the states; "state 0" and so on if None.
    frame_rate : float, default=None
        Timesteps per second, for an axis in units of time.
    usage : array of shape (n_states,), default=None
        Fraction of time in each state. If None, it is that of the bouts in `durations`.

    Attributes
    ----------
    lines_ : list of n_states matplotlib Line2D, or None for a state without a bout
        Fraction of bouts that last at least as long as the duration on the x axis.
    expected_lines_ : list of n_states matplotlib Line2D, or None
        The dashed lines.
    legend_ : matplotlib Legend
        The colours of the states.
    ax_, figure_ : matplotlib Axes and Figure

    See Also
    --------
    hhmm.metrics.state_durations : The durations as numbers.
    hhmm.model_checks.posterior_predictive_check : Test if they differ by more than chance.

    References
    ----------
    .. [1] Kaplan, E. L. and Meier, P. (1958). Nonparametric estimation from incomplete
       observations. Journal of the American Statistical Association, 53(282), 457-481.

    Examples
    --------
    >>> from hhmm.plotting import DurationDisplay
    >>> display = DurationDisplay.from_predictions([0, 1, 1, 0, 0, 0, 1, 0, 1])
    >>> display.durations
    [array([3, 1]), array([2, 1, 1])]
    >>> display.ended
    [array([ True,  True]), array([ True,  True, False])]
    >>> display.lines_[0].get_xydata()[1:]
    array([[1. , 1. ],
           [3. , 0.5]])
    """

    durations: Sequence[ArrayLike]
    _: KW_ONLY
    ended: Sequence[ArrayLike] | None = None
    trans_probs: ArrayLike | None = None
    state_names: Sequence[str] | None = None
    frame_rate: float | None = None
    usage: ArrayLike | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: EfficientHHMM,
        X: ArrayLike,
        *,
        model_groups: ArrayLike | None = None,
        kind: str = "sampled",
        state_names: Sequence[str] | None = None,
        frame_rate: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Infer states and plot how long they last, with the expectation of the model.

        Parameters
        ----------
        estimator : fitted EfficientHHMM
        X : array of shape (n_sequences, n_timesteps) or list of arrays
            Syllables, in any form that the estimator takes.
        model_groups : array-like of shape (n_sequences,) or data frame, default=None
            ``groups`` of `EfficientHHMM.predict`, if the model was fitted with groups.
        kind : {"sampled", "viterbi"}, default="sampled"
            One draw of the states from their posterior, or the most probable path. If the model
            is true, durations of a draw follow the dashed lines. The most probable path has
            fewer short bouts.
        state_names, frame_rate
            See the class; by default those of the estimator.
        random_state : int, RandomState instance or None, default=None
            Seed of "sampled".
        ax : matplotlib Axes, default=None
            See `plot`.

        Returns
        -------
        display : DurationDisplay
        """
        _figures.check_has(estimator, "trans_probs_")
        check_option(kind, "kind", ("sampled", "viterbi"))
        if kind == "sampled":
            states = estimator.sample_states(X, groups=model_groups, random_state=random_state)
        else:
            states = estimator.predict(X, groups=model_groups)
        return cls.from_predictions(
            states,
            trans_probs=estimator.trans_probs_,
            n_states=len(estimator.trans_probs_),
            state_names=_states.names_of(estimator, state_names),
            frame_rate=_states.frame_rate_of(estimator, frame_rate),
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        states: ArrayLike,
        *,
        trans_probs: ArrayLike | None = None,
        n_states: int | None = None,
        state_names: Sequence[str] | None = None,
        frame_rate: float | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Measure how long states last and plot.

        Parameters
        ----------
        states : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
                or list of arrays of shape (n_timesteps_i,)
            States, integers. A negative timestep cuts a bout: its end was not observed.
        n_states : int, default=None
            Number of states; the largest label plus one if None.
        trans_probs, state_names, frame_rate, ax
            See the class and `plot`.

        Returns
        -------
        display : DurationDisplay

        Warns
        -----
        UserWarning
            If all states last more than three times as long as `trans_probs` expects, or less than
            a third: `states` and `trans_probs` may be on different clocks.
        """
        sequences = read_runs(states, "states")
        n_states = check_n_states(n_states, sequences)
        bouts = sequences.find_bouts()
        kept = bouts.is_observed & bouts.has_begin
        if not kept.any():
            raise ValueError(
                "states must change within a recording, but no state begins in one. There are no "
                "durations to draw."
            )
        by_state = [kept & (bouts.values == state) for state in range(n_states)]
        if trans_probs is not None:
            _warn_of_clocks([bouts.n_timesteps[which] for which in by_state], trans_probs)
        return cls(
            [bouts.n_timesteps[which] for which in by_state],
            ended=[bouts.has_end[which] for which in by_state],
            trans_probs=trans_probs,
            state_names=state_names,
            frame_rate=frame_rate,
            usage=state_usage(states, n_states=n_states),
        ).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in; a new figure if None.

        Returns
        -------
        self : DurationDisplay
        """
        durations = [np.asarray(part) for part in self.durations]
        ended = self.ended
        if ended is None:
            ended = [np.ones(part.shape, dtype=bool) for part in durations]
        n_states = len(durations)
        usage = self.usage
        if usage is None:
            usage = np.array([part.sum() for part in durations])
        names = _states.check_state_names(self.state_names, n_states, default="state {}")
        shortest = min(int(part.min()) for part in durations if part.size)
        longest = max(int(part.max()) for part in durations if part.size)
        unit = 1.0
        if self.frame_rate is not None:
            unit = 1 / check_frame_rate(self.frame_rate)

        self.figure_, self.ax_ = _figures.figure_and_axes(ax, (3.4, 3.0))
        smallest = 1.0
        self.lines_: list[Any] = []
        self.expected_lines_: list[Any] | None = None if self.trans_probs is None else []
        for state, color in enumerate(_figures.state_colors(n_states, usage)):
            self.lines_.append(None)
            if durations[state].size:
                x, survival = _survival(durations[state], ended[state])
                smallest = min(smallest, survival.min())
                (self.lines_[-1],) = self.ax_.plot(
                    unit * x, survival, color=color, drawstyle="steps-pre"
                )
                self.lines_[-1].set_label(names[state])  # `plot` would replace an empty name
            if self.expected_lines_ is not None:
                x = np.geomspace(1, longest, 200)
                expected = np.asarray(self.trans_probs)[state, state] ** (x - 1)
                self.expected_lines_ += self.ax_.plot(unit * x, expected, color=color, **_DASHED)
        # a curve falls by one bout at a time: below half of the last one there is nothing
        self.ax_.set(xscale="log", yscale="log", ylim=(0.5 * smallest, 1.25))
        self.ax_.set(xlim=(unit * shortest * 0.9, unit * longest * 1.15))
        self.ax_.set(xlabel="duration (timesteps)", ylabel="fraction at least as long")
        _figures.finish_log_axes(self.ax_)
        if self.frame_rate is not None:
            _figures.finish_duration_axis(self.ax_, "duration")
        handles = [line for line in self.lines_ if line is not None]
        if self.expected_lines_ is not None:
            handles += self.ax_.plot([], [], color="0.3", label="geometric", **_DASHED)
        self.legend_ = _figures.legend_above(self.ax_, handles)
        return self


def _warn_of_clocks(durations, trans_probs):
    """Warn if no state lasts nearly as long as the model expects, and all differ in one way."""
    measured = np.array([part.mean() if part.size >= 5 else np.nan for part in durations])
    with np.errstate(divide="ignore"):
        expected = 1 / (1 - np.diagonal(np.asarray(trans_probs, dtype=float)))
    ratios = measured / expected
    ratios = ratios[np.isfinite(ratios)]
    if not ratios.size or (ratios.min() <= 3 and ratios.max() >= 1 / 3):
        return
    warnings.warn(
        f"States last {np.median(ratios):.2g} times as long as trans_probs expects. If states are "
        "on the clock of frames and trans_probs on that of syllables, leave trans_probs out, or "
        "give the states of model.predict(X) for the X of the fit.",
        stacklevel=3,
    )


def _survival(durations, ended):
    """Return 0 and the durations that occur, increasing, and the fractions at least as long.

    The fractions are the Kaplan-Meier estimate. Both are of shape (n_distinct + 1,).
    """
    from scipy.stats import CensoredData, ecdf

    function = ecdf(CensoredData.right_censored(durations, np.logical_not(ended))).sf
    # scipy's is the fraction that lasts longer, so that of at least the next duration
    survival = np.concatenate([[1.0, 1.0], function.probabilities[:-1]])
    return np.append(0.0, function.quantiles), survival
