"""Callbacks: watch a fit, and end it early.

scikit-learn 1.9 has a protocol for callbacks, and ships a progress bar and a monitor of scores.
They are set on the estimator, or on the search or pipeline around it:

>>> from hhmm import EfficientHHMM
>>> from hhmm.callbacks import FitMonitor
>>> from hhmm.datasets import make_hhmm
>>> data = make_hhmm(20, 200, n_states=2, n_syllables=5, random_state=0)
>>> model = EfficientHHMM(2, max_iter=8, init="prior", random_state=0)
>>> monitor = FitMonitor(data.X[10:], every=4)
>>> model = model.set_callbacks(monitor).fit(data.X[:10])
>>> [(row["sweep"], row["score"] is not None) for row in monitor.records]
[(0, False), (1, False), (2, False), (3, True), (4, False), (5, False), (6, False), (7, True)]

A callback is told of each sweep, so a fit with one makes a call for each sweep, where it otherwise
runs many sweeps in a call. It draws the same.
"""

from numbers import Integral, Real

from sklearn.utils import check_scalar

from hhmm._optional.extras import import_extra
from hhmm._validation import to_float

__all__ = ["FitMonitor"]


class FitMonitor:
    """Records the log joint of each sweep, and the score of data held out.

    Parameters
    ----------
    X : array-like of int of shape (n_sequences, n_timesteps), or list of 1-D arrays, optional
        Data to score, as for `EfficientHHMM.score`. None records the log joint alone.
    mask : array-like of bool of the shape of X, optional
        False marks a missing timestep.
    every : int, default=1
        Score after every so many sweeps.
    patience : int or None, default=None
        End a chain when what is watched, the score where X is given and else the log
        joint, has not risen by more than `tol` over its best value for so many sweeps. None
        never ends one.
    tol : float, default=0.0
        See `patience`; nats per transition for the score, nats for the log joint.

    Attributes
    ----------
    records : list of dict
        One row a sweep, in the order in which they ended: ``chain``, ``sweep``, ``log_joint``
        (nats) and ``score`` (nats per transition at the parameters of that sweep, None where it was
        not computed). A new fit starts anew.

    Notes
    -----
    Needs scikit-learn 1.9 or later. The parameters of a Gibbs sweep are one draw: they predict a
    little worse than the mean of many, which a fit ends with.

    Examples
    --------
    >>> from hhmm import EfficientHHMM
    >>> from hhmm.callbacks import FitMonitor
    >>> from hhmm.datasets import make_hhmm
    >>> data = make_hhmm(20, 200, n_states=2, n_syllables=5, random_state=0)
    >>> monitor = FitMonitor(patience=5)
    >>> model = EfficientHHMM(2, algorithm="em", init="prior", random_state=0)
    >>> model = model.set_callbacks(monitor).fit(data.X)
    >>> len(monitor.records) == model.n_iter_
    True
    """

    def __init__(self, X=None, *, mask=None, every=1, patience=None, tol=0.0):
        check_scalar(every, "every", Integral, min_val=1)
        if patience is not None:
            check_scalar(patience, "patience", Integral, min_val=1)
        check_scalar(tol, "tol", Real, min_val=0)
        self.X = X
        self.mask = mask
        self.every = every
        self.patience = patience
        self.tol = to_float(tol, "tol")
        self.records = []

    def to_frame(self):
        """The records as a data frame; needs pandas, which is part of the extra ``io``."""
        pd = import_extra("pandas", "to_frame")
        return pd.DataFrame(self.records, columns=["chain", "sweep", "log_joint", "score"])

    def setup(self, estimator, context):
        """A fit begins."""
        self.records = []
        self._best = {}  # by chain: the best value, and the sweep it is of

    def teardown(self, estimator, context):
        """A fit has ended."""

    def on_fit_task_begin(self, estimator, context):
        """A task begins."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """A sweep has been done; returns whether to end the chain."""
        if context.task_name != "sweep":
            return False
        sweep = fitted_estimator.n_iter_ - 1  # of a fit that goes on, not the first one told of
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
