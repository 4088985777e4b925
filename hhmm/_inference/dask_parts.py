"""Parts of the data on the workers of a Dask cluster.

Each part and sweep is a task: a part and parameters in, counts and the log-likelihood out. All that
a fit needs is on the machine that runs it, so workers may come, go, and be killed. The scheduler
does lost tasks again, and their results are the same. The sums are made in a fixed order.

Data in the memory of this machine go to the scheduler once. Data in files are read by the workers,
which must see them under the same paths.
"""

import contextlib
import itertools
import threading
import uuid
import warnings
from concurrent.futures import CancelledError

import jax
import numpy as np
from joblib.parallel import get_active_backend

from hhmm._inference import part_tasks
from hhmm._inference.prepare import recipes
from hhmm._runtime.progress import print_if_verbose
from hhmm._runtime.threads import is_dask_worker
from hhmm._sequences.run_lengths import joined

# counts of more bytes are summed on workers, so many parts at a time
_LARGE_COUNTS = 1_000_000
_SUMMED_AT_ONCE = 8
_PATIENCE = 60.0  # seconds without a worker after which a fit says that it waits


def active_client():
    """Return the Dask client of the active joblib backend; None where it is another backend.

    None also in a worker: a task that waits for other tasks could wait for ever.
    """
    backend, _ = get_active_backend()
    is_dask = type(backend).__name__ == "DaskDistributedBackend" and not backend.nesting_level
    return backend.client if is_dask and not is_dask_worker() else None


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
        sources = []
        for recipe in of_parts:
            numbers = range(*recipe.numbers)
            sources.append(
                part_tasks.Source(
                    [items[i] for i in numbers],
                    [getattr(items[i], "name", f"sequence {i}") for i in numbers],
                    part_tasks.digests(sequences.part(*recipe.numbers)),
                    recipe,
                )
            )
        self._names = [source.names for source in sources]
        _check_workers(client)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            # one by one: no message holds all the data
            self._sources = [
                self._submit(part_tasks.hold, [i], [source])[0] for i, source in enumerate(sources)
            ]
        self._parts = self._submit(part_tasks.lay_out, range(len(sources)), self._sources)

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
            print_if_verbose("too few timesteps to share with workers: fitted here", verbose)
            return None
        if client.status != "running":
            raise RuntimeError(
                "The Dask client of joblib's backend has lost its cluster. Start a cluster and a "
                "client, and fit again."
            )
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

    def update_states(self, words, logits, trans_probs, *, algorithm, settings):
        """Return the counts of the states, summed, and the log-likelihood."""
        terms = settings.terms
        are_large = 8 * terms.n_contexts * terms.n_syllables**2 > _LARGE_COUNTS
        arguments = words, *jax.device_get((logits, trans_probs)), algorithm, settings
        return part_tasks.add(
            self._run(part_tasks.update_states, self._parts, *arguments, in_batches=are_large)
        )

    def draw_states(self, words, logits, trans_probs, *, settings):
        """Return the states of `update_states` of "gibbs" with this key, as `RunLengths`."""
        arguments = words, *jax.device_get((logits, trans_probs)), settings
        return joined(self._run(part_tasks.draw_states, self._parts, *arguments))

    def log_likelihoods(self, draws):
        """Return the log-likelihood of each sequence under each draw, (n_draws, n_sequences)."""
        of_parts = self._run(part_tasks.log_likelihoods, self._parts, jax.device_get(draws))
        return np.concatenate(of_parts, axis=1)

    def best_paths(self, params, message_passing):
        """Return the most probable states, as `RunLengths`."""
        arguments = jax.device_get(params), message_passing
        return joined(self._run(part_tasks.best_paths, self._sources, *arguments))

    def close(self):
        """Free the memory of the workers."""
        with contextlib.suppress(Exception):  # they may be gone
            # the traceback of an error may hold the futures, so it is not enough to drop them
            self._client.cancel([*self._parts, *self._sources])

    def _run(self, function, firsts, *others, in_batches=False):
        """Return the results of a task for each part, in order.

        Parameters
        ----------
        function : callable
            Of `part_tasks`.
        firsts : list of distributed.Future
            First argument of each task.
        *others
            Further arguments, the same for all tasks.
        in_batches : bool, default=False
            Whether workers sum the results until there are few.
        """
        from distributed import KilledWorker, wait

        submitted, is_done = [], False
        try:
            submitted = futures = self._submit(function, range(len(firsts)), firsts, *others)
            n_parts = 1  # that a future stands for
            while in_batches and len(futures) > _SUMMED_AT_ONCE:
                n_parts *= _SUMMED_AT_ONCE
                starts = range(0, len(futures), _SUMMED_AT_ONCE)
                batches = [futures[i : i + _SUMMED_AT_ONCE] for i in starts]
                futures = self._submit(part_tasks.add, range(0, len(firsts), n_parts), batches)
                submitted = submitted + futures
            with _warning_without_workers(self._client):
                results = self._client.gather(futures)
            is_done = True
            return results
        except KilledWorker as error:
            # Dask reports failures one after the other
            with self._client.as_current(), contextlib.suppress(TimeoutError):
                wait(submitted, timeout=1)
            failed = [future.key for future in submitted if future.status == "error"]
            names = [name for i in sorted(set(map(_part, failed))) for name in self._names[i]]
            raise RuntimeError(
                f"Workers ended while they computed on {part_tasks.describe(names)}. Give workers "
                "more memory, or cut long recordings in shorter ones."
            ) from error
        except (CancelledError, OSError) as error:
            if isinstance(error, OSError) and self._client.status == "running":
                raise  # of a file
            raise RuntimeError(
                "The Dask scheduler lost the tasks of this fit: it ended, or was restarted. Start "
                "the cluster, and fit again. With a checkpoint the fit continues where it was."
            ) from error
        finally:
            if not is_done:
                with contextlib.suppress(Exception):
                    self._client.cancel(submitted)

    def _submit(self, function, numbers, firsts, *others):
        """Submit a task for each first argument; `numbers` are those of the parts.

        Tasks are not restricted to workers. Where the only worker ends that a task is restricted
        to, Dask does not give the task to the one that comes in its place, even if it may.
        """
        name = f"hhmm_{function.__name__}-{self._fit}-{next(self._n_calls)}"
        of_all = function, part_tasks.versions(), *others
        return self._client.map(
            part_tasks.run,
            firsts,
            *([value] * len(firsts) for value in of_all),
            key=[f"{name}-{i}" for i in numbers],
            pure=False,
        )


@contextlib.contextmanager
def _warning_without_workers(client):
    """Warn once if a look at the cluster in this block, each `_PATIENCE` seconds, finds no worker.

    The block goes on: workers of a queue may come hours later.
    """
    is_done = threading.Event()

    def watch():
        while not is_done.wait(_PATIENCE):
            try:
                is_waiting = not client.nthreads()
            except Exception:  # the client was closed, which the block meets too
                return
            if is_waiting:
                warnings.warn(
                    "The fit waits, because the Dask cluster has no workers. It goes on when one "
                    "comes. If none will come, press Ctrl-C twice, start a cluster, and fit again. "
                    "With a checkpoint the fit continues where it was.",
                    stacklevel=2,
                )
                return

    watcher = threading.Thread(target=watch, name="hhmm-watch-workers", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_done.set()


def _part(key):
    """Return the number of the part that a task is for."""
    return int(key.rsplit("-", 1)[-1])


def _check_workers(client):
    """Check the packages of all workers, before they get tasks that they cannot read."""
    names = list(part_tasks.versions())
    for worker, found in client.get_versions(packages=names)["workers"].items():
        part_tasks.check_versions(worker, found["packages"], part_tasks.versions())
