"""From checked sequences to what a backend reads, and from its results back to sequences."""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from hhmm._inference import choose
from hhmm._messages import BACKENDS
from hhmm._model.emissions import emission_factors
from hhmm._model.terms import Terms
from hhmm._model.transitions import context_trans_probs
from hhmm._sequences import lanes, runs
from hhmm._types import RunData


class Prepared(NamedTuple):
    """Sequences as a backend reads them, and where everything lies."""

    backend: str  # a key of `hhmm._messages.BACKENDS`
    terms: Terms  # of the emissions that it is laid out for
    data: Any  # PackedSequences or RunData, NumPy arrays
    groups: tuple  # the lanes of `data` in groups, of the same type, see `hhmm._sequences.lanes`
    shape: tuple  # (n_steps, n_lanes) of results for every timestep
    timesteps: lanes.PackIndex  # where those of each sequence lie in them
    likelihood_terms: lanes.PackIndex  # where the terms of the log-likelihood of each sequence lie

    def on_device(self):
        """Put the data where JAX computes, once for all that use them."""
        if len(self.groups) > 1:
            return self._replace(groups=jax.device_put(self.groups))
        data = jax.device_put(self.data)
        return self._replace(data=data, groups=(data,))

    def unpack(self, parts, layout, *, fill):
        """Return results of all groups for every timestep, in the form of the input."""
        return lanes.unpack(parts, self.timesteps, layout, fill=fill)

    def sum_timesteps(self, parts):
        """Sum what all groups say of every timestep, (n_sequences,)."""
        return lanes.sum_by_sequence(parts, self.timesteps)

    def sum_terms(self, parts):
        """Sum the terms of the log-likelihood of all groups, (n_sequences,)."""
        return lanes.sum_by_sequence(parts, self.likelihood_terms)

    def states_by_timestep(self, states, logits, trans_probs):
        """Write out what a backend drew given these parameters, (n_steps, n_lanes)."""
        factors, trans_probs = _factors(logits, trans_probs, terms=self.terms)
        write = BACKENDS[self.backend].states_by_timestep
        return np.asarray(write(states, factors, trans_probs, self.data, self.shape))


def prepare(sequences, terms, message_passing, *, every_timestep, n_at_once=1, groups=None):
    """Choose a backend and lay sequences out for it.

    Parameters
    ----------
    sequences : list of 1-D int32 arrays
        Labels 0 to n_syllables - 1, -1 where missing.
    terms : Terms
    message_passing : {"auto", "sequential", "parallel", "compressed"}
    every_timestep : bool
        Whether results for every timestep will be asked for.
    n_at_once : int
        How many computations on them will be made at the same time, and share the cores.
    groups : (n_sequences,) int32, default=None
        The group of each sequence, for terms with factors.

    Returns
    -------
    prepared : Prepared
    """
    chosen = choose.choose(sequences, terms, message_passing)
    groups = lanes.Groups(terms.n_groups, groups) if terms.factors else None
    coding = {"self_transitions": terms.self_transitions, "groups": groups}
    if chosen.n_powers is None:
        packed, index = lanes.pack(sequences, terms.n_syllables, **coding)
        groups = lanes.split(packed, lanes.n_groups(packed, terms.n_states, n_at_once))
        return Prepared(chosen.backend, terms, packed, groups, packed.pairs.shape, index, index)
    packed, run_index, piece_index, shape = runs.pack_runs(
        sequences, terms.n_syllables, chosen.n_powers, **coding
    )
    data = RunData(packed, None)
    if every_timestep:
        pieces = runs.cut_pieces(sequences, terms.n_syllables, packed, piece_index, shape, **coding)
        data = data._replace(pieces=pieces)
        groups = (data,)  # pieces enter from runs of any lane
    else:
        groups = lanes.split(data, lanes.n_groups(data, terms.n_states, n_at_once))
    return Prepared(chosen.backend, terms, data, groups, shape, piece_index, run_index)


@functools.partial(jax.jit, static_argnames="terms")
def _factors(logits, trans_probs, *, terms):
    trans_probs = context_trans_probs(trans_probs, logits.group_transitions, terms)
    return emission_factors(logits, terms), trans_probs
