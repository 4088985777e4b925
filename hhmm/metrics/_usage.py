"""Measure the time in each state, and how long its bouts last."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import validate_params

from hhmm._sequences.read import check_n_states, read_states


@validate_params({"per_sequence": ["boolean"]}, prefer_skip_nested_validation=True)
def state_usage(
    states: ArrayLike, *, n_states: int | None = None, per_sequence: bool = False
) -> np.ndarray:
    """Compute the fraction of time spent in each state.

    Parameters
    ----------
    states : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        States, integers; negative timesteps are ignored.
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
    sequences = read_states(states, "states")
    n_states = check_n_states(n_states, sequences)
    n_groups = sequences.lengths.size if per_sequence else 1
    group = np.repeat(np.arange(n_groups), sequences.lengths) if per_sequence else 0
    cells = (sequences.values + n_states * group)[sequences.is_observed]
    counts = np.bincount(cells, minlength=n_groups * n_states).reshape(n_groups, n_states)
    with np.errstate(invalid="ignore"):
        usage = counts / counts.sum(axis=1, keepdims=True)
    return usage if per_sequence else usage[0]


@validate_params({"include_censored": ["boolean"]}, prefer_skip_nested_validation=True)
def state_durations(
    states: ArrayLike, *, n_states: int | None = None, include_censored: bool = True
) -> list[np.ndarray]:
    """Measure the lengths of the bouts of each state.

    A bout is a longest run of consecutive timesteps of one sequence in the same state.

    Parameters
    ----------
    states : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        States, integers. A negative timestep ends a bout.
    n_states : int, default=None
        Number of states; the largest label plus one if None.
    include_censored : bool, default=True
        Whether to keep the bouts that the recording may have cut: those at the first or last
        timestep of a sequence, or beside a timestep without a state. Their true length is unknown,
        only that it is at least this.

    Returns
    -------
    durations : list of n_states ndarrays of shape (n_bouts_k,), int64
        Lengths in timesteps, in the order in which the bouts occur.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.metrics import state_durations
    >>> states = np.array([0, 0, 1, 1, 1, 0, 1, 1])
    >>> state_durations(states)
    [array([2, 1]), array([3, 2])]
    >>> state_durations(states, include_censored=False)
    [array([1]), array([3])]
    """
    sequences = read_states(states, "states")
    n_states = check_n_states(n_states, sequences)
    bouts = sequences.find_bouts()
    kept = bouts.is_observed
    if not include_censored:
        kept &= bouts.has_begin & bouts.has_end
    bout_states, lengths = bouts.values[kept], bouts.n_timesteps[kept]
    by_state = np.argsort(bout_states, kind="stable")
    n_bouts = np.bincount(bout_states, minlength=n_states)
    return np.split(lengths[by_state], np.cumsum(n_bouts)[:-1])
