"""The state usage display: what is drawn, read back from the artists."""

import numpy as np
import pytest

from hhmm.metrics import state_usage
from hhmm.plotting import StateUsageDisplay
from tests.marks import slow_unless_rows
from tests.plotting.behaviour import STATE_NAMES, Model, column_axes, legend_texts, recordings
from tests.plotting.readable import assert_readable


def test_usage_means_and_standard_errors():
    rng = np.random.default_rng(0)
    usage = rng.dirichlet(np.ones(3), 9)
    usage[4] = np.nan
    groups = ["x", "y", "x", "x", "x", "y", "x", "z", "y"]
    display = StateUsageDisplay(usage, groups=groups).plot()
    assert display.group_names_ == ["x", "y", "z"]
    for group, members in enumerate(([0, 2, 3, 6], [1, 5, 8], [7])):
        part = usage[members]
        np.testing.assert_allclose(display.means_[group], part.mean(axis=0))
        error = part.std(axis=0, ddof=1) / np.sqrt(len(part)) if len(part) > 1 else np.nan
        np.testing.assert_allclose(display.intervals_[0, group], part.mean(axis=0) - error)
        np.testing.assert_allclose(display.intervals_[1, group], part.mean(axis=0) + error)
        points = display.points_[group].get_offsets()
        np.testing.assert_allclose(points[:, 1].reshape(-1, 3), part)
        # dots stay in the slot of their state and group
        x = points[:, 0].reshape(-1, 3) - np.arange(3)
        slot = 0.8 / 3
        assert (np.abs(x - (-0.4 + slot * (group + 0.5))) < slot / 2).all()
    assert legend_texts(display) == ["x (n = 4)", "y (n = 3)", "z (n = 1)", "mean ± s.e.m."]
    assert (display.ax_.get_ylabel(), display.ax_.get_ylim()[0]) == ("fraction of time", 0)


def test_usage_error_bars_are_drawn_where_they_are():
    display = StateUsageDisplay([[0.2, 0.8], [0.4, 0.6], [0.6, 0.4]]).plot()
    bars = [c for c in display.ax_.containers if c.get_label() == "n = 3"]
    (segments,) = bars[0].lines[2]
    ends = np.array([segment[:, 1] for segment in segments.get_segments()]).T
    np.testing.assert_allclose(ends, display.intervals_[:, 0])
    np.testing.assert_allclose(bars[0].lines[0].get_ydata(), [0.4, 0.6])


def test_usage_bootstrap_interval():
    # The ends of 9,999 percentile bootstraps vary by about 1 % of the width from seed to seed.
    usage = np.random.default_rng(1).dirichlet([2, 5, 1], 12)
    display = StateUsageDisplay(usage).plot(
        interval="bootstrap", confidence_level=0.8, random_state=0
    )
    draws = np.random.default_rng(2).integers(0, 12, (20_000, 12))
    expected = np.quantile(usage[draws].mean(axis=1), [0.1, 0.9], axis=0)
    width = np.ptp(expected, axis=0)
    assert (np.abs(display.intervals_[:, 0] - expected) < 0.08 * width).all()
    assert legend_texts(display)[-1] == "80% interval"
    again = StateUsageDisplay(usage).plot(
        interval="bootstrap", confidence_level=0.8, random_state=0
    )
    np.testing.assert_array_equal(display.intervals_, again.intervals_)


def test_usage_from_states_and_from_estimator():
    model = Model(n_states=4).fit()
    X = recordings(n_syllables=3)
    display = StateUsageDisplay.from_estimator(model, X, groups=list("aba"))
    expected = state_usage(model.predict(X), n_states=4, per_sequence=True)
    np.testing.assert_allclose(display.usage, expected)
    other = StateUsageDisplay.from_predictions(model.predict(X), n_states=4, groups=list("aba"))
    np.testing.assert_allclose(other.means_, display.means_)


@pytest.mark.parametrize(
    ("n_states", "n_groups"), slow_unless_rows([(5, 3), (10, 2)], [(2, 1), (5, 3), (10, 2)])
)
def test_usage_can_be_read_in_a_column(n_states, n_groups):
    usage = np.random.default_rng(0).dirichlet(np.ones(n_states), 30)
    groups = np.array(["control", "amphetamine", "lesion"])[np.arange(30) % n_groups]
    names = [STATE_NAMES[i % 5] + str(i) for i in range(n_states)]
    for state_names in (None, names):
        display = StateUsageDisplay(usage, groups=groups, state_names=state_names)
        display.plot(column_axes(2.8))
        display.figure_.draw_without_rendering()
        if state_names is None:
            assert_readable(display.figure_)
        assert display.ax_.get_window_extent().height > 0.3 * display.figure_.bbox.height


def test_usage_arguments_are_checked():
    with pytest.raises(ValueError, match="'standard_error' or 'bootstrap', got 'sd'"):
        StateUsageDisplay([[0.5, 0.5]]).plot(interval="sd")
    with pytest.raises(ValueError, match="confidence_level == 95, must be < 1"):
        StateUsageDisplay([[0.5, 0.5]]).plot(confidence_level=95)
    with pytest.raises(ValueError, match="groups must hold 1 names, got 2"):
        StateUsageDisplay([[0.5, 0.5]], groups=["a", "b"]).plot()


def test_recordings_of_an_animal_are_one_point():
    states = [[0, 0, 1], [0], [1, 1], [0, 1, 1, 1]]
    settings = {"groups": ["a", "a", "b", "b"], "animals": ["m1", "m1", "m2", "m1"]}
    display = StateUsageDisplay.from_predictions(states, **settings)
    np.testing.assert_allclose(display.usage, [[0.75, 0.25], [0, 1], [0.25, 0.75]])
    assert display.groups == ["a", "b", "b"]
    pooled = StateUsageDisplay.from_predictions(states, animals=["m1", "m1", "m2", "m2"])
    np.testing.assert_allclose(pooled.usage, [[0.75, 0.25], [1 / 6, 5 / 6]])
    assert pooled.groups is None
    with pytest.raises(ValueError, match="animals must have one label for each of 4 recordings"):
        StateUsageDisplay.from_predictions(states, animals=["m1"])
