"""Find the slow states of simulated mice from every seed, frames as well as collapsed runs.

No model of this library generates these data, see `benchmarks.studies._lab_mice`. A fit from a
seed is compared with a fit that starts at the true states: its accuracy may be lower by 0.01 at
most, and no state may take less than 1 % of the time.
"""

import time
from typing import NamedTuple

import numpy as np

from benchmarks.figures import RULE, verdict
from benchmarks.studies._lab_mice import simulate
from benchmarks.studies._study import run_study
from hhmm import EfficientHHMM
from hhmm.metrics import matched_accuracy, state_usage
from hhmm.preprocessing import RunCollapser

LEARNT = {
    "emission_usage_sigma": "auto",
    "emission_base_sigma": "auto",
    "emission_biases_sigma": "auto",
    "trans_beta": "auto",
    "trans_kappa": "auto",
    "self_transitions": "auto",
}
# arguments of `simulate`
EXPERIMENTS = {
    "24 mice, 4 states, 60 syllables": {"seed": 0},
    "12 mice, 3 states, 40 syllables": {
        "seed": 1,
        "n_mice": 12,
        "n_syllables": 40,
        "dwell_seconds": (15.0, 30.0, 60.0),
    },
    "16 mice, 5 states, 80 syllables": {
        "seed": 2,
        "n_mice": 16,
        "n_syllables": 80,
        "dwell_seconds": (10.0, 20.0, 35.0, 60.0, 90.0),
        "drug_dwell": (1.0, 1.8, 0.6, 1.0, 1.3),
    },
}
QUICK = {
    "6 mice, 2 states, 20 syllables": {
        "seed": 0,
        "n_mice": 6,
        "n_syllables": 20,
        "minutes": (8, 10),
        "dwell_seconds": (20.0, 60.0),
    }
}
N_SEEDS = 6
LESS_ACCURATE = 0.01
LEAST_USAGE = 0.01


class Fit(NamedTuple):
    """A fit of an experiment."""

    start: str  # "truth" or a seed
    accuracy: float  # of frames
    least_usage: float  # fraction of the frames in the rarest state
    seconds: float


def fit_all(experiment, n_seeds, *, collapsed):
    """Fit an experiment from the truth, then from each seed.

    Parameters
    ----------
    experiment : dict
        Arguments of `simulate`.
    n_seeds : int
    collapsed : bool
        Whether runs are fitted instead of frames.

    Returns
    -------
    fits : list of Fit
        That from the truth first.
    """
    lab = simulate(drug_content=0.0, **experiment)
    frames, states = lab["frames"], lab["states"]
    n_states = len(lab["biases"])
    X, truth = frames, states
    if collapsed:
        collapser = RunCollapser()
        X = collapser.fit_transform(frames)
        truth = [
            z[np.flatnonzero(np.r_[True, np.diff(x) != 0])]
            for x, z in zip(frames, states, strict=True)
        ]
    fits = []
    for seed in (None, *range(n_seeds)):
        init = {"init": truth} if seed is None else {}
        model = EfficientHHMM(n_states, random_state=seed or 0, **LEARNT, **init)
        began = time.perf_counter()
        found = model.fit(X).predict(X)
        seconds = time.perf_counter() - began
        if collapsed:
            found = collapser.expand(found, frames)
        accuracy = float(matched_accuracy(states, found))
        usage = float(state_usage(found, n_states=n_states).min())
        start = "truth" if seed is None else f"seed {seed}"
        fits.append(Fit(start, accuracy, usage, seconds))
    return fits


def judge(fits):
    """Return whether every seed is as good as the truth, with no state unused."""
    truth, *others = fits
    return all(
        fit.accuracy >= truth.accuracy - LESS_ACCURATE and fit.least_usage >= LEAST_USAGE
        for fit in others
    )


def make_table(results):
    """Return accuracy and the least usage of a state, by experiment and start.

    Parameters
    ----------
    results : dict of list of Fit
        By description of the experiment.
    """
    lines = [f"{'':<44}{'start':<8}{'accuracy':>10}{'least usage':>13}{'fit':>9}", RULE]
    for name, fits in results.items():
        for fit in fits:
            lines.append(
                f"{name if fit is fits[0] else '':<44}{fit.start:<8}{fit.accuracy:>10.4f}"
                f"{fit.least_usage:>13.3f}{fit.seconds:>7.0f} s"
            )
        lines += [
            f"{'':<44}all seeds within {LESS_ACCURATE} of the truth, no state unused: "
            f"{verdict(judge(fits))}",
            "",
        ]
    return "\n".join(lines).rstrip()


def measure(quick):
    """Fit all experiments, and return the table."""
    results = {}
    for name, experiment in (QUICK if quick else EXPERIMENTS).items():
        for collapsed in (False, True):
            what = f"{name}, {'runs' if collapsed else 'frames'}"
            print(what, flush=True)
            results[what] = fit_all(experiment, 2 if quick else N_SEEDS, collapsed=collapsed)
    return make_table(results)


if __name__ == "__main__":
    run_study(__file__, __doc__, measure)
