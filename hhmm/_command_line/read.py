"""Read recordings and their groups from files, whatever program wrote them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sklearn.utils import Bunch

from hhmm import datasets
from hhmm._optional.extras import import_extra

_HDF5 = (".h5", ".hdf5")
_TABLES = (".csv", ".tsv", ".txt")
# columns of the recording in a moseq_df.csv, the newest name first
_MOSEQ_NAMES = ("name", "session_name", "file_name", "uuid")
_MOSEQ_SYLLABLES = ("syllable", "syllables_reindexed")
_OF_KEYPOINT_MOSEQ = ("centroid x", "heading")
RECORDING, ANIMAL = "recording", "animal"
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
    options.add_argument("--sep", default=",", help="separator of the cells of a table")
    options.add_argument(
        "--n-lags",
        type=int,
        default=0,
        metavar="N",
        help="frames to leave out at the start of each recording (keypoint-MoSeq: 3)",
    )
    options.add_argument(
        "--text-labels", action="store_true", help="syllables in a table are text and not numbers"
    )


def read_recordings(path: Path, options: Any) -> Bunch:
    """Read recordings with the loader that knows the file, see `hhmm.datasets`.

    Parameters
    ----------
    path : Path
        ``results.h5`` of keypoint-MoSeq, its folder of CSV files, ``moseq_df.csv``, a table, or a
        folder with a CSV file for each recording.
    options : Namespace
        With the options of `add_options`.
    """
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {path}.")
    if path.is_dir():
        files = sorted(file for file in path.glob("*.csv") if not file.name.startswith("."))
        if not files:
            raise ValueError(f"The folder {path} has no file that ends in .csv.")
        header = _header(files[0], options.sep)
        if options.syllable is None and any(name in header for name in _OF_KEYPOINT_MOSEQ):
            return datasets.load_keypoint_moseq_csv(path, n_lags=options.n_lags, sep=options.sep)
        return _one_recording_a_file(path, options)
    if path.suffix.lower() in _HDF5:
        return datasets.load_keypoint_moseq(path, n_lags=options.n_lags)
    if path.suffix.lower() not in _TABLES:
        raise ValueError(
            f"No loader knows {path}. Give results.h5 of keypoint-MoSeq (.h5), a table (.csv, .tsv "
            "or .txt), or a folder of CSV files."
        )
    if options.recording is not None:
        return datasets.load_table(
            path,
            recording=options.recording,
            syllable=options.syllable or "syllable",
            frame=options.frame,
            onset=options.onset,
            sep=options.sep,
            integer_labels=not options.text_labels,
        )
    header = _header(path, options.sep)
    if (
        options.syllable is None
        and any(name in header for name in _MOSEQ_NAMES)
        and any(name in header for name in _MOSEQ_SYLLABLES)
    ):
        return datasets.load_moseq_dataframe(path, n_lags=options.n_lags, sep=options.sep)
    return _one_recording_a_file(path, options)


def _one_recording_a_file(path, options):
    return datasets.load_syllable_csv(
        path,
        syllable=options.syllable or "syllable",
        frame=options.frame,
        onset=options.onset,
        sep=options.sep,
        integer_labels=not options.text_labels,
    )


def _header(path, sep):
    """Return the names of the columns of a file of text."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        return [cell.strip().strip('"') for cell in file.readline().rstrip("\r\n").split(sep)]


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
        table = pd.read_csv(path, dtype=str, sep=None, engine="python", keep_default_na=False)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from error
    table.columns = [str(name).strip() for name in table.columns]
    columns = list(table.columns)
    if RECORDING not in columns or len(columns) < 2:
        raise ValueError(
            f"{path} must have a column {RECORDING!r} and others, for example {ANIMAL!r} and "
            f"'condition', got {columns}."
        )
    table = table.apply(lambda column: column.str.strip())
    twice = table[RECORDING][table[RECORDING].duplicated()]
    if len(twice):
        raise ValueError(f"{path} has recording {twice.iloc[0]!r} twice. Give it one row.")
    table = table.set_index(RECORDING)
    absent = [name for name in names if name not in table.index]
    if absent:
        raise ValueError(
            f"{path} has no row for {len(absent)} of {len(names)} recordings, for example "
            f"{_some(absent)}. It has rows for {_some(table.index)}."
        )
    table = table.loc[list(names)]
    for column in table.columns:
        empty = table.index[table[column] == ""]
        if len(empty):
            raise ValueError(
                f"{path} has no {column} for recording {empty[0]!r}. Give it one, or leave the "
                f"column {column!r} out."
            )
    animals = table[ANIMAL].tolist() if ANIMAL in table.columns else None
    factors = {name: table[name].tolist() for name in table.columns if name != ANIMAL}
    return Groups(animals, factors)


def _some(names):
    shown = ", ".join(repr(name) for name in list(names)[:_MOST_SHOWN])
    return shown + (", ..." if len(names) > _MOST_SHOWN else "")
