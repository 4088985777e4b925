"""Hold sequences as runs: stretches of equal labels, with their numbers of timesteps.

At the frame rate of a camera a syllable is held for tens of timesteps, so runs take much less
memory than timesteps do. States are held in the same way.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hhmm._sequences.ragged import MISSING, Bouts, Layout

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
        tables = [find_runs(np.concatenate(sequences), lengths)] if len(sequences) else []
        return cls.join(tables, Layout(False, lengths))

    @classmethod
    def join(cls, tables, layout):
        """Lay runs end to end, tuples as `find_runs` returns them."""
        labels, n_timesteps, n_runs = map(np.concatenate, zip(*tables, strict=True))
        return cls(labels, n_timesteps, n_runs, layout)

    @property
    def lengths(self):
        """Return the number of timesteps of each sequence, (n_sequences,) int64."""
        ends = np.append(0, np.cumsum(self.n_timesteps, dtype=np.int64))
        return np.diff(ends[np.append(0, np.cumsum(self.n_runs))])

    @property
    def begins(self):
        """Return the number of the first run of each sequence, (n_sequences,)."""
        return np.cumsum(self.n_runs) - self.n_runs

    @property
    def of_sequences(self):
        """Return the number of the sequence of each run, (n_runs,)."""
        return np.repeat(np.arange(len(self.n_runs)), self.n_runs)

    @property
    def follows(self):
        """Return whether the run before is of the same sequence, (n_runs,) bool."""
        follows = np.ones(len(self.labels), bool)
        follows[self.begins[self.n_runs > 0]] = False
        return follows

    @property
    def n_used(self):
        """Return the number of timesteps up to the last observed one, (n_sequences,)."""
        return self.without_end().lengths

    @property
    def sequences(self):
        """Return one label a timestep, a list of int32 arrays."""
        values = np.repeat(self.labels, self.n_timesteps)
        return np.split(values, np.cumsum(self.lengths)[:-1])

    def items(self):
        """Return an array-like a sequence, which is read as runs."""
        pairs = zip(*map(self._split, self[:2]), strict=True)
        return [HeldSequence(labels, n_timesteps) for labels, n_timesteps in pairs]

    def one_by_one(self):
        """Yield `sequences`, one at a time."""
        for labels, n_timesteps in zip(*map(self._split, self[:2]), strict=True):
            yield np.repeat(labels, n_timesteps)

    def _split(self, values):
        return np.split(values, np.cumsum(self.n_runs)[:-1])

    def sum_by_sequence(self, values):
        """Sum integers of runs over each sequence, (n_sequences,) int64."""
        n = len(self.n_runs)
        return np.bincount(self.of_sequences, weights=values, minlength=n).astype(np.int64)

    def sum_by_label(self, n_labels):
        """Return the timesteps of each label 0 to n_labels - 1, (n_sequences, n_labels) int64."""
        n_sequences, seen = len(self.n_runs), self.labels >= 0
        cells = (self.of_sequences * n_labels + self.labels)[seen]
        sums = np.bincount(cells, self.n_timesteps[seen], minlength=n_sequences * n_labels)
        return sums.astype(np.int64).reshape(n_sequences, n_labels)

    def part(self, first, stop):
        """Return some sequences, as views."""
        ends = np.append(0, np.cumsum(self.n_runs))
        runs = slice(ends[first], ends[stop])
        n_timesteps = self.layout.n_timesteps[first:stop]
        return RunLengths(
            self.labels[runs],
            self.n_timesteps[runs],
            self.n_runs[first:stop],
            self.layout._replace(n_timesteps=n_timesteps),
        )

    def blocks(self, most=BLOCK_TIMESTEPS):
        """Yield parts of about so many runs at most, with the number of their first sequence."""
        ends = np.cumsum(self.n_runs)
        cuts = np.flatnonzero(np.diff((ends - 1) // most)) + 1
        bounds = [0, *cuts.tolist(), len(ends)]
        for first, stop in pairwise(bounds):
            yield first, self.part(first, stop)

    def without_end(self):
        """Leave out what is missing at the end of sequences."""
        last = (self.begins + self.n_runs)[self.n_runs > 0] - 1
        last = last[self.labels[last] == MISSING]
        if not len(last):
            return self
        n_runs = self.n_runs - np.bincount(self.of_sequences[last], minlength=len(self.n_runs))
        labels, n_timesteps = np.delete(self.labels, last), np.delete(self.n_timesteps, last)
        return self._replace(labels=labels, n_timesteps=n_timesteps, n_runs=n_runs)

    def cut(self, lengths):
        """Return the first `lengths` timesteps of each sequence."""
        after = np.cumsum(self.n_timesteps, dtype=np.int64)
        before = after - self.n_timesteps
        ends = np.append(0, after)[self.begins] + lengths
        n_timesteps = np.minimum(after, np.repeat(ends, self.n_runs)) - before
        kept = n_timesteps > 0
        return self._replace(
            labels=self.labels[kept],
            n_timesteps=n_timesteps[kept].astype(np.int32),
            n_runs=np.bincount(self.of_sequences[kept], minlength=len(self.n_runs)),
        )

    def relabelled(self, labels):
        """Return runs with other labels (n_runs,) int32, of which neighbours may be equal."""
        joins = self.follows & np.append(False, labels[1:] == labels[:-1])[: len(labels)]
        labels, n_timesteps = merge_runs(labels, self.n_timesteps, joins)
        n_runs = np.bincount(self.of_sequences[~joins], minlength=len(self.n_runs))
        return self._replace(labels=labels, n_timesteps=n_timesteps, n_runs=n_runs)

    def find_bouts(self):
        """Return the `Bouts` of all sequences, which are the runs."""
        is_observed, follows = self.labels >= 0, self.follows
        n_timesteps = self.n_timesteps.astype(np.int64)
        return Bouts(
            values=self.labels,
            starts=np.cumsum(n_timesteps) - n_timesteps,
            n_timesteps=n_timesteps,
            is_observed=is_observed,
            has_begin=follows & np.append(False, is_observed)[:-1],
            has_end=np.append(follows, False)[1:] & np.append(is_observed, False)[1:],
            n_in_sequence=self.n_runs,
        )

    def beside(self, other):
        """Cut both into stretches in which neither changes; `other` has the same lengths.

        Returns
        -------
        own, others : (n_stretches,) int
            Numbers of the runs.
        n_timesteps : (n_stretches,) int64
        """
        own, others = (np.cumsum(runs.n_timesteps, dtype=np.int64) for runs in (self, other))
        ends = np.union1d(own, others)
        return (
            np.searchsorted(own, ends),
            np.searchsorted(others, ends),
            np.diff(ends, prepend=0),
        )

    def in_form_of_input(self):
        """Return one label a timestep in the form of the input, -1 on padding."""
        rows = []
        for sequence, n in zip(self.one_by_one(), self.layout.n_timesteps, strict=True):
            row = np.full(n, MISSING, np.int32)
            row[: len(sequence)] = sequence
            rows.append(row)
        return np.stack(rows) if self.layout.is_array else rows

    def locate(self, run, name):
        """Return the place where a run begins, as text."""
        sequence = int(self.of_sequences[run])
        timestep = int(self.n_timesteps[self.begins[sequence] : run].sum())
        return f"{name}, sequence {sequence}, timestep {timestep}"


class HeldSequence:
    """One sequence as runs: an array-like of its timesteps."""

    ndim = 1

    def __init__(self, labels, n_timesteps):
        self._runs = labels, n_timesteps

    @classmethod
    def join(cls, parts):
        """Lay sequences end to end."""
        pairs = zip(*(part.read_runs() for part in parts), strict=True)
        return cls(*merge_equal(*map(np.concatenate, pairs)))

    def read_runs(self):
        """Return labels and timesteps of the runs, (n_runs,) int32 each."""
        return self._runs

    def __len__(self):
        return int(self._runs[1].sum(dtype=np.int64))

    def __array__(self, dtype=None, copy=None):
        del copy  # always one
        return np.repeat(*self._runs).astype(np.int32 if dtype is None else dtype)


def find_runs(values, lengths):
    """Find the runs of sequences that lie end to end.

    Parameters
    ----------
    values : (n_timesteps,) int
    lengths : (n_sequences,) int

    Returns
    -------
    labels, n_timesteps : (n_runs,) int32
    n_runs : (n_sequences,) int64
    """
    ends = np.cumsum(lengths)
    begins = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=begins[1:])
    begins[(ends - lengths)[lengths > 0]] = True
    first = np.flatnonzero(begins)
    n_runs = np.diff(np.searchsorted(first, np.append(0, ends)))
    n_timesteps = np.diff(first, append=len(values)).astype(np.int32)
    return values[first].astype(np.int32), n_timesteps, n_runs


def merge_equal(labels, n_timesteps):
    """Merge neighbours with equal labels, of one sequence; return int32 arrays (n_runs,)."""
    joins = np.append(False, labels[1:] == labels[:-1])[: len(labels)]
    labels, n_timesteps = merge_runs(labels, n_timesteps, joins)
    return labels.astype(np.int32, copy=False), n_timesteps.astype(np.int32, copy=False)


def merge_runs(labels, n_timesteps, joins):
    """Merge each run of which `joins` is True with the one before."""
    if not joins.any():
        return labels, n_timesteps
    first = np.flatnonzero(~joins)
    return labels[first], np.add.reduceat(n_timesteps, first).astype(np.int32)


def joined(runs):
    """Join the `RunLengths` of parts."""
    if len(runs) == 1:
        return runs[0]
    layout = runs[0].layout._replace(
        n_timesteps=np.concatenate([part.layout.n_timesteps for part in runs])
    )
    return RunLengths.join([part[:3] for part in runs], layout)
