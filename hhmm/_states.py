"""States as users give them: one sequence, a 2-D array, or a list of sequences.

A negative value, NaN, None, pandas' NA or a masked entry marks a timestep without a state.
"""

import numbers
from typing import NamedTuple

import numpy as np

from hhmm._conversions import count_dims, fill_missing, shorten, to_array

# A result with more entries than this was indexed by something that is no state.
MAX_ENTRIES = 10_000_000
# A state that takes a smaller fraction of the timesteps is unused.
UNUSED_BELOW = 0.01


class StateSequences(NamedTuple):
    """States of several sequences laid end to end."""

    states: np.ndarray  # (n_total_timesteps,) int64, negative where there is none
    lengths: np.ndarray  # (n_sequences,) int64
    padded: bool  # rows of a 2-D array, which may go on after their sequence ended


def read_states(states, name):
    """Bring one of the three forms of states to `StateSequences`, checked."""
    if not isinstance(states, list | tuple):
        states = as_array(states, name)
        if states.ndim == 1 and states.dtype == object:
            states = list(states)  # of sequences
    if isinstance(states, list | tuple):
        if len(states) and count_dims(states[0]) > 0:
            return _read_list(states, name)
        states = as_array(states, name)

    if states.ndim == 0:
        raise TypeError(
            f"{name} must be an array of integers or a list of 1-D arrays, got a single "
            f"{type(states.item()).__name__}"
        )
    if states.ndim > 2:
        raise ValueError(
            f"{name} must be 1-D, 2-D (n_sequences, n_timesteps) or a list of 1-D arrays, "
            f"got an array of shape {states.shape}"
        )
    if states.shape[0] == 0:
        raise ValueError(f"{name} must hold at least one sequence, got an empty {name}")
    n_sequences, n_timesteps = np.atleast_2d(states).shape
    lengths = np.full(n_sequences, n_timesteps)
    return StateSequences(_integers(states.ravel(), lengths, name), lengths, states.ndim == 2)


def _read_list(sequences, name):
    arrays = [as_array(sequence, f"{name}: sequence {i}") for i, sequence in enumerate(sequences)]
    for i, array in enumerate(arrays):
        if array.ndim != 1:
            raise ValueError(
                f"{name}: sequence {i} must be a 1-D array, got an array of shape {array.shape}"
            )
    lengths = np.array([array.size for array in arrays], dtype=np.int64)
    # An empty list becomes a float array: left in, it would turn all labels into floats.
    filled = [array for array in arrays if array.size] or [np.empty(0, dtype=np.int64)]
    return StateSequences(_integers(np.concatenate(filled), lengths, name), lengths, False)


def as_array(values, name):
    """`values` as an array, -1 where an entry is masked or missing; an error names what is none."""
    if isinstance(values, np.ma.MaskedArray):
        # Unsigned integers cannot hold the -1.
        signed = values.astype(np.int64) if values.dtype.kind in "bu" else values
        return signed.filled(-1)
    array = to_array(values, f"{name} must be an array of integers")
    if array.dtype == object and array.ndim and all(count_dims(value) == 0 for value in array.flat):
        # a list of plain Python numbers has their type
        return np.asarray(fill_missing(array, -1).tolist())
    return array


def _integers(states, lengths, name):
    """`states` (n_total_timesteps,) as int64, NaN as -1; raises where that would lose something."""
    if states.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold integers, got dtype {states.dtype}")
    if states.dtype.kind == "f":
        states = states.astype(np.promote_types(states.dtype, np.float32))  # float16 ends at 65504
        missing = np.isnan(states)
        wrong = ~missing & ((states != np.trunc(states)) | np.isinf(states))
        raise_at_first(wrong, states, lengths, f"{name} must hold integers")
        states = np.where(missing, -1, np.maximum(states, -1))
    if states.dtype.kind in "uf":
        wrong = states >= 2.0**63
        raise_at_first(wrong, states, lengths, f"{name} must hold integers below 2**63")
    return states.astype(np.int64, copy=False)


def raise_at_first(wrong, states, lengths, expected):
    """Raise a ValueError that names the first wrong value, its sequence and its timestep."""
    if not wrong.any():
        return
    position = int(np.argmax(wrong))
    ends = np.cumsum(lengths)
    sequence = int(np.searchsorted(ends, position, side="right"))
    timestep = position - int(ends[sequence] - lengths[sequence])
    raise ValueError(
        f"{expected}, got {states[position].item()} in sequence {sequence} at timestep {timestep}"
    )


def check_n_states(n_states, sequences):
    """`n_states`, by default the largest label plus one."""
    largest = int(sequences.states.max(initial=-1))
    if n_states is None:
        if largest < 0:
            raise ValueError(
                "states must hold a state (an integer >= 0) if n_states is None, "
                f"got none in {sequences.states.size} timesteps"
            )
        check_entries(largest + 1, label=largest, name="states", result="there is one result")
        return largest + 1
    if not isinstance(n_states, numbers.Integral):
        raise TypeError(f"n_states must be an integer >= 1, got {shorten(n_states)}")
    if n_states < 1:
        raise ValueError(f"n_states must be >= 1, got {shorten(n_states)}")
    if n_states > MAX_ENTRIES:
        raise ValueError(f"n_states must be at most {MAX_ENTRIES:,}, got {shorten(n_states)}")
    raise_at_first(
        sequences.states >= n_states,
        sequences.states,
        sequences.lengths,
        f"states must hold labels below n_states={n_states}",
    )
    return int(n_states)


def find_unused(usage):
    """Find the states that take less than 1% of the time, or none.

    Parameters
    ----------
    usage : ndarray of shape (n_states,)
        Time in each state, as a fraction or in any other unit.

    Returns
    -------
    unused : ndarray of shape (n_states,), bool
        Where every state takes less than 1%, as more than 100 states can, those without any time.
    """
    total = np.sum(usage)
    unused = usage < UNUSED_BELOW * total
    return (usage == 0) & (total > 0) if unused.all() else unused


def check_entries(n_entries, *, label, name, result):
    """Refuse to allocate by a label that numbers something else than states."""
    if n_entries > MAX_ENTRIES:
        raise ValueError(
            f"{result} for each label from 0 to the largest, too many for the label {label} in "
            f"{name}: number the labels 0, 1, ... first, for example with np.unique"
        )
