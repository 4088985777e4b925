"""hhmm.preprocessing against loops in plain Python, and in scikit-learn's checks and Pipelines."""

import itertools
import pickle
from collections import Counter
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import hhmm.preprocessing
from hhmm import EfficientHHMM
from hhmm.preprocessing import RunCollapser, SyllableEncoder
from tests.published import PUBLISHED


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        SyllableEncoder(),
        SyllableEncoder(min_frequency=2, unknown="rare"),
        RunCollapser(),
        RunCollapser(keep_missing=False),
    ]
)
def test_estimator_check(estimator, check):
    check(estimator)


def assert_same(got, expected):
    """Equal in type, in form and in every entry."""
    assert type(got) is type(expected)
    assert len(got) == len(expected)
    for mine, other in zip(got, expected, strict=True):
        other = np.asarray(other)
        assert mine.shape == other.shape
        assert mine.tolist() == other.tolist()


def objects(*rows):
    """Rows of any objects as an array of objects."""
    array = np.empty((len(rows), len(rows[0])), dtype=object)
    for i, row in enumerate(rows):
        for j, label in enumerate(row):
            array[i, j] = label
    return array


class TestEncoding:
    def test_strings(self):
        encoder = SyllableEncoder().fit([["rear", "walk"], ["groom", "walk", "walk"]])
        assert encoder.categories_.tolist() == ["groom", "rear", "walk"]
        assert encoder.n_syllables_ == 3
        codes = encoder.transform([["walk"], [], ["rear", "groom", "walk"]])
        assert_same(codes, [[2], [], [1, 0, 2]])
        assert all(row.dtype == np.int32 for row in codes)

    def test_integers_with_gaps(self):
        X = np.array([[7, 900, -1], [3, 7, -5]])
        encoder = SyllableEncoder()
        assert_same(encoder.fit_transform(X), np.array([[1, 2, -1], [0, 1, -1]]))
        assert encoder.categories_.dtype == np.int64
        assert encoder.categories_.tolist() == [3, 7, 900]

    def test_a_label_for_every_dictionary(self):
        """Against a dictionary in a loop, on labels of all kinds, some of them missing."""
        rng = np.random.default_rng(0)
        kinds = [5, 10**17, "5", "b", "B", ("b", 1), b"b", 0.5, None, -3, Fraction(1, 3)]
        draws = [rng.integers(0, len(kinds), n) for n in (40, 0, 1, 60)]
        X = [[kinds[i] for i in row] for row in draws]
        encoder = SyllableEncoder().fit(X)
        by_label = {label: code for code, label in enumerate(encoder.categories_)}
        assert set(by_label) == set(kinds) - {None, -3}
        assert_same(encoder.transform(X), [[by_label.get(label, -1) for label in row] for row in X])

    def test_order_is_numbers_then_strings_then_the_rest(self):
        X = [["b", 10, (1,)], ["a", 9, (0,), 2.5]]
        categories = SyllableEncoder().fit(X).categories_.tolist()
        assert categories == [2.5, 9, 10, "a", "b", (0,), (1,)]
        # what cannot be ordered stays in order of appearance, after the others
        categories = SyllableEncoder().fit([[b"x", ("t",), "s", b"a"]]).categories_.tolist()
        assert categories == ["s", b"x", ("t",), b"a"]

    def test_labels_do_not_depend_on_the_order_of_sequences(self):
        X = [["c", 4], ["a", 11], ["b", 4.0, 11]]
        encoders = [SyllableEncoder().fit(list(order)) for order in itertools.permutations(X)]
        assert {tuple(encoder.categories_) for encoder in encoders} == {(4, 11, "a", "b", "c")}

    @pytest.mark.parametrize(
        "X",
        [
            np.array([[3, 7], [7, -1]]),
            np.array([[3, 7], [7, -1]], dtype=np.int8),
            np.array([[3.0, 7.0], [7.0, np.nan]]),
            np.array([[3, 7], [7, None]], dtype=object),
            np.ma.masked_array(np.array([[3, 7], [7, 9]], np.uint8), [[0, 0], [0, 1]]),
            pd.DataFrame({"a": [3, 7], "b": [7, np.nan]}),
            pd.DataFrame({"a": [3, 7], "b": [7, pd.NA]}, dtype="Int64"),
            pd.DataFrame({"a": [3, 7], "b": [7, pd.NA]}, dtype=object),
            [[3, 7], [7, None]],
            [[3, 7], [7, float("nan")]],
        ],
    )
    def test_every_form_of_an_array(self, X):
        encoder = SyllableEncoder()
        codes = encoder.fit_transform(X)
        assert isinstance(codes, np.ndarray)
        assert codes.dtype == np.int32
        assert codes.tolist() == [[0, 1], [1, -1]]
        assert encoder.categories_.tolist() == [3, 7]
        assert_same(encoder.inverse_transform(codes), np.array([[3, 7], [7, -1]]))

    @pytest.mark.parametrize(
        "X",
        [
            [["a", "b"], ["b", np.nan, None]],
            [np.array(["a", "b"]), np.array(["b", None, None], dtype=object)],
            [np.array(["a", "b"]), pd.Series(["b", np.nan, pd.NA])],
            (("a", "b"), ["b", pd.NA, pd.NaT]),
            [np.array(["a", "b"]), np.ma.masked_array(["b", "c", "d"], [False, True, True])],
            pd.Series([["a", "b"], ["b", None, None]]),
        ],
    )
    def test_every_form_of_a_list(self, X):
        encoder = SyllableEncoder()
        codes = encoder.fit_transform(X)
        assert_same(codes, [[0, 1], [1, -1, -1]])
        assert encoder.categories_.tolist() == ["a", "b"]
        assert_same(encoder.inverse_transform(codes), [["a", "b"], objects(["b", None, None])[0]])

    def test_nested_lists_are_an_array_if_they_have_one_length(self):
        assert SyllableEncoder().fit_transform([["a", "b"], ["b", "a"]]).shape == (2, 2)
        assert SyllableEncoder().fit_transform([[(1, 2), (3, 4)]]).tolist() == [[0, 1]]
        arrays = [np.array(["a", "b"]), np.array(["b", "a"])]
        assert isinstance(SyllableEncoder().fit_transform(arrays), list)

    def test_large_labels_are_not_rounded(self):
        X = [np.array([2**53, 2**53 + 1]), np.array([0.0, np.nan, 2.0**53])]
        encoder = SyllableEncoder()
        assert_same(encoder.fit_transform(X), [[1, 2], [0, -1, 1]])
        assert encoder.categories_.tolist() == [0, 2**53, 2**53 + 1]
        assert SyllableEncoder().fit(np.array([[1e300, 3]])).categories_.tolist() == [3, 1e300]
        unsigned = np.array([[2**64 - 1, 5]], dtype=np.uint64)
        assert SyllableEncoder().fit(unsigned).categories_.tolist() == [5, 2**64 - 1]

    def test_the_input_is_not_changed(self):
        arrays = [
            np.array([[1.0, np.nan, -4.0]]),
            np.array([[1, None, "a"]], dtype=object),
            np.array([[1, -7, 3]]),
        ]
        for X in arrays:
            before = X.copy()
            encoder = SyllableEncoder(missing_values=3)
            encoder.inverse_transform(encoder.fit_transform(X))
            np.testing.assert_array_equal(X, before)

    def test_given_missing_values(self):
        X = [["a", "", "noise"], ["b", 99]]
        codes = SyllableEncoder(missing_values=["", "noise", 99.0]).fit_transform(X)
        assert_same(codes, [[0, -1, -1], [1, -1]])
        assert SyllableEncoder(missing_values="a").fit(X).categories_.tolist() == [
            *(99, "", "b", "noise")
        ]


class TestRareSyllables:
    X = (["a"] * 5 + ["b"] * 3, ["c", "d", "d", "e", None, None])

    @pytest.mark.parametrize(
        ("min_frequency", "kept"),
        [(1, "abcde"), (2, "abd"), (3, "ab"), (4, "a"), (0.2, "ab"), (0.25, "ab"), (0.26, "a")],
    )
    def test_those_below_the_minimum_are_merged(self, min_frequency, kept):
        encoder = SyllableEncoder(min_frequency=min_frequency).fit(self.X)
        counts = Counter(label for row in self.X for label in row if label)
        least = min_frequency if isinstance(min_frequency, int) else min_frequency * 12
        assert "".join(sorted(label for label in counts if counts[label] >= least)) == kept
        merged = sorted(set("abcde") - set(kept))
        assert encoder.categories_.tolist() == [*kept, *["other"] * bool(merged)]
        assert encoder.rare_categories_.tolist() == merged
        assert encoder.n_syllables_ == len(kept) + bool(merged)
        code = {label: min(i, len(kept)) for i, label in enumerate([*kept, *merged])}
        codes = encoder.transform(self.X)
        assert_same(codes, [[code.get(label, -1) for label in row] for row in self.X])

    def test_inverse_gives_them_the_name_of_the_class(self):
        encoder = SyllableEncoder(min_frequency=3, rare_label=-9).fit([[4, 4, 4, 8, 2, -1]])
        labels = encoder.inverse_transform(encoder.transform([[4, 4, 4, 8, 2, -1]]))
        assert labels.tolist() == [[4, 4, 4, -9, -9, -1]]
        assert labels.dtype == np.int64
        encoder.set_params(rare_label=None).fit([[4, 4, 4, 8, 2, -1]])
        assert encoder.inverse_transform([[1, 0]]).tolist() == [[None, 4]]

    def test_the_name_may_not_be_taken(self):
        with pytest.raises(ValueError, match="rare_label='other' is the label of a syllable"):
            SyllableEncoder(min_frequency=2).fit([["other", "other", "a"]])
        # it is free where it is rare itself
        encoder = SyllableEncoder(min_frequency=2).fit([["a", "a", "other", "b"]])
        assert encoder.rare_categories_.tolist() == ["b", "other"]

    def test_all_rare_is_an_error(self):
        expected = r"every label is rarer than min_frequency=3: .* 'b', at 2 of 3 observed"
        with pytest.raises(ValueError, match=expected):
            SyllableEncoder(min_frequency=3).fit([["a", "b", "b"]])


class TestUnknownLabels:
    train = (["a", "a", "b", "b", "c"],)
    test = (["a", "b"], [None, "z", "y", "c"])

    def test_error_says_which_and_where(self):
        encoder = SyllableEncoder().fit(self.train)
        expected = r"X, sequence 1, timestep 1: .* one of \['a', 'b', 'c'\], got 'z'"
        with pytest.raises(ValueError, match=expected):
            encoder.transform(self.test)

    def test_missing(self):
        encoder = SyllableEncoder(unknown="missing").fit(self.train)
        assert_same(encoder.transform(self.test), [[0, 1], [-1, -1, -1, 2]])

    def test_rare(self):
        encoder = SyllableEncoder(unknown="rare", min_frequency=2).fit(self.train)
        assert_same(encoder.transform(self.test), [[0, 1], [-1, 2, 2, 2]])

    def test_rare_is_missing_where_nothing_was_rare(self):
        encoder = SyllableEncoder(unknown="rare").fit(self.train)
        assert_same(encoder.transform(self.test), [[0, 1], [-1, -1, -1, 2]])
        assert encoder.n_syllables_ == 3


class TestEncoderErrors:
    @pytest.mark.parametrize(
        ("X", "error", "message"),
        [
            ("abc", ValueError, "got a string: 'abc'"),
            (
                ["abc", "abd"],
                ValueError,
                r"X, sequence 0 .* got the string 'abc'. .* \[list\(text\)",
            ),
            ([["a"], "ab"], ValueError, "X, sequence 1 .* got the string 'ab'"),
            ([], ValueError, "at least one sequence, got an empty list"),
            ([1, 2], ValueError, "X, sequence 0 must be a 1-D array, got 1"),
            (
                [["a"], np.zeros((2, 2))],
                ValueError,
                r"X, sequence 1 must be a 1-D array, got shape \(2, 2\)",
            ),
            (np.array(["a", "b"]), ValueError, r"1-D data of shape \(2,\). .* as \[X\]"),
            (np.zeros((2, 2, 2)), ValueError, r"3-D data of shape \(2, 2, 2\)"),
            ([[None, np.nan], [-1]], ValueError, r"2 sequence\(s\) and not one observed"),
            (
                np.array([["a", np.inf]], object),
                ValueError,
                "X, sequence 0, timestep 1: expected a label, .* got inf",
            ),
            (
                [["a"], sparse.csr_array([[1]])],
                TypeError,
                r"X, sequence 1 is sparse. Pass its toarray\(\)",
            ),
            ([["a"], ["b", []]], TypeError, r"hashable, .* got \[\] at X, sequence 1, timestep 1"),
        ],
    )
    def test_bad_input(self, X, error, message):
        with pytest.raises(error, match=message):
            SyllableEncoder().fit(X)

    @pytest.mark.parametrize(
        "parameters", [{"min_frequency": 0}, {"min_frequency": 1.0}, {"unknown": "ignore"}]
    )
    def test_bad_parameters(self, parameters):
        with pytest.raises(ValueError, match=next(iter(parameters))):
            SyllableEncoder(**parameters).fit([["a", "b"]])

    def test_codes_out_of_range(self):
        encoder = SyllableEncoder().fit([["a", "b"]])
        with pytest.raises(ValueError, match=r"syllable 2 \(sequence 1, timestep 1\)"):
            encoder.inverse_transform([np.array([0]), np.array([1, 2])])
        with pytest.raises(NotFittedError):
            SyllableEncoder().inverse_transform([[0, 1]])

    def test_inverse_takes_any_number_of_timesteps(self):
        encoder = SyllableEncoder().fit(np.array([["a", "b"]]))
        assert encoder.inverse_transform(np.array([[0, 0, 1, -1]])).tolist() == [
            ["a", "a", "b", None]
        ]

    def test_a_list_frees_the_number_of_timesteps(self):
        encoder = SyllableEncoder().fit(np.array([["a", "b"]]))
        with pytest.raises(ValueError, match="2 features"):
            encoder.transform(np.array([["a", "b", "a"]]))
        assert_same(encoder.transform([["a"], ["a", "b", "a"]]), [[0], [0, 1, 0]])
        encoder.fit([["a"], ["b", "a"]])
        assert not hasattr(encoder, "n_features_in_")
        assert encoder.transform(np.array([["a", "b", "a"]])).shape == (1, 3)


def random_frames(rng, *, n_sequences=7, missing=0.2):
    """Frame-rate syllables with gaps; one sequence empty, one all missing, one ends missing."""
    sequences = []
    for i in range(n_sequences):
        n_runs = 0 if i == 2 else int(rng.integers(1, 12))
        x = np.repeat(rng.integers(0, 3, n_runs), rng.integers(1, 5, n_runs)).astype(np.int32)
        x[rng.random(x.size) < missing] = -1
        if i in (4, 5):
            x[x.size // 2 * (i == 5) :] = -1
        sequences.append(x)
    return sequences


def as_rows(sequences):
    rows = np.full((len(sequences), max(map(len, sequences))), -1)
    for row, x in zip(rows, sequences, strict=True):
        row[: len(x)] = x
    return rows


def runs_by_loop(x, keep_missing):
    """Syllables of runs, and for each timestep the index of its run, or None."""
    x = list(x)
    length = max([t + 1 for t, label in enumerate(x) if label >= 0], default=0)
    syllables, index = [], []
    for t, label in enumerate(x):
        if t >= length or (label < 0 and not keep_missing):
            index.append(None)
            continue
        if not syllables or syllables[-1] != label:
            syllables.append(int(label))
        index.append(len(syllables) - 1)
    return syllables, index


@pytest.mark.parametrize("keep_missing", [True, False])
class TestRuns:
    @pytest.mark.parametrize("seed", range(5))
    def test_a_list_against_a_loop(self, seed, keep_missing):
        rng = np.random.default_rng(seed)
        frames = random_frames(rng)
        collapser = RunCollapser(keep_missing=keep_missing)
        by_loop = [runs_by_loop(x, keep_missing) for x in frames]
        syllables = [row for row, _ in by_loop]
        assert_same(collapser.transform(frames), syllables)
        lengths = [[index.count(r) for r in range(len(row))] for row, index in by_loop]
        assert_same(collapser.run_lengths(frames), lengths)

        states = [rng.integers(0, 5, len(row)) for row in syllables]
        expected = [
            [-1 if r is None else row[r] for r in index]
            for row, (_, index) in zip(states, by_loop, strict=True)
        ]
        assert_same(collapser.expand(states, frames), expected)

    @pytest.mark.parametrize("seed", range(5))
    def test_an_array_is_the_list_padded(self, seed, keep_missing):
        rng = np.random.default_rng(seed)
        frames = random_frames(rng)
        rows = as_rows(frames)
        collapser = RunCollapser(keep_missing=keep_missing)
        collapsed, lengths = collapser.transform(rows), collapser.run_lengths(rows)
        assert collapsed.shape == lengths.shape == rows.shape
        assert collapsed.dtype == np.int32
        syllables = collapser.transform(frames)
        for x, run_lengths, row, row_lengths in zip(
            syllables, collapser.run_lengths(frames), collapsed, lengths, strict=True
        ):
            assert row.tolist() == [*x, *[-1] * (len(row) - len(x))]
            assert row_lengths.tolist() == [*run_lengths, *[0] * (len(row) - len(x))]
        states = [rng.integers(0, 5, len(x)) for x in syllables]
        expanded = collapser.expand(states, frames)
        # a state of the padding, where a model gives none
        padded = [np.append(x, [-1, -1]) for x in states]
        for given, X in itertools.product((states, padded, as_rows(padded)), (frames, rows)):
            got = collapser.expand(given, X)
            assert isinstance(got, list) == (X is frames)
            for row, expected in zip(got, expanded, strict=True):
                assert row[: len(expected)].tolist() == expected.tolist()
                assert (row[len(expected) :] == -1).all()

    def test_probabilities_are_expanded_too(self, keep_missing):
        rng = np.random.default_rng(1)
        frames = random_frames(rng)
        collapser = RunCollapser(keep_missing=keep_missing)
        n_runs = [len(x) for x in collapser.transform(frames)]
        probs = [rng.dirichlet(np.ones(3), n).astype(np.float32) for n in n_runs]
        expanded = collapser.expand(probs, frames)
        for k in range(3):
            numbered = collapser.expand([np.arange(n) for n in n_runs], frames)
            for got, p, index in zip(expanded, probs, numbered, strict=True):
                assert got.dtype == np.float32
                np.testing.assert_array_equal(got[index >= 0, k], p[index[index >= 0], k])
                assert np.isnan(got[index < 0]).all()
        rows = collapser.expand(probs, as_rows(frames))
        assert rows.shape == (*as_rows(frames).shape, 3)

    def test_without_a_run_longer_than_one_nothing_changes(self, keep_missing):
        X = np.array([[0, 1, 0, 2], [2, 1, 2, 0]])
        np.testing.assert_array_equal(RunCollapser(keep_missing=keep_missing).transform(X), X)


def test_a_gap_is_kept_or_bridged():
    frames = [np.array([-1, 2, 2, -1, -1, 2, 0, -1, 1, -1])]
    kept, bridged = RunCollapser(), RunCollapser(keep_missing=False)
    assert_same(kept.transform(frames), [[-1, 2, -1, 2, 0, -1, 1]])
    assert_same(kept.run_lengths(frames), [[1, 2, 2, 1, 1, 1, 1]])
    assert_same(bridged.transform(frames), [[2, 0, 1]])
    assert_same(bridged.run_lengths(frames), [[3, 1, 1]])
    states = [np.array([1, 0, 1])]
    assert_same(bridged.expand(states, frames), [[-1, 1, 1, -1, -1, 1, 0, -1, 1, -1]])


def test_states_in_every_form():
    frames = [np.array([0, 0, 1]), np.array([1])]
    expected = [[5, 5, 6], [7]]
    for states in (
        [[5, 6], [7]],
        np.array([[5, 6, -1], [7, -1, -1]], dtype=np.int8),
        np.ma.masked_array([[5, 6, 9], [7, 9, 9]], [[0, 0, 1], [0, 1, 1]]),
        [np.array([5, 6], dtype=np.uint8), np.array([7], dtype=np.uint8)],
        pd.DataFrame([[5, 6], [7, -1]]),
        pd.Series([[5, 6], [7]]),
    ):
        assert_same(RunCollapser().expand(states, frames), expected)


@pytest.mark.parametrize(
    ("states", "error", "message"),
    [
        ([[0, 1]], ValueError, r"states has 1 sequence\(s\), but transform\(X\) has 2"),
        (
            [[0], [1]],
            ValueError,
            r"states, sequence 0 has 1 timestep\(s\), but transform\(X\) has 2",
        ),
        (
            [[0, 1], [1, 0]],
            ValueError,
            r"states, sequence 1 has 2 timestep\(s\), but transform\(X\) has 1",
        ),
        ([[0, 1], ["a"]], TypeError, r"states, sequence 1 must hold integers, got \['a'\]"),
        (
            [[0, 1], [[0.5, 0.5]]],
            ValueError,
            r"states, sequence 1 must be a 1-D array, got shape \(1, 2\)",
        ),
        ("ab", TypeError, "must be an array or a list of arrays, got str"),
        (3, TypeError, "must be an array or a list of arrays, got int"),
    ],
)
def test_states_must_be_one_a_run(states, error, message):
    with pytest.raises(error, match=message):
        RunCollapser().expand(states, [np.array([0, 0, 1]), np.array([1])])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([np.array([0.5, 1])], "sequence 0, timestep 0: expected an integer syllable, got 0.5"),
        ([["a", "b"], ["c"]], "sequence 0 must hold integers, .*SyllableEncoder"),
        (
            [["a", "b"], ["c", "d"]],
            "could not convert string to float: 'a'. .* by hhmm.preprocessing.SyllableEncoder",
        ),
        (np.array([["a", "b"]]), "must hold integer syllables, got strings: .*'a'"),
        (np.array([[1, "b"]], object), "could not convert string to float: 'b'. .*SyllableEncoder"),
        ([[1, 2], [3, None, "c"]], r"sequence 1 must hold integers, got \[3, None, 'c'\]"),
        (np.array([0, 1]), "1-D data"),
        ("aab", "got a string"),
    ],
)
def test_collapser_takes_integers(X, message):
    with pytest.raises(ValueError, match=message):
        RunCollapser().fit_transform(X)


@pytest.mark.parametrize(
    ("transformer", "X", "error"),
    [
        (SyllableEncoder(), np.full((2, 5), -1), ValueError),
        (SyllableEncoder(), np.array([[[1], 2]], dtype=object), TypeError),
        (RunCollapser(), [[1, 2], [0.5]], ValueError),
    ],
)
def test_a_fit_that_fails_changes_nothing(transformer, X, error):
    for estimator in (clone(transformer), clone(transformer).fit(np.array([[0, 1, 2]]))):
        before = {name: id(value) for name, value in vars(estimator).items()}
        with pytest.raises(error):
            estimator.fit(X)
        assert {name: id(value) for name, value in vars(estimator).items()} == before


def test_collapser_has_no_state():
    collapser = RunCollapser().fit(np.array([[0, 0, 1]]))
    assert_same(collapser.transform([np.array([4, 4])]), [[4]])
    with pytest.raises(ValueError, match="3 features"):
        collapser.transform(np.array([[0, 0]]))
    collapser.fit([np.array([1])])
    assert_same(collapser.transform(np.array([[0, 0]])), np.array([[0, -1]]))
    assert RunCollapser().transform(np.array([[0, 0]])).tolist() == [[0, -1]]


def test_names_of_columns():
    frame = pd.DataFrame([["a", "b"], ["b", "b"]], columns=["t0", "t1"])
    encoder = SyllableEncoder().fit(frame)
    assert encoder.get_feature_names_out().tolist() == ["t0", "t1"]
    assert RunCollapser().fit(np.zeros((1, 2))).get_feature_names_out().tolist() == ["run0", "run1"]
    assert SyllableEncoder().fit([["a"], []]).get_feature_names_out().size == 0
    with pytest.raises(NotFittedError):
        SyllableEncoder().get_feature_names_out()


def test_output_is_never_a_frame():
    frame = pd.DataFrame([["a", "b"], ["b", "b"]])
    encoder = SyllableEncoder().set_output(transform="pandas")
    assert isinstance(encoder.fit_transform(frame), np.ndarray)
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(SyllableEncoder().fit_transform([["a"], ["a", "b"]]), list)
        assert isinstance(RunCollapser().fit_transform(np.zeros((1, 2))), np.ndarray)


NAMES = np.array(["groom", "rear", "run", "walk"])


@pytest.fixture(scope="module")
def syllables():
    """Sequences of 24 syllables none of which follows itself; the last syllable is rare."""
    steps = np.random.default_rng(1).choice([1, 2], (12, 24), p=[0.7, 0.3])
    X = np.cumsum(steps, axis=1) % 3
    X[:, 7] = 3
    return X


@pytest.fixture(scope="module")
def frames(syllables):
    """Named syllables, each held for some frames."""
    rng = np.random.default_rng(0)
    return [np.repeat(NAMES[x], rng.integers(1, 4, x.size)) for x in syllables]


def pipeline_of_all():
    settings = PUBLISHED | {"algorithm": "em", "init": "prior", "trans_kappa": 20.0}
    return make_pipeline(
        SyllableEncoder(unknown="missing"),
        RunCollapser(),
        EfficientHHMM(2, 4, random_state=0, **settings),
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
class TestPipeline:
    @pytest.mark.parametrize("form", ["list", "array"])
    def test_from_names_of_frames_to_states_of_frames(self, syllables, frames, form):
        X = frames if form == "list" else np.repeat(NAMES[syllables], 2, axis=1)
        pipeline = pipeline_of_all().fit(X)
        codes = [[NAMES.tolist().index(label) for label in x] for x in X]
        runs = [np.array([label for label, _ in itertools.groupby(x)]) for x in codes]
        model = clone(pipeline[-1]).fit(runs)
        assert pipeline.score(X) == pytest.approx(model.score(runs), rel=1e-12)
        states = pipeline.predict(X)
        assert isinstance(states, np.ndarray) == (form == "array")
        expected = model.predict(runs)
        for got, by_hand in zip(states, expected, strict=True):
            assert got[: len(by_hand)].tolist() == by_hand.tolist()
            assert (got[len(by_hand) :] == -1).all()

        encoded = pipeline[0].transform(X)
        expanded = pipeline[1].expand(states, encoded)
        for got, by_hand, x in zip(expanded, expected, codes, strict=True):
            lengths = [len(list(run)) for _, run in itertools.groupby(x)]
            assert got.tolist() == np.repeat(by_hand, lengths).tolist()
        assert pipeline[0].inverse_transform(encoded)[3].tolist() == X[3].tolist()

    def test_a_grid_search_over_all_steps(self, frames):
        grid = {
            "syllableencoder__min_frequency": [None, 0.1],
            "runcollapser__keep_missing": [True, False],
        }
        search = GridSearchCV(pipeline_of_all(), grid, cv=2, error_score="raise").fit(frames)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert len(search.predict(frames)) == 12

    def test_set_output_reaches_the_model_and_pickles(self, frames):
        pipeline = pipeline_of_all().set_output(transform="pandas").fit(frames)
        usage = pickle.loads(pickle.dumps(pipeline)).transform(frames)
        assert list(usage.columns) == ["efficienthhmm0", "efficienthhmm1"]
        assert list(pipeline.get_feature_names_out()) == list(usage.columns)


def test_exports():
    assert sorted(hhmm.preprocessing.__all__) == hhmm.preprocessing.__all__
    assert all(isinstance(getattr(hhmm.preprocessing, n), type) for n in hhmm.preprocessing.__all__)
