"""The prior of the parameters, normalised, in nats. Nothing else defines it.

    log p(b, c, A) = log Normal(b; 0, emission_base_sigma^2)
                   + log Normal(c; 0, emission_biases_sigma^2)
                   + sum_k log Dirichlet(A[k, :]; trans_beta + trans_kappa e_k)

Because the Helmert bases are orthonormal, ``|b|^2 = |B|^2`` and ``|c|^2 = |C|^2``:
the density of (b, c) is computed from the centred logits, with the dimensions
of b and c in its constants.
"""

import jax.numpy as jnp
from jax.scipy.special import gammaln, xlogy

from hhmm._model.transitions import concentrations


def emission_log_prior(logits, priors):
    """Log prior density of (b, c), a scalar, from `EmissionLogits`."""
    n_states, n_syllables = logits.biases.shape
    return _log_normal(
        logits.base, priors.emission_base_sigma, n_syllables * (n_syllables - 1)
    ) + _log_normal(logits.biases, priors.emission_biases_sigma, (n_states - 1) * (n_syllables - 1))


def trans_log_prior(trans_probs, priors):
    """Log prior density of A (n_states, n_states), a scalar.

    An exact zero of A at a concentration of 1 contributes nothing.
    """
    alpha = concentrations(jnp.zeros_like(trans_probs), priors)
    log_density = (
        gammaln(alpha.sum(axis=-1))
        - gammaln(alpha).sum(axis=-1)
        + xlogy(alpha - 1, trans_probs).sum(axis=-1)
    )
    return log_density.sum()


def log_prior(logits, trans_probs, priors):
    """Log prior density of all parameters, a scalar."""
    return emission_log_prior(logits, priors) + trans_log_prior(trans_probs, priors)


def _log_normal(values, sigma, n_dimensions):
    return -0.5 * jnp.sum(values**2) / sigma**2 - n_dimensions * (
        jnp.log(sigma) + 0.5 * jnp.log(2 * jnp.pi)
    )
