"""Write inferred states where the rest of an analysis reads them.

Everything is checked before anything is written. Files are then written aside, in the
folder they are for, brought to disk, and moved to their places, so that at no time there
is half a file under a name that was asked for [1]_.

References
----------
.. [1] Pillai, T. S., Chidambaram, V., Alagappan, R., et al. (2014). All file systems are
   not created equal: on the complexity of crafting crash-consistent applications. 11th
   USENIX Symposium on Operating Systems Design and Implementation, 433-448.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import numpy as np
from sklearn.utils._param_validation import StrOptions, validate_params

from hhmm._optional.extras import import_extra
from hhmm._runtime.files import bring_to_disk, check_parent
from hhmm._sequences.read import read_states
from hhmm._validation import count_dims, to_array
from hhmm.datasets._recordings import file_stem, integer_labels

_HDF5_SUFFIXES = (".h5", ".hdf5")
# Datasets of a recording, as they are named in an HDF5 file.
_DATASETS = ("frame", "syllable", "state", "state_probability")
_PREFIX = ".hhmm-"  # hidden, so that no loader takes what is not finished for a recording
_TOLERANCE = 1e-4  # how far float32 sums may be above 1


class _Record(NamedTuple):
    """What is written for one recording."""

    frame: np.ndarray | None  # (n_timesteps,) int64
    syllable: np.ndarray | None  # (n_timesteps,) int32, -1 where missing
    state: np.ndarray  # (n_timesteps,) int32, -1 where missing
    state_probability: np.ndarray | None  # (n_timesteps, n_states) float, NaN where missing


class _Rows(NamedTuple):
    """An argument, one array a recording."""

    values: list  # of ndarrays of shape (n_timesteps_i, ...)
    padded: bool  # whether arrays may go on after their recording ended


@validate_params(
    {"format": [StrOptions({"csv", "h5"}), None], "overwrite": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def save_states(
    path,
    states,
    names,
    *,
    syllables=None,
    probabilities=None,
    frames=None,
    format=None,
    overwrite=False,
):
    """Write the states of each recording under its name, as CSV files or in one HDF5 file.

    Parameters
    ----------
    path : str or Path
        Of format "csv" a folder, which is made if it is not there; of format "h5" a
        file. The folder that either is in must exist.
    states : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        States, integers, as `hhmm.EfficientHHMM.predict` returns them. A list is
        written whole, -1 where there is no state; of a row of a 2-D array what follows
        after its last state and syllable is padding and left out.
    names : list of str, or str for a 1-D array
        Names of the recordings, as the loaders return them. "/" makes folders within
        the folder, or nested groups. In a file name, a "." in front of a part is written as
        "%2E", since files that begin with a dot are hidden, and a "%" as "%25"; the loaders
        read them back.
    syllables : array or list, as `states`, default=None
        What the states were inferred from, integers.
    probabilities : array of shape (n_sequences, n_timesteps, n_states), \
            or list of arrays of shape (n_timesteps_i, n_states), default=None
        Probability of each state, as `hhmm.EfficientHHMM.predict_proba` returns it; of
        shape (n_timesteps, n_states) with a 1-D array of states.
    frames : list of arrays of shape (n_timesteps_i,), default=None
        Frame numbers, integers that increase, as `load_table` returns them; 0, 1, ...
        if None.
    format : {"csv", "h5"}, default=None
        If None, "h5" where `path` ends in ".h5" or ".hdf5", "csv" otherwise.
    overwrite : bool, default=False
        Whether files that are there already are replaced. A file is replaced whole: an
        HDF5 file loses all else that it held.

    Returns
    -------
    paths : list of Path
        The files written: one a recording, or the one HDF5 file.

    Raises
    ------
    FileExistsError
        If there is a file already, and `overwrite` is False. None is written then.
    FileNotFoundError
        If the folder that `path` is in does not exist.
    ValueError
        If numbers of recordings or timesteps do not fit together, a state is no integer
        or a probability not between 0 and 1, or a name is empty, occurs twice, or leads out
        of the folder.
    TypeError
        If states or syllables are no numbers, names no text, or frames no list.
    ImportError
        Without pandas (format "csv") or h5py ("h5"), which are part of the extra ``io``.

    See Also
    --------
    load_syllable_csv, load_keypoint_moseq : Read the syllables back.

    Notes
    -----
    Read the tables back with ``load_syllable_csv(path, syllable="state", recursive=True)``, the
    HDF5 file with h5py: ``file[name]["state"][:]``.

    A CSV file ``<name>.csv`` has columns ``frame``, ``syllable`` (if given), ``state``
    and (if given) ``probability_0``, ``probability_1`` and so on, in full precision. An
    HDF5 file has a group for each recording with datasets ``state`` (n_timesteps,), and
    if given ``syllable`` (n_timesteps,), ``state_probability`` (n_timesteps, n_states)
    and ``frame`` (n_timesteps,). -1 marks a timestep without state or syllable.

    All files are written aside and brought to disk before the first one is moved to its
    place. If anything fails, what is new is taken away again, and no file is left half
    written; a file that had been replaced by then stays replaced.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from hhmm.datasets import save_states
    >>> states = [np.array([0, 0, 1]), np.array([1, 1])]
    >>> with TemporaryDirectory() as folder:
    ...     paths = save_states(folder, states, ["mouse1", "mouse2"], syllables=[[4, 4, 2], [2, 7]])
    ...     print(paths[0].read_text())
    frame,syllable,state
    0,4,0
    1,4,0
    2,2,1
    <BLANKLINE>
    """
    path = Path(path)
    format = format or ("h5" if path.suffix.lower() in _HDF5_SUFFIXES else "csv")
    names = [names] if isinstance(names, str) else list(names)
    records = _records(states, names, syllables, probabilities, frames)
    if format == "h5":
        h5py = import_extra("h5py", "save_states")
        fields = [field for field in _DATASETS if getattr(records[0], field) is not None]
        _check_names(names, [f"/{field}" for field in fields], ignore_case=False)
        _check_targets([path], overwrite)
        check_parent(path)
        _write_h5(path, dict(zip(names, records, strict=True)), h5py)
        return [path]

    pandas = import_extra("pandas", "save_states")
    if path.suffix.lower() == ".csv" or (path.exists() and not path.is_dir()):
        raise ValueError(f"format 'csv' writes one file a recording into a folder, got {path}")
    _check_names(names, [".csv"], ignore_case=True)
    targets = [path / f"{file_stem(name)}.csv" for name in names]
    _check_inside(targets, names, path)
    _check_targets(targets, overwrite)
    check_parent(path)
    _write_csv(path, targets, (_to_frame(record, pandas) for record in records))
    return targets


def _records(states, names, syllables, probabilities, frames):
    """Check that all fits together, and bring it to one `_Record` a recording."""
    given = {"states": _label_rows(states, "states")}
    if syllables is not None:
        given["syllables"] = _label_rows(syllables, "syllables")
    if frames is not None:
        given["frames"] = _frame_rows(frames)
    if probabilities is not None:
        given["probabilities"] = _probability_rows(probabilities)
    for what, rows in given.items():
        if len(rows.values) != len(names):
            raise ValueError(
                f"expected {what} of {len(names)} recordings, as many as names, got "
                f"{len(rows.values)}"
            )

    records = []
    for i, name in enumerate(names):
        lengths = [len(rows.values[i]) for rows in given.values() if not rows.padded]
        used = [_n_used(rows.values[i]) for rows in given.values() if rows.padded]
        n_timesteps = lengths[0] if lengths else max(used)
        cut = {what: _cut(rows, i, n_timesteps, what, name) for what, rows in given.items()}
        records.append(
            _Record(
                cut.get("frames"), cut.get("syllables"), cut["states"], cut.get("probabilities")
            )
        )
    return records


def _label_rows(labels, what):
    """Three forms of labels, as `hhmm.metrics` takes them, to int32 rows."""
    sequences = read_states(labels, what)
    values = integer_labels(sequences.states, lambda i: f"{what}, timestep {i} of all sequences")
    return _Rows(np.split(values, np.cumsum(sequences.lengths)[:-1]), sequences.padded)


def _frame_rows(frames):
    if isinstance(frames, Mapping) or not isinstance(frames, Iterable):
        raise TypeError(
            "frames must be a list of arrays of frame numbers, one a recording, got "
            f"{type(frames).__name__}"
        )
    frames = list(frames)
    single = len(frames) and count_dims(frames[0]) == 0
    rows = []
    for i, row in enumerate([frames] if single else frames):
        row = to_array(row, f"frames of recording {i}: expected integers that increase")
        if row.size == 0:
            row = np.zeros(row.shape, np.int64)  # of any type otherwise: that of [] is float64
        is_integer = row.dtype.kind in "iu" and row.max(initial=0) <= np.iinfo(np.int64).max
        if row.ndim != 1 or not is_integer or (np.diff(row.astype(np.int64)) <= 0).any():
            raise ValueError(
                f"frames of recording {i}: expected integers that increase, of shape "
                f"(n_timesteps,), got dtype {row.dtype} and shape {row.shape}"
            )
        rows.append(row.astype(np.int64))
    return _Rows(rows, False)


def _probability_rows(probabilities):
    if not isinstance(probabilities, list | tuple):
        probabilities = to_array(probabilities, "probabilities must be arrays of numbers")
    n_dims = 1 + count_dims(probabilities[0]) if len(probabilities) else 3
    rows = [
        to_array(row, f"probabilities of recording {i}: expected numbers")
        for i, row in enumerate([probabilities] if n_dims == 2 else probabilities)
    ]
    for i, row in enumerate(rows):
        if row.dtype == object:
            rows[i] = row = to_array(
                row, f"probabilities of recording {i}: expected numbers", float
            )
        if row.ndim != 2 or row.dtype.kind not in "iuf" or row.shape[1] != rows[0].shape[1]:
            raise ValueError(
                f"probabilities of recording {i}: expected numbers of shape (n_timesteps, "
                f"n_states), n_states as in recording 0, got dtype {row.dtype} and shape "
                f"{row.shape}"
            )
        wrong = ((row < 0) | (row > 1 + _TOLERANCE)).any(axis=1)
        if wrong.any():
            t = int(np.argmax(wrong))
            raise ValueError(
                f"probabilities of recording {i}, timestep {t}: expected values between 0 and 1, "
                f"got {row[t]}"
            )
    return _Rows(rows, n_dims == 3 and isinstance(probabilities, np.ndarray))


def _n_used(row):
    """Timesteps up to the last one that is not missing."""
    observed = ~np.isnan(row).all(axis=1) if row.ndim == 2 else row >= 0
    return len(row) - int(np.argmax(observed[::-1])) if observed.any() else 0


def _cut(rows, i, n_timesteps, what, name):
    """A row without its padding, if that leaves `n_timesteps`."""
    row = rows.values[i]
    n_used = _n_used(row) if rows.padded and len(row) > n_timesteps else len(row)
    if len(row) < n_timesteps or n_used > n_timesteps:
        raise ValueError(
            f"recording {name!r}: expected equal numbers of timesteps, got {n_used} of {what} "
            f"beside {n_timesteps}"
        )
    return row[:n_timesteps]


def _check_names(names, endings, *, ignore_case):
    """Refuse names that lead elsewhere, or of which two would write to one place.

    Parameters
    ----------
    names : list
    endings : list of str
        What is written for a recording: its name and each of these.
    ignore_case : bool
        Whether "A" and "a" are one place, as they are in the folders of some systems.
    """
    places = {}
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"names must be text, got {name!r}")
        leads_out = PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor
        parts = name.split("/")
        if leads_out or not set(parts).isdisjoint({"", ".", ".."}) or not _is_plain(name):
            raise ValueError(
                f"names must be parts of a path that stays in its folder, without '..', '\\' "
                f"or control characters, got {name!r}"
            )
        for ending in endings:
            place = (name + ending).casefold() if ignore_case else name + ending
            if place in places:
                apart = "differ in more than upper and lower case" if ignore_case else "differ"
                raise ValueError(f"names must {apart}, got {places[place]!r} and {name!r}")
            places[place] = name
    for place, name in places.items():
        for parent in map(str, PurePosixPath(place).parents):
            if parent in places:
                raise ValueError(
                    f"recording {name!r} would be written into what is written for "
                    f"{places[parent]!r}"
                )


def _is_plain(name):
    return "\\" not in name and name.isprintable()


def _check_targets(targets, overwrite):
    """Refuse what is there already."""
    for target in targets:
        if target.is_dir():
            raise IsADirectoryError(f"expected to write a file, but {target} is a folder")
        if target.exists() and not overwrite:
            raise FileExistsError(
                f"{target} is there already: overwrite=True replaces it, with all that it holds"
            )


def _check_inside(targets, names, folder):
    """Refuse targets that a link would lead out of the folder."""
    inside = folder.resolve()
    for target, name in zip(targets, names, strict=True):
        if not target.parent.resolve().is_relative_to(inside):
            raise ValueError(f"recording {name!r} leads out of {folder} by a link")


def _to_frame(record, pandas):
    """The table of a CSV file."""
    n_timesteps = len(record.state)
    columns = {"frame": np.arange(n_timesteps) if record.frame is None else record.frame}
    if record.syllable is not None:
        columns["syllable"] = record.syllable
    columns["state"] = record.state
    if record.state_probability is not None:
        for k, column in enumerate(record.state_probability.T):
            columns[f"probability_{k}"] = column
    return pandas.DataFrame(columns)


def _write_csv(folder, targets, tables):
    made_folder = not folder.exists()
    folder.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=_PREFIX) as aside:
            moves = []
            for i, (target, table) in enumerate(zip(targets, tables, strict=True)):
                temporary = Path(aside, f"{i}.csv")
                table.to_csv(temporary, index=False)
                bring_to_disk(temporary)
                moves.append((temporary, target))
            _move(moves)
    except BaseException:
        if made_folder:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _write_h5(path, records, h5py):
    with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=_PREFIX) as aside:
        temporary = Path(aside, "states.h5")
        with h5py.File(temporary, "w") as file:
            for name, record in records.items():
                group = file.require_group(name)
                for dataset, values in record._asdict().items():
                    if values is not None:
                        group[dataset] = values
        bring_to_disk(temporary)
        _move([(temporary, path)])


def _move(moves):
    """Move finished files to their places; if that fails, take away those that are new."""
    new_files, new_folders = [], []
    try:
        for temporary, target in moves:
            for folder in reversed([p for p in target.parents if not p.exists()]):
                folder.mkdir()
                new_folders.append(folder)
            is_new = not target.exists()
            os.replace(temporary, target)
            if is_new:
                new_files.append(target)
        for folder in {target.parent for _, target in moves}:
            bring_to_disk(folder)
    except BaseException:
        for target in new_files:
            target.unlink(missing_ok=True)
        for folder in reversed(new_folders):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
