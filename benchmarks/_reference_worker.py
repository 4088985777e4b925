"""The reference's side: state-moseq, driven as its users do.

A sweep is ``resample_params`` and then ``resample_states``. Its own loop,
``fit_gibbs``, raises at this version.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
from state_moseq import hhmm_efficient

from benchmarks._serve import peak_memory, serve


class Chain:
    """One chain of the reference."""

    def __init__(self, data, n_states, n_syllables, gd_iters):
        syllables = np.load(data)
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

    def sweep(self):
        """Draw parameters, then states; does not wait for the result."""
        self._key, key_params, key_states = jax.random.split(self._key, 3)
        self._draw_params(key_params)
        self._draw_states(key_states)

    def sweep_in_parts(self):
        """Draw parameters and wait, draw states and wait; returns the seconds of each."""
        self._key, key_params, key_states = jax.random.split(self._key, 3)
        self.wait()
        began = time.perf_counter()
        self._draw_params(key_params)
        self.wait()
        between = time.perf_counter()
        self._draw_states(key_states)
        self.wait()
        return between - began, time.perf_counter() - between

    def wait(self):
        """Wait until everything is computed."""
        jax.block_until_ready((self._params, self._states))

    def _draw_params(self, key):
        self._params, _ = hhmm_efficient.resample_params(
            key, self._data, self._states, self._hypparams, self._params
        )

    def _draw_states(self, key):
        self._states, _ = hhmm_efficient.resample_states(key, self._data, self._params, False)


class Side:
    """What can be requested; times in seconds."""

    def __init__(self):
        self._chain = None

    def versions(self):
        """Versions, and the kind of device that JAX computes on."""
        from importlib.metadata import version

        return {
            "state-moseq": version("state-moseq"),
            "dynamax": version("dynamax"),
            "jax": jax.__version__,
            "numpy": np.__version__,
            "device": jax.default_backend(),
        }

    def start(self, data, n_states, n_syllables, gd_iters, warm_sweeps):
        """Start a chain.

        Returns the time from loading data to the end of the first sweep. What of that is
        compilation it does not say: a second sweep may take most of a minute.
        """
        began = time.perf_counter()
        self._chain = Chain(data, n_states, n_syllables, gd_iters)
        self._chain.sweep()
        self._chain.wait()
        seconds = time.perf_counter() - began
        for _ in range(warm_sweeps):
            self._chain.sweep()
        self._chain.wait()
        return {"first_sweep": seconds, "compiling": {}}

    def sweeps(self, n_sweeps):
        """Run sweeps; returns the time of one."""
        began = time.perf_counter()
        for _ in range(n_sweeps):
            self._chain.sweep()
        self._chain.wait()
        return (time.perf_counter() - began) / n_sweeps

    def parts(self, n_sweeps):
        """Run sweeps; returns the times of drawing parameters, and of drawing states."""
        emissions, states = zip(
            *(self._chain.sweep_in_parts() for _ in range(n_sweeps)), strict=True
        )
        return {"emissions": emissions, "states": states}

    def fit(self, data, n_states, n_syllables, gd_iters, n_sweeps):
        """Load data and run a chain of so many sweeps."""
        chain = Chain(data, n_states, n_syllables, gd_iters)
        for _ in range(n_sweeps):
            chain.sweep()
        chain.wait()


if __name__ == "__main__":
    side = Side()
    serve(
        {
            "versions": side.versions,
            "start": side.start,
            "sweeps": side.sweeps,
            "parts": side.parts,
            "fit": side.fit,
            "peak_memory": peak_memory,
        }
    )
