"""Whether chains have settled, and in the same place, judged by their log joints.

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

MIN_SWEEPS = 20
THRESHOLD = 4.0


class Change(NamedTuple):
    """Change of a log joint from one quarter of a trace to another."""

    change: float  # nats
    standard_error: float  # of the change, nats
    spread: float  # standard deviation of the log joint around its line, nats

    @property
    def settled(self):
        """Whether the change is within what noise explains, or within one spread."""
        return bool(abs(self.change) <= max(THRESHOLD * self.standard_error, self.spread))


def drift(log_joint):
    """From the third to the last quarter of a trace (n_iter,), a `Change`; positive when it rises.

    None if the trace is too short to tell.
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


def heights(log_joint):
    """Mean over the last quarter of each trace (n_chains, n_iter), at least one sweep."""
    return log_joint[:, -max(log_joint.shape[1] // 4, 1) :].mean(axis=1)


def differences(log_joint):
    """From the best chain to each, in the last quarter of traces (n_chains, n_iter).

    Returns
    -------
    differences : list of Change, or None if the traces are too short to tell
        None of them positive.
    """
    if log_joint.shape[1] < MIN_SWEEPS:
        return None
    quarter = log_joint.shape[1] // 4
    height = heights(log_joint)
    noise = [_noise(trace[-quarter:]) for trace in log_joint]
    best_variance, best_variance_of_mean = noise[int(np.argmax(height))]
    return [
        Change(
            change=float(mean - height.max()),
            standard_error=float(np.sqrt(variance_of_mean + best_variance_of_mean)),
            spread=float(np.sqrt(max(variance, best_variance))),
        )
        for mean, (variance, variance_of_mean) in zip(height, noise, strict=True)
    ]


def agreeing(log_joint):
    """Chains that have settled where the best one has: indices, the best one among them.

    Traces that are too short to tell have the best one alone.
    """
    found = differences(log_joint)
    if found is None:
        return np.array([np.argmax(heights(log_joint))])
    return np.flatnonzero([difference.settled for difference in found])


def _noise(values):
    """Variance around the least-squares line, and what that makes of the mean's variance."""
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
