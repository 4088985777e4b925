"""The model without its economy: each state has a syllable transition matrix of its own.

    z[1] ~ Uniform(K)          A[k, :] ~ Dirichlet(trans_beta + trans_kappa e_k)
    x[t] | x[t-1] = i, z[t] = k ~ P[k, i, :]          P[k, i, :] ~ Dirichlet(emission_alpha)

K S (S - 1) emission parameters. States, transitions and their prior are those of `hhmm`, and so
is the way it is fitted: expectation maximisation to a mode of the log joint. A mode depends on
the coordinates; as there, it is that of the density in the logits of P, which for a Dirichlet
prior is the mean of P given the expected counts (MacKay 1998, "Choice of basis for Laplace
approximation", Machine Learning 33): no probability is ever zero. The mode of A is that of the
density in A, as there. Concentrations of A are at least 1.

Written for sequences of equal length without missing timesteps. Messages are scaled (Rabiner
1989), in float64.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import xlogy


class FreeParams(NamedTuple):
    """Parameters of the model."""

    trans_probs: np.ndarray  # A, (n_states, n_states)
    syllable_probs: np.ndarray  # P, (n_states, n_syllables, n_syllables)


class Priors(NamedTuple):
    """Concentrations of the Dirichlet priors."""

    emission_alpha: float
    trans_beta: float
    trans_kappa: float


class Expected(NamedTuple):
    """Expected counts given the syllables, and the log-likelihood."""

    state_trans_counts: np.ndarray  # (n_states, n_states)
    syllable_trans_counts: np.ndarray  # (n_states, n_syllables, n_syllables)
    log_likelihood: float  # nats


class Fit(NamedTuple):
    """Where expectation maximisation ended."""

    params: FreeParams
    log_joint: list  # of the parameters before each iteration, but for a constant
    converged: bool


def fit(X, start, priors, *, max_iter=1000, tol=1e-2):
    """Climb to a mode by expectation maximisation.

    Parameters
    ----------
    X : (n_sequences, n_timesteps) int
    start : FreeParams or Expected
        Parameters, or counts whose mode is the first.
    priors : Priors
    max_iter : int
    tol : float
        Gain in log joint, nats, of an iteration that is the last one.

    Returns
    -------
    fit : Fit
    """
    with jax.enable_x64(True):
        X = jnp.asarray(np.ascontiguousarray(np.transpose(X)))
        params = maximise(start, priors) if isinstance(start, Expected) else start
        trace = []
        for _ in range(max_iter):
            expected = _expect(X, params)
            trace.append(float(expected.log_likelihood + log_prior(params, priors)))
            if len(trace) > 1 and trace[-1] - trace[-2] <= tol:
                return Fit(params, trace, True)
            params = maximise(expected, priors)
        return Fit(params, trace, False)


def expect(X, params):
    """Expected counts of X (n_sequences, n_timesteps) under parameters; returns `Expected`."""
    with jax.enable_x64(True):
        return _expect(jnp.asarray(np.transpose(X)), params)


def maximise(expected, priors):
    """Parameters that maximise the expected log joint; returns `FreeParams`."""
    n_states = len(expected.state_trans_counts)
    diagonal = priors.trans_kappa * np.eye(n_states)
    A = np.asarray(expected.state_trans_counts) + max(priors.trans_beta, 1.0) - 1.0 + diagonal
    # a state without a transition of its own goes on as the prior's limit has it
    A = np.where(A.sum(axis=-1, keepdims=True) > 0, A, 1.0)
    P = np.asarray(expected.syllable_trans_counts) + priors.emission_alpha
    return FreeParams(A / A.sum(axis=-1, keepdims=True), P / P.sum(axis=-1, keepdims=True))


def log_prior(params, priors):
    """Log prior density of A and of the logits of P, but for a constant; nats."""
    A, P = params
    alpha = max(priors.trans_beta, 1.0) + priors.trans_kappa * np.eye(len(A))
    return float(xlogy(alpha - 1, A).sum() + priors.emission_alpha * np.log(P).sum())


def count(X, states, n_states, n_syllables):
    """Counts of known states, as `Expected` without a log-likelihood."""
    state_trans_counts = np.zeros((n_states, n_states))
    np.add.at(state_trans_counts, (states[:, :-1], states[:, 1:]), 1)
    syllable_trans_counts = np.zeros((n_states, n_syllables, n_syllables))
    np.add.at(syllable_trans_counts, (states[:, 1:], X[:, :-1], X[:, 1:]), 1)
    return Expected(state_trans_counts, syllable_trans_counts, np.nan)


def score(X, params):
    """Log-likelihood of X over its number of transitions, nats."""
    return float(expect(X, params).log_likelihood) / (X.shape[0] * (X.shape[1] - 1))


def predict(X, params):
    """Most probable state of every timestep given the whole sequence."""
    with jax.enable_x64(True):
        messages = _messages(jnp.asarray(np.transpose(X)), *params)
        return np.asarray(messages.smoothed.argmax(axis=-1)).T


class _Messages(NamedTuple):
    """Of all sequences; time comes first."""

    factors: jax.Array  # p(x[t] | x[t-1], z[t]), (T, N, K)
    forward: jax.Array  # p(z[t] | x[1..t]), (T, N, K)
    normalisers: jax.Array  # p(x[t] | x[1..t-1]), (T, N)
    backward: jax.Array  # p(x[t+1..] | z[t], x[t]) over p(x[t+1..] | x[1..t]), (T, N, K)

    @property
    def smoothed(self):
        """p(z[t] | x), (T, N, K)."""
        return self.forward * self.backward


@jax.jit
def _messages(X, trans_probs, syllable_probs):
    n_states = len(trans_probs)
    factors = jnp.moveaxis(syllable_probs, 0, -1)[X[:-1], X[1:]]
    factors = jnp.concatenate([jnp.ones_like(factors[:1]), factors])

    def forwards(message, factor):
        joint = message @ trans_probs * factor
        normaliser = joint.sum(axis=-1)
        message = joint / normaliser[:, None]
        return message, (message, normaliser)

    first = jnp.full((X.shape[1], n_states), 1 / n_states)
    _, (forward, normalisers) = jax.lax.scan(forwards, first, factors[1:])
    forward = jnp.concatenate([first[None], forward])
    normalisers = jnp.concatenate([jnp.ones_like(normalisers[:1]), normalisers])

    def backwards(message, step):
        factor, normaliser = step
        message = (message * factor / normaliser[:, None]) @ trans_probs.T
        return message, message

    last = jnp.ones_like(first)
    _, backward = jax.lax.scan(backwards, last, (factors[1:], normalisers[1:]), reverse=True)
    return _Messages(factors, forward, normalisers, jnp.concatenate([backward, last[None]]))


def _expect(X, params):
    n_syllables = params.syllable_probs.shape[-1]
    return Expected(*_expected_counts(X, *params, n_syllables=n_syllables))


@functools.partial(jax.jit, static_argnames="n_syllables")
def _expected_counts(X, trans_probs, syllable_probs, *, n_syllables):
    messages = _messages(X, trans_probs, syllable_probs)
    arriving = messages.backward[1:] * messages.factors[1:] / messages.normalisers[1:, :, None]
    pairs = trans_probs * jnp.einsum("tnk,tnl->kl", messages.forward[:-1], arriving)
    smoothed = messages.smoothed[1:]
    flat = (X[:-1] * n_syllables + X[1:]).reshape(-1)
    n_states = len(trans_probs)
    syllables = jax.ops.segment_sum(smoothed.reshape(-1, n_states), flat, n_syllables**2)
    return (
        pairs,
        syllables.T.reshape(n_states, n_syllables, n_syllables),
        jnp.log(messages.normalisers).sum(),
    )
