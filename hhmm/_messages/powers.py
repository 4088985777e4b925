"""Powers of the one-timestep transfer of every syllable, tabulated.

While syllable s is held, each timestep multiplies the message by the same matrix

    M_s[i, j] = A[i, j] p(s | s, z = j),

and while syllables are missing by A alone. So a run of timesteps is a power, and the powers
up to the length of the table are computed once a sweep for all runs of the data.

A power is stored by row: ``M^n[i, :] = exp(log_scale[i]) relative[i, :]`` with the largest
entry of a row 1. Where some transitions are impossible, the states that a message is in
may be far less likely to last than others; with a scale of their own they do not underflow.
The recursion runs in float64: the error of a power is that of rounding it to float32.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from hhmm._sequences.lanes import held_pairs
from hhmm._types import Array


class PowerTable(NamedTuple):
    """Powers 0 to n_powers - 1 of each row of the table.

    Rows are, of each group, the syllables, and one more for missing timesteps. A cell is
    ``row * n_powers + power``.
    """

    relative: Array  # (n_cells, n_states, n_states), from, to; rows have maximum 1 or are 0
    log_scale: Array  # (n_cells, n_states) float64, -inf for a row that is 0
    staying: Array  # (n_cells, n_states) float64: log of p(never left i) at i, M[i, i] ** power


def of_rows(trans_probs, runs):
    """Return the matrix of the group of each row of the table, (n_rows, n_states, n_states)."""
    n_groups, n_rows, _ = runs.cell_counts.shape
    n_states = trans_probs.shape[1]
    return jnp.repeat(trans_probs.reshape(n_groups, n_states, n_states), n_rows, axis=0)


def transfers(factors, trans_probs, runs):
    """Return M of each row of the table, (n_rows, n_states, n_states) float64."""
    held = factors.relative[held_pairs(runs)].astype(jnp.float64)
    return of_rows(trans_probs, runs) * held[:, None, :]


def tabulate(transfer, n_powers, dtype):
    """Tabulate powers.

    Parameters
    ----------
    transfer : (n_rows, n_states, n_states) float64
        M, as `transfers` gives it.
    n_powers : int, static
    dtype : float32 or float64
        Of the relative powers.

    Returns
    -------
    table : PowerTable
    """
    n_rows, n_states, _ = transfer.shape

    def step(carry, _):
        power, log_scale = carry
        product = jnp.matmul(power, transfer, precision=lax.Precision.HIGHEST)
        largest = product.max(axis=-1)
        scaled = product / jnp.where(largest > 0, largest, 1)[..., None]
        return (scaled, log_scale + jnp.log(largest)), (power.astype(dtype), log_scale)

    first = jnp.broadcast_to(jnp.eye(n_states), transfer.shape), jnp.zeros(transfer.shape[:2])
    _, (relative, log_scale) = lax.scan(step, first, length=n_powers)
    log_stay = jnp.log(jnp.diagonal(transfer, axis1=1, axis2=2))
    exponents = jnp.arange(n_powers)[:, None]
    staying = jnp.where(exponents > 0, exponents * log_stay[:, None, :], 0)
    return PowerTable(
        relative.transpose(1, 0, 2, 3).reshape(n_rows * n_powers, n_states, n_states),
        log_scale.transpose(1, 0, 2).reshape(n_rows * n_powers, n_states),
        staying.reshape(n_rows * n_powers, n_states),
    )


def expected_transitions(joint, table, transfer):
    """Return expected transitions inside of powers, given expected ends of them.

    With L the log-likelihood, ``joint = M^n * dL/dM^n`` for every cell, and what is asked for
    is ``M * dL/dM``; the derivative goes back through ``M^n = M^(n-1) M``. It is kept times the
    row scales of the power, so that it is of the order of its relative part.

    Parameters
    ----------
    joint : (n_cells, n_states, n_states) float64
        Expected number of paths from state to state, through each cell.
    table : PowerTable
    transfer : (n_rows, n_states, n_states) float64
        What the powers are of.

    Returns
    -------
    transitions : (n_rows, n_states, n_states) float64
        Expected number of transitions from state to state.
    """
    n_rows = len(transfer)
    relative = table.relative.astype(jnp.float64)
    slope = jnp.where(joint > 0, joint / jnp.where(relative > 0, relative, 1), 0)

    def by_power(values):
        return jnp.moveaxis(values.reshape(n_rows, -1, *values.shape[1:]), 1, 0)

    def step(carry, inputs):
        slope, by_transfer = carry  # of this power; of M, so far
        own, lower, change = inputs
        slope = (slope + own) * change[..., None]
        by_transfer = by_transfer + jnp.einsum("rij,rik->rjk", lower, slope)
        return (jnp.einsum("rik,rjk->rij", slope, transfer), by_transfer), None

    log_scale = by_power(table.log_scale)
    # from a row that is 0 nothing comes back
    possible = log_scale[1:] > -jnp.inf
    change = jnp.where(possible, jnp.exp(log_scale[:-1] - log_scale[1:]), 0)
    start = jnp.zeros_like(transfer), jnp.zeros_like(transfer)
    inputs = (by_power(slope)[1:], by_power(relative)[:-1], change)
    (_, by_transfer), _ = lax.scan(step, start, inputs, reverse=True)
    return transfer * by_transfer


def continues(pieces):
    """Return whether the sequence of a piece goes on in the next one, (n_pieces,)."""
    return jnp.append(~pieces.sequences.starts[0, 1:], False)
