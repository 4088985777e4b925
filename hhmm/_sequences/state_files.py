"""Write the states of many recordings to a folder, a file a recording, one after the other."""

import errno
import shutil
from collections.abc import Sequence

import numpy as np

from hhmm._runtime.file_names import check_names, file_stem
from hhmm._runtime.files import absolute, check_parent, write_files

_HEADER = 128  # bytes of a .npy file beside its values


def choose_files(folder, X, n_timesteps):
    """Choose the file of each sequence, and check that all can be written.

    Parameters
    ----------
    folder : str or path-like
    X : sequence of array-likes, or 2-D array-like
        Items with a ``name``, as those of `open_recordings` have, give the file its name.
    n_timesteps : (n_sequences,) int

    Returns
    -------
    paths : list of Path
    """
    folder = absolute(folder, "out")
    _check_folders([folder])
    check_parent(folder)
    n_digits = max(len(str(len(n_timesteps) - 1)), 4)
    names = [f"sequence_{i:0{n_digits}d}" for i in range(len(n_timesteps))]
    if isinstance(X, Sequence):
        pairs = zip(X, names, strict=True)
        names = [getattr(x, "name", name) if hasattr(x, "read_runs") else name for x, name in pairs]
    names = [file_stem(name) for name in names]
    check_names(names, [".npy"], ignore_case=True)
    paths = [folder / f"{name}.npy" for name in names]
    _check_folders({path.parent for path in paths})
    existing = [path for path in paths if path.exists()]
    if existing:
        raise FileExistsError(
            f"{existing[0]} exists ({len(existing)} of {len(paths)} files do). Give another "
            "folder, or remove these files"
        )
    needed = int(np.sum(n_timesteps)) * np.dtype(np.int16).itemsize + _HEADER * len(paths)
    free = shutil.disk_usage(folder if folder.exists() else folder.parent).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"the states need {needed / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB are free in "
            f"{folder}. Free some room, or give another folder",
        )
    return paths


def _check_folders(folders):
    """Raise NotADirectoryError where a file has the name of a folder, or of one above it."""
    for folder in folders:
        for path in (folder, *folder.parents):
            if path.exists() and not path.is_dir():
                raise NotADirectoryError(
                    f"out needs the folder {path}, but there is a file of this name. Give another "
                    "folder"
                )


def write_one_by_one(paths, states):
    """Write states, an iterator of 1-D arrays, to these files: all of them, or none."""

    def write(file):
        np.save(file, next(states).astype(np.int16), allow_pickle=False)

    write_files(dict.fromkeys(paths, write))
