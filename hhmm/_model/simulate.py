"""Simulation: parameters from the prior, states and syllables from the parameters.

Every timestep is drawn by inverse CDF from a table of cumulative
probabilities, one gather of (n_sequences, n_syllables) a step; the emission
array of all timesteps (n_sequences, n_timesteps, S, S) is never built.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from hhmm._model.emissions import logits_from_params, syllable_log_probs
from hhmm._model.transitions import draw_trans_probs
from hhmm._random import normals, uniforms
from hhmm._types import Params


@functools.partial(jax.jit, static_argnames=("n_states", "n_syllables"))
def draw_params(key, priors, *, n_states, n_syllables):
    """Draw `Params` from the prior."""
    key_base, key_biases, key_trans = jax.random.split(key, 3)
    base = normals(key_base, (n_syllables, n_syllables - 1))
    biases = normals(key_biases, (n_states - 1, n_syllables - 1))
    return Params(
        emission_base=priors.emission_base_sigma * base,
        emission_biases=priors.emission_biases_sigma * biases,
        trans_probs=draw_trans_probs(key_trans, jnp.zeros((n_states, n_states)), priors),
    )


@functools.partial(jax.jit, static_argnames=("n_sequences", "n_timesteps"))
def simulate(key, params, *, n_sequences, n_timesteps):
    """Draw states and syllables from the model.

    The first state is uniform over the states and emitted as the state of the
    first timestep; the first syllable, on which the model conditions, is uniform
    over the syllables.

    Parameters
    ----------
    key : JAX key
    params : Params
    n_sequences, n_timesteps : int, at least 1

    Returns
    -------
    syllables, states : (n_timesteps, n_sequences) int32
    """
    n_states = params.trans_probs.shape[0]
    n_syllables = params.emission_base.shape[0]
    logits = logits_from_params(params.emission_base, params.emission_biases)
    cumulative_emission = jnp.cumsum(jnp.exp(syllable_log_probs(logits)), axis=-1)
    cumulative_trans = jnp.cumsum(params.trans_probs, axis=-1)
    # one call makes the uniforms of states and syllables: [0] states, [1] syllables
    noise = uniforms(key, (n_timesteps, 2, n_sequences))

    def step(previous, uniform):
        state, syllable = previous
        state = _inverse_cdf(cumulative_trans[state], uniform[0])
        syllable = _inverse_cdf(cumulative_emission[state, syllable], uniform[1])
        return (state, syllable), (state, syllable)

    first = (
        (noise[0, 0] * n_states).astype(jnp.int32),
        (noise[0, 1] * n_syllables).astype(jnp.int32),
    )
    _, (states, syllables) = lax.scan(step, first, noise[1:])
    states = jnp.concatenate([first[0][None], states])
    syllables = jnp.concatenate([first[1][None], syllables])
    return syllables, states


def _inverse_cdf(cumulative, uniform):
    """Index of the cell that `uniform` falls in; cumulative (n, n_categories) -> (n,) int32."""
    threshold = uniform[:, None] * cumulative[:, -1:]
    return jnp.sum(cumulative[:, :-1] <= threshold, axis=-1, dtype=jnp.int32)
