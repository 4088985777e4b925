"""Displays of behaviour: what is drawn, read back from the artists, and that it can be read."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.lines import Line2D
from sklearn.exceptions import NotFittedError

from hhmm import EfficientHHMM
from hhmm.plotting import (
    AlignmentDisplay,
    DurationDisplay,
    EthogramDisplay,
    LaggedInformationDisplay,
    MatchedConfusionDisplay,
    RasterDisplay,
    StateGraphDisplay,
    StateUsageDisplay,
    SyllablePreferenceDisplay,
)
from hhmm.plotting._figures import legend_above
from tests.plotting.behaviour import COLUMN, Model, column_axes, information, recordings
from tests.plotting.readable import assert_readable

# What all have in common

DISPLAYS = {
    "ethogram": lambda: EthogramDisplay([[0, 0, 1], [1, 1]]),
    "usage": lambda: StateUsageDisplay([[0.5, 0.5], [0.2, 0.8]]),
    "durations": lambda: DurationDisplay([[1, 3], [2, 5]]),
    "graph": lambda: StateGraphDisplay([[0.9, 0.1], [0.2, 0.8]]),
    "preferences": lambda: SyllablePreferenceDisplay([[1.0, -1.0], [-1.0, 1.0]]),
    "alignment": lambda: AlignmentDisplay([[5, 1], [0, 3]], [0, 1]),
    "information": lambda: LaggedInformationDisplay(information()),
}


FROM_ESTIMATOR = {
    "ethogram": lambda model: EthogramDisplay.from_estimator(model, recordings()),
    "usage": lambda model: StateUsageDisplay.from_estimator(model, recordings()),
    "durations": lambda model: DurationDisplay.from_estimator(model, recordings()),
    "graph": lambda model: StateGraphDisplay.from_estimator(model, recordings()),
    "preferences": SyllablePreferenceDisplay.from_estimator,
    "alignment": lambda model: AlignmentDisplay.from_estimators(model, model, recordings()),
}


# Labels that number something else than a few states

FAR = 100_000


@pytest.mark.parametrize("name", DISPLAYS)
def test_without_matplotlib_the_extra_is_named(name, monkeypatch):
    display = DISPLAYS[name]()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="install hhmm with the extra 'demo'"):
        display.plot()


@pytest.mark.parametrize("name", FROM_ESTIMATOR)
def test_without_matplotlib_nothing_is_inferred(name, monkeypatch):
    model = Model().fit()
    model.emission_biases_ = np.zeros((2, 6))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for method in ("predict", "transform", "sample_states"):
        monkeypatch.setattr(model, method, None)
    with pytest.raises(ImportError, match="install hhmm with the extra 'demo'"):
        FROM_ESTIMATOR[name](model)


@pytest.mark.parametrize("name", FROM_ESTIMATOR)
def test_a_model_that_is_not_fitted(name):
    with pytest.raises(NotFittedError, match=r"This Model has no \w+_. Call 'fit'"):
        FROM_ESTIMATOR[name](Model())


@pytest.mark.parametrize("name", DISPLAYS)
def test_the_constructor_only_stores(name):
    assert not any(attribute.endswith("_") for attribute in vars(DISPLAYS[name]()))


@pytest.mark.parametrize("name", DISPLAYS)
def test_plot_makes_a_figure_or_uses_the_axes(name):
    display = DISPLAYS[name]()
    assert display.plot() is display
    assert display.ax_.figure is display.figure_
    assert display.figure_.get_layout_engine() is not None
    assert_readable(display.figure_)

    figure, axes = plt.subplots(1, 2)
    assert display.plot(axes[1]) is display
    assert display.figure_ is figure
    if name == "preferences":
        assert not axes[1].axison
        assert all(panel.figure is figure for panel in display.axes_)
    else:
        assert display.ax_ is axes[1]
    assert not axes[0].has_data()


@pytest.mark.parametrize("name", DISPLAYS)
def test_a_sub_figure_will_do(name):
    parts = plt.figure(figsize=(7, 3.4), layout="constrained").subfigures(1, 2)
    display = DISPLAYS[name]().plot(parts[1].subplots())
    assert display.figure_ is parts[1]
    display.ax_.figure.canvas.figure.draw_without_rendering()


# Legends


@pytest.mark.parametrize(
    ("n_entries", "label"),
    [(5, "a"), (1, "state {}"), (12, "state {}"), (3, "a rather long name {}")],
)
def test_legends_stay_in_the_figure_and_off_the_neighbour(n_entries, label):
    figure, axes = plt.subplots(1, 2, figsize=(2 * COLUMN, 3.4), layout="constrained")
    axes[0].set_title("neighbour", loc="right")
    for ax in axes:
        ax.set(xlabel="x", ylabel="y")
        handles = [Line2D([], [], label=label.format(i)) for i in range(n_entries)]
        legend = legend_above(ax, handles)
        assert len(legend.get_texts()) == n_entries
    assert_readable(figure)
    figure.draw_without_rendering()
    assert axes[1].get_legend().get_window_extent().x0 > axes[0].get_window_extent().x1
    if label == "a":
        assert axes[1].get_legend()._ncols == n_entries


def test_legends_reach_over_the_labels_of_the_y_axis_where_they_must():
    ax = column_axes()
    ax.set_yticks([0, 1], ["a rather long name of a recording"] * 2)
    legend = legend_above(ax, [Line2D([], [], label=f"state {i}") for i in range(4)])
    assert_readable(ax.figure)
    box, axes_box = legend.get_window_extent(), ax.get_window_extent()
    assert legend._ncols == 4
    assert box.x0 < axes_box.x0
    assert box.x1 <= axes_box.x1


@pytest.mark.parametrize(
    "draw",
    [
        lambda: DurationDisplay.from_predictions([0, FAR, 0]),
        lambda: EthogramDisplay.from_predictions([[0, FAR, 0]]),
        lambda: StateGraphDisplay.from_predictions([0, FAR, 0]),
        lambda: StateUsageDisplay.from_predictions([0, FAR, 0]),
        lambda: StateUsageDisplay.from_predictions([0, 1, 0], n_states=FAR + 1),
        lambda: SyllablePreferenceDisplay(np.zeros((FAR + 1, 1))).plot(),
        lambda: AlignmentDisplay(np.eye(1, FAR + 1), np.arange(FAR + 1)).plot(),
    ],
    ids=["durations", "ethogram", "graph", "usage", "n_states", "preferences", "alignment"],
)
def test_states_too_many_to_draw_are_refused(draw):
    with pytest.raises(ValueError, match=r"At most 200 states .* got 100,001, labels"):
        draw()


# Groups of the model


@pytest.fixture(scope="module")
def of_animals():
    """Return a model with effects of animals, syllables, their animals, and predicted states."""
    model = EfficientHHMM.from_params(
        emission_base=np.zeros((3, 2)),
        emission_biases=np.array([[1.0, -1.0]]),
        trans_probs=[[0.9, 0.1], [0.1, 0.9]],
        group_labels={"group": ["a", "b"]},
        group_emissions={"group": [[2.0, -2.0, 0.0], [-2.0, 2.0, 0.0]]},
    )
    animals = ["a", "b"]
    X, _ = model.sample(2, 200, groups=animals, random_state=0)
    with_animals, without = model.predict(X, groups=animals), model.predict(X)
    # the test below needs this
    assert not np.array_equal(with_animals, without)
    return model, X, animals, with_animals


def test_displays_take_the_groups_of_the_model(of_animals):
    model, X, animals, states = of_animals
    names = {"model_groups": animals}
    ethogram = EthogramDisplay.from_estimator(model, X, **names)
    np.testing.assert_array_equal(ethogram.states, states)
    durations = DurationDisplay.from_estimator(model, X, kind="viterbi", **names)
    expected = DurationDisplay.from_predictions(states, n_states=2)
    for found, right in zip(durations.durations, expected.durations, strict=True):
        np.testing.assert_array_equal(found, right)
    drawn = DurationDisplay.from_estimator(model, X, random_state=0, **names)
    expected = model.sample_states(X, groups=animals, random_state=0)
    expected = DurationDisplay.from_predictions(expected, n_states=2)
    for found, right in zip(drawn.durations, expected.durations, strict=True):
        np.testing.assert_array_equal(found, right)
    by_sequence = np.stack([(states == k).mean(axis=1) for k in range(2)], axis=1)
    usage = StateUsageDisplay.from_estimator(model, X, **names)
    np.testing.assert_allclose(usage.usage, by_sequence)
    graph = StateGraphDisplay.from_estimator(model, X, **names)
    np.testing.assert_allclose(graph.usage, by_sequence.mean(axis=0))
    preferences = SyllablePreferenceDisplay.from_estimator(model, X, **names)
    np.testing.assert_allclose(preferences.usage, by_sequence.mean(axis=0))
    changes = [np.bincount(X[states == k], minlength=3) / (states == k).sum() for k in range(2)]
    changes -= np.bincount(X.ravel()) / X.size
    np.testing.assert_allclose(preferences.values, changes)
    confusion = MatchedConfusionDisplay.from_estimator(model, X, states, **names)
    np.testing.assert_array_equal(confusion.confusion_matrix, np.eye(2))
    alone = EfficientHHMM.from_params(np.zeros((3, 2)), [[1.0, -1.0]], [[0.9, 0.1], [0.1, 0.9]])
    alignment = AlignmentDisplay.from_estimators(model, alone, X, **names)
    expected = AlignmentDisplay.from_predictions(states, alone.predict(X))
    np.testing.assert_array_equal(alignment.counts, expected.counts)


def test_a_raster_takes_the_group_of_its_sequence(of_animals):
    model, X, animals, states = of_animals
    frame = pd.DataFrame({"group": animals})
    display = RasterDisplay.from_estimator(model, X, index=1, model_groups=frame, random_state=0)
    (_, viterbi), (_, marginal), (_, sampled) = display.rows
    np.testing.assert_array_equal(viterbi, states[1])
    np.testing.assert_allclose(marginal, model.predict_proba(X, groups=animals)[1], atol=1e-6)
    one = model.sample_states([X[1]], groups=["b"], random_state=0)[0]
    np.testing.assert_array_equal(sampled, one)
    with pytest.raises(ValueError, match="groups must have a label for each of the 2"):
        RasterDisplay.from_estimator(model, X, model_groups=["a"])
