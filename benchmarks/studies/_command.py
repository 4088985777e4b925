"""The command line that the studies share."""

import argparse
from pathlib import Path

from benchmarks import report
from benchmarks.results import Section, page
from benchmarks.sides import HHMM, versions
from benchmarks.studies import TITLES

RESULTS = Path(__file__).resolve().parents[1] / "RESULTS.rst"


def parse_arguments(module, description):
    """Parse the command line of a study.

    Parameters
    ----------
    module, description : str
        Name and first line of the study.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.studies.{module}", description=description
    )
    parser.add_argument(
        "--quick", action="store_true", help="less data and fewer seeds; RESULTS.rst is not written"
    )
    return parser.parse_args()


def write_results(module, machine, text):
    """Replace the section of a study in RESULTS.rst.

    Parameters
    ----------
    module : str
        Name of the study.
    machine : dict
        See `benchmarks.report.describe_machine`.
    text : str
        The table.
    """
    section = Section(
        TITLES[module],
        text,
        command=f"python -m benchmarks.studies.{module}",
        header=report.header(machine, {HHMM.name: versions(HHMM)}),
    )
    RESULTS.write_text(page([section], RESULTS.read_text()))
    print(f"written to {RESULTS}: {section.title}")
