"""The one way into the kernels: under JAX settings of their own, for a block, not the process.

Parameters, objectives and log-likelihood sums are float64; messages are float32 by an explicit
cast. JAX keeps this choice, and others that change numbers or make JAX raise, as settings of the
calling thread. So every entry into a kernel is wrapped: the kernels compute the same whatever
the user has set, and the user's own JAX code is not affected. The device and the compilation cache
stay the user's choice.

JAX computes in threads, which a forked process does not have: it would wait for them for ever. So
computing in a forked process is refused.
"""

import contextlib
import functools
import os

import jax
import jax.numpy as jnp

# Settings that the kernels rely on, by the names of JAX's context managers.
_OF_KERNELS = {
    "enable_x64": True,
    "numpy_dtype_promotion": "standard",
    "numpy_rank_promotion": "allow",
    "default_matmul_precision": None,
    "default_prng_impl": "threefry2x32",
    "threefry_partitionable": True,
    "legacy_prng_key": "allow",
    "debug_key_reuse": False,
    "debug_nans": False,  # -inf and NaN are values that the kernels handle
    "debug_infs": False,
    "check_tracer_leaks": False,
    "disable_jit": False,
    "no_tracing": False,
    "no_execution": False,
    "transfer_guard_host_to_device": "allow",
    "transfer_guard_device_to_device": "allow",
    "transfer_guard_device_to_host": "allow",
    "thread_guard": False,  # chains and groups of lanes run in threads
}
_NAMES = [name for name in _OF_KERNELS if hasattr(jax, name)]  # older versions of JAX lack some

_has_computed = False  # in this process, or in the one that it was forked from
_is_forked = False  # from a process that had computed


def current_settings():
    """Return the caller's values of the settings that `double_precision` overrides, a dict."""
    return {name: getattr(jax.config, f"jax_{name}") for name in _NAMES}


@contextlib.contextmanager
def settings(values):
    """Run a block under JAX settings, given as `current_settings` returns them."""
    with contextlib.ExitStack() as stack:
        for name, current in current_settings().items():
            # a guard that is None allows transfers
            if (values[name] or "allow") != (current or "allow"):
                stack.enter_context(getattr(jax, name)(values[name]))
        yield


def double_precision(function):
    """Run `function` in float64 and under the other settings of the kernels, see `_OF_KERNELS`."""

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
        with settings(_OF_KERNELS):
            return function(*args, **kwargs)

    return wrapped


def log_of_rounding(values, dtype):
    """Return log(values / rounded values), float32, rounded to `dtype`; 0 where none is left.

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
