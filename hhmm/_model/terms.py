"""The terms of the emission logits: one log-linear model, whatever terms it is made of.

The logits of syllable j after syllable i in state k and group g are a sum of terms,

    L[g, k, i, j] = U[j] + B[i, j] + C[k, j] + D[k, i, j] + sum_f (E_f[l, j] + H_f[l, k, j]),

l the level of factor f in group g. Each has a row over j for every level of its axes. A term sums
to 0 along j and along every other axis than that of i; its entries in an orthonormal (Helmert)
basis of such arrays are independent Normal(0, sigma^2). B and C alone are the published model. A
level that is not known has effect 0.

Solvers see one array, the *point*, in which the rows of all terms lie one below the other:
(n_rows, n_syllables). A state in a group is a *context*; without groups, contexts are states. What
solvers need of the terms is how a point becomes logits (`parts`: what has a from axis, and what
each context adds to it), how sums over contexts and over syllables i become a point again
(`from_parts`), and the projection (`project`). Everything else is written once for any list of
terms.

With `self_transitions` False, a syllable that follows itself is the same syllable being held: it
is no emission, and the softmax runs over j != i.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from hhmm._model.simplex import center
from hhmm._types import EmissionLogits

# the logit of what cannot be; finite, so that a model of one syllable has no NaN
IMPOSSIBLE = -1e30


class Term(NamedTuple):
    """One term of the logits."""

    name: str  # its field in EmissionLogits
    by_state: bool
    by_from: bool
    factor: int | None = None  # number of the factor by whose levels it differs

    @property
    def parameter(self):
        """Its field in Params."""
        return self.name if self.name.startswith("group") else f"emission_{self.name}"

    @property
    def sigma(self):
        """Its scale: a field of Priors."""
        return f"{self.parameter}_sigma"

    def of(self, values, name=None):
        """Return its part of `EmissionLogits`, or of `Params` or `Priors` given the field.

        None if it is left out.
        """
        found = getattr(values, name or self.name)
        return found if self.factor is None or found is None else found[self.factor]


# in the order of the fields of EmissionLogits, and of the rows of a point
ALL_TERMS = (
    Term("base", by_state=False, by_from=True),
    Term("biases", by_state=True, by_from=False),
    Term("usage", by_state=False, by_from=False),
    Term("interactions", by_state=True, by_from=True),
)
# those with an array for each factor; `factor` is filled in. The last one is of the transitions,
# which are the same model with states for syllables and one "state", see `transitions`
GROUP_TERMS = (
    Term("group_emissions", by_state=False, by_from=False),
    Term("group_states", by_state=True, by_from=False),
    Term("group_transitions", by_state=False, by_from=True),
)
GROUP_EMISSIONS = GROUP_TERMS[:-1]
PUBLISHED_TERMS = ("base", "biases")
# what was added to the settings of version 0.1, and what it meant there
ADDED_SETTINGS = {
    "emission_usage_sigma": 0.0,
    "emission_interactions_sigma": 0.0,
    "group_emissions_sigma": "auto",
    "group_states_sigma": 0.0,
    "group_transitions_sigma": "auto",
    "self_transitions": True,
}


def scale_of(priors, term):
    """Return the scale of a term."""
    return term.of(priors, term.sigma)


def with_scale(priors, term, value):
    """Return `Priors` with another scale of a term."""
    if term.factor is not None:
        scales = list(getattr(priors, term.sigma))
        scales[term.factor] = value
        value = tuple(scales)
    return priors._replace(**{term.sigma: value})


def named_scales(priors, names=None):
    """Return scales and concentrations by name, a dict of scalars; of several factors, numbered.

    Parameters
    ----------
    priors : Priors
    names : tuple of str, default=None
        Fields of `Priors`; all if None.
    """
    scales = {}
    for name in priors._fields if names is None else names:
        value = getattr(priors, name)
        if isinstance(value, tuple):
            scales |= {_numbered(name, i, len(value)): x for i, x in enumerate(value)}
        else:
            scales[name] = value
    return scales


def with_named_scales(priors, scales):
    """Return `Priors` with scales by name, as `named_scales` names them."""
    for name, value in priors._asdict().items():
        if isinstance(value, tuple):
            of_factors = (
                scales.get(_numbered(name, i, len(value)), x) for i, x in enumerate(value)
            )
            priors = priors._replace(**{name: tuple(of_factors)})
        else:
            priors = priors._replace(**{name: scales.get(name, value)})
    return priors


def _numbered(name, i, n):
    return name if n == 1 else f"{name}[{i}]"


class Factor(NamedTuple):
    """A factor of the groups, such as the animal or the condition. Hashable."""

    n_levels: int
    levels: tuple  # (n_groups,) int: its level in each group, -1 where that is not known

    @property
    def membership(self):
        """The levels of the groups, (n_levels, n_groups) of 0 and 1."""
        return (np.arange(self.n_levels)[:, None] == np.array(self.levels)).astype(float)


class Terms(NamedTuple):
    """Which terms there are, and their sizes. Hashable: static under jit."""

    n_states: int
    n_syllables: int
    names: tuple = PUBLISHED_TERMS  # in the order of `ALL_TERMS`, then of `GROUP_TERMS`
    self_transitions: bool = True
    factors: tuple = ()  # of Factor
    trans_by_group: bool = False  # whether state transitions differ between groups

    @property
    def without_groups(self):
        """The terms that groups share."""
        names = tuple(term.name for term in ALL_TERMS if term.name in self.names)
        return self._replace(names=names, factors=(), trans_by_group=False)

    @property
    def of_transitions(self):
        """The terms of the logits of transitions by group: base T and `group_transitions` U.

        A further group, whose levels are not known, has the pseudo-counts of the prior of T.
        """
        factors = tuple(f._replace(levels=(*f.levels, -1)) for f in self.factors)
        return Terms(1, self.n_states, ("base", "group_transitions"), factors=factors)

    @property
    def n_groups(self):
        """Number of groups; 1 without factors."""
        return len(self.factors[0].levels) if self.factors else 1

    @property
    def n_contexts(self):
        """Number of contexts."""
        return self.n_groups * self.n_states

    @property
    def n_batches(self):
        """Number of the arrays (S, S) that the terms with a from axis sum to.

        Contexts share one, or those of a state do, or each has its own. Context c has that of
        c modulo `n_batches`.
        """
        by_from = [term for term in self.present if term.by_from]
        if any(term.factor is not None for term in by_from):
            return self.n_contexts
        return self.n_states if any(term.by_state for term in by_from) else 1

    @property
    def present(self):
        """The terms, in order."""
        plain = [term for term in ALL_TERMS if term.name in self.names]
        return plain + [
            term._replace(factor=factor)
            for term in GROUP_TERMS
            if term.name in self.names
            for factor in range(len(self.factors))
        ]

    @property
    def nested(self):
        """Pairs of terms, without and with a from axis.

        The counts know the sum alone of what the rows of the second share and the first.
        """
        return [
            (coarse, fine)
            for coarse in self.present
            for fine in self.present
            if coarse.factor is None
            and coarse.by_state == fine.by_state
            and fine.by_from
            and not coarse.by_from
        ]

    def n_levels(self, term):
        """Number of levels of the factor of a term; None without."""
        return None if term.factor is None else self.factors[term.factor].n_levels

    def n_rows(self, term):
        """Number of rows of a term in a point."""
        return int(np.prod(self.shape(term)[:-1], dtype=int))

    def shape(self, term):
        """Return the shape of a term: (n_levels,) of a factor, (n_states,), (S,) by from, S."""
        return (
            *(() if term.factor is None else (self.n_levels(term),)),
            *((self.n_states,) if term.by_state else ()),
            *((self.n_syllables,) if term.by_from else ()),
            self.n_syllables,
        )

    def param_shape(self, term):
        """Return shape of the parameters of a term, its entries in the Helmert bases."""
        return (
            *(() if term.factor is None else (self.n_levels(term) - 1,)),
            *((self.n_states - 1,) if term.by_state else ()),
            *((self.n_syllables,) if term.by_from else ()),
            self.n_syllables - 1,
        )

    def n_dimensions(self, term):
        """Number of parameters of a term."""
        return int(np.prod(self.param_shape(term), dtype=int))

    def stack(self, logits):
        """Stack `EmissionLogits` to one point (n_rows, S)."""
        parts = (term.of(logits) for term in self.present)
        return jnp.concatenate([part.reshape(-1, self.n_syllables) for part in parts])

    def unstack(self, point):
        """Unstack one point (n_rows, S) to `EmissionLogits`."""
        return self.by_field({term: rows for term, rows in self.split(point)})

    def by_field(self, values):
        """Return `EmissionLogits` of arrays by term, in any shape of as many entries."""
        fields = {}
        for term, rows in values.items():
            array = rows.reshape(self.shape(term))
            if term.factor is None:
                fields[term.name] = array
            else:
                fields[term.name] = (*fields.get(term.name, ()), array)
        return EmissionLogits(**fields)

    def split(self, point):
        """Yield each term with its rows (n_rows_of_term, ...) of an array (n_rows, ...)."""
        first = 0
        for term in self.present:
            last = first + self.n_rows(term)
            yield term, point[first:last]
            first = last

    def project(self, point):
        """Project a point on the centred logits: sums along j, states and levels are 0."""
        # matrix products are faster than sums over the axes of interactions
        is_large = any(term.by_state and term.by_from for term in self.present)
        if is_large:
            point = point - point @ jnp.full((self.n_syllables, 1), 1 / self.n_syllables)
        else:
            point = center(point)  # of all terms at once: each sum is compiled anew
        parts = []
        for term, rows in self.split(point):
            n_levels = 1 if term.factor is None else self.n_levels(term)
            if term.by_state and term.by_from:
                by_state = rows.reshape(self.n_states, -1)
                mean = jnp.full((1, self.n_states), 1 / self.n_states) @ by_state
                rows = (by_state - mean).reshape(rows.shape)
            elif term.by_state:
                by_state = rows.reshape(n_levels, self.n_states, self.n_syllables)
                rows = center(by_state, axis=1).reshape(rows.shape)
            if term.factor is not None:
                rows = center(rows.reshape(n_levels, -1), axis=0).reshape(rows.shape)
            parts.append(rows)
        return jnp.concatenate(parts)

    def levels_of(self, term):
        """Return which rows of a term a context has, (n_contexts, n) of 0 and 1.

        n is the number of its rows, or of its arrays (S, S) by from.
        """
        by_group = np.ones((self.n_groups, 1))
        if term.factor is not None:
            by_group = self.factors[term.factor].membership.T
        return np.kron(
            by_group, np.eye(self.n_states) if term.by_state else np.ones((self.n_states, 1))
        )

    def by_batch(self, array):
        """Return an array (n_contexts, ...) as (n_batches, n_contexts / n_batches, ...)."""
        return array.reshape(-1, self.n_batches, *array.shape[1:]).swapaxes(0, 1)

    def parts(self, point):
        """Split the sum of the terms: those with a from axis, and the others.

        Returns
        -------
        by_from : (n_batches, S, S)
        by_context : (n_batches, n_contexts / n_batches, S)
        """
        by_from = jnp.zeros((self.n_batches, self.n_syllables, self.n_syllables))
        by_context = jnp.zeros((self.n_contexts, self.n_syllables))
        for term, rows in self.split(point):
            if term.by_from:
                arrays = rows.reshape(-1, *by_from.shape[1:])
                by_from += _multiply(self.levels_of(term)[: self.n_batches], arrays)
            else:
                by_context += _multiply(self.levels_of(term), rows)
        return by_from, self.by_batch(by_context)

    def from_parts(self, by_from, by_context):
        """Apply the transpose of `parts`, to a point (n_rows, S)."""
        by_context = by_context.swapaxes(0, 1).reshape(-1, self.n_syllables)
        rows = []
        for term in self.present:
            array = by_from if term.by_from else by_context
            total = _multiply(self.levels_of(term)[: len(array)].T, array)
            rows.append(total.reshape(-1, self.n_syllables))
        return jnp.concatenate(rows)

    def joint_logits(self, point):
        """Return L (n_contexts, S, S) at a point; held syllables cannot follow themselves."""
        return self.without_held(self.summed(point))

    def summed(self, point):
        """Return the sum of the terms (n_contexts, S, S) at a point, with the diagonal as it is."""
        by_from, by_context = self.parts(point)
        logits = by_from[:, None] + by_context[:, :, None]
        return logits.swapaxes(0, 1).reshape(self.n_contexts, *logits.shape[2:])

    def without_held(self, logits):
        """Return logits (..., S, S) with the diagonal impossible where syllables are held."""
        if self.self_transitions:
            return logits
        return jnp.where(jnp.eye(self.n_syllables, dtype=bool), IMPOSSIBLE, logits)

    def collapse(self, array):
        """Sum an array (n_contexts, S, S) to a point (n_rows, S): the transpose of the sum."""
        array = self.by_batch(array)
        return self.from_parts(array.sum(axis=1), array.sum(axis=2))


def _multiply(levels, array):
    """Multiply levels (n, m) by an array (m, ...)."""
    if np.array_equal(levels, np.eye(len(levels))):
        return array
    if array.ndim == 2 and np.all(levels == 1):
        return jnp.broadcast_to(array.sum(axis=0), (len(levels), array.shape[1]))
    return jnp.tensordot(levels, array, 1)
