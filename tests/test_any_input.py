"""Any input is taken or refused, by a ValueError or a TypeError that leaves no trace.

Inputs are valid ones with one argument exchanged: other types, shapes and dtypes, NaN, huge and
negative numbers, masked arrays, tables, files with bytes changed.
"""

import decimal

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from hhmm import EfficientHHMM, comparisons, datasets, diagnostics, metrics, model_selection
from hhmm.preprocessing import RunCollapser, SyllableEncoder
from tests.published import PUBLISHED

pytestmark = pytest.mark.filterwarnings("ignore")
many = settings(max_examples=30, deadline=None, derandomize=True)
few = settings(many, max_examples=10)  # where something is compiled

X = np.array([[0, 1, 2, 0, 1, 1], [2, 2, 1, 0, 0, 2]])
STATES = np.array([[0, 0, 1, 1, 0, 1], [1, 1, 0, 0, 0, 1]])
SETTINGS = PUBLISHED | {
    "n_states": 2,
    "n_syllables": 3,
    "init": "prior",
    "max_iter": 1,
    "algorithm": "em",  # takes the least time to compile
}
PARAMS = {
    "emission_base": np.zeros((3, 2)),
    "emission_biases": np.array([[1.0, -1.0]]),
    "trans_probs": np.array([[0.9, 0.1], [0.2, 0.8]]),
}

scalars = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**53 + 1, 2**63, 2**64, 10**30, 10**400),
        *(0.0, 0.5, -1.5, 1e-320, 1e308, np.nan, np.inf, -np.inf, 1j, np.longdouble(1)),
        *("", "a", "0", "nan", "\0", "x" * 500, b"", b"\xff", Ellipsis, int),
        *(np.uint64(2**64 - 1), np.float32(2.5), np.bool_(True), np.ma.masked),
        *(np.datetime64("NaT"), np.timedelta64(3, "ns"), decimal.Decimal("1")),
        *(pd.NA, pd.NaT, pd.Timestamp("2020"), pd.Interval(0, 1), decimal.Decimal("NaN")),
    ]
)
arrays = arrays_of.arrays(
    arrays_of.scalar_dtypes(), arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0)
)
tables = arrays_of.arrays(np.int64, st.just((2, 6)), elements=st.integers(-2, 3)).flatmap(
    lambda x: st.sampled_from([x, list(x), pd.DataFrame(x), scipy.sparse.csr_array(x)])
)
masked = st.lists(st.booleans(), min_size=12, max_size=12).map(
    lambda mask: np.ma.MaskedArray(X, np.reshape(mask, X.shape))
)


@st.composite
def changed(draw):
    """Valid data but for one value."""
    data = X.astype(object)
    data[draw(st.integers(0, 1)), draw(st.integers(0, 5))] = draw(scalars)
    return data


# of one shape or no data at all, so that little is compiled
any_data = st.one_of(scalars, tables, masked, changed())
anything = st.one_of(
    any_data,
    arrays,
    st.recursive(scalars, lambda items: st.lists(items, max_size=3), max_leaves=6),
    st.dictionaries(st.sampled_from("ab"), scalars),
)


def call(function, *errors, **arguments):
    """Return what a function returns; None if it refuses its input."""
    try:
        return function(**arguments)
    except (ValueError, TypeError, *errors):
        return None


FUNCTIONS = {
    metrics.match_states: {"y_true": STATES, "y_pred": STATES},
    metrics.matched_accuracy: {"y_true": STATES, "y_pred": STATES},
    metrics.matched_confusion_matrix: {"y_true": STATES, "y_pred": STATES, "normalize": None},
    metrics.state_usage: {"states": STATES, "n_states": None, "per_sequence": False},
    metrics.state_durations: {"states": STATES, "n_states": None, "include_censored": True},
    metrics.state_transitions: {"states": STATES, "n_states": None, "per_sequence": True},
    comparisons.compare_groups: {
        "states": STATES,
        "groups": ["x", "y"],
        "animals": None,
        "reference": None,
        "frame_rate": 1.0,
        "syllables": STATES,
        "n_states": None,
        "state_names": None,
        "n_resamples": 9,
        "confidence_level": 0.9,
        "random_state": 0,
    },
    metrics.lagged_mutual_information: {"X": X, "lags": [1, 2], "n_syllables": None},
    diagnostics.ess_bulk: {"draws": np.arange(16.0).reshape(2, 8)},
    model_selection.trans_kappa_from_duration: {"duration": 10.0, "n_states": 3, "frame_rate": 1.0},
    EfficientHHMM.from_params: PARAMS,
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@given(st.data())
@many
def test_functions(function, data):
    arguments = FUNCTIONS[function]
    name = data.draw(st.sampled_from(sorted(arguments)))
    call(function, **arguments | {name: data.draw(anything)})


@given(any_data, anything)
@few
def test_a_fit_that_is_refused_changes_nothing(bad, value):
    model = EfficientHHMM(**SETTINGS)
    before = dict(vars(model))
    if call(model.fit, X=bad) is None:
        assert vars(model) == before
    if not isinstance(value, int | float | str | np.number):  # valid ones compile another model
        for name in ("trans_kappa", "emission_base_sigma", "n_states", "algorithm", "init"):
            call(EfficientHHMM(**SETTINGS | {name: value}).fit, X=X)


@pytest.mark.parametrize("method", ["predict", "score_samples", "sample_states"])
@given(any_data)
@few
def test_methods_of_a_model(method, bad):
    call(getattr(EfficientHHMM.from_params(**PARAMS), method), X=bad)


@given(anything, anything)
@many
def test_preprocessing(bad, labels):
    encoder = SyllableEncoder().fit(X)
    for function in (encoder.transform, encoder.inverse_transform, RunCollapser().transform):
        call(function, X=bad)
    call(RunCollapser().expand, X=X, states=bad)
    before = dict(vars(encoder))
    if call(encoder.fit, X=labels) is None:
        assert vars(encoder) == before


@given(st.data())
@many
def test_damaged_files(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    table, results, array = folder / "table.csv", folder / "results.h5", folder / "array.npy"
    table.write_text("name,syllable\na,0\na,1\nb,2\nb,0\n")
    with h5py.File(results, "w") as file:
        file["mouse/syllable"] = X[0]
    np.save(array, X[0])
    for path in (table, results, array):
        contents = bytearray(path.read_bytes())
        # bytes that are 0 mean nothing
        places = np.flatnonzero(np.frombuffer(contents, np.uint8)).tolist()
        for place in data.draw(st.lists(st.sampled_from(places), max_size=5)):
            contents[place] = data.draw(st.integers(0, 255))
        path.write_bytes(contents[: data.draw(st.sampled_from([len(contents), *places]))])
    call(datasets.load_table, OSError, path_or_dataframe=table, recording="name")
    call(datasets.load_keypoint_moseq, OSError, path=results)
    for path in (table, results, array):
        opened = call(datasets.open_recordings, OSError, pattern_or_paths=path)
        for recording in opened or ():
            call(recording.read_runs, OSError)
