"""Which backend passes messages fastest: the rule behind ``message_passing="auto"``.

On a CPU the time of a draw of the states is close to

    sequential    steps of the longest lane * 0.8 us  +  timesteps * (8 ns + 0.4 ns K^2)
    compressed    runs of the longest lane * 5 us     +  runs * (150 ns + 1.2 ns K^2)
                                                      +  table

so that runs pay where they are about eight timesteps long or longer, whatever the number of
sequences.
"""

from typing import NamedTuple

import numpy as np

from hhmm import _runs, _sequences

MAX_POWERS = 1024
MAX_TABLE_BYTES = 2**28
# mean number of timesteps of a run from which runs are faster
MIN_MEAN_RUN = 8.0


class Choice(NamedTuple):
    """A backend, and the length of its table of powers where it works on runs."""

    backend: str
    n_powers: int | None


def choose(sequences, n_syllables, n_states, message_passing):
    """Choose a backend for sequences.

    Parameters
    ----------
    sequences : list of 1-D int32 arrays
    n_syllables, n_states : int
    message_passing : {"auto", "sequential", "parallel", "compressed"}

    Returns
    -------
    choice : Choice
    """
    if message_passing in ("sequential", "parallel"):
        return Choice(message_passing, None)
    pairs, starts = _sequences.pair_codes(sequences, n_syllables)
    _, lengths = _runs.find_runs(pairs, starts, n_syllables, len(pairs) + 1)
    if message_passing == "auto" and (not len(lengths) or lengths.mean() < MIN_MEAN_RUN):
        return Choice("sequential", None)
    return Choice("compressed", choose_n_powers(lengths, n_syllables, n_states, len(sequences)))


def choose_n_powers(lengths, n_syllables, n_states, n_sequences):
    """Length of the table of powers, a power of two.

    A longer table takes longer to make, and cuts fewer of the long runs.

    Parameters
    ----------
    lengths : (n_runs,) int
        Timesteps of each run, uncut.
    n_syllables, n_states, n_sequences : int
    """
    best, lowest = 1, np.inf
    n_powers = 1
    while n_powers <= MAX_POWERS:
        n_entries = (n_syllables + 1) * n_powers * n_states**2
        if 4 * n_entries > MAX_TABLE_BYTES and n_powers > 1:
            break
        n_runs = np.sum(-(-lengths // n_powers))
        microseconds = (
            3e-4 * n_entries * n_states
            + 5 * n_runs / max(n_sequences, 1)
            + (0.15 + 1.2e-3 * n_states**2) * n_runs
        )
        if microseconds < lowest:
            best, lowest = n_powers, microseconds
        n_powers *= 2
    return best
