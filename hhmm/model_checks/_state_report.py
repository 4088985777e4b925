"""Report who uses each state, and whether states stand for animals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from hhmm._inference.convergence import describe_single
from hhmm._optional.extras import import_extra
from hhmm._sequences.groups import read_texts
from hhmm._sequences.read import (
    UNUSED_BELOW,
    check_n_states,
    find_unused,
    in_one_state,
    read_runs,
)
from hhmm._validation import check_frame_rate, check_state_names

if TYPE_CHECKING:
    import pandas

# A state is found in one animal or group alone if this fraction of its time is there.
_NEARLY_ALL = 0.95


@dataclass(frozen=True, eq=False, repr=False)
class StateReport:
    """Who uses each state, see `state_report`. It prints as a table with its warnings below.

    Attributes
    ----------
    state_names : list of n_states str
    usage : ndarray of shape (n_states,)
        Fraction of the time of all recordings in the state.
    dwell : ndarray of shape (n_states,)
        Mean duration of a stay, in `unit`: time in the state by the number of observed ends, as in
        `hhmm.comparisons.compare_groups`. NaN without an end.
    unit : {"s", "timesteps"}
        Unit of `dwell`.
    visits : ndarray of shape (n_states,)
        Number of stays in a recording, the mean over recordings.
    n_recordings, n_animals : ndarray of shape (n_states,), int64
        How many use the state, which is at least 1% of their time.
    largest_share : ndarray of shape (n_states,)
        Largest fraction of the time of the state that comes from one animal.
    only_in : list of n_states str
        The animal or group in which the state is found alone (95% of its time), as "animal m1" or
        "group drug"; empty for other states.
    switches : ndarray of shape (n_recordings,), int64
        Number of changes of state in each recording.
    in_one_state : ndarray of shape (n_recordings,), bool
        Whether a recording is in one state for 95% of its time or more.
    n_all_animals : int
    warnings : list of str
        What to think about before states are interpreted, in sentences.
    """

    state_names: list[str]
    usage: np.ndarray
    dwell: np.ndarray
    unit: str
    visits: np.ndarray
    n_recordings: np.ndarray
    n_animals: np.ndarray
    largest_share: np.ndarray
    only_in: list[str]
    switches: np.ndarray
    in_one_state: np.ndarray
    n_all_animals: int
    warnings: list[str]

    def to_frame(self) -> pandas.DataFrame:
        """Return a pandas DataFrame with a row for each state, indexed by its name."""
        pd = import_extra("pandas", "to_frame")
        return pd.DataFrame(
            {
                "usage": self.usage,
                f"dwell ({self.unit})": self.dwell,
                "visits": self.visits,
                "n_recordings": self.n_recordings,
                "n_animals": self.n_animals,
                "largest_share": self.largest_share,
                "only_in": self.only_in,
            },
            index=pd.Index(self.state_names, name="state"),
        )

    def __repr__(self) -> str:
        n_recordings = self.switches.size
        head = ("state", "usage", f"dwell ({self.unit})", "visits", "recordings", "animals")
        rows = [(*head, "largest share", "only in")]
        for k, name in enumerate(self.state_names):
            rows.append(
                (
                    name,
                    f"{self.usage[k]:.1%}",
                    f"{self.dwell[k]:.3g}",
                    f"{self.visits[k]:.1f}",
                    f"{self.n_recordings[k]} of {n_recordings}",
                    f"{self.n_animals[k]} of {self.n_all_animals}",
                    f"{self.largest_share[k]:.0%}",
                    self.only_in[k],
                )
            )
        first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
        lines = [
            "  ".join([row[0].ljust(first), *map(str.rjust, row[1:], others)]).rstrip()
            for row in rows
        ]
        lines.append(
            f"{np.median(self.switches):g} changes of state in a recording (median); "
            f"{self.in_one_state.sum()} of {n_recordings} recordings in one state throughout"
        )
        return "\n".join([*lines, *(f"Warning: {text}" for text in self.warnings)])


def state_report(
    states: ArrayLike,
    *,
    animals: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    n_states: int | None = None,
    state_names: Sequence[str] | None = None,
    frame_rate: float | None = None,
) -> StateReport:
    """Report the time in each state and who uses it, and warn if states stand for animals.

    Parameters
    ----------
    states : array of shape (n_sequences, n_timesteps) or list of arrays of shape \
            (n_timesteps_i,)
        States of each recording, integers; negative timesteps have no state. Recordings of
        `hhmm.datasets.open_recordings` are read one by one.
    animals : array-like of shape (n_sequences,), default=None
        The animal of each recording. If None, each recording is an animal.
    groups : array-like of shape (n_sequences,), default=None
        The group of each recording, for example the condition.
    n_states : int, default=None
        Number of states; the largest label plus one if None.
    state_names : sequence of n_states str, default=None
        Names of the states; their numbers if None.
    frame_rate : float, default=None
        Timesteps per second, for durations in seconds.

    Returns
    -------
    report : StateReport

    Raises
    ------
    TypeError, ValueError
        If `states` has no state, or another argument is not as described.

    Notes
    -----
    Mice that differ in their use of syllables can be mistaken for states: a fit with several
    states then gives each recording a state of its own. Such recordings stay in one state
    throughout, and each state comes from a few animals. If the fit is told the animals (``groups``
    of `EfficientHHMM.fit`), their differences need no states.

    Examples
    --------
    >>> from hhmm.model_checks import state_report
    >>> states = [[0, 0, 1, 1, 0], [0, 1, 1, 0, 0], [2, 2, 2, 2, 2]]
    >>> report = state_report(states, animals=["m1", "m2", "m3"])
    >>> report.n_animals
    array([2, 2, 1])
    >>> report.only_in
    ['', '', 'animal m3']
    >>> report.warnings
    ['State 2 is found in animal m3 alone. It may stand for that animal.']
    """
    sequences = read_runs(states, "states")
    n_sequences = sequences.lengths.size
    if not (sequences.labels >= 0).any():
        raise ValueError("states must hold a state (an integer >= 0), got none.")
    n_states = check_n_states(n_states, sequences)
    names = check_state_names(state_names, n_states)
    if frame_rate is not None:
        check_frame_rate(frame_rate)
    texts = None if animals is None else read_texts(animals, "animals", n_sequences)
    units, unit_of = _levels([str(i) for i in range(n_sequences)] if texts is None else texts)

    bouts = sequences.find_bouts()
    sequence = np.repeat(np.arange(n_sequences), bouts.n_in_sequence)
    observed = bouts.is_observed
    cells = (sequence[observed], bouts.values[observed])
    time = np.zeros((n_sequences, n_states))
    np.add.at(time, cells, bouts.n_timesteps[observed])
    n_visits = np.zeros((n_sequences, n_states))
    np.add.at(n_visits, cells, 1)
    ended = observed & bouts.has_end
    n_ends = np.bincount(bouts.values[ended], minlength=n_states)
    switches = np.bincount(sequence[ended], minlength=n_sequences)
    of_animals = _sum_by(time, unit_of, len(units))

    total = time.sum(axis=0)
    usage = total / total.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        dwell = np.where(n_ends > 0, total / n_ends, np.nan) / (frame_rate or 1.0)
        shares = np.where(total > 0, of_animals / total, 0.0)
    only_in = [""] * n_states
    if groups is not None:
        levels, level_of = _levels(read_texts(groups, "groups", n_sequences))
        _note_alone(only_in, _sum_by(time, level_of, len(levels)), levels, "group")
    if texts is not None:
        _note_alone(only_in, of_animals, units, "animal")
    single = in_one_state(time)
    return StateReport(
        state_names=names,
        usage=usage,
        dwell=dwell,
        unit="timesteps" if frame_rate is None else "s",
        visits=n_visits.mean(axis=0),
        n_recordings=_n_users(time),
        n_animals=_n_users(of_animals),
        largest_share=shares.max(axis=0),
        only_in=only_in,
        switches=switches,
        in_one_state=single,
        n_all_animals=len(units),
        warnings=[
            *describe_single(time),
            *(_describe_alone(names[k], only_in[k]) for k in range(n_states) if only_in[k]),
            *(
                f"State {names[k]} takes less than {UNUSED_BELOW:.0%} of the time."
                for k in np.flatnonzero(find_unused(usage))
            ),
        ],
    )


def _levels(texts):
    """Return the different labels in order of appearance, and the number of each recording's."""
    levels = list(dict.fromkeys(texts))
    number = {level: i for i, level in enumerate(levels)}
    return levels, np.array([number[text] for text in texts])


def _sum_by(time, unit_of, n_units):
    """Sum the time of recordings (n_sequences, n_states) of each unit, (n_units, n_states)."""
    summed = np.zeros((n_units, time.shape[1]))
    np.add.at(summed, unit_of, time)
    return summed


def _n_users(time):
    """Count the rows of time (n, n_states) that use each state."""
    totals = time.sum(axis=1, keepdims=True)
    return ((time > 0) & (time >= UNUSED_BELOW * totals)).sum(axis=0)


def _note_alone(only_in, time, levels, kind):
    """Note the states that are found in one of two or more levels alone."""
    if np.count_nonzero(time.any(axis=1)) < 2:
        return
    for k, of_levels in enumerate(time.T):
        if of_levels.any() and of_levels.max() >= _NEARLY_ALL * of_levels.sum():
            only_in[k] = f"{kind} {levels[int(np.argmax(of_levels))]}"


def _describe_alone(name, where):
    kind = where.split(" ", 1)[0]
    return f"State {name} is found in {where} alone. It may stand for that {kind}."
