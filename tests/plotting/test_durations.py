"""The durations display: what is drawn, read back from the artists."""

import numpy as np
import pytest
from scipy.stats import linregress

from hhmm import EfficientHHMM
from hhmm.plotting import DurationDisplay
from tests.plotting.behaviour import Model, column_axes, legend_texts, recordings, sticky_states
from tests.plotting.readable import assert_readable


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
    assert display.ax_.get_xlabel() == "duration"
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
    with pytest.raises(ValueError, match="states must change within a recording"):
        DurationDisplay.from_predictions([[0, 0, 0], [1]])
    with pytest.raises(ValueError, match="kind must be 'sampled' or 'viterbi', got 'smoothed'"):
        DurationDisplay.from_estimator(Model().fit(), [[0]], kind="smoothed")
