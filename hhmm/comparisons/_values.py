"""Compare quantities of one value an animal."""

from __future__ import annotations

import numpy as np

from hhmm.comparisons._resampling import FEWEST_FOR_INTERVAL, bootstrap_t, p_values_of_means
from hhmm.comparisons._result import NONE, table_rows
from hhmm.comparisons._units import describe_status, divide

# Columns at a time, to bound the memory.
_COLUMNS_AT_ONCE = 1000


def compare_values(values, time, contrast, names, n_resamples, rng, confidence_level):
    """Compare all columns of `Values`; return columns of the table."""
    x = values.values
    has_value = np.isfinite(x)
    members = contrast.members
    if contrast.is_paired:  # animals with a value in all groups
        complete = np.logical_and.reduce([has_value[which] for which in members])
        usable = [complete] * len(members)
    else:
        usable = [has_value[which] for which in members]
    n_usable = np.array([part.sum(axis=0) for part in usable])
    means = np.array([mean_of(x[which], part) for which, part in zip(members, usable, strict=True)])
    # the animals of each group in which the states of a row are found
    found = np.array([(time[which] > 0).sum(axis=0) for which in members])
    n_found = found[:, values.state]
    is_next = values.next_state != NONE
    n_found[:, is_next] = np.minimum(n_found, found[:, values.next_state])[:, is_next]
    occurs = np.where(has_value & (values.quantity != "dwell"), x != 0, has_value)
    occurs = np.any([occurs[which].any(axis=0) for which in members], axis=0)
    is_certain = is_next & (np.count_nonzero(found, axis=1, keepdims=True) == 2)
    status = describe_status(contrast, names, n_found, n_usable, occurs, is_certain)

    tested = np.flatnonzero(status == "tested")
    p_value, lower, upper = np.full((3, x.shape[1]), np.nan)
    # columns with values of the same animals share their permutations
    patterns = np.concatenate(usable)[:, tested]
    _, pattern = np.unique(patterns, axis=1, return_inverse=True)
    for i in range(pattern.max(initial=-1) + 1):
        same = tested[np.ravel(pattern) == i]
        for columns in np.split(same, range(_COLUMNS_AT_ONCE, same.size, _COLUMNS_AT_ONCE)):
            parts = [
                x[which[part[:, columns[0]]]][:, columns]
                for which, part in zip(members, usable, strict=True)
            ]
            p_value[columns] = p_values_of_means(parts, contrast.is_paired, n_resamples, rng)
            if len(parts) == 2 and min(map(len, parts)) >= FEWEST_FOR_INTERVAL:
                lower[columns], upper[columns] = bootstrap_t(
                    parts, contrast.is_paired, n_resamples, confidence_level, rng
                )
    if len(members) == 2:
        status[(status == "tested") & np.isnan(lower)] = "tested, too few animals for an interval"
    is_log = values.quantity == "dwell"
    rows = table_rows(
        contrast, names, values.quantity, values.state, values.next_state, values.syllable
    )
    if len(members) == 2:
        effect = means[1] - means[0]
        means, effect, lower, upper = (
            np.where(is_log, np.exp(part), part) for part in (means, effect, lower, upper)
        )
        rows |= {"value_1": means[0], "value_2": means[1], "effect": effect}
        rows |= {"n_1": n_usable[0], "n_2": n_usable[1]}
        bounds = np.where(is_log, np.inf, 1.0)  # of fractions
        rows |= {"lower": np.maximum(lower, -bounds), "upper": np.minimum(upper, bounds)}
    else:
        rows["n_1"] = n_usable[0] if contrast.is_paired else n_usable.sum(axis=0)
    return rows | {"p_value": p_value, "status": status}


def mean_of(x, usable):
    """Return the means of the usable values in each column; NaN without any."""
    return divide(np.where(usable, x, 0.0).sum(axis=0), usable.sum(axis=0))
