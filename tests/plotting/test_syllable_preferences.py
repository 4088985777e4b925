"""The syllable preferences display: what is drawn, read back from the artists."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from hhmm import EfficientHHMM
from hhmm.metrics import state_usage, syllable_preferences
from hhmm.plotting import SyllablePreferenceDisplay
from tests.plotting.behaviour import BLUE, COLUMN, STATE_NAMES
from tests.plotting.readable import assert_readable, tick_labels


def test_preferences_are_the_largest_and_the_smallest_values():
    biases = np.array([[0.5, -2.0, 1.5, 0.0, -0.1], [-0.5, 2.0, -1.5, 0.0, 0.1]])
    errors = np.full(biases.shape, 0.1)
    errors[:, 2] = 0.3
    display = SyllablePreferenceDisplay(
        biases, kind="bias", standard_deviations=errors, syllable_names=list("abcde")
    ).plot(n_top=2)
    np.testing.assert_array_equal(display.shown_, [[2, 0, 4, 1], [1, 4, 0, 2]])
    for state, (bars, panel) in enumerate(zip(display.bars_, display.axes_, strict=True)):
        shown = display.shown_[state]
        np.testing.assert_allclose([bar.get_width() for bar in bars], biases[state, shown])
        np.testing.assert_allclose([bar.get_y() + bar.get_height() / 2 for bar in bars], range(4))
        assert tick_labels(panel.yaxis) == [list("abcde")[j] for j in shown]
        assert panel.yaxis_inverted()
        assert panel.get_title() == f"state {state}"
        (segments,) = bars.errorbar.lines[2]
        ends = np.array([segment[:, 0] for segment in segments.get_segments()])
        np.testing.assert_allclose(np.diff(ends, axis=1)[:, 0], 2 * errors[state, shown])
        colors = {to_hex(bar.get_facecolor()) for bar in bars}
        assert colors == {BLUE, "#d55e00"}
        low, high = panel.get_xlim()
        assert low < -2.1 < 2.1 < high
    assert display.figure_.get_supxlabel() == "bias ± posterior s.d. (log odds)"


def test_few_syllables_are_all_shown():
    display = SyllablePreferenceDisplay([[0.4, -0.2, -0.2], [-0.4, 0.2, 0.2]]).plot(n_top=2)
    np.testing.assert_array_equal(display.shown_, [[0, 1, 2], [1, 2, 0]])
    assert display.figure_.get_supxlabel() == "change in usage"
    assert all(bars.errorbar is None for bars in display.bars_)


def test_preferences_from_estimator():
    rng = np.random.default_rng(0)
    model = EfficientHHMM.from_params(
        rng.normal(size=(9, 8)), rng.normal(size=(2, 8)), np.full((3, 3), 1 / 3)
    )
    display = SyllablePreferenceDisplay.from_estimator(model, n_top=2)
    preferences = syllable_preferences(model)
    np.testing.assert_array_equal(display.values, preferences.usage_changes)
    ranking = preferences.ranking
    np.testing.assert_array_equal(display.shown_, np.hstack([ranking[:, :2], ranking[:, -2:]]))
    display = SyllablePreferenceDisplay.from_estimator(model, kind="bias", n_top=2)
    np.testing.assert_array_equal(display.values, preferences.biases)
    assert display.figure_.get_supxlabel() == "bias (log odds)"
    assert display.shown_[0][0] == preferences.biases[0].argmax()


def test_preferences_measured_on_data():
    rng = np.random.default_rng(0)
    model = EfficientHHMM.from_params(
        rng.normal(size=(5, 4)), 2 * rng.normal(size=(1, 4)), [[0.9, 0.1], [0.1, 0.9]]
    )
    X, _ = model.sample(2, 300, random_state=0)
    display = SyllablePreferenceDisplay.from_estimator(model, X)
    np.testing.assert_array_equal(display.values, syllable_preferences(model, X).usage_changes)
    np.testing.assert_array_equal(display.usage, state_usage(model.predict(X)))
    assert np.abs(display.values - syllable_preferences(model).usage_changes).max() > 1e-3


@pytest.mark.parametrize(
    ("n_states", "named", "scale"),
    [(1, False, 1.0), (2, True, 0.12), (5, True, 1.0), (10, False, 0.014)],
)
def test_preferences_can_be_read_in_a_column(n_states, named, scale):
    rng = np.random.default_rng(0)
    biases = scale * rng.normal(size=(n_states, 20))
    names = [f"syllable {j}" for j in range(20)] if named else None
    display = SyllablePreferenceDisplay(
        biases,
        standard_deviations=0.1 * scale * np.ones(biases.shape),
        syllable_names=names,
        state_names=[STATE_NAMES[k % 5] for k in range(n_states)],
    ).plot()
    assert display.figure_.get_size_inches()[0] == COLUMN
    assert_readable(display.figure_)


def test_preferences_in_given_axes():
    biases = np.random.default_rng(0).normal(size=(3, 8))
    _, axes = plt.subplots(1, 3, figsize=(7, 2), layout="constrained")
    display = SyllablePreferenceDisplay(biases, kind="bias").plot(axes)
    assert list(display.axes_) == list(axes)
    assert all(ax.get_xlabel() == "bias (log odds)" for ax in axes)
    with pytest.raises(ValueError, match="one for each of 3 states, got 2"):
        SyllablePreferenceDisplay(biases).plot(plt.subplots(1, 2)[1])


def test_preference_arguments_are_checked():
    with pytest.raises(ValueError, match="kind must be 'usage_change' or 'bias', got 'biases'"):
        SyllablePreferenceDisplay([[1.0, -1.0]], kind="biases").plot()
    with pytest.raises(TypeError, match="unused_states must be an instance of"):
        SyllablePreferenceDisplay([[1.0, -1.0]]).plot(unused_states="no")
    with pytest.raises(ValueError, match="n_top == 0, must be >= 1"):
        SyllablePreferenceDisplay([[1.0, -1.0]]).plot(n_top=0)
    with pytest.raises(TypeError, match="n_top must be an instance of int"):
        SyllablePreferenceDisplay([[1.0, -1.0]]).plot(n_top=1.5)
    with pytest.raises(ValueError, match="syllable_names must hold 2 names, got 1"):
        SyllablePreferenceDisplay([[1.0, -1.0]], syllable_names=["a"]).plot()
