"""Computes what the *precision* part compares, in a process of its own.

log p(x) in float64 is that of the tests, in NumPy, by code that shares nothing with the library.
"""

import functools
import time
import warnings

import jax
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks._serve import serve
from hhmm import EfficientHHMM
from hhmm._inference.prepare import prepare
from hhmm._messages import BACKENDS
from hhmm._model.emissions import emission_factors, logits_from_params, terms_of
from hhmm._runtime.precision import double_precision
from hhmm._types import Params
from tests import long_sequences


def kinds():
    """Names of the kinds of sequences."""
    return list(long_sequences.KINDS)


@double_precision
def errors(kind, n_timesteps):
    """Errors of log p(x), over all kinds of message passing.

    Returns
    -------
    errors : dict
        ``exact``, log p(x) in nats; ``score``, the largest error of ``score_samples``, as a
        fraction of that; ``recorded``, the largest error of what a sweep records, in nats.
    """
    model, x = long_sequences.make(kind, n_timesteps)
    exact = long_sequences.log_likelihood(model, x)
    params = Params(*model)
    factors = emission_factors(logits_from_params(params), terms_of(params))
    scores, recorded = [], []
    for backend in BACKENDS:
        fitted = EfficientHHMM.from_params(*model, message_passing=backend)
        scores.append(fitted.score_samples([x])[0])
        prepared = prepare([x], terms_of(params), backend, every_timestep=False)
        kernels = BACKENDS[prepared.backend]
        draw = functools.partial(kernels.sample, jax.random.key(1))
        for kernel in (draw, kernels.expected_counts):
            found = jax.jit(kernel)(factors, model.trans_probs, prepared.data)[-1]
            recorded.append(float(np.squeeze(found)))
    return {
        "exact": exact,
        "score": max(abs(score - exact) for score in scores) / abs(exact),
        "recorded": max(abs(value - exact) for value in recorded),
    }


def fit(kind, n_timesteps, n_sweeps):
    """A fit on one sequence, its states, and its score: seconds, and whether all are finite."""
    _, x = long_sequences.make(kind, n_timesteps)
    model = EfficientHHMM(long_sequences.N_STATES, max_iter=n_sweeps, random_state=0)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of so few sweeps
        states = model.fit([x]).predict([x])[0]
    seconds = time.perf_counter() - start
    values = [model.score([x]), model.log_joint_, model.emission_base_, model.emission_biases_]
    finite = all(np.isfinite(value).all() for value in values) and states.min() >= 0
    return {"seconds": seconds, "finite": bool(finite)}


if __name__ == "__main__":
    serve({"kinds": kinds, "errors": errors, "fit": fit})
