"""Where a chain starts: at parameters (``init="prior"``) or at states.

``"prior"`` draws the parameters from their prior, and the first sweep draws the states
given them; ``"random"`` draws every state uniformly; an array of states is taken as it
is. All of this is small and done once, so it is done in NumPy: nothing to compile.
"""

import numpy as np
from scipy.special import softmax

from hhmm._emission_solvers import hmc
from hhmm._inference.chain import ChainState
from hhmm._model.simplex import helmert_basis
from hhmm._model.transitions import SMALLEST_PROB
from hhmm._sequences import pair_codes
from hhmm._types import EmissionLogits, SufficientStats


def start_from_prior(rng, prepared, priors, *, n_states, n_syllables, settings):
    """A chain at parameters drawn from the prior.

    Parameters
    ----------
    rng : numpy.random.RandomState
    prepared : Prepared or None
        None for algorithms that draw no states.
    priors : Priors
    n_states, n_syllables : int
    settings : chain.Settings

    Returns
    -------
    chain : ChainState
    """
    to_syllables, to_states = helmert_basis(n_syllables), helmert_basis(n_states)
    b = priors.emission_base_sigma * rng.standard_normal((n_syllables, n_syllables - 1))
    c = priors.emission_biases_sigma * rng.standard_normal((n_states - 1, n_syllables - 1))
    logits = EmissionLogits(b @ to_syllables.T, to_states @ c @ to_syllables.T)
    alpha = priors.trans_beta + priors.trans_kappa * np.eye(n_states)
    # in logarithms, by Gamma(a) = Gamma(a + 1) u^(1/a): tiny concentrations underflow otherwise
    uniform = 1 - rng.random_sample(alpha.shape)  # not 0
    log_gamma = np.log(rng.standard_gamma(alpha + 1)) + np.log(uniform) / alpha
    trans_probs = np.maximum(softmax(log_gamma, axis=1), SMALLEST_PROB)
    return start_from_params(
        logits,
        trans_probs,
        prepared,
        n_states=n_states,
        n_syllables=n_syllables,
        settings=settings,
    )


def start_from_params(logits, trans_probs, prepared, *, n_states, n_syllables, settings):
    """A chain at given parameters, centred logits and A; see `start_from_prior`."""
    stats = SufficientStats(
        np.zeros((n_states, n_states)), np.zeros((n_states, n_syllables, n_syllables))
    )
    return _chain(False, stats, prepared, logits, trans_probs, settings)


def start_from_random_states(rng, sequences, prepared, *, n_states, n_syllables, settings):
    """A chain at states drawn uniformly and independently; see `start_from_states`."""
    states = [rng.randint(n_states, size=len(x), dtype=np.int32) for x in sequences]
    return start_from_states(
        states, sequences, prepared, n_states=n_states, n_syllables=n_syllables, settings=settings
    )


def start_from_states(states, sequences, prepared, *, n_states, n_syllables, settings):
    """A chain at given states; see `start_from_prior`.

    Parameters
    ----------
    states, sequences : lists of 1-D int32 arrays of equal lengths
    """
    stats = count_states(states, sequences, n_states, n_syllables)
    logits = EmissionLogits(
        np.full((n_syllables, n_syllables), np.nan), np.full((n_states, n_syllables), np.nan)
    )
    trans_probs = np.full((n_states, n_states), 1 / n_states)
    return _chain(True, stats, prepared, logits, trans_probs, settings)


def count_states(states, sequences, n_states, n_syllables):
    """Sufficient statistics of states and syllables, lists of 1-D int32 arrays of equal lengths."""
    pairs, starts = pair_codes(sequences, n_syllables)
    flat = np.concatenate(states)
    steps = (flat[:-1] * n_states + flat[1:])[~starts[1:]]
    emits = pairs < n_syllables**2
    emissions = flat[emits].astype(np.int64) * n_syllables**2 + pairs[emits]
    return SufficientStats(
        np.bincount(steps, minlength=n_states**2).reshape(n_states, n_states).astype(np.float64),
        np.bincount(emissions, minlength=n_states * n_syllables**2)
        .reshape(n_states, n_syllables, n_syllables)
        .astype(np.float64),
    )


def _chain(has_states, stats, prepared, logits, trans_probs, settings):
    return ChainState(
        has_states=np.bool_(has_states),
        stats=stats,
        states=prepared.empty_states() if prepared else (),
        logits=logits,
        trans_probs=trans_probs,
        # where the first emission solve starts
        mode=EmissionLogits(*(np.nan_to_num(part) for part in logits)),
        log_joint=np.float64(np.nan),
        emission_losses=np.full(settings.emission_gd_iters, np.nan),
        emission_n_iter=np.int32(0),
        emission_decrement=np.float64(0),
        emission_acceptance=np.float64(1),
        emission_diverging=np.bool_(False),
        tuning=hmc.first_tuning(),
        optimizer=(),
    )
