"""The inside of the part *fuzz*: public functions and methods called with hostile inputs.

``python -m benchmarks._fuzz_worker SEED START STOP`` makes the inputs of these indices and prints
a JSON line before each call and one after it. A call that takes longer than `TIME_LIMIT` ends the
process. An input follows from its seed and index alone: ``make_input(seed, index)`` gives the
function and its arguments.
"""

import copy
import datetime
import decimal
import faulthandler
import fractions
import functools
import inspect
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import h5py
import matplotlib as mpl
import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.exceptions import NotFittedError

from benchmarks.fuzz import Outcome
from hhmm import EfficientHHMM, datasets, diagnostics, metrics, model_checks, model_selection
from hhmm import plotting as plots
from hhmm.callbacks import FitMonitor
from hhmm.preprocessing import RunCollapser, SyllableEncoder
from tests.stubborn import Stubborn

TIME_LIMIT = 60.0  # seconds a call
REFUSALS = (NotFittedError, ValueError, TypeError)  # what bad input may raise anywhere

X = np.array([[0, 1, 2, 0, 1, 1], [2, 2, 1, 0, 0, 2]])
STATES = np.array([[0, 0, 1, 1, 0, 1], [1, 1, 0, 0, 0, 1]])
N_SYLLABLES = 3
SETTINGS = {"n_states": 2, "n_syllables": N_SYLLABLES, "max_iter": 1, "init": "prior", "n_draws": 2}
# arguments that say how much is to be done: asked for much, a function may take long
WORK = {
    *("max_iter", "n_chains", "n_seeds", "n_sequences", "n_timesteps", "emission_gd_iters"),
    *("n_replicates", "n_surrogates", "checkpoint_every", "n_jobs", "n_bins", "max_timesteps"),
}
MOST_WORK = 3

SCALARS = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 2**31, 2**53 + 1, 2**63, 2**64, 10**30, -(2**63) - 1),
    *(0.0, 0.5, 1.0, -1.5, 1e-320, 1e308, 1e19, np.nan, np.inf, -np.inf, 1j),
    *(
        "",
        "a",
        "0",
        "nan",
        "gibbs",
        "prior",
        "\0",
        "é",
        "../none",
        "/none",
        "x" * 500,
        b"",
        b"\xff",
    ),
    *(np.int8(-3), np.uint64(2**64 - 1), np.float32(2.5), np.bool_(True), np.str_("a")),
    *(np.datetime64("2020-01-01"), np.timedelta64(3, "ns"), np.datetime64("NaT"), np.longdouble(1)),
    *(pd.NA, pd.NaT, pd.Timestamp("2020"), pd.Timedelta(3), pd.Interval(0, 1)),
    *(fractions.Fraction(1, 2), decimal.Decimal("1"), decimal.Decimal("NaN"), Ellipsis, int),
    datetime.date(2020, 1, 1),
    *(10**400, np.complex64(1j), np.longdouble("1e-4000"), np.ma.masked, Stubborn()),
)
DTYPES = (
    *("?", "i1", "u1", "<i4", ">i8", "u8", "f2", "f4", ">f8", "g", "c8", "O", "U3", "S3"),
    *("M8[ns]", "m8[ns]", [("a", "i4"), ("b", "f8")]),
)
SHAPES = ((), (0,), (1,), (3,), (6,), (0, 6), (2, 0), (1, 6), (2, 6), (2, 5), (3, 6), (2, 6, 2))


class ChangedError(Exception):
    """Something is other than it was before a call that failed."""


MEMORY = (MemoryError,)  # which simulations say that they raise


class Target(NamedTuple):
    """A public function or method."""

    name: str
    call: object  # with keywords
    arguments: object  # makes valid ones from a random generator
    weight: float = 1.0  # how often, compared with others
    errors: tuple = ()  # that it may raise beside `REFUSALS`


def draw(rng, choices):
    """One of a sequence."""
    return choices[rng.integers(len(choices))]


def make_hostile(rng, depth=0):
    """Anything."""
    kind = rng.integers(12)
    if kind < 4:
        return draw(rng, SCALARS)
    if kind < 7:
        return make_array(rng)
    if kind == 7:
        array = make_array(rng, DTYPES[:12])
        return np.ma.MaskedArray(array, rng.random(array.shape) < 0.5)
    if kind == 8:
        array = make_array(rng, DTYPES[:13])
        if array.ndim == 2 and array.dtype.kind in "biu" and rng.random() < 0.5:
            return scipy.sparse.csr_array(array.astype(np.int64))
        return pd.DataFrame(array) if array.ndim == 2 else pd.Series(list(array.ravel()))
    if depth > 2:
        return []
    items = [make_hostile(rng, depth + 1) for _ in range(rng.integers(4))]
    if kind == 9:
        return {str(i): item for i, item in enumerate(items)}
    if kind == 10:
        return tuple(items) if rng.random() < 0.7 else range(len(items))
    return items


def make_array(rng, dtypes=DTYPES):
    """An array of any shape and type."""
    shape, dtype = draw(rng, SHAPES), draw(rng, dtypes)
    values = rng.integers(-2, 4, shape)
    if dtype == "O" and rng.random() < 0.5:
        values = np.empty(shape, object)
        for place in np.ndindex(shape):
            values[place] = draw(rng, SCALARS)
        return values
    array = np.asarray(values).astype(dtype)
    if array.size and array.dtype.kind in "fc" and rng.random() < 0.5:
        array.flat[rng.integers(array.size)] = draw(rng, (np.nan, np.inf, -np.inf, 0.5, 65000.0))
    return array


def mutate(rng, value):
    """Something like `value`, with an error in it, or in another form."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return mutate_array(rng, value)
    if isinstance(value, list | tuple) and value:
        items = list(value)
        i = rng.integers(len(items))
        kind = rng.integers(6)
        if kind < 2:
            items[i] = mutate(rng, items[i])
        elif kind == 2:
            items[i] = make_hostile(rng)
        elif kind == 3:
            del items[i]
        elif kind == 4:
            items.insert(i, make_hostile(rng))
        else:
            items.append(items[i])
        return items
    if isinstance(value, dict) and value:
        name = draw(rng, list(value))
        return value | {name: mutate(rng, value[name])}
    if isinstance(value, Path) and value.is_file():
        return damage_file(rng, value)
    if isinstance(value, pd.DataFrame):
        return mutate_table(rng, value)
    return draw(rng, SCALARS)


def mutate_array(rng, array):
    kind = rng.integers(12)
    if kind == 0:
        return array.astype(draw(rng, DTYPES))
    if kind == 1:
        changed = array.astype(draw(rng, ("f8", "f4", "O")))
        if changed.size:
            special = (np.nan, np.inf, -np.inf, 0.5, -1, 1e19, 1e308, 2.0**31)
            changed.flat[rng.integers(changed.size)] = draw(rng, special)
        return changed
    if kind == 2:
        changed = array.astype(object)
        changed.flat[rng.integers(changed.size)] = draw(rng, SCALARS)
        return changed
    if kind == 3:
        return np.ma.MaskedArray(array, rng.random(array.shape) < draw(rng, (0.1, 0.5, 1.0)))
    if kind == 4:
        return draw(rng, (array[:0], array[..., :0], array[None], array.ravel(), array[0], array.T))
    if kind == 5:
        return pd.DataFrame(array) if array.ndim == 2 else array.tolist()
    if kind == 6:
        return list(array)
    if kind == 7:
        return mutate(rng, array.tolist())
    if kind == 8:
        return mutate(rng, list(array))
    if kind == 9:
        rows = np.empty(len(array), object)
        rows[:] = list(array) if array.ndim > 1 else array.tolist()
        return pd.Series(rows) if rng.random() < 0.5 else rows
    if kind == 10 and array.ndim == 2:
        return scipy.sparse.csr_array(array)
    with np.errstate(over="ignore"):
        return array * draw(rng, (-1, 2, 100_000, 2**40))


def mutate_table(rng, table):
    changed = table.copy()
    column = draw(rng, list(table.columns))
    kind = rng.integers(6)
    if kind == 0:
        return changed.drop(columns=column)
    if kind == 1:
        changed[column] = [draw(rng, SCALARS) for _ in range(len(table))]
    elif kind == 2:
        values = changed[column].astype(object).tolist()
        values[rng.integers(len(values))] = make_hostile(rng)
        changed[column] = pd.Series(values, index=changed.index, dtype=object)
    elif kind == 3:
        return changed.sample(frac=1, random_state=int(rng.integers(1000)))
    elif kind == 4:
        return pd.concat([changed, changed], axis=int(rng.integers(2)))
    else:
        return changed.iloc[: rng.integers(2)]
    return changed


def damage_file(rng, path):
    """A copy of a file with some bytes changed, of the same name in another folder."""
    contents = bytearray(path.read_bytes() or b"\n")
    kind = rng.integers(5)
    if kind == 0:
        contents = bytearray(rng.bytes(rng.integers(200)))
    elif kind == 1:
        del contents[rng.integers(len(contents)) :]
    elif kind == 2:
        i = rng.integers(len(contents))
        contents[i:i] = rng.bytes(rng.integers(1, 5))
    else:
        # most bytes of a file in a format of its own are 0 and mean nothing
        places = np.flatnonzero(np.frombuffer(contents, np.uint8))
        for i in rng.choice(places, rng.integers(1, 6)):
            contents[i] = rng.integers(256)
    changed = path.parent / "damaged" / path.name
    changed.parent.mkdir(exist_ok=True)
    changed.write_bytes(contents)
    return changed


class Material(NamedTuple):
    """What inputs are made from, once a process."""

    folder: Path
    models: tuple  # fitted ones
    unfitted: EfficientHHMM
    encoders: tuple
    scan: model_selection.ScanResult
    checkpoint: Path
    hdf5: Path
    csv: Path
    table: Path
    csv_folder: Path


@functools.cache
def material():
    """Fit, and write the files."""
    mpl.use("Agg")
    folder = Path(_folder().name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [
            EfficientHHMM(**SETTINGS | {"max_iter": 4, "n_chains": 2}, random_state=0).fit(data)
            for data in (X, list(X))
        ]
        checkpoint = folder / "fit.npz"
        EfficientHHMM(**SETTINGS, random_state=0).fit(X, checkpoint=checkpoint)
        scan = model_selection.scan(
            X, {"n_states": [2]}, estimator=EfficientHHMM(**SETTINGS), **SCAN, random_state=0
        )
    # one whose states change within the short sequences
    made = EfficientHHMM.from_params(fits[0].emission_base_, [[5.0, -5.0]], np.full((2, 2), 0.5))
    with h5py.File(folder / "results.h5", "w") as file:
        file["day1/mouse1/syllable"] = X[0]
        packed = {"compression": "gzip", "shuffle": True, "chunks": (2,)}
        file.create_dataset("mouse2/syllable", data=X[1], **packed)
    csv_folder = folder / "csv"
    csv_folder.mkdir()
    frame = _table()
    frame.to_csv(folder / "table.csv", index=False)
    frame[["syllable", "frame_index"]].to_csv(csv_folder / "mouse1.csv", index=False)
    encoders = (SyllableEncoder().fit(X), SyllableEncoder(unknown="missing").fit([list("abca")]))
    return Material(
        folder,
        (*fits, made),
        EfficientHHMM(**SETTINGS),
        (*encoders, SyllableEncoder()),
        scan,
        checkpoint,
        folder / "results.h5",
        csv_folder / "mouse1.csv",
        folder / "table.csv",
        csv_folder,
    )


@functools.cache
def _folder():
    return tempfile.TemporaryDirectory(prefix="hhmm-fuzz-", ignore_cleanup_errors=True)


def _table():
    return pd.DataFrame(
        {
            "name": np.repeat(["a", "b"], 6),
            "syllable": X.ravel(),
            "frame_index": np.tile(np.arange(6), 2),
            "group": np.repeat(["x", "y"], 6),
        }
    )


SCAN = {"cv": 2, "n_seeds": 1}
FIT_ARGUMENTS = ("X", "y", "mask", "checkpoint", "checkpoint_every")


def make_model(rng):
    """A model, one time in ten not a fitted one."""
    found = material()
    return found.unfitted if rng.random() < 0.1 else draw(rng, found.models)


def make_data(rng):
    """Valid syllables, of shapes that share kernels."""
    return draw(rng, (X, list(X), X.tolist(), X.astype(float), pd.DataFrame(X)))


def make_states(rng):
    return draw(rng, (STATES, list(STATES), STATES[0], STATES.tolist(), np.maximum(X, 0)))


def fit_model(*, _method="fit", **arguments):
    """Construct and fit; a failure must leave no trace."""
    given = {name: arguments.pop(name) for name in FIT_ARGUMENTS if name in arguments}
    callbacks = arguments.pop("_callbacks", ())
    if arguments.pop("_again", False):
        model = copy.deepcopy(material().models[0]).set_params(**arguments)
    else:
        model = EfficientHHMM(**arguments)
    if callbacks:
        model.set_callbacks(*callbacks)
    check_unchanged(model, getattr(model, _method), **given)


def check_unchanged(estimator, method, **arguments):
    """Call a method; attributes must be as they were where it fails, and files too."""
    before = dict(vars(estimator))
    file = arguments.get("checkpoint")
    contents = file.read_bytes() if isinstance(file, Path) and file.is_file() else None
    try:
        return method(**arguments)
    except Exception as error:
        after = vars(estimator)
        different = [
            name
            for name in {**before, **after}
            if name not in before or name not in after or before[name] is not after[name]
        ]
        if different:
            raise ChangedError(f"{different} after {type(error).__name__}: {error}") from error
        if contents is not None and file.read_bytes() != contents:
            raise ChangedError(f"the checkpoint after {type(error).__name__}: {error}") from error
        raise


def call_method(method, *, _model, **arguments):
    return getattr(_model, method)(**arguments)


def monitor_fit(**arguments):
    fit_model(**SETTINGS, X=X, _callbacks=(FitMonitor(**arguments),))


def save(*, path, **arguments):
    """Write states, each time in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=material().folder) as folder:
        is_name = isinstance(path, str) and path in ("out", "out.h5")
        datasets.save_states(Path(folder, path) if is_name else path, **arguments)


def draw_picture(function, **arguments):
    import matplotlib.pyplot as plt

    try:
        function(**arguments)
    finally:
        plt.close("all")


def construct_and_plot(display, **arguments):
    """Construct a display, and draw it with what is no argument of the constructor."""
    of_constructor = inspect.signature(display).parameters
    given = {name: value for name, value in arguments.items() if name in of_constructor}
    display(**given).plot(**{name: value for name, value in arguments.items() if name not in given})


def _copy(arguments, rng):
    return dict(arguments)


def make_settings(rng):
    """Arguments of the constructor."""
    return SETTINGS | {
        "emission_usage_sigma": draw(rng, (0.0, 0.0, "auto")),
        "emission_base_sigma": 1.0,
        "emission_biases_sigma": 1.0,
        "emission_interactions_sigma": draw(rng, (0.0, 0.0, 0.5)),
        "self_transitions": draw(rng, (True, True, False, "auto")),
        "trans_beta": 1.0,
        "trans_kappa": draw(rng, (100.0, 100.0, "auto")),
        "algorithm": draw(rng, ("gibbs", "em")),
        "tol": 1e-4,
        "emission_solver": "newton",
        "emission_gd_iters": 2,
        "emission_gd_lr": 0.01,
        "emission_sampler": "laplace",
        "message_passing": "auto",
        "n_chains": 1,
        "warm_start": False,
        "random_state": 0,
    }


def _methods():
    """Targets that are methods of a model."""
    plain = ("predict", "predict_proba", "filter_proba", "sample_states", "decode")
    plain += ("score_samples", "score", "log_joint", "transform")
    extra = {
        "predict_proba": {"average": False},
        "score_samples": {"average": False},
        "sample_states": {"random_state": 0},
        "score": {"sample_weight": None},
    }
    for method in plain:

        def arguments(rng, method=method):
            given = {"_model": make_model(rng), "X": make_data(rng), "mask": None}
            if isinstance(given["X"], np.ndarray) and rng.random() < 0.5:
                given["mask"] = np.ones(X.shape, bool)
            return given | extra.get(method, {})

        yield Target(
            f"EfficientHHMM.{method}", functools.partial(call_method, method), arguments, 1.0
        )

    def of_sample(rng):
        sizes = {"n_sequences": 1, "n_timesteps": 3, "random_state": 0, "holding_times": None}
        return {"_model": make_model(rng), **sizes}

    yield Target(
        "EfficientHHMM.sample", functools.partial(call_method, "sample"), of_sample, 0.5, MEMORY
    )
    yield Target(
        "EfficientHHMM.to_arviz",
        functools.partial(call_method, "to_arviz"),
        lambda rng: {"_model": make_model(rng), "X": draw(rng, (X, None)), "mask": None},
        0.05,
    )


def _of_fit(rng):
    again = bool(rng.random() < 0.3)
    return make_settings(rng) | {"X": make_data(rng), "y": None, "mask": None, "_again": again}


def _of_checkpoint(rng):
    given = {"checkpoint": damage_file(rng, material().checkpoint), "checkpoint_every": 1}
    return SETTINGS | {"random_state": 0, "X": X} | given


def _of_params(rng):
    model = draw(rng, material().models)
    return {
        "emission_base": model.emission_base_,
        "emission_biases": model.emission_biases_,
        "trans_probs": model.trans_probs_,
        "emission_usage": draw(rng, (None, model.emission_usage_)),
        "emission_interactions": draw(rng, (None, model.emission_interactions_)),
        "self_transitions": draw(rng, (True, True, False)),
        "trans_kappa": 1.0,
    }


def _of_pair(rng):
    return {"y_true": make_states(rng), "y_pred": make_states(rng)}


def _of_states(rng):
    return {"states": make_states(rng), "n_states": draw(rng, (None, 3))}


def _of_information(rng):
    given = {"n_syllables": draw(rng, (None, 3)), "n_surrogates": 1, "correction": None}
    return {"X": make_data(rng), "lags": [1, 2], "random_state": 0} | given


def _labels(rng):
    songs = [list("abca"), ["a", None, "b"]]
    return draw(rng, (X, list(X), songs, np.array([["a", "b"], ["b", "c"]]), [[1, "a"], [2.5]]))


def fit_encoder(*, X, y, **settings):
    encoder = SyllableEncoder(**settings)
    check_unchanged(encoder, encoder.fit, X=X, y=y)
    encoder.inverse_transform(encoder.transform(X))


def refit_encoder(*, X):
    encoder = copy.deepcopy(material().encoders[0])
    check_unchanged(encoder, encoder.fit, X=X)


def collapse(method, *, keep_missing, X, **arguments):
    collapser = RunCollapser(keep_missing=keep_missing)
    if method == "fit":
        return check_unchanged(collapser, collapser.fit, X=X)
    return getattr(collapser, method)(X=X, **arguments)


def _preprocessing():
    """Targets of `hhmm.preprocessing`."""
    yield Target(
        "SyllableEncoder.fit",
        fit_encoder,
        lambda rng: {
            "X": _labels(rng),
            "y": None,
            "min_frequency": draw(rng, (None, 2, 0.2)),
            "unknown": draw(rng, ("error", "missing", "rare")),
            "missing_values": draw(rng, (None, "", ["a"])),
            "rare_label": draw(rng, ("other", 7)),
        },
        3.0,
    )
    yield Target("SyllableEncoder.fit again", refit_encoder, lambda rng: {"X": _labels(rng)})
    for method in ("transform", "inverse_transform", "get_feature_names_out"):
        name = "input_features" if method == "get_feature_names_out" else "X"

        def arguments(rng, name=name):
            data = _labels(rng) if name == "X" else ["a"]
            return {"_model": draw(rng, material().encoders), name: data}

        # names of columns are made an array by scikit-learn, which passes on what that raises
        errors = () if name == "X" else (LookupError,)
        call = functools.partial(call_method, method)
        yield Target(f"SyllableEncoder.{method}", call, arguments, 1.5, errors)
    for method in ("fit", "transform", "run_lengths", "expand"):

        def arguments(rng, method=method):
            given = {"keep_missing": bool(rng.random() < 0.5), "X": make_data(rng)}
            if method == "expand":
                given["states"] = RunCollapser(keep_missing=given["keep_missing"]).transform(X)
            return given

        yield Target(f"RunCollapser.{method}", functools.partial(collapse, method), arguments, 1.5)


def _datasets():
    """Targets of `hhmm.datasets`."""
    paths = (OSError,)
    yield Target(
        "load_keypoint_moseq",
        datasets.load_keypoint_moseq,
        lambda rng: {
            "path": damage_file(rng, material().hdf5) if rng.random() < 0.7 else material().hdf5,
            "frame_rate": None,
            "n_lags": 0,
            "max_frames": 10**6,
        },
        3.0,
        paths,
    )
    yield Target(
        "load_keypoint_moseq_csv",
        datasets.load_keypoint_moseq_csv,
        lambda rng: {
            "folder": (
                damage_file(rng, material().csv).parent
                if rng.random() < 0.7
                else material().csv_folder
            ),
            "frame_rate": None,
            "n_lags": 0,
        },
        1.0,
        paths,
    )

    def of_table(rng):
        kind = rng.integers(3)
        found = material().table
        return damage_file(rng, found) if kind == 0 else found if kind == 1 else _table()

    yield Target(
        "load_moseq_dataframe",
        datasets.load_moseq_dataframe,
        lambda rng: {
            "path_or_dataframe": of_table(rng),
            "frame_rate": None,
            "n_lags": 0,
            "fill_gaps": bool(rng.random() < 0.5),
        },
        2.0,
        paths,
    )
    yield Target(
        "load_table",
        datasets.load_table,
        lambda rng: {
            "path_or_dataframe": of_table(rng),
            "recording": "name",
            "syllable": "syllable",
            "frame": draw(rng, (None, "frame_index")),
            "group": draw(rng, (None, "group")),
            "frame_rate": None,
            "sep": ",",
            "fill_gaps": False,
            "integer_labels": bool(rng.random() < 0.5),
        },
        3.0,
        paths,
    )
    yield Target(
        "load_syllable_csv",
        datasets.load_syllable_csv,
        lambda rng: {
            "paths_or_folder": (
                damage_file(rng, material().csv) if rng.random() < 0.5 else [material().csv]
            ),
            "syllable": "syllable",
            "frame": draw(rng, (None, "frame_index")),
            "frame_rate": None,
            "sep": ",",
            "fill_gaps": bool(rng.random() < 0.5),
            "integer_labels": bool(rng.random() < 0.5),
            "recursive": False,
        },
        2.0,
        paths,
    )

    def of_save(rng):
        return {
            "path": draw(rng, ("out", "out.h5")),
            "states": draw(rng, (STATES, list(STATES))),
            "names": ["a", "b/c"],
            "syllables": draw(rng, (None, X)),
            "probabilities": draw(rng, (None, np.full((2, 6, 2), 0.5))),
            "frames": draw(rng, (None, [np.arange(6), np.arange(6) * 2])),
            "format": None,
            "overwrite": False,
        }

    yield Target("save_states", save, of_save, 2.0, paths)
    yield Target(
        "make_hhmm",
        datasets.make_hhmm,
        lambda rng: {
            "n_sequences": 1,
            "n_timesteps": 3,
            "n_states": 2,
            "n_syllables": 3,
            "emission_usage_sigma": 0.0,
            "emission_base_sigma": 1.0,
            "emission_biases_sigma": 1.0,
            "emission_interactions_sigma": 0.0,
            "holding_times": draw(rng, (None, [1, 2, 4], [[1], [2, 3], [4]])),
            "trans_beta": 1.0,
            "trans_kappa": 1.0,
            "random_state": 0,
        },
        0.5,
        MEMORY,
    )


def _selection():
    """Targets of `hhmm.model_selection`."""
    common = {"n_states": 3, "frame_rate": 1.0, "trans_beta": 1.0}
    yield Target(
        "trans_kappa_from_duration",
        model_selection.trans_kappa_from_duration,
        lambda rng: {"duration": draw(rng, (10.0, [3.0, 5.0]))} | common,
        2.0,
    )
    yield Target(
        "duration_from_trans_kappa",
        model_selection.duration_from_trans_kappa,
        lambda rng: {"trans_kappa": draw(rng, (10.0, [3.0, 5.0]))} | common,
        2.0,
    )
    yield Target(
        "scan",
        model_selection.scan,
        lambda rng: {
            "X": make_data(rng),
            "param_grid": {"n_states": [2]},
            "estimator": EfficientHHMM(**SETTINGS),
            **SCAN,
            "groups": None,
            "mask": None,
            "random_state": 0,
            "n_jobs": None,
            "checkpoint": None,
            "checkpoint_every": None,
            "verbose": 0,
        },
        0.1,
        (OSError,),
    )
    yield Target(
        "ScanResult.one_standard_error",
        lambda by: material().scan.one_standard_error(by=by),
        lambda rng: {"by": "n_states"},
        0.5,
    )


def _checks():
    """Targets of diagnostics, model checks and callbacks."""
    for function in (diagnostics.rhat, diagnostics.ess_bulk, diagnostics.ess_tail):
        yield Target(
            function.__name__, function, lambda rng: {"draws": rng.normal(size=(2, 8))}, 2.0
        )
    yield Target(
        "posterior_summary",
        diagnostics.posterior_summary,
        lambda rng: {"model": make_model(rng), "include_biases": False},
        0.3,
    )
    names = ("state_durations", "state_usage", "syllable_usage", "syllable_transitions")
    yield Target(
        "posterior_predictive_check",
        model_checks.posterior_predictive_check,
        lambda rng: {
            "model": make_model(rng),
            "X": make_data(rng),
            "statistic": draw(rng, names),
            "n_replicates": 1,
            "max_timesteps": None,
            "mask": None,
            "random_state": 0,
        },
        0.3,
    )
    yield Target(
        "FitMonitor",
        monitor_fit,
        lambda rng: {"X": make_data(rng), "mask": None, "every": 1, "patience": None, "tol": 0.0},
        0.2,
    )


def _pictures():
    """Targets of `hhmm.plotting`."""
    two = np.array([[0.9, 0.1], [0.2, 0.8]])
    colors = {"ax": None, "cmap": "viridis"}
    steps = {"ax": None, "frame_rate": 10.0}
    named = {"state_names": ["a", "b"]}
    scale = {"color_scale": "log"}
    information = metrics.lagged_mutual_information(X, [1, 2], random_state=0)
    usage = {"interval": "bootstrap", "confidence_level": 0.95, "random_state": 0}
    constructed = {
        plots.AlignmentDisplay: {"counts": np.array([[0, 50], [40, 10]]), "mapping": [1, 0]}
        | {"names": ("a", "b"), "first_names": None, "second_names": ["c", "d"], "ax": None},
        plots.DurationDisplay: {"durations": [np.array([3, 1]), np.array([2])]}
        | {"ended": [np.array([True, False]), np.array([True])], "trans_probs": two}
        | (steps | named),
        plots.EmissionLossDisplay: {"losses": np.array([1200.0, 1010.0, 1000.0]), "ax": None},
        plots.EthogramDisplay: {"states": STATES, "names": ["a", "b"], "groups": ["x", "y"]}
        | ({"n_states": 2} | steps | named),
        plots.LaggedInformationDisplay: {"information": information} | steps,
        plots.LogJointDisplay: {"log_joint": np.array([[-9.0, -5.0], [-8.0, -6.0]]), "ax": None}
        | {"reference": -4.0, "reference_label": "true", "clip_rise": True},
        plots.MatchedConfusionDisplay: {"confusion_matrix": two, "accuracy": 0.85}
        | ({"include_values": None} | colors),
        plots.RasterDisplay: {"syllables": X[0], "n_syllables": 3, "state_labels": [0, 1]}
        | ({"rows": [("a", STATES[0]), ("p{}", np.full((6, 2), 0.5))], "start": 0} | colors),
        plots.ScanDisplay: {"summary": material().scan.summary(), "frame_rate": 10.0, "axes": None},
        plots.StateGraphDisplay: {"trans_probs": two, "usage": [0.4, 0.6], "ax": None}
        | ({"min_probability": 0.1, "unused_states": False} | named),
        plots.StateTransitionDisplay: {"trans_probs": two, "include_values": True}
        | (scale | colors),
        plots.StateUsageDisplay: {"usage": two, "groups": ["x", "y"], "ax": None} | (usage | named),
        plots.SyllablePreferenceDisplay: {"values": two - 0.5, "standard_deviations": two}
        | {"kind": "bias", "usage": [0.4, 0.6], "unused_states": False}
        | ({"syllable_names": None, "n_top": 1, "ax": None} | named),
        plots.SyllableTransitionDisplay: {"syllable_trans_probs": np.stack([two, two])}
        | ({"usage": [0.4, 0.6], "differences": False} | scale | colors),
    }
    computed = {
        plots.AlignmentDisplay.from_estimators: (
            lambda rng: {"first": make_model(rng), "second": make_model(rng), "X": X}
        ),
        plots.AlignmentDisplay.from_predictions: (
            lambda rng: {"first": make_states(rng), "second": make_states(rng)}
        ),
        plots.DurationDisplay.from_predictions: lambda rng: (
            _of_states(rng) | {"trans_probs": None, "state_names": None, "frame_rate": None}
        ),
        plots.EthogramDisplay.from_predictions: _of_states,
        plots.LaggedInformationDisplay.from_sequences: lambda rng: {"X": X, "lags": [1, 2]},
        plots.MatchedConfusionDisplay.from_predictions: lambda rng: (
            _of_pair(rng) | {"include_values": None}
        ),
        plots.ScanDisplay.from_result: lambda rng: {"result": material().scan, "frame_rate": None},
        plots.StateGraphDisplay.from_predictions: lambda rng: (
            _of_states(rng) | {"state_names": ["a", "b", "c"], "min_probability": 0.1}
        ),
        plots.StateUsageDisplay.from_predictions: _of_states,
    }
    of_model = {
        plots.DurationDisplay: {"X": X, "state_names": None, "frame_rate": None},
        plots.EmissionLossDisplay: {},
        plots.EthogramDisplay: {"X": X, "names": None, "groups": None, "state_names": None},
        plots.LogJointDisplay: {"reference": None},
        plots.MatchedConfusionDisplay: {"X": X, "y_true": STATES},
        plots.RasterDisplay: {"X": X, "index": 0, "y_true": STATES, "kinds": ["viterbi"]}
        | {"start": 0, "stop": None, "random_state": 0},
        plots.StateGraphDisplay: {"X": X, "state_names": None},
        plots.StateTransitionDisplay: {},
        plots.StateUsageDisplay: {"X": X, "groups": None, "state_names": None},
        plots.SyllablePreferenceDisplay: {"X": X, "kind": "bias", "n_top": 1}
        | {"syllable_names": None, "state_names": None},
        plots.SyllableTransitionDisplay: {},
    }
    pictures = [
        (
            display.__name__,
            functools.partial(construct_and_plot, display),
            functools.partial(_copy, arguments),
        )
        for display, arguments in constructed.items()
    ]
    pictures += [(function.__qualname__, function, made) for function, made in computed.items()]
    pictures += [
        (
            display.from_estimator.__qualname__,
            display.from_estimator,
            lambda rng, arguments=arguments: {"estimator": make_model(rng), **arguments},
        )
        for display, arguments in of_model.items()
    ]
    for name, function, arguments in pictures:
        yield Target(name, functools.partial(draw_picture, function), arguments, 0.15)


@functools.cache
def targets():
    """All of them, by name."""
    of_fit = (FloatingPointError, MemoryError)  # which `fit` says that it raises
    information, preferences = metrics.lagged_mutual_information, metrics.syllable_preferences
    listed = [
        Target("EfficientHHMM.fit", fit_model, _of_fit, 1.0, of_fit),
        Target(
            "EfficientHHMM.fit_predict",
            functools.partial(fit_model, _method="fit_predict"),
            lambda rng: SETTINGS | {"X": make_data(rng), "mask": None},
            0.3,
            of_fit,
        ),
        Target(
            "EfficientHHMM.fit_transform",
            functools.partial(fit_model, _method="fit_transform"),
            lambda rng: SETTINGS | {"X": make_data(rng), "mask": None},
            0.3,
            of_fit,
        ),
        Target(
            "EfficientHHMM.fit(checkpoint=)", fit_model, _of_checkpoint, 1.0, (OSError, *of_fit)
        ),
        Target("EfficientHHMM.from_params", EfficientHHMM.from_params, _of_params, 2.0),
        *_methods(),
        Target("match_states", metrics.match_states, _of_pair, 3.0),
        Target("matched_accuracy", metrics.matched_accuracy, _of_pair, 3.0),
        Target(
            "matched_confusion_matrix",
            metrics.matched_confusion_matrix,
            lambda rng: _of_pair(rng) | {"normalize": None},
            3.0,
        ),
        Target(
            "state_usage",
            metrics.state_usage,
            lambda rng: _of_states(rng) | {"per_sequence": bool(rng.random() < 0.5)},
            3.0,
        ),
        Target(
            "state_durations",
            metrics.state_durations,
            lambda rng: _of_states(rng) | {"include_censored": bool(rng.random() < 0.5)},
            3.0,
        ),
        Target("lagged_mutual_information", information, _of_information, 2.0),
        Target("syllable_preferences", preferences, lambda rng: {"model": make_model(rng)}, 0.3),
        *_preprocessing(),
        *_datasets(),
        *_selection(),
        *_checks(),
        *_pictures(),
    ]
    return {target.name: target for target in listed}


def make_input(seed, index, only=None):
    """A target, and the arguments that it is called with.

    Parameters
    ----------
    seed, index : int
    only : sequence of str, optional
        Names of targets to choose from; all if None.
    """
    rng = np.random.default_rng([seed, index])
    chosen = [targets()[name] for name in only or targets()]
    weights = np.array([target.weight for target in chosen])
    target = chosen[rng.choice(len(chosen), p=weights / weights.sum())]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = target.arguments(rng)
        names = rng.permutation([name for name in arguments if not name.startswith("_")])
        for name in names[: rng.choice(3, p=[0.05, 0.7, 0.25])].tolist():
            arguments[name] = _exchange(rng, name, arguments[name])
    return target, arguments


def _exchange(rng, name, value):
    """Another value for an argument."""
    try:
        other = make_hostile(rng) if rng.random() < 0.4 else mutate(rng, value)
    except Exception:  # what is mutated may be hostile already
        other = draw(rng, SCALARS)
    is_much = name in WORK and isinstance(other, int | float) and other > MOST_WORK
    return MOST_WORK if is_much else other


def call_target(index, target, arguments):
    """Call with an input; returns an `Outcome`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # imaginary parts would be lost without a word
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            target.call(**arguments)
        except Exception as error:
            kinds = [refusal for refusal in REFUSALS if isinstance(error, refusal)]
            kind = (kinds or [type(error)])[0].__name__
            wrong = not isinstance(error, REFUSALS + target.errors)
            return Outcome(index, target.name, kind, wrong, str(error)[:300])
    return Outcome(index, target.name, "returned", False, "")


def _reply(replies, reply):
    """Written before what comes next may end the process."""
    replies.write(json.dumps(reply) + "\n")
    replies.flush()


def main():
    """Call with the inputs that the command line names."""
    seed, start, stop = map(int, sys.argv[1:])
    # what a library prints must not come between the replies
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.chdir(material().folder)  # what is written under a hostile name stays there
    for index in range(start, stop):
        faulthandler.dump_traceback_later(TIME_LIMIT, exit=True)
        target, arguments = make_input(seed, index)
        _reply(replies, (index, target.name))
        _reply(replies, call_target(index, target, arguments))
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
