"""Compare draws with those of NumPyro's NUTS, and count the effective draws of learnt scales.

Bengalese finch songs, 3 states. NUTS draws from the posterior of all parameters with the states
summed out, by a likelihood written here, at the published scales. Compared are the means of all
syllable transition probabilities and their 5 % and 95 % quantiles, in posterior standard
deviations, root mean square. Labels of draws are matched to one reference on both sides.
"""

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS, init_to_value
from scipy.linalg import helmert
from scipy.optimize import linear_sum_assignment

from benchmarks.figures import RULE, verdict
from benchmarks.studies._study import run_study, split_songs
from benchmarks.studies.learnt import LEARNT
from benchmarks.workloads import PUBLISHED
from hhmm import EfficientHHMM
from hhmm.datasets import load_bengalese_finch
from hhmm.diagnostics import ess_bulk

N_STATES, N_SYLLABLES = 3, 9
TRANS_KAPPA = 1.0
MEAN_SHIFT, QUANTILE_SHIFT = 0.06, 0.15


class Draws(NamedTuple):
    """Draws of one side."""

    name: str
    probs: np.ndarray  # (n_chains, n_draws, n_states, n_syllables, n_syllables)
    seconds: float


def marginal_log_likelihood(pairs, probs, trans_probs):
    """Return the log-likelihood of all songs with the states summed out, nats.

    Parameters
    ----------
    pairs : array of shape (n_timesteps, n_sequences)
        Codes i S + j of the transitions, S S on padding.
    probs : array of shape (n_states, n_syllables, n_syllables)
    trans_probs : array of shape (n_states, n_states)
    """
    n_states = trans_probs.shape[0]
    table = jnp.concatenate([probs.reshape(n_states, -1), jnp.ones((n_states, 1))], 1).T
    padding = table.shape[0] - 1

    def step(message, codes):
        following = message @ trans_probs * table[codes]
        total = following.sum(1)
        is_padding = codes == padding
        message = jnp.where(is_padding[:, None], message, following / total[:, None])
        return message, jnp.where(is_padding, 0.0, jnp.log(total)).sum()

    first = jnp.full((pairs.shape[1], n_states), 1 / n_states)
    return jax.lax.scan(step, first, pairs)[1].sum()


def model(pairs):
    """Declare the model for NumPyro."""
    to_syllables, to_states = helmert(N_SYLLABLES), helmert(N_STATES)
    b = numpyro.sample("b", dist.Normal().expand((N_SYLLABLES, N_SYLLABLES - 1)).to_event(2))
    c = numpyro.sample("c", dist.Normal().expand((N_STATES - 1, N_SYLLABLES - 1)).to_event(2))
    alpha = 1 + TRANS_KAPPA * jnp.eye(N_STATES)
    trans_probs = numpyro.sample("trans_probs", dist.Dirichlet(alpha).to_event(1))
    logits = b @ to_syllables + (to_states.T @ c @ to_syllables)[:, None]
    probs = numpyro.deterministic("probs", jax.nn.softmax(logits))
    numpyro.factor("songs", marginal_log_likelihood(pairs, probs, trans_probs))


def draw_by_nuts(songs, start, n_draws):
    """Draw with NUTS, two chains from one start.

    Parameters
    ----------
    songs : list of int arrays
    start : EfficientHHMM
        Fitted; NUTS starts at its point estimate.
    n_draws : int
        Draws a chain.
    """
    longest = max(map(len, songs))
    pairs = np.full((longest - 1, len(songs)), N_SYLLABLES**2)
    for i, x in enumerate(songs):
        pairs[: len(x) - 1, i] = x[:-1] * N_SYLLABLES + x[1:]
    values = {
        # coordinates in the bases of `EfficientHHMM`, which are scipy's but for the sign
        "b": -start.emission_base_,
        "c": start.emission_biases_,
        "trans_probs": start.trans_probs_,
    }
    sampler = MCMC(
        NUTS(model, init_strategy=init_to_value(values=values)),
        num_warmup=max(n_draws // 2, 100),
        num_samples=n_draws,
        num_chains=2,
        chain_method="sequential",
        progress_bar=False,
    )
    began = time.perf_counter()
    sampler.run(jax.random.key(0), jnp.asarray(pairs))
    probs = np.asarray(sampler.get_samples(group_by_chain=True)["probs"])
    return Draws("NUTS", probs, time.perf_counter() - began)


def draw_by_gibbs(songs, start, sampler, n_draws):
    """Draw with `EfficientHHMM`, two chains.

    Parameters
    ----------
    songs : list of int arrays
    start : EfficientHHMM
    sampler : str
        Value of `emission_sampler`.
    n_draws : int
        Draws a chain, as many as sweeps are kept.
    """
    began = time.perf_counter()
    fits = [
        EfficientHHMM(
            N_STATES,
            trans_kappa=TRANS_KAPPA,
            init=start,
            max_iter=2 * n_draws,
            n_draws=n_draws,
            random_state=seed,
            **PUBLISHED | {"emission_sampler": sampler},
        ).fit(songs)
        for seed in (1, 2)
    ]
    seconds = time.perf_counter() - began
    probs = []
    for fit in fits:
        base, biases = fit.posterior_.emission_base[0], fit.posterior_.emission_biases[0]
        to_syllables, to_states = -helmert(N_SYLLABLES), -helmert(N_STATES)
        logits = base @ to_syllables
        logits = logits[:, None] + (to_states.T @ biases @ to_syllables)[:, :, None]
        probs.append(np.asarray(jax.nn.softmax(logits)))
    return Draws(f"hhmm, {sampler}", np.stack(probs), seconds)


def align(draws, reference):
    """Return the draws with the states of each numbered as in the reference."""
    probs = draws.probs.copy()
    for i in np.ndindex(probs.shape[:2]):
        apart = np.abs(reference[:, None] - probs[i][None]).sum((-1, -2))
        probs[i] = probs[i][linear_sum_assignment(apart)[1]]
    return draws._replace(probs=probs)


def compare(draws, exact):
    """Return the shifts of means and quantiles in posterior standard deviations, rms.

    Returns
    -------
    shift, error, quantile_shift : float
        `error` is the Monte Carlo error of the first.
    """
    ours, theirs = (d.probs.reshape(-1, *d.probs.shape[2:]) for d in (draws, exact))
    sd = theirs.std(0)
    shift = (ours.mean(0) - theirs.mean(0)) / sd
    error = (ours.var(0) / ess_bulk(draws.probs)) / sd**2 + 1 / ess_bulk(exact.probs)
    quantiles = [np.quantile(values, (0.05, 0.95), axis=0) for values in (ours, theirs)]
    quantile_shift = (quantiles[0] - quantiles[1]) / sd
    return (
        float(np.sqrt(np.mean(shift**2))),
        float(np.sqrt(np.mean(error))),
        float(np.sqrt(np.mean(quantile_shift**2))),
    )


def count_draws_of_scales(songs, start, n_draws):
    """Return the effective draws of each learnt scale, out of two chains of `n_draws`."""
    scales = {**LEARNT, "trans_beta": "auto", "trans_kappa": "auto"}
    fits = [
        EfficientHHMM(
            N_STATES, init=start, max_iter=2 * n_draws, n_draws=n_draws, random_state=seed, **scales
        ).fit(songs)
        for seed in (1, 2)
    ]
    drawn = {
        name: np.concatenate([fit.posterior_.sigmas[name] for fit in fits])
        for name in fits[0].posterior_.sigmas
    }
    return {name: float(ess_bulk(values)) for name, values in drawn.items()}


def measure(quick):
    """Draw with both samplers and with NUTS, and return the table."""
    n_draws = 100 if quick else 6000
    songs, _ = split_songs(load_bengalese_finch().sequences)
    start = EfficientHHMM(N_STATES, trans_kappa=TRANS_KAPPA, random_state=0, **PUBLISHED).fit(songs)
    reference = start.syllable_trans_probs_
    exact = align(draw_by_nuts(songs, start, n_draws), reference)
    lines = [
        f"finch, {N_STATES} states, trans_kappa {TRANS_KAPPA:g}, two chains of {n_draws} draws",
        f"{'':<20}{'means':>8}{'their error':>14}{'quantiles':>12}{'time':>10}",
        RULE,
    ]
    for sampler in ("hmc", "laplace"):
        draws = align(draw_by_gibbs(songs, start, sampler, n_draws), reference)
        shift, error, quantile_shift = compare(draws, exact)
        met = shift <= MEAN_SHIFT and quantile_shift <= QUANTILE_SHIFT
        judged = f"at most {MEAN_SHIFT} and {QUANTILE_SHIFT}: {verdict(met)}"
        lines.append(
            f"{draws.name:<20}{shift:>8.3f}{error:>14.3f}{quantile_shift:>12.3f}"
            f"{draws.seconds:>8.0f} s  {judged if sampler == 'hmc' else ''}".rstrip()
        )
    lines += [f"{exact.name:<20}{'':>34}{exact.seconds:>8.0f} s", ""]
    lines += [f"effective draws of learnt scales, of {2 * n_draws}:"]
    lines += [
        f"    {name:<24}{value:>8.0f}"
        for name, value in count_draws_of_scales(songs, start, n_draws).items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    run_study(__file__, __doc__, measure)
