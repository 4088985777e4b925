"""Long sequences of few syllables, and log p(x) of them in float64, without code of hhmm."""

import itertools

import numpy as np

from tests import oracles

N_STATES, N_SYLLABLES = 3, 4


def syllables_that_change(rng, n):
    """Every fifth timestep another syllable."""
    return np.cumsum((rng.random(n) < 0.2) * rng.integers(1, 4, n)) % 4


# from a generator and a length; of all but the first two, each timestep rounds alike
KINDS = {
    "changes": syllables_that_change,
    "held": lambda rng, n: np.repeat(syllables_that_change(rng, n // 40), 40),
    "constant": lambda _, n: np.zeros(n, int),
    "cyclic": lambda _, n: np.arange(n) % 4,
    "blocks": lambda _, n: np.arange(n) // 1000 % 2,
}
ROUNDED_ALIKE = ("constant", "cyclic", "blocks")


def make(kind, n_timesteps):
    """Parameters under which each timestep is nearly certain, and a sequence.

    Returns
    -------
    model : oracles.Model
    x : (n_timesteps,) int32
    """
    rng = np.random.default_rng(0)
    base = rng.normal(size=(N_SYLLABLES, N_SYLLABLES))
    base += 8 * np.roll(np.eye(N_SYLLABLES), kind == "cyclic", axis=1)
    biases = rng.normal(size=(N_STATES, N_SYLLABLES))
    q_s, q_k = oracles.helmert(N_SYLLABLES), oracles.helmert(N_STATES)
    trans_probs = np.full((N_STATES, N_STATES), 0.0005)
    np.fill_diagonal(trans_probs, 0.999)
    model = oracles.Model(base @ q_s, q_k.T @ biases @ q_s, trans_probs)
    return model, KINDS[kind](rng, n_timesteps).astype(np.int32)


def log_likelihood(model, x, n_parts=1000):
    """log p(x) of complete data: products over timesteps of many parts at once, then over parts."""
    emission = oracles.syllable_trans_probs(model).transpose(1, 2, 0)
    n_each = (len(x) - 1) // n_parts
    before, after = (x[s : s + n_each * n_parts].reshape(n_parts, n_each) for s in (0, 1))
    products = np.broadcast_to(np.eye(model.n_states), (n_parts, model.n_states, model.n_states))
    log_scale = np.zeros(n_parts)
    for i, j in zip(before.T, after.T, strict=True):
        products = products @ model.trans_probs * emission[i, j][:, None, :]
        total = products.sum(axis=(1, 2))
        products, log_scale = products / total[:, None, None], log_scale + np.log(total)
    rest = x[n_each * n_parts :]
    further = (model.trans_probs * emission[i, j] for i, j in itertools.pairwise(rest))
    message, total = np.full(model.n_states, 1 / model.n_states), log_scale.sum()
    for link in [*products, *further]:
        message = message @ link
        total += np.log(message.sum())
        message = message / message.sum()
    return total
