"""Collapse runs of equal syllables to one entry each, and expand them again."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context

from hhmm._sequences.ragged import MISSING, Layout, Ragged, without_padding
from hhmm._sequences.read import (
    check_2d,
    check_same_lengths,
    check_sequences,
    is_list_of_sequences,
    numeric_array,
    read_values,
)
from hhmm._validation import count_dims, unchanged_on_error
from hhmm.preprocessing._base import Arrays, _SequenceTransformer, with_nested_lists_as_array


class RunCollapser(_SequenceTransformer):
    """Collapse each run of equal syllables to one entry, and expand results to frames again.

    A run is a longest stretch of timesteps of one sequence with the same syllable. The
    transformer stores nothing: `expand` takes the frames again.

    Parameters
    ----------
    keep_missing : bool, default=True
        Whether a gap becomes one missing entry. A gap is missing timesteps between observed
        ones, or before the first. With True, the syllables on either side of a gap are no
        transition. With False, gaps are left out, and the same syllable on both sides is one
        run: use this for gaps of a few frames at which tracking failed.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {"keep_missing": ["boolean"]}

    def __init__(self, *, keep_missing: bool = True) -> None:
        self.keep_missing = keep_missing

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Check parameters and the form of X; learn nothing.

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
        X = with_nested_lists_as_array(X)
        with unchanged_on_error(self):
            if is_list_of_sequences(X):
                check_sequences(self, X, reset=True)
            else:
                check_2d(X)
                numeric_array(self, X)  # `transform` checks that the values are integers
        return self

    def transform(self, X: ArrayLike) -> Arrays:
        """Collapse each run to one entry.

        Parameters
        ----------
        X : array-like of int of shape (n_sequences, n_timesteps), or list of 1-D arrays
            Syllables; negative or NaN where missing.

        Returns
        -------
        runs : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays, int32
            In the form of X. A row of an array begins with its runs and is -1 after them; an
            item of a list has one entry a run. A gap is -1 too. Missing timesteps at the end
            of a sequence have no entry.
        """
        _, runs, _ = self._find_runs(X)
        return runs.in_form_of(runs.layout, fill=MISSING)

    def run_lengths(self, X: ArrayLike) -> Arrays:
        """Count the timesteps of each run.

        Parameters
        ----------
        X
            As for `transform`.

        Returns
        -------
        lengths : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays, int64
            In the form of what `transform` returns; 0 after the runs of a row. Gaps that are
            left out do not count as part of the run around them.
        """
        _, runs, index = self._find_runs(X)
        lengths = np.bincount(index[index >= 0], minlength=runs.values.size)
        return runs._replace(values=lengths.astype(np.int64)).in_form_of(runs.layout, fill=0)

    def expand(self, states: ArrayLike, X: ArrayLike) -> Arrays:
        """Repeat what was inferred of each run for all of its timesteps.

        Parameters
        ----------
        states : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays
            One state a run, as `predict` gives them for ``transform(X)``; or with one more axis the
            probabilities of states, as `predict_proba` gives them.
        X
            What `transform` was given.

        Returns
        -------
        expanded : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays
            In the form of X and of the type of `states`, with the last axis of probabilities. A
            gap has the state of its entry. Missing timesteps without an entry are -1, or NaN in
            probabilities.

        Raises
        ------
        ValueError
            If a sequence does not have one state a run. Padding after the last run is ignored.
        """
        frames, runs, index = self._find_runs(X)
        if not isinstance(states, list | tuple):
            if not hasattr(states, "__array__"):
                raise TypeError(
                    f"states must be an array or a list of arrays, got {type(states).__name__}"
                )
            states = np.asanyarray(states)
        n_axes = max(count_dims(states[0]), 1) if len(states) else 1
        given = read_values(states, "states", n_axes=n_axes)
        given = given._replace(layout=Layout(True, given.lengths))  # lists may be padded too
        given = without_padding(given, runs.lengths)
        check_same_lengths(given.lengths, runs.lengths, "states", "transform(X)")
        values = given.values.astype(np.int64) if given.values.dtype.kind == "u" else given.values
        fill = MISSING if values.dtype.kind == "i" else np.nan
        no_run = np.full((1, *values.shape[1:]), fill, values.dtype)
        expanded = frames._replace(values=np.concatenate([values, no_run])[index])
        return expanded.in_form_of(frames.layout, fill=fill)

    def _find_runs(self, X):
        """Return frames and runs of X as Ragged, and the run of each frame, -1 for none.

        The layout of the runs is the form of what `transform` returns.
        """
        self._validate_params()
        frames = check_sequences(self, with_nested_lists_as_array(X), reset=False)
        kept = np.full(len(frames.values), True) if self.keep_missing else frames.is_observed
        ends = np.append(0, np.cumsum(kept))[np.cumsum(frames.lengths)]
        lengths = np.diff(ends, prepend=0)
        bouts = Ragged(frames.values[kept], lengths, frames.layout).find_bouts()
        index = np.full(len(kept), -1)
        index[kept] = np.repeat(np.arange(len(bouts.values)), bouts.n_timesteps)
        # as many columns as X, or as long as the runs
        n_runs = bouts.n_in_sequence
        layout = frames.layout if frames.layout.is_array else Layout(False, n_runs)
        return frames, Ragged(bouts.values, n_runs, layout), index

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of the columns of the output: ``run0``, ``run1``, ...

        There is none if `fit` was given a list. `input_features` are checked and not used.
        """
        n_columns = len(super().get_feature_names_out(input_features))
        return np.array([f"run{i}" for i in range(n_columns)], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags
