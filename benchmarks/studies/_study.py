"""Run a study from the command line."""

import argparse
import warnings
from pathlib import Path

import jax
import numpy as np

import hhmm
from benchmarks.results import describe_machine, output_folder, write_section


def run_study(path, description, measure, *, draw=None):
    """Parse the command line, measure, and write the section of a study.

    Parameters
    ----------
    path : str
        The file of the study.
    description : str
        Its docstring.
    measure : callable
        ``measure(quick)`` returns the table, or, if `draw` is given, the table and what to draw.
    draw : callable, optional
        ``draw(drawn, path)`` writes a picture (PNG).
    """
    name = Path(path).stem
    command = f"python -m benchmarks.studies.{name}"
    parser = argparse.ArgumentParser(prog=command, description=description.partition("\n")[0])
    parser.add_argument(
        "--quick",
        action="store_true",
        help="less data and fewer seeds; results are written to benchmarks/quick",
    )
    quick = parser.parse_args().quick
    machine = describe_machine()
    # the table says it where chains have not settled or states are hardly used
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = measure(quick)
    if draw is not None:
        text, drawn = text
        draw(drawn, output_folder(quick) / f"{name}.png")
    write_section(
        name,
        text,
        command=f"{command} --quick" if quick else command,
        machine=machine,
        versions={
            "hhmm": {
                "hhmm": hhmm.__version__,
                "jax": jax.__version__,
                "numpy": np.__version__,
                "device": jax.default_backend(),
            }
        },
        quick=quick,
        has_picture=draw is not None,
    )


def split_songs(sequences):
    """Return 456 songs to fit and the others, in a fixed random order."""
    order = np.random.default_rng(0).permutation(len(sequences))
    songs = [sequences[i] for i in order]
    return songs[:456], songs[456:]
