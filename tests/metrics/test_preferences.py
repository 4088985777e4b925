"""syllable_preferences against enumeration, an eigenvector of the whole chain, and counts."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

import hhmm._types
from hhmm import EfficientHHMM
from hhmm._inference.draws import stationary_distribution
from hhmm._model.simplex import helmert_basis
from hhmm.metrics import syllable_preferences


def biases_by_enumeration(model):
    """C from the syllable transition probabilities: log P[k] centred over states and syllables."""
    log_probs = np.log(model.syllable_trans_probs_)
    log_probs = log_probs - log_probs.mean(axis=2, keepdims=True)
    return (log_probs - log_probs.mean(axis=0)).mean(axis=1)


def random_parameters(n_states, n_syllables):
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(n_syllables, n_syllables - 1)),
        rng.normal(size=(n_states - 1, n_syllables - 1)),
        rng.dirichlet(np.ones(n_states), n_states),
    )


def test_preferences_are_what_tells_states_apart():
    model = EfficientHHMM.from_params(*random_parameters(n_states=3, n_syllables=5))
    preferences = syllable_preferences(model)
    np.testing.assert_allclose(preferences.biases, biases_by_enumeration(model), atol=1e-12)
    odds = model.syllable_trans_probs_[2, :, 4] / model.syllable_trans_probs_[2, :, 1]
    base = np.exp(np.log(model.syllable_trans_probs_).mean(axis=0))
    factor = np.exp(preferences.biases[2, 4] - preferences.biases[2, 1])
    np.testing.assert_allclose(odds / (base[:, 4] / base[:, 1]), factor)
    assert np.isnan(preferences.standard_deviations).all()
    ordered = np.take_along_axis(preferences.usage_changes, preferences.ranking, axis=1)
    assert (np.diff(ordered, axis=1) <= 0).all()
    np.testing.assert_array_equal(
        np.sort(preferences.ranking, axis=1), np.tile(np.arange(5), (3, 1))
    )


def test_preferences_have_the_spread_of_the_draws():
    rng = np.random.default_rng(0)
    parts = random_parameters(n_states=3, n_syllables=4)
    model = EfficientHHMM.from_params(*parts)
    draws = rng.normal(size=(2, 6, 2, 3))
    base = np.broadcast_to(model.emission_base_, (2, 6, 4, 3))
    trans_probs = rng.dirichlet(np.ones(3), (2, 6, 3))
    model.posterior_ = hhmm._types.Posterior(base, draws, trans_probs, np.zeros((2, 6)))
    model.best_chain_ = 1
    pairs = zip(draws[1], trans_probs[1], strict=True)
    drawn = [EfficientHHMM.from_params(parts[0], *pair) for pair in pairs]
    preferences = syllable_preferences(model)
    np.testing.assert_allclose(
        preferences.standard_deviations,
        np.std([biases_by_enumeration(draw) for draw in drawn], axis=0, ddof=1),
    )
    np.testing.assert_allclose(
        preferences.usage_change_deviations,
        np.std([changes_by_eigenvector(draw) for draw in drawn], axis=0, ddof=1),
        rtol=1e-6,
    )
    measured = syllable_preferences(model, [[0, 1, 2, 3]])
    assert np.isnan(measured.usage_change_deviations).all()
    np.testing.assert_array_equal(measured.standard_deviations, preferences.standard_deviations)


def changes_by_eigenvector(model):
    """Changes in usage from the stationary distribution of all pairs of state and syllable."""
    n_states, n_syllables = model.syllable_trans_probs_.shape[:2]
    pairs = list(np.ndindex(n_states, n_syllables))
    chain = np.array(
        [
            [model.trans_probs_[k, m] * model.syllable_trans_probs_[m, i, j] for m, j in pairs]
            for k, i in pairs
        ]
    )
    values, vectors = np.linalg.eig(chain.T)
    joint = np.real(vectors[:, np.argmax(values.real)])
    joint = (joint / joint.sum()).reshape(n_states, n_syllables)
    return joint / joint.sum(axis=1, keepdims=True) - joint.sum(axis=0)


@pytest.mark.parametrize("stay", [0.0, 0.9, 0.9999])
@pytest.mark.parametrize("held", [0.0, 8.0])
def test_changes_in_usage_are_those_of_the_stationary_chain(stay, held):
    base, biases, trans_probs = random_parameters(n_states=3, n_syllables=5)
    trans_probs = stay * np.eye(3) + (1 - stay) * trans_probs
    base = base + held * np.eye(5) @ helmert_basis(5)
    model = EfficientHHMM.from_params(base, biases, trans_probs)
    changes = syllable_preferences(model).usage_changes
    np.testing.assert_allclose(changes, changes_by_eigenvector(model), atol=1e-8)
    np.testing.assert_allclose(changes.sum(axis=1), 0, atol=1e-12)


def test_states_that_are_never_left_or_never_entered_have_changes():
    base, biases, _ = random_parameters(n_states=3, n_syllables=4)
    model = EfficientHHMM.from_params(base, biases, [[1.0, 0, 0], [0, 1.0, 0], [0.5, 0.5, 0]])
    changes = syllable_preferences(model).usage_changes
    of_alone = [stationary_distribution(probs) for probs in model.syllable_trans_probs_]
    weights = stationary_distribution(model.trans_probs_)
    np.testing.assert_allclose(weights, [0.5, 0.5, 0.0], atol=1e-12)
    overall = weights @ of_alone
    np.testing.assert_allclose(changes[:2], of_alone[:2] - overall, atol=1e-5)
    np.testing.assert_allclose(
        changes[2], overall @ model.syllable_trans_probs_[2] - overall, atol=1e-5
    )


def model_with_a_rare_syllable():
    """States differ most in the odds of syllable 3, which is hardly ever used in either.

    Other syllables are used in the same way, but for 0 and 1.
    """
    logits = np.log([[0.5, 0.3, 0.1999, 1e-4], [0.3, 0.5, 0.199999, 1e-6]])
    logits -= logits.mean(axis=1, keepdims=True)
    mean = logits.mean(axis=0)
    base = np.tile(mean, (4, 1)) @ helmert_basis(4)
    biases = helmert_basis(2).T @ (logits - mean) @ helmert_basis(4)
    return EfficientHHMM.from_params(base, biases, [[0.95, 0.05], [0.05, 0.95]])


def test_rare_syllables_do_not_come_first():
    model = model_with_a_rare_syllable()
    preferences = syllable_preferences(model)
    assert (np.abs(preferences.biases).argmax(axis=1) == 3).all()
    np.testing.assert_array_equal(preferences.ranking[:, [0, -1]], [[0, 1], [1, 0]])
    np.testing.assert_allclose(preferences.usage_changes[:, 0], [0.1, -0.1], atol=1e-3)
    assert np.abs(preferences.usage_changes[:, 3]).max() < 1e-4


@pytest.mark.parametrize("form", ["list", "array"])
def test_changes_in_usage_can_be_measured(form):
    model = model_with_a_rare_syllable()
    X, _ = model.sample(3, 500, random_state=0)
    X = X.astype(float)
    X[0, 20:25] = X[1, 400:] = np.nan
    X = X if form == "array" else [row[: 400 + 50 * i] for i, row in enumerate(X)]
    counts = np.zeros((2, 4))
    for row, states in zip(X, model.predict(X), strict=True):
        for syllable, state in zip(row, states, strict=True):
            if not np.isnan(syllable):
                counts[state, int(syllable)] += 1
    expected = counts / counts.sum(axis=1, keepdims=True) - counts.sum(axis=0) / counts.sum()
    preferences = syllable_preferences(model, X)
    np.testing.assert_allclose(preferences.usage_changes, expected, atol=1e-15)
    np.testing.assert_array_equal(preferences.ranking, np.argsort(-expected, axis=1))
    # 1,000 timesteps that depend on each other come within a few per cent of the long run
    np.testing.assert_allclose(expected, syllable_preferences(model).usage_changes, atol=0.08)
    with pytest.raises(ValueError, match="X must hold an observed syllable, got none in 0 timest"):
        syllable_preferences(model, [[-1, -1]])


def test_a_state_without_a_timestep_has_no_changes():
    model = model_with_a_rare_syllable()
    np.testing.assert_array_equal(syllable_preferences(model, [[0] * 50]).usage_changes, 0)


def test_preferences_are_of_a_fitted_model():
    model = EfficientHHMM.from_params(*random_parameters(n_states=2, n_syllables=3))
    with pytest.raises(TypeError, match=r"got Pipeline\. Of a pipeline, give the last step"):
        syllable_preferences(make_pipeline(model))
    with pytest.raises(NotFittedError):
        syllable_preferences(EfficientHHMM(2))


def test_preferences_of_one_state_are_none():
    model = EfficientHHMM.from_params([[0.5], [0.5]], np.empty((0, 1)), [[1.0]])
    np.testing.assert_array_equal(syllable_preferences(model).biases, [[0.0, 0.0]])
