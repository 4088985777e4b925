"""Calls made at the same time, in threads."""

import functools
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import joblib
from joblib.parallel import get_active_backend

from hhmm._runtime.precision import double_precision


def n_cores():
    """Return the number of cores of this machine that a fit may use.

    It is as many as joblib grants, and one in a worker of joblib or Dask, where other tasks run
    beside it. A backend of joblib that spans machines (Dask, Ray) counts the threads of all of
    them: there it is the cores of this machine.
    """
    backend, _ = get_active_backend()
    if backend.nesting_level or is_dask_worker():
        return 1
    if type(backend).__module__ == "joblib._parallel_backends":
        return joblib.effective_n_jobs(-1)
    return joblib.cpu_count()


def is_dask_worker():
    """Return whether this thread runs a task of Dask."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True


def run_in_threads(*calls, n_threads=None, pool="groups"):
    """Make calls at the same time, by default one a thread; return their results.

    Calls that come here themselves must be made in another pool than what they call.
    """

    n_threads = n_threads or len(calls)
    if len(calls) <= 1 or n_threads == 1:
        return [_make(call) for call in calls]
    threads = _threads(n_threads, pool, os.getpid())
    if n_threads < len(calls):
        return list(threads.map(_make, calls))
    first, *others = calls
    results = threads.map(_make, others)  # which begins now
    return [_make(first), *results]


def in_thread(call, *, pool):
    """Make a call in a thread of its own; returns its `concurrent.futures.Future`."""
    return _threads(1, pool, os.getpid()).submit(_make, call)


@double_precision  # the setting is one of the calling thread
def _make(call):
    return jax.block_until_ready(call())


@functools.cache
def _threads(n_threads, pool, process_id):
    """Return a pool of threads; they do not survive a fork, so each process has its own."""
    del process_id
    return ThreadPoolExecutor(n_threads, thread_name_prefix=f"hhmm-{pool}")
