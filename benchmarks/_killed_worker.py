"""A fit with a checkpoint, in a process that will be killed.

``python -m benchmarks._killed_worker CHECKPOINT RESULT SETTINGS`` fits *settings* (JSON) to data of
its own, and writes what it found to RESULT, an npz file, if it is let to.
"""

import json
import sys
import warnings

import numpy as np

from hhmm import EfficientHHMM
from hhmm.datasets import make_hhmm


def data():
    """What is fitted: ragged, some timesteps missing, so that no shape is a round one."""
    made = make_hhmm(12, 150, 3, 8, emission_biases_sigma=2.0, trans_kappa=30.0, random_state=0)
    X = made.X.copy()
    X[np.random.default_rng(0).random(X.shape) < 0.05] = -1
    return [row[: 150 - 7 * i] for i, row in enumerate(X)]


def fit(checkpoint, settings):
    """The fitted model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return EfficientHHMM(3, 8, trans_kappa=30.0, random_state=0, **settings).fit(
            data(), checkpoint=checkpoint, checkpoint_every=1
        )


def result(model):
    """All that a fit finds, arrays by name."""
    found = {
        "log_joint": model.log_joint_,
        "states": np.concatenate(model.states_),
        "emission_base": model.emission_base_,
        "emission_biases": model.emission_biases_,
        "trans_probs": model.trans_probs_,
    }
    if hasattr(model, "posterior_"):
        drawn = model.posterior_._asdict()
        found |= drawn.pop("sigmas")
        found |= {f"draws_{name}": part for name, part in drawn.items() if part is not None}
    return found


if __name__ == "__main__":
    checkpoint, path, settings = sys.argv[1:]
    np.savez(path, **result(fit(checkpoint, json.loads(settings))))
