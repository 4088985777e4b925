"""Round trips and invariances, on inputs that hypothesis draws.

What compiles kernels takes sequences of one shape, so that nothing is compiled twice.
"""

import itertools

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from hhmm import EfficientHHMM, metrics
from hhmm._sequences import lanes
from hhmm._sequences.read import Layout, check_sequences
from hhmm.preprocessing import RunCollapser, SyllableEncoder
from tests import oracles

N_STATES, N_SYLLABLES = 3, 4
N_SEQUENCES, N_TIMESTEPS = 3, 8
X_SIZE = N_SEQUENCES * N_TIMESTEPS
many = settings(max_examples=35, deadline=None, derandomize=True)
few = settings(max_examples=8, deadline=None, derandomize=True)  # where kernels run

label = st.integers(-1, N_SYLLABLES - 1)
sequences_ = st.lists(
    st.lists(label, max_size=9).map(lambda x: np.array(x, np.int32)), min_size=1, max_size=5
)
rows = st.lists(
    st.lists(label, min_size=N_TIMESTEPS, max_size=N_TIMESTEPS),
    min_size=N_SEQUENCES,
    max_size=N_SEQUENCES,
).map(lambda x: np.array(x, np.int32))
# ends with an observed timestep, so that all have the same length for the kernels
full_rows = rows.map(lambda x: np.concatenate([x[:, :-1], np.maximum(x[:, -1:], 0)], axis=1))
seeds = st.integers(0, 2**32 - 1)


def draw_params(seed):
    """Parameters as published ones would be, from a seed."""
    rng = np.random.default_rng(seed)
    return oracles.random_model(rng, N_STATES, N_SYLLABLES, sigma=1.0)


def trimmed(x):
    """A sequence up to its last observed timestep."""
    return x[: np.flatnonzero(x >= 0).max(initial=-1) + 1]


# validation


def forms_of(X, seed):
    """The same data in every form that is taken."""
    rng = np.random.default_rng(seed)
    missing = X < 0
    garbage = np.where(missing, rng.integers(0, 100, X.shape), X)
    # what is missing may be any negative number
    yield np.where(missing, -rng.integers(1, 100, X.shape), X)
    for dtype in (np.int8, np.int64, np.float32, np.float64, object):
        yield X.astype(dtype)
    with_nan = np.where(missing, np.nan, X)
    yield with_nan
    yield np.asfortranarray(X)
    yield np.repeat(X, 2, axis=1)[:, ::2]
    yield np.ma.MaskedArray(garbage, missing)
    yield np.ma.MaskedArray(garbage.astype(float), missing)
    yield pd.DataFrame(X)
    yield pd.DataFrame(with_nan)
    yield list(X)
    yield tuple(map(list, X))
    yield list(with_nan)
    yield [np.ma.MaskedArray(*row) for row in zip(garbage, missing, strict=True)]
    objects = np.empty(len(X), object)
    objects[:] = list(X)
    yield objects
    yield pd.Series(list(X))
    # lists may be of any lengths, and what is missing at their ends does not count
    yield [trimmed(row) for row in X]


@given(rows, seeds)
@many
def test_every_form_of_the_same_data_gives_the_same_sequences(X, seed):
    for form in forms_of(X, seed):
        checked = check_sequences(EfficientHHMM(), form, reset=True)
        assert len(checked.sequences) == N_SEQUENCES
        for found, row in zip(checked.sequences, X, strict=True):
            assert found.dtype == np.int32
            np.testing.assert_array_equal(found, trimmed(row))


@given(rows, st.lists(st.booleans(), min_size=X_SIZE, max_size=X_SIZE))
@many
def test_a_mask_is_what_missing_timesteps_are(X, observed):
    mask = np.array(observed).reshape(X.shape)
    expected = check_sequences(EfficientHHMM(), np.where(mask, X, -1), reset=True)
    for form in (X, np.ma.MaskedArray(X, np.zeros(X.shape, bool)), pd.DataFrame(X)):
        found = check_sequences(EfficientHHMM(), form, mask=mask, reset=True)
        for one, other in zip(found.sequences, expected.sequences, strict=True):
            np.testing.assert_array_equal(one, other)
    masked = np.ma.MaskedArray(X, ~mask)
    again = check_sequences(EfficientHHMM(), masked, reset=True)
    for one, other in zip(again.sequences, expected.sequences, strict=True):
        np.testing.assert_array_equal(one, other)


@given(sequences_)
@many
def test_checked_sequences_are_taken_as_they_are(sequences):
    once = check_sequences(EfficientHHMM(), sequences, reset=True).sequences
    twice = check_sequences(EfficientHHMM(), once, reset=True).sequences
    for x, one, other in zip(sequences, once, twice, strict=True):
        np.testing.assert_array_equal(one, trimmed(x))
        np.testing.assert_array_equal(other, one)


# packing


@given(sequences_, st.lists(st.integers(0, 3), min_size=5, max_size=5), st.booleans())
@many
def test_unpack_undoes_pack(sequences, more, is_array):
    """Whatever stands in the lanes: every timestep comes back to where it was."""
    sequences = [trimmed(x) for x in sequences]
    packed, index = lanes.pack(sequences, N_SYLLABLES)
    numbered = np.arange(packed.pairs.size).reshape(packed.pairs.shape)
    lengths = np.array([len(x) for x in sequences])
    n_timesteps = lengths + np.array(more[: len(lengths)])
    if is_array:
        n_timesteps[:] = n_timesteps.max()
    unpacked = lanes.unpack([numbered], index, Layout(is_array, n_timesteps), fill=-1)
    places = []
    for row, x, n in zip(unpacked, sequences, n_timesteps, strict=True):
        assert row.shape == (n,)
        assert (row[len(x) :] == -1).all()
        places += row[: len(x)].tolist()
        expected = [N_SYLLABLES**2] + [
            int(i) * N_SYLLABLES + int(j) if min(i, j) >= 0 else N_SYLLABLES**2
            for i, j in itertools.pairwise(x)
        ]
        np.testing.assert_array_equal(packed.pairs.ravel()[row[: len(x)]], expected[: len(x)])
    assert sorted(places) == np.flatnonzero(packed.inside).tolist()
    np.testing.assert_array_equal(lanes.sum_by_sequence([packed.inside], index), lengths)


# runs


def runs_by_groupby(x, *, keep_missing):
    """Syllables and lengths of runs, by the standard library."""
    x = trimmed(x)
    x = x if keep_missing else x[x >= 0]
    runs = [(key, len(list(group))) for key, group in itertools.groupby(x.tolist())]
    return [key for key, _ in runs], [n for _, n in runs]


@given(sequences_, st.booleans())
@many
def test_runs_are_those_of_groupby(sequences, keep_missing):
    collapser = RunCollapser(keep_missing=keep_missing)
    runs, lengths = collapser.transform(sequences), collapser.run_lengths(sequences)
    for x, syllables, n in zip(sequences, runs, lengths, strict=True):
        expected = runs_by_groupby(x, keep_missing=keep_missing)
        assert (syllables.tolist(), n.tolist()) == expected


@given(sequences_, st.booleans())
@many
def test_expanding_runs_gives_the_frames(sequences, keep_missing):
    collapser = RunCollapser(keep_missing=keep_missing)
    runs = collapser.transform(sequences)
    for x, expanded in zip(sequences, collapser.expand(runs, sequences), strict=True):
        np.testing.assert_array_equal(expanded, x)
    # runs of runs are the same runs
    for run, again in zip(runs, collapser.transform(runs), strict=True):
        np.testing.assert_array_equal(again, run)


@given(rows, st.booleans())
@many
def test_rows_collapse_as_lists_do(X, keep_missing):
    collapser = RunCollapser(keep_missing=keep_missing)
    as_list = collapser.transform(list(X))
    for row, runs in zip(collapser.transform(X), as_list, strict=True):
        np.testing.assert_array_equal(row[: len(runs)], runs)
        assert (row[len(runs) :] == -1).all()


# encoding


labels = st.lists(
    st.lists(st.sampled_from(["a", "b", "B", "", 3, 10, 2.5, None, np.nan]), max_size=8),
    min_size=1,
    max_size=4,
).filter(lambda songs: any(is_observed(label) for song in songs for label in song))


def is_observed(label):
    return label is not None and label == label


@given(labels)
@many
def test_decoding_gives_the_labels(songs):
    encoder = SyllableEncoder().fit(songs)
    codes = encoder.transform(songs)
    observed = [label for song in songs for label in song if is_observed(label)]
    assert set(encoder.categories_.tolist()) == set(observed)
    assert encoder.n_syllables_ == len(set(observed))
    for song, code, decoded in zip(songs, codes, encoder.inverse_transform(codes), strict=True):
        missing = -1 if encoder.categories_.dtype == np.int64 else None
        assert decoded.tolist() == [label if is_observed(label) else missing for label in song]
        assert [c >= 0 for c in code.tolist()] == list(map(is_observed, song))
    # codes are labels of their own
    again = SyllableEncoder().fit(codes)
    for code, recoded in zip(codes, again.transform(codes), strict=True):
        np.testing.assert_array_equal(recoded, code)


@given(labels, st.permutations(range(4)))
@many
def test_the_numbering_does_not_depend_on_the_order_of_sequences(songs, order):
    order = [i for i in order if i < len(songs)]
    one = SyllableEncoder().fit(songs)
    other = SyllableEncoder().fit([songs[i] for i in order])
    assert one.categories_.tolist() == other.categories_.tolist()


# metrics


@given(rows, rows, st.permutations(range(N_SYLLABLES)), st.permutations(range(N_SEQUENCES)))
@many
def test_metrics_know_no_names_and_no_order(y_true, y_pred, names, order):
    """Names of the predicted states mean nothing, and neither does the order of sequences."""
    if not ((y_true >= 0) & (y_pred >= 0)).any():
        return
    renamed = np.where(y_pred >= 0, np.array(names)[y_pred], -1)
    accuracy = metrics.matched_accuracy(y_true, y_pred)
    assert metrics.matched_accuracy(y_true, renamed) == accuracy
    assert metrics.matched_accuracy(y_pred, y_true) == accuracy
    assert metrics.matched_accuracy(y_true[order], y_pred[order]) == accuracy
    assert metrics.matched_accuracy(list(y_true), list(renamed)) == accuracy
    confusion = metrics.matched_confusion_matrix(y_true, y_pred)
    both = (y_true >= 0) & (y_pred >= 0)
    assert confusion.sum() == both.sum()
    assert np.trace(confusion) == round(accuracy * both.sum())
    mapping = metrics.match_states(y_true, y_pred)
    assert len(set(mapping.tolist())) == len(mapping)
    assert np.mean(mapping[y_pred][both] == y_true[both]) == accuracy


@given(rows, st.permutations(range(N_SYLLABLES)), st.permutations(range(N_SEQUENCES)))
@many
def test_usage_and_durations_follow_the_names(states, names, order):
    names = np.array(names)
    renamed = np.where(states >= 0, names[states], -1)
    usage = metrics.state_usage(states, n_states=N_SYLLABLES)
    durations = metrics.state_durations(states, n_states=N_SYLLABLES)
    of_renamed = metrics.state_durations(renamed, n_states=N_SYLLABLES)
    in_order = metrics.state_durations(states[order], n_states=N_SYLLABLES)
    np.testing.assert_array_equal(metrics.state_usage(renamed, n_states=N_SYLLABLES)[names], usage)
    np.testing.assert_array_equal(
        metrics.state_usage(states[order], n_states=N_SYLLABLES, per_sequence=True),
        metrics.state_usage(states, n_states=N_SYLLABLES, per_sequence=True)[order],
    )
    n_observed = np.count_nonzero(states >= 0)
    for k in range(N_SYLLABLES):
        np.testing.assert_array_equal(of_renamed[names[k]], durations[k])
        assert sorted(in_order[k]) == sorted(durations[k])
        if n_observed:
            np.testing.assert_allclose(durations[k].sum() / n_observed, usage[k])


# the log-likelihood


def rename_states(params, order):
    """The same model with its states in another order."""
    emission_base, emission_biases, trans_probs = params
    helmert = oracles.helmert(N_STATES)
    return (
        emission_base,
        helmert.T @ (helmert @ emission_biases)[order],
        trans_probs[np.ix_(order, order)],
    )


@given(full_rows, seeds, st.permutations(range(N_STATES)))
@few
def test_names_of_states_do_not_change_the_likelihood(X, seed, order):
    params = draw_params(seed)
    model = EfficientHHMM.from_params(*params)
    renamed = EfficientHHMM.from_params(*rename_states(params, order))
    np.testing.assert_allclose(
        renamed.score_samples(X), model.score_samples(X), rtol=1e-5, atol=1e-6
    )
    smoothed = model.predict_proba(X)
    np.testing.assert_allclose(renamed.predict_proba(X), smoothed[..., order], rtol=1e-4, atol=1e-5)


@given(full_rows, seeds, st.permutations(range(N_SEQUENCES)))
@few
def test_the_order_of_sequences_is_that_of_the_results(X, seed, order):
    model = EfficientHHMM.from_params(*draw_params(seed))
    expected = model.score_samples(X)
    np.testing.assert_allclose(model.score_samples(X[order]), expected[order], rtol=1e-6)
    np.testing.assert_array_equal(model.predict(X[order]), model.predict(X)[order])


def split(X, t):
    """Sequences with step t missing, and each cut there into the timesteps before and after."""
    gap = X.copy()
    gap[:, t] = -1
    after = np.full_like(X, -1)
    after[:, : N_TIMESTEPS - t - 1] = X[:, t + 1 :]
    return gap, np.where(np.arange(N_TIMESTEPS) < t, X, -1), after


@given(full_rows, seeds, st.integers(1, N_TIMESTEPS - 2))
@few
def test_a_gap_splits_a_sequence_where_transitions_forget(X, seed, t):
    """With equal, uniform rows of A states are independent and uniform at all timesteps.

    So the likelihood is the product over timesteps of the mean emission probability, and
    what stands before and after a missing timestep, at which two factors are 1, are sequences
    of their own.
    """
    emission_base, emission_biases, _ = draw_params(seed)
    uniform = np.full((N_STATES, N_STATES), 1 / N_STATES)
    params = oracles.Model(emission_base, emission_biases, uniform)
    model = EfficientHHMM.from_params(*params)
    whole, before, after = (model.score_samples(part) for part in split(X, t))
    np.testing.assert_allclose(whole, before + after, rtol=1e-5, atol=1e-6)
    means = oracles.syllable_trans_probs(params).mean(axis=0)
    for x, found in zip(split(X, t)[0], whole, strict=True):
        factors = [means[i, j] for i, j in itertools.pairwise(x) if min(i, j) >= 0]
        np.testing.assert_allclose(found, np.log(factors).sum(), rtol=1e-5, atol=1e-6)


@given(full_rows, seeds, st.integers(1, N_TIMESTEPS - 2))
@few
def test_a_gap_keeps_the_chain(X, seed, t):
    """Past a missing timestep the chain goes on for two transitions without an emission.

    p(x) = p(x before) * sum over k, l of f[k] (A A)[k, l] p(x after | z = l), where f is the
    filtered distribution at the last timestep before the gap.
    """
    params = draw_params(seed)
    model = EfficientHHMM.from_params(*params)
    gap, _, _ = split(X, t)
    emissions = oracles.syllable_trans_probs(params)
    two_steps = params.trans_probs @ params.trans_probs
    expected = []
    for x in gap:
        message, log_scale = np.full(N_STATES, 1 / N_STATES), 0.0
        for s in range(1, t):
            message = message @ params.trans_probs
            if min(x[s - 1], x[s]) >= 0:
                message = message * emissions[:, x[s - 1], x[s]]
            log_scale += np.log(message.sum())
            message /= message.sum()
        future = np.ones(N_STATES)
        for s in range(N_TIMESTEPS - 1, t + 1, -1):
            if min(x[s - 1], x[s]) >= 0:
                future = future * emissions[:, x[s - 1], x[s]]
            future = params.trans_probs @ future
        expected.append(log_scale + np.log(message @ two_steps @ future))
    np.testing.assert_allclose(model.score_samples(gap), expected, rtol=1e-5, atol=1e-6)


@given(full_rows, seeds)
@few
def test_missing_timesteps_at_the_end_are_not_there(X, seed):
    model = EfficientHHMM.from_params(*draw_params(seed))
    padded = np.concatenate([X, np.full((N_SEQUENCES, 3), -1)], axis=1)
    np.testing.assert_array_equal(model.score_samples(padded), model.score_samples(X))
