"""Products of links with a scale for every row, so that nothing underflows.

A link is the matrix (K, K) of what happens to the chain between two moments: entry (i, j)
is the probability of arriving in state j with the syllables in between, having left from
state i. Products of links over many timesteps leave the range of any float, and their
rows leave it at different speeds: with transitions that are impossible, a row whose
state explains the syllables badly never meets the others, and is the only one that counts
should the chain be in that state. So each row has its own scale, its largest entry
is 1, and the scales are logarithms:

    matrix[i, j] = exp(log_scale[i]) relative[i, j]

In the product of P and Q, row i is a mixture of the rows of Q with weights
``P[i, k] exp(q[k])``, q the log scales of Q. They are taken relative to the best one of the
row, in float64, before they become float32. What falls out of float32's range on the way
is what a forward recursion from state i would lose as well.

A row of zeros (no path leaves from this state) has scale 0, log scale -inf, and stays
so in products.

States are the last axes and every other axis, of timesteps or lanes, comes before them.
"""

from functools import reduce
from operator import add, mul
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from hhmm._types import Array

# Up to so many states a product is one loop with its sum over states written out. A batch
# of tiny matrix products leaves most of a matrix unit idle, on CPUs and GPUs alike.
WRITTEN_OUT_STATES = 16


class ScaledMatrix(NamedTuple):
    """Matrices, each row with its own scale."""

    relative: Array  # (..., n_states, n_states) float32, largest entry of a row 1, or a row of 0
    log_scale: Array  # (..., n_states) float64, nats, -inf for a row of 0


def scaled(values):
    """Return the `ScaledMatrix` of matrices (..., n_states, n_states), none of them negative."""
    return _rescaled(values, jnp.zeros(values.shape[:-1]))


def product(first, second):
    """Multiply two `ScaledMatrix`: first one link, then the other."""
    log_scale = first.log_scale[..., :, None] + second.log_scale[..., None, :]
    return _rescaled(*_mixture(first.relative, log_scale, second.relative))


def apply(message, matrix):
    """Apply a link to a message.

    Parameters
    ----------
    message : (..., n_states) float32
    matrix : ScaledMatrix

    Returns
    -------
    message : (..., n_states) float32
        Sums to 1; 0 where the link is impossible.
    log_normaliser : (...) float64
        Logarithm of what it summed to.
    """
    log_scale = matrix.log_scale[..., None, :]
    rows, log_scale = _mixture(message[..., None, :], log_scale, matrix.relative)
    message, log_scale = rows[..., 0, :], log_scale[..., 0]
    total = message.sum(axis=-1)
    message = message / jnp.where(total > 0, total, 1)[..., None]
    return message, log_scale + jnp.log(total.astype(log_scale.dtype))


def matrix_product(first, second):
    """Return the product of matrices (..., n, n_states) and (..., n_states, n_states)."""
    if second.shape[-1] > WRITTEN_OUT_STATES:
        return jnp.matmul(first, second, precision=lax.Precision.HIGHEST)
    return reduce(add, inner_terms(mul, first, second))


def inner_terms(operation, first, second):
    """Return ``operation(first[i, k], second[k, j])``, (..., n, n_states), for every k."""
    return [
        operation(first[..., :, k, None], second[..., k, None, :]) for k in range(second.shape[-2])
    ]


def _mixture(weights, log_scale, relative):
    """Return ``sum_k weights[i, k] exp(log_scale[i, k]) relative[k, j]``.

    Parameters
    ----------
    weights : (..., n, n_states) float32
    log_scale : (..., n, n_states) float64
    relative : (..., n_states, n_states) float32

    Returns
    -------
    rows : (..., n, n_states) float32, of a size near 1
    log_scale : (..., n) float64, of the rows
    """
    # the logarithm serves to find the best one only: float32 is good enough for that
    best = jnp.max(jnp.log(weights) + log_scale, axis=-1)
    reference = jnp.where(best > -jnp.inf, best, 0)[..., None]
    # a subnormal weight, whose logarithm a device may take for -inf, counts as 0
    smallest = jnp.finfo(weights.dtype).tiny
    mixed = jnp.where(weights < smallest, 0, weights * jnp.exp(log_scale - reference))
    return matrix_product(mixed.astype(weights.dtype), relative), best


def _rescaled(rows, log_scale):
    largest = jnp.max(rows, axis=-1)
    relative = rows / jnp.where(largest > 0, largest, 1)[..., None]
    return ScaledMatrix(relative, log_scale + jnp.log(largest.astype(log_scale.dtype)))
