"""Fits of the part *modes*, of this library alone and by its public API."""

import functools
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks._regimes import make_regimes
from benchmarks._serve import serve
from benchmarks.workloads import PUBLISHED
from hhmm import EfficientHHMM
from hhmm.datasets import load_bengalese_finch
from hhmm.metrics import matched_accuracy


class Problem:
    """The hard problem, which all its fits share."""

    def __init__(self):
        self._data = None
        self._n_states = self._n_syllables = None

    def make(self, **arguments):
        """Simulate; arguments of `make_regimes`. Returns the number of timesteps."""
        self._data = make_regimes(**arguments)
        self._n_states = len(arguments["kinds"])
        self._n_syllables = arguments["n_syllables"]
        return sum(map(len, self._data.sequences))

    def fit(self, algorithm, init, seed, max_iter):
        """Fit from `init`, "truth" for the true regimes.

        Returns the log joint (nats), for "em" of the mode, for "gibbs" the mean of the last
        quarter of the sweeps; accuracy; iterations; seconds.
        """
        began = time.perf_counter()
        with warnings.catch_warnings():
            # that some have not settled is what is looked for
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = EfficientHHMM(
                self._n_states,
                self._n_syllables,
                algorithm=algorithm,
                init=self._data.regimes if init == "truth" else init,
                max_iter=max_iter,
                random_state=seed,
                **PUBLISHED,
            ).fit(self._data.sequences)
        log_joint = model.log_joint_[0]
        n_last = len(log_joint) // 4 if algorithm == "gibbs" else 1
        return {
            "init": init,
            "seed": seed,
            "log_joint": float(log_joint[-n_last:].mean()),
            "accuracy": float(matched_accuracy(self._data.regimes, model.states_)),
            "n_iter": model.n_iter_,
            "converged": bool(model.converged_),
            "seconds": time.perf_counter() - began,
        }


@functools.cache
def _songs():
    """All songs, in the order in which they are split."""
    sequences = load_bengalese_finch().sequences
    order = np.random.default_rng(0).permutation(len(sequences))
    return [sequences[i] for i in order]


def song(n_states, seed, n_train, emission_sampler):
    """Fit songs and score the others: nats per transition, and seconds."""
    songs = _songs()
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = EfficientHHMM(
            n_states,
            9,
            trans_kappa=1,
            random_state=seed,
            **PUBLISHED | {"emission_sampler": emission_sampler},
        ).fit(songs[:n_train])
    return {
        "n_states": n_states,
        "seed": seed,
        "sampler": emission_sampler,
        "score": model.score(songs[n_train:]),
        "seconds": time.perf_counter() - began,
    }


if __name__ == "__main__":
    problem = Problem()
    serve({"make": problem.make, "fit": problem.fit, "song": song})
