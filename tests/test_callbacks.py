"""Callbacks: told of every sweep, able to end a chain, and nothing of them in what is saved."""

import copy
import pickle
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from hhmm import EfficientHHMM
from hhmm._optional import sklearn_callbacks
from hhmm.callbacks import FitMonitor
from hhmm.datasets import make_hhmm
from tests.published import PUBLISHED

pytestmark = [
    pytest.mark.skipif(not sklearn_callbacks.HAS_CALLBACKS, reason="scikit-learn before 1.9"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.fixture(scope="module")
def data():
    return make_hhmm(8, 60, 2, 4, emission_biases_sigma=2.0, trans_kappa=20.0, random_state=0)


def _model(**parameters):
    given = {"trans_kappa": 20.0, "max_iter": 8, "n_draws": 5, "init": "prior", **parameters}
    return EfficientHHMM(2, 4, random_state=0, **PUBLISHED | given)


class Recorder:
    """Writes down every call; ends chains after a sweep, or fails there."""

    def __init__(self, stop_after=None, fail_after=None):
        self.stop_after, self.fail_after = stop_after, fail_after
        self.calls, self.fitted, self.threads = [], [], set()

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X=None, metadata=None, fitted_estimator=None):
        self.calls.append(("end", context.task_name, context.task_id))
        self.X, self.metadata = X, metadata
        self.fitted.append(fitted_estimator)
        self.threads.add(threading.get_ident())
        if context.task_name == "sweep":
            if context.task_id == self.fail_after:
                raise RuntimeError("the callback failed")
            return context.task_id == self.stop_after
        return False


@pytest.mark.parametrize("algorithm", ["gibbs", "em"])
def test_every_sweep_is_told_and_none_is_changed(data, algorithm):
    plain = _model(algorithm=algorithm).fit(data.X)
    recorder = Recorder()
    watched = _model(algorithm=algorithm).set_callbacks(recorder).fit(data.X)
    np.testing.assert_array_equal(watched.log_joint_, plain.log_joint_)
    np.testing.assert_array_equal(watched.trans_probs_, plain.trans_probs_)
    sweeps = [call for call in recorder.calls if call[1] == "sweep"]
    assert sweeps == [(what, "sweep", i) for i in range(plain.n_iter_) for what in ("begin", "end")]
    assert recorder.calls[:2] == ["setup", ("begin", "fit", 0)]
    assert recorder.calls[-2:] == [("end", "fit", 0), "teardown"]
    assert recorder.X is data.X
    last = recorder.fitted[-2]  # of the last sweep
    assert last.score(data.X) < 0
    np.testing.assert_array_equal(last.log_joint_, plain.log_joint_)


def test_the_estimator_of_a_sweep_has_the_parameters_of_that_sweep(data):
    recorder = Recorder()
    _model().set_callbacks(recorder).fit(data.X)
    for i in (0, 3):
        fitted = recorder.fitted[i]
        assert fitted.log_joint(data.X) == pytest.approx(fitted.log_joint_[0, -1], rel=1e-7)
        assert fitted.log_joint_.shape == (1, i + 1)


def test_each_of_several_chains_is_a_task(data):
    recorder = Recorder()
    plain = _model(n_chains=3).fit(data.X)
    watched = _model(n_chains=3).set_callbacks(recorder).fit(data.X)
    np.testing.assert_array_equal(watched.log_joint_, plain.log_joint_)
    assert [call for call in recorder.calls if call[:2] == ("begin", "chain")] == [
        ("begin", "chain", i) for i in range(3)
    ]
    assert sum(call[:2] == ("end", "sweep") for call in recorder.calls) == 3 * 8
    assert recorder.calls[-1] == "teardown"


@pytest.mark.parametrize(("stop_after", "n_draws"), [(1, 1), (5, 2)])
def test_a_callback_ends_a_chain(data, stop_after, n_draws):
    """Of 8 sweeps the draws of 4 to 7 are kept; of a chain ended in its first half, the last."""
    plain = _model().fit(data.X)
    model = _model().set_callbacks(Recorder(stop_after)).fit(data.X)
    assert model.n_iter_ == stop_after + 1
    np.testing.assert_array_equal(model.log_joint_, plain.log_joint_[:, : stop_after + 1])
    kept = model.posterior_.log_joint
    assert kept.shape == (1, n_draws)
    np.testing.assert_array_equal(
        kept[0], plain.log_joint_[0, stop_after + 1 - n_draws : stop_after + 1]
    )
    assert model.predict_proba(data.X, average=True).shape == (8, 60, 2)


def test_chains_that_end_apart_keep_as_many_draws_each(data):
    class StopSecond(Recorder):
        def on_fit_task_end(self, estimator, context):
            return (
                context.task_name == "sweep"
                and context.parent.task_id == 1
                and context.task_id == 5
            )

    model = _model(n_chains=2).set_callbacks(StopSecond()).fit(data.X)
    assert model.n_iter_ == 8
    assert model.posterior_.log_joint.shape == (2, 2)
    assert (model.log_joint_[1, 6:] == model.log_joint_[1, 5]).all()
    assert model.to_arviz().sample_stats["lp"].shape == (2, 2)


def test_a_callback_that_fails_leaves_the_model_as_it_was(data):
    recorder = Recorder(fail_after=2)
    model = _model().fit(data.X)
    before = copy.deepcopy({name: value for name, value in vars(model).items()})
    model.set_callbacks(recorder)
    with pytest.raises(RuntimeError, match="the callback failed"):
        model.fit(data.X)
    assert recorder.calls[-1] == "teardown"
    after = {name: value for name, value in vars(model).items() if name != "_skl_callbacks"}
    assert after.keys() == before.keys()
    np.testing.assert_array_equal(after["trans_probs_"], before["trans_probs_"])


@pytest.mark.parametrize("when", ["setup", "on_fit_task_begin", "on_fit_task_end"])
def test_a_callback_that_changes_a_parameter_is_told(data, when):
    recorder = Recorder()

    def change(estimator, context, **_):
        if when == "setup" or context.task_name == "sweep":
            estimator.set_params(n_states=3)

    setattr(recorder, when, change)
    model = _model().set_callbacks(recorder)
    changed = "a callback changed n_states from 2 to 3 during the fit: expected parameters that"
    with pytest.raises(ValueError, match=changed):
        model.fit(data.X)
    assert not hasattr(model, "trans_probs_")


def test_callbacks_are_not_pickled_with_a_model(data):
    class NotToBePickled(Recorder):
        def __reduce__(self):
            raise TypeError("a callback was pickled")

    model = _model().set_callbacks(NotToBePickled()).fit(data.X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(data.X), model.predict(data.X))
    assert not hasattr(again, "_skl_callbacks")


@pytest.mark.parametrize(("n_chains", "x64"), [(1, False), (2, True)])
def test_callbacks_compute_at_the_precision_of_the_caller(data, n_chains, x64):
    dtypes = []

    def note(*_, **__):
        dtypes.append(jnp.zeros(()).dtype)

    class Computer:
        setup = teardown = on_fit_task_begin = on_fit_task_end = staticmethod(note)

    model = _model(max_iter=2, n_chains=n_chains).set_callbacks(Computer())
    with jax.enable_x64(x64):
        model.fit(data.X)
    assert len(dtypes) > 4 * n_chains
    assert set(dtypes) == {np.dtype(np.float64 if x64 else np.float32)}


def test_a_clone_keeps_them(data):
    recorder = Recorder()
    clone(_model().set_callbacks(recorder)).fit(data.X)
    assert recorder.calls


def test_the_monitor_of_scikit_learn_scores_every_sweep(data):
    from sklearn.callback import ScoringMonitor

    def score(model, X, y):
        return model.score(X, y)

    monitor, recorder = ScoringMonitor(scoring={"score": score}), Recorder()
    model = _model().set_callbacks(monitor, recorder)
    model.fit(data.X, np.zeros(8))  # it scores only where there is a y
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "sweep"]
    expected = [fitted.score(data.X) for fitted in recorder.fitted[:-1]]
    assert [row["score"] for row in rows] == expected


def test_the_progress_bar_of_scikit_learn_on_a_search(data, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    fold = np.arange(8), np.arange(8)  # the shape of other fits
    search = GridSearchCV(_model(), {"trans_kappa": [5.0, 20.0]}, cv=[fold])
    search.set_callbacks(ProgressBar()).fit(data.X)
    shown = capsys.readouterr().out
    assert "EfficientHHMM" in shown
    assert "100%" in shown


class TestFitMonitor:
    def test_records_log_joint_and_score(self, data):
        monitor = FitMonitor(data.X[::-1], every=3)
        model = _model().set_callbacks(monitor).fit(data.X)
        assert [row["log_joint"] for row in monitor.records] == model.log_joint_[0].tolist()
        scored = [row["sweep"] for row in monitor.records if row["score"] is not None]
        assert scored == [2, 5]
        frame = monitor.to_frame()
        assert frame.columns.tolist() == ["chain", "sweep", "log_joint", "score"]
        assert len(frame) == 8

    def test_is_new_for_every_fit(self, data):
        monitor = FitMonitor()
        model = _model().set_callbacks(monitor).fit(data.X)
        model.fit(data.X)
        assert len(monitor.records) == 8

    def test_ends_a_fit_that_no_longer_rises(self, data):
        monitor = FitMonitor(patience=2, tol=1e9)
        model = _model(n_chains=2).set_callbacks(monitor).fit(data.X)
        assert model.n_iter_ == 3
        assert sorted(row["chain"] for row in monitor.records) == [0, 0, 0, 1, 1, 1]

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [({"every": 0}, "every"), ({"patience": 0}, "patience"), ({"tol": -1.0}, "tol")],
    )
    def test_bad_parameters(self, parameters, message):
        with pytest.raises(ValueError, match=message):
            FitMonitor(**parameters)


def test_a_fit_that_goes_on_counts_the_sweeps_before(data, tmp_path):
    path, monitor = tmp_path / "fit.npz", FitMonitor()
    _model(max_iter=4).fit(data.X, checkpoint=path)
    model = _model(max_iter=7).set_callbacks(monitor).fit(data.X, checkpoint=path)
    assert [row["sweep"] for row in monitor.records] == [4, 5, 6]
    np.testing.assert_array_equal(
        [row["log_joint"] for row in monitor.records], model.log_joint_[0, 4:]
    )
