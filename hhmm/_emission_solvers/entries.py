"""Exact draws of the entries of a term one at a time, for wide priors.

Under a wide prior a transition that never occurs is bounded by the counts on one side only: its
logit lies anywhere from there to some prior standard deviations below. Trajectories of Hamiltonian
Monte Carlo explore such tails slowly. But an entry alone has a log-concave density on a line, of
which slice sampling draws nearly independent values.

A move of an entry is the projection v of that entry on the centred arrays of its term. Softmaxes do
not change where all their logits do, so the move by delta adds d[l] delta to the logits of syllable
j in state l, where d[l] = 1[l = k] - 1/K for an entry of state k, and 1 for a term without states.
With t the counts along d, R the logsumexp of the other logits and N[l, i] the departures, the log
density after syllable i is

    t[i] delta - sum_l N[l, i] softplus(L[l, i, j] + d[l] delta - R[l, i])

and the log prior -(x delta + |v|^2 delta^2 / 2) / sigma^2, x the entry before. Entries of a term by
`from` are moved for all i at once, each by its own density; an entry of any other term by the sum
of these densities. R is put together from the columns before j, updated, and those behind. So it
is accurate where one transition has nearly all the probability.

O(K S) work for an evaluation of the density, of which a draw takes about ten.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hhmm._emission_solvers import slices
from hhmm._model.terms import scale_of
from hhmm._runtime.keys import uniforms_of_block

# prior standard deviation above which a prior counts as wide
WIDE = 3.0
# of a first interval, in prior standard deviations: no conditional is wider than the prior
WIDTH = 2.0
# of log odds: larger ones, of what is impossible, would swallow the moves of the entry
LARGEST_ODDS = 1e5
# cuts of a slice, at most. Only entries that many counts determine would need more, and
# trajectories move those
MAX_CUTS = 12


def draw_entries(key, terms, counts, priors, point):
    """Draw all entries of the terms with a wide prior, each given all others.

    Those of groups are not drawn: they are effects, whose scales are small.

    Parameters
    ----------
    key : JAX key
    terms : Terms
    counts : EmissionCounts
    priors : Priors
    point : (n_rows, S), centred

    Returns
    -------
    point : (n_rows, S), centred
    """
    moves = [
        (number, state)
        for number, term in enumerate(terms.present)
        if terms.n_dimensions(term) > 0 and term.factor is None
        for state in range(terms.n_states if term.by_state else 1)
    ]
    if not moves:
        return point
    sigmas = jnp.stack([scale_of(priors, term) for term in terms.present])

    def move(point, of_move):
        first, number, state = of_move

        def draw():
            return _move_entries(key, first, number, state, terms, counts, sigmas[number], point)

        return lax.cond(sigmas[number] > WIDE, draw, lambda: point), None

    # one scan over all of them, so that they are compiled once
    numbers, states = np.array(moves).T
    firsts = np.arange(len(moves)) * terms.n_syllables
    return lax.scan(move, point, (firsts, numbers, states))[0]


def _move_entries(key, first, number, state, terms, counts, sigma, point):
    """Draw the entries of one term, and of one state where it has states, column by column.

    Columns are numbered from `first`, so that each has its own noise.
    """
    n_states, n_syllables = terms.n_states, terms.n_syllables
    by_state = jnp.array([term.by_state for term in terms.present])[number]
    by_from = jnp.array([term.by_from for term in terms.present])[number]
    of_state = jnp.where(by_state, (jnp.arange(n_states) == state) - 1 / n_states, 1.0)
    direction = jnp.tile(of_state, terms.n_groups)
    share = jnp.where(by_state, 1 - 1 / n_states, 1.0)
    squared_length = share * (1 - 1 / n_syllables)
    entries = _rows_of(terms, point, number, state)
    along = _rows_of(terms, counts.totals, number, state)

    def draw_column(carry, column):
        before, moved = carry
        number, logits, behind, entries, along = column
        log_odds = jnp.clip(logits - jnp.logaddexp(before, behind), -LARGEST_ODDS, LARGEST_ODDS)
        # the columns before have moved, which moves this entry of the centred term
        slope = along - (entries - share * moved / n_syllables) / sigma**2

        def log_density(delta):
            partition = jax.nn.softplus(log_odds + direction[:, None] * delta)
            of_row = jnp.sum(counts.departures * partition, axis=0)
            partition = jnp.where(by_from, of_row, of_row.sum())
            return slope * delta - 0.5 * squared_length * (delta / sigma) ** 2 - partition

        uniform = uniforms_of_block(key, number, shape)
        uniform = jnp.where(by_from, uniform, uniform[:, :1])  # one entry moves as one
        width = WIDTH * sigma / jnp.sqrt(squared_length)
        delta = slices.draw(uniform, log_density, jnp.zeros(n_syllables), width)
        before = jnp.logaddexp(before, logits + direction[:, None] * delta)
        return (before, moved + delta), delta

    logits = terms.joint_logits(point)
    nothing = jnp.full((terms.n_contexts, n_syllables), -jnp.inf)

    def add_column(behind, column):
        return jnp.logaddexp(behind, column), behind

    shape = slices.n_uniforms(MAX_CUTS), n_syllables
    by_column = jnp.moveaxis(logits, 2, 0)
    _, behind = lax.scan(add_column, nothing, by_column, reverse=True)
    columns = (
        first + np.arange(n_syllables),
        by_column,
        behind,
        entries.T,
        along.T,
    )
    _, deltas = lax.scan(draw_column, (nothing, jnp.zeros(n_syllables)), columns)
    change = []
    for i, term in enumerate(terms.present):
        if term.factor is not None:
            change.append(jnp.zeros((terms.n_rows(term), n_syllables)))
            continue
        rows = deltas.T if term.by_from else deltas.T[:1]
        if term.by_state:
            rows = (of_state[:, None, None] * rows).reshape(-1, n_syllables)
        change.append(jnp.where(number == i, rows, 0.0))
    return terms.project(point + jnp.concatenate(change))


def _rows_of(terms, point, number, state):
    """Return the rows of a term, and of a state, as an array (S, S); centred along states."""
    found = jnp.zeros((terms.n_syllables, terms.n_syllables))
    for i, (term, rows) in enumerate(terms.split(point)):
        if term.factor is not None:
            continue
        if term.by_state:
            rows = rows.reshape(terms.n_states, -1, terms.n_syllables)
            rows = jnp.take(rows, state, axis=0) - rows.mean(axis=0)
        found = jnp.where(number == i, rows, found)
    return found
