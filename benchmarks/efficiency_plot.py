"""The *efficiency* part as a picture."""

from benchmarks.workloads import TUTORIAL

# colours that all kinds of colour vision tell apart (Okabe & Ito 2008), and markers beside them
STYLES = {
    "this model": ("this model, (S + K - 1)(S - 1) parameters", "#0072B2", "o", "-"),
    "free": ("free emissions, K S (S - 1), same start", "#D55E00", "s", "-"),
    "free from truth": ("free emissions, started at the true states", "#E69F00", "^", "--"),
    "one state": ("one state, S (S - 1)", "#009E73", "v", ":"),
}


def draw_efficiency(efficiency, path):
    """Draw accuracy and held-out score against the number of sequences; writes a PNG.

    Parameters
    ----------
    efficiency : dict
        Of `efficiency.measure_efficiency`.
    path : path
    """
    # not pyplot: no display is asked for, and no backend is chosen for the process
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FormatStrFormatter, NullFormatter, NullLocator

    rows = efficiency["rows"]
    sizes = [row["n_sequences"] for row in rows]
    figure = Figure(figsize=(13, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    accuracy, score = figure.subplots(1, 2)
    for panel, name in ((accuracy, "accuracy"), (score, "short")):
        for model, (label, colour, marker, line) in STYLES.items():
            low, middle, high = zip(*(row[model][name] for row in rows), strict=True)
            panel.plot(sizes, middle, color=colour, marker=marker, linestyle=line, label=label)
            panel.fill_between(sizes, low, high, color=colour, alpha=0.15, linewidth=0)
        panel.set_xscale("log")
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xlabel(f"sequences of {TUTORIAL.n_timesteps:,} timesteps to train on")
        panel.grid(color="0.88")
    ceiling = rows[0]["truth_accuracy"][1]
    accuracy.axhline(ceiling, color="0.3", linewidth=1, linestyle="--", label="true parameters")
    accuracy.set_ylim(0, 1)
    accuracy.set(ylabel="accuracy of the states", title="States of held-out sequences")
    score.set_yscale("log")
    score.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    score.yaxis.set_minor_formatter(NullFormatter())
    score.set(
        ylabel="nats per transition below the true parameters",
        title="Prediction of held-out sequences (lower is better)",
    )
    handles, labels = accuracy.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(
        f"Data efficiency: {TUTORIAL.n_states} states, {TUTORIAL.n_syllables} syllables; "
        f"medians and range of {len(efficiency['repeats'])} truths"
    )
    figure.savefig(path, dpi=110)
