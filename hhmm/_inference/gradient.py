"""Ascent of the marginal log joint by its gradient, with L-BFGS.

The parameters are unconstrained: the centred logits (B, C), and for the transitions logits a with
A = softmax(a). What is climbed is log p(x | b, c, A) + log p(b, c, A), the density of A itself
and not that of a, so that the mode is the one that EM finds.

The gradient of the log-likelihood is the expected gradient of the complete-data log-likelihood
(Fisher's identity: Cappe, Moulines & Ryden 2005, "Inference in hidden Markov models",
Proposition 10.1.6): one pass of the smoother, whichever backend does it, and the memory of
that pass. Automatic differentiation of the forward filter would come to the same numbers
and keep every intermediate of every timestep.

Directions and step lengths are optax's: L-BFGS with a line search to the strong Wolfe
conditions (Nocedal & Wright 2006, algorithms 7.4 and 3.5). It climbs in coordinates scaled by
the curvature of the complete-data objective at the start, in which the Hessian is nearer to a
multiple of the identity.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.tree_utils

from hhmm._emission_solvers.objective import (
    curvature,
    emission_counts,
    evaluate,
    hessian_diagonal,
)
from hhmm._messages import BACKENDS
from hhmm._model.emissions import emission_factors
from hhmm._model.joint import log_prior
from hhmm._model.transitions import concentrations, context_trans_probs
from hhmm._types import Array

# in the logits of transitions that start at zero probability
SMALLEST_PROB = 1e-10


class Point(NamedTuple):
    """Position of L-BFGS: parameters over their scale."""

    logits: Array  # (n_rows, S)
    trans_logits: Array  # (K, K)


class Ascent(NamedTuple):
    """State that is carried from step to step."""

    point: Point
    scale: Point
    state: Any  # optax's


def start(chain, terms):
    """Return the chain with the optimiser at its parameters, given expected counts to scale by."""
    logits, stats, priors = terms.stack(chain.logits), chain.stats, chain.priors
    counts = emission_counts(terms, stats)
    hessian = curvature(terms, counts, priors, logits)
    alpha = concentrations(_shared_counts(stats, terms), priors)
    probs = alpha / alpha.sum(axis=1, keepdims=True)
    # a probability of 0 or 1 says nothing of the scale of its logit; nor does that of one state
    trans_variance = alpha.sum(axis=1, keepdims=True) * probs * (1 - probs)
    trans_scale = jnp.where(trans_variance > 0, trans_variance, 1) ** -0.5
    scale = Point(hessian_diagonal(terms, hessian) ** -0.5, trans_scale)
    trans_logits = jnp.log(jnp.maximum(chain.trans_probs, SMALLEST_PROB))
    point = Point(logits / scale.logits, trans_logits / scale.trans_logits)
    return chain._replace(optimizer=Ascent(point, scale, _optimizer().init(point)))


def step(chain, sequences, *, settings):
    """Take one step of L-BFGS; return the chain after it."""
    point, scale, state = chain.optimizer
    loss = _loss(scale, sequences, chain.priors, settings)
    value, gradient = optax.value_and_grad_from_state(loss)(point, state=state)
    updates, state = _optimizer().update(
        gradient, state, point, value=value, grad=gradient, value_fn=loss
    )
    point = optax.apply_updates(point, updates)
    logits, trans_probs = _params(point, scale, settings.terms)
    log_joint = -optax.tree_utils.tree_get(state, "value")
    return chain._replace(
        has_states=jnp.bool_(True),
        logits=logits,
        trans_probs=trans_probs,
        mode=logits,
        log_joint=log_joint,
        log_likelihood=log_joint - log_prior(settings.terms, logits, trans_probs, chain.priors),
        optimizer=Ascent(point, scale, state),
    )


def _shared_counts(stats, terms):
    """Sum counts of state transitions over groups, (n_states, n_states)."""
    return stats.state_trans_counts.reshape(-1, terms.n_states, terms.n_states).sum(axis=0)


def _optimizer():
    return optax.lbfgs()


def _params(point, scale, terms):
    """Return `EmissionLogits`, centred, and trans_probs at a point."""
    logits = terms.unstack(terms.project(point.logits * scale.logits))
    return logits, jax.nn.softmax(point.trans_logits * scale.trans_logits, axis=1)


def _loss(scale, sequences, priors, settings):
    """Return the negative log joint of a `Point`, with Fisher's identity as gradient."""

    terms = settings.terms

    def value_and_gradient(point):
        logits, trans_probs = _params(point, scale, terms)
        by_context = context_trans_probs(trans_probs, None, terms)
        stats, log_likelihood = BACKENDS[settings.backend].expected_counts(
            emission_factors(logits, terms), by_context, sequences
        )
        counts = emission_counts(terms, stats)
        _, by_logits, _ = evaluate(terms, counts, priors, terms.stack(logits))
        weights = concentrations(_shared_counts(stats, terms), priors) - 1
        by_trans_logits = weights.sum(axis=1, keepdims=True) * trans_probs - weights
        gradient = Point(by_logits * scale.logits, by_trans_logits * scale.trans_logits)
        return -(log_likelihood + log_prior(terms, logits, trans_probs, priors)), gradient

    @jax.custom_vjp
    def loss(point):
        return value_and_gradient(point)[0]

    loss.defvjp(
        value_and_gradient,
        lambda gradient, factor: (jax.tree.map(lambda part: factor * part, gradient),),
    )
    return loss
