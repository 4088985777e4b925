"""Data: simulated from the model, real song that comes with the package, and files of others.

Loaders of files return recordings as a list of 1-D arrays, which is the X of
`hhmm.EfficientHHMM`, with their names; `save_states` writes what was inferred under
the same names. `open_recordings` leaves recordings in their files until they are needed.
These functions need pandas and h5py, which are the extra ``io``.
"""

from hhmm.datasets._bengalese_finch import load_bengalese_finch
from hhmm.datasets._keypoint_moseq import (
    load_keypoint_moseq,
    load_keypoint_moseq_csv,
    load_moseq_dataframe,
)
from hhmm.datasets._open_recordings import open_recordings
from hhmm.datasets._save_states import save_states
from hhmm.datasets._simulated import make_hhmm
from hhmm.datasets._tables import load_syllable_csv, load_table

__all__ = [
    "load_bengalese_finch",
    "load_keypoint_moseq",
    "load_keypoint_moseq_csv",
    "load_moseq_dataframe",
    "load_syllable_csv",
    "load_table",
    "make_hhmm",
    "open_recordings",
    "save_states",
]
