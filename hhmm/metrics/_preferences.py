"""Rank the syllables that a state uses more than the other states do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from hhmm._inference.draws import flat, stationary_distribution, syllable_probs
from hhmm._model.emissions import logits_from_params, terms_of
from hhmm._model.stationary import syllable_usage
from hhmm._runtime.precision import double_precision
from hhmm._sequences.read import check_sequences

if TYPE_CHECKING:
    from hhmm.estimator import EfficientHHMM


class SyllablePreferences(NamedTuple):
    """Which syllables each state uses more, and which it uses less, than all states together."""

    biases: np.ndarray  # C, (n_states, n_syllables), nats; rows and columns sum to 0
    standard_deviations: np.ndarray  # (n_states, n_syllables), of the posterior; NaN without draws
    ranking: np.ndarray  # (n_states, n_syllables) int64: most promoted first, most suppressed last
    usage_changes: np.ndarray  # (n_states, n_syllables), differences of probabilities
    usage_change_deviations: np.ndarray  # (n_states, n_syllables), of the posterior, as above


@double_precision
def syllable_preferences(
    model: EfficientHHMM, X: ArrayLike | None = None, *, groups: ArrayLike | None = None
) -> SyllablePreferences:
    """Rank the syllables that each state promotes and suppresses.

    Syllables are ranked by how much more often they are used in the state than over all: the
    change in usage of syllable j in state k is

        usage_changes[k, j] = p(j | k) - p(j),    p(j) = sum_k p(k) p(j | k)

    with p(k) the fraction of time in state k and p(j | k) the fraction of it at syllable j. A
    rare syllable is used little in any state, so its change is small however large its bias is.

    Parameters
    ----------
    model : EfficientHHMM
        A fitted model.
    X : array of shape (n_sequences, n_timesteps) or list of arrays, default=None
        Syllables on which the usage is measured, in any form that the model takes. Then p(j | k)
        is the fraction of the observed timesteps in state k, by ``model.predict(X)``, that have
        syllable j. If None, the usage follows from the parameters of the model in the long run.
        Give X if sequences are short, since the model does not describe which syllables they
        begin and end with.
    groups : array-like of shape (n_sequences,) or data frame, default=None
        ``groups`` of `EfficientHHMM.predict`, if X is given and the model was fitted with groups.

    Returns
    -------
    preferences : SyllablePreferences
        A named tuple of these.

        biases : ndarray of shape (n_states, n_syllables), float64
            C = Q_K c Q_S' of the point estimate, nats. State k multiplies the odds of syllable j
            against syllable i by ``exp(C[k, j] - C[k, i])``, whichever syllable was before.
        standard_deviations : ndarray of shape (n_states, n_syllables), float64
            Posterior standard deviations over the kept draws of the chain that the point estimate
            is from; NaN where there are fewer than two draws.
        ranking : ndarray of shape (n_states, n_syllables), int64
            Syllables by falling change in usage: ``ranking[k, :3]`` are the three that state k
            promotes most, ``ranking[k, :-4:-1]`` the three that it suppresses most.
        usage_changes : ndarray of shape (n_states, n_syllables), float64
            p(j | k) - p(j). Rows sum to 0. A row is 0 where X has no timestep in the state.
        usage_change_deviations : ndarray of shape (n_states, n_syllables), float64
            Posterior standard deviations of `usage_changes`, over the same draws as above; NaN
            where X is given, since its states are those of the point estimate.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If `model` is not fitted.
    TypeError
        If `model` is not an EfficientHHMM, but for example a pipeline that holds one.

    See Also
    --------
    hhmm.plotting.SyllablePreferenceDisplay : The changes in usage, or the biases, as a picture.

    Notes
    -----
    The long-run usage is the stationary distribution of the Markov chain of state and syllable
    together. The usage over all states weights each by its time; a state that takes nearly all of
    the time therefore has small changes. Without self-transitions the long-run usage counts how
    often a syllable begins, since the model does not describe how long it is held; with X,
    timesteps are counted.

    The bias of a state is relative to the mean of all states, whatever their usage, so with
    two states one is the mirror image of the other. The prior pulls the bias of a rare syllable
    to zero: a bias near zero with a large standard deviation means that little is known.

    Examples
    --------
    >>> from hhmm import EfficientHHMM
    >>> from hhmm.metrics import syllable_preferences
    >>> model = EfficientHHMM.from_params(
    ...     [[0.0, 0.0]] * 3, [[1.0, -2.0]], [[0.99, 0.01], [0.01, 0.99]]
    ... )
    >>> preferences = syllable_preferences(model)
    >>> preferences.biases.round(2)
    array([[-0.08, -1.08,  1.15],
           [ 0.08,  1.08, -1.15]])
    >>> preferences.usage_changes.round(2)
    array([[-0.02, -0.3 ,  0.32],
           [ 0.02,  0.3 , -0.32]])
    >>> preferences.ranking
    array([[2, 0, 1],
           [1, 0, 2]])
    """
    check_is_fitted(model)
    if not hasattr(model, "emission_biases_"):
        raise TypeError(
            f"model must be a fitted EfficientHHMM, got {type(model).__name__}. Of a pipeline, "
            "give the last step"
        )
    params = model._params()
    if X is None:
        changes = _long_run_usage_changes(params, model)
    else:
        changes = _observed_usage_changes(model, X, groups)
    standard_deviations, change_deviations = np.full((2, *changes.shape), np.nan)
    if hasattr(model, "posterior_"):
        draws = flat(model.posterior_, slice(model.best_chain_, model.best_chain_ + 1))
        if len(draws) > 1:
            biases = [logits_from_params(draw).biases for draw in draws]
            standard_deviations = np.std(biases, axis=0, ddof=1)
            if X is None:
                drawn = [_long_run_usage_changes(draw, model) for draw in draws]
                change_deviations = np.std(drawn, axis=0, ddof=1)
    return SyllablePreferences(
        biases=np.asarray(logits_from_params(params).biases),
        standard_deviations=standard_deviations,
        ranking=np.argsort(-changes, axis=1, kind="stable"),
        usage_changes=changes,
        usage_change_deviations=change_deviations,
    )


def _long_run_usage_changes(params, model):
    """Compute p(j | k) - p(j) from parameters, (n_states, n_syllables)."""
    # without self-transitions, emissions are as far apart as syllables are held, on average
    mean_run = 1 if model.self_transitions_ else getattr(model, "_mean_run", 1)
    trans_probs = np.linalg.matrix_power(params.trans_probs, max(round(mean_run), 1))
    of_states = stationary_distribution(np.asarray(trans_probs, float))
    terms = terms_of(params, self_transitions=model.self_transitions_)
    probs = syllable_probs(logits_from_params(params), terms)
    usage = syllable_usage(trans_probs, probs, of_states)
    return usage - of_states @ usage


def _observed_usage_changes(model, X, groups):
    """Compute p(j | k) - p(j) of observed syllables and predicted states, 0 in unused states."""
    sequences = check_sequences(model, X, reset=False).sequences
    predicted = model.predict(X, groups=groups)
    states = [row[: len(x)] for row, x in zip(predicted, sequences, strict=True)]
    syllables, states = np.concatenate(sequences), np.concatenate(states)
    observed = syllables >= 0
    counts = np.zeros((len(model.trans_probs_), model.n_syllables_))
    np.add.at(counts, (states[observed], syllables[observed]), 1)
    if not counts.any():
        raise ValueError(
            f"X must hold an observed syllable, got none in {syllables.size} timesteps"
        )
    totals = counts.sum(axis=1, keepdims=True)
    overall = counts.sum(axis=0) / counts.sum()
    return np.where(totals > 0, counts / np.maximum(totals, 1) - overall, 0.0)
