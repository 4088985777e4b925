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
    coding = {"self_transitions": terms.self_transitions}
    counts, probs = markov_chain(sequences, terms.n_syllables, **coding)
    numbers = _window_numbers(sequences, length)
    pairs, _ = pair_codes(sequences, terms.n_syllables, **coding)
    observed = pairs < terms.n_syllables**2
    leaving, arriving = np.divmod(pairs[observed], terms.n_syllables)
    of_timestep = np.concatenate(numbers)
    # windows without a transition show nothing
    has_transitions = np.zeros(of_timestep.max(initial=0) + 1, bool)
    has_transitions[of_timestep[observed]] = True
    window = (np.cumsum(has_transitions) - 1)[of_timestep[observed]]
    # whether the next window is of the same sequence, and has transitions too
    goes_on = np.append(has_transitions[1:], False)
    goes_on[[of_sequence[-1] for of_sequence in numbers if len(of_sequence)]] = False
    goes_on = goes_on[has_transitions]
    group_means, of_window = np.zeros((1, len(probs))), np.zeros(len(goes_on), int)
    if groups is not None:
        of_window[window] = np.repeat(groups, [len(x) for x in sequences])[observed]
        sums, n_transitions = _residuals(
            leaving, arriving, of_window[window], max(groups) + 1, probs
        )
        group_means = sums / np.maximum(n_transitions, 1)[:, None]

    lagged, n_at_once = 0.0, max(BLOCK_CELLS // len(probs), 1)
    for first in range(0, max(len(goes_on) - 1, 1), n_at_once):  # blocks share a window
        stop = min(first + n_at_once + 1, len(goes_on))
        part = slice(*np.searchsorted(window, [first, stop]))
        sums, n_transitions = _residuals(
            leaving[part], arriving[part], window[part] - first, stop - first, probs
        )
        sums -= n_transitions[:, None] * group_means[of_window[first:stop]]
        before = np.flatnonzero(goes_on[first : stop - 1])
        lagged = lagged + sums[before].T @ sums[before + 1]
    whiten = _whitening(counts, probs)
    lagged = whiten.T @ lagged @ whiten
    _, vectors = np.linalg.eigh(lagged + lagged.T)
    directions = whiten @ vectors[:, ::-1][:, : terms.n_states - 1]
    means = -(group_means @ directions)[of_window]
    weights = np.bincount(window, minlength=len(means))
    for direction, mean in zip(directions.T, means.T, strict=True):
        tilts = direction[arriving] - (probs @ direction)[leaving]
        mean += np.bincount(window, tilts, minlength=len(means)) / weights
    states = np.zeros(len(has_transitions), np.int32)
    states[has_transitions], states[~has_transitions] = _clusters(
        means, weights, terms.n_states, rng
    )
    return np.split(states[of_timestep], np.cumsum([len(x) for x in sequences])[:-1])


def _clusters(points, weights, n_clusters, rng):
    """Cluster points (n, d) with weights (n,) by k-means; return theirs, and that of 0."""
    from sklearn.cluster import KMeans  # a tenth of the time that `import hhmm` would take

    # Points that differ by rounding alone are one to k-means. Many short windows have the same.
    rounded = np.round(points / max(np.abs(points).max(initial=0), np.finfo(float).tiny), 9)
    if not len(points):
        return 0, 0
    if rounded.shape[1] == 1:  # np.unique by rows takes ten times as long
        distinct, which = np.unique(rounded[:, 0], return_inverse=True)
        distinct = distinct[:, None]
    else:
        distinct, which = np.unique(rounded, axis=0, return_inverse=True)
    which = which.ravel()
    kmeans = KMeans(min(n_clusters, len(distinct)), n_init=KMEANS_STARTS, random_state=rng)
    clusters = kmeans.fit_predict(distinct, sample_weight=np.bincount(which, weights))
    return clusters[which], kmeans.predict(np.zeros((1, points.shape[1])))[0]


def _window_numbers(sequences, length):
    """Number of the window of every timestep, counted through all sequences."""
    numbers, first = [], 0
    for x in sequences:
        n_windows = max(len(x) // length, 1)
        numbers.append(first + np.minimum(np.arange(len(x)) // length, n_windows - 1))
        first += n_windows if len(x) else 0
    return numbers


def _whitening(counts, probs):
    """Return the matrix (S, S - 1) after which the covariance of r is the identity."""
    basis = helmert_basis(len(probs))
    usage = counts.sum(axis=1) / counts.sum()
    spread = np.diag(usage @ probs) - (probs * usage[:, None]).T @ probs
    values, vectors = np.linalg.eigh(basis.T @ spread @ basis)
    # a direction without spread in the one-state model has no information
    kept = values > 1e-9 * values.max(initial=0)
    return basis @ (np.where(kept, 1 / np.sqrt(np.where(kept, values, 1)), 0) * vectors)


def _residuals(leaving, arriving, unit, n_units, probs):
    """Sum ``onehot(x[t]) - P0[x[t-1], :]`` over units, which are windows or groups.

    Parameters
    ----------
    leaving, arriving, unit : (n_transitions,) int
        x[t-1], x[t] and the unit of each transition.
    n_units : int
    probs : (S, S)

    Returns
    -------
    sums : (n_units, S)
    n_transitions : (n_units,)
    """

    def count(syllables):
        shape = n_units, len(probs)
        cells = np.bincount(unit * len(probs) + syllables, minlength=n_units * len(probs))
        return cells.reshape(shape).astype(np.float64)

    left = count(leaving)
    return count(arriving) - left @ probs, left.sum(axis=1)
