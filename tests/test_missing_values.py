"""None, NaN and pandas' NA mean missing in every reader."""

import numpy as np
import pandas as pd
import pytest

from hhmm import EfficientHHMM, metrics
from hhmm.datasets import load_moseq_dataframe, load_syllable_csv, load_table, save_states
from hhmm.plotting import EthogramDisplay
from hhmm.preprocessing import RunCollapser, SyllableEncoder
from tests.published import PUBLISHED

LABELS = [[0, 2, None, 1, 1, 0], [1, None, 2, 2, 0, None]]
PLAIN = [[-1 if label is None else label for label in row] for row in LABELS]
MARKS = {"None": None, "NaN": np.nan, "pd.NA": pd.NA, "pd.NaT": pd.NaT}
FORMS = {
    "nested lists": lambda rows: rows,
    "a list of object arrays": lambda rows: [np.array(row, object) for row in rows],
    "an object array": lambda rows: np.array(rows, object),
    "a data frame of objects": lambda rows: pd.DataFrame(rows, dtype=object),
    "a Series of object arrays": lambda rows: pd.Series([np.array(row, object) for row in rows]),
    "a list of Series of objects": lambda rows: [pd.Series(row, dtype=object) for row in rows],
}


def _with(mark):
    return [[mark if label is None else label for label in row] for row in LABELS]


def _rows(result):
    return [np.asarray(row).tolist() for row in result]


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


@pytest.fixture(params=MARKS)
def given(request, form):
    return form(_with(MARKS[request.param]))


@pytest.fixture(scope="module")
def model():
    return EfficientHHMM.from_params(
        np.random.default_rng(0).normal(size=(3, 2)), [[1.0, -2.0]], [[0.9, 0.1], [0.2, 0.8]]
    )


def test_predictions(given, model):
    np.testing.assert_array_equal(model.score_samples(given), model.score_samples(PLAIN))
    assert _rows(model.predict(given)) == _rows(model.predict(PLAIN))


def test_fit(form):
    """Fits and predictions read X in one way, so one mark is enough here."""
    settings = {"max_iter": 1, "init": "prior", "random_state": 0, **PUBLISHED}
    fitted = EfficientHHMM(2, **settings).fit(form(_with(pd.NA)))
    expected = EfficientHHMM(2, **settings).fit(PLAIN)
    np.testing.assert_array_equal(fitted.trans_probs_, expected.trans_probs_)


def test_columns_of_a_data_frame_keep_their_names():
    frame = pd.DataFrame(_with(pd.NA)).rename(columns="t{}".format)
    for typed in (frame, frame.astype("Int64"), frame.astype("string")):
        fitted = EfficientHHMM(2, max_iter=1, init="prior", random_state=0, **PUBLISHED).fit(typed)
        assert fitted.feature_names_in_.tolist() == [f"t{i}" for i in range(6)]


def test_states(given):
    expected = metrics.state_usage(PLAIN, n_states=3)
    np.testing.assert_array_equal(metrics.state_usage(given, n_states=3), expected)
    assert metrics.matched_accuracy(PLAIN, given) == 1.0


def test_transformers(given):
    # rows of an array are padded
    runs = _rows(RunCollapser().fit_transform(given))
    assert runs[0][:5] == [0, 2, -1, 1, 0]
    assert runs[1][:4] == [1, -1, 2, 0]
    assert _rows(SyllableEncoder().fit_transform(given)) == PLAIN


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
def test_labels_that_are_text(mark):
    rows = [["b", mark, "a"], [mark, "c", "b"]]
    expected = [[1, -1, 0], [-1, 2, 1]]
    for X in (rows, np.array(rows, object), pd.DataFrame(rows, dtype=object)):
        assert _rows(SyllableEncoder().fit_transform(X)) == expected
    assert _rows(SyllableEncoder().fit_transform(pd.DataFrame(rows, dtype="string"))) == expected
    with pytest.raises(ValueError, match=r"sequence 0 must hold integers.*SyllableEncoder"):
        EfficientHHMM(2).fit(rows)
    with pytest.raises(ValueError, match=r"could not convert string.*SyllableEncoder"):
        EfficientHHMM(2).fit(pd.DataFrame(rows, dtype="string"))
    with pytest.raises(
        ValueError, match=r"a list of 3 single values.*wrap a single sequence as \[X\]"
    ):
        EfficientHHMM(2).fit([0, mark, 1])


@pytest.mark.parametrize(
    ("dtype", "mark"),
    [*((object, mark) for mark in MARKS.values()), ("Int64", pd.NA), ("string", pd.NA)],
    ids=[*MARKS, "Int64", "string"],
)
def test_loaders_and_what_they_write(dtype, mark, tmp_path):
    labels = pd.Series([4, pd.NA, 2, 4], dtype=dtype)
    if dtype is object:
        labels = pd.Series([4, mark, 2, 4], dtype=object)
    table = pd.DataFrame(
        {"name": list("aabb"), "syllable": labels, "group": ["x", "x", mark, mark]}
    )
    for data in (
        load_table(table, recording="name", syllable="syllable", group="group"),
        load_moseq_dataframe(table),
    ):
        assert _rows(data.sequences) == [[4, -1], [2, 4]]
        assert data.groups == ["x", None]
    states = [[0, mark], [1, 0]]
    save_states(tmp_path / "a", states, ["a", "b"], syllables=[[4, mark], [2, 4]])
    read = load_syllable_csv(tmp_path / "a", syllable="state")
    assert _rows(read.sequences) == [[0, -1], [1, 0]]
    probabilities = [np.array([[0.5, 0.5], [mark, mark]], object), np.eye(2)]
    save_states(tmp_path / "b", states, ["a", "b"], probabilities=probabilities)
    assert (tmp_path / "b" / "a.csv").read_text().splitlines()[2] == "1,-1,,"
    assert EthogramDisplay(states).plot() is not None
