"""Read what the user gave: X, states, masks and labels."""

import numbers
import warnings
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import validate_data

from hhmm._sequences.runs import quantiles
from hhmm._validation import as_objects, count_dims, fill_missing, shorten, to_array

MISSING = -1


# pairs of syllables are numbered in 32 bits
MAX_SYLLABLES = 46_340


_LARGEST_LABEL = np.iinfo(np.int32).max - 1


# Shares of labels that never occur above which a fit warns. In simulations a quarter cost nothing,
# a half cost a state.
_MOST_UNUSED = 0.1


_MOST_UNUSED_OF_GIVEN = 0.5


_RAVEL = "If it is one sequence, pass [numpy.ravel(X)]"


# of the transitions that there would be without gaps; a fit with fewer warns
_FEWEST_TRANSITIONS = 0.5


# timesteps: syllables that are held so long on average are frames rather than events
LONG_RUN = 3.0


# transitions of a syllable to itself that must be expected by chance before having none means that
# runs were collapsed
_FEWEST_BY_CHANCE = 5.0


# factor between mean runs from which two data sets differ in form; and runs needed to say so
_OTHER_RUNS = 2.0


_FEWEST_RUNS = 20


class DoubtfulDataWarning(UserWarning):
    """The data can be fitted, but most likely they should be brought to another form first."""


class Layout(NamedTuple):
    """The form of the input."""

    is_array: bool  # True: 2-D array (n_sequences, n_timesteps); False: list
    n_timesteps: np.ndarray  # (n_sequences,) int64, before trailing missing timesteps are cut


class Checked(NamedTuple):
    """Checked input."""

    sequences: list  # 1-D int32 arrays, -1 where missing, ending at the last observed timestep
    layout: Layout


def check_sequences(estimator, X, *, mask=None, reset):
    """Check X and mask, and bring them to a list of sequences.

    Parameters
    ----------
    estimator : EfficientHHMM
        Gets ``n_features_in_`` where `reset` and X is 2-D; is held to it otherwise.
    X : 2-D array-like of shape (n_sequences, n_timesteps), or list of 1-D array-likes
    mask : array-like of bool of the shape of X, optional
        False marks a missing timestep; 2-D X only.
    reset : bool
        True in fit.

    Returns
    -------
    checked : Checked
    """
    if isinstance(X, (str, bytes)):
        raise ValueError(f"X must be {_EXPECTED}, got a string: {shorten(X)}")
    if getattr(X, "ndim", None) == 1 and hasattr(X, "to_numpy"):
        X = X.to_numpy()  # a pandas Series, one sequence an item
    if is_list_of_sequences(X):
        if mask is not None:
            raise ValueError(
                "mask goes with a 2-D X only; X is a list of sequences. Write missing timesteps "
                "into the sequences as -1 or NaN instead"
            )
        if reset:
            # a list has no number of features: forget what an earlier fit on an array set
            vars(estimator).pop("n_features_in_", None)
            vars(estimator).pop("feature_names_in_", None)
        return _check_list(X)
    return _check_array(estimator, X, mask, reset)


def check_labels(sequences, n_syllables, *, origin):
    """Raise ValueError where a label is `n_syllables` or more; `origin` says what set that."""
    for i, sequence in enumerate(sequences):
        if sequence.size and sequence.max() >= n_syllables:
            t = int(np.argmax(sequence >= n_syllables))
            raise ValueError(
                f"X contains syllable {sequence[t]} (sequence {i}, timestep {t}), but {origin}: "
                f"labels must be 0 to {n_syllables - 1}, or negative or NaN where missing"
            )


def check_fit_data(checked, n_syllables, n_states):
    """Check that there is enough to fit, and that labels are below `n_syllables`.

    Parameters
    ----------
    checked : Checked
    n_syllables : int or None
        None takes the largest label plus one.
    n_states : int

    Returns
    -------
    n_syllables : int
    empty : ndarray of int
        Indices of the sequences without an observed timestep.
    """
    sequences = checked.sequences
    lengths = np.array([len(sequence) for sequence in sequences])
    if not lengths.any():
        raise ValueError(
            f"X has {len(lengths)} sequence(s) and not one observed timestep: all is missing"
        )
    if n_syllables is None:
        largest = max(int(sequence.max()) for sequence in sequences if len(sequence))
        if largest >= MAX_SYLLABLES:
            raise ValueError(
                f"X contains syllable {largest}: expected labels below {MAX_SYLLABLES}. {_ENCODE}"
            )
        n_syllables = largest + 1
    else:
        check_labels(sequences, n_syllables, origin=f"n_syllables is {n_syllables}")
    if n_states > lengths.sum():
        raise ValueError(f"n_states={n_states} is more than the {lengths.sum()} timesteps of X")
    if not count_transitions(sequences).any():
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


def count_transitions(sequences, *, self_transitions=True):
    """Number of observed transitions of each sequence, (n_sequences,); without those to itself."""

    def count(before, after):
        observed = (before >= 0) & (after >= 0)
        return np.count_nonzero(observed if self_transitions else observed & (before != after))

    return np.array([count(x[:-1], x[1:]) for x in sequences])


def mean_run_length(sequences):
    """Mean number of timesteps that a syllable is held; NaN where nothing is observed."""
    n_observed = sum(int(np.count_nonzero(x >= 0)) for x in sequences)
    n_held = sum(int(np.count_nonzero((x[1:] == x[:-1]) & (x[1:] >= 0))) for x in sequences)
    return n_observed / (n_observed - n_held) if n_observed else np.nan


def _is_collapsed(sequences):
    """Whether no syllable follows itself, where some would by chance."""
    n_used = np.bincount(np.concatenate([x[x >= 0] for x in sequences]))
    by_chance = np.sum((n_used / n_used.sum()) ** 2) * count_transitions(sequences).sum()
    return mean_run_length(sequences) == 1 and by_chance >= _FEWEST_BY_CHANCE


def resolve_self_transitions(self_transitions, sequences):
    """Whether a syllable that follows itself is an emission; decides ``"auto"`` by the data.

    Parameters
    ----------
    self_transitions : bool or "auto"
    sequences : list of 1-D int32 arrays
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
    n_sequences = len(checked.sequences)
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
    checked : Checked
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
    sequences = checked.sequences
    messages = []
    if len(empty):
        shown = ", ".join(map(str, empty[:10])) + (", ..." if len(empty) > 10 else "")
        messages.append(
            f"{len(empty)} of {len(sequences)} sequences have no observed timestep and are left "
            f"out of the fit: index {shown}"
        )
    occurs = np.zeros(n_syllables + 1, bool)
    for sequence in sequences:
        occurs[sequence] = True  # a missing timestep, -1, is the last entry
    n_unused = n_syllables - int(occurs[:-1].sum())
    if n_unused > n_syllables * (_MOST_UNUSED_OF_GIVEN if is_given else _MOST_UNUSED):
        messages.append(
            f"{n_unused} of the {n_syllables} labels 0 to {n_syllables - 1} never occur in X. The "
            "model reserves probability for each of them, and can miss states because of that. "
            "Number the labels that occur with hhmm.preprocessing.SyllableEncoder"
        )
    n_observed = sum(np.count_nonzero(x >= 0) for x in sequences)
    n_possible = n_observed - (len(sequences) - len(empty))
    n_transitions = int(count_transitions(sequences).sum())
    if n_transitions < _FEWEST_TRANSITIONS * n_possible:
        messages.append(
            f"X has {n_observed:,} observed timesteps but {n_transitions:,} observed "
            "transition(s). The states are inferred from transitions, which need two observed "
            f"timesteps in a row; without gaps there would be {n_possible:,}. If each label is an "
            "event, leave out the missing timesteps between events, so that each event is one "
            "timestep"
        )
    mean_run = mean_run_length(sequences)
    has_changes = count_transitions(sequences, self_transitions=False).any()
    if self_transitions and has_changes and mean_run >= LONG_RUN:
        messages.append(
            f"Syllables are held for {mean_run:.1f} timesteps on average. With "
            "self_transitions=True, states come to explain how long syllables are held instead of "
            "which syllables are used. Fit with self_transitions=False"
        )
    return messages


def warn_of_other_runs(checked, mean_run, self_transitions, *, stacklevel):
    """Warn where syllables are held much longer, or shorter, than in the data of the fit.

    A model that was made from parameters has no such data: it warns where syllables are held and
    it has self-transitions.

    Parameters
    ----------
    checked : Checked
    mean_run : float or None
        Mean number of timesteps that a syllable was held in the data of the fit, None if unknown.
    self_transitions : bool
        Whether the model takes a syllable that follows itself as an emission.
    """
    n_observed = sum(int(np.count_nonzero(x >= 0)) for x in checked.sequences)
    here = mean_run_length(checked.sequences)
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


def check_states(states, layout, lengths, n_states, *, name):
    """Check initial states, of the given name, against the form of X.

    Returns
    -------
    states : list of 1-D int32 arrays, of the `lengths` of the packed sequences
    """
    expected = layout.n_timesteps
    if isinstance(states, np.ndarray) and states.ndim == 2 and states.dtype != object:
        rows = list(states)
    else:
        expectation = f"{name} must hold one state a timestep"
        rows = [to_array(row, f"{expectation}: sequence {i}") for i, row in enumerate(states)]
    if len(rows) != len(expected):
        raise ValueError(
            f"{name} has states for {len(rows)} sequences, but X has {len(expected)} sequences"
        )
    checked = []
    for i, (row, n_timesteps, length) in enumerate(zip(rows, expected, lengths, strict=True)):
        if row.shape != (n_timesteps,):
            raise ValueError(
                f"{name} must hold one state a timestep: sequence {i} of X has shape "
                f"({n_timesteps},), its states have shape {row.shape}"
            )
        row = _to_integers(row[:length], f"{name}, sequence {i}", what="states")
        if length and (row.min() < 0 or row.max() >= n_states):
            t = int(np.argmax((row < 0) | (row >= n_states)))
            raise ValueError(
                f"{name} holds state {row[t]} (sequence {i}, timestep {t}): expected states "
                f"0 to {n_states - 1}, also where the syllable is missing"
            )
        checked.append(row)
    return checked


_EXPECTED = (
    "a 2-D array of integer syllables of shape (n_sequences, n_timesteps), "
    "or a list of 1-D arrays, one a sequence"
)


def is_list_of_sequences(X):
    """Lists, tuples and 1-D object arrays whose items are sequences or masked arrays."""
    if isinstance(X, np.ndarray) and not isinstance(X, np.ma.MaskedArray):
        return (
            X.dtype == object
            and X.ndim == 1
            and X.size > 0
            and not any(count_dims(item) == 0 for item in X)
        )
    return isinstance(X, (list, tuple))


def _check_list(X):
    if len(X) == 0:
        raise ValueError("X is an empty list: expected at least one sequence")
    if all(isinstance(item, numbers.Number) for item in fill_missing(as_objects(X), np.nan)):
        raise ValueError(
            f"X must be {_EXPECTED}, got a list of {len(X)} numbers. Reshape your data: "
            "wrap a single sequence as [X]"
        )
    sequences, n_timesteps = [], []
    for i, item in enumerate(X):
        name = f"sequence {i}"
        if hasattr(item, "toarray"):
            raise TypeError(f"X must be dense, but {name} is sparse: pass {name}.toarray()")
        missing = np.ma.getmask(item) if isinstance(item, np.ma.MaskedArray) else None
        values = to_array(item, f"{name} must be a 1-D array of integers")
        if values.ndim != 1:
            raise ValueError(
                f"every sequence of the list X must be 1-D, but {name} has shape {values.shape}"
            )
        codes = _to_integers(values, name, missing=missing)
        n_timesteps.append(len(codes))
        observed = np.flatnonzero(codes >= 0)
        sequences.append(codes[: observed[-1] + 1] if observed.size else codes[:0])
    return Checked(sequences, Layout(False, np.array(n_timesteps)))


def _check_array(estimator, X, mask, reset):
    shape = tuple(X.shape if hasattr(X, "shape") else to_array(X, f"X must be {_EXPECTED}").shape)
    n_dims = len(shape)
    if n_dims != 2:
        advice = (
            ". Reshape your data: wrap a single sequence as [X], or as X.reshape(1, -1)"
            if n_dims == 1
            else ""
        )
        got = f"{n_dims}-D data of shape {shape}" if n_dims else f"{type(X).__name__}"
        raise ValueError(f"X must be {_EXPECTED}, got {got}{advice}")
    missing = np.ma.getmaskarray(X) if isinstance(X, np.ma.MaskedArray) else None
    dtype = getattr(X, "dtype", None)
    if dtype is not None and getattr(dtype, "kind", "") in "US":
        raise ValueError(f"X must hold integer syllables, got strings: {shorten(X)}. {_ENCODE}")
    values = numeric_array(estimator, X if missing is None else X.filled(0), reset=reset)
    if mask is not None:
        expectation = "mask must be boolean, True where the timestep is observed"
        mask = to_array(mask, expectation)
        if mask.dtype == object:
            mask = to_array(mask, expectation, np.float64)
        if mask.shape != values.shape:
            raise ValueError(f"mask has shape {mask.shape}, but X has shape {values.shape}")
        if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
            raise ValueError(f"{expectation}, got {shorten(mask)}")
        missing = ~mask.astype(bool) if missing is None else missing | ~mask.astype(bool)
    codes = _to_integers(values, "X", missing=missing)
    observed = codes >= 0
    n_sequences, n_timesteps = codes.shape
    ends = np.where(observed.any(axis=1), n_timesteps - observed[:, ::-1].argmax(axis=1), 0)
    sequences = [row[:end] for row, end in zip(codes, ends, strict=True)]
    return Checked(sequences, Layout(True, np.full(n_sequences, n_timesteps)))


def numeric_array(estimator, X, *, reset=True):
    """X as a 2-D array of numbers, by scikit-learn, which keeps the names of its columns."""
    if isinstance(X, np.ndarray):
        X = fill_missing(X, np.nan)
    elif hasattr(X, "select_dtypes") and X.select_dtypes(["object", "string"]).shape[1]:
        X = X.astype(object).where(
            X.notna(), np.nan
        )  # a pandas DataFrame; scikit-learn fails on NA
    try:
        return validate_data(
            estimator,
            X,
            reset=reset,
            dtype="numeric",
            ensure_all_finite=False,
            ensure_min_samples=1,
            ensure_min_features=1,
        )
    except (TypeError, MemoryError):
        raise
    except Exception as error:
        for reason, advice in _ADVICE.items():
            if reason in str(error):
                raise ValueError(f"{str(error).rstrip('.')}. {advice}") from error
        if isinstance(error, ValueError):
            raise
        raise ValueError(f"X must be {_EXPECTED}, got {shorten(X)}: {error}") from error


_ENCODE = "Encode labels as 0, 1, ... first, for example by hhmm.preprocessing.SyllableEncoder"


# what to do about what scikit-learn refuses
_ADVICE = {
    "could not convert string": _ENCODE,
    "features, but": "A feature is a timestep here: a model fitted to a 2-D array takes 2-D arrays "
    "of as many timesteps. Give sequences of other lengths as a list of 1-D arrays",
}


def _to_integers(values, name, *, missing=None, what="syllables"):
    """Values as int32, -1 where missing (negative, NaN, or True in `missing`)."""
    if values.dtype == object:
        try:
            values = to_array(values, f"{name} must hold integer {what}", np.float64)
        except ValueError as error:
            raise ValueError(f"{error}. {_ENCODE}") from error
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must hold integer {what}, got values of type {values.dtype}: "
            f"{shorten(values)}. {_ENCODE}"
        )
    if values.dtype.kind == "f":
        if values.dtype.itemsize < 8:
            values = values.astype(np.float64)  # float32 does not hold the largest label
        absent = np.isnan(values)
        missing = absent if missing is None else missing | absent
        values = np.where(missing, MISSING, values)
        expectation = (
            f"expected integer {what}, 0, 1, ... Negative values in data, which must be integers "
            "too, and NaN mark missing timesteps"
        )
        _refuse(np.isinf(values) | (values != np.floor(values)), values, name, expectation)
    _refuse(values > _LARGEST_LABEL, values, name, f"labels go up to {_LARGEST_LABEL}")
    codes = np.maximum(values.astype(np.int64), MISSING).astype(np.int32)
    if missing is not None:
        codes[missing] = MISSING
    return codes


def _refuse(wrong, values, name, expectation):
    if wrong.any():
        where = tuple(int(i[0]) for i in np.nonzero(wrong))
        if len(where) == 2:
            name = f"{name}, sequence {where[0]}"
        raise ValueError(f"{name}, timestep {where[-1]} is {values[where]}: {expectation}")


# A result with more entries than this was indexed by something that is no state.
MAX_ENTRIES = 10_000_000


# A state that takes a smaller fraction of the timesteps is unused.
UNUSED_BELOW = 0.01


class StateSequences(NamedTuple):
    """States of several sequences laid end to end."""

    states: np.ndarray  # (n_total_timesteps,) int64, negative where there is none
    lengths: np.ndarray  # (n_sequences,) int64
    padded: bool  # rows of a 2-D array, which may go on after their sequence ended


def read_states(states, name):
    """Bring one of the three forms of states to `StateSequences`, checked."""
    if not isinstance(states, list | tuple):
        states = as_array(states, name)
        if states.ndim == 1 and states.dtype == object:
            states = list(states)  # of sequences
    if isinstance(states, list | tuple):
        if len(states) and count_dims(states[0]) > 0:
            return _read_list(states, name)
        states = as_array(states, name)

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
    return StateSequences(_integers(states.ravel(), lengths, name), lengths, states.ndim == 2)


def _read_list(sequences, name):
    arrays = [as_array(sequence, f"{name}: sequence {i}") for i, sequence in enumerate(sequences)]
    for i, array in enumerate(arrays):
        if array.ndim != 1:
            raise ValueError(
                f"{name}: sequence {i} must be a 1-D array, got an array of shape {array.shape}"
            )
    lengths = np.array([array.size for array in arrays], dtype=np.int64)
    # An empty list becomes a float array: left in, it would turn all labels into floats.
    filled = [array for array in arrays if array.size] or [np.empty(0, dtype=np.int64)]
    return StateSequences(_integers(np.concatenate(filled), lengths, name), lengths, False)


def as_array(values, name):
    """`values` as an array, -1 where an entry is masked or missing; an error names what is none."""
    if isinstance(values, np.ma.MaskedArray):
        # Unsigned integers cannot hold the -1.
        signed = values.astype(np.int64) if values.dtype.kind in "bu" else values
        return signed.filled(-1)
    array = to_array(values, f"{name} must be an array of integers")
    if array.dtype == object and array.ndim and all(count_dims(value) == 0 for value in array.flat):
        # a list of plain Python numbers has their type
        return np.asarray(fill_missing(array, -1).tolist())
    return array


def _integers(states, lengths, name):
    """`states` (n_total_timesteps,) as int64, NaN as -1; raises where that would lose something."""
    if states.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold integers, got dtype {states.dtype}")
    if states.dtype.kind == "f":
        states = states.astype(np.promote_types(states.dtype, np.float32))  # float16 ends at 65504
        missing = np.isnan(states)
        wrong = ~missing & ((states != np.trunc(states)) | np.isinf(states))
        raise_at_first(wrong, states, lengths, f"{name} must hold integers")
        states = np.where(missing, -1, np.maximum(states, -1))
    if states.dtype.kind in "uf":
        wrong = states >= 2.0**63
        raise_at_first(wrong, states, lengths, f"{name} must hold integers below 2**63")
    return states.astype(np.int64, copy=False)


def raise_at_first(wrong, states, lengths, expected):
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


def check_n_states(n_states, sequences):
    """`n_states`, by default the largest label plus one."""
    largest = int(sequences.states.max(initial=-1))
    if n_states is None:
        if largest < 0:
            raise ValueError(
                "states must hold a state (an integer >= 0) if n_states is None, "
                f"got none in {sequences.states.size} timesteps"
            )
        check_entries(largest + 1, label=largest, name="states", result="there is one result")
        return largest + 1
    if not isinstance(n_states, numbers.Integral):
        raise TypeError(f"n_states must be an integer >= 1, got {shorten(n_states)}")
    if n_states < 1:
        raise ValueError(f"n_states must be >= 1, got {shorten(n_states)}")
    if n_states > MAX_ENTRIES:
        raise ValueError(f"n_states must be at most {MAX_ENTRIES:,}, got {shorten(n_states)}")
    raise_at_first(
        sequences.states >= n_states,
        sequences.states,
        sequences.lengths,
        f"states must hold labels below n_states={n_states}",
    )
    return int(n_states)


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


def check_entries(n_entries, *, label, name, result):
    """Refuse to allocate by a label that numbers something else than states."""
    if n_entries > MAX_ENTRIES:
        raise ValueError(
            f"{result} for each label from 0 to the largest, too many for the label {label} in "
            f"{name}: number the labels 0, 1, ... first, for example with np.unique"
        )
