"""The state transitions display: what is drawn, read back from the artists."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from hhmm.plotting import StateTransitionDisplay
from tests.plotting.readable import (
    DISPLAYS,
    FakeModel,
    assert_readable,
    cell_texts,
    contrast,
    tick_labels,
)


def sticky(n_states, stay, seed=0):
    probs = (1 - stay) * np.random.default_rng(seed).dirichlet(np.ones(n_states), n_states)
    return probs + stay * np.eye(n_states)


@pytest.mark.parametrize(
    ("n_states", "stay", "color_scale"),
    [
        (1, 0.5, "log"),
        (2, 0.99, "linear"),
        (5, 0.97, "log"),
        (10, 0.998, "log"),
        (10, 0.998, "linear"),
    ],
)
def test_state_transitions_are_drawn(n_states, stay, color_scale):
    trans_probs = sticky(n_states, stay)
    display = StateTransitionDisplay(trans_probs).plot(color_scale=color_scale)
    np.testing.assert_array_equal(display.image_.get_array(), trans_probs)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("to state", "from state")
    assert tick_labels(display.ax_.xaxis) == [str(k) for k in range(n_states)]
    assert tick_labels(display.ax_.yaxis) == [str(k) for k in range(n_states)]
    assert display.figure_.axes[1].get_ylabel() == "transition probability"
    assert_readable(display.figure_)
    assert display.text_.shape == (n_states, n_states)
    for i, j in np.ndindex(n_states, n_states):
        text = display.text_[i, j]
        assert text.get_position() == (j, i)
        assert contrast(display.image_, text, trans_probs[i, j]) > 4.5
    colors = {to_hex(c) for c in display.image_.to_rgba(trans_probs).reshape(-1, 4)}
    assert n_states == 1 or len(colors) > 2 or color_scale == "linear"


@pytest.mark.parametrize(
    ("trans_probs", "expected"),
    [
        ([[0.7, 0.3], [0.45, 0.55]], [[".70", ".30"], [".45", ".55"]]),
        ([[0.996, 0.004], [0.05, 0.95]], [[">.99", "<.01"], [".05", ".95"]]),
        ([[0.987, 0.013], [0.004, 0.996]], [[".987", ".013"], [".004", ".996"]]),
        ([[0.99964, 0.00036], [0.004, 0.996]], [[">.999", "<.001"], [".004", ".996"]]),
        ([[0.9997, 0.0003], [0.0005, 0.9995]], [[".9997", ".0003"], [".0005", ".9995"]]),
        ([[1 - 1e-7, 1e-7], [1e-6, 1 - 1e-6]], [[">.9999", "<.0001"], ["<.0001", ">.9999"]]),
        ([[1.0, 0.0], [0.0, 1.0]], [["1", "0"], ["0", "1"]]),
    ],
)
def test_small_and_large_probabilities_are_told_apart(trans_probs, expected):
    # Decimals follow the median of the transitions to another state.
    assert cell_texts(StateTransitionDisplay(trans_probs).plot()) == expected


def test_colors_of_rare_transitions_differ_on_the_log_scale_only():
    trans_probs = np.array([[0.989, 0.001, 0.01], [0.01, 0.99, 0], [0.01, 0, 0.99]])
    distances = {}
    for color_scale in ("log", "linear"):
        image = StateTransitionDisplay(trans_probs).plot(color_scale=color_scale).image_
        colors = image.to_rgba(trans_probs)
        assert np.isfinite(colors).all()
        assert (colors[..., 3] == 1).all()
        distances[color_scale] = np.abs(colors[0, 1] - colors[0, 2]).max()
    assert distances["log"] > 0.2 > 0.02 > distances["linear"]


def test_probabilities_below_the_scale_are_marked_on_the_colour_bar():
    def extend(trans_probs):
        return StateTransitionDisplay(trans_probs).plot().image_.colorbar.extend

    assert extend([[0.9, 0.1], [0.2, 0.8]]) == "neither"
    assert extend([[1 - 1e-6, 1e-6], [0.2, 0.8]]) == "min"
    assert extend([[1.0, 0.0], [0.2, 0.8]]) == "min"


def test_the_colour_bar_ends_above_the_largest_probability():
    for color_scale in ("log", "linear"):
        display = StateTransitionDisplay([[0.98, 0.02], [0.2, 0.8]]).plot(color_scale=color_scale)
        display.figure_.draw_without_rendering()
        shown = display.image_.norm.vmin, display.image_.norm.vmax
        ticks = display.image_.colorbar.get_ticks()
        assert ticks[(ticks >= shown[0]) & (ticks <= shown[1])].max() >= 0.98


def test_numbers_are_left_out_where_they_do_not_fit():
    assert StateTransitionDisplay(sticky(60, 0.9)).plot().text_ is None
    assert StateTransitionDisplay(sticky(60, 0.9)).plot(include_values=True).text_ is not None
    assert StateTransitionDisplay(sticky(2, 0.9)).plot(include_values=False).text_ is None
    assert not StateTransitionDisplay(sticky(2, 0.9)).plot(include_values=False).ax_.texts


def test_many_states_are_labelled_in_round_steps():
    display = StateTransitionDisplay(sticky(60, 0.9)).plot()
    assert tick_labels(display.ax_.xaxis) == [str(k) for k in range(0, 60, 5)]
    assert max(display.figure_.get_size_inches()) < 15
    assert_readable(display.figure_)


def test_state_transitions_from_estimator():
    model = FakeModel(n_states=4).fit()
    _, ax = plt.subplots()
    display = StateTransitionDisplay.from_estimator(
        model, ax=ax, cmap="magma", color_scale="linear", include_values=False
    )
    np.testing.assert_array_equal(display.image_.get_array(), model.trans_probs_)
    assert (display.ax_, display.image_.cmap.name, display.text_) == (ax, "magma", None)
    assert display.image_.norm.vmin == 0.0


@pytest.mark.parametrize("name", ["transitions", "syllables"])
def test_the_color_scale_is_checked(name):
    with pytest.raises(ValueError, match="color_scale must be 'log' or 'linear', got 'sqrt'"):
        DISPLAYS[name]().plot(color_scale="sqrt")
