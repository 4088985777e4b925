"""Find the format of a file by its ending and its header."""

from __future__ import annotations

import glob
from collections.abc import Collection
from pathlib import Path
from typing import Literal, TypeAlias

from hhmm.datasets._csv_files import first_line
from hhmm.datasets._keypoint_moseq import RECORDING_NAMES
from hhmm.datasets._recordings import SYLLABLE_NAMES

# "table": many recordings with a column that names them; "csv": one recording a file
Format: TypeAlias = Literal["keypoint-moseq", "npy", "table", "moseq-df", "csv"]
HDF5 = (".h5", ".hdf5")
NUMPY = (".npy",)
TABLES = (".csv", ".tsv", ".txt")
RECORDING = "recording"  # the column of a table
_SEPARATORS = (",", ";", "\t", "|")


def find_format(
    path: Path, *, recording: str | None, syllable: str | None, sep: str | None
) -> Format | None:
    """Return the format of a file; None if no loader knows its ending.

    Parameters
    ----------
    path : Path
    recording, syllable, sep : str or None
        As the user gave them: the columns of a table, and the separator of its cells.
    """
    ending = path.suffix.lower()
    if ending in HDF5:
        return "keypoint-moseq"
    if ending in NUMPY:
        return "npy"
    if ending not in TABLES:
        return None
    header = read_header(path, sep)
    if recording is not None or RECORDING in header:
        return "table"
    is_moseq = any(name in header for name in RECORDING_NAMES)
    is_moseq = is_moseq and any(name in header for name in SYLLABLE_NAMES)
    return "moseq-df" if is_moseq and syllable is None else "csv"


def is_pattern(path: Path | str) -> bool:
    """Return whether a path has characters that stand for others, as in ``*.csv``."""
    return glob.escape(str(path)) != str(path)


def advise_pattern(folder: Path, endings: Collection[str]) -> str:
    """Return a sentence that advises the pattern of the files in folders of a folder, if any."""
    nested = (path for path in folder.glob("**/*") if path.suffix.lower() in endings)
    file = next(nested, None)
    if file is None:
        return ""
    pattern = folder / "**" / f"*{file.suffix}"
    return f" Folders of it have some: give the pattern '{pattern}'."


def list_files(folder: Path, endings: Collection[str]) -> list[Path]:
    """Return the files in a folder that have one of some endings, sorted, without hidden ones."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in endings and not file.name.startswith(".") and file.is_file()
    )


def read_header(path: Path, sep: str | None) -> list[str]:
    """Return the names of the columns of a file of text."""
    cells = first_line(path).rstrip("\r\n").split(sep or find_separator(path))
    return [cell.strip().strip('"') for cell in cells]


def find_separator(path: Path) -> str:
    """Return the separator that occurs most often in the header of a file."""
    return max(_SEPARATORS, key=first_line(path).count)  # the first one of equals
