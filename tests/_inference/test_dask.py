"""Fits on Dask workers draw the same whatever the workers, and errors of workers are clear."""

import contextlib
import importlib.metadata
import itertools
import os
import signal
import subprocess
import sys
import time

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from hhmm import EfficientHHMM
from hhmm._inference import dask_parts, part_tasks
from hhmm._inference.prepare import recipes
from hhmm._model.terms import Factor, Terms
from hhmm._sequences import lanes
from hhmm._sequences.run_lengths import HeldSequence, RunLengths
from hhmm.datasets import make_hhmm, open_recordings
from hhmm.model_selection import scan
from tests.published import PUBLISHED

distributed = pytest.importorskip("distributed")
import dask  # noqa: E402 -- comes with distributed

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FITTED = (
    "emission_base_",
    "emission_biases_",
    "trans_probs_",
    "states_",
    "log_joint_",
    "log_likelihood_",
)
# what makes these few timesteps several parts; set where parts are planned, not on workers
SMALL = {"MIN_TASK_WORK": 1, "MIN_GROUP_WIDTH": 1, "MIN_GROUP_WIDTH_OF_RUNS": 1}
N_SEQUENCES = 8
# seconds after which what a test waits for is taken to have failed
PATIENCE = 60
VERSION = importlib.metadata.version


@contextlib.contextmanager
def _started(n_workers, n_threads=1):
    """Start a cluster of processes on this machine; yield its client."""
    with (
        distributed.LocalCluster(
            n_workers=n_workers,
            threads_per_worker=n_threads,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client():
    """The client of two workers of one thread."""
    with _started(2) as client:
        yield client


@pytest.fixture(scope="module")
def X():
    """Sequences of different lengths, with timesteps missing inside and at the end."""
    data = make_hhmm(
        N_SEQUENCES, 60, 2, 4, emission_biases_sigma=2.0, trans_kappa=20.0, random_state=0
    )
    X = [sequence[: 60 - 3 * i].astype(np.int32) for i, sequence in enumerate(data.X)]
    X[1][20:25] = -1
    X[2][-5:] = -1
    return X


@pytest.fixture(scope="module")
def files(X, tmp_path_factory):
    """The sequences as files of NumPy, opened."""
    return _written(X, tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def expected(client, X):
    """The fit that nothing disturbed."""
    return _fit_on(client, _model(), X)


def _written(X, folder):
    for i, sequence in enumerate(X):
        np.save(folder / f"mouse{i}.npy", sequence)
    return open_recordings(folder / "*.npy")


def _model(**parameters):
    defaults = {"init": "prior", "random_state": 0, "max_iter": 10, "n_draws": 3}
    return EfficientHHMM(2, 4, **PUBLISHED | defaults | parameters)


@contextlib.contextmanager
def _shared_by(client):
    """Let fits in this block use the workers, small as their data are."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items():
            patch.setattr(lanes, name, value)
        with joblib.parallel_config(backend="dask", client=client):
            yield


def _fit_on(client, model, X, **options):
    with _shared_by(client):
        return model.fit(X, **options)


@contextlib.contextmanager
def _in_sweeps(client, actions):
    """Call ``actions[n]`` when the tasks of sweep n have been submitted."""
    gather, n_sweeps = client.gather, itertools.count()

    def act_and_gather(futures):
        actions.get(next(n_sweeps), lambda: None)()
        return gather(futures)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "gather", act_and_gather)
        yield
    assert next(n_sweeps) > max(actions, default=0)


def _kill_a_worker(client):
    """Kill one process of a worker, as a machine does that is out of memory."""
    pids = client.run(os.getpid)
    os.kill(pids[min(pids)], signal.SIGKILL)


def _wait_until(is_true):
    end = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.05)


def _assert_same_bits(fitted, expected):
    for name in FITTED:
        one, other = getattr(fitted, name), getattr(expected, name)
        assert len(one) == len(other)
        for part, equal in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, equal, err_msg=name)


def _assert_same_draws(fitted, in_process):
    """Parts are summed in another order, so the last digits of log joints may be others."""
    for name in FITTED:
        one, other = getattr(fitted, name), getattr(in_process, name)
        if name.startswith("log"):
            np.testing.assert_allclose(one, other, rtol=1e-12, err_msg=name)
        else:
            for part, equal in zip(one, other, strict=True):
                np.testing.assert_array_equal(part, equal, err_msg=name)


def _assert_not_fitted(model):
    assert not [name for name in vars(model) if name.endswith("_")]


def _assert_free(client):
    """Check that the cluster has no tasks, and that its workers keep no parts."""
    scheduler = client.cluster.scheduler
    _wait_until(lambda: not scheduler.tasks)
    _wait_until(lambda: not any(client.run(_n_kept).values()))


def _n_kept():
    return len(part_tasks._kept)


def _forget_all():
    part_tasks._kept.clear()


def test_draws_are_those_of_a_fit_in_this_process(client, X, expected):
    assert _is_shared(client, X)
    _assert_same_draws(expected, _model().fit(X))
    _assert_free(client)


def _is_shared(client, X):
    """Return whether a fit submits tasks."""
    n_submitted = []
    submit = client.submit

    def counting(*arguments, **options):
        n_submitted.append(options["key"])
        return submit(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "submit", counting)
        _fit_on(client, _model(max_iter=2), X)
    assert all(key.startswith("hhmm_") for key in n_submitted)
    return len(n_submitted) > 2 * N_SEQUENCES


def test_files_give_the_fit_of_the_same_data_in_memory(client, files, expected):
    _assert_same_bits(_fit_on(client, _model(), files), expected)


def test_a_worker_that_is_killed_changes_no_bit(client, X, expected):
    with _in_sweeps(client, {5: lambda: _kill_a_worker(client)}):
        _assert_same_bits(_fit_on(client, _model(), X), expected)


def test_a_file_that_is_gone_is_an_error_with_its_path(client, X, tmp_path):
    recordings = _written(X, tmp_path)
    gone = tmp_path / "mouse3.npy"
    model = _model()
    with (
        _when_planned(gone.unlink),
        pytest.raises(FileNotFoundError, match=f"There is no file {gone} any more"),
    ):
        _fit_on(client, model, recordings)
    _assert_not_fitted(model)
    _assert_free(client)


def test_a_file_that_cannot_be_read_is_an_error_with_its_path(client, X, tmp_path):
    recordings = _written(X, tmp_path)
    broken = tmp_path / "mouse3.npy"
    model = _model()
    with (
        _when_planned(lambda: broken.write_bytes(b"no array")),
        pytest.raises(ValueError, match=f"{broken} cannot be read as an array of NumPy"),
    ):
        _fit_on(client, model, recordings)
    _assert_not_fitted(model)


@contextlib.contextmanager
def _when_planned(action):
    """Do something when the data have been read here, and before workers read them."""
    plan = dask_parts.recipes

    def act_and_plan(*arguments, **options):
        action()
        return plan(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dask_parts, "recipes", act_and_plan)
        yield


def test_a_file_that_changes_after_the_fit_began_is_an_error(client, X, tmp_path):
    recordings = _written(X, tmp_path)
    model = _model()

    def change():
        np.save(tmp_path / "mouse3.npy", X[3][::-1])
        client.run(_forget_all)  # as workers do that have come later

    with (
        _in_sweeps(client, {4: change, 5: lambda: None}),
        pytest.raises(ValueError, match=r"mouse3, changed after the fit had begun\. Fit again"),
    ):
        _fit_on(client, model, recordings)
    _assert_not_fitted(model)


def test_a_file_that_grows_after_the_fit_began_is_an_error(client, X, tmp_path):
    recordings = _written(X, tmp_path)
    model = _model()
    longer = np.append(X[3], X[3])
    with (
        _when_planned(lambda: np.save(tmp_path / "mouse3.npy", longer)),
        pytest.raises(
            ValueError, match=r"mouse3\.npy was changed: .* had 51 timesteps and has 102"
        ),
    ):
        _fit_on(client, model, recordings)
    _assert_not_fitted(model)


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ("0.0.1", r"has 0\.0\.1 hhmm, and this process has \d\S*\. Install the same version"),
        (None, r"has no hhmm, and this process has \d"),
    ],
)
def test_workers_need_the_same_packages(client, X, there, message):
    model = _model()
    client.run(_pretend_to_have, there)
    try:
        with pytest.raises(RuntimeError, match=f"Dask worker tcp://127.0.0.1:\\d+ {message}"):
            _fit_on(client, model, X)
    finally:
        client.run(_stop_pretending)
    _assert_not_fitted(model)


def _pretend_to_have(version):
    """Let this process say that it has another version of hhmm, or none."""

    def answer(name):
        if name != "hhmm":
            return VERSION(name)
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    answer.__module__, answer.__qualname__ = VERSION.__module__, VERSION.__qualname__
    importlib.metadata.version = answer


def _stop_pretending():
    importlib.metadata.version = VERSION


def test_an_interrupt_leaves_no_tasks(client, X):
    def interrupt():
        raise KeyboardInterrupt

    model = _model()
    with _in_sweeps(client, {3: interrupt}), pytest.raises(KeyboardInterrupt):
        _fit_on(client, model, X)
    _assert_not_fitted(model)
    _assert_free(client)


def test_little_data_stay_in_this_process(client, X, monkeypatch):
    monkeypatch.setattr(client, "submit", _fail)
    with joblib.parallel_config(backend="dask", client=client):
        fitted = _model().fit(X)
    _assert_same_bits(fitted, _model().fit(X))


def _fail(*_, **__):
    raise AssertionError("no task was to be submitted")


@pytest.fixture
def nothing_kept():
    _forget_all()
    yield
    _forget_all()


def _source(X, terms, groups=None):
    """A part that has all sequences."""
    sequences = RunLengths.of(X).without_end()
    (recipe,) = recipes(
        sequences, terms, "sequential", every_timestep=False, groups=groups, in_one=True
    )
    digest = part_tasks.digest_of(sequences)
    return part_tasks.Source(sequences.items(), ["mouse"] * len(X), digest, recipe)


@pytest.mark.usefixtures("nothing_kept")
def test_what_a_process_keeps_is_for_one_model(X):
    """Fits of the same sequences at the same time, laid out in the same shape."""
    two = Terms(2, 4)._replace(factors=(Factor(2, (0, 1)),))
    groups = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.int32)
    for terms, of_sequences in ((Terms(2, 4), None), (two, groups), (two, groups[::-1].copy())):
        prepared = part_tasks._prepared(_source(X, terms, of_sequences), most_kept=4)
        assert prepared.terms == terms
        if of_sequences is not None:
            lanes_of_sequences = prepared.timesteps.lanes
            found = np.asarray(prepared.data.groups)[lanes_of_sequences]
            np.testing.assert_array_equal(found, of_sequences)


@pytest.mark.usefixtures("nothing_kept")
def test_a_process_keeps_as_many_parts_as_it_may(X):
    sources = [_source([x], Terms(2, 4)) for x in X]
    for source in sources:
        part_tasks._prepared(source, most_kept=3)
    assert [name[0] for name in part_tasks._kept] == [source.sha256 for source in sources[-3:]]
    kept = part_tasks._prepared(sources[-1], most_kept=3)
    assert part_tasks._prepared(sources[-1], most_kept=1) is kept
    assert len(part_tasks._kept) == 1
    part_tasks.forget([sources[-1].sha256])
    assert not part_tasks._kept
