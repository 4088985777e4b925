"""Display of the states of many recordings over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from hhmm._sequences.read import check_n_states, read_runs
from hhmm.estimator import EfficientHHMM
from hhmm.plotting import _figures, _states

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Columns of the picture: more than a page has room for, few enough to be drawn at once.
_MAX_COLUMNS = 2000
_SMALLEST_FONT, _LARGEST_FONT = 5.0, 9.0


@dataclass(eq=False, repr=False)
class EthogramDisplay:
    """States of many recordings over time, one row of colours per recording.

    States that take less than 1% of the time in all recordings together are grey.

    If there are more timesteps than the picture has columns (2,000), each column shows the most
    frequent of its states.

    Parameters
    ----------
    states : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
            or list of arrays of shape (n_timesteps_i,)
        States, integers, one row or item per recording. Negative timesteps have no state. They
        are light grey, and white at the end of a recording.
    names : list of n_sequences str, default=None
        Names of the recordings; numbers if None. Names of more than 20 characters are
        abbreviated in the middle.
    groups : list of n_sequences str, default=None
        Group of each recording. Recordings of a group are drawn together, groups in order of
        their first appearance.
    n_states : int, default=None
        Number of states; the largest label plus one if None.
    state_names : list of n_states str, default=None
        Names of the states; "state 0" and so on if None.
    frame_rate : float, default=None
        Timesteps per second, for an axis in seconds, minutes or hours.

    Attributes
    ----------
    images_ : list of n_groups matplotlib AxesImage
        The rows of each group. Their values are states, `n_states` for a timestep without a
        state, masked after the end.
    order_ : ndarray of shape (n_sequences,), int64
        The recording that each row shows, from top to bottom.
    legend_ : matplotlib Legend
        The colours of the states.
    ax_, figure_ : matplotlib Axes and Figure

    See Also
    --------
    RasterDisplay : One recording, with its syllables and the probabilities of its states.

    Examples
    --------
    >>> from hhmm.plotting import EthogramDisplay
    >>> display = EthogramDisplay(
    ...     [[0, 0, 1], [1, 1], [0, 1, 1]], names=["a", "b", "c"], groups=["x", "y", "x"]
    ... ).plot()
    >>> display.order_
    array([0, 2, 1])
    """

    states: ArrayLike
    _: KW_ONLY
    names: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    n_states: int | None = None
    state_names: Sequence[str] | None = None
    frame_rate: float | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: EfficientHHMM,
        X: ArrayLike,
        *,
        model_groups: ArrayLike | None = None,
        names: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
        state_names: Sequence[str] | None = None,
        frame_rate: float | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Plot ``estimator.predict(X, groups=model_groups)``.

        Parameters
        ----------
        estimator : fitted EfficientHHMM
        X : array of shape (n_sequences, n_timesteps) or list of arrays
            Syllables, in any form that the estimator takes.
        model_groups : array-like of shape (n_sequences,) or data frame, default=None
            ``groups`` of `EfficientHHMM.predict`, if the model was fitted with groups.
        names, groups, state_names, frame_rate, ax
            See the class and `plot`; `state_names` and `frame_rate` are by default those of the
            estimator.

        Returns
        -------
        display : EthogramDisplay
        """
        _figures.check_has(estimator, "trans_probs_")
        return cls.from_predictions(
            estimator.predict(X, groups=model_groups),
            names=names,
            groups=groups,
            n_states=len(estimator.trans_probs_),
            state_names=_states.names_of(estimator, state_names),
            frame_rate=_states.frame_rate_of(estimator, frame_rate),
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        states: ArrayLike,
        *,
        names: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
        n_states: int | None = None,
        state_names: Sequence[str] | None = None,
        frame_rate: float | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Plot given states.

        Parameters
        ----------
        states, names, groups, n_states, state_names, frame_rate, ax
            See the class and `plot`.

        Returns
        -------
        display : EthogramDisplay
        """
        return cls(
            states,
            names=names,
            groups=groups,
            n_states=n_states,
            state_names=state_names,
            frame_rate=frame_rate,
        ).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in; a new figure if None.

        Returns
        -------
        self : EthogramDisplay
        """
        _figures.import_pyplot()
        from matplotlib.colors import ListedColormap

        sequences = read_runs(self.states, "states").without_end()
        n_states = check_n_states(self.n_states, sequences)
        n_rows = sequences.n_runs.size
        names = _states.check_names(self.names, n_rows, "names")
        state_names = _states.check_state_names(self.state_names, n_states, default="state {}")
        group_names, members = _states.check_groups(self.groups, n_rows)
        self.order_ = np.concatenate(members)
        names = [_abbreviate(names[i]) for i in self.order_]
        n_timesteps = max(int(sequences.lengths.max()), 1)
        unit, unit_name = _states.time_unit(n_timesteps, self.frame_rate)
        width = math.ceil(n_timesteps / _MAX_COLUMNS)  # timesteps per column
        rows = _most_frequent_states(sequences, width, n_timesteps, n_states)

        header = 0.0 if self.groups is None else 0.22  # inches
        headers = header * len(members)
        size = (7.0, min(9.0, 1.1 + 0.17 * n_rows + headers))
        self.figure_, self.ax_ = _figures.figure_and_axes(ax, size)
        self.ax_.set_xlim(0.0, n_timesteps * unit)
        self.ax_.set_xlabel("timestep" if self.frame_rate is None else f"time ({unit_name})")
        if self.names is None:
            self.ax_.set_ylabel("recording")
        # the layout makes room for names, the legend needs the layout, and the rows their height
        _figures.name_ticks(self.ax_, "y", np.linspace(0, 1, n_rows), names, fontsize=_LARGEST_FONT)
        usage = sequences.sum_by_label(n_states).sum(axis=0)
        colors = [*_figures.state_colors(n_states, usage), _figures.MISSING_COLOR]
        patches = _figures.color_patches(colors, [*state_names, "missing"])
        if not (rows == n_states).any():
            patches.pop()
        self.legend_ = _figures.legend_above(self.ax_, patches)
        inches = _figures.lay_out(self.ax_)
        row_inches = max(inches - headers, 0.3 * inches) / n_rows

        blocks = [rows[which] for which in members]
        sizes = np.array([len(block) for block in blocks])
        gaps = header / row_inches * np.arange(1, len(blocks) + 1)
        tops = np.cumsum(sizes) - sizes + gaps
        cmap = ListedColormap(colors).with_extremes(bad="none")
        right = rows.shape[1] * width * unit
        self.images_ = []
        for block, top in zip(blocks, tops, strict=True):
            image = self.ax_.imshow(
                block,
                cmap=cmap,
                vmin=-0.5,
                vmax=n_states + 0.5,
                extent=(0.0, right, top + len(block), top),
                aspect="auto",
                interpolation="nearest",
            )
            self.images_.append(image)
            if row_inches > _SMALLEST_FONT / _figures.POINTS_PER_INCH:
                between = np.arange(top + 1, top + len(block))
                self.ax_.hlines(between, 0.0, right, color="white", linewidth=0.8)
        self.ax_.set(xlim=(0.0, n_timesteps * unit), ylim=(tops[-1] + sizes[-1], 0.0))
        self.ax_.tick_params(axis="y", length=0)
        self.ax_.spines[["left", "right", "top"]].set_visible(False)

        # as many names as there is room for
        centers = np.repeat(gaps, sizes) + 0.5 + np.arange(n_rows)
        font_size = min(_LARGEST_FONT, 0.85 * _figures.POINTS_PER_INCH * row_inches)
        every = max(1, math.ceil(_SMALLEST_FONT / font_size))
        font_size = max(font_size, _SMALLEST_FONT)
        _figures.name_ticks(self.ax_, "y", centers[::every], names[::every], fontsize=font_size)
        style = {"va": "bottom", "fontsize": "small", "fontweight": "bold", **_figures.LITERAL}
        if self.groups is not None:
            for name, top in zip(group_names, tops, strict=True):
                self.ax_.annotate(
                    name, (0.0, top), xytext=(0.0, 1.5), textcoords="offset points", **style
                )
        return self


def _most_frequent_states(sequences, width, n_timesteps, n_states):
    """Return the most frequent state of each column of `width` timesteps of the picture.

    They are a masked array (n_sequences, n_columns): `n_states` if most timesteps have no state,
    masked after the end.
    """
    shape = sequences.n_runs.size, math.ceil(n_timesteps / width), n_states + 1
    counts = np.zeros(shape, dtype=int)
    for row, states in zip(counts, sequences.one_by_one(), strict=True):
        columns = np.arange(states.size) // width
        np.add.at(row, (columns, np.where(states >= 0, states, n_states)), 1)
    return np.ma.masked_array(counts.argmax(axis=-1), ~counts.any(axis=-1))


def _abbreviate(name):
    return name if len(name) <= 20 else f"{name[:9]}\N{HORIZONTAL ELLIPSIS}{name[-9:]}"
