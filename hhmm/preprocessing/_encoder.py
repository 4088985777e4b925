"""Number labels of any kind 0 to S - 1."""

from __future__ import annotations

import contextlib
import numbers
import sys
from collections.abc import Hashable
from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from hhmm._sequences.ragged import MISSING, Layout, Ragged
from hhmm._sequences.read import (
    as_row,
    check_2d,
    check_labels,
    check_observed,
    check_sequences,
    forget_columns,
    is_list_of_sequences,
    read_runs,
)
from hhmm._sequences.run_lengths import RunLengths
from hhmm._validation import as_objects, shorten, unchanged_on_error
from hhmm.preprocessing._base import Arrays, _SequenceTransformer, with_nested_lists_as_array

_UNKNOWN = -2  # code of a label that was not there in fit


class SyllableEncoder(_SequenceTransformer):
    """Encode labels of syllables as integers 0 to n_syllables - 1.

    Labels may be strings, integers with gaps, or any other hashable values, of different kinds in
    different sequences too. One numbering serves all sequences and timesteps.

    Parameters
    ----------
    min_frequency : int or float, default=None
        Labels that are rarer than this in the training data are merged into one class, the last
        code. An int is a number of timesteps, a float between 0 and 1 a fraction of the observed
        timesteps. None merges nothing.
    unknown : {"error", "missing", "rare"}, default="error"
        How `transform` treats a label that was not there in `fit`. "error" raises a ValueError
        that names it; "missing" makes it a missing timestep; "rare" puts it into the class of
        rare syllables, or makes it a missing timestep if nothing was rare in `fit`.
    missing_values : label or list of labels, default=None
        Labels that mark missing timesteps, for example "" or ["noise", "unknown"]. None, NaN,
        pandas.NA, masked entries and negative numbers always do so.
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
    Labels that are equal in Python are one label: 3, 3.0 and numpy.int64(3) are one, "3" is
    another. ``np.array(["a", np.nan])`` turns NaN into the string "nan", which is not missing:
    write such sequences as lists, or give ``missing_values="nan"``.

    `min_frequency` counts timesteps. At the frame rate of a camera it therefore counts frames,
    not how often a syllable is used.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
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
        self,
        *,
        min_frequency: float | None = None,
        unknown: Literal["error", "missing", "rare"] = "error",
        missing_values: Any = None,
        rare_label: Hashable = "other",
    ) -> None:
        self.min_frequency = min_frequency
        self.unknown = unknown
        self.missing_values = missing_values
        self.rare_label = rare_label

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
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
        labels, index, runs = self._factorize(X, reset=True)
        check_observed(index.values, len(index.lengths))
        index = index.values
        n_timesteps = None if runs is None else runs.n_timesteps[index >= 0]
        counts = np.bincount(index[index >= 0], n_timesteps).astype(np.int64)
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
            if _plain(self.rare_label) in categories:
                raise ValueError(
                    f"rare_label={self.rare_label!r} is the label of a syllable in X that is "
                    "not rare. Choose another name for the class of rare syllables"
                )
            categories.append(_plain(self.rare_label))
        self._codes = {labels[i]: code for code, i in enumerate(frequent)}
        self._codes |= {labels[i]: len(frequent) for i in rare}
        self.categories_ = _as_labels(categories)
        self.rare_categories_ = _as_labels([labels[i] for i in rare])
        self.n_syllables_ = len(categories)

    def transform(self, X: ArrayLike) -> Arrays:
        """Encode labels.

        Parameters
        ----------
        X : array-like of shape (n_sequences, n_timesteps), or list of 1-D array-likes
            Labels.

        Returns
        -------
        codes : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays, int32
            In the form of X; 0 to n_syllables_ - 1, and -1 where missing. Of the recordings of
            `hhmm.datasets.open_recordings`, a list of array-likes that keep their runs only.

        Raises
        ------
        ValueError
            If a label is unknown and `unknown` is "error".
        """
        check_is_fitted(self)
        labels, index, runs = self._factorize(X, reset=False)
        codes = np.array([self._codes.get(label, _UNKNOWN) for label in labels], dtype=np.int32)
        codes = np.append(codes, np.int32(MISSING))[index.values]  # index -1 takes the last
        unknown = codes == _UNKNOWN
        if self.unknown == "error" and unknown.any():
            position = int(np.argmax(unknown))
            place = index.locator("X")(position) if runs is None else runs.locate(position, "X")
            raise ValueError(
                f"{place}: expected a label that was there in fit, one of "
                f"{shorten(list(self._codes))}, got {shorten(labels[index.values[position]])}. "
                "SyllableEncoder(unknown='missing') takes such timesteps as missing"
            )
        has_rare = self.unknown == "rare" and self.rare_categories_.size > 0
        codes[unknown] = self.n_syllables_ - 1 if has_rare else MISSING
        if runs is not None:
            return runs.relabelled(codes).items()
        return index._replace(values=codes).in_form_of(index.layout, fill=MISSING)

    def inverse_transform(self, X: ArrayLike) -> Arrays:
        """Return the labels of codes.

        Parameters
        ----------
        X : array-like of int of shape (n_sequences, n_timesteps), or list of 1-D arrays
            Codes, negative or NaN where missing; of any number of timesteps.

        Returns
        -------
        labels : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays
            In the form of X. Integer labels are int64 and -1 where missing; other labels are
            objects and None where missing. The class of rare syllables gets `rare_label`.

        Raises
        ------
        ValueError
            If X holds `n_syllables_` or more.
        """
        check_is_fitted(self)
        # an encoder that is not fitted takes any number of timesteps
        codes = check_sequences(SyllableEncoder(), with_nested_lists_as_array(X), reset=True)
        n_syllables = self.n_syllables_
        check_labels(
            RunLengths.of(codes.sequences),
            n_syllables,
            origin=f"the encoder has {n_syllables} categories",
        )
        missing = MISSING if self.categories_.dtype == np.int64 else None
        labels = np.append(self.categories_, np.array(missing, self.categories_.dtype))
        labels = codes._replace(values=labels[codes.values])
        return labels.in_form_of(codes.layout, fill=missing)

    def _factorize(self, X, *, reset):
        """Return the different labels of X, and the index of each timestep among them as Ragged.

        The index is int64, and -1 where missing. Recordings in files are read as `RunLengths`, and
        the index is that of each run. The runs come last, None of other data.
        """
        runs = None
        if is_list_of_sequences(X) and len(X) and all(hasattr(row, "read_runs") for row in X):
            if reset:
                forget_columns(self)
            runs = read_runs(X, "X")
            rows, layout = [runs.labels], Layout(False, runs.n_runs)
        else:
            rows, layout = self._read(X, reset=reset)
        lengths = layout.n_timesteps
        index = Ragged(np.full(lengths.sum(), MISSING), lengths, layout)
        is_missing, number_of, begin = self._is_missing(), {}, 0
        for row in rows:
            given = begin + np.flatnonzero(~np.ma.getmaskarray(row))
            labels, codes = _unique(
                np.ma.compressed(row), lambda i, given=given: index.locator("X")(given[i])
            )
            numbers_of = [
                MISSING if is_missing(label) else number_of.setdefault(label, len(number_of))
                for label in map(_plain, labels)
            ]
            index.values[given] = np.array(numbers_of, np.int64)[codes]
            begin += len(row)
        if np.inf in number_of:
            place = index.locator("X")(int(np.argmax(index.values == number_of[np.inf])))
            raise ValueError(f"{place}: expected a label, or NaN where missing, got inf")
        return list(number_of), index, runs

    def _read(self, X, *, reset):
        """Return 1-D arrays, masked where X was, that hold all labels in order; and the layout."""
        X = with_nested_lists_as_array(X)
        if is_list_of_sequences(X):
            if len(X) == 0:
                raise ValueError("X must hold at least one sequence, got an empty list")
            if reset:
                forget_columns(self)
            rows = [_read_row(row, f"X, sequence {i}") for i, row in enumerate(X)]
            layout = Layout(False, np.array([len(row) for row in rows]))
            is_masked = any(isinstance(row, np.ma.MaskedArray) for row in rows)
            if not is_masked and len({row.dtype.kind for row in rows}) == 1:
                rows = [np.concatenate(rows)]
            return rows, layout
        check_2d(X)
        is_masked = isinstance(X, np.ma.MaskedArray)
        values = validate_data(
            self, X.data if is_masked else X, reset=reset, dtype=None, ensure_all_finite=False
        )
        layout = Layout(True, np.full(len(values), values.shape[1]))
        return [np.ma.masked_array(values, X.mask if is_masked else False).ravel()], layout

    def _is_missing(self):
        """Return a function that decides whether a label marks a missing timestep."""
        given = self.missing_values
        given = given if isinstance(given, (list, tuple, set, np.ndarray)) else [given]
        others = {_plain(label) for label in given}
        pandas = sys.modules.get("pandas")

        def is_missing(label):
            if label is None or label in others:
                return True
            if pandas and (label is pandas.NA or label is pandas.NaT):
                return True
            return isinstance(label, numbers.Real) and (label != label or label < 0)

        return is_missing


def _read_row(row, name):
    """Return a sequence of labels of any kind as a 1-D array."""
    if isinstance(row, (str, bytes)):
        raise ValueError(
            f"{name} must be a 1-D array of labels, got the string {shorten(row)}. Wrap a single "
            "sequence as [X], or if each character is a syllable, pass [list(text) for text in X]"
        )
    return as_objects(row) if isinstance(row, (list, tuple)) else as_row(row, name)


def _unique(values, locate):
    """Return the different values of an array, and the index of each entry among them."""
    if values.dtype != object:
        return np.unique(values, return_inverse=True)
    found, index = {}, []
    for i, value in enumerate(values.tolist()):
        try:
            index.append(found.setdefault(value, len(found)))
        except TypeError as error:
            raise TypeError(
                "labels in the argument must be hashable, such as a string or a number, got "
                f"{shorten(value)} at {locate(i)}"
            ) from error
    return found, index


def _plain(label):
    """Return a label as Python's own type; whole numbers as int."""
    label = label.item() if isinstance(label, np.generic) else label
    if isinstance(label, numbers.Real):
        with contextlib.suppress(ValueError, OverflowError):  # NaN, infinite
            if label == int(label):
                return int(label)
    return label


def _order(labels):
    """Return the indices that order labels: numbers, then strings, then others."""
    numbers_, strings, others = [], [], []
    for i, label in enumerate(labels):
        is_number = isinstance(label, numbers.Real)
        (numbers_ if is_number else strings if isinstance(label, str) else others).append(i)
    for group in (numbers_, strings, others):
        # what cannot be ordered stays in the order of first appearance
        with contextlib.suppress(TypeError):
            group[:] = sorted(group, key=labels.__getitem__)
    return numbers_ + strings + others


def _as_labels(labels):
    """Return labels as an array, int64 if all are integers."""
    if labels and all(isinstance(label, int) and abs(label) < 2**63 for label in labels):
        return np.array(labels, dtype=np.int64)
    return as_objects(labels)
