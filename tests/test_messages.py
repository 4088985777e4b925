"""Message passing against enumeration over all paths, and against two outside implementations.

Every test runs for every backend: a new one is a row of ``BACKENDS``.
"""

import functools

import hmmlearn._hmmc
import jax
import numpy as np
import pytest

from hhmm import _sequences
from hhmm._inference import decode
from hhmm._messages import BACKENDS
from hhmm._model.emissions import emission_factors, logits_from_params
from hhmm._precision import double_precision
from hhmm._random import key_from_random_state
from hhmm._types import Params
from tests import oracles

# chance that a correct sampler fails one of the statistical tests below; seeds are fixed
FALSE_ALARM = 1e-4

# plain, missing inside, missing at the start, one timestep: all in one packing
SEQUENCES = [
    np.array(x, np.int32)
    for x in (
        [0, 1, 2, 0, 1, 1],
        [2, 2, 1],
        [1, 0, 0, 2],
        [0, -1, 2, 0, -1, 2],
        [0, -1, -1, 1, 2],
        [2, -1, 0],
        [-1, 1, 2],
        [-1, -1, 1, 2],
        [2],
        [1],
        [0, 2],
    )
]
MODELS = {
    "two states": (2, False),
    "three states": (3, False),
    "hard zeros": (3, True),
    "one state": (1, False),
}


@pytest.fixture(params=sorted(BACKENDS))
def backend(request):
    return request.param


@pytest.fixture(params=sorted(MODELS), scope="module")
def model(request):
    n_states, zeros = MODELS[request.param]
    return oracles.random_model(np.random.default_rng(5), n_states, 3, sigma=1.5, zeros=zeros)


def test_filter_and_log_likelihood_match_enumeration(backend, model):
    filtered, index = _run(decode.forward_filter, backend, model, SEQUENCES)
    log_normalisers, _ = _run(decode.log_normalisers, backend, model, SEQUENCES)
    log_likelihoods = _sequences.sum_by_sequence(log_normalisers, index)
    for i, x in enumerate(SEQUENCES):
        np.testing.assert_allclose(
            _cut(filtered, index, i), oracles.filtered(model, x), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(
            log_likelihoods[i], oracles.log_likelihood(model, x), rtol=1e-6, atol=1e-6
        )


def test_smoother_matches_enumeration(backend, model):
    smoothed, index = _run(decode.smooth, backend, model, SEQUENCES)
    for i, x in enumerate(SEQUENCES):
        np.testing.assert_allclose(
            _cut(smoothed, index, i), oracles.smoothed(model, x), rtol=1e-5, atol=1e-6
        )


def test_viterbi_matches_enumeration(backend, model):
    states, log_probs, index = _run(decode.viterbi, backend, model, SEQUENCES)
    log_probs = _sequences.sum_by_sequence(log_probs, index)
    for i, x in enumerate(SEQUENCES):
        paths, joint = oracles.path_probs(model, x)
        np.testing.assert_allclose(log_probs[i], np.log(joint.max()), rtol=1e-12, atol=1e-12)
        path = _cut(states, index, i)
        found = joint[(paths == path).all(axis=1)][0]
        np.testing.assert_allclose(found, joint.max(), rtol=1e-6)


def test_sampler_log_likelihood_is_the_sum_over_sequences(backend, model):
    log_likelihood = _sample(backend, model, SEQUENCES, seed=0)[1]
    expected = sum(oracles.log_likelihood(model, x) for x in SEQUENCES)
    np.testing.assert_allclose(log_likelihood, expected, rtol=1e-6, atol=1e-6)


def test_expected_counts_match_enumeration(backend, model):
    stats, log_likelihood = _expected_counts(backend, model, SEQUENCES)
    trans, syllables = oracles.expected_counts(model, SEQUENCES)
    np.testing.assert_allclose(stats.state_trans_counts, trans, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(stats.syllable_trans_counts, syllables, rtol=1e-6, atol=2e-6)
    expected = sum(oracles.log_likelihood(model, x) for x in SEQUENCES)
    np.testing.assert_allclose(log_likelihood, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["two states", "three states", "hard zeros"])
def test_sampler_draws_whole_paths_from_their_posterior(backend, name):
    """Joint frequencies of all K^T paths, not only marginals; chi-square at FALSE_ALARM.

    Short sequences follow others in their lanes: the draw of one must not leak into the next.
    """
    n_states, zeros = MODELS[name]
    model = oracles.random_model(np.random.default_rng(7), n_states, 3, zeros=zeros)
    n_draws = 20_000
    kinds = [
        np.array(x, np.int32) for x in ([0, 1, 1, 2], [0, -1, 2, 2], [-1, 1, 0, 2], [2, 1], [1])
    ]
    sequences = [x for x in kinds for _ in range(n_draws)]
    states, _, index = _sample(backend, model, sequences, seed=1)
    assert index.offsets[-1] > 0
    for i, x in enumerate(kinds):
        copies = np.arange(i * n_draws, (i + 1) * n_draws)[:, None]
        rows = index.offsets[copies] + np.arange(len(x))
        code = states[rows, index.lanes[copies]] @ n_states ** np.arange(len(x))[::-1]
        _, joint = oracles.path_probs(model, x)
        observed = np.bincount(code, minlength=n_states ** len(x))
        p_value = oracles.chi_square_p_value(observed, n_draws * joint / joint.sum())
        assert p_value > FALSE_ALARM, x


def test_sequences_sharing_a_lane_do_not_know_of_each_other(backend):
    """A short sequence gives the same whether it follows another one in a lane or stands alone."""
    rng = np.random.default_rng(3)
    model = oracles.random_model(rng, 3, 4)
    long, short, other = (rng.integers(0, 4, n).astype(np.int32) for n in (40, 11, 13))
    together, index = _run(decode.smooth, backend, model, [long, short, other])
    assert index.lanes[1] == index.lanes[2]
    alone, alone_index = _run(decode.smooth, backend, model, [short])
    np.testing.assert_allclose(_cut(together, index, 1), _cut(alone, alone_index, 0), atol=1e-6)


def test_rare_syllables_do_not_underflow(backend):
    """A timestep whose probability is below float32's range (exp(-87)) in every state."""
    rng = np.random.default_rng(0)
    model = oracles.random_model(rng, 2, 3, sigma=150.0)
    sequences = [np.array([i, j], np.int32) for i in range(3) for j in range(3)]
    log_normalisers, index = _run(decode.log_normalisers, backend, model, sequences)
    log_likelihoods = _sequences.sum_by_sequence(log_normalisers, index)
    expected = [oracles.log_likelihood(model, x) for x in sequences]
    assert min(expected) < -88
    np.testing.assert_allclose(log_likelihoods, expected, rtol=1e-6)


@pytest.mark.parametrize("n_states", [2, 7])
def test_forward_and_viterbi_match_hmmlearn(backend, n_states):
    """hmmlearn's compiled kernels, on the emissions of a random model, 400 timesteps."""
    rng = np.random.default_rng(n_states)
    model = oracles.random_model(rng, n_states, 6)
    sequences = [rng.integers(0, 6, 400).astype(np.int32) for _ in range(3)]
    log_normalisers, index = _run(decode.log_normalisers, backend, model, sequences)
    states, log_probs, _ = _run(decode.viterbi, backend, model, sequences)
    start = np.full(n_states, 1 / n_states)
    for i, x in enumerate(sequences):
        emission = _emission_by_timestep(model, x)
        log_likelihood, *_ = hmmlearn._hmmc.forward_scaling(start, model.trans_probs, emission)
        best, path = hmmlearn._hmmc.viterbi(start, model.trans_probs, np.log(emission))
        ours = _sequences.sum_by_sequence(log_normalisers, index)[i]
        np.testing.assert_allclose(ours, log_likelihood, rtol=1e-6)
        ours = _sequences.sum_by_sequence(log_probs, index)[i]
        np.testing.assert_allclose(ours, best, rtol=1e-9)
        np.testing.assert_array_equal(_cut(states, index, i), path)


def test_smoother_matches_dynamax(backend):
    inference = pytest.importorskip("dynamax.hidden_markov_model.inference")
    rng = np.random.default_rng(2)
    model = oracles.random_model(rng, 4, 5)
    x = rng.integers(0, 5, 300).astype(np.int32)
    smoothed, index = _run(decode.smooth, backend, model, [x])
    with jax.enable_x64(True):
        posterior = inference.hmm_smoother(
            np.full(4, 0.25), model.trans_probs, np.log(_emission_by_timestep(model, x))
        )
        theirs = np.asarray(posterior.smoothed_probs)
    np.testing.assert_allclose(_cut(smoothed, index, 0), theirs, atol=2e-6)


@double_precision
def _run(kernel, backend, model, sequences):
    """Run a compiled entry point; NumPy results and the index of the packing."""
    packed, index = _sequences.pack(sequences, model.n_syllables)
    results = kernel(Params(*model), packed, message_passing=backend)
    if not isinstance(results, tuple):
        results = (results,)
    return *(np.asarray(result) for result in results), index


@double_precision
def _sample(backend, model, sequences, *, seed):
    packed, index = _sequences.pack(sequences, model.n_syllables)
    states, _, log_likelihood = _compiled_sample(backend)(
        key_from_random_state(seed), Params(*model), packed
    )
    return np.asarray(states), float(log_likelihood), index


@double_precision
def _expected_counts(backend, model, sequences):
    packed, _ = _sequences.pack(sequences, model.n_syllables)
    return jax.tree.map(np.asarray, _compiled_expected_counts(backend)(Params(*model), packed))


@functools.cache
def _compiled_expected_counts(backend):
    @jax.jit
    def expected_counts(params, packed):
        factors = emission_factors(logits_from_params(*params[:2]))
        return BACKENDS[backend].expected_counts(factors, params.trans_probs, packed)

    return expected_counts


@functools.cache
def _compiled_sample(backend):
    @jax.jit
    def sample(key, params, packed):
        factors = emission_factors(logits_from_params(*params[:2]))
        return BACKENDS[backend].sample(key, factors, params.trans_probs, packed)

    return sample


def _cut(packed, index, i):
    """Sequence i of a packed result, (n_timesteps,) or (n_timesteps, n_values)."""
    rows = slice(index.offsets[i], index.offsets[i] + index.lengths[i])
    return packed[rows, ..., index.lanes[i]]


def _emission_by_timestep(model, x):
    """p(x[t] | x[t-1], z[t]) of a fully observed sequence, (T, K); 1 at the first timestep."""
    probs = oracles.syllable_trans_probs(model)
    emission = np.ones((len(x), model.n_states))
    emission[1:] = probs[:, x[:-1], x[1:]].T
    return emission
