"""What every test module gets."""

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def free_compiled_kernels():
    """Drop compiled kernels after each module.

    Each takes tens of memory mappings, of which Linux grants a process 65,530 by default; the
    compiler crashes when it gets no more.
    """
    yield
    jax.clear_caches()
