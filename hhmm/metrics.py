"""Scores and descriptions of state sequences whose labels are arbitrary.

The states of a hidden Markov model have no names: a fit that numbers them
differently from the reference is as good as one that does not. The scores here
therefore compare states after the one-to-one relabelling that makes the two
agree most often. Finding it is the linear assignment problem on the table of
how often a true and a predicted state occur together [1]_, which scipy solves
by shortest augmenting paths [2]_.

Which syllables one state uses more than the others is in `syllable_preferences`; whether there
is anything slow to be found at all, in `lagged_mutual_information`.

States and syllables come in three forms: one sequence as a 1-D array, a 2-D
array (n_sequences, n_timesteps), or a list of 1-D arrays of any lengths.
A negative value, NaN or a masked entry marks a timestep without a state, such
as the padding after the end of a sequence.

References
----------
.. [1] Kuhn, H. W. (1955). The Hungarian method for the assignment problem.
   Naval Research Logistics Quarterly, 2(1-2), 83-97.
.. [2] Crouse, D. F. (2016). On implementing 2D rectangular assignment
   algorithms. IEEE Transactions on Aerospace and Electronic Systems, 52(4),
   1679-1696.
"""

import numbers
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from hhmm._conversions import check_flag, check_option, shorten
from hhmm._inference.draws import flat, stationary_distribution, syllable_probs
from hhmm._lagged_information import LaggedInformation, lagged_information, lay_out
from hhmm._model.emissions import logits_from_params, terms_of
from hhmm._model.stationary import syllable_usage
from hhmm._precision import double_precision
from hhmm._states import (
    MAX_ENTRIES,
    StateSequences,
    as_array,
    check_entries,
    check_n_states,
    raise_at_first,
    read_states,
)
from hhmm._validation import check_sequences

__all__ = [
    "LaggedInformation",
    "SyllablePreferences",
    "lagged_mutual_information",
    "match_states",
    "matched_accuracy",
    "matched_confusion_matrix",
    "state_durations",
    "state_usage",
    "syllable_preferences",
]

# A table of pairs with more entries takes longer to clear than the data to count.
_MAX_PAIR_LABELS = 3_000
# Up to this size a table with empty rows is faster than sorting the labels first.
_DENSE_TABLE_ENTRIES = 1 << 20


class _Contingency(NamedTuple):
    """How often a true and a predicted state occur at the same timestep."""

    counts: np.ndarray  # (n_true_labels, n_pred_labels) int64
    true_labels: np.ndarray  # (n_true_labels,) those that occur, increasing
    pred_labels: np.ndarray  # (n_pred_labels,) those that occur, increasing


def match_states(y_true, y_pred):
    """Find the one-to-one relabelling of `y_pred` that agrees best with `y_true`.

    Parameters
    ----------
    y_true, y_pred : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        States, integers. Timesteps that are negative in either are ignored. One
        may be 2-D and the other a list: then what a row holds after the end of
        the list's sequence must be padding.

    Returns
    -------
    mapping : ndarray of shape (max(y_pred) + 1,), int64
        ``mapping[k]`` is the label that predicted state k gets, and
        ``mapping[y_pred]`` is what matches `y_true` best, at all timesteps with
        ``y_pred >= 0`` (index -1, the padding, would give the last entry). The
        predicted states that are left over when there are more of them than
        true ones get the smallest labels that no true state has; after them,
        labels that never occur in `y_pred` get the smallest labels still free.
        So if `y_true` has states 0 to n_true - 1, new labels start at n_true.

    See Also
    --------
    matched_accuracy : The fraction of timesteps that agree after matching.

    Notes
    -----
    The assignment maximises the number of timesteps that agree [1]_. Where
    several are equally good, equal inputs give equal answers.

    References
    ----------
    .. [1] Kuhn, H. W. (1955). The Hungarian method for the assignment problem.
       Naval Research Logistics Quarterly, 2(1-2), 83-97.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.metrics import match_states
    >>> y_true = np.array([0, 0, 0, 1, 1, 2])
    >>> y_pred = np.array([2, 2, 1, 0, 0, 1])
    >>> mapping = match_states(y_true, y_pred)
    >>> mapping
    array([1, 2, 0])
    >>> mapping[y_pred]
    array([0, 0, 2, 1, 1, 2])
    """
    true, pred = _align(read_states(y_true, "y_true"), read_states(y_pred, "y_pred"))
    contingency = _contingency(*_compared(true, pred))
    n_pred = int(pred.max()) + 1
    check_entries(n_pred, label=n_pred - 1, name="y_pred", result="match_states returns one entry")

    mapping = np.full(n_pred, -1, dtype=np.int64)
    mapping[contingency.pred_labels] = _matched_labels(contingency)
    absent = np.flatnonzero(mapping < 0)
    mapping[absent] = np.setdiff1d(np.arange(n_pred), mapping)[: absent.size]
    return mapping


def matched_accuracy(y_true, y_pred):
    """Fraction of timesteps that agree after the best one-to-one relabelling.

    Parameters
    ----------
    y_true, y_pred : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        States, integers. Timesteps that are negative in either are ignored. One
        may be 2-D and the other a list: then what a row holds after the end of
        the list's sequence must be padding.

    Returns
    -------
    accuracy : float
        Between 0 and 1, over the timesteps of all sequences together; one
        relabelling serves all sequences.

    See Also
    --------
    match_states : The relabelling itself.

    References
    ----------
    .. [1] Kuhn, H. W. (1955). The Hungarian method for the assignment problem.
       Naval Research Logistics Quarterly, 2(1-2), 83-97.

    Examples
    --------
    >>> from hhmm.metrics import matched_accuracy
    >>> matched_accuracy([0, 0, 1, 1, 1], [1, 1, 0, 0, 1])
    0.8

    Sequences of different lengths, and a timestep whose state is unknown:

    >>> matched_accuracy([[0, 0, -1], [1, 1]], [[1, 1, 1], [0, 1]])
    0.75
    """
    true, pred = _align(read_states(y_true, "y_true"), read_states(y_pred, "y_pred"))
    counts = _contingency(*_compared(true, pred)).counts
    agreeing = counts[linear_sum_assignment(counts, maximize=True)].sum()
    return float(agreeing / counts.sum())


def matched_confusion_matrix(y_true, y_pred, *, normalize=None):
    """Confusion matrix after the best one-to-one relabelling of `y_pred`.

    Parameters
    ----------
    y_true, y_pred : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        States, integers. Timesteps that are negative in either are ignored. One
        may be 2-D and the other a list: then what a row holds after the end of
        the list's sequence must be padding.

    normalize : {"true", "pred", "all"}, default=None
        Whether rows ("true"), columns ("pred") or the whole matrix ("all") sum
        to 1. A row or column without a single timestep stays 0.

    Returns
    -------
    confusion : ndarray of shape (n_labels, n_labels), int64 or float64
        ``confusion[i, j]`` is the number (or the fraction) of timesteps with
        true state i and predicted state j, after matching: the diagonal is
        agreement. ``n_labels - 1`` is the largest label that occurs.

    See Also
    --------
    match_states : The relabelling itself.

    References
    ----------
    .. [1] Kuhn, H. W. (1955). The Hungarian method for the assignment problem.
       Naval Research Logistics Quarterly, 2(1-2), 83-97.

    Examples
    --------
    >>> from hhmm.metrics import matched_confusion_matrix
    >>> matched_confusion_matrix([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 1])
    array([[3, 0],
           [1, 2]])
    >>> matched_confusion_matrix([0, 0, 1, 1], [1, 1, 0, 1], normalize="true")
    array([[1. , 0. ],
           [0.5, 0.5]])
    """
    check_option(normalize, "normalize", ("true", "pred", "all", None))
    true, pred = _align(read_states(y_true, "y_true"), read_states(y_pred, "y_pred"))
    contingency = _contingency(*_compared(true, pred))
    columns = _matched_labels(contingency)
    n_labels = int(max(contingency.true_labels[-1], columns.max())) + 1
    check_entries(
        n_labels**2,
        label=n_labels - 1,
        name="y_true" if n_labels - 1 in contingency.true_labels else "y_pred",
        result="matched_confusion_matrix returns a row and a column",
    )

    confusion = np.zeros((n_labels, n_labels), dtype=np.int64)
    confusion[np.ix_(contingency.true_labels, columns)] = contingency.counts
    if normalize is None:
        return confusion
    axis = {"true": 1, "pred": 0, "all": None}[normalize]
    return confusion / np.maximum(confusion.sum(axis=axis, keepdims=True), 1)


def state_usage(states, *, n_states=None, per_sequence=False):
    """Fraction of time spent in each state.

    Parameters
    ----------
    states : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        States, integers; negative timesteps are ignored.

    n_states : int, default=None
        Number of states; the largest label plus one if None.

    per_sequence : bool, default=False
        Whether to tell the sequences apart.

    Returns
    -------
    usage : ndarray of shape (n_states,), or (n_sequences, n_states) if `per_sequence`
        Fractions that sum to 1 over the states. Without a single timestep that
        has a state they are NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.metrics import state_usage
    >>> states = np.array([[0, 0, 1, 1], [2, 1, -1, -1]])
    >>> state_usage(states, n_states=3).round(2)
    array([0.33, 0.5 , 0.17])
    >>> state_usage(states, n_states=3, per_sequence=True)
    array([[0.5, 0.5, 0. ],
           [0. , 0.5, 0.5]])
    """
    sequences = read_states(states, "states")
    n_states = check_n_states(n_states, sequences)
    check_flag(per_sequence, "per_sequence")
    n_groups = sequences.lengths.size if per_sequence else 1

    observed = sequences.states >= 0
    cells = sequences.states[observed]
    if per_sequence:
        sequence_index = np.repeat(np.arange(n_groups), sequences.lengths)
        cells = cells + n_states * sequence_index[observed]
    counts = np.bincount(cells, minlength=n_groups * n_states).reshape(n_groups, n_states)
    totals = counts.sum(axis=1, keepdims=True)
    usage = np.full(counts.shape, np.nan)
    np.divide(counts, totals, out=usage, where=totals > 0)
    return usage if per_sequence else usage[0]


def state_durations(states, *, n_states=None, include_censored=True):
    """Lengths of the bouts of each state.

    A bout is a longest run of consecutive timesteps of one sequence in the same
    state.

    Parameters
    ----------
    states : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        States, integers. A negative timestep ends a bout.

    n_states : int, default=None
        Number of states; the largest label plus one if None.

    include_censored : bool, default=True
        Whether to keep the bouts that the recording may have cut: those at the
        first or last timestep of a sequence, or beside a timestep without a
        state. Their true length is unknown, only that it is at least this.

    Returns
    -------
    durations : list of n_states ndarrays of shape (n_bouts_k,), int64
        Lengths in timesteps, in the order in which the bouts occur.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.metrics import state_durations
    >>> states = np.array([0, 0, 1, 1, 1, 0, 1, 1])
    >>> state_durations(states)
    [array([2, 1]), array([3, 2])]
    >>> state_durations(states, include_censored=False)
    [array([1]), array([3])]
    """
    sequences = read_states(states, "states")
    n_states = check_n_states(n_states, sequences)
    check_flag(include_censored, "include_censored")

    ends = np.cumsum(sequences.lengths)
    opens_sequence = np.zeros(sequences.states.size, dtype=bool)
    opens_sequence[(ends - sequences.lengths)[sequences.lengths > 0]] = True
    opens_run = opens_sequence.copy()
    opens_run[1:] |= sequences.states[1:] != sequences.states[:-1]

    starts = np.flatnonzero(opens_run)
    lengths = np.diff(starts, append=sequences.states.size)
    run_states = sequences.states[starts]
    keep = run_states >= 0
    if not include_censored:
        # What limits a whole bout on either side is another state, seen in the same sequence.
        borders = (run_states[:-1] >= 0) & (run_states[1:] >= 0) & ~opens_sequence[starts[1:]]
        keep &= np.append(False, borders) & np.append(borders, False)

    run_states, lengths = run_states[keep], lengths[keep]
    by_state = np.argsort(run_states, kind="stable")
    n_bouts = np.bincount(run_states, minlength=n_states)
    return np.split(lengths[by_state], np.cumsum(n_bouts)[:-1])


def lagged_mutual_information(
    X, lags, *, n_syllables=None, n_surrogates=10, correction=None, random_state=None
):
    """Mutual information between syllables a lag apart: is there anything slow to be found?

    How much a syllable tells of the syllable `lag` timesteps later, beside what it
    would tell if syllables were a first-order Markov chain. Data far above its Markov
    surrogates at long lags has a memory that the transitions from syllable to syllable do
    not explain: hidden states that last are one explanation [1]_.

    Parameters
    ----------
    X : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        Syllables, integers; negative where missing. Pairs lie within a sequence, and
        both of their syllables are observed.

    lags : int or array-like of shape (n_lags,), int
        Timesteps from the first syllable of a pair to the second, at least 1.

    n_syllables : int, default=None
        Number of syllables; the largest label plus one if None.

    n_surrogates : int, default=10
        Number of surrogates of each kind.

    correction : {None, "miller-madow"}, default=None
        The estimate from counts is too high by about (m - m_1 - m_2 + 1) / (2 n) nats for n
        independent pairs, of which m kinds occur, with m_1 first and m_2 second
        syllables [2]_. None leaves that in: surrogates have it as well, so that curves compare,
        and no value is negative. "miller-madow" subtracts it from every curve, which
        brings values closer to the truth where pairs are many times more than m; values
        near zero may become negative. Where n is not much larger than m, neither
        estimate is to be trusted [3]_.

    random_state : int, RandomState or None, default=None
        Seed of the surrogates.

    Returns
    -------
    information : LaggedInformation
        A named tuple of these.

        lags : ndarray of shape (n_lags,), int64
        data : ndarray of shape (n_lags,), float64
            Of the sequences themselves, nats; NaN at a lag that no sequence reaches, here
            as below.
        markov : ndarray of shape (n_surrogates, n_lags), float64
            Of sequences simulated with the transition probabilities that the data has, all
            sequences together. They start with the syllables, have the lengths and lack the
            timesteps of the data. What follows a syllable that was only ever seen last
            is drawn by how frequent syllables are.
        shuffled : ndarray of shape (n_surrogates, n_lags), float64
            Of pairs whose second syllables were permuted: what independent pairs as many and with
            the same frequencies give.
        n_pairs : ndarray of shape (n_lags,), int64

    Raises
    ------
    TypeError, ValueError
        If X does not hold syllables below `n_syllables`, or has none; or another argument is not
        as described.

    See Also
    --------
    hhmm.plotting.LaggedInformationDisplay : The curves as a picture.
    hhmm.model_checks.posterior_predictive_check : Whether a fitted model explains the data.

    Notes
    -----
    Compare with the Markov surrogates rather than with the shuffled pairs. Neighbouring pairs
    of a sequence are alike, so that n pairs are worth fewer than n independent ones, and
    the curve of data with no memory at that lag levels off above the shuffled floor. The
    surrogates have as long runs as the data and level off at the same height. At the very first
    lags they lie above the data by up to the bias of one estimate, since they are simulated from
    transition probabilities that are estimates themselves.

    Data at the frame rate of a camera is mostly about how long a syllable lasts: at lags below
    the length of a run, information is that of the run. Runs whose lengths are not
    geometric already set such data apart from its Markov surrogates. To ask about the order of
    syllables, collapse each run to one timestep first, for example
    ``x[np.diff(x, prepend=-1) != 0]``; lags then count syllables and not frames.

    Differences between sequences count as memory too. If each animal has favourites
    of its own, the curve over all of them levels off above the surrogates
    and never falls; a call for each sequence alone tells.

    A lag takes time in proportion to the number of timesteps: about 6 ms for a million
    and 60 ms for nine millions, of data or of one surrogate. Drawing a surrogate takes 0.3 s for a
    million runs. Shuffling takes no longer for more timesteps, since tables of
    counts are drawn and not permutations.

    References
    ----------
    .. [1] Berman, G. J., Bialek, W. and Shaevitz, J. W. (2016). Predictability and
       hierarchy in Drosophila behavior. Proceedings of the National Academy of
       Sciences, 113(42), 11943-11948.
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
    >>> (information.data > 2 * information.markov.max(axis=0)).tolist()
    [False, True]
    """
    sequences = read_states(X, "X")
    n_syllables = _check_n_syllables(n_syllables, sequences)
    lags = _check_lags(lags)
    if not isinstance(n_surrogates, numbers.Integral):
        raise TypeError(f"n_surrogates must be an integer >= 0, got {shorten(n_surrogates)}")
    if n_surrogates < 0:
        raise ValueError(f"n_surrogates must be >= 0, got {n_surrogates}")
    check_option(correction, "correction", ("miller-madow", None))
    return lagged_information(
        lay_out(sequences.states, sequences.lengths, n_syllables),
        lags,
        n_surrogates=int(n_surrogates),
        correction=correction,
        rng=check_random_state(random_state),
    )


class SyllablePreferences(NamedTuple):
    """Which syllables each state uses more, and which it uses less, than all states together."""

    biases: np.ndarray  # C, (n_states, n_syllables), nats; rows and columns sum to 0
    standard_deviations: np.ndarray  # (n_states, n_syllables), of the posterior; NaN without draws
    ranking: np.ndarray  # (n_states, n_syllables) int64: most promoted first, most suppressed last
    usage_changes: np.ndarray  # (n_states, n_syllables), differences of probabilities
    usage_change_deviations: np.ndarray  # (n_states, n_syllables), of the posterior, as above


@double_precision
def syllable_preferences(model, X=None):
    """Rank the syllables that each state promotes and suppresses.

    Syllables are ranked by how much more often they are used in the state than over all: the
    change in usage of syllable j in state k is

        usage_changes[k, j] = p(j | k) - p(j),    p(j) = sum_k p(k) p(j | k)

    with p(k) the fraction of time in state k and p(j | k) the fraction of it at syllable j. A
    rare syllable is used little in any state, so its change is small however large its bias is.

    Parameters
    ----------
    model : EfficientHHMM
        A fitted model.
    X : array of shape (n_sequences, n_timesteps) or list of arrays, default=None
        Syllables to measure the usage on, in any form that the model takes: p(j | k) is the
        fraction of the observed timesteps in state k, by ``model.predict(X)``, that have syllable
        j. If None, the usage is what the parameters of the model lead to in the long run. Give X
        where sequences are short: which syllables they begin and end with is no part of the model.

    Returns
    -------
    preferences : SyllablePreferences
        A named tuple of these.

        biases : ndarray of shape (n_states, n_syllables), float64
            C = Q_K c Q_S' of the point estimate, nats. State k multiplies the odds of
            syllable j against syllable i by ``exp(C[k, j] - C[k, i])``, whichever syllable was
            before.
        standard_deviations : ndarray of shape (n_states, n_syllables), float64
            Posterior standard deviations over the kept draws of the chain that the
            point estimate is from; NaN where there are fewer than two draws.
        ranking : ndarray of shape (n_states, n_syllables), int64
            Syllables by falling change in usage: ``ranking[k, :3]`` are the three that state k
            promotes most, ``ranking[k, :-4:-1]`` the three that it suppresses most.
        usage_changes : ndarray of shape (n_states, n_syllables), float64
            p(j | k) - p(j). Rows sum to 0. A row is 0 where X has no timestep in the state.
        usage_change_deviations : ndarray of shape (n_states, n_syllables), float64
            Posterior standard deviations of `usage_changes`, over the same draws as above; NaN
            where X is given, since its states are those of the point estimate.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If `model` is not fitted.
    TypeError
        If `model` is not an EfficientHHMM, but for example a pipeline that holds one.

    See Also
    --------
    hhmm.plotting.SyllablePreferenceDisplay : The changes in usage, or the biases, as a picture.

    Notes
    -----
    The long-run usage is the stationary distribution of the Markov chain of state and syllable
    together. The usage over all states weights each by its time; a state that takes nearly all of
    the time therefore has small changes. Without self-transitions the long-run usage counts how
    often a syllable begins, since how long it is held is no part of the model; with X, timesteps
    are counted.

    The bias of a state is against the mean of all states, whatever their usage, so with
    two states one is the mirror image of the other. The prior pulls the bias of a syllable
    that is hardly ever seen to zero: a bias near zero with a large standard deviation says
    that little is known, not that the state does not care.

    Examples
    --------
    >>> from hhmm import EfficientHHMM
    >>> from hhmm.metrics import syllable_preferences
    >>> model = EfficientHHMM.from_params(
    ...     [[0.0, 0.0]] * 3, [[1.0, -2.0]], [[0.99, 0.01], [0.01, 0.99]]
    ... )
    >>> preferences = syllable_preferences(model)
    >>> preferences.biases.round(2)
    array([[-0.08, -1.08,  1.15],
           [ 0.08,  1.08, -1.15]])
    >>> preferences.usage_changes.round(2)
    array([[-0.02, -0.3 ,  0.32],
           [ 0.02,  0.3 , -0.32]])
    >>> preferences.ranking
    array([[2, 0, 1],
           [1, 0, 2]])
    """
    check_is_fitted(model)
    if not hasattr(model, "emission_biases_"):
        raise TypeError(
            f"model must be a fitted EfficientHHMM, got {type(model).__name__}: of a pipeline, "
            "give its last step"
        )
    params, of_events = model._params(), _trans_probs_of_events(model)
    if X is None:
        changes = _long_run_usage_changes(params, of_events(params.trans_probs), model)
    else:
        changes = _observed_usage_changes(model, X)
    standard_deviations, change_deviations = np.full((2, *changes.shape), np.nan)
    if hasattr(model, "posterior_"):
        draws = flat(model.posterior_, slice(model.best_chain_, model.best_chain_ + 1))
        if len(draws) > 1:
            biases = [logits_from_params(draw).biases for draw in draws]
            standard_deviations = np.std(biases, axis=0, ddof=1)
            if X is None:
                drawn = [
                    _long_run_usage_changes(draw, of_events(draw.trans_probs), model)
                    for draw in draws
                ]
                change_deviations = np.std(drawn, axis=0, ddof=1)
    return SyllablePreferences(
        biases=np.asarray(logits_from_params(params).biases),
        standard_deviations=standard_deviations,
        ranking=np.argsort(-changes, axis=1, kind="stable"),
        usage_changes=changes,
        usage_change_deviations=change_deviations,
    )


def _trans_probs_of_events(model):
    """A function of A: the state transition probabilities from one emission to the next.

    Without self-transitions these are as far apart as syllables are held, on average.
    """
    mean_run = 1 if model.self_transitions_ else getattr(model, "_mean_run", 1)
    return lambda trans_probs: np.linalg.matrix_power(trans_probs, max(round(mean_run), 1))


def _long_run_usage_changes(params, trans_probs, model):
    """p(j | k) - p(j) of parameters, and state transitions from one emission to the next."""
    of_states = stationary_distribution(np.asarray(trans_probs, float))
    terms = terms_of(params, self_transitions=model.self_transitions_)
    probs = syllable_probs(logits_from_params(params), terms)
    usage = syllable_usage(trans_probs, probs, of_states)
    return usage - of_states @ usage


def _observed_usage_changes(model, X):
    """p(j | k) - p(j) of observed syllables and predicted states, 0 in states without any."""
    sequences = check_sequences(model, X, reset=False).sequences
    states = [row[: len(x)] for row, x in zip(model.predict(X), sequences, strict=True)]
    syllables, states = np.concatenate(sequences), np.concatenate(states)
    observed = syllables >= 0
    counts = np.zeros((len(model.trans_probs_), model.n_syllables_))
    np.add.at(counts, (states[observed], syllables[observed]), 1)
    if not counts.any():
        raise ValueError(
            f"X must hold an observed syllable, got none in {syllables.size} timesteps"
        )
    totals = counts.sum(axis=1, keepdims=True)
    overall = counts.sum(axis=0) / counts.sum()
    return np.where(totals > 0, counts / np.maximum(totals, 1) - overall, 0.0)


def _check_n_syllables(n_syllables, sequences):
    """`n_syllables`, by default the largest label plus one, few enough for tables of pairs."""
    labels = sequences.states
    largest = int(labels.max(initial=-1))
    if largest < 0:
        raise ValueError(f"X must hold an observed syllable, got none in {labels.size} timesteps")
    if n_syllables is None:
        n_syllables, name = largest + 1, "X"
    elif not isinstance(n_syllables, numbers.Integral):
        raise TypeError(f"n_syllables must be an integer >= 1, got {shorten(n_syllables)}")
    elif n_syllables < 1:
        raise ValueError(f"n_syllables must be >= 1, got {n_syllables}")
    else:
        expected = f"X must hold labels below n_syllables={n_syllables}"
        raise_at_first(labels >= n_syllables, labels, sequences.lengths, expected)
        name = "n_syllables"
    if n_syllables > _MAX_PAIR_LABELS:
        raise ValueError(
            f"pairs are counted of at most {_MAX_PAIR_LABELS} syllables, got {n_syllables} "
            f"in {name}: number the labels 0, 1, ... first, for example with np.unique"
        )
    return int(n_syllables)


def _check_lags(lags):
    """`lags` as an array (n_lags,) int64."""
    values = np.atleast_1d(as_array(lags, "lags"))
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise TypeError(
            f"lags must be integers of shape (n_lags,), got dtype {values.dtype} and shape "
            f"{values.shape}"
        )
    if values.size == 0 or values.min() < 1:
        raise ValueError(f"lags must be one or more integers >= 1, got {shorten(values)}")
    return values.astype(np.int64)


def _align(true, pred):
    """States of both at the same timesteps, (n_total_timesteps,) each."""
    n_true, n_pred = true.lengths.size, pred.lengths.size
    if n_true != n_pred:
        raise ValueError(
            f"y_true and y_pred must hold the same number of sequences, got {n_true} and {n_pred}"
        )
    if true.padded and not pred.padded:
        true = _without_padding(true, pred.lengths)
    elif pred.padded and not true.padded:
        pred = _without_padding(pred, true.lengths)
    different = np.flatnonzero(true.lengths != pred.lengths)
    if different.size:
        i = different[0]
        raise ValueError(
            f"y_true and y_pred must have the same lengths, got {true.lengths[i]} and "
            f"{pred.lengths[i]} timesteps in sequence {i}"
        )
    return true.states, pred.states


def _without_padding(rows, lengths):
    """Cut rows of equal length to `lengths` (n_sequences,), or to what they use if that differs."""
    states = rows.states.reshape(lengths.size, -1)
    timesteps = np.arange(1, states.shape[1] + 1)
    used = np.where(states >= 0, timesteps, 0).max(axis=1, initial=0)
    fits = (used <= lengths) & (lengths <= states.shape[1])
    kept = np.where(fits, lengths, used)
    return StateSequences(states[timesteps <= kept[:, np.newaxis]], kept, False)


def _compared(true, pred):
    """The timesteps that have a state in both."""
    observed = (true >= 0) & (pred >= 0)
    if not observed.any():
        raise ValueError(
            "y_true and y_pred must have a state (an integer >= 0) in common timesteps, "
            f"got none in {true.size} timesteps"
        )
    return true[observed], pred[observed]


def _contingency(true, pred):
    """Count pairs of states, (n_compared,) each; labels that do not occur have no row or column."""
    n_true, n_pred = int(true.max()) + 1, int(pred.max()) + 1
    if n_true * n_pred <= _DENSE_TABLE_ENTRIES:
        counts = np.bincount(true * n_pred + pred, minlength=n_true * n_pred)
        counts = counts.reshape(n_true, n_pred)
        true_labels = np.flatnonzero(counts.any(axis=1))
        pred_labels = np.flatnonzero(counts.any(axis=0))
        return _Contingency(counts[np.ix_(true_labels, pred_labels)], true_labels, pred_labels)

    true_labels, true = np.unique(true, return_inverse=True)
    pred_labels, pred = np.unique(pred, return_inverse=True)
    shape = true_labels.size, pred_labels.size
    if shape[0] * shape[1] > MAX_ENTRIES:
        raise ValueError(
            "y_true and y_pred must hold labels of states, got "
            f"{shape[0]} and {shape[1]} different labels"
        )
    counts = np.bincount(true * shape[1] + pred, minlength=shape[0] * shape[1]).reshape(shape)
    return _Contingency(counts, true_labels, pred_labels)


def _matched_labels(contingency):
    """The new label of each of ``contingency.pred_labels``, (n_pred_labels,)."""
    rows, columns = linear_sum_assignment(contingency.counts, maximize=True)
    labels = np.full(contingency.pred_labels.size, -1, dtype=np.int64)
    labels[columns] = contingency.true_labels[rows]
    left_over = np.flatnonzero(labels < 0)
    free = np.setdiff1d(np.arange(labels.size), contingency.true_labels)
    labels[left_over] = free[: left_over.size]
    return labels
