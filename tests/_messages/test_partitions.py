"""Draws depend on the sequence and the place in it, and not on what is computed beside it."""

import functools

import jax
import numpy as np
import pytest

from hhmm._emission_solvers import Newton
from hhmm._inference import choose, gibbs
from hhmm._inference.chain import Settings
from hhmm._inference.prepare import prepare
from hhmm._messages.arithmetic import propagate
from hhmm._model.terms import Terms
from hhmm._runtime.keys import key_from_data
from hhmm._runtime.precision import double_precision
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import EmissionLogits
from tests.marks import slow_unless_rows

# lanes are computed in another order as tests compile usually
pytestmark = pytest.mark.optimized

N_STATES, N_SYLLABLES = 2, 4
N_SEQUENCES = 24
# each shape of a part is compiled; the shuffled parts have sequences of the same lengths
LENGTHS = np.tile([0, 1, 2, 47, 180, 180, 299, 299], 3)
_SHUFFLED = np.random.default_rng(1).permuted(np.arange(N_SEQUENCES).reshape(3, -1), axis=0)
PARTITIONS = {
    "reversed": [np.arange(N_SEQUENCES)[::-1]],
    "3 shuffled": [np.random.default_rng(2).permutation(part) for part in _SHUFFLED],
    "alone": [[7], [N_SEQUENCES - 1], [1, *range(8, N_SEQUENCES - 1)], [0, *range(2, 7)]],
}
CASES = [
    ("sequential", True, "reversed"),
    ("compressed", False, "reversed"),
    ("compressed", True, "reversed"),
    ("sequential", True, "3 shuffled"),
    ("parallel", True, "3 shuffled"),
    ("compressed", False, "3 shuffled"),
    ("sequential", True, "alone"),
]


@pytest.fixture(scope="module")
def sequences():
    """Return sequences of 0 to 299 timesteps, held for 1 to 19, with missing ones.

    Few lengths, and runs of the same lengths in all: a kernel is compiled for each shape.
    """
    rng = np.random.default_rng(0)
    durations, is_missing = rng.integers(1, 20, 300), rng.random(300) < 0.03
    found = []
    for length in LENGTHS:
        # no syllable follows itself
        labels = np.cumsum(rng.integers(1, N_SYLLABLES, 300)) % N_SYLLABLES
        held = np.repeat(labels, durations)[:300]
        held[is_missing] = -1
        found.append(held[:length].astype(np.int32))
    return found


@pytest.mark.parametrize(
    ("message_passing", "self_transitions", "partition"), slow_unless_rows(CASES[:1], CASES)
)
@double_precision
def test_parts_give_the_states_and_the_counts_of_the_whole(
    sequences, message_passing, self_transitions, partition, monkeypatch
):
    # parts of a fit share what was chosen for the whole
    monkeypatch.setattr(choose, "choose_n_powers", lambda *_: 8)
    monkeypatch.setattr(choose, "MIN_MEAN_RUN_PARALLEL", np.inf)
    draw = _draw_function(message_passing, self_transitions)
    states, counts = draw(sequences, np.arange(N_SEQUENCES))
    for value in counts:
        assert (np.asarray(value) == np.round(value)).all()
    total = jax.tree.map(np.zeros_like, counts)
    for part in PARTITIONS[partition]:
        of_part, counts_of_part = draw([sequences[i] for i in part], np.array(part))
        total = jax.tree.map(np.add, total, counts_of_part)
        for i, row in zip(part, of_part, strict=True):
            np.testing.assert_array_equal(row, states[i])
    for value, expected in zip(total, counts, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_messages_do_not_depend_on_the_lanes_beside_them():
    rng = np.random.default_rng(0)
    messages = rng.random((9, 600), np.float32)
    matrices = rng.random((9, 9, 1), np.float32)
    step = jax.jit(propagate)
    np.testing.assert_array_equal(
        step(messages[:, :300], matrices), step(messages, matrices)[:, :300]
    )


@functools.cache
def _draw_function(message_passing, self_transitions):
    terms = Terms(N_STATES, N_SYLLABLES, self_transitions=self_transitions)
    rng = np.random.default_rng(2)
    logits = EmissionLogits(
        rng.normal(size=(N_SYLLABLES, N_SYLLABLES)), rng.normal(size=(N_STATES, N_SYLLABLES))
    )
    update = jax.jit(gibbs.update_states, static_argnames="settings")
    trans_probs = 0.9 * np.eye(N_STATES) + 0.1 * rng.dirichlet(np.ones(N_STATES), N_STATES)

    def draw(sequences, numbers):
        prepared = prepare(RunLengths.of(sequences), terms, message_passing, every_timestep=False)
        data = _numbered(prepared.data, numbers)
        settings = Settings(Newton(10), "laplace", prepared.backend, terms, ())
        key = key_from_data(np.array([3, 4], np.uint32))
        states, stats, _ = update(key, logits, trans_probs, data, settings=settings)
        drawn = prepared._replace(data=data).runs_of_states([states], logits, trans_probs)
        return drawn.sequences, stats

    return draw


def _numbered(data, numbers):
    """Give the sequences of packed data their numbers among all."""
    packed = data.runs if data.n_cells else data
    counters = np.array(packed.counters)
    counters[0] = numbers[counters[0]]
    packed = packed._replace(counters=counters)
    return data._replace(runs=packed) if data.n_cells else packed
