"""Write the tables, the figures and the page of a fit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from hhmm._optional.extras import import_extra
from hhmm._report._figures import make_pictures
from hhmm._report._material import examine
from hhmm._report._page import render
from hhmm.metrics import state_durations, state_transitions, state_usage


def write_results(out, material, page):
    """Write tables, figures and the page; what they share is computed and drawn once.

    Parameters
    ----------
    out : Path
        Folder in which folders of tables and figures are made.
    material : hhmm._report._material.Material
    page : Path
    """
    findings = examine(material)
    pictures = make_pictures(material, findings)
    _write_tables(_folder(out, "tables"), material, findings)
    folder = _folder(out, "figures")
    files = {
        f"comparison_{i}": f"comparison_{_file_name(factor)}"
        for i, factor in enumerate(findings.comparisons, start=1)
    }
    for name, picture in pictures.items():
        (folder / f"{files.get(name, name)}.png").write_bytes(picture.png)
    page.write_bytes(render(material, findings, pictures).encode())


def _write_tables(folder, material, findings):
    """Write the tables as CSV files."""
    pd = import_extra("pandas", "python -m hhmm fit")
    model, states = material.model, material.states.items()
    names, state_names = material.names, material.state_names
    n_states = material.n_states

    def write(name, table, **options):
        table.to_csv(folder / f"{name}.csv", **options)

    # files of states have the numbers
    table = findings.report.to_frame()
    table.insert(0, "number", np.arange(n_states))
    write("states", table)

    usage = state_usage(states, n_states=n_states, per_sequence=True)
    columns: dict[str, Any] = {"recording": names}
    if material.animals is not None:
        columns["animal"] = material.animals
    of_states = {f"state {name}": usage[:, k] for k, name in enumerate(state_names)}
    write("usage", pd.DataFrame(columns | material.factors | of_states), index=False)

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

    changes = findings.syllable_shares - findings.overall_shares
    index = pd.Index(state_names, name="state")
    write("syllables", pd.DataFrame(changes, index=index, columns=material.syllable_names))
    if findings.posterior is not None:
        write("posterior", findings.posterior.to_frame())
    if material.scan is not None:
        write("scan", material.scan.to_frame(), index=False)
    for name, comparison in findings.comparisons.items():
        frame = comparison.to_frame()
        labels = material.syllable_names
        frame["syllable"] = ["" if k < 0 else labels[k] for k in comparison.syllable]
        write(f"comparison_{_file_name(name)}", frame, index=False)


def _folder(parent, name):
    folder = parent / name
    folder.mkdir(exist_ok=True)
    return folder


def _file_name(text):
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)
