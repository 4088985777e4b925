"""Terms of groups: the objective, its derivatives and its mode, against a dense model of all
parameters in NumPy.
"""

import functools

import jax
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats

from hhmm._emission_solvers import Newton, group_transitions, laplace
from hhmm._emission_solvers.objective import (
    LogitKeys,
    emission_counts,
    evaluate,
    hessian_product,
    preconditioner,
)
from hhmm._inference import initialise
from hhmm._model.joint import log_prior
from hhmm._model.terms import Factor, Terms, scale_of
from hhmm._runtime.keys import key_from_data
from hhmm._runtime.precision import double_precision
from hhmm._types import EmissionLogits, Priors, SufficientStats
from tests import oracles

N_STATES, N_SYLLABLES = 3, 4
FACTORS = (Factor(3, (0, 1, 2, 2)), Factor(2, (0, 0, 1, -1)))
NAMES = ("base", "biases", "usage", "interactions", "group_emissions", "group_states")
PRIORS = Priors(
    *map(np.float64, (1.5, 1.2, 1.0, 5.0, 2.0, 0.8)),
    group_emissions_sigma=(np.float64(0.6), np.float64(0.9)),
    group_states_sigma=(np.float64(0.4), np.float64(0.5)),
    group_transitions_sigma=(np.float64(0.7), np.float64(0.3)),
)


@pytest.fixture(
    params=[pytest.param(True, marks=pytest.mark.slow), False], ids=["emissions", "held"]
)
def terms(request):
    return Terms(N_STATES, N_SYLLABLES, NAMES, request.param, FACTORS, trans_by_group=True)


@pytest.fixture
def stats(terms):
    rng = np.random.default_rng(0)
    counts = rng.poisson(3.0, (terms.n_contexts, N_SYLLABLES, N_SYLLABLES)).astype(float)
    if not terms.self_transitions:
        counts *= 1 - np.eye(N_SYLLABLES)
    return SufficientStats(rng.poisson(5.0, (terms.n_contexts, N_STATES)).astype(float), counts)


class Posterior(oracles.EmissionPosterior):
    """The dense model of all terms: a loop over groups, states and terms makes its design."""

    def __init__(self, terms, stats):
        self.terms = terms
        self.counts = stats.syllable_trans_counts
        precision = [
            np.full(terms.n_dimensions(term), scale_of(PRIORS, term) ** -2.0)
            for term in terms.present
        ]
        self.precision = np.concatenate(precision)
        units = [self.arrays(unit) for unit in np.eye(len(self.precision))]
        design = np.zeros((terms.n_groups, N_STATES, N_SYLLABLES, N_SYLLABLES, len(self.precision)))
        for g in range(terms.n_groups):
            for k in range(N_STATES):
                for t, term in enumerate(terms.present):
                    level = None if term.factor is None else FACTORS[term.factor].levels[g]
                    if level is not None and level < 0:  # not known: no effect
                        continue
                    for p, arrays in enumerate(units):
                        array = arrays[t] if level is None else arrays[t][level]
                        array = array[k] if term.by_state else array
                        design[g, k, ..., p] += array if term.by_from else array[None]
        self.design = design.reshape(-1, *design.shape[2:])
        # rows of a point, (n_rows, S, n_parameters)
        rows = [np.concatenate([a.reshape(-1, N_SYLLABLES) for a in arrays]) for arrays in units]
        self.basis = np.stack(rows, axis=-1)
        self.mask = 0.0 if terms.self_transitions else -1e30 * np.eye(N_SYLLABLES)

    def arrays(self, theta):
        """The terms from all parameters one after the other, in Helmert bases: a list of arrays."""
        terms, arrays, first = self.terms, [], 0
        for term in terms.present:
            shape = terms.param_shape(term)
            part = theta[first : first + int(np.prod(shape))].reshape(shape)
            first += int(np.prod(shape))
            part = part @ oracles.helmert(N_SYLLABLES).T
            axis = 0
            if term.factor is not None:
                part = np.tensordot(oracles.helmert(terms.n_levels(term)), part, 1)
                axis = 1
            if term.by_state:
                part = np.moveaxis(part, axis, 0)
                part = np.moveaxis(np.tensordot(oracles.helmert(N_STATES), part, 1), 0, axis)
            arrays.append(part)
        assert first == len(theta)
        return arrays


@pytest.fixture
def dense(terms, stats):
    return Posterior(terms, stats)


@functools.cache
def derivatives_of(terms):
    """A compiled function: value, gradient, product with the Hessian, preconditioned vectors."""

    @jax.jit
    def derivatives(stats, point, direction, vectors):
        value, gradient, hessian = evaluate(terms, emission_counts(terms, stats), PRIORS, point)
        product = hessian_product(terms, hessian, direction)
        return value, gradient, product, jax.vmap(preconditioner(terms, hessian))(vectors)

    return derivatives


@double_precision
def test_dense_oracle_agrees_with_finite_differences(dense):
    theta = 0.3 * np.random.default_rng(3).standard_normal(len(dense.precision))
    numeric = scipy.optimize.approx_fprime(theta, dense.value, 1e-6)
    np.testing.assert_allclose(dense.gradient(theta), numeric, rtol=1e-3, atol=1e-2)
    numeric = scipy.optimize.approx_fprime(theta, dense.gradient, 1e-6)
    np.testing.assert_allclose(dense.hessian(theta), numeric, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(("spread", "largest_ratio"), [(0.5, 60), (15.0, 200)])
@double_precision
def test_value_gradient_and_hessian(terms, stats, dense, spread, largest_ratio):
    """With a spread of 15, many logits lie 60 nats and more apart."""
    rng, basis = np.random.default_rng(1), dense.basis
    theta, direction = rng.standard_normal((2, len(dense.precision)))
    theta *= spread
    value, gradient, product, preconditioned = derivatives_of(terms)(
        stats, basis @ theta, basis @ direction, np.moveaxis(basis, -1, 0)
    )
    np.testing.assert_allclose(value, dense.value(theta), rtol=1e-12)
    np.testing.assert_allclose(gradient, basis @ dense.gradient(theta), atol=1e-9)
    hessian = dense.hessian(theta)
    np.testing.assert_allclose(product, basis @ (hessian @ direction), atol=1e-8)
    # positive definite and near the inverse, which is what a preconditioner must be
    preconditioned = np.einsum("rsp,irs->pi", basis, preconditioned)
    values = np.linalg.eigvals(preconditioned @ hessian)
    assert values.real.min() > 0
    assert values.real.max() / values.real.min() < largest_ratio


@double_precision
def test_the_mode_and_draws_around_it(terms, stats, dense):
    counts = emission_counts(terms, stats)
    start = initialise.with_terms(EmissionLogits(), terms)

    def solve(**arguments):
        return Newton(100).solve(terms, counts, PRIORS, start, tol=1e-10, **arguments)

    @jax.jit
    @jax.vmap
    def draw(key):
        keys = LogitKeys(*jax.random.split(key, 3))
        drawn = laplace.draw(keys, terms, counts, PRIORS, start, solve, False, None)
        return terms.stack(drawn.solution.mode), terms.stack(drawn.logits)

    modes, points = map(np.asarray, draw(jax.random.split(jax.random.key(1), 400)))
    mode, *others = np.einsum("rsp,nrs->np", dense.basis, modes)
    np.testing.assert_allclose(modes[0], dense.basis @ mode, atol=1e-10)
    np.testing.assert_allclose(dense.gradient(mode), 0, atol=1e-4)
    np.testing.assert_allclose(others, np.broadcast_to(mode, np.shape(others)), atol=1e-10)
    # along the eigenvectors of the covariance, draws are independent and standard normal
    root = np.linalg.cholesky(dense.hessian(mode)).T
    scaled = (np.einsum("rsp,nrs->np", dense.basis, points) - mode) @ root.T
    p_value = scipy.stats.chi2(scaled.size).sf(np.sum(scaled**2))
    # both tails, with a chance of a false alarm of 1e-4
    assert min(p_value, 1 - p_value) > 5e-5
    means = scipy.stats.norm.sf(np.abs(scaled.mean(axis=0)) * np.sqrt(len(scaled)))
    assert 2 * means.min() * len(mode) > 1e-4


TERMS = Terms(N_STATES, N_SYLLABLES, NAMES, True, FACTORS, trans_by_group=True)


def _moderate_counts():
    return np.random.default_rng(0).poisson(5.0, (TERMS.n_contexts, N_STATES)).astype(float)


def _counts_of_a_state_that_is_not_left():
    """Other states are left now and then; one is visited by some groups, and hardly left."""
    counts = np.zeros((TERMS.n_groups, N_STATES, N_STATES))
    counts[:] = 1e5 * np.eye(N_STATES) + 200.0
    counts[:, 1] = 0
    counts[0, 1, 1] = 3
    return counts.reshape(TERMS.n_contexts, N_STATES)


@pytest.mark.parametrize("counts", [_moderate_counts(), _counts_of_a_state_that_is_not_left()])
@pytest.mark.parametrize("start", [np.full((N_STATES, N_STATES), 1 / N_STATES), np.eye(N_STATES)])
@double_precision
def test_transitions_of_groups_at_their_mode(counts, start):
    """No slope is left of log p(z | T, U) + log p(T, U), written down plainly."""
    n_groups = TERMS.n_groups
    effects = tuple(np.zeros((factor.n_levels, N_STATES, N_STATES)) for factor in FACTORS)
    mode = functools.partial(group_transitions.mode, terms=TERMS, learnt=(), holds_scales=False)
    keys = LogitKeys(*jax.random.split(key_from_data(np.zeros(2, np.uint32)), 3))
    trans_probs, effects, _ = jax.jit(mode)(counts, PRIORS, start, effects, keys)
    trans = counts.reshape(n_groups, N_STATES, N_STATES)

    def plain(logits, *effects):
        value = 0.0
        for g in range(n_groups):
            total = logits
            for effect, factor in zip(effects, FACTORS, strict=True):
                if factor.levels[g] >= 0:
                    total = total + effect[factor.levels[g]]
            value += np.sum(trans[g] * scipy.special.log_softmax(total, axis=1))
        alpha = PRIORS.trans_beta + PRIORS.trans_kappa * np.eye(N_STATES)
        value += np.sum(alpha * scipy.special.log_softmax(logits, axis=1))
        for effect, sigma in zip(effects, PRIORS.group_transitions_sigma, strict=True):
            value -= 0.5 * np.sum(effect**2) / sigma**2
        return value

    arrays = [np.log(trans_probs), *map(np.array, effects)]
    of_logits, *of_effects = (_slopes(plain, arrays, i) for i in range(len(arrays)))
    np.testing.assert_allclose(of_logits, 0, atol=1e-3)
    for slopes in of_effects:  # along centred effects
        centred = slopes - slopes.mean(axis=0)
        np.testing.assert_allclose(centred - centred.mean(axis=2, keepdims=True), 0, atol=1e-3)
    # elsewhere there are slopes
    arrays[1] = arrays[1] + np.random.default_rng(1).normal(0, 0.1, arrays[1].shape)
    assert np.abs(_slopes(plain, arrays, 0)).max() > 0.1


def _slopes(function, arrays, which, step=1e-5):
    """Central differences along the entries of one of the arrays."""
    slopes = np.zeros_like(arrays[which])
    for place in np.ndindex(slopes.shape):
        values = []
        for sign in (1, -1):
            moved = [array.copy() for array in arrays]
            moved[which][place] += sign * step
            values.append(function(*moved))
        slopes[place] = (values[0] - values[1]) / (2 * step)
    return slopes


@double_precision
def test_the_prior_of_transitions_is_that_of_their_logits():
    """Differences of log densities: of A by scipy, with the Jacobian by that of the softmax."""
    rng = np.random.default_rng(2)
    shared = TERMS._replace(names=("base",))
    logits = initialise.with_terms(EmissionLogits(), shared)
    ours, plain, jitted = [], [], jax.jit(log_prior, static_argnums=0)
    for _ in range(2):
        free = rng.standard_normal((N_STATES, N_STATES - 1))
        trans_probs = scipy.special.softmax(free @ oracles.helmert(N_STATES).T, axis=1)
        ours.append(jitted(shared, logits, trans_probs, PRIORS))
        plain.append(0.0)
        for k, row in enumerate(trans_probs):
            alpha = PRIORS.trans_beta + PRIORS.trans_kappa * np.eye(N_STATES)[k]
            plain[-1] += scipy.stats.dirichlet(alpha).logpdf(row)
            of_logits = np.diag(row) - np.outer(row, row)
            jacobian = of_logits[:-1] @ oracles.helmert(N_STATES)
            plain[-1] += np.log(np.abs(np.linalg.det(jacobian)))
    np.testing.assert_allclose(ours[0] - ours[1], plain[0] - plain[1], rtol=1e-9)
