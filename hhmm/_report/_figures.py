"""Draw the figures of the page as PNG images with captions and alternative texts."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hhmm import plotting
from hhmm._report._material import Findings, Material
from hhmm._report._words import counted, duration, listed, percent, with_state
from hhmm.plotting._figures import import_pyplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 200  # also of the files of the command line
_LONGEST_ROW_NAME = 20  # longer ones are abbreviated in an ethogram
_MOST_ROWS = 60  # of the ethogram, so that names stay readable


class Picture(NamedTuple):
    """A figure of the page."""

    png: bytes
    width: float  # inches
    title: str
    caption: str  # says how to read it
    alt: str  # says what it shows


def make_pictures(material: Material, findings: Findings) -> dict[str, Picture]:
    """Return the figures by the names of their files."""
    drawn: dict[str, Picture] = {}
    plt = import_pyplot()
    with warnings.catch_warnings(), plt.rc_context({"figure.max_open_warning": 0}), plt.ioff():
        warnings.simplefilter("ignore")  # of fonts without a letter of a name
        for name, draw, title, caption, alt in _pictures(material, findings):
            drawn[name] = Picture(*_as_png(draw().figure_), title, caption, alt)
    return drawn


def _pictures(material, findings):
    """Yield name, function that draws, title, caption and alternative text of each figure."""
    yield _ethogram(material, findings)
    yield _usage(material, findings)
    if findings.transitions.any():
        yield _durations(material, findings)
    if material.n_states > 1:
        yield _preferences(material, findings)
    if np.count_nonzero(~findings.is_unused) > 2:
        yield _order(material, findings)
    for i, (factor, comparison) in enumerate(findings.comparisons.items()):
        yield _comparison(f"comparison_{i + 1}", factor, comparison)
    if material.scan is not None:
        yield _scan(material)
    if hasattr(material.model, "log_joint_"):
        yield _log_joint(material)


def _ethogram(material, findings):
    factor = next((name for name in findings.comparisons if name in material.factors), None)
    groups = [""] * len(material.names) if factor is None else material.factors[factor]
    levels = [""]
    if factor is not None:
        levels = findings.comparisons[factor].groups  # the reference first
    names, animals = material.names, material.animals or material.names
    order = sorted(range(len(names)), key=lambda i: (levels.index(groups[i]), _natural(animals[i])))
    order = _thinned(order, groups)
    states = material.states.items()
    rows = _row_names(material)
    sorted_by = f", sorted by {factor}" if factor else ""
    n_left_out = len(names) - len(order)
    left_out = (
        f" {len(order)} of {len(names)} recordings are shown, evenly spaced in each group, and "
        f"{n_left_out} are left out."
        if n_left_out
        else ""
    )
    used = [with_state(material.state_names[k]) for k in np.flatnonzero(~findings.is_unused)]
    return (
        "ethogram",
        lambda: plotting.EthogramDisplay.from_predictions(
            [states[i] for i in order],
            names=[rows[i] for i in order],
            groups=None if factor is None else [groups[i] for i in order],
            n_states=material.n_states,
            state_names=_for_legend(material.state_names),
            frame_rate=material.frame_rate,
        ),
        "Ethogram",
        f"One row for each recording{sorted_by}. The colour shows the state at each moment."
        f"{left_out}",
        f"Ethogram of {counted(len(order), 'recording')}{sorted_by}: bars of colour show when the "
        f"animal was in {listed(used)}.",
    )


def _thinned(order, groups):
    """Return at most about 60 recordings of an order, evenly spaced, of every group its share."""
    if len(order) <= _MOST_ROWS:
        return order
    kept: list[int] = []
    for level in dict.fromkeys(groups[i] for i in order):
        members = [i for i in order if groups[i] == level]
        n_kept = max(1, _MOST_ROWS * len(members) // len(order))
        kept += [members[j * len(members) // n_kept] for j in range(n_kept)]
    return kept


def _natural(name):
    """Return a key that sorts "mouse-2" before "mouse-10"."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _usage(material, findings):
    usage = findings.report.usage
    unit = "a recording" if material.animals is None else "an animal"
    parts = [
        f"{with_state(name)} {percent(share)}"
        for name, share in zip(material.state_names, usage, strict=True)
    ]
    return (
        "usage",
        lambda: plotting.StateUsageDisplay.from_predictions(
            material.states.items(),
            animals=material.animals,
            n_states=material.n_states,
            state_names=material.state_names,
        ),
        "Time in each state",
        f"Fraction of the time in each state. Each dot is {unit}. Black: mean and standard error.",
        f"Fraction of the time in each state: {listed(parts, 20)}.",
    )


def _durations(material, findings):
    factor = 1.0 if material.frame_rate is None else material.frame_rate
    parts = [
        f"{with_state(name)} {duration(dwell * factor, material.frame_rate)}"
        for name, dwell in zip(material.state_names, findings.report.dwell, strict=True)
        if np.isfinite(dwell)
    ]
    alt = (
        f"Distribution of the durations of stays. Means: {listed(parts, 20)}."
        if parts
        else ("Distribution of the durations of stays. No stay was seen to end.")
    )
    return (
        "durations",
        lambda: plotting.DurationDisplay.from_predictions(
            material.states.items(),
            n_states=material.n_states,
            state_names=_for_legend(material.state_names),
            frame_rate=material.frame_rate,
        ),
        "How long states last",
        "Fraction of the stays in a state that last at least as long as the time on the axis.",
        alt,
    )


def _preferences(material, findings):
    changes = findings.syllable_shares - findings.overall_shares
    empty = findings.syllable_counts.sum(axis=1) == 0
    changes[empty] = 0.0
    return (
        "syllables",
        lambda: plotting.SyllablePreferenceDisplay(
            changes,
            syllable_names=[_shortened(name) for name in material.syllable_names],
            state_names=_for_legend(material.state_names),
            usage=findings.report.usage,
        ).plot(n_top=4),
        "Syllables that states promote and suppress",
        "Difference between the share of a syllable in the state and its share in all states. "
        "Blue bars: the state promotes the syllable. Orange bars: it suppresses the syllable. "
        "Numbers or names on the left are the labels of your file.",
        "For each state, the syllables that it promotes and suppresses most, as bars. The table "
        "of states has the promoted syllables as text.",
    )


def _order(material, findings):
    parts = []
    for k in np.flatnonzero(~findings.is_unused):
        if findings.transitions[k].sum():
            after = int(np.argmax(findings.transitions[k]))
            share = findings.transitions[k, after] / findings.transitions[k].sum()
            names = with_state(material.state_names[k]), with_state(material.state_names[after])
            parts.append(f"after {names[0]} most often {names[1]} ({percent(share)})")
    return (
        "order",
        lambda: plotting.StateGraphDisplay.from_predictions(
            material.states.items(), n_states=material.n_states, state_names=material.state_names
        ),
        "Which state follows which",
        "The area of a circle shows the time in the state. The width of an arrow shows how often "
        "the second state follows when the first one ends.",
        f"Graph of states and of the changes between them: {listed(parts, 20)}."
        if parts
        else "Graph of states. No change of state was seen.",
    )


def _comparison(name, factor, comparison):
    n_small = int(
        np.sum(comparison.q_value[np.isin(comparison.quantity, ["usage", "dwell"])] < 0.05)
    )
    return (
        name,
        lambda: plotting.GroupComparisonDisplay.from_comparison(comparison),
        f"Groups of {factor}",
        "Each dot is an animal. Lines: means with intervals. The values above are q values; those "
        "below 0.05 are black.",
        f"Time in each state and duration of states in {listed(comparison.groups)}, each animal "
        f"a dot. {counted(n_small, 'difference')} with q below 0.05.",
    )


def _scan(material):
    summary = material.scan.summary()
    best = int(summary["n_states"][np.argmax(summary["mean_test_score"])])
    return (
        "number_of_states",
        lambda: plotting.ScanDisplay.from_result(material.scan, frame_rate=material.frame_rate),
        "Number of states",
        "Each number of states was fitted to a part of the data and scored on recordings that "
        "the fit had not seen.",
        f"Scores, durations, used states and agreement of seeds against the number of states. "
        f"The score is highest for {best} states.",
    )


def _log_joint(material):
    n_chains, n_iter = np.shape(material.model.log_joint_)
    return (
        "convergence",
        lambda: plotting.LogJointDisplay.from_estimator(material.model),
        "Course of the fit",
        "The log joint probability after each sweep. A fit that has settled is flat on the right, "
        "and all chains reach the same height.",
        f"Log joint probability of {counted(n_chains, 'chain')} over {n_iter} sweeps.",
    )


def _row_names(material):
    """Return names of rows that fit beside them.

    Where names of recordings are long, they are the animals with the number of the recording, or
    the parts in which names differ.
    """
    if max(map(len, material.names)) <= _LONGEST_ROW_NAME:
        return material.names
    if material.animals is None:
        return _different_parts(material.names)
    counts: dict[str, int] = {}
    rows = []
    for animal in material.animals:
        counts[animal] = counts.get(animal, 0) + 1
        rows.append(f"{animal}, {counts[animal]}")
    return rows if max(counts.values()) > 1 else material.animals


def _different_parts(names):
    """Return names without the words with which all of them begin and end."""
    words = [re.findall(r"[^\s_/-]+|[\s_/-]", name) for name in names]
    shortest = min(map(len, words))
    n_begin = 0
    while n_begin < shortest and len({parts[n_begin] for parts in words}) == 1:
        n_begin += 1
    n_end = 0
    while n_end < shortest - n_begin and len({parts[-1 - n_end] for parts in words}) == 1:
        n_end += 1
    if n_begin == shortest or len(names) == 1:
        return names
    return ["".join(parts[n_begin : len(parts) - n_end]).strip() for parts in words]


def _for_legend(names):
    return [f"state {name}" if name.isdigit() else name for name in names]


def _shortened(name):
    return name if len(name) <= 20 else f"{name[:9]}\N{HORIZONTAL ELLIPSIS}{name[-10:]}"


def _as_png(figure: Figure) -> tuple[bytes, float]:
    """Return a figure as a PNG image, and its width in inches; close it."""
    import matplotlib.pyplot as plt

    file = io.BytesIO()
    try:
        # without the empty margins of square figures
        figure.savefig(
            file, format="png", dpi=_DPI, facecolor="white", bbox_inches="tight", pad_inches=0.05
        )
    finally:
        plt.close(figure)
    png = file.getvalue()
    width = int.from_bytes(png[16:20], "big")  # of the header of a PNG file, pixels
    return png, width / _DPI
