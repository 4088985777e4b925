"""Check that draws are draws from the posterior, by simulation-based calibration.

A truth is drawn from the prior and data from the truth. The truth and draws from the posterior are
then exchangeable: among L of them the truth has every rank, 0 to L, with equal probability,
whatever is ranked (Talts, Betancourt, Simpson, Vehtari & Gelman 2018, arXiv:1804.06788, theorem
1). Ranked are quantities that do not depend on the numbering of the states. The likelihood of the
data is one of them: it finds errors that functions of the parameters alone cannot (Modrak, Moon,
Kim, Buerkner, Huurre, Faltejskova, Gelman & Vehtari 2023, Bayesian Analysis, "Simulation-based
calibration checking for Bayesian computation: the choice of test quantities shapes sensitivity").

The whole estimator is tested: chains from the prior, sequences of several lengths, timesteps
missing. Data are few, so that the exact sampler of the emissions differs from the approximate one,
which is shown beside it and is not expected to pass.
"""

import statistics
import warnings

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import binom, chisquare, dirichlet, norm

from benchmarks.figures import RULE, verdict
from benchmarks.studies._study import run_study
from benchmarks.workloads import PUBLISHED
from hhmm import EfficientHHMM
from hhmm.datasets import make_hhmm

EXACT, APPROXIMATE = "hmc", "laplace"
LENGTHS = (40, 30, 30, 25, 20, 10)
MISSING = 0.1  # fraction of the timesteps
N_STATES, N_SYLLABLES = 2, 4
PRIORS = {
    "emission_base_sigma": 1.0,
    "emission_biases_sigma": 1.0,
    "trans_beta": 1.0,
    "trans_kappa": 10.0,
}
N_DRAWS = 19  # one less than a multiple of `N_BINS`
N_BINS = 10
# probability of a false alarm of the verdict, and of each histogram's band
LEVEL = 0.01


def draw_ranks(seed, sampler, n_sweeps):
    """Draw a truth and data from it, fit, and rank the truth.

    Parameters
    ----------
    seed : int
    sampler : str
        Value of ``emission_sampler``.
    n_sweeps : int
        The draws are evenly spaced over the second half.

    Returns
    -------
    ranks : dict
        By quantity, how many draws are below the truth, 0 to `N_DRAWS`.
    """
    truth = make_hhmm(
        len(LENGTHS), max(LENGTHS), N_STATES, N_SYLLABLES, random_state=seed, **PRIORS
    )
    rng, sequences = np.random.default_rng(seed), []
    for row, length in zip(truth.X, LENGTHS, strict=True):
        lost = rng.random(length) < MISSING
        lost[-1] = False  # all data sets have the same lengths, so one compilation serves
        sequences.append(np.where(lost, -1, row[:length]))
    settings = {**PUBLISHED, **PRIORS, "message_passing": "sequential"}
    params = (truth.emission_base, truth.emission_biases, truth.trans_probs)
    log_joint = EfficientHHMM.from_params(*params, **settings).log_joint(sequences)
    with warnings.catch_warnings():
        # the chains are short: a drift of the log joint is to show in the ranks
        warnings.simplefilter("ignore")
        model = EfficientHHMM(
            N_STATES,
            N_SYLLABLES,
            init="prior",
            max_iter=n_sweeps,
            n_draws=N_DRAWS,
            random_state=seed,
            **settings | {"emission_sampler": sampler},
        ).fit(sequences)
    posterior = model.posterior_
    drawn = (posterior.emission_base, posterior.emission_biases, posterior.trans_probs)
    drawn = zip(*(part[0] for part in (*drawn, posterior.log_joint)), strict=True)
    draws = [quantities(*draw) for draw in drawn]
    true = quantities(*params, log_joint)
    return {name: sum(draw[name] < true[name] for draw in draws) for name in true}


def quantities(emission_base, emission_biases, trans_probs, log_joint):
    """Return what is ranked: numbers that do not depend on how the states are numbered.

    The log prior is computed from scipy's densities.
    """
    alpha = PRIORS["trans_beta"] + PRIORS["trans_kappa"] * np.eye(N_STATES)
    log_prior = (
        norm.logpdf(emission_base, scale=PRIORS["emission_base_sigma"]).sum()
        + norm.logpdf(emission_biases, scale=PRIORS["emission_biases_sigma"]).sum()
        + sum(dirichlet.logpdf(p / p.sum(), a) for p, a in zip(trans_probs, alpha, strict=True))
    )
    return {
        "trace of A": np.trace(trans_probs),
        "|b|^2": (emission_base**2).sum(),
        "|c|^2": (emission_biases**2).sum(),
        "b[0, 0]": emission_base[0, 0],
        "log-likelihood": log_joint - log_prior,
        "log prior": log_prior,
    }


def band(n_data_sets):
    """Return the counts between which all bins are, with probability 1 - `LEVEL` at least.

    They are quantiles of the binomial distribution of one bin, by Bonferroni's inequality.
    """
    tail = LEVEL / N_BINS / 2
    return tuple(int(binom.ppf(p, n_data_sets, 1 / N_BINS)) for p in (tail, 1 - tail))


def assess(ranks):
    """Return counts by bin, the p-value of chi-square against uniform, and the mean rank."""
    counts = np.bincount(np.asarray(ranks) * N_BINS // (N_DRAWS + 1), minlength=N_BINS)
    return {
        "counts": counts,
        "p_value": chisquare(counts).pvalue,
        "mean": statistics.fmean(ranks) / N_DRAWS,
    }


def measure(quick):
    """Rank many truths, with a process for every core; return the table and the histograms."""
    n_data_sets, n_sweeps = (20, 200) if quick else (300, 800)
    found = {}
    for sampler in (EXACT, APPROXIMATE):
        print(f"{sampler}: {n_data_sets} data sets", flush=True)
        by_data_set = Parallel(n_jobs=-1, batch_size=10)(
            delayed(draw_ranks)(seed, sampler, n_sweeps) for seed in range(n_data_sets)
        )
        found[sampler] = {
            name: assess([ranks[name] for ranks in by_data_set]) for name in by_data_set[0]
        }
    low, high = band(n_data_sets)
    lines = [
        f"{n_data_sets} data sets from the prior, sequences of {', '.join(map(str, LENGTHS))} "
        f"timesteps, {MISSING:.0%} of them missing;",
        f"{N_STATES} states, {N_SYLLABLES} syllables, trans_kappa={PRIORS['trans_kappa']:g}, "
        f"init='prior'; rank of the truth among {N_DRAWS} draws,",
        f"evenly spaced over the second half of {n_sweeps} sweeps. Chi-square against uniform, "
        f"{N_BINS} bins;",
        "mean rank, 0.5 if uniform:",
        f"{'':<18}{EXACT + ': p':>12}{'mean rank':>12}{'outside':>10}"
        f"{APPROXIMATE + ': p':>16}{'mean rank':>12}{'outside':>10}",
        RULE,
    ]
    for name in found[EXACT]:
        row = f"{name:<18}"
        for sampler, width in ((EXACT, 12), (APPROXIMATE, 16)):
            p_value, mean = found[sampler][name]["p_value"], found[sampler][name]["mean"]
            counts = found[sampler][name]["counts"]
            text = f"{p_value:.3f}" if p_value >= 0.001 else f"{p_value:.0e}"
            n_outside = np.count_nonzero((counts < low) | (counts > high))
            row += f"{text:>{width}}{mean:>12.3f}{n_outside:>10}"
        lines.append(row)
    limit = LEVEL / len(found[EXACT])
    below = {
        sampler: sum(each["p_value"] < limit for each in found[sampler].values())
        for sampler in found
    }
    lines += [
        f"outside: bins that hold fewer than {low} or more than {high} truths, expected "
        f"{n_data_sets / N_BINS:g}",
        f"{EXACT}: no p-value below {LEVEL:g} / {len(found[EXACT])} = {limit:.4f}: "
        f"{verdict(not below[EXACT])}",
        f"{APPROXIMATE}, for contrast, not judged: {below[APPROXIMATE]} of "
        f"{len(found[APPROXIMATE])} below",
    ]
    return "\n".join(lines), (found, n_data_sets)


def draw(drawn, path):
    """Draw histograms of ranks, a row a sampler and a column a quantity."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found, n_data_sets = drawn
    figure, rows = plt.subplots(
        2,
        len(found[EXACT]),
        figsize=(2.5 * len(found[EXACT]), 6),
        layout="constrained",
        sharex=True,
        sharey=True,
    )
    # colours that all kinds of colour vision tell apart (Okabe & Ito 2008)
    for panels, sampler, colour in zip(rows, found, ("#0072B2", "#D55E00"), strict=True):
        for panel, (name, assessed) in zip(panels, found[sampler].items(), strict=True):
            panel.axhspan(*band(n_data_sets), color="0.88", zorder=0)
            panel.axhline(n_data_sets / N_BINS, color="0.45", linewidth=1, linestyle="--")
            panel.bar(range(N_BINS), assessed["counts"], width=0.85, color=colour, alpha=0.85)
            panel.set_title(f"{name}\np = {assessed['p_value']:.2g}", fontsize=11)
            panel.set_xticks([-0.5, N_BINS - 0.5], ["0", f"{N_DRAWS}"])
        panels[0].set_ylabel(f'emission_sampler="{sampler}"\ntruths a bin')
    figure.supxlabel(f"rank of the truth among {N_DRAWS} draws", fontsize=11)
    figure.suptitle(
        f"Simulation-based calibration, {n_data_sets} data sets. Grey: all bars of a uniform "
        f"histogram are inside with probability {1 - LEVEL:.0%}",
        fontsize=12,
    )
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    run_study(__file__, __doc__, measure, draw=draw)
