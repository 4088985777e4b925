"""Progress of a fit: a tqdm bar where tqdm is installed, plain lines otherwise."""

import threading
import time


class Progress:
    """What chains report to after each dispatch, from any thread.

    A context manager, so that a bar is always closed.

    Parameters
    ----------
    algorithm : str
    n_iter : int
        Sweeps of a chain.
    n_chains : int
    verbose : int
        0 shows nothing.
    """

    def __init__(self, algorithm, n_iter, n_chains, verbose):
        self.name = {"em": "EM", "gibbs": "Gibbs"}.get(algorithm, algorithm)
        self.n_iter = n_iter * n_chains
        self.verbose = verbose
        self._done = [0] * n_chains
        self._log_joint = [float("-inf")] * n_chains
        self._lock = threading.Lock()
        self._bar = None
        self._began = self._last_line = time.perf_counter()
        if verbose:
            try:
                from tqdm import tqdm
            except ImportError:
                pass
            else:
                self._bar = tqdm(total=self.n_iter, unit="sweep", desc=self.name)

    def report(self, chain, n_done, log_joint):
        """A chain has done so many sweeps, and its log joint is this."""
        with self._lock:
            self._done[chain], self._log_joint[chain] = n_done, log_joint
            self._show(sum(self._done), max(self._log_joint))

    def _show(self, n_done, log_joint):
        if self._bar is not None:
            self._bar.set_postfix_str(f"log joint {log_joint:.1f}", refresh=False)
            self._bar.update(n_done - self._bar.n)
        elif self.verbose:
            now = time.perf_counter()
            if n_done == self.n_iter or now - self._last_line > 1:
                rate = n_done / (now - self._began)
                print(
                    f"{self.name}: sweep {n_done}/{self.n_iter}, {rate:.1f} sweeps/s, "
                    f"log joint {log_joint:.1f}",
                    flush=True,
                )
                self._last_line = now

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.close()
