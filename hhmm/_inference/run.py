"""Names that models saved by hhmm 0.1 refer to."""

from hhmm._inference.loop import ChainEnd as End

__all__ = ["End"]
