"""The *fuzz* part: every public function and method, called with random and hostile inputs.

Inputs are valid ones with one or two arguments exchanged for something else or changed a little:
other types, shapes and dtypes, NaN, huge and negative numbers, masked arrays, data frames, sparse
matrices, files with bytes changed. What does not make sense must be refused by a ValueError, a
TypeError or a NotFittedError (and by an OSError where a path is taken); no call may hang, end the
process, or leave an estimator changed that it failed on. An input follows from its seed and index
alone. Calls are made in a process of their own, which is started again where it ends.
"""

import collections
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks._processes import REPOSITORY, UNSET
from benchmarks.figures import RULE

SEED = 0
SLICE = 20_000  # inputs a process: what it compiles takes memory
COLUMNS = ("returned", "ValueError", "TypeError", "NotFittedError", "other")
# most kernels take longer to compile than they run
SETTINGS = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
_MOST_SHOWN = 30


class Outcome(NamedTuple):
    """What became of an input."""

    index: int
    name: str  # of the function or method
    kind: str  # "returned", the name of an exception, "hang" or the exit code of the process
    wrong: bool
    detail: str


def measure_fuzz(plan, say):
    """Make ``plan.n_fuzz`` inputs.

    Returns
    -------
    fuzz : dict
        ``n_inputs``; ``functions``, by name how many calls ended how; ``findings``, a dict each
        with ``index``, ``name``, ``kind`` and ``detail``; ``met``.
    """
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        cache = {"JAX_COMPILATION_CACHE_DIR": folder}
        for start in range(0, plan.n_fuzz, SLICE):
            stop = min(start + SLICE, plan.n_fuzz)
            say(f"fuzz: {start:,} of {plan.n_fuzz:,} inputs, {_n_wrong(outcomes)} of them wrong")
            outcomes += _run(start, stop, cache)
    return summarise(outcomes)


def summarise(outcomes):
    """What became of `Outcome`s; see `measure_fuzz`."""
    functions = {}
    for outcome in outcomes:
        counts = functions.setdefault(outcome.name, collections.Counter())
        counts[outcome.kind] += 1
    findings = [outcome._asdict() for outcome in outcomes if outcome.wrong]
    return {
        "seed": SEED,
        "n_inputs": len(outcomes),
        "functions": {name: dict(functions[name]) for name in sorted(functions)},
        "findings": findings,
        "met": not findings,
    }


def fuzz_table(fuzz):
    """A row a function, what is wrong, and the verdict."""
    lines = [
        f"fuzz: random and hostile inputs, seed {fuzz['seed']}; how calls ended",
        f"{'function':<42}{'inputs':>8}{'returned':>10}"
        f"{'ValueError':>12}{'TypeError':>11}{'unfitted':>10}{'other':>7}",
        RULE,
    ]
    for name, counts in fuzz["functions"].items():
        *known, other = _by_column(counts)
        widths = (10, 12, 11, 10)
        cells = "".join(f"{n:>{width},}" for n, width in zip(known, widths, strict=True))
        lines.append(f"{name:<42}{sum(counts.values()):>8,}{cells}{other:>7,}")
    others = collections.Counter()
    for counts in fuzz["functions"].values():
        others.update({kind: n for kind, n in counts.items() if _column(kind) == "other"})
    if others:
        lines.append("other: " + ", ".join(f"{kind} {n:,}" for kind, n in others.most_common(8)))
    for finding in fuzz["findings"][:_MOST_SHOWN]:
        text = " ".join(f"{finding['kind']}: {finding['detail']}".split())
        lines += [f"input {finding['index']}, {finding['name']}:", f"    {text[:95]}"]
    lines.append(
        f"{fuzz['n_inputs']:,} inputs, {len(fuzz['findings'])} that were neither taken nor "
        f"refused: {'met' if fuzz['met'] else 'MISSED'}"
    )
    return "\n".join(lines)


def _run(start, stop, cache):
    """Outcomes of the inputs of these indices; a process for as many as it survives."""
    outcomes = []
    while start + len(outcomes) < stop:
        begun, done, code, errors = _call(start + len(outcomes), stop, cache)
        outcomes += done
        if len(begun) > len(done):
            kind = "hang" if errors.startswith("Timeout") else f"exit code {code}"
            outcomes.append(Outcome(*begun[-1], kind, True, errors[-300:]))
        elif start + len(outcomes) < stop:
            raise RuntimeError(f"the process that makes inputs failed:\n{errors[-3000:]}")
    return outcomes


def _call(first, stop, cache):
    """What a process made of inputs.

    Returns
    -------
    begun : list of (index, name)
    done : list of Outcome
    code : int
        Its exit code.
    errors : str
        What it complained of.
    """
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    command = [sys.executable, "-m", "benchmarks._fuzz_worker", str(SEED), str(first), str(stop)]
    with tempfile.TemporaryDirectory() as folder:
        replies, errors = Path(folder, "replies"), Path(folder, "errors")
        with open(replies, "wb") as out, open(errors, "wb") as err:
            code = subprocess.run(
                command,
                cwd=REPOSITORY,
                env=environment | SETTINGS | cache,
                stdout=out,
                stderr=err,
                check=False,
            ).returncode
        lines = replies.read_text().splitlines(keepends=True)
        complaints = errors.read_text(errors="replace")
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    begun = [reply for reply in whole if len(reply) == 2]
    done = [Outcome(*reply) for reply in whole if len(reply) > 2]
    timeout = complaints.rfind("Timeout (")
    return begun, done, code, complaints[max(timeout, 0) :]


def _column(kind):
    return kind if kind in COLUMNS[:-1] else "other"


def _by_column(counts):
    """How many calls ended as each of `COLUMNS` says."""
    found = collections.Counter()
    for kind, n in counts.items():
        found[_column(kind)] += n
    return [found[column] for column in COLUMNS]


def _n_wrong(outcomes):
    return sum(outcome.wrong for outcome in outcomes)
