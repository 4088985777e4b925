"""The one way into the kernels: with double precision on, for a block and not for the process.

Parameters, objectives and log-likelihood sums are float64; messages are
float32 by an explicit cast. JAX makes float64 a setting of the calling
thread, so every entry into a kernel is wrapped, and the user's own JAX code
never notices.

JAX computes in threads, which a process that is forked does not have: what it then asks of them
it would wait for without end. That is refused.
"""

import functools
import os

import jax
import jax.numpy as jnp

_has_computed = False  # in this process, or in the one that it was forked from
_is_forked = False  # from a process that had computed


def double_precision(function):
    """Run `function` with 64-bit types on, whatever the caller's setting is."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        global _has_computed
        if _is_forked:
            raise RuntimeError(
                "this process was forked from one in which JAX had computed, and JAX does not work "
                "in it. Start processes by 'spawn' or 'forkserver' (multiprocessing.get_context) "
                "or by joblib's default backend 'loky'; or fork before the first fit"
            )
        _has_computed = True
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return wrapped


def log_of_rounding(values, dtype):
    """log(values / rounded values), float32, of what is rounded to `dtype`; 0 where none is left.

    To first order, which is off by 2e-15 at most. None is left of subnormal numbers: a device may
    take them for 0.
    """
    rounded = values.astype(dtype)
    remains = rounded >= jnp.finfo(dtype).tiny
    rounded = rounded.astype(values.dtype)
    return jnp.where(remains, (values - rounded) / jnp.where(remains, rounded, 1), 0).astype(
        jnp.float32
    )


def _note_fork():
    global _is_forked
    _is_forked = _has_computed


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
