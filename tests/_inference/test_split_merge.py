"""Exchanges of states: what a move leaves as it is, and that the search leaves a poor mode."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import binomtest

from hhmm import EfficientHHMM
from hhmm._emission_solvers import Newton
from hhmm._inference import initialise, search, search_starts, split_merge
from hhmm._inference.chain import Settings
from hhmm._model.terms import Factor, Terms
from hhmm._runtime.precision import double_precision
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Priors
from hhmm.datasets import make_hhmm
from hhmm.metrics import matched_accuracy
from tests.published import PUBLISHED

PRIORS = Priors(*map(np.float64, (1.0, 1.0, 1.0, 100.0)))


def test_a_move_frees_a_state_and_splits_another_one(problem):
    """State 0 holds two of three regimes, the others the third one."""
    data, poor = problem
    rng = np.random.default_rng(1)
    # the second most probable state of timesteps in 2 is 1, elsewhere it is any
    probs = [np.full((len(z), 4), 0.05) + 0.01 * rng.random((len(z), 4)) for z in poor]
    for p, z in zip(probs, poor, strict=True):
        p[z == 2, 1] = 0.4
        p[np.arange(len(z)), z] = 0.8
    states = split_merge.states_after(
        split_merge.Move(freed=2, split=0, length=16),
        np.random.RandomState(0),
        probs,
        data.X.astype(np.int32),
        terms=Terms(4, 8),
    )
    for new, z in zip(states, poor, strict=True):
        np.testing.assert_array_equal(new[z > 0], 1)
        assert np.isin(new[z == 0], [0, 2]).all()
    flat, regimes = np.concatenate(states), np.concatenate(data.states)
    held = regimes != 2
    assert matched_accuracy(regimes[held], flat[held] // 2) > 0.9


def test_moves_are_in_random_order_and_none_twice():
    """Orders begin with each move as often as its weight says; 12 tests at 1e-4 each."""
    terms, n_orders = Terms(3, 2), 1000
    z = np.repeat([0, 1, 2, 0, 1, 2], [10, 4, 2, 10, 8, 5])
    probs, sequences = [np.eye(3)[z]], [np.arange(len(z), dtype=np.int32) % 2]
    n_stays = np.bincount(z[1:][z[1:] == z[:-1]], minlength=3)
    lengths, n_timesteps = [8, 16], np.bincount(z) + 1
    expected = {}
    for split, others in enumerate([(1, 2), (0, 2), (0, 1)]):
        for freed, other in (others, others[::-1]):
            share = n_timesteps[other] / (n_timesteps[other] + n_timesteps[freed])
            for length, by_length in zip(lengths, (2 / 3, 1 / 3), strict=True):
                weight = n_stays[split] / n_stays.sum() * share * by_length
                expected[split_merge.Move(freed, split, length)] = weight
    rng, first = np.random.RandomState(0), Counter()
    for _ in range(n_orders):
        moves = split_merge.random_moves(rng, probs, sequences, lengths, terms)
        assert set(moves) == set(expected)
        assert len(moves) == len(expected)
        first[moves[0]] += 1
    for move, weight in expected.items():
        assert binomtest(first[move], n_orders, weight).pvalue > 1e-4
    # where no state goes on there is nothing to split
    alone = [np.eye(3)[np.arange(39) % 3]]
    assert split_merge.random_moves(rng, alone, [sequences[0]], lengths, terms) == []


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (Terms(2, 4), True),
        (Terms(2, 4, ("usage", "base", "interactions")), True),
        (Terms(1, 4), False),
        (Terms(2, 4, ("usage", "base")), False),
        (Terms(2, 4, ("base", "group_states"), factors=(Factor(2, (0, 1)),)), False),
    ],
)
def test_states_part_in_a_term_of_their_own(terms, expected):
    assert split_merge.can_move(terms) is expected


@pytest.fixture(scope="module", name="problem")
def three_regimes():
    """Return data of three states, and a start with one for two of them, and two for the third."""
    data = make_hhmm(20, 400, n_states=3, n_syllables=8, random_state=2)
    rng = np.random.default_rng(0)
    poor = []
    for states in data.states:
        halves = rng.integers(1, 3, size=len(states) // 40 + 1).repeat(40)[: len(states)]
        poor.append(np.where(states == 2, halves, 0).astype(np.int32))
    return data, poor


def _start_poorly(problem, monkeypatch):
    _, poor = problem

    def make_starts(rng, family, data, priors, *, settings):
        yield initialise.start_from_states(poor, data.sequences, priors, settings=settings)

    monkeypatch.setattr(search_starts, "FEW_TIMESTEPS", 0)
    monkeypatch.setattr(search, "FAMILIES", ("slow",))
    monkeypatch.setattr(search, "make_starts", make_starts)


def _search(problem):
    """Return the log joint where a search ends."""
    data, _ = problem
    (finalist,), _ = double_precision(search.search)(
        np.random.RandomState(0),
        RunLengths.of([x.astype(np.int32) for x in data.X]),
        PRIORS,
        settings=Settings(Newton(500), "laplace", "sequential", Terms(3, 8)),
    )
    return finalist.log_joint


def test_a_search_leaves_a_mode_with_one_state_for_two_kinds(problem, monkeypatch):
    """Compare with EM from the truth; without exchanges the poor start ends far below."""
    data, _ = problem
    settings = PUBLISHED | {"algorithm": "em", "max_iter": 300}
    truth = EfficientHHMM(3, 8, init=list(data.states), **settings).fit(data.X).log_joint_[0, -1]
    _start_poorly(problem, monkeypatch)
    assert _search(problem) > truth - 1
    monkeypatch.setattr(search_starts, "FEW_CELLS", 0)  # no exchanges: an iteration takes long
    assert _search(problem) < truth - 30


@pytest.mark.slow
def test_states_of_a_model_with_groups_are_exchanged(problem, monkeypatch):
    """Effects of groups, and syllables that are held, go through a search with exchanges."""
    data, _ = problem
    moves, states_after = [], split_merge.states_after

    def noting(move, *args, **kwargs):
        moves.append(move)
        return states_after(move, *args, **kwargs)

    monkeypatch.setattr(split_merge, "states_after", noting)
    _start_poorly(problem, monkeypatch)
    model = EfficientHHMM(
        3,
        8,
        algorithm="em",
        max_iter=2,
        self_transitions=False,
        group_states_sigma=0.5,
        group_transitions_sigma=0.5,
    )
    model.fit(data.X, groups=["a", "b"] * (len(data.X) // 2))
    assert np.isfinite(model.log_joint_).all()
    assert len(moves) >= search.N_EXCHANGES
