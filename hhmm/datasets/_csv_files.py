"""Read CSV files, as plain UTF-8 text: fetch no address, unpack no archive, expand no pattern."""

import csv
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hhmm._optional.extras import import_extra
from hhmm._validation import shorten
from hhmm.datasets._recordings import existing_file, recording_name

_BLOCK = 500_000  # rows of a file that are parsed at a time
# Cells that are read as no number.
_EMPTY_CELLS = ["", "NaN", "nan", "NA", "N/A", "<NA>", "null", "None"]
_SEPARATORS = ",;\t|"


class Table(NamedTuple):
    """A table; of a file, only the header has been read."""

    place: str  # names it in errors
    columns: list  # of str, as they stand in the header
    path: Path | None
    sep: str
    data: object  # pandas.DataFrame, or None for a file


def named_files(paths_or_folder, *, recursive=False, user):
    """Return the file of each recording, by name, from a file, a list of files or a folder."""
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
    """Open a table; of a file, read the header."""
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


def choose_column(table, names, *, required=True):
    """Return the first of `names` that is a column, or None unless one is `required`."""
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


def read_columns(table, wanted, *, text, times):
    """Return the columns `wanted` of a table as a DataFrame.

    Parameters
    ----------
    table : Table
    wanted : list of str
    text : set of str
        Columns to read as text.
    times : list of str
        Columns that may have a comma in front of decimals where `sep` is another character.
    """
    if table.data is not None:
        return table.data[wanted]
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
        data[times] = data[times].replace({",": "."}, regex=True)
    return data


def _read_csv(path, *, columns=None, **options):
    """Return the given columns of a file, all if None.

    All columns are parsed, a block of rows at a time. If pandas skips columns, it accepts rows
    with too many cells, whose cells may be in the wrong columns.
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


def _first_line(path):
    """Return the header of a text file, or its first 100,000 characters; "" if it is no text."""
    with open(path, encoding="utf-8-sig") as file:
        try:
            return file.readline(100_000)
        except UnicodeDecodeError:
            return ""


def _advise_separator(path, sep):
    """Return advice for an error if another separator occurs more often in the header."""
    header = _first_line(path)
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
