"""One command: measure, print tables, write JSON, and what was measured in full to a page."""

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import report, workloads
from benchmarks.calibration import calibration_table, measure_calibration
from benchmarks.calibration_plot import draw_calibration
from benchmarks.efficiency import efficiency_table, measure_efficiency
from benchmarks.efficiency_plot import draw_efficiency
from benchmarks.figures import summarise, table
from benchmarks.floor import Rates, floor_table, floors
from benchmarks.fuzz import fuzz_table, measure_fuzz
from benchmarks.kernels import measure_kernels
from benchmarks.kills import kills_table, measure_kills
from benchmarks.modes import measure_modes, modes_table
from benchmarks.mutants import measure_mutants, mutants_table
from benchmarks.precision import measure_precision, precision_table
from benchmarks.recovery import measure_recovery, recovery_table
from benchmarks.reference_env import DEFAULT_DIRECTORY, ensure_reference_environment
from benchmarks.results import Section, page
from benchmarks.samplers import Samplers, measure_samplers, samplers_table
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

# each is a section of the page
TITLES = {
    "kernels": "Message passing beside its peers",
    "tutorial": "Tutorial beside the reference",
    "wide": "Wide beside the reference",
    "keypoint": "Keypoint beside the reference",
    "recovery": "Recovery",
    "scaling": "Scaling",
    "samplers": "Samplers",
    "modes": "Modes",
    "calibration": "Calibration",
    "efficiency": "Efficiency",
    "precision": "Precision",
    "kills": "Killed fits",
    "fuzz": "Fuzz",
    "mutants": "Mutants",
}
PARTS = tuple(TITLES)
SWEEPS = {"tutorial", "wide", "keypoint"}  # beside the reference
ON_TUTORIAL = {"kernels", "tutorial", "recovery", "modes"}  # its data


class Parts(NamedTuple):
    """What the parts that were run have given; empty or None where one was not."""

    workloads: dict  # by part, of `workloads.Workload`
    figures: dict  # by part, lists of `figures.Figure`
    floors: dict  # by part, lists of `floor.Floor`
    rates: Rates | None
    recovery: dict | None
    scaling: list  # of scaling.Scaling
    samplers: Samplers | None
    modes: dict | None
    calibration: dict | None
    efficiency: dict | None
    precision: dict | None
    kills: list  # of kills.Kills
    fuzz: dict | None
    mutants: list  # of mutants.Mutants


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
        f"{here / 'quick' / 'results.json'}; pictures and RESULTS.rst go beside it",
    )
    parser.add_argument(
        "--write-results",
        action="store_true",
        help="replace sections of RESULTS.rst, which is done anyway when parts are run in full",
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
    without_peer = parsed.skip_reference and SWEEPS & set(parsed.only)
    parsed.write_results = parsed.write_results or not (parsed.quick or without_peer)
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
    images = draw(parts, arguments.json.parent)
    sections = [
        Section(
            TITLES[part],
            text,
            images.get(part),
            _command(part, arguments),
            report.header(machine, {name: names[name] for name in _sides_of(part, names)}),
        )
        for part, text in describe(parts).items()
    ]
    header = report.header(machine, names)
    print("\n\n".join([header, *(section.text for section in sections)]))
    result = report.as_json(machine, names, plan, parts)
    arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten to {arguments.json}")
    if arguments.write_results:
        results = arguments.json.with_name("RESULTS.rst")
        before = results.read_text() if results.exists() else ""
        results.write_text(page(sections, before, TITLES.values()))
        print(f"written to {results}: {', '.join(section.title for section in sections)}")


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
    used, figures, rows, rates = {}, {}, {}, None

    def run(part, function, *arguments):
        return function(*arguments) if part in only else None

    def floors_of(workload, data, figures):
        states = next(figure for figure in figures if figure.name.strip() == "its states part")
        syllables = np.load(data.syllables, mmap_mode="r")
        return floors(workload, syllables, summarise(states.hhmm)["median"], rates)

    if SWEEPS & only:
        say("rates of the machine")
        with RATES.worker() as worker:
            rates = Rates(**worker.request("rates"))
    tutorial = make_data(simulator, TUTORIAL, folder) if ON_TUTORIAL & only else None
    if "kernels" in only:
        used["kernels"] = TUTORIAL
        figures["kernels"] = measure_kernels(simulator, tutorial, folder, plan, say)
    if "tutorial" in only:
        used["tutorial"] = TUTORIAL
        figures["tutorial"] = measure_tutorial(reference, tutorial, plan, say)
        rows["tutorial"] = floors_of(TUTORIAL, tutorial, figures["tutorial"])
    recovery = run("recovery", measure_recovery, tutorial, plan, say)
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
        part = workload.name
        if part in only:
            used[part] = workload
            data = make_data(simulator, workload, folder)
            figures[part] = measure_apart(workload, reference, data, plan, say, **targets[part])
            rows[part] = floors_of(workload, data, figures[part])
    return Parts(
        used,
        figures,
        rows,
        rates,
        recovery=recovery,
        scaling=run("scaling", measure_scaling, simulator, plan, say) or [],
        samplers=run("samplers", measure_samplers, simulator, plan, folder, say),
        modes=run("modes", measure_modes, tutorial, plan, say),
        calibration=run("calibration", measure_calibration, plan, say),
        efficiency=run("efficiency", measure_efficiency, plan, say),
        precision=run("precision", measure_precision, plan, say),
        kills=run("kills", measure_kills, plan, say) or [],
        fuzz=run("fuzz", measure_fuzz, plan, say),
        mutants=run("mutants", measure_mutants, plan, say) or [],
    )


def draw(parts, folder):
    """Draw the pictures of the parts; returns their file names by part."""
    draw_part = {
        "scaling": draw_scaling,
        "calibration": draw_calibration,
        "efficiency": draw_efficiency,
    }
    images = {}
    for part, draw_it in draw_part.items():
        if getattr(parts, part):
            images[part] = f"{part}.png"
            draw_it(getattr(parts, part), folder / images[part])
    return images


def describe(parts):
    """Results as text, by part."""
    texts = {}
    for part, figures in parts.figures.items():
        texts[part] = f"{parts.workloads[part].describe()}\n\n{table(figures)}"
        if part in parts.floors:
            texts[part] += f"\n\n{floor_table(parts.floors[part], parts.rates)}"
    tables = {
        "recovery": recovery_table,
        "scaling": scaling_tables,
        "samplers": samplers_table,
        "modes": modes_table,
        "calibration": calibration_table,
        "efficiency": efficiency_table,
        "precision": precision_table,
        "kills": kills_table,
        "fuzz": fuzz_table,
        "mutants": mutants_table,
    }
    for part, make_table in tables.items():
        if getattr(parts, part):
            texts[part] = make_table(getattr(parts, part))
    return {part: texts[part] for part in PARTS if part in texts}


def _command(part, arguments):
    """The command line that makes the section of a part again."""
    words = ["python", "-m", "benchmarks", "--only", part]
    words += ["--quick"] if arguments.quick else []
    skips = arguments.skip_reference and part in SWEEPS
    words += ["--skip-reference"] if skips else []
    words += ["--write-results"] if arguments.quick or skips else []
    return shlex.join(words)


def _sides_of(part, names):
    """Names of the sides that a part compares."""
    peers = {DYNAMAX.name, HMMLEARN.name}
    if part == "kernels":
        return [name for name in names if name == HHMM.name or name in peers]
    return [name for name in names if name == HHMM.name or (part in SWEEPS and name not in peers)]


def _say(message):
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
