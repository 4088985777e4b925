"""The song that ships with the package."""

import numpy as np

from hhmm.datasets import load_bengalese_finch


def test_song_is_whole():
    song = load_bengalese_finch()
    assert len(song.sequences) == len(song.onsets) == len(song.durations) == 571
    assert len(song.recordings) == 571
    assert sum(map(len, song.sequences)) == 7652
    assert all(x.dtype == np.int32 for x in song.sequences)
    labels = np.concatenate(song.sequences)
    np.testing.assert_array_equal(np.unique(labels), np.arange(9))
    for parts in (song.onsets, song.durations):
        assert [len(x) for x in parts] == [len(x) for x in song.sequences]
    assert min(x.min() for x in song.durations) > 0
    assert all((np.diff(x) > 0).all() for x in song.onsets)
    assert song.sequences[0][:4].tolist() == [0, 0, 0, 1]
    assert "10.6084/m9.figshare.3470165" in song.DESCR
    assert "BSD" in song.DESCR
