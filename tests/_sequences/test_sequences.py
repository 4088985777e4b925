"""Packing sequences into lanes and back."""

import numpy as np
import pytest

from hhmm._sequences import lanes
from hhmm._sequences.read import Layout

N_SYLLABLES = 4


def _random_sequences(rng, lengths):
    return [rng.integers(-1, N_SYLLABLES, n).astype(np.int32) for n in lengths]


@pytest.mark.parametrize("seed", range(5))
def test_every_timestep_has_one_place_and_its_pair(seed):
    rng = np.random.default_rng(seed)
    sequences = _random_sequences(rng, rng.integers(0, 40, 30))
    packed, index = lanes.pack(sequences, N_SYLLABLES)
    assert packed.inside.sum() == sum(map(len, sequences))
    taken = np.zeros(packed.inside.shape, int)
    for x, lane, offset in zip(sequences, index.lanes, index.offsets, strict=True):
        for t in range(len(x)):
            row = offset + t
            taken[row, lane] += 1
            assert packed.starts[row, lane] == (t == 0)
            emits = t > 0 and x[t - 1] >= 0 and x[t] >= 0
            expected = x[t - 1] * N_SYLLABLES + x[t] if emits else N_SYLLABLES**2
            assert packed.pairs[row, lane] == expected
    assert taken.max() == 1
    np.testing.assert_array_equal(taken == 1, packed.inside)
    # the chain is cut at every unused timestep, so nothing leaks through it
    assert packed.starts[~packed.inside].all()
    assert (packed.pairs[~packed.inside] == N_SYLLABLES**2).all()
    expected = np.bincount(packed.pairs[packed.inside], minlength=N_SYLLABLES**2 + 1)
    np.testing.assert_array_equal(packed.pair_counts, expected)


def test_one_long_sequence_does_not_pad_the_short_ones():
    sequences = [np.zeros(100_000, np.int32)] + [np.zeros(50, np.int32)] * 1000
    packed, _ = lanes.pack(sequences, 1)
    assert packed.pairs.size < 1.1 * 2 * 100_000


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 100, 1000, 20_000, 432_000])
def test_rounded_shapes_waste_at_most_a_sixteenth(n):
    rounded = lanes.round_up(n)
    assert n <= rounded <= n * 17 / 16


def test_shapes_of_similar_data_agree():
    """So that folds of a cross-validation share a compiled kernel."""
    shapes = {lanes.round_up(n) for n in range(929, 961)}
    assert shapes == {960, 992} or shapes == {960}


def test_few_timesteps_of_any_number_have_few_shapes():
    """So that predictions of one short recording after the other compile little."""
    shapes = {lanes.assign_lanes([n] * m)[1:] for n in range(500, 1001) for m in (5, 6, 7, 8)}
    assert shapes == {(512, 8), (1024, 8)}


@pytest.mark.parametrize("is_array", [True, False])
def test_unpack_undoes_pack(is_array):
    rng = np.random.default_rng(0)
    lengths = np.array([7, 0, 3, 12, 1])
    sequences = [rng.integers(0, N_SYLLABLES, n).astype(np.int32) for n in lengths]
    packed, index = lanes.pack(sequences, N_SYLLABLES)
    values = np.zeros(packed.pairs.shape, np.int32)
    for x, lane, offset, length in zip(sequences, *index, strict=True):
        values[offset : offset + length, lane] = x
    n_timesteps = np.full(5, 14) if is_array else lengths + 2
    rows = lanes.unpack([values], index, Layout(is_array, n_timesteps), fill=-1)
    assert isinstance(rows, np.ndarray) == is_array
    for row, x, n in zip(rows, sequences, n_timesteps, strict=True):
        assert row.shape == (n,)
        np.testing.assert_array_equal(row[: len(x)], x)
        assert (row[len(x) :] == -1).all()


def test_unpack_keeps_the_values_of_a_timestep_together():
    sequences = [np.zeros(3, np.int32), np.zeros(2, np.int32)]
    packed, index = lanes.pack(sequences, 1)
    n_steps, n_lanes = packed.pairs.shape
    values = np.arange(n_steps * 2 * n_lanes, dtype=float).reshape(n_steps, 2, n_lanes)
    rows = lanes.unpack([values], index, Layout(False, np.array([3, 2])), fill=np.nan)
    for i, row in enumerate(rows):
        for t, k in np.ndindex(row.shape):
            assert row[t, k] == values[index.offsets[i] + t, k, index.lanes[i]]


def test_sum_by_sequence_matches_a_loop():
    rng = np.random.default_rng(1)
    sequences = _random_sequences(rng, [5, 0, 9, 4, 2, 3])
    packed, index = lanes.pack(sequences, N_SYLLABLES)
    values = rng.standard_normal(packed.pairs.shape)
    expected = [
        values[offset : offset + length, lane].sum()
        for lane, offset, length in zip(*index, strict=True)
    ]
    np.testing.assert_allclose(lanes.sum_by_sequence([values], index), expected, atol=1e-12)


def test_a_sequence_may_go_on_in_the_next_lane():
    """As the pieces of long sequences do."""
    index = lanes.PackIndex(np.array([0, 2]), np.array([0, 0]), np.array([5, 2]))
    values = np.arange(9.0).reshape(3, 3).T  # lane after lane, three timesteps each
    rows = lanes.unpack([values], index, Layout(False, np.array([5, 2])), fill=-1)
    np.testing.assert_array_equal(rows[0], [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(rows[1], [6, 7])
    np.testing.assert_array_equal(lanes.sum_by_sequence([values], index), [10, 13])
