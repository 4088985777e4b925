"""Groups of sequences with parameters of their own: each is as a model of its own, by enumeration.

The model of a group is written down for the oracles: effects of groups on syllables are added to
the usage offset and the biases, those on transitions to the logarithm of the transitions.
"""

import jax
import numpy as np
import pytest
import scipy.special
import scipy.stats

from hhmm._inference import choose, decode
from hhmm._inference.prepare import prepare
from hhmm._messages import BACKENDS, compressed
from hhmm._model.emissions import emission_factors, logits_from_params, terms_of
from hhmm._model.simplex import center
from hhmm._model.terms import Factor
from hhmm._model.transitions import context_trans_probs
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._sequences import lanes, runs
from hhmm._sequences.ragged import Layout
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Params
from tests import oracles
from tests._messages import backends
from tests._messages.test_messages import SEQUENCES
from tests.marks import slow_unless

N_STATES, N_SYLLABLES = 3, 3
# two factors, of two and three levels; the last group has a level that is not known
FACTORS = (Factor(2, (0, 0, 1, 1)), Factor(3, (0, 2, 1, -1)))
GROUPS = np.array([0, 1, 2, 3] * 5, np.int32)[: len(SEQUENCES)]
QUICK = ("sequential", "compressed, cut")
# chance that a correct sampler fails the statistical test below; seeds are fixed
FALSE_ALARM = 1e-4


@pytest.fixture(params=slow_unless(QUICK, sorted(backends.VARIANTS)))
def backend(request):
    return backends.variant(request.param)


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

    def __init__(self, backend, self_transitions):
        self.params = make_params(np.random.default_rng(3))
        self.terms = terms_of(
            self.params, self_transitions=self_transitions, factors=FACTORS
        )._replace(trans_by_group=True)
        self.models = [
            model_of(self.params, group, self_transitions=self_transitions) for group in GROUPS
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(choose, "MAX_POWERS", backend.max_powers)
            patch.setattr(choose, "MIN_MEAN_RUN_PARALLEL", backend.min_mean_run)
            patch.setattr(runs, "MAX_PIECE_LENGTH", backend.max_piece_length)
            self.prepared = prepare(
                RunLengths.of(SEQUENCES),
                self.terms,
                backend.name,
                every_timestep=True,
                groups=GROUPS,
            )

    def unpack(self, values):
        layout = Layout(False, self.prepared.timesteps.lengths)
        return self.prepared.unpack([values], layout, fill=-1)

    def call(self, name, *first):
        """Call a kernel of the backend."""

        @jax.jit
        def kernel(*first):
            factors = emission_factors(logits_from_params(self.params), self.terms)
            trans_probs = context_trans_probs(
                self.params.trans_probs, self.params.group_transitions, self.terms
            )
            call = getattr(BACKENDS[self.prepared.backend], name)
            return call(*first, factors, trans_probs, self.prepared.data)

        return jax.tree.map(np.asarray, kernel(*first))


@pytest.fixture(params=[True, False], ids=["emissions", "held"])
def case(request, backend):
    return Case(backend, request.param)


@double_precision
def test_each_group_has_its_own_model(case):
    params, prepared = case.params, case.prepared
    terms = decode.log_normalisers(params, prepared)
    log_likelihoods = prepared.sum_terms(terms)
    filtered = case.unpack(decode.forward_filter(params, prepared)[0])
    smoothed = case.unpack(decode.smooth(params, prepared)[0])
    for i, (model, x) in enumerate(zip(case.models, SEQUENCES, strict=True)):
        np.testing.assert_allclose(log_likelihoods[i], oracles.log_likelihood(model, x), atol=1e-6)
        np.testing.assert_allclose(filtered[i], oracles.filtered(model, x), atol=2e-6)
        np.testing.assert_allclose(smoothed[i], oracles.smoothed(model, x), atol=2e-6)


@double_precision
def test_paths_of_groups(case):
    params, prepared = case.params, case.prepared
    found = decode.viterbi(params, prepared)
    log_probs = prepared.sum_timesteps(decode.log_joint_probs(params, prepared, found))
    for path, log_prob, model, x in zip(
        case.unpack(found[0]), log_probs, case.models, SEQUENCES, strict=True
    ):
        paths, joint = oracles.path_probs(model, x)
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
    for group, model, x in zip(GROUPS, case.models, SEQUENCES, strict=True):
        counts = oracles.expected_counts(model, [x])
        trans[group] += counts[0]
        syllables[group] += counts[1]
        expected += oracles.log_likelihood(model, x)
    np.testing.assert_allclose(stats.state_trans_counts, trans.reshape(-1, N_STATES), atol=2e-5)
    of_contexts = syllables.reshape(-1, N_SYLLABLES, N_SYLLABLES)
    np.testing.assert_allclose(stats.syllable_trans_counts, of_contexts, atol=2e-5)
    np.testing.assert_allclose(log_likelihood, expected, rtol=1e-6)


@double_precision
def test_draws_of_groups(case):
    """Counts are those of the states drawn; paths of a sequence have their probabilities."""
    n_draws, which = 2000, 11  # a sequence of group 3, of runs
    drawn = []
    kernel = jax.jit(jax.vmap(lambda key, data: _sample(key, case, data), (0, None)))
    keys = jax.random.split(key_from_random_state(0), n_draws)
    states, stats, log_likelihood = jax.tree.map(np.asarray, kernel(keys, case.prepared.data))
    expected = sum(map(oracles.log_likelihood, case.models, SEQUENCES))
    np.testing.assert_allclose(log_likelihood.mean(), expected, rtol=1e-6)
    for i in range(n_draws):
        changes = states[i]
        if changes.ndim == 2:
            changes = changes.T.reshape(-1)
        prepared = case.prepared
        drawn_runs = lanes.runs_of_changes(changes, prepared.timesteps, prepared.shape[0])
        paths = drawn_runs.sequences
        drawn.append(paths[which])
        if i < 5:
            trans = np.zeros((len(FACTORS[0].levels), N_STATES, N_STATES))
            for group, path, x in zip(GROUPS, paths, SEQUENCES, strict=True):
                trans[group] += oracles.count_transitions([x], [path], N_STATES, N_SYLLABLES)[0]
            by_group = stats.state_trans_counts[i].reshape(trans.shape)
            np.testing.assert_array_equal(by_group, trans)
    paths, joint = oracles.path_probs(case.models[which], SEQUENCES[which])
    # paths of the first and the last quarter of the sequence, which are few enough to count
    ends = paths[:, [0, -1]] @ [N_STATES, 1]
    probs = np.bincount(ends, joint, N_STATES**2) / joint.sum()
    counts = np.bincount(np.array(drawn)[:, [0, -1]] @ [N_STATES, 1], minlength=N_STATES**2)
    common = probs * n_draws > 5
    counts = np.append(counts[common], counts[~common].sum())
    means = n_draws * np.append(probs[common], probs[~common].sum())
    counts, means = counts[means > 0], means[means > 0]
    assert scipy.stats.chisquare(counts, means).pvalue > FALSE_ALARM


def _sample(key, case, data):
    factors = emission_factors(logits_from_params(case.params), case.terms)
    trans_probs = context_trans_probs(
        case.params.trans_probs, case.params.group_transitions, case.terms
    )
    prepared = case.prepared
    backend = BACKENDS[prepared.backend]
    states, stats, log_likelihood = backend.sample(key, factors, trans_probs, data)
    if prepared.data.n_cells:
        n_positions = prepared.shape[0] * prepared.shape[1]
        states = compressed.change_points(
            states, factors, trans_probs, data, n_positions=n_positions
        )
    return states, stats, log_likelihood
