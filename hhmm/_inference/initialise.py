"""Make the start of a chain: at parameters (``init="prior"``) or at states.

``"prior"`` draws the parameters from their prior, and the first sweep draws the states
given them; ``"random"`` draws every state uniformly; an array of states is taken as it
is. All of this is small and done once, so it is done in NumPy: nothing to compile.
"""

import jax
import numpy as np
from scipy.special import softmax

from hhmm._emission_solvers import hmc, marginal
from hhmm._inference.chain import ChainState
from hhmm._model.emissions import logits_from_params
from hhmm._model.transitions import SMALLEST_PROB
from hhmm._sequences.lanes import pair_codes
from hhmm._types import Params, SufficientStats


def start_from_prior(rng, priors, *, settings):
    """Return a chain at parameters drawn from the prior.

    Parameters
    ----------
    rng : numpy.random.RandomState
    priors : Priors
    settings : chain.Settings

    Returns
    -------
    chain : ChainState
    """
    terms = settings.terms
    # those of groups begin at 0: what is drawn here is what they are effects on
    values = {
        term.parameter: getattr(priors, term.sigma) * rng.standard_normal(terms.param_shape(term))
        for term in terms.present
        if term.factor is None
    }
    missing = {name: None for name in Params._fields if name not in values}
    logits = jax.tree.map(np.asarray, logits_from_params(Params(**values | missing)))
    alpha = priors.trans_beta + priors.trans_kappa * np.eye(terms.n_states)
    # in logarithms, by Gamma(a) = Gamma(a + 1) u^(1/a): tiny concentrations underflow otherwise
    uniform = 1 - rng.random_sample(alpha.shape)  # not 0
    log_gamma = np.log(rng.standard_gamma(alpha + 1)) + np.log(uniform) / alpha
    trans_probs = np.maximum(softmax(log_gamma, axis=1), SMALLEST_PROB)
    return start_from_params(logits, trans_probs, priors, settings=settings)


def start_from_params(logits, trans_probs, priors, *, settings):
    """Return a chain at given parameters, logits and A; see `start_from_prior`.

    Terms of the fit that the logits do not have start at 0.
    """
    terms = settings.terms
    stats = SufficientStats(
        np.zeros((terms.n_contexts, terms.n_states)),
        np.zeros((terms.n_contexts, terms.n_syllables, terms.n_syllables)),
    )
    return _chain(False, stats, with_terms(logits, terms), trans_probs, priors, settings)


def with_terms(logits, terms):
    """Return logits with the terms of a model: drop further ones, fill missing ones with 0."""

    def take(term, shape):
        given = term.of(logits)
        return np.zeros(shape) if given is None else given

    taken = {term: take(term, terms.shape(term)) for term in terms.present}
    return _with_transitions(terms.by_field(taken), terms, logits.group_transitions)


def _with_transitions(logits, terms, effects=None):
    """Return logits with the effects of groups on transitions, 0 where they are not given."""
    if not terms.trans_by_group:
        return logits
    if effects is None:
        of_transitions = terms.of_transitions
        effects = tuple(np.zeros(of_transitions.shape(t)) for t in of_transitions.present[1:])
    return logits._replace(group_transitions=effects)


def start_from_random_states(rng, sequences, priors, *, settings, groups=None):
    """Return a chain at states drawn uniformly and independently; see `start_from_states`."""
    n_states = settings.terms.n_states
    states = [rng.randint(n_states, size=len(x), dtype=np.int32) for x in sequences]
    return start_from_states(states, sequences, priors, settings=settings, groups=groups)


def start_from_states(states, sequences, priors, *, settings, groups=None):
    """Return a chain at given states; see `start_from_prior`.

    Parameters
    ----------
    states, sequences : lists of 1-D int32 arrays of equal lengths
    groups : (n_sequences,) int32, default=None
        The group of each sequence, for terms with factors.
    """
    terms = settings.terms
    stats = count_states(states, sequences, terms, groups)
    logits = {term: np.full(terms.shape(term), np.nan) for term in terms.present}
    logits = _with_transitions(terms.by_field(logits), terms)
    trans_probs = np.full((terms.n_states, terms.n_states), 1 / terms.n_states)
    return _chain(True, stats, logits, trans_probs, priors, settings)


def count_states(states, sequences, terms, groups=None):
    """Count states and syllables, lists of 1-D int32 arrays of equal lengths."""
    n_states, n_syllables = terms.n_states, terms.n_syllables
    pairs, starts = pair_codes(sequences, n_syllables, self_transitions=terms.self_transitions)
    flat = np.concatenate(states).astype(np.int64)
    context = flat
    if groups is not None:
        context = flat + n_states * np.repeat(groups, [len(x) for x in sequences])
    steps = (context[:-1] * n_states + flat[1:])[~starts[1:]]
    emits = pairs < n_syllables**2
    emissions = context[emits] * n_syllables**2 + pairs[emits]
    of_states = terms.n_contexts, n_states
    of_syllables = terms.n_contexts, n_syllables, n_syllables
    return SufficientStats(
        np.bincount(steps, minlength=np.prod(of_states)).reshape(of_states).astype(np.float64),
        np.bincount(emissions, minlength=np.prod(of_syllables))
        .reshape(of_syllables)
        .astype(np.float64),
    )


def first_tuning(settings):
    """Return the `Tuning` of a new chain."""
    if settings.sampler == "marginal":
        return marginal.first_tuning(settings.terms)
    return hmc.first_tuning()


def _chain(has_states, stats, logits, trans_probs, priors, settings):
    return ChainState(
        has_states=np.bool_(has_states),
        stats=stats,
        states=(),
        logits=logits,
        trans_probs=trans_probs,
        # where the first emission solve starts
        priors=priors,
        mode=jax.tree.map(np.nan_to_num, logits),
        log_joint=np.float64(np.nan),
        log_likelihood=np.float64(np.nan),
        emission_losses=np.full(settings.solver.max_iter, np.nan),
        emission_n_iter=np.int32(0),
        emission_decrement=np.float64(0),
        emission_acceptance=np.float64(1),
        emission_diverging=np.bool_(False),
        tuning=first_tuning(settings),
        optimizer=(),
    )
