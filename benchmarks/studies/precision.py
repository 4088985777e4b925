"""Measure what rounding does to log p(x) as sequences grow, beside float64.

``score_samples`` computes in float64, a sweep in float32. What the latter records drifts from the
truth with every timestep if all timesteps round alike. Shown are the largest errors over all kinds
of message passing, on sequences that change, that hold each syllable, and that are nearly certain
throughout. The exact value is computed in NumPy by code that shares nothing with the library's
message passing.
"""

import functools
import itertools
import time

import jax
import numpy as np
from scipy.linalg import helmert

from benchmarks.figures import RULE, quantity, verdict
from benchmarks.studies._study import run_study
from hhmm import EfficientHHMM
from hhmm._inference.prepare import prepare
from hhmm._messages import BACKENDS
from hhmm._model.emissions import emission_factors, logits_from_params, terms_of
from hhmm._runtime.precision import double_precision
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import Params

N_STATES, N_SYLLABLES = 3, 4
N_SWEEPS = 5
SCORE_ERROR = 1e-7  # of log p(x), as a fraction
_ROW = "{kind:<12}{n:>12}{exact:>20}{score:>16}{recorded:>18}{step:>20}"


def syllables_that_change(rng, n):
    """Return syllables that change at every fifth timestep."""
    return np.cumsum((rng.random(n) < 0.2) * rng.integers(1, 4, n)) % 4


# each makes syllables from a generator and a length
KINDS = {
    "changes": syllables_that_change,
    "held": lambda rng, n: np.repeat(syllables_that_change(rng, n // 40), 40),
    "constant": lambda _, n: np.zeros(n, int),
    "cyclic": lambda _, n: np.arange(n) % 4,
    "blocks": lambda _, n: np.arange(n) // 1000 % 2,
}


def make(kind, n_timesteps):
    """Return parameters under which each timestep is nearly certain, and a sequence."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(N_SYLLABLES, N_SYLLABLES))
    base += 8 * np.roll(np.eye(N_SYLLABLES), kind == "cyclic", axis=1)
    biases = rng.normal(size=(N_STATES, N_SYLLABLES))
    # parameters are coordinates in bases that are scipy's but for the sign
    to_syllables, to_states = -helmert(N_SYLLABLES), -helmert(N_STATES)
    trans_probs = np.full((N_STATES, N_STATES), 0.0005)
    np.fill_diagonal(trans_probs, 0.999)
    params = Params(base @ to_syllables.T, to_states @ biases @ to_syllables.T, trans_probs)
    return params, KINDS[kind](rng, n_timesteps).astype(np.int32)


def log_likelihood(trans_probs, syllable_trans_probs, x, n_parts=1000):
    """Return log p(x): products over the timesteps of many parts at once, then over parts.

    Parameters
    ----------
    trans_probs : (n_states, n_states)
    syllable_trans_probs : (n_states, n_syllables, n_syllables)
    x : (n_timesteps,) int
    """
    n_states = len(trans_probs)
    emission = np.moveaxis(syllable_trans_probs, 0, -1)
    n_each = (len(x) - 1) // n_parts
    before, after = (x[s : s + n_each * n_parts].reshape(n_parts, n_each) for s in (0, 1))
    products, log_scale = np.broadcast_to(np.eye(n_states), (n_parts, n_states, n_states)), 0.0
    for i, j in zip(before.T, after.T, strict=True):
        products = products @ trans_probs * emission[i, j][:, None, :]
        total = products.sum(axis=(1, 2))
        products, log_scale = products / total[:, None, None], log_scale + np.log(total).sum()
    rest = itertools.pairwise(x[n_each * n_parts :])
    message = np.full(n_states, 1 / n_states)
    for link in [*products, *(trans_probs * emission[i, j] for i, j in rest)]:
        message = message @ link
        log_scale += np.log(message.sum())
        message = message / message.sum()
    return log_scale


@double_precision
def measure_errors(kind, n_timesteps):
    """Return log p(x), and the largest errors of scores and of what a sweep records."""
    params, x = make(kind, n_timesteps)
    table = EfficientHHMM.from_params(*params[:3]).syllable_trans_probs_
    exact = log_likelihood(params.trans_probs, table, x)
    factors = emission_factors(logits_from_params(params), terms_of(params))
    scores, recorded = [], []
    for backend in BACKENDS:
        model = EfficientHHMM.from_params(*params[:3], message_passing=backend)
        scores.append(model.score_samples([x])[0])
        prepared = prepare(RunLengths.of([x]), terms_of(params), backend, every_timestep=False)
        kernels = BACKENDS[prepared.backend]
        draw = functools.partial(kernels.sample, jax.random.key(1))
        for kernel in (draw, kernels.expected_counts):
            found = jax.jit(kernel)(factors, params.trans_probs, prepared.data)[-1]
            recorded.append(float(np.squeeze(found)))
    return (
        exact,
        max(abs(score - exact) for score in scores) / abs(exact),
        max(abs(value - exact) for value in recorded),
    )


def fit_is_finite(kind, n_timesteps):
    """Fit one sequence; return the seconds, and whether states, score and parameters are finite."""
    _, x = make(kind, n_timesteps)
    model = EfficientHHMM(N_STATES, max_iter=N_SWEEPS, random_state=0)
    began = time.perf_counter()
    states = model.fit([x]).predict([x])[0]
    seconds = time.perf_counter() - began
    values = [model.score([x]), model.log_joint_, model.emission_base_, model.emission_biases_]
    return seconds, all(np.isfinite(value).all() for value in values) and states.min() >= 0


def measure(quick):
    """Compare with float64, fit the longest sequences, and return the table."""
    sizes = (10_000, 100_000) if quick else (100_000, 1_000_000, 10_000_000)
    lines = [
        f"precision: log p(x) of one sequence, {N_STATES} states, {N_SYLLABLES} syllables; largest "
        "error of sequential,",
        "compressed and parallel message passing, from float64 in NumPy",
        _ROW.format(
            kind="sequence",
            n="timesteps",
            exact="log p(x), nats",
            score="score_samples",
            recorded="sweep, nats",
            step="nats a timestep",
        ),
        RULE,
    ]
    met, fits = True, []
    for kind in KINDS:
        for n in sizes:
            print(f"{kind}, {n:,} timesteps", flush=True)
            exact, score, recorded = measure_errors(kind, n)
            met &= score <= SCORE_ERROR
            lines.append(
                _ROW.format(
                    kind=kind,
                    n=f"{n:,}",
                    exact=f"{exact:,.4f}",
                    score=f"{score:.1e}",
                    recorded=f"{recorded:.1e}",
                    step=f"{recorded / n:.1e}",
                )
            )
        seconds, finite = fit_is_finite(kind, sizes[-1])
        met &= finite
        fits.append(f"{kind} {quantity(seconds, 's')}{'' if finite else ' (NOT FINITE)'}")
    lines += [
        f"fits of {N_SWEEPS} sweeps on {sizes[-1]:,} timesteps, with predict, compiling included:",
        f"    {', '.join(fits)}",
        f"scores within {SCORE_ERROR:g} of float64, fits finite: {verdict(met)}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    run_study(__file__, __doc__, measure)
