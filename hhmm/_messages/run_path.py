"""The most probable path over runs (Viterbi 1967); see `compressed`.

In the algebra of maximum and sum the powers of a transfer matrix are tabulated as `powers`
does in that of sum and product, and a run is one step. Scores are float64: differences
between paths stay exact over runs of any length. The states at the ends of the runs fix
those at the borders of the pieces, and `sequential` finds the path between them. (Scores at the
borders would not do: of two paths that are equally good, one piece could take the one, and
the next the other.)
"""

from functools import reduce

import jax.numpy as jnp
from jax import lax

from hhmm._messages import sequential
from hhmm._messages.runs import continues, held_pairs


def viterbi(factors, trans_probs, data):
    """The most probable states in pieces, (n_steps, n_pieces) int32.

    Parameters
    ----------
    factors : EmissionFactors
    trans_probs : (n_states, n_states) float64
    data : RunData
    """
    runs, pieces = data
    n_states = len(trans_probs)
    n_powers = runs.cell_counts.shape[1]
    log_trans = jnp.log(trans_probs)
    log_relative = jnp.log(factors.relative.astype(jnp.float64))
    powers = _powers(log_trans + log_relative[held_pairs(runs)][:, None, :], n_powers)

    def forward(end, inputs):
        pairs, cells, starts = inputs
        first = _best(end, log_trans) - end.max(axis=1, keepdims=True)
        first = jnp.where(starts[:, None], 0, first) + log_relative[pairs]
        end = _best(first, powers[cells])
        return end, (first, end)

    scores = jnp.zeros((runs.pairs.shape[1], n_states))
    _, (firsts, ends) = lax.scan(forward, scores, (runs.pairs, runs.cells, runs.starts))

    def backward(following, inputs):
        first, end, cells, is_end = inputs
        last = jnp.argmax(end + jnp.where(is_end[:, None], 0, log_trans.T[following]), axis=1)
        into_last = jnp.take_along_axis(powers[cells], last[:, None, None], axis=2)[:, :, 0]
        following = jnp.argmax(first + into_last, axis=1).astype(jnp.int32)
        return following, (following, last.astype(jnp.int32))

    start = jnp.zeros(runs.pairs.shape[1:], jnp.int32)
    inputs = (firsts, ends, runs.cells, sequential.ends_of(runs))
    _, (first_states, last_states) = lax.scan(backward, start, inputs, reverse=True)

    # the state at the first timestep of each piece
    run, lane = pieces.run, pieces.lane
    cells = runs.cells[run, lane]
    power = cells % n_powers
    passed = jnp.minimum(pieces.within, power)
    come = jnp.take_along_axis(
        powers[cells - power + passed], first_states[run, lane][:, None, None], axis=1
    )[:, 0]
    go = jnp.take_along_axis(powers[cells - passed], last_states[run, lane][:, None, None], axis=2)[
        :, :, 0
    ]
    state = jnp.argmax(come + go, axis=1).astype(jnp.int32)
    ends_fixed = (state, jnp.roll(state, -1), continues(pieces))
    return sequential.viterbi(factors, trans_probs, pieces.sequences, ends_fixed)


def _best(scores, matrix):
    """``max_j scores[:, j] + matrix[..., j, k]``, (n, n_states)."""
    n_states = scores.shape[1]
    return reduce(jnp.maximum, [scores[:, j, None] + matrix[..., j, :] for j in range(n_states)])


def _powers(log_transfer, n_powers):
    """Powers 0 to n_powers - 1 of each row, (n_cells, n_states, n_states) float64."""
    n_rows, n_states, _ = log_transfer.shape

    def step(power, _):
        terms = [power[:, :, j, None] + log_transfer[:, j, None, :] for j in range(n_states)]
        return reduce(jnp.maximum, terms), power

    nothing = jnp.where(jnp.eye(n_states, dtype=bool), 0.0, -jnp.inf)
    _, powers = lax.scan(step, jnp.broadcast_to(nothing, log_transfer.shape), length=n_powers)
    return powers.transpose(1, 0, 2, 3).reshape(n_rows * n_powers, n_states, n_states)
