"""Convergence of the chains of a Gibbs fit: R-hat and effective sample sizes.

R-hat compares the variance between chains with the variance within them. Every chain is split in
half, and the draws of all chains are replaced by the normal scores of their ranks. The same is
done with distances from the median, to detect chains of different spread. The effective sample
size is the number of independent draws that would estimate as well. Its autocorrelations are those
of all split chains together, summed over Geyer's initial monotone sequence [2]_. Formulas and
equation numbers are those of Vehtari et al. [1]_. They advise to run four chains or more, and to
trust a quantity if its R-hat is below 1.01 and its effective sample sizes are above 400.

The states of a hidden Markov model have no names, so the same state may have different numbers in
two chains. Therefore `posterior_summary` begins with quantities that do not depend on the
numbers: if those disagree, the chains disagree. If only quantities of single states disagree, the
numbers may be exchanged.

ArviZ computes the same values, one quantity at a time. For the 626 quantities of a model with 10
states and 50 syllables, from 4 chains of 25 draws, it took 1.7 s, and the code here took 0.03 s.
The tests compare the two.

References
----------
.. [1] Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C.
   (2021). Rank-normalization, folding, and localization: An improved R-hat for
   assessing convergence of MCMC. Bayesian Analysis, 16(2), 667-718.
.. [2] Geyer, C. J. (1992). Practical Markov chain Monte Carlo. Statistical
   Science, 7(4), 473-483, section 3.3.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import entr, ndtri
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from hhmm._model.emissions import logits_from_params
from hhmm._optional.extras import import_extra
from hhmm._types import Params
from hhmm._validation import check_flag, to_array

if TYPE_CHECKING:
    import pandas

    from hhmm.estimator import EfficientHHMM

__all__ = ["PosteriorSummary", "ess_bulk", "ess_tail", "posterior_summary", "rhat"]

_MIN_DRAWS = 4  # two in each half of a chain, for a variance
_BLOCK_DRAWS = 1 << 17  # in one block, to bound the memory
_PRINTED_ROWS = 60
# From fewer draws, an effective sample size is too rough to warn of: of 25 independent draws, each
# twelfth one is below 10. With fewer effective draws than 10, the mean is off by a third of the
# standard deviation.
_DRAWS_TO_JUDGE = 100
_FEW_EFFECTIVE = 10


def rhat(draws: ArrayLike) -> Any:
    """Compute rank-normalised split R-hat.

    It is the factor by which the spread of all chains together exceeds that of one chain.

    Parameters
    ----------
    draws : array-like of shape (n_chains, n_draws, ...)
        Draws of one or of many quantities.

    Returns
    -------
    rhat : float64 or ndarray of shape (...), float64
        For each quantity the larger one of R-hat of the ranks and R-hat of the ranks of the
        distances from the median. It is about 1 if chains agree. Above 1.01 they do not. It is
        NaN for one chain, because the halves of one chain do not show if another chain would end
        in another mode. It is also NaN with fewer than 4 draws, if a draw is not finite, and if
        all draws are equal.

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


def ess_bulk(draws: ArrayLike) -> Any:
    """Compute the effective sample size for the middle of a distribution.

    It applies to estimates of the mean and the median.

    Parameters
    ----------
    draws : array-like of shape (n_chains, n_draws, ...)
        Draws of one or of many quantities.

    Returns
    -------
    ess : float64 or ndarray of shape (...), float64
        For each quantity the effective sample size of the normal scores of the ranks, all chains
        together. At most S log10(S) for S draws. S if all draws are equal. NaN with fewer than 4
        draws, and if a draw is not finite.

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


def ess_tail(draws: ArrayLike) -> Any:
    """Compute the effective sample size for the tails of a distribution.

    Parameters
    ----------
    draws : array-like of shape (n_chains, n_draws, ...)
        Draws of one or of many quantities.

    Returns
    -------
    ess : float64 or ndarray of shape (...), float64
        For each quantity the smaller one of two effective sample sizes: that of the indicator of
        draws up to the 5% quantile, and that of draws up to the 95% quantile. S and NaN as in
        `ess_bulk`.

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
    """Posterior and convergence of each quantity; it prints as a table.

    ``summary.rhat[summary.name == "log_joint"]`` is one value of the table.
    """

    name: np.ndarray  # (n_quantities,) of str
    mean: np.ndarray  # (n_quantities,) over all chains and draws, as all fields below
    sd: np.ndarray  # (n_quantities,) standard deviation
    q5: np.ndarray  # (n_quantities,) 5% quantile
    q95: np.ndarray  # (n_quantities,) 95% quantile
    rhat: np.ndarray  # (n_quantities,)
    ess_bulk: np.ndarray  # (n_quantities,)
    ess_tail: np.ndarray  # (n_quantities,)

    def to_frame(self) -> pandas.DataFrame:
        """Return a pandas DataFrame (n_quantities, 7), indexed by name."""
        pd = import_extra("pandas", "to_frame")
        return pd.DataFrame(self._asdict()).set_index("name")

    def __repr__(self) -> str:
        rows: list[tuple[str, ...]] = [("", *self._fields[1:])]
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
        if len(self.rhat) and np.isnan(self.rhat).all():
            lines.append(
                "rhat needs two chains or more (n_chains) and 4 draws or more from each (n_draws)"
            )
        return "\n".join(lines)


def posterior_summary(model: EfficientHHMM, *, include_biases: bool = False) -> PosteriorSummary:
    """Summarise the draws of a Gibbs fit: mean, spread and convergence.

    Parameters
    ----------
    model : EfficientHHMM
        Fitted with ``algorithm="gibbs"``.
    include_biases : bool, default=False
        True adds the K S syllable biases of the states.

    Returns
    -------
    summary : PosteriorSummary
        A row for each of these. Those before dwell_time do not depend on the numbers of states.

        ==========================  =====================================================
        log_joint                   log p(X | parameters) + log p(parameters), nats
        emission_base_norm          root of the sum of squares of b, and of B
        emission_biases_norm        root of the sum of squares of c, and of C
        emission_usage_norm         the same of u, if the model has a usage offset
        emission_interactions_norm  the same of d, if the model has interactions
        ``emission_*_sigma``        each learnt scale; trans_beta and trans_kappa if learnt
        mean_staying_prob           mean of the diagonal of A
        mean_dwell_time             mean length of a stay in any state, timesteps
        usage_entropy               entropy of the stationary distribution of A, nats
        dwell_time[k]               mean stay in state k, 1 / (1 - A[k, k]), timesteps
        usage[k]                    stationary probability of state k
        trans_probs[k, l]           A, from state k to state l
        biases[k, j]                C, the term of state k in the logit of syllable j
        ==========================  =====================================================

        States have their names if the model keeps them (`EfficientHHMM.set_state_names`). If it
        has a `frame_rate`, dwell times are in seconds, for example ``dwell_time[0] (s)``.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If `model` is not fitted.
    ValueError
        If `model` has no draws, because another algorithm fitted it or it was not fitted.

    Notes
    -----
    `posterior_` holds `n_draws` draws of each chain. Effective sample sizes refer to these draws,
    and not to all sweeps. With one chain, R-hat is NaN: fit with ``n_chains=4``. With 100 kept
    draws or more, a `ConvergenceWarning` names quantities with fewer than 10 effective draws, of
    those that do not depend on the numbers of states. They mix slowly where states overlap, and
    where data are few or states last long. Effective sample sizes of fewer draws are rough.

    Examples
    --------
    >>> from hhmm import EfficientHHMM
    >>> from hhmm.datasets import make_hhmm
    >>> from hhmm.diagnostics import posterior_summary
    >>> data = make_hhmm(24, 200, n_states=2, n_syllables=5, random_state=0)
    >>> model = EfficientHHMM(n_states=2, max_iter=60, random_state=0).fit(data.X)
    >>> summary = posterior_summary(model)
    >>> summary.name[[0, 4, 9, -1]].tolist()
    ['log_joint', 'emission_base_sigma', 'usage_entropy', 'trans_probs[1, 1]']
    """
    check_is_fitted(model)
    check_flag(include_biases, "include_biases")
    if not hasattr(model, "posterior_"):
        raise ValueError(
            "This model has no posterior_, the draws that posterior_summary describes. Fit with "
            "algorithm='gibbs'."
        )
    quantities = _quantities(model.posterior_, include_biases)
    state_names = getattr(model, "state_names_", None)
    names, parts = [], []
    for name, values in quantities.items():
        shape = values.shape[2:]
        unit = ""
        if model.frame_rate is not None and name.endswith("dwell_time"):
            values, unit = values / model.frame_rate, " (s)"
        for index in np.ndindex(shape):
            labels = list(index)
            if state_names is not None:
                n_of_states = 1 if name == "biases" else len(index)
                labels[:n_of_states] = [state_names[k] for k in index[:n_of_states]]
            label = f"[{', '.join(map(str, labels))}]" if labels else ""
            names.append(f"{name}{label}{unit}")
        parts.append(values.reshape(*values.shape[:2], math.prod(shape)))
    draws = np.concatenate(parts, axis=-1)
    pooled = draws.reshape(-1, len(names))
    with np.errstate(invalid="ignore"):  # an infinite dwell time has no spread
        sd = pooled.std(axis=0, ddof=1) if len(pooled) > 1 else np.full(len(names), np.nan)
        quantiles = np.quantile(pooled, [0.05, 0.95], axis=0)
        # to interpolate between infinite dwell times gives NaN
        at_draws = np.quantile(pooled, [0.05, 0.95], axis=0, method="higher")
        q5, q95 = np.where(np.isnan(quantiles), at_draws, quantiles)
    summary = PosteriorSummary(
        *(np.array(names), pooled.mean(axis=0), sd, q5, q95),
        *(rhat(draws), ess_bulk(draws), ess_tail(draws)),
    )
    for message in _describe_slow(summary, *draws.shape[:2]):
        warnings.warn(message, ConvergenceWarning, stacklevel=2)
    return summary


def _describe_slow(summary, n_chains, n_draws):
    """Return a warning if quantities of the whole model have few effective draws."""
    sizes = zip(summary.ess_bulk, summary.name, strict=True)
    few = [(size, name) for size, name in sizes if size < _FEW_EFFECTIVE and "[" not in name]
    if n_chains * n_draws < _DRAWS_TO_JUDGE or not few:
        return []
    named = ", ".join(f"{name} ({size:.0f})" for size, name in sorted(few))
    why = "The chain moves slowly there"
    if n_chains > 1:
        why = "The chains move slowly there, or are in different modes (see rhat)"
    return [
        f"of the {n_chains * n_draws} draws, few are effective for {named}: expected at least "
        f"{_FEW_EFFECTIVE}. {why}, and means and intervals are inaccurate. Increase max_iter and "
        "n_draws"
    ]


def _quantities(posterior, include_biases):
    """Return the quantities of `posterior_summary`, arrays (n_chains, n_draws, ...) by name."""
    b, c, trans_probs = posterior.emission_base, posterior.emission_biases, posterior.trans_probs
    n_states = trans_probs.shape[-1]
    # A sum, because 1 - A[k, k] is inaccurate if a state hardly ever ends
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
    """Return norms of optional terms, and draws of learnt scales."""
    quantities = {}
    if posterior.emission_usage is not None:
        quantities["emission_usage_norm"] = np.linalg.norm(posterior.emission_usage, axis=-1)
    if posterior.emission_interactions is not None:
        squares = np.sum(posterior.emission_interactions**2, axis=(-3, -2, -1))
        quantities["emission_interactions_norm"] = np.sqrt(squares)
    return quantities | (posterior.sigmas or {})


def _stationary_distributions(trans_probs):
    """Return the stationary distribution (..., n_states) of each of A (..., n_states, n_states)."""
    n_states = trans_probs.shape[-1]
    # usage (I - A) = 0 and usage 1 = 1 in one system. A probability of 1e-14 to restart makes it
    # solvable if there are classes of states without transitions between them
    system = np.eye(n_states) - (1 - 1e-14) * trans_probs + 1 / n_states
    usage = np.linalg.solve(np.swapaxes(system, -2, -1), np.ones((n_states, 1)))[..., 0].clip(0)
    return usage / usage.sum(axis=-1, keepdims=True)


def _each_quantity(diagnostic, draws, *, min_chains=1):
    """Apply `diagnostic` to draws (n_quantities, n_chains, n_draws); NaN if it is undefined."""
    masked = np.ma.getmaskarray(draws) if isinstance(draws, np.ma.MaskedArray) else None
    draws = to_array(draws, "draws must hold real numbers")
    if draws.dtype.kind not in "biuf":
        raise TypeError(f"draws must hold real numbers, got dtype {draws.dtype}.")
    if masked is not None:
        draws = np.where(masked, np.nan, draws)
    if draws.ndim < 2:
        raise ValueError(f"draws must have shape (n_chains, n_draws, ...), got {draws.shape}.")
    n_chains, n_draws, *shape = draws.shape
    if n_chains == 0:
        raise ValueError("draws must hold at least one chain, got 0.")
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
    """Return the halves of chains as chains (n_quantities, 2 n_chains, n_draws // 2)."""
    half = draws.shape[-1] // 2
    return np.concatenate([draws[..., :half], draws[..., -half:]], axis=1)


def _normal_scores(draws):
    """Return normal quantiles of the ranks among all draws, ties averaged: eq. 14."""
    pooled = draws.reshape(len(draws), math.prod(draws.shape[1:]))
    ranks = rankdata(pooled, axis=1)
    return ndtri((ranks - 3 / 8) / (pooled.shape[1] + 1 / 4)).reshape(draws.shape)


def _rank_normalised_rhat(draws):
    chains = _split(draws)
    folded = np.abs(chains - np.median(chains, axis=(1, 2), keepdims=True))
    # NaN if all draws have one distance, as draws of two values do
    return np.fmax(_rhat(_normal_scores(chains)), _rhat(_normal_scores(folded)))


def _rhat(chains):
    """Return R-hat (n_quantities,) of chains (n_quantities, n_chains, n_draws): eqs. 1-4."""
    n_draws = chains.shape[-1]
    between = n_draws * chains.mean(axis=-1).var(axis=-1, ddof=1)
    within = chains.var(axis=-1, ddof=1).mean(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt((n_draws - 1 + between / within) / n_draws)


def _tail_ess(draws):
    pooled = draws.reshape(len(draws), math.prod(draws.shape[1:]))
    # A draw is <= a quantile if it is <= the order statistic at or below it. Interpolation between
    # two order statistics could round to the wrong side of a draw
    orders = [(pooled.shape[1] - 1) * percent // 100 for percent in (5, 95)]
    ordered = np.partition(pooled, orders, axis=1)
    lower, upper = (
        _ess(_split((draws <= ordered[:, order, None, None]).astype(np.float64)))
        for order in orders
    )
    return np.minimum(lower, upper)


def _ess(chains):
    """Return effective sample sizes of chains (n_quantities, n_chains, n_draws)."""
    n_quantities, n_chains, n_draws = chains.shape
    n_total = n_chains * n_draws
    means = chains.mean(axis=-1)
    n_frequencies = next_fast_len(2 * n_draws, real=True)
    spectrum = np.abs(rfft(chains - means[..., None], n_frequencies)) ** 2
    autocovariance = irfft(spectrum.mean(axis=1), n_frequencies)[:, :n_draws] / n_draws

    within = autocovariance[:, :1] * n_draws / (n_draws - 1)
    total = autocovariance[:, :1] + means.var(axis=1, ddof=1)[:, None]
    with np.errstate(invalid="ignore"):  # if all draws are equal: see the last line
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
