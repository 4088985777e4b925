"""Write numbers and results as a biologist reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hhmm.comparisons import GroupComparison
from hhmm.comparisons._result import ALL_GROUPS, EITHER_STATE, NONE

# A syllable is promoted if its share of the syllables is higher in the state than over all states,
# by at least these.
_SMALLEST_CHANGE = 0.01
_SMALLEST_RATIO = 1.2
_MOST_PROMOTED = 4
_MOST_LISTED = 10
_SPACE = "\N{NO-BREAK SPACE}"  # between a number and its unit


class Caution(NamedTuple):
    """A warning on the page."""

    text: str
    advice: str = ""


def percent(fraction: float) -> str:
    """Return a fraction as text: "18 %", "0.4 %"."""
    if not np.isfinite(fraction):
        return "none"
    value = 100 * fraction
    if 0 < value < 0.05:
        return f"<{_SPACE}0.1{_SPACE}%"
    return f"{value:.0f}{_SPACE}%" if value == 0 or value >= 9.95 else f"{value:.1f}{_SPACE}%"


def duration(n_timesteps: float, frame_rate: float | None) -> str:
    """Return a time as text, in s, min or h, or in timesteps without a frame rate."""
    if not np.isfinite(n_timesteps):
        return "unknown"
    if frame_rate is None:
        shown = f"{n_timesteps:,.0f}" if n_timesteps >= 9.95 else f"{n_timesteps:.2g}"
        return f"{shown}{_SPACE}timestep{'' if shown == '1' else 's'}"
    seconds = n_timesteps / frame_rate
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 0.9995 * length:
            value = seconds / length
            return f"{value:.1f}{_SPACE}{unit}" if value < 99.95 else f"{value:,.0f}{_SPACE}{unit}"
    return f"{seconds:.0f}{_SPACE}s" if seconds >= 9.95 else f"{seconds:.2g}{_SPACE}s"


def number(value: float, figures: int = 3) -> str:
    """Return a number with some significant figures; an en dash if there is none."""
    if not np.isfinite(value):
        return "\N{EN DASH}"
    is_large = abs(value) >= 10**figures
    return (f"{value:,.0f}" if is_large else f"{value:.{figures}g}").replace("-", "\N{MINUS SIGN}")


def p_or_q(value: float) -> str:
    """Return a p or q value as text, "< 0.001" if it is smaller."""
    if not np.isfinite(value):
        return "\N{EN DASH}"
    if value < 0.001:
        return f"<{_SPACE}0.001"
    return f"{value:.3f}" if value < 0.0995 else f"{value:.2f}"


def listed(names: Sequence[str], most: int = _MOST_LISTED) -> str:
    """Return names as text: "a, b and c"; of many, the first and how many there are."""
    names = list(names)
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def counted(n: int, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun: "1 animal", "12 animals"."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def promoted(in_state: np.ndarray, overall: np.ndarray) -> list[int]:
    """Return the syllables that a state promotes most, by their shares (n_syllables,)."""
    change = in_state - overall
    order = np.argsort(-change, kind="stable")[:_MOST_PROMOTED]
    is_clear = (change >= _SMALLEST_CHANGE) & (in_state >= _SMALLEST_RATIO * overall)
    return [int(j) for j in order if is_clear[j]]


def suppressed(in_state: np.ndarray, overall: np.ndarray) -> list[int]:
    """Return the syllables that a state suppresses most, by their shares (n_syllables,)."""
    if not in_state.any():
        return []
    change = overall - in_state
    order = np.argsort(-change, kind="stable")[:_MOST_PROMOTED]
    is_clear = (change >= _SMALLEST_CHANGE) & (overall >= _SMALLEST_RATIO * in_state)
    return [int(j) for j in order if is_clear[j]]


def with_state(name: str) -> str:
    """Return the name of a state for a sentence: "state 2", or the name that the user gave."""
    return f"state {name}" if name.isdigit() else name


def capitalised(text: str) -> str:
    """Return a sentence with a capital letter at its beginning and a full stop at its end."""
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def describe_comparison(comparison: GroupComparison, i: int) -> str:
    """Describe row i of a comparison in a sentence."""
    quantity = comparison.quantity[i]
    first, second = str(comparison.group_1[i]), str(comparison.group_2[i])
    k = comparison.state[i]
    state = "" if k == NONE else with_state(comparison.state_names[k])
    q = p_or_q(comparison.q_value[i])
    q = f"q {q}" if q.startswith("<") else f"q = {q}"
    q = q.replace(" ", _SPACE)
    if first == ALL_GROUPS:
        what = {
            "usage": f"the time in {state} differs between groups",
            "dwell": f"the duration of {state} differs between groups",
            "content": f"the syllables in {state} differ between groups",
            "shared_content": "the use of syllables differs between groups in all states alike",
        }.get(quantity)
        if what is None:
            following = with_state(comparison.state_names[comparison.next_state[i]])
            what = f"how often {following} follows {state} differs between groups"
        return f"{capitalised(what)[:-1]} ({q})."
    ends = ""
    if np.isfinite(comparison.lower[i]):
        low, high = comparison.lower[i], comparison.upper[i]
        level = f"{100 * comparison.confidence_level:g} % interval"
        if quantity == "dwell":
            ends = f"{level} {low:.2f} to {high:.2f}; "
        else:
            ends = f"{level} {points(low)} to {points(high)} points; "
    values = comparison.value_2[i], comparison.value_1[i]
    if quantity == "usage":
        text = (
            f"time in {state}: {percent(values[0])} in {second}, {percent(values[1])} in {first} "
            f"({points(comparison.effect[i])} percentage points, {ends}{q})"
        )
    elif quantity == "dwell":
        rate = 1.0 if comparison.frame_rate is not None else None
        text = (
            f"mean stay in {state}: {duration(values[0], rate)} in {second}, "
            f"{duration(values[1], rate)} in {first}, so {comparison.effect[i]:.2f} times as long "
            f"({ends}{q})"
        )
    elif quantity == "transition":
        following = with_state(comparison.state_names[comparison.next_state[i]])
        text = (
            f"when {state} ends, {following} follows in {percent(values[0])} of the cases in "
            f"{second}, and in {percent(values[1])} in {first} ({ends}{q})"
        )
    elif quantity == "content" and comparison.status[i] == EITHER_STATE:
        text = (
            f"the syllables in one state or in both differ between {second} and {first}, beyond "
            f"what the states have in common ({q}). With two states it cannot be known which one"
        )
    elif quantity == "content":
        text = (
            f"the syllables in {state} differ between {second} and {first}, beyond what all "
            f"states have in common ({q})"
        )
    else:
        text = f"the use of syllables differs between {second} and {first} in all states ({q})"
    return capitalised(text)


def points(fraction: float) -> str:
    """Return a difference of fractions in percentage points, with its sign."""
    value = 100 * fraction
    digits = 0 if abs(value) >= 9.95 else 1
    sign = "+" if round(value, digits) > 0 else ""
    return f"{sign}{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
