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
from hhmm._model.emissions import along_states, state_axis
from hhmm._model.simplex import center
from hhmm._model.terms import scale_of

# how far the halves of a state move apart, in scales of the biases
DISTANCES = (0.3, 1.0)
# of the timesteps after one in a half, the share that is in the same half
STAY = (0.5, 0.95)
# EM cannot raise a probability of 0
SMALLEST_PROB = 1e-4


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
    terms = settings.terms
    n_states = terms.n_states
    counts = np.asarray(chain.stats.state_trans_counts).reshape(-1, n_states, n_states)
    usage = counts.sum(axis=(0, 2))
    for i in range(n):
        merges = i % 2 == 0 and n_states > 2
        params = _move(rng, chain, usage, terms, merges=merges)
        yield start_from_params(*params, chain.priors, settings=settings)


def can_move(terms):
    """Return whether there is a term in which the halves of a state can move apart."""
    return terms.n_states > 1 and any(map(_parts_states, terms.present))


def _parts_states(term):
    return term.by_state and term.factor is None


def _move(rng, chain, usage, terms, *, merges):
    """Return logits and transition probabilities after a move.

    Parameters
    ----------
    rng : numpy.random.RandomState
    chain : ChainState
        At the parameters.
    usage : (n_states,)
        How often each state occurs.
    terms : Terms
    merges : bool
        Whether the state that is freed is merged with another one; else it is removed.
    """
    n_states = terms.n_states
    freed, split, *others = rng.permutation(n_states)
    # rows of new states, as averages of old ones
    mix = np.eye(n_states)
    if merges:
        kept = others[0]
        share = usage[freed] / max(usage[freed] + usage[kept], np.finfo(float).tiny)
        mix[kept, [freed, kept]] = share, 1 - share
    mix[freed] = mix[split]
    logits = jax.tree.map(np.asarray, chain.logits)
    values = {term: term.of(logits) for term in terms.present}
    by_state = [term for term in terms.present if term.by_state]
    for term in by_state:
        values[term] = along_states(mix, values[term], term)
    parted = next(filter(_parts_states, by_state))
    step = center(rng.standard_normal(values[parted].shape[1:]))
    step = step * scale_of(chain.priors, parted) * rng.choice(DISTANCES)
    values[parted][freed] -= step
    values[parted][split] += step
    for term in by_state:
        values[term] = center(values[term], axis=state_axis(term))
    moved = terms.by_field(values)
    if logits.group_transitions is not None:
        columns = np.arange(n_states)
        columns[freed] = split
        effects = tuple(center((mix @ x)[:, :, columns]) for x in logits.group_transitions)
        moved = moved._replace(group_transitions=effects)
    probs = np.array(chain.trans_probs)
    if merges:
        probs[:, kept] += probs[:, freed]
    probs = mix @ probs
    probs[:, freed] = probs[:, split] = probs[:, split] / 2
    stays = rng.choice(STAY)
    for one, other in ((freed, split), (split, freed)):
        both = probs[one, one] + probs[one, other]
        probs[one, [one, other]] = stays * both, (1 - stays) * both
    probs = np.maximum(probs, SMALLEST_PROB)
    return moved, probs / probs.sum(axis=1, keepdims=True)
