"""Measure the parts that the command line names, and write their sections of RESULTS.rst."""

import argparse
import tempfile

from benchmarks import workloads
from benchmarks.kernels import measure_kernels
from benchmarks.reference_environment import ensure_reference_environment
from benchmarks.results import describe_machine, output_folder, write_section
from benchmarks.samplers import measure_samplers
from benchmarks.scaling import measure_scaling
from benchmarks.sides import DYNAMAX, HHMM, HMMLEARN, reference_side
from benchmarks.sweeps import measure_sweeps

SWEEPS = ("tutorial", "wide", "keypoint")  # beside the reference
PARTS = ("kernels", *SWEEPS, "scaling", "samplers")


def parse_arguments():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time hhmm side by side with its peers: the published implementation of the "
        "model, and libraries of message passing.",
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS)
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="less data and fewer repetitions; results are written to benchmarks/quick",
    )
    parser.add_argument(
        "--skip-reference",
        action="store_true",
        help="leave the published implementation out; its parts are written to benchmarks/quick",
    )
    return parser.parse_args()


def main():
    """Run the parts in order."""
    arguments = parse_arguments()
    plan = workloads.QUICK if arguments.quick else workloads.FULL
    reference = None
    if set(SWEEPS) & set(arguments.only) and not arguments.skip_reference:
        reference = reference_side(ensure_reference_environment())
    for part in PARTS:
        if part not in arguments.only:
            continue
        sides = [HHMM]
        if part == "kernels":
            sides += [DYNAMAX, HMMLEARN]
        elif part in SWEEPS and reference is not None:
            sides.append(reference)
        # a section without its peer must not replace one with it
        quick = arguments.quick or (part in SWEEPS and reference is None)
        machine = describe_machine()
        versions = {side.name: side.versions() for side in sides}
        with tempfile.TemporaryDirectory() as folder:
            text = _measure(part, plan, reference, folder, output_folder(quick) / f"{part}.png")
        command = f"python -m benchmarks --only {part}"
        write_section(
            part,
            text,
            command=f"{command} --quick" if arguments.quick else command,
            machine=machine,
            versions=versions,
            quick=quick,
            has_picture=part == "scaling",
        )


def _measure(part, plan, reference, folder, picture):
    """Return the tables of a part."""
    if part == "kernels":
        return measure_kernels(plan, folder)
    if part == "scaling":
        return measure_scaling(plan, picture)
    if part == "samplers":
        return measure_samplers(plan, folder)
    of_part = {"tutorial": workloads.TUTORIAL, "wide": plan.wide, "keypoint": plan.keypoint}
    return measure_sweeps(of_part[part], reference, plan, folder)


if __name__ == "__main__":
    main()
