"""Kept draws as ArviZ takes them."""

import sys

import numpy as np
import pytest

from hhmm import EfficientHHMM
from hhmm.datasets import make_hhmm
from hhmm.diagnostics import rhat
from tests.published import PUBLISHED

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module", autouse=True)
def arviz():
    """ArviZ, without which no test of this file can run; its import takes seconds."""
    return pytest.importorskip("arviz")


@pytest.fixture(scope="module")
def data():
    return make_hhmm(8, 60, 2, 4, emission_biases_sigma=2.0, trans_kappa=20.0, random_state=0)


@pytest.fixture(scope="module")
def model(data):
    settings = {"max_iter": 12, "n_chains": 3, "n_draws": 4, "init": "prior", "random_state": 0}
    settings |= {"trans_kappa": 20.0, "emission_usage_sigma": 1.0, "emission_sampler": "hmc"}
    return EfficientHHMM(2, 4, **PUBLISHED | settings).fit(data.X)


def test_every_group_holds_what_the_model_holds(model, data):
    idata = model.to_arviz(data.X)
    posterior = idata.posterior
    assert dict(posterior.sizes)["chain"] == 3
    assert dict(posterior.sizes)["draw"] == 4
    for name in ("trans_probs", "emission_base", "emission_biases"):
        np.testing.assert_array_equal(posterior[name], getattr(model.posterior_, name))
    np.testing.assert_array_equal(idata.sample_stats["lp"], model.posterior_.log_joint)
    # of 12 sweeps, those of the draws are 7, 8, 10, 11: as their log joints tell
    kept = [
        [int(np.flatnonzero(trace == lp)[0]) for lp in draws]
        for trace, draws in zip(model.log_joint_, model.posterior_.log_joint, strict=True)
    ]
    acceptance = np.take_along_axis(model.emission_acceptance_, np.array(kept), axis=1)
    np.testing.assert_array_equal(idata.sample_stats["acceptance_rate"], acceptance)
    assert idata.sample_stats["diverging"].dtype == bool


def test_log_likelihoods_are_those_of_a_model_with_the_draw(model, data):
    given = model.to_arviz(data.X[:5]).log_likelihood["X"]
    assert given.sizes == {"chain": 3, "draw": 4, "sequence": 5}
    for chain, draw in [(0, 0), (2, 3)]:
        drawn = [part[chain, draw] for part in model.posterior_[:3]]
        usage = model.posterior_.emission_usage[chain, draw]
        of_draw = EfficientHHMM.from_params(*drawn, emission_usage=usage)
        np.testing.assert_allclose(
            given[chain, draw], of_draw.score_samples(data.X[:5]), rtol=1e-12
        )


def test_biases_are_those_of_the_states(model):
    """Log probabilities of a syllable in a state and in the other differ by the biases."""
    bias = np.asarray(model.to_arviz().posterior["emission_logits_bias"])[1, 2]
    probs = EfficientHHMM.from_params(
        *(part[1, 2] for part in model.posterior_[:3])
    ).syllable_trans_probs_
    difference = np.log(probs[0]) - np.log(probs[1])
    expected = bias[0] - bias[1]
    centred = difference - difference.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(centred, np.tile(expected - expected.mean(), (4, 1)), atol=1e-12)


def test_arviz_finds_the_r_hat_that_we_find(arviz, model):
    found = arviz.rhat(model.to_arviz())["trans_probs"]
    expected = rhat(model.posterior_.trans_probs[:, :, 0, 1])
    assert float(found[0, 1]) == pytest.approx(expected, rel=1e-9)


def test_the_newer_generation_of_arviz(model, data, monkeypatch):
    """ArviZ 1.0 takes its `from_dict` from arviz-base, and makes a DataTree."""
    arviz_base, xarray = map(pytest.importorskip, ("arviz_base", "xarray"))
    older = model.to_arviz(data.X)
    monkeypatch.setitem(sys.modules, "arviz", arviz_base)
    tree = model.to_arviz(data.X)
    assert isinstance(tree, xarray.DataTree)
    for group in ("posterior", "sample_stats", "log_likelihood"):
        assert set(tree[group].data_vars) == set(older[group].data_vars)
        for name in tree[group].data_vars:
            assert tree[group][name].dims == older[group][name].dims
            np.testing.assert_array_equal(tree[group][name], older[group][name])


def test_a_model_without_draws_says_so(model, data):
    settings = {"algorithm": "em", "max_iter": 2, "init": "prior", "random_state": 0}
    mode = EfficientHHMM(2, 4, **PUBLISHED | settings)
    with pytest.raises(ValueError, match=r"to_arviz needs the draws in posterior_"):
        mode.fit(data.X).to_arviz()
