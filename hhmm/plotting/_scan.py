"""Display of a scan over numbers of states: score, durations, used states, agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from hhmm._validation import check_frame_rate, shorten
from hhmm.plotting import _figures, _states

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hhmm.model_selection import ScanResult

_PANELS = {
    "difference": "held-out score minus the best\n(nats per transition)",
    "median_duration": "median duration of states ({unit})",
    "n_used_states": "states used",
    "adjusted_rand": "agreement of seeds\n(adjusted Rand index)",
}
# of a summary, beside those that begin with "mean_" or "se_"
_NO_SETTINGS = {
    "n_states",
    "prior_duration",
    "within_one_standard_error",
    "n_fits",
    "n_warnings",
}


@dataclass(eq=False, repr=False)
class ScanDisplay:
    """Results of a scan against the number of states, one line per stickiness.

    Four panels show the score of held-out sequences minus the best score, the median duration of
    states, the number of states that are used, and the agreement of fits from different seeds.
    Bars are one standard error over folds, as in `hhmm.model_selection.ScanResult.summary`. Scores
    are compared within folds, so their bars do not contain how much folds differ. A ring marks the
    best score, and a square the number of states that
    `hhmm.model_selection.ScanResult.one_standard_error` chooses.

    Parameters
    ----------
    summary : dict of str to ndarray of shape (n_points,)
        Return value of `hhmm.model_selection.ScanResult.summary`.
    frame_rate : float, default=None
        Timesteps a second, to show durations in seconds; in timesteps if None.

    Attributes
    ----------
    lines_ : list of 4 lists of matplotlib Line2D
        The lines of each panel, one for each combination of the settings other than the number of
        states. If `trans_kappa` depends on the number of states so that the expected duration is
        the same, there is one for each duration.
    axes_ : ndarray of shape (2, 2) of matplotlib Axes
        The panels.
    figure_ : matplotlib Figure
        The figure of the display.

    See Also
    --------
    hhmm.model_selection.scan : Fit the models.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.plotting import ScanDisplay
    >>> summary = {
    ...     "n_states": np.array([2, 3]),
    ...     "trans_kappa": np.array([100.0, 100.0]),
    ...     "prior_duration": np.array([102.0, 51.5]),
    ...     "mean_difference": np.array([-0.1, 0.0]),
    ...     "se_difference": np.array([0.02, 0.0]),
    ...     "within_one_standard_error": np.array([False, True]),
    ...     "mean_median_duration": np.array([40.0, 30.0]),
    ...     "se_median_duration": np.array([2.0, 1.0]),
    ...     "mean_n_used_states": np.array([2.0, 2.5]),
    ...     "se_n_used_states": np.array([0.0, 0.2]),
    ...     "mean_adjusted_rand": np.array([0.9, 0.6]),
    ...     "se_adjusted_rand": np.array([0.05, 0.1]),
    ... }
    >>> display = ScanDisplay(summary, frame_rate=10.0).plot()
    >>> display.axes_[0, 1].get_ylabel()
    'median duration of states (s)'
    >>> display.lines_[1][0].get_ydata()
    array([4., 3.])
    """

    summary: Mapping[str, ArrayLike]
    _: KW_ONLY
    frame_rate: float | None = None

    @classmethod
    def from_result(
        cls,
        result: ScanResult,
        *,
        frame_rate: float | None = None,
        axes: Sequence[Axes] | np.ndarray | None = None,
    ) -> Self:
        """Plot the result of a scan.

        Parameters
        ----------
        result : hhmm.model_selection.ScanResult
            Return value of `hhmm.model_selection.scan`.
        frame_rate, axes
            See the class and `plot`; `frame_rate` is by default that of the result.

        Returns
        -------
        display : ScanDisplay
        """
        from hhmm.model_selection import ScanResult

        if not isinstance(result, ScanResult):
            raise TypeError(f"result must be a ScanResult, got {shorten(result)}.")
        if frame_rate is None:
            frame_rate = result.frame_rate
        return cls(result.summary(), frame_rate=frame_rate).plot(axes)

    def plot(self, axes: Sequence[Axes] | np.ndarray | None = None) -> Self:
        """Draw the four panels.

        Parameters
        ----------
        axes : array-like of 4 matplotlib Axes, default=None
            The axes to draw in; a new figure if None.

        Returns
        -------
        self : ScanDisplay
        """
        summary = {str(name): np.asarray(column) for name, column in self.summary.items()}
        unit = "timesteps"
        if self.frame_rate is not None:
            unit = "s"
            for name in ("mean_median_duration", "se_median_duration"):
                summary[name] = summary[name] / check_frame_rate(self.frame_rate)
        plt = _figures.import_pyplot()
        panels: Any = axes
        if axes is None:
            style = {"figsize": (8.4, 6.4), "sharex": True, "layout": "constrained"}
            panels = plt.subplots(2, 2, **style)[1]
        elif np.size(panels) != 4:
            raise ValueError(f"axes must be 4 matplotlib Axes, got {np.size(panels)}.")
        self.axes_ = np.reshape(panels, (2, 2))
        self.figure_ = self.axes_[0, 0].figure

        labels, members = self._groups(summary)
        n_lines = len(labels)
        colors = _figures.OKABE_ITO
        if n_lines > len(_figures.OKABE_ITO):
            colors = plt.get_cmap("viridis")(np.linspace(0.0, 0.9, n_lines))
        x = summary["n_states"].astype(float)
        if n_lines > 1:  # lines side by side, so that no bar hides another
            for shift, points in zip(np.linspace(-0.12, 0.12, n_lines), members, strict=True):
                x[points] += shift
        self.lines_: list[list[Any]] = []
        for ax, (name, title) in zip(self.axes_.flat, _PANELS.items(), strict=True):
            self.lines_.append([])
            for number, points in enumerate(members):
                line, _, _ = ax.errorbar(
                    x[points],
                    summary[f"mean_{name}"][points],
                    yerr=summary[f"se_{name}"][points],
                    color=colors[number],
                    marker=_figures.MARKERS[number % len(_figures.MARKERS)],
                    markersize=5,
                    linewidth=1.4,
                    capsize=2.5,
                )
                line.set_label(labels[number])  # errorbar would label line and bars together
                self.lines_[-1].append(line)
            ax.set_ylabel(title.format(unit=unit))
            ax.spines[["top", "right"]].set_visible(False)
        from hhmm.model_selection._result import simplest_within

        difference = summary["mean_difference"]
        best, is_within = np.argmax(difference), summary["within_one_standard_error"]
        marked = {"best score": (best, "o", 12)}
        if is_within.any():
            label = "simplest within one standard error"
            if not is_within[best]:
                label += ", more states only if more are used"
            marked[label] = (simplest_within(summary), "s", 15)
        marks = [
            self.axes_[0, 0].plot(
                x[point],
                difference[point],
                marker=marker,
                markersize=size,
                markerfacecolor="none",
                markeredgecolor="0.25",
                linestyle="none",
                label=label,
            )[0]
            for label, (point, marker, size) in marked.items()
        ]
        self._arrange_axes(summary)
        handles = [*(line for line in self.lines_[0] if line.get_label()), *marks]
        if axes is None:
            longest = max(len(handle.get_label()) for handle in handles)
            n_columns = min(max(int(8.0 / (0.5 + 0.085 * longest)), 1), len(handles))
            style = {"loc": "outside upper left", "ncols": n_columns}
            _figures.literal_legend(self.figure_, handles, frameon=False, **style)
        else:
            _figures.literal_legend(self.axes_[0, 0], handles, frameon=False)
        return self

    def _groups(self, summary):
        """Return labels of the lines, and their grid points by increasing number of states."""
        n_states = summary["n_states"]
        names = [
            name
            for name in summary
            if not name.startswith(("mean_", "se_")) and name not in _NO_SETTINGS
        ]
        columns = {name: summary[name] for name in names}
        durations = np.array([float(f"{x:.6g}") for x in summary["prior_duration"]])
        # one state lasts throughout, whatever is asked for
        n_durations = np.unique(durations[np.isfinite(durations)]).size
        if n_durations < np.unique(columns["trans_kappa"]).size:
            columns["trans_kappa"] = durations
        by_duration = columns["trans_kappa"] is durations and np.isfinite(durations).any()
        varied = [name for name in names if len(set(columns[name].tolist())) > 1]
        groups = {}
        for i in np.argsort(n_states, kind="stable"):
            groups.setdefault(tuple(columns[name][i] for name in varied), []).append(i)
        if by_duration and "trans_kappa" in varied:  # one state lasts throughout
            place = varied.index("trans_kappa")
            for values in [values for values in groups if np.isinf(values[place])]:
                of_one = groups.pop(values)
                for others, members in groups.items():
                    if others[:place] + others[place + 1 :] == values[:place] + values[place + 1 :]:
                        members[:0] = of_one
        ordered = sorted(groups, key=_sort_key)
        labels = [self._label(varied, values, by_duration) for values in ordered]
        return labels, [groups[values] for values in ordered]

    def _label(self, names, values, by_duration):
        words = []
        for name, value in zip(names, values, strict=True):
            text = f"{value:g}" if isinstance(value, (float, np.number)) else str(value)
            if name == "trans_kappa" and by_duration:
                seconds = f"{value / (self.frame_rate or 1.0):.3g}"
                text = seconds + (" timesteps" if self.frame_rate is None else " s")
                name = "expected duration"
            words.append(f"{name} {text}")
        return _states.as_text(", ".join(words))

    def _arrange_axes(self, summary):
        n_states = np.unique(summary["n_states"])
        score, duration, used, agreement = self.axes_.flat
        for ax in self.axes_.flat:
            margin = max(0.5, 0.03 * np.ptp(n_states))
            ax.set_xlim(n_states[0] - margin, n_states[-1] + margin)
            if n_states.size <= 10:
                ax.set_xticks(n_states)
            else:
                ax.xaxis.get_major_locator().set_params(integer=True)
        for ax in (used, agreement):
            ax.set_xlabel("number of states")
        score.margins(y=0.15)
        lengths = summary["mean_median_duration"]
        if lengths.max() > 10 * lengths.min():
            duration.set_yscale("log")
            _figures.write_plain_ticks(duration.yaxis)
        (all_states,) = used.plot(n_states, n_states, color="0.5", linestyle=":", zorder=0)
        used.legend([all_states], ["all states"], loc="lower right", frameon=False)
        used.yaxis.get_major_locator().set_params(integer=True)
        used.set_ylim(bottom=0)
        rand = summary["mean_adjusted_rand"]
        agreement.set_ylim(np.min(rand, initial=0.0, where=np.isfinite(rand)) - 0.05, 1.05)
        if np.isnan(rand).all():
            text = {"transform": agreement.transAxes, "ha": "center", "color": "0.4"}
            agreement.text(0.5, 0.5, "needs two seeds or more", **text)


def _sort_key(values):
    """Return a key that sorts settings, numbers before others."""
    return [
        (0, value, "") if isinstance(value, (int, float, np.number)) else (1, 0, str(value))
        for value in values
    ]
