"""The parallel backend beyond what every backend is tested for in `test_messages`."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hhmm._inference import choose, decode
from hhmm._inference.prepare import prepare
from hhmm._messages import (
    associative,
    compressed,
    parallel,
    parallel_runs,
    run_recursion,
    scaled,
    sequential,
)
from hhmm._model.emissions import emission_factors, logits_from_params
from hhmm._model.terms import Terms
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._sequences import lanes, runs
from hhmm._sequences.read import Layout
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Params
from tests import oracles
from tests.marks import slow_unless, slow_unless_rows

SEQUENCES = [
    np.array(x, np.int32)
    for x in ([2, 0, 1, 1, -1, 0, 2], [0, 1, 2, 0, 1], [2, 2], [-1, 1, 0, 2], [0, -1, 2], [1])
]
# in runs of at most two timesteps
HELD = [
    np.array(x, np.int32)
    for x in (
        [0, 1, 1, 0, 2, 1, 1],
        [0, 0, 0, 1, 1, 1, 1],
        [1, 2, 2, -1, -1, -1, 0],
        [2, 2, 2, 2],
        [0, 2, 2, 1],
        [1],
    )
]


@pytest.mark.parametrize(
    ("zeros", "capacity", "rows", "rows_float64"),
    slow_unless_rows(
        [(True, 6, 4, 3)],
        [(False, 1, 1, 1), (True, 6, 4, 3)],
    ),
)
def test_several_blocks_match_enumeration(monkeypatch, zeros, capacity, rows, rows_float64):
    """Eight timesteps in blocks of one; and of four, or three, with the last one filled up."""
    model = oracles.random_model(np.random.default_rng(5), 3, 3, sigma=1.5, zeros=zeros)
    n_steps, n_lanes = lanes.pack(SEQUENCES, 3)[0].pairs.shape
    monkeypatch.setattr(associative, "BLOCK_BYTES", capacity * n_lanes * 3 * 3 * 4)
    assert n_steps == 8
    assert associative.rows_of_block(n_steps, n_lanes, 3, np.float32) == rows
    assert associative.rows_of_block(n_steps, n_lanes, 3, np.float64) == rows_float64
    packed, index = lanes.pack(SEQUENCES, 3)
    results = _run_all(parallel, model, packed, seed=3)
    filtered, log_normalisers, smoothed, path, _, _, (stats, log_likelihood) = results
    log_likelihoods = lanes.sum_by_sequence([log_normalisers], index)
    for i, x in enumerate(SEQUENCES):
        for values, oracle in ((filtered, oracles.filtered), (smoothed, oracles.smoothed)):
            values = _cut(values, index, i)
            np.testing.assert_allclose(values, oracle(model, x), rtol=1e-5, atol=1e-6)
        paths, joint = oracles.path_probs(model, x)
        np.testing.assert_allclose(log_likelihoods[i], np.log(joint.sum()), rtol=1e-6, atol=1e-6)
        found = joint[(paths == _cut(path, index, i)).all(axis=1)][0]
        np.testing.assert_allclose(found, joint.max(), rtol=1e-6)
    trans, syllables = oracles.expected_counts(model, SEQUENCES)
    np.testing.assert_allclose(stats.state_trans_counts, trans, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(stats.syllable_trans_counts, syllables, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(log_likelihood, log_likelihoods.sum(), rtol=1e-6)


@pytest.mark.parametrize("block_bytes", slow_unless([4_000], [associative.BLOCK_BYTES, 4_000]))
def test_equal_keys_give_the_draw_of_sequential(monkeypatch, block_bytes):
    """In one block, and in blocks of 20 timesteps: rounding decides one state in a million."""
    monkeypatch.setattr(associative, "BLOCK_BYTES", block_bytes)
    rng = np.random.default_rng(6)
    model = oracles.random_model(rng, 4, 5)
    sequences = [rng.integers(-1, 5, n).astype(np.int32) for n in (151, 149, 90, 41, 7, 1)]
    packed, index = lanes.pack(sequences, 5)
    ours, _ = _sample(parallel, model, packed, seed=2)
    theirs, _ = _sample(sequential, model, packed, seed=2)
    for i in range(len(sequences)):
        np.testing.assert_array_equal(_cut(ours, index, i), _cut(theirs, index, i))


@pytest.fixture(scope="module")
def over_runs():
    """A model with impossible transitions, data in runs, and what `compressed` draws of it."""
    model = oracles.random_model(np.random.default_rng(5), 3, 3, sigma=1.5, zeros=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose, "choose_n_powers", lambda *_: 2)
        patch.setattr(choose, "MIN_MEAN_RUN_PARALLEL", 0)
        patch.setattr(lanes, "SMALL", 0)  # six runs are not rounded up to eight
        prepared = prepare(RunLengths.of(HELD * 50), Terms(3, 3), "parallel", every_timestep=True)
    return model, prepared, _sample(compressed, model, prepared.data, seed=4)


@pytest.mark.parametrize(
    ("capacity", "rows", "rows_float64"), slow_unless_rows([(4, 3, 2)], [(1, 1, 1), (4, 3, 2)])
)
def test_several_blocks_of_runs(monkeypatch, over_runs, capacity, rows, rows_float64):
    """Everything as in enumeration, and the draw that the key gives in `compressed`.

    Six runs in blocks of one; and of four, or three, with the last one filled up.
    """
    model, prepared, (expected, expected_counts) = over_runs
    runs = prepared.data.runs
    n_runs, n_lanes = runs.pairs.shape
    monkeypatch.setattr(associative, "BLOCK_BYTES", capacity * n_lanes * 3 * 3 * 4)
    assert n_runs == 6
    assert associative.rows_of_block(n_runs, n_lanes, 3, np.float32) == rows
    assert associative.rows_of_block(n_runs, n_lanes, 3, np.float64) == rows_float64
    for function in ("forward", "draw_ends", "backward", "best_ends"):
        monkeypatch.setattr(run_recursion, function, None)  # one run after the other
    found = _run_all(parallel_runs, model, prepared.data, seed=4)
    for ours, theirs in zip(found.states[:2], expected[:2], strict=True):
        np.testing.assert_array_equal(ours[runs.inside], theirs[runs.inside])
    np.testing.assert_array_equal(found.states.key_inside, expected.key_inside)
    jax.tree.map(np.testing.assert_array_equal, found.counts, expected_counts)

    layout = Layout(False, prepared.timesteps.lengths)
    log_likelihoods = prepared.sum_terms([found.log_normalisers])
    filtered, smoothed, path = (
        prepared.unpack([values], layout, fill=-1)
        for values in (found.filtered, found.smoothed, found.path)
    )
    for i, x in enumerate(HELD):
        np.testing.assert_allclose(filtered[i], oracles.filtered(model, x), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(smoothed[i], oracles.smoothed(model, x), rtol=1e-5, atol=1e-6)
        paths, joint = oracles.path_probs(model, x)
        np.testing.assert_allclose(log_likelihoods[i], np.log(joint.sum()), rtol=1e-6, atol=1e-6)
        best = joint[(paths == path[i]).all(axis=1)][0]
        np.testing.assert_allclose(best, joint.max(), rtol=1e-6)
    stats, log_likelihood = found.expected_counts
    trans, syllables = oracles.expected_counts(model, HELD)
    np.testing.assert_allclose(stats.state_trans_counts, 50 * trans, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(stats.syllable_trans_counts, 50 * syllables, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(log_likelihood, log_likelihoods.sum(), rtol=1e-6)


@double_precision
def test_the_best_path_goes_on_from_block_to_block(monkeypatch):
    """One sequence of many runs, in blocks of several: each begins where the last one ended."""
    rng = np.random.default_rng(0)
    # what is known of the past counts for more than a syllable
    model = oracles.random_model(rng, 3, 3, sigma=2.0)
    model = model._replace(trans_probs=np.full((3, 3), 0.02) + 0.94 * np.eye(3))
    x = np.repeat(rng.integers(0, 3, 200), rng.integers(1, 4, 200)).astype(np.int32)
    monkeypatch.setattr(choose, "MIN_MEAN_RUN_PARALLEL", 0)
    monkeypatch.setattr(runs, "MAX_PIECE_LENGTH", 4)  # within a piece all is found anew
    prepared = prepare(RunLengths.of([x]), Terms(3, 3), "parallel", every_timestep=True)
    n_lanes = prepared.data.runs.pairs.shape[1]
    monkeypatch.setattr(associative, "BLOCK_BYTES", 8 * n_lanes * 3 * 3 * 8)
    states = decode.viterbi(Params(*model), prepared)
    states = prepared.unpack(states, Layout(False, prepared.timesteps.lengths), fill=-1)[0]
    assert np.count_nonzero(np.diff(states)) > 20
    truth = oracles.LogForwardBackward(model, x)
    np.testing.assert_allclose(truth.log_prob(states), truth.best_log_prob, rtol=1e-6)


@pytest.mark.parametrize("n_states", [3, scaled.WRITTEN_OUT_STATES + 1])
def test_products_of_scaled_matrices_match_log_space(n_states):
    """Scales of hundreds of nats either way, impossible entries and impossible rows."""
    rng = np.random.default_rng(n_states)
    relative = rng.random((6, n_states, n_states)) ** 20
    relative[rng.random(relative.shape) < 0.3] = 0
    relative[:, 1] = 0
    relative /= np.maximum(relative.max(axis=-1, keepdims=True), 1e-30)
    log_scale = np.where(relative.any(axis=-1), rng.normal(0, 300, relative.shape[:2]), -np.inf)
    message = rng.dirichlet(np.full(n_states, 0.1), 3)
    message[0] = np.arange(n_states) == 1  # leaves by the impossible row
    relative, message = relative.astype(np.float32), message.astype(np.float32)
    with np.errstate(divide="ignore"):
        log_matrix = np.log(relative.astype(float)) + log_scale[..., None]
        log_message = np.log(message.astype(float))
    first, second = log_matrix[::2], log_matrix[1::2]
    log_product = np.logaddexp.reduce(first[..., None] + second[:, None], axis=2)
    log_applied = np.logaddexp.reduce(log_message[..., None] + second, axis=1)
    log_normaliser = np.logaddexp.reduce(log_applied, axis=-1)

    with jax.enable_x64(True):
        matrix = scaled.ScaledMatrix(jnp.asarray(relative), jnp.asarray(log_scale))
        first, second = (jax.tree.map(lambda x, i=i: x[i::2], matrix) for i in (0, 1))
        product = jax.tree.map(np.asarray, scaled.product(first, second))
        applied, normaliser = scaled.apply(jnp.asarray(message), second)
    assert product.relative.dtype == np.float32
    possible = np.isfinite(log_product).any(axis=-1)
    assert not possible.all()
    np.testing.assert_array_equal(product.relative.max(axis=-1), possible)
    np.testing.assert_array_equal(np.isfinite(product.log_scale), possible)
    log_product = log_product[possible]
    highest = log_product.max(axis=-1)
    np.testing.assert_allclose(product.log_scale[possible], highest, rtol=1e-9, atol=1e-5)
    oracle = np.exp(log_product - highest[:, None])
    np.testing.assert_allclose(product.relative[possible], oracle, rtol=1e-5, atol=1e-30)
    assert np.isneginf(log_normaliser[0])
    np.testing.assert_allclose(normaliser, log_normaliser, rtol=1e-6)
    np.testing.assert_array_equal(applied[0], 0)
    oracle = np.exp(log_applied[1:] - log_normaliser[1:, None])
    np.testing.assert_allclose(applied[1:], oracle, rtol=1e-5, atol=1e-30)


class Results(NamedTuple):
    """What a backend gives."""

    filtered: Any
    log_normalisers: Any
    smoothed: Any
    path: Any
    states: Any
    counts: Any
    expected_counts: Any


@double_precision
def _run_all(backend, model, data, *, seed):
    """Everything a backend module gives, compiled anew; NumPy results."""

    terms = Terms(model.n_states, model.n_syllables)

    @jax.jit
    def run_all(key, params, data):
        data = emission_factors(logits_from_params(params), terms), params.trans_probs, data
        return Results(
            backend.forward_filter(*data),
            backend.log_normalisers(*data),
            backend.smooth(*data),
            backend.viterbi(*data),
            *backend.sample(key, *data)[:2],
            backend.expected_counts(*data),
        )

    results = run_all(key_from_random_state(seed), Params(*model), data)
    return jax.tree.map(np.asarray, results)


@double_precision
def _sample(backend, model, data, *, seed):
    """States that a backend module draws, and their counts, compiled anew; NumPy results."""

    terms = Terms(model.n_states, model.n_syllables)

    @jax.jit
    def sample(key, params, data):
        factors = emission_factors(logits_from_params(params), terms)
        return backend.sample(key, factors, params.trans_probs, data)[:2]

    results = sample(key_from_random_state(seed), Params(*model), data)
    return jax.tree.map(np.asarray, results)


def _cut(packed, index, i):
    """Sequence i of a packed result, (n_timesteps,) or (n_timesteps, n_values)."""
    rows = slice(index.offsets[i], index.offsets[i] + index.lengths[i])
    return packed[rows, ..., index.lanes[i]]
