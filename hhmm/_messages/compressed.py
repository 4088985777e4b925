"""Message passing one run of timesteps at a time, exactly.

Frame-rate data holds each syllable for tens of timesteps. A run is a first timestep with
any emission e and n more that hold the same syllable s (`PackedRuns`); it takes the message
alpha of the run before it to

    f = e * (alpha A),    alpha' = f M_s^n / normaliser,    M_s = A diag(p(s | s, z)),

with the powers from a table (`powers`). Speeding up hidden Markov models by what repeats in
their data: Lifshits, Mozes, Weimann & Ziv-Ukelson (2009), Algorithmica 54; Mahmud &
Schliep (2011), BMC Bioinformatics 12:428; Bello, Wiedenhoeft & Schliep (2023), PLoS ONE 18.
Runs longer than the table are several runs.

Sampling. Backwards over runs, the last and the first state of each run are drawn: given the
first state k' of the next run, the last one has weights ``alpha'[k] A[k, k']``; given that
last state l, the first one has weights ``f[k] M^n[k, l]``. What happens between the two is
drawn for all runs at once. From state i, with n timesteps to go to l, the time D of leaving i
has

    p(D >= d | i, n, l) = M[i, i]^d M^(n-d)[i, l] / M^n[i, l]

Most paths never leave (d = n), and one comparison with one uniform number shows it. For the others
D is found with the same uniform by bisection, the next state k has weights
``M[i, k] M^(n-D-1)[k, l]``, and so on from k. Paths are never written out: their transitions
are counted (`sample`), or the places where the state changes are marked (`change_points`).

What is known of each timestep (`forward_filter`, `smooth`, `viterbi`) is computed on request
only: the timesteps are cut into pieces (`Pieces`), the messages that enter each piece from
either side come from the runs, and `sequential` does the rest, with a lane for each piece.

What runs over runs, forward and backward, are the four functions of `run_recursion`. Every
function here takes the module that has them as `recursion`: `run_products` has them too.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hhmm._messages import powers, run_recursion, sequential
from hhmm._messages.arithmetic import (
    by_syllables,
    lanes_first,
    lanes_last,
    normalised,
    propagate,
    sum_by_group,
    sum_products,
    total,
)
from hhmm._messages.bridges import bridge, stays
from hhmm._messages.powers import continues, transfers
from hhmm._messages.run_path import viterbi
from hhmm._messages.run_recursion import Tables
from hhmm._sequences.lanes import held_pairs
from hhmm._types import RunStates, SufficientStats

__all__ = [
    "change_points",
    "expected_counts",
    "forward_filter",
    "log_normalisers",
    "sample",
    "smooth",
    "state_changes",
    "viterbi",
]


def log_normalisers(factors, trans_probs, data, *, recursion=run_recursion):
    """Return log p(run | those before it) in nats, (n_runs, n_lanes) float64; see `sequential`."""
    runs = data.runs
    tables = tabulate(factors, trans_probs, runs)
    passed = recursion.forward(tables, factors, runs)
    held = held_pairs(runs)
    n_powers = runs.cell_counts.shape[-1]
    log_normalisers = (
        passed.log_normalisers.astype(jnp.float64)
        + tables.cell_scale[runs.cells]
        + factors.log_scale[runs.pairs]
        + runs.cells % n_powers * factors.log_scale[held][runs.cells // n_powers]
    )
    return jnp.where(runs.inside, log_normalisers, 0)


def sample(key, factors, trans_probs, data, *, recursion=run_recursion):
    """Draw all states from their posterior given the syllables.

    Parameters
    ----------
    key : JAX key
    factors : EmissionFactors
    trans_probs : (n_contexts, n_states) float64
    data : RunData
    recursion : module, static
        `run_recursion` or `run_products`.

    Returns
    -------
    states : RunStates
    stats : SufficientStats
        Their counts.
    log_likelihood : () float64
        log p(x), all sequences, in nats.
    """
    runs = data.runs
    key_ends, key_inside = jax.random.split(key)
    tables = tabulate(factors, trans_probs, runs)
    passed = recursion.forward(tables, factors, runs)
    first, last = recursion.draw_ends(key_ends, tables, passed, runs)
    states = RunStates(first, last, jax.random.key_data(key_inside))
    stats, between = _count(states, tables.powers, factors, trans_probs, runs)
    lost = _lost_by_rounding(stats, between, factors, trans_probs)
    return states, stats, _log_likelihood(passed, tables, factors, runs) + lost


def change_points(states, factors, trans_probs, data, *, n_positions):
    """Mark where the state of a draw changes.

    Parameters
    ----------
    states : RunStates
    factors, trans_probs, data
        As given to `sample`.
    n_positions : int, static
        Timesteps of the array of pieces.

    Returns
    -------
    changes : (n_positions,) int16, or int32 where there are many states
        The state where a run begins or the state changes, -1 elsewhere.
    """
    runs = data.runs
    table = tabulate(factors, trans_probs, runs).powers
    dtype = jnp.int16 if trans_probs.shape[1] < 2**15 else jnp.int32
    changes = jnp.full(n_positions, -1, dtype)
    changes = changes.at[runs.positions].set(states.first.astype(dtype), mode="drop")
    positions = runs.positions.reshape(-1)

    def visit(changes, event):
        at = positions[event.run] + event.step + event.stayed + 1
        at = jnp.where(event.leaves, at, n_positions)
        return changes.at[at].set(event.state_after.astype(dtype), mode="drop")

    staying, uniform = stays(states, table, runs)
    return bridge(
        changes, visit, states, staying, uniform, table, transfers(factors, trans_probs, runs), runs
    )


_change_points = jax.jit(change_points, static_argnames="n_positions")


def state_changes(states, factors, trans_probs, data, shape):
    """Return `change_points` on the host; `shape` is that of the array of pieces."""
    n_positions = shape[0] * shape[1]
    return np.asarray(_change_points(states, factors, trans_probs, data, n_positions=n_positions))


def expected_counts(factors, trans_probs, data, *, recursion=run_recursion):
    """Return expected sufficient statistics given the syllables, and the log-likelihood.

    The joint probabilities of the first and the last state are summed over the runs of each
    cell. What they say of the transitions in between is the derivative of the log-likelihood by
    the transfer matrix M, carried back through the recursion that made the powers.
    """
    runs = data.runs
    tables = tabulate(factors, trans_probs, runs)
    passed = recursion.forward(tables, factors, runs)
    n_pairs, n_states = factors.relative.shape
    predicted = _predictions(tables, passed, runs)
    _, evidence, joint = recursion.backward(tables, passed, predicted, runs, with_joint=True)
    smoothed = predicted * evidence
    by_pair = (
        jnp.zeros((n_pairs, n_states))
        .at[runs.pairs]
        .add(jnp.where(runs.inside[..., None], smoothed, 0).astype(jnp.float64))
    )
    before = normalised(passed.ends, axis=2)[:-1]
    after = jnp.where((runs.inside & ~runs.starts)[1:, :, None], evidence[1:], 0)
    n_groups = len(runs.cell_counts)
    between = sum_products("rnj,rnk->njk", before, after)
    between = trans_probs * sum_by_group(between, runs.groups, n_groups).reshape(trans_probs.shape)
    inside = powers.expected_transitions(
        joint, tables.powers, transfers(factors, trans_probs, runs)
    )
    by_pair = by_pair.at[held_pairs(runs)].add(inside.sum(axis=1))
    inside = inside.reshape(n_groups, -1, n_states, n_states).sum(axis=1)
    stats = SufficientStats(
        between + inside.reshape(trans_probs.shape), by_syllables(by_pair.T, n_groups)
    )
    lost = _lost_by_rounding(stats, between, factors, trans_probs)
    return stats, _log_likelihood(passed, tables, factors, runs) + lost


def forward_filter(factors, trans_probs, data, *, recursion=run_recursion):
    """Return filtered probabilities in pieces, (n_steps, n_states, n_pieces); see `sequential`."""
    tables = tabulate(factors, trans_probs, data.runs)
    passed = recursion.forward(tables, factors, data.runs)
    predicted = _predictions(tables, passed, data.runs)
    entering = _entering(tables, passed, predicted, factors, data)
    return sequential.forward_filter(factors, trans_probs, data.pieces.sequences, entering)


def smooth(factors, trans_probs, data, *, recursion=run_recursion):
    """Return smoothed probabilities in pieces, (n_steps, n_states, n_pieces); see `sequential`."""
    runs, pieces = data
    tables = tabulate(factors, trans_probs, runs)
    passed = recursion.forward(tables, factors, runs)
    predicted = _predictions(tables, passed, runs)
    entering = _entering(tables, passed, predicted, factors, data)
    inside = sequential.forward(factors, trans_probs, pieces.sequences, entering)
    following, at_first, _ = recursion.backward(tables, passed, predicted, runs, with_joint=False)
    evidence = sequential.backward(
        factors,
        trans_probs,
        pieces.sequences,
        inside,
        following=_evidence_after(tables, following, at_first, factors, inside.predicted[0], data),
        continues=continues(pieces),
    )
    return normalised(inside.predicted * evidence, axis=1)


def tabulate(factors, trans_probs, runs):
    """Tabulate powers for all runs, as `Tables`."""
    dtype = factors.relative.dtype
    transfer = transfers(factors, trans_probs, runs)
    table = powers.tabulate(transfer, runs.cell_counts.shape[-1], dtype)
    cell_scale = table.log_scale.max(axis=1)
    row_scale = (table.log_scale - cell_scale[:, None]).astype(dtype)
    by_row = table.relative.reshape(len(cell_scale), -1)
    by_column = table.relative.swapaxes(1, 2).reshape(by_row.shape)
    return Tables(
        table,
        lax.optimization_barrier(by_row),
        lax.optimization_barrier(by_column),
        lax.optimization_barrier(row_scale),
        cell_scale,
        lanes_first(trans_probs.astype(dtype), runs.groups),
    )


def _predictions(tables, passed, runs):
    """Predict alpha A at the first timestep of each run, (n_runs, n_lanes, n_states)."""
    ends = passed.ends[:-1].transpose(2, 0, 1)
    predicted = propagate(ends / total(ends), lanes_last(tables.trans)[:, :, None])
    predicted = predicted.transpose(1, 2, 0)
    predicted = jnp.concatenate([jnp.zeros_like(passed.ends[:1]), predicted])
    return jnp.where(runs.starts[..., None], 1 / tables.trans.shape[-1], predicted)


def _count(states, table, factors, trans_probs, runs):
    """Return sufficient statistics of a draw, and of the transitions those between runs."""
    n_pairs, n_states = factors.relative.shape
    n_groups, n_rows_of_group, n_powers = runs.cell_counts.shape
    n_rows, n_cells = n_groups * n_rows_of_group, trans_probs.size
    before = jnp.concatenate([states.last[:1], states.last[:-1]])
    before = before + runs.groups * n_states if n_groups > 1 else before
    # into a start, or out of the sequences: the cell after the last
    cell = jnp.where(runs.starts, n_cells, before * n_states + states.first)
    # in 64 bits: 32 bits end at two years of video at 30 frames a second
    between = jnp.zeros(n_cells, jnp.int64).at[cell].add(1, mode="drop")
    by_pair = jnp.zeros(n_states * n_pairs, jnp.int64)
    by_pair = by_pair.at[states.first * n_pairs + runs.pairs].add(1)
    staying, uniform = stays(states, table, runs)
    n_stayed = jnp.where(staying, runs.cells % n_powers, 0)
    held = jnp.zeros(n_states * n_rows, jnp.int64)
    held = held.at[states.first * n_rows + runs.cells // n_powers].add(n_stayed)
    # where the state stays, every timestep is a transition to itself
    by_group = held.reshape(n_states, n_groups, n_rows_of_group).sum(axis=2).T
    diagonal = jnp.arange(n_groups)[:, None] * n_states**2 + jnp.arange(n_states) * (n_states + 1)
    trans_counts = between.at[diagonal].add(by_group)

    def visit(counts, event):
        # one array and one update, the transitions first
        group = event.row // n_rows_of_group * n_states**2 if n_groups > 1 else 0
        stays = group + event.state * (n_states + 1)
        moves = group + event.state * n_states + event.state_after
        held_before = n_cells + event.state * n_rows + event.row
        held_after = n_cells + event.state_after * n_rows + event.row
        leaves = event.leaves.astype(jnp.int32)
        return counts.at[jnp.concatenate([stays, held_before, moves, held_after])].add(
            jnp.concatenate([event.stayed, event.stayed, leaves, leaves])
        )

    counts = bridge(
        jnp.concatenate([trans_counts, held]),
        visit,
        states,
        staying,
        uniform,
        table,
        transfers(factors, trans_probs, runs),
        runs,
    )
    trans_counts, held = jnp.split(counts, [n_cells])
    by_pair = by_pair.reshape(n_states, n_pairs)
    by_pair = by_pair.at[:, held_pairs(runs)].add(held.reshape(n_states, n_rows))
    trans_counts, between = (
        values.reshape(trans_probs.shape).astype(jnp.float64) for values in (trans_counts, between)
    )
    by_syllable = by_syllables(by_pair.astype(jnp.float64), n_groups)
    return SufficientStats(trans_counts, by_syllable), between


def _lost_by_rounding(stats, between, factors, trans_probs):
    """Return what rounding loses, see `sequential`; powers of a run are made of A as it is."""
    stats = stats._replace(state_trans_counts=between)
    return sequential.lost_by_rounding(stats, factors, trans_probs)


def _log_likelihood(passed, tables, factors, runs):
    return (
        jnp.sum(jnp.where(runs.inside, passed.log_normalisers, 0).astype(jnp.float64))
        + jnp.vdot(runs.cell_counts.reshape(-1), tables.cell_scale)
        + jnp.dot(runs.pair_counts, factors.log_scale)
    )


def _entering(tables, passed, predicted, factors, data):
    """Return the message before each piece, (n_states, n_pieces), up to a factor."""
    runs, pieces = data
    run, lane = pieces.run, pieces.lane
    first = predicted[run, lane] * factors.relative[runs.pairs[run, lane]]
    n_powers = runs.cell_counts.shape[-1]
    cells = runs.cells[run, lane] // n_powers * n_powers
    inside = _through(first, tables.powers, cells + jnp.maximum(pieces.within - 1, 0))
    before = passed.ends[jnp.maximum(run - 1, 0), lane]
    return jnp.where(pieces.within[:, None] > 0, inside, before).T


def _through(messages, table, cells):
    """Pass messages (n, n_states) through powers, up to a factor each."""
    log_weights = jnp.log(messages) + table.log_scale[cells]
    weights = jnp.exp(log_weights - log_weights.max(axis=1, keepdims=True)).astype(jnp.float32)
    return jnp.einsum("nj,njk->nk", weights, table.relative[cells], precision=lax.Precision.HIGHEST)


def _evidence_after(tables, following, at_first, factors, predicted, data):
    """Return r at the first timestep of the next piece, (n_states, n_pieces).

    Parameters
    ----------
    tables : Tables
    following, at_first : (n_runs, n_lanes, n_states)
        From `run_recursion.backward`.
    factors : EmissionFactors
    predicted : (n_states, n_pieces)
        The prediction for the first timestep of each piece.
    data : RunData
    """
    runs, pieces = data
    run, lane = pieces.run, pieces.lane
    # inside of a run: held emission, then what is left of the power, then what follows
    cells = runs.cells[run, lane]
    n_powers = runs.cell_counts.shape[-1]
    rest = cells - jnp.minimum(pieces.within, cells % n_powers)
    held = factors.relative[held_pairs(runs)][cells // n_powers]
    later = jnp.einsum(
        "njk,nk->nj",
        tables.powers.relative[rest],
        following[run, lane],
        precision=lax.Precision.HIGHEST,
    )
    log_smoothed = jnp.log(predicted.T * held * later) + tables.powers.log_scale[rest]
    smoothed = jax.nn.softmax(log_smoothed, axis=1).astype(jnp.float32)
    inside = jnp.where(predicted.T > 0, smoothed / predicted.T, 0)
    evidence = jnp.where(pieces.within[:, None] > 0, inside, at_first[run, lane])
    return jnp.roll(evidence, -1, axis=0).T
