"""The data of a search for a start: a part of all, with the syllables that occur there.

Where data are many, it is a part of them: sequences, or stretches of them, chosen at random. The
modes that matter there are hundreds of nats apart on a part too. Where most syllables do not occur,
it has those that do: of 1000 syllables, 200 transitions show at most 200, which takes seconds where
all would take an hour, and no start is better for the others.
"""

from typing import NamedTuple

import jax
import numpy as np

from hhmm._model.simplex import center
from hhmm._types import EmissionLogits

# about so many timesteps (or runs of timesteps, where those are what counts)
MAX_TIMESTEPS = 100_000
# Of data that are hardly more, a part saves little time, and misses modes: of 106,000 timesteps of
# five languages, all seeds that exchange states end 8.7 nats higher on all of them
HARDLY_MORE = 1.25
# runs count where they are so long on average, in timesteps, or where there are groups
LONG_RUNS = 12
# a part is at least about so many stretches
MIN_STRETCHES = 16


class SearchData(NamedTuple):
    """The data of a search."""

    sequences: list  # of 1-D int32 arrays: numbers of the syllables seen, -1 where missing
    groups: np.ndarray | None  # of the sequences, int32
    seen: np.ndarray  # the syllables, (n_seen,)
    n_syllables: int  # of all data

    def with_unseen(self, logits):
        """Return `EmissionLogits` of all syllables, from those of the syllables seen.

        In every row the others are as rare as the rarest one seen, in all states alike.
        """
        seen, n_syllables = self.seen, self.n_syllables
        if len(seen) == n_syllables:
            return logits

        def spread(values):
            """Spread the columns of the syllables seen; others are as rare as the rarest."""
            rarest = values.min(axis=-1, keepdims=True)
            spread = np.broadcast_to(rarest, (*values.shape[:-1], n_syllables)).copy()
            spread[..., seen] = values
            return center(spread)

        def embed(values, axes):
            """Spread values along several axes, with 0 for the others."""
            for axis in axes:
                values = np.moveaxis(values, axis, -1)
                wider = np.zeros((*values.shape[:-1], n_syllables))
                wider[..., seen] = values
                values = np.moveaxis(wider, -1, axis)
            return values

        logits = jax.tree.map(np.asarray, logits)
        wider = {}
        if logits.base is not None:
            wider["base"] = embed(spread(logits.base), [0])
        if logits.biases is not None:
            wider["biases"] = embed(logits.biases, [1])
        if logits.usage is not None:
            wider["usage"] = spread(logits.usage)
        if logits.interactions is not None:
            wider["interactions"] = embed(logits.interactions, [1, 2])
        if logits.group_emissions is not None:
            wider["group_emissions"] = tuple(embed(x, [1]) for x in logits.group_emissions)
        if logits.group_states is not None:
            wider["group_states"] = tuple(embed(x, [2]) for x in logits.group_states)
        return EmissionLogits(**wider, group_transitions=logits.group_transitions)


def choose_data(rng, sequences, n_syllables, *, compressed, groups=None):
    """Choose the data of a search.

    Parameters
    ----------
    rng : numpy.random.RandomState
    sequences : RunLengths
        Labels 0 to n_syllables - 1, -1 where missing.
    n_syllables : int
    compressed : bool
        Whether a sweep pays for runs of equal syllables, and not for timesteps.
    groups : (n_sequences,) int32, default=None
        The group of each sequence.

    Returns
    -------
    data : SearchData
    """
    # effects of groups are many: they need more data than states do, which runs hold at less cost
    are_long = sequences.lengths.sum() >= LONG_RUNS * int(sequences.n_runs.sum())
    in_runs = compressed and (are_long or groups is not None)
    stretches, groups = choose_stretches(rng, sequences, groups, in_runs=in_runs)
    # at least two: with one syllable, states cannot be distinguished
    seen = np.union1d(np.concatenate(stretches), np.arange(min(2, n_syllables)))
    seen = seen[seen >= 0]
    if len(seen) > n_syllables / 2:
        # there is little to save, and folds that differ in few would compile anew
        seen = np.arange(n_syllables)
    numbered = [np.where(x < 0, -1, np.searchsorted(seen, x)).astype(np.int32) for x in stretches]
    return SearchData(numbered, groups, seen, n_syllables)


def choose_stretches(rng, sequences, groups, *, in_runs):
    """Choose stretches of sequences in random order until they are `MAX_TIMESTEPS` in all.

    The size of a stretch is its timesteps, or its runs where those are what a sweep pays for.
    Only the stretches that are chosen are written out, one label a timestep.

    Parameters
    ----------
    rng : numpy.random.RandomState
    sequences : RunLengths
    groups : (n_sequences,) int32, or None
    in_runs : bool
        Whether runs are counted, and not timesteps.

    Returns
    -------
    stretches : list of 1-D int32 arrays
    groups : (n_stretches,) int32, or None
    """
    lengths = sequences.lengths
    sizes = np.maximum(sequences.n_runs, 1) if in_runs else lengths
    if sizes.sum() <= HARDLY_MORE * MAX_TIMESTEPS:
        return sequences.sequences, groups
    # long sequences are cut, so that a part holds stretches of many of them
    n_stretches = np.maximum(1, np.round(sizes * MIN_STRETCHES / MAX_TIMESTEPS)).astype(int)
    of_stretches = np.repeat(np.arange(len(lengths)), n_stretches)
    number = np.arange(len(of_stretches)) - (np.cumsum(n_stretches) - n_stretches)[of_stretches]
    # the first stretches of a sequence are one timestep longer where it cannot be cut evenly
    shortest, n_longer = np.divmod(lengths, n_stretches)
    begins = (number * shortest[of_stretches]) + np.minimum(number, n_longer[of_stretches])
    stops = begins + shortest[of_stretches] + (number < n_longer[of_stretches])
    first = np.cumsum(lengths) - lengths
    begins, stops = begins + first[of_stretches], stops + first[of_stretches]
    ends_of_runs = np.cumsum(sequences.n_timesteps, dtype=np.int64)
    first_run = np.searchsorted(ends_of_runs, begins, side="right")
    last_run = np.searchsorted(ends_of_runs, stops - 1, side="right")
    order = rng.permutation(len(of_stretches))
    of_size = np.maximum(last_run - first_run, 0) + 1 if in_runs else stops - begins
    n_used = max(1, int(np.searchsorted(np.cumsum(of_size[order]), MAX_TIMESTEPS)))
    stretches = []
    for i in order[:n_used]:
        runs = slice(first_run[i], last_run[i] + 1)
        ends = np.clip(ends_of_runs[runs], begins[i], stops[i])
        stretches.append(np.repeat(sequences.labels[runs], np.diff(ends, prepend=begins[i])))
    used = of_stretches[order[:n_used]]
    return stretches, None if groups is None else groups[used]
