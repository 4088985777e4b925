"""Seeds: scikit-learn's on the outside, JAX keys on the inside; and arrays of noise.

`normals` and `uniforms` draw a flat array and reshape it: with a small last axis
the CPU compiler unrolls the generator's rounds for each of its entries (1.5 s to
compile (16, 5, 5) normals, 0.4 s for 400). The barrier keeps it from repeating the generator
in every expression that uses the numbers.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from sklearn.utils import check_random_state


def key_from_random_state(random_state):
    """A JAX key from an int, None or a RandomState.

    A RandomState is advanced, so successive calls give different keys. The key's
    implementation is named: a user's own default does not change what a seed gives.
    """
    words = check_random_state(random_state).randint(2**32, size=2, dtype=np.uint32)
    return key_from_data(words)


def key_from_data(words):
    """A JAX key from its two words, as `jax.random.key_data` gives them."""
    return jax.random.wrap_key_data(words, impl="threefry2x32")


def normals(key, shape, dtype=jnp.float64):
    """Standard normal numbers."""
    flat = jax.random.normal(key, (math.prod(shape),), dtype)
    return lax.optimization_barrier(flat).reshape(shape)


def uniforms_by_lane(key, n, sequences):
    """Numbers uniform in [0, 1), n for each lane, (n, n_lanes) float32.

    Every lane has a key of its own: what is drawn does not depend on which lanes are computed
    together.

    Parameters
    ----------
    key : JAX key
    n : int
    sequences : PackedSequences or PackedRuns
    """
    lanes = sequences.first_lane + jnp.arange(sequences.pairs.shape[1], dtype=jnp.uint32)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, lanes)
    by_lane = jax.vmap(lambda key: jax.random.uniform(key, (n,), jnp.float32))(keys)
    return lax.optimization_barrier(by_lane).T


def uniforms(key, shape, dtype=jnp.float64):
    """Numbers uniform in [0, 1)."""
    flat = jax.random.uniform(key, (math.prod(shape),), dtype)
    return lax.optimization_barrier(flat).reshape(shape)
