"""Two tests of whether a Gibbs sweep leaves the joint distribution of everything invariant.

A replicate is a draw of parameters and states from the prior and of syllables from the model,
made here in NumPy. The sweeps after it are the library's own, over all replicates at once.

*Ranks* (Gandy & Scott 2020, "Unit testing for MCMC and other Monte Carlo methods", section 3.3).
The draw is put at a random place of a chain of given syllables: sweeps go on from it to the end
of the chain, and sweeps of the reversed kernel go back from it to the beginning. Each half of a
sweep is reversible, so the reversed kernel has the halves in the opposite order, states first.
If sweeps leave the posterior invariant, the chain is stationary wherever the draw was put, and
the rank of the draw among all of the chain, by any statistic, is uniform.

*Alternation* (Geweke 2004, "Getting it right", Journal of the American Statistical Association
99). A sweep, then new syllables given parameters and states, and so on: parameters, states and
syllables keep the distribution that they had before.

A syllable after a missing one is drawn uniformly, like the first of a sequence: there the model
conditions on it.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
import scipy.stats

from hhmm import _runs, _sequences
from hhmm._inference import chain as chains
from hhmm._inference import gibbs, initialise
from hhmm._inference.chain import Settings
from hhmm._messages import compressed
from hhmm._model.emissions import emission_factors
from hhmm._random import key_from_random_state
from hhmm._types import Array, EmissionLogits, Priors, RunData, SufficientStats
from tests import oracles

# three lanes, of one sequence, of two, of two; the last two with unused timesteps
LENGTHS = (9, 6, 5, 2, 1)
N_TIMESTEPS = sum(LENGTHS)
STARTS = np.isin(np.arange(N_TIMESTEPS), np.cumsum((0, *LENGTHS)))
ENDS = np.append(STARTS[1:], True)
MISSING = 0.15  # probability that a timestep is, but for the last of a sequence
N_SYLLABLES = 3
N_POWERS = 4  # of the table of powers; longer runs are cut
N_ITER = 50  # of the emission solver, at most
PRIORS = Priors(*map(np.float64, (2.0, 2.0, 0.8, 2.0)))


class Joint(NamedTuple):
    """Draws of everything; the leading axis is that of the replicates."""

    logits: EmissionLogits
    trans_probs: Array  # (n_replicates, n_states, n_states)
    states: Array  # (n_replicates, N_TIMESTEPS)
    observed: Array  # (n_replicates, N_TIMESTEPS) bool
    syllables: Array  # (n_replicates, N_TIMESTEPS), -1 where missing


def draw_joint(rng, n_replicates, n_states):
    """Draw `Joint` from the prior and the model."""
    to_syllables, to_states = oracles.helmert(N_SYLLABLES), oracles.helmert(n_states)
    b = rng.standard_normal((n_replicates, N_SYLLABLES, N_SYLLABLES - 1))
    c = rng.standard_normal((n_replicates, n_states - 1, N_SYLLABLES - 1))
    logits = EmissionLogits(
        PRIORS.emission_base_sigma * b @ to_syllables.T,
        PRIORS.emission_biases_sigma * to_states @ c @ to_syllables.T,
    )
    alpha = PRIORS.trans_beta + PRIORS.trans_kappa * np.eye(n_states)
    trans_probs = np.stack([rng.dirichlet(row, size=n_replicates) for row in alpha], axis=1)
    states = np.zeros((n_replicates, N_TIMESTEPS), np.int32)
    for t, starts in enumerate(STARTS):
        uniform = np.full((n_replicates, n_states), 1 / n_states)
        weights = uniform if starts else _rows(trans_probs, states[:, t - 1])
        states[:, t] = _draw_index(rng, weights)
    observed = (rng.random((n_replicates, N_TIMESTEPS)) > MISSING) | ENDS
    syllables = draw_syllables(rng, logits, states, observed)
    return Joint(logits, trans_probs, states, observed, syllables)


def draw_syllables(rng, logits, states, observed):
    """Draw syllables given parameters and states, (n_replicates, N_TIMESTEPS) int32."""
    log_probs = _log_probs(logits)
    syllables = np.full(states.shape, -1, np.int32)
    for t, starts in enumerate(STARTS):
        weights = np.full((len(states), N_SYLLABLES), 1 / N_SYLLABLES)
        if not starts:
            row = np.exp(_rows(_rows(log_probs, states[:, t]), syllables[:, t - 1]))
            weights = np.where(observed[:, t - 1, None], row, weights)
        syllables[:, t] = np.where(observed[:, t], _draw_index(rng, weights), -1)
    return syllables


def count(states, syllables, n_states):
    """Sufficient statistics of each replicate, by the oracle."""
    counts = [
        oracles.count_transitions(split(x), split(z), n_states, N_SYLLABLES)
        for x, z in zip(syllables, states, strict=True)
    ]
    return SufficientStats(*map(np.array, zip(*counts, strict=True)))


def split(values):
    """The values of each sequence, of values (N_TIMESTEPS,)."""
    return np.split(values, np.flatnonzero(STARTS)[1:])


def pack(syllables, *, by_runs):
    """Lay each replicate out as a backend reads it: one pytree with a leading axis."""
    if not by_runs:
        packed = [_sequences.pack(split(x), N_SYLLABLES)[0] for x in syllables]
        return jax.tree.map(lambda *parts: np.stack(parts), *packed)
    packed = [_pad(_runs.pack_runs(split(x), N_SYLLABLES, N_POWERS)[0]) for x in syllables]
    return RunData(jax.tree.map(lambda *parts: np.stack(parts), *packed), None)


def _pad(runs):
    """Runs laid out in as many rows and lanes as any syllables of `LENGTHS` need."""
    n_runs, n_lanes = runs.pairs.shape
    widths = (0, max(LENGTHS) - n_runs), (0, len(LENGTHS) - n_lanes)

    def pad(values, fill):
        return np.pad(values, widths, constant_values=fill)

    _, shape = _runs._assign_pieces(np.array(LENGTHS))
    return runs._replace(
        pairs=pad(runs.pairs, N_SYLLABLES**2),
        cells=pad(runs.cells, N_SYLLABLES * N_POWERS),
        starts=pad(runs.starts, True),
        inside=pad(runs.inside, False),
        positions=pad(runs.positions, shape[0] * shape[1]),
    )


def _log_probs(logits):
    """Log syllable transition probabilities (n_replicates, n_states, n_syllables, n_syllables)."""
    return scipy.special.log_softmax(logits.base[:, None] + logits.biases[:, :, None], axis=-1)


def _rows(matrices, index):
    """Row `index` (n,) of each of the matrices (n, n_rows, ...)."""
    return matrices[np.arange(len(index)), index]


def _draw_index(rng, weights):
    """An index with probability `weights` (n, n_categories), each summing to 1."""
    below = np.cumsum(weights, axis=-1)[:, :-1] <= rng.random((len(weights), 1))
    return below.sum(axis=-1)


class Kernel(NamedTuple):
    """A Gibbs sweep of many chains at once, as `chain.sweep` takes an algorithm."""

    n_states: int
    by_runs: bool
    params: Any  # `gibbs.update_params`, compiled
    states: Any  # `gibbs.update_states`, compiled

    def update_params(self, *arguments, settings):
        return self.params(*arguments)

    def update_states(self, *arguments, settings):
        return self.states(*arguments)

    def sweep(self, keys, number, chain, data):
        """The sweep of a number: `chain.sweep`, with keys of chains."""

        def one(key, chain, data):
            key = jax.random.fold_in(key, number)
            return chains.sweep(self, key, chain, data, PRIORS, 0.0, False, settings=None)

        return jax.vmap(one)(keys, chain, data)


def make_kernel(n_states, backend, *, by_runs=False, sampler="hmc"):
    """Kernel of a number of states and a backend; halves that kernels share are compiled once."""
    return Kernel(n_states, by_runs, usual_params(sampler), usual_states(backend))


def compile_params(sampler):
    """`gibbs.update_params` as it is now."""
    settings = Settings("newton", sampler, N_ITER, "")
    return jax.jit(functools.partial(gibbs.update_params, settings=settings))


def compile_states(backend):
    """`gibbs.update_states` as it is now."""
    settings = Settings("", "", 0, backend)
    return jax.jit(functools.partial(gibbs.update_states, settings=settings))


usual_params = functools.cache(compile_params)
usual_states = functools.cache(compile_states)


@functools.cache
def compile_change_points():
    """What finds the states of each timestep inside of runs."""
    _, (n_steps, n_pieces) = _runs._assign_pieces(np.array(LENGTHS))

    def change_points(chain, data):
        return compressed.change_points(
            chain.states,
            emission_factors(chain.logits),
            chain.trans_probs,
            data,
            n_positions=n_steps * n_pieces,
        )

    return jax.jit(jax.vmap(change_points))


def start(joint, n_states):
    """Chains at draws of everything. Of the states they carry the counts, and no more."""
    n_replicates = len(joint.states)
    settings = Settings("newton", "", N_ITER, "")
    one = initialise.start_from_params(
        EmissionLogits(joint.logits.base[0], joint.logits.biases[0]),
        joint.trans_probs[0],
        None,
        n_states=n_states,
        n_syllables=N_SYLLABLES,
        settings=settings,
    )
    chain = jax.tree.map(lambda x: np.broadcast_to(x, (n_replicates, *np.shape(x))), one)
    return chain._replace(
        has_states=np.ones(n_replicates, bool),
        stats=count(joint.states, joint.syllables, n_states),
        logits=joint.logits,
        trans_probs=joint.trans_probs,
    )


def rank_p_values(kernel, *, n_replicates, n_links, seed):
    """The rank test: p-value of each statistic.

    Pearson's test of uniform ranks in chains of `n_links`. Ties are broken at random.

    The chain is computed in `n_links` sweeps, the one at the draw's place a step back to it, with
    its parameters and without its states. What comes after the draw is parameters and
    states at the end of a sweep. What comes before it, backwards, is the parameters
    at the end of a sweep and the states at its beginning: the states that come first were
    drawn by the sweep before.
    """
    rng = np.random.default_rng(seed)
    joint = draw_joint(rng, n_replicates, kernel.n_states)
    data = jax.device_put(pack(joint.syllables, by_runs=kernel.by_runs))
    keys = jax.random.split(key_from_random_state(seed), n_replicates)
    n_after = rng.integers(n_links, size=n_replicates)
    drawn = chain = start(joint, kernel.n_states)
    values = []
    for number in range(n_links):
        at_draw = n_after == number
        chain = jax.tree.map(functools.partial(_choose, at_draw), drawn, chain)
        before = chain._replace(has_states=~at_draw)
        chain = kernel.sweep(keys, number, before, data)
        chain = chain._replace(states=())
        choose = functools.partial(_choose, number < n_after)
        stats = jax.tree.map(choose, chain.stats, before.stats)
        value = statistics(chain.logits, chain.trans_probs, stats)
        values.append(value | {"log joint": np.asarray(chain.log_joint)})
    p_values = {}
    for name in values[0]:
        # a refused proposal leaves the parameters where they are but for rounding
        of_chain = np.round([value[name] for value in values], 9)
        of_draw = of_chain[n_after, np.arange(n_replicates)]
        n_below, n_equal = (of_chain < of_draw).sum(axis=0), (of_chain == of_draw).sum(axis=0)
        ranks = n_below + rng.integers(n_equal)
        p_values[name] = scipy.stats.chisquare(np.bincount(ranks, minlength=n_links)).pvalue
    return p_values


def alternation_p_values(kernel, *, n_replicates, n_rounds, seed):
    """The alternation test: p-value of each statistic.

    After `n_rounds` of a sweep and new syllables each replicate is an independent draw from the
    joint distribution. It is compared with fresh draws, four times as many, by the test of
    Kolmogorov and Smirnov, which is conservative where there are ties.
    """
    rng = np.random.default_rng(seed)
    joint = draw_joint(rng, n_replicates, kernel.n_states)
    keys = jax.random.split(key_from_random_state(seed), n_replicates)
    chain = start(joint, kernel.n_states)
    for number in range(n_rounds):
        data = jax.device_put(pack(joint.syllables, by_runs=kernel.by_runs))
        chain = kernel.sweep(keys, number, chain._replace(states=()), data)
        logits = jax.tree.map(np.asarray, chain.logits)
        states = paths(kernel, chain, data)
        syllables = draw_syllables(rng, logits, states, joint.observed)
        joint = Joint(logits, np.asarray(chain.trans_probs), states, joint.observed, syllables)
        counts = count(states, syllables, kernel.n_states).syllable_trans_counts
        chain = chain._replace(stats=chain.stats._replace(syllable_trans_counts=counts))
    fresh = draw_joint(rng, 4 * n_replicates, kernel.n_states)
    fresh_stats = count(fresh.states, fresh.syllables, kernel.n_states)
    after = statistics(chain.logits, chain.trans_probs, chain.stats)
    expected = statistics(fresh.logits, fresh.trans_probs, fresh_stats)
    return {
        name: scipy.stats.ks_2samp(after[name], expected[name], method="asymp").pvalue
        for name in after
    }


def paths(kernel, chain, data):
    """The state of each timestep (n_replicates, N_TIMESTEPS)."""
    lengths = np.array(LENGTHS)
    if not kernel.by_runs:
        states = np.asarray(chain.states)
        index, _, _ = _sequences.assign_lanes(lengths)
    else:
        changes = np.asarray(compile_change_points()(chain, data))
        index, (n_steps, n_pieces) = _runs._assign_pieces(lengths)
        last = np.maximum.accumulate(np.where(changes >= 0, np.arange(changes.shape[1]), 0), axis=1)
        states = np.take_along_axis(changes, last, axis=1)
        states = states.reshape(-1, n_pieces, n_steps).transpose(0, 2, 1)
    by_lane = states.transpose(0, 2, 1).reshape(len(states), -1)
    begins = index.lanes * states.shape[1] + index.offsets
    places = np.concatenate([b + np.arange(n) for b, n in zip(begins, lengths, strict=True)])
    return by_lane[:, places]


def statistics(logits, trans_probs, stats):
    """What is compared, of parameters and counts; each (n_replicates,)."""
    base, biases = np.asarray(logits.base), np.asarray(logits.biases)
    trans_counts, counts = map(np.asarray, stats)
    log_probs = _log_probs(EmissionLogits(base, biases))
    values = {
        "|b|^2": np.sum(base**2, axis=(1, 2)),
        "b[0]": base[:, 0, 0],
        "log p(x | z)": np.sum(counts * log_probs, axis=(1, 2, 3)),
    }
    if biases.shape[1] == 1:
        return values
    trans_probs = np.asarray(trans_probs)
    usage = counts.sum(axis=(2, 3))
    staying = np.einsum("nkk->nk", trans_probs)
    return values | {
        "|c|^2": np.sum(biases**2, axis=(1, 2)),
        "A[0, 0]": staying[:, 0],
        "A[1, 1]": staying[:, 1],
        "trace of A": staying.sum(axis=1),
        "changes": trans_counts.sum(axis=(1, 2)) - np.einsum("nkk->n", trans_counts),
        "usage . c": np.einsum("nk,nk->n", usage, biases[:, :, 0]),
        "log p(z)": np.sum(trans_counts * np.log(trans_probs), axis=(1, 2)),
    }


def adjusted(p_values):
    """The smallest p-value, by Bonferroni over the statistics."""
    return min(1.0, len(p_values) * min(p_values.values()))


def _choose(condition, a, b):
    """Elementwise by replicate."""
    return jnp.where(condition.reshape(-1, *[1] * (np.ndim(a) - 1)), a, b)
