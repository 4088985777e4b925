"""Judge by log joints whether chains have settled, and in the same mode.

For one chain, the mean of the last quarter of the sweeps is compared with that of the quarter
before (Geweke 1992, "Evaluating the accuracy of sampling-based approaches"). A
change counts when it is more than four of its standard errors, so that noise does
not explain it, and more than the spread of the log joint from sweep to sweep, so that
it matters. The noise is that of a first-order autoregression around its own line, so
that a steady rise counts as a change and not as noise, in the quieter of the two
quarters, so that a jump from mode to mode, which lies in one of them, does too.

Several chains are compared by the same rule: the mean of the last quarter of each with that of
the chain where it is highest, the best one. Chains that fail it are in other modes.
"""

from typing import NamedTuple

import numpy as np

from hhmm._emission_solvers import Newton
from hhmm._sequences.read import IN_ONE_STATE, LONG_RUN, UNUSED_BELOW, find_unused, in_one_state

MIN_SWEEPS = 20
THRESHOLD = 4.0
# log joints that differ by less are of one mode: in nats, and in standard deviations
SAME_MODE, SAME_MODE_BY_SD = 1.0, 1 / 15


class Change(NamedTuple):
    """Change of a log joint from one quarter of a trace to another."""

    change: float  # nats
    standard_error: float  # of the change, nats
    spread: float  # standard deviation of the log joint around its line, nats

    @property
    def settled(self):
        """True if the change is within what noise explains, or within one spread."""
        return bool(abs(self.change) <= max(THRESHOLD * self.standard_error, self.spread))


def drift(log_joint):
    """Return the `Change` of a trace (n_iter,) from its third to its last quarter.

    None if the trace is too short.
    """
    if len(log_joint) < MIN_SWEEPS:
        return None
    quarter = len(log_joint) // 4
    before, last = log_joint[-2 * quarter : -quarter], log_joint[-quarter:]
    variance, variance_of_mean = min(_noise(before), _noise(last))
    return Change(
        change=float(last.mean() - before.mean()),
        standard_error=float(np.sqrt(2 * variance_of_mean)),
        spread=float(np.sqrt(variance)),
    )


def final_log_joints(log_joint):
    """Average the last quarter of each trace (n_chains, n_iter), at least one sweep."""
    return log_joint[:, -max(log_joint.shape[1] // 4, 1) :].mean(axis=1)


def differences(log_joint):
    """Return the change from the best chain to each, in the last quarter of (n_chains, n_iter).

    Returns
    -------
    differences : list of Change, or None if the traces are too short
        None of them positive.
    """
    if log_joint.shape[1] < MIN_SWEEPS:
        return None
    quarter = log_joint.shape[1] // 4
    reached = final_log_joints(log_joint)
    noise = [_noise(trace[-quarter:]) for trace in log_joint]
    best_variance, best_variance_of_mean = noise[int(np.argmax(reached))]
    return [
        Change(
            change=float(mean - reached.max()),
            standard_error=float(np.sqrt(variance_of_mean + best_variance_of_mean)),
            spread=float(np.sqrt(max(variance, best_variance))),
        )
        for mean, (variance, variance_of_mean) in zip(reached, noise, strict=True)
    ]


def agreeing(log_joint):
    """Return chains that have settled where the best one has: indices, the best one among them.

    Of traces that are too short, return the best one alone.
    """
    found = differences(log_joint)
    if found is None:
        return np.array([np.argmax(final_log_joints(log_joint))])
    return np.flatnonzero([difference.settled for difference in found])


def _noise(values):
    """Return variance around the least-squares line, and what that makes of the mean's variance."""
    n = len(values)
    time = np.arange(n) - (n - 1) / 2
    noise = values - values.mean()
    noise = noise - time * (time @ noise) / (time @ time)
    variance = np.sum(noise**2) / (n - 2)
    if variance == 0:
        return 0.0, 0.0
    correlation = np.sum(noise[1:] * noise[:-1]) / np.sum(noise**2)
    # around a fitted line it comes out too low by about (2 + 4 rho) / n (Kendall 1954)
    correlation = np.clip((correlation + 2 / n) / (1 - 4 / n), 0, 0.95)
    return variance, variance / n * (1 + correlation) / (1 - correlation)


# half the squared Newton decrement, in nats, above which an emission solve is reported
UNCONVERGED_SOLVE = 1e-2


# mean probability of acceptance below which a chain is reported
LOWEST_ACCEPTANCE = 0.2


# states that last less than so many times what syllables are held for are reported; where they
# change at least so often
SHORT_STATES = 1.5


_FEWEST_CHANGES = 50


_MOST_LISTED = 10  # states that a warning names one by one


class Verdict(NamedTuple):
    """Judgement of a fit."""

    converged: bool
    warnings: list  # of str


def judge_chains(traces, is_likelihood=False):
    """Judge whether chains of draws have settled, and in the same mode.

    Parameters
    ----------
    traces : (n_chains, n_iter)
        Of the log joint, or of the log-likelihood where scales are learnt.
    is_likelihood : bool

    Returns
    -------
    verdict : Verdict
        Not converged, and without a warning, where there are too few sweeps.
    """
    n_chains, n_iter = traces.shape
    drifts = [drift(trace) for trace in traces]
    if drifts[0] is None:
        return Verdict(False, [])
    messages, what = [], "log-likelihood" if is_likelihood else "log joint"
    unsettled = [i for i, change in enumerate(drifts) if not change.settled]
    if unsettled:
        change = max((drifts[i] for i in unsettled), key=lambda change: abs(change.change))
        which, at_most = "", ""
        if n_chains > 1:
            which, at_most = f" of chains {_listed(unsettled)}", ", at most"
        messages.append(
            f"the {what}{which} had not settled after {n_iter} sweeps: it changed by "
            f"{change.change:.1f} nats (standard error {change.standard_error:.1f}) between "
            f"the third and the last quarter of them{at_most}. Increase max_iter, or compare "
            "fits from several values of random_state"
        )
    agree = agreeing(traces)
    if len(agree) < n_chains:
        others = np.setdiff1d(np.arange(n_chains), agree)
        best = np.argmax(final_log_joints(traces))
        gaps = [-differences(traces)[i].change for i in others]
        shown = dict.fromkeys(f"{gap:.1f}" for gap in (min(gaps), max(gaps)))
        messages.append(
            f"chains {_listed(others)} of {n_chains} are not where the best one, chain "
            f"{best}, is: over the last quarter of {n_iter} sweeps their "
            f"{what}s were {' to '.join(shown)} nats below. They are in other "
            "modes of the posterior, or on their way. The point estimate is of the best chain. "
            "Increase max_iter, or check by other values of random_state that no higher mode is "
            "found"
        )
    return Verdict(not messages, messages)


def same_mode(terms):
    """Return how far apart two ends of EM may be that count as one mode, in nats.

    Under the posterior the log joint varies as half of a chi-square variable with a degree of
    freedom for each parameter; where there are many, EM comes to rest far from the mode.
    """
    n_parameters = sum(map(terms.n_dimensions, terms.present))
    return max(SAME_MODE, SAME_MODE_BY_SD * np.sqrt(n_parameters / 2))


def describe_searches(log_joints, within):
    """Return a warning if the best of several searches for a start was found once only.

    Parameters
    ----------
    log_joints : (n_init,)
    within : float
        Log joints that differ by less are of one mode, see `same_mode`.

    Returns
    -------
    warnings : list of str
    """
    if len(log_joints) == 1:
        return []
    below = np.sort(log_joints.max() - log_joints)
    if below[1] < within:
        return []
    return [
        f"only one of {len(log_joints)} searches for a start found the highest mode: the second "
        f"best is {below[1]:.1f} nats lower (init_log_joints_). There may be a higher one. "
        "Increase n_init"
    ]


def judge_acceptance(acceptance):
    """Return warnings about chains whose proposals for the emissions are rarely accepted.

    Parameters
    ----------
    acceptance : (n_chains, n_iter)
        Probabilities of acceptance.

    Returns
    -------
    warnings : list of str
    """
    n_iter = acceptance.shape[1]
    if n_iter < MIN_SWEEPS:
        return []  # a few proposals may be refused by chance
    of_chains = acceptance[:, n_iter // 2 :].mean(axis=1)
    low = np.flatnonzero(of_chains < LOWEST_ACCEPTANCE)
    if not len(low):
        return []
    which = f"chains {_listed(low)}" if len(of_chains) > 1 else "the chain"
    return [
        f"in the second half of the sweeps, {which} accepted proposals for the emissions with "
        f"probability {of_chains[low].min():.2g} on average, expected at least "
        f"{LOWEST_ACCEPTANCE:g}: the draws hardly move. Increase max_iter, which gives more sweeps "
        'to tune the steps, or use smaller scales or emission_sampler="laplace"'
    ]


def judge_ascent(algorithm, log_joint, stopped, tol):
    """Judge whether an algorithm that climbs to a mode has reached it.

    Parameters
    ----------
    algorithm : str
    log_joint : (n_iter,)
        Of the highest climb.
    stopped : bool
        Whether its last iteration gained no more than `tol`.
    tol : float

    Returns
    -------
    verdict : Verdict
    """
    if stopped:
        return Verdict(True, [])
    if len(log_joint) == 1:
        message = (
            f"{algorithm} did one iteration, which does not show whether it converged. Increase "
            "max_iter"
        )
        return Verdict(False, [message])
    message = (
        f"{algorithm} did not converge in {len(log_joint)} iterations: the last one gained "
        f"{log_joint[-1] - log_joint[-2]:.3g} nats, expected at most tol={tol:g}. Increase max_iter"
    )
    return Verdict(False, [message])


def describe_interrupt(results, n_iter, n_chains, *, has_checkpoint):
    """Return the warning about a fit that was interrupted.

    Parameters
    ----------
    results : list of loop.Result
        Of the chains that the model is fitted on.
    n_iter, n_chains : int
        Asked for.
    has_checkpoint : bool

    Returns
    -------
    warning : str
    """
    n_done = sorted(len(result.trace.log_joint) for result in results)
    shown = f"{n_done[0]}" if n_done[0] == n_done[-1] else f"{n_done[0]} to {n_done[-1]}"
    of_chains = f", of {len(results)} of {n_chains} chains" if n_chains > 1 else ""
    go_on = "with the same checkpoint" if has_checkpoint else "with warm_start=True"
    return (
        f"the fit was interrupted after {shown} of {n_iter} sweeps: the model is fitted on those"
        f"{of_chains}. To go on, fit again {go_on}"
    )


def judge_solves(decrement, solver):
    """Return warnings about emission solves that did not converge.

    Parameters
    ----------
    decrement : (n_sweeps,)
        Half the squared Newton decrement at the end of each solve, nats; NaN counts as too much.
    solver : Newton or Adam

    Returns
    -------
    warnings : list of str
    """
    bad = ~(decrement <= UNCONVERGED_SOLVE)
    if not bad.any():
        return []
    raise_what = (
        "emission_gd_iters"
        if isinstance(solver, Newton)
        else 'emission_gd_iters or emission_gd_lr, or use emission_solver="newton"'
    )
    return [
        f"the emission solve did not converge in {bad.sum()} of {len(decrement)} sweeps: half "
        f"the squared Newton decrement was still {decrement[bad].max():.3g} nats at worst, "
        f"expected at most {UNCONVERGED_SOLVE:g}. Increase {raise_what}"
    ]


def describe_unused(usage):
    """Return warnings about states that take hardly any of the time.

    Parameters
    ----------
    usage : (n_states,) int
        Number of timesteps in each state, not increasing: states are numbered so.

    Returns
    -------
    warnings : list of str
    """
    unused = find_unused(usage)
    if not unused.any():
        return []
    n_states, n_unused, total = len(usage), int(unused.sum()), int(usage.sum())
    rare, empty = np.flatnonzero(unused & (usage > 0)), np.flatnonzero(usage == 0)
    parts = [
        f"state {k} ({usage[k]:,} of them, {usage[k] / total:.2%})" for k in rare[:_MOST_LISTED]
    ]
    if len(rare) > _MOST_LISTED:
        parts.append("...")
    if len(empty):
        which = f"state {empty[0]}" if len(empty) == 1 else f"states {empty[0]} to {empty[-1]}"
        parts.append(f"{which} (none)")
    n_used = n_states - n_unused
    # a draw can visit states that the most probable path leaves out
    or_fewer = " or fewer" if n_used > 1 else ""
    return [
        f"{n_unused} of {n_states} states {'takes' if n_unused == 1 else 'take'} less than "
        f"{UNUSED_BELOW:.0%} of the {total:,} timesteps: {', '.join(parts)}. Decrease n_states to "
        f"{n_used}{or_fewer}. If there should be more states than {n_used}, compare fits from "
        "several values of random_state, increase n_chains, or change emission_biases_sigma, the "
        "scale by which states differ"
    ]


def describe_single(time):
    """Return sentences about states that change from sequence to sequence, and hardly within one.

    Parameters
    ----------
    time : (n_sequences, n_states)
        Number of timesteps of each sequence in each state.

    Returns
    -------
    sentences : list of str
    """
    single = in_one_state(time)
    n_sequences = int(np.count_nonzero(time.any(axis=1)))
    n_kept = len(set(time[single].argmax(axis=1).tolist()))
    if n_sequences < 3 or 2 * single.sum() <= n_sequences or n_kept < 2:
        return []
    return [
        f"{single.sum()} of {n_sequences} sequences are in one state for {IN_ONE_STATE:.0%} of "
        f"their time or more, in {n_kept} different states. States may stand for animals or "
        "recordings that differ, and not for behaviour."
    ]


def describe_short(states, mean_run, self_transitions):
    """Return warnings about states that change about as often as syllables do.

    Parameters
    ----------
    states : RunLengths
    mean_run : float
        Mean number of timesteps that a syllable is held.
    self_transitions : bool
        Whether a syllable that follows itself is an emission.

    Returns
    -------
    warnings : list of str
    """
    n_bouts, n_used = len(states.labels), np.count_nonzero(states.n_runs)
    n_changes = n_bouts - n_used
    mean_bout = states.n_timesteps.sum(dtype=np.int64) / n_bouts
    if n_changes < _FEWEST_CHANGES or mean_bout >= SHORT_STATES * mean_run:
        return []
    if self_transitions and mean_run >= LONG_RUN:
        advice = "fit with self_transitions=False"
    else:
        advice = 'increase trans_kappa, set it to "auto", or decrease n_states'
    return [
        f"states last {mean_bout:.1f} timesteps on average, about as long as syllables, which are "
        f"held for {mean_run:.1f}: they are no slow states. If slow states are what you look for, "
        f"{advice}"
    ]


def _listed(numbers):
    shown = ", ".join(map(str, numbers[:5]))
    return shown + (", ..." if len(numbers) > 5 else "")
