"""A draw from the Laplace approximation at the emission mode, without a factor.

The approximation is Normal(mode, H^-1), H the Hessian of the negative log
posterior at the mode. A vector eta ~ Normal(0, H) is the sum of independent
parts: for every context c and syllable i, with g standard normal,

    sqrt(N[c, i]) (sqrt(P) * g - P (sqrt(P) . g))    ~ Normal(0, N (diag P - P P'))

added to the rows of the terms that this cell counts in (row i of the base, row k of the
biases), and for the prior a standard normal over sigma. Then x with ``H x = eta`` is a
Normal(0, H^-1) draw (perturb and optimise: Papandreou & Yuille 2010, NIPS, "Gaussian sampling by
local perturbations"). The cost is one linear solve, and the covariance is
H^-1 itself, with nothing added to its diagonal.
"""

import jax.numpy as jnp
import numpy as np

from hhmm._emission_solvers.objective import Draw
from hhmm._runtime.keys import normals


def draw(keys, terms, counts, priors, current, solve, warming_up, tuning):
    """Find the mode of the emission logits, and draw around it.

    Parameters
    ----------
    keys : LogitKeys
    terms : Terms
    counts : EmissionCounts
        Not used here: samplers share one signature.
    priors : Priors
        Not used here.
    current : EmissionLogits, centred
        The last draw. Not used here.
    solve : callable
        A solver with all arguments but `right_hand_side` given; `tol` may be replaced;
        returns a `Solution`.
    warming_up : bool
        Whether the sweep is one that no draw is kept of. Not used here.
    tuning : Tuning
        Handed on.

    Returns
    -------
    draw : Draw
    """
    del counts, priors, current, warming_up
    noise = normals(keys.all_at_once, noise_shape(terms))
    solution = solve(
        right_hand_side=lambda hessian: draw_with_hessian_covariance(noise, terms, hessian)
    )
    logits = terms.unstack(terms.stack(solution.mode) + solution.solved)
    return Draw(logits, solution, acceptance=jnp.ones(()), diverging=jnp.bool(False), tuning=tuning)


def noise_shape(terms):
    """Return the shape of the noise of `draw_with_hessian_covariance`."""
    n_rows = sum(map(terms.n_rows, terms.present))
    return terms.n_contexts * terms.n_syllables + n_rows, terms.n_syllables


def draw_with_hessian_covariance(noise, terms, hessian):
    """Make a centred eta ~ Normal(0, H), (n_rows, S), of standard normal numbers.

    They are drawn before a solver's loop: inside, the compiler would repeat their generator in
    every expression.
    """
    by_from, by_context, rates, added, departures, *_ = hessian
    n_blocks = terms.n_contexts * terms.n_syllables
    # of the multinomial parts, then of the prior
    expected = rates[..., None] * by_from[:, None] * by_context[:, :, None] + added[..., None]
    spread = jnp.sqrt(expected) * noise[:n_blocks].reshape(expected.shape)
    # the sums of P times the total; those of what was added are constant along j
    totals = rates * spread.sum(axis=-1) / jnp.maximum(departures, np.finfo(float).tiny)
    multinomial = terms.from_parts(
        spread.sum(axis=1) - by_from * (totals.mT @ by_context),
        spread.sum(axis=2) - by_context * (totals @ by_from),
    )
    return terms.project(multinomial + jnp.sqrt(hessian.precision) * noise[n_blocks:])
