"""Posterior predictive checks: compare the data with data simulated from the fitted model.

Every replicate takes one posterior draw of the parameters and simulates sequences of the lengths
of the data. A statistic of the data is compared with that of the replicate [1]_ [2]_. A statistic
may depend on the states, which are not observed. Then the states of the data are drawn given the
data and the same parameters (a realised discrepancy [1]_). If the data are in the range of the
replicates, the model reproduces this aspect of the data. If not, the statistic shows what the
model does not reproduce.

The model conditions on a syllable that follows none: the first of a sequence, or the first after
a gap. Replicates take it from the data. They have the same lengths and missing timesteps.

Training data are closer to the replicates than new data, and the p-values of a true model are
closer to 1/2 than uniform values [1]_. Small and large p-values are therefore strong evidence. On
held-out sequences the check is more sensitive.

References
----------
.. [1] Gelman, A., Meng, X.-L. and Stern, H. (1996). Posterior predictive assessment of
   model fitness via realized discrepancies. Statistica Sinica, 6(4), 733-760.
.. [2] Gelman, A., Carlin, J. B., Stern, H. S., Dunson, D. B., Vehtari, A. and Rubin, D. B.
   (2013). Bayesian Data Analysis, 3rd edition, chapter 6. CRC Press.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from hhmm._inference import decode
from hhmm._model.transitions import context_trans_probs
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._sequences import read
from hhmm._sequences.groups import read_labels
from hhmm._validation import shorten
from hhmm.estimator import EfficientHHMM
from hhmm.metrics import state_durations, state_usage
from hhmm.metrics._information import lay_out, pair_counts
from hhmm.metrics._markov_surrogates import draw_paths, draws_from

_OF_DURATIONS = ("mean", "standard deviation", "median", "90% quantile", "longest")


class PredictiveCheck(NamedTuple):
    """A statistic of the data and of replicates, see `posterior_predictive_check`."""

    statistic: str  # its name
    observed: np.ndarray  # (n_replicates, ...): rows differ if states were drawn
    replicated: np.ndarray  # (n_replicates, ...)
    p_values: np.ndarray  # (...): probability that a replicate is larger, ties by half
    columns: tuple[str, ...]  # names of the last axis; empty if that is states or syllables
    sequences: np.ndarray  # (n_sequences_used,) int64, increasing: the sequences of X in use


def posterior_predictive_check(
    model: EfficientHHMM,
    X: ArrayLike,
    *,
    statistic: str | Callable[[list, list], ArrayLike] = "state_durations",
    n_replicates: int = 100,
    max_timesteps: int | None = 1_000_000,
    groups: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> PredictiveCheck:
    """Compare a statistic of the data with that of data simulated from the fitted model.

    Parameters
    ----------
    model : EfficientHHMM
        A fitted model. Each replicate takes another draw of ``posterior_``, from the chains that
        agree with the best one. If there are no draws, all take the point estimate.
    X : array-like of int of shape (n_sequences, n_timesteps), or list of 1-D arrays
        Syllables; negative or NaN if missing. Training data, or preferably held-out data.
    statistic : str or callable, default="state_durations"
        The statistic to compare.

        ====================  ================================================  ==============
        statistic             meaning                                           shape
        ====================  ================================================  ==============
        state_durations       mean, standard deviation, median, 90% quantile    (n_states, 5)
                              and maximum of the durations of each state,
                              timesteps
        state_usage           fraction of time in each state                    (n_states,)
        syllable_durations    the same as of states, of the runs of each        (n_syllables,
                              syllable                                          5)
        syllable_usage        fraction of observed timesteps with each          (n_syllables,)
                              syllable
        syllable_transitions  number of transitions from each syllable (row)    (n_syllables,
                              to each (column)                                  n_syllables)
        ====================  ================================================  ==============

        A callable takes syllables and states, two lists of 1-D arrays of equal lengths,
        syllables negative if missing, and returns a number or an array.
    n_replicates : int, default=100
        Number of replicates. If there are fewer draws, they are used in turn.
    max_timesteps : int or None, default=1_000_000
        At most this number of timesteps is used, by a random choice of whole sequences, at least
        one. None uses all. A replicate of 1,000,000 timesteps takes about 0.5 s.
    groups : array-like of shape (n_sequences,) or data frame, optional
        ``groups`` of `EfficientHHMM.predict`, if the model was fitted with groups. Replicates of a
        sequence then have the effects of its groups.
    mask : array-like of bool of shape (n_sequences, n_timesteps), optional
        False marks a missing timestep. For 2-D X only.
    random_state : int, RandomState or None, default=None
        Seed. Equal seeds give equal replicates for all statistics.

    Returns
    -------
    check : PredictiveCheck
        A named tuple of these.

        statistic : str
        observed : ndarray of shape (n_replicates, ...), float64
            Statistic of the data. States are drawn given the parameters of the replicate. Rows are
            equal for statistics of syllables alone.
        replicated : ndarray of shape (n_replicates, ...), float64
        p_values : ndarray of shape (...), float64
            Fraction of replicates that exceed the data. Replicates that equal it count by half.
            Near 0 the statistic of the data is larger than under the model, near 1 smaller. NaN
            if no replicate has a value for both.
        columns : tuple of str
            Names of the last axis: for durations ``("mean", "standard deviation", "median",
            "90% quantile", "longest")``; else ``()``, and the axes are states or syllables.
        sequences : ndarray of shape (n_sequences_used,), int64
            The sequences of X that were used.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If `model` is not fitted.
    TypeError, ValueError
        If `model` is not an EfficientHHMM, X is not as described or has no observed timestep,
        `statistic` is unknown, or a number is out of range.

    Notes
    -----
    Durations of states are geometric in the model, so their standard deviation is about as large
    as their mean. If durations of the data have another distribution, the p-values of the standard
    deviation, quantiles or maximum of ``"state_durations"`` are near 0 or 1, although the mean
    fits. Durations that the end of a sequence cuts are not corrected, in data and replicates.

    To check the memory of the model at long lags, use a callable that returns
    ``lagged_mutual_information(syllables, lags, n_surrogates=0).data`` (`hhmm.metrics`).

    Some of many p-values are small by chance: if the model is true, at most one in twenty of the
    S x S values of ``"syllable_transitions"`` is outside 0.025 to 0.975. With n replicates, a
    p-value of 0 means less than about 1 / n.

    References
    ----------
    .. [1] Gelman, A., Meng, X.-L. and Stern, H. (1996). Posterior predictive assessment of
       model fitness via realized discrepancies. Statistica Sinica, 6(4), 733-760.
    .. [2] Gelman, A. et al. (2013). Bayesian Data Analysis, 3rd edition, chapter 6. CRC Press.

    Examples
    --------
    >>> from hhmm import EfficientHHMM
    >>> from hhmm.datasets import make_hhmm
    >>> from hhmm.model_checks import posterior_predictive_check
    >>> data = make_hhmm(10, 200, n_states=2, n_syllables=5, random_state=0)
    >>> model = EfficientHHMM.from_params(
    ...     data.emission_base, data.emission_biases, data.trans_probs
    ... )
    >>> check = posterior_predictive_check(model, data.X, n_replicates=40, random_state=0)
    >>> check.replicated.shape, check.columns[:2]
    ((40, 2, 5), ('mean', 'standard deviation'))
    >>> of_standard_deviation = check.p_values[:, 1]
    >>> bool(((of_standard_deviation > 0.02) & (of_standard_deviation < 0.98)).all())
    True

    A custom statistic is a function of syllables and states, here the number of changes of state:

    >>> def n_changes(syllables, states):
    ...     return sum((z[1:] != z[:-1]).sum() for z in states)
    >>> check = posterior_predictive_check(
    ...     model, data.X, statistic=n_changes, n_replicates=20, random_state=0
    ... )
    >>> check.statistic, check.observed.shape
    ('n_changes', (20,))
    """
    if not isinstance(model, EfficientHHMM):
        raise TypeError(
            f"model must be an EfficientHHMM, got {type(model).__name__}. For a pipeline, give its "
            "last step, and X as the other steps transform it."
        )
    check_is_fitted(model)
    chosen = _find_statistic(statistic)
    check_scalar(n_replicates, "n_replicates", Integral, min_val=1)
    if max_timesteps is not None:
        check_scalar(max_timesteps, "max_timesteps", Integral, min_val=1)
    sequences = _checked_sequences(model, X, mask)
    labels = None if groups is None else read_labels(groups, len(sequences))
    rng = check_random_state(random_state)
    used = _subset(sequences, max_timesteps, rng)
    syllables = [sequences[i] for i in used]
    sizes = len(model.trans_probs_), len(model.emission_base_)

    of_used: Any = None if labels is None else labels.of(used)
    of_sequences = model._find_groups(of_used, len(used)).of_sequences
    _, parts = model._prepare(syllables, None, of_used, every_timestep=False)
    parts = [prepared for prepared, _ in parts]  # once, for all draws
    draws_ = _parameter_draws(model)
    seeds = rng.randint(2**31, size=(int(n_replicates), 2))
    observed: Any = []
    replicated: Any = []
    for i, (seed_states, seed_replicate) in enumerate(seeds):
        params = draws_[i * len(draws_) // len(seeds)]
        replicate = _replicate(
            params, parts[0].terms, syllables, of_sequences, np.random.RandomState(seed_replicate)
        )
        replicated.append(chosen.compute(*replicate, *sizes))
        if chosen.of_states:
            states = _draw_states(seed_states, params, parts)
            observed.append(chosen.compute(syllables, states, *sizes))
        elif not observed:
            observed.append(chosen.compute(syllables, None, *sizes))
    replicated = _stacked(replicated, chosen.name)
    observed = np.broadcast_to(_stacked(observed, chosen.name), replicated.shape)
    p_values = _p_values(observed, replicated)
    return PredictiveCheck(chosen.name, observed, replicated, p_values, chosen.columns, used)


class _Statistic(NamedTuple):
    """A statistic, and what it needs."""

    name: str
    compute: Callable  # of syllables, states, n_states and n_syllables
    of_states: bool
    columns: tuple[str, ...] = ()


def _of_durations(labels, n_labels):
    """Return summaries of the durations of each label, (n_labels, 5); NaN if it is absent."""
    summaries = np.full((n_labels, len(_OF_DURATIONS)), np.nan)
    for label, durations in enumerate(state_durations(labels, n_states=n_labels)):
        if durations.size:
            quantiles = np.quantile(durations, [0.5, 0.9])
            summaries[label] = durations.mean(), durations.std(), *quantiles, durations.max()
    return summaries


def _transitions(syllables, n_syllables):
    lengths = np.array([x.size for x in syllables])
    return pair_counts(lay_out(np.concatenate(syllables), lengths, n_syllables), 1)


_STATISTICS = (
    _Statistic(
        "state_durations",
        lambda syllables, states, n_states, n_syllables: _of_durations(states, n_states),
        of_states=True,
        columns=_OF_DURATIONS,
    ),
    _Statistic(
        "state_usage",
        lambda syllables, states, n_states, n_syllables: state_usage(states, n_states=n_states),
        of_states=True,
    ),
    _Statistic(
        "syllable_durations",
        lambda syllables, states, n_states, n_syllables: _of_durations(syllables, n_syllables),
        of_states=False,
        columns=_OF_DURATIONS,
    ),
    _Statistic(
        "syllable_usage",
        lambda syllables, states, n_states, n_syllables: state_usage(
            syllables, n_states=n_syllables
        ),
        of_states=False,
    ),
    _Statistic(
        "syllable_transitions",
        lambda syllables, states, n_states, n_syllables: _transitions(syllables, n_syllables),
        of_states=False,
    ),
)


def _find_statistic(statistic):
    """Return the `_Statistic` for a name or a callable."""
    if callable(statistic):
        name = getattr(statistic, "__name__", type(statistic).__name__)
        return _Statistic(name, lambda syllables, states, *_: statistic(syllables, states), True)
    known = {entry.name: entry for entry in _STATISTICS}
    if not isinstance(statistic, str) or statistic not in known:
        raise ValueError(
            f"statistic must be a callable or one of {', '.join(map(repr, known))}, "
            f"got {shorten(statistic)}."
        )
    return known[statistic]


def _checked_sequences(model, X, mask):
    """Return X as a list of int32 arrays, -1 if missing; check labels against the model."""
    sequences = read.check_runs(model, X, mask=mask, reset=False)
    n_syllables = len(model.emission_base_)
    origin = f"the model was fitted with {n_syllables}"
    read.check_labels(sequences, n_syllables, origin=origin)
    return sequences.sequences


def _subset(sequences, max_timesteps, rng):
    """Return the indices of the sequences to use, increasing, without empty ones."""
    lengths = np.array([x.size for x in sequences])
    usable = np.flatnonzero(lengths)
    if not usable.size:
        raise ValueError(
            f"X must have an observed timestep, got none in {lengths.size} sequence(s)."
        )
    if max_timesteps is None or lengths.sum() <= max_timesteps:
        return usable
    order = rng.permutation(usable)
    n_used = np.searchsorted(np.cumsum(lengths[order]), max_timesteps, side="right")
    return np.sort(order[: max(n_used, 1)])


def _parameter_draws(model):
    """Return the parameters for the simulation of replicates, a list of `Params`."""
    if not hasattr(model, "posterior_"):
        return [model._params()]
    return model._draws()


@double_precision
def _draw_states(seed, params, parts):
    """Draw the states of the data once, a list of 1-D arrays."""
    key = key_from_random_state(seed)
    return [row for part in parts for row in decode.sample(key, params, part).sequences]


@double_precision
def _replicate(params, terms, syllables, of_sequences, rng):
    """Simulate sequences like `syllables`, of these groups: lists of syllables and of states."""
    probs = np.asarray(decode.syllable_trans_probs(params, terms=terms))
    probs = probs.reshape(terms.n_groups, terms.n_states, *probs.shape[1:])
    trans_probs = context_trans_probs(params.trans_probs, params.group_transitions, terms)
    trans_probs = np.asarray(trans_probs).reshape(terms.n_groups, terms.n_states, terms.n_states)
    if of_sequences is None:
        of_sequences = np.zeros(len(syllables), int)
    replicates: list[Any] = [None] * len(syllables)
    for group in range(terms.n_groups):
        members = np.flatnonzero(of_sequences == group)
        like = [syllables[i] for i in members]
        simulated = _simulate(trans_probs[group], probs[group], like, terms.self_transitions, rng)
        for i, *replicate in zip(members, *simulated, strict=True):
            replicates[i] = replicate
    of_syllables, of_states = zip(*replicates, strict=True)
    return list(of_syllables), list(of_states)


def _simulate(trans_probs, syllable_trans_probs, syllables, self_transitions, rng):
    """Simulate sequences like `syllables`, which are of one group."""
    lengths = np.array([x.size for x in syllables])
    data = np.concatenate(syllables)
    first = rng.randint(len(trans_probs), size=lengths.size)
    states = draw_paths(trans_probs, first, lengths, rng)

    ends = np.cumsum(lengths)
    follows = data >= 0  # True if the timestep and the one before are observed
    follows[1:] &= data[:-1] >= 0
    follows[ends - lengths] = False
    # replicates hold syllables for as long as the data do
    held = np.zeros(len(data), bool)
    if not self_transitions:
        held[1:] = follows[1:] & (data[1:] == data[:-1])
    streams = [
        [draws_from(row, rng).__next__ for row in by_syllable]
        for by_syllable in syllable_trans_probs
    ]
    replicate = data.tolist()
    timesteps = np.flatnonzero(follows)
    for t, state, is_held in zip(
        timesteps.tolist(), states[timesteps].tolist(), held[timesteps].tolist(), strict=True
    ):
        replicate[t] = replicate[t - 1] if is_held else streams[state][replicate[t - 1]]()
    replicate = np.array(replicate, dtype=np.int32)
    return np.split(replicate, ends[:-1]), np.split(states, ends[:-1])


def _stacked(values, name):
    """Return values of a statistic, one per replicate, as an array (n_values, ...)."""
    arrays = [np.asarray(value, dtype=float) for value in values]
    for array in arrays:
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"statistic {name} must return arrays of one shape, got {arrays[0].shape} and "
                f"{array.shape}."
            )
    return np.stack(arrays)


def _p_values(observed, replicated):
    """Return the fraction of replicates (n_replicates, ...) above the data, ties by half."""
    n_both = np.sum(~(np.isnan(observed) | np.isnan(replicated)), axis=0)
    larger = np.sum((replicated > observed) + 0.5 * (replicated == observed), axis=0)
    return np.divide(larger, n_both, out=np.full(np.shape(larger), np.nan), where=n_both > 0)
