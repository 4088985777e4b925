"""Cutting sequences into runs, and into the pieces that go with them."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hhmm import EfficientHHMM
from hhmm._messages import compressed
from hhmm._messages.arithmetic import count_cells
from hhmm._model.emissions import emission_factors
from hhmm._model.terms import Terms
from hhmm._runtime.precision import double_precision
from hhmm._sequences import lanes, runs
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import EmissionLogits, PackedRuns, RunData
from tests import oracles

N_SYLLABLES = 3

held = st.tuples(st.integers(-1, N_SYLLABLES - 1), st.integers(1, 12))
sequence = st.lists(held, max_size=8).map(
    lambda runs: np.repeat([s for s, _ in runs], [n for _, n in runs]).astype(np.int32)
)


@given(st.lists(sequence, min_size=1, max_size=6), st.sampled_from([1, 2, 4, 64]))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_runs_written_out_are_the_sequences(sequences, n_powers):
    """Every timestep is in one run, in order, with its emission."""
    packed, run_index, piece_index, shape = runs.pack_runs(
        RunLengths.of(sequences), N_SYLLABLES, n_powers
    )
    pieces = runs.cut_pieces(sequences, N_SYLLABLES, packed, piece_index, shape)
    assert pieces.sequences.pairs.shape == shape
    by_position = pieces.sequences.pairs.T.reshape(-1)
    counts = np.zeros_like(packed.cell_counts)
    for i, x in enumerate(sequences):
        pairs, _ = lanes.pair_codes([x], N_SYLLABLES)
        written = []
        rows = run_index.offsets[i] + np.arange(run_index.lengths[i])
        for row in rows:
            place = row, run_index.lanes[i]
            position = packed.positions[place]
            assert position == piece_index.lanes[i] * shape[0] + len(written)
            assert packed.inside[place]
            assert packed.starts[place] == (len(written) == 0)
            table_row, power = divmod(packed.cells[place], n_powers)
            held_pair = table_row * (N_SYLLABLES + 1) if table_row < N_SYLLABLES else N_SYLLABLES**2
            written += [packed.pairs[place]] + [held_pair] * power
            counts[0, table_row, power] += 1
        np.testing.assert_array_equal(written, pairs)
        begin = piece_index.lanes[i] * shape[0]
        np.testing.assert_array_equal(by_position[begin : begin + len(x)], pairs)
    assert packed.inside.sum() == run_index.lengths.sum()
    np.testing.assert_array_equal(packed.cell_counts, counts)
    assert packed.starts[~packed.inside].all()


@given(st.lists(sequence, min_size=1, max_size=4), st.sampled_from([1, 4, 64]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_pieces_know_the_run_they_begin_in(sequences, n_powers):
    packed, _, piece_index, shape = runs.pack_runs(RunLengths.of(sequences), N_SYLLABLES, n_powers)
    pieces = runs.cut_pieces(sequences, N_SYLLABLES, packed, piece_index, shape)
    for piece in np.flatnonzero(pieces.sequences.inside[0]):
        place = pieces.run[piece], pieces.lane[piece]
        assert packed.inside[place]
        within = piece * shape[0] - packed.positions[place]
        assert within == pieces.within[piece]
        assert 0 <= within <= packed.cells[place] % n_powers


@pytest.mark.parametrize(
    ("x", "lengths"),
    [
        ([0, 0, 0, 0], [4]),  # the first timestep takes in what holds
        ([0, 0, 1, 1, 1], [2, 3]),  # a change takes in what holds
        ([0, 1, 2, 0], [1, 1, 1, 1]),
        ([0, 0, -1, -1, -1, 0, 0], [2, 4, 1]),  # into and out of missing timesteps
        ([-1, -1, 0, 0, 0], [3, 2]),
    ],
)
def test_runs_are_as_long_as_they_can_be(x, lengths):
    sequences = RunLengths.of([np.array(x, np.int32)])
    _, found, *_ = runs.tabulate(sequences, N_SYLLABLES, 100)
    np.testing.assert_array_equal(found, lengths)


@pytest.mark.slow
def test_a_run_of_a_million_timesteps_does_not_underflow():
    """The likelihood of a run is a power of a matrix, here by squaring in NumPy."""
    n_held = 10**6
    model = oracles.random_model(np.random.default_rng(0), 3, 4, sigma=1.5)
    x = np.repeat(np.array([2, 1, 3], np.int32), [5, n_held, 4])
    fitted = EfficientHHMM.from_params(*model).set_params(message_passing="compressed")
    probs = oracles.syllable_trans_probs(model)
    message, log_scale = np.full(3, 1 / 3), 0.0
    for before, after, n in [(2, 2, 4), (2, 1, 1), (1, 1, n_held - 1), (1, 3, 1), (3, 3, 3)]:
        matrix, log_matrix = _power(model.trans_probs * probs[:, before, after], n)
        message = message @ matrix
        log_scale += log_matrix + np.log(message.sum())
        message = message / message.sum()
    np.testing.assert_allclose(fitted.score_samples([x]), log_scale, rtol=1e-6)
    np.testing.assert_allclose(fitted.filter_proba([x])[0][-1], message, rtol=1e-4)
    smoothed = fitted.predict_proba([x])[0]
    np.testing.assert_allclose(smoothed.sum(axis=1), 1, rtol=1e-5)
    log_prob, (states,) = fitted.decode([x])
    assert np.isfinite(log_prob).all()
    # far from both ends of the run the past and the future are forgotten
    np.testing.assert_allclose(smoothed[n_held // 2], smoothed[n_held // 3], rtol=1e-4)
    # the best path of a long run goes round the cycle of states with the highest mean (Karp 1978)
    middle = states[1000:-1000]
    assert any((middle[n:] == middle[:-n]).all() for n in (1, 2, 3))


def _power(matrix, n):
    """matrix ** n as a matrix and the logarithm of its factor."""
    result, log_result, log_matrix = np.eye(len(matrix)), 0.0, 0.0
    while n:
        if n % 2:
            result, log_result = result @ matrix, log_result + log_matrix
            largest = result.max()
            result, log_result = result / largest, log_result + np.log(largest)
        matrix, log_matrix = matrix @ matrix, 2 * log_matrix
        largest = matrix.max()
        matrix, log_matrix = matrix / largest, log_matrix + np.log(largest)
        n //= 2
    return result, log_result


@pytest.mark.slow
def test_many_states_and_syllables_agree_with_timestep_by_timestep():
    """50 states, 500 syllables: as large as it is meant for."""
    rng = np.random.default_rng(1)
    model = oracles.random_model(rng, 50, 500, sigma=1.0)
    X = [np.repeat(rng.integers(0, 500, 30), rng.geometric(1 / 20, 30)) for _ in range(3)]
    answers = {}
    for backend in ("sequential", "compressed"):
        fitted = EfficientHHMM.from_params(*model).set_params(message_passing=backend)
        log_prob, _ = fitted.decode(X)
        smoothed = np.concatenate(fitted.predict_proba(X))
        answers[backend] = fitted.score_samples(X), log_prob, smoothed
        assert set(np.concatenate(fitted.sample_states(X, random_state=0))) <= set(range(50))
    scores, log_probs, smoothed = answers["compressed"]
    np.testing.assert_allclose(scores, answers["sequential"][0], rtol=1e-6)
    np.testing.assert_allclose(log_probs, answers["sequential"][1], rtol=1e-6)
    np.testing.assert_allclose(smoothed, answers["sequential"][2], atol=1e-5)


@pytest.mark.slow
@double_precision
@pytest.mark.parametrize("kernel", ["sample", "expected_counts"])
def test_counts_beyond_32_bits_are_exact(kernel):
    """More than 2^31 timesteps, held by one syllable, of which all but a few are in one state."""
    n_runs, n_lanes, n_powers = 1050, 128, 16384
    n_timesteps = n_runs * n_lanes * n_powers
    assert n_timesteps > 2**31
    starts = np.zeros((n_runs, n_lanes), bool)
    starts[0] = True
    pairs = np.zeros((n_runs, n_lanes), np.int32)
    pairs[0] = 4  # nothing is emitted at a start
    runs = PackedRuns(
        pairs=pairs,
        cells=np.full((n_runs, n_lanes), n_powers - 1, np.int32),
        starts=starts,
        inside=np.ones((n_runs, n_lanes), bool),
        positions=np.zeros((n_runs, n_lanes), np.int64),
        pair_counts=np.array([n_timesteps - n_lanes, 0, 0, 0, n_lanes], np.float64),
        cell_counts=np.eye(1, 3 * n_powers, n_powers - 1).reshape(1, 3, n_powers)
        * n_runs
        * n_lanes,
        counters=np.indices((n_runs // 2, n_lanes), np.uint32)[::-1],
        groups=np.zeros(n_lanes, np.int32),
    )
    trans_probs = np.array([[0.99999, 0.00001], [1.0, 0.0]])
    logits, terms = EmissionLogits(np.zeros((2, 2)), np.zeros((2, 2))), Terms(2, 2)

    @jax.jit
    def call(*given):
        *key, trans_probs, data = given
        factors = emission_factors(logits, terms)
        return getattr(compressed, kernel)(*key, factors, trans_probs, data)

    key = (jax.random.key(0),) if kernel == "sample" else ()
    *_, stats, _ = call(*key, trans_probs, RunData(runs, None))
    trans_counts, syllable_counts = map(np.asarray, stats)
    n_transitions = n_timesteps - n_lanes
    tolerance = 0.5 if kernel == "sample" else 1e-6 * n_transitions
    assert abs(trans_counts.sum() - n_transitions) < tolerance
    assert abs(syllable_counts.sum() - n_transitions) < tolerance
    assert trans_counts[0, 0] > 2**31
    assert syllable_counts[0, 0, 0] > 2**31
    assert trans_counts.min() >= 0


@double_precision
@pytest.mark.parametrize(("n", "dtype"), [(2**31 - 1, "i32"), (2**31, "i64")])
def test_cells_are_counted_in_as_many_bits_as_they_need(n, dtype):
    cells = jax.ShapeDtypeStruct((n,), np.int32)
    traced = jax.make_jaxpr(lambda cells: count_cells(cells, 2))(cells)
    assert f"{dtype}[2] = scatter-add" in str(traced)


@pytest.mark.parametrize("self_transitions", [True, False])
def test_blocks_of_sequences_change_nothing(self_transitions, monkeypatch):
    rng = np.random.default_rng(0)
    sequences = RunLengths.of(
        [np.repeat(rng.integers(-1, 3, n), 4).astype(np.int32) for n in (0, 5, 30, 1, 0, 12, 40, 0)]
    )
    coding = {"self_transitions": self_transitions}
    lengths = runs.run_lengths(sequences, 3, **coding)
    counts = runs.count_runs(sequences, 3, 4, **coding)
    of_runs, *_ = runs.tabulate(sequences, 3, 4, **coding)
    np.testing.assert_array_equal(counts, np.bincount(of_runs, minlength=8))
    blocks = functools.partialmethod(RunLengths.blocks, 10)
    monkeypatch.setattr(RunLengths, "blocks", blocks)
    np.testing.assert_array_equal(runs.run_lengths(sequences, 3, **coding), lengths)
    np.testing.assert_array_equal(runs.count_runs(sequences, 3, 4, **coding), counts)
