"""The prior of the parameters, normalised, in nats. Nothing else defines it.

    log p(emissions, A) = sum over terms of log Normal(parameters of the term; 0, sigma^2)
                        + sum_k log Dirichlet(A[k, :]; trans_beta + trans_kappa e_k)

Because the Helmert bases are orthonormal, ``|b|^2 = |B|^2`` and ``|c|^2 = |C|^2``:
the density of the parameters is computed from the centred logits, with the dimensions
of the parameters in its constants.
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, xlogy

from hhmm._model.terms import scale_of
from hhmm._model.transitions import concentrations
from hhmm._types import EmissionLogits


def emission_precision(terms, priors):
    """Return the prior precision of each row of a point, (n_rows, 1)."""
    n_rows = [terms.n_rows(term) for term in terms.present]
    is_of_term = np.repeat(np.eye(len(n_rows), dtype=bool), n_rows, axis=0)
    # for all terms at once: each operation is compiled anew
    return jnp.sum(is_of_term * _scales(terms, priors) ** -2.0, axis=1, keepdims=True)


def emission_log_prior(terms, point, priors):
    """Return log prior density of the emission parameters, a scalar, from a point (n_rows, S).

    A term whose scale is infinite, which stands for a flat prior, contributes nothing.
    """
    scales = _scales(terms, priors)
    n_dimensions = np.array([terms.n_dimensions(term) for term in terms.present])
    constants = n_dimensions * (jnp.log(scales) + 0.5 * np.log(2 * np.pi))
    squares = jnp.sum(emission_precision(terms, priors) * point**2)
    return -0.5 * squares - jnp.sum(jnp.where(jnp.isinf(scales), 0.0, constants))


def _scales(terms, priors):
    return jnp.stack([jnp.asarray(scale_of(priors, term), float) for term in terms.present])


def trans_log_prior(trans_probs, priors):
    """Return log prior density of A (n_states, n_states), a scalar.

    An exact zero of A at a concentration of 1 contributes nothing.
    """
    alpha = concentrations(jnp.zeros_like(trans_probs), priors)
    log_density = (
        gammaln(alpha.sum(axis=-1))
        - gammaln(alpha).sum(axis=-1)
        + xlogy(alpha - 1, trans_probs).sum(axis=-1)
    )
    return log_density.sum()


def log_prior(terms, logits, trans_probs, priors):
    """Return log prior density of all parameters, a scalar.

    Where transitions differ between groups it is the density of the logits T in place of that of A.
    """
    log_density = emission_log_prior(terms, terms.stack(logits), priors)
    log_density += trans_log_prior(trans_probs, priors)
    if not terms.trans_by_group:
        return log_density
    n_states = terms.n_states
    # the Jacobian of A by T in the Helmert basis is sqrt(K) times the product of A
    log_density += jnp.log(trans_probs).sum() + 0.5 * n_states * jnp.log(n_states)
    own, effects = terms.of_transitions, logits.group_transitions
    point = own.stack(EmissionLogits(jnp.zeros_like(trans_probs), group_transitions=effects))
    flat = priors._replace(emission_base_sigma=jnp.inf)
    return log_density + emission_log_prior(own, point, flat)
