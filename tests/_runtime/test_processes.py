"""Models and fits that go from one process, thread, version or device to another."""

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import jax
import joblib
import numpy as np
import pytest
from sklearn.exceptions import InconsistentVersionWarning

from hhmm import EfficientHHMM, estimator
from hhmm._runtime import precision
from hhmm.datasets import make_hhmm
from tests.marks import slow_unless
from tests.published import PUBLISHED

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FOLDER = Path(__file__).parents[1] / "data"
SAVED = sorted(FOLDER.glob("model_*.joblib"))


@pytest.fixture(scope="module")
def data():
    return make_hhmm(8, 60, 2, 4, random_state=0)


def _model(**parameters):
    defaults = {"init": "prior", "max_iter": 6, "n_draws": 5, "random_state": 0}
    return EfficientHHMM(2, 4, **PUBLISHED | defaults | parameters)


# Versions


def test_a_model_of_this_version_is_kept():
    assert FOLDER / f"model_{estimator._STATE_VERSION}.joblib" in SAVED


# of the other versions, `test_real_data` has a quick one
@pytest.mark.parametrize("path", slow_unless(SAVED[-1:], SAVED), ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_models_saved_earlier_predict_what_they_predicted(path):
    model, expected = joblib.load(path), np.load(path.with_suffix(".npz"))
    np.testing.assert_array_equal(model.predict(expected["X"]), expected["states"])
    np.testing.assert_allclose(
        model.score_samples(expected["X"]), expected["log_likelihood"], rtol=1e-6
    )
    np.testing.assert_array_equal(model.log_joint_, expected["log_joint"])
    model.set_params(warm_start=True, max_iter=1).fit(expected["X"])


def test_a_model_in_another_form_is_refused(data, monkeypatch):
    for other in (0, 3, None):
        with monkeypatch.context() as patch:
            patch.setattr(estimator, "_STATE_VERSION", other)
            saved = pickle.dumps(_model())
        with pytest.raises(
            ValueError, match=f"saved in version {other} of its form, and this hhmm"
        ):
            pickle.loads(saved)


def test_another_scikit_learn_is_told(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(estimator.sklearn, "__version__", "1.2.3")
        saved = pickle.dumps(_model())
    with pytest.warns(InconsistentVersionWarning, match=r"EfficientHHMM from version 1\.2\.3"):
        again = pickle.loads(saved)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickle.dumps(again))
        copy.deepcopy(again)
    assert vars(again).keys() == vars(_model()).keys()


# Devices


@pytest.mark.slow
def test_a_model_predicts_where_jax_sees_other_devices():
    path = SAVED[-1]
    script = (
        "import sys, warnings, joblib, numpy as np, jax\n"
        "warnings.simplefilter('ignore')\n"
        "model, expected = joblib.load(sys.argv[1]), np.load(sys.argv[2])\n"
        "assert len(jax.devices()) == 3\n"
        "with jax.default_device(jax.devices()[2]):\n"
        "    np.testing.assert_array_equal(model.predict(expected['X']), expected['states'])\n"
        "    model.set_params(algorithm='em').fit(expected['X'])\n"
    )
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}
    subprocess.run(
        [sys.executable, "-c", script, str(path), str(path.with_suffix(".npz"))],
        check=True,
        env=os.environ | flags,
    )


# Threads


def test_fits_in_threads_find_what_they_find_one_after_the_other(data):
    kinds = [
        {"random_state": 1},
        {"random_state": 2, "n_chains": 2},
        {"random_state": 3, "algorithm": "em"},
        {"random_state": 4},
    ]
    expected = [_model(**kind).fit(data.X) for kind in kinds]
    fitted, precisions = [None] * len(kinds), []

    def fit(i):
        fitted[i] = _model(**kinds[i]).fit(data.X)
        precisions.append(jax.config.jax_enable_x64)

    threads = [threading.Thread(target=fit, args=(i,)) for i in range(len(kinds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(fitted, expected, strict=True):
        np.testing.assert_array_equal(one.log_joint_, other.log_joint_)
        np.testing.assert_array_equal(one.states_, other.states_)
    assert precisions == [jax.config.jax_enable_x64] * len(kinds)


def test_one_model_predicts_in_many_threads(data):
    model = _model().fit(data.X)
    expected, found = model.predict_proba(data.X), []
    threads = [
        threading.Thread(target=lambda: found.append(model.predict_proba(data.X))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for probabilities in found:
        np.testing.assert_array_equal(probabilities, expected)


# Forks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_process_says_so_and_does_not_wait_for_ever(data):
    model = _model().fit(data.X)
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        message = b"it worked"
        try:
            model.predict(data.X)
        except RuntimeError as error:
            message = str(error).encode()
        os.write(send, message)
        os._exit(0)
    os.waitpid(child, 0)
    message = os.read(receive, 10_000).decode()
    assert "forked from one in which JAX had computed" in message
    assert "loky" in message
    assert not precision._is_forked  # the parent goes on
    assert model.predict(data.X).shape == data.X.shape


@pytest.mark.slow
def test_a_process_forked_before_anything_was_computed_works():
    script = (
        "import multiprocessing, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from hhmm import EfficientHHMM\n"
        "def fit(seed):\n"
        "    settings = {'algorithm': 'em', 'max_iter': 2, 'init': 'prior'}\n"
        "    model = EfficientHHMM(2, 3, random_state=seed, **settings)\n"
        "    return model.fit([[0, 1, 2, 0, 1]]).n_iter_\n"
        "with multiprocessing.get_context('fork').Pool(1) as pool:\n"
        "    assert pool.map(fit, [0]) == [2]\n"
    )
    if "fork" in multiprocessing.get_all_start_methods():
        subprocess.run([sys.executable, "-c", script], check=True)
