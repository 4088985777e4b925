"""Mutual information between labels a lag apart, of data and of surrogates.

Pairs of labels are numbered ``i * n_labels + j`` and counted by one bincount a lag, a block of
timesteps after the other so that what is in use stays in the cache. Pairs that would
reach into the next sequence are told by how many timesteps their sequence has left.

If the second labels of all pairs are permuted at random, the table of counts follows the
multivariate hypergeometric distribution with the margins that it had. So it is that table that
is drawn, by `scipy.stats.random_table` (Patefield 1981, "Efficient method of generating random
R x C tables with given row and column totals", Applied Statistics 30, 91-97), and not millions of
labels that are permuted.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import xlogy
from scipy.stats import random_table

from hhmm._markov_paths import draw_paths

_BLOCK = 1 << 18  # timesteps counted at once


class LaggedInformation(NamedTuple):
    """Mutual information of labels a lag apart, nats; NaN where a lag has no pair."""

    lags: np.ndarray  # (n_lags,) int64, timesteps
    data: np.ndarray  # (n_lags,)
    markov: np.ndarray  # (n_surrogates, n_lags), first-order Markov surrogates
    shuffled: np.ndarray  # (n_surrogates, n_lags), second labels of the pairs permuted
    n_pairs: np.ndarray  # (n_lags,) int64, pairs that were counted


class Sequences(NamedTuple):
    """Sequences laid end to end, each from its first to its last observed timestep."""

    codes: np.ndarray  # (n_total_timesteps,) int32; n_labels where missing
    remaining: np.ndarray  # (n_total_timesteps,) int32: timesteps to the end, this one included
    lengths: np.ndarray  # (n_sequences,) int64
    n_labels: int


def lay_out(labels, lengths, n_labels):
    """Bring labels (n_total_timesteps,), negative where missing, to `Sequences`."""
    spans = []
    for sequence in np.split(labels, np.cumsum(lengths)[:-1]):
        observed = np.flatnonzero(sequence >= 0)
        if observed.size:
            spans.append(sequence[observed[0] : observed[-1] + 1])
    codes = np.concatenate(spans).astype(np.int32)
    codes[codes < 0] = n_labels
    lengths = np.array([span.size for span in spans])
    remaining = np.repeat(np.cumsum(lengths), lengths) - np.arange(codes.size)
    return Sequences(codes, remaining.astype(np.int32), lengths, n_labels)


def pair_counts(sequences, lag):
    """How often label i comes before label j by `lag` timesteps, (n_labels, n_labels) int64."""
    codes, remaining, _, n_labels = sequences
    n_codes = n_labels + 1
    nothing = n_codes**2 - 1
    counts = np.zeros(n_codes**2, dtype=np.int64)
    n_positions = max(codes.size - lag, 0)
    pairs = np.empty(min(n_positions, _BLOCK), dtype=np.int64)
    for start in range(0, n_positions, _BLOCK):
        stop = min(start + _BLOCK, n_positions)
        block = pairs[: stop - start]
        np.multiply(codes[start:stop], n_codes, out=block)
        block += codes[start + lag : stop + lag]
        np.copyto(block, nothing, where=remaining[start:stop] <= lag)
        counts += np.bincount(block, minlength=n_codes**2)
    return counts.reshape(n_codes, n_codes)[:n_labels, :n_labels]


def mutual_information(counts, *, correction):
    """Mutual information of a table of counts (n_labels, n_labels), nats; NaN if it is empty.

    Parameters
    ----------
    counts : ndarray of shape (n_labels, n_labels), int
    correction : {None, "miller-madow"}
        See `hhmm.metrics.lagged_mutual_information`.
    """
    n_pairs = counts.sum()
    if n_pairs == 0:
        return np.nan
    tables = counts[counts > 0], counts.sum(axis=1), counts.sum(axis=0)
    joint, first, second = (float(xlogy(table, table).sum()) for table in tables)
    information = max(np.log(n_pairs) + (joint - first - second) / n_pairs, 0.0)
    if correction is None:
        return information
    m_joint, m_first, m_second = (np.count_nonzero(table) for table in tables)
    return information - (m_joint - m_first - m_second + 1) / (2 * n_pairs)


def lagged_information(sequences, lags, *, n_surrogates, correction, rng):
    """`LaggedInformation` of `Sequences`; lags (n_lags,) int64, `rng` a RandomState."""

    def curve(tables):
        return np.array([mutual_information(table, correction=correction) for table in tables])

    def tables(some):
        return [pair_counts(some, int(lag)) for lag in lags]

    observed = tables(sequences)
    markov = np.empty((n_surrogates, len(lags)))
    for i in range(n_surrogates):
        markov[i] = curve(tables(markov_surrogate(sequences, rng)))
    shuffled = np.empty((n_surrogates, len(lags)))
    for i in range(n_surrogates):
        shuffled[i] = curve([_shuffled(table, rng) for table in observed])
    n_pairs = np.array([table.sum() for table in observed])
    return LaggedInformation(lags, curve(observed), markov, shuffled, n_pairs)


def markov_surrogate(sequences, rng):
    """Sequences of the first-order Markov chain with the transition probabilities of the data.

    Each starts with the label that its original starts with, is as long and lacks the same
    timesteps.
    """
    codes, _, lengths, n_labels = sequences
    counts = pair_counts(sequences, 1)
    usage = np.bincount(codes, minlength=n_labels + 1)[:n_labels]
    # what follows a label that nothing was ever seen to follow
    counts = np.where(counts.any(axis=1, keepdims=True), counts, usage)
    trans_probs = counts / counts.sum(axis=1, keepdims=True)
    starts = np.cumsum(lengths) - lengths
    path = draw_paths(trans_probs, codes[starts], lengths, rng)
    return sequences._replace(codes=np.where(codes == n_labels, n_labels, path).astype(np.int32))


def _shuffled(counts, rng):
    """Counts of the pairs with their second labels permuted, without labels that do not occur."""
    first, second = counts.sum(axis=1), counts.sum(axis=0)
    first, second = first[first > 0], second[second > 0]
    if min(first.size, second.size) < 2:
        # there is one such table, and scipy 1.17 returns another one, with negative counts
        return counts
    return random_table(first, second).rvs(random_state=rng)
