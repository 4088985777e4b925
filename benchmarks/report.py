"""Where and with what it was measured, and all of it as JSON."""

import datetime
import itertools
import os
import platform

import psutil

from benchmarks.figures import judge
from benchmarks.floor import floor_as_json
from benchmarks.samplers import samplers_as_json
from benchmarks.scaling import scaling_as_json


def describe_machine():
    """The machine and the moment."""
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "cpu": _cpu_name(),
        "cores": count_cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
    }


def count_cores():
    """Cores that this process may use."""
    if hasattr(psutil.Process, "cpu_affinity"):
        return len(psutil.Process().cpu_affinity())
    return psutil.cpu_count()


def header(machine, versions):
    """Lines that say where, when and with what this was measured."""
    lines = [
        f"{machine['date']}  {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gb']:g} GB, {machine['system']}",
        f"python {machine['python']}, load average {machine['load_average']:.1f} at the start",
    ]
    for side, names in versions.items():
        listed = ", ".join(f"{name} {value}" for name, value in names.items())
        lines.append(f"{side + ':':<13}{listed}")
    if machine["load_average"] > 0.5:
        lines.append("Other work was running: it slows the sides unequally. Run again when quiet.")
    if len({names["device"] for names in versions.values()}) > 1:
        lines.append("The sides do not compute on the same kind of device: ratios say little.")
    return "\n".join(lines)


def as_json(machine, versions, plan, parts):
    """Everything, with minima and maxima, as one JSON-ready dict.

    Parameters
    ----------
    machine, versions : dict
    plan : workloads.Plan
    parts : Parts of the command, see `benchmarks.__main__`
    """
    counts = {name: value for name, value in plan._asdict().items() if not isinstance(value, tuple)}
    return {
        "machine": machine,
        "versions": versions,
        "plan": counts,
        "workloads": [workload._asdict() for workload in dict.fromkeys(parts.workloads.values())],
        "figures": [judge(figure) for part in parts.figures.values() for figure in part],
        "recovery": parts.recovery,
        "scaling": scaling_as_json(parts.scaling) if parts.scaling else None,
        "floor": floor_as_json(list(itertools.chain(*parts.floors.values())), parts.rates)
        if parts.floors
        else None,
        "samplers": samplers_as_json(parts.samplers) if parts.samplers else None,
        "modes": parts.modes,
        "calibration": parts.calibration,
        "efficiency": parts.efficiency,
        "precision": parts.precision,
        "kills": [row._asdict() for row in parts.kills],
        "fuzz": parts.fuzz,
        "mutants": [row._asdict() for row in parts.mutants],
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
