"""Read recordings and their groups from files, whatever program wrote them."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sklearn.utils import Bunch

from hhmm import datasets
from hhmm._optional.extras import import_extra
from hhmm.datasets._formats import (
    NUMPY,
    RECORDING,
    advise_pattern,
    find_format,
    find_separator,
    is_pattern,
    list_files,
    read_header,
)

FORMATS = ("keypoint-moseq", "keypoint-moseq-csv", "moseq-df", "table", "csv", "npy")
_OF_KEYPOINT_MOSEQ = ("centroid x", "heading")
ANIMAL = "animal"
# cells of a table that other programs write for one without a label
_MISSING = ("", "NA", "N/A", "<NA>", "NaN", "nan")
_MOST_SHOWN = 3


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how files are read."""
    options = parser.add_argument_group("how the data are read (usually not needed)")
    options.add_argument("--recording", metavar="COLUMN", help="column of the recording in a table")
    options.add_argument("--syllable", metavar="COLUMN", help="column of the syllable in a table")
    options.add_argument("--frame", metavar="COLUMN", help="column of frame numbers in a table")
    options.add_argument(
        "--onset", metavar="COLUMN", help="column of onset times in a table with a row an event"
    )
    options.add_argument(
        "--format", choices=FORMATS, help="what the data are (default: found from the file)"
    )
    options.add_argument("--sep", help="separator of the cells of a table (default: from header)")
    options.add_argument(
        "--fill-gaps", action="store_true", help="frames that --frame skips are missing"
    )
    options.add_argument(
        "--n-lags",
        type=int,
        default=0,
        metavar="N",
        help="frames to leave out at the start of each recording (keypoint-MoSeq: 3)",
    )
    options.add_argument(
        "--text-labels",
        action="store_true",
        help="syllables in a table are text and not numbers",
    )


def read_recordings(path: Path, options: Any) -> Bunch:
    """Read recordings with the loader that knows the file, see `hhmm.datasets`.

    Parameters
    ----------
    path : Path
        ``results.h5`` of keypoint-MoSeq, its folder of CSV files, ``moseq_df.csv``, a table, a
        folder with a CSV or .npy file for each recording, or a pattern of files, as
        `hhmm.datasets.open_recordings` takes it.
    options : Namespace
        With the options of `add_options`.
    """
    if not path.exists():
        if is_pattern(path):
            return _read_pattern(path, options)
        raise FileNotFoundError(f"There is no file or folder {path}.")
    what = options.format or _find_format(path, options)
    if what == "keypoint-moseq" and options.format:  # whatever the file ends in
        return datasets.load_keypoint_moseq(path, n_lags=options.n_lags)
    if what in ("keypoint-moseq", "npy"):
        return _read_opened(path, n_lags=options.n_lags)
    sep = options.sep or _find_separator(path)
    if what == "keypoint-moseq-csv":
        return datasets.load_keypoint_moseq_csv(path, n_lags=options.n_lags, sep=sep)
    if what == "moseq-df":
        return datasets.load_moseq_dataframe(
            path, n_lags=options.n_lags, sep=sep, fill_gaps=options.fill_gaps
        )
    if options.n_lags:
        raise ValueError("--n-lags is for files of keypoint-MoSeq. Leave it out.")
    given: dict[str, Any] = {
        "syllable": options.syllable or "syllable",
        "frame": options.frame,
        "onset": options.onset,
        "sep": sep,
        "fill_gaps": options.fill_gaps,
        "integer_labels": not options.text_labels,
    }
    if what == "csv":
        return datasets.load_syllable_csv(path, **given)
    if not (options.frame or options.onset or options.fill_gaps or options.text_labels):
        # a block of rows at a time: a large table takes a third of the memory
        return _read_opened(
            path, syllable=options.syllable, recording=options.recording, sep=options.sep
        )
    return datasets.load_table(path, recording=options.recording or RECORDING, **given)


def _read_pattern(pattern, options):
    """Read the files of a pattern."""
    others = {
        "--format": options.format,
        "--frame": options.frame,
        "--onset": options.onset,
        "--fill-gaps": options.fill_gaps,
        "--text-labels": options.text_labels,
    }
    for name, value in others.items():
        if value:
            raise ValueError(f"{name} does not go with a pattern of files. Give a file or folder.")
    return _read_opened(
        pattern,
        n_lags=options.n_lags,
        syllable=options.syllable,
        recording=options.recording,
        sep=options.sep,
    )


def _read_opened(path, **options):
    """Open files, in the form in which the loaders return what they read."""
    recordings = datasets.open_recordings(path, **options)
    n_timesteps = recordings.lengths.sum()
    return Bunch(
        sequences=recordings,
        names=recordings.names,
        groups=recordings.groups,
        frames=None,
        times=None,
        source=f"{path}: {len(recordings)} recording(s), {n_timesteps:,} timesteps",
    )


def _find_format(path, options):
    """Return which of `FORMATS` a file or a folder has, by its content."""
    if path.is_dir():
        files, arrays = _csv_files(path), list_files(path, NUMPY)
        if files and arrays:
            raise ValueError(
                f"Expected files of one format, got {files[0]} and {arrays[0]}. Give those of one "
                f"format as a pattern in quotes: '{path}/*.csv' or '{path}/*.npy'."
            )
        if arrays:
            return "npy"
        if not files:
            advice = advise_pattern(path, (".csv", *NUMPY))
            if (path / "results.h5").exists():
                advice = f" Give the file {path / 'results.h5'}."
            endings = ", ".join((".csv", *NUMPY))
            raise ValueError(f"The folder {path} has no file that ends in {endings}.{advice}")
        header = read_header(files[0], options.sep)
        if options.syllable is None and any(name in header for name in _OF_KEYPOINT_MOSEQ):
            return "keypoint-moseq-csv"
        return "csv"
    what = find_format(
        path, recording=options.recording, syllable=options.syllable, sep=options.sep
    )
    if what is None:
        raise ValueError(
            f"No loader knows {path}. Give results.h5 of keypoint-MoSeq (.h5), a table (.csv, .tsv "
            "or .txt), a .npy file, or a folder of CSV or .npy files."
        )
    return what


def _csv_files(folder):
    return list_files(folder, (".csv",))


def _find_separator(path):
    """Return the separator of a file, or of the first one of a folder."""
    files = _csv_files(path) if path.is_dir() else [path]
    return find_separator(files[0]) if files else ","


class Groups(NamedTuple):
    """Animals and factors of the recordings, in their order."""

    animals: list[str] | None
    factors: dict[str, list[str]]  # columns to compare


def read_groups(path: Path, names: Sequence[str]) -> Groups:
    """Read a table with the animal and the groups of each recording.

    Parameters
    ----------
    path : Path
        CSV file with a column "recording", and columns "animal" or others, or both.
    names : sequence of str
        Recordings as the loader names them.
    """
    pd = import_extra("pandas", "--groups")
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path} of groups.")
    try:
        table = pd.read_csv(
            path, dtype=str, encoding="utf-8-sig", sep=None, engine="python", keep_default_na=False
        )
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from error
    table.columns = [str(name).strip() for name in table.columns]
    columns = list(table.columns)
    if RECORDING not in columns or len(columns) < 2:
        raise ValueError(
            f"{path} must have a column {RECORDING!r} and others, for example {ANIMAL!r} and "
            f"'condition', got {columns}."
        )
    if table.empty:
        raise ValueError(f"{path} has a header and no rows. Give each recording a row.")
    table = table.fillna("").apply(lambda column: column.str.strip())
    twice = table[RECORDING][table[RECORDING].duplicated()]
    if len(twice):
        raise ValueError(f"{path} has recording {twice.iloc[0]!r} twice. Give it one row.")
    table = table.set_index(RECORDING)
    absent = [name for name in names if name not in table.index]
    if absent:
        raise ValueError(
            f"{path} has no row for {len(absent)} of {len(names)} recordings, for example "
            f"{_some(absent)}. It has rows for {_some(table.index)}. Give each recording a row, "
            "with its name as in the data."
        )
    unknown = [name for name in table.index if name not in set(names)]
    if unknown:
        raise ValueError(
            f"{path} has rows that match no recording ({len(unknown)} in all), for example "
            f"{_some(unknown)}. The data have {_some(names)}. Correct the names, or remove the "
            "rows."
        )
    table = table.loc[list(names)]
    for column in table.columns:
        empty = table.index[table[column].isin(_MISSING)]
        if len(empty):
            raise ValueError(
                f"{path} has no {column} for recording {empty[0]!r}, got "
                f"{table.loc[empty[0], column]!r}. Give it one, or leave the column {column!r} out."
            )
    animals = table[ANIMAL].tolist() if ANIMAL in table.columns else None
    factors = {name: table[name].tolist() for name in table.columns if name != ANIMAL}
    return Groups(animals, factors)


def _some(names):
    shown = ", ".join(repr(name) for name in list(names)[:_MOST_SHOWN])
    return shown + (" and more" if len(names) > _MOST_SHOWN else "")
