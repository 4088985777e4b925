"""Every public method at the smallest legal sizes: one state, one syllable, one sequence, one draw.

At these sizes all paths of states can be enumerated, so the right values are known. Warnings of
NumPy are errors: no user shall see a division by zero or the mean of an empty slice.
"""

import io
import pickle
import warnings

import joblib
import matplotlib
import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline

from hhmm import EfficientHHMM, diagnostics, metrics, plotting
from hhmm._optional import sklearn_callbacks
from hhmm.callbacks import FitMonitor
from hhmm.datasets import (
    load_keypoint_moseq,
    load_keypoint_moseq_csv,
    load_moseq_dataframe,
    load_syllable_csv,
    load_table,
    make_hhmm,
    save_states,
)
from hhmm.model_checks import posterior_predictive_check
from hhmm.model_selection import duration_from_trans_kappa, scan, trans_kappa_from_duration
from hhmm.preprocessing import RunCollapser, SyllableEncoder
from tests import oracles
from tests.marks import slow_unless
from tests.published import PUBLISHED

matplotlib.use("Agg")

import matplotlib.pyplot as plt

pytestmark = [
    pytest.mark.filterwarnings("error::RuntimeWarning"),
    # that the data are few is no news here
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore:(?s).*ArviZ is undergoing:FutureWarning"),
]

SIZES = [(1, 2), (2, 1)]  # numbers of states and of syllables
# One compiled sweep of each algorithm serves all fits of a size: a chain keeps two draws.
FIT = PUBLISHED | {"init": "prior", "max_iter": 4, "n_draws": 2, "random_state": 0}
# one timestep beside more, none observed, a gap and padding
SEQUENCES = [[0, 1, 1, 0], [1], [-1, -1], [0, -1, 1, -1]]
STATISTICS = [
    *("state_durations", "state_usage"),
    *("syllable_durations", "syllable_usage", "syllable_transitions"),
]


def sequences_of(n_syllables):
    """`SEQUENCES` as arrays, with one syllable or two."""
    return [np.minimum(x, n_syllables - 1) for x in SEQUENCES]


def without_padding(x):
    return x[: np.flatnonzero(x >= 0).max(initial=-1) + 1]


def rows_of(function, model, X, n_states):
    """What an oracle says of each sequence, (n_timesteps, n_states); NaN on padding."""
    rows = [np.full((len(x), n_states), np.nan) for x in X]
    for row, x in zip(rows, map(without_padding, X), strict=True):
        if len(x):
            row[: len(x)] = function(model, x)
    return rows


def log_likelihoods(model, X):
    return np.array(
        [oracles.log_likelihood(model, x) if len(x) else 0.0 for x in map(without_padding, X)]
    )


def draws_of(model):
    """The kept draws of all chains as `oracles.Model`."""
    shape = model.posterior_.log_joint.shape
    return [oracles.Model(*(part[i] for part in model.posterior_[:3])) for i in np.ndindex(shape)]


def point_estimate(model):
    names = oracles.ModelOfTerms._fields
    return oracles.ModelOfTerms(*(getattr(model, f"{name}_") for name in names))


def assert_rows_equal(given, expected):
    for row, right in zip(given, expected, strict=True):
        np.testing.assert_allclose(row, right, rtol=0, atol=1e-5)


@pytest.fixture(
    scope="module", params=SIZES, ids=lambda sizes: "states{}-syllables{}".format(*sizes)
)
def sizes(request):
    return request.param


@pytest.fixture(scope="module", name="X")
def sequences(sizes):
    return sequences_of(sizes[1])


@pytest.fixture(scope="module")
def model(sizes, X):
    """Fitted by Gibbs sampling, with two draws of one chain."""
    return EfficientHHMM(*sizes, **FIT).fit(X)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


# --- the estimator ---------------------------------------------------------------------------


def test_probabilities_are_those_of_enumeration(model, X, sizes):
    """States of a list and of a 2-D array, which ends a sequence with padding."""
    exact = point_estimate(model)
    assert_rows_equal(model.predict_proba(X), rows_of(oracles.smoothed, exact, X, sizes[0]))
    assert_rows_equal(model.filter_proba(X), rows_of(oracles.filtered, exact, X, sizes[0]))
    np.testing.assert_allclose(model.score_samples(X), log_likelihoods(exact, X), atol=1e-12)
    n_transitions = 3  # all of them in the first sequence
    expected = log_likelihoods(exact, X).sum() / n_transitions
    assert model.score(X) == pytest.approx(expected, abs=1e-12)
    assert model.score(X, sample_weight=[2, 1, 1, 0]) == pytest.approx(expected, abs=1e-12)
    log_prior = oracles.log_prior(exact, 1, 1, 1, 100)
    assert model.log_joint(X) == pytest.approx(log_likelihoods(exact, X).sum() + log_prior)
    np.testing.assert_allclose(
        model.syllable_trans_probs_, oracles.syllable_trans_probs(exact), rtol=1e-12
    )

    rows = np.array([X[2], X[3][:2], X[0][:2]])
    array = model.predict_proba(rows)
    assert array.shape == (3, 2, sizes[0])
    assert_rows_equal(array, rows_of(oracles.smoothed, exact, rows, sizes[0]))
    assert_rows_equal(
        model.predict_proba(rows, mask=[[False, False], [True, False], [True, True]]), array
    )


def test_paths_are_those_of_enumeration(model, X, sizes):
    log_probs, paths = model.decode(X)
    usage = model.transform(X)
    drawn = model.sample_states(X, random_state=0)
    for i, x in enumerate(map(without_padding, X)):
        path, n = paths[i], len(x)
        np.testing.assert_array_equal(path, model.predict(X)[i])
        assert (path[n:] == -1).all()
        assert (drawn[i][n:] == -1).all()
        if n == 0:
            assert log_probs[i] == 0
            assert np.isnan(usage[i]).all()
            continue
        every_path, joint = oracles.path_probs(point_estimate(model), x)
        of_path = joint[(every_path == path[:n]).all(axis=1)].item()
        assert of_path == pytest.approx(joint.max(), rel=1e-5)
        assert log_probs[i] == pytest.approx(np.log(of_path), abs=1e-12)
        np.testing.assert_array_equal(usage[i], np.bincount(path[:n], minlength=sizes[0]) / n)
        assert np.isin(drawn[i][:n], np.arange(sizes[0])).all()
    assert [len(states) for states in model.states_] == [len(x) for x in X]


def test_averages_are_over_the_draws(model, X, sizes):
    """The posterior has parts without an entry where there is one state or one syllable."""
    exact = draws_of(model)
    by_draw = np.array([log_likelihoods(draw, X) for draw in exact])
    np.testing.assert_allclose(
        model.score_samples(X, average=True),
        logsumexp(by_draw, axis=0) - np.log(len(exact)),
        atol=1e-12,
    )
    smoothed = [rows_of(oracles.smoothed, draw, X, sizes[0]) for draw in exact]
    expected = [np.mean(rows, axis=0) for rows in zip(*smoothed, strict=True)]
    assert_rows_equal(model.predict_proba(X, average=True), expected)

    pytest.importorskip("arviz")
    data = model.to_arviz(X)
    np.testing.assert_allclose(data.log_likelihood["X"][0], by_draw, atol=1e-12)
    assert data.posterior["emission_biases"].shape == (1, 2, sizes[0] - 1, sizes[1] - 1)
    assert set(model.to_arviz().groups()) == {"posterior", "sample_stats"}


@pytest.mark.parametrize("statistic", STATISTICS)
def test_predictive_checks_have_the_shape_of_the_statistic(model, X, sizes, statistic):
    check = posterior_predictive_check(
        model, X, statistic=statistic, n_replicates=1, random_state=0
    )
    n_labels = sizes[statistic.startswith("syllable")]
    trailing = {"durations": (5,), "usage": (), "transitions": (n_labels,)}
    assert check.replicated.shape == (1, n_labels, *trailing[statistic.rpartition("_")[2]])
    np.testing.assert_array_equal(check.sequences, [0, 1, 3])
    if n_labels == 1:  # nothing can differ
        np.testing.assert_array_equal(check.p_values, np.full(check.p_values.shape, 0.5))


@pytest.mark.parametrize("n_replicates", [1, 2])
def test_a_predictive_check_of_one_timestep(model, n_replicates):
    check = posterior_predictive_check(
        model, [[0]], n_replicates=n_replicates, max_timesteps=1, random_state=0
    )
    occurs = ~np.isnan(check.observed)
    np.testing.assert_array_equal(
        check.observed[occurs].reshape(-1, 5), [[1, 0, 1, 1, 1]] * n_replicates
    )


def test_summaries_have_a_number_where_one_is_defined(model, sizes):
    """A state that never ends is expected to last for ever, in every draw."""
    n_states, n_syllables = sizes
    summary = diagnostics.posterior_summary(model, include_biases=True)
    assert len(summary.name) == 6 + 2 * n_states + n_states**2 + n_states * n_syllables
    assert not np.isnan([summary.mean, summary.q5, summary.q95]).any(), summary
    endless = np.char.find(summary.name, "dwell_time") >= 0
    assert np.isinf(summary.mean[endless]).all() == (n_states == 1)
    assert not np.isnan(summary.sd[~endless | (n_states > 1)]).any()
    assert np.isnan([summary.rhat, summary.ess_bulk, summary.ess_tail]).all()  # of two draws
    assert summary.to_frame().shape == (len(summary.name), 7)
    # a head, and a last line that says why there is no R-hat of one chain
    assert len(repr(summary).splitlines()) == 1 + len(summary.name) + 1

    preferences = metrics.syllable_preferences(model)
    assert preferences.biases.shape == preferences.ranking.shape == sizes
    if min(sizes) == 1:
        np.testing.assert_allclose(preferences.biases, 0, atol=1e-15)
        np.testing.assert_allclose(preferences.standard_deviations, 0, atol=1e-15)


def test_a_fitted_model_can_be_copied(model, X, sizes):
    """By pickle, joblib, its parameters, and these as lists, as JSON has them."""
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    params = point_estimate(model)
    expected = model.score_samples(X)
    for copy in (
        pickle.loads(pickle.dumps(model)),
        joblib.load(file),
        EfficientHHMM.from_params(*params[:3]),
    ):
        np.testing.assert_array_equal(copy.score_samples(X), expected)
        assert list(copy.get_feature_names_out()) == [f"efficienthhmm{k}" for k in range(sizes[0])]
    assert not hasattr(clone(model), "trans_probs_")
    again = EfficientHHMM.from_params(*(part.tolist() for part in params[:3]))
    np.testing.assert_array_equal(again.score_samples(X), expected)


def test_one_timestep_can_be_simulated(model, sizes):
    syllables, states = model.sample(n_sequences=1, n_timesteps=1, random_state=0)
    assert syllables.shape == states.shape == (1, 1)
    assert states[0, 0] < sizes[0]
    data = make_hhmm(1, 1, *sizes, random_state=0)
    assert data.X.shape == data.states.shape == (1, 1)
    assert data.X[0, 0] < sizes[1]
    assert data.emission_biases.shape == (sizes[0] - 1, sizes[1] - 1)
    np.testing.assert_allclose(data.trans_probs.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("data", "lengths"),
    [
        ([[]], [0]),
        (np.array([[0], [-1]]), [1, 0]),
        ([[], [-1, 0], [0, -1, -1, 0, -1], [-1]], [0, 2, 4, 0]),
    ],
    ids=["empty", "column", "gaps"],
)
def test_data_without_a_transition(model, sizes, data, lengths):
    """The likelihood conditions on what there is: it is 1."""
    np.testing.assert_allclose(model.score_samples(data), 0, atol=1e-12)
    log_probs, paths = model.decode(data)
    probabilities, filtered = model.predict_proba(data), model.filter_proba(data)
    for i, n in enumerate(lengths):
        for rows in (probabilities[i], filtered[i]):
            assert rows.shape == (len(data[i]), sizes[0])
            np.testing.assert_allclose(rows[:n].sum(axis=1), 1, rtol=1e-6)
            assert np.isnan(rows[n:]).all()
        assert (paths[i][:n] >= 0).all()
        assert (paths[i][n:] == -1).all()
        if n <= 1:
            assert log_probs[i] == pytest.approx(-n * np.log(sizes[0]))
    for states in (model.predict(data), model.sample_states(data, random_state=0)):
        assert [row.shape for row in states] == [path.shape for path in paths]
    np.testing.assert_array_equal(np.isnan(model.transform(data)).all(axis=1), np.equal(lengths, 0))
    with pytest.raises(ValueError, match="X has no observed transition to score"):
        model.score(data)


@pytest.mark.parametrize(
    ("n_states", "n_syllables", "settings"),
    [
        (1, 1, {"init": "random", "max_iter": 1, "n_chains": 2}),
        (2, 1, FIT | {"init": [[0, 1, 1, 0], [0], [-1, -1], [0, 1, 0, -1]]}),
        pytest.param(
            *(1, 1),
            FIT | {"emission_solver": "adam", "emission_gd_iters": 1},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["defaults", "from-states", "adam"],
)
def test_fits_with_other_settings(n_states, n_syllables, settings):
    X = sequences_of(n_syllables)
    settings = {"max_iter": 4, "n_draws": 2, "random_state": 0} | settings
    fitted = EfficientHHMM(n_states, n_syllables, **settings).fit(X)
    assert fitted.log_joint_.shape == (fitted.n_chains, fitted.n_iter_)
    assert np.isfinite(fitted.log_joint_).all()
    if n_states == n_syllables == 1:
        np.testing.assert_array_equal(fitted.log_joint_, 0)
    if fitted.algorithm == "gibbs":
        n_kept = min(2, fitted.max_iter - fitted.max_iter // 2)
        assert fitted.posterior_.log_joint.shape == (fitted.n_chains, n_kept)
    else:
        assert fitted.log_joint_.max() == pytest.approx(fitted.log_joint(X), abs=1e-5)
    if fitted.algorithm != "gradient":
        assert fitted.emission_losses_.size > 0
        assert np.isfinite(fitted.emission_losses_).all()
    exact = point_estimate(fitted)
    assert exact.emission_biases.shape == (n_states - 1, n_syllables - 1)
    np.testing.assert_allclose(exact.trans_probs.sum(axis=1), 1, rtol=1e-12)
    assert_rows_equal(fitted.predict_proba(X), rows_of(oracles.smoothed, exact, X, n_states))
    np.testing.assert_allclose(fitted.score_samples(X), log_likelihoods(exact, X), atol=1e-12)
    assert fitted.score_samples([[-1]]) == 0


@pytest.mark.parametrize("algorithm", slow_unless(["em"], ["em", "gradient"]))
def test_the_mode_of_one_state_is_that_of_its_counts(algorithm):
    X = sequences_of(2)
    settings = FIT | {"algorithm": algorithm, "tol": 0.0, "max_iter": 30}
    model = EfficientHHMM(1, 2, **settings).fit(X)
    posterior = oracles.EmissionPosterior(np.array([[[0, 1], [1, 1]]]), 1, 1)
    mode = posterior.mode()
    np.testing.assert_allclose(model.emission_base_, posterior.split(mode)[0], atol=1e-3)
    assert model.log_joint_[0, -1] == pytest.approx(-posterior.value(mode), abs=1e-6)


@pytest.mark.parametrize("algorithm", slow_unless(["em"], ["em", "gradient"]))
def test_the_warning_after_one_iteration_names_no_gain(algorithm):
    """There is no iteration before it to compare with."""
    model = EfficientHHMM(1, 2, **FIT | {"algorithm": algorithm, "max_iter": 1})
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(sequences_of(2))
    (message,) = (str(w.message) for w in caught if w.category is ConvergenceWarning)
    assert "nan" not in message
    assert "Increase max_iter" in message


@pytest.mark.parametrize("algorithm", ["em", "gibbs"])
@pytest.mark.parametrize("n_chains", [1, 2])
def test_fits_go_on(tmp_path, algorithm, n_chains):
    """From a checkpoint, from a fit before and from a model; two times four is eight sweeps."""
    X = sequences_of(2)
    # hmc would stay tuned to the first half of the shorter fit
    settings = FIT | {"algorithm": algorithm, "n_chains": n_chains, "tol": 0.0}
    half = EfficientHHMM(1, 2, **settings)
    whole = clone(half).set_params(max_iter=8)
    expected = clone(whole).fit(X)
    clone(half).fit(X, checkpoint=tmp_path / "fit.npz", checkpoint_every=1)
    for _ in range(2):  # the second finds all done
        resumed = clone(whole).fit(X, checkpoint=tmp_path / "fit.npz", checkpoint_every=1)
        np.testing.assert_array_equal(resumed.log_joint_, expected.log_joint_)
    warm = clone(half).set_params(warm_start=True).fit(X).fit(X)
    np.testing.assert_array_equal(warm.log_joint_[:, -1], expected.log_joint_[:, -1])
    from_model = clone(half).set_params(init=expected).fit(X)
    assert np.isfinite(from_model.log_joint_).all()


def test_shortcuts_and_pipelines_of_one_state():
    X = sequences_of(2)
    model = EfficientHHMM(1, 2, **FIT)
    states = model.fit_predict(X)
    assert [row.tolist() for row in states] == [[0] * 4, [0], [-1, -1], [0, 0, 0, -1]]
    np.testing.assert_array_equal(model.fit_transform(X), [[1], [1], [np.nan], [1]])
    np.testing.assert_array_equal(model.set_output(transform="pandas").transform(X[:2]), [[1], [1]])
    frames = [np.array(list(text)) for text in ("aabbaab", "b", "abba")]
    pipeline = make_pipeline(SyllableEncoder(), RunCollapser(), clone(model))
    runs = pipeline.fit(frames).predict(frames)
    assert [row.tolist() for row in runs] == [[0] * 4, [0], [0] * 3]


def test_two_timesteps_are_enough_for_two_states():
    model = EfficientHHMM(2, **FIT).fit([np.array([0, 0])])
    np.testing.assert_allclose(model.predict_proba([[0, 0]])[0].sum(axis=1), 1, rtol=1e-6)
    with pytest.raises(ValueError, match="n_states=3 is more than the 2 timesteps of X"):
        EfficientHHMM(3).fit([np.array([0, 1])])
    with pytest.raises(ValueError, match=r"no observed transition.* single timestep"):
        EfficientHHMM(1).fit([[0], [0]])
    with pytest.raises(ValueError, match="not one observed timestep"):
        EfficientHHMM(1).fit([[-1, -1]])


@pytest.mark.slow
def test_a_start_is_sought_in_two_timesteps():
    settings = FIT | {"algorithm": "em", "init": "windows"}
    model = EfficientHHMM(2, **settings).fit([np.array([0, 1])])
    assert np.isfinite(model.log_joint_).all()
    np.testing.assert_allclose(model.predict_proba([[0, 1]])[0].sum(axis=1), 1, rtol=1e-6)


def test_more_chains_than_draws_are_no_reason_for_a_warning():
    """ArviZ warns of arrays that look transposed, which these are not."""
    pytest.importorskip("arviz")
    model = EfficientHHMM(1, 2, n_chains=3, **FIT).fit(sequences_of(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        data = model.to_arviz()
    sizes = dict(data.posterior.sizes)
    assert (sizes["chain"], sizes["draw"]) == (3, 2)


@pytest.mark.skipif(not sklearn_callbacks.HAS_CALLBACKS, reason="scikit-learn before 1.9")
@pytest.mark.parametrize("algorithm", slow_unless(["em", "gibbs"], ["em", "gibbs", "gradient"]))
@pytest.mark.parametrize("n_chains", [1, 2])
def test_callbacks_see_every_sweep(algorithm, n_chains):
    X = sequences_of(2)
    monitor = FitMonitor(X, patience=1)
    settings = FIT | {"algorithm": algorithm, "n_chains": n_chains}
    model = EfficientHHMM(1, 2, **settings).set_callbacks(monitor).fit(X)
    seen = [(row["chain"], row["sweep"]) for row in monitor.records]
    assert sorted(seen) == [*np.ndindex(n_chains, model.n_iter_)]
    for row in monitor.records:
        assert row["log_joint"] == model.log_joint_[row["chain"], row["sweep"]]
        assert row["score"] < 0
    assert len(monitor.to_frame()) == len(seen)


# --- what needs no fit -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "diagnostic", [diagnostics.rhat, diagnostics.ess_bulk, diagnostics.ess_tail]
)
@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 1), (2, 3), (1, 4), (2, 4), (2, 5), (1, 4, 0), (2, 0)]
)
def test_diagnostics_of_few_draws(diagnostic, shape):
    """NaN below four draws, and for R-hat of one chain; equal draws are worth all of them."""
    n_chains, n_draws, *trailing = shape
    of_random = diagnostic(np.random.default_rng(0).normal(size=shape))
    of_equal = diagnostic(np.zeros(shape))
    assert of_random.shape == of_equal.shape == tuple(trailing)
    if 0 in trailing:
        return
    is_rhat = diagnostic is diagnostics.rhat
    assert np.isnan(of_random) == (n_draws < 4 or (is_rhat and n_chains == 1))
    if is_rhat or n_draws < 4:
        assert np.isnan(of_equal)
    else:
        assert of_equal == n_chains * (n_draws // 2) * 2


@pytest.mark.parametrize("states", [[0], [[0]], [[0], [-1]], [[], [0]], np.array([[0, -1]])])
def test_metrics_of_one_timestep(states):
    n_sequences = 2 if len(states) == 2 else 1
    assert metrics.state_usage(states).tolist() == [1]
    assert metrics.state_usage(states, per_sequence=True).shape == (n_sequences, 1)
    for include, expected in [(True, [1]), (False, [])]:
        durations = metrics.state_durations(states, n_states=2, include_censored=include)
        assert [part.tolist() for part in durations] == [expected, []]
    assert metrics.match_states(states, states).tolist() == [0]
    assert metrics.matched_accuracy(states, states) == 1
    for normalize in (None, "true", "pred", "all"):
        confusion = metrics.matched_confusion_matrix(states, states, normalize=normalize)
        assert confusion.tolist() == [[1]]


@pytest.mark.parametrize("correction", [None, "miller-madow"])
@pytest.mark.parametrize("n_surrogates", [0, 1])
def test_information_of_few_pairs(correction, n_surrogates):
    settings = {"n_surrogates": n_surrogates, "correction": correction, "random_state": 0}
    for X, n_pairs in [([0], 0), ([[0], [0, 0]], 1), ([0, 1], 1), ([0, 0, 0], 2)]:
        found = metrics.lagged_mutual_information(X, 1, **settings)
        assert found.n_pairs.tolist() == [n_pairs]
        assert found.markov.shape == found.shuffled.shape == (n_surrogates, 1)
        curves = np.concatenate([found.data, *found.markov, *found.shuffled])
        np.testing.assert_array_equal(curves, np.full(curves.shape, 0 if n_pairs else np.nan))


@pytest.mark.parametrize("states", [[[-1]], [[]]])
def test_metrics_of_no_state(states):
    assert np.isnan(metrics.state_usage(states, n_states=2)).all()
    assert [part.size for part in metrics.state_durations(states, n_states=2)] == [0, 0]
    for function in (metrics.match_states, metrics.matched_accuracy):
        with pytest.raises(ValueError, match=r"must have a state .* got none in . timesteps"):
            function(states, states)
    with pytest.raises(ValueError, match="must hold an observed syllable, got none"):
        metrics.lagged_mutual_information(states, 1)
    with pytest.raises(ValueError, match="states must hold a state"):
        metrics.state_usage(states)


@pytest.mark.parametrize("X", [[["a"]], [["a"], []], [["a", None]], np.array([["a"], ["a"]])])
@pytest.mark.parametrize("min_frequency", [None, 1, 0.5])
def test_encoders_of_one_label(X, min_frequency):
    encoder = SyllableEncoder(min_frequency=min_frequency)
    codes = encoder.fit_transform(X)
    assert encoder.n_syllables_ == len(encoder.categories_) == 1
    assert {code for row in codes for code in row} <= {0, -1}
    for row, labels in zip(encoder.inverse_transform(codes), X, strict=True):
        assert row.tolist() == list(labels)
    assert [row.tolist() for row in encoder.transform([[None], []])] == [[-1], []]
    assert [row.tolist() for row in encoder.inverse_transform([[-1], []])] == [[None], []]
    assert len(encoder.get_feature_names_out()) == getattr(encoder, "n_features_in_", 0)


@pytest.mark.parametrize("keep_missing", [True, False])
@pytest.mark.parametrize(
    ("frames", "runs", "lengths"),
    [
        ([0], [0], [1]),
        ([0, 0, 0], [0], [3]),
        ([-1, -1], [], []),
        ([], [], []),
        ([-1, 0], [-1, 0], [1, 1]),
    ],
)
def test_collapsers_of_one_run(keep_missing, frames, runs, lengths):
    if not keep_missing:
        runs, lengths = runs[-1:], lengths[-1:]
    collapser, frames = RunCollapser(keep_missing=keep_missing), np.array(frames, dtype=int)
    (given,) = collapser.fit_transform([frames])
    assert given.tolist() == runs
    assert collapser.run_lengths([frames])[0].tolist() == lengths
    # what has no entry stands at the beginning here
    used = np.arange(len(frames)) >= len(frames) - sum(lengths)
    states = collapser.expand([np.zeros(len(runs), int)], [frames])[0]
    assert states.tolist() == np.where(used, 0, -1).tolist()
    probabilities = collapser.expand([np.ones((len(runs), 1))], [frames])[0]
    np.testing.assert_array_equal(probabilities, np.where(used, 1.0, np.nan)[:, np.newaxis])
    if len(frames):
        assert collapser.fit_transform(frames[np.newaxis]).shape == (1, len(frames))
        assert len(collapser.get_feature_names_out()) == len(frames)


def test_loaders_of_one_row(tmp_path):
    h5py = pytest.importorskip("h5py")
    folder = tmp_path / "results"
    folder.mkdir()
    table = folder / "m.csv"
    table.write_text("syllable\n3\n")
    of_all = tmp_path / "moseq_df.csv"
    of_all.write_text("name,syllable,frame_index,group\nm,3,0,g\n")
    with h5py.File(tmp_path / "results.h5", "w") as file:
        file["m/syllable"] = [3]
    columns = {"recording": "name", "syllable": "syllable", "frame": "frame_index"}
    for data in (
        load_syllable_csv(table),
        load_table(of_all, **columns, group="group", fill_gaps=True),
        load_moseq_dataframe(of_all),
        load_keypoint_moseq_csv(folder),
        load_keypoint_moseq(tmp_path / "results.h5"),
    ):
        assert data.names == ["m"]
        assert [x.tolist() for x in data.sequences] == [[3]]
        assert [x.tolist() for x in data.onsets] == [[True]]
    for load, path in [(load_moseq_dataframe, of_all), (load_keypoint_moseq_csv, folder)]:
        with pytest.raises(ValueError, match="n_lags=1 leaves nothing of recording 'm'"):
            load(path, n_lags=1)
    table.write_text("syllable\n")
    with pytest.raises(ValueError, match="has no rows"):
        load_syllable_csv(table)


@pytest.mark.parametrize("name", ["states", "states.h5"])
@pytest.mark.parametrize(
    ("states", "names", "beside"),
    [
        ([0], "m", {"syllables": [3], "frames": [7], "probabilities": [[1.0]]}),
        ([[0]], ["m"], {"syllables": [[3]], "frames": [[7]], "probabilities": [[[1.0]]]}),
        (
            np.array([[0]]),
            ["m"],
            {"syllables": np.array([[3]]), "probabilities": np.ones((1, 1, 1))},
        ),
        ([-1], "m", {}),
    ],
)
def test_states_of_one_timestep_are_saved(tmp_path, name, states, names, beside):
    h5py = pytest.importorskip("h5py")
    (path,) = save_states(tmp_path / name, states, names, **beside)
    state = np.ravel(states).tolist()
    if name == "states":
        read = load_syllable_csv(tmp_path / name, syllable="state", frame="frame")
        assert [x.tolist() for x in read.sequences] == [state]
        assert read.frames[0].tolist() == np.ravel(beside.get("frames", 0)).tolist()
        return
    with h5py.File(path) as file:
        assert file["m/state"][:].tolist() == state
        assert file["m"].keys() >= {"state"} | ({"state_probability"} if beside else set())


# --- settings --------------------------------------------------------------------------------


def test_the_shortest_duration_of_two_states():
    assert trans_kappa_from_duration(2, n_states=2) == 0
    assert duration_from_trans_kappa(0, n_states=2) == 2
    assert trans_kappa_from_duration([2.0], n_states=[2]).tolist() == [0]
    for function in (trans_kappa_from_duration, duration_from_trans_kappa):
        with pytest.raises(ValueError, match="n_states must be >= 2, got 1"):
            function(2, n_states=1)
    with pytest.raises(ValueError, match="duration must be at least 2") as caught:
        trans_kappa_from_duration(2 - 1e-9, n_states=2)
    assert not str(caught.value).endswith("got 2")  # which is at least 2


@pytest.fixture(scope="module")
def scanned():
    estimator = EfficientHHMM(algorithm="em", **FIT)
    settings = {"cv": 2, "n_seeds": 1, "random_state": 0}
    return scan([[0, 0], [0, 0]], {"n_states": [1]}, estimator=estimator, **settings)


def test_a_scan_of_one_setting(scanned, tmp_path):
    assert scanned.best_params_ == {"n_states": 1}
    assert scanned.best_score_ == pytest.approx(0, abs=1e-12)
    assert scanned.one_standard_error() == {"n_states": 1}
    assert scanned.table["median_duration"].tolist() == [2, 2]
    assert scanned.table["n_used_states"].tolist() == [1, 1]
    assert np.isinf(scanned.table["prior_duration"]).all()
    assert np.isnan(scanned.table["adjusted_rand"]).all()  # which one seed leaves undefined
    assert scanned.summary()["se_test_score"] == pytest.approx(0, abs=1e-12)
    assert len(scanned.to_frame()) == 2
    assert "1 grid points, 2 fits" in repr(scanned)
    assert plotting.ScanDisplay.from_result(scanned).axes_.shape == (2, 2)
    assert_drawn(plt.gcf())


def test_a_scan_of_one_fold_that_is_resumed(tmp_path):
    settings = {
        "estimator": EfficientHHMM(1, algorithm="em", **FIT),
        "cv": [([0], [1])],
        "n_seeds": 2,
        "random_state": 0,
        "checkpoint": tmp_path / "scan",
        "checkpoint_every": 1,
    }
    for _ in range(2):
        result = scan([[0, 0], [0, 0]], {}, **settings)
        assert result.table["adjusted_rand"].tolist() == [1, 1]
        assert np.isnan(result.summary()["se_test_score"]).all()
        with pytest.raises(ValueError, match="needs two folds or more"):
            result.one_standard_error()


@pytest.mark.parametrize(
    ("X", "grid", "message"),
    [
        ([[0, 0]], {"n_states": [1]}, "n_splits=2 greater than the number of samples"),
        ([[0, 0], [0]], {"n_states": [1]}, "fold 0 have no observed transition"),
        ([[0, 0], [0, 0]], {"n_states": [3]}, "n_states=3 is more than the 2 training timesteps"),
        ([[0, 0], [0, 0]], [], "param_grid"),
    ],
)
def test_scans_of_too_little(X, grid, message):
    with pytest.raises(ValueError, match=message):
        scan(X, grid, cv=2, n_seeds=1)


# --- displays --------------------------------------------------------------------------------


def assert_drawn(figure):
    """The figure can be saved, and nothing warns of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=50)
    assert file.getvalue().startswith(b"\x89PNG")


@pytest.fixture
def strict():
    """Warnings of matplotlib are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.usefixtures("strict")
class TestDisplays:
    def test_of_a_model(self, model, sizes):
        n_states, n_syllables = sizes
        display = plotting.StateTransitionDisplay.from_estimator(model)
        np.testing.assert_array_equal(display.image_.get_array(), model.trans_probs_)
        assert_drawn(display.figure_)
        display = plotting.SyllableTransitionDisplay.from_estimator(model)
        assert len(display.axes_) == n_states
        assert_drawn(display.figure_)
        display = plotting.SyllablePreferenceDisplay.from_estimator(
            model, n_top=1, unused_states=True
        )
        assert [len(bars) for bars in display.bars_] == [n_syllables] * n_states
        assert_drawn(display.figure_)
        display = plotting.StateGraphDisplay.from_estimator(model, unused_states=True)
        assert sorted(display.arrows_) == [(0, 1), (1, 0)][: 2 * (n_states - 1)]
        assert_drawn(display.figure_)
        display = plotting.LogJointDisplay.from_estimator(model)
        np.testing.assert_array_equal(display.lines_[0].get_ydata(), model.log_joint_[0])
        assert_drawn(display.figure_)
        assert_drawn(plotting.EmissionLossDisplay.from_estimator(model).figure_)

    def test_of_one_sequence(self, model, sizes):
        """Of two timesteps; of predictions, `test_of_one_timestep` saves the figures."""
        x = np.array([0, sizes[1] - 1])
        states = model.predict([x])
        n_used = len(np.unique(states))
        for display in (
            plotting.AlignmentDisplay.from_estimators(model, model, [x]),
            plotting.AlignmentDisplay.from_predictions(states, states),
        ):
            assert display.accuracy_ == 1
        assert_drawn(display.figure_)
        for display in (
            plotting.EthogramDisplay.from_estimator(model, [x]),
            plotting.EthogramDisplay.from_predictions(states, frame_rate=30, groups=["a"]),
        ):
            np.testing.assert_array_equal(display.images_[0].get_array(), states)
        assert_drawn(display.figure_)
        for display in (
            plotting.MatchedConfusionDisplay.from_estimator(model, [x], states),
            plotting.MatchedConfusionDisplay.from_predictions(states, states),
        ):
            np.testing.assert_array_equal(np.diag(display.image_.get_array()).max(), 1)
        assert_drawn(display.figure_)
        display = plotting.RasterDisplay.from_estimator(
            model, [x], y_true=states, random_state=0, start=1
        )
        assert len(display.images_) == 5
        assert_drawn(display.figure_)
        for interval in ("standard_error", "bootstrap"):
            display = plotting.StateUsageDisplay.from_estimator(model, [x, x], interval=interval)
            np.testing.assert_array_equal(display.means_, model.transform([x]))
        assert_drawn(display.figure_)
        display = plotting.StateGraphDisplay.from_estimator(model, [x])
        assert len(display.circles_) == sizes[0] >= n_used
        assert_drawn(display.figure_)

    def test_of_one_timestep(self):
        display = plotting.EthogramDisplay.from_predictions([0])
        assert display.images_[0].get_array().tolist() == [[0]]
        assert_drawn(display.figure_)
        display = plotting.RasterDisplay([0], [("state", [0]), ("p({})", [[1.0]])]).plot()
        assert len(display.images_) == 3
        assert_drawn(display.figure_)
        display = plotting.StateUsageDisplay.from_predictions([[0]], groups=["a"])
        assert display.means_.tolist() == [[1]]
        assert_drawn(display.figure_)
        display = plotting.StateGraphDisplay.from_predictions([0])
        assert display.trans_probs.tolist() == [[0]]
        assert_drawn(display.figure_)
        display = plotting.AlignmentDisplay.from_predictions([0], [0])
        assert display.counts.tolist() == [[1]]
        assert_drawn(display.figure_)
        display = plotting.MatchedConfusionDisplay.from_predictions([0], [0])
        assert display.image_.get_array().tolist() == [[1]]
        assert_drawn(display.figure_)

    def test_of_one_number(self):
        display = plotting.LogJointDisplay([-1.0]).plot(reference=-1.0)
        assert display.lines_[0].get_ydata().tolist() == [-1]
        assert_drawn(display.figure_)
        display = plotting.EmissionLossDisplay([1.0]).plot()
        assert display.line_.get_ydata().tolist() == [0]
        assert_drawn(display.figure_)
        for n_surrogates in (0, 1):
            display = plotting.LaggedInformationDisplay.from_sequences(
                [0, 1, 1, 0, 0, 1], 1, n_surrogates=n_surrogates, random_state=0
            )
            assert len(display.line_.get_xdata()) == 1
            assert_drawn(display.figure_)

    @pytest.mark.parametrize(
        ("states", "durations"), [([0, 1], [[], [1]]), ([0, 1, 0], [[1], [1]])]
    )
    def test_of_one_bout(self, states, durations):
        display = plotting.DurationDisplay.from_predictions(states, frame_rate=30)
        assert [part.tolist() for part in display.durations] == durations
        assert_drawn(display.figure_)

    def test_of_nothing_to_draw(self, model, X):
        """The beginning of the only state is never seen; one syllable tells nothing."""
        with pytest.raises(ValueError, match="states must change within a recording"):
            plotting.DurationDisplay.from_predictions([[0, 0], [0]])
        with pytest.raises(ValueError, match="must hold a positive value, got none"):
            plotting.LaggedInformationDisplay.from_sequences([0, 0], 1)
        with pytest.raises(ValueError, match="observed timestep in sequence 2, got none"):
            plotting.RasterDisplay.from_estimator(model, X, index=2)

    @pytest.mark.parametrize("states", [[[-1, -1]], [[]]])
    def test_of_no_state(self, states):
        """Drawn where that has a meaning, refused by name where not."""
        display = plotting.EthogramDisplay.from_predictions(states, n_states=2)
        assert_drawn(display.figure_)
        display = plotting.StateUsageDisplay.from_predictions(states, n_states=2)
        assert np.isnan(display.means_).all()
        assert_drawn(display.figure_)
        with pytest.raises(ValueError, match=r"states must .*got none"):
            plotting.StateGraphDisplay.from_predictions(states, n_states=2)
        with pytest.raises(ValueError, match="must have a state"):
            plotting.AlignmentDisplay.from_predictions(states, states)
