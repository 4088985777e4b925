"""Message passing against enumeration over all paths, and against hmmlearn.

Every test runs for every backend: a new one is a row of ``backends.VARIANTS``. Each variant is
compiled anew for each kernel, so the quick tests here leave out what those of
`test_held_syllables` do: runs that are not cut.
"""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hhmm._inference import choose, decode
from hhmm._inference.prepare import prepare
from hhmm._messages import BACKENDS, sequential
from hhmm._model.emissions import emission_factors, logits_from_params, params_from_logits
from hhmm._runtime.precision import double_precision
from hhmm._sequences import lanes, runs
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Params
from tests import oracles
from tests._messages import backends
from tests.marks import slow_unless

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
    )
]
MODELS = {
    "three states": (3, False),
    "hard zeros": (3, True),
    "one state": (1, False),
}


def test_every_backend_is_tested():
    model = make_model("three states")
    variants = map(backends.variant, backends.VARIANTS)
    assert {variant.prepare(SEQUENCES, model).backend for variant in variants} == set(BACKENDS)


QUICK = ("sequential", "parallel", "parallel, runs cut", "compressed, cut")
QUICK_OF_ONE_STATE = ("parallel", "compressed, cut")  # `test_smallest_sizes` has the others


@pytest.fixture(params=slow_unless(QUICK, sorted(backends.VARIANTS)))
def backend(request):
    return backends.variant(request.param)


# for a witness from outside, and long sequences: what is cut is compared with enumeration
WHOLE = sorted(name for name in backends.VARIANTS if "cut" not in name)


@pytest.fixture(
    params=[
        *slow_unless(
            [(name, model) for name in QUICK for model in ("three states", "hard zeros")]
            + [(name, "one state") for name in QUICK_OF_ONE_STATE],
            [(name, model) for name in sorted(backends.VARIANTS) for model in MODELS],
        )
    ],
    ids="-".join,
)
def case(request):
    """A backend and a model."""
    name, model = request.param
    return backends.variant(name), make_model(model)


def make_model(name):
    n_states, zeros = MODELS[name]
    return oracles.random_model(np.random.default_rng(5), n_states, 3, sigma=1.5, zeros=zeros)


def test_filter_and_log_likelihood_match_enumeration(case):
    backend, model = case
    filtered = backends.by_timestep(decode.forward_filter, backend, model, SEQUENCES)
    log_likelihoods = backends.log_likelihoods(backend, model, SEQUENCES)
    for x, ours, log_likelihood in zip(SEQUENCES, filtered, log_likelihoods, strict=True):
        np.testing.assert_allclose(ours, oracles.filtered(model, x), rtol=1e-5, atol=1e-6)
        expected = oracles.log_likelihood(model, x)
        np.testing.assert_allclose(log_likelihood, expected, rtol=1e-6, atol=1e-6)


def test_smoother_matches_enumeration(case):
    backend, model = case
    smoothed = backends.by_timestep(decode.smooth, backend, model, SEQUENCES)
    for x, ours in zip(SEQUENCES, smoothed, strict=True):
        np.testing.assert_allclose(ours, oracles.smoothed(model, x), rtol=1e-5, atol=1e-6)


def test_viterbi_matches_enumeration(case):
    backend, model = case
    states, log_probs = backends.by_timestep(backends.best_path, backend, model, SEQUENCES)
    for x, path, log_prob in zip(SEQUENCES, states, log_probs, strict=True):
        paths, joint = oracles.path_probs(model, x)
        np.testing.assert_allclose(log_prob.sum(), np.log(joint.max()), rtol=1e-12, atol=1e-12)
        found = joint[(paths == path).all(axis=1)][0]
        np.testing.assert_allclose(found, joint.max(), rtol=1e-6)


def test_sampler_log_likelihood_and_counts(case):
    backend, model = case
    states, stats, log_likelihood = backends.sample(backend, model, SEQUENCES, seed=0)
    expected = sum(oracles.log_likelihood(model, x) for x in SEQUENCES)
    np.testing.assert_allclose(log_likelihood, expected, rtol=1e-6, atol=1e-6)
    trans, syllables = oracles.count_transitions(
        SEQUENCES, states, model.n_states, model.n_syllables
    )
    np.testing.assert_array_equal(stats.state_trans_counts, trans)
    np.testing.assert_array_equal(stats.syllable_trans_counts, syllables)


def test_expected_counts_match_enumeration(case):
    backend, model = case
    stats, log_likelihood = backends.expected_counts(backend, model, SEQUENCES)
    trans, syllables = oracles.expected_counts(model, SEQUENCES)
    np.testing.assert_allclose(stats.state_trans_counts, trans, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(stats.syllable_trans_counts, syllables, rtol=1e-6, atol=2e-6)
    expected = sum(oracles.log_likelihood(model, x) for x in SEQUENCES)
    np.testing.assert_allclose(log_likelihood, expected, rtol=1e-6)


@pytest.mark.parametrize("name", MODELS)
@double_precision
def test_expected_counts_by_blocks_match_enumeration(name, monkeypatch):
    """Blocks that end inside of sequences, between them and past their end."""
    model = make_model(name)
    terms = backends.terms_of(model)
    prepared = prepare(RunLengths.of(SEQUENCES), terms, "sequential", every_timestep=False)
    n_steps, n_lanes = prepared.data.pairs.shape
    monkeypatch.setattr(sequential, "BLOCK_CELLS", 3 * n_lanes * model.n_states)
    assert n_steps > 6

    @jax.jit
    def kernel(params, data):
        factors = emission_factors(logits_from_params(params), terms)
        return sequential.expected_counts(factors, params.trans_probs, data)

    stats, log_likelihood = kernel(Params(*model), prepared.data)
    trans, syllables = oracles.expected_counts(model, SEQUENCES)
    np.testing.assert_allclose(stats.state_trans_counts, trans, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(stats.syllable_trans_counts, syllables, rtol=1e-6, atol=2e-6)
    expected = sum(oracles.log_likelihood(model, x) for x in SEQUENCES)
    np.testing.assert_allclose(log_likelihood, expected, rtol=1e-6)


@double_precision
def test_expected_counts_by_blocks_of_a_long_sequence(monkeypatch):
    """As of one block: what enters a block is scaled, however many timesteps are before it."""
    model = oracles.random_model(np.random.default_rng(5), 3, 3, sigma=1.5)
    x = np.random.default_rng(0).integers(0, 3, 3000).astype(np.int32)
    terms = backends.terms_of(model)
    prepared = prepare(RunLengths.of([x]), terms, "sequential", every_timestep=False)

    def kernel(params, data):
        factors = emission_factors(logits_from_params(params), terms)
        return sequential.expected_counts(factors, params.trans_probs, data)

    expected = jax.jit(kernel)(Params(*model), prepared.data)
    monkeypatch.setattr(sequential, "BLOCK_CELLS", 500 * prepared.data.pairs.shape[1] * 3)
    found = jax.jit(lambda *given: kernel(*given))(Params(*model), prepared.data)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@double_precision
def test_every_run_has_a_path_where_all_leave_their_first_state():
    """Two states in turn: 16 runs fill the only lane, and there is one path for each of them."""
    model = oracles.random_model(np.random.default_rng(5), 2, 3)
    model = model._replace(trans_probs=np.array([[0.0, 1.0], [1.0, 0.0]]))
    x = np.repeat(np.arange(16) % 2, 4).astype(np.int32)
    backend = backends.Backend("compressed")
    runs = backend.prepare([x], model).data.runs
    assert runs.inside.all()
    assert runs.inside.size == 16
    (states,), stats, _ = backends.sample(backend, model, [x], seed=0)
    np.testing.assert_array_equal(np.diff(states) != 0, True)
    np.testing.assert_array_equal(
        stats.state_trans_counts, [[0, 32], [31, 0]][:: 1 - 2 * states[0]]
    )


@pytest.mark.parametrize(
    "name",
    slow_unless(
        ["compressed"],  # which holds syllables by powers, as "parallel, runs" does
        ("sequential", "parallel", "parallel, runs", "compressed"),
    ),
)
def test_a_syllable_that_a_state_cannot_hold(name):
    """Nothing leads on from the state before it: that row of a power is 0, and nothing is NaN."""
    backend = backends.variant(name)
    model = oracles.random_model(np.random.default_rng(5), 3, 3)
    cannot_hold = np.zeros((3, 3))
    cannot_hold[1, 0] = -250.0
    logits = logits_from_params(Params(*model))
    biases = np.asarray(logits.biases) + cannot_hold
    biases += biases.mean() - biases.mean(axis=0) - biases.mean(axis=1, keepdims=True)
    params = params_from_logits(logits._replace(biases=biases))
    swap = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    given = (np.asarray(params[name]) for name in ("emission_base", "emission_biases"))
    model = oracles.Model(*given, swap)
    x = np.array([1, 2, 0, 0, 0, 0, 0, 0, 2, 1], np.int32)
    truth = oracles.LogForwardBackward(model, x)
    for kernel, expected in (
        (decode.forward_filter, truth.filtered),
        (decode.smooth, truth.smoothed),
    ):
        found = backends.by_timestep(kernel, backend, model, [x])[0]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    found = backends.log_likelihoods(backend, model, [x])
    np.testing.assert_allclose(found, [truth.log_likelihood], rtol=1e-10)
    _, stats, log_likelihood = backends.sample(backend, model, [x], seed=0)
    assert stats.state_trans_counts[2, 2] == len(x) - 1
    np.testing.assert_allclose(log_likelihood, truth.log_likelihood, rtol=1e-6)


@pytest.mark.parametrize("name", slow_unless(["three states"], ["three states", "hard zeros"]))
def test_sampler_draws_whole_paths_from_their_posterior(backend, name):
    """Joint frequencies of all K^T paths, not only marginals; chi-square at FALSE_ALARM.

    Short sequences follow others in their lanes: the draw of one must not leak into the next.
    """
    n_states, zeros = MODELS[name]
    model = oracles.random_model(np.random.default_rng(7), n_states, 3, zeros=zeros)
    n_draws = 10_000
    kinds = [
        np.array(x, np.int32)
        for x in (
            [0, 1, 1, 2],
            [0, -1, 2, 2],
            [-1, 1, 0, 2],
            [2, 1],
            [1],
            [0, 0, 0, 0, 0, 0],
            [1, 2, 2, 2, 2, 2, 0],
            [1, -1, -1, -1, -1, 0],
        )
    ]
    sequences = [x for x in kinds for _ in range(n_draws)]
    states, _, _ = backends.sample(backend, model, sequences, seed=1)
    for i, x in enumerate(kinds):
        copies = np.stack(states[i * n_draws : (i + 1) * n_draws])
        code = copies @ n_states ** np.arange(len(x))[::-1]
        _, joint = oracles.path_probs(model, x)
        observed = np.bincount(code, minlength=n_states ** len(x))
        p_value = oracles.chi_square_p_value(observed, n_draws * joint / joint.sum())
        assert p_value > FALSE_ALARM, x


def test_sequences_sharing_a_lane_do_not_know_of_each_other(backend):
    """A short sequence gives the same whether it follows another one in a lane or stands alone."""
    rng = np.random.default_rng(3)
    model = oracles.random_model(rng, 3, 4)
    long, short, other = (rng.integers(0, 4, n).astype(np.int32) for n in (40, 11, 13))
    _, short_lane, other_lane = backend.prepare([long, short, other], model).likelihood_terms.lanes
    assert short_lane == other_lane
    together = backends.by_timestep(decode.smooth, backend, model, [long, short, other])
    alone = backends.by_timestep(decode.smooth, backend, model, [short])
    np.testing.assert_allclose(together[1], alone[0], atol=1e-6)


def test_rare_syllables_do_not_underflow(backend):
    """A timestep whose probability is below float32's range (exp(-87)) in every state."""
    rng = np.random.default_rng(0)
    model = oracles.random_model(rng, 2, 3, sigma=150.0)
    sequences = [np.array([i, j], np.int32) for i in range(3) for j in range(3)]
    log_likelihoods = backends.log_likelihoods(backend, model, sequences)
    expected = [oracles.log_likelihood(model, x) for x in sequences]
    assert min(expected) < -88
    np.testing.assert_allclose(log_likelihoods, expected, rtol=1e-6)


@pytest.mark.parametrize("name", slow_unless(["sequential"], WHOLE))
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
    model = oracles.random_model(rng, 3, 5, sigma=1.5)
    model = model._replace(
        trans_probs=np.array([[0.98, 0.015, 0.005], [0, 0.99, 0.01], [0, 0, 1.0]])
    )
    probs = oracles.syllable_trans_probs(model)
    x = np.zeros(4_000, np.int32)
    for t in range(1, len(x)):
        state = np.searchsorted([800, 1_600, 2_800], t, side="right") % 3
        x[t] = rng.choice(5, p=probs[state, x[t - 1]])
    return model, x, oracles.LogForwardBackward(model, x)


@pytest.mark.parametrize("name", slow_unless(["compressed"], WHOLE))
def test_a_long_chain_that_cannot_turn_back_does_not_underflow(name, one_way):
    backend, (model, x, truth) = backends.variant(name), one_way
    # from the first state, the syllables of the last part would be so much more probable
    from_first = truth.log_emission[2_800:, 0].sum()
    assert from_first - truth.log_emission[2_800:, 2].sum() > 750
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

    All shapes are the same, so that nothing is compiled twice. The oracle is in float64; so
    where transitions are impossible emissions are moderate, lest the only possible path be
    further behind in its middle than float32 reaches.
    """
    sigma, zeros = kind
    model = oracles.random_model(np.random.default_rng(seed), 3, 3, sigma=sigma, zeros=zeros)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose, "MAX_POWERS", 4)
        patch.setattr(choose, "choose_n_powers", lambda *_: 4)
        for module in (runs, lanes):
            patch.setattr(module, "round_up", lambda n: 192 if n > 16 else 16)
        names = sorted({name for name, _ in backends.VARIANTS.values()})
        for name, min_mean_run in (*((name, np.inf) for name in names), ("parallel", 0)):
            _check_against_float64(backends.Backend(name, 4, 16, min_mean_run), model, sequences)


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
    by_state = np.zeros((3, 3, 3))
    for x, truth in zip(sequences, truths, strict=True):
        for t in range(1, len(x)):
            if x[t - 1] >= 0 and x[t] >= 0:
                by_state[:, x[t - 1], x[t]] += truth.smoothed[t]
    np.testing.assert_allclose(means.syllable_trans_counts, by_state, rtol=1e-5, atol=1e-5)


def _emission_by_timestep(model, x):
    """p(x[t] | x[t-1], z[t]) of a fully observed sequence, (T, K); 1 at the first timestep."""
    probs = oracles.syllable_trans_probs(model)
    emission = np.ones((len(x), model.n_states))
    emission[1:] = probs[:, x[:-1], x[1:]].T
    return emission
