"""posterior_predictive_check: its replicates, its statistics and what it finds.

Random tests have fixed seeds. Tolerances of four standard errors raise one false alarm in
16,000 draws of the seed for each value compared, unless said otherwise.
"""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from hhmm import EfficientHHMM
from hhmm._model.terms import Terms
from hhmm._types import Posterior
from hhmm.datasets import make_hhmm
from hhmm.metrics import state_durations
from hhmm.model_checks import PredictiveCheck, _predictive, posterior_predictive_check

N_STATES, N_SYLLABLES = 2, 4
TERMS = Terms(N_STATES, N_SYLLABLES)


def make_model(stay=0.95, seed=0):
    """A model whose states can be told apart, that stays in each for 1 / (1 - stay) timesteps."""
    rng = np.random.default_rng(seed)
    leave = (1 - stay) / (N_STATES - 1)
    return EfficientHHMM.from_params(
        rng.normal(size=(N_SYLLABLES, N_SYLLABLES - 1)),
        2 * rng.normal(size=(N_STATES - 1, N_SYLLABLES - 1)),
        np.full((N_STATES, N_STATES), leave) + (stay - leave) * np.eye(N_STATES),
    )


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def recordings(model):
    return model.sample(12, 100, random_state=0)[0]


def emit(model, paths, seed):
    """Syllables of given states, by a loop over timesteps."""
    rng = np.random.default_rng(seed)
    probs = model.syllable_trans_probs_
    sequences = []
    for states in paths:
        x = [rng.integers(N_SYLLABLES)]
        for state in states[1:]:
            x.append(rng.choice(N_SYLLABLES, p=probs[state, x[-1]]))
        sequences.append(np.array(x))
    return sequences


# Replicates


def with_gaps(rng, lengths):
    sequences = [rng.integers(0, N_SYLLABLES, length).astype(np.int32) for length in lengths]
    for x in sequences:
        x[rng.random(x.size) < 0.2] = -1
        x[-1] = 0
    return sequences


def test_replicates_have_lengths_gaps_and_what_the_model_conditions_on(model):
    syllables = with_gaps(np.random.default_rng(0), [30, 1, 2, 17])
    params, rng = model._params(), np.random.RandomState(0)
    replicate, states = _predictive._replicate(params, TERMS, syllables, None, rng)
    n_differing = 0
    for x, copy, z in zip(syllables, replicate, states, strict=True):
        assert copy.shape == z.shape == x.shape
        np.testing.assert_array_equal(copy == -1, x == -1)
        for t in range(x.size):
            given = t == 0 or x[t - 1] < 0
            assert copy[t] == x[t] or not given
        n_differing += np.sum(copy != x)
        assert set(z) <= set(range(N_STATES))
    assert n_differing > 5


def test_replicates_have_the_effects_of_their_groups():
    """Use of syllables by animal, data from `sample`: 12 numbers below 4.5 sd, 1e-4 in all."""
    effects = np.array([[1.5, -1.0, -0.5], [-1.5, 1.0, 0.5]])
    model = EfficientHHMM.from_params(
        np.zeros((3, 2)),
        [[1.0, -1.0]],
        [[0.9, 0.1], [0.2, 0.8]],
        group_labels={"animal": ["a", "b"]},
        group_emissions={"animal": effects},
        group_transitions={"animal": [[[1.0, -1.0], [0.0, 0.0]], [[-1.0, 1.0], [0.0, 0.0]]]},
    )
    animals = ["b", "a", "a", "b"] * 5
    X, _ = model.sample(20, 300, random_state=0, groups=animals)
    of_a = np.array(animals) == "a"

    def by_animal(syllables, states):
        pairs = np.array([x + 3 * z for x, z in zip(syllables, states, strict=True)])
        return [np.bincount(part.ravel(), minlength=6) for part in (pairs[of_a], pairs[~of_a])]

    settings = {"statistic": by_animal, "n_replicates": 60, "random_state": 0}
    for groups, is_close in (
        (animals, True),
        (pd.DataFrame({"animal": animals}), True),
        (None, False),
    ):
        check = posterior_predictive_check(model, X, groups=groups, **settings)
        sd = np.hypot(check.replicated.std(axis=0), check.observed.std(axis=0))
        z = (check.observed.mean(axis=0) - check.replicated.mean(axis=0)) / sd
        assert (np.abs(z).max() < 4.5) == is_close
    part = posterior_predictive_check(
        model, X, groups=animals, max_timesteps=900, statistic="syllable_usage", n_replicates=20
    )
    assert len(part.sequences) == 3
    with pytest.raises(ValueError, match="groups must have a label for each of the 20 sequences"):
        posterior_predictive_check(model, X, groups=animals[:-1])


def test_replicates_follow_the_probabilities_of_the_model(model):
    syllables = with_gaps(np.random.default_rng(1), [300] * 60)
    params, rng = model._params(), np.random.RandomState(1)
    replicate, states = _predictive._replicate(params, TERMS, syllables, None, rng)
    first_states = np.array([z[0] for z in states])
    assert abs(first_states.mean() - 0.5) < 4 * np.sqrt(0.25 / 60)

    state_counts = np.zeros((N_STATES, N_STATES))
    syllable_counts = np.zeros((N_STATES, N_SYLLABLES, N_SYLLABLES))
    for x, z in zip(replicate, states, strict=True):
        np.add.at(state_counts, (z[:-1], z[1:]), 1)
        both = (x[:-1] >= 0) & (x[1:] >= 0)
        np.add.at(syllable_counts, (z[1:][both], x[:-1][both], x[1:][both]), 1)
    for counts, probs in [
        (state_counts, model.trans_probs_),
        (syllable_counts, model.syllable_trans_probs_),
    ]:
        n = counts.sum(axis=-1, keepdims=True)
        assert (np.abs(counts / n - probs) < 4 * np.sqrt(probs * (1 - probs) / n)).all()


def test_data_of_the_model_falls_anywhere_among_its_replicates(model):
    # Given the true parameters, data is one more replicate: its rank is uniform. With 40 data
    # sets, a p-value of the Kolmogorov-Smirnov test below 1e-4 is one false alarm in 10,000.
    def same_twice(syllables, states):
        return sum((x[1:] == x[:-1]).sum() for x in syllables)

    def n_changes(syllables, states):
        return sum((z[1:] != z[:-1]).sum() for z in states)

    ranks, of_states = [], []
    for seed in range(40):
        X = model.sample(4, 100, random_state=seed)[0]
        arguments = {"n_replicates": 9, "random_state": seed}
        check = posterior_predictive_check(model, X, statistic=same_twice, **arguments)
        ranks.append(check.p_values * 9 + np.random.default_rng(seed).random())
        check = posterior_predictive_check(
            model, X, statistic=n_changes, n_replicates=1, random_state=seed
        )
        of_states.append(check.p_values)
    assert kstest(np.array(ranks) / 10, "uniform").pvalue > 1e-4
    # A draw of the states of data and those of one replicate are exchangeable.
    assert abs(np.mean(of_states) - 0.5) < 4 * np.sqrt(0.25 / 40)


# What it finds


def paths_with_durations(draw, n_sequences=10, n_timesteps=1000, seed=0):
    rng = np.random.default_rng(seed)
    paths = []
    for _ in range(n_sequences):
        durations = draw(rng, n_timesteps)
        states = (np.arange(n_timesteps) + rng.integers(N_STATES)) % N_STATES
        paths.append(np.repeat(states, durations)[:n_timesteps])
    return paths


DURATIONS = {
    # all with a mean of 50 timesteps
    "geometric": lambda rng, n: rng.geometric(1 / 50, n),
    "heavy-tailed": lambda rng, n: np.where(rng.random(n) < 0.9, 20, 320),
    "regular": lambda rng, n: np.full(n, 50),
}


@pytest.fixture(scope="module")
def checks_of_durations():
    model = make_model(stay=1 - 1 / 50)
    return {
        name: posterior_predictive_check(
            model,
            emit(model, paths_with_durations(draw), seed=1),
            n_replicates=60,
            random_state=0,
        )
        for name, draw in DURATIONS.items()
    }


def test_geometric_durations_are_not_remarkable(checks_of_durations):
    # Of ten p-values, each 0 or 1 in two of 61 data sets at most.
    check = checks_of_durations["geometric"]
    assert check.p_values.shape == (N_STATES, 5)
    assert ((check.p_values > 0) & (check.p_values < 1)).all()


def test_heavy_tails_are_seen(checks_of_durations):
    check = checks_of_durations["heavy-tailed"]
    _, standard_deviation, median, _, _ = check.p_values.T
    assert check.columns[1:3] == ("standard deviation", "median")
    assert (standard_deviation < 0.02).all()
    assert (median > 0.98).all()


def test_durations_that_are_too_regular_are_seen(checks_of_durations):
    check = checks_of_durations["regular"]
    assert (check.p_values[:, 1] == 1).all()
    assert (check.p_values[:, 4] > 0.98).all()


def test_syllables_that_the_model_does_not_make_are_seen(model, recordings):
    wrong = recordings.copy()
    wrong[:, 10:] = np.where(recordings[:, 10:] == 3, 2, recordings[:, 10:])
    check = posterior_predictive_check(
        model, wrong, statistic="syllable_usage", n_replicates=30, random_state=0
    )
    assert check.p_values[3] == 1
    assert check.p_values[2] == 0
    check = posterior_predictive_check(
        model, wrong, statistic="syllable_transitions", n_replicates=30, random_state=0
    )
    assert check.p_values[2, 2] == 0
    held = np.repeat(recordings, 3, axis=1)[:, :100]
    check = posterior_predictive_check(
        model, held, statistic="syllable_durations", n_replicates=30, random_state=0
    )
    assert (check.p_values[:, 0] == 0).all()


# Statistics


def test_statistics_of_the_data_are_what_they_say(model, recordings):
    sequences = [x.copy() for x in recordings]
    sequences[0][5:8] = -1
    sequences[1] = sequences[1][:60]
    flat = np.concatenate([x[x >= 0] for x in sequences])

    def check(statistic):
        found = posterior_predictive_check(
            model, sequences, statistic=statistic, n_replicates=3, random_state=0
        )
        assert isinstance(found, PredictiveCheck)
        assert found.statistic == statistic
        assert found.observed.shape == found.replicated.shape == (3, *found.p_values.shape)
        np.testing.assert_array_equal(
            found.observed, np.tile(found.observed[0], (3, *[1] * found.p_values.ndim))
        )
        assert not np.array_equal(found.replicated[0], found.replicated[1])
        return found

    usage = check("syllable_usage")
    np.testing.assert_allclose(usage.observed[0], np.bincount(flat, minlength=4) / flat.size)
    assert usage.columns == ()
    transitions = np.zeros((4, 4))
    for x in sequences:
        for one, other in itertools.pairwise(x):
            if one >= 0 and other >= 0:
                transitions[one, other] += 1
    np.testing.assert_array_equal(check("syllable_transitions").observed[0], transitions)
    durations = check("syllable_durations")
    runs = state_durations(sequences, n_states=4)[2]
    expected = [runs.mean(), runs.std(), np.median(runs), np.quantile(runs, 0.9), runs.max()]
    np.testing.assert_allclose(durations.observed[0, 2], expected)
    assert durations.columns == ("mean", "standard deviation", "median", "90% quantile", "longest")


def test_statistics_of_states_are_of_draws_given_the_data(model, recordings):
    drawn = []

    def keep(syllables, states):
        drawn.append((syllables, states))
        return 0

    arguments = {"n_replicates": 4, "random_state": 3}
    posterior_predictive_check(model, recordings, statistic=keep, **arguments)
    assert len(drawn) == 8
    of_data = [states for syllables, states in drawn if np.array_equal(syllables, recordings)]
    assert len(of_data) == 4
    # states that can be told apart are the ones that the Viterbi path has, but for a few
    assert all(np.mean(np.array(states) == model.predict(recordings)) > 0.7 for states in of_data)
    assert not np.array_equal(of_data[0], of_data[1])
    check = posterior_predictive_check(model, recordings, statistic="state_usage", **arguments)
    expected = [[np.mean(np.array(states) == k) for k in range(2)] for states in of_data]
    np.testing.assert_allclose(check.observed, expected)
    check = posterior_predictive_check(model, recordings, statistic="state_durations", **arguments)
    expected = [
        [bouts.max() for bouts in state_durations(states, n_states=2)] for states in of_data
    ]
    np.testing.assert_array_equal(check.observed[..., 4], expected)


def test_replicates_are_the_same_for_all_statistics(model, recordings):
    copies = []

    def keep(syllables, states):
        copies.append(syllables)
        return 0

    posterior_predictive_check(model, recordings, statistic=keep, n_replicates=2, random_state=5)
    check = posterior_predictive_check(
        model, recordings, statistic="syllable_usage", n_replicates=2, random_state=5
    )
    for i, copy in enumerate(copies[::2]):
        expected = np.bincount(np.concatenate(copy), minlength=4) / recordings.size
        np.testing.assert_allclose(check.replicated[i], expected)


def test_own_statistics_may_have_any_shape(model, recordings):

    def shaped(syllables, states):
        return np.full((2, 3), len(syllables))

    check = posterior_predictive_check(
        model, recordings, statistic=shaped, n_replicates=2, random_state=0
    )
    assert check.statistic == "shaped"
    assert check.observed.shape == (2, 2, 3)
    np.testing.assert_array_equal(check.p_values, np.full((2, 3), 0.5))

    class Nameless:
        n_calls = 0

        def __call__(self, syllables, states):
            self.n_calls += 1
            return np.zeros(self.n_calls)

    with pytest.raises(ValueError, match=r"Nameless must return arrays of one shape, got \(1,\)"):
        posterior_predictive_check(model, recordings, statistic=Nameless(), n_replicates=2)


def test_p_values_by_hand():
    observed = np.array([[1.0, np.nan, 0.0], [1.0, 2.0, 0.0], [1.0, 2.0, 0.0], [1.0, 2.0, 0.0]])
    replicated = np.array(
        [[2.0, 9.0, np.nan], [1.0, 3.0, np.nan], [0.0, 1.0, np.nan], [5.0, np.nan, np.nan]]
    )
    p_values = _predictive._p_values(observed, replicated)
    np.testing.assert_array_equal(p_values, [2.5 / 4, 1 / 2, np.nan])


def test_a_state_without_a_bout_has_no_durations():
    summaries = _predictive._of_durations([np.array([0, 0, 2])], 3)
    np.testing.assert_array_equal(np.isnan(summaries).all(axis=1), [False, True, False])
    np.testing.assert_array_equal(summaries[0], [2, 0, 2, 2, 2])


# Which parameters and which sequences


def test_draws_of_the_chains_that_agree_are_used_in_turn(model, recordings, monkeypatch):
    used = []

    def replicate(params, terms, syllables, of_sequences, rng):
        assert terms == TERMS
        used.append(params.trans_probs[0, 0])
        return syllables, [np.zeros(x.size, int) for x in syllables]

    monkeypatch.setattr(_predictive, "_replicate", replicate)

    def staying(n_replicates, model):
        used.clear()
        posterior_predictive_check(
            model, recordings, statistic="syllable_usage", n_replicates=n_replicates
        )
        return used

    assert staying(3, model) == [model.trans_probs_[0, 0]] * 3

    fitted = make_model()
    stay = np.array([[0.5, 0.55, 0.6, 0.65], [0.7, 0.75, 0.8, 0.85]])
    fitted.posterior_ = Posterior(
        np.tile(model.emission_base_, (2, 4, 1, 1)),
        np.tile(model.emission_biases_, (2, 4, 1, 1)),
        np.stack([np.stack([stay, 1 - stay], -1), np.stack([1 - stay, stay], -1)], -2),
        np.zeros((2, 4)),
    )
    noise = np.random.default_rng(0).normal(size=(2, 40))
    fitted.log_joint_ = noise - [[500.0], [0.0]]  # the second chain alone is in the best mode
    np.testing.assert_allclose(staying(4, fitted), [0.7, 0.75, 0.8, 0.85])
    np.testing.assert_allclose(staying(2, fitted), [0.7, 0.8])
    np.testing.assert_allclose(staying(6, fitted), [0.7, 0.7, 0.75, 0.8, 0.8, 0.85])
    fitted.log_joint_ = noise
    np.testing.assert_allclose(staying(8, fitted), stay.ravel())


def test_a_gibbs_fit_is_checked():
    # shapes and settings of the examples of the package: their compiled program serves here
    X = make_hhmm(24, 200, n_states=2, n_syllables=5, random_state=0).X
    model = EfficientHHMM(2, init="prior", max_iter=60, random_state=0)
    check = posterior_predictive_check(model.fit(X), X, n_replicates=4, random_state=0)
    assert check.observed.shape == (4, 2, 5)


def test_sequences_without_a_timestep_are_left_out_and_the_rest_is_kept(model, recordings):
    sequences = [recordings[0], np.full(5, -1), recordings[1], np.empty(0, int)]
    check = posterior_predictive_check(
        model, sequences, statistic="syllable_usage", n_replicates=2, random_state=0
    )
    np.testing.assert_array_equal(check.sequences, [0, 2])


def test_no_more_timesteps_are_used_than_allowed(model):
    lengths = np.array([50, 10, 30, 20, 40])
    sequences = [np.zeros(length, int) for length in lengths]
    used = set()
    for seed in range(8):
        check = posterior_predictive_check(
            model,
            sequences,
            statistic="syllable_usage",
            n_replicates=1,
            max_timesteps=70,
            random_state=seed,
        )
        assert lengths[check.sequences].sum() <= 70
        assert (np.diff(check.sequences) > 0).all()
        used |= set(check.sequences.tolist())
    assert used == set(range(5))
    equal = [np.zeros(30, int) for _ in range(5)]
    for max_timesteps, n_used in ((5, 1), (60, 2), (89, 2), (150, 5), (None, 5)):
        check = posterior_predictive_check(
            model,
            equal,
            statistic="syllable_usage",
            n_replicates=1,
            max_timesteps=max_timesteps,
            random_state=0,
        )
        assert check.sequences.size == n_used


def test_every_form_of_the_same_sequences_gives_the_same(model, recordings):
    rows = recordings[:3].astype(float)
    rows[0, 60:] = np.nan
    rows[1, 20:25] = np.nan
    mask = ~np.isnan(rows)
    integers = np.where(mask, rows, 0).astype(int)
    expected = posterior_predictive_check(model, rows, n_replicates=2, random_state=0)
    listed = [row[: 60 if i == 0 else None] for i, row in enumerate(rows)]
    for data, given_mask in (
        (listed, None),
        (integers, mask),
        (np.ma.masked_array(integers, ~mask), None),
    ):
        check = posterior_predictive_check(
            model, data, mask=given_mask, n_replicates=2, random_state=0
        )
        np.testing.assert_array_equal(check.observed, expected.observed)
        np.testing.assert_array_equal(check.replicated, expected.replicated)


def test_equal_seeds_give_equal_checks(model, recordings):

    def replicated(seed):
        return posterior_predictive_check(
            model, recordings, n_replicates=2, random_state=seed
        ).replicated

    np.testing.assert_array_equal(replicated(1), replicated(1))
    assert not np.array_equal(replicated(1), replicated(2))
    rng = np.random.RandomState(1)
    assert not np.array_equal(replicated(rng), replicated(rng))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"statistic": "durations"}, ValueError, "one of 'state_durations', .* got 'durations'"),
        ({"statistic": 3}, ValueError, "callable or one of .* got 3"),
        (
            {"statistic": ["state_usage"]},
            ValueError,
            r"callable or one of .* got \['state_usage'\]",
        ),
        ({"n_replicates": 0}, ValueError, "n_replicates == 0, must be >= 1"),
        ({"n_replicates": 2.0}, TypeError, "n_replicates must be an instance of int"),
        ({"max_timesteps": 0}, ValueError, "max_timesteps == 0, must be >= 1"),
        ({"max_timesteps": 1e6}, TypeError, "max_timesteps must be an instance of int"),
        ({"X": [[0, 4]]}, ValueError, r"syllable 4 \(sequence 0, timestep 1\), .* fitted with 4"),
        ({"X": [[-1], [-1, -1]]}, ValueError, r"an observed timestep, got none in 2 sequence\(s\)"),
        ({"X": [0, 1]}, ValueError, "got a list of 2 single values"),
    ],
)
def test_arguments_are_checked_before_any_work(model, monkeypatch, arguments, error, message):
    monkeypatch.setattr(_predictive, "_replicate", None)
    with pytest.raises(error, match=message):
        posterior_predictive_check(**({"model": model, "X": [[0, 1, 2]]} | arguments))


def test_a_pipeline_is_refused(model):
    with pytest.raises(TypeError, match=r"got Pipeline\. For a pipeline, give its last step"):
        posterior_predictive_check(make_pipeline(model), [[0, 1]])


def test_a_model_must_be_fitted():
    with pytest.raises(NotFittedError):
        posterior_predictive_check(EfficientHHMM(2), [[0, 1]])
