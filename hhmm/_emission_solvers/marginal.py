"""Draws of emissions and transitions together with the states summed out.

Gibbs sampling moves slowly where states overlap or data are few: the parameters are held by the
states drawn from them, and the states by the parameters. Here Hamiltonian Monte Carlo moves all
parameters at once on the posterior without states, and the states are drawn afterwards. By Fisher's
identity the gradient of log p(x | parameters) is that of log p(x, z | parameters) at the expected
counts of the states (Cappe, Moulines & Ryden 2005, "Inference in Hidden Markov Models", chapter
10), so one pass of the smoother gives value and gradient. The order of a sweep is that of a
partially collapsed sampler (van Dyk & Park 2008, JASA 103): whatever is drawn given the states
comes before the parameters move without them.

Coordinates are those of b and c, and of the logarithms of each row of A, in Helmert bases. The
Jacobian makes the Dirichlet density of a row the product of its probabilities to the power of the
concentrations.

Metric. Lengths are measured by the Hessian of the negative log posterior, from differences of
gradients: one gradient a parameter. Its mean over the posterior is at least the inverse covariance
(Cramer-Rao), so the posterior is nowhere narrower than it says, and narrow directions are what
limits steps. The mean is over draws of the warm-up. It is learnt anew after 1, 2, 4, 8, ...
proposals, and fixed afterwards, so that draws that are kept have one invariant distribution.

A trajectory is `TURN` long. On a normal posterior its end lies on the other side of the mean
(correlation -.6 with where it began): means of draws are then better than those of independent
draws, variances worse.

Under wide priors the mean Hessian is far narrower than the tails of transitions that never occur.
For songs of 9 syllables with 3 states and learnt scales (14 for the base, 8 for the biases), of
3,000 draws the worst entry of A has 139 effective ones, of the base 72, of the biases 48; with
`hmc`, which takes longer trajectories there, and .6 of the time, 19, 205 and 20.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy.linalg import block_diag

from hhmm._emission_solvers import hmc
from hhmm._emission_solvers.entries import draw_entries
from hhmm._emission_solvers.objective import Tuning, emission_counts, evaluate
from hhmm._model.joint import emission_log_prior, emission_precision
from hhmm._model.simplex import helmert_basis
from hhmm._model.transitions import SMALLEST_PROB, concentrations
from hhmm._runtime.keys import to_normals, uniforms

# length of a trajectory, radians
TURN = 0.7 * np.pi
TARGET_ACCEPTANCE = 0.9
SHORT_SHARE = 0.05
# the metric is a matrix, and takes a gradient a parameter
MAX_DIMENSIONS = 1000
# difference of the logits by which gradients are compared
DIFFERENCE = 0.05
# of a prior, at most: flat ones have no variance
MAX_VARIANCE = 100.0


def n_dimensions(terms):
    """Return the number of parameters: of the emissions, and of A."""
    of_emissions = sum(map(terms.n_dimensions, terms.present))
    return of_emissions + terms.n_states * (terms.n_states - 1)


def check(terms):
    """Raise ValueError if a model cannot be drawn so."""
    if terms.trans_by_group:
        raise ValueError(
            "emission_sampler='marginal' has no effects of groups on transitions. Set "
            "group_transitions_sigma=0, or use emission_sampler='hmc'."
        )
    n = n_dimensions(terms)
    if n > MAX_DIMENSIONS:
        raise ValueError(
            f"emission_sampler='marginal' is for models of at most {MAX_DIMENSIONS:,} parameters, "
            f"and {terms.n_states} states and {terms.n_syllables} syllables make {n:,}. Use "
            "emission_sampler='hmc'."
        )


def first_tuning(terms):
    """Return the `Tuning` of a new chain; its metric is 0 until it is learnt."""
    n, n_entries = _basis(terms).shape
    return hmc.first_tuning()._replace(hessian=np.zeros((n, n)), whitening=np.zeros((n, n_entries)))


def draw_given_states(key, terms, counts, priors, current, solve):
    """Draw what is drawn given the states: entries one by one under wide priors, see `entries`.

    Parameters
    ----------
    key : JAX key
    terms : Terms
    counts : EmissionCounts
    priors : Priors
    current : EmissionLogits, centred
        The last draw. Without parameters (NaN) it is replaced by the mode.
    solve : callable
        As for `laplace.draw`.

    Returns
    -------
    logits : EmissionLogits, centred
    """

    def mode():
        return terms.stack(solve(right_hand_side=lambda _: jnp.zeros_like(point)).mode)

    point = terms.stack(current)
    point = lax.cond(jnp.isfinite(point).all(), lambda: point, mode)
    point = lax.cond(
        hmc.has_wide_prior(terms, priors),
        lambda: draw_entries(key, terms, counts, priors, point),
        lambda: point,
    )
    return terms.unstack(point)


def move(key, terms, priors, logits, trans_probs, expected_counts, warming_up, tuning):
    """Move emissions and transitions by one trajectory.

    Parameters
    ----------
    key : JAX key
    terms : Terms
    priors : Priors
    logits : EmissionLogits, centred
    trans_probs : (n_states, n_states)
    expected_counts : callable
        ``expected_counts(logits, trans_probs)`` returns the expected `SufficientStats` and the
        log-likelihood.
    warming_up : () bool
        Whether the sweep is one that no draw is kept of.
    tuning : Tuning

    Returns
    -------
    logits, trans_probs
        Where the trajectory ended, or where it began.
    acceptance : () probability that the proposal was accepted
    diverging : () bool, whether it was lost to numerical error
    tuning : Tuning
    """
    basis = _basis(terms)
    shape = sum(map(terms.n_rows, terms.present)), terms.n_syllables

    def split(x):
        point = x[: shape[0] * shape[1]].reshape(shape)
        log_probs = jax.nn.log_softmax(x[point.size :].reshape(trans_probs.shape))
        return point, log_probs

    def evaluate_at(x):
        """Return the negative log posterior and its gradient."""
        point, log_probs = split(x)
        probs = jnp.exp(log_probs)
        stats, log_likelihood = expected_counts(terms.unstack(point), probs)
        _, gradient, _ = evaluate(terms, emission_counts(terms, stats), priors, point)
        prior = concentrations(jnp.zeros_like(probs), priors)
        alpha = stats.state_trans_counts.reshape(-1, *probs.shape).sum(axis=0) + prior
        of_trans = alpha.sum(axis=1, keepdims=True) * probs - alpha
        log_prior = emission_log_prior(terms, point, priors) + jnp.sum(prior * log_probs)
        return -log_likelihood - log_prior, jnp.concatenate([gradient.ravel(), of_trans.ravel()])

    def prior_variances():
        """Return the prior variance of each entry of x before it is centred."""
        of_emissions = jnp.broadcast_to(1 / emission_precision(terms, priors), shape)
        alpha = concentrations(jnp.zeros_like(trans_probs), priors)
        # of the logarithm of a Gamma(a) variate, whose variance is at most this
        of_trans = 1 / alpha + 1 / alpha**2
        variances = jnp.concatenate([of_emissions.ravel(), of_trans.ravel()])
        return jnp.minimum(variances, MAX_VARIANCE)

    x = jnp.concatenate(
        [terms.stack(logits).ravel(), jnp.log(jnp.maximum(trans_probs, SMALLEST_PROB)).ravel()]
    )
    n_tuned = tuning.n_tuned
    # of the last power of two, 2^exponent: when the metric was last learnt
    exponent = 31 - lax.clz(jnp.maximum(n_tuned, 1))
    n_since = jnp.maximum(n_tuned - (1 << exponent), 0)
    is_new = ~jnp.any(tuning.whitening)
    hessian, whitening = lax.cond(
        is_new | (warming_up & (n_since == 0)),
        lambda: _learn(evaluate_at, x, basis, prior_variances(), tuning.hessian, exponent),
        lambda: (tuning.hessian, tuning.whitening),
    )
    uniform = uniforms(key, (len(basis) + 3,))
    velocity = to_normals(uniform[:-3])
    uniform_length, uniform_kind, uniform_test = uniform[-3:]
    is_short = uniform_kind < SHORT_SHARE
    n_steps, size = hmc.steps(tuning, TURN)
    size *= (1 + hmc.JITTER * (2 * uniform_length - 1)) * jnp.where(is_short, hmc.SHORT_LENGTH, 1)

    # one loop for all gradients: what they have in common is compiled once
    def kick_and_drift(i, carry):
        x, w, energies = carry
        value, gradient = evaluate_at(x)
        half = 0.5 * size * (whitening @ gradient)
        is_first, is_last = i == 0, i == n_steps
        # of the velocity at the time of x
        now = jnp.where(is_first, w, w - half)
        energies = energies.at[jnp.where(is_first, 0, 1)].set(value + 0.5 * now @ now)
        w = now - half
        return jnp.where(is_last, x, x + size * (w @ whitening)), w, energies

    end, _, (before, after) = lax.fori_loop(
        0, n_steps + 1, kick_and_drift, (x, velocity, jnp.zeros(2))
    )
    error = after - before
    diverging = ~(error < hmc.DIVERGENT)
    acceptance = jnp.where(diverging, 0.0, jnp.exp(-jnp.maximum(error, 0.0)))
    point, log_probs = split(jnp.where(uniform_test < acceptance, end, x))
    # the first proposals after the metric has changed count most
    tuned = hmc.tune(tuning._replace(n_tuned=n_since), acceptance, TARGET_ACCEPTANCE)
    learns = warming_up & ~is_short
    log_step = jnp.where(learns, tuned.log_step, tuning.log_step)
    tuning = Tuning(log_step, n_tuned + learns.astype(n_tuned.dtype), hessian, whitening)
    probs = jnp.maximum(jnp.exp(log_probs), SMALLEST_PROB)
    return terms.unstack(point), probs, acceptance, diverging, tuning


def _learn(evaluate_at, x, basis, prior_variances, mean, n_before):
    """Return the mean Hessian with that at x, of which n_before came before, and the whitening.

    No direction counts as wider than its prior.
    """
    _, gradient = evaluate_at(x)

    def column(direction):
        return basis @ (evaluate_at(x + DIFFERENCE * direction)[1] - gradient) / DIFFERENCE

    hessian = lax.map(column, jnp.asarray(basis))
    hessian = (hessian + hessian.T) / 2
    # where a chain starts is no draw, and is forgotten
    hessian = mean + (hessian - mean) / jnp.maximum(n_before, 1)
    of_prior = jnp.linalg.cholesky((basis * prior_variances) @ basis.T)
    values, vectors = jnp.linalg.eigh(of_prior.T @ hessian @ of_prior)
    scales = jnp.maximum(values, 1.0) ** -0.5
    return hessian, (of_prior @ vectors * scales).T @ basis


@functools.cache
def _basis(terms):
    """Return the parameters' orthonormal basis, (n_dimensions, n_entries of the logits and A)."""
    blocks = []
    for term in terms.present:
        of_axes = zip(terms.shape(term), terms.param_shape(term), strict=True)
        axes = [helmert_basis(n).T if n_params < n else np.eye(n) for n, n_params in of_axes]
        blocks.append(functools.reduce(np.kron, axes))
    return block_diag(*blocks, *[helmert_basis(terms.n_states).T] * terms.n_states)
