"""Parts of the data: what of a fit sees sequences, and nothing of it.

`update_states` is the only seam between the parameters of a chain and the data. It is given a key
and parameters, and returns the summed counts of the states and the log-likelihood. So the loop of
a fit knows neither cores nor devices nor machines. States are not kept: `draw_states` draws those
of a sweep again, by its key and its parameters.
"""

from typing import NamedTuple

import jax
import numpy as np

from hhmm._inference import compiled
from hhmm._inference.prepare import lay_out, recipes
from hhmm._runtime.threads import n_cores, run_in_threads
from hhmm._sequences.run_lengths import RunLengths


class LocalParts(NamedTuple):
    """Parts in the memory of this process, for its cores and devices."""

    prepared: tuple  # of Prepared, a part each
    groups: tuple  # lanes of all parts, on devices
    n_threads: int  # that a chain may use

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
        prepared = tuple(lay_out(sequences.part(*recipe.numbers), recipe) for recipe in of_parts)
        groups = tuple(group for part in prepared for group in part.groups)
        # without devices named, arrays go where JAX computes by default
        devices = jax.local_devices() if len(groups) > 1 else [None]
        groups = tuple(
            jax.device_put(group, devices[i % len(devices)] if len(devices) > 1 else None)
            for i, group in enumerate(groups)
        )
        return cls(prepared, groups, max(n_cores() // n_at_once, len(devices)))

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

    def update_states(self, key, logits, trans_probs, *, algorithm, settings):
        """Return the counts of the states, summed, and the log-likelihood."""
        drawn = self._call(
            lambda states, stats, log_likelihood: (stats, log_likelihood),
            *(key, logits, trans_probs, algorithm, settings),
        )
        stats, log_likelihoods = zip(*drawn, strict=True)
        if len(jax.local_devices()) > 1:
            stats = jax.device_get(stats)
        return compiled.sum_stats(*stats), np.float64(sum(map(float, log_likelihoods)))

    def draw_states(self, key, logits, trans_probs, *, settings):
        """Return the states of `update_states` of "gibbs" with this key, as `RunLengths`."""
        drawn = iter(self.groups)
        runs = []
        for part in self.prepared:
            groups = [next(drawn) for _ in part.groups]
            states = self._call(
                lambda states, *_: states,
                *(key, logits, trans_probs, "gibbs", settings),
                groups,
            )
            runs.append(part.runs_of_states(jax.device_get(states), logits, trans_probs))
        return joined(runs)

    def _call(self, choose, key, logits, trans_probs, algorithm, settings, groups=None):
        """Call the kernel of the states for groups, and keep what `choose` returns of each."""

        def call(group):
            drawn = compiled.states_kernel(
                key, logits, trans_probs, group, algorithm=algorithm, settings=settings
            )
            return jax.block_until_ready(choose(*drawn))

        groups = self.groups if groups is None else groups
        calls = [lambda group=group: call(group) for group in groups]
        return run_in_threads(*calls, n_threads=min(self.n_threads, len(calls)))


def joined(runs):
    """Join the `RunLengths` of parts."""
    if len(runs) == 1:
        return runs[0]
    layout = runs[0].layout._replace(
        n_timesteps=np.concatenate([part.layout.n_timesteps for part in runs])
    )
    return RunLengths.join([part[:3] for part in runs], layout)
