"""Keys of sweeps and blocks of noise: each on its own, and uniform."""

import jax
import numpy as np
import scipy.stats

from hhmm._inference.chain import sweep_keys
from hhmm._runtime.keys import (
    key_from_random_state,
    keys_of_pairs,
    normals,
    uniforms_of_block,
)
from hhmm._runtime.precision import double_precision

FALSE_ALARM = 1e-4


def _words(keys):
    return np.asarray(jax.random.key_data(keys)).reshape(-1, 2)


def test_keys_of_sweeps_are_those_of_a_sweep_alone_and_all_differ():
    key, numbers = key_from_random_state(0), np.arange(-1, 63, dtype=np.int32)
    keys = sweep_keys(key, numbers, "gibbs")
    alone = sweep_keys(key, numbers[5], "gibbs")
    for many, one in zip(*map(jax.tree.leaves, (keys, alone)), strict=True):
        np.testing.assert_array_equal(_words(many)[5], _words(one)[0])
    words = np.concatenate([_words(leaf) for leaf in jax.tree.leaves(keys)])
    assert len(np.unique(words, axis=0)) == len(words) == 9 * 64


def test_em_has_the_same_noise_in_every_sweep():
    numbers = np.arange(3, dtype=np.int32)
    keys = sweep_keys(key_from_random_state(0), numbers, "em")
    assert {tuple(row) for leaf in jax.tree.leaves(keys) for row in _words(leaf)} == {(0, 0)}


def test_keys_of_pairs_are_words_of_the_generator():
    """One block of Threefry for each pair, as JAX makes a split key of a counter."""
    key = key_from_random_state(1)
    found = _words(keys_of_pairs(key, np.uint32(0), np.arange(5)))
    with jax.threefry_partitionable(True):
        np.testing.assert_array_equal(found, _words(jax.random.split(key, 5)))


@double_precision
def test_blocks_are_uniform_and_do_not_overlap():
    """By Kolmogorov and Smirnov, neighbours uncorrelated; false alarms FALSE_ALARM each."""
    key, n = key_from_random_state(2), 20_000
    blocks = [np.ravel(uniforms_of_block(key, block, (n // 100, 100))) for block in (0, 1, 7)]
    values = np.concatenate(blocks)
    assert len(np.unique(values)) == 3 * n
    assert (values >= 0).all()
    assert (values < 1).all()
    assert scipy.stats.kstest(values, scipy.stats.uniform.cdf).pvalue > FALSE_ALARM
    for one, other in [(blocks[0], blocks[1]), (blocks[0][1:], blocks[0][:-1])]:
        assert scipy.stats.pearsonr(one, other).pvalue > FALSE_ALARM


@double_precision
def test_normal_numbers_are_normal():
    values = np.ravel(normals(key_from_random_state(3), (200, 100)))
    assert scipy.stats.kstest(values, scipy.stats.norm.cdf).pvalue > FALSE_ALARM
