"""What the tests of message passing ask of every backend: a new one is a row of ``VARIANTS``."""

import functools
from typing import NamedTuple

import jax
import numpy as np
import pytest

from hhmm._inference import choose, decode
from hhmm._inference.prepare import prepare
from hhmm._messages import BACKENDS
from hhmm._model import emissions
from hhmm._model.emissions import logits_from_params
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._sequences import runs
from hhmm._sequences.read import Layout
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Params

# over timesteps or over runs; as they come, and with everything so short that it is cut
CUT = {"max_powers": 2, "max_piece_length": 3}
VARIANTS = {
    "sequential": ("sequential", {}),
    "parallel": ("parallel", {"min_mean_run": np.inf}),
    "parallel, runs": ("parallel", {"min_mean_run": 0}),
    "parallel, runs cut": ("parallel", {"min_mean_run": 0, **CUT}),
    "compressed": ("compressed", {}),
    "compressed, cut": ("compressed", CUT),
}


class Backend(NamedTuple):
    """A backend, and the lengths that it works with."""

    name: str
    max_powers: int = 64
    max_piece_length: int = 512
    min_mean_run: float = choose.MIN_MEAN_RUN_PARALLEL

    def prepare(self, sequences, model):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(choose, "MAX_POWERS", self.max_powers)
            patch.setattr(choose, "MIN_MEAN_RUN_PARALLEL", self.min_mean_run)
            patch.setattr(runs, "MAX_PIECE_LENGTH", self.max_piece_length)
            sequences = RunLengths.of(sequences)
            return prepare(sequences, terms_of(model), self.name, every_timestep=True)


def variant(name):
    """The `Backend` of a row of `VARIANTS`."""
    backend, lengths = VARIANTS[name]
    return Backend(backend, **lengths)


def best_path(params, prepared):
    states = decode.viterbi(params, prepared)
    return states + decode.log_joint_probs(params, prepared, states)


@double_precision
def by_timestep(kernel, backend, model, sequences):
    """Results of `decode` for every timestep, a list of one array a sequence each."""
    prepared = backend.prepare(sequences, model)
    results = kernel(params_of(model), prepared)
    unpacked = [_unpack(prepared, part) for part in jax.tree.leaves(results)]
    return unpacked[0] if len(unpacked) == 1 else unpacked


@double_precision
def log_likelihoods(backend, model, sequences):
    """One a sequence."""
    prepared = backend.prepare(sequences, model)
    return prepared.sum_terms(decode.log_normalisers(params_of(model), prepared))


@double_precision
def sample(backend, model, sequences, *, seed):
    """A draw: states, a list of one array a sequence; their counts; the log-likelihood."""
    prepared = backend.prepare(sequences, model)
    params, given = _given(model, prepared)
    kernel = _jitted("sample", prepared.backend)
    states, stats, log_likelihood = kernel(key_from_random_state(seed), *given)
    logits = logits_from_params(params)
    states = prepared.runs_of_states([states], logits, params.trans_probs)
    return states.sequences, jax.tree.map(np.asarray, stats), float(log_likelihood)


@double_precision
def expected_counts(backend, model, sequences):
    prepared = backend.prepare(sequences, model)
    _, given = _given(model, prepared)
    kernel = _jitted("expected_counts", prepared.backend)
    return jax.tree.map(np.asarray, kernel(*given))


def params_of(model):
    """`Params` of a model of the oracles."""
    return Params(*model[: len(Params._fields)])


def terms_of(model):
    """`Terms` of a model of the oracles."""
    return emissions.terms_of(params_of(model), self_transitions=model.self_transitions)


def _unpack(prepared, values):
    lengths = prepared.timesteps.lengths
    return prepared.unpack([values], Layout(False, lengths), fill=-1)


def _given(model, prepared):
    """Parameters, and what a kernel reads: the table of emissions, transitions, and the data.

    The table is made apart, so that models of all lists of terms share a compiled kernel.
    """
    params = params_of(model)
    factors = decode.tabulate(params, terms=prepared.terms, with_rounding=True)
    return params, (factors, params.trans_probs, prepared.data)


@functools.cache
def _jitted(name, backend):
    """A kernel of a backend, compiled."""
    return jax.jit(getattr(BACKENDS[backend], name))
