"""Read what the user gave: X, states, masks and labels.

Every accepted form becomes a `Ragged`: the values of all sequences laid end to end, with the form
of the input, in which results are given back. Missing timesteps become -1.
"""

import warnings
from collections.abc import Sequence
from numbers import Integral

import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils.validation import validate_data

from hhmm._sequences.ragged import MISSING, Layout, Ragged, raise_at_first, to_integers
from hhmm._sequences.run_lengths import BLOCK_TIMESTEPS, RunLengths, find_runs, merge_runs
from hhmm._sequences.runs import quantiles
from hhmm._validation import count_dims, fill_missing, shorten, to_array

# pairs of syllables are numbered in 32 bits
MAX_SYLLABLES = 46_340
# A result with more entries than this was indexed by something that is no state.
MAX_ENTRIES = 10_000_000
# A state that takes a smaller fraction of the timesteps is unused.
UNUSED_BELOW = 0.01
# a sequence with this fraction of its time in one state does not change its state
IN_ONE_STATE = 0.95
# timesteps: syllables that are held so long on average are frames rather than events
LONG_RUN = 3.0
# Shares of labels that never occur above which a fit warns. In simulations a quarter cost nothing,
# a half cost a state.
_MOST_UNUSED = 0.1
_MOST_UNUSED_OF_GIVEN = 0.5
# of the transitions that there would be without gaps; a fit with fewer warns
_FEWEST_TRANSITIONS = 0.5
# transitions of a syllable to itself that must be expected by chance before having none means that
# runs were collapsed
_FEWEST_BY_CHANCE = 5.0
# factor between mean runs from which two data sets differ in form; and runs needed to say so
_OTHER_RUNS = 2.0
_FEWEST_RUNS = 20

_EXPECTED = (
    "a 2-D array of integer syllables of shape (n_sequences, n_timesteps), or a list of 1-D "
    "arrays, one a sequence"
)
_RAVEL = "If it is one sequence, pass [numpy.ravel(X)]"
ENCODE = "Encode labels as 0, 1, ... first, for example by hhmm.preprocessing.SyllableEncoder"
_HINT_OF_MISSING = "Negative values in data, and NaN, mark missing timesteps"
# what to do about what scikit-learn refuses
_ADVICE = {
    "could not convert string": ENCODE,
    "features, but": "A feature is a timestep here: a model fitted to a 2-D array takes 2-D arrays "
    "of as many timesteps. Give sequences of other lengths as a list of 1-D arrays",
}


class DoubtfulDataWarning(UserWarning):
    """The data can be fitted, but most likely they should be brought to another form first."""


def check_runs(estimator, X, *, mask=None, reset):
    """Read X and mask as runs, a few million timesteps at a time.

    Parameters
    ----------
    estimator : EfficientHHMM
        Gets ``n_features_in_`` where `reset` and X is 2-D; else X must have as many columns.
    X : 2-D array-like of shape (n_sequences, n_timesteps), or sequence of 1-D array-likes
        Items that have ``read_runs``, as those of `hhmm.datasets.open_recordings` do, are read by
        it.
    mask : array-like of bool of the shape of X, optional
        False marks a missing timestep; 2-D X only.
    reset : bool
        True in fit.

    Returns
    -------
    sequences : RunLengths
        Labels are -1 where missing; each sequence ends at its last observed timestep.
    """
    X = open_series(X)
    if is_list_of_sequences(X):
        _check_list(estimator, X, mask, reset)
        is_array = False
        rows = ((row, None) for row in _read_rows(X, "X", ValueError, f". {ENCODE}"))
    else:
        values, missing = _read_array(estimator, X, mask, reset)
        missing = [None] * len(values) if missing is None else missing
        is_array, rows = True, zip(values, missing, strict=True)
    *runs, lengths = _find_runs_of_rows(rows, "X", "an integer syllable", _HINT_OF_MISSING)
    return RunLengths(*runs, Layout(is_array, lengths)).without_end()


def _find_runs_of_rows(rows, name, expected="an integer", hint=""):
    """Find the runs of sequences, a few million timesteps at a time.

    Parameters
    ----------
    rows : iterable of (row, hidden)
        A sequence of numbers, or an object with ``read_runs``; and which timesteps are missing, or
        None.
    name, expected, hint : str
        For errors.

    Returns
    -------
    labels, n_timesteps : (n_runs,) int32
    n_runs, lengths : (n_sequences,) int64
    """
    tables, batch, lengths, n_in_batch = [], [], [], 0

    def close_batch():
        nonlocal batch, n_in_batch
        tables.append(_runs_of(batch, name, expected, hint))
        batch, n_in_batch = [], 0

    for i, (row, is_missing) in enumerate(rows):
        if hasattr(row, "read_runs"):
            labels, n_timesteps = row.read_runs()
            close_batch()
            tables.append((labels, n_timesteps, np.full(len(labels), i)))
            lengths.append(int(n_timesteps.sum(dtype=np.int64)))
            continue
        lengths.append(len(row))
        for first in range(0, len(row), BLOCK_TIMESTEPS):
            piece = slice(first, first + BLOCK_TIMESTEPS)
            hidden = None if is_missing is None else is_missing[piece]
            batch.append((i, first, row[piece], hidden))
            n_in_batch += len(row[piece])
            if n_in_batch >= BLOCK_TIMESTEPS:
                close_batch()
    close_batch()
    labels, n_timesteps, of_sequences = map(np.concatenate, zip(*tables, strict=True))
    # a run may go on in the next piece
    joins = np.append(False, (labels[1:] == labels[:-1]) & (np.diff(of_sequences) == 0))
    joins = joins[: len(labels)]
    labels, n_timesteps = merge_runs(labels, n_timesteps, joins)
    n_runs = np.bincount(of_sequences[~joins], minlength=len(lengths))
    return labels, n_timesteps, n_runs, np.array(lengths, np.int64)


def _runs_of(pieces, name, expected, hint):
    """Find the runs of pieces of sequences: labels, timesteps, and the sequence of each run.

    Parameters
    ----------
    pieces : list of (sequence, first timestep, values, is_missing or None)
    name, expected, hint : str
        For errors.
    """
    if not pieces:
        return (np.zeros(0, np.int32),) * 2 + (np.zeros(0, np.int64),)
    sequence, first, values, hidden = zip(*pieces, strict=True)
    lengths = np.array([len(x) for x in values])
    ends = np.cumsum(lengths)

    def locate(position):
        piece = int(np.searchsorted(ends, position, side="right"))
        timestep = first[piece] + position - (ends[piece] - lengths[piece])
        return f"{name}, sequence {sequence[piece]}, timestep {timestep}"

    codes = to_integers(np.concatenate(values), np.int32, locate, expected=expected, hint=hint)
    if hidden[0] is not None:
        codes[np.concatenate(hidden)] = MISSING
    labels, n_timesteps, n_runs = find_runs(codes, lengths)
    return labels, n_timesteps, np.repeat(sequence, n_runs)


def check_sequences(estimator, X, *, mask=None, reset):
    """Read X and mask as `Ragged`, one label a timestep; see `check_runs`."""
    runs = check_runs(estimator, X, mask=mask, reset=reset)
    return Ragged(np.repeat(runs.labels, runs.n_timesteps), runs.lengths, runs.layout)


def _check_list(estimator, X, mask, reset):
    """Check that a list can be one of sequences."""
    if mask is not None:
        raise ValueError(
            "mask goes with a 2-D X only, but X is a list of sequences. Write missing "
            "timesteps into the sequences as -1 or NaN instead"
        )
    if reset:
        forget_columns(estimator)
    if not len(X):
        raise ValueError("X must hold at least one sequence, got an empty X")
    if count_dims(X[0]) == 0:
        raise ValueError(
            f"X must be {_EXPECTED}, got a list of {len(X)} single values. Reshape your data: "
            "wrap a single sequence as [X]"
        )


def open_series(X):
    """Return a pandas Series as an array, and refuse a string."""
    if isinstance(X, (str, bytes)):
        raise ValueError(f"X must be {_EXPECTED}, got a string: {shorten(X)}")
    is_series = getattr(X, "ndim", None) == 1 and hasattr(X, "to_numpy")
    return X.to_numpy() if is_series else X


def is_list_of_sequences(X):
    """Return whether X is a list, a tuple, or a 1-D object array of sequences."""
    if isinstance(X, np.ndarray) and not isinstance(X, np.ma.MaskedArray):
        return X.dtype == object and X.ndim == 1 and X.size > 0 and count_dims(X[0]) > 0
    return isinstance(X, Sequence)


def forget_columns(estimator):
    """Forget what an earlier fit on an array set: a list has no number of features."""
    vars(estimator).pop("n_features_in_", None)
    vars(estimator).pop("feature_names_in_", None)


def check_2d(X, expected=_EXPECTED):
    """Raise ValueError where X is not 2-D."""
    shape = tuple(X.shape if hasattr(X, "shape") else to_array(X, f"X must be {expected}").shape)
    if len(shape) != 2:
        got = f"{len(shape)}-D data of shape {shape}" if shape else type(X).__name__
        advice = (
            ". Reshape your data: wrap a single sequence as [X], or as X.reshape(1, -1)"
            if len(shape) == 1
            else ""
        )
        raise ValueError(f"X must be {expected}, got {got}{advice}")


def _read_array(estimator, X, mask, reset):
    """Return a 2-D X, and which of its timesteps are missing."""
    check_2d(X)
    missing = np.ma.getmaskarray(X) if isinstance(X, np.ma.MaskedArray) else None
    values = numeric_array(estimator, X if missing is None else X.filled(0), reset=reset)
    if mask is not None:
        expectation = "mask must be boolean, True where the timestep is observed"
        mask = to_array(mask, expectation)
        if mask.shape != values.shape:
            raise ValueError(f"mask has shape {mask.shape}, but X has shape {values.shape}")
        if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
            raise ValueError(f"{expectation}, got {shorten(mask)}")
        hidden = ~mask.astype(bool)
        missing = hidden if missing is None else missing | hidden
    if missing is not None:
        values = np.where(missing, values.dtype.type(0), values)
    return values, missing


def numeric_array(estimator, X, *, reset=True):
    """Return X as a 2-D array of numbers, by scikit-learn, which keeps the names of columns."""
    if getattr(getattr(X, "dtype", None), "kind", None) in ("U", "S"):
        raise ValueError(f"X must hold integer syllables, got strings: {shorten(X)}. {ENCODE}")
    if isinstance(X, np.ndarray):
        X = fill_missing(X, np.nan)
    elif hasattr(X, "select_dtypes") and X.select_dtypes(["object", "string"]).shape[1]:
        # a pandas DataFrame; scikit-learn fails on NA
        X = X.astype(object).where(X.notna(), np.nan)
    try:
        return validate_data(estimator, X, reset=reset, dtype="numeric", ensure_all_finite=False)
    except OverflowError as error:
        raise ValueError(f"X must be {_EXPECTED}, got {shorten(X)}: {error}") from error
    except ValueError as error:
        for reason, advice in _ADVICE.items():
            if reason in str(error):
                raise ValueError(f"{str(error).rstrip('.')}. {advice}") from error
        raise


def read_states(states, name, dtype=np.int64):
    """Return states as `Ragged` of integers, negative where there is none."""
    ragged = read_values(states, name)
    return ragged._replace(values=to_integers(ragged.values, dtype, ragged.locator(name)))


def read_runs(states, name):
    """Return states as `RunLengths`, -1 where there is none; those in files are read one by one."""
    rows, is_array = _open_values(states, name)
    if isinstance(rows, np.ndarray):
        ragged = _of_array(rows, is_array)
        codes = to_integers(ragged.values, np.int32, ragged.locator(name))
        return RunLengths(*find_runs(codes, ragged.lengths), ragged.layout)
    *runs, lengths = _find_runs_of_rows(((row, None) for row in rows), name)
    return RunLengths(*runs, Layout(False, lengths))


def read_values(values, name, *, n_axes=1, missing=MISSING, error=TypeError, hint=""):
    """Return numbers in any of three forms as `Ragged`.

    Parameters
    ----------
    values : array, or list of arrays
        One sequence, of `n_axes` axes; all sequences, with one more; or a list of sequences.
    name : str
        Name of the argument, for errors.
    n_axes : int
    missing : scalar
        Value of what is masked, None, NaN in an array of objects, or pandas' missing values.
    error, hint
        Class and end of the error about what are no numbers.
    """
    rows, is_array = _open_values(values, name, n_axes, missing, error, hint)
    if isinstance(rows, np.ndarray):
        return _of_array(rows, is_array)
    rows = [np.asarray(row) for row in rows]
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    # An empty list becomes a float array: left in, it would turn all labels into floats.
    dtype = np.int64 if n_axes == 1 else rows[0].dtype
    filled = [row for row in rows if len(row)] or [np.empty((0, *rows[0].shape[1:]), dtype)]
    if len({row.shape[1:] for row in filled}) > 1:
        shapes = sorted({row.shape[1:] for row in filled})
        raise ValueError(f"{name} must have as many columns in all sequences, got {shapes}")
    return Ragged(np.concatenate(filled), lengths, Layout(False, lengths))


def _of_array(rows, is_array):
    """Return an array of shape (n_sequences, n_timesteps, ...) as `Ragged`."""
    lengths = np.full(len(rows), rows.shape[1])
    return Ragged(rows.reshape(-1, *rows.shape[2:]), lengths, Layout(is_array, lengths))


def _open_values(values, name, n_axes=1, missing=MISSING, error=TypeError, hint=""):
    """Return an iterable of sequences, and whether they are the rows of an array.

    See `read_values` for the arguments. Of a list, sequences are read one by one; those in files
    are left to the caller. An array is returned with a first axis of sequences.
    """
    if not isinstance(values, Sequence):
        values = as_array(values, name, missing)
        if values.ndim == 1 and values.dtype == object:
            values = list(values)  # of sequences
    if isinstance(values, Sequence) and len(values) and count_dims(values[0]) >= n_axes:
        return _read_rows(values, name, error, hint, n_axes, missing), False
    values = as_array(values, name, missing)
    if values.ndim == 0:
        raise TypeError(
            f"{name} must be an array or a list of arrays, got a single "
            f"{type(values.item()).__name__}"
        )
    if len(values) == 0:
        raise ValueError(f"{name} must hold at least one sequence, got an empty {name}")
    if values.ndim not in (n_axes, n_axes + 1):
        raise ValueError(
            f"{name} must be {n_axes}-D, {n_axes + 1}-D (n_sequences, n_timesteps, ...) or a list "
            f"of {n_axes}-D arrays, got an array of shape {values.shape}"
        )
    _check_kind(values, name, error, hint)
    is_array = values.ndim > n_axes
    return values if is_array else values[np.newaxis], is_array


def _read_rows(rows, name, error, hint, n_axes=1, missing=MISSING):
    """Yield the sequences of a list as arrays of numbers, and those in files as they are."""
    for i, row in enumerate(rows):
        if hasattr(row, "read_runs"):
            yield row
        else:
            yield _read_row(row, f"{name}, sequence {i}", error, hint, n_axes, missing)


def _read_row(row, name, error, hint, n_axes=1, missing=MISSING):
    """Return one sequence of a list as an array of numbers."""
    row = as_array(as_row(row, name, n_axes), name, missing)
    _check_kind(row, name, error, hint)
    return row


def _check_kind(values, name, error, hint):
    if values.dtype.kind not in "biuf" and values.size:
        raise error(
            f"{name} must hold integers, got {shorten(values)} of dtype {values.dtype}{hint}"
        )


def as_row(row, name, n_axes=1):
    """Return one sequence of a list as an array, masked where it was."""
    if hasattr(row, "toarray"):
        raise TypeError(f"{name} is sparse. Pass its toarray()")
    array = to_array(row, f"{name} must be a {n_axes}-D array")
    if array.ndim != n_axes:
        got = f"shape {array.shape}" if array.ndim else shorten(row)
        raise ValueError(f"{name} must be a {n_axes}-D array, got {got}")
    return row if isinstance(row, np.ma.MaskedArray) else array


def as_array(values, name, missing=MISSING):
    """Return an array of numbers, with `missing` where an entry is masked or missing."""
    if isinstance(values, np.ma.MaskedArray):
        # Unsigned integers cannot hold the -1.
        signed = values.astype(np.int64) if values.dtype.kind in "bu" else values
        return signed.filled(missing)
    array = to_array(values, f"{name} must be an array of numbers")
    if array.dtype == object and array.ndim and array.size and count_dims(array.flat[0]) == 0:
        # a list of plain Python numbers has their type
        plain = np.array(fill_missing(array, missing).tolist())
        return plain if plain.dtype.kind in "biuf" else array
    return array


def check_labels(sequences, n_syllables, *, origin):
    """Raise ValueError where a label of `RunLengths` is too large; `origin` says for what."""
    labels = sequences.labels
    if labels.max(initial=-1) >= n_syllables:
        run = int(np.argmax(labels >= n_syllables))
        _, place = sequences.locate(run, "X").split(", ", 1)
        raise ValueError(
            f"X contains syllable {labels[run]} ({place}), but {origin}: "
            f"labels must be 0 to {n_syllables - 1}, or negative or NaN where missing"
        )


def check_states(states, layout, lengths, n_states, *, name):
    """Return initial states, of the given name, that fit X.

    Parameters
    ----------
    states : array-like or list of array-likes, in the form of X
    layout : Layout
    lengths : list of int
        Timesteps of each sequence up to its last observed one.
    n_states : int
    name : str

    Returns
    -------
    states : list of 1-D int32 arrays of `lengths`
    """
    ragged = read_states(states, name)
    check_same_lengths(ragged.lengths, layout.n_timesteps, name, "X")
    ragged = ragged.cut(np.asarray(lengths))
    raise_at_first(
        (ragged.values < 0) | (ragged.values >= n_states),
        ragged.values,
        ragged.locator(name),
        f"a state from 0 to {n_states - 1}, also where the syllable is missing",
    )
    return ragged._replace(values=ragged.values.astype(np.int32)).sequences


def check_same_lengths(lengths, expected, name, other):
    """Raise ValueError where two arguments differ in sequences or timesteps."""
    if len(lengths) != len(expected):
        raise ValueError(
            f"{name} has {len(lengths)} sequence(s), but {other} has {len(expected)} sequence(s)"
        )
    different = np.flatnonzero(lengths != expected)
    if different.size:
        i = different[0]
        raise ValueError(
            f"{name}, sequence {i} has {lengths[i]} timestep(s), but {other} has {expected[i]}"
        )


def check_n_states(n_states, states):
    """Return `n_states`, by default the largest label of `RunLengths` plus one."""
    labels = states.labels
    if n_states is None:
        largest = int(labels.max(initial=-1))
        if largest < 0:
            raise ValueError(
                "states must hold a state (an integer >= 0) if n_states is None, "
                f"got none in {states.n_timesteps.sum(dtype=np.int64)} timesteps"
            )
        check_entries(largest + 1, label=largest, name="states", result="there is one result")
        return largest + 1
    check_scalar(n_states, "n_states", Integral, min_val=1, max_val=MAX_ENTRIES)
    raise_at_first(
        labels >= n_states,
        labels,
        lambda run: states.locate(run, "states"),
        f"a state below n_states={n_states}",
    )
    return int(n_states)


def check_entries(n_entries, *, label, name, result):
    """Refuse to allocate by a label that numbers something else than states."""
    if n_entries > MAX_ENTRIES:
        raise ValueError(
            f"{result} for each label from 0 to the largest, too many for the label {label} in "
            f"{name}. Number the labels 0, 1, ... first, for example with np.unique"
        )


def check_fit_data(checked, n_syllables, n_states):
    """Check that there is enough to fit, and that labels are below `n_syllables`.

    Parameters
    ----------
    checked : RunLengths
    n_syllables : int or None
        None takes the largest label plus one.
    n_states : int

    Returns
    -------
    n_syllables : int
    empty : ndarray of int
        Indices of the sequences without an observed timestep.
    """
    lengths = checked.lengths
    check_observed(checked.labels, len(lengths))
    if n_syllables is None:
        largest = int(checked.labels.max())
        if largest >= MAX_SYLLABLES:
            raise ValueError(
                f"X contains syllable {largest}: expected labels below {MAX_SYLLABLES}. {ENCODE}"
            )
        n_syllables = largest + 1
    else:
        check_labels(checked, n_syllables, origin=f"n_syllables is {n_syllables}")
    if n_states > lengths.sum():
        raise ValueError(f"n_states={n_states} is more than the {lengths.sum()} timesteps of X")
    if not count_transitions(checked).any():
        is_array, n_timesteps = checked.layout
        form = f" (n_features={n_timesteps[0]})" if is_array else ""
        advice = f" {_RAVEL}" if lengths.max() == 1 and len(lengths) > 1 else ""
        reason = (
            "every sequence has a single timestep"
            if lengths.max() == 1
            else "no two observed in a row"
        )
        raise ValueError(
            f"X has no observed transition{form}: {reason}. At least one sequence must have two "
            f"observed timesteps in a row.{advice}"
        )
    return int(n_syllables), np.flatnonzero(lengths == 0)


def check_observed(labels, n_sequences):
    """Raise ValueError where all labels of X are missing."""
    if not (labels >= 0).any():
        raise ValueError(
            f"X has {n_sequences} sequence(s) and not one observed timestep: all is missing"
        )


def count_transitions(sequences, *, self_transitions=True):
    """Count the observed transitions of each sequence of `RunLengths`, (n_sequences,).

    Transitions of a syllable to itself are left out unless `self_transitions`.
    """
    observed = sequences.labels >= 0
    counts = sequences.follows & observed
    counts[1:] &= observed[:-1]
    if self_transitions:
        counts = counts + np.where(observed, sequences.n_timesteps - 1, 0)
    return sequences.sum_by_sequence(counts)


def mean_run_length(sequences):
    """Return the mean number of timesteps that a syllable is held; NaN if nothing is observed."""
    observed = sequences.labels >= 0
    n_timesteps = sequences.n_timesteps[observed]
    return n_timesteps.sum(dtype=np.int64) / len(n_timesteps) if len(n_timesteps) else np.nan


def _is_collapsed(sequences):
    """Return whether no syllable follows itself, where some would by chance."""
    if mean_run_length(sequences) != 1:
        return False
    n_used = np.bincount(sequences.labels[sequences.labels >= 0])
    by_chance = np.sum((n_used / n_used.sum()) ** 2) * count_transitions(sequences).sum()
    return by_chance >= _FEWEST_BY_CHANCE


def resolve_self_transitions(self_transitions, sequences):
    """Decide whether a syllable that follows itself is an emission: ``"auto"`` by the data.

    Parameters
    ----------
    self_transitions : bool or "auto"
    sequences : RunLengths
        With an observed transition.

    Returns
    -------
    self_transitions : bool

    Raises
    ------
    ValueError
        If it is False and the syllable never changes.
    """
    has_changes = count_transitions(sequences, self_transitions=False).any()
    if self_transitions == "auto":
        return not has_changes or not (
            mean_run_length(sequences) >= LONG_RUN or _is_collapsed(sequences)
        )
    if not self_transitions and not has_changes:
        raise ValueError(
            "X has no observed change of syllable: self_transitions=False models changes alone. "
            "At least one sequence must have two different syllables in a row"
        )
    return bool(self_transitions)


def warn_of_column(checked, *, stacklevel):
    """Warn of one sequence given as a column: as sequences of one timestep, it says nothing."""
    n_sequences = len(checked.n_runs)
    if n_sequences > 1 and (checked.layout.n_timesteps == 1).all():
        warnings.warn(
            f"X is {n_sequences} sequences of one timestep each, without a transition, so the "
            f"results follow from the model alone. {_RAVEL}",
            UserWarning,
            stacklevel=stacklevel,
        )


def describe_doubtful_data(checked, n_syllables, empty, *, is_given, self_transitions):
    """Return warnings about data that can be fitted, but most likely not as they are.

    Parameters
    ----------
    checked : RunLengths
    n_syllables : int
    empty : ndarray of int
        Indices of the sequences without an observed timestep.
    is_given : bool
        Whether the user gave `n_syllables`, perhaps for labels of other data.
    self_transitions : bool
        Of the model that is fitted.

    Returns
    -------
    messages : list of str
    """
    n_sequences, labels = len(checked.n_runs), checked.labels
    messages = []
    if len(empty):
        shown = ", ".join(map(str, empty[:10])) + (", ..." if len(empty) > 10 else "")
        messages.append(
            f"{len(empty)} of {n_sequences} sequences have no observed timestep and are left "
            f"out of the fit: index {shown}"
        )
    occurs = np.zeros(n_syllables, bool)
    occurs[labels[labels >= 0]] = True
    n_unused = n_syllables - int(occurs.sum())
    if n_unused > n_syllables * (_MOST_UNUSED_OF_GIVEN if is_given else _MOST_UNUSED):
        messages.append(
            f"{n_unused} of the {n_syllables} labels 0 to {n_syllables - 1} never occur in X. The "
            "model reserves probability for each of them, and can miss states because of that. "
            "Number the labels that occur with hhmm.preprocessing.SyllableEncoder"
        )
    n_observed = _count_observed(checked)
    n_possible = n_observed - (n_sequences - len(empty))
    n_transitions = int(count_transitions(checked).sum())
    if n_transitions < _FEWEST_TRANSITIONS * n_possible:
        messages.append(
            f"X has {n_observed:,} observed timesteps but {n_transitions:,} observed "
            "transition(s). The states are inferred from transitions, which need two observed "
            f"timesteps in a row; without gaps there would be {n_possible:,}. If each label is an "
            "event, leave out the missing timesteps between events, so that each event is one "
            "timestep"
        )
    mean_run = mean_run_length(checked)
    has_changes = count_transitions(checked, self_transitions=False).any()
    if self_transitions and has_changes and mean_run >= LONG_RUN:
        messages.append(
            f"Syllables are held for {mean_run:.1f} timesteps on average. With "
            "self_transitions=True, states then explain how long syllables are held instead of "
            "which syllables are used. Fit with self_transitions=False"
        )
    return messages


def _count_observed(sequences):
    """Count the observed timesteps of `RunLengths`."""
    return int(sequences.n_timesteps[sequences.labels >= 0].sum(dtype=np.int64))


def warn_of_other_runs(checked, mean_run, self_transitions, *, stacklevel):
    """Warn where syllables are held much longer, or shorter, than in the data of the fit.

    A model that was made from parameters has no such data: it warns where syllables are held and
    it has self-transitions.

    Parameters
    ----------
    checked : RunLengths
    mean_run : float or None
        Mean number of timesteps that a syllable was held in the data of the fit, None if unknown.
    self_transitions : bool
        Whether the model takes a syllable that follows itself as an emission.
    """
    n_observed = _count_observed(checked)
    here = mean_run_length(checked)
    if not n_observed >= _FEWEST_RUNS * here:  # NaN where there are none
        return
    if mean_run is None:
        if self_transitions and here >= LONG_RUN:
            warnings.warn(
                f"Syllables of X are held for {here:.1f} timesteps on average, and this model "
                "takes each of these timesteps as an emission. If that is wrong, give "
                "self_transitions=False to from_params, or fit with it",
                DoubtfulDataWarning,
                stacklevel=stacklevel,
            )
        return
    if not 1 / _OTHER_RUNS <= here / mean_run <= _OTHER_RUNS:
        warnings.warn(
            f"Syllables of X are held for {here:.1f} timesteps on average, those of the training "
            f"data for {mean_run:.1f}. Bring X to the form that the training data had: the same "
            "frame rate, and runs of equal syllables collapsed or not as there",
            DoubtfulDataWarning,
            stacklevel=stacklevel,
        )


def check_holding_times(holding_times, n_syllables):
    """Check holding times given by the user; return a table like that of `runs.holding_times`."""
    expected = (
        "holding_times must be numbers of timesteps: one array for all syllables, or a list of "
        f"{n_syllables} arrays, one a syllable"
    )
    try:
        nested = len(holding_times) > 0 and all(np.ndim(row) == 1 for row in holding_times)
    except TypeError:
        raise ValueError(f"{expected}; got {shorten(holding_times)}") from None
    rows = list(holding_times) if nested else [holding_times] * n_syllables
    if len(rows) != n_syllables:
        raise ValueError(f"{expected}; got {len(rows)} arrays")
    rows = [to_array(row, expected, np.float64).reshape(-1) for row in rows]
    for i, row in enumerate(rows):
        if not len(row) or not (np.isfinite(row) & (row >= 1) & (row == np.round(row))).all():
            of_syllable = f" for syllable {i}" if nested else ""
            raise ValueError(f"{expected}, each an integer >= 1; got {shorten(row)}{of_syllable}")
    return quantiles(rows)


def find_unused(usage):
    """Find the states that take less than 1% of the time, or none.

    Parameters
    ----------
    usage : ndarray of shape (n_states,)
        Time in each state, as a fraction or in any other unit.

    Returns
    -------
    unused : ndarray of shape (n_states,), bool
        Where every state takes less than 1%, as more than 100 states can, those without any time.
    """
    total = np.sum(usage)
    unused = usage < UNUSED_BELOW * total
    return (usage == 0) & (total > 0) if unused.all() else unused


def in_one_state(time):
    """Find the sequences that are in one state for 95% of their time or more.

    Parameters
    ----------
    time : ndarray of shape (n_sequences, n_states)
        Time of each sequence in each state, in any unit.

    Returns
    -------
    in_one : ndarray of shape (n_sequences,), bool
        False for a sequence without any time.
    """
    total = time.sum(axis=1)
    return (total > 0) & (time.max(axis=1) >= IN_ONE_STATE * total)
