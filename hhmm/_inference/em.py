"""Expectation maximisation of the log joint (MAP-EM).

An iteration takes, in this order,

1. the mode of the emissions (b, c) given the expected syllable transition counts, by the
   emission solver;
2. the mode of the transitions A given the expected state transition counts, a Dirichlet
   density: the concentrations less one, normalised;
3. the scales that are learnt, by one iteration of type-II maximum likelihood, see `scales`;
4. the expected counts given all parameters, by the smoother, whose normalisers give
   log p(x | b, c, A) on the way.

No iteration lowers log p(x | b, c, A) + log p(b, c, A) (Dempster, Laird & Rubin 1977, JRSS B 39,
section 3; for hidden Markov models Baum, Petrie, Soules & Weiss 1970), up to the rounding of
messages in float32; with scales that are learnt, once these have come to rest. No random number is
used but the fixed noise of `scales`.
"""

import jax
import jax.numpy as jnp

from hhmm._emission_solvers import Adam, group_transitions, scales
from hhmm._emission_solvers.laplace import draw_with_hessian_covariance, noise_shape
from hhmm._emission_solvers.objective import emission_counts, evaluate
from hhmm._inference.chain import Algorithm
from hhmm._messages import BACKENDS
from hhmm._model.emissions import emission_factors
from hhmm._model.transitions import context_trans_probs, trans_mode
from hhmm._runtime.keys import normals


def update_params(keys, chain, phase, sequences=None, *, settings):
    """Take the mode of emissions and transitions given the expected counts of the chain."""
    del sequences
    terms, priors, learnt = settings.terms, chain.priors, settings.learnt
    learns_terms = any(term.sigma in learnt for term in terms.present)
    counts = emission_counts(terms, chain.stats)
    start = chain.mode

    def no_spread(hessian):
        return jnp.zeros_like(terms.stack(start))

    def spread(hessian):
        return jax.lax.cond(
            phase.holds_scales,
            lambda: no_spread(hessian),
            lambda: draw_with_hessian_covariance(noise, terms, hessian),
        )

    if learns_terms:
        shape = noise_shape(terms)
        noise = jax.lax.cond(
            phase.holds_scales,
            lambda: jnp.zeros(shape),
            lambda: normals(keys.emissions.all_at_once, shape),
        )
    solution = settings.solver.solve(
        terms,
        counts,
        priors,
        start,
        tol=settings.mode_tol,
        right_hand_side=spread if learns_terms else no_spread,
    )
    mode = solution.mode
    if isinstance(settings.solver, Adam):
        # steps of a fixed size may lead up again; a mode that is no better is not taken
        after, before = (
            evaluate(terms, counts, priors, terms.stack(point))[0] for point in (mode, start)
        )
        mode = jax.tree.map(lambda new, old: jnp.where(after <= before, new, old), mode, start)
    trans_counts = chain.stats.state_trans_counts
    if learns_terms:
        estimated = scales.estimate_scales(
            terms, terms.stack(mode), solution.solved, priors, learnt
        )
        priors = jax.tree.map(
            lambda old, new: jnp.where(phase.holds_scales, old, new), priors, estimated
        )
    shared = trans_counts.reshape(-1, terms.n_states, terms.n_states).sum(axis=0)
    # before the mode: a probability may be 0 where beta is 1, and not where it is more
    priors = scales.estimate_concentrations(shared, priors, learnt)
    if terms.trans_by_group:
        trans_probs, effects, priors = group_transitions.mode(
            trans_counts,
            priors,
            chain.trans_probs,
            start.group_transitions,
            keys.effects,
            terms=terms,
            learnt=learnt,
            holds_scales=phase.holds_scales,
        )
        mode = mode._replace(group_transitions=effects)
    else:
        trans_probs = trans_mode(shared, priors, chain.trans_probs)
    return chain._replace(
        logits=mode,
        trans_probs=trans_probs,
        priors=priors,
        mode=mode,
        emission_losses=solution.losses,
        emission_n_iter=solution.n_iter,
        emission_decrement=solution.decrement,
    )


def update_states(key, logits, trans_probs, sequences, *, settings):
    """Take expected counts given the parameters; return no states, counts, log-likelihood."""
    del key
    terms = settings.terms
    trans_probs = context_trans_probs(trans_probs, logits.group_transitions, terms)
    stats, log_likelihood = BACKENDS[settings.backend].expected_counts(
        emission_factors(logits, terms), trans_probs, sequences
    )
    return (), stats, log_likelihood


EM = Algorithm(update_params, update_states)
