"""The estimate of memory, and fits that are refused for it."""

from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

from hhmm import EfficientHHMM
from hhmm._inference import memory as estimates
from hhmm._inference.parts import LocalParts
from hhmm._model.terms import Terms
from hhmm._runtime import memory
from hhmm._sequences.run_lengths import RunLengths
from hhmm.datasets import make_hhmm
from tests import oracles
from tests.published import PUBLISHED

SIZE = r"[\d,]+\.\d GB"


def _estimate(x, n_states=3, n_syllables=4, message_passing="sequential", **counts):
    terms = Terms(n_states, n_syllables)
    sequences = RunLengths.of([x])
    parts = LocalParts.make(sequences, terms, message_passing)
    counts = {"n_chains": 1, "n_draws": 5, **counts}
    return estimates.estimate(parts, sequences, terms=terms, **counts)


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
    monkeypatch.setattr("hhmm._inference.fit.iterate_chains", None)
    model = EfficientHHMM(2, init="prior", **parameters)
    with pytest.raises(MemoryError, match=rf"would take about {SIZE} of memory.*{message}"):
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
    with pytest.raises(MemoryError, match=rf"simulation would take about {SIZE} .*{detail}"):
        make_hhmm(**{"n_timesteps": 200, **arguments})


def test_a_model_refuses_to_simulate_more_than_there_is_memory():
    model = EfficientHHMM.from_params(*oracles.random_model(np.random.default_rng(0), 2, 3))
    with pytest.raises(MemoryError, match="for 1,000,000,000,000,000,000 timesteps in all"):
        model.sample(10**9, 10**9)
    with pytest.raises(ValueError, match=r"n_timesteps == .*, must be <= 2147483647"):
        model.sample(1, np.uint64(2**64 - 1))


def test_a_sequence_whose_states_do_not_fit_is_refused(monkeypatch):
    model = EfficientHHMM.from_params(*oracles.random_model(np.random.default_rng(0), 2, 3))
    X = [np.zeros(1000, np.int32), np.zeros(400_000, np.int32)]
    monkeypatch.setattr(estimates, "available", lambda: memory.Memory(3.1e8, 8e9))
    for method in (model.predict, model.transform, model.predict_proba):
        with pytest.raises(MemoryError, match=r"0\.3 GB of 8\.0 GB are free.* 400,000 timesteps"):
            method(X)
    assert model.transform(X[:1]).shape == (1, 2)


def test_a_small_machine(monkeypatch):
    x = np.zeros(1_000_000, np.int32)
    monkeypatch.setattr(estimates, "available", lambda: memory.Memory(3.1e8, 8e9))
    refused = "0.3 GB of 8.0 GB are free.*for the timesteps: fit fewer of them"
    with pytest.raises(MemoryError, match=refused):
        estimates.check_fits(_estimate(x))
    for free in (None, memory.Memory(1e9, 8e9)):
        monkeypatch.setattr(estimates, "available", lambda free=free: free)
        estimates.check_fits(_estimate(x))


def test_the_memory_of_the_machine_is_known():
    psutil = pytest.importorskip("psutil")
    here, there = memory.available(), psutil.virtual_memory()
    assert 0 < here.free <= here.total <= there.total
    assert here.free <= there.available + psutil.swap_memory().free + 2e9  # it changes meanwhile


LIMITS = [  # membership of a process, files of its groups, bytes free, bytes in all
    ("0::/", {}, 5_000 * 1024, 10_000 * 1024),
    (
        "0::/job/step",
        {
            "job": ("memory.max 4000000", "memory.current 2000000", "inactive_file 500000"),
            "job/step": ("memory.max max", "memory.current 2000000", "inactive_file 500000"),
        },
        2_500_000,
        4_000_000,
    ),
    (
        "5:cpu:/\n4:cpuset,memory:/job\n0::/",
        {
            "memory/job": (
                "memory.limit_in_bytes 3000000",
                "memory.usage_in_bytes 2900000",
                "total_inactive_file 200000",
            )
        },
        300_000,
        3_000_000,
    ),
    (
        "4:memory:/of/the/host",  # what a container sees is another folder
        {
            "memory": (
                "memory.limit_in_bytes 3000000",
                "memory.usage_in_bytes 3100000",
                "total_inactive_file 0",
            )
        },
        0,
        3_000_000,
    ),
]


@pytest.mark.parametrize(("membership", "groups", "free", "total"), LIMITS)
def test_what_is_free_in_a_container_or_a_job(
    membership, groups, free, total, tmp_path, monkeypatch
):
    for name in ("proc", "cgroup"):
        (tmp_path / name / "self").mkdir(parents=True)
    monkeypatch.setattr(memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "cgroup")
    sizes = {"SC_PHYS_PAGES": 10_000, "SC_PAGE_SIZE": 1024}
    monkeypatch.setattr(memory.os, "sysconf", sizes.get)
    assert memory.available() == (10_000 * 1024, 10_000 * 1024)  # a system that tells no more
    meminfo = "MemTotal: 10000 kB\nMemAvailable: 4000 kB\nSwapFree: 1000 kB\nHugePages_Free: 0\n"
    (tmp_path / "proc" / "meminfo").write_text(meminfo)
    (tmp_path / "proc" / "self" / "cgroup").write_text(membership + "\n")
    for group, lines in groups.items():
        folder = tmp_path / "cgroup" / group
        folder.mkdir(parents=True)
        limit, used, cache = lines
        for line in (limit, used):
            name, value = line.split()
            (folder / name).write_text(value + "\n")
        (folder / "memory.stat").write_text(f"anon 1\n{cache}\n")
    assert memory.available() == (free, total)


def test_a_machine_that_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PHYS_PAGES": -1, "SC_PAGE_SIZE": 1024}.get)
    assert memory.available() is None
    for error in (ValueError, OSError):
        monkeypatch.setattr(memory.os, "sysconf", mock.Mock(side_effect=error))
        assert memory.available() is None
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.available() is None


def test_a_device_says_what_it_has_or_not(monkeypatch):
    monkeypatch.setattr(memory.jax, "default_backend", lambda: "gpu")
    assert memory.available() is None  # no such figure of the device that is there
    device = SimpleNamespace(memory_stats=lambda: {"bytes_limit": 100, "bytes_in_use": 30})
    monkeypatch.setattr(memory.jax, "local_devices", lambda: [device])
    assert memory.available() == (70, 100)


def test_verbose_tells_the_estimate(capsys):
    settings = PUBLISHED | {"algorithm": "em", "init": "prior", "max_iter": 1, "verbose": 1}
    EfficientHHMM(2, random_state=0, **settings).fit([[0, 1, 2, 0, 1], [2, 2, 1, 0, 0]])
    assert capsys.readouterr().out.startswith("The fit needs about 0.3 GB of memory\n")
