"""Loaders on files written as they are published, beside plain Python; and states written back."""

import csv
import gzip
import itertools
import os
import stat
import sys
import warnings
import zlib

import h5py
import numpy as np
import pandas as pd
import pytest

import hhmm.datasets._csv_files
from hhmm import EfficientHHMM
from hhmm._inference import chains
from hhmm.datasets import (
    load_keypoint_moseq,
    load_keypoint_moseq_csv,
    load_moseq_dataframe,
    load_syllable_csv,
    load_table,
    save_states,
)

NAMES = ["day1/mouse1.top.ir", "day1/mouse2.top.ir", "mouse3"]


def random_syllables(n_timesteps, *, seed, n_syllables=6):
    """Held syllables, so that there are onsets and frames without one."""
    rng = np.random.default_rng(seed)
    held = np.repeat(rng.integers(0, n_syllables, n_timesteps), rng.integers(1, 5, n_timesteps))
    return held[:n_timesteps].astype(np.int32)


SYLLABLES = {name: random_syllables(20 + 7 * i, seed=i) for i, name in enumerate(NAMES)}


def write_results(path, recordings=SYLLABLES, *, dataset="syllable", **others):
    """results.h5 as keypoint-MoSeq writes it; `others`: the same labels again, this much larger."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for name, values in recordings.items():
            group = file.create_group(name)
            group[dataset] = values
            for other, larger in others.items():
                group[other] = values + larger
            n_frames = len(values)
            group["latent_state"] = rng.normal(size=(n_frames, 4)).astype(np.float32)
            group["centroid"] = rng.normal(size=(n_frames, 2))
            group["heading"] = rng.normal(size=n_frames)
    return path


def write_results_csv(folder, syllables=SYLLABLES, *, column="syllable"):
    """The folder `results` of keypoint-MoSeq."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for name, values in syllables.items():
        columns = {column: values}
        for other in ("centroid x", "centroid y", "heading", "latent_state 0", "latent_state 1"):
            columns[other] = rng.normal(size=len(values)).round(4)
        pd.DataFrame(columns).to_csv(folder / f"{name.replace('/', '-')}.csv", index=False)
    return folder


def moseq_df(syllables=SYLLABLES, *, groups=("saline", "drug", "saline")):
    """What compute_moseq_df of keypoint-MoSeq returns, its onset over all recordings included."""
    rng = np.random.default_rng(0)
    labels = np.concatenate(list(syllables.values()))
    lengths = [len(values) for values in syllables.values()]
    onset = np.full(len(labels), False)
    onset[np.concatenate(([0], np.flatnonzero(np.diff(labels) != 0) + 1))] = True
    floats = {
        column: rng.normal(size=len(labels))
        for column in ("centroid_x", "centroid_y", "heading", "angular_velocity", "velocity_px_s")
    }
    return pd.DataFrame(
        {
            "name": np.repeat(list(syllables), lengths),
            **floats,
            "syllable": labels,
            "frame_index": np.concatenate([np.arange(n) for n in lengths]),
            "group": np.repeat(groups[: len(lengths)], lengths),
            "onset": onset,
        }
    )


def onsets_by_loop(labels):
    onsets = []
    for t, label in enumerate(labels):
        missing = label is None or (not isinstance(label, str) and label < 0)
        onsets.append(not missing and (t == 0 or labels[t - 1] != label))
    return onsets


def assert_holds(data, syllables, *, names=None):
    """`data` holds these syllables and no others, in the types that are documented."""
    assert data.names == (list(syllables) if names is None else names)
    for sequence, onsets, expected in zip(
        data.sequences, data.onsets, syllables.values(), strict=True
    ):
        assert sequence.dtype == np.int32
        assert onsets.dtype == bool
        assert sequence.tolist() == np.asarray(expected).tolist()
        assert onsets.tolist() == onsets_by_loop(sequence.tolist())


def tree(folder):
    """Every file and folder below, with what files hold."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


# results.h5


def test_results_h5(tmp_path):
    data = load_keypoint_moseq(write_results(tmp_path / "results.h5"), frame_rate=30)
    assert_holds(data, SYLLABLES)
    assert data.frame_rate == 30.0
    assert data.groups is None
    assert data.frames is None
    assert data.source == (
        f"{tmp_path / 'results.h5'}, dataset 'syllable': 3 recording(s), 81 timesteps, "
        "0 of them missing"
    )
    assert load_keypoint_moseq(str(tmp_path / "results.h5")).frame_rate is None


@pytest.mark.parametrize("dataset", ["syllables", "syllable"])
def test_results_h5_of_every_age(tmp_path, dataset):
    path = write_results(tmp_path / "results.h5", dataset=dataset)
    assert_holds(load_keypoint_moseq(path), SYLLABLES)


# Two calls of keypoint-MoSeq before 0.2 each numbered syllables by frequency: 7 is 0 in the first.
SOURCES = {"m1": [7, 7, 7, 3], "m3": [3, 3, 3, 7]}
REINDEXED = {"m1": [0, 0, 0, 1], "m3": [0, 0, 0, 1]}


def reindexed_results(path, *, sources=SOURCES):
    with h5py.File(path, "w") as file:
        for name, labels in REINDEXED.items():
            file[f"{name}/syllables_reindexed"] = labels
            if name in sources:
                file[f"{name}/syllables"] = sources[name]
    return path


@pytest.mark.filterwarnings("error")
def test_syllables_are_read_and_not_what_was_renumbered(tmp_path):
    """The same label means the same syllable in recordings that different calls wrote."""
    data = load_keypoint_moseq(reindexed_results(tmp_path / "results.h5"))
    assert_holds(data, SOURCES)
    assert "'syllables'" in data.source
    folder = tmp_path / "results"
    folder.mkdir()
    for name, labels in SOURCES.items():
        frame = pd.DataFrame({"syllables reindexed": REINDEXED[name], "syllables": labels})
        frame.to_csv(folder / f"{name}.csv", index=False)
    assert_holds(load_keypoint_moseq_csv(folder), SOURCES)
    rows = [
        (name, *pair)
        for name in SOURCES
        for pair in zip(REINDEXED[name], SOURCES[name], strict=True)
    ]
    table = pd.DataFrame(rows, columns=["name", "syllables_reindexed", "syllable"])
    assert_holds(load_moseq_dataframe(table), SOURCES)


def test_renumbered_syllables_alone_are_read_with_a_warning(tmp_path):
    path = reindexed_results(tmp_path / "results.h5", sources={})
    with pytest.warns(UserWarning, match="may mean different syllables in different rec") as caught:
        assert_holds(load_keypoint_moseq(path), REINDEXED)
    assert caught[0].filename == __file__
    table = pd.DataFrame({"name": ["a", "b"], "syllables_reindexed": [0, 0]})
    with pytest.warns(UserWarning, match="column 'syllables_reindexed' is read") as caught:
        load_moseq_dataframe(table)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="may mean different syllables"):
        load_table(table, recording="name", syllable="syllables_reindexed")
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("syllables reindexed\n0\n")
    with pytest.warns(UserWarning, match="may mean different syllables"):
        load_syllable_csv(tmp_path, syllable="syllables reindexed")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one recording is numbered in one way
        load_moseq_dataframe(table[:1])


def test_renumbered_syllables_are_refused_where_some_recordings_have_their_source(tmp_path):
    path = reindexed_results(tmp_path / "results.h5", sources={"m1": SOURCES["m1"]})
    with pytest.raises(ValueError, match=r"'m1' has \['syllables', .*; 'm3' has \['syllables_re"):
        load_keypoint_moseq(path)


def test_recordings_are_not_read_by_two_numberings(tmp_path):
    path = write_results(tmp_path / "results.h5", {"a": [1, 2]}, dataset="syllables_reindexed")
    with h5py.File(path, "a") as file:
        file["b/syllable"] = [1, 2]
    with pytest.raises(
        ValueError,
        match=r"one dataset .* 'a' has \['syllables_reindexed'\]; 'b' has \['syllable'\]",
    ):
        load_keypoint_moseq(path)


def test_leading_frames_are_marked_missing(tmp_path):
    path = write_results(tmp_path / "results.h5")
    marked = {name: [-1] * 3 + values[3:].tolist() for name, values in SYLLABLES.items()}
    data = load_keypoint_moseq(path, n_lags=3)
    assert_holds(data, marked)
    assert "9 of them missing" in data.source
    with pytest.raises(ValueError, match=r"n_lags=20 .* 'day1/mouse1.top.ir', which has 20 frames"):
        load_keypoint_moseq(path, n_lags=20)
    folder = write_results_csv(tmp_path / "results")
    assert_holds(load_keypoint_moseq_csv(folder, n_lags=3), marked, names=csv_names())
    assert_holds(load_moseq_dataframe(moseq_df(), n_lags=3), marked)


@pytest.mark.parametrize("dtype", ["i1", "<i8", ">i4", "u2", "u8", "f4", ">f8", "?"])
def test_every_number_type(tmp_path, dtype):
    values = np.array([0, 1, 1, 0]).astype(dtype)
    path = write_results(tmp_path / "results.h5", {"a": values})
    assert_holds(load_keypoint_moseq(path), {"a": [0, 1, 1, 0]})


def test_negative_and_nan_are_missing(tmp_path):
    path = write_results(tmp_path / "a.h5", {"a": np.array([1.0, np.nan, -5, -1e300, 2])})
    assert_holds(load_keypoint_moseq(path), {"a": [1, -1, -1, -1, 2]})
    path = write_results(tmp_path / "b.h5", {"a": np.array([1, -7, -(2**62), 2])})
    assert_holds(load_keypoint_moseq(path), {"a": [1, -1, -1, 2]})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 1.5], r"recording 'm/a', frame 1: expected an integer label, got 1.5"),
        ([0, np.inf], r"recording 'm/a', frame 1: expected an integer label, got inf"),
        ([0, 3, 2**31], r"frame 2: expected a number up to 2147483646, got 2147483648"),
        (
            np.array([0, 2**31], "f4"),
            r"frame 1: expected a number up to 2147483646, got 2147483648",
        ),
        (
            np.array([2**64 - 1], "u8"),
            r"frame 0: expected a number up to .* got 18446744073709551615",
        ),
        (
            [[0, 1]],
            r"recording 'm/a': expected syllables of shape \(n_frames,\), got shape \(1, 2\)",
        ),
        (3, r"recording 'm/a': expected syllables of shape \(n_frames,\), got shape \(\)"),
        (h5py.Empty("i4"), r"recording 'm/a': expected syllables of shape .* got shape None"),
        (np.array([], int), r"recording 'm/a' has no frames"),
        (["walk", "rear"], r"recording 'm/a': expected integer syllables, got dtype object"),
        (np.array([b"walk"]), r"recording 'm/a': expected integer syllables, got dtype \|S4"),
        (np.zeros(2, [("a", int)]), r"recording 'm/a': expected integer syllables, got dtype \["),
        ([1j], r"recording 'm/a': expected integer syllables, got dtype complex128"),
    ],
)
def test_wrong_datasets(tmp_path, values, message):
    path = tmp_path / "results.h5"
    with h5py.File(path, "w") as file:
        file["m/a/syllable"] = values
    with pytest.raises(ValueError, match=message) as error:
        load_keypoint_moseq(path)
    assert str(path) in str(error.value)


def test_groups_without_syllables(tmp_path):
    path = write_results(tmp_path / "results.h5")
    with h5py.File(path, "a") as file:
        file["mouse4/centroid"] = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"'mouse4': expected a dataset 'syllable', got \['cen"):
        load_keypoint_moseq(path)
    with h5py.File(path, "a") as file:
        del file["mouse4"]
        file.create_group("day2/mouse5")
    with pytest.raises(ValueError, match=r"'day2/mouse5': expected a dataset 'syllable', got \[\]"):
        load_keypoint_moseq(path)
    h5py.File(tmp_path / "empty.h5", "w").close()
    with pytest.raises(ValueError, match=r"empty.h5 holds no recording"):
        load_keypoint_moseq(tmp_path / "empty.h5")


def test_recordings_in_and_beside_recordings(tmp_path):
    path = tmp_path / "results.h5"
    with h5py.File(path, "w") as file:
        file["version"] = "1.0"
        file["a/syllable"] = [1]
        file["a/b/syllable"] = [2]
        file["a/notes/camera"] = 3  # below a recording anything may stand
        file["syllable/syllable"] = [4]  # a recording of this name
    assert_holds(load_keypoint_moseq(path), {"a": [1], "a/b": [2], "syllable": [4]})
    with h5py.File(tmp_path / "mouse7.h5", "w") as file:
        file["syllable"] = [5, 6]
        file["notes/camera"] = 3
    assert_holds(load_keypoint_moseq(tmp_path / "mouse7.h5"), {"mouse7": [5, 6]})
    with h5py.File(tmp_path / "mouse7.h5", "a") as file:
        file["mouse7/syllable"] = [5, 6]
    with pytest.raises(ValueError, match="two groups give recording 'mouse7'"):
        load_keypoint_moseq(tmp_path / "mouse7.h5")


def test_loops_of_groups_end(tmp_path):
    path = write_results(tmp_path / "results.h5")
    with h5py.File(path, "a") as file:
        file["day1/again"] = file["day1"]
        file["mouse3/up"] = file["/"]
    assert_holds(load_keypoint_moseq(path), SYLLABLES)


@pytest.mark.parametrize("place", ["link", "day1/link", "mouse3/syllable"])
@pytest.mark.parametrize("kind", ["soft", "external", "dangling"])
def test_links_are_not_followed(tmp_path, monkeypatch, place, kind):
    path = write_results(tmp_path / "results.h5")
    write_results(tmp_path / "other.h5")
    link = {
        "soft": h5py.SoftLink("/day1"),
        "external": h5py.ExternalLink(str(tmp_path / "other.h5"), "/mouse3"),
        "dangling": h5py.SoftLink("/nowhere"),
    }[kind]
    with h5py.File(path, "a") as file:
        if place in file:
            del file[place]
        file[place] = link
    key = place.split("/")[-1]
    # The other file cannot be opened: were the link followed, that would be the error.
    (tmp_path / "other.h5").write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match=f"'{key}' is a link to elsewhere, which is not followed"):
        load_keypoint_moseq(path)


def test_data_kept_in_other_files_are_not_read(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(16))
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        external = [(str(tmp_path / "secret"), 0, 16)]
        file.create_dataset("a/syllable", shape=(4,), dtype="i4", external=external)
    layout = h5py.VirtualLayout(shape=(20,), dtype="i4")
    write_results(tmp_path / "other.h5")
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", f"{NAMES[0]}/syllable", shape=(20,))
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("a/syllable", layout)
    for name in ("raw.h5", "virtual.h5"):
        with pytest.raises(ValueError, match=r"recording 'a': .* kept in another file"):
            load_keypoint_moseq(tmp_path / name)


@pytest.mark.parametrize("chunks", [None, (1_000_000,)])
def test_sizes_are_refused_before_memory_is_taken(tmp_path, chunks):
    path = tmp_path / "results.h5"
    n_frames = 10**13 if chunks else 10**9
    with h5py.File(path, "w") as file:
        packed = {"chunks": chunks, "compression": "gzip"} if chunks else {}
        file.create_dataset("a/syllable", shape=(n_frames,), dtype="i4", **packed)
    assert path.stat().st_size < 10_000
    with pytest.raises(
        ValueError, match=rf"'a': declares {n_frames:,} frames, which a file of .* cannot hold"
    ):
        load_keypoint_moseq(path, max_frames=10**15)


def test_chunks_are_counted(tmp_path):
    path = tmp_path / "results.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "a/syllable", shape=(2,), dtype="i4", maxshape=(None,), chunks=(200_000_000,)
        )
    with pytest.raises(ValueError, match="declares 200,000,000 frames, which a file of"):
        load_keypoint_moseq(path)


def test_max_frames_is_of_all_recordings(tmp_path):
    path = write_results(tmp_path / "results.h5")
    assert len(load_keypoint_moseq(path, max_frames=81).names) == 3
    with pytest.raises(ValueError, match="declares 81 frames, expected max_frames=80 at most"):
        load_keypoint_moseq(path, max_frames=80)


def test_data_that_pack_well_are_no_bomb(tmp_path):
    path = tmp_path / "results.h5"
    values = np.full(3_000_000, 7)
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "a/syllable", data=values, compression="gzip", compression_opts=9, chunks=(1_000_000,)
        )
    assert values.nbytes > 500 * path.stat().st_size
    np.testing.assert_array_equal(load_keypoint_moseq(path).sequences[0], values)


def test_files_that_are_not_hdf5(tmp_path):
    path = tmp_path / "results.h5"
    path.write_text("syllable\n1\n")
    with pytest.raises(ValueError, match=r"results.h5 is not an HDF5 file: expected results.h5"):
        load_keypoint_moseq(path)
    whole = write_results(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"results.h5 cannot be read: "):
        load_keypoint_moseq(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is not an HDF5 file"):
        load_keypoint_moseq(path)


# the folder results


def csv_names(syllables=SYLLABLES):
    return [name.replace("/", "-") for name in syllables]


@pytest.mark.parametrize("column", ["syllable", "syllables"])
def test_results_csv(tmp_path, column):
    folder = write_results_csv(tmp_path / "results", column=column)
    (folder / "._mouse3.csv").write_bytes(b"\x00\x05\x16\x07")  # as macOS leaves behind
    (folder / "notes.txt").write_text("nothing")
    (folder / "older.csv").mkdir()
    data = load_keypoint_moseq_csv(folder, frame_rate=60)
    assert_holds(data, SYLLABLES, names=csv_names())
    assert data.frame_rate == 60.0
    assert data.groups is None
    assert f"results, column {column!r}: 3 recording(s)" in data.source


def test_results_csv_errors(tmp_path):
    folder = write_results_csv(tmp_path / "results", {"a": [1, 2], "b": [0, 1]})
    with pytest.raises(
        NotADirectoryError, match=r"takes a folder, got .*a.csv. Single files: load"
    ):
        load_keypoint_moseq_csv(folder / "a.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"at least one .csv file, got none in .*empty"):
        load_keypoint_moseq_csv(tmp_path / "empty")
    (folder / "c.csv").write_text("centroid x,heading\n1.0,2.0\n")
    with pytest.raises(
        ValueError,
        match=r"c.csv has no column 'syllable' .* columns are 'centroid x', 'heading'",
    ):
        load_keypoint_moseq_csv(folder)
    (folder / "c.csv").write_text("syllables reindexed\n1\n")
    with pytest.raises(ValueError, match=r"results: expected one column of syllables in all"):
        load_keypoint_moseq_csv(folder)


# moseq_df.csv


def test_moseq_dataframe(tmp_path):
    table = moseq_df()
    table.to_csv(tmp_path / "moseq_df.csv", index=False)
    for source in (tmp_path / "moseq_df.csv", str(tmp_path / "moseq_df.csv"), table):
        data = load_moseq_dataframe(source, frame_rate=30)
        assert_holds(data, SYLLABLES)
        assert data.groups == ["saline", "drug", "saline"]
        assert [f.tolist() for f in data.frames] == [list(range(len(s))) for s in data.sequences]
        assert all(frames.dtype == np.int64 for frames in data.frames)


def test_onsets_are_not_those_of_the_file():
    table = moseq_df({"a": [1, 1, 2], "b": [2, 2, 3]})
    assert table["onset"].tolist() == [True, False, True, False, False, True]
    data = load_moseq_dataframe(table)
    assert [o.tolist() for o in data.onsets] == [[True, False, True], [True, False, True]]


def test_rows_may_stand_in_any_order(tmp_path):
    table = moseq_df()
    shuffled = table.sample(frac=1, random_state=0)
    names = list(dict.fromkeys(shuffled["name"]))
    assert names != list(SYLLABLES)
    expected = {name: SYLLABLES[name] for name in names}
    assert_holds(load_moseq_dataframe(shuffled), expected)
    shuffled.to_csv(tmp_path / "moseq_df.csv")  # with the index as an unnamed first column
    data = load_moseq_dataframe(tmp_path / "moseq_df.csv")
    assert_holds(data, expected)
    assert data.groups == [{"day1/mouse2.top.ir": "drug"}.get(name, "saline") for name in names]


@pytest.mark.parametrize("name", ["session_name", "file_name", "uuid"])
def test_moseq_dataframe_of_earlier_versions(name):
    table = moseq_df().rename(columns={"name": name})
    table["syllables_reindexed"] = table["syllable"] + 50
    if name != "uuid":
        table["uuid"] = "4b7f"
    data = load_moseq_dataframe(table.drop(columns="group"))
    assert_holds(data, SYLLABLES)
    assert data.groups is None


def test_moseq_dataframe_without_frame_index_keeps_the_order_of_rows():
    data = load_moseq_dataframe(moseq_df().drop(columns="frame_index"))
    assert_holds(data, SYLLABLES)
    assert data.frames is None
    with pytest.raises(ValueError, match="the table: fill_gaps=True needs a column of frame numb"):
        load_moseq_dataframe(moseq_df().drop(columns="frame_index"), fill_gaps=True)


def test_gaps_and_repeats_of_frames():
    table = moseq_df({"a": [0, 1, 2, 3, 4], "b": [5, 6, 7]})
    gaps = table.drop(index=[2, 3])
    with pytest.raises(
        ValueError,
        match=r"the table, recording 'a', row 2: frame 4 comes after frame 1 \(row 1\), which "
        r"leaves out 2. 3 of 4 rows follow directly .* fill_gaps=True makes the 2 frames",
    ):
        load_moseq_dataframe(gaps)
    data = load_moseq_dataframe(gaps, fill_gaps=True)
    assert_holds(data, {"a": [0, 1, -1, -1, 4], "b": [5, 6, 7]})
    assert [frames.tolist() for frames in data.frames] == [[0, 1, 2, 3, 4], [0, 1, 2]]

    repeated = pd.concat([table, table.iloc[[6]]])
    for fill_gaps in (False, True):
        with pytest.raises(
            ValueError,
            match=r"recording 'b', row 8: expected every frame .* but frame 1 is in row 6 too",
        ):
            load_moseq_dataframe(repeated, fill_gaps=fill_gaps)


@pytest.mark.parametrize("second", [-1, 101, 102, 103, 500])
def test_frames_may_begin_anywhere(second):
    table = moseq_df({"a": [0, 1, 2], "b": [5, 6]})
    table["frame_index"] += np.array([100, 100, 100, second, second])
    data = load_moseq_dataframe(table)
    assert [frames.tolist() for frames in data.frames] == [[100, 101, 102], [second, second + 1]]


def test_times_are_not_taken_for_frames():
    table = moseq_df({"a": [0, 1, 2]})
    table["frame_index"] *= 2_000
    with pytest.raises(ValueError, match=r"'a': 3 rows, but frames 0 to 4000: .* not times"):
        load_moseq_dataframe(table, fill_gaps=True)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("syllable", "walk", "recording 'a', row 1: expected an integer syllable .* got 'walk'"),
        ("syllable", 1.5, "recording 'a', row 1: expected an integer syllable .* got 1.5"),
        ("syllable", 1e12, "recording 'a', row 1: expected a number up to 2147483646"),
        ("frame_index", "x", "recording 'a', row 1: expected an integer frame number, got 'x'"),
        ("frame_index", 0.5, "recording 'a', row 1: expected an integer frame number, got 0.5"),
        ("frame_index", None, "recording 'a', row 1: expected an integer frame number, got nan"),
        ("frame_index", 1e17, "recording 'a', row 1: expected an integer frame number"),
        ("name", None, "row 1: expected the name of a recording in column 'name', got nothing"),
        ("name", "", "row 1: expected the name of a recording in column 'name', got nothing"),
        ("group", "drug", "'a', row 1: expected one group .* got 'drug' after 'saline' in row 0"),
        ("group", None, "'a', row 1: expected one group .* got .* after 'saline' in row 0"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "frame"])
def test_wrong_cells(tmp_path, kind, column, value, message):
    table = moseq_df({"a": [0, 1, 2], "b": [5, 6]})
    table[column] = table[column].astype(object)
    table.loc[1, column] = value
    source = table
    if kind == "file":
        source = tmp_path / "moseq_df.csv"
        table.to_csv(source, index=False)
    with pytest.raises(ValueError, match=message) as error:
        load_moseq_dataframe(source)
    assert ("moseq_df.csv" if kind == "file" else "the table") in str(error.value)


def test_moseq_dataframe_needs_name_and_syllable():
    for column, message in [
        ("name", "no column 'name' or 'session_name' or 'file_name' or 'uuid'"),
        ("syllable", "no column 'syllable' or 'syllables' or"),
    ]:
        with pytest.raises(ValueError, match=f"the table has {message}.*: its columns are "):
            load_moseq_dataframe(moseq_df().drop(columns=column))


# any table


def by_plain_python(path, *, fill):
    """Recordings of a CSV file with columns id, t, s, g, read without pandas or NumPy."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(dict.fromkeys(row["id"] for row in rows))
    labels, frames, groups = {}, {}, []
    for name in names:
        own = {int(row["t"]): row for row in rows if row["id"] == name}
        first, last = min(own), max(own)
        assert fill or len(own) == last - first + 1
        frames[name] = list(range(first, last + 1))
        labels[name] = [
            max(int(own[t]["s"]), -1) if t in own and own[t]["s"] else -1 for t in frames[name]
        ]
        groups.append(next(iter(own.values()))["g"] or None)
    return labels, frames, groups


@pytest.mark.parametrize("seed", range(6))
def test_tables_are_what_plain_python_reads(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(hhmm.datasets._csv_files, "_BLOCK", 7)  # several blocks of rows
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(5):
        frames = np.sort(rng.choice(40, size=rng.integers(1, 25), replace=False)) + 10 * i
        for t in frames:
            label = "" if rng.random() < 0.2 else int(rng.integers(-3, 9))
            rows.append([f"0{i}", t, label, ["", "NA", "control"][i % 3], rng.normal()])
    rng.shuffle(rows)
    path = tmp_path / "table.csv"
    pd.DataFrame(rows, columns=["id", "t", "s", "g", "x"]).to_csv(path, index=False)
    labels, frames, groups = by_plain_python(path, fill=True)

    data = load_table(path, recording="id", syllable="s", frame="t", group="g", fill_gaps=True)
    assert_holds(data, labels)
    assert [f.tolist() for f in data.frames] == list(frames.values())
    assert data.groups == groups


def test_names_and_groups_are_read_as_text(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("id,s,g\n007,1,1\n007,2,1\nNA,3,null\n1e3,4,01\n")
    data = load_table(path, recording="id", syllable="s", group="g")
    assert data.names == ["007", "NA", "1e3"]
    assert data.groups == ["1", "null", "01"]


def test_frames_of_other_types():
    table = pd.DataFrame(
        {
            "id": pd.Categorical(["b", "b", "a"]),
            "nullable": pd.array([1, None, 2], dtype="Int64"),
            "category": pd.Categorical([1, None, 2]),
            "text": ["1", None, "2"],
            "float": [1.0, np.nan, 2.0],
            "group": pd.Categorical(["x", "x", None]),
        },
        index=[5, 5, 5],
    )
    for column in ("nullable", "category", "text", "float"):
        data = load_table(table, recording="id", syllable=column, group="group")
        assert_holds(data, {"b": [1, -1], "a": [2]})
        assert data.groups == ["x", None]


def test_recordings_may_alternate():
    table = pd.DataFrame({"id": ["b", "a", "b", "a", "b"], "s": [0, 1, 2, 3, 4]})
    assert_holds(load_table(table, recording="id", syllable="s"), {"b": [0, 2, 4], "a": [1, 3]})


def test_a_table_is_not_changed():
    table = moseq_df().sample(frac=1, random_state=1)
    table["label"] = pd.Series([np.nan, "a"] * len(table), dtype=object)
    before = table.copy()
    load_moseq_dataframe(table, n_lags=3)
    load_table(table, recording="name", syllable="label", integer_labels=False)
    pd.testing.assert_frame_equal(table, before)


def test_labels_that_are_no_integers(tmp_path):
    path = tmp_path / "songs.csv"
    path.write_text("song,note\n1,a\n1,a\n1,\n1,NA\n2,01\n2,1\n")
    with pytest.raises(
        ValueError,
        match=r"recording '1', row 0: .* got 'a'. Load labels that are no integers with "
        r"integer_labels=False and number them by hhmm.preprocessing.SyllableEncoder",
    ):
        load_table(path, recording="song", syllable="note")
    lists = pd.DataFrame({"song": 1, "note": pd.Series([0, None, [1, 2], 1j], dtype=object)})
    with pytest.raises(ValueError, match=r"row 2: expected an integer syllable .* got \[1, 2\]"):
        load_table(lists, recording="song", syllable="note")
    data = load_table(path, recording="song", syllable="note", integer_labels=False)
    assert all(sequence.dtype == object for sequence in data.sequences)
    assert [s.tolist() for s in data.sequences] == [["a", "a", None, "NA"], ["01", "1"]]
    assert [o.tolist() for o in data.onsets] == [onsets_by_loop(s) for s in data.sequences]
    assert "1 of them missing" in data.source

    table = pd.DataFrame(
        {"song": [1, 1, 1, 1], "t": [0, 1, 4, 5], "note": ["a", None, "b", np.nan]}
    )
    data = load_table(
        table, recording="song", syllable="note", frame="t", fill_gaps=True, integer_labels=False
    )
    assert data.sequences[0].tolist() == ["a", None, None, None, "b", None]


def test_different_values_of_one_name():
    table = pd.DataFrame({"id": [1, "1"], "s": [0, 1]})
    with pytest.raises(ValueError, match="column 'id' holds different values that read '1'"):
        load_table(table, recording="id", syllable="s")


def test_columns_must_be_there_once():
    table = pd.DataFrame([[1, 2, 3, 4]], columns=["id", "s", "s", "t"])
    with pytest.raises(ValueError, match="the table has 2 columns 's': expected one"):
        load_table(table, recording="id", syllable="s")
    for argument in ("recording", "syllable", "frame", "group"):
        chosen = {"recording": "id", "syllable": "t", argument: "other"}
        with pytest.raises(
            ValueError, match="the table has no column 'other': its columns are 'id', 's', 's', 't'"
        ):
            load_table(table, **chosen)
    with pytest.raises(ValueError, match="the table has no rows"):
        load_table(table.iloc[:0], recording="id", syllable="t")


# one file a recording


def test_syllable_csv(tmp_path):
    for name, values in SYLLABLES.items():
        path = tmp_path / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        pd.DataFrame({"syllable": values, "x": 0.5, "y": 1.5}).to_csv(path, index=False)
    data = load_syllable_csv(tmp_path, recursive=True, frame_rate=30)
    assert_holds(data, SYLLABLES)
    assert data.frame_rate == 30.0
    assert_holds(load_syllable_csv(tmp_path), {"mouse3": SYLLABLES["mouse3"]})
    paths = [tmp_path / "mouse3.csv", str(tmp_path / "day1" / "mouse1.top.ir.csv")]
    data = load_syllable_csv(paths)
    assert data.names == ["mouse3", "mouse1.top.ir"]
    assert data.sequences[1].tolist() == SYLLABLES[NAMES[0]].tolist()
    assert load_syllable_csv(paths[0]).names == ["mouse3"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("syllable,x,y\n3,0,0\n,1,1\nnan,1,1\n-4,1,1\n2.0,1,1\n", [3, -1, -1, -1, 2]),
        ("x,syllable\n\n0,3\n\n0,4\n\n", [3, 4]),
        ("syllable\n3\n\n4\n", [3, -1, 4]),
        ("syllable\r\n3\r\n4\r\n", [3, 4]),
        ("syllable\n3\n4", [3, 4]),
        ("\ufeffsyllable,x\n3,0\n", [3]),
        ('"syllable","x"\n"3","a, b"\n', [3]),
    ],
)
def test_csv_dialects(tmp_path, text, expected):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    assert_holds(load_syllable_csv(path), {"a": expected})


def test_csv_separator_column_and_frames(tmp_path):
    path = tmp_path / "a.CSV"
    path.write_text("t;label\n7;1\n5;0\n9;2\n")
    data = load_syllable_csv(tmp_path, sep=";", syllable="label", frame="t", fill_gaps=True)
    assert_holds(data, {"a": [0, -1, 1, -1, 2]})
    assert data.frames[0].tolist() == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "a.csv is empty"),
        (b"\n\n", "a.csv is empty"),
        (b"syllable,x\n", "a.csv has no rows"),
        (b"syllable;x\n1;2\n", "a.csv has no ',' .* It looks separated by ';': pass sep=';'"),
        (b"syllable;x, y;z\n1;2,3;4\n", "a.csv has no column.* separated by ';': pass sep=';'"),
        (b"syllable\tx\n1\t2,5\n", r"looks separated by '\\t': pass sep='\\t'"),
        (b"x;syllable, s;y\n1,5;2;3,5;1\n", "not a table: .*separated by ';': pass sep=';'"),
        (b"syllable,syllable\n1,2\n", "a.csv has 2 columns 'syllable'"),
        (b"syllable,x\n1,2\nwalk,2\n", "a.csv, row 1: expected an integer syllable .* got 'walk'"),
        (b"syllable,x\n1,2\n1.5,2\n", "a.csv, row 1: expected an integer syllable .* got 1.5"),
        (b"syllable,x\n1,2\n-inf,2\n", "a.csv, row 1: expected an integer syllable .* got -inf"),
        (b"syllable,x\n" + b"9" * 30 + b",2\n", "a.csv, row 0: expected a number up to"),
        (b"syllable,x\n0,1,2\n1,1,2\n", "a.csv is not a table: Expected 2 fields .* saw 3"),
        (b"syllable,x\n0,1\n1,1,2\n", "a.csv is not a table: Expected 2 fields .* saw 3"),
        (b'syllable,x\n0,"1\n', "a.csv is not a table: "),
        (b"syllable,x\n1,\xff\n", "a.csv is not text in UTF-8: "),
        (b"\x1f\x8b\x08\x00", "a.csv is not text in UTF-8: "),
    ],
)
def test_files_that_are_no_table(tmp_path, text, message):
    path = tmp_path / "a.csv"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=message):
        load_syllable_csv(path)


@pytest.mark.parametrize("block", [1, 2, 3])
@pytest.mark.parametrize("bad", range(1, 6))
def test_a_row_with_too_many_cells_is_found_in_every_block(tmp_path, monkeypatch, block, bad):
    monkeypatch.setattr(hhmm.datasets._csv_files, "_BLOCK", block)
    rows = ["1,2"] * 6
    rows[bad] = "1,2,3"
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["x,syllable", *rows]) + "\n")
    with pytest.raises(ValueError, match=r"Expected 2 fields .* saw 3"):
        load_syllable_csv(path)


def test_two_files_of_one_name(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.csv").write_text("syllable\n1\n")
    paths = [tmp_path / "a" / "m.csv", tmp_path / "b" / "m.csv"]
    with pytest.raises(ValueError, match=r"two files give recording 'm': .*a.m.csv and .*b.m.csv"):
        load_syllable_csv(paths)
    with pytest.raises(ValueError, match=r"at least one .csv file, got none in \[\]"):
        load_syllable_csv([])


def test_paths_are_taken_as_they_are(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("syllable\n1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("~/a.csv", "*.csv", "$HOME/a.csv", "file://" + str(tmp_path / "a.csv")):
        with pytest.raises(FileNotFoundError, match="there is no file "):
            load_syllable_csv(path)
        with pytest.raises(FileNotFoundError, match="there is no file "):
            load_table(path, recording="a", syllable="syllable")


LOADERS = {
    load_keypoint_moseq: {},
    load_moseq_dataframe: {},
    load_table: {"recording": "name", "syllable": "syllable"},
    load_syllable_csv: {},
}


@pytest.mark.parametrize("loader", LOADERS)
def test_paths_that_are_no_file(tmp_path, loader):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing.h5"):
        loader(tmp_path / "nothing.h5", **LOADERS[loader])
    if loader is not load_syllable_csv:
        with pytest.raises(IsADirectoryError, match="expected a file, got the folder"):
            loader(tmp_path, **LOADERS[loader])
    if loader in (load_syllable_csv, load_keypoint_moseq_csv):
        for given in (3, None, [3]):
            with pytest.raises(TypeError, match=r"expected a path .* a list of files, got (3|N)"):
                loader(given, **LOADERS[loader])
    if loader in (load_table, load_moseq_dataframe):
        with pytest.raises(TypeError, match=r"takes a path, or a table of .* got builtins.dict"):
            loader({"name": [1]}, **LOADERS[loader])


@pytest.mark.parametrize("loader", [*LOADERS, load_keypoint_moseq_csv])
@pytest.mark.parametrize("frame_rate", [0, -30, np.nan, np.inf, "30"])
def test_frame_rate_is_checked_first(loader, frame_rate):
    with pytest.raises(ValueError, match="'frame_rate' parameter of load_"):
        loader("nothing", frame_rate=frame_rate, **LOADERS.get(loader, {}))


def test_options_are_checked_first():
    with pytest.raises(
        ValueError, match="'n_lags' parameter of load_keypoint_moseq must be an int"
    ):
        load_keypoint_moseq("nothing", n_lags=-1)
    with pytest.raises(ValueError, match="'fill_gaps' parameter of load_moseq_dataframe"):
        load_moseq_dataframe("nothing", fill_gaps="yes")
    with pytest.raises(ValueError, match="'recording' parameter of load_table"):
        load_table("nothing", recording=None, syllable="s")
    with pytest.raises(ValueError, match="sep must be a single character, got 'ab'"):
        load_table(__file__, recording="r", syllable="s", sep="ab")


def test_states_of_events_are_beside_their_labels_and_times(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("id,start,label\na,2.5,groom\na,0.5,rear\na,4,\nb,1,rear\nb,2,run\n")
    columns = {"recording": "id", "syllable": "label", "onset": "start", "integer_labels": False}
    data = load_table(path, **columns)
    states = [np.array([0, 1, 1]), np.array([1, 0])]
    given = {"syllables": data.sequences, "times": data.times}
    paths = save_states(tmp_path / "states", states, data.names, **given)
    assert paths[0].read_text().splitlines() == [
        *("frame,time,syllable,state", "0,0.5,rear,0", "1,2.5,groom,1", "2,4.0,,1"),
    ]
    again = load_syllable_csv(tmp_path / "states", integer_labels=False)
    assert [row.tolist() for row in again.sequences] == [["rear", "groom", None], ["rear", "run"]]
    with pytest.raises(TypeError, match="format 'h5' needs syllables that are integers"):
        save_states(tmp_path / "states.h5", states, data.names, **given)
    save_states(tmp_path / "states.h5", states, data.names, times=data.times)
    with h5py.File(tmp_path / "states.h5") as file:
        assert file["a/time"][:].tolist() == [0.5, 2.5, 4.0]
    with pytest.raises(ValueError, match="got 1 of times beside 2"):
        save_states(tmp_path / "more", states, data.names, times=[data.times[0], [1.0]])
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize("function", [*LOADERS, load_keypoint_moseq_csv, save_states])
def test_what_needs_an_extra_says_so(tmp_path, monkeypatch, function):
    module = "h5py" if function is load_keypoint_moseq else "pandas"
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "a.csv").write_text("name,syllable\na,1\n")
    path = tmp_path if function in (load_keypoint_moseq_csv, save_states) else tmp_path / "a.csv"
    arguments = {save_states: {"states": [[0]], "names": ["a"]}, **LOADERS}.get(function, {})
    message = f"{function.__name__} needs {module}: pip install {module}, or .* the extra 'io'"
    with pytest.raises(ImportError, match=message):
        function(path, **arguments)


# states written back

STATES = [[0, 0, 1, -1], [1, 1], [2]]
LABELS = [[4, 4, 2, -1], [2, 7], [0]]


def rows_of(lists, *, n_timesteps=6):
    rows = np.full((len(lists), n_timesteps), -1)
    for row, values in zip(rows, lists, strict=True):
        row[: len(values)] = values
    return rows


def probabilities_of(lists, *, n_states=3, dtype=float):
    rng = np.random.default_rng(0)
    return [rng.dirichlet(np.ones(n_states), len(values)).astype(dtype) for values in lists]


def test_csv_holds_what_was_given(tmp_path):
    folder = tmp_path / "states"
    paths = save_states(folder, STATES, NAMES, syllables=LABELS)
    assert paths == [folder / f"{name}.csv" for name in NAMES]
    assert sorted(tree(folder)) == ["day1", *(f"{name}.csv" for name in NAMES)]
    lines = paths[0].read_text().splitlines()
    assert lines == ["frame,syllable,state", "0,4,0", "1,4,0", "2,2,1", "3,-1,-1"]
    assert_holds(load_syllable_csv(folder, recursive=True), dict(zip(NAMES, LABELS, strict=True)))
    states = load_syllable_csv(folder, syllable="state", frame="frame", recursive=True)
    assert_holds(states, dict(zip(NAMES, STATES, strict=True)))


def probabilities_in(path):
    """Header and probabilities of a file; Python reads every digit, which pandas may not."""
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    first = header.index("probability_0")
    return header, np.array([[float(cell or "nan") for cell in row[first:]] for row in rows])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_keep_their_precision(tmp_path, dtype):
    probabilities = probabilities_of(STATES, dtype=dtype)
    probabilities[0][3] = np.nan
    save_states(tmp_path / "csv", STATES, NAMES, probabilities=probabilities)
    save_states(tmp_path / "states.h5", STATES, NAMES, probabilities=probabilities)
    for name, expected in zip(NAMES, probabilities, strict=True):
        header, values = probabilities_in(tmp_path / "csv" / f"{name}.csv")
        assert header == ["frame", "state", "probability_0", "probability_1", "probability_2"]
        np.testing.assert_array_equal(values.astype(dtype), expected)
        with h5py.File(tmp_path / "states.h5") as file:
            assert file[name]["state_probability"].dtype == dtype
            np.testing.assert_array_equal(file[name]["state_probability"][()], expected)


def test_h5_holds_what_was_given(tmp_path):
    path = tmp_path / "states.h5"
    frames = [np.arange(len(values)) + 100 for values in STATES]
    assert save_states(path, STATES, NAMES, syllables=LABELS, frames=frames) == [path]
    assert list(tree(tmp_path)) == ["states.h5"]
    with h5py.File(path) as file:
        for name, states, labels, numbers in zip(NAMES, STATES, LABELS, frames, strict=True):
            assert sorted(file[name]) == ["frame", "state", "syllable"]
            assert file[name]["state"].dtype == file[name]["syllable"].dtype == np.int32
            assert file[name]["state"][()].tolist() == states
            assert file[name]["syllable"][()].tolist() == labels
            assert file[name]["frame"][()].tolist() == numbers.tolist()
    assert_holds(load_keypoint_moseq(path), dict(zip(NAMES, LABELS, strict=True)))


@pytest.mark.parametrize("format", ["csv", "h5"])
def test_every_form_writes_the_same(tmp_path, format):
    def written(name, states, **given):
        path = tmp_path / name
        save_states(path, states, NAMES, format=format, **given)
        return read_states_of(path, format)

    states, labels = [[0, 0, 1], [1, 1], [2]], [[4, 4, 2], [2, 7], [0]]
    probabilities = probabilities_of(states)
    padded = np.full((3, 6, 3), np.nan)
    for row, values in zip(padded, probabilities, strict=True):
        row[: len(values)] = values
    expected = written("a", states, syllables=labels, probabilities=probabilities)
    in_rows = written("b", rows_of(states), syllables=rows_of(labels), probabilities=padded)
    mixed = written("c", rows_of(states), syllables=labels, probabilities=padded)
    swapped = written("d", states, syllables=rows_of(labels), probabilities=probabilities)
    masked = np.ma.masked_less(rows_of(states), 0)
    assert expected == in_rows == mixed == swapped
    assert written("e", masked) == written("f", states)


def read_states_of(path, format):
    if format == "csv":
        return tree(path)
    with h5py.File(path) as file:
        return {
            (name, key): values[()].tolist() for name in NAMES for key, values in file[name].items()
        }


def test_one_sequence(tmp_path):
    states = np.array([0, 1, 1])
    probabilities = probabilities_of([states])[0]
    for i, (given, names, chances) in enumerate(
        [(states, "a", probabilities), (states, ["a"], [probabilities]), ([states], ["a"], None)]
    ):
        path = save_states(tmp_path / str(i), given, names, probabilities=chances, frames=[5, 6, 8])
        assert pd.read_csv(path[0])["frame"].tolist() == [5, 6, 8]
        assert pd.read_csv(path[0])["state"].tolist() == [0, 1, 1]


def test_padding_is_not_written_but_missing_timesteps_are(tmp_path):
    # The states of a 2-D array end with their syllables, or with the lists beside them.
    states = np.array([[0, -1, 1, -1, -1], [1, -1, -1, -1, -1]])
    syllables = np.array([[3, -1, 4, 4, -1], [2, -1, -1, -1, -1]])
    paths = save_states(tmp_path / "a", states, ["a", "b"], syllables=syllables)
    assert [len(pd.read_csv(path)) for path in paths] == [4, 1]
    paths = save_states(tmp_path / "b", states, ["a", "b"])
    assert pd.read_csv(paths[0])["state"].tolist() == [0, -1, 1]
    paths = save_states(tmp_path / "c", states, ["a", "b"], frames=[range(5), range(2)])
    assert [pd.read_csv(p)["state"].tolist() for p in paths] == [[0, -1, 1, -1, -1], [1, -1]]


def test_a_recording_without_timesteps(tmp_path):
    paths = save_states(tmp_path / "a", [[], [1]], ["a", "b"], syllables=[[], [2]])
    assert paths[0].read_text().splitlines() == ["frame,syllable,state"]
    save_states(
        tmp_path / "a.h5", [[], [1]], ["a", "b"], probabilities=[np.zeros((0, 2)), [[0, 1]]]
    )
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["a/state"].shape == (0,)


def test_from_files_to_states_and_back(tmp_path):
    rng = np.random.default_rng(0)
    model = EfficientHHMM.from_params(
        rng.normal(size=(6, 5)), 2 * rng.normal(size=(1, 5)), [[0.9, 0.1], [0.1, 0.9]]
    )
    write_results(tmp_path / "results.h5", dict(zip("abc", SYLLABLES.values(), strict=True)))
    recordings = load_keypoint_moseq(tmp_path / "results.h5", n_lags=3)
    states = model.predict(recordings.sequences)
    assert [len(row) for row in states] == [len(row) for row in recordings.sequences]
    probabilities = probabilities_of(states, n_states=2)
    given = {"syllables": recordings.sequences, "probabilities": probabilities}
    save_states(tmp_path / "states", states, recordings.names, **given)
    save_states(tmp_path / "states.h5", states, recordings.names, **given)
    back = load_syllable_csv(tmp_path / "states", syllable="state")
    assert_holds(back, dict(zip("abc", states, strict=True)))
    assert_holds(
        load_keypoint_moseq(tmp_path / "states.h5"),
        dict(zip("abc", recordings.sequences, strict=True)),
    )
    _, values = probabilities_in(tmp_path / "states" / "b.csv")
    np.testing.assert_array_equal(values, probabilities[1])


def test_format_is_told_by_the_name(tmp_path):
    assert save_states(tmp_path / "a.hdf5", [[0]], ["m"]) == [tmp_path / "a.hdf5"]
    assert save_states(str(tmp_path / "b"), [[0]], ["m"]) == [tmp_path / "b" / "m.csv"]
    assert save_states(tmp_path / "c", [[0]], ["m"], format="h5") == [tmp_path / "c"]
    assert save_states(tmp_path / "d.h5", [[0]], ["m"], format="csv") == [
        tmp_path / "d.h5" / "m.csv"
    ]
    for path in ("e.csv", "c"):
        with pytest.raises(ValueError, match=r"one file a recording into a folder, got .*"):
            save_states(tmp_path / path, [[0]], ["m"], format="csv")
    with pytest.raises(ValueError, match="'format' parameter of save_states"):
        save_states(tmp_path / "f", [[0]], ["m"], format="json")


def test_what_is_there_is_kept(tmp_path):
    save_states(tmp_path / "a", [[0], [1]], ["x", "y"])
    save_states(tmp_path / "a.h5", [[0], [1]], ["x", "y"])
    before = tree(tmp_path)
    for path, there in [("a", "y.csv"), ("a.h5", "a.h5")]:
        with pytest.raises(FileExistsError, match=rf"{there} is there already: overwrite=True"):
            save_states(tmp_path / path, [[5], [6]], ["z", "y"])
    assert tree(tmp_path) == before
    save_states(tmp_path / "a", [[5], [6]], ["z", "y"], overwrite=True)
    save_states(tmp_path / "a.h5", [[5], [6]], ["z", "y"], overwrite=True)
    after = tree(tmp_path)
    assert sorted(after) == ["a", "a.h5", "a/x.csv", "a/y.csv", "a/z.csv"]
    assert after["a/x.csv"] == before["a/x.csv"]
    assert load_syllable_csv(tmp_path / "a" / "y.csv", syllable="state").sequences[0].tolist() == [
        6
    ]
    with h5py.File(tmp_path / "a.h5") as file:
        assert sorted(file) == ["y", "z"]


@pytest.mark.parametrize("frames", [{0: [5], 1: [6]}, 7])
def test_frames_are_a_list(tmp_path, frames):
    with pytest.raises(
        TypeError, match="frames must be an array or a list of arrays, got a single"
    ):
        save_states(tmp_path / "a", [[0], [1]], ["x", "y"], frames=frames)


def fail_at(monkeypatch, place, name, *, call):
    """Make the n-th call of a function fail as a full disk does."""
    function, count = getattr(place, name), itertools.count(1)

    def failing(*args, **kwargs):
        if next(count) == call:
            raise OSError(28, "No space left on device")
        return function(*args, **kwargs)

    monkeypatch.setattr(place, name, failing)


@pytest.mark.parametrize(
    ("place", "name", "call"),
    [
        (pd.DataFrame, "to_csv", 1),
        (pd.DataFrame, "to_csv", 3),
        (os, "fsync", 1),
        (os, "fsync", 3),
        (os, "fsync", 4),
        (os, "replace", 1),
        (os, "replace", 3),
    ],
)
@pytest.mark.parametrize("folder_exists", [False, True])
def test_nothing_half_written_is_left_of_csv(
    tmp_path, monkeypatch, folder_exists, place, name, call
):
    folder = tmp_path / "states"
    if folder_exists:
        folder.mkdir()
        (folder / "other.csv").write_text("mine")
    before = tree(tmp_path)
    with monkeypatch.context() as patch:
        fail_at(patch, place, name, call=call)
        with pytest.raises(OSError, match="No space left"):
            save_states(folder, STATES, NAMES)
    assert tree(tmp_path) == before
    assert len(save_states(folder, STATES, NAMES)) == 3


@pytest.mark.parametrize(
    ("place", "name", "call"),
    [(h5py.Group, "__setitem__", 2), (os, "fsync", 1), (os, "replace", 1)],
)
@pytest.mark.parametrize("exists", [False, True])
def test_nothing_half_written_is_left_of_h5(tmp_path, monkeypatch, exists, place, name, call):
    path = tmp_path / "states.h5"
    if exists:
        save_states(path, [[7]], ["a"])
    before = tree(tmp_path)
    with monkeypatch.context() as patch:
        fail_at(patch, place, name, call=call)
        with pytest.raises(OSError, match="No space left"):
            save_states(path, STATES, NAMES, overwrite=True)
    assert tree(tmp_path) == before


def test_files_that_were_replaced_are_not_taken_away(tmp_path, monkeypatch):
    save_states(tmp_path / "states", [[0], [0]], ["a", "b"])
    with monkeypatch.context() as patch:
        fail_at(patch, os, "replace", call=3)
        with pytest.raises(OSError, match="No space left"):
            save_states(tmp_path / "states", [[1], [1], [1]], ["a", "new", "b"], overwrite=True)
    states = load_syllable_csv(tmp_path / "states", syllable="state")
    assert_holds(states, {"a": [1], "b": [0]})


def test_files_are_on_disk_before_they_have_their_names(tmp_path, monkeypatch):
    events = []
    for name in ("fsync", "replace"):
        function = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *args, n=name, f=function: (events.append(n), f(*args))[1]
        )
    save_states(tmp_path / "states", STATES, NAMES)
    # files, then their names, then the folder and the folder in it
    assert events == ["fsync"] * 3 + ["replace"] * 3 + ["fsync"] * 2
    events.clear()
    save_states(tmp_path / "states.h5", STATES, NAMES)
    assert events == ["fsync", "replace", "fsync"]


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_others_may_read_what_they_may_read_of_any_file(tmp_path):
    (tmp_path / "plain").write_text("")
    expected = stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    paths = save_states(tmp_path / "a", STATES, NAMES) + save_states(
        tmp_path / "a.h5", [[0]], ["m"]
    )
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {expected}


@pytest.mark.parametrize("format", ["csv", "h5"])
@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a",
        "a/../../b",
        "a/..",
        "/a",
        "a//b",
        "a/",
        "a\\b",
        "C:/a",
        "C:a",
        "a\0b",
        "a\nb",
    ],
)
def test_names_stay_in_their_folder(tmp_path, format, name):
    folder = tmp_path / "inner"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"stays in its folder, without '..', '\\', a drive such"):
        save_states(folder / "states", [[0], [1]], ["good", name], format=format)
    assert list(tree(tmp_path)) == ["inner"]


def test_names_of_other_alphabets(tmp_path):
    names = ["día 1/ratón", "マウス", "m 2024-01-01 12:30"]
    save_states(tmp_path / "a.h5", [[0]] * 3, names, syllables=[[1]] * 3)
    assert sorted(load_keypoint_moseq(tmp_path / "a.h5").names) == sorted(names)
    save_states(tmp_path / "a", [[0]] * 3, names, syllables=[[1]] * 3)
    assert load_syllable_csv(tmp_path / "a", recursive=True).names == sorted(names)


@pytest.mark.filterwarnings("error")
def test_names_that_would_be_hidden_files_come_back(tmp_path):
    names = [
        ".x",
        "%2Ex",
        "%252Ex",
        "%",
        "..x",
        "._x",
        ".csv",
        "a/.b",
        ".a/b",
        "%a/.c",
        "x.",
        "a.b",
    ]
    names += [".hhmm-x", "x.csv", "-", "~", "50%"]
    states = [np.array([i, i + 1]) for i in range(len(names))]
    paths = save_states(tmp_path / "a", states, names)
    assert not any(part.startswith(".") for path in paths for part in path.parts)
    for path in (tmp_path / "a", tmp_path / "a.h5"):
        if path.suffix:
            save_states(path, states, names, syllables=states)
            read = load_keypoint_moseq(path)
        else:
            read = load_syllable_csv(path, syllable="state", recursive=True)
        assert sorted(read.names) == sorted(names)
        for name, sequence in zip(read.names, read.sequences, strict=True):
            np.testing.assert_array_equal(sequence, dict(zip(names, states, strict=True))[name])
    one_by_one = load_syllable_csv([paths[0]], syllable="state")
    assert one_by_one.names == names[:1]


@pytest.mark.parametrize(
    ("format", "names", "message"),
    [
        ("csv", ["a", "a"], "differ in more than upper and lower case, got 'a' and 'a'"),
        ("csv", ["a", "A"], "differ in more than upper and lower case, got 'a' and 'A'"),
        ("h5", ["a", "a"], "names must differ, got 'a' and 'a'"),
        ("csv", ["a.csv/b", "a"], "'a.csv/b' would be written into what is written for 'a'"),
        ("h5", ["a", "a/state"], "'a/state' would be written into what is written for 'a'"),
        ("h5", ["a/state/b", "a"], "'a/state/b' would be written into what is written for 'a'"),
    ],
)
def test_names_must_have_a_place_each(tmp_path, format, names, message):
    with pytest.raises(ValueError, match=message):
        save_states(tmp_path / "states", [[0], [1]], names, format=format)
    assert tree(tmp_path) == {}


def test_names_that_only_look_alike(tmp_path):
    save_states(tmp_path / "a.h5", [[0], [1], [2]], ["a", "A", "a/b"])
    with h5py.File(tmp_path / "a.h5") as file:
        assert [file[f"{name}/state"][0] for name in ("a", "A", "a/b")] == [0, 1, 2]


@pytest.mark.skipif(os.name != "posix", reason="links of folders")
def test_links_do_not_lead_out_of_the_folder(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "states").mkdir()
    (tmp_path / "states" / "day1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"recording 'day1/m' leads out of .*states by a link"):
        save_states(tmp_path / "states", [[0]], ["day1/m"])
    assert tree(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize("path", ["nowhere/states", "nowhere/states.h5"])
def test_the_folder_around_must_be_there(tmp_path, path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere to write states"):
        save_states(tmp_path / path, [[0]], ["m"])
    assert tree(tmp_path) == {}


def test_folders_in_the_way(tmp_path):
    (tmp_path / "states.h5").mkdir()
    (tmp_path / "states" / "m.csv").mkdir(parents=True)
    for path in ("states.h5", "states"):
        with pytest.raises(IsADirectoryError, match=r"to write a file, but .* is a folder"):
            save_states(tmp_path / path, [[0]], ["m"], overwrite=True)


@pytest.mark.parametrize(
    ("states", "given", "message"),
    [
        ([[0]], {}, "states of 2 recordings, as many as names, got 1"),
        ([[0], [1], [1]], {}, "states of 2 recordings, as many as names, got 3"),
        ([[0], [1]], {"syllables": [[0]]}, "syllables of 2 recordings, as many as names, got 1"),
        ([[0], [1]], {"frames": [[0]]}, "frames of 2 recordings, as many as names, got 1"),
        ([[0], [1]], {"frames": []}, "frames must hold at least one sequence"),
        ([[0], [1]], {"probabilities": []}, "probabilities must hold at least one sequence"),
        ([[0], [1, 1]], {"syllables": [[0], [1]]}, "recording 'b': .* got 1 of syllables beside 2"),
        (
            [[0], [1, -1]],
            {"syllables": [[0], [1]]},
            "recording 'b': .* got 1 of syllables beside 2",
        ),
        (
            np.array([[0, -1], [1, 1]]),
            {"syllables": [[0], [1]]},
            "recording 'b': .* got 2 of states beside 1",
        ),
        (
            np.array([[0, -1], [1, 1]]),
            {"syllables": [[0], [1, 2, 3]]},
            "recording 'b': .* got 2 of states beside 3",
        ),
        ([[0], [1, 1]], {"frames": [[0], [1]]}, "recording 'b': .* got 1 of frames beside 2"),
        (
            [[0], [1]],
            {"frames": [[0], [1.5]]},
            "frames, sequence 1, timestep 0: expected an integer .* got 1.5",
        ),
        (
            [[0], [1, 1]],
            {"frames": [[0], [1, 1]]},
            "frames, sequence 1, timestep 1: .* larger than the frame before, got 1",
        ),
        (
            [[0], [1, 1]],
            {"frames": [[0], np.array([2, 1], "u4")]},
            "frames, sequence 1, timestep 1: .* larger than the frame before, got 1",
        ),
        (
            [[0], [1]],
            {"frames": [[0], np.array([2**63], "u8")]},
            "frames, sequence 1, timestep 0: expected an integer",
        ),
        (
            [[0], [1]],
            {"frames": np.zeros((2, 0))},
            "recording 'a': .* got 0 of frames beside 1",
        ),
        (
            [[0], [1]],
            {"probabilities": [[[1.0]], [[0.5], [0.5]]]},
            "recording 'b': .* got 2 of probabilities beside 1",
        ),
        (
            [[0], [1]],
            {"probabilities": [[[1.0]], [[0.5, 0.5]]]},
            r"probabilities must have as many columns .* got \[\(1,\), \(2,\)\]",
        ),
        (
            [[0], [1]],
            {"probabilities": [0.5, 0.5]},
            r"probabilities must be 2-D, 3-D .* got an array of shape \(2,\)",
        ),
        (
            [[0], [1]],
            {"probabilities": [[[0.2]], [[1.2]]]},
            r"probabilities, sequence 1, timestep 0: .* between 0 and 1, got 1.2",
        ),
        ([[0], [-1, 0.5]], {}, "states, sequence 1, timestep 1: expected an integer, got 0.5"),
        ([[0], [2**40]], {}, "states, sequence 1, timestep 0: expected a number up to"),
        (np.zeros((2, 2, 2)), {}, "states must be 1-D, 2-D"),
    ],
)
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("format", ["csv", "h5"])
def test_what_does_not_fit_is_refused_first(tmp_path, format, states, given, message):
    with pytest.raises(ValueError, match=message):
        save_states(tmp_path / "states", states, ["a", "b"], format=format, **given)
    assert tree(tmp_path) == {}


def test_types_are_checked(tmp_path):
    with pytest.raises(TypeError, match="names must be text, got 3"):
        save_states(tmp_path / "a", [[0], [1]], ["a", 3])
    with pytest.raises(
        TypeError, match=r"states, sequence 0 must hold integers, got .* of dtype <U1"
    ):
        save_states(tmp_path / "a", [["a"]], ["a"])
    with pytest.raises(
        TypeError, match=r"syllables, sequence 0 must hold integers, got .* of dtype <U1"
    ):
        save_states(tmp_path / "a", [[0]], ["a"], syllables=[["a"]])
    assert tree(tmp_path) == {}


def test_exports():
    assert sorted(hhmm.datasets.__all__) == hhmm.datasets.__all__
    assert all(callable(getattr(hhmm.datasets, name)) for name in hhmm.datasets.__all__)


def test_tables_in_subfolders_that_are_left_out_are_counted(tmp_path):
    (tmp_path / "inner").mkdir()
    for name in ("a", "inner/b"):
        (tmp_path / f"{name}.csv").write_text("syllable\n0\n1\n")
    with pytest.warns(UserWarning, match=r"1 of 2 \.csv files lie in subfolders"):
        assert load_syllable_csv(tmp_path).names == ["a"]
    assert load_syllable_csv(tmp_path, recursive=True).names == ["a", "inner/b"]


# files from strangers


def refusal(loader, path):
    """What a loader has against a file, None where it takes it."""
    try:
        loader(path)
    except ValueError as error:
        return str(error)
    return None


def test_syllables_packed_several_times_over_are_not_unpacked(tmp_path):
    """A few hundred bytes that would unpack to 20 MB, though 100 frames are declared."""
    contents = bytes(20_000_000)
    for _ in range(2):
        contents = zlib.compress(contents, 9)
    assert len(contents) < 1000
    path = tmp_path / "results.h5"
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk((100,))
    settings.set_deflate(9)
    settings.set_deflate(9)
    with h5py.File(path, "w") as file:
        place = file.create_group("a").id, b"syllable", h5py.h5t.NATIVE_INT32
        dataset = h5py.h5d.create(*place, h5py.h5s.create_simple((100,)), settings)
        dataset.write_direct_chunk((0,), contents, 0)
    with pytest.raises(ValueError, match=r"recording 'a': expected syllables packed once at most"):
        load_keypoint_moseq(path)
    with h5py.File(path, "w") as file:
        packed = {"compression": "gzip", "shuffle": True, "fletcher32": True, "chunks": (2,)}
        file.create_dataset("a/syllable", data=[1, 2, 3], **packed)
    assert_holds(load_keypoint_moseq(path), {"a": [1, 2, 3]})


def test_groups_in_groups_have_an_end(tmp_path):
    for depth in (50, 51):
        with h5py.File(tmp_path / f"{depth}.h5", "w") as file:
            file["/".join(["a"] * depth) + "/syllable"] = [1]
    assert load_keypoint_moseq(tmp_path / "50.h5").sequences[0].tolist() == [1]
    with pytest.raises(ValueError, match=r"51.h5, group 'a/a/.*expected at most 50 groups in one"):
        load_keypoint_moseq(tmp_path / "51.h5")


def test_hdf5_names_and_types_that_python_does_not_have(tmp_path):
    path = tmp_path / "results.h5"
    with h5py.File(path, "w") as file:
        place = file.create_group("a").id, b"syllable", h5py.h5t.UNIX_D32LE
        h5py.h5d.create(*place, h5py.h5s.create_simple((3,)))
    with pytest.raises(ValueError, match=r"results.h5 cannot be read: No NumPy equivalent"):
        load_keypoint_moseq(path)
    with h5py.File(path, "w") as file:
        h5py.h5g.create(file.id, b"\xff\xfe")
    with pytest.raises(ValueError, match=r"results.h5 cannot be read: 'utf-8' codec can't decode"):
        load_keypoint_moseq(path)


@pytest.mark.parametrize("seed", range(12))
def test_damaged_hdf5_is_refused_by_name_or_read(tmp_path, seed):
    path = write_results(tmp_path / "results.h5")
    rng = np.random.default_rng(seed)
    contents = np.fromfile(path, np.uint8)
    contents[rng.choice(np.flatnonzero(contents), 3)] ^= rng.integers(1, 256, 3, dtype=np.uint8)
    contents.tofile(path)
    message = refusal(load_keypoint_moseq, path)
    assert message is None or str(path) in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,syllable\n0,2\n1\n1,3\n", r"a.csv, row 1: expected 2 cells, .* got 1"),
        ("x,syllable\n0,2\n\n1,3\n1", r"a.csv, row 2: expected 2 cells, .* got 1"),
        ('x,y,syllable\n"a\nb",1,2\n1,\n', r"a.csv, row 1: expected 3 cells, .* got 2"),
        ("x,syllable\n0,1\x002\n", r"a.csv, row 0: expected an integer syllable"),
        ("syllable,x\nTrue,0\n3,0\n", r"a.csv, row 0: expected an integer syllable .* got 'True'"),
        ("syllable,x\n0x1f,0\n", r"a.csv, row 0: expected an integer syllable .* got '0x1f'"),
        ("syllable,x\n1e400,0\n", r"a.csv, row 0: expected an integer syllable .* got inf"),
        (f"x,syllable\n{'a' * 200_000},1\n0\n", r"a.csv is not a table: field larger than"),
    ],
)
def test_rows_of_a_damaged_table(tmp_path, text, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_syllable_csv(path)


def test_tables_are_not_unpacked_nor_guessed(tmp_path):
    """A packed table is read as the text that it is not, whatever its name."""
    packed = gzip.compress(b"syllable,x\n" + b"1,2\n" * 1_000_000)
    for name in ("a.csv", "a.csv.gz"):
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(ValueError, match=rf"{name} is not text in UTF-8"):
            load_syllable_csv(tmp_path / name)
    for encoding in ("utf-16", "utf-32"):
        (tmp_path / "a.csv").write_bytes("syllable,x\n1,2\n".encode(encoding))
        with pytest.raises(ValueError, match=r"a.csv is not text in UTF-8"):
            load_syllable_csv(tmp_path / "a.csv")


@pytest.mark.parametrize("seed", range(12))
def test_any_bytes_are_a_table_or_refused_by_name(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "a.csv"
    letters = np.frombuffer(b'syllable,x\n\r"0123456789-. \x00\xff', np.uint8)
    path.write_bytes(b"syllable,x\n1,2\n" + rng.choice(letters, rng.integers(60)).tobytes())
    message = refusal(load_syllable_csv, path)
    assert message is None or str(path) in message


@pytest.mark.skipif(os.name != "posix", reason="links of files")
@pytest.mark.parametrize("loader", [load_syllable_csv, load_keypoint_moseq_csv])
def test_links_in_a_folder_do_not_lead_out_of_it(tmp_path, loader):
    secret, folder = tmp_path / "secret.csv", tmp_path / "data"
    folder.mkdir()
    for path, syllable in ((secret, 1), (folder / "a.csv", 2)):
        path.write_text(f"syllable,x\n{syllable},0\n")
    (folder / "b.csv").symlink_to(folder / "a.csv")
    assert_holds(loader(folder), {"a": [2], "b": [2]})
    (folder / "c.csv").symlink_to(secret)
    with pytest.raises(ValueError, match=r"c.csv leads out of .*data by a link.*load_syllable_csv"):
        loader(folder)
    # a link whose path was given is meant
    assert_holds(load_syllable_csv([folder / "c.csv"]), {"c": [1]})


@pytest.mark.skipif(os.name != "posix", reason="links of files")
@pytest.mark.parametrize("name", ["states.h5", "states"])
def test_a_link_is_replaced_and_not_followed(tmp_path, name):
    precious = tmp_path / "precious"
    precious.write_text("all there is")
    target = tmp_path / name if name.endswith("h5") else tmp_path / name / "m.csv"
    target.parent.mkdir(exist_ok=True)
    target.symlink_to(precious)
    with pytest.raises(FileExistsError):
        save_states(tmp_path / name, [[0]], ["m"])
    save_states(tmp_path / name, [[0]], ["m"], overwrite=True)
    assert not target.is_symlink()
    assert precious.read_text() == "all there is"


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("s", [1 + 1j, 2], r"row 0: expected an integer syllable .* got \(1\+1j\)"),
        ("s", pd.to_timedelta([1, 2]), r"row 0: expected an integer syllable .* got Timedelta"),
        ("s", pd.to_datetime([None, 2]), r"row 1: expected an integer syllable .* got Timestamp"),
        ("s", pd.period_range("2000", periods=2), r"row 0: expected an integer .* got Period"),
        ("t", pd.to_timedelta([1, 2]), r"row 0: expected an integer frame number, got Timedelta"),
        ("id", ["a", ["b"]], r"row 1: expected text or a number in column 'id', got \['b'\]"),
        ("g", [["a"], "b"], r"row 0: expected text or a number in column 'g', got \['a'\]"),
    ],
)
def test_columns_of_other_types(column, values, message):
    table = pd.DataFrame({"id": "m", "s": [1, 2], "t": [0, 1], "g": "a"})
    table[column] = values
    with pytest.raises(ValueError, match=message):
        load_table(table, recording="id", syllable="s", frame="t", group="g")


def test_labels_that_cannot_be_compared():
    table = pd.DataFrame({"id": "m", "s": ["a", np.array([1, 2])]})
    with pytest.raises(ValueError, match=r"'m', row 1: expected text or a number in column 's'"):
        load_table(table, recording="id", syllable="s", integer_labels=False)


# A table of events as song annotation and BORIS write it: not sorted, times in seconds.
EVENTS = pd.DataFrame(
    {
        "Media": ["b", "a", "a", "b", "a"],
        "Start (s)": [0.75, 1.5, 0.25, 0.5, 12.0],
        "Behaviour": [3, 1, 4, 1, 5],
    }
)


def test_events_are_ordered_by_their_times(tmp_path):
    path = tmp_path / "events.csv"
    EVENTS.to_csv(path, index=False)
    columns = {"recording": "Media", "syllable": "Behaviour", "onset": "Start (s)"}
    for source in (EVENTS, path):
        data = load_table(source, **columns)
        assert_holds(data, {"b": [1, 3], "a": [4, 1, 5]})
        assert [times.tolist() for times in data.times] == [[0.5, 0.75], [0.25, 1.5, 12.0]]
        assert data.frames is None
    EVENTS.to_csv(path, index=False, sep=";", decimal=",")
    assert_holds(load_table(path, **columns, sep=";"), {"b": [1, 3], "a": [4, 1, 5]})
    path.write_text("syllable,onset\n1,2.5\n2,0.5\n")
    assert_holds(load_syllable_csv(path, onset="onset"), {"events": [2, 1]})
    assert load_syllable_csv(path, onset="onset").times[0].tolist() == [0.5, 2.5]
    with pytest.raises(ValueError, match=r"recording 'b', row 3: expected every time .* in row 0"):
        load_table(EVENTS.assign(**{"Start (s)": 1.0}), **columns)
    with pytest.raises(ValueError, match=r"row 0: expected the time of an event, .* got nan"):
        load_table(EVENTS.assign(**{"Start (s)": np.nan}), **columns)
    with pytest.raises(ValueError, match="expected frame or onset, got both"):
        load_table(EVENTS, **columns, frame="Start (s)")


def test_events_that_are_given_as_frames_are_recognised(monkeypatch):
    """Times as frame numbers, and every third frame: the error says what each way would do."""
    columns = {"recording": "Media", "syllable": "Behaviour"}
    with pytest.raises(ValueError, match=r"integer frame number, got 0.75. If .* onset='Start \("):
        load_table(EVENTS, **columns, frame="Start (s)")
    frames = np.append(np.arange(0, 1200, 3), 1198)
    table = pd.DataFrame({"id": "a", "label": frames % 5, "frame": frames})
    given = {"recording": "id", "syllable": "label", "frame": "frame"}
    message = (
        r"1 of 400 rows follow directly on the frame before. fill_gaps=True makes the 798 frames "
        r"between the 401 rows missing timesteps. .* onset='frame': rows are sorted"
    )
    with pytest.raises(ValueError, match=message):
        load_table(table, **given)
    with pytest.warns(UserWarning, match=message) as caught:
        data = load_table(table, **given, fill_gaps=True)
    assert caught[0].filename == __file__

    def stop(*_, **__):
        raise KeyboardInterrupt

    # fitting it says so again, before the chains begin
    monkeypatch.setattr(chains, "iterate", stop)
    with (
        pytest.warns(UserWarning, match="401 observed timesteps but 1 observed transition"),
        pytest.raises(KeyboardInterrupt),
    ):
        EfficientHHMM(2, init="prior").fit(data.sequences)


def test_rows_out_of_the_order_of_a_column_that_was_not_given():
    with pytest.warns(UserWarning, match=r"recording 'b', row 3: rows are not .*'Start \(s\)'"):
        data = load_table(EVENTS, recording="Media", syllable="Behaviour")
    assert_holds(data, {"b": [3, 1], "a": [1, 4, 5]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_table(EVENTS.sort_values("Start (s)"), recording="Media", syllable="Behaviour")
        # flags are no times
        flags = EVENTS.rename(columns={"Start (s)": "onset"}).assign(
            onset=[True, True] + 3 * [False]
        )
        load_table(flags, recording="Media", syllable="Behaviour")


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_tables_of_other_packages(kind):
    package = pytest.importorskip(kind)
    pytest.importorskip("pyarrow")
    columns = {
        "name": ["a", "a", "a", "b"],
        "syllable": [3, None, 3, 0],
        "frame_index": [1, 2, 0, 0],
        "group": ["x", "x", "x", None],
    }
    table = package.DataFrame(columns) if kind == "polars" else package.table(columns)
    expected = {"a": [3, 3, -1], "b": [0]}
    data = load_moseq_dataframe(table)
    assert_holds(data, expected)
    assert data.groups == ["x", None]
    data = load_table(table, recording="name", syllable="syllable", frame="frame_index")
    assert_holds(data, expected)
    with pytest.raises(TypeError, match=r"table of pandas, polars or pyarrow; got \w+\.\S+"):
        load_moseq_dataframe(table.lazy() if kind == "polars" else table["name"].type)


def test_every_csv_loader_takes_a_separator(tmp_path):
    (tmp_path / "a.csv").write_text("name;syllable\nm;3\nm;4\n")
    assert_holds(load_moseq_dataframe(tmp_path / "a.csv", sep=";"), {"m": [3, 4]})
    (tmp_path / "a.csv").write_text("heading;syllable\n0.1;3\n0.2;4\n")
    assert_holds(load_keypoint_moseq_csv(tmp_path, sep=";"), {"a": [3, 4]})
    assert_holds(load_syllable_csv(tmp_path, sep=";"), {"a": [3, 4]})
    for load in (load_moseq_dataframe, load_syllable_csv):
        with pytest.raises(ValueError, match="looks separated by ';': pass sep=';'"):
            load(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="looks separated by ';': pass sep=';'"):
        load_keypoint_moseq_csv(tmp_path)


def test_subfolders_are_advised_for_the_function_that_reads_them(tmp_path):
    (tmp_path / "inner").mkdir()
    for folder in (tmp_path, tmp_path / "inner"):
        (folder / "a.csv").write_text("syllable\n1\n2\n")
    with pytest.warns(UserWarning, match="Pass recursive=True") as caught:
        load_syllable_csv(tmp_path)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="use load_syllable_csv with recursive=True"):
        load_keypoint_moseq_csv(tmp_path)


def test_times_that_are_dates():
    columns = {"recording": "Media", "syllable": "Behaviour", "onset": "Start (s)"}
    seconds = EVENTS["Start (s)"]
    for times in (pd.to_datetime(seconds, unit="s"), pd.to_timedelta(seconds, unit="s")):
        data = load_table(EVENTS.assign(**{"Start (s)": times}), **columns)
        assert_holds(data, {"b": [1, 3], "a": [4, 1, 5]})
        np.testing.assert_allclose([np.ptp(times) for times in data.times], [0.25, 11.75])
    with pytest.raises(ValueError, match=r"got '00:07'\. Convert text to times first"):
        load_table(EVENTS.assign(**{"Start (s)": "00:07"}), **columns)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["start_freq", "Start_Hz", "frame_rate", "time_in_state", "tail"])
def test_columns_that_are_neither_frames_nor_times(name):
    table = EVENTS.rename(columns={"Start (s)": name})
    load_table(table, recording="Media", syllable="Behaviour")


@pytest.mark.parametrize("name", ["t", "Image index", "onset_s", "start time [ms]", "frame_index"])
def test_columns_that_are_frames_or_times(name):
    table = EVENTS.rename(columns={"Start (s)": name})
    with pytest.warns(UserWarning, match="rows are not in the order of column"):
        load_table(table, recording="Media", syllable="Behaviour")


def test_frames_too_far_apart_to_fill_are_not_advised_to_be_filled():
    table = pd.DataFrame({"id": "a", "label": [0, 1, 2], "frame": [0, 1, 10**7]})
    with pytest.raises(ValueError, match="leaves out 9999998") as raised:
        load_table(table, recording="id", syllable="label", frame="frame")
    assert "fill_gaps" not in str(raised.value)


@pytest.mark.parametrize("load", [load_keypoint_moseq_csv, load_syllable_csv])
def test_a_folder_that_mixes_tables_is_refused(tmp_path, load):
    """``moseq_df.csv`` beside the files of single recordings would be one more recording."""
    (tmp_path / "mouse1.csv").write_text("syllable\n3\n4\n")
    assert load(tmp_path).names == ["mouse1"]
    (tmp_path / "moseq_df.csv").write_text("name,syllable\nmouse1,3\nmouse2,4\n")
    message = "several recordings, with a column 'name': 'moseq_df.csv'.*load_moseq_dataframe"
    with pytest.raises(ValueError, match=message):
        load(tmp_path)
    assert load_syllable_csv([tmp_path / "mouse1.csv"]).names == ["mouse1"]


def test_a_folder_of_one_table_of_all_recordings(tmp_path):
    (tmp_path / "moseq_df.csv").write_text("name,syllable\nmouse1,3\nmouse2,4\n")
    with pytest.raises(ValueError, match="load_moseq_dataframe"):
        load_keypoint_moseq_csv(tmp_path)
    # other files may name their recording in each row
    assert load_syllable_csv(tmp_path).names == ["moseq_df"]
