"""The *calibration* part: whether the draws are draws from the posterior.

Simulation-based calibration. A truth is drawn from the prior and data from the truth. The truth
and draws from the posterior are then exchangeable: among L of them the truth has every
rank, 0 to L, with equal probability, whatever is ranked (Talts, Betancourt, Simpson, Vehtari &
Gelman 2018, arXiv:1804.06788, theorem 1). Ranked are quantities that do not depend on the
numbering of the states. The likelihood of the data is one of them: it finds errors that
functions of the parameters alone cannot (Modrak, Moon, Kim, Buerkner, Huurre, Faltejskova, Gelman
& Vehtari 2023, Bayesian Analysis, "Simulation-based calibration checking for Bayesian
computation: the choice of test quantities shapes sensitivity").

The whole estimator is tested: chains from the prior, sequences of several lengths, timesteps
missing. Data are few, so that the exact sampler of the emissions differs from the
approximate one, which is shown beside it and is not expected to pass.
"""

import statistics
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from scipy.stats import binom, chisquare

from benchmarks.figures import RULE, verdict
from benchmarks.report import count_cores
from benchmarks.sides import CALIBRATION

EXACT, APPROXIMATE = "hmc", "laplace"
# False alarms of the verdict, and of each histogram's band.
LEVEL = 0.01
N_BINS = 10
# data sets a request
CHUNK = 10


def measure_calibration(plan, say):
    """Rank many truths, with a process for every core.

    Parameters
    ----------
    plan : workloads.Plan
    say : callable
        Told what is going on.

    Returns
    -------
    calibration : dict
        ``samplers`` with what `assess` makes of each, ``problem``, ``met``.
    """
    problem = plan.calibration
    seeds = list(range(problem.n_data_sets))
    chunks = [seeds[first : first + CHUNK] for first in range(0, len(seeds), CHUNK)]
    n_workers = min(count_cores(), len(chunks))
    samplers = {}
    with ExitStack() as stack:
        workers = [stack.enter_context(CALIBRATION.worker()) for _ in range(n_workers)]
        pool = stack.enter_context(ThreadPoolExecutor(n_workers))
        for sampler in (EXACT, APPROXIMATE):
            say(f"calibration: {sampler}, {problem.n_data_sets} data sets")

            def work(worker, own, sampler=sampler):
                return [
                    ranks
                    for chunk in own
                    for ranks in worker.request(
                        "run",
                        seeds=chunk,
                        problem=problem._asdict(),
                        sampler=sampler,
                        n_sweeps=problem.n_sweeps,
                        n_draws=problem.n_draws,
                    )
                ]

            shares = [chunks[i::n_workers] for i in range(n_workers)]
            by_data_set = [ranks for part in pool.map(work, workers, shares) for ranks in part]
            samplers[sampler] = {
                name: assess([ranks[name] for ranks in by_data_set], problem.n_draws)
                for name in by_data_set[0]
            }
    return {
        "problem": problem._asdict(),
        "samplers": samplers,
        "met": is_calibrated(samplers[EXACT]),
    }


def assess(ranks, n_draws):
    """How uniform ranks are.

    Parameters
    ----------
    ranks : list of int
        0 to n_draws.
    n_draws : int
        One less than a multiple of `N_BINS`.

    Returns
    -------
    assessed : dict
        ``counts`` by bin, ``p_value`` of chi-square against uniform, ``mean`` of the ranks over
        `n_draws` (0.5 if uniform), ``n_outside`` the bins outside `band`.
    """
    width, left = divmod(n_draws + 1, N_BINS)
    if left:
        raise ValueError(f"n_draws must be one less than a multiple of {N_BINS}, got {n_draws}")
    counts = [0] * N_BINS
    for rank in ranks:
        counts[rank // width] += 1
    low, high = band(len(ranks))
    return {
        "counts": counts,
        "p_value": float(chisquare(counts).pvalue),
        "mean": statistics.fmean(ranks) / n_draws,
        "n_outside": sum(not low <= count <= high for count in counts),
    }


def band(n_data_sets):
    """Counts between which all bins of a histogram are, with probability 1 - `LEVEL` at least.

    Quantiles of the binomial distribution of one bin, by Bonferroni's inequality.
    """
    tail = LEVEL / N_BINS / 2
    return tuple(int(binom.ppf(p, n_data_sets, 1 / N_BINS)) for p in (tail, 1 - tail))


def is_calibrated(quantities):
    """Whether no p-value is below `LEVEL` over their number (Bonferroni)."""
    return min(each["p_value"] for each in quantities.values()) >= LEVEL / len(quantities)


def calibration_table(calibration):
    """P-values by quantity, exact beside approximate, and the verdict."""
    problem = calibration["problem"]
    exact, approximate = (calibration["samplers"][name] for name in (EXACT, APPROXIMATE))
    lines = [
        f"{problem['n_data_sets']} data sets from the prior, sequences of "
        f"{', '.join(map(str, problem['lengths']))} timesteps, {problem['missing']:.0%} of them "
        f"missing;",
        f"{problem['n_states']} states, {problem['n_syllables']} syllables, "
        f"trans_kappa={problem['priors']['trans_kappa']:g}, init='prior'; rank of the truth among "
        f"{problem['n_draws']} draws,",
        f"evenly spaced over the second half of {problem['n_sweeps']} sweeps. Chi-square against "
        f"uniform, {N_BINS} bins;",
        "mean rank, 0.5 if uniform:",
        f"{'':<18}{EXACT + ': p':>12}{'mean rank':>12}{'outside':>10}"
        f"{APPROXIMATE + ': p':>16}{'mean rank':>12}{'outside':>10}",
        RULE,
    ]
    for name in exact:
        row = f"{name:<18}"
        for each, width in ((exact[name], 12), (approximate[name], 16)):
            row += f"{_p_value(each['p_value']):>{width}}{each['mean']:>12.3f}"
            row += f"{each['n_outside']:>10}"
        lines.append(row)
    low, high = band(problem["n_data_sets"])
    limit = LEVEL / len(exact)
    lines += [
        f"outside: bins that hold fewer than {low} or more than {high} truths, expected "
        f"{problem['n_data_sets'] / N_BINS:g}",
        f"{EXACT}: no p-value below {LEVEL:g} / {len(exact)} = {limit:.4f}: "
        f"{verdict(calibration['met'])}",
        f"{APPROXIMATE}, for contrast, not judged: "
        f"{sum(each['p_value'] < limit for each in approximate.values())} of {len(approximate)} "
        "below",
    ]
    return "\n".join(lines)


def _p_value(p):
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"
