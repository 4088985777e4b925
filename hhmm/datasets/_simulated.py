"""Data simulated from the model, parameters drawn from the prior."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from hhmm._inference.memory import check_simulation_fits
from hhmm._model.emissions import terms_of, with_zeros
from hhmm._model.simulate import draw_params, simulate
from hhmm._model.terms import ALL_TERMS, Terms
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._sequences.read import MAX_SYLLABLES, check_holding_times
from hhmm._types import Priors
from hhmm._validation import MOST, to_float


@validate_params(
    {
        "n_sequences": [Interval(Integral, 1, MOST, closed="both")],
        "n_timesteps": [Interval(Integral, 1, MOST, closed="both")],
        "n_states": [Interval(Integral, 1, MOST, closed="both")],
        "n_syllables": [Interval(Integral, 1, MAX_SYLLABLES, closed="both")],
        "emission_usage_sigma": [Interval(Real, 0, None, closed="left")],
        "emission_base_sigma": [Interval(Real, 0, None, closed="left")],
        "emission_biases_sigma": [Interval(Real, 0, None, closed="left")],
        "emission_interactions_sigma": [Interval(Real, 0, None, closed="left")],
        "holding_times": ["array-like", None],
        "trans_beta": [Interval(Real, 0, None, closed="neither")],
        "trans_kappa": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
@double_precision
def make_hhmm(
    n_sequences: int = 200,
    n_timesteps: int = 1000,
    n_states: int = 5,
    n_syllables: int = 20,
    *,
    emission_usage_sigma: float = 0.0,
    emission_base_sigma: float = 1.0,
    emission_biases_sigma: float = 1.0,
    emission_interactions_sigma: float = 0.0,
    holding_times: ArrayLike | Sequence[ArrayLike] | None = None,
    trans_beta: float = 1.0,
    trans_kappa: float = 100.0,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Draw parameters from the prior of `hhmm.EfficientHHMM` and simulate from them.

    Parameters
    ----------
    n_sequences, n_timesteps, n_states, n_syllables : int, default=200, 1000, 5 and 20
        Size of the data and of the model.
    emission_usage_sigma, emission_base_sigma, emission_biases_sigma, \
            emission_interactions_sigma : float, default=0.0, 1.0, 1.0 and 0.0
        Standard deviations of the emission parameters. 0 leaves a term out.
    holding_times : array-like or list of array-like, optional
        How long syllables are held, in timesteps: all syllables alike (1-D), or one array a
        syllable. A syllable is then held for a time drawn from its array, the next one is another
        one, and states move on meanwhile. None draws a syllable at every timestep.
    trans_beta, trans_kappa : float, default=1.0 and 100.0
        Dirichlet concentration of every state transition, and what is added for staying.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    data : `~sklearn.utils.Bunch`
        X : ndarray of shape (n_sequences, n_timesteps), int32
            Syllables. The first of a sequence is uniform, as is the first state.
        states : ndarray of shape (n_sequences, n_timesteps), int32
        emission_base : ndarray of shape (n_syllables, n_syllables - 1)
        emission_biases : ndarray of shape (n_states - 1, n_syllables - 1)
        trans_probs : ndarray of shape (n_states, n_states)
        emission_usage : ndarray of shape (n_syllables - 1,)
        emission_interactions : ndarray of shape (n_states - 1, n_syllables, n_syllables - 1)

    Raises
    ------
    ValueError
        If `holding_times` are not positive integers, or not of every syllable; if all scales are 0.
    MemoryError
        If the data or the parameters take more memory than is free.

    Examples
    --------
    >>> from hhmm.datasets import make_hhmm
    >>> data = make_hhmm(3, 50, n_states=2, n_syllables=4, random_state=0)
    >>> data.X.shape, data.states.shape, data.trans_probs.shape
    ((3, 50), (3, 50), (2, 2))
    """
    sizes = n_sequences, n_timesteps, n_states, n_syllables
    n_sequences, n_timesteps, n_states, n_syllables = map(int, sizes)  # NumPy's may overflow
    check_simulation_fits(
        n_timesteps=n_sequences * n_timesteps, n_states=n_states, n_syllables=n_syllables
    )
    scales = {
        "emission_usage_sigma": emission_usage_sigma,
        "emission_base_sigma": emission_base_sigma,
        "emission_biases_sigma": emission_biases_sigma,
        "emission_interactions_sigma": emission_interactions_sigma,
        "trans_beta": trans_beta,
        "trans_kappa": trans_kappa,
    }
    values: dict[str, Any] = {
        name: np.float64(to_float(value, name)) for name, value in scales.items()
    }
    priors = Priors(**values)
    terms = Terms(
        n_states,
        n_syllables,
        tuple(term.name for term in ALL_TERMS if scales[term.sigma] > 0),
        self_transitions=holding_times is None,
    )
    if holding_times is not None:
        holding_times = check_holding_times(holding_times, n_syllables)
    key_params, key_data = jax.random.split(key_from_random_state(random_state))
    params = draw_params(key_params, priors, terms=terms)
    syllables, states = simulate(
        key_data,
        params,
        holding_times,
        terms=terms_of(params, self_transitions=terms.self_transitions),
        n_sequences=n_sequences,
        n_timesteps=n_timesteps,
    )
    return Bunch(
        X=np.asarray(syllables).T.copy(),
        states=np.asarray(states).T.copy(),
        **{
            name: np.array(values)
            for name, values in with_zeros(params)._asdict().items()
            if values is not None
        },
    )
