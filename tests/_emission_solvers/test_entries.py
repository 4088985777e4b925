"""Draws of single entries under wide priors: draws of the posterior keep their distribution.

Parameters are drawn from their prior and counts given the parameters. Whatever leaves the posterior
of the parameters given these counts as it is leaves the joint distribution of both as it is, so the
parameters have their prior still, and the counts their probability.
"""

import jax
import numpy as np
import pytest
import scipy.special
import scipy.stats

from hhmm._emission_solvers import entries
from hhmm._emission_solvers.objective import emission_counts
from hhmm._model.terms import Terms
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._types import Priors, SufficientStats
from tests import oracles
from tests.marks import slow_unless_rows

# chance that a correct draw fails a test; the seed is fixed
FALSE_ALARM = 1e-4
N_STATES, N_SYLLABLES, N_DRAWS = 2, 3, 4000
SIGMAS = {"base": 10.0, "biases": 4.0, "usage": 6.0, "interactions": 3.5}
CASES = [
    (tuple(oracles.TERMS), False),
    (tuple(oracles.TERMS), True),
    (("base", "biases"), True),
    (("biases", "usage"), False),
]


class Joint:
    """Draws of parameters and counts."""

    def __init__(self, names, self_transitions, n_draws, seed):
        rng = np.random.default_rng(seed)
        self.dense = oracles.EmissionPosterior(
            np.zeros((N_STATES, N_SYLLABLES, N_SYLLABLES)),
            **{f"sigma_{name}": SIGMAS[name] for name in names},
            self_transitions=self_transitions,
        )
        self.sd = self.dense.precision**-0.5
        self.thetas = rng.standard_normal((n_draws, len(self.sd))) * self.sd
        log_probs = self.log_probs(self.thetas)
        # of each state and syllable before, from none to many
        departures = np.array([[0, 1, 40], [5, 2, 3]])
        self.counts = rng.multinomial(departures, np.exp(log_probs)).astype(float)
        self.basis = np.stack([self.dense.point(unit) for unit in np.eye(len(self.sd))])

    def log_probs(self, thetas):
        logits = np.einsum("kijd,nd->nkij", self.dense.design, thetas) + self.dense.mask
        return logits - scipy.special.logsumexp(logits, axis=-1, keepdims=True)

    def log_likelihood(self, thetas):
        return np.sum(np.where(self.counts > 0, self.counts * self.log_probs(thetas), 0), (1, 2, 3))

    def points(self):
        return np.tensordot(self.thetas, self.basis, 1)

    def thetas_of(self, points):
        return np.tensordot(points, self.basis, ((1, 2), (1, 2)))


def _draw(joint, terms, sigmas=SIGMAS):
    """The parameters after one draw of all entries."""
    priors = Priors(
        **{f"emission_{name}_sigma": np.float64(sigma) for name, sigma in sigmas.items()},
        trans_beta=1.0,
        trans_kappa=1.0,
    )

    @jax.jit
    @jax.vmap
    def step(key, counts, point):
        reduced = emission_counts(terms, SufficientStats(None, counts))
        return entries.draw_entries(key, terms, reduced, priors, point)

    keys = jax.random.split(key_from_random_state(0), len(joint.counts))
    return joint.thetas_of(np.asarray(step(keys, joint.counts, joint.points())))


@pytest.mark.parametrize(("names", "self_transitions"), slow_unless_rows(CASES[:1], CASES))
@double_precision
def test_draws_of_entries_leave_the_posterior_as_it_is(names, self_transitions):
    """Each parameter by the test of Kolmogorov and Smirnov, and the log-likelihood of the counts.

    Bonferroni at FALSE_ALARM.
    """
    joint = Joint(names, self_transitions, N_DRAWS, seed=0)
    after = _draw(joint, Terms(N_STATES, N_SYLLABLES, names, self_transitions))
    p_values = [
        scipy.stats.kstest(values, scipy.stats.norm.cdf).pvalue for values in (after / joint.sd).T
    ]
    # as many draws again, whose counts were drawn from them as they are
    other = Joint(names, self_transitions, N_DRAWS, seed=1)
    p_values.append(
        scipy.stats.ks_2samp(
            joint.log_likelihood(after), other.log_likelihood(other.thetas), method="asymp"
        ).pvalue
    )
    assert min(p_values) > FALSE_ALARM / len(p_values), p_values
    # all parameters moved, further than a random walk would
    correlations = [np.corrcoef(*pair)[0, 1] for pair in zip(after.T, joint.thetas.T, strict=True)]
    assert max(correlations) < 0.95


@double_precision
def test_terms_with_a_narrow_prior_are_left_alone():
    names = tuple(oracles.TERMS)
    joint = Joint(names, True, 10, seed=0)
    sigmas = dict.fromkeys(SIGMAS, entries.WIDE) | {"biases": 4.0}
    after = _draw(joint, Terms(N_STATES, N_SYLLABLES, names), sigmas)
    is_biases = np.concatenate(
        [np.full(np.prod(shape), name == "biases") for name, shape in joint.dense.shapes.items()]
    )
    np.testing.assert_allclose(after[:, ~is_biases], joint.thetas[:, ~is_biases], atol=1e-9)
    assert np.abs(after - joint.thetas)[:, is_biases].min() > 1e-6


@double_precision
def test_a_transition_that_is_all_there_is_may_become_any_other():
    """Its logit is 40 above the others, so that 1 - p is 0 in float64."""
    terms = Terms(1, 3, ("base",))
    point = np.zeros((3, 3))
    point[0] = [80 / 3, -40 / 3, -40 / 3]
    priors = Priors(20.0, 1.0, 1.0, 1.0)
    counts = np.zeros((1, 3, 3))
    counts[0, 0] = [3.0, 1.0, 0.0]
    reduced = emission_counts(terms, SufficientStats(None, counts))

    @jax.jit
    def walk(key):
        def step(point, key):
            point = entries.draw_entries(key, terms, reduced, priors, point)
            return point, jax.nn.log_softmax(point[0])

        return jax.lax.scan(step, point, jax.random.split(key, 50))[1]

    log_probs = walk(key_from_random_state(0))
    # the second syllable was seen once in four times: impossible by the start, not for long
    assert np.median(log_probs[:, 1]) > -5
