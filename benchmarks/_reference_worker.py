"""Run the reference, state-moseq, as its users do.

A sweep is ``resample_params`` and then ``resample_states``. Its own loop, ``fit_gibbs``, raises at
this version.
"""

import time
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
from state_moseq import hhmm_efficient

from benchmarks._serve import peak_memory, seconds_of, serve


class Chain:
    """One chain of the reference."""

    def __init__(self, data, n_states, n_syllables, gd_iters):
        syllables = np.load(data)["syllables"]
        self._data = {
            "syllables": jnp.array(syllables),
            "mask": jnp.ones(syllables.shape, int),
        }
        self._hypparams = {
            "n_states": n_states,
            "n_syllables": n_syllables,
            "emission_base_sigma": 1.0,
            "emission_biases_sigma": 1.0,
            "trans_beta": 1.0,
            "trans_kappa": 100.0,
            "emission_gd_iters": gd_iters,
            "emission_gd_lr": 1e-2,
        }
        key_params, key_states, self._key = jax.random.split(jax.random.PRNGKey(0), 3)
        self._params = hhmm_efficient.random_params(key_params, self._hypparams)
        self._draw_states(key_states)

    def sweeps(self, n_sweeps):
        """Draw parameters, then states, so many times, and wait for the last result."""
        for _ in range(n_sweeps):
            self._key, key_params, key_states = jax.random.split(self._key, 3)
            self._draw_params(key_params)
            self._draw_states(key_states)
        self._wait()

    def sweep_in_parts(self):
        """Draw parameters and wait, draw states and wait; return the seconds of each."""
        self._key, key_params, key_states = jax.random.split(self._key, 3)
        self._wait()
        began = time.perf_counter()
        self._draw_params(key_params)
        self._wait()
        between = time.perf_counter()
        self._draw_states(key_states)
        self._wait()
        return between - began, time.perf_counter() - between

    def _wait(self):
        jax.block_until_ready((self._params, self._states))

    def _draw_params(self, key):
        self._params, _ = hhmm_efficient.resample_params(
            key, self._data, self._states, self._hypparams, self._params
        )

    def _draw_states(self, key):
        self._states, _ = hhmm_efficient.resample_states(key, self._data, self._params, False)


class Side:
    """The requests; times in seconds."""

    def __init__(self):
        self._chain = None

    def versions(self):
        """Return versions, and the kind of device that JAX computes on."""
        names = ("state-moseq", "dynamax", "jax", "numpy")
        return {name: version(name) for name in names} | {"device": jax.default_backend()}

    def start(self, data, n_states, n_syllables, gd_iters, warm_sweeps):
        """Start a chain; return the time from loading data to the end of the first sweep.

        Compilation is not timed apart, because a second sweep may take most of a minute.
        """

        def first_sweep():
            self._chain = Chain(data, n_states, n_syllables, gd_iters)
            self._chain.sweeps(1)

        seconds = seconds_of(first_sweep)
        self._chain.sweeps(warm_sweeps)
        return {"first_sweep": seconds, "compiling": {}}

    def sweeps(self, n_sweeps):
        """Run sweeps; return the time of one."""
        return seconds_of(lambda: self._chain.sweeps(n_sweeps)) / n_sweeps

    def parts(self, n_sweeps):
        """Run sweeps; return the times of drawing parameters, and of drawing states."""
        parts = [self._chain.sweep_in_parts() for _ in range(n_sweeps)]
        emissions, states = zip(*parts, strict=True)
        return {"emissions": emissions, "states": states}

    def fit(self, data, n_states, n_syllables, gd_iters, n_sweeps):
        """Load data and run a chain of so many sweeps."""
        Chain(data, n_states, n_syllables, gd_iters).sweeps(n_sweeps)


if __name__ == "__main__":
    side = Side()
    names = ("versions", "start", "sweeps", "parts", "fit")
    serve({name: getattr(side, name) for name in names} | {"peak_memory": peak_memory})
