"""The *scaling* part: this library's cost along frames, syllables, states and sequences.

Each size runs in a process of its own, whose peak memory is then that of this size. The
exponent of a cost along an axis is the slope of a least squares line through the logarithms,
over the upper half of the axis, where what does not grow weighs least.
"""

import math
import statistics
import tempfile
import textwrap
from typing import NamedTuple

from benchmarks import workloads
from benchmarks.figures import RULE, quantity
from benchmarks.sides import HHMM, make_data
from benchmarks.sweeps import Recorded

_ROW = (
    "{value:>12}{states:>12}{emissions:>12}{sweep:>12}{compiling:>12}"
    "{memory:>12}{per_frame:>12}{product:>16}"
)
# turns of whole sweeps, then of sweeps in parts; and sweeps a turn, however long one takes
TURNS = 3
MIN_SWEEPS = 2
MAX_SWEEPS = 20
PRODUCT_CALLS = 30


class Cell(NamedTuple):
    """What was measured at one size; medians."""

    value: int  # of what varies along the axis
    n_frames: int
    n_states: int
    n_syllables: int
    states: float  # drawing and counting the states, seconds
    emissions: float  # drawing emissions and transitions, seconds
    sweep: float  # a whole sweep in the estimator's loop, seconds
    compiling: float  # a fit, seconds
    memory: float  # peak of the process above what it had after its imports, bytes
    hessian_product: float  # one product with the Hessian of the emissions, seconds


class Fit(NamedTuple):
    """A power law, ``cost = factor * size ** exponent``, and the sizes it was fitted to."""

    exponent: float
    factor: float
    low: float
    high: float


class Scaling(NamedTuple):
    """An axis with what was measured along it."""

    axis: workloads.Axis
    cells: list
    fits: dict  # of `Fit`, by field of `Cell`


def measure_scaling(simulator, plan, say):
    """Measure along all axes.

    Parameters
    ----------
    simulator : Worker of `sides.DATA`
    plan : workloads.Plan
    say : callable
        Told what is going on.

    Returns
    -------
    scalings : list of Scaling
    """
    scalings = []
    for axis in plan.axes:
        cells = []
        for value, workload in zip(axis.values, axis.workloads, strict=True):
            say(f"scaling: {axis.name} {value:,}")
            cells.append(_measure(simulator, value, workload, plan.scaling_seconds))
        fits = {
            name: fit_power_law(axis.values, [getattr(cell, name) for cell in cells])
            for name in axis.fitted
        }
        scalings.append(Scaling(axis, cells, fits))
    return scalings


def fit_power_law(sizes, costs):
    """Fit a line to the logarithms, over the upper half of the range of log(size).

    Parameters
    ----------
    sizes : sequence of float, positive, increasing
    costs : sequence of float, positive

    Returns
    -------
    fit : Fit
    """
    middle = math.sqrt(sizes[0] * sizes[-1])
    # of two sizes both are taken: half of one is no range
    upper = [i for i, size in enumerate(sizes) if size >= middle * (1 - 1e-9)]
    upper = upper if len(upper) > 1 else range(len(sizes) - 2, len(sizes))
    line = statistics.linear_regression(
        [math.log(sizes[i]) for i in upper], [math.log(costs[i]) for i in upper]
    )
    return Fit(line.slope, math.exp(line.intercept), sizes[upper[0]], sizes[-1])


def product_fit(scalings):
    """The time of a Hessian product as a power law in K S^2, over the syllables' axis."""
    syllables = next(s for s in scalings if s.axis.name == "syllables")
    return fit_power_law(
        [cell.n_states * cell.n_syllables**2 for cell in syllables.cells],
        [cell.hessian_product for cell in syllables.cells],
    )


def frames_verdict(scalings):
    """Whether no cost grows faster than the number of frames, within noise."""
    frames = next(s for s in scalings if s.axis.name == "frames")
    return all(
        fit.exponent <= workloads.FRAMES_EXPONENT_WITHIN_NOISE for fit in frames.fits.values()
    )


def scaling_tables(scalings):
    """One table an axis, with exponents, and the verdict on frames."""
    blocks = [_table(scaling) for scaling in scalings]
    product = product_fit(scalings)
    blocks.append(
        f"One Hessian product against K S^2, {product.low:,} to {product.high:,}: "
        f"exponent {product.exponent:.2f}\n"
        f"cost in frames: exponent <= {workloads.FRAMES_EXPONENT} within noise "
        f"({workloads.FRAMES_EXPONENT_WITHIN_NOISE}): "
        f"{'met' if frames_verdict(scalings) else 'MISSED'}"
    )
    return "\n\n".join(blocks)


def scaling_as_json(scalings):
    """Cells and exponents of all axes, JSON-ready."""
    return {
        "axes": [
            {
                "name": scaling.axis.name,
                "fixed": scaling.axis.fixed,
                "cells": [cell._asdict() for cell in scaling.cells],
                "fits": {name: fit._asdict() for name, fit in scaling.fits.items()},
            }
            for scaling in scalings
        ],
        "hessian_product": product_fit(scalings)._asdict(),
        "frames_met": frames_verdict(scalings),
    }


def _table(scaling):
    axis = scaling.axis
    heading = _ROW.format(
        value=axis.name,
        states="states draw",
        emissions="emissions",
        sweep="sweep",
        compiling="compiling",
        memory="memory",
        per_frame="a frame",
        product="Hessian product",
    )
    lines = [f"scaling with {axis.name}: {axis.fixed}", heading, RULE]
    for cell in scaling.cells:
        lines.append(
            _ROW.format(
                value=f"{cell.value:,}",
                states=quantity(cell.states, "s"),
                emissions=quantity(cell.emissions, "s"),
                sweep=quantity(cell.sweep, "s"),
                compiling=quantity(cell.compiling, "s"),
                memory=quantity(cell.memory, "bytes"),
                per_frame=quantity(cell.memory / cell.n_frames, "bytes"),
                product=quantity(cell.hessian_product, "s"),
            )
        )
    exponents = ", ".join(
        f"{name.replace('_', ' ')} {fit.exponent:.2f}" for name, fit in scaling.fits.items()
    )
    fit = next(iter(scaling.fits.values()))
    text = f"exponents over {fit.low:,} to {fit.high:,} {axis.name}: {exponents}"
    lines.append(textwrap.fill(text, len(RULE), subsequent_indent="    "))
    if axis.name == "frames":
        further = _memory_of_a_further_frame(scaling)
        lines.append(f"memory of each further frame over that range: {quantity(further, 'bytes')}")
    return "\n".join(lines)


def _memory_of_a_further_frame(scaling):
    """Bytes that a frame adds, between the ends of the range that exponents are fitted to."""
    low, high = (
        next(cell for cell in scaling.cells if cell.value == value)
        for value in scaling.fits["memory"][2:]
    )
    return (high.memory - low.memory) / (high.n_frames - low.n_frames)


def _measure(simulator, value, workload, seconds):
    """One size, in a process of its own; its data is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        data = make_data(simulator, workload, folder)
        with HHMM.worker() as worker:
            imported = worker.request("peak_memory")
            recorded = Recorded()
            recorded.start(worker, HHMM, workload, data, workloads.SCALING_WARM_SWEEPS)
            first = worker.request("sweeps", n_sweeps=1)
            n_sweeps = min(max(math.ceil(seconds / (2 * TURNS * first)), MIN_SWEEPS), MAX_SWEEPS)
            for _ in range(TURNS):
                recorded.take_sweeps(worker, n_sweeps)
                recorded.take_parts(worker, n_sweeps)
            recorded.take_peak_memory(worker)
            products = worker.request(
                "hessian_product",
                n_states=workload.n_states,
                n_syllables=workload.n_syllables,
                n_calls=PRODUCT_CALLS,
            )
    return Cell(
        value=value,
        n_frames=workload.n_frames,
        n_states=workload.n_states,
        n_syllables=workload.n_syllables,
        states=statistics.median(recorded.states),
        emissions=statistics.median(recorded.emissions),
        sweep=statistics.median(recorded.sweeps),
        compiling=recorded.compiling["a fit"][0],
        memory=recorded.peak_memory[0] - imported,
        hessian_product=statistics.median(products),
    )
