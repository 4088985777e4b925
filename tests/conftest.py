"""What every test module gets."""

import os
import tempfile
from importlib.metadata import version

from packaging.version import Version

# scipy reads it when it is imported: scikit-learn's checks of array libraries then run too
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# What one test compiles others find, in the processes of pytest-xdist too, which inherit this.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _cache = tempfile.TemporaryDirectory(prefix="hhmm-tests-", ignore_cleanup_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
# most tests, and the doctests, take longer to compile than to run; not those that are marked slow,
# which run with JAX_DISABLE_MOST_OPTIMIZATIONS=0
FAST_COMPILATION = os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") == "1"
# The older code generator of XLA on CPUs compiles in half the time. Only versions of jaxlib that
# have the flag get it, since a flag that is unknown ends the process.
if FAST_COMPILATION and Version(version("jaxlib")) < Version("0.11"):
    _flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{_flags} --xla_cpu_use_fusion_emitters=false"

import jax  # noqa: E402
import pytest  # noqa: E402

from hhmm._inference import compiled, gibbs  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def compiled_kernels(request):
    """Compile as for users where a module has the mark ``optimized``; drop all kernels after it.

    Each takes tens of memory mappings, of which Linux grants a process 65,530 by default; the
    compiler crashes when it gets no more.
    """
    if request.node.get_closest_marker("optimized"):
        jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", FAST_COMPILATION)
    jax.clear_caches()


@pytest.fixture
def n_sweep_traces(monkeypatch):
    """A function: how often the Gibbs sweep has been traced, which is how often it was compiled."""
    traces = []

    def counting(*args, **kwargs):
        traces.append(None)
        return gibbs.update_params(*args, **kwargs)

    counted = gibbs.GIBBS._replace(update_params=counting)
    monkeypatch.setitem(compiled.ALTERNATING, "gibbs", counted)
    compiled.sweeps_in_one_call.clear_cache()
    yield lambda: len(traces)
    compiled.sweeps_in_one_call.clear_cache()  # what was compiled meanwhile calls the counter
