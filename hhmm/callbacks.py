"""Callbacks: watch a fit, and end it early.

scikit-learn 1.9 has a protocol for callbacks, and ships a progress bar and a monitor of scores.
Set them on the estimator, or on the search or pipeline around it:

>>> from hhmm import EfficientHHMM
>>> from hhmm.callbacks import FitMonitor
>>> from hhmm.datasets import make_hhmm
>>> data = make_hhmm(30, 200, n_states=2, n_syllables=5, random_state=0)
>>> model = EfficientHHMM(2, max_iter=60, init="prior", random_state=0)
>>> monitor = FitMonitor(data.X[24:], every=20)
>>> model = model.set_callbacks(monitor).fit(data.X[:24])
>>> len(monitor.records)  # one for each sweep
60
>>> [row["sweep"] for row in monitor.records if row["score"] is not None]
[19, 39, 59]

A callback is called after each sweep, so a fit with callbacks makes one call for each sweep.
Without callbacks it runs many sweeps per call. The results are the same.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike
from sklearn.utils import check_scalar

from hhmm._optional.extras import import_extra
from hhmm._validation import to_float

if TYPE_CHECKING:
    import pandas

    from hhmm.estimator import EfficientHHMM

__all__ = ["FitMonitor"]


class FitMonitor:
    """Record the log joint of each sweep, and the score of held-out data.

    Parameters
    ----------
    X : array-like of int of shape (n_sequences, n_timesteps), or list of 1-D arrays, optional
        Data to score, as for `EfficientHHMM.score`. If None, only the log joint is recorded.
    mask : array-like of bool of the shape of X, optional
        False marks a missing timestep.
    every : int, default=1
        Number of sweeps between scores.
    patience : int or None, default=None
        A chain ends when the score has not risen by more than `tol` above its best value for this
        number of sweeps. Without X, the log joint takes the place of the score. None never ends a
        chain.
    tol : float, default=0.0
        See `patience`; nats per transition for the score, nats for the log joint.

    Attributes
    ----------
    records : list of dict
        One entry per sweep, in the order in which they ended: ``chain``, ``sweep``, ``log_joint``
        (nats) and ``score`` (nats per transition at the parameters of that sweep, None if it was
        not computed). A new fit clears the list.

    Notes
    -----
    Callbacks need scikit-learn 1.9 or later. The parameters of a Gibbs sweep are one draw. They
    predict a little worse than the mean of many draws, which is the result of a fit.

    Examples
    --------
    >>> from hhmm import EfficientHHMM
    >>> from hhmm.callbacks import FitMonitor
    >>> from hhmm.datasets import make_hhmm
    >>> data = make_hhmm(24, 200, n_states=2, n_syllables=5, random_state=0)
    >>> monitor = FitMonitor(patience=5)
    >>> model = EfficientHHMM(2, algorithm="em", init="prior", random_state=0)
    >>> model = model.set_callbacks(monitor).fit(data.X)
    >>> len(monitor.records) == model.n_iter_
    True
    """

    def __init__(
        self,
        X: ArrayLike | None = None,
        *,
        mask: ArrayLike | None = None,
        every: int = 1,
        patience: int | None = None,
        tol: float = 0.0,
    ) -> None:
        check_scalar(every, "every", Integral, min_val=1)
        if patience is not None:
            check_scalar(patience, "patience", Integral, min_val=1)
        check_scalar(tol, "tol", Real, min_val=0)
        self.X = X
        self.mask = mask
        self.every = every
        self.patience = patience
        self.tol = to_float(tol, "tol")
        self.records: list[dict[str, Any]] = []

    def to_frame(self) -> pandas.DataFrame:
        """Return the records as a data frame; pandas is part of the extra ``io``."""
        pd = import_extra("pandas", "to_frame")
        return pd.DataFrame(self.records, columns=["chain", "sweep", "log_joint", "score"])

    def setup(self, estimator: EfficientHHMM, context: Any) -> None:
        """Clear the records at the beginning of a fit."""
        self.records = []
        # by chain: the best value and its sweep
        self._best: dict[int, tuple[float, int]] = {}

    def teardown(self, estimator: EfficientHHMM, context: Any) -> None:
        """Do nothing at the end of a fit."""

    def on_fit_task_begin(self, estimator: EfficientHHMM, context: Any) -> None:
        """Do nothing at the beginning of a task."""

    def on_fit_task_end(
        self, estimator: EfficientHHMM, context: Any, *, fitted_estimator: Any = None
    ) -> bool:
        """Record a sweep; return True to end the chain."""
        if context.task_name != "sweep":
            return False
        sweep = fitted_estimator.n_iter_ - 1  # not 0 at first if an earlier fit is continued
        chain = context.parent.task_id if context.parent.task_name == "chain" else 0
        log_joint = float(fitted_estimator.log_joint_[0, -1])
        score = None
        if self.X is not None and (sweep + 1) % self.every == 0:
            score = fitted_estimator.score(self.X, mask=self.mask)
        self.records.append(
            {"chain": chain, "sweep": sweep, "log_joint": log_joint, "score": score}
        )
        watched = log_joint if self.X is None else score
        if watched is None:
            return False
        best, since = self._best.setdefault(chain, (watched, sweep))
        if watched > best + self.tol:
            self._best[chain] = watched, sweep
            return False
        return self.patience is not None and sweep - since >= self.patience
