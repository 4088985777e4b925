"""Which draws of a chain are kept, and how they become one estimate.

Permuting the states of a draw changes nothing but their names, so draws are
aligned to a reference before they are averaged: by the one-to-one
relabelling that brings their probabilities closest, weighted by how often each is met (Stephens
2000, "Dealing with label switching in mixture models", JRSS B 62(4), with the Hellinger distance).
"""

import jax
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp, softmax

from hhmm._model.emissions import all_params, syllable_log_probs
from hhmm._model.simplex import helmert_basis
from hhmm._model.terms import ALL_TERMS, named_scales
from hhmm._types import Params, Posterior

# of EM for the weights of chains, and the weight below which a chain is left out
STACKING_ITERATIONS = 500
SMALLEST_WEIGHT = 0.01


def schedule(n_iter, n_draws):
    """Return sweeps whose draws are kept: evenly spaced in the second half, the last one included.

    Returns
    -------
    kept : ndarray of int, increasing
        ``min(n_draws, sweeps in the second half)`` indices of sweeps.
    """
    first = n_iter // 2
    n_kept = min(n_draws, n_iter - first)
    if n_kept == 0:
        return np.zeros(0, int)
    return n_iter - 1 - np.arange(n_kept)[::-1] * (n_iter - first) // n_kept


def already_kept(scheduled, kept_sweeps, n_done, *, first):
    """Return what a chain that continues keeps, where draws of the sweeps done are there already.

    With the schedule that they were kept by they are all there. With that of a longer run, the
    draw of a sweep that was not kept is replaced by the one that was kept last before it.

    Parameters
    ----------
    scheduled : ndarray of int, increasing
        Sweeps of the run whose draws are to be kept.
    kept_sweeps : ndarray of int, increasing
        Sweeps whose draws are there.
    n_done : int
        Sweeps done.
    first : int
        Draws of sweeps before this one are not taken.

    Returns
    -------
    kept : ndarray of int, increasing
        Sweeps whose draws the run will have kept.
    sources : ndarray of int
        Where in `kept_sweeps` the first ones of them are.
    """
    sources = np.unique(np.searchsorted(kept_sweeps, scheduled[scheduled < n_done], "right") - 1)
    sources = sources[sources >= 0]
    sources = sources[kept_sweeps[sources] >= first]
    return np.append(kept_sweeps[sources], scheduled[scheduled >= n_done]), sources


def of_equal_number(kept):
    """Keep as many draws of each chain, the last ones: a chain that a callback ended has fewer.

    Parameters
    ----------
    kept : list of (compiled.Draws, ndarray of shape (n_draws,)), one a chain
        Draws, and the sweeps they are of.

    Returns
    -------
    kept : list of the same
    """
    n_draws = min(len(sweeps) for _, sweeps in kept)
    return [jax.tree.map(lambda x: x[len(x) - n_draws :], chain) for chain in kept]


def align(kept, reference, order, terms, *, learnt=()):
    """Align kept draws: public parameters, with states named as in `reference`, in `order`.

    Parameters
    ----------
    kept : list of compiled.Draws
        Of each chain.
    reference : chain.ChainState
        A chain after its last sweep.
    order : ndarray of shape (n_states,), int
        State ``order[k]`` of the reference is renamed k.
    terms : Terms
    learnt : tuple of str
        Fields of `Priors` to hand on.

    Returns
    -------
    posterior : Posterior
    modes : Params
        As `posterior`, with the mode of the emissions that each draw was drawn around.
    """
    shared = terms.without_groups
    probs = syllable_probs(reference.logits, shared)
    stats = shared_stats(reference.stats, terms.n_states)

    def align_chain(kept):
        aligned = []
        for i, trans_probs in enumerate(kept.trans_probs):
            logits, mode = jax.tree.map(lambda part, i=i: part[i], (kept.logits, kept.mode))
            matched = match_labels(
                syllable_probs(logits, shared),
                trans_probs,
                probs,
                reference.trans_probs,
                stats,
            )
            aligned.append(
                [permute(all_params(x, trans_probs), matched[order]) for x in (logits, mode)]
            )
        return jax.tree.map(lambda *parts: np.stack(parts), *aligned)

    params, modes = jax.tree.map(lambda *parts: np.stack(parts), *map(align_chain, kept))
    posterior = Posterior(
        **params._asdict(),
        log_joint=np.stack([chain.log_joint for chain in kept]),
        sigmas=_stacked([named_scales(chain.priors, learnt) for chain in kept]),
    )
    return posterior, modes


def _stacked(of_chains):
    return {name: np.stack([scales[name] for scales in of_chains]) for name in of_chains[0]}


def shared_stats(stats, n_states):
    """Sum `SufficientStats` over groups."""
    return jax.tree.map(lambda x: x.reshape(-1, n_states, *x.shape[1:]).sum(axis=0), stats)


def flat(posterior, chains=slice(None)):
    """Return the draws of some chains, all by default, as a list of `Params`."""
    n_draws = posterior.log_joint[chains].size
    # -1 would be ambiguous: with one state or one syllable, parts have no entry
    params = jax.tree.map(
        lambda part: part[chains].reshape(n_draws, *part.shape[2:]),
        Params(*(getattr(posterior, name) for name in Params._fields)),
    )
    return [jax.tree.map(lambda part, i=i: part[i], params) for i in range(n_draws)]


# one program in place of twenty small ones, each of which would be compiled for each shape
_syllable_log_probs = jax.jit(syllable_log_probs, static_argnames="terms")


def syllable_probs(logits, terms):
    """Return syllable transition probabilities (n_states, S, S), as an array of NumPy."""
    return np.exp(np.asarray(_syllable_log_probs(logits, terms=terms)))


def match_labels(probs, trans_probs, reference_probs, reference_trans_probs, stats):
    """Return the relabelling that brings a draw closest to a reference draw.

    What is compared are the probabilities of syllables after each other, and of staying, by the
    squared Hellinger distance between them, each weighted by how often it is met. Logits would not
    do: those of transitions that never occur are as wide as their prior.

    Parameters
    ----------
    probs, reference_probs : (n_states, n_syllables, n_syllables)
        P of the draw and of the reference.
    trans_probs, reference_trans_probs : (n_states, n_states)
    stats : SufficientStats
        Of the states of the reference.

    Returns
    -------
    order : ndarray of shape (n_states,), int
        State ``order[k]`` of the draw is state k of the reference.
    """
    departures = stats.syllable_trans_counts.sum(axis=2)
    # the squared distance of two distributions is 1 minus their Bhattacharyya coefficient
    by_syllable = np.sqrt(reference_probs).transpose(1, 0, 2) @ np.sqrt(probs).transpose(1, 2, 0)
    cost = np.einsum("ki,ikl->kl", departures, 1 - by_syllable)
    stay, reference_stay = np.diag(trans_probs), np.diag(reference_trans_probs)
    overlap = np.sqrt(np.outer(reference_stay, stay))
    overlap += np.sqrt(np.outer(1 - reference_stay, 1 - stay).clip(0))
    cost += stats.state_trans_counts.sum(axis=1)[:, None] * (1 - overlap)
    return linear_sum_assignment(cost)[1]


def stacking_weights(log_likelihood):
    """Weight chains in different modes by how well they predict sequences together.

    The weights maximise the sum over sequences of log sum_c w[c] p[c], p[c] the leave-one-out
    predictive density of a sequence by the draws of chain c, which is their harmonic mean (Yao,
    Vehtari & Gelman 2022, "Stacking for non-mixing Bayesian computations: the curse and blessing of
    multimodal posteriors", JMLR 23(79), eq. 4; Gelfand & Dey 1994, JRSS B 56(3)). The problem is
    that of the proportions of a mixture, so EM finds the maximum.

    Parameters
    ----------
    log_likelihood : ndarray of shape (n_chains, n_draws, n_sequences)
        Of each sequence of the training data, nats.

    Returns
    -------
    weights : ndarray of shape (n_chains,)
        They sum to 1. Those below `SMALLEST_WEIGHT` are 0.
    """
    n_chains, n_draws, _ = log_likelihood.shape
    log_density = np.log(n_draws) - logsumexp(-log_likelihood, axis=1)
    weights = np.full(n_chains, 1 / n_chains)
    for _ in range(STACKING_ITERATIONS):
        with np.errstate(divide="ignore"):
            weights = softmax(np.log(weights)[:, None] + log_density, axis=0).mean(axis=1)
    weights[weights < SMALLEST_WEIGHT] = 0
    return weights / weights.sum()


def stationary_distribution(trans_probs):
    """Return long-run fraction of time in each state (n_states,), by least squares."""
    n_states = len(trans_probs)
    system = np.vstack([trans_probs.T - np.eye(n_states), np.ones(n_states)])
    target = np.append(np.zeros(n_states), 1.0)
    solution = np.clip(np.linalg.lstsq(system, target, rcond=None)[0], 0, None)
    return solution / solution.sum()


def permute(params, order):
    """Return `Params` with state ``order[k]`` renamed k."""
    basis = helmert_basis(len(order))
    # C[order] = Q_K[order] c Q_S', so c becomes Q_K' Q_K[order] c
    rotation = basis.T @ basis[order]

    def rename(term):
        values = getattr(params, term.parameter)
        if values is None or not term.by_state:
            return values
        return np.tensordot(rotation, np.asarray(values), 1)

    return Params(
        trans_probs=np.asarray(params.trans_probs)[order][:, order],
        **{term.parameter: rename(term) for term in ALL_TERMS},
        group_emissions=params.group_emissions,
        group_states=jax.tree.map(lambda x: x[:, order], params.group_states),
        group_transitions=jax.tree.map(
            lambda x: x[:, order][:, :, order], params.group_transitions
        ),
    )
