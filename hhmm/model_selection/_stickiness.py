"""Convert between the duration of states and `trans_kappa`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hhmm._validation import shorten, to_array


def trans_kappa_from_duration(
    duration: ArrayLike,
    *,
    n_states: ArrayLike,
    frame_rate: ArrayLike = 1.0,
    trans_beta: ArrayLike = 1.0,
) -> float | np.ndarray:
    """Return the `trans_kappa` with which states are expected to last for a duration.

    Parameters
    ----------
    duration : float or array-like
        How long states are expected to last a priori, in seconds if `frame_rate` is in
        timesteps a second; in timesteps with the default `frame_rate` of 1.
    n_states : int or array-like of int
        Number of states K, at least 2.
    frame_rate : float, default=1.0
        Timesteps a second. If a timestep is a syllable and not a frame, syllables a second.
    trans_beta : float, default=1.0
        The `trans_beta` of the model.

    Returns
    -------
    trans_kappa : float or ndarray
        ``trans_beta * (duration * frame_rate * (K - 1) - K)``; an array where an argument is.

    Raises
    ------
    ValueError
        If the duration is shorter than K / (K - 1) timesteps, which is the duration with
        `trans_kappa` 0; if `n_states` is below 2; if another argument is not positive.

    See Also
    --------
    duration_from_trans_kappa : The inverse.

    Notes
    -----
    The diagonal of A is a priori Beta(trans_beta + trans_kappa, (K - 1) trans_beta) distributed.
    The duration is 1 / (1 - E[A[k, k]]), that of a state that stays with its mean probability. The
    mean of 1 / (1 - A[k, k]) over the prior is longer, and infinite if (K - 1) trans_beta <= 1.

    The prior weighs as much as trans_kappa transitions of each state. With long recordings the
    data therefore decide how long states last.

    Examples
    --------
    >>> from hhmm.model_selection import trans_kappa_from_duration
    >>> trans_kappa_from_duration(2.0, n_states=5, frame_rate=30)
    235.0

    A grid with the same durations, instead of the same stickiness, for all numbers of states:

    >>> param_grid = [
    ...     {"n_states": [k], "trans_kappa": trans_kappa_from_duration([10, 50], n_states=k)}
    ...     for k in (2, 3)
    ... ]
    >>> param_grid[1]["trans_kappa"]
    array([17., 97.])
    """
    durations = _positive(duration, "duration")
    n, rates, beta = _check_settings(n_states, frame_rate, trans_beta)
    with np.errstate(over="ignore", invalid="ignore"):
        trans_kappa = beta * (durations * rates * (n - 1) - n)
        too_short = trans_kappa < -1e-12 * beta * n  # and not by rounding
    if too_short.any():
        given, k, rate = (
            np.broadcast_to(array, trans_kappa.shape).flat[np.argmax(too_short)]
            for array in (durations, n, rates)
        )
        least = k / (k - 1)
        raise ValueError(
            f"duration must be at least {least / rate:.6g} with {k:g} states and frame_rate="
            f"{rate:g}: {least:.6g} timesteps, as long as states last with trans_kappa=0; "
            f"got {given}"
        )
    return _scalar_or_array(np.maximum(trans_kappa, 0.0))


def duration_from_trans_kappa(
    trans_kappa: ArrayLike,
    *,
    n_states: ArrayLike,
    frame_rate: ArrayLike = 1.0,
    trans_beta: ArrayLike = 1.0,
) -> float | np.ndarray:
    """Return how long states are expected to last with a `trans_kappa`.

    Parameters
    ----------
    trans_kappa : float or array-like
        The `trans_kappa` of the model, at least 0.
    n_states, frame_rate, trans_beta
        See `trans_kappa_from_duration`.

    Returns
    -------
    duration : float or ndarray
        ``(trans_kappa + K trans_beta) / ((K - 1) trans_beta) / frame_rate``: seconds, or
        timesteps with the default `frame_rate` of 1; an array where an argument is.

    Raises
    ------
    ValueError
        If `trans_kappa` is negative, `n_states` is below 2, or another argument is not positive.

    See Also
    --------
    trans_kappa_from_duration : The inverse, with the definition of the duration.

    Examples
    --------
    >>> from hhmm.model_selection import duration_from_trans_kappa
    >>> duration_from_trans_kappa(100.0, n_states=5)
    26.25
    """
    kappa = _positive(trans_kappa, "trans_kappa", or_zero=True)
    n, rates, beta = _check_settings(n_states, frame_rate, trans_beta)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        duration = (kappa + n * beta) / ((n - 1) * beta) / rates
    return _scalar_or_array(duration)


def _positive(values, name, *, or_zero=False):
    """Return an array of finite numbers above 0, or from 0 on."""
    try:
        array = to_array(values, f"{name} must be a number or an array of numbers", np.float64)
    except ValueError as error:
        raise TypeError(str(error)) from error
    wrong = ~np.isfinite(array) | (array < 0 if or_zero else array <= 0)
    if wrong.any():
        expected = ">= 0" if or_zero else "> 0"
        raise ValueError(f"{name} must be finite and {expected}, got {array[wrong].flat[0]:g}")
    return array


def _check_settings(n_states, frame_rate, trans_beta):
    """Return the arguments that both functions have, as float64 arrays."""
    array = to_array(n_states, "n_states must be an integer or an array of integers")
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"n_states must be an integer or an array of integers, got {shorten(n_states)}"
        )
    if (array < 2).any():
        raise ValueError(
            f"n_states must be >= 2, got {array.min()}: the state of a model of one never ends"
        )
    rates, beta = _positive(frame_rate, "frame_rate"), _positive(trans_beta, "trans_beta")
    return array.astype(np.float64), rates, beta


def _scalar_or_array(array):
    if not np.isfinite(array).all():
        raise ValueError("the arguments are too large: the result is beyond the range of float64")
    return float(array) if np.ndim(array) == 0 else array
