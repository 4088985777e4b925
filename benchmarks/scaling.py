"""Measure this library's cost along frames, syllables, states and sequences: part *scaling*.

Each size runs in a process of its own, whose peak memory is then that of this size. The exponent
of a cost along an axis is the slope of a least squares line through the logarithms, over the upper
half of the axis, where fixed costs weigh least.
"""

import math
import statistics
import tempfile
import textwrap
from typing import NamedTuple

from benchmarks.figures import RULE, quantity, verdict
from benchmarks.scaling_plot import draw_scaling
from benchmarks.sides import HHMM, make_data, say
from benchmarks.sweeps import Recorded
from benchmarks.workloads import Axis

_ROW = "{:>12}" + 6 * "{:>14}"
WARM_SWEEPS = 3
# turns of whole sweeps, then of sweeps in parts; and sweeps a turn, however long one takes
TURNS = 3
MIN_SWEEPS = 2
MAX_SWEEPS = 20
# cost may grow in proportion to the number of frames, and noise adds to the exponent of 1
FRAMES_EXPONENT = 1.1


class Cell(NamedTuple):
    """Measurements at one size; medians."""

    value: int  # of the size that varies along the axis
    n_frames: int
    states: float  # drawing and counting the states, seconds
    emissions: float  # drawing emissions and transitions, seconds
    sweep: float  # a whole sweep in the estimator's loop, seconds
    compiling: float  # a fit, seconds
    memory: float  # peak of the process above what it had after its imports, bytes


class PowerLaw(NamedTuple):
    """``cost = factor * size ** exponent``, and the range of sizes that it was fitted to."""

    exponent: float
    factor: float
    low: float
    high: float


class Scaling(NamedTuple):
    """An axis with what was measured along it."""

    axis: Axis
    cells: list
    fits: dict  # of `PowerLaw`, by field of `Cell`


def measure_scaling(plan, picture):
    """Measure along all axes, and draw a picture.

    Parameters
    ----------
    plan : workloads.Plan
    picture : path
        Of the picture (PNG).

    Returns
    -------
    text : str
        One table an axis, with exponents, and the verdict on frames.
    """
    scalings = []
    for axis in plan.axes:
        cells = []
        for value, workload in zip(axis.values, axis.workloads, strict=True):
            say(f"scaling: {axis.name} {value:,}")
            cells.append(_measure(value, workload, plan.scaling_seconds))
        fits = {
            name: fit_power_law(axis.values, [getattr(cell, name) for cell in cells])
            for name in axis.fitted
        }
        scalings.append(Scaling(axis, cells, fits))
    draw_scaling(scalings, picture)
    frames = next(scaling for scaling in scalings if scaling.axis.name == "frames")
    met = all(fit.exponent <= FRAMES_EXPONENT for fit in frames.fits.values())
    tables = "\n\n".join(map(_table, scalings))
    return (
        f"{tables}\n\ncost in frames: exponent at most 1 within noise ({FRAMES_EXPONENT}): "
        f"{verdict(met)}"
    )


def fit_power_law(sizes, costs):
    """Fit a line to the logarithms, over the upper half of the range of log(size).

    Parameters
    ----------
    sizes : sequence of float, positive, increasing
    costs : sequence of float, positive

    Returns
    -------
    fit : PowerLaw
    """
    middle = math.sqrt(sizes[0] * sizes[-1])
    # a line needs two sizes
    n_upper = max(sum(size >= middle * (1 - 1e-9) for size in sizes), 2)
    sizes, costs = sizes[-n_upper:], costs[-n_upper:]
    line = statistics.linear_regression(list(map(math.log, sizes)), list(map(math.log, costs)))
    return PowerLaw(line.slope, math.exp(line.intercept), sizes[0], sizes[-1])


def _table(scaling):
    axis = scaling.axis
    heading = (axis.name, "states draw", "emissions", "sweep", "compiling", "memory", "a frame")
    lines = [f"scaling with {axis.name}: {axis.fixed}", _ROW.format(*heading), RULE]
    for cell in scaling.cells:
        times = (cell.states, cell.emissions, cell.sweep, cell.compiling)
        row = [f"{cell.value:,}", *(quantity(seconds, "s") for seconds in times)]
        row += [quantity(size, "bytes") for size in (cell.memory, cell.memory / cell.n_frames)]
        lines.append(_ROW.format(*row))
    exponents = ", ".join(f"{name} {fit.exponent:.2f}" for name, fit in scaling.fits.items())
    fit = scaling.fits["memory"]
    text = f"exponents over {fit.low:,} to {fit.high:,} {axis.name}: {exponents}"
    lines.append(textwrap.fill(text, len(RULE), subsequent_indent="    "))
    if axis.name == "frames":
        low, high = (next(c for c in scaling.cells if c.value == v) for v in (fit.low, fit.high))
        further = (high.memory - low.memory) / (high.n_frames - low.n_frames)
        lines.append(f"memory of each further frame over that range: {quantity(further, 'bytes')}")
    return "\n".join(lines)


def _measure(value, workload, seconds):
    """Measure one size in a process of its own, and remove its data."""
    with tempfile.TemporaryDirectory() as folder, HHMM.worker() as worker:
        data = make_data(workload, folder)
        imported = worker.request("peak_memory")
        recorded = Recorded()
        recorded.start(worker, HHMM, workload, data, WARM_SWEEPS)
        first = worker.request("sweeps", n_sweeps=1)
        n_sweeps = min(max(math.ceil(seconds / (2 * TURNS * first)), MIN_SWEEPS), MAX_SWEEPS)
        for _ in range(TURNS):
            recorded.take_sweeps(worker, n_sweeps)
            recorded.take_parts(worker, n_sweeps)
        recorded.take_peak_memory(worker)
    return Cell(
        value=value,
        n_frames=workload.n_frames,
        states=statistics.median(recorded.states),
        emissions=statistics.median(recorded.emissions),
        sweep=statistics.median(recorded.sweeps),
        compiling=recorded.compiling["a fit"][0],
        memory=recorded.peak_memory[0] - imported,
    )
