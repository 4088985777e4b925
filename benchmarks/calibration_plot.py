"""The *calibration* part as a picture."""

from benchmarks.calibration import APPROXIMATE, EXACT, LEVEL, N_BINS, band

# colours that all kinds of colour vision tell apart (Okabe & Ito 2008)
COLOURS = {EXACT: "#0072B2", APPROXIMATE: "#D55E00"}
TITLES = {EXACT: 'emission_sampler="hmc", exact', APPROXIMATE: '"laplace", approximate'}


def draw_calibration(calibration, path):
    """Draw histograms of ranks, a row a sampler and a column a quantity; writes a PNG.

    Parameters
    ----------
    calibration : dict
        Of `calibration.measure_calibration`.
    path : path
    """
    # not pyplot: no display is asked for, and no backend is chosen for the process
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    samplers, problem = calibration["samplers"], calibration["problem"]
    names = list(samplers[EXACT])
    figure = Figure(figsize=(2.5 * len(names), 6), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(samplers), len(names), sharex=True, sharey=True, squeeze=False)
    low, high = band(problem["n_data_sets"])
    expected = problem["n_data_sets"] / N_BINS
    for panels, (sampler, quantities) in zip(rows, samplers.items(), strict=True):
        for panel, name in zip(panels, names, strict=True):
            assessed = quantities[name]
            panel.axhspan(low, high, color="0.88", zorder=0)
            panel.axhline(expected, color="0.45", linewidth=1, linestyle="--")
            panel.bar(
                range(N_BINS),
                assessed["counts"],
                width=0.85,
                color=COLOURS[sampler],
                alpha=0.85,
            )
            panel.set_title(f"{name}\np = {assessed['p_value']:.2g}", fontsize=11)
            panel.set_xticks([-0.5, (N_BINS - 1) / 2, N_BINS - 0.5])
            panel.set_xticklabels(["0", f"{problem['n_draws'] / 2:g}", f"{problem['n_draws']}"])
        panels[0].set_ylabel(f"{TITLES[sampler]}\ntruths a bin")
    tallest = max(
        max(each["counts"]) for quantities in samplers.values() for each in quantities.values()
    )
    rows[0][0].set_ylim(0, 1.1 * max(tallest, high))
    figure.supxlabel(f"rank of the truth among {problem['n_draws']} draws", fontsize=11)
    figure.suptitle(
        f"Simulation-based calibration, {problem['n_data_sets']} data sets: "
        f"uniform if the draws are from the posterior.\n"
        f"Grey: all bars of a uniform histogram are inside with probability {1 - LEVEL:.0%}",
        fontsize=12,
    )
    figure.savefig(path, dpi=110)
