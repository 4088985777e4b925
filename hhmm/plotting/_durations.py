"""Display of how long states last, beside what the model expects."""

import math

import numpy as np

from hhmm._sequences.read import check_n_states, read_states
from hhmm._validation import check_option, shorten, to_array, to_list
from hhmm.metrics import state_usage
from hhmm.plotting._figures import (
    check_has,
    figure_and_axes,
    import_pyplot,
    legend_above,
    state_colors,
)
from hhmm.plotting._heat_maps import check_probabilities
from hhmm.plotting._states import check_state_names, check_usage, time_unit


class DurationDisplay:
    """Survival curves of state durations: which fraction of bouts lasts at least so long.

    A bout is a longest run of a state. Bouts whose beginning was not seen, at the beginning of
    a recording or after a timestep without a state, are left out. Bouts whose end was not seen
    count for as long as they were seen, by the estimate of Kaplan and Meier [1]_: to leave
    them out would be to leave out long ones in particular.

    In the model, durations are geometric: with probability A[k, k] a bout goes on for another
    timestep. Dashed lines show that expectation.

    States that take less than 1% of the time are grey.

    Parameters
    ----------
    durations : list of n_states arrays of shape (n_bouts_k,)
        Durations of the bouts of each state, timesteps.

    ended : list of n_states arrays of shape (n_bouts_k,), bool, default=None
        Whether the end of each bout was seen; all if None.

    trans_probs : array of shape (n_states, n_states), default=None
        Transition probabilities A, for the dashed lines.

    state_names : list of n_states str, default=None
        Names of the states; "state 0" and so on if None.

    frame_rate : float, default=None
        Timesteps a second, for an axis in seconds, minutes or hours.

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

    ax_ : matplotlib Axes
        The axes that were drawn in.

    figure_ : matplotlib Figure
        The figure they belong to.

    See Also
    --------
    hhmm.metrics.state_durations : The durations as numbers.
    hhmm.model_checks.posterior_predictive_check : Whether they differ by more than chance.

    References
    ----------
    .. [1] Kaplan, E. L. and Meier, P. (1958). Nonparametric estimation from incomplete
       observations. Journal of the American Statistical Association, 53(282), 457-481.

    Examples
    --------
    >>> from hhmm.plotting import DurationDisplay
    >>> display = DurationDisplay([[1, 3, 3, 8], [2, 5]]).plot()
    >>> display.lines_[0].get_xydata()[1:]
    array([[1.  , 1.  ],
           [3.  , 0.75],
           [8.  , 0.25]])
    """

    def __init__(
        self,
        durations,
        *,
        ended=None,
        trans_probs=None,
        state_names=None,
        frame_rate=None,
        usage=None,
    ):
        self.durations = durations
        self.ended = ended
        self.trans_probs = trans_probs
        self.state_names = state_names
        self.frame_rate = frame_rate
        self.usage = usage

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        kind="sampled",
        state_names=None,
        frame_rate=None,
        random_state=None,
        ax=None,
    ):
        """Infer states and plot how long they last, with what the model expects.

        Parameters
        ----------
        estimator : EfficientHHMM
            A fitted model.

        X : array of shape (n_sequences, n_timesteps) or list of arrays
            Syllables, in any form that the estimator takes.

        kind : {"sampled", "viterbi"}, default="sampled"
            One draw of the states from their posterior, or the best path. If the model is
            true, durations of a draw follow the dashed lines; the best path goes through
            short bouts and has fewer of them.

        state_names, frame_rate
            See the class.

        random_state : int, RandomState instance or None, default=None
            Seed of "sampled".

        ax : matplotlib Axes, default=None
            See `plot`.

        Returns
        -------
        display : DurationDisplay

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> from hhmm.datasets import make_hhmm
        >>> from hhmm.plotting import DurationDisplay
        >>> data = make_hhmm(4, 100, n_states=2, n_syllables=4, random_state=0)
        >>> model = EfficientHHMM.from_params(
        ...     data.emission_base, data.emission_biases, data.trans_probs
        ... )
        >>> display = DurationDisplay.from_estimator(model, data.X, random_state=0)
        >>> display.ax_.get_xlabel()
        'duration (timesteps)'
        """
        check_has(estimator, "trans_probs_")
        import_pyplot()
        check_option(kind, "kind", ("sampled", "viterbi"))
        if kind == "sampled":
            states = estimator.sample_states(X, random_state=random_state)
        else:
            states = estimator.predict(X)
        return cls.from_predictions(
            states,
            trans_probs=estimator.trans_probs_,
            n_states=len(estimator.trans_probs_),
            state_names=state_names,
            frame_rate=frame_rate,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls, states, *, trans_probs=None, n_states=None, state_names=None, frame_rate=None, ax=None
    ):
        """Measure how long states last and plot.

        Parameters
        ----------
        states : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
                or list of arrays of shape (n_timesteps_i,)
            States, integers; a negative timestep ends a bout without its end being seen.

        trans_probs, state_names, frame_rate
            See the class.

        n_states : int, default=None
            Number of states; the largest label plus one if None.

        ax : matplotlib Axes, default=None
            See `plot`.

        Returns
        -------
        display : DurationDisplay

        Examples
        --------
        >>> from hhmm.plotting import DurationDisplay
        >>> display = DurationDisplay.from_predictions([0, 1, 1, 0, 0, 0, 1])
        >>> display.durations
        [array([3]), array([2, 1])]
        >>> display.ended
        [array([ True]), array([ True, False])]
        """
        sequences = read_states(states, "states")
        n_states = check_n_states(n_states, sequences)
        durations, ended = _bouts_from_their_beginning(sequences, n_states)
        return cls(
            durations,
            ended=ended,
            trans_probs=trans_probs,
            state_names=state_names,
            frame_rate=frame_rate,
            usage=state_usage(states, n_states=n_states),
        ).plot(ax)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        self : DurationDisplay
        """
        plt = import_pyplot()
        durations, ended, trans_probs = self._checked()
        n_states = len(durations)
        usage = np.array([part.sum() for part in durations])
        if self.usage is not None:
            usage = check_usage(self.usage, n_states)
        names = check_state_names(self.state_names, n_states, default="state {}")
        longest = max(int(part.max()) for part in durations if part.size)
        unit, unit_name = time_unit(longest, self.frame_rate)

        self.figure_, self.ax_ = figure_and_axes(plt, ax, (3.4, 3.0))
        smallest = 1.0
        self.lines_, self.expected_lines_ = [], None if trans_probs is None else []
        for state, color in enumerate(state_colors(plt, n_states, usage)):
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
                expected = trans_probs[state, state] ** (x - 1)
                self.expected_lines_ += self.ax_.plot(
                    unit * x, expected, color=color, linestyle=(0, (3, 2)), linewidth=1.0
                )
        # a curve falls by one bout at a time: below half of the last one there is nothing
        self.ax_.set(xscale="log", yscale="log", ylim=(0.5 * smallest, 1.25))
        self.ax_.set(xlim=(unit * 0.9, unit * longest * 1.15))
        self.ax_.set(xlabel=f"duration ({unit_name})", ylabel="fraction at least as long")
        _plain_numbers(self.ax_.xaxis)
        _plain_numbers(self.ax_.yaxis)
        self.ax_.spines[["right", "top"]].set_visible(False)
        handles = [line for line in self.lines_ if line is not None]
        if self.expected_lines_ is not None:
            handles += self.ax_.plot(
                [], [], color="0.3", linestyle=(0, (3, 2)), linewidth=1.0, label="geometric"
            )
        self.legend_ = legend_above(self.ax_, handles)
        return self

    def _checked(self):
        """Durations and whether bouts ended, lists of n_states arrays, and `trans_probs`."""
        expectation = "durations must be 1-D arrays of timesteps >= 1"
        durations = [
            to_array(part, f"{expectation}, of state {state}", float)
            for state, part in enumerate(to_list(self.durations, f"{expectation}, one a state"))
        ]
        trans_probs = None
        if self.ended is None:
            ended = [np.ones(part.shape, dtype=bool) for part in durations]
        else:
            expectation_ended = "ended must have an entry for each of durations"
            ended = [
                to_array(part, expectation_ended, bool)
                for part in to_list(self.ended, expectation_ended)
            ]
        if [part.shape for part in durations] != [part.shape for part in ended]:
            raise ValueError(
                "ended must have an entry for each of durations, got shapes "
                f"{[part.shape for part in ended]} and {[part.shape for part in durations]}"
            )
        if not any(part.size for part in durations):
            raise ValueError(
                "durations must hold a bout, got none: no beginning of a bout was seen"
            )
        for state, part in enumerate(durations):
            if part.ndim != 1 or not (np.isfinite(part) & (part >= 1)).all():
                raise ValueError(f"{expectation}, got {shorten(part)} of state {state}")
        if self.trans_probs is not None:
            trans_probs = to_array(self.trans_probs, "trans_probs must be probabilities", float)
            if trans_probs.shape != (len(durations),) * 2:
                raise ValueError(
                    f"trans_probs must have shape ({len(durations)}, {len(durations)}), as there "
                    f"are states, got {trans_probs.shape}"
                )
            check_probabilities(trans_probs, "trans_probs")
        return durations, ended, trans_probs


def _bouts_from_their_beginning(sequences, n_states):
    """Durations of bouts whose beginning was seen, and whether their end was, by state."""
    bouts = sequences.find_bouts()
    kept = bouts.is_observed & bouts.has_begin
    by_state = [kept & (bouts.values == state) for state in range(n_states)]
    return (
        [bouts.n_timesteps[which] for which in by_state],
        [bouts.has_end[which] for which in by_state],
    )


def _survival(durations, ended):
    """Fraction of bouts of at least each duration, by the estimate of Kaplan and Meier.

    Returns
    -------
    durations : ndarray of shape (n_distinct + 1,)
        0, and the durations that occur, increasing.
    survival : ndarray of shape (n_distinct + 1,)
    """
    from scipy.stats import CensoredData, ecdf

    function = ecdf(CensoredData.right_censored(durations, ~ended)).sf
    # scipy's is the fraction that lasts longer, so that of at least the next duration
    survival = np.concatenate([[1.0, 1.0], function.probabilities[:-1]])
    return np.append(0.0, function.quantiles), survival


def _plain_numbers(axis):
    """Ticks of a logarithmic axis as 0.01 and 100 instead of powers of ten."""
    low, high = axis.get_view_interval()
    if math.log10(high / low) < 6:
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter(lambda value, _: "")
