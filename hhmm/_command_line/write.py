"""Write the tables and the figures of a fit."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from hhmm import EfficientHHMM
from hhmm._command_line.read import Groups
from hhmm._optional.extras import import_extra
from hhmm.comparisons import GroupComparison
from hhmm.diagnostics import posterior_summary
from hhmm.metrics import state_durations, state_transitions, state_usage, syllable_preferences
from hhmm.model_checks import state_report
from hhmm.model_selection import ScanResult

_USER = "python -m hhmm fit"


class Results(NamedTuple):
    """What a fit gave."""

    model: EfficientHHMM
    states: list[np.ndarray]  # one array a recording
    names: list[str]  # of the recordings
    labels: list[str]  # of the syllables 0, 1, ...
    groups: Groups
    comparisons: dict[str, GroupComparison]  # by factor
    scan: ScanResult | None

    @property
    def state_names(self) -> list[str]:
        """Names of the states; their numbers if they have none."""
        numbers = [str(k) for k in range(self.model.n_states)]
        return getattr(self.model, "state_names_", numbers)


def write_tables(out, results):
    """Write the tables as CSV files into ``out / "tables"``."""
    pd = import_extra("pandas", _USER)
    model, states, names, state_names = (
        results.model,
        results.states,
        results.names,
        results.state_names,
    )
    folder = _folder(out, "tables")
    n_states = model.n_states

    def write(name, table, **options):
        table.to_csv(folder / f"{name}.csv", **options)

    report = state_report(
        states,
        animals=results.groups.animals,
        groups=next(iter(results.groups.factors.values()), None),
        n_states=n_states,
        state_names=state_names,
        frame_rate=model.frame_rate,
    )
    write("states", report.to_frame())

    usage = state_usage(states, n_states=n_states, per_sequence=True)
    columns: dict[str, Any] = {"recording": names}
    if results.groups.animals is not None:
        columns["animal"] = results.groups.animals
    of_states = {f"state {name}": usage[:, k] for k, name in enumerate(state_names)}
    write("usage", pd.DataFrame(columns | results.groups.factors | of_states), index=False)

    unit, length = ("timesteps", 1.0) if model.frame_rate is None else ("s", 1 / model.frame_rate)
    complete = state_durations(states, n_states=n_states, include_censored=False, per_sequence=True)
    durations = [
        (names[i], state_names[k], length * duration)
        for i, by_state in enumerate(complete)
        for k, of_state in enumerate(by_state)
        for duration in of_state
    ]
    head = ["recording", "state", f"duration ({unit})"]
    write("durations", pd.DataFrame(durations, columns=head), index=False)

    counts = state_transitions(states, n_states=n_states, per_sequence=True)
    transitions = [
        (names[i], state_names[k], state_names[following], count)
        for (i, k, following), count in np.ndenumerate(counts)
        if k != following
    ]
    head = ["recording", "from", "to", "transitions"]
    write("transitions", pd.DataFrame(transitions, columns=head), index=False)

    changes = syllable_preferences(model).usage_changes
    index = pd.Index(state_names, name="state")
    write("syllables", pd.DataFrame(changes, index=index, columns=results.labels))
    if hasattr(model, "posterior_"):
        write("posterior", posterior_summary(model).to_frame())
    if results.scan is not None:
        write("scan", results.scan.to_frame(), index=False)
    for name, comparison in results.comparisons.items():
        frame = comparison.to_frame()
        frame["syllable"] = ["" if k < 0 else results.labels[k] for k in comparison.syllable]
        write(f"comparison_{_file_name(name)}", frame, index=False)


def write_figures(out, results):
    """Write the figures as PNG files into ``out / "figures"``."""
    import_extra("matplotlib", _USER).use("Agg")
    from matplotlib import pyplot as plt

    from hhmm import plotting

    folder, model, states = _folder(out, "figures"), results.model, results.states
    kept: dict[str, Any] = {"n_states": model.n_states, "state_names": results.state_names}
    figures = {
        "ethogram": lambda: plotting.EthogramDisplay.from_predictions(
            states, names=results.names, frame_rate=model.frame_rate, **kept
        ),
        "usage": lambda: plotting.StateUsageDisplay.from_predictions(
            states, animals=results.groups.animals, **kept
        ),
        "durations": lambda: plotting.DurationDisplay.from_predictions(
            states, trans_probs=model.trans_probs_, frame_rate=model.frame_rate, **kept
        ),
        "state_graph": lambda: plotting.StateGraphDisplay.from_estimator(model),
        "state_transitions": lambda: plotting.StateTransitionDisplay.from_estimator(model),
        "syllables": lambda: plotting.SyllablePreferenceDisplay.from_estimator(
            model, syllable_names=results.labels
        ),
        "log_joint": lambda: plotting.LogJointDisplay.from_estimator(model),
    }
    if results.scan is not None:
        figures["scan"] = lambda: plotting.ScanDisplay.from_result(results.scan)
    for name, comparison in results.comparisons.items():
        figures[f"comparison_{_file_name(name)}"] = lambda comparison=comparison: (
            plotting.GroupComparisonDisplay.from_comparison(comparison)
        )
    for name, draw in figures.items():
        try:
            figure = draw().figure_
        except ValueError as error:  # for example, no state ever ends
            print(f"No figure of {name}: {error}")
            continue
        figure.savefig(folder / f"{name}.png", dpi=200, bbox_inches="tight")
        plt.close(figure)


def _folder(parent, name):
    folder = parent / name
    folder.mkdir(exist_ok=True)
    return folder


def _file_name(text):
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)
