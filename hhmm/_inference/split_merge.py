"""Exchange states of a mode: a state is freed, and becomes half of another one.

A mode of the log joint may have two states for one kind of behaviour, and one for two kinds. EM
does not leave it, because every way to the higher mode leads through lower ones. A move does it at
once (Ueda, Nakano, Ghahramani & Hinton 2000, "SMEM algorithm for mixture models", Neural
Computation 12). One state is freed: each of its timesteps goes to the most probable other state.
Then another state is split along the slowest direction in its own timesteps, see `windows`: two
kinds of behaviour in one state last, so they make syllable transitions differ for longer than
chance does. EM starts from the counts of these states, and shows whether the move leads higher.

Moves from a mode are tried in random order, none twice, with weights. The state to free has a
weight that is inverse to its time, because that much is lost. The state to split has its number of
emissions. A window length has a weight that is inverse to it, because the slow starts of `search`
have tried what long windows show. At a mode of second-order languages with five states, 5 of all 80
moves led higher: four of them freed one of the two rarest states, and all had windows of 8 or 16
timesteps, out of 8 to 64. With these weights a move leads higher with probability .12, with equal
ones .06.
"""

from typing import NamedTuple

import numpy as np

from hhmm._inference import decode, windows
from hhmm._inference.prepare import prepare
from hhmm._model.emissions import all_params
from hhmm._sequences.ragged import Layout
from hhmm._sequences.run_lengths import RunLengths

MIN_EMISSIONS = 4  # in a window, on average


class Move(NamedTuple):
    """An exchange of states."""

    freed: int  # a state
    split: int  # another one
    length: int  # of the windows by which it is split, in timesteps


def can_move(terms):
    """Return whether there is a term by which the halves of a state can differ."""
    return terms.n_states > 1 and any(
        term.by_state and term.factor is None for term in terms.present
    )


def random_moves(rng, probs, sequences, window_lengths, terms):
    """Return all moves from a mode in random order, see the module.

    Parameters
    ----------
    rng : numpy.random.RandomState
    probs : list of (n_timesteps, n_states) arrays
        Probabilities of the states at the mode, see `smooth`; at least two states.
    sequences : list of 1-D int32 arrays
        Labels 0 to n_syllables - 1, -1 where missing.
    window_lengths : list of int
        Those that a move may have, in timesteps.
    terms : Terms

    Returns
    -------
    moves : list of Move
    """
    n_stays = _count_stays(probs, sequences, terms)
    n_timesteps = sum(p.sum(axis=0, dtype=np.float64) for p in probs) + 1
    # a window that shows a direction has several emissions
    lengths = np.array(window_lengths)
    are_long = lengths * n_stays.sum() >= MIN_EMISSIONS * n_timesteps.sum()
    lengths = lengths[are_long] if are_long.any() else lengths[-1:]
    moves, weights = [], []
    for split in np.flatnonzero(n_stays):
        others = np.delete(np.arange(terms.n_states), split)
        shares = 1 / n_timesteps[others]
        for freed, share in zip(others, shares / shares.sum(), strict=True):
            moves += [Move(int(freed), int(split), int(length)) for length in lengths]
            weights += [n_stays[split] * share / length for length in lengths]
    shares = np.array(weights) / np.sum(weights)
    order = rng.choice(len(moves), size=len(moves), replace=False, p=shares) if moves else []
    return [moves[i] for i in order]


def states_after(move, rng, probs, sequences, *, terms, groups=None):
    """Return the states after a move, a list of 1-D int32 arrays; parameters as above.

    `groups` are the groups of the sequences, (n_sequences,) int32, for terms with factors.
    """
    others = np.delete(np.arange(terms.n_states, dtype=np.int32), move.freed)
    states = [others[p[:, others].argmax(axis=1)] for p in probs]
    held = [np.where(z == move.split, x, -1) for z, x in zip(states, sequences, strict=True)]
    halves = windows.window_states(held, terms._replace(n_states=2), move.length, rng, groups)
    moved = zip(states, halves, strict=True)
    return [np.where((z == move.split) & (half == 1), np.int32(move.freed), z) for z, half in moved]


def smooth(chain, sequences, settings, groups=None):
    """Return the probabilities of the states, a list of (n_timesteps, n_states) arrays."""
    # what "compressed" needs for every timestep takes longer to compile than all else here
    backend = "sequential" if settings.backend == "compressed" else settings.backend
    prepared = prepare(
        RunLengths.of(sequences),
        settings.terms,
        backend,
        every_timestep=True,
        groups=groups,
    )
    params = all_params(chain.logits, chain.trans_probs)
    layout = Layout(False, np.array([len(x) for x in sequences]))
    return prepared.unpack(decode.smooth(params, prepared), layout, fill=0)


def _count_stays(probs, sequences, terms):
    """Count the emissions within each state, (n_states,): what can be split."""
    n_stays = np.zeros(terms.n_states)
    for p, x in zip(probs, sequences, strict=True):
        z = p.argmax(axis=1)
        within = (z[1:] == z[:-1]) & (x[1:] >= 0) & (x[:-1] >= 0)
        if not terms.self_transitions:
            within &= x[1:] != x[:-1]
        n_stays += np.bincount(z[1:][within], minlength=terms.n_states)
    return n_stays
