"""Draws with the states summed out, see `hhmm._emission_solvers.marginal`.

That they leave the posterior invariant is shown in `tests/_inference/test_exactness.py`.
"""

import functools

import jax
import numpy as np
import pytest

from hhmm import EfficientHHMM
from hhmm._emission_solvers import Newton, marginal
from hhmm._inference.chain import Settings
from hhmm._inference.em import EM
from hhmm._inference.parts import LocalParts
from hhmm._model.terms import Terms
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._sequences.run_lengths import RunLengths
from hhmm.datasets import make_hhmm
from hhmm.diagnostics import ess_bulk
from tests.published import PUBLISHED

TERMS = Terms(2, 4)
TIGHT = {**PUBLISHED, "emission_sampler": "marginal", "random_state": 0}
LEARNT = {"emission_sampler": "marginal", "random_state": 0}


@pytest.fixture(scope="module")
def data():
    return make_hhmm(8, 60, 2, 4, emission_biases_sigma=2.0, trans_kappa=20.0, random_state=0)


@pytest.fixture(scope="module")
def fitted(data):
    return EfficientHHMM(2, 4, **TIGHT, init="prior", max_iter=30).fit(data.X)


@double_precision
def test_short_steps_conserve_the_energy(data, fitted):
    """So the gradient is that of the log posterior; with another one the energy would change."""
    parts = LocalParts.make(RunLengths.of(list(data.X)), TERMS, "sequential")
    settings = Settings(Newton(50), "marginal", "sequential", TERMS)
    end = fitted._ends[0]

    def expected_counts(*params):
        return EM.update_states(None, *params, parts.in_one, settings=settings)[1:]

    moved_by = functools.partial(
        marginal.move,
        terms=TERMS,
        priors=end.priors,
        expected_counts=expected_counts,
        warming_up=False,
        tuning=end.tuning._replace(log_step=np.log(0.02)),
    )
    move = jax.jit(lambda key: moved_by(key, logits=end.logits, trans_probs=end.trans_probs))
    for seed in range(5):
        logits, trans_probs, acceptance, diverging, _ = move(key_from_random_state(seed))
        assert acceptance > 0.999
        assert not diverging
        assert np.abs(logits.base - end.logits.base).max() > 0.1
        np.testing.assert_allclose(trans_probs.sum(axis=1), 1)


@pytest.mark.slow
def test_draws_of_few_data_are_more_effective_than_those_given_the_states():
    data = make_hhmm(20, 100, 2, 6, trans_kappa=20.0, random_state=0)
    effective = []
    for sampler in ("marginal", "hmc"):
        sampled = {"emission_sampler": sampler, "max_iter": 1000, "n_draws": 500}
        model = EfficientHHMM(2, 6, **TIGHT | sampled, trans_kappa=20.0).fit(data.X)
        effective.append(ess_bulk(model.posterior_.emission_biases).min())
    assert effective[0] > 2 * effective[1]


@pytest.mark.slow
def test_a_learnt_model_of_held_syllables_with_missing_ones(data):
    X = np.repeat(data.X, 3, axis=1)[:, :120].copy()
    X[:, 50:60] = -1
    model = EfficientHHMM(2, 4, **LEARNT, n_chains=2, max_iter=40, self_transitions=False).fit(X)
    assert model.emission_acceptance_[:, 20:].mean() > 0.6
    assert np.isfinite(model.log_joint_).all()
    assert not hasattr(model, "emission_losses_")  # nothing is solved


def test_a_chain_of_another_sampler_goes_on(data):
    model = EfficientHHMM(2, 4, **PUBLISHED, init="prior", max_iter=10, warm_start=True)
    model.fit(data.X)
    model.set_params(emission_sampler="marginal", max_iter=30).fit(data.X)
    assert len(np.unique(model.log_joint_)) > 15
    model.set_params(emission_usage_sigma=1.0, max_iter=5).fit(data.X)  # its metric is larger
    assert len(np.unique(model.log_joint_)) > 1


@pytest.mark.parametrize(
    ("n_states", "n_syllables", "groups", "message"),
    [
        (2, 4, [0, 1] * 4, "has no effects of groups on transitions. Set group_transitions_sigma"),
        (5, 30, None, "at most 1,000 parameters, and 5 states and 30 syllables make 1,006"),
    ],
)
def test_models_that_cannot_be_drawn_so_are_refused(data, n_states, n_syllables, groups, message):
    model = EfficientHHMM(n_states, n_syllables, **TIGHT)
    with pytest.raises(ValueError, match=message):
        model.fit(data.X, groups=groups)
