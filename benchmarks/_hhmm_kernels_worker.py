"""Run this library's kernels: the compiled functions of `hhmm._inference.decode`, which wait.

They take parameters and tabulate the emissions of syllable pairs themselves, within the time
measured. The other libraries are given the emissions of timesteps.
"""

import jax
import numpy as np

import hhmm
from benchmarks._serve import serve_kernels
from hhmm import EfficientHHMM
from hhmm._inference import decode
from hhmm._inference.prepare import prepare
from hhmm._model.emissions import terms_of
from hhmm._runtime.precision import double_precision
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Params


def versions():
    """Return versions, and the kind of device that JAX computes on."""
    return {"hhmm": hhmm.__version__, "jax": jax.__version__, "device": jax.default_backend()}


@double_precision
def load(data):
    """Return kernels on sequences that are laid out, and on the device already."""
    true = np.load(data)
    X = true["syllables"]
    params = Params(true["emission_base"], true["emission_biases"], true["trans_probs"])
    prepared = prepare(RunLengths.of(list(X)), terms_of(params), "sequential", every_timestep=True)
    on_device = jax.device_put(params), prepared._replace(groups=jax.device_put(prepared.groups))

    def to_compare():
        # the estimator's methods run the same compiled functions
        model = EfficientHHMM.from_params(*params[:3])
        return {
            "log_likelihoods": model.score_samples(X),
            "smoothed": model.predict_proba(X),
            "states": model.predict(X),
        }

    kernels = {
        "filter": lambda: decode.forward_filter(*on_device),
        "log_likelihood": lambda: decode.log_normalisers(*on_device),
        "smoother": lambda: decode.smooth(*on_device),
        "viterbi": lambda: decode.viterbi(*on_device),
    }
    return {name: double_precision(kernel) for name, kernel in kernels.items()}, to_compare


if __name__ == "__main__":
    serve_kernels(load, versions)
