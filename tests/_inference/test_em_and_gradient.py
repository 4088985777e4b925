"""EM and gradient ascent: steps against NumPy oracles, every step up, one mode by both."""

import copy
import warnings

import numpy as np
import pytest
import scipy.optimize
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from hhmm import EfficientHHMM
from hhmm._model.transitions import trans_mode, with_a_mode
from hhmm._runtime.precision import double_precision
from hhmm._types import Priors
from hhmm.datasets import make_hhmm
from tests import oracles
from tests.marks import slow_unless_rows
from tests.published import PUBLISHED

N_STATES, N_SYLLABLES = 2, 4
# log joints are sums of float32 messages: what rounding may take from a step, relative
ROUNDING = 1e-9


@pytest.fixture(scope="module")
def data():
    return make_hhmm(8, 60, N_STATES, N_SYLLABLES, trans_kappa=10.0, random_state=1)


@pytest.fixture(scope="module")
def tiny():
    """Ragged sequences with missing timesteps, short enough to enumerate."""
    rng = np.random.default_rng(5)
    X = [rng.integers(0, 3, n) for n in (6, 4, 5, 7, 3, 6, 7, 5)]
    X[0][2] = X[3][4] = -1
    return X


def _model(algorithm, **parameters):
    defaults = {"trans_kappa": 10.0, "init": "prior", "random_state": 0}
    parameters = PUBLISHED | defaults | parameters
    return EfficientHHMM(N_STATES, N_SYLLABLES, algorithm=algorithm, **parameters)


def _expected_counts(model, X):
    """Transition counts (K, K) and (K, S, S) expected over all paths, by enumeration."""
    trans = np.zeros((model.n_states, model.n_states))
    syllables = np.zeros((model.n_states, model.n_syllables, model.n_syllables))
    for x in X:
        paths, joint = oracles.path_probs(model, x)
        for path, weight in zip(paths, joint / joint.sum(), strict=True):
            counts = oracles.count_transitions([x], [path], model.n_states, model.n_syllables)
            trans += weight * counts[0]
            syllables += weight * counts[1]
    return trans, syllables


def test_one_step_of_em_is_the_mode_given_the_expected_counts(tiny):
    """Counts by enumeration over paths, the emission mode by scipy, the transitions by hand."""
    start = oracles.random_model(np.random.default_rng(2), N_STATES, 3)
    init = EfficientHHMM.from_params(*start)
    model = EfficientHHMM(
        N_STATES, 3, trans_kappa=2.0, algorithm="em", init=init, max_iter=1, **PUBLISHED
    )
    with pytest.warns(ConvergenceWarning, match="em did one iteration, which does not show"):
        model.fit(tiny)
    trans, syllables = _expected_counts(start, tiny)
    weights = trans + 2.0 * np.eye(N_STATES)
    posterior = oracles.EmissionPosterior(syllables, 1.0, 1.0)
    mode = scipy.optimize.minimize(
        posterior.value, np.zeros(len(posterior.precision)), jac=posterior.gradient, tol=1e-12
    ).x
    b, c = np.split(mode, [3 * 2])
    # the fit may have renamed the states
    order = 1 if abs(model.trans_probs_[0, 0] - weights[0, 0] / weights[0].sum()) < 1e-5 else -1
    expected_trans = (weights / weights.sum(axis=1, keepdims=True))[::order, ::order]
    np.testing.assert_allclose(model.trans_probs_, expected_trans, atol=1e-6)
    np.testing.assert_allclose(model.emission_base_, b.reshape(3, 2), atol=1e-4)
    np.testing.assert_allclose(model.emission_biases_, order * c.reshape(1, 2), atol=1e-4)


@pytest.mark.parametrize(
    ("backend", "init"),
    slow_unless_rows(
        [("sequential", "prior"), ("compressed", "random")],
        [("sequential", "prior"), ("compressed", "random"), ("parallel", "random")],
    ),
)
def test_every_step_of_em_rises(data, backend, init):
    model = _model("em", init=init, message_passing=backend, max_iter=500).fit(data.X)
    assert model.converged_
    assert model.n_iter_ == model.log_joint_.shape[1] < 500
    gains = np.diff(model.log_joint_[0])
    assert (gains >= -ROUNDING * np.abs(model.log_joint_[0, 1:])).all()
    assert 0 <= gains[-1] <= 1e-4 < gains[-2]
    np.testing.assert_allclose(model.log_joint(data.X), model.log_joint_[0, -1], rtol=1e-8)


def test_every_step_of_em_rises_with_adam(data):
    """Gradient steps of a fixed size may lead up; what they lead to is then not taken."""
    model = _model("em", emission_solver="adam", emission_gd_iters=20, emission_gd_lr=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(data.X)
    gains = np.diff(model.log_joint_[0])
    assert (gains >= -ROUNDING * np.abs(model.log_joint_[0, 1:])).all()


@pytest.mark.parametrize("trans_beta", [0.2, 1.0, 2.5])
def test_em_ends_at_a_stationary_point(data, trans_beta):
    """The slope of the log joint is zero there, by finite differences along random directions."""
    model = _model("em", trans_beta=trans_beta, tol=0, max_iter=1000).fit(data.X)
    rng = np.random.default_rng(0)
    height = model.log_joint(data.X)
    for _ in range(4):
        for distance in (-0.05, 0.05):
            moved = copy.copy(model)
            moved.emission_base_ = model.emission_base_ + distance * rng.standard_normal(
                model.emission_base_.shape
            ) / np.sqrt(model.emission_base_.size)
            moved.trans_probs_ = model.trans_probs_ * np.exp(
                distance * rng.standard_normal((N_STATES, N_STATES))
            )
            moved.trans_probs_ /= moved.trans_probs_.sum(axis=1, keepdims=True)
            assert moved.log_joint(data.X) < height + 1e-3


@pytest.mark.slow
def test_gradient_finds_the_mode_of_em(data):
    em = _model("em", init=data.states, message_passing="sequential", max_iter=1000, tol=1e-6)
    em.fit(data.X)
    gradient = clone(em).set_params(algorithm="gradient").fit(data.X)
    assert gradient.converged_
    assert gradient.n_iter_ < em.n_iter_
    np.testing.assert_allclose(gradient.log_joint_[0, -1], em.log_joint_[0, -1], atol=1e-2)
    np.testing.assert_allclose(gradient.trans_probs_, em.trans_probs_, atol=5e-3)
    np.testing.assert_allclose(gradient.emission_biases_, em.emission_biases_, atol=5e-2)
    assert not hasattr(gradient, "emission_losses_")


@pytest.mark.parametrize("algorithm", ["em", "gradient"])
def test_modes_are_fits_like_others(data, algorithm):
    """Deterministic, most probable path as states, no posterior, and on from where it ended."""
    model = _model(algorithm, max_iter=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        again = clone(model).fit(data.X)
        model.fit(data.X)
        np.testing.assert_array_equal(model.log_joint_, again.log_joint_)
        np.testing.assert_array_equal(model.states_, model.predict(data.X))
        usage = np.bincount(model.states_.ravel(), minlength=N_STATES)
        assert (np.diff(usage) <= 0).all()
        assert not hasattr(model, "posterior_")
        reached = model.log_joint_[0, -1]
        model.set_params(warm_start=True).fit(data.X)
    assert model.log_joint_[0, 0] >= reached - 1e-6 * abs(reached)


def test_em_continued_is_em_uninterrupted(data):
    whole = _model("em", max_iter=12, tol=0)
    parts = _model("em", max_iter=6, tol=0, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        whole.fit(data.X)
        joints = [parts.fit(data.X).log_joint_[0], parts.fit(data.X).log_joint_[0]]
    np.testing.assert_allclose(np.concatenate(joints), whole.log_joint_[0], rtol=1e-7)


@pytest.mark.parametrize(
    ("beta", "kappa", "expected"), [(0.5, 0.2, (1, 0)), (0.5, 9.0, (1, 8.5)), (2.0, 1.0, (2, 1))]
)
def test_concentrations_below_one_count_as_one(beta, kappa, expected):
    priors = with_a_mode(Priors(*map(np.float64, (1, 1, beta, kappa))))
    assert (priors.trans_beta, priors.trans_kappa) == expected


@double_precision
def test_transition_mode_of_a_row_without_evidence_stays():
    priors = Priors(*map(np.float64, (1, 1, 1, 0)))
    counts = np.array([[3.0, 1.0], [0.0, 0.0]])
    mode = trans_mode(counts, priors, np.array([[0.5, 0.5], [0.3, 0.7]]))
    np.testing.assert_allclose(mode, [[0.75, 0.25], [0.3, 0.7]])


def test_a_model_of_other_shapes_is_no_start(data):
    init = EfficientHHMM.from_params(*oracles.random_model(np.random.default_rng(0), 3, 4))
    message = r"init is a model of 3 states and 4 syllables: expected 2 states and 4 syllables"
    with pytest.raises(ValueError, match=message):
        _model("em", init=init).fit(data.X)
