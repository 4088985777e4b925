"""The prior of the parameters, normalised, in nats. Nothing else defines it.

    log p(emissions, A) = sum over terms of log Normal(parameters of the term; 0, sigma^2)
                        + sum_k log Dirichlet(A[k, :]; trans_beta + trans_kappa e_k)

Because the Helmert bases are orthonormal, ``|b|^2 = |B|^2`` and ``|c|^2 = |C|^2``:
the density of the parameters is computed from the centred logits, with the dimensions
of the parameters in its constants.
"""

import jax.numpy as jnp
from jax.scipy.special import gammaln, xlogy

from hhmm._model.transitions import concentrations


def emission_log_prior(terms, point, priors):
    """Return log prior density of the emission parameters, a scalar, from a point (n_rows, S)."""
    return sum(
        _log_normal(rows, getattr(priors, term.sigma), terms.n_dimensions(term))
        for term, rows in terms.split(point)
    )


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
    """Return log prior density of all parameters, a scalar."""
    of_emissions = emission_log_prior(terms, terms.stack(logits), priors)
    return of_emissions + trans_log_prior(trans_probs, priors)


def _log_normal(values, sigma, n_dimensions):
    return -0.5 * jnp.sum(values**2) / sigma**2 - n_dimensions * (
        jnp.log(sigma) + 0.5 * jnp.log(2 * jnp.pi)
    )
