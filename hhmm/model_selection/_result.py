"""Hold and summarise the results of a scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hhmm._optional.extras import import_extra
from hhmm._validation import shorten

if TYPE_CHECKING:
    import pandas

_MEASURES_OF_A_FIT = (
    "test_score",
    "train_score",
    "log_joint",
    "n_iter",
    "converged",
    "seconds",
    "median_duration",
    "n_used_states",
)
# of a fit and those from other seeds to the same fold
_AGREEMENTS = ("matched_accuracy", "adjusted_rand")
_PRINTED_ROWS = 60
# that a grid point must use beyond those of one with fewer states, on average over its fits
_MORE_STATES_USED = 0.5


class ScanResult:
    """Results of `scan`.

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
    frame_rate : float or None
        Of the estimator, timesteps per second.
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

    def __init__(
        self,
        table: dict[str, np.ndarray],
        points: list[dict[str, Any]],
        *,
        frame_rate: float | None = None,
    ) -> None:
        self.table = table
        self.frame_rate = frame_rate
        self._points = points
        summary = self.summary()
        self.best_index_ = int(np.argmax(summary["mean_test_score"]))
        self.best_params_ = dict(points[self.best_index_])
        self.best_score_ = float(summary["mean_test_score"][self.best_index_])

    def summary(self) -> dict[str, np.ndarray]:
        """Return mean and standard error of everything measured, for each grid point.

        Returns
        -------
        summary : dict of str to ndarray of shape (n_points,)
            The settings and ``prior_duration``; for each measured column of `table`, for
            example test_score, the mean over folds and seeds as ``mean_test_score`` and its
            standard error as ``se_test_score``; ``mean_difference`` and ``se_difference``, of the
            test score minus that of the best grid point on the same fold;
            ``within_one_standard_error``, which grid points `one_standard_error` chooses from,
            none with one fold; ``n_fits`` and ``n_warnings``, the numbers of fits and of those
            that gave a warning.

        Notes
        -----
        Seeds are averaged within each fold first. The standard error is the standard deviation of
        the means of folds over the square root of the number of folds, as in section 7.10 of [1]_;
        NaN with one fold. Fits of different seeds to one fold share their data, so to count them
        as independent would make it too small. Folds differ in how well any model predicts them,
        which is most of the standard error of a score. It cancels in the difference of two grid
        points on the same folds, so differences are what grid points are compared by. Folds share
        training data too, and no estimate of the error from one cross-validation is without bias
        [2]_.

        References
        ----------
        .. [1] Hastie, T., Tibshirani, R. and Friedman, J. (2009). The elements of statistical
           learning, 2nd ed., section 7.10.
        .. [2] Bengio, Y. and Grandvalet, Y. (2004). No unbiased estimator of the variance of K-fold
           cross-validation. Journal of Machine Learning Research, 5, 1089-1105.
        """
        point, fold = self.table["point"], self.table["fold"]
        n_points, n_folds = point.max() + 1, fold.max() + 1
        n_seeds = point.size // (n_points * n_folds)
        names = [*_setting_names(self._points), "prior_duration"]
        summary = {name: self.table[name][:: n_folds * n_seeds] for name in names}
        for name in (*_MEASURES_OF_A_FIT, *_AGREEMENTS):
            by_fold = self.table[name].reshape(n_points, n_folds, n_seeds).mean(axis=2)
            summary[f"mean_{name}"] = by_fold.mean(axis=1)
            summary[f"se_{name}"] = _standard_error(by_fold)
        by_fold = self.table["test_score"].reshape(n_points, n_folds, n_seeds).mean(axis=2)
        mean = by_fold.mean(axis=1)
        difference = by_fold - by_fold[np.argmax(mean)]
        summary["mean_difference"] = difference.mean(axis=1)
        summary["se_difference"] = _standard_error(difference)
        is_left_out = _uses_no_more(summary)
        difference = by_fold - by_fold[np.argmax(np.where(is_left_out, -np.inf, mean))]
        # rounding alone makes no difference
        is_within = difference.mean(axis=1) + _standard_error(difference) >= -1e-12
        summary["within_one_standard_error"] = is_within & ~is_left_out
        warned = (self.table["warnings"] != "").reshape(n_points, -1)
        summary["n_fits"] = np.full(n_points, n_folds * n_seeds)
        summary["n_warnings"] = warned.sum(axis=1)
        return summary

    def one_standard_error(self, *, by: str = "n_states") -> dict[str, Any]:
        """Return the simplest grid point that predicts as well as the best within a standard error.

        This is the rule of section 7.10 of the reference in `summary`, with the standard error of
        the difference to the best grid point, paired by fold. That of the best score itself is
        mostly how much folds differ, and would choose models that are clearly worse.

        A fit with more states than there are leaves some of them unused. It can still score a
        little higher, for example because no state is exactly as the model has it. Therefore
        numbers of states are left out, before the best one is found, whose fits use no more states
        than those of a smaller number do.

        Parameters
        ----------
        by : str, default="n_states"
            The setting that measures how simple a model is: the smaller, the simpler.

        Returns
        -------
        params : dict
            Of the grid points whose mean held-out score is lower than the best by at most the
            standard error of this difference, those with the smallest `by`; of them the one of the
            highest mean score. A grid point is left out first if its fits use at most half a state
            more, on average, than those of the best grid point of some smaller number of states.

        Raises
        ------
        ValueError
            If `by` is not a setting in the table that is a number, or there is one fold only.
        """
        summary = self.summary()
        names = _setting_names(self._points)
        numeric = [name for name in names if summary[name].dtype.kind in "iuf"]
        if not isinstance(by, str) or by not in numeric:
            raise ValueError(f"by must be one of {numeric}, got {shorten(by)}")
        if np.isnan(summary["se_difference"]).any():
            raise ValueError("a standard error needs two folds or more, got one")
        return dict(self._points[simplest_within(summary, by)])

    def to_frame(self) -> pandas.DataFrame:
        """Return the table as a pandas DataFrame; raise ImportError without pandas."""
        pd = import_extra("pandas", "to_frame")
        return pd.DataFrame(self.table)

    def __repr__(self) -> str:
        summary, settings = self.summary(), _setting_names(self._points)
        n_points = len(self._points)
        head = (*settings, "held-out score", "to the best  ", "duration", "used", "Rand index")
        head = (*head, "converged")
        rows = [head]
        for i in range(min(n_points, _PRINTED_ROWS)):
            rows.append(
                (
                    *(_show_setting(summary[name][i]) for name in settings),
                    f"{summary['mean_test_score'][i]:.4f} +- {summary['se_test_score'][i]:.4f}",
                    f"{summary['mean_difference'][i]:.4f} +- {summary['se_difference'][i]:.4f}"
                    + (" *" if i == self.best_index_ else "  "),
                    f"{summary['mean_median_duration'][i] / (self.frame_rate or 1):.1f}",
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
        unit = "timesteps" if self.frame_rate is None else "s"
        note = (
            "scores, and differences to the best one on the same folds, in nats per transition, +- "
            f"one standard error; durations in {unit}; * best"
        )
        return "\n".join([title, *lines, note])


def _uses_no_more(summary):
    """Return which points use no more states than the best one of some smaller number of states."""
    n_states, used = summary["n_states"], summary["mean_n_used_states"]
    uses_no_more, most_used = np.zeros(len(used), bool), -np.inf
    for number in np.unique(n_states):
        points = np.flatnonzero(n_states == number)
        uses_no_more[points] = used[points] <= most_used + _MORE_STATES_USED
        best = points[np.argmax(summary["mean_test_score"][points])]
        most_used = max(most_used, used[best])
    return uses_no_more


def simplest_within(summary, by="n_states"):
    """Return the number of the point that `ScanResult.one_standard_error` chooses."""
    within = np.flatnonzero(summary["within_one_standard_error"])
    simplest = within[summary[by][within] == summary[by][within].min()]
    return simplest[np.argmax(summary["mean_difference"][simplest])]


def _setting_names(givens):
    """Return the names of the settings in a table: two always, and those in the grid."""
    others = {name for given in givens for name in given} - {"n_states", "trans_kappa"}
    return ["n_states", "trans_kappa", *sorted(others)]


def _standard_error(by_fold):
    """Return the standard error over folds, (n_points,), of means (n_points, n_folds)."""
    n_folds = by_fold.shape[1]
    if n_folds == 1:
        return np.full(len(by_fold), np.nan)
    return by_fold.std(axis=1, ddof=1) / np.sqrt(n_folds)


def _show_setting(value):
    return f"{value:g}" if isinstance(value, (int, float, np.number)) else str(value)
