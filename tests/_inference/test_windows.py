"""Starts from slow directions, and the race of starts."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from hhmm import EfficientHHMM
from hhmm._emission_solvers import Newton
from hhmm._inference import convergence, search, search_data, search_starts, windows
from hhmm._inference.chain import Settings
from hhmm._model.terms import Terms
from hhmm._runtime.precision import double_precision
from hhmm._sequences.lanes import pair_codes
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Priors
from hhmm.datasets import make_hhmm
from hhmm.metrics import matched_accuracy
from tests.published import PUBLISHED

PRIORS = Priors(*map(np.float64, (1.0, 1.0, 1.0, 100.0)))


@pytest.mark.parametrize(
    ("lengths", "n_states", "kappa", "expected"),
    [
        ([1000] * 5, 5, 100.0, [8, 16, 32, 64]),  # a state is expected to last 26 timesteps
        ([50] * 5, 5, 100.0, [8, 16]),  # no window longer than half a sequence
        ([1000] * 5, 2, 100.0, [32, 64, 128, 256]),
        ([13] * 5, 5, 1.0, [4]),
        ([3, 4, 3], 3, 1.0, [2]),
        ([2, 2], 2, 0.0, [2]),
    ],
)
def test_windows_are_about_as_long_as_a_state_lasts(lengths, n_states, kappa, expected):
    priors = PRIORS._replace(trans_kappa=np.float64(kappa))
    assert windows.window_lengths(lengths, priors, n_states) == expected


def _regimes(rng, lengths, n_states, n_syllables, duration):
    """Sequences whose transitions are tilted by a state that lasts `duration` timesteps."""
    base = rng.standard_normal((n_syllables, n_syllables))
    biases = 0.8 * rng.standard_normal((n_states, n_syllables))
    probs = np.exp(base + biases[:, None])
    cumulative = np.cumsum(probs / probs.sum(axis=-1, keepdims=True), axis=-1)
    X, states = [], []
    for length in lengths:
        z = (np.arange(length) // duration + rng.integers(n_states)) % n_states
        x = np.zeros(length, np.int32)
        for t in range(1, length):
            x[t] = np.searchsorted(cumulative[z[t], x[t - 1]], rng.random() * (1 - 1e-12))
        X.append(x)
        states.append(z.astype(np.int32))
    return X, states


def test_tilts_of_windows_are_those_of_their_timesteps():
    """Sums of whitened residuals, timestep by timestep, missing ones left out."""
    rng = np.random.default_rng(0)
    sequences = [rng.integers(-1, 4, n).astype(np.int32) for n in (11, 7, 1, 9)]
    counts, probs = windows.markov_chain(sequences, 4)
    window = windows._window_numbers(sequences, 3)
    pairs, _ = pair_codes(sequences, 4)
    observed = pairs < 16
    of_transitions = *np.divmod(pairs[observed], 4), np.concatenate(window)[observed]
    sums, weights = windows._residuals(*of_transitions, window[-1][-1] + 1, probs)
    tilts = sums @ windows._whitening(counts, probs)
    assert [list(w) for w in window[:2]] == [[0] * 3 + [1] * 3 + [2] * 5, [3] * 3 + [4] * 4]
    # whitening makes the covariance of one step, in the Markov chain, the identity
    usage = counts.sum(axis=1) / counts.sum()
    steps, chances = [], []
    for i in range(4):
        for j in range(4):
            residual = np.eye(4)[j] - probs[i]
            steps.append(residual)
            chances.append(usage[i] * probs[i, j])
    covariance = np.einsum("n,ni,nj->ij", chances, steps, steps)
    expected, n_observed = np.zeros((len(tilts), 4)), np.zeros(len(tilts))
    for x, numbers in zip(sequences, window, strict=True):
        for t in range(1, len(x)):
            if x[t - 1] >= 0 and x[t] >= 0:
                expected[numbers[t]] += np.eye(4)[x[t]] - probs[x[t - 1]]
                n_observed[numbers[t]] += 1
    np.testing.assert_array_equal(weights, n_observed)
    # Mahalanobis products do not depend on which square root whitens
    np.testing.assert_allclose(
        tilts @ tilts.T, expected @ np.linalg.pinv(covariance) @ expected.T, atol=1e-8
    )


def test_windows_find_regimes():
    rng = np.random.default_rng(0)
    X, states = _regimes(rng, [600, 480, 720, 240] * 5, 3, 6, duration=60)
    found = windows.window_states(X, Terms(3, 6), 20, np.random.RandomState(0))
    assert [len(x) for x in found] == [len(x) for x in X]
    # 0.92 where the tilt of every state is known: windows of 20 timesteps are no more certain
    assert matched_accuracy(states, found) > 0.85


@pytest.mark.parametrize("n_states", [2, 5])
@pytest.mark.parametrize(
    "sequences",
    [
        [[0, 1]],
        [[0, 0, 0, 0, 0]],
        [[1], [0, 1, 1, 0], [-1, -1, 0, 1]],
        [[0, -1, 1, -1, 0, 0, 2]],
    ],
)
def test_any_data_has_window_states(sequences, n_states):
    sequences = [np.array(x, np.int32) for x in sequences]
    states = windows.window_states(sequences, Terms(n_states, 3), 4, np.random.RandomState(0))
    assert [len(x) for x in states] == [len(x) for x in sequences]
    assert all(((row >= 0) & (row < n_states)).all() for row in states)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("length", [21, 22, 26])
def test_windows_that_differ_by_rounding_are_one_kind(length):
    # k-means warned of fewer distinct clusters than it was asked for
    sequence = np.array([0, 1] * 10 + [2] * 100, np.int32)
    windows.window_states([sequence], Terms(3, 3), length, np.random.RandomState(0))


def test_a_part_of_much_data_is_stretches_of_it():
    sequences = [np.arange(n, dtype=np.int32) for n in (90_000, 50_000, 300_000, 10)]
    groups = np.arange(4)
    rng, runs = np.random.RandomState(0), RunLengths.of(sequences)
    part, of_part = search_data.choose_stretches(rng, runs, groups, in_runs=False)
    assert 0.8 * search_data.MAX_TIMESTEPS < sum(map(len, part)) <= search_data.MAX_TIMESTEPS
    assert all((np.diff(x) == 1).all() for x in part)
    assert all(x[-1] < len(sequences[g]) for x, g in zip(part, of_part, strict=True))
    assert len(of_part) == len(part)
    held = [np.repeat(x, 30) for x in sequences[:2]]
    held = RunLengths.of(held)
    part, of_part = search_data.choose_stretches(np.random.RandomState(0), held, None, in_runs=True)
    assert of_part is None
    assert sum(len(np.unique(x)) for x in part) > 0.8 * search_data.MAX_TIMESTEPS
    assert search_data.choose_stretches(None, runs.part(3, 4), None, in_runs=False) is not None
    # data that are at most a quarter more are taken whole
    for n_timesteps, is_whole in ((124_000, True), (126_000, False)):
        runs = RunLengths.of([np.arange(n, dtype=np.int32) for n in (n_timesteps - 1000, 1000)])
        part, _ = search_data.choose_stretches(np.random.RandomState(0), runs, None, in_runs=False)
        assert (sum(map(len, part)) == n_timesteps) == is_whole


@double_precision
def test_the_race_ends_with_starts_of_every_family():
    data = make_hhmm(8, 60, 2, 4, random_state=0)
    finalists, _ = search.search(
        np.random.RandomState(0),
        RunLengths.of(list(data.X)),
        PRIORS,
        settings=Settings(Newton(500), "laplace", "sequential", Terms(2, 4)),
    )
    assert {finalist.family for finalist in finalists} == set(search_starts.FAMILIES)
    joints = [finalist.log_joint for finalist in finalists]
    assert joints == sorted(joints, reverse=True)


@double_precision
def test_a_start_whose_log_joint_is_not_finite_has_lost(monkeypatch):
    """All do so, and then all but the first two."""
    iterate, n_calls, failing = search.iterate, [0], range(0)

    def sometimes_failing(*args, **options):
        n_calls[0] += 1
        if n_calls[0] in failing:
            raise FloatingPointError("no number")
        return iterate(*args, **options)

    def find():
        n_calls[0] = 0
        random = np.random.RandomState(0)
        return search.search(random, data, PRIORS, settings=settings)

    monkeypatch.setattr(search, "iterate", sometimes_failing)
    monkeypatch.setattr(search, "n_cores", lambda: 1)
    data = RunLengths.of(list(make_hhmm(8, 60, 2, 4, random_state=0).X))
    settings = Settings(Newton(500), "laplace", "sequential", Terms(2, 4))
    failing = range(1, 1000)
    with pytest.raises(FloatingPointError, match="no number"):
        find()
    failing = range(3, n_calls[0] + 1)
    left, log_joints = find()
    assert len(left) == 2 < n_calls[0]
    assert log_joints[0] == left[0].log_joint > -np.inf


def test_one_mode_is_as_wide_as_a_small_part_of_the_spread_of_the_log_joint():
    """A chi-square variable of n degrees of freedom has the standard deviation sqrt(2 n)."""
    assert convergence.same_mode(Terms(2, 5)) == 1.0
    terms = Terms(5, 350, ("base", "biases", "usage"))
    n_parameters = 350 * 349 + 4 * 349 + 349
    spread = np.random.default_rng(0).chisquare(n_parameters, 100_000).std() / 2
    np.testing.assert_allclose(convergence.same_mode(terms), spread / 15, rtol=0.02)


def test_the_best_of_several_searches_is_kept(monkeypatch):
    """Each is from few starts, and the first one ends in a lower mode."""
    monkeypatch.setattr(search_starts, "MANY_STARTS", 1)
    monkeypatch.setattr(search, "FAMILIES", ("sticky", "flat"))
    X = make_hhmm(12, 80, 3, 6, emission_biases_sigma=1.5, trans_kappa=20.0, random_state=1).X
    settings = PUBLISHED | {"algorithm": "em", "max_iter": 500, "tol": 1e-4, "random_state": 0}
    one = EfficientHHMM(3, 6, **settings).fit(X)
    with pytest.warns(ConvergenceWarning, match="only one of 2 searches") as caught:
        best = EfficientHHMM(3, 6, n_init=2, **settings).fit(X)
    first, second = best.init_log_joints_
    assert second > first + 20
    assert f"second best is {second - first:.1f} nats" in str(caught[0].message)
    for model, reached in ((one, first), (best, second)):
        np.testing.assert_allclose(model.log_joint_[0, -1], reached, atol=0.1)
    # a single search ends at a lower tolerance
    np.testing.assert_allclose(one.init_log_joints_, first, atol=5)
    assert not hasattr(best.set_params(init="prior", max_iter=2).fit(X), "init_log_joints_")


@pytest.mark.parametrize(
    ("log_joints", "within", "is_said"),
    [
        ([-10.0], 1.0, False),
        ([-10.0, -10.5], 1.0, False),
        ([-10.5, -30.0, -10.0], 1.0, False),
        ([-9.0, -20.0], 1.0, True),
        ([-9.0, -20.0], 15.0, False),
    ],
)
def test_a_mode_that_one_search_alone_found_is_said(log_joints, within, is_said):
    assert bool(convergence.describe_searches(np.array(log_joints), within)) is is_said


@pytest.mark.slow
def test_searches_that_learn_scales_are_compared_at_the_same_ones(monkeypatch):
    """Log joints at different scales cannot be compared."""
    X = make_hhmm(8, 60, 2, 4, emission_biases_sigma=2.0, trans_kappa=20.0, random_state=0).X
    climbs, iterate = [], search.iterate

    def noting(start, *args, **kwargs):
        climbs.append(start.chain.priors)
        return iterate(start, *args, **kwargs)

    monkeypatch.setattr(search, "iterate", noting)
    settings = PUBLISHED | {"emission_biases_sigma": "auto", "random_state": 0}
    model = EfficientHHMM(2, 4, algorithm="em", n_init=3, **settings).fit(X)
    assert len({float(priors.emission_biases_sigma) for priors in climbs[-3:]}) == 1
    assert np.ptp(model.init_log_joints_) < 1


@pytest.mark.parametrize("length", [4, 32, 5000])
def test_blocks_of_windows_change_nothing(length, monkeypatch):
    """Memory is bounded where windows are many: blocks, across gaps and empty sequences."""
    data = make_hhmm(5, 400, n_states=3, n_syllables=8, random_state=0)
    X = [x.astype(np.int32) for x in data.X]
    X[1][30:90] = -1
    X[3:3] = [np.zeros(0, np.int32), np.array([5], np.int32), np.full(9, -1, np.int32)]
    terms = Terms(3, 8)
    whole = np.concatenate(windows.window_states(X, terms, length, np.random.RandomState(0)))
    for n_at_once in (1, 2, 7):
        monkeypatch.setattr(windows, "BLOCK_CELLS", 8 * n_at_once)
        blocks = np.concatenate(windows.window_states(X, terms, length, np.random.RandomState(0)))
        np.testing.assert_array_equal(blocks, whole)
