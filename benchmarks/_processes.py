"""Worker processes, seen from the side that measures."""

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

# Both sides run as they come: neither threads nor the compiler are set from outside, and
# no compiled code is kept on disk between processes.
UNSET = (
    "BLIS_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_ENABLE_X64",
    "JAX_NUM_CPU_DEVICES",
    "MKL_NUM_THREADS",
    "NPROC",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OMP_PROC_BIND",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "XLA_FLAGS",
)


class WorkerError(RuntimeError):
    """A worker process failed."""


class Worker:
    """A process that does a piece of work on request; a context manager.

    Parameters
    ----------
    python : path
        Interpreter to run.
    module : str
        Module that serves requests, see `benchmarks._serve`.
    """

    def __init__(self, python, module):
        self._module = module
        # a file and not a pipe, which would have to be read lest it fill up
        self._errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115
        environment = {name: value for name, value in os.environ.items() if name not in UNSET}
        self._process = subprocess.Popen(
            [str(python), "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=REPOSITORY,
            env=environment,
        )

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self._process.kill()
        self.close()

    def request(self, command, **arguments):
        """Have a piece of work done; returns the worker's result."""
        try:
            self._process.stdin.write(
                json.dumps({"command": command, "arguments": arguments}) + "\n"
            )
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it is gone: there will be no reply either
        line = self._process.stdout.readline()
        if not line:
            returncode = self._process.wait()
            self._errors.seek(0)
            tail = "".join(self._errors.readlines()[-20:])
            killed = ", killed, likely for want of memory" if returncode == -signal.SIGKILL else ""
            raise WorkerError(
                f"{self._module} ended during {command!r} with status {returncode}{killed}. "
                f"Its last words:\n{tail}"
            )
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerError(f"{self._module} failed at {command!r}:\n{reply['error']}")
        return reply["result"]

    def close(self):
        """Let the process end, and wait for it."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()
