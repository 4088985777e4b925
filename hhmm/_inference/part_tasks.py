"""Compute on one part of the data in another process: pure functions of a part and parameters.

A source says where the sequences of a part are read, and how they are laid out. Dask keeps what a
worker has laid out, and gives further tasks of this part to the same worker. Where the worker is
lost, another one lays the part out again.
"""

import functools
from importlib.metadata import version
from typing import NamedTuple

import jax
import numpy as np

from hhmm._inference import compiled, decode, prepare
from hhmm._inference.prepare import Recipe
from hhmm._runtime.files import digest
from hhmm._runtime.precision import double_precision
from hhmm._sequences.ragged import Layout
from hhmm._sequences.run_lengths import RunLengths, joined


class Source(NamedTuple):
    """Sequences of a part."""

    items: list  # each has `read_runs`: recordings in files, or runs in memory
    names: list  # of recordings, or "sequence 3", for errors
    sha256: list  # of the runs of each
    recipe: Recipe


@functools.cache
def versions():
    """Return the versions of the packages that must be the same in all processes, by name."""
    return {name: version(name) for name in ("hhmm", "jax", "jaxlib", "numpy")}


def check_versions(worker, found, expected):
    """Raise RuntimeError where a worker has another version of a package, or lacks it."""
    for name, here in expected.items():
        there = found.get(name)
        if there != here:
            raise RuntimeError(
                f"Dask worker {worker} has {there or 'no'} {name}, and this process has {here}. "
                "Install the same version on all workers."
            )


def run(first, function, expected, *others):
    """Call a function in a worker that has the versions of the process that fits.

    A worker that joins during the fit was not asked before it gets tasks.
    """
    if versions() != expected:
        from distributed import get_worker

        check_versions(get_worker().address, versions(), expected)
    return function(first, *others)


def hold(source):
    """Return a source: its future brings the sequences to a worker once."""
    return source


@double_precision
def lay_out(source):
    """Return a part as it is laid out."""
    return prepare.lay_out(_read(source), source.recipe)


def describe(names, most=5):
    """Return names of recordings as text."""
    if len(names) == 1:
        return f"the recording {names[0]}"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"the recordings {', '.join(names[:most])}{more}"


def digests(runs):
    """Return the SHA-256 of each sequence of `RunLengths`."""
    return [digest(x.astype("<i8") for x in item.read_runs()) for item in runs.items()]


def add(results):
    """Sum the counts and log-likelihoods of parts, in their order, float64."""
    return jax.tree.map(lambda *values: sum(values, start=0.0), *results)


@double_precision
def update_states(part, words, logits, trans_probs, algorithm, settings):
    """Draw the states of a part, or average over them: counts with the log-likelihood.

    Counts of draws are integers, and go back in as few bytes as hold them: with 10 states and 100
    syllables 0.1 to 0.4 MB a part, where float64 takes 0.8.
    """
    _, stats, log_likelihood = _states(part, words, logits, trans_probs, algorithm, settings)
    stats, log_likelihood = jax.device_get((stats, log_likelihood))
    if algorithm == "gibbs":
        stats = jax.tree.map(lambda x: x.astype(np.min_scalar_type(int(x.max()))), stats)
    return stats, log_likelihood


@double_precision
def draw_states(part, words, logits, trans_probs, settings):
    """Draw the states of a part, as `RunLengths`."""
    states, *_ = _states(part, words, logits, trans_probs, "gibbs", settings)
    return part.runs_of_states([states], logits, trans_probs)


@double_precision
def log_likelihoods(part, draws):
    """Return the log-likelihood of each sequence under each draw, (n_draws, n_sequences)."""
    return np.stack([part.sum_terms(decode.log_normalisers(params, part)) for params in draws])


@double_precision
def best_paths(source, params, message_passing):
    """Return the most probable states of a part, as `RunLengths`."""
    recipe = source.recipe
    parts = prepare.laid_out(
        _read(source),
        recipe.terms,
        message_passing,
        every_timestep=True,
        groups=recipe.groups,
    )
    return joined(
        [prepared.runs_of_path(decode.viterbi(params, prepared)) for prepared, _ in parts]
    )


def _states(part, words, logits, trans_probs, algorithm, settings):
    (group,) = part.groups
    return compiled.states_kernel(
        words, logits, trans_probs, group, algorithm=algorithm, settings=settings
    )


def _read(source):
    """Read the sequences of a source, and check that they are those of the beginning."""
    tables = [item.read_runs() for item in source.items]
    tables = [(*table, np.array([len(table[0])])) for table in tables]
    lengths = np.array([table[1].sum(dtype=np.int64) for table in tables])
    runs = RunLengths.join(tables, Layout(False, lengths)).without_end()
    compared = zip(source.names, digests(runs), source.sha256, strict=True)
    changed = [name for name, now, then in compared if now != then]
    if changed:
        raise ValueError(
            f"The labels of {describe(changed)} changed after the fit had begun. Fit again, when "
            "no program writes to these files."
        )
    return runs
