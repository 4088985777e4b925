"""Make the virtual environment of the reference implementation, state-moseq.

Its dependencies conflict with those of this library, so this library never imports it.
"""

import subprocess
import sys
import venv
from pathlib import Path

REFERENCE = "state-moseq==0.0.0"
# What it imports. Its own requirements cannot be installed as they are declared.
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
DIRECTORY = Path(__file__).resolve().parent / ".reference"


def ensure_reference_environment():
    """Make the environment unless it exists; complete one that was interrupted.

    Returns
    -------
    python : Path
        Its interpreter.
    """
    python = DIRECTORY / "bin" / "python"
    if _has_reference(python):
        return python
    print(f"making the environment of the reference in {DIRECTORY}", file=sys.stderr)
    if not python.exists():
        venv.create(DIRECTORY, with_pip=True)
    # the reference comes last: where it is installed, everything is
    for arguments in (DEPENDENCIES, ("--no-deps", REFERENCE)):
        subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments], check=True)
    return python


def _has_reference(python):
    if not python.exists():
        return False
    name, version = REFERENCE.split("==")
    check = f"from importlib.metadata import version; assert version({name!r}) == {version!r}"
    return subprocess.run([python, "-c", check], capture_output=True).returncode == 0
