"""Options of the compiler: they are valid here, and those of the user stay."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hhmm._runtime import compilation
from hhmm._runtime.compilation import jit_large


@pytest.fixture
def optimized():
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


def test_options_are_valid(optimized, monkeypatch):
    """A name or a value that this XLA does not know would raise."""
    monkeypatch.setenv("XLA_FLAGS", "")
    assert dict(compilation._options()) == compilation._OLDER | compilation._QUICK
    assert dict(compilation._options(optimized=True)) == compilation._OLDER

    @jit_large(static_argnames=("n",))
    def scaled(x, *, n):
        return n * jnp.exp(x)

    x = np.linspace(0, 1, 5, dtype=np.float32)
    for n in (2, 3):
        np.testing.assert_allclose(scaled(x, n=n), n * np.exp(x), rtol=1e-6)


def test_choices_of_the_user_stay(optimized, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=3")
    assert "xla_backend_optimization_level" not in dict(compilation._options())
    assert "xla_llvm_disable_expensive_passes" in dict(compilation._options())
    jax.config.update("jax_disable_most_optimizations", True)
    assert compilation._options() == ()
    jax.config.update("jax_disable_most_optimizations", False)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compilation._options() == ()
