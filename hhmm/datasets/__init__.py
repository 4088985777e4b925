"""Data: simulated from the model, and real song that comes with the package."""

from hhmm.datasets._bengalese_finch import load_bengalese_finch
from hhmm.datasets._simulated import make_hhmm

__all__ = ["load_bengalese_finch", "make_hhmm"]
