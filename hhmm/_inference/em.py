"""Expectation maximisation of the log joint (MAP-EM).

An iteration takes, in this order,

1. the mode of the emissions (b, c) given the expected syllable transition counts, by the
   emission solver;
2. the mode of the transitions A given the expected state transition counts, a Dirichlet
   density: the concentrations less one, normalised;
3. the expected counts given all parameters, by the smoother, whose normalisers give
   log p(x | b, c, A) on the way.

No iteration lowers log p(x | b, c, A) + log p(b, c, A) (Dempster, Laird & Rubin 1977, JRSS B 39,
section 3; for hidden Markov models Baum, Petrie, Soules & Weiss 1970), up to the rounding of
messages in float32. No random number is used.
"""

import sys

import jax
import jax.numpy as jnp

from hhmm._emission_solvers import SOLVERS
from hhmm._emission_solvers.objective import emission_counts, evaluate, stack
from hhmm._inference import chain as chains
from hhmm._messages import BACKENDS
from hhmm._model.emissions import emission_factors
from hhmm._model.transitions import trans_mode

# half the squared Newton decrement, in nats, at which the emission mode counts as found
EMISSION_TOL = 1e-6


def sweep(*arguments, settings):
    """One iteration; arguments and returns of `chain.sweep`."""
    return chains.sweep(sys.modules[__name__], *arguments, settings=settings)


def update_params(key_emission, key_trans, chain, priors, learning_rate, warming_up, *, settings):
    """Mode of emissions and transitions given the expected counts; the chain with them."""
    del key_emission, key_trans, warming_up
    counts = emission_counts(chain.stats)
    start = chain.mode
    solution = SOLVERS[settings.emission_solver](
        counts,
        priors,
        start,
        max_iter=settings.emission_gd_iters,
        learning_rate=learning_rate,
        tol=EMISSION_TOL,
        right_hand_side=lambda hessian: jnp.zeros_like(stack(start)),
    )
    mode = solution.mode
    if settings.emission_solver == "adam":
        # steps of a fixed size may lead up again; a mode that is no better is not taken
        after, before = (evaluate(counts, priors, stack(point))[0] for point in (mode, start))
        mode = jax.tree.map(lambda new, old: jnp.where(after <= before, new, old), mode, start)
    return chain._replace(
        logits=mode,
        trans_probs=trans_mode(chain.stats.state_trans_counts, priors, chain.trans_probs),
        mode=mode,
        emission_losses=solution.losses,
        emission_n_iter=solution.n_iter,
        emission_decrement=solution.decrement,
    )


def update_states(key, logits, trans_probs, sequences, *, settings):
    """Expected counts given the parameters: no states, counts, log-likelihood."""
    del key
    stats, log_likelihood = BACKENDS[settings.backend].expected_counts(
        emission_factors(logits), trans_probs, sequences
    )
    return (), stats, log_likelihood
