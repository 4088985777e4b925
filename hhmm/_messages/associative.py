"""Products of links of the chain by associative scans, block by block; see `parallel`.

A link is what happens between two moments of the chain, be it a timestep (`parallel`) or a run
of them (`run_products`). The product of the first t links over- and underflows, so each of its
rows has its own scale (`scaled`). Backward links are probabilities and need none; Viterbi's are
float64 sums, which hold differences of 1e-8 nats after ten million timesteps.

All products of a block are in memory together: K^2 numbers a link and lane. The rows of the
packed data are taken in blocks that keep them below `BLOCK_BYTES`, one block after the other,
with the message at the edge handed on.

Layout. Inside a block timesteps (or runs) lead, then lanes, then states:
(n_rows, n_lanes, K, K). A product is a loop over all its entries, so lanes need not be many for
it to run wide.
"""

from functools import reduce
from operator import add

import jax
import jax.numpy as jnp
from jax import lax

from hhmm._messages.arithmetic import larger
from hhmm._messages.scaled import (
    WRITTEN_OUT_STATES,
    apply,
    inner_terms,
    matrix_product,
    product,
    scaled,
)

# what the links of one block may take; a scan holds a few times as much at its peak
BLOCK_BYTES = 128 * 2**20


def timestep_links(emission, trans, starts):
    """Return the links of single timesteps.

    Parameters
    ----------
    emission : (n_rows, n_lanes, n_states) float32
    trans : (n_states, n_states) or (n_lanes, n_states, n_states) float32
    starts : (n_rows, n_lanes) bool

    Returns
    -------
    links : ScaledMatrix, (n_rows, n_lanes)
    """
    weights = jnp.where(starts[..., None, None], 1 / trans.shape[-1], trans)
    return scaled(weights * emission[..., None, :])


def filter_links(entering, links):
    """Return filtered probabilities behind every link.

    Parameters
    ----------
    entering : (n_lanes, n_states) float32
        The message before the first link.
    links : ScaledMatrix, (n_rows, n_lanes)

    Returns
    -------
    filtered : (n_rows, n_lanes, n_states) float32, sum to 1
    """
    filtered, _ = apply(entering, lax.associative_scan(product, links))
    return filtered


def backward_links(filtered, trans, ends):
    """Return p(z[t] = k | z[t+1] = k', x[1..t]) of every timestep.

    Parameters
    ----------
    filtered : (n_rows, n_lanes, n_states) float32
    trans : (n_states, n_states) or (n_lanes, n_states, n_states) float32
    ends : (n_rows, n_lanes) bool
        Whether the next timestep is a start.

    Returns
    -------
    links : (n_rows, n_lanes, n_states, n_states) float32
        k' then k; rows sum to 1.
    """
    filtered = filtered[..., None, :]
    joint = jnp.where(ends[..., None, None], filtered, filtered * trans.swapaxes(-1, -2))
    total = joint.sum(axis=-1, keepdims=True)
    # a next state that cannot be reached has no weight: what its row says does not matter
    return jnp.where(total > 0, joint / total, filtered)


def smooth_links(following, links):
    """Return smoothed probabilities before every backward link.

    Parameters
    ----------
    following : (n_lanes, n_states) float32
        Smoothed probabilities behind the last link.
    links : (n_rows, n_lanes, n_states, n_states) float32

    Returns
    -------
    smoothed : (n_rows, n_lanes, n_states) float32
    """
    products = lax.associative_scan(matrix_product, links, reverse=True)
    return matrix_product(following[:, None, :], products)[..., 0, :]


def follow(maps, state):
    """Follow maps backwards to states.

    Parameters
    ----------
    maps : (n_rows, n_lanes, n_states) int32
        The state of each row for every state of the next one.
    state : (n_lanes,) int32
        Behind the last row.

    Returns
    -------
    states : (n_rows, n_lanes) int32
    """
    composed = lax.associative_scan(compose, maps, reverse=True)
    return compose(state[None, :, None], composed)[..., 0]


def compose(later, earlier):
    """Return one map of two, (..., n): first `later` (..., n), then `earlier` (..., n_states)."""
    # without the promise every gather checks its indices, and compiles for a minute
    return jnp.take_along_axis(earlier, later, axis=-1, mode="promise_in_bounds")


def max_plus(first, second):
    """Return the max-plus product of matrices (..., n, n_states) and (..., n_states, n_states)."""
    if second.shape[-1] > WRITTEN_OUT_STATES:
        return jnp.max(first[..., None] + second[..., None, :, :], axis=-2)
    return reduce(larger, inner_terms(add, first, second))


def rows_of_block(n_steps, n_lanes, n_states, dtype):
    """Return how many rows a block has: as many as `BLOCK_BYTES` allow, all blocks alike."""
    most = max(1, BLOCK_BYTES // (n_lanes * n_states**2 * jnp.dtype(dtype).itemsize))
    return -(-n_steps // -(-n_steps // most))


def by_blocks(step, carry, inputs, *, padding, n_rows, reverse=False):
    """Scan over blocks of rows.

    Parameters
    ----------
    step : callable
        Takes the carry and a block of the inputs, (n_rows, ...); returns both likewise.
    carry : arrays
    inputs : arrays (n_steps, ...)
    padding : scalars
        For each input, what fills the last block up; it must be a sequence apart.
    n_rows : int
    reverse : bool
        From the last block to the first.

    Returns
    -------
    carry : arrays
    outputs : arrays (n_steps, ...)
    """
    n_steps = len(jax.tree.leaves(inputs)[0])
    n_blocks = -(-n_steps // n_rows)

    def split(values, fill):
        widths = [(0, n_blocks * n_rows - n_steps)] + [(0, 0)] * (values.ndim - 1)
        padded = jnp.pad(values, widths, constant_values=fill)
        return padded.reshape(n_blocks, n_rows, *values.shape[1:])

    blocks = jax.tree.map(split, inputs, padding)
    carry, outputs = lax.scan(step, carry, blocks, reverse=reverse)
    return carry, jax.tree.map(
        lambda values: values.reshape(n_blocks * n_rows, *values.shape[2:])[:n_steps], outputs
    )
