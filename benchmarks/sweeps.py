"""Time whole sweeps beside the reference's: parts *tutorial*, *wide* and *keypoint*.

Everything that can be is measured in turn within one run, this library, the reference, this
library and so on, so that other work and the clock of the machine affect both.
"""

import time
from contextlib import ExitStack

import psutil

from benchmarks.figures import Figure, Target, table
from benchmarks.sides import HHMM, make_data, say
from benchmarks.workloads import TUTORIAL

# sweeps before anything is timed, because Newton's method starts from the mode of the last one
WARM_SWEEPS = 10
COLD_SWEEPS = 100
# What the reference keeps in memory at the *wide* and *keypoint* workloads is about 15 GB.
REFERENCE_MEMORY_GB = 16.0
# by workload and figure
TARGETS = {
    ("tutorial", "one sweep"): Target(1 / 8),
    ("tutorial", "cold process"): Target(1 / 3),
    ("wide", "one sweep"): Target(1 / 300),
    ("wide", "peak memory"): Target(1.5, of_ratio=False),
    ("keypoint", "one sweep"): Target(1 / 200),
    ("keypoint", "  its states part"): Target(1 / 30),
    ("keypoint", "peak memory"): Target(2.0, of_ratio=False),
}


class Recorded:
    """The values of one side at one workload: seconds, and bytes of memory."""

    def __init__(self):
        self.first_sweep, self.sweeps, self.emissions, self.states = [], [], [], []
        self.cold, self.peak_memory = [], []
        self.compiling = {}  # by what is compiled

    def start(self, worker, side, workload, data, warm_sweeps, **options):
        """Start a chain in the worker; return its whole reply."""
        arguments = side.arguments(workload, data) | options
        started = worker.request("start", warm_sweeps=warm_sweeps, **arguments)
        self.first_sweep.append(started["first_sweep"])
        for name, seconds in started["compiling"].items():
            self.compiling.setdefault(name, []).append(seconds)
        return started

    def take_sweeps(self, worker, n_sweeps):
        """Time whole sweeps."""
        self.sweeps.append(worker.request("sweeps", n_sweeps=n_sweeps))

    def take_parts(self, worker, n_sweeps):
        """Time the two parts of sweeps."""
        parts = worker.request("parts", n_sweeps=n_sweeps)
        self.emissions.extend(parts["emissions"])
        self.states.extend(parts["states"])

    def take_peak_memory(self, worker):
        """Record the largest memory of the worker so far."""
        self.peak_memory.append(worker.request("peak_memory"))


def measure_sweeps(workload, reference, plan, folder):
    """Time sweeps of one workload.

    Parameters
    ----------
    workload : workloads.Workload
    reference : sides.Side or None
    plan : workloads.Plan
    folder : path
        For the data.

    Returns
    -------
    text : str
        The table.
    """
    data = make_data(workload, folder)
    measure = _measure_in_turn if workload is TUTORIAL else _measure_apart
    ours, theirs = measure(workload, reference, data, plan)
    return f"{workload.describe()}\n\n{table(_figures(workload, reference, ours, theirs))}"


def _measure_in_turn(workload, reference, data, plan):
    """Run cold processes in turn, then warm processes side by side."""
    sides = [side for side in (HHMM, reference) if side is not None]
    recorded = {side: Recorded() for side in sides}
    n_sweeps = {HHMM: plan.hhmm_sweeps, reference: plan.reference_sweeps}
    say(f"{workload.name}: cold processes")
    for _ in range(plan.cold_processes):
        for side in sides:
            recorded[side].cold.append(_cold_process(side, workload, data))
    say(f"{workload.name}: warm processes in turn")
    with ExitStack() as stack:
        workers = {side: stack.enter_context(side.worker()) for side in sides}
        for side in sides:
            recorded[side].start(workers[side], side, workload, data, WARM_SWEEPS)
        for _ in range(plan.rounds):
            for side in sides:
                recorded[side].take_sweeps(workers[side], n_sweeps[side])
        for _ in range(plan.rounds):
            for side in sides:
                recorded[side].take_parts(workers[side], n_sweeps[side])
        for side in sides:
            recorded[side].take_peak_memory(workers[side])
    return recorded[HHMM], recorded.get(reference, Recorded())


def _measure_apart(workload, reference, data, plan):
    """Run this library, the reference, and this library again.

    The sides are never in memory together. A sweep of the reference takes most of a minute, so
    few are run, and a sweep is the sum of its parts. There are no cold processes: the first sweep,
    with compilation, stands for them.
    """
    ours, theirs = Recorded(), Recorded()
    available = psutil.virtual_memory().available / 1e9
    if reference is not None and available < REFERENCE_MEMORY_GB:
        raise MemoryError(
            f"The reference needs {REFERENCE_MEMORY_GB:.0f} GB of memory, and {available:.1f} are "
            "free. Close other programs, or leave the reference out with --skip-reference."
        )
    _run_hhmm_apart(workload, data, plan, ours)
    if reference is not None:
        say(f"{workload.name}: reference, {plan.apart_reference_sweeps + 1} sweeps")
        with reference.worker() as worker:
            theirs.start(worker, reference, workload, data, warm_sweeps=0)
            theirs.take_parts(worker, plan.apart_reference_sweeps)
            theirs.take_peak_memory(worker)
        theirs.sweeps = [sum(parts) for parts in zip(theirs.emissions, theirs.states, strict=True)]
        _run_hhmm_apart(workload, data, plan, ours)
    return ours, theirs


def _run_hhmm_apart(workload, data, plan, recorded):
    say(f"{workload.name}: hhmm")
    with HHMM.worker() as worker:
        recorded.start(worker, HHMM, workload, data, WARM_SWEEPS)
        for _ in range(plan.apart_rounds):
            recorded.take_sweeps(worker, plan.apart_sweeps)
            recorded.take_parts(worker, plan.apart_sweeps)
        recorded.take_peak_memory(worker)


def _cold_process(side, workload, data):
    """Return the wall time of a fresh process: start, import, load, fit, end."""
    began = time.perf_counter()
    with side.worker() as worker:
        worker.request("fit", **side.arguments(workload, data), n_sweeps=COLD_SWEEPS)
    return time.perf_counter() - began


def _figures(workload, reference, ours, theirs):
    def compare(name, unit, our_values, their_values, key=None):
        target = TARGETS.get((workload.name, key or name))
        peer = reference and reference.name
        return Figure(workload.name, name, unit, our_values, peer, their_values, target)

    figures = [
        compare("one sweep", "s", ours.sweeps, theirs.sweeps),
        compare("  its emissions part", "s", ours.emissions, theirs.emissions),
        compare("  its states part", "s", ours.states, theirs.states),
        compare("data to first sweep, compiling", "s", ours.first_sweep, theirs.first_sweep),
        *(
            Figure(workload.name, f"compiling {name}", "s", seconds)
            for name, seconds in ours.compiling.items()
        ),
        compare("peak memory", "bytes", ours.peak_memory, theirs.peak_memory),
    ]
    if ours.cold:
        name = f"cold process, fit of {COLD_SWEEPS} sweeps"
        figures.append(compare(name, "s", ours.cold, theirs.cold, key="cold process"))
    return figures
