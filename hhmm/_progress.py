"""Progress of a fit: a tqdm bar where tqdm is installed, plain lines otherwise."""

import time


class Progress:
    """Called after each dispatch; a context manager, so a bar is always closed.

    Parameters
    ----------
    algorithm : str
    n_iter : int
        Sweeps in all.
    verbose : int
        0 shows nothing.
    """

    def __init__(self, algorithm, n_iter, verbose):
        self.name = {"em": "EM", "gibbs": "Gibbs"}.get(algorithm, algorithm)
        self.n_iter = n_iter
        self.verbose = verbose
        self._bar = None
        self._began = self._last_line = time.perf_counter()
        if verbose:
            try:
                from tqdm import tqdm
            except ImportError:
                pass
            else:
                self._bar = tqdm(total=n_iter, unit="sweep", desc=self.name)

    def __call__(self, n_done, log_joint):
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
