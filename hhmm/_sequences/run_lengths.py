"""Hold sequences as runs: stretches of equal labels, with their numbers of timesteps.

At the frame rate of a camera a syllable is held for tens of timesteps, so runs take much less
memory than timesteps do.
"""

from typing import NamedTuple

import numpy as np

from hhmm._sequences.ragged import MISSING, Layout

# labels of so many timesteps are looked at in one piece
BLOCK_TIMESTEPS = 1 << 22


class RunLengths(NamedTuple):
    """Runs of sequences, laid end to end. Neighbours in a sequence have different labels."""

    labels: np.ndarray  # (n_runs,) int32, -1 where missing
    n_timesteps: np.ndarray  # (n_runs,) int32, at least 1
    n_runs: np.ndarray  # (n_sequences,) int64
    layout: Layout  # with the timesteps that are missing at the end, which have no run here

    @classmethod
    def of(cls, sequences):
        """Find the runs of a list of 1-D int32 arrays."""
        lengths = np.array([len(sequence) for sequence in sequences], np.int64)
        rows = [find_runs(sequence) for sequence in sequences]
        return cls.from_rows(rows, Layout(False, lengths))

    @classmethod
    def from_rows(cls, rows, layout):
        """Lay the runs of sequences end to end, (labels, n_timesteps) each."""
        labels, n_timesteps = zip(*rows, strict=True)
        n_runs = np.array([len(row) for row in labels], np.int64)
        return cls(np.concatenate(labels), np.concatenate(n_timesteps), n_runs, layout)

    @property
    def lengths(self):
        """Return the number of timesteps of each sequence, (n_sequences,) int64."""
        ends = np.append(0, np.cumsum(self.n_timesteps, dtype=np.int64))
        return np.diff(ends[np.append(0, np.cumsum(self.n_runs))])

    @property
    def of_sequence(self):
        """Return the number of the sequence of each run, (n_runs,)."""
        return np.repeat(np.arange(len(self.n_runs)), self.n_runs)

    @property
    def begins(self):
        """Return the number of the first run of each sequence, (n_sequences,)."""
        return np.cumsum(self.n_runs) - self.n_runs

    @property
    def follows(self):
        """Return whether the run before is of the same sequence, (n_runs,) bool."""
        follows = np.ones(len(self.labels), bool)
        follows[self.begins[self.n_runs > 0]] = False
        return follows

    @property
    def sequences(self):
        """Return one label a timestep, a list of int32 arrays."""
        values = np.repeat(self.labels, self.n_timesteps)
        return np.split(values, np.cumsum(self.lengths)[:-1])

    def take(self, numbers):
        """Return the sequences of these numbers."""
        ends = np.cumsum(self.n_runs)
        runs = np.concatenate([np.arange(ends[i] - self.n_runs[i], ends[i]) for i in numbers])
        layout = self.layout._replace(n_timesteps=self.layout.n_timesteps[numbers])
        return RunLengths(self.labels[runs], self.n_timesteps[runs], self.n_runs[numbers], layout)

    def locator(self, name):
        """Return a function that turns the number of a run into the text of its place."""

        def locate(run):
            sequence = int(np.searchsorted(np.cumsum(self.n_runs), run, side="right"))
            timestep = int(self.n_timesteps[self.begins[sequence] : run].sum())
            return f"{name}, sequence {sequence}, timestep {timestep}"

        return locate


def find_runs(labels):
    """Find the runs of one sequence.

    Parameters
    ----------
    labels : (n_timesteps,) int32

    Returns
    -------
    labels, n_timesteps : (n_runs,) int32
    """
    return join_runs(
        labels[first : first + BLOCK_TIMESTEPS] for first in range(0, len(labels), BLOCK_TIMESTEPS)
    )


def join_runs(blocks):
    """Find the runs of one sequence that is read block by block; see `find_runs`."""
    found = [(np.zeros(0, np.int32), np.zeros(0, np.int32))]
    for block in blocks:
        first = np.append(0, np.flatnonzero(block[1:] != block[:-1]) + 1)[: len(block)]
        found.append((block[first], np.diff(first, append=len(block))))
    return merge_runs(*map(np.concatenate, zip(*found, strict=True)))


def merge_runs(labels, n_timesteps):
    """Merge neighbours with the same label; return int32 arrays."""
    begins = np.append(True, labels[1:] != labels[:-1])[: len(labels)]
    if not begins.all():
        n_timesteps = np.add.reduceat(n_timesteps, np.flatnonzero(begins))
        labels = labels[begins]
    return labels.astype(np.int32, copy=False), n_timesteps.astype(np.int32, copy=False)


def without_end(labels, n_timesteps):
    """Leave out what is missing at the end of one sequence."""
    n_used = len(labels) - (len(labels) > 0 and labels[-1] == MISSING)
    return labels[:n_used], n_timesteps[:n_used]
