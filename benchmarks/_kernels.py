"""The inside of a worker of message passing kernels: one library, a few kernels, timed apart.

Kernels, by name:

==================  ==================================================================
``filter``          p(z[t] | x[1..t]) of every timestep; of peers log p(x) as well
``log_likelihood``  log p(x) of every sequence; of this library only, which has it apart
``smoother``        p(z[t] | x) of every timestep
``viterbi``         the most probable states of every sequence
==================  ==================================================================
"""

import time

import numpy as np

from benchmarks._serve import serve


def serve_kernels(load, versions):
    """Serve requests: `versions`, ``start`` and ``run``.

    Parameters
    ----------
    load : callable
        Takes the arguments of ``start`` and returns a dict of kernels, which compute and wait,
        and a callable that returns results to compare: ``log_likelihoods`` (n_sequences,),
        ``smoothed`` (n_sequences, n_timesteps, n_states) and ``states`` (n_sequences,
        n_timesteps).
    versions : callable
        Takes nothing.
    """
    kernels = {}

    def start(results, **arguments):
        """Compile; writes what to compare to `results` (.npz) and returns seconds by kernel."""
        loaded, to_compare = load(**arguments)
        kernels.update(loaded)
        seconds = {name: seconds_to_compile(kernel) for name, kernel in kernels.items()}
        np.savez(results, **to_compare())
        return seconds

    def run(kernel, n_calls):
        """Seconds of each call."""
        return [seconds_of(kernels[kernel]) for _ in range(n_calls)]

    serve({"versions": versions, "start": start, "run": run})


def seconds_of(function):
    """Call it once and time that."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def seconds_to_compile(function):
    """The first call takes so much longer than the second, at least 0."""
    return max(seconds_of(function) - seconds_of(function), 0.0)
