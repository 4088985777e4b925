"""Read CSV files, as plain UTF-8 text: fetch no address, unpack no archive, expand no pattern."""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from hhmm._optional.extras import import_extra
from hhmm._runtime.file_names import recording_name
from hhmm._validation import shorten, to_list
from hhmm.datasets._recordings import existing_file

if TYPE_CHECKING:
    import pandas

_BLOCK = 500_000  # rows of a file that are parsed at a time
# Cells that are read as no number.
_EMPTY_CELLS = ["", "NaN", "nan", "NA", "N/A", "<NA>", "null", "None"]
_SEPARATORS = ",;\t|"
RECORDING_NAME = "name"  # of a column, in the tables of keypoint-MoSeq

PathLike: TypeAlias = str | os.PathLike[str]


class TableOfOtherPackage(Protocol):
    """A table of polars, pyarrow or another package."""

    def to_pandas(self) -> pandas.DataFrame:
        """Return the table as a data frame."""


class Table(NamedTuple):
    """A table; of a file, only the header has been read."""

    place: str  # names it in errors
    columns: list[Any]  # as they stand in the header; text, in a file
    path: Path | None
    sep: str
    data: pandas.DataFrame | None  # None for a file


def open_tables(
    paths_or_folder: PathLike | Iterable[PathLike], *, recursive: bool = False, sep: str, user: str
) -> dict[str, Table]:
    """Open the file of each recording, from a file, a list of files or a folder."""
    if not isinstance(paths_or_folder, str | os.PathLike):
        expected = "expected a path of a file or folder, or a list of files"
        paths = to_list(paths_or_folder, expected)
        for path in paths:
            if not isinstance(path, str | os.PathLike):
                raise TypeError(f"{expected}, got {shorten(path)}")
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
    files = name_files(names, paths, ending=".csv")
    tables = {name: open_table(path, sep=sep, user=user) for name, path in files.items()}
    refuse_other_tables(tables, paths_or_folder, user)
    return tables


def name_files(names: Iterable[str], paths: Iterable[Path], *, ending: str) -> dict[str, Path]:
    """Return files by the names of their recordings, which are `names` without an ending."""
    files: dict[str, Path] = {}
    for name, path in zip(names, paths, strict=True):
        name = recording_name(name[: -len(ending)] if name.lower().endswith(ending) else name)
        if name in files:
            raise ValueError(f"two files give recording {name!r}: {files[name]} and {path}")
        files[name] = path
    return files


def refuse_other_tables(tables, folder, user):
    """Refuse tables of all recordings, as moseq_df.csv is, where each file is one recording.

    Such a table names the recording of each row. Files of keypoint-MoSeq never do; others may, if
    all of them do.
    """
    others = [table.path.name for table in tables.values() if RECORDING_NAME in table.columns]
    if others and (user == "load_keypoint_moseq_csv" or len(others) < len(tables)):
        raise ValueError(
            f"{folder} holds tables of several recordings, with a column {RECORDING_NAME!r}: "
            f"{shorten(', '.join(others))}. Load such a table with load_moseq_dataframe, or give "
            f"the files of one recording each to load_syllable_csv, as a list."
        )


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


def open_table(
    path_or_dataframe: PathLike | pandas.DataFrame | TableOfOtherPackage, *, sep: str, user: str
) -> Table:
    """Open a table; of a file, read the header."""
    pd = import_extra("pandas", user)
    if hasattr(path_or_dataframe, "to_pandas"):
        path_or_dataframe = path_or_dataframe.to_pandas()
    if isinstance(path_or_dataframe, pd.DataFrame):
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
    if advice and sep not in first_line(path):
        raise ValueError(f"{path} has no {sep!r} in its header{advice}")
    # Two lines, so that a row with more cells than the header is found: pandas would take
    # its first cell for the name of the row, and all others for those of the next column.
    options = {"header": None, "nrows": 2, "dtype": str, "keep_default_na": False}
    top = next(_iterate_csv(path, sep=sep, **options))
    return Table(str(path), top.iloc[0].tolist(), path, sep, None)


def find_column(table: Table, names: Sequence[str]) -> str | None:
    """Return the first of `names` that is a column, or None; refuse one that occurs twice."""
    for name in names:
        n_columns = table.columns.count(name)
        if n_columns > 1:
            raise ValueError(f"{table.place} has {n_columns} columns {name!r}: expected one")
        if n_columns:
            return name
    return None


def choose_column(table: Table, names: Sequence[str]) -> str:
    """Return the first of `names` that is a column; raise ValueError if there is none."""
    name = find_column(table, names)
    if name is not None:
        return name
    wanted = " or ".join(map(repr, names))
    shown = ", ".join(repr(column) for column in table.columns[:20])
    more = ", ..." if len(table.columns) > 20 else ""
    advice = "" if table.path is None else _advise_separator(table.path, table.sep)
    raise ValueError(f"{table.place} has no column {wanted}: its columns are {shown}{more}{advice}")


def read_columns(
    table: Table, wanted: list[str], text: Collection[str], times: list[str]
) -> pandas.DataFrame:
    """Return the columns `wanted` of a table; those of a file that are in `text` as text.

    Columns in `times` may have a comma in front of decimals if the separator is another character.
    """
    import pandas as pd

    if table.data is not None:
        return table.data[wanted]
    return pd.concat(iterate_columns(table, wanted, text, times), ignore_index=True)


def iterate_columns(
    table: Table, wanted: list[str], text: Collection[str] = (), times: Sequence[str] = ()
) -> Iterator[pandas.DataFrame]:
    """Yield the columns of a file as `read_columns` does, a block of rows at a time.

    The index of a block holds the numbers of the rows.
    """
    is_checked = False
    for block in _iterate_csv(table.path, **_options_of(table, wanted, text)):
        data = block[wanted]
        if not is_checked and _has_empty_cells(table, data):
            _refuse_short_rows(table)
            is_checked = True
        if table.sep != "," and times:  # such files may write 0,25 for 0.25
            data[times] = data[times].replace({",": "."}, regex=True)
        yield data


def _options_of(table, wanted, text):
    return {
        "sep": table.sep,
        "dtype": dict.fromkeys(text, str),
        "keep_default_na": False,
        "na_values": {column: _EMPTY_CELLS for column in wanted if column not in text},
        # In a file of one column an empty line is an empty cell.
        "skip_blank_lines": len(table.columns) > 1,
    }


def _has_empty_cells(table, data):
    return len(table.columns) > 1 and (data.isna() | (data == "")).any(axis=None)


def _iterate_csv(path, **options):
    """Yield a file as tables of all columns, a block of rows at a time.

    All columns are parsed. If pandas skips columns, it accepts rows with too many cells, whose
    cells may be in the wrong columns.
    """
    import pandas as pd

    try:
        with (
            open(path, "rb") as file,
            pd.read_csv(file, encoding="utf-8", chunksize=_BLOCK, **options) as blocks,
        ):
            yield from blocks
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{path} is empty") from error
    except pd.errors.ParserError as error:
        reason = " ".join(str(error).replace("Error tokenizing data. C error:", "").split())
        advice = _advise_separator(path, options["sep"])
        raise ValueError(f"{path} is not a table: {reason}{advice}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}") from error


def first_line(path):
    """Return the header of a text file, or its first 100,000 characters; "" if it is no text."""
    with open(path, encoding="utf-8-sig") as file:
        try:
            return file.readline(100_000)
        except UnicodeDecodeError:
            return ""


def _advise_separator(path, sep):
    """Return advice for an error if another separator occurs more often in the header."""
    header = first_line(path)
    count, other = max((header.count(other), other) for other in _SEPARATORS)
    if count <= header.count(sep):
        return ""
    return f". It looks separated by {other!r}: pass sep={other!r}"


def _refuse_short_rows(table):
    """Raise ValueError for a row with fewer cells than the header, which pandas fills up."""
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
