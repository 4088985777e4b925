"""Arithmetic on messages that the backends share; states on the leading axis, lanes on the last.

Sums over states are written out term by term. The CPU compiler makes one vector loop over
lanes of such an expression, where a reduction inside of it is a scalar loop.
"""

import math
from functools import reduce
from operator import add

import jax
import jax.numpy as jnp
from jax import lax

# timesteps whose products are in memory in float64 at a time
BLOCK_TERMS = 64


def propagate(messages, matrices):
    """Return ``sum_j messages[j] matrices[j, k]``, (n_states, n_lanes).

    A matrix product takes half the time with 50 states and 512 lanes, and as long with 10. But it
    adds in an order that depends on the number of lanes, and so on the parts of the data.

    Parameters
    ----------
    messages : (n_states, n_lanes), with any axes before the lanes
    matrices : (n_states, n_states, n_lanes), or (n_states, n_states, 1)
        As `of_lanes` gives them, with as many axes as the messages have and one more.
    """
    return reduce(add, [matrices[j] * messages[j] for j in range(len(messages))])


def lanes_first(trans_probs, groups):
    """Return the matrix of each lane's group, (n_lanes, n_states, n_states).

    Where there is one group it is (n_states, n_states).

    Parameters
    ----------
    trans_probs : (n_contexts, n_states)
    groups : (n_lanes,) int32
    """
    n_states = trans_probs.shape[1]
    matrices = trans_probs.reshape(-1, n_states, n_states)
    return matrices[0] if len(matrices) == 1 else matrices[groups]


def lanes_last(matrices):
    """Return what `lanes_first` returns with the lanes last, (n_states, n_states, n_lanes or 1)."""
    return matrices[..., None] if matrices.ndim == 2 else matrices.transpose(1, 2, 0)


def of_lanes(trans_probs, groups):
    """Return the matrix of each lane's group, (n_states, n_states, n_lanes or 1)."""
    return lanes_last(lanes_first(trans_probs, groups))


def column_of_lanes(matrices, index):
    """Return a column of each lane's matrix, (n_states, n_lanes).

    Parameters
    ----------
    matrices : (n_states, n_columns, n_lanes), or (n_states, n_columns, 1)
    index : (n_lanes,) integers
    """
    if matrices.shape[2] == 1:
        return columns(matrices[..., 0], index)
    return jnp.take_along_axis(matrices, index[None, None], axis=1, mode="promise_in_bounds")[:, 0]


def sum_by_group(values, groups, n_groups):
    """Sum values (n_lanes, ...) over the lanes of each group, (n_groups, ...)."""
    if n_groups == 1:
        return values.sum(axis=0, keepdims=True)
    return jnp.zeros((n_groups, *values.shape[1:]), values.dtype).at[groups].add(values)


def total(messages):
    """Return the sum over states, (n_lanes,)."""
    return reduce(add, list(messages))


def columns(table, index):
    """Return columns of a table that are known to exist, (n_rows, n_lanes).

    Read by column, and with indices that need no check, a step of the forward recursion takes
    1.25 microseconds for 100 lanes and 5 states; 1.6 where it gathers rows and transposes them.

    Parameters
    ----------
    table : (n_rows, n_columns)
    index : (n_lanes,) integers, 0 to n_columns - 1
    """
    return table.at[:, index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def larger(a, b):
    """Return the larger one of each two numbers, none of them NaN.

    jnp.maximum passes NaN on, which takes the CPU several instructions instead of one: whole
    Viterbi recursions took 1.6 times as long with it.
    """
    return jnp.where(a > b, a, b)


def normalised(values, axis):
    """Divide values by their sum along an axis, the states."""
    return values / jnp.expand_dims(total(jnp.moveaxis(values, axis, 0)), axis)


def sum_products(subscripts, first, second):
    """Return `jnp.einsum` of two float32 arrays that sums over their leading axis, in float64.

    In float32 a sum depends on the order of its terms, and so on how the data are laid out. Over
    400,000 timesteps of one syllable it is off by 1.5e-4 of itself. Block by block, float64 takes
    no more time: for 20480 steps of 20 lanes and 10 states 24 ms on one core, where float32 takes
    46 and float64 all at once 95.
    """
    n_blocks = max(-(-len(first) // BLOCK_TERMS), 1)

    def blocks(values):
        padded = jnp.pad(values, ((0, -len(values) % n_blocks), *[(0, 0)] * (values.ndim - 1)))
        return padded.reshape(n_blocks, -1, *values.shape[1:])

    def products(of_block):
        return jnp.einsum(subscripts, *(values.astype(jnp.float64) for values in of_block))

    def add_block(sums, of_block):
        return sums + products(of_block), None

    no_sums = jnp.zeros(jax.eval_shape(products, (first, second)).shape)
    return lax.scan(add_block, no_sums, (blocks(first), blocks(second)))[0]


def draw_index(uniform, weights):
    """Draw indices with probabilities proportional to weights, by inverse CDF.

    Parameters
    ----------
    uniform : (n_lanes,), in [0, 1)
    weights : (n_states, n_lanes), not all zero

    Returns
    -------
    index : (n_lanes,) int32, of a positive weight
    """
    cumulative = [weights[0]]
    for weight in weights[1:]:
        cumulative.append(cumulative[-1] + weight)
    threshold = uniform * cumulative[-1]
    index = jnp.zeros(uniform.shape, jnp.int32)
    for reached in cumulative[:-1]:
        index += reached <= threshold
    return index


def count_cells(cells, n_cells):
    """Count how often each cell occurs, (n_cells,) float64."""
    # a sweep with 64-bit counts takes 5 % longer
    dtype = jnp.int32 if cells.size <= jnp.iinfo(jnp.int32).max else jnp.int64
    counts = jnp.zeros(n_cells, dtype).at[cells.reshape(-1)].add(1, mode="drop")
    return counts.astype(jnp.float64)


def by_syllables(by_pair, n_groups):
    """Return counts (n_states, n_pairs) as (n_contexts, n_syllables, n_syllables)."""
    n_states, n_pairs = by_pair.shape
    n_syllables = math.isqrt((n_pairs - 1) // n_groups)
    counts = by_pair[:, :-1].reshape(n_states, n_groups, n_syllables, n_syllables)
    return counts.swapaxes(0, 1).reshape(-1, n_syllables, n_syllables)
