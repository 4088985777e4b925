"""Sequences as runs: found block by block, laid out for backends, and written out again."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hhmm import EfficientHHMM
from hhmm._sequences import lanes, read, runs
from hhmm._sequences.lanes import Groups, PackIndex
from hhmm._sequences.ragged import Ragged, without_padding
from hhmm._sequences.run_lengths import HeldSequence, RunLengths, joined, merge_equal

N_SYLLABLES = 3

held = st.tuples(st.integers(-1, N_SYLLABLES - 1), st.integers(1, 12))
sequence = st.lists(held, max_size=8).map(
    lambda runs: np.repeat([s for s, _ in runs], [n for _, n in runs]).astype(np.int32)
)
sequences = st.lists(sequence, min_size=1, max_size=6)


def _assert_equal(found, expected):
    assert len(found) == len(expected)
    for row, expected_row in zip(found, expected, strict=True):
        np.testing.assert_array_equal(row, expected_row)


@given(sequences)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_runs_written_out_are_the_sequences(rows):
    found = RunLengths.of(rows)
    _assert_equal(found.sequences, rows)
    _assert_equal(list(found.one_by_one()), rows)
    _assert_equal(list(map(np.asarray, found.items())), rows)
    np.testing.assert_array_equal(found.lengths, list(map(len, rows)))
    neighbours = found.labels[1:] == found.labels[:-1]
    assert not (neighbours & found.follows[1:]).any()
    if len(found.labels):
        assert found.n_timesteps.min() > 0


@given(sequences, st.integers(1, 5), st.integers(1, 7))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_parts_and_blocks_are_the_whole(rows, n_parts, most):
    whole = RunLengths.of(rows)
    bounds = np.linspace(0, len(rows), n_parts + 1).astype(int)
    parts = [whole.part(*pair) for pair in pairwise(bounds)]
    _assert_equal(joined(parts)[:3], whole[:3])
    blocks = [block for _, block in whole.blocks(most)]
    _assert_equal(joined(blocks)[:3], whole[:3])


@given(sequence, st.integers(1, 9))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_blocks_of_a_sequence_are_joined(x, size):
    pieces = RunLengths.of([x[i : i + size] for i in range(0, len(x), size)] or [x])
    _assert_equal(merge_equal(*pieces[:2]), RunLengths.of([x])[:2])


@given(sequences, st.integers(0, 12), st.booleans())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_runs_do_what_timesteps_do(rows, most, is_array):
    """Bouts, used lengths and cuts of `RunLengths` are those of `Ragged`."""
    forms = [RunLengths.of(rows), Ragged.of(rows)]
    held, values = (x._replace(layout=x.layout._replace(is_array=is_array)) for x in forms)
    _assert_equal(held.find_bouts(), values.find_bouts())
    np.testing.assert_array_equal(held.n_used, values.n_used)
    lengths = np.minimum(values.lengths, most)
    _assert_equal(held.cut(lengths).sequences, values.cut(lengths).sequences)
    expected = without_padding(values, lengths).sequences
    _assert_equal(without_padding(held, lengths).sequences, expected)


@given(sequences, st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_runs_beside_others(rows, seed):
    """Each stretch is of one run of both; written out, they are the sequences."""
    others = [np.random.default_rng(seed).integers(0, 2, len(x)).astype(np.int32) for x in rows]
    first, second = RunLengths.of(rows), RunLengths.of(others)
    own, other, n_timesteps = first.beside(second)
    for side, numbers, written in ((first, own, rows), (second, other, others)):
        labels = np.repeat(side.labels[numbers], n_timesteps)
        np.testing.assert_array_equal(labels, np.concatenate(written))
    changes = (np.diff(own) > 0) | (np.diff(other) > 0)
    assert changes.all()


@pytest.mark.parametrize("block", [1, 5, 1 << 22])
@pytest.mark.parametrize("form", ["list", "array", "masked", "held"])
def test_every_form_is_read_as_its_runs(form, block, monkeypatch):
    """Block by block, with missing timesteps in the middle and at the end."""
    monkeypatch.setattr(read, "BLOCK_TIMESTEPS", block)
    rows = [[0, 0, -1, -1, 2, 2, -1], [1, 1, 1, 1, 1, 1, 1], [-1] * 7, [2, -1, 1, 1, -1, -1, -1]]
    X, mask = np.array(rows, np.int16), None
    if form == "list":
        X = [X[0], X[1].tolist(), X[2].astype(float), np.where(X[3] < 0, np.nan, X[3])]
    if form == "masked":
        X, mask = np.abs(X), X >= 0
    if form == "held":
        X = [HeldSequence(*RunLengths.of([x.astype(np.int32)])[:2]) for x in X]
    found = read.check_runs(EfficientHHMM(), X, mask=mask, reset=True)
    _assert_equal(found.sequences, [[0, 0, -1, -1, 2, 2], [1] * 7, [], [2, -1, 1, 1]])
    np.testing.assert_array_equal(found.layout.n_timesteps, [7] * 4)
    assert found.layout.is_array == (form in ("array", "masked"))


@pytest.mark.parametrize("block", [2, 1 << 22])
def test_a_wrong_label_is_located_in_any_block(block, monkeypatch):
    monkeypatch.setattr(read, "BLOCK_TIMESTEPS", block)
    with pytest.raises(ValueError, match=r"X, sequence 1, timestep 3: expected an integer .*2\.5"):
        EfficientHHMM(2).fit([[0, 1, 0], [0.0, 1, 0, 2.5, 1]])
    model = EfficientHHMM.from_params([[0], [0]], [[1]], [[0.9, 0.1], [0.1, 0.9]])
    with pytest.raises(ValueError, match=r"syllable 7 \(sequence 1, timestep 3\)"):
        model.predict([[0, 1, 0], [0, 0, 0, 7, 1]])


@given(sequences, st.sampled_from([1, 2, 64]), st.booleans(), st.booleans())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_runs_of_labels_are_cut_as_timesteps_are(rows, max_length, self_transitions, has_groups):
    """`tabulate` beside an oracle that walks through the timesteps."""
    groups = None
    if has_groups:
        groups = Groups(2, np.arange(len(rows), dtype=np.int32) % 2)
    coding = {"self_transitions": self_transitions, "groups": groups}
    found = RunLengths.of(rows)
    *table, pair_counts = runs.tabulate(found, N_SYLLABLES, max_length, **coding)
    expected = []
    for i, x in enumerate(rows):
        of_sequence = None if groups is None else Groups(2, groups.of_sequences[[i]])
        pairs, _ = lanes.pair_codes(
            [x], N_SYLLABLES, self_transitions=self_transitions, groups=of_sequence
        )
        expected += [(i, *run) for run in _walk(pairs, max_length)]
    sequence, n_timesteps, pairs, held, starts = table
    n_pairs = lanes.n_pairs(N_SYLLABLES, groups)
    assert sequence.tolist() == [run[0] for run in expected]
    assert n_timesteps.tolist() == [run[1] for run in expected]
    assert pairs.tolist() == [run[2] for run in expected]
    assert starts.tolist() == [run[4] for run in expected]
    is_long = n_timesteps > 1
    assert held[is_long].tolist() == [run[3] for run in expected if run[1] > 1]
    flat, _ = lanes.pair_codes(rows, N_SYLLABLES, **coding)
    np.testing.assert_array_equal(pair_counts, np.bincount(flat, minlength=n_pairs))


def _walk(pairs, max_length):
    """Runs of one sequence: timesteps, first pair, held pair, and whether it is the start."""
    t = 0
    while t < len(pairs):
        first, held = pairs[t], pairs[t]
        stop = t + 1
        is_alone = t == 0 or not _is_held(first)
        if is_alone and stop < len(pairs) and _is_held(pairs[stop]):
            held = pairs[stop]
        if not is_alone or (stop < len(pairs) and _is_held(pairs[stop])):
            while stop < len(pairs) and pairs[stop] == held:
                stop += 1
        # longer runs are cut; what goes on holds
        for begin in range(t, stop, max_length):
            n = min(max_length, stop - begin)
            yield n, first if begin == t else held, held, begin == 0
        t = stop


def _is_held(pair):
    return pair % N_SYLLABLES**2 % (N_SYLLABLES + 1) == 0


def test_values_that_are_laid_out_in_lanes_become_runs_of_their_sequences():
    """Two sequences share a lane, out of order; one is empty."""
    # lane 0: sequence 2, two unused; lane 1: sequence 0, then sequence 3
    changes = np.array([4, -1, 5, 5, 7, 7, 1, 1, 0, -1, 3, 3])
    index = PackIndex(np.array([1, 0, 0, 1]), np.array([0, 0, 0, 2]), np.array([2, 0, 4, 4]))
    found = lanes.runs_of_changes(changes, index, 6)
    _assert_equal(found.sequences, [[1, 1], [], [4, 4, 5, 5], [0, 0, 3, 3]])
    assert found.n_runs.tolist() == [1, 0, 2, 2]


def test_values_of_every_timestep_become_changes():
    """A sequence begins with a value, also where that is the last one of its neighbour."""
    values = np.array([4, 4, 5, 5, 7, 7, 1, 1, 1, 1, 3, 3])
    index = PackIndex(np.array([1, 0, 0, 1]), np.array([0, 0, 0, 2]), np.array([2, 0, 4, 4]))
    lanes.mark_changes(values, index, 6)
    assert values.tolist() == [4, -1, 5, -1, 7, -1, 1, -1, 1, -1, 3, -1]


@pytest.mark.parametrize("n_parts", [1, 2, 3, 50])
def test_parts_hold_every_sequence_once(n_parts):
    steps = np.array([5, 0, 100, 3, 3, 3, 40, 60, 0, 1])
    parts = lanes.split_sequences(steps, n_parts)
    assert [i for part in parts for i in range(*part)] == list(range(len(steps)))
    assert len(parts) <= n_parts
