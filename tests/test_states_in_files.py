"""States of an archive, in files, are analysed as runs: no array of all timesteps is made."""

import numpy as np
import pandas as pd
import pytest

import hhmm
from hhmm import EfficientHHMM
from hhmm._sequences.run_lengths import RunLengths
from hhmm.comparisons import compare_groups
from hhmm.datasets import make_hhmm, open_recordings, save_states
from hhmm.metrics import state_durations, state_transitions, state_usage
from hhmm.model_checks import state_report
from hhmm.plotting import DurationDisplay, EthogramDisplay, StateGraphDisplay, StateUsageDisplay
from hhmm.preprocessing import SyllableEncoder

ANIMALS = ["a", "a", "b", "b", "c", "c", "d", "d"]
GROUPS = ["drug", "drug", "saline", "saline"] * 2


class OnlyRuns:
    """A recording of which only the runs can be read."""

    ndim = 1

    def __init__(self, values):
        self._runs = RunLengths.of([values])[:2]

    def read_runs(self):
        return self._runs

    def __len__(self):
        return int(self._runs[1].sum())


@pytest.fixture(scope="module")
def recordings():
    """Return syllables and states of eight recordings, some timesteps without one."""
    made = make_hhmm(8, 200, n_states=3, n_syllables=5, random_state=3)
    rng = np.random.default_rng(3)
    syllables = [np.repeat(x, rng.integers(1, 9, len(x))).astype(np.int32) for x in made.X]
    states = [np.arange(len(x), dtype=np.int32) // 97 % 3 for x in syllables]
    for x, z in zip(syllables, states, strict=True):
        x[50:60], z[300:310], z[-4:] = -1, -1, -1
    return syllables, states


@pytest.mark.parametrize("settings", [{}, {"min_frequency": 0.15}, {"missing_values": [30, 70]}])
def test_labels_of_recordings_are_encoded_as_those_of_arrays(settings, recordings):
    labels = [np.where(x >= 0, 10 * x + 30, -1) for x in recordings[0]]
    files = [OnlyRuns(x) for x in labels]
    of_files, of_arrays = (SyllableEncoder(**settings).fit(X) for X in (files, labels))
    np.testing.assert_array_equal(of_files.categories_, of_arrays.categories_)
    np.testing.assert_array_equal(of_files.rare_categories_, of_arrays.rare_categories_)
    codes = of_files.transform(files)
    for found, expected in zip(codes, of_arrays.transform(labels), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert (np.diff(found.read_runs()[0]) != 0).all()


def test_an_unknown_label_of_a_recording_has_its_timestep():
    encoder = SyllableEncoder().fit([[0, 1]])
    with pytest.raises(ValueError, match=r"sequence 1, timestep 3: .* got 7"):
        encoder.transform([OnlyRuns(np.array([0, 0, 1])), OnlyRuns(np.array([1, 1, 1, 7, 7]))])


@pytest.mark.parametrize(
    "answer",
    [
        state_usage,
        lambda z: state_usage(z, per_sequence=True),
        lambda z: state_durations(z, include_censored=False),
        state_transitions,
        lambda z: state_transitions(z, per_sequence=True),
        lambda z: state_report(z, animals=ANIMALS, groups=GROUPS).to_frame(),
        lambda z: compare_groups(
            z, groups=GROUPS, animals=ANIMALS, random_state=0, n_resamples=99
        ).to_frame(),
    ],
)
def test_answers_of_runs_are_those_of_arrays(answer, recordings):
    _, states = recordings
    found, expected = answer([OnlyRuns(z) for z in states]), answer(states)
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected)
    else:
        for of_runs, of_arrays in zip(found, expected, strict=True):
            np.testing.assert_array_equal(of_runs, of_arrays)


def test_content_of_states_in_files_is_that_of_arrays(recordings, tmp_path):
    tables = []
    for form in (lambda x: x, OnlyRuns):
        syllables, states = ([form(x) for x in part] for part in recordings)
        comparison = compare_groups(
            states,
            groups=GROUPS,
            animals=ANIMALS,
            syllables=syllables,
            n_resamples=99,
            random_state=0,
        )
        tables.append(comparison.to_frame())
        save_states(tmp_path / str(len(tables)), states, list("abcdefgh"), syllables=syllables)
    pd.testing.assert_frame_equal(*tables)
    assert (tables[0].quantity == "content").any()
    for path in (tmp_path / "1").iterdir():
        assert path.read_text() == (tmp_path / "2" / path.name).read_text()


def test_displays_of_runs_are_those_of_arrays(recordings, tmp_path):
    _, states = recordings
    pictures = []
    for form in (states, [OnlyRuns(z) for z in states]):
        displays = [
            StateUsageDisplay.from_predictions(form, animals=ANIMALS, groups=GROUPS),
            DurationDisplay.from_predictions(form),
            StateGraphDisplay.from_predictions(form),
            EthogramDisplay.from_predictions(form, frame_rate=30),
        ]
        for display in displays:
            display.figure_.canvas.draw()
            pictures.append(np.asarray(display.figure_.canvas.buffer_rgba()))
    for of_arrays, of_runs in zip(pictures[:4], pictures[4:], strict=True):
        np.testing.assert_array_equal(of_runs, of_arrays)


@pytest.mark.slow  # `test_command_line` has the quick way from files to a report
def test_from_files_to_a_report(recordings, tmp_path):
    """Syllables from files, states to files, and answers and a report from both."""
    syllables, _ = recordings
    for folder in ("syllables", "of_arrays"):
        (tmp_path / folder).mkdir()
    for i, x in enumerate(syllables):
        np.save(tmp_path / "syllables" / f"mouse{i}.npy", x)
    X = open_recordings(tmp_path / "syllables")
    model = EfficientHHMM(3, max_iter=10, random_state=0).fit(X)
    model.predict(X, out=tmp_path / "states")
    states = open_recordings(tmp_path / "states")
    given = {"animals": ANIMALS, "groups": GROUPS, "random_state": 0}
    in_files = hhmm.report(model, X, tmp_path / "in_files.html", states=states, **given)
    in_memory = hhmm.report(
        model,
        syllables,
        tmp_path / "in_memory.html",
        states=model.predict(syllables),
        names=X.names,
        **given,
    )
    assert in_files.read_bytes() == in_memory.read_bytes()
