"""The matched confusion display: what is drawn, read back from the artists."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from hhmm.metrics import matched_accuracy, matched_confusion_matrix
from hhmm.plotting import MatchedConfusionDisplay
from tests.plotting.readable import (
    FakeModel,
    assert_readable,
    cell_texts,
    contrast,
    recordings,
    tick_labels,
)


def noisy_states(n_states, n_pred=None, seed=0):
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, n_states, 4000)
    noise = rng.integers(0, n_pred or n_states, 4000)
    return y_true, np.where(rng.random(4000) < 0.2, noise, (y_true + 1) % n_states)


@pytest.mark.parametrize("n_states", [1, 2, 5, 10])
def test_matched_confusion_is_drawn(n_states):
    y_true, y_pred = noisy_states(n_states)
    display = MatchedConfusionDisplay.from_predictions(y_true, y_pred)
    expected = matched_confusion_matrix(y_true, y_pred, normalize="true")
    np.testing.assert_array_equal(display.image_.get_array(), expected)
    assert display.image_.get_clim() == (0, 1)
    accuracy = matched_accuracy(y_true, y_pred)
    assert display.ax_.get_title() == f"matched accuracy {accuracy:.3f}"
    assert display.ax_.get_xlabel() == "inferred state, matched"
    assert display.ax_.get_ylabel() == "true state"
    assert tick_labels(display.ax_.xaxis) == [str(k) for k in range(n_states)]
    for i, j in np.ndindex(n_states, n_states):
        text = display.text_[i, j]
        assert text.get_position() == (j, i)
        assert contrast(display.image_, text, expected[i, j]) > 4.5
        value = text.get_text()
        if value not in ("0", "1", "<.01", ">.99"):
            assert value == f"{expected[i, j]:.2f}".lstrip("0")
    assert_readable(display.figure_)


def test_states_that_never_occur_are_masked():
    y_true, y_pred = noisy_states(3, n_pred=5)
    display = MatchedConfusionDisplay.from_predictions(y_true, y_pred)
    array = display.image_.get_array()
    assert array.shape == (5, 5)
    assert array.mask[3:].all()
    assert not array.mask[:3].any()
    assert cell_texts(display)[3:] == [[""] * 5] * 2
    np.testing.assert_allclose(array[:3].sum(axis=1), 1)


def test_confusion_from_estimator():
    model = FakeModel().fit()
    X = recordings()
    y_true = [np.where(x == 0, 1, x % 3) for x in X]
    _, ax = plt.subplots()
    display = MatchedConfusionDisplay.from_estimator(
        model, X, y_true, ax=ax, cmap="magma", include_values=False
    )
    np.testing.assert_array_equal(
        display.image_.get_array(),
        matched_confusion_matrix(y_true, model.predict(X), normalize="true"),
    )
    assert display.accuracy == matched_accuracy(y_true, model.predict(X)) < 1
    assert (display.ax_, display.text_, display.image_.cmap.name) == (ax, None, "magma")


def test_confusion_without_accuracy_has_no_title():
    assert MatchedConfusionDisplay([[1.0]]).plot().ax_.get_title() == ""
