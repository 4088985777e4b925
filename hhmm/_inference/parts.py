"""Hold the data of a fit in parts, and draw or average over their states.

A chain knows its data only through `update_states`, which takes a key and parameters and returns
the counts of the states, summed over parts, with the log-likelihood. So the loop of a fit is the
same for several cores, devices and machines (`dask_parts`). States are not kept: `draw_states`
draws those of a sweep again, from its key and its parameters.
"""

import functools
import itertools
from typing import NamedTuple

import jax
import numpy as np

from hhmm._inference import compiled, decode
from hhmm._inference.prepare import laid_out, lay_out, recipes
from hhmm._runtime.threads import n_cores, run_in_threads
from hhmm._sequences.run_lengths import RunLengths, joined


class LocalParts(NamedTuple):
    """Parts in the memory of this process, for its cores and devices."""

    sequences: RunLengths
    prepared: tuple  # of Prepared, a part each
    n_threads: int  # that a chain may use
    of_groups: np.ndarray | None  # (n_sequences,) the group of each sequence

    @classmethod
    def make(cls, sequences, terms, message_passing, *, n_at_once=1, groups=None, in_one=False):
        """Lay sequences out, see `prepare.recipes`; as one part where `in_one`."""
        of_parts = recipes(
            sequences,
            terms,
            message_passing,
            every_timestep=False,
            n_at_once=n_at_once,
            groups=groups,
            in_one=in_one,
        )
        devices = jax.local_devices()
        # one device is not named, so that arrays go where JAX computes by default
        next_device = itertools.cycle(devices if len(devices) > 1 else [None])
        prepared = tuple(
            lay_out(sequences.part(*recipe.numbers), recipe).on_devices(next_device)
            for recipe in of_parts
        )
        n_threads = max(n_cores() // n_at_once, len(devices))
        return cls(sequences, prepared, n_threads, groups)

    @property
    def groups(self):
        """Lanes of all parts, in groups."""
        return tuple(group for part in self.prepared for group in part.groups)

    @property
    def backend(self):
        """Name of the backend of message passing."""
        return self.prepared[0].backend

    @property
    def terms(self):
        """Terms that the parts are laid out for."""
        return self.prepared[0].terms

    @property
    def in_one(self):
        """Return all data as a compiled call takes them, on a device."""
        return self.groups[0] if len(self.groups) == 1 else self.prepared[0].data

    @property
    def is_split(self):
        """Return whether `update_states` makes several calls."""
        return len(self.groups) > 1

    @property
    def kind(self):
        """Return the shapes for which kernels are compiled, as text."""
        return str(jax.tree.map(np.shape, self.groups[0]))

    def compile(self, *arguments, **static):
        """Do for one group what `update_states` does for all, so that it is compiled."""
        jax.block_until_ready(compiled.states_kernel(*arguments, self.groups[0], **static))

    def update_states(self, words, logits, trans_probs, *, algorithm, settings):
        """Return the counts of the states, summed, and the log-likelihood."""
        call = functools.partial(_states, algorithm, settings, words, logits, trans_probs)
        drawn = self._at_once(lambda group: call(group)[1:], self.groups, pool="groups")
        stats, log_likelihoods = zip(*drawn, strict=True)
        if len(jax.local_devices()) > 1:
            stats = jax.device_get(stats)
        return compiled.sum_stats(*stats), np.float64(sum(map(float, log_likelihoods)))

    def draw_states(self, words, logits, trans_probs, *, settings):
        """Return the states of `update_states` of "gibbs" with this key, as `RunLengths`."""
        call = functools.partial(_states, "gibbs", settings, words, logits, trans_probs)

        def draw(part):
            states = self._at_once(lambda group: call(group)[0], part.groups, pool="groups")
            return part.runs_of_states(states, logits, trans_probs)

        first, *others = self.prepared  # one alone, which compiles
        return joined([draw(first), *self._at_once(draw, others, pool="parts")])

    def log_likelihoods(self, draws):
        """Return the log-likelihood of each sequence under each draw, (n_draws, n_sequences)."""
        of_parts = [
            [part.sum_terms(decode.log_normalisers(params, part)) for params in draws]
            for part in self.prepared
        ]
        return np.concatenate(of_parts, axis=1)

    def best_paths(self, params, message_passing):
        """Return the most probable states, as `RunLengths`."""
        part = self.prepared[0]
        parts = laid_out(
            self.sequences,
            part.terms,
            message_passing,
            every_timestep=True,
            groups=self.of_groups,
        )
        return joined([p.runs_of_path(decode.viterbi(params, p)) for p, _ in parts])

    def close(self):
        """Do nothing: the memory is that of this process."""

    def _at_once(self, function, values, *, pool):
        """Call a function of each value, as many at the same time as there are threads."""
        calls = [functools.partial(function, value) for value in values]
        return run_in_threads(*calls, n_threads=min(self.n_threads, len(calls)), pool=pool)


def _states(algorithm, settings, *arguments):
    drawn = compiled.states_kernel(*arguments, algorithm=algorithm, settings=settings)
    return jax.block_until_ready(drawn)
