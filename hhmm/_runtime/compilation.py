"""Compile large programs for CPUs in half the time.

A sweep is some hundreds of small loops. To optimise each takes longer than most fits run, and makes
them hardly faster: they wait for memory, or are too short. CPU seconds to compile a sweep that
learns all scales, and milliseconds to run one, with the defaults of XLA / with `_OLDER` and
`_QUICK`: 16 sequences of 300 timesteps, 3 states, 7 syllables 17.5, 1.15 / 11.2, 1.3; 20 of 1000, 5
states, 20 syllables 26, 5 / 13, 4.6. No optimisation at all compiles in a quarter of the time, and
runs two to six times as long.
"""

import functools
import os

import jax
import jaxlib

_QUICK = {"xla_backend_optimization_level": 1, "xla_llvm_disable_expensive_passes": True}
# The older code generator takes half the time, and less in one piece. Only versions of jaxlib that
# have these options take them.
_OLDER = {}
if tuple(map(int, jaxlib.__version__.split(".")[:2])) < (0, 11):
    _OLDER = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}


def jit_large(*, static_argnames, optimized=False):
    """Return a decorator that compiles a function as `jax.jit` does, on CPUs in less time.

    The states of many sequences are one long loop, where optimisation costs no time and gains 5 to
    10 %: a function that is `optimized` gets none of `_QUICK`.

    What the user has set in ``XLA_FLAGS`` stays, and so does ``JAX_DISABLE_MOST_OPTIMIZATIONS``.
    JAX takes options of the outermost function alone: it must not be called in another one that is
    compiled.
    """

    def decorate(function):
        @functools.cache
        def jitted(options):
            return jax.jit(
                function, static_argnames=static_argnames, compiler_options=dict(options) or None
            )

        @functools.wraps(function)
        def call(*args, **kwargs):
            return jitted(_options(optimized))(*args, **kwargs)

        call.clear_cache = lambda: jitted(_options(optimized)).clear_cache()
        return call

    return decorate


def _options(optimized=False):
    if jax.default_backend() != "cpu" or jax.config.read("jax_disable_most_optimizations"):
        return ()
    return _options_beside(os.environ.get("XLA_FLAGS", ""), optimized)


@functools.cache
def _options_beside(flags, optimized):
    options = _OLDER if optimized else _OLDER | _QUICK
    return tuple((name, value) for name, value in options.items() if name not in flags)
