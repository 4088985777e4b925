"""The loop that drives an algorithm: many sweeps a dispatch, then a word to the host.

A dispatch runs a number of sweeps that is an argument of the compiled function,
so the host can choose it freely: doubled while a dispatch takes less than half
a second, halved when it takes more than one. The key of a sweep is
``fold_in(chain key, sweep)``: how the sweeps are cut into dispatches changes nothing.
"""

import time
from typing import NamedTuple

import jax
import numpy as np

from hhmm import _lanes
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
)
from hhmm._inference.draws import schedule
from hhmm._types import Array

# a tolerance that stops nothing
NEVER = -1.0


class Start(NamedTuple):
    """Where a chain starts."""

    key: Array  # JAX key of the chain
    chain: ChainState
    first_sweep: int  # number of sweeps the chain has done before


class Result(NamedTuple):
    """What `run` returns; NumPy arrays."""

    chain: ChainState
    kept: Kept
    trace: Trace  # leading axis (sweeps done,)
    stopped: bool  # whether it stopped by itself, a sweep having gained no more than `tol`


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
        ``report(n_done, log_joint)`` after each dispatch.
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
        # the states given the first parameters; not a sweep, so it takes a key that none has
        chain, *_ = dispatch(chain, draws, -1, 1, slots[-MAX_SWEEPS_PER_DISPATCH:])
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
        report(done, float(trace.log_joint[-1]))
        if seconds < 0.5:
            n_sweeps = min(2 * n_sweeps, MAX_SWEEPS_PER_DISPATCH)
        elif seconds > 1 and len(traces) > 1:  # the first one compiled
            n_sweeps = max(n_sweeps // 2, 1)
    chain = jax.tree.map(np.asarray, chain)
    if is_grouped:
        chain = chain._replace(
            states=_lanes.join(chain.states, *n_lanes) if n_lanes else chain.states[0]
        )
    return Result(
        chain=chain,
        kept=jax.tree.map(lambda x: np.asarray(x)[: len(kept)], draws),
        trace=jax.tree.map(lambda *parts: np.concatenate(parts), *traces),
        stopped=stopped,
    )


def _check_finite(log_joint, first_sweep):
    if not np.isfinite(log_joint).all():
        bad = int(np.argmin(np.isfinite(log_joint)))
        raise FloatingPointError(
            f"the log joint of sweep {first_sweep + bad} is {log_joint[bad]}: expected a finite "
            "number. Likely causes are extreme values of emission_base_sigma, "
            "emission_biases_sigma, trans_beta or trans_kappa"
        )
