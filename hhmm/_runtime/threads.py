"""Calls made at the same time, in threads."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import jax

from hhmm._runtime.precision import double_precision


def run_in_threads(*calls, n_threads=None, pool="groups"):
    """Make calls at the same time, by default one a thread; return their results.

    Calls that come here themselves must be made in another pool than what they call.
    """

    n_threads = n_threads or len(calls)
    if len(calls) == 1 or n_threads == 1:
        return [_make(call) for call in calls]
    return list(_threads(n_threads, pool, os.getpid()).map(_make, calls))


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
