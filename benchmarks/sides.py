"""The libraries that are compared, and the worker processes in which they run."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
DATA_SEED = 0

# All sides run as they are installed: neither threads nor the compiler are set from outside, and
# no compiled code is kept on disk between processes.
UNSET = ("JAX_COMPILATION", "JAX_DISABLE", "JAX_ENABLE", "JAX_NUM", "XLA_FLAGS", "OMP_", "NPROC")


class WorkerError(RuntimeError):
    """A worker process failed."""


class Worker:
    """A process that works on request; a context manager.

    Parameters
    ----------
    python : path
        The interpreter.
    module : str
        A module that serves requests, see `benchmarks._serve`.
    """

    def __init__(self, python, module):
        self._module = module
        # a file and not a pipe, because nobody reads it before the process ends
        self._errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [str(python), "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=REPOSITORY,
            env={
                name: value
                for name, value in os.environ.items()
                if not name.startswith(UNSET) and not name.endswith("_THREADS")
            },
        )

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self._process.kill()
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def request(self, command, **arguments):
        """Send a request and return the result of the worker."""
        try:
            line = json.dumps({"command": command, "arguments": arguments})
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the process has ended, so there is no reply either
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._errors.seek(0)
            tail = "".join(self._errors.readlines()[-20:])
            killed = ", probably for lack of memory" if status == -signal.SIGKILL else ""
            raise WorkerError(
                f"{self._module} ended during {command!r} with status {status}{killed}. Its last "
                f"output:\n{tail}"
            )
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerError(f"{self._module} failed at {command!r}:\n{reply['error']}")
        return reply["result"]


class Side(NamedTuple):
    """A library: its interpreter and its worker."""

    name: str
    module: str
    python: str = sys.executable
    is_reference: bool = False

    def worker(self):
        """Start a new process of this side."""
        return Worker(self.python, self.module)

    def arguments(self, workload, data):
        """Return the arguments that both ``start`` and ``fit`` take."""
        sizes = {"n_states": workload.n_states, "n_syllables": workload.n_syllables}
        if self.is_reference:
            return sizes | {"data": data, "gd_iters": workload.reference_gd_iters}
        return sizes | {"data": data, "from_truth": workload.from_truth}

    def versions(self):
        """Return the versions of the libraries of this side, and its device."""
        with self.worker() as worker:
            return worker.request("versions")


HHMM = Side("hhmm", "benchmarks._hhmm_worker")
HHMM_KERNELS = Side("hhmm", "benchmarks._hhmm_kernels_worker")
DYNAMAX = Side("dynamax", "benchmarks._dynamax_worker")
HMMLEARN = Side("hmmlearn", "benchmarks._hmmlearn_worker")
DATA = Side("data", "benchmarks._data_worker")  # no library, but what all sides load


def reference_side(python):
    """Return the reference, which runs in an interpreter of its own."""
    module = "benchmarks._reference_worker"
    return Side("state-moseq", module, str(python), is_reference=True)


def make_data(workload, folder):
    """Simulate the data of a workload, for all sides to load; return its path (.npz)."""
    data = str(Path(folder) / f"{workload.name}.npz")
    with DATA.worker() as worker:
        worker.request(
            "make_data",
            data=data,
            n_sequences=workload.n_sequences,
            n_timesteps=workload.n_timesteps,
            n_states=workload.n_states,
            n_syllables=workload.n_syllables,
            mean_run=workload.mean_run,
            seed=DATA_SEED,
        )
    return data


def say(message):
    """Print what is being measured."""
    print(message, file=sys.stderr, flush=True)
