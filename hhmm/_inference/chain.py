"""The state of a chain of sweeps, and a sweep as Gibbs sampling and EM have it in common.

Both alternate between two halves: the parameters given what is known of the states, in the form of
sufficient statistics, and the states given the parameters. Gibbs sampling draws each; EM takes the
mode of the one and the expectation over the other.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hhmm._emission_solvers import Adam, Newton
from hhmm._emission_solvers.objective import LogitKeys, Tuning
from hhmm._model.joint import log_prior
from hhmm._model.terms import Terms
from hhmm._runtime.compilation import jit_large
from hhmm._runtime.keys import key_from_data, keys_of_pairs
from hhmm._types import Array, EmissionLogits, Priors, SufficientStats


class Settings(NamedTuple):
    """Choices that decide what is compiled; hashable."""

    solver: Newton | Adam  # of the emissions
    sampler: str  # of the emissions, a key of `SAMPLERS`
    backend: str  # of message passing
    terms: Terms  # of the emissions
    learnt: tuple = ()  # fields of Priors that are learnt, in their order
    # Half the squared Newton decrement, in nats, at which the mode of the emissions counts as
    # found: it is then within 0.0014 posterior standard deviations of the true one.
    mode_tol: float = 1e-6


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
    emission_losses: Array  # (max_iter of the solver,), the last solve's
    emission_n_iter: Array  # () int32, the last solve's
    emission_decrement: Array  # (), half the squared Newton decrement of the last solve
    emission_acceptance: Array  # (), probability that the last proposal was accepted
    emission_diverging: Array  # () bool, whether the last proposal was lost to numerical error
    tuning: Tuning  # of the sampler of the emissions
    optimizer: Any  # what the gradient algorithm carries from step to step; () for the others


class SweepKeys(NamedTuple):
    """Keys of a sweep, each of one call of a generator or of its blocks."""

    emissions: LogitKeys
    concentrations: Array
    transitions: Array  # where they are shared by all groups
    effects: LogitKeys  # where they are not
    states: Array


class Algorithm(NamedTuple):
    """The two halves of a sweep, as functions; `settings` are static."""

    # (keys, chain, phase, sequences, *, settings) -> chain; sequences are for sampler "marginal"
    update_params: Callable
    # (key, logits, trans_probs, sequences, *, settings) -> states, stats, log_likelihood
    update_states: Callable


def sweep(keys, chain, update_params, update_states, terms, cond=jax.lax.cond):
    """Do one sweep: parameters, then states.

    Parameters
    ----------
    keys : SweepKeys
        Of this sweep alone.
    chain : ChainState
    update_params : callable
        ``update_params(keys, chain)`` returns the chain with new parameters.
    update_states : callable
        ``update_states(key, logits, trans_probs)`` returns states, stats, log-likelihood.
    terms : Terms
    cond : callable
        `jax.lax.cond`, or a function of the same arguments outside of compiled code.

    Returns
    -------
    chain : ChainState
    """
    chain = cond(chain.has_states, lambda: update_params(keys, chain), lambda: chain)
    logits, trans_probs = chain.logits, chain.trans_probs
    states, stats, log_likelihood = update_states(keys.states, logits, trans_probs)
    return chain._replace(
        has_states=np.bool_(True),
        states=states,
        stats=stats,
        log_likelihood=log_likelihood,
        log_joint=_log_joint(log_likelihood, logits, trans_probs, chain.priors, terms),
    )


@functools.partial(jax.jit, static_argnames="terms")
def _log_joint(log_likelihood, logits, trans_probs, priors, terms):
    return log_likelihood + log_prior(terms, logits, trans_probs, priors)


@jit_large(static_argnames=("algorithm",))
def sweep_keys(key, sweeps, algorithm):
    """Return the keys of sweeps, apart from the sweeps: there, each split would be compiled anew.

    Parameters
    ----------
    key : JAX key
        Of the chain.
    sweeps : int32 array of any shape
    algorithm : {"em", "gibbs", "gradient"}, static
        All but "gibbs" have the same noise in every sweep.

    Returns
    -------
    keys : SweepKeys, arrays of the shape of `sweeps`
    """
    order = SweepKeys(LogitKeys(0, 1, 2), 3, 4, LogitKeys(5, 6, 7), 8)
    numbers, structure = jax.tree.flatten(order)
    if algorithm == "gibbs":
        keys = keys_of_pairs(key, sweeps[..., None], np.array(numbers))
    else:
        keys = key_from_data(jnp.zeros((*sweeps.shape, len(numbers), 2), jnp.uint32))
    return jax.tree.unflatten(structure, [keys[..., i] for i in numbers])


def key_words(keys):
    """Return the two words of each key, as NumPy arrays: a row of those is had in no time."""
    return jax.tree.map(lambda key: np.asarray(jax.random.key_data(key)), keys)
