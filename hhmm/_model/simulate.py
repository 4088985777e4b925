"""Simulation: parameters from the prior, states and syllables from the parameters.

Where a syllable that follows itself is held, it is held for a time of its own, in which states move
on: syllables are then a semi-Markov chain.

Every timestep is drawn by inverse CDF from a table of cumulative
probabilities, one gather of (n_sequences, n_syllables) a step; the emission
array of all timesteps (n_sequences, n_timesteps, S, S) is never built.
"""

import jax
import jax.numpy as jnp
from jax import lax

from hhmm._model.emissions import logits_from_params, syllable_log_probs
from hhmm._model.terms import ALL_TERMS, PUBLISHED_TERMS
from hhmm._model.transitions import context_trans_probs, draw_trans_probs
from hhmm._runtime.compilation import jit_large
from hhmm._runtime.keys import normals, uniforms
from hhmm._types import Params


@jit_large(static_argnames=("terms",))
def draw_params(key, priors, *, terms):
    """Draw `Params` from the prior."""
    key_base, key_biases, key_trans = jax.random.split(key, 3)
    keys = {"base": key_base, "biases": key_biases}  # those of further terms leave these alone
    # a term that is left out and that Params always has is 0
    drawn = {
        term.parameter: jnp.zeros(terms.param_shape(term))
        for term in ALL_TERMS
        if term.name in PUBLISHED_TERMS
    }
    for number, term in enumerate(terms.present):
        key_term = keys.get(term.name, jax.random.fold_in(key, number))
        noise = normals(key_term, terms.param_shape(term))
        drawn[term.parameter] = getattr(priors, term.sigma) * noise
    no_counts = jnp.zeros((terms.n_states, terms.n_states))
    return Params(trans_probs=draw_trans_probs(key_trans, no_counts, priors), **drawn)


@jit_large(static_argnames=("terms", "n_sequences", "n_timesteps"))
def simulate(key, params, holding_times=None, groups=0, *, terms, n_sequences, n_timesteps):
    """Draw states and syllables from the model.

    The first state is uniform over the states and emitted as the state of the
    first timestep; the first syllable, on which the model conditions, is uniform
    over the syllables.

    Parameters
    ----------
    key : JAX key
    params : Params
    holding_times : (n_syllables, n_quantiles) int32, or None
        How long a syllable is held, timesteps: any of its row with equal probability. For `terms`
        without self-transitions.
    groups : (n_sequences,) int32
        The group of each sequence, for `terms` with factors.
    terms : Terms, static
    n_sequences, n_timesteps : int, at least 1

    Returns
    -------
    syllables, states : (n_timesteps, n_sequences) int32
    """
    n_states, n_syllables = terms.n_states, terms.n_syllables
    probs = jnp.exp(syllable_log_probs(logits_from_params(params), terms))
    cumulative_emission = jnp.cumsum(probs, axis=-1)
    trans_probs = context_trans_probs(params.trans_probs, params.group_transitions, terms)
    cumulative_trans = jnp.cumsum(trans_probs, axis=-1)
    first_context = n_states * groups
    is_held = not terms.self_transitions
    # one call makes the uniforms: [0] of states, [1] of syllables, [2] of holding times
    noise = uniforms(key, (n_timesteps, 3 if is_held else 2, n_sequences))

    def holding_time(syllable, uniform):
        place = (uniform * holding_times.shape[1]).astype(jnp.int32)
        return holding_times[syllable, place]

    def step(previous, uniform):
        state, syllable, left = previous
        state = _inverse_cdf(cumulative_trans[first_context + state], uniform[0])
        drawn = _inverse_cdf(cumulative_emission[first_context + state, syllable], uniform[1])
        if is_held:
            changes = left <= 1
            left = jnp.where(changes, holding_time(drawn, uniform[2]), left - 1)
            drawn = jnp.where(changes, drawn, syllable)
        return (state, drawn, left), (state, drawn)

    first_state = (noise[0, 0] * n_states).astype(jnp.int32)
    first_syllable = (noise[0, 1] * n_syllables).astype(jnp.int32)
    left = holding_time(first_syllable, noise[0, 2]) if is_held else None
    _, (states, syllables) = lax.scan(step, (first_state, first_syllable, left), noise[1:])
    states = jnp.concatenate([first_state[None], states])
    syllables = jnp.concatenate([first_syllable[None], syllables])
    return syllables, states


def _inverse_cdf(cumulative, uniform):
    """Find the cell that `uniform` falls in; cumulative (n, n_categories) -> (n,) int32."""
    threshold = uniform[:, None] * cumulative[:, -1:]
    return jnp.sum(cumulative[:, :-1] <= threshold, axis=-1, dtype=jnp.int32)
