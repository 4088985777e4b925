"""The objective of the emission solvers, its derivatives, and linear solves with its Hessian.

With counts n[c, i, j] of syllable i then j in context c (a state, in a group where there are
groups), N = n.sum(-1), the logits L a sum of terms (see `hhmm._model.terms`) and P = softmax(L),
the objective is the negative log posterior

    f = sum_{c,i} N[c, i] logsumexp(L[c, i]) - sum n[c, i, j] L[c, i, j] - log prior

It is strictly convex. Solvers work on the centred terms themselves: the Helmert bases are
orthonormal, so the gradient in the parameters is the centred gradient in the terms, and the
Hessian products below are the Hessian of the parameters seen in that space. For a direction of
which the terms sum to e[c, i, :],

    r[c, i, :] = N[c, i] (P * e - P (P . e))

is summed back over the axes that each term does not have, and centred, plus the
prior precisions: O(C S^2) work and memory for C contexts, and no matrix.

Points, directions and gradients are one array (n_rows, S), the rows of the terms one below
the other, so that solvers are written, and compiled, for one array.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from hhmm._model.joint import emission_log_prior
from hhmm._model.terms import scale_of
from hhmm._types import Array, EmissionLogits


class EmissionCounts(NamedTuple):
    """The counts as the objective uses them; sufficient for the emissions."""

    totals: Array  # (n_rows, S): summed over the axes that a term does not have
    departures: Array  # (C, S): N, from i in context c


class Curvature(NamedTuple):
    """The Hessian at a point: what its products need."""

    probs: Array  # P, (C, S, S)
    weighted: Array  # N * P, (C, S, S)
    precision: Array  # of the prior, (n_rows, 1)


class Solution(NamedTuple):
    """Result of a solver."""

    mode: EmissionLogits
    losses: Array  # (max_iter,): f where each iteration begins, nats; NaN after the last
    n_iter: Array  # () int32
    decrement: Array  # (): half the squared Newton decrement at the end, nats
    solved: Array  # (n_rows, S): H^-1 of the right-hand side asked for, H the Hessian at the mode


class Tuning(NamedTuple):
    """Settings that a sampler tunes while its chain warms up."""

    log_step: Array  # () logarithm of the longest step of Hamiltonian Monte Carlo, radians
    n_tuned: Array  # () int32: proposals that it was learnt from


class Draw(NamedTuple):
    """Result of a sampler."""

    logits: EmissionLogits  # centred
    solution: Solution  # of the mode
    acceptance: Array  # () probability that the proposal was accepted; 1 without a test
    diverging: Array  # () bool: whether the proposal was lost to numerical error
    tuning: Tuning


def emission_counts(terms, stats):
    """Reduce `SufficientStats` to `EmissionCounts`; held syllables are no emissions."""
    counts = stats.syllable_trans_counts
    return EmissionCounts(terms.collapse(counts), counts.sum(axis=2))


def prior_precision(terms, priors):
    """Return precision of the prior by row, (n_rows, 1)."""
    return jnp.concatenate(
        [
            jnp.full((terms.n_rows(term), 1), scale_of(priors, term) ** -2.0)
            for term in terms.present
        ]
    )


def syllable_probs(terms, point):
    """Return P (C, S, S) at a point (n_rows, S).

    The barrier, here and in `evaluate`, keeps the compiler from repeating the exponentials
    in every expression that uses P: a sweep compiles in 3.2 s instead of 3.7.
    """
    return lax.optimization_barrier(jax.nn.softmax(terms.joint_logits(point), axis=-1))


def evaluate(terms, counts, priors, point):
    """Evaluate value, gradient and P at a point.

    Returns
    -------
    value : () float64, nats
    gradient : (n_rows, S), centred
    probs : (C, S, S)
    """
    logits = terms.joint_logits(point)
    log_partition = jax.nn.logsumexp(logits, axis=-1)
    probs = lax.optimization_barrier(jnp.exp(logits - log_partition[..., None]))
    value = (
        jnp.vdot(counts.departures, log_partition)
        - jnp.vdot(counts.totals, point)
        - emission_log_prior(terms, point, priors)
    )
    expected_totals = terms.collapse(counts.departures[..., None] * probs)
    precision = prior_precision(terms, priors)
    gradient = terms.project(expected_totals - counts.totals) + precision * point
    return value, gradient, probs


def curvature(terms, counts, priors, probs):
    """Return the `Curvature` at the point where P is `probs`."""
    weighted = counts.departures[..., None] * probs
    return Curvature(probs, weighted, prior_precision(terms, priors))


def hessian_diagonal(terms, hessian):
    """Return the diagonal of the Hessian of f, not centred, (n_rows, S)."""
    return terms.collapse(hessian.weighted * (1 - hessian.probs)) + hessian.precision


def preconditioner(terms, hessian):
    """Return a function that applies M^-1, an approximate inverse Hessian, to a centred point.

    M takes syllables j apart, and what states share (base, usage) from what differs between states
    (interactions, biases). In either pair the second term is a sum over the syllable before, which
    the first one can undo at the price of the prior alone. Therefore each pair is solved exactly,
    by eliminating the first term: with weights w[i] = N P (1 - P) and prior precisions t, of the
    first term, and t',

        (w[i] + t) x[i] + w[i] x' = r[i],    sum_i w[i] x[i] + (sum_i w[i] + t') x' = r'

    Terms of groups are taken by their diagonal alone: they sum to 0 over levels, so that counts
    hardly couple them to the others.

    With base and biases alone M is the diagonal of the Hessian. For 10 states and 100 syllables a
    diagonal alone takes 1.5 times as long with a usage offset, and 6 times with interactions.

    Other preconditioners were tried for base and biases, on 20 sequences of 20,000 timesteps, 10
    states and 100 syllables. In a warm sweep the diagonal took 43 products for the mode and 30 for
    the draw; with the coupling of B and C within each column solved exactly (an arrow of K + 1
    blocks, one Cholesky factor a column) it was 35 and 27, at far more than that in cost; weights
    N P in place of N P (1 - P), centred by them, took 47 and 32.

    Returns
    -------
    precondition : callable
    """
    variance = hessian.weighted * (1 - hessian.probs)
    of_states = variance
    if terms.n_groups > 1:
        of_states = variance.reshape(terms.n_groups, terms.n_states, *variance.shape[1:]).sum(
            axis=0
        )
    weights = {False: of_states.sum(axis=0), True: of_states}
    precision = {term: rows[0, 0] for term, rows in terms.split(hessian.precision)}
    of_groups = {
        term: terms.from_contexts(term, variance if term.by_from else variance.sum(axis=1))
        for term in terms.present
        if term.factor is not None
    }

    def solve_pair(by_state, residuals):
        """Return solutions of the terms that are by state, or of the others, without groups."""
        pair = [t for t in terms.present if t.by_state == by_state and t.factor is None]
        weight = weights[by_state]
        solutions = {}
        coarse_weight = weight.sum(axis=-2)
        fine = next((term for term in pair if term.by_from), None)
        coarse = next((term for term in pair if not term.by_from), None)
        if fine is None:
            if coarse is not None:
                total = coarse_weight + precision[coarse]
                solutions[coarse] = residuals[coarse] / total
            return solutions
        diagonal = weight + precision[fine]
        residual = residuals[fine]
        if coarse is not None:
            share = weight / diagonal
            left = precision[coarse] + precision[fine] * share.sum(axis=-2)
            rest = residuals[coarse] - (share * residual).sum(axis=-2)
            solutions[coarse] = rest / left
            residual = residual - weight * solutions[coarse][..., None, :]
        solutions[fine] = residual / diagonal
        return solutions

    def precondition(residual):
        residuals = {term: rows.reshape(terms.shape(term)) for term, rows in terms.split(residual)}
        solutions = solve_pair(False, residuals) | solve_pair(True, residuals)
        for term, weight in of_groups.items():
            diagonal = weight.reshape(terms.shape(term)) + precision[term]
            solutions[term] = residuals[term] / diagonal
        return terms.project(terms.stack(terms.by_field(solutions)))

    return precondition


def hessian_product(terms, hessian, direction):
    """Multiply the Hessian of f by a centred direction (n_rows, S).

    One scan step a context keeps the work in cache, and the row sums are matrix
    products with a vector of ones, which the CPU vectorises where a reduction
    over the innermost axis is a chain of additions: 0.2 ms for K = 10, S = 100
    against 0.9 ms for the plain expression.
    """
    shared, by_context = terms.parts(direction)
    ones = jnp.ones(terms.n_syllables)

    def one_context(total, inputs):
        probs, weighted, own = inputs
        change = sum(own, shared)
        mean = (probs * change) @ ones
        product = weighted * (change - mean[:, None])
        return total + product, terms.sums_of_context(product)

    nothing = jnp.zeros(hessian.probs.shape[1:])
    total, by_context = lax.scan(
        one_context, nothing, (hessian.probs, hessian.weighted, by_context)
    )
    product = terms.from_parts(total, by_context)
    return terms.project(product) + hessian.precision * direction


def conjugate_gradients(terms, hessian, right_hand_side, *, tol, relative_tol, max_iter):
    """Solve ``H x = right_hand_side`` by preconditioned conjugate gradients.

    The preconditioner M is that of `preconditioner`. It stops when
    ``r' M^-1 r``, which is about the squared error of x in units of the
    posterior's standard deviation, is at most ``max(tol, relative_tol * b' M^-1 b)``,
    or after `max_iter` products.

    Parameters
    ----------
    terms : Terms
    hessian : Curvature
    right_hand_side : (n_rows, S), centred
    tol, relative_tol : float
    max_iter : int

    Returns
    -------
    solution : (n_rows, S), centred
    """
    precondition = preconditioner(terms, hessian)

    def unfinished(carry):
        _, _, _, rho, i = carry
        return (rho > goal) & (i < max_iter)

    def iterate(carry):
        solution, residual, direction, rho, i = carry
        product = hessian_product(terms, hessian, direction)
        step = rho / jnp.vdot(direction, product)
        residual = residual - step * product
        preconditioned = precondition(residual)
        rho_next = jnp.vdot(residual, preconditioned)
        return (
            solution + step * direction,
            residual,
            preconditioned + (rho_next / rho) * direction,
            rho_next,
            i + 1,
        )

    start = precondition(right_hand_side)
    rho = jnp.vdot(right_hand_side, start)
    goal = jnp.maximum(tol, relative_tol * rho)
    carry = (jnp.zeros_like(start), right_hand_side, start, rho, jnp.int32(0))
    return lax.while_loop(unfinished, iterate, carry)[0]
