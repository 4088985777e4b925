"""Whether the chains of a Gibbs fit agree, and how many independent draws they are worth.

R-hat compares the variance between chains with the variance within them, after
every chain is split in half and the draws of all chains are replaced by the normal
scores of their ranks; and once more for distances from the median, so that chains
of different spread are told apart too. The effective sample size is the number of
independent draws that would estimate as well; the autocorrelations are those of
all split chains together, summed over Geyer's initial monotone sequence [2]_.
Formulas are those of Vehtari et al. [1]_, and so are the equation numbers below and
the advice: run four chains or more, and trust a quantity whose R-hat is below 1.01 and
whose effective sample sizes are above 400.

The states of a hidden Markov model have no names, and a parameter of a state means
nothing in a chain that calls the state by another. `posterior_summary` therefore begins
with quantities that no numbering can change: if those disagree, so do the chains. If
only those that belong to a state do, it may be the names.

arviz computes the same numbers, one quantity after the other. For the 626 of a model with
10 states and 50 syllables, from 4 chains of 25 draws, it took 1.7 s where the code here took
0.03 s, and a second more to be imported. So the tests hold the two against each other, and
nothing else uses it.

References
----------
.. [1] Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C.
   (2021). Rank-normalization, folding, and localization: An improved R-hat for
   assessing convergence of MCMC. Bayesian Analysis, 16(2), 667-718.
.. [2] Geyer, C. J. (1992). Practical Markov chain Monte Carlo. Statistical
   Science, 7(4), 473-483, section 3.3.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import entr, ndtri
from scipy.stats import rankdata
from sklearn.utils.validation import check_is_fitted

from hhmm._model.emissions import logits_from_params
from hhmm._optional.extras import import_extra
from hhmm._types import Params
from hhmm._validation import check_flag, to_array

__all__ = ["PosteriorSummary", "ess_bulk", "ess_tail", "posterior_summary", "rhat"]

_MIN_DRAWS = 4  # two in each half of a chain, for a variance
_BLOCK_DRAWS = 1 << 17  # worked on at once, to bound the memory
_PRINTED_ROWS = 60


def rhat(draws):
    """Rank-normalised split R-hat: the factor by which chains spread more than one chain.

    Parameters
    ----------
    draws : array-like of shape (n_chains, n_draws, ...)
        Draws of one or of many quantities.

    Returns
    -------
    rhat : float64 or ndarray of shape (...), float64
        For each quantity the larger one of R-hat of the ranks and R-hat of the ranks
        of the distances from the median. Chains that agree have 1; above 1.01 they do not.
        NaN with one chain, since the halves of one chain cannot tell that another
        would end elsewhere; with fewer than 4 draws; where a draw is not finite; and
        where all draws are equal.

    Raises
    ------
    TypeError, ValueError
        If `draws` does not hold real numbers, or has fewer than two axes, or no chain.

    References
    ----------
    .. [1] Vehtari et al. (2021), cited in full in `hhmm.diagnostics`, eqs. 1-4, 14 and 15.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.diagnostics import rhat
    >>> draws = np.random.default_rng(0).normal(size=(4, 500, 2))
    >>> draws[3, :, 1] += 1  # one chain is elsewhere in the second quantity
    >>> rhat(draws).round(2)
    array([1.  , 1.12])
    """
    return _each_quantity(_rank_normalised_rhat, draws, min_chains=2)


def ess_bulk(draws):
    """Effective sample size for the middle of a distribution, its mean and median.

    Parameters
    ----------
    draws : array-like of shape (n_chains, n_draws, ...)
        Draws of one or of many quantities.

    Returns
    -------
    ess : float64 or ndarray of shape (...), float64
        For each quantity the number of independent draws that the normal scores of the
        ranks are worth, all chains together. Never more than S log10(S) for S draws. S
        where all draws are equal. NaN with fewer than 4 draws, and where one is not finite.

    Raises
    ------
    TypeError, ValueError
        If `draws` does not hold real numbers, or has fewer than two axes, or no chain.

    References
    ----------
    .. [1] Vehtari et al. (2021), cited in full in `hhmm.diagnostics`, eqs. 10-14.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.diagnostics import ess_bulk
    >>> draws = np.random.default_rng(0).normal(size=(4, 500))
    >>> walks = draws.cumsum(axis=1)
    >>> bool(ess_bulk(walks) < 20 < 1500 < ess_bulk(draws))
    True
    """
    return _each_quantity(lambda draws: _ess(_normal_scores(_split(draws))), draws)


def ess_tail(draws):
    """Effective sample size for the tails of a distribution.

    Parameters
    ----------
    draws : array-like of shape (n_chains, n_draws, ...)
        Draws of one or of many quantities.

    Returns
    -------
    ess : float64 or ndarray of shape (...), float64
        For each quantity the number of independent draws that the indicator of the draws up
        to the 5% quantile is worth, or of those up to the 95% quantile, whichever is
        smaller. S and NaN as in `ess_bulk`.

    Raises
    ------
    TypeError, ValueError
        If `draws` does not hold real numbers, or has fewer than two axes, or no chain.

    References
    ----------
    .. [1] Vehtari et al. (2021), cited in full in `hhmm.diagnostics`, section 4.3.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.diagnostics import ess_tail
    >>> draws = np.random.default_rng(0).normal(size=(4, 500))
    >>> bool(1500 < ess_tail(draws) < 2500)
    True
    """
    return _each_quantity(_tail_ess, draws)


class PosteriorSummary(NamedTuple):
    """Posterior and convergence of each quantity; prints as a table.

    ``summary.rhat[summary.name == "log_joint"]`` picks a figure of a quantity.
    """

    name: np.ndarray  # (n_quantities,) of str
    mean: np.ndarray  # (n_quantities,) over all chains and draws, as all that follow
    sd: np.ndarray  # (n_quantities,) standard deviation
    q5: np.ndarray  # (n_quantities,) 5% quantile
    q95: np.ndarray  # (n_quantities,) 95% quantile
    rhat: np.ndarray  # (n_quantities,)
    ess_bulk: np.ndarray  # (n_quantities,)
    ess_tail: np.ndarray  # (n_quantities,)

    def to_frame(self):
        """A pandas DataFrame (n_quantities, 7), indexed by name; ImportError without pandas."""
        pd = import_extra("pandas", "to_frame")
        return pd.DataFrame(self._asdict()).set_index("name")

    def __repr__(self):
        rows = [("", *self._fields[1:])]
        for name, *values, rhat, bulk, tail in zip(
            *(part[:_PRINTED_ROWS] for part in self), strict=True
        ):
            # Three figures of the standard deviation are all that the mean needs
            sd = values[1]
            digits = min(max(2 - math.floor(math.log10(sd)), 0), 9) if 0 < sd < math.inf else 3
            numbers = [f"{value:.{digits}f}" for value in values]
            rows.append((name, *numbers, f"{rhat:.3f}", f"{bulk:.0f}", f"{tail:.0f}"))
        first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
        lines = ["  ".join([row[0].ljust(first), *map(str.rjust, row[1:], others)]) for row in rows]
        if len(self.name) > _PRINTED_ROWS:
            lines.append(f"... and {len(self.name) - _PRINTED_ROWS:,} more rows")
        return "\n".join(lines)


def posterior_summary(model, *, include_biases=False):
    """Posterior mean, spread and convergence of what a Gibbs fit has drawn.

    Parameters
    ----------
    model : EfficientHHMM
        Fitted with ``algorithm="gibbs"``.
    include_biases : bool, default=False
        Whether to add the K S syllable biases of the states.

    Returns
    -------
    summary : PosteriorSummary
        A row for each of these. Those before dwell_time do not depend on how states are numbered.

        ==========================  =====================================================
        log_joint                   log p(X | parameters) + log p(parameters), nats
        emission_base_norm          root of the sum of squares of b, and of B
        emission_biases_norm        root of the sum of squares of c, and of C
        emission_usage_norm         the same of u, where the model has a usage offset
        emission_interactions_norm  the same of d, where the model has interactions
        emission_..._sigma          each scale that is learnt; so trans_beta, trans_kappa
        mean_staying_prob           mean of the diagonal of A
        mean_dwell_time             mean length of a stay in a state, over all, timesteps
        usage_entropy               entropy of the stationary distribution of A, nats
        dwell_time[k]               mean stay in state k, 1 / (1 - A[k, k]), timesteps
        usage[k]                    stationary probability of state k
        trans_probs[k, l]           A, from state k to state l
        biases[k, j]                C, what state k adds to the logit of syllable j
        ==========================  =====================================================

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If `model` is not fitted.
    ValueError
        If `model` has no draws, since it was fitted by another algorithm or not by `fit`.

    Notes
    -----
    `posterior_` holds `n_draws` draws of each chain, so the effective sample sizes count
    these and not the sweeps between them. With one chain, R-hat is NaN.

    Examples
    --------
    >>> from hhmm import EfficientHHMM
    >>> from hhmm.datasets import make_hhmm
    >>> from hhmm.diagnostics import posterior_summary
    >>> data = make_hhmm(10, 100, n_states=2, n_syllables=4, random_state=0)
    >>> model = EfficientHHMM(n_states=2, max_iter=40, random_state=0).fit(data.X)
    >>> summary = posterior_summary(model)
    >>> summary.name[[0, 4, 9, -1]].tolist()
    ['log_joint', 'emission_base_sigma', 'usage_entropy', 'trans_probs[1, 1]']
    """
    check_is_fitted(model)
    check_flag(include_biases, "include_biases")
    if not hasattr(model, "posterior_"):
        raise ValueError(
            "posterior_summary describes the draws in posterior_, which this model does not "
            "have: expected a fit with algorithm='gibbs'"
        )
    quantities = _quantities(model.posterior_, include_biases)
    names, parts = [], []
    for name, values in quantities.items():
        shape = values.shape[2:]
        names += [f"{name}{list(index) or ''}" for index in np.ndindex(shape)]
        parts.append(values.reshape(*values.shape[:2], math.prod(shape)))
    draws = np.concatenate(parts, axis=-1)
    pooled = draws.reshape(-1, len(names))
    with np.errstate(invalid="ignore"):  # an infinite dwell time has no spread
        sd = pooled.std(axis=0, ddof=1) if len(pooled) > 1 else np.full(len(names), np.nan)
        quantiles = np.quantile(pooled, [0.05, 0.95], axis=0)
        # to interpolate between infinite dwell times gives NaN
        at_draws = np.quantile(pooled, [0.05, 0.95], axis=0, method="higher")
        q5, q95 = np.where(np.isnan(quantiles), at_draws, quantiles)
    return PosteriorSummary(
        *(np.array(names), pooled.mean(axis=0), sd, q5, q95),
        *(rhat(draws), ess_bulk(draws), ess_tail(draws)),
    )


def _quantities(posterior, include_biases):
    """What `posterior_summary` describes: arrays (n_chains, n_draws, ...) by their names."""
    b, c, trans_probs = posterior.emission_base, posterior.emission_biases, posterior.trans_probs
    n_states = trans_probs.shape[-1]
    # A sum, since 1 - A[k, k] has lost its figures where a state hardly ever ends
    leaving = np.sum(trans_probs * (1 - np.eye(n_states)), axis=-1)
    usage = _stationary_distributions(trans_probs)
    with np.errstate(divide="ignore"):
        quantities = {
            "log_joint": posterior.log_joint,
            "emission_base_norm": np.linalg.norm(b, axis=(-2, -1)),
            "emission_biases_norm": np.linalg.norm(c, axis=(-2, -1)),
            **_further_quantities(posterior),
            "mean_staying_prob": np.trace(trans_probs, axis1=-2, axis2=-1) / n_states,
            "mean_dwell_time": 1 / np.sum(usage * leaving, axis=-1),
            "usage_entropy": entr(usage).sum(axis=-1),
            "dwell_time": 1 / leaving,
            "usage": usage,
            "trans_probs": trans_probs,
        }
    if include_biases:
        params = Params(b, c, trans_probs)
        quantities["biases"] = logits_from_params(params).biases
    return quantities


def _further_quantities(posterior):
    """Norms of terms that a model may have, and what was learnt of scales."""
    quantities = {}
    if posterior.emission_usage is not None:
        quantities["emission_usage_norm"] = np.linalg.norm(posterior.emission_usage, axis=-1)
    if posterior.emission_interactions is not None:
        squares = np.sum(posterior.emission_interactions**2, axis=(-3, -2, -1))
        quantities["emission_interactions_norm"] = np.sqrt(squares)
    return quantities | (posterior.sigmas or {})


def _stationary_distributions(trans_probs):
    """Long-run fractions of time (..., n_states) under each of A (..., n_states, n_states)."""
    n_states = trans_probs.shape[-1]
    # usage (I - A) = 0 and usage 1 = 1 in one. The chance of 1e-14 to start anew makes it
    # solvable where states fall into classes without a way between them
    system = np.eye(n_states) - (1 - 1e-14) * trans_probs + 1 / n_states
    usage = np.linalg.solve(np.swapaxes(system, -2, -1), np.ones((n_states, 1)))[..., 0].clip(0)
    return usage / usage.sum(axis=-1, keepdims=True)


def _each_quantity(diagnostic, draws, *, min_chains=1):
    """Apply `diagnostic` to draws (n_quantities, n_chains, n_draws); NaN where it cannot be."""
    masked = np.ma.getmaskarray(draws) if isinstance(draws, np.ma.MaskedArray) else None
    draws = to_array(draws, "draws must hold real numbers")
    if draws.dtype.kind not in "biuf":
        raise TypeError(f"draws must hold real numbers, got dtype {draws.dtype}")
    if masked is not None:
        draws = np.where(masked, np.nan, draws)
    if draws.ndim < 2:
        raise ValueError(f"draws must have shape (n_chains, n_draws, ...), got {draws.shape}")
    n_chains, n_draws, *shape = draws.shape
    if n_chains == 0:
        raise ValueError("draws must hold at least one chain, got 0")
    by_quantity = np.moveaxis(draws.reshape(n_chains, n_draws, math.prod(shape)), -1, 0)
    result = np.full(len(by_quantity), np.nan)
    if n_chains >= min_chains and n_draws >= _MIN_DRAWS:
        finite = np.flatnonzero(np.isfinite(by_quantity).all(axis=(1, 2)))
        size = max(_BLOCK_DRAWS // (n_chains * n_draws), 1)
        for start in range(0, finite.size, size):
            block = finite[start : start + size]
            result[block] = diagnostic(np.array(by_quantity[block], np.float64, order="C"))
    return result.reshape(shape)[()]


def _split(draws):
    """Halves of chains as chains (n_quantities, 2 n_chains, n_draws // 2)."""
    half = draws.shape[-1] // 2
    return np.concatenate([draws[..., :half], draws[..., -half:]], axis=1)


def _normal_scores(draws):
    """Ranks among the draws of all chains, ties averaged, as normal quantiles: eq. 14."""
    pooled = draws.reshape(len(draws), math.prod(draws.shape[1:]))
    ranks = rankdata(pooled, axis=1)
    return ndtri((ranks - 3 / 8) / (pooled.shape[1] + 1 / 4)).reshape(draws.shape)


def _rank_normalised_rhat(draws):
    chains = _split(draws)
    folded = np.abs(chains - np.median(chains, axis=(1, 2), keepdims=True))
    # NaN where all draws fold to one distance, as those of two values do
    return np.fmax(_rhat(_normal_scores(chains)), _rhat(_normal_scores(folded)))


def _rhat(chains):
    """R-hat (n_quantities,) of chains (n_quantities, n_chains, n_draws): eqs. 1-4."""
    n_draws = chains.shape[-1]
    between = n_draws * chains.mean(axis=-1).var(axis=-1, ddof=1)
    within = chains.var(axis=-1, ddof=1).mean(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt((n_draws - 1 + between / within) / n_draws)


def _tail_ess(draws):
    pooled = draws.reshape(len(draws), math.prod(draws.shape[1:]))
    # A draw is <= a quantile if it is <= the order statistic at or below it. To interpolate
    # between two could round to the wrong side of a draw
    orders = [(pooled.shape[1] - 1) * percent // 100 for percent in (5, 95)]
    ordered = np.partition(pooled, orders, axis=1)
    lower, upper = (
        _ess(_split((draws <= ordered[:, order, None, None]).astype(np.float64)))
        for order in orders
    )
    return np.minimum(lower, upper)


def _ess(chains):
    """Effective sample size (n_quantities,) of chains (n_quantities, n_chains, n_draws)."""
    n_quantities, n_chains, n_draws = chains.shape
    n_total = n_chains * n_draws
    means = chains.mean(axis=-1)
    n_frequencies = next_fast_len(2 * n_draws, real=True)
    spectrum = np.abs(rfft(chains - means[..., None], n_frequencies)) ** 2
    autocovariance = irfft(spectrum.mean(axis=1), n_frequencies)[:, :n_draws] / n_draws

    within = autocovariance[:, :1] * n_draws / (n_draws - 1)
    total = autocovariance[:, :1] + means.var(axis=1, ddof=1)[:, None]
    with np.errstate(invalid="ignore"):  # where all draws are equal: see the last line
        autocorrelation = 1 - (within - autocovariance) / total  # eq. 10
    autocorrelation[:, 0] = 1

    # Sums of lags 2t and 2t + 1, up to the first that is not positive and without it
    n_pairs = max((n_draws - 1) // 2, 1)
    pairs = autocorrelation[:, : 2 * n_pairs].reshape(n_quantities, n_pairs, 2)
    sums = pairs.sum(axis=-1)
    positive = sums > 0
    stop = np.where(positive.all(axis=1), n_pairs - 1, np.argmin(positive, axis=1))
    decreasing = np.minimum.accumulate(sums, axis=1)
    tau = -1 + 2 * np.sum(decreasing, axis=1, where=np.arange(n_pairs) < stop[:, None])  # eq. 13
    # The even lag of the pair where it stops, once: the mean of the sums with and without it
    at_stop = np.arange(n_quantities), stop
    even = pairs[*at_stop, 0]
    tau += np.where(sums[at_stop] >= 0, even, np.maximum(even, 0))
    ess = n_total / np.maximum(tau, 1 / math.log10(n_total))
    return np.where(np.ptp(chains, axis=(1, 2)) > 0, ess, n_total)
