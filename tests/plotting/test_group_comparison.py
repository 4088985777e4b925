"""The display of comparisons: what is drawn, read back from the artists."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy.stats import t

from hhmm.comparisons import compare_groups
from hhmm.plotting import GroupComparisonDisplay
from hhmm.plotting._figures import MUTED, UNUSED_COLOR
from tests.plotting.behaviour import STATE_NAMES, column_axes, legend_texts, sticky_states
from tests.plotting.readable import assert_readable, tick_labels

RNG = np.random.default_rng(0)
STATES = sticky_states(0, 3, [300] * 10, stay=0.8)
SYLLABLES = [RNG.integers(0, 6, 300) for _ in STATES]
DASH = "\N{EN DASH}"
GROUPS = ["saline", "drug"] * 5


def compare(states=STATES, groups=GROUPS, **settings):
    return compare_groups(states, groups=groups, n_resamples=99, random_state=0, **settings)


@pytest.fixture(scope="module")
def comparison():
    return compare(syllables=SYLLABLES, frame_rate=10, confidence_level=0.9)


def test_every_animal_is_a_dot(comparison):
    display = GroupComparisonDisplay.from_comparison(comparison)
    for panel, values in enumerate((comparison.usage, comparison.dwell)):
        for group in (0, 1):
            points = display.points_[panel][group].get_offsets().reshape(5, 3, 2)
            np.testing.assert_allclose(points[..., 1], values[comparison.animal_groups == group])
            # dots stay in the slot of their state and group
            center = np.arange(3) - 0.4 + 0.4 * (group + 0.5)
            assert (np.abs(points[..., 0] - center) < 0.2).all()
            assert to_hex(display.points_[panel][group].get_facecolor()[0]) == MUTED[group].lower()
    assert legend_texts(display) == ["saline (n = 5)", "drug (n = 5)", "mean, 90% interval"]
    labels = [ax.get_ylabel() for ax in display.axes_]
    assert labels == ["fraction of time", "dwell time (s)"]
    assert [ax.get_yscale() for ax in display.axes_] == ["linear", "log"]


def test_means_and_intervals(comparison):
    display = GroupComparisonDisplay.from_comparison(comparison)
    quantile = t.ppf(0.95, 4)
    for panel, values in enumerate((comparison.usage, np.log(comparison.dwell))):
        back = np.exp if panel else np.asarray
        for group in (0, 1):
            part = values[comparison.animal_groups == group]
            error = quantile * part.std(axis=0, ddof=1) / np.sqrt(5)
            np.testing.assert_allclose(display.means_[panel][group], back(part.mean(axis=0)))
            for sign, ends in zip((-1, 1), display.intervals_[panel], strict=True):
                expected = back(part.mean(axis=0) + sign * error)
                np.testing.assert_allclose(ends[group], np.clip(expected, 0, None))
            bars = display.axes_[panel].containers[group]
            np.testing.assert_allclose(bars.lines[0].get_ydata(), display.means_[panel][group])
            (segments,) = bars.lines[2]
            ends = np.array([segment[:, 1] for segment in segments.get_segments()]).T
            np.testing.assert_allclose(ends, display.intervals_[panel][:, group])


@pytest.mark.parametrize("values", ["q", "p"])
def test_values_above_the_dots(comparison, values):
    display = GroupComparisonDisplay.from_comparison(comparison, values=values)
    column = comparison.q_value if values == "q" else comparison.p_value
    for panel, quantity in enumerate(("usage", "dwell")):
        expected = column[comparison.quantity == quantity]
        for text, value in zip(display.marks_[panel][0], expected, strict=True):
            assert float(text.get_text()) == pytest.approx(value, abs=0.006)
            assert (text.get_color() == "black") == (value < 0.05)
        heading = display.axes_[panel].texts[0]
        assert heading.get_text() == f"{values} "


def test_the_y_axis_ends_below_the_values(comparison):
    display = GroupComparisonDisplay.from_comparison(comparison)
    for ax, intervals in zip(display.axes_, display.intervals_, strict=True):
        low, high = ax.spines["left"].get_bounds()
        assert low <= intervals.min()
        assert intervals.max() <= high < ax.get_ylim()[1]
        assert (ax.get_yticks() <= high).all()
        assert len(ax.get_yticks()) >= 2
    assert_readable(display.figure_)


def test_small_values_and_states_without_a_test():
    states = [np.repeat([0, 1, 0, 1], [9, 9 + i, 8, 20]) for i in range(8)]
    states += [np.repeat([0, 1, 2, 1], [40, 5 + i, 2, 9]) for i in range(8)]
    comparison = compare_groups(states, groups=["x"] * 8 + ["y"] * 8, random_state=0)
    display = GroupComparisonDisplay.from_comparison(comparison, values="p")
    assert [text.get_text() for text in display.marks_[0][0]] == ["< 0.001", "< 0.001", DASH]
    # the unused state would be grey if it took less than 1 %
    few = [np.append(np.tile([0, 1], 200), 2)] * 8
    display = GroupComparisonDisplay.from_comparison(compare(few, list("xy" * 4)))
    colors = [to_hex(tick.label1.get_color()) for tick in display.axes_[0].xaxis.get_major_ticks()]
    assert colors[2] == to_hex(UNUSED_COLOR)
    assert colors[0] == "#000000"


def test_animals_in_two_groups_are_connected():
    comparison = compare(animals=np.repeat(list("abcde"), 2))
    display = GroupComparisonDisplay.from_comparison(comparison)
    connections = [line for line in display.axes_[0].lines if line.get_color() == "0.6"]
    assert len(connections) == 5 * 3
    dots = [points.get_offsets() for points in display.points_[0]]
    ends = np.array([line.get_xydata() for line in connections])
    for group in (0, 1):
        for dot in dots[group]:
            assert np.isclose(ends[:, group], dot).all(axis=1).any()
    assert "connected" not in legend_texts(display)
    display = GroupComparisonDisplay.from_comparison(compare())
    assert not [line for line in display.axes_[0].lines if line.get_color() == "0.6"]


def test_three_groups_have_a_row_of_values_for_each_comparison():
    comparison = compare(groups=list("abcabcabca"))
    display = GroupComparisonDisplay.from_comparison(comparison)
    assert display.marks_[0].shape == (4, 3)
    headings = [
        [text.get_text() for text in ax.texts if text.get_ha() == "right"] for ax in display.axes_
    ]
    pairs = ["b - a", "c - a", "c - b"]
    assert headings[0] == ["q, all ", *(f"q, {pair.replace('-', DASH)} " for pair in pairs)]
    assert headings[1] == []  # as beside it
    rows = comparison.quantity == "usage"
    for row, (first, second) in enumerate([("all groups", ""), ("a", "b"), ("a", "c"), ("b", "c")]):
        which = rows & (comparison.group_1 == first) & (comparison.group_2 == second)
        shown = [float(text.get_text()) for text in display.marks_[0][row]]
        np.testing.assert_allclose(shown, comparison.q_value[which], atol=0.006)
    assert_readable(display.figure_)
    more = GroupComparisonDisplay.from_comparison(compare(groups=list("abcdeabcde")))
    assert more.marks_[0].shape == (1, 3)


def test_transitions(comparison):
    display = GroupComparisonDisplay.from_comparison(comparison, quantities="transition")
    names = ["0 → 1", "0 → 2", "1 → 0", "1 → 2", "2 → 0", "2 → 1"]
    assert tick_labels(display.axes_[0].xaxis) == names
    points = display.points_[0][1].get_offsets().reshape(5, 6, 2)
    drug = comparison.animal_groups == 1
    np.testing.assert_allclose(points[:, 3, 1], comparison.transition[drug, 1, 2])
    assert_readable(display.figure_)


def test_content_shows_the_syllables_that_differ_most(comparison):
    display = GroupComparisonDisplay.from_comparison(comparison, quantities=["content"], n_top=4)
    assert len(display.axes_) == 3
    frame = comparison.to_frame()
    for state, ax in enumerate(display.axes_):
        rows = frame[(frame["quantity"] == "syllable") & (frame["state"] == state)]
        order = np.lexsort((-rows["effect"].abs(), rows["p_value"]))[:4]
        expected = rows["syllable"].iloc[order].tolist()
        assert tick_labels(ax.xaxis) == [str(syllable) for syllable in expected]
        points = display.points_[state][0].get_offsets().reshape(5, 4, 2)
        saline = comparison.animal_groups == 0
        np.testing.assert_allclose(points[:, :, 1], comparison.content[saline, state][:, expected])
        q_value = frame[(frame["quantity"] == "content") & (frame["state"] == state)]["q_value"]
        assert ax.get_xlabel() == f"syllable in state {state} (q = {q_value.iloc[0]:.2f})"
    assert_readable(display.figure_)
    with pytest.raises(ValueError, match=r"no content of states\. Give syllables to"):
        GroupComparisonDisplay(compare()).plot(quantities=["content"])


@pytest.mark.parametrize("n_groups", [2, 3])
def test_names_can_be_read(n_groups):
    states = sticky_states(1, 5, [300] * 12, stay=0.8)
    groups = np.array(["control", "amphetamine", "lesion"])[np.arange(12) % n_groups]
    comparison = compare(states, groups, state_names=STATE_NAMES)
    display = GroupComparisonDisplay.from_comparison(comparison)
    display.figure_.draw_without_rendering()
    for ax in display.axes_:
        assert ax.get_window_extent().height > 0.4 * display.figure_.bbox.height
        assert ax.get_window_extent().width > 0.3 * display.figure_.bbox.width


def test_one_quantity_in_given_axes(comparison):
    ax = column_axes(3.0)
    display = GroupComparisonDisplay.from_comparison(comparison, quantities=["usage"], ax=[ax])
    assert display.axes_.tolist() == [ax]
    assert display.figure_ is ax.figure
    assert_readable(display.figure_)


def test_names_are_drawn_as_they_are():
    comparison = compare(
        STATES,
        ["$x$"] * 5 + ["_y"] * 5,
        state_names=["$^$", "a\tb", "c"],
        animals=list("abcdefghij"),
    )
    display = GroupComparisonDisplay.from_comparison(comparison)
    display.figure_.draw_without_rendering()
    assert legend_texts(display)[:2] == ["$x$ (n = 5)", "_y (n = 5)"]
    assert tick_labels(display.axes_[0].xaxis) == ["$^$", "a\\tb", "c"]


def test_intervals_far_beyond_the_animals_are_cut():
    states = [np.repeat([0, 1] * 3, n) for n in (2, 900, 3, 4, 2, 800, 3, 2)]
    compared = compare(states=states, groups=["a"] * 4 + ["b"] * 4)
    display = GroupComparisonDisplay.from_comparison(compared, quantities=["dwell"])
    low, high = display.axes_[0].spines["left"].get_bounds()
    assert compared.dwell.min() / 5 < low < compared.dwell.min()
    assert compared.dwell.max() < high < 5 * compared.dwell.max()
    assert_readable(display.figure_)
