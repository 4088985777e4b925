"""Write files whole or not at all, and by one process at a time."""

import contextlib
import hashlib
import os
import warnings
from pathlib import Path

import numpy as np

try:
    import fcntl
except ImportError:  # pragma: no cover -- Windows
    import msvcrt

    def _lock(descriptor):
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:

    def _lock(descriptor):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def digest(arrays):
    """Return the SHA-256 of the bytes of arrays, one after the other."""
    sha256 = hashlib.sha256()
    for array in arrays:
        sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()


def check_file(path, name):
    """Raise an error where no file can be written to a path; `name` is the argument."""
    if path.is_dir():
        raise IsADirectoryError(f"{name} must be a file, but {path} is a folder")
    if path.exists() and not path.is_file():
        raise ValueError(f"{name} must be a file, but {path} is a device, a pipe or a socket")
    check_parent(path)


def check_parent(path):
    """Raise FileNotFoundError where the folder of a path does not exist."""
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} into")


def bring_to_disk(path):
    """Wait until a file, or the list of files in a folder, is on the disk."""
    if path.is_dir() and os.name != "posix":  # pragma: no cover -- Windows
        return  # only elsewhere can a folder be opened
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_files(writers):
    """Write files aside, bring them to disk, and move them to their places.

    So at no time there is half a file under a name that was asked for [1]_. If anything fails,
    files and folders that are new are removed again; a file that had been replaced by then stays
    replaced.

    Parameters
    ----------
    writers : dict of Path to callable
        Writes to the binary file that it is given. Nothing else may write to these paths
        meanwhile, see `locked`.

    References
    ----------
    .. [1] Pillai, T. S., Chidambaram, V., Alagappan, R., et al. (2014). All file systems are
       not created equal: on the complexity of crafting crash-consistent applications. 11th
       USENIX Symposium on Operating Systems Design and Implementation, 433-448.
    """
    # hidden, so that no loader takes what is not finished for a recording
    asides = {path: path.with_name(f".{path.name}.part") for path in writers}
    new_files, new_folders = [], []
    try:
        for path, write in writers.items():
            for folder in reversed([p for p in path.parents if not p.exists()]):
                folder.mkdir()
                new_folders.append(folder)
            asides[path].unlink(missing_ok=True)  # of a process that was killed
            descriptor = os.open(asides[path], os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            with open(descriptor, "w+b") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
        for path, aside in asides.items():
            is_new = not path.exists()
            os.replace(aside, path)
            if is_new:
                new_files.append(path)
        for folder in {path.parent for path in writers}:
            bring_to_disk(folder)
    except BaseException:
        for path in [*asides.values(), *new_files]:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        for folder in reversed(new_folders):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def write_whole(path, write):
    """Write one file; see `write_files`."""
    write_files({path: write})


@contextlib.contextmanager
def locked(path):
    """Keep all other processes and threads out of such a block while this one runs.

    A file ``.<name>.lock`` beside the path is locked. The system unlocks it when the process
    ends, however it ends.

    Parameters
    ----------
    path : Path

    Raises
    ------
    BlockingIOError
        If another process or thread is in such a block.
    """
    lock = path.with_name(f".{path.name}.lock")
    descriptor = _acquire(lock, path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows does not remove what is open
            lock.unlink()
        os.close(descriptor)


def _acquire(lock, path):
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OSError(
                error.errno, f"{error.strerror}: no file can be written beside {path}"
            ) from error
        try:
            _lock(descriptor)
        except (BlockingIOError, PermissionError) as error:
            os.close(descriptor)
            raise BlockingIOError(
                f"{path} is in use: another fit or scan, of this process or of another one, "
                "writes to it. Wait for it to end, or give another path"
            ) from error
        except OSError as error:  # a file system without locks
            warnings.warn(
                f"{path} cannot be locked ({error}). Make sure that nothing else writes to it",
                stacklevel=2,
            )
            return descriptor
        # whoever held it before may have removed the file between the two calls
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor
        os.close(descriptor)


def absolute(path, name):
    """Return the path with links followed, so that their target is replaced and not the link.

    Parameters
    ----------
    path : str or path-like
    name : str
        Name of the argument, for the error.
    """
    try:
        return Path(path).resolve()
    except TypeError:
        raise TypeError(f"{name} must be a path of a file, got {path!r}") from None
    except (ValueError, OSError, RuntimeError) as error:  # no such name, links in a circle
        raise ValueError(f"{name} must be a path of a file, got {path!r}: {error}") from error
