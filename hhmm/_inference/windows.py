"""States from slow directions of the syllable transitions: a start near a mode.

What the states add to a Markov chain of syllables is slow: for as long as a state lasts, every
transition is tilted the same way. With P0 the transition probabilities of that chain,

    r[t] = Q_S' (onehot(x[t]) - P0[x[t-1], :])

has mean zero given the past if there is one state only, and the mean of r over a window shows the
tilt of the window. Sums of r over windows are whitened by what their covariance would be with
one state,

    J = Q_S' (diag(pi P0) - sum_i pi_i P0[i, :] P0[i, :]') Q_S

and the directions are kept in which they go on from a window to the next: the leading
eigenvectors of the symmetrised covariance of neighbouring windows (time-lagged independent
components: Molgedey & Schuster 1994, "Separation of a mixture of independent signals using time
delayed correlations", Physical Review Letters 72). Windows are clustered there by
k-means. All of it is one pass over transition counts of windows, in NumPy.
"""

import numpy as np

from hhmm._model.simplex import helmert_basis
from hhmm._sequences.lanes import pair_codes

SHORTEST_WINDOW = 4
KMEANS_STARTS = 4
# pseudo-counts of every syllable in a row of P0, in all
SMOOTHING = 1.0
# windows times syllables in an array, 32 MiB
BLOCK_CELLS = 1 << 22


def window_lengths(lengths, priors, n_states):
    """Choose lengths of windows: powers of two around how long a state is expected to last.

    Parameters
    ----------
    lengths : (n_sequences,) int
        Of the sequences, in timesteps.
    priors : Priors
    n_states : int, at least 2

    Returns
    -------
    lengths : list of int, at least one
    """
    beta, kappa = float(priors.trans_beta), float(priors.trans_kappa)
    dwell = (kappa + n_states * beta) / ((n_states - 1) * beta)
    longest = max(np.mean(lengths) / 2, 2)
    shortest = min(max(SHORTEST_WINDOW, dwell / 4), longest)
    longest = min(max(4 * dwell, SHORTEST_WINDOW), longest)
    exponents = np.arange(np.ceil(np.log2(shortest)), np.floor(np.log2(longest)) + 1)
    return [int(2**e) for e in exponents] or [int(shortest)]


def all_window_lengths(lengths):
    """Choose lengths of windows where it is not known how long states last: powers of two."""
    longest = max(int(np.mean(lengths)) // 2, SHORTEST_WINDOW)
    return [2**e for e in range(int(np.log2(SHORTEST_WINDOW)), int(np.log2(longest)) + 1)]


def markov_chain(sequences, n_syllables, *, self_transitions=True):
    """Count syllable transitions; return the counts and smoothed probabilities P0, each (S, S)."""
    pairs, _ = pair_codes(sequences, n_syllables, self_transitions=self_transitions)
    counts = np.bincount(pairs, minlength=n_syllables**2 + 1)[:-1].astype(np.float64)
    counts = counts.reshape(n_syllables, n_syllables)
    overall = (counts.sum(axis=0) + SMOOTHING / n_syllables) / (counts.sum() + SMOOTHING)
    smoothed = counts + SMOOTHING * overall
    if not self_transitions and n_syllables > 1:
        np.fill_diagonal(smoothed, 0)
    return counts, smoothed / smoothed.sum(axis=1, keepdims=True)


def window_states(sequences, terms, length, rng, groups=None):
    """Choose the state of every timestep, one to a window.

    Parameters
    ----------
    sequences : list of 1-D int32 arrays
        Labels 0 to n_syllables - 1, -1 where missing.
    terms : Terms
    length : int
        Of the windows, in timesteps; the last one of a sequence takes the rest in.
    rng : numpy.random.RandomState
    groups : (n_sequences,) int, default=None
        The group of each sequence. The mean tilt of a group is taken out: else the slowest
        direction would be what makes one animal differ from another.

    Returns
    -------
    states : list of 1-D int32 arrays
    """
    from sklearn.cluster import KMeans  # a tenth of the time that `import hhmm` would take

    n_states, coding = terms.n_states, {"self_transitions": terms.self_transitions}
    counts, probs = markov_chain(sequences, terms.n_syllables, **coding)
    window = _window_numbers(sequences, length)
    flat = np.concatenate(window)
    # whether a window is followed by one of the same sequence
    last = np.array([numbers[-1] for numbers in window if len(numbers)])
    followed = np.ones(last[-1] + 1, bool)
    followed[last] = False
    pairs, _ = pair_codes(sequences, terms.n_syllables, **coding)
    whiten = _whitening(counts, probs)
    of_window = np.zeros(len(followed), int)
    if groups is not None:
        of_window[flat] = np.repeat(groups, [len(x) for x in sequences])
    group_means = _mean_tilts(pairs, flat, probs, whiten, of_window)

    def tilts_within_groups():
        for first, tilts, n_transitions in _tilts(pairs, flat, probs, whiten):
            group = of_window[first : first + len(tilts)]
            yield first, tilts - n_transitions[:, None] * group_means[group], n_transitions

    lagged = 0.0
    for first, tilts, _ in tilts_within_groups():
        before = np.flatnonzero(followed[first : first + len(tilts) - 1])
        lagged = lagged + tilts[before].T @ tilts[before + 1]
    _, vectors = np.linalg.eigh(lagged + lagged.T)
    directions = vectors[:, ::-1][:, : n_states - 1]
    means, weights = np.empty((len(followed), directions.shape[1])), np.empty(len(followed))
    for first, tilts, n_transitions in tilts_within_groups():
        block = slice(first, first + len(tilts))
        means[block] = (tilts @ directions) / np.maximum(n_transitions, 1)[:, None]
        weights[block] = n_transitions
    # means that differ by rounding alone are one to k-means
    rounded = np.round(means / max(np.abs(means).max(), np.finfo(float).tiny), 9)
    n_clusters = min(n_states, len(np.unique(rounded, axis=0)))
    clusters = KMeans(n_clusters, n_init=KMEANS_STARTS, random_state=rng).fit_predict(
        means, sample_weight=weights + 1e-9
    )
    labels = clusters.astype(np.int32)[flat]
    return np.split(labels, np.cumsum([len(x) for x in sequences])[:-1])


def _mean_tilts(pairs, window, probs, whitening, of_window):
    """Return the mean tilt of a transition in each group, (n_groups, S - 1); 0 with one group."""
    n_groups = of_window.max() + 1
    sums, counts = np.zeros((n_groups, len(probs) - 1)), np.zeros(n_groups)
    if n_groups > 1:
        n_done = 0
        for first, tilts, n_transitions in _tilts(pairs, window, probs, whitening):
            new = slice(n_done - first, None)  # blocks share a window
            group = of_window[first : first + len(tilts)][new]
            np.add.at(sums, group, tilts[new])
            np.add.at(counts, group, n_transitions[new])
            n_done = first + len(tilts)
    return sums / np.maximum(counts, 1)[:, None]


def _window_numbers(sequences, length):
    """Number of the window of every timestep, counted through all sequences."""
    numbers, first = [], 0
    for x in sequences:
        n_windows = max(len(x) // length, 1)
        numbers.append(first + np.minimum(np.arange(len(x)) // length, n_windows - 1))
        first += n_windows if len(x) else 0
    return numbers


def _whitening(counts, probs):
    """Return Q_S (S, S - 1), and what makes the covariance J of r the identity (S - 1, S - 1)."""
    basis = helmert_basis(len(probs))
    usage = counts.sum(axis=1) / counts.sum()
    spread = np.diag(usage @ probs) - (probs * usage[:, None]).T @ probs
    values, vectors = np.linalg.eigh(basis.T @ spread @ basis)
    # a direction without spread in the one-state model has no information
    kept = values > 1e-9 * values.max(initial=0)
    return basis, np.where(kept, 1 / np.sqrt(np.where(kept, values, 1)), 0) * vectors


def _tilts(pairs, window, probs, whitening):
    """Yield whitened sums of r over windows, a block at a time; blocks share a window.

    Parameters
    ----------
    pairs : (n_timesteps,) int
        Of `pair_codes`.
    window : (n_timesteps,) int
        Number of the window of every timestep, increasing.
    probs : (S, S)
    whitening : tuple
        Of `_whitening`.

    Yields
    ------
    first : int
        Number of the first window.
    tilts : (n_windows, S - 1)
    n_transitions : (n_windows,)
    """
    n_syllables, n_windows = len(probs), window[-1] + 1
    basis, whiten = whitening
    n_at_once = max(BLOCK_CELLS // n_syllables, 1)
    for first in range(0, max(n_windows - 1, 1), n_at_once):
        stop = min(first + n_at_once + 1, n_windows)
        part = slice(*np.searchsorted(window, [first, stop]))
        observed = pairs[part] < n_syllables**2
        codes, rows = pairs[part][observed], (window[part][observed] - first) * n_syllables

        def count(syllables, rows=rows, shape=(stop - first, n_syllables)):
            cells = np.bincount(rows + syllables, minlength=shape[0] * shape[1])
            return cells.reshape(shape).astype(np.float64)

        leaving, arriving = count(codes // n_syllables), count(codes % n_syllables)
        yield first, (arriving - leaving @ probs) @ basis @ whiten, leaving.sum(axis=1)
