"""Parts of the data on the workers of a Dask cluster.

Each part and sweep is a task: a source and parameters in, counts and the log-likelihood out. All
that a fit needs is on the machine that runs it, so workers may come, go, and be killed. The
scheduler does lost tasks again, and their results are the same. The sums are made in a fixed order.

Data in the memory of this machine go to the scheduler once. Data in files are read by the workers,
which must see them under the same paths.
"""

import contextlib
import importlib.metadata
import itertools
import uuid
import warnings

import jax
import numpy as np
from joblib.parallel import get_active_backend

from hhmm._inference import part_tasks
from hhmm._inference.prepare import recipes
from hhmm._runtime.progress import print_if_verbose
from hhmm._sequences.run_lengths import joined

# these must be the same there and here
_PACKAGES = ("hhmm", "jax", "jaxlib", "numpy")
# counts of more bytes are summed on workers, so many parts at a time
_LARGE_COUNTS = 1_000_000
_SUMMED_AT_ONCE = 8


def active_client():
    """Return the Dask client of the active joblib backend; None where it is another backend."""
    backend, _ = get_active_backend()
    is_dask = type(backend).__name__ == "DaskDistributedBackend" and not backend.nesting_level
    return backend.client if is_dask else None


class DaskParts:
    """Parts on workers; the functions of `parts.LocalParts`.

    Parameters
    ----------
    client : distributed.Client
    items : list
        A sequence each, with `read_runs`.
    sequences : RunLengths
        The same, read.
    of_parts : list of Recipe
    """

    is_split = True

    def __init__(self, client, items, sequences, of_parts):
        self._client, self._recipes = client, of_parts
        self._fit, self._n_calls = uuid.uuid4().hex[:8], itertools.count()
        n_parts, n_workers = len(of_parts), max(len(client.nthreads()), 1)
        sources = []
        for recipe in of_parts:
            numbers = range(*recipe.numbers)
            runs = sequences.part(*recipe.numbers)
            sources.append(
                part_tasks.Source(
                    [items[i] for i in numbers],
                    [getattr(items[i], "name", f"sequence {i}") for i in numbers],
                    part_tasks.digest_of(runs),
                    recipe,
                    # twice its share: workers may leave
                    most_kept=2 * -(-n_parts // n_workers),
                )
            )
        self._names = [source.names for source in sources]
        in_files = hasattr(items[0], "path")
        self._sources = sources if in_files else self._submit(part_tasks.hold, sources)

    @classmethod
    def make(cls, client, X, sequences, terms, message_passing, *, groups=None, verbose=0):
        """Lay sequences out for a cluster; return None where they are too few to be shared."""
        of_parts = recipes(
            sequences,
            terms,
            message_passing,
            every_timestep=False,
            groups=groups,
            is_shared=True,
        )
        if len(of_parts) == 1:
            return None
        _check_workers(client)
        items = list(X) if all(hasattr(x, "read_runs") for x in X) else sequences.items()
        n_threads = client.nthreads().values()
        print_if_verbose(
            f"{len(of_parts)} parts on {len(n_threads)} workers with {sum(n_threads)} threads",
            verbose,
        )
        return cls(client, items, sequences, of_parts)

    @property
    def backend(self):
        """Name of the backend of message passing."""
        return self._recipes[0].choice.backend

    @property
    def kind(self):
        """Return a text that is the same for data of the same kernels: none are compiled here."""
        return "dask"

    def compile(self, *arguments, **static):
        """Do nothing: workers compile."""

    def update_states(self, key, logits, trans_probs, *, algorithm, settings):
        """Return the counts of the states, summed, and the log-likelihood."""
        key = np.asarray(jax.random.key_data(key))
        arguments = key, *jax.device_get((logits, trans_probs)), algorithm, settings
        futures = self._submit(part_tasks.update_states, self._sources, *arguments)
        terms = settings.terms
        if 8 * terms.n_contexts * terms.n_syllables**2 > _LARGE_COUNTS:
            starts = range(0, len(futures), _SUMMED_AT_ONCE)
            batches = [futures[i : i + _SUMMED_AT_ONCE] for i in starts]
            futures = self._submit(part_tasks.add, batches)
        return part_tasks.add(*self._gather(futures))

    def draw_states(self, key, logits, trans_probs, *, settings):
        """Return the states of `update_states` of "gibbs" with this key, as `RunLengths`."""
        key = np.asarray(jax.random.key_data(key))
        arguments = key, *jax.device_get((logits, trans_probs)), settings
        return joined(self._gather(self._submit(part_tasks.draw_states, self._sources, *arguments)))

    def log_likelihoods(self, draws):
        """Return the log-likelihood of each sequence under each draw, (n_draws, n_sequences)."""
        draws = jax.device_get(draws)
        of_parts = self._gather(self._submit(part_tasks.log_likelihoods, self._sources, draws))
        return np.concatenate(of_parts, axis=1)

    def best_paths(self, params, message_passing):
        """Return the most probable states, as `RunLengths`."""
        arguments = jax.device_get(params), message_passing
        return joined(self._gather(self._submit(part_tasks.best_paths, self._sources, *arguments)))

    def _submit(self, function, firsts, *others):
        """Submit a task for each first argument, spread over the workers that there are now."""
        workers = sorted(self._client.nthreads())
        call = next(self._n_calls)
        futures = []
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            for i, first in enumerate(firsts):
                arguments = first if function is part_tasks.add else (first,)
                futures.append(
                    self._client.submit(
                        function,
                        *arguments,
                        *others,
                        key=f"hhmm_{function.__name__}-{self._fit}-{call}-{i}",
                        workers=workers[i % len(workers)] if workers else None,
                        allow_other_workers=bool(workers),
                        pure=False,
                    )
                )
        return futures

    def _gather(self, futures):
        """Return the results of tasks, in order."""
        from distributed import KilledWorker

        try:
            return self._client.gather(futures)
        except KilledWorker as error:
            part = int(str(error.task).rsplit("-", 1)[-1])
            names = self._names[part % len(self._names)]
            raise RuntimeError(
                f"Workers ended while they computed on the {len(names)} recordings {names[0]} to "
                f"{names[-1]}. Give workers more memory, or cut long recordings in shorter ones."
            ) from error
        finally:
            with contextlib.suppress(Exception):
                self._client.cancel([f for f in futures if not f.done()])


def _check_workers(client):
    """Raise RuntimeError where a worker lacks a package or has another version of it."""
    for name in _PACKAGES:
        here = importlib.metadata.version(name)
        found = client.run(importlib.metadata.version, name, on_error="return")
        for worker, there in found.items():
            if there != here:
                there = "no" if isinstance(there, Exception) else there
                raise RuntimeError(
                    f"Dask worker {worker} has {there} {name}, and this process has {here}. "
                    "Install the same version on all workers."
                )
