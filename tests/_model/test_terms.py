"""Every list of terms of the logits, with and without self-transitions, against dense oracles.

The oracles write a model of any terms as one linear map from its parameters to the logits, in
NumPy. A new term is a row of ``oracles.TERMS``.
"""

import functools
import itertools
import pickle
import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from sklearn.exceptions import ConvergenceWarning

from hhmm import EfficientHHMM
from hhmm._emission_solvers import Newton, hmc, laplace, newton
from hhmm._emission_solvers.objective import (
    LogitKeys,
    conjugate_gradients,
    curvature,
    emission_counts,
    evaluate,
    hessian_diagonal,
    hessian_product,
)
from hhmm._inference import draws
from hhmm._model.emissions import (
    emission_factors,
    logits_from_params,
    params_from_logits,
    syllable_log_probs,
    terms_of,
)
from hhmm._model.joint import log_prior
from hhmm._model.simulate import draw_params
from hhmm._model.terms import ALL_TERMS, Terms
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._types import Params, Priors, SufficientStats
from hhmm.datasets import make_hhmm
from hhmm.diagnostics import posterior_summary
from tests import oracles
from tests.marks import slow_unless, slow_unless_rows

# chance that a correct sampler fails a statistical test, all combinations together; fixed seeds
FALSE_ALARM = 1e-4
N_STATES, N_SYLLABLES = 3, 4
SIGMAS = {"base": 0.8, "biases": 1.7, "usage": 1.1, "interactions": 0.6}
BETA, KAPPA = 0.7, 4.0
PRIORS = Priors(
    **{f"emission_{name}_sigma": np.float64(sigma) for name, sigma in SIGMAS.items()},
    trans_beta=np.float64(BETA),
    trans_kappa=np.float64(KAPPA),
)
SETS = [names for n in range(1, 5) for names in itertools.combinations(oracles.TERMS, n)]
USUAL = [("base", "biases"), ("base", "biases", "usage"), tuple(oracles.TERMS)]
QUICK = [("base", "biases"), tuple(oracles.TERMS)]
# with and without self-transitions in turn; with both where models are usual
COMBINATIONS = [
    (names, self_transitions)
    for i, names in enumerate(SETS)
    for self_transitions in ((True, False) if names in USUAL else (i % 2 == 0,))
]
PARAMETERS = [name for name in oracles.ModelOfTerms._fields if name != "self_transitions"]


class Case(NamedTuple):
    """A combination of terms, counts, and the oracle."""

    terms: Terms
    counts: np.ndarray  # (n_states, n_syllables, n_syllables)
    dense: oracles.EmissionPosterior

    @property
    def n_params(self):
        return len(self.dense.precision)

    def params(self, theta):
        """`Params` of a flat theta; terms that are left out are None."""
        parts = dict(zip(self.dense.shapes, self.dense.split(theta), strict=True))
        given = {f"emission_{name}": parts.get(name) for name in oracles.TERMS}
        return Params(**given, trans_probs=np.full((self.terms.n_states,) * 2, np.nan))

    def point(self, theta):
        return self.terms.stack(logits_from_params(self.params(theta)))

    def thetas(self, points):
        """The parameters of many points, (n, n_params)."""
        basis = np.stack([self.dense.point(unit) for unit in np.eye(self.n_params)])
        return np.tensordot(points, basis, ((1, 2), (1, 2)))

    def theta(self, point):
        """The parameters of a point, flat."""
        params = params_from_logits(self.terms.unstack(np.asarray(point)))
        return np.concatenate([np.ravel(params[f"emission_{name}"]) for name in self.terms.names])


def make_case(names, self_transitions, n_states=N_STATES, n_syllables=N_SYLLABLES):
    """Counts of very different sizes, among them a syllable that a state never meets."""
    rng = np.random.default_rng(0)
    shape = n_states, n_syllables, n_syllables
    counts = rng.poisson(rng.gamma(0.3, 60.0, size=shape)).astype(float)
    counts[-1, -1] = 0
    if not self_transitions:
        counts[:, np.arange(n_syllables), np.arange(n_syllables)] = 0
    sigmas = {f"sigma_{name}": SIGMAS[name] for name in names}
    dense = oracles.EmissionPosterior(counts, **sigmas, self_transitions=self_transitions)
    return Case(Terms(n_states, n_syllables, names, self_transitions), counts, dense)


def name_of(combination):
    names, self_transitions = combination
    return "+".join(names) + ("" if self_transitions else ", held")


# each term alone, each pair of which one is nested in the other, and usual lists
NESTED = [("base", "usage"), ("biases", "interactions")]
QUICK_COMBINATIONS = [
    pair for pair in COMBINATIONS if pair[0] in QUICK + NESTED or len(pair[0]) == 1
]


@pytest.fixture(params=slow_unless(QUICK_COMBINATIONS, COMBINATIONS), ids=name_of)
def case(request):
    return make_case(*request.param)


QUICK_COMPILED = [(QUICK[0], True), (QUICK[1], False)]
COMPILED = [pair for pair in COMBINATIONS if pair in QUICK_COMPILED or pair[0] in NESTED]


@pytest.fixture(params=slow_unless(QUICK_COMPILED, COMPILED), ids=name_of)
def compiled_case(request):
    """For what is compiled for long: quick are a usual list of terms and the longest one."""
    return make_case(*request.param)


def test_all_terms_are_tested():
    assert [term.name for term in ALL_TERMS] == list(oracles.TERMS)
    assert [(term.by_state, term.by_from) for term in ALL_TERMS] == list(oracles.TERMS.values())


@pytest.mark.parametrize("self_transitions", [True, False])
def test_dense_oracle_agrees_with_finite_differences(self_transitions):
    """Gradients by differences of values, Hessians by differences of gradients."""
    case = make_case(tuple(oracles.TERMS), self_transitions)
    dense, theta = case.dense, 0.3 * np.random.default_rng(1).standard_normal(case.n_params)
    numeric = scipy.optimize.approx_fprime(theta, dense.value, 1e-6)
    np.testing.assert_allclose(dense.gradient(theta), numeric, rtol=1e-3, atol=1e-2)
    numeric = scipy.optimize.approx_fprime(theta, dense.gradient, 1e-6)
    np.testing.assert_allclose(dense.hessian(theta), numeric, rtol=1e-3, atol=1e-2)


# Points


@double_precision
def test_a_point_is_the_rows_of_its_terms(case):
    terms, rng = case.terms, np.random.default_rng(2)
    assert sum(terms.n_dimensions(term) for term in terms.present) == case.n_params
    logits = terms.unstack(rng.standard_normal((_n_rows(terms), N_SYLLABLES)))
    point = terms.stack(logits)
    assert point.shape == (_n_rows(terms), N_SYLLABLES)
    for term in ALL_TERMS:
        values = getattr(logits, term.name)
        assert (values is None) == (term.name not in terms.names)
        if values is None:
            continue
        assert values.shape == terms.shape(term)
        assert terms.param_shape(term) == oracles.param_shape(term.name, N_STATES, N_SYLLABLES)
    for term, rows in terms.split(point):
        assert len(rows) == terms.n_rows(term)
        np.testing.assert_array_equal(rows.reshape(terms.shape(term)), getattr(logits, term.name))


@double_precision
def test_joint_logits_are_the_sum_of_the_terms(case):
    """Entry by entry."""
    terms, rng = case.terms, np.random.default_rng(3)
    logits = terms.unstack(rng.standard_normal((_n_rows(terms), N_SYLLABLES)))
    summed = np.asarray(terms.summed(terms.stack(logits)))
    joint = np.asarray(terms.joint_logits(terms.stack(logits)))
    for k, i, j in np.ndindex(summed.shape):
        expected = 0.0
        if logits.usage is not None:
            expected += logits.usage[j]
        if logits.base is not None:
            expected += logits.base[i, j]
        if logits.biases is not None:
            expected += logits.biases[k, j]
        if logits.interactions is not None:
            expected += logits.interactions[k, i, j]
        np.testing.assert_allclose(summed[k, i, j], expected, atol=1e-12)
        if i == j and not terms.self_transitions:
            assert joint[k, i, j] < -1e20
        else:
            assert joint[k, i, j] == summed[k, i, j]


@double_precision
def test_collapse_is_the_transpose_of_the_sum(case):
    """<collapse(A), x> = <A, sum of the terms of x>, for an A and an x without structure."""
    terms, rng = case.terms, np.random.default_rng(4)
    point = rng.standard_normal((_n_rows(terms), N_SYLLABLES))
    array = rng.standard_normal((N_STATES, N_SYLLABLES, N_SYLLABLES))
    collapsed = terms.collapse(array)
    assert collapsed.shape == point.shape
    np.testing.assert_allclose(
        np.vdot(collapsed, point), np.vdot(array, terms.summed(point)), rtol=1e-10
    )
    by_from, by_context = (rng.standard_normal(part.shape) for part in terms.parts(point))
    found = np.vdot(terms.from_parts(by_from, by_context), point)
    expected = sum(map(np.vdot, (by_from, by_context), terms.parts(point)))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@double_precision
def test_project_is_the_projection_on_what_parameters_reach(case):
    """Against the dense projection on the columns of the Helmert bases, which is symmetric."""
    terms, n_rows = case.terms, _n_rows(case.terms)
    reached = np.stack([np.ravel(case.point(unit)) for unit in np.eye(case.n_params)], axis=1)
    np.testing.assert_allclose(reached.T @ reached, np.eye(case.n_params), atol=1e-12)
    units = np.eye(n_rows * N_SYLLABLES).reshape(-1, n_rows, N_SYLLABLES)
    projected = np.stack([np.ravel(terms.project(unit)) for unit in units], axis=1)
    np.testing.assert_allclose(projected, reached @ reached.T, atol=1e-12)
    np.testing.assert_allclose(projected @ projected, projected, atol=1e-12)


# Parameters and logits


@double_precision
def test_parameters_and_logits_are_inverse(case):
    theta = np.random.default_rng(5).standard_normal(case.n_params)
    params = case.params(theta)
    logits = logits_from_params(params)
    lowered = params_from_logits(logits)
    q_s, q_k = oracles.helmert(N_SYLLABLES), oracles.helmert(N_STATES)
    for name, (by_state, _) in oracles.TERMS.items():
        given, found = getattr(params, f"emission_{name}"), getattr(logits, name)
        if name not in case.terms.names:
            assert found is None
            assert lowered[f"emission_{name}"] is None
            continue
        expected = given @ q_s.T
        if by_state:
            expected = np.einsum("kl,l...->k...", q_k, expected)
            np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(found, expected, atol=1e-12)
        np.testing.assert_allclose(found.sum(axis=-1), 0, atol=1e-12)
        np.testing.assert_allclose(lowered[f"emission_{name}"], given, atol=1e-12)
    again = logits_from_params(Params(**lowered, trans_probs=None))
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-12), again, logits)


@double_precision
def test_probabilities_and_their_table(case):
    """Held syllables have probability 0 as emissions, and factor 1 as timesteps."""
    terms, theta = case.terms, np.random.default_rng(6).standard_normal(case.n_params)
    params = case.params(theta)
    if {"base", "biases"} <= set(terms.names):  # which `Params` always have elsewhere
        assert terms_of(params, self_transitions=terms.self_transitions) == terms
    values = {name: value for name, value in params._asdict().items() if value is not None}
    model = oracles.random_model_of_terms(
        np.random.default_rng(6), N_STATES, N_SYLLABLES, (), self_transitions=terms.self_transitions
    )._replace(**values)
    expected = oracles.syllable_trans_probs(model)
    logits = logits_from_params(params)
    np.testing.assert_allclose(np.exp(syllable_log_probs(logits, terms)), expected, rtol=1e-12)
    if not terms.self_transitions:
        np.testing.assert_array_equal(np.einsum("kii->ki", expected), 0)
        expected[:, np.arange(N_SYLLABLES), np.arange(N_SYLLABLES)] = 1
    factors = emission_factors(logits, terms, dtype=jnp.float64)
    table = np.asarray(factors.relative) * np.exp(factors.log_scale)[:, None]
    np.testing.assert_allclose(table[:-1].T, expected.reshape(N_STATES, -1), rtol=1e-12)
    np.testing.assert_array_equal(table[-1], 1)


@double_precision
def test_log_prior_is_that_of_the_parameters(case):
    """Through scipy.stats, entry by entry of the parameters."""
    rng = np.random.default_rng(7)
    theta = rng.standard_normal(case.n_params)
    params = case.params(theta)._replace(trans_probs=rng.dirichlet(np.ones(N_STATES), N_STATES))
    expected = sum(
        scipy.stats.dirichlet(BETA + KAPPA * unit).logpdf(row)
        for unit, row in zip(np.eye(N_STATES), params.trans_probs, strict=True)
    )
    for name in case.terms.names:
        values = getattr(params, f"emission_{name}")
        expected += scipy.stats.norm(0, SIGMAS[name]).logpdf(values).sum()
    found = log_prior(case.terms, logits_from_params(params), params.trans_probs, PRIORS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@double_precision
def test_prior_draws_have_the_spread_of_their_term(compiled_case):
    """Kolmogorov and Smirnov for each term; Bonferroni over all combinations."""
    terms = compiled_case.terms._replace(n_states=5, n_syllables=14)
    params = draw_params(key_from_random_state(8), PRIORS, terms=terms)
    for name in oracles.TERMS:
        values = getattr(params, f"emission_{name}")
        if name not in terms.names:
            assert values is None or not values.any()
            continue
        assert values.shape == oracles.param_shape(name, 5, 14)
        normal = scipy.stats.norm(0, SIGMAS[name])
        p_value = scipy.stats.kstest(np.ravel(values), normal.cdf).pvalue
        assert p_value > FALSE_ALARM / (4 * len(COMBINATIONS))


# The objective


class Derivatives(NamedTuple):
    """What is compared with the dense oracle."""

    value: object
    gradient: object
    product: object
    diagonal: object


@functools.partial(jax.jit, static_argnums=0)
def derivatives(terms, counts, point, direction):
    """`Derivatives` at a point, with the product of the Hessian and the direction."""
    reduced = emission_counts(terms, SufficientStats(None, counts))
    value, gradient, hessian = evaluate(terms, reduced, PRIORS, point)
    product = hessian_product(terms, hessian, direction)
    return Derivatives(value, gradient, product, hessian_diagonal(terms, hessian))


@double_precision
def test_value_gradient_and_hessian(case):
    """Against the dense oracle, and the gradient against central differences of the value too."""
    terms, dense, rng = case.terms, case.dense, np.random.default_rng(9)
    theta, direction = rng.standard_normal((2, case.n_params))
    value, gradient, product, diagonal = derivatives(
        terms, case.counts, case.point(theta), case.point(direction)
    )
    np.testing.assert_allclose(value, dense.value(theta), rtol=1e-12)
    np.testing.assert_allclose(case.theta(gradient), dense.gradient(theta), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(terms.project(gradient), gradient, atol=1e-9)
    slope = (dense.value(theta + 1e-5 * direction) - dense.value(theta - 1e-5 * direction)) / 2e-5
    np.testing.assert_allclose(np.vdot(gradient, case.point(direction)), slope, rtol=1e-5)
    expected = dense.hessian(theta) @ direction
    np.testing.assert_allclose(case.theta(product), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(terms.project(product), product, atol=1e-8)
    np.testing.assert_allclose(diagonal, _loop_over_diagonal(case, theta), rtol=1e-9)


@double_precision
def test_logits_far_apart(case):
    """Logits of 60 nats and more: the dense oracle is matched to rounding of the departures."""
    terms, dense, rng = case.terms, case.dense, np.random.default_rng(14)
    theta, direction = rng.standard_normal((2, case.n_params))
    theta = 60 / np.abs(dense.design @ theta).mean() * theta
    value, gradient, product, diagonal = derivatives(
        terms, case.counts, case.point(theta), case.point(direction)
    )
    rounding = 1e-13 * case.counts.sum()
    np.testing.assert_allclose(value, dense.value(theta), rtol=1e-12)
    np.testing.assert_allclose(
        case.theta(gradient), dense.gradient(theta), rtol=1e-12, atol=rounding
    )
    np.testing.assert_allclose(
        case.theta(product), dense.hessian(theta) @ direction, rtol=1e-10, atol=rounding
    )
    np.testing.assert_allclose(
        diagonal, _loop_over_diagonal(case, theta), rtol=1e-10, atol=rounding
    )


@pytest.mark.parametrize("spread", [250.0, 1e4, 1e150])
@double_precision
def test_what_contexts_add_may_lie_very_far_apart(spread):
    """Biases of 500 nats and more: as the dense oracle has it where the base does not undo them."""
    case = make_case(("base", "biases"), True)
    terms = case.terms
    theta, direction = np.random.default_rng(15).standard_normal((2, case.n_params))
    biases = spread * np.array([[1, 0, 0, -1], [-1, 0, 1, 0], [0, 0, -1, 1]])[:, :N_SYLLABLES]
    biases = biases - biases.mean(axis=1, keepdims=True)
    logits = terms.unstack(case.point(theta))._replace(biases=biases)
    point = terms.project(terms.stack(logits))
    direction = case.point(direction)
    value, gradient, product, diagonal = derivatives(terms, case.counts, point, direction)
    theta = case.theta(point)
    np.testing.assert_allclose(value, case.dense.value(theta), rtol=1e-12)
    expected = case.dense.gradient(theta)
    rounding = 1e-15 * np.abs(expected).max()
    np.testing.assert_allclose(case.theta(gradient), expected, rtol=1e-12, atol=rounding)
    assert np.isfinite(product).all()
    assert np.isfinite(diagonal).all()
    # where the base does undo them, what comes out is finite
    opposed = terms.project(terms.stack(logits._replace(base=-jnp.tile(biases[0], (4, 1)))))
    for array in derivatives(terms, case.counts, opposed, direction):
        assert np.isfinite(array).all()


def _loop_over_diagonal(case, theta):
    """Second derivatives by the entries of a point, as if they were not centred."""
    terms, departures = case.terms, case.counts.sum(axis=2)
    probs = scipy.special.softmax(case.dense.design @ theta + case.dense.mask, axis=-1)
    rows = []
    for name in terms.names:
        by_state, by_from = oracles.TERMS[name]
        for k in range(N_STATES) if by_state else [slice(None)]:
            for i in range(N_SYLLABLES) if by_from else [slice(None)]:
                p, n = probs[k, i], departures[k, i]
                summed = (n[..., None] * p * (1 - p)).reshape(-1, N_SYLLABLES).sum(axis=0)
                rows.append(summed + SIGMAS[name] ** -2)
    return np.array(rows)


@double_precision
def test_the_mode_has_no_gradient_and_draws_have_its_covariance(compiled_case):
    """Newton from zero, and Laplace draws around the mode that it ends at.

    2,000 draws are whitened: with z = L' (x - mode), L L' = H, each entry of the mean of z and of
    z z' is asymptotically normal with known variance. Bonferroni over entries and combinations.
    """
    case = compiled_case
    terms, dense, n_draws = case.terms, case.dense, 2000
    reduced = emission_counts(terms, SufficientStats(None, case.counts))
    start = terms.unstack(jnp.zeros((_n_rows(terms), N_SYLLABLES)))

    @jax.jit
    def draw_all(keys):
        solution = _find_mode(terms, reduced, start)
        hessian = curvature(terms, reduced, PRIORS, terms.stack(solution.mode))

        def solve_at_the_mode(right_hand_side):
            solved = conjugate_gradients(
                terms,
                hessian,
                right_hand_side(hessian),
                tol=0.0,
                relative_tol=newton.LAST_RELATIVE_TOL,
                max_iter=newton.LAST_MAX_ITER,
            )
            return solution._replace(solved=solved)

        def draw(key):
            keys = LogitKeys(*jax.random.split(key, 3))
            drawn = laplace.draw(
                keys, terms, reduced, PRIORS, start, solve_at_the_mode, False, hmc.first_tuning()
            )
            return terms.stack(drawn.logits)

        return terms.stack(solution.mode), jax.vmap(draw)(keys)

    mode, points = draw_all(jax.random.split(key_from_random_state(10), n_draws))
    mode = case.theta(mode)
    np.testing.assert_allclose(dense.gradient(mode), 0, atol=1e-6)
    np.testing.assert_allclose(mode, dense.mode(), atol=1e-8)
    thetas = case.thetas(np.asarray(points))
    white = (thetas - mode) @ np.linalg.cholesky(dense.hessian(mode))
    scale = np.sqrt(np.where(np.eye(case.n_params), 2.0, 1.0) / n_draws)
    z_covariance = (white.T @ white / n_draws - np.eye(case.n_params)) / scale
    z_mean = white.mean(axis=0) * np.sqrt(n_draws)
    n_tests = len(COMBINATIONS) * case.n_params * (case.n_params + 3)
    bound = scipy.stats.norm.isf(FALSE_ALARM / n_tests)
    assert np.abs(z_mean).max() < bound
    assert np.abs(z_covariance).max() < bound


@double_precision
def test_linear_systems_of_terms_that_undo_each_other(compiled_case):
    """What one term can say as well as another: counts are many, and priors are wide."""
    case = compiled_case
    terms, rng = case.terms, np.random.default_rng(11)
    counts = 100 * case.counts
    wide = {f"sigma_{name}": 30.0 for name in terms.names}
    dense = oracles.EmissionPosterior(counts, **wide, self_transitions=terms.self_transitions)
    priors = Priors(
        **dict.fromkeys((f"emission_{name}_sigma" for name in oracles.TERMS), 30.0),
        trans_beta=1.0,
        trans_kappa=1.0,
    )
    reduced = emission_counts(terms, SufficientStats(None, counts))
    theta, right_hand_side = rng.standard_normal((2, case.n_params))

    @jax.jit
    def solve(point, right_hand_side):
        hessian = curvature(terms, reduced, priors, point)
        return conjugate_gradients(
            terms, hessian, right_hand_side, tol=0.0, relative_tol=1e-24, max_iter=2000
        )

    solution = solve(case.point(theta), case.point(right_hand_side))
    expected = np.linalg.solve(dense.hessian(theta), right_hand_side)
    np.testing.assert_allclose(case.theta(solution), expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("n_states", "n_syllables", "self_transitions"),
    slow_unless_rows(
        [(1, 2, True), (2, 2, False)], [(1, 3, False), (1, 2, True), (2, 2, False), (2, 2, True)]
    ),
)
@double_precision
def test_smallest_sizes_of_all_terms(n_states, n_syllables, self_transitions):
    """Terms without an entry; and syllables that have one successor each, with nothing to learn."""
    case = make_case(tuple(oracles.TERMS), self_transitions, n_states, n_syllables)
    terms, theta = case.terms, np.random.default_rng(12).standard_normal(case.n_params)
    reduced = emission_counts(terms, SufficientStats(None, case.counts))

    @jax.jit
    def solve(point):
        value, gradient, _ = evaluate(terms, reduced, PRIORS, point)
        solution = _find_mode(terms, reduced, terms.unstack(point))
        return value, gradient, terms.stack(solution.mode)

    value, gradient, mode = solve(case.point(theta))
    np.testing.assert_allclose(value, case.dense.value(theta), rtol=1e-12)
    np.testing.assert_allclose(case.theta(gradient), case.dense.gradient(theta), atol=1e-9)
    np.testing.assert_allclose(case.theta(mode), case.dense.mode(), atol=1e-8)


@double_precision
def test_states_are_renamed_in_every_term(case):
    rng, order = np.random.default_rng(13), np.array([2, 0, 1])
    params = case.params(rng.standard_normal(case.n_params))
    params = params._replace(trans_probs=rng.dirichlet(np.ones(N_STATES), N_STATES))
    renamed = draws.permute(params, order)
    np.testing.assert_array_equal(renamed.trans_probs, params.trans_probs[np.ix_(order, order)])
    before, after = logits_from_params(params), logits_from_params(renamed)
    for name, (by_state, _) in oracles.TERMS.items():
        expected, found = getattr(before, name), getattr(after, name)
        assert (found is None) == (expected is None)
        if found is not None:
            expected = expected[order] if by_state else expected
            np.testing.assert_allclose(found, expected, atol=1e-12)


# The estimator


@pytest.fixture(scope="module")
def data():
    return make_hhmm(
        8,
        120,
        2,
        4,
        emission_usage_sigma=1.0,
        emission_base_sigma=0.7,
        emission_biases_sigma=1.5,
        emission_interactions_sigma=0.8,
        trans_kappa=20.0,
        random_state=0,
    )


def _model_of(source, *, suffix=""):
    """The oracle of a model that is fitted, or was simulated from."""
    return oracles.ModelOfTerms(
        **{name: np.asarray(getattr(source, f"{name}{suffix}")) for name in PARAMETERS},
        self_transitions=True,
    )


def _estimator(**given):
    return EfficientHHMM(2, 4, **{"max_iter": 10, "init": "prior", "random_state": 0, **given})


SCALES = {
    "emission_usage_sigma": "auto",
    "emission_base_sigma": 0.6,
    "emission_biases_sigma": 1.1,
    "emission_interactions_sigma": 0.4,
}


@pytest.fixture(scope="module")
def drawn_fit(data):
    """A Gibbs fit of all terms, one of whose scales is learnt."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return _estimator(emission_sampler="laplace", n_chains=2, **SCALES).fit(data.X)


@pytest.mark.parametrize("algorithm", slow_unless(["gibbs"], ["gibbs", "em", "gradient"]))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_log_joint_of_a_fit_of_all_terms(data, drawn_fit, algorithm):
    """log p(x) by forward-backward in logarithms, and the prior by scipy, entry by entry."""
    if algorithm == "gibbs":
        model = drawn_fit
    else:
        scales = SCALES | {"emission_usage_sigma": 1.2}
        model = _estimator(algorithm=algorithm, **scales).fit(data.X)
    exact = _model_of(model, suffix="_")
    np.testing.assert_allclose(
        model.syllable_trans_probs_, oracles.syllable_trans_probs(exact), rtol=1e-10
    )
    scores = [oracles.LogForwardBackward(exact, x).log_likelihood for x in data.X]
    np.testing.assert_allclose(model.score_samples(data.X), scores, rtol=1e-9)
    prior = sum(
        scipy.stats.norm(0, model.sigmas_[name])
        .logpdf(getattr(model, name.replace("_sigma", "_")))
        .sum()
        for name in SCALES
    )
    prior += sum(
        scipy.stats.dirichlet(1 + 100 * unit).logpdf(row)
        for unit, row in zip(np.eye(2), exact.trans_probs, strict=True)
    )
    np.testing.assert_allclose(model.log_joint(data.X), sum(scores) + prior, rtol=1e-9)
    if algorithm == "gibbs":
        drawn = model.posterior_
        assert drawn.emission_usage.shape == (2, 5, 3)
        assert drawn.emission_interactions.shape == (2, 5, 1, 4, 3)
    else:
        np.testing.assert_allclose(model.log_joint_[0, -1], model.log_joint(data.X), rtol=1e-7)


@pytest.mark.parametrize("name", slow_unless(["base"], ["base", "biases", "usage"]))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_scale_of_zero_leaves_a_term_out(data, name):
    """The term is 0, and its prior is no part of the log joint."""
    given = {f"emission_{other}_sigma": 1.0 for other in oracles.TERMS if other != name}
    given["emission_sampler"] = "laplace"
    model = _estimator(**given, **{f"emission_{name}_sigma": 0}).fit(data.X)
    for other in oracles.TERMS:
        values = getattr(model, f"emission_{other}_")
        assert values.shape == oracles.param_shape(other, 2, 4)
        assert values.any() == (other != name)
    if name in ("usage", "interactions"):
        assert getattr(model.posterior_, f"emission_{name}") is None
    prior = sum(
        scipy.stats.norm(0, 1).logpdf(getattr(model, f"emission_{other}_")).sum()
        for other in oracles.TERMS
        if other != name
    )
    prior += sum(
        scipy.stats.dirichlet(1 + 100 * unit).logpdf(row)
        for unit, row in zip(np.eye(2), model.trans_probs_, strict=True)
    )
    expected = model.score_samples(data.X).sum() + prior
    np.testing.assert_allclose(model.log_joint(data.X), expected, rtol=1e-9)


def test_parameters_given_for_all_terms(data):
    given = {name: data[name] for name in PARAMETERS}
    model = EfficientHHMM.from_params(**given)
    for name, values in given.items():
        np.testing.assert_array_equal(getattr(model, f"{name}_"), values)
    exact = _model_of(data)
    scores = [oracles.LogForwardBackward(exact, x).log_likelihood for x in data.X]
    np.testing.assert_allclose(model.score_samples(data.X), scores, rtol=1e-9)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(data.X), model.predict_proba(data.X))
    without = {name: given[name] for name in ("emission_base", "emission_biases", "trans_probs")}
    assert not EfficientHHMM.from_params(**without).emission_interactions_.any()
    for name in ("emission_usage", "emission_interactions"):
        with pytest.raises(ValueError, match=f"{name} must have shape"):
            EfficientHHMM.from_params(**without, **{name: given[name][..., :-1]})
        with pytest.raises(ValueError, match=f"{name} must be finite"):
            EfficientHHMM.from_params(**without, **{name: given[name] * np.nan})


def test_what_else_there_is_to_say_of_further_terms(drawn_fit):
    """The summary of the draws, and what ArviZ gets, with a scale that is learnt."""
    model = drawn_fit
    drawn, summary = model.posterior_, posterior_summary(model)
    means = dict(zip(summary.name, summary.mean, strict=True))
    norms = np.sqrt(np.sum(drawn.emission_usage**2, axis=-1))
    np.testing.assert_allclose(means["emission_usage_norm"], norms.mean(), rtol=1e-9)
    norms = np.sqrt(np.sum(drawn.emission_interactions**2, axis=(-3, -2, -1)))
    np.testing.assert_allclose(means["emission_interactions_norm"], norms.mean(), rtol=1e-9)
    learnt = drawn.sigmas["emission_usage_sigma"]
    np.testing.assert_allclose(means["emission_usage_sigma"], learnt.mean(), rtol=1e-9)
    pytest.importorskip("arviz")
    posterior = model.to_arviz().posterior
    for name in ("emission_usage", "emission_interactions"):
        np.testing.assert_array_equal(posterior[name], getattr(drawn, name))
    np.testing.assert_array_equal(posterior["emission_usage_sigma"], learnt)


def _find_mode(terms, reduced, start):
    return Newton(50).solve(
        terms,
        reduced,
        PRIORS,
        start,
        tol=1e-20,
        right_hand_side=lambda _: jnp.zeros_like(terms.stack(start)),
    )


def _n_rows(terms):
    n_rows = 0
    for name in terms.names:
        by_state, by_from = oracles.TERMS[name]
        n_rows += (terms.n_states if by_state else 1) * (terms.n_syllables if by_from else 1)
    return n_rows
