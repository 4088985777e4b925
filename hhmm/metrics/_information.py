"""Estimate the mutual information of a syllable with later ones."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy
from scipy.stats import random_table
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from hhmm._sequences.ragged import raise_at_first
from hhmm._sequences.read import as_array, read_states
from hhmm._validation import shorten
from hhmm.metrics._markov_surrogates import draw_paths

# A table of pairs with more entries takes longer to clear than the data to count.
_MAX_PAIR_LABELS = 3_000
_BLOCK = 1 << 18  # timesteps counted at once


@validate_params(
    {
        "n_syllables": [Interval(Integral, 1, None, closed="left"), None],
        "pooled": ["boolean"],
        "n_surrogates": [Interval(Integral, 0, None, closed="left")],
        "correction": [StrOptions({"miller-madow"}), None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def lagged_mutual_information(
    X: ArrayLike,
    lags: ArrayLike,
    *,
    n_syllables: int | None = None,
    pooled: bool = False,
    n_surrogates: int = 10,
    correction: Literal["miller-madow"] | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> LaggedInformation:
    """Estimate the mutual information between syllables a lag apart.

    The information that a syllable has about the syllable `lag` timesteps later is compared with
    that of a first-order Markov chain. If data are far above their Markov surrogates at long lags,
    they have a memory that the transitions from syllable to syllable do not explain: hidden states
    that last are one explanation [1]_. By default each sequence is compared with a chain of its
    own, so that animals that differ do not look like states.

    Parameters
    ----------
    X : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        Syllables, integers; negative where missing. Both syllables of a pair are observed and lie
        in the same sequence.
    lags : int or array-like of shape (n_lags,), int
        Timesteps from the first syllable of a pair to the second, at least 1.
    n_syllables : int, default=None
        Number of syllables; the largest label plus one if None.
    pooled : bool, default=False
        False measures the information within each sequence, and averages over sequences by their
        numbers of pairs. True measures it over the pairs of all sequences together: sequences that
        differ, as animals do, then have long memory as well. Choose True for many short sequences
        of like animals, such as songs, since a sequence of some tens of syllables does not
        determine a chain of its own.
    n_surrogates : int, default=10
        Number of surrogates of each kind.
    correction : {None, "miller-madow"}, default=None
        The estimate from counts is too high by about (m - m_1 - m_2 + 1) / (2 n) nats for n
        independent pairs, of which m kinds occur, with m_1 first and m_2 second syllables [2]_.
        None does not correct this: surrogates have the same bias, so curves can be compared, and
        no value is negative. "miller-madow" subtracts it from every curve, which brings values
        closer to the truth if n is many times larger than m; values near zero may become negative.
        If n is not much larger than m, trust neither estimate [3]_.
    random_state : int, RandomState or None, default=None
        Seed of the surrogates.

    Returns
    -------
    information : LaggedInformation
        A named tuple of these.

        lags : ndarray of shape (n_lags,), int64
        data : ndarray of shape (n_lags,), float64
            Information of the sequences themselves, nats; NaN at a lag that no sequence reaches,
            also in the arrays below.
        markov : ndarray of shape (n_surrogates, n_lags), float64
            Information of sequences simulated with the transition probabilities of each sequence,
            or of all together if `pooled`. They have the first syllables, the lengths and the
            missing timesteps of the data. After a syllable that occurs only at the end of
            sequences, the next one is drawn by how frequent syllables are.
        shuffled : ndarray of shape (n_surrogates, n_lags), float64
            Information of pairs whose second syllables were permuted, as of independent pairs with
            the same frequencies.
        n_pairs : ndarray of shape (n_lags,), int64
        above : ndarray of shape (n_lags,), float64, or None
            Fraction of the sequences that are above all of their own Markov surrogates. Without
            memory it is about 1 / (n_surrogates + 1). None if `pooled` or without surrogates.

    Raises
    ------
    TypeError, ValueError
        If X has no syllable, or one that is not below `n_syllables`, or another argument is wrong.

    Warns
    -----
    UserWarning
        If sequences have fewer pairs than there are syllables, on average, and are not pooled.

    See Also
    --------
    hhmm.plotting.LaggedInformationDisplay : The curves as a picture.
    hhmm.model_checks.posterior_predictive_check : Whether a fitted model explains the data.

    Notes
    -----
    Compare with the Markov surrogates rather than with the shuffled pairs. Neighbouring pairs of a
    sequence are alike, so n pairs are worth fewer than n independent ones, and the curve of data
    without memory at that lag levels off above the shuffled pairs. The surrogates have runs as long
    as the data and level off at the same height. At the first lags they lie above the data by up to
    the bias of one estimate, since they are simulated from estimated transition probabilities.

    At the frame rate of a camera and at lags below the length of a run, the information is mostly
    about how long a syllable lasts. Runs whose lengths are not geometric already distinguish such
    data from their Markov surrogates. To measure the order of syllables, collapse each run to one
    timestep first, for example with `hhmm.preprocessing.RunCollapser`; lags then count syllables
    and not frames.

    If sequences are pooled, differences between them count as memory. If each animal has favourite
    syllables, the pooled curve levels off above the surrogates and never falls, also without any
    state. Slow changes within a sequence, such as habituation, count in both.

    The time for a lag is proportional to the number of timesteps of data and surrogates: about
    6 ms for a million and 60 ms for nine million. Drawing a surrogate takes 0.3 s for a million
    runs. Shuffled pairs are drawn as tables of counts, whatever the number of timesteps.

    References
    ----------
    .. [1] Berman, G. J., Bialek, W. and Shaevitz, J. W. (2016). Predictability and hierarchy in
       Drosophila behavior. Proceedings of the National Academy of Sciences, 113(42), 11943-11948.
    .. [2] Miller, G. A. (1955). Note on the bias of information estimates. In Quastler, H.
       (ed.), Information Theory in Psychology, 95-100. Free Press.
    .. [3] Paninski, L. (2003). Estimation of entropy and mutual information. Neural
       Computation, 15(6), 1191-1253.

    Examples
    --------
    >>> from hhmm.datasets import make_hhmm
    >>> from hhmm.metrics import lagged_mutual_information
    >>> data = make_hhmm(20, 1000, n_states=3, n_syllables=6, random_state=1)
    >>> information = lagged_mutual_information(data.X, [1, 20], n_surrogates=5, random_state=0)
    >>> (information.above > 0.5).tolist()  # are most sequences above their surrogates?
    [False, True]
    """
    sequences = read_states(X, "X")
    n_syllables = _check_n_syllables(n_syllables, sequences)
    lags = np.atleast_1d(as_array(lags, "lags"))
    if lags.ndim != 1 or lags.dtype.kind not in "iu":
        raise TypeError(
            f"lags must be integers of shape (n_lags,), got dtype {lags.dtype} and shape "
            f"{lags.shape}"
        )
    if lags.size == 0 or lags.min() < 1:
        raise ValueError(f"lags must be one or more integers >= 1, got {shorten(lags)}")
    rng = check_random_state(random_state)
    arguments: dict[str, Any] = {"n_surrogates": int(n_surrogates), "correction": correction}
    lags = lags.astype(np.int64)
    if pooled:
        laid_out = lay_out(sequences.values, sequences.lengths, n_syllables)
        return lagged_information(laid_out, lags, rng=rng, **arguments)
    parts = []
    # a seed a sequence, so that surrogates do not depend on the lags
    seeds = rng.randint(2**31, size=sequences.lengths.size)
    for sequence, seed in zip(sequences.sequences, seeds, strict=True):
        labels, codes = np.unique(sequence, return_inverse=True)
        codes = codes - np.count_nonzero(labels < 0)  # missing timesteps are one label
        if (codes >= 0).any():
            laid_out = lay_out(codes, [codes.size], int(codes.max()) + 1)
            own = np.random.RandomState(seed)
            parts.append(lagged_information(laid_out, lags, rng=own, **arguments))
    information = _mean_of_sequences(parts)
    n_pairs, n_used = int(information.n_pairs.max()), len(np.unique(sequences.values))
    if len(parts) > 1 and n_pairs < n_used * len(parts):
        warnings.warn(
            f"sequences have {n_pairs / len(parts):.3g} pairs of syllables on average, too few "
            f"for a Markov chain of {n_used} syllables each. Give pooled=True",
            stacklevel=3,
        )
    return information


def _mean_of_sequences(parts):
    """Average `LaggedInformation` of single sequences by their numbers of pairs."""
    n_pairs = np.array([part.n_pairs for part in parts])
    weights = n_pairs / np.maximum(n_pairs.sum(axis=0), 1)

    def mean(name):
        curves = np.array([getattr(part, name) for part in parts])
        by_part = weights.reshape(len(parts), *[1] * (curves.ndim - 2), -1)
        total = np.sum(by_part * np.nan_to_num(curves), axis=0)
        return np.where(n_pairs.any(axis=0), total, np.nan)

    above = None
    if len(parts[0].markov):
        is_above = np.array([part.data > part.markov.max(axis=0) for part in parts])
        n_parts = np.count_nonzero(n_pairs, axis=0)
        above = np.where(n_parts > 0, is_above.sum(axis=0) / np.maximum(n_parts, 1), np.nan)
    return LaggedInformation(
        parts[0].lags, mean("data"), mean("markov"), mean("shuffled"), n_pairs.sum(axis=0), above
    )


def _check_n_syllables(n_syllables, sequences):
    """Return `n_syllables`, by default the largest label plus one, if tables of pairs fit."""
    labels, name = sequences.values, "n_syllables"
    largest = int(labels.max(initial=-1))
    if largest < 0:
        raise ValueError(f"X must hold an observed syllable, got none in {labels.size} timesteps")
    if n_syllables is None:
        n_syllables, name = largest + 1, "X"
    if n_syllables > _MAX_PAIR_LABELS:
        raise ValueError(
            f"pairs are counted of at most {_MAX_PAIR_LABELS} syllables, got {n_syllables} "
            f"in {name}. Number the labels 0, 1, ... first, for example with np.unique"
        )
    raise_at_first(
        labels >= n_syllables,
        labels,
        sequences.locator("X"),
        f"a label below n_syllables={n_syllables}",
    )
    return int(n_syllables)


class LaggedInformation(NamedTuple):
    """Mutual information of labels a lag apart, nats; NaN where a lag has no pair."""

    lags: np.ndarray  # (n_lags,) int64, timesteps
    data: np.ndarray  # (n_lags,)
    markov: np.ndarray  # (n_surrogates, n_lags), first-order Markov surrogates
    shuffled: np.ndarray  # (n_surrogates, n_lags), second labels of the pairs permuted
    n_pairs: np.ndarray  # (n_lags,) int64, pairs that were counted
    above: np.ndarray | None = None  # (n_lags,), fraction of sequences above their surrogates


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
    """Count how often label i comes before label j by `lag` timesteps, (n_labels, n_labels)."""
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
    """Estimate the mutual information of counts (n_labels, n_labels), nats; NaN if all are 0."""
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
    """Return the `LaggedInformation` of `Sequences` at lags (n_lags,) int64."""

    def tables(some):
        return [pair_counts(some, int(lag)) for lag in lags]

    def curve(tables):
        return np.array([mutual_information(table, correction=correction) for table in tables])

    observed = tables(sequences)
    markov, shuffled = np.empty((2, n_surrogates, len(lags)))
    for i in range(n_surrogates):
        markov[i] = curve(tables(markov_surrogate(sequences, rng)))
    for i in range(n_surrogates):
        shuffled[i] = curve([_shuffled(table, rng) for table in observed])
    n_pairs = np.array([table.sum() for table in observed])
    return LaggedInformation(lags, curve(observed), markov, shuffled, n_pairs)


def markov_surrogate(sequences, rng):
    """Simulate the first-order Markov chain with the transition probabilities of the data.

    Each sequence has the first label, the length and the missing timesteps of its original.
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
    """Return counts of the pairs with their second labels permuted, without unused labels."""
    first, second = counts.sum(axis=1), counts.sum(axis=0)
    first, second = first[first > 0], second[second > 0]
    if min(first.size, second.size) < 2:
        # there is one such table, and scipy 1.17 returns another one, with negative counts
        return counts
    return random_table(first, second).rvs(random_state=rng)
