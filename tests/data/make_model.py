"""Make the files of this folder: ``python -m tests.data.make_model``.

A model saved by the version of its form that it is named after, and a checkpoint likewise. Those
of earlier versions stay: what is saved once must be read later, or refused by a clear error.
"""

import warnings
from pathlib import Path

import joblib
import numpy as np

from hhmm import EfficientHHMM
from hhmm._inference.checkpoint import FORMAT
from hhmm.datasets import make_hhmm
from hhmm.estimator import _STATE_VERSION

FOLDER = Path(__file__).parent


def main():
    """Fit, save, and write down what the model predicts."""
    X = make_hhmm(6, 40, 2, 4, trans_kappa=20.0, random_state=0).X
    model = EfficientHHMM(2, 4, trans_kappa=20.0, max_iter=8, init="prior", n_draws=2)
    model.set_params(random_state=0, emission_usage_sigma="auto")  # as version 2 allows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # eight sweeps are too few to have settled
        model.fit(X, checkpoint=FOLDER / f"checkpoint_{FORMAT}.npz")
    joblib.dump(model, FOLDER / f"model_{_STATE_VERSION}.joblib", compress=3)
    np.savez_compressed(
        FOLDER / f"model_{_STATE_VERSION}.npz",
        X=X,
        states=model.predict(X),
        log_likelihood=model.score_samples(X),
        log_joint=model.log_joint_,
    )


if __name__ == "__main__":
    main()
