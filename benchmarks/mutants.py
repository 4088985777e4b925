"""The *mutants* part: the code with one small error, and whether the tests notice.

cosmic-ray makes the errors: an operator, a comparison or a number exchanged, a condition turned
round, a decorator or a loop taken away. Of all that it could make in a group of modules as many
as the plan says are drawn, every place with equal chance; each is put into a copy of the
repository, and the tests of that group are run until one fails. What no test notices survives:
it is listed, with the reason where it cannot be noticed or is known and left.
"""

import concurrent.futures
import contextlib
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks._processes import REPOSITORY, UNSET
from benchmarks.figures import RULE
from benchmarks.survivors import REASONS

SEED = 0
N_WORKERS = os.cpu_count() or 1
_NOT_COPIED = (".git", ".reference", "__pycache__", "*.egg-info")

# modules, and the tests that are to notice errors in them
GROUPS = {
    "metrics.py": (
        ("hhmm/metrics.py",),
        (
            "tests/test_metrics.py",
            "tests/test_lagged_information.py",
            "tests/test_properties.py",
            "tests/test_displays.py",
        ),
    ),
    "_model": (
        ("hhmm/_model",),
        (
            "tests/test_model.py",
            "tests/test_terms.py",
            "tests/test_held_syllables.py",
            "tests/test_em_and_gradient.py",
            "tests/test_gibbs.py",
        ),
    ),
    "_emission_solvers": (
        ("hhmm/_emission_solvers",),
        (
            "tests/test_emission_solvers.py",
            "tests/test_terms.py",
            "tests/test_scales.py",
            "tests/test_em_and_gradient.py",
        ),
    ),
    "_messages": (
        ("hhmm/_messages",),
        (
            "tests/test_messages.py",
            "tests/test_held_syllables.py",
            "tests/test_parallel.py",
            "tests/test_runs.py",
            "tests/test_lanes.py",
        ),
    ),
}


class Mutant(NamedTuple):
    """One small error."""

    path: str  # of the module
    line: int
    before: str  # the line as it is
    after: str
    code: str  # of the whole module


class Outcome(NamedTuple):
    """What the tests made of a mutant."""

    path: str
    line: int
    before: str
    after: str
    survived: bool


class Mutants(NamedTuple):
    """What became of the mutants of a group."""

    group: str
    n_possible: int
    n_killed: int
    survivors: list  # of Outcome

    @property
    def unexplained(self):
        """Survivors that `REASONS` does not know."""
        return [outcome for outcome in self.survivors if reason_of(outcome) is None]

    @property
    def met(self):
        """Whether all were killed, or are explained."""
        return not self.unexplained


def reason_of(outcome):
    """Why a mutant survives; None where that is not known."""
    return REASONS.get((outcome.path, outcome.before, outcome.after))


def measure_mutants(plan, say):
    """Make ``plan.n_mutants`` mutants of each group, and test them; returns a list of `Mutants`."""
    with tempfile.TemporaryDirectory() as folder:
        copies, cache = queue.SimpleQueue(), Path(folder, "cache")
        for i in range(N_WORKERS):
            copy = Path(folder, f"copy{i}")
            shutil.copytree(REPOSITORY, copy, ignore=shutil.ignore_patterns(*_NOT_COPIED))
            copies.put(copy)
        return [
            _measure_group(group, plan.n_mutants, copies, cache, say=say, seed=seed)
            for seed, group in enumerate(GROUPS)
        ]


def _measure_group(group, n_mutants, copies, cache, *, say, seed):
    paths, tests = GROUPS[group]
    say(f"mutants: {group}, without an error")
    limit = None
    for _ in range(2):  # what the first run compiles the second one finds
        started = time.monotonic()
        copy = copies.get()
        if _fails(copy, tests, cache, limit):
            raise RuntimeError(f"tests of {group} fail without an error: {' '.join(tests)}")
        copies.put(copy)
        # a hang is noticed as well as a wrong result
        limit = 120 + 4 * (time.monotonic() - started)
    mutants = possible_mutants(paths)
    chosen = draw(mutants, n_mutants, np.random.default_rng([SEED, seed]))

    def test(mutant):
        copy = copies.get()
        place = copy / mutant.path
        try:
            place.write_text(mutant.code)
            survived = not _fails(copy, _own_first(tests, mutant.path), cache, limit)
        finally:
            place.write_text((REPOSITORY / mutant.path).read_text())
            copies.put(copy)
        return Outcome(mutant.path, mutant.line, mutant.before, mutant.after, survived)

    outcomes = []
    with concurrent.futures.ThreadPoolExecutor(N_WORKERS) as pool:
        for outcome in pool.map(test, chosen):
            outcomes.append(outcome)
            word = "SURVIVED" if outcome.survived else "killed"
            say(f"mutants: {group}, {len(outcomes)} of {len(chosen)}: {_describe(outcome)}: {word}")
    survivors = [outcome for outcome in outcomes if outcome.survived]
    return Mutants(group, len(mutants), len(outcomes) - len(survivors), survivors)


def _own_first(tests, path):
    """The files of tests, that of the module itself first: most mutants are killed there."""
    return sorted(tests, key=lambda name: name != f"tests/test_{Path(path).stem}.py")


def possible_mutants(paths):
    """All mutants of modules and packages that compile, a list of `Mutant`."""
    found = []
    for path in paths:
        place = REPOSITORY / path
        for module in sorted(place.glob("*.py")) if place.is_dir() else [place]:
            found += _mutants_of(module)
    return found


def _mutants_of(module):
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code

    source = module.read_text()
    lines, nodes = source.splitlines(), list(ast_nodes(get_ast(source)))
    found, seen = [], set()
    for name in plugins.operator_names():
        kind = plugins.get_operator(name)
        if kind.arguments() or _means_little(name):
            continue
        positions = [start for node in nodes for start, _ in kind().mutation_positions(node)]
        for occurrence, (line, _) in enumerate(positions):
            code = mutate_code(source, kind(), occurrence)
            if code is None or code in seen or not _compiles(code):
                continue
            seen.add(code)
            changed = [
                (old, new) for old, new in zip(lines, code.splitlines(), strict=False) if old != new
            ]
            before, after = changed[0] if changed else (lines[line - 1], "")
            found.append(
                Mutant(
                    str(module.relative_to(REPOSITORY)),
                    line,
                    before.strip(),
                    after.strip(),
                    code,
                )
            )
    return found


def _compiles(code):
    with contextlib.suppress(SyntaxError):
        compile(code, "mutant", "exec")
        return True
    return False


def _means_little(operator):
    """Whether an operator makes what fails wherever it is reached: there are no bits here."""
    bitwise = ("BitAnd", "BitOr", "BitXor", "LShift", "RShift")
    return operator.startswith("core/ReplaceBinaryOperator") and operator.endswith(bitwise)


def draw(mutants, n, rng):
    """Some of the mutants, each place in the code with equal chance."""
    by_place = {}
    for mutant in mutants:
        by_place.setdefault((mutant.path, mutant.line, mutant.before), []).append(mutant)
    places = list(by_place.values())
    chosen = rng.permutation(len(places))[:n]
    return [places[i][rng.integers(len(places[i]))] for i in chosen]


def _fails(copy, tests, cache, limit):
    """Whether a test fails, or they take longer than the limit in seconds."""
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    environment |= {
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-o", "addopts=", "-p"]
    command += ["no:cacheprovider", *tests]
    try:
        code = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=limit,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return True
    return code != 0


def mutants_table(groups):
    """A row a group, what survives and why, and the verdict."""
    lines = [
        f"mutants: one small error at a time, a sample of all places, seed {SEED}",
        f"{'modules':<28}{'possible':>10}{'made':>8}{'killed':>8}{'explained':>11}{'left':>6}",
        RULE,
    ]
    for row in groups:
        n_left = len(row.unexplained)
        lines.append(
            f"{row.group:<28}{row.n_possible:>10,}{row.n_killed + len(row.survivors):>8}"
            f"{row.n_killed:>8}{len(row.survivors) - n_left:>11}{n_left:>6}"
        )
    for outcome in (outcome for row in groups for outcome in row.survivors):
        lines += [_describe(outcome), f"    {reason_of(outcome) or 'not explained'}"]
    met = all(row.met for row in groups)
    lines.append(f"every mutant is killed or explained: {'met' if met else 'MISSED'}")
    return "\n".join(lines)


def _describe(outcome):
    return f"{outcome.path}:{outcome.line}: {outcome.before}\n    -> {outcome.after}"
