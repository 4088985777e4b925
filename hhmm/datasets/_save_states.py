"""Write inferred states where the rest of an analysis reads them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import StrOptions, validate_params

from hhmm._optional.extras import import_extra
from hhmm._runtime.file_names import check_names, file_stem
from hhmm._runtime.files import check_parent, write_files
from hhmm._sequences.ragged import Ragged, raise_at_first, without_padding
from hhmm._sequences.read import read_runs, read_values
from hhmm._sequences.run_lengths import RunLengths
from hhmm.datasets._csv_files import PathLike

_HDF5_SUFFIXES = (".h5", ".hdf5")
# Datasets of a recording in an HDF5 file.
_FIELDS = {
    "frames": "frame",
    "times": "time",
    "syllables": "syllable",
    "states": "state",
    "probabilities": "state_probability",
}
_TOLERANCE = 1e-4  # how far float32 sums may be above 1


@validate_params(
    {"format": [StrOptions({"csv", "h5"}), None], "overwrite": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def save_states(
    path: PathLike,
    states: ArrayLike,
    names: str | Sequence[str],
    *,
    syllables: ArrayLike | None = None,
    probabilities: ArrayLike | None = None,
    frames: ArrayLike | None = None,
    times: ArrayLike | None = None,
    format: Literal["csv", "h5"] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write the states of each recording under its name, as CSV files or in one HDF5 file.

    Parameters
    ----------
    path : str or Path
        For format "csv" a folder, which is made if it does not exist; for format "h5" a file. Its
        parent folder must exist.
    states : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        States, integers, as `hhmm.EfficientHHMM.predict` returns them. A list is written whole,
        with -1 where there is no state. Values after the last state and syllable of a row of a 2-D
        array are padding and are not written.
    names : list of str, or str for a 1-D array
        Names of the recordings, as the loaders return them. "/" makes subfolders or nested
        groups. In file names, a "." at the beginning of a part is written as "%2E", since such
        files are hidden, and a "%" as "%25". The loaders reverse this.
    syllables : array or list, as `states`, default=None
        The syllables from which the states were inferred: integers; for format "csv" also a list
        of arrays of objects, for example text, None where missing.
    probabilities : array of shape (n_sequences, n_timesteps, n_states), \
            or list of arrays of shape (n_timesteps_i, n_states), default=None
        Probability of each state, as `hhmm.EfficientHHMM.predict_proba` returns it; of
        shape (n_timesteps, n_states) with a 1-D array of states.
    frames : list of arrays of shape (n_timesteps_i,), default=None
        Frame numbers, integers that increase, as `load_table` returns them; 0, 1, ... if None.
    times : list of arrays of shape (n_timesteps_i,), default=None
        When each event begins, as `load_table` returns it.
    format : {"csv", "h5"}, default=None
        If None, "h5" where `path` ends in ".h5" or ".hdf5", "csv" otherwise.
    overwrite : bool, default=False
        Whether existing files are replaced. The whole file is replaced: an HDF5 file loses
        everything else in it.

    Returns
    -------
    paths : list of Path
        The files written: one a recording, or the one HDF5 file.

    Raises
    ------
    FileExistsError
        If a file exists and `overwrite` is False. Nothing is written then.
    FileNotFoundError
        If the parent folder of `path` does not exist.
    ValueError
        If numbers of recordings or timesteps differ between arguments, a state is no integer
        or a probability not between 0 and 1, or a name is empty, occurs twice, or leads out
        of the folder.
    TypeError
        If states or syllables are no numbers, names are no text, or frames are no list.
    ImportError
        Without pandas (format "csv") or h5py ("h5"), which are part of the extra ``io``.

    See Also
    --------
    load_syllable_csv, load_keypoint_moseq : Read the syllables back.

    Notes
    -----
    A CSV file ``<name>.csv`` has columns ``frame``, ``time`` and ``syllable`` (if given), ``state``
    and (if given) ``probability_0``, ``probability_1`` and so on, in full precision. Read the
    tables back with ``load_syllable_csv(path, syllable="state", recursive=True)``. An HDF5 file has
    a group for each recording with datasets ``state`` (n_timesteps,), and if given ``syllable``
    (n_timesteps,), ``state_probability`` (n_timesteps, n_states), ``frame`` and ``time``
    (n_timesteps,). Read it back with
    h5py: ``file[name]["state"][:]``. -1 marks a timestep without state or syllable.

    All files are written under temporary names first. If anything fails, new files are removed
    and no file is left half written; a file that had been replaced by then stays replaced.

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
    records = _read_records(names, states, syllables, probabilities, frames, times)
    if format == "h5":
        import_extra("h5py", "save_states")
        if any(getattr(record.get("syllable"), "dtype", int) == np.object_ for record in records):
            raise TypeError("format 'h5' needs syllables that are integers. Write format 'csv'.")
        check_names(names, [f"/{field}" for field in records[0]], ignore_case=False)
        writers = {path: partial(_write_h5, names, records)}
    else:
        import_extra("pandas", "save_states")
        if path.suffix.lower() == ".csv" or (path.exists() and not path.is_dir()):
            raise ValueError(f"format 'csv' writes one file a recording into a folder, got {path}")
        check_names(names, [".csv"], ignore_case=True)
        writers = {}
        for name, record in zip(names, records, strict=True):
            target = path / f"{file_stem(name)}.csv"
            if not target.parent.resolve().is_relative_to(path.resolve()):
                raise ValueError(f"recording {name!r} leads out of {path} by a link")
            writers[target] = partial(_write_csv, record)
    for target in writers:
        if target.is_dir():
            raise IsADirectoryError(f"expected to write a file, but {target} is a folder")
        if target.exists() and not overwrite:
            raise FileExistsError(
                f"{target} is there already: overwrite=True replaces it, with all that it holds"
            )
    check_parent(path)
    write_files(writers)
    return list(writers)


def _read_records(names, states, syllables, probabilities, frames, times):
    """Return a dict for each recording: arrays, or labels as runs, by their names in HDF5 files."""
    given = {"states": read_runs(states, "states")}
    if syllables is not None:
        given["syllables"] = _read_syllables(syllables)
    if times is not None:
        given["times"] = read_values(times, "times", missing=np.nan)
    if frames is not None:
        given["frames"] = _read_frames(frames)
    if probabilities is not None:
        given["probabilities"] = _read_probabilities(probabilities)
    for what, ragged in given.items():
        if len(ragged.lengths) != len(names):
            raise ValueError(
                f"expected {what} of {len(names)} recordings, as many as names, got "
                f"{len(ragged.lengths)}"
            )
    # rows of an array may be padded; the length of a recording is that of a list, if there is one
    in_lists = [ragged.lengths for ragged in given.values() if not ragged.layout.is_array]
    used = [ragged.n_used for ragged in given.values() if ragged.layout.is_array]
    lengths = in_lists[0] if in_lists else np.max(used, axis=0)
    sequences = {}
    for what, ragged in given.items():
        ragged = without_padding(ragged, lengths)
        different = np.flatnonzero(ragged.lengths != lengths)
        if different.size:
            i = different[0]
            raise ValueError(
                f"recording {names[i]!r}: expected equal numbers of timesteps, got "
                f"{ragged.lengths[i]} of {what} beside {lengths[i]}"
            )
        is_runs = isinstance(ragged, RunLengths)
        sequences[what] = ragged.items() if is_runs else ragged.sequences
    return [
        {field: sequences[what][i] for what, field in _FIELDS.items() if what in given}
        for i in range(len(names))
    ]


def _read_syllables(syllables):
    is_list = isinstance(syllables, list) and all(hasattr(row, "dtype") for row in syllables)
    if is_list and any(row.dtype == object for row in syllables):
        return Ragged.of([np.asarray(row, object) for row in syllables])
    return read_runs(syllables, "syllables")


def _read_frames(frames):
    ragged = read_values(frames, "frames")
    with np.errstate(invalid="ignore"):
        numbers = ragged.values.astype(np.int64)
    increases = np.diff(numbers, prepend=0) > 0
    increases[ragged.begins[ragged.lengths > 0]] = True
    raise_at_first(
        (numbers != ragged.values) | ~increases,
        ragged.values,
        ragged.locator("frames"),
        "an integer that is larger than the frame before",
    )
    return ragged._replace(values=numbers)


def _read_probabilities(probabilities):
    ragged = read_values(probabilities, "probabilities", n_axes=2, missing=np.nan)
    values = ragged.values
    locate = ragged.locator("probabilities")
    raise_at_first(
        (values < 0) | (values > 1 + _TOLERANCE),
        values,
        lambda position: locate(position // values.shape[1]),
        "a number between 0 and 1",
    )
    return ragged


def _write_h5(names, records, file):
    import h5py

    with h5py.File(file, "w") as hdf5:
        for name, record in zip(names, records, strict=True):
            group = hdf5.require_group(name)
            for field, values in record.items():
                group[field] = np.asarray(values)


def _write_csv(record, file):
    import pandas as pd

    arrays = {field: np.asarray(values) for field, values in record.items()}
    columns = {"frame": np.arange(len(record["state"])), **arrays}
    for k, column in enumerate(columns.pop("state_probability", np.empty(0)).T):
        columns[f"probability_{k}"] = column
    pd.DataFrame(columns).to_csv(file, index=False)
