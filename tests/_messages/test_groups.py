"""Groups of sequences with parameters of their own: each is as a model of its own, by enumeration.

The model of a group is written down for the oracles: effects of groups on syllables are added to
the usage offset and the biases, those on transitions to the logarithm of the transitions.
"""

import jax
import numpy as np
import pytest
import scipy.special

from hhmm._inference import choose, decode
from hhmm._inference.prepare import prepare
from hhmm._messages import BACKENDS
from hhmm._model.emissions import emission_factors, logits_from_params, terms_of
from hhmm._model.simplex import center
from hhmm._model.terms import Factor
from hhmm._model.transitions import context_trans_probs
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._sequences import runs
from hhmm._sequences.ragged import Layout
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Params
from tests import oracles
from tests._messages import backends
from tests._messages.test_messages import SEQUENCES
from tests.marks import slow_unless, slow_unless_rows

N_STATES, N_SYLLABLES = 3, 3
# two factors, of two and three levels; the last group has a level that is not known
FACTORS = (Factor(2, (0, 0, 1, 1)), Factor(3, (0, 2, 1, -1)))
GROUPS = np.array([0, 1, 2, 3] * 5, np.int32)[: len(SEQUENCES)]
# variants, and whether syllables that follow themselves are emissions; `test_messages` has the rest
QUICK = [("sequential", True), ("compressed, cut", True)]
CASES = [*QUICK, ("parallel", True), ("parallel, runs cut", False)]
# chance that a correct sampler fails the statistical test below; seeds are fixed
FALSE_ALARM = 1e-4


def make_params(rng):
    model = oracles.random_model_of_terms(rng, N_STATES, N_SYLLABLES)

    def effects(*shape):
        drawn = [rng.standard_normal((factor.n_levels, *shape)) for factor in FACTORS]
        return tuple(center(center(x, axis=0), axis=-1) for x in drawn)

    return Params(
        model.emission_base,
        model.emission_biases,
        model.trans_probs,
        model.emission_usage,
        model.emission_interactions,
        group_emissions=effects(N_SYLLABLES),
        group_states=tuple(center(x, axis=1) for x in effects(N_STATES, N_SYLLABLES)),
        group_transitions=effects(N_STATES, N_STATES),
    )


def model_of(params, group, *, self_transitions=True):
    """The model of one group, of the oracles."""
    q_s, q_k = oracles.helmert(N_SYLLABLES), oracles.helmert(N_STATES)
    usage, biases = params.emission_usage, params.emission_biases
    log_trans = np.log(params.trans_probs)
    for f, factor in enumerate(FACTORS):
        level = factor.levels[group]
        if level >= 0:
            usage = usage + params.group_emissions[f][level] @ q_s
            biases = biases + q_k.T @ params.group_states[f][level] @ q_s
            log_trans = log_trans + params.group_transitions[f][level]
    return oracles.ModelOfTerms(
        params.emission_base,
        biases,
        scipy.special.softmax(log_trans, axis=1),
        usage,
        params.emission_interactions,
        self_transitions,
    )


class Case:
    """Sequences laid out for a backend, and the model of the group of each."""

    def __init__(self, backend, self_transitions, sequences=SEQUENCES, groups=GROUPS):
        self.params = make_params(np.random.default_rng(3))
        self.terms = terms_of(
            self.params, self_transitions=self_transitions, factors=FACTORS
        )._replace(trans_by_group=True)
        self.models = [
            model_of(self.params, group, self_transitions=self_transitions)
            for group in range(len(FACTORS[0].levels))
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(choose, "MAX_POWERS", backend.max_powers)
            patch.setattr(choose, "MIN_MEAN_RUN_PARALLEL", backend.min_mean_run)
            patch.setattr(runs, "MAX_PIECE_LENGTH", backend.max_piece_length)
            self.prepared = prepare(
                RunLengths.of(sequences),
                self.terms,
                backend.name,
                every_timestep=True,
                groups=groups,
            )

    def unpack(self, values):
        layout = Layout(False, self.prepared.timesteps.lengths)
        return self.prepared.unpack([values], layout, fill=-1)

    def call(self, name, *first):
        """Call a kernel of the backend."""

        @jax.jit
        def kernel(*given):
            *first, params, data = given
            factors = emission_factors(logits_from_params(params), self.terms)
            trans_probs = context_trans_probs(
                params.trans_probs, params.group_transitions, self.terms
            )
            return getattr(BACKENDS[self.prepared.backend], name)(
                *first, factors, trans_probs, data
            )

        return jax.tree.map(np.asarray, kernel(*first, self.params, self.prepared.data))


@pytest.fixture(
    params=slow_unless(QUICK, CASES),
    ids=lambda pair: f"{pair[0]}-{'emissions' if pair[1] else 'held'}",
)
def case(request):
    variant, self_transitions = request.param
    return Case(backends.variant(variant), self_transitions)


@double_precision
def test_each_group_has_its_own_model(case):
    params, prepared = case.params, case.prepared
    terms = decode.log_normalisers(params, prepared)
    log_likelihoods = prepared.sum_terms(terms)
    filtered = case.unpack(decode.forward_filter(params, prepared)[0])
    smoothed = case.unpack(decode.smooth(params, prepared)[0])
    for i, (group, x) in enumerate(zip(GROUPS, SEQUENCES, strict=True)):
        model = case.models[group]
        np.testing.assert_allclose(log_likelihoods[i], oracles.log_likelihood(model, x), atol=1e-6)
        np.testing.assert_allclose(filtered[i], oracles.filtered(model, x), atol=2e-6)
        np.testing.assert_allclose(smoothed[i], oracles.smoothed(model, x), atol=2e-6)


@double_precision
def test_paths_of_groups(case):
    params, prepared = case.params, case.prepared
    found = decode.viterbi(params, prepared)
    log_probs = prepared.sum_timesteps(decode.log_joint_probs(params, prepared, found))
    for path, log_prob, group, x in zip(
        case.unpack(found[0]), log_probs, GROUPS, SEQUENCES, strict=True
    ):
        paths, joint = oracles.path_probs(case.models[group], x)
        np.testing.assert_allclose(log_prob, np.log(joint.max()), rtol=1e-5, atol=1e-6)
        own = joint[np.all(paths == path, axis=1)]
        np.testing.assert_allclose(own, joint.max(), rtol=1e-4)


@double_precision
def test_expected_counts_of_groups(case):
    stats, log_likelihood = case.call("expected_counts")
    trans, syllables = (
        np.zeros((len(FACTORS[0].levels), N_STATES, N_STATES)),
        np.zeros((len(FACTORS[0].levels), N_STATES, N_SYLLABLES, N_SYLLABLES)),
    )
    expected = 0.0
    for group, x in zip(GROUPS, SEQUENCES, strict=True):
        model = case.models[group]
        counts = oracles.expected_counts(model, [x])
        trans[group] += counts[0]
        syllables[group] += counts[1]
        expected += oracles.log_likelihood(model, x)
    np.testing.assert_allclose(stats.state_trans_counts, trans.reshape(-1, N_STATES), atol=2e-5)
    of_contexts = syllables.reshape(-1, N_SYLLABLES, N_SYLLABLES)
    np.testing.assert_allclose(stats.syllable_trans_counts, of_contexts, atol=2e-5)
    np.testing.assert_allclose(log_likelihood, expected, rtol=1e-6)


@pytest.mark.parametrize(("variant", "self_transitions"), slow_unless_rows(QUICK, CASES))
@double_precision
def test_draws_of_groups(variant, self_transitions):
    """Counts are those of the states drawn; in each group, paths have their probabilities."""
    n_draws, x = 2000, np.array([0, 0, 1, 1, 1, 2], np.int32)
    n_groups = len(FACTORS[0].levels)
    sequences = SEQUENCES + [x] * (n_draws * n_groups)
    groups = np.append(GROUPS, np.arange(n_draws * n_groups) % n_groups).astype(np.int32)
    case = Case(backends.variant(variant), self_transitions, sequences, groups)
    states, stats, log_likelihood = case.call("sample", key_from_random_state(0))
    logits = logits_from_params(case.params)
    states = case.prepared.runs_of_states([states], logits, case.params.trans_probs).sequences
    trans = np.zeros((n_groups, N_STATES, N_STATES))
    for group, path, own in zip(GROUPS, states, SEQUENCES, strict=False):
        trans[group] += oracles.count_transitions([own], [path], N_STATES, N_SYLLABLES)[0]
    expected = sum(
        oracles.log_likelihood(case.models[group], own)
        for group, own in zip(GROUPS, SEQUENCES, strict=True)
    )
    drawn = np.stack(states[len(SEQUENCES) :]).reshape(n_draws, n_groups, len(x))
    for group, model in enumerate(case.models):
        copies = drawn[:, group]
        np.add.at(trans[group], (copies[:, :-1], copies[:, 1:]), 1)
        _, joint = oracles.path_probs(model, x)
        expected += n_draws * np.log(joint.sum())
        code = copies @ N_STATES ** np.arange(len(x))[::-1]
        observed = np.bincount(code, minlength=N_STATES ** len(x))
        p_value = oracles.chi_square_p_value(observed, n_draws * joint / joint.sum())
        assert p_value > FALSE_ALARM, group
    np.testing.assert_array_equal(stats.state_trans_counts, trans.reshape(-1, N_STATES))
    np.testing.assert_allclose(log_likelihood, expected, rtol=1e-6)
