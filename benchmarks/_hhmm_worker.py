"""This library's side.

A fit is the estimator's. The time of a sweep is taken from `hhmm._inference.loop.run`, the
loop that the estimator runs, on the chain that a short fit leaves. The parts of a sweep are
the same kernels compiled apart, taken in turn along that chain.
"""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np

import hhmm
from benchmarks._kernels import seconds_of
from benchmarks._serve import peak_memory, serve
from benchmarks.workloads import PUBLISHED
from hhmm import EfficientHHMM
from hhmm._emission_solvers import objective
from hhmm._inference import compiled, initialise
from hhmm._inference.chain import Phase, Settings, Stages
from hhmm._inference.loop import Start, run
from hhmm._inference.prepare import prepare
from hhmm._model.terms import Terms
from hhmm._runtime import threads
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._types import Priors
from hhmm.metrics import matched_accuracy

_hessian_product = jax.jit(objective.hessian_product, static_argnums=0)


def published(model):
    """Terms and priors of a fitted model of base and biases."""
    sigmas = (np.float64(model.sigmas_[name]) for name in Priors._fields)
    return Terms(len(model.trans_probs_), model.n_syllables_), Priors(*sigmas)


class Chain:
    """A chain at the states that a fit left, and what `run` needs beside it."""

    @double_precision
    def __init__(self, model, X):
        terms, priors = published(model)
        self._learning_rate = np.float64(model.emission_gd_lr)
        self._n_draws = model.n_draws
        sequences = list(X)
        prepared = prepare(sequences, terms, model.message_passing, every_timestep=False)
        self._settings = Settings(
            emission_solver=model.emission_solver,
            emission_sampler=model.emission_sampler,
            emission_gd_iters=model.emission_gd_iters,
            backend=prepared.backend,
            terms=terms,
        )
        self._state = initialise.start_from_states(
            list(model.states_),
            sequences,
            prepared,
            priors,
            settings=self._settings,
        )._replace(tuning=model._ends[model.best_chain_].tuning)
        self._groups = jax.device_put(prepared.groups)
        self._prepared = prepared._replace(
            groups=self._groups,
            data=self._groups[0] if len(self._groups) == 1 else prepared.data,
        )
        self._key = key_from_random_state(0)
        self._n_done = 0

    @double_precision
    def sweeps(self, n_sweeps):
        """Run sweeps in the estimator's loop."""
        result = run(
            Start(self._key, self._state, self._n_done),
            self._prepared,
            self._learning_rate,
            algorithm="gibbs",
            settings=self._settings,
            n_iter=n_sweeps,
            n_draws=self._n_draws,
            stages=Stages(),
            report=lambda *_: None,
        )
        self._state = result.chain
        self._n_done += n_sweeps

    @double_precision
    def sweep_in_parts(self):
        """Draw parameters and wait, draw states and wait; returns the seconds of each.

        By the calls for groups of lanes, of which there may be one, as `run` makes them.
        """
        key_emission, key_trans, key_states = jax.block_until_ready(
            compiled.sweep_keys(self._key, np.int32(self._n_done))
        )
        chain = self._state._replace(states=None, has_states=None, stats=None, log_joint=None)
        began = time.perf_counter()
        chain, _ = jax.block_until_ready(
            compiled.update_params(
                key_emission,
                key_trans,
                chain,
                self._stats_of_groups(),
                self._learning_rate,
                Phase(np.bool_(False), np.bool_(False)),
                algorithm="gibbs",
                settings=self._settings,
            )
        )
        between = time.perf_counter()
        drawn = threads.run_in_threads(
            *(
                functools.partial(
                    compiled.update_states,
                    key_states,
                    chain.logits,
                    chain.trans_probs,
                    group,
                    algorithm="gibbs",
                    settings=self._settings,
                )
                for group in self._groups
            )
        )
        ended = time.perf_counter()
        self._state = chain._replace(
            has_states=np.bool_(True),
            states=self._state.states,  # of no matter: their counts are what goes on
            stats=jax.tree.map(lambda *parts: sum(map(np.asarray, parts)), *(d[1] for d in drawn)),
            log_joint=np.float64(np.nan),
        )
        self._n_done += 1
        return between - began, ended - between

    def _stats_of_groups(self):
        nothing = jax.tree.map(np.zeros_like, self._state.stats)
        return (self._state.stats, *[nothing] * (len(self._groups) - 1))


class Side:
    """What can be requested; times in seconds."""

    def __init__(self):
        self._chain = None
        self._truth = None

    def versions(self):
        """Versions, and the kind of device that JAX computes on."""
        return {
            "hhmm": hhmm.__version__,
            "jax": jax.__version__,
            "numpy": np.__version__,
            "device": jax.default_backend(),
        }

    def start(self, data, n_states, n_syllables, warm_sweeps, truth=None):
        """Start a chain, at the true states if `truth` is given.

        Returns the time from loading data to the end of the first sweep, and what of the
        sweep and of each of its parts is compilation: the first call minus the second.
        """

        def fit():
            X = np.load(data)
            init = "prior" if truth is None else np.load(truth)["states"]
            # a chain that starts at parameters draws states alone in its first sweep
            model = EfficientHHMM(
                n_states, n_syllables, init=init, max_iter=2, random_state=0, **PUBLISHED
            )
            return model.fit(X), X

        first_sweep = seconds_of(fit)
        began = time.perf_counter()
        fitted = fit()
        second_time = time.perf_counter() - began
        self._chain = Chain(*fitted)
        self._chain.sweeps(warm_sweeps)
        first, second = self._chain.sweep_in_parts(), self._chain.sweep_in_parts()
        return {
            "first_sweep": first_sweep,
            "compiling": {
                "a fit": max(first_sweep - second_time, 0.0),
                "emissions part": max(first[0] - second[0], 0.0),
                "states part": max(first[1] - second[1], 0.0),
            },
        }

    def sweeps(self, n_sweeps):
        """Run sweeps; returns the time of one."""
        began = time.perf_counter()
        self._chain.sweeps(n_sweeps)
        return (time.perf_counter() - began) / n_sweeps

    def parts(self, n_sweeps):
        """Run sweeps; returns the times of drawing parameters, and of drawing states."""
        emissions, states = zip(
            *(self._chain.sweep_in_parts() for _ in range(n_sweeps)), strict=True
        )
        return {"emissions": emissions, "states": states}

    @double_precision
    def hessian_product(self, n_states, n_syllables, n_calls):
        """Seconds of each of some products with the Hessian of the emissions."""
        rng = np.random.default_rng(0)
        probs = rng.dirichlet(np.ones(n_syllables), (n_states, n_syllables))
        departures = rng.integers(1, 100, (n_states, n_syllables, 1))
        precision = np.ones((n_syllables + n_states, 1))
        hessian = jax.device_put(objective.Curvature(probs, departures * probs, precision))
        terms = Terms(n_states, n_syllables)
        direction = terms.project(
            jnp.asarray(rng.standard_normal((n_syllables + n_states, n_syllables)))
        )

        def product():
            _hessian_product(terms, hessian, direction).block_until_ready()

        product()  # compiles
        return [seconds_of(product) for _ in range(n_calls)]

    def fit(self, data, n_states, n_syllables, n_sweeps):
        """Load data and fit a model with so many sweeps."""
        EfficientHHMM(n_states, n_syllables, max_iter=n_sweeps, random_state=0, **PUBLISHED).fit(
            np.load(data)
        )

    def true_recovery(self, data, truth):
        """Accuracy and log joint under the true parameters."""
        X, true = np.load(data), np.load(truth)
        model = EfficientHHMM.from_params(
            true["emission_base"], true["emission_biases"], true["trans_probs"], **PUBLISHED
        )
        return {
            "accuracy": _smoothed_accuracy(model, X, true["states"]),
            "log_joint": model.log_joint(X),
        }

    def recovery(self, data, truth, n_states, n_syllables, n_sweeps, seed):
        """Accuracy and log joint of a fit."""
        X = np.load(data)
        began = time.perf_counter()
        model = EfficientHHMM(
            n_states, n_syllables, max_iter=n_sweeps, random_state=seed, **PUBLISHED
        ).fit(X)
        seconds = time.perf_counter() - began
        log_joint = model.log_joint_[0]
        return {
            "seed": seed,
            "accuracy": _smoothed_accuracy(model, X, np.load(truth)["states"]),
            "log_joint": float(log_joint[-1]),
            "log_joint_last_quarter": float(log_joint[-(n_sweeps // 4) :].mean()),
            "fit_seconds": seconds,
        }


def _smoothed_accuracy(model, X, states):
    return float(matched_accuracy(states, model.predict_proba(X).argmax(axis=-1)))


if __name__ == "__main__":
    side = Side()
    serve(
        {
            "versions": side.versions,
            "start": side.start,
            "sweeps": side.sweeps,
            "parts": side.parts,
            "hessian_product": side.hessian_product,
            "fit": side.fit,
            "true_recovery": side.true_recovery,
            "recovery": side.recovery,
            "peak_memory": peak_memory,
        }
    )
