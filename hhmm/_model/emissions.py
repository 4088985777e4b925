"""Emissions: from the parameters b, c to the syllable transition probabilities.

x[t] | x[t-1] = i, z[t] = k  ~  softmax_j(B[i, j] + C[k, j])
B = b Q_S',  C = Q_K c Q_S'
"""

import jax
import jax.numpy as jnp

from hhmm._model.simplex import helmert_basis
from hhmm._precision import log_of_rounding
from hhmm._types import EmissionFactors, EmissionLogits


def logits_from_params(emission_base, emission_biases):
    """Raise b (S, S-1) and c (K-1, S-1) to `EmissionLogits` (S, S) and (K, S)."""
    to_syllables = helmert_basis(emission_base.shape[-2])
    to_states = helmert_basis(emission_biases.shape[-2] + 1)
    return EmissionLogits(
        base=emission_base @ to_syllables.T,
        biases=to_states @ emission_biases @ to_syllables.T,
    )


def params_from_logits(logits):
    """The inverse of `logits_from_params`: (b, c) of centred logits."""
    to_syllables = helmert_basis(logits.base.shape[-1])
    to_states = helmert_basis(logits.biases.shape[-2])
    return logits.base @ to_syllables, to_states.T @ logits.biases @ to_syllables


def syllable_log_probs(logits):
    """Log syllable transition probabilities (n_states, n_syllables, n_syllables)."""
    return jax.nn.log_softmax(logits.base + logits.biases[..., :, None, :], axis=-1)


def emission_factors(logits, *, dtype=jnp.float32):
    """Tabulate the emission probability of every syllable pair in every state.

    The largest probability among the states is taken out of each pair, in
    float64, so that what float32 holds is the evidence between states and
    nothing underflows because a syllable is rare in all of them. Rounding to float32
    is the same at every timestep and adds up over long sequences: what it takes is kept.

    Parameters
    ----------
    logits : EmissionLogits
        Shapes (n_syllables, n_syllables) and (n_states, n_syllables), float64.
    dtype : float32 or float64
        Of the factors, and so of the messages that are made of them.

    Returns
    -------
    factors : EmissionFactors
    """
    log_probs = syllable_log_probs(logits)
    n_states = log_probs.shape[0]
    by_pair = log_probs.reshape(n_states, -1)
    log_scale = by_pair.max(axis=0)
    exact = jnp.exp(by_pair - log_scale).T
    relative = exact.astype(dtype)
    return EmissionFactors(
        relative=jnp.concatenate([relative, jnp.ones((1, n_states), dtype)]),
        log_scale=jnp.concatenate([log_scale, jnp.zeros(1)]),
        rounding=jnp.concatenate(
            [log_of_rounding(exact, dtype), jnp.zeros((1, n_states), jnp.float32)]
        ),
    )
