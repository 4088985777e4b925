"""The command lines of the benchmarks, which share no code with the tests."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STUDIES = [path.stem for path in ROOT.glob("benchmarks/studies/[a-z]*.py")]


@pytest.mark.slow
@pytest.mark.parametrize("module", ["benchmarks", *(f"benchmarks.studies.{s}" for s in STUDIES)])
def test_commands_say_what_they_do(module):
    pytest.importorskip("psutil")
    if module.endswith("posterior"):
        pytest.importorskip("numpyro")
    command = [sys.executable, "-m", module, "--help"]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert f"usage: python -m {module}" in text
    assert "--quick" in text


@pytest.mark.parametrize(("folder", "other"), [("tests", "benchmarks"), ("benchmarks", "tests")])
def test_neither_imports_the_other(folder, other):
    paths = [*ROOT.glob(f"{folder}/*.py"), *ROOT.glob(f"{folder}/[a-z]*/**/*.py")]
    assert paths
    for path in paths:
        assert not re.search(rf"^\s*(from|import) {other}\b", path.read_text(), re.MULTILINE), path
