"""Load syllables from tables: CSV files and pandas DataFrames.

Rows are counted from 0 without the header, as pandas counts them. Cells of names and groups are
read as text, so that recording "007" stays "007".
"""

import os
import warnings
from typing import NamedTuple

import numpy as np
from sklearn.utils._param_validation import validate_params

from hhmm._sequences.ragged import MISSING
from hhmm.datasets._cells import (
    ORDER_NAME,
    advise_onset,
    frame_numbers,
    groups_of,
    labels_of,
    recording_codes,
    times_of,
)
from hhmm.datasets._csv_files import choose_column, named_files, open_table, read_columns
from hhmm.datasets._recordings import FRAME_RATE, Recording, to_bunch, warn_of_reindexed

# More missing timesteps than this for every row, and the frames are something else: times, say.
_MAX_FILLED = 1000
# Where fewer rows than this share hold the next frame, a table has a row an event.
_FEWEST_NEXT = 0.5
_ENCODE = (
    "Load labels that are no integers with integer_labels=False and number them by "
    "hhmm.preprocessing.SyllableEncoder"
)


class Columns(NamedTuple):
    """Which column is what; None where there is none."""

    syllable: str
    recording: str | None = None
    frame: str | None = None
    group: str | None = None
    onset: str | None = None


@validate_params(
    {
        "recording": [str],
        "syllable": [str],
        "frame": [str, None],
        "onset": [str, None],
        "group": [str, None],
        "frame_rate": FRAME_RATE,
        "sep": [str],
        "fill_gaps": ["boolean"],
        "integer_labels": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_table(
    path_or_dataframe,
    *,
    recording,
    syllable,
    frame=None,
    onset=None,
    group=None,
    frame_rate=None,
    sep=",",
    fill_gaps=False,
    integer_labels=True,
):
    """Load syllables from a tidy table: one row a timestep, with named columns.

    Parameters
    ----------
    path_or_dataframe : str, Path or table
        A CSV file in UTF-8 with a header, not compressed; or the table itself, of pandas,
        polars or pyarrow.
    recording : str
        Column of the recording of each row. In a file it is read as text, so ``007``
        stays "007".
    syllable : str
        Column of labels: integers, negative or empty where missing.
    frame : str, default=None
        Column of frame numbers, integers, for tables with a row a frame. Rows are sorted
        by it within their recording, and a frame that occurs twice is refused. Without
        `frame` and `onset`, the rows of a recording are consecutive timesteps in the
        order in which they stand.
    onset : str, default=None
        Column of the times at which events begin, for tables with a row an event (song annotation,
        BORIS): numbers in any unit, or dates or time differences of a data frame, which become
        seconds since the first. Rows are sorted by it within their recording,
        and each event is one timestep. A time that occurs twice is refused.
    group : str, default=None
        Column of the experimental group, the same in all rows of a recording.
    frame_rate : float, default=None
        Timesteps a second. It is stored with the data and not used here.
    sep : str, default=","
        Separator of the cells of a file; ";" and a tab are common too.
    fill_gaps : bool, default=False
        Whether frame numbers that a recording skips become missing timesteps. With False,
        they raise an error.
    integer_labels : bool, default=True
        With False, labels are kept as they are, as text from a file. Sequences are then
        object arrays, None where missing (an empty cell), as
        `hhmm.preprocessing.SyllableEncoder` takes them.

    Returns
    -------
    data : `~sklearn.utils.Bunch`
        sequences : list of ndarrays of shape (n_timesteps_i,), int32
            Labels, one array a recording, -1 where missing: the X of
            `hhmm.EfficientHHMM`. Objects if not `integer_labels`.
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
            True where a syllable begins: it is observed, and the timestep before is
            missing, another syllable, or in another recording.
        source : str
            Origin and size of the data.

    Raises
    ------
    ValueError
        If the table is empty or no table, a column is missing, a label or frame is no
        integer, a frame occurs twice or is skipped, or a recording has two groups. The
        message names file, recording and row.
    FileNotFoundError, IsADirectoryError
        If `path_or_dataframe` is no file.
    ImportError
        Without pandas, which is part of the extra ``io``.

    Warns
    -----
    UserWarning
        If rows are not in the order of a column that seems to hold frames or times but was
        not given. If `fill_gaps` leaves fewer than half of the transitions observed.

    See Also
    --------
    load_syllable_csv : One file a recording.
    save_states : Write states beside each recording.

    Notes
    -----
    Rows are counted from 0, without the header. With `fill_gaps`, more than 1000 missing
    timesteps for each row raise an error, since such numbers do not count frames.

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
    >>> data = load_table(
    ...     table,
    ...     recording="mouse",
    ...     syllable="label",
    ...     frame="frame",
    ...     group="treatment",
    ...     fill_gaps=True,
    ... )
    >>> data.names, data.groups
    (['a', 'b'], ['drug', 'saline'])
    >>> data.sequences
    [array([ 4,  4, -1,  2], dtype=int32), array([0, 1], dtype=int32)]
    """
    table = open_table(path_or_dataframe, sep=sep, user="load_table")
    columns = Columns(syllable, recording, frame, group, onset)
    for column in columns:
        if column is not None:
            choose_column(table, [column])
    recordings = read_recordings(
        table, columns, fill_gaps=fill_gaps, as_integers=integer_labels, hint=_ENCODE
    )
    warn_of_reindexed(syllable, len(recordings), origin=table.place, kind="column", stacklevel=4)
    return to_bunch(recordings, frame_rate=frame_rate, origin=f"{table.place}, column {syllable!r}")


@validate_params(
    {
        "syllable": [str],
        "frame": [str, None],
        "onset": [str, None],
        "frame_rate": FRAME_RATE,
        "sep": [str],
        "fill_gaps": ["boolean"],
        "integer_labels": ["boolean"],
        "recursive": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_syllable_csv(
    paths_or_folder,
    *,
    syllable="syllable",
    frame=None,
    onset=None,
    frame_rate=None,
    sep=",",
    fill_gaps=False,
    integer_labels=True,
    recursive=False,
):
    """Load syllables from CSV files, one recording a file, one row a timestep.

    Of columns such as ``syllable,x,y``, only `syllable` is read.

    Parameters
    ----------
    paths_or_folder : str, Path, or list of them
        A file, a list of files, or a folder. Of a folder, all files that end in ".csv" are
        read, ordered by name, except hidden ones.
    syllable : str, default="syllable"
        Column of labels: integers, negative or empty where missing.
    frame, onset : str, default=None
        Column of frame numbers, or of times of events; see `load_table`.
    frame_rate : float, default=None
        Timesteps a second. It is stored with the data and not used here.
    sep : str, default=","
        Separator of the cells.
    fill_gaps : bool, default=False
        Whether skipped frame numbers become missing timesteps.
    integer_labels : bool, default=True
        With False, labels are kept as text; see `load_table`.
    recursive : bool, default=False
        Whether files in folders of the folder are read as well.

    Returns
    -------
    data : `~sklearn.utils.Bunch`
        As for `load_table`. A recording has the name of its file without ".csv"; with
        `recursive`, folders are part of the name: "day1/mouse2". ``groups`` is None.

    Raises
    ------
    ValueError
        As for `load_table`, and if there is no file, or two have the same name.
    FileNotFoundError, IsADirectoryError
        If a path is no file.
    ImportError
        Without pandas, which is part of the extra ``io``.

    See Also
    --------
    load_table : Many recordings in one file.
    load_keypoint_moseq_csv : The same for the files of keypoint-MoSeq.

    Notes
    -----
    Rows are counted from 0, without the header. An empty line is no row, except in a file
    of one column, where it is a missing timestep.

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
    user = "load_syllable_csv"
    tables = {
        name: open_table(path, sep=sep, user=user)
        for name, path in named_files(paths_or_folder, recursive=recursive, user=user).items()
    }
    columns = Columns(syllable, frame=frame, onset=onset)
    for table in tables.values():
        for column in (syllable, frame, onset):
            if column is not None:
                choose_column(table, [column])
    recordings = []
    for name, table in tables.items():
        recordings += read_recordings(
            table, columns, name=name, fill_gaps=fill_gaps, as_integers=integer_labels, hint=_ENCODE
        )
    shown = paths_or_folder if isinstance(paths_or_folder, str | os.PathLike) else "CSV files"
    warn_of_reindexed(syllable, len(recordings), origin=shown, kind="column", stacklevel=4)
    return to_bunch(recordings, frame_rate=frame_rate, origin=f"{shown}, column {syllable!r}")


def read_recordings(table, columns, *, name=None, fill_gaps=False, as_integers=True, hint=""):
    """Read a table and take it apart.

    Parameters
    ----------
    table : Table
    columns : Columns
    name : str, default=None
        Name of the recording if ``columns.recording`` is None.
    fill_gaps : bool
    as_integers : bool
    hint : str
        What to do about a label that is no number, for the error.

    Returns
    -------
    recordings : list of Recording
        In the order in which they first occur.
    """
    if columns.frame is not None and columns.onset is not None:
        raise ValueError(
            f"{table.place}: expected frame or onset, got both. frame is for a row a frame, onset "
            "for a row an event"
        )
    if fill_gaps and columns.frame is None:
        raise ValueError(f"{table.place}: fill_gaps=True needs a column of frame numbers")
    is_ordered = columns.frame is not None or columns.onset is not None
    order_names = [] if is_ordered else _order_names(table, columns)
    wanted = [name for name in dict.fromkeys([*columns, *order_names]) if name is not None]
    text = {columns.recording, columns.group, None if as_integers else columns.syllable} - {None}
    times = order_names if columns.onset is None else [columns.onset]
    data = read_columns(table, wanted, text=text, times=times)
    if len(data) == 0:
        raise ValueError(f"{table.place} has no rows")
    if columns.recording is None:
        codes, names = np.zeros(len(data), dtype=np.int64), [name]
    else:
        codes, names = recording_codes(data[columns.recording], table.place)

    def locate(row):
        recording = "" if columns.recording is None else f", recording {names[codes[row]]!r}"
        return f"{table.place}{recording}, row {row}"

    labels = labels_of(data[columns.syllable], locate, as_integers, hint)
    groups = [None] * len(names)
    if columns.group is not None:
        groups = groups_of(data[columns.group], codes, len(names), locate)
    frames = times = None
    order = np.argsort(codes, kind="stable")
    if columns.frame is not None:
        frames = frame_numbers(data[columns.frame], locate)
        order = np.lexsort((frames, codes))
        _check_frames(frames, codes, order, locate, fill_gaps, columns)
    if columns.onset is not None:
        times = times_of(data[columns.onset], locate)
        order = np.lexsort((times, codes))
        hint = "Their order is unknown: change one of the times, or leave one row out"
        _refuse_twice(times, codes, order, locate, "time", hint=hint)
    for column in order_names:
        _warn_of_order(data[column], codes, order, locate)

    bounds = np.cumsum(np.bincount(codes))[:-1]
    recordings = []
    for i, rows in enumerate(np.split(order, bounds)):
        recordings.append(
            Recording(
                names[i],
                labels[rows],
                frames=None if frames is None else frames[rows],
                group=groups[i],
                times=None if times is None else times[rows],
            )
        )
    return _filled(recordings, table.place) if fill_gaps else recordings


def _order_names(table, columns):
    """Return the columns that seem to hold frames or times and are not read as something else."""
    return [
        name
        for name in table.columns
        if isinstance(name, str)
        and ORDER_NAME.fullmatch(name)
        and name not in columns
        and table.columns.count(name) == 1
    ]


def _warn_of_order(column, codes, order, locate):
    """Warn where the rows of a recording are not in the order of a column of frames or times."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(column):  # onsets of keypoint-MoSeq are flags
        return
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    falls = np.diff(values[order]) < 0
    falls &= codes[order[1:]] == codes[order[:-1]]
    if falls.any():
        row = order[1:][np.argmax(falls)]
        warnings.warn(
            f"{locate(row)}: rows are not in the order of column {column.name!r}, and are taken as "
            f"they stand. To sort them, pass frame={column.name!r} for a row a frame, or "
            f"onset={column.name!r} for a row an event",
            UserWarning,
            stacklevel=5,
        )


def _refuse_twice(values, codes, order, locate, what, *, hint=""):
    """Raise ValueError for a frame or time that occurs twice in a recording."""
    is_same = (np.diff(values[order]) == 0) & (codes[order[1:]] == codes[order[:-1]])
    if is_same.any():
        position = int(np.argmax(is_same))
        first, second = order[position], order[position + 1]
        raise ValueError(
            f"{locate(second)}: expected every {what} of a recording once, but {what} "
            f"{values[second]} is in row {first} too{hint and '. ' + hint}"
        )


def _check_frames(frames, codes, order, locate, fill_gaps, columns):
    """Raise ValueError for a frame that occurs twice, and for a gap unless it is to be filled."""
    _refuse_twice(frames, codes, order, locate, "frame")
    is_inside = codes[order[1:]] == codes[order[:-1]]
    steps = np.diff(frames[order])[is_inside]
    is_table_of_events = np.sum(steps == 1) < _FEWEST_NEXT * len(steps)
    n_missing = int(np.sum(steps - 1))
    facts = f"{np.sum(steps == 1):,} of {len(steps):,} rows follow directly on the frame before"
    if n_missing <= _MAX_FILLED * len(frames):
        facts += (
            f". fill_gaps=True makes the {n_missing:,} frames between the {len(frames):,} rows "
            "missing timesteps"
        )
    if is_table_of_events:
        facts += (
            ". The model learns from pairs of observed timesteps alone. If each row is an event, "
            f"{advise_onset(columns.frame)}"
        )
    if not fill_gaps and (steps > 1).any():
        position = np.flatnonzero(is_inside)[np.argmax(steps > 1)]
        before, after = order[position], order[position + 1]
        raise ValueError(
            f"{locate(after)}: frame {frames[after]} comes after frame {frames[before]} (row "
            f"{before}), which leaves out {frames[after] - frames[before] - 1}. {facts}"
        )
    if fill_gaps and is_table_of_events:
        warnings.warn(facts, UserWarning, stacklevel=5)


def _filled(recordings, place):
    """Return recordings with a timestep for every frame from the first to the last one."""
    filled = []
    for name, labels, frames, group, _ in recordings:
        n_frames = int(frames[-1] - frames[0]) + 1
        if n_frames > _MAX_FILLED * len(frames):
            raise ValueError(
                f"{place}, recording {name!r}: {len(frames)} rows, but frames {frames[0]} to "
                f"{frames[-1]}: expected numbers of frames to fill gaps between, not times"
            )
        missing = None if labels.dtype == object else MISSING
        all_labels = np.full(n_frames, missing, dtype=labels.dtype)
        all_labels[frames - frames[0]] = labels
        all_frames = np.arange(frames[0], frames[-1] + 1)
        filled.append(Recording(name, all_labels, all_frames, group))
    return filled
