"""hhmm.diagnostics against arviz, loops in plain Python, closed forms and states renamed."""

import importlib.util
import logging
import math
import statistics
import sys
import warnings
from fractions import Fraction

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import hhmm.diagnostics
from hhmm import EfficientHHMM
from hhmm._inference.draws import permute
from hhmm._model.simplex import helmert_basis
from hhmm._types import Params, Posterior
from hhmm.diagnostics import ess_bulk, ess_tail, posterior_summary, rhat

DIAGNOSTICS = [rhat, ess_bulk, ess_tail]
KINDS = ["white", "positive", "negative", "shifted", "scaled", "cauchy", "ties", "two values"]
LABEL_FREE = [
    "log_joint",
    "emission_base_norm",
    "emission_biases_norm",
    "mean_staying_prob",
    "mean_dwell_time",
    "usage_entropy",
]


def autoregression(rng, coefficient, shape):
    """Stationary AR(1) chains with unit innovations, time on axis 1."""
    draws = rng.normal(size=shape)
    draws[:, 0] /= np.sqrt(1 - coefficient**2)
    for t in range(1, shape[1]):
        draws[:, t] += coefficient * draws[:, t - 1]
    return draws


def chains_of(kind, n_chains, n_draws, seed=0):
    rng = np.random.default_rng([seed, n_chains, n_draws])
    shape = n_chains, n_draws
    chain = np.arange(n_chains)[:, None]
    return {
        "white": lambda: rng.normal(size=shape),
        "positive": lambda: autoregression(rng, 0.9, shape),
        "negative": lambda: autoregression(rng, -0.9, shape),
        "shifted": lambda: rng.normal(size=shape) + chain,
        "scaled": lambda: rng.normal(size=shape) * (1 + chain),
        "cauchy": lambda: rng.standard_cauchy(shape),
        "ties": lambda: rng.integers(0, 4, shape).astype(float),
        "two values": lambda: rng.integers(0, 2, shape).astype(float),
        "constant": lambda: np.full(shape, 0.1),
        "nan": lambda: np.where(rng.permutation(n_chains * n_draws).reshape(shape), 1.0, np.nan),
    }[kind]()


@pytest.fixture
def arviz():
    """ArviZ, without what it has to say of NaN, short chains and division by zero."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it announces its next version, too
        yield pytest.importorskip("arviz")
    logging.disable(logging.NOTSET)


def exact_quantile(draws, percent):
    """The quantile that interpolates linearly (type 7), as a fraction without rounding."""
    ordered = sorted(map(Fraction, draws.ravel().tolist()))
    position = Fraction(percent, 100) * (len(ordered) - 1)
    below = math.floor(position)
    above = math.ceil(position)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


@pytest.mark.parametrize("kind", [*KINDS, "constant", "nan"])
@pytest.mark.parametrize("n_chains", [1, 4])
def test_agrees_with_arviz(arviz, kind, n_chains):
    for n_draws in [1, 3, 4, 5, 6, 7, 12, 25, 26, 101]:
        draws = chains_of(kind, n_chains, n_draws)
        agrees = {"rtol": 1e-9, "err_msg": f"{n_draws} draws"}
        np.testing.assert_allclose(rhat(draws), arviz.rhat(draws, method="rank"), **agrees)
        np.testing.assert_allclose(ess_bulk(draws), arviz.ess(draws, method="bulk"), **agrees)
        # Where a quantile falls on a draw, arviz rounds it to either side of the draw.
        if (draws.size - 1) % 20:
            by_arviz = arviz.ess(draws, method="tail", prob=(0.05, 0.95))
            np.testing.assert_allclose(ess_tail(draws), by_arviz, **agrees)
        if kind != "nan":
            by_arviz = []
            for percent in (5, 95):
                quantile = exact_quantile(draws, percent)
                indicator = np.vectorize(lambda draw, q=quantile: float(Fraction(draw) <= q))(draws)
                by_arviz.append(arviz.ess(indicator, method="mean"))
            np.testing.assert_allclose(ess_tail(draws), np.min(by_arviz), **agrees)


def test_rhat_of_known_variances():
    # Means 2 and 6, variances 2 and 2: B = 2 * 8, W = 2, var+ = 2 / 2 + 16 / 2 = 9.
    chains = np.array([[[1.0, 3.0], [5.0, 7.0]]])
    np.testing.assert_allclose(hhmm.diagnostics._rhat(chains), np.sqrt(9 / 2), rtol=1e-14)


def rhat_by_loop(draws):
    """Equations 1-4, 14 and 15 of the paper in plain Python."""
    half = len(draws[0]) // 2
    chains = [part for chain in draws for part in (chain[:half], chain[-half:])]
    median = statistics.median(x for chain in chains for x in chain)
    results = []
    for version in (chains, [[abs(x - median) for x in chain] for chain in chains]):
        pooled = [x for chain in version for x in chain]
        scores = []
        for chain in version:
            scores.append([])
            for x in chain:
                rank = sum(y < x for y in pooled) + (1 + sum(y == x for y in pooled)) / 2
                quantile = (rank - 3 / 8) / (len(pooled) + 1 / 4)
                scores[-1].append(statistics.NormalDist().inv_cdf(quantile))
        within = statistics.mean(statistics.variance(chain) for chain in scores)
        between = half * statistics.variance(statistics.mean(chain) for chain in scores)
        results.append(math.sqrt(((half - 1) / half * within + between / half) / within))
    return max(results)


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_rhat_is_what_a_loop_computes(kind):
    for n_chains, n_draws in [(2, 9), (3, 20), (5, 11)]:
        draws = chains_of(kind, n_chains, n_draws, seed=1)
        np.testing.assert_allclose(rhat(draws), rhat_by_loop(draws.tolist()), rtol=1e-10)


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.9])
def test_ess_of_an_autoregression(coefficient):
    """S (1 - rho) / (1 + rho) is the closed form; and the ESS of its cdf at 5% not far below.

    The relative variance of the integrated autocorrelation time tau, cut at lag M, is
    2 (2 M + 1) / S (Sokal 1997, eq. 3.19), M at most 3 tau here. The mean of 200 estimates may
    be off by one standard error of one of them: room for the bias of the cut, which is below
    half of that, and for seven standard errors of the mean (false alarms: 1e-12).
    """
    n_chains, n_draws, n_quantities = 4, 2000, 200
    rng = np.random.default_rng(0)
    draws = autoregression(rng, coefficient, (n_chains, n_draws, n_quantities))
    tau = (1 + coefficient) / (1 - coefficient)
    n_total = n_chains * n_draws
    standard_error = np.sqrt(2 * (6 * tau + 1) / n_total)
    np.testing.assert_allclose(ess_bulk(draws).mean() * tau / n_total, 1, atol=standard_error)
    # Cutting a chain at a quantile loses correlation: it mixes at least as well.
    tail = ess_tail(draws).mean() / n_total
    assert (1 - standard_error) / tau < tail < 1 + standard_error


def test_rhat_of_chains_that_agree_is_near_1():
    """Each of 200 quantities below 1.01, as 4 chains of 2000 independent draws must be.

    With n = 1000 draws in half a chain, R-hat^2 - 1 is (F - 1) / n for F with 7 and 7992 degrees of
    freedom; 1.01 is F = 21, of probability below 1e-25. Less than 1 by F = 0 at most.
    """
    values = rhat(np.random.default_rng(0).normal(size=(4, 2000, 200)))
    assert values.max() < 1.01
    assert values.min() > np.sqrt(1 - 1 / 1000)


def test_chains_that_disagree():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(4, 500))
    elsewhere = draws + np.array([[0], [0], [0], [1]])
    assert rhat(draws) < 1.01
    assert rhat(elsewhere) > 1.05
    assert ess_bulk(elsewhere) < ess_bulk(draws) / 10
    # Two modes, each with two chains in it: about as many draws as modes
    assert ess_bulk(draws + np.array([[0], [0], [9], [9]])) < 8
    # Same mean, another spread: only the folded draws can tell
    wider = draws * [[1], [1], [1], [3]]
    scores = hhmm.diagnostics._normal_scores(hhmm.diagnostics._split(wider[None]))
    assert hhmm.diagnostics._rhat(scores) < 1.01
    assert rhat(wider) > 1.05
    # A chain on its way: only its halves can tell
    assert rhat(draws + np.linspace(0, 3, 500)) > 1.05


def test_chains_that_do_not_move():
    stuck = np.repeat([[0.0], [1.0], [1.0]], 20, axis=1)
    assert rhat(stuck) > 1e3
    assert ess_bulk(stuck) < 8
    equal = np.full((3, 20), 0.1)
    assert np.isnan(rhat(equal))
    assert ess_bulk(equal) == ess_tail(equal) == 60


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
def test_a_draw_that_is_not_finite_spoils_its_quantity_only(diagnostic, bad):
    draws = np.random.default_rng(0).normal(size=(3, 30, 4))
    expected = diagnostic(draws)
    draws[1, 7, 2] = bad
    result = diagnostic(draws)
    assert np.isnan(result[2])
    np.testing.assert_array_equal(result[[0, 1, 3]], expected[[0, 1, 3]])


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
def test_too_little_to_tell(diagnostic):
    for n_draws in range(4):
        assert np.isnan(diagnostic(np.arange(3.0 * n_draws).reshape(3, n_draws)))
    one_chain = np.random.default_rng(0).normal(size=(1, 30))
    assert np.isnan(diagnostic(one_chain)) == (diagnostic is rhat)


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
def test_trailing_axes(diagnostic, monkeypatch):
    draws = np.random.default_rng(0).normal(size=(3, 21, 2, 5)).cumsum(axis=1)
    draws[0, 0, 1, 1] = np.nan
    whole = diagnostic(draws)
    assert whole.shape == (2, 5)
    assert whole.dtype == np.float64
    for index in np.ndindex(2, 5):
        one = diagnostic(draws[(..., *index)])
        assert isinstance(one, np.float64)
        np.testing.assert_array_equal(whole[index], one)
    for n_quantities in (1, 2, 4):
        monkeypatch.setattr(hhmm.diagnostics, "_BLOCK_DRAWS", 63 * n_quantities)
        np.testing.assert_array_equal(diagnostic(draws), whole)
    assert diagnostic(np.empty((3, 21, 0, 5))).shape == (0, 5)


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
def test_forms_of_draws(diagnostic):
    draws = np.random.default_rng(0).integers(0, 50, (3, 40, 2))
    expected = diagnostic(draws.astype(float))
    for form in (draws, draws.astype(np.int8), draws.astype(np.float32), draws.tolist()):
        np.testing.assert_array_equal(diagnostic(form), expected)
    np.testing.assert_array_equal(diagnostic(np.asfortranarray(draws)), expected)
    np.testing.assert_array_equal(diagnostic(draws > 25), diagnostic((draws > 25) * 1.0))
    # Ranks do not change under a monotone map, here one that loses no distinction
    np.testing.assert_allclose(ess_bulk(draws), ess_bulk(np.exp(draws / 10)), rtol=1e-12)


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
@pytest.mark.parametrize("scale", [(10, 1, 1), (1, 10, 1), (1, 1, 10)])
def test_no_python_loop_over_chains_draws_or_quantities(diagnostic, scale):
    def lines_run(draws):
        count = 0

        def trace(frame, event, argument):
            nonlocal count
            count += frame.f_code.co_filename == hhmm.diagnostics.__file__
            return trace

        previous = sys.gettrace()
        sys.settrace(trace)
        try:
            diagnostic(draws)
        finally:
            sys.settrace(previous)
        return count

    draws = np.random.default_rng(0).normal(size=(3, 20, 4))
    assert 5 < lines_run(draws) == lines_run(np.tile(draws, scale))


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
@pytest.mark.parametrize(
    ("draws", "error", "message"),
    [
        (np.zeros(5), ValueError, r"shape \(n_chains, n_draws, ...\), got \(5,\)"),
        (1.0, ValueError, r"shape \(n_chains, n_draws, ...\), got \(\)"),
        (np.zeros((0, 5)), ValueError, "at least one chain, got 0"),
        ([["a", "b"]], TypeError, "draws must hold real numbers, got dtype <U1"),
        (np.zeros((2, 5), complex), TypeError, "draws must hold real numbers, got dtype complex"),
    ],
)
def test_bad_draws(diagnostic, draws, error, message):
    with pytest.raises(error, match=message):
        diagnostic(draws)


def test_arviz_is_not_needed(monkeypatch):
    """A copy of the module that cannot import arviz gives the same figures."""
    for name in ("arviz", "arviz_stats"):
        monkeypatch.setitem(sys.modules, name, None)
    spec = importlib.util.spec_from_file_location("copy_of_diagnostics", hhmm.diagnostics.__file__)
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    draws = np.random.default_rng(0).normal(size=(4, 30, 3))
    for diagnostic in DIAGNOSTICS:
        same = getattr(copy, diagnostic.__name__)(draws)
        np.testing.assert_array_equal(same, diagnostic(draws))


def model_with(n_chains=3, n_draws=20, n_states=4, n_syllables=5, seed=0):
    """A model whose posterior is noise around random parameters, without a fit."""
    rng = np.random.default_rng(seed)
    leading = n_chains, n_draws
    stay = rng.uniform(0.5, 0.99, (n_states, 1)) * np.eye(n_states)
    leave = (1 - stay.sum(axis=1, keepdims=True)) * rng.dirichlet(
        np.ones(n_states), (*leading, n_states)
    )
    base = rng.normal(size=(n_syllables, n_syllables - 1))
    biases = rng.normal(size=(n_states - 1, n_syllables - 1))
    posterior = Posterior(
        emission_base=base + 0.1 * rng.normal(size=(*leading, *base.shape)),
        emission_biases=biases + 0.1 * rng.normal(size=(*leading, *biases.shape)),
        trans_probs=stay + leave,
        log_joint=-1e4 + 10 * rng.normal(size=leading),
    )
    model = EfficientHHMM.from_params(*(part[0, 0] for part in posterior[:3]))
    model.posterior_ = posterior
    return model


def rows_of(summary):
    """The columns of each row by its name."""
    return {name: np.array(row) for name, *row in zip(*summary, strict=True)}


def assert_same_diagnostics(row, expected):
    """Compare R-hat and ESS of draws that are equal but for rounding.

    The two draws beside the median are equally far from it, and rounding decides which of them
    ranks first among the folded draws: that moves R-hat.
    """
    np.testing.assert_allclose(row[4], expected[0], atol=5e-3)
    np.testing.assert_allclose(row[5:], expected[1:], rtol=1e-9)


def test_summary_of_each_quantity():
    """Every figure from draws that a loop computes one by one, in definitions of its own."""
    model = model_with()
    posterior = model.posterior_
    n_states, n_syllables = 4, 5
    draws = {}
    for chain, draw in np.ndindex(3, 20):
        b, c, trans_probs, log_joint = (part[chain, draw] for part in posterior[:4])
        base = b @ helmert_basis(n_syllables).T
        biases = helmert_basis(n_states) @ c @ helmert_basis(n_syllables).T
        usage = np.linalg.matrix_power(trans_probs, 4096)[0]
        figures = {
            "log_joint": log_joint,
            "emission_base_norm": np.sqrt(np.sum(base**2)),
            "emission_biases_norm": np.sqrt(np.sum(biases**2)),
            "mean_staying_prob": np.mean([trans_probs[k, k] for k in range(n_states)]),
            # stays per timestep are departures per timestep
            "mean_dwell_time": 1 / sum(usage[k] * (1 - trans_probs[k, k]) for k in range(n_states)),
            "usage_entropy": -sum(p * math.log(p) for p in usage),
        }
        figures |= {f"dwell_time[{k}]": 1 / (1 - trans_probs[k, k]) for k in range(n_states)}
        figures |= {f"usage[{k}]": usage[k] for k in range(n_states)}
        figures |= {f"trans_probs[{k}, {j}]": p for (k, j), p in np.ndenumerate(trans_probs)}
        figures |= {f"biases[{k}, {j}]": value for (k, j), value in np.ndenumerate(biases)}
        for name, value in figures.items():
            draws.setdefault(name, np.zeros((3, 20)))[chain, draw] = value

    summary = posterior_summary(model, include_biases=True)
    assert summary.name.tolist() == list(draws)
    assert summary.name[:6].tolist() == LABEL_FREE
    for name, row in rows_of(summary).items():
        values = draws[name]
        q5, q95 = (float(exact_quantile(values, percent)) for percent in (5, 95))
        deviation = statistics.stdev(values.ravel().tolist())
        np.testing.assert_allclose(row[:4], [values.mean(), deviation, q5, q95], rtol=1e-9)
        assert_same_diagnostics(row, [f(values) for f in DIAGNOSTICS])

    shorter = posterior_summary(model)
    for column, whole in zip(shorter, summary, strict=True):
        np.testing.assert_array_equal(column, whole[: 6 + 4 + 4 + 16])


def test_renaming_states_changes_what_has_their_names_only():
    model = model_with()
    before = rows_of(posterior_summary(model))
    rng = np.random.default_rng(1)
    renamed = model.posterior_
    emission_biases, trans_probs = (np.empty_like(part) for part in renamed[1:3])
    for index in np.ndindex(3, 20):
        of_draw = Params(None, renamed.emission_biases[index], renamed.trans_probs[index])
        permuted = permute(of_draw, rng.permutation(4))
        emission_biases[index] = permuted.emission_biases
        trans_probs[index] = permuted.trans_probs
    model.posterior_ = renamed._replace(emission_biases=emission_biases, trans_probs=trans_probs)
    after = rows_of(posterior_summary(model))
    assert list(after) == list(before)
    for name, row in after.items():
        if name in LABEL_FREE:
            np.testing.assert_allclose(row[:4], before[name][:4], rtol=1e-9)
            assert_same_diagnostics(row, before[name][4:])
        else:
            assert abs(row[1] / before[name][1] - 1) > 1e-3, name


def test_chains_in_different_modes_show():
    model = model_with()
    model.posterior_.log_joint[2] -= 100
    summary = posterior_summary(model)
    is_log_joint = summary.name == "log_joint"
    assert summary.rhat[is_log_joint] > 1.5
    assert summary.ess_bulk[is_log_joint] < 10
    one_chain = model_with(n_chains=1)
    assert np.isnan(posterior_summary(one_chain).rhat).all()
    assert np.isfinite(posterior_summary(one_chain).ess_bulk).all()


@pytest.mark.parametrize("n_draws", [20, 50])
def test_draws_that_hardly_move_are_said(n_draws):
    """From 100 draws on, and of what does not depend on the numbers of states."""
    model = model_with(n_chains=2, n_draws=n_draws)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        posterior_summary(model)
        base = model.posterior_.emission_base
        base.cumsum(axis=1, out=base)
        if n_draws == 20:
            posterior_summary(model)
            return
    with pytest.warns(ConvergenceWarning, match=r"of the 100 draws.* emission_base_norm \(\d\)"):
        posterior_summary(model)


def test_long_stays_keep_their_figures():
    """1 - A[k, k] is 0 in float64 for a state that lasts 1e18 timesteps."""
    model = model_with(n_states=2)
    model.posterior_.trans_probs[:] = [[1 - 1e-18, 1e-18], [0.5, 0.5]]
    rows = rows_of(posterior_summary(model))
    np.testing.assert_allclose(rows["dwell_time[0]"][0], 1e18)
    np.testing.assert_allclose(rows["dwell_time[1]"][0], 2)


@pytest.mark.parametrize(
    ("trans_probs", "usage"),
    [
        ([[1.0, 0.0], [0.1, 0.9]], [1.0, 0.0]),
        ([[0.9, 0.1], [0.0, 1.0]], [0.0, 1.0]),
        ([[1.0, 0.0], [0.0, 1.0]], [0.5, 0.5]),
        ([[0.0, 1.0], [1.0, 0.0]], [0.5, 0.5]),
        ([[1 - 1e-6, 1e-6], [2e-6, 1 - 2e-6]], [2 / 3, 1 / 3]),
    ],
)
def test_usage_of_extreme_chains(trans_probs, usage):
    model = model_with(n_states=2)
    model.posterior_.trans_probs[:] = trans_probs
    with np.errstate(all="raise", under="ignore"):
        summary = posterior_summary(model)
    rows = rows_of(summary)
    for k in range(2):
        np.testing.assert_allclose(rows[f"usage[{k}]"][0], usage[k], atol=1e-8)


@pytest.mark.parametrize("n_draws", [1, 3, 20])
@pytest.mark.parametrize(("n_states", "n_syllables"), [(1, 5), (3, 1), (1, 1)])
def test_small_models(n_states, n_syllables, n_draws):
    model = model_with(n_chains=1, n_draws=n_draws, n_states=n_states, n_syllables=n_syllables)
    model.posterior_ = model.posterior_._replace(
        trans_probs=np.full((1, n_draws, n_states, n_states), 1 / n_states)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = posterior_summary(model, include_biases=True)
    n_quantities = 6 + 2 * n_states + n_states**2 + n_states * n_syllables
    assert all(column.shape == (n_quantities,) for column in summary)
    rows = rows_of(summary)
    np.testing.assert_allclose(rows["mean_staying_prob"][0], 1 / n_states)
    np.testing.assert_allclose(rows["usage_entropy"][0], math.log(n_states), atol=1e-12)
    dwell_time = n_states / (n_states - 1) if n_states > 1 else math.inf
    np.testing.assert_allclose(rows["dwell_time[0]"][0], dwell_time)
    assert np.isnan(rows["log_joint"][1]) == (n_draws == 1)
    # and a line that says why R-hat is NaN: there is one chain
    assert str(summary).count("\n") == n_quantities + 1


def test_table():
    model = model_with()
    lines = str(posterior_summary(model)).splitlines()
    assert lines[0].split() == ["mean", "sd", "q5", "q95", "rhat", "ess_bulk", "ess_tail"]
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 1 + 6 + 4 + 4 + 16
    name, mean, sd, *_ = lines[1].split()
    log_joint = model.posterior_.log_joint
    assert (name, mean, sd) == (
        "log_joint",
        f"{log_joint.mean():.2f}",
        f"{log_joint.std(ddof=1):.2f}",  # 8.44: three figures
    )

    model = model_with(n_states=40, n_draws=5)
    summary = posterior_summary(model)
    lines = repr(summary).splitlines()
    assert len(lines) == 62
    assert lines[-1] == "... and 1,626 more rows"  # of 6 + 40 + 40 + 1600


def test_frame(monkeypatch):
    summary = posterior_summary(model_with())
    frame = summary.to_frame()
    assert frame.index.tolist() == summary.name.tolist()
    assert frame.columns.tolist() == list(summary._fields[1:])
    assert frame.loc["trans_probs[1, 2]", "mean"] == rows_of(summary)["trans_probs[1, 2]"][0]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="install hhmm with the extra 'io'"):
        summary.to_frame()


def test_models_without_draws():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        posterior_summary(EfficientHHMM())
    model = model_with()
    del model.posterior_
    with pytest.raises(ValueError, match="Fit with algorithm='gibbs'"):
        posterior_summary(model)


def test_exports():
    assert sorted(hhmm.diagnostics.__all__) == hhmm.diagnostics.__all__
    assert all(callable(getattr(hhmm.diagnostics, name)) for name in hhmm.diagnostics.__all__)
