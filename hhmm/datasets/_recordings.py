"""What all loaders of recordings share: how labels are read, and what is returned.

A loader brings a file to a list of `Recording` and hands it to `to_bunch`. Labels
become int32, -1 where missing, as everywhere in this package; what is no label is
refused by an error that says where it stands.
"""

import warnings
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval

from hhmm._sequences.read import MISSING
from hhmm._validation import shorten, to_float

# What the parameter of this name of every loader may be.
FRAME_RATE = [Interval(Real, 0, None, closed="neither"), None]

_LARGEST_LABEL = np.iinfo(np.int32).max - 1

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
    """`path` as a Path, if there is a file; nothing in it is expanded."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"expected a file, got the folder {path}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return path


def file_stem(name):
    """The path, without its ending, of the file of a recording in a folder of files.

    Files and folders whose names begin with a dot are hidden, and loaders skip them. So a dot in
    front is written as "%2E", as in an address, and a "%" in front as "%25".
    """
    return "/".join(_ESCAPES.get(part[:1], part[:1]) + part[1:] for part in name.split("/"))


def recording_name(stem):
    """The inverse of `file_stem`."""
    plain = {escape: character for character, escape in _ESCAPES.items()}
    return "/".join(plain.get(part[:3], part[:3]) + part[3:] for part in stem.split("/"))


def refuse(wrong, values, locate, expected, *, hint=""):
    """Raise a ValueError at the first True of `wrong` (n,); ``locate(i)`` says where that is."""
    if np.any(wrong):
        i = int(np.argmax(wrong))
        value = values[i]
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
            value = int(value)  # as it stands in the file, most likely
        raise ValueError(f"{locate(i)}: expected {expected}, got {shorten(value)}{hint}")


def integer_labels(values, locate, *, expected="an integer label (negative or NaN: missing)"):
    """Labels as int32, -1 where negative or NaN.

    Parameters
    ----------
    values : ndarray of shape (n_timesteps,), bool, int or float
    locate : callable
        Says where a position of `values` is, for errors.
    expected : str

    Returns
    -------
    labels : ndarray of shape (n_timesteps,), int32
    """
    if values.dtype.kind == "f":
        if values.dtype.itemsize < 8:
            values = values.astype(np.float64)  # float32 does not hold the largest label
        observed = ~np.isnan(values)
        refuse(
            observed & (np.isinf(values) | (values != np.floor(values))), values, locate, expected
        )
        values = np.where(observed, np.maximum(values, MISSING), MISSING)
    refuse(values > _LARGEST_LABEL, values, locate, f"labels up to {_LARGEST_LABEL}")
    return np.maximum(values.astype(np.int64), MISSING).astype(np.int32)


def common_name(found, *, origin, kind):
    """The name of `SYLLABLE_NAMES` that all recordings have.

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
    """Recordings whose first `n_lags` timesteps are missing."""
    for recording in recordings:
        if len(recording.labels) <= n_lags:
            raise ValueError(
                f"{origin}: n_lags={n_lags} leaves nothing of recording {recording.name!r}, which "
                f"has {len(recording.labels)} frames"
            )
        recording.labels[:n_lags] = MISSING
    return recordings


def to_bunch(recordings, *, frame_rate, origin):
    """What a loader returns."""
    sequences = [recording.labels for recording in recordings]
    n_timesteps = sum(len(sequence) for sequence in sequences)
    n_missing = sum(int(_is_missing(sequence).sum()) for sequence in sequences)
    groups = [recording.group for recording in recordings]
    has_frames = all(recording.frames is not None for recording in recordings)
    has_times = all(recording.times is not None for recording in recordings)
    return Bunch(
        sequences=sequences,
        names=[recording.name for recording in recordings],
        frame_rate=None if frame_rate is None else to_float(frame_rate, "frame_rate"),
        groups=groups if any(group is not None for group in groups) else None,
        frames=[recording.frames for recording in recordings] if has_frames else None,
        times=[recording.times for recording in recordings] if has_times else None,
        onsets=[_onsets(recording, origin) for recording in recordings],
        source=(
            f"{origin}: {len(recordings)} recording(s), {n_timesteps:,} timesteps, "
            f"{n_missing:,} of them missing"
        ),
    )


def _is_missing(labels):
    if labels.dtype != object:
        return labels < 0
    return np.fromiter((label is None for label in labels), bool, len(labels))


def _onsets(recording, origin):
    """True where a syllable begins: it is observed, and the timestep before is not the same."""
    labels = recording.labels
    onsets = ~_is_missing(labels)
    try:
        onsets[1:] &= labels[1:] != labels[:-1]
    except Exception as error:  # comparisons of objects may raise anything
        raise ValueError(
            f"{origin}: labels of recording {recording.name!r} cannot be compared with each other: "
            f"{error}"
        ) from error
    return onsets
