"""Fits on Dask workers draw the same whatever the workers, and errors of workers are clear."""

import contextlib
import functools
import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from hhmm import EfficientHHMM
from hhmm._inference import dask_parts, part_tasks
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
MANY = 30  # sweeps, before whose end a fit is killed


@contextlib.contextmanager
def _started(n_workers, n_threads=1):
    """Start a cluster of processes on this machine; yield its client."""
    # A local cluster closes the nanny of a worker if no process of it runs at one moment, so many
    # seconds after a process ended. That moment could be after another one was killed.
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"}),
        distributed.LocalCluster(
            n_workers=n_workers,
            threads_per_worker=n_threads,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
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
def X():  # noqa: N802 -- as everywhere for the data
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
    with _noted_keys(client) as keys:
        fitted = _fit_on(client, _model(), X)
    assert all(key.startswith("hhmm_") for key in keys)  # what a dashboard shows
    assert len(keys) > fitted.max_iter * N_SEQUENCES
    return fitted


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
    # a nanny does not restart a process that ends while it starts
    nannies = client.cluster.workers.values()
    _wait_until(lambda: all(nanny.process.status.name == "running" for nanny in nannies))
    pids = client.run(os.getpid)
    os.kill(pids[min(pids)], signal.SIGKILL)


def _share_little(**values):
    for name, value in (SMALL | values).items():
        setattr(lanes, name, value)


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
    """Check that the cluster has no tasks, and so that its workers keep no results."""
    scheduler = client.cluster.scheduler
    _wait_until(lambda: not scheduler.tasks)


def test_draws_are_those_of_a_fit_in_this_process(client, X, expected):
    _assert_same_draws(expected, _model().fit(X))
    _assert_free(client)


@contextlib.contextmanager
def _noted_keys(client):
    """Yield a list that gets the keys of all tasks that are submitted in this block."""
    keys, submit = [], client.map

    def noting(*arguments, **options):
        keys.extend(options["key"])
        return submit(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "map", noting)
        yield keys


def test_counts_of_parts_are_summed_beyond_the_integers_that_hold_them():
    counts = np.array([200, 0], np.uint8)
    summed = part_tasks.add([(counts, 0.5), (counts, 0.25)])
    assert summed[0].tolist() == [400, 0]
    assert summed[1] == 0.75


def test_files_give_the_fit_of_the_same_data_in_memory(client, files, expected, monkeypatch):
    # a call of all workers waits half a minute for one that has just ended
    monkeypatch.setattr(client, "run", _fail)
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


@pytest.mark.slow  # the quick test below reads such a file in this process
def test_a_file_that_changes_after_the_fit_began_is_an_error(client, X, tmp_path):
    recordings = _written(X, tmp_path)
    model = _model()

    def change():
        for i, sequence in enumerate(X):
            np.save(tmp_path / f"mouse{i}.npy", sequence[::-1])
        _kill_a_worker(client)  # the other one reads its parts again

    message = r"The labels of the recording mouse\d changed after the fit had begun\. Fit again"
    with _in_sweeps(client, {4: change}), pytest.raises(ValueError, match=message):
        _fit_on(client, model, recordings)
    _assert_not_fitted(model)


def test_a_changed_recording_is_named_among_those_of_its_part(X, files):
    sequences = RunLengths.of(X).without_end()
    digests = part_tasks.digests(sequences)
    assert part_tasks.digests(sequences.part(2, 4)) == digests[2:4]
    source = part_tasks.Source(
        list(files), files.names, [*digests[:6], "another", digests[7]], None
    )
    with pytest.raises(ValueError, match="The labels of the recording mouse6 changed after"):
        part_tasks._read(source)


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
def test_workers_need_the_same_packages(client, X, there, message, monkeypatch):
    model, get_versions = _model(), client.get_versions

    def get_others(**given):
        versions = get_versions(**given)
        max(versions["workers"].items())[1]["packages"]["hhmm"] = there
        return versions

    monkeypatch.setattr(client, "get_versions", get_others)
    with pytest.raises(RuntimeError, match=f"Dask worker tcp://127.0.0.1:\\d+ {message}"):
        _fit_on(client, model, X)
    _assert_not_fitted(model)


def test_an_interrupt_leaves_no_tasks(client, X):
    def interrupt():
        raise KeyboardInterrupt

    model = _model()
    with _in_sweeps(client, {3: interrupt}), pytest.raises(KeyboardInterrupt):
        _fit_on(client, model, X)
    _assert_not_fitted(model)
    _assert_free(client)


def test_little_data_stay_in_this_process(client, X, monkeypatch):
    monkeypatch.setattr(client, "map", _fail)
    with joblib.parallel_config(backend="dask", client=client):
        fitted = _model().fit(X)
    _assert_same_bits(fitted, _model().fit(X))


def _fail(*_, **__):
    raise AssertionError("not to be called")


def _is_in_worker():
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True


@pytest.mark.slow
def test_no_bit_depends_on_workers_their_threads_or_their_ends(X, expected, monkeypatch):
    """One worker of two threads, one of two and one of three are killed; then there is none."""
    monkeypatch.setattr(dask_parts, "_PATIENCE", 0.5)
    with _started(1, n_threads=2) as other:
        scheduler = other.cluster.scheduler

        def kill_one_of(n_workers):
            other.cluster.scale(n_workers)
            other.wait_for_workers(n_workers, timeout=PATIENCE)
            _kill_a_worker(other)

        def lose_all():
            other.cluster.scale(0)
            _wait_until(lambda: not scheduler.workers)
            threading.Timer(2, other.cluster.scale, [1]).start()

        kills = {sweep: functools.partial(kill_one_of, n) for n, sweep in enumerate((2, 5, 8), 1)}
        with (
            _in_sweeps(other, kills | {9: lose_all}),
            pytest.warns(UserWarning, match="The fit waits, because the Dask cluster has no work"),
        ):
            _assert_same_bits(_fit_on(other, _model(), X), expected)


@pytest.mark.slow
def test_workers_that_come_later_need_the_same_packages(X):
    with _started(1) as other:

        def replace():
            other.cluster.scale(2)
            other.wait_for_workers(2, timeout=PATIENCE)
            other.run(_pretend_to_be_another_version, workers=list(set(other.nthreads()) - before))
            other.retire_workers(list(before))

        before, model = set(other.nthreads()), _model()
        with (
            _in_sweeps(other, {3: replace}),
            pytest.raises(RuntimeError, match=r"has 0\.0\.1 hhmm, and this process has"),
        ):
            _fit_on(other, model, X)
        _assert_not_fitted(model)


def _pretend_to_be_another_version():
    versions = part_tasks.versions()
    part_tasks.versions = lambda: versions | {"hhmm": "0.0.1"}


LEARNT = {"emission_usage_sigma": "auto", "trans_kappa": "auto"}
KINDS = {
    "compressed chains": {"message_passing": "compressed", "n_chains": 2},
    "learnt from windows": {"init": "windows"} | LEARNT,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_of_fits_draw_the_same(client, X, files, kind):
    model = _model(**KINDS[kind])
    fitted = _fit_on(client, clone(model), X)
    _assert_same_draws(fitted, clone(model).fit(X))
    _assert_same_bits(_fit_on(client, clone(model), files), fitted)


@pytest.mark.slow
def test_groups_draw_the_same(client, X):
    groups = ["a", "b"] * (N_SEQUENCES // 2)
    model = _model(group_emissions_sigma=1.0, group_transitions_sigma=1.0)
    fitted = _fit_on(client, clone(model), X, groups=groups)
    in_process = clone(model).fit(X, groups=groups)
    _assert_same_draws(fitted, in_process)
    for name in ("group_emissions_", "group_transitions_"):
        for factor, effects in getattr(in_process, name).items():
            np.testing.assert_array_equal(getattr(fitted, name)[factor], effects)
            assert effects.any()


@pytest.mark.slow
def test_em_ends_at_the_same_parameters(client, X):
    model = _model(algorithm="em", tol=0.0)
    fitted, in_process = _fit_on(client, clone(model), X), clone(model).fit(X)
    for name in FITTED:
        one, other = getattr(fitted, name), getattr(in_process, name)
        if name == "states_":
            for part, equal in zip(one, other, strict=True):
                np.testing.assert_array_equal(part, equal)
        else:
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.slow
def test_large_counts_are_summed_on_workers(client, X, expected, monkeypatch):
    monkeypatch.setattr(dask_parts, "_LARGE_COUNTS", 0)
    monkeypatch.setattr(dask_parts, "_SUMMED_AT_ONCE", 2)  # two rounds
    with _noted_keys(client) as keys:
        fitted = _fit_on(client, _model(), X)
    _assert_same_draws(fitted, expected)
    n_sums = sum(key.startswith("hhmm_add") for key in keys)
    n_parts = sum(key.startswith("hhmm_update_states") for key in keys)
    assert n_sums * 8 == n_parts * 6  # eight parts: four pairs, then two


class DeadlySequence(HeldSequence):
    """A recording that takes more memory than workers have."""

    name = "mouse5"

    def read_runs(self):
        if _is_in_worker():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read_runs()


@pytest.mark.slow
def test_a_part_that_kills_its_workers_is_named(X, monkeypatch):
    monkeypatch.setattr(dask_parts, "_LARGE_COUNTS", 0)  # sums fail with it
    monkeypatch.setattr(dask_parts, "_SUMMED_AT_ONCE", 2)
    sequences = RunLengths.of(X).items()
    sequences[5] = DeadlySequence(*sequences[5].read_runs())
    model = _model()
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}), _started(1) as other:
        with pytest.raises(RuntimeError, match=r"Workers ended .* recordings? .*mouse5\b.*\. Give"):
            _fit_on(other, model, sequences)
        _assert_not_fitted(model)
        _assert_free(other)


SCHEDULER = """
import time
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1",
                      dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        time.sleep(600)
"""


@pytest.mark.slow
def test_a_scheduler_that_ends_is_an_error(X, tmp_path):
    script = tmp_path / "cluster.py"
    script.write_text(SCHEDULER)
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    model = _model()
    try:
        address = process.stdout.readline().strip()
        with (
            distributed.Client(address, set_as_default=False, timeout=5) as other,
            _in_sweeps(other, {3: process.kill}),
            pytest.raises(RuntimeError, match="The Dask scheduler lost the tasks of this fit"),
        ):
            _fit_on(other, model, X)
    finally:
        process.kill()
        process.wait()
    _assert_not_fitted(model)


DRIVER = """
import sys
import distributed, joblib, numpy as np
from hhmm._sequences import lanes
from tests._inference.test_dask import MANY, SMALL, _model

address, data, checkpoint = sys.argv[1:]
for name, value in SMALL.items():
    setattr(lanes, name, value)
with np.load(data) as file:
    X = [file[name] for name in file.files]
client = distributed.Client(address)
with joblib.parallel_config(backend="dask"):
    _model(max_iter=MANY).fit(X, checkpoint=checkpoint, checkpoint_every=3)
"""


@pytest.mark.slow
def test_a_fit_whose_process_was_killed_continues(client, X, tmp_path):
    data, path = tmp_path / "data.npz", tmp_path / "fit.npz"
    np.savez(data, *X)
    command = [sys.executable, "-c", DRIVER, client.scheduler.address, str(data), str(path)]
    process = subprocess.Popen(command)
    try:
        _wait_until(lambda: path.exists() or process.poll() is not None)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    _assert_free(client)
    assert 0 < int(np.load(path)["chain0.end.n_sweeps"]) < MANY
    resumed = _fit_on(client, _model(max_iter=MANY), X, checkpoint=path)
    _assert_same_bits(resumed, _fit_on(client, _model(max_iter=MANY), X))


@pytest.mark.slow
def test_fits_in_workers_are_made_there(client, X):
    """Those of a grid search and of a scan; a task that waits for others could wait for ever."""
    grid = {"trans_kappa": [2.0, 50.0]}
    searches = [GridSearchCV(_model(), grid, cv=2) for _ in range(2)]
    scans = []
    client.run(_share_little)  # so that fits in workers would be shared, if they could be
    try:
        with _noted_keys(client) as keys:
            for search, shared in zip(searches, (True, False), strict=True):
                with _shared_by(client) if shared else contextlib.nullcontext():
                    search.fit(X)
                    scans.append(scan(X, grid, estimator=_model(), cv=2, n_seeds=1, random_state=0))
    finally:
        client.run(_share_little, MIN_TASK_WORK=lanes.MIN_TASK_WORK)
    assert keys  # the best model of the search is fitted here, by the workers
    np.testing.assert_array_equal(*(s.cv_results_["mean_test_score"] for s in searches))
    np.testing.assert_array_equal(*(s.table["test_score"] for s in scans))
