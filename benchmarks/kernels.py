"""Time message passing alone, beside the libraries that are made for it: part *kernels*.

All compute from the same emissions, those of the *tutorial* data under its true parameters. They
must agree before anything is timed.
"""

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, Target, table
from benchmarks.sides import DATA, DYNAMAX, HHMM_KERNELS, HMMLEARN, make_data, say
from benchmarks.workloads import TUTORIAL

PEERS = (HMMLEARN, DYNAMAX)
KERNELS = {
    "filter": "filter",
    "log_likelihood": "log-likelihood",
    "smoother": "smoother",
    "viterbi": "Viterbi",
}
# the peers' filter returns log-likelihoods as well
PEER_KERNELS = {"log_likelihood": "filter"}
TARGETS = {
    ("filter", "hmmlearn"): Target(1 / 4),
    ("filter", "dynamax"): Target(1 / 6),
    ("log_likelihood", "hmmlearn"): Target(1 / 4),
    ("log_likelihood", "dynamax"): Target(1 / 6),
    ("smoother", "hmmlearn"): Target(1 / 4),
    ("viterbi", "hmmlearn"): Target(1 / 3),
}


def measure_kernels(plan, folder):
    """Time the kernels of all libraries in turn.

    Parameters
    ----------
    plan : workloads.Plan
    folder : path
        For the data and the results that are compared.

    Returns
    -------
    text : str
        The table.

    Raises
    ------
    AssertionError
        If the libraries disagree.
    """
    data, emissions = make_data(TUTORIAL, folder), str(Path(folder) / "emissions.npz")
    with DATA.worker() as worker:
        worker.request("emissions", data=data, out=emissions)
    say("kernels: compiling, and comparing results")
    compiling, results = {}, {}
    with ExitStack() as stack:
        workers = {side: stack.enter_context(side.worker()) for side in (HHMM_KERNELS, *PEERS)}
        for side, worker in workers.items():
            path = str(Path(folder) / f"results-{side.name}.npz")
            given = data if side is HHMM_KERNELS else emissions
            compiling[side] = worker.request("start", data=given, results=path)
            with np.load(path) as found:
                results[side] = dict(found)
        for side in PEERS:
            check_agreement(results[HHMM_KERNELS], results[side], side.name)
        say("kernels: in turn")
        times = {side: {kernel: [] for kernel in compiling[side]} for side in workers}
        for _ in range(plan.kernel_rounds):
            for kernel in KERNELS:
                for side, worker in workers.items():
                    if kernel in times[side]:
                        times[side][kernel] += worker.request(
                            "run", kernel=kernel, n_calls=plan.kernel_calls
                        )
    return f"{TUTORIAL.describe()}\n\n{table(_figures(times, compiling))}"


def check_agreement(ours, theirs, peer):
    """Raise an `AssertionError` unless two libraries have the same results.

    Parameters
    ----------
    ours, theirs : dict of arrays
        As `benchmarks._serve.serve_kernels` says.
    peer : str
        Name of the other library.
    """
    # dynamax computes in float32
    for name, tolerance in {"log_likelihoods": {"rtol": 1e-4}, "smoothed": {"atol": 1e-3}}.items():
        message = f"{name} of hhmm and {peer}"
        np.testing.assert_allclose(ours[name], theirs[name], err_msg=message, **tolerance)
    # rounding decides between paths that are equally good
    agreement = np.mean(ours["states"] == theirs["states"])
    assert agreement >= 0.99, f"Viterbi states of hhmm and {peer} agree at {agreement:.4f} only"


def _figures(times, compiling):
    figures = []
    for kernel, title in KERNELS.items():
        for side in PEERS:
            theirs = times[side][PEER_KERNELS.get(kernel, kernel)]
            target = TARGETS.get((kernel, side.name))
            ours = times[HHMM_KERNELS][kernel]
            figures.append(Figure("kernels", title, "s", ours, side.name, theirs, target))
    for kernel, title in KERNELS.items():
        ours = [compiling[HHMM_KERNELS][kernel]]
        theirs = [compiling[DYNAMAX][PEER_KERNELS.get(kernel, kernel)]]
        figures.append(Figure("kernels", f"compiling {title}", "s", ours, DYNAMAX.name, theirs))
    return figures
