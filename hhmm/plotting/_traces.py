"""Displays of a fit: the log joint over its sweeps, and the loss of its last emission solve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from hhmm._validation import check_flag
from hhmm.estimator import EfficientHHMM
from hhmm.plotting import _figures, _states

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(eq=False, repr=False)
class LogJointDisplay:
    """Trace of the log joint probability over the sweeps of a fit.

    The log joint rises in the first sweeps by far more than it varies later. If that would
    flatten the later part, the axis shows the second half of the fit in full and leaves out the
    lower part of the rise. The label of the axis says how many sweeps are below it, and the lowest
    value.

    Parameters
    ----------
    log_joint : array of shape (n_chains, n_iter) or (n_iter,)
        Log joint probability after each sweep, nats.

    Attributes
    ----------
    lines_ : list of n_chains matplotlib Line2D
        The traces.
    reference_line_ : matplotlib Line2D or None
        The horizontal line at `reference`.
    ax_, figure_ : matplotlib Axes and Figure

    Examples
    --------
    >>> from hhmm.plotting import LogJointDisplay
    >>> display = LogJointDisplay([[-900.0, -500.0, -490.0], [-800.0, -510.0, -495.0]])
    >>> display = display.plot(reference=-480.0, reference_label="true parameters")
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['chain 0', 'chain 1', 'true parameters']
    """

    log_joint: ArrayLike

    @classmethod
    def from_estimator(
        cls,
        estimator: EfficientHHMM,
        *,
        reference: float | None = None,
        reference_label: str = "reference",
        ax: Axes | None = None,
        clip_rise: bool = True,
    ) -> Self:
        """Plot ``estimator.log_joint_``.

        Parameters
        ----------
        estimator : fitted EfficientHHMM
        reference, reference_label, ax, clip_rise
            See `plot`.

        Returns
        -------
        display : LogJointDisplay
        """
        _figures.check_has(estimator, "log_joint_")
        return cls(estimator.log_joint_).plot(
            ax, reference=reference, reference_label=reference_label, clip_rise=clip_rise
        )

    def plot(
        self,
        ax: Axes | None = None,
        *,
        reference: float | None = None,
        reference_label: str = "reference",
        clip_rise: bool = True,
    ) -> Self:
        """Draw the traces.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in; a new figure if None.
        reference : float, default=None
            Height of a horizontal line, nats: for example the log joint probability of the
            parameters that simulated the data.
        reference_label : str, default="reference"
            Name of the line in the legend, for example "true parameters".
        clip_rise : bool, default=True
            True lets the axis leave out the lower part of the first rise.

        Returns
        -------
        self : LogJointDisplay
        """
        log_joint = np.atleast_2d(np.asarray(self.log_joint, dtype=float))
        check_flag(clip_rise, "clip_rise")
        self.figure_, self.ax_ = _figures.figure_and_axes(ax, (6.4, 4.0))
        n_chains, n_iter = log_joint.shape
        self.lines_ = self.ax_.plot(
            np.arange(1, n_iter + 1),
            log_joint.T,
            color=_figures.OKABE_ITO[0],
            alpha=1.0 if n_chains <= len(_figures.OKABE_ITO) else 0.4,
            linewidth=1.2,
            marker="o" if n_iter <= 30 else None,
            markersize=4,
        )
        if n_chains > len(_figures.OKABE_ITO):
            self.lines_[0].set_label(f"{n_chains} chains")
        elif n_chains > 1:
            for chain, line in enumerate(self.lines_):
                line.set(color=_figures.OKABE_ITO[chain], label=f"chain {chain}")
        handles, _ = self.ax_.get_legend_handles_labels()
        self.reference_line_ = None
        if reference is not None:
            self.reference_line_ = self.ax_.axhline(reference, color="0.25", linestyle="--")
            self.reference_line_.set(linewidth=1.2, label=_states.as_text(reference_label))
            handles.append(self.reference_line_)

        limits, below = _plateau_limits(log_joint, reference, clip_rise)
        self.ax_.set_ylim(limits)
        label = "sweep"
        if below.any():
            n_below = int(below.any(axis=0).sum())
            sweeps_below = "1 sweep lies" if n_below == 1 else f"{n_below} sweeps lie"
            lowest = _format_nats(np.nanmin(log_joint[below]), 0)
            label += f"\n({sweeps_below} below the axis, down to {lowest})"
        self.ax_.set(xlabel=label, ylabel="log joint probability (nats)")
        decimals = max(0, math.ceil(-math.log10((limits[1] - limits[0]) / 20)))
        self.ax_.yaxis.set_major_formatter(lambda value, _: _format_nats(value, decimals))
        _integer_x_axis(self.ax_, n_iter)
        if n_chains > 1 or reference is not None:
            _figures.legend_above(self.ax_, handles)
        return self


@dataclass(eq=False, repr=False)
class EmissionLossDisplay:
    """Convergence of the last solve for the emission parameters.

    The curve is the loss minus the smallest loss, on a logarithmic axis if this excess varies by
    more than a factor of ten. Such an axis cannot show an excess of 0, so the smallest loss is an
    open circle at its lower end, and a dotted line leads to it.

    Parameters
    ----------
    losses : array of shape (n_iter,)
        Negative log posterior of the emission parameters at the start of each iteration, nats.

    Attributes
    ----------
    line_ : matplotlib Line2D
        Excess loss of each iteration; on a logarithmic axis, NaN if it is 0.
    minimum_line_ : matplotlib Line2D or None
        The open circles on a logarithmic axis.
    ax_, figure_ : matplotlib Axes and Figure

    Examples
    --------
    >>> from hhmm.plotting import EmissionLossDisplay
    >>> display = EmissionLossDisplay([1200.0, 1010.0, 1000.5, 1000.0]).plot()
    >>> display.line_.get_ydata()
    array([200. ,  10. ,   0.5,   nan])
    """

    losses: ArrayLike

    @classmethod
    def from_estimator(cls, estimator: EfficientHHMM, *, ax: Axes | None = None) -> Self:
        """Plot ``estimator.emission_losses_``.

        Parameters
        ----------
        estimator : fitted EfficientHHMM
        ax
            See `plot`.

        Returns
        -------
        display : EmissionLossDisplay
        """
        _figures.check_has(estimator, "emission_losses_")
        return cls(estimator.emission_losses_).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the excess loss.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in; a new figure if None.

        Returns
        -------
        self : EmissionLossDisplay
        """
        self.figure_, self.ax_ = _figures.figure_and_axes(ax, (6.4, 4.0))
        losses = np.asarray(self.losses, dtype=float)
        losses = np.where(np.isfinite(losses), losses, np.nan)
        iterations = np.arange(1, losses.size + 1)
        smallest = np.nanmin(losses)
        excess = losses - smallest
        # Differences of a few units in the last place are rounding, not progress.
        excess[excess <= 8 * np.finfo(float).eps * abs(smallest)] = 0.0
        positive = excess[excess > 0]
        logarithmic = positive.size > 0 and (positive.size < 3 or np.ptp(np.log10(positive)) > 1)

        self.minimum_line_ = None
        drawn = np.where(excess > 0, excess, np.nan) if logarithmic else excess
        blue, marker = _figures.OKABE_ITO[0], "o" if losses.size <= 30 else None
        (self.line_,) = self.ax_.plot(iterations, drawn, color=blue, marker=marker, markersize=5)
        if logarithmic:
            self.ax_.set_yscale("log")
            floor = 10 ** (math.floor(np.log10(positive.min())) - 0.5)
            to_minimum = np.where(excess == 0, floor, excess)
            self.ax_.plot(iterations, to_minimum, color=blue, linestyle=":", zorder=1)
            at_minimum = iterations[excess == 0]
            (self.minimum_line_,) = self.ax_.plot(
                at_minimum,
                np.full(at_minimum.size, floor),
                "o",
                color=blue,
                markerfacecolor="white",
                clip_on=False,
                label="smallest loss (excess 0)",
            )
            self.ax_.set_ylim(floor, np.float_power(10, np.ceil(np.log10(positive.max()) + 0.05)))
            _figures.legend_above(self.ax_, [self.minimum_line_])
        elif positive.size == 0:
            self.ax_.set_ylim(-1.0, 1.0)
            self.ax_.set_yticks([0])
        which = iterations[np.nanargmin(losses)]
        self.ax_.set(
            xlabel=f"iteration\n(smallest loss {_format_nats(smallest, 3)} nats, "
            f"at iteration {which} of {losses.size})",
            ylabel="loss - smallest loss (nats)",
        )
        _integer_x_axis(self.ax_, losses.size)
        return self


def _format_nats(value, decimals):
    return f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def _integer_x_axis(ax, n_points):
    """Set ticks at whole numbers, for points at 1 to `n_points`."""
    margin = max(0.5, 0.02 * n_points)
    ax.set_xlim(1 - margin, n_points + margin)
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def _plateau_limits(log_joint, reference, clip_rise):
    """Return limits of the y axis, and the mask of the values (n_chains, n_iter) below them."""
    finite = np.where(np.isfinite(log_joint), log_joint, np.nan)
    plateau = finite[:, finite.shape[1] // 2 :]
    if not np.isfinite(plateau).any():
        plateau = finite
    shown = [np.nanmin(plateau), np.nanmax(finite)]
    if reference is not None:
        shown.append(reference)
    low, high = min(shown), max(shown)
    # Differences of the log joint below one nat are not important.
    span = max(high - low, 1.0)
    lowest = np.nanmin(finite)
    if not clip_rise or lowest >= low - 3 * span:
        low = min(low, lowest)
        margin = max(0.05 * (high - low), 0.5)
        return (low - margin, high + margin), np.zeros(log_joint.shape, dtype=bool)
    low -= 0.5 * span
    return (low, high + 0.08 * span), log_joint < low
