"""The virtual environment of the reference implementation, state-moseq.

It stays apart from this library's own environment, because its dependencies are its own; it
is run, never imported from here. To make it by itself::

    python -m benchmarks.reference_env DIRECTORY
"""

import argparse
import subprocess
import sys
import venv
from pathlib import Path

REFERENCE = "state-moseq==0.0.0"
# What it imports; its own requirements cannot be installed as they are declared.
DEPENDENCIES = (
    "dynamax",
    "h5py",
    "vidio",
    "imageio",
    "plotly",
    "opencv-python-headless",
    "scikit-learn",
    "matplotlib",
    "tqdm",
)
DEFAULT_DIRECTORY = Path(__file__).resolve().parent / ".reference"


def ensure_reference_environment(directory):
    """Make the environment unless it is there; one that was left half made is completed.

    Parameters
    ----------
    directory : path

    Returns
    -------
    python : Path
        Its interpreter.
    """
    directory = Path(directory).absolute()
    python = directory / "bin" / "python"
    if _has_reference(python):
        return python
    print(f"making the reference's environment in {directory}", file=sys.stderr)
    if not python.exists():
        venv.create(directory, with_pip=True)
    # the reference comes last: where it is installed, everything is
    for arguments in (DEPENDENCIES, ("--no-deps", REFERENCE)):
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments],
            check=True,
        )
    return python


def _has_reference(python):
    if not python.exists():
        return False
    name, version = REFERENCE.split("==")
    check = f"from importlib.metadata import version; assert version({name!r}) == {version!r}"
    return subprocess.run([python, "-c", check], capture_output=True).returncode == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", nargs="?", default=DEFAULT_DIRECTORY, type=Path)
    print(ensure_reference_environment(parser.parse_args().directory))
