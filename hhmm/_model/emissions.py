"""Emissions: from the parameters to the syllable transition probabilities.

x[t] | x[t-1] = i, z[t] = k  ~  softmax_j(L[g, k, i, j]),  L the sum of the terms (see `terms`)
B = b Q_S',  C = Q_K c Q_S',  U = u Q_S',  D = Q_K d Q_S'

Terms of groups are parameters as they are, centred: few have a basis of levels in mind.
"""

import jax
import jax.numpy as jnp
import numpy as np

from hhmm._model.simplex import helmert_basis
from hhmm._model.terms import ALL_TERMS, GROUP_EMISSIONS, GROUP_TERMS, PUBLISHED_TERMS, Terms
from hhmm._runtime.precision import log_of_rounding
from hhmm._types import EmissionFactors, EmissionLogits, Params


def terms_of(params, *, self_transitions=True, factors=()):
    """Return the `Terms` of `Params`: those that are not None."""
    of_groups = GROUP_EMISSIONS if factors else ()
    return Terms(
        n_states=params.trans_probs.shape[-1],
        n_syllables=params.emission_base.shape[-2],
        names=tuple(
            term.name
            for term in (*ALL_TERMS, *of_groups)
            if getattr(params, term.parameter) is not None
        ),
        self_transitions=self_transitions,
        factors=factors,
    )


def with_zeros(params, names=tuple(term.name for term in ALL_TERMS)):
    """Return `Params` with zeros for the terms among `names` that are None."""
    given = [getattr(params, term.parameter) for term in ALL_TERMS]
    n_syllables = next(values for values in given if values is not None).shape[-1] + 1
    terms = Terms(params.trans_probs.shape[-1], n_syllables)
    zeros = {
        term.parameter: np.zeros(terms.param_shape(term))
        for term in ALL_TERMS
        if term.name in names and getattr(params, term.parameter) is None
    }
    return params._replace(**zeros)


def all_params(logits, trans_probs):
    """Make `Params` from logits and A: base and biases left out are 0, other terms None."""
    values = params_from_logits(jax.tree.map(np.asarray, logits))
    return with_zeros(Params(trans_probs=np.asarray(trans_probs), **values), PUBLISHED_TERMS)


def logits_from_params(params):
    """Raise `Params` to `EmissionLogits`: b (S, S-1) to B (S, S), c (K-1, S-1) to C (K, S), ..."""

    def raise_term(term):
        values = getattr(params, term.parameter)
        if values is None:
            return None
        if term.by_state:
            n_states = values.shape[state_axis(term)] + 1
            values = along_states(helmert_basis(n_states), values, term)
        return values @ helmert_basis(values.shape[-1] + 1).T

    return EmissionLogits(
        **{term.name: raise_term(term) for term in ALL_TERMS},
        group_emissions=params.group_emissions,
        group_states=params.group_states,
        group_transitions=params.group_transitions,
    )


def params_from_logits(logits):
    """Invert `logits_from_params` for centred logits: parameters of terms by name."""

    def lower_term(term):
        values = getattr(logits, term.name)
        if values is None:
            return None
        if term.by_state:
            n_states = values.shape[state_axis(term)]
            values = along_states(helmert_basis(n_states).T, values, term)
        return values @ helmert_basis(values.shape[-1])

    of_groups = {term.name: getattr(logits, term.name) for term in GROUP_TERMS}
    return {term.parameter: lower_term(term) for term in ALL_TERMS} | of_groups


def state_axis(term):
    """Return the axis of the states in a term's array, counted from its end."""
    return -3 if term.by_from else -2


def along_states(matrix, values, term):
    """Multiply the state axis of a term's array by a matrix."""
    if not term.by_from:
        return matrix @ values
    *leading, n_states, n_from, n_to = values.shape
    product = matrix @ values.reshape(*leading, n_states, n_from * n_to)
    return product.reshape(*leading, len(matrix), n_from, n_to)


def syllable_log_probs(logits, terms):
    """Return log syllable transition probabilities (n_contexts, n_syllables, n_syllables)."""
    return jax.nn.log_softmax(terms.joint_logits(terms.stack(logits)), axis=-1)


def by_pairs(values, n_states):
    """Return values (n_contexts, S, S) by state and pair, (n_states, n_groups S^2)."""
    of_groups = values.reshape(-1, n_states, values.shape[1] * values.shape[2])
    return of_groups.swapaxes(0, 1).reshape(n_states, -1)


def emission_factors(logits, terms, *, dtype=jnp.float32):
    """Tabulate the emission probability of every syllable pair in every state.

    The largest probability among the states is taken out of each pair, in
    float64, so that what float32 holds is the evidence between states and
    nothing underflows because a syllable is rare in all of them. Rounding to float32
    is the same at every timestep and adds up over long sequences: what it takes is kept.

    Parameters
    ----------
    logits : EmissionLogits
        float64.
    terms : Terms
        Where a syllable that follows itself is held, the factor of that pair is 1.
    dtype : float32 or float64
        Of the factors, and so of the messages that are made of them.

    Returns
    -------
    factors : EmissionFactors
    """
    log_probs = syllable_log_probs(logits, terms)
    if not terms.self_transitions:
        log_probs = jnp.where(jnp.eye(terms.n_syllables, dtype=bool), 0, log_probs)
    by_pair = by_pairs(log_probs, terms.n_states)
    n_states = terms.n_states
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
