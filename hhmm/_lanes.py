"""Lanes in groups: so that several cores share the work of one sweep.

A scan over timesteps runs on one core. Lanes do not know of each other, so groups of them
can be computed by calls of their own at the same time. Every lane has a number and a
random stream of its own, so that the draws do not depend on how lanes are grouped.

What two groups on two cores gave, for a whole sweep (medians of 5 to 7, one after the other):

==============================  ==========  ==========
sequences, states               one group   two groups
==============================  ==========  ==========
1000 x 1000, 10                 54.6 ms     35.2 ms
400 x 4000, 5                   34.9 ms     24.6 ms
64 x 5000, 10                   19.5 ms     16.4 ms
200 x 1000, 5                   3.6 ms      3.3 ms
20 x 20,000, 10                 53.9 ms     51.4 ms
100 x 1000, 3                   1.7 ms      2.2 ms
==============================  ==========  ==========

A step over few lanes is all overhead, whatever their number, and the last row pays for the
calls; hence the two bounds.
"""

import jax
import joblib
import numpy as np

from hhmm._types import PackedSequences, RunData, RunStates

# Of each group, at least: the width of a step, lanes * states, or lanes * states * states where a
# step is a run and reads a matrix; and widths of all steps.
MIN_GROUP_WIDTH = 300
MIN_GROUP_WIDTH_OF_RUNS = 1000
MIN_GROUP_WORK = 400_000


def n_groups(data, n_states, n_at_once):
    """How many groups to compute at the same time.

    At most the number of cores that joblib grants: one inside of its worker processes. One
    on an accelerator.

    Parameters
    ----------
    data : PackedSequences or RunData, NumPy arrays
    n_states : int
    n_at_once : int
        How many computations on these data share the cores.
    """
    if isinstance(data, RunData):
        n_steps, n_lanes = data.runs.pairs.shape
        width, least = n_lanes * n_states**2, MIN_GROUP_WIDTH_OF_RUNS
    else:
        n_steps, n_lanes = data.pairs.shape
        width, least = n_lanes * n_states, MIN_GROUP_WIDTH
    most = min(width // least, width * n_steps // MIN_GROUP_WORK)
    if most <= 1 or jax.default_backend() != "cpu":
        return 1
    return min(most, max(joblib.effective_n_jobs(-1) // n_at_once, 1))


def join(states, n_lanes):
    """The states of groups, as drawn, as those of all lanes.

    Parameters
    ----------
    states : tuple of (n_steps, n_lanes) arrays or of RunStates
    n_lanes : int
    """

    def side_by_side(*parts):
        return np.concatenate(parts, axis=1)[:, :n_lanes]

    if isinstance(states[0], RunStates):
        ends = (side_by_side(*part) for part in list(zip(*states, strict=True))[:2])
        return RunStates(*ends, key_inside=states[0].key_inside)
    return side_by_side(*states)


def split(data, n_groups):
    """Split the lanes in groups of equal size, the last one filled up with unused lanes.

    Parameters
    ----------
    data : PackedSequences or RunData without pieces, NumPy arrays
    n_groups : int

    Returns
    -------
    groups : tuple of the type of `data`
    """
    if n_groups == 1:
        return (data,)
    if isinstance(data, RunData):
        return tuple(RunData(runs, None) for runs in _split_runs(data.runs, n_groups))
    no_emission = len(data.pair_counts) - 1
    groups = []
    for lanes, part in _parts(data, n_groups, {"pairs": no_emission}):
        counts = np.bincount(part["pairs"][part["inside"]], minlength=no_emission + 1)
        groups.append(
            PackedSequences(**part, pair_counts=counts.astype(np.float64), first_lane=lanes)
        )
    return tuple(groups)


def _split_runs(runs, n_groups):
    n_rows, n_powers = runs.cell_counts.shape
    n_pairs = len(runs.pair_counts)
    held = np.append(np.arange(n_rows - 1) * n_rows, n_pairs - 1)
    fill = {"pairs": n_pairs - 1, "cells": (n_rows - 1) * n_powers, "positions": 2**31 - 1}
    groups = []
    for lanes, part in _parts(runs, n_groups, fill):
        cell_counts = np.bincount(part["cells"][part["inside"]], minlength=n_rows * n_powers)
        cell_counts = cell_counts.reshape(n_rows, n_powers).astype(np.float64)
        pair_counts = np.bincount(part["pairs"][part["inside"]], minlength=n_pairs)
        pair_counts = pair_counts.astype(np.float64)
        pair_counts[held] += cell_counts @ np.arange(n_powers)
        groups.append(
            runs._replace(
                **part, pair_counts=pair_counts, cell_counts=cell_counts, first_lane=lanes
            )
        )
    return groups


def _parts(packed, n_groups, fill):
    """For each group, the number of its first lane and the fields that have lanes."""
    fill = {"starts": True, "inside": False, **fill}
    n_lanes = packed.pairs.shape[1]
    width = -(-n_lanes // n_groups)
    for first in range(0, n_lanes, width):
        part = {}
        for name, value in fill.items():
            lanes = getattr(packed, name)[:, first : first + width]
            missing = width - lanes.shape[1]
            padded = np.pad(lanes, ((0, 0), (0, missing)), constant_values=value)
            part[name] = np.ascontiguousarray(padded)
        yield np.uint32(first), part
