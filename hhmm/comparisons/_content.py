"""Compare the content of states, which is the use of syllables in them."""

from __future__ import annotations

import numpy as np

from hhmm.comparisons._resampling import permute
from hhmm.comparisons._result import EITHER_STATE, NONE, table_rows
from hhmm.comparisons._units import as_fractions, describe_status
from hhmm.comparisons._values import mean_of

# Counts of syllables that are added to those of the data and of the model. Rare syllables, whose
# counts are mostly noise, then differ little from the model.
_PSEUDO_COUNT = 4.0
_FIT_STEPS = 20
_DIFFERS = 0.05  # p value of a state below which the others are tested without it


def compare_content(counts, contrast, names, n_resamples, rng):
    """Compare the syllables in each state; return columns of the table.

    Parameters
    ----------
    counts : (n_units, n_states, n_syllables)
    """
    n_states = counts.shape[1]
    members = contrast.members
    units = np.concatenate(members)
    sizes = [len(which) for which in members]
    table = counts[units].astype(float)
    has_state = table.sum(axis=2) > 0
    if contrast.is_paired:
        complete = np.logical_and.reduce(np.split(has_state, len(members)))
        has_state = np.tile(complete, (len(members), 1))
    found = np.array([part.sum(axis=0) for part in np.split(has_state, np.cumsum(sizes)[:-1])])
    status = describe_status(contrast, names, found, found, found.any(axis=0))
    n_all = np.minimum(sizes, [max(row) for row in found])
    shared_status = describe_status(contrast, names, *[n_all[:, np.newaxis]] * 2, np.ones(1, bool))

    p_value, p_shared = np.full(n_states, np.nan), np.full(1, np.nan)
    remaining = np.flatnonzero(status == "tested")
    if len(remaining) < 2:
        status[remaining] = "not tested: there is no other state to compare with"
    elif len(remaining) == 2:
        status[remaining] = EITHER_STATE
    while len(remaining) > 1:
        deviations = _deviations(table[:, remaining])
        tested = has_state[:, remaining]
        result = permute(
            lambda membership, y=deviations, has=tested: _own_change(membership, y, has),
            *(sizes, contrast.is_paired, n_resamples, rng),
            n_numbers=len(members) * deviations[0].size,
        )
        p_value[remaining] = np.fmax(p_value[remaining], result.pvalue)
        null = result.null_distribution
        spread = np.maximum(null.std(axis=0), 1e-12)
        most = np.argmax((result.statistic - null.mean(axis=0)) / spread)
        if result.pvalue[most] > _DIFFERS or len(remaining) == 2:
            break
        remaining = np.delete(remaining, most)
    if shared_status[0] == "tested":
        kept = remaining if remaining.size else np.arange(n_states)
        y = _shared_deviations(table[:, kept])
        everywhere = np.ones((len(units), 1), dtype=bool)
        p_shared = permute(
            lambda membership: _squared_differences(membership, y, everywhere),
            *(sizes, contrast.is_paired, n_resamples, rng),
            n_numbers=len(members) * y[0].size,
        ).pvalue

    quantity = ["content"] * n_states + ["shared_content"]
    none = np.full(n_states + 1, NONE)
    rows = table_rows(contrast, names, quantity, np.append(np.arange(n_states), NONE), none, none)
    n = np.concatenate([found, n_all[:, np.newaxis]], axis=1)
    if len(members) == 2:
        pooled = table.sum(axis=1, keepdims=True)
        fractions = as_fractions(np.concatenate([table, pooled], axis=1))
        means = np.array([_mean_over(part) for part in np.split(fractions, [sizes[0]])])
        rows["effect"] = np.abs(means[1] - means[0]).sum(axis=-1) / 2
        rows |= {"n_1": n[0], "n_2": n[1]}
    else:
        rows["n_1"] = n[0] if contrast.is_paired else n.sum(axis=0)
    return rows | {
        "p_value": np.append(p_value, p_shared),
        "status": np.append(status, shared_status),
    }


def _mean_over(values):
    """Return means over the first axis of values that are not NaN; NaN without any."""
    return mean_of(values, np.isfinite(values))


def _deviations(counts):
    """Return the log ratio of counts to those of the model without three-way interaction.

    Parameters
    ----------
    counts : (n_units, n_states, n_syllables)

    Returns
    -------
    deviations : (n_units, n_states, n_syllables)
        Where a unit lacks a state they are 0.
    """
    expected = np.ones(counts.shape)
    for _ in range(_FIT_STEPS):  # iterative proportional fitting of the three tables of pairs
        for axis in (0, 1, 2):
            fitted = expected.sum(axis=axis, keepdims=True)
            target = counts.sum(axis=axis, keepdims=True)
            expected *= np.divide(target, fitted, out=np.zeros_like(target), where=fitted > 0)
    return np.log((counts + _PSEUDO_COUNT) / (expected + _PSEUDO_COUNT))


def _shared_deviations(counts):
    """Return the log ratio of counts in all states to those expected without preferences of units.

    Parameters
    ----------
    counts : (n_units, n_states, n_syllables)

    Returns
    -------
    deviations : (n_units, 1, n_syllables)
    """
    in_state = counts.sum(axis=2)
    of_state = counts.sum(axis=0)
    totals = np.maximum(of_state.sum(axis=1, keepdims=True), 1)
    expected = in_state @ (of_state / totals)
    ratio = (counts.sum(axis=1) + _PSEUDO_COUNT) / (expected + _PSEUDO_COUNT)
    return np.log(ratio)[:, np.newaxis]


def _group_deviations(membership, y, has_state):
    """Return the differences of group means to the mean of all.

    Parameters
    ----------
    membership : (..., n_groups, n_units)
    y : (n_units, n_states, n_syllables), 0 where the unit lacks the state
    has_state : (n_units, n_states) bool

    Returns
    -------
    deviations : (..., n_groups, n_states, n_syllables)
    n : (..., n_groups, n_states, 1)
        Number of units that have the state.
    """
    has_state = has_state.astype(float)
    n_units, n_states, n_syllables = y.shape
    y = y * has_state[:, :, np.newaxis]
    n = (membership @ has_state)[..., np.newaxis]
    sums = membership @ y.reshape(n_units, -1)
    sums = sums.reshape(*sums.shape[:-1], n_states, n_syllables)
    overall = y.sum(axis=0) / np.maximum(has_state.sum(axis=0), 1)[:, np.newaxis]
    return np.where(n > 0, sums / np.maximum(n, 1) - overall, 0.0), n


def _own_change(membership, y, has_state):
    """Return how much groups differ in each state beyond the median over states, (..., n_states).

    The median is that of differences between groups: with one changed state among three or more,
    it is that of the others.
    """
    deviations, n = _group_deviations(membership, y, has_state)
    own = deviations - np.median(deviations, axis=-2, keepdims=True)
    return np.sum(n * own**2, axis=(-3, -1))


def _squared_differences(membership, y, has_state):
    """Return how much groups differ, without removing what states share, (..., n_states)."""
    deviations, n = _group_deviations(membership, y, has_state)
    return np.sum(n * deviations**2, axis=(-3, -1))
