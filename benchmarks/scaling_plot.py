"""Draw the part *scaling* as a picture."""

# colours that all kinds of colour vision tell apart (Okabe & Ito 2008), and markers beside them
STYLES = {
    "states": ("states draw", "#0072B2", "o"),
    "emissions": ("emissions draw", "#D55E00", "s"),
    "sweep": ("whole sweep", "#000000", "^"),
    "memory": ("peak memory above imports", "#009E73", "v"),
}


def draw_scaling(scalings, path):
    """Draw time and memory against size, a column an axis, with the power laws fitted.

    Parameters
    ----------
    scalings : list of scaling.Scaling
    path : path
        Of the picture (PNG).
    """
    # not pyplot, which would choose a backend for the process
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, FormatStrFormatter, LogLocator, NullLocator

    figure = Figure(figsize=(5 * len(scalings), 9), layout="constrained")
    FigureCanvasAgg(figure)
    columns = figure.subplots(2, len(scalings), squeeze=False).T
    for (time, memory), scaling in zip(columns, scalings, strict=True):
        for name, fit in scaling.fits.items():
            panel, unit = (memory, 1e9) if name == "memory" else (time, 1)
            label, colour, marker = STYLES[name]
            values = [getattr(cell, name) / unit for cell in scaling.cells]
            label = f"{label}, exponent {fit.exponent:.2f}"
            panel.loglog(scaling.axis.values, values, marker, color=colour, label=label)
            ends = (fit.low, fit.high)
            line = [fit.factor * end**fit.exponent / unit for end in ends]
            panel.loglog(ends, line, "--", color=colour)
        time.set_title(f"Against {scaling.axis.name}")
        memory.set_xlabel(f"{scaling.axis.name}\n({scaling.axis.fixed})", fontsize=9)
        for panel in (time, memory):
            panel.set_xticks(scaling.axis.values)
            panel.xaxis.set_major_formatter(EngFormatter(sep=""))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.yaxis.set_major_formatter(FormatStrFormatter("%g"))
            panel.yaxis.set_minor_locator(NullLocator())
            panel.grid(which="major", color="0.88")
            low, high = panel.dataLim.intervaly
            # at least a decade, so that there are labels, and room for the legend
            panel.set_ylim(low / 1.5, max(high, 10 * low) * (high / low) ** 0.3)
            panel.legend(loc="upper left", fontsize=9, frameon=False)
    columns[0][0].set_ylabel("time (s)")
    columns[0][1].set_ylabel("peak memory (GB)")
    figure.savefig(path, dpi=90)
