"""Exchanges of states: what a move leaves as it is, and that the search leaves a poor mode."""

import numpy as np
import pytest

from hhmm import EfficientHHMM
from hhmm._emission_solvers import Newton
from hhmm._inference import initialise, search, split_merge
from hhmm._inference.chain import Settings
from hhmm._model.terms import Factor, Terms
from hhmm._runtime.precision import double_precision
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import EmissionLogits, Priors
from hhmm.datasets import make_hhmm
from tests.published import PUBLISHED

PRIORS = Priors(*map(np.float64, (1.0, 1.0, 1.0, 100.0)))


def _centred(rng, shape, axes):
    values = rng.standard_normal(shape)
    for axis in axes:
        values -= values.mean(axis=axis, keepdims=True)
    return values


@pytest.mark.parametrize("merges", [False, True])
def test_a_move_changes_what_depends_on_states_alone(merges):
    rng = np.random.default_rng(0)
    K, S, G = 4, 5, 3
    logits = EmissionLogits(
        base=_centred(rng, (S, S), [1]),
        biases=_centred(rng, (K, S), [0, 1]),
        usage=_centred(rng, (S,), [0]),
        interactions=_centred(rng, (K, S, S), [0, 1, 2]),
        group_emissions=(_centred(rng, (G, S), [0, 1]),),
        group_states=(_centred(rng, (G, K, S), [0, 1, 2]),),
        group_transitions=(_centred(rng, (G, K, K), [0, 2]),),
    )
    trans_probs = rng.dirichlet(np.ones(K), size=K)
    usage = np.array([0.4, 0.3, 0.2, 0.1])
    moves = np.random.RandomState(1)
    freed, split, kept = np.random.RandomState(1).permutation(K)[:3]
    names = ("usage", "base", "biases", "interactions", "group_emissions", "group_states")
    terms = Terms(K, S, names, factors=(Factor(G, (0, 1, 2)),), trans_by_group=True)
    settings = Settings(Newton(500), "laplace", "sequential", terms)
    chain = initialise.start_from_params(logits, trans_probs, PRIORS, settings=settings)
    moved, probs = split_merge._move(moves, chain, usage, terms, merges=merges)
    for name in ("base", "usage", "group_emissions"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(logits, name))
    np.testing.assert_allclose(probs.sum(axis=1), 1)
    assert (probs > 0).all()
    (states,), (transitions,) = moved.group_states, moved.group_transitions
    for values, axes in (
        (moved.biases, (0, 1)),
        (moved.interactions, (0, 1, 2)),
        (states, (0, 1, 2)),
        (transitions, (0, 2)),
    ):
        for axis in axes:
            np.testing.assert_allclose(values.sum(axis=axis), 0, atol=1e-12)
    # both halves are the state that is split, but for a step to either side
    np.testing.assert_allclose(moved.interactions[freed], moved.interactions[split])
    np.testing.assert_allclose(states[:, freed], states[:, split])
    np.testing.assert_allclose(transitions[:, freed], transitions[:, split])
    np.testing.assert_allclose(transitions[:, :, freed], transitions[:, :, split])
    others = np.setdiff1d(np.arange(K), [freed, split])
    middle = (moved.biases[freed] + moved.biases[split]) / 2
    if merges:
        others = others[others != kept]
        share = usage[freed] / (usage[freed] + usage[kept])
        both = share * logits.biases[freed] + (1 - share) * logits.biases[kept]
        np.testing.assert_allclose(
            moved.biases[kept] - middle, both - logits.biases[split], atol=1e-12
        )
    expected = logits.biases[others] - logits.biases[split]
    np.testing.assert_allclose(moved.biases[others] - middle, expected, atol=1e-12)


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

    def slow(rng, family, work, groups, priors, settings):
        yield initialise.start_from_states(poor, work, priors, settings=settings, groups=groups)

    monkeypatch.setattr(search, "FEW_TIMESTEPS", 0)
    monkeypatch.setattr(search, "_slow", slow)
    monkeypatch.setattr(search, "_random", lambda *_: iter(()))


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
    monkeypatch.setattr(search, "FEW_CELLS", 0)  # no exchanges where an iteration takes long
    assert _search(problem) < truth - 30


@pytest.mark.slow
def test_effects_of_groups_go_with_their_states(problem, monkeypatch):
    data, _ = problem
    moves, move = [], split_merge._move

    def noting(*args, **kwargs):
        moves.append(move(*args, **kwargs))
        return moves[-1]

    monkeypatch.setattr(split_merge, "_move", noting)
    _start_poorly(problem, monkeypatch)
    model = EfficientHHMM(
        3,
        8,
        algorithm="em",
        max_iter=2,
        group_states_sigma=0.5,
        group_transitions_sigma=0.5,
    )
    model.fit(data.X, groups=["a", "b"] * (len(data.X) // 2))
    assert np.isfinite(model.log_joint_).all()
    assert len(moves) >= search.N_EXCHANGES
    assert all(logits.group_states and logits.group_transitions for logits, _ in moves)
