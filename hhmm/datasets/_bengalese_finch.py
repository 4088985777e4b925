"""Real song: the syllables of one Bengalese finch."""

import gzip
from importlib.resources import files

import numpy as np
from sklearn.utils import Bunch

_DESCR = """\
Song of one Bengalese finch
---------------------------
571 songs, 7,652 syllables in 9 classes (0 to 8), annotated by hand. One sequence a
song; with each syllable its onset and its duration in seconds, and with each song the
number of the recording it is from. The recordings are sampled at 32 kHz.

Source: Koumura, T. (2016). BirdsongRecognition (Version 1). figshare.
doi:10.6084/m9.figshare.3470165.v1, as distributed with the Python package crowsetta
5.1.2 (BSD 3-Clause licence). Described in Koumura, T. and Okanoya, K. (2016).
Automatic recognition of element classes and boundaries in the birdsong with
variable sequences. PLoS ONE 11(7): e0159188. doi:10.1371/journal.pone.0159188.
"""


def load_bengalese_finch() -> Bunch:
    """Load the annotated songs of one Bengalese finch.

    Returns
    -------
    data : `~sklearn.utils.Bunch`
        sequences : list of 571 ndarrays of int32
            Syllable labels 0 to 8, one array a song, 7,652 in all.
        recordings : ndarray of shape (571,), int
            The recording each song is from; a group label for cross-validation.
        onsets : list of 571 ndarrays of float
            Onset of each syllable in its recording, seconds.
        durations : list of 571 ndarrays of float
            Duration of each syllable, seconds.
        DESCR : str
            Description, source and licence.

    References
    ----------
    .. [1] Koumura, T. and Okanoya, K. (2016). Automatic recognition of element classes
       and boundaries in the birdsong with variable sequences. PLoS ONE 11(7): e0159188.

    Examples
    --------
    >>> from hhmm.datasets import load_bengalese_finch
    >>> song = load_bengalese_finch()
    >>> len(song.sequences), sum(len(s) for s in song.sequences)
    (571, 7652)
    """
    path = files("hhmm.datasets") / "data" / "bengalese_finch.csv.gz"
    with path.open("rb") as compressed, gzip.open(compressed, "rt") as text:
        table = np.genfromtxt(text, delimiter=",", names=True)
    songs = table["song"].astype(int)
    cuts = np.flatnonzero(np.diff(songs)) + 1
    first_rows = np.concatenate([[0], cuts])
    return Bunch(
        sequences=np.split(table["syllable"].astype(np.int32), cuts),
        recordings=table["recording"].astype(int)[first_rows],
        onsets=np.split(table["onset_s"], cuts),
        durations=np.split(table["duration_s"], cuts),
        DESCR=_DESCR,
    )
