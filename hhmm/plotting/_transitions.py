"""Displays of transition probabilities: of the states, and of the syllables in each state."""

import math

import numpy as np

from hhmm._sequences.read import find_unused
from hhmm._validation import check_flag, check_option, to_array
from hhmm.plotting._figures import (
    UNUSED_COLOR,
    check_axes,
    check_has,
    colormap,
    figure_and_axes,
    gray_ticks,
    import_pyplot,
)
from hhmm.plotting._heat_maps import (
    as_matrix,
    check_include_values,
    check_probabilities,
    format_probability,
    label_cells,
    write_cells,
)
from hhmm.plotting._states import check_few_states, check_usage, usage_of

NO_TRANSITION_COLOR = "0.85"  # of the diagonal where a syllable is held instead
# Probabilities below this share one colour of a logarithmic scale.
SMALLEST_COLORED = 1e-4


class StateTransitionDisplay:
    """Heat map of the state transition probabilities.

    Sticky models stay in a state with a probability near 1, so colours are on a
    logarithmic scale by default, and the numbers in the cells have as many
    decimals as the rarer transitions need: ``.987``, ``<.001``, ``>.999``.

    Parameters
    ----------
    trans_probs : array of shape (n_states, n_states)
        Transition probabilities A, from state (row) to state (column).

    usage : array of shape (n_states,), default=None
        Fraction of time in each state; equal if None. The numbers of states that take less than
        1% are grey.

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

    def __init__(self, trans_probs, *, usage=None):
        self.trans_probs = trans_probs
        self.usage = usage

    @classmethod
    def from_estimator(
        cls, estimator, *, ax=None, cmap="viridis", color_scale="log", include_values=None
    ):
        """Plot ``estimator.trans_probs_``.

        The time in each state is that of ``estimator.states_``; for a model made from parameters,
        which has none, what the transition probabilities lead to in the long run.

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
        check_has(estimator, "trans_probs_")
        return cls(estimator.trans_probs_, usage=usage_of(estimator)).plot(
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
        plt = import_pyplot()
        trans_probs = as_matrix(self.trans_probs, "trans_probs")
        check_probabilities(trans_probs, "trans_probs")
        check_option(color_scale, "color_scale", ("log", "linear"))
        check_include_values(include_values)
        cmap = colormap(plt, cmap)
        n_states = len(trans_probs)
        usage = check_usage(self.usage, n_states)
        side = min(12.0, max(2.4, 0.52 * n_states))
        self.figure_, self.ax_ = figure_and_axes(plt, ax, (side + 1.7, side + 0.6))
        norm = _probability_norm(trans_probs, color_scale)
        self.image_ = self.ax_.imshow(trans_probs, cmap=cmap, norm=norm, interpolation="nearest")
        self.ax_.set(xlabel="to state", ylabel="from state")
        label_cells(self.ax_, n_states)
        gray_ticks(self.ax_.xaxis, usage)
        gray_ticks(self.ax_.yaxis, usage)
        _probability_colorbar(self.image_, self.ax_, trans_probs.min())
        decimals = _informative_decimals(trans_probs)
        texts = [[format_probability(p, decimals) for p in row] for row in trans_probs]
        self.text_ = write_cells(self.image_, texts, include_values)
        return self


class SyllableTransitionDisplay:
    """Heat maps of the syllable transition probabilities, one panel a state.

    With ``plot(differences=True)``, panels show what a state changes in the order of syllables:
    its probabilities less their mean over states, weighted by the time in each state. The
    diagonal is grey where no syllable can follow itself, as in models without self-transitions.

    Parameters
    ----------
    syllable_trans_probs : array of shape (n_states, n_syllables, n_syllables)
        Probability in a state (first axis) of going from a syllable (second) to
        a syllable (third).

    usage : array of shape (n_states,), default=None
        Fraction of time in each state; equal if None. The titles of states that take less than 1%
        are grey.

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

    def __init__(self, syllable_trans_probs, *, usage=None):
        self.syllable_trans_probs = syllable_trans_probs
        self.usage = usage

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, cmap=None, color_scale="log", differences=False):
        """Plot ``estimator.syllable_trans_probs_``.

        The time in each state is that of ``estimator.states_``; for a model made from parameters,
        which has none, what the transition probabilities lead to in the long run.

        Parameters
        ----------
        estimator : EfficientHHMM
            A fitted model.

        ax, cmap, color_scale, differences
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
        check_has(estimator, "syllable_trans_probs_")
        return cls(estimator.syllable_trans_probs_, usage=usage_of(estimator)).plot(
            ax, cmap=cmap, color_scale=color_scale, differences=differences
        )

    def plot(self, ax=None, *, cmap=None, color_scale="log", differences=False):
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes or array of n_states matplotlib Axes, default=None
            Where to draw; a single axes is divided into panels. A new figure if
            None.

        cmap : str or matplotlib Colormap, default=None
            Colours; "viridis" of probabilities and "RdBu_r" of differences if None.

        color_scale : {"log", "linear"}, default="log"
            Scale of the colours of probabilities. That of differences is always linear.

        differences : bool, default=False
            Whether to show the probabilities of each state less their mean over states, weighted
            by `usage`.

        Returns
        -------
        self : SyllableTransitionDisplay
        """
        plt = import_pyplot()
        probs = to_array(
            self.syllable_trans_probs, "syllable_trans_probs must be an array of numbers", float
        )
        if probs.ndim != 3 or probs.shape[1] != probs.shape[2] or probs.size == 0:
            raise ValueError(
                "syllable_trans_probs must have shape (n_states, n_syllables, n_syllables), "
                f"got {probs.shape}"
            )
        check_probabilities(probs, "syllable_trans_probs")
        check_option(color_scale, "color_scale", ("log", "linear"))
        check_flag(differences, "differences")
        n_states, n_syllables, _ = probs.shape
        check_few_states(n_states)
        usage = check_usage(self.usage, n_states)
        if cmap is None:
            cmap = "RdBu_r" if differences else "viridis"
        cmap = colormap(plt, cmap)
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
        if differences:
            shown = probs - np.tensordot(usage / usage.sum(), probs, 1)
            norm = _difference_norm(shown)
        else:
            shown, norm = probs, _probability_norm(probs, color_scale)
        unused = find_unused(usage)
        diagonal = np.eye(n_syllables, dtype=bool)
        if n_syllables > 1 and not probs[:, diagonal].any():  # syllables are held
            shown = np.ma.masked_array(shown, np.broadcast_to(diagonal, shown.shape))
            cmap = cmap.with_extremes(bad=NO_TRANSITION_COLOR)
        self.images_ = []
        for state, panel in enumerate(self.axes_):
            image = panel.imshow(shown[state], cmap=cmap, norm=norm, interpolation="nearest")
            self.images_.append(image)
            color = {"color": UNUSED_COLOR} if unused[state] else {}
            panel.set_title(f"state {state}", fontsize="medium", **color)
            label_cells(panel, n_syllables, max_labels=6)
            panel.tick_params(labelsize=label_size)
            if own_grid and state + n_columns < n_states:
                panel.tick_params(labelbottom=False)
            else:
                panel.set_xlabel("to syllable", fontsize=label_size)
            if own_grid and state % n_columns > 0:
                panel.tick_params(labelleft=False)
            else:
                panel.set_ylabel("from syllable", fontsize=label_size)
        if differences:
            self.figure_.colorbar(
                self.images_[0],
                ax=list(self.axes_),
                label="change in transition probability",
                aspect=25,
            )
        else:
            _probability_colorbar(self.images_[0], list(self.axes_), probs.min())
        return self


def _figure_and_panels(plt, ax, n_panels, n_rows, n_columns, panel_size):
    """A figure and an array of `n_panels` axes in it, see `SyllableTransitionDisplay.plot`."""
    if isinstance(ax, np.ndarray | list | tuple):
        panels = to_array(ax, f"ax must be {n_panels} matplotlib Axes").ravel()
        if panels.size != n_panels:
            raise ValueError(
                f"ax must be one axes, or one for each of {n_panels} states, got {panels.size}"
            )
        for panel in panels:
            check_axes(panel, "each of ax")
        return panels[0].figure, panels
    if ax is None:
        size = (panel_size * n_columns + 1.6, (panel_size + 0.3) * n_rows + 0.6)
        figure = plt.figure(figsize=size, layout="constrained")
        grid = figure.add_gridspec(n_rows, n_columns)
    else:
        check_axes(ax, "ax")
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


def _probability_norm(probs, color_scale):
    """The matplotlib norm from probabilities to colours."""
    from matplotlib.colors import LogNorm, Normalize

    largest = float(probs.max())
    if color_scale == "linear":
        return Normalize(0.0, largest)
    smallest = float(probs[probs > 0].min())
    smallest = max(SMALLEST_COLORED, 10.0 ** math.floor(math.log10(smallest)))
    return LogNorm(min(smallest, largest / 10), largest, clip=True)


def _difference_norm(differences):
    """The matplotlib norm from differences to colours, with 0 in the middle."""
    from matplotlib.colors import Normalize

    largest = float(np.abs(differences).max()) or 1.0
    return Normalize(-largest, largest)


def _probability_colorbar(image, ax, smallest):
    """A colour bar beside `ax`, pointed where probabilities go on below its end."""
    first = ax[0] if isinstance(ax, list) else ax
    extend = "min" if smallest < image.norm.vmin else "neither"
    first.figure.colorbar(image, ax=ax, extend=extend, label="transition probability", aspect=25)


def _informative_decimals(trans_probs):
    """How many decimals show the typical transition to another state, 2 to 4."""
    others = trans_probs[~np.eye(len(trans_probs), dtype=bool)]
    others = others[others > 0]
    if not others.size:
        return 2
    return min(4, max(2, math.ceil(-math.log10(np.median(others)))))
