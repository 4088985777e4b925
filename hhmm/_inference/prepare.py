"""From checked sequences to what a backend reads, and from its results back to sequences.

Many timesteps are laid out in parts of sequences, one after the other in memory. Parts are what
cores, machines and memory share: all have one shape, so that one kernel is compiled, and random
numbers depend on the numbers of sequences, so that the parts make no difference to draws.
"""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from hhmm._inference import choose
from hhmm._inference.choose import PART
from hhmm._messages import BACKENDS
from hhmm._model.emissions import emission_factors
from hhmm._model.terms import Terms
from hhmm._model.transitions import context_trans_probs
from hhmm._sequences import lanes, runs
from hhmm._types import RunData


class Recipe(NamedTuple):
    """All that lays out a part of the sequences, beside the sequences themselves."""

    terms: Terms  # of the emissions
    choice: choose.Choice
    numbers: tuple  # (first, stop) of its sequences
    groups: Any  # (n_sequences,) int32, the group of each one of the part, or None
    shape: tuple  # (n_steps, n_lanes), at least
    piece_shape: tuple  # the same of the array of pieces; (0, 0) leaves it to `runs.pack_runs`
    every_timestep: bool  # whether results for every timestep will be asked for
    n_at_once: int  # computations made at the same time, which share the cores


class Prepared(NamedTuple):
    """Sequences as a backend reads them, and where everything lies."""

    backend: str  # a key of `hhmm._messages.BACKENDS`
    terms: Terms  # of the emissions that it is laid out for
    data: Any  # PackedSequences or RunData, NumPy arrays
    groups: tuple  # the lanes of `data` in groups, of the same type, see `hhmm._sequences.lanes`
    shape: tuple  # (n_steps, n_lanes) of results for every timestep
    timesteps: lanes.PackIndex  # where those of each sequence lie in them
    likelihood_terms: lanes.PackIndex  # where the terms of the log-likelihood of each sequence lie

    def on_devices(self, devices):
        """Put each group on the next of the devices; one group is all of the data."""
        groups = tuple(jax.device_put(group, next(devices)) for group in self.groups)
        data = groups[0] if len(groups) == 1 else self.data
        return self._replace(groups=groups, data=data)

    def runs_of_path(self, parts):
        """Return states of every timestep, of all groups, as `RunLengths`."""
        flat = np.concatenate([np.asarray(part).T.reshape(-1) for part in parts])
        lanes.mark_changes(flat, self.timesteps, self.shape[0])
        return lanes.runs_of_changes(flat, self.timesteps, self.shape[0])

    def unpack(self, parts, layout, *, fill):
        """Return results of all groups for every timestep, in the form of the input."""
        return lanes.unpack(parts, self.timesteps, layout, fill=fill)

    def sum_timesteps(self, parts):
        """Sum what all groups say of every timestep, (n_sequences,)."""
        return lanes.sum_by_sequence(parts, self.timesteps)

    def sum_terms(self, parts):
        """Sum the terms of the log-likelihood of all groups, (n_sequences,)."""
        return lanes.sum_by_sequence(parts, self.likelihood_terms)

    def runs_of_states(self, states, logits, trans_probs):
        """Return what a backend drew given these parameters, a list by group, as `RunLengths`."""
        states = lanes.join(jax.device_get(states), self.data.steps.pairs.shape[1])
        factors, trans_probs = _factors(logits, trans_probs, terms=self.terms)
        changes = BACKENDS[self.backend].state_changes(
            states, factors, trans_probs, self.data, self.shape
        )
        return lanes.runs_of_changes(changes, self.timesteps, self.shape[0])


def recipes(
    sequences,
    terms,
    message_passing,
    *,
    every_timestep,
    n_at_once=1,
    groups=None,
    in_one=False,
    is_shared=False,
):
    """Choose a backend and how to lay sequences out for it, in parts.

    Parameters
    ----------
    sequences : RunLengths
        Labels 0 to n_syllables - 1, -1 where missing.
    terms : Terms
    message_passing : {"auto", "sequential", "parallel", "compressed"}
    every_timestep : bool
        Whether results for every timestep will be asked for.
    n_at_once : int
        How many computations on them will be made at the same time, and share the cores.
    groups : (n_sequences,) int32, default=None
        The group of each sequence, for terms with factors.
    in_one : bool, default=False
        Whether all are one part.
    is_shared : bool, default=False
        Whether parts are for other processes: as many as are worth a task. How many there are
        depends on the data alone.

    Returns
    -------
    recipes : list of Recipe
        A recipe a part. Parts are neighbours in `sequences`.
    """
    choice = choose.choose(sequences, terms, message_passing)
    of_groups = groups if terms.factors else None
    if in_one:
        parts, shape, piece_shape = [(0, len(sequences.n_runs))], (0, 0), (0, 0)
    else:
        parts, shape, piece_shape = _parts(
            sequences, terms, choice, of_groups, every_timestep, is_shared
        )
    return [
        Recipe(
            terms,
            choice,
            (first, stop),
            None if of_groups is None else of_groups[first:stop],
            shape,
            piece_shape,
            every_timestep,
            np.inf if is_shared else n_at_once * len(parts),
        )
        for first, stop in parts
    ]


def _parts(sequences, terms, choice, groups, every_timestep, is_shared):
    """Split sequences in parts; return these as (first, stop), and shapes that all can have."""
    lengths = sequences.lengths
    n_steps = lengths
    if choice.n_powers is not None:
        n_steps = runs.count_runs(
            sequences,
            terms.n_syllables,
            choice.n_powers,
            self_transitions=terms.self_transitions,
        )
    most = max(PART // terms.n_states, 1)
    steps = lengths if every_timestep else n_steps
    n_parts = max(-(-int(steps.sum()) // most), 1)
    if is_shared:
        n_parts = max(n_parts, lanes.most_tasks(steps, terms.n_states, choice.n_powers is not None))
    parts = lanes.split_sequences(steps, n_parts)
    if len(parts) == 1:
        return parts, (0, 0), (0, 0)
    shape = lanes.common_shape(n_steps, parts, terms.n_groups, groups)
    return parts, shape, runs.common_piece_shape(lengths, parts)


def lay_out(sequences, recipe):
    """Lay out the sequences of a part.

    Parameters
    ----------
    sequences : RunLengths
        Of the part alone.
    recipe : Recipe

    Returns
    -------
    prepared : Prepared
    """
    terms, choice, every_timestep = recipe.terms, recipe.choice, recipe.every_timestep
    groups = None if recipe.groups is None else lanes.Groups(terms.n_groups, recipe.groups)
    coding = {"self_transitions": terms.self_transitions, "groups": groups}
    placing = {"numbers": range(*recipe.numbers), "shape": recipe.shape}
    if choice.n_powers is None:
        packed, index = lanes.pack(sequences.sequences, terms.n_syllables, **coding, **placing)
        groups = lanes.split(packed, lanes.n_groups(packed, terms.n_states, recipe.n_at_once))
        return Prepared(choice.backend, terms, packed, groups, packed.pairs.shape, index, index)
    packed, run_index, piece_index, shape = runs.pack_runs(
        sequences,
        terms.n_syllables,
        choice.n_powers,
        **coding,
        **placing,
        piece_shape=recipe.piece_shape,
    )
    data = RunData(packed, None)
    if every_timestep:
        pieces = runs.cut_pieces(
            sequences.sequences, terms.n_syllables, packed, piece_index, shape, **coding
        )
        data = data._replace(pieces=pieces)
        groups = (data,)  # pieces enter from runs of any lane
    else:
        groups = lanes.split(data, lanes.n_groups(data, terms.n_states, recipe.n_at_once))
    return Prepared(choice.backend, terms, data, groups, shape, piece_index, run_index)


def laid_out(sequences, terms, message_passing, **given):
    """Yield all parts of sequences, `Prepared` and `Layout`, one at a time; see `recipes`."""
    for recipe in recipes(sequences, terms, message_passing, **given):
        part = sequences.part(*recipe.numbers)
        yield lay_out(part, recipe), part.layout


def prepare(sequences, terms, message_passing, *, every_timestep, n_at_once=1, groups=None):
    """Choose a backend and lay all sequences out for it in one part, as `Prepared`.

    Parameters are those of `recipes`.
    """
    (recipe,) = recipes(
        sequences,
        terms,
        message_passing,
        every_timestep=every_timestep,
        n_at_once=n_at_once,
        groups=groups,
        in_one=True,
    )
    return lay_out(sequences, recipe)


@functools.partial(jax.jit, static_argnames="terms")
def _factors(logits, trans_probs, *, terms):
    trans_probs = context_trans_probs(trans_probs, logits.group_transitions, terms)
    return emission_factors(logits, terms), trans_probs
