"""Whether a chain has settled, judged by its log joint.

The mean of the last quarter of the sweeps is compared with that of the quarter
before (Geweke 1992, "Evaluating the accuracy of sampling-based approaches"). A
change counts when it is more than four of its standard errors, so that noise does
not explain it, and more than the spread of the log joint from sweep to sweep, so that
it matters. The noise is that of a first-order autoregression around its own line, so
that a steady rise counts as a change and not as noise, in the quieter of the two
quarters, so that a jump from mode to mode, which lies in one of them, does too.
"""

from typing import NamedTuple

import numpy as np

MIN_SWEEPS = 20
THRESHOLD = 4.0


class Drift(NamedTuple):
    """Change of the log joint between the third and the last quarter of the sweeps."""

    change: float  # nats; positive when it still rises
    standard_error: float  # of the change, nats
    spread: float  # standard deviation of the log joint around its line, nats

    @property
    def settled(self):
        """Whether the change is within what noise explains, or within one spread."""
        return bool(abs(self.change) <= max(THRESHOLD * self.standard_error, self.spread))


def drift(log_joint):
    """Compare the last two quarters of a log joint trace (n_iter,); None if too short to tell."""
    if len(log_joint) < MIN_SWEEPS:
        return None
    quarter = len(log_joint) // 4
    before, last = log_joint[-2 * quarter : -quarter], log_joint[-quarter:]
    variance, variance_of_mean = min(_noise(before), _noise(last))
    return Drift(
        change=float(last.mean() - before.mean()),
        standard_error=float(np.sqrt(2 * variance_of_mean)),
        spread=float(np.sqrt(variance)),
    )


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
