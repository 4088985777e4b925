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
from jax.extend.random import threefry_2x32
from sklearn.utils import check_random_state


def key_from_random_state(random_state):
    """Return a JAX key from an int, None or a RandomState.

    A RandomState is advanced, so successive calls give different keys. The key's
    implementation is named: a user's own default does not change what a seed gives.
    """
    words = check_random_state(random_state).randint(2**32, size=2, dtype=np.uint32)
    return key_from_data(words)


def key_from_data(words):
    """Return a JAX key from its two words, as `jax.random.key_data` gives them."""
    return jax.random.wrap_key_data(words, impl="threefry2x32")


def normals(key, shape, dtype=jnp.float64):
    """Draw standard normal numbers."""
    flat = jax.random.normal(key, (math.prod(shape),), dtype)
    return lax.optimization_barrier(flat).reshape(shape)


def uniforms_by_lane(key, n, sequences):
    """Draw numbers uniform in [0, 1), n for each lane, (n, n_lanes) float32.

    What is drawn for a lane does not depend on which lanes are computed together.

    Parameters
    ----------
    key : JAX key
    n : int
    sequences : PackedSequences or PackedRuns
    """
    n_lanes = sequences.pairs.shape[1]
    shape = ((n + 1) // 2, n_lanes)
    lanes = jnp.broadcast_to(sequences.first_lane + jnp.arange(n_lanes, dtype=jnp.uint32), shape)
    rows = lax.broadcasted_iota(jnp.uint32, shape, 0)
    return uniforms_of_pairs(key, lanes, rows).reshape(2 * shape[0], n_lanes)[:n]


def uniforms_of_pairs(key, first, second):
    """Draw two numbers uniform in [0, 1) for each pair of numbers, (2, ...) float32.

    The generator (Threefry-2x32: Salmon et al. 2011) is called on the pairs themselves, and both
    words that it makes of a pair are used: half the work of `jax.random.uniform`, which
    makes one number of a pair, and half of what there is to compile.

    Parameters
    ----------
    key : JAX key
    first, second : arrays of the same shape, uint32
        No pair twice.
    """
    pairs = jnp.concatenate([first.reshape(-1), second.reshape(-1)])
    bits = threefry_2x32(jax.random.key_data(key), pairs)
    # 23 random bits as the fraction of a number in [1, 2)
    one = np.float32(1).view(np.uint32)
    numbers = lax.bitcast_convert_type(bits >> 9 | one, jnp.float32) - 1
    return lax.optimization_barrier(numbers).reshape(2, *first.shape)


def uniforms(key, shape, dtype=jnp.float64):
    """Draw numbers uniform in [0, 1)."""
    flat = jax.random.uniform(key, (math.prod(shape),), dtype)
    return lax.optimization_barrier(flat).reshape(shape)
