"""Which backend passes messages fastest: the rule behind ``message_passing="auto"``.

On a CPU runs pay where they are long on average. Milliseconds of a draw of the states with its
counts, timestep by timestep / run by run, on two cores:

==============================  ==========  ==========  ==========  ==========  ==========
sequences, states, syllables    mean run 2  4           8           16          32
==============================  ==========  ==========  ==========  ==========  ==========
20 x 20,000, 10, 100            19 / 47     18 / 36     16 / 23     16 / 15     18 / 12
200 x 2000, 5, 20               9 / 30      9 / 13      9 / 10      9 / 8       10 / 4.5
4 x 50,000, 3, 10               10 / 22     9 / 18      7 / 9       9 / 6       8 / 2.6
200 x 2000, 10, 50              17 / 45     15 / 28     15 / 13     18 / 11     20 / 9
==============================  ==========  ==========  ==========  ==========  ==========

So the rule looks at the mean length of a run alone: neither the number of sequences nor their
length nor the number of states moves the cross-over much. Where a syllable that is held is no
emission, the powers of A are all that there is to tabulate, and runs pay earlier:

=========================  ===========  ==========  ==========  ==========  ==========
sequences, states          mean run 3   4           6           8           12
=========================  ===========  ==========  ==========  ==========  ==========
48 x 20,000, 4             69 / 166     104 / 51    74 / 80     123 / 58    111 / 46
20 x 20,000, 10            32 / 54      46 / 40     72 / 54     57 / 17     32 / 15
200 x 2000, 5              14 / 33      30 / 27     15 / 18     15 / 14     15 / 11
=========================  ===========  ==========  ==========  ==========  ==========

On an accelerator a step of a scan costs launches, whatever it does, and "auto" is "parallel".
That is a rule, not a measurement of these kernels: of the published JAX implementation of this
model, associative scans take 4.8 ms and scans over timesteps 1,905 ms for 20 sequences of 20,000
timesteps and 10 states on an H100. Its links are runs or timesteps; a run costs one product of
matrices more than a timestep.
"""

from typing import NamedTuple

import jax
import numpy as np

from hhmm._sequences import runs

MAX_POWERS = 1024
MAX_TABLE_BYTES = 2**28
# mean number of timesteps of a run from which runs are faster, one after the other
MIN_MEAN_RUN = 12.0
MIN_MEAN_RUN_HELD = 6.0  # where syllables that are held are no emissions
# and by associative scans
MIN_MEAN_RUN_PARALLEL = 2.0
# A part of the data is at most so many steps (timesteps or runs) times states, or one sequence.
# Messages take about a dozen bytes of each.
PART = 1 << 22


class Choice(NamedTuple):
    """A backend, and the length of its table of powers where it works on runs."""

    backend: str  # a key of `hhmm._messages.BACKENDS`
    n_powers: int | None


def choose(sequences, terms, message_passing):
    """Choose a backend for sequences.

    Parameters
    ----------
    sequences : RunLengths
    terms : Terms
    message_passing : {"auto", "sequential", "parallel", "compressed"}, or a backend

    Returns
    -------
    choice : Choice
    """
    if message_passing == "parallel_runs":
        message_passing = "parallel"  # of other data, whose runs are longer
    if message_passing == "auto" and jax.default_backend() != "cpu":
        message_passing = "parallel"
    if message_passing == "sequential":
        return Choice("sequential", None)
    lengths, n_runs = runs.run_lengths(
        sequences, terms.n_syllables, self_transitions=terms.self_transitions
    )
    mean_run = lengths @ n_runs / max(n_runs.sum(), 1)
    if message_passing == "auto":
        least = MIN_MEAN_RUN if terms.self_transitions else MIN_MEAN_RUN_HELD
        message_passing = "sequential" if mean_run < least else "compressed"
    by_runs = message_passing == "compressed" or (
        message_passing == "parallel" and mean_run >= MIN_MEAN_RUN_PARALLEL
    )
    if not by_runs:
        return Choice(message_passing, None)
    n_rows = (terms.n_syllables + 1 if terms.self_transitions else 1) * terms.n_groups
    n_sequences = len(sequences.n_runs)
    n_powers = choose_n_powers(lengths, n_runs, n_rows, terms.n_states, n_sequences)
    return Choice("compressed" if message_passing == "compressed" else "parallel_runs", n_powers)


def choose_n_powers(lengths, n_runs, n_rows, n_states, n_sequences):
    """Return length of the table of powers, a power of two.

    A longer table takes longer to make, and cuts fewer of the long runs.

    Parameters
    ----------
    lengths, n_runs : (n_lengths,) int
        Different numbers of timesteps of runs, uncut, and how many runs have each.
    n_rows, n_states, n_sequences : int
        Of rows of the table, of states, of sequences.
    """
    best, lowest = 1, np.inf
    n_powers = 1
    while n_powers <= MAX_POWERS:
        n_entries = n_rows * n_powers * n_states**2
        if 4 * n_entries > MAX_TABLE_BYTES and n_powers > 1:
            break
        n_cut = n_runs @ -(-lengths // n_powers)
        # of a part, which makes a table of its own; what a part is depends on the data alone
        n_parts = max(n_cut * n_states / PART, 1)
        microseconds = (
            6e-4 * n_entries * n_states
            + 3 * n_cut / max(n_sequences, 1)
            + (0.07 + 1.5e-3 * n_states**2) * n_cut / n_parts
        )
        if microseconds < lowest:
            best, lowest = n_powers, microseconds
        n_powers *= 2
    return best
