"""Scales that are learnt: exact draws under Gibbs sampling, type-II maximum likelihood under EM.

A step that draws from a distribution is tested by its stationarity: values are drawn from the
distribution itself, by a table of its distribution function that is made here in NumPy, and have it
still after one step. A step that is reversible takes as many values from any region to another as
back. Sweeps as a whole are tested by alternation with new syllables, see `exactness`.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from hhmm import EfficientHHMM
from hhmm._emission_solvers import Newton, hmc, scales, slices
from hhmm._emission_solvers.laplace import draw_with_hessian_covariance, noise_shape
from hhmm._emission_solvers.objective import emission_counts
from hhmm._inference import gibbs, initialise, search
from hhmm._inference.chain import Phase, Settings, sweep_keys
from hhmm._model import transitions
from hhmm._model.terms import Terms
from hhmm._model.transitions import N_PROPOSALS
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import EmissionLogits, Priors, SufficientStats
from hhmm.datasets import make_hhmm
from hhmm.metrics import matched_accuracy
from tests import oracles
from tests._inference import exactness
from tests.marks import slow_unless, slow_unless_rows

# chance that a correct sampler fails one of the statistical tests below; seeds are fixed
FALSE_ALARM = 1e-4
FOUND = 1e-6  # p-value that a planted error stays below
N_VALUES = 5000  # of a test of stationarity
ALL = tuple(oracles.TERMS)
SIGMAS = {name: f"emission_{name}_sigma" for name in ALL}
CONCENTRATIONS = ("trans_beta", "trans_kappa")
PRIORS = Priors(*map(np.float64, (1.5, 0.7, 0.8, 12.0, 1.1, 0.4)))


# Sweeps as a whole

PUBLISHED = ("base", "biases")
CASES = {
    "base, biases, transitions": (
        Terms(2, exactness.N_SYLLABLES),
        (SIGMAS["base"], SIGMAS["biases"], *CONCENTRATIONS),
    ),
    "usage, interactions, held": (
        Terms(2, exactness.N_SYLLABLES, ALL, self_transitions=False),
        (SIGMAS["usage"], SIGMAS["interactions"]),
    ),
}
alternation_p_values = functools.partial(
    exactness.alternation_p_values, n_replicates=500, n_rounds=2
)


def _kernel(case):
    terms, learnt = CASES[case]
    return exactness.make_kernel(terms, "sequential", learnt=learnt)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@double_precision
def test_alternating_with_new_syllables_changes_no_distribution(case):
    """Statistics of scales, parameters, states and syllables; Bonferroni over them and cases."""
    p_values = alternation_p_values(_kernel(case), seed=0)
    assert set(CASES[case][1]) <= set(p_values)
    assert exactness.adjusted(p_values) > FALSE_ALARM / len(CASES), p_values


def _with_another_prior(log_half_cauchy, log_value, prior_scale):
    """Flat in the logarithm where the true one is flat in the scale."""
    value, slope, curvature = log_half_cauchy(log_value, prior_scale)
    return value - log_value, slope - 1, curvature


def _with_a_dimension_less(draw, key, sigma, rows, n_dimensions, prior_scale):
    return draw(key, sigma, rows, n_dimensions - 1, prior_scale)


def _with_fixed_concentrations(draw, key, counts, priors):
    return draw(key, counts, priors._replace(trans_beta=0.8, trans_kappa=2.0))


PLANTED = {
    "another prior": (scales, "_log_half_cauchy", _with_another_prior),
    "a dimension less": (scales, "_draw_given_term", _with_a_dimension_less),
    "transitions at other concentrations": (
        gibbs,
        "draw_trans_probs",
        _with_fixed_concentrations,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("error", PLANTED)
@double_precision
def test_a_planted_error_is_found(monkeypatch, error):
    module, name, change = PLANTED[error]
    usual = _kernel("base, biases, transitions")
    monkeypatch.setattr(module, name, functools.partial(change, getattr(module, name)))
    # what is compiled with the error is not kept
    kernel = usual._replace(params=exactness.compile_params(usual.settings))
    assert exactness.adjusted(alternation_p_values(kernel, seed=0)) < FOUND


# One step at a time


class Table(NamedTuple):
    """A distribution on an interval, by its density on a fine grid."""

    grid: np.ndarray
    cumulative: np.ndarray

    def draw(self, rng, n):
        return np.interp(rng.random(n), self.cumulative, self.grid)

    def cdf(self, values):
        return np.interp(values, self.grid, self.cumulative)


def make_table(log_density, low, high, n=20_001):
    """`Table` of a log density on [low, high], up to a constant; vectorised over the grid."""
    grid = np.linspace(low, high, n)
    log_values = log_density(grid)
    values = np.exp(log_values - log_values.max())
    cumulative = scipy.integrate.cumulative_simpson(values, x=grid, initial=0)
    return Table(grid, cumulative / cumulative[-1])


def check_stationary(table, before, after, *, reversible=True):
    """The distribution is kept, some values moved, and moves are balanced where reversible."""
    after = np.asarray(after)
    assert scipy.stats.kstest(after, table.cdf).pvalue > FALSE_ALARM
    assert np.mean(after != before) > 0.1
    assert abs(np.corrcoef(table.cdf(before), table.cdf(after))[0, 1]) < 0.95
    if not reversible:
        return
    # Bowker's test of symmetry of the moves between tenths of the distribution
    tenths = [np.minimum((10 * table.cdf(x)).astype(int), 9) for x in (before, after)]
    moves = np.zeros((10, 10))
    np.add.at(moves, tuple(tenths), 1)
    pairs = np.triu(moves + moves.T, 1) >= 10
    statistic = ((moves - moves.T)[pairs] ** 2 / (moves + moves.T)[pairs]).sum()
    assert scipy.stats.chi2.sf(statistic, pairs.sum()) > FALSE_ALARM


def log_half_cauchy(log_value, scale):
    """Log density of the logarithm of a half-Cauchy variable."""
    return scipy.stats.halfcauchy(scale=scale).logpdf(np.exp(log_value)) + log_value


DENSITIES = {
    # log density, bounds
    "normal": (lambda x: -0.5 * (x - 0.3) ** 2 / 4, (-30.0, 30.0)),
    "narrow": (lambda x: -0.5 * (x - 0.3) ** 2 / 1e-4, (-30.0, 30.0)),
    # of more widths than there are steps out
    "wide": (lambda x: -0.5 * x**2 / 25, (-100.0, 100.0)),
    "cut off": (lambda x: -0.5 * (x + 1) ** 2, (-1.5, 0.2)),
    "two modes": (lambda x: jnp.logaddexp(-2 * (x - 2) ** 2, -2 * (x + 2) ** 2), (-9.0, 9.0)),
}


@pytest.mark.parametrize("name", DENSITIES)
@double_precision
def test_slice_sampling_keeps_a_density(name):
    log_density, (low, high) = DENSITIES[name]
    table = make_table(lambda x: np.asarray(log_density(x)), low, high, n=200_001)
    n = 10 * N_VALUES
    before = table.draw(np.random.default_rng(0), n)

    uniform = np.random.default_rng(1).random((slices.n_uniforms(), n))
    after = jax.jit(slices.draw, static_argnums=1)(uniform, log_density, before, 1.0, (low, high))
    assert low <= np.min(after) <= np.max(after) <= high
    check_stationary(table, before, after)


@double_precision
def test_a_scale_given_its_term():
    """p(sigma | x) is proportional to the half-Cauchy prior times sigma^-d exp(-|x|^2/2sigma^2)."""
    rows = np.random.default_rng(1).normal(0, 0.8, (3, 4))
    n_dimensions, square = 7, np.sum(rows**2)
    table = make_table(
        lambda x: log_half_cauchy(x, 2.0) - n_dimensions * x - 0.5 * square * np.exp(-2 * x), -4, 6
    )
    before = table.draw(np.random.default_rng(0), N_VALUES)

    @jax.jit
    @jax.vmap
    def step(normal, uniform, sigma):
        noise = normal, uniform
        return scales._draw_given_term(noise, sigma, rows, n_dimensions, prior_scale=2.0)

    rng = np.random.default_rng(1)
    normal = rng.standard_normal((N_VALUES, N_PROPOSALS))
    uniform = rng.random((N_VALUES, N_PROPOSALS + 2))
    check_stationary(table, before, np.log(step(normal, uniform, np.exp(before))))


@pytest.mark.parametrize(
    ("name", "self_transitions"),
    slow_unless_rows(
        [("base", True), ("interactions", False)],
        [("base", True), ("biases", False), ("usage", True), ("interactions", False)],
    ),
)
@double_precision
def test_a_scale_rescaled_with_its_term(name, self_transitions):
    """Given x / sigma, log sigma has its prior times the likelihood of the counts.

    Without self-transitions, too. Chains start at draws from that density.
    """
    terms = Terms(3, 4, ALL, self_transitions)
    rng = np.random.default_rng(2)
    counts = rng.poisson(2.0, (3, 4, 4)).astype(float)
    if not self_transitions:
        counts *= 1 - np.eye(4)
    posterior = oracles.EmissionPosterior(counts, 1, 1, 1, 1, self_transitions=self_transitions)
    theta = 0.5 * rng.standard_normal(len(posterior.precision))
    own = np.concatenate([np.full(np.prod(s), n == name) for n, s in posterior.shapes.items()])
    fixed, moving = posterior.design @ np.where(own, 0, theta), posterior.design @ (own * theta)

    def log_density(log_sigma):
        """Return the log density of the scale of a term that is theta where the scale is 1."""
        logits = fixed + np.exp(log_sigma)[:, None, None, None] * moving + posterior.mask
        log_probs = logits - scipy.special.logsumexp(logits, axis=-1, keepdims=True)
        log_likelihood = np.sum(np.where(counts > 0, counts * log_probs, 0), axis=(1, 2, 3))
        return log_likelihood + log_half_cauchy(log_sigma, 2.0)

    table = make_table(log_density, -7, 6)
    before = table.draw(rng, N_VALUES)
    reduced = emission_counts(terms, SufficientStats(None, counts))
    is_own = [np.full(terms.n_rows(term), term.name == name) for term in terms.present]
    is_own = np.concatenate(is_own)[:, None]
    point = posterior.point(theta)

    @jax.jit
    @jax.vmap
    def step(noise, log_sigma):
        sigma = jnp.exp(log_sigma)
        scaled = jnp.where(is_own, sigma, 1) * point
        only = jnp.where(is_own, scaled, 0)
        factor = scales._draw_factor(noise, terms, reduced, scaled, only, sigma, prior_scale=2.0)
        return log_sigma + jnp.log(factor)

    after = step((rng.standard_normal(N_VALUES), rng.random(N_VALUES)), before)
    check_stationary(table, before, after)


@pytest.mark.parametrize("pair", [("usage", "base"), ("biases", "interactions")])
@double_precision
def test_a_term_and_the_one_that_it_is_nested_in(pair):
    """Draws of the prior, of the first one's scale as well, keep their distribution and their sum.

    Each parameter over its scale is standard normal, and uncorrelated with the others. Bonferroni.
    """
    terms, rng, sigma = Terms(3, 4, pair), np.random.default_rng(6), 1.5
    coarse, fine = terms.nested[0]
    assert (coarse.name, fine.name) == pair
    posterior = oracles.EmissionPosterior(
        np.zeros((3, 4, 4)), **{f"sigma_{name}": 1.0 for name in pair}
    )
    is_coarse = np.concatenate(
        [np.full(np.prod(shape), name == coarse.name) for name, shape in posterior.shapes.items()]
    )
    basis = np.stack([posterior.point(unit) for unit in np.eye(len(is_coarse))])
    table = make_table(lambda x: log_half_cauchy(x, 2.0), *np.log(scales.BOUNDS))
    before = table.draw(rng, N_VALUES)
    scale = np.where(is_coarse, np.exp(before)[:, None], sigma)
    starts = np.einsum("np,prs->nrs", scale * rng.standard_normal(scale.shape), basis)

    @jax.jit
    @jax.vmap
    def step(noise, log_sigma, point):
        priors = PRIORS._replace(**{coarse.sigma: jnp.exp(log_sigma), fine.sigma: sigma})
        point, priors = scales._divide(noise, terms, point, priors, coarse, fine)
        return jnp.log(getattr(priors, coarse.sigma)), point

    normal = rng.standard_normal((N_VALUES, terms.n_rows(coarse) * terms.n_syllables))
    uniform = rng.random((N_VALUES, slices.n_uniforms()))
    after, ends = step((normal, uniform), before, starts)
    summed = jax.vmap(terms.summed)
    np.testing.assert_allclose(summed(ends), summed(starts), atol=1e-9 * np.exp(before.max()))
    check_stationary(table, before, after, reversible=False)
    thetas = np.einsum("nrs,prs->np", ends, basis)
    np.testing.assert_allclose(np.einsum("np,prs->nrs", thetas, basis), ends, atol=1e-6)
    white = thetas / np.where(is_coarse, np.exp(after)[:, None], sigma)
    p_values = [scipy.stats.kstest(values, scipy.stats.norm.cdf).pvalue for values in white.T]
    assert min(p_values) > FALSE_ALARM / len(p_values)
    products = (white.T @ white)[np.triu_indices(len(is_coarse), 1)] / np.sqrt(N_VALUES)
    assert np.abs(products).max() < scipy.stats.norm.isf(FALSE_ALARM / 2 / len(products))


@double_precision
def test_only_what_is_learnt_is_drawn():
    terms, rng = Terms(2, 3, ALL), np.random.default_rng(3)
    counts = emission_counts(terms, SufficientStats(None, rng.poisson(3.0, (2, 3, 3)) * 1.0))
    point = terms.project(rng.standard_normal((2 * 3 + 3 + 2 + 1, 3)))
    learnt = (SIGMAS["base"], "trans_kappa")

    @jax.jit
    def draw(key):
        of_concentrations = scales.draw_concentrations(key, np.eye(2), PRIORS, learnt)
        return scales.draw_scales(key, terms, counts, point, PRIORS, learnt), of_concentrations

    (moved, priors), of_concentrations = draw(key_from_random_state(0))
    before, after = terms.unstack(point), terms.unstack(moved)
    for name in ("biases", "usage", "interactions"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    factor = np.asarray(after.base / before.base)
    np.testing.assert_allclose(factor, factor[0, 0], rtol=1e-9)
    assert priors.emission_base_sigma != PRIORS.emission_base_sigma
    assert priors._replace(emission_base_sigma=PRIORS.emission_base_sigma) == PRIORS
    assert of_concentrations.trans_kappa != PRIORS.trans_kappa
    assert of_concentrations._replace(trans_kappa=PRIORS.trans_kappa) == PRIORS


# Concentrations


def _log_probs_of_counts(counts, beta, kappa):
    """Dirichlet-multinomial probabilities of counts, (n,) for n pairs of concentrations.

    The coefficients of the multinomial are left out.
    """
    gammaln, n_states = scipy.special.gammaln, len(counts)
    rows = np.ravel(beta)[:, None, None] + np.ravel(kappa)[:, None, None] * np.eye(n_states)
    total = rows.sum(axis=2)
    log_probs = (gammaln(rows + counts) - gammaln(rows)).sum(axis=2)
    log_probs += gammaln(total) - gammaln(total + counts.sum(axis=1))
    return log_probs.sum(axis=1)


def _log_multinomial_coefficients(counts):
    return np.sum(
        scipy.special.gammaln(counts.sum(axis=-1) + 1)
        - scipy.special.gammaln(counts + 1).sum(axis=-1)
    )


@pytest.mark.parametrize(("beta", "kappa"), [(0.3, 0.0), (1.0, 100.0), (5.0, 2.0), (1e-3, 1e5)])
@pytest.mark.parametrize("n_states", [2, 4])
@double_precision
def test_log_prob_of_counts_is_dirichlet_multinomial(n_states, beta, kappa):
    """By scipy, row by row; the coefficients of the multinomial are left out."""
    counts = np.random.default_rng(4).poisson(4.0, (n_states, n_states))
    counts[-1] = 0  # a state that is never left
    rows = beta + kappa * np.eye(n_states)
    expected = sum(
        scipy.stats.dirichlet_multinomial(alpha, row.sum()).logpmf(row)
        for alpha, row in zip(rows, counts, strict=True)
    ) - _log_multinomial_coefficients(counts)
    found = scales.log_prob_of_counts(counts.astype(float), beta, kappa)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    found = _log_probs_of_counts(counts, beta, kappa)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@double_precision
def test_log_prob_of_counts_integrates_the_transitions_out():
    """Two states: the integral over A[k, k], by quadrature."""
    counts, beta, kappa = np.array([[5.0, 2.0], [1.0, 9.0]]), 1.3, 4.0
    expected = 0.0
    for stays, leaves in [(5, 2), (9, 1)]:
        prior = scipy.stats.beta(beta + kappa, beta)
        integral, _ = scipy.integrate.quad(
            lambda a, n=stays, m=leaves, prior=prior: a**n * (1 - a) ** m * prior.pdf(a), 0, 1
        )
        expected += np.log(integral)
    np.testing.assert_allclose(scales.log_prob_of_counts(counts, beta, kappa), expected, rtol=1e-7)
    # leading axes of the concentrations, as the grids of EM have them
    grid = scales.log_prob_of_counts(counts, np.array([1.0, beta]), np.array([0.0, kappa]))
    assert grid.shape == (2,)
    np.testing.assert_allclose(grid[1], expected, rtol=1e-7)


@pytest.mark.parametrize("name", CONCENTRATIONS)
@double_precision
def test_a_concentration_given_counts(name):
    rng = np.random.default_rng(5)
    counts = rng.poisson(2.0 + 20 * np.eye(3)).astype(float)
    prior_scale = {"trans_beta": 1.0, "trans_kappa": 100.0}[name]

    def log_density(log_values):
        values = np.exp(log_values)
        beta, kappa = (
            values if name == other else np.full_like(values, getattr(PRIORS, other))
            for other in CONCENTRATIONS
        )
        return _log_probs_of_counts(counts, beta, kappa) + log_half_cauchy(log_values, prior_scale)

    table = make_table(log_density, np.log(1e-3), np.log(1e5), n=1001)
    before = table.draw(rng, N_VALUES)

    @jax.jit
    def step(keys, log_values):
        def one(key, log_value):
            priors = PRIORS._replace(**{name: jnp.exp(log_value)})
            return getattr(scales.draw_concentrations(key, counts, priors, (name,)), name)

        return jax.vmap(one)(keys, log_values)

    keys = jax.random.split(key_from_random_state(5), N_VALUES)
    check_stationary(table, before, np.log(step(keys, before)))


@double_precision
def test_no_two_draws_of_a_sweep_share_a_key(monkeypatch):
    """Emissions, scales, concentrations and transitions are all learnt."""
    keys = []

    def recorded(draw):
        def draw_and_record(key, *args, **kwargs):
            jax.debug.callback(
                lambda words: keys.append(tuple(map(int, words))), jax.random.key_data(key)
            )
            return draw(key, *args, **kwargs)

        return draw_and_record

    for module, name in [
        (scales, "uniforms"),
        (hmc, "uniforms"),
        (hmc, "draw_entries"),
        (transitions, "uniforms"),
    ]:
        monkeypatch.setattr(module, name, recorded(getattr(module, name)))
    learnt = (SIGMAS["base"], SIGMAS["biases"], *CONCENTRATIONS)
    settings = Settings(Newton(50), "hmc", "sequential", Terms(2, 3), learnt)
    x = [np.random.default_rng(0).integers(0, 3, 60).astype(np.int32)]
    # wide enough for draws of entries
    wide = PRIORS._replace(emission_base_sigma=np.float64(4.0))
    chain = initialise.start_from_random_states(
        np.random.RandomState(0), x, wide, settings=settings
    )
    update = jax.jit(functools.partial(gibbs.update_params, settings=settings))
    for sweep in range(2):
        of_sweep = sweep_keys(key_from_random_state(0), np.int32(sweep), "gibbs")
        jax.block_until_ready(update(of_sweep, chain, Phase()))
    jax.effects_barrier()
    # emissions, their entries, scales, concentrations and transitions
    assert len(keys) == 2 * 5
    assert len(set(keys)) == len(keys)


@double_precision
def test_noise_of_one_call_is_shared_out_without_overlap():
    normal, uniform = scales._noise(key_from_random_state(0), [(17, 19), (17, 19), (9, 43)])
    assert [len(x) for x in (*normal, *uniform)] == [17, 17, 9, 19, 19, 43]
    normal, uniform = np.concatenate(normal), np.concatenate(uniform)
    assert len({*scipy.stats.norm.cdf(normal).round(12), *uniform.round(12)}) == 43 + 81
    assert (uniform >= 0).all()
    assert (uniform < 1).all()
    assert (normal < 0).any()


# Estimates


@double_precision
def test_an_estimate_by_hand():
    """Mean squares of mode and spread; little changes are none, and others are left alone."""
    terms = Terms(2, 2, ("base", "biases"))
    base, spread = np.array([[3.0, -3.0], [1.0, -1.0]]), np.array([[1.0, -1.0], [2.0, -2.0]])
    biases = np.array([[0.5, -0.5], [-0.5, 0.5]])
    mode = terms.stack(EmissionLogits(base, biases))
    around = terms.stack(EmissionLogits(spread, 0 * biases))
    learnt = (SIGMAS["base"], SIGMAS["biases"])
    priors = scales.estimate_scales(terms, mode, around, PRIORS, learnt)
    np.testing.assert_allclose(priors.emission_base_sigma, np.sqrt((20 + 10) / 2))
    np.testing.assert_allclose(priors.emission_biases_sigma, 1.0)
    assert priors.trans_kappa == PRIORS.trans_kappa
    near = PRIORS._replace(emission_biases_sigma=np.float64(1.009))
    priors = scales.estimate_scales(terms, mode, around, near, (SIGMAS["biases"],))
    assert priors == near


@pytest.mark.slow
@double_precision
def test_estimates_of_scales_settle_at_the_true_ones():
    """From countless syllables: each estimate is the root mean square of the d true parameters.

    The logarithm of that has standard deviation 1 / sqrt(2 d) around the true scale. Usage is
    mixed up with the mean row of the base, and biases with that of the interactions, which adds
    variance of 1/20 of the other one at most.
    """
    terms = Terms(4, 20, ALL)
    true = {"base": 1.0, "biases": 0.6, "usage": 1.5, "interactions": 0.4}
    rng = np.random.default_rng(6)
    params = {name: true[name] * rng.standard_normal(_shape(terms, name)) for name in ALL}
    model = oracles.ModelOfTerms(
        **{f"emission_{name}": values for name, values in params.items()},
        trans_probs=np.eye(4),
        self_transitions=True,
    )
    # departures are many enough for every entry to be known
    counts = 1e5 * oracles.syllable_trans_probs(model)
    reduced = emission_counts(terms, SufficientStats(None, counts))
    learnt = tuple(SIGMAS.values())
    noise = rng.standard_normal(noise_shape(terms))

    @jax.jit
    def iterate(priors, point):
        solution = Newton(50).solve(
            terms,
            reduced,
            priors,
            terms.unstack(point),
            tol=1e-6,
            right_hand_side=lambda hessian: draw_with_hessian_covariance(noise, terms, hessian),
        )
        mode = terms.stack(solution.mode)
        return scales.estimate_scales(terms, mode, solution.solved, priors, learnt), mode

    priors = jax.tree.map(np.float64, PRIORS)
    point = np.zeros_like(reduced.totals)
    for _ in range(60):
        before = priors
        priors, point = iterate(priors, point)
        rests = all(map(np.equal, *map(jax.tree.leaves, (before, priors))))
        if rests:
            break
    assert rests
    bound = scipy.stats.norm.isf(FALSE_ALARM / 8)
    variance = {"usage": true["base"] ** 2 / 20, "biases": true["interactions"] ** 2 / 20}
    for name in ALL:
        found, n = float(getattr(priors, SIGMAS[name])), params[name].size
        expected = np.sqrt(true[name] ** 2 + np.array([0, variance.get(name, 0)]))
        low, high = np.log(expected) + bound / np.sqrt(2 * n) * np.array([-1, 1])
        assert low < np.log(found) < high, name


def _shape(terms, name):
    return oracles.param_shape(name, terms.n_states, terms.n_syllables)


_estimate_concentrations = jax.jit(scales.estimate_concentrations, static_argnums=2)


@pytest.mark.parametrize(
    ("beta", "kappa", "n_states", "n"),
    [
        (1.0, 50.0, 30, 2000),
        (3.0, 0.0, 30, 2000),
        (20.0, 400.0, 30, 2000),
        (0.2, 3e4, 4, 500),  # no more than a few transitions
        (0.2, 0.0, 4, 10_000),  # beta at its bound, kappa 0
        (80.0, 1e4, 4, 50),  # rows that are alike: a ridge without an end
    ],
)
@double_precision
def test_estimates_of_concentrations_are_the_most_likely_pair(beta, kappa, n_states, n):
    rng = np.random.default_rng(7)
    trans = np.stack([rng.dirichlet(row) for row in beta + kappa * np.eye(n_states)])
    counts = np.stack([rng.multinomial(n, row) for row in trans]) * 1.0
    priors = PRIORS._replace(trans_beta=np.float64(1.0), trans_kappa=np.float64(100.0))
    for _ in range(30):
        before, priors = priors, _estimate_concentrations(counts, priors, CONCENTRATIONS)
        if before == priors:
            break
    assert before == priors
    highest_kappa = scales.HIGHEST_KAPPA_PER_TIMESTEP * counts.sum()
    grid = np.meshgrid(
        np.geomspace(1, scales.HIGHEST_BETA, 40),
        np.append(0, np.geomspace(0.01, highest_kappa, 80)),
    )
    best = _log_probs_of_counts(counts, *grid).max()
    found = _log_probs_of_counts(counts, float(priors.trans_beta), float(priors.trans_kappa))
    assert found > best - 0.01  # nats
    if n_states == 30:
        assert abs(np.log(priors.trans_beta / beta)) < 0.6
        assert abs(np.log((1 + priors.trans_kappa) / (1 + kappa))) < 0.8


@double_precision
def test_kappa_comes_to_rest_where_states_are_never_left():
    """The likelihood rises with kappa without end, so the estimate is its bound."""
    found = []
    for counts in (500 * np.eye(3), 500 * np.eye(3) * (1 + 1e-6)):
        priors = PRIORS._replace(trans_beta=np.float64(1.0), trans_kappa=np.float64(100.0))
        for _ in range(10):
            priors = _estimate_concentrations(counts, priors, ("trans_kappa",))
        found.append(priors.trans_kappa)
    np.testing.assert_allclose(found, 100 * 1500, rtol=1e-5)


@double_precision
def test_a_concentration_that_is_not_learnt_stays():
    counts = np.array([[20.0, 3.0], [5.0, 60.0]])
    for name in CONCENTRATIONS:
        priors = PRIORS._replace(trans_beta=np.float64(0.5), trans_kappa=np.float64(100.0))
        found = _estimate_concentrations(counts, priors, (name,))
        for other in CONCENTRATIONS:
            assert (getattr(found, other) == getattr(priors, other)) == (other != name)


@double_precision
def test_one_state_says_nothing_of_concentrations():
    priors = PRIORS._replace(trans_beta=np.float64(2.0))
    assert _estimate_concentrations(np.ones((1, 1)), priors, CONCENTRATIONS) == priors


# Fits


@pytest.fixture(scope="module")
def data():
    return make_hhmm(
        30,
        400,
        2,
        8,
        emission_base_sigma=1.5,
        emission_biases_sigma=0.8,
        trans_kappa=60.0,
        random_state=0,
    )


AUTO = {"emission_base_sigma": "auto", "emission_biases_sigma": "auto", "trans_kappa": "auto"}
WITHOUT_USAGE = {**AUTO, "emission_usage_sigma": 0.0}


@pytest.mark.parametrize("algorithm", slow_unless(["em"], ["gibbs", "em", "gradient"]))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_learns_scales_and_keeps_others(data, algorithm):
    """Within the spread that so many parameters leave: 56 of the base, 7 of the biases."""
    given = {"emission_sampler": "laplace", "init": data.states, "random_state": 0}
    model = EfficientHHMM(2, 8, algorithm=algorithm, max_iter=60, **given, **WITHOUT_USAGE)
    model.fit(data.X)
    assert model.sigmas_["trans_beta"] == 1.0
    assert model.sigmas_["emission_usage_sigma"] == 0.0
    bound = scipy.stats.norm.isf(FALSE_ALARM / 4)
    for name, true, n in [("base", 1.5, 56), ("biases", 0.8, 7)]:
        found = model.sigmas_[SIGMAS[name]]
        assert abs(np.log(found / true)) < bound / np.sqrt(2 * n)
    assert 5 < model.sigmas_["trans_kappa"] < 1000
    for name in AUTO:
        assert getattr(model, name) == "auto"
    assert hasattr(model, "posterior_") == (algorithm == "gibbs")


@pytest.mark.parametrize("algorithm", slow_unless(["gibbs"], ["gibbs", "em"]))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_goes_on_at_the_scales_that_it_learnt(data, algorithm, monkeypatch):
    """Twelve sweeps, or six and six more: to the last bit where sweeps are drawn.

    Scales stay as they are for four (eight) of them: so many of the twelve, and not of each six.
    """
    monkeypatch.setattr("hhmm._inference.fit.N_HELD", 4)
    given = {"algorithm": algorithm, "init": "prior", "random_state": 0, "tol": 0.0}
    given |= WITHOUT_USAGE
    given["emission_sampler"] = "laplace"  # which does the same while a chain warms up
    whole = EfficientHHMM(2, 8, max_iter=12, **given).fit(data.X[:5])
    parts = EfficientHHMM(2, 8, max_iter=6, warm_start=True, **given).fit(data.X[:5])
    joints = [parts.log_joint_[0], parts.fit(data.X[:5]).log_joint_[0]]
    rtol = 0 if algorithm == "gibbs" else 1e-7
    np.testing.assert_allclose(np.concatenate(joints), whole.log_joint_[0], rtol=rtol)
    if algorithm == "em":
        for name, value in whole.sigmas_.items():
            np.testing.assert_allclose(parts.sigmas_[name], value, rtol=1e-6)
    else:
        posterior = whole.posterior_
        assert list(posterior.sigmas) == [name for name in Priors._fields if name in AUTO]
        for name, drawn in posterior.sigmas.items():
            assert drawn.shape == posterior.log_joint.shape
            assert len(np.unique(drawn)) == drawn.size
            np.testing.assert_allclose(whole.sigmas_[name], drawn.mean(), rtol=1e-12)


@pytest.mark.slow
@double_precision
def test_the_race_learns_scales(data):
    """Finalists have one value of each scale of the emissions, near the true one."""
    priors = Priors(*map(np.float64, (10.0, 10.0, 1.0, 100.0)))
    learnt = (SIGMAS["base"], SIGMAS["biases"], "trans_kappa")
    settings = Settings(Newton(100), "laplace", "sequential", Terms(2, 8), learnt)
    finalists, _ = search.search(
        np.random.RandomState(0), RunLengths.of(list(data.X[:10])), priors, settings=settings
    )
    for name, true in [("base", 1.5), ("biases", 0.8)]:
        values = {float(getattr(finalist.priors, SIGMAS[name])) for finalist in finalists}
        assert len(values) == 1
        assert abs(np.log(values.pop() / true)) < 1
    assert all(finalist.priors.trans_beta == 1.0 for finalist in finalists)


# Fits


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scales_wait_until_states_are_known():
    """Learnt from the first iteration on, the scale of the biases goes to 0 from this start."""
    params = make_hhmm(1, 2, 2, 6, emission_biases_sigma=2.0, random_state=3)
    trans_probs = np.array([[0.97, 0.03], [0.05, 0.95]])
    truth = EfficientHHMM.from_params(params.emission_base, params.emission_biases, trans_probs)
    X, states = truth.sample(20, 200, random_state=0)
    given = {"algorithm": "em", "init": "prior", "trans_kappa": 20.0, "random_state": 0}
    model = EfficientHHMM(2, 6, **given).fit(X)
    assert model.sigmas_["emission_biases_sigma"] > 1
    best = matched_accuracy(states, truth.predict(X))
    assert matched_accuracy(states, model.predict(X)) > best - 0.02


def test_given_parameters_have_the_scale_of_their_entries():
    rng = np.random.default_rng(0)
    b, c, trans_probs = rng.normal(0, 3, (5, 4)), rng.normal(0, 0.5, (2, 4)), np.full((3, 3), 1 / 3)
    model = EfficientHHMM.from_params(b, c, trans_probs, trans_kappa=7.0)
    sigmas = np.sqrt(np.mean(b**2)), np.sqrt(np.mean(c**2))
    found = [model.sigmas_[f"emission_{name}_sigma"] for name in ("base", "biases", "usage")]
    np.testing.assert_allclose(found, [*sigmas, 0])
    X = rng.integers(0, 5, (2, 30))
    log_prior = oracles.log_prior(oracles.Model(b, c, trans_probs), *sigmas, 1, 7)
    np.testing.assert_allclose(model.log_joint(X), model.score_samples(X).sum() + log_prior)
    # a term of zeros has no scale
    model = EfficientHHMM.from_params(0 * b, 0 * c, trans_probs, emission_usage=c[0])
    assert model.sigmas_["emission_base_sigma"] == 1
    assert model.sigmas_["emission_usage_sigma"] == pytest.approx(np.sqrt(np.mean(c[0] ** 2)))
    assert np.isfinite(model.log_joint(X))
    # a term that is given has a scale, also where its default leaves it out
    model = EfficientHHMM.from_params(b, c, trans_probs, emission_interactions=np.ones((2, 5, 4)))
    assert model.sigmas_["emission_interactions_sigma"] == 1
