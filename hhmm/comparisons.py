"""Compare groups of animals: use, duration, order and content of states.

The unit of replication is the animal. Frames of a recording are not independent, and neither are
recordings of an animal. So the recordings of an animal are pooled into one value for each quantity,
and all tests and intervals treat animals as the observations.

Tests are permutation tests of the labels of animals, by `scipy.stats.permutation_test`. With few
animals all permutations are used. The statistic is that of Welch's analysis of variance, the
squared t of Welch for two groups. Being studentised, it also keeps the level approximately if
groups differ in variance but not in mean [1]_ [2]_. If animals were recorded in several groups
(before and after a treatment), labels are permuted within animals.

Intervals are bootstrap-t intervals [3]_, which resample animals. With 12 animals in a group, 90%
intervals of dwell times held the true ratio in 0.90 of simulated labs, and percentile and BCa
intervals in 0.86 (``python -m benchmarks.studies.comparisons``). The q values control the false
discovery rate within a quantity [4]_.

The content of a state is the use of syllables in it. Groups may differ in their use of syllables
in all states alike, for example because animals differ. That is no change of one state. Counts of
syllables are therefore compared with a log-linear model without interaction of animal, state and
syllable [5]_: each animal has its own preferences, each state has its own, and they multiply. The
deviations from this model are compared between groups. A difference that most states share, the
median over states, is subtracted. If a state differs, it distorts the model for the other states,
so these are tested again without it.

References
----------
.. [1] Janssen, A. (1997). Studentized permutation tests for non-i.i.d. hypotheses and the
   generalized Behrens-Fisher problem. Statistics & Probability Letters, 36(1), 9-21.
.. [2] Chung, E. and Romano, J. P. (2013). Exact and asymptotically robust permutation tests.
   Annals of Statistics, 41(2), 484-507.
.. [3] Efron, B. and Tibshirani, R. J. (1993). An Introduction to the Bootstrap, chapter 12.
   Chapman & Hall.
.. [4] Benjamini, Y. and Hochberg, Y. (1995). Controlling the false discovery rate: a practical and
   powerful approach to multiple testing. Journal of the Royal Statistical Society B, 57(1),
   289-300.
.. [5] Bishop, Y. M. M., Fienberg, S. E. and Holland, P. W. (1975). Discrete Multivariate Analysis,
   chapter 3 (iterative proportional fitting). MIT Press.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control, permutation_test
from sklearn.utils import check_random_state, check_scalar

from hhmm._optional.extras import import_extra
from hhmm._sequences.groups import read_texts
from hhmm._sequences.read import (
    check_entries,
    check_n_states,
    check_same_lengths,
    read_states,
)
from hhmm._validation import check_state_names, shorten

if TYPE_CHECKING:
    import pandas

__all__ = ["GroupComparison", "compare_groups"]

NONE = -1  # of a state or syllable that a row does not have
ALL_GROUPS = "all groups"
QUANTITIES = ("usage", "dwell", "content", "shared_content", "transition", "syllable")
_EFFECTS = {"dwell": "ratio", "content": "distance", "shared_content": "distance"}
_FEWEST_FOR_INTERVAL = 4  # animals in each group: resamples of fewer are often all the same animal
_FEWEST_FOR_TEST = 2
_MOST_RESAMPLES = 1_000_000
# To bound the memory: columns and permutations at a time, and numbers in a block of them.
_COLUMNS_AT_ONCE = 1000
_PERMUTATIONS_AT_ONCE = 1000
_NUMBERS_AT_ONCE = 10_000_000
# Counts of syllables that are added to those of the data and of the model. Rare syllables, whose
# counts are mostly noise, then differ little from the model.
_PSEUDO_COUNT = 4.0
_FIT_STEPS = 20
_DIFFERS = 0.05  # p value of a state below which the others are tested without it
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
        "tested", or why there is no test or no interval, for example "only in drug".
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


def compare_groups(
    states: ArrayLike,
    *,
    groups: Sequence,
    animals: Sequence | None = None,
    reference: Any = None,
    frame_rate: float | None = None,
    syllables: ArrayLike | None = None,
    n_states: int | None = None,
    state_names: Sequence[str] | None = None,
    n_resamples: int = 9999,
    confidence_level: float = 0.95,
    random_state: int | np.random.RandomState | None = None,
) -> GroupComparison:
    """Compare states between groups of animals.

    Parameters
    ----------
    states : array of shape (n_sequences, n_timesteps) or list of arrays of shape (n_timesteps_i,)
        States, integers, one sequence a recording. Negative timesteps are missing.
    groups : sequence of n_sequences labels
        Group of each recording, for example its condition. Two groups or more.
    animals : sequence of n_sequences labels, default=None
        Animal of each recording. Recordings of an animal in a group are pooled. If None, each
        recording is an animal. An animal may be in several groups, for example before and after a
        treatment: then groups are compared within animals.
    reference : label, default=None
        The group with which others are compared, for example the control. If None, the first in
        `groups`.
    frame_rate : float, default=None
        Timesteps per second. Dwell times are in seconds if it is given, else in timesteps.
    syllables : array or list of arrays like `states`, default=None
        Syllables at the same timesteps, frames or events. A syllable that is held counts once, at
        its first timestep. If given, the content of states is compared too.
    n_states : int, default=None
        Number of states; the largest label plus one if None.
    state_names : sequence of n_states str, default=None
        Names of the states; numbers if None.
    n_resamples : int, default=9999
        Number of permutations and of bootstrap resamples. If there are fewer permutations in all,
        all are used, and the p value is exact.
    confidence_level : float, default=0.95
        Confidence level of the intervals.
    random_state : int, RandomState instance or None, default=None
        Seed of permutations and resamples.

    Returns
    -------
    comparison : GroupComparison
        It has rows for these quantities.

        ==============  ================================================  ================
        quantity        value of an animal                                effect
        ==============  ================================================  ================
        usage           fraction of its time in the state                 difference
        dwell           mean duration of its bouts of the state           ratio
        transition      fraction of the ends of the state after which     difference
                        the next state follows
        content         use of all syllables in the state, one test       distance
        shared_content  use of all syllables in all states alike          distance
        syllable        fraction of the syllables in the state that are   difference
                        this syllable
        ==============  ================================================  ================

    Raises
    ------
    TypeError, ValueError
        If labels are missing or their number is not that of the recordings, there are fewer than
        two groups, `syllables` has other timesteps than `states`, or a parameter is out of range.

    Warns
    -----
    UserWarning
        If only some of the animals of two groups are in both. The comparison is within these.

    See Also
    --------
    hhmm.plotting.GroupComparisonDisplay : Draw the comparison.

    Notes
    -----
    **Dwell times.** The estimate of an animal is its time in the state divided by the number of
    bouts that were seen to end. Bouts that the recording cuts thus count with the time that was
    seen. An animal whose bouts were never seen to end has one bout: its value is a lower bound.
    Groups are compared on a log scale.

    **Transitions.** With two states, the next state is always the other one, so there are rows only
    with three states or more.

    **Content.** A state is tested for a change beyond that of the other states. The row
    "shared_content" tests for a change in all states alike. With two states it cannot be known
    which one has changed, and both have the same p value. The effect is the total variation
    distance between the mean fractions of syllables in the state: 0 if both groups use the same
    syllables, 1 if they have none in common. Chance alone makes it larger than 0. Rows of single
    syllables compare fractions as they are, without removing what all states share.

    **What is not tested.** A state that is found in one group only, or in fewer than two animals of
    a group with a value, has no p value, and `status` says so. Intervals need four animals in each
    group.

    **Uncertain states.** States are taken as they are. A difference in the fit is a difference in
    the result: fit one model to all animals, so that states mean the same in all groups.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.comparisons import compare_groups
    >>> rng = np.random.default_rng(0)
    >>> states, groups = [], []
    >>> for animal in range(12):
    ...     means = [20, 30] if animal % 2 else [40, 30]
    ...     lengths = rng.geometric(1 / np.array(means), size=(50, 2)).ravel()
    ...     states.append(np.repeat(np.tile([0, 1], 50), lengths))
    ...     groups.append("drug" if animal % 2 else "saline")
    >>> comparison = compare_groups(states, groups=groups, frame_rate=10, random_state=0)
    >>> dwell = comparison.quantity == "dwell"
    >>> comparison.effect[dwell].round(1)
    array([0.5, 0.9])
    >>> comparison.p_value[dwell] < 0.05
    array([ True, False])
    >>> comparison.to_frame().columns[:4].tolist()
    ['quantity', 'state', 'state_name', 'next_state']
    """
    sequences = read_states(states, "states")
    n_states = check_n_states(n_states, sequences)
    n_sequences = sequences.lengths.size
    names = check_state_names(state_names, n_states)
    check_scalar(n_resamples, "n_resamples", Integral, min_val=1, max_val=_MOST_RESAMPLES)
    limits: dict[str, Any] = {"min_val": 0, "max_val": 1, "include_boundaries": "neither"}
    check_scalar(confidence_level, "confidence_level", Real, **limits)
    if frame_rate is not None:
        check_scalar(frame_rate, "frame_rate", Real, min_val=0, include_boundaries="neither")
        if not np.isfinite(frame_rate):
            raise ValueError(f"frame_rate must be finite, got {frame_rate}.")
    units = _read_units(groups, animals, reference, n_sequences)
    rng = check_random_state(random_state)

    measured = _measure(sequences, units, n_states, 1.0 if frame_rate is None else frame_rate)
    counts = None
    if syllables is not None:
        counts = _count_syllables(syllables, sequences, units, n_states)
    values = _lay_out_values(measured, counts)
    parts = []
    for contrast in _contrasts(units):
        settings = (contrast, units.groups, n_resamples, rng)
        parts.append(_compare_values(values, measured.time, *settings, confidence_level))
        if counts is not None:
            parts.append(_compare_content(counts, *settings))
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    table = _in_order(table)
    return GroupComparison(
        **table,
        q_value=_q_values(table),
        groups=units.groups,
        animals=units.animals,
        animal_groups=units.group_index,
        usage=measured.usage,
        dwell=measured.dwell,
        transition=measured.transition,
        content=None if counts is None else _fractions(counts),
        state_names=names,
        frame_rate=frame_rate,
        confidence_level=confidence_level,
    )


# What the user gave


class _Units(NamedTuple):
    """Animals in groups; an animal in two groups is two units."""

    groups: list[str]  # the reference first
    animals: list[str]  # (n_units,)
    group_index: np.ndarray  # (n_units,) int64
    of_sequence: np.ndarray  # (n_sequences,) int64, the unit of each recording


def _read_units(groups, animals, reference, n_sequences):
    """Return the `_Units` of labels of recordings."""
    groups = read_texts(groups, "groups", n_sequences)
    names = list(dict.fromkeys(groups))
    if len(names) < 2:
        raise ValueError(
            f"groups must have two different labels or more, got only {names[0]!r}. Give the group "
            "of each recording."
        )
    if reference is not None:
        if str(reference) not in names:
            raise ValueError(
                f"reference must be one of the groups {', '.join(map(repr, names))}, got "
                f"{shorten(reference)}."
            )
        names.remove(str(reference))
        names.insert(0, str(reference))
    if animals is None:
        animals = [str(i) for i in range(n_sequences)]
    else:
        animals = read_texts(animals, "animals", n_sequences)
    pairs = list(zip(animals, groups, strict=True))
    index = {pair: i for i, pair in enumerate(dict.fromkeys(pairs))}
    return _Units(
        groups=names,
        animals=[animal for animal, _ in index],
        group_index=np.array([names.index(group) for _, group in index]),
        of_sequence=np.array([index[pair] for pair in pairs]),
    )


# Values of animals


class _Measured(NamedTuple):
    """States of each unit."""

    time: np.ndarray  # (n_units, n_states), in the unit of dwell times
    usage: np.ndarray  # (n_units, n_states), NaN without any state
    dwell: np.ndarray  # (n_units, n_states), NaN if the state is not found
    transition: np.ndarray  # (n_units, n_states, n_states), NaN if the state was not left


def _measure(sequences, units, n_states, frame_rate):
    """Pool the recordings of each unit, and measure its states."""
    n_units = len(units.animals)
    check_entries(
        n_units * n_states**2,
        label=n_states - 1,
        name="states",
        result="compare_groups has a value for each pair of labels",
    )
    bouts = sequences.find_bouts()
    unit = np.repeat(units.of_sequence, bouts.n_in_sequence)

    def count(which, cells, shape, weights=None):
        weights = None if weights is None else weights[which]
        counts = np.bincount(cells[which], weights=weights, minlength=np.prod(shape))
        return counts.reshape(shape)

    cells = unit * n_states + bouts.values
    ended = bouts.is_observed & bouts.has_end
    time = count(bouts.is_observed, cells, (n_units, n_states), bouts.n_timesteps) / frame_rate
    n_ends = count(ended, cells, (n_units, n_states))
    pairs = cells * n_states + np.append(bouts.values[1:], 0)
    moves = count(ended, pairs, (n_units, n_states, n_states)).astype(float)
    moves[:, np.arange(n_states), np.arange(n_states)] = np.nan

    dwell = np.where(time > 0, time / np.maximum(n_ends, 1), np.nan)
    usage = _divide(time, time.sum(axis=1, keepdims=True))
    return _Measured(time, usage, dwell, _divide(moves, n_ends[:, :, np.newaxis]))


def _divide(numerator, denominator):
    """Divide; NaN where the denominator is 0."""
    result = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.divide(numerator, denominator, out=result, where=denominator > 0)


def _count_syllables(syllables, states, units, n_states):
    """Count the syllables that begin in each state, (n_units, n_states, n_syllables)."""
    syllables = read_states(syllables, "syllables")
    syllables = syllables.without_padding(states.lengths)
    states = states.without_padding(syllables.lengths)
    try:
        check_same_lengths(syllables.lengths, states.lengths, "syllables", "states")
    except ValueError as error:
        raise ValueError(
            f"{error}. Give both on the same clock: RunCollapser.expand returns states of "
            "syllables to frames."
        ) from None
    largest = int(syllables.values.max(initial=-1))
    if largest < 0:
        raise ValueError("syllables must hold a syllable (an integer >= 0), got none.")
    shape = len(units.animals), n_states, largest + 1
    check_entries(
        np.prod(shape),
        label=largest,
        name="syllables",
        result="compare_groups has a count in each state",
    )
    bouts = syllables.find_bouts()
    unit = np.repeat(units.of_sequence, bouts.n_in_sequence)
    state = states.values[bouts.starts]
    known = bouts.is_observed & (state >= 0)
    cells = np.ravel_multi_index((unit[known], state[known], bouts.values[known]), shape)
    return np.bincount(cells, minlength=np.prod(shape)).reshape(shape)


def _fractions(counts):
    return _divide(counts, counts.sum(axis=-1, keepdims=True))


class _Values(NamedTuple):
    """Values of the units, a column for each that is compared."""

    quantity: np.ndarray  # (n_columns,) str
    state: np.ndarray  # (n_columns,) int64
    next_state: np.ndarray
    syllable: np.ndarray
    values: np.ndarray  # (n_units, n_columns), NaN if the unit has none; dwell times in logs


def _lay_out_values(measured, counts):
    n_units, n_states = measured.usage.shape
    state = np.arange(n_states)
    none = np.full(n_states, NONE)
    blocks = [
        ("usage", state, none, none, measured.usage),
        ("dwell", state, none, none, np.log(measured.dwell)),
    ]
    if n_states > 2:
        first, second = np.nonzero(~np.eye(n_states, dtype=bool))
        none = np.full(first.size, NONE)
        blocks.append(
            ("transition", first, second, none, measured.transition[:, first, second]),
        )
    if counts is not None:
        first, syllable = np.divmod(np.arange(n_states * counts.shape[2]), counts.shape[2])
        none = np.full(first.size, NONE)
        blocks.append(("syllable", first, none, syllable, _fractions(counts).reshape(n_units, -1)))
    quantities, *columns = zip(*blocks, strict=True)
    quantity = np.repeat(quantities, [len(column) for column in columns[0]])
    return _Values(quantity, *(np.concatenate(column, axis=-1) for column in columns))


# Who is compared with whom


class _Contrast(NamedTuple):
    """Groups to compare, and their units."""

    groups: tuple[int, ...]
    members: list[np.ndarray]  # a group: its units; in the order of animals if paired
    is_paired: bool

    @property
    def n_animals(self):
        return len(self.members[0]) if self.is_paired else sum(map(len, self.members))


def _contrasts(units):
    """Return all groups together if there are more than two, and all pairs."""
    n_groups = len(units.groups)
    sets = list(itertools.combinations(range(n_groups), 2))
    if n_groups > 2:
        sets.insert(0, tuple(range(n_groups)))
    contrasts = []
    for groups in sets:
        contrasts.append(_contrast(units, groups))
    return contrasts


def _contrast(units, groups):
    """Return the `_Contrast` of groups; it is paired if an animal is in all of them."""
    members = [np.flatnonzero(units.group_index == group) for group in groups]
    by_animal = [{units.animals[i]: i for i in which} for which in members]
    animals = list(dict.fromkeys(itertools.chain(*by_animal)))
    in_all = [animal for animal in animals if all(animal in part for part in by_animal)]
    if not in_all:
        repeated = sum(map(len, by_animal)) > len(animals)
        # an animal in two of three groups, and none in all: animals are no independent units
        return _Contrast(groups, [which[:0] for which in members] if repeated else members, False)
    if len(in_all) < len(animals):
        listed = " and ".join(repr(units.groups[group]) for group in groups)
        warnings.warn(
            f"{len(in_all)} of {len(animals)} animals are in all of the groups {listed}. The "
            "comparison is within these and leaves out the others. Check the labels, or leave out "
            "recordings to compare different animals.",
            UserWarning,
            stacklevel=4,
        )
    members = [np.array([part[animal] for animal in in_all]) for part in by_animal]
    return _Contrast(groups, members, True)


# Comparisons of one value an animal


def _compare_values(values, time, contrast, names, n_resamples, rng, confidence_level):
    """Compare all columns of `_Values`; return columns of the table."""
    x = values.values
    has_value = np.isfinite(x)
    members = contrast.members
    if contrast.is_paired:  # animals with a value in all groups
        complete = np.logical_and.reduce([has_value[which] for which in members])
        usable = [complete] * len(members)
    else:
        usable = [has_value[which] for which in members]
    n_usable = np.array([part.sum(axis=0) for part in usable])
    means = np.array(
        [_mean_of(x[which], part) for which, part in zip(members, usable, strict=True)]
    )
    # the animals of each group in which the states of a row are found
    found = np.array([(time[which] > 0).sum(axis=0) for which in members])
    n_found = found[:, values.state]
    is_next = values.next_state != NONE
    n_found[:, is_next] = np.minimum(n_found, found[:, values.next_state])[:, is_next]
    occurs = np.where(has_value & (values.quantity != "dwell"), x != 0, has_value)
    occurs = np.any([occurs[which].any(axis=0) for which in members], axis=0)
    status = _status(contrast, names, n_found, n_usable, occurs)

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
            p_value[columns] = _test_means(parts, contrast.is_paired, n_resamples, rng)
            if len(parts) == 2 and min(map(len, parts)) >= _FEWEST_FOR_INTERVAL:
                lower[columns], upper[columns] = _bootstrap_t(
                    parts, contrast.is_paired, n_resamples, confidence_level, rng
                )
    if len(members) == 2:
        status[(status == "tested") & np.isnan(lower)] = "tested, too few animals for an interval"
    is_log = values.quantity == "dwell"
    rows = _rows(contrast, names, values.quantity, values.state, values.next_state, values.syllable)
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


def _mean_of(x, usable):
    """Return the means of the usable values in each column; NaN without any."""
    return _divide(np.where(usable, x, 0.0).sum(axis=0), usable.sum(axis=0))


def _status(contrast, names, n_found, n_usable, occurs):
    """Return "tested" or why there is no test, (n_columns,).

    Parameters
    ----------
    contrast : _Contrast
    names : list of str
    n_found : (n_groups, n_columns) number of animals in which the states of the column are found
    n_usable : (n_groups, n_columns) number of animals with a value
    occurs : (n_columns,) bool, whether a value is not 0
    """
    names = [names[group] for group in contrast.groups]
    status = np.full(n_found.shape[1], "tested", dtype=object)
    for column, (found, n) in enumerate(zip(n_found.T, n_usable.T, strict=True)):
        few = np.flatnonzero(n < _FEWEST_FOR_TEST)
        if not contrast.n_animals:
            status[column] = "not tested: no animal is in all groups, and some are in several"
        elif not found.any() or not occurs[column]:
            status[column] = "not found"
        elif not found.all():
            where = [name for name, is_there in zip(names, found, strict=True) if is_there]
            status[column] = f"only in {' and '.join(where)}"
        elif few.size:
            n_text = "one animal" if n[few[0]] == 1 else "no animal"
            who = "both groups" if contrast.is_paired else names[few[0]]
            status[column] = f"not tested: {n_text} with a value in {who}"
        elif found.max() < _FEWEST_FOR_TEST:
            status[column] = "not tested: found in one animal of each group"
    return status


def _rows(contrast, names, quantity, state, next_state, syllable):
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


def _permute(statistic, sizes, is_paired, n_resamples, rng, *, n_numbers):
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


def _test_means(parts, is_paired, n_resamples, rng):
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
    statistic = between if is_paired or min(sizes) < _FEWEST_FOR_INTERVAL else welch
    settings = (sizes, is_paired, n_resamples, rng)
    return _permute(statistic, *settings, n_numbers=len(parts) * x.shape[1]).pvalue


def _bootstrap_t(parts, is_paired, n_resamples, confidence_level, rng):
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


# Comparisons of content


def _compare_content(counts, contrast, names, n_resamples, rng):
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
    status = _status(contrast, names, found, found, found.any(axis=0))
    n_all = np.minimum(sizes, [max(row) for row in found])
    shared_status = _status(contrast, names, *[n_all[:, np.newaxis]] * 2, np.ones(1, bool))

    p_value, p_shared = np.full(n_states, np.nan), np.full(1, np.nan)
    remaining = np.flatnonzero(status == "tested")
    if len(remaining) < 2:
        status[remaining] = "not tested: there is no other state to compare with"
    while len(remaining) > 1:
        deviations = _deviations(table[:, remaining])
        tested = has_state[:, remaining]
        result = _permute(
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
        p_shared = _permute(
            lambda membership: _squared_differences(membership, y, everywhere),
            *(sizes, contrast.is_paired, n_resamples, rng),
            n_numbers=len(members) * y[0].size,
        ).pvalue

    quantity = ["content"] * n_states + ["shared_content"]
    none = np.full(n_states + 1, NONE)
    rows = _rows(contrast, names, quantity, np.append(np.arange(n_states), NONE), none, none)
    n = np.concatenate([found, n_all[:, np.newaxis]], axis=1)
    if len(members) == 2:
        pooled = table.sum(axis=1, keepdims=True)
        fractions = _fractions(np.concatenate([table, pooled], axis=1))
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
    return _mean_of(values, np.isfinite(values))


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


# The table


def _in_order(table):
    """Sort rows by quantity; contrasts of the same value are then in the order of groups."""
    order = {name: i for i, name in enumerate(QUANTITIES)}
    keys = [order[name] for name in table["quantity"]]
    places = np.lexsort((table["syllable"], table["next_state"], table["state"], keys))
    return {name: column[places] for name, column in table.items()}


def _q_values(table):
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
