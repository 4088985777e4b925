"""What a user gets for bad input: an error, or a warning, that says what was expected."""

import contextlib
import decimal
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from hhmm import EfficientHHMM, metrics
from hhmm._validation import UnusedStatesWarning
from hhmm.callbacks import FitMonitor
from hhmm.datasets import load_table, make_hhmm
from hhmm.diagnostics import ess_bulk, posterior_summary, rhat
from hhmm.model_selection import duration_from_trans_kappa, scan, trans_kappa_from_duration
from hhmm.plotting import StateUsageDisplay
from hhmm.preprocessing import RunCollapser, SyllableEncoder
from tests.published import PUBLISHED

GOOD = np.array([[0, 1, 2, 0, 1], [2, 2, 1, 0, 0]])


def _model(**parameters):
    defaults = {"n_states": 2, "max_iter": 2, "init": "prior", "random_state": 0}
    return EfficientHHMM(**(PUBLISHED | defaults | parameters))


@pytest.fixture(scope="module")
def fitted():
    return _model().fit(GOOD)


@pytest.fixture(scope="module")
def fitted_on_list():
    return _model().fit(list(GOOD))


BAD_X = {
    "non-integral": (
        GOOD + 0.5,
        ValueError,
        r"X, sequence 0, timestep 0: expected an integer syllable, got 0.5",
    ),
    "non-integral in a list": (
        [GOOD[0], [0, 1.25]],
        ValueError,
        r"X, sequence 1, timestep 1: expected an integer syllable, got 1.25",
    ),
    "infinite": (
        np.where(GOOD == 2, np.inf, GOOD),
        ValueError,
        r"X, sequence 0, timestep 2: expected an integer syllable, got inf",
    ),
    "a string": ("ABBA", ValueError, r"got a string: 'ABBA'"),
    "strings": (np.array([["a", "b"]]), ValueError, r"must hold integer syllables, got strings"),
    "a list of strings": (
        ["abba", "ab"],
        ValueError,
        r"list of 2 single values.*wrap a single sequence as \[X\]",
    ),
    "a list of lists of strings": (
        [["a", "b"]],
        ValueError,
        r"sequence 0 must hold integers, .*SyllableEncoder",
    ),
    "3-D": (np.zeros((2, 3, 4)), ValueError, r"got 3-D data of shape \(2, 3, 4\)"),
    "1-D": (GOOD[0], ValueError, r"wrap a single sequence as \[X\], or as X.reshape\(1, -1\)"),
    "a flat list": (
        [0, 1, 2],
        ValueError,
        r"list of 3 single values.*wrap a single sequence as \[X\]",
    ),
    "an empty list": ([], ValueError, r"X must hold at least one sequence, got an empty X"),
    "2-D items": ([GOOD], ValueError, r"X, sequence 0 must be a 1-D array, got shape \(2, 5\)"),
    "sparse": (scipy.sparse.csr_array(GOOD), TypeError, r"[Ss]parse"),
    "sparse items": ([scipy.sparse.csr_array(GOOD)], TypeError, r"sequence 0 is sparse"),
    "complex": (GOOD + 1j, ValueError, r"[Cc]omplex"),
    "a huge label": (GOOD + 10**10, ValueError, r"expected a number up to"),
    "a huge unsigned label": (
        [np.array([0, 2**63], np.uint64)],
        ValueError,
        r"expected a number up to",
    ),
    "a huge float32 label": (
        [np.array([0, 2.0**31], np.float32)],
        ValueError,
        r"X, sequence 0, timestep 1: expected a number up to 2147483646, got 2147483648",
    ),
    "a ragged sequence": ([[0, 1], [[0], [1, 2]]], ValueError, r"sequence 1 must be a 1-D array"),
    "None": (None, ValueError, r"a list of 1-D arrays, one a sequence, got NoneType"),
}


@pytest.mark.parametrize("case", sorted(BAD_X))
def test_bad_data_in_fit_and_predict(case, fitted_on_list):
    X, error, message = BAD_X[case]
    with pytest.raises(error, match=message):
        _model().fit(X)
    with pytest.raises(error, match=message):
        fitted_on_list.predict(X)


def test_label_beyond_n_syllables():
    with pytest.raises(
        ValueError,
        match=r"syllable 2 \(sequence 0, timestep 2\), but n_syllables is 2: labels must be 0 to 1",
    ):
        _model(n_syllables=2).fit(GOOD)


def test_label_beyond_those_of_the_fit(fitted):
    with pytest.raises(
        ValueError, match=r"syllable 7 \(sequence 1, timestep 0\), but the model was fitted with 3"
    ):
        fitted.predict(np.array([[0, 1, 2, 0, 1], [7, 0, 1, 2, 0]]))


def test_label_too_large_to_be_a_count():
    with pytest.raises(ValueError, match=r"contains syllable 1000000000: expected labels below"):
        _model().fit([[0, 1, 10**9]])


def test_nothing_observed():
    with pytest.raises(ValueError, match=r"2 sequence\(s\) and not one observed timestep"):
        _model().fit(np.full((2, 5), -1))
    with pytest.raises(ValueError, match=r"1 sequence\(s\) and not one observed timestep"):
        _model().fit([[]])


def test_empty_sequences_are_left_out_and_said_once(fitted_on_list):
    X = [GOOD[0], [], [-1, np.nan], GOOD[1]]
    with pytest.warns(UserWarning, match=r"2 of 4 sequences .* left out .* index 1, 2") as record:
        model = _model().fit(X)
    assert sum("left out" in str(warning.message) for warning in record) == 1
    for states, expected in zip(model.predict(X), [5, 0, 2, 5], strict=True):
        assert states.shape == (expected,)
    assert (model.predict(X)[2] == -1).all()
    assert model.score_samples(X)[1] == model.score_samples(X)[2] == 0
    np.testing.assert_array_equal(model.emission_base_, fitted_on_list.emission_base_)


def test_a_single_timestep_is_legal():
    model = _model().fit([GOOD[0], [2]])
    assert [len(states) for states in model.predict([GOOD[0], [2]])] == [5, 1]
    assert model.score_samples([[1]]) == 0


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[1], [0]], "every sequence has a single timestep"),
        (np.array([[1], [0]]), r"\(n_features=1\): every sequence has a single timestep"),
        ([[0, -1, 1], [1, -1, 0]], "no two observed in a row"),
    ],
)
def test_no_transition_at_all(X, message):
    with pytest.raises(ValueError, match=message):
        _model().fit(X)


def test_scoring_without_a_transition(fitted_on_list):
    with pytest.raises(ValueError, match="no observed transition to score"):
        fitted_on_list.score([[1], [0]])


@pytest.mark.parametrize("method", ["fit", "predict", "predict_proba", "score", "sample_states"])
def test_mask_of_another_shape(method, fitted):
    with pytest.raises(ValueError, match=r"mask has shape \(2, 4\), but X has shape \(2, 5\)"):
        getattr(fitted, method)(GOOD, mask=np.ones((2, 4), bool))


def test_mask_that_is_not_boolean(fitted):
    with pytest.raises(ValueError, match="mask must be boolean"):
        fitted.predict(GOOD, mask=np.full(GOOD.shape, 0.5))


def test_mask_with_a_list(fitted_on_list):
    with pytest.raises(ValueError, match=r"mask goes with a 2-D X only.*as -1 or NaN instead"):
        fitted_on_list.predict(list(GOOD), mask=[np.ones(5, bool)] * 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"n_states": 0},
            r"'n_states' .* must be an int in the range \[1, 2147483647\]. Got 0",
        ),
        ({"n_states": 2.0}, r"'n_states' parameter .* must be an int"),
        ({"n_syllables": 0}, r"'n_syllables' parameter .* in the range \[1"),
        *(
            ({name: -1.0}, rf"'{name}' .* range \[0.0, inf\) or a str among {{'auto'}}. Got -1.0")
            for name in (
                "emission_usage_sigma",
                "emission_base_sigma",
                "emission_biases_sigma",
                "emission_interactions_sigma",
            )
        ),
        (
            {
                "emission_usage_sigma": 0,
                "emission_base_sigma": 0,
                "emission_biases_sigma": 0.0,
            },
            r"emission_interactions_sigma are 0, .* At least one must be positive or 'auto'",
        ),
        ({"emission_usage_sigma": "learn"}, r"'emission_usage_sigma' .* {'auto'}. Got 'learn'"),
        ({"self_transitions": "no"}, r"'self_transitions' .* {'auto'}.* Got 'no'"),
        ({"trans_beta": 0}, r"'trans_beta' .* range \(0.0, inf\)"),
        ({"trans_kappa": -1}, r"'trans_kappa' .* range \[0.0, inf\) .* Got -1"),
        ({"algorithm": "vb"}, r"'algorithm' .* a str among {.*'gibbs'.*}. Got 'vb'"),
        ({"emission_sampler": "nuts"}, r"'emission_sampler' .* a str among {.*'laplace'.*}"),
        (
            {"emission_sampler": "hmc", "emission_solver": "adam"},
            r"emission_sampler='hmc' .* expected emission_solver='newton', got 'adam'",
        ),
        ({"emission_solver": "sgd"}, r"'emission_solver' .* among {.*'adam'.*}"),
        ({"message_passing": "fast"}, r"'message_passing' .* among {.*'sequential'.*}"),
        ({"init": "kmeans"}, r"'init' .* among {.*'prior'.*}, an array-like"),
        ({"n_init": 0}, r"'n_init' .* range \[1, 2147483647\]. Got 0"),
        ({"n_chains": 0}, r"'n_chains' .* range \[1, 2147483647\]. Got 0"),
        ({"n_chains": np.uint64(2**64 - 1)}, r"'n_chains' .* range \[1, 2147483647\]"),
        ({"max_iter": 0}, r"'max_iter' .* range \[1, 2147483647\]"),
        ({"max_iter": 2**31}, r"'max_iter' .* range \[1, 2147483647\]"),
        ({"random_state": "seed"}, r"'random_state' parameter"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        _model(**parameters).fit(GOOD)


def test_more_states_than_timesteps():
    with pytest.raises(ValueError, match="n_states=11 is more than the 10 timesteps of X"):
        _model(n_states=11).fit(GOOD)


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (np.zeros((2, 4), int), r"init, sequence 0 has 4 timestep\(s\), but X has 5"),
        (np.zeros((3, 5), int), r"init has 3 sequence\(s\), but X has 2"),
        (
            np.full((2, 5), 2),
            r"init, sequence 0, timestep 0: expected a state from 0 to 1, .* got 2",
        ),
        (
            np.full((2, 5), -1),
            r"init, sequence 0, timestep 0: expected a state from 0 to 1, .* got -1",
        ),
        (np.full((2, 5), 0.5), r"init, sequence 0, timestep 0: expected an integer, got 0.5"),
    ],
)
def test_bad_initial_states(init, message):
    with pytest.raises(ValueError, match=message):
        _model(init=init).fit(GOOD)


def test_warm_start_of_other_shapes():
    model = _model(warm_start=True).fit(GOOD).set_params(n_states=3)
    message = r"what warm_start goes on from is a model of 2 states and 3 syllables: expected 3"
    with pytest.raises(ValueError, match=message):
        model.fit(GOOD)


@pytest.mark.filterwarnings("error")
def test_predictions_where_nothing_is_observed(fitted):
    X = np.full((2, 5), -1)
    assert (fitted.predict(X) == -1).all()
    assert np.isnan(fitted.predict_proba(X)).all()
    np.testing.assert_array_equal(fitted.score_samples(X), [0, 0])
    assert [len(states) for states in fitted.predict([[], [np.nan]])] == [0, 1]


@pytest.mark.parametrize(
    "method",
    [
        "predict",
        "predict_proba",
        "filter_proba",
        "sample_states",
        "decode",
        "score_samples",
        "score",
        "transform",
        "log_joint",
    ],
)
def test_use_before_fit(method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(_model(), method)(GOOD)


def test_sample_before_fit_and_with_bad_sizes(fitted):
    with pytest.raises(NotFittedError):
        _model().sample()
    with pytest.raises(ValueError, match="n_sequences == 0, must be >= 1"):
        fitted.sample(0)
    with pytest.raises(TypeError, match="n_timesteps must be an instance of int"):
        fitted.sample(1, 2.5)


def test_other_number_of_timesteps(fitted, fitted_on_list):
    with pytest.raises(ValueError, match="X has 4 features, but EfficientHHMM is expecting 5"):
        fitted.predict(GOOD[:, :4])
    # a list is free in length
    assert len(fitted.predict([GOOD[0, :4]])[0]) == 4
    assert fitted_on_list.predict(GOOD[:, :4]).shape == (2, 4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"emission_base": np.zeros((4, 4))}, r"emission_base must have shape \(4, 3\) for 4"),
        ({"emission_biases": np.zeros((2, 3))}, r"emission_biases must have shape \(1, 3\)"),
        ({"trans_probs": np.eye(2) * 0.5}, r"rows of trans_probs must be probabilities"),
        ({"emission_base": np.full((4, 3), np.nan)}, "emission_base must be finite"),
        ({"emission_base": None}, "emission_base must be a 2-D array of numbers, got 0-D: None"),
        ({"trans_probs": "a"}, "trans_probs must be a 2-D array of numbers, got 'a'"),
        ({"emission_biases": [[1, 2, 1j]]}, "emission_biases must be a 2-D array of numbers, got"),
    ],
)
def test_bad_params(changed, message):
    good = {
        "emission_base": np.zeros((4, 3)),
        "emission_biases": np.zeros((1, 3)),
        "trans_probs": np.eye(2),
    }
    EfficientHHMM.from_params(**good)
    with pytest.raises(ValueError, match=message):
        EfficientHHMM.from_params(**(good | changed))
    with pytest.raises(TypeError, match="n_stats"):
        EfficientHHMM.from_params(**good, n_stats=3)


def test_a_failed_fit_changes_nothing():
    model = _model().fit(GOOD)
    before = dict(vars(model))
    for X in (GOOD[:, :3] + 0.5, [[1], [0]], np.full((2, 7), -1)):
        with pytest.raises(ValueError, match=r"expected|observed"):
            model.fit(X)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is value for name, value in before.items())


def test_an_interrupted_fit_changes_nothing(monkeypatch):
    model = _model().fit(GOOD)
    before = dict(vars(model))

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("hhmm._inference.chains.iterate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(GOOD[:, :4])
    assert all(vars(model)[name] is value for name, value in before.items())


@pytest.mark.parametrize("solver", ["newton", "adam"])
def test_a_solve_that_did_not_converge_says_so(solver):
    model = _model(emission_solver=solver, algorithm="em", emission_gd_iters=1)
    with pytest.warns(ConvergenceWarning, match=r"in \d of 2 sweeps: half .* Newton decrement"):
        model.fit(np.tile(GOOD, (20, 1)))


def test_another_number_of_timesteps_is_explained(fitted):
    with pytest.raises(ValueError, match=r"A feature is a timestep here.*as a list of 1-D arrays"):
        fitted.predict(np.zeros((2, 3), int))


def test_strings_in_a_data_frame_point_to_the_encoder(fitted):
    frame = pd.DataFrame([["a", "b"], ["b", "a"]], dtype=object)
    with pytest.raises(ValueError, match="SyllableEncoder"):
        EfficientHHMM(2).fit(frame)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.array([1 + 2j, 1]), "sample_weight must be numbers"),
        (decimal.Decimal("NaN"), "sample_weight must be finite"),
        ([1.0, np.inf], "sample_weight must be finite"),
        (["a", "b"], "sample_weight must be numbers"),
        ([1.0, -1.0], "[Nn]egative"),
        ([1.0], "inconsistent|shape"),
    ],
)
def test_weights_are_checked(fitted, weight, message):
    with pytest.raises(ValueError, match=message):
        fitted.score(GOOD, sample_weight=weight)


NO_LABELS = {
    "an integer beyond float64": 10**400,
    "an integer too long to write": 10**5000,
    "a complex number": np.complex64(1j),
}


@pytest.mark.parametrize("value", NO_LABELS.values(), ids=NO_LABELS)
def test_numbers_that_cannot_be_labels_are_refused_in_words(value, fitted, fitted_on_list):
    row = np.array([0, 1, 2, 0, 1], object)
    row[2] = value
    array = np.array([row, row])
    draws = np.zeros((2, 8), object)
    draws[1, 3] = value
    good = {"emission_base": np.zeros((4, 3)), "emission_biases": np.zeros((1, 3))}
    calls = {
        "fit to a list": lambda: _model().fit([GOOD[0], row]),
        "fit to nested lists": lambda: _model().fit(array.tolist()),
        "predict": lambda: fitted.predict(array),
        "predict of a list": lambda: fitted_on_list.predict([row]),
        "mask": lambda: fitted.predict(GOOD, mask=array),
        "sample_weight": lambda: fitted.score(GOOD, sample_weight=[1, value]),
        "init": lambda: _model(init=[row, GOOD[0]]).fit(GOOD),
        "from_params": lambda: EfficientHHMM.from_params(**good, trans_probs=[[value, 0], [0, 1]]),
        "match_states": lambda: metrics.match_states(row, GOOD[0]),
        "state_usage": lambda: metrics.state_usage([row]),
        "state_durations": lambda: metrics.state_durations([GOOD[0], row]),
        "rhat": lambda: rhat(draws),
        "ess_bulk": lambda: ess_bulk(draws.tolist()),
        "duration": lambda: trans_kappa_from_duration([3.0, value], n_states=3),
        "trans_kappa": lambda: duration_from_trans_kappa(value, n_states=3),
        "n_states": lambda: duration_from_trans_kappa(1.0, n_states=[3, value]),
        "RunCollapser": lambda: RunCollapser().fit_transform([row]),
    }
    for name, call in calls.items():
        with pytest.raises((ValueError, TypeError)) as error:
            call()
        assert str(error.value), name


def test_labels_may_be_any_hashable_object():
    labels = [object(), object()]
    X = [[labels[0], labels[1], labels[0]], [10**400, labels[1]]]
    encoder = SyllableEncoder().fit(X)
    assert [codes.tolist() for codes in encoder.transform(X)] == [[1, 2, 1], [0, 2]]
    assert encoder.inverse_transform([[0]])[0].tolist() == [10**400]
    table = pd.DataFrame({"name": [1, 2], "syllable": 0, "group": [labels[0], ""]})
    columns = {"recording": "name", "syllable": "syllable", "group": "group"}
    assert load_table(table, **columns).groups == [str(labels[0]), None]
    table = pd.DataFrame({"name": "a", "syllable": [("a", ["b"]), "c"]})
    with pytest.raises(ValueError, match=r"column 'syllable': unhashable type: 'list'"):
        load_table(table, recording="name", syllable="syllable", integer_labels=False)


@pytest.mark.parametrize("form", [list, np.array])
def test_a_message_is_short_and_takes_no_longer_for_more_data(form):
    shown = []

    class Item:
        def __repr__(self):
            shown.append(self)
            return "item"

    with pytest.raises(ValueError, match=r"got \[item, item, .*\.\.\.") as error:
        _model().fit([form([Item()] * 10_000)])
    assert len(shown) < 100
    assert len(str(error.value)) < 400


class _Large:
    """Needs more memory than there is, whatever is done with it."""

    def __array__(self, *args, **kwargs):
        raise MemoryError("no memory left")

    __hash__ = __float__ = __iter__ = __array__


def test_out_of_memory_is_not_taken_for_a_wrong_value():
    row = np.zeros(3, object)
    row[0] = _Large()
    table = pd.DataFrame({"name": "a", "syllable": row})
    calls = {
        "sequence": lambda: _model().fit([_Large(), GOOD[0]]),
        "array": lambda: _model().fit(np.array([row, row])),
        "states": lambda: metrics.state_usage(row),
        "dimensions": lambda: _model().fit(row),
        "labels": lambda: SyllableEncoder().fit([row]),
        "labels of a table": lambda: load_table(
            table, recording="name", syllable="syllable", integer_labels=False
        ),
        "names of states": lambda: StateUsageDisplay([[1.0]], state_names=_Large()).plot(),
    }
    for call in calls.values():
        with pytest.raises(MemoryError, match="no memory left"):
            call()


@pytest.mark.parametrize("number", [10**400, np.longdouble("1e-4000")])
@pytest.mark.parametrize(
    "name", ["emission_base_sigma", "emission_biases_sigma", "trans_beta", "trans_kappa"]
)
def test_numbers_that_float64_cannot_hold(name, number):
    with pytest.raises(ValueError, match=f"{name} must be a number that float64 can hold"):
        _model(**{name: number}).fit(GOOD)
    with pytest.raises(ValueError, match=f"{name} must be a number that float64 can hold"):
        make_hhmm(2, 5, n_states=2, n_syllables=3, **{name: number})
    with pytest.raises(ValueError, match="tol must be a number that float64 can hold"):
        FitMonitor(tol=number)


@pytest.mark.parametrize("flag", ["no", 1, None, np.array([True, False])])
def test_flags_are_true_or_false(flag, fitted):
    calls = {
        "average": lambda: fitted.predict_proba(GOOD, average=flag),
        "per_sequence": lambda: metrics.state_usage(GOOD, per_sequence=flag),
        "include_censored": lambda: metrics.state_durations(GOOD, include_censored=flag),
        "include_biases": lambda: posterior_summary(fitted, include_biases=flag),
        "keep_missing": lambda: RunCollapser(keep_missing=flag).transform(GOOD),
    }
    for name, call in calls.items():
        with pytest.raises((ValueError, TypeError), match=f"{name}.* must be an instance of"):
            call()
    with pytest.raises(TypeError, match="average must be an instance of"):
        fitted.score_samples(GOOD, average=flag)


def test_folds_of_other_sequences():
    folds = [([0, 1], [2]), ([0, 2], [1])]
    with pytest.raises(ValueError, match=r"fold 0 of cv must be two 1-D arrays of indices of 2"):
        scan(GOOD, {"n_states": [2]}, estimator=_model(), cv=folds, n_seeds=1)


SYLLABLES = np.random.default_rng(1).integers(0, 12, (20, 300))  # all of 0 to 11
WITH_GAPS = np.tile(GOOD, (2, 1)) * 8
FOLD = np.arange(4), [0]  # all are for training: fits to all share what they compile


class _Stop(BaseException):
    """Ends a fit where its chains would begin, before anything is compiled."""


def _warnings_of(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.suppress(_Stop):
            call()
    of_results = ConvergenceWarning, UnusedStatesWarning  # others are of the data
    own = [w for w in caught if not issubclass(w.category, of_results)]
    assert all(w.filename == __file__ for w in own)
    return [str(w.message) for w in own]


def _stop_where_chains_begin(monkeypatch):
    def stop(*_, **__):
        raise _Stop

    monkeypatch.setattr("hhmm._inference.chains.iterate", stop)


@pytest.mark.parametrize(
    ("X", "n_syllables", "whole", "message"),
    [
        (SYLLABLES * 8 + 3, None, False, "80 of the 92 labels 0 to 91 never occur in X"),
        (SYLLABLES + 12, None, False, "12 of the 24 labels 0 to 23 never occur"),
        (WITH_GAPS, None, True, "14 of the 17 labels 0 to 16 never occur"),
        (SYLLABLES, 25, False, "13 of the 25 labels 0 to 24 never occur"),
        (SYLLABLES + 1, None, False, None),  # as MATLAB counts: without consequence
        (SYLLABLES, None, False, None),
        (SYLLABLES, 14, False, None),  # for labels of other data
    ],
)
def test_labels_with_gaps_are_warned_of(X, n_syllables, whole, message, monkeypatch):
    """Data is judged before the chains begin, so all but one fit stop there."""
    if not whole:
        _stop_where_chains_begin(monkeypatch)
    model = _model(n_syllables=n_syllables, algorithm="em")
    messages = _warnings_of(lambda: model.fit(list(X)))
    assert hasattr(model, "trans_probs_") == whole
    if message is None:
        assert messages == []
    else:
        assert len(messages) == 1
        assert message in messages[0]
        assert "hhmm.preprocessing.SyllableEncoder" in messages[0]


def test_the_warning_comes_before_the_work():
    model = _model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="never occur"):
            model.fit(WITH_GAPS)
    assert not hasattr(model, "trans_probs_")


def test_scan_warns_of_labels_with_gaps_once():
    def call():
        estimator = _model(algorithm="em")
        scan(WITH_GAPS, {"n_states": [2]}, estimator=estimator, cv=[FOLD], n_seeds=2)

    assert sum("never occur" in message for message in _warnings_of(call)) == 1


@pytest.mark.parametrize("every", [2, 3])
def test_hardly_any_transitions_are_warned_of(every, monkeypatch):
    _stop_where_chains_begin(monkeypatch)
    x = np.full(401 * every, np.nan)
    x[::every] = SYLLABLES.ravel()[:401]
    x[1] = 2.0
    n_transitions = 2 if every == 2 else 1
    messages = _warnings_of(lambda: _model().fit([x]))
    assert len(messages) == 1
    assert f"402 observed timesteps but {n_transitions} observed transition(s)" in messages[0]
    assert "without gaps there would be 401" in messages[0]
    # short sequences have few transitions, and no gaps
    assert _warnings_of(lambda: _model().fit(list(SYLLABLES.reshape(-1, 2)))) == []


@pytest.mark.parametrize(
    "name", ["predict", "predict_proba", "filter_proba", "decode", "sample_states", "score_samples"]
)
def test_a_column_is_warned_of(name, fitted_on_list):
    column = np.arange(300)[:, None] % 3
    messages = _warnings_of(lambda: getattr(fitted_on_list, name)(column))
    assert len(messages) == 1
    assert "X is 300 sequences of one timestep each" in messages[0]
    assert "[numpy.ravel(X)]" in messages[0]


def test_neither_a_recording_nor_its_first_timestep_is_taken_for_a_column(fitted_on_list):
    assert _warnings_of(lambda: fitted_on_list.predict([np.arange(300) % 3])) == []
    # online
    assert _warnings_of(lambda: fitted_on_list.predict([[0]])) == []


def test_scan_passes_on_other_warnings_of_fits(monkeypatch):
    """A checkpoint that could not be written, for example."""
    fit = EfficientHHMM.fit

    def warning_fit(self, X, **kwargs):
        warnings.warn("the disk is full", UserWarning, stacklevel=2)
        return fit(self, X, **kwargs)

    monkeypatch.setattr(EfficientHHMM, "fit", warning_fit)
    estimator = _model(algorithm="em")
    with pytest.warns(UserWarning, match="the disk is full"):
        scan(WITH_GAPS, {"n_states": [2]}, estimator=estimator, cv=[FOLD], n_seeds=2)
