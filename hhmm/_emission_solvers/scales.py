"""Scales that are learnt: the spread of each term of the emissions, beta and kappa.

Drawn, under Gibbs sampling. The scale sigma of a term x of d parameters is a priori half-Cauchy.
With an auxiliary variable a (Makalic & Schmidt 2016, "A simple sampler for the horseshoe
estimator", IEEE Signal Processing Letters 23(1)),

    a ~ InvGamma(1, 1 / s^2 + 1 / sigma^2),    sigma^2 ~ InvGamma((d + 1) / 2, 1 / a + |x|^2 / 2)

which moves slowly where the counts say little of x. Therefore it is interwoven with a step that
rescales x and sigma together (Yu & Meng 2011, "To center or not to center", JCGS 20(3)): given
x / sigma, log sigma has the density of its prior times the likelihood of the counts, and is drawn
by a Metropolis-Hastings step with Newton's step as proposal.

The counts know only the sum of usage and base, and of biases and interactions: what all rows i of
the second share might as well be in the first. Given the sum, the first is Normal. So its scale is
drawn once more, by slice sampling, given the sum alone, and then the first term given its scale
and the sum, exactly (a collapsed step: Liu 1994, JASA 89). In songs of Bengalese finches, 3 states,
4,000 draws are worth 1,300 of the usage scale with this step and 46 without.

Beta and kappa are drawn by slice sampling with the transitions summed out: given the counts of
state transitions, these are Dirichlet-multinomial.

Estimated, under EM, by type-II maximum likelihood: sigma^2 is the mean square of x under the
Normal approximation at its mode, (|mode|^2 + trace of the covariance) / d (MacKay 1992, "Bayesian
interpolation", Neural Computation 4). The trace is that of one perturb-and-solve draw, made of
the same noise in every iteration, so that EM comes to rest. Beta and kappa are where the
Dirichlet-multinomial probability of the expected counts is largest.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import gammaln

from hhmm._emission_solvers import slices
from hhmm._emission_solvers.objective import log_partition_and_curvature, products_of_parts
from hhmm._model.joint import trans_log_prior
from hhmm._model.simplex import center
from hhmm._model.terms import ALL_TERMS, GROUP_TERMS, scale_of, with_scale
from hhmm._model.transitions import N_PROPOSALS, log_gamma_draw
from hhmm._runtime.keys import to_normals, uniforms

# scale s of the half-Cauchy prior of each thing that may be learnt
PRIOR_SCALE = {
    **{term.sigma: 2.0 for term in ALL_TERMS},
    **{term.sigma: 1.0 for term in GROUP_TERMS},
    "trans_beta": 1.0,
    "trans_kappa": 100.0,
}
# where learning begins, and what a term has whose scale is not learnt yet
FIRST_GUESS = {
    "emission_base_sigma": 3.0,
    "emission_biases_sigma": 2.0,
    "emission_usage_sigma": 2.0,
    "emission_interactions_sigma": 2.0,
    **{term.sigma: 0.5 for term in GROUP_TERMS},
    "trans_beta": 1.0,
    "trans_kappa": 100.0,
}
# no scale leaves these bounds: at them the term is 0 in effect, or its prior is flat
BOUNDS = (1e-3, 1e3)
BOUNDS_OF_CONCENTRATIONS = (1e-3, 1e9)
# a change of a scale by a smaller factor is no change, so that EM can come to rest
SETTLED = 0.01
# of a proposal for the logarithm of a factor: where the density is flat, it is this
SMALLEST_PRECISION = 0.25
CONCENTRATIONS = ("trans_beta", "trans_kappa")
# where EM seeks them. Below the lowest, the density of A has no mode. Where states are never left,
# the likelihood rises with kappa without end, by (n_states - 1) / 100 nats above the highest
LOWEST_ESTIMATES = (1.0, 1e-6)
HIGHEST_BETA, HIGHEST_KAPPA_PER_TIMESTEP = 100.0, 100.0
# what a step must gain, in nats
LEAST_GAIN = 1e-3
# the longest change of a logarithm in a step is about 1 over damping
DAMPING = np.array([0.25, 0.5, 1.0, 4.0, 16.0, 64.0])
# between the logarithms at which differences are taken
DIFFERENCE = 0.05


def draw_scales(key, terms, counts, point, priors, learnt):
    """Draw the scales of the terms, given the point and jointly with it.

    Parameters
    ----------
    key : JAX key
    terms : Terms
    counts : EmissionCounts
    point : (n_rows, S), centred
        A draw given the counts and the scales.
    priors : Priors
    learnt : tuple of str, static
        Fields of `Priors`.

    Returns
    -------
    point : (n_rows, S)
    priors : Priors
    """
    drawn = [term for term in terms.present if term.sigma in learnt]
    if not drawn:
        return point, priors
    pairs = [pair for pair in terms.nested if pair[0].sigma in learnt]
    sizes = [(N_PROPOSALS + 1, N_PROPOSALS + 3)] * len(drawn)
    sizes += [(terms.n_rows(x) * terms.n_syllables, slices.n_uniforms()) for x, _ in pairs]
    normal, uniform = _noise(key, sizes)

    def draw_one(point, scale):
        """Draw one scale; a scan compiles this once for all terms."""
        normal, uniform, sigma, is_of_term, n_dimensions, prior_scale = scale
        only = jnp.where(is_of_term[:, None], point, 0)
        noise = normal[:-1], uniform[:-1]
        sigma = _draw_given_term(noise, sigma, only, n_dimensions, prior_scale)
        noise = normal[-1], uniform[-1]
        factor = _draw_factor(noise, terms, counts, point, only, sigma, prior_scale)
        return point + (factor - 1) * only, sigma * factor

    term_of_row = np.concatenate(
        [np.full(terms.n_rows(term), i) for i, term in enumerate(terms.present)]
    )
    numbers = np.array([terms.present.index(term) for term in drawn])
    point, sigmas = lax.scan(
        draw_one,
        point,
        (
            jnp.stack(normal[: len(drawn)]),
            jnp.stack(uniform[: len(drawn)]),
            jnp.stack([scale_of(priors, term) for term in drawn]),
            term_of_row == numbers[:, None],
            np.array([float(terms.n_dimensions(term)) for term in drawn]),
            np.array([PRIOR_SCALE[term.sigma] for term in drawn]),
        ),
    )
    for term, sigma in zip(drawn, sigmas, strict=True):
        priors = with_scale(priors, term, sigma)
    of_pairs = zip(normal[len(drawn) :], uniform[len(drawn) :], strict=True)
    for noise, pair in zip(of_pairs, pairs, strict=True):
        point, priors = _divide(noise, terms, point, priors, *pair)
    return point, priors


def _noise(key, sizes):
    """Draw arrays of normal and of uniform numbers, in one call of a generator.

    Parameters
    ----------
    key : JAX key
    sizes : list of pairs of int

    Returns
    -------
    normal, uniform : lists of 1-D arrays
        Of the first and the second number of each pair.
    """
    ends = np.cumsum(np.transpose(sizes))
    flat = uniforms(key, (ends[-1],))
    n_normal = ends[len(sizes) - 1]
    flat = jnp.concatenate([to_normals(flat[:n_normal]), flat[n_normal:]])
    arrays = jnp.split(flat, ends[:-1])
    return arrays[: len(sizes)], arrays[len(sizes) :]


def _divide(noise, terms, point, priors, coarse, fine):
    """Draw the scale of a term given its sum with the one that it is nested in; divide the sum.

    With m = x + mean_i y[i], x the coarse term and y the fine one, the entries of m are
    Normal(0, v + w) a priori, v = sigma_x^2 and w = sigma_y^2 / S, and x given m is Normal with
    mean m v / (v + w) and variance v w / (v + w).
    """
    normal, uniform = noise
    rows = dict(terms.split(point))
    old = rows[coarse]
    by_state = rows[fine].reshape(-1, terms.n_syllables, terms.n_syllables)
    total = old + by_state.mean(axis=1)
    of_fine = getattr(priors, fine.sigma) ** 2 / terms.n_syllables

    def log_density(log_sigma):
        variance = jnp.exp(2 * log_sigma) + of_fine
        log_prior, *_ = _log_half_cauchy(log_sigma, PRIOR_SCALE[coarse.sigma])
        n_dimensions = terms.n_dimensions(coarse)
        return log_prior - 0.5 * (n_dimensions * jnp.log(variance) + jnp.sum(total**2) / variance)

    start = jnp.log(getattr(priors, coarse.sigma))[None]
    log_sigma = slices.draw(uniform[:, None], log_density, start, 1.0, np.log(BOUNDS))[0]
    variance = jnp.exp(2 * log_sigma)
    share = variance / (variance + of_fine)
    normal = center(normal.reshape(old.shape))
    normal = center(normal, axis=0) if coarse.by_state else normal
    new = share * total + jnp.sqrt(share * of_fine) * normal
    rows[coarse] = new
    rows[fine] = (by_state - (new - old)[:, None]).reshape(rows[fine].shape)
    priors = priors._replace(**{coarse.sigma: jnp.exp(log_sigma)})
    return jnp.concatenate(list(rows.values())), priors


def _draw_given_term(noise, sigma, rows, n_dimensions, prior_scale):
    """Draw sigma given its term, by way of the auxiliary variable."""
    normal, uniform = noise
    rate = prior_scale**-2.0 + sigma**-2.0
    # 1 / auxiliary is Exponential
    inverse = -jnp.log1p(-uniform[0]) / rate
    rate = inverse + 0.5 * jnp.sum(rows**2)
    shape = jnp.asarray(0.5 * (n_dimensions + 1))
    variance = jnp.exp(-log_gamma_draw(normal, uniform[1:], shape)) * rate
    return jnp.clip(jnp.sqrt(variance), *BOUNDS)


def _draw_factor(noise, terms, counts, point, only, sigma, prior_scale):
    """Draw the factor by which a term and its scale are rescaled together, by one Newton proposal.

    `only` is the point with the rows of all other terms 0. The proposal for the logarithm of the
    factor is Normal around where Newton's step leads, with the curvature there as precision; so is
    that of the way back, and a Metropolis-Hastings test makes the step exact.
    """
    fixed, moving = terms.parts(point - only), terms.parts(only)
    linear = jnp.vdot(counts.totals, only)
    normal, uniform = noise

    def proposal_from(log_factor):
        """Return log density at a factor, and mean and precision of the proposal made there."""
        factor = jnp.exp(log_factor)
        parts = jax.tree.map(lambda fixed, moving: fixed + factor * moving, fixed, moving)
        log_partition, hessian = log_partition_and_curvature(terms, counts, None, parts)
        slope = factor * (linear - _dot(hessian.sums, moving))
        variance = _dot(products_of_parts(hessian, moving), moving)
        curvature = factor**2 * variance - slope
        prior, prior_slope, prior_curvature = _log_half_cauchy(
            jnp.log(sigma) + log_factor, prior_scale
        )
        precision = jnp.maximum(curvature + prior_curvature, SMALLEST_PRECISION)
        density = factor * linear - jnp.vdot(hessian.departures, log_partition) + prior
        return density, log_factor + (slope + prior_slope) / precision, precision

    def log_proposal(value, mean, precision):
        return 0.5 * jnp.log(precision) - 0.5 * precision * (value - mean) ** 2

    def turn(log_factor, _):
        density, mean, precision = proposal_from(log_factor)
        return mean + normal / jnp.sqrt(precision), (log_factor, density, mean, precision)

    # there and back by one loop, which is compiled once
    _, there_and_back = lax.scan(turn, jnp.zeros(()), length=2)
    (old, new), (old_density, new_density), means, precisions = there_and_back
    (mean, mean_back), (precision, precision_back) = means, precisions
    log_ratio = (
        new_density
        - old_density
        + log_proposal(old, mean_back, precision_back)
        - log_proposal(new, mean, precision)
    )
    inside = (sigma * jnp.exp(new) > BOUNDS[0]) & (sigma * jnp.exp(new) < BOUNDS[1])
    accepted = inside & (jnp.log1p(-uniform) < log_ratio)
    return jnp.where(accepted, jnp.exp(new), 1.0)


def _dot(one, other):
    return sum(map(jnp.vdot, one, other))


def draw_concentrations(key, counts, priors, learnt, trans_probs=None):
    """Draw beta and kappa, given counts of state transitions (n_states, n_states), A summed out.

    Parameters
    ----------
    key : JAX key
    counts : (n_states, n_states) or None
        None draws them given A.
    priors : Priors
    learnt : tuple of str, static
    trans_probs : (n_states, n_states)
        A.

    Returns
    -------
    priors : Priors
    """
    numbers = np.array([i for i, name in enumerate(CONCENTRATIONS) if name in learnt])
    if not len(numbers):
        return priors
    bounds = np.log(BOUNDS_OF_CONCENTRATIONS)
    prior_scales = jnp.array([PRIOR_SCALE[name] for name in CONCENTRATIONS])
    given = jnp.stack([jnp.asarray(getattr(priors, name), float) for name in CONCENTRATIONS])

    def draw_one(values, number_and_uniform):
        number, uniform = number_and_uniform

        def log_density(log_value):
            log_prior, *_ = _log_half_cauchy(log_value, prior_scales[number])
            beta, kappa = values.at[number].set(jnp.exp(log_value[0]))
            if counts is None:
                at = priors._replace(trans_beta=beta, trans_kappa=kappa)
                return trans_log_prior(trans_probs, at) + log_prior
            return log_prob_of_counts(counts, beta, kappa) + log_prior

        start = jnp.log(jnp.clip(values[number], *BOUNDS_OF_CONCENTRATIONS))[None]
        drawn = slices.draw(uniform, log_density, start, 1.0, bounds)[0]
        return values.at[number].set(jnp.exp(drawn)), None

    # one loop over both, which is compiled once
    uniform = uniforms(key, (len(numbers), slices.n_uniforms(), 1))
    values, _ = lax.scan(draw_one, given, (numbers, uniform))
    return priors._replace(**{CONCENTRATIONS[i]: values[i] for i in numbers})


def log_prob_of_counts(counts, beta, kappa):
    """Return dirichlet-multinomial log probability of transition counts, () nats, up to a constant.

    Beta and kappa may have further, leading axes, which are broadcast.
    """
    n_states = counts.shape[-1]
    beta, kappa = (value[..., None] for value in jnp.broadcast_arrays(beta, kappa))
    stay = beta + kappa
    total = stay + (n_states - 1) * beta
    leaving = counts[~np.eye(n_states, dtype=bool)]
    after = [jnp.diagonal(counts) + stay, leaving + beta, counts.sum(axis=-1) + total]
    sizes = np.array([n_states, leaving.size, n_states])
    signs = np.array([1, 1, -1])
    weights = np.append(np.repeat(signs, sizes), -signs * sizes)
    # one call of a function that takes long to compile
    return gammaln(jnp.concatenate([*after, stay, beta, total], axis=-1)) @ weights


def estimate_scales(terms, mode, spread, priors, learnt):
    """Estimate the scales of terms by one iteration of type-II maximum likelihood.

    Parameters
    ----------
    terms : Terms
    mode : (n_rows, S)
    spread : (n_rows, S)
        A Normal(0, H^-1) draw.
    priors : Priors
    learnt : tuple of str, static

    Returns
    -------
    priors : Priors
        A scale that would change by less than `SETTLED` is left as it is.
    """
    for (term, rows), (_, around) in zip(terms.split(mode), terms.split(spread), strict=True):
        if term.sigma not in learnt:
            continue
        mean_square = (jnp.sum(rows**2) + jnp.sum(around**2)) / max(terms.n_dimensions(term), 1)
        sigma = _settled(scale_of(priors, term), jnp.clip(jnp.sqrt(mean_square), *BOUNDS))
        priors = with_scale(priors, term, sigma)
    return priors


def estimate_concentrations(counts, priors, learnt):
    """Take a step of Newton's method to the beta and kappa of maximum likelihood.

    The next iteration of EM takes the next one. Estimates of one after the other would end on a
    ridge, since the counts determine the ratio of the two best. Beta is at least 1, and kappa at
    least 0: below, the density of A has no mode. Kappa is at most 100 times the number of
    timesteps: rounding would decide how far it grows where states are never left.
    """
    is_learnt = np.array([name in learnt for name in CONCENTRATIONS])
    if not is_learnt.any():
        return priors
    given = jnp.stack([jnp.asarray(getattr(priors, name), float) for name in CONCENTRATIONS])

    def log_probs(log_values):
        beta, kappa = jnp.where(is_learnt, jnp.exp(log_values), given).T
        return log_prob_of_counts(counts, beta, kappa)

    highest_kappa = HIGHEST_KAPPA_PER_TIMESTEP * jnp.maximum(counts.sum(), 1.0)
    bounds = jnp.log(jnp.array([LOWEST_ESTIMATES, (HIGHEST_BETA, highest_kappa)]))

    low, high = bounds
    start = jnp.clip(jnp.log(jnp.maximum(given, 1e-300)), low, high)
    slope, curvature = _differences(log_probs, start)
    is_free = is_learnt & jnp.where(slope < 0, start > low, start < high)
    slope, curvature = slope * is_free, curvature * jnp.outer(is_free, is_free)
    # of steps with more and more damping the best is taken
    size = jnp.maximum(jnp.abs(slope).max(), 1e-9)
    damped = curvature + size * DAMPING[:, None, None] * np.eye(2)
    determinant = damped[:, 0, 0] * damped[:, 1, 1] - damped[:, 0, 1] ** 2
    adjugate = jnp.trace(damped, axis1=1, axis2=2)[:, None, None] * np.eye(2) - damped
    moves = adjugate @ slope / determinant[:, None]
    tried = jnp.clip(start + jnp.vstack([np.zeros(2), moves]), low, high)
    found = jnp.exp(tried[jnp.argmax(log_probs(tried).at[0].add(LEAST_GAIN))])
    for name, old, new in zip(CONCENTRATIONS, given, found, strict=True):
        if name in learnt:
            priors = priors._replace(**{name: _settled(old, new)})
    return priors


def _differences(function, at):
    """Return slope (2,) and minus the second derivatives (2, 2) of a function, by differences."""
    h = DIFFERENCE
    offsets = h * np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    f = function(at + offsets).reshape(3, 3)
    slope = jnp.stack([f[2, 1] - f[0, 1], f[1, 2] - f[1, 0]]) / (2 * h)
    mixed = (f[2, 2] - f[2, 0] - f[0, 2] + f[0, 0]) / 4
    of_beta, of_kappa = (f[2, 1] - 2 * f[1, 1] + f[0, 1], f[1, 2] - 2 * f[1, 1] + f[1, 0])
    return slope, -jnp.stack([of_beta, mixed, mixed, of_kappa]).reshape(2, 2) / h**2


def _settled(old, new):
    """Return the new value of a scale, or the old one where it would hardly change."""
    return jnp.where(jnp.abs(new - old) <= SETTLED * old, old, new)


def _log_half_cauchy(log_value, prior_scale):
    """Return the log density of log x, x half-Cauchy, its slope, and minus its curvature.

    Up to a constant.
    """
    square = (jnp.exp(log_value) / prior_scale) ** 2
    share = square / (1 + square)
    return log_value - jnp.log1p(square), 1 - 2 * share, 4 * share * (1 - share)
