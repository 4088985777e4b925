"""The state of a chain of sweeps, and a sweep as Gibbs sampling and EM have it in common.

Both go back and forth between two halves: parameters given what is known of the states, in the
form of sufficient statistics, and the states given the parameters. Gibbs sampling draws each,
EM takes the mode of the one and the expectation over the other.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from hhmm._emission_solvers.objective import Tuning
from hhmm._model.joint import log_prior
from hhmm._model.terms import Terms
from hhmm._types import Array, EmissionLogits, Priors, SufficientStats


class Settings(NamedTuple):
    """Choices that decide what is compiled; hashable."""

    emission_solver: str
    emission_sampler: str
    emission_gd_iters: int
    backend: str  # of message passing
    terms: Terms  # of the emissions
    learnt: tuple = ()  # fields of Priors that are learnt, in their order


class Phase(NamedTuple):
    """Flags of a sweep; both are False in the second half of a chain."""

    warming_up: Array = False  # () bool: no draw is kept, so the posterior may change
    holds_scales: Array = False  # () bool: scales that are learnt stay as they are


class Stages(NamedTuple):
    """Numbers of sweeps after which phases end, counted from the first sweep of the chain."""

    n_warm_up: Array = 0  # () int32
    n_held: Array = 0  # () int32, `FOREVER` where scales are never learnt

    def phase(self, sweep):
        """Return the `Phase` of a sweep."""
        return Phase(sweep < self.n_warm_up, sweep < self.n_held)


# more sweeps than any chain has
FOREVER = 2**31 - 1


class ChainState(NamedTuple):
    """A chain between two sweeps.

    A chain that starts at parameters has no states yet: `has_states` is False, and
    `sweep` then goes on to the states alone.
    """

    has_states: Array  # () bool

    stats: SufficientStats  # of the current states
    states: Any  # as the backend of message passing draws them; () for EM and gradient
    logits: EmissionLogits  # the last draw, or mode; NaN where there is none
    trans_probs: Array  # the last draw, or mode, (n_states, n_states)
    priors: Priors  # with the last draw, or estimate, of the scales that are learnt
    mode: EmissionLogits  # where the next emission solve starts
    log_joint: Array  # (), nats
    log_likelihood: Array  # (), nats, with the states summed out
    emission_losses: Array  # (emission_gd_iters,), the last solve's
    emission_n_iter: Array  # () int32, the last solve's
    emission_decrement: Array  # (), half the squared Newton decrement of the last solve
    emission_acceptance: Array  # (), probability that the last proposal was accepted
    emission_diverging: Array  # () bool, whether the last proposal was lost to numerical error
    tuning: Tuning  # of the sampler of the emissions
    optimizer: Any  # what the gradient algorithm carries from step to step; () for the others


def sweep(algorithm, key, chain, sequences, learning_rate, phase, *, settings):
    """One sweep: parameters, then states.

    Parameters
    ----------
    algorithm : module
        With functions `update_params` and `update_states`.
    key : JAX key, of this sweep alone
    chain : ChainState
    sequences : PackedSequences or RunData
        As the backend reads them.
    learning_rate : () float64
        For the solvers that have one.
    phase : Phase
    settings : Settings, static

    Returns
    -------
    chain : ChainState
    """
    key_emission, key_trans, key_states = sweep_keys(key)
    chain = jax.lax.cond(
        chain.has_states,
        lambda: algorithm.update_params(
            key_emission,
            key_trans,
            chain,
            learning_rate,
            phase,
            settings=settings,
        ),
        lambda: chain,
    )
    states, stats, log_likelihood = algorithm.update_states(
        key_states, chain.logits, chain.trans_probs, sequences, settings=settings
    )
    return chain._replace(
        has_states=jnp.bool_(True),
        states=states,
        stats=stats,
        log_likelihood=log_likelihood,
        log_joint=log_likelihood
        + log_prior(settings.terms, chain.logits, chain.trans_probs, chain.priors),
    )


def sweep_keys(key):
    """Keys of the halves of a sweep: of the emissions, the transitions, the states."""
    return jax.random.split(key, 3)
