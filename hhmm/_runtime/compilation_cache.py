"""Keep what JAX compiles in a folder, so that the next run compiles little.

The command line keeps it in `user_folder`, and the tests in the cache folder of pytest.

JAX writes an entry in place: another process may read half of it, and a killed one leaves half of
it behind. So each run has a folder of its own. It begins with links to all entries that are kept;
when the run ends, new entries are moved to those that are kept, each in one step. The processes
that a run starts share its folder.

``JAX_ENABLE_COMPILATION_CACHE=0`` compiles everything anew.
"""

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

import jax

MAX_BYTES = 500_000_000  # of what is kept: the oldest entries go first
ONE_DAY = 86_400  # seconds, after which the folder of a run goes: a longer run keeps nothing more


def user_folder() -> Path:
    """Return where the command line keeps what it compiled."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "hhmm"


class CompilationCache:
    """The folder of one run."""

    def __init__(self, folder: Path | None):
        """Fill a new folder inside of `folder` from the runs before; None keeps nothing."""
        self.kept = folder
        self.run = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
        if folder is not None:
            remove_what_is_old(folder)
            for entry in folder.glob("*-cache"):
                with contextlib.suppress(FileNotFoundError):  # another run removed it
                    link(entry, self.run / entry.name)
        settings = {
            "jax_compilation_cache_dir": str(self.run),
            "jax_persistent_cache_min_compile_time_secs": 0.0,
            # those of XLA would make the name of the folder a part of the key of each entry
            "jax_persistent_cache_enable_xla_caches": "none",
        }
        for name, value in settings.items():
            # JAX reads the environment when it is imported, which has happened in this process
            os.environ[name.upper()] = str(value)
            jax.config.update(name, value)

    def close(self) -> None:
        """Keep the new entries, as far as possible, and remove the folder of the run."""
        if self.kept is not None:
            with contextlib.suppress(OSError):  # what was computed is not lost with them
                for entry in self.run.glob("*-cache"):
                    if not (self.kept / entry.name).exists():
                        entry.replace(self.kept / entry.name)
        shutil.rmtree(self.run, ignore_errors=True)


def link(entry, other):
    """Make `other` a link to `entry`, or a copy where the file system has no links."""
    try:
        os.link(entry, other)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(entry, other)


def remove_what_is_old(folder):
    """Remove folders of runs that were killed, and the oldest entries beyond `MAX_BYTES`."""
    with contextlib.suppress(FileNotFoundError):  # another run does the same
        for run in folder.glob("run-*"):
            if time.time() - run.stat().st_mtime > ONE_DAY:
                shutil.rmtree(run, ignore_errors=True)
        entries = sorted(folder.glob("*-cache"), key=lambda entry: -entry.stat().st_mtime)
        n_bytes = 0
        for entry in entries:
            n_bytes += entry.stat().st_size
            if n_bytes > MAX_BYTES:
                entry.unlink(missing_ok=True)
