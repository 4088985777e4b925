"""How many cores a fit uses, under backends of joblib that span machines too."""

import joblib
import numpy as np
import pytest
from joblib._parallel_backends import ThreadingBackend
from sklearn.model_selection import GridSearchCV

from hhmm import EfficientHHMM
from hhmm._runtime import threads
from hhmm.model_selection import scan
from tests.published import PUBLISHED


class ClusterBackend(ThreadingBackend):
    """Counts the threads of many machines, and returns results all at once, as Ray's does."""

    supports_return_generator = False

    def effective_n_jobs(self, n_jobs):
        return 64 if n_jobs == -1 else super().effective_n_jobs(n_jobs)


@pytest.fixture
def cluster():
    joblib.register_parallel_backend("cluster", ClusterBackend)
    with joblib.parallel_config(backend="cluster"):
        assert joblib.effective_n_jobs(-1) == 64
        yield
    del joblib.parallel.BACKENDS["cluster"]


def test_the_cores_are_those_of_this_machine(cluster):
    assert threads.n_cores() == joblib.cpu_count()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_worker_of_joblib_uses_one_core(backend):
    assert threads.n_cores() == joblib.effective_n_jobs(-1)
    workers = joblib.Parallel(n_jobs=2, backend=backend)
    assert workers(joblib.delayed(threads.n_cores)() for _ in range(2)) == [1, 1]


@pytest.mark.filterwarnings("ignore")
def test_a_scan_runs_where_results_come_all_at_once(cluster):
    X = np.random.default_rng(0).integers(0, 4, (8, 60))
    estimator = EfficientHHMM(init="prior", max_iter=2, algorithm="em", **PUBLISHED)
    result = scan(X, {"n_states": [2]}, estimator=estimator, cv=2, n_seeds=1, n_jobs=2)
    assert len(result.table["test_score"]) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_searches_on_ray_give_the_scores_of_one_process(request):
    ray = pytest.importorskip("ray")
    joblib_of_ray = pytest.importorskip("ray.util.joblib")
    request.addfinalizer(ray.shutdown)
    ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1")
    joblib_of_ray.register_ray()
    X = np.random.default_rng(0).integers(0, 4, (8, 60))
    estimator = EfficientHHMM(init="prior", max_iter=2, algorithm="em", random_state=0, **PUBLISHED)
    grid = {"n_states": [1, 2]}
    scores = []
    for backend, n_jobs in [("sequential", 1), ("ray", 2)]:
        with joblib.parallel_config(backend=backend, n_jobs=n_jobs):
            scanned = scan(X, grid, estimator=estimator, cv=2, n_seeds=1, random_state=0)
            searched = GridSearchCV(estimator, grid, cv=2, n_jobs=n_jobs).fit(X)
        scores.append([*scanned.table["test_score"], *searched.cv_results_["mean_test_score"]])
    np.testing.assert_array_equal(*scores)
