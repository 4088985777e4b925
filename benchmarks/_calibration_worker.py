"""Data from the prior, a fit of each, and where the truth ranks among the draws.

All data sets have the same lengths, so that one compilation serves; which timesteps are
missing differs.
"""

import warnings

import numpy as np
from scipy.stats import dirichlet, norm
from sklearn.exceptions import ConvergenceWarning

from benchmarks._serve import serve
from benchmarks.workloads import PUBLISHED
from hhmm import EfficientHHMM
from hhmm.datasets import make_hhmm


def draw_ranks(problem, sampler, seed, n_sweeps, n_draws):
    """Draw a truth and data from it, fit, and rank the truth.

    Parameters
    ----------
    problem : dict
        Fields of `workloads.Calibration`.
    sampler : str
        Of the emissions.
    seed : int
    n_sweeps : int
        The first half is left out.
    n_draws : int
        Evenly spaced over the second half.

    Returns
    -------
    ranks : dict
        By quantity: how many draws are below the truth, 0 to n_draws.
    """
    priors = problem["priors"]
    lengths = problem["lengths"]
    truth = make_hhmm(
        len(lengths),
        max(lengths),
        problem["n_states"],
        problem["n_syllables"],
        random_state=seed,
        **priors,
    )
    sequences = observe(np.random.default_rng(seed), truth.X, lengths, problem["missing"])
    hyperparameters = {**PUBLISHED, **priors, "message_passing": "sequential"}
    params = (truth.emission_base, truth.emission_biases, truth.trans_probs)
    log_joint = EfficientHHMM.from_params(*params, **hyperparameters).log_joint(sequences)
    with warnings.catch_warnings():
        # short chains of tiny data: a drift of the log joint is to show in the ranks
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = EfficientHHMM(
            problem["n_states"],
            problem["n_syllables"],
            init="prior",
            max_iter=n_sweeps,
            n_draws=n_draws,
            random_state=seed,
            **hyperparameters | {"emission_sampler": sampler},
        ).fit(sequences)
    drawn = zip(*(part[0] for part in model.posterior_[:4]), strict=True)
    draws = [quantities(*draw, **priors) for draw in drawn]
    true = quantities(*params, log_joint, **priors)
    return {name: sum(draw[name] < true[name] for draw in draws) for name in true}


def observe(rng, X, lengths, missing):
    """Cut sequences to their lengths and lose some timesteps, never the last of a sequence.

    Parameters
    ----------
    rng : numpy.random.Generator
    X : (n_sequences, n_timesteps) int
    lengths : sequence of int
    missing : float
        Fraction of the timesteps.

    Returns
    -------
    sequences : list of (length,) int arrays, -1 where missing
    """
    sequences = []
    for row, length in zip(X, lengths, strict=True):
        lost = rng.random(length) < missing
        lost[-1] = False
        sequences.append(np.where(lost, -1, row[:length]))
    return sequences


def quantities(
    emission_base,
    emission_biases,
    trans_probs,
    log_joint,
    *,
    emission_base_sigma,
    emission_biases_sigma,
    trans_beta,
    trans_kappa,
):
    """What is ranked: numbers that do not depend on how the states are named.

    The log prior is computed here anew, from scipy's densities.
    """
    alpha = trans_beta + trans_kappa * np.eye(len(trans_probs))
    log_prior = (
        norm.logpdf(emission_base, scale=emission_base_sigma).sum()
        + norm.logpdf(emission_biases, scale=emission_biases_sigma).sum()
        + sum(dirichlet.logpdf(p / p.sum(), a) for p, a in zip(trans_probs, alpha, strict=True))
    )
    return {
        "trace of A": float(np.trace(trans_probs)),
        "|b|^2": float((emission_base**2).sum()),
        "|c|^2": float((emission_biases**2).sum()),
        "b[0, 0]": float(emission_base[0, 0]),
        "log-likelihood": float(log_joint - log_prior),
        "log prior": float(log_prior),
    }


def run(seeds, **arguments):
    """Ranks of several data sets."""
    return [draw_ranks(seed=seed, **arguments) for seed in seeds]


if __name__ == "__main__":
    serve({"run": run})
