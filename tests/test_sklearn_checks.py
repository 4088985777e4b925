"""scikit-learn's own checks of the estimator contract: all of them, none expected to fail.

Every check brings data of its own shape, and every shape is compiled anew. So shapes are rounded
up here so far that nearly all checks share their kernels.
"""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from hhmm import EfficientHHMM
from hhmm._sequences import lanes, runs
from tests.published import PUBLISHED

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def coarse_shapes(monkeypatch):
    def round_up(n, **_):
        return max(128, 1 << (int(n) - 1).bit_length())

    for module in (lanes, runs):
        monkeypatch.setattr(module, "round_up", round_up)


@parametrize_with_checks(
    [EfficientHHMM(2, n_syllables=64, max_iter=1, random_state=0, init="prior", **PUBLISHED)]
)
def test_estimator_check(estimator, check):
    check(estimator)
