"""The commands, end to end in this process, and what they refuse."""

import functools
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.utils import Bunch

from hhmm import EfficientHHMM
from hhmm._command_line import commands
from hhmm._command_line.commands import main
from hhmm._command_line.read import read_groups
from hhmm._inference import checkpoint as checkpoints
from hhmm.datasets._lazy_recordings import LazyRecording

pd = pytest.importorskip("pandas")
h5py = pytest.importorskip("h5py")
pytest.importorskip("jinja2")

ANIMALS = ["m1", "m1", "m2", "m2", "m3", "m3", "m4", "m4"]
CONDITIONS = ["saline", "drug"] * 4
NAMES = [f"day/{animal} {i}" for i, animal in enumerate(ANIMALS)]
# From 50 sweeps on a fit keeps 25 draws, so all fits of these settings share compiled programs.
FIT = ["--n-states", "2", "--max-iter", "50", "--frame-rate", "30"]


@pytest.fixture(autouse=True, scope="module")
def quick_to_compile():
    """Fit with Laplace draws from a start that is not searched for; one test has the defaults."""
    quick = {"emission_sampler": "laplace", "init": "prior"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "EfficientHHMM", functools.partial(EfficientHHMM, **quick))
        yield


@pytest.fixture(scope="module")
def recordings():
    """Frames of two states, which prefer labels 2 and 3, or 5 and 8."""
    rng = np.random.default_rng(0)
    found = []
    for _ in NAMES:
        states = np.repeat(rng.integers(0, 2, 12), 20)
        preferred = rng.random(states.size) < 0.8
        syllables = 2 * (states == preferred) + rng.integers(0, 2, states.size)
        labels = np.array([2, 3, 5, 8])[syllables]
        found.append(np.repeat(labels, rng.integers(3, 9, states.size)))
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory, recordings):
    folder = tmp_path_factory.mktemp("files")
    with h5py.File(folder / "results.h5", "w") as file:
        for name, frames in zip(NAMES, recordings, strict=True):
            file[f"{name}/syllable"] = frames
    groups = pd.DataFrame({"recording": NAMES, "animal": ANIMALS, "condition": CONDITIONS})
    groups.iloc[::-1].to_csv(folder / "groups.csv", index=False)  # in another order
    return folder


@pytest.fixture(scope="module")
def fit(files):
    """The command that fits `files`, but for its --out."""
    groups = ["--groups", str(files / "groups.csv"), "--reference", "saline"]
    return ["fit", str(files / "results.h5"), *FIT, *groups]


@pytest.fixture(scope="module")
def fitted(fit, tmp_path_factory):
    def refuse(*_, **__):
        raise AssertionError("an array of all timesteps of a recording was made")

    out = tmp_path_factory.mktemp("results") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LazyRecording, "__array__", refuse)
        assert main([*fit, "--out", str(out)]) == 0
    return out


def run_refused(arguments, capsys):
    """Run a command that must refuse; return what it says."""
    assert main([str(argument) for argument in arguments]) == commands.BAD_INPUT
    text = capsys.readouterr().err.strip()
    assert "Traceback" not in text
    return text


def test_fit_writes_everything(fitted, recordings):
    model = joblib.load(fitted / "model.joblib")
    assert model.frame_rate == 30
    assert model.group_labels_["group"].tolist() == ["m1", "m2", "m3", "m4"]
    assert {path.stem for path in (fitted / "figures").iterdir()} == {
        *("ethogram", "usage", "durations", "syllables", "convergence", "comparison_condition"),
    }
    states = [pd.read_csv(fitted / "states" / f"{name}.csv").state.to_numpy() for name in NAMES]
    encoder = joblib.load(fitted / "encoder.joblib")
    X = encoder.transform(recordings)
    for found, expected in zip(states, model.predict(X, groups=ANIMALS), strict=True):
        np.testing.assert_array_equal(found, expected)
    usage = pd.read_csv(fitted / "tables" / "usage.csv")
    assert usage.animal.tolist() == ANIMALS
    assert usage.condition.tolist() == CONDITIONS
    np.testing.assert_allclose(usage["state 0"], [np.mean(z == 0) for z in states])
    table = pd.read_csv(fitted / "tables" / "comparison_condition.csv")
    assert set(table.group_1) == {"saline"}
    assert table.is_paired.all()
    of_syllables = table[table.quantity == "syllable"]
    assert set(of_syllables.syllable.astype(int)) <= {2, 3, 5, 8}  # those of the file
    columns = pd.read_csv(fitted / "tables" / "syllables.csv").columns
    assert columns.tolist() == ["state", "2", "3", "5", "8"]
    durations = pd.read_csv(fitted / "tables" / "durations.csv")
    assert durations["duration (s)"].min() >= 1 / 30
    assert (fitted / "tables" / "posterior.csv").stat().st_size > 0
    assert "condition" in (fitted / "report.html").read_text()
    about = json.loads((fitted / "about.json").read_text())
    assert about["names"] == NAMES
    assert not list(fitted.glob("fit.npz*"))
    assert not fitted.with_name("out.partial").exists()


def test_predict(fitted, files, tmp_path, recordings, capsys):
    with h5py.File(tmp_path / "new.h5", "w") as file:
        file["x/syllable"] = np.append(recordings[0], [9, 9])
    out = tmp_path / "states"
    assert main(["predict", str(fitted), str(tmp_path / "new.h5"), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "2 timesteps have syllables that the fit did not have" in said
    assert "The animals are not given" in said
    model = joblib.load(fitted / "model.joblib")
    X = joblib.load(fitted / "encoder.joblib").transform([recordings[0]])
    found = pd.read_csv(out / "x.csv")
    np.testing.assert_array_equal(
        found.state[:-2], model.predict([np.append(X[0], [-1, -1])])[0][:-2]
    )
    assert found.syllable.tolist() == [*recordings[0], 9, 9]
    text = run_refused(["predict", fitted, files / "results.h5", "--out", out], capsys)
    assert text == f"hhmm predict: {out} exists. Give another --out, or remove it."


def test_report_with_names(fitted, tmp_path, capsys):
    fitted = Path(shutil.copytree(fitted, tmp_path / "copy"))
    before = (fitted / "report.html").read_text()
    assert main(["report", str(fitted), "--state-names", "rest, explore"]) == 0
    after = (fitted / "report.html").read_text()
    assert "explore" in after
    assert "explore" not in before
    assert joblib.load(fitted / "model.joblib").state_names_ == ["rest", "explore"]
    assert "rest" in (fitted / "tables" / "states.csv").read_text()
    assert "explore" in (fitted / "tables" / "comparison_condition.csv").read_text()
    text = run_refused(["report", fitted, "--state-names", "rest"], capsys)
    assert "--state-names must hold 2 names, got 1" in text


def test_a_report_that_fails_changes_nothing(fitted, monkeypatch):
    def contents():
        return {path: path.read_bytes() for path in fitted.rglob("*") if path.is_file()}

    def fail(*args):
        raise OSError("disk full")

    before = contents()
    monkeypatch.setattr(commands, "write_results", fail)
    assert main(["report", str(fitted), "--state-names", "a,b"]) == commands.FAILED
    assert contents() == before


@pytest.mark.slow
def test_a_range_is_chosen_from(recordings, tmp_path, capsys):
    out, path = tmp_path / "out", tmp_path / "results.h5"
    with h5py.File(path, "w") as file:
        for name in NAMES:  # alike, so that fits to all folds share what is compiled
            file[f"{name}/syllable"] = recordings[0]
    arguments = ["--n-states", "1-2", "--n-folds", "2", "--n-seeds", "1", "--out", str(out)]
    assert main(["fit", str(path), *FIT, *arguments]) == 0
    table = pd.read_csv(out / "tables" / "scan.csv")
    assert table.n_states.tolist() == [1, 1, 2, 2]
    said = capsys.readouterr().out
    chosen = joblib.load(out / "scan.joblib").one_standard_error()["n_states"]
    assert f"Chosen: {chosen} states." in said
    assert joblib.load(out / "model.joblib").n_states == chosen
    assert (out / "figures" / "number_of_states.png").exists()


def write_folder(folder, recordings, header, row):
    folder.mkdir()
    for i, frames in enumerate(recordings[:3]):
        lines = [header, *(row.format(x) for x in frames)]
        (folder / f"r{i}.csv").write_text("\n".join(lines))


def write_moseq_df(path, recordings):
    frames = [
        pd.DataFrame({"name": f"r{i}", "frame_index": range(x.size), "syllable": x, "group": g})
        for i, (x, g) in enumerate(zip(recordings[:3], ("a", "b", "a"), strict=True))
    ]
    pd.concat(frames).to_csv(path, index=False)


def read(path, *options):
    """Read recordings as `fit` does."""
    arguments = ["fit", str(path), "--out", "x", "--n-states", "2", *options]
    return commands.read_recordings(path, commands._parser().parse_args(arguments))


@pytest.mark.parametrize(
    "kind", ["folder", "keypoint-MoSeq", "moseq_df", "table", "text", "semicolons", "recording"]
)
def test_every_format_is_read(kind, recordings, tmp_path):
    options, path = [], tmp_path / "data.csv"
    expected = [x.tolist() for x in recordings[:3]]
    if kind in ("folder", "keypoint-MoSeq"):
        path = tmp_path / "folder"
        header = "syllable,centroid x,heading" if kind == "keypoint-MoSeq" else "syllable,x,y"
        write_folder(path, recordings, header, "{},0,0")
    elif kind == "moseq_df":
        write_moseq_df(path, recordings)
    else:
        write_moseq_df(path, recordings)
        table = pd.read_csv(path).rename(columns={"name": "mouse", "syllable": "label"})
        options = ["--recording", "mouse", "--syllable", "label", "--frame", "frame_index"]
        if kind == "text":
            table.label = "s" + table.label.astype(str)
            options.append("--text-labels")
            expected = [[f"s{x}" for x in row] for row in expected]
        if kind == "recording":
            table = table.rename(columns={"mouse": "recording", "label": "syllable"})
            options = []
        table.to_csv(path, index=False, sep=";" if kind == "semicolons" else ",")
    data = read(path, *options)
    assert data.names == ["r0", "r1", "r2"]
    assert [np.asarray(x).tolist() for x in data.sequences] == expected


def test_a_pattern_reads_folders_in_folders(recordings, tmp_path):
    for name, x in zip(("day1/m1", "day1/m2", "day2/m1"), recordings, strict=False):
        path = tmp_path / f"{name}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, x)
    data = read(tmp_path / "**" / "*.npy", "--n-lags", "2")
    assert data.names == ["day1/m1", "day1/m2", "day2/m1"]
    found = [np.asarray(x).tolist() for x in data.sequences]
    assert found == [[-1, -1, *x[2:]] for x in recordings[:3]]
    write_moseq_df(tmp_path / "df.csv", recordings)
    assert read(tmp_path / "d*.csv").groups == ["a", "b", "a"]
    with pytest.raises(FileNotFoundError, match="No file matches the pattern"):
        read(tmp_path / "*.h5")
    with pytest.raises(ValueError, match="--onset does not go with a pattern of files"):
        read(tmp_path / "**" / "*.npy", "--onset", "t")


def test_a_format_is_found_in_the_file_or_chosen(files, recordings, tmp_path):
    path = tmp_path / "results"  # HDF5 without an ending
    os.link(files / "results.h5", path)
    assert read(path, "--format", "keypoint-moseq").names == NAMES
    write_moseq_df(tmp_path / "df.csv", recordings)
    assert read(tmp_path / "df.csv").groups == ["a", "b", "a"]
    # chosen by hand: one recording with the name of the file
    with pytest.warns(UserWarning, match="rows are not in the order"):
        data = read(tmp_path / "df.csv", "--format", "csv")
    assert data.names == ["df"]
    with pytest.raises(ValueError, match="is not an HDF5 file"):
        read(tmp_path / "df.csv", "--format", "keypoint-moseq")
    os.link(files / "results.h5", tmp_path / "results.h5")
    (tmp_path / "df.csv").unlink()
    with pytest.raises(ValueError, match=r"Give the file .*results\.h5"):
        read(tmp_path)
    (tmp_path / "a.csv").write_text("syllable\n1\n2")
    with pytest.raises(ValueError, match="--n-lags is for files of keypoint-MoSeq"):
        read(tmp_path / "a.csv", "--n-lags", "3")


def test_a_folder_of_two_formats_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("syllable\n1\n2")
    np.save(tmp_path / "b.npy", np.arange(3))
    with pytest.raises(ValueError, match=r"files of one format, got .*a\.csv and .*b\.npy\. Give"):
        read(tmp_path)
    assert read(tmp_path / "*.npy").names == ["b"]


def test_a_slip_in_a_column_of_numbers_is_no_text(tmp_path, capsys):
    path = tmp_path / "r.csv"
    path.write_text("syllable\n" + "\n".join(["1", "2", "3", "1O", "2"]))
    text = run_refused(["fit", path, "--out", tmp_path / "out", *FIT], capsys)
    assert "row 3: expected an integer syllable" in text
    assert "--text-labels" in text
    assert read(path, "--text-labels").sequences[0].tolist() == ["1", "2", "3", "1O", "2"]


def test_gaps_of_frames_are_filled(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("frame,syllable\n0,1\n1,1\n4,2\n5,2\n6,2")
    data = read(path, "--frame", "frame", "--fill-gaps")
    assert data.sequences[0].tolist() == [1, 1, -1, -1, 2, 2, 2]


def test_messages_name_options():
    """And not the arguments of Python, except within names and paths."""
    assert commands._in_options("Increase max_iter, or decrease n_states") == (
        "Increase --max-iter, or decrease --n-states"
    )
    assert commands._in_options("a/max_iter.csv: pass sep=';'") == "a/max_iter.csv: pass --sep ';'"


@pytest.mark.parametrize(("n_animals", "n_each"), [(8, 1), (6, 2), (3, 5), (1, 7)])
def test_folds_hold_out_each_recording_once_and_few_of_an_animal(n_animals, n_each):
    animals = [f"m{i % n_animals}" for i in range(n_animals * n_each)]
    folds = commands._folds(animals, 4, 0)
    held_out = np.concatenate([test for _, test in folds])
    assert sorted(held_out) == list(range(len(animals)))
    for train, test in folds:
        assert not {*train} & {*test}
        most = -(-n_each // 4)
        assert max(np.unique([animals[i] for i in test], return_counts=True)[1]) <= most


def test_kept_code_that_cannot_be_written_is_no_caution():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("Error writing persistent compilation cache entry for f", stacklevel=1)
        warnings.warn("states take less than 1%", stacklevel=1)
        warnings.warn("of a library", DeprecationWarning, stacklevel=1)
    assert [str(x.message) for x in commands._of_user(caught)] == ["states take less than 1%"]


def test_a_pattern_without_quotes_is_said(tmp_path, capsys, monkeypatch):
    """The shell makes several arguments of it."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.npy", "b.npy"):
        np.save(name, np.zeros(3, int))
    for argument, is_said in (("b.npy", True), ("--other", False)):
        with pytest.raises(SystemExit) as error:
            main(["fit", "a.npy", argument, "--out", "out", *FIT])
        assert error.value.code == commands.BAD_INPUT
        said = capsys.readouterr().err
        assert f"unrecognized arguments: {argument}" in said
        assert ("Put a pattern of files in quotes" in said) is is_said


def test_compiled_code_is_kept_for_the_next_command(tmp_path):
    """In one folder of the user, where an interrupted command leaves nothing else behind."""
    script = """
import jax, jax.monitoring
from jax.experimental.compilation_cache import compilation_cache
from hhmm._command_line import commands
kept = []
jax.monitoring.register_event_listener(lambda name, **_: kept.append("cache_hits" in name))
def compile_and_stop(options):
    jax.jit(lambda x: x + 1)(1.0)
    raise KeyboardInterrupt
commands._COMMANDS["demo"] = compile_and_stop
for _ in range(2):
    commands.main([])
    print(any(kept))
    # forget what this process has compiled, as if the next command were another process
    jax.clear_caches()
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", None)
"""
    environment = {k: v for k, v in os.environ.items() if "JAX_COMPILATION_CACHE" not in k}
    environment["XDG_CACHE_HOME"] = str(tmp_path / "home" / "cache")
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert [line for line in lines if line in ("False", "True")] == ["False", "True"]
    entries = list((tmp_path / "home" / "cache" / "hhmm").iterdir())
    assert entries
    assert all(entry.name.endswith("-cache") for entry in entries)


CASES = [
    ("no data", ["fit", "{}/absent.h5", "--out", "{}/new", *FIT], "There is no file or folder"),
    ("unknown file", ["fit", "{}/a.mat", "--out", "{}/new", *FIT], "No loader knows"),
    ("no HDF5", ["fit", "{}/a.h5", "--out", "{}/new", *FIT], "is not an HDF5 file"),
    ("empty folder", ["fit", "{}/empty", "--out", "{}/new", *FIT], "no file that ends in .csv"),
    ("out exists", ["fit", "{}/results.h5", "--out", "{}", *FIT], "exists. Give another --out"),
    ("no parent", ["fit", "{}/results.h5", "--out", "{}/a/b", *FIT], "There is no folder"),
    ("no result", ["report", "{}"], "is not a folder of results"),
    ("no result of predict", ["predict", "{}", "{}/results.h5", "--out", "{}/n"], "not a folder"),
    (
        "frame rate",
        ["fit", "{}/results.h5", "--out", "{}/new", *FIT[:4], "--frame-rate", "-1"],
        "'frame_rate' parameter",
    ),
    (
        "too many names",
        ["fit", "{}/results.h5", "--out", "{}/new", *FIT, "--state-names", "a,b,c"],
        "--state-names has 3 names",
    ),
    (
        "equal names",
        ["fit", "{}/results.h5", "--out", "{}/new", *FIT, "--state-names", "a,a"],
        "--state-names must differ, got 'a' twice or more",
    ),
    (
        "empty name",
        ["fit", "{}/results.h5", "--out", "{}/new", *FIT, "--state-names", "a,"],
        "--state-names must not be empty",
    ),
    (
        "reference",
        ["fit", "{}/results.h5", "--out", "{}/new", *FIT, "--reference", "x"],
        "No recording is in group 'x'. There are none: give them with --groups.",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_bad_input_is_refused_before_any_work(arguments, message, files, tmp_path, capsys):
    for name in ("a.mat", "a.h5"):
        (tmp_path / name).write_text("nothing")
    (tmp_path / "empty").mkdir()
    os.link(files / "results.h5", tmp_path / "results.h5")
    before = sorted(tmp_path.rglob("*"))
    text = run_refused([argument.replace("{}", str(tmp_path)) for argument in arguments], capsys)
    assert message in text
    assert sorted(tmp_path.rglob("*")) == before


def without_row(table):
    return table.iloc[1:]


def without_label(table):
    return table.assign(condition=["", *CONDITIONS[1:]])


def not_available(table):
    return table.assign(condition=[" NA", *CONDITIONS[1:]])


def without_rows(table):
    return table.iloc[:0]


def other_name(table):
    return pd.concat([table, table.iloc[:1].assign(recording="day/m9 8")])


def twice(table):
    return pd.concat([table, table.iloc[:1]])


def other_column(table):
    return table.rename(columns={"recording": "session"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_row, f"has no row for 1 of 8 recordings, for example {NAMES[0]!r}"),
        (without_label, f"has no condition for recording {NAMES[0]!r}, got ''"),
        (not_available, f"has no condition for recording {NAMES[0]!r}, got 'NA'"),
        (without_rows, "has a header and no rows"),
        (
            other_name,
            "rows that match no recording (1 in all), for example 'day/m9 8'. The data have "
            f"{NAMES[0]!r}",
        ),
        (twice, f"has recording {NAMES[0]!r} twice"),
        (other_column, "must have a column 'recording'"),
    ],
)
def test_bad_groups_are_refused(change, message, files, tmp_path, capsys):
    table = pd.DataFrame({"recording": NAMES, "animal": ANIMALS, "condition": CONDITIONS})
    change(table).to_csv(tmp_path / "groups.csv", index=False)
    arguments = ["fit", files / "results.h5", "--out", tmp_path / "out", *FIT]
    assert message in run_refused([*arguments, "--groups", tmp_path / "groups.csv"], capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["groups.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a table"),
        ("".join(f"{name},x,y\n" for name in ("recording", *NAMES[1:], NAMES[0]))[:-3], "no y for"),
    ],
    ids=["empty", "last cell missing"],
)
def test_files_of_groups_that_are_cut_off_are_refused(text, message, files, tmp_path, capsys):
    (tmp_path / "groups.csv").write_text(text)
    arguments = ["fit", files / "results.h5", "--out", tmp_path / "out", *FIT]
    assert message in run_refused([*arguments, "--groups", tmp_path / "groups.csv"], capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["groups.csv"]


def test_groups_from_a_spreadsheet_are_read(tmp_path):
    table = pd.DataFrame({"recording": NAMES, "animal": ANIMALS, "condition": CONDITIONS})
    table.to_csv(tmp_path / "groups.csv", index=False, sep=";", encoding="utf-8-sig")
    groups = read_groups(tmp_path / "groups.csv", NAMES)
    assert groups.animals == ANIMALS
    assert groups.factors == {"condition": CONDITIONS}


@pytest.mark.parametrize("numbers", ["0", "a", "4-2", "2-", "-3"])
def test_wrong_numbers_of_states(numbers, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "x.h5", "--out", "y", f"--n-states={numbers}"])
    assert stopped.value.code == commands.BAD_INPUT
    assert "expected a number such as 4 or a range 2-8" in capsys.readouterr().err


def test_onsets_have_no_frame_rate(tmp_path, capsys):
    table = pd.DataFrame({"song": ["a"] * 4, "syllable": [0, 1, 0, 1], "onset": [0.1, 0.2, 0.4, 1]})
    table.to_csv(tmp_path / "songs.csv", index=False)
    arguments = ["fit", tmp_path / "songs.csv", "--out", tmp_path / "out", *FIT]
    text = run_refused([*arguments, "--recording", "song", "--onset", "onset"], capsys)
    assert "Leave out --frame-rate" in text


def test_states_of_events_are_written_with_their_labels(tmp_path):
    labels = [np.array(["a", None, "b"], object), np.array(["b"], object)]
    times = [np.array([0.1, 0.2, 0.5]), np.array([1.0])]
    data = Bunch(names=["x", "y"], sequences=labels, frames=None, times=times)
    commands._save_states(tmp_path / "states", [np.array([0, 0, 1]), np.array([1])], data)
    table = pd.read_csv(tmp_path / "states" / "x.csv", keep_default_na=False)
    assert table.columns.tolist() == ["frame", "time", "syllable", "state"]
    assert table.syllable.tolist() == ["a", "", "b"]


def test_a_stopped_fit_continues_to_the_last_bit(fit, fitted, tmp_path, monkeypatch, capsys):
    """It stops in the middle of the sweeps; other settings are refused meanwhile."""
    out, partial = tmp_path / "out", tmp_path / "out.partial"
    save = checkpoints.Checkpoint.save

    def save_and_stop(self, i, past):
        save(self, i, past)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Checkpoint, "save", save_and_stop)
        assert main([*fit, "--out", str(out)]) == commands.INTERRUPTED
    assert "The same command continues" in capsys.readouterr().out
    assert not out.exists()
    before = (partial / "fit.npz").read_bytes()

    text = run_refused([*fit, "--out", out, "--seed", "1"], capsys)
    assert "is a checkpoint of another fit" in text
    text = run_refused([*fit, "--n-states", "1-2", "--out", out], capsys)
    assert f"{partial} is of another command: --n-states is 2 there, 1-2 here" in text
    assert (partial / "fit.npz").read_bytes() == before

    def fail(*args):
        raise OSError("disk full")

    with monkeypatch.context() as patch:  # when the sweeps are done
        patch.setattr(commands, "write_results", fail)
        assert main([*fit, "--out", str(out)]) == commands.FAILED
    assert "failed: disk full" in capsys.readouterr().err
    assert not out.exists()

    assert main([*fit, "--out", str(out)]) == 0
    assert f"Continuing what {partial} has." in capsys.readouterr().out
    assert not partial.exists()
    models = [joblib.load(folder / "model.joblib") for folder in (out, fitted)]
    for name in ("log_joint_", "emission_base_", "emission_biases_", "trans_probs_"):
        np.testing.assert_array_equal(*(getattr(model, name) for model in models))
    for name in NAMES:
        texts = [(folder / "states" / f"{name}.csv").read_text() for folder in (out, fitted)]
        assert texts[0] == texts[1]
    assert {path.name for path in out.iterdir()} == {path.name for path in fitted.iterdir()}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_an_interrupted_fit_continues(files, tmp_path, capsys, monkeypatch):
    """Ctrl-C in the middle, then the same command: parameters as of an undisturbed fit."""
    monkeypatch.setattr(commands, "EfficientHHMM", EfficientHHMM)  # as in the other process
    fit = ["fit", str(files / "results.h5"), *FIT, "--max-iter", "1000", "--out"]
    command = [sys.executable, "-m", "hhmm", *fit]
    process = subprocess.Popen(
        [*command, str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # where the tests run in the background of a shell, children would ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    checkpoint = tmp_path / "out.partial" / "fit.npz"
    deadline = time.monotonic() + 300
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)  # an interrupt while the first checkpoint is being written removes it
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == commands.INTERRUPTED, errors
    assert "The same command continues a fit" in output
    assert checkpoint.exists()
    assert not (tmp_path / "out").exists()
    for name in ("out", "whole"):
        assert main([*fit, str(tmp_path / name)]) == 0
        assert ("Continuing what" in capsys.readouterr().out) == (name == "out")
    models = [joblib.load(tmp_path / name / "model.joblib") for name in ("out", "whole")]
    np.testing.assert_array_equal(models[0].log_joint_, models[1].log_joint_)
    np.testing.assert_array_equal(models[0].emission_base_, models[1].emission_base_)


def test_the_package_runs_as_a_program(monkeypatch, capsys):
    """As ``python -m hhmm --help``."""
    monkeypatch.setattr(sys, "argv", ["hhmm", "--help"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("hhmm", run_name="__main__")
    assert not stopped.value.code
    said = capsys.readouterr().out
    for word in ("fit", "predict", "report", "results.h5 --n-states 4"):
        assert word in said
