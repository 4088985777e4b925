"""Many sweeps between two looks of the host: in one compiled loop, or in calls for parts of data.

`sweeps_in_one_call` is one call whatever the number of sweeps: nothing but arithmetic where sweeps
take microseconds. `sweeps_by_part` calls the kernels of every sweep from the host, that of the
states once for each group of lanes, in threads: of calls made from one thread, JAX runs one after
the other on a CPU, and a scan keeps one core busy. Both draw the same.
"""

import functools
import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hhmm._emission_solvers import Newton
from hhmm._inference import chain as chains
from hhmm._inference import gradient
from hhmm._inference.em import EM
from hhmm._inference.gibbs import GIBBS
from hhmm._runtime import memory
from hhmm._runtime.compilation import jit_large
from hhmm._runtime.keys import key_from_data
from hhmm._runtime.threads import run_in_threads
from hhmm._types import Array, EmissionLogits, Priors

# algorithms whose sweeps alternate between parameters and states; "gradient" does not
ALTERNATING = {"em": EM, "gibbs": GIBBS}
MAX_SWEEPS_PER_CALL = 64
# A gain smaller than this part of the log joint is rounding: an algorithm that climbs stops.
ROUNDING = 1e-9
# what `sweeps_by_part` has called before: what it has not, it compiles at the same time
_compiled = set()


class Draws(NamedTuple):
    """Draws that are kept, leading axis (n_draws,)."""

    logits: EmissionLogits
    trans_probs: Array
    log_joint: Array
    priors: Priors
    mode: EmissionLogits  # of the emissions, given the states of the sweep before


def draw_of(chain):
    """Return what is kept of a chain after a sweep."""
    return Draws(*(getattr(chain, name) for name in Draws._fields))


class Trace(NamedTuple):
    """Records of every sweep, leading axis (MAX_SWEEPS_PER_CALL,) or shorter."""

    log_joint: Array
    log_likelihood: Array
    emission_decrement: Array
    emission_acceptance: Array
    emission_diverging: Array


def trace_of(chain):
    """Return what is recorded of a chain after a sweep."""
    return Trace(*(getattr(chain, name) for name in Trace._fields))


@jit_large(static_argnames=("algorithm", "settings"))
def sweeps_in_one_call(
    keys, chain, draws, first_sweep, n_sweeps, slots, sequences, stages, tol, *, algorithm, settings
):
    """Run sweeps in one call.

    Parameters
    ----------
    keys : chain.SweepKeys, arrays (MAX_SWEEPS_PER_CALL,)
    chain : chain.ChainState
    draws : Draws
    first_sweep, n_sweeps : () int32
    slots : (MAX_SWEEPS_PER_CALL,) int32
        Where in `draws` each sweep is kept; past its end, it is not.
    sequences : PackedSequences or RunData
    stages : chain.Stages
    tol : () float64
        A sweep that gains at most so many nats is the last one; negative for never.
    algorithm : {"em", "gibbs", "gradient"}, static
    settings : chain.Settings, static

    Returns
    -------
    chain : chain.ChainState
    draws : Draws
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
        i, _, before, draws, trace = carry
        number = first_sweep + i
        phase = stages.phase(number)
        if algorithm == "gradient":
            chain = gradient.step(before, sequences, settings=settings)
        else:
            halves = ALTERNATING[algorithm]
            chain = chains.sweep(
                jax.tree.map(lambda of_sweeps: of_sweeps[i], keys),
                before,
                functools.partial(
                    halves.update_params, phase=phase, sequences=sequences, settings=settings
                ),
                functools.partial(halves.update_states, sequences=sequences, settings=settings),
                settings.terms,
            )
        trace = jax.tree.map(lambda values, new: values.at[i].set(new), trace, trace_of(chain))
        stops = has_stopped(before, chain, tol, number, stages, settings)
        return i + 1, stops, chain, _keep(draws, slots[i], chain), trace

    empty = jax.tree.map(
        lambda x: jnp.zeros(MAX_SWEEPS_PER_CALL, jnp.asarray(x).dtype), trace_of(chain)
    )
    carry = jnp.int32(0), jnp.bool_(False), chain, draws, empty
    n_done, stopped, chain, draws, trace = lax.while_loop(unfinished, body, carry)
    return chain, draws, trace, n_done, stopped


def has_stopped(before, chain, tol, sweep, stages, settings):
    """Return whether a sweep gained too little for another one to be worth while, () bool.

    Log joints at different scales cannot be compared, so a sweep that changed one is never the
    last; nor is one after which scales will be learnt.
    """
    log_joint = chain.log_joint
    gain = log_joint - before.log_joint
    stops = (tol >= 0) & ((gain <= tol) | (gain <= ROUNDING * abs(log_joint)))
    if not settings.learnt:
        return stops
    scales = zip(*map(jax.tree.leaves, (before.priors, chain.priors)), strict=True)
    moved = functools.reduce(operator.or_, (old != new for old, new in scales))
    learns_later = (sweep < stages.n_held) & (stages.n_held < chains.FOREVER)
    return stops & ~(moved | learns_later)


def sweeps_by_part(
    key, chain, draws, first_sweep, n_sweeps, slots, parts, stages, tol, *, algorithm, settings
):
    """Run sweeps with calls for parts of the data; as `sweeps_in_one_call`, with many sequences.

    `draws` are NumPy arrays, and are written to. The chain holds no states.
    """
    static = {"algorithm": algorithm, "settings": settings}

    def update_params(keys, chain):
        # what the parameters do not need stays out of the call
        needed = chain._replace(states=None, has_states=None, log_joint=None, log_likelihood=None)
        updated = params_kernel(keys, needed, phase, **static)
        return updated._replace(states=(), has_states=chain.has_states)

    def update_states(words, logits, trans_probs):
        return (), *parts.update_states(words, logits, trans_probs, **static)

    numbers = first_sweep + np.arange(MAX_SWEEPS_PER_CALL, dtype=np.int32)
    words = chains.key_words(chains.sweep_keys(key, numbers, algorithm))

    def keys_of(i):
        return jax.tree.map(lambda of_sweeps: of_sweeps[i], words)

    phase = stages.phase(np.int32(first_sweep))
    shapes = str(jax.tree.map(jnp.shape, chain)), parts.kind
    if (algorithm, settings, shapes) not in _compiled:
        keys = keys_of(0)
        run_in_threads(
            functools.partial(update_params, keys, chain),
            functools.partial(
                parts.compile, keys.states, chain.logits, chain.trans_probs, **static
            ),
            pool="compilers",
        )
        _compiled.add((algorithm, settings, shapes))
        memory.release()
    traces, stopped = [], False
    for i in range(n_sweeps):
        number, before = first_sweep + i, chain
        phase = stages.phase(np.int32(number))
        chain = chains.sweep(keys_of(i), before, update_params, update_states, settings.terms, _if)
        traces.append(trace_of(chain))
        if slots[i] < len(draws.log_joint):
            for kept, new in zip(*map(jax.tree.leaves, (draws, draw_of(chain))), strict=True):
                kept[slots[i]] = new
        # where nothing stops a chain, this is not computed, at half a millisecond a sweep
        stopped = tol >= 0 and bool(has_stopped(before, chain, tol, number, stages, settings))
        if stopped:
            break
    trace = jax.tree.map(lambda *values: np.array(jax.device_get(values)), *traces)
    return chain, draws, trace, len(traces), stopped


def _if(condition, when_true, when_false):
    """Choose on the host, as `jax.lax.cond` does in compiled code."""
    return when_true() if condition else when_false()


@jit_large(static_argnames=("settings",))
def begin_ascent(keys, chain, sequences, *, settings):
    """Return a chain of the gradient algorithm, from one that starts at states or at parameters."""
    settings = settings._replace(solver=Newton(settings.solver.max_iter))
    chain = chains.sweep(
        keys,
        chain,
        functools.partial(EM.update_params, phase=chains.Phase(), settings=settings),
        functools.partial(EM.update_states, sequences=sequences, settings=settings),
        settings.terms,
    )
    return _strong(gradient.start(chain._replace(log_joint=jnp.nan), settings.terms))


@jit_large(static_argnames=("algorithm", "settings"))
def params_kernel(words, chain, phase, *, algorithm, settings):
    """Update the parameters of a chain given its counts; takes the `key_words` of its keys."""
    keys = jax.tree.map(key_from_data, words)
    return _strong(ALTERNATING[algorithm].update_params(keys, chain, phase, settings=settings))


@jit_large(static_argnames=("algorithm", "settings"), optimized=True)
def states_kernel(words, logits, trans_probs, group, *, algorithm, settings):
    """Update the states of a group of lanes: states, counts, log-likelihood."""
    key = jax.tree.map(key_from_data, words)
    return ALTERNATING[algorithm].update_states(key, logits, trans_probs, group, settings=settings)


def _strong(chain):
    """Return the chain without weak types: with them the next call would compile again."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.asarray(x).dtype), chain)


@jax.jit
def sum_stats(*stats):
    """Sum the counts of groups of lanes."""
    return jax.tree.map(lambda *parts: sum(parts), *stats)


def _keep(draws, slot, chain):
    if len(draws.log_joint) == 0:
        return draws
    kept = draw_of(chain)
    return jax.tree.map(lambda values, new: values.at[slot].set(new, mode="drop"), draws, kept)
