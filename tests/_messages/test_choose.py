"""Which backend is chosen for which sequences."""

import jax
import numpy as np
import pytest

from hhmm._inference.choose import choose
from hhmm._model.terms import Terms
from hhmm._sequences.run_lengths import RunLengths

TERMS = Terms(n_states=2, n_syllables=3)

# mean run of one timestep, of four, of thirty; and nothing at all
CHANGING = [np.array([0, 1, 2, 0, 2, 1], np.int32)]
HELD = [np.repeat([0, 1, 2], 4).astype(np.int32)]
LONG_HELD = [np.repeat([0, 1, 2], 30).astype(np.int32)]
EMPTY = [np.array([], np.int32)]


@pytest.mark.parametrize(
    ("message_passing", "sequences", "backend", "by_runs"),
    [
        ("auto", CHANGING, "sequential", False),
        ("auto", HELD, "sequential", False),
        ("auto", LONG_HELD, "compressed", True),
        ("auto", EMPTY, "sequential", False),
        ("sequential", LONG_HELD, "sequential", False),
        ("compressed", CHANGING, "compressed", True),
        ("parallel", CHANGING, "parallel", False),
        ("parallel", HELD, "parallel_runs", True),
        ("parallel", EMPTY, "parallel", False),
    ],
)
def test_choice_on_a_cpu(monkeypatch, message_passing, sequences, backend, by_runs):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    choice = choose(RunLengths.of(sequences), TERMS, message_passing)
    assert choice.backend == backend
    assert (choice.n_powers is not None) == by_runs


@pytest.mark.parametrize(
    ("sequences", "backend"), [(CHANGING, "parallel"), (HELD, "parallel_runs")]
)
def test_on_an_accelerator_auto_is_parallel(monkeypatch, sequences, backend):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    choice = choose(RunLengths.of(sequences), TERMS, "auto")
    assert choice.backend == choose(RunLengths.of(sequences), TERMS, backend).backend == backend
    assert (choice.n_powers is not None) == (backend == "parallel_runs")
    assert choose(RunLengths.of(sequences), TERMS, "sequential").backend == "sequential"
    assert choose(RunLengths.of(sequences), TERMS, "compressed").backend == "compressed"
