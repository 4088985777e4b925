"""Many sweeps between two looks of the host: in one compiled loop, or in calls for groups of lanes.

`fused` is one call whatever the number of sweeps: nothing but arithmetic where sweeps take
microseconds. `grouped` calls the kernels of every sweep from the host, that of the states
once for each group of lanes; JAX runs these calls at the same time, and the calls of the next
sweeps wait in line. Both draw the same.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hhmm._inference import gibbs
from hhmm._messages import BACKENDS
from hhmm._model.emissions import emission_factors
from hhmm._model.joint import log_prior
from hhmm._types import Array, EmissionLogits

ALGORITHMS = {"gibbs": gibbs}
MAX_SWEEPS_PER_DISPATCH = 64
# sweeps whose calls are in line at the same time; their results are in memory
MAX_IN_LINE = 3


class Kept(NamedTuple):
    """Kept draws, leading axis (n_draws,)."""

    logits: EmissionLogits
    trans_probs: Array
    log_joint: Array


class Trace(NamedTuple):
    """What a dispatch recorded, leading axis (MAX_SWEEPS_PER_DISPATCH,) or shorter."""

    log_joint: Array
    emission_decrement: Array


@functools.partial(jax.jit, static_argnames=("algorithm", "settings"))
def fused(
    key,
    chain,
    draws,
    first_sweep,
    n_sweeps,
    slots,
    sequences,
    priors,
    learning_rate,
    *,
    algorithm,
    settings,
):
    """Run sweeps in one call.

    Parameters
    ----------
    key : JAX key of the chain
    chain : gibbs.ChainState
    draws : Kept
    first_sweep, n_sweeps : () int32
    slots : (MAX_SWEEPS_PER_DISPATCH,) int32
        Where in `draws` each sweep is kept; past its end, it is not.
    sequences : PackedSequences or RunData
    priors : Priors
    learning_rate : () float64
    algorithm : str, a key of ``ALGORITHMS``, static
    settings : gibbs.Settings, static

    Returns
    -------
    chain : gibbs.ChainState
    draws : Kept
    trace : Trace
    """

    def body(i, carry):
        chain, draws, trace = carry
        chain = ALGORITHMS[algorithm].sweep(
            jax.random.fold_in(key, first_sweep + i),
            chain,
            sequences,
            priors,
            learning_rate,
            settings=settings,
        )
        trace = Trace(
            trace.log_joint.at[i].set(chain.log_joint),
            trace.emission_decrement.at[i].set(chain.emission_decrement),
        )
        return chain, _keep(draws, slots[i], chain), trace

    empty = jnp.full(MAX_SWEEPS_PER_DISPATCH, jnp.nan)
    return lax.fori_loop(0, n_sweeps, body, (chain, draws, Trace(empty, empty)))


def grouped(
    key,
    chain,
    draws,
    first_sweep,
    n_sweeps,
    slots,
    groups,
    priors,
    learning_rate,
    *,
    algorithm,
    settings,
):
    """Run sweeps with a call for each group of lanes; as `fused`, with a list of sequences."""
    n_draws = len(draws.log_joint)
    has_states = chain.has_states
    trace = []
    for i in range(n_sweeps):
        sweep = first_sweep + i
        # what the parameters do not need stays out of the calls; so does the host's own flag,
        # which it would have to wait for
        chain = chain._replace(states=None, has_states=None)
        if has_states:
            chain = _draw_params(
                key, sweep, chain, priors, learning_rate, algorithm=algorithm, settings=settings
            )
        logits, trans_probs = chain.logits, chain.trans_probs
        states, stats, log_likelihoods = zip(
            *(
                _draw_states(key, sweep, logits, trans_probs, group, settings=settings)
                for group in groups
            ),
            strict=True,
        )
        has_states = np.bool_(True)
        chain = _join(chain, stats, log_likelihoods, priors)
        chain = chain._replace(states=states, has_states=has_states)
        if slots[i] < n_draws:
            draws = _keep_one(draws, slots[i], chain)
        trace.append(Trace(chain.log_joint, chain.emission_decrement))
        if i >= MAX_IN_LINE:
            trace[i - MAX_IN_LINE].log_joint.block_until_ready()
    return chain, draws, jax.tree.map(lambda *values: jnp.stack(values), *trace)


@functools.partial(jax.jit, static_argnames=("algorithm", "settings"))
def _draw_params(key, sweep, chain, priors, learning_rate, *, algorithm, settings):
    key_emission, key_trans, _ = gibbs.sweep_keys(jax.random.fold_in(key, sweep))
    return ALGORITHMS[algorithm].draw_params(
        key_emission, key_trans, chain, priors, learning_rate, settings=settings
    )


@functools.partial(jax.jit, static_argnames="settings")
def _draw_states(key, sweep, logits, trans_probs, group, *, settings):
    _, _, key_states = gibbs.sweep_keys(jax.random.fold_in(key, sweep))
    return BACKENDS[settings.backend].sample(
        key_states, emission_factors(logits), trans_probs, group
    )


@jax.jit
def _join(chain, stats, log_likelihoods, priors):
    """The chain with the counts of all groups, and its log joint."""
    return chain._replace(
        stats=jax.tree.map(lambda *parts: sum(parts), *stats),
        log_joint=sum(log_likelihoods) + log_prior(chain.logits, chain.trans_probs, priors),
    )


def _keep(draws, slot, chain):
    kept = Kept(chain.logits, chain.trans_probs, chain.log_joint)
    return jax.tree.map(lambda all_, new: all_.at[slot].set(new, mode="drop"), draws, kept)


_keep_one = jax.jit(_keep)
