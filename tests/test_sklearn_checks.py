"""scikit-learn's own checks of the estimator contract: all of them, none expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from hhmm import EfficientHHMM


def _model(**parameters):
    return EfficientHHMM(n_states=2, max_iter=2, random_state=0, init="prior", **parameters)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        _model(),
        _model(emission_sampler="hmc"),
        _model(algorithm="em", message_passing="compressed"),
        _model(algorithm="gradient", message_passing="parallel"),
    ]
)
def test_estimator_check(estimator, check):
    check(estimator)
