"""Recordings that stay in their files until they are needed."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, SupportsIndex, overload

import numpy as np
from numpy.typing import ArrayLike

from hhmm._sequences.ragged import MISSING
from hhmm._sequences.run_lengths import merge_equal
from hhmm._validation import shorten, to_array
from hhmm.datasets._recordings import check_n_lags
from hhmm.datasets._sources import AGAIN, Source


class LazyRecording:
    """One recording in a file, which is read each time its labels are needed.

    ``numpy.asarray(recording)`` reads its labels, one a timestep: int32, -1 where missing.
    ``read_runs`` reads them without an array of all timesteps. Indexing and iteration read the
    recording whole; for more than one access, make an array first. A recording can be pickled.

    Parameters
    ----------
    name : str
    source : Source
        Where the labels are.
    group : str, default=None
        Experimental group.
    n_lags : int, default=0
        Number of timesteps at the start that are missing.
    n_timesteps : int, default=None
        Length, if it is known. Otherwise the file is read once when the length is needed.
    """

    ndim = 1
    dtype = np.dtype(np.int32)

    def __init__(
        self,
        name: str,
        source: Source,
        *,
        group: str | None = None,
        n_lags: int = 0,
        n_timesteps: int | None = None,
    ) -> None:
        self.name = name
        self.group = group
        self._source = source
        self._n_lags = n_lags
        self._n_timesteps: Any = None
        if n_timesteps is not None:
            self._set_length(n_timesteps)

    @property
    def path(self) -> Path:
        """Return the file, as an absolute path."""
        return self._source.path

    def __len__(self) -> int:
        if self._n_timesteps is None:
            self.read_runs()  # keeps the length
        return self._n_timesteps

    @property
    def shape(self) -> tuple[int]:
        """Return (n_timesteps,)."""
        return (len(self),)

    @property
    def size(self) -> int:
        """Return the number of timesteps."""
        return len(self)

    def read_runs(self) -> tuple[np.ndarray, np.ndarray]:
        """Read the recording as runs, stretches of timesteps with the same label.

        Returns
        -------
        labels : ndarray of shape (n_runs,), int32
            -1 where missing. Neighbours differ.
        n_timesteps : ndarray of shape (n_runs,), int32
            Number of timesteps of each run.

        Raises
        ------
        FileNotFoundError
            If the file is gone.
        ValueError
            If the file cannot be read, has another length than before, or a label is no integer.
            The message names file, recording and timestep.
        """
        labels, n_timesteps = self._source.read_runs()
        self._set_length(int(n_timesteps.sum(dtype=np.int64)))
        return _without_start(labels, n_timesteps, self._n_lags)

    def fingerprint(self) -> str:
        """Return a short text that changes when the file, or what is read from it, changes.

        It depends on path, size and time of writing of the file, and not on its content. A
        recording of a table has the fingerprint that the file had when it was read.
        """
        source = self._source
        identity = (str(source.path), source.part, source.stamp(), self._n_lags)
        return hashlib.sha256(repr(identity).encode()).hexdigest()[:16]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError(f"{self!r} is in a file, so an array of it is always a copy.")
        labels = np.repeat(*self.read_runs())
        return labels if dtype is None else labels.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Any:
        return np.asarray(self)[key]

    def __iter__(self) -> Iterator[np.int32]:
        return iter(np.asarray(self))

    def __repr__(self) -> str:
        return f"LazyRecording({self.name!r}, {_describe_length([self])})"

    def _set_length(self, n_timesteps):
        """Keep the length; raise ValueError if it was another one before."""
        if self._n_timesteps is None:
            check_n_lags(self._n_lags, self.name, n_timesteps, self.path)
            self._n_timesteps = n_timesteps
        elif n_timesteps != self._n_timesteps:
            raise ValueError(
                f"{self.path} was changed: recording {self.name!r} had {self._n_timesteps:,} "
                f"timesteps and has {n_timesteps:,} now. {AGAIN}"
            )


class Recordings(Sequence[LazyRecording]):
    """Recordings in files, a list of `LazyRecording`.

    An integer gives a recording. A slice, a list or an array of integers, and an array of bools
    give `Recordings` again.

    Parameters
    ----------
    recordings : sequence of LazyRecording
    frame_rate : float, default=None
        Timesteps a second.
    """

    def __init__(
        self, recordings: Sequence[LazyRecording], *, frame_rate: float | None = None
    ) -> None:
        self._recordings = tuple(recordings)
        self.frame_rate = frame_rate

    @property
    def names(self) -> list[str]:
        """Return the name of each recording."""
        return [recording.name for recording in self]

    @property
    def paths(self) -> list[Path]:
        """Return the file of each recording."""
        return [recording.path for recording in self]

    @property
    def groups(self) -> list[str | None] | None:
        """Return the experimental group of each recording; None if no recording has one."""
        groups = [recording.group for recording in self]
        return groups if any(group is not None for group in groups) else None

    @property
    def lengths(self) -> np.ndarray:
        """Return the number of timesteps of each recording, (n_recordings,) int64.

        CSV files are read for that once.
        """
        return np.array([len(recording) for recording in self], np.int64)

    def __len__(self) -> int:
        return len(self._recordings)

    @overload
    def __getitem__(self, key: SupportsIndex) -> LazyRecording: ...

    @overload
    def __getitem__(self, key: slice | ArrayLike) -> Recordings: ...

    def __getitem__(self, key: Any) -> LazyRecording | Recordings:
        if isinstance(key, slice):
            return Recordings(self._recordings[key], frame_rate=self.frame_rate)
        try:
            position = operator.index(key)
        except TypeError:
            taken = [self._recordings[i] for i in self._positions(key)]
            return Recordings(taken, frame_rate=self.frame_rate)
        return self._recordings[self._positions([position])[0]]

    def __iter__(self) -> Iterator[LazyRecording]:
        return iter(self._recordings)

    def __repr__(self) -> str:
        return f"Recordings({len(self)} recording(s), {_describe_length(self)})"

    def _positions(self, key):
        """Return what numbers or bools of an array choose, an array of int."""
        expected = "recordings are chosen by an integer, a slice, or a 1-D array of integers"
        numbers = to_array(key, expected)
        if not numbers.size and numbers.ndim == 1 and numbers.dtype.kind in "fbiu":
            return np.zeros(0, int)
        if numbers.ndim != 1 or numbers.dtype.kind not in "biu":
            raise TypeError(f"{expected}, got {shorten(key)}")
        if numbers.dtype == bool:
            if len(numbers) != len(self):
                raise IndexError(f"expected {len(self)} bools, one a recording, got {len(numbers)}")
            return np.flatnonzero(numbers)
        wrong = numbers[(numbers < -len(self)) | (numbers >= len(self))]
        if wrong.size:
            raise IndexError(f"there are {len(self)} recordings, got index {wrong[0]}")
        return numbers


def _describe_length(recordings):
    """Return the number of timesteps of recordings as text; read no file for it."""
    lengths = [recording._n_timesteps for recording in recordings]
    if None in lengths:
        return "timesteps not counted yet"
    return f"{sum(lengths):,} timesteps"


def _without_start(labels, n_timesteps, n_missing):
    """Mark the first timesteps of a recording as missing.

    Parameters
    ----------
    labels, n_timesteps : (n_runs,) int32
    n_missing : int
        Fewer than there are timesteps.

    Returns
    -------
    labels, n_timesteps : (n_runs,) int32
    """
    if not n_missing:
        return labels, n_timesteps
    ends = np.cumsum(n_timesteps, dtype=np.int64)
    run = np.searchsorted(ends, n_missing, side="right")  # the one of timestep `n_missing`
    labels = np.append(np.int32(MISSING), labels[run:])
    n_timesteps = np.concatenate(([n_missing, ends[run] - n_missing], n_timesteps[run + 1 :]))
    return merge_equal(labels, n_timesteps)
