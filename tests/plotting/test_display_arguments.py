"""Displays raise an error for arguments that they cannot draw, before a figure is made."""

import inspect

import matplotlib
import numpy as np
import pytest

from hhmm.comparisons import compare_groups
from hhmm.metrics import lagged_mutual_information
from hhmm.plotting import (
    AlignmentDisplay,
    DurationDisplay,
    EmissionLossDisplay,
    EthogramDisplay,
    GroupComparisonDisplay,
    LaggedInformationDisplay,
    LogJointDisplay,
    MatchedConfusionDisplay,
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

TWO = np.array([[0.9, 0.1], [0.2, 0.8]])
STATES = np.array([[0, 0, 1, 1], [1, 0, 0, 0]])
MEASURED = ("difference", "median_duration", "n_used_states", "adjusted_rand")
SUMMARY = {
    "n_states": [2, 3],
    "trans_kappa": [9.0, 9.0],
    "prior_duration": [11.0, 7.0],
    "within_one_standard_error": [True, True],
} | {f"{what}_{name}": [0.5, 0.75] for name in MEASURED for what in ("mean", "se")}
COMPARISON = compare_groups(STATES, groups=["x", "y"], syllables=STATES)
INFORMATION = lagged_mutual_information(STATES, [1, 2], n_surrogates=2, random_state=0)

# of the constructor and of `plot`
VALID = {
    AlignmentDisplay: {
        "counts": [[0, 50], [40, 10]],
        "mapping": [1, 0],
        "names": ("first", "second"),
        "first_names": ["a", "b"],
        "second_names": ["a", "b"],
        "ax": None,
    },
    DurationDisplay: {
        "durations": [[3, 1], [2]],
        "ended": [[True, False], [True]],
        "trans_probs": TWO,
        "state_names": ["a", "b"],
        "frame_rate": 10.0,
        "usage": [0.5, 0.5],
        "ax": None,
    },
    EmissionLossDisplay: {"losses": [1200.0, 1010.0, 1000.0], "ax": None},
    EthogramDisplay: {
        "states": STATES,
        "names": ["a", "b"],
        "groups": ["x", "y"],
        "n_states": 2,
        "state_names": ["a", "b"],
        "frame_rate": 10.0,
        "ax": None,
    },
    GroupComparisonDisplay: {
        "comparison": COMPARISON,
        "quantities": ["usage", "content"],
        "values": "p",
        "n_top": 3,
        "ax": None,
    },
    LaggedInformationDisplay: {"information": INFORMATION, "frame_rate": 10.0, "ax": None},
    LogJointDisplay: {"log_joint": [-9.0, -5.0], "reference": -4.0, "clip_rise": True, "ax": None},
    MatchedConfusionDisplay: {
        "confusion_matrix": TWO,
        "accuracy": 0.85,
        "true_usage": [0.5, 0.5],
        "inferred_usage": [0.5, 0.5],
        "cmap": "viridis",
        "include_values": True,
        "ax": None,
    },
    RasterDisplay: {
        "syllables": [0, 1, 2, -1],
        "rows": [("true", STATES[0]), ("p({})", np.full((4, 2), 0.5))],
        "n_syllables": 3,
        "state_labels": [0, 1],
        "start": 0,
        "usage": [0.5, 0.5],
        "cmap": "viridis",
        "ax": None,
    },
    ScanDisplay: {"summary": SUMMARY, "frame_rate": 10.0, "axes": None},
    StateGraphDisplay: {
        "trans_probs": TWO,
        "usage": [0.5, 0.5],
        "state_names": ["a", "b"],
        "min_probability": 0.1,
        "unused_states": False,
        "ax": None,
    },
    StateTransitionDisplay: {
        "trans_probs": TWO,
        "usage": [0.5, 0.5],
        "cmap": "viridis",
        "color_scale": "log",
        "include_values": True,
        "ax": None,
    },
    StateUsageDisplay: {
        "usage": TWO,
        "groups": ["x", "y"],
        "state_names": ["a", "b"],
        "interval": "bootstrap",
        "confidence_level": 0.95,
        "ax": None,
    },
    SyllablePreferenceDisplay: {
        "values": TWO,
        "kind": "bias",
        "standard_deviations": TWO,
        "syllable_names": ["a", "b"],
        "state_names": ["a", "b"],
        "usage": [0.5, 0.5],
        "n_top": 1,
        "unused_states": False,
        "ax": None,
    },
    SyllableTransitionDisplay: {
        "syllable_trans_probs": [TWO, TWO],
        "usage": [0.5, 0.5],
        "cmap": "viridis",
        "color_scale": "log",
        "differences": False,
        "ax": None,
    },
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def draw(display, arguments):
    of_constructor = inspect.signature(display).parameters
    made = display(**{name: x for name, x in arguments.items() if name in of_constructor})
    return made.plot(**{name: x for name, x in arguments.items() if name not in of_constructor})


@pytest.mark.parametrize("display", VALID, ids=lambda display: display.__name__)
def test_valid_arguments_are_drawn(display):
    draw(display, VALID[display])


@pytest.mark.parametrize(
    ("display", "changed", "error", "match"),
    [
        (AlignmentDisplay, {"mapping": [0, 10**9]}, ValueError, "At most 200 states"),
        (GroupComparisonDisplay, {"n_top": 0}, ValueError, "n_top == 0, must be >= 1"),
        (GroupComparisonDisplay, {"values": "r"}, ValueError, "values must be 'q' or 'p', got 'r'"),
        (
            GroupComparisonDisplay,
            {"quantities": ["use"]},
            ValueError,
            "each of quantities must be 'usage', .* or 'content', got 'use'",
        ),
        (
            GroupComparisonDisplay,
            {"quantities": "transition"},
            ValueError,
            "The comparison has no transitions, because with two states",
        ),
        (GroupComparisonDisplay, {"quantities": []}, ValueError, "name one quantity or more"),
        (LogJointDisplay, {"clip_rise": "no"}, TypeError, "clip_rise must be an instance of"),
        (RasterDisplay, {"state_labels": np.arange(500)}, ValueError, "At most 200 states"),
        (
            RasterDisplay,
            {"rows": [("true", [0, 1, 2, 10**6])], "state_labels": None},
            ValueError,
            "At most 200 states",
        ),
        (ScanDisplay, {"frame_rate": "3"}, TypeError, "frame_rate must be an instance of"),
        (StateUsageDisplay, {"confidence_level": "high"}, TypeError, "confidence_level must be"),
        (SyllablePreferenceDisplay, {"ax": [1, 2]}, TypeError, "each of ax must be .*, got "),
        (
            SyllableTransitionDisplay,
            {"syllable_trans_probs": np.ones((500, 1, 1))},
            ValueError,
            "At most 200 states can be drawn, got 500",
        ),
    ],
)
def test_the_error_names_what_was_expected_and_what_came(display, changed, error, match):
    with pytest.raises(error, match=match):
        draw(display, VALID[display] | changed)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("name", ["cmap", "include_values"])
def test_arguments_of_heat_maps_are_checked(name):
    with pytest.raises((TypeError, ValueError), match=name if name == "include_values" else "nope"):
        draw(StateTransitionDisplay, VALID[StateTransitionDisplay] | {name: "nope"})


def test_losses_may_be_large():
    display = EmissionLossDisplay([1e20, 2**64, 0.0]).plot()
    assert display.ax_.get_ylim()[1] == 1e21


def test_probabilities_may_be_rounded():
    StateTransitionDisplay(np.float32([[1 + 2e-7, 0], [0, 1]])).plot()


@pytest.mark.parametrize(
    ("method", "match"),
    [
        (
            lambda: GroupComparisonDisplay.from_comparison(STATES),
            r"comparison must be a GroupComparison, the result of .*, got \[\[0",
        ),
        (lambda: ScanDisplay.from_result(SUMMARY), "result must be a ScanResult, got {"),
        (lambda: LogJointDisplay.from_estimator([0] * 10**6), r"EfficientHHMM, got \[0, 0"),
    ],
)
def test_what_a_display_is_made_from_is_checked(method, match):
    with pytest.raises(TypeError, match=match):
        method()


def test_many_labels_are_refused_before_they_are_counted():
    far = [0, 100_000, 0]
    for display in (StateGraphDisplay, StateUsageDisplay, EthogramDisplay):
        with pytest.raises(ValueError, match="At most 200 states"):
            display.from_predictions(far)
    with pytest.raises(ValueError, match="At most 200 states"):
        AlignmentDisplay.from_predictions([0, 0, 0], far)
