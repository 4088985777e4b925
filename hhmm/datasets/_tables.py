"""Load syllables from tables: CSV files and pandas DataFrames.

Rows are counted from 0 without the header, as pandas counts them. Cells of names and groups are
read as text, so that recording "007" stays "007".
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import validate_params

from hhmm._sequences.ragged import MISSING
from hhmm._sequences.run_lengths import RunLengths, merge_equal
from hhmm.datasets import _cells as cells
from hhmm.datasets._csv_files import (
    PathLike,
    Table,
    TableOfOtherPackage,
    choose_column,
    iterate_columns,
    open_table,
    open_tables,
    read_columns,
)
from hhmm.datasets._recordings import FRAME_RATE, Recording, to_bunch

if TYPE_CHECKING:
    import pandas

# More missing timesteps than this for every row, and the frames are something else: times, say.
_MAX_FILLED = 1000
# Where fewer rows than this share hold the next frame, a table has a row an event.
_FEWEST_NEXT = 0.5
# Names of columns of frames or times, with units, and not of what was measured at a start.
_ORDER_NAME = re.compile(
    r"(frame|image)s?([ _](index|idx|number|no|nr|id))?"
    r"|(t|time|timestamp|onset|start|begin)s?([ _]?(time|frame|sample)s?)?"
    r"([ _]?[(\[]?(s|secs?|seconds?|ms|min|minutes?|h|hours?|frames?|samples?)[)\]]?)?",
    re.IGNORECASE,
)
_ENCODE = (
    "Load labels that are no integers with integer_labels=False and number them by "
    "hhmm.preprocessing.SyllableEncoder"
)
_OPTIONS = {
    "syllable": [str],
    "frame": [str, None],
    "onset": [str, None],
    "frame_rate": FRAME_RATE,
    "sep": [str],
    "fill_gaps": ["boolean"],
    "integer_labels": ["boolean"],
}


class Columns(NamedTuple):
    """Which column is what; None where there is none."""

    syllable: str
    recording: str | None = None
    frame: str | None = None
    group: str | None = None
    onset: str | None = None


@validate_params(
    {**_OPTIONS, "recording": [str], "group": [str, None]}, prefer_skip_nested_validation=True
)
def load_table(
    path_or_dataframe: PathLike | pandas.DataFrame | TableOfOtherPackage,
    *,
    recording: str,
    syllable: str,
    frame: str | None = None,
    onset: str | None = None,
    group: str | None = None,
    frame_rate: float | None = None,
    sep: str = ",",
    fill_gaps: bool = False,
    integer_labels: bool = True,
) -> Bunch:
    """Load syllables from a tidy table: one row a timestep, with named columns.

    Parameters
    ----------
    path_or_dataframe : str, Path or table
        A CSV file in UTF-8 with a header, not compressed; or the table itself, of pandas, polars
        or pyarrow.
    recording : str
        Column of the recording of each row. In a file it is read as text, so ``007`` stays "007".
    syllable : str
        Column of labels: integers, negative or empty where missing.
    frame : str, default=None
        Column of frame numbers, integers, for tables with a row a frame. Rows are sorted by it
        within their recording. Without `frame` and `onset`, the rows of a recording are
        consecutive timesteps in the order in which they stand.
    onset : str, default=None
        Column of the times at which events begin, for tables with a row an event (song annotation,
        BORIS): numbers in any unit, or dates or time differences of a data frame, which become
        seconds since the first. Rows are sorted by it within their recording, and each event is
        one timestep.
    group : str, default=None
        Column of the experimental group, the same in all rows of a recording.
    frame_rate : float, default=None
        Timesteps a second. It is stored with the data and not used here.
    sep : str, default=","
        Separator of the cells of a file; ";" and a tab are common too.
    fill_gaps : bool, default=False
        Whether frame numbers that a recording skips become missing timesteps. With False, they
        raise an error. More than 1000 missing timesteps for each row always raise an error, since
        such numbers do not count frames.
    integer_labels : bool, default=True
        With False, labels are kept as they are, as text from a file. Sequences are then object
        arrays, None where missing (an empty cell), as `hhmm.preprocessing.SyllableEncoder` takes
        them.

    Returns
    -------
    data : `~sklearn.utils.Bunch`
        sequences : list of ndarrays of shape (n_timesteps_i,), int32
            Labels, one array a recording, -1 where missing: the X of `hhmm.EfficientHHMM`. Objects
            if not `integer_labels`.
        names : list of str
            Recordings, in the order in which they first occur.
        frame_rate : float or None
        groups : list of str or None
            Group of each recording, None where its cell is empty. None without `group`.
        frames : list of ndarrays of shape (n_timesteps_i,), int64, or None
            Frame number of each timestep; None without `frame`.
        times : list of ndarrays of shape (n_timesteps_i,), float64, or None
            When each event begins; None without `onset`.
        onsets : list of ndarrays of shape (n_timesteps_i,), bool
            True where a syllable begins: it is observed, and the timestep before is missing,
            another syllable, or in another recording.
        source : str
            Origin and size of the data.

    Raises
    ------
    ValueError
        If the table is empty or no table, a column is missing, a label or frame is no integer, a
        frame or time occurs twice in a recording, a frame is skipped, or a recording has two
        groups. The message names file, recording and row (counted from 0, without the header).
    FileNotFoundError, IsADirectoryError
        If `path_or_dataframe` is no file.
    ImportError
        Without pandas, which is part of the extra ``io``.

    Warns
    -----
    UserWarning
        If rows are not in the order of a column that seems to hold frames or times but was not
        given. If `fill_gaps` leaves fewer than half of the transitions observed.

    See Also
    --------
    load_syllable_csv : One file a recording.
    save_states : Write states beside each recording.

    Examples
    --------
    >>> import pandas as pd
    >>> from hhmm.datasets import load_table
    >>> table = pd.DataFrame(
    ...     {
    ...         "mouse": ["a", "a", "a", "b", "b"],
    ...         "frame": [0, 1, 3, 0, 1],
    ...         "label": [4, 4, 2, 0, 1],
    ...         "treatment": ["drug", "drug", "drug", "saline", "saline"],
    ...     }
    ... )
    >>> columns = {"recording": "mouse", "syllable": "label", "group": "treatment"}
    >>> data = load_table(table, **columns, frame="frame", fill_gaps=True)
    >>> data.names, data.groups
    (['a', 'b'], ['drug', 'saline'])
    >>> data.sequences
    [array([ 4,  4, -1,  2], dtype=int32), array([0, 1], dtype=int32)]
    """
    table = open_table(path_or_dataframe, sep=sep, user="load_table")
    recordings = read_recordings(
        {"": table},
        Columns(syllable, recording, frame, group, onset),
        fill_gaps=fill_gaps,
        as_integers=integer_labels,
        hint=_ENCODE,
    )
    return to_bunch(recordings, table.place, "column", syllable, frame_rate=frame_rate)


@validate_params({**_OPTIONS, "recursive": ["boolean"]}, prefer_skip_nested_validation=True)
def load_syllable_csv(
    paths_or_folder: PathLike | Iterable[PathLike],
    *,
    syllable: str = "syllable",
    frame: str | None = None,
    onset: str | None = None,
    frame_rate: float | None = None,
    sep: str = ",",
    fill_gaps: bool = False,
    integer_labels: bool = True,
    recursive: bool = False,
) -> Bunch:
    """Load syllables from CSV files, one recording a file, one row a timestep.

    Parameters
    ----------
    paths_or_folder : str, Path, or list of them
        A file, a list of files, or a folder. Of a folder, all files that end in ".csv" are read,
        ordered by name, except hidden ones.
    syllable : str, default="syllable"
        Column of labels: integers, negative or empty where missing. Other columns are not read.
    frame, onset, frame_rate, sep, fill_gaps, integer_labels
        See `load_table`.
    recursive : bool, default=False
        Whether files in folders of the folder are read as well.

    Returns
    -------
    data : `~sklearn.utils.Bunch`
        As for `load_table`. A recording has the name of its file without ".csv"; with `recursive`,
        folders are part of the name: "day1/mouse2". ``groups`` is None.

    Raises
    ------
    ValueError, FileNotFoundError, IsADirectoryError, ImportError
        As for `load_table`; ValueError also if there is no file, or two have the same name.

    See Also
    --------
    load_table : Many recordings in one file.
    load_keypoint_moseq_csv : The same for the files of keypoint-MoSeq.

    Notes
    -----
    An empty line is no row, except in a file of one column, where it is a missing timestep.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from hhmm.datasets import load_syllable_csv
    >>> with TemporaryDirectory() as folder:
    ...     text = "syllable,x,y\\n3,0.5,1.0\\n3,0.6,1.0\\n,,\\n7,0.6,1.2\\n"
    ...     _ = Path(folder, "mouse1.csv").write_text(text)
    ...     data = load_syllable_csv(folder, frame_rate=30)
    >>> data.names, data.sequences
    (['mouse1'], [array([ 3,  3, -1,  7], dtype=int32)])
    >>> data.onsets
    [array([ True, False, False,  True])]
    """
    recordings = read_recordings(
        open_tables(paths_or_folder, recursive=recursive, sep=sep, user="load_syllable_csv"),
        Columns(syllable, frame=frame, onset=onset),
        fill_gaps=fill_gaps,
        as_integers=integer_labels,
        hint=_ENCODE,
    )
    place = paths_or_folder if isinstance(paths_or_folder, str | os.PathLike) else "CSV files"
    return to_bunch(recordings, place, "column", syllable, frame_rate=frame_rate)


def read_recordings(
    tables: dict[str, Table],
    columns: Columns,
    *,
    fill_gaps: bool = False,
    as_integers: bool = True,
    hint: str = "",
) -> list[Recording]:
    """Read tables and take them apart; return recordings in the order in which they first occur.

    A table without a column of recordings is one recording of the name that it has in `tables`.
    The error about a label that is no number ends with `hint`. Loaders call this directly, because
    the stack levels of warnings count on it.
    """
    for table in tables.values():
        _check_columns(table, columns)
    recordings = []
    for name, table in tables.items():
        recordings += _read_table(table, columns, name, fill_gaps, as_integers, hint)
    return recordings


def read_runs(
    table: Table, columns: Columns
) -> list[tuple[Recording, tuple[np.ndarray, np.ndarray]]]:
    """Read recordings from a file, a block of rows at a time, and keep their runs.

    Parameters
    ----------
    table : Table
        Of a file.
    columns : Columns
        With a column of recordings.

    Returns
    -------
    recordings : list of (Recording, runs)
        In the order in which they first occur. Runs are labels and numbers of timesteps, two int32
        arrays (n_runs,). A `Recording` itself may hold the labels of its first block alone.
    """
    recordings = _read_runs_in_order(table, columns)
    if recordings is None:  # to sort rows needs all of them
        whole = read_recordings({"": table}, columns)
        return [(one, RunLengths.of([one.labels])[:2]) for one in whole]
    return [
        (one, merge_equal(*map(np.concatenate, zip(*runs, strict=True))))
        for one, runs in recordings.values()
    ]


def _read_runs_in_order(table, columns):
    """Return recordings with the runs of each block by name; None where rows must be sorted."""
    import pandas as pd

    _check_columns(table, columns)
    order_names = _find_order_names(table, columns)
    recordings, last = {}, None
    for block in iterate_columns(table, *_wanted(columns, order_names, as_integers=True)):
        # the last row of each recording comes again, so that all neighbours are compared
        data = block if last is None else pd.concat([last, block])
        last = data.drop_duplicates(columns.recording, keep="last")
        parts, is_sorted, falls = _take_apart(data, data.index, table, columns, order_names)
        if not is_sorted:
            return None
        order_names = [name for name in order_names if name not in falls]  # warned of once
        for part in parts:
            labels = part.labels
            if part.name in recordings:
                labels = labels[1:]
            else:
                recordings[part.name] = part, []
            recordings[part.name][1].append(RunLengths.of([labels])[:2])
    if last is None:
        raise ValueError(f"{table.place} has no rows")
    return recordings


def _read_table(table, columns, name, fill_gaps, as_integers, hint):
    """Return the recordings of one table; see `read_recordings`."""
    if columns.frame is not None and columns.onset is not None:
        raise ValueError(
            f"{table.place}: expected frame or onset, got both. frame is for a row a frame, onset "
            "for a row an event"
        )
    if fill_gaps and columns.frame is None:
        raise ValueError(f"{table.place}: fill_gaps=True needs a column of frame numbers")
    order_names = _find_order_names(table, columns)
    data = read_columns(table, *_wanted(columns, order_names, as_integers=as_integers))
    if len(data) == 0:
        raise ValueError(f"{table.place} has no rows")
    recordings, *_ = _take_apart(
        data,
        range(len(data)),
        table,
        columns,
        order_names,
        name=name,
        fill_gaps=fill_gaps,
        as_integers=as_integers,
        hint=hint,
    )
    if fill_gaps:
        recordings = [_filled(recording, table.place) for recording in recordings]
    return recordings


def _check_columns(table, columns):
    """Raise ValueError for a column that a table does not have, or has twice."""
    for column in columns:
        if column is not None:
            choose_column(table, [column])


def _find_order_names(table, columns):
    """Return the columns that seem to hold frames or times and were not given."""
    if columns.frame is not None or columns.onset is not None:
        return []
    return [
        name
        for name in table.columns
        if _ORDER_NAME.fullmatch(str(name))
        and name not in columns
        and table.columns.count(name) == 1
    ]


def _wanted(columns, order_names, *, as_integers):
    """Return the columns to read; which of them are text, and which are times."""
    names = [name for name in dict.fromkeys([*columns, *order_names]) if name is not None]
    text = {columns.recording, columns.group, None if as_integers else columns.syllable} - {None}
    return names, text, order_names if columns.onset is None else [columns.onset]


class _Locate(NamedTuple):
    """Return the place of a row of a block as text."""

    place: str  # of the table
    numbers: Sequence[int]  # of the rows in the table
    recordings: tuple[np.ndarray, list[str]] | None = None  # code of each row, and names

    def __call__(self, row):
        if self.recordings is None:
            return f"{self.place}, {self.row(row)}"
        codes, names = self.recordings
        return f"{self.place}, recording {names[codes[row]]!r}, {self.row(row)}"

    def row(self, row):
        """Return the number of a row in the table as text."""
        return f"row {self.numbers[row]}"


def _take_apart(
    data,
    numbers,
    table,
    columns,
    order_names,
    *,
    name="",
    fill_gaps=False,
    as_integers=True,
    hint="",
):
    """Take rows apart by recordings.

    Parameters
    ----------
    data : DataFrame
        Rows of a table.
    numbers : sequence of int
        Of the rows in the table, for errors.
    table, columns, order_names
        As above.
    name, fill_gaps, as_integers, hint
        See `read_recordings`. Gaps are checked here and filled by the caller.

    Returns
    -------
    recordings : list of Recording
    is_sorted : bool
        Whether the rows of each recording are in order as they stand.
    falls : list of str
        Columns of `order_names` whose order is another one, of which a warning was given.
    """
    locate = _Locate(table.place, numbers)
    if columns.recording is None:
        codes, names = np.zeros(len(data), dtype=np.int64), [name]
    else:
        codes, names = cells.recording_codes(data[columns.recording], locate)
        locate = locate._replace(recordings=(codes, names))
    by_row = {"labels": cells.labels_of(data[columns.syllable], locate, as_integers, hint)}
    groups = [None] * len(names)
    if columns.group is not None:
        groups = cells.groups_of(data[columns.group], codes, len(names), locate)
    as_they_stand = order = np.argsort(codes, kind="stable")
    if columns.frame is not None:
        by_row["frames"] = cells.frame_numbers(data[columns.frame], locate)
        order = np.lexsort((by_row["frames"], codes))
    if columns.onset is not None:
        by_row["times"] = cells.times_of(data[columns.onset], locate)
        order = np.lexsort((by_row["times"], codes))
    # all pairs of rows that are neighbours in a recording
    is_pair = codes[order[:-1]] == codes[order[1:]]
    pairs = order[:-1][is_pair], order[1:][is_pair]
    if columns.frame is not None:
        _refuse_twice(by_row["frames"], *pairs, locate, "frame")
        _check_gaps(by_row["frames"], *pairs, locate, fill_gaps, columns.frame)
    if columns.onset is not None:
        hint = ". Their order is unknown: change one of the times, or leave one row out"
        _refuse_twice(by_row["times"], *pairs, locate, "time", hint)
    falls = []
    for column in order_names:  # in a loop: the stack level of the warning counts on it
        if _warn_of_order(data[column], *pairs, locate):
            falls.append(column)
    recordings = [
        Recording(
            name=names[i],
            group=groups[i],
            **{field: values[rows] for field, values in by_row.items()},
        )
        for i, rows in enumerate(np.split(order, np.cumsum(np.bincount(codes))[:-1]))
    ]
    return recordings, np.array_equal(order, as_they_stand), falls


def _warn_of_order(column, before, after, locate):
    """Return whether rows of a recording are not in the order of a column of frames or times.

    A warning is given of the first of them.
    """
    import pandas as pd

    if pd.api.types.is_bool_dtype(column):  # onsets of keypoint-MoSeq are flags
        return False
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    falls = values[after] < values[before]
    if falls.any():
        warnings.warn(
            f"{locate(after[np.argmax(falls)])}: rows are not in the order of column "
            f"{column.name!r}, and are taken as they stand. To sort them, give load_table or "
            f"load_syllable_csv frame={column.name!r} for a row a frame, or onset={column.name!r} "
            "for a row an event",
            UserWarning,
            stacklevel=7,
        )
    return falls.any()


def _refuse_twice(values, before, after, locate, what, hint=""):
    """Raise ValueError for a frame or time that occurs twice in a recording."""
    is_same = values[after] == values[before]
    if is_same.any():
        first, second = before[np.argmax(is_same)], after[np.argmax(is_same)]
        raise ValueError(
            f"{locate(second)}: expected every {what} of a recording once, but {what} "
            f"{values[second]} is in {locate.row(first)} too{hint}"
        )


def _check_gaps(frames, before, after, locate, fill_gaps, column):
    """Raise ValueError for a gap between frames unless it is to be filled; warn of many."""
    steps = frames[after] - frames[before]
    n_next, n_missing = np.sum(steps == 1), int(np.sum(steps - 1))
    is_table_of_events = n_next < _FEWEST_NEXT * len(steps)
    facts = f"{n_next:,} of {len(steps):,} rows follow directly on the frame before"
    if n_missing <= _MAX_FILLED * len(frames):
        facts += (
            f". fill_gaps=True makes the {n_missing:,} frames between the {len(frames):,} rows "
            "missing timesteps"
        )
    if is_table_of_events:
        facts += (
            ". The model learns from pairs of observed timesteps alone. If each row is an event, "
            f"{cells.advise_onset(column)}"
        )
    if not fill_gaps and (steps > 1).any():
        gap = np.argmax(steps > 1)
        raise ValueError(
            f"{locate(after[gap])}: frame {frames[after[gap]]} comes after frame "
            f"{frames[before[gap]]} ({locate.row(before[gap])}), which leaves out "
            f"{steps[gap] - 1}. {facts}"
        )
    if fill_gaps and is_table_of_events:
        warnings.warn(facts, UserWarning, stacklevel=7)


def _filled(recording, place):
    """Return a recording with a timestep for every frame from the first to the last one."""
    name, labels, frames, *_ = recording
    n_frames = int(frames[-1] - frames[0]) + 1
    if n_frames > _MAX_FILLED * len(frames):
        raise ValueError(
            f"{place}, recording {name!r}: {len(frames)} rows, but frames {frames[0]} to "
            f"{frames[-1]}: expected numbers of frames to fill gaps between, not times"
        )
    missing = None if labels.dtype == object else MISSING
    all_labels = np.full(n_frames, missing, dtype=labels.dtype)
    all_labels[frames - frames[0]] = labels
    return recording._replace(labels=all_labels, frames=np.arange(frames[0], frames[-1] + 1))
