"""State transitions that differ between groups, drawn or at their mode; see `_model.transitions`.

They are the log-linear model of the emissions, so that its solver and its sampler serve them. The
sampler's steps are those that it begins with: counts of transitions are large beside the prior, or
the prior is all that there is, and in both cases the posterior is nearly normal.
"""

import jax
import jax.numpy as jnp

from hhmm._emission_solvers import hmc, scales
from hhmm._emission_solvers.laplace import draw_with_hessian_covariance, noise_shape
from hhmm._emission_solvers.newton import Newton
from hhmm._emission_solvers.objective import EmissionCounts
from hhmm._model.simplex import center
from hhmm._model.transitions import concentrations
from hhmm._runtime.keys import normals
from hhmm._types import EmissionLogits

SIGMA = "group_transitions_sigma"
# half the squared Newton decrement, in nats, at which the mode counts as found
TOL = 1e-6
MAX_ITER = 100
# logits from which the solver starts: farther out it finds no curvature, and a probability of 0 has
# no finite one
LARGEST_AT_START = 10.0


def draw(keys, counts, priors, trans_probs, effects, warming_up, *, terms, learnt, holds_scales):
    """Draw transitions by group given their counts, and the scales of their effects.

    Parameters
    ----------
    keys : LogitKeys
    counts : (n_contexts, n_states)
        Of state transitions.
    priors : Priors
    trans_probs : (n_states, n_states)
        The last draw of A, where all effects are 0.
    effects : tuple of (n_levels, n_states, n_states)
        The last draw of U.
    warming_up, holds_scales : () bool
        As in `chain.Phase`.
    terms : Terms
        Of the emissions.
    learnt : tuple of str, static
        Fields of `Priors`.

    Returns
    -------
    trans_probs, effects, priors
    """
    own, own_counts, flat, start = _problem(counts, priors, trans_probs, effects, terms)

    def solve(**arguments):
        return Newton(MAX_ITER).solve(own, own_counts, flat, _moderate(start), **arguments)

    drawn = hmc.draw(keys, own, own_counts, flat, start, solve, warming_up, hmc.first_tuning())
    point, drawn_priors = own.stack(drawn.logits), flat
    if SIGMA in learnt:
        point, drawn_priors = jax.lax.cond(
            holds_scales,
            lambda: (point, flat),
            lambda: scales.draw_scales(keys.scales, own, own_counts, point, flat, (SIGMA,)),
        )
    return *_params(own, point), _with_own_scales(priors, drawn_priors)


def mode(counts, priors, trans_probs, effects, keys, *, terms, learnt, holds_scales):
    """Return transitions by group at their mode given expected counts, and the scales; see `draw`.

    The mode is that of the density of T.
    """
    own, own_counts, flat, start = _problem(counts, priors, trans_probs, effects, terms)
    noise = normals(keys.all_at_once, noise_shape(own))
    solution = Newton(MAX_ITER).solve(
        own,
        own_counts,
        flat,
        _moderate(start),
        tol=TOL,
        right_hand_side=lambda hessian: draw_with_hessian_covariance(noise, own, hessian),
    )
    point = own.stack(solution.mode)
    if SIGMA in learnt:
        estimated = scales.estimate_scales(own, point, solution.solved, flat, (SIGMA,))
        flat = jax.tree.map(lambda old, new: jnp.where(holds_scales, old, new), flat, estimated)
    return *_params(own, point), _with_own_scales(priors, flat)


def _problem(counts, priors, trans_probs, effects, terms):
    """Return terms, counts, priors and present logits of the transitions."""
    own = terms.of_transitions
    n_states = terms.n_states
    alpha = concentrations(jnp.zeros((n_states, n_states)), priors)
    by_group = jnp.concatenate([counts.reshape(-1, n_states, n_states), alpha[None]])
    own_counts = EmissionCounts(own.collapse(by_group), by_group.sum(axis=2))
    start = EmissionLogits(base=center(jnp.log(trans_probs)), group_transitions=effects)
    return own, own_counts, priors._replace(emission_base_sigma=jnp.asarray(jnp.inf)), start


def _moderate(logits):
    """Return logits from which the solver starts."""

    def clip(values):
        return jnp.clip(jnp.nan_to_num(values), -LARGEST_AT_START, LARGEST_AT_START)

    return jax.tree.map(clip, logits)


def _params(own, point):
    logits = own.unstack(point)
    return jax.nn.softmax(logits.base, axis=-1), logits.group_transitions


def _with_own_scales(priors, drawn):
    return priors._replace(**{SIGMA: getattr(drawn, SIGMA)})
