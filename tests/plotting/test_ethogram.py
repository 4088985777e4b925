"""The ethogram display: what is drawn, read back from the artists."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

import hhmm.plotting._ethogram
from hhmm.plotting import EthogramDisplay
from tests.plotting.behaviour import (
    BLUE,
    GREEN,
    ORANGE,
    STATE_NAMES,
    Model,
    column_axes,
    legend_texts,
    recordings,
    sticky_states,
)
from tests.plotting.readable import assert_readable, tick_labels


def test_ethogram_rows_are_states_in_blocks_of_groups():
    states = [[0, 1, 2, 2], [1, -1, 1], [2, 2, -1, 0, 0], [0, 0]]
    display = EthogramDisplay(
        states, names=list("wxyz"), groups=["b", "a", "b", "a"], n_states=3
    ).plot()
    np.testing.assert_array_equal(display.order_, [0, 2, 1, 3])
    first, second = (image.get_array() for image in display.images_)
    np.testing.assert_array_equal(first.filled(9), [[0, 1, 2, 2, 9], [2, 2, 3, 0, 0]])
    np.testing.assert_array_equal(second.filled(9), [[1, 3, 1, 9, 9], [0, 0, 9, 9, 9]])
    assert tick_labels(display.ax_.yaxis) == ["w", "y", "x", "z"]
    assert [text.get_text() for text in display.ax_.texts] == ["b", "a"]
    assert legend_texts(display) == ["state 0", "state 1", "state 2", "missing"]

    # every name stands beside its row, and every group over its block
    assert display.ax_.yaxis_inverted()
    ticks = display.ax_.get_yticks()
    for image, rows, header in zip(
        display.images_, (ticks[:2], ticks[2:]), display.ax_.texts, strict=True
    ):
        left, right, bottom, top = image.get_extent()
        assert (left, right) == (0, 5)
        np.testing.assert_allclose(rows, [top + 0.5, top + 1.5])
        assert bottom == top + 2
        assert header.xy == (0, top)
    assert_readable(display.figure_)


def test_ethogram_colors_are_those_of_the_legend():
    display = EthogramDisplay([[0, 1, 2, -1, 0]], state_names=["a", "b", "c"]).plot()
    image = display.images_[0]
    drawn = [to_hex(color) for color in image.to_rgba(image.get_array())[0]]
    assert drawn == [BLUE, ORANGE, GREEN, to_hex("0.85"), BLUE]
    assert [to_hex(p.get_facecolor()) for p in display.legend_.get_patches()] == drawn[:4]
    assert legend_texts(display) == ["a", "b", "c", "missing"]
    after_the_end = EthogramDisplay([[0], [0, 1]]).plot().images_[0]
    assert after_the_end.to_rgba(after_the_end.get_array())[0, 1, 3] == 0


def test_ethogram_columns_show_the_most_frequent_state(monkeypatch):
    monkeypatch.setattr(hhmm.plotting._ethogram, "_MAX_COLUMNS", 7)
    rng = np.random.default_rng(0)
    states = [rng.integers(-1, 3, length) for length in (50, 1, 33, 0, 49)]
    states[4][:] = -1
    states[4][10] = 1
    display = EthogramDisplay(states, n_states=3).plot()
    drawn = display.images_[0].get_array()
    assert drawn.shape == (5, 7)
    width = 8
    for row, sequence in zip(drawn, states, strict=True):
        observed = np.flatnonzero(sequence >= 0)
        sequence = sequence[: observed[-1] + 1] if observed.size else sequence[:0]
        for column in range(7):
            part = sequence[column * width : (column + 1) * width]
            if not part.size:
                assert row.mask[column]
                continue
            counts = np.bincount(np.where(part < 0, 3, part), minlength=4)
            assert counts[row[column]] == counts.max()
    assert display.images_[0].get_extent()[1] == 56
    assert display.ax_.get_xlim() == (0, 50)


def test_ethogram_takes_every_form():
    rows = np.array([[0, 1, 1, -1], [1, -1, -1, -1]])
    expected = EthogramDisplay([[0, 1, 1], [1]]).plot().images_[0].get_array()
    for states in (rows, np.where(rows < 0, np.nan, rows), np.ma.masked_less(rows, 0)):
        drawn = EthogramDisplay(states).plot().images_[0].get_array()
        np.testing.assert_array_equal(drawn.filled(9), expected.filled(9))
    assert EthogramDisplay([0, 1, 1]).plot().images_[0].get_array().shape == (1, 3)
    with pytest.raises(ValueError, match="must hold a state"):
        EthogramDisplay([[-1], []]).plot()


@pytest.mark.parametrize(
    ("n_timesteps", "frame_rate", "label", "end"),
    [
        (500, None, "timestep", 500),
        (500, 10, "time (s)", 50),
        (30 * 170, 30, "time (s)", 170),
        (30 * 600, 30.0, "time (min)", 10),
        (3600 * 2, 1, "time (min)", 120),
        (30 * 3600 * 4, 30, "time (h)", 4),
    ],
)
def test_ethogram_time_axis(n_timesteps, frame_rate, label, end):
    display = EthogramDisplay(np.zeros((1, n_timesteps), int), frame_rate=frame_rate).plot()
    assert display.ax_.get_xlabel() == label
    assert display.ax_.get_xlim() == (0, pytest.approx(end))


def test_ethogram_of_twenty_long_recordings_can_be_read_in_a_column():
    states = sticky_states(0, 5, [100_000] * 20, stay=0.99)
    names = [f"21_12_{i:02d}_recording_of_mouse_{i}" for i in range(20)]
    groups = ["saline"] * 8 + ["amphetamine"] * 7 + ["clozapine"] * 5
    display = EthogramDisplay.from_predictions(
        states,
        names=names,
        groups=groups,
        state_names=STATE_NAMES,
        frame_rate=30,
        ax=column_axes(4.6),
    )
    assert all(image.get_array().shape[1] == 2000 for image in display.images_)
    labels = tick_labels(display.ax_.yaxis)
    assert len(labels) == 20
    assert labels[0].startswith("21_12_00")
    assert labels[0].endswith("mouse_0")
    assert max(map(len, labels)) < 20
    assert display.ax_.get_window_extent().width > 0.35 * display.figure_.bbox.width
    assert_readable(display.figure_)


@pytest.mark.parametrize("n_recordings", [1, 250])
def test_ethogram_names_are_left_out_where_there_is_no_room(n_recordings):
    states = sticky_states(1, 9, [50] * n_recordings)
    display = EthogramDisplay(states).plot()
    labels = tick_labels(display.ax_.yaxis)
    assert labels[0] == "0"
    assert (len(labels) < n_recordings) == (n_recordings == 250)
    assert display.ax_.get_ylabel() == "recording"
    assert_readable(display.figure_)


def test_ethogram_from_estimator():
    model = Model(n_states=4).fit()
    X = recordings(n_syllables=3)
    ax = column_axes()
    display = EthogramDisplay.from_estimator(model, X, names=list("abc"), ax=ax)
    assert display.ax_ is ax
    for row, states in zip(display.images_[0].get_array(), model.predict(X), strict=True):
        np.testing.assert_array_equal(row[: len(states)], states)
    assert len(legend_texts(display)) == 4


def test_ethogram_arguments_are_checked():
    with pytest.raises(ValueError, match="names must hold 2 names, got 1"):
        EthogramDisplay([[0], [1]], names=["a"]).plot()
    with pytest.raises(ValueError, match="state_names must hold 2 names, got 3"):
        EthogramDisplay([[0], [1]], state_names=list("abc")).plot()
    with pytest.raises(ValueError, match="groups must hold 2 names, got 1"):
        EthogramDisplay([[0], [1]], groups=["a"]).plot()
    with pytest.raises(ValueError, match="sequence 1, timestep 0: expected a state below n_s"):
        EthogramDisplay([[0], [1]], n_states=1).plot()
    for frame_rate in (0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match=r"frame_rate must be > 0 and finite, got"):
            EthogramDisplay([[0]], frame_rate=frame_rate).plot()
    with pytest.raises(TypeError, match="frame_rate must be an instance of"):
        EthogramDisplay([[0]], frame_rate="3").plot()
