"""Fits of the part *efficiency*: models of different economy on the same sequences."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks import _free_emissions as free
from benchmarks._serve import serve
from benchmarks.workloads import PUBLISHED
from hhmm import EfficientHHMM
from hhmm.datasets import make_hhmm
from hhmm.metrics import matched_accuracy

MAX_ITER = 1000
TOL = 1e-2


class World:
    """Sequences from one truth, to train on and to test on."""

    def __init__(self):
        self._train = self._states = self._test = self._test_states = None

    def make(self, seed, n_train, n_test, n_timesteps, n_states, n_syllables):
        """Simulate; returns score and accuracy of the truth on the test sequences."""
        data = make_hhmm(n_train + n_test, n_timesteps, n_states, n_syllables, random_state=seed)
        self._train, self._test = data.X[:n_train], data.X[n_train:]
        self._states, self._test_states = data.states[:n_train], data.states[n_train:]
        truth = EfficientHHMM.from_params(
            data.emission_base, data.emission_biases, data.trans_probs
        )
        return self._judge(truth)

    def fit(self, n_train, n_states, n_syllables, emission_alpha, seed):
        """Fit every model to the first sequences; returns score and accuracy of each."""
        X, states = self._train[:n_train], self._states[:n_train]

        def em(n_states, init, max_iter=MAX_ITER):
            model = EfficientHHMM(
                n_states,
                n_syllables,
                algorithm="em",
                init=init,
                max_iter=max_iter,
                tol=TOL,
                random_state=seed,
                **PUBLISHED,
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # of one iteration
                return model.fit(X)

        start = em(n_states, "windows", max_iter=1)
        priors = free.Priors(emission_alpha, start.trans_beta, start.trans_kappa)
        same = free.FreeParams(start.trans_probs_, start.syllable_trans_probs_)
        true = free.count(X, states, n_states, n_syllables)
        return {
            "this model": self._judge(em(n_states, start)),
            "free": self._judge_free(free.fit(X, same, priors, max_iter=MAX_ITER, tol=TOL)),
            "free from truth": self._judge_free(
                free.fit(X, true, priors, max_iter=MAX_ITER, tol=TOL)
            ),
            "one state": self._judge(em(1, "prior")),
        }

    def _judge(self, model):
        probabilities = model.predict_proba(self._test)
        return {
            "score": model.score(self._test),
            "accuracy": self._accuracy(np.asarray(probabilities).argmax(axis=-1)),
        }

    def _judge_free(self, fit):
        return {
            "score": free.score(self._test, fit.params),
            "accuracy": self._accuracy(free.predict(self._test, fit.params)),
        }

    def _accuracy(self, states):
        return float(matched_accuracy(self._test_states, states))


if __name__ == "__main__":
    world = World()
    serve({"make": world.make, "fit": world.fit})
