"""Chains at the same time: compiled ahead, one a thread."""

import functools
import threading

import jax
import jax.numpy as jnp

from hhmm._inference.loop import iterate
from hhmm._runtime.threads import in_thread, n_cores, run_in_threads

# kinds of plans that `compile_ahead` has compiled
_compiled = set()


def compile_ahead(start, plan):
    """Compile what chains will need, in a thread, while their starts are still sought.

    One sweep of a chain of no consequence is done, once for each kind of plan in a process. On
    one core there is nothing to gain, and nothing is done.

    Parameters
    ----------
    start : Start
        Of the shapes of those that will come.
    plan : Plan

    Returns
    -------
    wait : callable
        Returns when all is compiled; errors are left to the chains themselves.
    """
    shapes = jax.tree.map(jnp.shape, start.chain)
    kind = plan.algorithm, plan.settings, plan.n_draws, str(shapes), plan.parts.kind
    if kind in _compiled or n_cores() == 1:
        return lambda: None
    _compiled.add(kind)
    call = functools.partial(iterate, start, plan._replace(n_iter=1), report=lambda *_: None)
    return in_thread(call, pool="ahead").exception


class _AbandonedError(Exception):
    """Another chain has failed, or the user has interrupted."""


def iterate_chains(starts, plan, listeners, ends_early):
    """Do the sweeps of chains at the same time, in as many threads as there are cores.

    What a chain draws does not depend on the others. When one fails, or the user interrupts, the
    others end after the call that is under way.

    Milliseconds of a sweep of four chains on two cores, one after the other / in threads / as one
    vectorised chain, which pays for the slowest emission solve of all: 200 x 1000 timesteps, 5
    states, 20 syllables: 42 / 25 / 49; 4 x 20,000: 44 / 24 / 36; 20 x 20,000, 10 states, 100
    syllables: 561 / 364 / 932.

    Parameters
    ----------
    starts : list of Start
    plan : Plan
    listeners : list of (callable, callable or None)
        The `report` and the `save` of each chain, as `iterate` takes them.
    ends_early : callable
        Whether to end all chains after the sweeps that are under way. The first chain does one
        call in any case.

    Returns
    -------
    results : list of Result or None
        None of a chain that had not begun when all were ended.
    """
    abandoned, errors = threading.Event(), []

    def make_call(i, start, listener):
        report, save = listener

        def report_unless_abandoned(*arguments):
            if abandoned.is_set():
                raise _AbandonedError
            asked_to_end = report(*arguments)
            return asked_to_end or ends_early()

        def call():
            if i > 0 and ends_early() and start.past is None:
                return None
            try:
                return iterate(start, plan, report=report_unless_abandoned, save=save)
            except Exception as error:
                errors.append(error)
                abandoned.set()
                raise

        return call

    pairs = zip(starts, listeners, strict=True)
    calls = [make_call(i, *pair) for i, pair in enumerate(pairs)]
    n_threads = min(len(calls), n_cores())
    try:
        return run_in_threads(*calls, n_threads=n_threads, pool="chains")
    except _AbandonedError:
        raise errors[0] from None  # what came first is the cause
    except BaseException:
        abandoned.set()
        raise
