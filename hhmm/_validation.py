"""Check parameters and scalars that the user gave, and show values in error messages."""

import contextlib
import math
import reprlib
import sys
from numbers import Real

import numpy as np
from sklearn.utils import check_scalar

from hhmm._types import Params

# of a count that is asked for: what goes over it is a slip, and overflows further on
MOST = np.iinfo(np.int32).max
_N_SHOWN = 30
_REPR = reprlib.Repr()


class UnusedStatesWarning(UserWarning):
    """A fit has states that take hardly any of the time."""


class SingleStateWarning(UserWarning):
    """Most sequences of a fit are in one state throughout, and not all in the same one."""


class ShortStatesWarning(UserWarning):
    """A fit has states that last about as long as its syllables."""


def check_weights(sample_weight):
    """Return weights given by the user as a finite number, or an array of them."""
    weights = to_array(sample_weight, "sample_weight must be numbers, one a sequence", np.float64)
    if not np.isfinite(weights).all():
        raise ValueError(f"sample_weight must be finite, got {shorten(sample_weight)}")
    if weights.size and not weights.any():
        raise ValueError(f"sample_weight must not be 0 throughout, got {shorten(sample_weight)}")
    return float(weights) if weights.ndim == 0 else weights


def check_params(
    emission_base, emission_biases, trans_probs, emission_usage, emission_interactions
):
    """Return parameters given by the user as `Params`."""
    given = {
        "emission_base": emission_base,
        "emission_biases": emission_biases,
        "trans_probs": trans_probs,
        "emission_usage": emission_usage,
        "emission_interactions": emission_interactions,
    }
    optional = ("emission_usage", "emission_interactions")
    arrays = {
        name: to_array(value, f"{name} must be a 2-D array of numbers", np.float64)
        for name, value in given.items()
        if value is not None or name not in optional
    }
    for name in ("emission_base", "trans_probs"):
        if arrays[name].ndim != 2:
            raise ValueError(
                f"{name} must be a 2-D array of numbers, got {arrays[name].ndim}-D: "
                f"{shorten(given[name])}"
            )
    n_syllables, n_states = len(arrays["emission_base"]), len(arrays["trans_probs"])
    shapes = {
        "emission_base": (n_syllables, n_syllables - 1),
        "emission_biases": (n_states - 1, n_syllables - 1),
        "trans_probs": (n_states, n_states),
        "emission_usage": (n_syllables - 1,),
        "emission_interactions": (n_states - 1, n_syllables, n_syllables - 1),
    }
    for name, array in arrays.items():
        shape = shapes[name]
        # a list without rows has no number of columns
        if array.shape != shape and not (array.size == 0 and 0 in shape):
            raise ValueError(
                f"{name} must have shape {shape} for {n_syllables} syllables (rows of "
                f"emission_base) and {n_states} states (rows of trans_probs), got {array.shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite, got NaN or infinite entries")
        arrays[name] = array.reshape(shape)
    trans = arrays["trans_probs"]
    if (trans < 0).any() or not np.allclose(trans.sum(axis=1), 1, rtol=0, atol=1e-6):
        raise ValueError(
            "the rows of trans_probs must be probabilities that sum to 1, got row sums "
            f"{trans.sum(axis=1)} and smallest entry {trans.min():.3g}"
        )
    return Params(**arrays)


def check_same_shapes(params, n_states, n_syllables, *, name):
    """Raise ValueError where parameters to start at are not of this many states and syllables."""
    shape = len(params.trans_probs), len(params.emission_base)
    if shape != (n_states, n_syllables):
        raise ValueError(
            f"{name} is a model of {shape[0]} states and {shape[1]} syllables: expected "
            f"{n_states} states and {n_syllables} syllables, as of the fit"
        )


def describe_differences(there, here):
    """Return a text for each entry in which two dicts of settings differ, sorted by name."""
    return [
        f"{name} is {there.get(name)!r} there, {here.get(name)!r} here"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]


def check_frame_rate(frame_rate):
    """Return timesteps per second as float."""
    check_scalar(frame_rate, "frame_rate", Real)
    if not 0 < frame_rate < float("inf"):
        raise ValueError(f"frame_rate must be > 0 and finite, got {frame_rate}.")
    return float(frame_rate)


def check_state_names(state_names, n_states):
    """Return a name for each state, a list of different str; their numbers if None."""
    if state_names is None:
        return [str(k) for k in range(n_states)]
    if isinstance(state_names, str | dict):
        raise TypeError(
            f"state_names must be a list of names in the order of the states, got "
            f"{shorten(state_names)}."
        )
    names = [str(name) for name in to_list(state_names, "state_names must be a list of names")]
    if len(names) != n_states:
        raise ValueError(f"state_names must hold {n_states} names, got {len(names)}.")
    if not all(name.strip() for name in names):
        raise ValueError(f"state_names must not be empty, got {shorten(names)}.")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"state_names must differ, got {shorten(twice[0])} twice or more.")
    return names


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


def to_array(values, expectation, dtype=None):
    """Return values as an array.

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
        If NumPy makes no array of them.
    """
    try:
        array = np.asarray(values)
        if dtype is None:
            return array
        if array.dtype.kind == "c":
            raise TypeError("imaginary parts would be lost")
        return fill_missing(array, np.nan).astype(dtype)
    except (TypeError, ValueError, OverflowError) as error:
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
    """Return values as a list; raise TypeError where they cannot be iterated."""
    try:
        return list(values)
    except TypeError as error:
        raise TypeError(f"{expectation}, got {shorten(values)}") from error


def to_float(value, name):
    """Return a real number as a float; raise ValueError where float64 cannot hold it."""
    try:
        number = float(value)
    except OverflowError:
        number = math.nan
    if not math.isfinite(number) or (number == 0) != (value == 0):
        raise ValueError(f"{name} must be a number that float64 can hold, got {shorten(value)}")
    return number


def check_flag(value, name):
    """Raise TypeError for anything but True or False: "no" would be taken for True."""
    check_scalar(value, name, (bool, np.bool_))


def check_option(value, name, options):
    """Raise ValueError for a value that is not among some options, strings or None."""
    if not (value is None or isinstance(value, str)) or value not in options:
        names = ", ".join(map(repr, options[:-1]))
        raise ValueError(f"{name} must be {names} or {options[-1]!r}, got {shorten(value)}")


def count_dims(value):
    """Return the number of dimensions of a value; 1 for a list of lists of different lengths."""
    try:
        return np.ndim(value)
    except ValueError:
        return 1


def shorten(value):
    """Return the text of a value for an error message, however large it is."""
    if isinstance(value, np.ndarray):
        value = value[(slice(_N_SHOWN),) * value.ndim].tolist()
    try:
        text = " ".join(_REPR.repr(value).split())  # on one line
    except ValueError:  # integers of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def check_effects(effects, name, labels, n_states, n_syllables):
    """Return effects of groups as arrays by factor, centred; an empty dict where there are none."""
    if effects is None:
        return {}
    shape = {
        "group_emissions": (n_syllables,),
        "group_states": (n_states, n_syllables),
        "group_transitions": (n_states, n_states),
    }[name]
    if set(effects) != set(labels):
        raise ValueError(
            f"{name} must have the factors of group_labels, {sorted(labels)}, got "
            f"{sorted(effects)}."
        )
    checked = {}
    for factor, known in labels.items():
        values = np.asarray(effects[factor], dtype=float)
        if values.shape != (len(known), *shape) or not np.isfinite(values).all():
            raise ValueError(
                f"{name} of {factor!r} must hold finite numbers of shape {(len(known), *shape)}, "
                f"got shape {values.shape}."
            )
        values = values - values.mean(axis=0)
        values = values - values.mean(axis=-1, keepdims=True)
        if name == "group_states":
            values = values - values.mean(axis=1, keepdims=True)
        checked[factor] = values
    return checked
