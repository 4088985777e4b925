"""Display of one recording over time: its syllables, and the states inferred from them."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from hhmm._sequences.groups import read_labels
from hhmm._sequences.read import check_sequences, read_states
from hhmm._validation import check_option
from hhmm.estimator import EfficientHHMM
from hhmm.metrics import match_states, state_usage
from hhmm.plotting import _figures, _states

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap


@dataclass(eq=False, repr=False)
class RasterDisplay:
    """One recording over time: its syllables, and rows of its states below.

    States that take less than 1% of the time are grey.

    Parameters
    ----------
    syllables : array of shape (n_timesteps,)
        Observed syllables; negative where missing.
    rows : list of (str, array) pairs, default=()
        The rows below, from top to bottom: a label, and either states or probabilities of states.
        States are integers (n_timesteps,), negative for a timestep without a state. Probabilities
        are (n_timesteps, n_labels), columns in the order of `state_labels`, NaN for a label
        without a probability. In the label of probabilities ``{}`` stands for the state, as in
        ``"p(state {})"``.
    n_syllables : int, default=None
        Number of syllables, for the colours; the largest label plus one if None.
    state_labels : array of shape (n_labels,), default=None
        The labels of the states, one colour each, increasing; 0 to the largest of `rows` if
        None.
    state_names : list of n_labels str, default=None
        Names of the states in `state_labels`; their labels if None.
    start : int, default=0
        Timestep of the first value.
    frame_rate : float, default=None
        Timesteps per second, for an axis in seconds, minutes or hours.
    usage : array of shape (n_labels,), default=None
        Fraction of time in each of `state_labels`. If None, it is the mean over `rows`.

    Attributes
    ----------
    images_ : list of matplotlib AxesImage
        The rows from top to bottom, syllables first. Values of a row of states are positions in
        `state_labels`, masked for a timestep without a state.
    legend_ : matplotlib Legend or None
        The colours of the states; None without rows.
    ax_, figure_ : matplotlib Axes and Figure

    Examples
    --------
    >>> from hhmm import EfficientHHMM
    >>> from hhmm.plotting import RasterDisplay
    >>> model = EfficientHHMM.from_params([[0], [0]], [[1]], [[0.9, 0.1], [0.1, 0.9]])
    >>> X = [[0, 0, 1, 1], [1, 0, 1, 1]]
    >>> display = RasterDisplay.from_estimator(
    ...     model, X, index=1, y_true=X, kinds=["viterbi"], stop=3
    ... )
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['syllable', 'true', 'Viterbi']
    """

    syllables: ArrayLike
    rows: Sequence[tuple[str, ArrayLike]] = ()
    _: KW_ONLY
    n_syllables: int | None = None
    state_labels: ArrayLike | None = None
    state_names: Sequence[str] | None = None
    start: int = 0
    frame_rate: float | None = None
    usage: ArrayLike | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: EfficientHHMM,
        X: ArrayLike,
        *,
        index: int = 0,
        model_groups: ArrayLike | None = None,
        y_true: ArrayLike | None = None,
        kinds: str | Sequence[str] = ("viterbi", "marginal", "sampled"),
        start: int = 0,
        stop: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        ax: Axes | None = None,
        cmap: str | Colormap = "viridis",
    ) -> Self:
        """Infer the states of one sequence and plot them below its syllables.

        Grey states take less than 1% of the time in ``estimator.predict(X, groups=model_groups)``,
        over all sequences.
        If `y_true` is given, the time is the mean over predicted and true states. Names of states
        and the frame rate are those of the estimator; if `y_true` is given, states are numbered.

        Parameters
        ----------
        estimator : fitted EfficientHHMM
        X : array of shape (n_sequences, n_timesteps) or list of arrays
            Syllables, in any form that the estimator takes.
        index : int, default=0
            The sequence of `X` to plot.
        model_groups : array-like of shape (n_sequences,) or data frame, default=None
            ``groups`` of `EfficientHHMM.predict`, if the model was fitted with groups.
        y_true : array of shape (n_sequences, n_timesteps) or list of arrays, default=None
            True states of all sequences of `X`; negative where unknown. Inferred states are
            relabelled to match them, over all sequences, so colours are the same for each
            sequence.
        kinds : sequence of {"viterbi", "marginal", "sampled"}, \
                default=("viterbi", "marginal", "sampled")
            The rows, from top to bottom: the most probable path, the probability of every state
            given the whole sequence, one draw of the path from the posterior.
        start, stop : int, default=0, None
            Timesteps to plot; inference uses the whole sequence. None is the end of the sequence,
            without padding.
        random_state : int, RandomState instance or None, default=None
            Seed of "sampled".
        ax, cmap
            See `plot`.

        Returns
        -------
        display : RasterDisplay
        """
        _figures.check_has(estimator, "trans_probs_")
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        for kind in kinds:
            check_option(kind, "each of kinds", ("viterbi", "marginal", "sampled"))
        index, start = operator.index(index), operator.index(start)
        sequences = check_sequences(estimator, X, reset=False).sequences
        if not 0 <= index < len(sequences):
            raise ValueError(f"index must be from 0 to {len(sequences) - 1} in X, got {index}.")
        syllables = sequences[index]
        n_timesteps = syllables.size
        if not n_timesteps:
            raise ValueError(f"X must have an observed timestep in sequence {index}, got none.")
        stop = n_timesteps if stop is None else min(operator.index(stop), n_timesteps)
        if not 0 <= start < stop:
            raise ValueError(
                f"start and stop must be timesteps with 0 <= start < stop, got {start} and {stop} "
                f"in sequence {index}, which has {n_timesteps} timesteps."
            )
        shown = slice(start, stop)

        n_states = len(estimator.trans_probs_)
        mapping = np.arange(n_states)
        labels = mapping
        rows: list[tuple[str, Any]] = []
        predicted = estimator.predict(X, groups=model_groups)
        usage = state_usage(predicted, n_states=n_states)
        if y_true is not None:
            mapping = match_states(y_true, predicted)
            # states that are never inferred get labels that are free
            free = np.setdiff1d(np.arange(n_states + mapping.size), mapping)
            mapping = np.append(mapping, free[: n_states - mapping.size])
            true_usage = state_usage(y_true)
            labels = np.union1d(mapping, np.flatnonzero(true_usage))
            n_labels = int(labels.max()) + 1
            true_usage = np.pad(true_usage, (0, n_labels - true_usage.size))
            usage = (np.bincount(mapping, usage, n_labels) + true_usage)[labels] / 2
            true = read_states(y_true, "y_true").sequences[index][:n_timesteps]
            true = np.pad(true, (0, n_timesteps - true.size), constant_values=-1)
            rows.append(("true", true[shown]))
        group = None
        if model_groups is not None:
            group = read_labels(model_groups, len(sequences), "model_groups").of([index])
        for kind in kinds:
            if kind == "marginal":
                probs = estimator.predict_proba([syllables], groups=group)[0]
                marginals = np.asarray(probs, dtype=float)[shown]
                values = np.full((len(marginals), labels.size), np.nan)
                values[:, np.searchsorted(labels, mapping)] = marginals
                rows.append(("p(state {})", values))
            elif kind == "sampled":
                states = estimator.sample_states(
                    [syllables], groups=group, random_state=random_state
                )[0]
                rows.append(("sampled", mapping[np.asarray(states)[shown]]))
            else:
                rows.append(("Viterbi", mapping[np.asarray(predicted[index])[shown]]))

        return cls(
            syllables[shown],
            rows,
            n_syllables=estimator.n_syllables_,
            state_labels=labels,
            state_names=_states.names_of(estimator, None) if y_true is None else None,
            start=start,
            frame_rate=estimator.frame_rate,
            usage=usage,
        ).plot(ax, cmap=cmap)

    def plot(self, ax: Axes | None = None, *, cmap: str | Colormap = "viridis") -> Self:
        """Draw the rows.

        Colours of states and syllables are not mixed: if there are more timesteps than pixels,
        some are not visible.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in; a new figure if None.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the syllables.

        Returns
        -------
        self : RasterDisplay
        """
        plt = _figures.import_pyplot()
        from matplotlib.colors import ListedColormap

        syllables = np.asarray(self.syllables)
        n_syllables = self.n_syllables
        if n_syllables is None:
            n_syllables = int(syllables.max(initial=0)) + 1
        rows = [(_states.as_text(name), np.asarray(values)) for name, values in self.rows]
        if self.state_labels is None:
            n_labels = [len(v.T) if v.ndim == 2 else v.max(initial=0) + 1 for _, v in rows]
            labels = np.arange(max(n_labels, default=1))
        else:
            labels = np.asarray(self.state_labels)
        _states.check_few_states(labels.size)
        names = self.state_names
        if names is None:
            names = [f"state {label}" for label in labels]
        names = _states.check_state_names(names, labels.size)
        usage = _mean_usage(rows, labels) if self.usage is None else self.usage

        heights = [1.0] + [1.0 if v.ndim == 1 else max(1.0, 0.55 * labels.size) for _, v in rows]
        figure_height = 1.3 + min(0.4 * sum(heights), 9.0) + 0.12 * len(heights)
        self.figure_, self.ax_ = _figures.figure_and_axes(ax, (10.0, figure_height))
        tops = np.cumsum([0.0, *(height + 0.3 for height in heights[:-1])])
        bottom = tops[-1] + heights[-1]
        # the smallest step at which the rows of a heat map of states can be labelled
        inches = self.ax_.get_window_extent().height / self.figure_.dpi
        row_inches = inches * max(heights) / bottom / labels.size
        label_every = max(1, math.ceil(0.17 / row_inches))

        colors = _figures.state_colors(labels.size, usage)
        state_cmap = ListedColormap(colors)
        syllable_cmap = plt.get_cmap(cmap).resampled(n_syllables)
        unit, unit_name = _states.time_unit(syllables.size, self.frame_rate)
        ends = unit * (self.start - 0.5), unit * (self.start + syllables.size - 0.5)
        data = np.ma.masked_less(syllables, 0)[np.newaxis]
        self.images_ = [self._strip(data, ends, 0.0, 1.0, syllable_cmap, -0.5, n_syllables - 0.5)]
        _small_colorbar(self.images_[0], 0.0, 1.0, bottom, sorted({0, n_syllables - 1}), "syllable")
        ticks, tick_labels = [0.5], ["syllable"]
        for (name, values), top, height in zip(rows, tops[1:], heights[1:], strict=True):
            if values.ndim == 1:
                positions = np.ma.masked_array(np.searchsorted(labels, values), values < 0)
                data = positions[np.newaxis]
                image = self._strip(data, ends, top, height, state_cmap, -0.5, labels.size - 0.5)
                ticks.append(top + height / 2)
                tick_labels.append(name)
            else:
                data = np.ma.masked_invalid(values.T)
                image = self._strip(data, ends, top, height, plt.get_cmap("Greys"), 0.0, 1.0)
                for j in range(0, labels.size, label_every):
                    ticks.append(top + height * (j + 0.5) / labels.size)
                    tick_labels.append(
                        name.replace("state {}", names[j]).replace("{}", str(labels[j]))
                    )
                _small_colorbar(image, top, height, bottom, [0, 1], "probability")
            self.images_.append(image)

        self.ax_.set(xlim=ends, ylim=(bottom, 0.0))
        self.ax_.set_xlabel("timestep" if self.frame_rate is None else f"time ({unit_name})")
        _figures.name_ticks(self.ax_, "y", ticks, tick_labels)
        self.ax_.tick_params(axis="y", length=0)
        self.ax_.xaxis.get_major_locator().set_params(integer=self.frame_rate is None)
        self.ax_.spines[:].set_visible(False)
        self.ax_.spines["bottom"].set_visible(True)
        self.legend_ = None
        if rows:
            patches = _figures.color_patches(colors, names)
            self.legend_ = _figures.legend_above(self.ax_, patches)
        return self

    def _strip(self, data, ends, top, height, cmap, vmin, vmax):
        """Draw `data` (n_rows, n_timesteps) as a strip with a thin frame."""
        left, right = ends
        image = self.ax_.imshow(
            data,
            cmap=cmap.with_extremes(bad=_figures.MISSING_COLOR),
            vmin=vmin,
            vmax=vmax,
            extent=(left, right, top + height, top),
            aspect="auto",
            interpolation="nearest",
        )
        frame_x, frame_y = [left, right, right, left, left], [top, top, *[top + height] * 2, top]
        self.ax_.plot(frame_x, frame_y, color="0.5", linewidth=0.8, clip_on=False)
        return image


def _mean_usage(rows, labels):
    """Return the sum over rows of the fraction of time in each state, (n_labels,)."""
    usage = np.zeros(labels.size)
    for _, values in rows:
        if values.ndim == 1:
            positions = np.searchsorted(labels, values[values >= 0])
            usage += np.bincount(positions, minlength=labels.size) / max(positions.size, 1)
        else:
            usage += np.nan_to_num(values).mean(axis=0)
    return usage


def _small_colorbar(image, top, height, bottom, ticks, label):
    """Draw a colour bar to the right of a strip, as high as the strip."""
    ax = image.axes
    bar_ax = ax.inset_axes([1.01, 1 - (top + height) / bottom, 0.012, height / bottom])
    bar = ax.figure.colorbar(image, cax=bar_ax, ticks=ticks)
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize="small", length=2)
    bar.ax.set_ylabel(label, rotation=0, ha="left", va="center")
