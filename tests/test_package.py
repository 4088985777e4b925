"""The package as it is installed: what importing it needs and leaves alone, and its wheel."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import hhmm
from tests.published import PUBLISHED

ROOT = Path(__file__).parents[1]
# the same in two processes, so that the second has it compiled
SETTINGS = PUBLISHED | {"algorithm": "em", "init": "prior", "max_iter": 2, "verbose": 1}
FIT = (
    f"settings = {SETTINGS}\n"
    "hhmm.EfficientHHMM(2, **settings).fit([[0, 1, 2, 0, 1], [2, 2, 1, 0, 0]])\n"
)
CORE = {"jax", "jaxlib", "numpy", "scipy", "scikit-learn", "optax", "joblib"}


def _run(script):
    command = [sys.executable, "-c", script]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_what_importing_loads_and_leaves_alone():
    """One new process: each check needs that nothing was imported before those ahead of it."""
    script = (
        "import jax, sys\n"
        "jax.config.update('jax_enable_x64', True)\n"
        "before = dict(jax.config.values)\n"
        "import hhmm\n"
        "loaded = ' '.join(sys.modules)\n"
        "modules = sorted({*hhmm.__all__} - {'EfficientHHMM', '__version__', 'report'})\n"
        "assert set(hhmm.__all__) <= set(dir(hhmm))\n"
        "for name in modules:\n"
        "    assert getattr(hhmm, name) is sys.modules[f'hhmm.{name}'], name\n"
        "assert hhmm.plotting.EthogramDisplay.__module__.startswith('hhmm.plotting')\n"
        "hhmm.report\n"
        "assert not {'matplotlib', 'jinja2'} & set(sys.modules)\n"
        "hhmm.plotting.EthogramDisplay([[0, 1]]).plot()\n"
        "assert 'matplotlib' in sys.modules\n"
        "assert dict(jax.config.values) == before\n"
        # the user's configuration, when something is computed
        "jax.config.update('jax_enable_x64', False)\n"
        "before = dict(jax.config.values)\n" + FIT + "assert dict(jax.config.values) == before\n"
        "assert jax.numpy.ones(1).dtype == 'float32'\n"
        "sys.modules['jinja2'] = None\n"
        "try:\n"
        "    hhmm.report(None, None, 'x.html')\n"
        "except ImportError as error:\n"
        "    print(error)\n"
        "print(loaded)\n"
        "print(*modules)\n"
    )
    *_, message, loaded, modules = _run(script).splitlines()
    assert message == (
        "hhmm.report needs jinja2: pip install jinja2, or install hhmm with the extra 'report'"
    )
    loaded, modules = loaded.split(), modules.split()
    unused = {"matplotlib", "h5py", "tqdm", "hhmm.plotting", "hhmm.model_selection"}
    assert not unused & set(loaded)
    folder = ROOT / "hhmm"
    public = {path.stem for path in [*folder.glob("*.py"), *folder.glob("*/__init__.py")]}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    public = {name for name in public | packages if not name.startswith("_")}
    assert set(modules) == public - {"estimator"}


def test_a_misspelt_module_raises_attribute_error():
    with pytest.raises(AttributeError, match="module 'hhmm' has no attribute 'ploting'"):
        _ = hhmm.ploting


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the tree, so that the tree is left as it was."""
    out = tmp_path_factory.mktemp("wheel")
    source = out / "source"
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    for name in filter(None, files):
        if (ROOT / name).exists():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.mark.slow
def test_wheel_holds_the_package_and_its_data_and_no_more(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "hhmm/_report/templates/page.html",
        "hhmm/datasets/data/bengalese_finch.csv.gz",
        "hhmm/py.typed",
    } <= set(names)
    assert all(name.split("/")[0].startswith("hhmm") for name in names)
    metadata_name = next(name for name in names if name.endswith("METADATA"))
    metadata = zipfile.ZipFile(wheel).read(metadata_name).decode()
    required = [
        line.removeprefix("Requires-Dist: ").split(">")[0].strip()
        for line in metadata.splitlines()
        if line.startswith("Requires-Dist") and "extra ==" not in line
    ]
    assert set(required) == CORE


@pytest.mark.slow
def test_wheel_works_with_the_core_packages_only(wheel, tmp_path):
    """Without this tree, and with every extra hidden.

    It imports, reads its data and fits; displays and the demo name the packages that they need.
    """
    zipfile.ZipFile(wheel).extractall(tmp_path)
    script = (
        "import importlib.metadata, sys\n"
        "for name in ('matplotlib', 'tqdm', 'h5py', 'arviz', 'hmmlearn', 'dynamax', 'psutil'):\n"
        "    sys.modules[name] = None\n"
        "import hhmm, hhmm.plotting\n"
        f"assert {str(tmp_path)!r} in hhmm.__file__, hhmm.__file__\n"
        "assert hhmm.__version__ == importlib.metadata.version('hhmm')\n"
        + FIT
        + "assert len(hhmm.datasets.load_bengalese_finch().sequences) == 571\n"
        "try:\n"
        "    hhmm.plotting.StateTransitionDisplay([[1.0]]).plot()\n"
        "except ImportError as error:\n"
        "    assert 'pip install matplotlib, or install hhmm with the extra' in str(error), error\n"
        "else:\n"
        "    raise AssertionError('plotted without matplotlib')\n"
        "from hhmm.__main__ import main\n"
        "raise SystemExit(main([]))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2, result.stderr
    # the last line: that of the demo, and of no error before it
    last = result.stderr.splitlines()[-1]
    assert last == "hhmm demo: The demo needs matplotlib. Run: pip install matplotlib tqdm"
