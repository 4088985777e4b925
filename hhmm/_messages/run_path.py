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

from hhmm._messages import run_recursion, sequential
from hhmm._messages.arithmetic import lanes_first, larger
from hhmm._messages.powers import continues, of_rows
from hhmm._messages.run_recursion import LogTables
from hhmm._sequences.lanes import held_pairs


def viterbi(factors, trans_probs, data, *, recursion=run_recursion):
    """Return the most probable states in pieces, (n_steps, n_pieces) int32.

    Parameters
    ----------
    factors : EmissionFactors
    trans_probs : (n_contexts, n_states) float64
    data : RunData
    recursion : module, static
        `run_recursion` or `run_products`.
    """
    runs, pieces = data
    n_powers = runs.cell_counts.shape[-1]
    log_trans = jnp.log(trans_probs)
    log_relative = jnp.log(factors.relative.astype(jnp.float64))
    held = log_relative[held_pairs(runs)]
    powers = _powers(of_rows(log_trans, runs) + held[:, None, :], n_powers)
    tables = LogTables(powers, lanes_first(log_trans, runs.groups), log_relative)
    first_states, last_states = recursion.best_ends(tables, runs)

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


def _powers(log_transfer, n_powers):
    """Return powers 0 to n_powers - 1 of each row, (n_cells, n_states, n_states) float64."""
    n_rows, n_states, _ = log_transfer.shape

    def step(power, _):
        terms = [power[:, :, j, None] + log_transfer[:, j, None, :] for j in range(n_states)]
        return reduce(larger, terms), power

    nothing = jnp.where(jnp.eye(n_states, dtype=bool), 0.0, -jnp.inf)
    _, powers = lax.scan(step, jnp.broadcast_to(nothing, log_transfer.shape), length=n_powers)
    return powers.transpose(1, 0, 2, 3).reshape(n_rows * n_powers, n_states, n_states)
