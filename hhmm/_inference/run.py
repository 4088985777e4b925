"""The loop that drives an algorithm: many sweeps a dispatch, then a word to the host.

A dispatch runs a number of sweeps that is an argument of the compiled function,
so the host can choose it freely: doubled while a dispatch takes less than half
a second, halved when it takes more than one. The key of a sweep is
``fold_in(chain key, sweep)``: how the sweeps are cut into dispatches changes nothing.

A chain that starts at parameters draws the states of the sweep before its first one anew, by
that sweep's own key. So parameters, key and number of sweeps are all that it takes to go on
where a chain ended, to the last bit, and no states need to be kept.
"""

import functools
import threading
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import joblib
import numpy as np

from hhmm import _lanes
from hhmm._emission_solvers.objective import Tuning
from hhmm._inference.chain import ChainState
from hhmm._inference.dispatch import (
    ALTERNATING,
    MAX_SWEEPS_PER_DISPATCH,
    Kept,
    Trace,
    begin_ascent,
    fused,
    grouped,
    has_stopped,
    in_thread,
    together,
)
from hhmm._inference.draws import schedule
from hhmm._types import Array, EmissionLogits

# a tolerance that stops nothing
NEVER = -1.0
# kinds of runs that `compile_ahead` has made
_kinds_run = set()


class Start(NamedTuple):
    """Where a chain starts."""

    key: Array  # JAX key of the chain
    chain: ChainState
    first_sweep: int  # number of sweeps the chain has done before


class End(NamedTuple):
    """Where a chain ended: all that it takes to go on from there. NumPy arrays."""

    key: Array  # (2,) uint32, data of the key of the chain
    n_sweeps: int  # that the chain has done
    logits: EmissionLogits  # the last draw, or mode
    mode: EmissionLogits  # where the next emission solve starts
    trans_probs: Array  # (n_states, n_states)
    tuning: Tuning  # of the sampler of the emissions


class Result(NamedTuple):
    """What `run` returns; NumPy arrays."""

    chain: ChainState
    kept: Kept
    kept_sweeps: Array  # (draws kept,) int: the sweeps they are of
    trace: Trace  # leading axis (sweeps done,)
    stopped: bool  # whether it stopped by itself, a sweep having gained no more than `tol`
    end: End


def run(
    start,
    prepared,
    priors,
    learning_rate,
    *,
    algorithm,
    settings,
    n_iter,
    n_warm_up,
    n_draws,
    report,
    each_sweep=False,
    tol=NEVER,
):
    """Run sweeps.

    Parameters
    ----------
    start : Start
    prepared : Prepared
    priors : Priors
    learning_rate : float
    algorithm : str, a key of ``ALGORITHMS``
    settings : chain.Settings
    n_iter : int
        Sweeps to do, at most.
    n_warm_up : int
        Sweeps, counted from the first of the chain, that need not be exact.
    n_draws : int
        Draws to keep, by `draws.schedule`; 0 for none.
    report : callable
        ``report(n_done, log_joint, chain)`` after each dispatch; the run ends where it returns
        True.
    each_sweep : bool
        Whether to report each sweep by itself, at the price of a dispatch for each.
    tol : float
        A sweep that gains at most so many nats is the last one; negative for never.

    Returns
    -------
    result : Result

    Raises
    ------
    FloatingPointError
        When the log joint of a sweep is not finite.
    """
    key, chain, first_sweep = start
    kept = schedule(n_iter, n_draws)
    slots = np.full(n_iter + MAX_SWEEPS_PER_DISPATCH, n_draws, np.int32)
    slots[kept] = np.arange(len(kept))
    # room for n_draws whatever the number of sweeps, which thereby is no part of a shape
    draws = Kept(
        logits=jax.tree.map(lambda x: np.zeros((n_draws, *x.shape)), chain.logits),
        trans_probs=np.zeros((n_draws, *chain.trans_probs.shape)),
        log_joint=np.zeros(n_draws),
    )
    is_grouped = len(prepared.groups) > 1 and algorithm in ALTERNATING
    many_sweeps = grouped if is_grouped else fused
    sequences = jax.device_put(prepared.groups if is_grouped else prepared.data)
    n_lanes = [part.shape[1] for part in jax.tree.leaves(chain.states)[:1]]

    def dispatch(chain, draws, first, n_sweeps, slots):
        return many_sweeps(
            key,
            chain,
            draws,
            np.int32(first),
            np.int32(n_sweeps),
            slots,
            sequences,
            priors,
            learning_rate,
            np.int32(n_warm_up),
            np.float64(tol),
            algorithm=algorithm,
            settings=settings,
        )

    if algorithm == "gradient":
        chain = begin_ascent(chain, sequences, priors, settings=settings)
    elif not chain.has_states:
        # the states given the first parameters: those of sweep -1 where the chain is new
        chain, *_ = dispatch(chain, draws, first_sweep - 1, 1, slots[-MAX_SWEEPS_PER_DISPATCH:])
    traces, before = [], float(chain.log_joint)
    done, n_sweeps, stopped = 0, 1, False
    while done < n_iter and not stopped:
        n_sweeps = min(n_sweeps, n_iter - done)
        began = time.perf_counter()
        chain, draws, trace, n_done = dispatch(
            chain,
            draws,
            first_sweep + done,
            n_sweeps,
            slots[done : done + MAX_SWEEPS_PER_DISPATCH],
        )
        n_done = int(n_done)
        trace = jax.tree.map(lambda x, n=n_done: np.asarray(x)[:n], trace)
        seconds = time.perf_counter() - began
        _check_finite(trace.log_joint, first_sweep + done)
        traces.append(trace)
        done += n_done
        before, last = ([before, *trace.log_joint])[-2:]
        stopped = bool(has_stopped(before, last, tol))
        before = last
        if report(done, float(trace.log_joint[-1]), chain):
            break
        if each_sweep:
            continue
        if seconds < 0.5:
            n_sweeps = min(2 * n_sweeps, MAX_SWEEPS_PER_DISPATCH)
        elif seconds > 1 and len(traces) > 1:  # the first one compiled
            n_sweeps = max(n_sweeps // 2, 1)
    chain = jax.tree.map(np.asarray, chain)
    kept = kept[kept < done]
    draws = jax.tree.map(lambda x: np.asarray(x)[: len(kept)], draws)
    if n_draws and not len(kept):  # ended in the first half
        kept = np.array([done - 1])
        draws = jax.tree.map(
            lambda x: np.asarray(x)[None], Kept(chain.logits, chain.trans_probs, chain.log_joint)
        )
    if is_grouped:
        chain = chain._replace(
            states=_lanes.join(chain.states, *n_lanes) if n_lanes else chain.states[0]
        )
    return Result(
        chain=chain,
        kept=draws,
        kept_sweeps=kept,
        trace=jax.tree.map(lambda *parts: np.concatenate(parts), *traces),
        stopped=stopped,
        end=End(
            key=np.asarray(jax.random.key_data(key)),
            n_sweeps=first_sweep + done,
            logits=chain.logits,
            mode=chain.mode,
            trans_probs=chain.trans_probs,
            tuning=chain.tuning,
        ),
    )


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


def run_chains(starts, run_one, reports):
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
        ``run_one(start, report=report)``, `run` with all other arguments given.
    reports : list of callable
        The `report` of each chain.

    Returns
    -------
    results : list of Result
    """
    abandoned, errors = threading.Event(), []

    def call(start, report):
        def report_unless_abandoned(*arguments):
            if abandoned.is_set():
                raise _AbandonedError
            return report(*arguments)

        def make():
            try:
                return run_one(start, report=report_unless_abandoned)
            except Exception as error:
                errors.append(error)
                abandoned.set()
                raise

        return make

    calls = [call(*pair) for pair in zip(starts, reports, strict=True)]
    n_threads = min(len(calls), joblib.effective_n_jobs(-1))
    try:
        return together(*calls, n_threads=n_threads, pool="chains")
    except _AbandonedError:
        raise errors[0] from None  # what came first is the cause
    except BaseException:
        abandoned.set()
        raise


def _check_finite(log_joint, first_sweep):
    if not np.isfinite(log_joint).all():
        bad = int(np.argmin(np.isfinite(log_joint)))
        raise FloatingPointError(
            f"the log joint of sweep {first_sweep + bad} is {log_joint[bad]}: expected a finite "
            "number. Likely causes are extreme values of emission_base_sigma, "
            "emission_biases_sigma, trans_beta or trans_kappa"
        )
