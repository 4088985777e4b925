"""Cutting sequences into runs, and into the pieces that go with them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hhmm import _runs, _sequences

N_SYLLABLES = 3

held = st.tuples(st.integers(-1, N_SYLLABLES - 1), st.integers(1, 12))
sequence = st.lists(held, max_size=8).map(
    lambda runs: np.repeat([s for s, _ in runs], [n for _, n in runs]).astype(np.int32)
)


@given(st.lists(sequence, min_size=1, max_size=6), st.sampled_from([1, 2, 4, 64]))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_runs_written_out_are_the_sequences(sequences, n_powers):
    """Every timestep is in one run, in order, with its emission."""
    packed, run_index, piece_index, shape = _runs.pack_runs(sequences, N_SYLLABLES, n_powers)
    pieces = _runs.cut_pieces(sequences, N_SYLLABLES, packed, piece_index, shape)
    assert pieces.sequences.pairs.shape == shape
    by_position = pieces.sequences.pairs.T.reshape(-1)
    counts = np.zeros_like(packed.cell_counts)
    for i, x in enumerate(sequences):
        pairs, _ = _sequences.pair_codes([x], N_SYLLABLES)
        written = []
        rows = run_index.offsets[i] + np.arange(run_index.lengths[i])
        for row in rows:
            place = row, run_index.lanes[i]
            position = packed.positions[place]
            assert position == piece_index.lanes[i] * shape[0] + len(written)
            assert packed.inside[place]
            assert packed.starts[place] == (len(written) == 0)
            table_row, power = divmod(packed.cells[place], n_powers)
            held_pair = table_row * (N_SYLLABLES + 1) if table_row < N_SYLLABLES else N_SYLLABLES**2
            written += [packed.pairs[place]] + [held_pair] * power
            counts[table_row, power] += 1
        np.testing.assert_array_equal(written, pairs)
        begin = piece_index.lanes[i] * shape[0]
        np.testing.assert_array_equal(by_position[begin : begin + len(x)], pairs)
    assert packed.inside.sum() == run_index.lengths.sum()
    np.testing.assert_array_equal(packed.cell_counts, counts)
    assert packed.starts[~packed.inside].all()


@given(st.lists(sequence, min_size=1, max_size=4), st.sampled_from([1, 4, 64]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_pieces_know_the_run_they_begin_in(sequences, n_powers):
    packed, _, piece_index, shape = _runs.pack_runs(sequences, N_SYLLABLES, n_powers)
    pieces = _runs.cut_pieces(sequences, N_SYLLABLES, packed, piece_index, shape)
    for piece in np.flatnonzero(pieces.sequences.inside[0]):
        place = pieces.run[piece], pieces.lane[piece]
        assert packed.inside[place]
        within = piece * shape[0] - packed.positions[place]
        assert within == pieces.within[piece]
        assert 0 <= within <= packed.cells[place] % n_powers


@pytest.mark.parametrize(
    ("x", "lengths"),
    [
        ([0, 0, 0, 0], [4]),  # the first timestep takes in what holds
        ([0, 0, 1, 1, 1], [2, 3]),  # a change takes in what holds
        ([0, 1, 2, 0], [1, 1, 1, 1]),
        ([0, 0, -1, -1, -1, 0, 0], [2, 4, 1]),  # into and out of missing timesteps
        ([-1, -1, 0, 0, 0], [3, 2]),
    ],
)
def test_runs_are_as_long_as_they_can_be(x, lengths):
    pairs, starts = _sequences.pair_codes([np.array(x, np.int32)], N_SYLLABLES)
    _, found = _runs.find_runs(pairs, starts, N_SYLLABLES, 100)
    np.testing.assert_array_equal(found, lengths)
