"""Hierarchical hidden Markov models for sequences of behavioural syllables.

The public modules and `report` load when they are first used: after ``import hhmm``,
``hhmm.plotting.EthogramDisplay`` imports `hhmm.plotting`.
"""

import importlib
from importlib.metadata import version as _version
from typing import Any

from hhmm.estimator import EfficientHHMM

_SUBMODULES = (
    "callbacks",
    "comparisons",
    "datasets",
    "diagnostics",
    "guide",
    "metrics",
    "model_checks",
    "model_selection",
    "plotting",
    "preprocessing",
)

__all__ = ["EfficientHHMM", "__version__", "report", *_SUBMODULES]

__version__ = _version("hhmm")


def __getattr__(name: str) -> Any:
    if name == "report":
        return importlib.import_module("hhmm._report").report
    if name in _SUBMODULES:
        return importlib.import_module(f"hhmm.{name}")
    raise AttributeError(f"module 'hhmm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, "report"})
