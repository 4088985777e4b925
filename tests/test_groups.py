"""Groups of sequences in the estimator: labels, effects, unknown groups, files and errors."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from hhmm import EfficientHHMM
from hhmm._inference import checkpoint
from hhmm.metrics import matched_accuracy
from tests.published import PUBLISHED

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::hhmm._validation.ShortStatesWarning"),
    pytest.mark.filterwarnings("ignore::hhmm._validation.UnusedStatesWarning"),
]

ANIMALS = ["m3", "m1", "m2", "m1", "m3", "m2"]
N_STATES, N_SYLLABLES = 2, 4
# scales that are not learnt: compiled in half the time
FIXED = PUBLISHED | {
    "init": "prior",
    "random_state": 0,
    "max_iter": 2,
    "group_emissions_sigma": 0.7,
    "group_states_sigma": 0.3,
    "group_transitions_sigma": 0.5,
}


def make_model(**parameters):
    """A model whose animals use syllables differently and change state at different rates."""
    rng = np.random.default_rng(0)
    slow = np.array([[[2.0, -2.0], [-2.0, 2.0]], [[-2.0, 2.0], [2.0, -2.0]], np.zeros((2, 2))])
    defaults = {
        "emission_base": rng.standard_normal((N_SYLLABLES, N_SYLLABLES - 1)),
        "emission_biases": np.array([[2.0, -2.0, 1.5]]),
        "trans_probs": [[0.95, 0.05], [0.05, 0.95]],
        "group_labels": {"group": ["m1", "m2", "m3"]},
        "group_emissions": {"group": 1.5 * rng.standard_normal((3, N_SYLLABLES))},
        "group_transitions": {"group": slow},
    }
    return EfficientHHMM.from_params(**defaults | parameters)


@pytest.fixture(scope="module")
def data():
    return make_model().sample(60, 300, random_state=0, groups=ANIMALS * 10)


@pytest.fixture(scope="module")
def fitted(data):
    # from the true states: what is asked is where the fit ends, not where it starts
    model = fixed_model(algorithm="em", init=data[1], max_iter=60)
    return model.fit(data[0], groups=ANIMALS * 10)


def fixed_model(**parameters):
    return EfficientHHMM(N_STATES, N_SYLLABLES, **FIXED | parameters)


def test_effects_are_found(data, fitted):
    truth = make_model()
    X, states = data
    groups = ANIMALS * 10
    assert fitted.group_labels_["group"].tolist() == ["m1", "m2", "m3"]
    effects, true = fitted.group_emissions_["group"], truth.group_emissions_["group"]
    assert effects.shape == (3, N_SYLLABLES)
    np.testing.assert_allclose(effects.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(effects.sum(axis=1), 0, atol=1e-9)
    # 4,500 transitions an animal and a state: a logit is off by about 0.03
    np.testing.assert_allclose(effects, true, atol=0.2)
    stay = np.diagonal(fitted.group_trans_probs_["group"], axis1=1, axis2=2).mean(axis=1)
    assert stay[0] > stay[2] > stay[1]  # as made: m1 slow, m2 fast
    accuracy = matched_accuracy(states, fitted.predict(X, groups=groups))
    assert accuracy > matched_accuracy(states, fitted.predict(X)) + 0.02
    assert fitted.score(X, groups=groups) > fitted.score(X) + 0.02


@pytest.mark.slow
def test_scales_of_effects_are_found(data):
    model = EfficientHHMM(N_STATES, N_SYLLABLES, algorithm="em", init=data[1], max_iter=60)
    model.fit(data[0], groups=ANIMALS * 10)
    assert 0.5 < model.sigmas_["group_emissions_sigma"] < 2.5


def test_every_iteration_of_em_rises(data):
    model = fixed_model(algorithm="em", max_iter=30, tol=0.0).fit(data[0], groups=ANIMALS * 10)
    assert np.diff(model.log_joint_[0]).min() > -1e-3
    recorded = model.log_joint(data[0], groups=ANIMALS * 10)
    np.testing.assert_allclose(recorded, model.log_joint_[0, -1], rtol=1e-6)


def test_labels_and_their_order_are_names_only(data, fitted):
    X = data[0]
    order = np.random.default_rng(0).permutation(60)
    shuffled = fitted.predict(X[order], groups=np.array(ANIMALS * 10)[order])
    np.testing.assert_array_equal(shuffled, fitted.predict(X, groups=ANIMALS * 10)[order])
    frame = pd.DataFrame({"group": ANIMALS * 10})
    np.testing.assert_array_equal(
        fitted.predict(X, groups=frame), fitted.predict(X, groups=ANIMALS * 10)
    )


def test_an_unknown_group_has_no_effect(data, fitted):
    X = data[0][:6]
    none = fitted.score_samples(X)
    np.testing.assert_allclose(fitted.score_samples(X, groups=["new"] * 6), none, rtol=1e-12)
    np.testing.assert_allclose(fitted.score_samples(X, groups=[None] * 6), none, rtol=1e-12)
    mixed = fitted.score_samples(X, groups=["new", *ANIMALS[1:]])
    known = fitted.score_samples(X, groups=ANIMALS)
    np.testing.assert_allclose(mixed, np.append(none[0], known[1:]), rtol=1e-9)


def test_every_method_takes_groups(data, fitted):
    X, _ = data
    X = X[:6]
    states = fitted.predict(X, groups=ANIMALS)
    log_prob, decoded = fitted.decode(X, groups=ANIMALS)
    np.testing.assert_array_equal(decoded, states)
    assert log_prob.shape == (6,)
    for method in (fitted.predict_proba, fitted.filter_proba):
        probabilities = method(X, groups=ANIMALS)
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)
    assert fitted.sample_states(X, groups=ANIMALS, random_state=0).shape == X.shape
    np.testing.assert_allclose(fitted.transform(X, groups=ANIMALS).sum(axis=1), 1)
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.predict(X, groups=ANIMALS), states)


@pytest.mark.slow
def test_draws_of_two_factors(data, tmp_path, monkeypatch):
    """A Gibbs fit with two factors that is stopped and resumed is the one that was not."""
    X = data[0][:12]
    groups = pd.DataFrame({"animal": ANIMALS * 2, "condition": ["a", "b", "a", "b", "a", "a"] * 2})
    settings = {"init": "prior", "random_state": 0, "n_draws": 4, "group_states_sigma": "auto"}
    model = EfficientHHMM(N_STATES, N_SYLLABLES, max_iter=8, **settings)
    whole = clone(model).fit(X, groups=groups)
    path = tmp_path / "fit.npz"
    save = checkpoint.Checkpoint.save

    def save_once(self, *arguments):
        save(self, *arguments)
        raise RuntimeError("stopped")

    monkeypatch.setattr(checkpoint.Checkpoint, "save", save_once)
    with pytest.raises(RuntimeError, match="stopped"):
        clone(model).fit(X, groups=groups, checkpoint=path, checkpoint_every=5)
    monkeypatch.undo()
    resumed = clone(model).fit(X, groups=groups, checkpoint=path)
    np.testing.assert_array_equal(resumed.log_joint_, whole.log_joint_)
    of_dict = clone(model).fit(X, groups=groups.to_dict("list"))
    assert list(of_dict.group_labels_) == ["animal", "condition"]
    np.testing.assert_array_equal(of_dict.log_joint_, whole.log_joint_)
    for name, effects in whole.group_states_.items():
        np.testing.assert_array_equal(resumed.group_states_[name], effects)
    assert whole.posterior_.group_states[1].shape == (1, 4, 2, N_STATES, N_SYLLABLES)
    assert set(whole.posterior_.sigmas) >= {"group_states_sigma[animal]"}
    assert whole.group_transitions_["condition"].shape == (2, N_STATES, N_STATES)
    assert whole.sigmas_["group_emissions_sigma[condition]"] > 0
    averaged = whole.score_samples(X, groups=groups, average=True)
    assert np.isfinite(averaged).all()
    other = groups.assign(animal=["m1"] * 12)
    with pytest.raises(ValueError, match="checkpoint of another fit"):
        clone(model).fit(X, groups=other, checkpoint=path)


def test_a_model_without_groups_is_as_before(data):
    X = data[0][:6]
    model = fixed_model(algorithm="em").fit(X)
    assert model.group_labels_ == model.group_emissions_ == model.group_trans_probs_ == {}
    assert not any(name.startswith("group") for name in model.sigmas_)
    with pytest.raises(ValueError, match="the model was fitted without groups"):
        model.predict(X, groups=ANIMALS)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (ANIMALS[:5], "a label for each of the 6 sequences of X, got 5"),
        ([*ANIMALS[:5], None], "'group' has none for sequence 5"),
        ([*ANIMALS[:5], 3], "labels of one kind, but 'group' has text and numbers"),
        ([["a", "b"]] * 5 + [["a"]], "as many factors for each sequence"),
        (pd.DataFrame([["a", "b"]] * 6, columns=["x", "x"]), "columns of different names"),
    ],
)
def test_bad_groups_are_refused(data, groups, message):
    model = EfficientHHMM(N_STATES, N_SYLLABLES)
    with pytest.raises(ValueError, match=message):
        model.fit(data[0][:6], groups=groups)
    assert not hasattr(model, "trans_probs_")


def test_factors_are_those_of_the_fit(fitted, data):
    """One column is the factor of a model fitted with labels, whatever its name."""
    X, frame = data[0][:6], pd.DataFrame({"animal": ANIMALS})
    expected = fitted.predict(X, groups=ANIMALS)
    np.testing.assert_array_equal(fitted.predict(X, groups=frame), expected)
    with pytest.raises(ValueError, match=r"the factors of the fit, group\. Got animal, day"):
        fitted.predict(X, groups=frame.assign(day=range(6)))


def test_the_gradient_refuses_effects_on_transitions(data):
    with pytest.raises(ValueError, match="Set group_transitions_sigma=0"):
        fixed_model(algorithm="gradient").fit(data[0][:6], groups=ANIMALS)


@pytest.mark.slow
def test_the_gradient_has_no_effects_on_transitions(data):
    model = fixed_model(algorithm="gradient", group_transitions_sigma=0.0)
    model.fit(data[0][:6], groups=ANIMALS)
    assert model.group_transitions_ == {}
    assert model.group_emissions_["group"].any()


def test_parameters_of_groups_are_checked():
    with pytest.raises(ValueError, match="the factors of group_labels"):
        make_model(group_emissions={"animal": np.zeros((3, 4))})
    with pytest.raises(ValueError, match=r"shape \(3, 4\), got shape \(2, 4\)"):
        make_model(group_emissions={"group": np.zeros((2, 4))})


def test_warm_start_needs_the_same_groups(data):
    X, groups = data[0], ANIMALS * 10
    model = fixed_model(algorithm="em", warm_start=True).fit(X, groups=groups)
    model.fit(X, groups=groups)
    with pytest.raises(ValueError, match="labels of the last fit"):
        model.fit(X, groups=["other"] * 3 + groups[:-3])


def test_a_model_with_groups_starts_another_fit(fitted, data):
    settings = {"algorithm": "em", "max_iter": 1, "init": fitted}
    same = fixed_model(**settings).fit(data[0], groups=ANIMALS * 10)
    without = fixed_model(**settings).fit(data[0][:6])
    assert same.group_emissions_["group"].any()
    assert without.group_emissions_ == {}


def test_concentrations_are_learnt_from_all_groups(data):
    """Where transitions do not differ between groups, kappa is drawn given their counts in all."""
    X = data[0][:6]
    settings = {"trans_kappa": "auto", "group_transitions_sigma": 0.0, "group_states_sigma": 0.0}
    model = fixed_model(max_iter=30, n_draws=1, **settings).fit(X, groups=ANIMALS)
    assert model.group_transitions_ == {}
    assert np.isfinite(model.log_joint_).all()
    assert np.isfinite(model.log_joint(X, groups=ANIMALS))


def test_the_log_joint_of_some_effects():
    """Effects that are not given are no part of the prior."""
    model = make_model(group_transitions=None)
    X, _ = model.sample(6, 20, random_state=0, groups=ANIMALS)
    assert np.isfinite(model.log_joint(X, groups=ANIMALS))


def test_a_dict_is_columns(data):
    columns = {"animal": ANIMALS * 10}
    one, other = (
        fixed_model(algorithm="em").fit(data[0], groups=groups)
        for groups in (columns, pd.DataFrame(columns))
    )
    assert list(one.group_labels_) == ["animal"]
    np.testing.assert_array_equal(one.log_joint_, other.log_joint_)


def test_a_string_or_a_blank_label_is_refused(data):
    X, model = data[0][:6], fixed_model()
    with pytest.raises(TypeError, match="a label for each sequence, got a string: 'abab'"):
        model.fit(X, groups="abab")
    with pytest.raises(ValueError, match="has none for sequence 1"):
        model.fit(X, groups=["a", " ", "a", "b", "a", "b"])
    with pytest.raises(ValueError, match="each of the 6 sequences of X, got 5"):
        model.fit(X, groups={"animal": ANIMALS, "day": [1, 1, 2, 2, 1]})
