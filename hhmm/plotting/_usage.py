"""Display of the time in each state, by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar

from hhmm._sequences.groups import read_texts
from hhmm._sequences.read import read_runs
from hhmm._sequences.run_lengths import HeldSequence
from hhmm._validation import check_option
from hhmm.estimator import EfficientHHMM
from hhmm.metrics import state_usage
from hhmm.plotting import _figures, _states

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(eq=False, repr=False)
class StateUsageDisplay:
    """Fraction of time in each state: every recording, and mean and error of each group.

    The names of states that take less than 1% of the time, on average over recordings, are grey.

    Parameters
    ----------
    usage : array of shape (n_sequences, n_states)
        Fraction of time that each recording spends in each state. Recordings whose row holds a
        NaN, because they have no states, are left out.
    groups : list of n_sequences str, default=None
        Group of each recording; one group if None.
    state_names : list of n_states str, default=None
        Names of the states; numbers if None.

    Attributes
    ----------
    group_names_ : list of n_groups str
        In order of first appearance.
    means_ : ndarray of shape (n_groups, n_states)
        Means over recordings.
    intervals_ : ndarray of shape (2, n_groups, n_states)
        Lower and upper ends of the error bars; NaN if a group has one recording.
    points_ : list of n_groups matplotlib PathCollection
        The recordings.
    legend_ : matplotlib Legend
        Groups with their numbers of recordings, and the kind of error bars.
    ax_, figure_ : matplotlib Axes and Figure

    See Also
    --------
    hhmm.metrics.state_usage : The fractions as numbers, with ``per_sequence=True``.
    GroupComparisonDisplay : Animals instead of recordings, with tests of differences.

    Notes
    -----
    The recording is the unit of replication: errors are over recordings and not over timesteps,
    which are not independent. Recordings of one animal are not independent either: give
    ``animals`` to `from_predictions`, so that one row is one animal.

    Examples
    --------
    >>> from hhmm.plotting import StateUsageDisplay
    >>> display = StateUsageDisplay(
    ...     [[0.5, 0.5], [0.7, 0.3], [0.2, 0.8]], groups=["saline", "saline", "drug"]
    ... ).plot()
    >>> display.means_
    array([[0.6, 0.4],
           [0.2, 0.8]])
    """

    usage: ArrayLike
    _: KW_ONLY
    groups: Sequence[str] | None = None
    state_names: Sequence[str] | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: EfficientHHMM,
        X: ArrayLike,
        *,
        model_groups: ArrayLike | None = None,
        groups: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        ax: Axes | None = None,
        interval: str = "standard_error",
        confidence_level: float = 0.95,
        random_state: int | np.random.RandomState | None = None,
    ) -> Self:
        """Plot ``estimator.transform(X, groups=model_groups)``.

        Parameters
        ----------
        estimator : fitted EfficientHHMM
        X : array of shape (n_sequences, n_timesteps) or list of arrays
            Syllables, in any form that the estimator takes.
        model_groups : array-like of shape (n_sequences,) or data frame, default=None
            ``groups`` of `EfficientHHMM.predict`, if the model was fitted with groups.
        groups, state_names, ax, interval, confidence_level, random_state
            See the class and `plot`; `state_names` are by default those of the estimator.

        Returns
        -------
        display : StateUsageDisplay
        """
        _figures.check_has(estimator, "trans_probs_")
        names = _states.names_of(estimator, state_names)
        usage = estimator.transform(X, groups=model_groups)
        return cls(usage, groups=groups, state_names=names).plot(
            ax, interval=interval, confidence_level=confidence_level, random_state=random_state
        )

    @classmethod
    def from_predictions(
        cls,
        states: ArrayLike,
        *,
        groups: Sequence[str] | None = None,
        animals: Sequence[str] | None = None,
        n_states: int | None = None,
        state_names: Sequence[str] | None = None,
        ax: Axes | None = None,
        interval: str = "standard_error",
        confidence_level: float = 0.95,
        random_state: int | np.random.RandomState | None = None,
    ) -> Self:
        """Measure the usage of states and plot.

        Parameters
        ----------
        states : array of shape (n_sequences, n_timesteps) or list of arrays of shape \
                (n_timesteps_i,)
            States, integers; negative timesteps are ignored.
        animals : sequence of n_sequences labels, default=None
            Animal of each recording. Recordings of an animal in the same group are pooled, so that
            one point is one animal.
        n_states : int, default=None
            Number of states; the largest label plus one if None.
        groups, state_names, ax, interval, confidence_level, random_state
            See the class and `plot`.

        Returns
        -------
        display : StateUsageDisplay
        """
        if animals is not None:
            states, groups = _pool(states, animals, groups)
        usage = state_usage(states, n_states=n_states, per_sequence=True)
        return cls(usage, groups=groups, state_names=state_names).plot(
            ax, interval=interval, confidence_level=confidence_level, random_state=random_state
        )

    def plot(
        self,
        ax: Axes | None = None,
        *,
        interval: str = "standard_error",
        confidence_level: float = 0.95,
        random_state: int | np.random.RandomState | None = None,
    ) -> Self:
        """Draw recordings, means and error bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in; a new figure if None.
        interval : {"standard_error", "bootstrap"}, default="standard_error"
            The kind of error bars: one standard error of the mean on either side, or a percentile
            bootstrap interval of the mean, which resamples recordings. As every bootstrap, it is
            too narrow if there are few recordings.
        confidence_level : float, default=0.95
            Confidence level of the bootstrap interval.
        random_state : int, RandomState instance or None, default=None
            Seed of the bootstrap.

        Returns
        -------
        self : StateUsageDisplay
        """
        check_option(interval, "interval", ("standard_error", "bootstrap"))
        limits = {"min_val": 0, "max_val": 1, "include_boundaries": "neither"}
        check_scalar(confidence_level, "confidence_level", Real, **limits)
        usage = np.asarray(self.usage, dtype=float)
        n_states = usage.shape[1]
        names = _states.check_state_names(self.state_names, n_states)
        self.group_names_, members = _states.check_groups(self.groups, len(usage))
        n_groups = len(members)
        has_states = ~np.isnan(usage).any(axis=1)
        parts = [usage[which[has_states[which]]] for which in members]
        summaries = np.array(
            [_mean_and_interval(part, interval, confidence_level, random_state) for part in parts]
        )
        self.means_ = summaries[:, 0]
        self.intervals_ = summaries[:, 1:].swapaxes(0, 1)

        width = min(7.0, max(3.4, 0.9 + 0.16 * n_states * n_groups))
        self.figure_, self.ax_ = _figures.figure_and_axes(ax, (width, 2.8))
        slot = 0.8 / n_groups
        handles, self.points_ = [], []
        colors = _figures.group_colors(n_groups)
        for group, part in enumerate(parts):
            center = np.arange(n_states) - 0.4 + slot * (group + 0.5)
            # multiples of the golden ratio modulo 1 are far from those around them
            spread = (0.5 + np.arange(len(part)) * (np.sqrt(5) - 1) / 2) % 1
            spread = slot * 0.6 * (spread - 0.5)
            x = (center + spread[:, np.newaxis]).ravel()
            style = {"s": 7, "color": colors[group], "alpha": 0.45, "linewidths": 0}
            self.points_.append(self.ax_.scatter(x, part.ravel(), **style))
            label = f"n = {len(part)}"
            if self.groups is not None:
                label = f"{self.group_names_[group]} ({label})"
            bars = self.ax_.errorbar(
                center,
                self.means_[group],
                np.abs(self.intervals_[:, group] - self.means_[group]),
                fmt=_figures.MARKERS[group % len(_figures.MARKERS)],
                color=colors[group],
                markersize=4.5,
                markeredgecolor="white",
                markeredgewidth=0.6,
                elinewidth=1.3,
                capsize=1.8,
                label=label,
            )
            handles.append(bars)
        _figures.name_ticks(self.ax_, "x", np.arange(n_states), names)
        _figures.gray_ticks(self.ax_.xaxis, usage[has_states].sum(axis=0))
        if max(map(len, names)) > 3:
            for tick in self.ax_.get_xticklabels():
                tick.set(rotation=40, ha="right", rotation_mode="anchor", fontsize="small")
        self.ax_.set(xlim=(-0.5, n_states - 0.5), ylabel="fraction of time")
        self.ax_.set_ylim(bottom=0.0)
        if self.state_names is None:
            self.ax_.set_xlabel("state")
        self.ax_.spines[["right", "top"]].set_visible(False)
        label = "mean ± s.e.m."
        if interval == "bootstrap":
            label = f"{100 * confidence_level:g}% interval"
        bars = self.ax_.errorbar([], [], [], fmt="none", ecolor="0.4", capsize=1.8, label=label)
        self.legend_ = _figures.legend_above(self.ax_, [*handles, bars])
        return self


def _pool(states, animals, groups):
    """Lay the recordings of each animal in a group end to end; return them and their groups."""
    sequences = read_runs(states, "states").items()
    animals = read_texts(animals, "animals", len(sequences))
    texts = [""] * len(sequences)
    if groups is not None:
        texts = read_texts(groups, "groups", len(sequences))
    pooled: dict[tuple[str, str], list[HeldSequence]] = {}
    for unit, sequence in zip(zip(animals, texts, strict=True), sequences, strict=True):
        pooled.setdefault(unit, []).append(sequence)
    of_units = None if groups is None else [group for _, group in pooled]
    return [HeldSequence.join(parts) for parts in pooled.values()], of_units


def _mean_and_interval(usage, interval, confidence_level, random_state):
    """Return the mean over recordings and the ends of its error bar, three of (n_states,).

    They are NaN without recordings, and the ends are NaN for one recording.
    """
    from scipy.stats import bootstrap, sem

    nothing = np.full(usage.shape[1], np.nan)
    mean = usage.mean(axis=0) if len(usage) else nothing
    if len(usage) < 2:
        return mean, nothing, nothing
    if interval == "standard_error":
        return mean, mean - sem(usage), mean + sem(usage)
    settings = {"confidence_level": confidence_level, "random_state": random_state}
    resampled = bootstrap((usage,), np.mean, axis=0, method="percentile", **settings)
    return mean, *resampled.confidence_interval
