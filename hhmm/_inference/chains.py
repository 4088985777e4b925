"""Chains at the same time: compiled ahead, run in threads."""

import functools
import threading

import jax
import jax.numpy as jnp
import joblib

from hhmm._runtime.threads import in_thread, together

# kinds of runs that `compile_ahead` has made
_kinds_run = set()


def compile_ahead(start, run_one):
    """Compile what runs will need, in a thread, while their starts are still sought.

    One sweep of a chain of no consequence is run, once for each kind of run in a process. On
    one core there is nothing to gain, and nothing is done.

    Parameters
    ----------
    start : Start
        Of the shapes of those that will come.
    run_one : functools.partial
        As for `run_chains`; its arguments tell kinds of runs apart.

    Returns
    -------
    wait : callable
        Returns when all is compiled; errors are left to the runs themselves.
    """
    given = run_one.keywords
    shapes = jax.tree.map(jnp.shape, (start.chain, given["prepared"].groups))
    kind = given["algorithm"], given["settings"], given["n_draws"], str(shapes)
    if kind in _kinds_run or joblib.effective_n_jobs(-1) == 1:
        return lambda: None
    _kinds_run.add(kind)
    call = functools.partial(run_one, start, n_iter=1, report=lambda *_: None)
    return in_thread(call, pool="ahead").exception


class _AbandonedError(Exception):
    """Another chain has failed, or the user has interrupted."""


def run_chains(starts, run_one, listeners, ends_early):
    """Run chains at the same time, on as many threads as joblib grants cores.

    What a chain draws does not depend on the others. When one fails, or the user interrupts, the
    others end at their next dispatch.

    Milliseconds of a sweep of four chains on two cores, one after the other / in threads / as one
    vectorised chain, which pays for the slowest emission solve of all: 200 x 1000 timesteps, 5
    states, 20 syllables: 42 / 25 / 49; 4 x 20,000: 44 / 24 / 36; 20 x 20,000, 10 states, 100
    syllables: 561 / 364 / 932.

    Parameters
    ----------
    starts : list of Start
    run_one : callable
        ``run_one(start, report=report, save=save)``, `run` with all other arguments given.
    listeners : list of (callable, callable or None)
        The `report` and the `save` of each chain.
    ends_early : callable
        Whether to end all chains after the sweeps that are under way.

    Returns
    -------
    results : list of Result or None
        None of a chain that had not begun when all were ended.
    """
    abandoned, errors = threading.Event(), []

    def call(start, listener):
        report, save = listener

        def report_unless_abandoned(*arguments):
            if abandoned.is_set():
                raise _AbandonedError
            asked_to_end = report(*arguments)
            return asked_to_end or ends_early()

        def make():
            if ends_early() and start.past is None:
                return None
            try:
                return run_one(start, report=report_unless_abandoned, save=save)
            except Exception as error:
                errors.append(error)
                abandoned.set()
                raise

        return make

    calls = [call(*pair) for pair in zip(starts, listeners, strict=True)]
    n_threads = min(len(calls), joblib.effective_n_jobs(-1))
    try:
        return together(*calls, n_threads=n_threads, pool="chains")
    except _AbandonedError:
        raise errors[0] from None  # what came first is the cause
    except BaseException:
        abandoned.set()
        raise
