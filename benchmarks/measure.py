"""Drives the two sides and collects figures.

Whatever can be is measured in turn, this library, the reference, this library and so on,
within one run: what else the machine does, and how fast it clocks, falls on both.
"""

import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks import workloads
from benchmarks._processes import Worker
from benchmarks.workloads import TUTORIAL, WIDE, Target


class Figure(NamedTuple):
    """One thing measured on both sides."""

    workload: str
    name: str
    unit: str  # "s" or "bytes"
    hhmm: list  # values
    reference: list  # values, empty where the reference was not run
    target: Target | None = None


class Data(NamedTuple):
    """Where the simulated data of a workload lies."""

    syllables: str  # .npy
    truth: str  # .npz


class Side(NamedTuple):
    """How a side is run: its interpreter, its worker, and what differs in its arguments."""

    python: str
    module: str
    is_reference: bool

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
        return arguments


def hhmm_side():
    """This library, in the interpreter that runs the benchmarks."""
    return Side(sys.executable, "benchmarks._hhmm_worker", is_reference=False)


def reference_side(python):
    """The reference, in an interpreter of its own."""
    return Side(str(python), "benchmarks._reference_worker", is_reference=True)


def make_data(hhmm, workload, folder):
    """Simulate the data of a workload once, for both sides to load."""
    data = Data(
        str(Path(folder) / f"{workload.name}.npy"), str(Path(folder) / f"{workload.name}.npz")
    )
    with hhmm.worker() as worker:
        worker.request(
            "make_data",
            data=data.syllables,
            truth=data.truth,
            n_sequences=workload.n_sequences,
            n_timesteps=workload.n_timesteps,
            n_states=workload.n_states,
            n_syllables=workload.n_syllables,
            seed=workloads.DATA_SEED,
        )
    return data


def versions(side):
    """Versions of the libraries of a side, and its device."""
    with side.worker() as worker:
        return worker.request("versions")


def measure_tutorial(hhmm, reference, data, repeats, say):
    """The *tutorial* workload: warm processes side by side, then cold ones.

    Parameters
    ----------
    hhmm : Side
    reference : Side or None
    data : Data
    repeats : workloads.Repeats
    say : callable
        Told what is going on.

    Returns
    -------
    figures : list of Figure
    """
    sides = [side for side in (hhmm, reference) if side is not None]
    recorded = {side: _Recorded() for side in sides}
    n_sweeps = {hhmm: repeats.hhmm_sweeps, reference: repeats.reference_sweeps}
    say("tutorial: cold processes")
    for _ in range(repeats.cold_processes):
        for side in sides:
            recorded[side].cold.append(_cold_process(side, TUTORIAL, data))
    say("tutorial: warm processes in turn")
    workers = {side: side.worker() for side in sides}
    try:
        for side in sides:
            _start(workers[side], side, TUTORIAL, data, recorded[side], workloads.WARM_SWEEPS)
        for _ in range(repeats.rounds):
            for side in sides:
                _sweeps(workers[side], recorded[side], n_sweeps[side])
        for _ in range(repeats.rounds):
            for side in sides:
                _parts(workers[side], recorded[side], n_sweeps[side])
        for side in sides:
            recorded[side].peak_memory.append(workers[side].request("peak_memory"))
    finally:
        for worker in workers.values():
            worker.close()
    figures = _figures(
        TUTORIAL.name,
        recorded[hhmm],
        recorded.get(reference, _Recorded()),
        sweep_target=workloads.TUTORIAL_SWEEP,
        memory_target=None,
    )
    cold = Figure(
        TUTORIAL.name,
        f"cold process, fit of {workloads.COLD_SWEEPS} sweeps",
        "s",
        recorded[hhmm].cold,
        recorded[reference].cold if reference is not None else [],
        workloads.TUTORIAL_COLD,
    )
    return [*figures, cold]


def measure_wide(hhmm, reference, data, repeats, say):
    """The *wide* workload: this library, the reference, this library again.

    The sides are never in memory together. A sweep of the reference takes most of a minute, so
    few are run, and a sweep is the sum of its parts. No cold processes: the first
    sweep, with compilation, stands for them.

    Parameters and returns are those of `measure_tutorial`.
    """
    if reference is not None:
        available = psutil.virtual_memory().available / 1e9
        if available < workloads.WIDE_REFERENCE_MEMORY_GB:
            say(
                f"wide: the reference is left out: it needs "
                f"{workloads.WIDE_REFERENCE_MEMORY_GB:.0f} GB of memory, {available:.1f} are free"
            )
            reference = None
    ours, theirs = _Recorded(), _Recorded()
    _wide_hhmm(hhmm, data, repeats, ours, say)
    if reference is not None:
        say(f"wide: reference, {repeats.wide_reference_sweeps + 1} sweeps")
        with reference.worker() as worker:
            _start(worker, reference, WIDE, data, theirs, warm_sweeps=0)
            _parts(worker, theirs, repeats.wide_reference_sweeps)
            theirs.peak_memory.append(worker.request("peak_memory"))
        theirs.sweeps.extend(
            emissions + states
            for emissions, states in zip(theirs.emissions, theirs.states, strict=True)
        )
        _wide_hhmm(hhmm, data, repeats, ours, say)
    return _figures(
        WIDE.name,
        ours,
        theirs,
        sweep_target=workloads.WIDE_SWEEP,
        memory_target=workloads.WIDE_MEMORY,
    )


def measure_recovery(hhmm, data, repeats, say):
    """How often a fit of the *tutorial* data gets to where the true parameters are.

    Returns
    -------
    recovery : dict
        ``truth`` with accuracy and log joint, and ``seeds`` with those of each fit.
    """
    with hhmm.worker() as worker:
        truth = worker.request("true_recovery", data=data.syllables, truth=data.truth)
        seeds = []
        for seed in range(repeats.recovery_seeds):
            say(f"recovery: seed {seed}")
            fit = worker.request(
                "recovery",
                data=data.syllables,
                truth=data.truth,
                n_states=TUTORIAL.n_states,
                n_syllables=TUTORIAL.n_syllables,
                n_sweeps=workloads.RECOVERY_SWEEPS,
                seed=seed,
            )
            accurate = fit["accuracy"] >= truth["accuracy"] - workloads.RECOVERY_ACCURACY
            bound = truth["log_joint"] - workloads.RECOVERY_NATS
            fit["recovered"] = accurate and fit["log_joint"] >= bound
            fit["recovered_last_quarter"] = accurate and fit["log_joint_last_quarter"] >= bound
            seeds.append(fit)
    return {"truth": truth, "seeds": seeds}


class _Recorded:
    """Values of one side at one workload."""

    def __init__(self):
        self.first_sweep = []
        self.sweeps = []
        self.emissions = []
        self.states = []
        self.cold = []
        self.peak_memory = []


def _start(worker, side, workload, data, recorded, warm_sweeps):
    recorded.first_sweep.append(
        worker.request("start", **side.arguments(workload, data), warm_sweeps=warm_sweeps)
    )


def _sweeps(worker, recorded, n_sweeps):
    recorded.sweeps.append(worker.request("sweeps", n_sweeps=n_sweeps))


def _parts(worker, recorded, n_sweeps):
    parts = worker.request("parts", n_sweeps=n_sweeps)
    recorded.emissions.extend(parts["emissions"])
    recorded.states.extend(parts["states"])


def _cold_process(side, workload, data):
    """Wall time of a fresh process: start, import, load, fit, end."""
    began = time.perf_counter()
    with side.worker() as worker:
        worker.request("fit", **side.arguments(workload, data), n_sweeps=workloads.COLD_SWEEPS)
    return time.perf_counter() - began


def _wide_hhmm(hhmm, data, repeats, recorded, say):
    say("wide: hhmm")
    with hhmm.worker() as worker:
        _start(worker, hhmm, WIDE, data, recorded, workloads.WARM_SWEEPS)
        for _ in range(repeats.wide_rounds):
            _sweeps(worker, recorded, repeats.wide_sweeps)
            _parts(worker, recorded, repeats.wide_sweeps)
        recorded.peak_memory.append(worker.request("peak_memory"))


def _figures(name, ours, theirs, *, sweep_target, memory_target):
    return [
        Figure(name, "one sweep", "s", ours.sweeps, theirs.sweeps, sweep_target),
        Figure(name, "  its emissions part", "s", ours.emissions, theirs.emissions),
        Figure(name, "  its states part", "s", ours.states, theirs.states),
        Figure(name, "data to first sweep, compiling", "s", ours.first_sweep, theirs.first_sweep),
        Figure(name, "peak memory", "bytes", ours.peak_memory, theirs.peak_memory, memory_target),
    ]
