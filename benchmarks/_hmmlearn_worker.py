"""Run hmmlearn's compiled kernels as its estimators do: one sequence after the other."""

from importlib.metadata import version

import numpy as np
from hmmlearn import _hmmc
from hmmlearn.utils import normalize

from benchmarks._serve import serve_kernels


def versions():
    """Return versions, and the kind of device that it computes on."""
    return {"hmmlearn": version("hmmlearn"), "numpy": np.__version__, "device": "cpu"}


def load(data):
    """Return kernels on the emissions of timesteps."""
    given = np.load(data)
    trans_probs, emissions = given["trans_probs"], given["emissions"]
    start = np.full(len(trans_probs), 1 / len(trans_probs))
    log_emissions = np.log(emissions)

    def forward():
        return [_hmmc.forward_scaling(start, trans_probs, emission) for emission in emissions]

    def smoother():
        smoothed = []
        for emission in emissions:
            _, forward, scaling = _hmmc.forward_scaling(start, trans_probs, emission)
            backward = _hmmc.backward_scaling(start, trans_probs, emission, scaling)
            posteriors = forward * backward
            normalize(posteriors, axis=1)
            smoothed.append(posteriors)
        return smoothed

    def viterbi():
        return [_hmmc.viterbi(start, trans_probs, emission)[1] for emission in log_emissions]

    def to_compare():
        return {
            "log_likelihoods": [log_likelihood for log_likelihood, _, _ in forward()],
            "smoothed": smoother(),
            "states": viterbi(),
        }

    return {"filter": forward, "smoother": smoother, "viterbi": viterbi}, to_compare


if __name__ == "__main__":
    serve_kernels(load, versions)
