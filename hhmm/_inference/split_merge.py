"""Exchange states of a mode: a state is freed, and becomes half of another one.

A mode of the log joint may have two states for one kind of behaviour, and one for two kinds. EM
does not leave it, because every way to the higher mode leads through lower ones. A move does it at
once (Ueda, Nakano, Ghahramani & Hinton 2000, "SMEM algorithm for mixture models", Neural
Computation 12). State a is freed: it is merged with state b, or removed. Then state c is split: a
becomes a copy of c, and the biases of both move apart along a random direction. States and
direction are random, because EM from there shows whether a move leads higher.
"""

import jax
import numpy as np

from hhmm._inference.initialise import start_from_params
from hhmm._model.simplex import center

# how far the halves of a state move apart, in scales of the biases
DISTANCES = (0.3, 1.0)
# of the timesteps after one in a half, the share that is in the same half
STAY = (0.5, 0.95)
# EM cannot raise a probability of 0
SMALLEST_PROB = 1e-4
STATE_AXES = {"biases": 0, "interactions": 0, "group_states": 1}


def starts(rng, chain, n, *, settings):
    """Yield starts of EM after moves from the parameters of a chain.

    Parameters
    ----------
    rng : numpy.random.RandomState
    chain : ChainState
        Of at least two states, with expected counts.
    n : int
        Number of moves. In every second one, the state that is freed is removed.
    settings : chain.Settings

    Yields
    ------
    start : ChainState
    """
    n_states = settings.terms.n_states
    counts = np.asarray(chain.stats.state_trans_counts).reshape(-1, n_states, n_states)
    usage = counts.sum(axis=(0, 2))
    has_biases = chain.logits.biases is not None
    sigma = getattr(chain.priors, f"emission_{'biases' if has_biases else 'interactions'}_sigma")
    for i in range(n):
        merges = i % 2 == 0 and n_states > 2
        params = _move(rng, chain.logits, chain.trans_probs, usage, sigma, merges=merges)
        yield start_from_params(*params, chain.priors, settings=settings)


def _move(rng, logits, trans_probs, usage, sigma, *, merges):
    """Return logits and transition probabilities after a move.

    Parameters
    ----------
    rng : numpy.random.RandomState
    logits : EmissionLogits
    trans_probs : (n_states, n_states)
    usage : (n_states,)
        How often each state occurs.
    sigma : float
        Scale of the term in which the halves move apart.
    merges : bool
        Whether the state that is freed is merged with another one; else it is removed.
    """
    n_states = len(trans_probs)
    freed, split, *others = rng.permutation(n_states)
    # rows of new states, as averages of old ones
    mix = np.eye(n_states)
    if merges:
        kept = others[0]
        share = usage[freed] / max(usage[freed] + usage[kept], np.finfo(float).tiny)
        mix[kept, [freed, kept]] = share, 1 - share
    mix[freed] = mix[split]
    logits = jax.tree.map(np.asarray, logits)
    changed = {
        name: jax.tree.map(lambda x, axis=axis: _along(mix, x, axis), getattr(logits, name))
        for name, axis in STATE_AXES.items()
        if getattr(logits, name) is not None
    }
    if logits.group_transitions is not None:
        columns = np.arange(n_states)
        columns[freed] = split
        changed["group_transitions"] = tuple(
            center(_along(mix, x, 1)[:, :, columns]) for x in logits.group_transitions
        )
    values = changed["biases" if "biases" in changed else "interactions"]
    step = center(rng.standard_normal(values.shape[1:])) * sigma * rng.choice(DISTANCES)
    values[freed] -= step
    values[split] += step
    for name, axis in STATE_AXES.items():
        if name in changed:
            changed[name] = jax.tree.map(lambda x, axis=axis: center(x, axis=axis), changed[name])
    probs = np.array(trans_probs)
    if merges:
        probs[:, kept] += probs[:, freed]
    probs = mix @ probs
    probs[:, freed] = probs[:, split] = probs[:, split] / 2
    stays = rng.choice(STAY)
    for one, other in ((freed, split), (split, freed)):
        both = probs[one, one] + probs[one, other]
        probs[one, [one, other]] = stays * both, (1 - stays) * both
    probs = np.maximum(probs, SMALLEST_PROB)
    return logits._replace(**changed), probs / probs.sum(axis=1, keepdims=True)


def _along(matrix, values, axis):
    """Return values multiplied by a matrix along an axis."""
    return np.moveaxis(np.tensordot(matrix, np.asarray(values), (1, axis)), 0, axis)
