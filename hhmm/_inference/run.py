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
from hhmm._inference import gibbs
from hhmm._inference.dispatch import MAX_SWEEPS_PER_DISPATCH, Kept, Trace, fused, grouped
from hhmm._inference.draws import schedule
from hhmm._types import Array


class Start(NamedTuple):
    """Where a chain starts."""

    key: Array  # JAX key of the chain
    chain: gibbs.ChainState
    first_sweep: int  # number of sweeps the chain has done before


class Result(NamedTuple):
    """What `run` returns; NumPy arrays."""

    chain: gibbs.ChainState
    kept: Kept
    trace: Trace  # leading axis (n_iter,)


def best_start(starts, groups, priors, learning_rate, *, n_iter, report, **choices):
    """Run each of several starts for a few sweeps, and take the one that got highest.

    A chain stays near the mode where it falls, and after a few sweeps its log joint
    tells which ones fell well: differences are thousands of nats, noise is tens.

    Parameters
    ----------
    starts : iterable of Start
    groups, priors, learning_rate
        As for `run`.
    n_iter : int
        Sweeps of each start.
    report : callable
        As for `run`; told the number of sweeps of all starts.
    **choices
        The other arguments of `run`.

    Returns
    -------
    start : Start
        The winner, where its sweeps have brought it: going on is going on with that run.
    """
    best, highest = None, -np.inf
    for i, start in enumerate(starts):
        result = run(
            start,
            groups,
            priors,
            learning_rate,
            n_iter=n_iter,
            report=lambda n_done, log_joint, before=i * n_iter: report(before + n_done, log_joint),
            **choices,
        )
        if result.trace.log_joint[-1] > highest:
            highest = result.trace.log_joint[-1]
            best = Start(start.key, result.chain, start.first_sweep + n_iter)
    return best


def run(
    start,
    groups,
    priors,
    learning_rate,
    *,
    algorithm,
    settings,
    n_iter,
    n_warm_up,
    n_draws,
    report,
):
    """Run sweeps.

    Parameters
    ----------
    start : Start
    groups : tuple of PackedSequences or of RunData
        The sequences as the backend of message passing reads them, see `hhmm._lanes`.
    priors : Priors
    learning_rate : float
    algorithm : str, a key of ``ALGORITHMS``
    settings : gibbs.Settings
    n_iter : int
        Sweeps to do.
    n_warm_up : int
        Sweeps, counted from the first of the chain, that need not be exact.
    n_draws : int
        Draws to keep, by `draws.schedule`.
    report : callable
        ``report(n_done, log_joint)`` after each dispatch.

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
    is_grouped = len(groups) > 1
    many_sweeps = grouped if is_grouped else fused
    sequences = jax.device_put(groups if is_grouped else groups[0])
    n_lanes = jax.tree.leaves(chain.states)[0].shape[1]

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
            algorithm=algorithm,
            settings=settings,
        )

    if not chain.has_states:
        # the states given the first parameters; not a sweep, so it takes a key that none has
        chain, _, _ = dispatch(chain, draws, -1, 1, slots[-MAX_SWEEPS_PER_DISPATCH:])
    traces = []
    done, n_sweeps = 0, 1
    while done < n_iter:
        n_sweeps = min(n_sweeps, n_iter - done)
        began = time.perf_counter()
        chain, draws, trace = dispatch(
            chain,
            draws,
            first_sweep + done,
            n_sweeps,
            slots[done : done + MAX_SWEEPS_PER_DISPATCH],
        )
        trace = jax.tree.map(lambda x, n=n_sweeps: np.asarray(x)[:n], trace)
        seconds = time.perf_counter() - began
        _check_finite(trace.log_joint, first_sweep + done)
        traces.append(trace)
        done += n_sweeps
        report(done, float(trace.log_joint[-1]))
        if seconds < 0.5:
            n_sweeps = min(2 * n_sweeps, MAX_SWEEPS_PER_DISPATCH)
        elif seconds > 1 and len(traces) > 1:  # the first one compiled
            n_sweeps = max(n_sweeps // 2, 1)
    chain = jax.tree.map(np.asarray, chain)
    if is_grouped:
        chain = chain._replace(states=_lanes.join(chain.states, n_lanes))
    return Result(
        chain=chain,
        kept=jax.tree.map(lambda x: np.asarray(x)[: len(kept)], draws),
        trace=jax.tree.map(lambda *parts: np.concatenate(parts), *traces),
    )


def _check_finite(log_joint, first_sweep):
    if not np.isfinite(log_joint).all():
        bad = int(np.argmin(np.isfinite(log_joint)))
        raise FloatingPointError(
            f"the log joint of sweep {first_sweep + bad} is {log_joint[bad]}: expected a finite "
            "number. Likely causes are extreme values of emission_base_sigma, "
            "emission_biases_sigma, trans_beta or trans_kappa"
        )
