"""Names, groups and usage of states as displays take them, and the unit of time."""

import unicodedata

import numpy as np

from hhmm._inference.draws import stationary_distribution
from hhmm._sequences.read import find_unused
from hhmm._validation import check_flag, check_frame_rate
from hhmm.metrics import state_usage

_MOST_STATES = 200


def as_text(name):
    r"""Return `name` as a string that fonts can draw.

    Control characters other than the end of a line are replaced by their escapes, for example
    ``\t``. So are lone surrogates, for example ``\udce9``: Python reads a byte of a file name
    that is not UTF-8 as a lone surrogate, and matplotlib raises TypeError for it.
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cs") and character != "\n"
        else character
        for character in str(name)
    )


def check_names(names, n, argument, *, default="{}"):
    """Return `names` as a list of n strings; ``default.format(i)`` if None."""
    if names is None:
        return [default.format(i) for i in range(n)]
    texts = [as_text(name) for name in names]
    if len(texts) != n:
        raise ValueError(f"{argument} must hold {n} names, got {len(texts)}.")
    return texts


def check_few_states(n_states):
    """Raise ValueError if there are too many states to draw."""
    if n_states > _MOST_STATES:
        raise ValueError(
            f"At most {_MOST_STATES} states can be drawn, got {n_states:,}, labels from 0 to "
            f"{n_states - 1:,}. Number the labels 0, 1, ... first, for example with np.unique."
        )


def check_state_names(names, n_states, *, default="{}"):
    """Return names of states, as `check_names` does; raise ValueError if there are too many."""
    check_few_states(n_states)
    return check_names(names, n_states, "state_names", default=default)


def names_of(estimator, state_names):
    """Return names of states, by default those that the model keeps, or None."""
    return getattr(estimator, "state_names_", None) if state_names is None else state_names


def frame_rate_of(estimator, frame_rate):
    """Return timesteps per second, by default the one that the model keeps, or None."""
    return estimator.frame_rate if frame_rate is None else frame_rate


def usage_or_equal(usage, n_states):
    """Return the time in each state, (n_states,); equal if None."""
    return np.ones(n_states) if usage is None else np.asarray(usage, dtype=float)


def usage_of(estimator, X=None, model_groups=None):
    """Return the fraction of time in each state of a fitted model, (n_states,).

    It is that of ``estimator.predict(X, groups=model_groups)``. If X is None, it is that of the
    states of the fit. A model made from parameters has no such states, so for it the stationary
    distribution is returned.
    """
    n_states = len(estimator.trans_probs_)
    if X is not None:
        return state_usage(estimator.predict(X, groups=model_groups), n_states=n_states)
    if hasattr(estimator, "states_"):
        return state_usage(estimator.states_, n_states=n_states)
    return stationary_distribution(estimator.trans_probs_)


def drawn_states(usage, unused_states):
    """Return the states to draw, increasing: all, or those that `find_unused` does not find."""
    check_flag(unused_states, "unused_states")
    return np.arange(len(usage)) if unused_states else np.flatnonzero(~find_unused(usage))


def left_out_note(n_left_out):
    """Return how many states a display leaves out, as text; empty if it draws all."""
    if n_left_out == 0:
        return ""
    return f"{n_left_out} unused state{'s' if n_left_out > 1 else ''} left out"


def check_groups(groups, n_recordings):
    """Return the names of the groups in order of appearance, and the recordings of each."""
    if groups is None:
        return [""], [np.arange(n_recordings)]
    texts = check_names(groups, n_recordings, "groups")
    names = list(dict.fromkeys(texts))
    return names, [np.flatnonzero(np.array(texts, object) == name) for name in names]


def time_unit(n_timesteps, frame_rate):
    """Return the length of a timestep in a unit that suits `n_timesteps`, and that unit."""
    if frame_rate is None:
        return 1.0, "timesteps"
    frame_rate = check_frame_rate(frame_rate)
    seconds = n_timesteps / frame_rate
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 3 * length:
            return 1 / (frame_rate * length), unit
    return 1 / frame_rate, "s"
