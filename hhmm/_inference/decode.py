"""What a fitted model says about sequences: compiled entry points over the message backends."""

import functools

import jax
import jax.numpy as jnp

from hhmm._messages import get_backend
from hhmm._model.emissions import emission_factors, logits_from_params, syllable_log_probs
from hhmm._model.joint import log_prior


def _factors(params):
    return emission_factors(logits_from_params(params.emission_base, params.emission_biases))


@functools.partial(jax.jit, static_argnames="message_passing")
def viterbi(params, sequences, *, message_passing):
    """The most probable states and their log joint probability with the syllables.

    Returns
    -------
    states : (n_steps, n_lanes) int32
    log_probs : (n_steps, n_lanes) float64
        Each timestep's part of log p(x, z) in nats, to be summed over a sequence.
    """
    factors = _factors(params)
    states = get_backend(message_passing).viterbi(factors, params.trans_probs, sequences)
    n_states = params.trans_probs.shape[0]
    log_trans = jnp.log(params.trans_probs)
    previous = jnp.concatenate([states[:1], states[:-1]])
    log_probs = jnp.where(
        sequences.starts, -jnp.log(float(n_states)), log_trans[previous, states]
    ) + _log_emissions(params, sequences, states)
    return states, jnp.where(sequences.inside, log_probs, 0)


@functools.partial(jax.jit, static_argnames="message_passing")
def smooth(params, sequences, *, message_passing):
    """p(z[t] | x), (n_steps, n_states, n_lanes) float32."""
    return get_backend(message_passing).smooth(_factors(params), params.trans_probs, sequences)


@functools.partial(jax.jit, static_argnames="message_passing")
def forward_filter(params, sequences, *, message_passing):
    """p(z[t] | x[1..t]), (n_steps, n_states, n_lanes) float32."""
    return get_backend(message_passing).forward_filter(
        _factors(params), params.trans_probs, sequences
    )


@functools.partial(jax.jit, static_argnames="message_passing")
def log_normalisers(params, sequences, *, message_passing):
    """log p(x[t] | x[1..t-1]) in nats, (n_steps, n_lanes), to be summed over a sequence."""
    return get_backend(message_passing).log_normalisers(
        _factors(params), params.trans_probs, sequences
    )


@functools.partial(jax.jit, static_argnames="message_passing")
def sample(key, params, sequences, *, message_passing):
    """One draw of the states from their posterior, (n_steps, n_lanes) int32."""
    states, _, _ = get_backend(message_passing).sample(
        key, _factors(params), params.trans_probs, sequences
    )
    return states


@jax.jit
def syllable_trans_probs(params):
    """Syllable transition probabilities (n_states, n_syllables, n_syllables)."""
    logits = logits_from_params(params.emission_base, params.emission_biases)
    return jnp.exp(syllable_log_probs(logits))


@jax.jit
def params_log_prior(params, priors):
    """Log prior density of the parameters, ()."""
    logits = logits_from_params(params.emission_base, params.emission_biases)
    return log_prior(logits, params.trans_probs, priors)


def _log_emissions(params, sequences, states):
    """log p(x[t] | x[t-1], z[t]) of given states, (n_steps, n_lanes) float64."""
    logits = logits_from_params(params.emission_base, params.emission_biases)
    log_probs = syllable_log_probs(logits)
    n_states = log_probs.shape[0]
    by_pair = jnp.concatenate([log_probs.reshape(n_states, -1), jnp.zeros((n_states, 1))], axis=1)
    return by_pair[states, sequences.pairs]
