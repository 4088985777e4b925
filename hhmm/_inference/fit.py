"""A fit, from checked data to the attributes of the estimator.

It lays the data out, makes a start for each chain, does the sweeps of all chains, and summarises
what they found. The estimator validates before and stores after.
"""

import contextlib
import functools
from typing import Any, NamedTuple

import jax
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from hhmm._inference import convergence, draws, memory, starts
from hhmm._inference.chain import Settings, Stages, key_words, sweep_keys
from hhmm._inference.chains import iterate_chains
from hhmm._inference.dask_parts import DaskParts, active_client
from hhmm._inference.loop import NEVER, ChainEnd, Plan
from hhmm._inference.parts import LocalParts
from hhmm._model.emissions import all_params, with_zeros
from hhmm._model.terms import named_scales, with_named_scales
from hhmm._runtime.interrupts import Interrupts, plain_interrupts
from hhmm._runtime.keys import key_from_data
from hhmm._runtime.progress import Progress, print_if_verbose
from hhmm._sequences.read import mean_run_length
from hhmm._sequences.runs import holding_times
from hhmm._types import Priors
from hhmm._validation import ShortStatesWarning, SingleStateWarning, UnusedStatesWarning

# Sweeps of Gibbs sampling before scales are learnt where the start knows nothing of the states:
# their scale would be learnt as 0. EM needs twice as many iterations.
N_HELD = 20
# Draws of a chain that decide its weight. A likelihood takes about as long as a sweep.
N_DRAWS_OF_WEIGHTS = 10
# Number of syllables from which a sequence is judged by how it changes its state.
LONG_SEQUENCE = 100


class Options(NamedTuple):
    """Choices of the user, checked."""

    algorithm: str  # "em", "gibbs" or "gradient"
    n_iter: int
    n_init: int
    n_chains: int
    n_draws: int  # 0 for algorithms without draws
    tol: float
    solver: Any  # Newton or Adam
    sampler: str  # of the emissions, not "auto"
    message_passing: str
    priors: Priors  # with first guesses of what is learnt
    learnt: tuple  # fields of `priors`
    is_blind: bool  # whether the start knows nothing of the states
    verbose: int


class Fitted(NamedTuple):
    """Results of a fit."""

    attributes: dict  # of the estimator
    warnings: list


def estimate_memory(checked, options, terms, parts=None):
    """Estimate what a fit takes; without `parts`, before the data are laid out."""
    return memory.estimate(
        parts,
        checked,
        terms=terms,
        n_chains=options.n_chains,
        n_draws=options.n_draws,
    )


def fit(X, checked, terms, init, rng, options, checkpoint, tasks, save_every, groups=None):
    """Fit chains to data.

    Parameters
    ----------
    X : array-like
        The sequences as the user gave them.
    checked : RunLengths
    terms : Terms
    init : {"windows", "prior", "random"}, Params, list of states, or list of ChainEnd
        Checked: of the shapes of the fit.
    rng : numpy.random.RandomState
    options : Options
    checkpoint : checkpoint.Checkpoint or None
    tasks : SweepTasks
        Is given every sweep, where there are callbacks.
    save_every : int
        Sweeps between two writes of the checkpoint.
    groups : (n_sequences,) int32, default=None
        The group of each sequence, for terms with factors.

    Returns
    -------
    fitted : Fitted

    Raises
    ------
    MemoryError
        If the fit would take more memory than is free.
    FloatingPointError
        If a log joint or a parameter is not finite.
    """
    with contextlib.closing(_make_parts(X, checked, terms, options, groups)) as parts:
        return _fit(
            parts, checked, terms, init, rng, options, checkpoint, tasks, save_every, groups
        )


def _fit(parts, checked, terms, init, rng, options, checkpoint, tasks, save_every, groups):
    is_sampler = options.algorithm == "gibbs"
    needed = estimate_memory(checked, options, terms, parts)
    memory.check_fits(needed)
    print_if_verbose(f"The fit needs about {needed.total / 1e9:.1f} GB of memory", options.verbose)
    n_held = (N_HELD if is_sampler else 2 * N_HELD) if options.is_blind else 0
    plan = Plan(
        parts=parts,
        algorithm=options.algorithm,
        settings=Settings(options.solver, options.sampler, parts.backend, terms, options.learnt),
        n_iter=options.n_iter,
        # draws are kept of the second half alone
        stages=Stages(n_warm_up=options.n_iter // 2, n_held=n_held),
        n_draws=options.n_draws,
        save_every=save_every,
        reports_each_sweep=bool(tasks),
        tol=NEVER if is_sampler else options.tol,
    )
    chain_starts, init_log_joints, was_interrupted = _make_starts(
        init, rng, checkpoint, checked, plan, options, groups
    )
    results, was_interrupted = _iterate(
        chain_starts, plan, options, checkpoint, tasks, was_interrupted
    )
    fitted = _summarise(results, checked, plan, options, groups)
    if init_log_joints is not None:
        fitted.attributes["init_log_joints_"] = init_log_joints
        alone = convergence.describe_searches(init_log_joints, convergence.same_mode(terms))
        fitted = fitted._replace(warnings=[*map(ConvergenceWarning, alone), *fitted.warnings])
    if was_interrupted:
        message = convergence.describe_interrupt(
            results, options.n_iter, options.n_chains, has_checkpoint=checkpoint is not None
        )
        fitted = fitted._replace(warnings=[ConvergenceWarning(message)])
    return fitted


def _make_parts(X, checked, terms, options, groups):
    """Lay the data out in this process, or for the Dask cluster that joblib was given."""
    client = active_client()
    in_one = options.algorithm == "gradient" or options.sampler == "marginal"
    if client is not None and not in_one:
        parts = DaskParts.make(
            client,
            X,
            checked,
            terms,
            options.message_passing,
            groups=groups,
            verbose=options.verbose,
        )
        if parts is not None:
            return parts
    return LocalParts.make(
        checked,
        terms,
        options.message_passing,
        n_at_once=options.n_chains,
        groups=groups,
        in_one=in_one,
    )


def _make_starts(init, rng, checkpoint, sequences, plan, options, groups):
    """Make the start of each chain: resumed, continued or new.

    Return also what each search for them reached, and whether the user interrupted it.
    """
    priors, settings, n_chains = options.priors, plan.settings, options.n_chains
    pasts = [None] * n_chains
    if checkpoint is not None:
        pasts, rng = checkpoint.pasts, checkpoint.rng(rng)
    resumed = [past and starts.resumed_start(past, priors, settings=settings) for past in pasts]
    if all(resumed):
        return resumed, checkpoint.started(rng, None), False
    log_joints, was_interrupted = None, False
    if isinstance(init, list) and isinstance(init[0], ChainEnd):
        new = starts.further_starts(rng, init, priors, n_chains=n_chains, settings=settings)
    else:
        # a fit that continues from a checkpoint must have the start of an undisturbed one
        with contextlib.nullcontext() if checkpoint is None else plain_interrupts():
            new, log_joints, was_interrupted = starts.new_starts(
                rng,
                init,
                sequences,
                priors,
                plan,
                n_init=options.n_init,
                n_chains=n_chains,
                groups=groups,
                verbose=options.verbose,
            )
    if checkpoint is not None:
        log_joints = checkpoint.started(rng, log_joints)
    chain_starts = [old or start for old, start in zip(resumed, new, strict=True)]
    return chain_starts, log_joints, was_interrupted


def _iterate(chain_starts, plan, options, checkpoint, tasks, was_interrupted):
    """Do the sweeps of all chains; return results, and whether the user interrupted.

    Where the search for starts was interrupted, chains do as little as they can.
    """
    n_iter = plan.n_iter
    n_done = [
        0 if start.past is None else len(start.past.trace.log_joint) for start in chain_starts
    ]
    with Progress(plan.algorithm, n_iter, n_done, options.verbose) as progress:

        def report(i, n_done, log_joint, chain):
            progress.report(i, n_done, log_joint)
            return bool(tasks) and tasks.report(i, chain, log_joint)

        def listeners(i):
            save = None if checkpoint is None else functools.partial(checkpoint.save, i)
            return functools.partial(report, i), save

        with Interrupts() as interrupts:
            results = iterate_chains(
                chain_starts,
                plan,
                [*map(listeners, range(len(chain_starts)))],
                lambda: was_interrupted or interrupts.noted,
            )
    was_interrupted |= interrupts.noted
    begun = [result for result in results if result is not None]
    # of a fit that was interrupted, chains that have come to where draws are kept, if any has
    complete = [result for result in begun if len(result.trace.log_joint) > n_iter // 2]
    return complete if was_interrupted and complete else begun, was_interrupted


def _summarise(results, checked, plan, options, groups):
    """Summarise the results of all chains as fitted attributes."""
    is_sampler, terms, parts = options.algorithm == "gibbs", plan.settings.terms, plan.parts
    log_joint, log_likelihood = _traces(results, "log_joint"), _traces(results, "log_likelihood")
    compared = log_likelihood if options.learnt else log_joint
    reached = convergence.final_log_joints(compared) if is_sampler else log_joint[:, -1]
    best_chain = int(np.argmax(reached))
    best = results[best_chain]
    chain = best.chain
    attributes = {
        "n_iter_": max(len(result.trace.log_joint) for result in results),
        "log_joint_": log_joint,
        "log_likelihood_": log_likelihood,
        "best_chain_": best_chain,
        "n_syllables_": terms.n_syllables,
        "self_transitions_": terms.self_transitions,
        "_mean_run": mean_run_length(checked),
        "_ends": [result.end for result in results],
    }
    if not terms.self_transitions:
        attributes["_holding_times"] = holding_times(checked, terms.n_syllables)
    if options.algorithm != "gradient" and options.sampler != "marginal":
        attributes["emission_losses_"] = chain.emission_losses[: int(chain.emission_n_iter)]
    if is_sampler:
        states = _last_states(best, plan)
    else:
        params = all_params(chain.logits, chain.trans_probs)
        states = parts.best_paths(params, options.message_passing)
    states, time, order = _ordered_states(states, checked, terms.n_states)
    attributes["_states"] = states
    if is_sampler:
        kept = draws.of_equal_number([(result.kept, result.kept_sweeps) for result in results])
        posterior, modes = draws.align(
            [kept for kept, _ in kept], chain, order, terms, learnt=options.learnt
        )
        acceptance = _traces(results, "emission_acceptance")
        attributes |= {
            "posterior_": posterior,
            "_kept_sweeps": np.stack([sweeps for _, sweeps in kept]),
            "emission_acceptance_": acceptance,
            "emission_diverging_": _traces(results, "emission_diverging"),
        }
        attributes["chain_weights_"] = _chain_weights(posterior, compared, parts)
        # Modes given the states of each draw vary less than the draws, which follow each other
        # closely: their mean is that of the posterior with less noise (Gelfand & Smith 1990, JASA
        # 85, with modes in place of conditional means).
        params, sigmas = jax.tree.map(
            lambda part: part[best_chain].mean(axis=0), (modes, posterior.sigmas)
        )
        priors = with_named_scales(options.priors, sigmas)
        judged = convergence.judge_chains(compared, bool(options.learnt))
        stuck = convergence.judge_acceptance(acceptance)
    else:
        params, priors, stuck = draws.permute(params, order), chain.priors, []
        judged = convergence.judge_ascent(
            options.algorithm, best.trace.log_joint, best.stopped, options.tol
        )
    attributes |= {
        f"{name}_": jax.tree.map(np.asarray, values)
        for name, values in with_zeros(params)._asdict().items()
    }
    attributes["sigmas_"] = {name: float(value) for name, value in named_scales(priors).items()}
    attributes["converged_"] = judged.converged and not stuck
    decrement = np.concatenate([result.trace.emission_decrement for result in results])
    solves = convergence.judge_solves(decrement, options.solver)
    short = convergence.describe_short(states, attributes["_mean_run"], terms.self_transitions)
    # songs and trials of few syllables may end before their state does
    long = time[time.sum(axis=1) >= LONG_SEQUENCE * attributes["_mean_run"]]
    advice = "Compare with n_states=1"
    if groups is None:
        advice = "Fit with groups=animals, and compare with n_states=1"
    warnings = [
        *map(ConvergenceWarning, [*judged.warnings, *solves, *stuck]),
        *map(UnusedStatesWarning, convergence.describe_unused(time.sum(axis=0))),
        *map(ShortStatesWarning, short),
        *(SingleStateWarning(f"{text} {advice}") for text in convergence.describe_single(long)),
    ]
    return Fitted(attributes, warnings)


def _last_states(result, plan):
    """Return the states that the last sweep of a chain drew, as `RunLengths`."""
    chain, parts = result.chain, plan.parts
    if not parts.is_split:
        (prepared,) = parts.prepared
        return prepared.runs_of_states([chain.states], chain.logits, chain.trans_probs)
    last = np.int32(result.end.n_sweeps - 1)
    keys = key_words(sweep_keys(key_from_data(result.end.key), last, plan.algorithm))
    return parts.draw_states(keys.states, chain.logits, chain.trans_probs, settings=plan.settings)


def _chain_weights(posterior, compared, parts):
    """Weight chains for predictions, (n_chains,): equally where they are all in one mode."""
    n_chains, n_draws = posterior.log_joint.shape
    if len(convergence.agreeing(compared)) == n_chains:
        return np.full(n_chains, 1 / n_chains)
    used = np.unique(np.linspace(0, n_draws - 1, N_DRAWS_OF_WEIGHTS).astype(int))
    thinned = jax.tree.map(lambda part: part[:, used], posterior)
    log_likelihood = parts.log_likelihoods(draws.flat(thinned))
    return draws.stacking_weights(np.reshape(log_likelihood, (n_chains, len(used), -1)))


def _ordered_states(states, checked, n_states):
    """Number states by falling time.

    Return them in the form of X, the times (n_sequences, n_states), and the order.
    """
    time = states.sum_by_label(n_states)
    order = np.argsort(-time.sum(axis=0), kind="stable")
    new_name = np.argsort(order).astype(np.int32)
    states = states._replace(labels=new_name[states.labels], layout=checked.layout)
    return states, time[:, order], order


def _traces(results, name):
    """Stack what was recorded a sweep, (n_chains, n_iter); a stopped chain repeats its last."""
    traces = [getattr(result.trace, name) for result in results]
    n_iter = max(map(len, traces))
    return np.stack([np.pad(x, (0, n_iter - len(x)), mode="edge") for x in traces])
