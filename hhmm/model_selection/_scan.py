"""Fit a grid of settings from several seeds, in folds."""

from __future__ import annotations

import contextlib
import hashlib
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import SequentialBackend, get_active_backend
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import (
    BaseCrossValidator,
    BaseShuffleSplit,
    GroupKFold,
    ParameterGrid,
    check_cv,
)
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import Interval, validate_params
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_consistent_length

from hhmm._runtime.files import absolute
from hhmm._runtime.interrupts import plain_interrupts
from hhmm._runtime.progress import Bar
from hhmm._sequences import read
from hhmm._sequences.groups import find_levels, read_labels
from hhmm._sequences.run_lengths import RunLengths
from hhmm._validation import (
    ShortStatesWarning,
    SingleStateWarning,
    UnusedStatesWarning,
    shorten,
    to_array,
)
from hhmm.estimator import EfficientHHMM
from hhmm.metrics import matched_accuracy, state_durations, state_usage
from hhmm.model_selection import _journal, _result
from hhmm.model_selection._result import ScanResult
from hhmm.model_selection._stickiness import (
    duration_from_trans_kappa,
    trans_kappa_from_duration,
)

Grid: TypeAlias = Mapping[str, Sequence[Any] | np.ndarray]
Folds: TypeAlias = (
    int | BaseCrossValidator | BaseShuffleSplit | Iterable[tuple[ArrayLike, ArrayLike]]
)
_MOST_SEEDS = 1_000_000  # the fits are listed before the first one


@validate_params(
    {
        "n_seeds": [Interval(Integral, 1, _MOST_SEEDS, closed="both")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
def scan(
    X: ArrayLike,
    param_grid: Grid | Sequence[Grid],
    *,
    estimator: EfficientHHMM | None = None,
    cv: Folds = 5,
    groups: ArrayLike | None = None,
    model_groups: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    n_seeds: int = 3,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    verbose: int = 0,
) -> ScanResult:
    """Fit a grid of settings to every fold, from several seeds.

    Parameters
    ----------
    X : array-like of int of shape (n_sequences, n_timesteps), list of 1-D arrays, or recordings
        Syllables; negative or NaN where missing. Recordings are those of
        `hhmm.datasets.open_recordings`.
    param_grid : dict of str to sequence, or list of such dicts
        Settings of `estimator` to combine, as `sklearn.model_selection.ParameterGrid` takes
        them: ``{"n_states": [2, 3, 4], "trans_kappa": [10, 100]}``. Instead of `trans_kappa`, a
        grid may have ``"duration"``: how long states are expected to last a priori, in seconds. It
        needs the `frame_rate` of `estimator`, and means the same for every number of states.
    estimator : EfficientHHMM, default=None
        Has the settings that do not vary; the defaults if None.
    cv : int, cross-validation generator or iterable, default=5
        How sequences are held out. An int is a number of folds of consecutive sequences, which are
        not shuffled, as everywhere in scikit-learn; with `groups`, of whole groups (`GroupKFold`).
        Each fold should hold out sequences of every condition: used states are counted in what is
        held out (`sklearn.model_selection.StratifiedGroupKFold`).
    groups : array-like of shape (n_sequences,), default=None
        Group of each sequence, for example the animal, for `cv`.
    model_groups : array-like of shape (n_sequences,) or data frame, default=None
        Groups for the model, as in `EfficientHHMM.fit`. Held-out sequences are scored with theirs.
        A group that a fold does not have in its training data has effect 0.
    mask : array-like of bool of shape (n_sequences, n_timesteps), default=None
        False marks a missing timestep. For 2-D X only.
    n_seeds : int, default=3
        Fits of each grid point to each fold, a million at most.
    random_state : int, RandomState or None, default=None
        Source of the seeds. With None, a resumed scan uses the value in its file.
    n_jobs : int, default=None
        Fits at the same time, in worker processes: None means 1 unless in a
        `joblib.parallel_config`, -1 all cores.
    checkpoint : str or path-like, default=None
        File to which every fit is appended as soon as it is done. If it exists, the fits in it are
        not repeated. Only one scan at a time may use it.
    checkpoint_every : int, default=None
        For fits that take hours: number of sweeps after which an unfinished fit is written to a
        file of its own beside `checkpoint`. That file is removed when the fit is done. None keeps
        finished fits only.
    verbose : int, default=0
        1 shows progress, with tqdm where that is installed.

    Returns
    -------
    result : ScanResult

    Raises
    ------
    TypeError
        If `estimator` is not an `EfficientHHMM`, or a number of fits or sweeps is no integer.
    ValueError
        If X or a setting is not as described; if a fold has no observed transition to learn from
        or to score; if `checkpoint` holds something else, or a scan of other data, other folds,
        another `random_state`, other settings, or by another version of this package. Nothing is
        fitted then, and the file is as it was.
    FloatingPointError
        If a fit fails, which extreme settings can cause. A note on the error names the fit; earlier
        fits are in `checkpoint`.
    BlockingIOError
        If another scan is using `checkpoint`.

    Warns
    -----
    ConvergenceWarning
        Once, if fits warned of convergence; column ``warnings`` of the table has the messages.
    UserWarning
        If `hhmm.EfficientHHMM.fit` would warn of X. Unused states raise no warning, because a
        grid may hold too many states on purpose: column ``n_used_states`` counts the used ones.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : Without seeds, states, or a file.

    Notes
    -----
    The number of syllables, where `estimator` leaves it open, is that of the whole of X, since a
    fold may lack the largest label.

    A fit has a seed of its own, made of `random_state`, the number of the seed, the fold and the
    settings of the fit, and of nothing else in the grid. So a scan of a larger grid or of more
    seeds repeats the fits of the smaller one, and finds them in `checkpoint`. Results do not
    depend on `n_jobs`.

    The file has a line of JSON for each fit, after a line that describes data, folds and settings.
    A line is on the disk before the next fit is waited for. If a process is killed, an incomplete
    line is dropped. The line includes the states predicted for held-out sequences, from which the
    agreement of seeds is computed, compressed to some bytes a bout. They stay compressed in
    memory, and are unpacked for one grid point and fold at a time.

    Every worker compiles for itself, which takes some seconds for each number of states and shape
    of the training data. If the environment variable ``JAX_COMPILATION_CACHE_DIR`` is set, later
    scans do not compile again.

    Examples
    --------
    >>> from hhmm import EfficientHHMM
    >>> from hhmm.datasets import make_hhmm
    >>> from hhmm.model_selection import scan
    >>> data = make_hhmm(24, 200, n_states=2, n_syllables=5, random_state=0)
    >>> model = EfficientHHMM(n_states=2, algorithm="em", init="prior", tol=0.1)
    >>> result = scan(
    ...     data.X, {"trans_kappa": [2, 200]}, estimator=model, cv=2, n_seeds=2, random_state=0
    ... )
    >>> len(result.table["test_score"])
    8
    >>> result.best_params_["trans_kappa"] in (2, 200)
    True

    A grid of durations in seconds, the same for each number of states::

        model = EfficientHHMM(frame_rate=30, random_state=0)
        scan(X, {"n_states": range(2, 9), "duration": [5, 20]}, estimator=model)
    """
    if checkpoint is not None:
        checkpoint = absolute(checkpoint, "checkpoint")
    elif checkpoint_every is not None:
        raise ValueError("checkpoint_every needs a checkpoint: expected a path, got None")
    n_workers = effective_n_jobs(n_jobs)
    plan = _make_plan(X, param_grid, estimator, cv, groups, model_groups, mask, n_seeds)
    with _journal._open_record(checkpoint, plan, random_state) as record:
        all_tasks = plan.tasks()
        tasks = [task for task in all_tasks if task.key not in record.rows]
        n_done = len(all_tasks) - len(tasks)
        n_workers = min(n_workers, max(len(tasks), 1))  # no more than fits
        # sequences are laid end to end, so that joblib can share the memory with its workers
        fits = Parallel(n_jobs=n_workers, return_as=_return_as())(
            delayed(_fit)(
                task,
                plan.model,
                plan.data,
                plan.groups,
                record.seed,
                _under_way(checkpoint, checkpoint_every, task.key),
            )
            for task in tasks
        )
        bar = Bar("scan", len(all_tasks), "fit", verbose, n_done=n_done)
        with _closing(fits), bar:
            for n_new, row in enumerate(fits, start=1):
                record.append(row)
                under_way = _under_way(checkpoint, checkpoint_every, _journal._key(row))
                if under_way:
                    under_way["checkpoint"].unlink(missing_ok=True)
                n_states, score = row["settings"]["n_states"], row["test_score"]
                bar.show(n_done + n_new, f"n_states={n_states}, score {score:.4f}")
        table = _tabulate(plan, all_tasks, [record.rows[task.key] for task in all_tasks])
    given = [point.given for point in plan.points]
    result = ScanResult(table, given, frame_rate=plan.model.frame_rate)
    _warn_of_convergence(result.table["warnings"])
    return result


def _return_as():
    """Return how joblib returns fits: when they end, or all at the end where it cannot (Ray)."""
    backend, _ = get_active_backend()
    returns_each = isinstance(backend, SequentialBackend) or backend.supports_return_generator
    return "generator_unordered" if returns_each else "list"


def _closing(fits):
    return contextlib.closing(fits) if hasattr(fits, "close") else contextlib.nullcontext()


class _Point(NamedTuple):
    """A grid point."""

    given: dict[str, Any]  # the settings in the grid
    settings: dict[str, Any]  # all that a fit depends on, `n_syllables` known
    identity: str  # the same as text


class _Task(NamedTuple):
    """One fit."""

    point: _Point
    fold: int
    seed: int
    train: np.ndarray  # (n_train,) indices of sequences
    test: np.ndarray  # (n_test,)

    @property
    def key(self):
        return self.point.identity, self.fold, self.seed


class _Plan(NamedTuple):
    """Everything that is to be fitted, checked."""

    data: RunLengths
    groups: Any  # of the model, a label or row a sequence; or None
    model: EfficientHHMM
    points: list[_Point]
    folds: list[tuple[np.ndarray, np.ndarray]]  # train, test
    n_seeds: int

    def tasks(self):
        """Return all fits, in the order of the table."""
        return [
            _Task(point, fold, seed, train, test)
            for point in self.points
            for fold, (train, test) in enumerate(self.folds)
            for seed in range(self.n_seeds)
        ]

    def n_held_out(self, task):
        """Return the number of timesteps whose states a fit predicts."""
        return int(self.data.lengths[task.test].sum())


def _make_plan(X, param_grid, estimator, cv, groups, model_groups, mask, n_seeds):
    """Check everything that can be checked before the first fit."""
    model = EfficientHHMM() if estimator is None else estimator
    if not isinstance(model, EfficientHHMM):
        raise TypeError(
            "estimator must be an EfficientHHMM, which has the states that scan compares; got "
            f"{type(model).__name__}. Steps before it in a Pipeline can be applied to X first"
        )
    model = clone(model)
    data = read.check_runs(model, X, mask=mask, reset=True)
    n_syllables, empty = read.check_fit_data(data, model.n_syllables, 1)
    # once for all folds: scores of models with and without self-transitions cannot be compared
    model.self_transitions = read.resolve_self_transitions(model.self_transitions, data)
    for message in read.describe_doubtful_data(
        data,
        n_syllables,
        empty,
        is_given=model.n_syllables is not None,
        self_transitions=model.self_transitions,
    ):
        warnings.warn(message, read.DoubtfulDataWarning, stacklevel=4)
    if model_groups is not None:
        labels = read_labels(model_groups, len(data.n_runs), "model_groups")
        find_levels(labels, "model_groups")
    points = _make_points(model, param_grid, n_syllables)
    folds = _make_folds(data, cv, groups)
    most = max(point.settings["n_states"] for point in points)
    for fold, (train, _) in enumerate(folds):
        n_timesteps = data.lengths[train].sum()
        if most > n_timesteps:
            raise ValueError(
                f"n_states={most} is more than the {n_timesteps} training timesteps of fold {fold}"
            )
    return _Plan(data, model_groups, model, points, folds, int(n_seeds))


def _make_points(model, param_grid, n_syllables):
    """Return the points of the grid, each once."""
    points = {}
    for given in map(_with_trans_kappa(model), ParameterGrid(param_grid)):
        refused = [name for name in given if name in (*_journal._NOT_SETTINGS, "n_syllables")]
        if refused:
            raise ValueError(
                "param_grid must hold settings of the model to compare, got "
                f"{shorten(refused[0])}. scan has n_seeds and random_state for seeds; n_syllables "
                "is given in estimator"
            )
        candidate = clone(model).set_params(**given)
        candidate._validate_params()
        settings = _journal._settings_of(candidate, n_syllables)
        point = _Point(given, settings, _journal._as_text(settings))
        points.setdefault(point.identity, point)
    if not points:
        raise ValueError(f"param_grid must hold at least one grid point, got {shorten(param_grid)}")
    return list(points.values())


def _with_trans_kappa(model):
    """Return a function that puts `trans_kappa` in place of the duration in a grid point."""

    def convert(given):
        if "duration" not in given:
            return given
        if "trans_kappa" in given:
            raise ValueError("param_grid must have duration or trans_kappa, got both")
        if model.frame_rate is None:
            raise ValueError(
                "duration in param_grid is in seconds. Give the frame rate in the estimator, as "
                "EfficientHHMM(frame_rate=30)"
            )
        settings = {name: value for name, value in given.items() if name != "duration"}
        of_model = clone(model).set_params(**settings)
        if of_model.n_states == 1:
            return settings  # it lasts throughout
        if isinstance(of_model.trans_beta, str):
            raise ValueError(
                "duration in param_grid needs a trans_beta that is a number, got 'auto'"
            )
        kappa = trans_kappa_from_duration(
            given["duration"],
            n_states=of_model.n_states,
            frame_rate=of_model.frame_rate,
            trans_beta=of_model.trans_beta,
        )
        return settings | {"trans_kappa": float(kappa)}

    return convert


def _make_folds(sequences, cv, groups):
    """Return the indices of training and held-out sequences of each fold."""
    n_sequences = len(sequences.n_runs)
    if groups is not None:
        groups = to_array(groups, "groups must be labels, one a sequence")
        check_consistent_length(sequences.n_runs, groups)
        if isinstance(cv, Integral):
            cv = GroupKFold(int(cv))
    observed = read.count_transitions(sequences) > 0
    folds = []
    for fold, parts in enumerate(check_cv(cv).split(np.zeros(n_sequences), None, groups)):
        try:
            train, test = (np.arange(n_sequences)[part] for part in parts)
        except (IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"fold {fold} of cv must be two 1-D arrays of indices of {n_sequences} sequences, "
                f"got {shorten(parts)}: {error}"
            ) from error
        for name, part in (("training", train), ("held-out", test)):
            if not observed[part].any():
                raise ValueError(
                    f"the {len(part)} {name} sequences of fold {fold} have no observed "
                    "transition: expected one at least, two observed timesteps in a row"
                )
        folds.append((train, test))
    if not folds:
        raise ValueError(f"cv must give one split at least, got none from {shorten(cv)}")
    return folds


def _under_way(checkpoint, checkpoint_every, key):
    """Return arguments of `EfficientHHMM.fit` that save an unfinished fit."""
    if checkpoint_every is None:
        return {}
    name = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    path = checkpoint.with_name(f"{checkpoint.name}.{name}.npz")
    return {"checkpoint": path, "checkpoint_every": checkpoint_every}


def _fit(task, model, data, groups, base_seed, under_way):
    """Fit once, and return what is measured: a row of the record."""
    sequences = data.items()
    used = [i for i in task.train if len(sequences[i])]
    train, test = [sequences[i] for i in used], [sequences[i] for i in task.test]
    of_train: dict[str, Any] = {}
    of_test: dict[str, Any] = {}
    if groups is not None:
        of_train = {"groups": _safe_indexing(groups, used)}
        of_test = {"groups": _safe_indexing(groups, task.test)}
    random_state = _derive_seed(base_seed, task)
    model = clone(model).set_params(**task.point.settings, random_state=random_state)
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with plain_interrupts():
                model.fit(train, **of_train, **under_way)
        except Exception as error:
            error.add_note(
                f"in scan, at {task.point.given}, fold {task.fold}, seed {task.seed} "
                f"(random_state={random_state})"
            )
            raise
    seconds = time.perf_counter() - began
    messages = []
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            messages.append(str(warning.message))
        # scan itself has warned of the data, and has a column for the number of states used
        elif not issubclass(
            warning.category,
            (
                read.DoubtfulDataWarning,
                UnusedStatesWarning,
                ShortStatesWarning,
                SingleStateWarning,
            ),
        ):
            warnings.warn(warning.message, stacklevel=2)
    states = model.predict(test, **of_test)
    n_states = task.point.settings["n_states"]
    row = {
        "settings": task.point.settings,
        "fold": task.fold,
        "seed": task.seed,
        "random_state": random_state,
        "test_score": model.score(test, **of_test),
        "train_score": model.score(train, **of_train),
        "log_joint": float(model.log_joint_[model.best_chain_, -1]),
        "n_iter": int(model.n_iter_),
        "converged": bool(model.converged_),
        "seconds": seconds,
        "median_duration": float(np.median(np.concatenate(state_durations(states)))),
        "n_used_states": int(np.sum(~read.find_unused(state_usage(states, n_states=n_states)))),
        "warnings": "; ".join(messages),
        "states": _journal._pack(np.concatenate(states)),
    }
    _free_kernels()
    return row


def _free_kernels():
    """Drop compiled kernels where they take half of the memory mappings that Linux grants.

    Those of a number of states and a shape of data take about a thousand of 65,530, and the
    compiler crashes when it gets no more.
    """
    with contextlib.suppress(OSError):
        most = int(Path("/proc/sys/vm/max_map_count").read_text())
        with open("/proc/self/maps", "rb") as mappings:
            if sum(1 for _ in mappings) > most / 2:
                jax.clear_caches()


def _derive_seed(base_seed, task):
    """Return the `random_state` of a fit."""
    text = f"{base_seed} {task.fold} {task.seed} {task.point.identity}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


def _tabulate(plan, tasks, rows):
    """Return the table of a `ScanResult` from all fits and their rows, in its order."""
    table = {
        "point": np.repeat(np.arange(len(plan.points)), len(plan.folds) * plan.n_seeds),
        "fold": np.array([task.fold for task in tasks]),
        "seed": np.array([task.seed for task in tasks]),
    }
    for name in _result._setting_names([point.given for point in plan.points]):
        table[name] = np.array([task.point.settings[name] for task in tasks])
    table["prior_duration"] = np.array([_prior_duration(task.point.settings) for task in tasks])
    table["random_state"] = np.array([row["random_state"] for row in rows])
    for name in _result._MEASURES_OF_A_FIT:
        table[name] = np.array([row[name] for row in rows])
    agreements = []
    for i in range(0, len(rows), plan.n_seeds):
        n_timesteps = plan.n_held_out(tasks[i])
        states = [
            _journal._unpack(row["states"], n_timesteps) for row in rows[i : i + plan.n_seeds]
        ]
        agreements.append(_agreement(states))
    table.update(zip(_result._AGREEMENTS, np.concatenate(agreements, axis=1), strict=True))
    table["warnings"] = np.array([row["warnings"] for row in rows], dtype=object)
    return table


def _prior_duration(settings):
    if settings["n_states"] == 1:
        return np.inf
    given = {name: settings[name] for name in ("trans_kappa", "n_states", "trans_beta")}
    if "auto" in given.values():
        return np.nan  # learnt from the data
    return duration_from_trans_kappa(**given)


def _agreement(states):
    """Compute the mean agreement of each fit with the others, (2, n_seeds), NaN for one fit.

    `states` are n_seeds arrays of shape (n_timesteps,). Rows are the matched accuracy and the
    adjusted Rand index.
    """
    n_seeds = len(states)
    if n_seeds == 1:
        return np.full((2, 1), np.nan)
    total = np.zeros((2, n_seeds))
    for i, j in combinations(range(n_seeds), 2):
        both = matched_accuracy(states[i], states[j]), adjusted_rand_score(states[i], states[j])
        total[:, [i, j]] += np.array(both)[:, np.newaxis]
    return total / (n_seeds - 1)


def _warn_of_convergence(messages):
    """Warn once for all fits."""
    n_warned = int(np.sum(messages != ""))
    if n_warned:
        most_frequent, _ = Counter(messages[messages != ""]).most_common(1)[0]
        warnings.warn(
            f"{n_warned} of {len(messages)} fits gave a convergence warning: see column "
            f"'warnings' of the table. The first of the most frequent: {most_frequent}",
            ConvergenceWarning,
            stacklevel=4,
        )
