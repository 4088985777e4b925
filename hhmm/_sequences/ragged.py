"""Hold values of sequences of different lengths, laid end to end.

`Ragged` is the one container of labels, states and probabilities of states. It splits into
sequences, takes the form of the input again, finds bouts, and names the sequence and the timestep
of a wrong value.
"""

from typing import NamedTuple

import numpy as np

from hhmm._validation import shorten

MISSING = -1


class Layout(NamedTuple):
    """The form of the input."""

    is_array: bool  # True: 2-D array (n_sequences, n_timesteps); False: list, or one sequence
    n_timesteps: np.ndarray  # (n_sequences,) int64, trailing missing timesteps included


class Bouts(NamedTuple):
    """Longest stretches of equal values, in order; each (n_bouts,) where nothing else is said."""

    values: np.ndarray
    starts: np.ndarray  # int64, position in `Ragged.values`
    n_timesteps: np.ndarray  # int64
    is_observed: np.ndarray  # bool: not a stretch of missing timesteps
    has_begin: np.ndarray  # bool: the timestep before is observed, in the same sequence
    has_end: np.ndarray  # bool: the timestep after is observed, in the same sequence
    n_in_sequence: np.ndarray  # (n_sequences,) int64, number of bouts


class Ragged(NamedTuple):
    """Values of sequences of different lengths, laid end to end."""

    values: np.ndarray  # (n_total_timesteps, ...)
    lengths: np.ndarray  # (n_sequences,) int64
    layout: Layout

    @classmethod
    def of(cls, sequences):
        """Lay a list of arrays end to end."""
        lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
        return cls(np.concatenate(sequences), lengths, Layout(False, lengths))

    @property
    def begins(self):
        """Return the position at which each sequence begins, (n_sequences,)."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def sequences(self):
        """Return one view a sequence."""
        return np.split(self.values, np.cumsum(self.lengths)[:-1])

    @property
    def is_observed(self):
        """Return whether there is a value at each timestep, (n_total_timesteps,) bool."""
        if self.values.ndim > 1:
            return ~np.isnan(self.values).all(axis=-1)
        if self.values.dtype == object:
            return np.fromiter((x is not None for x in self.values), bool, self.values.size)
        return self.values >= 0

    @property
    def n_used(self):
        """Return the number of timesteps up to the last observed one, (n_sequences,)."""
        is_observed, ends = self.is_observed, np.cumsum(self.lengths)
        if is_observed[ends[self.lengths > 0] - 1].all():
            return self.lengths
        positions = np.flatnonzero(is_observed)
        if not positions.size:
            return np.zeros_like(self.lengths)
        n_before = np.searchsorted(positions, ends)
        last = np.where(n_before > 0, positions[n_before - 1], -1)
        return np.maximum(last + 1 - self.begins, 0)

    def cut(self, lengths):
        """Return the first `lengths` timesteps of each sequence."""
        if (lengths == self.lengths).all():
            return self
        n_within = np.repeat(self.begins + lengths, self.lengths)
        kept = self.values[np.arange(len(self.values)) < n_within]
        return self._replace(values=kept, lengths=lengths)

    def in_form_of(self, layout, *, fill):
        """Return the values in the form of an input, filled up to its lengths.

        Parameters
        ----------
        layout : Layout
        fill : scalar
            Value of the timesteps after the end of a sequence.

        Returns
        -------
        values : ndarray of shape (n_sequences, n_timesteps, ...) or list of ndarrays
        """
        rows = []
        for sequence, n in zip(self.sequences, layout.n_timesteps, strict=True):
            row = np.full((n, *self.values.shape[1:]), fill, self.values.dtype)
            row[: len(sequence)] = sequence
            rows.append(row)
        return np.stack(rows) if layout.is_array else rows

    def locator(self, name):
        """Return a function that turns a position in `values` into the text of its place."""

        def locate(position):
            sequence = int(np.searchsorted(np.cumsum(self.lengths), position, side="right"))
            return f"{name}, sequence {sequence}, timestep {position - self.begins[sequence]}"

        return locate

    def find_bouts(self):
        """Return the `Bouts` of all sequences."""
        values, n_total = self.values, len(self.values)
        opens_sequence = np.zeros(n_total + 1, bool)
        opens_sequence[self.begins] = True
        opens_sequence[n_total] = True
        opens = opens_sequence[:-1].copy()
        opens[1:] |= values[1:] != values[:-1]
        starts = np.flatnonzero(opens)
        stops = np.append(starts[1:], n_total)[: starts.size]
        is_observed = self.is_observed[starts]
        has_begin = np.append(False, is_observed)[:-1] & ~opens_sequence[starts]
        has_end = np.append(is_observed, False)[1:] & ~opens_sequence[stops]
        return Bouts(
            values=values[starts],
            starts=starts,
            n_timesteps=stops - starts,
            is_observed=is_observed,
            has_begin=has_begin,
            has_end=has_end,
            n_in_sequence=np.diff(np.searchsorted(starts, np.append(self.begins, n_total))),
        )


def without_padding(values, lengths):
    """Cut the rows of an array to `lengths`, or to what they use if they use more.

    Parameters
    ----------
    values : Ragged or RunLengths
    lengths : (n_sequences,) int
    """
    if not values.layout.is_array:
        return values
    used = values.n_used
    fits = (used <= lengths) & (lengths <= values.lengths)
    return values.cut(np.where(fits, lengths, used))


def raise_at_first(wrong, values, locate, expected, *, hint=""):
    """Raise a ValueError that names the first wrong value and its place.

    Parameters
    ----------
    wrong : ndarray of bool, of the shape of `values`
    values : ndarray
    locate : callable
        Takes the position of a value, and returns its place as text.
    expected : str
    hint : str, default=""
        What to do about it, as a sentence of its own.
    """
    if not np.any(wrong):
        return
    position = int(np.argmax(wrong))
    value = np.asarray(values).ravel()[position]
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        value = int(value)  # as the user wrote it, most likely
    hint = f". {hint}" if hint else ""
    raise ValueError(f"{locate(position)}: expected {expected}, got {shorten(value)}{hint}")


def to_integers(values, dtype, locate, *, expected="an integer", hint=""):
    """Convert numbers to integers of `dtype`; NaN becomes -1.

    Negative numbers become -1 too, unless they are integers and `dtype` is np.int64.

    Parameters
    ----------
    values : ndarray of bool, int or float
    dtype : np.int32 or np.int64
    locate, expected, hint
        See `raise_at_first`, which is called where a number is no integer or too large.
    """
    if values.dtype.kind in "bi" and dtype == np.int64:
        return values.astype(np.int64, copy=False)
    if values.dtype.kind == "f":
        values = values.astype(np.promote_types(values.dtype, np.float64), copy=False)
        # float32 does not hold the largest label
        values = np.where(np.isnan(values), MISSING, values)
        with np.errstate(invalid="ignore"):  # infinite numbers give NaN, which is not 0
            wrong = values - np.trunc(values) != 0
        raise_at_first(wrong, values, locate, expected, hint=hint)
        values = np.maximum(values, MISSING)
    largest = np.iinfo(dtype).max - 1
    bound = largest + 1 if values.dtype.kind in "bi" else float(largest + 1)
    wrong = values >= bound
    raise_at_first(wrong, values, locate, f"a number up to {largest}", hint=hint)
    if values.dtype.kind in "bu":
        return values.astype(dtype)
    # in blocks, without a copy of the width of `values`
    return np.maximum(values, MISSING, out=np.empty(values.shape, dtype), casting="unsafe")
