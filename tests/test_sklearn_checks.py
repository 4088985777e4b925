"""scikit-learn's own checks of the estimator contract."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from hhmm import EfficientHHMM

# The check subtracts the mean of X from data that it rounded because the estimator is tagged
# categorical, and asks that the fractions be fitted. Syllables that are no integers are an
# error here, and a tag that allows NaN makes the check use floats.
NON_INTEGRAL = {"check_positive_only_tag_during_fit": "fits fractions, which are no syllables"}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [EfficientHHMM(n_states=2, max_iter=2, random_state=0, init="prior")],
    expected_failed_checks=lambda _: NON_INTEGRAL,
)
def test_estimator_check(estimator, check):
    check(estimator)
