"""hhmm.metrics against brute force: all permutations, and loops over all timesteps."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hhmm
from hhmm.metrics import (
    _matching,
    match_states,
    matched_accuracy,
    matched_confusion_matrix,
    state_durations,
    state_transitions,
    state_usage,
)

PACKAGE = str(Path(hhmm.__file__).parent)

TWO_SEQUENCE_FUNCTIONS = [match_states, matched_accuracy, matched_confusion_matrix]
ONE_SEQUENCE_FUNCTIONS = [state_usage, state_durations, state_transitions]


def random_states(rng, *, n_states, n_sequences=6, max_length=30, missing=0.2):
    """Lists of sticky states with gaps, some sequences empty or without any state."""
    sequences = []
    for i in range(n_sequences):
        length = 0 if i == 2 else int(rng.integers(1, max_length))
        states = np.repeat(rng.integers(0, n_states, length), rng.integers(1, 4, length))[:length]
        states[rng.random(length) < missing] = -1
        if i == 4:
            states[:] = -1
        sequences.append(states)
    return sequences


def as_rows(sequences, *, extra=2):
    """The same sequences as the rows of one array, padded with -1."""
    width = max(len(s) for s in sequences) + extra
    rows = np.full((len(sequences), width), -1)
    for row, sequence in zip(rows, sequences, strict=True):
        row[: len(sequence)] = sequence
    return rows


def largest_agreement(y_true, y_pred, n_labels):
    """Most timesteps that agree under any permutation of `n_labels` labels, and of how many."""
    pairs = [
        (t, p)
        for true, pred in zip(y_true, y_pred, strict=True)
        for t, p in zip(true, pred, strict=True)
        if t >= 0 and p >= 0
    ]
    best = max(
        sum(t == permutation[p] for t, p in pairs)
        for permutation in itertools.permutations(range(n_labels))
    )
    return best, pairs


def agreement(y_true, y_pred, mapping):
    return sum(
        t == mapping[p]
        for true, pred in zip(y_true, y_pred, strict=True)
        for t, p in zip(true, pred, strict=True)
        if t >= 0 and p >= 0
    )


@pytest.mark.parametrize("n_pred", [1, 2, 3, 4])
@pytest.mark.parametrize("n_true", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_matching_is_the_best_of_all_permutations(n_true, n_pred, seed):
    rng = np.random.default_rng(seed)
    y_true = random_states(rng, n_states=n_true)
    y_pred = [rng.integers(-1, n_pred, len(s)) for s in y_true]
    y_pred[0][0] = n_pred - 1
    best, pairs = largest_agreement(y_true, y_pred, max(n_true, n_pred))

    mapping = match_states(y_true, y_pred)
    assert mapping.dtype == np.int64
    assert mapping.shape == (n_pred,)
    assert len(set(mapping.tolist())) == n_pred
    assert agreement(y_true, y_pred, mapping) == best
    assert matched_accuracy(y_true, y_pred) == pytest.approx(best / len(pairs), rel=1e-12)

    confusion = matched_confusion_matrix(y_true, y_pred)
    by_hand = np.zeros_like(confusion)
    for t, p in pairs:
        by_hand[t, mapping[p]] += 1
    np.testing.assert_array_equal(confusion, by_hand)
    assert np.trace(confusion) == best
    largest = max(max(t, mapping[p]) for t, p in pairs)
    assert confusion.shape == (largest + 1, largest + 1)


def test_matching_by_largest_column_would_not_be_one_to_one():
    y_true = np.array([0] * 10 + [1] * 3)
    y_pred = np.array([0] * 6 + [1] * 4 + [1] * 3)
    np.testing.assert_array_equal(match_states(y_true, y_pred), [0, 1])
    assert matched_accuracy(y_true, y_pred) == 9 / 13


def test_a_permutation_is_recovered():
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 7, (5, 200))
    permutation = rng.permutation(7)
    y_pred = np.argsort(permutation)[y_true]
    np.testing.assert_array_equal(match_states(y_true, y_pred), permutation)
    assert matched_accuracy(y_true, y_pred) == 1.0
    np.testing.assert_array_equal(
        matched_confusion_matrix(y_true, y_pred), np.diag(np.bincount(y_true.ravel()))
    )


def test_predicted_states_left_over_get_new_labels():
    y_true = np.array([0, 0, 0, 1, 1, 1, 0, 1])
    y_pred = np.array([3, 3, 3, 1, 1, 1, 0, 2])
    np.testing.assert_array_equal(match_states(y_true, y_pred), [2, 1, 3, 0])
    confusion = matched_confusion_matrix(y_true, y_pred)
    np.testing.assert_array_equal(
        confusion, [[3, 0, 1, 0], [0, 3, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    )


def test_labels_that_never_occur_are_mapped_one_to_one_as_well():
    y_true = np.array([0, 0, 2, 2])
    y_pred = np.array([4, 4, 1, 1])
    mapping = match_states(y_true, y_pred)
    np.testing.assert_array_equal(mapping[[4, 1]], [0, 2])
    np.testing.assert_array_equal(np.sort(mapping), np.arange(5))


def test_labels_at_ignored_timesteps_are_mapped_too():
    y_true = np.array([0, 0, 1, -1])
    y_pred = np.array([1, 1, 0, 3])
    mapping = match_states(y_true, y_pred)
    np.testing.assert_array_equal(mapping, [1, 0, 2, 3])
    np.testing.assert_array_equal(mapping[y_pred], [0, 0, 1, 3])
    assert matched_accuracy(y_true, y_pred) == 1.0


def test_timesteps_negative_in_either_are_ignored():
    y_true = np.array([0, 0, 1, 1, -1, -5, 0])
    y_pred = np.array([1, 1, 0, 0, 0, 0, -1])
    assert matched_accuracy(y_true, y_pred) == 1.0
    assert matched_confusion_matrix(y_true, y_pred).sum() == 4


@pytest.mark.parametrize("normalize", ["true", "pred", "all"])
def test_normalised_confusion_matrix(normalize):
    rng = np.random.default_rng(1)
    y_true = rng.integers(0, 3, 100)
    y_pred = np.where(rng.random(100) < 0.7, (y_true + 1) % 3, rng.integers(0, 5, 100))
    counts = matched_confusion_matrix(y_true, y_pred).astype(float)
    expected = np.zeros_like(counts)
    for i, j in np.ndindex(*counts.shape):
        total = {"true": counts[i].sum(), "pred": counts[:, j].sum(), "all": 100.0}[normalize]
        expected[i, j] = counts[i, j] / total if total else 0.0
    result = matched_confusion_matrix(y_true, y_pred, normalize=normalize)
    np.testing.assert_allclose(result, expected, rtol=1e-12)
    assert (counts.sum(axis=1) == 0).any()


@pytest.mark.parametrize("n_labels", [3, 5])
def test_huge_labels_take_no_memory(n_labels):
    rng = np.random.default_rng(2)
    small = rng.integers(0, n_labels, 500)
    noisy = np.where(rng.random(500) < 0.8, (small + 1) % n_labels, small)
    names = np.array([10**9, 7, 10**12, 2**62, 3])
    assert matched_accuracy(names[small], names[noisy]) == matched_accuracy(small, noisy)
    mapping = match_states(names[small], noisy)
    np.testing.assert_array_equal(mapping, names[match_states(small, noisy)])


def test_sparse_labels_are_counted_as_dense_ones_are(monkeypatch):
    rng = np.random.default_rng(3)
    y_true, y_pred = rng.integers(0, 9, 400), rng.integers(0, 7, 400)
    dense = matched_confusion_matrix(y_true, y_pred)
    monkeypatch.setattr(_matching, "_DENSE_TABLE_ENTRIES", 0)
    np.testing.assert_array_equal(matched_confusion_matrix(y_true, y_pred), dense)


@pytest.mark.parametrize("per_sequence", [False, True])
@pytest.mark.parametrize("n_states", [None, 6])
def test_usage_is_what_a_loop_counts(n_states, per_sequence):
    sequences = random_states(np.random.default_rng(4), n_states=4)
    sequences[0][0] = 3
    n_columns = 4 if n_states is None else n_states
    counts = np.zeros((len(sequences), n_columns))
    for row, sequence in zip(counts, sequences, strict=True):
        for state in sequence:
            if state >= 0:
                row[state] += 1
    if not per_sequence:
        counts = counts.sum(axis=0, keepdims=True)
    expected = np.array([row / row.sum() if row.sum() else row * np.nan for row in counts])

    with np.errstate(all="raise"):
        usage = state_usage(sequences, n_states=n_states, per_sequence=per_sequence)
    np.testing.assert_allclose(usage, expected if per_sequence else expected[0], rtol=1e-12)
    if per_sequence:
        assert np.isnan(usage[[2, 4]]).all()
        assert np.isfinite(usage[[0, 1, 3, 5]]).all()


def test_usage_without_a_single_state_is_nan():
    assert np.isnan(state_usage([-1, -1], n_states=2)).all()
    assert np.isnan(state_usage(np.empty((2, 0), dtype=int), n_states=3)).all()


def durations_by_loop(sequences, n_states, include_censored):
    durations = [[] for _ in range(n_states)]
    for sequence in sequences:
        start = 0
        while start < len(sequence):
            stop = start
            while stop < len(sequence) and sequence[stop] == sequence[start]:
                stop += 1
            cut = start == 0 or stop == len(sequence)
            cut = cut or sequence[start - 1] < 0 or sequence[stop] < 0
            if sequence[start] >= 0 and (include_censored or not cut):
                durations[sequence[start]].append(stop - start)
            start = stop
    return durations


@pytest.mark.parametrize("include_censored", [True, False])
@pytest.mark.parametrize("form", ["list", "2-D", "1-D"])
@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_durations_are_what_a_loop_counts(form, include_censored, missing):
    sequences = random_states(
        np.random.default_rng(5), n_states=3, n_sequences=40, max_length=60, missing=missing
    )
    if form == "1-D":
        sequences = [np.concatenate(sequences)]
    states = {"list": sequences, "2-D": as_rows(sequences), "1-D": sequences[0]}[form]
    durations = state_durations(states, n_states=5, include_censored=include_censored)
    expected = durations_by_loop(sequences, 5, include_censored)
    assert [d.tolist() for d in durations] == expected
    assert all(d.dtype == np.int64 for d in durations)
    assert len(expected[0]) > 3
    assert expected[4] == []


@pytest.mark.parametrize("include_censored", [True, False])
def test_durations_of_each_sequence(include_censored):
    sequences = random_states(np.random.default_rng(7), n_states=3, n_sequences=20)
    durations = state_durations(
        sequences, n_states=4, include_censored=include_censored, per_sequence=True
    )
    assert len(durations) == 20
    for sequence, found in zip(sequences, durations, strict=True):
        expected = durations_by_loop([sequence], 4, include_censored)
        assert [d.tolist() for d in found] == expected
    one = state_durations(sequences[0], include_censored=include_censored, per_sequence=True)
    assert len(one) == 1


@pytest.mark.parametrize("form", ["list", "2-D", "1-D"])
@pytest.mark.parametrize("per_sequence", [False, True])
def test_transitions_are_what_a_loop_counts(form, per_sequence):
    sequences = random_states(np.random.default_rng(8), n_states=3, n_sequences=20, missing=0.1)
    if form == "1-D":
        sequences = [np.concatenate(sequences)]
    states = {"list": sequences, "2-D": as_rows(sequences), "1-D": sequences[0]}[form]
    expected = np.zeros((len(sequences), 5, 5), dtype=np.int64)
    for counts, sequence in zip(expected, sequences, strict=True):
        for before, after in itertools.pairwise(sequence):
            if before >= 0 and after >= 0:
                counts[before, after] += 1
    counts = state_transitions(states, n_states=5, per_sequence=per_sequence)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, expected if per_sequence else expected.sum(axis=0))
    assert (np.diagonal(expected.sum(axis=0))[:3] > 10).all()


def test_transitions_do_not_cross_sequences_or_gaps():
    assert state_transitions([[0], [1], [], [0, -1, 1], []]).tolist() == [[0, 0], [0, 0]]
    assert state_transitions([0, 1, 1]).tolist() == [[0, 1], [0, 1]]
    assert state_transitions([[], []], n_states=1).tolist() == [[0]]


def test_results_that_are_too_large_are_refused():
    states = [[0, 4000]] * 2
    with pytest.raises(ValueError, match=r"a row and a column for each label .* 4000 in"):
        state_transitions(states)
    with pytest.raises(ValueError, match="state_durations returns an array for each label"):
        state_durations([[0]] * 2000, n_states=10_000, per_sequence=True)


def test_bouts_end_with_their_sequence():
    assert [d.tolist() for d in state_durations([[1, 1], [1], [], [0, 1], []])] == [[1], [2, 1, 1]]
    assert [d.tolist() for d in state_durations([[-1], [0, 1, 0]], include_censored=False)] == [
        [],
        [1],
    ]


def test_durations_without_a_timestep():
    assert [d.tolist() for d in state_durations([[], []], n_states=2)] == [[], []]
    durations = state_durations([[-1, -1]], n_states=2, include_censored=False)
    assert [d.tolist() for d in durations] == [[], []]


def forms_of(sequences):
    """The same sequences in every form."""
    ragged = np.empty(len(sequences), dtype=object)
    ragged[:] = sequences
    rows = as_rows(sequences)
    return {
        "list of lists": [s.tolist() for s in sequences],
        "tuple": tuple(sequences),
        "object array": ragged,
        "Series of arrays": pd.Series(list(sequences)),
        "2-D": rows,
        "2-D int8": rows.astype(np.int8),
        "2-D float": rows.astype(float),
        "2-D NaN": np.where(rows < 0, np.nan, rows),
        "2-D object": rows.astype(object),
        "frame": pd.DataFrame(rows),
        "masked": np.ma.masked_less(rows, 0),
        "masked unsigned": np.ma.masked_array(np.maximum(rows, 0).astype(np.uint8), rows < 0),
        "list of masked": [np.ma.masked_less(s, 0) for s in sequences],
    }


@pytest.mark.parametrize("form", list(forms_of([np.array([0, 1])])))
def test_every_form_gives_the_same_result(form):
    rng = np.random.default_rng(6)
    y_true = random_states(rng, n_states=4, missing=0.1)
    y_pred = [rng.integers(0, 4, len(s)) for s in y_true]
    mapping, accuracy = match_states(y_true, y_pred), matched_accuracy(y_true, y_pred)
    changed = forms_of(y_true)[form]

    np.testing.assert_array_equal(match_states(changed, y_pred), mapping)
    assert matched_accuracy(changed, y_pred) == accuracy
    assert matched_accuracy(changed, as_rows(y_pred)) == accuracy
    assert matched_accuracy(y_pred, changed) == pytest.approx(accuracy, rel=1e-12)
    np.testing.assert_array_equal(
        state_usage(changed, per_sequence=True), state_usage(y_true, per_sequence=True)
    )
    for include_censored in (True, False):
        durations = state_durations(changed, include_censored=include_censored)
        for got, expected in zip(
            durations, state_durations(y_true, include_censored=include_censored), strict=True
        ):
            np.testing.assert_array_equal(got, expected)


def test_one_sequence_in_every_form():
    y_true, y_pred = [0, 0, 1, 1, 2], [1, 1, 2, 2, 2]
    for true in (y_true, np.array(y_true), [y_true], np.array([y_true]), pd.Series(y_true)):
        for pred in (y_pred, np.array(y_pred), [y_pred], np.array([[*y_pred, -1]])):
            if np.ndim(true) == np.ndim(pred) == 2 and len(pred[0]) != len(true[0]):
                continue
            assert matched_accuracy(true, pred) == 0.8


def test_booleans_are_states_0_and_1():
    np.testing.assert_array_equal(state_usage(np.array([True, True, False, True])), [0.25, 0.75])
    masked = np.ma.masked_array([True, False, False], [False, False, True])
    np.testing.assert_array_equal(state_usage(masked), [0.5, 0.5])


@pytest.mark.filterwarnings("error")
def test_short_floats_are_states_too():
    for dtype in (np.float16, np.float32):
        states = np.array([0, 1, np.nan, 2048], dtype)
        np.testing.assert_array_equal(match_states(states, states)[[0, 1, 2048]], [0, 1, 2048])


def test_labels_are_not_rounded():
    y_true = [[2**53, 2**53 + 1], []]
    assert matched_accuracy(y_true, [[0, 1], []]) == 1.0


def test_any_negative_number_is_no_state():
    with np.errstate(all="raise"):
        usage = state_usage(np.array([0.0, -1e300, 1.0, -(2.0**40)]))
    np.testing.assert_array_equal(usage, [0.5, 0.5])


def test_a_row_may_be_compared_with_a_list_of_its_length_or_shorter():
    y_true = np.array([[0, 1, -1, -1]])
    for length in (2, 3, 4):
        assert matched_accuracy(y_true, [[0, 1, 1, 1][:length]]) == 1.0
        assert matched_accuracy([[0, 1, 1, 1][:length]], y_true) == 1.0


def test_the_input_is_not_changed():
    rows = np.array([[0.0, 1.0, np.nan], [1.0, -3.0, 2.0]])
    before = rows.copy()
    matched_accuracy(rows, rows)
    state_usage(rows)
    state_durations(rows, include_censored=False)
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize("function", TWO_SEQUENCE_FUNCTIONS)
@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ([[0], [1]], [[0]], r"y_pred has 1 sequence\(s\), but y_true has 2"),
        ([[0]], [[0], [1]], r"y_pred has 2 sequence\(s\), but y_true has 1"),
        (np.zeros((3, 4), int), np.zeros(12, int), r"y_pred has 1 sequence\(s\), but y_true has 3"),
        (
            [[0], [0, 1], [0, 1]],
            [[0], [0, 1, 1], [0]],
            r"y_pred, sequence 1 has 3 timestep\(s\), but y_true has 2",
        ),
        (
            np.zeros((2, 4), int),
            np.zeros((2, 5), int),
            r"y_pred, sequence 0 has 5 timestep\(s\), but y_true has 4",
        ),
        (
            np.array([[0, -1, -1], [0, 0, -1]]),
            [[0], [1]],
            r"y_pred, sequence 1 has 1 timestep\(s\), but y_true has 2",
        ),
        (
            [[0], [1, 1, 1, 1]],
            np.array([[0, -1, -1], [0, 0, -1]]),
            r"y_pred, sequence 1 has 2 timestep\(s\), but y_true has 4",
        ),
        ([0, 1], [0, 1, 1], r"y_pred, sequence 0 has 3 timestep\(s\), but y_true has 2"),
        ([0, -1], [-1, 0], "a state .* in common timesteps, got none in 2 timesteps"),
        ([[], []], [[], []], "a state .* in common timesteps, got none in 0 timesteps"),
        (np.empty((1, 0), int), [[]], "a state .* in common timesteps, got none in 0 timesteps"),
        ([], [], "y_true must hold at least one sequence"),
        ([0, 1], np.empty((0, 3), int), "y_pred must hold at least one sequence"),
        ([0, 1.5], [0, 1], "y_true, sequence 0, timestep 1: expected an integer, got 1.5"),
        (
            [[0, 1], [], [2, 2.5]],
            [[0, 1], [], [2, 2]],
            "y_true, sequence 2, timestep 1: expected an integer, got 2.5",
        ),
        ([0, 1], [np.inf, 1], "y_pred, sequence 0, timestep 0: expected an integer, got inf"),
        ([0, 1], [-np.inf, 1], "y_pred, sequence 0, timestep 0: expected an integer, got -inf"),
        (
            [0, 1],
            [0, 1e19],
            r"y_pred, sequence 0, timestep 1: expected a number up to \d+, got 1e\+19",
        ),
        (
            np.array([0, 2**63], dtype=np.uint64),
            [0, 1],
            r"y_true, sequence 0, timestep 1: expected a number up to \d+, got 9223372036854775808",
        ),
        (
            np.zeros((2, 3, 4), int),
            [0],
            r"y_true must be 1-D, 2-D .* got an array of shape \(2, 3, 4\)",
        ),
        (
            [[0, 1], [[0, 1]]],
            [[0, 1], [0, 1]],
            r"y_true, sequence 1 must be a 1-D array, got shape \(1, 2\)",
        ),
        (
            [[0], [[0], [1, 2]]],
            [[0], [0]],
            r"y_true, sequence 1 must be a 1-D array, got \[\[0\], \[1, 2\]\]: ",
        ),
        ([0, [1]], [0, 1], r"y_true must be an array of numbers, got \[0, \[1\]\]: "),
        (
            np.arange(4000),
            np.arange(4000),
            "must hold labels of states, got 4000 and 4000 different labels",
        ),
    ],
)
def test_wrong_values(function, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        function(y_true, y_pred)


@pytest.mark.parametrize("function", TWO_SEQUENCE_FUNCTIONS)
@pytest.mark.parametrize(
    ("y_pred", "message"),
    [
        (["a", "b"], r"y_pred must hold integers, got \['a', 'b'\] of dtype <U1"),
        ([["a", "b"]], r"y_pred, sequence 0 must hold integers, got \['a', 'b'\] of dtype <U1"),
        ([[0, 1j]], "y_pred, sequence 0 must hold integers, got .* of dtype complex128"),
        (None, "y_pred must be an array or a list .* got a single NoneType"),
        (3, "y_pred must be an array or a list .* got a single int"),
        ({0: 1}, "y_pred must be an array or a list .* got a single dict"),
    ],
)
def test_wrong_types(function, y_pred, message):
    with pytest.raises(TypeError, match=message):
        function([0, 1], y_pred)


def test_labels_too_large_for_the_result_are_named():
    huge = 10**9
    with pytest.raises(ValueError, match=r"one entry .* label 1000000000 in y_pred"):
        match_states([0, 1], [0, huge])
    with pytest.raises(ValueError, match=r"a row and a column .* label 1000000000 in y_true"):
        matched_confusion_matrix([0, huge], [0, 1])
    with pytest.raises(ValueError, match=r"a row and a column .* label 3999 in y_pred"):
        matched_confusion_matrix(np.zeros(4000, int), np.arange(4000))
    for function in ONE_SEQUENCE_FUNCTIONS:
        with pytest.raises(ValueError, match=r"one result .* label 1000000000 in states"):
            function([0, huge])


def test_normalize_is_checked():
    with pytest.raises(ValueError, match=r"'normalize' .* a str among {.*} or None. Got 'rows'"):
        matched_confusion_matrix([0], [0], normalize="rows")


@pytest.mark.parametrize("function", ONE_SEQUENCE_FUNCTIONS)
def test_n_states_is_checked(function):
    states = [[0, 1], [], [2, 1, 3, 4]]
    expected = "states, sequence 2, timestep 2: expected a state below n_states=3, got 3"
    with pytest.raises(ValueError, match=expected):
        function(states, n_states=3)
    with pytest.raises(ValueError, match="n_states == 0, must be >= 1"):
        function(states, n_states=0)
    with pytest.raises(TypeError, match="n_states must be an instance of int, not float"):
        function(states, n_states=3.0)
    for n_states in (10_000_001, 2**53, 10**30):
        with pytest.raises(ValueError, match=f"n_states == {n_states}, must be <= 10000000"):
            function(states, n_states=n_states)
    with pytest.raises(ValueError, match="if n_states is None, got none in 2 timesteps"):
        function([[-1], [-1]])
    assert len(function(states, n_states=np.int32(5))) == 5


@pytest.mark.parametrize("function", ONE_SEQUENCE_FUNCTIONS)
def test_states_are_checked(function):
    with pytest.raises(
        ValueError, match=r"states, sequence 1, timestep 0: expected an integer, got 0.5"
    ):
        function([[0.0], [0.5]])
    with pytest.raises(TypeError, match=r"states must hold integers, got \['a'\] of dtype <U1"):
        function(["a"])


@pytest.mark.parametrize("scale", [(1, 10), (10, 1)])
def test_no_python_loop_over_timesteps_or_rows(scale):
    # As many lines of Python run for ten times as many timesteps, or ten times as many rows.
    def lines_run(states):
        count = 0

        def trace(frame, event, argument):
            nonlocal count
            count += frame.f_code.co_filename.startswith(PACKAGE)
            return trace

        previous = sys.gettrace()
        sys.settrace(trace)
        try:
            match_states(states, states)
            matched_accuracy(states, states)
            matched_confusion_matrix(states, states)
            state_usage(states, per_sequence=True)
            state_durations(states, include_censored=False)
            state_transitions(states, per_sequence=True)
        finally:
            sys.settrace(previous)
        return count

    states = np.random.default_rng(7).integers(0, 5, (8, 40))
    assert 50 < lines_run(states) == lines_run(np.tile(states, scale))


def test_exports():
    assert sorted(hhmm.metrics.__all__) == hhmm.metrics.__all__
    assert all(callable(getattr(hhmm.metrics, name)) for name in hhmm.metrics.__all__)
