"""A Gibbs sweep leaves the joint distribution invariant, emissions and all; see `exactness`.

Each case is judged by its smallest p-value, by Bonferroni over its statistics, and the whole file
by Bonferroni over its cases: of all choices of seeds, at most FALSE_ALARM fail by chance.
The same two tests must find errors planted in the library, with p-values far below that.

What they do not find: a key that two draws of one sweep share. Which of their numbers coincide is
a matter of layout, and the harm is too small here; `test_no_two_draws_share_a_key` looks
at the keys themselves.
"""

import functools
from typing import NamedTuple

import numpy as np
import pytest

from hhmm._emission_solvers import hmc, marginal
from hhmm._messages import compressed, sequential
from hhmm._model.terms import Factor, Terms
from hhmm._runtime.precision import double_precision
from tests._inference import exactness

pytestmark = pytest.mark.slow

N_STATES = 3  # of all kernels but those with groups, so that their parameters compile once
# backend, whether over runs
CASES = [("sequential", False), ("compressed", True), ("parallel", False), ("parallel_runs", True)]
# Over runs the states inside of them are asked for as well, by the same code in both backends.
# Both backends over timesteps draw states alone.
ALTERNATED = CASES[:2]
FALSE_ALARM = 1e-3
BOUND = FALSE_ALARM / (len(CASES) + len(ALTERNATED) + 5)
FOUND = 1e-6  # p-value that a planted error stays below
N_FEW = 400  # replicates, enough to find it

rank_p_values = functools.partial(exactness.rank_p_values, n_replicates=500, n_links=5)
alternation_p_values = functools.partial(
    exactness.alternation_p_values, n_replicates=500, n_rounds=2
)


@pytest.mark.parametrize(("backend", "by_runs"), CASES)
@double_precision
def test_rank_of_a_draw_in_its_chain_is_uniform(backend, by_runs):
    kernel = _kernel(backend, by_runs=by_runs)
    p_values = rank_p_values(kernel, seed=CASES.index((backend, by_runs)))
    assert exactness.adjusted(p_values) > BOUND, p_values


@pytest.mark.parametrize(("backend", "by_runs"), ALTERNATED)
@double_precision
def test_alternating_with_new_syllables_changes_no_distribution(backend, by_runs):
    kernel = _kernel(backend, by_runs=by_runs)
    p_values = alternation_p_values(kernel, seed=CASES.index((backend, by_runs)))
    assert exactness.adjusted(p_values) > BOUND, p_values


@pytest.mark.parametrize(
    ("sigma", "test"),
    [
        (4.0, rank_p_values),
        # of more replicates: errors are small where steps are accurate
        (10.0, functools.partial(alternation_p_values, n_replicates=2000)),
    ],
    ids=["ranks", "alternation"],
)
@double_precision
def test_sweeps_under_wide_priors_are_exact(monkeypatch, sigma, test):
    """Scales of base and biases so wide that emissions are far from normal given their counts."""
    priors = exactness.PRIORS._replace(
        emission_base_sigma=np.float64(sigma), emission_biases_sigma=np.float64(sigma)
    )
    monkeypatch.setattr(exactness, "PRIORS", priors)
    p_values = test(_kernel("sequential"), seed=0)
    assert exactness.adjusted(p_values) > BOUND, p_values


@pytest.mark.parametrize(
    ("sigma", "learnt"), [(2.0, ()), (4.0, ()), (2.0, ("emission_biases_sigma", "trans_kappa"))]
)
@double_precision
def test_sweeps_with_the_states_summed_out_are_exact(monkeypatch, sigma, learnt):
    """By alternation: chains backwards are those of other pairs of parameters and states.

    Under the wider priors single entries are drawn too, given the states.
    """
    priors = exactness.PRIORS._replace(
        emission_base_sigma=np.float64(sigma), emission_biases_sigma=np.float64(sigma)
    )
    monkeypatch.setattr(exactness, "PRIORS", priors)
    kernel = _kernel("sequential", sampler="marginal", learnt=learnt)
    p_values = alternation_p_values(kernel, seed=0)
    assert exactness.adjusted(p_values) > BOUND, p_values


# two factors: of three animals, two are treated
GROUPS = (Factor(3, (0, 1, 2)), Factor(2, (0, 0, 1)))
TERMS_OF_GROUPS = ("base", "biases", "group_emissions", "group_states")
BOUND_OF_GROUPS = FALSE_ALARM / 2


@double_precision
def test_sweeps_with_groups_are_exact():
    terms = Terms(2, exactness.N_SYLLABLES, TERMS_OF_GROUPS, True, GROUPS, trans_by_group=True)
    kernel = exactness.make_kernel(terms, "sequential")
    p_values = rank_p_values(kernel, seed=0)
    assert exactness.adjusted(p_values) > BOUND_OF_GROUPS, p_values


@double_precision
def test_sweeps_over_runs_that_learn_scales_of_groups_are_exact():
    terms = Terms(2, exactness.N_SYLLABLES, TERMS_OF_GROUPS, False, GROUPS, trans_by_group=True)
    learnt = ("group_emissions_sigma", "group_transitions_sigma")
    kernel = exactness.make_kernel(terms, "compressed", by_runs=True, learnt=learnt)
    p_values = alternation_p_values(kernel, seed=0)
    assert exactness.adjusted(p_values) > BOUND_OF_GROUPS, p_values


class SameKey(exactness.Kernel):
    """A kernel that uses the key of its first sweep in every sweep."""

    def sweep(self, keys, number, chain, data):
        del number
        return super().sweep(keys, 0, chain, data)


def _counted_into_next(count, states, sequences, *shapes):
    starts = sequences.starts & ~sequences.inside
    return count(states, sequences._replace(starts=starts), *shapes)


def _runs_counted_into_next(count, states, table, factors, trans_probs, runs):
    runs = runs._replace(starts=runs.starts & ~runs.inside)
    return count(states, table, factors, trans_probs, runs)


def _of_transposed(function, *arguments):
    *others, trans_probs, sequences = arguments
    return function(*others, trans_probs.T, sequences)


def _with_precision_times_3(curvature, *arguments):
    hessian = curvature(*arguments)
    return hessian._replace(precision=3 * hessian.precision)


def _less_one(concentrations, *arguments):
    return concentrations(*arguments) - 1


class Planted(NamedTuple):
    """An error in the library: functions of it, and what stands around them."""

    changes: tuple  # of module, name, wrapper
    backend: str = "sequential"
    sampler: str = "hmc"


PLANTED = {
    "a transition into the next sequence": Planted(((sequential, "count", _counted_into_next),)),
    "a transition of runs into the next sequence": Planted(
        ((compressed, "_count", _runs_counted_into_next),), "compressed"
    ),
    # the forward recursion is given A once more transposed: only the drawing is wrong
    "states drawn by transposed transitions": Planted(
        ((sequential, "forward", _of_transposed), (sequential, "sample", _of_transposed))
    ),
    "a metric of two kinds": Planted(((hmc, "curvature", _with_precision_times_3),)),
    "the Laplace approximation": Planted((), sampler="laplace"),
}


@pytest.mark.parametrize("error", PLANTED)
@double_precision
def test_a_planted_error_is_found(monkeypatch, error):
    changes, backend, sampler = PLANTED[error]
    usual = _kernel(backend, by_runs=backend == "compressed", sampler=sampler)
    for module, name, change in changes:
        monkeypatch.setattr(module, name, functools.partial(change, getattr(module, name)))
    # what is compiled with the error is not kept
    if sampler != "hmc" or changes[0][0] is hmc:
        kernel = usual._replace(params=exactness.compile_params(usual.settings))
    else:
        kernel = usual._replace(states=exactness.compile_states(usual.settings))
    _assert_found(kernel)


@double_precision
def test_one_key_for_all_sweeps_is_found():
    _assert_found(SameKey(*_kernel("sequential")))


@double_precision
def test_transitions_without_their_jacobian_are_found(monkeypatch):
    usual = _kernel("sequential", sampler="marginal")
    planted = functools.partial(_less_one, marginal.concentrations)
    monkeypatch.setattr(marginal, "concentrations", planted)
    kernel = usual._replace(params=exactness.compile_params(usual.settings))
    p_values = alternation_p_values(kernel, n_replicates=N_FEW, seed=0)
    assert exactness.adjusted(p_values) < FOUND


def _assert_found(kernel):
    for test in (rank_p_values, alternation_p_values):
        assert exactness.adjusted(test(kernel, n_replicates=N_FEW, seed=0)) < FOUND


def _kernel(backend, **keywords):
    return exactness.make_kernel(Terms(N_STATES, exactness.N_SYLLABLES), backend, **keywords)
