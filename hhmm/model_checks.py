"""Whether a fitted model could have made the data: posterior predictive checks.

Every replicate takes one posterior draw of the parameters, simulates from it sequences of
the lengths of the data, and compares a statistic of the two [1]_ [2]_. A statistic may
be of what was not observed: for the states, it is that of a draw of the states given
the data and the same parameters, so that both sides are states that the model
calls likely, those of the data and those of its own making (a realised discrepancy [1]_).
If the data falls among the replicates, the model reproduces that aspect of it; if it falls
beside them, the model does not, and the statistic says in what.

The model conditions on a syllable that follows none, the first of a sequence or the first
after a gap. Replicates have it from the data; they are as long and lack the same timesteps.

Data that parameters were fitted to lies closer to the replicates than new data
would, and p-values of a true model crowd around 1/2 instead of being uniform [1]_: small
and large ones are the more remarkable for it. On held-out sequences the check is sharper.

References
----------
.. [1] Gelman, A., Meng, X.-L. and Stern, H. (1996). Posterior predictive assessment of
   model fitness via realized discrepancies. Statistica Sinica, 6(4), 733-760.
.. [2] Gelman, A., Carlin, J. B., Stern, H. S., Dunson, D. B., Vehtari, A. and Rubin, D. B.
   (2013). Bayesian Data Analysis, 3rd edition, chapter 6. CRC Press.
"""

import numbers
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from hhmm._inference import decode
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._sequences import read
from hhmm._validation import shorten
from hhmm.estimator import EfficientHHMM
from hhmm.metrics import state_durations, state_usage
from hhmm.metrics._information import lay_out, pair_counts
from hhmm.metrics._markov_surrogates import draw_paths, draws_from

__all__ = ["PredictiveCheck", "posterior_predictive_check"]

_OF_DURATIONS = ("mean", "standard deviation", "median", "90% quantile", "longest")


class PredictiveCheck(NamedTuple):
    """A statistic of the data beside that of replicates, see `posterior_predictive_check`."""

    statistic: str  # its name
    observed: np.ndarray  # (n_replicates, ...): rows differ where states were drawn
    replicated: np.ndarray  # (n_replicates, ...)
    p_values: np.ndarray  # (...): probability that a replicate is larger, ties by half
    columns: tuple  # of str, what the last axis holds; empty where that is states or syllables
    sequences: np.ndarray  # (n_sequences_used,) int64, increasing: which sequences of X were used


def posterior_predictive_check(
    model,
    X,
    *,
    statistic="state_durations",
    n_replicates=100,
    max_timesteps=1_000_000,
    mask=None,
    random_state=None,
):
    """Compare a statistic of the data with that of data simulated from the fitted model.

    Parameters
    ----------
    model : EfficientHHMM
        A fitted model. Each replicate takes another draw of ``posterior_``, of the chains
        that agree with the best one; all take the point estimate where there are no draws.

    X : array-like of int of shape (n_sequences, n_timesteps), or list of 1-D arrays
        Syllables; negative or NaN where missing. The training data, or better held-out data.

    statistic : str or callable, default="state_durations"
        What to compare.

        ====================  ================================================  ==============
        statistic             what it is                                        shape
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
        syllables negative where missing, and returns a number or an array.

    n_replicates : int, default=100
        Number of replicates. Draws are used in turn where there are fewer.

    max_timesteps : int or None, default=1_000_000
        Sequences are taken in random order as long as they have no more timesteps
        together than this, one at least; None takes all. A replicate of 1,000,000 timesteps
        takes about 0.5 s.

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
            Of the data, with states drawn given the draw that the replicate is of. Statistics of
            syllables alone are the same in all rows.
        replicated : ndarray of shape (n_replicates, ...), float64
        p_values : ndarray of shape (...), float64
            Fraction of replicates that exceed the data, those that equal it counted by half:
            near 0 the data has more of it than the model makes, near 1 less. NaN
            where no replicate has a value on both sides.
        columns : tuple of str
            What the last axis holds: for durations ``("mean", "standard deviation",
            "median", "90% quantile", "longest")``; else ``()``, and the axes are states or
            syllables.
        sequences : ndarray of shape (n_sequences_used,), int64
            Which sequences of X were used.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If `model` is not fitted.
    TypeError, ValueError
        If `model` is not an EfficientHHMM, X is not as described or has no observed timestep,
        `statistic` is unknown, or a number is out of range.

    Notes
    -----
    States last a geometric time in the model, with a standard deviation as large as the mean.
    Behaviour that is over sooner or goes on longer than that shows as a p-value near 0
    or 1 of the standard deviation, quantiles or maximum of ``"state_durations"``, where the mean
    still fits. Durations that a sequence cuts short are counted as they are, in the data as in its
    replicates.

    Whether the model has the memory of the data at long lags, ask with a callable that returns
    ``lagged_mutual_information(syllables, lags, n_surrogates=0).data`` (`hhmm.metrics`).

    Of many p-values some are small by chance: of the S x S of ``"syllable_transitions"`` one in
    twenty lies outside of 0.025 to 0.975 at most, if the model is true. With n
    replicates, one of 0 says that it is below about 1 / n.

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

    Own statistics are functions of syllables and states, here the number of changes of state:

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
            f"model must be an EfficientHHMM, got {type(model).__name__}: of a pipeline, give its "
            "last step, and X as the steps before leave it"
        )
    check_is_fitted(model)
    statistic = _find_statistic(statistic)
    _check_count(n_replicates, "n_replicates")
    if max_timesteps is not None:
        _check_count(max_timesteps, "max_timesteps")
    sequences = _checked_sequences(model, X, mask)
    rng = check_random_state(random_state)
    used = _subset(sequences, max_timesteps, rng)
    syllables = [sequences[i] for i in used]
    sizes = len(model.trans_probs_), len(model.emission_base_)

    _, prepared, checked = model._prepare(syllables, None)  # once, for all draws
    draws_ = _parameter_draws(model)
    seeds = rng.randint(2**31, size=(int(n_replicates), 2))
    observed, replicated = [], []
    for i, (seed_states, seed_replicate) in enumerate(seeds):
        params = draws_[i * len(draws_) // len(seeds)]
        replicate = _replicate(
            params, prepared.terms, syllables, np.random.RandomState(seed_replicate)
        )
        replicated.append(statistic.compute(*replicate, *sizes))
        if statistic.of_states:
            states = _draw_states(seed_states, params, prepared, checked.layout)
            observed.append(statistic.compute(syllables, states, *sizes))
        elif not observed:
            observed.append(statistic.compute(syllables, None, *sizes))
    replicated = _stacked(replicated, statistic.name)
    observed = np.broadcast_to(_stacked(observed, statistic.name), replicated.shape)
    p_values = _p_values(observed, replicated)
    return PredictiveCheck(statistic.name, observed, replicated, p_values, statistic.columns, used)


class _Statistic(NamedTuple):
    """What is compared."""

    name: str
    compute: Callable  # of syllables, states, n_states and n_syllables
    of_states: bool
    columns: tuple = ()


def _of_durations(labels, n_labels):
    """Summaries of the durations of each label, (n_labels, 5); NaN where it does not occur."""
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
    """The `_Statistic` that the user named or gave."""
    if callable(statistic):
        name = getattr(statistic, "__name__", type(statistic).__name__)
        return _Statistic(name, lambda syllables, states, *_: statistic(syllables, states), True)
    known = {entry.name: entry for entry in _STATISTICS}
    if not isinstance(statistic, str) or statistic not in known:
        raise ValueError(
            f"statistic must be a callable or one of {', '.join(map(repr, known))}, "
            f"got {shorten(statistic)}"
        )
    return known[statistic]


def _check_count(value, name):
    if not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer >= 1, got {shorten(value)}")
    if value < 1:
        raise ValueError(f"{name} must be >= 1, got {value}")


def _checked_sequences(model, X, mask):
    """X as a list of int32 arrays, -1 where missing; labels are those of the model."""
    sequences = read.check_sequences(model, X, mask=mask, reset=False).sequences
    n_syllables = len(model.emission_base_)
    origin = f"the model was fitted with {n_syllables}"
    read.check_labels(sequences, n_syllables, origin=origin)
    return sequences


def _subset(sequences, max_timesteps, rng):
    """Indices of the sequences that are used, increasing; empty ones are not."""
    lengths = np.array([x.size for x in sequences])
    usable = np.flatnonzero(lengths)
    if not usable.size:
        raise ValueError(f"X has {lengths.size} sequence(s) and not one observed timestep")
    if max_timesteps is None or lengths.sum() <= max_timesteps:
        return usable
    order = rng.permutation(usable)
    n_used = np.searchsorted(np.cumsum(lengths[order]), max_timesteps, side="right")
    return np.sort(order[: max(n_used, 1)])


def _parameter_draws(model):
    """The parameters that replicates are simulated from, a list of `Params`."""
    if not hasattr(model, "posterior_"):
        return [model._params()]
    return model._draws()


@double_precision
def _draw_states(seed, params, prepared, layout):
    """One draw of the states of the data, a list of 1-D arrays."""
    states = decode.sample(key_from_random_state(seed), params, prepared)
    return prepared.unpack(states, layout, fill=-1)


@double_precision
def _replicate(params, terms, syllables, rng):
    """Simulate sequences like `syllables`: lists of syllables and of states."""
    lengths = np.array([x.size for x in syllables])
    data = np.concatenate(syllables)
    first = rng.randint(len(params.trans_probs), size=lengths.size)
    states = draw_paths(params.trans_probs, first, lengths, rng)

    ends = np.cumsum(lengths)
    follows = data >= 0  # whether the timestep and the one before are observed
    follows[1:] &= data[:-1] >= 0
    follows[ends - lengths] = False
    # a syllable that is held is held in the replicate: the data say for how long
    held = np.zeros(len(data), bool)
    if not terms.self_transitions:
        held[1:] = follows[1:] & (data[1:] == data[:-1])
    streams = [
        [draws_from(row, rng).__next__ for row in by_syllable]
        for by_syllable in np.asarray(decode.syllable_trans_probs(params, terms=terms))
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
    """Values of a statistic, one a replicate, as an array (n_values, ...)."""
    arrays = [np.asarray(value, dtype=float) for value in values]
    for array in arrays:
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"statistic {name} must return arrays of one shape, got {arrays[0].shape} and "
                f"{array.shape}"
            )
    return np.stack(arrays)


def _p_values(observed, replicated):
    """Fraction of replicates (n_replicates, ...) above the data, ties by half; NaN of none."""
    n_both = np.sum(~(np.isnan(observed) | np.isnan(replicated)), axis=0)
    larger = np.sum((replicated > observed) + 0.5 * (replicated == observed), axis=0)
    return np.divide(larger, n_both, out=np.full(np.shape(larger), np.nan), where=n_both > 0)
