"""Imports between the rooms of the package go one way, and there is no cycle of modules."""

import ast
import functools
import graphlib
from pathlib import Path

import hhmm

PACKAGE = Path(hhmm.__file__).parent
# a room imports those before it; those in one line do not know each other
ORDER = (
    ("_types",),
    ("_runtime",),
    ("_validation",),
    ("_sequences",),
    ("_model",),
    ("_emission_solvers", "_messages"),
    ("_inference",),
    ("estimator",),
)
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}


def _statements(node):
    """Yield all statements in a module, a class, a function or a branch; not their expressions."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, field, ()):
            yield child
            yield from _statements(child)


@functools.cache
def _imports():
    """Return pairs of modules of the package: one, and one that it imports anywhere."""
    pairs = []
    modules = {
        ".".join(("hhmm", *path.relative_to(PACKAGE).with_suffix("").parts)): path
        for path in PACKAGE.rglob("*.py")
    }
    for name, path in modules.items():
        for node in _statements(ast.parse(path.read_text())):
            targets = []
            if isinstance(node, ast.ImportFrom):
                targets = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = [t if t in modules else node.module for t in targets]
            elif isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            for target in targets:
                if target.split(".")[0] == "hhmm":
                    pairs.append((name, target))
    return pairs


def _room(module):
    return module.split(".")[1] if "." in module else module


def test_rooms_import_those_before_them_only():
    wrong = []
    for module, target in _imports():
        here, there = _room(module), _room(target)
        if here not in LEVEL or here == there or there == "_optional":
            continue
        if LEVEL.get(there, len(ORDER)) >= LEVEL[here]:  # public modules come last
            wrong.append(f"{module} imports {target}")
    assert not wrong


def test_there_is_no_cycle_of_modules():
    graph = {}
    for module, target in _imports():
        if target not in ("hhmm", module) and module != "hhmm.__init__":
            graph.setdefault(module, set()).add(target)
    assert list(graphlib.TopologicalSorter(graph).static_order())
