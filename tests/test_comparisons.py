"""Comparisons of groups against counts by hand, enumerated permutations, and simulation."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, permutation_test

from hhmm.comparisons import _content, _resampling, _units, _values, compare_groups


def rows_of(comparison, quantity, **where):
    """Return the rows of the table, as a data frame."""
    frame = comparison.to_frame()
    frame = frame[frame["quantity"] == quantity]
    for name, value in where.items():
        frame = frame[frame[name] == value]
    return frame


def random_states(rng, n_sequences, *, n_states=3, n_timesteps=400, stay=0.9):
    changes = rng.random((n_sequences, n_timesteps)) > stay
    steps = rng.integers(1, n_states, (n_sequences, n_timesteps))
    first = rng.integers(0, n_states, (n_sequences, 1))
    return (first + np.cumsum(np.where(changes, steps, 0), axis=1)) % n_states


def in_bounds(n_hits, n, probability, false_alarm):
    """Return whether a binomial count is in the middle ``1 - false_alarm`` of its distribution."""
    low, high = binom.ppf([false_alarm / 2, 1 - false_alarm / 2], n, probability)
    return low <= n_hits <= high


# Values of animals


def test_values_by_hand():
    states = [
        [0, 0, 0, 1, 1, 2],  # animal a
        [2, 0, -1, 1, 0, 0],  # animal a: 2 -> 0, then a gap, then 1 -> 0
        [1, 1, 0, 1],  # animal b
    ]
    comparison = compare_groups(states, groups=["x", "x", "y"], animals=["a", "a", "b"])
    assert comparison.groups == ["x", "y"]
    assert comparison.animals == ["a", "b"]
    assert comparison.animal_groups.tolist() == [0, 1]
    np.testing.assert_allclose(comparison.usage, [[6 / 11, 3 / 11, 2 / 11], [1 / 4, 3 / 4, 0]])
    # of state 0, a has 6 timesteps and one end: that before the gap and the last were not seen
    np.testing.assert_allclose(comparison.dwell, [[6, 3 / 2, 2], [1, 3, np.nan]])
    expected = np.array(
        [
            [[np.nan, 1, 0], [1 / 2, np.nan, 1 / 2], [1, 0, np.nan]],
            [[np.nan, 1, 0], [1, np.nan, 0], [np.nan] * 3],
        ]
    )
    np.testing.assert_allclose(comparison.transition, expected)

    frame = comparison.to_frame()
    usage = frame[(frame["quantity"] == "usage") & (frame["state"] == 0)].iloc[0]
    assert (usage["group_1"], usage["group_2"]) == ("x", "y")
    np.testing.assert_allclose(
        usage[["value_1", "value_2", "effect"]].astype(float), [6 / 11, 1 / 4, 1 / 4 - 6 / 11]
    )
    dwell = rows_of(comparison, "dwell", state=0).iloc[0]
    np.testing.assert_allclose(dwell[["value_1", "value_2", "effect"]].astype(float), [6, 1, 1 / 6])


def test_a_bout_that_was_never_seen_to_end_counts_once():
    comparison = compare_groups([[1] * 7, [1, 1, 0]], groups=["x", "y"])
    np.testing.assert_allclose(comparison.dwell, [[np.nan, 7], [1, 2]])


def test_groups_have_means_of_animals_and_dwell_times_geometric_means():
    states = [[0, 1], [0, 0, 0, 0, 1], [0, 1, 1], [0, 1, 1, 1]]
    comparison = compare_groups(states, groups=list("xxyy"), frame_rate=2)
    dwell = rows_of(comparison, "dwell")
    np.testing.assert_allclose(dwell["value_1"], [1, 0.5])  # sqrt(1 * 4) / 2, sqrt(1 * 1) / 2
    np.testing.assert_allclose(dwell["value_2"], [0.5, np.sqrt(6) / 2])
    np.testing.assert_allclose(dwell["effect"], [0.5, np.sqrt(6)])
    usage = rows_of(comparison, "usage", state=0)
    np.testing.assert_allclose(usage["value_1"], (1 / 2 + 4 / 5) / 2)


def test_syllables_count_once_where_they_begin():
    states = [[0, 0, 0, 1, 1, 1, -1, 0]] * 2
    syllables = [[5, 5, 2, 2, 3, -1, 3, 3], [5, 5, 5, 5, 5, 5, 5, 5]]
    comparison = compare_groups(states, groups=["x", "y"], syllables=syllables)
    # 5 and 2 begin in state 0, 3 in state 1; the 3 after the gap begins without a state
    expected = np.full((2, 2, 6), 0.0)
    expected[0, 0, [5, 2]] = 0.5
    expected[0, 1, 3] = 1
    expected[1, 0, 5] = 1
    expected[1, 1] = np.nan
    np.testing.assert_allclose(comparison.content, expected)
    assert len(rows_of(comparison, "syllable")) == 2 * 6
    content = rows_of(comparison, "content", state=0).iloc[0]
    # |1/2 - 1| / 2 for syllable 5, and |1/2 - 0| / 2 for syllable 2
    assert content["effect"] == pytest.approx(0.5)
    assert content["effect_type"] == "distance"


# Tests


def welch(x, y):
    return abs(x.mean() - y.mean()) / np.sqrt(x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y))


@pytest.mark.parametrize("quantity", ["usage", "dwell"])
def test_p_values_of_two_groups_are_those_of_all_permutations(quantity):
    states = random_states(np.random.default_rng(0), 9)
    comparison = compare_groups(states, groups=list("xyxyxyxyy"))
    values = getattr(comparison, quantity)
    values = np.log(values) if quantity == "dwell" else values
    rows = rows_of(comparison, quantity)
    for state in range(3):
        x = values[:, state]
        null = []
        for first in itertools.combinations(range(9), 4):
            second = np.setdiff1d(range(9), first)
            null.append(welch(x[list(first)], x[second]))
        observed = welch(x[[0, 2, 4, 6]], x[[1, 3, 5, 7, 8]])
        expected = np.mean(np.array(null) >= observed - 1e-9)
        assert rows["p_value"].iloc[state] == pytest.approx(expected, abs=1e-12)


def test_p_values_of_small_groups_are_those_of_differences_of_means():
    states = random_states(np.random.default_rng(1), 6)
    comparison = compare_groups(states, groups=list("xxxyyy"))
    for state, p_value in enumerate(rows_of(comparison, "usage")["p_value"]):
        expected = permutation_test(
            (comparison.usage[:3, state], comparison.usage[3:, state]),
            lambda x, y: abs(x.mean() - y.mean()),
            alternative="greater",
        ).pvalue
        assert p_value == pytest.approx(expected, abs=1e-12)


def test_random_permutations_agree_with_all():
    # With 2,000 random permutations p has a standard error of 0.011 at most: 5 of them.
    states = random_states(np.random.default_rng(2), 16)
    groups = list("xy" * 8)  # 12,870 permutations
    exact = compare_groups(states, groups=groups, n_resamples=12_870)
    drawn = compare_groups(states, groups=groups, n_resamples=2000, random_state=0)
    np.testing.assert_allclose(drawn.p_value, exact.p_value, atol=0.056)
    assert (drawn.p_value != exact.p_value).any()


def test_within_animals_signs_are_flipped():
    rng = np.random.default_rng(3)
    states = random_states(rng, 14)
    groups = ["before", "after"] * 7
    animals = np.repeat(list("abcdefg"), 2)
    comparison = compare_groups(states, groups=groups, animals=animals)
    assert comparison.is_paired.all()
    order = np.argsort(comparison.animals, kind="stable").reshape(7, 2)
    assert (np.array(comparison.animals)[order] == np.array(list("abcdefg"))[:, np.newaxis]).all()
    rows = rows_of(comparison, "usage")
    assert (rows["n_1"] == 7).all()
    for state in range(3):
        differences = np.diff(comparison.usage[order, state], axis=1)[:, 0]
        signs = np.array(list(itertools.product([1, -1], repeat=7)))
        null = np.abs((signs * differences).mean(axis=1))
        expected = np.mean(null >= np.abs(differences.mean()) - 1e-12)
        assert rows["p_value"].iloc[state] == pytest.approx(expected, abs=1e-12)
        assert rows["effect"].iloc[state] == pytest.approx(differences.mean())


def test_three_groups_have_an_overall_test_and_all_pairs():
    states = random_states(np.random.default_rng(4), 12)
    groups = list("aaaabbbbcccc")
    comparison = compare_groups(states, groups=groups, n_resamples=40_000, random_state=0)
    usage = rows_of(comparison, "usage", state=1)
    pairs = list(zip(usage["group_1"], usage["group_2"], strict=True))
    assert pairs == [("all groups", ""), ("a", "b"), ("a", "c"), ("b", "c")]
    x = comparison.usage[:, 1]

    def statistic(a, b, c, axis):  # Welch (1951), without the last factor
        parts = (a, b, c)
        weights = np.array([part.shape[axis] / part.var(axis=axis, ddof=1) for part in parts])
        means = np.array([part.mean(axis=axis) for part in parts])
        center = np.sum(weights * means, axis=0) / weights.sum(axis=0)
        return np.sum(weights * (means - center) ** 2, axis=0)

    expected = permutation_test(
        (x[:4], x[4:8], x[8:]),
        statistic,
        n_resamples=40_000,
        vectorized=True,
        alternative="greater",
    ).pvalue
    assert usage["p_value"].iloc[0] == pytest.approx(expected, abs=1e-12)
    two = compare_groups(states[4:], groups=groups[4:])
    np.testing.assert_allclose(rows_of(two, "usage")["p_value"].iloc[1], usage["p_value"].iloc[3])
    assert usage["n_1"].tolist() == [12, 4, 4, 4]
    assert np.isnan(usage["effect"].iloc[0])
    # the tests of all groups are a family of their own
    from scipy.stats import false_discovery_control

    frame = rows_of(comparison, "usage")
    is_overall = frame["group_1"] == "all groups"
    for family in (frame[is_overall], frame[~is_overall]):
        np.testing.assert_allclose(family["q_value"], false_discovery_control(family["p_value"]))


def test_three_sessions_are_compared_within_animals():
    states = random_states(np.random.default_rng(5), 12)
    comparison = compare_groups(
        states, groups=["s1", "s2", "s3"] * 4, animals=np.repeat(list("abcd"), 3)
    )
    assert comparison.is_paired.all()
    x = comparison.usage[:, 0].reshape(4, 3)
    orders = list(itertools.permutations(range(3)))
    null = []
    for chosen in itertools.product(orders, repeat=4):
        permuted = x[np.arange(4)[:, np.newaxis], np.array(chosen)]
        null.append(permuted.mean(axis=0).var())
    expected = np.mean(np.array(null) >= x.mean(axis=0).var() - 1e-12)
    overall = rows_of(comparison, "usage", state=0).iloc[0]
    assert overall["group_1"] == "all groups"
    assert overall["p_value"] == pytest.approx(expected, abs=1e-12)


def test_equal_animals_have_a_p_value_of_one():
    comparison = compare_groups([[0, 1, 0, 1]] * 8, groups=list("xy" * 4))
    np.testing.assert_array_equal(rows_of(comparison, "usage")["p_value"], 1.0)
    np.testing.assert_array_equal(rows_of(comparison, "usage")["lower"], 0.0)


def test_rounding_errors_do_not_separate_ties():
    # the differences have a mean of 0 but for rounding, and no permutation has a smaller one
    parts = [
        0.1 + np.array([[2, 0, 1, 1, 1, 3, 3, 3]]).T / 7,
        0.1 + np.array([[2, 1, 2, 3, 0, 1, 3, 2]]).T / 7,
    ]
    for is_paired in (False, True):
        p_value = _resampling.p_values_of_means(parts, is_paired, 20_000, np.random.RandomState(0))
        assert p_value == [1.0]


def test_blocks_of_columns_and_permutations_change_nothing(monkeypatch):
    states = random_states(np.random.default_rng(6), 9)
    syllables = np.random.default_rng(7).integers(0, 5, states.shape)
    groups = list("xyxyxyxyy")
    whole = compare_groups(states, groups=groups, syllables=syllables)
    monkeypatch.setattr(_values, "_COLUMNS_AT_ONCE", 4)
    monkeypatch.setattr(_resampling, "_NUMBERS_AT_ONCE", 300)
    blocks = compare_groups(states, groups=groups, syllables=syllables)
    np.testing.assert_allclose(blocks.p_value, whole.p_value, atol=1e-12)  # all 126 permutations


# Intervals


def test_intervals_of_many_animals_are_those_of_the_normal_distribution():
    # The quantiles of 20,000 draws have a standard error of 0.015 standard errors of the mean, and
    # those of 400 animals differ from normal ones by about as much: 5 of them.
    rng = np.random.default_rng(6)
    parts = [rng.normal(0, 1, (400, 3)), rng.normal(1, 2, (400, 3))]
    for is_paired in (False, True):
        low, high = _resampling.bootstrap_t(parts, is_paired, 20_000, 0.9, rng)
        difference = parts[1].mean(axis=0) - parts[0].mean(axis=0)
        error = np.sqrt(sum(part.var(axis=0, ddof=1) / 400 for part in parts))
        if is_paired:
            error = (parts[1] - parts[0]).std(axis=0, ddof=1) / 20
        np.testing.assert_allclose(high, difference + 1.645 * error, atol=0.08 * error.max())
        np.testing.assert_allclose(low, difference - 1.645 * error, atol=0.08 * error.max())


@pytest.mark.parametrize("is_paired", [False, True])
@pytest.mark.parametrize("skewed", [False, True])
def test_intervals_cover_with_twelve_animals(is_paired, skewed):
    # 1,000 independent columns; bounds of the coverage that is asked for, 0.84 to 0.96, and for
    # normal values within 0.03 of 0.9. The binomial standard error is 0.01: 3 of them.
    rng = np.random.default_rng(7)
    draw = rng.gamma if skewed else rng.normal
    parts = [draw(2.0, 1.0, (12, 1000)) for _ in range(2)]
    low, high = _resampling.bootstrap_t(parts, is_paired, 999, 0.9, rng)
    coverage = np.mean((low <= 0) & (high >= 0))
    assert abs(coverage - 0.9) < (0.06 if skewed else 0.03)


def test_intervals_are_skewed_as_the_data_are():
    # Means of 12 exponential values: 90 % intervals of Student's t, and of quantiles of t taken
    # the wrong way round, cover 0.86 and 0.83. The standard error of 4,000 columns is 0.005.
    rng = np.random.default_rng(9)
    parts = [np.zeros((12, 4000)), rng.exponential(1.0, (12, 4000))]
    low, high = _resampling.bootstrap_t(parts, True, 999, 0.9, rng)
    assert np.mean((low <= 1) & (high >= 1)) > 0.88
    assert np.mean(high - parts[1].mean(axis=0)) > 1.5 * np.mean(parts[1].mean(axis=0) - low)


def test_intervals_of_fractions_end_at_one():
    rng = np.random.default_rng(8)
    states = [[0] * n + [1] * (20 - n) for n in rng.choice([1, 19], 8)]
    comparison = compare_groups(states, groups=list("xy" * 4), random_state=0)
    usage = rows_of(comparison, "usage")
    assert (usage["lower"] >= -1).all()
    assert (usage["upper"] <= 1).all()
    assert (usage["lower"] < usage["upper"]).all()


# Content


def counts_of(rng, n_animals, *, n_states=4, n_syllables=20, change=None, shared=0.0, n=2000):
    """Counts of syllables; animals differ, the second half has `change` and `shared` effects."""
    logits = rng.normal(0, 1, (n_states, n_syllables))
    effect = np.zeros((n_states, n_syllables)) if change is None else change
    effect = effect + rng.normal(0, shared, n_syllables)
    counts = np.empty((n_animals, n_states, n_syllables), int)
    for i in range(n_animals):
        own = logits + rng.normal(0, 0.4, n_syllables) + rng.normal(0, 0.15, logits.shape)
        own = own + (effect if i >= n_animals // 2 else 0)
        for k in range(n_states):
            probs = np.exp(own[k]) / np.exp(own[k]).sum()
            counts[i, k] = rng.multinomial(n * rng.uniform(0.5, 1.5), probs)
    return counts


def compare_counts(counts, n_resamples=499, seed=0):
    n = len(counts) // 2
    contrast = _units._Contrast((0, 1), [np.arange(n), np.arange(n, 2 * n)], False)
    rows = _content.compare_content(
        counts, contrast, ["x", "y"], n_resamples, np.random.RandomState(seed)
    )
    return rows["p_value"]


def test_a_state_that_changes_is_found_alone():
    change = np.zeros((4, 20))
    change[2, :6] = [2, -2, 2, -2, 2, -2]
    p_values = np.array(
        [
            compare_counts(counts_of(np.random.default_rng(seed), 16, change=change))
            for seed in range(10)
        ]
    )
    assert (p_values[:, 2] == 1 / 500).all()
    # If others are true nulls, 4 of 10 below 0.05 have a probability of 0.001, of each column
    assert (np.sum(p_values[:, [0, 1, 3]] < 0.05, axis=0) <= 3).all()
    # and what all states share is judged without the state that changes
    assert np.sum(p_values[:, 4] < 0.05) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("shared", [0.0, 0.4])
def test_content_keeps_its_level(shared):
    # 150 runs of 4 states; states of a run share animals, so a run counts as one. The bounds hold
    # all but 0.1 % of the counts of runs with a p value below 0.05 in state 0.
    p_values = np.array(
        [
            compare_counts(counts_of(np.random.default_rng(seed), 16, shared=shared), 199)
            for seed in range(150)
        ]
    )
    for state in range(4):
        assert in_bounds(np.sum(p_values[:, state] <= 0.05), 150, 0.05, 0.001)
    if shared:
        assert (p_values[:, 4] < 0.05).mean() > 0.9


def test_a_change_that_all_states_share_is_no_change_of_a_state():
    # shared changes of this size are found in each state by a test that does not remove them
    few = 0
    for seed in range(8):
        p_value = compare_counts(counts_of(np.random.default_rng(seed), 16, shared=0.6))
        assert p_value[4] < 0.01
        few += np.sum(p_value[:4] < 0.05)
    # 32 tests; more than 7 below 0.05 have a probability of 0.0002 if they are independent
    assert few <= 7


def test_of_two_states_it_cannot_be_known_which_has_changed():
    change = np.zeros((2, 20))
    change[1, :6] = [1, -1, 1, -1, 1, -1]
    counts = counts_of(np.random.default_rng(0), 16, n_states=2, change=change)
    p_value = compare_counts(counts)
    assert p_value[0] == p_value[1] == 1 / 500


def test_a_state_that_differs_leaves_the_statistic_of_the_others_alone():
    # groups differ by 3 in one syllable of state 2, and by 1 in another syllable of all states
    y = np.zeros((6, 4, 2))
    y[3:, 2, 0] = 3
    y[3:, :, 1] = 1
    membership = np.repeat(np.eye(2), 3, axis=1)
    own = _content._own_change(membership, y, np.ones((6, 4), bool))
    # each group of three animals is 3 / 2 from the mean of both
    np.testing.assert_allclose(own, [0, 0, 2 * 3 * 1.5**2, 0])
    all_changes = _content._squared_differences(membership, y, np.ones((6, 4), bool))
    np.testing.assert_allclose(all_changes, own + 2 * 3 * 0.5**2)


def test_the_model_of_content_fits_all_tables_of_pairs():
    counts = counts_of(np.random.default_rng(0), 6, n=300).astype(float)
    deviations = _content._deviations(counts)
    expected = (counts + 4) / np.exp(deviations) - 4
    for axis in range(3):
        np.testing.assert_allclose(expected.sum(axis=axis), counts.sum(axis=axis), atol=0.5)


def test_animals_without_a_state_are_left_out_of_its_content():
    counts = counts_of(np.random.default_rng(0), 16)
    counts[0, 1] = 0
    contrast = _units._Contrast((0, 1), [np.arange(8), np.arange(8, 16)], False)
    rows = _content.compare_content(counts, contrast, ["x", "y"], 99, np.random.RandomState(0))
    assert rows["n_1"].tolist() == [8, 7, 8, 8, 8]
    assert np.isfinite(rows["p_value"]).all()


def test_content_within_animals():
    rng = np.random.default_rng(1)
    change = np.zeros((3, 12))
    change[0, :4] = [1.5, -1.5, 1.5, -1.5]
    counts = counts_of(rng, 18, n_states=3, n_syllables=12, change=change)
    members = [np.arange(9), np.arange(9, 18)]
    contrast = _units._Contrast((0, 1), members, True)
    rows = _content.compare_content(counts, contrast, ["x", "y"], 999, np.random.RandomState(0))
    assert rows["p_value"][0] == 2 / 2**9  # all 512 flips of signs
    assert rows["p_value"][1:3].min() > 0.01


# Level


@pytest.mark.parametrize("n_labs", [60, pytest.param(400, marks=pytest.mark.slow)])
def test_the_level_is_kept(n_labs):
    # One state of each lab, so that p values are independent. The bounds hold all but 0.1 %.
    p_values = {name: [] for name in ("usage", "dwell", "transition")}
    for seed in range(n_labs):
        states = random_states(np.random.default_rng(seed), 16)
        comparison = compare_groups(
            states,
            groups=list("xy" * 8),
            animals=np.repeat(np.arange(8), 2) if seed % 2 else None,
            n_resamples=199,
            random_state=seed,
        )
        for name, values in p_values.items():
            values.append(comparison.p_value[comparison.quantity == name][0])
    for values in p_values.values():
        assert in_bounds(np.sum(np.array(values) <= 0.05), n_labs, 0.05, 0.001)


def test_recordings_of_an_animal_are_no_replicates():
    """Animals that differ, with ten recordings each: no group differs, whatever the recordings."""
    rng = np.random.default_rng(0)
    stays = rng.uniform(0.7, 0.95, 6)
    states = [random_states(rng, 1, stay=stay)[0] for stay in np.repeat(stays, 10)]
    animals = np.repeat(np.arange(6), 10)
    groups = np.where(stays[animals] > np.median(stays), "x", "y")
    pooled = compare_groups(states, groups=groups, animals=animals)
    assert pooled.n_1.max() == 3
    # 3 against 3: 20 permutations, and both signs
    assert rows_of(pooled, "dwell")["p_value"].min() == pytest.approx(0.1)


# What is not tested


def test_a_state_of_one_group_is_reported_and_not_tested():
    states = [[0, 1, 0, 1]] * 5 + [[0, 2, 0, 1]] * 5
    comparison = compare_groups(states, groups=["x"] * 5 + ["y"] * 5)
    for quantity in ("usage", "dwell"):
        row = rows_of(comparison, quantity, state=2).iloc[0]
        assert row["status"] == "only in y"
        assert np.isnan(row[["p_value", "q_value", "lower", "upper"]].astype(float)).all()
        assert row["value_2"] > 0
    assert rows_of(comparison, "usage", state=2)["value_1"].iloc[0] == 0
    to_it = rows_of(comparison, "transition", state=0, next_state=2).iloc[0]
    assert to_it["status"] == "only in y"
    assert "only in y" in repr(comparison)


def test_states_that_are_not_found_are_reported():
    comparison = compare_groups([[0, 1, 0, 1]] * 8, groups=list("xy" * 4), n_states=3)
    for quantity in ("usage", "dwell"):
        assert rows_of(comparison, quantity, state=2)["status"].iloc[0] == "not found"
    comparison = compare_groups(
        [[0, 1, 0, 2]] * 8, groups=list("xy" * 4), syllables=[[0, 1, 0, 1]] * 8, n_states=4
    )
    assert rows_of(comparison, "content", state=3)["status"].iloc[0] == "not found"
    # states 1 and 2 never follow each other
    for k, m in ((1, 2), (2, 1)):
        row = rows_of(comparison, "transition", state=k, next_state=m).iloc[0]
        assert row["status"] in ("not found", "not tested: no animal with a value in x")


def test_a_group_of_one_animal_has_no_interval_and_says_so():
    states = random_states(np.random.default_rng(0), 6)
    comparison = compare_groups(states, groups=["x"] * 5 + ["y"], random_state=0)
    rows = rows_of(comparison, "usage")
    assert (rows["status"] == "not tested: one animal with a value in y").all()
    assert rows["lower"].isna().all()
    assert rows["p_value"].isna().all()
    assert rows["effect"].notna().all()


def test_groups_of_three_animals_have_no_interval_and_say_so():
    states = random_states(np.random.default_rng(0), 7)
    comparison = compare_groups(states, groups=["x"] * 4 + ["y"] * 3, random_state=0)
    rows = rows_of(comparison, "usage")
    assert (rows["status"] == "tested, too few animals for an interval").all()
    assert rows["lower"].isna().all()
    assert rows["p_value"].notna().all()


def test_a_state_of_one_animal_in_each_group_is_not_tested():
    states = [[0, 1, 0, 1]] * 10
    states[0] = states[7] = [0, 2, 0, 1]
    comparison = compare_groups(states, groups=["x"] * 5 + ["y"] * 5)
    row = rows_of(comparison, "usage", state=2).iloc[0]
    assert row["status"] == "not tested: found in one animal of each group"


def test_a_transition_that_is_certain_in_a_group_is_not_tested():
    """Only drug has state 2. Where no other state can follow, a fraction of 1 says nothing."""
    states = random_states(np.random.default_rng(0), 12)
    groups = ["drug", "saline"] * 6
    states = [
        np.where(x == 2, 0, x) if g == "saline" else x for x, g in zip(states, groups, strict=True)
    ]
    comparison = compare_groups(states, groups=groups, random_state=0)
    rows = rows_of(comparison, "transition")
    is_of_two = (rows["state"] != 2) & (rows["next_state"] != 2)
    assert is_of_two.sum() == 2
    only = "not tested: no other state can follow in saline"
    assert (rows["status"][is_of_two] == only).all()
    assert (rows["status"][~is_of_two] == "only in drug").all()
    assert rows["p_value"].isna().all()


def test_of_two_states_it_is_said_that_either_may_differ():
    rng = np.random.default_rng(0)
    states = rng.integers(0, 2, (8, 200))
    comparison = compare_groups(
        states, groups=list("xy" * 4), syllables=rng.integers(0, 5, (8, 200)), random_state=0
    )
    content = rows_of(comparison, "content")
    assert (content["status"] == "tested, but not which of the two states").all()
    assert content["p_value"].nunique() == 1
    assert "not which of the two states" in repr(comparison)


def test_one_state_alone():
    rng = np.random.default_rng(0)
    comparison = compare_groups(
        np.zeros((8, 50), int),
        groups=list("xy" * 4),
        syllables=rng.integers(0, 5, (8, 50)),
        random_state=0,
    )
    content = rows_of(comparison, "content").iloc[0]
    assert content["status"] == "not tested: there is no other state to compare with"
    assert rows_of(comparison, "shared_content")["p_value"].notna().all()


def test_animals_in_one_of_the_groups_are_left_out_with_a_warning():
    states = random_states(np.random.default_rng(0), 11)
    groups = ["before", "after"] * 5 + ["before"]
    animals = [*np.repeat(list("abcde"), 2), "f"]
    with pytest.warns(
        UserWarning, match=r"5 of 6 animals are in all of the groups 'before' and"
    ) as caught:
        comparison = compare_groups(states, groups=groups, animals=animals)
    assert caught[0].filename == __file__
    assert comparison.is_paired.all()
    assert set(comparison.n_1) == {5}


def test_animals_in_two_of_three_groups_are_compared_in_these():
    states = random_states(np.random.default_rng(0), 15)
    groups = ["before", "after"] * 5 + ["other"] * 5
    animals = [*np.repeat(list("abcde"), 2), *"fghij"]
    comparison = compare_groups(states, groups=groups, animals=animals)
    frame = rows_of(comparison, "usage", state=0)
    assert frame["is_paired"].tolist() == [False, True, False, False]
    assert frame["n_1"].tolist() == [0, 5, 5, 5]
    assert frame["status"].iloc[0].startswith("not tested: no animal is in all groups")
    assert (frame["status"].iloc[1:] == "tested").all()


def test_recordings_without_a_state_are_left_out():
    states = [*random_states(np.random.default_rng(0), 10), np.full(30, -1)]
    groups = [*"xy" * 5, "x"]
    comparison = compare_groups(states, groups=groups, random_state=0)
    without = compare_groups(states[:-1], groups=groups[:-1], random_state=0)
    np.testing.assert_array_equal(comparison.p_value, without.p_value)
    assert set(comparison.n_1) == {5}


# Input and output


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        (
            {"groups": list("xyx")},
            ValueError,
            "groups must have one label for each of 4 .*, got 3",
        ),
        (
            {"animals": list("abc")},
            ValueError,
            "animals must have one label for each of 4 .*, got 3",
        ),
        ({"groups": ["x", None, "y", "y"]}, ValueError, "groups has no label for recording 1"),
        ({"groups": ["x", "y", np.nan, "y"]}, ValueError, "groups has no label for recording 2"),
        ({"groups": ["x", "y", pd.NA, "y"]}, ValueError, "groups has no label for recording 2"),
        ({"groups": ["x", "y", "y", " "]}, ValueError, "groups has no label for recording 3"),
        ({"animals": ["a", "b", "", "d"]}, ValueError, "animals has no label for recording 2"),
        ({"groups": ["x"] * 4}, ValueError, "two different labels or more, got only 'x'"),
        ({"groups": "xyxy"}, TypeError, "groups must be a sequence of labels, got a string"),
        ({"groups": {"a": list("xyxy")}}, TypeError, "groups must be one column of labels"),
        ({"groups": 3}, TypeError, "groups must be a sequence of labels"),
        ({"reference": "z"}, ValueError, "reference must be one of the groups 'x', 'y', got 'z'"),
        ({"state_names": ["a"]}, ValueError, "state_names must hold 2 names, got 1"),
        ({"n_states": 1}, ValueError, "expected a state below n_states=1, got 1"),
        ({"n_resamples": 0}, ValueError, "n_resamples == 0, must be >= 1"),
        ({"confidence_level": 95}, ValueError, "confidence_level == 95, must be < 1"),
        ({"frame_rate": 0}, ValueError, "frame_rate must be > 0 and finite, got 0"),
        ({"frame_rate": np.inf}, ValueError, "frame_rate must be > 0 and finite"),
        (
            {"syllables": [[0, 1, 2]] * 4},
            ValueError,
            r"syllables, sequence 0 has 3 timestep\(s\), but states has 5. Give both on the same",
        ),
        ({"syllables": [[0] * 5] * 3}, ValueError, r"syllables has 3 sequence\(s\), but states"),
        ({"syllables": np.full((4, 5), -1)}, ValueError, "syllables must hold a syllable"),
        ({"syllables": [[10**9] * 5] * 4}, ValueError, "too many for the label 1000000000"),
        ({"states": [[0, 10**6]] * 4}, ValueError, "too many for the label 1000000"),
        ({"states": [[0.5, 1]] * 4}, ValueError, "states, sequence 0, timestep 0: expected an int"),
    ],
)
def test_bad_input_raises_a_clear_error(changed, error, match):
    arguments = {"states": [[0, 1, 1, 0, 1]] * 4, "groups": list("xyxy")} | changed
    states = arguments.pop("states")
    with pytest.raises(error, match=match):
        compare_groups(states, **arguments)


def test_all_forms_of_input_agree():
    rng = np.random.default_rng(0)
    states = random_states(rng, 8, n_timesteps=60)
    syllables = rng.integers(0, 6, states.shape)
    groups, animals = list("xxyyxxyy"), list("aabbccdd")
    lengths = rng.integers(40, 60, 8)
    lists = [[x[:n] for x, n in zip(rows, lengths, strict=True)] for rows in (states, syllables)]
    expected = compare_groups(
        lists[0], syllables=lists[1], groups=groups, animals=animals, random_state=0
    )
    padded, padded_syllables = (
        np.where(np.arange(60) < lengths[:, np.newaxis], rows, -1) for rows in (states, syllables)
    )
    for first, second in itertools.product((lists[0], padded), (lists[1], padded_syllables)):
        comparison = compare_groups(
            first, syllables=second, groups=groups, animals=animals, random_state=0
        )
        pd.testing.assert_frame_equal(comparison.to_frame(), expected.to_frame())
    index = pd.Index(range(8, 0, -1))
    for labels in (
        (np.array(groups), np.array(animals)),
        (pd.Series(groups, index), pd.Series(animals, index)),
        (pd.Categorical(groups), pd.Categorical(animals)),
    ):
        comparison = compare_groups(
            padded, syllables=lists[1], groups=labels[0], animals=labels[1], random_state=0
        )
        pd.testing.assert_frame_equal(comparison.to_frame(), expected.to_frame())


def test_the_reference_is_the_first_group():
    states = random_states(np.random.default_rng(0), 10)
    groups = [1, 2] * 5
    one = compare_groups(states, groups=groups, random_state=0)
    other = compare_groups(states, groups=groups, reference=2, random_state=0)
    assert (one.groups, other.groups) == (["1", "2"], ["2", "1"])
    usage = one.quantity == "usage"
    np.testing.assert_allclose(one.effect[usage], -other.effect[usage])
    np.testing.assert_allclose(one.p_value, other.p_value)


def test_equal_seeds_give_equal_results():
    states = random_states(np.random.default_rng(0), 20)
    one, two = (
        compare_groups(states, groups=list("xy" * 10), n_resamples=99, random_state=3)
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(one.to_frame(), two.to_frame())


def test_the_table_prints_names_units_and_what_it_leaves_out():
    rng = np.random.default_rng(0)
    states = random_states(rng, 10)
    comparison = compare_groups(
        states,
        groups=["saline", "drug"] * 5,
        syllables=rng.integers(0, 4, states.shape),
        frame_rate=30,
        state_names=["rest", "walk", "groom"],
        random_state=0,
    )
    text = repr(comparison)
    lines = text.splitlines()
    assert lines[0] == "10 animals in 2 groups: saline, drug"
    assert "95% interval" in lines[1]
    starts = [" ".join(line.split()) for line in lines]
    for start in (
        "usage rest drug - saline",
        "dwell (s) walk drug / saline",
        "transition rest to walk drug - saline",
        "content groom drug - saline",
        "shared content all states drug - saline",
    ):
        assert sum(line.startswith(start) for line in starts) == 1, start
    assert lines[-1].startswith("12 rows of single syllables are not shown, ")
    frame = comparison.to_frame()
    assert frame["state_name"].iloc[1] == "walk"
    assert frame["syllable"].isna().sum() == len(frame) - 12
    assert len(frame) == 3 + 3 + 6 + 3 + 1 + 12
    assert len(repr(compare_groups(states, groups=list("abcdefghij"))).splitlines()) == 63


def test_pandas_is_needed_by_to_frame_alone(monkeypatch):
    import sys

    comparison = compare_groups([[0, 1, 0]] * 4, groups=list("xyxy"))
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert "usage" in repr(comparison)
    with pytest.raises(ImportError, match="to_frame needs pandas"):
        comparison.to_frame()


def test_nothing_warns_where_values_are_missing():
    states = [[0] * 9, [1] * 9, [2, 0] * 4, [1, 0] * 4, [0, 1, 2] * 3, [-1] * 4]
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        compare_groups(states, groups=list("xyxyxy"), syllables=states, random_state=0)
