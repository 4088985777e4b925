"""Simulate data once, for all sides to load.

Data at the frame rate of a camera holds each syllable for tens of timesteps. It is simulated as a
sequence of syllables from the model, each of which then lasts a geometrically distributed number
of timesteps, and its state with it.
"""

import numpy as np

from benchmarks._serve import serve
from hhmm import EfficientHHMM
from hhmm.datasets import make_hhmm


def make_data(data, n_sequences, n_timesteps, n_states, n_syllables, mean_run, seed):
    """Simulate, and write syllables, states and parameters to `data` (.npz)."""
    # six standard deviations more than the mean number of runs nearly always fill the timesteps
    n_runs = n_timesteps / mean_run
    n_runs = n_timesteps if mean_run == 1 else int(np.ceil(n_runs + 6 * np.sqrt(n_runs) + 1))
    made = make_hhmm(n_sequences, n_runs, n_states, n_syllables, random_state=seed)
    syllables, states = made.X, made.states
    if mean_run > 1:
        rng = np.random.default_rng(seed)
        syllables, states = hold(rng, (syllables, states), n_timesteps, mean_run)
    params = {name: made[name] for name in ("emission_base", "emission_biases", "trans_probs")}
    np.savez(data, syllables=syllables, states=states, **params)


def hold(rng, arrays, n_timesteps, mean_run):
    """Let every entry last a geometric number of timesteps, the same in all arrays.

    Parameters
    ----------
    rng : numpy.random.Generator
    arrays : tuple of (n_sequences, n_runs) arrays
    n_timesteps : int
        The length at which a sequence is cut. A shorter one repeats its last entry.
    mean_run : float
        Mean number of timesteps of a run.

    Returns
    -------
    held : tuple of (n_sequences, n_timesteps) arrays
    """
    held = tuple(np.empty((len(array), n_timesteps), array.dtype) for array in arrays)
    for i in range(len(arrays[0])):
        lengths = rng.geometric(1 / mean_run, arrays[0].shape[1])
        lengths[-1] += max(0, n_timesteps - lengths.sum())
        run = np.repeat(np.arange(len(lengths)), lengths)[:n_timesteps]
        for long, array in zip(held, arrays, strict=True):
            long[i] = array[i, run]
    return held


def emissions(data, out):
    """Write the emission of every timestep under the true parameters, and these, to `out` (.npz).

    ``emissions`` is p(x[t] | x[t-1], z[t]), (n_sequences, n_timesteps, n_states), 1 at the first
    timestep of a sequence.
    """
    true = np.load(data)
    X = true["syllables"]
    model = EfficientHHMM.from_params(
        true["emission_base"], true["emission_biases"], true["trans_probs"]
    )
    probs = np.moveaxis(model.syllable_trans_probs_, 0, -1)
    by_timestep = np.ones((*X.shape, probs.shape[-1]))
    by_timestep[:, 1:] = probs[X[:, :-1], X[:, 1:]]
    np.savez(out, emissions=by_timestep, trans_probs=true["trans_probs"])


if __name__ == "__main__":
    serve({"make_data": make_data, "emissions": emissions})
