"""Share between loaders the names of recordings and columns, and what is returned.

A loader reads a file as a list of `Recording` and passes it to `to_bunch`. Labels are int32, -1
where missing, as everywhere in this package.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval

from hhmm._sequences.ragged import MISSING, Ragged, to_integers
from hhmm._validation import to_float

# Constraints on the parameters `frame_rate` and `n_lags` of loaders.
FRAME_RATE = [Interval(Real, 0, None, closed="neither"), None]
N_LAGS = [Interval(Integral, 0, None, closed="left")]

# Names under which files hold syllables, the preferred one first.
_SOURCES = ("syllable", "syllables")
# The same syllables, renumbered by frequency in every call of keypoint-MoSeq before 0.2: recordings
# that were written by different calls are numbered differently.
_REINDEXED = ("syllables_reindexed", "syllables reindexed")
SYLLABLE_NAMES = (*_SOURCES, *_REINDEXED)


class Recording(NamedTuple):
    """One recording as it was read."""

    name: str
    labels: np.ndarray  # (n_timesteps,) int32, -1 where missing; or object, None where missing
    frames: np.ndarray | None = None  # (n_timesteps,) int64, if the file has frame numbers
    group: str | None = None
    times: np.ndarray | None = None  # (n_timesteps,) float64, in a table of events


def existing_file(path: str | os.PathLike[str]) -> Path:
    """Return `path` as a Path if there is a file; expand nothing in it."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"expected a file, got the folder {path}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return path


def common_name(
    found: Mapping[str, Collection[str]], place: object, kind: Literal["dataset", "column"]
) -> str:
    """Return the name of `SYLLABLE_NAMES` that all recordings have.

    `found` holds the names that each recording has. One file may hold the same syllables under two
    numbers, so all recordings are read by one name. Renumbered syllables are read only where no
    recording has the syllables themselves.
    """
    has_source = any(name in names for names in found.values() for name in _SOURCES)
    for name in _SOURCES if has_source else _REINDEXED:
        if all(name in names for names in found.values()):
            return name
    shown = "; ".join(
        f"{recording!r} has {[name for name in SYLLABLE_NAMES if name in names]}"
        for recording, names in found.items()
    )
    shown = shown if len(shown) <= 300 else shown[:297] + "..."
    raise ValueError(f"{place}: expected one {kind} of syllables in all recordings, but {shown}")


def to_labels(numbers: np.ndarray, locate: Callable[[int], str]) -> np.ndarray:
    """Return the numbers of an array as labels, int32, -1 where missing."""
    return to_integers(
        numbers,
        np.int32,
        locate,
        expected="an integer label",
        hint="Negative values and NaN mark missing timesteps",
    )


def check_n_lags(n_lags: int, name: str, n_timesteps: int, place: object) -> None:
    """Raise ValueError if no timestep comes after the first `n_lags`."""
    if n_timesteps <= n_lags:
        raise ValueError(
            f"{place}: n_lags={n_lags} leaves nothing of recording {name!r}, which has "
            f"{n_timesteps} frames"
        )


def warn_of_numbering(
    place: object,
    kind: Literal["dataset", "column"],
    name: str,
    n_recordings: int,
    *,
    stacklevel: int,
) -> None:
    """Warn where syllables were read that keypoint-MoSeq renumbered by frequency."""
    if name in _REINDEXED and n_recordings > 1:
        warnings.warn(
            f"{place}: the {kind} {name!r} is read. keypoint-MoSeq before 0.2 renumbered "
            "syllables by frequency each time it added recordings, so a label may mean different "
            "syllables in different recordings. Use it only if all recordings were written at "
            "once; otherwise read 'syllable' or 'syllables', from the file that it was made from",
            UserWarning,
            stacklevel=stacklevel + 1,
        )


def to_bunch(
    recordings: Sequence[Recording],
    place: object,
    kind: Literal["dataset", "column"],
    name: str,
    *,
    frame_rate: float | None,
    n_lags: int = 0,
) -> Bunch:
    """Return what a loader returns, with the first `n_lags` timesteps of recordings missing.

    The syllables were read from the column or dataset `name` of `place`. Loaders call this
    directly, because the stack level of the warning counts on it.
    """
    warn_of_numbering(place, kind, name, len(recordings), stacklevel=4)
    for recording in recordings:
        check_n_lags(n_lags, recording.name, len(recording.labels), place)
        recording.labels[:n_lags] = MISSING
    names, sequences, frames, groups, times = map(list, zip(*recordings, strict=True))
    labels = Ragged.of(sequences)
    bouts = labels.find_bouts()
    onsets = np.zeros(len(labels.values), bool)
    onsets[bouts.starts[bouts.is_observed]] = True
    n_missing = np.count_nonzero(~labels.is_observed)
    return Bunch(
        sequences=sequences,
        names=names,
        frame_rate=None if frame_rate is None else to_float(frame_rate, "frame_rate"),
        groups=groups if any(group is not None for group in groups) else None,
        # all recordings have them, or none
        frames=None if frames[0] is None else frames,
        times=None if times[0] is None else times,
        onsets=labels._replace(values=onsets).sequences,
        source=(
            f"{place}, {kind} {name!r}: {len(recordings)} recording(s), {len(labels.values):,} "
            f"timesteps, {n_missing:,} of them missing"
        ),
    )
