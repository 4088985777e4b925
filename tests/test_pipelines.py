"""At home in scikit-learn: searches, pipelines, groups, metadata, on arrays and on ragged lists."""

import pickle

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline

from hhmm import EfficientHHMM
from hhmm.datasets import make_hhmm
from hhmm.model_selection import scan
from tests.published import PUBLISHED

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_SYLLABLES = 4


@pytest.fixture(scope="module")
def array():
    return make_hhmm(
        12, 60, 2, N_SYLLABLES, emission_biases_sigma=2.0, trans_kappa=20.0, random_state=0
    ).X


@pytest.fixture(scope="module")
def ragged(array):
    # of different lengths, and yet of one shape where packed: kernels of arrays are shared
    lengths = 2 * [60, 59, 58, 57, 56, 55]
    return [row[:n] for row, n in zip(array, lengths, strict=True)]


@pytest.fixture(name="X", params=["array", "ragged"])
def either(request):
    return request.getfixturevalue(request.param)


def _model(**parameters):
    given = {"n_syllables": N_SYLLABLES, "trans_kappa": 20.0, "max_iter": 4, "init": "prior"}
    return EfficientHHMM(2, algorithm="em", random_state=0, **PUBLISHED | given | parameters)


def _rows(X, index):
    return X[index] if isinstance(X, np.ndarray) else [X[i] for i in index]


def test_a_grid_search_scores_what_fits_by_hand_score(X):
    search = GridSearchCV(_model(), {"trans_kappa": [5.0, 50.0]}, cv=2).fit(X)
    assert len(search.best_estimator_.predict(X)) == 12
    assert search.score(X) == search.best_estimator_.score(X)
    for i, kappa in enumerate([5.0, 50.0]):
        for fold in range(2):
            test = np.arange(6 * fold, 6 * fold + 6)
            train = np.setdiff1d(np.arange(12), test)
            by_hand = _model(trans_kappa=kappa).fit(_rows(X, train)).score(_rows(X, test))
            assert search.cv_results_[f"split{fold}_test_score"][i] == by_hand


def test_groups_are_never_split(X):
    animals = np.repeat(["a", "b"], 6)
    result = cross_validate(
        _model(), X, groups=animals, cv=GroupKFold(2), return_indices=True, return_estimator=True
    )
    for train, test in zip(*result["indices"].values(), strict=True):
        assert not set(animals[train]) & set(animals[test])
    assert np.isfinite(result["test_score"]).all()


def test_learning_curve(ragged):
    sizes, train, test = learning_curve(_model(), ragged, None, train_sizes=[0.5, 1.0], cv=2)
    assert sizes.tolist() == [3, 6]
    assert np.isfinite(train).all()
    assert np.isfinite(test).all()


def test_halving(ragged):
    grid = {"trans_kappa": [5.0, 20.0, 50.0]}
    search = HalvingGridSearchCV(_model(), grid, cv=2, min_resources=6, random_state=0)
    assert search.fit(ragged, None).best_params_["trans_kappa"] in grid["trans_kappa"]


@pytest.mark.slow  # that processes find the same is in `test_dask`
def test_two_workers_find_what_one_finds(ragged):
    """In a search of scikit-learn and in a scan; both use the same two processes."""
    search = GridSearchCV(_model(), {"trans_kappa": [5.0, 50.0]}, cv=2)
    one = clone(search).fit(ragged)
    two = clone(search).set_params(n_jobs=2).fit(ragged)
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(two.cv_results_[name], one.cv_results_[name])
    np.testing.assert_array_equal(
        two.best_estimator_.trans_probs_, one.best_estimator_.trans_probs_
    )
    settings = {"estimator": _model(), "cv": 2, "n_seeds": 1, "random_state": 0}
    one = scan(ragged, {"trans_kappa": [5.0, 50.0]}, **settings).table
    with joblib.parallel_config(n_jobs=2):
        two = scan(ragged, {"trans_kappa": [5.0, 50.0]}, **settings).table
    assert list(two) == list(one)
    for name in set(one) - {"seconds"}:
        np.testing.assert_array_equal(two[name], one[name], err_msg=name)


def test_transform_names_its_columns(array):
    model = _model().set_output(transform="pandas").fit(array)
    frame = model.transform(array)
    assert list(frame.columns) == ["efficienthhmm0", "efficienthhmm1"]
    assert list(model.get_feature_names_out()) == list(frame.columns)
    np.testing.assert_allclose(frame.sum(axis=1), 1)


class TestMask:
    @pytest.fixture
    def mask(self, array):
        mask = np.random.default_rng(1).random(array.shape) < 0.8
        mask[:, :2] = True
        return mask

    def test_with_routing_a_search_slices_it_into_fit_and_score(self, array, mask):
        with sklearn.config_context(enable_metadata_routing=True):
            search = GridSearchCV(_model(), {"trans_kappa": [5.0]}, cv=2).fit(array, mask=mask)
        encoded = np.where(mask, array, -1)
        by_hand = GridSearchCV(_model(), {"trans_kappa": [5.0]}, cv=2).fit(encoded)
        for fold in range(2):
            name = f"split{fold}_test_score"
            np.testing.assert_array_equal(search.cv_results_[name], by_hand.cv_results_[name])

    def test_with_routing_a_pipeline_hands_it_on(self, array, mask):
        with sklearn.config_context(enable_metadata_routing=True):
            pipeline = make_pipeline(_model()).fit(array, mask=mask)
            states = pipeline.predict(array, mask=mask)
            score = pipeline.score(array, mask=mask)
        model = _model().fit(array, mask=mask)
        np.testing.assert_array_equal(states, model.predict(array, mask=mask))
        assert score == model.score(array, mask=mask)

    def test_requests_are_declared(self):
        request = sklearn.utils.metadata_routing.get_routing_for_object(_model())
        for method in ("fit", "predict", "predict_proba", "score", "transform"):
            assert getattr(request, method).requests["mask"] is True, method

    def test_without_routing_a_search_hands_it_to_fit_alone(self, array, mask):
        """The score of a fold then sees every timestep: why missing values belong into X."""
        search = GridSearchCV(_model(), {"trans_kappa": [5.0]}, cv=2).fit(array, mask=mask)
        test = np.arange(6)
        train = np.arange(6, 12)
        model = _model(trans_kappa=5.0).fit(array[train], mask=mask[train])
        assert search.cv_results_["split0_test_score"][0] == model.score(array[test])

    def test_without_routing_the_score_of_a_pipeline_drops_it(self, array, mask):
        pipeline = make_pipeline(_model()).fit(array, efficienthhmm__mask=mask)
        assert pipeline.score(array, mask=mask) == pipeline.score(array)


def test_a_weighted_score_counts_a_sequence_as_often_as_its_weight(ragged):
    model = _model().fit(ragged)
    weight = np.array([2, 0, 1] * 4)
    repeated = [x for x, n in zip(ragged, weight, strict=True) for _ in range(n)]
    assert model.score(ragged, sample_weight=weight) == pytest.approx(model.score(repeated))
    with pytest.raises(ValueError, match="sample_weight"):
        model.score(ragged, sample_weight=-weight)
    with pytest.raises(ValueError, match="not be 0 throughout"):
        model.score(ragged, sample_weight=0 * weight)
    with pytest.raises(ValueError, match="sequence of positive weight must have two"):
        model.score([ragged[0], ragged[1][:1]], sample_weight=[0, 1])


def test_a_fitted_pipeline_survives_pickling(ragged):
    pipeline = make_pipeline(_model()).fit(ragged)
    again = pickle.loads(pickle.dumps(pipeline))
    for mine, its in zip(pipeline.predict(ragged), again.predict(ragged), strict=True):
        np.testing.assert_array_equal(mine, its)


def test_the_html_of_a_notebook_is_short_and_names_the_model(array):
    model = _model()
    unfitted, fitted = model._repr_html_(), model.fit(array)._repr_html_()
    assert "EfficientHHMM" in unfitted
    assert "Not fitted" in unfitted
    assert "Fitted" in fitted
    assert len(_model(init=[np.zeros(60, int)] * 300)._repr_html_()) < 2 * len(unfitted)
