"""The recursions over runs, one run a step (`lax.scan`), vectorised over lanes; see `compressed`.

Four functions do all there is to do over runs, whatever is asked for: `forward`, `draw_ends`,
`backward` and `best_ends`. `run_products` has the same four by associative scans, and takes from
here what one step is.

Layout. A step of the scan over runs gathers one power a lane. With states innermost the
gather copies rows, and the product is written-out sums. The forward step without row scales,
for 13,000 runs of 21 lanes and 10 states on two CPU cores: 35 ms, nearly all of it for reading
109 MB of powers; 48 ms by a batched matrix product, 140 ms with lanes innermost, where the
gather runs through memory in strides. The row scales, through logarithms, add 15 ms; through
the exponents of the numbers they would add 25.
"""

from functools import reduce
from operator import add
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from hhmm._messages import powers, sequential
from hhmm._messages.arithmetic import (
    column_of_lanes,
    draw_index,
    lanes_last,
    larger,
    propagate,
    total,
)
from hhmm._runtime.keys import counters_of_rows, uniforms_of_pairs
from hhmm._types import Array


class Tables(NamedTuple):
    """Tables that the recursions over runs read."""

    powers: powers.PowerTable
    by_row: Array  # (n_cells, n_states ** 2) float32: from each state to all, row after row
    by_column: Array  # the same transposed: to each state from all, column after column
    row_scale: Array  # (n_cells, n_states) float32: log scales of rows, the largest taken out
    cell_scale: Array  # (n_cells,) float64: what was taken out
    trans: Array  # A of each lane's group, float32: (n_lanes, n_states, n_states), or one for all


class LogTables(NamedTuple):
    """Tables that the most probable path over runs reads, float64."""

    powers: Array  # (n_cells, n_states, n_states), in the algebra of maximum and sum
    trans: Array  # log A, as in `Tables`
    emission: Array  # (n_pairs, n_states), log of the emission factors


class RunForward(NamedTuple):
    """Result of the forward recursion over runs; (n_runs, n_lanes, n_states) float32."""

    weights: Array  # f, up to a factor, times the row scales of M^n
    ends: Array  # alpha', up to the same factor
    log_normalisers: Array  # (n_runs, n_lanes): of f and relative powers


def forward(tables, factors, runs):
    """Do the forward recursion over runs.

    Parameters
    ----------
    tables : Tables
    factors : EmissionFactors
    runs : PackedRuns

    Returns
    -------
    passed : RunForward
    """

    n_states = tables.trans.shape[-1]

    def step(end, inputs):
        weights, end, largest = forward_step(tables, factors, end, *inputs)
        # in one array, which takes one copy a step and not three
        return end, jnp.concatenate([weights, end, largest[:, None]], axis=1)

    first = jnp.ones((runs.pairs.shape[1], n_states), tables.trans.dtype)
    inputs = (runs.pairs, runs.cells, runs.starts)
    _, passed = lax.scan(step, first, inputs)
    weights, ends, largest = jnp.split(passed, [n_states, 2 * n_states], axis=2)
    return run_forward(weights, ends, largest[..., 0])


def forward_step(tables, factors, end, pairs, cells, starts):
    """Take one run of each lane, forward.

    The row scales of a power are added to the logarithms of the message and the largest is
    taken out, so that a message in states that are unlikely to last does not underflow.

    Parameters
    ----------
    tables : Tables
    factors : EmissionFactors
    end : (n_lanes, n_states) float32
        The message after the run before, up to a factor.
    pairs, cells, starts : (n_lanes,)
        Of the run.

    Returns
    -------
    weights, end : (n_lanes, n_states) float32
        Of the run, as in `RunForward`.
    largest : (n_lanes,) float32
        Logarithm of the factor that both are without.
    """
    n_states = tables.trans.shape[-1]
    message = end.T
    predicted = propagate(message, lanes_last(tables.trans)) * (1 / total(message))
    predicted = jnp.where(starts, 1 / n_states, predicted)
    # the barriers keep the compiler from repeating what is before them for every state after
    first = lax.optimization_barrier((predicted * factors.relative[pairs].T).T)
    log_weights = lax.optimization_barrier(jnp.log(first) + tables.row_scale[cells])
    largest = reduce(larger, list(log_weights.T))
    weights = lax.optimization_barrier(jnp.exp(log_weights - largest[:, None]))
    to_all = tables.by_row[cells]
    terms = [
        weights[:, j, None] * to_all[:, j * n_states : (j + 1) * n_states] for j in range(n_states)
    ]
    return weights, reduce(add, terms), largest


def run_forward(weights, ends, largest):
    """Return what `forward_step` returns for all runs, (n_runs, n_lanes, ...), as `RunForward`."""
    return RunForward(weights, ends, jnp.log(total(ends.transpose(2, 0, 1))) + largest)


def draw_ends(key, tables, passed, runs):
    """Draw the states at both ends of every run, backwards.

    Parameters
    ----------
    key : JAX key
    tables : Tables
    passed : RunForward
    runs : PackedRuns

    Returns
    -------
    first, last : (n_runs, n_lanes) int32
        States at the first and at the last timestep.
    """
    n_states = tables.trans.shape[-1]
    noise = noise_of_ends(key, runs)
    trans = lanes_last(tables.trans)
    columns = tables.by_column.reshape(-1, n_states)

    def step(following, inputs):
        end, weights, cells, ends, noise = inputs
        to_next = column_of_lanes(trans, following)
        last = draw_index(noise[0], end.T * jnp.where(ends, 1, to_next))
        first = draw_index(noise[1], weights.T * columns[cells * n_states + last].T)
        return first, jnp.stack([first, last])

    start = jnp.zeros(runs.pairs.shape[1], jnp.int32)
    inputs = (passed.ends, passed.weights, runs.cells, sequential.ends_of(runs), noise)
    _, states = lax.scan(step, start, inputs, reverse=True)
    return states[:, 0], states[:, 1]


def noise_of_ends(key, runs):
    """Draw the noise of the last and the first state of runs, (n_runs, 2, n_lanes)."""
    return uniforms_of_pairs(key, *counters_of_rows(runs.counters)).swapaxes(0, 1)


def backward(tables, passed, predicted, runs, *, with_joint):
    """Return the evidence of what follows over its prediction; see `sequential`.

    Parameters
    ----------
    tables : Tables
    passed : RunForward
    predicted : (n_runs, n_lanes, n_states) float32
        Predictions for the first timestep of each run.
    runs : PackedRuns
    with_joint : bool, static

    Returns
    -------
    following : (n_runs, n_lanes, n_states) float32
        Of what comes after the run, at the last timestep of it, A r of the next run.
    evidence : (n_runs, n_lanes, n_states) float32
        r at the first timestep of the run.
    joint : (n_cells, n_states, n_states) float64 or None
        Probabilities of the first and the last state, summed over the runs of each cell.
    """
    n_states = tables.trans.shape[-1]

    def step(carry, inputs):
        evidence, joint = carry
        cells, ends, inside, predicted, weights = inputs
        following, evidence, both = backward_step(tables, evidence, cells, ends, predicted, weights)
        if with_joint:
            joint = joint.at[cells].add(jnp.where(inside[:, None, None], both, 0))
        return (evidence, joint), (following, evidence)

    last = jnp.ones_like(passed.ends[0])
    joint = jnp.zeros((len(tables.by_row), n_states, n_states)) if with_joint else None
    ends = sequential.ends_of(runs)
    inputs = (runs.cells, ends, runs.inside, predicted, passed.weights)
    (_, joint), (following, evidence) = lax.scan(step, (last, joint), inputs, reverse=True)
    return following, evidence, joint.swapaxes(1, 2) if with_joint else None


def backward_step(tables, evidence, cells, ends, predicted, weights):
    """Take one run of each lane, backward.

    Parameters
    ----------
    tables : Tables
    evidence : (n_lanes, n_states) float32
        At the first timestep of the next run, up to a factor.
    cells, ends : (n_lanes,)
        Of the run, and whether the next one is a start.
    predicted, weights : (n_lanes, n_states) float32
        Of the run.

    Returns
    -------
    following, evidence : (n_lanes, n_states) float32
        Of the run, as `backward` gives them.
    both : (n_lanes, n_states, n_states) float32
        Probabilities of the last and the first state.
    """
    n_states = tables.trans.shape[-1]
    back = lanes_last(tables.trans).swapaxes(0, 1)
    following = jnp.where(ends, 1, propagate(evidence.T, back)).T
    of_cells = tables.by_column[cells].reshape(-1, n_states, n_states)
    both = weights[:, None, :] * of_cells * following[:, :, None]
    smoothed = reduce(add, [both[:, last] for last in range(n_states)])
    scale = 1 / total(smoothed.T)  # the normaliser of the run, up to rounding
    both, smoothed = both * scale[:, None, None], smoothed * scale[:, None]
    return following, jnp.where(predicted > 0, smoothed / predicted, 0), both


def best_ends(tables, runs):
    """Return the states at both ends of every run on the most probable path (Viterbi 1967).

    Parameters
    ----------
    tables : LogTables
    runs : PackedRuns

    Returns
    -------
    first, last : (n_runs, n_lanes) int32
    """
    n_lanes = runs.pairs.shape[1]

    def forward(end, inputs):
        first, end = best_step(tables, end, *inputs)
        return end, (first, end)

    scores = jnp.zeros((n_lanes, tables.trans.shape[-1]))
    _, (firsts, ends) = lax.scan(forward, scores, (runs.pairs, runs.cells, runs.starts))

    trans = lanes_last(tables.trans)

    def backward(following, inputs):
        first, end, cells, is_end = inputs
        leaving = jnp.where(is_end[:, None], 0, column_of_lanes(trans, following).T)
        last = jnp.argmax(end + leaving, axis=1)
        into_last = jnp.take_along_axis(tables.powers[cells], last[:, None, None], axis=2)[:, :, 0]
        following = jnp.argmax(first + into_last, axis=1).astype(jnp.int32)
        return following, (following, last.astype(jnp.int32))

    start = jnp.zeros(n_lanes, jnp.int32)
    inputs = (firsts, ends, runs.cells, sequential.ends_of(runs))
    _, (first, last) = lax.scan(backward, start, inputs, reverse=True)
    return first, last


def best_step(tables, end, pairs, cells, starts):
    """Score the best paths over one run of each lane.

    Parameters
    ----------
    tables : LogTables
    end : (n_lanes, n_states) float64
        Scores after the run before, up to a constant.
    pairs, cells, starts : (n_lanes,)
        Of the run.

    Returns
    -------
    first, end : (n_lanes, n_states) float64
        Scores at the first and at the last timestep of the run.
    """
    first = _best(end, tables.trans) - end.max(axis=1, keepdims=True)
    first = jnp.where(starts[:, None], 0, first) + tables.emission[pairs]
    return first, _best(first, tables.powers[cells])


def _best(scores, matrix):
    """Return ``max_j scores[:, j] + matrix[..., j, k]``, (n, n_states)."""
    n_states = scores.shape[1]
    return reduce(larger, [scores[:, j, None] + matrix[..., j, :] for j in range(n_states)])
