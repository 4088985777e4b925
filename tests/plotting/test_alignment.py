"""The alignment display: what is drawn, read back from the artists."""

import itertools

import numpy as np
import pytest

from hhmm.metrics import match_states, matched_accuracy
from hhmm.plotting import AlignmentDisplay
from tests.plotting.behaviour import COLUMN, STATE_NAMES, Model, column_axes, recordings
from tests.plotting.readable import assert_readable, tick_labels


def two_fits(n_first, n_second, seed=0, noise=0.2):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, n_first, 2000)
    second = np.where(
        rng.random(2000) < noise, rng.integers(0, n_second, 2000), (first + 1) % n_second
    )
    return first, second


@pytest.mark.parametrize(("n_first", "n_second"), [(1, 1), (3, 3), (3, 5), (5, 3)])
def test_alignment_counts_keep_the_numbers_of_both_fits(n_first, n_second):
    first, second = two_fits(n_first, n_second)
    display = AlignmentDisplay.from_predictions(first, second)
    expected = np.zeros((n_first, n_second), int)
    np.add.at(expected, (first, second), 1)
    np.testing.assert_array_equal(display.counts, expected)
    np.testing.assert_array_equal(display.mapping, match_states(first, second))
    assert display.accuracy_ == pytest.approx(matched_accuracy(first, second))
    assert display.ax_.get_title() == f"matched accuracy {display.accuracy_:.3f}"

    assert sorted(display.bands_) == [tuple(pair) for pair in np.argwhere(expected)]
    heights = {}
    for pair, band in display.bands_.items():
        vertices = band.get_path().vertices
        heights[pair] = vertices[7, 1] - vertices[0, 1]
        assert vertices[4, 1] - vertices[3, 1] == pytest.approx(heights[pair])
        assert heights[pair] == pytest.approx(expected[pair] / 2000)
        # both ends lie on their bars
        for bar, y in zip(
            (display.bars_[0][pair[0]], display.bars_[1][pair[1]]),
            (vertices[0, 1], vertices[3, 1]),
            strict=True,
        ):
            assert bar.get_y() - 1e-9 <= y
            assert y + heights[pair] <= bar.get_y() + bar.get_height() + 1e-9
    for side, totals in zip(
        display.bars_, (expected.sum(axis=1), expected.sum(axis=0)), strict=True
    ):
        np.testing.assert_allclose([bar.get_height() for bar in side], totals / 2000)
    # bands do not cover each other on a bar
    for axis, point in ((0, 0), (1, 3)):
        for state in range((n_first, n_second)[axis]):
            spans = sorted(
                (band.get_path().vertices[point, 1], heights[pair])
                for pair, band in display.bands_.items()
                if pair[axis] == state
            )
            for (top, height), (below, _) in itertools.pairwise(spans):
                assert top + height == pytest.approx(below)


def test_matched_states_have_one_color_and_stand_side_by_side():
    first, second = two_fits(4, 4, noise=0.0)
    display = AlignmentDisplay.from_predictions(first, second)
    assert display.accuracy_ == 1
    for j, bar in enumerate(display.bars_[1]):
        partner = display.bars_[0][display.mapping[j]]
        assert bar.get_facecolor() == partner.get_facecolor()
        assert bar.get_y() == pytest.approx(partner.get_y())
    first, second = two_fits(2, 3)
    display = AlignmentDisplay.from_predictions(first, second)
    left = {bar.get_facecolor() for bar in display.bars_[0]}
    assert len({bar.get_facecolor() for bar in display.bars_[1]} - left) == 1


def test_alignment_of_labels_that_do_not_all_occur():
    display = AlignmentDisplay.from_predictions([0, 0, 2, 2, -1], [4, 4, 1, 1, 0])
    assert display.counts.shape == (3, 5)
    assert display.counts[0, 4] == display.counts[2, 1] == 2
    assert display.counts.sum() == 4
    texts = {text.get_text() for text in display.ax_.texts}
    assert texts == {"0", "2", "1", "4"}


def test_alignment_from_estimators():
    one, other = Model(n_states=3).fit(), Model(n_states=4).fit()
    X = recordings()
    display = AlignmentDisplay.from_estimators(one, other, X, names=("three", "four"))
    expected = np.zeros((3, 4), int)
    np.add.at(expected, (np.concatenate(one.predict(X)), np.concatenate(other.predict(X))), 1)
    np.testing.assert_array_equal(display.counts, expected)
    assert tick_labels(display.ax_.xaxis) == ["three", "four"]


@pytest.mark.parametrize("n_states", [2, 5, 20])
def test_alignment_can_be_read_in_a_column(n_states):
    first, second = two_fits(n_states, n_states + 1)
    names = [STATE_NAMES[k % 5] for k in range(n_states)]
    display = AlignmentDisplay.from_predictions(first, second, first_names=names)
    assert display.figure_.get_size_inches()[0] == COLUMN
    assert_readable(display.figure_)
    display = AlignmentDisplay.from_predictions(first, second, ax=column_axes(2.4))
    assert_readable(display.figure_)


def test_alignment_arguments_are_checked():
    with pytest.raises(ValueError, match="names must hold 2 names, got 1"):
        AlignmentDisplay([[1]], [0], names=("a",)).plot()
    with pytest.raises(ValueError, match="first_names must hold 1 names, got 2"):
        AlignmentDisplay([[1]], [0], first_names=["a", "b"]).plot()
