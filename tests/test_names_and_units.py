"""State names and the frame rate are kept with the model, and used by all that shows it."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone

from hhmm import EfficientHHMM, plotting
from hhmm.datasets import make_hhmm
from hhmm.diagnostics import posterior_summary

NAMES = ["rest", "groom"]
# shapes and settings of the examples of the package: their compiled program serves here
X = make_hhmm(24, 200, n_states=2, n_syllables=5, random_state=0).X
SETTINGS = {"max_iter": 60, "init": "prior", "random_state": 0}


@pytest.fixture(scope="module")
def model():
    model = EfficientHHMM(2, frame_rate=10, **SETTINGS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X)
    return model.set_state_names(NAMES)


def test_names_and_frame_rate_are_saved_and_cloned(model):
    again = pickle.loads(pickle.dumps(model))
    assert again.state_names_ == NAMES
    assert clone(again).frame_rate == 10


def test_a_new_fit_removes_the_names(model):
    again = pickle.loads(pickle.dumps(model))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again.fit(X)
    assert not hasattr(again, "state_names_")
    assert np.array_equal(again.trans_probs_, model.trans_probs_)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["rest"], "state_names must hold 2 names, got 1"),
        (["rest", "rest"], "state_names must differ, got 'rest' twice"),
        (5, "state_names must be a list of names"),
        ("ab", "state_names must be a list of names in the order of the states, got 'ab'"),
        ({0: "rest", 1: "groom"}, "state_names must be a list of names in the order"),
    ],
)
def test_wrong_names_are_refused(model, names, message):
    with pytest.raises((TypeError, ValueError), match=message):
        model.set_state_names(names)
    assert model.state_names_ == NAMES


def test_a_frame_rate_does_not_change_the_fit_or_its_checkpoint(model, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = EfficientHHMM(2, **SETTINGS).fit(X, checkpoint=tmp_path / "fit.npz")
        EfficientHHMM(2, frame_rate=30, **SETTINGS).fit(X, checkpoint=tmp_path / "fit.npz")
    assert np.array_equal(one.emission_base_, model.emission_base_)


def texts(display):
    return {text.get_text() for text in display.figure_.findobj(lambda x: hasattr(x, "get_text"))}


@pytest.mark.parametrize(
    "show",
    [
        lambda m: plotting.DurationDisplay.from_estimator(m, X, random_state=0),
        lambda m: plotting.EthogramDisplay.from_estimator(m, X),
        lambda m: plotting.RasterDisplay.from_estimator(m, X, random_state=0),
        lambda m: plotting.StateGraphDisplay.from_estimator(m),
        lambda m: plotting.StateTransitionDisplay.from_estimator(m),
        lambda m: plotting.StateUsageDisplay.from_estimator(m, X),
        lambda m: plotting.SyllablePreferenceDisplay.from_estimator(m),
        lambda m: plotting.SyllableTransitionDisplay.from_estimator(m),
        lambda m: plotting.AlignmentDisplay.from_estimators(m, m, X),
    ],
)
def test_displays_use_the_names(model, show):
    assert set(NAMES) <= texts(show(model))


@pytest.mark.parametrize(
    "show",
    [
        lambda m: plotting.DurationDisplay.from_estimator(m, X, random_state=0),
        lambda m: plotting.EthogramDisplay.from_estimator(m, X),
        lambda m: plotting.RasterDisplay.from_estimator(m, X, random_state=0),
    ],
)
def test_displays_use_the_frame_rate(model, show):
    display = show(model)
    right = display.ax_.get_xlim()[1]
    assert 0.1 < right < 25  # 200 timesteps are 20 s
    assert any(" s" in text or "(s)" in text for text in texts(display))


def test_arguments_come_before_what_the_model_keeps(model):
    display = plotting.EthogramDisplay.from_estimator(
        model, X, state_names=["a", "b"], frame_rate=5.0
    )
    assert {"a", "b"} <= texts(display)
    assert display.ax_.get_xlim()[1] == 40


def test_the_summary_names_states_and_gives_seconds(model):
    summary = posterior_summary(model, include_biases=True)
    plain = pickle.loads(pickle.dumps(model)).set_params(frame_rate=None)
    del plain.state_names_
    in_timesteps = posterior_summary(plain, include_biases=True)
    names = dict(zip(in_timesteps.name.tolist(), summary.name.tolist(), strict=True))
    assert names["dwell_time[1]"] == "dwell_time[groom] (s)"
    assert names["mean_dwell_time"] == "mean_dwell_time (s)"
    assert names["trans_probs[0, 1]"] == "trans_probs[rest, groom]"
    assert names["biases[1, 2]"] == "biases[groom, 2]"
    assert names["usage[0]"] == "usage[rest]"
    is_time = np.char.endswith(summary.name, "(s)")
    np.testing.assert_allclose(summary.mean[is_time], in_timesteps.mean[is_time] / 10)
    np.testing.assert_array_equal(summary.mean[~is_time], in_timesteps.mean[~is_time])


def test_arviz_has_the_names_of_states(model):
    pytest.importorskip("arviz")
    assert model.to_arviz().posterior["trans_probs"].coords["state"].values.tolist() == NAMES


@pytest.mark.parametrize(
    ("frame_rate", "longest", "expected"),
    [
        (30, 3000, ["0.1 s", "1 s", "10 s"]),  # 100 s
        (30, 300_000, ["1 s", "10 s", "1 min", "10 min", "1 h"]),
        (1, 40, ["1 s", "3 s", "10 s", "30 s"]),
    ],
)
def test_durations_below_a_minute_are_in_seconds(frame_rate, longest, expected):
    display = plotting.DurationDisplay([[1, longest]], frame_rate=frame_rate).plot()
    shown = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert [label for label in shown if label in expected] == expected


@pytest.mark.parametrize(("factor", "warned"), [(10, True), (1, False)])
def test_durations_on_another_clock_than_the_model_are_explained(factor, warned):
    rng = np.random.default_rng(0)
    bouts = [rng.geometric(0.1, 100), rng.geometric(0.2, 100)]
    states = np.concatenate(
        [np.repeat([0, 1], [factor * a, factor * b]) for a, b in zip(*bouts, strict=True)]
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plotting.DurationDisplay.from_predictions(states, trans_probs=[[0.9, 0.1], [0.2, 0.8]])
    messages = [str(warning.message) for warning in caught]
    assert warned == any("times as long as trans_probs expects" in text for text in messages)
