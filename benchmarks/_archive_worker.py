"""Fit an archive of recordings in a process of its own, and print what it took as JSON.

Arguments: folder or "memory", recordings, timesteps of each, sweeps, workers (0: in this process).
"""

import contextlib
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from benchmarks._serve import peak_memory
from hhmm import EfficientHHMM
from hhmm.datasets import open_recordings

N_STATES, N_SYLLABLES = 10, 100
HELD = 40  # timesteps on average
RUNS_IN_A_STATE = 50


def make_recording(seed, n_timesteps):
    """Return syllables (n_timesteps,) int16 that are held, and used differently in slow states."""
    rng = np.random.default_rng(seed)
    n_runs = int(1.2 * n_timesteps / HELD) + 100
    state = np.repeat(rng.integers(N_STATES, size=n_runs // RUNS_IN_A_STATE + 1), RUNS_IN_A_STATE)
    labels = (10 * state[:n_runs] + rng.integers(40, size=n_runs)) % N_SYLLABLES
    labels = labels[np.append(True, labels[1:] != labels[:-1])]
    lengths = rng.geometric(1 / HELD, len(labels))
    return np.repeat(labels, lengths)[:n_timesteps].astype(np.int16)


def write_archive(folder, n_recordings, n_timesteps, n_different=8):
    """Write recordings as .npy files, of which a few are different and the others links to them."""
    for i in range(n_recordings):
        path = folder / f"recording_{i:04d}.npy"
        if i < n_different:
            np.save(path, make_recording(i, n_timesteps))
        else:
            path.hardlink_to(folder / f"recording_{i % n_different:04d}.npy")


@contextlib.contextmanager
def workers(n_workers):
    """Provide a local cluster with so many workers of one thread, or nothing for 0."""
    if not n_workers:
        yield
        return
    import joblib
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        yield


def main(where, n_recordings, n_timesteps, n_sweeps, n_workers):
    """Fit, and print seconds and bytes."""
    began = time.perf_counter()
    if where == "memory":
        different = [make_recording(i, n_timesteps) for i in range(8)]
        X = [different[i % 8].copy() for i in range(n_recordings)]
    else:
        X = open_recordings(Path(where))
    opened = time.perf_counter()
    before = peak_memory()
    # a start that knows the slow states: sweeps are those of a fit that has settled
    rng = np.random.default_rng(0)
    usage = np.zeros((N_STATES, N_SYLLABLES))
    for k in range(N_STATES):
        usage[k, (10 * k + np.arange(40)) % N_SYLLABLES] = 3
    start = EfficientHHMM.from_params(*_params(usage, rng), self_transitions=False)
    model = EfficientHHMM(
        N_STATES, N_SYLLABLES, init=start, max_iter=n_sweeps, n_draws=5, random_state=0
    )
    seconds = _seconds_of_sweeps()
    warnings.simplefilter("ignore")
    with workers(n_workers):
        model.fit(X)
    print(
        json.dumps(
            {
                "open": opened - began,
                "fit": time.perf_counter() - opened,
                "sweep": float(np.median(seconds[1:])),
                "data": before,
                "peak": peak_memory(),
            }
        )
    )


def _params(usage, rng):
    """Return emission base, biases and transition probabilities for `from_params`."""
    from hhmm._model.simplex import helmert_basis

    to_syllables, to_states = helmert_basis(N_SYLLABLES), helmert_basis(N_STATES)
    base = 0.1 * rng.normal(size=(N_SYLLABLES, N_SYLLABLES - 1))
    biases = to_states.T @ usage @ to_syllables
    leave = 1 / (HELD * RUNS_IN_A_STATE)
    trans_probs = (1 - leave) * np.eye(N_STATES) + leave / N_STATES
    return base, biases, trans_probs / trans_probs.sum(axis=1, keepdims=True)


def _seconds_of_sweeps():
    """Return a list that gets the seconds of sweeps, as a fit goes on: a value for each call."""
    from hhmm._runtime.progress import Progress

    seconds, last = [], [time.perf_counter(), 0]
    report = Progress.report

    def timed(self, i, n_done, log_joint):
        now = time.perf_counter()
        seconds.append((now - last[0]) / (n_done - last[1]))
        last[:] = now, n_done
        return report(self, i, n_done, log_joint)

    Progress.report = timed
    return seconds


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
