"""Sweeps of this library with one sampler of the emissions and with the other, in one process."""

import functools
import itertools
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks._hhmm_worker import Chain, published
from benchmarks._kernels import seconds_of
from benchmarks._serve import serve
from benchmarks.workloads import PUBLISHED
from hhmm import EfficientHHMM
from hhmm._emission_solvers import SAMPLERS, hmc, newton, objective
from hhmm._runtime.precision import double_precision
from hhmm._types import SufficientStats


class Samplers:
    """Chains that differ in the sampler of their emissions alone, both from the true states."""

    def __init__(self):
        self._chains = {}
        self._draws = {}

    def start(self, data, truth, n_states, n_syllables, max_iter):
        """Fit with each sampler.

        Returns for each the mean probability of acceptance over the second half of the sweeps
        and the number of proposals lost to numerical error in all of them.
        """
        X, states = np.load(data), np.load(truth)["states"]
        fits = {}
        for sampler in SAMPLERS:
            model = EfficientHHMM(
                n_states,
                n_syllables,
                init=states,
                max_iter=max_iter,
                random_state=0,
                **PUBLISHED | {"emission_sampler": sampler},
            ).fit(X)
            self._chains[sampler] = Chain(model, X)
            self._draws[sampler] = Draws(model, X, sampler).draw
            self.sweeps(sampler, 1)
            self.parts(sampler, 1)
            self.draws(sampler, 1)
            fits[sampler] = {
                "acceptance": float(model.emission_acceptance_[0, max_iter // 2 :].mean()),
                "n_diverging": int(model.emission_diverging_.sum()),
                "n_sweeps": max_iter,
            }
        return fits

    def sweeps(self, sampler, n_sweeps):
        """Run sweeps; returns the time of one."""
        chain = self._chains[sampler]
        began = time.perf_counter()
        chain.sweeps(n_sweeps)
        return (time.perf_counter() - began) / n_sweeps

    def parts(self, sampler, n_sweeps):
        """Run sweeps; returns the times of drawing the parameters, emissions for the most part."""
        chain = self._chains[sampler]
        return [chain.sweep_in_parts()[0] for _ in range(n_sweeps)]

    def draws(self, sampler, n_draws):
        """Draw emissions for given counts whose mode is known; returns the times."""
        return [seconds_of(self._draws[sampler]) for _ in range(n_draws)]


class Draws:
    """Draws of the emissions for the counts of a fit's states, their mode being known.

    Of the solver is left the one linear system that it solves for the sampler.
    """

    @double_precision
    def __init__(self, model, X, sampler):
        terms, self._priors = published(model)
        shape = (model.n_states, model.n_syllables_, model.n_syllables_)
        stats = SufficientStats(None, count(X, model.states_, shape))
        self._counts = jax.device_put(objective.emission_counts(terms, stats))
        tuning = model._ends[model.best_chain_].tuning
        self._draw = jax.jit(functools.partial(_draw, terms, sampler=sampler, tuning=tuning))
        self._keys = (jax.random.key(i) for i in itertools.count())
        find_and_draw = jax.jit(functools.partial(_find_and_draw, terms))
        first = find_and_draw(next(self._keys), self._counts, self._priors)
        self._solution, self._logits = first.solution, first.logits

    @double_precision
    def draw(self):
        """Draw once, from where the last draw ended, and wait."""
        self._logits = jax.block_until_ready(
            self._draw(next(self._keys), self._counts, self._priors, self._solution, self._logits)
        )


def count(X, states, shape):
    """Syllable transitions (n_states, n_syllables, n_syllables), by the state that they lead to."""
    counts = np.zeros(shape)
    np.add.at(counts, (states[:, 1:], X[:, :-1], X[:, 1:]), 1)
    return counts


def _find_and_draw(terms, key, counts, priors):
    start = terms.unstack(jnp.zeros_like(counts.totals))
    solve = functools.partial(
        newton.solve,
        terms,
        counts,
        priors,
        start,
        max_iter=100,
        learning_rate=None,
        tol=hmc.MODE_TOL,
    )
    return SAMPLERS["laplace"](
        key, terms, counts, priors, start, solve, np.bool_(False), hmc.first_tuning()
    )


def _draw(terms, key, counts, priors, solution, current, *, sampler, tuning):
    def solve(right_hand_side, metric=lambda hessian: hessian, tol=None):
        del tol  # there is nothing to look for
        mode = terms.stack(solution.mode)
        hessian = objective.curvature(terms, counts, priors, objective.syllable_probs(terms, mode))
        hessian = metric(hessian)
        solved = objective.conjugate_gradients(
            terms,
            hessian,
            right_hand_side(hessian),
            tol=0,
            relative_tol=newton.LAST_RELATIVE_TOL,
            max_iter=newton.LAST_MAX_ITER,
        )
        return solution._replace(solved=solved)

    drawn = SAMPLERS[sampler](key, terms, counts, priors, current, solve, np.bool_(False), tuning)
    return drawn.logits


if __name__ == "__main__":
    samplers = Samplers()
    serve(
        {
            "start": samplers.start,
            "sweeps": samplers.sweeps,
            "parts": samplers.parts,
            "draws": samplers.draws,
        }
    )
