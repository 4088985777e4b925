"""Count the fits that reach the accuracy and the log joint of the true parameters.

The data are those of the *tutorial* workload. A fit has recovered the truth if its accuracy is
lower by 0.003 at most, and its last log joint by 60 nats at most. A draw lies about half the
number of parameters below the mode, so the last draw and the mean of the last quarter are shown.
"""

import time

from benchmarks.figures import RULE, verdict
from benchmarks.studies._study import run_study
from benchmarks.workloads import PUBLISHED, TUTORIAL
from hhmm import EfficientHHMM
from hhmm.datasets import make_hhmm
from hhmm.metrics import matched_accuracy

N_SWEEPS = 100
ACCURACY = 0.003  # below that under the true parameters, at most
NATS = 60.0  # below the log joint of the true parameters, at most
FRACTION = 0.8  # of the seeds


def make_tutorial():
    """Return the data of the *tutorial* workload, and a model with its true parameters."""
    data = make_hhmm(*TUTORIAL[1:5], random_state=0)
    truth = EfficientHHMM.from_params(
        data.emission_base, data.emission_biases, data.trans_probs, **PUBLISHED
    )
    return data, truth


def accuracy_of(model, data):
    """Return the accuracy of the most probable state of each timestep given its sequence."""
    return matched_accuracy(data.states, model.predict_proba(data.X).argmax(axis=-1))


def measure(quick):
    """Fit from several seeds, and return the table."""
    data, truth = make_tutorial()
    true_accuracy, true_log_joint = accuracy_of(truth, data), truth.log_joint(data.X)
    lines = [
        f"recovery: tutorial data, {N_SWEEPS} sweeps; under the true parameters accuracy "
        f"{true_accuracy:.4f},",
        f"log joint {true_log_joint:,.1f}. Differences from those:",
        f"{'seed':>6}{'accuracy':>12}{'difference':>12}{'last log joint':>16}"
        f"{'last quarter':>14}{'fit':>10}",
        RULE,
    ]
    n_recovered, n_seeds = 0, 2 if quick else 10
    for seed in range(n_seeds):
        began = time.perf_counter()
        model = EfficientHHMM(
            TUTORIAL.n_states,
            TUTORIAL.n_syllables,
            max_iter=N_SWEEPS,
            random_state=seed,
            **PUBLISHED,
        ).fit(data.X)
        seconds = time.perf_counter() - began
        accuracy = accuracy_of(model, data) - true_accuracy
        log_joint = model.log_joint_[0] - true_log_joint
        recovered = accuracy >= -ACCURACY and log_joint[-1] >= -NATS
        n_recovered += recovered
        row = (
            f"{seed:>6}{accuracy + true_accuracy:>12.4f}{accuracy:>+12.4f}{log_joint[-1]:>+16,.1f}"
            f"{log_joint[-(N_SWEEPS // 4) :].mean():>+14,.1f}{seconds:>8.2f} s"
            f"{'   recovered' if recovered else ''}"
        )
        print(row, flush=True)
        lines.append(row)
    lines.append(
        f"{n_recovered} of {n_seeds} seeds within {ACCURACY} accuracy and {NATS:.0f} nats; target "
        f"{FRACTION:.0%}: {verdict(n_recovered >= FRACTION * n_seeds)}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    run_study(__file__, __doc__, measure)
