"""Compute how often each state uses each syllable in the long run.

State and syllable together are a Markov chain. Its stationary distribution p satisfies

    p[l, j] = sum_k A[k, l] sum_i p[k, i] P[l, i, j]

and sums over j to the stationary distribution w of the states. Of p[l], the part that comes from
state l itself with the probability of staying a = A[l, l] is moved to the left-hand side:

    p[l] = m[l] P[l] (I - a P[l])^-1,    m[l, i] = sum_k (A[k, l] - a 1[k = l]) p[k, i]

This is iterated. States that last long forget which syllables they were entered with, so that few
iterations are needed where the chain itself would take thousands of steps.
"""

import numpy as np

_MOST_ITERATIONS = 10_000
_TOLERANCE = 1e-12
# of staying, so that a state that is never left has a resolvent
_MOST_STAYING = 1 - 1e-6


def syllable_usage(trans_probs, syllable_trans_probs, state_usage):
    """Compute the long-run probability of each syllable in each state.

    Parameters
    ----------
    trans_probs : ndarray of shape (n_states, n_states)
        A.
    syllable_trans_probs : ndarray of shape (n_states, n_syllables, n_syllables)
        P.
    state_usage : ndarray of shape (n_states,)
        w, the stationary distribution of A.

    Returns
    -------
    usage : ndarray of shape (n_states, n_syllables)
        p[k, j] / w[k]. A state that is never entered is treated as if it were entered from every
        state, in proportion to w.
    """
    n_states, n_syllables, _ = syllable_trans_probs.shape
    staying = np.minimum(np.diag(trans_probs), _MOST_STAYING)
    entered = (trans_probs - np.diag(staying)).T * state_usage  # (to, from)
    entered = np.maximum(entered, 0.0)
    totals = entered.sum(axis=1, keepdims=True)
    origin = np.where(totals > 0, entered / np.where(totals > 0, totals, 1.0), state_usage)
    # syllables during a visit, given the one before it; P and the resolvent commute
    staying = staying[:, np.newaxis, np.newaxis]
    resolvent = np.eye(n_syllables) - staying * syllable_trans_probs
    visits = (1 - staying) * np.linalg.solve(resolvent, syllable_trans_probs)
    usage = np.full((n_states, 1, n_syllables), 1 / n_syllables)
    for _ in range(_MOST_ITERATIONS):
        before, usage = usage, (origin @ usage[:, 0])[:, np.newaxis] @ visits
        if not np.abs(usage - before).max() > _TOLERANCE:
            break
    return usage[:, 0]
