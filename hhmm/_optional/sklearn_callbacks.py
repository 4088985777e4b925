"""scikit-learn's callbacks during a fit, where the installed scikit-learn has them.

scikit-learn 1.9 calls objects that a user sets on an estimator at the beginning and at the end of
every task of a fit (`sklearn.callback`). A fit of one chain is a task with a subtask for every
sweep; one of several chains has a subtask for every chain, with subtasks for its sweeps.
"""

import threading

import numpy as np
import sklearn
from sklearn.utils.fixes import parse_version

from hhmm._runtime.precision import settings

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")

if HAS_CALLBACKS:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
else:

    class CallbackSupportMixin:
        """Say what is missing."""

        def set_callbacks(self, *callbacks):
            """Set callbacks: needs scikit-learn 1.9."""
            raise NotImplementedError(
                f"callbacks need scikit-learn 1.9 or later, installed is {sklearn.__version__}"
            )

    def with_callbacks(method):
        """Return the method as it is."""
        return method


class SweepTasks:
    """Report every sweep of every chain to the callbacks of an estimator.

    Hooks are called under a lock, since chains run in threads, and under the JAX settings of the
    caller of the fit: what they compute is the user's.

    Parameters
    ----------
    estimator : EfficientHHMM
    X, y
        As the user gave them.
    metadata : dict
        Other arguments of `fit` that are data, None where not given.
    log_joints : list of lists of float
        Log joints of the sweeps that each chain has done before.
    n_iter : int
    callers_settings : dict
        As `hhmm._runtime.precision.current_settings` returns them.
    fitted_attributes : callable
        Takes a `ChainState`; returns the attributes of an estimator whose fit ended there.
    """

    def __init__(
        self, estimator, X, y, metadata, *, log_joints, n_iter, callers_settings, fitted_attributes
    ):
        self._estimator = estimator
        self._params = estimator.get_params(deep=False)
        metadata = {name: value for name, value in metadata.items() if value is not None}
        self._data = {"X": X, "y": y, "metadata": metadata}
        self._callers_settings = callers_settings
        self._fitted_attributes = fitted_attributes
        self._lock = threading.Lock()
        self._log_joints, n_chains = log_joints, len(log_joints)
        self._chains = []
        if getattr(estimator, "_skl_callbacks", []):
            with settings(callers_settings):
                root = estimator._init_callback_context(
                    max_subtasks=n_iter if n_chains == 1 else n_chains,
                    sequential_subtasks=n_chains == 1,
                )
            self._chains = [root]
            self._begin(root)
            if n_chains > 1:
                chains = [
                    root.subcontext(task_name="chain", task_id=i, max_subtasks=n_iter)
                    for i in range(n_chains)
                ]
                self._chains = [*map(self._begin, chains), root]

    def __bool__(self):
        """Return whether there are callbacks."""
        return bool(self._chains)

    def report(self, i, chain, log_joint):
        """Report a sweep of chain i; return whether a callback asks that it be the last one."""
        with self._lock:
            trace = self._log_joints[i]
            trace.append(log_joint)
            task = self._chains[i].subcontext(task_name="sweep")
            self._begin(task)
            return self._end(
                task,
                lambda: {
                    **self._fitted_attributes(chain),
                    "log_joint_": np.array([trace]),
                    "n_iter_": len(trace),
                },
            )

    def end(self, fitted_attributes):
        """Report that all chains have ended, at an estimator of these attributes."""
        for task in self._chains:
            self._end(task, fitted_attributes)

    def _begin(self, task):
        with settings(self._callers_settings):
            begun = task.call_on_fit_task_begin(estimator=self._estimator, **self._data)
        self._check_params()
        return begun

    def _end(self, task, attributes):
        with settings(self._callers_settings):
            is_last = task.call_on_fit_task_end(
                estimator=self._estimator, **self._data, reconstruction_attributes=attributes
            )
        self._check_params()
        return is_last

    def _check_params(self):
        """Refuse parameters that a callback has changed: the fit is of those it began with."""
        for name, value in self._estimator.get_params(deep=False).items():
            if value is not self._params[name]:
                raise ValueError(
                    f"a callback changed {name} from {self._params[name]!r} to {value!r} during "
                    "the fit: expected parameters that stay as they are until it ends"
                )
