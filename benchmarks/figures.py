"""Compare the medians of this library and of a peer, and lay them out as one table."""

import statistics
from typing import NamedTuple

RULE = "-" * 100
_ROW = "{name:<42}{ours:>9}{theirs:>10} {peer:<11}{ratio:>9}{target:>11} {verdict}"


class Target(NamedTuple):
    """The largest ratio to the peer, or the largest median in GB, that meets the aim."""

    limit: float
    of_ratio: bool = True


class Figure(NamedTuple):
    """One quantity, measured on this library and on one peer or on none."""

    workload: str
    name: str
    unit: str  # "s" or "bytes"
    ours: list  # values
    peer: str | None = None  # the other library
    theirs: list = ()  # values, empty where the peer was not run
    target: Target | None = None

    @property
    def ratio(self):
        """The median of this library over that of the peer; None if the peer was not run."""
        if not self.theirs:
            return None
        return statistics.median(self.ours) / statistics.median(self.theirs)

    @property
    def met(self):
        """Return whether the target is met; None without a target or a peer."""
        if self.target is None:
            return None
        value = self.ratio if self.target.of_ratio else statistics.median(self.ours) / 1e9
        return None if value is None else value <= self.target.limit


def table(figures, ours="hhmm"):
    """Return the figures as one table of medians, their ratios and verdicts.

    Parameters
    ----------
    figures : list of Figure
    ours : str
        The heading of this library's column.
    """
    heading = _ROW.format(
        name="", ours=ours, theirs="peer", peer="", ratio="ratio", target="target", verdict=""
    )
    lines = [heading.rstrip(), RULE]
    for i, figure in enumerate(figures):
        if i and figure.workload != figures[i - 1].workload:
            lines.append("")
        median = statistics.median(figure.theirs) if figure.theirs else None
        row = _ROW.format(
            name=f"{figure.workload}: {figure.name}",
            ours=quantity(statistics.median(figure.ours), figure.unit),
            theirs="-" if median is None else quantity(median, figure.unit),
            peer="" if median is None else figure.peer,
            ratio=_ratio(figure.ratio),
            target=_target(figure.target),
            verdict=verdict(figure.met),
        )
        lines.append(row.rstrip())
    return "\n".join(lines)


def verdict(met):
    """Return "met" or "MISSED"; nothing if that is open, None."""
    return {None: "", True: "met", False: "MISSED"}[met]


def quantity(value, unit):
    """Return a value with its unit: "s" as us, ms or s; "bytes" as B, kB, MB or GB."""
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
