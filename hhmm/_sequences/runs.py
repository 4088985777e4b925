"""Cut sequences into runs, for the backends that work on runs.

Syllables at the frame rate of a camera are held for tens of timesteps. A run is one
timestep with any emission followed by timesteps that all have the same one: of a syllable
that is held (``s -> s``), or none, because syllables are missing. A change of syllable
and the timesteps that hold the new one are one run.
"""

import math

import numpy as np

from hhmm._sequences.lanes import (
    Groups,
    PackIndex,
    assign_lanes,
    count_pairs_of_rows,
    groups_of_lanes,
    n_pairs,
    pair_codes,
    round_up,
)
from hhmm._sequences.ragged import MISSING
from hhmm._types import PackedRuns, PackedSequences, Pieces

# What is known of every timestep is computed in pieces of at most so many: long enough that
# few messages enter from runs, short enough that there are many lanes.
MAX_PIECE_LENGTH = 512
# holding times are kept as so many quantiles a syllable
N_QUANTILES = 512


def tabulate(sequences, n_syllables, max_length, *, self_transitions=True, groups=None):
    """Cut sequences into runs.

    Parameters
    ----------
    sequences : RunLengths
        Labels 0 to n_syllables - 1, -1 where missing.
    n_syllables : int
    max_length : int
        Longer runs are cut.
    self_transitions, groups
        As for `pair_codes`. Timesteps that hold a syllable are without emission where
        `self_transitions` is False.

    Returns
    -------
    sequence, n_timesteps, pairs, held, starts : (n_runs,) arrays
        The sequence of each run, its number of timesteps, the pair code of the first one and of
        the others, and whether the run begins a sequence.
    pair_counts : (n_pairs,) float64
        How often each pair occurs.
    """
    labels, follows = sequences.labels, sequences.follows
    no_emission = n_pairs(n_syllables, groups) - 1
    observed = labels >= 0
    before = np.append(np.int32(MISSING), labels[:-1])[: len(labels)]
    emitted = follows & observed & (before >= 0)
    group = 0
    if groups is not None:
        group = np.repeat(groups.of_sequences * np.int32(n_syllables**2), sequences.n_runs)
    changes = np.where(emitted, group + before * np.int32(n_syllables) + labels, no_emission)
    emits = observed if self_transitions else np.zeros(len(labels), bool)
    stays = np.where(emits, group + labels * np.int32(n_syllables + 1), no_emission)

    # stretches of equal pairs: the first timestep with a label, and those that hold it
    pairs = np.stack([changes, stays], axis=1).reshape(-1).astype(np.int32)
    n_timesteps = np.stack([np.ones_like(labels), sequences.n_timesteps - 1], axis=1).reshape(-1)
    # a change or a start is one timestep, and takes the stretch after it in
    alone = np.stack([emitted | ~follows, np.zeros(len(labels), bool)], axis=1).reshape(-1)
    used = np.flatnonzero(n_timesteps)
    pairs, n_timesteps, alone = pairs[used], n_timesteps[used], alone[used]
    pair_counts = np.bincount(pairs, weights=n_timesteps, minlength=no_emission + 1)
    begins = alone.copy()
    begins[1:] |= (pairs[1:] != pairs[:-1]) & ~alone[:-1]
    first = np.flatnonzero(begins)
    length = np.add.reduceat(n_timesteps, first) if len(first) else n_timesteps
    sequence = sequences.of_sequences[used[first] // 2]
    held = pairs[np.minimum(first + 1, len(pairs) - 1)]
    held = np.where(alone[first], held, pairs[first])
    starts = (used[first] % 2 == 0) & ~follows[used[first] // 2]
    pairs = pairs[first]

    n_parts = -(-length // max_length)
    if n_parts.max(initial=1) > 1:
        run = np.repeat(np.arange(len(length)), n_parts)
        part = np.arange(len(run)) - (np.cumsum(n_parts) - n_parts)[run]
        is_first = part == 0
        length = np.minimum(length[run] - part * max_length, max_length)
        pairs, held = np.where(is_first, pairs[run], held[run]), held[run]
        sequence, starts = sequence[run], starts[run] & is_first
    return sequence, length.astype(np.int32), pairs, held, starts, pair_counts


def run_lengths(sequences, n_syllables, *, self_transitions):
    """Return the different numbers of timesteps of runs, uncut, and how many runs have each."""
    n_runs = {}
    for _, block in sequences.blocks():
        longest = int(block.lengths.max(initial=1))
        lengths = tabulate(block, n_syllables, longest, self_transitions=self_transitions)[1]
        for length, n in zip(*np.unique(lengths, return_counts=True), strict=True):
            n_runs[int(length)] = n_runs.get(int(length), 0) + int(n)
    lengths = np.array(sorted(n_runs), np.int64)
    return lengths, np.array([n_runs[length] for length in lengths.tolist()], np.int64)


def count_runs(sequences, n_syllables, n_powers, *, self_transitions):
    """Return the number of runs of each sequence, (n_sequences,); see `pack_runs`."""
    counts = []
    for _, block in sequences.blocks():
        of_runs = tabulate(block, n_syllables, n_powers, self_transitions=self_transitions)[0]
        counts.append(np.bincount(of_runs, minlength=len(block.n_runs)))
    return np.concatenate(counts)


def pack_runs(
    sequences,
    n_syllables,
    n_powers,
    *,
    self_transitions=True,
    groups=None,
    numbers=None,
    shape=(0, 0),
    piece_shape=(0, 0),
):
    """Cut sequences into runs and lay those out in lanes.

    Parameters
    ----------
    sequences : RunLengths
        Labels 0 to n_syllables - 1, -1 where missing.
    n_syllables : int
    n_powers : int
        Length of the table of powers: no run has more timesteps.
    self_transitions, groups
        As for `tabulate`.
    numbers, shape
        As for `lanes.pack`.
    piece_shape : (n_steps, n_pieces), default=(0, 0)
        As of `common_piece_shape`; (0, 0) chooses it for these sequences.

    Returns
    -------
    packed : PackedRuns, NumPy arrays
    run_index : PackIndex
        Where the runs of each sequence lie in `packed`.
    piece_index : PackIndex
        Where the timesteps of each sequence lie in the array of pieces.
    piece_shape : (n_steps, n_pieces)
        Of the array of pieces.
    """
    lengths = sequences.lengths
    n_rows = n_syllables + 1 if self_transitions else 1
    n_groups, of_sequences = groups or Groups(1, np.zeros(len(lengths), np.int32))
    no_emission = n_pairs(n_syllables, groups) - 1
    sequence, n_timesteps, pairs, held, starts, pair_counts = tabulate(
        sequences, n_syllables, n_powers, self_transitions=self_transitions, groups=groups
    )
    n_runs = np.bincount(sequence, minlength=len(lengths))
    run_index, n_steps, n_lanes = assign_lanes(n_runs, groups, shape)
    piece_index, piece_shape = _assign_pieces(lengths, piece_shape)

    # where each run lies: runs of a sequence one below the other
    order = np.arange(len(sequence)) - np.repeat(np.cumsum(n_runs) - n_runs, n_runs)
    place = (run_index.offsets[sequence] + order, run_index.lanes[sequence])
    row = np.where((n_timesteps == 1) | (held == no_emission), n_rows - 1, held % n_syllables)
    cells = (of_sequences[sequence] * n_rows + row) * n_powers + n_timesteps - 1
    n_cells = n_groups * n_rows * n_powers
    n_positions = math.prod(piece_shape)
    end = np.cumsum(n_timesteps, dtype=np.int64)
    first = end - n_timesteps - (np.cumsum(lengths) - lengths)[sequence]
    position = piece_index.lanes[sequence] * piece_shape[0] + first

    def lay_out(values, fill, dtype):
        packed = np.full((n_steps, n_lanes), fill, dtype)
        packed[place] = values
        return packed

    packed = PackedRuns(
        pairs=lay_out(pairs, no_emission, np.int32),
        cells=lay_out(cells, n_cells - n_powers, np.int32),
        starts=lay_out(starts, True, bool),
        inside=lay_out(True, False, bool),
        positions=lay_out(position, n_positions, np.int32 if n_positions < 2**31 else np.int64),
        pair_counts=pair_counts,
        cell_counts=np.bincount(cells, minlength=n_cells)
        .reshape(n_groups, n_rows, n_powers)
        .astype(np.float64),
        counters=count_pairs_of_rows(run_index, n_steps, n_lanes, numbers),
        groups=groups_of_lanes(run_index, n_lanes, groups),
    )
    return packed, run_index, piece_index, piece_shape


def cut_pieces(
    sequences, n_syllables, packed, piece_index, piece_shape, *, self_transitions=True, groups=None
):
    """Cut sequences into pieces, and find the runs in which these begin; see `pack_runs`.

    `sequences` are one label a timestep, a list of int32 arrays.

    Returns
    -------
    pieces : Pieces, NumPy arrays
    """
    flat_pairs, flat_starts = pair_codes(
        sequences, n_syllables, self_transitions=self_transitions, groups=groups
    )
    n_steps, n_pieces = piece_shape
    pairs = np.full(n_steps * n_pieces, n_pairs(n_syllables, groups) - 1, np.int32)
    starts = np.ones(n_steps * n_pieces, bool)
    inside = np.zeros(n_steps * n_pieces, bool)
    ends = np.cumsum(piece_index.lengths)
    for lane, _, length, end in zip(*piece_index, ends, strict=True):
        place = slice(lane * n_steps, lane * n_steps + length)
        pairs[place] = flat_pairs[end - length : end]
        starts[place] = flat_starts[end - length : end]
        inside[place] = True

    # the last run that does not begin after the first timestep of the piece
    used = np.flatnonzero(inside[::n_steps])
    run, lane = np.nonzero(packed.inside)
    positions = packed.positions[run, lane]
    order = np.argsort(positions)
    found = order[np.searchsorted(positions[order], used * n_steps, side="right") - 1]

    def by_piece(values):
        laid_out = np.zeros(n_pieces, np.int32)
        laid_out[used] = values
        return laid_out

    def by_step(values):
        return np.ascontiguousarray(values.reshape(n_pieces, n_steps).T)

    laid_out = PackedSequences(
        *map(by_step, (pairs, starts, inside)),
        packed.pair_counts,
        counters=None,
        groups=by_piece(packed.groups[lane[found]]),
    )
    return Pieces(
        laid_out,
        run=by_piece(run[found]),
        lane=by_piece(lane[found]),
        within=by_piece(used * n_steps - positions[found]),
    )


def _assign_pieces(lengths, shape=(0, 0)):
    """Choose lanes of pieces for each sequence; return the index and the shape of the array."""
    n_steps = shape[0] or min(MAX_PIECE_LENGTH, round_up(max(int(np.mean(lengths)), 1)))
    n_pieces = -(-lengths // n_steps)
    lanes = np.cumsum(n_pieces) - n_pieces
    index = PackIndex(lanes, np.zeros_like(lanes), lengths)
    return index, (n_steps, round_up(max(int(n_pieces.sum()), 1, shape[1])))


def common_piece_shape(lengths, parts):
    """Return the shape of an array of pieces for parts of sequences, a list of (first, stop)."""
    _, (n_steps, _) = _assign_pieces(lengths)
    shapes = [_assign_pieces(lengths[first:stop], (n_steps, 0))[1] for first, stop in parts]
    return n_steps, max(n_pieces for _, n_pieces in shapes)


def holding_times(sequences, n_syllables):
    """Return how long syllables are held, for simulations to draw from.

    Parameters
    ----------
    sequences : RunLengths
        Labels 0 to n_syllables - 1, -1 where missing; at least one is observed.
    n_syllables : int

    Returns
    -------
    table : (n_syllables, N_QUANTILES) int32
        Quantiles of the lengths of runs, timesteps. Runs that a sequence or a gap cuts off are left
        out of syllables that have others. A syllable without a run has those of all.
    """
    labels, lengths, follows = sequences.labels, sequences.n_timesteps, sequences.follows
    whole = np.zeros(len(labels), bool)
    observed = labels >= 0
    whole[1:-1] = follows[1:-1] & observed[:-2] & follows[2:] & observed[2:]
    by_syllable = []
    for syllable in range(n_syllables):
        own = labels == syllable
        chosen = next(mask for mask in (own & whole, own, whole, observed) if mask.any())
        by_syllable.append(lengths[chosen])
    return quantiles(by_syllable)


def quantiles(by_syllable):
    """Return a table like that of `holding_times` for given lengths of each syllable."""
    levels = (np.arange(N_QUANTILES) + 0.5) / N_QUANTILES
    rows = [np.quantile(values, levels, method="inverted_cdf") for values in by_syllable]
    return np.array(rows, np.int32)
