"""Message passing one timestep at a time (`lax.scan`), vectorised over lanes.

The forward recursion is scaled, not in log space (Rabiner 1989, section V.A), and
scaled one step late:

    u[t, k] = p(x[t] | x[t-1], z[t] = k) sum_j A[j, k] u[t-1, j] / sum_j u[t-1, j]

with 1 / K in place of the prediction where a sequence starts. So
``alpha[t] = u[t] / sum_k u[t, k]``, and the sum is the normaliser of the step. States are
drawn backwards by one uniform a timestep and inverse CDF (Scott 2002, section
2.1): z[t] has weights ``alpha[t, k] A[k, z[t+1]]``. Where a sequence ends, and
at every unused timestep of a lane, the next timestep is a start, and the
weights are ``alpha[t]`` alone.

Smoothing is the same recursion backwards, on the evidence of what follows over its
prediction, with the forward normalisers as scale:

    r[t, k] = p(x[t..T] | z[t] = k, x[t-1]) / p(x[t..T] | x[1..t-1])
            = p(x[t] | x[t-1], z[t] = k) sum_j A[k, j] r[t+1, j] / normaliser[t]

so that p(z[t] = k | x) is ``predicted[t, k] r[t, k]``. It is set to 0 in states that
cannot be reached, where it knows no bound: nowhere else can it overflow or underflow
but where the probability itself does.

Layout. Messages are (n_steps, n_states, n_lanes) float32, lanes innermost, so
that every operation of a step is a vector operation over lanes. What was tried, on two
CPU cores, for 1000 steps of 200 lanes and 5 states / 20480 steps of 20 lanes and 10 states:

=====================================================  ===================
forward recursion as it is here                        1.0 ms / 8 ms
prediction by a reduction instead of written-out sums  1.7 ms / 9 ms
scaling in the same step: a second pass over the row   2.1 ms / 10 ms
prediction by a matrix product                         2.7 ms / 31 ms
one array a state instead of one row a state           1.7 ms / 52 ms
scan unrolled 2, 4, 8 steps a turn                     5, 7, 9 ms / 58, 86, 112 ms
=====================================================  ===================

Scaling late makes a step one fused loop over (state, lane); the scan costs 0.4
microseconds a step beside it. Unrolled, the compiler fuses across steps and
computes the shared parts again. Emission factors are gathered inside the step from
the table of pairs: the array of emissions of all timesteps is never built. With many
states and many lanes the matrix product would win (50 states and 512 lanes: 48 against 95 ms for
500 steps), but see `arithmetic.propagate`.
"""

from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hhmm._messages.arithmetic import (
    by_syllables,
    column_of_lanes,
    columns,
    count_cells,
    draw_index,
    larger,
    normalised,
    of_lanes,
    propagate,
    sum_by_group,
    sum_products,
    total,
)
from hhmm._runtime.keys import uniforms_by_row
from hhmm._runtime.precision import log_of_rounding
from hhmm._types import Array, SufficientStats

# messages, timesteps times lanes times states, that expected counts keep in memory at a time
BLOCK_CELLS = 2**22
# float32 scales whose product float64 holds, the largest being 2^128
SCALES_A_LOG = 7


class Forward(NamedTuple):
    """Result of the forward recursion, float32."""

    messages: Array  # u, (n_steps, n_states, n_lanes)
    predicted: Array  # p(z[t] | x[1], ..., x[t-1]), (n_steps, n_states, n_lanes)
    normalisers: Array  # sum over states of u, (n_steps, n_lanes)


def log_normalisers(factors, trans_probs, sequences):
    """Return log p(x[t] | x[1], ..., x[t-1]) in nats.

    Given factors in float64 it is right to 1e-11 of itself, for 1.5 ms where float32 takes 0.9:
    1000 steps of 200 lanes and 5 states. In float32 each step is off by up to 1.2e-7, and where
    all steps are alike, always by the same.

    Parameters
    ----------
    factors : EmissionFactors
    trans_probs : (n_contexts, n_states) float64
    sequences : PackedSequences

    Returns
    -------
    log_normalisers : (n_steps, n_lanes) float64
        0 outside of the sequences.
    """
    step = _step(factors, trans_probs, sequences)

    def step_of_totals(message, inputs):
        message = step(message, inputs)
        return message, total(message)

    first = _before(factors, sequences)
    _, normalisers = lax.scan(step_of_totals, first, (sequences.pairs, sequences.starts))
    return log_terms(normalisers, factors, sequences)


def log_terms(normalisers, factors, sequences):
    """Return `log_normalisers` of the normalisers of the recursion, (n_steps, n_lanes)."""
    scales = factors.log_scale.at[sequences.pairs].get(
        mode="promise_in_bounds", wrap_negative_indices=False
    )
    return _inside(jnp.log(normalisers), sequences) + scales


def forward_filter(factors, trans_probs, sequences, entering=None):
    """Return p(z[t] | x[1], ..., x[t]), (n_steps, n_states, n_lanes) float32.

    A step writes messages alone; they are normalised all at once afterwards. For 100 lanes and 5
    states a step takes 1.5 microseconds so, and 1.6 more where it writes probabilities and
    normalisers, each to an array of its own. `entering` is as for `forward`.
    """
    step = _step(factors, trans_probs, sequences)

    def step_of_messages(message, inputs):
        message = step(message, inputs)
        return message, message

    first = _before(factors, sequences) if entering is None else entering
    _, messages = lax.scan(step_of_messages, first, (sequences.pairs, sequences.starts))
    return messages * (1 / total(messages.transpose(1, 0, 2)))[:, None]


def _step(factors, trans_probs, sequences):
    """Take one step of the recursion, for what is known from the past alone."""
    trans = of_lanes(trans_probs.astype(factors.relative.dtype), sequences.groups)
    emissions = factors.relative.T

    def step(message, inputs):
        pairs, starts = inputs
        return _predict(message, 1 / total(message), trans, starts) * columns(emissions, pairs)

    return step


def smooth(factors, trans_probs, sequences):
    """Return smoothed probabilities (n_steps, n_states, n_lanes) float32: p(z[t] | x)."""
    passed = forward(factors, trans_probs, sequences)
    evidence = backward(factors, trans_probs, sequences, passed)
    return normalised(passed.predicted * evidence, axis=1)


def expected_counts(factors, trans_probs, sequences):
    """Return expected sufficient statistics given the syllables, and the log-likelihood.

    Returns
    -------
    stats : SufficientStats
        Means of the counts of `count` over the posterior of the states.
    log_likelihood : () float64
        log p(x), all sequences, in nats.
    """
    cells = trans_probs.shape[1] * sequences.pairs.size
    n_blocks = max(min(-(-cells // BLOCK_CELLS), len(sequences.pairs)), 1)
    if n_blocks > 1:
        return _expected_counts_by_blocks(factors, trans_probs, sequences, n_blocks)
    passed = forward(factors, trans_probs, sequences)
    evidence = backward(factors, trans_probs, sequences, passed)
    stats = expectation(passed, evidence, factors, trans_probs, sequences)
    return stats, log_likelihood(passed, stats, factors, trans_probs, sequences)


def _expected_counts_by_blocks(factors, trans_probs, sequences, n_blocks):
    """Return `expected_counts` with the messages of one block of timesteps in memory at a time.

    A first pass keeps the message that enters each block; then, from the last block to the
    first, the messages inside of it are computed again. One forward pass more, and memory that
    does not grow with the number of timesteps.
    """
    n_steps, n_lanes = sequences.pairs.shape
    n_pairs, n_states = factors.relative.shape
    step = _step(factors, trans_probs, sequences)

    def blocks_of(values, fill):
        missing = -n_steps % n_blocks
        padded = jnp.pad(values, ((0, missing), (0, 0)), constant_values=fill)
        return padded.reshape(n_blocks, -1, n_lanes)

    blocks = (
        blocks_of(sequences.pairs, n_pairs - 1),
        blocks_of(sequences.starts, True),
        blocks_of(sequences.inside, False),
    )

    def pass_through(message, block):
        return lax.scan(lambda *given: (step(*given), None), message, block[:2])[0], message

    def collect(carry, inputs):
        following, continues, stats, log_likelihood = carry
        entering, *block = inputs
        block = sequences._replace(**dict(zip(("pairs", "starts", "inside"), block, strict=True)))
        passed = forward(factors, trans_probs, block, entering)
        evidence = backward(factors, trans_probs, block, passed, following, continues)
        new = expectation(passed, evidence, factors, trans_probs, block, entering)
        stats = jax.tree.map(jnp.add, stats, new)
        log_likelihood += _sum_of_logs(passed.normalisers, block)
        return (evidence[0], ~block.starts[0], stats, log_likelihood), None

    ones = _before(factors, sequences)
    _, entering = lax.scan(pass_through, ones, blocks)
    n_groups = len(trans_probs) // n_states
    no_counts = by_syllables(jnp.zeros((n_states, n_pairs)), n_groups)
    nothing = SufficientStats(jnp.zeros_like(trans_probs), no_counts)
    carry = ones, jnp.zeros(n_lanes, bool), nothing, jnp.zeros(())
    (_, _, stats, log_likelihood), _ = lax.scan(collect, carry, (entering, *blocks), reverse=True)
    log_likelihood += jnp.dot(sequences.pair_counts, factors.log_scale)
    return stats, log_likelihood + lost_by_rounding(stats, factors, trans_probs)


def expectation(passed, evidence, factors, trans_probs, sequences, entering=None):
    """Return expected sufficient statistics of what `forward` and `backward` leave.

    With the transitions into the first timestep where the message `entering` before it is given.
    """
    # p(z[t-1] = j, z[t] = k | x) is alpha[t-1, j] A[j, k] r[t, k]
    smoothed = passed.predicted * evidence
    # over a long lane rounding lets the scale of the evidence drift
    scale = 1 / total(smoothed.transpose(1, 0, 2))[:, None]
    before, first = passed.messages[:-1], 1
    if entering is not None:
        before, first = jnp.concatenate([entering[None], before]), 0
    continues = (sequences.inside & ~sequences.starts)[first:, None]
    joint = sum_products(
        "tjn,tkn->njk",
        normalised(before, axis=1),
        jnp.where(continues, evidence[first:] * scale[first:], 0),
    )
    smoothed = (smoothed * scale).transpose(0, 2, 1).astype(jnp.float64)
    n_pairs, n_states = factors.relative.shape
    by_pair = jnp.zeros((n_pairs, n_states)).at[sequences.pairs].add(smoothed)
    n_groups = len(trans_probs) // n_states
    joint = sum_by_group(joint, sequences.groups, n_groups).reshape(trans_probs.shape)
    return SufficientStats(trans_probs * joint, by_syllables(by_pair.T, n_groups))


def sample(key, factors, trans_probs, sequences):
    """Draw all states from their posterior given the syllables.

    Returns
    -------
    states : (n_steps, n_lanes) int32
        Meaningful inside the sequences.
    stats : SufficientStats
        Their counts.
    log_likelihood : () float64
        log p(x), all sequences, in nats.
    """
    passed = forward(factors, trans_probs, sequences)
    trans = of_lanes(trans_probs.astype(passed.messages.dtype), sequences.groups)
    noise = uniforms_by_row(key, sequences.counters)

    def step(state, inputs):
        message, ends, uniform = inputs
        to_next = column_of_lanes(trans, state)
        state = draw_index(uniform, message * jnp.where(ends, 1, to_next))
        return state, state

    last = jnp.zeros(sequences.pairs.shape[1:], jnp.int32)
    _, states = lax.scan(step, last, (passed.messages, ends_of(sequences), noise), reverse=True)
    stats = count(states, sequences, factors, trans_probs)
    return states, stats, log_likelihood(passed, stats, factors, trans_probs, sequences)


def state_changes(states, factors, trans_probs, sequences, shape):
    """Return the states of a draw, lane after lane, on the host."""
    del factors, trans_probs, sequences, shape
    return np.asarray(states).T.reshape(-1)


def count(states, sequences, factors, trans_probs):
    """Return sufficient statistics of states.

    A state transition counts where both of its timesteps are inside the same
    sequence; a syllable transition where both of its syllables are observed.

    Parameters
    ----------
    states : (n_steps, n_lanes) int32
    sequences : PackedSequences
    factors, trans_probs
        Of which the shapes alone are read.

    Returns
    -------
    stats : SufficientStats, float64
    """
    n_pairs, n_states = factors.relative.shape
    n_groups, n_cells = len(trans_probs) // n_states, trans_probs.size
    # transitions into a start or into the unused rest of a lane go to the cell after the last one
    continues = sequences.inside[1:] & ~sequences.starts[1:]
    context = states[:-1]
    if n_groups > 1:
        context = sequences.groups * n_states + context
    cell = jnp.where(continues, context * n_states + states[1:], n_cells)
    trans_counts = count_cells(cell, n_cells + 1)[:-1].reshape(trans_probs.shape)
    by_pair = count_cells(states * n_pairs + sequences.pairs, n_states * n_pairs)
    by_pair = by_pair.reshape(n_states, n_pairs)
    return SufficientStats(trans_counts, by_syllables(by_pair, n_groups))


def viterbi(factors, trans_probs, sequences, ends_fixed=None):
    """Return the most probable states of every sequence, (n_steps, n_lanes) int32.

    Max-product in log space (Viterbi 1967), the best score of the timestep before
    taken out so that float32 holds differences between states only; the path
    is read backwards from the scores, without back-pointers. Ties go to the lowest state.
    For 1000 steps of 200 lanes and 5 states, on a CPU: 1.8 ms forward and 0.4 ms backward; 1.4 ms
    backward with back-pointers from one pass over all timesteps, or with one gather a state.

    Lanes may be parts of sequences, with `ends_fixed`: the state at the first timestep of each
    lane, the state at the timestep after its last one, and whether there is one, each (n_lanes,).
    """
    dtype = factors.relative.dtype
    n_states = trans_probs.shape[1]
    log_trans = of_lanes(jnp.log(trans_probs).astype(dtype), sequences.groups)
    # to the next state; after the last timestep, nothing
    to_next = jnp.concatenate([log_trans, jnp.zeros_like(log_trans[:, :1])], axis=1)
    log_relative = jnp.log(factors.relative.T)
    starts, ends = sequences.starts, ends_of(sequences)
    at_start, last = 0, jnp.zeros(starts.shape[1:], jnp.int32)
    if ends_fixed is not None:
        state, last, continues = ends_fixed
        at_start = jnp.where(jnp.arange(n_states)[:, None] == state, 0, -jnp.inf).astype(dtype)
        starts = jnp.concatenate([jnp.ones_like(starts[:1]), starts[1:]])
        ends = ends_of(sequences, continues)

    def forward_step(scores, inputs):
        pairs, starts = inputs
        best = reduce(larger, [log_trans[j] + scores[j] for j in range(n_states)])
        highest = reduce(larger, list(scores))
        best = jnp.where(starts, at_start, best - highest) + columns(log_relative, pairs)
        return best, best

    first = jnp.zeros((n_states, sequences.pairs.shape[1]), dtype)
    _, scores = lax.scan(forward_step, first, (sequences.pairs, starts))

    def backward_step(state, inputs):
        scores, ends = inputs
        candidates = scores + column_of_lanes(to_next, jnp.where(ends, n_states, state))
        index, best = jnp.zeros_like(state), candidates[0]
        for k in range(1, n_states):
            candidate = candidates[k]
            index = jnp.where(candidate > best, k, index)
            best = larger(best, candidate)
        return index, index

    _, states = lax.scan(backward_step, last, (scores, ends), reverse=True)
    return states


def forward(factors, trans_probs, sequences, entering=None):
    """Do the forward recursion; return `Forward`.

    Where the first timestep of a lane is no start, the message `entering` (n_states, n_lanes), up
    to a factor, comes before it.
    """
    trans = of_lanes(trans_probs.astype(factors.relative.dtype), sequences.groups)
    emissions = factors.relative.T

    def step(message, inputs):
        predicted = _predict(message, 1 / total(message), trans, inputs[1])
        message = predicted * columns(emissions, inputs[0])
        return message, (message, predicted)

    first = _before(factors, sequences) if entering is None else entering
    _, (messages, predicted) = lax.scan(step, first, (sequences.pairs, sequences.starts))
    return Forward(messages, predicted, total(messages.transpose(1, 0, 2)))


def _before(factors, sequences):
    """Return a message to come before sequences that start, (n_states, n_lanes)."""
    shape = factors.relative.shape[1], sequences.pairs.shape[1]
    return jnp.ones(shape, factors.relative.dtype)


def _predict(message, scale, trans, starts):
    """Predict p(z[t] | x[1], ..., x[t-1]) and its scale from the message before."""
    return jnp.where(starts, 1 / len(trans), propagate(message, trans) * scale)


def backward(factors, trans_probs, sequences, passed, following=None, continues=None):
    """Return the evidence r of what follows over its prediction, (n_steps, n_states, n_lanes).

    Lanes that `continues` (n_lanes,) marks go on after their last timestep, with the evidence
    `following` (n_states, n_lanes) at the next one.
    """
    trans = of_lanes(trans_probs.astype(factors.relative.dtype), sequences.groups)
    back, emissions = trans.swapaxes(0, 1), factors.relative.T

    def step(evidence, inputs):
        pairs, ends, predicted, normaliser = inputs
        following = jnp.where(ends, 1, propagate(evidence, back))
        evidence = following * columns(emissions, pairs) * (1 / normaliser)
        evidence = jnp.where(predicted > 0, evidence, 0)
        return evidence, evidence

    last = jnp.ones_like(passed.messages[0]) if following is None else following
    inputs = (sequences.pairs, ends_of(sequences, continues), passed.predicted, passed.normalisers)
    _, evidence = lax.scan(step, last, inputs, reverse=True)
    return evidence


def log_likelihood(passed, stats, factors, trans_probs, sequences):
    """Return log p(x) in nats, all sequences, from `forward` and the counts, () float64."""
    logs = _sum_of_logs(passed.normalisers, sequences)
    logs += jnp.dot(sequences.pair_counts, factors.log_scale)
    return logs + lost_by_rounding(stats, factors, trans_probs)


def _sum_of_logs(normalisers, sequences):
    """Return the sum of the logarithms of normalisers inside of the sequences, () float64.

    Of the scales that the recursion has multiplied messages by, as they were rounded; of products
    of so many that float64 holds them, which takes 0.17 ms for 200,000, where their logarithms take
    0.85, and 0.29 in float32.
    """
    scales = jnp.where(sequences.inside, 1 / normalisers, 1)
    scales = jnp.pad(scales, ((0, -len(scales) % SCALES_A_LOG), (0, 0)), constant_values=1)
    products = scales.reshape(-1, SCALES_A_LOG, scales.shape[1]).astype(jnp.float64).prod(axis=1)
    return -jnp.sum(jnp.log(products))


def lost_by_rounding(stats, factors, trans_probs):
    """Return what log p(x) loses where A and emissions are rounded, () float64.

    Its derivatives by log A and by the log emissions are the expected counts, and counts of a draw
    are right on average.
    """
    of_trans = log_of_rounding(trans_probs, factors.relative.dtype)
    of_emissions = by_syllables(factors.rounding.T, len(trans_probs) // trans_probs.shape[1])
    lost = jnp.sum(stats.syllable_trans_counts * of_emissions)
    return jnp.sum(stats.state_trans_counts * of_trans) + lost


def _inside(values, sequences):
    """Return values (n_steps, n_lanes) as float64, 0 outside of the sequences."""
    return jnp.where(sequences.inside, values, 0).astype(jnp.float64)


def ends_of(sequences, continues=None):
    """Return whether the next timestep of the lane is a start (n_steps, n_lanes)."""
    starts = sequences.starts
    last = jnp.ones_like(starts[0]) if continues is None else ~continues
    return jnp.concatenate([starts[1:], last[None]])
