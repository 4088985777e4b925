"""One command: measure, print one table, write JSON."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks import measure, report, workloads
from benchmarks.reference_env import DEFAULT_DIRECTORY, ensure_reference_environment

PARTS = ("tutorial", "wide", "recovery")


def parse_arguments(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="hhmm side by side with the published reference implementation.",
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS)
    )
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument(
        "--json",
        type=Path,
        default=Path(__file__).resolve().parent / "results.json",
        metavar="PATH",
        help="where the figures are written, default %(default)s",
    )
    parser.add_argument(
        "--reference-env",
        type=Path,
        default=DEFAULT_DIRECTORY,
        metavar="DIR",
        help="virtual environment of the reference, made if it is not there, default %(default)s",
    )
    parser.add_argument("--skip-reference", action="store_true", help="measure hhmm alone")
    return parser.parse_args(arguments)


def main():
    """Run what the command line asks for."""
    arguments = parse_arguments()
    repeats = workloads.QUICK if arguments.quick else workloads.FULL
    hhmm, reference = measure.hhmm_side(), None
    # recovery alone needs no reference
    if not arguments.skip_reference and set(arguments.only) != {"recovery"}:
        reference = measure.reference_side(ensure_reference_environment(arguments.reference_env))
    machine = report.describe_machine()
    versions = {"hhmm": measure.versions(hhmm)}
    if reference is not None:
        versions["reference"] = measure.versions(reference)

    figures, recovery = [], None
    with tempfile.TemporaryDirectory() as folder:
        if {"tutorial", "recovery"} & set(arguments.only):
            data = measure.make_data(hhmm, workloads.TUTORIAL, folder)
            if "tutorial" in arguments.only:
                figures += measure.measure_tutorial(hhmm, reference, data, repeats, _say)
            if "recovery" in arguments.only:
                recovery = measure.measure_recovery(hhmm, data, repeats, _say)
        if "wide" in arguments.only:
            data = measure.make_data(hhmm, workloads.WIDE, folder)
            figures += measure.measure_wide(hhmm, reference, data, repeats, _say)

    print(report.header(machine, versions))
    if figures:
        for workload in (workloads.TUTORIAL, workloads.WIDE):
            if workload.name in arguments.only:
                print(workload.describe())
        print(f"\n{report.table(figures)}")
    if recovery is not None:
        print(f"\n{report.recovery_table(recovery)}")
    result = report.as_json(machine, versions, repeats, figures, recovery)
    arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten to {arguments.json}")


def _say(message):
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
