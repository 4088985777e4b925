"""The Gibbs sweep, the loop that drives it, what is kept of it, and when it has settled."""

import functools
import itertools
import types

import jax
import numpy as np
import pytest

from hhmm import EfficientHHMM
from hhmm._emission_solvers import Newton
from hhmm._inference import chain as chains
from hhmm._inference import compiled, draws, gibbs, initialise, loop
from hhmm._inference.chain import Phase, Settings, Stages
from hhmm._inference.convergence import drift
from hhmm._inference.parts import LocalParts
from hhmm._messages import sequential
from hhmm._model.emissions import logits_from_params
from hhmm._model.terms import Terms
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._sequences import lanes
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import EmissionFactors, Params, Priors, SufficientStats
from hhmm.datasets import make_hhmm
from tests import oracles
from tests.published import PUBLISHED

PRIORS = Priors(*map(np.float64, (1.0, 1.0, 1.0, 10.0)))
N_STATES, N_SYLLABLES = 2, 4
TERMS = Terms(N_STATES, N_SYLLABLES)
SETTINGS = Settings(Newton(100), "laplace", "sequential", TERMS)


@pytest.fixture(scope="module")
def data():
    return make_hhmm(8, 60, N_STATES, N_SYLLABLES, trans_kappa=10.0, random_state=1)


@pytest.fixture(scope="module")
def ragged():
    """Ragged sequences with missing timesteps, and states for every timestep of them."""
    rng = np.random.default_rng(0)
    sequences = [rng.integers(-1, N_SYLLABLES, n).astype(np.int32) for n in (9, 1, 5, 14, 3, 30, 8)]
    for x in sequences:
        x[-1] = abs(x[-1])  # the last timestep is observed: nothing is padding
    states = [rng.integers(0, N_STATES, len(x)).astype(np.int32) for x in sequences]
    return sequences, states


@double_precision
def test_counts_match_the_loop(ragged):
    sequences, states = ragged
    packed, index = lanes.pack(sequences, N_SYLLABLES)
    # what stands on unused timesteps must not matter
    laid_out = np.full(packed.pairs.shape, N_STATES - 1, np.int32)
    for row, lane, offset, length in zip(states, *index, strict=True):
        laid_out[offset : offset + length, lane] = row
    factors = EmissionFactors(np.zeros((N_SYLLABLES**2 + 1, N_STATES)), None, None)
    trans_probs = np.zeros((N_STATES, N_STATES))
    on_device = jax.jit(sequential.count)(laid_out, packed, factors, trans_probs)
    on_host = initialise.count_states(states, sequences, TERMS)
    trans, syllables = oracles.count_transitions(sequences, states, N_STATES, N_SYLLABLES)
    for stats in (on_device, on_host):
        np.testing.assert_array_equal(stats.state_trans_counts, trans)
        np.testing.assert_array_equal(stats.syllable_trans_counts, syllables)


def _lay_out(data):
    return LocalParts.make(RunLengths.of(list(data.X)), TERMS, "sequential")


def _run(data, *, n_iter, first_sweep=0, chain=None, seed=0):
    """Run sweeps from states drawn at random; the result and the chain's shapes."""
    parts = _lay_out(data)
    if chain is None:
        chain = initialise.start_from_random_states(
            np.random.RandomState(0),
            list(data.X),
            PRIORS,
            settings=SETTINGS,
        )
    plan = loop.Plan(parts, "gibbs", SETTINGS, n_iter, Stages(), n_draws=5)
    start = loop.Start(key_from_random_state(seed), chain, first_sweep)
    return loop.iterate(start, plan, report=lambda *_: None)


@double_precision
def test_how_sweeps_are_cut_into_dispatches_changes_nothing(data):
    whole = _run(data, n_iter=12)
    first = _run(data, n_iter=5)
    rest = _run(data, n_iter=7, first_sweep=5, chain=first.chain)
    np.testing.assert_array_equal(
        np.r_[first.trace.log_joint, rest.trace.log_joint], whole.trace.log_joint
    )
    jax.tree.map(np.testing.assert_array_equal, rest.chain, whole.chain)


@double_precision
def test_kept_draws_are_those_of_their_sweeps(data):
    n_iter = 12
    result = _run(data, n_iter=n_iter)
    kept = draws.schedule(n_iter, 5)
    np.testing.assert_array_equal(result.kept.log_joint, result.trace.log_joint[kept])
    np.testing.assert_array_equal(result.kept.trans_probs[-1], result.chain.trans_probs)
    np.testing.assert_array_equal(result.kept.logits.base[-1], result.chain.logits.base)
    early = _run(data, n_iter=int(kept[1]) + 1)
    np.testing.assert_array_equal(result.kept.trans_probs[1], early.chain.trans_probs)


@double_precision
def test_log_joint_of_a_sweep_is_that_of_its_parameters():
    """Against enumeration over paths and scipy's densities, on tiny sequences."""
    data = make_hhmm(6, 5, N_STATES, N_SYLLABLES, random_state=2)
    parts = _lay_out(data)
    model = oracles.random_model(np.random.default_rng(3), N_STATES, N_SYLLABLES)
    chain = initialise.start_from_random_states(
        np.random.RandomState(0),
        list(data.X),
        PRIORS,
        settings=SETTINGS,
    )
    chain = chain._replace(
        has_states=np.bool_(False),
        states=parts.in_one.empty_states(),
        logits=logits_from_params(Params(*model)),
        trans_probs=model.trans_probs,
    )
    sweep = functools.partial(
        chains.sweep,
        update_params=functools.partial(gibbs.update_params, phase=Phase(), settings=SETTINGS),
        update_states=functools.partial(
            gibbs.update_states, sequences=parts.in_one, settings=SETTINGS
        ),
        terms=TERMS,
    )
    keys = chains.sweep_keys(key_from_random_state(0), np.int32(0), "gibbs")
    chain = jax.jit(sweep)(keys, chain)
    expected = sum(oracles.log_likelihood(model, x) for x in data.X)
    expected += oracles.log_prior(model, 1.0, 1.0, 1.0, 10.0)
    np.testing.assert_allclose(chain.log_joint, expected, rtol=1e-6)
    assert bool(chain.has_states)


@double_precision
def test_not_finite_log_joint_is_an_error(data):
    chain = initialise.start_from_prior(
        np.random.RandomState(0),
        PRIORS,
        settings=SETTINGS,
    )
    chain = chain._replace(priors=PRIORS._replace(trans_kappa=np.float64(np.nan)))
    with pytest.raises(FloatingPointError, match=r"log joint of sweep 0 is nan: expected a finite"):
        _run(data, n_iter=3, chain=chain)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_one_trace_a_shape_and_none_for_another_prior(data, n_sweep_traces):
    """The sweep is traced for the first fit, and never again on data of that shape."""
    model = EfficientHHMM(
        N_STATES, N_SYLLABLES, max_iter=3, n_draws=5, random_state=0, init="random", **PUBLISHED
    )
    model.fit(data.X)
    assert n_sweep_traces() == 1
    model.fit(data.X[::-1])
    model.set_params(
        max_iter=70,
        random_state=1,
        init="prior",
        emission_base_sigma=0.5,
        emission_biases_sigma=2.0,
        trans_beta=0.3,
        trans_kappa=5.0,
        emission_gd_lr=0.1,
    )
    model.fit(data.X)
    model.fit(data.X[:, :59])  # 59 timesteps are laid out as 60 are
    assert n_sweep_traces() == 1
    model.fit(data.X[:, :30])
    assert n_sweep_traces() == 2


@double_precision
def test_no_two_draws_share_a_key(data, monkeypatch):
    """Every draw of every sweep has a key of its own."""
    keys = []

    def recorded(draw):
        def draw_and_record(key, *args, **kwargs):
            used = jax.tree.leaves(key)[0]
            jax.debug.callback(
                lambda words: keys.append(tuple(map(int, words))), jax.random.key_data(used)
            )
            return draw(key, *args, **kwargs)

        return draw_and_record

    backend = types.SimpleNamespace(sample=recorded(sequential.sample))
    monkeypatch.setitem(gibbs.BACKENDS, "sequential", backend)
    monkeypatch.setattr(gibbs, "draw_trans_probs", recorded(gibbs.draw_trans_probs))
    monkeypatch.setitem(gibbs.SAMPLERS, "laplace", recorded(gibbs.SAMPLERS["laplace"]))
    compiled.sweeps_in_one_call.clear_cache()
    _run(data, n_iter=4)
    jax.effects_barrier()
    compiled.sweeps_in_one_call.clear_cache()  # what was compiled here calls the recorder
    assert len(keys) == 4 * 3
    assert len(set(keys)) == len(keys)


def test_a_start_at_parameters_is_no_sweep(data):
    """One sweep from the prior has drawn the parameters given the data."""
    model = EfficientHHMM(
        N_STATES, N_SYLLABLES, max_iter=1, n_draws=5, random_state=0, init="prior", **PUBLISHED
    ).fit(data.X)
    assert model.log_joint_.shape == (1, 1)
    assert len(model.emission_losses_) > 0


@pytest.mark.parametrize(
    ("n_iter", "n_draws", "expected"),
    [
        (100, 25, range(51, 100, 2)),
        (10, 25, range(5, 10)),
        (1, 25, [0]),
        (2, 1, [1]),
        (11, 3, [6, 8, 10]),
    ],
)
def test_schedule_is_evenly_spaced_in_the_second_half(n_iter, n_draws, expected):
    np.testing.assert_array_equal(draws.schedule(n_iter, n_draws), list(expected))


@pytest.mark.parametrize("n_states", [2, 3, 5])
def test_alignment_finds_a_planted_permutation(n_states):
    rng = np.random.default_rng(n_states)
    model = oracles.random_model(rng, n_states, 6)
    order = rng.permutation(n_states)
    params = draws.permute(Params(*model), order)
    logits, permuted = logits_from_params(Params(*model)), logits_from_params(params)
    np.testing.assert_allclose(permuted.biases, logits.biases[order], atol=1e-12)
    np.testing.assert_array_equal(permuted.base, logits.base)
    np.testing.assert_array_equal(params.trans_probs, model.trans_probs[np.ix_(order, order)])
    noise = 0.01 * rng.standard_normal(params.emission_biases.shape)
    noisy = oracles.Model(*params[:3])._replace(emission_biases=params.emission_biases + noise)
    probs, reference_probs = map(oracles.syllable_trans_probs, (noisy, model))
    found = draws.match_labels(
        probs, params.trans_probs, reference_probs, model.trans_probs, _counts(rng, n_states, 6)
    )
    np.testing.assert_array_equal(order[found], np.arange(n_states))


@pytest.mark.parametrize("seed", range(10))
def test_alignment_is_at_the_smallest_distance(seed):
    """Squared Hellinger distances, weighted by how often a probability is met; all permutations."""
    rng = np.random.default_rng(seed)
    probs, reference_probs = rng.dirichlet(np.full(3, 0.5), (2, 4, 3))
    trans_probs, reference_trans_probs = rng.dirichlet(np.full(4, 0.5), (2, 4))
    stats = _counts(rng, 4, 3)

    def distance(order):
        total = 0.0
        for k, other in enumerate(order):
            for i in range(3):
                n = stats.syllable_trans_counts[k, i].sum()
                total += n * hellinger(reference_probs[k, i], probs[other, i])
            stay, own = reference_trans_probs[k, k], trans_probs[other, other]
            n = stats.state_trans_counts[k].sum()
            total += n * hellinger(np.array([stay, 1 - stay]), np.array([own, 1 - own]))
        return total

    def hellinger(p, q):
        return 0.5 * np.sum((np.sqrt(p) - np.sqrt(q)) ** 2)

    found = draws.match_labels(probs, trans_probs, reference_probs, reference_trans_probs, stats)
    assert tuple(found) == min(itertools.permutations(range(4)), key=distance)


def _counts(rng, n_states, n_syllables):
    return SufficientStats(
        rng.poisson(5.0, (n_states, n_states)),
        rng.poisson(5.0, (n_states, n_syllables, n_syllables)),
    )


def test_stationary_distribution_by_powers():
    trans = np.random.default_rng(0).dirichlet(np.ones(4), size=4)
    expected = np.linalg.matrix_power(trans, 200)[0]
    np.testing.assert_allclose(draws.stationary_distribution(trans), expected, atol=1e-10)


def test_drift_of_noise_alone_is_within_its_error():
    """Autocorrelated noise: at most 2 % of 400 traces are called unsettled."""
    rng = np.random.default_rng(0)
    unsettled = 0
    for _ in range(400):
        noise = rng.standard_normal(300)
        for t in range(1, 300):
            noise[t] += 0.5 * noise[t - 1]
        unsettled += not drift(noise[200:]).settled
    assert unsettled <= 8


@pytest.mark.parametrize("trend", [1.0, -1.0])
def test_drift_sees_a_steady_change(trend):
    trace = trend * np.arange(100) + np.random.default_rng(0).standard_normal(100)
    change = drift(trace)
    assert not change.settled
    assert abs(change.change - trend * 25) < 2


@pytest.mark.parametrize("sweep", [52, 60, 73, 77, 90])
def test_drift_sees_a_jump_to_a_better_mode(sweep):
    """Wherever it lies in the second half, and though it makes its own quarter noisy."""
    trace = 10 * np.random.default_rng(0).standard_normal(100)
    assert drift(trace).settled
    trace[:sweep] -= 3000
    assert not drift(trace).settled


def test_a_change_within_the_spread_is_settled():
    """A shift of 0.8 standard deviations, sure after 400 sweeps, and of no matter."""
    trace = np.random.default_rng(0).standard_normal(800) + 0.8 * (np.arange(800) >= 600)
    change = drift(trace)
    assert change.change > 4 * change.standard_error
    assert change.settled
    assert not drift(trace + 0.7 * (np.arange(800) >= 600)).settled


def test_drift_of_a_short_trace_is_unknown():
    assert drift(np.zeros(19)) is None
    assert drift(np.zeros(20)).settled
