"""Figures as one table, verdicts beside the targets, and all of it as JSON."""

import datetime
import os
import platform
import statistics

import psutil

from benchmarks import workloads

_ROW = "{name:<44}{hhmm:>10}{reference:>12}{ratio:>10}{target:>12}  {verdict}"


def describe_machine():
    """The machine and the moment."""
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "cpu": _cpu_name(),
        "cores": len(psutil.Process().cpu_affinity())
        if hasattr(psutil.Process, "cpu_affinity")
        else psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
    }


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
    figure : measure.Figure

    Returns
    -------
    judged : dict
        ``ratio`` is this library's median over the reference's, None where there is no
        reference; ``ratio_of_minima`` beside it says what other work on the machine did to
        it; ``met`` says whether the target is met, None where that is open.
    """
    hhmm, reference = summarise(figure.hhmm), summarise(figure.reference)
    ratio = hhmm["median"] / reference["median"] if reference else None
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
        "reference": reference,
        "ratio": ratio,
        "ratio_of_minima": hhmm["min"] / reference["min"] if reference else None,
        "target": target,
        "met": met,
    }


def count_recovered(recovery):
    """Seeds that recovered, by the last log joint and by the mean over the last quarter."""
    seeds = recovery["seeds"]
    return {
        "n_seeds": len(seeds),
        "n_recovered": sum(fit["recovered"] for fit in seeds),
        "n_recovered_last_quarter": sum(fit["recovered_last_quarter"] for fit in seeds),
        "target": workloads.RECOVERY_SEEDS,
    }


def header(machine, versions):
    """Lines that say where, when and with what this was measured."""
    lines = [
        f"{machine['date']}  {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gb']:g} GB, {machine['system']}",
        f"python {machine['python']}, load average {machine['load_average']:.1f} at the start",
    ]
    for side, names in versions.items():
        listed = ", ".join(f"{name} {value}" for name, value in names.items())
        lines.append(f"{side + ':':<11}{listed}")
    if machine["load_average"] > 0.5:
        lines.append("Other work was running: it slows the sides unequally. Run again when quiet.")
    if len({names["device"] for names in versions.values()}) > 1:
        lines.append("The sides do not compute on the same kind of device: ratios say little.")
    return "\n".join(lines)


def table(figures):
    """The figures as one table, medians and their ratio.

    Parameters
    ----------
    figures : list of measure.Figure
    """
    heading = _ROW.format(
        name="", hhmm="hhmm", reference="reference", ratio="ratio", target="target", verdict=""
    )
    lines = [heading.rstrip(), "-" * 100]
    previous = None
    for figure in figures:
        if previous is not None and figure.workload != previous:
            lines.append("")
        previous = figure.workload
        judged = judge(figure)
        reference = judged["reference"]
        row = _ROW.format(
            name=f"{figure.workload}: {figure.name}",
            hhmm=_quantity(judged["hhmm"]["median"], figure.unit),
            reference=_quantity(reference["median"], figure.unit) if reference else "-",
            ratio=_ratio(judged["ratio"]),
            target=_target(figure.target),
            verdict={None: "", True: "met", False: "MISSED"}[judged["met"]],
        )
        lines.append(row.rstrip())
    return "\n".join(lines)


def recovery_table(recovery):
    """Accuracy and log joint of each seed beside the true parameters', and the verdict."""
    truth, counts = recovery["truth"], count_recovered(recovery)
    lines = [
        f"recovery: tutorial data, {workloads.RECOVERY_SWEEPS} sweeps; under the true parameters "
        f"accuracy {truth['accuracy']:.4f},",
        f"log joint {truth['log_joint']:,.1f}. Differences from those:",
        f"{'seed':>6}{'accuracy':>12}{'difference':>12}{'last log joint':>16}"
        f"{'last quarter':>14}{'fit':>10}",
        "-" * 100,
    ]
    for fit in recovery["seeds"]:
        lines.append(
            f"{fit['seed']:>6}{fit['accuracy']:>12.4f}"
            f"{fit['accuracy'] - truth['accuracy']:>+12.4f}"
            f"{fit['log_joint'] - truth['log_joint']:>+16,.1f}"
            f"{fit['log_joint_last_quarter'] - truth['log_joint']:>+14,.1f}"
            f"{fit['fit_seconds']:>8.2f} s"
            f"{'   recovered' if fit['recovered'] else ''}"
        )
    verdict = "met" if counts["n_recovered"] >= counts["target"] else "MISSED"
    lines += [
        f"{counts['n_recovered']} of {counts['n_seeds']} seeds within "
        f"{workloads.RECOVERY_ACCURACY} accuracy and {workloads.RECOVERY_NATS:.0f} nats "
        f"({counts['n_recovered_last_quarter']} by the last quarter's mean); "
        f"target {counts['target']}: {verdict}",
    ]
    return "\n".join(lines)


def as_json(machine, versions, repeats, figures, recovery):
    """Everything, with minima and maxima, as one JSON-ready dict."""
    return {
        "machine": machine,
        "versions": versions,
        "repeats": repeats._asdict(),
        "workloads": [workload._asdict() for workload in (workloads.TUTORIAL, workloads.WIDE)],
        "figures": [judge(figure) for figure in figures],
        "recovery": None if recovery is None else {**recovery, **count_recovered(recovery)},
    }


def _cpu_name():
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            for line in cpuinfo:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _quantity(value, unit):
    if unit == "bytes":
        return f"{value / 1e9:.2f} GB"
    if value < 1:
        return f"{1e3 * value:.1f} ms"
    return f"{value:.2f} s"


def _ratio(ratio):
    if ratio is None:
        return "-"
    return f"1/{1 / ratio:.1f}" if ratio < 1 else f"{ratio:.2f}"


def _target(target):
    if target is None:
        return ""
    return f"<= 1/{1 / target.limit:g}" if target.of_ratio else f"<= {target.limit:g} GB"
