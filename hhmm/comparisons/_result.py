"""The table of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import false_discovery_control

from hhmm._optional.extras import import_extra

if TYPE_CHECKING:
    import pandas

NONE = -1  # of a state or syllable that a row does not have
# status of the content of two states, see `compare_groups`
EITHER_STATE = "tested, but not which of the two states"
ALL_GROUPS = "all groups"
QUANTITIES = ("usage", "dwell", "content", "shared_content", "transition", "syllable")
_EFFECTS = {"dwell": "ratio", "content": "distance", "shared_content": "distance"}
_PRINTED_ROWS = 60


@dataclass(frozen=True, eq=False, repr=False)
class GroupComparison:
    """Differences between groups of animals; it prints as a table.

    The first attributes are columns of a table with one row a comparison. A row compares `group_2`
    with `group_1`. With more than two groups there are also rows that compare all groups at once:
    there `group_1` is ``"all groups"``, and values, effect and interval are NaN.

    Attributes
    ----------
    quantity : ndarray of shape (n_rows,), str
        "usage", "dwell", "transition", "content", "shared_content" or "syllable", see
        `compare_groups`.
    state, next_state, syllable : ndarray of shape (n_rows,), int64
        What the row is about; -1 if the quantity has no such index.
    group_1, group_2 : ndarray of shape (n_rows,), str
    value_1, value_2 : ndarray of shape (n_rows,)
        Mean over the animals of each group; for dwell times the geometric mean. NaN for content.
    effect : ndarray of shape (n_rows,)
        ``value_2 - value_1``, for dwell times ``value_2 / value_1``, for content the distance.
    effect_type : ndarray of shape (n_rows,), str
        "difference", "ratio" or "distance".
    lower, upper : ndarray of shape (n_rows,)
        Ends of the bootstrap interval of the effect; NaN if it is not available.
    p_value : ndarray of shape (n_rows,)
        Of a permutation test of animals, two-sided; NaN if not tested.
    q_value : ndarray of shape (n_rows,)
        By the method of Benjamini and Hochberg, among the rows of the same quantity. Rows of all
        groups are a family of their own.
    n_1, n_2 : ndarray of shape (n_rows,), int64
        Number of animals of each group that have a value. In a row of all groups, `n_1` is the
        number of all animals and `n_2` is 0.
    is_paired : ndarray of shape (n_rows,), bool
        True if the comparison is within animals.
    status : ndarray of shape (n_rows,), str
        "tested", or what the test leaves open, or why there is no test or no interval, for example
        "only in drug".
    groups : list of n_groups str
        The first is the reference.
    animals : list of n_units str
        A unit is an animal in a group: an animal that was recorded in two groups is two units.
    animal_groups : ndarray of shape (n_units,), int64
        Index in `groups`.
    usage, dwell : ndarray of shape (n_units, n_states)
        Values of each unit, NaN if it has none. Dwell times are in seconds, or in timesteps without
        a frame rate.
    transition : ndarray of shape (n_units, n_states, n_states)
        Probabilities of the next state; the diagonal is NaN.
    content : ndarray of shape (n_units, n_states, n_syllables), or None
        Fractions of the syllables in each state; None without `syllables`.
    state_names : list of n_states str
    frame_rate : float or None
    confidence_level : float
    """

    quantity: np.ndarray
    state: np.ndarray
    next_state: np.ndarray
    syllable: np.ndarray
    group_1: np.ndarray
    group_2: np.ndarray
    value_1: np.ndarray
    value_2: np.ndarray
    effect: np.ndarray
    effect_type: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    p_value: np.ndarray
    q_value: np.ndarray
    n_1: np.ndarray
    n_2: np.ndarray
    is_paired: np.ndarray
    status: np.ndarray
    groups: list[str]
    animals: list[str]
    animal_groups: np.ndarray
    usage: np.ndarray
    dwell: np.ndarray
    transition: np.ndarray
    content: np.ndarray | None
    state_names: list[str]
    frame_rate: float | None
    confidence_level: float

    def to_frame(self) -> pandas.DataFrame:
        """Return the table as a pandas DataFrame (n_rows, 19), one row a comparison.

        A state, next state or syllable that a row does not have is NA. The column ``state_name``
        has the names of the states.
        """
        pd = import_extra("pandas", "to_frame")
        columns: dict[str, Any] = {name: getattr(self, name) for name in _COLUMNS}
        for name in ("state", "next_state", "syllable"):
            index = columns[name]
            columns[name] = pd.arrays.IntegerArray(index.copy(), index == NONE)
        frame = pd.DataFrame(columns)
        names = [None if k == NONE else self.state_names[k] for k in self.state]
        frame.insert(2, "state_name", names)
        return frame

    def __repr__(self) -> str:
        shown = np.flatnonzero(self.quantity != "syllable")
        n_animals = len(dict.fromkeys(self.animals))
        unit = "timesteps" if self.frame_rate is None else "s"
        lines = [f"{n_animals} animals in {len(self.groups)} groups: {', '.join(self.groups)}"]
        interval = f"{100 * self.confidence_level:g}% interval"
        header = ("quantity", "of", "groups", "values", "effect", interval, "p", "q", "n", "")
        rows = [header] + [self._describe(i, unit) for i in shown[:_PRINTED_ROWS]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        aligned = [str.ljust] * 3 + [str.rjust] * 6 + [str.ljust]
        for row in rows:
            cells = (how(text, n) for how, text, n in zip(aligned, row, widths, strict=True))
            lines.append("  ".join(cells).rstrip())
        n_left_out = len(shown) - _PRINTED_ROWS
        if n_left_out > 0:
            lines.append(f"... and {n_left_out:,} more rows")
        n_syllables = len(self.quantity) - len(shown)
        if n_syllables:
            n_small = np.count_nonzero(self.q_value[self.quantity == "syllable"] < 0.05)
            lines.append(
                f"{n_syllables:,} rows of single syllables are not shown, {n_small:,} of them with "
                "q < 0.05: see to_frame()"
            )
        return "\n".join(lines)

    def _describe(self, i: int, unit: str) -> tuple[str, ...]:
        """Return the cells of row i of the printed table."""
        quantity = self.quantity[i]
        of = "all states" if self.state[i] == NONE else self.state_names[self.state[i]]
        if self.next_state[i] != NONE:
            of += f" to {self.state_names[self.next_state[i]]}"
        is_overall = self.group_1[i] == ALL_GROUPS
        groups = ALL_GROUPS if is_overall else f"{self.group_2[i]} / {self.group_1[i]}"
        if self.effect_type[i] != "ratio" and not is_overall:
            groups = f"{self.group_2[i]} - {self.group_1[i]}"
        name = f"{quantity} ({unit})" if quantity == "dwell" else quantity.replace("_", " ")
        values = _join(self.value_2[i], self.value_1[i], " / ")
        ends = _join(self.lower[i], self.upper[i], " to ")
        n = f"{self.n_1[i]}" if is_overall else f"{self.n_2[i]}, {self.n_1[i]}"
        if self.is_paired[i]:
            n = f"{self.n_1[i]} pairs" if not is_overall else f"{self.n_1[i]} within"
        status = "" if self.status[i] == "tested" else self.status[i]
        p, q = (f"{x:.4f}" if np.isfinite(x) else "" for x in (self.p_value[i], self.q_value[i]))
        return (name, of, groups, values, _short(self.effect[i]), ends, p, q, n, status)


_COLUMNS = tuple(field.name for field in fields(GroupComparison))[:18]


def _short(value):
    return f"{value:.3g}" if np.isfinite(value) else ""


def _join(first, second, separator):
    if np.isnan(first) and np.isnan(second):
        return ""
    return separator.join("none" if np.isnan(x) else f"{x:.3g}" for x in (first, second))


def table_rows(contrast, names, quantity, state, next_state, syllable):
    """Return columns of the table for a contrast, with NaN for all numbers."""
    n = len(quantity)
    pair = [names[group] for group in contrast.groups]
    if len(pair) > 2:
        pair = [ALL_GROUPS, ""]
    numbers = ("value_1", "value_2", "effect", "lower", "upper", "p_value")
    return {
        "quantity": np.asarray(quantity, dtype=object),
        "state": state,
        "next_state": next_state,
        "syllable": syllable,
        "group_1": np.full(n, pair[0], dtype=object),
        "group_2": np.full(n, pair[1], dtype=object),
        "effect_type": np.array([_EFFECTS.get(name, "difference") for name in quantity], object),
        **{name: np.full(n, np.nan) for name in numbers},
        "n_1": np.zeros(n, dtype=np.int64),
        "n_2": np.zeros(n, dtype=np.int64),
        "is_paired": np.full(n, contrast.is_paired),
    }


def in_order(table):
    """Sort rows by quantity; contrasts of the same value are then in the order of groups."""
    order = {name: i for i, name in enumerate(QUANTITIES)}
    keys = [order[name] for name in table["quantity"]]
    places = np.lexsort((table["syllable"], table["next_state"], table["state"], keys))
    return {name: column[places] for name, column in table.items()}


def q_values(table):
    """Return q values within each quantity, rows of all groups apart."""
    q_value = np.full(len(table["p_value"]), np.nan)
    is_overall = table["group_1"] == ALL_GROUPS
    for quantity in QUANTITIES:
        for family in (is_overall, ~is_overall):
            p_value = table["p_value"]
            rows = np.flatnonzero(family & (table["quantity"] == quantity) & np.isfinite(p_value))
            if rows.size:
                q_value[rows] = false_discovery_control(p_value[rows])
    return q_value
