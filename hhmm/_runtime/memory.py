"""Memory of this machine: how much is free."""

import contextlib
import ctypes
import os
from pathlib import Path
from typing import NamedTuple

import jax

_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


class Memory(NamedTuple):
    """Bytes."""

    free: float
    total: float


def available():
    """Return memory where JAX computes, as `Memory`; None where that is not known."""
    if jax.default_backend() != "cpu":
        stats = None
        with contextlib.suppress(Exception):  # devices differ in what they report
            stats = jax.local_devices()[0].memory_stats()
        if not stats or "bytes_limit" not in stats:
            return None
        limit = stats["bytes_limit"]
        return Memory(limit - stats.get("bytes_in_use", 0), limit)
    found = [*_of_machine(), *_of_control_groups()]
    return Memory(*map(min, zip(*found, strict=True))) if found else None


def release():
    """Return memory that was freed to the system, where the C library would keep it (glibc).

    After the compiler of JAX that is about 0.5 GB, which later arrays would come on top of.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # other C libraries
        ctypes.CDLL(None).malloc_trim(0)


def _of_machine():
    """Return the memory of the machine, swap space included."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return
    if total <= 0:
        return
    free = total
    with contextlib.suppress(OSError, KeyError):  # some systems do not report it
        kilobytes = _fields(_PROC / "meminfo")
        free = 1024 * (kilobytes["MemAvailable:"] + kilobytes["SwapFree:"])
    yield Memory(min(free, total), total)


def _of_control_groups():
    """Return what Linux grants a container or a job of a cluster: the groups of this process."""
    try:
        memberships = (_PROC / "self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, names, reclaimable = _CGROUPS, ("memory.max", "memory.current"), "inactive_file"
        elif "memory" in controllers.split(","):
            root, reclaimable = _CGROUPS / "memory", "total_inactive_file"
            names = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        # a container may see the root of its own group alone, under another path
        inner = root / path.lstrip("/")
        for folder in (inner, *inner.parents):
            with contextlib.suppress(OSError, ValueError):  # "max": none is set
                limit, used = (int((folder / name).read_text()) for name in names)
                cache = _fields(folder / "memory.stat").get(reclaimable, 0)
                yield Memory(max(limit - used + cache, 0), limit)
            if folder == root:
                break


def _fields(path):
    """Read numbers of a file whose lines begin with a name and a number."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) > 1 and line[1].isdigit()}
