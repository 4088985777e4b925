"""States that take less than 1% of the time are grey in displays, or are left out."""

import itertools
import warnings

import matplotlib
import numpy as np
import pytest

from hhmm import EfficientHHMM
from hhmm.metrics import matched_confusion_matrix, state_usage
from hhmm.plotting import (
    AlignmentDisplay,
    DurationDisplay,
    EthogramDisplay,
    MatchedConfusionDisplay,
    RasterDisplay,
    StateGraphDisplay,
    StateTransitionDisplay,
    StateUsageDisplay,
    SyllablePreferenceDisplay,
    SyllableTransitionDisplay,
)
from hhmm.plotting._figures import MISSING_COLOR, UNUSED_COLOR, state_colors
from tests.plotting.readable import assert_readable
from tests.published import PUBLISHED

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_hex, to_rgb

GRAY = to_hex(UNUSED_COLOR)
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#e69f00", "#009e73", "#cc79a7"
# state 2 takes 4 of 900 timesteps
STATES = [np.repeat([0, 1, 2, 3, 0, 1, 3], [50, 40, 4, 60, 90, 30, 26]), np.repeat([3, 1], 300)]
USAGE = [0.3, 0.4, 0.004, 0.296]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def legend_colors(legend):
    patches = [patch.get_facecolor() for patch in legend.get_patches()]
    lines = [line.get_color() for line in legend.get_lines()]
    return [to_hex(color) for color in patches + lines]


def tick_colors(axis):
    return [to_hex(label.get_color()) for label in axis.get_ticklabels()]


def with_rare_state(n_states=4):
    """A model made from parameters: its last state takes 0 in the long run."""
    rng = np.random.default_rng(0)
    trans_probs = 0.9 * np.eye(n_states) + 0.1 * rng.dirichlet(np.ones(n_states), n_states)
    trans_probs[:-1, -1] = 0
    trans_probs /= trans_probs.sum(axis=1, keepdims=True)
    return EfficientHHMM.from_params(
        rng.normal(size=(7, 6)), rng.normal(size=(n_states - 1, 6)), trans_probs
    )


@pytest.fixture(scope="module")
def fitted():
    """A fit of four states to syllables of one: it stays in the state it starts in."""
    X = list(np.random.default_rng(0).integers(0, 4, (2, 400)))
    model = EfficientHHMM(
        4,
        algorithm="em",
        trans_kappa=1e9,
        init=[np.zeros(len(x), int) for x in X],
        max_iter=4,
        random_state=0,
        **PUBLISHED,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X)


# Colours


@pytest.mark.parametrize("n_states", [3, 8, 9, 18, 20, 30])
def test_used_states_keep_their_colours(n_states):
    usage = np.full(n_states, 1.0)
    usage[[0, -1]] = 0.0, 0.009
    colors = state_colors(n_states, usage)
    assert [colors[0], colors[-1]] == [UNUSED_COLOR, UNUSED_COLOR]
    np.testing.assert_array_equal(
        [to_hex(color) for color in colors[1:-1]],
        [to_hex(color) for color in state_colors(n_states)[1:-1]],
    )


def test_no_used_state_looks_unused_or_missing():
    for n_states in range(1, 41):
        for color in state_colors(n_states, np.ones(n_states)):
            for gray in (UNUSED_COLOR, MISSING_COLOR):
                assert np.abs(np.array(to_rgb(color)) - to_rgb(gray)).max() > 0.13, n_states
    assert np.abs(np.array(to_rgb(UNUSED_COLOR)) - to_rgb(MISSING_COLOR)).max() > 0.13


def test_ethogram():
    display = EthogramDisplay.from_predictions(STATES)
    assert legend_colors(display.legend_) == [BLUE, ORANGE, GRAY, PURPLE]
    image = display.images_[0]
    drawn = image.to_rgba(image.get_array())[0]
    assert [to_hex(drawn[t]) for t in (0, 60, 92, 100)] == [BLUE, ORANGE, GRAY, PURPLE]


def test_raster_of_rows():
    states = STATES[0]
    elsewhere = np.where(states == 2, 0, states)
    display = RasterDisplay(states % 3, [("a", states), ("b", elsewhere)]).plot()
    # 4 of 300 timesteps are more than 1% in one row, and less on average over two
    assert legend_colors(display.legend_) == [BLUE, ORANGE, GRAY, PURPLE]
    image = display.images_[1]
    assert to_hex(image.to_rgba(image.get_array())[0, 92]) == GRAY
    display = RasterDisplay(states % 3, [("a", states)]).plot()
    assert legend_colors(display.legend_) == [BLUE, ORANGE, GREEN, PURPLE]
    probabilities = np.eye(4)[elsewhere]
    display = RasterDisplay(states % 3, [("p({})", probabilities)]).plot()
    assert legend_colors(display.legend_) == [BLUE, ORANGE, GRAY, PURPLE]
    display = RasterDisplay(states % 3, [("a", states)], usage=[0, 1, 1, 1]).plot()
    assert legend_colors(display.legend_) == [GRAY, ORANGE, GREEN, PURPLE]


class Known(EfficientHHMM):
    """Infers the states that `STATES` holds."""

    def predict(self, X, groups=None):
        return [STATES[0] if len(x) == 300 else STATES[1] for x in X]


def test_raster_of_a_model_has_the_same_colours_for_each_sequence():
    model = with_rare_state()
    model.__class__ = Known
    X = [np.zeros(300, int), np.zeros(600, int)]
    for index in (0, 1):
        display = RasterDisplay.from_estimator(model, X, index=index, kinds=["viterbi"], stop=100)
        assert legend_colors(display.legend_) == [BLUE, ORANGE, GRAY, PURPLE]
    # true states have other numbers: 0 and 1 are exchanged, and 2 has the label 5
    true = [np.array([1, 0, 5, 3])[states] for states in STATES]
    display = RasterDisplay.from_estimator(model, X, y_true=true, kinds=["viterbi"])
    assert [t.get_text() for t in display.legend_.get_texts()] == [
        f"state {label}" for label in (0, 1, 3, 5)
    ]
    assert legend_colors(display.legend_) == [BLUE, ORANGE, GREEN, GRAY]


def test_usage():
    usage = np.tile(USAGE, (2, 1))
    usage = np.vstack([usage, np.full(4, np.nan)])
    display = StateUsageDisplay(usage, state_names=list("abcd")).plot()
    assert tick_colors(display.ax_.xaxis) == ["#000000", "#000000", GRAY, "#000000"]


def test_durations():
    display = DurationDisplay.from_predictions(STATES, trans_probs=np.full((4, 4), 0.25))
    for lines in (display.lines_, display.expected_lines_):
        colors = [to_hex(line.get_color()) for line in lines]
        assert colors == [BLUE, ORANGE, GRAY, PURPLE]
    # nearly all of the time in state 0 is in a bout whose beginning was not seen
    states = [np.repeat([0, 3, 0], [500, 200, 1]), np.repeat([1, 3], [500, 300])]
    display = DurationDisplay.from_predictions(states)
    assert to_hex(display.lines_[0].get_color()) == BLUE
    assert legend_colors(display.legend_) == [BLUE, PURPLE]
    display = DurationDisplay([[900.0], [3.0], []]).plot()
    assert to_hex(display.lines_[1].get_color()) == GRAY


def test_alignment():
    counts = np.array([[0, 500, 0], [4, 0, 0], [0, 2, 494]])
    display = AlignmentDisplay(counts, [1, 0, 2]).plot()
    first, second = ([to_hex(bar.get_facecolor()) for bar in bars] for bars in display.bars_)
    assert first == [BLUE, GRAY, GREEN]
    assert second == [GRAY, BLUE, GREEN]
    assert to_hex(display.bands_[1, 0].get_facecolor()) == GRAY
    # a state that is used in the second fit only
    display = AlignmentDisplay([[4, 0], [400, 600]], [0, 1]).plot()
    assert [to_hex(bar.get_facecolor()) for bar in display.bars_[0]] == [GRAY, ORANGE]
    assert [to_hex(bar.get_facecolor()) for bar in display.bars_[1]] == [BLUE, ORANGE]


def test_confusion():
    true = np.repeat([0, 1, 2], [500, 496, 4])
    inferred = np.repeat([0, 1, 2], [500, 300, 200])
    display = MatchedConfusionDisplay.from_predictions(true, inferred)
    counts = matched_confusion_matrix(true, inferred)
    np.testing.assert_array_equal(display.true_usage, counts.sum(axis=1) / 1000)
    assert tick_colors(display.ax_.yaxis) == ["#000000", "#000000", GRAY]
    assert tick_colors(display.ax_.xaxis) == ["#000000"] * 3
    display = MatchedConfusionDisplay.from_predictions(inferred, true)
    assert tick_colors(display.ax_.xaxis) == ["#000000", "#000000", GRAY]
    display = MatchedConfusionDisplay(np.eye(3)).plot()
    assert tick_colors(display.ax_.yaxis) == ["#000000"] * 3


def test_transitions(fitted):
    n_used = int((state_usage(fitted.states_, n_states=4) > 0).sum())
    assert n_used < 4
    expected = ["#000000"] * n_used + [GRAY] * (4 - n_used)
    display = StateTransitionDisplay.from_estimator(fitted)
    assert tick_colors(display.ax_.xaxis) == tick_colors(display.ax_.yaxis) == expected
    display = SyllableTransitionDisplay.from_estimator(fitted)
    assert [to_hex(panel.title.get_color()) for panel in display.axes_] == expected
    display = SyllableTransitionDisplay.from_estimator(with_rare_state())
    assert [to_hex(panel.title.get_color()) for panel in display.axes_][2:] == ["#000000", GRAY]


# Left out


def test_graph_leaves_unused_states_out():
    display = StateGraphDisplay.from_predictions(STATES, min_probability=0)
    np.testing.assert_array_equal(display.states_, [0, 1, 3])
    assert display.circles_[2] is None
    colors = [to_hex(display.circles_[k].get_facecolor()) for k in (0, 1, 3)]
    assert colors == [BLUE, ORANGE, PURPLE]
    assert display.next_probs_.shape == (4, 4)
    assert display.next_probs_[1, 2] > 0
    assert sorted(display.arrows_) == [(0, 1), (1, 3), (3, 0), (3, 1)]
    for (i, j), arrow in display.arrows_.items():
        assert arrow.patchA is display.circles_[i]
        np.testing.assert_allclose(arrow._posA_posB[1], display.circles_[j].center)
    texts = [text.get_text() for text in display.ax_.texts]
    assert texts == ["0", "1", "3", "1 unused state left out"]
    assert_readable(display.figure_)

    display = StateGraphDisplay.from_predictions(STATES, min_probability=0, unused_states=True)
    assert to_hex(display.circles_[2].get_facecolor()) == GRAY
    assert {(1, 2), (2, 3)} <= set(display.arrows_)
    assert [text.get_text() for text in display.ax_.texts] == list("0123")


def test_graph_of_a_model(fitted):
    for model, X, n_drawn in (
        (fitted, None, int((state_usage(fitted.states_, n_states=4) > 0).sum())),
        (with_rare_state(), None, 3),
        (with_rare_state(), [np.arange(300) % 7], None),
    ):
        display = StateGraphDisplay.from_estimator(model, X)
        if X is not None:
            expected = state_usage(model.predict(X), n_states=4)
            np.testing.assert_array_equal(display.usage, expected)
            n_drawn = int((expected >= 0.01).sum())
        assert display.states_.size == n_drawn
        everything = StateGraphDisplay.from_estimator(model, X, unused_states=True)
        assert everything.states_.size == 4


def test_preferences_leave_unused_states_out(fitted):
    values = np.random.default_rng(0).normal(size=(4, 9))
    values[2] *= 9  # does not stretch the axis of the others
    display = SyllablePreferenceDisplay(values, usage=USAGE, state_names=list("abcd")).plot()
    np.testing.assert_array_equal(display.states_, [0, 1, 3])
    assert [panel.get_title() for panel in display.axes_] == ["a", "b", "d"]
    for state, shown, bars in zip([0, 1, 3], display.shown_, display.bars_, strict=True):
        np.testing.assert_array_equal([bar.get_width() for bar in bars], values[state, shown])
        assert GRAY not in {to_hex(bar.get_facecolor()) for bar in bars}
    assert display.axes_[0].get_xlim()[1] == pytest.approx(1.08 * np.abs(values[[0, 1, 3]]).max())
    assert display.figure_.get_supxlabel() == "change in usage\n1 unused state left out"
    assert_readable(display.figure_)

    display = SyllablePreferenceDisplay(values, usage=USAGE).plot(unused_states=True)
    assert {to_hex(bar.get_facecolor()) for bar in display.bars_[2]} == {GRAY}
    assert GRAY not in {to_hex(bar.get_facecolor()) for bar in display.bars_[3]}
    assert display.figure_.get_supxlabel() == "change in usage"
    for unused_states, n_panels in ((False, 1), (True, 4)):
        display = SyllablePreferenceDisplay.from_estimator(fitted, unused_states=unused_states)
        if not unused_states:
            n_panels = int((state_usage(fitted.states_, n_states=4) > 0).sum())
        assert len(display.axes_) == n_panels


@pytest.mark.parametrize("n_axes", [3, 4])
def test_preferences_in_axes_of_all_states_or_of_the_drawn_ones(n_axes):
    values = np.random.default_rng(0).normal(size=(4, 9))
    _, axes = plt.subplots(1, n_axes)
    display = SyllablePreferenceDisplay(values, usage=USAGE).plot(axes)
    assert list(display.axes_) == [axes[0], axes[1], axes[-1]]
    assert [ax.axison for ax in axes] == [True, True, *[False] * (n_axes - 3), True]
    assert [panel.get_title() for panel in display.axes_] == ["state 0", "state 1", "state 3"]
    assert axes[-1].get_xlabel() == "change in usage\n1 unused state left out"
    assert axes[0].get_xlabel() == "change in usage"


def test_all_states_are_kept_where_all_are_small():
    values = np.zeros((101, 2))
    display = SyllablePreferenceDisplay(values, usage=np.full(101, 1 / 101)).plot()
    assert display.states_.size == 101


# The order of syllables


def interacting():
    """Fit a model with a term by state and previous syllable."""
    rng = np.random.default_rng(0)
    steps = np.tile(np.repeat([1, 2], 100), 2)
    X = []
    for _ in range(4):
        x = [0]
        for step in steps:
            x.append((x[-1] + (step if rng.random() < 0.9 else 3)) % 5)
        X.append(np.array(x))
    model = EfficientHHMM(
        2,
        algorithm="em",
        init=[np.append(0, steps - 1)] * len(X),
        max_iter=30,
        random_state=0,
        **PUBLISHED | {"emission_interactions_sigma": 1.0, "self_transitions": "auto"},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X)


def test_syllable_transitions_of_models_with_interactions():
    model = interacting()
    assert not model.self_transitions_
    probs = model.syllable_trans_probs_
    assert not np.diagonal(probs, axis1=1, axis2=2).any()
    display = SyllableTransitionDisplay.from_estimator(model)
    for image, expected in zip(display.images_, probs, strict=True):
        np.testing.assert_array_equal(image.get_array(), expected)
        assert np.isfinite(image.to_rgba(image.get_array())).all()
        np.testing.assert_allclose(image.to_rgba(0.0), image.cmap(0.0))
    assert_readable(display.figure_)

    display = SyllableTransitionDisplay.from_estimator(model, differences=True)
    usage = state_usage(model.states_, n_states=2)
    np.testing.assert_array_equal(display.usage, usage)
    for k, image in enumerate(display.images_):
        expected = np.zeros((5, 5))
        for i, j in itertools.product(range(5), repeat=2):
            expected[i, j] = probs[k, i, j] - sum(usage[m] * probs[m, i, j] for m in range(2))
        np.testing.assert_allclose(image.get_array(), expected, atol=1e-6)
        assert image.cmap.name == "RdBu_r"
        assert image.norm.vmin == -image.norm.vmax
    # states differ in the order of syllables: by one, or by two
    forward = [
        np.mean([image.get_array()[i, (i + step) % 5] for i in range(5)])
        for image in display.images_
        for step in (1, 2)
    ]
    assert np.abs(forward).min() > 0.1
    assert_readable(display.figure_)


def test_differences_are_from_the_mean_by_usage():
    probs = np.array([np.eye(2), np.eye(2), [[0.0, 1.0], [1.0, 0.0]]])
    display = SyllableTransitionDisplay(probs, usage=[2, 1, 1]).plot(differences=True, cmap="PuOr")
    np.testing.assert_allclose(display.images_[0].get_array(), [[0.25, -0.25], [-0.25, 0.25]])
    np.testing.assert_allclose(display.images_[2].get_array(), [[-0.75, 0.75], [0.75, -0.75]])
    assert display.images_[0].norm.vmax == 0.75
    assert display.images_[0].cmap.name == "PuOr"
    equal = SyllableTransitionDisplay(probs[:2]).plot(differences=True)
    assert not equal.images_[0].get_array().any()
    assert equal.images_[0].norm.vmax == 1
    with pytest.raises(TypeError, match="differences must be an instance of"):
        SyllableTransitionDisplay(probs).plot(differences="yes")
