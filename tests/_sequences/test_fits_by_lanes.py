"""Fits on one group of lanes and on several are equal, as they are compiled for users."""

import numpy as np
import pytest
from sklearn.base import clone

from hhmm import EfficientHHMM
from hhmm._sequences import lanes
from tests._sequences.test_lanes import N_STATES, held_sequences
from tests.published import PUBLISHED

pytestmark = [pytest.mark.slow, pytest.mark.optimized]

MODELS = {
    "published": PUBLISHED,
    "held, learnt": {
        "self_transitions": False,
        "emission_sampler": "laplace",
        "emission_usage_sigma": "auto",
        "emission_interactions_sigma": 0.5,
        "trans_kappa": "auto",
    },
}


@pytest.mark.parametrize(
    ("backend", "model"), [("sequential", "published"), ("compressed", "held, learnt")]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_groups_of_lanes_change_nothing(backend, model, monkeypatch):
    """One group in one loop, or three in calls of their own: the same fit."""
    X = held_sequences([300, 310, 290, 280, 305], mean_run=10)
    fits = []
    for n_groups in (1, 3):
        monkeypatch.setattr(lanes, "n_groups", lambda *_, n_groups=n_groups: n_groups)
        given = {"max_iter": 6, "random_state": 0, "init": "prior", **MODELS[model]}
        fits.append(EfficientHHMM(N_STATES, message_passing=backend, **given).fit(X))
    one, other = fits
    np.testing.assert_allclose(other.log_joint_, one.log_joint_, rtol=1e-9)
    np.testing.assert_allclose(
        other.posterior_.emission_base, one.posterior_.emission_base, atol=1e-6
    )
    np.testing.assert_array_equal(np.concatenate(other.states_), np.concatenate(one.states_))


def test_groups_of_lanes_stop_at_the_same_iteration(monkeypatch):
    X = held_sequences([300, 310, 290, 280, 305], mean_run=10)
    given = {"tol": 0.2, "max_iter": 200, "random_state": 0, "init": "prior"}
    model = EfficientHHMM(N_STATES, algorithm="em", **given, **MODELS["held, learnt"])
    fits = []
    for n_groups in (1, 2):
        monkeypatch.setattr(lanes, "n_groups", lambda *_, n_groups=n_groups: n_groups)
        fits.append(clone(model).fit(X))
    assert fits[0].converged_
    assert fits[1].n_iter_ == fits[0].n_iter_ < model.max_iter
    # on some processors, messages of 3 lanes and of 5 are rounded otherwise, to float32
    np.testing.assert_allclose(fits[1].log_joint_, fits[0].log_joint_, rtol=1e-6)
