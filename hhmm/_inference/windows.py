"""States from slow directions of the syllable transitions: a start near a mode.

What the states add to a Markov chain of syllables is slow: for as long as a state lasts, every
transition is tilted the same way. With P0 the transition probabilities of that chain,

    r[t] = Q_S' (onehot(x[t]) - P0[x[t-1], :])

has mean zero given the past if there is one state only, and the mean of r over a window tells the
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
from hhmm._sequences import pair_codes

SHORTEST_WINDOW = 4
KMEANS_STARTS = 4
# pseudo-counts of every syllable in a row of P0, in all
SMOOTHING = 1.0


def window_lengths(lengths, priors, n_states):
    """Lengths of windows to try: powers of two around how long a state is expected to last.

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


def markov_chain(sequences, n_syllables):
    """Counts of syllable transitions, and their smoothed probabilities P0, each (S, S)."""
    pairs, _ = pair_codes(sequences, n_syllables)
    counts = np.bincount(pairs, minlength=n_syllables**2 + 1)[:-1].astype(np.float64)
    counts = counts.reshape(n_syllables, n_syllables)
    overall = (counts.sum(axis=0) + SMOOTHING / n_syllables) / (counts.sum() + SMOOTHING)
    smoothed = counts + SMOOTHING * overall
    return counts, smoothed / smoothed.sum(axis=1, keepdims=True)


def window_states(sequences, n_states, n_syllables, length, rng):
    """States of every timestep, one to a window.

    Parameters
    ----------
    sequences : list of 1-D int32 arrays
        Labels 0 to n_syllables - 1, -1 where missing.
    n_states, n_syllables : int
    length : int
        Of the windows, in timesteps; the last one of a sequence takes the rest in.
    rng : numpy.random.RandomState

    Returns
    -------
    states : list of 1-D int32 arrays
    """
    from sklearn.cluster import KMeans  # a tenth of the time that `import hhmm` would take

    counts, probs = markov_chain(sequences, n_syllables)
    window = _window_numbers(sequences, length)
    tilts, weights = _tilts(sequences, window, counts, probs)
    # whether a window is followed by one of the same sequence
    flat = np.concatenate(window)
    n_windows = len(tilts)
    last = np.array([numbers[-1] for numbers in window if len(numbers)])
    followed = np.ones(n_windows, bool)
    followed[last] = False
    before = np.flatnonzero(followed)
    lagged = tilts[before].T @ tilts[before + 1]
    _, vectors = np.linalg.eigh(lagged + lagged.T)
    directions = vectors[:, ::-1][:, : n_states - 1]
    means = (tilts @ directions) / np.maximum(weights, 1)[:, None]
    n_clusters = min(n_states, len(np.unique(means, axis=0)))
    clusters = KMeans(n_clusters, n_init=KMEANS_STARTS, random_state=rng).fit_predict(
        means, sample_weight=weights + 1e-9
    )
    labels = clusters.astype(np.int32)[flat]
    return np.split(labels, np.cumsum([len(x) for x in sequences])[:-1])


def _window_numbers(sequences, length):
    """Number of the window of every timestep, counted through all sequences."""
    numbers, first = [], 0
    for x in sequences:
        n_windows = max(len(x) // length, 1)
        numbers.append(first + np.minimum(np.arange(len(x)) // length, n_windows - 1))
        first += n_windows if len(x) else 0
    return numbers


def _tilts(sequences, window, counts, probs):
    """Whitened sums of r over windows (n_windows, S - 1), and how many transitions each has."""
    n_syllables = len(probs)
    pairs, _ = pair_codes(sequences, n_syllables)
    flat = np.concatenate(window)
    observed = pairs < n_syllables**2
    flat, pairs, n_windows = flat[observed], pairs[observed], flat[-1] + 1

    def count(syllables):
        cells = np.bincount(flat * n_syllables + syllables, minlength=n_windows * n_syllables)
        return cells.reshape(n_windows, n_syllables).astype(np.float64)

    leaving, arriving = count(pairs // n_syllables), count(pairs % n_syllables)
    basis = helmert_basis(n_syllables)
    sums = (arriving - leaving @ probs) @ basis
    usage = counts.sum(axis=1) / counts.sum()
    spread = np.diag(usage @ probs) - (probs * usage[:, None]).T @ probs
    values, vectors = np.linalg.eigh(basis.T @ spread @ basis)
    # a direction in which one state leaves no spread tells nothing
    kept = values > 1e-9 * values.max(initial=0)
    whiten = np.where(kept, 1 / np.sqrt(np.where(kept, values, 1)), 0) * vectors
    weights = leaving.sum(axis=1)
    return sums @ whiten, weights
