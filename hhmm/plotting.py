"""Displays: pictures of data, of a fitted model and of how the fit went.

They follow scikit-learn's convention. The constructor stores data, ``plot``
draws them and keeps what it drew as ``ax_`` and ``figure_``, and the
classmethods ``from_estimator`` and ``from_predictions`` compute the data and
plot. matplotlib is an extra, and is imported when something is drawn.

States are coloured with the palette of Okabe and Ito [1]_, which readers with
any kind of colour vision can tell apart, as long as it has enough colours.

References
----------
.. [1] Okabe, M. and Ito, K. (2008). Color universal design (CUD): how to make
   figures and presentations that are friendly to colorblind people.
   https://jfly.uni-koeln.de/color/
"""

import math
import operator

import numpy as np
from sklearn.utils.validation import check_is_fitted

from hhmm.metrics import match_states, matched_accuracy, matched_confusion_matrix, state_usage

__all__ = [
    "EmissionLossDisplay",
    "LogJointDisplay",
    "MatchedConfusionDisplay",
    "RasterDisplay",
    "StateTransitionDisplay",
    "SyllableTransitionDisplay",
]

_OKABE_ITO = (
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#56B4E9",  # sky blue
    "#D55E00",  # vermillion
    "#F0E442",  # yellow
    "#000000",  # black
)
_MISSING_COLOR = "0.85"
_POINTS_PER_INCH = 72
# Probabilities below this share one colour of a logarithmic scale.
_SMALLEST_COLORED = 1e-4


class StateTransitionDisplay:
    """Heat map of the state transition probabilities.

    Sticky models stay in a state with a probability near 1, so colours are on a
    logarithmic scale by default, and the numbers in the cells have as many
    decimals as the rarer transitions need: ``.987``, ``<.001``, ``>.999``.

    Parameters
    ----------
    trans_probs : array of shape (n_states, n_states)
        Transition probabilities A, from state (row) to state (column).

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The heat map.

    text_ : ndarray of shape (n_states, n_states) of matplotlib Text, or None
        The numbers in the cells; None if they are left out.

    ax_ : matplotlib Axes
        The axes that were drawn in.

    figure_ : matplotlib Figure
        The figure they belong to.

    Examples
    --------
    >>> from hhmm.plotting import StateTransitionDisplay
    >>> display = StateTransitionDisplay([[0.99, 0.01], [0.002, 0.998]]).plot()
    >>> [text.get_text() for text in display.text_.flat]
    ['.990', '.010', '.002', '.998']
    """

    def __init__(self, trans_probs):
        self.trans_probs = trans_probs

    @classmethod
    def from_estimator(
        cls, estimator, *, ax=None, cmap="viridis", color_scale="log", include_values=None
    ):
        """Plot ``estimator.trans_probs_``.

        Parameters
        ----------
        estimator : EfficientHHMM
            A fitted model.

        ax, cmap, color_scale, include_values
            See `plot`.

        Returns
        -------
        display : StateTransitionDisplay

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> from hhmm.datasets import make_hhmm
        >>> from hhmm.plotting import StateTransitionDisplay
        >>> data = make_hhmm(
        ...     n_sequences=4, n_timesteps=100, n_states=2, n_syllables=4, random_state=0
        ... )
        >>> model = EfficientHHMM(n_states=2, max_iter=4, n_draws=2, random_state=0).fit(data.X)
        >>> display = StateTransitionDisplay.from_estimator(model)
        >>> display.ax_.get_xlabel()
        'to state'
        """
        _check_has(estimator, "trans_probs_")
        return cls(estimator.trans_probs_).plot(
            ax, cmap=cmap, color_scale=color_scale, include_values=include_values
        )

    def plot(self, ax=None, *, cmap="viridis", color_scale="log", include_values=None):
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the probabilities.

        color_scale : {"log", "linear"}, default="log"
            Scale of the colours.

        include_values : bool, default=None
            Whether to write the numbers into the cells; if None, where there is
            room to read them.

        Returns
        -------
        self : StateTransitionDisplay
        """
        plt = _import_pyplot()
        trans_probs = _as_matrix(self.trans_probs, "trans_probs")
        n_states = len(trans_probs)
        side = min(12.0, max(2.4, 0.52 * n_states))
        self.figure_, self.ax_ = _figure_and_axes(plt, ax, (side + 1.7, side + 0.6))
        norm = _probability_norm(trans_probs, color_scale)
        self.image_ = self.ax_.imshow(trans_probs, cmap=cmap, norm=norm, interpolation="nearest")
        self.ax_.set(xlabel="to state", ylabel="from state")
        _label_cells(self.ax_, n_states)
        _probability_colorbar(self.image_, self.ax_, trans_probs.min())
        decimals = _informative_decimals(trans_probs)
        texts = [[_format_probability(p, decimals) for p in row] for row in trans_probs]
        self.text_ = _write_cells(self.image_, texts, include_values)
        return self


class SyllableTransitionDisplay:
    """Heat maps of the syllable transition probabilities, one panel a state.

    Parameters
    ----------
    syllable_trans_probs : array of shape (n_states, n_syllables, n_syllables)
        Probability in a state (first axis) of going from a syllable (second) to
        a syllable (third).

    Attributes
    ----------
    images_ : list of n_states matplotlib AxesImage
        The heat maps; they share one scale of colours.

    axes_ : ndarray of shape (n_states,) of matplotlib Axes
        The panels.

    ax_ : matplotlib Axes
        The first panel.

    figure_ : matplotlib Figure
        The figure they belong to.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.plotting import SyllableTransitionDisplay
    >>> display = SyllableTransitionDisplay(np.full((2, 4, 4), 0.25)).plot()
    >>> [ax.get_title() for ax in display.axes_]
    ['state 0', 'state 1']
    """

    def __init__(self, syllable_trans_probs):
        self.syllable_trans_probs = syllable_trans_probs

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, cmap="viridis", color_scale="log"):
        """Plot ``estimator.syllable_trans_probs_``.

        Parameters
        ----------
        estimator : EfficientHHMM
            A fitted model.

        ax, cmap, color_scale
            See `plot`.

        Returns
        -------
        display : SyllableTransitionDisplay

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> from hhmm.datasets import make_hhmm
        >>> from hhmm.plotting import SyllableTransitionDisplay
        >>> data = make_hhmm(
        ...     n_sequences=4, n_timesteps=100, n_states=2, n_syllables=4, random_state=0
        ... )
        >>> model = EfficientHHMM(n_states=2, max_iter=4, n_draws=2, random_state=0).fit(data.X)
        >>> display = SyllableTransitionDisplay.from_estimator(model)
        >>> len(display.axes_)
        2
        """
        _check_has(estimator, "syllable_trans_probs_")
        return cls(estimator.syllable_trans_probs_).plot(ax, cmap=cmap, color_scale=color_scale)

    def plot(self, ax=None, *, cmap="viridis", color_scale="log"):
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or array of n_states matplotlib Axes, default=None
            Where to draw; a single axes is divided into panels. A new figure if
            None.

        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the probabilities.

        color_scale : {"log", "linear"}, default="log"
            Scale of the colours.

        Returns
        -------
        self : SyllableTransitionDisplay
        """
        plt = _import_pyplot()
        probs = np.asarray(self.syllable_trans_probs, dtype=float)
        if probs.ndim != 3 or probs.shape[1] != probs.shape[2] or probs.size == 0:
            raise ValueError(
                "syllable_trans_probs must have shape (n_states, n_syllables, n_syllables), "
                f"got {probs.shape}"
            )
        n_states, n_syllables, _ = probs.shape
        n_rows = 1 if n_states <= 3 else max(2, round(math.sqrt(n_states / 2)))
        n_columns = -(-n_states // n_rows)
        self.figure_, self.axes_ = _figure_and_panels(
            plt, ax, n_states, n_rows, n_columns, panel_size=min(2.4, 1.7 + 0.007 * n_syllables)
        )
        self.ax_ = self.axes_[0]
        # Only panels that were arranged here are known to have a neighbour with the same axis.
        own_grid = not isinstance(ax, np.ndarray | list | tuple)

        panel_inches = self.ax_.get_window_extent().width / self.figure_.dpi
        label_size = "medium" if panel_inches > 1.2 else "x-small"
        norm = _probability_norm(probs, color_scale)
        self.images_ = []
        for state, panel in enumerate(self.axes_):
            image = panel.imshow(probs[state], cmap=cmap, norm=norm, interpolation="nearest")
            self.images_.append(image)
            panel.set_title(f"state {state}", fontsize="medium")
            _label_cells(panel, n_syllables, max_labels=6)
            panel.tick_params(labelsize=label_size)
            if own_grid and state + n_columns < n_states:
                panel.tick_params(labelbottom=False)
            else:
                panel.set_xlabel("to syllable", fontsize=label_size)
            if own_grid and state % n_columns > 0:
                panel.tick_params(labelleft=False)
            else:
                panel.set_ylabel("from syllable", fontsize=label_size)
        _probability_colorbar(self.images_[0], list(self.axes_), probs.min())
        return self


class RasterDisplay:
    """One recording over time: syllables, and below them states in rows of colour.

    Parameters
    ----------
    syllables : array of shape (n_timesteps,)
        Observed syllables; negative where missing.

    rows : list of (str, array) pairs, default=()
        What to draw below, from top to bottom: a label, and either states as
        integers (n_timesteps,), negative where there is none, or probabilities
        of states (n_timesteps, n_labels), columns in the order of
        `state_labels`, NaN for a label that has none. In the label of
        probabilities ``{}`` stands for the state, as in ``"p(state {})"``.

    n_syllables : int, default=None
        Number of syllables, for the colours; the largest one plus one if None.

    state_labels : array of shape (n_labels,), default=None
        The labels of the states, one colour each, increasing; 0 to the largest
        of `rows` if None.

    start : int, default=0
        Timestep of the first value.

    Attributes
    ----------
    images_ : list of matplotlib AxesImage
        The rows from top to bottom, syllables first. Data of a row of states are
        positions in `state_labels`, masked where there is no state.

    legend_ : matplotlib Legend or None
        The colours of the states; None without rows.

    ax_ : matplotlib Axes
        The axes that were drawn in.

    figure_ : matplotlib Figure
        The figure they belong to.

    Examples
    --------
    >>> from hhmm.plotting import RasterDisplay
    >>> rows = [("true", [0, 0, 1, 1]), ("Viterbi", [0, 1, 1, 1])]
    >>> display = RasterDisplay([2, 0, 1, 1], rows).plot()
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['syllable', 'true', 'Viterbi']
    """

    def __init__(self, syllables, rows=(), *, n_syllables=None, state_labels=None, start=0):
        self.syllables = syllables
        self.rows = rows
        self.n_syllables = n_syllables
        self.state_labels = state_labels
        self.start = start

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        index=0,
        y_true=None,
        kinds=("viterbi", "marginal", "sampled"),
        start=0,
        stop=None,
        random_state=None,
        ax=None,
        cmap="viridis",
    ):
        """Infer the states of one sequence and plot them below its syllables.

        Parameters
        ----------
        estimator : EfficientHHMM
            A fitted model.

        X : array of shape (n_sequences, n_timesteps) or list of arrays
            Syllables, in any form that the estimator takes.

        index : int, default=0
            Which sequence of `X` to plot.

        y_true : array of shape (n_sequences, n_timesteps) or list of arrays, default=None
            True states of all sequences of `X`; negative where unknown. Inferred
            states are relabelled to match them, over all sequences, so that the
            colours of one sequence are those of the next.

        kinds : sequence of {"viterbi", "marginal", "sampled"}, \
                default=("viterbi", "marginal", "sampled")
            What to infer, from top to bottom: the best path, the smoothed
            probability of every state, one draw of the path from the posterior.

        start, stop : int, default=0, None
            Timesteps to plot; inference uses the whole sequence. None is the end
            of the sequence, without padding.

        random_state : int, RandomState instance or None, default=None
            Seed of "sampled".

        ax, cmap
            See `plot`.

        Returns
        -------
        display : RasterDisplay

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> from hhmm.datasets import make_hhmm
        >>> from hhmm.plotting import RasterDisplay
        >>> data = make_hhmm(
        ...     n_sequences=4, n_timesteps=100, n_states=2, n_syllables=4, random_state=0
        ... )
        >>> model = EfficientHHMM(n_states=2, max_iter=4, n_draws=2, random_state=0).fit(data.X)
        >>> display = RasterDisplay.from_estimator(
        ...     model, data.X, index=1, y_true=data.states, kinds=["viterbi"], stop=50
        ... )
        >>> [label.get_text() for label in display.ax_.get_yticklabels()]
        ['syllable', 'true', 'Viterbi']
        """
        _check_has(estimator, "trans_probs_")
        _import_pyplot()
        for kind in kinds:
            if kind not in ("viterbi", "marginal", "sampled"):
                raise ValueError(
                    f"kinds must be among 'viterbi', 'marginal' and 'sampled', got {kind!r}"
                )
        sequence = _one_sequence(X, index, "X")
        syllables = _integers_of(sequence)
        observed = np.flatnonzero(syllables >= 0)
        if not observed.size:
            raise ValueError(f"X must have an observed timestep in sequence {index}, got none")
        n_timesteps = int(observed[-1]) + 1
        stop = n_timesteps if stop is None else min(stop, n_timesteps)
        if not 0 <= start < stop:
            raise ValueError(
                f"start and stop must be timesteps with 0 <= start < stop, got {start} and {stop} "
                f"in sequence {index}, which has {n_timesteps} timesteps"
            )
        shown = slice(start, stop)

        n_states = len(estimator.trans_probs_)
        mapping = np.arange(n_states)
        labels = mapping
        rows = []
        predicted = None
        if y_true is not None:
            predicted = estimator.predict(X)
            mapping = _one_to_one(match_states(y_true, predicted), n_states)
            labels = np.union1d(mapping, np.flatnonzero(state_usage(y_true)))
            true = _integers_of(_one_sequence(y_true, index, "y_true"))
            known = np.full(n_timesteps, -1)
            known[: true.size] = true[:n_timesteps]
            rows.append(("true", known[shown]))
        for kind in kinds:
            if kind == "marginal":
                marginals = np.asarray(estimator.predict_proba(sequence)[0], dtype=float)[shown]
                values = np.full((len(marginals), labels.size), np.nan)
                values[:, np.searchsorted(labels, mapping)] = marginals
                rows.append(("p(state {})", values))
                continue
            if kind == "sampled":
                states = estimator.sample_states(sequence, random_state=random_state)[0]
            elif predicted is None:
                states = estimator.predict(sequence)[0]
            else:
                states = predicted[index]
            name = {"viterbi": "Viterbi", "sampled": "sampled"}[kind]
            rows.append((name, mapping[np.asarray(states)[shown]]))

        display = cls(
            syllables[shown],
            rows,
            n_syllables=estimator.n_syllables_,
            state_labels=labels,
            start=start,
        )
        return display.plot(ax, cmap=cmap)

    def plot(self, ax=None, *, cmap="viridis"):
        """Draw the rows.

        States and syllables are drawn without mixing colours: where there are
        more timesteps than pixels, some are not seen.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the syllables.

        Returns
        -------
        self : RasterDisplay
        """
        plt = _import_pyplot()
        from matplotlib.colors import ListedColormap

        syllables = np.asarray(self.syllables)
        rows = self._checked_rows(syllables)
        labels = self._labels(rows)
        n_syllables = self.n_syllables
        if n_syllables is None:
            n_syllables = max(int(syllables.max(initial=0)) + 1, 1)

        heights = [1.0] + [1.0 if v.ndim == 1 else max(1.0, 0.55 * labels.size) for _, v in rows]
        inches_per_height = min(0.4, 9.0 / sum(heights))
        figure_height = 1.3 + inches_per_height * sum(heights) + 0.12 * len(heights)
        self.figure_, self.ax_ = _figure_and_axes(plt, ax, (10.0, figure_height))
        tops = np.cumsum([0.0, *(height + 0.3 for height in heights[:-1])])
        bottom = tops[-1] + heights[-1]
        label_every = _label_step(self.ax_, bottom, heights, labels.size)

        colors = _state_colors(plt, labels.size)
        state_cmap = ListedColormap(colors).with_extremes(bad=_MISSING_COLOR)
        probability_cmap = plt.get_cmap("Greys").with_extremes(bad=_MISSING_COLOR)
        syllable_cmap = plt.get_cmap(cmap).resampled(n_syllables)
        syllable_cmap = syllable_cmap.with_extremes(bad=_MISSING_COLOR)

        data = np.ma.masked_less(syllables, 0)[np.newaxis]
        limits = (-0.5, n_syllables - 0.5)
        self.images_ = [self._strip(data, tops[0], heights[0], syllable_cmap, limits)]
        _small_colorbar(
            self.images_[0], tops[0], heights[0], bottom, sorted({0, n_syllables - 1}), "syllable"
        )
        ticks, tick_labels = [tops[0] + heights[0] / 2], ["syllable"]
        for (name, values), top, height in zip(rows, tops[1:], heights[1:], strict=True):
            if values.ndim == 1:
                positions = np.ma.masked_array(np.searchsorted(labels, values), values < 0)
                limits = (-0.5, labels.size - 0.5)
                image = self._strip(positions[np.newaxis], top, height, state_cmap, limits)
                ticks.append(top + height / 2)
                tick_labels.append(name)
            else:
                data = np.ma.masked_invalid(values.T)
                image = self._strip(data, top, height, probability_cmap, (0.0, 1.0))
                for j in range(0, labels.size, label_every):
                    ticks.append(top + height * (j + 0.5) / labels.size)
                    tick_labels.append(name.replace("{}", str(labels[j])))
                _small_colorbar(image, top, height, bottom, [0, 1], "probability")
            self.images_.append(image)

        self.ax_.set(
            xlim=(self.start - 0.5, self.start + syllables.size - 0.5),
            ylim=(bottom, 0.0),
            xlabel="timestep",
        )
        self.ax_.set_yticks(ticks, tick_labels)
        self.ax_.tick_params(axis="y", length=0)
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.ax_.spines[:].set_visible(False)
        self.ax_.spines["bottom"].set_visible(True)
        self.legend_ = _state_legend(self.ax_, labels, colors) if rows else None
        return self

    def _strip(self, data, top, height, cmap, limits):
        """Draw `data` (n_rows, n_timesteps) as a strip with a thin frame."""
        left, right = self.start - 0.5, self.start + data.shape[1] - 0.5
        image = self.ax_.imshow(
            data,
            cmap=cmap,
            vmin=limits[0],
            vmax=limits[1],
            extent=(left, right, top + height, top),
            aspect="auto",
            interpolation="nearest",
        )
        frame_x, frame_y = [left, right, right, left, left], [top, top, *[top + height] * 2, top]
        self.ax_.plot(frame_x, frame_y, color="0.5", linewidth=0.8, clip_on=False)
        return image

    def _checked_rows(self, syllables):
        """The rows as arrays, of as many timesteps as there are syllables."""
        if syllables.ndim != 1 or syllables.size == 0:
            raise ValueError(
                f"syllables must be a 1-D array of at least one timestep, got shape "
                f"{syllables.shape}"
            )
        rows = [(name, np.asarray(values)) for name, values in self.rows]
        for name, values in rows:
            if values.ndim not in (1, 2) or len(values) != syllables.size:
                raise ValueError(
                    f"rows must have the {syllables.size} timesteps of syllables, got {name!r} "
                    f"of shape {values.shape}"
                )
        return rows

    def _labels(self, rows):
        """The labels of the states, increasing, (n_labels,)."""
        if self.state_labels is None:
            n_labels = [
                int(values.max(initial=0)) + 1 if values.ndim == 1 else values.shape[1]
                for _, values in rows
            ]
            return np.arange(max(n_labels, default=1))
        labels = np.asarray(self.state_labels)
        for name, values in rows:
            if values.ndim == 2 and values.shape[1] != labels.size:
                raise ValueError(
                    f"rows must have a column for each of the {labels.size} state_labels, got "
                    f"{name!r} of shape {values.shape}"
                )
            if values.ndim == 1:
                unknown = np.setdiff1d(values[values >= 0], labels)
                if unknown.size:
                    raise ValueError(
                        f"rows must hold states of state_labels, got {unknown[0]} in {name!r}"
                    )
        return labels


class LogJointDisplay:
    """Trace of the log joint probability over the sweeps of a fit.

    The first sweeps of a fit rise by far more than the later ones vary. Where
    that would flatten the rest, the axis shows the second half of the fit in
    full and what of the rise fits below it; how many sweeps lie below, and how
    far down, is written under the axis.

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

    ax_ : matplotlib Axes
        The axes that were drawn in.

    figure_ : matplotlib Figure
        The figure they belong to.

    Examples
    --------
    >>> from hhmm.plotting import LogJointDisplay
    >>> display = LogJointDisplay([[-900.0, -500.0, -490.0], [-800.0, -510.0, -495.0]])
    >>> display = display.plot(reference=-480.0, reference_label="true parameters")
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['chain 0', 'chain 1', 'true parameters']
    """

    def __init__(self, log_joint):
        self.log_joint = log_joint

    @classmethod
    def from_estimator(
        cls, estimator, *, reference=None, reference_label="reference", ax=None, clip_rise=True
    ):
        """Plot ``estimator.log_joint_``.

        Parameters
        ----------
        estimator : EfficientHHMM
            A fitted model.

        reference, reference_label, ax, clip_rise
            See `plot`.

        Returns
        -------
        display : LogJointDisplay

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> from hhmm.datasets import make_hhmm
        >>> from hhmm.plotting import LogJointDisplay
        >>> data = make_hhmm(
        ...     n_sequences=4, n_timesteps=100, n_states=2, n_syllables=4, random_state=0
        ... )
        >>> model = EfficientHHMM(n_states=2, max_iter=4, n_draws=2, random_state=0).fit(data.X)
        >>> display = LogJointDisplay.from_estimator(model)
        >>> display.ax_.get_ylabel()
        'log joint probability (nats)'
        """
        _check_has(estimator, "log_joint_")
        return cls(estimator.log_joint_).plot(
            ax, reference=reference, reference_label=reference_label, clip_rise=clip_rise
        )

    def plot(self, ax=None, *, reference=None, reference_label="reference", clip_rise=True):
        """Draw the traces.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        reference : float, default=None
            Where to draw a horizontal line, nats: for example the log joint
            probability of the parameters that simulated the data.

        reference_label : str, default="reference"
            Its name in the legend, for example "true parameters".

        clip_rise : bool, default=True
            Whether the axis may leave out the lower part of the first rise.

        Returns
        -------
        self : LogJointDisplay
        """
        plt = _import_pyplot()
        log_joint = np.atleast_2d(np.asarray(self.log_joint, dtype=float))
        if log_joint.ndim != 2 or not np.isfinite(log_joint).any():
            raise ValueError(
                "log_joint must have shape (n_chains, n_iter) and a finite value, got shape "
                f"{log_joint.shape} and {int(np.isfinite(log_joint).sum())} finite values"
            )
        self.figure_, self.ax_ = _figure_and_axes(plt, ax, (6.4, 4.0))
        n_chains, n_iter = log_joint.shape
        sweeps = np.arange(1, n_iter + 1)
        named = 1 < n_chains <= len(_OKABE_ITO)
        self.lines_ = []
        for chain, trace in enumerate(log_joint):
            (line,) = self.ax_.plot(
                sweeps,
                trace,
                color=_OKABE_ITO[chain if named else 0],
                alpha=1.0 if n_chains <= len(_OKABE_ITO) else 0.4,
                linewidth=1.2,
                marker="o" if n_iter <= 30 else None,
                markersize=4,
            )
            self.lines_.append(line)
        if named:
            for chain, line in enumerate(self.lines_):
                line.set_label(f"chain {chain}")
        elif n_chains > 1:
            self.lines_[0].set_label(f"{n_chains} chains")
        self.reference_line_ = None
        if reference is not None:
            self.reference_line_ = self.ax_.axhline(
                reference, color="0.25", linestyle="--", linewidth=1.2, label=reference_label
            )

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
            _legend_above(self.ax_)
        return self


class EmissionLossDisplay:
    """How the last solve for the emission parameters converged.

    What is drawn is the loss in excess of the smallest loss, on a logarithmic
    axis where the excess varies by more than a factor of ten. The smallest loss
    itself, which such an axis cannot show, is drawn as an open circle at its
    lower end.

    Parameters
    ----------
    losses : array of shape (n_iter,)
        Negative log posterior of the emission parameters after each iteration,
        nats.

    Attributes
    ----------
    line_ : matplotlib Line2D
        Iteration against excess loss, NaN where that is zero on a logarithmic
        axis.

    minimum_line_ : matplotlib Line2D or None
        The open circles on a logarithmic axis.

    ax_ : matplotlib Axes
        The axes that were drawn in.

    figure_ : matplotlib Figure
        The figure they belong to.

    Examples
    --------
    >>> from hhmm.plotting import EmissionLossDisplay
    >>> display = EmissionLossDisplay([1200.0, 1010.0, 1000.5, 1000.0]).plot()
    >>> display.line_.get_ydata()
    array([200. ,  10. ,   0.5,   nan])
    """

    def __init__(self, losses):
        self.losses = losses

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Plot ``estimator.emission_losses_``.

        Parameters
        ----------
        estimator : EfficientHHMM
            A fitted model.

        ax
            See `plot`.

        Returns
        -------
        display : EmissionLossDisplay

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> from hhmm.datasets import make_hhmm
        >>> from hhmm.plotting import EmissionLossDisplay
        >>> data = make_hhmm(
        ...     n_sequences=4, n_timesteps=100, n_states=2, n_syllables=4, random_state=0
        ... )
        >>> model = EfficientHHMM(n_states=2, max_iter=4, n_draws=2, random_state=0).fit(data.X)
        >>> display = EmissionLossDisplay.from_estimator(model)
        >>> display.ax_.get_ylabel()
        'loss - smallest loss (nats)'
        """
        _check_has(estimator, "emission_losses_")
        return cls(estimator.emission_losses_).plot(ax)

    def plot(self, ax=None):
        """Draw the excess loss.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        self : EmissionLossDisplay
        """
        plt = _import_pyplot()
        losses = np.asarray(self.losses, dtype=float)
        if losses.ndim != 1 or not np.isfinite(losses).any():
            raise ValueError(
                "losses must be a 1-D array with a finite value, got shape "
                f"{losses.shape} and {int(np.isfinite(losses).sum())} finite values"
            )
        self.figure_, self.ax_ = _figure_and_axes(plt, ax, (6.4, 4.0))
        losses = np.where(np.isfinite(losses), losses, np.nan)
        iterations = np.arange(1, losses.size + 1)
        smallest = np.nanmin(losses)
        excess = losses - smallest
        # Differences of a few units in the last place are rounding, not progress.
        excess[excess <= 8 * np.finfo(float).eps * abs(smallest)] = 0.0
        positive = excess[excess > 0]
        logarithmic = positive.size > 0 and (positive.size < 3 or np.ptp(np.log10(positive)) > 1)

        self.minimum_line_ = None
        few = losses.size <= 30
        style = {"color": _OKABE_ITO[0], "marker": "o" if few else None, "markersize": 5}
        drawn = np.where(excess > 0, excess, np.nan) if logarithmic else excess
        (self.line_,) = self.ax_.plot(iterations, drawn, **style)
        if logarithmic:
            self.ax_.set_yscale("log")
            floor = 10 ** (math.floor(np.log10(positive.min())) - 0.5)
            at_minimum = iterations[excess == 0]
            (self.minimum_line_,) = self.ax_.plot(
                at_minimum,
                np.full(at_minimum.size, floor),
                color=_OKABE_ITO[0],
                linestyle="none",
                marker="o",
                markerfacecolor="white",
                clip_on=False,
                label="smallest loss (excess 0)",
            )
            self.ax_.set_ylim(floor, 10 ** math.ceil(np.log10(positive.max()) + 0.05))
            _legend_above(self.ax_)
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


class MatchedConfusionDisplay:
    """Confusion matrix of states after the best one-to-one relabelling.

    Parameters
    ----------
    confusion_matrix : array of shape (n_labels, n_labels)
        Fraction of the time in a true state (row) that was inferred to be in a
        state (column). A row of zeros is a state that never occurs.

    accuracy : float, default=None
        Fraction of all timesteps that agree, for the title.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The heat map; rows of states that never occur are masked.

    text_ : ndarray of shape (n_labels, n_labels) of matplotlib Text, or None
        The numbers in the cells; None if they are left out.

    ax_ : matplotlib Axes
        The axes that were drawn in.

    figure_ : matplotlib Figure
        The figure they belong to.

    See Also
    --------
    hhmm.metrics.matched_confusion_matrix : The matrix as numbers.

    Examples
    --------
    >>> from hhmm.plotting import MatchedConfusionDisplay
    >>> display = MatchedConfusionDisplay([[0.9, 0.1], [0.0, 1.0]], accuracy=0.95).plot()
    >>> [text.get_text() for text in display.text_.flat]
    ['.90', '.10', '0', '1']
    """

    def __init__(self, confusion_matrix, *, accuracy=None):
        self.confusion_matrix = confusion_matrix
        self.accuracy = accuracy

    @classmethod
    def from_estimator(cls, estimator, X, y_true, *, ax=None, cmap="viridis", include_values=None):
        """Compare ``estimator.predict(X)`` with the true states and plot.

        Parameters
        ----------
        estimator : EfficientHHMM
            A fitted model.

        X : array of shape (n_sequences, n_timesteps) or list of arrays
            Syllables, in any form that the estimator takes.

        y_true : array of shape (n_sequences, n_timesteps) or list of arrays
            True states of `X`; negative where unknown.

        ax, cmap, include_values
            See `plot`.

        Returns
        -------
        display : MatchedConfusionDisplay

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> from hhmm.datasets import make_hhmm
        >>> from hhmm.plotting import MatchedConfusionDisplay
        >>> data = make_hhmm(
        ...     n_sequences=4, n_timesteps=100, n_states=2, n_syllables=4, random_state=0
        ... )
        >>> model = EfficientHHMM(n_states=2, max_iter=4, n_draws=2, random_state=0).fit(data.X)
        >>> display = MatchedConfusionDisplay.from_estimator(model, data.X, data.states)
        >>> display.ax_.get_ylabel()
        'true state'
        """
        _check_has(estimator, "trans_probs_")
        _import_pyplot()
        return cls.from_predictions(
            y_true, estimator.predict(X), ax=ax, cmap=cmap, include_values=include_values
        )

    @classmethod
    def from_predictions(cls, y_true, y_pred, *, ax=None, cmap="viridis", include_values=None):
        """Match the predicted states to the true ones and plot.

        Parameters
        ----------
        y_true, y_pred : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
                or list of arrays of shape (n_timesteps_i,)
            States; timesteps that are negative in either are ignored.

        ax, cmap, include_values
            See `plot`.

        Returns
        -------
        display : MatchedConfusionDisplay

        Examples
        --------
        >>> from hhmm.plotting import MatchedConfusionDisplay
        >>> display = MatchedConfusionDisplay.from_predictions([0, 0, 1, 1], [1, 1, 0, 1])
        >>> display.ax_.get_title()
        'matched accuracy 0.750'
        """
        confusion_matrix = matched_confusion_matrix(y_true, y_pred, normalize="true")
        display = cls(confusion_matrix, accuracy=matched_accuracy(y_true, y_pred))
        return display.plot(ax, cmap=cmap, include_values=include_values)

    def plot(self, ax=None, *, cmap="viridis", include_values=None):
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the fractions.

        include_values : bool, default=None
            Whether to write the numbers into the cells; if None, where there is
            room to read them.

        Returns
        -------
        self : MatchedConfusionDisplay
        """
        plt = _import_pyplot()
        confusion = _as_matrix(self.confusion_matrix, "confusion_matrix")
        n_labels = len(confusion)
        side = min(12.0, max(2.4, 0.48 * n_labels))
        self.figure_, self.ax_ = _figure_and_axes(plt, ax, (side + 1.7, side + 0.8))
        occurs = confusion.any(axis=1)
        self.image_ = self.ax_.imshow(
            np.ma.masked_array(confusion, np.tile(~occurs, (n_labels, 1)).T),
            cmap=plt.get_cmap(cmap).with_extremes(bad=_MISSING_COLOR),
            vmin=0.0,
            vmax=1.0,
            interpolation="nearest",
        )
        self.ax_.set(xlabel="inferred state, matched", ylabel="true state")
        if self.accuracy is not None:
            self.ax_.set_title(f"matched accuracy {self.accuracy:.3f}")
        _label_cells(self.ax_, n_labels)
        self.figure_.colorbar(self.image_, ax=self.ax_, label="fraction of true state", aspect=25)
        texts = [
            [_format_probability(fraction, 2) if occurs[i] else "" for fraction in row]
            for i, row in enumerate(confusion)
        ]
        self.text_ = _write_cells(self.image_, texts, include_values)
        return self


def _check_has(estimator, attribute):
    """Raise NotFittedError if `attribute` is missing, which a model built without fit may lack."""
    message = f"this %(name)s has no {attribute}: call 'fit' before plotting it"
    check_is_fitted(estimator, attribute, msg=message)


def _import_pyplot():
    """matplotlib.pyplot, or an error that says how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'hhmm.plotting needs matplotlib, which comes with: pip install "hhmm[demo]"'
        ) from error
    return plt


def _figure_and_axes(plt, ax, size):
    """The figure of `ax`, and `ax`; new ones of `size` (width, height) in inches if None."""
    if ax is None:
        return plt.subplots(figsize=size, layout="constrained")
    return ax.figure, ax


def _figure_and_panels(plt, ax, n_panels, n_rows, n_columns, panel_size):
    """A figure and an array of `n_panels` axes in it, see `SyllableTransitionDisplay.plot`."""
    if isinstance(ax, np.ndarray | list | tuple):
        panels = np.asarray(ax, dtype=object).ravel()
        if panels.size != n_panels:
            raise ValueError(
                f"ax must be one axes, or one for each of {n_panels} states, got {panels.size}"
            )
        return panels[0].figure, panels
    if ax is None:
        size = (panel_size * n_columns + 1.6, (panel_size + 0.3) * n_rows + 0.6)
        figure = plt.figure(figsize=size, layout="constrained")
        grid = figure.add_gridspec(n_rows, n_columns)
    else:
        figure = ax.figure
        ax.set_axis_off()
        if ax.get_subplotspec() is None:
            box = ax.get_position()
            grid = figure.add_gridspec(
                n_rows, n_columns, left=box.x0, right=box.x1, bottom=box.y0, top=box.y1
            )
        else:
            grid = ax.get_subplotspec().subgridspec(n_rows, n_columns)
    panels = np.empty(n_panels, dtype=object)
    for i in range(n_panels):
        panels[i] = figure.add_subplot(grid[i // n_columns, i % n_columns])
    return figure, panels


def _as_matrix(values, name):
    matrix = np.asarray(values, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"{name} must be a square matrix, got shape {matrix.shape}")
    return matrix


def _probability_norm(probs, color_scale):
    """The matplotlib norm from probabilities to colours."""
    from matplotlib.colors import LogNorm, Normalize

    largest = float(probs.max())
    if color_scale == "linear":
        return Normalize(0.0, largest)
    if color_scale != "log":
        raise ValueError(f"color_scale must be 'log' or 'linear', got {color_scale!r}")
    smallest = float(probs[probs > 0].min())
    smallest = max(_SMALLEST_COLORED, 10.0 ** math.floor(math.log10(smallest)))
    return LogNorm(min(smallest, largest / 10), largest, clip=True)


def _probability_colorbar(image, ax, smallest):
    """A colour bar beside `ax`, pointed where probabilities go on below its end."""
    first = ax[0] if isinstance(ax, list) else ax
    extend = "min" if smallest < image.norm.vmin else "neither"
    first.figure.colorbar(image, ax=ax, extend=extend, label="transition probability", aspect=25)


def _small_colorbar(image, top, height, bottom, ticks, label):
    """A colour bar to the right of a strip of a `RasterDisplay`, as high as the strip."""
    ax = image.axes
    bar_ax = ax.inset_axes([1.01, 1 - (top + height) / bottom, 0.012, height / bottom])
    bar = ax.figure.colorbar(image, cax=bar_ax, ticks=ticks)
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize="small", length=2)
    bar.ax.set_ylabel(label, rotation=0, ha="left", va="center")


def _label_cells(ax, n_cells, max_labels=25):
    """Number the rows and columns of a heat map, in round steps if there are many."""
    rough = n_cells / max_labels
    decade = 10 ** max(0, math.floor(math.log10(rough)))
    step = next(decade * s for s in (1, 2, 5, 10) if decade * s >= rough)
    ticks = np.arange(0, n_cells, step)
    ax.set_xticks(ticks, ticks)
    ax.set_yticks(ticks, ticks)


def _write_cells(image, texts, include_values):
    """Write `texts` (n_rows, n_columns) into the cells of a heat map; None if they do not fit."""
    ax = image.axes
    n_rows, n_columns = image.get_array().shape
    # The layout may yet shrink the axes, by about a tenth.
    box = ax.get_window_extent()
    cell = 0.9 * min(box.width / n_columns, box.height / n_rows)
    cell *= _POINTS_PER_INCH / ax.figure.dpi
    n_characters = max(len(text) for row in texts for text in row)
    font_size = min(10.0, 0.5 * cell, 0.9 * cell / (0.62 * n_characters))
    if include_values is None:
        include_values = font_size >= 5.0
    if not include_values:
        return None

    # Relative luminance of sRGB colours; black and white contrast equally with 0.179.
    colors = image.to_rgba(image.get_array())[..., :3]
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    written = np.empty((n_rows, n_columns), dtype=object)
    for i, j in np.ndindex(n_rows, n_columns):
        color = "black" if luminance[i, j] > 0.179 else "white"
        written[i, j] = ax.text(
            j, i, texts[i][j], ha="center", va="center", color=color, fontsize=max(font_size, 4.0)
        )
    return written


def _informative_decimals(trans_probs):
    """How many decimals show the typical transition to another state, 2 to 4."""
    others = trans_probs[~np.eye(len(trans_probs), dtype=bool)]
    others = others[others > 0]
    if not others.size:
        return 2
    return min(4, max(2, math.ceil(-math.log10(np.median(others)))))


def _format_probability(probability, decimals):
    """A probability in few characters: 0, <.01, .50, >.99, 1."""
    if probability in (0.0, 1.0):
        return f"{probability:.0f}"
    rounded = f"{probability:.{decimals}f}"
    if float(rounded) == 0.0:
        return "<." + "0" * (decimals - 1) + "1"
    if float(rounded) >= 1.0:
        return ">." + "9" * decimals
    return rounded.lstrip("0")


def _format_nats(value, decimals):
    return f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def _integer_x_axis(ax, n_points):
    """Ticks at whole numbers, for points at 1 to `n_points`."""
    margin = max(0.5, 0.02 * n_points)
    ax.set_xlim(1 - margin, n_points + margin)
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def _legend_above(ax, handles=None):
    """A legend over the axes, where it hides nothing, in as many columns as there is room for."""
    if handles is None:
        handles, _ = ax.get_legend_handles_labels()
    width = ax.get_window_extent().width / ax.figure.dpi
    entries = [0.45 + 0.075 * len(handle.get_label()) for handle in handles]
    for n_rows in range(1, len(entries) + 1):
        n_columns = -(-len(entries) // n_rows)
        if sum(column.max() for column in np.array_split(entries, n_columns)) <= width:
            break
    return ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.3,
        ncols=n_columns,
        columnspacing=1.2,
        handlelength=1.2,
        frameon=False,
    )


def _plateau_limits(log_joint, reference, clip_rise):
    """Limits of the y axis, and which values (n_chains, n_iter) lie below them."""
    finite = np.where(np.isfinite(log_joint), log_joint, np.nan)
    plateau = finite[:, finite.shape[1] // 2 :]
    if not np.isfinite(plateau).any():
        plateau = finite
    shown = [np.nanmin(plateau), np.nanmax(finite)]
    if reference is not None:
        shown.append(reference)
    low, high = min(shown), max(shown)
    # Below one nat, differences of the log joint mean nothing.
    span = max(high - low, 1.0)
    lowest = np.nanmin(finite)
    if not clip_rise or lowest >= low - 3 * span:
        low = min(low, lowest)
        margin = max(0.05 * (high - low), 0.5)
        return (low - margin, high + margin), np.zeros(log_joint.shape, dtype=bool)
    limits = (low - 0.5 * span, high + 0.08 * span)
    return limits, log_joint < limits[0]


def _label_step(ax, bottom, heights, n_labels):
    """Every how many rows of a heat map of states there is room for a label."""
    inches = ax.get_window_extent().height / ax.figure.dpi
    row_inches = inches * max(heights) / bottom / n_labels
    return max(1, math.ceil(0.17 / row_inches))


def _state_colors(plt, n_colors):
    """As many colours as there are states, as different as can be had."""
    if n_colors <= len(_OKABE_ITO):
        return list(_OKABE_ITO[:n_colors])
    if n_colors <= 20:
        pairs = plt.get_cmap("tab20").colors
        return [*pairs[::2], *pairs[1::2]][:n_colors]
    return list(plt.get_cmap("turbo")(np.linspace(0.0, 1.0, n_colors)))


def _state_legend(ax, labels, colors):
    from matplotlib.patches import Patch

    patches = [
        Patch(color=color, label=f"state {label}")
        for label, color in zip(labels, colors, strict=True)
    ]
    return _legend_above(ax, patches)


def _one_sequence(values, index, name):
    """A collection of the same form as `values`, with sequence `index` only."""
    index = operator.index(index)
    if not 0 <= index < len(values):
        raise ValueError(f"index must be from 0 to {len(values) - 1} in {name}, got {index}")
    if hasattr(values, "iloc"):
        return values.iloc[[index]]
    if hasattr(values, "shape"):
        return values[index : index + 1]
    return [values[index]]


def _integers_of(collection):
    """The only sequence of `collection` as integers (n_timesteps,), -1 where missing."""
    sequence = collection.iloc[0] if hasattr(collection, "iloc") else collection[0]
    sequence = np.ma.masked_invalid(np.ma.asarray(sequence).astype(float))
    return sequence.filled(-1).astype(np.int64)


def _one_to_one(mapping, n_states):
    """`mapping` of the first states, continued to `n_states` with labels not in use."""
    free = np.setdiff1d(np.arange(n_states + mapping.size), mapping)
    return np.append(mapping, free[: n_states - mapping.size])
