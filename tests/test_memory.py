"""The estimate of memory, and fits that are refused for it."""

import numpy as np
import pytest

from hhmm import EfficientHHMM, _memory
from hhmm._inference.prepare import prepare
from hhmm.datasets import make_hhmm


def _estimate(x, n_states=3, n_syllables=4, message_passing="sequential", **counts):
    prepared = prepare([x], n_syllables, n_states, message_passing, every_timestep=False)
    counts = {"n_chains": 1, "n_draws": 5, **counts}
    return _memory.estimate(
        prepared, n_timesteps=len(x), n_states=n_states, n_syllables=n_syllables, **counts
    )


def test_runs_take_less_than_timesteps_and_chains_take_more():
    x = np.repeat(np.arange(4, dtype=np.int32), 50_000)
    by_timestep, by_run = _estimate(x), _estimate(x, message_passing="compressed")
    assert by_run.timesteps < by_timestep.timesteps / 2
    assert _estimate(x, n_chains=9).draws == 9 * by_timestep.draws
    no_runs = np.arange(200_000, dtype=np.int32) % 4
    assert (
        _estimate(no_runs, message_passing="parallel").timesteps
        > _estimate(no_runs).timesteps
        > _estimate(no_runs[:-1000]).timesteps
    )


def test_emissions_count_by_states_and_pairs_of_syllables():
    x = np.zeros(10, np.int32)
    few, more, wide = _estimate(x, 2, 10), _estimate(x, 4, 10), _estimate(x, 2, 30)
    assert few.counts < more.counts < 2 * few.counts
    assert wide.counts == 9 * few.counts


@pytest.mark.parametrize(
    ("X", "parameters", "message"),
    [
        ([[0, 40_000, 1]], {}, r"Most of it is for the emissions .*SyllableEncoder numbers labels"),
        ([[0, 1, 0]], {"n_draws": 10**9}, "Most of it is for the draws: use fewer n_draws"),
    ],
)
def test_a_fit_that_cannot_be_is_refused_before_it_begins(X, parameters, message, monkeypatch):
    monkeypatch.setattr("hhmm.estimator.run_chains", None)
    model = EfficientHHMM(2, init="prior", **parameters)
    with pytest.raises(MemoryError, match=rf"would take about \d+\.\d GB of memory.*{message}"):
        model.fit(X)
    assert not hasattr(model, "trans_probs_")


@pytest.mark.parametrize(
    ("arguments", "detail"),
    [
        ({"n_sequences": 10**9}, "200,000,000,000 timesteps in all, 5 states"),
        ({"n_states": 2**31 - 1}, "2,147,483,647 states"),
        ({"n_syllables": 46_340}, "46,340 syllables"),
    ],
)
def test_a_simulation_that_cannot_be_is_refused_before_it_begins(arguments, detail):
    with pytest.raises(MemoryError, match=rf"simulation would take about \d+\.\d GB .*{detail}"):
        make_hhmm(**{"n_timesteps": 200, **arguments})


def test_a_fitted_model_refuses_to_simulate_more_than_there_is_memory():
    model = EfficientHHMM(2, init="prior", max_iter=1, random_state=0).fit([[0, 1, 0, 1]])
    with pytest.raises(MemoryError, match="for 1,000,000,000,000,000,000 timesteps in all"):
        model.sample(10**9, 10**9)
    with pytest.raises(ValueError, match=r"n_timesteps == .*, must be <= 2147483647"):
        model.sample(1, np.uint64(2**64 - 1))


def test_a_small_machine(monkeypatch):
    x = np.zeros(1_000_000, np.int32)
    monkeypatch.setattr(_memory, "total_memory", lambda: 3.1e8)
    with pytest.raises(MemoryError, match="for the timesteps: fit fewer of them"):
        _memory.check_fits(_estimate(x))
    for limit in (None, 1e9):
        monkeypatch.setattr(_memory, "total_memory", lambda limit=limit: limit)
        _memory.check_fits(_estimate(x))


def test_the_memory_of_the_machine_is_known():
    psutil = pytest.importorskip("psutil")
    assert 0 < _memory.total_memory() <= psutil.virtual_memory().total


def test_a_device_says_what_it_has_or_not(monkeypatch):
    monkeypatch.setattr(_memory.jax, "default_backend", lambda: "gpu")
    assert _memory.total_memory() is None  # no such figure of the device that is there


def test_verbose_tells_the_estimate(capsys):
    EfficientHHMM(2, init="prior", max_iter=1, verbose=1, random_state=0).fit([[0, 1, 0, 1]])
    assert capsys.readouterr().out.startswith("about 0.3 GB of memory are needed\n")
