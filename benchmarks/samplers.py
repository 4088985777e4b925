"""Time exact draws of the emissions beside approximate ones: part *samplers*.

``emission_sampler="hmc"`` and ``"laplace"``, in turn, in two processes: whole sweeps and their
emissions part, which finds the mode and draws. Chains start at the true states, so what is
measured is a chain that has settled.

Exact draws are the default if a sweep with them takes at most 1.5 times as long.
"""

from contextlib import ExitStack

from benchmarks.figures import Figure, Target, table, verdict
from benchmarks.sides import HHMM, make_data, say
from benchmarks.sweeps import Recorded
from benchmarks.workloads import TUTORIAL

SAMPLERS = ("hmc", "laplace")
TARGET = Target(1.5)
ACCEPTANCE = (0.6, 0.95)


def measure_samplers(plan, folder):
    """Time both samplers in turn.

    Parameters
    ----------
    plan : workloads.Plan
    folder : path
        For the data.

    Returns
    -------
    text : str
        The table, acceptance, and the verdict on the default.
    """
    workloads = [w._replace(from_truth=True) for w in (TUTORIAL, plan.wide)]
    figures, lines = [], []
    for workload in workloads:
        say(f"samplers: {workload.name}")
        exact, approximate, chain = _measure(workload, plan, folder)
        figures += [
            Figure(workload.name, name, "s", ours, "laplace", theirs, target)
            for name, ours, theirs, target in (
                ("one sweep", exact.sweeps, approximate.sweeps, TARGET),
                ("  its emissions part", exact.emissions, approximate.emissions, None),
            )
        ]
        accepted = ACCEPTANCE[0] <= chain["acceptance"] <= ACCEPTANCE[1]
        lines += [
            f"{workload.name}: hmc accepted with probability {chain['acceptance']:.3f} on average; "
            f"target {ACCEPTANCE[0]:g} to {ACCEPTANCE[1]:g}: {verdict(accepted)}",
            f"{'':<{len(workload.name)}}  {chain['n_diverging']} of {plan.sampler_fit_sweeps} "
            "proposals lost to numerical error",
        ]
    met = all(figure.met for figure in figures if figure.target is not None)
    sizes = "\n".join(workload.describe() for workload in workloads)
    accepted = "\n".join(lines)
    return (
        f"{sizes}\n\n{table(figures, ours='hmc')}\n\n{accepted}\n"
        f"a sweep at most {TARGET.limit:g} times one with laplace, both sizes: {verdict(met)}; by "
        f"this rule {'hmc' if met else 'laplace'} is the default"
    )


def _measure(workload, plan, folder):
    """Return what was recorded of each sampler, and the reply to the start of hmc."""
    data, n_sweeps = make_data(workload, folder), plan.sampler_sweeps[workload.name]
    with ExitStack() as stack:
        workers = {sampler: stack.enter_context(HHMM.worker()) for sampler in SAMPLERS}
        recorded = {sampler: Recorded() for sampler in SAMPLERS}
        started = {
            sampler: recorded[sampler].start(
                worker,
                HHMM,
                workload,
                data,
                warm_sweeps=1,
                emission_sampler=sampler,
                fit_sweeps=plan.sampler_fit_sweeps,
            )
            for sampler, worker in workers.items()
        }
        for _ in range(plan.sampler_rounds):
            for sampler, worker in workers.items():
                recorded[sampler].take_sweeps(worker, n_sweeps)
            for sampler, worker in workers.items():
                recorded[sampler].take_parts(worker, n_sweeps)
    return recorded["hmc"], recorded["laplace"], started["hmc"]
