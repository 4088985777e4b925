"""Paths inside of runs, drawn given the first and the last state; see `compressed`.

The paths that leave their first state are drawn in slots, one event a turn: how long the path
stays where it is, and where it goes then. A slot whose path has arrived takes the next one,
so that a few long paths do not hold up the many short ones.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from hhmm._messages.arithmetic import draw_index
from hhmm._runtime.keys import key_from_data, uniforms_by_row, uniforms_of_pairs
from hhmm._types import Array

MAX_SLOTS = 1024


class Event(NamedTuple):
    """Paths stay, and perhaps leave; each (n_slots,)."""

    run: Array  # int32: index of the run among all
    row: Array  # int32: of the power table
    step: Array  # int32: timesteps of the run before this event, its first one not counted
    state: Array  # int32: where the path is
    stayed: Array  # int32: timesteps it stays there; 0 in an empty slot
    leaves: Array  # bool: whether it goes on after that, in one more timestep
    state_after: Array  # int32: where to


class _Slots(NamedTuple):
    """Paths under way."""

    run: Array
    row: Array
    step: Array
    state: Array
    target: Array
    left: Array  # timesteps to go; 0: the slot is empty
    uniform: Array


def stays(states, table, runs):
    """Return whether each run stays in its first state to its end.

    Returns
    -------
    staying : (n_runs, n_lanes) bool
    uniform : (n_runs, n_lanes) float32
        What decided it; where it leaves, the time is found with the same number.
    """
    key, _ = _keys(states)
    n_states = table.relative.shape[1]
    uniform = uniforms_by_row(key, runs.counters)
    cell = runs.cells * n_states + states.first
    log_ratio = jnp.log(uniform.astype(jnp.float64)) + _log_power(
        table, runs.cells, states.first, states.last
    )
    below = log_ratio < table.staying.reshape(-1)[cell]
    n_powers = runs.cell_counts.shape[-1]
    nothing = runs.cells % n_powers == 0
    return nothing | ((states.first == states.last) & below), uniform


def bridge(carry, visit, states, staying, uniform, table, transfer, runs):
    """Draw the paths that do not stay, and show every event to `visit`.

    Parameters
    ----------
    carry : pytree
    visit : callable
        ``carry = visit(carry, event)``.
    states : RunStates
    staying, uniform : (n_runs, n_lanes)
        From `stays`.
    table : PowerTable
    transfer : (n_rows, n_states, n_states) float64
        What the powers are of.
    runs : PackedRuns

    Returns
    -------
    carry : pytree
    """
    _, key = _keys(states)
    n_powers = runs.cell_counts.shape[-1]
    n_runs = staying.size
    n_slots = min(MAX_SLOTS, n_runs)
    moving = ~staying.reshape(-1)
    n_moving = moving.sum()
    queue = jnp.nonzero(moving, size=n_runs, fill_value=0)[0].astype(jnp.int32)
    first, last, cells, uniform = (
        values.reshape(-1) for values in (states.first, states.last, runs.cells, uniform)
    )
    log_transfer = jnp.log(transfer)

    def unfinished(loop):
        _, n_taken, slots = loop
        return (n_taken < n_moving) | jnp.any(slots.left > 0)

    def turn(loop):
        carry, n_taken, slots = loop
        empty = slots.left == 0
        place = n_taken + jnp.cumsum(empty) - 1
        takes = empty & (place < n_moving)
        run = queue[jnp.minimum(place, n_runs - 1)]
        new = _Slots(
            run=run,
            row=cells[run] // n_powers,
            step=jnp.zeros_like(run),
            state=first[run],
            target=last[run],
            left=cells[run] % n_powers,
            uniform=uniform[run],
        )
        slots = jax.tree.map(lambda a, b: jnp.where(takes, a, b), new, slots)
        noise = _noise(key, slots, runs)
        stayed = _time_of_leaving(slots, table, n_powers)
        after, possible = _state_after(noise[0], slots, stayed, table, log_transfer, n_powers)
        leaves = (stayed < slots.left) & possible
        stayed = jnp.where(leaves, stayed, slots.left)
        event = Event(slots.run, slots.row, slots.step, slots.state, stayed, leaves, after)
        slots = slots._replace(
            step=slots.step + stayed + 1,
            state=after,
            left=jnp.where(leaves, slots.left - stayed - 1, 0),
            uniform=noise[1],
        )
        return visit(carry, event), n_taken + takes.sum(), slots

    nothing = jnp.zeros(n_slots, jnp.int32)
    slots = _Slots(*[nothing] * 6, uniform=jnp.zeros(n_slots, jnp.float32))
    loop = (carry, jnp.zeros_like(n_moving), slots)
    return lax.while_loop(unfinished, turn, loop)[0]


def _noise(key, slots, runs):
    """Draw two numbers a slot, (2, n_slots), that depend on its run and timestep alone."""
    row, lane = jnp.divmod(slots.run, runs.pairs.shape[1])
    sequence, pair = runs.counters[:, row // 2, lane]
    run = 2 * pair.astype(jnp.uint64) + row.astype(jnp.uint64) % 2
    step = run * runs.cell_counts.shape[-1] + slots.step.astype(jnp.uint64)
    # where 32 bits do not hold the number of the step, the others go to the sequence's
    sequence = sequence + ((step >> 32) << 24).astype(jnp.uint32)
    return uniforms_of_pairs(key, sequence, step.astype(jnp.uint32))


def _time_of_leaving(slots, table, n_powers):
    """Return the largest d with p(D >= d) > uniform, by bisection over the bits of d."""
    cell = slots.row * n_powers
    n_states = table.relative.shape[1]
    staying = table.staying.reshape(-1)
    bound = jnp.log(slots.uniform.astype(jnp.float64)) + _log_power(
        table, cell + slots.left, slots.state, slots.target
    )
    n_bits = max(n_powers - 1, 0).bit_length()

    def add_bit(i, stayed):
        longer = stayed + (1 << (n_bits - 1 - i))
        power = jnp.minimum(longer, slots.left)
        log_prob = staying[(cell + power) * n_states + slots.state] + _log_power(
            table, cell + slots.left - power, slots.state, slots.target
        )
        return jnp.where((longer <= slots.left) & (bound < log_prob), longer, stayed)

    return lax.fori_loop(0, n_bits, add_bit, jnp.zeros_like(slots.left))


def _state_after(uniform, slots, stayed, table, log_transfer, n_powers):
    """Draw where paths go that leave after `stayed` timesteps, and whether they can go anywhere."""
    n_states = table.relative.shape[1]
    cell = slots.row * n_powers + jnp.maximum(slots.left - stayed - 1, 0)
    log_weights = (
        log_transfer[slots.row, slots.state]
        + table.log_scale[cell]
        + jnp.log(table.relative[cell, :, slots.target])
    ).T
    elsewhere = jnp.arange(n_states)[:, None] != slots.state
    log_weights = jnp.where(elsewhere, log_weights, -jnp.inf)
    largest = log_weights.max(axis=0)
    possible = largest > -jnp.inf
    weights = jnp.exp(log_weights - jnp.where(possible, largest, 0))
    return draw_index(uniform, weights), possible


def _log_power(table, cells, from_state, to_state):
    """Return log M^n[i, l], float64."""
    n_states = table.relative.shape[1]
    at_row = cells * n_states + from_state
    relative = table.relative.reshape(-1)[at_row * n_states + to_state]
    return table.log_scale.reshape(-1)[at_row] + jnp.log(relative.astype(jnp.float64))


def _keys(states):
    """Return keys of the times of leaving, and of the events."""
    return jax.random.split(key_from_data(states.key_inside))
