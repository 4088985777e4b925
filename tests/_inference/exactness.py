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
conditions on it. Without self-transitions the model conditions on when syllables are held, too.
That is drawn once, independently at every timestep, and is not drawn again.

Scales that are learnt are drawn from half-Cauchy priors first. The steps of a sweep that draw them
and the parameters do not commute, so the reversed kernel is not known, and they are tested by
alternation alone.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
import scipy.stats

from hhmm._emission_solvers import Newton, marginal
from hhmm._inference import chain as chains
from hhmm._inference import gibbs, initialise
from hhmm._inference.chain import Settings
from hhmm._messages import compressed
from hhmm._model.emissions import emission_factors
from hhmm._model.terms import named_scales, scale_of
from hhmm._model.transitions import context_trans_probs
from hhmm._runtime.keys import key_from_data
from hhmm._sequences import lanes, runs
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Array, EmissionLogits, Priors, RunData, SufficientStats
from tests import oracles

# three lanes, of one sequence, of two, of two; the last two with unused timesteps
LENGTHS = (9, 6, 5, 2, 1)
N_TIMESTEPS = sum(LENGTHS)
# of the sequences, where the terms have groups
GROUPS = np.array([0, 1, 2, 0, 1], np.int32)
STARTS = np.isin(np.arange(N_TIMESTEPS), np.cumsum((0, *LENGTHS)))
ENDS = np.append(STARTS[1:], True)
MISSING = 0.15  # probability that a timestep is, but for the last of a sequence
N_SYLLABLES = 3
N_POWERS = 4  # of the table of powers; longer runs are cut
HELD = 0.3  # probability that a syllable is, where it can be
N_ITER = 50  # of the emission solver, at most
N_TOGETHER = 100  # replicates in one call: what is compiled serves any number of them
PRIORS = Priors(*map(np.float64, (2.0, 2.0, 0.8, 2.0, 1.5, 1.0)))
# scales of the half-Cauchy priors, as documented
SCALES = dict.fromkeys(Priors._fields, 2.0) | {"trans_beta": 1.0, "trans_kappa": 100.0}
OF_GROUPS = ("group_emissions_sigma", "group_states_sigma", "group_transitions_sigma")
SCALES |= dict.fromkeys(OF_GROUPS, 1.0)
SIGMA_OF_GROUPS = 0.7


class Joint(NamedTuple):
    """Draws of everything; the leading axis is that of the replicates."""

    priors: Priors
    logits: EmissionLogits
    trans_probs: Array  # (n_replicates, n_states, n_states)
    states: Array  # (n_replicates, N_TIMESTEPS)
    observed: Array  # (n_replicates, N_TIMESTEPS) bool
    held: (
        Array  # (n_replicates, N_TIMESTEPS) bool: the syllable is the one before, if that is known
    )
    syllables: Array  # (n_replicates, N_TIMESTEPS), -1 where missing


def draw_joint(rng, n_replicates, settings):
    """Draw `Joint` from the prior and the model."""
    terms, n_states = settings.terms, settings.terms.n_states
    priors = draw_priors(rng, n_replicates, settings.learnt, len(terms.factors))
    logits = _by_field(
        {
            term: _draw_term(rng, term, terms, scale_of(priors, term))
            for term in [*terms.present, *_of_transitions(terms)]
        }
    )
    beta, kappa = priors.trans_beta[:, None, None], priors.trans_kappa[:, None, None]
    trans_probs = _draw_dirichlet(rng, beta + kappa * np.eye(n_states))
    states = np.zeros((n_replicates, N_TIMESTEPS), np.int32)
    by_context, group = context_trans(trans_probs, logits, terms), group_of_timesteps(terms)
    for t, starts in enumerate(STARTS):
        uniform = np.full((n_replicates, n_states), 1 / n_states)
        before = group[t] * n_states + states[:, t - 1]
        weights = uniform if starts else _rows(by_context, before)
        states[:, t] = _draw_index(rng, weights)
    observed = (rng.random((n_replicates, N_TIMESTEPS)) > MISSING) | ENDS
    held = (rng.random(observed.shape) < HELD) & ~STARTS & (not terms.self_transitions)
    syllables = draw_syllables(rng, logits, states, observed, held, terms)
    return Joint(priors, logits, trans_probs, states, observed, held, syllables)


def draw_priors(rng, n_replicates, learnt, n_factors=0):
    """`PRIORS`, and draws of what is learnt, each (n_replicates,)."""
    priors = PRIORS._asdict() | dict.fromkeys(OF_GROUPS, (SIGMA_OF_GROUPS,) * n_factors)

    def draw(name, value):
        if name not in learnt:
            return np.full(n_replicates, value)
        return scipy.stats.halfcauchy(scale=SCALES[name]).rvs(n_replicates, random_state=rng)

    return Priors(
        **{
            name: tuple(draw(name, x) for x in value)
            if isinstance(value, tuple)
            else draw(name, value)
            for name, value in priors.items()
        }
    )


def _of_transitions(terms):
    """The terms of effects of groups on transitions."""
    return terms.of_transitions.present[1:] if terms.trans_by_group else []


def _by_field(values):
    """`EmissionLogits` of arrays by term."""
    fields = {}
    for term, array in values.items():
        fields[term.name] = array if term.factor is None else (*fields.get(term.name, ()), array)
    return EmissionLogits(**fields)


def group_of_timesteps(terms):
    """The group of every timestep, (N_TIMESTEPS,)."""
    return np.repeat(GROUPS % terms.n_groups, LENGTHS)


def context_trans(trans_probs, logits, terms):
    """Transition probabilities of contexts, (n_replicates, n_contexts, n_states)."""
    total = np.log(trans_probs)[:, None]
    for factor, effects in zip(terms.factors, logits.group_transitions or (), strict=False):
        total = total + effects[:, list(factor.levels)]
    total = np.broadcast_to(total, (len(total), terms.n_groups, *trans_probs.shape[1:]))
    probs = scipy.special.softmax(total, axis=-1)
    return probs.reshape(len(probs), terms.n_contexts, terms.n_states)


def _draw_term(rng, term, terms, sigma):
    """A term of the logits, drawn given its scale (n_replicates,)."""
    terms = terms.of_transitions if term.name == "group_transitions" else terms
    params = rng.standard_normal((len(sigma), *terms.param_shape(term)))
    params = sigma.reshape(-1, *[1] * (params.ndim - 1)) * params
    values = params @ oracles.helmert(terms.n_syllables).T
    if term.factor is not None:
        basis = oracles.helmert(terms.factors[term.factor].n_levels)
        values = np.einsum("kl,nl...->nk...", basis, values)
    if not term.by_state:
        return values
    axis = 1 if term.factor is None else 2
    values = np.moveaxis(values, axis, 1)
    values = np.einsum("kl,nl...->nk...", oracles.helmert(terms.n_states), values)
    return np.moveaxis(values, 1, axis)


def _draw_dirichlet(rng, alpha):
    """Draws of concentrations (..., n), however small; no probability is below 1e-17."""
    log_gamma = np.log(rng.standard_gamma(alpha + 1)) + np.log(rng.random(alpha.shape)) / alpha
    return np.maximum(scipy.special.softmax(log_gamma, axis=-1), 1e-17)


def draw_syllables(rng, logits, states, observed, held, terms):
    """Draw syllables given parameters and states, (n_replicates, N_TIMESTEPS) int32."""
    log_probs, contexts = _log_probs(logits, terms), states_in_groups(states, terms)
    syllables = np.full(states.shape, -1, np.int32)
    for t, starts in enumerate(STARTS):
        weights = np.full((len(states), N_SYLLABLES), 1 / N_SYLLABLES)
        if not starts:
            before = syllables[:, t - 1]
            row = np.exp(_rows(_rows(log_probs, contexts[:, t]), before))
            row = np.where(held[:, t, None], np.eye(N_SYLLABLES)[before], row)
            weights = np.where(observed[:, t - 1, None], row, weights)
        syllables[:, t] = np.where(observed[:, t], _draw_index(rng, weights), -1)
    return syllables


def states_in_groups(states, terms):
    """The context of every timestep, of states (n_replicates, N_TIMESTEPS)."""
    return group_of_timesteps(terms) * terms.n_states + states


def count(states, syllables, terms):
    """Sufficient statistics of each replicate; the last timestep of a sequence is observed."""
    rows, contexts = np.arange(len(states)), states_in_groups(states, terms)
    trans = np.zeros((len(states), terms.n_contexts, terms.n_states))
    counts = np.zeros((len(states), terms.n_contexts, N_SYLLABLES, N_SYLLABLES))
    for t in np.flatnonzero(~STARTS):
        trans[rows, contexts[:, t - 1], states[:, t]] += 1  # a sequence stays in its group
        before, now = syllables[:, t - 1], syllables[:, t]
        emitted = (before >= 0) & (now >= 0)
        counts[rows[emitted], contexts[emitted, t], before[emitted], now[emitted]] += 1
    if not terms.self_transitions:
        counts = counts * (1 - np.eye(N_SYLLABLES))
    return SufficientStats(trans, counts)


def split(values):
    """The values of each sequence, of values (N_TIMESTEPS,)."""
    return np.split(values, np.flatnonzero(STARTS)[1:])


def pack(syllables, kernel):
    """Lay each replicate out as a backend reads it: one pytree with a leading axis."""
    terms = kernel.settings.terms
    coding = {"self_transitions": terms.self_transitions, "groups": _groups(terms)}
    if not kernel.by_runs:
        packed = [lanes.pack(split(x), N_SYLLABLES, **coding)[0] for x in syllables]
        return jax.tree.map(lambda *parts: np.stack(parts), *packed)
    packed = [
        _pad(runs.pack_runs(RunLengths.of(split(x)), N_SYLLABLES, N_POWERS, **coding)[0])
        for x in syllables
    ]
    return RunData(jax.tree.map(lambda *parts: np.stack(parts), *packed), None)


def _groups(terms):
    return lanes.Groups(terms.n_groups, GROUPS % terms.n_groups) if terms.factors else None


def _pad(packed):
    """Runs laid out in as many rows and lanes as any syllables of `LENGTHS` need."""
    n_runs, n_lanes = packed.pairs.shape
    most_runs, most_lanes = (lanes.round_up(n, n_bits=1) for n in (max(LENGTHS), len(LENGTHS)))
    widths = (0, most_runs - n_runs), (0, most_lanes - n_lanes)

    def pad(values, fill):
        return np.pad(values, widths, constant_values=fill)

    _, shape = runs._assign_pieces(np.array(LENGTHS))
    return packed._replace(
        pairs=pad(packed.pairs, len(packed.pair_counts) - 1),
        cells=pad(packed.cells, packed.cell_counts.size - N_POWERS),
        starts=pad(packed.starts, True),
        inside=pad(packed.inside, False),
        positions=pad(packed.positions, shape[0] * shape[1]),
        counters=np.pad(packed.counters, ((0, 0), (0, widths[0][1] // 2), widths[1])),
        groups=np.pad(packed.groups, widths[1]),
    )


def _log_probs(logits, terms):
    """Log syllable transition probabilities (n_replicates, n_states, n_syllables, n_syllables)."""
    total = np.zeros((1, 1, terms.n_states, N_SYLLABLES, N_SYLLABLES))
    if logits.usage is not None:
        total = total + logits.usage[:, None, None, None]
    if logits.base is not None:
        total = total + logits.base[:, None, None]
    if logits.biases is not None:
        total = total + logits.biases[:, None, :, None]
    if logits.interactions is not None:
        total = total + logits.interactions[:, None]
    for f, factor in enumerate(terms.factors):
        levels = list(factor.levels)
        if logits.group_emissions is not None:
            total = total + logits.group_emissions[f][:, levels, None, None]
        if logits.group_states is not None:
            total = total + logits.group_states[f][:, levels, :, None]
    if not terms.self_transitions:
        total = np.where(np.eye(N_SYLLABLES, dtype=bool), -1e300, total)
    log_probs = scipy.special.log_softmax(total, axis=-1)
    log_probs = np.broadcast_to(log_probs, (len(total), terms.n_groups, *total.shape[2:]))
    return log_probs.reshape(len(total), terms.n_contexts, N_SYLLABLES, N_SYLLABLES)


def _rows(matrices, index):
    """Row `index` (n,) of each of the matrices (n, n_rows, ...)."""
    return matrices[np.arange(len(index)), index]


def _draw_index(rng, weights):
    """An index with probability `weights` (n, n_categories), each summing to 1."""
    below = np.cumsum(weights, axis=-1)[:, :-1] <= rng.random((len(weights), 1))
    return below.sum(axis=-1)


class Kernel(NamedTuple):
    """A Gibbs sweep of many chains at once."""

    settings: Settings
    by_runs: bool
    params: Any  # `gibbs.update_params`, compiled
    states: Any  # `gibbs.update_states`, compiled

    def sweep(self, keys, number, chain, data):
        """The sweep of a number: `chain.sweep`, with keys of chains."""

        def one(key, chain, data):
            given = {"sequences": data} if self.settings.sampler == "marginal" else {}
            return chains.sweep(
                chains.sweep_keys(key_from_data(key), np.int32(number), "gibbs"),
                chain,
                functools.partial(self.params, phase=chains.Phase(), **given),
                functools.partial(self.states, sequences=data),
                self.settings.terms,
                _cond,
            )

        return of_replicates(one, keys, chain, data)


def _cond(condition, when_true, when_false):
    """`jax.lax.cond` where nothing around it is compiled."""
    return _select(condition, when_true(), when_false())


@jax.jit
def _select(condition, when_true, when_false):
    return jax.tree.map(functools.partial(jnp.where, condition), when_true, when_false)


def of_replicates(function, *arguments):
    """Call a function for `N_TOGETHER` replicates at a time; of all arrays the leading axis."""
    n_replicates = len(jax.tree.leaves(arguments)[0])
    assert n_replicates % N_TOGETHER == 0
    results = []
    for first in range(0, n_replicates, N_TOGETHER):
        rows = slice(first, first + N_TOGETHER)
        some = jax.tree.map(lambda x, rows=rows: x[rows], arguments)
        results.append(jax.tree.map(np.asarray, jax.vmap(function)(*some)))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *results)


def make_kernel(terms, backend, *, by_runs=False, sampler="hmc", learnt=()):
    """Kernel of a model and a backend; halves that kernels share are compiled once."""
    settings = Settings(Newton(N_ITER), sampler, backend, terms, learnt)
    return Kernel(settings, by_runs, usual_params(settings), usual_states(settings))


def compile_params(settings):
    """`gibbs.update_params` as it is now."""
    return jax.jit(functools.partial(gibbs.update_params, settings=settings))


def compile_states(settings):
    """`gibbs.update_states` as it is now."""
    return jax.jit(functools.partial(gibbs.update_states, settings=settings))


def usual_params(settings):
    """The same, compiled once for all backends that the parameters do not need."""
    if settings.sampler != "marginal":
        settings = settings._replace(backend="")
    return _cached_params(settings)


def usual_states(settings):
    """The same, compiled once for all samplers and whatever is learnt."""
    return _cached_states(settings._replace(sampler="", learnt=()))


_cached_params = functools.cache(compile_params)
_cached_states = functools.cache(compile_states)


@functools.cache
def compile_change_points(terms):
    """What finds the states of each timestep inside of runs."""
    _, (n_steps, n_pieces) = runs._assign_pieces(np.array(LENGTHS))

    def change_points(chain, data):
        return compressed.change_points(
            chain.states,
            emission_factors(chain.logits, terms),
            context_trans_probs(chain.trans_probs, chain.logits.group_transitions, terms),
            data,
            n_positions=n_steps * n_pieces,
        )

    return jax.jit(change_points)


def start(joint, settings):
    """Chains at draws of everything. Of the states they carry the counts, and no more."""
    n_replicates = len(joint.states)
    logits, priors = jax.tree.map(lambda values: values[0], (joint.logits, joint.priors))
    one = initialise.start_from_params(logits, joint.trans_probs[0], priors, settings=settings)
    if settings.sampler == "marginal":
        # a metric of the state of the chain would change what it draws
        whitening = 0.5 * marginal._basis(settings.terms)
        one = one._replace(tuning=one.tuning._replace(whitening=whitening))
    chain = jax.tree.map(lambda x: np.broadcast_to(x, (n_replicates, *np.shape(x))), one)
    return chain._replace(
        has_states=np.ones(n_replicates, bool),
        stats=count(joint.states, joint.syllables, settings.terms),
        logits=joint.logits,
        trans_probs=joint.trans_probs,
        priors=joint.priors,
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
    joint = draw_joint(rng, n_replicates, kernel.settings)
    data, keys = pack(joint.syllables, kernel), _keys(rng, n_replicates)
    n_after = rng.integers(n_links, size=n_replicates)
    drawn = chain = start(joint, kernel.settings)
    values = []
    for number in range(n_links):
        at_draw = n_after == number
        chain = jax.tree.map(functools.partial(_choose, at_draw), drawn, chain)
        before = chain._replace(has_states=~at_draw)
        chain = kernel.sweep(keys, number, before, data)
        chain = chain._replace(states=())
        choose = functools.partial(_choose, number < n_after)
        stats = jax.tree.map(choose, chain.stats, before.stats)
        value = statistics(kernel.settings, chain, stats)
        values.append(value | {"log joint": chain.log_joint})
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
    terms, rng = kernel.settings.terms, np.random.default_rng(seed)
    joint = draw_joint(rng, n_replicates, kernel.settings)
    keys = _keys(rng, n_replicates)
    chain = start(joint, kernel.settings)
    for number in range(n_rounds):
        data = pack(joint.syllables, kernel)
        chain = kernel.sweep(keys, number, chain._replace(states=()), data)
        states = paths(kernel, chain, data)
        syllables = draw_syllables(rng, chain.logits, states, joint.observed, joint.held, terms)
        joint = joint._replace(states=states, syllables=syllables)
        counts = count(states, syllables, terms).syllable_trans_counts
        chain = chain._replace(stats=chain.stats._replace(syllable_trans_counts=counts))
    fresh = draw_joint(rng, 4 * n_replicates, kernel.settings)
    fresh_stats = count(fresh.states, fresh.syllables, terms)
    after = statistics(kernel.settings, chain, chain.stats)
    expected = statistics(kernel.settings, fresh, fresh_stats)
    return {
        name: scipy.stats.ks_2samp(after[name], expected[name], method="asymp").pvalue
        for name in after
    }


def paths(kernel, chain, data):
    """The state of each timestep (n_replicates, N_TIMESTEPS)."""
    lengths = np.array(LENGTHS)
    if not kernel.by_runs:
        states = chain.states
        index, _, _ = lanes.assign_lanes(lengths, _groups(kernel.settings.terms))
    else:
        change_points = compile_change_points(kernel.settings.terms)
        changes = of_replicates(change_points, chain, data)
        index, (n_steps, n_pieces) = runs._assign_pieces(lengths)
        last = np.maximum.accumulate(np.where(changes >= 0, np.arange(changes.shape[1]), 0), axis=1)
        states = np.take_along_axis(changes, last, axis=1)
        states = states.reshape(-1, n_pieces, n_steps).transpose(0, 2, 1)
    by_lane = states.transpose(0, 2, 1).reshape(len(states), -1)
    begins = index.lanes * states.shape[1] + index.offsets
    places = np.concatenate([b + np.arange(n) for b, n in zip(begins, lengths, strict=True)])
    return by_lane[:, places]


def statistics(settings, drawn, stats):
    """What is compared, of parameters and counts; each (n_replicates,).

    Parameters
    ----------
    settings : Settings
    drawn : ChainState or Joint
    stats : SufficientStats
    """
    terms = settings.terms
    logits = jax.tree.map(np.asarray, drawn.logits)
    trans_probs, (trans_counts, counts) = np.asarray(drawn.trans_probs), map(np.asarray, stats)
    log_probs = np.where(counts > 0, _log_probs(logits, terms), 0)
    values = {"log p(x | z)": np.sum(counts * log_probs, axis=(1, 2, 3))}
    for term in [*terms.present, *_of_transitions(terms)]:
        part = term.of(logits)
        if term.by_state and terms.n_states == 1:
            continue
        name, part = f"{term.name}{term.factor or ''}", part.reshape(len(part), -1)
        values |= {f"|{name}|^2": np.sum(part**2, axis=1), f"{name}[0]": part[:, 0]}
    priors = jax.tree.map(np.asarray, drawn.priors)
    values |= named_scales(priors, settings.learnt)
    for term in [*terms.present, *_of_transitions(terms)]:
        if term.sigma in settings.learnt:
            name = f"{term.name}{term.factor or ''}"
            squares = values[f"|{name}|^2"] / scale_of(priors, term) ** 2
            values[f"|{name}|^2 / sigma^2"] = squares
    if terms.n_states == 1:
        return values
    if {"trans_beta", "trans_kappa"} & set(settings.learnt):
        values["log p(A)"] = _log_dirichlet(trans_probs, priors)
    staying = np.einsum("nkk->nk", trans_probs)
    values |= {
        "A[0, 0]": staying[:, 0],
        "A[1, 1]": staying[:, 1],
        "trace of A": staying.sum(axis=1),
        "changes": trans_counts.sum(axis=(1, 2)) - _stays(trans_counts, terms),
        "log p(z)": _log_probs_of(trans_counts, context_trans(trans_probs, logits, terms)),
    }
    if logits.biases is not None:
        usage = counts.sum(axis=(2, 3))
        usage = usage.reshape(len(usage), terms.n_groups, terms.n_states).sum(axis=1)
        values["usage . c"] = np.einsum("nk,nk->n", usage, logits.biases[:, :, 0])
    return values


def _log_probs_of(counts, probs):
    """Sum of counts times log probabilities, (n_replicates,)."""
    return np.sum(scipy.special.xlogy(counts, probs), axis=(1, 2))


def _stays(trans_counts, terms):
    """Number of transitions of states to themselves, of counts (n_replicates, n_contexts, K)."""
    shape = len(trans_counts), terms.n_groups, terms.n_states, terms.n_states
    return np.einsum("ngkk->n", trans_counts.reshape(shape))


def _log_dirichlet(trans_probs, priors):
    """Log density of transitions given their concentrations, (n_replicates,)."""
    beta, kappa = priors.trans_beta[:, None, None], priors.trans_kappa[:, None, None]
    alpha = beta + kappa * np.eye(trans_probs.shape[-1])
    log_density = scipy.special.gammaln(alpha.sum(axis=-1))
    log_density += np.sum((alpha - 1) * np.log(trans_probs), axis=-1)
    log_density -= scipy.special.gammaln(alpha).sum(axis=-1)
    return log_density.sum(axis=-1)


def adjusted(p_values):
    """The smallest p-value, by Bonferroni over the statistics."""
    return min(1.0, len(p_values) * min(p_values.values()))


def _keys(rng, n):
    """Words of keys (n, 2), one a replicate."""
    return rng.integers(2**32, size=(n, 2), dtype=np.uint32)


def _choose(condition, a, b):
    """Elementwise by replicate."""
    return np.where(condition.reshape(-1, *[1] * (np.ndim(a) - 1)), a, b)
