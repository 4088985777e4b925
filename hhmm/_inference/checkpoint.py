"""Checkpoints: what a fit has done so far, on the disk, to go on from to the last bit.

A file is a NumPy archive (npz) of plain arrays, nothing of it pickled: `numpy.load` reads it. The
array ``header`` is JSON text: the version of the format, of what fit the file is (settings, a
digest of the data, where the fit started, the state of the random numbers at its start), names,
shapes and types of all other arrays, and a SHA-256 digest of all of this. What makes a fit go on
is little (see `hhmm._inference.loop`): the parameters of the last sweep, the key, how many sweeps
were done; and, to end with all results, what was recorded of them and the draws kept.

A file is read with distrust: nothing is allocated that the size of the file does not bear out, no
array is taken whose digest, type or shape is not as it must be.
"""

import contextlib
import io
import itertools
import json
import threading
import warnings
import zipfile
import zlib
from importlib.metadata import version
from typing import NamedTuple

import jax
import numpy as np

from hhmm._emission_solvers.objective import Tuning
from hhmm._inference.compiled import Draws, Trace
from hhmm._inference.loop import ChainEnd, ChainProgress
from hhmm._model.terms import ALL_TERMS, GROUP_TERMS, Factor, Terms
from hhmm._runtime import files
from hhmm._types import EmissionLogits, Priors
from hhmm._validation import describe_differences

# raised where the same seed gives other draws, or other arrays are kept: a fit could not continue
# to the same result
FORMAT = 5
_FILE = "hhmm checkpoint"
_HEADER = "header"
_LEFT = "The file was not changed"
# what does not make another fit; the state of its random numbers stands for the seed
_NOT_SETTINGS = ("random_state", "verbose", "warm_start", "frame_rate", "init", "max_iter")
# what a fit that continues takes from the file
_OF_THE_START = ("random_state", "random_state_after", "init_log_joints")


class Fit(NamedTuple):
    """Identity of the fit that a checkpoint belongs to."""

    settings: dict  # what must be equal, by name
    data: dict  # numbers of sequences and timesteps, and a digest
    max_iter: int
    random_state: dict | None  # state of the random numbers at the start of the fit
    is_seeded: bool  # whether `random_state` is the user's, and not the system's
    random_state_after: dict | None = None  # when the starts were drawn, and nothing is any more
    init_log_joints: list | None = None  # what the searches for the starts reached


def describe(estimator, sequences, n_syllables, start, rng, n_levels=(), groups=None):
    """Describe what fit this is.

    Parameters
    ----------
    estimator : EfficientHHMM
    sequences : RunLengths
    n_syllables : int
    start : str or tree of arrays
        Where the fit starts: the name of an `init`, states, parameters, or the ends of chains.
    rng : numpy.random.RandomState
        Before its first number is drawn.
    n_levels : sequence of int
        Numbers of levels of the factors of groups.
    groups : (n_sequences,) int32, default=None
        The group of each sequence.

    Returns
    -------
    fit : Fit
    """
    settings = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in estimator.get_params(deep=False).items()
        if name not in _NOT_SETTINGS
    }
    settings["n_syllables"] = n_syllables
    settings["n_levels"] = list(n_levels)
    is_named = isinstance(start, str)
    settings["init"] = start if is_named else f"arrays {files.digest(jax.tree.leaves(start))[:16]}"
    lengths = sequences.lengths
    data = {
        "n_sequences": len(lengths),
        "n_timesteps": int(lengths.sum()),
        "sha256": files.digest(itertools.chain([lengths.astype("<i8")], sequences.one_by_one())),
    }
    if groups is not None:
        data["groups"] = files.digest([groups.astype("<i4")])
    is_seeded = estimator.random_state is not None
    return Fit(settings, data, int(estimator.max_iter), _state_of(rng), is_seeded)


@contextlib.contextmanager
def opened(path, fit, n_chains):
    """Open a `Checkpoint` with what the file holds already; nobody else can meanwhile.

    Raises
    ------
    ValueError
        If the file is not a checkpoint, is not a file, is damaged, or belongs to another fit.
    BlockingIOError
        If it is in use.
    FileNotFoundError, PermissionError
        If it cannot be written.
    """
    path = files.absolute(path, "checkpoint")
    files.check_file(path, "checkpoint")
    with files.locked(path):
        found, pasts = fit, [None] * n_chains
        if path.exists():
            found, pasts = _read(path, fit, n_chains)
        fit = fit._replace(**{name: getattr(found, name) for name in _OF_THE_START})
        checkpoint = Checkpoint(path, fit, pasts)
        try:
            yield checkpoint
        finally:
            checkpoint.close()


class Checkpoint:
    """An open checkpoint.

    Attributes
    ----------
    pasts : list of ChainProgress or None, one a chain
        None where a chain has done nothing.
    """

    def __init__(self, path, fit, pasts):
        self._path, self._fit = path, fit
        self.pasts = pasts
        self._lock = threading.Lock()
        self._failed = self._closed = False

    def close(self):
        """Write no more: a chain that another one's error ended may still be under way."""
        with self._lock:
            self._closed = True

    def rng(self, rng):
        """Return the random numbers as at the start of the fit; `rng` itself if seeded."""
        if self._fit.is_seeded:
            return rng
        # of whichever kind numpy's global generator was
        kept = self._fit.random_state
        rng = np.random.RandomState(getattr(np.random, kept["bit_generator"])())
        _set_state(rng, kept)
        return rng

    def started(self, rng, init_log_joints):
        """Note that starts are drawn; leave a user's `rng` as an undisturbed fit leaves it.

        Return what the searches for the starts reached, in this fit or in the interrupted one.
        """
        after = self._fit.random_state_after
        if after is None:
            found = None if init_log_joints is None else init_log_joints.tolist()
            self._fit = self._fit._replace(random_state_after=_state_of(rng), init_log_joints=found)
        elif self._fit.is_seeded:
            _set_state(rng, after)
        found = self._fit.init_log_joints
        return None if found is None else np.array(found)

    def save(self, i, past):
        """Save the progress of chain i. Where the file cannot be written, warn and continue."""
        with self._lock:
            if self._closed:
                return
            self.pasts[i] = past
            try:
                files.write_whole(self._path, self._write)
            except OSError as error:
                if not self._failed:
                    warnings.warn(
                        f"the checkpoint {self._path} could not be written ({error}). The fit "
                        "continues and will try again. What the file held before is unchanged",
                        stacklevel=2,
                    )
                self._failed = True

    def _write(self, file):
        arrays = {}
        for i, past in enumerate(self.pasts):
            if past is not None:
                arrays |= {f"chain{i}.{name}": array for name, array in _flatten(past).items()}
        header = _header(self._fit, arrays)
        header["sha256"] = _sha256(header, arrays)
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        # as np.savez does, which has `allow_pickle` only since numpy 2.1
        with zipfile.ZipFile(file, "w") as archive:
            for name, array in {_HEADER: text, **arrays}.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


def _state_of(rng):
    """Return the state of random numbers as JSON has it."""
    return json.loads(json.dumps(rng.get_state(legacy=False), default=_as_list))


def _set_state(rng, kept):
    own = rng.get_state(legacy=False)["state"]
    state = {
        name: np.array(value, own[name].dtype) if isinstance(value, list) else value
        for name, value in kept["state"].items()
    }
    rng.set_state(kept | {"state": state})


def _header(fit, arrays):
    return {
        "file": _FILE,
        "format": FORMAT,
        "versions": _versions(),
        **fit._asdict(),
        "arrays": {name: [str(a.dtype), list(a.shape)] for name, a in arrays.items()},
    }


def _versions():
    return {
        "hhmm": version("hhmm"),
        "jax": jax.__version__,
        "device": jax.default_backend(),
    }


def _sha256(header, arrays):
    text = json.dumps({name: header[name] for name in header if name != "sha256"}, sort_keys=True)
    return files.digest([np.frombuffer(text.encode(), np.uint8), *arrays.values()])


def _as_list(array):
    return array.tolist()


class _OtherFormatError(Exception):
    """The file is of another version of hhmm."""


def _read(path, fit, n_chains):
    """Return the `Fit` of a file, and its `ChainProgress` of each chain; checked."""
    try:
        header, arrays = _read_arrays(path)
    except _OtherFormatError as error:
        raise ValueError(
            f"{path} is of format {error}, and this version of hhmm writes format {FORMAT}. What "
            f"is drawn or kept differs, so the fit cannot continue to the same result. {_LEFT}: "
            "continue with the version that wrote it, or give another path"
        ) from None
    except _DAMAGED as error:
        raise ValueError(
            f"{path} is not a checkpoint of a fit, or is damaged ({error}). {_LEFT}: give another "
            "path"
        ) from error
    _check_same(path, header, fit)
    pasts, by_chain = [], {f"chain{i}": {} for i in range(n_chains)}
    for name, array in arrays.items():
        chain, _, part = name.partition(".")
        by_chain.setdefault(chain, {})[part] = array
    if len(by_chain) > n_chains:
        raise ValueError(f"{path} is damaged: it holds {sorted(by_chain)}. {_LEFT}")
    for i, of_chain in enumerate(by_chain.values()):
        try:
            pasts.append(_to_past(of_chain, fit.settings) if of_chain else None)
        except _DAMAGED as error:
            raise ValueError(
                f"{path} is damaged: what it holds of chain {i} does not fit. {_LEFT}"
            ) from error
    return fit._replace(**{name: header[name] for name in _OF_THE_START}), pasts


# what reading bytes of any kind may raise
_DAMAGED = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def _read_arrays(path):
    """Read header and arrays of a file; raise ValueError where anything was changed."""
    n_bytes = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("compressed, which checkpoints are not")
        if sum(member.file_size for member in members) > n_bytes:
            raise ValueError("it says that it is larger than it is")
        arrays = {m.filename.removesuffix(".npy"): _to_array(archive.read(m)) for m in members}
    if len(arrays) != len(members) or _HEADER not in arrays:
        raise ValueError("no header")
    header = json.loads(arrays.pop(_HEADER).tobytes().decode())
    if not isinstance(header, dict) or header.get("file") != _FILE:
        raise ValueError("the header is of something else")
    if header.get("format") != FORMAT:
        raise _OtherFormatError(header.get("format"))
    if not all(isinstance(header[name], dict) for name in ("settings", "data", "versions")):
        raise ValueError("the header is not whole")
    if not isinstance(header["max_iter"], int) or not set(_OF_THE_START) <= set(header):
        raise ValueError("the header is not whole")
    if header["sha256"] != _sha256(header, arrays):
        raise ValueError("its checksum is not that of what it holds")
    if header["arrays"] != {name: [str(a.dtype), list(a.shape)] for name, a in arrays.items()}:
        raise ValueError("its arrays are not those of its header")
    return header, arrays


def _to_array(data):
    """Read an array from the bytes of an npy file; no larger than they are, and no objects."""
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array of another format")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    rest = data[stream.tell() :]
    if dtype.hasobject:
        raise ValueError("objects, which checkpoints do not hold")
    n_items = int(np.prod(shape, dtype=object))
    if n_items * dtype.itemsize != len(rest):
        raise ValueError("an array of another size than it says")
    order = "F" if fortran_order else "C"
    return np.frombuffer(rest, dtype).reshape(shape, order=order).copy()


def _check_same(path, header, fit):
    """Refuse a checkpoint of another fit, and say what is different."""
    differences = describe_differences(header["settings"], fit.settings)
    if header["data"] != fit.data:
        differences.append(
            f"the data are others: {_of_data(header['data'])} there, {_of_data(fit.data)} here"
        )
    if fit.is_seeded and header["random_state"] != fit.random_state:
        differences.append(
            "random_state is another seed here, or a generator that has drawn more or less"
        )
    if header["max_iter"] > fit.max_iter:
        differences.append(
            f"max_iter is {header['max_iter']} there, {fit.max_iter} here: expected as many or more"
        )
    if differences:
        raise ValueError(
            f"{path} is a checkpoint of another fit: {'; '.join(differences)}. {_LEFT}: give "
            "another path, or the same settings and data"
        )
    here = _versions()
    changed = [
        f"{name} {header['versions'].get(name)} there, {here[name]} here"
        for name in here
        if header["versions"].get(name) != here[name]
    ]
    if changed:
        warnings.warn(
            f"{path} was written elsewhere ({'; '.join(changed)}). The fit continues, but may "
            "differ in the last bits from one that was not interrupted",
            stacklevel=2,
        )


def _of_data(data):
    return (
        f"{data.get('n_sequences')} sequences, {data.get('n_timesteps')} timesteps, sha256 "
        f"{str(data.get('sha256'))[:8]}"
    )


def _flatten(past):
    """Return arrays of a `ChainProgress` by name."""
    named, _ = jax.tree_util.tree_flatten_with_path(past)
    return {_name(steps): np.asarray(leaf) for steps, leaf in named}


def _to_past(arrays, settings):
    """Build a `ChainProgress` from arrays by name; raise ValueError or KeyError if wrong."""
    factors = tuple(Factor(n, (-1,)) for n in settings["n_levels"])
    of_groups = GROUP_TERMS if factors else ()
    names = [term.name for term in (*ALL_TERMS, *of_groups) if settings[term.sigma] != 0]
    trans_by_group = "group_transitions" in names
    terms = Terms(
        settings["n_states"],
        settings["n_syllables"],
        tuple(name for name in names if name != "group_transitions"),
        factors=factors,
        trans_by_group=trans_by_group,
    )
    nothing = (0,) * len(factors)
    zero = EmissionLogits(**{name: nothing if name.startswith("group") else 0 for name in names})
    priors = Priors(**{name: nothing if name.startswith("group") else 0 for name in Priors._fields})
    # the sampler "marginal" has a metric
    metric = [0 if f"end.tuning.{name}" in arrays else () for name in ("hessian", "whitening")]
    template = ChainProgress(
        end=ChainEnd(0, 0, zero, zero, 0, Tuning(0, 0, *metric), priors),
        kept=Draws(zero, 0, 0, priors, zero),
        kept_sweeps=0,
        trace=Trace(*[0] * len(Trace._fields)),
        emission_losses=0,
        optimizer=(0,) * sum(name.startswith("optimizer.") for name in arrays),
        stopped=0,
    )
    named, structure = jax.tree_util.tree_flatten_with_path(template)
    names = [_name(steps) for steps, _ in named]
    if set(names) != set(arrays):
        raise ValueError(f"arrays {sorted(set(names) ^ set(arrays))}")
    past = jax.tree.unflatten(structure, [arrays[name] for name in names])
    n_states = terms.n_states
    (n_kept,), (n_done,) = past.kept_sweeps.shape, past.trace.log_joint.shape
    expected = [
        *(
            (term.of(logits), (*leading, *own.shape(term)))
            for own in ([terms, terms.of_transitions] if trans_by_group else [terms])
            for term in own.present
            if own is terms or term.factor is not None
            for logits, leading in [
                (past.end.logits, ()),
                (past.end.mode, ()),
                (past.kept.logits, (n_kept,)),
                (past.kept.mode, (n_kept,)),
            ]
        ),
        *((value, ()) for value in jax.tree.leaves(past.end.priors)),
        *((values, (n_kept,)) for values in jax.tree.leaves(past.kept.priors)),
        (past.end.trans_probs, (n_states, n_states)),
        (past.kept.trans_probs, (n_kept, n_states, n_states)),
        (past.kept.log_joint, (n_kept,)),
        *((part, (n_done,)) for part in past.trace),
        (past.end.key, (2,)),
        *((part, ()) for part in (past.end.n_sweeps, past.stopped, *past.end.tuning[:2])),
    ]
    for array, shape in expected:
        if array.shape != shape or not np.isfinite(array).all():
            raise ValueError(f"shape {array.shape}, expected {shape} and finite numbers")
    if (
        n_kept > settings["n_draws"]
        or not len(past.emission_losses) <= settings["emission_gd_iters"]
    ):
        raise ValueError("more draws or iterations than the settings ask for")
    return past._replace(
        end=past.end._replace(n_sweeps=int(past.end.n_sweeps)), stopped=bool(past.stopped)
    )


def _name(steps):
    """Return the name of an array, from where it stands in a `ChainProgress`."""
    return ".".join(str(getattr(step, "name", getattr(step, "idx", None))) for step in steps)
