"""Progress: a tqdm bar where tqdm is installed, plain lines otherwise."""

import contextlib
import threading
import time
import warnings


def print_if_verbose(text, verbose):
    """Print a line, where somebody wants to hear it and can."""
    if verbose:
        with contextlib.suppress(Exception):  # a closed stream, or one of somebody's own
            print(text, flush=True)


class Bar:
    """Progress bar; a context manager, so that it is always closed.

    Parameters
    ----------
    name : str
        Of what goes on.
    n_total : int
        Units to do.
    unit : str
        What is counted, in the singular.
    verbose : int
        0 shows nothing.
    n_done : int, default=0
        Units that were done before.
    """

    def __init__(self, name, n_total, unit, verbose, *, n_done=0):
        self.name, self.n_total, self.unit, self.verbose = name, n_total, unit, verbose
        self._n_before = n_done
        self._bar = None
        self._began = self._last_line = time.perf_counter()
        if verbose:
            # without tqdm, or where its stream is closed, there is none
            with contextlib.suppress(Exception):
                from tqdm import tqdm

                self._bar = tqdm(total=n_total, initial=n_done, unit=unit, desc=name)

    def show(self, n_done, text):
        """Show how many units are done, with a `text` about the last one; at most a line a second.

        Where that fails, as when a terminal is gone, what goes on does so without a bar.
        """
        try:
            self._show(n_done, text)
        except Exception as error:
            self._bar, self.verbose = None, 0
            warnings.warn(
                f"progress is no longer shown ({type(error).__name__}: {error})", stacklevel=2
            )

    def _show(self, n_done, text):
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(n_done - self._bar.n)
        elif self.verbose:
            now = time.perf_counter()
            if n_done == self.n_total or now - self._last_line > 1:
                rate = (n_done - self._n_before) / (now - self._began)
                print(
                    f"{self.name}: {self.unit} {n_done}/{self.n_total}, {rate:.1f} {self.unit}s/s, "
                    f"{text}",
                    flush=True,
                )
                self._last_line = now

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            with contextlib.suppress(Exception):
                self._bar.close()


class Progress(Bar):
    """Progress of chains, which report after each call, from any thread.

    Parameters
    ----------
    algorithm : str
    n_iter : int
        Sweeps of a chain.
    n_done : list of int
        Sweeps that each chain has done before.
    verbose : int
        0 shows nothing.
    """

    def __init__(self, algorithm, n_iter, n_done, verbose):
        name = {"em": "EM", "gibbs": "Gibbs"}.get(algorithm, algorithm)
        n_total = n_iter * len(n_done)
        super().__init__(name, n_total, "sweep", verbose, n_done=sum(n_done))
        self._done = list(n_done)
        self._log_joint = [float("-inf")] * len(n_done)
        self._lock = threading.Lock()

    def report(self, chain, n_done, log_joint):
        """Note how many sweeps a chain has done, and its log joint."""
        with self._lock:
            self._done[chain], self._log_joint[chain] = n_done, log_joint
            self.show(sum(self._done), f"log joint {max(self._log_joint):.1f}")
