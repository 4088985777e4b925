"""Measure time and memory of fits as recordings grow from minutes to years.

Each size is fitted in a process of its own, from a start that knows the states: 10 states, 100
syllables, held for 40 timesteps on average, recordings of a day at 29 frames a second. Of many
recordings, most are links to eight files. Shown are the median time of a sweep, that of
the whole fit with compiling, and the peak memory of the process. On workers, the memory is
that of the process that fits, and the time has all that goes between processes.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._archive_worker import write_archive
from benchmarks.figures import RULE, quantity, verdict
from benchmarks.studies._study import run_study

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
    lines += ["", *measure_workers()]
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


if __name__ == "__main__":
    run_study(__file__, __doc__, measure)
