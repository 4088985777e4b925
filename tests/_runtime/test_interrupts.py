"""Ctrl-C, and whatever else ends a fit: what was computed is kept, or all is as it was."""

import io
import os
import signal
import sys
import threading
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from hhmm import EfficientHHMM
from hhmm._inference import loop, search
from hhmm._runtime import interrupts
from hhmm._runtime.progress import Progress
from hhmm.datasets import make_hhmm
from hhmm.model_selection import scan
from tests.published import PUBLISHED


@pytest.fixture(scope="module")
def data():
    return make_hhmm(8, 60, 2, 4, emission_biases_sigma=2.0, trans_kappa=20.0, random_state=0)


@pytest.fixture(autouse=True)
def default_handler(monkeypatch):
    """As in a user's program: a process that runs tests may handle interrupts itself."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(interrupts, "_last", float("-inf"))
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def interrupt_at(monkeypatch):
    """A function: interrupt when a chain has reported for the n-th time, for each n given."""

    def set_up(*numbers):
        report, n_reports = Progress.report, []

        def report_and_interrupt(self, *arguments):
            report(self, *arguments)
            n_reports.append(None)
            if len(n_reports) in numbers:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Progress, "report", report_and_interrupt)

    return set_up


def _model(**parameters):
    defaults = {"init": "prior", "random_state": 0, "max_iter": 200, "n_draws": 5}
    return EfficientHHMM(2, 4, **PUBLISHED | defaults | parameters)


def _quiet_fit(model, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*arguments, **options)


def test_where_warnings_are_errors_the_sweeps_done_are_kept(data, interrupt_at):
    interrupt_at(3)
    model = _model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning, match="was interrupted after 7 of 200 sweeps"):
            model.fit(data.X)
    assert model.n_iter_ == 7


@pytest.mark.parametrize("algorithm", ["gibbs", "em"])
def test_the_first_interrupt_leaves_a_model_fitted_on_the_sweeps_done(
    data, interrupt_at, algorithm
):
    parameters = {"algorithm": algorithm, "tol": 0.0, "random_state": 1}
    whole = _quiet_fit(_model(**parameters), data.X)
    interrupt_at(3)
    model = _model(**parameters)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(data.X)
    (message,) = {str(warning.message) for warning in caught}
    assert message == (
        f"the fit was interrupted after {model.n_iter_} of 200 sweeps: the model is fitted on "
        "those. To go on, fit again with warm_start=True"
    )
    assert 3 <= model.n_iter_ < whole.n_iter_
    assert not model.converged_
    np.testing.assert_array_equal(model.log_joint_, whole.log_joint_[:, : model.n_iter_])
    assert model.predict(data.X).shape == data.X.shape


def test_a_fit_goes_on_after_an_interrupt(data, interrupt_at, monkeypatch):
    whole = _quiet_fit(_model(), data.X)
    with monkeypatch.context():
        interrupt_at(2)
        model = _quiet_fit(_model(), data.X)
    n_done = model.n_iter_
    model.set_params(warm_start=True, max_iter=200 - n_done)
    _quiet_fit(model, data.X)
    np.testing.assert_array_equal(model.log_joint_, whole.log_joint_[:, n_done:])


def test_a_checkpoint_holds_what_an_interrupted_fit_did(data, interrupt_at, tmp_path):
    whole, path = _quiet_fit(_model(), data.X), tmp_path / "fit.npz"
    interrupt_at(3)
    with pytest.warns(ConvergenceWarning, match="fit again with the same checkpoint"):
        interrupted = _model().fit(data.X, checkpoint=path, checkpoint_every=64)
    assert interrupted.n_iter_ == 7  # dispatches of 1, 2 and 4 sweeps
    with np.load(path) as file:
        assert file["chain0.end.n_sweeps"] == 7
    resumed = _quiet_fit(_model(), data.X, checkpoint=path)
    np.testing.assert_array_equal(resumed.log_joint_, whole.log_joint_)
    np.testing.assert_array_equal(resumed.states_, whole.states_)


def test_the_second_interrupt_stops_at_once_and_changes_nothing(data, interrupt_at, monkeypatch):
    model = _quiet_fit(_model(max_iter=2), data.X)
    before = dict(vars(model))

    def twice(self, *arguments):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "report", twice)
    with pytest.raises(KeyboardInterrupt):
        model.fit(data.X[::-1])
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


def test_an_interrupt_of_the_next_fit_soon_after_stops_at_once(data, interrupt_at, monkeypatch):
    """One Ctrl-C a fit would end no grid search."""
    interrupt_at(1, 3, 4)
    first = _quiet_fit(_model(), data.X)
    assert first.n_iter_ == 1
    with pytest.raises(KeyboardInterrupt):
        _quiet_fit(_model(), data.X)
    monkeypatch.setattr(interrupts, "_last", float("-inf"))  # much later
    assert _quiet_fit(_model(), data.X).n_iter_ == 1


def test_before_the_first_sweep_there_is_nothing_to_keep(data, monkeypatch):
    def interrupted(*_, **__):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("hhmm._inference.starts.initialise.start_from_prior", interrupted)
    model = _model()
    with pytest.raises(KeyboardInterrupt):
        model.fit(data.X)
    assert not hasattr(model, "trans_probs_")


def test_an_interrupt_ends_the_search_for_a_start(data, monkeypatch, capsys, tmp_path):
    """The fit is one sweep from the best start so far."""
    climb, n_calls = search.iterate, []

    def climb_and_interrupt(*arguments, **options):
        n_calls.append(None)
        if len(n_calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)  # to the main thread, which waits
        return climb(*arguments, **options)

    monkeypatch.setattr(search, "iterate", climb_and_interrupt)
    with pytest.raises(KeyboardInterrupt):  # else the fit would continue from another start
        _model(init="windows").fit(data.X, checkpoint=tmp_path / "fit.npz")
    assert not (tmp_path / "fit.npz").exists()
    n_calls.clear()
    model = _model(init="windows", n_chains=2, verbose=1)
    with pytest.warns(ConvergenceWarning, match="interrupted after 1 of 200 sweeps"):
        model.fit(data.X)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Search")]
    assert len(printed) == 1  # rounds after the first are left out
    assert "15 iterations of EM from" in printed[0]
    assert model.predict(data.X).shape == data.X.shape


@pytest.mark.parametrize(("n_done", "n_left"), [(3, 1), (25, 1), (45, 1), (70, 2)])
def test_chains_that_have_draws_count(data, interrupt_at, monkeypatch, n_done, n_left):
    """Chains run one after the other here: the first one alone, or whole and the next in part."""
    monkeypatch.setattr(joblib, "effective_n_jobs", lambda _: 1)
    monkeypatch.setattr(loop, "MAX_SWEEPS_PER_CALL", 1)
    model = _model(n_chains=3, max_iter=40)
    whole = _quiet_fit(clone(model), data.X)
    interrupt_at(n_done)
    with pytest.warns(ConvergenceWarning, match=r"of \d of 3 chains"):
        model.fit(data.X)
    n_each = min(n_done, 40)
    assert model.log_joint_.shape == (n_left, n_each)
    np.testing.assert_array_equal(model.log_joint_[0], whole.log_joint_[0, :n_each])
    assert model.posterior_.log_joint.shape[0] == n_left


def test_a_fit_in_another_thread_leaves_interrupts_alone(data):
    fitted = []
    thread = threading.Thread(target=lambda: fitted.append(_quiet_fit(_model(max_iter=3), data.X)))
    thread.start()
    thread.join()
    assert fitted[0].n_iter_ == 3


def test_a_handler_of_the_user_stays(data, interrupt_at):
    heard = []
    signal.signal(signal.SIGINT, lambda *_: heard.append(None))
    interrupt_at(1)
    model = _quiet_fit(_model(max_iter=5), data.X)
    assert heard == [None]
    assert model.n_iter_ == 5
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_scan_keeps_no_part_of_a_fit(data, interrupt_at, tmp_path):
    arguments = {"cv": 2, "n_seeds": 1, "random_state": 0, "estimator": _model(max_iter=8)}
    path = tmp_path / "scan.jsonl"
    expected = scan(data.X, {"n_states": [2]}, **arguments)
    interrupt_at(8)  # in the second fit, after a write
    with pytest.raises(KeyboardInterrupt):
        scan(data.X, {"n_states": [2]}, checkpoint=path, checkpoint_every=2, **arguments)
    assert path.read_bytes().count(b"\n") == 2
    assert len(list(tmp_path.iterdir())) == 2
    resumed = scan(data.X, {"n_states": [2]}, checkpoint=path, checkpoint_every=2, **arguments)
    assert [file.name for file in tmp_path.iterdir()] == ["scan.jsonl"]
    for name in ("test_score", "log_joint", "median_duration", "n_iter"):
        np.testing.assert_array_equal(resumed.table[name], expected.table[name])


def test_a_fit_outlives_its_progress_bar(data, monkeypatch):
    class Gone:
        def write(self, _):
            raise BrokenPipeError("the terminal is gone")

        def flush(self):
            raise BrokenPipeError("the terminal is gone")

    model = _model(verbose=1, max_iter=8)
    expected = _quiet_fit(clone(model).set_params(verbose=0), data.X)
    monkeypatch.setitem(sys.modules, "tqdm", None)  # which copes with that itself
    monkeypatch.setattr("sys.stdout", Gone())
    with pytest.warns(UserWarning, match="progress is no longer shown"):
        _quiet_fit(model, data.X)
    np.testing.assert_array_equal(model.log_joint_, expected.log_joint_)


@pytest.mark.parametrize("has_tqdm", [True, False])
def test_a_fit_outlives_closed_streams(data, monkeypatch, has_tqdm):
    closed = io.StringIO()
    closed.close()
    model = _model(verbose=1, max_iter=8)
    expected = _quiet_fit(clone(model).set_params(verbose=0), data.X)
    if not has_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    for name in ("sys.stdout", "sys.stderr"):
        monkeypatch.setattr(name, closed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data.X)
    np.testing.assert_array_equal(model.log_joint_, expected.log_joint_)
