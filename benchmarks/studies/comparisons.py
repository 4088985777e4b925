"""Judge comparisons of groups: level, coverage and power, 12 mice in a group.

The states are the true ones, so that only the comparison is judged. Mice differ in how long their
states last and in which syllables they use, overall and in each state. Durations are gamma
distributed, holding times lognormal.

Level: the share of p values below 0.05 if groups do not differ must be 0.02 to 0.08. The content of
states is also compared if groups differ in dwell times, and in the use of syllables in all states
alike, which is no change of a state. Coverage: intervals of 90 % must hold the true difference of
the groups in 0.84 to 0.96 of the labs. Power: the changed state alone must be flagged (q < 0.05) in
9 of 10 labs, and changes of dwell times must be found at least as often as by a permutation test of
the means of their logarithms.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap, permutation_test

from benchmarks.figures import RULE, verdict
from benchmarks.studies._study import run_study
from hhmm.comparisons import compare_groups

N_MICE = 24
N_SESSIONS = 2
SESSION_SECONDS = (1200, 1800)
FRAME_RATE = 10
DWELL_SECONDS = np.array([12.0, 25.0, 50.0, 100.0])
NEXT_STATE = np.array(
    [[0.0, 0.4, 0.2, 0.4], [0.3, 0.0, 0.4, 0.3], [0.15, 0.55, 0.0, 0.3], [0.4, 0.45, 0.15, 0.0]]
)
N_STATES = len(DWELL_SECONDS)
N_SYLLABLES = 40
HELD_FRAMES = 4
LEVELS = (0.02, 0.08)
COVERAGES = (0.84, 0.96)
LEAST_FLAGGED = 0.9
N_RESAMPLES = 1999


class Drug(NamedTuple):
    """Changes that the drug makes."""

    dwell: tuple = (1.0, 1.0, 1.0, 1.0)  # factors
    content: float = 0.0  # change of 6 logits of syllables in the last state
    shared: float = 0.0  # standard deviation of changes of all logits, in all states alike


DWELL = (1.0, 1.8, 0.6, 1.0)
WEAK_DWELL = (1.0, 1.3, 0.8, 1.0)


class Lab(NamedTuple):
    """The recordings of an experiment."""

    states: list
    syllables: list
    mice: list
    groups: list


def draw_states(mean_frames, n_frames, rng):
    """Draw states with gamma-distributed durations, (n_frames,)."""
    visited, lengths, total = [], [], 0
    state = rng.integers(N_STATES)
    while total < n_frames:
        visited.append(state)
        lengths.append(1 + int(rng.gamma(3, mean_frames[state] / 3)))
        total += lengths[-1]
        state = rng.choice(N_STATES, p=NEXT_STATE[state])
    return np.repeat(visited, lengths)[:n_frames]


def draw_mean_frames(drug, is_drugged, rng):
    """Draw the mean durations of the states of a mouse, (n_states,)."""
    pace = np.exp(rng.normal(0, 0.2, N_STATES))
    return DWELL_SECONDS * FRAME_RATE * pace * (np.array(drug.dwell) if is_drugged else 1)


def draw_n_frames(rng):
    """Draw the length of a session."""
    return int(rng.uniform(*SESSION_SECONDS) * FRAME_RATE)


def draw_syllables(states, logits, rng):
    """Draw syllables that are held, and depend on the state at their first frame.

    Parameters
    ----------
    states : (n_frames,)
    logits : (n_states, n_syllables)
    rng : numpy Generator

    Returns
    -------
    syllables : (n_frames,)
    """
    held = np.ceil(HELD_FRAMES * np.exp(rng.normal(0, 0.6, len(states)))).astype(int)
    onsets = np.append(0, np.cumsum(held))
    onsets = onsets[onsets < len(states)]
    probs = np.exp(logits)
    edges = np.cumsum(probs / probs.sum(axis=1, keepdims=True), axis=1)
    drawn = np.sum(rng.random((len(onsets), 1)) > edges[states[onsets], :-1], axis=1)
    return np.repeat(drawn, np.diff(np.append(onsets, len(states))))


def simulate(seed, drug):
    """Simulate a `Lab`."""
    rng = np.random.default_rng(seed)
    base = -1.1 * np.log(1 + np.arange(N_SYLLABLES)) + rng.normal(0, 1, (N_STATES, N_SYLLABLES))
    changed = rng.choice(N_SYLLABLES // 3, 6, replace=False)
    drug_logits = np.tile(rng.normal(0, drug.shared, N_SYLLABLES), (N_STATES, 1))
    drug_logits[-1, changed] += drug.content * np.repeat([1, -1], 3)
    lab = Lab([], [], [], [])
    for mouse in range(N_MICE):
        is_drugged = mouse % 2 == 1
        mean_frames = draw_mean_frames(drug, is_drugged, rng)
        logits = base + rng.normal(0, 0.45, N_SYLLABLES) + rng.normal(0, 0.15, base.shape)
        logits += drug_logits * is_drugged
        for _ in range(N_SESSIONS):
            states = draw_states(mean_frames, draw_n_frames(rng), rng)
            of_session = logits + rng.normal(0, 0.15, N_SYLLABLES)
            lab.states.append(states)
            lab.syllables.append(draw_syllables(states, of_session, rng))
            lab.mice.append(mouse)
            lab.groups.append("drug" if is_drugged else "saline")
    return lab


def compare(lab, *, confidence_level=0.9):
    """Compare the groups of a lab, drug with saline."""
    return compare_groups(
        lab.states,
        groups=lab.groups,
        animals=lab.mice,
        syllables=lab.syllables,
        frame_rate=FRAME_RATE,
        n_states=N_STATES,
        n_resamples=N_RESAMPLES,
        confidence_level=confidence_level,
        random_state=0,
    )


def of(comparison, quantity):
    """Return a function that selects the rows of a quantity from a column."""
    return lambda name: getattr(comparison, name)[comparison.quantity == quantity]


def measure_level(n_labs):
    """Return the share of p < 0.05 by what is compared, if there is nothing to find."""
    quantities = ("usage", "dwell", "transition", "content", "shared_content", "syllable")
    p_values = {name: [] for name in quantities}
    beside = {
        "content, groups differ in dwell": (Drug(dwell=DWELL), []),
        "content, groups differ in all states alike": (Drug(shared=0.3), []),
    }
    for seed in range(n_labs):
        comparison = compare(simulate(seed, Drug()))
        for name in quantities:
            p_values[name].append(of(comparison, name)("p_value"))
        for drug, found in beside.values():
            found.append(of(compare(simulate(seed, drug)), "content")("p_value"))
    p_values |= {name: found for name, (_, found) in beside.items()}
    return {name: float(np.mean(np.array(found) < 0.05)) for name, found in p_values.items()}


def true_usage(drug, is_drugged, n_mice, rng):
    """Return the mean fraction of time in each state over many mice, (n_states,)."""
    usage = np.zeros(N_STATES)
    for _ in range(n_mice):
        mean_frames = draw_mean_frames(drug, is_drugged, rng)
        sessions = [draw_states(mean_frames, draw_n_frames(rng), rng) for _ in range(N_SESSIONS)]
        counts = np.bincount(np.concatenate(sessions), minlength=N_STATES)
        usage += counts / counts.sum()
    return usage / n_mice


def plain_interval(comparison, quantity, method):
    """Return an interval of `scipy.stats.bootstrap`, two arrays (n_states,)."""
    is_dwell = quantity == "dwell"
    values = np.log(comparison.dwell) if is_dwell else comparison.usage
    interval = bootstrap(
        [values[comparison.animal_groups == group] for group in (0, 1)],
        lambda x, y, axis: np.mean(y, axis=axis) - np.mean(x, axis=axis),
        axis=0,
        confidence_level=comparison.confidence_level,
        n_resamples=N_RESAMPLES,
        method=method,
        random_state=0,
    ).confidence_interval
    return np.exp(interval) if is_dwell else interval


def measure_coverage(n_labs, n_mice):
    """Return the share of 90 % intervals that hold the true difference, by method and quantity."""
    drug, rng = Drug(dwell=DWELL), np.random.default_rng(10**6)
    treated, untreated = (true_usage(drug, which, n_mice, rng) for which in (True, False))
    truth = {"usage": treated - untreated, "dwell": np.array(DWELL)}
    covered = {}
    for seed in range(n_labs):
        comparison = compare(simulate(10_000 + seed, drug))
        for name, value in truth.items():
            column = of(comparison, name)
            intervals = {"": (column("lower"), column("upper"))}
            for method in ("percentile", "BCa"):
                intervals[method] = plain_interval(comparison, name, method)
            for method, (low, high) in intervals.items():
                covered.setdefault((name, method), []).append((low <= value) & (value <= high))
    return {key: float(np.mean(found)) for key, found in covered.items()}


def plain_p_values(comparison):
    """Return p values of a permutation test of the means of log dwell times, (n_states,)."""
    log_dwell = np.log(comparison.dwell)
    return permutation_test(
        [log_dwell[comparison.animal_groups == group] for group in (0, 1)],
        lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
        vectorized=True,
        n_resamples=N_RESAMPLES,
        random_state=0,
    ).pvalue


def measure_dwell_power(n_labs, dwell):
    """Return the shares of p < 0.05 in the states that differ, here and of the plain test."""
    differs = np.array(dwell) != 1
    found = []
    for seed in range(n_labs):
        comparison = compare(simulate(20_000 + seed, Drug(dwell=dwell)))
        here = of(comparison, "dwell")("p_value")
        found.append(np.array([here, plain_p_values(comparison)])[:, differs] < 0.05)
    return np.mean(found, axis=(0, 2))


def measure_content_power(n_labs, content):
    """Return in which share of labs the changed state is flagged, and in which it alone is."""
    flagged = []
    for seed in range(n_labs):
        comparison = compare(simulate(30_000 + seed, Drug(dwell=DWELL, content=content)))
        flagged.append(of(comparison, "content")("q_value") < 0.05)
    flagged = np.array(flagged)
    return flagged[:, -1].mean(), np.mean(flagged[:, -1] & ~flagged[:, :-1].any(axis=1))


def measure(quick):
    """Measure all, and return the table."""
    n_level, n_labs, n_mice = (20, 10, 500) if quick else (200, 100, 10_000)
    lines = [f"share of p < 0.05 without a difference, {n_level} labs", RULE]
    for name, share in measure_level(n_level).items():
        judged = verdict(LEVELS[0] <= share <= LEVELS[1])
        lines.append(f"{name.replace('_', ' '):<52}{share:>8.3f}   {judged}")
    print("\n".join(lines), flush=True)
    lines += ["", f"share of 90 % intervals that hold the true difference, {n_labs} labs", RULE]
    for (name, method), share in measure_coverage(n_labs, n_mice).items():
        judged = "" if method else f"   {verdict(COVERAGES[0] <= share <= COVERAGES[1])}"
        what = f"    {method} intervals of scipy" if method else name
        lines.append(f"{what:<52}{share:>8.3f}{judged}")
    lines += ["", f"share of differences that are found, {n_labs} labs", RULE]
    for dwell in (DWELL, WEAK_DWELL):
        here, plain = measure_dwell_power(n_labs, dwell)
        factors = " and ".join(f"x{factor:g}" for factor in dwell if factor != 1)
        lines.append(f"{'dwell ' + factors + ', p < 0.05':<52}{here:>8.3f}")
        judged = verdict(here >= plain - 0.02)
        lines.append(f"{'    plain test of means of log dwell':<52}{plain:>8.3f}   {judged}")
    for content in (1.2, 0.4):
        found, alone = measure_content_power(n_labs, content)
        name = f"content changed by {content} logits, q < 0.05"
        lines.append(f"{name:<52}{found:>8.3f}")
        judged = f"   {verdict(alone >= LEAST_FLAGGED)}" if content > 1 else ""
        lines.append(f"{'    this state alone':<52}{alone:>8.3f}{judged}")
    return "\n".join(lines)


if __name__ == "__main__":
    run_study(__file__, __doc__, measure)
