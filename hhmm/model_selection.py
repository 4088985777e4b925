"""How many states, how sticky: prior stickiness from durations, and scans of settings.

`trans_kappa_from_duration` turns what is known of an animal, how long its states
last, into the prior of the model. `scan` fits every point of a grid to every
fold of a cross-validation from several seeds, and measures three things that
can disagree.

- How well sequences that were held out are predicted, in nats per transition. It
  goes on rising slowly with the number of states where data are many, since more
  states describe more of what the model leaves out [2]_.
- How long the inferred states last and how many of them are used: a state that
  lasts two syllables is no state of the animal, and one that is hardly used was not needed.
- Whether fits from different seeds find the same states: the mean, over pairs of
  seeds, of the accuracy after matching and of the adjusted Rand index [3]_, which is
  0 for chance and 1 for the same partition.

A choice by the best score alone tends to be too large. The one-standard-error rule
[1]_ takes the simplest model that predicts as well within the noise of the folds:
`ScanResult.one_standard_error`.

References
----------
.. [1] Hastie, T., Tibshirani, R. and Friedman, J. (2009). The elements of statistical
   learning, 2nd ed., section 7.10.
.. [2] Pohle, J., Langrock, R., van Beest, F. M. and Schmidt, N. M. (2017). Selecting the
   number of states in hidden Markov models: pragmatic solutions illustrated using animal
   movement. Journal of Agricultural, Biological and Environmental Statistics, 22(3), 270-293.
.. [3] Hubert, L. and Arabie, P. (1985). Comparing partitions. Journal of Classification,
   2(1), 193-218.
"""

import base64
import contextlib
import hashlib
import json
import numbers
import os
import time
import warnings
import zlib
from collections import Counter
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GroupKFold, ParameterGrid, check_cv
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_consistent_length

from hhmm._conversions import shorten, to_array
from hhmm._extras import import_extra
from hhmm._files import absolute, bring_to_disk, check_file, digest, locked
from hhmm._interrupts import plain_interrupts
from hhmm._progress import Bar
from hhmm._states import find_unused
from hhmm._validation import (
    DoubtfulDataWarning,
    ShortStatesWarning,
    UnusedStatesWarning,
    check_fit_data,
    check_sequences,
    count_transitions,
    describe_doubtful_data,
    resolve_self_transitions,
)
from hhmm.estimator import EfficientHHMM
from hhmm.metrics import matched_accuracy, state_durations, state_usage

__all__ = ["ScanResult", "duration_from_trans_kappa", "scan", "trans_kappa_from_duration"]

# Parameters of the model that do not change what is fitted.
_MOST_SEEDS = 1_000_000  # the fits are listed before the first one
_NOT_SETTINGS = ("random_state", "verbose", "warm_start")
_MEASURES = (
    "test_score",
    "train_score",
    "log_joint",
    "n_iter",
    "converged",
    "seconds",
    "median_duration",
    "n_used_states",
    "matched_accuracy",
    "adjusted_rand",
)
# those that are of several fits, and not in the file
_AGREEMENTS = ("matched_accuracy", "adjusted_rand")
_PRINTED_ROWS = 60
_BEGIN_OF_FILE = b'{"file": "hhmm scan"'
_PARTS_OF_HEADER = ("data", "folds", "settings")


def trans_kappa_from_duration(duration, *, n_states, frame_rate=1.0, trans_beta=1.0):
    """The `trans_kappa` with which states are expected to last so long.

    Parameters
    ----------
    duration : float or array-like
        How long states are expected to last a priori, in seconds if `frame_rate` is in
        timesteps a second; in timesteps with the default `frame_rate` of 1.
    n_states : int or array-like of int
        Number of states K, at least 2.
    frame_rate : float, default=1.0
        Timesteps a second. If a timestep is a syllable and not a frame, syllables a second.
    trans_beta : float, default=1.0
        The `trans_beta` of the model.

    Returns
    -------
    trans_kappa : float or ndarray
        ``trans_beta * (duration * frame_rate * (K - 1) - K)``; an array where an argument is.

    Raises
    ------
    ValueError
        If the duration is shorter than K / (K - 1) timesteps, which is the duration with
        `trans_kappa` 0; if `n_states` is below 2; if another argument is not positive.

    See Also
    --------
    duration_from_trans_kappa : The way back.

    Notes
    -----
    The diagonal of A is a priori Beta(trans_beta + trans_kappa, (K - 1) trans_beta) distributed.
    The duration is 1 / (1 - E[A[k, k]]), that of a state that stays with its mean
    probability. The mean of 1 / (1 - A[k, k]) over the prior is longer, and infinite if
    (K - 1) trans_beta <= 1.

    The prior weighs as much as trans_kappa transitions of each state, so with long recordings
    the data say how long states last, whatever the prior says.

    Examples
    --------
    >>> from hhmm.model_selection import trans_kappa_from_duration
    >>> trans_kappa_from_duration(2.0, n_states=5, frame_rate=30)
    235.0

    A grid that keeps the duration and not the stickiness the same for all numbers of states:

    >>> param_grid = [
    ...     {"n_states": [k], "trans_kappa": trans_kappa_from_duration([10, 50], n_states=k)}
    ...     for k in (2, 3)
    ... ]
    >>> param_grid[1]["trans_kappa"]
    array([17., 97.])
    """
    duration, frame_rate = _positive(duration, "duration"), _positive(frame_rate, "frame_rate")
    n_states, trans_beta = _check_n_states(n_states), _positive(trans_beta, "trans_beta")
    shortest = n_states / (n_states - 1)
    with np.errstate(over="ignore", invalid="ignore"):
        trans_kappa = trans_beta * (duration * frame_rate * (n_states - 1) - n_states)
        rounding = 1e-12 * trans_beta * n_states
    if (trans_kappa < -rounding).any():
        which = np.argmax(trans_kappa < -rounding)
        given, least, k, rate = (
            np.broadcast_to(array, trans_kappa.shape).flat[which]
            for array in (duration, shortest, n_states, frame_rate)
        )
        raise ValueError(
            f"duration must be at least {least / rate:.6g} with {k:g} states and frame_rate="
            f"{rate:g}: {least:.6g} timesteps, as long as states last with trans_kappa=0; "
            f"got {given}"
        )
    return _scalar_or_array(np.maximum(trans_kappa, 0.0))


def duration_from_trans_kappa(trans_kappa, *, n_states, frame_rate=1.0, trans_beta=1.0):
    """How long states are expected to last with this `trans_kappa`.

    Parameters
    ----------
    trans_kappa : float or array-like
        The `trans_kappa` of the model, at least 0.
    n_states : int or array-like of int
        Number of states K, at least 2.
    frame_rate : float, default=1.0
        Timesteps a second.
    trans_beta : float, default=1.0
        The `trans_beta` of the model.

    Returns
    -------
    duration : float or ndarray
        ``(trans_kappa + K trans_beta) / ((K - 1) trans_beta) / frame_rate``: seconds, or
        timesteps with the default `frame_rate` of 1; an array where an argument is.

    Raises
    ------
    ValueError
        If `trans_kappa` is negative, `n_states` is below 2, or another argument is not positive.

    See Also
    --------
    trans_kappa_from_duration : The way back, and what is meant by the duration.

    Examples
    --------
    >>> from hhmm.model_selection import duration_from_trans_kappa
    >>> duration_from_trans_kappa(100.0, n_states=5)
    26.25
    """
    trans_kappa = _positive(trans_kappa, "trans_kappa", or_zero=True)
    n_states, trans_beta = _check_n_states(n_states), _positive(trans_beta, "trans_beta")
    frame_rate = _positive(frame_rate, "frame_rate")
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        timesteps = (trans_kappa + n_states * trans_beta) / ((n_states - 1) * trans_beta)
        duration = timesteps / frame_rate
    return _scalar_or_array(duration)


def scan(
    X,
    param_grid,
    *,
    estimator=None,
    cv=5,
    groups=None,
    mask=None,
    n_seeds=3,
    random_state=None,
    n_jobs=None,
    checkpoint=None,
    checkpoint_every=None,
    verbose=0,
):
    """Fit a grid of settings to every fold, from several seeds.

    Parameters
    ----------
    X : array-like of int of shape (n_sequences, n_timesteps), or list of 1-D arrays
        Syllables; negative or NaN where missing.
    param_grid : dict of str to sequence, or list of such dicts
        Settings of `estimator` to combine, as `sklearn.model_selection.ParameterGrid` takes
        them: ``{"n_states": [2, 3, 4], "trans_kappa": [10, 100]}``.
    estimator : EfficientHHMM, default=None
        Has the settings that do not vary; the defaults if None.
    cv : int, cross-validation generator or iterable, default=5
        How sequences are held out. An int is a number of folds of consecutive
        sequences, which are not shuffled, as everywhere in scikit-learn; with `groups`,
        of whole groups (`GroupKFold`).
    groups : array-like of shape (n_sequences,), default=None
        Group of each sequence, for example the animal, for `cv`.
    mask : array-like of bool of shape (n_sequences, n_timesteps), default=None
        False marks a missing timestep. For 2-D X only.
    n_seeds : int, default=3
        Fits of each grid point to each fold, a million at most.
    random_state : int, RandomState or None, default=None
        What the seeds are derived from. With None, a scan that is resumed goes on with
        what its file holds.
    n_jobs : int, default=None
        Fits at the same time, in worker processes: None means 1 unless in a
        `joblib.parallel_config`, -1 all cores.
    checkpoint : str or path-like, default=None
        File to which every fit is appended as soon as it is done. If it is there, the fits in
        it are not repeated. One scan at a time may use it.
    checkpoint_every : int, default=None
        Sweeps after which a fit that is under way is written too, to a file of its own beside
        `checkpoint`, which goes when the fit is done. For fits that take hours; None keeps whole
        fits alone.
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
        If X or a setting is not as described; if a fold has no observed transition to learn
        from or to score; if `checkpoint` holds something else, or a scan of other data, other
        folds, another `random_state`, other settings, or by another version of this package.
        Nothing is fitted then, and the file is as it was.
    FloatingPointError
        If a fit fails, as extreme settings can make it. A note on the error tells which;
        what was fitted before is in `checkpoint`.
    BlockingIOError
        If another scan is using `checkpoint`.

    Warns
    -----
    ConvergenceWarning
        Once, if fits warned of convergence; column ``warnings`` of the table tells which.
    UserWarning
        If X is doubtful as `hhmm.EfficientHHMM.fit` warns of it. Unused states raise no warning,
        because a grid may hold too many states on purpose: column ``n_used_states`` counts
        the used ones.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : Without seeds, states, or a file.

    Notes
    -----
    The number of syllables, where `estimator` leaves it open, is that of the whole of X,
    since a fold may lack the largest label.

    A fit has a seed of its own, made of `random_state`, the number of the seed, the fold and
    the settings of the fit, and of nothing else in the grid. So a scan of a larger grid or
    of more seeds repeats the fits of the smaller one, and finds them in `checkpoint`. Results
    do not depend on `n_jobs`.

    The file has a line of JSON for each fit, after one that tells data, folds and settings.
    A line is on the disk before the next fit is waited for, and what a killed process left
    of a line is dropped. The states predicted for held-out sequences, which the agreement of
    seeds is computed from, are in the same line, compressed: some bytes a bout. They are
    held in memory in that form too, and unpacked for one grid point and fold at a time.

    Every worker compiles for its own: some seconds for each number of states and shape of the
    training data. ``JAX_COMPILATION_CACHE_DIR`` in the environment spares later scans that.

    Examples
    --------
    >>> from hhmm import EfficientHHMM
    >>> from hhmm.datasets import make_hhmm
    >>> from hhmm.model_selection import scan
    >>> data = make_hhmm(12, 60, n_states=2, n_syllables=5, random_state=0)
    >>> model = EfficientHHMM(n_states=2, algorithm="em", init="prior", tol=0.1)
    >>> result = scan(
    ...     data.X, {"trans_kappa": [2, 200]}, estimator=model, cv=2, n_seeds=2, random_state=0
    ... )
    >>> len(result.table["test_score"])
    8
    >>> result.best_params_["trans_kappa"] in (2, 200)
    True
    """
    if checkpoint is not None:
        checkpoint = absolute(checkpoint, "checkpoint")
    if checkpoint_every is not None:
        check_scalar(checkpoint_every, "checkpoint_every", numbers.Integral, min_val=1)
        if checkpoint is None:
            raise ValueError("checkpoint_every needs a checkpoint: expected a path, got None")
    if n_jobs is not None:
        check_scalar(n_jobs, "n_jobs", numbers.Integral)
        if n_jobs == 0:
            raise ValueError("n_jobs == 0: expected a number of processes, or -1 for all cores")
    check_scalar(verbose, "verbose", (numbers.Integral, np.bool_), min_val=0)
    plan = _make_plan(X, param_grid, estimator, cv, groups, mask, n_seeds)
    with _open_record(checkpoint, plan, random_state) as record:
        tasks = [task for task in plan.tasks() if task.key not in record.rows]
        n_total = len(plan.points) * len(plan.folds) * plan.n_seeds
        # sequences are laid end to end, so that joblib can share the memory with its workers
        # no more workers than fits
        n_workers = min(effective_n_jobs(n_jobs), max(len(tasks), 1))
        fits = Parallel(n_jobs=n_workers, return_as="generator_unordered")(
            delayed(_fit)(
                task,
                plan.model,
                plan.flat,
                plan.lengths,
                record.seed,
                _under_way(checkpoint, checkpoint_every, task),
            )
            for task in tasks
        )
        bar = Bar("scan", n_total, "fit", verbose, n_done=n_total - len(tasks))
        with contextlib.closing(fits), bar:
            for n_new, row in enumerate(fits, start=1):
                record.append(row)
                if checkpoint_every is not None:
                    _path_of_fit(checkpoint, _key(row)).unlink(missing_ok=True)
                n_states, score = row["settings"]["n_states"], row["test_score"]
                bar.show(n_total - len(tasks) + n_new, f"n_states={n_states}, score {score:.4f}")
        rows = [record.rows[task.key] for task in plan.tasks()]
    result = ScanResult(_tabulate(plan, rows), [point.given for point in plan.points])
    _warn_of_convergence(result.table["warnings"])
    return result


class ScanResult:
    """What `scan` found.

    Attributes
    ----------
    table : dict of str to ndarray of shape (n_fits,)
        A row a fit, in order of grid point, fold and seed:

        =====================  ==============================================================
        point                  number of the grid point, the row in `summary`
        fold, seed             numbers of the fold and of the seed
        n_states, trans_kappa  settings of the fit, and any other in the grid
        prior_duration         that these settings expect of states, timesteps, as in
                               `duration_from_trans_kappa`; infinite for one state,
                               NaN where they are learnt
        random_state           `random_state` of the fit
        test_score             score of the held-out sequences, nats per transition
        train_score            score of the training data, nats per transition
        log_joint              last log joint of the best chain, nats
        n_iter, converged      `n_iter_` and `converged_`
        seconds                that the fit took, compilation included
        median_duration        median length of the bouts of all states predicted for held-out
                               sequences, timesteps; those cut by an end of a sequence count
        n_used_states          states that take at least 1% of the held-out timesteps
        matched_accuracy       mean agreement with the fits from the other seeds to the same
                               fold, on held-out sequences: fraction of timesteps, matched
        adjusted_rand          the same, adjusted Rand index; NaN with one seed
        warnings               convergence warnings of the fit; empty if none
        =====================  ==============================================================
    best_index_ : int
        The grid point of the highest mean held-out score.
    best_params_ : dict
        Its settings.
    best_score_ : float
        Its score, nats per transition.

    See Also
    --------
    scan : Makes it.
    hhmm.plotting.ScanDisplay : Draws it.
    """

    def __init__(self, table, points):
        self.table = table
        self._points = points
        summary = self.summary()
        self.best_index_ = int(np.argmax(summary["mean_test_score"]))
        self.best_params_ = dict(points[self.best_index_])
        self.best_score_ = float(summary["mean_test_score"][self.best_index_])

    def summary(self):
        """Mean and standard error of everything measured, for each grid point.

        Returns
        -------
        summary : dict of str to ndarray of shape (n_points,)
            The settings and ``prior_duration``; for each measured column of `table`, for
            example test_score, the mean over folds and seeds as ``mean_test_score`` and its
            standard error as ``se_test_score``; ``n_fits`` and ``n_warnings``, the numbers of
            fits and of those that gave a warning.

        Notes
        -----
        Seeds are averaged within each fold first. The standard error is the standard
        deviation of the means of folds over the square root of the number of folds, as
        in section 7.10 of [1]_; NaN with one fold. Fits of different seeds to one fold
        share their data, so to count them as independent would make it too small. Folds share
        training data too, and no estimate of the error from one cross-validation is without
        bias [2]_.

        References
        ----------
        .. [1] Hastie, T., Tibshirani, R. and Friedman, J. (2009). The elements of statistical
           learning, 2nd ed., section 7.10.
        .. [2] Bengio, Y. and Grandvalet, Y. (2004). No unbiased estimator of the variance of
           K-fold cross-validation. Journal of Machine Learning Research, 5, 1089-1105.
        """
        point, fold = self.table["point"], self.table["fold"]
        n_points, n_folds = point.max() + 1, fold.max() + 1
        n_seeds = point.size // (n_points * n_folds)
        names = [*_setting_names(self._points), "prior_duration"]
        summary = {name: self.table[name][:: n_folds * n_seeds] for name in names}
        for name in _MEASURES:
            by_fold = self.table[name].reshape(n_points, n_folds, n_seeds).mean(axis=2)
            summary[f"mean_{name}"] = by_fold.mean(axis=1)
            summary[f"se_{name}"] = _standard_error(by_fold)
        warned = (self.table["warnings"] != "").reshape(n_points, -1)
        summary["n_fits"] = np.full(n_points, n_folds * n_seeds)
        summary["n_warnings"] = warned.sum(axis=1)
        return summary

    def one_standard_error(self, *, by="n_states"):
        """The simplest grid point that predicts as well as the best, within its standard error.

        Parameters
        ----------
        by : str, default="n_states"
            The setting that tells what is simple: the smaller, the simpler.

        Returns
        -------
        params : dict
            Of the grid points whose mean held-out score is not lower than the best minus
            its standard error, those with the smallest `by`; of them the one of the highest
            mean score.

        Raises
        ------
        ValueError
            If `by` is not a setting in the table that is a number, or there is one fold only.

        References
        ----------
        .. [1] Hastie, T., Tibshirani, R. and Friedman, J. (2009). The elements of statistical
           learning, 2nd ed., section 7.10.
        """
        summary = self.summary()
        names = _setting_names(self._points)
        numeric = [name for name in names if summary[name].dtype.kind in "iuf"]
        if not isinstance(by, str) or by not in numeric:
            raise ValueError(f"by must be one of {numeric}, got {shorten(by)}")
        mean, error = summary["mean_test_score"], summary["se_test_score"][self.best_index_]
        if np.isnan(error):
            raise ValueError("a standard error needs two folds or more, got one")
        within = np.flatnonzero(mean >= mean[self.best_index_] - error)
        simplest = within[summary[by][within] == summary[by][within].min()]
        return dict(self._points[simplest[np.argmax(mean[simplest])]])

    def to_frame(self):
        """The table as a pandas DataFrame; ImportError without pandas."""
        pd = import_extra("pandas", "to_frame")
        return pd.DataFrame(self.table)

    def __repr__(self):
        summary, settings = self.summary(), _setting_names(self._points)
        n_points = len(self._points)
        head = (*settings, "held-out score  ", "duration", "used", "Rand index", "converged")
        rows = [head]
        for i in range(min(n_points, _PRINTED_ROWS)):
            rows.append(
                (
                    *(_show_setting(summary[name][i]) for name in settings),
                    f"{summary['mean_test_score'][i]:.4f} +- {summary['se_test_score'][i]:.4f}"
                    + (" *" if i == self.best_index_ else "  "),
                    f"{summary['mean_median_duration'][i]:.1f}",
                    f"{summary['mean_n_used_states'][i]:.1f}",
                    f"{summary['mean_adjusted_rand'][i]:.2f}",
                    f"{summary['mean_converged'][i]:.0%}",
                )
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.rjust, row, widths)).rstrip() for row in rows]
        if n_points > _PRINTED_ROWS:
            lines.append(f"... and {n_points - _PRINTED_ROWS:,} more rows")
        n_fits, n_warned = len(self.table["seed"]), int(summary["n_warnings"].sum())
        title = f"ScanResult: {n_points} grid points, {n_fits} fits, {n_warned} with warnings"
        note = (
            "scores in nats per transition, +- one standard error; durations in timesteps; * best"
        )
        return "\n".join([title, *lines, note])


class _Point(NamedTuple):
    """A grid point."""

    given: dict  # the settings in the grid
    settings: dict  # all that a fit depends on, `n_syllables` known
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
    """What is to be fitted, checked."""

    flat: np.ndarray  # (n_total_timesteps,) int32, all sequences end to end
    lengths: np.ndarray  # (n_sequences,) int64
    model: EfficientHHMM
    points: list  # of _Point
    folds: list  # of (train, test)
    n_seeds: int

    def tasks(self):
        """All fits, in the order of the table."""
        return [
            _Task(point, fold, seed, train, test)
            for point in self.points
            for fold, (train, test) in enumerate(self.folds)
            for seed in range(self.n_seeds)
        ]


def _make_plan(X, param_grid, estimator, cv, groups, mask, n_seeds):
    """Check everything that can be checked before the first fit."""
    check_scalar(n_seeds, "n_seeds", numbers.Integral, min_val=1, max_val=_MOST_SEEDS)
    model = EfficientHHMM() if estimator is None else estimator
    if not isinstance(model, EfficientHHMM):
        raise TypeError(
            "estimator must be an EfficientHHMM, which has the states that scan compares; got "
            f"{type(model).__name__}. Steps before it in a Pipeline can be applied to X first"
        )
    model = clone(model)
    checked = check_sequences(model, X, mask=mask, reset=True)
    lengths = np.array([len(sequence) for sequence in checked.sequences])
    n_syllables, empty = check_fit_data(checked, model.n_syllables, 1)
    # once for all folds: scores of models with and without self-transitions cannot be compared
    model.self_transitions = resolve_self_transitions(model.self_transitions, checked.sequences)
    for message in describe_doubtful_data(
        checked,
        n_syllables,
        empty,
        is_given=model.n_syllables is not None,
        self_transitions=model.self_transitions,
    ):
        warnings.warn(message, DoubtfulDataWarning, stacklevel=3)
    points = _make_points(model, param_grid, n_syllables)
    folds = _make_folds(checked.sequences, cv, groups)
    most = max(point.settings["n_states"] for point in points)
    for fold, (train, _) in enumerate(folds):
        if most > lengths[train].sum():
            raise ValueError(
                f"n_states={most} is more than the {lengths[train].sum()} training timesteps of "
                f"fold {fold}"
            )
    return _Plan(np.concatenate(checked.sequences), lengths, model, points, folds, int(n_seeds))


def _make_points(model, param_grid, n_syllables):
    """The points of the grid, each once."""
    points = {}
    for given in ParameterGrid(param_grid):
        refused = [name for name in given if name in (*_NOT_SETTINGS, "n_syllables")]
        if refused:
            raise ValueError(
                "param_grid must hold settings of the model to compare, got "
                f"{shorten(refused[0])}. scan has n_seeds and random_state for seeds; n_syllables "
                "is given in estimator"
            )
        candidate = clone(model).set_params(**given)
        candidate._validate_params()
        settings = {
            name: _as_plain(name, value)
            for name, value in candidate.get_params(deep=False).items()
            if name not in _NOT_SETTINGS
        }
        settings["n_syllables"] = n_syllables
        point = _Point(given, settings, _as_text(settings))
        points.setdefault(point.identity, point)
    if not points:
        raise ValueError(f"param_grid must hold at least one grid point, got {shorten(param_grid)}")
    return list(points.values())


def _make_folds(sequences, cv, groups):
    """Indices of training and held-out sequences of each fold."""
    n_sequences = len(sequences)
    if groups is not None:
        groups = to_array(groups, "groups must be labels, one a sequence")
        check_consistent_length(sequences, groups)
        if isinstance(cv, numbers.Integral):
            cv = GroupKFold(int(cv))
    observed = count_transitions(sequences) > 0
    folds = []
    for fold, parts in enumerate(check_cv(cv).split(np.zeros(n_sequences), None, groups)):
        try:
            train, test = (np.arange(n_sequences)[part] for part in parts)
            if {train.ndim, test.ndim} != {1}:
                raise ValueError("other shapes")
        except Exception as error:  # what indexing by objects raises
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


def _under_way(checkpoint, checkpoint_every, task):
    """Arguments of `EfficientHHMM.fit` that keep what a fit has done so far."""
    if checkpoint_every is None:
        return {}
    path = _path_of_fit(checkpoint, task.key)
    return {"checkpoint": path, "checkpoint_every": checkpoint_every}


def _path_of_fit(checkpoint, key):
    name = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    return checkpoint.with_name(f"{checkpoint.name}.{name}.npz")


def _fit(task, model, flat, lengths, base_seed, under_way):
    """One fit and what is measured of it; a row of the record."""
    sequences = np.split(flat, np.cumsum(lengths)[:-1])
    train = [sequences[i] for i in task.train if lengths[i]]
    test = [sequences[i] for i in task.test]
    random_state = _derive_seed(base_seed, task)
    model = clone(model).set_params(**task.point.settings, random_state=random_state)
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with plain_interrupts():
                model.fit(train, **under_way)
        except Exception as error:
            error.add_note(
                f"in scan, at {task.point.given}, fold {task.fold}, seed {task.seed} "
                f"(random_state={random_state})"
            )
            raise
    seconds = time.perf_counter() - began
    for warning in caught:
        # scan itself has warned of the data, and has a column for the number of states used
        if not issubclass(
            warning.category,
            ConvergenceWarning | DoubtfulDataWarning | UnusedStatesWarning | ShortStatesWarning,
        ):
            warnings.warn(warning.message, stacklevel=2)
    states = model.predict(test)
    n_states = task.point.settings["n_states"]
    row = {
        "settings": task.point.settings,
        "fold": task.fold,
        "seed": task.seed,
        "random_state": random_state,
        "test_score": model.score(test),
        "train_score": model.score(train),
        "log_joint": float(model.log_joint_[model.best_chain_, -1]),
        "n_iter": int(model.n_iter_),
        "converged": bool(model.converged_),
        "seconds": seconds,
        "median_duration": float(np.median(np.concatenate(state_durations(states)))),
        "n_used_states": int(np.sum(~find_unused(state_usage(states, n_states=n_states)))),
        "warnings": "; ".join(
            str(warning.message)
            for warning in caught
            if issubclass(warning.category, ConvergenceWarning)
        ),
        "states": _pack(np.concatenate(states)),
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
    """A `random_state` for a fit."""
    text = f"{base_seed} {task.fold} {task.seed} {task.point.identity}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


def _pack(states):
    """States (n_timesteps,) as text: their bytes, compressed."""
    return base64.b85encode(zlib.compress(states.astype("<i4").tobytes())).decode()


def _unpack(text, n_timesteps):
    """What `_pack` has packed; ValueError where it is not that of so many timesteps."""
    unpacker = zlib.decompressobj()
    try:
        states = unpacker.decompress(base64.b85decode(text), 4 * n_timesteps)
    except zlib.error as error:
        raise ValueError(f"states that cannot be unpacked ({error})") from error
    if len(states) != 4 * n_timesteps or not unpacker.eof:
        raise ValueError(f"states of another number of timesteps than {n_timesteps}")
    return np.frombuffer(states, "<i4")


def _tabulate(plan, rows):
    """The table of a `ScanResult`, from the rows of all fits in its order."""
    tasks = plan.tasks()
    number = {point.identity: i for i, point in enumerate(plan.points)}
    table = {
        "point": np.array([number[task.point.identity] for task in tasks]),
        "fold": np.array([task.fold for task in tasks]),
        "seed": np.array([task.seed for task in tasks]),
    }
    for name in _setting_names([point.given for point in plan.points]):
        table[name] = np.array([task.point.settings[name] for task in tasks])
    table["prior_duration"] = np.array([_prior_duration(task.point.settings) for task in tasks])
    table["random_state"] = np.array([row["random_state"] for row in rows])
    for name in _MEASURES:
        if name in rows[0]:
            table[name] = np.array([row[name] for row in rows])
    agreements = []
    for i in range(0, len(rows), plan.n_seeds):
        n_timesteps = int(plan.lengths[tasks[i].test].sum())
        states = [_unpack(row["states"], n_timesteps) for row in rows[i : i + plan.n_seeds]]
        agreements.append(_agreement(states))
    table["matched_accuracy"], table["adjusted_rand"] = np.concatenate(agreements, axis=1)
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
    """Mean agreement of each of some fits with the others.

    Parameters
    ----------
    states : list of n_seeds ndarrays of shape (n_timesteps,)

    Returns
    -------
    agreement : ndarray of shape (2, n_seeds)
        Matched accuracy and adjusted Rand index; NaN for a single fit.
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
    """One warning for all fits."""
    n_warned = int(np.sum(messages != ""))
    if n_warned:
        (most_frequent, _) = Counter(messages[messages != ""]).most_common(1)[0]
        warnings.warn(
            f"{n_warned} of {len(messages)} fits gave a convergence warning: see column "
            f"'warnings' of the table. The first of the most frequent: {most_frequent}",
            ConvergenceWarning,
            stacklevel=3,
        )


@contextlib.contextmanager
def _open_record(path, plan, random_state):
    """The fits that are done, in `path` if that is given."""
    check_random_state(random_state)
    with contextlib.ExitStack() as stack:
        found, rows, n_bytes = None, [], 0
        if path is not None:
            check_file(path, "checkpoint")
            stack.enter_context(locked(path))
            found, rows, n_bytes = _read_record(path)
        header = _header(plan)
        if random_state is None and found is not None:
            seed = found["random_state"]
        elif isinstance(random_state, numbers.Integral):
            seed = int(random_state)
        else:
            seed = int(check_random_state(random_state).randint(2**31))
        header["random_state"] = seed
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
        row, wrong = rows[task.key], None
        try:
            _unpack(row["states"], int(plan.lengths[task.test].sum()))
            for name in (*_MEASURES, "random_state"):
                if name not in _AGREEMENTS and not isinstance(row[name], numbers.Real):
                    wrong = f"{name} is no number"
            if not isinstance(row["warnings"], str):
                wrong = "warnings is no text"
        except KeyError as error:
            wrong = f"{error} is missing"
        except (ValueError, TypeError) as error:
            wrong = str(error)
        if wrong is not None:
            raise ValueError(
                f"{path} is damaged: fold {task.fold}, seed {task.seed} at {task.point.given}: "
                f"{wrong}. The file was left as it was"
            )


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
    """A line of the file: JSON, its checksum at the end."""
    return json.dumps(line | {"sha256": _checksum(line)}).encode()


def _unsealed(text):
    """What was `_sealed`; ValueError where it is not as it was written."""
    try:
        line = json.loads(text)
    except RecursionError as error:
        raise ValueError("lists within lists, which scan does not write") from error
    if not isinstance(line, dict) or line.pop("sha256", None) != _checksum(line):
        raise ValueError("its checksum is not that of what it holds")
    return line


def _checksum(line):
    return hashlib.sha256(json.dumps(line).encode()).hexdigest()


def _key(row):
    return _as_text(row["settings"]), row["fold"], row["seed"]


def _read_record(path):
    """Header and rows of a file of `scan`, and the bytes that its whole lines take."""
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


def _header(plan):
    """What all fits of a file have in common."""
    folds = [index.tolist() for fold in plan.folds for index in fold]
    settings = plan.model.get_params(deep=False) | {
        "n_syllables": plan.points[0].settings["n_syllables"]
    }
    return {
        "file": "hhmm scan",
        "version": version("hhmm"),
        "data": {
            "n_sequences": len(plan.lengths),
            "n_timesteps": int(plan.lengths.sum()),
            "sha256": digest(plan.lengths.astype("<i8"), plan.flat.astype("<i4")),
        },
        "folds": {
            "n_folds": len(plan.folds),
            "sha256": hashlib.sha256(json.dumps(folds).encode()).hexdigest(),
        },
        "settings": {
            name: _as_plain(name, value)
            for name, value in settings.items()
            if name not in _NOT_SETTINGS
        },
    }


def _check_header(path, found, expected, varied):
    """Raise ValueError where a file is of another scan; `varied` are the settings in the grid."""
    differences = []
    if found.get("version") != expected["version"]:
        differences.append(
            f"hhmm {found.get('version')} wrote it, and this is hhmm {expected['version']}"
        )
    for name in ("data", "folds"):
        if found[name] != expected[name]:
            differences.append(
                f"its {name} are others: {_describe(found[name])} there, "
                f"{_describe(expected[name])} here"
            )
    if found["random_state"] != expected["random_state"]:
        differences.append(
            f"random_state is {found['random_state']} there, {expected['random_state']} here"
        )
    there, here = found["settings"], expected["settings"]
    for name in sorted({*there, *here} - varied):
        if there.get(name) != here.get(name):
            differences.append(f"{name} is {there.get(name)!r} there, {here.get(name)!r} here")
    if differences:
        raise ValueError(
            f"{path} holds another scan: {'; '.join(differences)}. Give another path, or the "
            "same arguments; the file was left as it is"
        )


def _describe(counts):
    """What a header says of data or folds, in words."""
    words = [f"{n} {name.removeprefix('n_')}" for name, n in counts.items() if name != "sha256"]
    return ", ".join([*words, f"sha256 {str(counts.get('sha256'))[:8]}"])


def _as_plain(name, value):
    """A setting as JSON has it."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise ValueError(
            f"{name} must be a number, a string or None in scan, which fits to parts of X; got "
            f"{type(value).__name__}"
        )
    return value


def _as_text(settings):
    """Settings as text; the same for 100 and 100.0."""
    plain = {
        name: value if value is None or isinstance(value, (bool, str)) else float(value)
        for name, value in settings.items()
    }
    return json.dumps(plain, sort_keys=True)


def _setting_names(givens):
    """Names of the settings in a table: two always, and those in the grid."""
    others = {name for given in givens for name in given} - {"n_states", "trans_kappa"}
    return ["n_states", "trans_kappa", *sorted(others)]


def _standard_error(by_fold):
    """Standard error of the mean over folds, (n_points,), of means (n_points, n_folds)."""
    n_folds = by_fold.shape[1]
    if n_folds == 1:
        return np.full(len(by_fold), np.nan)
    return by_fold.std(axis=1, ddof=1) / np.sqrt(n_folds)


def _show_setting(value):
    return f"{value:g}" if isinstance(value, (int, float, np.number)) else str(value)


def _positive(values, name, *, or_zero=False):
    """An array of finite numbers above 0 (or from 0 on), checked."""
    try:
        array = to_array(values, f"{name} must be a number or an array of numbers", np.float64)
    except ValueError as error:
        raise TypeError(str(error)) from error
    wrong = ~np.isfinite(array) | (array < 0 if or_zero else array <= 0)
    if wrong.any():
        expected = ">= 0" if or_zero else "> 0"
        raise ValueError(f"{name} must be finite and {expected}, got {array[wrong].flat[0]:g}")
    return array


def _check_n_states(n_states):
    expectation = "n_states must be an integer or an array of integers"
    array = to_array(n_states, expectation)
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"n_states must be an integer or an array of integers, got {shorten(n_states)}"
        )
    if (array < 2).any():
        raise ValueError(
            f"n_states must be >= 2, got {array.min()}: the state of a model of one never ends"
        )
    return array.astype(np.float64)


def _scalar_or_array(array):
    if not np.isfinite(array).all():
        raise ValueError("the arguments are too large: the result is beyond the range of float64")
    return float(array) if np.ndim(array) == 0 else array
