"""Make ``golden.npz``: ``python -m tests.data.make_golden [name of a fit ...]``, else all.

The file holds what fits gave before the modules of the package were moved. Make a fit anew only
where a change of its results is meant, and say so in the changelog.
"""

import sys
import warnings
from pathlib import Path

import numpy as np

import tests.conftest  # noqa: F401  sets how JAX compiles, before it is imported
from hhmm import EfficientHHMM
from hhmm.datasets import make_hhmm
from tests.published import PUBLISHED

FILE = Path(__file__).parent / "golden.npz"
N_STATES, N_ITER = 2, 4

# settings by name of fit, and whether its syllables are held for 14 timesteps
FITS = {
    "sequential": ({"message_passing": "sequential"}, False),
    "parallel": (PUBLISHED | {"message_passing": "parallel"}, False),
    "parallel_runs": (PUBLISHED | {"message_passing": "parallel"}, True),
    "compressed": (PUBLISHED | {"message_passing": "compressed"}, True),
    "held": ({"self_transitions": False}, True),
    "em": ({"algorithm": "em"}, False),
    "gradient": ({"algorithm": "gradient"}, False),
    "laplace": (PUBLISHED, False),
    "adam": (PUBLISHED | {"emission_solver": "adam", "emission_gd_iters": 20}, False),
    "chains": ({"n_chains": 2}, False),
    "prior": ({"init": "prior"}, False),
    "random": ({"init": "random"}, False),
}


def data():
    """Return sequences with gaps, and some in which every syllable is held."""
    X = make_hhmm(8, 60, n_states=N_STATES, n_syllables=4, random_state=0).X
    held = [np.repeat(x, 14) for x in X[:4]]
    X = X.copy()
    X[1, 20:25] = -1
    return X, held


def fit(name):
    """Return the arrays of a fit by name."""
    settings, is_held = FITS[name]
    X = data()[is_held]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # these sweeps are too few to settle
        model = EfficientHHMM(N_STATES, max_iter=N_ITER, random_state=0, **settings).fit(X)
        return {
            "emission_base": model.emission_base_,
            "emission_biases": model.emission_biases_,
            "trans_probs": model.trans_probs_,
            "sigmas": np.array(list(model.sigmas_.values())),
            "log_joint": model.log_joint_,
            "states": np.concatenate(list(model.states_)),
            "predicted": np.concatenate(list(model.predict(X))),
            "probabilities": np.concatenate(list(model.predict_proba(X))),
            "scores": model.score_samples(X),
        }


def main():
    """Fit and save."""
    with np.load(FILE) as before:
        arrays = dict(before)
    for name in sys.argv[1:] or FITS:
        arrays |= {f"{name}.{key}": value for key, value in fit(name).items()}
    np.savez_compressed(FILE, **arrays)


if __name__ == "__main__":
    main()
