"""Hierarchical hidden Markov models for sequences of behavioural syllables."""

from importlib.metadata import version as _version

from hhmm import datasets, metrics
from hhmm.estimator import EfficientHHMM

__all__ = ["EfficientHHMM", "__version__", "datasets", "metrics"]

__version__ = _version("hhmm")
