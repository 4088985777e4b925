"""Models without self-transitions: a syllable that follows itself is held, and is no emission.

A timestep that holds a syllable has factor 1 in every state; at a change the softmax is over all
other syllables. `test_messages` compares message passing with enumeration over all paths.
"""

import itertools
import warnings

import jax
import numpy as np
import pytest

from hhmm import EfficientHHMM
from hhmm._emission_solvers.objective import emission_counts
from hhmm._inference import decode, initialise
from hhmm._model.simulate import simulate
from hhmm._model.terms import Terms
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._sequences import lanes, runs
from hhmm._sequences.read import DoubtfulDataWarning, resolve_self_transitions
from hhmm._sequences.run_lengths import RunLengths
from hhmm.datasets import make_hhmm
from hhmm.model_checks import _predictive
from tests import oracles
from tests._messages import backends
from tests.published import PUBLISHED

# chance that a correct sampler fails one of the statistical tests below; seeds are fixed
FALSE_ALARM = 1e-4
# settings of fits at fixed scales
HELD = PUBLISHED | {"self_transitions": False}
SEQUENCES = [
    np.array(x, np.int32)
    for x in (
        [0, 1, 1, 0, 2, 2, 2, 1],
        [0, 0, 0, 1, 1, 1, 1],
        [2, 2, 2, 2, 2, 2],  # never changes
        [1, 2, 2, -1, -1, 2, 2, 0],  # a hole, and the same syllable after it
        [0, -1, 0, 0, 1],
        [-1, -1, 1, 1, 0],
        [2, 0, 1, 2],  # never held
        [0, 0],
        [1, 0],
        [1],
    )
]


def make_model(n_states=3, n_syllables=3):
    rng = np.random.default_rng(5)
    return oracles.random_model_of_terms(
        rng, n_states, n_syllables, self_transitions=False, sigma=1.5
    )


def test_the_oracle_by_hand():
    """Two states, [0, 0, 1]: the emission of the last timestep, and nothing else."""
    model = make_model(n_states=2)
    q_s, q_k = oracles.helmert(3), oracles.helmert(2)
    logits = [
        model.emission_usage @ q_s.T
        + model.emission_base[0] @ q_s.T
        + q_k[k] @ (model.emission_biases + model.emission_interactions[:, 0]) @ q_s.T
        for k in range(2)
    ]
    p = [np.exp(row[1]) / (np.exp(row[1]) + np.exp(row[2])) for row in logits]
    last = np.full(2, 0.5) @ model.trans_probs @ model.trans_probs
    np.testing.assert_allclose(oracles.log_likelihood(model, [0, 0, 1]), np.log(last @ p))


@pytest.mark.parametrize(
    ("n_states", "n_syllables"),
    [
        (1, 3),
        (3, 2),  # what follows is certain: nothing tells states apart
    ],
)
def test_smallest_sizes(n_states, n_syllables):
    model = make_model(n_states, n_syllables)
    sequences = [x for x in SEQUENCES if x.max() < n_syllables]
    backend = backends.Backend("sequential")
    expected = [oracles.log_likelihood(model, x) for x in sequences]
    if n_syllables == 2:
        np.testing.assert_allclose(expected, 0, atol=1e-12)
    found = backends.log_likelihoods(backend, model, sequences)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    stats, log_likelihood = backends.expected_counts(backend, model, sequences)
    trans, syllables = oracles.expected_counts(model, sequences)
    np.testing.assert_allclose(stats.state_trans_counts, trans, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(stats.syllable_trans_counts, syllables, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(log_likelihood, sum(expected), rtol=1e-6, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sequential", "compressed"])
def test_a_long_sequence_of_long_runs(name):
    """Runs of up to 60 timesteps, and a hole; against forward-backward in logarithms."""
    backend = backends.variant(name)
    rng = np.random.default_rng(0)
    model = oracles.random_model_of_terms(rng, 3, 4, self_transitions=False)
    model = model._replace(trans_probs=np.full((3, 3), 0.01) + 0.97 * np.eye(3))
    steps = rng.integers(1, 4, 30)
    x = np.repeat(np.cumsum(steps) % 4, rng.integers(1, 60, 30)).astype(np.int32)
    x[300:340] = -1
    truth = oracles.LogForwardBackward(model, x)
    found = backends.log_likelihoods(backend, model, [x])
    np.testing.assert_allclose(found, [truth.log_likelihood], rtol=1e-9)
    smoothed = backends.by_timestep(decode.smooth, backend, model, [x])[0]
    np.testing.assert_allclose(smoothed, truth.smoothed, rtol=1e-4, atol=1e-5)
    (states,), stats, _ = backends.sample(backend, model, [x], seed=0)
    trans, syllables = oracles.count_transitions([x], [states], 3, 4, self_transitions=False)
    np.testing.assert_array_equal(stats.state_trans_counts, trans)
    np.testing.assert_array_equal(stats.syllable_trans_counts, syllables)


# How sequences are laid out


def test_pairs_that_hold_a_syllable_are_no_emissions():
    x = [np.array([0, 0, 1, 1, -1, 1, 2], np.int32), np.array([2, 2], np.int32)]
    pairs, starts = lanes.pair_codes(x, 3, self_transitions=False)
    np.testing.assert_array_equal(pairs, [9, 9, 1, 9, 9, 9, 5, 9, 9])
    np.testing.assert_array_equal(np.flatnonzero(starts), [0, 7])


@pytest.mark.parametrize("n_powers", [1, 2, 8])
def test_runs_without_emission_share_one_row_of_the_table(n_powers):
    """Every timestep is in one run, in order, with its emission or none."""
    packed, run_index, piece_index, shape = runs.pack_runs(
        RunLengths.of(SEQUENCES), 3, n_powers, self_transitions=False
    )
    assert packed.cell_counts.shape == (1, 1, n_powers)
    np.testing.assert_array_equal(lanes.held_pairs(packed), [9])
    pieces = runs.cut_pieces(SEQUENCES, 3, packed, piece_index, shape, self_transitions=False)
    by_position = pieces.sequences.pairs.T.reshape(-1)
    for i, x in enumerate(SEQUENCES):
        pairs, _ = lanes.pair_codes([x], 3, self_transitions=False)
        written = []
        for row in run_index.offsets[i] + np.arange(run_index.lengths[i]):
            place = row, run_index.lanes[i]
            table_row, power = divmod(packed.cells[place], n_powers)
            assert table_row == 0
            assert packed.positions[place] == piece_index.lanes[i] * shape[0] + len(written)
            written += [packed.pairs[place]] + [9] * power
        np.testing.assert_array_equal(written, pairs)
        begin = piece_index.lanes[i] * shape[0]
        np.testing.assert_array_equal(by_position[begin : begin + len(x)], pairs)


@double_precision
def test_counts_leave_out_what_is_held():
    """On the host, and reduced to what the solvers read."""
    rng, terms = np.random.default_rng(0), Terms(2, 3, tuple(oracles.TERMS), False)
    states = [rng.integers(0, 2, len(x)).astype(np.int32) for x in SEQUENCES]
    stats = initialise.count_states(states, SEQUENCES, terms)
    trans, syllables = oracles.count_transitions(SEQUENCES, states, 2, 3, self_transitions=False)
    np.testing.assert_array_equal(stats.state_trans_counts, trans)
    np.testing.assert_array_equal(stats.syllable_trans_counts, syllables)
    reduced = emission_counts(terms, stats)
    np.testing.assert_array_equal(reduced.departures, syllables.sum(axis=2))
    totals = terms.unstack(reduced.totals)
    np.testing.assert_array_equal(totals.usage, syllables.sum(axis=(0, 1)))
    np.testing.assert_array_equal(totals.base, syllables.sum(axis=0))
    np.testing.assert_array_equal(totals.biases, syllables.sum(axis=1))
    np.testing.assert_array_equal(totals.interactions, syllables)


# Simulation


@pytest.fixture(scope="module")
def simulated():
    """A model of all terms, and sequences whose syllables are held for times of their own."""
    model = make_model()
    table = np.array([[1, 1, 2, 5], [3, 3, 3, 3], [1, 2, 3, 4]], np.int32)
    with jax.enable_x64(True):
        syllables, states = simulate(
            key_from_random_state(0),
            backends.params_of(model),
            table,
            terms=backends.terms_of(model),
            n_sequences=1000,
            n_timesteps=60,
        )
    return model, table, np.asarray(syllables).T, np.asarray(states).T


def test_simulated_syllables_are_held_for_the_times_given(simulated):
    """Of runs that begin so early that even the longest would end within the sequence."""
    _, table, syllables, _ = simulated
    longest, found = table.max(), [[], [], []]
    for x in syllables:
        first = np.flatnonzero(np.diff(x, prepend=-1))
        for begin, n in zip(first, np.diff(first, append=len(x)), strict=True):
            if begin < len(x) - longest:
                found[x[begin]].append(n)
    for times, row in zip(found, table, strict=True):
        assert len(times) > 3000
        observed = np.bincount(times, minlength=longest + 1)
        expected = len(times) * np.bincount(row, minlength=longest + 1) / len(row)
        assert oracles.chi_square_p_value(observed, expected) > FALSE_ALARM


def test_simulated_changes_follow_the_state_of_their_timestep(simulated):
    model, _, syllables, states = simulated
    changes = syllables[:, 1:] != syllables[:, :-1]
    for k, i in itertools.product(range(3), range(3)):
        here = changes & (states[:, 1:] == k) & (syllables[:, :-1] == i)
        observed = np.bincount(syllables[:, 1:][here], minlength=3)
        expected = observed.sum() * oracles.syllable_trans_probs(model)[k, i]
        assert oracles.chi_square_p_value(observed, expected) > FALSE_ALARM


def test_simulated_states_move_on_while_a_syllable_is_held(simulated):
    model, _, syllables, states = simulated
    held = syllables[:, 1:] == syllables[:, :-1]
    for k in range(3):
        observed = np.bincount(states[:, 1:][held & (states[:, :-1] == k)], minlength=3)
        expected = observed.sum() * model.trans_probs[k]
        assert oracles.chi_square_p_value(observed, expected) > FALSE_ALARM


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        # cut off by both ends: 0 and 2; of those with others left out, and kept otherwise
        ([[0, 0, 1, 1, 1, 2, 2, 2, 2]], [[2], [3], [4]]),
        ([[0, 0, 1, 0, 0, 0, 1]], [[3], [1], [3, 1]]),
        ([[1, -1, 0, 0, -1, 1, 0, 1, 1, 0]], [[1], [2], [1, 2]]),  # none of 2: those of all
    ],
)
def test_holding_times_of_data(x, expected):
    """Each syllable has those of its whole runs, else of all its runs, else of all syllables."""
    table = runs.holding_times(RunLengths.of([np.array(row, np.int32) for row in x]), 3)
    assert table.shape == (3, runs.N_QUANTILES)
    for row, values in zip(table, expected, strict=True):
        assert set(row) == set(values)


# The estimator


@pytest.fixture(scope="module")
def data():
    return make_hhmm(
        10,
        300,
        2,
        4,
        emission_usage_sigma=1.0,
        emission_biases_sigma=2.0,
        holding_times=[1, 2, 4, 9],
        trans_kappa=200.0,
        random_state=0,
    )


@pytest.fixture(scope="module")
def fitted(data):
    scales = {"emission_usage_sigma": 1.0, "emission_interactions_sigma": 0.3}
    settings = {"algorithm": "em", "init": data.states}
    return EfficientHHMM(2, 4, **HELD | settings | scales).fit(data.X)


def test_a_fit_without_self_transitions(fitted, data):
    assert fitted.self_transitions_ is False
    probs = fitted.syllable_trans_probs_
    np.testing.assert_array_equal(np.einsum("kii->ki", probs), 0)
    np.testing.assert_allclose(probs.sum(axis=-1), 1)
    assert fitted.emission_interactions_.any()
    agreement = np.mean(fitted.predict(data.X) == data.states)
    assert max(agreement, 1 - agreement) > 0.75


def test_score_counts_changes_alone(fitted, data):
    n_changes = np.count_nonzero(np.diff(data.X, axis=1))
    np.testing.assert_allclose(
        fitted.score(data.X), fitted.score_samples(data.X).sum() / n_changes, rtol=1e-12
    )


def test_timesteps_that_hold_a_syllable_change_no_likelihood_of_one_state(data):
    """With one state nothing moves while a syllable is held: runs may be collapsed or not."""
    model = EfficientHHMM(1, 4, algorithm="em", **HELD).fit(data.X)
    collapsed = [x[np.flatnonzero(np.diff(x, prepend=-1))] for x in data.X]
    with pytest.warns(DoubtfulDataWarning, match="held for 1.0 timesteps on average"):
        of_collapsed = model.score_samples(collapsed)
    np.testing.assert_allclose(of_collapsed, model.score_samples(data.X), rtol=1e-9)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.repeat([0, 1, 2] * 6, 3), False),  # three timesteps each
        (np.repeat([0, 1, 2] * 6, 2), True),
        (np.tile([0, 1, 2, 1], 12), False),  # never held: runs were collapsed
        (np.zeros(20, int), True),  # never changes
        (np.array([0, 1, 2, 1]), True),  # too short to tell
    ],
)
def test_auto_goes_by_how_long_syllables_are_held(x, expected):
    assert resolve_self_transitions("auto", RunLengths.of([x.astype(np.int32)])) is expected


def test_auto_is_decided_in_a_fit(data):
    model = EfficientHHMM(1, 4, algorithm="em", **HELD | {"self_transitions": "auto"}).fit(data.X)
    assert model.self_transitions_ is False
    assert model.self_transitions == "auto"


def test_a_syllable_that_never_changes_is_refused():
    model = EfficientHHMM(1, 3, self_transitions=False)
    with pytest.raises(ValueError, match="no observed change of syllable"):
        model.fit([[0, 0, 0], [1, 1]])


def test_samples_of_a_fit_are_held_as_the_data_were(fitted, data):
    syllables, states = fitted.sample(50, 400, random_state=0)
    assert syllables.shape == states.shape == (50, 400)
    for x in (data.X, syllables):
        mean_run = x.size / (len(x) + np.count_nonzero(np.diff(x, axis=1)))
        assert 3 < mean_run < 5  # of 1, 2, 4 and 9 timesteps
    once, _ = fitted.sample(5, 50, random_state=0, holding_times=[1])
    assert (np.diff(once, axis=1) != 0).all()


def test_replicates_hold_syllables_where_the_data_do():
    """And where these change, follow the probabilities of the model; a gap conditions nothing."""
    model, rng = make_model(), np.random.default_rng(0)
    syllables = [np.repeat(rng.integers(0, 3, 200), rng.integers(1, 4, 200)) for _ in range(40)]
    for x in syllables:
        x[50:60] = -1
    replicate, states = _predictive._replicate(
        backends.params_of(model),
        backends.terms_of(model),
        syllables,
        None,
        np.random.RandomState(0),
    )
    counts = np.zeros((3, 3, 3))
    for x, copy, z in zip(syllables, replicate, states, strict=True):
        np.testing.assert_array_equal(copy == -1, x == -1)
        seen = (x[1:] >= 0) & (x[:-1] >= 0)
        np.testing.assert_array_equal((np.diff(copy) == 0)[seen], (np.diff(x) == 0)[seen])
        assert copy[60] == x[60]
        changes = seen & (np.diff(x) != 0)
        np.add.at(counts, (z[1:][changes], copy[:-1][changes], copy[1:][changes]), 1)
    for k, i in np.ndindex(3, 3):
        expected = counts[k, i].sum() * oracles.syllable_trans_probs(model)[k, i]
        assert oracles.chi_square_p_value(counts[k, i], expected) > FALSE_ALARM / 9


@pytest.mark.parametrize(
    ("holding_times", "message"),
    [
        ([0, 1], "holding_times must be"),
        ([1.5], r"holding_times must be.*got \[1.5\]"),
        ([[1], [2]], "got 2 arrays"),
        ([[1], [2], [], [1]], "syllable 2"),
        (3, "holding_times.* must be"),
    ],
)
def test_holding_times_that_cannot_be_are_refused(fitted, holding_times, message):
    with pytest.raises(ValueError, match=message):
        fitted.sample(1, 10, holding_times=holding_times)
    with pytest.raises(ValueError, match=message):
        make_hhmm(1, 10, 2, 4, holding_times=holding_times)


def test_holding_times_of_a_model_that_has_none():
    parameters = make_hhmm(1, 2, 2, 3, random_state=0)
    given = (parameters[name] for name in ("emission_base", "emission_biases", "trans_probs"))
    model = EfficientHHMM.from_params(*given)
    with pytest.raises(ValueError, match="models without self-transitions"):
        model.sample(1, 10, holding_times=[1])
    model = EfficientHHMM.from_params(
        *(parameters[name] for name in ("emission_base", "emission_biases", "trans_probs")),
        self_transitions=False,
    )
    with pytest.raises(ValueError, match="give holding_times"):
        model.sample(1, 10)
    assert (np.diff(model.sample(1, 10, holding_times=[1])[0]) != 0).all()


def test_parameters_of_held_syllables_given_to_a_model_of_all_transitions():
    """Nothing but the data can tell; a model that was fitted has its own warnings."""
    data = make_hhmm(4, 200, n_states=2, n_syllables=4, holding_times=[5, 8], random_state=0)
    given = data.emission_base, data.emission_biases, data.trans_probs
    with pytest.warns(DoubtfulDataWarning, match="give self_transitions=False to from_params"):
        EfficientHHMM.from_params(*given).predict(data.X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        EfficientHHMM.from_params(*given, self_transitions=False).predict(data.X)
