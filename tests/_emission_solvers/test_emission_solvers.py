"""Emission solvers and samplers against a dense objective, Newton, Hessian and quadrature.

The contract tests run for every solver: a new one is a row of ``REACH``.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.stats

from hhmm._emission_solvers import SAMPLERS, Adam, Newton, hmc, laplace
from hhmm._emission_solvers.objective import (
    LogitKeys,
    conjugate_gradients,
    curvature,
    emission_counts,
    evaluate,
    hessian_product,
)
from hhmm._model.emissions import logits_from_params, params_from_logits
from hhmm._model.terms import Terms
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._types import EmissionLogits, Params, Priors, SufficientStats
from hhmm.diagnostics import ess_bulk
from tests import oracles
from tests.marks import slow_unless, slow_unless_rows

# chance that a correct sampler fails the covariance test; the seed is fixed
FALSE_ALARM = 1e-4
TUNING = hmc.first_tuning()
N_STATES, N_SYLLABLES = 3, 5
TERMS = Terms(N_STATES, N_SYLLABLES)
SIGMAS = (0.8, 1.7)
# what each solver needs to reach the mode from zero on this problem, and how close it comes:
# at a fixed learning rate Adam ends in a small cycle around the mode
REACH = {
    "newton": Newton(100),
    "adam": Adam(20_000, 2e-4),
}
CLOSENESS = {"newton": 1e-8, "adam": 1e-4}


class Problem(NamedTuple):
    counts: object
    priors: Priors
    dense: oracles.EmissionPosterior
    mode: np.ndarray  # (b, c) flat, from a dense Newton


@pytest.fixture(scope="module")
def problem():
    """Counts of very different sizes, among them a syllable that a state never meets."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(0.3, 60.0, size=(N_STATES, N_SYLLABLES, N_SYLLABLES)))
    counts[1, 2] = 0
    counts = counts.astype(float)
    dense = oracles.EmissionPosterior(counts, *SIGMAS)
    with jax.enable_x64(True):
        stats = SufficientStats(np.zeros((N_STATES, N_STATES)), counts)
        reduced = jax.tree.map(np.asarray, emission_counts(TERMS, stats))
    return Problem(reduced, Priors(*map(np.float64, (*SIGMAS, 1, 1))), dense, dense.mode())


def test_dense_oracle_agrees_with_finite_differences(problem):
    theta = problem.mode + 0.3
    numeric = scipy.optimize.approx_fprime(theta, problem.dense.value, 1e-6)
    np.testing.assert_allclose(problem.dense.gradient(theta), numeric, rtol=1e-3, atol=1e-2)


@double_precision
def test_value_and_gradient_match_the_dense_oracle(problem):
    theta = np.random.default_rng(1).standard_normal(problem.mode.shape)
    point = _point(problem, theta)
    evaluate_ = jax.jit(evaluate, static_argnums=0)
    value, gradient, _ = evaluate_(TERMS, problem.counts, problem.priors, point)
    np.testing.assert_allclose(value, problem.dense.value(theta), rtol=1e-12)
    np.testing.assert_allclose(
        _theta(TERMS.unstack(gradient)), problem.dense.gradient(theta), rtol=1e-9
    )


@double_precision
def test_hessian_product_matches_the_dense_hessian(problem):
    rng = np.random.default_rng(2)
    theta, direction = rng.standard_normal((2, *problem.mode.shape))
    product = jax.jit(hessian_product, static_argnums=0)(
        TERMS, _curvature(problem, theta), _point(problem, direction)
    )
    expected = problem.dense.hessian(theta) @ direction
    np.testing.assert_allclose(_theta(TERMS.unstack(product)), expected, rtol=1e-9, atol=1e-9)


@double_precision
def test_conjugate_gradients_solve_with_the_hessian(problem):
    rng = np.random.default_rng(3)
    right_hand_side = rng.standard_normal(problem.mode.shape)
    solve = functools.partial(conjugate_gradients, tol=0.0, relative_tol=1e-24, max_iter=500)
    solution = jax.jit(solve, static_argnums=0)(
        TERMS, _curvature(problem, problem.mode), _point(problem, right_hand_side)
    )
    expected = np.linalg.solve(problem.dense.hessian(problem.mode), right_hand_side)
    np.testing.assert_allclose(_theta(TERMS.unstack(solution)), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("solver", sorted(REACH))
def test_solver_reaches_the_mode_of_a_dense_newton(problem, solver):
    solution = _solve(problem, REACH[solver])
    np.testing.assert_allclose(_theta(solution.mode), problem.mode, atol=CLOSENESS[solver])
    assert solution.decrement < CLOSENESS[solver]


@pytest.mark.parametrize("solver", sorted(REACH))
def test_losses_are_the_objective_one_an_iteration(problem, solver):
    solution = _solve(problem, REACH[solver])
    losses = solution.losses[: int(solution.n_iter)]
    np.testing.assert_allclose(losses[0], problem.dense.value(np.zeros_like(problem.mode)))
    np.testing.assert_allclose(losses[-1], problem.dense.value(problem.mode))
    assert np.isfinite(losses).all()
    assert np.isnan(solution.losses[int(solution.n_iter) :]).all()


@pytest.mark.parametrize("solver", slow_unless(["newton"], sorted(REACH)))
def test_a_solve_cut_short_tells_its_decrement(problem, solver):
    """The decrement reported is about the excess of the objective over its minimum."""
    solution = _solve(problem, REACH[solver]._replace(max_iter=1))
    # newton tells the decrement from before its step, adam the one from after
    theta = np.zeros_like(problem.mode) if solver == "newton" else _theta(solution.mode)
    gradient = problem.dense.gradient(theta)
    exact = 0.5 * gradient @ np.linalg.solve(problem.dense.hessian(theta), gradient)
    np.testing.assert_allclose(solution.decrement, exact, rtol=0.02)
    assert solution.decrement > 1


@double_precision
def test_newton_falls_at_every_iteration_from_far_away(problem):
    start = _logits(problem, 30 * np.random.default_rng(4).standard_normal(problem.mode.shape))
    solution = _solve(problem, REACH["newton"], start=start)
    losses = solution.losses[: int(solution.n_iter)]
    assert (np.diff(losses) <= 1e-9).all()
    np.testing.assert_allclose(_theta(solution.mode), problem.mode, atol=1e-8)


@pytest.mark.slow  # quick ones are in `test_terms`, and around the modes of `test_groups`
@pytest.mark.optimized
@pytest.mark.parametrize("solver", sorted(REACH))
@double_precision
def test_laplace_draws_have_the_inverse_hessian_as_covariance(problem, solver):
    """Whitened draws are standard normal: their covariance is tested entry by entry.

    20,000 draws of 28 parameters; with z = L' (x - mode), L L' = H, each entry of the mean
    of z and of z z' is asymptotically normal with known variance. Bonferroni at FALSE_ALARM.
    """
    n_draws, n_params = 20_000, len(problem.mode)
    keys = jax.random.split(key_from_random_state(0), n_draws)
    solve = functools.partial(
        {"newton": Newton(10), "adam": Adam(10, 1e-12)}[solver].solve,
        TERMS,
        problem.counts,
        problem.priors,
        _logits(problem, problem.mode),
        tol=1e-10,
    )
    draw = jax.jit(
        jax.vmap(
            lambda key: (
                laplace.draw(
                    _keys(key), TERMS, problem.counts, problem.priors, None, solve, False, TUNING
                ).logits
            )
        )
    )
    thetas = _thetas(draw(keys))
    root = np.linalg.cholesky(problem.dense.hessian(problem.mode))
    white = (thetas - problem.mode) @ root
    scale = np.sqrt(np.where(np.eye(n_params), 2.0, 1.0) / n_draws)
    z_covariance = (white.T @ white / n_draws - np.eye(n_params)) / scale
    z_mean = white.mean(axis=0) * np.sqrt(n_draws)
    bound = scipy.stats.norm.isf(FALSE_ALARM / 2 / (n_params * (n_params + 3) / 2))
    assert np.abs(z_mean).max() < bound
    assert np.abs(z_covariance).max() < bound


def _marginals(dense, mode):
    """Marginal distribution functions of a few parameters, on a grid around the mode."""
    sd = np.sqrt(np.diag(np.linalg.inv(dense.hessian(mode))))
    axes = [m + np.linspace(-9, 9, 121) * s for m, s in zip(mode, sd, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(mode))
    log_density = -dense.values(grid)
    density = np.exp(log_density - log_density.max()).reshape([len(axis) for axis in axes])
    for i, axis in enumerate(axes):
        others = tuple(j for j in range(len(axes)) if j != i)
        cumulative = scipy.integrate.cumulative_simpson(density.sum(axis=others), initial=0)
        yield axis, cumulative / cumulative[-1]


N_CHAINS = 10_000  # of the two tests below


@functools.cache
def _walk(sampler, n_steps=5):
    """Steps from each of many points: where they end, and each step's acceptance."""
    terms = Terms(2, 2)

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(0, 0, None, None, None))
    def walk(key, current, counts, mode, priors):
        reduced = emission_counts(terms, SufficientStats(None, counts))
        solve = functools.partial(Newton(50).solve, terms, reduced, priors, mode, tol=1e-6)

        def step(current, key):
            drawn = SAMPLERS[sampler](
                _keys(key), terms, reduced, priors, current, solve, False, TUNING
            )
            return drawn.logits, drawn.acceptance

        return jax.lax.scan(step, current, jax.random.split(key, n_steps))

    return walk


@pytest.mark.slow
@pytest.mark.optimized
@double_precision
def test_hmc_draws_from_the_posterior_itself():
    """Few counts and a wide prior: far from normal. Each marginal against quadrature (KS).

    10,000 chains from the mode, each at its last of 15 steps: independent draws. Bonferroni at
    FALSE_ALARM.
    """
    counts = np.array([[[3.0, 0.0], [1.0, 2.0]], [[0.0, 2.0], [6.0, 1.0]]])
    sigmas = (2.0, 3.0)
    dense = oracles.EmissionPosterior(counts, *sigmas)
    priors = Priors(*map(np.float64, (*sigmas, 1, 1)))
    mode = logits_from_params(Params(*dense.split(dense.mode()), None))
    draws = jax.tree.map(lambda x: np.full((N_CHAINS, *x.shape), np.nan), mode)
    for seed in range(3):
        keys = jax.random.split(key_from_random_state(seed), N_CHAINS)
        draws, acceptance = _walk("hmc")(keys, draws, counts, mode, priors)
    thetas = _thetas(draws)
    p_values = [
        scipy.stats.kstest(theta, lambda x, a=axis, c=cdf: np.interp(x, a, c)).pvalue
        for theta, (axis, cdf) in zip(thetas.T, _marginals(dense, dense.mode()), strict=True)
    ]
    assert min(p_values) > FALSE_ALARM / len(p_values), p_values
    assert 0.6 < acceptance.mean() <= 1


WIDE_SIGMAS = ((4.0, 4.0), (10.0, 10.0))
FEW_COUNTS = np.array([[[4.0, 0.0], [3.0, 0.0]], [[2.0, 1.0], [0.0, 2.0]]])


@functools.cache
def _exact_draws(sigmas, n_draws):
    """Draw from the posterior of `FEW_COUNTS` by rejection, (n_draws, n_params).

    Draws from the prior are kept in proportion to their likelihood. It is bounded by that of
    transition probabilities equal to the observed shares, which no logits exceed.
    """
    rng, counts = np.random.default_rng(0), FEW_COUNTS
    dense = oracles.EmissionPosterior(counts, *sigmas)
    scale = 1 / np.sqrt(dense.precision)
    shares = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    highest = np.sum(scipy.special.xlogy(counts, shares))
    kept, n_kept = [], 0
    while n_kept < n_draws:
        theta = scale * rng.standard_normal((200_000, len(scale)))
        log_prior = 0.5 * np.sum(
            np.log(dense.precision / (2 * np.pi)) - (theta / scale) ** 2, axis=1
        )
        log_likelihood = -dense.values(theta) - log_prior
        kept.append(theta[np.log(rng.random(len(theta))) < log_likelihood - highest])
        n_kept += len(kept[-1])
    return np.concatenate(kept)[:n_draws]


@pytest.mark.slow
@pytest.mark.optimized
@pytest.mark.parametrize("sampler", ["hmc", "laplace"])
@double_precision
def test_hmc_leaves_posteriors_under_wide_priors_as_they_are(sampler):
    """Exact draws, made by rejection, keep their distribution over five steps from each.

    Some transitions never occur: their logits have a wall on one side and the prior on the other.
    10,000 chains are compared with 30,000 other exact draws, in each parameter, its square, and the
    log density, by the test of Kolmogorov and Smirnov. Bonferroni at FALSE_ALARM over both
    priors. The Laplace approximation fails the same test under either prior.
    """
    for sigmas in WIDE_SIGMAS:
        dense = oracles.EmissionPosterior(FEW_COUNTS, *sigmas)
        exact = _exact_draws(sigmas, 4 * N_CHAINS)
        starts = EmissionLogits(*_terms_of_thetas(exact[:N_CHAINS], 2, 2))
        mode = logits_from_params(Params(*dense.split(dense.mode()), None))
        keys = jax.random.split(key_from_random_state(0), N_CHAINS)
        priors = Priors(*map(np.float64, (*sigmas, 1, 1)))
        draws, acceptance = _walk(sampler)(keys, starts, FEW_COUNTS, mode, priors)
        ends = _thetas(draws)
        after, expected = (
            np.column_stack([thetas, thetas**2, dense.values(thetas)]).T
            for thetas in (ends, exact[N_CHAINS:])
        )
        p_values = [
            scipy.stats.ks_2samp(one, other, method="asymp").pvalue
            for one, other in zip(after, expected, strict=True)
        ]
        failed = min(p_values) < FALSE_ALARM / len(WIDE_SIGMAS) / len(p_values)
        assert failed == (sampler == "laplace"), (sigmas, p_values)
        if sampler == "hmc":  # chains that stay where they are would pass
            assert 0.6 < acceptance.mean() <= 1
            assert (np.abs(ends - exact[:N_CHAINS]).max(axis=1) > 0.1).mean() > 0.9


@double_precision
def test_proposals_are_refused_as_often_as_their_acceptance_says():
    """Trajectories of one step, from draws of the prior; normal approximation at FALSE_ALARM."""
    counts, sigmas, terms = FEW_COUNTS, (2.0, 3.0), Terms(2, 2)
    priors = Priors(*map(np.float64, (*sigmas, 1, 1)))
    dense = oracles.EmissionPosterior(counts, *sigmas)
    mode = logits_from_params(Params(*dense.split(dense.mode()), None))
    reduced = emission_counts(terms, SufficientStats(None, counts))
    solve = functools.partial(Newton(50).solve, terms, reduced, priors, mode, tol=1e-6)
    tuning = TUNING._replace(log_step=np.log(hmc.QUARTER_TURN))
    rng, n_chains = np.random.default_rng(0), 4000
    thetas = rng.standard_normal((n_chains, len(dense.precision))) / np.sqrt(dense.precision)
    starts = EmissionLogits(*_terms_of_thetas(thetas, 2, 2))

    @jax.jit
    @jax.vmap
    def draw(key, current):
        return hmc.draw(_keys(key), terms, reduced, priors, current, solve, False, tuning)

    drawn = draw(jax.random.split(key_from_random_state(0), n_chains), starts)
    refused = np.abs(_thetas(drawn.logits) - thetas).max(axis=1) < 1e-9
    acceptance = np.asarray(drawn.acceptance)
    assert 0.2 < acceptance.mean() < 0.9
    spread = np.sqrt(np.sum(acceptance * (1 - acceptance)))
    p_value = 2 * scipy.stats.norm.sf(abs(refused.sum() - np.sum(1 - acceptance)) / spread)
    assert p_value > FALSE_ALARM


@double_precision
def test_tuning_by_hand():
    """Two proposals, accepted with probability 0.3 and 1; the length, and the steps it makes."""
    tuning = hmc.tune(hmc.tune(TUNING, 0.3), 1.0)
    expected = np.log(np.pi / 6) + (0.3 - 0.8) + 2**-0.6 * (1 - 0.8)
    np.testing.assert_allclose(tuning.log_step, expected)
    assert tuning.n_tuned == 2
    n_steps, size = hmc.steps(tuning)
    assert n_steps == np.ceil(np.pi / 2 / np.exp(expected)) == 5
    np.testing.assert_allclose(size, np.pi / 10)
    assert hmc.steps(TUNING)[0] == 3
    # of no proposals accepted, steps become as short as they may, and trajectories with them
    for acceptance, expected in ((0.0, (64, np.pi / 2048)), (1.0, (1, np.pi / 2))):
        tuning = TUNING
        for _ in range(200):
            tuning = hmc.tune(tuning, acceptance)
        np.testing.assert_allclose(hmc.steps(tuning), expected)


@pytest.mark.slow
@pytest.mark.optimized
@double_precision
def test_tuning_is_of_the_warm_up_alone_and_finds_its_target():
    """Many parameters and few counts, where steps of the first length are too long."""
    n_states, n_syllables = 8, 60
    counts = np.random.default_rng(0).poisson(0.7, (n_states, n_syllables, n_syllables)) * 1.0
    terms, reduced, priors, start, solve = _from_zero(counts, (2.0, 2.0))

    @jax.jit
    def step(key, current, warming_up, tuning):
        return hmc.draw(_keys(key), terms, reduced, priors, current, solve, warming_up, tuning)

    current, tuning, acceptance = jax.tree.map(lambda x: x * np.nan, start), TUNING, []
    for i in range(90):
        drawn = step(key_from_random_state(i), current, i < 60, tuning)
        if i >= 60:
            jax.tree.map(np.testing.assert_array_equal, drawn.tuning, tuning)
        current, tuning = drawn.logits, drawn.tuning
        acceptance.append(float(drawn.acceptance))
    # short proposals, one in ten, tune nothing
    lowest, highest = scipy.stats.binom(60, 0.9).interval(1 - FALSE_ALARM)
    assert lowest <= tuning.n_tuned <= highest
    assert 0.6 < np.mean(acceptance[60:]) < 0.97
    untuned = np.mean(
        [
            float(step(key_from_random_state(i), current, False, TUNING).acceptance)
            for i in range(10)
        ]
    )
    assert untuned < np.mean(acceptance[60:])


@double_precision
def test_draws_under_wide_priors_forget_where_they_were():
    """A syllable of one state alone: the priors alone bound its bias, which the base undoes.

    With trajectories of a quarter of a turn, of 300 draws the worst entry has 8 effective ones.
    """
    n_states, n_syllables = 3, 6
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(n_syllables, 0.1), (n_states, n_syllables))
    counts = rng.multinomial(100, probs) * 1.0
    terms, reduced, priors, start, solve = _from_zero(counts, (14.0, 8.0))

    @jax.jit
    def draws(keys):
        def step(carry, key):
            i, logits, tuning = carry
            drawn = hmc.draw(_keys(key), terms, reduced, priors, logits, solve, i < 100, tuning)
            return (i + 1, drawn.logits, drawn.tuning), drawn.logits

        nothing = jax.tree.map(lambda x: x * np.nan, start)
        return jax.lax.scan(step, (0, nothing, TUNING), keys)[1]

    drawn = draws(jax.random.split(key_from_random_state(0), 400))
    effective = [ess_bulk(np.asarray(part)[None, 100:]) for part in (drawn.base, drawn.biases)]
    assert min(map(np.min, effective)) > 60


@double_precision
def test_hmc_far_from_the_mode_comes_back(problem):
    """Counts that the parameters have never seen, as in the first sweeps of a chain."""
    solve = functools.partial(
        Newton(50).solve,
        TERMS,
        problem.counts,
        problem.priors,
        _logits(problem, problem.mode),
        tol=1e-6,
    )
    step = jax.jit(
        lambda key, current, warming_up, tuning: hmc.draw(
            _keys(key), TERMS, problem.counts, problem.priors, current, solve, warming_up, tuning
        )
    )
    current = _logits(problem, np.random.default_rng(0).standard_normal(problem.mode.shape))
    values, tuning = [problem.dense.value(_theta(current))], TUNING
    for i in range(30):
        drawn = step(key_from_random_state(i), current, i < 15, tuning)
        if i >= 15:  # after the warm-up, nothing is tuned
            jax.tree.map(np.testing.assert_array_equal, drawn.tuning, tuning)
        current, tuning = drawn.logits, drawn.tuning
        values.append(problem.dense.value(_theta(current)))
    # short proposals, one in ten, tune nothing
    lowest, highest = scipy.stats.binom(15, 0.9).interval(1 - FALSE_ALARM)
    assert lowest <= tuning.n_tuned <= highest
    n_params = len(problem.mode)
    assert values[0] > problem.dense.value(problem.mode) + 50 * n_params
    # draws are half a nat a parameter above the mode: four standard deviations at most
    excess = np.mean(values[-10:]) - problem.dense.value(problem.mode)
    assert abs(excess - n_params / 2) < 4 * np.sqrt(n_params / 2)


@pytest.mark.parametrize(
    ("sampler", "n_states", "n_syllables"),
    slow_unless_rows(
        [("laplace", 1, 4)],  # fits of `test_smallest_sizes` have the others
        [(sampler, *sizes) for sampler in sorted(SAMPLERS) for sizes in ((1, 4), (3, 1))],
    ),
)
@double_precision
def test_degenerate_sizes(sampler, n_states, n_syllables):
    counts = np.arange(n_states * n_syllables**2, dtype=float)
    counts = counts.reshape(n_states, n_syllables, n_syllables)
    dense = oracles.EmissionPosterior(counts, *SIGMAS)
    terms, reduced, priors, start, solve = _from_zero(counts, SIGMAS, tol=1e-20)
    draw = jax.jit(
        lambda key: SAMPLERS[sampler](
            _keys(key), terms, reduced, priors, start, solve, False, TUNING
        )
    )
    drawn = draw(key_from_random_state(0))
    # that of hmc depends on where the solve started by about 1e-5 standard deviations
    atol = {"hmc": 1e-5, "laplace": 1e-6}[sampler]
    np.testing.assert_allclose(_theta(drawn.solution.mode), dense.mode(), atol=atol)
    assert all(np.isfinite(part).all() for part in jax.tree.leaves(drawn.logits))
    assert not drawn.diverging


def _from_zero(counts, sigmas, tol=1e-6):
    """Return all that a sampler takes but keys, with a solver that starts at zero."""
    n_states, n_syllables = counts.shape[:2]
    terms = Terms(n_states, n_syllables)
    reduced = emission_counts(terms, SufficientStats(None, counts))
    priors = Priors(*map(np.float64, (*sigmas, 1, 1)))
    start = EmissionLogits(np.zeros((n_syllables, n_syllables)), np.zeros((n_states, n_syllables)))
    solve = functools.partial(Newton(50).solve, terms, reduced, priors, start, tol=tol)
    return terms, reduced, priors, start, solve


def _keys(key):
    return LogitKeys(*jax.random.split(key, 3))


@double_precision
def _solve(problem, solver, *, start=None):
    if start is None:
        start = _logits(problem, np.zeros_like(problem.mode))
    solution = _compiled(solver)(problem.counts, problem.priors, start)
    return jax.tree.map(np.asarray, solution)


@functools.cache
def _compiled(solver):
    @jax.jit
    def solve(counts, priors, start):
        return solver.solve(
            TERMS,
            counts,
            priors,
            start,
            tol=1e-20,
            right_hand_side=lambda hessian: jnp.ones_like(TERMS.stack(start)),
        )

    return solve


def _logits(problem, theta):
    return logits_from_params(Params(*problem.dense.split(theta), None))


def _point(problem, theta):
    return TERMS.stack(_logits(problem, theta))


def _curvature(problem, theta):
    jitted = jax.jit(curvature, static_argnums=0)
    return jitted(TERMS, problem.counts, problem.priors, _point(problem, theta))


def _theta(logits):
    params = params_from_logits(jax.tree.map(np.asarray, logits))
    return np.r_[np.ravel(params["emission_base"]), np.ravel(params["emission_biases"])]


def _thetas(draws):
    """Parameters of many draws, (n_draws, n_params)."""
    base, biases = np.asarray(draws.base), np.asarray(draws.biases)
    q_k, q_s = (oracles.helmert(n) for n in biases.shape[1:])
    parts = base @ q_s, q_k.T @ biases @ q_s
    return np.concatenate([part.reshape(len(base), -1) for part in parts], axis=1)


def _terms_of_thetas(thetas, n_states, n_syllables):
    """The base and the biases of many parameters."""
    q_k, q_s = oracles.helmert(n_states), oracles.helmert(n_syllables)
    base, biases = np.split(thetas, [n_syllables * (n_syllables - 1)], axis=1)
    base = base.reshape(-1, n_syllables, n_syllables - 1)
    biases = biases.reshape(-1, n_states - 1, n_syllables - 1)
    return base @ q_s.T, q_k @ biases @ q_s.T
