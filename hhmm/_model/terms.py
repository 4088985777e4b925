"""The terms of the emission logits: one log-linear model, whatever terms it is made of.

The logits of syllable j after syllable i in state k are a sum of terms,

    L[k, i, j] = U[j] + B[i, j] + C[k, j] + D[k, i, j],

each with a row over j for every level of its axes. A term sums to 0 along j and, where it has one,
along the state axis; its entries in an orthonormal (Helmert) basis of such arrays are independent
Normal(0, sigma^2). B and C alone are the published model.

Solvers see one array, the *point*, in which the rows of all terms lie one below the other:
(n_rows, n_syllables). What they need of the terms is how a point becomes logits (`joint_logits`),
how an array over (state, from, to) is summed back to a point (`collapse`), and the projection
(`project`). Everything else is written once for any list of terms.

With `self_transitions` False, a syllable that follows itself is the same syllable being held: it
is no emission, and the softmax runs over j != i.
"""

from typing import NamedTuple

import jax.numpy as jnp

from hhmm._model.simplex import center
from hhmm._types import EmissionLogits

# the logit of what cannot be; finite, so that a model of one syllable has no NaN
IMPOSSIBLE = -1e30


class Term(NamedTuple):
    """One term of the logits."""

    name: str  # its field in EmissionLogits
    by_state: bool
    by_from: bool

    @property
    def parameter(self):
        """Its field in Params."""
        return f"emission_{self.name}"

    @property
    def sigma(self):
        """Its scale: a field of Priors."""
        return f"emission_{self.name}_sigma"


# in the order of the fields of EmissionLogits, and of the rows of a point
ALL_TERMS = (
    Term("base", by_state=False, by_from=True),
    Term("biases", by_state=True, by_from=False),
    Term("usage", by_state=False, by_from=False),
    Term("interactions", by_state=True, by_from=True),
)
PUBLISHED_TERMS = ("base", "biases")
# what was added to the settings of version 0.1, and what it meant there
ADDED_SETTINGS = {
    "emission_usage_sigma": 0.0,
    "emission_interactions_sigma": 0.0,
    "self_transitions": True,
}


class Terms(NamedTuple):
    """Which terms there are, and their sizes. Hashable: static under jit."""

    n_states: int
    n_syllables: int
    names: tuple = PUBLISHED_TERMS  # in the order of `ALL_TERMS`
    self_transitions: bool = True

    @property
    def present(self):
        """The terms, in order."""
        return [term for term in ALL_TERMS if term.name in self.names]

    @property
    def nested(self):
        """Pairs of terms, without and with a from axis.

        The counts know the sum alone of what the rows of the second share and the first.
        """
        return [
            (coarse, fine)
            for coarse in self.present
            for fine in self.present
            if coarse.by_state == fine.by_state and fine.by_from and not coarse.by_from
        ]

    def n_rows(self, term):
        """Number of rows of a term in a point."""
        return (self.n_states if term.by_state else 1) * (self.n_syllables if term.by_from else 1)

    def shape(self, term):
        """Return the shape of a term: (n_states,) if by state, (n_syllables,) if by from, S."""
        return (
            *((self.n_states,) if term.by_state else ()),
            *((self.n_syllables,) if term.by_from else ()),
            self.n_syllables,
        )

    def param_shape(self, term):
        """Return shape of the parameters of a term, its entries in the Helmert bases."""
        return (
            *((self.n_states - 1,) if term.by_state else ()),
            *((self.n_syllables,) if term.by_from else ()),
            self.n_syllables - 1,
        )

    def n_dimensions(self, term):
        """Number of parameters of a term."""
        n_levels = (self.n_states - 1 if term.by_state else 1) * (
            self.n_syllables if term.by_from else 1
        )
        return n_levels * (self.n_syllables - 1)

    def stack(self, logits):
        """Stack `EmissionLogits` to one point (n_rows, S)."""
        parts = (getattr(logits, term.name) for term in self.present)
        return jnp.concatenate([part.reshape(-1, self.n_syllables) for part in parts])

    def unstack(self, point):
        """Unstack one point (n_rows, S) to `EmissionLogits`."""
        return EmissionLogits(
            **{term.name: rows.reshape(self.shape(term)) for term, rows in self.split(point)}
        )

    def split(self, point):
        """Yield each term with its rows (n_rows_of_term, ...) of an array (n_rows, ...)."""
        first = 0
        for term in self.present:
            last = first + self.n_rows(term)
            yield term, point[first:last]
            first = last

    def project(self, point):
        """Project a point on the centred logits: terms sum to 0 along j and along states."""
        parts = []
        for term, rows in self.split(point):
            if term.by_state and term.by_from:
                # the largest array: a matrix product is faster than a sum over its last axis
                rows = rows - rows @ jnp.full((self.n_syllables, 1), 1 / self.n_syllables)
            else:
                rows = center(rows)
            if term.by_state:
                by_state = rows.reshape(self.n_states, -1, self.n_syllables)
                rows = center(by_state, axis=0).reshape(rows.shape)
            parts.append(rows)
        return jnp.concatenate(parts)

    def parts(self, point):
        """Split a point into what states share, (S, S) or (1, S), and what each state has.

        The items of the list are (n_states, S) or (n_states, S, S), in the order of the terms.
        """
        shared, by_state = [], []
        for term, rows in self.split(point):
            if term.by_state:
                by_state.append(rows.reshape(self.shape(term)))
            else:
                shared.append(rows)
        if not shared:
            shared = [jnp.zeros((1, self.n_syllables))]
        return sum(shared[1:], shared[0]), by_state

    def from_parts(self, shared, by_state):
        """Apply the transpose of `parts` to sums over states (S, S) and of each state.

        Parameters
        ----------
        shared : (S, S)
            Summed over states.
        by_state : list of (n_states, S) or (n_states, S, S) arrays
            As `sums_of_state` gives them.

        Returns
        -------
        point : (n_rows, S)
        """
        by_state = iter(by_state)
        rows = []
        for term in self.present:
            if term.by_state:
                rows.append(next(by_state).reshape(-1, self.n_syllables))
            elif term.by_from:
                rows.append(shared)
            else:
                rows.append(shared.sum(axis=0, keepdims=True))
        return jnp.concatenate(rows)

    def sums_of_state(self, array):
        """List what the terms by state see of an array (S, S) of one state."""
        return [
            array if term.by_from else array.sum(axis=0) for term in self.present if term.by_state
        ]

    def joint_logits(self, point):
        """Return L (n_states, S, S) at a point; held syllables cannot follow themselves."""
        return self.without_held(self.summed(point))

    def summed(self, point):
        """Return the sum of the terms (n_states, S, S) at a point, with the diagonal as it is."""
        shared, by_state = self.parts(point)
        by_state = [part if part.ndim == 3 else part[:, None, :] for part in by_state]
        shape = (self.n_states, self.n_syllables, self.n_syllables)
        return jnp.broadcast_to(sum(by_state, shared), shape)

    def without_held(self, logits):
        """Return logits (..., S, S) with the diagonal impossible where syllables are held."""
        if self.self_transitions:
            return logits
        return jnp.where(jnp.eye(self.n_syllables, dtype=bool), IMPOSSIBLE, logits)

    def collapse(self, array):
        """Sum an array (n_states, S, S) back to a point (n_rows, S): the transpose of the sum."""
        by_state = [
            array if term.by_from else array.sum(axis=1) for term in self.present if term.by_state
        ]
        return self.from_parts(array.sum(axis=0), by_state)
