"""Make the starts of the chains of a fit.

Each chain has a key of its own, and a start of its own where `init` makes starts: another
finalist of the race of ``"windows"``, other draws from the prior, other random states. Starts
and keys are made chain after chain, so the first chain of many is the only one of one.
"""

import jax
import numpy as np

from hhmm._inference import initialise, search
from hhmm._inference.chains import compile_ahead
from hhmm._inference.loop import Start
from hhmm._model.emissions import logits_from_params
from hhmm._model.transitions import with_a_mode
from hhmm._runtime.interrupts import Interrupts
from hhmm._runtime.keys import key_from_data, key_from_random_state
from hhmm._types import EmissionLogits, Params


def new_starts(rng, init, sequences, priors, plan, *, n_init, n_chains, groups=None, verbose=0):
    """Make starts of new chains.

    Parameters
    ----------
    rng : numpy.random.RandomState
    init : {"windows", "prior", "random"}, Params, or list of 1-D int32 arrays
        Checked: parameters are of the shapes of the fit, states go with `sequences`.
    sequences : RunLengths
    priors : Priors
    plan : loop.Plan
        What the starts are for; compiled while ``"windows"`` races.
    n_init : int
        Number of searches of ``"windows"``.
    n_chains : int
    groups : (n_sequences,) int32, default=None
        The group of each sequence.
    verbose : int, default=0
        0 prints nothing.

    Returns
    -------
    starts : list of loop.Start, one a chain
    log_joints : (n_init,), or None
        What each search reached; None if there was none.
    was_interrupted : bool
        Whether the user ended the race of ``"windows"``. The starts are the best it had.
    """
    settings = plan.settings
    terms = settings.terms
    if isinstance(init, str) and init == "windows" and min(terms.n_states, terms.n_syllables) == 1:
        init = "prior"  # there is one mode
    finalists, log_joints, was_interrupted = None, None, False
    if isinstance(init, str) and init == "windows":
        wait = compile_ahead(_flat_start(priors, settings), plan)
        with Interrupts() as interrupts:
            finalists, log_joints = search.search(
                rng,
                sequences,
                with_a_mode(priors),
                settings=settings,
                n_searches=n_init,
                groups=groups,
                verbose=verbose,
                ends_early=lambda: interrupts.noted,
            )
            wait()
        was_interrupted = interrupts.noted

    def make(i):
        if finalists is not None:
            start = finalists[i % len(finalists)]
            # what is learnt goes on from where the race ended
            learnt = {name: getattr(start.priors, name) for name in settings.learnt}
            return initialise.start_from_params(
                start.logits,
                start.trans_probs,
                priors._replace(**learnt),
                settings=settings,
            )
        if isinstance(init, Params):
            logits = jax.tree.map(np.asarray, logits_from_params(init))
            return initialise.start_from_params(logits, init.trans_probs, priors, settings=settings)
        if not isinstance(init, str):
            return initialise.start_from_states(
                init, sequences.sequences, priors, settings=settings, groups=groups
            )
        if init == "random":
            return initialise.start_from_random_states(
                rng, sequences.sequences, priors, settings=settings, groups=groups
            )
        return initialise.start_from_prior(rng, priors, settings=settings)

    starts = []
    for i in range(n_chains):
        chain = make(i)
        starts.append(Start(key_from_random_state(rng), chain, 0))
    return starts, log_joints, was_interrupted


def _flat_start(priors, settings):
    """Return a start at uniform probabilities."""
    n_states = settings.terms.n_states
    trans_probs = np.full((n_states, n_states), 1 / n_states)
    chain = initialise.start_from_params(EmissionLogits(), trans_probs, priors, settings=settings)
    return Start(key_from_data(np.zeros(2, np.uint32)), chain, 0)


def further_starts(rng, ends, priors, *, n_chains, settings):
    """Make starts where chains ended; more chains than there were take other keys.

    Parameters
    ----------
    rng : numpy.random.RandomState
    ends : list of loop.ChainEnd
    priors, n_chains
        As for `new_starts`.
    settings : chain.Settings

    Returns
    -------
    starts : list of loop.Start, one a chain
    """
    starts = []
    for i in range(n_chains):
        end = ends[i % len(ends)]
        key = key_from_data(end.key) if i < len(ends) else key_from_random_state(rng)
        starts.append(Start(key, _chain_at(end, priors, settings), end.n_sweeps))
    return starts


def resumed_start(past, priors, *, settings):
    """Make the start of a chain that continues in the middle of a fit.

    Parameters
    ----------
    past : loop.ChainProgress
    priors
        As for `new_starts`.
    settings : chain.Settings

    Returns
    -------
    start : loop.Start
    """
    chain = _chain_at(past.end, priors, settings)
    n_losses, n_done = len(past.emission_losses), len(past.trace.log_joint)
    chain.emission_losses[:n_losses] = past.emission_losses
    chain = chain._replace(emission_n_iter=np.int32(n_losses))
    return Start(key_from_data(past.end.key), chain, past.end.n_sweeps - n_done, past)


def _chain_at(end, priors, settings):
    """Make a chain at the parameters and the learnt scales where another one ended."""
    if end.priors is not None:
        learnt = {name: getattr(end.priors, name) for name in settings.learnt}
        priors = priors._replace(**learnt)
    chain = initialise.start_from_params(end.logits, end.trans_probs, priors, settings=settings)
    chain = chain._replace(mode=initialise.with_terms(end.mode, settings.terms))
    # a chain of another sampler, or of other terms, is tuned anew
    old, new = (jax.tree.map(np.shape, tuning) for tuning in (end.tuning, chain.tuning))
    return chain._replace(tuning=end.tuning) if old == new else chain
