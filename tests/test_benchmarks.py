"""The command lines of the benchmarks, which share no code with the tests."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STUDIES = [path.stem for path in ROOT.glob("benchmarks/studies/[a-z]*.py")]


RUN_ALL = """
import contextlib, io, runpy, sys
for module in sys.argv[1:]:
    text, sys.argv = io.StringIO(), [module, "--help"]
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__")
    assert f"usage: python -m {module}" in text.getvalue(), module
    assert "--quick" in text.getvalue(), module
"""


@pytest.mark.slow
def test_commands_say_what_they_do():
    """All in one process, which imports what they share once."""
    pytest.importorskip("psutil")
    modules = ["benchmarks", *(f"benchmarks.studies.{study}" for study in STUDIES)]
    if importlib.util.find_spec("numpyro") is None:
        modules.remove("benchmarks.studies.posterior")
    command = [sys.executable, "-c", RUN_ALL, *modules]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("folder", "other"), [("tests", "benchmarks"), ("benchmarks", "tests")])
def test_neither_imports_the_other(folder, other):
    paths = [*ROOT.glob(f"{folder}/*.py"), *ROOT.glob(f"{folder}/[a-z]*/**/*.py")]
    assert paths
    for path in paths:
        assert not re.search(rf"^\s*(from|import) {other}\b", path.read_text(), re.MULTILINE), path
