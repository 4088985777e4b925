"""The *recovery* part: how often a fit gets to where the true parameters are."""

from benchmarks import workloads
from benchmarks.figures import RULE
from benchmarks.sides import HHMM
from benchmarks.workloads import TUTORIAL


def measure_recovery(data, plan, say):
    """Fit the *tutorial* data from several seeds.

    Parameters
    ----------
    data : sides.Data
    plan : workloads.Plan
    say : callable
        Told what is going on.

    Returns
    -------
    recovery : dict
        ``truth`` with accuracy and log joint, ``seeds`` with those of each fit, and how many
        recovered, by the last log joint and by the mean over the last quarter.
    """
    with HHMM.worker() as worker:
        truth = worker.request("true_recovery", data=data.syllables, truth=data.truth)
        seeds = []
        for seed in range(plan.recovery_seeds):
            say(f"recovery: seed {seed}")
            fit = worker.request(
                "recovery",
                data=data.syllables,
                truth=data.truth,
                n_states=TUTORIAL.n_states,
                n_syllables=TUTORIAL.n_syllables,
                n_sweeps=workloads.RECOVERY_SWEEPS,
                seed=seed,
            )
            accurate = fit["accuracy"] >= truth["accuracy"] - workloads.RECOVERY_ACCURACY
            bound = truth["log_joint"] - workloads.RECOVERY_NATS
            fit["recovered"] = accurate and fit["log_joint"] >= bound
            fit["recovered_last_quarter"] = accurate and fit["log_joint_last_quarter"] >= bound
            seeds.append(fit)
    n_recovered = sum(fit["recovered"] for fit in seeds)
    return {
        "truth": truth,
        "seeds": seeds,
        "n_seeds": len(seeds),
        "n_recovered": n_recovered,
        "n_recovered_last_quarter": sum(fit["recovered_last_quarter"] for fit in seeds),
        "met": n_recovered >= workloads.RECOVERY_FRACTION * len(seeds),
    }


def recovery_table(recovery):
    """Accuracy and log joint of each seed beside the true parameters', and the verdict."""
    truth = recovery["truth"]
    lines = [
        f"recovery: tutorial data, {workloads.RECOVERY_SWEEPS} sweeps; under the true parameters "
        f"accuracy {truth['accuracy']:.4f},",
        f"log joint {truth['log_joint']:,.1f}. Differences from those:",
        f"{'seed':>6}{'accuracy':>12}{'difference':>12}{'last log joint':>16}"
        f"{'last quarter':>14}{'fit':>10}",
        RULE,
    ]
    for fit in recovery["seeds"]:
        lines.append(
            f"{fit['seed']:>6}{fit['accuracy']:>12.4f}"
            f"{fit['accuracy'] - truth['accuracy']:>+12.4f}"
            f"{fit['log_joint'] - truth['log_joint']:>+16,.1f}"
            f"{fit['log_joint_last_quarter'] - truth['log_joint']:>+14,.1f}"
            f"{fit['fit_seconds']:>8.2f} s"
            f"{'   recovered' if fit['recovered'] else ''}"
        )
    lines += [
        f"{recovery['n_recovered']} of {recovery['n_seeds']} seeds within "
        f"{workloads.RECOVERY_ACCURACY} accuracy and {workloads.RECOVERY_NATS:.0f} nats "
        f"({recovery['n_recovered_last_quarter']} by the last quarter's mean); "
        f"target {workloads.RECOVERY_FRACTION:.0%}: {'met' if recovery['met'] else 'MISSED'}",
    ]
    return "\n".join(lines)
