"""Message passing against enumeration over all paths, and against hmmlearn.

Every test runs for every backend: a new one is a row of ``backends.VARIANTS``. Each variant is
compiled anew for each kernel. So all models here have as many states and syllables, and of the
backends over runs the quick tests take one where syllables that follow themselves are emissions,
and the other, with runs that are cut, where they are held. What else is quick: `test_groups` takes
compressed runs that are cut, and `test_parallel` runs of emissions in blocks.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hhmm._inference import choose, decode
from hhmm._inference.prepare import prepare
from hhmm._messages import BACKENDS, sequential
from hhmm._model.emissions import emission_factors, logits_from_params
from hhmm._runtime.precision import double_precision
from hhmm._sequences import lanes, runs
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Params
from tests import oracles
from tests._messages import backends
from tests.marks import slow_unless, slow_unless_rows

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
        # runs: at the start, in the middle, after and before missing timesteps
        [0, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 2, 2],
        [2, 0, 0, 0, 0, 1],
        [1, 1, 1, -1, -1, -1, 0, 0],
        [-1, -1, -1, 2, 2, 2, 2, 1],
        [0, 0, -1, 0, 0, 0, 0, 1],
        [1, 2, 2, -1, -1, 2, 2, 0],  # a hole, and the same syllable after it
    )
]


def _random_model(n_states, *, zeros):
    return oracles.random_model(np.random.default_rng(5), n_states, 3, sigma=1.5, zeros=zeros)


def _model_that_holds(*, zeros):
    """A model of all terms whose syllables never follow themselves: they are held."""
    rng = np.random.default_rng(5)
    return oracles.random_model_of_terms(rng, 3, 3, self_transitions=False, sigma=1.5, zeros=zeros)


def _model_with_a_syllable_that_a_state_cannot_hold():
    """Nothing leads on from the state before it: that row of a power is 0."""
    model = oracles.random_model(np.random.default_rng(5), 3, 3)
    logits = np.log(oracles.syllable_trans_probs(model))
    logits[1, 0, 0] -= 250
    logits -= logits.mean(axis=2, keepdims=True)
    q_s, q_k = oracles.helmert(3), oracles.helmert(3)
    return oracles.ModelOfTerms(
        emission_base=logits.mean(axis=0) @ q_s,
        emission_biases=np.zeros((2, 2)),
        trans_probs=np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        emission_usage=np.zeros(2),
        emission_interactions=np.einsum("kl,kij->lij", q_k, logits) @ q_s,
        self_transitions=True,
    )


MODELS = {
    "three states": functools.partial(_random_model, 3, zeros=False),
    "hard zeros": functools.partial(_random_model, 3, zeros=True),
    "one state": functools.partial(_random_model, 1, zeros=False),
    "cannot hold": _model_with_a_syllable_that_a_state_cannot_hold,
    "all terms, held": functools.partial(_model_that_holds, zeros=False),
    "hard zeros, held": functools.partial(_model_that_holds, zeros=True),
}
HELD = [name for name in MODELS if name.endswith("held")]
EMITTED = ["three states", "hard zeros", "cannot hold"]
VARIANTS = sorted(backends.VARIANTS)
# `sequential` and `parallel` compile the same kernels for both
QUICK = [
    *[
        (variant, model)
        for variant in ("sequential", "parallel", "compressed")
        for model in EMITTED
    ],
    *[
        (variant, model)
        for variant in ("sequential", "parallel", "parallel, runs cut")
        for model in HELD
    ],
]
OF_ONE_STATE = ("sequential", "parallel, runs cut", "compressed, cut")
CASES = [
    (variant, model)
    for variant in VARIANTS
    for model in MODELS
    if model != "one state" or variant in OF_ONE_STATE
]


def test_every_backend_is_tested():
    model = _random_model(3, zeros=False)
    variants = map(backends.variant, backends.VARIANTS)
    assert {variant.prepare(SEQUENCES, model).backend for variant in variants} == set(BACKENDS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_sequences_share_lanes(variant):
    """So that what is compared with enumeration shows whether one leaks into the next."""
    prepared = backends.variant(variant).prepare(SEQUENCES, _random_model(3, zeros=False))
    assert len(set(prepared.likelihood_terms.lanes)) <= len(SEQUENCES) - 5


# for a witness from outside, and long sequences: what is cut is compared with enumeration
WHOLE = sorted(name for name in backends.VARIANTS if "cut" not in name)


@pytest.fixture(params=slow_unless(QUICK, CASES), ids="-".join)
def case(request):
    """A backend, a model, and what enumeration says of it."""
    variant, name = request.param
    return backends.variant(variant), MODELS[name](), _truth(name)


class Truth(NamedTuple):
    """Enumeration over all paths of `SEQUENCES`."""

    filtered: list
    smoothed: list
    paths: list  # and their joint probabilities
    log_likelihoods: list
    expected_counts: tuple


@functools.cache
def _truth(name):
    """Enumerate once for all backends."""
    model = MODELS[name]()
    return Truth(
        *(
            [function(model, x) for x in SEQUENCES]
            for function in (
                oracles.filtered,
                oracles.smoothed,
                oracles.path_probs,
                oracles.log_likelihood,
            )
        ),
        oracles.expected_counts(model, SEQUENCES),
    )


def test_filter_and_log_likelihood_match_enumeration(case):
    backend, model, truth = case
    filtered = backends.by_timestep(decode.forward_filter, backend, model, SEQUENCES)
    for ours, expected in zip(filtered, truth.filtered, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)
    log_likelihoods = backends.log_likelihoods(backend, model, SEQUENCES)
    np.testing.assert_allclose(log_likelihoods, truth.log_likelihoods, rtol=1e-10, atol=1e-10)


def test_smoother_matches_enumeration(case):
    backend, model, truth = case
    smoothed = backends.by_timestep(decode.smooth, backend, model, SEQUENCES)
    for ours, expected in zip(smoothed, truth.smoothed, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_viterbi_matches_enumeration(case):
    backend, model, truth = case
    states, log_probs = backends.by_timestep(backends.best_path, backend, model, SEQUENCES)
    for path, log_prob, (paths, joint) in zip(states, log_probs, truth.paths, strict=True):
        np.testing.assert_allclose(log_prob.sum(), np.log(joint.max()), rtol=1e-12, atol=1e-12)
        found = joint[(paths == path).all(axis=1)][0]
        np.testing.assert_allclose(found, joint.max(), rtol=1e-6)


def test_expected_counts_match_enumeration(case):
    backend, model, truth = case
    stats, log_likelihood = backends.expected_counts(backend, model, SEQUENCES)
    trans, syllables = truth.expected_counts
    np.testing.assert_allclose(stats.state_trans_counts, trans, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(stats.syllable_trans_counts, syllables, rtol=1e-6, atol=2e-6)
    if not model.self_transitions:
        np.testing.assert_array_equal(np.einsum("kii->ki", stats.syllable_trans_counts), 0)
    np.testing.assert_allclose(log_likelihood, sum(truth.log_likelihoods), rtol=1e-6, atol=1e-6)


# each is drawn for many times, and followed by others in its lane
DRAWN = [
    np.array(x, np.int32)
    for x in (
        [0, 0, 1, 1, 1, 2],
        [0, -1, 0, 0, 2],
        [-1, 1, 0, 2],
        [2, 1],
        [1],
        [0, 0, 0, 0, 0, 0],
        [1, 2, 2, 2, 2, 2, 0],
        [1, -1, -1, -1, -1, 0],
    )
]
N_DRAWS = 3000
QUICK_DRAWS = [pair for pair in QUICK if pair[1] in ("hard zeros", HELD[0])]
# over timesteps, no state has to hold a syllable
SLOW_DRAWS = [
    (variant, model)
    for variant in ("parallel, runs", "parallel, runs cut", "compressed", "compressed, cut")
    for model in ("hard zeros", "cannot hold", *HELD)
    if (variant, model) not in QUICK_DRAWS
]


@pytest.mark.parametrize(
    ("variant", "name"), slow_unless_rows(QUICK_DRAWS, [*QUICK_DRAWS, *SLOW_DRAWS])
)
def test_sampler_draws_whole_paths_from_their_posterior(variant, name):
    """Joint frequencies of all K^T paths, not only marginals; chi-square at FALSE_ALARM.

    Short sequences follow others in their lanes: the draw of one must not leak into the next. The
    counts are those of the states, and the likelihood is the one of the syllables.
    """
    model = MODELS[name]()
    sequences = SEQUENCES + [x for x in DRAWN for _ in range(N_DRAWS)]
    states, stats, log_likelihood = backends.sample(
        backends.variant(variant), model, sequences, seed=1
    )
    trans, syllables = oracles.count_transitions(
        SEQUENCES,
        states[: len(SEQUENCES)],
        model.n_states,
        3,
        self_transitions=model.self_transitions,
    )
    expected = sum(_truth(name).log_likelihoods)
    for i, x in enumerate(DRAWN):
        copies = np.stack(states[len(SEQUENCES) + i * N_DRAWS :][:N_DRAWS])
        for t in range(1, len(x)):
            np.add.at(trans, (copies[:, t - 1], copies[:, t]), 1)
            if oracles.emits(x, t, self_transitions=model.self_transitions):
                np.add.at(syllables, (copies[:, t], x[t - 1], x[t]), 1)
        code = copies @ model.n_states ** np.arange(len(x))[::-1]
        _, joint = oracles.path_probs(model, x)
        expected += N_DRAWS * np.log(joint.sum())
        observed = np.bincount(code, minlength=model.n_states ** len(x))
        p_value = oracles.chi_square_p_value(observed, N_DRAWS * joint / joint.sum())
        assert p_value > FALSE_ALARM, x
    np.testing.assert_allclose(log_likelihood, expected, rtol=1e-6)
    np.testing.assert_array_equal(stats.state_trans_counts, trans)
    np.testing.assert_array_equal(stats.syllable_trans_counts, syllables)


@double_precision
def test_expected_counts_by_blocks_match_enumeration(monkeypatch):
    """Blocks that end inside of sequences, between them and past their end."""
    model = MODELS["hard zeros"]()
    terms = backends.terms_of(model)
    prepared = prepare(RunLengths.of(SEQUENCES), terms, "sequential", every_timestep=False)
    n_steps, n_lanes = prepared.data.pairs.shape
    monkeypatch.setattr(sequential, "BLOCK_CELLS", 3 * n_lanes * model.n_states)
    assert n_steps > 6

    @jax.jit
    def kernel(params, data):
        factors = emission_factors(logits_from_params(params), terms)
        return sequential.expected_counts(factors, params.trans_probs, data)

    for name in ("three states", "hard zeros"):
        stats, log_likelihood = kernel(Params(*MODELS[name]()), prepared.data)
        trans, syllables = _truth(name).expected_counts
        np.testing.assert_allclose(stats.state_trans_counts, trans, rtol=1e-6, atol=2e-6)
        np.testing.assert_allclose(stats.syllable_trans_counts, syllables, rtol=1e-6, atol=2e-6)
        expected = sum(_truth(name).log_likelihoods)
        np.testing.assert_allclose(log_likelihood, expected, rtol=1e-6)


@double_precision
def test_expected_counts_by_blocks_of_a_long_sequence(monkeypatch):
    """What enters a block is scaled, however many timesteps are before it."""
    model = _random_model(3, zeros=False)
    x = np.random.default_rng(0).integers(0, 3, 900).astype(np.int32)
    terms = backends.terms_of(model)
    prepared = prepare(RunLengths.of([x]), terms, "sequential", every_timestep=False)
    monkeypatch.setattr(sequential, "BLOCK_CELLS", 150 * prepared.data.pairs.shape[1] * 3)

    @jax.jit
    def kernel(params, data):
        factors = emission_factors(logits_from_params(params), terms)
        return sequential.expected_counts(factors, params.trans_probs, data)

    stats, log_likelihood = kernel(Params(*model), prepared.data)
    truth = oracles.LogForwardBackward(model, x)
    np.testing.assert_allclose(log_likelihood, truth.log_likelihood, rtol=1e-6)
    by_state = _expected_syllables(x, truth)
    np.testing.assert_allclose(stats.syllable_trans_counts, by_state, rtol=1e-5)
    # into each state as often as it emits, but for the start
    into = truth.smoothed[1:].sum(axis=0)
    np.testing.assert_allclose(stats.state_trans_counts.sum(axis=0), into, rtol=1e-5)
    out_of = truth.smoothed[:-1].sum(axis=0)
    np.testing.assert_allclose(stats.state_trans_counts.sum(axis=1), out_of, rtol=1e-5)


@pytest.mark.slow
@double_precision
def test_every_run_has_a_path_where_all_leave_their_first_state():
    """Two states in turn: 32 runs fill each lane, and there is one path for each of them."""
    model = oracles.random_model(np.random.default_rng(5), 2, 3)
    model = model._replace(trans_probs=np.array([[0.0, 1.0], [1.0, 0.0]]))
    x = np.repeat(np.arange(32) % 2, 4).astype(np.int32)
    backend = backends.Backend("compressed")
    runs = backend.prepare([x] * 8, model).data.runs
    assert runs.inside.all()
    assert runs.inside.size == 8 * 32
    states, stats, _ = backends.sample(backend, model, [x] * 8, seed=0)
    np.testing.assert_array_equal(np.diff(states, axis=1) != 0, True)
    trans, _ = oracles.count_transitions([x] * 8, states, 2, 3)
    np.testing.assert_array_equal(stats.state_trans_counts, trans)
    assert trans.trace() == 0


@pytest.mark.parametrize("variant", slow_unless(["sequential", "compressed"], VARIANTS))
def test_rare_syllables_do_not_underflow(variant):
    """A timestep whose probability is below float32's range (exp(-87)) in every state."""
    rng = np.random.default_rng(0)
    model = oracles.random_model(rng, 2, 3, sigma=150.0)
    sequences = [np.array([i, j], np.int32) for i in range(3) for j in range(3)]
    log_likelihoods = backends.log_likelihoods(backends.variant(variant), model, sequences)
    expected = [oracles.log_likelihood(model, x) for x in sequences]
    assert min(expected) < -88
    np.testing.assert_allclose(log_likelihoods, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "name", slow_unless(["sequential"], ["sequential", "parallel", "compressed"])
)
def test_messages_match_hmmlearn(name):
    """hmmlearn's compiled kernels, on the emissions of a random model, 400 timesteps."""
    kernels, backend = pytest.importorskip("hmmlearn._hmmc"), backends.variant(name)
    n_states = 7
    rng = np.random.default_rng(n_states)
    model = oracles.random_model(rng, n_states, 6)
    sequences = [rng.integers(0, 6, 400).astype(np.int32) for _ in range(3)]
    log_likelihoods = backends.log_likelihoods(backend, model, sequences)
    smoothed = backends.by_timestep(decode.smooth, backend, model, sequences)
    states, log_probs = backends.by_timestep(backends.best_path, backend, model, sequences)
    start = np.full(n_states, 1 / n_states)
    for i, x in enumerate(sequences):
        emission = _emission_by_timestep(model, x)
        given = start, model.trans_probs, emission
        log_likelihood, forward, scaling = kernels.forward_scaling(*given)
        posterior = forward * kernels.backward_scaling(*given, scaling)
        posterior /= posterior.sum(axis=1, keepdims=True)
        best, path = kernels.viterbi(start, model.trans_probs, np.log(emission))
        np.testing.assert_allclose(log_likelihoods[i], log_likelihood, rtol=1e-6)
        np.testing.assert_allclose(smoothed[i], posterior, atol=2e-6)
        np.testing.assert_allclose(log_probs[i].sum(), best, rtol=1e-9)
        np.testing.assert_array_equal(states[i], path)


@pytest.fixture(scope="module")
def one_way():
    """A left-to-right model, a long sequence of it, and what the oracle says of that.

    In the last part are the syllables of a state that is behind for good. The state it is in
    explains them so badly that the probability of what follows is below any float's range,
    compared with what it would be from another state.
    """
    rng = np.random.default_rng(4)
    model = oracles.random_model(rng, 3, 5, sigma=3.0)
    model = model._replace(
        trans_probs=np.array([[0.98, 0.015, 0.005], [0, 0.99, 0.01], [0, 0, 1.0]])
    )
    probs = oracles.syllable_trans_probs(model)
    x = np.zeros(1_500, np.int32)
    for t in range(1, len(x)):
        state = np.searchsorted([300, 600, 1_000], t, side="right") % 3
        x[t] = rng.choice(5, p=probs[state, x[t - 1]])
    return model, x, oracles.LogForwardBackward(model, x)


@pytest.mark.parametrize("name", slow_unless(["compressed"], WHOLE))
def test_a_long_chain_that_cannot_turn_back_does_not_underflow(name, one_way):
    backend, (model, x, truth) = backends.variant(name), one_way
    # from the first state, the syllables of the last part would be so much more probable
    from_first = truth.log_emission[1_000:, 0].sum()
    assert from_first - truth.log_emission[1_000:, 2].sum() > 750
    found = backends.log_likelihoods(backend, model, [x])
    np.testing.assert_allclose(found, [truth.log_likelihood], rtol=1e-7)
    smoothed = backends.by_timestep(decode.smooth, backend, model, [x])[0]
    np.testing.assert_allclose(smoothed, truth.smoothed, rtol=1e-4, atol=1e-6)


held = st.tuples(st.integers(-1, 2), st.sampled_from([1, 1, 2, 3, 4, 5, 9, 30]))


def _write_out(runs):
    """A sequence as validation leaves it: it ends at its last observed timestep."""
    x = np.repeat([s for s, _ in runs], [n for _, n in runs]).astype(np.int32)
    return x[: np.flatnonzero(x >= 0)[-1] + 1] if (x >= 0).any() else x[:0]


run_sequence = st.lists(held, min_size=1, max_size=6).map(_write_out)


@given(
    sequences=st.lists(run_sequence, min_size=1, max_size=4),
    seed=st.integers(0, 1000),
    kind=st.sampled_from([(0.3, False), (1.5, False), (4.0, False), (0.3, True), (1.0, True)]),
)
@settings(max_examples=5, deadline=None, derandomize=True)
@pytest.mark.slow
def test_any_runs_any_model(sequences, seed, kind):
    """Runs drawn by hypothesis: longer than the table of 4 powers, one timestep, all missing.

    By both backends over runs. All shapes are the same, so that nothing is compiled twice. The
    oracle is in float64; so where transitions are impossible emissions are moderate, lest the only
    possible path be further behind in its middle than float32 reaches.
    """
    sigma, zeros = kind
    model = oracles.random_model(np.random.default_rng(seed), 3, 3, sigma=sigma, zeros=zeros)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose, "MAX_POWERS", 4)
        patch.setattr(choose, "choose_n_powers", lambda *_: 4)
        for module in (runs, lanes):
            patch.setattr(module, "round_up", lambda *_, **__: 192)
        for name in ("compressed", "parallel"):
            backend = backends.Backend(name, 4, 16, min_mean_run=0)
            _check_against_float64(backend, model, sequences)


def _check_against_float64(backend, model, sequences):
    truths = [oracles.LogForwardBackward(model, x) if len(x) else None for x in sequences]
    log_likelihoods = backends.log_likelihoods(backend, model, sequences)
    expected = [truth.log_likelihood if truth else 0 for truth in truths]
    # float32 rounds the normaliser of every timestep, also of those that observe nothing
    atol = np.finfo(np.float32).eps * (10 + sum(map(len, sequences)))
    np.testing.assert_allclose(log_likelihoods, expected, rtol=1e-6, atol=atol)
    filtered = backends.by_timestep(decode.forward_filter, backend, model, sequences)
    smoothed = backends.by_timestep(decode.smooth, backend, model, sequences)
    states, log_probs = backends.by_timestep(backends.best_path, backend, model, sequences)
    draw, stats, log_likelihood = backends.sample(backend, model, sequences, seed=0)
    means, log_likelihood_too = backends.expected_counts(backend, model, sequences)
    for total in (log_likelihood, log_likelihood_too):
        np.testing.assert_allclose(total, sum(expected), rtol=1e-6, atol=atol)
    for i, truth in enumerate(truths):
        if truth is None:
            continue
        np.testing.assert_allclose(filtered[i], truth.filtered, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(smoothed[i], truth.smoothed, rtol=1e-5, atol=2e-6)
        np.testing.assert_allclose(log_probs[i].sum(), truth.best_log_prob, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(log_probs[i].sum(), truth.log_prob(states[i]), rtol=1e-9)
        assert truth.log_prob(draw[i]) > -np.inf
    trans, syllables = oracles.count_transitions(sequences, draw, 3, 3)
    np.testing.assert_array_equal(stats.state_trans_counts, trans)
    np.testing.assert_array_equal(stats.syllable_trans_counts, syllables)
    # as many transitions as there are, and the states of the emitted ones by the marginals
    np.testing.assert_allclose(means.state_trans_counts.sum(), trans.sum(), rtol=1e-5)
    pairs = zip(sequences, truths, strict=True)
    by_state = sum(_expected_syllables(x, truth) for x, truth in pairs)
    np.testing.assert_allclose(means.syllable_trans_counts, by_state, rtol=1e-5, atol=1e-5)


def _expected_syllables(x, truth):
    """Expected counts of syllable transitions in each of 3 states, from the smoothed states."""
    by_state = np.zeros((3, 3, 3))
    for t in range(1, len(x)):
        if x[t - 1] >= 0 and x[t] >= 0:
            by_state[:, x[t - 1], x[t]] += truth.smoothed[t]
    return by_state


def _emission_by_timestep(model, x):
    """p(x[t] | x[t-1], z[t]) of a fully observed sequence, (T, K); 1 at the first timestep."""
    probs = oracles.syllable_trans_probs(model)
    emission = np.ones((len(x), model.n_states))
    emission[1:] = probs[:, x[:-1], x[1:]].T
    return emission
