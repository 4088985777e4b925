"""The least time that the states part of a sweep can take on this machine, and what it takes.

Forward filtering and backward sampling with K states. A step is a timestep, or, where
syllables are held for long, a run: a change of syllable and the timesteps that hold the new
one, which multiply the message by one power of a matrix, and whose first and last states
are drawn. Counted for one step; float32 and int32 are 4 bytes:

=====================  ============  ============  =======================================
to and from memory     of a          of a run
                       timestep
=====================  ============  ============  =======================================
syllables              4             8             read
noise                  8             16            written, read
message                8 K           8 K           written forward, read backward
states                 4             8             written
power                                4 K^2         read
=====================  ============  ============  =======================================

=====================  ============  ============  =======================================
operations             of a          of a run
                       timestep
=====================  ============  ============  =======================================
prediction             K (2 K - 1)   K (2 K - 1)   product with the transitions
emission               K             K             multiplied in
normaliser             K             K             sum, and its inverse
scaling                K             K             multiplied in
power                                K (2 K - 1)   product
backward weights       K             2 K           message times transitions to what follows
draws                  2 K           4 K           cumulative sums, comparisons
=====================  ============  ============  =======================================

What is left out can only raise the floor: making the noise (integer arithmetic), tables of
emissions and of powers (in cache, or made once a sweep), counting, and what happens inside
of runs. The time is the larger of bytes over the rate of memory and operations over the rate
of arithmetic, all cores working and nothing waiting.
"""

from typing import NamedTuple

import numpy as np

from benchmarks.figures import RULE, quantity

_ROW = "{name:<30}{steps:>12}{size:>12}{operations:>14}{floor:>12}{time:>12}{ratio:>8}"


class Rates(NamedTuple):
    """What the machine was measured to do."""

    bytes: float  # to and from memory, a second
    flops: float  # float32 operations a second


class Floor(NamedTuple):
    """The least that the states part of a workload can take, and what it takes."""

    name: str
    n_steps: int
    bytes: float
    operations: float
    seconds: float  # at least
    measured: float  # seconds


def floors(workload, syllables, measured, rates):
    """The floors of a workload: by timestep, and by run where syllables are held.

    Parameters
    ----------
    workload : workloads.Workload
    syllables : (n_sequences, n_timesteps) int
    measured : float
        Seconds of drawing and counting the states.
    rates : Rates

    Returns
    -------
    floors : list of Floor
    """
    k = workload.n_states
    by_timestep = syllables.size, 16 + 8 * k, 2 * k**2 + 5 * k
    rows = {f"{workload.name}, by timestep": by_timestep}
    if workload.mean_run > 1:
        by_run = count_runs(syllables), 32 + 8 * k + 4 * k**2, 4 * k**2 + 7 * k
        rows[f"{workload.name}, by run"] = by_run
    return [
        _floor(name, n_steps, n_steps * size, n_steps * operations, measured, rates)
        for name, (n_steps, size, operations) in rows.items()
    ]


def count_runs(syllables):
    """Runs of equal syllables in all sequences, (n_sequences, n_timesteps)."""
    return len(syllables) + int(np.count_nonzero(syllables[:, 1:] != syllables[:, :-1]))


def floor_table(rows, rates):
    """The floors beside the times measured, and the rates.

    Parameters
    ----------
    rows : list of Floor
    rates : Rates
    """
    lines = [
        f"floor of the states part at {rates.bytes / 1e9:.1f} GB/s to and from memory and "
        f"{rates.flops / 1e9:.0f} GFLOP/s in float32",
        _ROW.format(
            name="",
            steps="steps",
            size="bytes",
            operations="operations",
            floor="floor",
            time="measured",
            ratio="ratio",
        ),
        RULE,
    ]
    for row in rows:
        lines.append(
            _ROW.format(
                name=row.name,
                steps=f"{row.n_steps:,}",
                size=quantity(row.bytes, "bytes"),
                operations=f"{row.operations / 1e6:,.1f} M",
                floor=quantity(row.seconds, "s"),
                time=quantity(row.measured, "s"),
                ratio=f"{row.measured / row.seconds:.1f}",
            )
        )
    return "\n".join(lines)


def floor_as_json(rows, rates):
    """Floors and rates, JSON-ready."""
    return {"rates": rates._asdict(), "rows": [row._asdict() for row in rows]}


def _floor(name, n_steps, size, operations, measured, rates):
    seconds = max(size / rates.bytes, operations / rates.flops)
    return Floor(name, n_steps, size, operations, seconds, measured)
