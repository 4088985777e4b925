"""Files that are whole or not there at all, and written by one process at a time."""

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


def digest(*arrays):
    """SHA-256 of the bytes of arrays, one after the other."""
    sha256 = hashlib.sha256()
    for array in arrays:
        sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()


def check_file(path, name):
    """Refuse a path that no file can be written to; `name` is what the user calls it."""
    if path.is_dir():
        raise IsADirectoryError(f"{name} must be a file, but {path} is a folder")
    if path.exists() and not path.is_file():
        raise ValueError(f"{name} must be a file, but {path} is a device, a pipe or a socket")
    check_parent(path)


def check_parent(path):
    """Refuse a path whose folder does not exist."""
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


def write_whole(path, write):
    """Write a file aside, in the same folder, bring it to disk, and move it to its place.

    Parameters
    ----------
    path : Path
        Not written by anyone else meanwhile, see `locked`.
    write : callable
        Writes to the binary file that it is given.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        aside.unlink(missing_ok=True)  # of a process that was killed
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with open(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    bring_to_disk(path.parent)


@contextlib.contextmanager
def locked(path):
    """A block during which no other process, and no other thread, comes into such a block.

    A file ``.<name>.lock`` beside the path is held. The system lets go of it when a process
    ends, however it ends.

    Parameters
    ----------
    path : Path

    Raises
    ------
    BlockingIOError
        If another one is in such a block.
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
                f"{path} cannot be locked ({error}): see to it that nothing else writes to it",
                stacklevel=2,
            )
            return descriptor
        # whoever held it before may have removed the file between the two calls
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor
        os.close(descriptor)


def absolute(path, name):
    """The path, links followed, so that what a link points to is replaced and not the link.

    Parameters
    ----------
    path : str or path-like
    name : str
        Of the argument, for the error.
    """
    try:
        return Path(path).resolve()
    except TypeError:
        raise TypeError(f"{name} must be a path of a file, got {path!r}") from None
    except (ValueError, OSError, RuntimeError) as error:  # no such name, links in a circle
        raise ValueError(f"{name} must be a path of a file, got {path!r}: {error}") from error
