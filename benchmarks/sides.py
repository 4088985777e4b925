"""The sides that are measured: how each is run, and the data that they load."""

import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks import workloads
from benchmarks._processes import Worker


class Data(NamedTuple):
    """Where the simulated data of a workload lies."""

    syllables: str  # .npy
    truth: str  # .npz


class Side(NamedTuple):
    """How a side is run: its interpreter, its worker, and what differs in its arguments."""

    name: str
    python: str
    module: str
    is_reference: bool = False

    def worker(self):
        """A new process of this side."""
        return Worker(self.python, self.module)

    def arguments(self, workload, data):
        """What both ``start`` and ``fit`` take."""
        arguments = {
            "data": data.syllables,
            "n_states": workload.n_states,
            "n_syllables": workload.n_syllables,
        }
        if self.is_reference:
            arguments["gd_iters"] = workload.reference_gd_iters
        elif workload.from_truth:
            arguments["truth"] = data.truth
        return arguments


# This library, in the interpreter that runs the benchmarks: sweeps and fits, and kernels alone.
HHMM = Side("hhmm", sys.executable, "benchmarks._hhmm_worker")
HHMM_KERNELS = Side("hhmm", sys.executable, "benchmarks._hhmm_kernels_worker")

# Libraries of message passing, in the same interpreter.
DYNAMAX = Side("dynamax", sys.executable, "benchmarks._dynamax_worker")
HMMLEARN = Side("hmmlearn", sys.executable, "benchmarks._hmmlearn_worker")

# Studies of this library alone.
SAMPLERS = Side("hhmm", sys.executable, "benchmarks._samplers_worker")
MODES = Side("hhmm", sys.executable, "benchmarks._modes_worker")
CALIBRATION = Side("hhmm", sys.executable, "benchmarks._calibration_worker")
EFFICIENCY = Side("hhmm", sys.executable, "benchmarks._efficiency_worker")
PRECISION = Side("hhmm", sys.executable, "benchmarks._precision_worker")

# No side: what both load, and what the machine can do.
DATA = Side("data", sys.executable, "benchmarks._data_worker")
RATES = Side("rates", sys.executable, "benchmarks._rates_worker")


def reference_side(python):
    """The reference, in an interpreter of its own."""
    return Side("state-moseq", str(python), "benchmarks._reference_worker", is_reference=True)


def make_data(simulator, workload, folder):
    """Simulate the data of a workload once, for all sides to load.

    Parameters
    ----------
    simulator : Worker of `DATA`
    workload : workloads.Workload
    folder : path

    Returns
    -------
    data : Data
    """
    data = Data(
        str(Path(folder) / f"{workload.name}.npy"), str(Path(folder) / f"{workload.name}.npz")
    )
    simulator.request(
        "make_data",
        data=data.syllables,
        truth=data.truth,
        n_sequences=workload.n_sequences,
        n_timesteps=workload.n_timesteps,
        n_states=workload.n_states,
        n_syllables=workload.n_syllables,
        mean_run=workload.mean_run,
        seed=workloads.DATA_SEED,
    )
    return data


def versions(side):
    """Versions of the libraries of a side, and its device."""
    with side.worker() as worker:
        return worker.request("versions")
