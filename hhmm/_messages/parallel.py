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

The product of the first t links over- and underflows, so each of its rows has its own scale
(`scaled`). Backward links are probabilities and need none; Viterbi's are float64 sums, which
hold differences of 1e-8 nats after ten million timesteps. From the filtered messages that come
out, all normalisers follow by one recursion step at every timestep at once, so that they are
what `sequential` computes, and rounding in long products is not handed on.

All products of a block of timesteps are in memory together: K^2 numbers a timestep and lane.
The rows of the packed data are taken in blocks that keep them below `BLOCK_BYTES`,
one block after the other, with the message at the edge handed on.

Layout. Inside a block timesteps lead, then lanes, then states: (n_rows, n_lanes, K, K). A product
is a loop over all its entries, so lanes need not be many for it to run wide. At the edges
messages are (n_steps, n_states, n_lanes), as everywhere.
"""

from functools import reduce
from operator import add

import jax
import jax.numpy as jnp
from jax import lax

from hhmm._messages import sequential
from hhmm._messages.arithmetic import draw_index, normalised
from hhmm._messages.scaled import (
    WRITTEN_OUT_STATES,
    apply,
    inner_terms,
    matrix_product,
    product,
    scaled,
)
from hhmm._random import uniforms_by_lane

# what the links of one block may take; a scan holds a few times as much at its peak
BLOCK_BYTES = 128 * 2**20


def log_normalisers(factors, trans_probs, sequences):
    """log p(x[t] | x[1], ..., x[t-1]) in nats.

    Parameters
    ----------
    factors : EmissionFactors
    trans_probs : (n_states, n_states) float64
    sequences : PackedSequences

    Returns
    -------
    log_normalisers : (n_steps, n_lanes) float64
        0 outside of the sequences.
    """
    passed = forward(factors, trans_probs, sequences)
    return sequential.log_normalisers_of(passed, factors, sequences)


def forward_filter(factors, trans_probs, sequences):
    """Filtered probabilities (n_steps, n_states, n_lanes) float32: p(z[t] | x[1], ..., x[t])."""
    return normalised(forward(factors, trans_probs, sequences).messages, axis=1)


def smooth(factors, trans_probs, sequences):
    """Smoothed probabilities (n_steps, n_states, n_lanes) float32: p(z[t] | x)."""
    return backward(trans_probs, sequences, forward(factors, trans_probs, sequences))


def expected_counts(factors, trans_probs, sequences):
    """Expected sufficient statistics given the syllables, and the log-likelihood.

    Returns
    -------
    stats : SufficientStats
        Means of the counts of `sequential.count` over the posterior of the states.
    log_likelihood : () float64
        log p(x), all sequences, in nats.
    """
    passed = forward(factors, trans_probs, sequences)
    smoothed = backward(trans_probs, sequences, passed)
    evidence = jnp.where(passed.predicted > 0, smoothed / passed.predicted, 0)
    stats = sequential.expectation(passed, evidence, factors, trans_probs, sequences)
    return stats, sequential.log_likelihood(passed, factors, sequences)


def sample(key, factors, trans_probs, sequences):
    """Draw all states from their posterior given the syllables.

    A key gives the draw that it gives in `sequential`, but for rounding.

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
    messages = passed.messages
    n_pairs, n_states = factors.relative.shape
    n_steps, n_lanes = sequences.pairs.shape
    trans = trans_probs.astype(messages.dtype)
    noise = uniforms_by_lane(key, n_steps, sequences)

    def step(state, inputs):
        messages, ends, noise = inputs
        # (n_states, n_rows, n_lanes, n_states): z[t] leads, z[t+1] comes last
        leaving = jnp.where(ends[..., None], 1, trans[:, None, None, :])
        weights = messages.transpose(1, 0, 2)[..., None] * leaving
        states = _follow(draw_index(noise[..., None], weights), state)
        return states[0], states

    states = _by_blocks(
        step,
        jnp.zeros(n_lanes, jnp.int32),
        (messages, sequential.ends_of(sequences), noise),
        padding=(1, True, 0),
        n_rows=_rows_of_block(n_steps, n_lanes, n_states, messages.dtype),
        reverse=True,
    )
    stats = sequential.count(states, sequences, n_states=n_states, n_pairs=n_pairs)
    return states, stats, sequential.log_likelihood(passed, factors, sequences)


def viterbi(factors, trans_probs, sequences):
    """The most probable states of every sequence, (n_steps, n_lanes) int32.

    Max-product in log space (Viterbi 1967). The path is read back from the scores by the map
    from every next state to the best one before it. Of paths as good as each other but for
    rounding it may find another one than `sequential`.
    """
    n_steps, n_lanes = sequences.pairs.shape
    n_states = trans_probs.shape[0]
    log_trans = jnp.log(trans_probs)
    log_relative = jnp.log(factors.relative).astype(log_trans.dtype)
    n_rows = _rows_of_block(n_steps, n_lanes, n_states, log_trans.dtype)

    def forward_step(entering, inputs):
        pairs, starts, ends = inputs
        links = jnp.where(starts[..., None, None], 0, log_trans)
        links = links + log_relative[pairs][..., None, :]
        prefixes = lax.associative_scan(_max_plus, links)
        scores = _max_plus(entering[:, None, :], prefixes)[..., 0, :]
        leaving = jnp.where(ends[..., None, None], 0, log_trans)
        return scores[-1], lax.argmax(scores[..., :, None] + leaving, leaving.ndim - 2, jnp.int32)

    maps = _by_blocks(
        forward_step,
        jnp.zeros((n_lanes, n_states), log_trans.dtype),
        (sequences.pairs, sequences.starts, sequential.ends_of(sequences)),
        padding=(len(factors.relative) - 1, True, True),
        n_rows=n_rows,
    )

    def backward_step(state, maps):
        states = _follow(maps, state)
        return states[0], states

    last = jnp.zeros(n_lanes, jnp.int32)
    return _by_blocks(backward_step, last, maps, padding=0, n_rows=n_rows, reverse=True)


def forward(factors, trans_probs, sequences):
    """The forward recursion; returns `sequential.Forward`."""
    n_steps, n_lanes = sequences.pairs.shape
    n_states = trans_probs.shape[0]
    trans = trans_probs.astype(factors.relative.dtype)

    def step(entering, inputs):
        pairs, starts = inputs
        emission = factors.relative[pairs]
        filtered = filter_links(entering, timestep_links(emission, trans, starts))
        before = jnp.concatenate([entering[None], filtered[:-1]])
        predicted = matrix_product(before[..., None, :], trans)[..., 0, :]
        predicted = jnp.where(starts[..., None], 1 / n_states, predicted)
        messages = predicted * emission
        return filtered[-1], (messages.transpose(0, 2, 1), predicted.transpose(0, 2, 1))

    messages, predicted = _by_blocks(
        step,
        jnp.full((n_lanes, n_states), 1 / n_states, trans.dtype),
        (sequences.pairs, sequences.starts),
        padding=(len(factors.relative) - 1, True),
        n_rows=_rows_of_block(n_steps, n_lanes, n_states, trans.dtype),
    )
    return sequential.Forward(messages, predicted, messages.sum(axis=1))


def backward(trans_probs, sequences, passed):
    """Smoothed probabilities (n_steps, n_states, n_lanes) given what `forward` leaves."""
    n_steps, n_states, n_lanes = passed.messages.shape
    trans = trans_probs.astype(passed.messages.dtype)

    def step(following, inputs):
        messages, ends = inputs
        filtered = normalised(messages, axis=1).transpose(0, 2, 1)
        smoothed = smooth_links(following, backward_links(filtered, trans, ends))
        return smoothed[0], smoothed.transpose(0, 2, 1)

    smoothed = _by_blocks(
        step,
        jnp.full((n_lanes, n_states), 1 / n_states, trans.dtype),
        (passed.messages, sequential.ends_of(sequences)),
        padding=(1, True),
        n_rows=_rows_of_block(n_steps, n_lanes, n_states, trans.dtype),
        reverse=True,
    )
    return normalised(smoothed, axis=1)


def timestep_links(emission, trans, starts):
    """The links of single timesteps.

    Parameters
    ----------
    emission : (n_rows, n_lanes, n_states) float32
    trans : (n_states, n_states) float32
    starts : (n_rows, n_lanes) bool

    Returns
    -------
    links : ScaledMatrix, (n_rows, n_lanes)
    """
    weights = jnp.where(starts[..., None, None], 1 / len(trans), trans)
    return scaled(weights * emission[..., None, :])


def filter_links(entering, links):
    """Filtered probabilities behind every link.

    Parameters
    ----------
    entering : (n_lanes, n_states) float32
        The message before the first link.
    links : ScaledMatrix, (n_rows, n_lanes)

    Returns
    -------
    filtered : (n_rows, n_lanes, n_states) float32, sum to 1
    """
    filtered, _ = apply(entering, lax.associative_scan(product, links))
    return filtered


def backward_links(filtered, trans, ends):
    """p(z[t] = k | z[t+1] = k', x[1..t]) of every timestep.

    Parameters
    ----------
    filtered : (n_rows, n_lanes, n_states) float32
    trans : (n_states, n_states) float32
    ends : (n_rows, n_lanes) bool
        Whether the next timestep is a start.

    Returns
    -------
    links : (n_rows, n_lanes, n_states, n_states) float32
        k' then k; rows sum to 1.
    """
    filtered = filtered[..., None, :]
    joint = jnp.where(ends[..., None, None], filtered, filtered * trans.T)
    total = joint.sum(axis=-1, keepdims=True)
    # a next state that cannot be reached has no weight: what its row says does not matter
    return jnp.where(total > 0, joint / total, filtered)


def smooth_links(following, links):
    """Smoothed probabilities before every backward link.

    Parameters
    ----------
    following : (n_lanes, n_states) float32
        Smoothed probabilities behind the last link.
    links : (n_rows, n_lanes, n_states, n_states) float32

    Returns
    -------
    smoothed : (n_rows, n_lanes, n_states) float32
    """
    products = lax.associative_scan(matrix_product, links, reverse=True)
    return matrix_product(following[:, None, :], products)[..., 0, :]


def _follow(maps, state):
    """States of timesteps, read backwards.

    Parameters
    ----------
    maps : (n_rows, n_lanes, n_states) int32
        The state at the timestep for every state at the next one.
    state : (n_lanes,) int32
        At the timestep after the last one.

    Returns
    -------
    states : (n_rows, n_lanes) int32
    """

    def then(later, earlier):
        # without the promise every gather checks its indices, and compiles for a minute
        return jnp.take_along_axis(earlier, later, axis=-1, mode="promise_in_bounds")

    composed = lax.associative_scan(then, maps, reverse=True)
    return then(state[None, :, None], composed)[..., 0]


def _max_plus(first, second):
    """The max-plus product of matrices (..., n, n_states) and (..., n_states, n_states)."""
    if second.shape[-1] > WRITTEN_OUT_STATES:
        return jnp.max(first[..., None] + second[..., None, :, :], axis=-2)
    return reduce(jnp.maximum, inner_terms(add, first, second))


def _rows_of_block(n_steps, n_lanes, n_states, dtype):
    """How many rows a block has: as many as `BLOCK_BYTES` allow, all blocks alike."""
    most = max(1, BLOCK_BYTES // (n_lanes * n_states**2 * jnp.dtype(dtype).itemsize))
    return -(-n_steps // -(-n_steps // most))


def _by_blocks(step, carry, inputs, *, padding, n_rows, reverse=False):
    """Scan over blocks of rows.

    Parameters
    ----------
    step : callable
        Takes the carry and a block of the inputs, (n_rows, ...); returns both likewise.
    carry : arrays
    inputs : arrays (n_steps, ...)
    padding : scalars
        For each input, what fills the last block up; it must be a sequence apart.
    n_rows : int
    reverse : bool
        From the last block to the first.

    Returns
    -------
    outputs : arrays (n_steps, ...)
    """
    n_steps = len(jax.tree.leaves(inputs)[0])
    n_blocks = -(-n_steps // n_rows)

    def split(values, fill):
        widths = [(0, n_blocks * n_rows - n_steps)] + [(0, 0)] * (values.ndim - 1)
        padded = jnp.pad(values, widths, constant_values=fill)
        return padded.reshape(n_blocks, n_rows, *values.shape[1:])

    blocks = jax.tree.map(split, inputs, padding)
    _, outputs = lax.scan(step, carry, blocks, reverse=reverse)
    return jax.tree.map(
        lambda values: values.reshape(n_blocks * n_rows, *values.shape[2:])[:n_steps], outputs
    )
