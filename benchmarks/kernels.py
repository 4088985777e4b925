"""The *kernels* part: message passing alone, beside the libraries that are made for it.

All compute from the same emissions, those of the *tutorial* data under its true parameters,
and are checked to agree before anything is timed.
"""

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks import workloads
from benchmarks.figures import Figure
from benchmarks.sides import DYNAMAX, HHMM_KERNELS, HMMLEARN

PEERS = (HMMLEARN, DYNAMAX)
KERNELS = {
    "filter": "filter",
    "log_likelihood": "log-likelihood",
    "smoother": "smoother",
    "viterbi": "Viterbi",
}
# of one pass that gives both
PEER_KERNELS = {"log_likelihood": "filter"}
# dynamax computes in float32
LOG_LIKELIHOOD_RTOL = 1e-4
SMOOTHED_ATOL = 1e-3
# of the timesteps; paths that are equally good but for rounding differ
STATES_AGREEMENT = 0.99


class DisagreementError(RuntimeError):
    """Two libraries compute different things."""


def measure_kernels(simulator, data, folder, plan, say):
    """Time the kernels of all libraries in turn.

    Parameters
    ----------
    simulator : Worker of `sides.DATA`
    data : sides.Data
    folder : path
        For what the libraries exchange.
    plan : workloads.Plan
    say : callable
        Told what is going on.

    Returns
    -------
    figures : list of figures.Figure

    Raises
    ------
    DisagreementError
        If the libraries disagree.
    """
    say("kernels: compiling, and comparing results")
    emissions = str(Path(folder) / "emissions.npz")
    simulator.request("emissions", data=data.syllables, truth=data.truth, out=emissions)
    libraries = (HHMM_KERNELS, *PEERS)
    results = {side.name: str(Path(folder) / f"results-{side.name}.npz") for side in libraries}
    arguments = {side.name: {"emissions": emissions} for side in PEERS}
    arguments[HHMM_KERNELS.name] = {"data": data.syllables, "truth": data.truth}
    with ExitStack() as stack:
        running = {side.name: stack.enter_context(side.worker()) for side in libraries}
        compiling = {
            name: worker.request("start", results=results[name], **arguments[name])
            for name, worker in running.items()
        }
        ours = _load(results[HHMM_KERNELS.name])
        for side in PEERS:
            check_agreement(ours, _load(results[side.name]), side.name)
        say("kernels: in turn")
        times = {name: {kernel: [] for kernel in compiling[name]} for name in running}
        for _ in range(plan.kernel_rounds):
            for kernel in compiling[HHMM_KERNELS.name]:
                for name, worker in running.items():
                    if kernel in times[name]:
                        times[name][kernel] += worker.request(
                            "run", kernel=kernel, n_calls=plan.kernel_calls
                        )
    return _figures(times, compiling)


def check_agreement(ours, theirs, peer):
    """Raise `DisagreementError` unless two libraries have the same results.

    Parameters
    ----------
    ours, theirs : dict of arrays
        ``log_likelihoods`` (n_sequences,) in nats, ``smoothed`` (n_sequences, n_timesteps,
        n_states) and ``states`` (n_sequences, n_timesteps).
    peer : str
        Name of the other library.
    """
    difference = np.abs(ours["log_likelihoods"] / theirs["log_likelihoods"] - 1).max()
    if not difference <= LOG_LIKELIHOOD_RTOL:
        raise DisagreementError(
            f"log-likelihoods of hhmm and {peer} differ by {difference:.2g} relative, expected at "
            f"most {LOG_LIKELIHOOD_RTOL:g}"
        )
    difference = np.abs(ours["smoothed"] - theirs["smoothed"]).max()
    if not difference <= SMOOTHED_ATOL:
        raise DisagreementError(
            f"smoothed probabilities of hhmm and {peer} differ by {difference:.2g}, expected at "
            f"most {SMOOTHED_ATOL:g}"
        )
    agreement = np.mean(ours["states"] == theirs["states"])
    if not agreement >= STATES_AGREEMENT:
        raise DisagreementError(
            f"Viterbi states of hhmm and {peer} are the same at {agreement:.4f} of the timesteps, "
            f"expected at least {STATES_AGREEMENT:g}"
        )


def _load(path):
    with np.load(path) as results:
        return dict(results)


def _figures(times, compiling):
    hhmm = HHMM_KERNELS.name
    figures = []
    for kernel, title in KERNELS.items():
        for side in PEERS:
            figures.append(
                Figure(
                    "kernels",
                    title,
                    "s",
                    times[hhmm][kernel],
                    side.name,
                    times[side.name][PEER_KERNELS.get(kernel, kernel)],
                    workloads.KERNEL_TARGETS.get((kernel, side.name)),
                )
            )
    for kernel, title in KERNELS.items():
        theirs = compiling[DYNAMAX.name][PEER_KERNELS.get(kernel, kernel)]
        seconds = [compiling[hhmm][kernel]], DYNAMAX.name, [theirs]
        figures.append(Figure("kernels", f"compiling {title}", "s", *seconds))
    return figures
