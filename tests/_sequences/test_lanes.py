"""Groups of lanes on several cores, and what a fit on long runs keeps in memory and compiles.

`test_fits_by_lanes` compares whole fits.
"""

import functools

import jax
import numpy as np
import pytest

from hhmm import EfficientHHMM
from hhmm._emission_solvers import Newton
from hhmm._inference import chain as chains
from hhmm._inference import compiled, gibbs, initialise
from hhmm._inference.chain import Phase, Settings
from hhmm._inference.prepare import prepare
from hhmm._messages import BACKENDS
from hhmm._model.terms import Terms
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._sequences import lanes
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Params, Priors
from hhmm.datasets import make_hhmm
from tests.published import PUBLISHED

pytestmark = pytest.mark.slow

PRIORS = Priors(*map(np.float64, (1.0, 1.0, 1.0, 10.0)))
N_STATES, N_SYLLABLES = 3, 4
TERMS = Terms(N_STATES, N_SYLLABLES)


def held_sequences(lengths, mean_run, seed=0):
    """Sequences of about so many timesteps, each syllable held."""
    rng = np.random.default_rng(seed)
    n_changes = max(lengths) // mean_run * 2 + 10
    data = make_hhmm(len(lengths), n_changes, N_STATES, N_SYLLABLES, random_state=seed)
    return [
        np.repeat(x, rng.geometric(1 / mean_run, n_changes))[:n]
        for x, n in zip(data.X, lengths, strict=True)
    ]


@pytest.mark.parametrize("backend", ["sequential", "compressed", "parallel"])
def test_groups_of_lanes_change_no_answer_of_a_fitted_model(backend, monkeypatch):
    X = held_sequences([30, 31, 29, 28, 32], mean_run=10)
    truth = make_hhmm(1, 2, N_STATES, N_SYLLABLES, random_state=1)
    model = EfficientHHMM.from_params(*(truth[name] for name in Params._fields[:3]))
    model.set_params(message_passing=backend)
    answers = []
    for n_groups in (1, 3):
        monkeypatch.setattr(lanes, "n_groups", lambda *_, n_groups=n_groups: n_groups)
        answers.append(
            [
                np.concatenate(model.predict(X)),
                np.concatenate(model.sample_states(X, random_state=0)),
                *(np.concatenate(model.decode(X)[1]), model.decode(X)[0]),
                *map(np.concatenate, (model.predict_proba(X), model.filter_proba(X))),
                model.score_samples(X),
            ]
        )
    for whole, parts in zip(*answers, strict=True):
        np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_cores", [1, 4])
def test_little_or_narrow_data_and_single_cores_are_not_split(n_cores, monkeypatch):
    monkeypatch.setattr(lanes, "n_cores", lambda: n_cores)
    terms = Terms(N_STATES, n_syllables=1)
    large = _prepare([np.zeros(2_000, np.int32)] * 800, terms, "sequential")
    narrow = _prepare([np.zeros(200_000, np.int32)] * 8, terms, "sequential")
    small = _prepare([np.zeros(50, np.int32)] * 8, terms, "sequential")
    assert [len(prepared.groups) for prepared in (large, narrow, small)] == [n_cores, 1, 1]


@pytest.mark.parametrize("backend", ["sequential", "compressed"])
@double_precision
def test_groups_hold_all_lanes_and_their_counts(backend):
    sequences = held_sequences([300, 310, 290, 280, 305], mean_run=10)
    data = _prepare(sequences, TERMS, backend).data
    groups = lanes.split(data, 2)
    if backend == "compressed":
        data, groups = data.runs, [group.runs for group in groups]
        np.testing.assert_array_equal(sum(g.cell_counts for g in groups), data.cell_counts)
    np.testing.assert_array_equal(sum(g.pair_counts for g in groups), data.pair_counts)
    assert len({g.pairs.shape for g in groups}) == 1  # one compiled kernel for all
    for name in ("pairs", "starts", "inside", "counters"):
        together = np.concatenate([getattr(g, name) for g in groups], axis=-1)
        np.testing.assert_array_equal(
            together[..., : data.pairs.shape[1]], getattr(data, name), err_msg=name
        )


@double_precision
def test_a_sweep_over_runs_holds_no_array_of_timesteps_by_states():
    """Every intermediate array of a compressed sweep is smaller; those of a sequential one are not.

    Frame-rate data of hours would not fit in memory otherwise.
    """
    sequences = held_sequences([20_000, 19_000, 18_000], mean_run=40)
    n_timesteps = sum(map(len, sequences))
    largest = {name: _largest_array(sequences, name) for name in ("compressed", "sequential")}
    assert largest["compressed"] < n_timesteps
    assert largest["sequential"] >= n_timesteps * N_STATES


def _prepare(sequences, terms, backend):
    return prepare(RunLengths.of(sequences), terms, backend, every_timestep=False)


def _largest_array(sequences, backend):
    """Number of entries of the largest array in a sweep, loops and branches included."""
    prepared = _prepare(sequences, TERMS, backend)
    settings = Settings(Newton(100), "laplace", backend, TERMS)
    chain = initialise.start_from_prior(np.random.RandomState(0), PRIORS, settings=settings)

    def sweep(key, chain, data):
        return chains.sweep(
            chains.sweep_keys(key, np.int32(0), "gibbs"),
            chain,
            functools.partial(gibbs.update_params, phase=Phase(), settings=settings),
            functools.partial(gibbs.update_states, sequences=data, settings=settings),
            TERMS,
        )

    jaxpr = jax.make_jaxpr(sweep)(key_from_random_state(0), chain, prepared.data)
    return max(_sizes(jaxpr.jaxpr))


def _sizes(jaxpr):
    for equation in jaxpr.eqns:
        for variable in equation.outvars:
            yield int(np.prod(variable.aval.shape))
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else [value]:
                if hasattr(inner, "eqns"):
                    yield from _sizes(inner)
                elif hasattr(inner, "jaxpr"):
                    yield from _sizes(inner.jaxpr)


@pytest.mark.parametrize("backend", ["sequential", "compressed"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_nothing_is_traced_again_for_other_lengths_priors_or_sweeps(backend, monkeypatch):
    """In groups: the parameters and the states are traced once, whatever a grid search varies."""
    traced = []

    def counting(name, function):
        def counted(*args, **kwargs):
            traced.append(name)
            return function(*args, **kwargs)

        return counted

    monkeypatch.setattr(lanes, "n_groups", lambda *_: 2)
    counted = gibbs.GIBBS._replace(update_params=counting("params", gibbs.update_params))
    monkeypatch.setitem(compiled.ALTERNATING, "gibbs", counted)
    module = BACKENDS[backend]
    monkeypatch.setattr(module, "sample", counting("states", module.sample))
    kernels = (compiled.params_kernel, compiled.states_kernel)
    for kernel in kernels:
        kernel.clear_cache()
    for lengths, kappa, max_iter in [
        ([6300, 6290, 6200, 6250], 10.0, 3),
        ([6295, 6280, 6210, 6240], 10.0, 3),
        ([6300, 6290, 6200, 6250], 50.0, 7),
    ]:
        model = EfficientHHMM(
            N_STATES,
            N_SYLLABLES,
            message_passing=backend,
            trans_kappa=kappa,
            **PUBLISHED,
            max_iter=max_iter,
            init="prior",
            random_state=0,
        )
        model.fit(held_sequences(lengths, mean_run=10))
    for kernel in kernels:
        kernel.clear_cache()  # what was compiled here calls the counters
    assert sorted(traced) == ["params", "states"]
