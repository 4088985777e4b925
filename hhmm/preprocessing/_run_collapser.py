"""One entry a run, and back."""

from typing import ClassVar, NamedTuple

import numpy as np
from sklearn.base import _fit_context

from hhmm._sequences.read import MISSING, check_sequences, numeric_array
from hhmm._validation import fill_missing, to_array, unchanged_on_error
from hhmm.preprocessing._base import _check_2d, _form, _lay_out, _SequenceTransformer


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
