"""Seeds: scikit-learn's on the outside, JAX keys on the inside; and arrays of noise.

Each call of a generator, and each split of a key, takes .1 to .3 s to compile. So a sweep gets all
its keys from outside (see `hhmm._inference.chain.sweep_keys`), and what needs several arrays of
noise makes them in one call.

`uniforms` draws a flat array and reshapes it: with a small last axis the CPU compiler unrolls the
generator's rounds for each of its entries (1.5 s to compile (16, 5, 5) numbers, 0.4 s for 400).
The barrier keeps it from repeating the generator in every expression that uses the numbers.
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


def keys_of_pairs(key, first, second):
    """Return a key for each pair of numbers, of the shape that the two arrays broadcast to.

    A key is for such pairs, or for one call of another function of this module.
    """
    pairs = jnp.stack(jnp.broadcast_arrays(first, second)).astype(jnp.uint32)
    words = threefry_2x32(jax.random.key_data(key), pairs.reshape(-1))
    return key_from_data(jnp.moveaxis(words.reshape(pairs.shape), 0, -1))


def normals(key, shape):
    """Draw standard normal numbers."""
    return to_normals(uniforms(key, shape))


def to_normals(uniform):
    """Return standard normal numbers, made of numbers uniform in [0, 1)."""
    smallest = np.finfo(np.float64).epsneg
    return np.sqrt(2.0) * lax.erf_inv(jnp.maximum(2 * uniform - 1, smallest - 1))


def uniforms_by_row(key, counters):
    """Draw a number uniform in [0, 1) for each row of lanes, (n_steps, n_lanes) float32.

    It depends on the sequence and on the place of the row in it, and not on where the sequence
    lies.

    Parameters
    ----------
    key : JAX key
    counters : (2, n_steps / 2, n_lanes) uint32
        Of two rows: the number of their sequence, and the number of the pair in it.
    """
    return uniforms_of_pairs(key, *counters).swapaxes(0, 1).reshape(-1, counters.shape[2])


def counters_of_rows(counters):
    """Return the number of the sequence and that of the row in it, each (n_steps, n_lanes)."""
    sequence, pair = jnp.repeat(counters, 2, axis=1)
    return sequence, 2 * pair + (jnp.arange(len(pair), dtype=jnp.uint32) % 2)[:, None]


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


def uniforms(key, shape):
    """Draw numbers uniform in [0, 1)."""
    flat = jax.random.uniform(key, (math.prod(shape),), jnp.float64)
    return lax.optimization_barrier(flat).reshape(shape)


def uniforms_of_block(key, block, shape):
    """Draw the numbers uniform in [0, 1) of a block, by its number; see `keys_of_pairs`."""
    counters = jnp.arange(math.prod(shape), dtype=jnp.uint32)
    pairs = jnp.concatenate([jnp.full_like(counters, block), counters])
    words = threefry_2x32(jax.random.key_data(key), pairs).astype(jnp.uint64).reshape(2, -1)
    # 52 random bits as the fraction of a number in [1, 2)
    one = np.float64(1).view(np.uint64)
    bits = (words[0] << 32 | words[1]) >> 12 | one
    return (lax.bitcast_convert_type(bits, jnp.float64) - 1).reshape(shape)
