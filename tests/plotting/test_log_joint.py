"""The log joint display: what is drawn, read back from the artists."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from hhmm.plotting import LogJointDisplay
from tests.plotting.readable import FakeModel, assert_readable, tick_labels


def trace(n_iter, n_chains=1, rise=1e5, plateau=-5000.0, seed=0):
    noise = np.random.default_rng(seed).normal(scale=10, size=(n_chains, n_iter))
    return plateau + noise - rise * np.exp(-np.arange(n_iter) / 2)


@pytest.mark.parametrize(("n_chains", "n_iter"), [(1, 1), (1, 200), (4, 100), (8, 5), (20, 60)])
@pytest.mark.parametrize("reference", [None, -4900.0])
def test_log_joint_is_drawn(n_chains, n_iter, reference):
    log_joint = trace(n_iter, n_chains)
    display = LogJointDisplay(log_joint).plot(reference=reference, reference_label="truth")
    assert len(display.lines_) == n_chains
    for line, chain in zip(display.lines_, log_joint, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, n_iter + 1))
        np.testing.assert_array_equal(line.get_ydata(), chain)
    names = [f"chain {c}" for c in range(n_chains)] if n_chains <= 8 else ["20 chains"]
    names = names if n_chains > 1 else []
    if reference is None:
        assert display.reference_line_ is None
    else:
        assert list(display.reference_line_.get_ydata()) == [reference, reference]
        names = [*names, "truth"]
        low, high = display.ax_.get_ylim()
        assert low < reference < high
    legend = display.ax_.get_legend()
    assert ([] if legend is None else [t.get_text() for t in legend.get_texts()]) == names
    assert display.ax_.get_ylabel() == "log joint probability (nats)"
    if n_chains <= 8:
        assert len({line.get_color() for line in display.lines_}) == n_chains
    assert_readable(display.figure_)


def test_the_rise_does_not_squeeze_the_plateau():
    log_joint = trace(100, 2)
    display = LogJointDisplay(log_joint).plot()
    low, high = display.ax_.get_ylim()
    plateau = log_joint[:, 50:]
    assert low < plateau.min()
    assert log_joint.max() < high
    assert np.ptp(plateau) > 0.4 * (high - low)
    below = log_joint < low
    n_below = below.any(axis=0).sum()
    lowest = f"{log_joint.min():,.0f}".replace("-", "\N{MINUS SIGN}")
    assert n_below > 5
    assert display.ax_.get_xlabel() == (
        f"sweep\n({n_below} sweeps lie below the axis, down to {lowest})"
    )

    display = LogJointDisplay(log_joint).plot(clip_rise=False)
    assert display.ax_.get_ylim()[0] < log_joint.min()
    assert display.ax_.get_xlabel() == "sweep"


def test_one_sweep_below_the_axis():
    log_joint = np.append(-900.0, np.zeros(20) - np.arange(20) % 3)
    display = LogJointDisplay(log_joint).plot()
    expected = "sweep\n(1 sweep lies below the axis, down to \N{MINUS SIGN}900)"
    assert display.ax_.get_xlabel() == expected


def test_a_small_rise_is_shown_whole():
    log_joint = np.append([-14.0, -12.0], np.arange(20) % 8)
    display = LogJointDisplay(log_joint).plot()
    low, high = display.ax_.get_ylim()
    assert low < -14 < 7 < high
    assert display.ax_.get_xlabel() == "sweep"


def test_the_axis_is_never_narrower_than_a_nat():
    flat = LogJointDisplay(np.append(-500.0, np.full(30, -1e-9))).plot()
    low, high = flat.ax_.get_ylim()
    assert 0.5 < high - low < 3
    low, high = LogJointDisplay([-123.4]).plot().ax_.get_ylim()
    assert low < -123.4 < high
    assert high - low >= 1


def test_a_chain_in_a_poor_mode_is_shown():
    log_joint = trace(100, 2)
    log_joint[1] -= 800
    low, _ = LogJointDisplay(log_joint).plot().ax_.get_ylim()
    assert low < log_joint[1, 50:].min()


def test_values_that_are_not_finite():
    log_joint = np.append([-np.inf, np.nan], -50.0 - np.arange(20) % 3)
    display = LogJointDisplay(log_joint).plot()
    assert np.isfinite(display.ax_.get_ylim()).all()
    log_joint = np.append([-np.inf, -9000.0], -50.0 - np.arange(20) % 3)
    display = LogJointDisplay(log_joint).plot()
    assert "2 sweeps lie below the axis" in display.ax_.get_xlabel()
    low, high = LogJointDisplay([-10.0, -9.0, np.nan, np.nan, np.nan]).plot().ax_.get_ylim()
    assert low < -10 < -9 < high


def test_numbers_of_nats_are_written_out():
    display = LogJointDisplay(trace(100, plateau=-1_234_567.0)).plot()
    display.figure_.draw_without_rendering()
    assert all(text.startswith("\N{MINUS SIGN}1,234,") for text in tick_labels(display.ax_.yaxis))
    assert display.ax_.yaxis.get_offset_text().get_text() == ""


def test_log_joint_from_estimator():
    model = FakeModel().fit()
    _, ax = plt.subplots()
    display = LogJointDisplay.from_estimator(
        model, reference=3.0, reference_label="truth", ax=ax, clip_rise=False
    )
    np.testing.assert_array_equal(display.lines_[1].get_ydata(), model.log_joint_[1])
    assert display.ax_ is ax
    assert display.reference_line_.get_label() == "truth"
    assert ax.get_ylim()[0] < model.log_joint_.min()
