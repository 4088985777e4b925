"""Make the tables: usage, dwell times, transitions, comparisons, posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hhmm._optional.extras import import_extra
from hhmm._report._material import Findings, Material
from hhmm._report._words import promoted
from hhmm._sequences.ragged import Ragged
from hhmm.diagnostics import posterior_summary
from hhmm.metrics import state_usage

if TYPE_CHECKING:
    import pandas


def make_tables(material: Material, findings: Findings) -> dict[str, pandas.DataFrame]:
    """Return the tables by the names of their files."""
    tables = {
        "states": _states(material, findings),
        "usage": _usage(material),
        "dwell": _dwell(material),
        "transitions": _transitions(material, findings),
        "syllables": _syllables(material, findings),
        "recordings": _recordings(material),
    }
    if findings.comparisons:
        tables["comparisons"] = _comparisons(material, findings)
    if hasattr(material.model, "posterior_"):
        tables["posterior"] = posterior_summary(material.model).to_frame().reset_index()
    if material.scan is not None:
        pd = import_extra("pandas", "hhmm.report")
        tables["number_of_states"] = pd.DataFrame(material.scan.summary())
    return tables


def _labels(material):
    """Return the columns that describe recordings, by name; one that is used gets a new name."""
    columns = {"recording": material.names}
    if material.animals is not None:
        columns["animal"] = material.animals
    for name, groups in material.factors.items():
        taken = {*columns, "state", "state_name", "usage", "dwell", "begin", "end", "duration"}
        columns[f"group {name}" if name in taken else name] = groups
    return columns


def _states(material, findings):
    frame = findings.report.to_frame().reset_index(names="state_name")
    frame.insert(0, "state", np.arange(material.n_states))
    overall = findings.overall_shares
    frame["promoted_syllables"] = [
        " ".join(material.syllable_names[j] for j in promoted(shares, overall))
        for shares in findings.syllable_shares
    ]
    return frame


def _usage(material):
    """Return a row for each recording and state."""
    pd = import_extra("pandas", "hhmm.report")
    usage = state_usage(material.states, n_states=material.n_states, per_sequence=True)
    columns = {
        name: np.repeat(np.array(values, object), material.n_states)
        for name, values in _labels(material).items()
    }
    n = len(material.names)
    columns["state"] = np.tile(np.arange(material.n_states), n)
    columns["state_name"] = np.tile(np.array(material.state_names, object), n)
    columns["usage"] = usage.ravel()
    return pd.DataFrame(columns)


def _dwell(material):
    """Return a row for each stay in a state."""
    pd = import_extra("pandas", "hhmm.report")
    states = Ragged.of(material.states)
    bouts = states.find_bouts()
    sequence = np.repeat(np.arange(len(material.names)), bouts.n_in_sequence)[bouts.is_observed]
    begin = bouts.starts[bouts.is_observed] - states.begins[sequence]
    length = bouts.n_timesteps[bouts.is_observed]
    state = bouts.values[bouts.is_observed]
    seconds = 1.0 if material.frame_rate is None else 1 / material.frame_rate
    unit = "timesteps" if material.frame_rate is None else "s"
    columns = {
        name: np.array(values, object)[sequence] for name, values in _labels(material).items()
    }
    columns["state"] = state
    columns["state_name"] = np.array(material.state_names, object)[state]
    columns[f"begin ({unit})"] = begin * seconds
    columns[f"duration ({unit})"] = length * seconds
    # where the recording begins or ends in a state, only a part of the stay was seen
    columns["is_whole"] = (bouts.has_begin & bouts.has_end)[bouts.is_observed]
    return pd.DataFrame(columns)


def _transitions(material, findings):
    """Return a row for each pair of different states."""
    pd = import_extra("pandas", "hhmm.report")
    before, after = np.nonzero(~np.eye(material.n_states, dtype=bool))
    counts = findings.transitions[before, after]
    totals = findings.transitions.sum(axis=1)[before]
    names = np.array(material.state_names, object)
    with np.errstate(invalid="ignore", divide="ignore"):
        fractions = np.where(totals > 0, counts / totals, np.nan)
    columns = {
        "state": before,
        "state_name": names[before],
        "next_state": after,
        "next_state_name": names[after],
        "count": counts,
        "fraction": fractions,
    }
    return pd.DataFrame(columns)


def _syllables(material, findings):
    """Return a row for each state and syllable."""
    pd = import_extra("pandas", "hhmm.report")
    n_states, n_syllables = findings.syllable_counts.shape
    shares, overall = findings.syllable_shares, findings.overall_shares
    columns = {
        "state": np.repeat(np.arange(n_states), n_syllables),
        "state_name": np.repeat(np.array(material.state_names, object), n_syllables),
        "syllable": np.tile(np.array(material.syllable_names, object), n_states),
        "count": findings.syllable_counts.ravel(),
        "share_in_state": shares.ravel(),
        "share_in_all_states": np.tile(overall, n_states),
        "difference": (shares - overall).ravel(),
    }
    return pd.DataFrame(columns)


def _recordings(material):
    pd = import_extra("pandas", "hhmm.report")
    columns = dict(_labels(material))
    columns["n_timesteps"] = [len(states) for states in material.states]
    if material.frame_rate is not None:
        columns["duration (s)"] = np.array(columns["n_timesteps"]) / material.frame_rate
    columns["n_missing"] = [int(np.sum(x < 0)) for x in material.syllables]
    return pd.DataFrame(columns)


def _comparisons(material, findings):
    pd = import_extra("pandas", "hhmm.report")
    names = np.array(material.syllable_names, object)
    frames = []
    for factor, comparison in findings.comparisons.items():
        frame = comparison.to_frame()
        frame["syllable"] = [None if j < 0 else names[j] for j in comparison.syllable]
        frame.insert(0, "factor", factor)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
