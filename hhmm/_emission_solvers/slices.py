"""Slice sampling (Neal 2003, "Slice sampling", Annals of Statistics 31) of several variables.

Each variable has a density of its own, known up to a constant, and is drawn on its own, all of
them at once. No tuning is needed: `width` only decides how many evaluations a draw takes.
"""

import jax
import jax.numpy as jnp
from jax import lax

from hhmm._runtime.keys import uniforms

# steps out, at most
MAX_STEPS_OUT = 8


def make_noise(key, n, max_cuts=40):
    """Draw the uniform numbers that a draw of `n` variables takes, (3 + max_cuts, n)."""
    return uniforms(key, (3 + max_cuts, n))


def draw(noise, log_density, start, width, bounds=(-jnp.inf, jnp.inf)):
    """Draw each variable once, leaving its density invariant (figures 3 and 5 of the paper).

    Parameters
    ----------
    noise : array
        See `make_noise`.
    log_density : function
        Of an array of values (n,): the log density of each, (n,) nats.
    start : (n,)
    width : float or (n,)
        Of the first interval around a start.
    bounds : pair of float or (n,) arrays
        The density is 0 beyond them.

    Returns
    -------
    drawn : (n,)
        A variable for which all cuts that there are numbers for find nothing keeps its value.
    """
    max_cuts = len(noise) - 3
    level = log_density(start) + jnp.log1p(-noise[0])
    # steps out are shared out at random between the two sides, which keeps the draw exact
    n_left = jnp.floor(MAX_STEPS_OUT * noise[2])
    n_steps = jnp.stack([n_left, MAX_STEPS_OUT - 1 - n_left])
    left = start - width * noise[1]
    edges = jnp.stack([left, left + width])

    def step_out(carry):
        edges, inside, i = carry
        inside &= (i < n_steps) & (edges > bounds[0]) & (edges < bounds[1])
        inside &= jax.vmap(log_density)(edges) > level
        further = edges + jnp.array([[-1.0], [1.0]]) * width
        return jnp.where(inside, further, edges), inside, i + 1

    carry = edges, jnp.ones(edges.shape, bool), 0
    edges, *_ = lax.while_loop(lambda carry: jnp.any(carry[1]), step_out, carry)
    left, right = jnp.clip(edges, *bounds)

    def unfinished(carry):
        *_, found, i = carry
        return ~jnp.all(found) & (i < max_cuts)

    def cut(carry):
        left, right, value, found, i = carry
        value = jnp.where(found, value, left + noise[3 + i] * (right - left))
        found |= log_density(value) > level
        left = jnp.where(~found & (value < start), value, left)
        right = jnp.where(~found & (value >= start), value, right)
        return left, right, value, found, i + 1

    carry = left, right, start, jnp.zeros(start.shape, bool), 0
    _, _, value, found, _ = lax.while_loop(unfinished, cut, carry)
    return jnp.where(found, value, start)
