"""The raster display: what is drawn, read back from the artists."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from hhmm.metrics import match_states
from hhmm.plotting import RasterDisplay
from tests.plotting.readable import FakeModel, assert_readable, recordings, tick_labels

BLUE, ORANGE, GREEN = "#0072b2", "#e69f00", "#009e73"


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


@pytest.mark.parametrize(("n_states", "n_syllables"), [(2, 3), (10, 100), (30, 9)])
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
