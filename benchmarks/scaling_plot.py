"""The *scaling* part as a picture."""

import math

from benchmarks.scaling import product_fit

# colours that all kinds of colour vision tell apart (Okabe & Ito 2008), and markers beside them
STYLES = {
    "states": ("states draw", "#0072B2", "o"),
    "emissions": ("emissions draw", "#D55E00", "s"),
    "sweep": ("whole sweep", "#000000", "^"),
    "hessian_product": ("one Hessian product", "#CC79A7", "D"),
    "memory": ("peak memory above imports", "#009E73", "v"),
}
AXIS_LABELS = {
    "frames": "frames",
    "syllables": "syllables S",
    "states": "states K",
    "sequences": "sequences",
}


def draw_scaling(scalings, path):
    """Draw cost against size, one panel an axis, with the power laws fitted; writes a PNG.

    Parameters
    ----------
    scalings : list of scaling.Scaling
    path : path
    """
    # not pyplot: no display is asked for, and no backend is chosen for the process
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 9), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(2, 3).flat)
    for panel in panels:
        panel.set(xscale="log", yscale="log")
        panel.grid(which="major", color="0.88")
    *times, memory, products = panels
    for panel, scaling in zip(times, scalings, strict=True):
        _draw_times(panel, scaling)
    _draw_memory(memory, scalings)
    _draw_products(products, scalings)
    for panel in panels:
        _finish(panel)
    figure.savefig(path, dpi=110)


def _draw_times(panel, scaling):
    for name, fit in scaling.fits.items():
        if name != "memory":
            values = [getattr(cell, name) for cell in scaling.cells]
            _draw_cost(panel, scaling.axis.values, values, fit, STYLES[name])
    label = AXIS_LABELS[scaling.axis.name]
    panel.set(xlabel=f"{label}\n({scaling.axis.fixed})", ylabel="time (s)")
    panel.set_title(f"Time against {label}")
    _mark_sizes(panel, scaling.axis.values)


def _draw_memory(panel, scalings):
    """Peak memory a frame, along the axis of frames."""
    frames = next(s for s in scalings if s.axis.name == "frames")
    _, colour, marker = STYLES["memory"]
    panel.plot(
        frames.axis.values,
        [cell.memory / cell.n_frames for cell in frames.cells],
        color=colour,
        marker=marker,
        label=f"above imports; as a whole, exponent {frames.fits['memory'].exponent:.2f}",
    )
    panel.set(xlabel=f"frames\n({frames.axis.fixed})", ylabel="peak memory a frame (bytes)")
    panel.set_title("Memory a frame against frames")
    _mark_sizes(panel, frames.axis.values)


def _draw_products(panel, scalings):
    """Hessian products of two axes on the one scale that should explain them, K S^2."""
    fit = product_fit(scalings)
    along = [scaling for scaling in scalings if "hessian_product" in scaling.fits]
    for scaling, fill in zip(along, ("full", "none"), strict=True):
        _, colour, marker = STYLES["hessian_product"]
        panel.plot(
            [cell.n_states * cell.n_syllables**2 for cell in scaling.cells],
            [cell.hessian_product for cell in scaling.cells],
            color=colour,
            marker=marker,
            linestyle="",
            fillstyle=fill,
            label=f"along {AXIS_LABELS[scaling.axis.name]}",
        )
    _draw_fit(panel, fit, "0.4", f"exponent {fit.exponent:.2f}")
    panel.set(
        xlabel="K S$^2$\n(states times squared syllables)",
        ylabel="time (s)",
        title="One Hessian product against K S$^2$",
    )


def _draw_cost(panel, sizes, costs, fit, style):
    name, colour, marker = style
    panel.plot(
        sizes,
        costs,
        color=colour,
        marker=marker,
        linestyle="",
        label=f"{name}, exponent {fit.exponent:.2f}",
    )
    _draw_fit(panel, fit, colour, None)


def _draw_fit(panel, fit, colour, label):
    ends = (fit.low, fit.high)
    panel.plot(
        ends,
        [fit.factor * end**fit.exponent for end in ends],
        color=colour,
        linestyle="--",
        label=label,
    )


def _mark_sizes(panel, sizes):
    """Ticks where something was measured, and nowhere else."""
    from matplotlib.ticker import EngFormatter, NullLocator

    panel.set_xticks(sizes)
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.xaxis.set_minor_locator(NullLocator())


def _finish(panel):
    """At least a decade of costs, room for the legend above them, and the legend."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    low, high = panel.dataLim.intervaly
    spread = max(math.sqrt(10 * low / high), 1.0)
    low, high = low / spread, high * spread
    if high / low < 100:  # one label a decade would be one or two
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    panel.yaxis.set_minor_formatter(NullFormatter())
    entries = len(panel.get_legend_handles_labels()[0])
    panel.set_ylim(low / 1.3, high * (high / low) ** (0.1 * entries))
    panel.legend(loc="upper left", fontsize=9, frameon=False)
