"""The *precision* part: what rounding does to log p(x) as sequences grow, beside float64.

``score_samples`` computes in float64, a sweep in float32; what the latter records drifts away
from the truth with every timestep where all timesteps round alike. The largest errors over all
kinds of message passing are compared, on sequences that change, that hold each syllable, and
that are nearly certain throughout.
"""

from typing import NamedTuple

from benchmarks import workloads
from benchmarks.figures import RULE, quantity
from benchmarks.sides import PRECISION

_ROW = "{kind:<12}{n:>12}{exact:>20}{score:>16}{recorded:>18}{step:>20}"


class Errors(NamedTuple):
    """Errors on a sequence, the largest of all kinds of message passing."""

    kind: str
    n_timesteps: int
    exact: float  # log p(x), nats
    score: float  # of `score_samples`, as a fraction
    recorded: float  # of what a sweep records, nats

    @property
    def met(self):
        """Whether the score is as near to float64 as it is to be."""
        return self.score <= workloads.SCORE_ERROR


def measure_precision(plan, say):
    """Compare with float64, and fit the longest sequences.

    Returns
    -------
    precision : dict
        ``errors``, a list of `Errors`; ``fits``, by kind of sequence a dict with ``seconds`` and
        ``finite``; ``n_timesteps`` and ``n_sweeps`` of the fits; ``met``.
    """
    errors, fits = [], {}
    longest = max(plan.precision_timesteps)
    with PRECISION.worker() as worker:
        for kind in worker.request("kinds"):
            for n in plan.precision_timesteps:
                say(f"precision: {kind}, {n:,} timesteps")
                found = worker.request("errors", kind=kind, n_timesteps=n)
                errors.append(Errors(kind, n, **found))
            say(f"precision: {kind}, a fit")
            fits[kind] = worker.request(
                "fit", kind=kind, n_timesteps=longest, n_sweeps=workloads.PRECISION_SWEEPS
            )
    return {
        "errors": [row._asdict() for row in errors],
        "fits": fits,
        "n_timesteps": longest,
        "n_sweeps": workloads.PRECISION_SWEEPS,
        "met": all(row.met for row in errors) and all(fit["finite"] for fit in fits.values()),
    }


def precision_table(precision):
    """A row a sequence, the fits, and the verdict."""
    lines = [
        "precision: log p(x) of one sequence, 3 states, 4 syllables; largest error of sequential,",
        "compressed and parallel message passing, from float64 in NumPy",
        _ROW.format(
            kind="sequence",
            n="timesteps",
            exact="log p(x), nats",
            score="score_samples",
            recorded="sweep, nats",
            step="nats a timestep",
        ),
        RULE,
    ]
    for row in precision["errors"]:
        lines.append(
            _ROW.format(
                kind=row["kind"],
                n=f"{row['n_timesteps']:,}",
                exact=f"{row['exact']:,.4f}",
                score=f"{row['score']:.1e}",
                recorded=f"{row['recorded']:.1e}",
                step=f"{row['recorded'] / row['n_timesteps']:.1e}",
            )
        )
    fits = ", ".join(
        f"{kind} {quantity(fit['seconds'], 's')}{'' if fit['finite'] else ' (NOT FINITE)'}"
        for kind, fit in precision["fits"].items()
    )
    lines += [
        f"fits of {precision['n_sweeps']} sweeps on {precision['n_timesteps']:,} timesteps, with "
        "predict, compiling included:",
        f"    {fits}",
        f"scores within {workloads.SCORE_ERROR:g} of float64, fits finite: "
        f"{'met' if precision['met'] else 'MISSED'}",
    ]
    return "\n".join(lines)
