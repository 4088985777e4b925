"""Oracles: the model written a second time, plainly, in NumPy, sharing no code with hhmm.

Everything here is exact and slow: enumeration over all K^T paths, dense Hessians.
"""

import itertools
from typing import NamedTuple

import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats


class Model(NamedTuple):
    """Parameters of the published model as the oracles use them."""

    emission_base: np.ndarray  # b
    emission_biases: np.ndarray  # c
    trans_probs: np.ndarray  # A

    self_transitions = True

    @property
    def n_states(self):
        return len(self.trans_probs)

    @property
    def n_syllables(self):
        return len(self.emission_base)

    @property
    def emission_usage(self):
        return np.zeros(self.n_syllables - 1)

    @property
    def emission_interactions(self):
        return np.zeros((self.n_states - 1, self.n_syllables, self.n_syllables - 1))


class ModelOfTerms(NamedTuple):
    """Parameters of a model of all terms; those that are left out are 0."""

    emission_base: np.ndarray  # b
    emission_biases: np.ndarray  # c
    trans_probs: np.ndarray  # A
    emission_usage: np.ndarray  # u
    emission_interactions: np.ndarray  # d
    self_transitions: bool

    n_states = Model.n_states
    n_syllables = Model.n_syllables


# terms of the logits: whether they depend on the state, and on the syllable before
TERMS = {
    "base": (False, True),
    "biases": (True, False),
    "usage": (False, False),
    "interactions": (True, True),
}


def param_shape(name, n_states, n_syllables):
    """Shape of the parameters of a term."""
    by_state, by_from = TERMS[name]
    return (*[n_states - 1] * by_state, *[n_syllables] * by_from, n_syllables - 1)


def random_model(rng, n_states, n_syllables, *, sigma=1.0, zeros=False):
    """Random parameters; with `zeros`, some transitions are impossible."""
    b = sigma * rng.standard_normal((n_syllables, n_syllables - 1))
    c = sigma * rng.standard_normal((n_states - 1, n_syllables - 1))
    trans = rng.dirichlet(np.ones(n_states), size=n_states)
    if zeros:
        trans = np.triu(trans)  # left to right: a state once left is never seen again
        trans /= trans.sum(axis=1, keepdims=True)
    return Model(b, c, trans)


def random_model_of_terms(
    rng, n_states, n_syllables, names=tuple(TERMS), *, self_transitions=True, sigma=1.0, zeros=False
):
    """Random parameters of some terms, as `random_model` makes those of base and biases."""
    trans_probs = random_model(rng, n_states, n_syllables, zeros=zeros).trans_probs
    drawn = {name: rng.standard_normal(param_shape(name, n_states, n_syllables)) for name in TERMS}
    return ModelOfTerms(
        **{f"emission_{name}": sigma * (name in names) * drawn[name] for name in TERMS},
        trans_probs=trans_probs,
        self_transitions=self_transitions,
    )


def helmert(n):
    """The Helmert basis, column by column, as its definition reads."""
    basis = np.zeros((n, n - 1))
    for r in range(1, n):
        column = np.zeros(n)
        column[r] = 1
        column[:r] = -1 / r
        basis[:, r - 1] = column / np.linalg.norm(column)
    return basis


def syllable_trans_probs(model):
    """P[k, i, j] by a loop; without self-transitions, P[k, i, i] is 0."""
    q_s, q_k = helmert(model.n_syllables), helmert(model.n_states)
    base = model.emission_base @ q_s.T
    biases = q_k @ model.emission_biases @ q_s.T
    usage = model.emission_usage @ q_s.T
    probs = np.zeros((model.n_states, model.n_syllables, model.n_syllables))
    for k in range(model.n_states):
        for i in range(model.n_syllables):
            interaction = q_k[k] @ model.emission_interactions[:, i] @ q_s.T
            weights = np.exp(base[i] + biases[k] + usage + interaction)
            if not model.self_transitions:
                weights[i] = 0
            probs[k, i] = weights / weights.sum()
    return probs


def emits(sequence, t, *, self_transitions):
    """Whether there is an emission at a timestep: two syllables are known, and none is held."""
    if t == 0 or sequence[t - 1] < 0 or sequence[t] < 0:
        return False
    return self_transitions or sequence[t - 1] != sequence[t]


def path_probs(model, sequence):
    """p(x, z) of every path z of one sequence (list of labels, -1 missing).

    Returns
    -------
    paths : (K^T, T) int
    joint : (K^T,) float
    """
    emission = syllable_trans_probs(model)
    paths = np.array(list(itertools.product(range(model.n_states), repeat=len(sequence))))
    joint = np.full(len(paths), 1 / model.n_states)
    for t in range(1, len(sequence)):
        joint *= model.trans_probs[paths[:, t - 1], paths[:, t]]
        if emits(sequence, t, self_transitions=model.self_transitions):
            joint *= emission[paths[:, t], sequence[t - 1], sequence[t]]
    return paths, joint


def log_likelihood(model, sequence):
    return np.log(path_probs(model, sequence)[1].sum())


def smoothed(model, sequence):
    """p(z[t] | x), (T, K)."""
    paths, joint = path_probs(model, sequence)
    marginals = np.array(
        [
            [joint[paths[:, t] == k].sum() for k in range(model.n_states)]
            for t in range(len(sequence))
        ]
    )
    return marginals / joint.sum()


def filtered(model, sequence):
    """p(z[t] | x[1..t]), (T, K), by smoothing every prefix."""
    return np.array([smoothed(model, sequence[: t + 1])[-1] for t in range(len(sequence))])


class LogForwardBackward:
    """Forward-backward in logarithms and float64, a loop over timesteps: for long sequences."""

    def __init__(self, model, sequence):
        x, n_states = np.asarray(sequence), model.n_states
        with np.errstate(divide="ignore"):
            log_trans = np.log(model.trans_probs)
            log_emission = np.log(syllable_trans_probs(model))
        self.log_emission = np.zeros((len(x), n_states))
        for t in range(1, len(x)):
            if emits(x, t, self_transitions=model.self_transitions):
                self.log_emission[t] = log_emission[:, x[t - 1], x[t]]
        forward = np.zeros((len(x), n_states))
        backward = np.zeros((len(x), n_states))
        forward[0] = -np.log(n_states)
        for t in range(1, len(x)):
            before = scipy.special.logsumexp(forward[t - 1][:, None] + log_trans, axis=0)
            forward[t] = before + self.log_emission[t]
        for t in range(len(x) - 2, -1, -1):
            after = self.log_emission[t + 1] + backward[t + 1]
            backward[t] = scipy.special.logsumexp(log_trans + after, axis=1)
        self.log_likelihood = scipy.special.logsumexp(forward[-1])
        self.filtered = scipy.special.softmax(forward, axis=1)
        self.smoothed = scipy.special.softmax(forward + backward, axis=1)
        best = np.zeros(n_states)
        for t in range(1, len(x)):
            best = (best[:, None] + log_trans).max(axis=0) + self.log_emission[t]
        self.best_log_prob = best.max() - np.log(n_states)
        self.log_trans = log_trans

    def log_prob(self, path):
        """log p(x, z) of a path."""
        return (
            -np.log(len(self.log_trans))
            + self.log_trans[path[:-1], path[1:]].sum()
            + self.log_emission[np.arange(len(path)), path].sum()
        )


def expected_counts(model, sequences):
    """Sufficient statistics averaged over all paths."""
    trans = np.zeros((model.n_states, model.n_states))
    syllables = np.zeros((model.n_states, model.n_syllables, model.n_syllables))
    for x in sequences:
        paths, joint = path_probs(model, x)
        weights = joint / joint.sum()
        for t in range(1, len(x)):
            np.add.at(trans, (paths[:, t - 1], paths[:, t]), weights)
            if emits(x, t, self_transitions=model.self_transitions):
                np.add.at(syllables, (paths[:, t], x[t - 1], x[t]), weights)
    return trans, syllables


def count_transitions(sequences, states, n_states, n_syllables, *, self_transitions=True):
    """Sufficient statistics by a loop over timesteps."""
    trans = np.zeros((n_states, n_states))
    syllables = np.zeros((n_states, n_syllables, n_syllables))
    for x, z in zip(sequences, states, strict=True):
        observed = [t for t in range(len(x)) if x[t] >= 0]
        length = observed[-1] + 1 if observed else 0
        for t in range(1, length):
            trans[z[t - 1], z[t]] += 1
            if emits(x, t, self_transitions=self_transitions):
                syllables[z[t], x[t - 1], x[t]] += 1
    return trans, syllables


def log_prior(model, sigma_base, sigma_biases, beta, kappa):
    """Log prior density through scipy.stats, entry by entry."""
    total = scipy.stats.norm(0, sigma_base).logpdf(model.emission_base).sum()
    total += scipy.stats.norm(0, sigma_biases).logpdf(model.emission_biases).sum()
    for k, row in enumerate(model.trans_probs):
        alpha = np.full(model.n_states, beta)
        alpha[k] += kappa
        if model.n_states > 1:
            total += scipy.stats.dirichlet(alpha).logpdf(row)
    return total


class EmissionPosterior:
    """Negative log posterior of theta given counts, with a dense Hessian.

    Theta are the parameters of the terms whose scale is given, one after the other.
    """

    def __init__(
        self,
        counts,
        sigma_base=None,
        sigma_biases=None,
        sigma_usage=None,
        sigma_interactions=None,
        *,
        self_transitions=True,
    ):
        self.counts = counts
        n_states, n_syllables, _ = counts.shape
        sigmas = dict(
            zip(TERMS, (sigma_base, sigma_biases, sigma_usage, sigma_interactions), strict=True)
        )
        q_s, q_k = helmert(n_syllables), helmert(n_states)
        self.shapes, precision, blocks = {}, [], []
        for name, sigma in sigmas.items():
            if sigma is None:
                continue
            by_state, by_from = TERMS[name]
            self.shapes[name] = param_shape(name, n_states, n_syllables)
            precision.append(np.full(np.prod(self.shapes[name], dtype=int), sigma**-2))
            # block[k, i] maps the parameters of the term to what it adds to the logits [k, i]
            block = np.zeros((n_states, n_syllables, n_syllables, len(precision[-1])))
            for k in range(n_states):
                for i in range(n_syllables):
                    of_state = q_k[k] if by_state else np.ones(1)
                    of_from = np.eye(n_syllables)[i] if by_from else np.ones(1)
                    block[k, i] = np.kron(np.kron(of_state, of_from), q_s)
            blocks.append(block)
        self.design = np.concatenate(blocks, axis=-1)
        self.precision = np.concatenate(precision)
        # what cannot be: a syllable after itself, where that is no emission
        self.mask = np.zeros((n_syllables, n_syllables))
        if not self_transitions:
            np.fill_diagonal(self.mask, -1e300)

    def point(self, theta):
        """The terms of theta, a row over j for every level of their axes, one below the other."""
        n_states, n_syllables, _ = self.counts.shape
        rows = []
        for name, params in zip(self.shapes, self.split(theta), strict=True):
            values = params @ helmert(n_syllables).T
            if TERMS[name][0]:
                values = np.einsum("kl,l...->k...", helmert(n_states), values)
            rows.append(values.reshape(-1, n_syllables))
        return np.concatenate(rows)

    def value(self, theta):
        logits = self.design @ theta + self.mask
        log_probs = logits - scipy.special.logsumexp(logits, axis=-1, keepdims=True)
        log_prior = 0.5 * np.sum(np.log(self.precision / (2 * np.pi)) - self.precision * theta**2)
        return -np.sum(self.counts * log_probs) - log_prior

    def values(self, thetas):
        """`value` of many, (n, n_params)."""
        logits = np.einsum("kijd,nd->nkij", self.design, thetas) + self.mask
        log_partition = scipy.special.logsumexp(logits, axis=-1)
        return (
            np.einsum("nki,ki->n", log_partition, self.counts.sum(axis=-1))
            - np.einsum("nkij,kij->n", logits, self.counts)
            - 0.5
            * np.sum(np.log(self.precision / (2 * np.pi)) - self.precision * thetas**2, axis=1)
        )

    def gradient(self, theta):
        probs = scipy.special.softmax(self.design @ theta + self.mask, axis=-1)
        residual = self.counts.sum(-1, keepdims=True) * probs - self.counts
        return np.einsum("kijd,kij->d", self.design, residual) + self.precision * theta

    def hessian(self, theta):
        probs = scipy.special.softmax(self.design @ theta + self.mask, axis=-1)
        hessian = np.diag(self.precision)
        for k, i in np.ndindex(self.counts.shape[:2]):
            covariance = np.diag(probs[k, i]) - np.outer(probs[k, i], probs[k, i])
            design = self.design[k, i]
            hessian += self.counts[k, i].sum() * design.T @ covariance @ design
        return hessian

    def mode(self):
        """Dense Newton with step halving, to machine precision."""
        theta = np.zeros(self.design.shape[-1])
        for _ in range(100):
            step = np.linalg.solve(self.hessian(theta), -self.gradient(theta))
            size = 1.0
            while self.value(theta + size * step) > self.value(theta) and size > 1e-10:
                size /= 2
            theta = theta + size * step
            if np.abs(step).max(initial=0) < 1e-13:
                break
        return theta

    def split(self, theta):
        """theta as parameters of the terms, (b, c) of the published model."""
        ends = np.cumsum([np.prod(shape, dtype=int) for shape in self.shapes.values()])
        parts = zip(np.split(theta, ends[:-1]), self.shapes.values(), strict=True)
        return tuple(part.reshape(shape) for part, shape in parts)


def chi_square_p_value(observed, expected):
    """p-value of Pearson's test; cells with fewer than 5 expected are pooled."""
    observed, expected = np.ravel(observed), np.ravel(expected)
    assert observed[expected == 0].sum() == 0, "something impossible was drawn"
    small = expected < 5
    observed = np.append(observed[~small], observed[small].sum())
    expected = np.append(expected[~small], expected[small].sum())
    keep = expected > 0
    statistic = np.sum((observed[keep] - expected[keep]) ** 2 / expected[keep])
    return scipy.stats.chi2.sf(statistic, max(keep.sum() - 1, 1))
