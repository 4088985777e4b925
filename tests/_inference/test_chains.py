"""Several chains: each as if it were alone, the best one counts, and a fit that goes on."""

import functools
import pickle
import re
import sys
import threading
import time
import warnings
from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from hhmm import EfficientHHMM
from hhmm._inference import chains, convergence
from hhmm._inference.draws import permute, stacking_weights
from hhmm._inference.prepare import prepare
from hhmm._model.simplex import helmert_basis
from hhmm._model.terms import Terms
from hhmm._runtime.progress import Progress
from hhmm._sequences import lanes
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Params
from hhmm.datasets import make_hhmm
from tests.marks import slow_unless_rows
from tests.published import PUBLISHED

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def data():
    return make_hhmm(10, 150, 3, 6, emission_biases_sigma=2.0, trans_kappa=30.0, random_state=0)


def _model(**parameters):
    defaults = {"trans_kappa": 30.0, "emission_biases_sigma": 2.0, "init": "random"}
    defaults |= {"random_state": 0, "max_iter": 24, "n_draws": 5}
    return EfficientHHMM(3, 6, **PUBLISHED | defaults | parameters)


@pytest.fixture(scope="module")
def several(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return _model(n_chains=3, init="prior").fit(data.X)


def _traces(shift=0.0, n_chains=4, n_iter=200, seed=0, correlation=0.5):
    """Log joints of chains that are noise with a first-order autoregression, the last one lower."""
    noise = np.random.default_rng(seed).standard_normal((n_chains, n_iter + 100))
    for t in range(1, noise.shape[1]):
        noise[:, t] += correlation * noise[:, t - 1]
    noise[-1] -= shift
    return -5000.0 + noise[:, 100:]


@pytest.mark.parametrize(
    ("algorithm", "init"),
    slow_unless_rows(
        [("gibbs", "random"), ("em", "prior")],
        [("gibbs", "windows"), ("gibbs", "random"), ("em", "prior")],
    ),
)
def test_a_chain_is_the_same_whatever_the_number_of_chains(data, algorithm, init):
    one = _model(algorithm=algorithm, init=init, max_iter=6).fit(data.X)
    two = clone(one).set_params(n_chains=2).fit(data.X)
    n_iter = one.n_iter_
    np.testing.assert_array_equal(two.log_joint_[0, :n_iter], one.log_joint_[0])
    assert two.log_joint_.shape == (2, two.n_iter_)
    assert (two.log_joint_[1] != two.log_joint_[0]).any()


def test_fitted_attributes_hold_all_chains(several):
    assert several.log_joint_.shape == (3, 24)
    assert several.emission_acceptance_.shape == several.emission_diverging_.shape == (3, 24)
    shapes = [part.shape for part in several.posterior_[:4]]
    assert shapes == [(3, 5, 6, 5), (3, 5, 2, 5), (3, 5, 3, 3), (3, 5)]
    assert several.posterior_.emission_usage is several.posterior_.emission_interactions is None
    assert several.posterior_.sigmas == {}
    drawn = several.posterior_.trans_probs.reshape(15, 9)
    assert len(np.unique(drawn, axis=0)) == 15


def test_the_best_chain_gives_the_estimate(several, data):
    best = np.argmax(several.log_joint_[:, -6:].mean(axis=1))
    assert several.best_chain_ == best
    mean = several.posterior_.trans_probs[best].mean(axis=0)
    np.testing.assert_array_equal(several.trans_probs_, mean)
    assert np.mean(several.predict(data.X) == several.states_) > 0.8
    # the states are those of its last sweep: the log joint of that sweep's parameters is on record
    last = several.posterior_
    model = EfficientHHMM.from_params(
        last.emission_base[best, -1],
        last.emission_biases[best, -1],
        last.trans_probs[best, -1],
        **PUBLISHED | {"trans_kappa": 30.0, "emission_biases_sigma": 2.0},
    )
    np.testing.assert_allclose(model.log_joint(data.X), several.log_joint_[best, -1], rtol=1e-7)
    assert np.mean(model.predict(data.X) == several.states_) > 0.8


def test_emissions_are_the_mode_given_the_states_of_the_sweep_before(data):
    """Found by BFGS, from the states that a fit of one sweep less ends with."""
    q_k, q_s = helmert_basis(3), helmert_basis(6)
    before, after = (_model(n_chains=1, max_iter=n, n_draws=1).fit(data.X) for n in (8, 9))
    counts = np.zeros((3, 6, 6))
    x, z = data.X, before.states_
    np.add.at(counts, (z[:, 1:], x[:, :-1], x[:, 1:]), 1)

    def log_probs(point):
        base, biases = point[:30].reshape(6, 5), point[30:].reshape(2, 5)
        return log_softmax((base @ q_s.T) + (q_k @ biases @ q_s.T)[:, None], axis=-1)

    def loss(point):
        scale = np.repeat([1.0, 2.0], [30, 10])  # as `_model` sets them
        return 0.5 * np.sum((point / scale) ** 2) - np.sum(counts * log_probs(point))

    mode = np.exp(log_probs(minimize(loss, np.zeros(40), method="BFGS").x))
    found = after.syllable_trans_probs_
    # the two fits may number their states differently
    distances = [np.abs(found - mode[list(order)]).max() for order in permutations(range(3))]
    assert min(distances) < 1e-4
    drawn = after.posterior_
    own = EfficientHHMM.from_params(
        drawn.emission_base[0, 0], drawn.emission_biases[0, 0], drawn.trans_probs[0, 0]
    ).syllable_trans_probs_
    assert np.abs(found - own).max() > 0.01


def test_estimates_of_seeds_differ_less_than_means_of_their_draws(data):
    fits = [
        _model(n_chains=1, init=data.states, random_state=seed).fit(data.X) for seed in range(8)
    ]
    estimates = np.array([model.emission_base_ for model in fits])
    means = np.array([model.posterior_.emission_base[0].mean(axis=0) for model in fits])
    assert estimates.var(axis=0).sum() < 0.5 * means.var(axis=0).sum()


def test_labels_agree_across_chains(data):
    """Chains that start at states named differently come out with the same names."""
    model = _model(n_chains=2, init="prior", max_iter=60).fit(data.X)
    assert model.converged_
    means = model.posterior_.emission_biases.mean(axis=1)
    own = np.linalg.norm(means[0] - means[1])
    for order in ([1, 0, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0], [2, 0, 1]):
        renamed = permute(Params(None, means[1], np.eye(3)), np.array(order)).emission_biases
        assert own < 0.5 * np.linalg.norm(means[0] - renamed)


def test_chains_in_one_mode_agree():
    """Autocorrelated noise: at most 2 % of 400 sets of four chains are said to disagree."""
    wrong = [len(convergence.agreeing(_traces(seed=seed))) < 4 for seed in range(400)]
    assert sum(wrong) <= 8


def test_a_chain_in_another_mode_is_told_with_figures():
    judged = convergence.judge_chains(_traces(shift=100.0))
    assert not judged.converged
    (message,) = judged.warnings
    assert message.startswith("chains 3 of 4 are not where the best one, chain ")
    gap = float(re.search(r"log joints were ([\d.]+) nats below", message)[1])
    assert abs(gap - 100) < 1.5
    np.testing.assert_array_equal(convergence.agreeing(_traces(shift=100.0)), [0, 1, 2])
    assert convergence.judge_chains(_traces()) == convergence.Verdict(True, [])


def test_differences_by_hand():
    """Last quarters of 5 sweeps with means 0 and -8, no noise around their lines."""
    log_joint = np.zeros((2, 20))
    log_joint[1, -5:] = [-10, -9, -8, -7, -6]
    found = convergence.differences(log_joint)
    assert found == [convergence.Change(0, 0, 0), convergence.Change(-8, 0, 0)]
    np.testing.assert_array_equal(convergence.final_log_joints(log_joint), [0, -8])


def test_a_chain_that_still_rises_is_told():
    traces = _traces()
    traces[1] += np.arange(200) - 199
    judged = convergence.judge_chains(traces)
    assert not judged.converged
    assert "the log joint of chains 1 had not settled after 200 sweeps" in judged.warnings[0]


def test_too_few_sweeps_to_tell():
    assert convergence.judge_chains(np.zeros((2, 19))) == convergence.Verdict(False, [])
    np.testing.assert_array_equal(convergence.agreeing(np.array([[0.0], [1.0]])), [1])


def test_converged_and_the_warning_follow_the_same_rule(data, monkeypatch):
    """What the judge says is what the user gets."""
    model = _model(n_chains=2, init="random", max_iter=3)
    monkeypatch.setattr(convergence, "judge_chains", lambda *_: convergence.Verdict(False, ["so"]))
    with pytest.warns(ConvergenceWarning, match="so") as caught:
        model.fit(data.X)
    assert caught[0].filename == __file__  # it points at the call of fit
    assert not model.converged_


def test_average_is_over_the_chains_that_agree(several, data, monkeypatch):
    X = data.X[:2]
    monkeypatch.setattr(several, "log_joint_", several.log_joint_ * np.array([[1.0], [2.0], [1.0]]))
    draws = [(c, d) for c in convergence.agreeing(several.log_joint_) for d in range(5)]
    assert 1 not in {c for c, _ in draws}
    models = [
        EfficientHHMM.from_params(*(part[at] for part in several.posterior_[:3])) for at in draws
    ]
    expected = np.mean([model.predict_proba(X) for model in models], axis=0)
    np.testing.assert_allclose(several.predict_proba(X, average=True), expected, atol=1e-5)


def test_stacking_weights_are_the_best_for_sequences_left_out():
    rng = np.random.default_rng(0)
    log_likelihood = rng.normal(-50, 3, (3, 1, 40)) + rng.normal(0, 0.3, (3, 6, 40))
    log_likelihood[2] -= 200.0  # predicts nothing best
    weights = stacking_weights(log_likelihood)
    assert weights[2] == 0
    density = 1 / np.mean(np.exp(-log_likelihood[:2]), axis=1)
    shares = np.linspace(0.001, 0.999, 999)
    values = [np.log(share * density[0] + (1 - share) * density[1]).sum() for share in shares]
    best = shares[np.argmax(values)]
    np.testing.assert_allclose(weights[:2], [best, 1 - best], atol=2e-3)


def test_chains_in_one_mode_weigh_the_same_and_others_as_they_predict(several, data):
    one_mode = len(convergence.agreeing(several.log_joint_)) == 3
    apart = _model(n_chains=3, init="prior", max_iter=4).fit(data.X)  # not settled
    assert one_mode
    np.testing.assert_array_equal(several.chain_weights_, np.full(3, 1 / 3))
    log_likelihood = _log_likelihoods(apart, data.X)
    np.testing.assert_allclose(apart.chain_weights_, stacking_weights(log_likelihood))
    assert np.ptp(apart.chain_weights_) > 0.05


def test_the_averaged_score_weighs_chains(several, data, monkeypatch):
    X, weights = data.X[:3], np.array([0.2, 0.0, 0.8])
    monkeypatch.setattr(several, "chain_weights_", weights)
    by_chain = np.exp(_log_likelihoods(several, X)).mean(axis=1)
    expected = np.log(weights @ by_chain)
    np.testing.assert_allclose(several.score_samples(X, average=True), expected, rtol=1e-9)


def _log_likelihoods(model, X):
    """Of each sequence by each draw, (n_chains, n_draws, n_sequences)."""
    shape = model.posterior_.log_joint.shape
    models = [
        EfficientHHMM.from_params(*(part[at] for part in model.posterior_[:3]))
        for at in np.ndindex(shape)
    ]
    return np.reshape([model.score_samples(X) for model in models], (*shape, -1))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        pytest.param({"message_passing": "compressed"}, marks=pytest.mark.slow),
        pytest.param({"algorithm": "em", "tol": 0.0}, marks=pytest.mark.slow),
    ],
)
def test_a_fit_continued_is_one_longer_fit(data, parameters):
    """To the last bit; hmc would stay tuned to the first half of the first part."""
    fixed = {"n_chains": 2, "max_iter": 9}
    whole = _model(**{**fixed, **parameters}).fit(data.X)
    parts = clone(whole).set_params(warm_start=True, max_iter=3)
    traces = [parts.fit(data.X).log_joint_ for _ in range(3)]
    np.testing.assert_array_equal(np.concatenate(traces, axis=1), whole.log_joint_)
    np.testing.assert_array_equal(parts.states_, whole.states_)


@pytest.mark.slow  # the checkpoint of an earlier version is of such a fit
def test_a_fit_by_hmc_is_continued_with_what_its_warm_up_has_tuned(data):
    """Half of 8 sweeps warm up, and so do half of 9."""
    whole = _model(emission_sampler="hmc", max_iter=9).fit(data.X)
    parts = _model(emission_sampler="hmc", max_iter=8, warm_start=True).fit(data.X)
    traces = [parts.log_joint_, parts.set_params(max_iter=1).fit(data.X).log_joint_]
    np.testing.assert_array_equal(np.concatenate(traces, axis=1), whole.log_joint_)


def test_warm_start_goes_on_from_parameters_on_other_data(data):
    model = _model(max_iter=30, warm_start=True).fit(data.X)
    height = model.log_joint_[0, -10:].mean()
    model.set_params(max_iter=1).fit(list(data.X[5:]) + list(data.X[:5]))
    assert abs(model.log_joint_[0, 0] - height) < 60
    cold = _model(max_iter=1, init="random").fit(data.X)
    assert cold.log_joint_[0, 0] < height - 60


def test_more_chains_than_there_were_go_on_by_other_keys(data):
    model = _model(max_iter=3, warm_start=True, init="prior").fit(data.X)
    alone = clone(model).fit(data.X).set_params(max_iter=2).fit(data.X)
    model.set_params(max_iter=2, n_chains=2).fit(data.X)
    np.testing.assert_array_equal(model.log_joint_[0], alone.log_joint_[0])
    assert (model.log_joint_[1] != model.log_joint_[0]).all()


def test_chains_share_one_compiled_kernel(data, n_sweep_traces):
    for n_chains in (3, 1, 2):
        _model(n_chains=n_chains, init="random", max_iter=3).fit(data.X)
    assert n_sweep_traces() == 1


@pytest.mark.parametrize(("n_at_once", "n_groups"), [(1, 4), (2, 2), (3, 1), (9, 1)])
def test_chains_share_the_cores(n_at_once, n_groups, monkeypatch):
    monkeypatch.setattr(lanes, "n_cores", lambda: 4)
    prepared = prepare(
        RunLengths.of([np.zeros(2_000, np.int32)] * 800),
        Terms(n_states=3, n_syllables=1),
        "sequential",
        every_timestep=False,
        n_at_once=n_at_once,
    )
    assert len(prepared.groups) == n_groups


@pytest.mark.parametrize("failing", [0, 1])
def test_a_chain_that_fails_ends_the_others(failing, monkeypatch):
    monkeypatch.setattr(chains, "n_cores", lambda: 2)
    started, ended = threading.Event(), threading.Event()

    def iterate(start, plan, report, save):
        if start == failing:
            started.wait(5)
            raise FloatingPointError("the log joint of sweep 3 is nan")
        started.set()
        try:
            while True:
                report(1, -1.0)
                time.sleep(0.01)
        finally:
            ended.set()

    monkeypatch.setattr(chains, "iterate", iterate)
    listeners = [(lambda *_: None, None)] * 2
    with pytest.raises(FloatingPointError, match="sweep 3 is nan"):
        chains.iterate_chains([0, 1], None, listeners, lambda: False)
    assert ended.wait(5)


def test_a_failed_fit_leaves_a_fit_as_it_was(data, monkeypatch):
    model = _model(n_chains=2, max_iter=3).fit(data.X)
    before = dict(vars(model))

    def fail(*_, **__):
        raise FloatingPointError("nan")

    monkeypatch.setattr("hhmm._inference.chains.iterate", fail)
    with pytest.raises(FloatingPointError):
        model.fit(data.X[::-1])
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


def test_progress_counts_the_sweeps_of_all_chains(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)  # as if it were not installed
    with Progress("gibbs", 5, [0, 0], verbose=1) as progress:
        first, second = (functools.partial(progress.report, i) for i in range(2))
        first(5, -20.0)
        second(2, -10.0)
        assert capsys.readouterr().out == ""
        second(5, -30.0)
    assert re.match(r"Gibbs: sweep 10/10, .* log joint -20.0", capsys.readouterr().out)


def test_a_model_of_several_chains_is_plain_numpy(several):
    """What it takes to go on is stored without JAX."""
    assert b"jaxlib" not in pickle.dumps(several)
    assert isinstance(several.best_chain_, int)
