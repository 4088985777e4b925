"""Displays of behaviour: what is drawn, read back from the artists, and that it can be read."""

import itertools
import sys

import matplotlib
import numpy as np
import pytest
from scipy.stats import linregress
from sklearn.exceptions import NotFittedError

import hhmm.plotting._ethogram
from hhmm import EfficientHHMM
from hhmm.metrics import (
    LaggedInformation,
    lagged_mutual_information,
    match_states,
    matched_accuracy,
    state_usage,
    syllable_preferences,
)
from hhmm.plotting import (
    AlignmentDisplay,
    DurationDisplay,
    EthogramDisplay,
    LaggedInformationDisplay,
    StateGraphDisplay,
    StateUsageDisplay,
    SyllablePreferenceDisplay,
)
from hhmm.plotting._figures import legend_above
from tests.test_plotting import FakeModel, assert_readable, tick_labels

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

COLUMN = 3.4  # inches, the width of a column of text
BLUE, ORANGE, GREEN = "#0072b2", "#e69f00", "#009e73"
STATE_NAMES = ["locomotion", "rearing", "grooming", "exploration", "rest"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


class Model(FakeModel):
    def transform(self, X):
        return state_usage(self.predict(X), n_states=self.n_states, per_sequence=True)


def column_axes(height=3.0):
    return plt.subplots(figsize=(COLUMN, height), layout="constrained")[1]


def legend_texts(display):
    return [text.get_text() for text in display.legend_.get_texts()]


def sticky_states(seed, n_states, lengths, stay=0.95):
    rng = np.random.default_rng(seed)
    sequences = []
    for length in lengths:
        changes = rng.random(length) > stay
        changes[0] = True
        values = rng.integers(0, n_states, changes.sum())
        sequences.append(values[np.cumsum(changes) - 1])
    return sequences


def recordings(n_syllables=7, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, n_syllables, length) for length in (60, 45, 80)]


def information(n_lags=6, n_surrogates=3):
    lags = np.array([1, 2, 5, 10, 20, 50])[:n_lags]
    rng = np.random.default_rng(0)
    return LaggedInformation(
        lags,
        0.3 / lags + 0.002,
        0.001 + 0.001 * rng.random((n_surrogates, n_lags)) + 0.3 / lags**3,
        0.001 + 0.001 * rng.random((n_surrogates, n_lags)),
        np.full(n_lags, 1000),
    )


# What all have in common

DISPLAYS = {
    "ethogram": lambda: EthogramDisplay([[0, 0, 1], [1, 1]]),
    "usage": lambda: StateUsageDisplay([[0.5, 0.5], [0.2, 0.8]]),
    "durations": lambda: DurationDisplay([[1, 3], [2, 5]]),
    "graph": lambda: StateGraphDisplay([[0.9, 0.1], [0.2, 0.8]]),
    "preferences": lambda: SyllablePreferenceDisplay([[1.0, -1.0], [-1.0, 1.0]]),
    "alignment": lambda: AlignmentDisplay([[5, 1], [0, 3]], [0, 1]),
    "information": lambda: LaggedInformationDisplay(information()),
}


@pytest.mark.parametrize("name", DISPLAYS)
def test_without_matplotlib_the_extra_is_named(name, monkeypatch):
    display = DISPLAYS[name]()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="install hhmm with the extra 'demo'"):
        display.plot()


FROM_ESTIMATOR = {
    "ethogram": lambda model: EthogramDisplay.from_estimator(model, recordings()),
    "usage": lambda model: StateUsageDisplay.from_estimator(model, recordings()),
    "durations": lambda model: DurationDisplay.from_estimator(model, recordings()),
    "graph": lambda model: StateGraphDisplay.from_estimator(model, recordings()),
    "preferences": SyllablePreferenceDisplay.from_estimator,
    "alignment": lambda model: AlignmentDisplay.from_estimators(model, model, recordings()),
}


@pytest.mark.parametrize("name", FROM_ESTIMATOR)
def test_without_matplotlib_nothing_is_inferred(name, monkeypatch):
    model = Model().fit()
    model.emission_biases_ = np.zeros((2, 6))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for method in ("predict", "transform", "sample_states"):
        monkeypatch.setattr(model, method, None)
    with pytest.raises(ImportError, match="install hhmm with the extra 'demo'"):
        FROM_ESTIMATOR[name](model)


@pytest.mark.parametrize("name", FROM_ESTIMATOR)
def test_a_model_that_is_not_fitted(name):
    with pytest.raises(NotFittedError, match=r"This Model has no \w+_. Call 'fit'"):
        FROM_ESTIMATOR[name](Model())


@pytest.mark.parametrize("name", DISPLAYS)
def test_the_constructor_only_stores(name):
    assert not any(attribute.endswith("_") for attribute in vars(DISPLAYS[name]()))


@pytest.mark.parametrize("name", DISPLAYS)
def test_plot_makes_a_figure_or_uses_the_axes(name):
    display = DISPLAYS[name]()
    assert display.plot() is display
    assert display.ax_.figure is display.figure_
    assert display.figure_.get_layout_engine() is not None
    assert_readable(display.figure_)

    figure, axes = plt.subplots(1, 2)
    assert display.plot(axes[1]) is display
    assert display.figure_ is figure
    if name == "preferences":
        assert not axes[1].axison
        assert all(panel.figure is figure for panel in display.axes_)
    else:
        assert display.ax_ is axes[1]
    assert not axes[0].has_data()


@pytest.mark.parametrize("name", DISPLAYS)
def test_a_sub_figure_will_do(name):
    parts = plt.figure(figsize=(7, 3.4), layout="constrained").subfigures(1, 2)
    display = DISPLAYS[name]().plot(parts[1].subplots())
    assert display.figure_ is parts[1]
    display.ax_.figure.canvas.figure.draw_without_rendering()


# Legends


@pytest.mark.parametrize(
    ("n_entries", "label"),
    [(5, "a"), (1, "state {}"), (12, "state {}"), (3, "a rather long name {}")],
)
def test_legends_stay_in_the_figure_and_off_the_neighbour(n_entries, label):
    figure, axes = plt.subplots(1, 2, figsize=(2 * COLUMN, 3.4), layout="constrained")
    axes[0].set_title("neighbour", loc="right")
    for ax in axes:
        ax.set(xlabel="x", ylabel="y")
        handles = [Line2D([], [], label=label.format(i)) for i in range(n_entries)]
        legend = legend_above(ax, handles)
        assert len(legend.get_texts()) == n_entries
    assert_readable(figure)
    figure.draw_without_rendering()
    assert axes[1].get_legend().get_window_extent().x0 > axes[0].get_window_extent().x1
    if label == "a":
        assert axes[1].get_legend()._ncols == n_entries


def test_legends_reach_over_the_labels_of_the_y_axis_where_they_must():
    ax = column_axes()
    ax.set_yticks([0, 1], ["a rather long name of a recording"] * 2)
    legend = legend_above(ax, [Line2D([], [], label=f"state {i}") for i in range(4)])
    assert_readable(ax.figure)
    box, axes_box = legend.get_window_extent(), ax.get_window_extent()
    assert legend._ncols == 4
    assert box.x0 < axes_box.x0
    assert box.x1 <= axes_box.x1


# Ethogram


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
    with pytest.raises(ValueError, match="one entry for each of 2 recordings, got 1"):
        EthogramDisplay([[0], [1]], groups=["a"]).plot()
    with pytest.raises(ValueError, match="sequence 1, timestep 0: expected a state below n_s"):
        EthogramDisplay([[0], [1]], n_states=1).plot()
    for frame_rate in (0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match=r"frame_rate must be > 0 and finite, got"):
            EthogramDisplay([[0]], frame_rate=frame_rate).plot()
    with pytest.raises(TypeError, match="frame_rate must be an instance of"):
        EthogramDisplay([[0]], frame_rate="3").plot()


# Usage


def test_usage_means_and_standard_errors():
    rng = np.random.default_rng(0)
    usage = rng.dirichlet(np.ones(3), 9)
    usage[4] = np.nan
    groups = ["x", "y", "x", "x", "x", "y", "x", "z", "y"]
    display = StateUsageDisplay(usage, groups=groups).plot()
    assert display.group_names_ == ["x", "y", "z"]
    for group, members in enumerate(([0, 2, 3, 6], [1, 5, 8], [7])):
        part = usage[members]
        np.testing.assert_allclose(display.means_[group], part.mean(axis=0))
        error = part.std(axis=0, ddof=1) / np.sqrt(len(part)) if len(part) > 1 else np.nan
        np.testing.assert_allclose(display.intervals_[0, group], part.mean(axis=0) - error)
        np.testing.assert_allclose(display.intervals_[1, group], part.mean(axis=0) + error)
        points = display.points_[group].get_offsets()
        np.testing.assert_allclose(points[:, 1].reshape(-1, 3), part)
        # dots stay in the slot of their state and group
        x = points[:, 0].reshape(-1, 3) - np.arange(3)
        slot = 0.8 / 3
        assert (np.abs(x - (-0.4 + slot * (group + 0.5))) < slot / 2).all()
    assert legend_texts(display) == ["x (n = 4)", "y (n = 3)", "z (n = 1)", "mean ± s.e.m."]
    assert (display.ax_.get_ylabel(), display.ax_.get_ylim()[0]) == ("fraction of time", 0)


def test_usage_error_bars_are_drawn_where_they_are():
    display = StateUsageDisplay([[0.2, 0.8], [0.4, 0.6], [0.6, 0.4]]).plot()
    bars = [c for c in display.ax_.containers if c.get_label() == "n = 3"]
    (segments,) = bars[0].lines[2]
    ends = np.array([segment[:, 1] for segment in segments.get_segments()]).T
    np.testing.assert_allclose(ends, display.intervals_[:, 0])
    np.testing.assert_allclose(bars[0].lines[0].get_ydata(), [0.4, 0.6])


def test_usage_bootstrap_interval():
    # The ends of 9,999 percentile bootstraps vary by about 1 % of the width from seed to seed.
    usage = np.random.default_rng(1).dirichlet([2, 5, 1], 12)
    display = StateUsageDisplay(usage).plot(
        interval="bootstrap", confidence_level=0.8, random_state=0
    )
    draws = np.random.default_rng(2).integers(0, 12, (20_000, 12))
    expected = np.quantile(usage[draws].mean(axis=1), [0.1, 0.9], axis=0)
    width = np.ptp(expected, axis=0)
    assert (np.abs(display.intervals_[:, 0] - expected) < 0.08 * width).all()
    assert legend_texts(display)[-1] == "80% interval"
    again = StateUsageDisplay(usage).plot(
        interval="bootstrap", confidence_level=0.8, random_state=0
    )
    np.testing.assert_array_equal(display.intervals_, again.intervals_)


def test_usage_from_states_and_from_estimator():
    model = Model(n_states=4).fit()
    X = recordings(n_syllables=3)
    display = StateUsageDisplay.from_estimator(model, X, groups=list("aba"))
    expected = state_usage(model.predict(X), n_states=4, per_sequence=True)
    np.testing.assert_allclose(display.usage, expected)
    other = StateUsageDisplay.from_predictions(model.predict(X), n_states=4, groups=list("aba"))
    np.testing.assert_allclose(other.means_, display.means_)


@pytest.mark.parametrize(("n_states", "n_groups"), [(2, 1), (5, 3), (10, 2)])
def test_usage_can_be_read_in_a_column(n_states, n_groups):
    usage = np.random.default_rng(0).dirichlet(np.ones(n_states), 30)
    groups = np.array(["control", "amphetamine", "lesion"])[np.arange(30) % n_groups]
    names = [STATE_NAMES[i % 5] + str(i) for i in range(n_states)]
    for state_names in (None, names):
        display = StateUsageDisplay(usage, groups=groups, state_names=state_names)
        display.plot(column_axes(2.8))
        display.figure_.draw_without_rendering()
        if state_names is None:
            assert_readable(display.figure_)
        assert display.ax_.get_window_extent().height > 0.3 * display.figure_.bbox.height


def test_usage_arguments_are_checked():
    with pytest.raises(ValueError, match=r"shape \(n_sequences, n_states\), got \(2,\)"):
        StateUsageDisplay([0.5, 0.5]).plot()
    with pytest.raises(ValueError, match="'standard_error' or 'bootstrap', got 'sd'"):
        StateUsageDisplay([[0.5, 0.5]]).plot(interval="sd")
    with pytest.raises(ValueError, match="confidence_level must be between 0 and 1, got 95"):
        StateUsageDisplay([[0.5, 0.5]]).plot(confidence_level=95)
    with pytest.raises(ValueError, match="one entry for each of 1 recordings, got 2"):
        StateUsageDisplay([[0.5, 0.5]], groups=["a", "b"]).plot()


# Durations


def bouts_by_loop(sequences, n_states):
    """Durations of bouts whose beginning was seen, and whether the end was, by a loop."""
    durations, ended = [[] for _ in range(n_states)], [[] for _ in range(n_states)]
    for x in sequences:
        start = 0
        for t in range(1, len(x) + 1):
            if t < len(x) and x[t] == x[start]:
                continue
            if x[start] >= 0 and start > 0 and x[start - 1] >= 0:
                durations[x[start]].append(t - start)
                ended[x[start]].append(t < len(x) and x[t] >= 0)
            start = t
    return durations, ended


def survival_by_loop(durations, ended, length):
    """Kaplan and Meier: the product over shorter durations of the fraction that went on."""
    survival = 1.0
    for shorter in range(1, length):
        at_risk = sum(d >= shorter for d in durations)
        over = sum(d == shorter and e for d, e in zip(durations, ended, strict=True))
        survival *= 1 - over / at_risk if at_risk else 1
    return survival


@pytest.mark.parametrize("seed", range(3))
def test_durations_are_those_of_the_bouts(seed):
    states = sticky_states(seed, 3, (60, 1, 30, 90), stay=0.8)
    states[2][4:7] = -1
    states[3][0] = -1
    states.append(np.empty(0, int))
    display = DurationDisplay.from_predictions(states, n_states=4)
    durations, ended = bouts_by_loop(states, 4)
    for state in range(4):
        np.testing.assert_array_equal(display.durations[state], durations[state])
        np.testing.assert_array_equal(display.ended[state], ended[state])
    assert display.lines_[3] is None
    for state in range(3):
        x, y = display.lines_[state].get_data()
        np.testing.assert_array_equal(x, np.append(0, np.unique(durations[state])))
        expected = [survival_by_loop(durations[state], ended[state], d) for d in x[1:].astype(int)]
        np.testing.assert_allclose(y[1:], expected)
        assert y[0] == 1
        assert display.lines_[state].get_drawstyle() == "steps-pre"
    assert (display.ax_.get_xscale(), display.ax_.get_yscale()) == ("log", "log")


def test_bouts_cut_by_the_end_of_a_recording_do_not_shorten_the_curve():
    # Of geometric durations with mean 50, recordings of 100 timesteps cut most. The estimate has
    # a standard error below sqrt(p (1 - p) / n), n the bouts seen that far or longer.
    rng = np.random.default_rng(3)
    states = (np.cumsum(rng.random((800, 100)) < 1 / 50, axis=1)) % 2
    display = DurationDisplay.from_predictions(states)
    for line, durations, ended in zip(
        display.lines_, display.durations, display.ended, strict=True
    ):
        x, y = line.get_data()
        for length in (10, 30, 60):
            p = (1 - 1 / 50) ** (length - 1)
            n = np.sum(durations >= length)
            assert abs(y[np.searchsorted(x, length)] - p) < 4 * np.sqrt(p * (1 - p) / n)
        # what leaving the cut ones out would give is far from it
        assert np.mean(durations[ended] >= 30) < 0.75 * (1 - 1 / 50) ** 29


def test_expected_durations_are_geometric():
    trans_probs = [[0.9, 0.1], [0.02, 0.98]]
    display = DurationDisplay([[1, 4, 40], [7, 9]], trans_probs=trans_probs, frame_rate=10).plot()
    for line, observed, stay in zip(
        display.expected_lines_, display.lines_, (0.9, 0.98), strict=True
    ):
        seconds, survival = line.get_data()
        np.testing.assert_allclose(survival, stay ** (10 * seconds - 1))
        assert line.get_color() == observed.get_color()
        assert (line.get_linestyle() == "-") is False
    assert display.ax_.get_xlabel() == "duration (s)"
    np.testing.assert_allclose(display.lines_[0].get_xdata(), [0, 0.1, 0.4, 4])
    assert legend_texts(display) == ["state 0", "state 1", "geometric"]
    assert DurationDisplay([[1, 4]]).plot().expected_lines_ is None


def test_durations_from_estimator():
    model = Model(n_states=3).fit()
    X = recordings()
    for kind, states in (
        ("sampled", model.sample_states(X, random_state=4)),
        ("viterbi", model.predict(X)),
    ):
        display = DurationDisplay.from_estimator(
            model, X, kind=kind, random_state=4, state_names=list("abc")
        )
        expected = DurationDisplay.from_predictions(states, n_states=3)
        for one, other in zip(display.durations, expected.durations, strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(display.trans_probs, model.trans_probs_)
        assert legend_texts(display) == ["a", "b", "c", "geometric"]


def test_draws_of_the_states_follow_the_expected_durations_and_the_best_path_does_not():
    # States overlap, and the best path goes through short bouts. The slope of the logarithm
    # of the survival of about 400 bouts varies by about 5 %.
    rng = np.random.default_rng(0)
    model = EfficientHHMM.from_params(
        rng.normal(size=(4, 3)), rng.normal(size=(1, 3)), [[0.95, 0.05], [0.05, 0.95]]
    )
    X = model.sample(20, 1000, random_state=0)[0]
    slopes, n_bouts = {}, {}
    for kind in ("sampled", "viterbi"):
        display = DurationDisplay.from_estimator(model, X, kind=kind, random_state=0)
        x, y = display.lines_[0].get_data()
        short = (x >= 1) & (x < 40)
        n_bouts[kind] = len(display.durations[0])
        slopes[kind] = linregress(x[short], np.log(y[short])).slope
    assert slopes["sampled"] == pytest.approx(np.log(0.95), rel=0.2)
    assert n_bouts["viterbi"] < 0.75 * n_bouts["sampled"]


@pytest.mark.parametrize(("n_states", "frame_rate"), [(2, 30), (5, None), (10, 30)])
def test_durations_can_be_read_in_a_column(n_states, frame_rate):
    states = sticky_states(0, n_states, [1000] * 5)
    trans_probs = 0.95 * np.eye(n_states) + 0.05 / n_states
    display = DurationDisplay.from_predictions(
        states, trans_probs=trans_probs, frame_rate=frame_rate, ax=column_axes()
    )
    assert_readable(display.figure_)


def test_duration_arguments_are_checked():
    with pytest.raises(ValueError, match="must hold a bout, got none"):
        DurationDisplay.from_predictions([[0, 0, 0], [1]])
    with pytest.raises(ValueError, match=r"ended must have an entry .* \[\(1,\)\] and \[\(2,\)\]"):
        DurationDisplay([[1, 2]], ended=[[True]]).plot()
    with pytest.raises(ValueError, match="timesteps >= 1, which those of state 1"):
        DurationDisplay([[1], [0, 2]]).plot()
    with pytest.raises(ValueError, match=r"trans_probs must have shape \(2, 2\), .* got \(1, 1\)"):
        DurationDisplay([[1], [2]], trans_probs=[[1.0]]).plot()
    with pytest.raises(ValueError, match="kind must be 'sampled' or 'viterbi', got 'smoothed'"):
        DurationDisplay.from_estimator(Model().fit(), [[0]], kind="smoothed")


# State graph


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
    with pytest.raises(ValueError, match=r"square matrix, got shape \(1, 2\)"):
        StateGraphDisplay([[0.5, 0.5]]).plot()
    with pytest.raises(ValueError, match=r"probabilities or counts, got values from -0\.1 to 1\.1"):
        StateGraphDisplay([[1.1, -0.1], [0, 1]]).plot()
    for usage in ([1.0], [0, 0], [1, -1], [1, np.nan]):
        with pytest.raises(ValueError, match="usage must hold 2 fractions of time, not all"):
            StateGraphDisplay(np.eye(2), usage=usage).plot()
    with pytest.raises(ValueError, match="min_probability == 2, must be <= 1"):
        StateGraphDisplay(np.eye(2)).plot(min_probability=2)
    with pytest.raises(TypeError, match="min_probability must be an instance of"):
        StateGraphDisplay(np.eye(2)).plot(min_probability="a few")
    with pytest.raises(ValueError, match="state_names must hold 2 names, got 1"):
        StateGraphDisplay(np.eye(2), state_names=["a"]).plot()


# Syllable preferences


def test_preferences_are_the_largest_and_the_smallest_values():
    biases = np.array([[0.5, -2.0, 1.5, 0.0, -0.1], [-0.5, 2.0, -1.5, 0.0, 0.1]])
    errors = np.full(biases.shape, 0.1)
    errors[:, 2] = 0.3
    display = SyllablePreferenceDisplay(
        biases, kind="bias", standard_deviations=errors, syllable_names=list("abcde")
    ).plot(n_top=2)
    np.testing.assert_array_equal(display.shown_, [[2, 0, 4, 1], [1, 4, 0, 2]])
    for state, (bars, panel) in enumerate(zip(display.bars_, display.axes_, strict=True)):
        shown = display.shown_[state]
        np.testing.assert_allclose([bar.get_width() for bar in bars], biases[state, shown])
        np.testing.assert_allclose([bar.get_y() + bar.get_height() / 2 for bar in bars], range(4))
        assert tick_labels(panel.yaxis) == [list("abcde")[j] for j in shown]
        assert panel.yaxis_inverted()
        assert panel.get_title() == f"state {state}"
        (segments,) = bars.errorbar.lines[2]
        ends = np.array([segment[:, 0] for segment in segments.get_segments()])
        np.testing.assert_allclose(np.diff(ends, axis=1)[:, 0], 2 * errors[state, shown])
        colors = {to_hex(bar.get_facecolor()) for bar in bars}
        assert colors == {BLUE, "#d55e00"}
        low, high = panel.get_xlim()
        assert low < -2.1 < 2.1 < high
    assert display.figure_.get_supxlabel() == "bias ± posterior s.d. (log odds)"


def test_few_syllables_are_all_shown():
    display = SyllablePreferenceDisplay([[0.4, -0.2, -0.2], [-0.4, 0.2, 0.2]]).plot(n_top=2)
    np.testing.assert_array_equal(display.shown_, [[0, 1, 2], [1, 2, 0]])
    assert display.figure_.get_supxlabel() == "change in usage"
    assert all(bars.errorbar is None for bars in display.bars_)


def test_preferences_from_estimator():
    rng = np.random.default_rng(0)
    model = EfficientHHMM.from_params(
        rng.normal(size=(9, 8)), rng.normal(size=(2, 8)), np.full((3, 3), 1 / 3)
    )
    display = SyllablePreferenceDisplay.from_estimator(model, n_top=2)
    preferences = syllable_preferences(model)
    np.testing.assert_array_equal(display.values, preferences.usage_changes)
    ranking = preferences.ranking
    np.testing.assert_array_equal(display.shown_, np.hstack([ranking[:, :2], ranking[:, -2:]]))
    display = SyllablePreferenceDisplay.from_estimator(model, kind="bias", n_top=2)
    np.testing.assert_array_equal(display.values, preferences.biases)
    assert display.figure_.get_supxlabel() == "bias (log odds)"
    assert display.shown_[0][0] == preferences.biases[0].argmax()


def test_preferences_measured_on_data():
    rng = np.random.default_rng(0)
    model = EfficientHHMM.from_params(
        rng.normal(size=(5, 4)), 2 * rng.normal(size=(1, 4)), [[0.9, 0.1], [0.1, 0.9]]
    )
    X, _ = model.sample(2, 300, random_state=0)
    display = SyllablePreferenceDisplay.from_estimator(model, X)
    np.testing.assert_array_equal(display.values, syllable_preferences(model, X).usage_changes)
    np.testing.assert_array_equal(display.usage, state_usage(model.predict(X)))
    assert np.abs(display.values - syllable_preferences(model).usage_changes).max() > 1e-3


@pytest.mark.parametrize("scale", [1.0, 0.12, 0.014])
@pytest.mark.parametrize(("n_states", "named"), [(1, False), (2, True), (5, True), (10, False)])
def test_preferences_can_be_read_in_a_column(n_states, named, scale):
    rng = np.random.default_rng(0)
    biases = scale * rng.normal(size=(n_states, 20))
    names = [f"syllable {j}" for j in range(20)] if named else None
    display = SyllablePreferenceDisplay(
        biases,
        standard_deviations=0.1 * scale * np.ones(biases.shape),
        syllable_names=names,
        state_names=[STATE_NAMES[k % 5] for k in range(n_states)],
    ).plot()
    assert display.figure_.get_size_inches()[0] == COLUMN
    assert_readable(display.figure_)


def test_preferences_in_given_axes():
    biases = np.random.default_rng(0).normal(size=(3, 8))
    _, axes = plt.subplots(1, 3, figsize=(7, 2), layout="constrained")
    display = SyllablePreferenceDisplay(biases, kind="bias").plot(axes)
    assert list(display.axes_) == list(axes)
    assert all(ax.get_xlabel() == "bias (log odds)" for ax in axes)
    with pytest.raises(ValueError, match="one for each of 3 states, got 2"):
        SyllablePreferenceDisplay(biases).plot(plt.subplots(1, 2)[1])


def test_preference_arguments_are_checked():
    with pytest.raises(ValueError, match=r"shape \(n_states, n_syllables\), got shape \(2,\)"):
        SyllablePreferenceDisplay([1.0, -1.0]).plot()
    with pytest.raises(ValueError, match="values must be finite"):
        SyllablePreferenceDisplay([[np.nan, 1.0]]).plot()
    with pytest.raises(ValueError, match=r"have shape \(1, 2\), got shape \(1, 1\)"):
        SyllablePreferenceDisplay([[1.0, -1.0]], standard_deviations=[[1.0]]).plot()
    with pytest.raises(ValueError, match="kind must be 'usage_change' or 'bias', got 'biases'"):
        SyllablePreferenceDisplay([[1.0, -1.0]], kind="biases").plot()
    with pytest.raises(TypeError, match="unused_states must be an instance of"):
        SyllablePreferenceDisplay([[1.0, -1.0]]).plot(unused_states="no")
    with pytest.raises(ValueError, match="usage must hold 1 fractions of time"):
        SyllablePreferenceDisplay([[1.0, -1.0]], usage=[0.5, 0.5]).plot()
    with pytest.raises(ValueError, match="n_top == 0, must be >= 1"):
        SyllablePreferenceDisplay([[1.0, -1.0]]).plot(n_top=0)
    with pytest.raises(TypeError, match="n_top must be an instance of int"):
        SyllablePreferenceDisplay([[1.0, -1.0]]).plot(n_top=1.5)
    with pytest.raises(ValueError, match="syllable_names must hold 2 names, got 1"):
        SyllablePreferenceDisplay([[1.0, -1.0]], syllable_names=["a"]).plot()


# Labels that number something else than a few states

FAR = 100_000


@pytest.mark.parametrize(
    "draw",
    [
        lambda: DurationDisplay.from_predictions([0, FAR, 0]),
        lambda: EthogramDisplay.from_predictions([[0, FAR, 0]]),
        lambda: StateGraphDisplay.from_predictions([0, FAR, 0]),
        lambda: StateUsageDisplay.from_predictions([0, FAR, 0]),
        lambda: StateUsageDisplay.from_predictions([0, 1, 0], n_states=FAR + 1),
        lambda: SyllablePreferenceDisplay(np.zeros((FAR + 1, 1))).plot(),
        lambda: AlignmentDisplay(np.eye(1, FAR + 1), np.arange(FAR + 1)).plot(),
    ],
    ids=["durations", "ethogram", "graph", "usage", "n_states", "preferences", "alignment"],
)
def test_states_too_many_to_draw_are_refused(draw):
    with pytest.raises(ValueError, match=r"At most 200 states .* got 100,001, labels"):
        draw()


# Alignment


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
    with pytest.raises(ValueError, match=r"counts must be numbers .* got shape \(2,\)"):
        AlignmentDisplay([1, 2], [0, 1]).plot()
    with pytest.raises(ValueError, match="not all of them 0"):
        AlignmentDisplay([[0, 0]], [0, 1]).plot()
    for mapping in ([0], [0, 0]):
        with pytest.raises(ValueError, match=r"mapping must hold 2 different states, got \[0"):
            AlignmentDisplay([[1, 2]], mapping).plot()
    with pytest.raises(ValueError, match="names must hold 2 names, got 1"):
        AlignmentDisplay([[1]], [0], names=("a",)).plot()
    with pytest.raises(ValueError, match="first_names must hold 1 names, got 2"):
        AlignmentDisplay([[1]], [0], first_names=["a", "b"]).plot()


# Lagged information


def test_information_curves_are_drawn():
    found = information()
    display = LaggedInformationDisplay(found, frame_rate=10).plot()
    np.testing.assert_allclose(display.line_.get_xdata(), found.lags / 10)
    np.testing.assert_array_equal(display.line_.get_ydata(), found.data)
    assert display.ax_.get_xlabel() == "lag (s)"
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
