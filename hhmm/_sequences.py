"""Host side: lay sequences out for the kernels, and results back out as the input was.

Sequences are laid end to end in lanes as long as the longest sequence, the
longest first and each into the lane with the most room left. A scan step costs
nearly the same whatever its width, so lanes are as short as they can be, and
one long recording among many short ones does not pad those to its length:
they share lanes.

The number of steps and of lanes is rounded up to at most 1/16 more, so that data of
nearly the same size (the folds of a cross-validation) shares one compiled kernel.
"""

import heapq
from typing import NamedTuple

import numpy as np

from hhmm._types import PackedSequences


class PackIndex(NamedTuple):
    """Where each sequence lies in the packed arrays; each (n_sequences,)."""

    lanes: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray  # 0 for a sequence without an observed timestep, which is not packed


def pack(sequences, n_syllables):
    """Lay sequences out in lanes.

    Parameters
    ----------
    sequences : list of 1-D int32 arrays
        Labels 0 to n_syllables - 1, -1 where missing.
    n_syllables : int

    Returns
    -------
    packed : PackedSequences, NumPy arrays
    index : PackIndex
    """
    index, n_steps, n_lanes = _assign([len(sequence) for sequence in sequences])
    codes = np.full((n_lanes, n_steps), -1, np.int32)
    starts = np.zeros((n_lanes, n_steps), bool)
    inside = np.zeros((n_lanes, n_steps), bool)
    for sequence, lane, offset, length in zip(sequences, *index, strict=True):
        if length:
            codes[lane, offset : offset + length] = sequence
            inside[lane, offset : offset + length] = True
            starts[lane, offset] = True
    starts |= ~inside
    no_emission = n_syllables * n_syllables
    pairs = np.full((n_lanes, n_steps), no_emission, np.int32)
    before, after = codes[:, :-1], codes[:, 1:]
    emitted = (before >= 0) & (after >= 0) & ~starts[:, 1:]
    pairs[:, 1:] = np.where(emitted, before * np.int32(n_syllables) + after, no_emission)
    pair_counts = np.bincount(pairs[inside], minlength=no_emission + 1).astype(np.float64)
    packed = PackedSequences(
        pairs=np.ascontiguousarray(pairs.T),
        starts=np.ascontiguousarray(starts.T),
        inside=np.ascontiguousarray(inside.T),
        pair_counts=pair_counts,
    )
    return packed, index


def pack_values(values, index, shape, dtype):
    """Lay one array a sequence out in (n_steps, n_lanes), zero elsewhere."""
    packed = np.zeros(shape[::-1], dtype)
    for row, lane, offset, length in zip(values, *index, strict=True):
        packed[lane, offset : offset + length] = row
    return np.ascontiguousarray(packed.T)


def unpack(packed, index, layout, *, fill):
    """Results in the form of the input.

    Parameters
    ----------
    packed : ndarray of shape (n_steps, n_lanes) or (n_steps, n_values, n_lanes)
    index : PackIndex
    layout : Layout
    fill : scalar
        What stands on padding.

    Returns
    -------
    unpacked : ndarray or list of ndarrays
        (n_sequences, n_timesteps[, n_values]), or a list of (n_timesteps[, n_values]).
    """
    by_lane = np.ascontiguousarray(np.moveaxis(packed, -1, 0))
    trailing = by_lane.shape[2:]
    if layout.is_array:
        shape = (len(layout.n_timesteps), layout.n_timesteps[0], *trailing)
        unpacked = np.full(shape, fill, packed.dtype)
    else:
        unpacked = [np.full((n, *trailing), fill, packed.dtype) for n in layout.n_timesteps]
    for row, lane, offset, length in zip(unpacked, *index, strict=True):
        row[:length] = by_lane[lane, offset : offset + length]
    return unpacked


def sum_by_sequence(values, index):
    """Sum (n_steps, n_lanes) over each sequence, (n_sequences,); 0 for an empty one."""
    cumulative = np.zeros((values.shape[1], values.shape[0] + 1))
    np.cumsum(values.T, axis=1, out=cumulative[:, 1:])
    ends = cumulative[index.lanes, index.offsets + index.lengths]
    return ends - cumulative[index.lanes, index.offsets]


def _assign(lengths):
    """Choose lane and offset of each sequence; returns the index and the packed shape."""
    lengths = np.asarray(lengths)
    capacity = int(lengths.max())
    lanes = np.zeros(len(lengths), int)
    offsets = np.zeros(len(lengths), int)
    filled = []  # heap of (timesteps used, lane)
    for i in np.argsort(-lengths, kind="stable"):
        length = int(lengths[i])
        if length == 0:
            continue
        if filled and filled[0][0] + length <= capacity:
            used, lane = heapq.heappop(filled)
        else:
            used, lane = 0, len(filled)
        lanes[i], offsets[i] = lane, used
        heapq.heappush(filled, (used + length, lane))
    # at least one of each, so that there is something to compute on where nothing is observed
    n_steps, n_lanes = _round_up(max(capacity, 1)), _round_up(max(len(filled), 1))
    return PackIndex(lanes, offsets, lengths), n_steps, n_lanes


def _round_up(n):
    """The next number that is a multiple of a sixteenth of the power of two below it."""
    grain = 1 << max(0, int(n).bit_length() - 5)
    return -(-n // grain) * grain
