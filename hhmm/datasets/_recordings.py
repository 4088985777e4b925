"""Share between loaders the names of recordings and columns, and what is returned.

A loader reads a file as a list of `Recording` and passes it to `to_bunch`. Labels are int32, -1
where missing, as everywhere in this package.
"""

import warnings
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval

from hhmm._sequences.ragged import MISSING, Ragged
from hhmm._validation import to_float

# Constraint on `frame_rate` of every loader.
FRAME_RATE = [Interval(Real, 0, None, closed="neither"), None]

# Names under which files hold syllables, the preferred one first.
_SOURCES = ("syllable", "syllables")
# The same syllables, renumbered by frequency in every call of keypoint-MoSeq before 0.2: recordings
# that were written by different calls are numbered differently.
_REINDEXED = ("syllables_reindexed", "syllables reindexed")
SYLLABLE_NAMES = (*_SOURCES, *_REINDEXED)
_ESCAPES = {".": "%2E", "%": "%25"}  # of the first character of a file name


class Recording(NamedTuple):
    """One recording as it was read."""

    name: str
    labels: np.ndarray  # (n_timesteps,) int32, -1 where missing; or object, None where missing
    frames: np.ndarray | None  # (n_timesteps,) int64, frame numbers where the file has them
    group: str | None
    times: np.ndarray | None = None  # (n_timesteps,) float64, in a table of events


def existing_file(path):
    """Return `path` as a Path if there is a file; expand nothing in it."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"expected a file, got the folder {path}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return path


def file_stem(name):
    """Return the path, without its ending, of the file of a recording in a folder of files.

    Files and folders whose names begin with a dot are hidden, and loaders skip them. So a dot in
    front is written as "%2E", as in an address, and a "%" in front as "%25".
    """
    return "/".join(_ESCAPES.get(part[:1], part[:1]) + part[1:] for part in name.split("/"))


def recording_name(stem):
    """Return the name of a recording from its file; the inverse of `file_stem`."""
    plain = {escape: character for character, escape in _ESCAPES.items()}
    return "/".join(plain.get(part[:3], part[:3]) + part[3:] for part in stem.split("/"))


def common_name(found, *, origin, kind):
    """Return the name of `SYLLABLE_NAMES` that all recordings have.

    One file may hold the same syllables under two numbers, so all recordings are read by one name.
    Renumbered syllables are read only where no recording has the syllables themselves.

    Parameters
    ----------
    found : dict of str to collection of str
        Names that each recording has.
    origin : str
        What is read, for errors.
    kind : str
        What the names are of: "dataset" or "column".
    """
    has_source = any(name in names for names in found.values() for name in _SOURCES)
    for name in _SOURCES if has_source else _REINDEXED:
        if all(name in names for names in found.values()):
            warn_of_reindexed(name, len(found), origin=origin, kind=kind, stacklevel=5)
            return name
    with_any = {
        recording: [name for name in SYLLABLE_NAMES if name in names]
        for recording, names in found.items()
    }
    shown = "; ".join(f"{recording!r} has {names}" for recording, names in with_any.items())
    shown = shown if len(shown) <= 300 else shown[:297] + "..."
    raise ValueError(f"{origin}: expected one {kind} of syllables in all recordings, but {shown}")


def warn_of_reindexed(name, n_recordings, *, origin, kind, stacklevel):
    """Warn where labels of several recordings may not mean the same syllables."""
    if name in _REINDEXED and n_recordings > 1:
        warnings.warn(
            f"{origin}: the {kind} {name!r} is read. keypoint-MoSeq before 0.2 renumbered "
            "syllables by frequency each time it added recordings, so a label may mean different "
            "syllables in different recordings. Use it only if all recordings were written at "
            "once; otherwise read 'syllable' or 'syllables', from the file that it was made from",
            UserWarning,
            stacklevel=stacklevel,
        )


def without_lags(recordings, n_lags, *, origin):
    """Mark the first `n_lags` timesteps of each recording as missing."""
    for recording in recordings:
        if len(recording.labels) <= n_lags:
            raise ValueError(
                f"{origin}: n_lags={n_lags} leaves nothing of recording {recording.name!r}, which "
                f"has {len(recording.labels)} frames"
            )
        recording.labels[:n_lags] = MISSING
    return recordings


def to_bunch(recordings, *, frame_rate, origin):
    """Return what a loader returns."""
    labels = Ragged.of([recording.labels for recording in recordings])
    bouts = labels.find_bouts()
    onsets = np.zeros(len(labels.values), bool)
    onsets[bouts.starts[bouts.is_observed]] = True
    n_missing = np.count_nonzero(~labels.is_observed)
    groups = [recording.group for recording in recordings]
    has_frames = all(recording.frames is not None for recording in recordings)
    has_times = all(recording.times is not None for recording in recordings)
    return Bunch(
        sequences=[recording.labels for recording in recordings],
        names=[recording.name for recording in recordings],
        frame_rate=None if frame_rate is None else to_float(frame_rate, "frame_rate"),
        groups=groups if any(group is not None for group in groups) else None,
        frames=[recording.frames for recording in recordings] if has_frames else None,
        times=[recording.times for recording in recordings] if has_times else None,
        onsets=labels._replace(values=onsets).sequences,
        source=(
            f"{origin}: {len(recordings)} recording(s), {len(labels.values):,} timesteps, "
            f"{n_missing:,} of them missing"
        ),
    )
