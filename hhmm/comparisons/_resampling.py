"""Permutation tests of the labels of animals, and bootstrap intervals."""

from __future__ import annotations

import numpy as np
from scipy.stats import permutation_test

FEWEST_FOR_INTERVAL = 4  # animals in each group: resamples of fewer are often all the same animal
# To bound the memory: permutations at a time, and numbers in a block of them.
_PERMUTATIONS_AT_ONCE = 1000
_NUMBERS_AT_ONCE = 10_000_000


def permute(statistic, sizes, is_paired, n_resamples, rng, *, n_numbers):
    """Permute the numbers of units over groups, by `scipy.stats.permutation_test`.

    Parameters
    ----------
    statistic : callable
        ``statistic(membership)`` takes arrays (..., n_groups, n_units), 1 where a unit is in a
        group, and returns (..., n_columns). Large values are evidence of a difference.
    sizes : list of int
        Number of units of each group. Units are numbered group by group.
    is_paired : bool
        Whether to permute within animals only.
    n_resamples, rng
        See `compare_groups`.
    n_numbers : int
        Numbers that the statistic needs for a permutation.

    Returns
    -------
    result : PermutationTestResult
        With p values (n_columns,) and the distribution (n_permutations, n_columns).
    """
    ends = np.cumsum(sizes)
    numbers = [np.arange(end - n, end) for end, n in zip(ends, sizes, strict=True)]

    # The data are the numbers of units: all columns share each permutation
    def of_units(*samples, axis):
        shape = (*np.shape(samples[0])[:-1], len(samples), ends[-1])
        membership = np.zeros(shape)
        for group, sample in enumerate(samples):
            part = membership[..., group, :]
            np.put_along_axis(part, np.asarray(sample).astype(np.int64), 1.0, axis=-1)
        # rounded, so that equal permutations are ties in spite of rounding errors
        return np.round(statistic(membership), 9)

    return permutation_test(
        numbers,
        of_units,
        permutation_type="samples" if is_paired else "independent",
        vectorized=True,
        n_resamples=n_resamples,
        batch=max(1, min(_PERMUTATIONS_AT_ONCE, _NUMBERS_AT_ONCE // n_numbers)),
        alternative="greater",
        random_state=rng,
    )


def p_values_of_means(parts, is_paired, n_resamples, rng):
    """Return p values (n_columns,) that the means of groups are equal.

    Parameters
    ----------
    parts : list of n_groups arrays of shape (n_g, n_columns)
    """
    sizes = [len(part) for part in parts]
    x = np.concatenate(parts)
    if is_paired:
        x = x - np.tile(np.mean(parts, axis=0), (len(parts), 1))
    x = x - x.mean(axis=0)
    scale = x.std(axis=0)
    x = np.divide(x, scale, out=np.zeros_like(x), where=scale > 1e-12)
    n = np.array(sizes)[:, np.newaxis]

    def between(membership):
        """Squares of means: with values centred by animals, in the order of F."""
        return np.sum((membership @ x / n) ** 2, axis=-2)

    def welch(membership):
        """The statistic of Welch's analysis of variance, without its last factor."""
        means = membership @ x / n
        variances = (membership @ x**2 / n - means**2) * n / (n - 1)
        weights = n / np.maximum(variances, 1e-6)
        center = np.sum(weights * means, axis=-2, keepdims=True) / weights.sum(
            axis=-2, keepdims=True
        )
        return np.sum(weights * (means - center) ** 2, axis=-2)

    # a variance of two or three animals says little
    statistic = between if is_paired or min(sizes) < FEWEST_FOR_INTERVAL else welch
    settings = (sizes, is_paired, n_resamples, rng)
    return permute(statistic, *settings, n_numbers=len(parts) * x.shape[1]).pvalue


def bootstrap_t(parts, is_paired, n_resamples, confidence_level, rng):
    """Return the ends of intervals of the difference of two means, two of (n_columns,).

    The distribution of (resampled difference - difference) / (its standard error) replaces that of
    Student's t. Standard errors below a tenth of that of the data, which occur if a resample has
    one animal many times, are raised to it.
    """
    if is_paired:
        parts = [np.zeros((1, parts[0].shape[1])), parts[1] - parts[0]]
    difference, squared_error, resampled, squared_errors = 0.0, 0.0, 0.0, 0.0
    for sign, part in zip((-1, 1), parts, strict=True):
        n = len(part)
        mean = part.mean(axis=0)
        difference = difference + sign * mean
        if n == 1:
            continue
        centred = part - mean
        squared_error = squared_error + part.var(axis=0, ddof=1) / n
        fractions = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples) / n
        means = fractions @ centred
        resampled = resampled + sign * means
        variances = np.maximum(fractions @ centred**2 - means**2, 0)
        squared_errors = squared_errors + variances / (n - 1)
    error = np.sqrt(squared_error)
    errors = np.maximum(np.sqrt(squared_errors), 0.1 * error)
    t = np.divide(resampled, errors, out=np.zeros_like(resampled), where=errors > 0)
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(t, [tail, 1 - tail], axis=0)
    return difference - high * error, difference - low * error
