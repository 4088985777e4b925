"""Data in parts: fits and results are those of the whole, whatever the parts."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from hhmm import EfficientHHMM
from hhmm._emission_solvers import Newton
from hhmm._inference import choose, search_data
from hhmm._inference.chain import Settings
from hhmm._inference.parts import LocalParts
from hhmm._model.terms import Terms
from hhmm._runtime.precision import double_precision
from hhmm._sequences.run_lengths import HeldSequence, RunLengths
from hhmm._types import EmissionLogits
from hhmm.datasets import make_hhmm, open_recordings
from hhmm.model_selection import scan
from tests.marks import slow_unless_rows
from tests.published import PUBLISHED

N_STATES, N_SYLLABLES = 2, 4
WHOLE = 1 << 22  # steps times states of a part, where all is one
# and where there are three, of timesteps and of runs
THREE_PARTS = {"sequential": 2500, "compressed": 200}


@pytest.fixture(scope="module", name="frames")
def held_syllables():
    """Sequences of different lengths, syllables held for about ten frames, some missing."""
    data = make_hhmm(9, 60, N_STATES, N_SYLLABLES, random_state=0)
    rng = np.random.default_rng(1)
    frames = []
    for i, x in enumerate(data.X):
        x = x[: 20 + 5 * i]
        row = np.repeat(x, rng.geometric(0.1, len(x)))
        row[40:43] = -1
        frames.append(row)
    return frames


def _model(**parameters):
    defaults = {"init": "prior", "random_state": 0, "max_iter": 6, "n_draws": 3}
    defaults["message_passing"] = "sequential"  # compiles in less time than "compressed"
    return EfficientHHMM(N_STATES, N_SYLLABLES, **PUBLISHED | defaults | parameters)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("algorithm", "message_passing"),
    slow_unless_rows(
        [("em", "sequential")],
        [
            ("em", "sequential"),
            ("gibbs", "compressed"),
        ],
    ),
)
def test_parts_change_nothing(frames, algorithm, message_passing, monkeypatch):
    """Counts of draws are integers. Those of EM are summed in float64, in another order."""
    fits, answers = [], []
    for most in (WHOLE, THREE_PARTS[message_passing]):
        monkeypatch.setattr("hhmm._inference.prepare.PART", most)
        model = _model(algorithm=algorithm, message_passing=message_passing).fit(frames)
        fits.append(model)
        answers.append(
            [
                np.concatenate(model.predict(frames)),
                np.concatenate(model.decode(frames)[1]),
                np.concatenate(model.sample_states(frames, random_state=0)),
                *map(np.concatenate, (model.predict_proba(frames), model.filter_proba(frames))),
                model.score_samples(frames),
                model.transform(frames),
                model.score(frames),
            ]
        )
    assert len(fits[0].states_) == len(frames)
    rtol = 0 if algorithm == "gibbs" else 1e-12
    for fit, answer in zip(fits[1:], answers[1:], strict=True):
        np.testing.assert_allclose(fit.trans_probs_, fits[0].trans_probs_, rtol=rtol)
        np.testing.assert_allclose(fit.emission_biases_, fits[0].emission_biases_, rtol, atol=rtol)
        np.testing.assert_allclose(fit.log_joint_, fits[0].log_joint_, rtol=1e-12)
        for states, expected in zip(fit.states_, fits[0].states_, strict=True):
            np.testing.assert_array_equal(states, expected)
        for values, expected in zip(answer, answers[0], strict=True):
            np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)


def test_draws_are_equal_whatever_the_parts(frames, monkeypatch):
    fits = []
    for most in (WHOLE, THREE_PARTS["sequential"]):
        monkeypatch.setattr("hhmm._inference.prepare.PART", most)
        fits.append(_model().fit(frames))
    np.testing.assert_array_equal(*(fit.trans_probs_ for fit in fits))
    np.testing.assert_array_equal(*(np.concatenate(fit.states_) for fit in fits))
    np.testing.assert_allclose(*(fit.log_joint_ for fit in fits), rtol=1e-12)


@pytest.mark.parametrize("message_passing", ["sequential", "compressed"])
@double_precision
def test_expected_counts_do_not_depend_on_parts(message_passing, monkeypatch):
    """Sequences share lanes, and in parts they share them with other ones."""
    rng = np.random.default_rng(0)
    rows = [np.repeat(rng.integers(0, 4, n), rng.geometric(0.1, n)) for n in range(20, 80, 2)]
    sequences = RunLengths.of([x.astype(np.int32) for x in rows])
    terms = Terms(3, 4)
    logits = EmissionLogits(rng.normal(size=(4, 4)), rng.normal(size=(3, 4)))
    trans_probs = rng.dirichlet(np.ones(3), 3)
    counts = []
    for most in (WHOLE, THREE_PARTS[message_passing]):
        monkeypatch.setattr("hhmm._inference.prepare.PART", most)
        parts = LocalParts.make(sequences, terms, message_passing)
        settings = Settings(Newton(10), "laplace", parts.backend, terms)
        stats, log_likelihood = parts.update_states(
            None, logits, trans_probs, algorithm="em", settings=settings
        )
        counts.append([*stats, log_likelihood])
    assert len(parts.prepared) > 3
    for in_parts, whole in zip(*counts, strict=True):
        np.testing.assert_allclose(in_parts, whole, rtol=1e-12)


def test_parts_have_one_shape_and_hold_all(frames, monkeypatch):
    sequences = RunLengths.of([x.astype(np.int32) for x in frames])
    whole = LocalParts.make(sequences, Terms(N_STATES, N_SYLLABLES), "compressed")
    monkeypatch.setattr("hhmm._inference.prepare.PART", 150)
    parts = LocalParts.make(sequences, Terms(N_STATES, N_SYLLABLES), "compressed")
    assert len(parts.prepared) > 3 > len(whole.prepared)
    shapes = {part.data.runs.pairs.shape for part in parts.prepared}
    assert len(shapes) == 1
    (all_runs,) = (part.data.runs for part in whole.prepared)
    for name in ("pair_counts", "cell_counts"):
        summed = sum(getattr(part.data.runs, name) for part in parts.prepared)
        np.testing.assert_array_equal(summed, getattr(all_runs, name))


def test_a_restarted_chain_of_parts_is_the_undisturbed_one(frames, monkeypatch, tmp_path):
    """States of the last sweep are drawn again from its key and parameters."""
    monkeypatch.setattr("hhmm._inference.prepare.PART", THREE_PARTS["sequential"])
    whole = _model(max_iter=8).fit(frames)
    path = tmp_path / "fit.npz"
    model = _model(max_iter=3).fit(frames, checkpoint=path)
    model.set_params(max_iter=8).fit(frames, checkpoint=path)
    np.testing.assert_array_equal(model.trans_probs_, whole.trans_probs_)
    for states, expected in zip(model.states_, whole.states_, strict=True):
        np.testing.assert_array_equal(states, expected)


@pytest.mark.filterwarnings("ignore")
def test_recordings_in_files_are_fitted_as_those_in_memory(frames, tmp_path, monkeypatch):
    """The search for a start reads the stretches that it chose: here a part of all."""
    monkeypatch.setattr(search_data, "MAX_TIMESTEPS", 200)
    for i, x in enumerate(frames):
        np.save(tmp_path / f"{i}.npy", x.astype(np.int16))
    recordings = open_recordings(tmp_path)
    model = _model(init="windows", algorithm="em")
    fits = [clone(model).fit(X) for X in (frames, recordings)]
    assert fits[0].log_joint_.tolist() == fits[1].log_joint_.tolist()
    for states, expected in zip(*(model.states_ for model in fits), strict=True):
        np.testing.assert_array_equal(states, expected)
    model = fits[0]
    assert model.score(recordings) == model.score(frames)
    np.testing.assert_array_equal(model.transform(recordings), model.transform(frames))


@pytest.mark.parametrize("compressed", [True, False])
def test_stretches_of_a_search_are_those_of_the_frames(frames, compressed, monkeypatch):
    """Beside an oracle that cuts arrays of timesteps."""
    monkeypatch.setattr(search_data, "MAX_TIMESTEPS", 120)
    monkeypatch.setattr(search_data, "MIN_STRETCHES", 7)
    rows = [x.astype(np.int32) for x in frames] + [np.zeros(0, np.int32)]
    groups = np.arange(len(rows))
    found, of_found = search_data.choose_stretches(
        np.random.RandomState(0), RunLengths.of(rows), groups, in_runs=compressed
    )

    def size(x):
        return np.count_nonzero(x[1:] != x[:-1]) + 1 if compressed else len(x)

    stretches = []
    for i, x in enumerate(rows):
        n = max(1, round(size(x) * 7 / 120))
        stretches += [(i, stretch) for stretch in np.array_split(x, n)]
    expected, n_used = [], 0
    for i in np.random.RandomState(0).permutation(len(stretches)):
        n_used += size(stretches[i][1])
        if n_used >= 120 and expected:
            break
        expected.append(stretches[i])
    assert of_found.tolist() == [i for i, _ in expected]
    for stretch, (_, other) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(stretch, other)


# states in files


@pytest.fixture(scope="module", name="model")
def fitted_model(frames):
    return _model(algorithm="em").fit(frames)


def test_states_are_written_a_file_a_recording(frames, model, tmp_path, monkeypatch):
    monkeypatch.setattr("hhmm._inference.prepare.PART", THREE_PARTS["sequential"])
    paths = model.predict(frames, out=tmp_path / "states")
    assert [path.name for path in paths[:2]] == ["sequence_0000.npy", "sequence_0001.npy"]
    assert sorted(paths) == sorted((tmp_path / "states").iterdir())
    for path, expected in zip(paths, model.predict(frames), strict=True):
        states = np.load(path)
        assert states.dtype == np.int16
        np.testing.assert_array_equal(states, expected)


def test_files_of_states_have_the_names_of_recordings(frames, model, tmp_path):
    names = ["day1/b", "day1/a", "day2/b"]
    for name, x in zip(names, frames, strict=False):
        path = tmp_path / "data" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, x)
    recordings = open_recordings(tmp_path / "data" / "**" / "*.npy")
    model.predict(recordings, out=tmp_path / "states")
    states = open_recordings(tmp_path / "states" / "**" / "*.npy")
    assert states.names == recordings.names == sorted(names)
    for found, expected in zip(states, model.predict(list(recordings)), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_nothing_is_left_of_a_prediction_that_fails(frames, model, tmp_path, monkeypatch):
    folder = tmp_path / "states"
    folder.mkdir()
    (folder / "sequence_0004.npy").write_text("of someone else")
    with pytest.raises(FileExistsError, match=r"sequence_0004\.npy exists \(1 of 9 files do\)"):
        model.predict(frames, out=folder)
    (folder / "sequence_0004.npy").unlink()
    monkeypatch.setattr(
        "hhmm._sequences.state_files.shutil.disk_usage",
        lambda path: type("Usage", (), {"free": 1000}),
    )
    with pytest.raises(OSError, match=r"the states need 0\.\d MB, and 0\.0 MB are free"):
        model.predict(frames, out=folder)
    monkeypatch.undo()
    saved = np.save

    def fail(file, states, **given):
        if states.size == len(frames[5]):
            raise OSError("disk is full")
        saved(file, states, **given)

    monkeypatch.setattr("hhmm._sequences.state_files.np.save", fail)
    with pytest.raises(OSError, match="disk is full"):
        model.predict(frames, out=folder)
    assert list(folder.iterdir()) == []
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model.predict(frames, out=tmp_path / "no" / "states")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match=r"out needs the folder .* a file of this name"):
        model.predict(frames, out=tmp_path / "file")
    with pytest.raises(NotADirectoryError, match=r"out needs the folder .*file, but"):
        model.predict(frames, out=tmp_path / "file" / "states")
    (tmp_path / "day1").write_text("")
    (tmp_path / "recordings" / "day1").mkdir(parents=True)
    (tmp_path / "recordings" / "day2").mkdir()
    for day, x in zip(("day1", "day2"), frames, strict=False):
        np.save(tmp_path / "recordings" / day / "mouse.npy", x)
    recordings = open_recordings(tmp_path / "recordings" / "**" / "*.npy")
    with pytest.raises(NotADirectoryError, match=r"out needs the folder .*day1, but"):
        model.predict(recordings, out=tmp_path)


# states of a fit


def test_states_are_held_as_runs_and_given_as_timesteps(frames, tmp_path):
    model = _model(algorithm="em").fit(frames)
    assert "_states_by_timestep" not in vars(model)
    states = model.states_
    assert model.states_ is states
    assert [len(row) for row in states] == [len(x) for x in frames]
    assert "_states_by_timestep" not in model.__getstate__()
    held = [HeldSequence(*RunLengths.of([x.astype(np.int32)])[:2]) for x in frames]
    assert len(model.fit(held).states_) == len(frames)
    with pytest.raises(AttributeError, match="no states_"):
        EfficientHHMM().states_  # noqa: B018


def test_how_long_the_table_of_powers_is_depends_on_the_data_alone(frames):
    """Parts must not change where runs are cut: random numbers are of runs."""
    sequences = RunLengths.of([x.astype(np.int32) for x in frames] * 3)
    terms = Terms(N_STATES, N_SYLLABLES)
    chosen = choose.choose(sequences, terms, "compressed")
    monkeypatched = pytest.MonkeyPatch()
    with monkeypatched.context() as patch:
        patch.setattr("hhmm._inference.prepare.PART", 10)
        assert choose.choose(sequences, terms, "compressed") == chosen


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_recordings_in_files_are_cross_validated(frames, tmp_path):
    """Splitters and `scan` choose recordings; scores are those of arrays."""
    for i, x in enumerate(frames):
        np.save(tmp_path / f"{i}.npy", x.astype(np.int16))
    recordings = open_recordings(tmp_path)
    model = _model()
    scores = [cross_val_score(model, X, cv=2) for X in (frames, recordings)]
    np.testing.assert_array_equal(*scores)
    tables = [
        scan(X, {"n_states": [1, 2]}, estimator=model, cv=2, random_state=0).table
        for X in (frames, recordings)
    ]
    np.testing.assert_array_equal(*(table["test_score"] for table in tables))
