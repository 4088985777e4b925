"""Run this library: fits, and sweeps of a chain.

A fit is the estimator's. The time of a sweep is taken from `hhmm._inference.loop.iterate`, the loop
that the estimator runs, on the chain that a short fit leaves. The parts of a sweep are the same
kernels, compiled apart and called in turn along that chain.
"""

import functools
import time

import jax
import numpy as np

import hhmm
from benchmarks._serve import peak_memory, seconds_of, serve
from benchmarks.workloads import PUBLISHED
from hhmm import EfficientHHMM
from hhmm._emission_solvers import Newton
from hhmm._inference import compiled, initialise
from hhmm._inference.chain import Phase, Settings, key_words, sweep_keys
from hhmm._inference.loop import Plan, Start, iterate
from hhmm._inference.parts import LocalParts
from hhmm._model.terms import Terms
from hhmm._runtime import threads
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Priors


class Chain:
    """A chain at the states that a fit left, and what `iterate` needs beside it."""

    @double_precision
    def __init__(self, model, X):
        terms = Terms(len(model.trans_probs_), model.n_syllables_)
        priors = Priors(**{name: np.float64(value) for name, value in model.sigmas_.items()})
        self._n_draws = model.n_draws
        sequences = list(X)
        self._parts = LocalParts.make(RunLengths.of(sequences), terms, model.message_passing)
        self._settings = Settings(
            solver=Newton(model.emission_gd_iters),
            sampler=model.emission_sampler,
            backend=self._parts.backend,
            terms=terms,
        )
        self._state = initialise.start_from_states(
            list(model.states_), sequences, priors, settings=self._settings
        )._replace(tuning=model._ends[model.best_chain_].tuning)
        self._key = key_from_random_state(0)
        self._n_done = 0

    @double_precision
    def sweeps(self, n_sweeps):
        """Run sweeps in the estimator's loop."""
        plan = Plan(self._parts, "gibbs", self._settings, n_sweeps, n_draws=self._n_draws)
        start = Start(self._key, self._state, self._n_done)
        result = iterate(start, plan, report=lambda *_: None)
        self._state = result.chain
        self._n_done += n_sweeps

    @double_precision
    def sweep_in_parts(self):
        """Draw parameters and wait, draw states and wait; return the seconds of each.

        These are the calls that `iterate` makes for groups of lanes, of which there may be one.
        """
        keys = key_words(sweep_keys(self._key, np.int32(self._n_done), "gibbs"))
        static = {"algorithm": "gibbs", "settings": self._settings}
        phase = Phase(np.bool_(False), np.bool_(False))
        chain = self._state._replace(
            states=None, has_states=None, log_joint=None, log_likelihood=None
        )
        began = time.perf_counter()
        chain = jax.block_until_ready(compiled.params_kernel(keys, chain, phase, **static))
        between = time.perf_counter()
        given = keys.states, chain.logits, chain.trans_probs
        calls = [
            functools.partial(compiled.states_kernel, *given, group, **static)
            for group in self._parts.groups
        ]
        drawn = threads.run_in_threads(*calls)
        ended = time.perf_counter()
        self._state = chain._replace(
            has_states=np.bool_(True),
            states=self._state.states,  # the next sweep uses their counts alone
            stats=compiled.sum_stats(*(stats for _, stats, _ in drawn)),
            log_joint=np.float64(np.nan),
            log_likelihood=np.float64(np.nan),
        )
        self._n_done += 1
        return between - began, ended - between


class Side:
    """The requests; times in seconds."""

    def __init__(self):
        self._chain = None

    def versions(self):
        """Return versions, and the kind of device that JAX computes on."""
        return {
            "hhmm": hhmm.__version__,
            "jax": jax.__version__,
            "numpy": np.__version__,
            "device": jax.default_backend(),
        }

    def start(
        self,
        data,
        n_states,
        n_syllables,
        from_truth,
        warm_sweeps,
        emission_sampler="laplace",
        fit_sweeps=2,  # the first sweep of a chain that starts at parameters draws states alone
    ):
        """Fit twice, and start a chain where the fit ended.

        Returns the time from loading data to the end of the first fit; by how much the first call
        of a fit and of each part of a sweep is longer than the second, which is compilation; mean
        acceptance of the emissions over the second half of the fit; and the number of proposals
        that were lost to numerical error.
        """
        fitted = []

        def fit():
            loaded = np.load(data)
            X = loaded["syllables"]
            model = EfficientHHMM(
                n_states,
                n_syllables,
                init=loaded["states"] if from_truth else "prior",
                max_iter=fit_sweeps,
                random_state=0,
                **PUBLISHED | {"emission_sampler": emission_sampler},
            )
            fitted[:] = model.fit(X), X

        first_fit, second_fit = seconds_of(fit), seconds_of(fit)
        model = fitted[0]
        self._chain = Chain(*fitted)
        self._chain.sweeps(warm_sweeps)
        first, second = self._chain.sweep_in_parts(), self._chain.sweep_in_parts()
        return {
            "first_sweep": first_fit,
            "compiling": {
                "a fit": max(first_fit - second_fit, 0.0),
                "emissions part": max(first[0] - second[0], 0.0),
                "states part": max(first[1] - second[1], 0.0),
            },
            "acceptance": float(model.emission_acceptance_[0, fit_sweeps // 2 :].mean()),
            "n_diverging": int(model.emission_diverging_.sum()),
        }

    def sweeps(self, n_sweeps):
        """Run sweeps; return the time of one."""
        return seconds_of(lambda: self._chain.sweeps(n_sweeps)) / n_sweeps

    def parts(self, n_sweeps):
        """Run sweeps; return the times of drawing parameters, and of drawing states."""
        parts = [self._chain.sweep_in_parts() for _ in range(n_sweeps)]
        emissions, states = zip(*parts, strict=True)
        return {"emissions": emissions, "states": states}

    def fit(self, data, n_states, n_syllables, from_truth, n_sweeps):
        """Load data and fit a model with so many sweeps, as a user would."""
        loaded = np.load(data)
        init = {"init": loaded["states"]} if from_truth else {}
        settings = PUBLISHED | init | {"max_iter": n_sweeps, "random_state": 0}
        EfficientHHMM(n_states, n_syllables, **settings).fit(loaded["syllables"])


if __name__ == "__main__":
    side = Side()
    names = ("versions", "start", "sweeps", "parts", "fit")
    serve({name: getattr(side, name) for name in names} | {"peak_memory": peak_memory})
