"""The starts of the race, in three families; see `search`."""

import numpy as np

from hhmm._inference import initialise, windows
from hhmm._model.simplex import center, helmert_basis
from hhmm._types import EmissionLogits

FAMILIES = ("slow", "sticky", "flat")
# random starts of each kind: where data are few, and otherwise
MANY_STARTS, FEW_STARTS = 48, 4
FEW_TIMESTEPS = 20_000
# states times squared syllables, what an iteration of the emission solver costs, up to which there
# are many starts, or exchanges
FEW_CELLS = 100_000


def make_starts(rng, family, data, priors, *, settings):
    """Yield the starts of a family.

    Parameters
    ----------
    rng : numpy.random.RandomState
    family : {"slow", "sticky", "flat"}
    data : search_data.SearchData
    priors : Priors
    settings : chain.Settings

    Yields
    ------
    start : ChainState
    """
    if family == "slow":
        for length in window_lengths(data, priors, settings):
            states = windows.window_states(data.sequences, settings.terms, length, rng, data.groups)
            yield initialise.start_from_states(
                states, data.sequences, priors, settings=settings, groups=data.groups
            )
    else:
        alpha = np.ones((settings.terms.n_states,) * 2)
        if family == "sticky":
            alpha = priors.trans_beta + priors.trans_kappa * np.eye(len(alpha))
        yield from _random_starts(rng, alpha, data, priors, settings)


def window_lengths(data, priors, settings):
    """Return the lengths of windows of the slow starts, in timesteps."""
    lengths = [len(x) for x in data.sequences]
    if "trans_kappa" in settings.learnt:
        return windows.all_window_lengths(lengths)
    return windows.window_lengths(lengths, priors, settings.terms.n_states)


def are_few(data):
    """Return whether data are so few that there are many random starts."""
    return sum(map(len, data.sequences)) <= FEW_TIMESTEPS


def is_small(terms):
    """Return whether an iteration of the emission solver takes little."""
    return terms.n_states * terms.n_syllables**2 <= FEW_CELLS


def _random_starts(rng, alpha, data, priors, settings):
    """Yield random starts; rows of the transitions are from Dirichlet(alpha), (K, K)."""
    terms = settings.terms
    n_states, n_syllables = terms.n_states, terms.n_syllables
    n_starts = MANY_STARTS if are_few(data) and is_small(terms) else FEW_STARTS
    _, probs = windows.markov_chain(
        data.sequences, n_syllables, self_transitions=terms.self_transitions
    )
    base = center(np.log(np.where(probs > 0, probs, 1)))
    to_syllables, to_states = helmert_basis(n_syllables), helmert_basis(n_states)
    for _ in range(n_starts):
        c = rng.standard_normal((n_states - 1, n_syllables - 1))
        biases = priors.emission_biases_sigma * to_states @ c @ to_syllables.T
        trans_probs = np.stack([rng.dirichlet(row) for row in alpha])
        logits = EmissionLogits(base, biases)
        if "biases" not in terms.names and "interactions" in terms.names:
            # without them all states would be alike, and stay so
            sigma = priors.emission_interactions_sigma
            d = rng.standard_normal((n_states - 1, n_syllables, n_syllables - 1))
            d = np.tensordot(to_states, sigma * d @ to_syllables.T, 1)
            logits = logits._replace(interactions=d)
        yield initialise.start_from_params(logits, trans_probs, priors, settings=settings)
