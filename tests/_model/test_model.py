"""Bases, logits, prior, transitions and simulation against plain NumPy and scipy."""

import jax
import numpy as np
import pytest
import scipy.stats

from hhmm._inference import decode
from hhmm._model.emissions import logits_from_params, params_from_logits
from hhmm._model.simplex import helmert_basis
from hhmm._model.simulate import draw_params, simulate
from hhmm._model.terms import Terms
from hhmm._model.transitions import N_PROPOSALS, draw_trans_probs, log_gamma_draw
from hhmm._runtime.keys import key_from_random_state, to_normals, uniforms
from hhmm._runtime.precision import double_precision
from hhmm._types import Params, Priors
from hhmm.datasets import make_hhmm
from tests import oracles
from tests.marks import slow_unless

# chance that a correct sampler fails one of the statistical tests below; seeds are fixed
FALSE_ALARM = 1e-4


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_helmert_basis_is_the_definition(n):
    basis = helmert_basis(n)
    np.testing.assert_allclose(basis, oracles.helmert(n), atol=1e-15)
    np.testing.assert_allclose(basis.T @ basis, np.eye(n - 1), atol=1e-14)
    np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-14)


def test_helmert_basis_of_three_by_hand():
    expected = [[-1 / 2**0.5, -1 / 6**0.5], [1 / 2**0.5, -1 / 6**0.5], [0, 2 / 6**0.5]]
    np.testing.assert_allclose(helmert_basis(3), expected)


@pytest.mark.parametrize(("n_states", "n_syllables"), [(3, 5), (1, 4), (4, 1), (2, 2)])
def test_logits_round_trip_and_sum_to_zero(n_states, n_syllables):
    model = oracles.random_model(np.random.default_rng(0), n_states, n_syllables)
    logits = logits_from_params(Params(*model))
    for sums in (logits.base.sum(1), logits.biases.sum(0), logits.biases.sum(1)):
        np.testing.assert_allclose(sums, 0, atol=1e-13)
    params = params_from_logits(logits)
    for name in ("emission_base", "emission_biases"):
        np.testing.assert_allclose(params[name], getattr(model, name), atol=1e-13)
    # an isometry: the prior may be computed on either side
    np.testing.assert_allclose((logits.base**2).sum(), (model.emission_base**2).sum())
    np.testing.assert_allclose((logits.biases**2).sum(), (model.emission_biases**2).sum())


@double_precision
def test_syllable_probs_match_the_loop():
    model = oracles.random_model(np.random.default_rng(1), 3, 5)
    ours = decode.syllable_trans_probs(Params(*model), terms=Terms(3, 5))
    np.testing.assert_allclose(ours, oracles.syllable_trans_probs(model), rtol=1e-12)


@pytest.mark.parametrize("n_states", [1, 2, 4])
@pytest.mark.parametrize(("beta", "kappa"), [(0.5, 20.0), (4.0, 2.0)])
@double_precision
def test_log_prior_is_normalised(n_states, beta, kappa):
    model = oracles.random_model(np.random.default_rng(2), n_states, 5)
    priors, terms = _priors(0.7, 1.3, beta, kappa), Terms(n_states, 5)
    ours = decode.params_log_prior(Params(*model), priors, terms=terms)
    np.testing.assert_allclose(ours, oracles.log_prior(model, 0.7, 1.3, beta, kappa), rtol=1e-12)


@jax.jit
def _draw_log_gamma(key, alpha):
    uniform = uniforms(key, (2 * N_PROPOSALS + 1, len(alpha)))
    normal = to_normals(uniform[:N_PROPOSALS])
    return log_gamma_draw(normal, uniform[N_PROPOSALS:], alpha)


@pytest.mark.parametrize(
    "concentration",
    slow_unless([0.05, 0.5, 1.5, 20.0, 1e6], [0.05, 0.5, 1.0, 1.5, 20.0, 1e6]),
)
@double_precision
def test_gamma_draws_follow_the_gamma_distribution(concentration):
    """Kolmogorov-Smirnov at FALSE_ALARM; log scale, where small shapes spread.

    20,000 draws, and a million where most proposals are refused: one in twenty, so that only so
    many tell whether what decides of the next one is drawn anew.
    """
    n_draws = 1_000_000 if concentration == 1 else 20_000
    log_draws = _draw_log_gamma(key_from_random_state(3), np.full(n_draws, concentration))
    draws = np.exp(log_draws)
    p_value = scipy.stats.kstest(draws, scipy.stats.gamma(concentration).cdf).pvalue
    assert p_value > FALSE_ALARM


@double_precision
def test_transition_draws_have_dirichlet_moments():
    """Means and second moments within the z-score that FALSE_ALARM allows, Bonferroni."""
    counts = np.array([[50.0, 3, 0], [0, 0, 0], [2, 7, 11]])
    priors = _priors(1, 1, 0.5, 4.0)
    n_draws = 20_000
    keys = jax.random.split(key_from_random_state(4), n_draws)
    draw = jax.jit(jax.vmap(draw_trans_probs, in_axes=(0, None, None)))
    draws = np.asarray(draw(keys, counts, priors))
    np.testing.assert_allclose(draws.sum(-1), 1, rtol=1e-12)
    alpha = counts + 0.5 + 4.0 * np.eye(3)
    total = alpha.sum(1, keepdims=True)
    mean = alpha / total
    second = mean * (alpha + 1) / (total + 1)
    bound = scipy.stats.norm.isf(FALSE_ALARM / 36)
    for power, expected in [(1, mean), (2, second)]:
        values = draws**power
        z = (values.mean(0) - expected) / (values.std(0) / np.sqrt(n_draws))
        assert np.abs(z).max() < bound


@double_precision
def test_tiny_concentrations_give_finite_rows():
    draws = jax.jit(draw_trans_probs)(
        key_from_random_state(0), np.zeros((4, 4)), _priors(1, 1, 1e-6, 0.0)
    )
    np.testing.assert_allclose(np.asarray(draws).sum(-1), 1)


@pytest.fixture(scope="module")
def simulated():
    with jax.enable_x64(True):
        model = oracles.random_model(np.random.default_rng(6), 3, 4)
        syllables, states = simulate(
            key_from_random_state(5),
            Params(*model),
            terms=Terms(3, 4),
            n_sequences=2000,
            n_timesteps=30,
        )
        return model, np.asarray(syllables), np.asarray(states)


def test_simulation_starts_uniformly(simulated):
    model, syllables, states = simulated
    for values, n in [(states[0], model.n_states), (syllables[0], model.n_syllables)]:
        expected = np.full(n, len(values) / n)
        p_value = oracles.chi_square_p_value(np.bincount(values, minlength=n), expected)
        assert p_value > FALSE_ALARM


def test_simulation_follows_the_transition_probabilities(simulated):
    model, _, states = simulated
    for k in range(model.n_states):
        observed = np.bincount(states[1:][states[:-1] == k], minlength=model.n_states)
        expected = observed.sum() * model.trans_probs[k]
        assert oracles.chi_square_p_value(observed, expected) > FALSE_ALARM


def test_simulation_follows_the_syllable_probabilities(simulated):
    """The syllable of a timestep depends on the state of that same timestep."""
    model, syllables, states = simulated
    probs = oracles.syllable_trans_probs(model)
    for k, i in np.ndindex(model.n_states, model.n_syllables):
        here = (states[1:] == k) & (syllables[:-1] == i)
        observed = np.bincount(syllables[1:][here], minlength=model.n_syllables)
        expected = observed.sum() * probs[k, i]
        assert oracles.chi_square_p_value(observed, expected) > FALSE_ALARM


@double_precision
def test_prior_draws_have_the_prior_spread():
    params = draw_params(
        key_from_random_state(1), _priors(0.5, 3.0, 1.0, 100.0), terms=Terms(41, 30)
    )
    for values, sigma in [(params.emission_base, 0.5), (params.emission_biases, 3.0)]:
        p_value = scipy.stats.kstest(np.ravel(values), scipy.stats.norm(0, sigma).cdf).pvalue
        assert p_value > FALSE_ALARM
    staying = np.diag(params.trans_probs)
    p_value = scipy.stats.kstest(staying, scipy.stats.beta(101, 40).cdf).pvalue
    assert p_value > FALSE_ALARM


def test_make_hhmm_draws_states_that_its_parameters_explain():
    """The likelihood of the drawn states under the returned parameters is the expected one."""
    data = make_hhmm(50, 200, 3, 6, random_state=3)
    model = oracles.Model(data.emission_base, data.emission_biases, data.trans_probs)
    probs = oracles.syllable_trans_probs(model)
    trans, counts = oracles.count_transitions(data.X, data.states, 3, 6)
    for observed, expected_probs in [(trans, data.trans_probs), (counts, probs)]:
        totals = observed.sum(-1, keepdims=True)
        rows = zip(
            observed.reshape(-1, observed.shape[-1]),
            (totals * expected_probs).reshape(-1, observed.shape[-1]),
            strict=True,
        )
        for row, expected in rows:
            assert oracles.chi_square_p_value(row, expected) > FALSE_ALARM


def test_make_hhmm_repeats_with_its_seed():
    a, b, c = (make_hhmm(50, 200, 3, 6, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.X, b.X)
    assert (a.X != c.X).any()
    assert a.X.dtype == a.states.dtype == np.int32
    assert a.X.shape == a.states.shape == (50, 200)


def _priors(base, biases, beta, kappa):
    return Priors(*map(np.float64, (base, biases, beta, kappa)))
