"""Message passing by associative scans, for accelerators and for few long sequences.

A timestep is a link of the chain, the matrix ``W[t][i, j] = A[i, j] p(x[t] | x[t-1], z[t] = j)``,
and a forward message is the one before it times a product of links. Products are
associative, so all products of the first t links are had in a logarithmic
number of steps (`lax.associative_scan`; Blelloch 1990), at the cost of products of
matrices where the recursion has products of a vector and a matrix. This is Särkkä &
García-Fernández (2021, IEEE Transactions on Automatic Control 66) for discrete states: Hassan,
Särkkä & García-Fernández (2021, IEEE Transactions on Signal Processing 69). Four products do
all there is to do:

==========  ============================================  =============================
recursion   link                                          product
==========  ============================================  =============================
filter      W[t]                                          of matrices, rows scaled
smoother    p(z[t] = k | z[t+1] = k', x[1..t])            of stochastic matrices
sampling    the draw of z[t] for every z[t+1], a map      of maps, one after the other
Viterbi     log W[t]; then the best z[t] for every        max-plus, of matrices; of
            z[t+1], a map                                 maps
==========  ============================================  =============================

Where a sequence starts, ``W[t][i, j] = p(x[t] | x[t-1], z[t] = j) / K`` does not depend on i, and
the backward links of the timestep before do not depend on z[t+1]: that cuts the chain.

From the filtered messages that come out, all normalisers follow by one recursion step at
every timestep at once, so that they are what `sequential` computes, and rounding in long products
is not handed on. The scans themselves are in `associative`.

A run of timesteps is a link as well: see `parallel_runs`.

Layout. At the edges messages are (n_steps, n_states, n_lanes), as everywhere; inside a block see
`associative`.
"""

import jax.numpy as jnp
from jax import lax

from hhmm._messages import sequential
from hhmm._messages.arithmetic import draw_index, lanes_first, normalised, of_lanes
from hhmm._messages.associative import (
    backward_links,
    by_blocks,
    filter_links,
    follow,
    max_plus,
    rows_of_block,
    smooth_links,
    timestep_links,
)
from hhmm._messages.scaled import matrix_product
from hhmm._messages.sequential import state_changes
from hhmm._runtime.keys import uniforms_by_row

__all__ = [
    "expected_counts",
    "forward_filter",
    "log_normalisers",
    "sample",
    "smooth",
    "state_changes",
    "viterbi",
]


def log_normalisers(factors, trans_probs, data):
    """Return log p(x[t] | x[1], ..., x[t-1]) in nats.

    Parameters
    ----------
    factors : EmissionFactors
    trans_probs : (n_contexts, n_states) float64
    data : PackedSequences

    Returns
    -------
    log_normalisers : (n_steps, n_lanes) float64
        0 outside of the sequences.
    """
    return sequential.log_terms(forward(factors, trans_probs, data).normalisers, factors, data)


def forward_filter(factors, trans_probs, data):
    """Return p(z[t] | x[1], ..., x[t]), (n_steps, n_states, n_lanes) float32."""
    return normalised(forward(factors, trans_probs, data).messages, axis=1)


def smooth(factors, trans_probs, data):
    """Return smoothed probabilities (n_steps, n_states, n_lanes) float32: p(z[t] | x)."""
    return backward(trans_probs, data, forward(factors, trans_probs, data))


def expected_counts(factors, trans_probs, data):
    """Return expected sufficient statistics given the syllables, and the log-likelihood.

    Returns
    -------
    stats : SufficientStats
        Means of the counts of `sequential.count` over the posterior of the states.
    log_likelihood : () float64
        log p(x), all sequences, in nats.
    """
    passed = forward(factors, trans_probs, data)
    smoothed = backward(trans_probs, data, passed)
    evidence = jnp.where(passed.predicted > 0, smoothed / passed.predicted, 0)
    stats = sequential.expectation(passed, evidence, factors, trans_probs, data)
    return stats, sequential.log_likelihood(passed, stats, factors, trans_probs, data)


def sample(key, factors, trans_probs, data):
    """Draw all states from their posterior given the syllables.

    A key gives the draw that it gives in `sequential`, except for rounding.

    Returns
    -------
    states : (n_steps, n_lanes) int32
        Meaningful inside the sequences.
    stats : SufficientStats
        Their counts.
    log_likelihood : () float64
        log p(x), all sequences, in nats.
    """
    passed = forward(factors, trans_probs, data)
    messages = passed.messages
    n_states = trans_probs.shape[1]
    n_steps, n_lanes = data.pairs.shape
    trans = of_lanes(trans_probs.astype(messages.dtype), data.groups).swapaxes(1, 2)
    noise = uniforms_by_row(key, data.counters)

    def step(state, inputs):
        messages, ends, noise = inputs
        # (n_states, n_rows, n_lanes, n_states): z[t] leads, z[t+1] comes last
        leaving = jnp.where(ends[..., None], 1, trans[:, None])
        weights = messages.transpose(1, 0, 2)[..., None] * leaving
        states = follow(draw_index(noise[..., None], weights), state)
        return states[0], states

    _, states = by_blocks(
        step,
        jnp.zeros(n_lanes, jnp.int32),
        (messages, sequential.ends_of(data), noise),
        padding=(1, True, 0),
        n_rows=rows_of_block(n_steps, n_lanes, n_states, messages.dtype),
        reverse=True,
    )
    stats = sequential.count(states, data, factors, trans_probs)
    return states, stats, sequential.log_likelihood(passed, stats, factors, trans_probs, data)


def viterbi(factors, trans_probs, data):
    """Return the most probable states of every sequence, (n_steps, n_lanes) int32.

    Max-product in log space (Viterbi 1967). The path is read back from the scores by the map
    from every next state to the best one before it. Of paths as good as each other but for
    rounding it may find another one than `sequential`.
    """
    n_steps, n_lanes = data.pairs.shape
    n_states = trans_probs.shape[1]
    log_trans = lanes_first(jnp.log(trans_probs), data.groups)
    log_relative = jnp.log(factors.relative).astype(log_trans.dtype)
    n_rows = rows_of_block(n_steps, n_lanes, n_states, log_trans.dtype)

    def forward_step(entering, inputs):
        pairs, starts, ends = inputs
        links = jnp.where(starts[..., None, None], 0, log_trans)
        links = links + log_relative[pairs][..., None, :]
        prefixes = lax.associative_scan(max_plus, links)
        scores = max_plus(entering[:, None, :], prefixes)[..., 0, :]
        leaving = jnp.where(ends[..., None, None], 0, log_trans)
        return scores[-1], lax.argmax(scores[..., :, None] + leaving, leaving.ndim - 2, jnp.int32)

    _, maps = by_blocks(
        forward_step,
        jnp.zeros((n_lanes, n_states), log_trans.dtype),
        (data.pairs, data.starts, sequential.ends_of(data)),
        padding=(len(factors.relative) - 1, True, True),
        n_rows=n_rows,
    )

    def backward_step(state, maps):
        states = follow(maps, state)
        return states[0], states

    last = jnp.zeros(n_lanes, jnp.int32)
    _, states = by_blocks(backward_step, last, maps, padding=0, n_rows=n_rows, reverse=True)
    return states


def forward(factors, trans_probs, sequences):
    """Do the forward recursion; return `sequential.Forward`."""
    n_steps, n_lanes = sequences.pairs.shape
    n_states = trans_probs.shape[1]
    trans = lanes_first(trans_probs.astype(factors.relative.dtype), sequences.groups)

    def step(entering, inputs):
        pairs, starts = inputs
        emission = factors.relative[pairs]
        filtered = filter_links(entering, timestep_links(emission, trans, starts))
        before = jnp.concatenate([entering[None], filtered[:-1]])
        predicted = matrix_product(before[..., None, :], trans)[..., 0, :]
        predicted = jnp.where(starts[..., None], 1 / n_states, predicted)
        messages = predicted * emission
        return filtered[-1], (messages.transpose(0, 2, 1), predicted.transpose(0, 2, 1))

    _, (messages, predicted) = by_blocks(
        step,
        jnp.full((n_lanes, n_states), 1 / n_states, trans.dtype),
        (sequences.pairs, sequences.starts),
        padding=(len(factors.relative) - 1, True),
        n_rows=rows_of_block(n_steps, n_lanes, n_states, trans.dtype),
    )
    return sequential.Forward(messages, predicted, messages.sum(axis=1))


def backward(trans_probs, sequences, passed):
    """Return smoothed probabilities (n_steps, n_states, n_lanes) given what `forward` leaves."""
    n_steps, n_states, n_lanes = passed.messages.shape
    trans = lanes_first(trans_probs.astype(passed.messages.dtype), sequences.groups)

    def step(following, inputs):
        messages, ends = inputs
        filtered = normalised(messages, axis=1).transpose(0, 2, 1)
        smoothed = smooth_links(following, backward_links(filtered, trans, ends))
        return smoothed[0], smoothed.transpose(0, 2, 1)

    _, smoothed = by_blocks(
        step,
        jnp.full((n_lanes, n_states), 1 / n_states, trans.dtype),
        (passed.messages, sequential.ends_of(sequences)),
        padding=(1, True),
        n_rows=rows_of_block(n_steps, n_lanes, n_states, trans.dtype),
        reverse=True,
    )
    return normalised(smoothed, axis=1)
