"""Estimate the memory of a fit, a prediction or a simulation before it takes it.

The estimate is made of bytes for each timestep, each run and each entry of the counts (state,
syllable, syllable), measured as peaks of processes that fitted 10^4 to 10^8 timesteps with 5 to 50
states and 20 to 1000 syllables: the estimate was 0.6 to 1.4 times what they took; and 0.8 to 1.2
times what seven others took, one of them "parallel" over runs. With 2 states and 1500 syllables or
more most is for pairs, whatever the number of states.
"""

from typing import NamedTuple

from hhmm._inference.parts import LocalParts
from hhmm._messages.associative import BLOCK_BYTES
from hhmm._runtime.memory import available
from hhmm._runtime.threads import n_cores

COMPILER = 0.3e9  # bytes, whatever is fitted
# of a chain: what is made of each entry of the counts while emissions are solved, and of each pair
PER_COUNT = 125
PER_COUNT_OF_INTERACTIONS = 300
PER_PAIR = 400
PER_RUN = 40  # of the data, and of the states
PER_LAID_OUT = 25  # the same as backends read them, for each timestep or run
PER_TIMESTEP = 3  # of a part, states as they are drawn
# of a chain, for each timestep, or for each run, that messages are passed over; and for each state
PER_STEP, PER_STEP_AND_STATE = (30, 60), (7, 20)
PER_SIMULATED = 50  # of each timestep: two uniforms, and states and syllables in two layouts
# of each timestep of the longest sequence, which is in one part: most probable states
PER_PREDICTED, PER_PREDICTED_AND_STATE = 20, 4
PARALLEL_FACTOR = 2.5  # of the messages of `message_passing` "parallel", which takes beside them
PARALLEL_COMPILER = 0.35e9  # more for the compiler, and
PARALLEL_BLOCKS = 4  # arrays of a block of matrices


class Estimate(NamedTuple):
    """Bytes that a fit takes, by what they are for."""

    timesteps: float
    counts: float
    draws: float

    @property
    def total(self):
        """All of it, the compiler's too."""
        return COMPILER + sum(self)


def estimate(parts, sequences, *, terms, n_chains, n_draws):
    """Estimate the memory of a fit.

    Parameters
    ----------
    parts : LocalParts, DaskParts or None
        None leaves the messages out, before the data are laid out for them.
    sequences : RunLengths
    n_chains, n_draws : int
    terms : Terms

    Returns
    -------
    estimate : Estimate
    """
    n_at_once = min(n_chains, n_cores())
    n_states, n_syllables = terms.n_states, terms.n_syllables
    n_params = n_states**2 + sum(n_syllables * terms.n_rows(term) for term in terms.present)
    per_count = PER_COUNT + PER_COUNT_OF_INTERACTIONS * ("interactions" in terms.names)
    return Estimate(
        timesteps=PER_RUN * len(sequences.labels) + _of_parts(parts, n_states, n_at_once),
        counts=n_at_once
        * terms.n_groups
        * (per_count * n_states + PER_PAIR)
        * float(n_syllables) ** 2,
        draws=4 * 8 * n_chains * n_draws * float(n_params),
    )


def _of_parts(parts, n_states, n_at_once):
    """Return bytes of the data as they are laid out, and of the messages of chains."""
    if not isinstance(parts, LocalParts):
        return 0  # not laid out yet, or on other machines
    prepared, n_parts = parts.prepared[0], len(parts.prepared)
    n_under_way = n_at_once * min(parts.n_threads, n_parts)
    # groups of lanes are copies
    n_copies = 1 if len(prepared.groups) == 1 else 2
    laid_out = n_copies * PER_LAID_OUT * prepared.data.steps.pairs.size * n_parts
    written_out = PER_TIMESTEP * int(prepared.timesteps.lengths.sum())
    return laid_out + written_out + n_under_way * _messages(prepared, n_states)


def _messages(prepared, n_states):
    """Return bytes of the messages of a chain over a part."""
    steps = prepared.data.steps.pairs.size
    by_runs = int(prepared.data.n_cells > 0)
    messages = steps * (PER_STEP[by_runs] + PER_STEP_AND_STATE[by_runs] * n_states)
    if prepared.backend in ("parallel", "parallel_runs"):
        block = min(BLOCK_BYTES, 4 * n_states**2 * steps)
        messages = PARALLEL_FACTOR * messages + PARALLEL_COMPILER + PARALLEL_BLOCKS * block
    return messages + 4 * n_states**2 * prepared.data.n_cells  # powers of transitions


def check_fits(estimate):
    """Raise MemoryError where a fit takes more than is free; says what to change."""
    memory = available()
    if _fits(estimate.total, memory):
        return
    advice = {
        "counts": "the emissions (states x syllables x syllables): use fewer n_states, or fewer "
        "syllables; hhmm.preprocessing.SyllableEncoder numbers labels without gaps, and merges "
        "rare ones with min_frequency",
        "timesteps": "the timesteps: fit fewer of them, use message_passing='compressed' where "
        "syllables are held for many, or fewer n_chains",
        "draws": "the draws: use fewer n_draws or n_chains",
    }
    # fewer draws do not help where the emissions alone are too many
    too_much = [name for name in advice if getattr(estimate, name) > memory.free]
    largest = too_much[0] if too_much else max(advice, key=lambda name: getattr(estimate, name))
    raise _error("the fit", estimate.total, memory, f"Most of it is for {advice[largest]}")


def check_prediction_fits(lengths, n_states):
    """Raise MemoryError where results for every timestep take more than is free.

    Parameters
    ----------
    lengths : (n_sequences,) int
    n_states : int
    """
    longest = int(max(lengths, default=0))
    needed = COMPILER + longest * (PER_PREDICTED + PER_PREDICTED_AND_STATE * n_states)
    memory = available()
    if not _fits(needed, memory):
        raise _error(
            "the states",
            needed,
            memory,
            f"That is for a sequence of {longest:,} timesteps: cut it in shorter ones",
        )


def check_simulation_fits(*, n_timesteps, n_states, n_syllables):
    """Raise MemoryError where `hhmm._model.simulate` takes more than is free.

    Parameters
    ----------
    n_timesteps : int
        Of all sequences.
    n_states, n_syllables : int
    """
    tables = 8 * n_states * (3 * n_syllables**2 + 4 * n_states)
    needed, memory = COMPILER + PER_SIMULATED * n_timesteps + tables, available()
    if not _fits(needed, memory):
        raise _error(
            "the simulation",
            needed,
            memory,
            f"That is for {n_timesteps:,} timesteps in all, {n_states:,} states and "
            f"{n_syllables:,} syllables",
        )


def _fits(needed, memory):
    return memory is None or needed <= memory.free


def _error(what, needed, memory, detail):
    needed, free, total = (f"{size / 1e9:,.1f} GB" for size in (needed, *memory))
    return MemoryError(
        f"{what} would take about {needed} of memory, and {free} of {total} are free. {detail}"
    )
