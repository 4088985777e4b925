"""The syllable transitions display: what is drawn, read back from the artists."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from hhmm.plotting import SyllableTransitionDisplay
from tests.marks import slow_unless_rows
from tests.plotting.readable import FakeModel, assert_readable, tick_labels


@pytest.mark.parametrize(
    ("n_states", "n_syllables", "color_scale"),
    slow_unless_rows(
        [(1, 3, "log"), (3, 20, "linear"), (10, 100, "log")],
        [(1, 3, "log"), (3, 20, "linear"), (7, 3, "log"), (10, 100, "log")],
    ),
)
def test_syllable_transitions_are_drawn(n_states, n_syllables, color_scale):
    probs = FakeModel(n_states, n_syllables).fit().syllable_trans_probs_
    display = SyllableTransitionDisplay(probs).plot(color_scale=color_scale)
    assert len(display.axes_) == len(display.images_) == n_states
    assert display.ax_ is display.axes_[0]
    for state, (ax, image) in enumerate(zip(display.axes_, display.images_, strict=True)):
        np.testing.assert_array_equal(image.get_array(), probs[state])
        assert image.axes is ax
        assert ax.get_title() == f"state {state}"
        assert image.norm is display.images_[0].norm
    # One colour bar in addition to the panels.
    assert len(display.figure_.axes) == n_states + 1
    largest = 1.0 if color_scale == "log" or probs.max() > 0.5 else probs.max()
    assert display.images_[0].norm.vmax == largest
    assert_readable(display.figure_)


def test_outer_panels_are_labelled_and_inner_ones_are_not():
    probs = np.full((5, 4, 4), 0.25)
    display = SyllableTransitionDisplay(probs).plot()
    x_labels = [ax.get_xlabel() for ax in display.axes_]
    y_labels = [ax.get_ylabel() for ax in display.axes_]
    assert x_labels == ["", "", "to syllable", "to syllable", "to syllable"]
    assert y_labels == ["from syllable", "", "", "from syllable", ""]
    display.figure_.draw_without_rendering()
    shown = [ax.xaxis.get_major_ticks()[0].label1.get_visible() for ax in display.axes_]
    assert shown == [False, False, True, True, True]

    _, axes = plt.subplots(5, 1)
    display = SyllableTransitionDisplay(probs).plot(axes)
    assert list(display.axes_) == list(axes)
    assert all(ax.get_xlabel() == "to syllable" for ax in axes)
    assert all(ax.get_ylabel() == "from syllable" for ax in axes)


@pytest.mark.parametrize(
    ("n_states", "grid"),
    [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (10, (2, 5)), (18, (3, 6))],
)
def test_the_grid_of_panels(n_states, grid):
    display = SyllableTransitionDisplay(np.full((n_states, 2, 2), 0.5)).plot()
    assert display.ax_.get_subplotspec().get_gridspec().get_geometry() == grid


@pytest.mark.parametrize(
    ("n_syllables", "expected"), [(3, ["0", "1", "2"]), (20, ["0", "5", "10", "15"])]
)
def test_syllables_are_labelled_in_round_steps(n_syllables, expected):
    probs = np.full((1, n_syllables, n_syllables), 1 / n_syllables)
    display = SyllableTransitionDisplay(probs).plot()
    assert tick_labels(display.ax_.xaxis) == expected
    assert tick_labels(display.ax_.yaxis) == expected


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_one_axes_is_divided_into_panels(layout):
    probs = np.full((4, 3, 3), 1 / 3)
    figure, axes = plt.subplots(1, 2, figsize=(12, 5), layout=layout)
    axes[0].set_xlabel("neighbour")
    display = SyllableTransitionDisplay(probs).plot(axes[1])
    figure.draw_without_rendering()
    middle = figure.bbox.width / 2
    assert all(ax.get_window_extent().x0 > middle for ax in display.axes_)


def test_panels_in_one_axes_can_be_read():
    figure, axes = plt.subplots(1, 2, figsize=(7, 4), layout="constrained")
    SyllableTransitionDisplay(np.full((5, 9, 9), 1 / 9)).plot(axes[1])
    assert_readable(figure)


def test_panels_stay_in_axes_of_a_given_place():
    ax = plt.figure(figsize=(6, 5)).add_axes([0.5, 0.2, 0.4, 0.5])
    display = SyllableTransitionDisplay(np.full((4, 3, 3), 1 / 3)).plot(ax)
    box = ax.get_position()
    for panel in display.axes_:
        inner = panel.get_position()
        assert box.x0 - 1e-6 <= inner.x0 < inner.x1 <= box.x1 + 1e-6
        assert box.y0 - 1e-6 <= inner.y0 < inner.y1 <= box.y1 + 1e-6


def test_syllable_transitions_from_estimator():
    model = FakeModel(n_states=2).fit()
    _, axes = plt.subplots(1, 2)
    display = SyllableTransitionDisplay.from_estimator(
        model, ax=axes, cmap="magma", color_scale="linear"
    )
    np.testing.assert_array_equal(display.images_[1].get_array(), model.syllable_trans_probs_[1])
    assert display.images_[0].cmap.name == "magma"
    assert display.images_[0].norm.vmin == 0.0


def test_syllable_transitions_are_checked():
    with pytest.raises(ValueError, match=r"one for each of 3 states, got 2"):
        SyllableTransitionDisplay(np.ones((3, 2, 2))).plot(plt.subplots(1, 2)[1])


@pytest.mark.parametrize("differences", [False, True])
def test_a_syllable_that_cannot_follow_itself_has_no_colour(differences):
    probs = np.broadcast_to((1 - np.eye(3)) / 2, (2, 3, 3))
    display = SyllableTransitionDisplay(probs).plot(differences=differences)
    for image in display.images_:
        np.testing.assert_array_equal(np.ma.getmaskarray(image.get_array()), np.eye(3, dtype=bool))
