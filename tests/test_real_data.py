"""Models of held syllables and learnt scales as a user meets them: settings, warnings, results."""

import pickle
import warnings

import numpy as np
import pytest

from hhmm import EfficientHHMM
from hhmm._inference import chains
from hhmm._sequences.read import DoubtfulDataWarning, resolve_self_transitions
from hhmm._sequences.run_lengths import RunLengths
from hhmm._validation import ShortStatesWarning
from hhmm.datasets import make_hhmm
from hhmm.metrics import matched_accuracy, state_usage
from hhmm.model_selection import scan
from hhmm.plotting import ScanDisplay
from tests.published import PUBLISHED

AUTO = {
    "emission_usage_sigma": "auto",
    "emission_base_sigma": "auto",
    "emission_biases_sigma": "auto",
    "trans_beta": "auto",
    "trans_kappa": "auto",
}
HELD = [2, 5, 9, 30]
# one compiled sweep serves all tests of held syllables
OF_HELD = {"n_states": 2, "self_transitions": False, "algorithm": "em"}


@pytest.fixture(scope="module")
def frames():
    return make_hhmm(
        12,
        1500,
        n_states=2,
        n_syllables=6,
        emission_usage_sigma=1.0,
        emission_biases_sigma=1.5,
        trans_kappa=400.0,
        holding_times=HELD,
        random_state=0,
    )


def collapsed(x):
    return x[np.append(True, x[1:] != x[:-1])]


def messages_of(call, category):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(w.message) for w in caught if issubclass(w.category, category)]


def quick(**parameters):
    defaults = {"max_iter": 4, "init": "prior", "random_state": 0}
    return EfficientHHMM(**PUBLISHED | defaults | parameters)


@pytest.fixture(scope="module")
def events():
    """Four sequences of 200 syllables that follow each other by chance."""
    return np.random.default_rng(0).integers(0, 3, (4, 200))


@pytest.fixture(scope="module")
def fitted(frames):
    return quick(**OF_HELD).fit(frames.X)


# Simulation


def runs_of(x):
    first = np.flatnonzero(np.append(True, x[1:] != x[:-1]))
    return np.diff(first, append=len(x))


def test_syllables_are_held_for_the_times_that_are_given(frames):
    for x in frames.X:
        assert set(runs_of(x)[:-1]) <= set(HELD)
    shares = np.array(
        [np.mean(np.concatenate([runs_of(x)[:-1] for x in frames.X]) == n) for n in HELD]
    )
    # four standard errors of a share of 1/4 of about 1500 runs
    np.testing.assert_allclose(shares, 0.25, atol=4 * np.sqrt(0.25 * 0.75 / 1400))


def test_a_fit_simulates_the_holding_times_of_its_data(fitted):
    x, states = fitted.sample(3, 800, random_state=0)
    assert x.shape == states.shape == (3, 800)
    assert set(np.concatenate([runs_of(row)[:-1] for row in x])) <= set(HELD)
    x, _ = fitted.sample(3, 800, random_state=0, holding_times=[7])
    assert set(np.concatenate([runs_of(row)[:-1] for row in x])) == {7}


@pytest.mark.parametrize("given", [[0], [1.5], [], [[1], [2]], "x", [np.nan]])
def test_holding_times_are_integers_of_all_syllables_or_of_each(fitted, given):
    with pytest.raises(ValueError, match="holding_times must be"):
        fitted.sample(holding_times=given)


def test_holding_times_belong_to_models_without_self_transitions(frames):
    parts = frames.emission_base, frames.emission_biases, frames.trans_probs
    with pytest.raises(ValueError, match="self_transitions_=True"):
        EfficientHHMM.from_params(*parts).sample(holding_times=[3])
    with pytest.raises(ValueError, match="give holding_times"):
        EfficientHHMM.from_params(*parts, self_transitions=False).sample()


# Self-transitions

# Events, and syllables that are held; of one shape, so that fits share what they compile.
EVENTS, LONG_RUNS = ([np.resize(np.repeat([0, 1, 2], n), 30)] * 2 for n in (2, 10))
ONE_STATE = {"n_states": 1, "self_transitions": "auto", "algorithm": "em"}
ONE_STATE["message_passing"] = "sequential"


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        ([np.repeat([0, 1, 0, 2], 3)], False),
        ([np.repeat([0, 1, 0, 2], 2)], True),
        ([np.tile([0, 1, 2], 10)], False),  # collapsed: a third would follow by chance
        ([np.array([0, 1, 2, 3])], True),  # too few to say so
        ([np.zeros(30, int)], True),  # nothing ever changes
        ([np.array([0, 0, 1, 2, 2, 0])], True),
    ],
)
def test_auto_goes_by_the_data(X, expected):
    assert resolve_self_transitions("auto", RunLengths.of(X)) is expected


@pytest.mark.parametrize(("X", "expected"), [(EVENTS, True), (LONG_RUNS, False)])
def test_a_fit_goes_by_the_data(X, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = quick(**ONE_STATE).fit(X)
    assert model.self_transitions_ is expected
    np.testing.assert_array_equal(np.diag(model.syllable_trans_probs_[0]) > 0, expected)


def test_data_without_a_change_are_refused():
    with pytest.raises(ValueError, match="no observed change of syllable"):
        quick(n_states=1, self_transitions=False).fit([np.zeros(30, int)])


def test_scores_are_of_changes_alone(fitted, frames):
    n_changes = np.sum(frames.X[:, 1:] != frames.X[:, :-1])
    score = fitted.score_samples(frames.X).sum() / n_changes
    np.testing.assert_allclose(fitted.score(frames.X), score, rtol=1e-12)


def test_a_scan_decides_once_for_all_folds(monkeypatch):
    # the first two sequences by themselves would be taken for events
    X = EVENTS + LONG_RUNS
    fit, used = EfficientHHMM.fit, []

    def fit_and_note(model, *args, **kwargs):
        used.append(model.self_transitions)
        return fit(model, *args, **kwargs)

    monkeypatch.setattr(EfficientHHMM, "fit", fit_and_note)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = quick(**ONE_STATE)
        folds = [([2, 3], [0, 1]), ([0, 1], [2, 3])]
        scan(X, {"n_states": [1]}, estimator=model, cv=folds)
        alone = model.fit(EVENTS)
    assert set(used[:-1]) == {False}
    assert alone.self_transitions_


@pytest.mark.slow
def test_a_scan_learns_scales(frames):
    X = [frames.X[0, :300]] * 4  # alike, so that fits to both folds share what is compiled
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = quick(algorithm="em", **AUTO)
        result = scan(
            X,
            {"n_states": [1, 2], "trans_kappa": ["auto", 50.0]},
            estimator=model,
            cv=2,
        )
    assert np.isfinite(result.table["test_score"]).all()
    np.testing.assert_array_equal(
        result.summary()["prior_duration"], [np.inf, np.inf, np.nan, np.nan]
    )
    assert "auto" in repr(result)
    ScanDisplay.from_result(result)


# Warnings


def test_frames_fitted_with_self_transitions_warn(frames, monkeypatch):
    """Data are judged before the chains begin, so the fit that warns stops there."""
    fit = quick(**OF_HELD).fit
    assert messages_of(lambda: fit(frames.X), DoubtfulDataWarning) == []

    def stop(*_, **__):
        raise KeyboardInterrupt

    def call():
        with pytest.raises(KeyboardInterrupt):
            quick(n_states=2).fit(frames.X)

    monkeypatch.setattr(chains, "iterate", stop)
    (message,) = messages_of(call, DoubtfulDataWarning)
    assert "held for 11" in message
    assert "self_transitions=False" in message


def test_data_of_another_form_warn(frames):
    model = quick(**OF_HELD).fit(list(frames.X))
    other = [collapsed(x) for x in frames.X]
    (message,) = messages_of(lambda: model.predict(other), DoubtfulDataWarning)
    assert "held for 1.0 timesteps" in message
    assert "training data for 11" in message
    assert messages_of(lambda: model.predict(list(frames.X[:2])), DoubtfulDataWarning) == []
    assert messages_of(lambda: model.predict([other[0][:5]]), DoubtfulDataWarning) == []


def test_states_as_short_as_syllables_warn(events):
    fit = quick(n_states=2, trans_kappa=0.0, init="random").fit
    (message,) = messages_of(lambda: fit(events), ShortStatesWarning)
    assert "no slow states" in message
    assert "increase trans_kappa" in message
    # one advice where syllables are held: that of the other warning
    held = np.repeat(events[:, :50], 4, axis=1)
    fit = quick(n_states=2, trans_kappa=0.0, init="random", self_transitions=True).fit
    (message,) = messages_of(lambda: fit(held), ShortStatesWarning)
    assert message.endswith("fit with self_transitions=False")


# Learnt scales


@pytest.mark.slow
def test_frames_are_read_as_from_the_truth(frames):
    settings = {"n_states": 2, "self_transitions": "auto", "random_state": 0, **AUTO}
    model = EfficientHHMM(**settings).fit(frames.X)
    from_truth = EfficientHHMM(init=frames.states, **settings).fit(frames.X)
    accuracy, at_best = (
        matched_accuracy(frames.states, m.predict(frames.X)) for m in (model, from_truth)
    )
    assert accuracy > at_best - 0.01
    assert at_best > 0.8
    assert state_usage(model.predict(frames.X), n_states=2).min() > 0.05
    assert model.sigmas_.keys() == from_truth.sigmas_.keys() >= AUTO.keys()
    assert all(value > 0 for name, value in model.sigmas_.items() if name in AUTO)
    assert model.sigmas_["emission_interactions_sigma"] == 0
    draws = model.posterior_.sigmas
    assert draws.keys() == AUTO.keys()
    for name, values in draws.items():
        assert values.shape == model.posterior_.log_joint.shape
        np.testing.assert_allclose(values.mean(), model.sigmas_[name])


@pytest.mark.slow  # `test_scales` has a quick one
@pytest.mark.parametrize("algorithm", ["em", "gradient"])
def test_scales_are_estimated_by_climbs(frames, algorithm):
    settings = AUTO | {"self_transitions": "auto", "init": frames.states}
    model = EfficientHHMM(2, algorithm=algorithm, **settings).fit(frames.X)
    assert model.converged_
    assert 0.3 < model.sigmas_["emission_base_sigma"] < 3
    np.testing.assert_allclose(model.log_joint(frames.X), model.log_joint_[0, -1], rtol=1e-5)


def test_at_least_one_term_is_needed(frames):
    with pytest.raises(ValueError, match="are 0, which leaves no emission parameter"):
        quick(emission_base_sigma=0, emission_biases_sigma=0).fit(frames.X)


@pytest.mark.parametrize("shape", [(1, 6), (1, 6, 6), (2, 6, 5)])
def test_interactions_have_a_shape(frames, shape):
    parts = frames.emission_base, frames.emission_biases, frames.trans_probs
    with pytest.raises(ValueError, match=r"emission_interactions must have shape \(1, 6, 5\)"):
        EfficientHHMM.from_params(*parts, emission_interactions=np.zeros(shape))


def test_models_of_version_0_1_are_read(events):
    model = quick(n_states=2, n_chains=2).fit(events)
    state = model.__getstate__()
    added = [
        *("emission_usage_sigma", "emission_interactions_sigma", "self_transitions", "sigmas_"),
        *("emission_usage_", "emission_interactions_", "self_transitions_", "log_likelihood_"),
        "_mean_run",
    ]
    old = EfficientHHMM.__new__(EfficientHHMM)
    old.__setstate__({k: v for k, v in state.items() if k not in added} | {"_state_version": 1})
    assert old.score(events) == model.score(events)
    assert not old.emission_interactions_.any()
    assert old.emission_interactions_.shape == (1, 3, 2)
    assert old.sigmas_ == model.sigmas_
    again = pickle.loads(pickle.dumps(old)).set_params(warm_start=True).fit(events)
    assert again.n_iter_ == 4
