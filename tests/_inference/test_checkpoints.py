"""Checkpoints: a fit goes on to the last bit, and a file that is not its own is refused."""

import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from pathlib import Path

import jax
import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from hhmm import EfficientHHMM
from hhmm._inference import checkpoint, draws, search_starts
from hhmm._runtime import files
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Params
from hhmm.datasets import make_hhmm
from hhmm.model_selection import scan
from tests.marks import slow_unless
from tests.published import PUBLISHED

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FOLDER = Path(__file__).parents[1] / "data"
# fitted attributes that must be equal to the last bit
FITTED = (
    "emission_base_",
    "emission_biases_",
    "emission_usage_",
    "emission_interactions_",
    "trans_probs_",
    "states_",
    "log_joint_",
    "n_iter_",
    "converged_",
    "best_chain_",
)
LEARNT = {"emission_usage_sigma": "auto", "emission_base_sigma": "auto", "trans_kappa": "auto"}
KINDS = {
    "chains": {"n_chains": 3},
    "em": {"algorithm": "em", "tol": 0.0},
    "learnt": {"message_passing": "compressed", **LEARNT},
    "learnt by hmc": {"emission_sampler": "hmc", **LEARNT},
    "adam from random states": {
        "emission_solver": "adam",
        "emission_gd_iters": 20,
        "init": "random",
    },
    "learnt em": {"algorithm": "em", "tol": 0.0, **LEARNT},
    "learnt gradient": {"algorithm": "gradient", "tol": 0.0, "init": "random", **LEARNT},
    "marginal": {"emission_sampler": "marginal", **LEARNT},
    "held": {
        "self_transitions": False,
        "emission_usage_sigma": 1.0,
        "emission_interactions_sigma": 0.5,
        "message_passing": "compressed",
    },
}


class StopError(Exception):
    """What a process that is killed does not do."""


@pytest.fixture(scope="module")
def data():
    return make_hhmm(8, 60, 2, 4, emission_biases_sigma=2.0, trans_kappa=20.0, random_state=0)


def _model(**parameters):
    defaults = {"init": "prior", "random_state": 0, "max_iter": 24, "n_draws": 5}
    return EfficientHHMM(2, 4, **PUBLISHED | defaults | parameters)


def _stopped(monkeypatch, model, data, path, n_writes, **options):
    """Fit until the file has been written so many times, and then stop without a word."""
    with monkeypatch.context() as patch:
        save, n_saved = checkpoint.Checkpoint.save, []

        def save_and_stop(self, i, past):
            save(self, i, past)
            n_saved.append(i)
            if len(n_saved) >= n_writes:
                raise StopError

        patch.setattr(checkpoint.Checkpoint, "save", save_and_stop)
        with pytest.raises(StopError):
            model.fit(data.X, checkpoint=path, **options)
    assert not hasattr(model, "trans_probs_")


def _assert_equal_fits(one, other):
    for name in FITTED:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.sigmas_ == other.sigmas_
    for name in ("emission_losses_", "emission_acceptance_", "posterior_", "init_log_joints_"):
        assert hasattr(one, name) == hasattr(other, name)
        parts = (jax.tree.leaves(getattr(fit, name, ())) for fit in (one, other))
        for part, equal in zip(*parts, strict=True):
            np.testing.assert_array_equal(part, equal, err_msg=name)


# the others are compiled for as long again
QUICK_KINDS = ["chains", "em", "learnt em"]


@pytest.mark.parametrize("kind", slow_unless(QUICK_KINDS, KINDS))
@pytest.mark.parametrize("n_writes", [1, 3])
def test_a_fit_goes_on_to_the_last_bit(tmp_path, monkeypatch, data, kind, n_writes):
    model, path = _model(**KINDS[kind]), tmp_path / "fit.npz"
    expected = clone(model).fit(data.X)
    _stopped(monkeypatch, model, data, path, n_writes, checkpoint_every=3)
    _assert_equal_fits(clone(model).fit(data.X, checkpoint=path), expected)
    # the file is now of the whole fit, and there is nothing left to do
    monkeypatch.setattr(checkpoint.Checkpoint, "save", _fail)
    _assert_equal_fits(clone(model).fit(data.X, checkpoint=path), expected)
    assert os.listdir(tmp_path) == ["fit.npz"]


@pytest.mark.parametrize("start", ["states", "model", "warm start", "windows"])
def test_a_fit_goes_on_wherever_it_started(tmp_path, monkeypatch, data, start):
    first = _model(max_iter=4).fit(data.X)
    model = _model(n_chains=2)
    if start == "states":
        model.set_params(init=data.states)
    elif start == "model":
        model.set_params(init=FrozenEstimator(first))  # which clone leaves fitted
    elif start == "windows":
        monkeypatch.setattr(search_starts, "MANY_STARTS", 1)
        model.set_params(init="windows", n_init=2)

    def ready():
        ready = clone(model)
        if start == "warm start":
            ready._ends = first._ends
            for name in Params._fields:
                setattr(ready, f"{name}_", getattr(first, f"{name}_"))
            ready.set_params(warm_start=True)
        return ready

    expected, path = ready().fit(data.X), tmp_path / "fit.npz"
    stopped = ready()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Checkpoint, "save", _raise_after_first(checkpoint.Checkpoint.save))
        with pytest.raises(StopError):
            stopped.fit(data.X, checkpoint=path, checkpoint_every=7)
    _assert_equal_fits(ready().fit(data.X, checkpoint=path), expected)


def test_a_chain_still_under_way_when_another_fails_writes_no_more(tmp_path, monkeypatch, data):
    """The file is no longer locked then, and may be another fit's already."""
    path, save = tmp_path / "fit.npz", checkpoint.Checkpoint.save
    is_done, is_late = threading.Event(), threading.Event()

    def one_fails_and_one_is_late(self, i, past):
        if i == 0:
            save(self, i, past)
            raise StopError
        assert is_done.wait(60)
        save(self, i, past)
        is_late.set()

    monkeypatch.setattr(checkpoint.Checkpoint, "save", one_fails_and_one_is_late)
    monkeypatch.setattr(joblib, "effective_n_jobs", lambda _: 2)
    with pytest.raises(StopError):
        _model(n_chains=2).fit(data.X, checkpoint=path, checkpoint_every=1)
    before = path.stat().st_mtime_ns
    is_done.set()
    assert is_late.wait(60)
    assert path.stat().st_mtime_ns == before


def _fail(*_):
    raise AssertionError("there was nothing to save")


def _raise_after_first(save):
    def save_and_stop(self, i, past):
        save(self, i, past)
        raise StopError

    return save_and_stop


def test_a_seed_that_the_system_chose_is_kept(tmp_path, monkeypatch, data):
    """Chains that had not begun start as they would have, though nobody gave a seed."""
    model, path = _model(random_state=None, n_chains=3), tmp_path / "fit.npz"
    np.random.seed(3)  # noqa: NPY002 -- what random_state=None draws from
    expected = clone(model).fit(data.X)
    np.random.seed(3)  # noqa: NPY002
    _stopped(monkeypatch, model, data, path, 1)
    _assert_equal_fits(clone(model).fit(data.X, checkpoint=path), expected)


@pytest.mark.parametrize("n_writes", [1, 2, None])
def test_a_users_random_numbers_go_on_after_a_fit_that_was_resumed(
    tmp_path, monkeypatch, data, n_writes
):
    """As after the fit that nothing ended; stopped before the second chain began, later, never."""
    rng, path = np.random.RandomState(3), tmp_path / "fit.npz"
    _model(random_state=rng, n_chains=2).fit(data.X)
    expected = rng.randint(2**31)
    first = _model(random_state=np.random.RandomState(3), n_chains=2)
    if n_writes is None:
        first.fit(data.X, checkpoint=path)
    else:
        _stopped(monkeypatch, first, data, path, n_writes)
    rng = np.random.RandomState(3)
    _model(random_state=rng, n_chains=2).fit(data.X, checkpoint=path)
    assert rng.randint(2**31) == expected


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes of that kind")
def test_what_is_no_file_is_refused(tmp_path, data):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"checkpoint must be a file, but .* is a device, a pipe"):
        _model().fit(data.X, checkpoint=path)
    with pytest.raises(ValueError, match=r"checkpoint must be a file, but .* is a device, a pipe"):
        scan(data.X, {"n_states": [2]}, checkpoint=path)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_path_that_leads_nowhere(tmp_path, data):
    with pytest.raises(ValueError, match=r"checkpoint must be a path of a file, got 'a.x00b': "):
        _model().fit(data.X, checkpoint="a\0b")
    if sys.version_info < (3, 13):  # which takes a circle for a file that is not there
        (tmp_path / "a").symlink_to(tmp_path / "b")
        (tmp_path / "b").symlink_to(tmp_path / "a")
        with pytest.raises(ValueError, match=r"checkpoint must be a path of a file, got .*loop"):
            _model().fit(data.X, checkpoint=tmp_path / "a")


@pytest.mark.parametrize("kind", ["MT19937", "PCG64", "SFC64"])
def test_random_numbers_go_on_whatever_generator_makes_them(tmp_path, data, kind):
    """Users may give numpy another one for what random_state=None draws from."""
    estimator, path = _model(random_state=None), tmp_path / "fit.npz"
    rng = np.random.RandomState(getattr(np.random, kind)(5))
    rng.uniform(size=3)
    sequences = RunLengths.of(list(data.X))
    fit = checkpoint.describe(estimator, sequences, 4, "prior", rng)
    expected = np.random.RandomState(getattr(np.random, kind)(5)).uniform(size=7)
    with checkpoint.opened(path, fit, 1) as opened:
        np.testing.assert_array_equal(opened.rng(rng).uniform(size=4), expected[3:])


@pytest.mark.parametrize("algorithm", slow_unless(["gibbs", "em"], ["gibbs", "em", "gradient"]))
def test_a_larger_max_iter_goes_on(tmp_path, data, algorithm):
    # hmc would stay tuned to the first half of the shorter fit
    model = _model(algorithm=algorithm, tol=0.0, max_iter=40)
    expected = clone(model).fit(data.X)
    path = tmp_path / "fit.npz"
    clone(model).set_params(max_iter=24).fit(data.X, checkpoint=path)
    longer = clone(model).fit(data.X, checkpoint=path)
    np.testing.assert_array_equal(longer.log_joint_, expected.log_joint_)
    np.testing.assert_array_equal(np.asarray(longer.states_), expected.states_)
    if algorithm == "gibbs":
        assert longer.posterior_.log_joint.shape == (1, 5)
        assert (longer._kept_sweeps >= 20).all()
        np.testing.assert_array_equal(
            longer.posterior_.log_joint[0], longer.log_joint_[0, longer._kept_sweeps[0]]
        )


@given(st.integers(1, 60), st.integers(0, 60), st.integers(1, 12), st.data())
def test_draws_of_a_shorter_run_stand_in_for_those_of_a_longer_one(n_iter, more, n_draws, drawn):
    shorter = draws.schedule(n_iter, n_draws)
    n_done = drawn.draw(st.integers(0, n_iter))
    there = shorter[shorter < n_done]
    longer = draws.schedule(n_iter + more, n_draws)
    first = (n_iter + more) // 2
    kept, sources = draws.already_kept(longer, there, n_done, first=first)
    assert len(kept) <= len(longer)
    assert (np.diff(kept) > 0).all()
    assert (kept >= first).all()
    np.testing.assert_array_equal(kept[: len(sources)], there[sources])
    np.testing.assert_array_equal(kept[len(sources) :], longer[longer >= n_done])
    if more == 0:
        np.testing.assert_array_equal(kept, shorter)


@pytest.fixture(scope="module")
def written(tmp_path_factory, data):
    """The bytes of a checkpoint of `_model()`."""
    path = tmp_path_factory.mktemp("written") / "fit.npz"
    _model().fit(data.X, checkpoint=path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"trans_kappa": 7.0}, "trans_kappa is 100.0 there, 7.0 here"),
        ({"n_states": 3}, "n_states is 2 there, 3 here"),
        ({"n_syllables": 5}, "n_syllables is 4 there, 5 here"),
        ({"algorithm": "em"}, "algorithm is 'gibbs' there, 'em' here"),
        ({"n_chains": 2}, "n_chains is 1 there, 2 here"),
        ({"init": "random"}, "init is 'prior' there, 'random' here"),
        ({"random_state": 1}, "random_state is another seed here"),
        ({"random_state": np.random.RandomState(1)}, "random_state is another seed here"),
        ({"max_iter": 23}, "max_iter is 24 there, 23 here: expected as many or more"),
        ({"n_draws": 6, "tol": 1.0}, "n_draws is 5 there, 6 here; tol is 0.0001 there, 1.0 here"),
    ],
)
def test_another_fit_is_refused_by_what_is_different(tmp_path, data, written, parameters, message):
    path = tmp_path / "fit.npz"
    path.write_bytes(written)
    model = _model().set_params(**parameters)
    with pytest.raises(ValueError, match=f"of another fit: {message}"):
        model.fit(data.X, checkpoint=path)
    assert path.read_bytes() == written
    assert not hasattr(model, "trans_probs_")


def test_other_data_are_refused(tmp_path, data, written):
    path = tmp_path / "fit.npz"
    path.write_bytes(written)
    X = data.X.copy()
    X[3, 7] = (X[3, 7] + 1) % 4
    for other in (X, data.X[:, :50], data.X[:7], list(data.X[:, ::-1])):
        with pytest.raises(ValueError, match=r"the data are others: 8 sequences, 480 timesteps"):
            _model().fit(other, checkpoint=path)
    assert path.read_bytes() == written
    # the form does not matter, nor does how a number is written
    _model(trans_kappa=100, max_iter=np.int64(24)).fit(list(data.X), checkpoint=path)


def test_other_versions_go_on_with_a_warning(tmp_path, data, written, monkeypatch):
    path = tmp_path / "fit.npz"
    path.write_bytes(written)
    monkeypatch.setattr(checkpoint.jax, "__version__", "0.0.1")
    with pytest.warns(UserWarning, match=r"written elsewhere \(jax .* there, 0.0.1 here\)"):
        _model().fit(data.X, checkpoint=path)


@pytest.mark.filterwarnings("ignore:.*Duplicate name")
def test_what_is_no_checkpoint_is_refused_and_left(tmp_path, data, written):
    path = tmp_path / "fit.npz"
    for i, contents in enumerate(_damaged(written)):
        path.write_bytes(contents)
        with pytest.raises(ValueError, match=r"fit.npz is .*The file was not changed") as error:
            _model().fit(data.X, checkpoint=path)
        assert "Traceback" not in str(error.value), i
        assert path.read_bytes() == contents


def _damaged(written):
    """Files that are none, or not whole, or not what they say."""
    rng = np.random.default_rng(0)
    yield b""
    yield b"recording,syllable\nmouse1,3\n"
    for n in rng.integers(1, len(written), 20):
        yield written[:n]
    arrays = dict(np.load(io.BytesIO(written)))
    for change in (
        {"other": np.zeros(3)},
        {"chain0.end.trans_probs": np.eye(3)},
        {"chain0.end.trans_probs": np.full((2, 2), np.nan)},
        {"chain0.end.key": np.array(["a", "b"])},
        {"header": np.frombuffer(b'{"file": "another"}', np.uint8)},
        {"header": np.frombuffer(b"[]", np.uint8)},
        {"header": np.frombuffer(b"\xff", np.uint8)},
    ):
        yield _npz(arrays | change)
        if "header" not in change:
            yield _npz(_consistent(arrays | change))
    without = {name: a for name, a in arrays.items() if name != "chain0.end.mode.base"}
    yield _npz(without)
    yield _npz(_consistent(without))
    yield _npz({name: a for name, a in arrays.items() if name != "header"})
    yield _npz(_consistent(arrays, settings=None))
    yield _npz(_consistent(arrays, max_iter="many"))
    yield _npz(_consistent(arrays, arrays={}))
    kept = {name: np.repeat(a, 9, axis=0) for name, a in arrays.items() if ".kept" in name}
    assert kept
    yield _npz(_consistent(arrays | kept))  # more draws than were asked for
    # larger than it is: compressed, and an array or a member that says that it is
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    yield stream.getvalue()
    yield _with_member(
        written,
        b"\x93NUMPY\x01\x00",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
    )
    yield _with_member(
        written, b"\x93NUMPY\x01\x00", "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    )
    directory = written.rindex(b"PK\x01\x02")
    yield written[: directory + 24] + b"\xff\xff\xff\x7f" + written[directory + 28 :]
    yield _with_member(written, b"\x93NUMPY\x03\x00", "{}")
    yield _with_member(written, b"\x93NUMPY\x01\x00", "__import__('os')")


def test_a_byte_that_changed_is_found_wherever_it_counts(tmp_path, written):
    """Not so in what the archive says of dates and systems, which nobody reads."""
    path, rng = tmp_path / "fit.npz", np.random.default_rng(0)
    path.write_bytes(written)
    header, arrays = checkpoint._read_arrays(path)
    n_refused = 0
    for n in rng.integers(0, len(written), 300):
        changed = bytearray(written)
        changed[n] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        try:
            found = checkpoint._read_arrays(path)
        except checkpoint._DAMAGED:
            n_refused += 1
            continue
        assert found[0] == header
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[1][name], array)
    assert n_refused > 200


def _npz(arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _consistent(given, /, **changes):
    """With a header and a checksum that fit the arrays."""
    header = json.loads(given["header"].tobytes())
    arrays = {name: a for name, a in given.items() if name != "header"}
    header["arrays"] = {name: [str(a.dtype), list(a.shape)] for name, a in arrays.items()}
    header |= changes
    header["sha256"] = checkpoint._sha256(header, arrays)
    return {"header": np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays}


def _with_member(written, magic, text):
    stream = io.BytesIO(written)
    with zipfile.ZipFile(stream, "a") as archive:
        line = text.encode() + b"\n"
        archive.writestr("more.npy", magic + len(line).to_bytes(2, "little") + line + b"\0" * 8)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore:.*was written elsewhere")
def test_a_checkpoint_written_earlier_goes_on(tmp_path):
    """What is recorded in the file is in the fit that goes on from it."""
    path = FOLDER / f"checkpoint_{checkpoint.FORMAT}.npz"
    kept = np.load(path)
    settings = json.loads(kept["header"].tobytes())["settings"]
    del settings["n_levels"]
    model = EfficientHHMM(**settings, random_state=0, max_iter=11)
    copied = Path(shutil.copy(path, tmp_path))
    model.fit(np.load(FOLDER / "model_1.npz")["X"], checkpoint=copied)
    assert model.n_iter_ == 11
    np.testing.assert_array_equal(model.log_joint_[0, :8], kept["chain0.trace.log_joint"])
    assert (model.log_joint_[0, 8:] != model.log_joint_[0, 7]).all()
    assert model.log_joint_[0, 8:].min() > model.log_joint_[0, 0] - 20


def test_a_checkpoint_of_another_format_is_refused(tmp_path, data, written):
    """Formats 1 to 3 had other random numbers, and format 4 held no modes."""
    path = tmp_path / "fit.npz"
    path.write_bytes(_npz(_consistent(dict(np.load(io.BytesIO(written))), format=2)))
    with pytest.raises(ValueError, match=r"is of format 2, .* What is drawn or kept differs"):
        _model().fit(data.X, checkpoint=path)


def test_nothing_is_pickled(written):
    with np.load(io.BytesIO(written), allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
        assert header["format"] == checkpoint.FORMAT
        assert header["settings"]["trans_kappa"] == 100.0
        assert {name for name in archive.files if name != "header"} == set(header["arrays"])


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("no/such/fit.npz", FileNotFoundError, "there is no folder"),
        ("", IsADirectoryError, "checkpoint must be a file"),
        (3, TypeError, "checkpoint must be a path of a file, got 3"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_any_work(
    tmp_path, data, monkeypatch, path, error, message
):
    monkeypatch.setattr("hhmm._inference.chains.iterate", None)
    path = tmp_path / path if isinstance(path, str) else path
    with pytest.raises(error, match=message):
        _model().fit(data.X, checkpoint=path)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("every", [0, 2.5, "often"])
def test_checkpoint_every_is_checked(tmp_path, data, every):
    with pytest.raises((ValueError, TypeError), match="checkpoint_every"):
        _model().fit(data.X, checkpoint=tmp_path / "fit.npz", checkpoint_every=every)


def test_only_one_fit_at_a_time(tmp_path, data):
    path = tmp_path / "fit.npz"
    with files.locked(path):
        with pytest.raises(BlockingIOError, match=r"fit.npz is in use"):
            _model().fit(data.X, checkpoint=path)
        script = (  # the module needs nothing else of the package, whose import takes seconds
            "import pathlib, runpy, sys\nlocked = runpy.run_path(sys.argv[1])['locked']\n"
            "with locked(pathlib.Path(sys.argv[2])): pass"
        )
        other = subprocess.run(
            [sys.executable, "-c", script, files.__file__, str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "BlockingIOError" in other.stderr
    assert not any(tmp_path.iterdir())
    _model(max_iter=2).fit(data.X, checkpoint=path)


def test_one_of_many_threads_has_the_lock(tmp_path):
    path, inside, most = tmp_path / "file", [], []

    def work():
        for _ in range(100):
            try:
                with files.locked(path):
                    inside.append(None)
                    most.append(len(inside))
                    inside.pop()
            except BlockingIOError:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def lock(_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(files, "_lock", lock)
    with pytest.warns(UserWarning, match="cannot be locked"), files.locked(tmp_path / "file"):
        pass


def test_a_folder_that_no_file_can_be_written_to_is_told(tmp_path, data, monkeypatch):
    def refuse(name, *_):
        raise PermissionError(errno.EACCES, "Permission denied", name)

    path = tmp_path / "fit.npz"
    monkeypatch.setattr(files.os, "open", refuse)
    refused = f"Permission denied: no file can be written beside {re.escape(str(path))}$"
    with pytest.raises(PermissionError, match=refused):
        _model().fit(data.X, checkpoint=path)


def test_a_full_disk_is_a_warning_and_the_last_good_file_stays(tmp_path, data, monkeypatch):
    path, model = tmp_path / "fit.npz", _model()
    expected = clone(model).fit(data.X)
    good, n_writes, fsync = [], [], os.fsync

    def full(descriptor):
        n_writes.append(None)
        if len(n_writes) > 4:  # two for each whole write
            good.append(path.read_bytes())
            raise OSError(28, "No space left on device")
        return fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="No space left on device.*The fit continues") as caught:
        fitted = clone(model).fit(data.X, checkpoint=path, checkpoint_every=3)
    assert sum("No space left" in str(warning.message) for warning in caught) == 1
    _assert_equal_fits(fitted, expected)
    assert len(good) > 2
    assert {path.read_bytes()} == set(good)
    assert os.listdir(tmp_path) == ["fit.npz"]
    monkeypatch.setattr(os, "fsync", fsync)
    _assert_equal_fits(clone(model).fit(data.X, checkpoint=path), expected)


def test_what_a_link_points_to_is_written(tmp_path, data):
    target, link = tmp_path / "far.npz", tmp_path / "near.npz"
    link.symlink_to(target)
    _model(max_iter=2).fit(data.X, checkpoint=link)
    assert link.is_symlink()
    assert target.stat().st_size


def test_a_part_that_a_killed_process_left_is_no_obstacle(tmp_path):
    path = tmp_path / "file"
    Path(tmp_path, ".file.part").write_bytes(b"half")
    files.write_whole(path, lambda file: file.write(b"whole"))
    assert path.read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["file"]


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(tmp_path_factory, contents):
    path = tmp_path_factory.mktemp("any") / "fit.npz"
    path.write_bytes(contents)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(checkpoint._DAMAGED):
            checkpoint._read_arrays(path)


KILLED = """
import sys
import numpy as np
from hhmm import EfficientHHMM
from hhmm.datasets import make_hhmm
from tests.published import PUBLISHED

X = make_hhmm(12, 150, 3, 8, emission_biases_sigma=2.0, trans_kappa=30.0, random_state=0).X
X[np.random.default_rng(0).random(X.shape) < 0.05] = -1
sequences = [row[: 150 - 7 * i] for i, row in enumerate(X)]
settings = PUBLISHED | {"trans_kappa": 30.0, "init": "prior", "max_iter": 100, "n_chains": 2}
model = EfficientHHMM(3, 8, random_state=0, **settings)
model.fit(sequences, checkpoint=sys.argv[1], checkpoint_every=1)
np.savez(sys.argv[2], model.log_joint_, model.trans_probs_, model.emission_base_, *model.states_)
"""


@pytest.mark.slow
def test_a_fit_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path):
    """Kill it at random moments after a write: the file stays whole, and no sweep is lost."""
    rng, done, n_killed = np.random.default_rng(0), 0, 0
    checkpoint_path, result = tmp_path / "fit.npz", tmp_path / "result.npz"

    def written():
        return checkpoint_path.stat().st_mtime_ns if checkpoint_path.exists() else None

    def start(*paths):
        # a process that is killed must leave no half of an entry in the cache of the tests
        cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
        command = [sys.executable, "-c", KILLED, *map(str, paths)]
        return subprocess.Popen(command, env=os.environ | cache)

    while not result.exists():
        before, process = written(), start(checkpoint_path, result)
        if n_killed < 2:
            while written() == before and process.poll() is None:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.2))
            process.kill()
        killed = process.wait() < 0
        assert killed or process.returncode == 0
        n_killed += killed
        with np.load(checkpoint_path, allow_pickle=False) as file:
            now = sum(int(file[name]) for name in file.files if name.endswith("end.n_sweeps"))
        assert now >= done
        done = now
    assert n_killed == 2
    assert start(tmp_path / "other.npz", tmp_path / "undisturbed.npz").wait() == 0
    found, expected = np.load(result), np.load(tmp_path / "undisturbed.npz")
    assert found.files == expected.files
    for name in expected.files:
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, so that a writer starts at once")
def test_a_file_written_over_and_over_is_whole_whenever_its_writer_is_killed(tmp_path):
    path = tmp_path / "file"
    script = """
import itertools, os, pathlib, random, signal, sys, time
from hhmm._runtime import files

def write(path):
    with files.locked(path):
        for i in itertools.count():
            files.write_whole(path, lambda file: file.write(b"%07d\\n" % i * 20_000))

path, rng = pathlib.Path(sys.argv[1]), random.Random(0)
when = lambda: path.stat().st_mtime_ns if path.exists() else None
for _ in range(30):
    before = when()
    writer = os.fork()
    if not writer:
        write(path)
    while when() == before:
        assert os.waitpid(writer, os.WNOHANG) == (0, 0)
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.03))
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    lines = path.read_bytes().split(b"\\n")
    assert len(lines) == 20_001
    assert len(set(lines[:-1])) == 1
"""
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    with files.locked(path):  # and nobody holds the lock
        pass
