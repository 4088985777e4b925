"""Run dynamax's kernels as its users do on many sequences: vmapped and jitted, in float32.

The compiler leaves out what is not returned (predicted probabilities, expected transitions).
"""

from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
from dynamax.hidden_markov_model import inference

from benchmarks._serve import serve_kernels


def versions():
    """Return versions, and the kind of device that JAX computes on."""
    return {
        "dynamax": version("dynamax"),
        "jax": jax.__version__,
        "device": jax.default_backend(),
    }


def load(data):
    """Return kernels on the emissions of timesteps, which are on the device already."""
    given = np.load(data)
    trans_probs = jnp.asarray(given["trans_probs"])
    start = jnp.full(len(trans_probs), 1 / len(trans_probs))
    log_emissions = jnp.log(jnp.asarray(given["emissions"]))

    def one_filter(log_emission):
        posterior = inference.hmm_filter(start, trans_probs, log_emission)
        return posterior.marginal_loglik, posterior.filtered_probs

    def one_smoother(log_emission):
        return inference.hmm_smoother(start, trans_probs, log_emission).smoothed_probs

    def one_viterbi(log_emission):
        return inference.hmm_posterior_mode(start, trans_probs, log_emission)

    compiled = {
        name: jax.jit(jax.vmap(function))
        for name, function in {
            "filter": one_filter,
            "smoother": one_smoother,
            "viterbi": one_viterbi,
        }.items()
    }

    def call(name):
        return jax.block_until_ready(compiled[name](log_emissions))

    def to_compare():
        return {
            "log_likelihoods": call("filter")[0],
            "smoothed": call("smoother"),
            "states": call("viterbi"),
        }

    return {name: lambda name=name: call(name) for name in compiled}, to_compare


if __name__ == "__main__":
    serve_kernels(load, versions)
