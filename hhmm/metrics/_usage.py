"""Measure the time in each state, how long its bouts last, and which state follows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import validate_params

from hhmm._sequences.read import check_entries, check_n_states, read_runs


@validate_params({"per_sequence": ["boolean"]}, prefer_skip_nested_validation=True)
def state_usage(
    states: ArrayLike, *, n_states: int | None = None, per_sequence: bool = False
) -> np.ndarray:
    """Compute the fraction of time spent in each state.

    Parameters
    ----------
    states : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        States, integers; negative timesteps are ignored. Recordings of
        `hhmm.datasets.open_recordings` are read one by one.
    n_states : int, default=None
        Number of states; the largest label plus one if None.
    per_sequence : bool, default=False
        Whether to return the fractions of each sequence.

    Returns
    -------
    usage : ndarray of shape (n_states,), or (n_sequences, n_states) if `per_sequence`
        Fractions that sum to 1 over the states. Without a single timestep that has a state they
        are NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.metrics import state_usage
    >>> states = np.array([[0, 0, 1, 1], [2, 1, -1, -1]])
    >>> state_usage(states, n_states=3).round(2)
    array([0.33, 0.5 , 0.17])
    >>> state_usage(states, n_states=3, per_sequence=True)
    array([[0.5, 0.5, 0. ],
           [0. , 0.5, 0.5]])
    """
    sequences = read_runs(states, "states")
    n_states = check_n_states(n_states, sequences)
    n_groups = sequences.n_runs.size if per_sequence else 1
    group = sequences.of_sequences if per_sequence else 0
    observed = sequences.labels >= 0
    cells = (sequences.labels + n_states * group)[observed]
    times = np.bincount(cells, sequences.n_timesteps[observed], minlength=n_groups * n_states)
    counts = times.reshape(n_groups, n_states)
    with np.errstate(invalid="ignore"):
        usage = counts / counts.sum(axis=1, keepdims=True)
    return usage if per_sequence else usage[0]


@validate_params(
    {"include_censored": ["boolean"], "per_sequence": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def state_durations(
    states: ArrayLike,
    *,
    n_states: int | None = None,
    include_censored: bool = True,
    per_sequence: bool = False,
) -> list:
    """Measure the lengths of the bouts of each state.

    A bout is a longest run of consecutive timesteps of one sequence in the same state.

    Parameters
    ----------
    states : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        States, integers. A negative timestep ends a bout. Recordings of
        `hhmm.datasets.open_recordings` are read one by one.
    n_states : int, default=None
        Number of states; the largest label plus one if None.
    include_censored : bool, default=True
        Whether to keep the bouts that the recording may have cut: those at the first or last
        timestep of a sequence, or beside a timestep without a state. Their true length is unknown,
        only that it is at least this.
    per_sequence : bool, default=False
        Whether to return the durations of each sequence.

    Returns
    -------
    durations : list of n_states ndarrays of shape (n_bouts_k,), int64
        Lengths in timesteps, in the order in which the bouts occur. If
        `per_sequence`, a list of n_sequences such lists.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.metrics import state_durations
    >>> states = np.array([0, 0, 1, 1, 1, 0, 1, 1])
    >>> state_durations(states)
    [array([2, 1]), array([3, 2])]
    >>> state_durations(states, include_censored=False)
    [array([1]), array([3])]
    >>> state_durations([[0, 0, 1], [1, 1]], per_sequence=True)
    [[array([2]), array([1])], [array([], dtype=int64), array([2])]]
    """
    sequences = read_runs(states, "states")
    n_states = check_n_states(n_states, sequences)
    n_groups = sequences.n_runs.size if per_sequence else 1
    _check_size(n_groups * n_states, n_states, "state_durations returns an array")
    bouts = sequences.find_bouts()
    kept = bouts.is_observed
    if not include_censored:
        kept &= bouts.has_begin & bouts.has_end
    cells, lengths = bouts.values[kept], bouts.n_timesteps[kept]
    if per_sequence:
        sequence_index = np.repeat(np.arange(n_groups), bouts.n_in_sequence)
        cells = cells + n_states * sequence_index[kept]
    by_cell = np.argsort(cells, kind="stable")
    n_bouts = np.bincount(cells, minlength=n_groups * n_states)
    durations = np.split(lengths[by_cell], np.cumsum(n_bouts)[:-1])
    if not per_sequence:
        return durations
    return [durations[i : i + n_states] for i in range(0, len(durations), n_states)]


@validate_params({"per_sequence": ["boolean"]}, prefer_skip_nested_validation=True)
def state_transitions(
    states: ArrayLike, *, n_states: int | None = None, per_sequence: bool = False
) -> np.ndarray:
    """Count the transitions from each state to each other state.

    Parameters
    ----------
    states : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        States, integers. A pair of timesteps counts if both have a state: a
        negative timestep is part of no transition, and the states on its two
        sides are no pair. Nor are the end of a sequence and the beginning of the
        next. Recordings of `hhmm.datasets.open_recordings` are read one by one.
    n_states : int, default=None
        Number of states; the largest label plus one if None.
    per_sequence : bool, default=False
        Whether to return the counts of each sequence.

    Returns
    -------
    counts : ndarray of shape (n_states, n_states), or \
            (n_sequences, n_states, n_states) if `per_sequence`, int64
        ``counts[k, l]`` is the number of timesteps in state k that a timestep in
        state l follows. The diagonal counts stays: timesteps that the same state
        follows. Set it to 0 to count changes of state only.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.metrics import state_transitions
    >>> states = np.array([[0, 0, 1, 1], [2, -1, 1, 0]])
    >>> state_transitions(states)
    array([[1, 1, 0],
           [1, 1, 0],
           [0, 0, 0]])
    """
    sequences = read_runs(states, "states")
    n_states = check_n_states(n_states, sequences)
    n_groups = sequences.n_runs.size if per_sequence else 1
    shape = (n_groups, n_states, n_states)
    _check_size(math.prod(shape), n_states, "state_transitions returns a row and a column")

    bouts = sequences.find_bouts()
    group = sequences.of_sequences if per_sequence else 0
    cells = n_states * (n_states * group + bouts.values.astype(np.int64))
    stays, ends = bouts.is_observed, np.flatnonzero(bouts.is_observed & bouts.has_end)
    pairs = np.append(cells[stays] + bouts.values[stays], cells[ends] + bouts.values[ends + 1])
    n_times = np.append(bouts.n_timesteps[stays] - 1, np.ones_like(ends))
    counts = np.bincount(pairs, n_times, minlength=math.prod(shape)).astype(np.int64).reshape(shape)
    return counts if per_sequence else counts[0]


def _check_size(n_entries, n_states, result):
    """Refuse a result that is too large to allocate."""
    check_entries(n_entries, label=n_states - 1, name="states", result=result)
