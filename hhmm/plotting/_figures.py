"""What all displays have in common: how they start, their colours, their legend.

A display checks that the estimator has what it draws, imports matplotlib, and
takes the axes it is given or makes a figure. The palette is that of Okabe and
Ito, see `hhmm.plotting`. Names that users give are drawn with the properties `LITERAL`.
"""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from hhmm._optional.extras import import_extra
from hhmm._sequences.read import find_unused
from hhmm._validation import shorten

OKABE_ITO = (
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#56B4E9",  # sky blue
    "#D55E00",  # vermillion
    "#F0E442",  # yellow
    "#000000",  # black
)
MISSING_COLOR = "0.85"
UNUSED_COLOR = "0.55"  # of states that take less than 1% of the time
LITERAL = {"parse_math": False, "usetex": False}  # a dollar sign in a name is no mathematics


def check_has(estimator, attribute):
    """Raise NotFittedError if `attribute` is missing, which a model built without fit may lack."""
    for holder, model in (("steps", "pipeline[-1]"), ("best_estimator_", "search.best_estimator_")):
        if hasattr(estimator, holder):
            raise TypeError(
                f"expected a fitted EfficientHHMM, got {type(estimator).__name__}: give the model "
                f"in it, {model}"
            )
    if not hasattr(estimator, "fit"):
        raise TypeError(f"expected a fitted EfficientHHMM, got {shorten(estimator)}")
    message = f"this %(name)s has no {attribute}: call 'fit' before plotting it"
    check_is_fitted(estimator, attribute, msg=message)


def import_pyplot():
    """matplotlib.pyplot, or an error that says how to install it."""
    return import_extra("matplotlib.pyplot", "hhmm.plotting")


def figure_and_axes(plt, ax, size):
    """The figure of `ax`, and `ax`; new ones of `size` (width, height) in inches if None."""
    if ax is None:
        return plt.subplots(figsize=size, layout="constrained")
    check_axes(ax, "ax")
    return ax.figure, ax


def check_axes(ax, name):
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"{name} must be matplotlib Axes, got {shorten(ax)}")


def colormap(plt, cmap):
    """The matplotlib Colormap of that name, or `cmap` itself."""
    from matplotlib.colors import Colormap

    if not isinstance(cmap, str | Colormap):
        raise TypeError(f"cmap must be a matplotlib Colormap or its name, got {shorten(cmap)}")
    return plt.get_cmap(cmap)


def state_colors(plt, n_colors, usage=None):
    """As many colours as there are states, as different as can be had; grey for unused states.

    Parameters
    ----------
    plt : module
        matplotlib.pyplot.
    n_colors : int
        Number of states.
    usage : ndarray of shape (n_colors,), default=None
        Time in each state, in any unit. If None, no state is treated as unused.

    Returns
    -------
    colors : list of n_colors matplotlib colours
        The colour of a used state does not depend on `usage`.
    """
    if n_colors <= len(OKABE_ITO):
        colors = list(OKABE_ITO[:n_colors])
    elif n_colors <= 20:
        pairs = list(plt.get_cmap("tab20").colors)
        pairs[14:16] = OKABE_ITO[:-3:-1]  # both are grey, the colour of unused states
        colors = [*pairs[::2], *pairs[1::2]][:n_colors]
    else:
        colors = list(plt.get_cmap("turbo")(np.linspace(0.0, 1.0, n_colors)))
    if usage is not None:
        for state in np.flatnonzero(find_unused(usage)):
            colors[state] = UNUSED_COLOR
    return colors


def gray_ticks(axis, usage):
    """Write the labels of unused states in grey, on an axis whose ticks stand at states.

    Parameters
    ----------
    axis : matplotlib Axis
        With ticks at some of 0, ..., n_states - 1.
    usage : ndarray of shape (n_states,)
        Time in each state, in any unit.
    """
    unused = find_unused(usage)
    for location, tick in zip(axis.get_majorticklocs(), axis.get_major_ticks(), strict=True):
        if unused[int(location)]:
            tick.label1.set_color(UNUSED_COLOR)


def legend_above(ax, handles=None, *, title=None):
    """A small legend over the axes, in as many columns as the axes and its labels are wide.

    Where it is wider than the axes alone, it reaches to the left over the labels of the y axis.

    Parameters
    ----------
    ax : matplotlib Axes
        With all its labels, whose room the layout of the figure takes first.
    handles : list of artists with labels, default=None
        All that are in the axes if None.
    title : str, default=None

    Returns
    -------
    legend : matplotlib Legend
    """
    if handles is None:
        handles, _ = ax.get_legend_handles_labels()
    figure = ax.figure.canvas.figure
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
    axes_width = ax.get_window_extent().width
    whole_width = ax.get_window_extent().x1 - ax.get_tightbbox().x0
    n_columns, too_many = 1, len(handles) + 1
    while too_many - n_columns > 1:  # each try lays the legend out: few where states are many
        tried = (n_columns + too_many) // 2
        if _legend(ax, handles, title, tried).get_window_extent().width <= whole_width:
            n_columns = tried
        else:
            too_many = tried
    legend = _legend(ax, handles, title, n_columns)
    if axes_width < legend.get_window_extent().width <= whole_width:
        legend = _legend(ax, handles, title, n_columns, "lower right")
    return legend


def name_ticks(ax, axis, ticks, names, **properties):
    """Label ticks of the `axis` "x" or "y" with names as they are.

    Axes that share the axis show the same names, so their labels are set as well.
    """
    for sharing in getattr(ax, f"get_shared_{axis}_axes")().get_siblings(ax):
        getattr(sharing, f"set_{axis}ticks")(ticks, names, **LITERAL, **properties)


def literal_legend(parent, handles, **properties):
    """Add a legend to axes or a figure that shows the labels of `handles` as they are.

    The labels are written afterwards: matplotlib before 3.10 leaves out those that begin with
    an underscore.
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
