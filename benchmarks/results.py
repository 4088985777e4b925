"""Write the page of results: reStructuredText, tables as literal blocks.

Each command writes a section that says when, where, with what and by which command it was
measured. The page is cut at the titles of its sections, and the one measured anew is replaced.
"""

import datetime
import itertools
import os
import platform
import textwrap
from pathlib import Path

import psutil

# in the order of the page
TITLES = {
    "kernels": "Message passing beside its peers",
    "tutorial": "Tutorial beside the reference",
    "wide": "Wide beside the reference",
    "keypoint": "Keypoint beside the reference",
    "scaling": "Scaling",
    "samplers": "Samplers",
    "recovery": "Recovery",
    "modes": "Modes",
    "calibration": "Calibration",
    "efficiency": "Efficiency",
    "precision": "Precision",
    "posterior": "Posterior",
    "lab": "Simulated lab",
    "learnt": "Learnt scales",
    "comparisons": "Comparisons of groups",
    "groups": "Groups in the model",
    "scale": "Time and memory of large data",
}
HERE = Path(__file__).resolve().parent
_HEAD = """\
Results of the benchmarks
=========================

Medians; ratios are this library over the peer, both measured in one run. The command that a
section names writes that section anew and leaves the others. ``python -m benchmarks`` writes the
first six."""


def describe_machine():
    """Return lines that say when and where, and what else was running, before it is measured."""
    date = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_gb = psutil.virtual_memory().total / 1e9
    load_average = os.getloadavg()[0]
    lines = [
        f"{date}  {_cpu_name()}, {n_cores} cores, {memory_gb:.1f} GB, {platform.system()} "
        f"{platform.machine()}",
        f"python {platform.python_version()}, load average {load_average:.1f} at the start",
    ]
    if load_average > 0.5:
        lines.append("Other work was running: it slows the sides unequally. Run again when quiet.")
    return lines


def output_folder(quick):
    """Return the folder of RESULTS.rst and of the pictures, ``benchmarks/quick`` if `quick`."""
    folder = HERE / "quick" if quick else HERE
    folder.mkdir(exist_ok=True)
    return folder


def write_section(name, text, *, command, machine, versions, quick, has_picture=False):
    """Print a section, and replace it in RESULTS.rst.

    Parameters
    ----------
    name : str
        A key of `TITLES`.
    text : str
        The tables.
    command : str
        The command that makes the section anew.
    machine : list of str
        Lines of `describe_machine`.
    versions : dict of dict of str
        Versions of the libraries, by side.
    quick : bool
        Whether to write to ``benchmarks/quick`` instead.
    has_picture : bool
        Whether there is a picture ``name.png`` beside the page.
    """
    print(text)
    title = TITLES[name]
    lines = list(machine)
    for side, names in versions.items():
        listed = ", ".join(f"{name} {value}" for name, value in names.items())
        lines.append(f"{side + ':':<13}{listed}")
    if len({names["device"] for names in versions.values()}) > 1:
        lines.append("The sides do not compute on the same kind of device: ratios mean little.")
    blocks = [
        f"{title}\n{'-' * len(title)}",
        f"Made anew by ``{command}``. Measured when, where and with what::",
        textwrap.indent("\n".join(lines), "    "),
        "::",
        textwrap.indent(text, "    "),
    ]
    if has_picture:
        blocks.append(f".. image:: {name}.png\n   :alt: {title}")
    path = output_folder(quick) / "RESULTS.rst"
    sections = split(path.read_text()) if path.exists() else {}
    sections[title] = "\n\n".join(blocks)
    path.write_text(join(sections))
    print(f"\nwritten to {path}: {title}", flush=True)


def join(sections):
    """Return the page of sections, which are given by title."""
    ordered = [sections[title] for title in TITLES.values() if title in sections]
    return "\n\n".join([_HEAD, *ordered]) + "\n"


def split(page):
    """Return the sections of a page by title, without what comes before the first.

    A title is a line at the margin that is underlined with as many hyphens. Tables are indented,
    so no rule in them looks like one.
    """
    lines = page.splitlines()
    starts = [
        i
        for i, (line, below) in enumerate(itertools.pairwise(lines))
        if line.strip() and not line[0].isspace() and below == "-" * len(line)
    ]
    ends = [*starts[1:], len(lines)]
    return {
        lines[start]: "\n".join(lines[start:end]).strip()
        for start, end in zip(starts, ends, strict=False)
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
