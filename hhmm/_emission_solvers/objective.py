"""The objective of the emission solvers, its derivatives, and linear solves with its Hessian.

With counts n[k, i, j] of syllable i then j in state k, N = n.sum(-1) and
P = softmax(B[i] + C[k]), the objective is the negative log posterior

    f(B, C) = sum_{k,i} N[k, i] logsumexp(B[i] + C[k]) - sum n[k, i, j] (B[i, j] + C[k, j])
              - log prior(B, C)

It is strictly convex. Solvers work on the centred logits (B, C) themselves:
the Helmert bases are orthonormal, so the gradient in (b, c) is the centred
gradient in (B, C), and the Hessian products below are the Hessian of (b, c) seen
in that space. For a direction (U, V), with e = U[i] + V[k],

    r[k, i, :] = N[k, i] (P * e - P (P . e))

is summed over k into the base and over i into the biases, centred, plus the
prior precisions: O(K S^2) work and memory, and no matrix.

Points, directions and gradients are one array (S + K, S), the rows of B above
the rows of C, so that solvers are written, and compiled, for one array.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from hhmm._model.joint import emission_log_prior
from hhmm._model.simplex import center
from hhmm._types import Array, EmissionLogits


class EmissionCounts(NamedTuple):
    """The counts as the objective uses them; sufficient for (B, C)."""

    totals: Array  # (S + K, S): from i to j in any state, above to j in state k
    departures: Array  # (K, S): N, from i in state k


class Curvature(NamedTuple):
    """The Hessian at a point: what its products need."""

    probs: Array  # P, (K, S, S)
    weighted: Array  # N * P, (K, S, S)
    precision: Array  # of the prior, (S + K, 1)


class Solution(NamedTuple):
    """What a solver returns."""

    mode: EmissionLogits
    losses: Array  # (max_iter,): f where each iteration begins, nats; NaN after the last
    n_iter: Array  # () int32
    decrement: Array  # (): half the squared Newton decrement at the end, nats
    solved: Array  # (S + K, S): H^-1 of the right-hand side asked for, H the Hessian at the mode


class Tuning(NamedTuple):
    """What a sampler learns while its chain warms up."""

    log_step: Array  # () logarithm of the longest step of Hamiltonian Monte Carlo, radians
    n_tuned: Array  # () int32: proposals that it was learnt from


class Draw(NamedTuple):
    """What a sampler returns."""

    logits: EmissionLogits  # centred
    solution: Solution  # of the mode
    acceptance: Array  # () probability that the proposal was accepted; 1 without a test
    diverging: Array  # () bool: whether the proposal was lost to numerical error
    tuning: Tuning


def emission_counts(stats):
    """Reduce `SufficientStats` to `EmissionCounts`."""
    counts = stats.syllable_trans_counts
    totals = jnp.concatenate([counts.sum(axis=0), counts.sum(axis=1)])
    return EmissionCounts(totals, counts.sum(axis=2))


def stack(logits):
    """`EmissionLogits` as one array (S + K, S)."""
    return jnp.concatenate([logits.base, logits.biases])


def unstack(point):
    """One array (S + K, S) as `EmissionLogits`."""
    n_syllables = point.shape[1]
    return EmissionLogits(point[:n_syllables], point[n_syllables:])


def project(point):
    """Project (S + K, S) on the centred logits: rows of both, and columns of C, sum to 0."""
    base, biases = unstack(center(point))
    return jnp.concatenate([base, center(biases, axis=0)])


def prior_precision(priors, n_states, n_syllables):
    """Precision of the prior by row, (S + K, 1)."""
    rows = jnp.arange(n_syllables + n_states)[:, None]
    return jnp.where(
        rows < n_syllables,
        priors.emission_base_sigma**-2.0,
        priors.emission_biases_sigma**-2.0,
    )


def syllable_probs(point):
    """P (K, S, S) at a point (S + K, S).

    The barrier, here and in `evaluate`, keeps the compiler from repeating the exponentials
    in every expression that uses P: a sweep compiles in 3.2 s instead of 3.7.
    """
    return lax.optimization_barrier(jax.nn.softmax(_joint_logits(point), axis=-1))


def evaluate(counts, priors, point):
    """Value, gradient and P at a point.

    Returns
    -------
    value : () float64, nats
    gradient : (S + K, S), centred
    probs : (K, S, S)
    """
    logits = _joint_logits(point)
    log_partition = jax.nn.logsumexp(logits, axis=-1)
    probs = lax.optimization_barrier(jnp.exp(logits - log_partition[..., None]))
    value = (
        jnp.vdot(counts.departures, log_partition)
        - jnp.vdot(counts.totals, point)
        - emission_log_prior(unstack(point), priors)
    )
    expected = counts.departures[..., None] * probs
    expected_totals = jnp.concatenate([expected.sum(axis=0), expected.sum(axis=1)])
    precision = prior_precision(priors, *counts.departures.shape)
    return value, project(expected_totals - counts.totals) + precision * point, probs


def curvature(counts, priors, probs):
    """`Curvature` at the point where P is `probs`."""
    precision = prior_precision(priors, *counts.departures.shape)
    return Curvature(probs, counts.departures[..., None] * probs, precision)


def hessian_product(hessian, direction):
    """The Hessian of f times a centred direction (S + K, S).

    One scan step a state keeps the work in cache, and the row sums are matrix
    products with a vector of ones, which the CPU vectorises where a reduction
    over the innermost axis is a chain of additions: 0.2 ms for K = 10, S = 100
    against 0.9 ms for the plain expression.
    """
    base, biases = unstack(direction)
    ones = jnp.ones(base.shape[1])

    def one_state(total, inputs):
        probs, weighted, bias = inputs
        change = base + bias
        mean = (probs * change) @ ones
        product = weighted * (change - mean[:, None])
        return total + product, product.sum(axis=0)

    product_base, product_biases = lax.scan(
        one_state, jnp.zeros_like(base), (hessian.probs, hessian.weighted, biases)
    )
    product = jnp.concatenate([product_base, product_biases])
    return project(product) + hessian.precision * direction


def conjugate_gradients(hessian, right_hand_side, *, tol, relative_tol, max_iter):
    """Solve ``H x = right_hand_side`` by preconditioned conjugate gradients.

    The preconditioner M is the diagonal of H in (B, C), projected. It stops when
    ``r' M^-1 r``, which is about the squared error of x in units of the
    posterior's standard deviation, is at most ``max(tol, relative_tol * b' M^-1 b)``,
    or after `max_iter` products.

    Other preconditioners were tried, on 20 sequences of 20,000 timesteps, 10 states and 100
    syllables. In a warm sweep the diagonal took 43 products for the mode and 30 for the
    draw; with the coupling of B and C within each column solved exactly (an arrow of K + 1
    blocks, one Cholesky factor a column) it was 35 and 27, at far more than that in cost; weights
    N P in place of N P (1 - P), centred by them, took 47 and 32.

    Parameters
    ----------
    hessian : Curvature
    right_hand_side : (S + K, S), centred
    tol, relative_tol : float
    max_iter : int

    Returns
    -------
    solution : (S + K, S), centred
    """
    variance = hessian.weighted * (1 - hessian.probs)
    diagonal = jnp.concatenate([variance.sum(axis=0), variance.sum(axis=1)]) + hessian.precision

    def unfinished(carry):
        _, _, _, rho, i = carry
        return (rho > goal) & (i < max_iter)

    def iterate(carry):
        solution, residual, direction, rho, i = carry
        product = hessian_product(hessian, direction)
        step = rho / jnp.vdot(direction, product)
        residual = residual - step * product
        preconditioned = project(residual / diagonal)
        rho_next = jnp.vdot(residual, preconditioned)
        return (
            solution + step * direction,
            residual,
            preconditioned + (rho_next / rho) * direction,
            rho_next,
            i + 1,
        )

    start = project(right_hand_side / diagonal)
    rho = jnp.vdot(right_hand_side, start)
    goal = jnp.maximum(tol, relative_tol * rho)
    carry = (jnp.zeros_like(start), right_hand_side, start, rho, jnp.int32(0))
    return lax.while_loop(unfinished, iterate, carry)[0]


def _joint_logits(point):
    """B[i, j] + C[k, j], (K, S, S)."""
    logits = unstack(point)
    return logits.base + logits.biases[:, None, :]
