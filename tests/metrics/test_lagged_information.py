"""lagged_mutual_information against loops over pairs, closed forms and enumeration.

Random tests have fixed seeds. Tolerances of four standard errors raise one false alarm in
16,000 draws of the seed for each value compared, unless said otherwise.
"""

import itertools
import warnings

import numpy as np
import pytest
from scipy.stats import binom, chi2
from sklearn.metrics import mutual_info_score

from hhmm import EfficientHHMM
from hhmm.datasets import make_hhmm
from hhmm.metrics import LaggedInformation, _information, lagged_mutual_information
from hhmm.metrics._information import lay_out, markov_surrogate, mutual_information
from hhmm.metrics._markov_surrogates import draw_paths, draws_from


def ragged(seed, n_syllables=4, missing=0.2):
    rng = np.random.default_rng(seed)
    sequences = [rng.integers(0, n_syllables, length) for length in (40, 0, 1, 7, 25, 3)]
    for sequence in sequences:
        sequence[rng.random(sequence.size) < missing] = -1
    sequences[3][:] = -1
    sequences[0][0] = n_syllables - 1
    return sequences


def as_rows(sequences, extra=2):
    rows = np.full((len(sequences), max(map(len, sequences)) + extra), -1)
    for row, sequence in zip(rows, sequences, strict=True):
        row[: len(sequence)] = sequence
    return rows


def pairs_of(sequences, lag):
    """First and second labels of all pairs, by a loop over timesteps."""
    pairs = [
        (x[t], x[t + lag])
        for x in sequences
        for t in range(len(x) - lag)
        if x[t] >= 0 and x[t + lag] >= 0
    ]
    return tuple(zip(*pairs, strict=True)) if pairs else ((), ())


def two_state_chain(rng, n_timesteps, flip):
    return (np.cumsum(rng.random(n_timesteps) < flip) + rng.integers(2)) % 2


def two_state_information(agree):
    """Mutual information of two uniform binary labels that agree with this probability."""
    return np.log(2) + agree * np.log(agree) + (1 - agree) * np.log(1 - agree)


# Data


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_information_is_that_of_the_pairs(seed, missing):
    X = ragged(seed, missing=missing)
    lags = [1, 2, 3, 6, 20, 24, 39, 40, 100]
    information = lagged_mutual_information(X, lags, pooled=True, n_surrogates=0)
    assert isinstance(information, LaggedInformation)
    np.testing.assert_array_equal(information.lags, lags)
    for i, lag in enumerate(lags):
        first, second = pairs_of(X, lag)
        assert information.n_pairs[i] == len(first)
        if first:
            expected = mutual_info_score(first, second)
            assert information.data[i] == pytest.approx(expected, rel=1e-12, abs=1e-12)
        else:
            assert np.isnan(information.data[i])
    assert information.n_pairs[-1] == 0
    assert information.markov.shape == information.shuffled.shape == (0, len(lags))


def test_information_by_hand():
    # Pairs at lag 1: 00, 00, 01, 11; joint 2/4, 1/4, 1/4, margins 3/4, 1/4 and 1/2, 1/2.
    by_hand = (
        0.5 * np.log(0.5 / (0.75 * 0.5))
        + 0.25 * np.log(0.25 / (0.75 * 0.5))
        + 0.25 * np.log(0.25 / (0.25 * 0.5))
    )
    X = [0, 0, 0, 1, 1]
    assert lagged_mutual_information(X, 1, n_surrogates=0).data[0] == pytest.approx(by_hand)
    # Three kinds of pairs, of two first and two second labels: (3 - 2 - 2 + 1) / 8 = 0.
    corrected = lagged_mutual_information(X, 1, n_surrogates=0, correction="miller-madow")
    assert corrected.data[0] == pytest.approx(by_hand)
    # 00, 01, 11, 10 are independent: information 0, and a bias of (4 - 2 - 2 + 1) / 8.
    X = [[0, 0, 1, 1, 0]]
    assert lagged_mutual_information(X, 1, n_surrogates=0).data[0] == pytest.approx(0, abs=1e-15)
    corrected = lagged_mutual_information(X, 1, n_surrogates=0, correction="miller-madow")
    assert corrected.data[0] == pytest.approx(-1 / 8)


def test_no_value_without_correction_is_negative():
    rng = np.random.default_rng(0)
    X = np.repeat(rng.integers(0, 3, (1, 1)), 5000, axis=1)  # constant: exactly no information
    information = lagged_mutual_information(X, [1, 7], n_surrogates=3, random_state=0)
    for curve in (information.data, information.markov, information.shuffled):
        np.testing.assert_array_equal(curve, np.zeros(curve.shape))
    # exactly independent margins, of which rounding makes a negative value here and there
    tables = [np.outer(*rng.integers(1, 50, (2, 5))) for _ in range(50)]
    values = np.array([mutual_information(table, correction=None) for table in tables])
    assert ((values >= 0) & (values < 1e-13)).all()


def test_a_lag_longer_than_the_sequences_does_not_reach_into_the_next():
    X = [[0, 1], [1, 0], [0, 1, 1]]
    information = lagged_mutual_information(
        X, [1, 2, 3], pooled=True, n_surrogates=2, random_state=0
    )
    np.testing.assert_array_equal(information.n_pairs, [4, 1, 0])
    assert np.isnan(information.markov[:, 2]).all()
    assert np.isnan(information.shuffled[:, 2]).all()
    assert not np.isnan(information.markov[:, :2]).any()


def test_blocks_join_without_a_seam(monkeypatch):
    X = ragged(1)
    whole = lagged_mutual_information(X, [1, 3, 10], n_surrogates=0)
    monkeypatch.setattr(_information, "_BLOCK", 7)
    in_blocks = lagged_mutual_information(X, [1, 3, 10], n_surrogates=0)
    np.testing.assert_array_equal(in_blocks.n_pairs, whole.n_pairs)
    np.testing.assert_array_equal(in_blocks.data, whole.data)


def test_every_form_of_the_same_sequences_gives_the_same():
    sequences = ragged(2)
    rows = as_rows(sequences)
    forms = [
        rows,
        np.where(rows < 0, np.nan, rows),
        np.ma.masked_less(rows, 0),
        rows - 3 * (rows < 0),
    ]
    expected = lagged_mutual_information(sequences, [1, 5], n_surrogates=4, random_state=3)
    for X in forms:
        information = lagged_mutual_information(X, [1, 5], n_surrogates=4, random_state=3)
        for one, other in zip(information, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    alone = lagged_mutual_information(sequences[0], [1, 5], n_surrogates=4, random_state=3)
    listed = lagged_mutual_information([sequences[0]], [1, 5], n_surrogates=4, random_state=3)
    np.testing.assert_array_equal(alone.markov, listed.markov)


@pytest.mark.parametrize("flip", [0.05, 0.3])
def test_a_two_state_chain_has_its_closed_form_at_every_lag(flip):
    # At lag l the labels agree with probability a = (1 + r^l) / 2, r = 1 - 2 flip. The covariance
    # of two agreements d timesteps apart is less than a (1 - a) r^(2 d), so their mean has a
    # variance below a (1 - a) (1 + r^2) / (1 - r^2) / n, and the information changes by
    # log(a / (1 - a)) times what a does. Frequencies of labels enter in second order.
    n = 200_000
    lags = np.array([1, 2, 5, 10])
    r = 1 - 2 * flip
    agree = (1 + r**lags) / 2
    expected = two_state_information(agree)
    se = np.sqrt(agree * (1 - agree) * (1 + r**2) / (1 - r**2) / n) * np.log(agree / (1 - agree))
    second_order = 8 * (1 + r) / (1 - r) / n
    X = two_state_chain(np.random.default_rng(1), n, flip)
    information = lagged_mutual_information(X, lags, n_surrogates=2, random_state=0)
    assert (4 * se + second_order < 0.2 * expected + 1e-3).all()
    assert (np.abs(information.data - expected) < 4 * se + second_order).all()
    # surrogates have the error of the data's transition probabilities, and their own
    error = np.abs(information.markov - expected)
    assert (error < 4 * np.sqrt(2) * se + 2 * second_order).all()


# Within sequences


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_information_within_sequences_is_the_mean_by_numbers_of_pairs(missing):
    X = ragged(1, missing=missing)
    lags = [1, 2, 6, 30, 100]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few pairs
        information = lagged_mutual_information(X, lags, n_surrogates=0)
    assert information.above is None
    for i, lag in enumerate(lags):
        pairs = [pairs_of([x], lag) for x in X]
        scores = [(len(a), mutual_info_score(a, b)) for a, b in pairs if a]
        n = sum(n for n, _ in scores)
        assert information.n_pairs[i] == n
        if n:
            expected = sum(n * score for n, score in scores) / n
            assert information.data[i] == pytest.approx(expected, rel=1e-12, abs=1e-12)
        else:
            assert np.isnan(information.data[i])


def test_animals_that_differ_have_memory_only_if_they_are_pooled():
    rng = np.random.default_rng(0)
    X = [rng.choice(5, 1000, p=rng.dirichlet(np.ones(5))) for _ in range(40)]
    settings = {"n_surrogates": 19, "random_state": 0}
    pooled = lagged_mutual_information(X, [50], pooled=True, **settings)
    assert pooled.above is None
    assert pooled.data[0] > 10 * pooled.markov.max()
    within = lagged_mutual_information(X, [50], **settings)
    # 1 in 20 of independent sequences is above 19 surrogates; false alarm 1 in 10,000
    assert within.above[0] <= binom.ppf(1 - 1e-4, 40, 1 / 20) / 40
    low, high = within.markov.min(), within.markov.max()
    assert low - 3 * (high - low) < within.data[0] < high + 3 * (high - low)
    slow = make_hhmm(20, 2000, n_states=2, n_syllables=5, emission_biases_sigma=1.5, random_state=0)
    assert lagged_mutual_information(slow.X, [20], **settings).above[0] > 0.9


def test_few_pairs_within_sequences_are_warned_of():
    X = np.random.default_rng(0).integers(0, 9, (30, 8))
    with pytest.warns(UserWarning, match="have 7 pairs of syllables on average, too few .* 9"):
        lagged_mutual_information(X, [1], n_surrogates=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lagged_mutual_information(X, [1], pooled=True, n_surrogates=1)
        lagged_mutual_information(X[0], [1], n_surrogates=1)


# Surrogates


def test_markov_surrogates_have_no_memory_of_second_order():
    # x[t] is x[t - 2] nine times in ten: nothing at lag 1, much at lag 2.
    rng = np.random.default_rng(2)
    X = np.empty((2, 20_000), int)
    X[0], X[1] = two_state_chain(rng, 20_000, 0.1), two_state_chain(rng, 20_000, 0.1)
    X = X.T.reshape(-1)
    information = lagged_mutual_information(X, [1, 2], n_surrogates=5, random_state=0)
    assert information.data[1] == pytest.approx(two_state_information(0.9), abs=0.02)
    assert information.markov[:, 1].max() < 0.01 * information.data[1]


def test_slow_states_show_at_long_lags_alone():
    data = make_hhmm(20, 1000, n_states=3, n_syllables=6, random_state=1)
    chain = EfficientHHMM.from_params(data.emission_base, np.empty((0, 5)), [[1.0]])
    control = chain.sample(20, 1000, random_state=0)[0]
    lags = [10, 20, 40]
    slow = lagged_mutual_information(data.X, lags, pooled=True, n_surrogates=20, random_state=0)
    assert (slow.data > 3 * slow.markov.max(axis=0)).all()
    # Exchangeable with its surrogates but for the estimate of their transition probabilities:
    # above twice the largest of 20 in far fewer than 1 of 21 data sets, three times in a row.
    fast = lagged_mutual_information(control, lags, pooled=True, n_surrogates=20, random_state=0)
    assert (fast.data < 2 * fast.markov.max(axis=0)).all()


def test_markov_surrogates_keep_starts_lengths_and_gaps():
    sequences = lay_out(np.concatenate(ragged(4)), np.array([40, 0, 1, 7, 25, 3]), 4)
    surrogate = markov_surrogate(sequences, np.random.RandomState(0))
    np.testing.assert_array_equal(surrogate.codes == 4, sequences.codes == 4)
    np.testing.assert_array_equal(surrogate.lengths, sequences.lengths)
    starts = np.cumsum(sequences.lengths) - sequences.lengths
    np.testing.assert_array_equal(surrogate.codes[starts], sequences.codes[starts])
    assert not np.array_equal(surrogate.codes, sequences.codes)


def test_sequences_are_cut_to_what_was_observed():
    labels = np.array([-1, 2, -1, 0, -1, -1, -1, 1])
    sequences = lay_out(labels, np.array([5, 2, 1]), 3)
    np.testing.assert_array_equal(sequences.codes, [2, 3, 0, 1])
    np.testing.assert_array_equal(sequences.remaining, [3, 2, 1, 1])
    np.testing.assert_array_equal(sequences.lengths, [3, 1])


def test_a_deterministic_cycle_is_its_own_surrogate():
    X = [np.arange(300) % 3, (np.arange(200) + 1) % 3]
    information = lagged_mutual_information(X, [1, 2, 3, 50], n_surrogates=3, random_state=0)
    np.testing.assert_allclose(information.data, np.log(3), rtol=1e-4)
    np.testing.assert_array_equal(information.markov, np.tile(information.data, (3, 1)))


def test_a_syllable_that_was_only_ever_seen_last_is_followed_by_frequent_ones():
    # 0 is always followed by 1, and 1 by nothing that was seen: by usage, 0 seven times in eight.
    # The hidden third timestep is 1 one time in eight, and the fourth is 0 only after that.
    sequences = lay_out(np.array([0, 1, -1, 0, 0, 0, 0, 0, 0]), np.array([4, *[1] * 5]), 2)
    n = 900
    rng = np.random.RandomState(0)
    surrogates = np.array([markov_surrogate(sequences, rng).codes for _ in range(n)])
    assert (surrogates[:, :3] == [0, 1, 2]).all()
    p = 1 / 8 * 7 / 8
    assert abs(np.mean(surrogates[:, 3] == 0) - p) < 4 * np.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("X", [[[0, 1], [0, 2]], [[1, 0], [2, 0]], [[0, 1]]])
def test_pairs_with_one_first_or_one_second_syllable_cannot_be_shuffled(X):
    information = lagged_mutual_information(X, 1, pooled=True, n_surrogates=3, random_state=0)
    np.testing.assert_array_equal(information.shuffled, np.zeros((3, 1)))


def test_shuffled_pairs_are_all_permutations_with_equal_probability():
    X = [0, 0, 1, 2, 2, 1, 0]
    first, second = pairs_of([X], 1)
    by_enumeration = [mutual_info_score(first, p) for p in itertools.permutations(second)]
    n = 1000
    shuffled = lagged_mutual_information(X, 1, n_surrogates=n, random_state=0).shuffled[:, 0]
    se = np.std(by_enumeration) / np.sqrt(n)
    assert abs(shuffled.mean() - np.mean(by_enumeration)) < 4 * se
    for value in np.unique(np.round(by_enumeration, 9)):
        p = np.mean(np.isclose(by_enumeration, value))
        assert abs(np.mean(np.isclose(shuffled, value)) - p) < 4 * np.sqrt(p * (1 - p) / n) + 1e-12


def test_independent_syllables_lie_on_the_shuffled_floor():
    # 2 n I of independent pairs has a chi-squared distribution with (S - 1)^2 degrees of freedom.
    X = np.random.default_rng(5).integers(0, 6, (10, 2000))
    lags = [1, 10, 100]
    n_surrogates = 100
    settings = {"pooled": True, "n_surrogates": 100, "random_state": 0}
    information = lagged_mutual_information(X, lags, **settings)
    scale = 2 * information.n_pairs
    low, high = chi2.ppf([5e-5, 1 - 5e-5], 25)  # one false alarm in 10,000 a value
    assert ((scale * information.data > low) & (scale * information.data < high)).all()
    se = np.sqrt(2 * 25 / n_surrogates)
    assert (np.abs((scale * information.shuffled).mean(axis=0) - 25) < 4 * se).all()
    # Simulated from estimated transition probabilities, surrogates have the information of the
    # data at lag 1 and a bias of their own: chi-squared, not central by that information.
    noncentral = scale[0] * information.data[0]
    means = (scale * information.markov).mean(axis=0)
    assert abs(means[0] - (25 + noncentral)) < 4 * np.sqrt(2 * (25 + 2 * noncentral) / n_surrogates)
    assert (np.abs(means[1:] - 25) < 4 * se).all()

    corrected = lagged_mutual_information(X, lags, correction="miller-madow", **settings)
    np.testing.assert_allclose(corrected.data, information.data - 25 / scale)
    np.testing.assert_allclose(corrected.shuffled, information.shuffled - 25 / scale)


def test_equal_seeds_give_equal_surrogates_whatever_the_lags():
    X = ragged(6)
    one = lagged_mutual_information(X, [1, 2, 5], n_surrogates=3, random_state=7)
    again = lagged_mutual_information(X, [1, 2, 5], n_surrogates=3, random_state=7)
    np.testing.assert_array_equal(one.markov, again.markov)
    np.testing.assert_array_equal(one.shuffled, again.shuffled)
    fewer = lagged_mutual_information(X, [5], n_surrogates=3, random_state=7)
    np.testing.assert_array_equal(fewer.markov[:, 0], one.markov[:, 2])
    other = lagged_mutual_information(X, [1, 2, 5], n_surrogates=3, random_state=8)
    assert not np.array_equal(one.markov, other.markov)
    rng = np.random.RandomState(7)
    first, second = (
        lagged_mutual_information(X, 1, n_surrogates=3, random_state=rng) for _ in "ab"
    )
    assert not np.array_equal(first.markov, second.markov)


def test_the_input_is_left_as_it_was():
    rows = as_rows(ragged(0))
    before = rows.copy()
    lagged_mutual_information(rows, [1, 2], n_surrogates=1, random_state=0)
    np.testing.assert_array_equal(rows, before)


# Paths of Markov chains


def test_paths_have_the_transition_probabilities():
    trans_probs = np.array([[0.9, 0.1, 0.0], [0.0, 0.0, 1.0], [0.25, 0.25, 0.5]])
    lengths = np.array([20_000, 1, 10_000])
    first = np.array([2, 1, 0])
    path = draw_paths(trans_probs, first, lengths, np.random.RandomState(0))
    assert path.size == lengths.sum()
    np.testing.assert_array_equal(path[[0, 20_000, 20_001]], first)
    for part in np.split(path, np.cumsum(lengths)[:-1]):
        counts = np.zeros((3, 3))
        np.add.at(counts, (part[:-1], part[1:]), 1)
        visits = counts.sum(axis=1, keepdims=True)
        se = np.sqrt(trans_probs * (1 - trans_probs) / np.maximum(visits, 1))
        assert (
            np.abs(counts / np.maximum(visits, 1) - trans_probs)[visits[:, 0] > 0]
            <= 4 * se[visits[:, 0] > 0]
        ).all()


def test_stays_are_geometric():
    stay = 0.8
    path = draw_paths(
        np.array([[stay, 1 - stay], [1.0, 0.0]]),
        np.array([0]),
        np.array([60_000]),
        np.random.RandomState(1),
    )
    stays = np.diff(np.flatnonzero(path == 1)) - 1
    assert stays.min() == 1
    for length in (1, 2, 5, 12):
        p = stay ** (length - 1)
        assert abs(np.mean(stays >= length) - p) <= 4 * np.sqrt(p * (1 - p) / stays.size)


def test_paths_may_stay_for_ever_or_be_short():
    absorbing = np.array([[1.0, 0.0], [1.0, 0.0]])
    path = draw_paths(absorbing, np.array([0, 1]), np.array([5, 4]), np.random.RandomState(0))
    np.testing.assert_array_equal(path, [0, 0, 0, 0, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(
        draw_paths(np.ones((1, 1)), np.array([0]), np.array([3]), np.random.RandomState(0)),
        [0, 0, 0],
    )


def test_categories_without_probability_are_never_drawn():
    draws = draws_from(np.array([0.0, 2.0, 0.0, 6.0, 0.0]), np.random.RandomState(0))
    values = np.array([next(draws) for _ in range(4000)])
    assert set(values) == {1, 3}
    assert abs(np.mean(values == 3) - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 4000)

    class OnTheBounds:
        def random_sample(self, size):
            return np.resize([0.0, 0.25], size)

    draws = draws_from(np.array([0.0, 2.0, 0.0, 6.0, 0.0]), OnTheBounds())
    assert (next(draws), next(draws)) == (1, 3)


# Arguments


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"lags": 0}, ValueError, r"one or more integers >= 1, got \[0\]"),
        ({"lags": [3, -1]}, ValueError, r"one or more integers >= 1, got \[3, -1\]"),
        ({"lags": np.empty(0, int)}, ValueError, r"one or more integers >= 1, got \[\]"),
        ({"lags": [1.5]}, TypeError, r"lags must be integers .* got dtype float64"),
        ({"lags": [[1, 2]]}, TypeError, r"lags must be integers .* shape \(1, 2\)"),
        ({"lags": "1"}, TypeError, "lags must be integers"),
        ({"n_surrogates": -1}, ValueError, r"'n_surrogates' .* range \[0, inf\). Got -1"),
        ({"n_surrogates": 1.0}, TypeError, r"'n_surrogates' .* must be an int .* Got 1.0"),
        ({"correction": "jackknife"}, ValueError, "{'miller-madow'} or None. Got 'jackknife'"),
        ({"n_syllables": 0}, ValueError, r"'n_syllables' .* range \[1, inf\) or None. Got 0"),
        ({"n_syllables": 2.0}, TypeError, r"'n_syllables' .* must be an int .* Got 2.0"),
        (
            {"n_syllables": 2},
            ValueError,
            "X, sequence 1, timestep 0: expected a label below n_syllables=2, got 2",
        ),
        ({"n_syllables": 10**5}, ValueError, "at most 3000 syllables, got 100000 in n_syllables"),
        ({"X": [[0, 5000]]}, ValueError, "at most 3000 syllables, got 5001 in X"),
        ({"X": [[-1], [-1, -1]]}, ValueError, "an observed syllable, got none in 3 timesteps"),
        (
            {"X": [[0, 0.5]]},
            ValueError,
            "X, sequence 0, timestep 1: expected an integer, got 0.5",
        ),
        ({"X": [["a"]]}, TypeError, "X, sequence 0 must hold integers, got .* of dtype <U1"),
        ({"random_state": "seed"}, ValueError, "seed"),
    ],
)
def test_arguments_are_checked(arguments, error, message):
    arguments = {"X": [[0, 1, 1], [2, 0]], "lags": 1} | arguments
    with pytest.raises(error, match=message):
        lagged_mutual_information(**arguments)


def test_n_syllables_changes_nothing_but_the_check():
    X = ragged(3)
    one = lagged_mutual_information(X, [1, 2], n_surrogates=2, random_state=0)
    other = lagged_mutual_information(X, [1, 2], n_syllables=9, n_surrogates=2, random_state=0)
    np.testing.assert_allclose(one.data, other.data, rtol=1e-13)
    np.testing.assert_allclose(one.shuffled, other.shuffled, rtol=1e-13)
