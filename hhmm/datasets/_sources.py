"""Read the labels of one recording from its file, a block of timesteps at a time, as runs.

A source holds a path and what is needed to find the labels in that file, and no open file. So it
can be pickled and sent to another process. Labels keep the type of the file while neighbours are
compared, and the labels of runs alone are checked and converted.
"""

from __future__ import annotations

import tokenize
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hhmm._optional.extras import import_extra
from hhmm._sequences.run_lengths import merge_equal
from hhmm.datasets import _cells as cells
from hhmm.datasets._csv_files import choose_column, iterate_columns, open_table
from hhmm.datasets._keypoint_moseq import check_dataset, is_dataset, open_results
from hhmm.datasets._recordings import to_labels

# timesteps of NumPy and HDF5 files that are read at a time, few enough for the cache of a core
BLOCK_TIMESTEPS = 1 << 20
USER = "open_recordings"
AGAIN = "Call open_recordings again."
_HINT = (
    "Read labels that are no integers by load_syllable_csv or load_table with integer_labels=False"
)


def stamp_of(path: Path) -> tuple[int, int]:
    """Return the size of a file in bytes, and when it was written in nanoseconds."""
    check_still_there(path)
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def check_still_there(path: Path) -> None:
    """Raise FileNotFoundError if a file that was opened before is gone."""
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {path} any more. Put it back, or call open_recordings again."
        )


def find_runs_of_blocks(
    blocks: Iterable[np.ndarray], locate: Callable[[int], str]
) -> tuple[np.ndarray, np.ndarray]:
    """Find the runs of one recording that is read block by block.

    Parameters
    ----------
    blocks : iterable of ndarrays of bool, int or float
        Numbers of consecutive timesteps; negative or NaN where missing.
    locate : callable
        Takes the number of a timestep, and returns its place as text.

    Returns
    -------
    labels : (n_runs,) int32, -1 where missing
    n_timesteps : (n_runs,) int32
    """
    found = [(np.zeros(0, np.int32), np.zeros(0, np.int64))]
    n_before = 0
    for block in blocks:
        begins = np.append(0, np.flatnonzero(block[1:] != block[:-1]) + 1)[: len(block)]
        labels = to_labels(block[begins], _PlaceOfRun(locate, n_before, begins))
        # NaN differs from NaN, and all negative numbers are one label
        found.append(merge_equal(labels, np.diff(begins, append=len(block))))
        n_before += len(block)
    return merge_equal(*map(np.concatenate, zip(*found, strict=True)))


@dataclass(frozen=True)
class _PlaceOfRun:
    """Return the place of a run of a block as text."""

    locate: Callable[[int], str]
    n_before: int  # timesteps before the block
    begins: np.ndarray  # timesteps of the block at which runs begin

    def __call__(self, run: int) -> str:
        return self.locate(self.n_before + int(self.begins[run]))


@dataclass(frozen=True)
class Source:
    """One recording in a file. Subclasses know formats: `_read_blocks` and `_locate`."""

    path: Path
    part: str  # which labels of the file

    def stamp(self) -> tuple[int, int]:
        """Return what changes when the labels change."""
        return stamp_of(self.path)

    def read_runs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return labels and numbers of timesteps; see `find_runs_of_blocks`."""
        check_still_there(self.path)
        return find_runs_of_blocks(self._read_blocks(), self._locate)

    def _read_blocks(self) -> Iterator[np.ndarray]:
        """Yield the numbers in the file, 1-D arrays."""
        raise NotImplementedError

    def _locate(self, timestep: int) -> str:
        """Return the place of a timestep as text."""
        raise NotImplementedError


@dataclass(frozen=True)
class NumpySource(Source):
    """A 1-D array in a file of NumPy."""

    def count_timesteps(self) -> int:
        """Return the number of timesteps; read the header alone, and check it."""
        return self._read_header()[0]

    def _read_blocks(self):
        n_timesteps, dtype, offset = self._read_header()
        # Not through a memory map: if the file is cut short meanwhile, that ends the process.
        with open(self.path, "rb") as file:
            file.seek(offset)
            for first in range(0, n_timesteps, BLOCK_TIMESTEPS):
                n_wanted = min(BLOCK_TIMESTEPS, n_timesteps - first)
                block = np.fromfile(file, dtype, n_wanted)
                if len(block) < n_wanted:
                    raise ValueError(
                        f"{self.path} ends after {first + len(block):,} of {n_timesteps:,} frames. "
                        "Write the file again."
                    )
                yield block

    def _locate(self, timestep):
        return f"{self.path}, frame {timestep}"

    def _read_header(self):
        """Return the number of timesteps, their type, and the byte at which they begin."""
        try:
            array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OverflowError, SyntaxError, tokenize.TokenError) as error:
            raise ValueError(
                f"{self.path} cannot be read as an array of NumPy: {error}. Write the file again "
                "with numpy.save."
            ) from error
        if not isinstance(array, np.memmap):  # an archive of arrays with the wrong ending
            array.close()
            raise ValueError(
                f"{self.path} is an archive of arrays. Write each recording to a file of its own "
                "with numpy.save."
            )
        if array.ndim != 1:
            raise ValueError(
                f"{self.path}: expected labels of shape (n_timesteps,), got shape {array.shape}. "
                "Save each recording as a 1-D array."
            )
        if array.dtype.kind not in "biuf":
            raise ValueError(
                f"{self.path}: expected integer labels, got dtype {array.dtype}. Number the labels "
                "0, 1, ... and save them as integers."
            )
        if not len(array):
            raise ValueError(f"{self.path} has no frames. Leave the file out.")
        return len(array), array.dtype, array.offset


@dataclass(frozen=True)
class Hdf5Source(Source):
    """A dataset of a ``results.h5`` of keypoint-MoSeq; `part` is its path in the file."""

    name: str  # of the recording, as load_keypoint_moseq names it

    def _read_blocks(self):
        h5py = import_extra("h5py", USER)
        with open_results(self.path, h5py) as file:
            values = self._find_dataset(file, h5py)
            check_dataset(values, self._place, self.path)
            # HDF5 unpacks chunks whole; a block of whole chunks unpacks none of them twice
            n_chunk = values.chunks[0] if values.chunks else 1
            n_block = -(-BLOCK_TIMESTEPS // n_chunk) * n_chunk
            for first in range(0, len(values), n_block):
                yield values[first : first + n_block]

    def _locate(self, timestep):
        return f"{self._place}, frame {timestep}"

    @property
    def _place(self):
        return f"{self.path}, recording {self.name!r}"

    def _find_dataset(self, file, h5py):
        """Return the dataset; refuse links, which the file may have got since it was opened."""
        item = file
        for name in self.part.strip("/").split("/"):
            if not isinstance(item, h5py.Group) or name not in item:
                raise ValueError(f"{self._place} is no longer in the file. {AGAIN}")
            is_dataset(item, name, self._place, h5py)
            item = item[name]
        if not isinstance(item, h5py.Dataset):
            raise ValueError(f"{self._place} is no longer in the file. {AGAIN}")
        return item


@dataclass(frozen=True)
class CsvSource(Source):
    """A CSV file that holds one recording; `part` is the column of syllables."""

    sep: str

    def _read_blocks(self):
        table = open_table(self.path, sep=self.sep, user=USER)
        choose_column(table, [self.part])
        n_rows = 0
        for block in iterate_columns(table, [self.part]):
            column = block[self.part]
            place = _PlaceOfRun(self._locate, n_rows, np.arange(len(column)))
            yield cells.labels_of(column, place, True, _HINT)
            n_rows += len(column)
        if not n_rows:
            raise ValueError(f"{self.path} has no rows")

    def _locate(self, timestep):
        return f"{self.path}, row {timestep}"


@dataclass(frozen=True)
class HeldSource(Source):
    """Runs in memory: a recording of a table, which was read when it was opened."""

    runs: tuple[np.ndarray, np.ndarray]  # labels and numbers of timesteps, (n_runs,) int32 each
    stamp_when_read: tuple[int, int]

    def stamp(self) -> tuple[int, int]:
        """Return what the file was when it was read: later changes do not change the labels."""
        return self.stamp_when_read

    def read_runs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return copies of labels and numbers of timesteps."""
        labels, n_timesteps = self.runs
        return labels.copy(), n_timesteps.copy()
