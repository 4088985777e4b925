"""Hierarchical hidden Markov models for sequences of behavioural syllables."""

from importlib.metadata import version as _version

from hhmm import datasets, diagnostics, metrics
from hhmm.estimator import EfficientHHMM

__all__ = ["EfficientHHMM", "__version__", "datasets", "diagnostics", "metrics"]

__version__ = _version("hhmm")
