"""Whole sweeps beside the reference's: the parts *tutorial*, *wide* and *keypoint*.

Whatever can be is measured in turn, this library, the reference, this library and so on,
within one run: what else the machine does, and how fast it clocks, falls on both.
"""

import time

import psutil

from benchmarks import workloads
from benchmarks.figures import Figure
from benchmarks.sides import HHMM
from benchmarks.workloads import TUTORIAL


class Recorded:
    """Values of one side at one workload: seconds, and bytes of memory."""

    def __init__(self):
        self.first_sweep = []
        self.sweeps = []
        self.emissions = []
        self.states = []
        self.cold = []
        self.peak_memory = []
        self.compiling = {}  # by entry point

    def start(self, worker, side, workload, data, warm_sweeps):
        """Have the worker start a chain."""
        started = worker.request("start", **side.arguments(workload, data), warm_sweeps=warm_sweeps)
        self.first_sweep.append(started["first_sweep"])
        for name, seconds in started["compiling"].items():
            self.compiling.setdefault(name, []).append(seconds)

    def take_sweeps(self, worker, n_sweeps):
        """Time whole sweeps."""
        self.sweeps.append(worker.request("sweeps", n_sweeps=n_sweeps))

    def take_parts(self, worker, n_sweeps):
        """Time the two parts of sweeps."""
        parts = worker.request("parts", n_sweeps=n_sweeps)
        self.emissions.extend(parts["emissions"])
        self.states.extend(parts["states"])

    def take_peak_memory(self, worker):
        """Ask for the largest memory of the worker so far."""
        self.peak_memory.append(worker.request("peak_memory"))


def measure_tutorial(reference, data, plan, say):
    """The *tutorial* workload: warm processes side by side, then cold ones.

    Parameters
    ----------
    reference : sides.Side or None
    data : sides.Data
    plan : workloads.Plan
    say : callable
        Told what is going on.

    Returns
    -------
    figures : list of figures.Figure
    """
    sides = [side for side in (HHMM, reference) if side is not None]
    recorded = {side: Recorded() for side in sides}
    n_sweeps = {HHMM: plan.hhmm_sweeps, reference: plan.reference_sweeps}
    say("tutorial: cold processes")
    for _ in range(plan.cold_processes):
        for side in sides:
            recorded[side].cold.append(_cold_process(side, TUTORIAL, data))
    say("tutorial: warm processes in turn")
    workers = {side: side.worker() for side in sides}
    try:
        for side in sides:
            recorded[side].start(workers[side], side, TUTORIAL, data, workloads.WARM_SWEEPS)
        for _ in range(plan.rounds):
            for side in sides:
                recorded[side].take_sweeps(workers[side], n_sweeps[side])
        for _ in range(plan.rounds):
            for side in sides:
                recorded[side].take_parts(workers[side], n_sweeps[side])
        for side in sides:
            recorded[side].take_peak_memory(workers[side])
    finally:
        for worker in workers.values():
            worker.close()
    ours, theirs = recorded[HHMM], recorded.get(reference, Recorded())
    figures = _figures(TUTORIAL, reference, ours, theirs, sweep_target=workloads.TUTORIAL_SWEEP)
    cold = Figure(
        TUTORIAL.name,
        f"cold process, fit of {workloads.COLD_SWEEPS} sweeps",
        "s",
        ours.cold,
        reference and reference.name,
        theirs.cold,
        workloads.TUTORIAL_COLD,
    )
    return [*figures, cold]


def measure_apart(workload, reference, data, plan, say, **targets):
    """A large workload: this library, the reference, this library again.

    The sides are never in memory together. A sweep of the reference takes most of a minute, so
    few are run, and a sweep is the sum of its parts. No cold processes: the first
    sweep, with compilation, stands for them.

    Parameters
    ----------
    workload : workloads.Workload
    reference, data, plan, say
        As for `measure_tutorial`.
    **targets : workloads.Target
        ``sweep_target``, ``states_target`` and ``memory_target``.

    Returns
    -------
    figures : list of figures.Figure
    """
    if reference is not None:
        available = psutil.virtual_memory().available / 1e9
        if available < workloads.APART_REFERENCE_MEMORY_GB:
            say(
                f"{workload.name}: the reference is left out: it needs "
                f"{workloads.APART_REFERENCE_MEMORY_GB:.0f} GB of memory, {available:.1f} are free"
            )
            reference = None
    ours, theirs = Recorded(), Recorded()
    _hhmm_apart(workload, data, plan, ours, say)
    if reference is not None:
        say(f"{workload.name}: reference, {plan.apart_reference_sweeps + 1} sweeps")
        with reference.worker() as worker:
            theirs.start(worker, reference, workload, data, warm_sweeps=0)
            theirs.take_parts(worker, plan.apart_reference_sweeps)
            theirs.take_peak_memory(worker)
        theirs.sweeps.extend(
            emissions + states
            for emissions, states in zip(theirs.emissions, theirs.states, strict=True)
        )
        _hhmm_apart(workload, data, plan, ours, say)
    return _figures(workload, reference, ours, theirs, **targets)


def _cold_process(side, workload, data):
    """Wall time of a fresh process: start, import, load, fit, end."""
    began = time.perf_counter()
    with side.worker() as worker:
        worker.request("fit", **side.arguments(workload, data), n_sweeps=workloads.COLD_SWEEPS)
    return time.perf_counter() - began


def _hhmm_apart(workload, data, plan, recorded, say):
    say(f"{workload.name}: hhmm")
    with HHMM.worker() as worker:
        recorded.start(worker, HHMM, workload, data, workloads.WARM_SWEEPS)
        for _ in range(plan.apart_rounds):
            recorded.take_sweeps(worker, plan.apart_sweeps)
            recorded.take_parts(worker, plan.apart_sweeps)
        recorded.take_peak_memory(worker)


def _figures(
    workload,
    reference,
    ours,
    theirs,
    *,
    sweep_target=None,
    states_target=None,
    memory_target=None,
):
    def compare(name, unit, our_values, their_values, target=None):
        peer = reference and reference.name
        return Figure(workload.name, name, unit, our_values, peer, their_values, target)

    return [
        compare("one sweep", "s", ours.sweeps, theirs.sweeps, sweep_target),
        compare("  its emissions part", "s", ours.emissions, theirs.emissions),
        compare("  its states part", "s", ours.states, theirs.states, states_target),
        compare("data to first sweep, compiling", "s", ours.first_sweep, theirs.first_sweep),
        *(
            Figure(workload.name, f"compiling {name}", "s", seconds)
            for name, seconds in ours.compiling.items()
        ),
        compare("peak memory", "bytes", ours.peak_memory, theirs.peak_memory, memory_target),
    ]
