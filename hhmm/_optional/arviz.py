"""Kept draws as ArviZ takes them, in either of its generations."""

import inspect
import warnings

import numpy as np

from hhmm._model.emissions import logits_from_params
from hhmm._model.terms import named_scales
from hhmm._optional.extras import import_extra
from hhmm._types import Params


def convert(posterior, *, acceptance, diverging, log_likelihood, state_names=None):
    """Make ArviZ's object of the draws of a fit.

    Parameters
    ----------
    posterior : Posterior
    acceptance, diverging : (n_chains, n_draws)
    log_likelihood : (n_chains, n_draws, n_sequences) or None
    state_names : list of n_states str, default=None
        Numbers if None.

    Returns
    -------
    data : arviz.InferenceData, or xarray.DataTree with ArviZ 1.0 and later
    """
    arviz = import_extra("arviz", "to_arviz")
    n_states, n_syllables = posterior.trans_probs.shape[-1], posterior.emission_base.shape[-2]
    params = Params(*(getattr(posterior, name) for name in Params._fields))
    groups = {
        "posterior": {
            "trans_probs": posterior.trans_probs,
            **{
                name: values
                for name, values in named_scales(params).items()
                if name != "trans_probs" and values is not None
            },
            "emission_logits_bias": logits_from_params(params).biases,
            **(posterior.sigmas or {}),
        },
        "sample_stats": {
            "lp": posterior.log_joint,
            "acceptance_rate": acceptance,
            "diverging": diverging,
        },
    }
    if log_likelihood is not None:
        groups["log_likelihood"] = {"X": log_likelihood}
    states = np.arange(n_states) if state_names is None else state_names
    labels = {
        "coords": {
            "state": states,
            "next_state": states,
            "syllable": np.arange(n_syllables),
        },
        "dims": {
            "trans_probs": ["state", "next_state"],
            "emission_base": ["syllable", "syllable_contrast"],
            "emission_biases": ["state_contrast", "syllable_contrast"],
            "emission_usage": ["syllable_contrast"],
            "emission_interactions": ["state_contrast", "syllable", "syllable_contrast"],
            "emission_logits_bias": ["state", "syllable"],
            "X": ["sequence"],
        },
    }
    with warnings.catch_warnings():
        # ArviZ takes arrays of fewer draws than chains for transposed ones
        warnings.filterwarnings("ignore", message="More chains")
        if "posterior" in inspect.signature(arviz.from_dict).parameters:  # before ArviZ 1.0
            return arviz.from_dict(**groups, **labels)
        return arviz.from_dict(groups, **labels)
