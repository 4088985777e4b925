"""What every test module gets."""

import os

# scipy reads it when it is imported: scikit-learn's checks of array libraries then run too
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import jax
import pytest

from hhmm._inference import dispatch, gibbs


@pytest.fixture(autouse=True, scope="module")
def free_compiled_kernels():
    """Drop compiled kernels after each module.

    Each takes tens of memory mappings, of which Linux grants a process 65,530 by default; the
    compiler crashes when it gets no more.
    """
    yield
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
