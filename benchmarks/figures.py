"""Figures: what was measured on this library and on a peer, medians compared, as one table."""

import statistics
from typing import NamedTuple

from benchmarks.workloads import Target

RULE = "-" * 100
_ROW = "{name:<42}{hhmm:>9}{theirs:>10} {peer:<11}{ratio:>9}{target:>11} {verdict}"


class Figure(NamedTuple):
    """One thing measured on this library, and on one other or on none."""

    workload: str
    name: str
    unit: str  # "s" or "bytes"
    hhmm: list  # values
    peer: str | None = None  # the other library
    theirs: list = ()  # values, empty where the peer was not run
    target: Target | None = None


def summarise(values):
    """Median, minimum, maximum and number of values; None of no values."""
    if not values:
        return None
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "n": len(values),
    }


def judge(figure):
    """A figure with its medians compared, as a dict.

    Parameters
    ----------
    figure : Figure

    Returns
    -------
    judged : dict
        ``ratio`` is this library's median over the peer's, None where the peer was not
        run; ``ratio_of_minima`` beside it says what other work on the machine did to it; ``met``
        says whether the target is met, None where that is open.
    """
    hhmm, theirs = summarise(figure.hhmm), summarise(figure.theirs)
    ratio = hhmm["median"] / theirs["median"] if theirs else None
    target, met = None, None
    if figure.target is not None:
        target = {"limit": figure.target.limit, "of_ratio": figure.target.of_ratio}
        measured = ratio if figure.target.of_ratio else hhmm["median"] / 1e9
        met = None if measured is None else bool(measured <= figure.target.limit)
    return {
        "workload": figure.workload,
        "name": figure.name.strip(),
        "unit": figure.unit,
        "hhmm": hhmm,
        "peer": figure.peer,
        "theirs": theirs,
        "ratio": ratio,
        "ratio_of_minima": hhmm["min"] / theirs["min"] if theirs else None,
        "target": target,
        "met": met,
    }


def table(figures, ours="hhmm"):
    """The figures as one table, medians and their ratio.

    Parameters
    ----------
    figures : list of Figure
    ours : str
        What stands over this library's column.
    """
    heading = _ROW.format(
        name="", hhmm=ours, theirs="peer", peer="", ratio="ratio", target="target", verdict=""
    )
    lines = [heading.rstrip(), RULE]
    previous = None
    for figure in figures:
        if previous is not None and figure.workload != previous:
            lines.append("")
        previous = figure.workload
        judged = judge(figure)
        theirs = judged["theirs"]
        row = _ROW.format(
            name=f"{figure.workload}: {figure.name}",
            hhmm=quantity(judged["hhmm"]["median"], figure.unit),
            theirs=quantity(theirs["median"], figure.unit) if theirs else "-",
            peer=figure.peer if theirs else "",
            ratio=_ratio(judged["ratio"]),
            target=_target(figure.target),
            verdict=verdict(judged["met"]),
        )
        lines.append(row.rstrip())
    return "\n".join(lines)


def verdict(met):
    """Whether a target is met, in a word; nothing where that is open, None."""
    return {None: "", True: "met", False: "MISSED"}[met]


def quantity(value, unit):
    """A value with its unit: "s" as us, ms or s; "bytes" as B, kB, MB or GB."""
    if unit == "bytes":
        for size, name, digits in ((1e9, "GB", 2), (1e6, "MB", 1), (1e3, "kB", 1)):
            if value >= size:
                return f"{value / size:.{digits}f} {name}"
        return f"{value:.0f} B"
    if value < 1e-3:
        return f"{1e6 * value:.1f} us"
    if value < 1:
        return f"{1e3 * value:.1f} ms"
    return f"{value:.2f} s"


def _ratio(ratio):
    if ratio is None:
        return "-"
    if ratio >= 1:
        return f"{ratio:.2f}"
    return f"1/{1 / ratio:.1f}" if ratio > 0.01 else f"1/{1 / ratio:,.0f}"


def _target(target):
    if target is None:
        return ""
    if not target.of_ratio:
        return f"<= {target.limit:g} GB"
    return f"<= {target.limit:g}" if target.limit >= 1 else f"<= 1/{1 / target.limit:g}"
