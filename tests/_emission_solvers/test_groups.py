"""Terms of groups: the objective, its derivatives and its mode, against a plain function of all
parameters and its automatic derivatives.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
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


def arrays_of(terms, theta):
    """The terms from all parameters one after the other, in Helmert bases: a list of arrays."""
    arrays, first = [], 0
    for term in terms.present:
        shape = terms.param_shape(term)
        part = theta[first : first + int(np.prod(shape))].reshape(shape)
        first += int(np.prod(shape))
        part = part @ oracles.helmert(N_SYLLABLES).T
        axis = 0
        if term.factor is not None:
            part = jnp.tensordot(oracles.helmert(terms.n_levels(term)), part, 1)
            axis = 1
        if term.by_state:
            part = jnp.moveaxis(part, axis, 0)
            part = jnp.moveaxis(jnp.tensordot(oracles.helmert(N_STATES), part, 1), 0, axis)
        arrays.append(part)
    return arrays


def plain_objective(terms, stats, theta):
    """The negative log posterior, a loop over groups, states and terms."""
    arrays = arrays_of(terms, theta)
    counts = stats.syllable_trans_counts.reshape(-1, N_STATES, N_SYLLABLES, N_SYLLABLES)
    value = 0.0
    for g in range(terms.n_groups):
        for k in range(N_STATES):
            logits = jnp.zeros((N_SYLLABLES, N_SYLLABLES))
            for term, array in zip(terms.present, arrays, strict=True):
                if term.factor is not None:
                    level = FACTORS[term.factor].levels[g]
                    if level < 0:
                        continue
                    array = array[level]
                array = array[k] if term.by_state else array
                logits = logits + (array if term.by_from else array[None])
            if not terms.self_transitions:
                logits = logits - 1e30 * np.eye(N_SYLLABLES)
            log_probs = logits - jax.nn.logsumexp(logits, axis=1, keepdims=True)
            value -= jnp.sum(jnp.where(counts[g, k] > 0, counts[g, k] * log_probs, 0))
    first = 0
    for term in terms.present:
        n = terms.n_dimensions(term)
        sigma = scale_of(PRIORS, term)
        value -= jax.scipy.stats.norm.logpdf(theta[first : first + n], 0, sigma).sum()
        first += n
    return value


def n_parameters(terms):
    return sum(terms.n_dimensions(term) for term in terms.present)


def point_of(terms, theta):
    """The point of all parameters."""
    arrays = arrays_of(terms, theta)
    return jnp.concatenate([array.reshape(-1, N_SYLLABLES) for array in arrays])


@pytest.mark.parametrize(("spread", "largest_ratio"), [(0.5, 60), (15.0, 200)])
@double_precision
def test_value_gradient_and_hessian(terms, stats, spread, largest_ratio):
    """With a spread of 15, many logits lie 60 nats and more apart."""
    rng = np.random.default_rng(1)
    theta = spread * rng.standard_normal(n_parameters(terms))
    basis = jax.jacobian(lambda theta: point_of(terms, theta))(theta)  # (n_rows, S, n_parameters)
    value, gradient, ours = evaluate(
        terms, emission_counts(terms, stats), PRIORS, point_of(terms, theta)
    )
    plain = lambda theta: plain_objective(terms, stats, theta)  # noqa: E731
    np.testing.assert_allclose(value, plain(theta), rtol=1e-12)
    np.testing.assert_allclose(gradient, basis @ jax.grad(plain)(theta), atol=1e-9)
    hessian = jax.hessian(plain)(theta)
    direction = rng.standard_normal(len(theta))
    product = hessian_product(terms, ours, basis @ direction)
    np.testing.assert_allclose(product, basis @ (hessian @ direction), atol=1e-8)
    # positive definite and near the inverse, which is what a preconditioner must be
    precondition = preconditioner(terms, ours)
    dense = np.stack(
        [np.einsum("rsp,rs->p", basis, precondition(basis[..., i])) for i in range(len(theta))]
    )
    values = np.linalg.eigvals(dense @ hessian)
    assert values.real.min() > 0
    assert values.real.max() / values.real.min() < largest_ratio


@double_precision
def test_the_mode_and_draws_around_it(terms, stats):
    counts = emission_counts(terms, stats)
    start = initialise.with_terms(EmissionLogits(), terms)

    def solve(**arguments):
        return Newton(100).solve(terms, counts, PRIORS, start, tol=1e-10, **arguments)

    @jax.jit
    def draw(key):
        keys = LogitKeys(*jax.random.split(key, 3))
        return laplace.draw(keys, terms, counts, PRIORS, start, solve, False, None)

    drawn = draw(jax.random.key(0))
    _, gradient, _ = evaluate(terms, counts, PRIORS, terms.stack(drawn.solution.mode))
    np.testing.assert_allclose(gradient, 0, atol=1e-4)
    # along the eigenvectors of the covariance, draws are independent and standard normal
    n = n_parameters(terms)
    basis = np.asarray(jax.jacobian(lambda theta: point_of(terms, theta))(np.zeros(n)))
    mode = np.einsum("rsp,rs->p", basis, terms.stack(drawn.solution.mode))
    hessian = jax.hessian(lambda theta: plain_objective(terms, stats, theta))(mode)
    root = np.linalg.cholesky(hessian).T
    keys = jax.random.split(jax.random.key(1), 400)
    points = jax.vmap(lambda key: terms.stack(draw(key).logits))(keys)
    scaled = (np.einsum("rsp,nrs->np", basis, points) - mode) @ root.T
    p_value = scipy.stats.chi2(scaled.size).sf(np.sum(scaled**2))
    # both tails, with a chance of a false alarm of 1e-4
    assert min(p_value, 1 - p_value) > 5e-5
    means = scipy.stats.norm.sf(np.abs(scaled.mean(axis=0)) * np.sqrt(len(scaled)))
    assert 2 * means.min() * n > 1e-4


@double_precision
def test_transitions_of_groups_at_their_mode(terms, stats):
    """No gradient is left of log p(z | T, U) + log p(T, U), written down plainly."""
    n_groups = terms.n_groups
    trans = stats.state_trans_counts.reshape(n_groups, N_STATES, N_STATES)
    effects = tuple(np.zeros((factor.n_levels, N_STATES, N_STATES)) for factor in FACTORS)
    uniform = np.full((N_STATES, N_STATES), 1 / N_STATES)
    trans_probs, effects, _ = group_transitions.mode(
        stats.state_trans_counts,
        PRIORS,
        uniform,
        effects,
        LogitKeys(*jax.random.split(key_from_data(np.zeros(2, np.uint32)), 3)),
        terms=terms,
        learnt=(),
        holds_scales=False,
    )

    def plain(logits, effects):
        value = 0.0
        for g in range(n_groups):
            total = logits
            for effect, factor in zip(effects, FACTORS, strict=True):
                if factor.levels[g] >= 0:
                    total = total + effect[factor.levels[g]]
            value += jnp.sum(trans[g] * jax.nn.log_softmax(total, axis=1))
        alpha = PRIORS.trans_beta + PRIORS.trans_kappa * np.eye(N_STATES)
        value += jnp.sum(alpha * jax.nn.log_softmax(logits, axis=1))
        for effect, sigma in zip(effects, PRIORS.group_transitions_sigma, strict=True):
            value -= 0.5 * jnp.sum(effect**2) / sigma**2
        return value

    of_logits, of_effects = jax.grad(plain, (0, 1))(jnp.log(trans_probs), effects)
    np.testing.assert_allclose(of_logits, 0, atol=1e-3)
    for gradient in of_effects:  # along centred effects
        centred = gradient - gradient.mean(axis=0)
        np.testing.assert_allclose(centred - centred.mean(axis=2, keepdims=True), 0, atol=1e-3)


@double_precision
def test_the_prior_of_transitions_is_that_of_their_logits(terms):
    """Differences of log densities: of A by scipy, with the Jacobian by automatic derivatives."""
    rng = np.random.default_rng(2)
    shared = terms._replace(names=("base",), self_transitions=True)
    densities = []
    for _ in range(2):
        logits = initialise.with_terms(EmissionLogits(), shared)
        free = rng.standard_normal((N_STATES, N_STATES - 1))
        trans_probs = scipy.special.softmax(free @ oracles.helmert(N_STATES).T, axis=1)
        ours = log_prior(shared, logits, jnp.asarray(trans_probs), PRIORS)
        plain = 0.0
        for k, row in enumerate(trans_probs):
            alpha = PRIORS.trans_beta + PRIORS.trans_kappa * np.eye(N_STATES)[k]
            plain += scipy.stats.dirichlet(alpha).logpdf(row)
            jacobian = jax.jacobian(_first_probs)(free[k])
            plain += np.log(np.abs(np.linalg.det(jacobian)))
        densities.append((ours, plain))
    (ours, plain), (other_ours, other_plain) = densities
    np.testing.assert_allclose(ours - other_ours, plain - other_plain, rtol=1e-9)


def _first_probs(free):
    return jax.nn.softmax(oracles.helmert(N_STATES) @ free)[:-1]
