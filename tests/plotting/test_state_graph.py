"""The state graph display: what is drawn, read back from the artists."""

import numpy as np
import pytest

from hhmm.metrics import state_usage
from hhmm.plotting import StateGraphDisplay
from tests.plotting.behaviour import STATE_NAMES, Model, column_axes, legend_texts, recordings
from tests.plotting.readable import assert_readable


def test_graph_arrows_are_transitions_to_other_states():
    trans_probs = np.array([[0.9, 0.06, 0.04], [0.001, 0.99, 0.009], [0.0, 0.5, 0.5]])
    display = StateGraphDisplay(trans_probs, usage=[0.2, 0.6, 0.2]).plot(min_probability=0.2)
    expected = [[0, 0.6, 0.4], [0.1, 0, 0.9], [0, 1, 0]]
    np.testing.assert_allclose(display.next_probs_, expected)
    assert sorted(display.arrows_) == [(0, 1), (0, 2), (1, 2), (2, 1)]
    for (i, j), arrow in display.arrows_.items():
        assert (arrow.patchA, arrow.patchB) == (display.circles_[i], display.circles_[j])
        start, end = arrow._posA_posB
        np.testing.assert_allclose(start, display.circles_[i].center)
        np.testing.assert_allclose(end, display.circles_[j].center)
    widths = [display.arrows_[pair].get_linewidth() for pair in ((0, 2), (0, 1), (1, 2), (2, 1))]
    np.testing.assert_allclose(np.diff(widths) / np.diff([0.4, 0.6, 0.9, 1.0]), 2.6)
    key = [line.get_linewidth() for line in display.legend_.get_lines()]
    assert key[2] == pytest.approx(widths[3])
    assert legend_texts(display) == ["0.1", "0.5", "1"]
    radii = np.array([circle.radius for circle in display.circles_])
    assert radii[1] ** 2 / radii[0] ** 2 == pytest.approx(3)
    everything = StateGraphDisplay(trans_probs).plot(min_probability=0)
    assert sorted(everything.arrows_) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 1)]


@pytest.mark.parametrize("n_states", [2, 5, 10])
def test_graph_circles_do_not_touch_and_can_be_read(n_states):
    rng = np.random.default_rng(0)
    trans_probs = rng.dirichlet(np.ones(n_states), n_states)
    # circles of equal usage are all of the largest size
    for names, usage in (
        (None, np.ones(n_states)),
        ([STATE_NAMES[k % 5] for k in range(n_states)], rng.dirichlet(np.ones(n_states))),
    ):
        display = StateGraphDisplay(trans_probs, usage=usage, state_names=names).plot(
            unused_states=True
        )
        centers = np.array([circle.center for circle in display.circles_])
        radii = np.array([circle.radius for circle in display.circles_])
        distances = np.linalg.norm(centers[:, None] - centers, axis=-1)
        touching = distances < radii[:, None] + radii + 0.1
        assert touching.sum() == n_states
        if names is None or n_states <= 5:
            assert_readable(display.figure_)
        written = [text.get_text() for text in display.ax_.texts]
        assert written == (names or [str(k) for k in range(n_states)])
    # clockwise from the top
    assert centers[0] == pytest.approx([0, 1])
    assert centers[1][0] > -1e-9


def test_graph_numbers_contrast_with_their_circles():
    display = StateGraphDisplay(np.full((8, 8), 1 / 8)).plot()
    assert [text.get_color() for text in display.ax_.texts[:3]] == ["white", "black", "black"]
    assert display.ax_.texts[6].get_color() == "black"  # yellow
    assert display.ax_.texts[7].get_color() == "white"  # black


def test_graph_from_states_counts_transitions_within_sequences():
    states = [[0, 0, 1, -1, 2], [2, 1, 1], [0]]
    display = StateGraphDisplay.from_predictions(states)
    np.testing.assert_array_equal(display.trans_probs, [[1, 1, 0], [0, 1, 0], [0, 1, 0]])
    np.testing.assert_allclose(display.usage, state_usage(states))
    assert not display.next_probs_[1].any()


def test_graph_from_estimator():
    model = Model(n_states=4).fit()
    display = StateGraphDisplay.from_estimator(model, min_probability=0.3)
    values, vectors = np.linalg.eig(model.trans_probs_.T)
    stationary = np.real(vectors[:, np.argmax(values.real)])
    np.testing.assert_allclose(display.usage, stationary / stationary.sum())
    X = recordings()
    display = StateGraphDisplay.from_estimator(model, X, ax=column_axes())
    np.testing.assert_allclose(display.usage, state_usage(model.predict(X), n_states=4))


def test_graph_arguments_are_checked():
    with pytest.raises(ValueError, match="min_probability == 2, must be <= 1"):
        StateGraphDisplay(np.eye(2)).plot(min_probability=2)
    with pytest.raises(TypeError, match="min_probability must be an instance of"):
        StateGraphDisplay(np.eye(2)).plot(min_probability="a few")
    with pytest.raises(ValueError, match="state_names must hold 2 names, got 1"):
        StateGraphDisplay(np.eye(2), state_names=["a"]).plot()
