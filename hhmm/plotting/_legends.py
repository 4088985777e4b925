"""A legend over the axes that fits into the width of a column of text."""


def compact_legend_above(ax, handles, *, title=None):
    """A small legend over the axes, in as many columns as the axes and its labels are wide.

    Where it is wider than the axes alone, it reaches to the left over the labels of the y axis.

    Parameters
    ----------
    ax : matplotlib Axes
        With all its labels, whose room the layout of the figure takes first.
    handles : list of artists with labels
    title : str, default=None

    Returns
    -------
    legend : matplotlib Legend
    """
    figure = ax.figure.canvas.figure
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
    axes_width = ax.get_window_extent().width
    whole_width = ax.get_window_extent().x1 - ax.get_tightbbox().x0
    for n_columns in range(len(handles), 0, -1):
        legend = _legend(ax, handles, title, n_columns, "lower left")
        width = legend.get_window_extent().width
        if width <= axes_width:
            break
        if width <= whole_width:
            legend = _legend(ax, handles, title, n_columns, "lower right")
            break
    return legend


def _legend(ax, handles, title, n_columns, corner):
    return ax.legend(
        handles=handles,
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
