"""Number labels of any kind 0 to S - 1."""

import contextlib
import numbers
import sys
from numbers import Integral
from typing import ClassVar, NamedTuple

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from hhmm._sequences.read import (
    MISSING,
    check_labels,
    check_sequences,
)
from hhmm._validation import as_objects, shorten, to_array, unchanged_on_error
from hhmm.preprocessing._base import _check_2d, _form, _lay_out, _SequenceTransformer

_UNKNOWN = -2  # code of a label that was not there in fit


class SyllableEncoder(_SequenceTransformer):
    """Encode labels of syllables as integers 0 to n_syllables - 1.

    Labels may be strings, integers with gaps, or any other hashable values, of
    different kinds in different sequences too. One numbering serves all
    sequences and timesteps.

    Parameters
    ----------
    min_frequency : int or float, default=None
        Labels that are rarer than this in the training data are merged into one class,
        the last code. An int is a number of timesteps, a float between 0 and 1 a fraction of
        the observed timesteps. None merges nothing.
    unknown : {"error", "missing", "rare"}, default="error"
        What becomes of a label in `transform` that was not there in `fit`: a ValueError
        that names it; a missing timestep; or the class of rare syllables, and a missing
        timestep where nothing was rare in `fit`.
    missing_values : label or list of labels, default=None
        Labels that mark missing timesteps, for example "" or ["noise", "unknown"]. None, NaN,
        pandas.NA, masked entries and negative numbers do so in any case.
    rare_label : hashable, default="other"
        The label that `inverse_transform` gives the class of rare syllables.

    Attributes
    ----------
    categories_ : ndarray of shape (n_syllables_,)
        The label of each code: numbers in increasing order, strings in alphabetical order, then
        labels of other types. Last is `rare_label` if rare syllables were merged. int64 if
        all are integers, else object.
    n_syllables_ : int
        Number of codes, for the `n_syllables` of `EfficientHHMM`.
    rare_categories_ : ndarray of shape (n_rare,)
        The labels that were merged, in the same order.
    n_features_in_ : int
        Number of timesteps, when X was 2-D.
    feature_names_in_ : ndarray of str
        Column names, when X was a data frame with string column names.

    See Also
    --------
    RunCollapser : One entry a run instead of one a frame.
    sklearn.preprocessing.OrdinalEncoder : The same with a numbering a column.

    Notes
    -----
    Labels that are equal in Python are one label: 3, 3.0 and numpy.int64(3) are, "3" is
    another. NumPy turns the labels of ``np.array(["a", None])`` into objects but those of
    ``np.array(["a", np.nan])`` into strings, where "nan" is no longer missing: write such
    sequences as lists, or give ``missing_values="nan"``.

    `min_frequency` counts timesteps, so at the frame rate of a camera it counts frames and
    not uses of a syllable.

    Examples
    --------
    >>> from hhmm.preprocessing import SyllableEncoder
    >>> songs = [["i", "a", "b", "a"], ["i", "a", None, "b", "c"]]
    >>> encoder = SyllableEncoder(min_frequency=2).fit(songs)
    >>> encoder.categories_
    array(['a', 'b', 'i', 'other'], dtype=object)
    >>> codes = encoder.transform(songs)
    >>> codes
    [array([2, 0, 1, 0], dtype=int32), array([ 2,  0, -1,  1,  3], dtype=int32)]
    >>> encoder.inverse_transform(codes)[1]
    array(['i', 'a', None, 'b', 'other'], dtype=object)
    """

    _parameter_constraints: ClassVar = {
        "min_frequency": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            None,
        ],
        "unknown": [StrOptions({"error", "missing", "rare"})],
        "missing_values": "no_validation",
        "rare_label": "no_validation",
    }

    def __init__(
        self, *, min_frequency=None, unknown="error", missing_values=None, rare_label="other"
    ):
        self.min_frequency = min_frequency
        self.unknown = unknown
        self.missing_values = missing_values
        self.rare_label = rare_label

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the labels.

        Parameters
        ----------
        X : array-like of shape (n_sequences, n_timesteps), or list of 1-D array-likes
            Labels.
        y : ignored
            Present for scikit-learn's conventions.

        Returns
        -------
        self : SyllableEncoder
            A fit that fails leaves it as it was.

        Raises
        ------
        ValueError
            If no timestep is observed, every label is rare, or `rare_label` is the label of a
            syllable that is not rare.
        TypeError
            If a label cannot be hashed.
        """
        del y
        with unchanged_on_error(self):
            self._fit(X)
        return self

    def _fit(self, X):
        read = _read_labels(self, X, reset=True)
        labels, index = _factorize(read, self._is_missing())
        if not labels:
            raise ValueError(
                f"X has {len(read.lengths)} sequence(s) and not one observed timestep: all is "
                "missing"
            )
        counts = np.bincount(index[index >= 0])
        least = self.min_frequency or 0
        if not isinstance(least, Integral):
            least = least * counts.sum()
        order = _order(labels)
        frequent = [i for i in order if counts[i] >= least]
        rare = [i for i in order if counts[i] < least]
        if not frequent:
            raise ValueError(
                f"every label is rarer than min_frequency={self.min_frequency}: the most "
                f"frequent is {labels[np.argmax(counts)]!r}, at {counts.max()} of "
                f"{counts.sum()} observed timesteps"
            )
        categories = [labels[i] for i in frequent]
        if rare:
            try:
                is_taken = _plain(self.rare_label) in categories
            except Exception as error:  # comparisons of objects may raise anything
                raise ValueError(
                    f"rare_label={shorten(self.rare_label)} cannot be compared with labels: {error}"
                ) from error
            if is_taken:
                raise ValueError(
                    f"rare_label={self.rare_label!r} is the label of a syllable in X that is "
                    "not rare: choose another name for the class of rare syllables"
                )
            categories.append(_plain(self.rare_label))
        self._codes = {labels[i]: code for code, i in enumerate(frequent)}
        self._codes |= {labels[i]: len(frequent) for i in rare}
        self.categories_ = _as_labels(categories)
        self.rare_categories_ = _as_labels([labels[i] for i in rare])
        self.n_syllables_ = len(categories)

    def transform(self, X):
        """Encode labels.

        Parameters
        ----------
        X : array-like of shape (n_sequences, n_timesteps), or list of 1-D array-likes
            Labels.

        Returns
        -------
        codes : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays, int32
            In the form of X; 0 to n_syllables_ - 1, and -1 where missing.

        Raises
        ------
        ValueError
            If a label is unknown and `unknown` is "error".
        """
        check_is_fitted(self)
        read = _read_labels(self, X, reset=False)
        labels, index = _factorize(read, self._is_missing())
        codes = np.array([self._codes.get(label, _UNKNOWN) for label in labels], dtype=np.int32)
        codes = np.append(codes, np.int32(MISSING))[index]  # index -1 takes the last
        unknown = codes == _UNKNOWN
        if unknown.any():
            if self.unknown == "error":
                first = int(np.argmax(unknown))
                raise ValueError(
                    f"X contains label {labels[index[first]]!r} ({_place(read, first)}), which "
                    f"was not there in fit: expected one of {shorten(list(self._codes))}. "
                    "SyllableEncoder(unknown='missing') takes such timesteps as missing"
                )
            has_rare = self.unknown == "rare" and self.rare_categories_.size > 0
            codes[unknown] = self.n_syllables_ - 1 if has_rare else MISSING
        return _lay_out(codes, read.lengths, read.lengths, is_array=read.is_array, fill=MISSING)

    def inverse_transform(self, X):
        """The labels of codes.

        Parameters
        ----------
        X : array-like of int of shape (n_sequences, n_timesteps), or list of 1-D arrays
            Codes, negative or NaN where missing; of any number of timesteps.

        Returns
        -------
        labels : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays
            In the form of X. Integer labels are int64 and -1 where missing; other labels are
            objects and None where missing. Of the class of rare syllables all
            are `rare_label`.

        Raises
        ------
        ValueError
            If X holds `n_syllables_` or more.
        """
        check_is_fitted(self)
        # an encoder that is not fitted holds X to no number of timesteps
        sequences, layout = check_sequences(SyllableEncoder(), _form(X)[0], reset=True)
        n_syllables = self.n_syllables_
        check_labels(sequences, n_syllables, origin=f"the encoder has {n_syllables} categories")
        missing = MISSING if self.categories_.dtype == np.int64 else None
        return _lay_out(
            np.append(self.categories_, missing)[np.concatenate(sequences)],
            np.array([len(sequence) for sequence in sequences]),
            layout.n_timesteps,
            is_array=layout.is_array,
            fill=missing,
        )

    def _is_missing(self):
        """A function that tells whether a label marks a missing timestep."""
        given = self.missing_values
        given = given if isinstance(given, (list, tuple, set, np.ndarray)) else [given]
        others = {_plain(label) for label in given}
        pandas = sys.modules.get("pandas")

        def is_missing(label):
            if label is None or label in others:
                return True
            if pandas and (label is pandas.NA or label is pandas.NaT):
                return True
            if isinstance(label, numbers.Real):
                return label != label or label < 0
            return False

        return is_missing

    def __sklearn_is_fitted__(self):
        return "categories_" in vars(self)


class _Labels(NamedTuple):
    """Labels of several sequences laid end to end."""

    values: np.ndarray  # (n_total_timesteps,) int64, negative where missing, or object
    lengths: np.ndarray  # (n_sequences,) int64
    is_array: bool  # rows of a 2-D array


def _read_labels(estimator, X, *, reset):
    """Check the form of X, and lay its labels end to end."""
    X, is_list = _form(X)
    if is_list:
        if reset:
            # a list has no number of features: forget what an earlier fit on an array set
            vars(estimator).pop("n_features_in_", None)
            vars(estimator).pop("feature_names_in_", None)
        parts = [_read_sequence(item, i) for i, item in enumerate(X)]
        if not parts:
            raise ValueError("X is an empty list: expected at least one sequence")
        if any(part.dtype == object for part in parts):
            parts = [part.astype(object) for part in parts]
        lengths = np.array([part.size for part in parts])
        return _Labels(np.concatenate(parts), lengths, is_array=False)
    _check_2d(X)
    mask = np.ma.getmaskarray(X) if isinstance(X, np.ma.MaskedArray) else None
    values = validate_data(
        estimator,
        X if mask is None else X.data,
        reset=reset,
        dtype=None,
        ensure_all_finite=False,
    )
    n_sequences, n_timesteps = values.shape
    return _Labels(
        _simplify(values, mask).ravel(), np.full(n_sequences, n_timesteps), is_array=True
    )


def _read_sequence(item, i):
    """One item of a list, (n_timesteps,) int64 or object."""
    name = f"sequence {i}"
    if isinstance(item, (str, bytes)):
        raise ValueError(
            f"every sequence of the list X must be a 1-D array, but {name} is the string "
            f"{shorten(item)}: wrap a single sequence as [X], or if each character is a "
            "syllable, write [list(text) for text in X]"
        )
    if hasattr(item, "toarray"):
        raise TypeError(f"X must be dense, but {name} is sparse: pass {name}.toarray()")
    if isinstance(item, (list, tuple)):
        objects = as_objects(item)
        is_number = all(isinstance(label, numbers.Number) for label in item)
        return _simplify(to_array(item, f"{name} must hold labels") if is_number else objects, None)
    mask = np.ma.getmaskarray(item) if isinstance(item, np.ma.MaskedArray) else None
    values = to_array(item, f"{name} must be a 1-D array of labels")
    if values.ndim != 1:
        raise ValueError(
            f"every sequence of the list X must be 1-D, but {name} has shape {values.shape}"
        )
    return _simplify(values, mask)


def _simplify(values, mask):
    """Labels as int64, negative where missing, if all are integers; else as objects."""
    kind = values.dtype.kind
    if kind == "c":
        raise ValueError(f"Complex data not supported: {shorten(values)}")
    if kind == "f":
        values = values.astype(np.promote_types(values.dtype, np.float32))  # float16 ends at 65504
        missing = np.isnan(values)
        whole = missing | ((values == np.floor(values)) & (np.abs(values) < 2.0**63))
        if whole.all():
            values, kind = np.where(missing, MISSING, values), "i"
    if kind in "bi" or (kind == "u" and values.max(initial=0) <= np.iinfo(np.int64).max):
        values = values.astype(np.int64)
        absent = MISSING
    else:
        values = values.astype(object)
        absent = None
    if mask is not None:
        values[mask] = absent
    return values


def _factorize(read, is_missing):
    """The different labels, and the index of each timestep among them, -1 where missing.

    Parameters
    ----------
    read : _Labels
    is_missing : function of a label

    Returns
    -------
    labels : list
    index : ndarray of shape (n_total_timesteps,), int64
    """
    if read.values.dtype == object:
        found = {}
        try:
            index = np.array(
                [found.setdefault(label, len(found)) for label in read.values.tolist()], np.int64
            )
        except MemoryError:
            raise
        except Exception as error:  # hashes and comparisons of objects may raise anything
            raise _unhashable(read, error) from error
    else:
        found, index = np.unique(read.values, return_inverse=True)
    kept = {}
    new = np.full(len(found), MISSING)
    for i, label in enumerate(map(_plain, found)):
        if isinstance(label, numbers.Real) and abs(label) == np.inf:
            where = _place(read, int(np.argmax(index == i)))
            raise ValueError(f"X contains {label} ({where}): expected labels, or NaN where missing")
        if not is_missing(label):
            new[i] = kept.setdefault(label, len(kept))
    return list(kept), new[index]


def _unhashable(read, error):
    """The error about the first label that cannot be hashed, or compared."""
    for position, label in enumerate(read.values):
        try:
            hash(label)
        except Exception:
            return TypeError(
                "labels in the argument must be hashable, such as a string or a number, got "
                f"{shorten(label)} ({_place(read, position)})"
            )
    return ValueError(f"labels in the argument must be comparable: {error}")


def _plain(label):
    """A label as Python's own type; whole numbers as int."""
    label = label.item() if isinstance(label, np.generic) else label
    if isinstance(label, numbers.Real):
        with contextlib.suppress(ValueError, OverflowError):  # NaN, infinite
            if label == int(label):
                return int(label)
    return label


def _order(labels):
    """Indices that order labels: numbers, then strings, then others."""
    numbers_, strings, others = [], [], []
    for i, label in enumerate(labels):
        is_number = isinstance(label, numbers.Real)
        (numbers_ if is_number else strings if isinstance(label, str) else others).append(i)
    for group in (numbers_, strings, others):
        # what cannot be ordered, for whatever reason, stays in the order of first appearance
        with contextlib.suppress(Exception):
            group[:] = sorted(group, key=labels.__getitem__)
    return numbers_ + strings + others


def _as_labels(labels):
    """Labels as an array, int64 if all are integers."""
    if labels and all(isinstance(label, int) and abs(label) < 2**63 for label in labels):
        return np.array(labels, dtype=np.int64)
    return as_objects(labels)


def _place(read, position):
    """Sequence and timestep of a position in ``read.values``."""
    ends = np.cumsum(read.lengths)
    sequence = int(np.searchsorted(ends, position, side="right"))
    return f"sequence {sequence}, timestep {position - ends[sequence] + read.lengths[sequence]}"
