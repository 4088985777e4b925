"""Open files of recordings without reading them, whatever program wrote them."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.utils._param_validation import validate_params

from hhmm._optional.extras import import_extra
from hhmm._validation import shorten, to_float, to_list
from hhmm.datasets._csv_files import (
    PathLike,
    Table,
    choose_column,
    find_column,
    name_files,
    open_table,
    refuse_other_tables,
)
from hhmm.datasets._formats import (
    HDF5,
    NUMPY,
    RECORDING,
    advise_pattern,
    find_format,
    find_separator,
    is_pattern,
    list_files,
)
from hhmm.datasets._keypoint_moseq import (
    RECORDING_NAMES,
    check_dataset,
    find_syllables,
    open_results,
)
from hhmm.datasets._lazy_recordings import LazyRecording, Recordings
from hhmm.datasets._recordings import (
    FRAME_RATE,
    N_LAGS,
    SYLLABLE_NAMES,
    common_name,
    existing_file,
    warn_of_numbering,
)
from hhmm.datasets._sources import (
    USER,
    CsvSource,
    Hdf5Source,
    HeldSource,
    NumpySource,
    Source,
    stamp_of,
)
from hhmm.datasets._tables import Columns, read_runs

_DESCRIPTIONS = {
    "keypoint-moseq": "an HDF5 file of keypoint-MoSeq",
    "npy": "an array of NumPy",
    "csv": "a CSV file of one recording",
    "table": "a table of several recordings",
    "moseq-df": "a moseq_df.csv of keypoint-MoSeq",
}
_COLUMN = [str, None]


class _File(NamedTuple):
    path: Path
    name: str  # with the folders that the user left open


class _Found(NamedTuple):
    """A recording in a file."""

    file: _File
    name: str  # in its file; "" if the file has no other
    source: Source
    n_timesteps: int | None = None
    group: str | None = None


@validate_params(
    {
        "frame_rate": FRAME_RATE,
        "n_lags": N_LAGS,
        "syllable": _COLUMN,
        "recording": _COLUMN,
        "group": _COLUMN,
        "sep": _COLUMN,
    },
    prefer_skip_nested_validation=True,
)
def open_recordings(
    pattern_or_paths: PathLike | Iterable[PathLike],
    *,
    frame_rate: float | None = None,
    n_lags: int = 0,
    syllable: str | None = None,
    recording: str | None = None,
    group: str | None = None,
    sep: str | None = None,
) -> Recordings:
    """Open recordings without reading them, for data that are larger than memory.

    The headers of the files are read. A recording is read each time it is needed, block by block
    and as runs: stretches of timesteps with the same label.

    Parameters
    ----------
    pattern_or_paths : str, Path, or list of them
        A file, a list of files, a folder, or a pattern: ``data/*.npy``, or ``data/**/*.csv`` for
        "data" and all folders in it. All files must have one format, which is found from their
        endings and headers:

        - ``.h5``, ``.hdf5``: ``results.h5`` of keypoint-MoSeq, as `load_keypoint_moseq` reads it;
        - ``.npy``: one recording, a 1-D array of integers, or of floats with NaN where missing;
        - ``.csv``, ``.tsv``, ``.txt``: one recording, one row a timestep, as `load_syllable_csv`
          and `load_keypoint_moseq_csv` read it;
        - the same endings, with a column of recordings: a table, as `load_table` and
          `load_moseq_dataframe` read it. A table is read when it is opened, block by block, and
          its runs are kept in memory. If its rows have to be sorted by frame, it is read as a
          whole.

        Of a folder, the files that end in ".csv", ".h5", ".hdf5" or ".npy" are opened, ordered by
        name, except hidden ones; a link that leads out of it is an error. The files of a pattern
        are ordered by path, and links are followed.
    frame_rate : float, default=None
        Timesteps a second. It is stored with the recordings and not used here.
    n_lags : int, default=0
        Number of timesteps at the start of each recording to mark as missing; see
        `load_keypoint_moseq`.
    syllable : str, default=None
        Column of labels in CSV files and tables. By default it is ``syllable``, or one of the names
        that versions of keypoint-MoSeq have used.
    recording : str, default=None
        Column of recordings in tables. By default, a file with a column ``recording`` is a table,
        and so is a ``moseq_df.csv``.
    group : str, default=None
        Column of the experimental group in tables. By default it is ``group`` in ``moseq_df.csv``,
        and other tables have none.
    sep : str, default=None
        Separator of the cells of CSV files and tables. By default it is the one of ``,``, ``;``,
        tab and ``|`` that is most frequent in the header.

    Returns
    -------
    recordings : sequence of recordings
        A sequence that is indexed like a list. A slice, or an array of integers or bools, gives a
        sequence of the same kind. Its attributes are

        - ``names``, list of str: names as the loader of the format gives them. The name of a file
          of one recording is its path without ".csv" or ".npy", from the first folder that the
          pattern leaves open, or from the folder that all files of a list have in common:
          "day1/mouse2". If recordings of several HDF5 files or tables have the same name, the name
          of the file is put in front of all names: "day1/mouse2".
        - ``paths``, list of Path: the file of each recording;
        - ``lengths``, ndarray of shape (n_recordings,), int64: numbers of timesteps. Each CSV file
          of one recording is read once to count them, when the length is first needed;
        - ``groups``, list of str, or None: the experimental group of each recording of a table;
        - ``frame_rate``, float or None.

        A recording has ``name``, ``path``, ``group``, ``len(recording)`` timesteps, and

        - ``numpy.asarray(recording)``, which reads the labels, ndarray of shape (n_timesteps,),
          int32, -1 where missing;
        - ``read_runs()``, which reads the labels and the numbers of timesteps of runs, two ndarrays
          of shape (n_runs,), int32;
        - ``fingerprint()``, which returns a short text that changes when the file does.

    Raises
    ------
    ValueError
        If files have several formats or an unknown one, a folder has no recordings, two recordings
        have the same name, or a header is not that of a recording. A recording that is read raises
        it if a label is no integer, or if the file cannot be read or has another length than when
        it was opened. The message names file, recording and timestep.
    FileNotFoundError
        If there is no such file, or no file matches the pattern. A recording that is read raises it
        if its file is gone.
    IsADirectoryError
        If a list of files holds a folder.
    ImportError
        Without h5py for HDF5 files and pandas for CSV files, which are the extra ``io``.

    Warns
    -----
    UserWarning
        If keypoint-MoSeq may have numbered the syllables of recordings differently; see
        `load_keypoint_moseq`. If rows of a table are not in the order of a column that seems to
        hold frames or times.

    See Also
    --------
    load_keypoint_moseq, load_syllable_csv : Read recordings into memory.
    load_table : Tables whose rows must be sorted, or whose frames have gaps.

    Notes
    -----
    Rows of CSV files are taken as they stand, in the order of the file. An empty line is no row,
    except in a file of one column, where it is a missing timestep.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from hhmm.datasets import open_recordings
    >>> with TemporaryDirectory() as folder:
    ...     np.save(Path(folder, "mouse1.npy"), np.repeat([4, 2, 4], [50, 30, 20]))
    ...     np.save(Path(folder, "mouse2.npy"), np.repeat([2, -1], [60, 10]))
    ...     recordings = open_recordings(f"{folder}/*.npy", frame_rate=30)
    ...     runs = recordings[0].read_runs()
    ...     labels = np.asarray(recordings[1])
    >>> recordings
    Recordings(2 recording(s), 170 timesteps)
    >>> recordings.names
    ['mouse1', 'mouse2']
    >>> runs
    (array([4, 2, 4], dtype=int32), array([50, 30, 20], dtype=int32))
    >>> labels[58:62]
    array([ 2,  2, -1, -1], dtype=int32)
    """
    files, place = _find_files(pattern_or_paths)
    what = _find_common_format(files, recording=recording, syllable=syllable, sep=sep)
    options = {"syllable": syllable, "recording": recording, "group": group, "sep": sep}
    _refuse_options(what, options, files[0].path)
    found: list[_Found] = []
    if what == "npy":
        found = _find_in_numpy_files(files)
    elif what == "keypoint-moseq":
        found, column = _find_in_results(files, place)
    else:
        tables = _open_tables(files, sep)
        column = _choose_syllable(tables, syllable, place)
        if what == "csv":
            found = _find_in_csv_files(files, tables, column, place)
        else:
            for file, table in zip(files, tables, strict=True):
                columns = _choose_columns(table, column, what, recording=recording, group=group)
                stamp = stamp_of(file.path)
                # called here, because the stack levels of its warnings count on it
                for read, runs in read_runs(table, columns):
                    part = f"recording {read.name!r}, column {column!r}"
                    source = HeldSource(file.path.absolute(), part, runs, stamp)
                    n_timesteps = int(runs[1].sum(dtype=np.int64))
                    found.append(_Found(file, read.name, source, n_timesteps, read.group))
    names = _name_recordings(found)
    if what != "npy":
        warn_of_numbering(
            place,
            "dataset" if what == "keypoint-moseq" else "column",
            column,
            len(found),
            stacklevel=3,
        )
    return Recordings(
        [
            LazyRecording(
                name, one.source, group=one.group, n_lags=n_lags, n_timesteps=one.n_timesteps
            )
            for name, one in zip(names, found, strict=True)
        ],
        frame_rate=None if frame_rate is None else to_float(frame_rate, "frame_rate"),
    )


def _find_files(given):
    """Return the files that the user gave, and a text for all of them."""
    if not isinstance(given, str | os.PathLike):
        expected = "expected a pattern, a path of a file or folder, or a list of files"
        paths = to_list(given, expected)
        for path in paths:
            if not isinstance(path, str | os.PathLike):
                raise TypeError(f"{expected}, got {shorten(path)}")
        if not paths:
            raise ValueError(f"{expected}, got an empty list")
        paths = [existing_file(path) for path in paths]
        for path, count in Counter(path.resolve() for path in paths).items():
            if count > 1:
                raise ValueError(f"The file {path} is given {count} times. Give it once.")
        common = os.path.commonpath([path.absolute().parent for path in paths])
        files = [_File(path, path.absolute().relative_to(common).as_posix()) for path in paths]
        return files, f"{len(paths)} file(s)"
    path = Path(given)
    if path.is_dir():
        return [_File(file, file.name) for file in _list_folder(path)], str(path)
    if path.is_file() or not is_pattern(path):
        path = existing_file(path)
        return [_File(path, path.name)], str(path)
    paths = sorted(
        file for file in map(Path, glob.glob(str(path), recursive=True)) if file.is_file()
    )
    if not paths:
        raise FileNotFoundError(
            f"No file matches the pattern {path}. Check the path; '**' stands for any folders."
        )
    fixed = _fixed_folder(path)
    return [_File(file, file.relative_to(fixed).as_posix()) for file in paths], str(path)


def _list_folder(folder):
    """Return the files of a folder that may hold recordings."""
    endings = (".csv", *HDF5, *NUMPY)
    files = list_files(folder, endings)
    if not files:
        message = f"The folder {folder} has no file that ends in {', '.join(endings)}."
        raise ValueError(message + advise_pattern(folder, endings))
    inside = folder.resolve()
    for file in files:
        if not file.resolve().is_relative_to(inside):
            raise ValueError(
                f"{file} leads out of {folder} by a link, which is not followed. Give a pattern or "
                "a list of files to read it."
            )
    return files


def _fixed_folder(pattern):
    """Return the folder of a pattern up to the first part that stands for several names."""
    parts = pattern.parts
    n_fixed = next(i for i, part in enumerate(parts) if is_pattern(part))
    return Path(*parts[:n_fixed])


def _find_common_format(files, **options):
    """Return the format of all files; raise ValueError if there are two or none."""
    formats = {}
    for path, _ in files:
        what = find_format(path, **options)
        if what is None:
            raise ValueError(
                f"No format is known for {path}. Give files that end in .h5 or .hdf5 (of "
                "keypoint-MoSeq), .npy, .csv, .tsv or .txt."
            )
        formats.setdefault(what, path)
    if len(formats) > 1:
        (one, path), (other, other_path), *_ = formats.items()
        raise ValueError(
            f"Expected files of one format, got {path} ({_DESCRIPTIONS[one]}) and {other_path} "
            f"({_DESCRIPTIONS[other]}). Give the files of one format, as a pattern or a list."
        )
    return next(iter(formats))


def _refuse_options(what, options, path):
    """Raise ValueError for an option that says nothing about files of this format."""
    used = {"npy": (), "keypoint-moseq": (), "csv": ("syllable", "sep")}.get(what, options)
    for name, value in options.items():
        if value is not None and name not in used:
            kind = "CSV files" if name in ("syllable", "sep") else "tables of several recordings"
            raise ValueError(
                f"{name}={value!r} is for {kind}, but {path} is {_DESCRIPTIONS[what]}. Leave "
                f"{name} out."
            )


def _find_in_numpy_files(files):
    named = name_files([name for _, name in files], [path for path, _ in files], ending=".npy")
    found = []
    for file, name in zip(files, named, strict=True):
        source = NumpySource(file.path.absolute(), "")
        found.append(_Found(file, name, source, source.count_timesteps()))
    return found


def _find_in_results(files, place):
    """Return the recordings in HDF5 files, and the name of the datasets of syllables."""
    h5py = import_extra("h5py", USER)
    found, dataset_of = [], {}
    for file in files:
        with open_results(file.path, h5py) as opened:
            recordings = find_syllables(opened, file.path, h5py)
            dataset = common_name(recordings, file.path, "dataset")
            for name, datasets in recordings.items():
                values = datasets[dataset]
                check_dataset(values, f"{file.path}, recording {name!r}", file.path)
                source = Hdf5Source(file.path.absolute(), values.name, name)
                in_root = values.name == f"/{dataset}"
                found.append(_Found(file, "" if in_root else name, source, len(values)))
        dataset_of[str(file.path)] = [dataset]
    return found, common_name(dataset_of, place, "dataset")


def _open_tables(files, sep):
    """Read the headers of CSV files."""
    return [open_table(path, sep=sep or find_separator(path), user=USER) for path, _ in files]


def _choose_syllable(tables, given, place):
    """Return the column of syllables, the same in all tables."""
    for table in tables:
        choose_column(table, SYLLABLE_NAMES if given is None else [given])
    return given or common_name({table.place: table.columns for table in tables}, place, "column")


def _find_in_csv_files(files, tables: list[Table], column, place):
    named = name_files([name for _, name in files], [path for path, _ in files], ending=".csv")
    refuse_other_tables(dict(zip(named, tables, strict=True)), place, USER)
    return [
        _Found(file, name, CsvSource(file.path.absolute(), column, table.sep))
        for file, name, table in zip(files, named, tables, strict=True)
    ]


def _choose_columns(table, syllable, what, *, recording, group):
    """Return the `Columns` of a table of several recordings."""
    if what == "table":
        return Columns(syllable, recording or RECORDING, group=group)
    return Columns(
        syllable,
        recording=choose_column(table, RECORDING_NAMES),
        frame=find_column(table, ["frame_index"]),
        group=group or find_column(table, ["group"]),
    )


def _name_recordings(found):
    """Return names that differ, with the name of the file in front where they would not."""
    names = [one.name or one.file.path.stem for one in found]
    if len(set(names)) < len(names):
        names = [
            "/".join(filter(None, (Path(one.file.name).with_suffix("").as_posix(), one.name)))
            for one in found
        ]
    paths = {}
    for name, one in zip(names, found, strict=True):
        if name in paths:
            raise ValueError(
                f"Two recordings have the name {name!r}: one in {paths[name]} and one in "
                f"{one.file.path}. Rename a file, or leave it out."
            )
        paths[name] = one.file.path
    return names
