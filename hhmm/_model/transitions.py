"""State transitions: the sticky Dirichlet prior, its conjugate draw, and its mode.

    A[k, :] ~ Dirichlet(trans_beta + trans_kappa * e_k)

so that trans_kappa sits on the diagonal. Where transitions differ between groups,

    A[g, k, :] = softmax(T[k, :] + sum_f U_f[l, k, :]),    U_f ~ Normal(0, sigma^2),

l the level of factor f in group g, and A[k, :] = softmax(T[k, :]) has the prior above. This is the
log-linear model of the emissions, with states in place of syllables and no other state. The density
of T, Jacobian included, is softmax(T) to the power of the concentrations: they are the counts of
one more group, in which all effects are 0, under a flat prior of T.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from hhmm._runtime.keys import to_normals, uniforms

# The chance that one proposal of the gamma sampler is refused is below 0.05
# for every concentration >= 1 (Marsaglia & Tsang 2000, section 6), so that all of
# this many are refused with probability below 1e-20.
N_PROPOSALS = 16
# Draws of concentrations far below 1 leave the range of float64, and of the messages, which are
# float32. A drawn probability is at least this, so that its log density is finite, and that
# a message which two such transitions in a row lead to has not vanished. It is less than float64
# resolves beside 1: a path over n timesteps makes such a transition with probability n 1e-17.
SMALLEST_PROB = 1e-17


def concentrations(counts, priors):
    """Return dirichlet concentrations (n_states, n_states) of the rows of A given counts."""
    return counts + priors.trans_beta + priors.trans_kappa * jnp.eye(counts.shape[-1])


def log_gamma_draw(normal, uniform, shape_parameter):
    """Draw the logarithm of Gamma(a, 1) variates, elementwise, from given random numbers.

    Marsaglia & Tsang (2000), "A simple method for generating gamma variables",
    ACM Transactions on Mathematical Software 26(3): with d = a - 1/3 and a
    standard normal g, ``d (1 + g / sqrt(9 d))**3`` is accepted by a squeeze-free
    log test. All proposals are made at once and the first accepted one is
    taken, which compiles to a few vector operations where the rejection loop
    of ``jax.random.loggamma`` takes two seconds to compile. Concentrations below 1
    are raised by one and the draw is multiplied by ``u**(1/a)``, in logarithms, so
    tiny ones do not underflow.

    Parameters
    ----------
    normal : (N_PROPOSALS, ...)
    uniform : (N_PROPOSALS + 1, ...)
    shape_parameter : array (...), float64
        The concentrations a > 0.

    Returns
    -------
    log_gamma : array of the same shape, float64
    """
    # 1 - u is in (0, 1]: its logarithm is finite
    log_uniforms = jnp.log1p(-uniform)
    raised = jnp.where(shape_parameter < 1, shape_parameter + 1, shape_parameter)
    d = raised - 1 / 3
    root = 1 + normal / jnp.sqrt(9 * d)
    positive = root > 0
    log_cube = 3 * jnp.log(jnp.where(positive, root, 1))
    bound = 0.5 * normal**2 + d * (1 - jnp.exp(log_cube) + log_cube)
    accepted = positive & (log_uniforms[:-1] < bound)
    first = jnp.argmax(accepted, axis=0)[None]
    log_draw = jnp.log(d) + jnp.take_along_axis(log_cube, first, axis=0)[0]
    return log_draw + jnp.where(shape_parameter < 1, log_uniforms[-1] / shape_parameter, 0)


def draw_trans_probs(key, counts, priors):
    """Draw A from its Dirichlet posterior given transition counts (n_states, n_states)."""
    alpha = concentrations(counts, priors)
    uniform = uniforms(key, (2 * N_PROPOSALS + 1, *alpha.shape))
    normal, uniform = to_normals(uniform[:N_PROPOSALS]), uniform[N_PROPOSALS:]
    draw = jax.nn.softmax(log_gamma_draw(normal, uniform, alpha), axis=-1)
    return jnp.maximum(draw, SMALLEST_PROB)


def with_a_mode(priors):
    """Return the priors that EM and gradient use: concentrations below 1 count as 1.

    Below 1, a Dirichlet density is infinite where a probability is zero, and has no mode.
    """
    beta, stay = priors.trans_beta, priors.trans_beta + priors.trans_kappa
    at_least_1 = np.maximum(beta, 1.0)
    return priors._replace(trans_beta=at_least_1, trans_kappa=np.maximum(stay, 1.0) - at_least_1)


def context_trans_probs(trans_probs, group_transitions, terms):
    """Return the transition probabilities of every context, (n_contexts, n_states).

    Parameters
    ----------
    trans_probs : (n_states, n_states)
        Where all effects are 0.
    group_transitions : tuple of (n_levels, n_states, n_states), or None
        U of each factor.
    terms : Terms
    """
    if not terms.factors:
        return trans_probs
    return _of_groups(trans_probs, group_transitions or (), terms=terms)


@functools.partial(jax.jit, static_argnames="terms")
def _of_groups(trans_probs, group_transitions, *, terms):
    logits = jnp.broadcast_to(jnp.log(trans_probs), (terms.n_groups, *trans_probs.shape))
    for factor, effects in zip(terms.factors, group_transitions, strict=False):
        logits = logits + jnp.tensordot(factor.membership.T, effects, 1)
    probs = jnp.maximum(jax.nn.softmax(logits, axis=-1), SMALLEST_PROB)
    return probs.reshape(terms.n_contexts, terms.n_states)


def trans_mode(counts, priors, current):
    """Return mode of A given transition counts (n_states, n_states); no concentration below 1.

    A row that nothing is known of, neither by counts nor by the prior, stays as it is in `current`.
    """
    weights = concentrations(counts, priors) - 1
    total = weights.sum(axis=-1, keepdims=True)
    return jnp.where(total > 0, weights / jnp.where(total > 0, total, 1), current)
