"""What users give, as arrays and numbers. What an object of theirs raises becomes a ValueError."""

import math
import reprlib
import sys

import numpy as np
from sklearn.utils import check_scalar

_N_SHOWN = 30
_REPR = reprlib.Repr()
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = _REPR.maxset = _REPR.maxfrozenset = _N_SHOWN
_REPR.maxstring = _REPR.maxlong = _REPR.maxother = 200


def to_array(values, expectation, dtype=None):
    """`values` as an array.

    Parameters
    ----------
    values : array-like
    expectation : str
        How the error begins: "X must be ...".
    dtype : dtype of reals, default=None
        What to convert to; imaginary parts are refused, missing values become NaN.

    Raises
    ------
    ValueError
        Numbers may be too large to convert, or masked; methods of objects may raise anything.
    """
    try:
        array = np.asarray(values)
        if dtype is None:
            return array
        if array.dtype.kind == "c" or (array.dtype == object and any(map(_is_complex, array.flat))):
            raise TypeError("imaginary parts would be lost")
        return fill_missing(array, np.nan).astype(dtype)
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{expectation}, got {shorten(values)}: {error}") from error


def as_objects(values):
    """Return a list of any objects as a 1-D array, whatever NumPy would take them for."""
    return np.fromiter(values, dtype=object, count=len(values))


def fill_missing(array, value):
    """Replace None, NaN and pandas' missing values in an object array by `value`."""
    if array.dtype != object:
        return array
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        missing = pandas.isna(array)
    else:
        missing = [x is None or (isinstance(x, float) and math.isnan(x)) for x in array.flat]
        missing = np.reshape(np.array(missing, bool), array.shape)
    return np.where(missing, value, array)


def to_list(values, expectation):
    """`values` as a list; a TypeError where they cannot be iterated."""
    try:
        return list(values)
    except MemoryError:
        raise
    except Exception as error:
        raise TypeError(f"{expectation}, got {shorten(values)}") from error


def to_float(value, name):
    """A real number as float64, which must be able to hold it."""
    try:
        number = float(value)
    except (OverflowError, ArithmeticError):
        number = math.nan
    if not math.isfinite(number) or (number == 0) != (value == 0):
        raise ValueError(f"{name} must be a number that float64 can hold, got {shorten(value)}")
    return number


def check_flag(value, name):
    """Refuse what is neither True nor False: "no" would be taken for True."""
    check_scalar(value, name, (bool, np.bool_))


def check_option(value, name, options):
    """Refuse what is none of some options, strings or None."""
    if not any(value is option for option in options) and not (
        isinstance(value, str) and value in options
    ):
        names = ", ".join(map(repr, options[:-1]))
        raise ValueError(f"{name} must be {names} or {options[-1]!r}, got {shorten(value)}")


def count_dims(value):
    """Dimensions of what may become an array; 1 of what does not, which is no number then."""
    try:
        return np.ndim(value)
    except MemoryError:
        raise
    except Exception:
        return 1


def shorten(value):
    """How a value reads in an error message, however large it is."""
    try:
        if isinstance(value, np.ndarray):
            value = value[(slice(_N_SHOWN),) * value.ndim].tolist()
        text = " ".join(_REPR.repr(value).split())  # on one line
    except Exception:  # integers of thousands of digits, objects without a name
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def _is_complex(value):
    return isinstance(value, complex | np.complexfloating) or (
        isinstance(value, np.ndarray) and value.dtype.kind == "c"
    )
