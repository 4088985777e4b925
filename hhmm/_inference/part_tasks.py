"""Compute on one part of the data in another process: pure functions of a source and parameters.

A source says where the sequences of a part are read, and how they are laid out. What a process has
laid out it keeps for the next sweep. That is a cache and no state: any process can make it anew.
"""

import collections
import threading
from typing import Any, NamedTuple

import jax
import numpy as np

from hhmm._inference import compiled, decode
from hhmm._inference.prepare import Recipe, laid_out, lay_out
from hhmm._runtime.files import digest
from hhmm._runtime.keys import key_from_data
from hhmm._runtime.precision import double_precision
from hhmm._sequences.ragged import Layout
from hhmm._sequences.run_lengths import RunLengths, joined

_kept = collections.OrderedDict()  # of _Kept, by fit and part; the last used at the end
_ended = collections.deque(maxlen=1000)  # fits; tasks of theirs may still come
_lock = threading.Lock()


class Source(NamedTuple):
    """Sequences of a part."""

    fit: str  # a name that no other fit has
    items: list  # each has `read_runs`: recordings in files, or runs in memory
    names: list  # of recordings, or "sequence 3", for errors
    sha256: str  # of their runs
    recipe: Recipe


class _Kept:
    def __init__(self):
        self.lock = threading.Lock()
        self.prepared: Any = None


def hold(source):
    """Return a source: its future brings the sequences to a worker once."""
    return source


def forget(fit):
    """Drop what this process keeps of a fit that has ended."""
    with _lock:
        _ended.append(fit)
        for name in [name for name in _kept if name[0] == fit]:
            del _kept[name]


def digest_of(runs):
    """Return the SHA-256 of `RunLengths`."""
    return digest(x.astype("<i8") for x in runs[:3])


def add(*stats):
    """Sum the counts of parts, in their order."""
    return jax.tree.map(lambda *values: sum(values), *stats)


@double_precision
def update_states(source, most_kept, key, logits, trans_probs, algorithm, settings):
    """Draw the states of a part, or average over them: counts with the log-likelihood."""
    _, stats, log_likelihood = _states(
        source, most_kept, key, logits, trans_probs, algorithm, settings
    )
    return jax.device_get((stats, log_likelihood))


@double_precision
def draw_states(source, most_kept, key, logits, trans_probs, settings):
    """Draw the states of a part, as `RunLengths`."""
    states, *_ = _states(source, most_kept, key, logits, trans_probs, "gibbs", settings)
    return _prepared(source, most_kept).runs_of_states([states], logits, trans_probs)


@double_precision
def log_likelihoods(source, most_kept, draws):
    """Return the log-likelihood of each sequence under each draw, (n_draws, n_sequences)."""
    prepared = _prepared(source, most_kept)
    return np.stack(
        [prepared.sum_terms(decode.log_normalisers(params, prepared)) for params in draws]
    )


@double_precision
def best_paths(source, most_kept, params, message_passing):
    """Return the most probable states of a part, as `RunLengths`."""
    del most_kept  # laid out for this alone
    recipe = source.recipe
    parts = laid_out(
        _read(source),
        recipe.terms,
        message_passing,
        every_timestep=True,
        groups=recipe.groups,
    )
    return joined(
        [prepared.runs_of_path(decode.viterbi(params, prepared)) for prepared, _ in parts]
    )


def _states(source, most_kept, key, logits, trans_probs, algorithm, settings):
    (group,) = _prepared(source, most_kept).groups
    return compiled.states_kernel(
        key_from_data(key), logits, trans_probs, group, algorithm=algorithm, settings=settings
    )


def _prepared(source, most_kept):
    """Return a part as it is laid out, made by one thread where several ask for it."""
    name = source.fit, source.recipe.numbers
    with _lock:
        kept = _kept.pop(name, None) or _Kept()
        if source.fit not in _ended:
            _kept[name] = kept
        while len(_kept) > most_kept:
            _kept.popitem(last=False)
    with kept.lock:
        if kept.prepared is None:
            prepared = lay_out(_read(source), source.recipe)
            kept.prepared = prepared._replace(groups=jax.device_put(prepared.groups))
        return kept.prepared


def _read(source):
    """Read the sequences of a source, and check that they are those of the beginning."""
    tables = [item.read_runs() for item in source.items]
    tables = [(*table, np.array([len(table[0])])) for table in tables]
    lengths = np.array([table[1].sum(dtype=np.int64) for table in tables])
    runs = RunLengths.join(tables, Layout(False, lengths)).without_end()
    if digest_of(runs) != source.sha256:
        raise ValueError(
            f"One of {len(source.names)} recordings, {source.names[0]} to {source.names[-1]}, "
            "changed after the fit had begun. Fit again, when no program writes to these files."
        )
    return runs
