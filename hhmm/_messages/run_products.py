"""The recursions over runs by associative scans: the functions of `run_recursion`; see `parallel`.

A run is a link of the chain: the timestep link of its first timestep times the power that
follows. Backwards, what is asked for is the first state of a run given that of the next one,
which goes by way of the last state:

==========  ======================================================  =========================
recursion   link                                                    product
==========  ======================================================  =========================
forward     W[first timestep] M^n                                   of matrices, rows scaled
backward    sum over l of p(last = l | k') p(first = k | last = l)  of stochastic matrices
drawing     the draw of first for every k', a map                   of maps
best ends   as forward; then the best first for every k', a map     max-plus; of maps
==========  ======================================================  =========================

with k' the first state of the next run. The products give what comes into each run from either
side. Then one step of the ordinary recursion, at all runs of a block at once, gives everything
else, so that it is what `run_recursion` computes but for rounding.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from hhmm._messages import sequential
from hhmm._messages.arithmetic import draw_index, lanes_last, normalised
from hhmm._messages.associative import (
    backward_links,
    by_blocks,
    compose,
    filter_links,
    follow,
    max_plus,
    rows_of_block,
    smooth_links,
    timestep_links,
)
from hhmm._messages.run_recursion import (
    backward_step,
    best_step,
    forward_step,
    noise_of_ends,
    run_forward,
)
from hhmm._messages.scaled import ScaledMatrix, matrix_product, product


def forward(tables, factors, runs):
    """Do the forward recursion over runs; see `run_recursion`."""
    n_lanes, n_states = runs.pairs.shape[1], tables.trans.shape[-1]

    def step(entering, inputs):
        pairs, cells, starts = inputs
        first = timestep_links(factors.relative[pairs], tables.trans, starts)
        held = ScaledMatrix(tables.powers.relative[cells], tables.powers.log_scale[cells])
        filtered = filter_links(entering, product(first, held))
        before = jnp.concatenate([entering[None], filtered[:-1]])
        own_step = functools.partial(forward_step, _of_rows(tables, len(starts)), factors)
        return filtered[-1], _at_every_run(own_step, before, *inputs)

    _, passed = by_blocks(
        step,
        jnp.full((n_lanes, n_states), 1 / n_states, tables.trans.dtype),
        (runs.pairs, runs.cells, runs.starts),
        padding=(len(factors.relative) - 1, _cell_of_nothing(runs), True),
        n_rows=rows_of_block(*runs.pairs.shape, n_states, tables.trans.dtype),
    )
    return run_forward(*passed)


def draw_ends(key, tables, passed, runs):
    """Draw the states at both ends of every run; see `run_recursion`.

    A key gives the draw that it gives there, but for rounding.
    """

    trans = lanes_last(tables.trans).swapaxes(1, 2)

    def step(following, inputs):
        ends, weights, cells, is_end, noise = inputs
        # the state that is drawn leads, the one that it is drawn given comes last
        leaving = jnp.where(is_end[..., None], 1, trans[:, None])
        last = draw_index(noise[:, 0, :, None], jnp.moveaxis(ends, 2, 0)[..., None] * leaving)
        through = jnp.moveaxis(tables.powers.relative[cells], 2, 0)
        first = draw_index(noise[:, 1, :, None], jnp.moveaxis(weights, 2, 0)[..., None] * through)
        states = _follow_runs(first, last, following)
        return states[0][0], states

    _, states = by_blocks(
        step,
        jnp.zeros(runs.pairs.shape[1], jnp.int32),
        (
            passed.ends,
            passed.weights,
            runs.cells,
            sequential.ends_of(runs),
            noise_of_ends(key, runs),
        ),
        padding=(1, 1, _cell_of_nothing(runs), True, 0),
        n_rows=rows_of_block(*runs.pairs.shape, tables.trans.shape[-1], tables.trans.dtype),
        reverse=True,
    )
    return states


def backward(tables, passed, predicted, runs, *, with_joint):
    """Return the evidence of what follows over its prediction; see `run_recursion`."""
    n_lanes, n_states = runs.pairs.shape[1], tables.trans.shape[-1]

    def step(carry, inputs):
        smoothed_after, evidence_after, joint = carry
        ends, weights, predicted, cells, is_end, inside = inputs
        last = backward_links(normalised(ends, axis=2), tables.trans, is_end)
        first = _first_given_last(weights, tables.powers.relative[cells])
        smoothed = smooth_links(smoothed_after, matrix_product(last, first))
        evidence = jnp.where(predicted > 0, smoothed / predicted, 0)
        after = jnp.concatenate([evidence[1:], evidence_after[None]])
        own_step = functools.partial(backward_step, _of_rows(tables, len(cells)))
        following, evidence, both = _at_every_run(
            own_step, after, cells, is_end, predicted, weights
        )
        if with_joint:
            joint = joint.at[cells].add(jnp.where(inside[..., None, None], both, 0))
        return (smoothed[0], evidence[0], joint), (following, evidence)

    uniform = jnp.full((n_lanes, n_states), 1 / n_states, tables.trans.dtype)
    joint = jnp.zeros((len(tables.by_row), n_states, n_states)) if with_joint else None
    (_, _, joint), (following, evidence) = by_blocks(
        step,
        (uniform, jnp.ones_like(uniform), joint),
        (
            passed.ends,
            passed.weights,
            predicted,
            runs.cells,
            sequential.ends_of(runs),
            runs.inside,
        ),
        padding=(1, 1, 1 / n_states, _cell_of_nothing(runs), True, False),
        n_rows=rows_of_block(*runs.pairs.shape, n_states, tables.trans.dtype),
        reverse=True,
    )
    return following, evidence, joint.swapaxes(1, 2) if with_joint else None


def best_ends(tables, runs):
    """Return the states at both ends of every run on the most probable path; see `run_recursion`.

    Of paths as good as each other but for rounding it may find another one.
    """
    n_lanes, n_states = runs.pairs.shape[1], tables.trans.shape[-1]
    n_rows = rows_of_block(*runs.pairs.shape, n_states, tables.trans.dtype)

    def forward_pass(entering, inputs):
        pairs, cells, starts, is_end = inputs
        powers = tables.powers[cells]
        links = jnp.where(starts[..., None, None], 0, tables.trans)
        links = max_plus(links + tables.emission[pairs][..., None, :], powers)
        prefixes = lax.associative_scan(max_plus, links)
        scores = max_plus(entering[:, None, :], prefixes)[..., 0, :]
        before = jnp.concatenate([entering[None], scores[:-1]])
        own_step = functools.partial(best_step, _of_rows(tables, len(starts)))
        first, end = _at_every_run(own_step, before, pairs, cells, starts)
        leaving = jnp.where(is_end[..., None, None], 0, tables.trans)
        maps = (
            lax.argmax(first[..., :, None] + powers, 2, jnp.int32),
            lax.argmax(end[..., :, None] + leaving, 2, jnp.int32),
        )
        return end[-1], maps

    _, maps = by_blocks(
        forward_pass,
        jnp.zeros((n_lanes, n_states), tables.trans.dtype),
        (runs.pairs, runs.cells, runs.starts, sequential.ends_of(runs)),
        padding=(len(tables.emission) - 1, _cell_of_nothing(runs), True, True),
        n_rows=n_rows,
    )

    def backward_pass(following, maps):
        states = _follow_runs(*maps, following)
        return states[0][0], states

    start = jnp.zeros(n_lanes, jnp.int32)
    _, states = by_blocks(backward_pass, start, maps, padding=(0, 0), n_rows=n_rows, reverse=True)
    return states


def _of_rows(tables, n_rows):
    """Return tables for lanes of so many rows, one row after the other."""
    if tables.trans.ndim == 2:
        return tables
    return tables._replace(trans=jnp.tile(tables.trans, (n_rows, 1, 1)))


def _at_every_run(step, *values):
    """Return a step that takes one run of each lane, of all runs of a block at once.

    Parameters
    ----------
    step : callable
        Takes and returns arrays (n_lanes, ...).
    values : arrays (n_rows, n_lanes, ...)

    Returns
    -------
    results : arrays (n_rows, n_lanes, ...)
    """
    shape = values[0].shape[:2]
    results = step(*(value.reshape(-1, *value.shape[2:]) for value in values))
    return jax.tree.map(lambda result: result.reshape(*shape, *result.shape[1:]), results)


def _follow_runs(first, last, following):
    """Return states at both ends of runs, read backwards.

    Parameters
    ----------
    first : (n_rows, n_lanes, n_states) int32
        The first state of the run for every last state of it.
    last : (n_rows, n_lanes, n_states) int32
        The last state of the run for every first state of the next one.
    following : (n_lanes,) int32
        First state of the run after the last one.

    Returns
    -------
    first, last : (n_rows, n_lanes) int32
    """
    states = follow(compose(last, first), following)
    after = jnp.concatenate([states[1:], following[None]])
    return states, compose(after[..., None], last)[..., 0]


def _first_given_last(weights, powers):
    """Return p(first = k | last = l) of every run, what came before given.

    Parameters
    ----------
    weights : (n_rows, n_lanes, n_states) float32
    powers : (n_rows, n_lanes, n_states, n_states) float32

    Returns
    -------
    links : (n_rows, n_lanes, n_states, n_states) float32
        l then k; rows sum to 1.
    """
    joint = weights[..., None, :] * jnp.swapaxes(powers, 2, 3)
    total = joint.sum(axis=-1, keepdims=True)
    # a last state that cannot be reached has no weight: what its row says does not matter
    unreached = normalised(weights, axis=-1)[..., None, :]
    return jnp.where(total > 0, joint / total, unreached)


def _cell_of_nothing(runs):
    """Return the cell of a run that is one timestep."""
    return runs.cell_counts.size - runs.cell_counts.shape[-1]
