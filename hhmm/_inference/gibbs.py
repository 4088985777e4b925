"""Gibbs sampling: parameters given states, states given parameters.

A sweep draws, in this order,

1. the emissions (b, c) given the syllable transition counts: the mode by the
   emission solver, warm-started at the last sweep's mode, and a draw around it, or from
   the last draw by Hamiltonian Monte Carlo;
2. the scales of the emissions that are learnt, see `scales`;
3. the transitions A given the state transition counts, Dirichlet, exactly, after beta and kappa
   where these are learnt; or, where they differ between groups, as the emissions are drawn;
4. the states given all parameters, by forward filter and backward sampling
   (Scott 2002, Journal of the American Statistical Association 97), whose
   normalisers give log p(x | b, c, A) on the way.

With the sampler "marginal", emissions and transitions move together with the states summed out,
after 3 and before 4; see `_emission_solvers.marginal`. Of 1, single entries alone are drawn. After
the warm-up, 3 is left out unless beta or kappa are learnt.

The log joint recorded for a sweep is log p(x | b, c, A) + log p(b, c, A), given the scales.
"""

import functools

import jax
import jax.numpy as jnp

from hhmm._emission_solvers import SAMPLERS, group_transitions, marginal, scales
from hhmm._emission_solvers.objective import emission_counts
from hhmm._inference.chain import Algorithm
from hhmm._inference.em import EM
from hhmm._messages import BACKENDS
from hhmm._model.emissions import emission_factors
from hhmm._model.transitions import context_trans_probs, draw_trans_probs


def update_params(keys, chain, phase, sequences=None, *, settings):
    """Draw emissions and transitions; return the chain with them.

    They are drawn given the states of the chain, or, by "marginal", given the sequences alone.
    """
    terms, priors, learnt = settings.terms, chain.priors, settings.learnt
    counts = emission_counts(terms, chain.stats)
    solve = functools.partial(
        settings.solver.solve, terms, counts, priors, chain.mode, tol=settings.mode_tol
    )
    is_marginal = settings.sampler == "marginal"
    if is_marginal:
        logits = marginal.draw_given_states(
            keys.emissions.entries, terms, counts, priors, chain.logits, solve
        )
    else:
        drawn = SAMPLERS[settings.sampler](
            keys.emissions,
            terms,
            counts,
            priors,
            chain.logits,
            solve,
            phase.warming_up,
            chain.tuning,
        )
        logits = drawn.logits
    trans_counts = chain.stats.state_trans_counts
    shared_counts = trans_counts.reshape(-1, terms.n_states, terms.n_states).sum(axis=0)
    if learnt:
        point = terms.stack(logits)
        point, priors = jax.lax.cond(
            phase.holds_scales,
            lambda: (point, priors),
            lambda: scales.draw_scales(keys.emissions.scales, terms, counts, point, priors, learnt),
        )
        logits = terms.unstack(point)
        # where transitions differ between groups, A is given and not summed out
        counted = None if terms.trans_by_group else shared_counts
        priors = scales.draw_concentrations(
            keys.concentrations, counted, priors, learnt, chain.trans_probs
        )
    if terms.trans_by_group:
        trans_probs, effects, priors = group_transitions.draw(
            keys.effects,
            trans_counts,
            priors,
            chain.trans_probs,
            chain.logits.group_transitions,
            phase.warming_up,
            terms=terms,
            learnt=learnt,
            holds_scales=phase.holds_scales,
        )
        logits = logits._replace(group_transitions=effects)
    else:
        trans_probs = draw_trans_probs(keys.transitions, shared_counts, priors)
    if is_marginal:
        if not any(name.startswith("trans") for name in learnt):
            # drawn given the states, they would lose what trajectories gain
            trans_probs = jnp.where(phase.warming_up, trans_probs, chain.trans_probs)
        logits, trans_probs, acceptance, diverging, tuning = marginal.move(
            keys.emissions.all_at_once,
            terms,
            priors,
            logits,
            trans_probs,
            lambda *params: EM.update_states(None, *params, sequences, settings=settings)[1:],
            phase.warming_up,
            chain.tuning,
        )
        return chain._replace(
            logits=logits,
            trans_probs=trans_probs,
            priors=priors,
            mode=logits,
            emission_acceptance=acceptance,
            emission_diverging=diverging,
            tuning=tuning,
        )
    solution = drawn.solution
    return chain._replace(
        logits=logits,
        trans_probs=trans_probs,
        priors=priors,
        mode=solution.mode._replace(group_transitions=logits.group_transitions),
        emission_losses=solution.losses,
        emission_n_iter=solution.n_iter,
        emission_decrement=solution.decrement,
        emission_acceptance=drawn.acceptance,
        emission_diverging=drawn.diverging,
        tuning=drawn.tuning,
    )


def update_states(key, logits, trans_probs, sequences, *, settings):
    """Draw the states given the parameters: states, their counts, log-likelihood."""
    terms = settings.terms
    factors = emission_factors(logits, terms)
    trans_probs = context_trans_probs(trans_probs, logits.group_transitions, terms)
    return BACKENDS[settings.backend].sample(key, factors, trans_probs, sequences)


GIBBS = Algorithm(update_params, update_states)
