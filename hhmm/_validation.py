"""Host side: check what the user gave, before any work, and bring it to one form.

Every accepted form of X becomes a list of 1-D int32 arrays, missing timesteps
-1, cut after the last observed timestep; a `Layout` remembers how the input
looked, so that outputs can mirror it.
"""

import contextlib
import math
import reprlib
import sys

import numpy as np
from sklearn.utils import check_scalar

from hhmm._types import Params

# of a count that is asked for: what goes over it is a slip, and overflows further on
MOST = np.iinfo(np.int32).max


class UnusedStatesWarning(UserWarning):
    """A fit has states that take hardly any of the time."""


class ShortStatesWarning(UserWarning):
    """A fit has states that last about as long as its syllables."""


def check_weights(sample_weight):
    """Weights given by the user as a finite number, or an array of them."""
    weights = to_array(sample_weight, "sample_weight must be numbers, one a sequence", np.float64)
    if not np.isfinite(weights).all():
        raise ValueError(f"sample_weight must be finite, got {shorten(sample_weight)}")
    if weights.size and not weights.any():
        raise ValueError(f"sample_weight must not be 0 throughout, got {shorten(sample_weight)}")
    return float(weights) if weights.ndim == 0 else weights


def check_params(
    emission_base, emission_biases, trans_probs, emission_usage, emission_interactions
):
    """Check parameters given by the user; returns `Params`."""
    given = {
        "emission_base": emission_base,
        "emission_biases": emission_biases,
        "trans_probs": trans_probs,
    }
    arrays = []
    for name, value in given.items():
        array = to_array(value, f"{name} must be a 2-D array of numbers", np.float64)
        if name == "emission_biases" and array.shape == (0,):
            # of one state, as a list: without a row there is no number of columns
            array = array.reshape(0, len(arrays[0]) - 1)
        if array.ndim != 2:
            raise ValueError(
                f"{name} must be a 2-D array of numbers, got {array.ndim}-D: {shorten(value)}"
            )
        arrays.append(array)
    base, biases, trans = arrays
    n_syllables, n_states = len(base), len(trans)
    for name, value, shape in [
        ("emission_base", base, (n_syllables, n_syllables - 1)),
        ("emission_biases", biases, (n_states - 1, n_syllables - 1)),
        ("trans_probs", trans, (n_states, n_states)),
    ]:
        if value.shape != shape:
            raise ValueError(
                f"{name} must have shape {shape} for {n_syllables} syllables (rows of "
                f"emission_base) and {n_states} states (rows of trans_probs), got {value.shape}"
            )
        if not np.isfinite(value).all():
            raise ValueError(f"{name} must be finite, got NaN or infinite entries")
    if (trans < 0).any() or not np.allclose(trans.sum(axis=1), 1, rtol=0, atol=1e-6):
        raise ValueError(
            "the rows of trans_probs must be probabilities that sum to 1, got row sums "
            f"{trans.sum(axis=1)} and smallest entry {trans.min():.3g}"
        )
    further = {}
    for name, given, shape in [
        ("emission_usage", emission_usage, (n_syllables - 1,)),
        ("emission_interactions", emission_interactions, (n_states - 1, *base.shape)),
    ]:
        if given is None:
            continue
        value = to_array(given, f"{name} must be an array of numbers", np.float64)
        if value.shape != shape and not (value.size == 0 and 0 in shape):
            raise ValueError(
                f"{name} must have shape {shape} for {n_syllables} syllables and {n_states} "
                f"states, got {value.shape}"
            )
        if not np.isfinite(value).all():
            raise ValueError(f"{name} must be finite, got NaN or infinite entries")
        further[name] = value.reshape(shape)
    return Params(base, biases, trans, **further)


def check_same_shapes(params, n_states, n_syllables, *, name):
    """Refuse parameters to start at that are not of this many states and syllables."""
    shape = len(params.trans_probs), len(params.emission_base)
    if shape != (n_states, n_syllables):
        raise ValueError(
            f"{name} is a model of {shape[0]} states and {shape[1]} syllables: expected "
            f"{n_states} states and {n_syllables} syllables, as of the fit"
        )


@contextlib.contextmanager
def unchanged_on_error(estimator):
    """Put the attributes of `estimator` back as they were if the block raises."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


_N_SHOWN = 30


_REPR = reprlib.Repr()


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
