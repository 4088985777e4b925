"""What the benchmarks' studies make of raw numbers, and the model that they compare with."""

import contextlib
import itertools
import types

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.exceptions import NotFittedError

from benchmarks import (
    _calibration_worker,
    _free_emissions,
    _fuzz_worker,
    calibration,
    efficiency,
    fuzz,
    modes,
    mutants,
    precision,
    samplers,
)
from benchmarks._regimes import make_regimes
from benchmarks._samplers_worker import count as count_syllables
from benchmarks.calibration_plot import draw_calibration
from benchmarks.efficiency_plot import draw_efficiency
from benchmarks.figures import Figure
from benchmarks.studies import lab, learnt, posterior
from benchmarks.workloads import QUICK, Calibration
from hhmm import EfficientHHMM
from tests.published import PUBLISHED


def widest(text):
    """Length of the longest line."""
    return max(map(len, text.splitlines()))


def test_higher_than_the_truth_has_missed_nothing():
    assert modes.count_reached([-161.0, -160.0, -100.0, 500.0], -100.0, 60.0) == 3


def test_song_is_judged_by_its_first_seed():
    fits = [
        {"sampler": "hmc", "n_states": 2, "seed": 0, "score": -0.722},
        {"sampler": "hmc", "n_states": 2, "seed": 1, "score": -0.8},
        {"sampler": "hmc", "n_states": 3, "seed": 0, "score": -0.65},
        {"sampler": "hmc", "n_states": 3, "seed": 1, "score": -0.6},
    ]
    first, second = modes.summarise_song(fits)
    assert first["met"]
    assert (first["lowest"], first["highest"], first["n_seeds"]) == (-0.8, -0.722, 2)
    assert not second["met"]


def test_modes_table():
    fit = {"seed": 0, "log_joint": -10.0, "accuracy": 0.9, "seconds": 1.0, "fit_seconds": 1.0}
    fits = [
        {**fit, "init": init, "sampler": sampler, "n_states": 2, "score": score}
        for init, sampler, score in (("windows", "laplace", -0.7), ("prior", "hmc", -0.8))
    ]
    found = {"truth": fit, "fits": fits, "reached": {"windows": 1, "prior": 0}, "met": True}
    song = {"fits": fits, "rows": modes.summarise_song(fits)}
    text = modes.modes_table(
        {
            "tutorial": {"truth": fit, "fits": [fit] * 20, "n_reached": 20, "met": True},
            "regimes": {
                "problem": QUICK.regimes._asdict(),
                "n_timesteps": 10_000,
                "em": found,
                "gibbs": found,
            },
            "song": song,
        }
    )
    assert text.count("target all: met") == 4
    assert text.endswith("target all: MISSED")
    assert widest(text) <= 100


def test_regimes_last_as_long_as_asked():
    problem = QUICK.regimes._replace(n_sequences=4)
    data = make_regimes(**problem._asdict())
    low, high = problem.durations
    for sequence, regimes in zip(data.sequences, data.regimes, strict=True):
        assert problem.lengths[0] <= len(sequence) == len(regimes) <= problem.lengths[1]
        assert sequence.min() >= 0
        assert sequence.max() < problem.n_syllables
        durations = np.diff(np.flatnonzero(np.diff(regimes, prepend=-1)))
        assert durations.min() >= low
        assert durations.max() <= high
    again = make_regimes(**problem._asdict())
    np.testing.assert_array_equal(again.sequences[-1], data.sequences[-1])


def test_uniform_ranks_are_calibrated_and_skewed_ones_are_not():
    n_draws, each = 19, 25
    uniform = calibration.assess(list(range(n_draws + 1)) * each, n_draws)
    assert uniform["counts"] == [2 * each] * calibration.N_BINS
    assert uniform["p_value"] == 1.0
    assert uniform["mean"] == 0.5
    assert uniform["n_outside"] == 0
    skewed = calibration.assess([0] * 100 + list(range(n_draws + 1)) * (each - 5), n_draws)
    assert skewed["n_outside"] == 1
    assert calibration.is_calibrated({"a": uniform, "b": uniform})
    assert not calibration.is_calibrated({"a": uniform, "b": skewed})
    with pytest.raises(ValueError, match="multiple of 10, got 20"):
        calibration.assess([0], 20)


def test_p_values_are_compared_with_the_level_over_their_number():
    below, above = ({"p_value": p} for p in (0.004, 0.006))
    assert not calibration.is_calibrated({"a": below, "b": above})
    assert calibration.is_calibrated({"a": above, "b": above})


def test_band_holds_a_bin_with_its_share_of_the_level():
    low, high = calibration.band(500)
    outside = binom.cdf(low - 1, 500, 0.1) + binom.sf(high, 500, 0.1)
    assert outside <= calibration.LEVEL / calibration.N_BINS
    closer = binom.cdf(low, 500, 0.1) + binom.sf(high - 1, 500, 0.1)
    assert closer > calibration.LEVEL / calibration.N_BINS


@pytest.fixture
def calibrated():
    """A study with uniform ranks of two quantities."""
    problem = Calibration(100)
    assessed = calibration.assess(list(range(20)) * 5, problem.n_draws)
    each = {"trace of A": assessed, "log prior": assessed}
    return {
        "problem": problem._asdict(),
        "samplers": {calibration.EXACT: each, calibration.APPROXIMATE: each},
        "met": True,
    }


def test_calibration_table_and_picture(calibrated, tmp_path):
    text = calibration.calibration_table(calibrated)
    assert "hmc: no p-value below 0.01 / 2 = 0.0050: met" in text
    assert widest(text) <= 100
    draw_calibration(calibrated, tmp_path / "calibration.png")
    assert (tmp_path / "calibration.png").read_bytes().startswith(b"\x89PNG")


def test_ranked_quantities_have_the_library_s_densities_and_no_labels():
    priors = Calibration(1).priors
    rng = np.random.default_rng(0)
    X = rng.integers(4, size=(3, 30))
    sequences = _calibration_worker.observe(rng, X, (30, 20, 10), 0.2)
    b, c = rng.standard_normal((4, 3)), rng.standard_normal((2, 3))
    params = (b, c, rng.dirichlet(np.ones(3), 3))
    model = EfficientHHMM.from_params(*params, **PUBLISHED | priors)
    found = _calibration_worker.quantities(*params, model.log_joint(sequences), **priors)
    np.testing.assert_allclose(
        found["log-likelihood"], model.score_samples(sequences).sum(), rtol=1e-6
    )
    # columns of the Helmert basis of three states; exchanging the first two flips one of them
    order = [1, 0, 2]
    renamed = (b, c * np.array([[-1], [1]]), params[2][order][:, order])
    model = EfficientHHMM.from_params(*renamed, **PUBLISHED | priors)
    again = _calibration_worker.quantities(*renamed, model.log_joint(sequences), **priors)
    for name, value in found.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-5)


def test_observed_sequences_end_where_they_should():
    X = np.arange(200).reshape(2, 100)
    long, short = _calibration_worker.observe(np.random.default_rng(0), X, (100, 40), 0.5)
    assert (len(long), len(short)) == (100, 40)
    assert long[-1] == 99
    assert short[-1] == 139
    assert 0.3 < np.mean(long == -1) < 0.7
    np.testing.assert_array_equal(long[long >= 0], X[0][long >= 0])


def judged_samplers(ratio, acceptance):
    sweeps = [
        Figure(name, "one sweep", "s", [ratio], "laplace", [1.0], samplers.SWEEP_TARGET)
        for name in ("tutorial", "wide")
    ]
    chains = [{"workload": "tutorial", "acceptance": acceptance, "n_diverging": 0, "n_sweeps": 100}]
    return samplers.Samplers(["tutorial: small"], sweeps, chains)


def test_exact_draws_become_the_default_if_they_are_cheap():
    cheap, dear = judged_samplers(1.4, 0.9), judged_samplers(1.6, 0.96)
    assert samplers.becomes_default(cheap.figures)
    assert not samplers.becomes_default(dear.figures)
    assert samplers.samplers_table(cheap).endswith("met; by this rule hmc is the default")
    assert samplers.samplers_table(dear).endswith("MISSED; by this rule laplace is the default")
    assert widest(samplers.samplers_table(dear)) <= 100
    assert samplers.samplers_as_json(cheap)["chains"][0]["met"]
    assert not samplers.samplers_as_json(dear)["chains"][0]["met"]


def test_a_lab_is_met_where_every_seed_is_as_good_as_the_truth():
    truth, seed = lab.Fit("truth", 0.95, 0.05, 9.0), lab.Fit("seed 0", 0.945, 0.05, 9.0)
    assert lab.judge([truth, seed, seed._replace(accuracy=0.99)])
    assert not lab.judge([truth, seed, seed._replace(accuracy=0.93)])
    assert not lab.judge([truth, seed, seed._replace(least_usage=0.0)])
    text = lab.make_table({"mice, frames": [truth, seed]})
    assert text.endswith("no state unused: met")
    assert widest(text) <= 100


def test_learnt_scales_are_judged_by_score_and_time():
    good = learnt.Comparison("song", (-0.7, -0.6), (1.0, 1.4))
    text = learnt.make_table([good, good._replace(scores=(-0.7, -0.7015))])
    assert text.count("met") == 3
    assert widest(text) <= 100
    text = learnt.make_table([good._replace(scores=(-0.7, -0.71), seconds=(1.0, 1.6))])
    assert text.count("MISSED") == 3


def test_draws_are_compared_in_posterior_standard_deviations():
    rng = np.random.default_rng(0)
    exact = posterior.Draws("exact", rng.normal(0, 2, (2, 4000, 1, 1, 1)), 1.0)
    shifted = exact._replace(probs=exact.probs + 1.0)
    shift, error, quantile_shift = posterior.compare(shifted, exact)
    assert shift == pytest.approx(0.5, rel=0.05)
    assert quantile_shift == pytest.approx(0.5, rel=0.05)
    assert error == pytest.approx(np.sqrt(2 / 8000), rel=0.1)


def test_syllables_are_counted_in_the_state_that_they_lead_to():
    counts = count_syllables(np.array([[0, 1, 1]]), np.array([[1, 0, 1]]), (2, 2, 2))
    expected = np.zeros((2, 2, 2))
    expected[0, 0, 1] = expected[1, 1, 1] = 1
    np.testing.assert_array_equal(counts, expected)


def repeats_of(short_of):
    """One repeat whose scores are so much short of the truth's."""
    truth = {"score": -1.0, "accuracy": 0.9}
    fits = {
        n: {
            model: {"score": -1.0 - short, "accuracy": 0.5}
            for model, short in zip(efficiency.MODELS, short_of(n), strict=True)
        }
        for n in (1, 2, 10, 20)
    }
    return [{"truth": truth, "fits": fits}]


def test_multiple_of_the_data_is_read_off_between_sizes():
    """The better free model is short by 4 / n where this model is short by 1 / n."""
    rows = efficiency.summarise_repeats(repeats_of(lambda n: (1 / n, 4 / n, 5 / n, 1.0)))
    multiples = efficiency.data_multiples(rows)
    np.testing.assert_allclose([m["multiple"] for m in multiples], [4, 4, 2, 1], rtol=1e-9)
    assert [m["at_least"] for m in multiples] == [False, False, True, True]
    assert efficiency.meets_target(multiples)
    assert not efficiency.meets_target([{"multiple": 2.9, "at_least": False}, *multiples])
    assert efficiency.meets_target(multiples[2:]) is None


def test_a_model_that_is_worse_needs_more_of_the_data_itself():
    rows = efficiency.summarise_repeats(repeats_of(lambda n: (4 / n, 1 / n, 1 / n, 1.0)))
    multiples = efficiency.data_multiples(rows)
    np.testing.assert_allclose([m["multiple"] for m in multiples], [1, 1 / 2, 1 / 4, 1 / 4])
    assert not efficiency.meets_target(multiples)


def test_efficiency_table_and_picture(tmp_path):
    repeats = repeats_of(lambda n: (1 / n, 4 / n, 5 / n, 1.0))
    rows = efficiency.summarise_repeats(repeats)
    multiples = efficiency.data_multiples(rows)
    found = {"repeats": repeats, "rows": rows, "multiples": multiples, "met": True}
    text = efficiency.efficiency_table(found)
    assert text.endswith(": met")
    assert widest(text) <= 100
    draw_efficiency(found, tmp_path / "efficiency.png")
    assert (tmp_path / "efficiency.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def free_problem():
    """Syllables, parameters and priors of the free model, tiny."""
    rng = np.random.default_rng(0)
    params = _free_emissions.FreeParams(
        rng.dirichlet(np.ones(2), 2), rng.dirichlet(np.ones(3), (2, 3))
    )
    return rng.integers(3, size=(3, 5)), params, _free_emissions.Priors(1.0, 1.0, 5.0)


def enumerate_paths(X, params):
    """Log-likelihood, expected counts and smoothed probabilities over all paths."""
    A, P = params
    n_states, n_syllables = len(A), P.shape[-1]
    pairs, syllables = np.zeros((n_states, n_states)), np.zeros((n_states, *P.shape[1:]))
    smoothed, log_likelihood = np.zeros((*X.shape, n_states)), 0.0
    for row, x in enumerate(X):
        total, sums = 0.0, [np.zeros_like(pairs), np.zeros_like(syllables), smoothed[row]]
        for z in itertools.product(range(n_states), repeat=len(x)):
            probability = 1 / n_states
            for t in range(1, len(x)):
                probability *= A[z[t - 1], z[t]] * P[z[t], x[t - 1], x[t]]
            total += probability
            for t in range(len(x)):
                sums[2][t, z[t]] += probability
            for t in range(1, len(x)):
                sums[0][z[t - 1], z[t]] += probability
                sums[1][z[t], x[t - 1], x[t]] += probability
        pairs += sums[0] / total
        syllables += sums[1] / total
        smoothed[row] /= total
        log_likelihood += np.log(total)
    assert n_syllables == syllables.shape[-1]
    return log_likelihood, pairs, syllables, smoothed


def test_free_model_expects_what_enumeration_finds(free_problem):
    X, params, _ = free_problem
    log_likelihood, pairs, syllables, smoothed = enumerate_paths(X, params)
    expected = _free_emissions.expect(X, params)
    np.testing.assert_allclose(expected.log_likelihood, log_likelihood, rtol=1e-12)
    np.testing.assert_allclose(expected.state_trans_counts, pairs, rtol=1e-10)
    np.testing.assert_allclose(expected.syllable_trans_counts, syllables, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(_free_emissions.score(X, params), log_likelihood / 12, rtol=1e-12)
    np.testing.assert_array_equal(_free_emissions.predict(X, params), smoothed.argmax(axis=-1))


def test_free_model_rises_at_every_iteration_and_ends_at_a_mode(free_problem):
    _, start, _ = free_problem
    priors = _free_emissions.Priors(1.0, 2.0, 5.0)  # whose mode is not at the edge
    X = np.random.default_rng(2).integers(3, size=(5, 20))
    fit = _free_emissions.fit(X, start, priors, max_iter=2000, tol=1e-11)
    assert fit.converged
    assert np.diff(fit.log_joint).min() > -1e-9

    def log_joint(params):
        log_likelihood = _free_emissions.expect(X, params).log_likelihood
        return float(log_likelihood) + _free_emissions.log_prior(params, priors)

    # central differences, in A and in the logits of P: a wrong M-step leaves slopes above 1
    rng = np.random.default_rng(1)
    A, P = fit.params

    def slope(move, size=1e-4):
        ends = [log_joint(_free_emissions.FreeParams(*move(s))) for s in (size, -size)]
        return (ends[0] - ends[1]) / (2 * size)

    def tilt(size):
        tilted = P * np.exp(size * direction)
        return A, tilted / tilted.sum(axis=-1, keepdims=True)

    for row in np.eye(2):
        assert abs(slope(lambda size, row=row: (A + size * np.outer(row, [1, -1]), P))) < 0.1
    for _ in range(3):
        direction = rng.standard_normal(P.shape)
        assert abs(slope(tilt)) < 0.1


def test_free_model_counts_known_states():
    X, states = np.array([[0, 1, 2]]), np.array([[0, 0, 1]])
    counts = _free_emissions.count(X, states, 2, 3)
    np.testing.assert_array_equal(counts.state_trans_counts, [[1, 1], [0, 0]])
    assert counts.syllable_trans_counts[0, 0, 1] == counts.syllable_trans_counts[1, 1, 2] == 1
    assert counts.syllable_trans_counts.sum() == 2
    params = _free_emissions.maximise(counts, _free_emissions.Priors(1.0, 1.0, 3.0))
    np.testing.assert_allclose(params.trans_probs, [[4 / 5, 1 / 5], [0, 1]])
    np.testing.assert_allclose(params.syllable_probs[0, 0], [1 / 4, 2 / 4, 1 / 4])


CHEAP = (
    *("match_states", "matched_accuracy", "matched_confusion_matrix", "state_usage"),
    *("state_durations", "lagged_mutual_information", "rhat", "ess_bulk", "ess_tail"),
    *("trans_kappa_from_duration", "duration_from_trans_kappa"),
)


def test_hostile_inputs_are_taken_or_refused():
    """Functions that need no fit; the benchmark does all of them."""
    outcomes = []
    for index in range(500):
        target, arguments = _fuzz_worker.make_input(fuzz.SEED, index, CHEAP)
        outcomes.append(_fuzz_worker.call_target(index, target, arguments))
    assert {outcome.name for outcome in outcomes} == set(CHEAP)
    assert {"returned", "ValueError", "TypeError"} <= {outcome.kind for outcome in outcomes}
    assert [outcome for outcome in outcomes if outcome.wrong] == []


def test_fuzz_inputs_follow_from_seed_and_index():
    for index in range(50):
        (one, first), (other, second) = (_fuzz_worker.make_input(3, index, CHEAP) for _ in range(2))
        assert one is other
        assert repr(first) == repr(second)


def test_what_is_neither_taken_nor_refused_is_wrong():
    def call(*, error):
        raise error

    def call_with(error, **settings):
        target = _fuzz_worker.Target("f", call, None, **settings)
        return _fuzz_worker.call_target(7, target, {"error": error})

    assert call_with(UnicodeDecodeError("utf-8", b"", 0, 1, "")).kind == "ValueError"
    assert not call_with(NotFittedError()).wrong
    assert not call_with(OSError(), errors=(OSError,)).wrong
    for error in (OSError(), KeyError(), MemoryError(), AttributeError(), OverflowError()):
        assert call_with(error).wrong
    model = EfficientHHMM()

    def fit(**arguments):
        model.left_behind_ = 1
        raise ValueError("no")

    with pytest.raises(_fuzz_worker.ChangedError, match="left_behind_"):
        _fuzz_worker.check_unchanged(model, fit)


def test_processes_that_hang_or_end_are_started_again(monkeypatch):
    """Input 3 hangs and 5 ends its process."""

    def call(first, stop, cache):
        fatal = {3: "Timeout (0:01:00)!", 5: "Segmentation fault"}
        ends = min((i for i in fatal if first <= i < stop), default=None)
        done = range(first, stop if ends is None else ends)
        begun = [(i, "f") for i in done] + ([] if ends is None else [(ends, "f")])
        outcomes = [fuzz.Outcome(i, "f", "returned", False, "") for i in done]
        return begun, outcomes, 0 if ends is None else -11, fatal.get(ends, "")

    monkeypatch.setattr(fuzz, "_call", call)
    found = fuzz.measure_fuzz(QUICK._replace(n_fuzz=8), lambda message: None)
    assert found["n_inputs"] == 8
    assert found["functions"] == {"f": {"returned": 6, "hang": 1, "exit code -11": 1}}
    assert [(row["index"], row["kind"]) for row in found["findings"]] == [
        (3, "hang"),
        (5, "exit code -11"),
    ]
    text = fuzz.fuzz_table(found)
    assert text.endswith("8 inputs, 2 that were neither taken nor refused: MISSED")
    assert widest(text) <= 100


@pytest.mark.parametrize(
    ("score", "finite", "verdict"),
    [(1e-11, True, "met"), (2e-7, True, "MISSED"), (1e-11, False, "MISSED")],
)
def test_precision_is_judged_by_scores_and_fits(score, finite, verdict, monkeypatch):
    def request(command, kind=None, n_timesteps=None, n_sweeps=None):
        if command == "kinds":
            return ["held", "cyclic"]
        if command == "fit":
            assert n_timesteps == 100_000
            return {"seconds": 3.0, "finite": finite or kind == "held"}
        return {"exact": -1.5e6, "score": score, "recorded": 0.01}

    worker = types.SimpleNamespace(request=request)
    side = types.SimpleNamespace(worker=lambda: contextlib.nullcontext(worker))
    monkeypatch.setattr(precision, "PRECISION", side)
    text = precision.precision_table(precision.measure_precision(QUICK, lambda _: None))
    assert text.endswith(f"finite: {verdict}")
    assert text.count("-1,500,000.0000") == 2 * len(QUICK.precision_timesteps)
    assert widest(text) <= 100


def test_mutants_are_drawn_by_place():
    """One place has fifty mutants and the other one: they have equal chance."""
    made = [mutants.Mutant("a.py", 1, "x + 1", f"x - {i}", "") for i in range(50)]
    made.append(mutants.Mutant("a.py", 2, "y", "not y", ""))
    drawn = [mutants.draw(made, 1, np.random.default_rng(seed))[0].line for seed in range(400)]
    # 200 are expected; further off than 78 by chance once in 10^14
    assert abs(drawn.count(2) - 200) < 78


def test_the_tests_of_a_module_come_first():
    tests = ("tests/test_messages.py", "tests/test_parallel.py", "tests/test_runs.py")
    first, *rest = mutants._own_first(tests, "hhmm/_messages/parallel.py")
    assert (first, rest) == (tests[1], [tests[0], tests[2]])
    assert mutants._own_first(tests, "hhmm/_messages/bridges.py") == list(tests)


def test_survivors_are_explained_or_listed(monkeypatch):
    known = mutants.Outcome("a.py", 3, "x[-1]", "x[1]", True)
    unknown = mutants.Outcome("a.py", 4, "x > 0", "x > 1", True)
    monkeypatch.setattr(mutants, "REASONS", {("a.py", "x[-1]", "x[1]"): "the same entry"})
    assert mutants.Mutants("a", 10, 2, [known]).met
    rows = [mutants.Mutants("a", 10, 2, [known, unknown])]
    assert not rows[0].met
    text = mutants.mutants_table(rows)
    assert "    the same entry" in text
    assert text.endswith("MISSED")
    assert rows[0].unexplained == [unknown]
