"""The Helmert basis of the zero-sum vectors.

``Q_n`` (n, n - 1) has orthonormal columns that span the vectors of length n
with zero sum: column r - 1 is ``e_r - mean(e_0, ..., e_{r-1})``, normalised,
for r = 1, ..., n - 1. See Helmert (1876) and Lancaster (1965), "The Helmert
matrices", The American Mathematical Monthly 72(1).
"""

import numpy as np


def helmert_basis(n):
    """Return orthonormal basis of the zero-sum vectors of length `n`.

    Parameters
    ----------
    n : int
        Length of the vectors, at least 1.

    Returns
    -------
    basis : ndarray of shape (n, n - 1), float64
        ``basis.T @ basis`` is the identity and ``basis.sum(axis=0)`` is zero.
    """
    r = np.arange(1, n)
    basis = np.where(np.arange(n)[:, None] < r, -1.0 / r, 0.0)
    basis[r, r - 1] = 1.0
    return basis * np.sqrt(r / (r + 1.0))


def center(array, axis=-1):
    """Project `array` on the zero-sum vectors along `axis`: ``Q Q' v``, in O(n)."""
    return array - array.mean(axis=axis, keepdims=True)
