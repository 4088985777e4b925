"""Who uses each state, and the warning of states that stand for animals."""

import warnings

import numpy as np
import pytest

from hhmm import EfficientHHMM
from hhmm.comparisons import compare_groups
from hhmm.model_checks import state_report
from tests.published import PUBLISHED

STATES = [
    np.repeat([0, 1, 0], [10, 5, 5]),
    np.repeat([1, 0, 1, 0], [4, 4, 4, 8]),
    np.repeat([0, -1, 2, 0], [6, 2, 10, 2]),
    np.repeat([2, 0], [19, 1]),
]
ANIMALS = ["a", "a", "b", "b"]
GROUPS = ["saline", "saline", "drug", "drug"]


def test_every_column_by_hand():
    report = state_report(STATES, animals=ANIMALS, groups=GROUPS, frame_rate=2)
    time = np.array([15 + 12 + 8 + 1, 5 + 8, 10 + 19])
    np.testing.assert_allclose(report.usage, time / 78)
    # ends seen by the next state: 0 ends once, once, never (a gap), never
    np.testing.assert_allclose(report.dwell, time / [2, 3, 2] / 2)
    assert report.unit == "s"
    np.testing.assert_allclose(report.visits, [(2 + 2 + 2 + 1) / 4, 3 / 4, 2 / 4])
    assert report.n_recordings.tolist() == [4, 2, 2]
    assert report.n_animals.tolist() == [2, 1, 1]
    np.testing.assert_allclose(report.largest_share, [27 / 36, 1, 1])
    assert report.only_in == ["", "animal a", "animal b"]
    assert report.switches.tolist() == [2, 3, 1, 1]
    assert report.in_one_state.tolist() == [False, False, False, True]
    assert report.n_all_animals == 2
    assert report.warnings == [
        "State 1 is found in animal a alone. It may stand for that animal.",
        "State 2 is found in animal b alone. It may stand for that animal.",
    ]


def test_durations_are_those_of_compare_groups():
    rng = np.random.default_rng(0)
    states = [np.repeat(rng.integers(0, 3, 40), rng.geometric(0.1, 40)) for _ in range(4)]
    report = state_report(states)
    compared = compare_groups(
        states * 2, groups=["x"] * 4 + ["y"] * 4, animals=["a"] * 4 + ["b"] * 4, n_resamples=9
    )
    np.testing.assert_allclose(compared.dwell[0], report.dwell)


def test_a_state_of_one_group_in_two_animals():
    states = [[0, 1, 0]] * 2 + [[0, 0, 0]] * 2
    report = state_report(states, animals=list("abcd"), groups=GROUPS)
    assert report.only_in == ["", "group saline"]
    assert "State 1 is found in group saline alone" in report.warnings[0]


def test_one_animal_alone_is_no_warning():
    assert state_report([[0, 1, 0]], animals=["a"], groups=["x"]).warnings == []


def test_recordings_in_one_state_throughout_are_warned_of():
    states = [[0] * 30, [1] * 30, [0] * 29 + [1]]
    (text,) = state_report(states).warnings
    assert text.startswith("3 of 3 sequences are in one state for 95% of their time or more")
    # all in the same state is a matter of usage
    assert state_report([[0] * 30, [0] * 30, [0] * 29 + [1]]).warnings == []


def test_table_and_frame():
    pd = pytest.importorskip("pandas")
    report = state_report(STATES, animals=ANIMALS, state_names=["rest", "run", "groom"])
    frame = report.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert frame.index.tolist() == ["rest", "run", "groom"]
    assert frame.loc["groom", "only_in"] == "animal b"
    lines = repr(report).splitlines()
    assert lines[0].split()[:4] == ["state", "usage", "dwell", "(timesteps)"]
    assert lines[1].split()[:3] == ["rest", "46.2%", "18"]
    assert lines[-1].startswith("Warning: State groom is found in animal b alone")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"animals": ["a"]}, "animals must have one label for each of 4 recordings, got 1"),
        ({"groups": ["a", "b", None, "c"]}, "groups has no label for recording 2"),
        ({"state_names": ["a"]}, "state_names must hold 3 names, got 1"),
        ({"frame_rate": 0}, "frame_rate must be > 0 and finite, got 0"),
        ({"n_states": 2}, "n_states"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        state_report(STATES, **arguments)


def test_without_a_state():
    with pytest.raises(ValueError, match="states must hold a state"):
        state_report([[-1, -1]])


@pytest.mark.parametrize(("n_timesteps", "warned"), [(300, True), (30, False)])
def test_a_fit_warns_of_states_that_stand_for_sequences(n_timesteps, warned):
    rng = np.random.default_rng(0)
    X = [rng.choice(4, n_timesteps, p=p) for p in ([0.4, 0.4, 0.1, 0.1], [0.1, 0.1, 0.4, 0.4]) * 4]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        EfficientHHMM(2, algorithm="em", init="prior", random_state=0, **PUBLISHED).fit(X)
    assert warned == any("are in one state for 95%" in str(w.message) for w in caught)
