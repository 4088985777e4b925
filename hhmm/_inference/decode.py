"""Inference with a fitted model: compiled entry points over the message backends.

Each takes `Params` and `Prepared` sequences, and returns a list with a part for each of the
groups of lanes, computed at the same time; parts for every timestep are (n_steps, ..., n_lanes),
as `Prepared.unpack` takes them.
"""

import functools

import jax
import jax.numpy as jnp

from hhmm._messages import BACKENDS
from hhmm._model.emissions import (
    by_pairs,
    emission_factors,
    logits_from_params,
    syllable_log_probs,
)
from hhmm._model.joint import log_prior
from hhmm._model.transitions import context_trans_probs
from hhmm._runtime.threads import run_in_threads


def viterbi(params, prepared):
    """Return the most probable states, (n_steps, n_lanes) int32."""
    return _message("viterbi", params, prepared)


def log_joint_probs(params, prepared, states):
    """Return each timestep's part of log p(x, z) in nats, (n_steps, n_lanes) float64.

    Parameters
    ----------
    states : list of (n_steps, n_lanes) int32 arrays
        As `viterbi` returns them.
    """
    kernel = functools.partial(_log_joint_probs, params, terms=prepared.terms)
    parts = zip(states, prepared.groups, strict=True)
    return run_in_threads(*(functools.partial(kernel, *part) for part in parts))


def smooth(params, prepared):
    """Return p(z[t] | x), (n_steps, n_states, n_lanes) float32."""
    return _message("smooth", params, prepared)


def forward_filter(params, prepared):
    """Return p(z[t] | x[1..t]), (n_steps, n_states, n_lanes) float32."""
    return _message("forward_filter", params, prepared)


def log_normalisers(params, prepared):
    """Return terms of log p(x) in nats, as `Prepared.sum_terms` takes them, computed in float64."""
    return _message("log_normalisers", params, prepared, dtype=jnp.float64)


def sample(key, params, prepared):
    """Return one draw of the states from their posterior, as `RunLengths`."""
    given = params, tabulate(params, terms=prepared.terms, with_rounding=True)
    kernel = functools.partial(_sample, key, *given, backend=prepared.backend, terms=prepared.terms)
    drawn = run_in_threads(*(functools.partial(kernel, group) for group in prepared.groups))
    states, logits = zip(*drawn, strict=True)
    return prepared.runs_of_states(states, logits[0], params.trans_probs)


@functools.partial(jax.jit, static_argnames="terms")
def syllable_trans_probs(params, *, terms):
    """Return syllable transition probabilities (n_states, n_syllables, n_syllables)."""
    return jnp.exp(syllable_log_probs(logits_from_params(params), terms))


@functools.partial(jax.jit, static_argnames="terms")
def params_log_prior(params, priors, *, terms):
    """Return log prior density of the parameters, ()."""
    return log_prior(terms, logits_from_params(params), params.trans_probs, priors)


@functools.partial(jax.jit, static_argnames=("terms", "dtype", "with_rounding"))
def tabulate(params, *, terms, dtype=jnp.float32, with_rounding=False):
    """Tabulate the emissions of all pairs, once for all groups, as `EmissionFactors`.

    A compiled function of its own: in the one that reads them, the CPU compiler would move the
    table into the gather, and tabulate again at every timestep. What is lost by rounding is read
    by kernels that count, and not tabulated for others.
    """
    factors = emission_factors(logits_from_params(params), terms, dtype=dtype)
    return factors if with_rounding else factors._replace(rounding=None)


def _message(name, params, prepared, *, dtype=jnp.float32):
    terms = prepared.terms
    trans_probs = context_trans_probs(params.trans_probs, params.group_transitions, terms)
    given = tabulate(params, terms=terms, dtype=dtype), trans_probs
    kernel = functools.partial(_passed, *given, name=name, backend=prepared.backend)
    return run_in_threads(*(functools.partial(kernel, group) for group in prepared.groups))


@functools.partial(jax.jit, static_argnames=("name", "backend"))
def _passed(factors, trans_probs, data, *, name, backend):
    return getattr(BACKENDS[backend], name)(factors, trans_probs, data)


@functools.partial(jax.jit, static_argnames=("backend", "terms"))
def _sample(key, params, factors, data, *, backend, terms):
    trans_probs = context_trans_probs(params.trans_probs, params.group_transitions, terms)
    states, _, _ = BACKENDS[backend].sample(key, factors, trans_probs, data)
    return states, logits_from_params(params)


@functools.partial(jax.jit, static_argnames="terms")
def _log_joint_probs(params, states, data, *, terms):
    sequences = data.timesteps
    n_states = terms.n_states
    trans_probs = context_trans_probs(params.trans_probs, params.group_transitions, terms)
    # a sequence that goes on in the next lane comes from the end of this one
    previous = jnp.concatenate([jnp.roll(states[-1:], 1, axis=1), states[:-1]])
    log_trans = jnp.log(trans_probs)[sequences.groups * n_states + previous, states]
    log_probs = jnp.where(sequences.starts, -jnp.log(float(n_states)), log_trans)
    log_probs = log_probs + _log_emissions(params, terms, sequences, states)
    return jnp.where(sequences.inside, log_probs, 0)


def _log_emissions(params, terms, sequences, states):
    """Return log p(x[t] | x[t-1], z[t]) of given states, (n_steps, n_lanes) float64."""
    log_probs = syllable_log_probs(logits_from_params(params), terms)
    by_pair = by_pairs(log_probs, terms.n_states)
    by_pair = jnp.concatenate([by_pair, jnp.zeros((terms.n_states, 1))], axis=1)
    return by_pair[states, sequences.pairs]
