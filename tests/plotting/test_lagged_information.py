"""The lagged information display: what is drawn, read back from the artists."""

import numpy as np
import pytest

from hhmm.metrics import LaggedInformation, lagged_mutual_information
from hhmm.plotting import LaggedInformationDisplay
from tests.plotting.behaviour import column_axes, information, legend_texts, recordings
from tests.plotting.readable import assert_readable


def test_information_curves_are_drawn():
    found = information()
    display = LaggedInformationDisplay(found, frame_rate=10).plot()
    np.testing.assert_allclose(display.line_.get_xdata(), found.lags / 10)
    np.testing.assert_array_equal(display.line_.get_ydata(), found.data)
    assert display.ax_.get_xlabel() == "lag"
    assert display.ax_.get_ylabel() == "mutual information (nats)"
    assert (display.ax_.get_xscale(), display.ax_.get_yscale()) == ("log", "log")
    assert legend_texts(display) == ["data", "Markov surrogates", "shuffled pairs"]
    for band, curves in zip(display.bands_, (found.markov, found.shuffled), strict=True):
        vertices = band.get_paths()[0].vertices
        for lag, low, high in zip(found.lags, curves.min(axis=0), curves.max(axis=0), strict=True):
            y = vertices[np.isclose(vertices[:, 0], lag / 10), 1]
            assert y.min() == pytest.approx(low)
            assert y.max() == pytest.approx(high)
    low, high = display.ax_.get_ylim()
    assert low < found.shuffled.min()
    assert high > found.data.max()
    assert_readable(display.figure_)


def test_information_of_lags_in_any_order_and_without_surrogates():
    found = information(n_surrogates=0)
    shuffled = [found.lags[::-1], found.data[::-1], found.markov[:, ::-1], found.shuffled[:, ::-1]]
    display = LaggedInformationDisplay(LaggedInformation(*shuffled, found.n_pairs)).plot()
    np.testing.assert_array_equal(display.line_.get_xdata(), found.lags)
    np.testing.assert_array_equal(display.line_.get_ydata(), found.data)
    assert display.bands_ == []
    assert legend_texts(display) == ["data"]


def test_information_below_zero_and_without_pairs():
    found = information()
    found.data[3], found.data[5] = -0.001, np.nan
    found.markov[0, 3] = -0.002
    found.markov[:, 5] = found.shuffled[:, 5] = np.nan
    display = LaggedInformationDisplay(found).plot()
    np.testing.assert_array_equal(np.isnan(display.line_.get_ydata()), [0, 0, 0, 1, 0, 1])
    low, high = display.ax_.get_ylim()
    assert 0 < low < high
    vertices = display.bands_[0].get_paths()[0].vertices
    assert vertices[:, 1].min() == pytest.approx(low)
    assert_readable(display.figure_)
    with pytest.raises(ValueError, match="information must hold a positive value"):
        LaggedInformationDisplay(
            found._replace(
                data=-(found.data**2), markov=found.markov[:0], shuffled=found.shuffled[:0]
            )
        ).plot()


def test_information_from_sequences():
    X = recordings()
    ax = column_axes()
    display = LaggedInformationDisplay.from_sequences(
        X, [1, 2, 4], n_surrogates=3, correction="miller-madow", random_state=0, ax=ax
    )
    expected = lagged_mutual_information(
        X, [1, 2, 4], n_surrogates=3, correction="miller-madow", random_state=0
    )
    for one, other in zip(display.information, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert display.ax_ is ax
