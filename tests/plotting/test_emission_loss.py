"""The emission loss display: what is drawn, read back from the artists."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from hhmm.plotting import EmissionLossDisplay
from tests.plotting.readable import FakeModel, assert_readable


@pytest.mark.parametrize(
    "losses",
    [
        [12345.678],
        [12345.6, 12345.1],
        [13000.0, 12350.0, 12345.6],
        [13000.0, 12350.0, 12345.6, 12345.50001, 12345.5],
        500 + 3000 * np.exp(-np.arange(500) / 30) + np.sin(np.arange(500)) ** 2 / 100,
    ],
    ids=lambda losses: str(len(losses)),
)
def test_excess_losses_are_drawn(losses):
    losses = np.array(losses)
    display = EmissionLossDisplay(losses).plot()
    n_iter = len(losses)
    np.testing.assert_array_equal(display.line_.get_xdata(), np.arange(1, n_iter + 1))
    excess = losses - losses.min()
    drawn = display.line_.get_ydata()
    at_minimum = excess == 0
    if n_iter == 1:
        assert drawn.tolist() == [0.0]
        assert display.ax_.get_yscale() == "linear"
        assert display.minimum_line_ is None
    else:
        assert display.ax_.get_yscale() == "log"
        np.testing.assert_array_equal(drawn[~at_minimum], excess[~at_minimum])
        assert np.isnan(drawn[at_minimum]).all()
        low, high = display.ax_.get_ylim()
        assert 0 < low < excess[~at_minimum].min()
        assert excess.max() < high
        np.testing.assert_array_equal(
            display.minimum_line_.get_xdata(), np.flatnonzero(at_minimum) + 1
        )
        assert set(display.minimum_line_.get_ydata()) == {low}
        texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        assert texts == ["smallest loss (excess 0)"]
    assert (display.line_.get_marker() == "o") == (n_iter < 500)
    assert display.ax_.get_xlabel() == (
        f"iteration\n(smallest loss {losses.min():,.3f} nats, at iteration "
        f"{np.argmin(losses) + 1} of {n_iter})"
    )
    display.figure_.draw_without_rendering()
    assert_readable(display.figure_)
    if n_iter <= 5:
        low, high = display.ax_.get_xlim()
        shown = [t for t in display.ax_.get_xticks() if low <= t <= high]
        assert shown == list(range(1, n_iter + 1))


def test_a_dotted_line_leads_to_the_smallest_loss():
    display = EmissionLossDisplay([1200.0, 1010.0, 1000.5, 1000.0]).plot()
    (dotted,) = (line for line in display.ax_.lines if line.get_linestyle() == ":")
    low, _ = display.ax_.get_ylim()
    assert dotted.get_ydata().tolist() == [200.0, 10.0, 0.5, low]


def test_losses_that_hardly_vary_are_on_a_linear_axis():
    display = EmissionLossDisplay([10.0, 9.0, 8.0, 7.0, 6.5]).plot()
    assert display.ax_.get_yscale() == "linear"
    np.testing.assert_array_equal(display.line_.get_ydata(), [3.5, 2.5, 1.5, 0.5, 0.0])
    assert display.minimum_line_ is None
    constant = EmissionLossDisplay([5.0, 5.0, 5.0]).plot()
    np.testing.assert_array_equal(constant.line_.get_ydata(), [0.0, 0.0, 0.0])
    assert constant.ax_.get_yticks().tolist() == [0]


def test_rounding_is_not_progress():
    losses = 1e6 + np.array([100.0, 1.0, 1e-10, 0.0, 1e-10])
    assert losses[2] > losses[3]
    display = EmissionLossDisplay(losses).plot()
    assert display.minimum_line_.get_xdata().tolist() == [3, 4, 5]
    assert np.isnan(display.line_.get_ydata()[2:]).all()


def test_losses_that_are_not_finite():
    display = EmissionLossDisplay([np.inf, 8.0, np.nan, 7.0, 5.0, 3.0]).plot()
    np.testing.assert_array_equal(display.line_.get_ydata(), [np.nan, 5, np.nan, 4, 2, 0])


def test_losses_from_estimator():
    model = FakeModel().fit()
    _, ax = plt.subplots()
    display = EmissionLossDisplay.from_estimator(model, ax=ax)
    assert display.ax_ is ax
    np.testing.assert_array_equal(display.line_.get_ydata(), [100.0, 10.0, 0.5, np.nan])
