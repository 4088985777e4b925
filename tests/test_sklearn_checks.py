"""scikit-learn's own checks of the estimator contract: all of them, none expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from hhmm import EfficientHHMM


def _model(**parameters):
    return EfficientHHMM(n_states=2, max_iter=1, random_state=0, init="prior", **parameters)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        # each check has data of its own shape, so that each of these compiles anew for each
        _model(),
        _model(algorithm="em", message_passing="compressed"),
    ]
)
def test_estimator_check(estimator, check):
    check(estimator)
