"""Scores and descriptions of state sequences whose labels are arbitrary.

The states of a hidden Markov model have no names: a fit that numbers them
differently from the reference is as good as one that does not. The scores here
therefore compare states after the one-to-one relabelling that makes the two
agree most often. Finding it is the linear assignment problem on the table of
how often a true and a predicted state occur together [1]_, which scipy solves
by shortest augmenting paths [2]_.

Every function takes states in three forms: one sequence as a 1-D array, a 2-D
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

__all__ = [
    "match_states",
    "matched_accuracy",
    "matched_confusion_matrix",
    "state_durations",
    "state_usage",
]

# A result with more entries than this was indexed by something that is no state.
_MAX_ENTRIES = 10_000_000
# Up to this size a table with empty rows is faster than sorting the labels first.
_DENSE_TABLE_ENTRIES = 1 << 20


class _Sequences(NamedTuple):
    """States of several sequences laid end to end."""

    states: np.ndarray  # (n_total_timesteps,) int64, negative where there is none
    lengths: np.ndarray  # (n_sequences,) int64
    padded: bool  # rows of a 2-D array, which may go on after their sequence ended


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
    true, pred = _align(_read(y_true, "y_true"), _read(y_pred, "y_pred"))
    contingency = _contingency(*_compared(true, pred))
    n_pred = int(pred.max()) + 1
    _check_entries(n_pred, label=n_pred - 1, name="y_pred", result="match_states returns one entry")

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
    true, pred = _align(_read(y_true, "y_true"), _read(y_pred, "y_pred"))
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
    if normalize not in (None, "true", "pred", "all"):
        raise ValueError(f"normalize must be 'true', 'pred', 'all' or None, got {normalize!r}")
    true, pred = _align(_read(y_true, "y_true"), _read(y_pred, "y_pred"))
    contingency = _contingency(*_compared(true, pred))
    columns = _matched_labels(contingency)
    n_labels = int(max(contingency.true_labels[-1], columns.max())) + 1
    _check_entries(
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
    sequences = _read(states, "states")
    n_states = _check_n_states(n_states, sequences)
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
    sequences = _read(states, "states")
    n_states = _check_n_states(n_states, sequences)

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


def _read(states, name):
    """Bring one of the three forms of states to `_Sequences`, checked."""
    if not isinstance(states, list | tuple):
        states = _filled(states)
        if states.ndim == 1 and states.dtype == object:
            states = list(states)
    if isinstance(states, list | tuple):
        if len(states) and np.ndim(states[0]) > 0:
            return _read_list(states, name)
        states = _as_array(states, name)

    if states.dtype == object:
        states = _as_array(states.tolist(), name)  # an object array of sequences of equal length
    if states.ndim == 0:
        raise TypeError(
            f"{name} must be an array of integers or a list of 1-D arrays, got a single "
            f"{type(states.item()).__name__}"
        )
    if states.ndim > 2:
        raise ValueError(
            f"{name} must be 1-D, 2-D (n_sequences, n_timesteps) or a list of 1-D arrays, "
            f"got an array of shape {states.shape}"
        )
    if states.shape[0] == 0:
        raise ValueError(f"{name} must hold at least one sequence, got an empty {name}")
    n_sequences, n_timesteps = np.atleast_2d(states).shape
    lengths = np.full(n_sequences, n_timesteps)
    return _Sequences(_integers(states.ravel(), lengths, name), lengths, states.ndim == 2)


def _read_list(sequences, name):
    arrays = [_as_array(sequence, f"{name}: sequence {i}") for i, sequence in enumerate(sequences)]
    for i, array in enumerate(arrays):
        if array.ndim != 1:
            raise ValueError(
                f"{name}: sequence {i} must be a 1-D array, got an array of shape {array.shape}"
            )
    lengths = np.array([array.size for array in arrays], dtype=np.int64)
    # An empty list becomes a float array: left in, it would turn all labels into floats.
    filled = [array for array in arrays if array.size] or [np.empty(0, dtype=np.int64)]
    return _Sequences(_integers(np.concatenate(filled), lengths, name), lengths, False)


def _as_array(values, name):
    """`values` as an array, with an error that names what could not become one."""
    try:
        return _filled(values)
    except ValueError as error:
        raise ValueError(f"{name} must be an array of integers: {error}") from error


def _filled(values):
    """`values` as an array, -1 where a masked array is masked."""
    if isinstance(values, np.ma.MaskedArray):
        # Unsigned integers cannot hold the -1.
        signed = values.astype(np.int64) if values.dtype.kind in "bu" else values
        return signed.filled(-1)
    return np.asarray(values)


def _integers(states, lengths, name):
    """`states` (n_total_timesteps,) as int64, NaN as -1; raises where that would lose something."""
    if states.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold integers, got dtype {states.dtype}")
    if states.dtype.kind == "f":
        missing = np.isnan(states)
        wrong = ~missing & ((states != np.trunc(states)) | np.isinf(states))
        _raise_at_first(wrong, states, lengths, f"{name} must hold integers")
        states = np.where(missing, -1, np.maximum(states, -1))
    if states.dtype.kind in "uf":
        wrong = states >= 2.0**63
        _raise_at_first(wrong, states, lengths, f"{name} must hold integers below 2**63")
    return states.astype(np.int64, copy=False)


def _raise_at_first(wrong, states, lengths, expected):
    """Raise a ValueError that names the first wrong value, its sequence and its timestep."""
    if not wrong.any():
        return
    position = int(np.argmax(wrong))
    ends = np.cumsum(lengths)
    sequence = int(np.searchsorted(ends, position, side="right"))
    timestep = position - int(ends[sequence] - lengths[sequence])
    raise ValueError(
        f"{expected}, got {states[position].item()} in sequence {sequence} at timestep {timestep}"
    )


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
    return _Sequences(states[timesteps <= kept[:, np.newaxis]], kept, False)


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
    if shape[0] * shape[1] > _MAX_ENTRIES:
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


def _check_n_states(n_states, sequences):
    """`n_states`, by default the largest label plus one."""
    largest = int(sequences.states.max(initial=-1))
    if n_states is None:
        if largest < 0:
            raise ValueError(
                "states must hold a state (an integer >= 0) if n_states is None, "
                f"got none in {sequences.states.size} timesteps"
            )
        _check_entries(largest + 1, label=largest, name="states", result="there is one result")
        return largest + 1
    if not isinstance(n_states, numbers.Integral):
        raise TypeError(f"n_states must be an integer >= 1, got {n_states!r}")
    if n_states < 1:
        raise ValueError(f"n_states must be >= 1, got {n_states}")
    _raise_at_first(
        sequences.states >= n_states,
        sequences.states,
        sequences.lengths,
        f"states must hold labels below n_states={n_states}",
    )
    return int(n_states)


def _check_entries(n_entries, *, label, name, result):
    """Refuse to allocate by a label that numbers something else than states."""
    if n_entries > _MAX_ENTRIES:
        raise ValueError(
            f"{result} for each label from 0 to the largest, too many for the label {label} in "
            f"{name}: number the labels 0, 1, ... first, for example with np.unique"
        )
