"""Many sweeps between two looks of the host: in one compiled loop, or in calls for groups of lanes.

`fused` is one call whatever the number of sweeps: nothing but arithmetic where sweeps take
microseconds. `grouped` calls the kernels of every sweep from the host, that of the states
once for each group of lanes, in threads: of calls made from one thread, JAX runs one after the
other on a CPU, and a scan keeps one core busy. Both draw the same.
"""

import functools
import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hhmm._inference import chain as chains
from hhmm._inference import em, gibbs, gradient
from hhmm._model.joint import log_prior
from hhmm._runtime.keys import key_from_data
from hhmm._runtime.threads import together
from hhmm._types import Array, EmissionLogits, Priors

ALGORITHMS = {"em": em, "gibbs": gibbs, "gradient": gradient}
# algorithms whose sweeps go back and forth between parameters and states
ALTERNATING = {"em", "gibbs"}
MAX_SWEEPS_PER_DISPATCH = 64
# A gain smaller than this part of the log joint is rounding: an algorithm that climbs stops.
ROUNDING = 1e-9
# what `grouped` has called before: what it has not, it compiles at the same time
_compiled = set()


class Kept(NamedTuple):
    """Kept draws, leading axis (n_draws,)."""

    logits: EmissionLogits
    trans_probs: Array
    log_joint: Array
    priors: Priors = None  # None in checkpoints of version 0.1


def kept_of(chain):
    """What is kept of a chain after a sweep."""
    return Kept(*(getattr(chain, name) for name in Kept._fields))


class Trace(NamedTuple):
    """What a dispatch recorded, leading axis (MAX_SWEEPS_PER_DISPATCH,) or shorter."""

    log_joint: Array
    log_likelihood: Array
    emission_decrement: Array
    emission_acceptance: Array
    emission_diverging: Array


def trace_of(chain):
    """What is recorded of a chain after a sweep."""
    return Trace(*(getattr(chain, name) for name in Trace._fields))


@functools.partial(jax.jit, static_argnames=("algorithm", "settings"))
def fused(
    key,
    chain,
    draws,
    first_sweep,
    n_sweeps,
    slots,
    sequences,
    learning_rate,
    stages,
    tol,
    *,
    algorithm,
    settings,
):
    """Run sweeps in one call.

    Parameters
    ----------
    key : JAX key of the chain
    chain : chain.ChainState
    draws : Kept
    first_sweep, n_sweeps : () int32
    slots : (MAX_SWEEPS_PER_DISPATCH,) int32
        Where in `draws` each sweep is kept; past its end, it is not.
    sequences : PackedSequences or RunData
    learning_rate : () float64
    stages : chain.Stages
    tol : () float64
        A sweep that gains at most so many nats is the last one; negative for never.
    algorithm : str, a key of ``ALGORITHMS``, static
    settings : chain.Settings, static

    Returns
    -------
    chain : chain.ChainState
    draws : Kept
    trace : Trace
    n_done : () int32
        Sweeps done.
    stopped : () bool
        Whether the last one gained too little for another one.
    """

    def unfinished(carry):
        i, stops, *_ = carry
        return (i < n_sweeps) & ~stops

    def body(carry):
        i, _, chain, draws, trace = carry
        before, priors = chain.log_joint, chain.priors
        phase = stages.phase(first_sweep + i)
        chain = ALGORITHMS[algorithm].sweep(
            jax.random.fold_in(key, first_sweep + i),
            chain,
            sequences,
            learning_rate,
            phase,
            settings=settings,
        )
        trace = jax.tree.map(lambda all_, new: all_.at[i].set(new), trace, trace_of(chain))
        stops = has_stopped(before, chain.log_joint, tol)
        if settings.learnt:
            learns_later = phase.holds_scales & (stages.n_held < chains.FOREVER)
            stops &= ~(scales_moved(priors, chain.priors) | learns_later)
        return i + 1, stops, chain, _keep(draws, slots[i], chain), trace

    empty = jax.tree.map(
        lambda x: jnp.zeros(MAX_SWEEPS_PER_DISPATCH, jnp.asarray(x).dtype), trace_of(chain)
    )
    carry = jnp.int32(0), jnp.bool_(False), chain, draws, empty
    n_done, stopped, chain, draws, trace = lax.while_loop(unfinished, body, carry)
    return chain, draws, trace, n_done, stopped


def has_stopped(before, log_joint, tol):
    """Whether a sweep gained too little for another one to be worth while."""
    gain = log_joint - before
    return (tol >= 0) & ((gain <= tol) | (gain <= ROUNDING * abs(log_joint)))


def scales_moved(before, after):
    """Whether a scale that is learnt has changed: log joints are then not comparable."""
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return functools.reduce(operator.or_, (old != new for old, new in pairs))


def grouped(
    key,
    chain,
    draws,
    first_sweep,
    n_sweeps,
    slots,
    groups,
    learning_rate,
    stages,
    tol,
    *,
    algorithm,
    settings,
):
    """Run sweeps with a call for each group of lanes; as `fused`, with a list of sequences.

    `draws` are NumPy arrays, and are written to.
    """
    states, has_states = chain.states, chain.has_states
    # as many as there are groups, so that the first call is like all others
    nothing = jax.tree.map(np.zeros_like, chain.stats)
    stats = (chain.stats, *[nothing] * (len(groups) - 1))
    recorded, log_joint, stopped = [], chain.log_joint, False
    # what the parameters do not need stays out of the calls; so does the flag, which is the host's
    chain = chain._replace(
        states=None, has_states=None, stats=None, log_joint=None, log_likelihood=None
    )
    log_prior_ = None

    def next_params(key_emission, key_trans, sweep):
        return update_params(
            key_emission,
            key_trans,
            chain,
            stats,
            learning_rate,
            stages.phase(np.int32(sweep)),
            algorithm=algorithm,
            settings=settings,
        )

    def next_states(key_states, group):
        return update_states(
            key_states,
            chain.logits,
            chain.trans_probs,
            group,
            algorithm=algorithm,
            settings=settings,
        )

    shapes = str(jax.tree.map(jnp.shape, (chain, groups[0])))
    if (algorithm, settings, shapes) not in _compiled:
        key_emission, key_trans, key_states = sweep_keys(key, first_sweep)
        together(
            functools.partial(next_params, key_emission, key_trans, first_sweep),
            functools.partial(next_states, key_states, groups[0]),
        )
        _compiled.add((algorithm, settings, shapes))
    for i in range(n_sweeps):
        key_emission, key_trans, key_states = sweep_keys(key, first_sweep + i)
        priors = chain.priors
        if has_states:
            chain, log_prior_ = next_params(key_emission, key_trans, first_sweep + i)
        drawn = together(*(functools.partial(next_states, key_states, group) for group in groups))
        states, stats, log_likelihoods = zip(*drawn, strict=True)
        has_states = np.bool_(True)
        before = log_joint
        learns_later = i + first_sweep < stages.n_held < chains.FOREVER
        moved = bool(settings.learnt) and (learns_later or scales_moved(priors, chain.priors))
        log_likelihood = sum(map(float, log_likelihoods))
        log_joint = log_likelihood + (np.nan if log_prior_ is None else float(log_prior_))
        recorded.append(chain._replace(log_joint=log_joint, log_likelihood=log_likelihood))
        stopped = bool(has_stopped(before, log_joint, tol)) and not moved
        if stopped:
            break
    trace = []
    for slot, drawn in zip(slots, recorded, strict=False):
        trace.append(jax.tree.map(np.asarray, trace_of(drawn)))
        if slot < len(draws.log_joint):
            kept = kept_of(drawn)
            jax.tree.map(lambda all_, new, slot=slot: all_.__setitem__(slot, new), draws, kept)
    chain = chain._replace(
        states=states,
        has_states=has_states,
        stats=jax.tree.map(lambda *parts: sum(map(np.asarray, parts)), *stats),
        log_joint=np.float64(log_joint),
        log_likelihood=np.float64(log_likelihood),
    )
    trace = jax.tree.map(lambda *values: np.array(values), *trace)
    return chain, draws, trace, len(recorded), stopped


@functools.partial(jax.jit, static_argnames="settings")
def begin_ascent(chain, sequences, *, settings):
    """A chain of the gradient algorithm, from one that starts at states or at parameters."""
    key = key_from_data(jnp.zeros(2, jnp.uint32))  # EM takes keys as all algorithms do, uses none
    settings = settings._replace(emission_solver="newton")
    chain = em.sweep(key, chain, sequences, 0.0, chains.Phase(), settings=settings)
    return gradient.start(chain._replace(log_joint=jnp.nan), settings.terms)


@jax.jit
def sweep_keys(key, sweep):
    """Keys of the draws of a sweep, by themselves: each generator in a kernel is compiled anew."""
    return tuple(chains.sweep_keys(jax.random.fold_in(key, sweep)))


@functools.partial(jax.jit, static_argnames=("algorithm", "settings"))
def update_params(
    key_emission, key_trans, chain, stats, learning_rate, phase, *, algorithm, settings
):
    """Parameters given the counts of all groups: the chain, and its log prior."""
    chain = chain._replace(stats=jax.tree.map(lambda *parts: sum(parts), *stats))
    chain = ALGORITHMS[algorithm].update_params(
        key_emission, key_trans, chain, learning_rate, phase, settings=settings
    )
    # without weak types: with them the next call would compile again
    strong = jax.tree.map(lambda x: jnp.asarray(x, x.dtype), chain._replace(stats=None))
    return strong, log_prior(settings.terms, chain.logits, chain.trans_probs, chain.priors)


@functools.partial(jax.jit, static_argnames=("algorithm", "settings"))
def update_states(key_states, logits, trans_probs, group, *, algorithm, settings):
    """States of a group given the parameters: states, counts, log-likelihood."""
    return ALGORITHMS[algorithm].update_states(
        key_states, logits, trans_probs, group, settings=settings
    )


def _keep(draws, slot, chain):
    if len(draws.log_joint) == 0:
        return draws
    kept = kept_of(chain)
    return jax.tree.map(lambda all_, new: all_.at[slot].set(new, mode="drop"), draws, kept)
