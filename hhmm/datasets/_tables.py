"""Syllables from tables: CSV files and pandas DataFrames.

Rows are counted from 0 without the header, as pandas counts them. Cells of names and
groups are read as text, so that recording "007" stays "007". Files are opened as
plain UTF-8 text: no address is fetched, no archive unpacked, no pattern expanded.
"""

import csv
import math
import os
import re
import warnings
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.utils._param_validation import validate_params

from hhmm._optional.extras import import_extra
from hhmm._sequences.read import MISSING
from hhmm._validation import shorten
from hhmm.datasets._recordings import (
    FRAME_RATE,
    Recording,
    existing_file,
    integer_labels,
    recording_name,
    refuse,
    to_bunch,
    warn_of_reindexed,
)

_BLOCK = 500_000  # rows of a file that are parsed at a time
# Cells that are read as no number.
_EMPTY_CELLS = ["", "NaN", "nan", "NA", "N/A", "<NA>", "null", "None"]
_SEPARATORS = ",;\t|"
# Names of columns of frames or times, with units, and not of what was measured at a start.
_ORDER_NAME = re.compile(
    r"(frame|image)s?([ _](index|idx|number|no|nr|id))?"
    r"|(t|time|timestamp|onset|start|begin)s?([ _]?(time|frame|sample)s?)?"
    r"([ _]?[(\[]?(s|secs?|seconds?|ms|min|minutes?|h|hours?|frames?|samples?)[)\]]?)?",
    re.IGNORECASE,
)
_LARGEST_FRAME = 2**53  # float64 holds all integers up to this
# More missing timesteps than this for every row, and the frames are something else: times, say.
_MAX_FILLED = 1000
# Where fewer rows than this share hold the next frame, a table has a row an event.
_FEWEST_NEXT = 0.5
_ENCODE = (
    ". Load labels that are no integers with integer_labels=False and number them by "
    "hhmm.preprocessing.SyllableEncoder"
)


class Table(NamedTuple):
    """A table of which nothing but the header may have been read."""

    place: str  # names it in errors
    columns: list  # of str, as they stand in the header
    path: Path | None
    sep: str
    data: object  # pandas.DataFrame, or None for a file


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
        Column that tells which recording a row belongs to. In a file it is read as
        text, so ``007`` stays "007".
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
        Timesteps a second; kept beside the data, used by nothing here.
    sep : str, default=","
        What separates the cells of a file: ";" and a tab are common too.
    fill_gaps : bool, default=False
        What becomes of frame numbers that are left out inside of a recording: with
        False they are refused, with True they become missing timesteps.
    integer_labels : bool, default=True
        With False, labels are kept as they stand, text in a file: sequences are then
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
            Group of each recording, None where its cell is empty; None in place of
            the list where there is no `group`.
        frames : list of ndarrays of shape (n_timesteps_i,), int64, or None
            Frame number of each timestep; None without `frame`.
        times : list of ndarrays of shape (n_timesteps_i,), float64, or None
            When each event begins; None without `onset`.
        onsets : list of ndarrays of shape (n_timesteps_i,), bool
            Where a syllable begins: it is observed, and the timestep before is
            missing, another syllable, or not there.
        source : str
            Where the data are from, and how many.

    Raises
    ------
    ValueError
        Where the table is empty or no table, a column is missing, a label or frame
        is no integer, a frame occurs twice or is left out, or a recording has two
        groups. The message names file, recording and row.
    FileNotFoundError, IsADirectoryError
        If `path_or_dataframe` is no file.
    ImportError
        Without pandas, which is part of the extra ``io``.

    Warns
    -----
    UserWarning
        If rows are not in the order of a column that seems to hold frames or times and that was
        not given. If `fill_gaps` leaves fewer than half of the transitions observed.

    See Also
    --------
    load_syllable_csv : One file a recording.
    save_states : Write states beside each recording.

    Notes
    -----
    Rows are counted from 0, without the header. With `fill_gaps`, more than 1000
    missing timesteps for each row are refused: such numbers count something else than
    frames.

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

    The columns are those of ``syllable,x,y``, of which only `syllable` is read.

    Parameters
    ----------
    paths_or_folder : str, Path, or list of them
        A file, a list of files, or a folder: then all its files that end in ".csv",
        by name, but for hidden ones.
    syllable : str, default="syllable"
        Column of labels: integers, negative or empty where missing.
    frame, onset : str, default=None
        Column of frame numbers, or of times of events; see `load_table`.
    frame_rate : float, default=None
        Timesteps a second; kept beside the data, used by nothing here.
    sep : str, default=","
        What separates the cells.
    fill_gaps : bool, default=False
        Whether frame numbers that are left out become missing timesteps.
    integer_labels : bool, default=True
        With False, labels are kept as text; see `load_table`.
    recursive : bool, default=False
        Whether files in folders of the folder are read as well.

    Returns
    -------
    data : `~sklearn.utils.Bunch`
        As of `load_table`. A name is that of the file without ".csv"; with
        `recursive`, folders are part of it: "day1/mouse2". ``groups`` is None.

    Raises
    ------
    ValueError
        As of `load_table`, and where there is no file, or two of the same name.
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
    Rows are counted from 0, without the header. A line without anything is no row, but
    in a file of one column it is a missing timestep.

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


def named_files(paths_or_folder, *, recursive=False, user):
    """Names of recordings, each with its file, from a file, a list of files or a folder."""
    if not isinstance(paths_or_folder, str | os.PathLike):
        paths = paths_or_folder if isinstance(paths_or_folder, Iterable) else [paths_or_folder]
        paths = list(paths)
        for path in paths:
            if not isinstance(path, str | os.PathLike):
                raise TypeError(
                    f"expected a path of a file or folder, or a list of files, got {shorten(path)}"
                )
        paths = [existing_file(path) for path in paths]
        names = [path.name for path in paths]
    elif Path(paths_or_folder).is_dir():
        paths = _csv_files(Path(paths_or_folder), recursive, user)
        names = [path.relative_to(paths_or_folder).as_posix() for path in paths]
    else:
        paths = [existing_file(paths_or_folder)]
        names = [paths[0].name]
    if not paths:
        raise ValueError(f"expected at least one .csv file, got none in {paths_or_folder}")
    files = {}
    for name, path in zip(names, paths, strict=True):
        name = recording_name(name[:-4] if name.lower().endswith(".csv") else name)
        if name in files:
            raise ValueError(f"two files give recording {name!r}: {files[name]} and {path}")
        files[name] = path
    return files


def _csv_files(folder, recursive, user):
    def wanted(path):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        return path.suffix.lower() == ".csv" and not hidden and path.is_file()

    paths = sorted(filter(wanted, folder.rglob("*")))
    inside = folder.resolve()
    for path in paths:
        if not path.resolve().is_relative_to(inside):
            raise ValueError(
                f"{path} leads out of {folder} by a link, which is not followed: give files by "
                "their paths to load_syllable_csv, or copy them"
            )
    here = [path for path in paths if path.parent == folder]
    if not recursive and len(here) < len(paths):
        advice = (
            "Pass recursive=True to read them too"
            if user == "load_syllable_csv"
            else "To read them too, use load_syllable_csv with recursive=True"
        )
        warnings.warn(
            f"{len(paths) - len(here)} of {len(paths)} .csv files lie in subfolders of {folder} "
            f"and are left out. {advice}",
            UserWarning,
            stacklevel=5,
        )
    return paths if recursive else here


def open_table(path_or_dataframe, *, sep=",", user):
    """Read the header."""
    pandas = import_extra("pandas", user)
    if hasattr(path_or_dataframe, "to_pandas"):
        path_or_dataframe = path_or_dataframe.to_pandas()  # of polars, pyarrow and others
    if isinstance(path_or_dataframe, pandas.DataFrame):
        columns = list(path_or_dataframe.columns)
        return Table("the table", columns, None, sep, path_or_dataframe)
    if not isinstance(path_or_dataframe, str | os.PathLike):
        kind = type(path_or_dataframe)
        advice = ". Call its collect() first" if hasattr(path_or_dataframe, "collect") else ""
        raise TypeError(
            f"{user} takes a path, or a table of pandas, polars or pyarrow; got "
            f"{kind.__module__}.{kind.__qualname__}{advice}"
        )
    path = existing_file(path_or_dataframe)
    if len(sep) != 1:
        raise ValueError(f"sep must be a single character, got {shorten(sep)}")
    advice = _advise_separator(path, sep)
    if advice and sep not in _first_line(path):
        raise ValueError(f"{path} has no {sep!r} in its header{advice}")
    # Two lines, so that a row with more cells than the header is found: pandas would take
    # its first cell for the name of the row, and all others for those of the next column.
    top = _read_csv(path, sep=sep, header=None, nrows=2, dtype=str, keep_default_na=False)
    return Table(str(path), top.iloc[0].tolist(), path, sep, None)


def _first_line(path):
    """The header of a file as text, or its first 100,000 characters."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        return file.readline(100_000)


def _advise_separator(path, sep):
    """Advice to add to an error, if another separator occurs more often in the header."""
    header = _first_line(path)
    count, other = max((header.count(other), other) for other in _SEPARATORS)
    if count <= header.count(sep):
        return ""
    return f". It looks separated by {other!r}: pass sep={other!r}"


def _read_csv(path, *, columns=None, **options):
    """The given columns of a file, all if None.

    All columns are parsed, a block of rows at a time: told to leave some out, pandas no longer
    minds a row that has too many cells, and whose cells may so be in the wrong columns.
    """
    import pandas as pd

    try:
        with (
            open(path, "rb") as file,
            pd.read_csv(file, encoding="utf-8", chunksize=_BLOCK, **options) as blocks,
        ):
            return pd.concat(
                [block[columns or block.columns] for block in blocks], ignore_index=True
            )
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{path} is empty") from error
    except pd.errors.ParserError as error:
        reason = " ".join(str(error).replace("Error tokenizing data. C error:", "").split())
        advice = _advise_separator(path, options["sep"])
        raise ValueError(f"{path} is not a table: {reason}{advice}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}") from error


def choose_column(table, names, *, required=True):
    """The first of `names` that is a column; None where there is none and it is not `required`."""
    for name in names:
        n_columns = table.columns.count(name)
        if n_columns > 1:
            raise ValueError(f"{table.place} has {n_columns} columns {name!r}: expected one")
        if n_columns:
            return name
    if not required:
        return None
    wanted = " or ".join(map(repr, names))
    shown = ", ".join(repr(column) for column in table.columns[:20])
    more = ", ..." if len(table.columns) > 20 else ""
    advice = "" if table.path is None else _advise_separator(table.path, table.sep)
    raise ValueError(f"{table.place} has no column {wanted}: its columns are {shown}{more}{advice}")


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
        What an error about a label that is no number says beside that.

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
    data = _read(table, columns, as_integers, order_names)
    if len(data) == 0:
        raise ValueError(f"{table.place} has no rows")
    if columns.recording is None:
        codes, names = np.zeros(len(data), dtype=np.int64), [name]
    else:
        codes, names = _recording_codes(data[columns.recording], table.place)

    def locate(row):
        recording = "" if columns.recording is None else f", recording {names[codes[row]]!r}"
        return f"{table.place}{recording}, row {row}"

    labels = _labels(data[columns.syllable], locate, as_integers, hint)
    groups = [None] * len(names)
    if columns.group is not None:
        groups = _groups(data[columns.group], codes, len(names), locate)
    frames = times = None
    order = np.argsort(codes, kind="stable")
    if columns.frame is not None:
        frames = _frame_numbers(data[columns.frame], locate, columns)
        order = np.lexsort((frames, codes))
        _check_frames(frames, codes, order, locate, fill_gaps, columns)
    if columns.onset is not None:
        times = _times(data[columns.onset], locate)
        order = np.lexsort((times, codes))
        hint = ". Their order is unknown: change one of the times, or leave one row out"
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
    """Columns that seem to hold frames or times, besides those that are read as something else."""
    return [
        name
        for name in table.columns
        if isinstance(name, str)
        and _ORDER_NAME.fullmatch(name)
        and name not in columns
        and table.columns.count(name) == 1
    ]


def _read(table, columns, as_integers, others):
    """The columns that are wanted and `others`, as a DataFrame."""
    wanted = [column for column in dict.fromkeys([*columns, *others]) if column is not None]
    if table.data is not None:
        return table.data[wanted]
    text = {columns.recording, columns.group} - {None}
    if not as_integers:
        text.add(columns.syllable)
    data = _read_csv(
        table.path,
        sep=table.sep,
        columns=wanted,
        dtype=dict.fromkeys(text, str),
        keep_default_na=False,
        na_values={column: _EMPTY_CELLS for column in wanted if column not in text},
        # In a file of one column an empty line is an empty cell.
        skip_blank_lines=len(table.columns) > 1,
    )
    if len(table.columns) > 1 and (data.isna() | (data == "")).any(axis=None):
        _refuse_short_rows(table)
    if table.sep != ",":  # such files may write 0,25 for 0.25
        times = [name for name in (columns.onset, *others) if name is not None]
        data[times] = data[times].replace({",": "."}, regex=True)
    return data


def _refuse_short_rows(table):
    """Refuse a row with fewer cells than the header, of which pandas makes empty cells."""
    with open(table.path, encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=table.sep)
        # pandas takes a line of nothing but white space for no row
        rows = (cells for cells in lines if cells and (len(cells) > 1 or cells[0].strip()))
        try:
            for row, cells in enumerate(rows, start=-1):  # the header is no row
                if len(cells) < len(table.columns):
                    raise ValueError(
                        f"{table.place}, row {row}: expected {len(table.columns)} cells, as in "
                        f"the header, got {len(cells)}"
                    )
        except csv.Error as error:
            raise ValueError(f"{table.place} is not a table: {error}") from error


def _recording_codes(column, place):
    """The number of each row's recording, (n_rows,), and the names of all."""
    codes, values = _factorize(column, lambda row: f"{place}, row {row}")
    if (codes < 0).any():
        raise ValueError(
            f"{place}, row {int(np.argmax(codes < 0))}: expected the name of a recording in "
            f"column {column.name!r}, got nothing"
        )
    names = [str(value) for value in values]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"{place}: column {column.name!r} holds different values that read {twice!r}"
        )
    return codes, names


def _numbers(column, locate, expected, *, hint=""):
    """A column as float64 (n_rows,), NaN where empty."""
    import pandas as pd

    types = pd.api.types
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    numbers = column
    if types.is_object_dtype(column) or types.is_string_dtype(column):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                numbers, is_given = pd.to_numeric(column, errors="coerce"), column.notna()
        except Exception:  # objects may raise anything; large and complex numbers do
            numbers = pd.Series(map(_number, column), column.index, np.float64)
            is_given = np.fromiter(map(_is_given, column), bool, len(column))
        wrong = (numbers.isna() & is_given).to_numpy()
        refuse(wrong, column.to_numpy(), locate, expected, hint=hint)
    if not types.is_numeric_dtype(numbers) or types.is_complex_dtype(numbers):
        # times would become numbers too
        refuse(column.notna().to_numpy(), column.tolist(), locate, expected, hint=hint)
        return np.full(len(column), np.nan)
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def _number(value):
    """A value of a column as a float, NaN if it is none."""
    try:
        return math.nan if np.iscomplexobj(value) else float(value)
    except Exception:
        return math.nan


def _is_given(value):
    """Whether a value of a column is no empty cell."""
    import pandas as pd

    try:
        return bool(pd.notna(value))
    except Exception:
        return True


def _labels(column, locate, as_integers, hint):
    if as_integers:
        expected = "an integer syllable (negative or empty: missing)"
        numbers = _numbers(column, locate, expected, hint=hint)
        return integer_labels(numbers, locate, expected=expected)
    labels = column.to_numpy(dtype=object, copy=True)
    labels[_factorize(column, locate)[0] < 0] = None
    return labels


def _factorize(column, locate):
    """The number of each row's value, -1 where there is none or no text, and the values."""
    import pandas as pd

    try:
        codes, values = pd.factorize(column)
    except MemoryError:
        raise
    except Exception as error:  # hashes and comparisons of objects may raise anything
        values = column.tolist()
        wrong = np.array([not isinstance(value, Hashable) for value in values])
        refuse(wrong, values, locate, f"text or a number in column {column.name!r}")
        raise ValueError(f"{locate(0)}: column {column.name!r}: {error}") from error
    empty = [i for i, value in enumerate(values) if isinstance(value, str) and not value]
    codes[np.isin(codes, empty)] = -1
    return codes, values


def _groups(column, codes, n_recordings, locate):
    """The group of each recording; a ValueError where one has two."""
    group_codes, values = _factorize(column, locate)
    first_rows = np.full(n_recordings, -1)
    first_rows[codes[::-1]] = np.arange(len(codes))[::-1]
    of_recording = group_codes[first_rows]
    wrong = group_codes != of_recording[codes]
    if wrong.any():
        row = int(np.argmax(wrong))
        first = first_rows[codes[row]]
        raise ValueError(
            f"{locate(row)}: expected one group a recording, got {column.iloc[row]!r} after "
            f"{column.iloc[first]!r} in row {first}"
        )
    return [None if code < 0 else str(values[code]) for code in of_recording]


def _frame_numbers(column, locate, columns):
    """Frame numbers (n_rows,), int64."""
    expected = "an integer frame number"
    frames = _numbers(column, locate, expected)
    wrong = ~(np.abs(frames) <= _LARGEST_FRAME) | (frames != np.floor(frames))
    hint = f". If column {columns.frame!r} holds times of events, {_advise_onset(columns)}"
    refuse(wrong, frames, locate, expected, hint=hint if np.mean(wrong) > 0.5 else "")
    return frames.astype(np.int64)


def _advise_onset(columns):
    return (
        f"use load_table or load_syllable_csv with onset={columns.frame!r}: rows are sorted by it, "
        "and each event is one timestep"
    )


def _times(column, locate):
    """Times of events (n_rows,), float64; of dates the seconds since the first."""
    import pandas as pd

    expected = "the time of an event, a finite number"
    if pd.api.types.is_datetime64_any_dtype(column):
        column = column - column.min()
    if pd.api.types.is_timedelta64_dtype(column):
        column = column.dt.total_seconds()
    hint = ". Convert text to times first, by pandas.to_datetime or pandas.to_timedelta"
    times = _numbers(column, locate, expected, hint=hint)
    refuse(~np.isfinite(times), times, locate, expected)
    return times


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
    """Refuse a frame or time that occurs twice in a recording."""
    is_same = (np.diff(values[order]) == 0) & (codes[order[1:]] == codes[order[:-1]])
    if is_same.any():
        position = int(np.argmax(is_same))
        first, second = order[position], order[position + 1]
        raise ValueError(
            f"{locate(second)}: expected every {what} of a recording once, but {what} "
            f"{values[second]} is in row {first} too{hint}"
        )


def _check_frames(frames, codes, order, locate, fill_gaps, columns):
    """Refuse a frame that occurs twice in a recording, and a gap unless it is to be filled."""
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
            f"{_advise_onset(columns)}"
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
    """Recordings with a timestep for every frame from their first to their last."""
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
