"""How displays name and colour states and groups, and in which unit they measure time."""

import numbers
import unicodedata

import numpy as np

from hhmm._inference.draws import stationary_distribution
from hhmm._sequences.read import find_unused
from hhmm._validation import check_flag, shorten, to_array, to_float, to_list
from hhmm.metrics import state_usage
from hhmm.plotting._figures import OKABE_ITO, state_colors

__all__ = [
    "as_text",
    "check_few_states",
    "check_frame_rate",
    "check_groups",
    "check_names",
    "check_state_names",
    "check_usage",
    "drawn_states",
    "group_colors",
    "left_out_note",
    "text_color",
    "time_unit",
    "usage_of",
]

_MOST_STATES = 200

# Of P. Tol, "Colour schemes" (SRON technical note 2021): none of them is a colour of a state.
MUTED = (
    "#332288",  # indigo
    "#CC6677",  # rose
    "#117733",  # green
    "#DDCC77",  # sand
    "#88CCEE",  # cyan
    "#882255",  # wine
    "#44AA99",  # teal
    "#999933",  # olive
    "#AA4499",  # purple
)


def group_colors(plt, n_groups):
    """As many colours as there are groups; black for one alone."""
    if n_groups == 1:
        return [OKABE_ITO[-1]]
    return list(MUTED[:n_groups]) if n_groups <= len(MUTED) else state_colors(plt, n_groups)


def text_color(background):
    """Black or white, whichever contrasts more with a matplotlib colour."""
    from matplotlib.colors import to_rgb

    # relative luminance of sRGB colours; black and white contrast equally with 0.179
    color = np.array(to_rgb(background))
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else "white"


def as_text(name):
    r"""Return `name` as a string that fonts can draw.

    Control characters other than the end of a line are replaced by their escapes, for example
    ``\t``; so are lone surrogates, for example ``\udce9``. Python reads a byte of a file name that
    is not UTF-8 as a lone surrogate, and matplotlib raises TypeError for it.
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cs") and character != "\n"
        else character
        for character in str(name)
    )


def check_names(names, n, argument, *, default):
    """`names` as a list of n strings; ``default.format(i)`` if None."""
    if names is None:
        return [default.format(i) for i in range(n)]
    names = [as_text(name) for name in to_list(names, f"{argument} must hold {n} names")]
    if len(names) != n:
        raise ValueError(f"{argument} must hold {n} names, got {len(names)}")
    return names


def check_few_states(n_states):
    """Raise ValueError if states are too many to draw: a label may number something else."""
    if n_states > _MOST_STATES:
        raise ValueError(
            f"at most {_MOST_STATES} states can be drawn, got {n_states:,}, labels from 0 to "
            f"{n_states - 1:,}: number the labels 0, 1, ... first, for example with np.unique"
        )


def check_state_names(names, n_states, argument="state_names", *, default):
    """Names of states, which must be few enough to draw."""
    check_few_states(n_states)
    return check_names(names, n_states, argument, default=default)


def check_usage(usage, n_states, name="usage"):
    """`usage` as floats of shape (n_states,), not all of them 0; equal if None."""
    if usage is None:
        return np.ones(n_states)
    expectation = f"{name} must hold {n_states} fractions of time, not all of them 0"
    usage = to_array(usage, expectation, float)
    fractions = np.isfinite(usage) & (usage >= 0)
    if usage.shape != (n_states,) or not fractions.all() or not usage.any():
        raise ValueError(f"{expectation}, got {shorten(usage)}")
    return usage


def usage_of(estimator, X=None):
    """Return the fraction of time in each state of a fitted model, (n_states,).

    It is that of ``estimator.predict(X)``. If X is None, it is that of the states of the fit; for
    a model made from parameters, which has none, what they lead to in the long run.
    """
    n_states = len(estimator.trans_probs_)
    if X is not None:
        return state_usage(estimator.predict(X), n_states=n_states)
    if hasattr(estimator, "states_"):
        return state_usage(estimator.states_, n_states=n_states)
    return stationary_distribution(estimator.trans_probs_)


def drawn_states(usage, unused_states):
    """Return the states to draw, increasing: all, or without those that `find_unused` finds."""
    check_flag(unused_states, "unused_states")
    return np.arange(len(usage)) if unused_states else np.flatnonzero(~find_unused(usage))


def left_out_note(n_left_out):
    """Return how many states a display leaves out, as text; empty if it draws all."""
    if n_left_out == 0:
        return ""
    return f"{n_left_out} unused state{'s' if n_left_out > 1 else ''} left out"


def check_groups(groups, n_recordings):
    """The names of the groups in order of appearance, and the group of each recording."""
    if groups is None:
        return [""], np.zeros(n_recordings, dtype=int)
    expectation = f"groups must hold one entry for each of {n_recordings} recordings"
    groups = [as_text(group) for group in to_list(groups, expectation)]
    if len(groups) != n_recordings:
        raise ValueError(f"{expectation}, got {len(groups)}")
    names = list(dict.fromkeys(groups))
    return names, np.array([names.index(group) for group in groups])


def check_frame_rate(frame_rate):
    """Timesteps a second as float."""
    if not isinstance(frame_rate, numbers.Real) or isinstance(frame_rate, bool):
        raise TypeError(
            f"frame_rate must be a number of timesteps a second, got {shorten(frame_rate)}"
        )
    if not 0 < frame_rate < float("inf"):
        raise ValueError(f"frame_rate must be > 0 and finite, got {frame_rate}")
    return to_float(frame_rate, "frame_rate")


def time_unit(n_timesteps, frame_rate):
    """Length of a timestep in a unit that suits `n_timesteps`, and the name of the unit."""
    if frame_rate is None:
        return 1.0, "timesteps"
    frame_rate = check_frame_rate(frame_rate)
    seconds = n_timesteps / frame_rate
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 3 * length:
            return 1 / (frame_rate * length), unit
    return 1 / frame_rate, "s"
