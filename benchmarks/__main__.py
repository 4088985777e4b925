"""One command: measure, print one table, write JSON."""

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import report, workloads
from benchmarks.figures import summarise, table
from benchmarks.floor import Rates, floor_table, floors
from benchmarks.kernels import measure_kernels
from benchmarks.recovery import measure_recovery, recovery_table
from benchmarks.reference_env import DEFAULT_DIRECTORY, ensure_reference_environment
from benchmarks.results import Section, page
from benchmarks.scaling import measure_scaling, scaling_tables
from benchmarks.scaling_plot import draw_scaling
from benchmarks.sides import (
    DATA,
    DYNAMAX,
    HHMM,
    HMMLEARN,
    RATES,
    make_data,
    reference_side,
    versions,
)
from benchmarks.sweeps import measure_apart, measure_tutorial
from benchmarks.workloads import TUTORIAL

PARTS = ("kernels", "tutorial", "wide", "keypoint", "recovery", "scaling")
SWEEPS = {"tutorial", "wide", "keypoint"}  # beside the reference


class Parts(NamedTuple):
    """What the parts that were run have given; empty or None where one was not."""

    workloads: list
    figures: list  # of figures.Figure
    recovery: dict | None
    scaling: list  # of scaling.Scaling
    floors: list  # of floor.Floor
    rates: Rates | None


def parse_arguments(arguments=None):
    """The command line."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="hhmm side by side with its peers: the published reference implementation "
        "of the model, and libraries of message passing.",
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS)
    )
    parser.add_argument("--quick", action="store_true", help="less data and fewer repeats")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="PATH",
        help=f"where the figures are written, default {here / 'results.json'}, and with --quick "
        f"{here / 'quick' / 'results.json'}; scaling.png and RESULTS.rst go beside it",
    )
    parser.add_argument(
        "--write-results",
        action="store_true",
        help="write RESULTS.rst, which is written anyway when all parts are run in full",
    )
    parser.add_argument(
        "--reference-env",
        type=Path,
        default=DEFAULT_DIRECTORY,
        metavar="DIR",
        help="virtual environment of the reference, made if it is not there, default %(default)s",
    )
    parser.add_argument("--skip-reference", action="store_true", help="leave the reference out")
    parsed = parser.parse_args(arguments)
    if parsed.json is None:
        parsed.json = (here / "quick" if parsed.quick else here) / "results.json"
    in_full = set(parsed.only) == set(PARTS) and not (parsed.quick or parsed.skip_reference)
    parsed.write_results = parsed.write_results or in_full
    return parsed


def main():
    """Run what the command line asks for."""
    arguments = parse_arguments()
    plan = workloads.QUICK if arguments.quick else workloads.FULL
    only = set(arguments.only)
    reference = None
    if not arguments.skip_reference and SWEEPS & only:
        reference = reference_side(ensure_reference_environment(arguments.reference_env))
    sides = [HHMM]
    sides += [reference] if reference is not None else []
    sides += [DYNAMAX, HMMLEARN] if "kernels" in only else []
    machine = report.describe_machine()
    names = {side.name: versions(side) for side in sides}

    with tempfile.TemporaryDirectory() as folder, DATA.worker() as simulator:
        parts = measure(only, reference, simulator, plan, folder, _say)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    picture = arguments.json.with_name("scaling.png")
    if parts.scaling:
        draw_scaling(parts.scaling, picture)
    header = report.header(machine, names)
    sections = describe(parts, picture.name)
    print("\n\n".join([header, *(section.text for section in sections)]))
    result = report.as_json(machine, names, plan, parts)
    arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten to {arguments.json}")
    if arguments.write_results:
        results = arguments.json.with_name("RESULTS.rst")
        results.write_text(page(header, sections, _command(arguments)))
        print(f"written to {results}")


def measure(only, reference, simulator, plan, folder, say):
    """Run the parts named; returns `Parts`.

    Parameters
    ----------
    only : set of str
        Of `PARTS`.
    reference : sides.Side or None
    simulator : Worker of `sides.DATA`
    plan : workloads.Plan
    folder : path
        For data.
    say : callable
        Told what is going on.
    """
    used, figures, rows = [], [], []
    recovery, scaling, rates = None, [], None

    def floors_of(workload, data, figures):
        states = next(figure for figure in figures if figure.name.strip() == "its states part")
        syllables = np.load(data.syllables, mmap_mode="r")
        return floors(workload, syllables, summarise(states.hhmm)["median"], rates)

    if SWEEPS & only:
        say("rates of the machine")
        with RATES.worker() as worker:
            rates = Rates(**worker.request("rates"))
    if {"kernels", "tutorial", "recovery"} & only:
        used.append(TUTORIAL)
        data = make_data(simulator, TUTORIAL, folder)
        if "kernels" in only:
            figures += measure_kernels(simulator, data, folder, plan, say)
        if "tutorial" in only:
            new = measure_tutorial(reference, data, plan, say)
            figures += new
            rows += floors_of(TUTORIAL, data, new)
        if "recovery" in only:
            recovery = measure_recovery(data, plan, say)
    targets = {
        "wide": {
            "sweep_target": workloads.WIDE_SWEEP,
            "memory_target": workloads.WIDE_MEMORY,
        },
        "keypoint": {
            "sweep_target": workloads.KEYPOINT_SWEEP,
            "states_target": workloads.KEYPOINT_STATES,
            "memory_target": workloads.KEYPOINT_MEMORY,
        },
    }
    for workload in (plan.wide, plan.keypoint):
        if workload.name in only:
            used.append(workload)
            data = make_data(simulator, workload, folder)
            new = measure_apart(workload, reference, data, plan, say, **targets[workload.name])
            figures += new
            rows += floors_of(workload, data, new)
    if "scaling" in only:
        scaling = measure_scaling(simulator, plan, say)
    return Parts(used, figures, recovery, scaling, rows, rates)


def describe(parts, picture):
    """Sections of the results."""
    sections = []
    if parts.figures:
        described = "\n".join(workload.describe() for workload in parts.workloads)
        sections.append(Section("Beside its peers", f"{described}\n\n{table(parts.figures)}"))
    if parts.recovery is not None:
        sections.append(Section("Recovery", recovery_table(parts.recovery)))
    if parts.scaling:
        sections.append(Section("Scaling", scaling_tables(parts.scaling), picture))
    if parts.floors:
        sections.append(Section("Floor", floor_table(parts.floors, parts.rates)))
    return sections


def _command(arguments):
    """The command line that makes these results again."""
    words = ["python", "-m", "benchmarks"]
    words += ["--only", *arguments.only] if set(arguments.only) != set(PARTS) else []
    words += ["--quick"] if arguments.quick else []
    words += ["--skip-reference"] if arguments.skip_reference else []
    if len(words) > 3:
        words.append("--write-results")
    return shlex.join(words)


def _say(message):
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
