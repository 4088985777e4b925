"""A hard problem: long, strongly overlapping regimes that are not quite what the model assumes.

All regimes share one syllable transition matrix and tilt it, each towards syllables of its own.
They are of several kinds: regimes of one kind tilt it alike but for little. A fit that divides one
kind into too many states has too few for another, and stays there: exchanging the two takes
a long way through what is much less likely. Regimes last uniformly random times instead of
geometric ones, and sequences differ in length.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax


class Regimes(NamedTuple):
    """Sequences, and the regime of every timestep."""

    sequences: list  # of (n_timesteps,) int32 arrays
    regimes: list  # of (n_timesteps,) int32 arrays


def make_regimes(
    *, seed, n_sequences, lengths, durations, kinds, n_syllables, between_kinds, within_kind
):
    """Simulate.

    Parameters
    ----------
    seed : int
    n_sequences : int
    lengths : pair of int
        Shortest and longest sequence, timesteps; uniform between.
    durations : pair of int
        Shortest and longest regime, timesteps; uniform between. The next one is any other.
    kinds : sequence of int
        The kind of each regime, 0 and so on.
    n_syllables : int
    between_kinds, within_kind : float
        Standard deviations of what a kind, and a regime of it, adds to the logits of the
        syllables. The logits shared by all are standard normal.

    Returns
    -------
    data : Regimes
    """
    rng = np.random.default_rng(seed)
    kinds = np.asarray(kinds)
    logits = rng.standard_normal((n_syllables, n_syllables))
    tilts = between_kinds * rng.standard_normal((kinds.max() + 1, n_syllables))[kinds]
    tilts += within_kind * rng.standard_normal((len(kinds), n_syllables))
    until = softmax(logits + tilts[:, None], axis=-1).cumsum(axis=-1)
    n_timesteps = rng.integers(lengths[0], lengths[1], n_sequences, endpoint=True)
    longest = n_timesteps.max()
    regimes = np.stack([draw_regimes(rng, longest, durations, len(kinds)) for _ in n_timesteps])
    syllables = np.empty((n_sequences, longest), np.int32)
    syllables[:, 0] = rng.integers(n_syllables, size=n_sequences)
    for t in range(1, longest):
        below = until[regimes[:, t], syllables[:, t - 1], :-1]
        syllables[:, t] = (rng.random((n_sequences, 1)) > below).sum(axis=-1)
    return Regimes(
        [row[:n] for row, n in zip(syllables, n_timesteps, strict=True)],
        [row[:n] for row, n in zip(regimes, n_timesteps, strict=True)],
    )


def make_languages(
    *, seed, n_sequences, lengths, durations, n_languages, n_syllables, n_followers=4
):
    """Simulate regimes that the model cannot describe: Markov chains of order 2, as languages are.

    In each language, few syllables follow two others. Which ones is drawn by how often the language
    uses them.

    Parameters
    ----------
    seed, n_sequences, lengths, durations, n_syllables
        As for `make_regimes`.
    n_languages : int
    n_followers : int, default=4
        Syllables that follow two others, but for 2 % of the time.

    Returns
    -------
    data : Regimes
    """
    rng = np.random.default_rng(seed)
    pairs = n_syllables, n_syllables
    until = np.empty((n_languages, *pairs, n_syllables))
    for table in until:
        usage = rng.dirichlet(np.full(n_syllables, 20.0))
        ranks = np.log(usage) + rng.gumbel(size=(*pairs, n_syllables))
        followers = ranks.argsort(axis=-1)[..., -n_followers:]
        probs = np.zeros((*pairs, n_syllables))
        np.put_along_axis(probs, followers, rng.dirichlet(np.ones(n_followers), pairs), axis=-1)
        table[:] = (0.98 * probs + 0.02 * usage).cumsum(axis=-1)
    n_timesteps = rng.integers(lengths[0], lengths[1], n_sequences, endpoint=True)
    longest = n_timesteps.max()
    regimes = np.stack([draw_regimes(rng, longest, durations, n_languages) for _ in n_timesteps])
    syllables = rng.integers(n_syllables, size=(n_sequences, longest), dtype=np.int32)
    for t in range(2, longest):
        below = until[regimes[:, t], syllables[:, t - 2], syllables[:, t - 1], :-1]
        syllables[:, t] = (rng.random((n_sequences, 1)) > below).sum(axis=-1)
    return Regimes(
        [row[:n] for row, n in zip(syllables, n_timesteps, strict=True)],
        [row[:n] for row, n in zip(regimes, n_timesteps, strict=True)],
    )


def draw_regimes(rng, n_timesteps, durations, n_regimes):
    """Regimes of one sequence, (n_timesteps,) int32."""
    drawn, current = [], rng.integers(n_regimes)
    while sum(map(len, drawn)) < n_timesteps:
        duration = rng.integers(durations[0], durations[1], endpoint=True)
        drawn.append(np.full(duration, current, np.int32))
        current = (current + rng.integers(1, n_regimes)) % n_regimes
    return np.concatenate(drawn)[:n_timesteps]
