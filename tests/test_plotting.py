"""hhmm.plotting: what is drawn, read back from the artists, and that it can be read."""

import itertools
import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from hhmm.metrics import match_states, matched_accuracy, matched_confusion_matrix
from hhmm.plotting import (
    EmissionLossDisplay,
    LogJointDisplay,
    MatchedConfusionDisplay,
    RasterDisplay,
    StateTransitionDisplay,
    SyllableTransitionDisplay,
)

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_hex, to_rgb

BLUE, ORANGE, GREEN = "#0072b2", "#e69f00", "#009e73"


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


class FakeModel(BaseEstimator):
    """Infers a permutation of ``syllable % n_states``, in the form of the input."""

    def __init__(self, n_states=3, n_syllables=7):
        self.n_states = n_states
        self.n_syllables = n_syllables

    def fit(self, X=None, y=None):
        rng = np.random.default_rng(self.n_states)
        n_states, n_syllables = self.n_states, self.n_syllables
        self.trans_probs_ = 0.05 * rng.dirichlet(np.ones(n_states), n_states) + 0.95 * np.eye(
            n_states
        )
        self.syllable_trans_probs_ = rng.dirichlet(
            np.ones(n_syllables), size=(n_states, n_syllables)
        )
        self.log_joint_ = -1e4 * np.exp(-np.arange(50) / 2) + rng.normal(size=(2, 50))
        self.emission_losses_ = np.array([500.0, 410.0, 400.5, 400.0])
        self.n_syllables_ = n_syllables
        return self

    def _per_sequence(self, X, function):
        if isinstance(X, list) or X.dtype == object:
            return [function(np.asarray(x)) for x in X]
        rows = np.ma.filled(np.ma.asarray(X).astype(float), np.nan)
        return np.stack([function(x) for x in rows])

    def _states(self, x):
        x = np.nan_to_num(np.asarray(x, dtype=float), nan=-1).astype(int)
        length = np.flatnonzero(x >= 0)[-1] + 1
        states = (np.maximum(x, 0) + 1) % self.n_states
        return np.where(np.arange(x.size) < length, states, -1)

    def predict(self, X):
        X = X.to_numpy() if isinstance(X, pd.DataFrame) else X
        return self._per_sequence(X, self._states)

    def predict_proba(self, X):
        def proba(x):
            others = 0.2 / self.n_states
            return others + 0.8 * (self._states(x)[:, np.newaxis] == np.arange(self.n_states))

        return self._per_sequence(X, proba)

    def sample_states(self, X, random_state=None):
        shift = np.random.RandomState(random_state).randint(self.n_states)
        return self._per_sequence(
            X,
            lambda x: np.where(self._states(x) < 0, -1, (self._states(x) + shift) % self.n_states),
        )


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def cell_texts(display):
    return [[text.get_text() for text in row] for row in display.text_]


def visible_texts(figure):
    """Every text that shows: of axes, insets, ticks in view, legends and cells."""
    texts = []
    all_axes = [child for ax in figure.axes for child in (ax, *ax.child_axes)]
    for ax in dict.fromkeys(all_axes):
        texts += [*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label]
        if ax.get_legend() is not None:
            texts += ax.get_legend().get_texts()
        for axis in (ax.xaxis, ax.yaxis):
            scaled = axis.get_transform().transform
            low, high = sorted(scaled(np.array(axis.get_view_interval())))
            margin = 1e-9 * (high - low)
            for which in ("major", "minor"):
                locations = axis.get_ticklocs(minor=which == "minor")
                labels = axis.get_ticklabels(which=which)
                for location, label in zip(locations, labels, strict=False):
                    if low - margin <= scaled(location) <= high + margin and ax.axison:
                        texts.append(label)
    return [text for text in texts if text.get_visible() and text.get_text()]


def assert_readable(figure):
    """No text leaves the figure and no two overlap."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in visible_texts(figure)]
    for text, box in boxes:
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= figure.bbox.x1 + 1, text
        assert box.y1 <= figure.bbox.y1 + 1, text
    for (text, box), (other_text, other) in itertools.combinations(boxes, 2):
        x_overlap = min(box.x1, other.x1) - max(box.x0, other.x0)
        y_overlap = min(box.y1, other.y1) - max(box.y0, other.y0)
        assert min(x_overlap, y_overlap) < 1.0, (text, other_text)


def sticky(n_states, stay, seed=0):
    probs = (1 - stay) * np.random.default_rng(seed).dirichlet(np.ones(n_states), n_states)
    return probs + stay * np.eye(n_states)


def contrast(image, text, value):
    """Ratio of luminances of a text and its cell, as web guidelines define it."""

    def luminance(color):
        linear = np.array(to_rgb(color))
        linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    pair = sorted([luminance(text.get_color()), luminance(image.cmap(image.norm(value)))])
    return (pair[1] + 0.05) / (pair[0] + 0.05)


def test_importing_does_not_import_matplotlib():
    code = "import sys, hhmm.plotting; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


DISPLAYS = {
    "transitions": lambda: StateTransitionDisplay([[0.9, 0.1], [0.2, 0.8]]),
    "syllables": lambda: SyllableTransitionDisplay(np.full((2, 3, 3), 1 / 3)),
    "raster": lambda: RasterDisplay([0, 1, 2], [("true", [0, 0, 1])]),
    "log joint": lambda: LogJointDisplay([[-5.0, -2.0]]),
    "losses": lambda: EmissionLossDisplay([3.0, 2.0, 1.0]),
    "confusion": lambda: MatchedConfusionDisplay([[0.9, 0.1], [0.2, 0.8]], accuracy=0.85),
}


@pytest.mark.parametrize("name", DISPLAYS)
def test_without_matplotlib_the_extra_is_named(name, monkeypatch):
    display = DISPLAYS[name]()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="install hhmm with the extra 'demo'"):
        display.plot()


def test_without_matplotlib_nothing_is_inferred(monkeypatch):
    model = FakeModel().fit()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setattr(model, "predict", None)
    for plot in (RasterDisplay.from_estimator, MatchedConfusionDisplay.from_estimator):
        with pytest.raises(ImportError, match="install hhmm with the extra 'demo'"):
            plot(model, [[0, 1]], y_true=[[0, 1]])


@pytest.mark.parametrize("name", DISPLAYS)
def test_the_constructor_only_stores(name):
    display = DISPLAYS[name]()
    assert not any(attribute.endswith("_") for attribute in vars(display))


@pytest.mark.parametrize("name", DISPLAYS)
def test_plot_makes_a_figure_or_uses_the_axes(name):
    display = DISPLAYS[name]()
    assert display.plot() is display
    assert display.ax_.figure is display.figure_
    assert display.figure_.get_layout_engine() is not None

    figure, axes = plt.subplots(1, 2)
    assert display.plot(axes[1]) is display
    assert display.figure_ is figure
    if name == "syllables":
        assert not axes[1].axison
        box = axes[1].get_position()
        for panel in display.axes_:
            assert panel.figure is figure
            assert box.x0 <= panel.get_position().x0 < panel.get_position().x1 <= box.x1
    else:
        assert display.ax_ is axes[1]
        assert axes[1].get_xlabel()
    assert not axes[0].has_data()


@pytest.mark.parametrize(
    ("plot", "attribute"),
    [
        (StateTransitionDisplay.from_estimator, "trans_probs_"),
        (SyllableTransitionDisplay.from_estimator, "syllable_trans_probs_"),
        (LogJointDisplay.from_estimator, "log_joint_"),
        (EmissionLossDisplay.from_estimator, "emission_losses_"),
        (lambda model: RasterDisplay.from_estimator(model, [[0]]), "trans_probs_"),
        (lambda model: MatchedConfusionDisplay.from_estimator(model, [[0]], [[0]]), "trans_probs_"),
    ],
)
def test_a_model_without_the_attribute(plot, attribute):
    with pytest.raises(NotFittedError, match=f"This FakeModel has no {attribute}. Call 'fit'"):
        plot(FakeModel())
    model = FakeModel().fit()
    delattr(model, attribute)
    with pytest.raises(NotFittedError, match=f"This FakeModel has no {attribute}. Call 'fit'"):
        plot(model)


# State transitions


@pytest.mark.parametrize("color_scale", ["log", "linear"])
@pytest.mark.parametrize(("n_states", "stay"), [(1, 0.5), (2, 0.99), (5, 0.97), (10, 0.998)])
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


@pytest.mark.parametrize("values", [[0.5, 0.5], [[0.5, 0.5]], np.empty((0, 0))])
def test_matrices_must_be_square(values):
    shape = str(np.shape(values)).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=f"trans_probs must be a square matrix, got shape {shape}"):
        StateTransitionDisplay(values).plot()
    with pytest.raises(ValueError, match=f"confusion_matrix must be a square .* got shape {shape}"):
        MatchedConfusionDisplay(values).plot()


@pytest.mark.parametrize("name", ["transitions", "syllables"])
def test_the_color_scale_is_checked(name):
    with pytest.raises(ValueError, match="color_scale must be 'log' or 'linear', got 'sqrt'"):
        DISPLAYS[name]().plot(color_scale="sqrt")


# Syllable transitions


@pytest.mark.parametrize(
    ("n_states", "n_syllables", "color_scale"),
    [
        (1, 3, "log"),
        (2, 100, "log"),
        (3, 20, "linear"),
        (5, 20, "log"),
        (7, 3, "log"),
        (10, 100, "log"),
        (10, 3, "linear"),
    ],
)
def test_syllable_transitions_are_drawn(n_states, n_syllables, color_scale):
    probs = FakeModel(n_states, n_syllables).fit().syllable_trans_probs_
    display = SyllableTransitionDisplay(probs).plot(color_scale=color_scale)
    assert len(display.axes_) == len(display.images_) == n_states
    assert display.ax_ is display.axes_[0]
    for state, (ax, image) in enumerate(zip(display.axes_, display.images_, strict=True)):
        np.testing.assert_array_equal(image.get_array(), probs[state])
        assert image.axes is ax
        assert ax.get_title() == f"state {state}"
        assert image.norm is display.images_[0].norm
    # One colour bar in addition to the panels.
    assert len(display.figure_.axes) == n_states + 1
    largest = 1.0 if color_scale == "log" or probs.max() > 0.5 else probs.max()
    assert display.images_[0].norm.vmax == largest
    assert_readable(display.figure_)


def test_outer_panels_are_labelled_and_inner_ones_are_not():
    probs = np.full((5, 4, 4), 0.25)
    display = SyllableTransitionDisplay(probs).plot()
    x_labels = [ax.get_xlabel() for ax in display.axes_]
    y_labels = [ax.get_ylabel() for ax in display.axes_]
    assert x_labels == ["", "", "to syllable", "to syllable", "to syllable"]
    assert y_labels == ["from syllable", "", "", "from syllable", ""]
    display.figure_.draw_without_rendering()
    shown = [ax.xaxis.get_major_ticks()[0].label1.get_visible() for ax in display.axes_]
    assert shown == [False, False, True, True, True]

    _, axes = plt.subplots(5, 1)
    display = SyllableTransitionDisplay(probs).plot(axes)
    assert list(display.axes_) == list(axes)
    assert all(ax.get_xlabel() == "to syllable" for ax in axes)
    assert all(ax.get_ylabel() == "from syllable" for ax in axes)


@pytest.mark.parametrize(
    ("n_states", "grid"),
    [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (10, (2, 5)), (18, (3, 6))],
)
def test_the_grid_of_panels(n_states, grid):
    display = SyllableTransitionDisplay(np.full((n_states, 2, 2), 0.5)).plot()
    assert display.ax_.get_subplotspec().get_gridspec().get_geometry() == grid


@pytest.mark.parametrize(
    ("n_syllables", "expected"), [(3, ["0", "1", "2"]), (20, ["0", "5", "10", "15"])]
)
def test_syllables_are_labelled_in_round_steps(n_syllables, expected):
    probs = np.full((1, n_syllables, n_syllables), 1 / n_syllables)
    display = SyllableTransitionDisplay(probs).plot()
    assert tick_labels(display.ax_.xaxis) == expected
    assert tick_labels(display.ax_.yaxis) == expected


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_one_axes_is_divided_into_panels(layout):
    probs = np.full((4, 3, 3), 1 / 3)
    figure, axes = plt.subplots(1, 2, figsize=(12, 5), layout=layout)
    axes[0].set_xlabel("neighbour")
    display = SyllableTransitionDisplay(probs).plot(axes[1])
    figure.draw_without_rendering()
    middle = figure.bbox.width / 2
    assert all(ax.get_window_extent().x0 > middle for ax in display.axes_)

    figure, axes = plt.subplots(1, 2, figsize=(7, 4), layout="constrained")
    SyllableTransitionDisplay(np.full((5, 9, 9), 1 / 9)).plot(axes[1])
    assert_readable(figure)

    figure = plt.figure(figsize=(6, 5))
    ax = figure.add_axes([0.5, 0.2, 0.4, 0.5])
    display = SyllableTransitionDisplay(probs).plot(ax)
    box = ax.get_position()
    for panel in display.axes_:
        inner = panel.get_position()
        assert box.x0 - 1e-6 <= inner.x0 < inner.x1 <= box.x1 + 1e-6
        assert box.y0 - 1e-6 <= inner.y0 < inner.y1 <= box.y1 + 1e-6


def test_syllable_transitions_from_estimator():
    model = FakeModel(n_states=2).fit()
    _, axes = plt.subplots(1, 2)
    display = SyllableTransitionDisplay.from_estimator(
        model, ax=axes, cmap="magma", color_scale="linear"
    )
    np.testing.assert_array_equal(display.images_[1].get_array(), model.syllable_trans_probs_[1])
    assert display.images_[0].cmap.name == "magma"
    assert display.images_[0].norm.vmin == 0.0


def test_syllable_transitions_are_checked():
    with pytest.raises(ValueError, match=r"n_syllables, n_syllables\), got \(2, 3, 4\)"):
        SyllableTransitionDisplay(np.ones((2, 3, 4))).plot()
    with pytest.raises(ValueError, match=r"one for each of 3 states, got 2"):
        SyllableTransitionDisplay(np.ones((3, 2, 2))).plot(plt.subplots(1, 2)[1])


# Raster


def recordings(n_syllables=7, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, n_syllables, length) for length in (60, 45, 80)]


def padded(sequences, fill=-1):
    rows = np.full((len(sequences), max(map(len, sequences)) + 3), fill)
    for row, sequence in zip(rows, sequences, strict=True):
        row[: len(sequence)] = sequence
    return rows


@pytest.mark.parametrize(
    "form", ["list", "2-D", "float with NaN", "masked", "masked uint8", "frame", "object"]
)
def test_raster_from_estimator_takes_every_form(form):
    model = FakeModel().fit()
    sequences = recordings()
    sequences[1][10:13] = -1
    rows = padded(sequences)
    ragged = np.empty(3, dtype=object)
    ragged[:] = sequences
    X = {
        "list": sequences,
        "2-D": rows,
        "float with NaN": np.where(rows < 0, np.nan, rows),
        "masked": np.ma.masked_less(rows, 0),
        "masked uint8": np.ma.masked_array(np.maximum(rows, 0).astype(np.uint8), rows < 0),
        "frame": pd.DataFrame(rows),
        "object": ragged,
    }[form]
    display = RasterDisplay.from_estimator(model, X, index=1, kinds=["viterbi"], random_state=0)
    drawn = display.images_[0].get_array()
    assert drawn.shape == (1, 45)
    np.testing.assert_array_equal(drawn[0].filled(-1), sequences[1])
    expected = model.predict([sequences[1]])[0]
    np.testing.assert_array_equal(display.images_[1].get_array()[0].filled(-1), expected)


def test_raster_rows_are_what_the_model_infers():
    model = FakeModel().fit()
    X = recordings()
    display = RasterDisplay.from_estimator(
        model, X, index=2, kinds=("marginal", "sampled", "viterbi"), random_state=3
    )
    syllables, marginal, sampled, viterbi = (image.get_array() for image in display.images_)
    np.testing.assert_array_equal(syllables[0], X[2])
    np.testing.assert_allclose(marginal, model.predict_proba(X)[2].T)
    np.testing.assert_array_equal(sampled[0], model.sample_states(X, random_state=3)[2])
    np.testing.assert_array_equal(viterbi[0], model.predict(X)[2])
    assert not np.array_equal(sampled, viterbi)
    assert tick_labels(display.ax_.yaxis) == [
        "syllable",
        "p(state 0)",
        "p(state 1)",
        "p(state 2)",
        "sampled",
        "Viterbi",
    ]
    assert display.ax_.get_xlabel() == "timestep"
    # Every label stands beside its own strip, from top to bottom.
    tops = [max(image.get_extent()[2:]) for image in display.images_]
    assert tops == sorted(tops)
    assert display.ax_.yaxis_inverted()
    ticks = display.ax_.get_yticks()
    assert (np.diff(ticks) > 0).all()
    top, bottom = display.images_[1].get_extent()[3], display.images_[1].get_extent()[2]
    np.testing.assert_allclose(ticks[1:4], top + (bottom - top) * np.array([1, 3, 5]) / 6)


def test_inferred_states_are_matched_over_all_sequences():
    model = FakeModel(n_states=3).fit()
    X = recordings()
    y_true = [(x % 3 + 2) % 3 for x in X]
    y_true[1][:] = 0  # alone, this sequence would be matched otherwise
    y_true[1][5:9] = -1
    mapping = match_states(y_true, model.predict(X))
    assert not np.array_equal(mapping, np.arange(3))
    display = RasterDisplay.from_estimator(model, X, index=1, y_true=y_true, random_state=1)
    true, viterbi, marginal, sampled = (image.get_array() for image in display.images_[1:])
    np.testing.assert_array_equal(true[0].filled(-1), y_true[1])
    np.testing.assert_array_equal(viterbi[0], mapping[model.predict(X)[1]])
    np.testing.assert_array_equal(marginal[mapping], model.predict_proba(X)[1].T)
    np.testing.assert_array_equal(sampled[0], mapping[model.sample_states(X, random_state=1)[1]])
    assert tick_labels(display.ax_.yaxis)[:3] == ["syllable", "true", "Viterbi"]


@pytest.mark.parametrize("y_form", ["list", "2-D"])
@pytest.mark.parametrize("x_form", ["list", "2-D"])
def test_true_states_may_differ_in_form(x_form, y_form):
    model = FakeModel().fit()
    sequences, states = recordings(), [x % 3 for x in recordings()]
    X = sequences if x_form == "list" else padded(sequences)
    y_true = states if y_form == "list" else padded(states)
    display = RasterDisplay.from_estimator(model, X, index=1, y_true=y_true, kinds=["viterbi"])
    true, viterbi = (image.get_array()[0] for image in display.images_[1:])
    np.testing.assert_array_equal(true, states[1])
    np.testing.assert_array_equal(viterbi, states[1])


def test_more_true_states_than_the_model_has():
    model = FakeModel(n_states=2).fit()
    X = recordings()
    y_true = [x % 4 for x in X]
    display = RasterDisplay.from_estimator(model, X, y_true=y_true, kinds=["marginal"])
    mapping = match_states(y_true, model.predict(X))
    marginal = display.images_[2].get_array()
    assert marginal.shape == (4, 60)
    others = np.setdiff1d(np.arange(4), mapping)
    assert marginal.mask[others].all()
    assert not marginal.mask[mapping].any()
    np.testing.assert_array_equal(display.state_labels, np.arange(4))


def test_fewer_true_states_than_the_model_has():
    model = FakeModel(n_states=5).fit()
    X = recordings(n_syllables=3)  # the path visits states 1, 2 and 3 of 0 to 4
    y_true = [np.where(x == 2, 1, x) for x in X]
    display = RasterDisplay.from_estimator(model, X, y_true=y_true, kinds=["viterbi", "marginal"])
    np.testing.assert_array_equal(display.state_labels, np.arange(5))
    true, viterbi = (image.get_array()[0] for image in display.images_[1:3])
    np.testing.assert_array_equal(true, y_true[0])
    paths = model.predict(X)
    np.testing.assert_array_equal(viterbi, match_states(y_true, paths)[paths[0]])
    assert not display.images_[3].get_array().mask.any()


def test_start_and_stop():
    model = FakeModel().fit()
    X = recordings()
    display = RasterDisplay.from_estimator(model, X, y_true=[x % 3 for x in X], start=20, stop=50)
    for image in display.images_:
        assert image.get_array().shape[1] == 30
        assert image.get_extent()[:2] == [19.5, 49.5] or image.get_extent()[:2] == (19.5, 49.5)
    np.testing.assert_array_equal(display.images_[0].get_array()[0], X[0][20:50])
    np.testing.assert_array_equal(display.images_[1].get_array()[0], X[0][20:50] % 3)
    np.testing.assert_array_equal(display.images_[2].get_array()[0], X[0][20:50] % 3)
    marginal = display.images_[3].get_array()
    np.testing.assert_array_equal(marginal, model.predict_proba(X)[0][20:50, [1, 2, 0]].T)
    assert display.ax_.get_xlim() == (19.5, 49.5)
    whole = RasterDisplay.from_estimator(model, padded(X), start=20, stop=10**6)
    assert whole.ax_.get_xlim() == (19.5, 59.5)


def test_state_colors_and_legend():
    display = RasterDisplay(
        [0, 1, 2, 3], [("true", [0, 1, 2, -1]), ("Viterbi", [2, 1, 0, 0])]
    ).plot()
    assert [text.get_text() for text in display.legend_.get_texts()] == [
        "state 0",
        "state 1",
        "state 2",
    ]
    legend_colors = [to_hex(patch.get_facecolor()) for patch in display.legend_.get_patches()]
    assert legend_colors == [BLUE, ORANGE, GREEN]
    image = display.images_[1]
    colors = [to_hex(color) for color in image.to_rgba(image.get_array())[0]]
    assert colors == [BLUE, ORANGE, GREEN, to_hex("0.85")]
    image = display.images_[2]
    colors = [to_hex(color) for color in image.to_rgba(image.get_array())[0]]
    assert colors == [GREEN, ORANGE, BLUE, BLUE]


@pytest.mark.parametrize("n_states", [1, 8, 9, 20, 21, 40])
def test_every_state_has_a_colour_of_its_own(n_states):
    display = RasterDisplay(np.zeros(n_states, int), [("true", np.arange(n_states))]).plot()
    image = display.images_[1]
    colors = {to_hex(color) for color in image.to_rgba(image.get_array())[0]}
    assert len(colors) == n_states
    assert len(display.legend_.get_patches()) == n_states
    tab20 = [to_hex(color) for color in plt.get_cmap("tab20").colors]
    grays = set(tab20[14:16])  # unused states are grey
    allowed = {*tab20, "#000000", "#f0e442"} - grays
    assert (colors <= allowed) == (9 <= n_states <= 20)


def test_labels_that_do_not_count_from_zero():
    display = RasterDisplay([0, 1, 2], [("true", [9, 4, -1])], state_labels=[4, 9]).plot()
    drawn = display.images_[1].get_array()[0]
    np.testing.assert_array_equal(drawn.filled(-1), [1, 0, -1])
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert texts == ["state 4", "state 9"]


def test_syllable_colors_and_missing_syllables():
    display = RasterDisplay([0, -1, 4], n_syllables=5).plot(cmap="magma")
    image = display.images_[0]
    np.testing.assert_array_equal(image.get_array().mask, [[False, True, False]])
    assert (image.cmap.N, image.get_clim()) == (5, (-0.5, 4.5))
    colors = image.to_rgba(image.get_array())[0]
    expected = plt.get_cmap("magma", 5)
    np.testing.assert_allclose(colors[[0, 2]], [expected(0), expected(4)])
    assert to_hex(colors[1]) == to_hex("0.85")
    assert display.legend_ is None
    assert RasterDisplay([0, -1, 4]).plot().images_[0].cmap.N == 5


@pytest.mark.parametrize(("n_states", "n_syllables"), [(2, 3), (5, 20), (10, 100), (30, 9)])
def test_rasters_can_be_read(n_states, n_syllables):
    model = FakeModel(n_states, n_syllables).fit()
    X = recordings(n_syllables)
    y_true = [x % n_states for x in X]
    display = RasterDisplay.from_estimator(model, X, y_true=y_true)
    assert_readable(display.figure_)
    _, ax = plt.subplots(figsize=(6, 3), layout="constrained")
    display = RasterDisplay.from_estimator(model, X, kinds=["marginal"], ax=ax)
    shown = tick_labels(ax.yaxis)[1:]
    assert shown[0] == "p(state 0)"
    assert (len(shown) < n_states) == (n_states >= 30)


def test_raster_arguments_are_checked():
    model = FakeModel().fit()
    X = recordings()
    with pytest.raises(ValueError, match=r"each of kinds must be .* got 'filtered'"):
        RasterDisplay.from_estimator(model, X, kinds=["filtered"])
    for index in (3, -1):
        with pytest.raises(ValueError, match=f"index must be from 0 to 2 in X, got {index}"):
            RasterDisplay.from_estimator(model, X, index=index)
    with pytest.raises(TypeError):
        RasterDisplay.from_estimator(model, X, index=1.0)
    with pytest.raises(ValueError, match="an observed timestep in sequence 1, got none"):
        RasterDisplay.from_estimator(model, [[0], [-1, -1]], index=1)
    for start, stop in ((60, None), (-1, 5), (7, 7)):
        with pytest.raises(ValueError, match=r"0 <= start < stop, got .* has 60 timesteps"):
            RasterDisplay.from_estimator(model, X, start=start, stop=stop)
    with pytest.raises(ValueError, match=r"y_pred has 3 sequence.s., but y_true has 1 sequence"):
        RasterDisplay.from_estimator(model, X, y_true=[[0]])


def test_raster_rows_are_checked():
    with pytest.raises(ValueError, match=r"syllables must be a 1-D .* got shape \(1, 2\)"):
        RasterDisplay([[0, 1]]).plot()
    with pytest.raises(ValueError, match=r"have the 2 timesteps .* got 'true' of shape \(3,\)"):
        RasterDisplay([0, 1], [("true", [0, 1, 1])]).plot()
    with pytest.raises(ValueError, match=r"each of the 3 state_labels, got 'p' of shape \(2, 2\)"):
        RasterDisplay([0, 1], [("p", np.ones((2, 2)))], state_labels=[0, 1, 2]).plot()
    with pytest.raises(ValueError, match="states of state_labels, 'true' has others"):
        RasterDisplay([0, 1], [("true", [0, 5])], state_labels=[0, 1, 2]).plot()


# Log joint


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
    for values in ([[np.nan, np.nan]], np.empty((1, 0)), np.zeros((1, 2, 3))):
        with pytest.raises(ValueError, match=r"shape \(n_chains, n_iter\) and a finite value, got"):
            LogJointDisplay(values).plot()


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


# Emission losses


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
    for values in ([np.nan], [], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match="losses must be a 1-D array with a finite value, got"):
            EmissionLossDisplay(values).plot()


def test_losses_from_estimator():
    model = FakeModel().fit()
    _, ax = plt.subplots()
    display = EmissionLossDisplay.from_estimator(model, ax=ax)
    assert display.ax_ is ax
    np.testing.assert_array_equal(display.line_.get_ydata(), [100.0, 10.0, 0.5, np.nan])


# Confusion


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


def test_confusion_of_counts_is_refused():
    with pytest.raises(ValueError, match=r"fractions of the true states, got values from 0 to 7"):
        MatchedConfusionDisplay([[7, 0], [1, 3]]).plot()


@pytest.mark.parametrize("holder", ["steps", "best_estimator_"])
def test_a_pipeline_is_refused(holder):
    estimator = SimpleNamespace(**{holder: None})
    with pytest.raises(TypeError, match="estimator must be an EfficientHHMM, got SimpleNamespace"):
        LogJointDisplay.from_estimator(estimator)


@pytest.mark.parametrize("differences", [False, True])
def test_a_syllable_that_cannot_follow_itself_has_no_colour(differences):
    probs = np.broadcast_to((1 - np.eye(3)) / 2, (2, 3, 3))
    display = SyllableTransitionDisplay(probs).plot(differences=differences)
    for image in display.images_:
        np.testing.assert_array_equal(np.ma.getmaskarray(image.get_array()), np.eye(3, dtype=bool))
