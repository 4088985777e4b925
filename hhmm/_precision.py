"""The one place where double precision is switched on, for a block and not for the process.

Parameters, objectives and log-likelihood sums are float64; messages are
float32 by an explicit cast. JAX makes float64 a setting of the calling
thread, so every entry into a kernel is wrapped, and the user's own JAX code
never notices.
"""

import functools

import jax


def double_precision(function):
    """Run `function` with 64-bit types on, whatever the caller's setting is."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return wrapped
