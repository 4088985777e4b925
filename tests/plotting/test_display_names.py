"""Names that users give are drawn as they are: no formula in them, and none left out."""

import inspect
import io
import warnings
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

import hhmm.plotting
from hhmm.plotting import (
    AlignmentDisplay,
    DurationDisplay,
    EthogramDisplay,
    LogJointDisplay,
    RasterDisplay,
    ScanDisplay,
    StateGraphDisplay,
    StateTransitionDisplay,
    StateUsageDisplay,
    SyllablePreferenceDisplay,
    SyllableTransitionDisplay,
)

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.legend import Legend
from matplotlib.text import Text

NAMES = ["_$a$b", r"\frac{1}{$^$", "<b>100% {a} #&~^", ""]
N = len(NAMES)
PAIRS = [NAMES[i : i + 2] for i in range(0, N, 2)]
MEASURED = ("difference", "median_duration", "n_used_states", "adjusted_rand")


def summary(settings):
    """Of a scan: the same result whatever the settings, a dict of lists of equal length."""
    n_points = len(next(iter(settings.values())))
    numbers = {"n_states": 2, "trans_kappa": 9.0, "prior_duration": 11.0}
    numbers["within_one_standard_error"] = True
    numbers |= {f"{what}_{name}": 0.5 for name in MEASURED for what in ("mean", "se")}
    return settings | {name: np.full(n_points, value) for name, value in numbers.items()}


# For each argument with names: what draws NAMES, in one display or several, and what is to be read.
CASES = {
    (AlignmentDisplay, "names"): (
        lambda: [AlignmentDisplay(np.eye(2), [0, 1], names=pair).plot() for pair in PAIRS],
        NAMES,
    ),
    (AlignmentDisplay, "first_names"): (
        lambda: [AlignmentDisplay(np.eye(N), np.arange(N), first_names=NAMES).plot()],
        NAMES,
    ),
    (AlignmentDisplay, "second_names"): (
        lambda: [AlignmentDisplay(np.eye(N), np.arange(N), second_names=NAMES).plot()],
        NAMES,
    ),
    (DurationDisplay, "state_names"): (
        lambda: [DurationDisplay([[1, 3]] * N, state_names=NAMES).plot()],
        NAMES,
    ),
    (EthogramDisplay, "names"): (
        lambda: [EthogramDisplay([[0, 1]] * N, names=NAMES).plot()],
        NAMES,
    ),
    (EthogramDisplay, "groups"): (
        lambda: [EthogramDisplay([[0, 1]] * N, groups=NAMES).plot()],
        NAMES,
    ),
    (EthogramDisplay, "state_names"): (
        lambda: [EthogramDisplay([np.arange(N)], state_names=NAMES).plot()],
        NAMES,
    ),
    (LogJointDisplay, "reference_label"): (
        lambda: [
            LogJointDisplay([-9.0, -5.0]).plot(reference=-4.0, reference_label=name)
            for name in NAMES
        ],
        NAMES,
    ),
    (RasterDisplay, "rows"): (
        lambda: [RasterDisplay([0, 1], [(name, [0, 1]) for name in NAMES]).plot()],
        NAMES,
    ),
    (RasterDisplay, "rows of probabilities"): (
        lambda: [
            RasterDisplay([0, 1], [(name + " {}", np.full((2, 1), 0.5)) for name in NAMES]).plot()
        ],
        [f"{name} 0" for name in NAMES],
    ),
    (RasterDisplay, "state_names"): (
        lambda: [
            RasterDisplay([0], [("true", [0])], state_labels=range(N), state_names=NAMES).plot()
        ],
        NAMES,
    ),
    (ScanDisplay, "summary"): (
        lambda: [
            ScanDisplay(summary({name: [1, 2] for name in NAMES})).plot(plt.subplots(2, 2)[1])
        ],
        [", ".join(f"{name} {value}" for name in NAMES) for value in (1, 2)],
    ),
    (ScanDisplay, "values in summary"): (
        lambda: [ScanDisplay(summary({"kind": NAMES})).plot()],
        [f"kind {name}" for name in NAMES],
    ),
    (StateGraphDisplay, "state_names"): (
        lambda: [StateGraphDisplay(np.ones((N, N)), state_names=NAMES).plot()],
        NAMES,
    ),
    (StateTransitionDisplay, "state_names"): (
        lambda: [StateTransitionDisplay(np.full((N, N), 1 / N), state_names=NAMES).plot()],
        NAMES,
    ),
    (StateUsageDisplay, "groups"): (
        lambda: [StateUsageDisplay(np.full((N, 2), 0.5), groups=NAMES).plot()],
        [f"{name} (n = 1)" for name in NAMES],
    ),
    (StateUsageDisplay, "state_names"): (
        lambda: [StateUsageDisplay(np.full((2, N), 1 / N), state_names=NAMES).plot()],
        NAMES,
    ),
    (SyllablePreferenceDisplay, "state_names"): (
        lambda: [SyllablePreferenceDisplay(np.eye(N), state_names=NAMES).plot()],
        NAMES,
    ),
    (SyllablePreferenceDisplay, "syllable_names"): (
        lambda: [SyllablePreferenceDisplay(np.eye(N), syllable_names=NAMES).plot(n_top=N)],
        NAMES,
    ),
    (SyllableTransitionDisplay, "state_names"): (
        lambda: [SyllableTransitionDisplay(np.full((N, 2, 2), 0.5), state_names=NAMES).plot()],
        NAMES,
    ),
}
IN_LEGENDS = {
    (DurationDisplay, "state_names"),
    (EthogramDisplay, "state_names"),
    (RasterDisplay, "state_names"),
    (LogJointDisplay, "reference_label"),
    (ScanDisplay, "summary"),
    (ScanDisplay, "values in summary"),
    (StateUsageDisplay, "groups"),
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def words(case):
    display, argument = case
    return f"{display.__name__}, {argument}"


def written_texts(figure):
    """The texts of the picture as SVG, where formulas are taken apart."""
    file = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(file, format="svg")
    texts = ElementTree.fromstring(file.getvalue()).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(text.itertext()) for text in texts]


def legend_texts(figure):
    return [text.get_text() for legend in figure.findobj(Legend) for text in legend.get_texts()]


def drawn_texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible()]


@pytest.mark.parametrize("case", CASES, ids=words)
def test_names_are_drawn_as_they_are(case):
    draw, expected = CASES[case]
    in_picture, in_texts, in_legends = [], [], []
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib 3.8 warns of labels with underscores
        for display in draw():
            in_picture += written_texts(display.figure_)
            in_texts += drawn_texts(display.figure_)
            in_legends += legend_texts(display.figure_)
    assert set(expected) - {""} <= set(in_picture)
    assert set(expected) <= set(in_texts)
    if case in IN_LEGENDS:
        assert set(expected) <= set(in_legends)


def test_the_cases_are_all_arguments_with_names():
    found = {
        (display, argument)
        for display in (getattr(hhmm.plotting, name) for name in hhmm.plotting.__all__)
        for method in (display, display.plot)
        for argument in inspect.signature(method).parameters
        if argument in ("groups", "rows", "summary") or argument.endswith(("names", "_label"))
    }
    assert found == {(display, argument) for display, argument in CASES if " " not in argument}


@pytest.mark.parametrize(
    "draw",
    [
        lambda name: EthogramDisplay([[0, 1]], names=[name], state_names=[name, "b"]).plot(),
        lambda name: ScanDisplay(summary({name: [1, 2]})).plot(),
        pytest.param(
            lambda name: EthogramDisplay([[0, 1]], groups=[name]).plot(), marks=pytest.mark.slow
        ),
        pytest.param(
            lambda name: LogJointDisplay([-9.0]).plot(reference=-4.0, reference_label=name),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda name: RasterDisplay([0, 1], [(name, [0, 1])]).plot(), marks=pytest.mark.slow
        ),
    ],
    ids=["names", "summary", "groups", "reference_label", "rows"],
)
def test_what_no_font_has_is_drawn_as_its_escape(draw):
    latin = "M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller".encode("latin-1")
    name = latin.decode(errors="surrogateescape") + "\t\0"  # a file name as Python reads it
    figure = draw(name).figure_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO(), dpi=50)
    assert any(text.startswith(r"M\udcfcller\t\x00") for text in written_texts(figure))


def test_ends_of_lines_and_letters_of_all_scripts_stay():
    names = ["two\nlines", "\N{GREEK SMALL LETTER ALPHA}\N{NO-BREAK SPACE}\N{ZERO WIDTH JOINER}"]
    figure = StateGraphDisplay(np.ones((2, 2)), state_names=names).plot().figure_
    assert set(names) <= set(drawn_texts(figure))


@pytest.mark.parametrize("shown", [0, 1])
def test_axes_that_share_the_ticks_show_names_as_they_are(shown):
    figure, axes = plt.subplots(2, 1, sharex=True)
    StateUsageDisplay(np.full((2, 2), 0.5), state_names=["$^$", "$a$"]).plot(axes[shown])
    assert {"$^$", "$a$"} <= set(written_texts(figure))


def test_names_are_not_typeset_by_tex():
    with matplotlib.rc_context({"text.usetex": True}):
        displays = [
            AlignmentDisplay(np.eye(2), [0, 1], names="aa", first_names="aa", second_names="aa"),
            SyllablePreferenceDisplay(np.eye(2), state_names="aa", syllable_names="aa"),
            ScanDisplay(summary({"": ["a", "b"]})),
        ]
        for display in displays:
            texts = display.plot().figure_.findobj(Text)
            names = [text for text in texts if text.get_text().strip() in ("a", "b")]
            assert len(names) >= 2
            assert not any(text.get_usetex() for text in names)
            assert any(text.get_usetex() for text in texts)


def test_lines_in_given_axes_stay_in_the_legend():
    ax = plt.subplots()[1]
    ax.plot([1, 2], [-9.0, -4.0], label="earlier fit")
    LogJointDisplay([[-9.0, -5.0]] * 2).plot(ax, reference=-4.0, reference_label="_truth")
    assert legend_texts(ax.figure) == ["earlier fit", "chain 0", "chain 1", "_truth"]
