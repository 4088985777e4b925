"""Read groups of sequences: a label for each sequence, or a column of labels for each factor."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from hhmm._sequences.lanes import Groups
from hhmm._validation import as_objects, fill_missing, shorten, to_list

# name of the factor where labels are given without one
ONE_FACTOR = "group"


class Labels(NamedTuple):
    """Labels of sequences."""

    names: tuple  # of the factors, str
    columns: tuple  # a list of labels a factor, None where there is none

    def of(self, sequences):
        """Return the labels of these numbers of sequences, as a dict of columns."""
        columns = ([column[i] for i in sequences] for column in self.columns)
        return dict(zip(self.names, columns, strict=True))


def read_labels(groups, n_sequences, name="groups"):
    """Read labels.

    Parameters
    ----------
    groups : array-like of shape (n_sequences,), array of (n_sequences, n_factors), data frame, or \
            dict of columns
    n_sequences : int
    name : str, default="groups"
        Of the argument, for messages.

    Returns
    -------
    labels : Labels

    Raises
    ------
    ValueError
        If there is not a label for each sequence.
    """
    if isinstance(groups, str):
        raise TypeError(f"{name} must have a label for each sequence, got a string: {groups!r}.")
    if isinstance(groups, Mapping) or hasattr(groups, "columns"):  # a data frame
        given = list(groups) if isinstance(groups, Mapping) else groups.columns
        names = [str(name) for name in given]
        _check_different(names, name)
        columns = [list(groups[name]) for name in given]
    else:
        table = np.empty(len(groups), object)
        table[:] = list(groups)
        rows = [np.ravel(np.asarray(row, object)) for row in table]
        if len({len(row) for row in rows}) > 1:
            raise ValueError(f"{name} must have as many factors for each sequence as for others.")
        columns = [list(column) for column in zip(*rows, strict=True)]
        names = [f"{ONE_FACTOR}{i}" for i in range(len(columns))]
        if len(columns) == 1:
            of_series = getattr(groups, "name", None)  # pandas
            names = [of_series if isinstance(of_series, str) else ONE_FACTOR]
    lengths = [len(column) for column in columns] or [0]
    found = next((n for n in lengths if n != n_sequences), n_sequences)
    if found != n_sequences:
        raise ValueError(
            f"{name} must have a label for each of the {n_sequences} sequences of X, got {found}."
        )
    columns = ([None if _is_missing(x) else _plain(x) for x in column] for column in columns)
    return Labels(tuple(names), tuple(columns))


def find_levels(labels, name="groups"):
    """Return the labels of each factor that occur, a dict of sorted arrays by name.

    `name` is that of the argument, for messages.

    Raises
    ------
    ValueError
        If a label is missing, or labels of a factor are text and numbers.
    """
    found = {}
    for factor, column in zip(*labels, strict=True):
        if None in column:
            raise ValueError(
                f"{name} must have a label for each sequence, but {factor!r} has none for sequence "
                f"{column.index(None)}. Leave the sequence out, or give it a label."
            )
        if len({isinstance(label, str) for label in column}) > 1:
            raise ValueError(
                f"{name} must have labels of one kind, but {factor!r} has text and numbers."
            )
        found[factor] = np.unique(np.array(column))
    return found


def find_groups(labels, levels):
    """Number the combinations of levels that occur.

    Parameters
    ----------
    labels : Labels
    levels : dict of arrays
        Of `find_levels`. A label that is not among them is not known.

    Returns
    -------
    groups : Groups
    of_groups : (n_groups, n_factors) int
        Level of each factor in each group, -1 where it is not known.

    Raises
    ------
    ValueError
        If the factors are not those of `levels`.
    """
    names = labels.names
    if len(names) == len(levels) == 1 and ONE_FACTOR in (*names, *levels):
        names = tuple(levels)  # labels without a name are those of the one factor
    if set(names) != set(levels):
        raise ValueError(
            f"groups must have the factors of the fit, {', '.join(levels)}. Got {', '.join(names)}."
        )
    numbers = []
    for name, known in levels.items():
        number = {label: i for i, label in enumerate(known.tolist())}
        column = labels.columns[names.index(name)]
        numbers.append([number.get(label, -1) for label in column])
    of_groups, of_sequences = np.unique(np.transpose(numbers), axis=0, return_inverse=True)
    return Groups(len(of_groups), of_sequences.reshape(-1).astype(np.int32)), of_groups


def read_texts(labels, name, n_sequences):
    """Return labels of recordings, a text for each; raise ValueError if one is missing.

    Parameters
    ----------
    labels : sequence of n_sequences labels
    name : str
        Of the argument, for messages.
    n_sequences : int

    Returns
    -------
    texts : list of n_sequences str
    """
    if isinstance(labels, str | bytes):
        raise TypeError(f"{name} must be a sequence of labels, got a string: {shorten(labels)}.")
    if hasattr(labels, "columns") or isinstance(labels, Mapping):
        raise TypeError(
            f"{name} must be one column of labels, got {shorten(labels)}. Give a column of it."
        )
    labels = to_list(labels, f"{name} must be a sequence of labels, one for each recording")
    if len(labels) != n_sequences:
        raise ValueError(
            f"{name} must have one label for each of {n_sequences} recordings, got {len(labels)}."
        )
    known = fill_missing(as_objects(labels), None)
    texts = ["" if label is None else str(label) for label in known]
    missing = [i for i, text in enumerate(texts) if not text.strip()]
    if missing:
        raise ValueError(
            f"{name} has no label for recording {missing[0]}, got {shorten(labels[missing[0]])}. "
            "Give every recording a label, or leave it out of states."
        )
    return texts


def _check_different(names, name):
    if len(set(names)) < len(names):
        raise ValueError(f"{name} must have columns of different names, got {names}.")


def _is_missing(label):
    is_nan = isinstance(label, float) and label != label
    is_blank = isinstance(label, str) and not label.strip()
    is_of_pandas = type(label).__name__ in ("NAType", "NaTType")
    return label is None or is_nan or is_blank or is_of_pandas


def _plain(label):
    return label.item() if isinstance(label, np.generic) else label
