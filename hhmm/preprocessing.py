"""Bring sequences of labels to the form that the model takes: codes, and one entry a run.

`SyllableEncoder` numbers labels of any kind 0 to S - 1, as
`sklearn.preprocessing.OrdinalEncoder` does, with one numbering for all
timesteps: a column is a moment in time here, and a label means the same at each.
Syllables too rare to learn from can share a class of their own.

`RunCollapser` takes sequences at the frame rate of a camera, which repeat each
syllable for tens of frames, to sequences of one entry a run, the form in which
Wiltschko et al. [1]_ study transitions between syllables; and what was inferred
of the runs back to the frames. It is another model of the same data: a run
leaves one transition, whatever its length, so states are told apart by the order of
syllables alone, and states and scores count runs instead of frames. To keep the
durations, fit the frames as they are, which `EfficientHHMM` does run by run
anyway.

Both take and return sequences in the forms of `EfficientHHMM`: a 2-D array
(n_sequences, n_timesteps) gives a 2-D array, -1 where there is nothing; a list of
1-D arrays gives a list. Nested Python lists of equal lengths are a 2-D array, as
everywhere in scikit-learn. They work in a Pipeline before the model, but their
output is never a data frame, since the model after them takes lists too.

References
----------
.. [1] Wiltschko, A. B., Johnson, M. J., Iurilli, G., Peterson, R. E., Katon,
   J. M., Pashkovski, S. L., Abraira, V. E., Adams, R. P. and Datta, S. R. (2015).
   Mapping sub-second structure in mouse behavior. Neuron, 88(6), 1121-1135.
"""

import contextlib
import numbers
import sys
from numbers import Integral
from typing import ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from hhmm._conversions import as_objects, fill_missing, shorten, to_array
from hhmm._validation import (
    MISSING,
    check_labels,
    check_sequences,
    is_list_of_sequences,
    numeric_array,
    unchanged_on_error,
)

__all__ = ["RunCollapser", "SyllableEncoder"]

_UNKNOWN = -2  # code of a label that was not there in fit
_EXPECTED = (
    "X must be a 2-D array of labels of shape (n_sequences, n_timesteps), or a list of 1-D "
    "arrays, one a sequence"
)


class _SequenceTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """What a transformer of sequences to sequences is to scikit-learn."""

    def __init_subclass__(cls, **kwargs):
        # sequences are never made a data frame, whatever the configuration
        super().__init_subclass__(auto_wrap_output_keys=None, **kwargs)

    def set_output(self, *, transform=None):
        """Do nothing: sequences stay an array or a list, which the model takes both.

        Here so that ``set_output`` of a Pipeline reaches the steps that follow.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Ignored.

        Returns
        -------
        self : estimator
        """
        del transform
        return self

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of the output.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the columns of X.

        Returns
        -------
        names : ndarray of str objects
            The names of the columns of X. Empty where `fit` was given a list, which has no
            columns.
        """
        if self.__sklearn_tags__().requires_fit:
            check_is_fitted(self)
        if not hasattr(self, "n_features_in_"):
            return np.empty(0, dtype=object)
        return super().get_feature_names_out(input_features)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags


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


class RunCollapser(_SequenceTransformer):
    """Take sequences at the frame rate of a camera to one entry a run, and back.

    A run is a longest stretch of timesteps of one sequence with the same syllable. The
    transformer has no state: `expand` is given the frames it expands to.

    Parameters
    ----------
    keep_missing : bool, default=True
        Whether a gap, that is missing timesteps between observed ones or before the first,
        becomes one missing entry. Then no transition is made up between the syllables on
        either side of it. False leaves gaps out, and the same syllable on both sides
        is one run: for gaps of a few frames at which tracking failed.

    Attributes
    ----------
    n_features_in_ : int
        Number of timesteps, when X was 2-D.
    feature_names_in_ : ndarray of str
        Column names, when X was a data frame with string column names.

    See Also
    --------
    SyllableEncoder : Labels as integers, which X must hold here.
    hhmm.EfficientHHMM : With ``self_transitions=False`` fits the frames themselves
        run by run.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.preprocessing import RunCollapser
    >>> frames = [np.array([4, 4, 4, 1, 1, -1, -1, 1]), np.array([0, 0])]
    >>> collapser = RunCollapser()
    >>> collapser.transform(frames)
    [array([ 4,  1, -1,  1], dtype=int32), array([0], dtype=int32)]
    >>> collapser.run_lengths(frames)
    [array([3, 2, 2, 1]), array([2])]
    >>> states = [np.array([0, 1, 1, 0]), np.array([1])]  # as a model infers of the runs
    >>> collapser.expand(states, frames)
    [array([0, 0, 0, 1, 1, 1, 1, 0]), array([1, 1])]

    Before a model in a Pipeline; `expand` takes the output of the steps before this one:

    >>> from hhmm import EfficientHHMM
    >>> from hhmm.preprocessing import SyllableEncoder
    >>> from sklearn.pipeline import make_pipeline
    >>> pipeline = make_pipeline(SyllableEncoder(), collapser, EfficientHHMM(2))
    >>> frames = [list("aaabbbbcc"), list("bbac")]
    >>> codes = pipeline[0].fit_transform(frames)
    >>> pipeline[1].transform(codes)
    [array([0, 1, 2], dtype=int32), array([1, 0, 2], dtype=int32)]
    >>> states = [np.array([0, 0, 1]), np.array([1, 1, 0])]  # as pipeline.predict(frames) gives
    >>> pipeline[1].expand(states, codes)
    [array([0, 0, 0, 0, 0, 0, 0, 1, 1]), array([1, 1, 1, 0])]
    """

    _parameter_constraints: ClassVar = {"keep_missing": ["boolean"]}

    def __init__(self, *, keep_missing=True):
        self.keep_missing = keep_missing

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check parameters and the form of X; nothing is learned.

        Parameters
        ----------
        X : array-like of int of shape (n_sequences, n_timesteps), or list of 1-D arrays
        y : ignored
            Present for scikit-learn's conventions.

        Returns
        -------
        self : RunCollapser
            A fit that fails leaves it as it was.
        """
        del y
        X, is_list = _form_of_integers(X)
        with unchanged_on_error(self):
            if is_list:
                check_sequences(self, X, reset=True)
            else:
                _check_2d(X)
                # that the values are integers is for `transform` to check, which sees them too
                numeric_array(self, X)
        return self

    def transform(self, X):
        """One entry a run.

        Parameters
        ----------
        X : array-like of int of shape (n_sequences, n_timesteps), or list of 1-D arrays
            Syllables; negative or NaN where missing.

        Returns
        -------
        runs : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays, int32
            In the form of X. A row of an array begins with its runs, and is -1 after them; an
            item of a list is as long as it has runs. -1 is also the entry of a gap. Missing
            timesteps at the end of a sequence leave none.
        """
        runs, layout = self._find(X)
        return _lay_out_runs(runs.syllables, runs, layout, fill=MISSING)

    def run_lengths(self, X):
        """Number of timesteps of each run.

        Parameters
        ----------
        X
            As for `transform`.

        Returns
        -------
        lengths : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays, int64
            In the form of what `transform` returns; 0 after the runs of a row. Where gaps are
            left out, they do not count to the run around them.
        """
        runs, layout = self._find(X)
        lengths = np.bincount(runs.index[runs.index >= 0], minlength=runs.syllables.size)
        return _lay_out_runs(lengths.astype(np.int64), runs, layout, fill=0)

    def expand(self, states, X):
        """What was inferred of runs, for the timesteps of the runs.

        Parameters
        ----------
        states : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays
            One state a run, as `predict` gives them for ``transform(X)``; or with one more
            axis the probabilities of states, as `predict_proba` gives them.
        X
            What `transform` was given.

        Returns
        -------
        expanded : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays
            In the form of X and of the type of `states`, with the last axis of probabilities. A
            gap has the state of its entry. At missing timesteps that have no entry, -1, or NaN
            for probabilities.

        Raises
        ------
        ValueError
            If a sequence has other than one state a run, what follows in a padded row aside.
        """
        runs, layout = self._find(X)
        values = _check_states(states, runs.n_runs)
        fill = MISSING if values.dtype.kind == "i" else np.nan
        no_run = np.full((1, *values.shape[1:]), fill, values.dtype)
        values = np.concatenate([values, no_run])[runs.index]  # index -1 takes the last
        return _lay_out(
            values, runs.n_timesteps, layout.n_timesteps, is_array=layout.is_array, fill=fill
        )

    def _find(self, X):
        """The runs of X, and its layout."""
        self._validate_params()
        sequences, layout = check_sequences(self, _form_of_integers(X)[0], reset=False)
        return _find_runs(sequences, self.keep_missing), layout

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of the output: ``run0``, ``run1``, ...

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the columns of X; checked, and not used.

        Returns
        -------
        names : ndarray of str objects
            Empty where `fit` was given a list, which has no columns.
        """
        n_columns = len(super().get_feature_names_out(input_features))
        return np.array([f"run{i}" for i in range(n_columns)], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


class _Labels(NamedTuple):
    """Labels of several sequences laid end to end."""

    values: np.ndarray  # (n_total_timesteps,) int64, negative where missing, or object
    lengths: np.ndarray  # (n_sequences,) int64
    is_array: bool  # rows of a 2-D array


class _Runs(NamedTuple):
    """Runs of several sequences, one after the other."""

    syllables: np.ndarray  # (n_total_runs,) int32, -1 for a gap
    n_runs: np.ndarray  # (n_sequences,) int64
    index: np.ndarray  # (n_total_timesteps,) int64, the run of each timestep; -1 for none
    n_timesteps: np.ndarray  # (n_sequences,) int64, up to the last observed


def _find_runs(sequences, keep_missing):
    """Runs of sequences, a list of int32 arrays that end at their last observed timestep."""
    n_sequences = len(sequences)
    n_timesteps = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    flat = np.concatenate(sequences)
    owner = np.repeat(np.arange(n_sequences), n_timesteps)
    kept = np.arange(flat.size) if keep_missing else np.flatnonzero(flat >= 0)
    syllables, owners = flat[kept], owner[kept]
    opens = np.ones(kept.size, dtype=bool)
    opens[1:] = (syllables[1:] != syllables[:-1]) | (owners[1:] != owners[:-1])
    index = np.full(flat.size, -1)
    index[kept] = np.cumsum(opens) - 1
    n_runs = np.bincount(owners[opens], minlength=n_sequences)
    return _Runs(syllables[opens], n_runs, index, n_timesteps)


def _check_states(states, n_runs):
    """States or probabilities of all runs laid end to end, (n_total_runs, ...)."""
    if not hasattr(states, "__len__") or isinstance(states, str):
        raise TypeError(f"states must be an array or a list of arrays, got {type(states).__name__}")
    if len(states) != len(n_runs):
        raise ValueError(f"states has {len(states)} sequences, but X has {len(n_runs)} sequences")
    states = states.to_numpy() if hasattr(states, "to_numpy") else states
    rows = []
    for i, (row, n) in enumerate(zip(states, n_runs, strict=True)):
        name = f"states of sequence {i}"
        if isinstance(row, np.ma.MaskedArray):
            row = row.filled(MISSING if row.dtype.kind == "i" else np.nan)
        row = to_array(row, f"{name} must be numbers")
        if row.dtype == object:
            row = np.asarray(fill_missing(row, MISSING).tolist())
        if row.dtype.kind not in "iuf" and row.size:
            raise TypeError(f"{name} must be numbers, got dtype {row.dtype}")
        if row.ndim not in (1, 2) or (rows and row.shape[1:] != rows[0].shape[1:]):
            raise ValueError(
                f"{name} must have shape (n_runs,), or (n_runs, n_states) as those of all "
                f"sequences, got {row.shape}"
            )
        used = (row >= 0).any(axis=1) if row.ndim == 2 else row >= 0
        n_given = max(min(len(row), n), 1 + np.flatnonzero(used).max(initial=-1))
        if n_given != n:
            raise ValueError(f"{name} must be one a run: X has {n} runs there, got {n_given}")
        rows.append(row[:n])
    kinds = {row.dtype.kind for row in rows if row.size}
    values = np.concatenate([row for row in rows if row.size] or rows)
    return values.astype(np.int64) if kinds == {"u"} else values


def _lay_out_runs(values, runs, layout, *, fill):
    """One value a run (n_total_runs,) in the form of the input."""
    n_columns = layout.n_timesteps if layout.is_array else runs.n_runs
    return _lay_out(values, runs.n_runs, n_columns, is_array=layout.is_array, fill=fill)


def _lay_out(values, lengths, n_timesteps, *, is_array, fill):
    """Sequences laid end to end (n_total, ...), of such `lengths`, filled up to `n_timesteps`."""
    rows = []
    for part, n in zip(np.split(values, np.cumsum(lengths)[:-1]), n_timesteps, strict=True):
        row = np.full((n, *values.shape[1:]), fill, values.dtype)
        row[: len(part)] = part
        rows.append(row)
    return np.stack(rows) if is_array else rows


def _form(X):
    """X as an array or a list of sequences, and whether it is a list."""
    if isinstance(X, (str, bytes)):
        raise ValueError(f"{_EXPECTED}, got a string: {shorten(X)}")
    if getattr(X, "ndim", None) == 1 and hasattr(X, "to_numpy"):
        X = X.to_numpy()  # a pandas Series, one sequence an item
    if _is_nested(X):
        rows = np.stack([as_objects(row) for row in X])
        is_number = all(isinstance(label, numbers.Real) for label in rows.flat)
        return to_array(X, _EXPECTED) if is_number else rows, False
    return X, is_list_of_sequences(X)


def _form_of_integers(X):
    """As `_form`, and refuse an array of strings, which NumPy would try to read as numbers."""
    X, is_list = _form(X)
    if isinstance(X, np.ndarray) and X.dtype.kind in "OSTU":
        for label in X.flat:
            if isinstance(label, (str, bytes)):
                raise ValueError(
                    f"X must hold integer syllables, got the label {label!r}: number the labels "
                    "first, by SyllableEncoder"
                )
    return X, is_list


def _is_nested(X):
    """Whether X is Python lists in a Python list that have the same length."""
    if not isinstance(X, (list, tuple)) or not all(isinstance(row, (list, tuple)) for row in X):
        return False
    return len({len(row) for row in X}) == 1 and len(X[0]) > 0


def _check_2d(X):
    shape = X.shape if hasattr(X, "shape") else to_array(X, _EXPECTED).shape
    if len(shape) != 2:
        advice = ". Reshape your data: wrap a single sequence as [X]" if len(shape) == 1 else ""
        raise ValueError(f"{_EXPECTED}, got {len(shape)}-D data of shape {tuple(shape)}{advice}")


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
