"""The estimator: validate, call, store. The mathematics is in the packages it calls."""

from __future__ import annotations

import contextlib
import functools
import itertools
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeAlias

import numpy as np
import sklearn
from numpy.typing import ArrayLike
from scipy.special import logsumexp, softmax
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from hhmm import _validation
from hhmm._emission_solvers import Adam, Newton, marginal
from hhmm._emission_solvers.scales import FIRST_GUESS
from hhmm._inference import checkpoint as checkpoints
from hhmm._inference import decode, draws, memory
from hhmm._inference.convergence import agreeing
from hhmm._inference.fit import Options, estimate_memory, fit
from hhmm._inference.prepare import laid_out
from hhmm._model.emissions import all_params, terms_of, with_zeros
from hhmm._model.simulate import simulate
from hhmm._model.terms import (
    ADDED_SETTINGS,
    ALL_TERMS,
    GROUP_EMISSIONS,
    Factor,
    Terms,
    named_scales,
    scale_of,
    with_named_scales,
)
from hhmm._model.transitions import with_a_mode
from hhmm._optional import arviz
from hhmm._optional.sklearn_callbacks import (
    HAS_CALLBACKS,
    CallbackSupportMixin,
    SweepTasks,
    with_callbacks,
)
from hhmm._runtime.files import absolute
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import current_settings, double_precision
from hhmm._sequences import read
from hhmm._sequences.groups import find_groups, find_levels, read_labels
from hhmm._sequences.ragged import Layout
from hhmm._sequences.run_lengths import RunLengths, joined
from hhmm._sequences.state_files import choose_files, write_one_by_one
from hhmm._types import Params, Priors
from hhmm._validation import check_flag, to_float

# results for every timestep, in the form of X
Arrays: TypeAlias = np.ndarray | list[np.ndarray]
RandomState: TypeAlias = int | np.random.RandomState | None
# of the attributes as they are pickled; a change that this version could not read raises it
_STATE_VERSION = 2
# terms that models of version 0.1 do not have
_OPTIONAL_TERMS = [term for term in ALL_TERMS if term.name in ("usage", "interactions")]
# effects of groups in Params, and as attributes
_OF_GROUPS = ("group_emissions", "group_states", "group_transitions")
# attributes that not every fit sets
_OF_SOME_FITS = (
    "chain_weights_",
    "emission_acceptance_",
    "emission_diverging_",
    "emission_losses_",
    "init_log_joints_",
    "posterior_",
    "state_names_",
    "_holding_times",
    "_kept_sweeps",
    "_states_by_timestep",
)
# stacklevel of a warning in _fit: over its decorators, fit, and that of fit
_CALLER_OF_FIT = 6 if HAS_CALLBACKS else 5


class EfficientHHMM(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    DensityMixin,
    BaseEstimator,
):
    """Data-efficient hierarchical hidden Markov model of syllable sequences.

    Finds the slow, high-level states behind sequences of discrete behavioural
    syllables. In state k, syllable i is followed by syllable j with probability

        P[k, i, j] = softmax_j(U[j] + B[i, j] + C[k, j])

    The usage U says which syllables are common. The base B says which syllable follows which. All
    states share U and B. The bias C[k] says which syllables state k promotes, whatever came before.
    These are (S + K)(S - 1) emission parameters for K states and S syllables, instead of
    K S (S - 1). The published model has no U. Interactions D[k, i, j] can be added, for states that
    also change the order of syllables. States follow a sticky Markov chain. The posterior of all
    parameters and states is sampled by Gibbs sweeps.

    At the frame rate of a camera a syllable is held for many timesteps, and how long it is held
    says little about states. With `self_transitions` False, a syllable that follows itself is the
    same syllable, still held. Such a timestep has no emission, but the state can still change. At a
    change of syllable, the softmax is over all other syllables.

    Parameters
    ----------
    n_states : int, default=5
        Number of hidden states K, at most the number of timesteps of the training data.
        With 1, the model is a Markov chain.
    n_syllables : int or None, default=None
        Number of syllables S, at most 46,340; labels are 0 to S - 1. None takes the
        largest label of the training data plus one. Set it if held-out data may contain labels
        that the training data does not.
    emission_usage_sigma : float or "auto", default="auto"
        Prior standard deviation of the entries of `emission_usage_`. For this and all other
        sigmas, 0 leaves the term out, and "auto" learns the scale from the data.
    emission_base_sigma : float or "auto", default="auto"
        Prior standard deviation of the entries of `emission_base_`.
    emission_biases_sigma : float or "auto", default="auto"
        Prior standard deviation of the entries of `emission_biases_`.
    emission_interactions_sigma : float or "auto", default=0.0
        Prior standard deviation of the entries of `emission_interactions_`.
    group_emissions_sigma : float or "auto", default="auto"
        Prior standard deviation of `group_emissions_`: how much the use of syllables differs
        between groups, whatever the state. This and the next two are not used in a fit without
        groups.
    group_states_sigma : float or "auto", default=0.0
        Prior standard deviation of `group_states_`: how much the biases of a state differ between
        groups.
    group_transitions_sigma : float or "auto", default="auto"
        Prior standard deviation of `group_transitions_`: how much the durations and the order of
        states differ between groups.
    self_transitions : bool or "auto", default="auto"
        Whether a syllable that follows itself is an emission (True), or held (False). "auto" takes
        False if syllables are held for 3 timesteps or longer on average, and also if no syllable
        ever follows itself although some would by chance (runs were collapsed).
    trans_beta : float or "auto", default=1.0
        Dirichlet concentration of every state transition.
    trans_kappa : float or "auto", default=100.0
        Concentration added for staying in a state. The prior expected duration of a state is
        about ``(trans_kappa + K trans_beta) / ((K - 1) trans_beta)`` timesteps. With hours of
        data the prior has little influence: the default also finds states that last a minute at
        the frame rate of a camera. Increase it if states are much shorter than those that you
        look for.
    algorithm : {"gibbs", "em", "gradient"}, default="gibbs"
        How the model is fitted. "gibbs" draws parameters and states from their posterior.
        "em" (expectation maximisation) and "gradient" (L-BFGS) climb to a mode of the log joint
        without random numbers; both find the same mode from the same start.
    max_iter : int, default=100
        Number of sweeps of "gibbs"; largest number of iterations of "em" and "gradient".
    tol : float, default=1e-4
        "em" and "gradient" stop when an iteration increases the log joint by at most this, in
        nats, or by less than 1e-9 of its value. Not used by "gibbs".
    emission_solver : {"newton", "adam"}, default="newton"
        How the mode of the emissions is found in each sweep. "newton" converges in a few
        iterations on any data; "adam" is the plain alternative.
    emission_gd_iters : int, default=500
        Iterations of the emission solver per sweep: the most for "newton", the number for "adam".
    emission_gd_lr : float, default=1e-2
        Learning rate of "adam"; not used by "newton".
    emission_sampler : {"auto", "hmc", "laplace"}, default="auto"
        How emissions are drawn given the counts of syllable transitions. "hmc" is exact:
        Hamiltonian Monte Carlo with the Hessian at the mode as metric. Its steps are tuned in the
        first half of the sweeps. If a scale is above 3, the entries of its term are also drawn one
        by one, so that chains move faster. "hmc" needs `emission_solver` "newton".
        "marginal" is exact too. It moves emissions and `trans_probs_` together, with the states
        summed out, by Hamiltonian Monte Carlo. Take it if data are few or states overlap, and
        `posterior_summary` shows few effective draws. For songs of 9 syllables with 3 states, the
        worst syllable transition probability has four times as many effective draws per second as
        with "hmc". Means of draws gain, the spread of draws does not. If scales are above 3, state
        transitions gain, and single logits move more slowly than with "hmc". A sweep takes two to
        three times as long, and more with more parameters, of which there can be 1,000: 5 states
        and 29 syllables. With many timesteps it warms up slowly from `init` "prior" or "random".
        With `groups` it needs ``group_transitions_sigma=0``. The fit runs in one process.
        "laplace" is a normal approximation at the mode with the inverse Hessian as covariance. It
        is far from the posterior if scales are large: for songs of 9 syllables, with learnt scales
        and 8 states, held-out songs have -0.525 nats per transition with "hmc", and -0.601 with
        "laplace". A sweep with "hmc" takes 1.1 times as long as one with "laplace" for 20 syllables
        and 1.3 times for 100, and longer if scales are large. "auto" takes "hmc", or "laplace"
        with `emission_solver` "adam".
    message_passing : {"auto", "sequential", "compressed", "parallel"}, default="auto"
        How the forward and backward passes go over time. All are exact. "sequential" goes timestep
        by timestep. "compressed" goes run by run, for data at the frame rate of a camera. A run is
        a syllable and the timesteps that hold it. "parallel" does either in logarithmically many
        steps, for accelerators. "auto" takes "parallel" if JAX computes on an accelerator. Else it
        takes "compressed" if runs are at least twelve timesteps long on average (six without
        self-transitions), and "sequential" if not.
    init : {"windows", "prior", "random"}, array-like of states or model, default="windows"
        Where the fit starts. "windows" runs EM from many starts, a race, and takes the best one.
        These starts are states from slow directions of the syllable transitions, clustered over
        windows of several lengths, and sticky and flat draws from the prior. With more than 20,000
        timesteps, if one kind of start alone reached the best mode, states are merged and split to
        find a better one. "prior" draws parameters from their prior. "random" draws every state
        uniformly.
        Given states have the form of X: 0 to K - 1 up to the last observed timestep, also where the
        syllable is missing.
        A fitted `EfficientHHMM` provides its parameters; if the estimator will be cloned, as in a
        grid search, wrap the fitted one in `sklearn.frozen.FrozenEstimator`.
    n_init : int, default=1
        Number of searches of `init` "windows", each from other random numbers. The best one is
        kept. It has no effect with any other `init`.
    n_chains : int, default=1
        Number of chains, run at the same time on the cores that joblib grants. With `init`
        "windows" chain 0 starts at the best start, and each other chain at another of the best
        search. With "prior" or "random" each has its own draws. The best chain gives the point
        estimate and `states_`. It has the highest mean log joint over the last quarter of the
        sweeps, or log-likelihood if scales are learnt. "em" and "gradient" run `n_chains` times,
        and keep the run with the highest log joint. The draws of a chain do not depend on
        `n_chains`.
    n_draws : int, default=25
        Number of draws of each chain kept in `posterior_`, evenly spaced over the second half of
        the sweeps; fewer if the second half has fewer sweeps.
    frame_rate : float or None, default=None
        Timesteps per second. Displays, tables and reports made from the model then have units of
        time. It does not change the fit.
    warm_start : bool, default=False
        Whether `fit` continues where the last fit ended instead of starting from `init`. On the
        same X and with the same settings, "gibbs" and "em" then do what one longer fit would have
        done, except that the steps of `emission_sampler` "hmc" and "marginal" stay as the first fit
        tuned them. On another X they continue from the last parameters.
    random_state : int, RandomState or None, default=None
        Seed of all random numbers. With an int, every fit gives the same result.
    verbose : int, default=0
        1 prints the memory that the fit will take, the rounds of the search for a start, and
        progress with the log joint.

    Attributes
    ----------
    emission_base_ : ndarray of shape (n_syllables, n_syllables - 1)
        b, with B = b Q_S' and Q_S the Helmert basis. With "gibbs", parameters of emissions are
        the mean over the kept draws of their mode given the states, which varies less between
        seeds than the mean of the draws in `posterior_`. Those of transitions are the mean of the
        draws. Otherwise all are the mode.
    emission_biases_ : ndarray of shape (n_states - 1, n_syllables - 1)
        c, with C = Q_K c Q_S'.
    emission_usage_ : ndarray of shape (n_syllables - 1,)
        u, with U = u Q_S'; 0 if the term is left out.
    emission_interactions_ : ndarray of shape (n_states - 1, n_syllables, n_syllables - 1)
        d, with D[:, i] = Q_K d[:, i] Q_S'; 0 if the term is left out.
    trans_probs_ : ndarray of shape (n_states, n_states)
        A, state transition probabilities, from row to column.
    syllable_trans_probs_ : ndarray of shape (n_states, n_syllables, n_syllables)
        P, computed from the parameters of all terms. Its diagonal is 0 without self-transitions.
    group_labels_ : dict of ndarray
        The labels of each factor of the groups, sorted; empty after a fit without groups.
    group_emissions_ : dict of ndarray of shape (n_levels, n_syllables)
        E, by factor: what each level adds to the logits of syllables. Sums over levels and over
        syllables are 0.
    group_states_ : dict of ndarray of shape (n_levels, n_states, n_syllables)
        H, by factor: what each level adds to the biases of each state.
    group_transitions_ : dict of ndarray of shape (n_levels, n_states, n_states)
        The effect of each level on the logits of state transitions.
    group_trans_probs_ : dict of ndarray of shape (n_levels, n_states, n_states)
        State transition probabilities of each level, if the effects of other factors are 0.
    self_transitions_ : bool
        Whether a syllable that follows itself is an emission.
    sigmas_ : dict of float
        The scales of all terms, and trans_beta and trans_kappa, by their names. A learnt one is
        the mean of the kept draws, or the estimate of "em" and "gradient".
    states_ : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays, int32
        States of the training data in the form of X, -1 on padding: those of the last sweep of
        "gibbs", or the most probable path after "em" and "gradient". States are numbered by how
        often they occur here. State 0 is the most frequent.
    state_names_ : list of n_states str
        The names given to `set_state_names`. A new fit removes them.
    best_chain_ : int
        The chain that gave the parameters, `states_` and `emission_losses_`; 0 if there is one
        chain.
    chain_weights_ : ndarray of shape (n_chains,)
        Weights of the chains in `score_samples` with `average`. If all chains have settled in the
        same mode, their weights are equal. Otherwise the weights are those with which the chains
        together predict the training sequences best, each left out in turn (stacking [8]_). With
        "gibbs" only.
    init_log_joints_ : ndarray of shape (n_init,)
        The log joint that each search of `init` "windows" reached, nats; fewer if the searches were
        interrupted. It is that of the data that searches use: all, or a part of about 100,000
        timesteps. Before several are compared, the best start of each converges, at the scales that
        the first search learnt. A `ConvergenceWarning` says if only one of them found the best. Not
        with one state, and not after a warm start.
    log_joint_ : ndarray of shape (n_chains, n_iter_)
        log p(X | parameters) + log p(parameters) after each sweep or iteration, nats, at the
        scales of that sweep. A run that ended before others repeats its last value. "em" and
        "gradient" take concentrations of transitions below 1 as 1, since the posterior has no mode
        otherwise.
    log_likelihood_ : ndarray of shape (n_chains, n_iter_)
        log p(X | parameters) after each sweep or iteration, nats. If scales are learnt, chains of
        "gibbs" are compared by it, because their log joints also depend on the scales.
    emission_acceptance_ : ndarray of shape (n_chains, n_iter_)
        Probability with which the emissions proposed in each sweep were accepted (with
        `emission_sampler` "marginal", together with `trans_probs_`); 1 with "laplace", which
        accepts every draw.
    emission_diverging_ : ndarray of shape (n_chains, n_iter_), bool
        Whether the proposal of each sweep was lost to numerical error.
    emission_losses_ : ndarray of shape (n_iterations,)
        Negative log posterior of the emissions (nats) at the start of each iteration of the last
        emission solve. It is flat at the end if the solve converged. Not with "gradient", nor with
        `emission_sampler` "marginal".
    posterior_ : NamedTuple
        Kept draws: ``emission_base``, ``emission_biases``, ``trans_probs``, ``log_joint``,
        ``emission_usage`` and ``emission_interactions`` (None where the term is left out), each
        with leading axes (n_chains, number of draws kept), and ``sigmas``, a dict with the draws
        of each scale that is learnt, (n_chains, number of draws kept). State labels agree across
        draws and chains. Only "gibbs" gives this, `emission_acceptance_` and `emission_diverging_`.
    n_iter_ : int
        Number of sweeps or iterations done.
    converged_ : bool
        For "em" and "gradient", whether an iteration gained no more than `tol`. For "gibbs",
        whether the mean log joint (log-likelihood if scales are learnt) of the last quarter of the
        sweeps agrees, for every chain, with that of the quarter before and with that of the best
        chain: within four standard errors of the difference, or within the spread from sweep to
        sweep. With fewer than 20 sweeps it is False without a warning. Otherwise a
        `ConvergenceWarning` says why it is False. True does not mean that the fit is at the highest
        mode, or that several chains together have drawn from all of the posterior: a chain stays
        near the mode where it starts. To look for a higher one, increase `n_init`.
    n_syllables_ : int
        Number of syllables S.
    n_features_in_ : int
        Number of timesteps, when X was 2-D.
    feature_names_in_ : ndarray of str
        Column names, when X was a data frame with string column names.

    See Also
    --------
    hhmm.datasets.make_hhmm : Simulate data from the model.
    hhmm.metrics.matched_accuracy : Compare states up to their numbering.
    hhmm.callbacks.FitMonitor : Watch a fit, and end it early.
    hhmm.diagnostics.posterior_summary : Posterior and convergence of every quantity.

    Notes
    -----
    X is a 2-D array of integers (n_sequences, n_timesteps), a list of 1-D arrays of any lengths, or
    recordings in files (`hhmm.datasets.open_recordings`); one row or item is one sample. A timestep
    is missing if its value is negative, NaN, None or pandas' NA, or masked in a masked array, or if
    `mask` is False there. Missing timesteps at the end are padding: the sequence ends before them.
    Any other missing timestep is part of the sequence: its state is inferred, and the emissions
    into and out of it are left out.

    A scale that is "auto" has a half-Cauchy prior with scale parameter 2; that of `trans_beta` has
    scale parameter 1, and that of `trans_kappa` 100. With "gibbs" it is drawn in every sweep [6]_
    [7]_; "em" and "gradient" estimate it by type-II maximum likelihood. The race of `init`
    "windows" learns scales too. With `init` "prior" and "random", scales stay at 2 (that of the
    base at 3) for the first 20 sweeps, or 40 iterations of "em". If the scale of the biases were
    learnt earlier, before states are known, it would become 0. "auto" is the default of the scales
    of usage, base and biases, because it predicts held-out sequences better. `trans_kappa` is a
    number by default, because it says how slow the states are that you look for.

    The published model is ``EfficientHHMM(emission_usage_sigma=0, emission_base_sigma=1,
    emission_biases_sigma=1, self_transitions=True, emission_sampler="laplace")``.

    Parameters, `score` and `score_samples` are computed in float64. Forward and backward passes of
    a fit use float32: the error of `log_joint_` is at most 1.2e-7 nats per timestep, and typically
    1e-9. Results do not depend on the user's JAX settings for precision, random numbers, debugging,
    promotion and transfer guards, and a fit leaves these settings as they are.

    X is held as runs of equal syllables, and large data are computed in parts of whole sequences,
    see `hhmm.guide.scale`. The memory of a fit is about the sum of 0.3 GB, 65 bytes per run, 32 S
    (S + K) bytes per kept draw, 60 + 20 K bytes per run of the parts that are computed at the same
    time (30 + 7 K per timestep with "sequential"), and (125 K + 400) S^2 bytes for the emissions of
    each group (425 K with interactions). The last two count for each chain that runs at the same
    time. `verbose` prints the sum before the fit. If not enough memory is free, the fit raises a
    MemoryError.

    References
    ----------
    .. [1] Rabiner, L. R. (1989). A tutorial on hidden Markov models and selected
       applications in speech recognition. Proceedings of the IEEE 77(2), eq. 19-35.
    .. [2] Scott, S. L. (2002). Bayesian methods for hidden Markov models. Journal of the
       American Statistical Association 97(457), section 2.1.
    .. [3] Papandreou, G. and Yuille, A. L. (2010). Gaussian sampling by local
       perturbations. NIPS 23.
    .. [4] Neal, R. M. (2011). MCMC using Hamiltonian dynamics. Handbook of Markov Chain
       Monte Carlo, chapter 5.
    .. [5] Dempster, A. P., Laird, N. M. and Rubin, D. B. (1977). Maximum likelihood from
       incomplete data via the EM algorithm. JRSS B 39, section 3.
    .. [6] Makalic, E. and Schmidt, D. F. (2016). A simple sampler for the horseshoe
       estimator. IEEE Signal Processing Letters 23(1).
    .. [7] Yu, Y. and Meng, X.-L. (2011). To center or not to center: that is not the question.
       Journal of Computational and Graphical Statistics 20(3).
    .. [8] Yao, Y., Vehtari, A. and Gelman, A. (2022). Stacking for non-mixing Bayesian
       computations. Journal of Machine Learning Research 23(79).

    Examples
    --------
    >>> from hhmm import EfficientHHMM
    >>> from hhmm.datasets import make_hhmm
    >>> from hhmm.metrics import matched_accuracy
    >>> data = make_hhmm(24, 200, n_states=2, n_syllables=5, random_state=0)
    >>> model = EfficientHHMM(n_states=2, max_iter=60, random_state=0).fit(data.X)
    >>> states = model.predict(data.X)
    >>> states.shape
    (24, 200)
    >>> bool(matched_accuracy(data.states, states) > 0.8)
    True
    """

    _parameter_constraints: ClassVar = {
        "n_states": [Interval(Integral, 1, _validation.MOST, closed="both")],
        "n_syllables": [Interval(Integral, 1, read.MAX_SYLLABLES, closed="both"), None],
        "emission_usage_sigma": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "emission_base_sigma": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "emission_biases_sigma": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "group_emissions_sigma": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "group_states_sigma": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "group_transitions_sigma": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "emission_interactions_sigma": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "self_transitions": ["boolean", StrOptions({"auto"})],
        "trans_beta": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "trans_kappa": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "algorithm": [StrOptions({"em", "gibbs", "gradient"})],
        "max_iter": [Interval(Integral, 1, _validation.MOST, closed="both")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "emission_solver": [StrOptions({"newton", "adam"})],
        "emission_gd_iters": [Interval(Integral, 1, _validation.MOST, closed="both")],
        "emission_gd_lr": [Interval(Real, 0, None, closed="neither")],
        "emission_sampler": [StrOptions({"auto", "hmc", "laplace", "marginal"})],
        "message_passing": [StrOptions({"auto", "sequential", "parallel", "compressed"})],
        "init": [
            StrOptions({"windows", "prior", "random"}),
            "array-like",
            HasMethods(["predict", "get_params"]),
        ],
        "n_init": [Interval(Integral, 1, _validation.MOST, closed="both")],
        "n_chains": [Interval(Integral, 1, _validation.MOST, closed="both")],
        "n_draws": [Interval(Integral, 1, _validation.MOST, closed="both")],
        "frame_rate": [Interval(Real, 0, None, closed="neither"), None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # with metadata routing on, a mask goes wherever X goes, without being asked for
    __metadata_request__fit: ClassVar = {"mask": True}
    __metadata_request__predict: ClassVar = {"mask": True}
    __metadata_request__predict_proba: ClassVar = {"mask": True}
    __metadata_request__score: ClassVar = {"mask": True}
    __metadata_request__transform: ClassVar = {"mask": True}

    def __init__(
        self,
        n_states: int = 5,
        n_syllables: int | None = None,
        *,
        emission_usage_sigma: float | Literal["auto"] = "auto",
        emission_base_sigma: float | Literal["auto"] = "auto",
        emission_biases_sigma: float | Literal["auto"] = "auto",
        emission_interactions_sigma: float | Literal["auto"] = 0.0,
        group_emissions_sigma: float | Literal["auto"] = "auto",
        group_states_sigma: float | Literal["auto"] = 0.0,
        group_transitions_sigma: float | Literal["auto"] = "auto",
        self_transitions: bool | Literal["auto"] = "auto",
        trans_beta: float | Literal["auto"] = 1.0,
        trans_kappa: float | Literal["auto"] = 100.0,
        algorithm: Literal["gibbs", "em", "gradient"] = "gibbs",
        max_iter: int = 100,
        tol: float = 1e-4,
        emission_solver: Literal["newton", "adam"] = "newton",
        emission_gd_iters: int = 500,
        emission_gd_lr: float = 1e-2,
        emission_sampler: Literal["auto", "hmc", "laplace", "marginal"] = "auto",
        message_passing: Literal["auto", "sequential", "compressed", "parallel"] = "auto",
        init: Any = "windows",
        n_init: int = 1,
        n_chains: int = 1,
        n_draws: int = 25,
        frame_rate: float | None = None,
        warm_start: bool = False,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_states = n_states
        self.n_syllables = n_syllables
        self.emission_usage_sigma = emission_usage_sigma
        self.emission_base_sigma = emission_base_sigma
        self.emission_biases_sigma = emission_biases_sigma
        self.emission_interactions_sigma = emission_interactions_sigma
        self.group_emissions_sigma = group_emissions_sigma
        self.group_states_sigma = group_states_sigma
        self.group_transitions_sigma = group_transitions_sigma
        self.self_transitions = self_transitions
        self.trans_beta = trans_beta
        self.trans_kappa = trans_kappa
        self.algorithm = algorithm
        self.max_iter = max_iter
        self.tol = tol
        self.emission_solver = emission_solver
        self.emission_gd_iters = emission_gd_iters
        self.emission_gd_lr = emission_gd_lr
        self.emission_sampler = emission_sampler
        self.message_passing = message_passing
        self.init = init
        self.n_init = n_init
        self.n_chains = n_chains
        self.n_draws = n_draws
        self.frame_rate = frame_rate
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        groups: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        checkpoint: str | PathLike | None = None,
        checkpoint_every: int = 10,
    ) -> Self:
        """Fit the model to sequences.

        Parameters
        ----------
        X : array-like of int of shape (n_sequences, n_timesteps), list of 1-D arrays, or recordings
            Syllables; negative or NaN where missing. Recordings are what
            `hhmm.datasets.open_recordings` returns: they are read one at a time.
        y : ignored
            Present for scikit-learn's conventions.
        groups : array-like of shape (n_sequences,) or data frame, optional
            The group of each sequence, for example the animal. A data frame has a column for each
            factor, for example animal and condition. See `hhmm.guide.groups`.
        mask : array-like of bool of shape (n_sequences, n_timesteps), optional
            False marks a missing timestep. For 2-D X only.
        checkpoint : str or path-like, optional
            File in which the progress of the fit is saved. If the file exists, the fit continues
            from it, and on the same kind of device its result equals that of an uninterrupted fit
            to the last bit. Settings and data must be the same. Only `max_iter` may be larger: then
            draws that the shorter fit did not keep are replaced by the last ones kept before them,
            and `emission_sampler` "hmc" and "marginal" keep the steps tuned in the first half of
            the shorter fit.
            With ``random_state=None`` the fit continues from the saved seed; any other value counts
            as a setting. An interrupted write never leaves a partial file. Only one fit at a time
            can use the file.
        checkpoint_every : int, default=10
            Number of sweeps of each chain between two writes, which is the most that can be lost.

        Returns
        -------
        self : EfficientHHMM
            The fitted estimator. A fit that fails does not change it.

        Raises
        ------
        ValueError
            If X, mask, or a parameter is not as described; if no sequence has an observed
            transition; if `emission_sampler` is "hmc" and `emission_solver` is not "newton", or
            "marginal" and the model has too many parameters or effects of groups on transitions; if
            `checkpoint` belongs to another fit, is damaged, or is another file: it is not changed.
        FloatingPointError
            If the log joint or a parameter is not finite, as extreme hyperparameters can make them.
        MemoryError
            If the fit would take more memory than is free. The message says what to change.
        BlockingIOError
            If another fit is using `checkpoint`.
        FileNotFoundError
            If the folder of `checkpoint` does not exist.

        Notes
        -----
        Callbacks of scikit-learn 1.9 and later (``set_callbacks``) are called after every sweep,
        and end a chain by returning True. Such a fit keeps the draws that `n_draws` and `max_iter`
        had planned until then, or the last one alone. See `hhmm.callbacks`.

        An interrupt (Ctrl-C) during the sweeps ends the fit after the current sweep. One during the
        search for a start ends the search, and the fit after one sweep; with `checkpoint` it stops
        at once. The model is fitted on the sweeps done, and a warning says so. If there are several
        chains, only those in the second half of their sweeps are used, if there are any. A
        second interrupt, or one within ten seconds of another, raises KeyboardInterrupt at once and
        does not change the estimator.

        Warns
        -----
        UserWarning
            If sequences without an observed timestep are left out. If more than a tenth of the
            labels never occur in X (more than half, where `n_syllables` is given). If missing
            timesteps leave fewer than half of the transitions observed. If `checkpoint` could not
            be written, for example to a full disk: the fit continues, and the file is as it was. If
            states take less than 1% of the timesteps in `states_`: the warning gives the share of
            each and what to change. If states last about as long as syllables. If most sequences
            are in one state for 95% of their time, not all in the same. A fit that was interrupted
            is not judged by these. If syllables are held for 3 timesteps or longer on average and
            `self_transitions` is True.
        ConvergenceWarning
            If the fit was interrupted, an emission solve did not converge, the log joint had not
            settled, chains are in different modes or rarely accept emissions, or `max_iter` ended a
            climb.
        """
        if checkpoint is not None:
            checkpoint = absolute(checkpoint, "checkpoint")
            check_scalar(checkpoint_every, "checkpoint_every", Integral, min_val=1)
        with _validation.unchanged_on_error(self):
            messages = self._fit(
                X,
                y,
                groups,
                mask,
                checkpoint,
                checkpoint_every,
                callers_settings=current_settings(),
            )
        for warning in messages:
            warnings.warn(warning, stacklevel=3)
        return self

    @with_callbacks
    @double_precision
    def _fit(self, X, y, groups, mask, path, checkpoint_every, *, callers_settings):
        """Fit; return warnings. `y` and the caller's settings are for callbacks alone."""
        if self.emission_sampler == "hmc" and self.emission_solver != "newton":
            raise ValueError(
                "emission_sampler='hmc' needs the mode itself: expected "
                f"emission_solver='newton', got {self.emission_solver!r}"
            )
        checked = read.check_runs(self, X, mask=mask, reset=True)
        grouped = _Grouped({}, (), None)
        if groups is not None:
            labels = read_labels(groups, len(checked.n_runs))
            grouped = _group(labels, find_levels(labels))
        if (
            grouped.factors
            and self.algorithm == "gradient"
            and self._has("group_transitions_sigma")
        ):
            raise ValueError(
                "algorithm='gradient' has no effects of groups on transitions. Set "
                "group_transitions_sigma=0, or use algorithm='em'."
            )
        n_syllables, empty = read.check_fit_data(checked, self.n_syllables, self.n_states)
        self_transitions = read.resolve_self_transitions(self.self_transitions, checked)
        for message in read.describe_doubtful_data(
            checked,
            n_syllables,
            empty,
            is_given=self.n_syllables is not None,
            self_transitions=self_transitions,
        ):
            warnings.warn(message, read.DoubtfulDataWarning, stacklevel=_CALLER_OF_FIT)
        terms = self._terms(n_syllables, self_transitions, grouped.factors)
        options = self._options(len(grouped.factors))
        if options.sampler == "marginal":
            marginal.check(terms)
        memory.check_fits(estimate_memory(checked, options, terms))
        init = self._checked_init(checked, n_syllables, grouped)
        rng = check_random_state(self.random_state)
        saved = contextlib.nullcontext()
        if path is not None:
            described = checkpoints.describe(
                self,
                checked,
                n_syllables,
                init,
                rng,
                [factor.n_levels for factor in grouped.factors],
                grouped.of_sequences,
            )
            saved = checkpoints.opened(path, described, options.n_chains)
        with saved as checkpoint:
            pasts = [None] * options.n_chains if checkpoint is None else checkpoint.pasts
            tasks = SweepTasks(
                self,
                X,
                y,
                {"groups": groups, "mask": mask},
                log_joints=[[] if past is None else [*past.trace.log_joint] for past in pasts],
                n_iter=options.n_iter,
                callers_settings=callers_settings,
                fitted_attributes=lambda chain: (
                    _params_of(chain, grouped.levels)
                    | {"n_syllables_": n_syllables, "self_transitions_": self_transitions}
                    | {"group_labels_": grouped.levels}
                    | {"sigmas_": _by_factor(_floats(named_scales(chain.priors)), grouped.levels)}
                ),
            )
            fitted = fit(
                X,
                checked,
                terms,
                init,
                rng,
                options,
                checkpoint,
                tasks,
                checkpoint_every,
                grouped.of_sequences,
            )
        for name in _OF_SOME_FITS:
            vars(self).pop(name, None)
        vars(self).update(fitted.attributes)
        self.group_labels_ = grouped.levels
        for name in _OF_GROUPS:
            effects = fitted.attributes[f"{name}_"]
            setattr(self, f"{name}_", _effects_by_factor(effects, grouped.levels))
        self.sigmas_ = _by_factor(self.sigmas_, grouped.levels)
        if "posterior_" in fitted.attributes:
            named = _by_factor(self.posterior_.sigmas, grouped.levels)
            self.posterior_ = self.posterior_._replace(sigmas=named)
        tasks.end({})
        return fitted.warnings

    def fit_predict(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        groups: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> Arrays:
        """Fit the model and return the most probable states: ``fit(X).predict(X)``."""
        return self.fit(X, y, groups=groups, mask=mask).predict(X, groups=groups, mask=mask)

    def fit_transform(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        groups: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> np.ndarray:
        """Fit the model and return the time spent in each state: ``fit(X).transform(X)``."""
        return self.fit(X, y, groups=groups, mask=mask).transform(X, groups=groups, mask=mask)

    @double_precision
    def predict(
        self,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        out: str | PathLike | None = None,
    ) -> Arrays | list[Path]:
        """Predict the most probable path of states of each sequence (Viterbi).

        Parameters
        ----------
        X : array-like of int of shape (n_sequences, n_timesteps), list of 1-D arrays, or recordings
            Syllables; negative or NaN where missing. Recordings are those of
            `hhmm.datasets.open_recordings`.
        groups : array-like of shape (n_sequences,) or data frame, optional
            The group of each sequence, as in `fit`. A group that the fit did not have, or None,
            has effect 0.
        mask : array-like of bool of shape (n_sequences, n_timesteps), optional
            False marks a missing timestep. For 2-D X only.
        out : str or path-like, optional
            Folder to write the states to, for more timesteps than fit in memory. Each sequence has
            a file ``<name>.npy`` of shape (n_timesteps,), int16, with the name of the recording as
            `hhmm.datasets.open_recordings` names it, or ``sequence_0000``, ``sequence_0001`` and
            so on. The folder is made if it does not exist; its parent must exist. All files are
            written, or none.

        Returns
        -------
        states : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays, int32
            In the form of X; -1 on padding. With `out`, the paths of the files, a list.

        Raises
        ------
        FileExistsError
            If a file that `out` would hold exists.
        OSError
            If there is not enough room on the disk.
        MemoryError
            If the longest sequence takes more memory than is free: about 20 bytes a timestep, and 4
            for each state.

        Warns
        -----
        UserWarning
            If X is several sequences of one timestep each, as a column of shape (n_timesteps, 1)
            is. The other methods that take X warn too.
        """
        checked = self._check(X, mask)
        states = self._best_paths(checked, groups)
        if out is None:
            return _joined(states)
        paths = choose_files(out, X, checked.layout.n_timesteps)
        write_one_by_one(paths, itertools.chain.from_iterable(states))
        return paths

    @double_precision
    def decode(
        self, X: ArrayLike, *, groups: ArrayLike | None = None, mask: ArrayLike | None = None
    ) -> tuple[Arrays, np.ndarray]:
        """Find the most probable path of states, and its log joint probability with the syllables.

        Parameters
        ----------
        X, groups, mask
            As for `predict`.

        Returns
        -------
        log_prob : ndarray of shape (n_sequences,)
            log p(x, z | parameters) of the path z, nats; 0 for a sequence without an
            observed timestep.
        states : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays, int32
            As `predict` returns them.
        """
        params, parts = self._prepare(X, mask, groups)
        log_probs, paths = [], []
        for prepared, layout in parts:
            states = decode.viterbi(params, prepared)
            of_path = decode.log_joint_probs(params, prepared, states)
            log_probs.append(prepared.sum_timesteps(of_path))
            paths.append(prepared.unpack(states, layout, fill=-1))
        return np.concatenate(log_probs), _joined(paths)

    @double_precision
    def predict_proba(
        self,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        average: bool = False,
    ) -> Arrays:
        """Predict the probability of each state given the whole sequence (smoothing).

        Parameters
        ----------
        X, groups, mask
            As for `predict`.
        average : bool, default=False
            Whether to average over the draws in `posterior_`, which takes the uncertainty of
            the parameters into account, instead of using the point estimate alone. Takes
            as many times as long as there are draws. Of several chains, those that have settled
            where the best one has count.

        Returns
        -------
        probabilities : ndarray or list of ndarrays, float32
            (n_sequences, n_timesteps, n_states), or a list of (n_timesteps, n_states);
            NaN on padding.

        Raises
        ------
        ValueError
            If `average` is asked for and there are no draws: after a fit by "em" or
            "gradient", or of a model made by `from_params`.
        """
        check_flag(average, "average")
        draws_ = self._draws() if average else None
        params, parts = self._prepare(X, mask, groups)

        def smooth(prepared):
            if draws_ is None:
                return decode.smooth(params, prepared)
            totals = [0.0] * len(prepared.groups)
            for drawn in draws_:
                smoothed = decode.smooth(drawn, prepared)
                totals = [
                    total + np.asarray(group) for total, group in zip(totals, smoothed, strict=True)
                ]
            return [total / np.float32(len(draws_)) for total in totals]

        return _checked_probabilities(smooth, parts)

    @double_precision
    def filter_proba(
        self, X: ArrayLike, *, groups: ArrayLike | None = None, mask: ArrayLike | None = None
    ) -> Arrays:
        """Predict the probability of each state given the sequence so far, for online use.

        Parameters
        ----------
        X, groups, mask
            As for `predict`.

        Returns
        -------
        probabilities : ndarray or list of ndarrays, float32
            p(z[t] | x[1], ..., x[t]), in the form of `predict_proba`.
        """
        params, parts = self._prepare(X, mask, groups)
        return _checked_probabilities(functools.partial(decode.forward_filter, params), parts)

    @double_precision
    def sample_states(
        self,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        random_state: RandomState = None,
    ) -> Arrays:
        """Draw the states once from their posterior given the syllables.

        Parameters
        ----------
        X, groups, mask
            As for `predict`.
        random_state : int, RandomState or None, default=None
            Seed of the draw.

        Returns
        -------
        states : ndarray of shape (n_sequences, n_timesteps) or list of ndarrays, int32
            In the form of X; -1 on padding.
        """
        params, parts = self._prepare(X, mask, groups, every_timestep=False)
        key = key_from_random_state(random_state)
        return _joined(
            decode.sample(key, params, prepared)._replace(layout=layout).in_form_of_input()
            for prepared, layout in parts
        )

    @double_precision
    def score_samples(
        self,
        X: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        average: bool = False,
    ) -> np.ndarray:
        """Score each sequence by its log-likelihood, hidden states summed out.

        Parameters
        ----------
        X, groups, mask
            As for `predict`.
        average : bool, default=False
            Whether to return the log of the mean likelihood over the draws in `posterior_`
            (the log predictive density) instead of the log-likelihood of the point estimate. Of
            several chains, each counts with its weight in `chain_weights_`.

        Returns
        -------
        log_likelihood : ndarray of shape (n_sequences,)
            log p(x | parameters) in nats, given the first syllable.

        Raises
        ------
        ValueError
            If `average` is asked for and there are no draws, as for `predict_proba`.
        """
        check_flag(average, "average")
        if not average:
            params, parts = self._prepare(X, mask, groups, every_timestep=False)
            return _log_likelihoods([params], parts)[0]
        self._check_draws("average=True")
        chains = np.flatnonzero(self.chain_weights_)
        by_draw = self._score_draws(X, mask, groups, draws.flat(self.posterior_, chains))
        by_draw = by_draw.reshape(len(chains), -1, by_draw.shape[1])
        weights = self.chain_weights_[chains, None, None] / by_draw.shape[1]
        return logsumexp(by_draw, axis=(0, 1), b=weights)

    @double_precision
    def score(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        groups: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Return the log-likelihood per observed transition.

        It is comparable between folds, data sets and models that have the same `self_transitions_`.
        A model with self-transitions counts every observed transition, and one without counts
        changes of syllable alone. These are different events.

        Parameters
        ----------
        X, groups, mask
            As for `predict`.
        y : ignored
            Present for scikit-learn's conventions.
        sample_weight : array-like of shape (n_sequences,), optional
            Weight of each sequence, at least 0: a sequence of weight 2 counts as if it were there
            twice. None weights all alike.

        Returns
        -------
        score : float
            Nats per transition; higher is better.

        Raises
        ------
        ValueError
            If no sequence of positive weight has an observed transition.
        """
        del y
        checked = self._check(X, mask)
        n_observed = read.count_transitions(checked, self_transitions=self.self_transitions_)
        if sample_weight is not None:
            sample_weight = _validation.check_weights(sample_weight)
        weight = _check_sample_weight(sample_weight, n_observed, ensure_non_negative=True)
        n_transitions = weight @ n_observed
        if n_transitions == 0:
            raise ValueError(
                "X has no observed transition to score: at least one sequence"
                f"{'' if sample_weight is None else ' of positive weight'} must have two observed "
                "timesteps in a row"
            )
        params, parts = self._lay_out(checked, groups, every_timestep=False)
        return float(weight @ _log_likelihoods([params], parts)[0] / n_transitions)

    def set_state_names(self, names: Sequence[str]) -> Self:
        """Name the states, for displays, tables and reports made from the model.

        Parameters
        ----------
        names : sequence of n_states str
            A name for each state, in the order of the states; all different.

        Returns
        -------
        self : EfficientHHMM
            With the names in ``state_names_``. They are saved with the model.

        Raises
        ------
        ValueError
            If there is not one name for each state, or two are equal.

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> model = EfficientHHMM.from_params([[0], [0]], [[1]], [[0.9, 0.1], [0.1, 0.9]])
        >>> model.set_state_names(["rest", "explore"]).state_names_
        ['rest', 'explore']
        """
        check_is_fitted(self)
        self.state_names_ = _validation.check_state_names(names, len(self.trans_probs_))
        return self

    @double_precision
    def log_joint(
        self, X: ArrayLike, *, groups: ArrayLike | None = None, mask: ArrayLike | None = None
    ) -> float:
        """Compute the log joint density of data and parameters, as `log_joint_` records a sweep.

        Parameters
        ----------
        X, groups, mask
            As for `predict`.

        Returns
        -------
        log_joint : float
            log p(X | parameters) + log p(parameters), nats.
        """
        log_likelihood = self.score_samples(X, groups=groups, mask=mask).sum()
        params, levels = self._params(), getattr(self, "group_labels_", {})
        scales = self.sigmas_
        for i, name in enumerate(levels):
            scales = {key.replace(f"[{name}]", f"[{i}]"): value for key, value in scales.items()}
        priors = with_named_scales(self._priors(self.sigmas_, len(levels)), scales)
        factors = tuple(Factor(len(known), (-1,)) for known in levels.values())
        terms = self._terms(self.n_syllables_, self.self_transitions_, factors)
        terms = terms._replace(n_states=len(self.trans_probs_))
        # of from_params, terms that were not given are left out
        params = with_zeros(params)
        present = (
            term.name
            for term in terms.present
            if scale_of(priors, term) > 0 and term.of(params, term.parameter) is not None
        )
        terms = terms._replace(
            names=tuple(dict.fromkeys(present)),
            trans_by_group=params.group_transitions is not None,
        )
        log_prior = decode.params_log_prior(params, priors, terms=terms)
        return float(log_likelihood) + float(log_prior)

    @double_precision
    def transform(
        self, X: ArrayLike, *, groups: ArrayLike | None = None, mask: ArrayLike | None = None
    ) -> np.ndarray:
        """Return the fraction of time that each sequence spends in each state, by `predict`.

        Parameters
        ----------
        X, groups, mask
            As for `predict`.

        Returns
        -------
        usage : ndarray of shape (n_sequences, n_states)
            Rows sum to 1; NaN for a sequence without an observed timestep.
        """
        params, parts = self._prepare(X, mask, groups)
        n_states = self._n_features_out
        counts = np.concatenate(
            [
                prepared.runs_of_path(decode.viterbi(params, prepared)).sum_by_label(n_states)
                for prepared, _ in parts
            ]
        )
        totals = counts.sum(axis=1, keepdims=True)
        return counts / np.where(totals > 0, totals, np.nan)

    @double_precision
    def sample(
        self,
        n_sequences: int = 1,
        n_timesteps: int = 100,
        random_state: RandomState = None,
        *,
        groups: ArrayLike | None = None,
        holding_times: ArrayLike | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Simulate from the fitted model.

        Parameters
        ----------
        n_sequences : int, default=1
        n_timesteps : int, default=100
        random_state : int, RandomState or None, default=None
            Seed of the simulation.
        groups : array-like of shape (n_sequences,) or data frame, optional
            The group of each sequence, as in `predict`.
        holding_times : array-like or list of array-like, optional
            For a model without self-transitions: how long syllables are held, in timesteps, all
            alike (1-D) or one array a syllable. A time is drawn from them for each syllable
            that begins. None draws from the runs of the training data.

        Returns
        -------
        X : ndarray of shape (n_sequences, n_timesteps), int32
            Syllables; the first of each sequence is uniform over the syllables.
        states : ndarray of shape (n_sequences, n_timesteps), int32

        Raises
        ------
        ValueError
            If `holding_times` are not positive integers, are given to a model with
            self-transitions, or are missing for a model made by `from_params`.
        MemoryError
            If that many timesteps take more memory than is free.
        """
        check_is_fitted(self)
        for name, value in [("n_sequences", n_sequences), ("n_timesteps", n_timesteps)]:
            check_scalar(value, name, Integral, min_val=1, max_val=_validation.MOST)
        params, table = self._params(), self._holding_table(holding_times)
        grouped = self._find_groups(groups, int(n_sequences))
        memory.check_simulation_fits(
            n_timesteps=int(n_sequences) * int(n_timesteps),
            n_states=len(self.trans_probs_),
            n_syllables=self.n_syllables_,
        )
        syllables, states = simulate(
            key_from_random_state(random_state),
            params,
            table,
            np.int32(0) if grouped.of_sequences is None else grouped.of_sequences,
            terms=terms_of(
                params, self_transitions=self.self_transitions_, factors=grouped.factors
            ),
            n_sequences=int(n_sequences),
            n_timesteps=int(n_timesteps),
        )
        return np.asarray(syllables).T.copy(), np.asarray(states).T.copy()

    def to_arviz(
        self,
        X: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> Any:
        """Convert the kept draws to an object of ArviZ, for its diagnostics, plots and comparisons.

        Parameters
        ----------
        X : array-like or list of 1-D arrays, optional
            Sequences to compute log-likelihoods of, as for `predict`; for example those of the fit.
        groups, mask
            As for `predict`.

        Returns
        -------
        data : arviz.InferenceData, or xarray.DataTree with ArviZ 1.0 and later
            Group ``posterior`` with ``emission_base``, ``emission_biases``, ``trans_probs`` and
            ``emission_logits_bias``, the bias C of each state and syllable; labels of states are
            aligned, so that R-hat and effective sample sizes mean something. The coordinates of
            states are their numbers, or the names of `set_state_names`. Group ``sample_stats``
            with ``lp`` (the log joint, nats), ``acceptance_rate`` and ``diverging`` of the emission
            draws; and ``log_likelihood`` with ``X`` (chain, draw, sequence), nats, where X is
            given.

        Raises
        ------
        ImportError
            If ArviZ is not installed: ``pip install arviz``.
        ValueError
            If there are no draws: after a fit by "em" or "gradient", or for a model made by
            `from_params`.

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> from hhmm.datasets import make_hhmm
        >>> data = make_hhmm(24, 200, n_states=2, n_syllables=5, random_state=0)
        >>> model = EfficientHHMM(2, max_iter=60, init="prior", random_state=0).fit(data.X)
        >>> idata = model.to_arviz()
        >>> dict(idata.posterior.sizes)["draw"]
        25
        """
        self._check_draws("to_arviz")
        log_likelihood = None
        if X is not None:
            n_chains, n_draws = self.posterior_.log_joint.shape
            flat = self._score_draws(X, mask, groups, draws.flat(self.posterior_))
            log_likelihood = flat.reshape(n_chains, n_draws, -1)
        return arviz.convert(
            self.posterior_,
            acceptance=np.take_along_axis(self.emission_acceptance_, self._kept_sweeps, axis=1),
            diverging=np.take_along_axis(self.emission_diverging_, self._kept_sweeps, axis=1),
            log_likelihood=log_likelihood,
            state_names=getattr(self, "state_names_", None),
        )

    @classmethod
    def from_params(
        cls,
        emission_base: ArrayLike,
        emission_biases: ArrayLike,
        trans_probs: ArrayLike,
        *,
        emission_usage: ArrayLike | None = None,
        emission_interactions: ArrayLike | None = None,
        group_labels: dict[str, ArrayLike] | None = None,
        group_emissions: dict[str, ArrayLike] | None = None,
        group_states: dict[str, ArrayLike] | None = None,
        group_transitions: dict[str, ArrayLike] | None = None,
        **hyperparameters: Any,
    ) -> Self:
        """Make a fitted model with given parameters, for example published ones.

        Parameters
        ----------
        emission_base : array-like of shape (n_syllables, n_syllables - 1)
            b, in the Helmert basis.
        emission_biases : array-like of shape (n_states - 1, n_syllables - 1)
            c, in the Helmert bases.
        trans_probs : array-like of shape (n_states, n_states)
            State transition probabilities, from row to column; rows sum to 1.
        emission_usage : array-like of shape (n_syllables - 1,), optional
            u, in the Helmert basis. None is 0.
        emission_interactions : array-like, optional
            d, in the Helmert bases, of shape (n_states - 1, n_syllables, n_syllables - 1).
            None is 0.
        group_labels : dict of array-like of shape (n_levels,), optional
            Labels of the groups by factor.
        group_emissions, group_states, group_transitions : dict of array-like, optional
            Effects by factor, of all factors of `group_labels`, in the form of the attributes of
            these names. None is 0.
        **hyperparameters
            Constructor arguments other than n_states and n_syllables. A scale that is "auto", or 0
            although its term is given, is the root mean square of the entries of its term.
            `self_transitions` "auto" is True here: give False for the parameters of a model of
            held syllables.

        Returns
        -------
        model : EfficientHHMM
            Ready for `predict` and the other methods that follow a fit. What describes a
            fit (`states_`, `log_joint_`, `posterior_`, `emission_losses_`) it does not have.

        Raises
        ------
        ValueError
            If the shapes do not belong together, or the rows of `trans_probs` are not
            probabilities.

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> from hhmm.datasets import make_hhmm
        >>> data = make_hhmm(2, 50, n_states=3, n_syllables=4, random_state=0)
        >>> model = EfficientHHMM.from_params(
        ...     data.emission_base, data.emission_biases, data.trans_probs
        ... )
        >>> model.predict(data.X).shape
        (2, 50)
        """
        params = _validation.check_params(
            emission_base, emission_biases, trans_probs, emission_usage, emission_interactions
        )
        model = cls(
            n_states=len(params.trans_probs),
            n_syllables=len(params.emission_base),
            **hyperparameters,
        )
        model._validate_params()
        model.self_transitions_ = bool(model.self_transitions)  # "auto" has no data to go by
        terms = terms_of(params, self_transitions=model.self_transitions_)
        for name, values in with_zeros(params)._asdict().items():
            setattr(model, f"{name}_", values)
        model.group_labels_ = {name: np.asarray(x) for name, x in (group_labels or {}).items()}
        effects = (group_emissions, group_states, group_transitions)
        for name, given in zip(_OF_GROUPS, effects, strict=True):
            checked = _validation.check_effects(
                given, name, model.group_labels_, terms.n_states, terms.n_syllables
            )
            setattr(model, f"{name}_", checked)
        model.n_syllables_ = terms.n_syllables
        spread = {term.sigma: _spread(getattr(params, term.parameter)) for term in ALL_TERMS}
        scales = named_scales(model._priors(FIRST_GUESS | spread))
        scales |= {name: value for name, value in spread.items() if value and not scales[name]}
        for name in _OF_GROUPS:
            of_factors = getattr(model, f"{name}_")
            for factor, values in of_factors.items():
                key = f"{name}_sigma" + (f"[{factor}]" if len(of_factors) > 1 else "")
                scales[key] = _spread(values)
        model.sigmas_ = _floats(scales)
        return model

    @property
    @double_precision
    def syllable_trans_probs_(self) -> np.ndarray:
        """Syllable transition probabilities (n_states, n_syllables, n_syllables)."""
        if "emission_base_" not in vars(self):
            raise AttributeError(
                f"this {type(self).__name__} has no attribute 'syllable_trans_probs_' before fit"
            )
        params = self._params()
        terms = terms_of(params, self_transitions=self.self_transitions_)
        return np.asarray(decode.syllable_trans_probs(params, terms=terms))

    @property
    def states_(self) -> Arrays:
        """States of the training data, in the form of X. They are held as runs until asked for."""
        if "_states" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} has no states_")
        if "_states_by_timestep" not in vars(self):
            self._states_by_timestep = self._states.in_form_of_input()
        return self._states_by_timestep

    @property
    def group_trans_probs_(self) -> dict[str, np.ndarray]:
        """State transition probabilities of each level, effects of other factors 0."""
        log_trans = np.log(self.trans_probs_)
        effects = self.group_transitions_
        return {name: softmax(log_trans + x, axis=-1) for name, x in effects.items()}

    def __getstate__(self):
        state = super().__getstate__()
        if "emission_base_" in state:
            # a fitted model goes to other machines, where a progress bar is of no use
            left_out = ("_skl_callbacks", "_states_by_timestep")
            state = {name: value for name, value in state.items() if name not in left_out}
        return state | {"_state_version": _STATE_VERSION, "_sklearn_version": sklearn.__version__}

    def __setstate__(self, state):
        state = dict(state)
        saved_by, here = state.pop("_state_version", None), sklearn.__version__
        if saved_by in (1, _STATE_VERSION):
            state = _completed(state)
        else:
            raise ValueError(
                f"this {type(self).__name__} was saved in version {saved_by} of its form, and this "
                f"hhmm, {version('hhmm')}, reads version {_STATE_VERSION}: load it with the hhmm "
                "that saved it, and take its parameters to EfficientHHMM.from_params"
            )
        # as scikit-learn does for estimators of its own
        there = state.pop("_sklearn_version", None)
        if there != here:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=here,
                    original_sklearn_version=there,
                ),
                stacklevel=2,
            )
        super().__setstate__(state)

    def __sklearn_is_fitted__(self):
        return "emission_base_" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        # syllables are; negative integers are no values but missing ones
        tags.input_tags.positive_only = True
        tags.target_tags.required = False
        return tags

    @property
    def _n_features_out(self):
        return len(self.trans_probs_)

    def _params(self):
        values = {
            name: np.asarray(getattr(self, f"{name}_"), np.float64)
            for name in Params._fields
            if name not in _OF_GROUPS
        }
        for name in _OF_GROUPS:
            effects = getattr(self, f"{name}_", {})
            values[name] = tuple(np.asarray(x, np.float64) for x in effects.values()) or None
        absent = [term for term in _OPTIONAL_TERMS if not values[term.parameter].any()]
        return Params(**values | {term.parameter: None for term in absent})

    def _draws(self):
        """Return every draw in `posterior_` of the chains that agree with the best one."""
        self._check_draws("average=True")
        return draws.flat(self.posterior_, self._agreeing_chains())

    def _agreeing_chains(self):
        """Return chains that have settled where the best one has."""
        learnt = self.posterior_.sigmas
        return agreeing(self.log_likelihood_ if learnt else self.log_joint_)

    def _check_draws(self, what):
        check_is_fitted(self)
        if not hasattr(self, "posterior_"):
            raise ValueError(
                f"{what} needs the draws in posterior_, which this model does not have: expected "
                "a fit with algorithm='gibbs'"
            )

    @double_precision
    def _score_draws(self, X, mask, groups, draws):
        """Return log-likelihood of each sequence under each draw, (n_draws, n_sequences)."""
        _, parts = self._prepare(X, mask, groups, every_timestep=False)
        return _log_likelihoods(draws, parts)

    def _holding_table(self, holding_times):
        """Return how long syllables are held in a simulation; None with self-transitions."""
        if self.self_transitions_:
            if holding_times is not None:
                raise ValueError(
                    "holding_times are for models without self-transitions, and this model has "
                    "self_transitions_=True"
                )
            return None
        if holding_times is not None:
            return read.check_holding_times(holding_times, self.n_syllables_)
        if not hasattr(self, "_holding_times"):
            raise ValueError(
                "a model without self-transitions that was made by from_params does not know how "
                "long syllables are held: give holding_times"
            )
        return self._holding_times

    def _options(self, n_factors):
        """Return `Options` of a fit."""
        is_sampler, max_iter = self.algorithm == "gibbs", int(self.emission_gd_iters)
        if self.emission_solver == "newton":
            solver, sampler = Newton(max_iter), "hmc"
        else:
            rate = to_float(self.emission_gd_lr, "emission_gd_lr")
            solver, sampler = Adam(max_iter, rate), "laplace"
        if is_sampler and self.emission_sampler != "auto":
            sampler = self.emission_sampler
        return Options(
            algorithm=self.algorithm,
            n_iter=int(self.max_iter),
            n_init=int(self.n_init),
            n_chains=int(self.n_chains),
            n_draws=int(self.n_draws) if is_sampler else 0,
            tol=to_float(self.tol, "tol"),
            solver=solver,
            sampler=sampler,
            message_passing=self.message_passing,
            priors=self._priors(n_factors=n_factors),
            learnt=self._learnt(n_factors),
            is_blind=isinstance(self.init, str) and self.init in ("prior", "random"),
            verbose=self.verbose,
        )

    def _learnt(self, n_factors):
        """Return names of the scales and concentrations that are learnt."""
        return tuple(
            name
            for name in Priors._fields
            if isinstance(getattr(self, name), str) and (n_factors or not name.startswith("group"))
        )

    def _has(self, sigma):
        """Return whether a term of this scale is part of the model."""
        return isinstance(getattr(self, sigma), str) or getattr(self, sigma) > 0

    def _terms(self, n_syllables, self_transitions, factors=()):
        """Return the terms of the emissions: those whose scale is not 0."""
        names = tuple(term.name for term in ALL_TERMS if self._has(term.sigma))
        of_groups = tuple(t.name for t in GROUP_EMISSIONS if factors and self._has(t.sigma))
        trans_by_group = bool(factors) and self._has("group_transitions_sigma")
        if not names:
            raise ValueError(
                f"all of {', '.join(term.sigma for term in ALL_TERMS)} are 0, which leaves no "
                "emission parameter. At least one must be positive or 'auto'"
            )
        names = names + of_groups
        n_states = int(self.n_states)
        return Terms(n_states, n_syllables, names, self_transitions, factors, trans_by_group)

    def _priors(self, learnt=FIRST_GUESS, n_factors=0):
        """Return the priors that the algorithm uses, with values of what is learnt."""

        def value(name):
            given = getattr(self, name)
            guess = learnt.get(name, FIRST_GUESS[name]) if isinstance(given, str) else given
            scale = np.float64(to_float(guess, name))
            return (scale,) * n_factors if name.startswith("group") else scale

        priors = Priors(*map(value, Priors._fields))
        return priors if self.algorithm == "gibbs" else with_a_mode(priors)

    def _checked_init(self, checked, n_syllables, grouped):
        """Return where the fit starts: name of an `init`, states, parameters, or ends of chains."""
        n_states = int(self.n_states)
        if self.warm_start and hasattr(self, "_ends"):
            name = "what warm_start goes on from"
            _validation.check_same_shapes(self._params(), n_states, n_syllables, name=name)
            if not self._has_labels(grouped):
                raise ValueError(
                    "groups must have the labels of the last fit where warm_start continues it. "
                    "Give the same groups, or set warm_start=False."
                )
            return self._ends
        init = getattr(self.init, "estimator", self.init)  # of a FrozenEstimator
        if isinstance(init, EfficientHHMM):
            check_is_fitted(init)
            same = init._has_labels(grouped)
            init = init._params()
            # effects of other groups are of no use here
            init = init if same else init._replace(**dict.fromkeys(_OF_GROUPS))
            _validation.check_same_shapes(init, n_states, n_syllables, name="init")
        elif not isinstance(init, str):
            init = read.check_states(init, checked.layout, checked.lengths, n_states, name="init")
        return init

    def _has_labels(self, grouped):
        """Return whether the labels of the fit are those of `_Grouped` sequences."""
        own = getattr(self, "group_labels_", {})
        return own.keys() == grouped.levels.keys() and all(
            np.array_equal(own[name], grouped.levels[name]) for name in own
        )

    def _prepare(self, X, mask, groups=None, *, every_timestep=True):
        """Check X and lay it out for a fitted model: params, and what `_lay_out` returns."""
        return self._lay_out(self._check(X, mask, stacklevel=6), groups, every_timestep)

    def _check(self, X, mask, *, stacklevel=5):
        """Check X for a fitted model; return `RunLengths`."""
        check_is_fitted(self)
        checked = read.check_runs(self, X, mask=mask, reset=False)
        read.warn_of_column(checked, stacklevel=stacklevel)
        mean_run = getattr(self, "_mean_run", None)
        read.warn_of_other_runs(checked, mean_run, self.self_transitions_, stacklevel=stacklevel)
        n_syllables = len(self.emission_base_)
        read.check_labels(checked, n_syllables, origin=f"the model was fitted with {n_syllables}")
        return checked

    def _lay_out(self, checked, groups, every_timestep):
        """Lay checked sequences out, part by part.

        Returns
        -------
        params : Params
        parts : iterator of (Prepared, Layout)
        """
        params, grouped = self._params(), self._find_groups(groups, len(checked.n_runs))
        if every_timestep:
            memory.check_prediction_fits(checked.lengths, len(params.trans_probs))
        parts = laid_out(
            checked,
            terms_of(params, self_transitions=self.self_transitions_, factors=grouped.factors),
            self.message_passing,
            every_timestep=every_timestep,
            groups=grouped.of_sequences,
        )
        return params, parts

    def _best_paths(self, checked, groups):
        """Return an iterator over the states of parts of checked sequences, as `predict`'s."""
        params, parts = self._lay_out(checked, groups, every_timestep=True)
        return (
            prepared.unpack(decode.viterbi(params, prepared), layout, fill=-1)
            for prepared, layout in parts
        )

    @double_precision
    def _predict_runs(self, X, *, groups=None):
        """Return the states of `predict` as `RunLengths`."""
        paths = self._best_paths(self._check(X, None), groups)
        return joined([RunLengths.of(list(states)) for states in paths])

    def _find_groups(self, groups, n_sequences):
        """Return the `_Grouped` of new sequences; without groups, all effects are 0."""
        if groups is None:
            return _Grouped({}, (), None)
        labels = read_labels(groups, n_sequences)
        levels = getattr(self, "group_labels_", {})
        if not levels:
            raise ValueError(
                "groups were given, but the model was fitted without groups. Leave them out, or "
                "fit with groups."
            )
        return _group(labels, levels)


class _Grouped(NamedTuple):
    """Sequences by group."""

    levels: dict  # the labels of each factor
    factors: tuple  # of Factor
    of_sequences: np.ndarray | None  # (n_sequences,) the group of each


def _group(labels, levels):
    groups, of_groups = find_groups(labels, levels)
    factors = tuple(
        Factor(len(known), tuple(int(i) for i in column))
        for known, column in zip(levels.values(), of_groups.T, strict=True)
    )
    return _Grouped(levels, factors, groups.of_sequences)


def _effects_by_factor(effects, levels):
    """Return effects of groups, an array a factor or None, as a dict by factor."""
    return {} if effects is None else dict(zip(levels, effects, strict=True))


def _by_factor(scales, levels):
    """Name scales after factors, where several factors number them."""
    for i, name in enumerate(levels):
        scales = {key.replace(f"[{i}]", f"[{name}]"): value for key, value in scales.items()}
    return scales


def _floats(values):
    return {name: float(value) for name, value in values.items()}


def _spread(values):
    """Return the root mean square of the entries of a term, 0 for a term that is left out."""
    if values is None:
        return 0.0
    return float(np.sqrt(np.mean(np.square(values)))) if np.any(values) else 1.0


def _completed(state):
    """Add to a model saved earlier what was added since, at its meaning there."""
    state = {"frame_rate": None, "n_init": 1} | ADDED_SETTINGS | state
    if "states_" in state:
        states = state.pop("states_")
        rows = list(states)
        layout = Layout(isinstance(states, np.ndarray), np.array([len(row) for row in rows]))
        state["_states"] = RunLengths.of(rows)._replace(layout=layout).without_end()
    if "posterior_" in state and "chain_weights_" not in state:
        chains = agreeing(state["log_joint_"])
        weights = np.zeros(len(state["log_joint_"]))
        weights[chains] = 1 / len(chains)
        state["chain_weights_"] = weights
    if "emission_base_" in state and "sigmas_" not in state:
        names = ("emission_base", "emission_biases", "trans_probs")
        params = with_zeros(Params(**{name: state[f"{name}_"] for name in names}))
        state |= {
            f"{name}_": {} if name in _OF_GROUPS else values
            for name, values in params._asdict().items()
        }
        state |= {"self_transitions_": True}
        shared = [name for name in Priors._fields if not name.startswith("group")]
        state["sigmas_"] = {name: float(state[name]) for name in shared}
    return state


def _joined(parts):
    """Join results of parts in the form of X."""
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], list):
        return [row for part in parts for row in part]
    return np.concatenate(parts)


def _checked_probabilities(compute, parts):
    """Return probabilities of states in the form of X, NaN on padding alone."""
    probabilities, is_bad = [], []
    for prepared, layout in parts:
        of_part = prepared.unpack(compute(prepared), layout, fill=np.nan)
        rows = zip(of_part, prepared.timesteps.lengths, strict=True)
        is_bad += [np.isnan(row[:n]).any() for row, n in rows]
        probabilities.append(of_part)
    _refuse_beyond_float32(is_bad)
    return _joined(probabilities)


def _log_likelihoods(draws, parts):
    """Return log-likelihood of each sequence under each draw, (n_draws, n_sequences)."""
    of_parts = [
        [prepared.sum_terms(decode.log_normalisers(params, prepared)) for params in draws]
        for prepared, _ in parts
    ]
    log_likelihoods = np.concatenate(of_parts, axis=1)
    _refuse_beyond_float32(~np.isfinite(log_likelihoods).all(axis=0))
    return log_likelihoods


def _refuse_beyond_float32(is_bad):
    """Raise FloatingPointError where a sequence has lost all its probability to rounding."""
    if np.any(is_bad):
        raise FloatingPointError(
            f"sequence {np.argmax(is_bad)} of X has probability 0 in float32: the states that "
            "explain one part of it are too improbable by what they make of another part, and "
            "cannot be reached anew. Likely causes are transition probabilities of 0 together with "
            "extreme emission parameters"
        )


@double_precision  # called by hooks, under the caller's settings
def _params_of(chain, levels):
    """Return the parameters of a chain as fitted attributes."""
    params = with_zeros(all_params(chain.logits, chain.trans_probs))
    return {
        f"{name}_": _effects_by_factor(values, levels) if name in _OF_GROUPS else np.asarray(values)
        for name, values in params._asdict().items()
    }
