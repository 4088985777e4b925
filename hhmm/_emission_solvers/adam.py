"""The emission mode by Adam (Kingma & Ba 2015), through optax: the plain alternative.

The same objective as `newton`, over the parameters b and c, a fixed number of
steps at a fixed learning rate. Whether that was enough is judged as for `newton`, by
half the squared Newton decrement where it ends.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from hhmm._emission_solvers.newton import LAST_MAX_ITER, LAST_RELATIVE_TOL
from hhmm._emission_solvers.objective import (
    Solution,
    conjugate_gradients,
    evaluate,
)
from hhmm._model.emissions import logits_from_params, params_from_logits
from hhmm._types import Params


class Adam(NamedTuple):
    """The solver, with its settings. Hashable: static under jit."""

    max_iter: int  # steps, all of which are taken
    learning_rate: float

    def solve(
        self,
        terms,
        counts,
        priors,
        start,
        *,
        tol,
        right_hand_side,
        metric=lambda hessian: hessian,
    ):
        """Take `max_iter` Adam steps from `start`; arguments and returns as `newton.Newton.solve`.

        `tol` only sets how exactly the decrement is computed; the steps do not depend on it.
        """
        return _solve(terms, counts, priors, start, self, tol, right_hand_side, metric)


def _solve(terms, counts, priors, start, settings, tol, right_hand_side, metric):
    optimizer = optax.adam(settings.learning_rate)

    def point_of(params):
        return terms.stack(logits_from_params(Params(trans_probs=None, **params)))

    def step(carry, _):
        params, state = carry
        value, gradient, _ = evaluate(terms, counts, priors, point_of(params))
        updates, state = optimizer.update(params_from_logits(terms.unstack(gradient)), state)
        return (optax.apply_updates(params, updates), state), value

    params = params_from_logits(start)
    (params, _), losses = lax.scan(step, (params, optimizer.init(params)), length=settings.max_iter)
    mode = point_of(params)
    _, gradient, hessian = evaluate(terms, counts, priors, mode)
    last = metric(hessian)

    # both systems by one loop, which is compiled once
    def solve_one(_, system):
        hessian, right_hand_side, tol, relative_tol, cg_max_iter = system
        solution = conjugate_gradients(
            terms,
            hessian,
            right_hand_side,
            tol=tol,
            relative_tol=relative_tol,
            max_iter=cg_max_iter,
        )
        return None, solution

    systems = (
        jax.tree.map(lambda *arrays: jnp.stack(arrays), hessian, last),
        jnp.stack([gradient, right_hand_side(last)]),
        jnp.array([0.1 * tol, 0.0]),
        jnp.array([1e-2, LAST_RELATIVE_TOL]),
        jnp.array([100, LAST_MAX_ITER]),
    )
    _, (newton_step, solved) = lax.scan(solve_one, None, systems)
    decrement = 0.5 * jnp.vdot(gradient, newton_step)
    return Solution(terms.unstack(mode), losses, jnp.int32(settings.max_iter), decrement, solved)
