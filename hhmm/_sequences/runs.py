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
from hhmm._sequences.ragged import Ragged
from hhmm._types import PackedRuns, PackedSequences, Pieces

# What is known of every timestep is computed in pieces of at most so many: long enough that
# few messages enter from runs, short enough that there are many lanes.
MAX_PIECE_LENGTH = 512
# Pair codes of about so many timesteps are made at a time: runs take much less memory.
BLOCK_TIMESTEPS = 1 << 22
# holding times are kept as so many quantiles a syllable
N_QUANTILES = 512


def find_runs(pairs, starts, n_syllables, max_length):
    """Cut timesteps into runs.

    Parameters
    ----------
    pairs : (n_timesteps,) int32
        Pair codes of all sequences one after the other.
    starts : (n_timesteps,) bool
        Where a sequence begins.
    n_syllables : int
    max_length : int
        Longer runs are cut.

    Returns
    -------
    first : (n_runs,) int64
        Index of the first timestep of each run.
    length : (n_runs,) int64
    """
    # (s, s) is code s * (n_syllables + 1) in its group, and no emission would begin another group
    held = pairs % n_syllables**2 % (n_syllables + 1) == 0
    alone = starts | ~held  # takes the timesteps after it in
    begins = alone.copy()
    begins[1:] |= (pairs[1:] != pairs[:-1]) & ~alone[:-1]
    first = np.flatnonzero(begins)
    length = np.diff(first, append=len(pairs))
    n_parts = -(-length // max_length)
    if n_parts.max(initial=1) > 1:
        part = np.arange(n_parts.sum()) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
        first = np.repeat(first, n_parts) + part * max_length
        length = np.diff(first, append=len(pairs))
    return first, length


def pack_runs(sequences, n_syllables, n_powers, *, self_transitions=True, groups=None):
    """Cut sequences into runs and lay those out in lanes.

    Parameters
    ----------
    sequences : list of 1-D int32 arrays
        Labels 0 to n_syllables - 1, -1 where missing.
    n_syllables : int
    n_powers : int
        Length of the table of powers: no run has more timesteps.
    self_transitions, groups
        As for `pair_codes`. Timesteps that hold a syllable are without emission where
        `self_transitions` is False.

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
    lengths = np.array([len(sequence) for sequence in sequences])
    n_rows = n_syllables + 1 if self_transitions else 1
    n_groups, of_sequences = groups or Groups(1, np.zeros(len(sequences), np.int32))
    no_emission = n_pairs(n_syllables, groups) - 1
    coding = {"self_transitions": self_transitions, "groups": groups}
    runs, pair_counts = _tabulate(sequences, n_syllables, n_powers, **coding)
    sequence, first, n_timesteps, pairs, held, starts = runs
    n_runs = np.bincount(sequence, minlength=len(sequences))
    run_index, n_steps, n_lanes = assign_lanes(n_runs, groups)
    piece_index, piece_shape = _assign_pieces(lengths)

    # where each run lies: runs of a sequence one below the other
    order = np.arange(len(first)) - np.repeat(np.cumsum(n_runs) - n_runs, n_runs)
    place = (run_index.offsets[sequence] + order, run_index.lanes[sequence])
    row = np.where((n_timesteps == 1) | (held == no_emission), n_rows - 1, held % n_syllables)
    cells = (of_sequences[sequence] * n_rows + row) * n_powers + n_timesteps - 1
    n_cells = n_groups * n_rows * n_powers
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
        positions=lay_out(position, math.prod(piece_shape), np.int64),
        pair_counts=pair_counts,
        cell_counts=np.bincount(cells, minlength=n_cells)
        .reshape(n_groups, n_rows, n_powers)
        .astype(np.float64),
        counters=count_pairs_of_rows(run_index, n_steps, n_lanes),
        groups=groups_of_lanes(run_index, n_lanes, groups),
    )
    return packed, run_index, piece_index, piece_shape


def run_lengths(sequences, n_syllables, *, self_transitions):
    """Return the number of timesteps of every run, uncut."""
    max_length = max(map(len, sequences), default=0) + 1
    coding = {"self_transitions": self_transitions}
    blocks = _blocks(sequences, n_syllables, **coding)
    return np.concatenate([find_runs(*codes, n_syllables, max_length)[1] for _, codes in blocks])


def _tabulate(sequences, n_syllables, max_length, **coding):
    """Return what each run is, and how often each pair occurs.

    Returns
    -------
    runs : tuple of (n_runs,) arrays
        The sequence, the first timestep in it, the number of timesteps, the pair code of the first
        one and of the second one (of the first one if it is alone), and whether it is a start.
    pair_counts : (n_pairs,) float64
    """
    tables, pair_counts = [], 0.0
    for numbers, (pairs, starts) in _blocks(sequences, n_syllables, **coding):
        lengths = np.array([len(sequences[i]) for i in numbers])
        first, n_timesteps = find_runs(pairs, starts, n_syllables, max_length)
        sequence = np.repeat(numbers, lengths)[first]
        begin = np.repeat(np.cumsum(lengths) - lengths, lengths)[first]
        held = pairs[np.minimum(first + 1, len(pairs) - 1)]
        tables.append((sequence, first - begin, n_timesteps, pairs[first], held, starts[first]))
        n_codes = n_pairs(n_syllables, coding["groups"])
        pair_counts += np.bincount(pairs, minlength=n_codes).astype(np.float64)
    return tuple(map(np.concatenate, zip(*tables, strict=True))), pair_counts


def _blocks(sequences, n_syllables, *, groups=None, **coding):
    """Yield numbers of sequences and their pair codes, a few million timesteps at a time."""
    ends = np.cumsum([len(sequence) for sequence in sequences])
    cuts = np.flatnonzero(np.diff((ends - 1) // BLOCK_TIMESTEPS)) + 1
    for numbers in np.split(np.arange(len(sequences)), cuts):
        of_block = (
            None if groups is None else groups._replace(of_sequences=groups.of_sequences[numbers])
        )
        block = [sequences[i] for i in numbers]
        yield numbers, pair_codes(block, n_syllables, groups=of_block, **coding)


def cut_pieces(
    sequences, n_syllables, packed, piece_index, piece_shape, *, self_transitions=True, groups=None
):
    """Cut sequences into pieces, and find the runs in which these begin; see `pack_runs`.

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


def _assign_pieces(lengths):
    """Choose lanes of pieces for each sequence; return the index and the shape of the array."""
    n_steps = min(MAX_PIECE_LENGTH, round_up(max(int(np.mean(lengths)), 1)))
    n_pieces = -(-lengths // n_steps)
    lanes = np.cumsum(n_pieces) - n_pieces
    index = PackIndex(lanes, np.zeros_like(lanes), lengths)
    return index, (n_steps, round_up(max(int(n_pieces.sum()), 1)))


def holding_times(sequences, n_syllables):
    """Return how long syllables are held, for simulations to draw from.

    Parameters
    ----------
    sequences : list of 1-D int32 arrays
        Labels 0 to n_syllables - 1, -1 where missing; at least one is observed.
    n_syllables : int

    Returns
    -------
    table : (n_syllables, N_QUANTILES) int32
        Quantiles of the lengths of runs, timesteps. Runs that a sequence or a gap cuts off are left
        out of syllables that have others. A syllable without a run has those of all.
    """
    bouts = Ragged.of(sequences).find_bouts()
    labels, lengths = bouts.values, bouts.n_timesteps
    whole = bouts.has_begin & bouts.has_end
    by_syllable = []
    for syllable in range(n_syllables):
        own = labels == syllable
        chosen = next(mask for mask in (own & whole, own, whole, labels >= 0) if mask.any())
        by_syllable.append(lengths[chosen])
    return quantiles(by_syllable)


def quantiles(by_syllable):
    """Return a table like that of `holding_times` for given lengths of each syllable."""
    levels = (np.arange(N_QUANTILES) + 0.5) / N_QUANTILES
    rows = [np.quantile(values, levels, method="inverted_cdf") for values in by_syllable]
    return np.array(rows, np.int32)
