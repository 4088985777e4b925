"""What every test module gets."""

import os
import tempfile

# scipy reads it when it is imported: scikit-learn's checks of array libraries then run too
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# What one test compiles others find, in the processes of pytest-xdist too, which inherit this.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _cache = tempfile.TemporaryDirectory(prefix="hhmm-tests-", ignore_cleanup_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"

import jax
import pytest

from hhmm._inference import dispatch, gibbs


@pytest.fixture(autouse=True, scope="module")
def compiled_kernels(request):
    """Compile fast where a module runs its kernels a few times only, and drop them after it.

    Most tests take longer to compile than to run. Modules whose kernels run long have the mark
    ``optimized`` and are compiled as for users; so is what the doctests run, and the demo.

    Kernels are dropped because each takes tens of memory mappings, of which Linux grants a process
    65,530 by default; the compiler crashes when it gets no more.
    """
    optimized = request.node.get_closest_marker("optimized") is not None
    jax.config.update("jax_disable_most_optimizations", not optimized)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()


@pytest.fixture
def n_sweep_traces(monkeypatch):
    """A function: how often the Gibbs sweep has been traced, which is how often it was compiled."""
    traces, sweep = [], gibbs.sweep

    def counting_sweep(*args, **kwargs):
        traces.append(None)
        return sweep(*args, **kwargs)

    monkeypatch.setattr(gibbs, "sweep", counting_sweep)
    dispatch.fused.clear_cache()
    yield lambda: len(traces)
    dispatch.fused.clear_cache()  # what was compiled meanwhile calls the counter
