"""Share between transformers what scikit-learn asks of them, and the form of X."""

from __future__ import annotations

import numbers
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from hhmm._sequences.read import open_series
from hhmm._validation import as_objects

# sequences in the form of X
Arrays: TypeAlias = np.ndarray | list[np.ndarray]


class _SequenceTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Transform sequences to sequences, as a step of a scikit-learn Pipeline."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # sequences are never made a data frame, whatever the configuration
        super().__init_subclass__(auto_wrap_output_keys=None, **kwargs)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Ignore `transform`: the output stays an array or a list, which the model takes.

        The method exists so that ``set_output`` of a Pipeline reaches the steps that follow.
        """
        del transform
        return self

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of the columns of the output.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the columns of X.

        Returns
        -------
        names : ndarray of str objects
            The names of the columns of X. Empty if `fit` was given a list, which has no columns.
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


def with_nested_lists_as_array(X):
    """Return X, as an array where it is Python lists of equal lengths in a Python list."""
    X = open_series(X)
    is_nested = isinstance(X, (list, tuple)) and all(isinstance(row, (list, tuple)) for row in X)
    if not is_nested or len({len(row) for row in X}) != 1 or not X[0]:
        return X
    rows = np.stack([as_objects(row) for row in X])
    return np.array(X) if all(isinstance(label, numbers.Real) for label in rows.flat) else rows
