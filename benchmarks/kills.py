"""The *kills* part: fits that are killed again and again, and what is lost.

A process fits with a checkpoint and is killed (SIGKILL, and SIGTERM every third time) at a random
moment after its first write; the next one goes on. When one has come to its end, what it found
is compared with a fit that nobody disturbed, to the last bit. After each kill the file must be
whole, and no sweep that was in it before may be missing: at most the sweep under way is lost.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks._processes import REPOSITORY, UNSET
from benchmarks.figures import RULE

# kinds of fits, by the name in the table
KINDS = {
    "Gibbs, laplace": {"init": "prior", "max_iter": 500},
    "Gibbs, hmc, three chains": {
        "init": "prior",
        "max_iter": 300,
        "emission_sampler": "hmc",
        "n_chains": 3,
    },
    "EM": {"algorithm": "em", "init": "prior", "tol": 0.0, "max_iter": 500},
    "gradient": {"algorithm": "gradient", "init": "prior", "tol": 0.0, "max_iter": 500},
}
LONGEST_WAIT = 0.5  # seconds from the first write to the kill, at most


class Kills(NamedTuple):
    """What became of a fit that was killed."""

    kind: str
    n_kills: int
    n_sweeps: int  # of all chains, done at the end
    n_lost: int  # kills after which the file was damaged, or held less than before
    n_different: int  # arrays of the result that differ from the undisturbed one's
    n_arrays: int

    @property
    def met(self):
        """Whether nothing was lost and nothing is different."""
        return self.n_lost == self.n_different == 0


def measure_kills(plan, say):
    """Kill fits of each kind; returns a list of `Kills`."""
    return [
        kill(kind, settings, plan.n_kills, say=say, seed=seed)
        for seed, (kind, settings) in enumerate(KINDS.items())
    ]


def kill(kind, settings, n_kills, *, say, seed):
    """Kill a fit up to `n_kills` times, let it end, and compare."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, path = Path(folder, "fit.npz"), Path(folder, "result.npz")
        cache = {
            "JAX_COMPILATION_CACHE_DIR": str(Path(folder, "cache")),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        arguments = [str(checkpoint), str(path), json.dumps(settings)]
        done, n_killed, n_lost = 0, 0, 0
        while not path.exists():
            say(f"kills: {kind}, {n_killed} of {n_kills}, {done} sweeps done")
            before = _stamp(checkpoint)
            process = _start(arguments, cache)
            if n_killed < n_kills:
                while _stamp(checkpoint) == before and process.poll() is None:
                    time.sleep(0.002)
                time.sleep(rng.uniform(0, LONGEST_WAIT))
                process.send_signal(signal.SIGTERM if n_killed % 3 == 2 else signal.SIGKILL)
            code = process.wait()
            if code > 0:
                raise RuntimeError(f"a fit of {kind} failed with exit code {code}")
            n_killed += code < 0
            now = n_sweeps(checkpoint)
            n_lost += now is None or now < done
            done = now or 0
        expected = {}
        undisturbed = Path(folder, "undisturbed.npz")
        _start([str(Path(folder, "other.npz")), str(undisturbed), arguments[2]], cache).wait()
        expected, found = dict(np.load(undisturbed)), dict(np.load(path))
    different = [
        name for name in expected | found if not _identical(expected.get(name), found.get(name))
    ]
    return Kills(kind, n_killed, done, n_lost, len(different), len(expected))


def n_sweeps(checkpoint):
    """Sweeps of all chains that a file holds; None where it cannot be read."""
    if not checkpoint.exists():
        return 0
    try:
        with np.load(checkpoint, allow_pickle=False) as file:
            return sum(int(file[name]) for name in file.files if name.endswith("end.n_sweeps"))
    except (OSError, ValueError, KeyError):
        return None


def kills_table(kills):
    """A row a kind of fit, and the verdict."""
    lines = [
        "kills: fits killed at random moments, a checkpoint every sweep, compared with a fit that",
        "nobody disturbed, to the last bit",
        f"{'fit':<28}{'kills':>8}{'sweeps':>9}{'lost':>8}{'arrays different':>20}",
        RULE,
    ]
    for row in kills:
        lines.append(
            f"{row.kind:<28}{row.n_kills:>8}{row.n_sweeps:>9}{row.n_lost:>8}"
            f"{f'{row.n_different} of {row.n_arrays}':>20}"
        )
    n_kills = sum(row.n_kills for row in kills)
    met = all(row.met for row in kills)
    lines.append(
        f"{n_kills} kills, nothing lost and nothing different: {'met' if met else 'MISSED'}"
    )
    return "\n".join(lines)


def _start(arguments, cache):
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    command = [sys.executable, "-m", "benchmarks._killed_worker", *arguments]
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment | cache)


def _stamp(path):
    return path.stat().st_mtime_ns if path.exists() else None


def _identical(one, other):
    return one is not None and other is not None and one.tobytes() == other.tobytes()
