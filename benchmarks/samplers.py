"""The *samplers* part: what exact draws of the emissions cost over approximate ones.

``emission_sampler="hmc"`` over "laplace", in turn and in one process: whole sweeps, their
emissions part (finding the mode, and drawing), and draws alone for counts whose mode is
known. Chains start at the true states, so that what is measured is a chain that has settled.

The rule for the default: exact draws, if a sweep with them takes at most 1.5 times as long.
"""

from typing import NamedTuple

from benchmarks.figures import Figure, judge, table, verdict
from benchmarks.sides import SAMPLERS, make_data
from benchmarks.workloads import TUTORIAL, Target

# over "laplace", at most
SWEEP_TARGET = Target(1.5, of_ratio=True)
ACCEPTANCE = (0.6, 0.95)


class Samplers(NamedTuple):
    """What was measured."""

    descriptions: list  # of workloads
    figures: list  # of figures.Figure
    chains: list  # of dict: workload, acceptance, n_diverging, n_sweeps


def measure_samplers(simulator, plan, folder, say):
    """Time both samplers in turn.

    Parameters
    ----------
    simulator : Worker of `sides.DATA`
    plan : workloads.Plan
    folder : path
        For data.
    say : callable
        Told what is going on.

    Returns
    -------
    samplers : Samplers
    """
    figures, chains = [], []
    workloads = (TUTORIAL, plan.wide)
    for workload in workloads:
        say(f"samplers: {workload.name}")
        data = make_data(simulator, workload, folder)
        with SAMPLERS.worker() as worker:
            fits = worker.request(
                "start",
                data=data.syllables,
                truth=data.truth,
                n_states=workload.n_states,
                n_syllables=workload.n_syllables,
                max_iter=plan.sampler_fit_sweeps[workload.name],
            )
            n_sweeps = plan.sampler_sweeps[workload.name]
            times = _in_turn(worker, list(fits), plan.sampler_rounds, n_sweeps)
        chains.append({"workload": workload.name, **fits["hmc"]})
        for name, target, what in (
            ("one sweep", SWEEP_TARGET, "sweeps"),
            ("  its emissions part", None, "parts"),
            ("a draw of the emissions alone", None, "draws"),
        ):
            figures.append(
                Figure(
                    workload.name,
                    name,
                    "s",
                    times[what]["hmc"],
                    "laplace",
                    times[what]["laplace"],
                    target,
                )
            )
    return Samplers([workload.describe() for workload in workloads], figures, chains)


def accepted_as_aimed(chain):
    """Whether the mean probability of acceptance is in the range aimed at."""
    return ACCEPTANCE[0] <= chain["acceptance"] <= ACCEPTANCE[1]


def becomes_default(figures):
    """Return whether sweeps with exact draws are cheap enough at every size."""
    judged = [judge(figure) for figure in figures if figure.target is SWEEP_TARGET]
    return all(one["met"] for one in judged)


def samplers_table(samplers):
    """Times with their ratios, acceptance, and the verdict on the default."""
    lines = [*samplers.descriptions, "", table(samplers.figures, ours="hmc"), ""]
    for chain in samplers.chains:
        lines.append(
            f"{chain['workload']}: hmc accepted with probability {chain['acceptance']:.3f} on "
            f"average; target {ACCEPTANCE[0]:g} to {ACCEPTANCE[1]:g}: "
            f"{verdict(accepted_as_aimed(chain))}"
        )
        lines.append(
            f"{'':<{len(chain['workload'])}}  {chain['n_diverging']} of {chain['n_sweeps']} "
            "proposals lost to numerical error"
        )
    default = "hmc" if becomes_default(samplers.figures) else "laplace"
    lines.append(
        f"a sweep at most {SWEEP_TARGET.limit:g} times one with laplace, both sizes: "
        f"{verdict(becomes_default(samplers.figures))}; by this rule {default} is the default"
    )
    return "\n".join(lines)


def samplers_as_json(samplers):
    """Figures judged, chains and the verdict on the default, JSON-ready."""
    return {
        "figures": [judge(figure) for figure in samplers.figures],
        "chains": [{**chain, "met": accepted_as_aimed(chain)} for chain in samplers.chains],
        "becomes_default": becomes_default(samplers.figures),
    }


def _in_turn(worker, samplers, n_rounds, n_sweeps):
    """Seconds by what was run and by sampler."""
    times = {what: {sampler: [] for sampler in samplers} for what in ("sweeps", "parts", "draws")}
    for _ in range(n_rounds):
        for sampler in samplers:
            seconds = worker.request("sweeps", sampler=sampler, n_sweeps=n_sweeps)
            times["sweeps"][sampler].append(seconds)
        for sampler in samplers:
            times["parts"][sampler] += worker.request("parts", sampler=sampler, n_sweeps=n_sweeps)
        for sampler in samplers:
            times["draws"][sampler] += worker.request("draws", sampler=sampler, n_draws=n_sweeps)
    return times
