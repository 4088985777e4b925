"""Animals in groups, their values, and who is compared with whom."""

from __future__ import annotations

import itertools
import warnings
from typing import NamedTuple

import numpy as np

from hhmm._sequences.groups import read_texts
from hhmm._sequences.ragged import without_padding
from hhmm._sequences.read import (
    check_entries,
    check_same_lengths,
    read_runs,
)
from hhmm._validation import shorten
from hhmm.comparisons._result import NONE

_FEWEST_FOR_TEST = 2


class _Units(NamedTuple):
    """Animals in groups; an animal in two groups is two units."""

    groups: list[str]  # the reference first
    animals: list[str]  # (n_units,)
    group_index: np.ndarray  # (n_units,) int64
    of_sequence: np.ndarray  # (n_sequences,) int64, the unit of each recording


def read_units(groups, animals, reference, n_sequences):
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


class _Measured(NamedTuple):
    """States of each unit."""

    time: np.ndarray  # (n_units, n_states), in the unit of dwell times
    usage: np.ndarray  # (n_units, n_states), NaN without any state
    dwell: np.ndarray  # (n_units, n_states), NaN if the state is not found
    transition: np.ndarray  # (n_units, n_states, n_states), NaN if the state was not left


def measure(sequences, units, n_states, frame_rate):
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
    usage = divide(time, time.sum(axis=1, keepdims=True))
    return _Measured(time, usage, dwell, divide(moves, n_ends[:, :, np.newaxis]))


def divide(numerator, denominator):
    """Divide; NaN where the denominator is 0."""
    result = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.divide(numerator, denominator, out=result, where=denominator > 0)


def count_syllables(syllables, states, units, n_states):
    """Count the syllables that begin in each state, (n_units, n_states, n_syllables)."""
    syllables = read_runs(syllables, "syllables")
    syllables = without_padding(syllables, states.lengths)
    states = without_padding(states, syllables.lengths)
    try:
        check_same_lengths(syllables.lengths, states.lengths, "syllables", "states")
    except ValueError as error:
        raise ValueError(
            f"{error}. Give both on the same clock: RunCollapser.expand returns states of "
            "syllables to frames."
        ) from None
    largest = int(syllables.labels.max(initial=-1))
    if largest < 0:
        raise ValueError("syllables must hold a syllable (an integer >= 0), got none.")
    shape = len(units.animals), n_states, largest + 1
    check_entries(
        np.prod(shape),
        label=largest,
        name="syllables",
        result="compare_groups has a count in each state",
    )
    run, stay, _ = syllables.beside(states)
    begins = np.diff(run, prepend=-1) > 0
    run, state = run[begins], states.labels[stay[begins]]
    unit, syllable = units.of_sequence[syllables.of_sequences[run]], syllables.labels[run]
    known = (syllable >= 0) & (state >= 0)
    cells = np.ravel_multi_index((unit[known], state[known], syllable[known]), shape)
    return np.bincount(cells, minlength=np.prod(shape)).reshape(shape)


def as_fractions(counts):
    return divide(counts, counts.sum(axis=-1, keepdims=True))


class Values(NamedTuple):
    """Values of the units, a column for each that is compared."""

    quantity: np.ndarray  # (n_columns,) str
    state: np.ndarray  # (n_columns,) int64
    next_state: np.ndarray
    syllable: np.ndarray
    values: np.ndarray  # (n_units, n_columns), NaN if the unit has none; dwell times in logs


def lay_out_values(measured, counts):
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
        blocks.append(
            ("syllable", first, none, syllable, as_fractions(counts).reshape(n_units, -1))
        )
    quantities, *columns = zip(*blocks, strict=True)
    quantity = np.repeat(quantities, [len(column) for column in columns[0]])
    return Values(quantity, *(np.concatenate(column, axis=-1) for column in columns))


class _Contrast(NamedTuple):
    """Groups to compare, and their units."""

    groups: tuple[int, ...]
    members: list[np.ndarray]  # a group: its units; in the order of animals if paired
    is_paired: bool

    @property
    def n_animals(self):
        return len(self.members[0]) if self.is_paired else sum(map(len, self.members))


def contrasts(units):
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


def describe_status(contrast, names, n_found, n_usable, occurs, is_certain=None):
    """Return "tested" or why there is no test, (n_columns,).

    Parameters
    ----------
    contrast : _Contrast
    names : list of str
    n_found : (n_groups, n_columns) number of animals in which the states of the column are found
    n_usable : (n_groups, n_columns) number of animals with a value
    occurs : (n_columns,) bool, whether a value is not 0
    is_certain : (n_groups, n_columns) bool, default=None
        Whether the column is a transition that is the only one that the group has from its state.
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
        elif is_certain is not None and is_certain[:, column].any():
            where = names[np.argmax(is_certain[:, column])]
            status[column] = f"not tested: no other state can follow in {where}"
        elif few.size:
            n_text = "one animal" if n[few[0]] == 1 else "no animal"
            who = "both groups" if contrast.is_paired else names[few[0]]
            status[column] = f"not tested: {n_text} with a value in {who}"
        elif found.max() < _FEWEST_FOR_TEST:
            status[column] = "not tested: found in one animal of each group"
    return status
