"""Slice sampling (Neal 2003, "Slice sampling", Annals of Statistics 31) of several variables.

Each variable has a density of its own, known up to a constant, and is drawn on its own, all of
them at once. No tuning is needed: `width` only decides how many evaluations a draw takes.
"""

import jax.numpy as jnp
from jax import lax

# steps out, at most
MAX_STEPS_OUT = 8
# where the density of a variable is evaluated next
_START, _LEFT, _RIGHT, _CUT, _DONE = range(5)


def n_uniforms(max_cuts=40):
    """Return how many uniform numbers a draw of a variable takes."""
    return 3 + max_cuts


def draw(uniform, log_density, start, width, bounds=(-jnp.inf, jnp.inf)):
    """Draw each variable once, leaving its density invariant (figures 3 and 5 of the paper).

    Parameters
    ----------
    uniform : (n_uniforms(max_cuts), n)
        Numbers in [0, 1).
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
    max_cuts = len(uniform) - n_uniforms(0)
    log_share = jnp.log1p(-uniform[0])
    # steps out are shared out at random between the two sides, which keeps the draw exact
    n_left = jnp.floor(MAX_STEPS_OUT * uniform[2])
    left = start - width * uniform[1]

    # Each variable goes its own way: its density at the start, at the left edge of the interval
    # for as long as it steps out there, at the right edge, and at the cuts. One loop compiles the
    # density once.
    def turn(carry):
        phase, i, at, level, left, right = carry
        density = log_density(at)
        level = jnp.where(phase == _START, density + log_share, level)
        is_inside = density > level
        n_steps = jnp.where(phase == _LEFT, n_left, MAX_STEPS_OUT - 1 - n_left)
        may_step = is_inside & (i < n_steps) & (at > bounds[0]) & (at < bounds[1])
        steps_left, steps_right = (phase == _LEFT) & may_step, (phase == _RIGHT) & may_step
        misses = (phase == _CUT) & ~is_inside
        left = jnp.where(steps_left, left - width, left)
        right = jnp.where(steps_right, right + width, right)
        left = jnp.where(misses & (at < start), at, left)
        right = jnp.where(misses & (at >= start), at, right)
        stays = steps_left | steps_right | misses & (i + 1 < max_cuts)
        i = jnp.where(stays, i + 1, 0)
        # a value that was found is kept; of a variable that runs out of cuts, the start
        drawn = jnp.where(misses, start, at)
        phase = jnp.where(stays, phase, jnp.minimum(phase + 1, _DONE))
        low, high = jnp.clip(left, *bounds), jnp.clip(right, *bounds)
        share = jnp.take_along_axis(uniform, (3 + i)[None], axis=0)[0]
        of_phase = [left, right, low + share * (high - low), drawn]
        at = jnp.select([phase == p for p in (_LEFT, _RIGHT, _CUT, _DONE)], of_phase)
        return phase, i, at, level, left, right

    zero = jnp.zeros(start.shape, jnp.int32)
    carry = zero, zero, start, jnp.zeros_like(start), left, left + width
    _, _, drawn, *_ = lax.while_loop(lambda carry: jnp.any(carry[0] < _DONE), turn, carry)
    return drawn
