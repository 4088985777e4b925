"""A fitted model saved without pickle: by skops, with the types that the guide lists."""

import re

import numpy as np
import pytest

import hhmm.guide.saving
from hhmm import EfficientHHMM
from hhmm.datasets import make_hhmm
from tests.marks import slow_unless
from tests.published import PUBLISHED

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LISTED = re.findall(r'"(hhmm\.[\w.]+)"', hhmm.guide.saving.__doc__)


@pytest.mark.parametrize("algorithm", slow_unless(["gibbs"], ["gibbs", "em"]))
def test_skops_keeps_a_model_by_the_types_of_the_guide(algorithm):
    skops_io = pytest.importorskip("skops.io")
    X = make_hhmm(8, 60, 2, 4, random_state=0).X
    settings = {"max_iter": 4, "n_draws": 5, "init": "prior", "n_chains": 2, "random_state": 0}
    settings |= {"algorithm": algorithm, "trans_kappa": "auto"}
    model = EfficientHHMM(2, 4, **PUBLISHED | settings).fit(X)
    saved = skops_io.dumps(model)
    assert set(skops_io.get_untrusted_types(data=saved)) <= set(LISTED)
    again = skops_io.loads(saved, trusted=LISTED)
    assert vars(again).keys() == vars(model).keys()
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    both = [m.set_params(warm_start=True, max_iter=2).fit(X).log_joint_ for m in (model, again)]
    np.testing.assert_array_equal(*both)
