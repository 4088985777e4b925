"""Match states with other numbers, and score how well they agree."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from sklearn.utils._param_validation import StrOptions, validate_params

from hhmm._sequences.ragged import without_padding
from hhmm._sequences.read import MAX_ENTRIES, check_entries, check_same_lengths, read_states

# Up to this size a table with empty rows is faster than sorting the labels first.
_DENSE_TABLE_ENTRIES = 1 << 20


class _Contingency(NamedTuple):
    """Counts of a true and a predicted state at the same timestep."""

    counts: np.ndarray  # (n_true_labels, n_pred_labels) int64
    true_labels: np.ndarray  # (n_true_labels,) those that occur, increasing
    pred_labels: np.ndarray  # (n_pred_labels,) those that occur, increasing


def match_states(y_true: ArrayLike, y_pred: ArrayLike) -> np.ndarray:
    """Find the one-to-one relabelling of `y_pred` that agrees best with `y_true`.

    Parameters
    ----------
    y_true, y_pred : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        States, integers. Timesteps that are negative in either are ignored. One may be 2-D and the
        other a list: then what a row holds after the end of the list's sequence must be padding.

    Returns
    -------
    mapping : ndarray of shape (max(y_pred) + 1,), int64
        ``mapping[k]`` is the label that predicted state k gets, and ``mapping[y_pred]`` is what
        matches `y_true` best, at all timesteps with ``y_pred >= 0`` (index -1, the padding, would
        give the last entry). The predicted states that are left over when there are more of them
        than true ones get the smallest labels that no true state has; after them, labels that
        never occur in `y_pred` get the smallest labels still free. So if `y_true` has states 0 to
        n_true - 1, new labels start at n_true.

    See Also
    --------
    matched_accuracy : The fraction of timesteps that agree after matching.

    Notes
    -----
    The assignment maximises the number of timesteps that agree [1]_. Where several are equally
    good, equal inputs give equal answers.

    References
    ----------
    .. [1] Kuhn, H. W. (1955). The Hungarian method for the assignment problem. Naval Research
       Logistics Quarterly, 2(1-2), 83-97.

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
    *compared, pred = _read_pair(y_true, y_pred)
    contingency = _contingency(*compared)
    n_pred = int(pred.max()) + 1
    check_entries(n_pred, label=n_pred - 1, name="y_pred", result="match_states returns one entry")

    mapping = np.full(n_pred, -1, dtype=np.int64)
    mapping[contingency.pred_labels] = _matched_labels(contingency)
    absent = np.flatnonzero(mapping < 0)
    mapping[absent] = np.setdiff1d(np.arange(n_pred), mapping)[: absent.size]
    return mapping


def matched_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Compute the fraction of timesteps that agree after the best one-to-one relabelling.

    Parameters
    ----------
    y_true, y_pred : array or list of arrays
        States, integers, as for `match_states`.

    Returns
    -------
    accuracy : float
        Between 0 and 1, over the timesteps of all sequences together; one relabelling serves all
        sequences.

    See Also
    --------
    match_states : The relabelling itself.

    Examples
    --------
    >>> from hhmm.metrics import matched_accuracy
    >>> matched_accuracy([0, 0, 1, 1, 1], [1, 1, 0, 0, 1])
    0.8

    Sequences of different lengths, and a timestep whose state is unknown:

    >>> matched_accuracy([[0, 0, -1], [1, 1]], [[1, 1, 1], [0, 1]])
    0.75
    """
    true, pred, _ = _read_pair(y_true, y_pred)
    counts = _contingency(true, pred).counts
    agreeing = counts[linear_sum_assignment(counts, maximize=True)].sum()
    return float(agreeing / counts.sum())


@validate_params(
    {"normalize": [StrOptions({"true", "pred", "all"}), None]}, prefer_skip_nested_validation=True
)
def matched_confusion_matrix(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    normalize: Literal["true", "pred", "all"] | None = None,
) -> np.ndarray:
    """Count pairs of true and predicted states after the best one-to-one relabelling of `y_pred`.

    Parameters
    ----------
    y_true, y_pred : array or list of arrays
        States, integers, as for `match_states`.
    normalize : {"true", "pred", "all"}, default=None
        Whether rows ("true"), columns ("pred") or the whole matrix ("all") sum to 1. A row or
        column without a single timestep stays 0.

    Returns
    -------
    confusion : ndarray of shape (n_labels, n_labels), int64 or float64
        ``confusion[i, j]`` is the number (or the fraction) of timesteps with true state i and
        predicted state j, after matching: the diagonal is agreement. ``n_labels - 1`` is the
        largest label that occurs.

    See Also
    --------
    match_states : The relabelling itself.

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
    true, pred, _ = _read_pair(y_true, y_pred)
    contingency = _contingency(true, pred)
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


def _read_pair(y_true, y_pred):
    """Return the states of both at the timesteps that have a state in both, and all of `y_pred`."""
    true, pred = read_states(y_true, "y_true"), read_states(y_pred, "y_pred")
    if len(true.lengths) == len(pred.lengths) and true.layout.is_array != pred.layout.is_array:
        true, pred = without_padding(true, pred.lengths), without_padding(pred, true.lengths)
    check_same_lengths(pred.lengths, true.lengths, "y_pred", "y_true")
    observed = true.is_observed & pred.is_observed
    if not observed.any():
        raise ValueError(
            "y_true and y_pred must have a state (an integer >= 0) in common timesteps, "
            f"got none in {observed.size} timesteps"
        )
    return true.values[observed], pred.values[observed], pred.values


def _contingency(true, pred):
    """Count pairs of states, (n_compared,) each, without rows and columns of unused labels."""
    n_true, n_pred = int(true.max()) + 1, int(pred.max()) + 1
    if n_true * n_pred <= _DENSE_TABLE_ENTRIES:
        true_labels, pred_labels = np.arange(n_true), np.arange(n_pred)
    else:
        true_labels, true = np.unique(true, return_inverse=True)
        pred_labels, pred = np.unique(pred, return_inverse=True)
    shape = n_true, n_pred = true_labels.size, pred_labels.size
    if n_true * n_pred > MAX_ENTRIES:
        raise ValueError(
            "y_true and y_pred must hold labels of states, got "
            f"{n_true} and {n_pred} different labels"
        )
    counts = np.bincount(true * n_pred + pred, minlength=n_true * n_pred).reshape(shape)
    used = counts.any(axis=1), counts.any(axis=0)
    return _Contingency(counts[np.ix_(*used)], true_labels[used[0]], pred_labels[used[1]])


def _matched_labels(contingency):
    """Return the new label of each of ``contingency.pred_labels``, (n_pred_labels,)."""
    rows, columns = linear_sum_assignment(contingency.counts, maximize=True)
    labels = np.full(contingency.pred_labels.size, -1, dtype=np.int64)
    labels[columns] = contingency.true_labels[rows]
    left_over = np.flatnonzero(labels < 0)
    free = np.setdiff1d(np.arange(labels.size), contingency.true_labels)
    labels[left_over] = free[: left_over.size]
    return labels
