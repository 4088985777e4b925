"""The loop that drives an algorithm: many sweeps a call, then a report to the host.

A call does a number of sweeps that is an argument of the compiled function, so the host can choose
it freely: it is doubled while a call takes less than half a second, and halved when it takes more
than one. The keys of a sweep are made of the key of the chain and the number of the sweep: how
the sweeps are cut into calls changes nothing.

A chain that starts at parameters draws the states of the sweep before its first one anew, by
that sweep's own keys. So parameters, key and number of sweeps are all that is needed to continue
where a chain ended, to the last bit, and no states need to be kept.
"""

import functools
import time
from typing import NamedTuple

import jax
import numpy as np

from hhmm._emission_solvers import Newton
from hhmm._emission_solvers.objective import Tuning
from hhmm._inference.chain import ChainState, Settings, Stages, sweep_keys
from hhmm._inference.compiled import (
    ALTERNATING,
    MAX_SWEEPS_PER_CALL,
    Draws,
    Trace,
    begin_ascent,
    draw_of,
    sweeps_by_part,
    sweeps_in_one_call,
)
from hhmm._inference.draws import already_kept, schedule
from hhmm._inference.parts import LocalParts
from hhmm._model.terms import named_scales
from hhmm._types import Array, EmissionLogits, Priors

# a tolerance that stops nothing
NEVER = -1.0
# nats: an iteration of EM that gains less ends the learning of scales before the gradient climbs
SETTLED_LOG_JOINT = 0.1


class ChainEnd(NamedTuple):
    """End of a chain: all that is needed to continue there. NumPy arrays."""

    key: Array  # (2,) uint32, data of the key of the chain
    n_sweeps: int  # that the chain has done
    logits: EmissionLogits  # the last draw, or mode
    mode: EmissionLogits  # where the next emission solve starts
    trans_probs: Array  # (n_states, n_states)
    tuning: Tuning  # of the sampler of the emissions
    priors: Priors = None  # with the scales that are learnt; None in models of version 0.1


class ChainProgress(NamedTuple):
    """Progress of a chain: all that is needed to end as if it had not paused.

    NumPy arrays.
    """

    end: ChainEnd
    kept: Draws  # draws kept so far, leading axis (draws kept,)
    kept_sweeps: Array  # (draws kept,) int, counted from the first one of the fit
    trace: Trace  # leading axis (sweeps done,)
    emission_losses: Array  # (iterations of the last emission solve,)
    optimizer: tuple  # arrays that the gradient algorithm carries from step to step
    stopped: bool


class Start(NamedTuple):
    """Start of a chain."""

    key: Array  # JAX key of the chain
    chain: ChainState
    first_sweep: int  # number of sweeps that the chain has done before
    past: ChainProgress | None = None  # what it has done of this fit


class Plan(NamedTuple):
    """Plan of a fit, the same for all chains."""

    parts: LocalParts  # of the data
    algorithm: str  # "em", "gibbs" or "gradient"
    settings: Settings
    n_iter: int  # sweeps to do, at most
    stages: Stages = Stages()
    n_draws: int = 0  # draws to keep, by `draws.schedule`
    save_every: int | None = None  # sweeps between two calls of `save`
    reports_each_sweep: bool = False  # at the price of a call for each sweep
    tol: float = NEVER  # a sweep that gains at most so many nats is the last one
    first_call: int = 1  # sweeps of the first call; of short plans, a call takes most of the time


class Result(NamedTuple):
    """Result of `iterate`; NumPy arrays."""

    chain: ChainState
    kept: Draws
    kept_sweeps: Array  # (draws kept,) int: the sweeps they are of
    trace: Trace  # leading axis (sweeps done,)
    stopped: bool  # whether it stopped by itself, a sweep having gained no more than `tol`
    end: ChainEnd


def iterate(start, plan, *, report, save=None):
    """Do the sweeps of one chain.

    Parameters
    ----------
    start : Start
    plan : Plan
    report : callable
        ``report(n_done, log_joint, chain)`` after each call; the chain ends where it returns True.
    save : callable or None
        ``save(progress)`` with the `ChainProgress` after every `plan.save_every` sweeps, and at
        the end.

    Returns
    -------
    result : Result

    Raises
    ------
    FloatingPointError
        When the log joint of a sweep is not finite.
    """
    key, chain, first_sweep, past = start
    algorithm, settings, n_iter = plan.algorithm, plan.settings, plan.n_iter
    done = 0 if past is None else len(past.trace.log_joint)
    draws, kept, slots = _room_for_draws(chain, plan, past, done)
    traces = [] if past is None else [past.trace]
    stages = Stages(*map(np.int32, plan.stages))
    if plan.parts.is_split and algorithm in ALTERNATING and settings.sampler != "marginal":
        many_sweeps, sequences = sweeps_by_part, plan.parts
    else:
        many_sweeps, sequences = _sweeps_in_one_call, plan.parts.in_one
        if algorithm == "gibbs":
            chain = chain._replace(states=sequences.empty_states())

    def call(chain, draws, first, n_sweeps, slots):
        return many_sweeps(
            key,
            chain,
            draws,
            np.int32(first),
            np.int32(n_sweeps),
            slots,
            sequences,
            stages,
            np.float64(plan.tol),
            algorithm=algorithm,
            settings=settings,
        )

    if algorithm == "gradient" and settings.learnt and past is None:
        chain = _with_learnt_scales(key, chain, draws, sequences, stages, settings)
    if algorithm == "gradient":
        keys = sweep_keys(key, np.int32(0), algorithm)
        chain = begin_ascent(keys, chain, sequences, settings=settings)
        if past is not None:
            structure = jax.tree.structure(chain.optimizer)
            chain = chain._replace(optimizer=jax.tree.unflatten(structure, past.optimizer))
    elif not chain.has_states:
        # the states given the first parameters: those of sweep -1 where the chain is new
        chain, *_ = call(chain, draws, first_sweep + done - 1, 1, slots[-MAX_SWEEPS_PER_CALL:])
    if done:
        chain = chain._replace(log_joint=past.trace.log_joint[-1])

    def progress():
        """Return what the chain has done so far."""
        so_far = kept[kept < done]
        losses = np.asarray(chain.emission_losses)[: int(chain.emission_n_iter)]
        to_host = functools.partial(jax.tree.map, np.asarray)
        return ChainProgress(
            end=ChainEnd(
                key=np.asarray(jax.random.key_data(key)),
                n_sweeps=first_sweep + done,
                logits=to_host(chain.logits),
                mode=to_host(chain.mode),
                trans_probs=np.asarray(chain.trans_probs),
                tuning=to_host(chain.tuning),
                priors=to_host(chain.priors),
            ),
            # copied: `sweeps_by_part` writes to its draws in place
            kept=jax.tree.map(lambda x: np.array(x)[: len(so_far)], draws),
            kept_sweeps=so_far,
            trace=jax.tree.map(lambda *parts: np.concatenate(parts), *traces),
            emission_losses=losses,
            optimizer=tuple(to_host(jax.tree.leaves(chain.optimizer))),
            stopped=stopped,
        )

    n_calls = 0
    n_sweeps, stopped = plan.first_call, past is not None and past.stopped
    saved = done
    while done < n_iter and not stopped:
        n_now = min(n_sweeps, n_iter - done)
        if save is not None:
            n_now = min(n_now, plan.save_every - done % plan.save_every)
        began = time.perf_counter()
        chain, draws, trace, n_done, stopped = call(
            chain, draws, first_sweep + done, n_now, slots[done : done + MAX_SWEEPS_PER_CALL]
        )
        n_done, stopped = int(n_done), bool(stopped)
        trace = jax.tree.map(lambda x, n=n_done: np.asarray(x)[:n], trace)
        seconds = time.perf_counter() - began
        _check_finite(trace, chain, first_sweep + done, is_saved=save is not None)
        traces.append(trace)
        done += n_done
        n_calls += 1
        if save is not None and done % plan.save_every == 0:
            save(progress())
            saved = done
        if report(done, float(trace.log_joint[-1]), chain):
            break
        if plan.reports_each_sweep:
            continue
        if seconds < 0.5:
            n_sweeps = min(2 * n_sweeps, MAX_SWEEPS_PER_CALL)
        elif seconds > 1 and n_calls > 1:  # the first one compiled
            n_sweeps = max(n_sweeps // 2, 1)
    past = progress()
    if save is not None and saved < done:
        save(past)
    chain = jax.tree.map(np.asarray, chain)
    kept, kept_sweeps = past.kept, past.kept_sweeps
    if plan.n_draws and not len(kept_sweeps):  # ended in the first half
        kept_sweeps = np.array([done - 1])
        kept = jax.tree.map(lambda x: np.asarray(x)[None], draw_of(chain))
    return Result(chain, kept, kept_sweeps, past.trace, stopped, past.end)


def _sweeps_in_one_call(key, chain, draws, first_sweep, *others, algorithm, **static):
    """Run sweeps in one call, with the keys made beside it: there, they would be compiled anew."""
    numbers = first_sweep + np.arange(MAX_SWEEPS_PER_CALL, dtype=np.int32)
    keys = sweep_keys(key, numbers, algorithm)
    return sweeps_in_one_call(
        keys, chain, draws, first_sweep, *others, algorithm=algorithm, **static
    )


def _room_for_draws(chain, plan, past, done):
    """Make room for the draws that are kept.

    Returns
    -------
    draws : Draws
        Arrays for n_draws draws, which hold those kept before. Their shapes do not depend on the
        number of sweeps.
    kept : ndarray of int, increasing
        Sweeps whose draws are kept.
    slots : ndarray of int32
        Where in `draws` the draw of each sweep is kept; n_draws for nowhere.
    """
    n_draws, n_iter = plan.n_draws, plan.n_iter
    draws = Draws(
        logits=jax.tree.map(lambda x: np.zeros((n_draws, *x.shape)), chain.logits),
        trans_probs=np.zeros((n_draws, *chain.trans_probs.shape)),
        log_joint=np.zeros(n_draws),
        priors=jax.tree.map(lambda x: np.zeros(n_draws), chain.priors),
        mode=jax.tree.map(lambda x: np.zeros((n_draws, *x.shape)), chain.mode),
    )
    kept = schedule(n_iter, n_draws)
    if past is not None:
        kept, sources = already_kept(kept, past.kept_sweeps, done, first=n_iter // 2)
        for room, drawn in zip(*map(jax.tree.leaves, (draws, past.kept)), strict=True):
            room[: len(sources)] = drawn[sources]
    slots = np.full(n_iter + MAX_SWEEPS_PER_CALL, n_draws, np.int32)
    slots[kept] = np.arange(len(kept))
    return draws, kept, slots


def _with_learnt_scales(key, chain, draws, sequences, stages, settings):
    """Return the chain after iterations of EM: the gradient climbs at the scales that it learns."""
    chain, *_ = _sweeps_in_one_call(
        key,
        chain,
        draws,
        np.int32(0),
        np.int32(MAX_SWEEPS_PER_CALL),
        np.full(MAX_SWEEPS_PER_CALL, len(draws.log_joint), np.int32),
        sequences,
        stages,
        np.float64(SETTLED_LOG_JOINT),
        algorithm="em",
        settings=settings._replace(solver=Newton(settings.solver.max_iter)),
    )
    return chain


def _check_finite(trace, chain, first_sweep, *, is_saved):
    """Raise FloatingPointError where the log joint or a parameter of a sweep is not finite."""
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
    shown = ", ".join(f"{name}={float(x):g}" for name, x in named_scales(priors).items())
    saved = "; the checkpoint holds what was computed before" if is_saved else ""
    return (
        f"The likely cause is an extreme value among {shown}. The estimator is as it was before "
        f"the fit{saved}"
    )
