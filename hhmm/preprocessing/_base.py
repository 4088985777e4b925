"""What transformers of sequences share."""

import numbers

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from hhmm._sequences.read import is_list_of_sequences
from hhmm._validation import as_objects, shorten, to_array

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
