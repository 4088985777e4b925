"""Display of how much time is spent in each state, by group."""

from numbers import Real

import numpy as np
from sklearn.utils import check_scalar

from hhmm._validation import check_option, shorten, to_array
from hhmm.metrics import state_usage
from hhmm.plotting._figures import (
    check_has,
    figure_and_axes,
    gray_ticks,
    import_pyplot,
    legend_above,
    name_ticks,
)
from hhmm.plotting._states import check_groups, check_state_names, group_colors

_MARKERS = "osD^vP*X"


class StateUsageDisplay:
    """Fraction of time in each state: every recording, and mean and error of each group.

    The names of states that take less than 1% of the time, on average over recordings, are grey.

    Parameters
    ----------
    usage : array of shape (n_sequences, n_states)
        Fraction of time that each recording spends in each state. Recordings whose row holds
        a NaN, without a single state, are left out.

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
        Lower and upper ends of the error bars; NaN where a group has one recording.

    points_ : list of n_groups matplotlib PathCollection
        The recordings.

    legend_ : matplotlib Legend
        Groups with their numbers of recordings, and what the error bars are.

    ax_ : matplotlib Axes
        The axes that were drawn in.

    figure_ : matplotlib Figure
        The figure they belong to.

    See Also
    --------
    hhmm.metrics.state_usage : The fractions as numbers, with ``per_sequence=True``.

    Notes
    -----
    The recording is the unit of replication: errors are over recordings and not over
    timesteps, which depend on each other. Recordings of one animal depend on each other as
    well; average them before, so that one row is one animal.

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

    def __init__(self, usage, *, groups=None, state_names=None):
        self.usage = usage
        self.groups = groups
        self.state_names = state_names

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        groups=None,
        state_names=None,
        ax=None,
        interval="standard_error",
        confidence_level=0.95,
        random_state=None,
    ):
        """Plot ``estimator.transform(X)``.

        Parameters
        ----------
        estimator : EfficientHHMM
            A fitted model.

        X : array of shape (n_sequences, n_timesteps) or list of arrays
            Syllables, in any form that the estimator takes.

        groups, state_names
            See the class.

        ax, interval, confidence_level, random_state
            See `plot`.

        Returns
        -------
        display : StateUsageDisplay

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> from hhmm.datasets import make_hhmm
        >>> from hhmm.plotting import StateUsageDisplay
        >>> data = make_hhmm(4, 100, n_states=2, n_syllables=4, random_state=0)
        >>> model = EfficientHHMM.from_params(
        ...     data.emission_base, data.emission_biases, data.trans_probs
        ... )
        >>> display = StateUsageDisplay.from_estimator(model, data.X, groups=list("aabb"))
        >>> display.group_names_
        ['a', 'b']
        """
        check_has(estimator, "trans_probs_")
        import_pyplot()
        return cls(estimator.transform(X), groups=groups, state_names=state_names).plot(
            ax,
            interval=interval,
            confidence_level=confidence_level,
            random_state=random_state,
        )

    @classmethod
    def from_predictions(
        cls,
        states,
        *,
        groups=None,
        n_states=None,
        state_names=None,
        ax=None,
        interval="standard_error",
        confidence_level=0.95,
        random_state=None,
    ):
        """Measure the usage of states and plot.

        Parameters
        ----------
        states : array of shape (n_sequences, n_timesteps) or list of arrays of shape \
                (n_timesteps_i,)
            States, integers; negative timesteps are ignored.

        groups, state_names
            See the class.

        n_states : int, default=None
            Number of states; the largest label plus one if None.

        ax, interval, confidence_level, random_state
            See `plot`.

        Returns
        -------
        display : StateUsageDisplay

        Examples
        --------
        >>> from hhmm.plotting import StateUsageDisplay
        >>> display = StateUsageDisplay.from_predictions([[0, 0, 1, 1], [1, 1, 1, 0]])
        >>> display.means_
        array([[0.375, 0.625]])
        """
        usage = state_usage(states, n_states=n_states, per_sequence=True)
        return cls(usage, groups=groups, state_names=state_names).plot(
            ax,
            interval=interval,
            confidence_level=confidence_level,
            random_state=random_state,
        )

    def plot(
        self,
        ax=None,
        *,
        interval="standard_error",
        confidence_level=0.95,
        random_state=None,
    ):
        """Draw recordings, means and error bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        interval : {"standard_error", "bootstrap"}, default="standard_error"
            What the error bars are: one standard error of the mean to either side, or a
            percentile bootstrap interval of the mean, which resamples recordings. The
            latter is too narrow with few recordings, as every bootstrap is.

        confidence_level : float, default=0.95
            Of the bootstrap interval.

        random_state : int, RandomState instance or None, default=None
            Seed of the bootstrap.

        Returns
        -------
        self : StateUsageDisplay
        """
        plt = import_pyplot()
        usage = to_array(self.usage, "usage must be fractions of time", float)
        if usage.ndim != 2 or usage.size == 0:
            raise ValueError(f"usage must have shape (n_sequences, n_states), got {usage.shape}")
        if np.isinf(usage).any():
            raise ValueError(f"usage must be fractions of time, got {shorten(usage)}")
        check_option(interval, "interval", ("standard_error", "bootstrap"))
        check_scalar(confidence_level, "confidence_level", Real)
        if not 0 < confidence_level < 1:
            raise ValueError(
                f"confidence_level must be between 0 and 1, got {shorten(confidence_level)}"
            )
        n_states = usage.shape[1]
        names = check_state_names(self.state_names, n_states, default="{}")
        group_names, group_of = check_groups(self.groups, len(usage))
        members = [
            usage[(group_of == group) & ~np.isnan(usage).any(axis=1)]
            for group in range(len(group_names))
        ]
        self.group_names_ = group_names
        summaries = [
            _mean_and_interval(part, interval, confidence_level, random_state) for part in members
        ]
        self.means_ = np.array([mean for mean, _, _ in summaries])
        self.intervals_ = np.array([bounds for _, *bounds in summaries]).swapaxes(0, 1)

        width = min(7.0, max(3.4, 0.9 + 0.16 * n_states * len(group_names)))
        self.figure_, self.ax_ = figure_and_axes(plt, ax, (width, 2.8))
        slot = 0.8 / len(group_names)
        handles, self.points_ = [], []
        for group, (part, color) in enumerate(
            zip(members, group_colors(plt, len(group_names)), strict=True)
        ):
            center = np.arange(n_states) - 0.4 + slot * (group + 0.5)
            spread = slot * 0.6 * (_even_spread(len(part)) - 0.5)
            self.points_.append(
                self.ax_.scatter(
                    (center + spread[:, np.newaxis]).ravel(),
                    part.ravel(),
                    s=7,
                    color=color,
                    alpha=0.45,
                    linewidths=0,
                )
            )
            errors = np.abs(self.intervals_[:, group] - self.means_[group])
            drawn = self.ax_.errorbar(
                center,
                self.means_[group],
                errors,
                fmt=_MARKERS[group % len(_MARKERS)],
                color=color,
                markersize=4.5,
                markeredgecolor="white",
                markeredgewidth=0.6,
                elinewidth=1.3,
                capsize=1.8,
                label=f"{group_names[group]} (n = {len(part)})"
                if self.groups is not None
                else f"n = {len(part)}",
            )
            handles.append(drawn)
        name_ticks(self.ax_, "x", np.arange(n_states), names)
        observed = usage[~np.isnan(usage).any(axis=1)]
        gray_ticks(self.ax_.xaxis, observed.sum(axis=0))
        if max(map(len, names)) > 3:
            for label in self.ax_.get_xticklabels():
                label.set(rotation=40, ha="right", rotation_mode="anchor", fontsize="small")
        self.ax_.set(xlim=(-0.5, n_states - 0.5), ylabel="fraction of time")
        self.ax_.set_ylim(bottom=0.0)
        if self.state_names is None:
            self.ax_.set_xlabel("state")
        self.ax_.spines[["right", "top"]].set_visible(False)
        what = (
            "mean ± s.e.m."
            if interval == "standard_error"
            else f"{100 * confidence_level:g}% interval"
        )
        bars = self.ax_.errorbar([], [], [], fmt="none", ecolor="0.4", capsize=1.8, label=what)
        self.legend_ = legend_above(self.ax_, [*handles, bars])
        return self


def _mean_and_interval(usage, interval, confidence_level, random_state):
    """Mean over recordings (n_states,), lower and upper end of its error bar; NaN of none."""
    from scipy.stats import bootstrap

    n_recordings, n_states = usage.shape
    nothing = np.full(n_states, np.nan)
    if n_recordings == 0:
        return nothing, nothing, nothing
    mean = usage.mean(axis=0)
    if n_recordings == 1:
        return mean, nothing, nothing
    if interval == "standard_error":
        error = usage.std(axis=0, ddof=1) / np.sqrt(n_recordings)
        return mean, mean - error, mean + error
    bounds = bootstrap(
        (usage,),
        np.mean,
        axis=0,
        method="percentile",
        confidence_level=confidence_level,
        random_state=random_state,
    ).confidence_interval
    return mean, bounds.low, bounds.high


def _even_spread(n):
    """Multiples of the golden ratio: `n` numbers in [0, 1), each far from those around it."""
    return (0.5 + np.arange(n) * (np.sqrt(5) - 1) / 2) % 1
