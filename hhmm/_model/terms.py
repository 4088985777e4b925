"""The terms of the emission logits: one log-linear model, whatever terms it is made of.

The logits of syllable j after syllable i in state k and group g are a sum of terms,

    L[g, k, i, j] = U[j] + B[i, j] + C[k, j] + D[k, i, j] + sum_f (E_f[l, j] + H_f[l, k, j]),

l the level of factor f in group g. Each has a row over j for every level of its axes. A term sums
to 0 along j and along every other axis than that of i; its entries in an orthonormal (Helmert)
basis of such arrays are independent Normal(0, sigma^2). B and C alone are the published model. A
level that is not known has effect 0.

Solvers see one array, the *point*, in which the rows of all terms lie one below the other:
(n_rows, n_syllables). A state in a group is a *context*; without groups, contexts are states. What
solvers need of the terms is how a point becomes logits by context (`joint_logits`), how an array
over (context, from, to) is summed back to a point (`collapse`), and the projection (`project`).
Everything else is written once for any list of terms.

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
        parts = []
        for term, rows in self.split(point):
            if term.by_state and term.by_from:
                # the largest array: a matrix product is faster than a sum over its last axis
                rows = rows - rows @ jnp.full((self.n_syllables, 1), 1 / self.n_syllables)
            else:
                rows = center(rows)
            n_levels = 1 if term.factor is None else self.n_levels(term)
            if term.by_state:
                by_state = rows.reshape(n_levels, self.n_states, -1, self.n_syllables)
                rows = center(by_state, axis=1).reshape(rows.shape)
            if term.factor is not None:
                rows = center(rows.reshape(n_levels, -1), axis=0).reshape(rows.shape)
            parts.append(rows)
        return jnp.concatenate(parts)

    def by_context(self, term, rows):
        """Return the rows of a term by state or level for every context, (n_contexts, ..., S)."""
        array = rows.reshape(self.shape(term))
        if term.factor is not None:
            array = jnp.tensordot(self.factors[term.factor].membership.T, array, 1)
        elif self.n_groups > 1:
            array = jnp.broadcast_to(array, (self.n_groups, *array.shape))
        else:
            return array
        if not term.by_state:
            array = jnp.repeat(array, self.n_states, axis=0)
        return array.reshape(self.n_contexts, *self.shape(term)[-1 - term.by_from :])

    def from_contexts(self, term, array):
        """Apply the transpose of `by_context`: sum an array (n_contexts, ..., S) to rows."""
        if self.n_groups == 1 and term.factor is None:
            return array.reshape(-1, self.n_syllables)
        array = array.reshape(self.n_groups, self.n_states, *array.shape[1:])
        if term.factor is None:
            return array.sum(axis=0).reshape(-1, self.n_syllables)
        array = array if term.by_state else array.sum(axis=1)
        array = jnp.tensordot(self.factors[term.factor].membership, array, 1)
        return array.reshape(-1, self.n_syllables)

    def differs_by_context(self, term):
        """Return whether a term has rows of its own for contexts."""
        return term.by_state or term.factor is not None

    def parts(self, point):
        """Split a point into what contexts share, (S, S) or (1, S), and what each has of its own.

        The items of the list are (n_contexts, S), the sum of the terms without a from axis, and
        (n_contexts, S, S), that of those with one; those that there are.
        """
        shared, coarse, fine = [], [], []
        for term, rows in self.split(point):
            if not self.differs_by_context(term):
                shared.append(rows)
            else:
                (fine if term.by_from else coarse).append(self.by_context(term, rows))
        if not shared:
            shared = [jnp.zeros((1, self.n_syllables))]
        return sum(shared[1:], shared[0]), [sum(x[1:], x[0]) for x in (coarse, fine) if x]

    def from_parts(self, shared, by_context):
        """Apply the transpose of `parts` to sums over contexts (S, S) and of each context.

        Parameters
        ----------
        shared : (S, S)
            Summed over contexts.
        by_context : list of (n_contexts, S) or (n_contexts, S, S) arrays
            As `sums_of_context` gives them.

        Returns
        -------
        point : (n_rows, S)
        """
        rows = []
        for term in self.present:
            if self.differs_by_context(term):
                rows.append(self.from_contexts(term, by_context[-1 if term.by_from else 0]))
            elif term.by_from:
                rows.append(shared)
            else:
                rows.append(shared.sum(axis=0, keepdims=True))
        return jnp.concatenate(rows)

    def sums_of_context(self, array):
        """List what the terms see of an array (..., S, S) of one context, or of all."""
        differing = [term.by_from for term in self.present if self.differs_by_context(term)]
        coarse = [array.sum(axis=-2)] if False in differing else []
        return coarse + ([array] if True in differing else [])

    def joint_logits(self, point):
        """Return L (n_contexts, S, S) at a point; held syllables cannot follow themselves."""
        return self.without_held(self.summed(point))

    def summed(self, point):
        """Return the sum of the terms (n_contexts, S, S) at a point, with the diagonal as it is."""
        shared, by_context = self.parts(point)
        by_context = [part if part.ndim == 3 else part[:, None, :] for part in by_context]
        shape = (self.n_contexts, self.n_syllables, self.n_syllables)
        return jnp.broadcast_to(sum(by_context, shared), shape)

    def without_held(self, logits):
        """Return logits (..., S, S) with the diagonal impossible where syllables are held."""
        if self.self_transitions:
            return logits
        return jnp.where(jnp.eye(self.n_syllables, dtype=bool), IMPOSSIBLE, logits)

    def collapse(self, array):
        """Sum an array (n_contexts, S, S) to a point (n_rows, S): the transpose of the sum."""
        return self.from_parts(array.sum(axis=0), self.sums_of_context(array))
