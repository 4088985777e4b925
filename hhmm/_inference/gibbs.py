"""Gibbs sampling: parameters given states, states given parameters.

A sweep draws, in this order,

1. the emissions (b, c) given the syllable transition counts: the mode by the
   emission solver, warm-started at the last sweep's mode, and a draw around it, or from
   the last draw by Hamiltonian Monte Carlo;
2. the transitions A given the state transition counts, Dirichlet, exactly;
3. the states given all parameters, by forward filter and backward sampling
   (Scott 2002, Journal of the American Statistical Association 97), whose
   normalisers give log p(x | b, c, A) on the way.

The log joint recorded for a sweep is log p(x | b, c, A) + log p(b, c, A).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from hhmm._emission_solvers import SAMPLERS, SOLVERS
from hhmm._emission_solvers.objective import emission_counts
from hhmm._messages import BACKENDS
from hhmm._model.emissions import emission_factors
from hhmm._model.joint import log_prior
from hhmm._model.transitions import draw_trans_probs
from hhmm._types import Array, EmissionLogits, SufficientStats

# Half the squared Newton decrement, in nats, at which the emission mode counts as
# found: it is then within 0.0014 posterior standard deviations of the true one.
EMISSION_TOL = 1e-6


class Settings(NamedTuple):
    """Choices that decide what is compiled; hashable."""

    emission_solver: str
    emission_sampler: str
    emission_gd_iters: int
    backend: str  # of message passing


class ChainState(NamedTuple):
    """A chain between two sweeps.

    A chain that starts at parameters has no states yet: `has_states` is False, and
    `sweep` then draws the states alone.
    """

    has_states: Array  # () bool

    stats: SufficientStats  # of the current states
    states: Any  # as the backend of message passing draws them
    logits: EmissionLogits  # the last draw; NaN where there is none
    trans_probs: Array  # the last draw, (n_states, n_states)
    mode: EmissionLogits  # where the next emission solve starts
    log_joint: Array  # (), nats
    emission_losses: Array  # (emission_gd_iters,), the last solve's
    emission_n_iter: Array  # () int32, the last solve's
    emission_decrement: Array  # (), half the squared Newton decrement of the last solve
    emission_acceptance: Array  # (), probability that the last proposal was accepted
    emission_diverging: Array  # () bool, whether the last proposal was lost to numerical error


def sweep(key, chain, sequences, priors, learning_rate, warming_up, *, settings):
    """One Gibbs sweep.

    Parameters
    ----------
    key : JAX key, of this sweep alone
    chain : ChainState
    sequences : PackedSequences or RunData
        As the backend reads them.
    priors : Priors
    learning_rate : () float64
        For the solvers that have one.
    warming_up : () bool
        Whether the sweep is one that no draw is kept of, so that it need not leave the
        posterior invariant.
    settings : Settings, static

    Returns
    -------
    chain : ChainState
    """
    key_emission, key_trans, key_states = sweep_keys(key)
    chain = jax.lax.cond(
        chain.has_states,
        lambda: draw_params(
            key_emission,
            key_trans,
            chain,
            priors,
            learning_rate,
            warming_up,
            settings=settings,
        ),
        lambda: chain,
    )
    return draw_states(key_states, chain, sequences, priors, settings=settings)


def sweep_keys(key):
    """Keys of the draws of a sweep: of the emissions, the transitions, the states."""
    return jax.random.split(key, 3)


def draw_params(key_emission, key_trans, chain, priors, learning_rate, warming_up, *, settings):
    """Draw emissions and transitions given the states of the chain; returns the chain with them."""
    counts = emission_counts(chain.stats)
    solve = functools.partial(
        SOLVERS[settings.emission_solver],
        counts,
        priors,
        chain.mode,
        max_iter=settings.emission_gd_iters,
        learning_rate=learning_rate,
        tol=EMISSION_TOL,
    )
    drawn = SAMPLERS[settings.emission_sampler](
        key_emission, counts, priors, chain.logits, solve, warming_up
    )
    solution = drawn.solution
    return chain._replace(
        logits=drawn.logits,
        trans_probs=draw_trans_probs(key_trans, chain.stats.state_trans_counts, priors),
        mode=solution.mode,
        emission_losses=solution.losses,
        emission_n_iter=solution.n_iter,
        emission_decrement=solution.decrement,
        emission_acceptance=drawn.acceptance,
        emission_diverging=drawn.diverging,
    )


def draw_states(key, chain, sequences, priors, *, settings):
    """Draw the states given the parameters of the chain; returns the chain with them."""
    states, stats, log_likelihood = BACKENDS[settings.backend].sample(
        key, emission_factors(chain.logits), chain.trans_probs, sequences
    )
    return chain._replace(
        has_states=jnp.bool(True),
        states=states,
        stats=stats,
        log_joint=log_likelihood + log_prior(chain.logits, chain.trans_probs, priors),
    )
