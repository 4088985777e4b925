"""Compare draws with those of NumPyro's NUTS: how many are effective, and whether they agree.

NUTS draws from the posterior of all parameters with the states summed out, by a likelihood written
here, at the published scales. Both sides start at the same fit. They are compared in all syllable
transition probabilities, and labels of draws are matched to that fit on both sides.

The study compares both exact values of `emission_sampler`, "hmc" and "marginal".

Efficiency is the number of effective draws (`hhmm.diagnostics.ess_bulk`) a CPU second, of the worst
entry and of the median entry. The rule of time is the same for both sides: CPU seconds of all
threads (`time.process_time`), for two chains, of the draws after warm-up. The draws before them
compile and warm up, and are not counted. For this library, a second fit continues the first, and
its sweeps are timed. Only the second half of them is kept, so half of the time counts. Labels are
matched afterwards and not timed, on either side. NUTS runs in float64. Run the study on one core.

Agreement is that of means and of 5 % and 95 % quantiles, in posterior standard deviations, root
mean square over entries, and the ratio of standard deviations. The last table counts the effective
draws of learnt scales.
"""

import functools
import time
from typing import NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import NUTS, init_to_value
from scipy.linalg import helmert
from scipy.optimize import linear_sum_assignment

from benchmarks.figures import RULE, verdict
from benchmarks.studies._study import run_study, split_songs
from benchmarks.studies.learnt import LEARNT
from benchmarks.workloads import PUBLISHED
from hhmm import EfficientHHMM
from hhmm._inference import fit as fitting
from hhmm.datasets import load_bengalese_finch, make_hhmm
from hhmm.diagnostics import ess_bulk

SAMPLERS = ("hmc", "marginal")  # of `emission_sampler`; both draw from the posterior itself
MEAN_SHIFT, QUANTILE_SHIFT = 0.06, 0.15
# effective draws a CPU second of the worst entry, over those of NUTS; finch
RATIO = 15.0
# NUTS draws in so many parts of one compiled length, after half as many of warm-up
N_PARTS = 10


class Problem(NamedTuple):
    """Sequences, and how they are fitted."""

    name: str
    sequences: list
    n_states: int
    n_syllables: int
    trans_kappa: float
    n_draws: int  # of a chain

    def model(self, sampler, **settings):
        """Return an `EfficientHHMM` at the published scales, with this `emission_sampler`."""
        settings = PUBLISHED | {"emission_sampler": sampler} | settings
        return EfficientHHMM(self.n_states, trans_kappa=self.trans_kappa, **settings)


class Draws(NamedTuple):
    """Draws of one side."""

    probs: np.ndarray  # (n_chains, n_draws, n_states, n_syllables, n_syllables)
    seconds: float  # of CPU time


def make_problems(quick):
    """Yield the problems; the last one is judged."""
    small = make_hhmm(20, 200, 3, 10, random_state=0).X
    yield Problem("small", list(small), 3, 10, 100.0, 100 if quick else 3000)
    if not quick:
        medium = make_hhmm(50, 500, 4, 20, random_state=0).X
        yield Problem("medium", list(medium), 4, 20, 100.0, 1000)
    songs, _ = split_songs(load_bengalese_finch().sequences)
    yield Problem("finch", songs, 3, 9, 1.0, 100 if quick else 6000)


def marginal_log_likelihood(pairs, probs, trans_probs):
    """Return the log-likelihood of all sequences with the states summed out, nats.

    Parameters
    ----------
    pairs : array of shape (n_timesteps, n_sequences)
        Codes i S + j of the transitions, S S on padding.
    probs : array of shape (n_states, n_syllables, n_syllables)
    trans_probs : array of shape (n_states, n_states)
    """
    n_states = trans_probs.shape[0]
    table = jnp.concatenate([probs.reshape(n_states, -1), jnp.ones((n_states, 1))], 1)
    is_padding = pairs == table.shape[1] - 1
    emissions = jnp.moveaxis(table[:, pairs], 1, 0)

    def step(message, of_timestep):
        emission, is_padding = of_timestep
        # written out: a product of so small matrices takes longer to call than to compute
        following = sum(row[:, None] * part for row, part in zip(trans_probs, message, strict=True))
        following *= emission
        total = following.sum(0)
        message = jnp.where(is_padding, message, following / total)
        return message, jnp.where(is_padding, 1.0, total)

    first = jnp.full((n_states, pairs.shape[1]), 1 / n_states)
    return jnp.log(jax.lax.scan(step, first, (emissions, is_padding))[1]).sum()


def to_probs(base, biases):
    """Return the syllable transition probabilities, (..., n_states, n_syllables, n_syllables).

    `base` and `biases` are `emission_base_` and `emission_biases_` of `EfficientHHMM`, with any
    leading axes. Their bases are scipy's but for the sign.
    """
    to_syllables, to_states = -helmert(base.shape[-2]), -helmert(biases.shape[-2] + 1)
    by_state = to_states.T @ biases @ to_syllables
    return jax.nn.softmax((base @ to_syllables)[..., None, :, :] + by_state[..., None, :])


def declare(pairs, n_states, n_syllables, trans_kappa):
    """Declare the model for NumPyro."""
    b = numpyro.sample("b", dist.Normal().expand((n_syllables, n_syllables - 1)).to_event(2))
    c = numpyro.sample("c", dist.Normal().expand((n_states - 1, n_syllables - 1)).to_event(2))
    alpha = 1 + trans_kappa * jnp.eye(n_states)
    trans_probs = numpyro.sample("trans_probs", dist.Dirichlet(alpha).to_event(1))
    likelihood = marginal_log_likelihood(pairs, to_probs(b, c), trans_probs)
    numpyro.factor("sequences", likelihood)


def draw_by_nuts(problem, start):
    """Draw with NUTS, two chains from the point estimate of `start`, a fitted `EfficientHHMM`."""
    sequences, n_syllables = problem.sequences, problem.n_syllables
    pairs = np.full((max(map(len, sequences)) - 1, len(sequences)), n_syllables**2)
    for i, x in enumerate(sequences):
        pairs[: len(x) - 1, i] = x[:-1] * n_syllables + x[1:]
    pairs = jnp.asarray(pairs)
    values = {"b": start.emission_base_, "c": start.emission_biases_}
    values["trans_probs"] = start.trans_probs_
    sizes = {name: getattr(problem, name) for name in ("n_states", "n_syllables", "trans_kappa")}
    n_draws, n_warm_up = problem.n_draws // N_PARTS, N_PARTS // 2
    chains, seconds = [], 0.0
    with jax.enable_x64(True):
        kernel = NUTS(declare, init_strategy=init_to_value(values=values))

        @jax.jit
        def draw_part(state, pairs):
            def draw(state, _):
                state = kernel.sample(state, (pairs,), sizes)
                return state, to_probs(state.z["b"], state.z["c"])

            return jax.lax.scan(draw, state, length=n_draws)

        for key in jax.random.split(jax.random.key(0)):
            state = kernel.init(key, n_warm_up * n_draws, None, (pairs,), sizes)
            parts = []
            for i in range(n_warm_up + N_PARTS):
                began = time.process_time()
                state, probs = jax.block_until_ready(draw_part(state, pairs))
                parts.append(np.asarray(probs))
                if i >= n_warm_up:
                    seconds += time.process_time() - began
            chains.append(np.concatenate(parts[n_warm_up:]))
    return Draws(np.stack(chains), seconds)


def draw_by_gibbs(problem, start, sampler):
    """Draw with `EfficientHHMM`, two chains from `start`; `sampler` draws the emissions."""
    n_draws = problem.n_draws
    settings = {"n_chains": 2, "n_draws": n_draws, "random_state": 1, "warm_start": True}
    model = problem.model(sampler, init=start, max_iter=n_draws, **settings)
    model.fit(problem.sequences)
    seconds = []

    def timed(*args, _iterate_chains=fitting.iterate_chains):
        began = time.process_time()
        results = _iterate_chains(*args)
        seconds.append(time.process_time() - began)
        return results

    with mock.patch.object(fitting, "iterate_chains", timed):
        # sweeps count from the first of the chain, so none of this fit is one of warm-up
        model.set_params(max_iter=2 * n_draws).fit(problem.sequences)
    drawn = model.posterior_
    return Draws(np.asarray(to_probs(drawn.emission_base, drawn.emission_biases)), seconds[0] / 2)


def align(draws, reference, problem):
    """Return the draws with the states of each numbered as in the reference.

    Distances of two states are weighted by how often each syllable is followed by another.
    """
    before = np.concatenate([x[:-1] for x in problem.sequences])
    weights = np.bincount(before, minlength=problem.n_syllables)
    probs = draws.probs.copy()
    for i in np.ndindex(probs.shape[:2]):
        apart = np.abs(reference[:, None] - probs[i][None]).sum(-1) @ weights
        probs[i] = probs[i][linear_sum_assignment(apart)[1]]
    return draws._replace(probs=probs)


def efficiency(draws):
    """Return effective draws a CPU second: of the worst entry, and of the median one."""
    effective = ess_bulk(draws.probs) / draws.seconds
    return np.array([effective.min(), np.median(effective)])


def compare(draws, exact):
    """Compare draws with exact ones, over all entries; shifts are rms, in posterior sds.

    Returns
    -------
    mean_shift, error, quantile_shift : float
        `error` is the Monte Carlo error of the first.
    sd_ratios : ndarray of shape (3,)
        5 %, median and 95 %.
    """
    ours, theirs = (d.probs.reshape(-1, *d.probs.shape[2:]) for d in (draws, exact))
    sd = theirs.std(0)
    shift = (ours.mean(0) - theirs.mean(0)) / sd
    error = (ours.var(0) / ess_bulk(draws.probs)) / sd**2 + 1 / ess_bulk(exact.probs)
    quantiles = [np.quantile(values, (0.05, 0.95), axis=0) for values in (ours, theirs)]
    quantile_shift = (quantiles[0] - quantiles[1]) / sd
    mean_square = map(np.mean, (shift**2, error, quantile_shift**2))
    return *np.sqrt([*mean_square]), np.quantile(ours.std(0) / sd, (0.05, 0.5, 0.95))


def count_draws_of_scales(problem, start):
    """Return the effective draws of each learnt scale, out of two chains."""
    scales = {**LEARNT, "trans_beta": "auto", "trans_kappa": "auto"}
    n_draws = problem.n_draws
    settings = {"n_chains": 2, "max_iter": 2 * n_draws, "n_draws": n_draws, "random_state": 1}
    model = EfficientHHMM(problem.n_states, init=start, **scales, **settings)
    drawn = model.fit(problem.sequences).posterior_.sigmas
    return {name: float(ess_bulk(values)) for name, values in drawn.items()}


def measure(quick):
    """Draw with both samplers and with NUTS, and return the tables."""
    sizes, efficiencies, agreements = [], [], []
    for problem in make_problems(quick):
        print(problem.name, flush=True)
        start = problem.model("laplace", random_state=0).fit(problem.sequences)
        aligned = functools.partial(align, reference=start.syllable_trans_probs_, problem=problem)
        exact = aligned(draw_by_nuts(problem, start))
        name, X, n_states, n_syllables, _, n_draws = problem
        sizes.append(
            f"{name}: {len(X)} sequences, {sum(map(len, X)):,} timesteps, {n_states} states, "
            f"{n_syllables} syllables; two chains of {n_draws:,} draws"
        )
        ratios, agrees = [], True
        for sampler in SAMPLERS:
            draws = aligned(draw_by_gibbs(problem, start, sampler))
            ratios.append(efficiency(draws)[0] / efficiency(exact)[0])
            mean_shift, _, quantile_shift, _ = compare(draws, exact)
            agrees &= mean_shift <= MEAN_SHIFT and quantile_shift <= QUANTILE_SHIFT
            efficiencies.append(_efficiency_row(f"{name}, {sampler}", draws, exact))
            agreements.append(_agreement_row(f"{name}, {sampler}", draws, exact))
    # the last problem is judged, and shows the approximation too
    laplace = aligned(draw_by_gibbs(problem, start, "laplace"))
    agreements.append(_agreement_row(f"{name}, laplace", laplace, exact))
    scales = count_draws_of_scales(problem, start)
    return "\n".join(
        [
            *sizes,
            "",
            f"{'':<18}{'effective draws a CPU second of the':^58}{'CPU time':>20}",
            f"{'':<18}{'worst entry':^29}{'median entry':^29}".rstrip(),
            f"{'':<18}" + 2 * f"{'hhmm':>9}{'NUTS':>9}{'ratio':>9}  " + f"{'hhmm':>10}{'NUTS':>10}",
            RULE,
            *efficiencies,
            f"{name}, worst entry: the higher ratio at least {RATIO:g}: "
            f"{verdict(max(ratios) >= RATIO)}",
            "",
            f"{'beside NUTS':<18}{'means':>9}{'their error':>14}{'quantiles':>12}"
            f"{'sds: 5 %':>14}{'median':>9}{'95 %':>9}",
            RULE,
            *agreements,
            f"{name}, {' and '.join(SAMPLERS)}: at most {MEAN_SHIFT} and {QUANTILE_SHIFT}: "
            f"{verdict(agrees)}",
            "",
            f"{name}: effective draws of learnt scales, of {2 * n_draws}:",
            *(f"    {name:<24}{value:>8.0f}" for name, value in scales.items()),
        ]
    )


def _efficiency_row(name, ours, theirs):
    pairs = zip(efficiency(ours), efficiency(theirs), strict=True)
    entries = "".join(f"{a:>9.1f}{b:>9.1f}{a / b:>9.1f}  " for a, b in pairs)
    return f"{name:<18}{entries}{ours.seconds:>8.1f} s{theirs.seconds:>8.1f} s"


def _agreement_row(name, ours, theirs):
    mean_shift, error, quantile_shift, sd_ratios = compare(ours, theirs)
    ratios = "".join(f"{ratio:>9.3f}" for ratio in sd_ratios)
    return f"{name:<18}{mean_shift:>9.3f}{error:>14.3f}{quantile_shift:>12.3f}     {ratios}"


if __name__ == "__main__":
    run_study(__file__, __doc__, measure)
