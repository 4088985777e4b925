"""Recordings that stay in their files, beside the loaders that read the same files into memory."""

import os
import pickle
import shutil
import warnings
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold, train_test_split
from sklearn.utils import _safe_indexing

from hhmm._sequences.run_lengths import RunLengths
from hhmm.datasets import (
    _csv_files,
    _sources,
    load_keypoint_moseq,
    load_keypoint_moseq_csv,
    load_moseq_dataframe,
    load_syllable_csv,
    load_table,
    open_recordings,
)
from tests.datasets.test_loaders import (
    NAMES,
    SYLLABLES,
    moseq_df,
    random_syllables,
    write_results,
    write_results_csv,
)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """So that recordings of a test have several blocks."""
    monkeypatch.setattr(_sources, "BLOCK_TIMESTEPS", 8)
    monkeypatch.setattr(_csv_files, "_BLOCK", 7)


def write_arrays(folder, syllables=SYLLABLES, *, dtype=np.int16):
    """One .npy file a recording; "/" in names becomes folders."""
    for name, values in syllables.items():
        path = folder / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.asarray(values).astype(dtype))
    return folder


def write_csv(path, labels, *, sep=","):
    lines = [f"syllable{sep}x", *(f"{label}{sep}0.5" for label in labels)]
    path.write_text("\n".join(lines) + "\n")
    return path


def assert_opens(recordings, expected, *, names=None):
    """Recordings hold the labels `expected`, as arrays and as runs."""
    if names is not None:
        assert recordings.names == names
    assert len(recordings) == len(expected)
    for recording, labels in zip(recordings, expected, strict=True):
        array = np.asarray(recording)
        assert array.dtype == recording.dtype == np.int32
        assert array.tolist() == np.asarray(labels).tolist()
        assert recording.shape == array.shape == (len(recording),)
        runs = recording.read_runs()
        for values, other in zip(
            runs, RunLengths.of([np.asarray(labels, np.int32)])[:2], strict=True
        ):
            assert values.dtype == np.int32
            assert values.tolist() == other.tolist()
    lengths = recordings.lengths
    assert lengths.dtype == np.int64
    assert lengths.tolist() == [len(labels) for labels in expected]


# every format, beside its loader


@pytest.mark.parametrize("n_lags", [0, 3])
def test_results_of_keypoint_moseq(tmp_path, n_lags):
    path = write_results(tmp_path / "results.h5")
    data = load_keypoint_moseq(path, frame_rate=30, n_lags=n_lags)
    recordings = open_recordings(path, frame_rate=30, n_lags=n_lags)
    assert_opens(recordings, data.sequences, names=data.names)
    assert recordings.frame_rate == 30.0
    assert recordings.groups is None
    assert recordings.paths == [path] * 3
    assert_opens(open_recordings(tmp_path, n_lags=n_lags), data.sequences, names=data.names)


@pytest.mark.parametrize("n_lags", [0, 3])
def test_csv_files_of_keypoint_moseq(tmp_path, n_lags):
    folder = write_results_csv(tmp_path / "results", column="syllables reindexed")
    with pytest.warns(UserWarning, match="may mean different syllables"):
        data = load_keypoint_moseq_csv(folder, n_lags=n_lags)
    with pytest.warns(UserWarning, match="may mean different syllables") as caught:
        recordings = open_recordings(folder, n_lags=n_lags)
    assert caught[0].filename == __file__
    assert_opens(recordings, data.sequences, names=data.names)


@pytest.mark.parametrize(
    "text",
    [
        "syllable\n1\n\n2\n2\n\n",
        "syllable,x\n1,0\n\n2,0\n,\n-3,1\nNA,1\n2,1\n\n\n5,5\n5,5\n5,5\n5,5\n5,5\n",
        "x;syllable\n0;1.0\n0;2\n",
        '"x"\tsyllable\n0\t1\n0\t2\n',
        "syllable\n" + "\n" * 20 + "3\n",
    ],
)
def test_csv_files(tmp_path, text):
    (tmp_path / "mouse1.csv").write_text(text)
    sep = next((character for character in ",;\t" if character in text), ",")
    data = load_syllable_csv(tmp_path, sep=sep)
    assert_opens(open_recordings(tmp_path), data.sequences, names=data.names)
    assert_opens(open_recordings(tmp_path / "mouse1.csv", sep=sep), data.sequences)


def test_tables(tmp_path):
    table = moseq_df()
    table.to_csv(tmp_path / "moseq_df.csv", index=False)
    data = load_moseq_dataframe(tmp_path / "moseq_df.csv", n_lags=2)
    recordings = open_recordings(tmp_path / "moseq_df.csv", n_lags=2)
    assert_opens(recordings, data.sequences, names=data.names)
    assert recordings.groups == data.groups == ["saline", "drug", "saline"]
    table = table.rename(columns={"name": "mouse", "syllable": "label", "group": "dose"})
    table.to_csv(tmp_path / "table.tsv", index=False, sep="\t")
    columns = {"recording": "mouse", "syllable": "label", "group": "dose"}
    data = load_table(tmp_path / "table.tsv", sep="\t", **columns)
    recordings = open_recordings(tmp_path / "table.tsv", **columns)
    assert_opens(recordings, data.sequences, names=data.names)
    assert recordings.groups == data.groups
    table.rename(columns={"mouse": "recording", "label": "syllable"}).to_csv(tmp_path / "a.csv")
    recordings = open_recordings(tmp_path / "a.csv")
    assert_opens(recordings, data.sequences, names=data.names)
    assert recordings.groups is None


@pytest.mark.parametrize("seed", range(4))
def test_tables_in_blocks_of_rows(tmp_path, seed):
    rng = np.random.default_rng(seed)
    rows = [
        [f"0{i}", t, rng.choice(["", "-2", "0", "1"]), ["", "drug"][i % 2]]
        for i in range(4)
        for t in range(rng.integers(1, 20))
    ]
    if seed:  # recordings one among the other, each in its own order
        rows = [rows[i] for i in np.argsort(rng.random(len(rows)) + [row[1] for row in rows])]
    path = tmp_path / "a.csv"
    table = pd.DataFrame(rows, columns=["recording", "frame", "syllable", "group"])
    table.to_csv(path, index=False)
    data = load_table(path, recording="recording", syllable="syllable", group="group")
    recordings = open_recordings(path, group="group")
    assert_opens(recordings, data.sequences, names=data.names)
    assert recordings.groups == data.groups


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,9,1.5,x", r"a\.csv, recording 'a', row 9: expected an integer syllable"),
        ("a,9,1,y", r"recording 'a', row 9: expected one group .* got 'y' after 'x' in row 6$"),
        (",9,1,x", r"a\.csv, row 9: expected the name of a recording"),
    ],
)
def test_places_in_later_blocks_of_a_table(tmp_path, row, message):
    path = tmp_path / "a.csv"
    rows = [f"a,{t},1,x" for t in range(9)]
    path.write_text("\n".join(["recording,frame,syllable,group", *rows, row]) + "\n")
    with pytest.raises(ValueError, match=message):
        open_recordings(path, group="group")


def test_frames_in_later_blocks_of_a_moseq_df(tmp_path):
    path = tmp_path / "moseq_df.csv"
    rows = [f"a,{t},1" for t in [*range(9), 10]]
    path.write_text("\n".join(["name,frame_index,syllable", *rows]) + "\n")
    with pytest.raises(ValueError, match=r"row 9: frame 10 comes after frame 8 \(row 8\)"):
        open_recordings(path)


def test_rows_of_a_moseq_df_are_sorted_by_frame(tmp_path):
    moseq_df().iloc[::-1].to_csv(tmp_path / "a.csv", index=False)
    recordings = open_recordings(tmp_path / "a.csv")
    assert_opens(recordings, [SYLLABLES[name] for name in NAMES[::-1]], names=NAMES[::-1])


def test_rows_of_a_table_in_another_order_warn(tmp_path):
    text = "recording,frame,syllable\n" + "a,1,0\na,0,1\n" * 8  # in every block
    (tmp_path / "a.csv").write_text(text)
    with pytest.warns(UserWarning, match="rows are not in the order of column 'fra") as caught:
        open_recordings(tmp_path / "a.csv")
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("dtype", ["i1", "<i8", ">i4", "u2", "u8", "f2", "f4", ">f8", "?"])
def test_every_number_type(tmp_path, dtype):
    values = np.array([0, 1, 1, 0] * 5).astype(dtype)
    np.save(tmp_path / "a.npy", values)
    write_results(tmp_path / "a.h5", {"a": values})
    for name in ("a.npy", "a.h5"):
        assert_opens(open_recordings(tmp_path / name), [[0, 1, 1, 0] * 5])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([0.0] * 9 + [1.5]), "frame 9: expected an integer label, got 1.5. Negative val"),
        (np.array([0, np.inf]), "frame 1: expected an integer label, got inf"),
        (np.array([0, 3, 2**31]), "frame 2: expected a number up to 2147483646, got 2147483648"),
    ],
)
def test_wrong_labels_are_refused_as_by_the_loader(tmp_path, values, message):
    write_results(tmp_path / "a.h5", {"m/a": values})
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=message) as by_loader:
        load_keypoint_moseq(tmp_path / "a.h5")
    with pytest.raises(ValueError, match=message) as error:
        open_recordings(tmp_path / "a.h5")[0].read_runs()
    assert str(error.value) == str(by_loader.value)
    with pytest.raises(ValueError, match=message) as error:
        open_recordings(tmp_path / "a.npy")[0].read_runs()
    assert str(tmp_path / "a.npy") in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "syllable,x\n" + "1,0\n" * 8 + "walk,0\n",
        "syllable,x\n" + "1,0\n" * 8 + "1.5,0\n",
        "syllable,x\n" + "1,0\n" * 8 + "3000000000,0\n",
        "x,syllable\n" + "0,1\n" * 8 + "0\n",
        "syllable,x\n" + "1,0\n" * 8 + "1,0,0\n",
        "syllable,x\n",
        "syllable,x\n1,0\n" + "\udcff,0\n",
    ],
)
def test_wrong_csv_files_are_refused_as_by_the_loader(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(ValueError, match="csv") as by_loader:
        load_syllable_csv(path)
    recordings = open_recordings(path)
    with pytest.raises(ValueError, match="csv") as error:
        recordings.lengths  # noqa: B018
    assert str(error.value).split(". Read labels")[0] == str(by_loader.value).split(". Load lab")[0]


# chunks


labels_and_blocks = st.tuples(
    st.lists(st.tuples(st.integers(-2, 3), st.integers(1, 9)), min_size=1, max_size=12),
    st.integers(1, 20),
    st.integers(0, 5),
)


@given(labels_and_blocks, st.sampled_from(["npy", "float npy", "h5", "chunked h5", "csv"]))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_runs_do_not_depend_on_where_blocks_end(tmp_path_factory, drawn, kind):
    runs, block, n_lags = drawn
    labels = np.repeat(*np.array(runs).T)
    path = tmp_path_factory.mktemp("blocks") / f"a.{kind.split()[-1]}"
    if kind.endswith("npy"):
        missing_as_nan = np.where(labels == -2, np.nan, labels)
        np.save(path, missing_as_nan if kind == "float npy" else labels.astype(np.int8))
    elif kind == "csv":
        write_csv(path, np.where(labels == -2, "", labels.astype(str)))
    else:
        with h5py.File(path, "w") as file:
            chunks = (min(5, len(labels)),) if kind == "chunked h5" else None
            file.create_dataset("a/syllable", data=labels, chunks=chunks)
    expected = np.maximum(labels, -1)
    expected[:n_lags] = -1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sources, "BLOCK_TIMESTEPS", block)
        patch.setattr(_csv_files, "_BLOCK", block)
        if n_lags >= len(labels):
            with pytest.raises(
                ValueError, match=f"n_lags={n_lags} leaves nothing of recording 'a'"
            ):
                open_recordings(path, n_lags=n_lags).lengths  # noqa: B018
        else:
            assert_opens(open_recordings(path, n_lags=n_lags), [expected], names=["a"])


@pytest.mark.parametrize("kind", ["npy", "h5", "csv"])
def test_blocks_are_small(tmp_path, monkeypatch, kind):
    """No format yields an array of all timesteps."""
    labels = random_syllables(500, seed=0)
    np.save(tmp_path / "a.npy", labels)
    write_results(tmp_path / "a.h5", {"a": labels})
    write_csv(tmp_path / "a.csv", labels)
    sizes = []

    def measured(blocks, locate):
        return find_runs_of_blocks((sizes.append(len(block)) or block for block in blocks), locate)

    find_runs_of_blocks = _sources.find_runs_of_blocks
    monkeypatch.setattr(_sources, "find_runs_of_blocks", measured)
    assert_opens(open_recordings(tmp_path / f"a.{kind}"), [labels])
    assert max(sizes) <= 8


# nothing is read at opening


def test_opening_reads_headers_alone(tmp_path, monkeypatch):
    """The bodies of these files cannot be read as labels."""
    np.save(tmp_path / "a.npy", np.array([0.5, 1.5]))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("m/syllable", data=np.zeros(1000, int), chunks=(100,), compression=4)
        place = file["m/syllable"].id.get_chunk_info(0)
    with open(tmp_path / "a.h5", "r+b") as file:
        file.seek(place.byte_offset)
        file.write(b"\xff" * place.size)
    write_csv(tmp_path / "a.csv", [1, 2, "walk"])
    for name, length in (("a.npy", 2), ("a.h5", 1000), ("a.csv", None)):
        recordings = open_recordings(tmp_path / name)
        if length is not None:
            assert recordings.lengths.tolist() == [length]
            assert f"1 recording(s), {length:,} timesteps" in repr(recordings)
            assert f"{length:,} timesteps" in repr(recordings[0])
        else:
            assert repr(recordings) == "Recordings(1 recording(s), timesteps not counted yet)"
        with pytest.raises(ValueError, match=name):
            recordings[0].read_runs()


def test_a_csv_file_is_read_once_for_its_length(tmp_path, monkeypatch):
    recordings = open_recordings(write_csv(tmp_path / "a.csv", [1] * 30))
    recordings[0].read_runs()
    monkeypatch.delattr(_sources, "iterate_columns")
    assert recordings.lengths.tolist() == [30]
    assert len(pickle.loads(pickle.dumps(recordings))[0]) == 30
    assert repr(recordings) == "Recordings(1 recording(s), 30 timesteps)"


# a sequence of recordings


def open_arrays(folder):
    return open_recordings(f"{write_arrays(folder)}/**/*.npy", frame_rate=25)


def test_a_recording_is_like_an_array(tmp_path):
    recordings = open_arrays(tmp_path)
    recording, labels = recordings[0], SYLLABLES[NAMES[0]]
    assert recording.name == NAMES[0]
    assert recording.path == tmp_path / f"{NAMES[0]}.npy"
    assert (recording.ndim, recording.size, recording.group) == (1, len(labels), None)
    assert recording[3] == labels[3]
    assert recording[-4:].tolist() == labels[-4:].tolist()
    assert list(recording) == labels.tolist()
    assert np.asarray(recording, dtype=np.float64).dtype == np.float64
    assert np.array(recording, copy=True).tolist() == labels.tolist()
    with pytest.raises(ValueError, match="an array of it is always a copy"):
        np.array(recording, copy=False)
    assert repr(recording) == f"LazyRecording({NAMES[0]!r}, 20 timesteps)"
    assert recording == recording
    assert recording != recordings[1]


def test_recordings_are_like_a_list(tmp_path):
    recordings = open_arrays(tmp_path)
    assert [recording.name for recording in recordings] == NAMES
    assert recordings[-1] is recordings[2]
    assert recordings[np.int64(1)].name == NAMES[1]
    for key, numbers in [
        (slice(1, None), [1, 2]),
        (slice(None, None, -1), [2, 1, 0]),
        ([2, 0, -1], [2, 0, 2]),
        (np.array([1]), [1]),
        ([True, False, True], [0, 2]),
        ([], []),
        (slice(5, 9), []),
    ]:
        part = recordings[key]
        assert_opens(
            part, [SYLLABLES[NAMES[i]] for i in numbers], names=[NAMES[i] for i in numbers]
        )
        assert part.frame_rate == 25.0
    assert repr(recordings) == "Recordings(3 recording(s), 81 timesteps)"
    assert recordings.index(recordings[1]) == 1


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (3, IndexError, "there are 3 recordings, got index 3"),
        ([0, -4], IndexError, "there are 3 recordings, got index -4"),
        ([True], IndexError, "expected 3 bools, one a recording, got 1"),
        ("a", TypeError, "an integer, a slice, or a 1-D array of integers, got 'a'"),
        (1.0, TypeError, "1-D array of integers, got 1.0"),
        ([[0]], TypeError, r"1-D array of integers, got \[\[0\]\]"),
        ((0, slice(2)), (TypeError, ValueError), "1-D array of integers, got"),
    ],
)
def test_wrong_indices(tmp_path, key, error, message):
    with pytest.raises(error, match=message):
        open_arrays(tmp_path)[key]


def test_recordings_stay_lazy_when_scikit_learn_splits_them(tmp_path, monkeypatch):
    recordings = open_arrays(tmp_path)
    monkeypatch.setattr(_sources, "find_runs_of_blocks", None)  # nothing can be read
    train, test = train_test_split(recordings, test_size=1, random_state=0)
    assert sorted(recording.name for recording in [*train, *test]) == NAMES
    for train, test in KFold(3).split(recordings):
        for part in (train, test):
            taken = _safe_indexing(recordings, part)
            assert [recording.name for recording in taken] == [NAMES[i] for i in part]
            assert recordings[part].names == [NAMES[i] for i in part]


@pytest.mark.parametrize("kind", ["npy", "h5", "csv", "table"])
def test_recordings_can_be_pickled(tmp_path, monkeypatch, kind):
    """And read from another folder than that in which they were opened."""
    monkeypatch.chdir(tmp_path)
    labels = random_syllables(30, seed=4)
    np.save("a.npy", labels)
    write_results(Path("a.h5"), {"a": labels})
    write_csv(Path("a.csv"), labels)
    pd.DataFrame({"recording": "a", "syllable": labels}).to_csv("a.tsv", sep="\t")
    path = "a.tsv" if kind == "table" else f"a.{kind}"
    recordings = open_recordings(path)
    monkeypatch.chdir("/")
    again = pickle.loads(pickle.dumps(recordings))
    for opened in (recordings, again):
        assert_opens(opened, [labels], names=["a"])
        assert opened[0].fingerprint() == recordings[0].fingerprint()
        assert opened.paths == [tmp_path / path]


# files and names


def test_names_have_the_folders_that_a_pattern_leaves_open(tmp_path):
    write_arrays(tmp_path / "data", {"day1/m1": [1], "day1/m2": [2], "day2/m1": [3], "m0": [4]})
    assert open_recordings(f"{tmp_path}/data/*/*.npy").names == ["day1/m1", "day1/m2", "day2/m1"]
    names = ["day1/m1", "day1/m2", "day2/m1", "m0"]
    assert_opens(open_recordings(tmp_path / "data/**/*.npy"), [[1], [2], [3], [4]], names=names)
    assert open_recordings(tmp_path / "data/day1/m*.npy").names == ["m1", "m2"]
    assert open_recordings(f"{tmp_path}/data").names == ["m0"]
    paths = [tmp_path / "data/day2/m1.npy", tmp_path / "data/m0.npy"]
    assert open_recordings(iter(paths)).paths == paths


def test_a_path_with_brackets_is_no_pattern(tmp_path):
    write_arrays(tmp_path, {"m[1]": [3, 3]})
    assert_opens(open_recordings(tmp_path / "m[1].npy"), [[3, 3]], names=["m[1]"])


def test_hidden_files_are_left_out_and_escapes_are_read(tmp_path):
    write_arrays(tmp_path, {".hidden": [1], "%2Ename": [2]})
    assert open_recordings(tmp_path).names == [".name"]
    assert open_recordings(f"{tmp_path}/*.npy").names == [".name"]


def test_recordings_of_several_hdf5_files(tmp_path):
    write_results(tmp_path / "day1.h5", {"m1": [1, 1], "m2": [2]})
    write_results(tmp_path / "day2.h5", {"m3": [3]})
    assert_opens(open_recordings(tmp_path), [[1, 1], [2], [3]], names=["m1", "m2", "m3"])
    write_results(tmp_path / "day3.h5", {"m1": [4]})
    names = ["day1/m1", "day1/m2", "day2/m3", "day3/m1"]
    assert_opens(open_recordings(tmp_path), [[1, 1], [2], [3], [4]], names=names)
    for day in ("a", "b"):
        (tmp_path / day).mkdir()
        with h5py.File(tmp_path / day / "results.h5", "w") as file:
            file["syllable"] = [5]
    assert open_recordings(f"{tmp_path}/*/results.h5").names == ["a/results", "b/results"]
    paths = [tmp_path / "a/results.h5", tmp_path / "b/results.h5"]
    assert open_recordings(paths).names == ["a/results", "b/results"]
    assert open_recordings(paths[1:]).names == ["results"]
    with pytest.raises(ValueError, match=f"The file {paths[0]} is given 2 times"):
        open_recordings([paths[0]] * 2)
    other = paths[0].with_suffix(".hdf5")
    shutil.copy(paths[0], other)
    with pytest.raises(ValueError, match="Two recordings have the name 'results': one in") as error:
        open_recordings([paths[0], other])
    assert str(other) in str(error.value)


def test_recordings_of_several_tables(tmp_path):
    for name, group in (("x", "drug"), ("y", "saline")):
        moseq_df({"m1": [0, 1], "m2": [2]}, groups=(group, group)).to_csv(tmp_path / f"{name}.csv")
    recordings = open_recordings(tmp_path)
    assert recordings.names == ["x/m1", "x/m2", "y/m1", "y/m2"]
    assert recordings.groups == ["drug", "drug", "saline", "saline"]
    assert recordings[2:].groups == ["saline", "saline"]


def test_labels_of_several_files_have_one_numbering(tmp_path):
    write_results(tmp_path / "a.h5", {"m1": [1]})
    write_results(tmp_path / "b.h5", {"m2": [1]}, dataset="syllables_reindexed")
    with pytest.raises(
        ValueError, match="expected one dataset of syllables in all recordings, but"
    ):
        open_recordings(tmp_path)
    write_results(tmp_path / "a.h5", {"m1": [1]}, dataset="syllables_reindexed")
    with pytest.warns(UserWarning, match="'syllables_reindexed' is read") as caught:
        open_recordings(tmp_path)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_recordings(tmp_path / "a.h5")


# what is refused at opening


def fill(folder):
    """Write a file of each kind, and folders."""
    write_results(folder / "results.h5")
    np.save(folder / "a.npy", np.arange(3))
    write_csv(folder / "a.csv", [1, 2])
    moseq_df().to_csv(folder / "moseq_df.csv")
    (folder / "a.mat").write_text("nothing")
    (folder / "empty").mkdir()
    (folder / "twice/day").mkdir(parents=True)
    (folder / "deep/day").mkdir(parents=True)
    for path in ("twice/m.npy", "twice/day/m.npy", "deep/day/m.npy"):
        np.save(folder / path, np.arange(3))


@pytest.mark.parametrize(
    ("paths", "options", "message"),
    [
        ("{}", {}, r"files of one format, got .*a\.csv \(a CSV file of one .*a\.npy \(an array of"),
        ("{}/*.csv", {}, r"a CSV file of one recording\) and .*moseq_df\.csv \(a moseq_df"),
        ("{}/*", {}, r"No format is known for .*a\.mat\. Give files that end in \.h5"),
        ("{}/a.mat", {}, r"No format is known for .*a\.mat"),
        ("{}/empty", {}, r"empty has no file that ends in \.csv, \.h5, .*\.npy\.$"),
        ("{}/deep", {}, r"Folders of it have some: give the pattern '.*deep/\*\*/\*\.npy'"),
        ("{}/x*.npy", {}, r"No file matches the pattern .*x\*\.npy\. Check the path"),
        ("{}/x.npy", {}, r"there is no file .*x\.npy"),
        (["{}/a.npy", "{}/x.npy"], {}, r"there is no file .*x\.npy"),
        (["{}/a.npy", "{}/empty"], {}, "expected a file, got the folder"),
        (["{}/twice/m.npy", "{}/twice/m.npy"], {}, r"twice/m\.npy is given 2 times"),
        (["{}/twice/m.npy", "{}/twice/day/../m.npy"], {}, r"twice/m\.npy is given 2 times"),
        ([], {}, "or a list of files, got an empty list"),
        ([3], {}, "or a list of files, got 3"),
        (3, {}, "or a list of files, got 3"),
        ("{}/a.npy", {"syllable": "x"}, r"syllable='x' is for CSV files, but .* an array of NumPy"),
        ("{}/results.h5", {"sep": ";"}, r"sep=';' is for CSV files, but .* Leave sep out"),
        ("{}/a.npy", {"recording": "x"}, "recording='x' is for tables of several recordings"),
        ("{}/a.csv", {"group": "x"}, "group='x' is for tables of several recordings, but .* CSV f"),
        ("{}/a.csv", {"syllable": "label"}, "has no column 'label': its columns are 'syllable'"),
        ("{}/a.csv", {"recording": "m"}, "has no column 'm'"),
        ("{}/a.csv", {"sep": ", "}, "sep must be a single character"),
        ("{}/a.npy", {"n_lags": 3}, "n_lags=3 leaves nothing of recording 'a', which has 3"),
        ("{}/a.npy", {"n_lags": -1}, "'n_lags' parameter"),
        ("{}/a.npy", {"frame_rate": 0}, "'frame_rate' parameter"),
    ],
)
def test_wrong_arguments(tmp_path, paths, options, message):
    fill(tmp_path)
    if isinstance(paths, str):
        paths = paths.replace("{}", str(tmp_path))
    elif isinstance(paths, list):
        paths = [p if p == 3 else p.replace("{}", str(tmp_path)) for p in paths]
    with pytest.raises((ValueError, TypeError, OSError), match=message):
        open_recordings(paths, **options)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3), int), r"expected labels of shape \(n_timesteps,\), got shape \(2, 3\)"),
        (np.array(3), r"expected labels of shape \(n_timesteps,\), got shape \(\)"),
        (np.array(["walk"]), "expected integer labels, got dtype <U4. Number the labels"),
        (np.array([1j]), "expected integer labels, got dtype complex128"),
        (np.array([None, 1]), "cannot be read as an array of NumPy: .*object"),
        (np.zeros(0, int), "has no frames. Leave the file out"),
    ],
)
def test_wrong_arrays(tmp_path, values, message):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=message) as error:
        open_recordings(tmp_path)
    assert str(tmp_path / "a.npy") in str(error.value)


def test_files_that_are_not_what_their_ending_says(tmp_path):
    (tmp_path / "a.npy").write_text("syllable\n1\n")
    with pytest.raises(ValueError, match=r"a\.npy cannot be read as an array of NumPy"):
        open_recordings(tmp_path / "a.npy")
    (tmp_path / "a.npy").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.npy cannot be read as an array of NumPy"):
        open_recordings(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", np.arange(3))
    (tmp_path / "b.npz").rename(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r"a\.npy is an archive of arrays"):
        open_recordings(tmp_path / "a.npy")
    (tmp_path / "a.npy").write_bytes(pickle.dumps([1]))
    with pytest.raises(ValueError, match=r"a\.npy cannot be read as an array of NumPy"):
        open_recordings(tmp_path / "a.npy")
    (tmp_path / "a.h5").write_text("nothing")
    with pytest.raises(ValueError, match=r"a\.h5 is not an HDF5 file"):
        open_recordings(tmp_path / "a.h5")
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(ValueError, match=r"a\.csv is empty"):
        open_recordings(tmp_path / "a.csv")


def test_tables_beside_files_of_one_recording(tmp_path):
    write_csv(tmp_path / "a.csv", [1, 2])
    (tmp_path / "b.csv").write_text("name,syllable\nm1,1\nm2,2\n")
    with pytest.raises(
        ValueError, match="holds tables of several recordings, with a column 'name'"
    ):
        open_recordings(tmp_path, syllable="syllable")


def test_links_out_of_a_folder_are_not_followed(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/b.npy").symlink_to(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r"b\.npy leads out of .*folder by a link"):
        open_recordings(tmp_path / "folder")
    assert open_recordings(f"{tmp_path}/folder/*.npy").names == ["b"]


# files that change after they were opened


def change(path, kind):
    """Write another file of 5 timesteps, after one of 20."""
    if kind == "npy":
        np.save(path, np.arange(5))
    elif kind == "h5":
        write_results(path, {"a": np.arange(5)})
    else:
        write_csv(path, np.arange(5))


def open_one(folder, kind):
    path = folder / f"a.{kind}"
    labels = random_syllables(20, seed=1)
    if kind == "npy":
        np.save(path, labels)
    elif kind == "h5":
        write_results(path, {"a": labels})
    else:
        write_csv(path, labels)
    recording = open_recordings(path)[0]
    assert len(recording) == 20
    return recording


@pytest.mark.parametrize("kind", ["npy", "h5", "csv"])
@pytest.mark.parametrize("read", [np.asarray, lambda recording: recording.read_runs()])
def test_a_file_of_another_length(tmp_path, kind, read):
    recording = open_one(tmp_path, kind)
    before = recording.fingerprint()
    change(recording.path, kind)
    assert recording.fingerprint() != before
    message = rf"a\.{kind} was changed: recording 'a' had 20 timesteps and has 5 now. Call open"
    with pytest.raises(ValueError, match=message):
        read(recording)


@pytest.mark.parametrize("kind", ["npy", "h5", "csv"])
def test_a_file_that_is_gone(tmp_path, kind):
    recording = open_one(tmp_path, kind)
    recording.path.unlink()
    for use in (np.asarray, lambda recording: recording.fingerprint()):
        with pytest.raises(FileNotFoundError, match=rf"no file .*a\.{kind} any more. Put it back"):
            use(recording)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("npy", r"a\.npy cannot be read as an array of NumPy.* Write the file again"),
        ("h5", r"a\.h5 cannot be read"),
        ("csv", r"a\.csv was changed: recording 'a' had 20 timesteps and has \d+ now"),
    ],
)
def test_a_file_that_is_cut_short(tmp_path, kind, message):
    recording = open_one(tmp_path, kind)
    os.truncate(recording.path, recording.path.stat().st_size // 2)
    with pytest.raises(ValueError, match=message):
        recording.read_runs()


def test_an_array_that_is_cut_short_while_it_is_read(tmp_path):
    recording = open_one(tmp_path, "npy")
    blocks = recording._source._read_blocks()
    next(blocks)
    os.truncate(recording.path, recording.path.stat().st_size - 4)
    with pytest.raises(
        ValueError, match=r"a\.npy ends after 19 of 20 frames. Write the file again"
    ):
        list(blocks)


def test_results_whose_recording_is_gone_or_became_a_link(tmp_path):
    recording = open_one(tmp_path, "h5")
    write_results(tmp_path / "other.h5", {"a": np.zeros(20, int)})
    with h5py.File(recording.path, "a") as file:
        del file["a/syllable"]
    with pytest.raises(
        ValueError, match=r"recording 'a' is no longer in the file\. Call open_record"
    ):
        recording.read_runs()
    with h5py.File(recording.path, "a") as file:
        file["a/syllable"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/a/syllable")
    with pytest.raises(
        ValueError, match="'syllable' is a link to elsewhere, which is not followed"
    ):
        recording.read_runs()
    with h5py.File(recording.path, "a") as file:
        del file["a"]
        file["a"] = 3
    with pytest.raises(ValueError, match="recording 'a' is no longer in the file"):
        recording.read_runs()


def test_results_that_were_written_in_another_shape(tmp_path):
    recording = open_one(tmp_path, "h5")
    write_results(recording.path, {"a": np.zeros((20, 1), int)})
    with pytest.raises(ValueError, match=r"expected syllables of shape .* got shape \(20, 1\)"):
        recording.read_runs()


def test_a_column_that_is_gone(tmp_path):
    recording = open_one(tmp_path, "csv")
    recording.path.write_text("label,x\n1,2\n")
    with pytest.raises(ValueError, match=r"a\.csv has no column 'syllable'"):
        recording.read_runs()


def test_a_table_is_kept_as_it_was_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("recording,syllable\na,1\na,1\nb,2\n")
    recordings = open_recordings(path)
    before = [recording.fingerprint() for recording in recordings]
    assert before[0] != before[1]
    path.write_text("recording,syllable\na,1\nb,2\n")
    assert_opens(recordings, [[1, 1], [2]])
    assert [recording.fingerprint() for recording in recordings] == before
    labels, _ = recordings[0].read_runs()
    labels[:] = 9  # of the caller alone
    assert_opens(recordings, [[1, 1], [2]])
    assert open_recordings(path)[0].fingerprint() != before[0]


def test_fingerprints_depend_on_what_is_read(tmp_path):
    (tmp_path / "a.csv").write_text("syllable,other\n1,2\n1,2\n")
    write_results(tmp_path / "a.h5", {"a": [1], "b": [1]})
    opened = [
        open_recordings(tmp_path / "a.csv")[0],
        open_recordings(tmp_path / "a.csv", syllable="other")[0],
        open_recordings(tmp_path / "a.csv", n_lags=1)[0],
        *open_recordings(tmp_path / "a.h5"),
    ]
    assert len({recording.fingerprint() for recording in opened}) == len(opened)
    assert opened[0].fingerprint() == open_recordings(tmp_path / "a.csv")[0].fingerprint()
