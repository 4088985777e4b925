"""Take the columns of a table apart: labels, frames, times, recordings and groups.

``locate`` returns the place of a row as text, for errors, ``locate.row`` its number alone, and
``locate.place`` is that of the table.
"""

from collections.abc import Hashable
from numbers import Real

import numpy as np

from hhmm._sequences.ragged import raise_at_first, to_integers

_LARGEST_FRAME = 2**53  # float64 holds all integers up to this


def recording_codes(column, locate):
    """Return the number of the recording of each row, (n_rows,), and the names of all."""
    codes, values = _factorize(column, locate)
    if (codes < 0).any():
        raise ValueError(
            f"{locate(int(np.argmax(codes < 0)))}: expected the name of a recording in "
            f"column {column.name!r}, got nothing"
        )
    names = [str(value) for value in values]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"{locate.place}: column {column.name!r} holds different values that read {twice!r}"
        )
    return codes, names


def groups_of(column, codes, n_recordings, locate):
    """Return the group of each recording; raise ValueError if one has two."""
    group_codes, values = _factorize(column, locate)
    first_rows = np.full(n_recordings, -1)
    first_rows[codes[::-1]] = np.arange(len(codes))[::-1]
    of_recording = group_codes[first_rows]
    wrong = group_codes != of_recording[codes]
    if wrong.any():
        row = int(np.argmax(wrong))
        first = first_rows[codes[row]]
        raise ValueError(
            f"{locate(row)}: expected one group a recording, got {column.iloc[row]!r} after "
            f"{column.iloc[first]!r} in {locate.row(first)}"
        )
    return [None if code < 0 else str(values[code]) for code in of_recording]


def labels_of(column, locate, as_integers, hint):
    """Return labels (n_rows,), int32 and -1 where missing, or objects and None where missing."""
    if as_integers:
        expected = "an integer syllable (negative or empty: missing)"
        numbers = _numbers(column, locate, expected, hint=hint)
        return to_integers(numbers, np.int32, locate, expected=expected)
    labels = column.to_numpy(dtype=object, copy=True)
    labels[_factorize(column, locate)[0] < 0] = None
    return labels


def frame_numbers(column, locate):
    """Return frame numbers (n_rows,), int64."""
    expected = "an integer frame number"
    frames = _numbers(column, locate, expected)
    wrong = ~(np.abs(frames) <= _LARGEST_FRAME) | (frames != np.floor(frames))
    hint = f"If column {column.name!r} holds times of events, {advise_onset(column.name)}"
    raise_at_first(wrong, frames, locate, expected, hint=hint if np.mean(wrong) > 0.5 else "")
    return frames.astype(np.int64)


def times_of(column, locate):
    """Return times of events (n_rows,), float64; dates become seconds since the first."""
    import pandas as pd

    expected = "the time of an event, a finite number"
    if pd.api.types.is_datetime64_any_dtype(column):
        column = column - column.min()
    if pd.api.types.is_timedelta64_dtype(column):
        column = column.dt.total_seconds()
    hint = "Convert text to times first, by pandas.to_datetime or pandas.to_timedelta"
    times = _numbers(column, locate, expected, hint=hint)
    raise_at_first(~np.isfinite(times), times, locate, expected)
    return times


def _numbers(column, locate, expected, *, hint=""):
    """Return a column as float64 (n_rows,), NaN where empty."""
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
        given = column.astype(object)
        # pandas would take times for numbers too
        is_plain = given.map(lambda value: isinstance(value, str | Real)).astype(bool)
        column = pd.to_numeric(given.where(is_plain), errors="coerce")
        wrong = (column.isna() & given.notna()).to_numpy()
        raise_at_first(wrong, given.to_numpy(), locate, expected, hint=hint)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _factorize(column, locate):
    """Return the number of the value of each row, -1 where it is empty, and the values."""
    import pandas as pd

    try:
        codes, values = pd.factorize(column)
    except (TypeError, ValueError) as error:
        values = column.to_numpy(dtype=object)
        wrong = np.array([not isinstance(value, Hashable) for value in values])
        raise_at_first(wrong, values, locate, f"text or a number in column {column.name!r}")
        raise ValueError(f"{locate(0)}: column {column.name!r}: {error}") from error
    empty = [i for i, value in enumerate(values) if isinstance(value, str) and not value]
    codes[np.isin(codes, empty)] = -1
    return codes, values


def advise_onset(name):
    """Return advice for a column of frames that seem to be times of events."""
    return (
        f"use load_table or load_syllable_csv with onset={name!r}: rows are sorted by it, and "
        "each event is one timestep"
    )
