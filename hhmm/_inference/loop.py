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
import time
from typing import NamedTuple

import jax
import numpy as np

from hhmm._emission_solvers.objective import Tuning
from hhmm._inference.chain import ChainState, Stages
from hhmm._inference.compiled import (
    ALTERNATING,
    MAX_SWEEPS_PER_DISPATCH,
    Kept,
    Trace,
    begin_ascent,
    fused,
    grouped,
    kept_of,
)
from hhmm._inference.draws import already_kept, schedule
from hhmm._sequences import lanes
from hhmm._types import Array, EmissionLogits, Priors

# a tolerance that stops nothing
NEVER = -1.0
# nats: an iteration of EM that gains less ends the learning of scales before the gradient climbs
SETTLED_LOG_JOINT = 0.1


class End(NamedTuple):
    """Where a chain ended: all that it takes to go on from there. NumPy arrays."""

    key: Array  # (2,) uint32, data of the key of the chain
    n_sweeps: int  # that the chain has done
    logits: EmissionLogits  # the last draw, or mode
    mode: EmissionLogits  # where the next emission solve starts
    trans_probs: Array  # (n_states, n_states)
    tuning: Tuning  # of the sampler of the emissions
    priors: Priors = None  # with the scales that are learnt; None in models of version 0.1


class Past(NamedTuple):
    """What a chain has done so far in a run: all that it takes to end as if it had not paused.

    NumPy arrays.
    """

    end: End
    kept: Kept  # draws kept so far, leading axis (draws kept,)
    kept_sweeps: Array  # (draws kept,) int, counted from the first sweep of the run
    trace: Trace  # leading axis (sweeps done,)
    emission_losses: Array  # (iterations of the last emission solve,)
    optimizer: tuple  # arrays that the gradient algorithm carries from step to step
    stopped: bool


class Start(NamedTuple):
    """Where a chain starts."""

    key: Array  # JAX key of the chain
    chain: ChainState
    first_sweep: int  # number of sweeps the chain has done before the run
    past: Past | None = None  # what it has done of the run


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
    learning_rate,
    *,
    algorithm,
    settings,
    n_iter,
    stages,
    n_draws,
    report,
    save=None,
    save_every=None,
    each_sweep=False,
    tol=NEVER,
):
    """Run sweeps.

    Parameters
    ----------
    start : Start
    prepared : Prepared
    learning_rate : float
    algorithm : str, a key of ``ALGORITHMS``
    settings : chain.Settings
    n_iter : int
        Sweeps to do, at most.
    stages : chain.Stages
    n_draws : int
        Draws to keep, by `draws.schedule`; 0 for none.
    report : callable
        ``report(n_done, log_joint, chain)`` after each dispatch; the run ends where it returns
        True.
    save : callable or None
        ``save(past)`` with the `Past` after every `save_every` sweeps, and at the end.
    save_every : int or None
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
    key, chain, first_sweep, past = start
    done = 0 if past is None else len(past.trace.log_joint)
    # room for n_draws whatever the number of sweeps, which thereby is no part of a shape
    draws = Kept(
        logits=jax.tree.map(lambda x: np.zeros((n_draws, *x.shape)), chain.logits),
        trans_probs=np.zeros((n_draws, *chain.trans_probs.shape)),
        log_joint=np.zeros(n_draws),
        priors=jax.tree.map(lambda x: np.zeros(n_draws), chain.priors),
    )
    kept, traces = schedule(n_iter, n_draws), []
    if past is not None:
        kept, sources = already_kept(kept, past.kept_sweeps, done, first=n_iter // 2)
        for room, drawn in zip(*map(jax.tree.leaves, (draws, past.kept)), strict=True):
            room[: len(sources)] = drawn[sources]
        traces.append(past.trace)
    slots = np.full(n_iter + MAX_SWEEPS_PER_DISPATCH, n_draws, np.int32)
    slots[kept] = np.arange(len(kept))
    stages = Stages(*map(np.int32, stages))
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
            learning_rate,
            stages,
            np.float64(tol),
            algorithm=algorithm,
            settings=settings,
        )

    if algorithm == "gradient" and settings.learnt and past is None:
        chain = _with_learnt_scales(key, chain, draws, sequences, stages, settings)
    if algorithm == "gradient":
        chain = begin_ascent(chain, sequences, settings=settings)
        if past is not None:
            structure = jax.tree.structure(chain.optimizer)
            chain = chain._replace(optimizer=jax.tree.unflatten(structure, past.optimizer))
    elif not chain.has_states:
        # the states given the first parameters: those of sweep -1 where the chain is new
        chain, *_ = dispatch(
            chain, draws, first_sweep + done - 1, 1, slots[-MAX_SWEEPS_PER_DISPATCH:]
        )
    if done:
        chain = chain._replace(log_joint=past.trace.log_joint[-1])

    def past_now():
        """What the chain has done so far."""
        so_far = kept[kept < done]
        losses = np.asarray(chain.emission_losses)[: int(chain.emission_n_iter)]
        to_host = functools.partial(jax.tree.map, np.asarray)
        return Past(
            end=End(
                key=np.asarray(jax.random.key_data(key)),
                n_sweeps=first_sweep + done,
                logits=to_host(chain.logits),
                mode=to_host(chain.mode),
                trans_probs=np.asarray(chain.trans_probs),
                tuning=to_host(chain.tuning),
                priors=to_host(chain.priors),
            ),
            # copied: `grouped` writes to its draws in place
            kept=jax.tree.map(lambda x: np.array(x)[: len(so_far)], draws),
            kept_sweeps=so_far,
            trace=jax.tree.map(lambda *parts: np.concatenate(parts), *traces),
            emission_losses=losses,
            optimizer=tuple(to_host(jax.tree.leaves(chain.optimizer))),
            stopped=stopped,
        )

    n_dispatches = 0
    n_sweeps, stopped = 1, past is not None and past.stopped
    saved = done
    while done < n_iter and not stopped:
        n_now = min(n_sweeps, n_iter - done)
        if save is not None:
            n_now = min(n_now, save_every - done % save_every)
        began = time.perf_counter()
        chain, draws, trace, n_done, stopped = dispatch(
            chain,
            draws,
            first_sweep + done,
            n_now,
            slots[done : done + MAX_SWEEPS_PER_DISPATCH],
        )
        n_done, stopped = int(n_done), bool(stopped)
        trace = jax.tree.map(lambda x, n=n_done: np.asarray(x)[:n], trace)
        seconds = time.perf_counter() - began
        _check_finite(trace, chain, first_sweep + done, is_saved=save is not None)
        traces.append(trace)
        done += n_done
        n_dispatches += 1
        if save is not None and done % save_every == 0:
            save(past_now())
            saved = done
        if report(done, float(trace.log_joint[-1]), chain):
            break
        if each_sweep:
            continue
        if seconds < 0.5:
            n_sweeps = min(2 * n_sweeps, MAX_SWEEPS_PER_DISPATCH)
        elif seconds > 1 and n_dispatches > 1:  # the first one compiled
            n_sweeps = max(n_sweeps // 2, 1)
    past = past_now()
    if save is not None and saved < done:
        save(past)
    chain = jax.tree.map(np.asarray, chain)
    kept, kept_sweeps = past.kept, past.kept_sweeps
    if n_draws and not len(kept_sweeps):  # ended in the first half
        kept_sweeps = np.array([done - 1])
        kept = jax.tree.map(lambda x: np.asarray(x)[None], kept_of(chain))
    if is_grouped:
        chain = chain._replace(
            states=lanes.join(chain.states, *n_lanes) if n_lanes else chain.states[0]
        )
    return Result(
        chain=chain,
        kept=kept,
        kept_sweeps=kept_sweeps,
        trace=past.trace,
        stopped=stopped,
        end=past.end,
    )


def _with_learnt_scales(key, chain, draws, sequences, stages, settings):
    """A chain after iterations of EM: the gradient climbs at the scales that these estimate."""
    chain, *_ = fused(
        key,
        chain,
        draws,
        np.int32(0),
        np.int32(MAX_SWEEPS_PER_DISPATCH),
        np.full(MAX_SWEEPS_PER_DISPATCH, len(draws.log_joint), np.int32),
        sequences,
        np.float64(0),
        stages,
        np.float64(SETTLED_LOG_JOINT),
        algorithm="em",
        settings=settings._replace(emission_solver="newton"),
    )
    return chain


def _check_finite(trace, chain, first_sweep, *, is_saved):
    """Raise FloatingPointError where a sweep of a dispatch came to what is no number."""
    finite = np.isfinite(trace.log_joint)
    if not finite.all():
        bad = int(np.argmin(finite))
        raise FloatingPointError(
            f"the log joint of sweep {first_sweep + bad} is {trace.log_joint[bad]}: expected a "
            f"finite number. {_causes(chain.priors, is_saved)}"
        )
    for name, values in [
        ("emission parameters", chain.logits),
        ("state transition probabilities", chain.trans_probs),
    ]:
        if not all(np.isfinite(np.asarray(part)).all() for part in jax.tree.leaves(values)):
            raise FloatingPointError(
                f"the {name} of sweep {first_sweep + len(finite) - 1} are not finite. "
                f"{_causes(chain.priors, is_saved)}"
            )


def _causes(priors, is_saved):
    shown = ", ".join(f"{name}={float(value):g}" for name, value in priors._asdict().items())
    saved = "; the checkpoint holds what was computed before" if is_saved else ""
    return (
        f"The likely cause is an extreme value among {shown}. The estimator is as it was before "
        f"the fit{saved}"
    )
