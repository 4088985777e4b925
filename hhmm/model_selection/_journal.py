"""Write and read the file of a scan, a line a fit, from which an interrupted scan resumes."""

import base64
import contextlib
import hashlib
import json
import numbers
import os
import zlib
from importlib.metadata import version
from itertools import chain

import numpy as np
from sklearn.utils import check_random_state

from hhmm._runtime.files import bring_to_disk, check_file, digest, locked
from hhmm._sequences.groups import find_groups, find_levels, read_labels
from hhmm._validation import describe_differences
from hhmm.model_selection._result import _MEASURES_OF_A_FIT

# parameters of the model that do not change what is fitted
_NOT_SETTINGS = ("random_state", "verbose", "warm_start", "frame_rate")
_BEGIN_OF_FILE = b'{"file": "hhmm scan"'
_PARTS_OF_HEADER = ("data", "folds", "settings")


def _pack(states):
    """Return states (n_timesteps,) as text: their bytes, compressed."""
    return base64.b85encode(zlib.compress(states.astype("<i4").tobytes())).decode()


def _unpack(text, n_timesteps):
    """Return what `_pack` packed; raise ValueError unless it has so many timesteps."""
    unpacker = zlib.decompressobj()
    try:
        states = unpacker.decompress(base64.b85decode(text), 4 * n_timesteps)
    except zlib.error as error:
        raise ValueError(f"states that cannot be unpacked ({error})") from error
    if len(states) != 4 * n_timesteps or not unpacker.eof:
        raise ValueError(f"states of another number of timesteps than {n_timesteps}")
    return np.frombuffer(states, "<i4")


@contextlib.contextmanager
def _open_record(path, plan, random_state):
    """Yield the fits that are done, in `path` if that is given."""
    with contextlib.ExitStack() as stack:
        found, rows, n_bytes = None, [], 0
        if path is not None:
            check_file(path, "checkpoint")
            stack.enter_context(locked(path))
            found, rows, n_bytes = _read_record(path)
        if random_state is None and found is not None:
            seed = found["random_state"]
        elif isinstance(random_state, numbers.Integral):
            seed = int(random_state)
        else:
            seed = int(check_random_state(random_state).randint(2**31))
        header = _header(plan, seed)
        if found is not None:
            varied = {name for point in plan.points for name in point.given}
            _check_header(path, found, header, varied)
        record = _Record(seed, {_key(row): row for row in rows})
        _check_rows(path, record.rows, plan)
        if path is not None:
            record.file = stack.enter_context(open(path, "ab"))
            record.file.truncate(n_bytes)  # what follows is of a line that was cut
            if found is None:
                record.write(header)
                bring_to_disk(path.parent)
        yield record


def _check_rows(path, rows, plan):
    """Raise ValueError where a fit in the file is not what a fit of the plan makes."""
    for task in plan.tasks():
        if task.key not in rows:
            continue
        row = rows[task.key]
        try:
            _unpack(row["states"], plan.n_held_out(task))
            for name in (*_MEASURES_OF_A_FIT, "random_state"):
                if not isinstance(row[name], numbers.Real):
                    raise ValueError(f"{name} is no number")
            if not isinstance(row["warnings"], str):
                raise ValueError("warnings is no text")
        except (KeyError, ValueError, TypeError) as error:
            wrong = f"{error} is missing" if isinstance(error, KeyError) else error
            raise ValueError(
                f"{path} is damaged: fold {task.fold}, seed {task.seed} at {task.point.given}: "
                f"{wrong}. The file was left as it was"
            ) from error


class _Record:
    """The fits that are done."""

    def __init__(self, seed, rows):
        self.seed = seed
        self.rows = rows  # by _Task.key
        self.file = None

    def append(self, row):
        if self.file is not None:
            self.write(row)
        self.rows[_key(row)] = row

    def write(self, line):
        """Append a line, and have it on the disk before returning."""
        self.file.write(_sealed(line) + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())


def _sealed(line):
    """Return a line of the file: JSON with its checksum at the end."""
    return json.dumps(line | {"sha256": _checksum(line)}).encode()


def _unsealed(text):
    """Return what was `_sealed`; raise ValueError if it is not as it was written."""
    try:
        line = json.loads(text)
    except RecursionError as error:
        raise ValueError("lists within lists, which scan does not write") from error
    if not isinstance(line, dict) or line.pop("sha256", None) != _checksum(line):
        raise ValueError("its checksum is not that of what it holds")
    return line


def _checksum(value):
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _key(row):
    return _as_text(row["settings"]), row["fold"], row["seed"]


def _read_record(path):
    """Return header and rows of a file of `scan`, and the size of its complete lines in bytes."""
    if not path.exists() or path.stat().st_size == 0:
        return None, [], 0
    data = path.read_bytes()
    *lines, cut = data.split(b"\n")
    if not lines and cut.startswith(_BEGIN_OF_FILE):
        return None, [], 0  # killed before the first line was whole
    try:
        header = _unsealed(lines[0]) if data.startswith(_BEGIN_OF_FILE) else {}
    except ValueError:
        header = {}
    seed, parts = header.get("random_state"), [header.get(name) for name in _PARTS_OF_HEADER]
    if not (isinstance(seed, int) and 0 <= seed < 2**32) or {*map(type, parts)} != {dict}:
        raise ValueError(
            f"{path} is not a file of hhmm.model_selection.scan, or its first line is damaged: "
            "give another path"
        )
    rows = []
    for i, line in enumerate(lines[1:], start=2):
        try:
            row = _unsealed(line)
            hash(_key(row))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}, line {i} is damaged: {line[:60]!r}") from error
        rows.append(row)
    return header, rows, len(data) - len(cut)


def _header(plan, seed):
    """Return what all fits of a file have in common."""
    data, groups = plan.data, []
    if plan.groups is not None:
        labels = read_labels(plan.groups, len(data.lengths))
        levels = find_levels(labels)
        groups = [np.array(find_groups(labels, levels)[0].of_sequences, "<i4")]
    folds = [index.tolist() for fold in plan.folds for index in fold]
    return {
        "file": "hhmm scan",
        "version": version("hhmm"),
        "data": {
            "n_sequences": len(data.lengths),
            "n_timesteps": int(data.lengths.sum()),
            "sha256": digest(chain([data.lengths.astype("<i8")], data.one_by_one(), groups)),
        },
        "folds": {"n_folds": len(plan.folds), "sha256": _checksum(folds)},
        "settings": _settings_of(plan.model, plan.points[0].settings["n_syllables"]),
        "random_state": seed,
    }


def _check_header(path, found, expected, varied):
    """Raise ValueError where a file is of another scan; `varied` are the settings in the grid."""
    parts = [
        {
            "random_state": header["random_state"],
            **{name: _describe(header[name]) for name in ("data", "folds")},
            **{name: value for name, value in header["settings"].items() if name not in varied},
        }
        for header in (found, expected)
    ]
    differences = describe_differences(*parts)
    there, here = found.get("version"), expected["version"]
    if there != here:
        differences.insert(0, f"hhmm {there} wrote it, and this is hhmm {here}")
    if differences:
        raise ValueError(
            f"{path} holds another scan: {'; '.join(differences)}. Give another path, or the "
            "same arguments. The file was left as it was"
        )


def _describe(counts):
    """Return the text for data or folds in a header."""
    words = [f"{n} {name.removeprefix('n_')}" for name, n in counts.items() if name != "sha256"]
    return ", ".join([*words, f"sha256 {str(counts.get('sha256'))[:8]}"])


def _settings_of(model, n_syllables):
    """Return all settings that a fit depends on, as JSON has them."""
    settings = {}
    for name, value in model.get_params(deep=False).items():
        value = value.item() if isinstance(value, np.generic) else value
        if name in _NOT_SETTINGS:
            continue
        if value is not None and not isinstance(value, (bool, int, float, str)):
            raise ValueError(
                f"{name} must be a number, a string or None in scan, which fits to parts of X; got "
                f"{type(value).__name__}"
            )
        settings[name] = value
    return settings | {"n_syllables": n_syllables}


def _as_text(settings):
    """Return settings as text; the same for 100 and 100.0."""
    plain = {
        name: value if value is None or isinstance(value, (bool, str)) else float(value)
        for name, value in settings.items()
    }
    return json.dumps(plain, sort_keys=True)
