"""The estimator as a user sees it: forms of input and output, attributes, persistence."""

import copy
import pickle
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from hhmm import EfficientHHMM
from hhmm._emission_solvers import hmc
from hhmm._inference import compiled, convergence
from hhmm.datasets import load_bengalese_finch, make_hhmm
from hhmm.metrics import matched_accuracy
from tests import oracles
from tests.published import PUBLISHED

FRAME_METHODS = ["predict", "predict_proba", "filter_proba", "sample_states"]
STATE_METHODS = ["predict", "sample_states"]


@pytest.fixture(scope="module")
def data():
    return make_hhmm(20, 100, 3, 6, random_state=0)


@pytest.fixture(scope="module")
def example():
    """Data as in the examples of the package: fits to them share one compiled program."""
    return make_hhmm(24, 200, n_states=2, n_syllables=5, random_state=0)


def _model(**settings):
    """The published model. All fits of it to `data` share one compiled program."""
    given = {"n_states": 3, "max_iter": 40, "init": "prior", "random_state": 0}
    return EfficientHHMM(**PUBLISHED | given | settings)


def _default(**settings):
    """A model with default settings, for `example`."""
    given = {"n_states": 2, "max_iter": 60, "init": "prior", "random_state": 0}
    return EfficientHHMM(**given | settings)


@pytest.fixture(scope="module")
def fitted(data):
    return _model().fit(data.X)


@pytest.fixture(scope="module")
def fitted_by_default(example):
    return _default().fit(example.X)


def _call(model, method, X, **kwargs):
    if method == "sample_states":
        kwargs["random_state"] = 0
    return getattr(model, method)(X, **kwargs)


def test_fitted_attributes_have_their_shapes(fitted, data):
    assert fitted.emission_base_.shape == (6, 5)
    assert fitted.emission_biases_.shape == (2, 5)
    assert fitted.trans_probs_.shape == (3, 3)
    assert fitted.syllable_trans_probs_.shape == (3, 6, 6)
    assert fitted.states_.shape == data.X.shape
    assert fitted.log_joint_.shape == (1, 40)
    assert fitted.posterior_.emission_base.shape == (1, 20, 6, 5)
    assert fitted.posterior_.emission_biases.shape == (1, 20, 2, 5)
    assert fitted.posterior_.trans_probs.shape == (1, 20, 3, 3)
    assert fitted.posterior_.log_joint.shape == (1, 20)
    assert fitted.emission_losses_.ndim == 1
    assert np.isfinite(fitted.emission_losses_).all()
    assert (fitted.n_iter_, fitted.n_syllables_, fitted.n_features_in_) == (40, 6, 100)
    assert isinstance(fitted.converged_, bool)


def test_transitions_are_the_mean_of_the_draws(fitted):
    posterior = fitted.posterior_
    np.testing.assert_allclose(fitted.trans_probs_, posterior.trans_probs[0].mean(0))
    np.testing.assert_allclose(fitted.trans_probs_.sum(1), 1)
    np.testing.assert_array_equal(posterior.log_joint[0], fitted.log_joint_[0, 20:])


def test_syllable_trans_probs_follow_the_parameters(fitted):
    model = oracles.Model(fitted.emission_base_, fitted.emission_biases_, fitted.trans_probs_)
    np.testing.assert_allclose(fitted.syllable_trans_probs_, oracles.syllable_trans_probs(model))


def test_states_are_numbered_by_falling_usage(fitted):
    usage = np.bincount(fitted.states_.ravel(), minlength=3)
    assert (np.diff(usage) <= 0).all()


def test_states_and_parameters_share_their_numbering(fitted, data):
    """The state that a bout of states_ names is the one whose parameters explain it."""
    assert matched_accuracy(fitted.states_, fitted.predict(data.X)) > 0.8
    assert np.mean(fitted.states_ == fitted.predict(data.X)) > 0.8


def test_a_fit_recovers_the_states(fitted, data):
    truth = EfficientHHMM.from_params(
        data.emission_base, data.emission_biases, data.trans_probs, **PUBLISHED
    )
    best = matched_accuracy(data.states, truth.predict(data.X))
    assert matched_accuracy(data.states, fitted.predict(data.X)) > best - 0.05
    # parameters at a mode of the same height: a Gibbs draw lies about d / 2 nats below it
    n_params = 6 * 5 + 2 * 5 + 3 * 2
    assert fitted.log_joint_[0, -1] > truth.log_joint(data.X) - n_params


def test_log_joint_is_likelihood_plus_prior(data):
    model = EfficientHHMM.from_params(
        data.emission_base, data.emission_biases, data.trans_probs, trans_kappa=7.0, **PUBLISHED
    )
    oracle = oracles.Model(data.emission_base, data.emission_biases, data.trans_probs)
    expected = model.score_samples(data.X).sum() + oracles.log_prior(oracle, 1, 1, 1, 7.0)
    np.testing.assert_allclose(model.log_joint(data.X), expected)


def test_score_is_per_observed_transition(fitted, data):
    X = data.X.copy()
    X[:, 50] = -1
    total = fitted.score_samples(X).sum()
    np.testing.assert_allclose(fitted.score(X), total / (20 * 97))
    assert isinstance(fitted.score(X), float)


@pytest.mark.parametrize("method", FRAME_METHODS)
def test_every_form_of_input_gives_the_same(method, fitted, data):
    """2-D integers are the reference; missing timesteps in every way there is to say so."""
    missing = np.zeros(data.X.shape, bool)
    missing[0, 90:] = missing[1, 5:9] = missing[2, 0] = True
    X = np.where(missing, -1, data.X)
    expected = _call(fitted, method, X)
    with_nan = np.where(missing, np.nan, data.X)
    forms = {
        "masked array": (np.ma.MaskedArray(data.X, missing), {}),
        "mask": (data.X, {"mask": ~missing}),
        "NaN": (with_nan, {}),
        "other negative": (np.where(missing, -7, data.X), {}),
        "object": (X.astype(object), {}),
        "data frame": (pd.DataFrame(X), {}),
        "nullable data frame": (pd.DataFrame(with_nan).astype("Int64"), {}),
        "int8": (X.astype(np.int8), {}),
        "Fortran order": (np.asfortranarray(X), {}),
        "uint8 and mask": (data.X.astype(np.uint8), {"mask": ~missing}),
        "masked uint64": (np.ma.MaskedArray(data.X.astype(np.uint64), missing), {}),
    }
    for name, (form, kwargs) in forms.items():
        found = _call(fitted, method, form, **kwargs)
        np.testing.assert_array_equal(found, expected, err_msg=name)
    ragged = np.empty(20, object)
    ragged[:] = list(X)
    lists = {
        "list": list(X),
        "list of lists": X.tolist(),
        "tuple": tuple(X),
        "object array of sequences": ragged,
        "series of sequences": pd.Series(list(X)),
        "list of masked arrays": list(np.ma.MaskedArray(data.X, missing)),
        "list of series": [pd.Series(row) for row in X],
    }
    for name, form in lists.items():
        found = _call(fitted, method, form)
        assert isinstance(found, list)
        np.testing.assert_array_equal(np.array(found), expected, err_msg=name)


@pytest.mark.parametrize("method", FRAME_METHODS)
def test_output_mirrors_the_input(method, fitted, data):
    X = data.X.copy()
    X[3, 80:] = -1
    found = _call(fitted, method, X)
    assert found.shape[:2] == X.shape
    if method in STATE_METHODS:
        assert found.dtype == np.int32
        assert (found[3, 80:] == -1).all()
        assert found[3, :80].min() >= 0
    else:
        assert np.isnan(found[3, 80:]).all()
        np.testing.assert_allclose(np.delete(found, np.s_[3], 0).sum(-1), 1, rtol=1e-5)
    ragged = [X[3], X[0, :10], X[1, :33]]
    assert [len(part) for part in _call(fitted, method, ragged)] == [100, 10, 33]


def test_predictions_match_enumeration(data):
    """Through the public interface: parameters from outside, a missing timestep, a mask."""
    model = oracles.random_model(np.random.default_rng(0), 3, 4)
    estimator = EfficientHHMM.from_params(*model)
    x = np.array([0, 3, -1, 2, 2, 1])
    np.testing.assert_allclose(
        estimator.predict_proba([x])[0], oracles.smoothed(model, x), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        estimator.filter_proba([x])[0], oracles.filtered(model, x), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        estimator.score_samples([x]), oracles.log_likelihood(model, x), rtol=1e-6
    )
    paths, joint = oracles.path_probs(model, x)
    log_prob, states = estimator.decode([x])
    np.testing.assert_array_equal(states[0], paths[joint.argmax()])
    np.testing.assert_allclose(log_prob, np.log(joint.max()))


def test_order_and_company_of_sequences_change_nothing(fitted, data):
    ragged = [row[:n] for row, n in zip(data.X, range(5, 100, 5), strict=False)]
    together = fitted.predict_proba(ragged)
    backwards = fitted.predict_proba(ragged[::-1])[::-1]
    for i, x in enumerate(ragged):
        np.testing.assert_allclose(together[i], backwards[i], atol=1e-6)
        if i % 6 == 0:
            np.testing.assert_allclose(together[i], fitted.predict_proba([x])[0], atol=1e-6)


def test_equal_seeds_give_equal_fits(example, fitted_by_default):
    def fit(seed):
        return _default(random_state=seed).fit(example.X)

    a, b, c = fit(1), fit(np.random.RandomState(1)), fitted_by_default
    np.testing.assert_array_equal(a.log_joint_, b.log_joint_)
    np.testing.assert_array_equal(a.states_, b.states_)
    assert (a.log_joint_ != c.log_joint_).any()
    rng = np.random.RandomState(1)
    assert (fit(rng).log_joint_ != fit(rng).log_joint_).any()  # a RandomState moves on


def test_a_search_for_a_start_runs(example):
    assert np.isfinite(_default(init="windows").fit(example.X).log_joint_).all()


@pytest.mark.slow  # a quick fit with adam is in `test_bad_input`
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # adam from zero
@pytest.mark.parametrize("init", ["prior", "windows"])
def test_adam_runs(data, init):
    model = _model(init=init, emission_solver="adam").fit(data.X)
    assert np.isfinite(model.log_joint_).all()


def test_a_start_at_given_states_starts_there(data):
    """From the true states the first sweep is where a chain from the prior is not yet."""
    start = _model(init=data.states).fit(data.X)
    truth = EfficientHHMM.from_params(
        data.emission_base, data.emission_biases, data.trans_probs, **PUBLISHED
    )
    assert start.log_joint_[0, 0] > truth.log_joint(data.X) - 60
    random = _model(init="random").fit(data.X)
    assert random.log_joint_[0, 0] < start.log_joint_[0, 0] - 100


def test_init_as_a_list_of_states(data):
    lengths = 5 * [60, 70, 80, 100]
    X = [row[:n] for row, n in zip(data.X, lengths, strict=True)]
    states = [row[:n] for row, n in zip(data.states, lengths, strict=True)]
    model = _model(init=states).fit(X)
    assert [len(row) for row in model.states_] == lengths


def test_one_state_is_a_markov_chain(data):
    """K = 1: the emissions have the posterior of a softmax-normal Markov chain, no biases."""
    model = _model(n_states=1, max_iter=200, n_draws=100).fit(data.X)
    assert model.emission_biases_.shape == (0, 5)
    np.testing.assert_array_equal(model.trans_probs_, [[1.0]])
    assert (model.predict(data.X) == 0).all()
    _, counts = oracles.count_transitions(data.X, np.zeros_like(data.X), 1, 6)
    dense = oracles.EmissionPosterior(counts, 1.0, 1.0)
    mode = dense.mode()
    sd = np.sqrt(np.diag(np.linalg.inv(dense.hessian(mode))) / 100)
    z = (model.emission_base_.ravel() - mode) / sd
    # 30 z-scores of the mean of 100 independent draws, Bonferroni at 1e-4
    assert np.abs(z).max() < scipy.stats.norm.isf(1e-4 / 60)


def test_missing_data_at_fit(example):
    X = example.X.copy()
    X[:, 10:13] = -1
    X[4, 40:] = -1
    model = _default().fit(X)
    assert (model.states_[4, 40:] == -1).all()
    assert (model.states_[4, :40] >= 0).all()
    masked = _default().fit(example.X, mask=X >= 0)
    np.testing.assert_array_equal(masked.log_joint_, model.log_joint_)


def test_n_syllables_can_exceed_the_labels_of_the_data(data):
    model = _model(n_syllables=6).fit(data.X % 4)
    assert model.n_syllables_ == 6
    assert np.isfinite(model.score([[4, 5, 4, 0]]))


def test_transform_is_the_fraction_of_time_by_predict(fitted, data):
    usage = fitted.transform(data.X)
    states = fitted.predict(data.X)
    expected = [[np.mean(row == k) for k in range(3)] for row in states]
    np.testing.assert_allclose(usage, expected)
    names = ["efficienthhmm0", "efficienthhmm1", "efficienthhmm2"]
    assert list(fitted.get_feature_names_out()) == names
    frame = copy.copy(fitted).set_output(transform="pandas").transform(data.X)
    assert list(frame.columns) == names
    assert np.isnan(fitted.transform([data.X[0], []])[1]).all()


def test_fit_predict_and_fit_transform(data):
    model = _model()
    mask = np.ones(data.X.shape, bool)
    mask[::2, -5:] = False
    states = model.fit_predict(data.X, mask=mask)
    np.testing.assert_array_equal(states, model.predict(data.X, mask=mask))
    usage = model.fit_transform(data.X, mask=mask)
    np.testing.assert_array_equal(usage, model.transform(data.X, mask=mask))


def test_sample_simulates_from_the_model(fitted):
    X, states = fitted.sample(300, 40, random_state=0)
    assert X.shape == states.shape == (300, 40)
    trans, _ = oracles.count_transitions(X, states, 3, 6)
    for observed, probs in zip(trans, fitted.trans_probs_, strict=True):
        assert oracles.chi_square_p_value(observed, observed.sum() * probs) > 1e-4
    np.testing.assert_array_equal(X, fitted.sample(300, 40, random_state=0)[0])
    assert (fitted.sample(300, 40, random_state=1)[0] != X).any()
    assert fitted.sample()[0].shape == (1, 100)
    assert fitted.sample(2, 1)[1].shape == (2, 1)


def _same_predictions(a, b, X):
    for method in FRAME_METHODS:
        np.testing.assert_array_equal(_call(a, method, X), _call(b, method, X))
    np.testing.assert_array_equal(a.score_samples(X), b.score_samples(X))


def _only_numpy(value):
    """True if value holds NumPy arrays and plain Python, and nothing of JAX."""
    if isinstance(value, dict):
        return _only_numpy([*value, *value.values()])
    if isinstance(value, (tuple, list)):
        return all(_only_numpy(item) for item in value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return True
    return type(value).__module__ == "numpy"


def test_copies_predict_to_the_last_bit(fitted, data, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    for other in (
        joblib.load(tmp_path / "model.joblib"),
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
        copy.copy(fitted),
    ):
        _same_predictions(fitted, other, data.X)
        assert all(_only_numpy(value) for value in vars(other).values())


def test_clone_and_params_round_trip(fitted):
    params = fitted.get_params()
    assert clone(fitted).get_params() == params
    assert not hasattr(clone(fitted), "trans_probs_")
    assert EfficientHHMM().set_params(**params).get_params() == params
    assert not hasattr(EfficientHHMM(), "syllable_trans_probs_")


def test_verbose_shows_progress_and_does_not_change_the_fit(data, fitted, capsys, monkeypatch):
    shown = _model(verbose=1).fit(data.X)
    np.testing.assert_array_equal(shown.log_joint_, fitted.log_joint_)
    text = capsys.readouterr().err
    assert "40/40" in text
    assert "log joint -" in text
    monkeypatch.setitem(sys.modules, "tqdm", None)  # as if it were not installed
    _model(verbose=1).fit(data.X)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Gibbs: sweep 40/40, ")
    assert "sweeps/s, log joint -" in last
    _model().fit(data.X)
    assert capsys.readouterr() == ("", "")


def test_data_is_left_as_it_was(data):
    X = data.X.copy()
    masked = np.ma.MaskedArray(X, X == 3)
    before = X.copy(), masked.mask.copy()
    _model().fit(masked).predict(masked)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(masked.mask, before[1])


def test_hmc_records_its_acceptance_and_leaves_a_start_far_away(fitted, fitted_by_default):
    model = fitted_by_default
    assert model.emission_acceptance_.shape == model.emission_diverging_.shape == (1, 60)
    assert model.emission_acceptance_[0, 30:].mean() > 0.6
    assert not model.emission_diverging_.any()
    assert (fitted.emission_acceptance_ == 1).all()  # of Laplace draws
    assert len(np.unique(model.posterior_.emission_base[0, :, 0, 0])) > 5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_hmc_is_not_stuck_under_wide_priors():
    """Songs with 5 states at scales where steps of the first length are never accepted.

    Chains of a version that had at most 16 steps and that was rescued at a Laplace draw accepted
    none of the proposals in the second half.
    """
    songs = load_bengalese_finch().sequences[:200]
    model = EfficientHHMM(
        5,
        emission_base_sigma=25.0,
        emission_biases_sigma=10.0,
        trans_kappa=1.0,
        emission_sampler="hmc",
        init="prior",
        n_chains=2,
        max_iter=60,
        random_state=0,
    ).fit(songs)
    assert model.emission_acceptance_[:, 30:].mean(axis=1).min() > 0.4
    assert model.emission_diverging_[:, 30:].mean() < 0.1


@pytest.mark.parametrize("n_chains", [1, 2])
def test_a_chain_that_rarely_accepts_is_judged(n_chains):
    acceptance = np.full((n_chains, 40), 0.7)
    acceptance[0, 20:] = 0.05
    which = "the chain" if n_chains == 1 else "chains 0"
    (message,) = convergence.judge_acceptance(acceptance)
    assert f"{which} accepted proposals for the emissions with probability 0.05" in message
    assert not convergence.judge_acceptance(acceptance[:, ::-1])


@pytest.mark.slow
def test_a_chain_that_rarely_accepts_is_warned_of(example, monkeypatch):
    """Errors of the energy are made so large that no chain can accept."""
    monkeypatch.setattr(hmc, "DIVERGENT", -np.inf)
    compiled.sweeps_in_one_call.clear_cache()
    model = _default(n_chains=2)
    with pytest.warns(ConvergenceWarning, match="accepted proposals .* with probability 0 on"):
        model.fit(example.X)
    compiled.sweeps_in_one_call.clear_cache()  # what was compiled here accepts nothing


def test_hmc_without_newton_is_refused():
    model = EfficientHHMM(2, emission_sampler="hmc", emission_solver="adam", init="prior")
    with pytest.raises(ValueError, match="expected emission_solver='newton', got 'adam'"):
        model.fit(np.zeros((2, 5), int))


def test_averages_over_draws_are_those_of_models_at_each_draw(example, fitted_by_default):
    """Hand computed from one model a draw; the point estimate stays the default."""
    model = fitted_by_default
    drawn = model.posterior_  # 25 of the last 30 sweeps
    assert drawn.log_joint.shape == (1, 25)
    parts = drawn.emission_base, drawn.emission_biases, drawn.trans_probs, drawn.emission_usage
    at_draws = [
        EfficientHHMM.from_params(b, c, a, emission_usage=u)
        for b, c, a, u in zip(*(part[0] for part in parts), strict=True)
    ]
    averaged = model.predict_proba(example.X, average=True)
    expected = np.mean([one.predict_proba(example.X) for one in at_draws], axis=0)
    np.testing.assert_allclose(averaged, expected, atol=1e-6)
    assert np.abs(averaged - model.predict_proba(example.X)).max() > 1e-3
    likelihoods = np.array([np.longdouble(one.score_samples(example.X)) for one in at_draws])
    highest = likelihoods.max(axis=0)
    expected = highest + np.log(np.exp(likelihoods - highest).mean(axis=0))
    np.testing.assert_allclose(
        model.score_samples(example.X, average=True), np.float64(expected), rtol=1e-12
    )
    with pytest.raises(ValueError, match="expected a fit with algorithm='gibbs'"):
        at_draws[0].score_samples(example.X, average=True)
    with pytest.raises(ValueError, match="expected a fit with algorithm='gibbs'"):
        at_draws[0].predict_proba(example.X, average=True)
