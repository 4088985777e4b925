"""Compute from a model, its recordings and their states all that tables, figures and page show."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from hhmm._inference.convergence import MIN_SWEEPS
from hhmm._report._words import Caution, capitalised
from hhmm._sequences.read import find_unused
from hhmm._sequences.run_lengths import RunLengths
from hhmm.comparisons import GroupComparison, compare_groups
from hhmm.diagnostics import PosteriorSummary, posterior_summary
from hhmm.metrics import state_transitions
from hhmm.model_checks import StateReport, state_report

if TYPE_CHECKING:
    from hhmm.estimator import EfficientHHMM
    from hhmm.model_selection import ScanResult

# what the page shows of the posterior, and judges chains by
JUDGED = ("log_joint", "usage[", "dwell_time[")
LARGEST_RHAT = 1.1
MOST_LEVELS = 10  # of a column of groups that are compared
_MORE_SWEEPS = "Fit again with more sweeps (max_iter, or --max-iter on the command line)."
# in warnings of a fit that has not converged
_UNSETTLED = ("had not settled", "are not where the best one", "was interrupted", "not converge")


@dataclass(frozen=True)
class Material:
    """The recordings, their states and the model, checked; lists have an item for each recording.

    Attributes
    ----------
    model : EfficientHHMM
    syllables, states : RunLengths
        Codes, -1 where missing; of the same lengths.
    names : list of str
    animals : list of str or None
        None if each recording is an animal.
    factors : dict of list of str
        Columns of groups to compare, by name.
    syllable_names : list of n_syllables str
        The labels of the user.
    state_names : list of n_states str
    frame_rate : float or None
    title : str
    notes : list of str
        Sentences about the data.
    cautions : list of Caution
        Warnings from reading and fitting.
    scan : ScanResult or None
    reference : str or None
        The group with which others are compared.
    random_state : int, RandomState or None
        Of the resamples of comparisons.
    has_model_groups : bool
        Whether states were inferred with the groups of the model.
    """

    model: EfficientHHMM
    syllables: RunLengths
    states: RunLengths
    names: list[str]
    animals: list[str] | None
    factors: dict[str, list[str]]
    syllable_names: list[str]
    state_names: list[str]
    frame_rate: float | None
    title: str
    notes: list[str] = field(default_factory=list)
    cautions: list[Caution] = field(default_factory=list)
    scan: ScanResult | None = None
    reference: str | None = None
    random_state: int | np.random.RandomState | None = None
    has_model_groups: bool = False

    @property
    def n_states(self) -> int:
        return len(self.state_names)


@dataclass(frozen=True)
class Findings:
    """Findings computed from a `Material`.

    Attributes
    ----------
    report : StateReport
    syllable_counts : ndarray of shape (n_states, n_syllables), int64
        How often each syllable begins in each state.
    transitions : ndarray of shape (n_states, n_states), int64
        Changes from state to state; the diagonal is 0.
    is_unused : ndarray of shape (n_states,), bool
    comparisons : dict of GroupComparison
        By the name of the factor.
    cautions : list of Caution
        All warnings, those of the states first.
    posterior : PosteriorSummary or None
        None without draws.
    largest_rhat : float
        Of log joint, usage and dwell times; NaN with one chain.
    """

    report: StateReport
    syllable_counts: np.ndarray
    transitions: np.ndarray
    is_unused: np.ndarray
    comparisons: dict[str, GroupComparison]
    cautions: list[Caution]
    posterior: PosteriorSummary | None
    largest_rhat: float

    @property
    def syllable_shares(self) -> np.ndarray:
        """Return the share of each syllable in each state, (n_states, n_syllables)."""
        totals = self.syllable_counts.sum(axis=1, keepdims=True)
        return self.syllable_counts / np.maximum(totals, 1)

    @property
    def overall_shares(self) -> np.ndarray:
        """Return the share of each syllable in all states together, (n_syllables,)."""
        totals = self.syllable_counts.sum(axis=0)
        return totals / max(totals.sum(), 1)


def examine(material: Material) -> Findings:
    """Compute what the page, the tables and the figures show."""
    states, n_states = material.states.items(), material.n_states
    common: dict[str, Any] = {
        "n_states": n_states,
        "state_names": material.state_names,
        "frame_rate": material.frame_rate,
    }
    columns: list[list[str] | None] = [*material.factors.values()] or [None]
    reports = [
        state_report(states, animals=material.animals, groups=groups, **common)
        for groups in columns
    ]
    transitions = state_transitions(states, n_states=n_states)
    np.fill_diagonal(transitions, 0)
    comparisons, skipped = _compare(material)
    posterior, slow = None, []
    if hasattr(material.model, "posterior_"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            posterior = posterior_summary(material.model)
        slow = [
            Caution(capitalised(str(warning.message)))
            for warning in caught
            if issubclass(warning.category, ConvergenceWarning)
        ]
    largest_rhat = _find_largest_rhat(posterior)
    texts = dict.fromkeys(text for report in reports for text in report.warnings)
    of_states = [Caution(text, _advice(text, material.model)) for text in texts]
    of_fit = [*_judge_fit(material, largest_rhat), *slow]
    cautions = [*of_states, *of_fit, *skipped, *material.cautions]
    return Findings(
        report=reports[0],
        syllable_counts=_count_syllables(material),
        transitions=transitions,
        is_unused=find_unused(reports[0].usage),
        comparisons=comparisons,
        cautions=list(dict.fromkeys(cautions)),
        posterior=posterior,
        largest_rhat=largest_rhat,
    )


def _find_largest_rhat(posterior):
    if posterior is None:
        return np.nan
    rhat = posterior.rhat[[str(name).startswith(JUDGED) for name in posterior.name]]
    return float(np.nanmax(rhat)) if np.isfinite(rhat).any() else np.nan


def _compare(material):
    """Return the comparison of each factor, and warnings about those that cannot be compared."""
    comparisons, skipped = {}, []
    states = material.states.items()
    for name, groups in material.factors.items():
        levels = list(dict.fromkeys(groups))
        if len(levels) < 2:
            text = f"Column {name!r} has one label only, {levels[0]!r}, so it was not compared."
            skipped.append(Caution(text))
            continue
        if len(levels) > MOST_LEVELS:
            text = (
                f"Column {name!r} has {len(levels)} different labels, so it was not compared. A "
                f"comparison has {MOST_LEVELS} groups at most."
            )
            skipped.append(Caution(text, "Give a column with the condition of each recording."))
            continue
        comparisons[name] = compare_groups(
            states,
            groups=groups,
            animals=material.animals,
            reference=material.reference if material.reference in levels else None,
            frame_rate=material.frame_rate,
            syllables=material.syllables.items(),
            n_states=material.n_states,
            state_names=material.state_names,
            random_state=material.random_state,
        )
    return comparisons, skipped


def _count_syllables(material):
    """Count how often each syllable begins in each state, (n_states, n_syllables).

    If the model takes a syllable that follows itself for another one, every timestep counts.
    """
    counts = np.zeros((material.n_states, len(material.syllable_names)), np.int64)
    run, stay, n_timesteps = material.syllables.beside(material.states)
    syllable, state = material.syllables.labels[run], material.states.labels[stay]
    counted = (syllable >= 0) & (state >= 0)
    if not material.model.self_transitions_:
        counted &= np.diff(run, prepend=-1) > 0
        n_timesteps = np.ones_like(n_timesteps)
    np.add.at(counts, (state[counted], syllable[counted]), n_timesteps[counted])
    return counts


def _judge_fit(material, largest_rhat):
    """Return warnings that the model itself shows."""
    model, cautions = material.model, []
    n_sweeps = int(getattr(model, "n_iter_", 0))  # a model made from parameters has none
    said = " ".join(caution.text for caution in material.cautions)
    is_said = any(words in said for words in _UNSETTLED)
    if n_sweeps and not model.converged_ and not is_said:
        text = f"The fit had not settled after {n_sweeps} sweeps."
        if n_sweeps < MIN_SWEEPS:
            text = f"The fit had {n_sweeps} sweeps, too few to judge if it had settled."
        cautions.append(Caution(text, _MORE_SWEEPS))
    elif largest_rhat > LARGEST_RHAT:
        text = (
            f"The chains do not agree: the largest R-hat is {largest_rhat:.2f}, and should "
            f"be below {LARGEST_RHAT:g}."
        )
        cautions.append(Caution(text, _MORE_SWEEPS))
    if model.group_labels_ and not material.has_model_groups:
        cautions.append(
            Caution(
                "The model was fitted with groups, but the states were inferred without them.",
                "Give the same groups as in the fit (model_groups).",
            )
        )
    return cautions


def _advice(text, model):
    """Return what to do about a warning of `state_report`."""
    if "are in one state" in text:
        if model.group_labels_:
            return "Compare with a fit of one state."
        return "Give the animals to the fit, and compare with a fit of one state."
    if "takes less than" in text:
        return "Do not interpret this state. Fit with fewer states."
    if "is found in animal" in text:
        if model.group_labels_:
            return "Look at the recordings of this animal before you interpret the state."
        return "Look at its recordings. If animals differ, give the animals to the fit."
    if "is found in group" in text:
        return "Such a state cannot be compared between groups. Look at the recordings first."
    return ""
