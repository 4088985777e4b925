"""Lay sequences out for the kernels, and results in the form of the input.

Sequences are laid end to end in lanes as long as the longest sequence, the
longest first and each into the lane with the most room left. A scan step costs
nearly the same whatever its width, so lanes are as short as they can be, and
one long recording among many short ones does not pad those to its length:
they share lanes.

The number of steps and of lanes is rounded up to at most 1/16 more, so that data of
nearly the same size (the folds of a cross-validation) shares one compiled kernel. Few timesteps
take less time than a kernel takes to compile: their numbers are rounded up to powers of two.
"""

import heapq
from itertools import pairwise
from typing import NamedTuple

import jax
import numpy as np

from hhmm._runtime.threads import n_cores
from hhmm._sequences.ragged import Layout
from hhmm._sequences.run_lengths import RunLengths, merge_runs
from hhmm._types import PackedSequences, RunData

# steps times lanes, up to which a kernel takes a millisecond or so
SMALL = 16_384


class Groups(NamedTuple):
    """Groups of sequences that have parameters of their own."""

    n_groups: int
    of_sequences: np.ndarray  # (n_sequences,) int32, 0 to n_groups - 1


class PackIndex(NamedTuple):
    """Place of each sequence in the packed arrays; each (n_sequences,)."""

    lanes: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray  # 0 for a sequence without an observed timestep, which is not packed


def pack(sequences, n_syllables, *, self_transitions=True, groups=None, numbers=None, shape=(0, 0)):
    """Lay sequences out in lanes.

    Parameters
    ----------
    sequences : list of 1-D int32 arrays
        Labels 0 to n_syllables - 1, -1 where missing.
    n_syllables : int
    self_transitions, groups
        As for `pair_codes`.
    numbers : (n_sequences,) int, default=None
        Numbers of the sequences in all data, on which random numbers depend; 0, 1, ... if None.
    shape : (n_steps, n_lanes), default=(0, 0)
        The packed arrays have at least this shape, so that parts of the data have the same.

    Returns
    -------
    packed : PackedSequences, NumPy arrays
    index : PackIndex
    """
    lengths = [len(sequence) for sequence in sequences]
    index, n_steps, n_lanes = assign_lanes(lengths, groups, shape)
    flat_pairs, flat_starts = pair_codes(
        sequences, n_syllables, self_transitions=self_transitions, groups=groups
    )
    no_emission = n_pairs(n_syllables, groups) - 1
    pairs = np.full((n_lanes, n_steps), no_emission, np.int32)
    starts = np.ones((n_lanes, n_steps), bool)
    inside = np.zeros((n_lanes, n_steps), bool)
    ends = np.cumsum(index.lengths)
    for lane, offset, length, end in zip(*index, ends, strict=True):
        place = lane, slice(offset, offset + length)
        pairs[place] = flat_pairs[end - length : end]
        starts[place] = flat_starts[end - length : end]
        inside[place] = True
    packed = PackedSequences(
        pairs=np.ascontiguousarray(pairs.T),
        starts=np.ascontiguousarray(starts.T),
        inside=np.ascontiguousarray(inside.T),
        pair_counts=np.bincount(flat_pairs, minlength=no_emission + 1).astype(np.float64),
        counters=count_pairs_of_rows(index, n_steps, n_lanes, numbers),
        groups=groups_of_lanes(index, n_lanes, groups),
    )
    return packed, index


def count_pairs_of_rows(index, n_steps, n_lanes, numbers=None):
    """Return the counters of `PackedSequences`; see `pack`."""
    numbers = range(len(index.lanes)) if numbers is None else numbers
    counters = np.zeros((2, n_lanes, n_steps // 2), np.uint32)
    for i, lane, offset, length in zip(numbers, *index, strict=True):
        n_pairs = -(-length // 2)
        place = lane, slice(offset // 2, offset // 2 + n_pairs)
        counters[0][place], counters[1][place] = i, np.arange(n_pairs)
    return np.ascontiguousarray(counters.swapaxes(1, 2))


def n_pairs(n_syllables, groups):
    """Return the number of pair codes, with the one of no emission."""
    return (1 if groups is None else groups.n_groups) * n_syllables**2 + 1


def groups_of_lanes(index, n_lanes, groups):
    """Return the group of every lane, (n_lanes,) int32; 0 for one that is not used."""
    of_lanes = np.zeros(n_lanes, np.int32)
    if groups is not None:
        used = index.lengths > 0
        of_lanes[index.lanes[used]] = groups.of_sequences[used]
    return of_lanes


def pair_codes(sequences, n_syllables, *, self_transitions=True, groups=None):
    """Return the pair codes of all sequences, one after the other.

    Parameters
    ----------
    sequences : list of 1-D int32 arrays
    n_syllables : int
    self_transitions : bool
        False where a syllable that follows itself is held, which is no emission.
    groups : Groups, default=None
        Of the sequences.

    Returns
    -------
    pairs : (n_timesteps,) int32
        ``(g * n_syllables + x[t - 1]) * n_syllables + x[t]`` in group g, 0 without groups, or the
        code after the last one where there is no emission.
    starts : (n_timesteps,) bool
        Where a sequence begins.
    """
    codes = np.concatenate(sequences)
    lengths = np.array([len(sequence) for sequence in sequences])
    starts = np.zeros(len(codes), bool)
    starts[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
    pairs = np.full(len(codes), n_pairs(n_syllables, groups) - 1, np.int32)
    before, after = codes[:-1], codes[1:]
    emitted = (before >= 0) & (after >= 0) & ~starts[1:]
    if not self_transitions:
        emitted &= before != after
    found = before * np.int32(n_syllables) + after
    if groups is not None:
        found += np.repeat(groups.of_sequences * np.int32(n_syllables**2), lengths)[1:]
    np.copyto(pairs[1:], found, where=emitted)
    return pairs, starts


def unpack(parts, index, layout, *, fill):
    """Return results in the form of the input.

    Parameters
    ----------
    parts : list of arrays of shape (n_steps, n_lanes) or (n_steps, n_values, n_lanes)
        Groups of lanes, side by side.
    index : PackIndex
    layout : Layout
    fill : scalar
        What stands on padding.

    Returns
    -------
    unpacked : ndarray or list of ndarrays
        (n_sequences, n_timesteps[, n_values]), or a list of (n_timesteps[, n_values]).
    """
    flat, begins = _lane_after_lane(parts, index)
    trailing = flat.shape[1:]
    if layout.is_array:
        shape = (len(layout.n_timesteps), layout.n_timesteps[0], *trailing)
        unpacked = np.full(shape, fill, flat.dtype)
    else:
        unpacked = [np.full((n, *trailing), fill, flat.dtype) for n in layout.n_timesteps]
    for row, begin, length in zip(unpacked, begins, index.lengths, strict=True):
        row[:length] = flat[begin : begin + length]
    return unpacked


def sum_by_sequence(parts, index):
    """Sum over each sequence, (n_sequences,); 0 for an empty one. Parts are as for `unpack`."""
    flat, begins = _lane_after_lane(parts, index)
    return np.array(
        [flat[begin : begin + n].sum() for begin, n in zip(begins, index.lengths, strict=True)]
    )


def _lane_after_lane(parts, index):
    """Lay lanes end to end, since a sequence may span several; return also where each begins."""
    n_steps, trailing = len(parts[0]), parts[0].shape[1:-1]
    by_lane = [np.moveaxis(np.asarray(part), -1, 0) for part in parts]
    flat = np.concatenate(by_lane) if len(by_lane) > 1 else by_lane[0]  # a copy of all results
    return flat.reshape(-1, *trailing), index.lanes * n_steps + index.offsets


def assign_lanes(lengths, groups=None, shape=(0, 0)):
    """Choose lane and offset of each sequence; returns the index and the packed shape.

    Sequences of different groups share no lane. Each takes an even number of steps, because random
    numbers are drawn for two steps at a time. The packed shape is at least `shape`.
    """
    lengths = np.asarray(lengths)
    n_even = lengths + lengths % 2
    capacity = max(int(n_even.max()), shape[0])
    lanes = np.zeros(len(lengths), int)
    offsets = np.zeros(len(lengths), int)
    of_sequences = np.zeros(len(lengths), int) if groups is None else groups.of_sequences
    n_used = 0
    filled = {}  # by group, a heap of (timesteps used, lane)
    for i in np.argsort(-lengths, kind="stable"):
        length = int(n_even[i])
        if length == 0:
            continue
        heap = filled.setdefault(int(of_sequences[i]), [])
        if heap and heap[0][0] + length <= capacity:
            used, lane = heapq.heappop(heap)
        else:
            used, lane = 0, n_used
            n_used += 1
        lanes[i], offsets[i] = lane, used
        heapq.heappush(heap, (used + length, lane))
    # at least one of each, so that there is something to compute on where nothing is observed
    n_steps, n_lanes = max(capacity, 2), max(n_used, 1, shape[1])
    is_small = n_steps * n_lanes <= SMALL
    n_steps, n_lanes = (round_up(n, n_bits=1 if is_small else 5) for n in (n_steps, n_lanes))
    return PackIndex(lanes, offsets, lengths), n_steps, n_lanes


def split_sequences(steps, n_parts):
    """Split sequences in parts of about as many steps, or of one sequence.

    Parameters
    ----------
    steps : (n_sequences,) int
        Of each sequence.
    n_parts : int

    Returns
    -------
    parts : list of (first, stop)
    """
    ends = np.cumsum(steps)
    # a sequence belongs to the part in which its middle lies
    part = ((ends - steps / 2) * n_parts / max(ends[-1], 1)).astype(int)
    cuts = np.flatnonzero(np.diff(part)) + 1
    bounds = [0, *cuts.tolist(), len(steps)]
    return list(pairwise(bounds))


def common_shape(steps, parts, n_groups, of_sequences):
    """Return a packed shape into which each part of the sequences fits; see `split_sequences`."""
    capacity = round_up(max(int((steps + steps % 2).max()), 2))
    n_lanes = 1
    for first, stop in parts:
        groups = None if of_sequences is None else Groups(n_groups, of_sequences[first:stop])
        *_, n_used = assign_lanes(steps[first:stop], groups, (capacity, 0))
        n_lanes = max(n_lanes, n_used)
    return capacity, n_lanes


def mark_changes(values, index, n_steps):
    """Set values that are those of the timestep before to -1, in place; see `runs_of_changes`."""
    repeats = np.append(False, values[1:] == values[:-1])
    used = index.lengths > 0
    repeats[index.lanes[used] * n_steps + index.offsets[used]] = False
    values[repeats] = -1


def runs_of_changes(changes, index, n_steps):
    """Find runs in values that are laid out lane after lane.

    Parameters
    ----------
    changes : (n_lanes * n_steps,) int
        The value from here on, or -1 where it is that of the timestep before.
    index : PackIndex
    n_steps : int

    Returns
    -------
    runs : RunLengths
        Of the sequences, in their order.
    """
    used = np.flatnonzero(index.lengths)
    begins = index.lanes[used] * n_steps + index.offsets[used]
    order = np.argsort(begins)
    used, begins = used[order], begins[order]
    ends = begins + index.lengths[used]
    at = np.flatnonzero(changes >= 0)
    place = np.searchsorted(begins, at, side="right") - 1
    inside = at < ends[place] if len(used) else np.zeros(len(at), bool)
    at, place = at[inside & (place >= 0)], place[inside & (place >= 0)]
    n_timesteps = np.minimum(np.append(at[1:], changes.size)[: len(at)], ends[place]) - at
    labels = changes[at].astype(np.int32)
    joins = np.append(False, (labels[1:] == labels[:-1]) & (place[1:] == place[:-1]))[: len(at)]
    labels, n_timesteps = merge_runs(labels, n_timesteps.astype(np.int32), joins)
    of_runs = used[place[~joins]]
    if (np.diff(of_runs) < 0).any():
        by_sequence = np.argsort(of_runs, kind="stable")
        labels, n_timesteps = labels[by_sequence], n_timesteps[by_sequence]
    n_runs = np.bincount(of_runs, minlength=len(index.lengths))
    return RunLengths(labels, n_timesteps, n_runs, Layout(False, index.lengths))


def round_up(n, n_bits=5):
    """Return the next number that has no ones behind its first bits; 5 bits add 1/16 at most."""
    grain = 1 << max(0, int(n).bit_length() - n_bits)
    return -(-n // grain) * grain


# Of each group, at least: the width of a step, lanes * states, or lanes * states * states where a
# step is a run and reads a matrix; and widths of all steps.
MIN_GROUP_WIDTH = 300
MIN_GROUP_WIDTH_OF_RUNS = 1000
MIN_GROUP_WORK = 400_000
# the same of a part that is sent to another process: a few hundredths of a second
MIN_TASK_WORK = 10_000_000


def n_groups(data, n_states, n_at_once):
    """Return how many groups to compute at the same time.

    At most the number of cores, see `n_cores`, or of devices where there are more. One where there
    is one accelerator.

    Parameters
    ----------
    data : PackedSequences or RunData, NumPy arrays
    n_states : int
    n_at_once : int
        How many computations on these data share the cores; infinite for a part that is one of
        many tasks.
    """
    most = _most_groups(*data.steps.pairs.shape, n_states, data.n_cells > 0, MIN_GROUP_WORK)
    if n_at_once == np.inf:
        return 1
    n_devices = jax.local_device_count()
    is_cpu = jax.default_backend() == "cpu"
    n_workers = max(n_cores() // n_at_once if is_cpu else 1, n_devices)
    return max(min(most, n_workers), 1)


def most_tasks(steps, n_states, by_runs):
    """Return how many parts of sequences, with these steps each, are worth a task of their own."""
    _, *shape = assign_lanes(steps)
    return max(_most_groups(*shape, n_states, by_runs, MIN_TASK_WORK), 1)


def _most_groups(n_steps, n_lanes, n_states, by_runs, least_work):
    width, least = n_lanes * n_states, MIN_GROUP_WIDTH
    if by_runs:
        width, least = width * n_states, MIN_GROUP_WIDTH_OF_RUNS
    return min(width // least, width * n_steps // least_work)


def join(states, n_lanes):
    """Join the drawn states of groups to those of all lanes.

    Parameters
    ----------
    states : tuple of (n_steps, n_lanes) arrays or of RunStates
    n_lanes : int
    """

    if len(states) == 1:
        return states[0]

    def side_by_side(*parts):
        # the key of what happens inside of runs is one for all
        return np.concatenate(parts, axis=1)[:, :n_lanes] if parts[0].ndim > 1 else parts[0]

    return jax.tree.map(side_by_side, *states)


def split(data, n_groups):
    """Split the lanes in groups of equal size, the last one filled up with unused lanes.

    Parameters
    ----------
    data : PackedSequences or RunData without pieces, NumPy arrays
    n_groups : int

    Returns
    -------
    groups : tuple of the type of `data`
    """
    if n_groups == 1:
        return (data,)
    if data.n_cells:
        return tuple(RunData(runs, None) for runs in _split_runs(data.runs, n_groups))
    no_emission = len(data.pair_counts) - 1
    groups = []
    for part in _parts(data, n_groups, {"pairs": no_emission}):
        counts = np.bincount(part["pairs"][part["inside"]], minlength=no_emission + 1)
        groups.append(PackedSequences(**part, pair_counts=counts.astype(np.float64)))
    return tuple(groups)


def _split_runs(runs, n_groups):
    shape, n_pairs = runs.cell_counts.shape, len(runs.pair_counts)
    n_cells, n_powers = runs.cell_counts.size, shape[-1]
    held = held_pairs(runs)
    fill = {"pairs": n_pairs - 1, "cells": n_cells - n_powers, "positions": 2**31 - 1}
    groups = []
    for part in _parts(runs, n_groups, fill):
        cell_counts = np.bincount(part["cells"][part["inside"]], minlength=n_cells)
        cell_counts = cell_counts.reshape(shape).astype(np.float64)
        pair_counts = np.bincount(part["pairs"][part["inside"]], minlength=n_pairs)
        pair_counts = pair_counts.astype(np.float64)
        np.add.at(pair_counts, held, (cell_counts @ np.arange(n_powers)).reshape(-1))
        groups.append(runs._replace(**part, pair_counts=pair_counts, cell_counts=cell_counts))
    return groups


def held_pairs(runs):
    """Return the pair code of each row of the table of powers: s -> s in a group, or no emission.

    Of each group, the last row is that of no emission. It is the only one where a syllable that is
    held is no emission.
    """
    n_groups, n_rows, _ = runs.cell_counts.shape
    n_held = n_rows - 1
    codes = np.arange(n_groups)[:, None] * n_held**2 + np.arange(n_held) * (n_held + 1)
    no_emission = np.full((n_groups, 1), len(runs.pair_counts) - 1)
    return np.concatenate([codes, no_emission], axis=1).reshape(-1)


def _parts(packed, n_groups, fill):
    """Yield the fields that have lanes, of each group."""
    fill = {"starts": True, "inside": False, "counters": 0, "groups": 0, **fill}
    n_lanes = packed.pairs.shape[1]
    width = -(-n_lanes // n_groups)
    for first in range(0, n_lanes, width):
        part = {}
        for name, value in fill.items():
            lanes = getattr(packed, name)[..., first : first + width]
            widths = [(0, 0)] * (lanes.ndim - 1) + [(0, width - lanes.shape[-1])]
            padded = np.pad(lanes, widths, constant_values=value)
            part[name] = np.ascontiguousarray(padded)
        yield part
