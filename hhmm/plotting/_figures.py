"""Parts that all displays share: the figure, the colours of states, the ticks, the legend.

The palettes are described in `hhmm.plotting`. Names that users give are drawn with the
properties `LITERAL`.
"""

import math

import numpy as np
from sklearn.utils.validation import check_is_fitted

from hhmm._optional.extras import import_extra
from hhmm._sequences.read import find_unused
from hhmm._validation import shorten

POINTS_PER_INCH = 72
# blue, orange, bluish green, reddish purple, sky blue, vermillion, yellow, black
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
# Of P. Tol, "Colour schemes" (SRON technical note 2021): none of them is a colour of a state.
MUTED = (
    "#332288",  # indigo
    "#CC6677",  # rose
    "#117733",  # green
    "#DDCC77",  # sand
    "#88CCEE",  # cyan
    "#882255",  # wine
    "#44AA99",  # teal
    "#999933",  # olive
    "#AA4499",  # purple
)
MARKERS = "osD^vP*X"
MISSING_COLOR = "0.85"
UNUSED_COLOR = "0.55"  # of states that take less than 1% of the time
# every second one is drawn where there is room for few ticks
_ROUND_DURATIONS = (
    *(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800),
    *(36_000, 108_000),
)
LITERAL = {"parse_math": False, "usetex": False}  # "$" in a name starts no formula


def import_pyplot():
    """Import matplotlib.pyplot; the error names the extra that has it."""
    return import_extra("matplotlib.pyplot", "hhmm.plotting")


def check_has(estimator, attribute):
    """Check that `estimator` is fitted and has `attribute`, and that matplotlib is installed.

    Displays call this before they infer anything, which may take long.
    """
    if hasattr(estimator, "steps") or hasattr(estimator, "best_estimator_"):
        raise TypeError(
            f"estimator must be an EfficientHHMM, got {type(estimator).__name__}. Give the model "
            "in it, pipeline[-1] or search.best_estimator_."
        )
    if not hasattr(estimator, "fit"):
        raise TypeError(f"estimator must be an EfficientHHMM, got {shorten(estimator)}.")
    message = f"This %(name)s has no {attribute}. Call 'fit' before plotting it."
    check_is_fitted(estimator, attribute, msg=message)
    import_pyplot()


def figure_and_axes(ax, size):
    """Return the figure of `ax`, and `ax`; new ones of `size` in inches if None."""
    if ax is None:
        return import_pyplot().subplots(figsize=size, layout="constrained")
    check_axes(ax, "ax")
    return ax.figure, ax


def figure_and_panels(ax, n_panels, n_columns, size):
    """Return a figure and an array of `n_panels` axes in it.

    A single `ax` is divided into panels, and an array of axes is kept. If None, make a figure of
    `size` in inches.
    """
    if is_array_of_axes(ax):
        panels = np.ravel(ax)
        if panels.size != n_panels:
            raise ValueError(
                f"ax must be one axes, or one for each of {n_panels} states, got {panels.size}."
            )
        for panel in panels:
            check_axes(panel, "each of ax")
        return panels[0].figure, panels
    n_rows = -(-n_panels // n_columns)
    if ax is None:
        figure = import_pyplot().figure(figsize=size, layout="constrained")
        grid = figure.add_gridspec(n_rows, n_columns)
    else:
        check_axes(ax, "ax")
        figure = ax.figure
        ax.set_axis_off()
        if ax.get_subplotspec() is None:
            box = ax.get_position()
            sides = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
            grid = figure.add_gridspec(n_rows, n_columns, **sides)
        else:
            grid = ax.get_subplotspec().subgridspec(n_rows, n_columns)
    return figure, np.array([figure.add_subplot(grid[i]) for i in range(n_panels)])


def is_array_of_axes(ax):
    return np.ndim(ax) > 0


def check_axes(ax, name):
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"{name} must be matplotlib Axes, got {shorten(ax)}.")


def lay_out(ax):
    """Lay out the figure of `ax`; return the height of `ax` in inches."""
    figure = ax.figure.canvas.figure
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
    return ax.get_window_extent().height / figure.dpi


def state_colors(n_colors, usage=None):
    """Return a colour for each state, as different as possible; grey for unused states.

    The time in each state, `usage` (n_colors,), does not change the colours of used states. If it
    is None, all are used.
    """
    from matplotlib import colormaps

    if n_colors <= len(OKABE_ITO):
        colors = list(OKABE_ITO[:n_colors])
    elif n_colors <= 20:
        pairs = list(colormaps["tab20"].colors)
        pairs[14:16] = OKABE_ITO[:-3:-1]  # both are grey, the colour of unused states
        colors = [*pairs[::2], *pairs[1::2]][:n_colors]
    else:
        colors = list(colormaps["turbo"](np.linspace(0.0, 1.0, n_colors)))
    if usage is not None:
        for state in np.flatnonzero(find_unused(np.asarray(usage))):
            colors[state] = UNUSED_COLOR
    return colors


def group_colors(n_groups):
    """Return a colour for each group; black if there is one group."""
    if n_groups == 1:
        return [OKABE_ITO[-1]]
    return list(MUTED[:n_groups]) if n_groups <= len(MUTED) else state_colors(n_groups)


def text_color(rgb):
    """Return "black" or "white" for text on backgrounds (..., 3), whichever contrasts more."""
    # relative luminance of sRGB colours; black and white contrast equally with 0.179
    rgb = np.asarray(rgb)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.where(linear @ [0.2126, 0.7152, 0.0722] > 0.179, "black", "white")[()]


def gray_ticks(axis, usage):
    """Write the labels of unused states in grey, by the time in each, `usage` (n_states,).

    The ticks of the axis must be some of 0, ..., n_states - 1. If `usage` is None, none is grey.
    """
    if usage is None:
        return
    unused = find_unused(np.asarray(usage))
    for location, tick in zip(axis.get_majorticklocs(), axis.get_major_ticks(), strict=True):
        if unused[int(location)]:
            tick.label1.set_color(UNUSED_COLOR)


def finish_log_axes(ax):
    """Write ticks as 0.01 and 100 instead of powers of ten, and remove two sides of the frame."""
    ax.spines[["right", "top"]].set_visible(False)
    for axis in (ax.xaxis, ax.yaxis):
        write_plain_ticks(axis)


def write_plain_ticks(axis):
    """Write ticks of a logarithmic axis as 0.01 and 100; if few are powers of ten, others too."""
    low, high = np.log10(axis.get_view_interval())
    if high - low >= 6:
        return
    has_few = np.floor(high) - np.ceil(low) < 1

    def label(value, _):
        first_digit = round(value / 10.0 ** math.floor(math.log10(value)))
        return f"{value:g}" if has_few and first_digit in (2, 5) else ""

    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(label)


def finish_duration_axis(ax, name):
    """Write ticks of a logarithmic x axis in seconds as 1 s, 10 s, 1 min, 1 h; `name` labels it."""
    low, high = ax.get_xlim()
    few = [x for x in _ROUND_DURATIONS[::2] if low <= x <= high]
    ticks = few if len(few) >= 3 else [x for x in _ROUND_DURATIONS if low <= x <= high]
    if len(ticks) >= 2:
        ax.set_xticks(ticks, [as_duration(x) for x in ticks])
        ax.minorticks_off()
        ax.set_xlabel(name)
    else:
        ax.set_xlabel(f"{name} (s)")


def as_duration(seconds):
    """Return a time as text, in hours, in minutes, or in seconds below a minute."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def name_ticks(ax, axis, ticks, names, **properties):
    """Label ticks of the `axis` "x" or "y" with names as they are.

    Axes that share the axis show the same names, so their labels are set as well.
    """
    for sharing in getattr(ax, f"get_shared_{axis}_axes")().get_siblings(ax):
        getattr(sharing, f"set_{axis}ticks")(ticks, names, **LITERAL, **properties)


def legend_above(ax, handles, *, title=None):
    """Add a small legend of artists with labels above the axes, in as many columns as fit.

    A legend wider than the axes extends to the left, over the labels of the y axis. All labels of
    the axes must be set, because the layout of the figure makes room for them first.
    """
    lay_out(ax)
    axes_width = ax.get_window_extent().width
    whole_width = ax.get_window_extent().x1 - ax.get_tightbbox().x0
    n_columns, too_many = 1, len(handles) + 1
    while too_many - n_columns > 1:  # bisect, because each try lays the legend out
        tried = (n_columns + too_many) // 2
        if _legend(ax, handles, title, tried).get_window_extent().width <= whole_width:
            n_columns = tried
        else:
            too_many = tried
    legend = _legend(ax, handles, title, n_columns)
    if axes_width < legend.get_window_extent().width <= whole_width:
        legend = _legend(ax, handles, title, n_columns, "lower right")
    return legend


def color_patches(colors, names):
    """Return a patch of each colour, labelled with its name, for a legend."""
    from matplotlib.patches import Patch

    return [Patch(color=color, label=name) for color, name in zip(colors, names, strict=True)]


def literal_legend(parent, handles, **properties):
    """Add a legend to axes or a figure that shows the labels of `handles` as they are.

    The texts are set afterwards, because matplotlib before 3.10 leaves out labels that begin
    with an underscore.
    """
    legend = parent.legend(handles, [""] * len(handles), **properties)
    for text, handle in zip(legend.get_texts(), handles, strict=True):
        text.set(text=handle.get_label(), **LITERAL)
    return legend


def _legend(ax, handles, title, n_columns, corner="lower left"):
    return literal_legend(
        ax,
        handles,
        title=title,
        loc=corner,
        bbox_to_anchor=(1.0 if "right" in corner else 0.0, 1.0),
        ncols=n_columns,
        borderaxespad=0.3,
        borderpad=0.2,
        columnspacing=1.0,
        handlelength=1.1,
        handletextpad=0.5,
        labelspacing=0.3,
        fontsize="small",
        title_fontsize="small",
        alignment="left",
        frameon=False,
    )
