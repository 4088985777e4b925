"""Compile large programs for CPUs in half the time.

A sweep is some hundreds of small loops. To optimise each takes longer than most fits run, and makes
them hardly faster: they wait for memory, or are too short. CPU seconds to compile a sweep that
learns all scales, and milliseconds to run one, with the defaults of XLA / with `_OPTIONS`: 16
sequences of 300 timesteps, 3 states, 7 syllables 17.5, 1.15 / 11.2, 1.3; 20 of 1000, 5 states, 20
syllables 26, 5 / 13, 4.6. Milliseconds of the two halves alone: 200 of 1000 0.7, 4.9 / 0.9, 4.8; 24
of 120,000, 60 syllables 3.8, 33 / 2.9, 35. No optimisation at all compiles in a quarter of the
time, and runs two to six times as long.
"""

import functools
import os

import jax
import jaxlib

_OPTIONS = {"xla_backend_optimization_level": 1, "xla_llvm_disable_expensive_passes": True}
# The older code generator takes half the time, and less in one piece. Only versions of jaxlib that
# have these options take them.
if tuple(map(int, jaxlib.__version__.split(".")[:2])) < (0, 11):
    _OPTIONS |= {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}


def jit_large(*, static_argnames):
    """Return a decorator that compiles a function as `jax.jit` does, on CPUs with `_OPTIONS`.

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
            return jitted(_options())(*args, **kwargs)

        call.clear_cache = lambda: jitted(_options()).clear_cache()
        return call

    return decorate


def _options():
    if jax.default_backend() != "cpu" or jax.config.read("jax_disable_most_optimizations"):
        return ()
    return _options_beside(os.environ.get("XLA_FLAGS", ""))


@functools.cache
def _options_beside(flags):
    return tuple((name, value) for name, value in _OPTIONS.items() if name not in flags)
