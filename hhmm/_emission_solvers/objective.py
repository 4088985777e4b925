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

is summed back over the axes that each term does not have, and centred, plus the prior precisions.

No array (C, S, S) is made. Contexts share the sum F of the terms with a from axis, or share it by
state, and each adds a row h: L[c, i, j] = F[i, j] + h[c, j]. So P = E w / Z, with E = exp(F) and
w = exp(h), each over its largest, and every sum above is a product of matrices. Of the expectation
of e = f + g, f[i, j] and g[c, j], it is

    Z = w E',    (P . e) = (w (E * f)' + (w * g) E') / Z

and with R = N / Z and m = R * (P . e), the sums of r are

    over i:    w * (R (E * f) + g * (R E) - m E)
    over c:    E * (f * (R' w) + R' (w * g) - m' w)

Products and sums of positive numbers keep their relative accuracy, so that logits may lie hundreds
of nats apart. Entries of h that are more than 300 nats below the largest of their row count as 300
below it, so Z and its square stay in the range of float64. This changes P only where entries of a
row of F are more than 300 nats apart too: both prior standard deviations are then about 50 or more.

A product of small matrices takes longer to call than to compute. Written out as sums, it is
compiled together with what is around it. Microseconds of a product with the Hessian, by matrices /
written out, on a CPU: 5 states and 9 syllables 5.7 / 1.7, 5 and 20 7.2 / 3.9, 10 and 20 8.5 / 9.0,
5 and 30 18 / 50.

Points, directions and gradients are one array (n_rows, S), the rows of the terms one below
the other, so that solvers are written, and compiled, for one array.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from hhmm._model.joint import emission_log_prior, emission_precision
from hhmm._types import Array, EmissionLogits

# of the logarithm of w
LOWEST = -300.0
# B M S^2 up to which products of matrices are written out as sums, see above
SMALL = 2048


class EmissionCounts(NamedTuple):
    """The counts as the objective uses them; sufficient for the emissions."""

    totals: Array  # (n_rows, S): summed over the axes that a term does not have
    departures: Array  # (C, S): N, from i in context c


class Curvature(NamedTuple):
    """The Hessian at a point: what its products need. B, M are the batches of `Terms.parts`."""

    by_from: Array  # E, (B, S, S)
    by_context: Array  # w, (B, M, S)
    rates: Array  # R, (B, M, S)
    added: Array  # to each N P, in the metric of `hmc`; 0 otherwise, (B, M, S)
    departures: Array  # N + S times what was added, (B, M, S)
    sums: tuple  # of N P, and what was added, over contexts (B, S, S) and over i (B, M, S)
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
    # of the sampler "marginal", see there; the others have none
    hessian: Any = ()  # (n_dimensions, n_dimensions)
    whitening: Any = ()  # (n_dimensions, n_entries)


class LogitKeys(NamedTuple):
    """Keys of a draw of logits, each of one call of a generator or of its blocks."""

    all_at_once: Array
    entries: Array
    scales: Array


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


def log_partition_and_curvature(terms, counts, precision, parts):
    """Return logsumexp(L) (B, M, S) and the `Curvature` at a point.

    Parameters
    ----------
    terms : Terms
    counts : EmissionCounts
    precision : (n_rows, 1)
        Of the prior.
    parts : pair of arrays
        Those of the point, see `Terms.parts`.
    """
    by_from, by_context = parts
    by_from = terms.without_held(by_from)
    largest_by_from = by_from.max(axis=-1, keepdims=True)
    largest_by_context = by_context.max(axis=-1, keepdims=True)
    # the barrier keeps the compiler from repeating the exponentials in every expression
    by_from, by_context = lax.optimization_barrier(
        (
            jnp.exp(by_from - largest_by_from),
            jnp.exp(jnp.maximum(by_context - largest_by_context, LOWEST)),
        )
    )
    partition = _over_to(by_context, by_from)
    log_partition = jnp.log(partition) + largest_by_from.mT + largest_by_context
    departures = terms.by_batch(counts.departures)
    rates = departures / partition
    hessian = Curvature(
        by_from,
        by_context,
        rates,
        jnp.zeros_like(rates),
        departures,
        (by_from * _over_contexts(rates, by_context), by_context * _over_from(rates, by_from)),
        precision,
    )
    return log_partition, hessian


def evaluate(terms, counts, priors, point):
    """Evaluate value, gradient and Hessian at a point.

    Returns
    -------
    value : () float64, nats
    gradient : (n_rows, S), centred
    hessian : Curvature
    """
    precision = emission_precision(terms, priors)
    log_partition, hessian = log_partition_and_curvature(
        terms, counts, precision, terms.parts(point)
    )
    value = (
        jnp.vdot(hessian.departures, log_partition)
        - jnp.vdot(counts.totals, point)
        - emission_log_prior(terms, point, priors)
    )
    expected_totals = terms.from_parts(*hessian.sums)
    gradient = terms.project(expected_totals - counts.totals) + precision * point
    return value, gradient, hessian


def curvature(terms, counts, priors, point):
    """Return the `Curvature` at a point (n_rows, S)."""
    precision = emission_precision(terms, priors)
    return log_partition_and_curvature(terms, counts, precision, terms.parts(point))[1]


def hessian_diagonal(terms, hessian):
    """Return the diagonal of the Hessian of f, not centred, (n_rows, S)."""
    return _variances(terms, hessian) + hessian.precision


def _variances(terms, hessian):
    """Return sums of W (1 - W / N) by entry of a point, W = N P and what was added, (n_rows, S)."""
    by_from, by_context, rates, added, departures, (sum_by_from, sum_by_context), _ = hessian
    # W^2 / N = (R^2 E^2 w^2 + 2 R a E w + a^2) / N
    of_squares, squares = _rates_of_means(hessian), by_from**2
    share = added / jnp.maximum(departures, np.finfo(float).tiny)
    both = 2 * rates * share
    sum_by_from -= squares * _over_contexts(of_squares, by_context**2)
    sum_by_from -= by_from * _over_contexts(both, by_context)
    sum_by_from -= jnp.sum(added * share, axis=1)[..., None]
    sum_by_context -= by_context**2 * _over_from(of_squares, squares)
    sum_by_context -= by_context * _over_from(both, by_from)
    sum_by_context -= jnp.sum(added * share, axis=2, keepdims=True)
    # rounding may leave less than nothing where a transition has all the probability
    return jnp.maximum(terms.from_parts(sum_by_from, sum_by_context), 0.0)


def _rates_of_means(hessian):
    """Return R / Z (B, M, S), with counts added: their mean is 0 for what is centred."""
    return hessian.rates**2 / jnp.maximum(hessian.departures, np.finfo(float).tiny)


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
    weights, precision = _by_term(terms, _variances(terms, hessian)), {}
    for term, rows in terms.split(hessian.precision):
        precision[term] = rows[0, 0]
    diagonals = {term: weights[term] + precision[term] for term in terms.present}

    def precondition(residual):
        residuals = _by_term(terms, residual)
        solutions = {}
        for coarse, fine in terms.nested:
            share = weights[fine] / diagonals[fine]
            left = precision[coarse] + precision[fine] * share.sum(axis=-2)
            rest = residuals[coarse] - (share * residuals[fine]).sum(axis=-2)
            solutions[coarse] = rest / left
            residuals[fine] -= weights[fine] * solutions[coarse][..., None, :]
        for term in terms.present:
            if term not in solutions:
                solutions[term] = residuals[term] / diagonals[term]
        return terms.project(terms.stack(terms.by_field(solutions)))

    return precondition


def _by_term(terms, point):
    return {term: rows.reshape(terms.shape(term)) for term, rows in terms.split(point)}


def hessian_product(terms, hessian, direction):
    """Multiply the Hessian of f by a centred direction (n_rows, S)."""
    product = terms.from_parts(*products_of_parts(hessian, terms.parts(direction)))
    return terms.project(product) + hessian.precision * direction


def products_of_parts(hessian, parts):
    """Return the sums of r over contexts and over i, up to what is constant along j.

    Parameters
    ----------
    hessian : Curvature
    parts : pair of arrays
        Those of a centred direction, see `Terms.parts`.

    Returns
    -------
    by_from : (B, S, S)
    by_context : (B, M, S)
    """
    along_from, along_context = parts
    by_from, by_context, rates, added, _, (sum_by_from, sum_by_context), _ = hessian
    weighted_from, weighted_context = by_from * along_from, by_context * along_context
    means = _over_to(by_context, weighted_from) + _over_to(weighted_context, by_from)
    means *= _rates_of_means(hessian)
    over_contexts = _over_contexts(rates, weighted_context) - _over_contexts(means, by_context)
    over_from = _over_from(rates, weighted_from) - _over_from(means, by_from)
    by_from = along_from * sum_by_from + by_from * over_contexts
    by_context = along_context * sum_by_context + by_context * over_from
    return lax.cond(
        jnp.any(added > 0),
        lambda: (
            by_from + _over_contexts(added, along_context),
            by_context + _over_from(added, along_from),
        ),
        lambda: (by_from, by_context),
    )


def _over_to(rows, matrices):
    """Multiply (B, M, S) by (B, S, S), summed over syllables j: (B, M, S) by i."""
    if _is_small(rows):
        return jnp.sum(rows[:, :, None] * matrices[:, None], axis=3)
    return lax.dot_general(rows, matrices, (((2,), (2,)), ((0,), (0,))))


def _over_contexts(by_from, by_to):
    """Multiply two (B, M, S), summed over contexts: (B, S, S)."""
    if _is_small(by_from):
        return jnp.sum(by_from[..., None] * by_to[:, :, None], axis=1)
    return lax.dot_general(by_from, by_to, (((1,), (1,)), ((0,), (0,))))


def _over_from(by_from, matrices):
    """Multiply (B, M, S) by (B, S, S), summed over i: (B, M, S) by j."""
    if _is_small(by_from):
        return jnp.sum(by_from[..., None] * matrices[:, None], axis=2)
    return by_from @ matrices


def _is_small(rows):
    """Return whether a product of (B, M, S) by (B, S, S) is written out."""
    return rows.size * rows.shape[-1] <= SMALL


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
