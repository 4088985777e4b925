"""Measure time and memory of fits as recordings grow from minutes to years.

Each size is fitted in a process of its own, from a start that knows the states: 10 states, 100
syllables, held for 40 timesteps on average, recordings of a day at 29 frames a second. Of many
recordings, most are links to eight files. Shown are the median time of a sweep, that of
the whole fit with compiling, and the peak memory of the process. On workers, the memory is
that of the process that fits, and the time has all that goes between processes.

What goes between processes is timed alone too: a sweep of eight parts whose tasks return counts and
compute none, beside as many empty tasks of Dask, turn and turn about.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks._archive_worker import N_STATES, N_SYLLABLES, workers, write_archive
from benchmarks.figures import RULE, quantity, verdict
from benchmarks.studies._study import run_study
from hhmm._emission_solvers import Newton
from hhmm._inference import part_tasks
from hhmm._inference.chain import Settings
from hhmm._inference.dask_parts import DaskParts, active_client
from hhmm._inference.prepare import recipes
from hhmm._model.terms import Terms
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import EmissionLogits, SufficientStats

N_TIMESTEPS = 2_500_000
N_SWEEPS = 6
# timesteps in all, where they are, GB that must be enough
SIZES = [
    (10**7, "files", None),
    (10**8, "files", None),
    (3 * 10**8, "memory", 2.0),
    (3 * 10**8, "files", 1.5),
    (10**9, "files", 3.0),
]
MOST_TIMES_LONGER = 10.5  # a sweep of 10^9 timesteps over one of 10^8
# 40 recordings of four hours, on workers and in this process
N_SHARED, N_TIMESTEPS_SHARED, N_WORKERS = 40, 432_000, 2
MOST_ON_WORKERS = 1.25
N_PARTS, N_TURNS = 8, 60
_ROW = "{n:>15}  {where:<10}{sweep:>10}{per:>16}{fit:>10}{data:>15}{peak:>9}  {judged}"


def fit(where, n_recordings, n_timesteps, n_workers=0):
    """Fit in a process of its own; return what it took."""
    arguments = map(str, (where, n_recordings, n_timesteps, N_SWEEPS, n_workers))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._archive_worker", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(quick):
    """Return the table."""
    sizes = SIZES[:1] if quick else SIZES
    lines = [
        _ROW.format(
            n="timesteps",
            where="from",
            sweep="a sweep",
            per="a timestep",
            fit="a fit",
            data="memory: data",
            peak="peak",
            judged="",
        ),
        RULE,
    ]
    seconds = {}
    for n, where, most in sizes:
        n_recordings = n // N_TIMESTEPS
        with tempfile.TemporaryDirectory() as folder:
            if where == "files":
                write_archive(Path(folder), n_recordings, N_TIMESTEPS)
            took = fit(folder if where == "files" else where, n_recordings, N_TIMESTEPS)
        seconds[n] = took["sweep"]
        peak = took["peak"] / 1e9
        lines.append(
            _ROW.format(
                n=f"{n:,}",
                where=where,
                sweep=quantity(took["sweep"], "s"),
                per=f"{took['sweep'] / n * 1e9:.1f} ns",
                fit=quantity(took["fit"], "s"),
                data=f"{took['data'] / 1e9:.1f} GB",
                peak=f"{peak:.1f} GB",
                judged="" if most is None else f"<= {most} GB {verdict(peak <= most)}",
            )
        )
        print(lines[-1], flush=True)
    if not quick:
        ratio = seconds[10**9] / seconds[10**8]
        judged = verdict(ratio <= MOST_TIMES_LONGER)
        lines.append(f"10^9 over 10^8 timesteps: {ratio:.1f} (<= {MOST_TIMES_LONGER}) {judged}")
    lines += ["", *measure_workers(), "", measure_engine()]
    return "\n".join(lines)


def measure_workers():
    """Return lines about a cluster of this machine beside one process."""
    with tempfile.TemporaryDirectory() as folder:
        write_archive(Path(folder), N_SHARED, N_TIMESTEPS_SHARED)
        took = [fit(folder, N_SHARED, N_TIMESTEPS_SHARED, n) for n in (0, N_WORKERS)]
    ratio = took[1]["sweep"] / took[0]["sweep"]
    here, there = (quantity(x["sweep"], "s") for x in took)
    return [
        f"{N_SHARED} x {N_TIMESTEPS_SHARED:,} timesteps, a sweep: {here} here, {there} on "
        f"{N_WORKERS} local workers:",
        f"{ratio:.2f} (<= {MOST_ON_WORKERS}) {verdict(ratio <= MOST_ON_WORKERS)}",
    ]


def measure_engine():
    """Return a line about what a sweep costs on workers beside the kernels."""
    rng = np.random.default_rng(0)
    sequences = RunLengths.of(rng.integers(N_SYLLABLES, size=(N_PARTS, 100), dtype=np.int32))
    terms = Terms(N_STATES, N_SYLLABLES)
    (recipe,) = recipes(sequences, terms, "auto", every_timestep=False, is_shared=True)
    of_parts = [recipe._replace(numbers=(i, i + 1)) for i in range(N_PARTS)]
    base, biases = np.zeros((N_SYLLABLES, N_SYLLABLES)), np.zeros((N_STATES, N_SYLLABLES))
    params = EmissionLogits(base, biases), np.full((N_STATES, N_STATES), 1 / N_STATES)
    settings = Settings(Newton(1), "laplace", recipe.choice.backend, terms)

    def update_states(part, *_, n_states=N_STATES, n_syllables=N_SYLLABLES):
        trans_counts = np.zeros((n_states, n_states), np.uint16)
        counts = np.zeros((n_states, n_syllables, n_syllables), np.uint8)
        return SufficientStats(trans_counts, counts), np.float64(0)

    def sweep():
        with mock.patch.object(part_tasks, "update_states", update_states):
            parts.update_states(words, *params, algorithm="gibbs", settings=settings)

    def nothing():
        client.gather(client.map(int, range(N_PARTS), pure=False))

    seconds = {sweep: [], nothing: []}
    with workers(N_WORKERS):
        client, words = active_client(), np.zeros(2, np.uint32)
        parts = DaskParts(client, sequences.items(), sequences, of_parts)
        for turn in range(-1, N_TURNS):
            for call, taken in seconds.items():
                began = time.perf_counter()
                call()
                if turn >= 0:  # workers compile nothing, but import in the first one
                    taken.append(time.perf_counter() - began)
    whole, empty = (quantity(statistics.median(taken), "s") for taken in seconds.values())
    return f"{N_PARTS} parts, all of a sweep but kernels: {whole}; as many empty tasks: {empty}"


if __name__ == "__main__":
    run_study(__file__, __doc__, measure)
