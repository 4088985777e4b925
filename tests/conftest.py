"""What every test module gets."""

import gc
import os
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from packaging.version import Version

# SciPy reads this when it is imported. With it, scikit-learn's checks of array libraries run too.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Most tests, and the doctests, take longer to compile than to run.
FAST_COMPILATION = os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") == "1"
# Lines of source code in compiled programs take time to write, and nobody reads them here.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
# The older code generator of XLA on CPUs compiles in half the time, and in one piece it takes less
# time on busy cores. XLA need not verify its own passes. Only versions of jaxlib that have the
# flags get them, since a flag that is unknown ends the process.
if FAST_COMPILATION and Version(version("jaxlib")) < Version("0.11"):
    _flags = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    _flags += " --xla_disable_hlo_passes=hlo-verifier"
    if _flags not in os.environ.get("XLA_FLAGS", ""):  # a process of pytest-xdist inherits them
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_flags}"

import jax  # noqa: E402
import pytest  # noqa: E402

from hhmm._inference import compiled, gibbs  # noqa: E402
from hhmm._runtime.compilation_cache import CompilationCache  # noqa: E402


def pytest_configure(config):
    """Let all processes of this run share what they compile, see `CompilationCache`.

    ``--cache-clear`` drops what is kept, ``-p no:cacheprovider`` keeps nothing after a run.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:  # a process of pytest-xdist, or the user's own
        return
    cache = getattr(config, "cache", None)
    folder = None if cache is None else Path(cache.mkdir("jax"))
    config.add_cleanup(CompilationCache(folder).close)


def pytest_collection_finish():
    """Collect garbage less often, and not among what is imported: it took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


# what an example calls, and the package without which it cannot
PACKAGES_OF_EXAMPLES = {"to_arviz": "arviz", "import skops": "skops"}


def pytest_collection_modifyitems(items):
    """Skip the examples of the package and the guide that need a package which is not here."""
    for item in items:
        if not isinstance(item, pytest.DoctestItem):
            continue
        source = "".join(example.source for example in item.dtest.examples)
        for call, package in PACKAGES_OF_EXAMPLES.items():
            if call in source and find_spec(package) is None:
                item.add_marker(pytest.mark.skip(reason=f"could not import {package!r}"))


# Each kernel takes tens of memory mappings. Linux grants a process 65,530 of them by default, and
# the compiler crashes when it gets no more.
MAX_MAPPINGS = 35_000


def n_mappings():
    """Return the number of memory mappings of this process, or infinity where it is not known."""
    try:
        return Path("/proc/self/maps").read_text().count("\n")
    except OSError:
        return float("inf")


@pytest.fixture(autouse=True, scope="module")
def compiled_kernels(request):
    """Compile as for users where a test of the run has the mark ``optimized``; drop kernels."""
    tests = [test for test in request.session.items if test.path == request.path]
    is_optimized = any(test.get_closest_marker("optimized") for test in tests)
    if is_optimized:
        jax.config.update("jax_disable_most_optimizations", False)
        jax.clear_caches()
    yield
    jax.config.update("jax_disable_most_optimizations", FAST_COMPILATION)
    if is_optimized or n_mappings() > MAX_MAPPINGS:
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
