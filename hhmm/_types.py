"""The types that the parts of the library pass to each other, one line a field.

Axis names, used in every shape of this library:

===========  ==============================================================
n_states     K, the hidden states
n_groups     G, the groups of sequences that have parameters of their own; 1 without groups
n_contexts   C = G K, a state in a group: context ``g * n_states + k``
n_syllables  S, the observed labels
n_steps      T, the timesteps of the packed data (the scan axis, leading)
n_lanes      N, the lanes of the packed data (the vector axis, innermost)
n_pairs      G * S * S + 1: syllable i then syllable j in group g is pair (g * S + i) * S + j,
             and the last one stands for "no emission at this timestep"
===========  ==============================================================
"""

from typing import Any, NamedTuple

import numpy as np

Array = Any  # a NumPy array, a JAX array or a tracer


class Params(NamedTuple):
    """The public parameters of the model. Terms that are left out may be None."""

    emission_base: Array  # b, (n_syllables, n_syllables - 1)
    emission_biases: Array  # c, (n_states - 1, n_syllables - 1)
    trans_probs: Array  # A, (n_states, n_states), rows sum to 1
    emission_usage: Array = None  # u, (n_syllables - 1,)
    emission_interactions: Array = None  # d, (n_states - 1, n_syllables, n_syllables - 1)
    # of groups, an array a factor, centred: see the fields of the same names in EmissionLogits
    group_emissions: tuple = None  # E, (n_levels, n_syllables)
    group_states: tuple = None  # H, (n_levels, n_states, n_syllables)
    group_transitions: tuple = None  # U, (n_levels, n_states, n_states)


class EmissionLogits(NamedTuple):
    """The emission parameters in the coordinates that the kernels work in.

    ``base = b Q_S'`` and ``biases = Q_K c Q_S'``, and likewise for the other terms (see
    `hhmm._model.terms`); a term that is left out is None. The Helmert bases Q are
    orthonormal, so this is an isometry between the parameters and the zero-sum
    arrays: densities, inner products and Hessians carry over unchanged, and
    a projection is the subtraction of a mean instead of a matrix product.
    """

    base: Array = None  # B, (n_syllables, n_syllables), rows sum to 0
    biases: Array = None  # C, (n_states, n_syllables), rows and columns sum to 0
    usage: Array = None  # U, (n_syllables,), sums to 0
    interactions: Array = None  # D, (n_states, n_syllables, n_syllables), sums over j and k are 0
    # an array a factor; sums over levels are 0 too
    group_emissions: tuple = None  # E, (n_levels, n_syllables)
    group_states: tuple = None  # H, (n_levels, n_states, n_syllables)
    # of the logits of transitions, where states stand for syllables
    group_transitions: tuple = None  # U, (n_levels, n_states, n_states)


class Priors(NamedTuple):
    """The hyperparameters of the prior; traced, so changing one never recompiles.

    The scale of a term that is left out is not read.
    """

    emission_base_sigma: Array  # standard deviation of the entries of b, ()
    emission_biases_sigma: Array  # standard deviation of the entries of c, ()
    trans_beta: Array  # Dirichlet concentration of every transition, ()
    trans_kappa: Array  # what the diagonal gets on top, ()
    emission_usage_sigma: Array = 0.0  # standard deviation of the entries of u, ()
    emission_interactions_sigma: Array = 0.0  # standard deviation of the entries of d, ()
    # of groups, one a factor; none without groups
    group_emissions_sigma: tuple = ()  # standard deviation of the entries of E, ()
    group_states_sigma: tuple = ()  # standard deviation of the entries of H, ()
    group_transitions_sigma: tuple = ()  # standard deviation of the entries of U, ()


class SufficientStats(NamedTuple):
    """Counts of states and data that determine the posterior of the parameters."""

    state_trans_counts: Array  # (n_contexts, n_states), from, to
    syllable_trans_counts: Array  # (n_contexts, n_syllables, n_syllables), context, from, to


class PackedSequences(NamedTuple):
    """Sequences laid end to end in lanes of equal length, time leading.

    A lane holds one sequence after another; ``starts`` marks where a sequence
    begins (and where the unused rest of a lane begins), and the chain is cut
    there. Timesteps that are part of a sequence, missing ones included, are
    ``inside``.
    """

    pairs: (
        Array  # (n_steps, n_lanes) int32: code of the pair, the last one where nothing is emitted
    )
    starts: Array  # (n_steps, n_lanes) bool
    inside: Array  # (n_steps, n_lanes) bool
    pair_counts: Array  # (n_pairs,) float64: how often each pair occurs inside
    # (2, n_steps / 2, n_lanes) uint32, of every two timesteps: the number of their sequence, and
    # that of the pair in it. Random numbers depend on these. None where no states are drawn
    counters: Array
    groups: Array  # (n_lanes,) int32: the group of all sequences of a lane

    @property
    def steps(self):
        """Units that a sweep steps over: timesteps."""
        return self

    @property
    def timesteps(self):
        """Layout of results for every timestep."""
        return self

    @property
    def n_cells(self):
        """Number of powers in the table."""
        return 0

    def empty_states(self):
        """Return states of the form that a draw has."""
        return np.zeros(self.pairs.shape, np.int32)


class PackedRuns(NamedTuple):
    """Runs of timesteps laid end to end in lanes, as `PackedSequences` does timesteps.

    A run is one timestep with the emission ``pairs``, then ``cells % n_powers`` timesteps that
    all hold the syllable (or the lack of one) of table row ``cells // n_powers``. Each group has
    ``n_rows`` rows of its own.
    """

    pairs: Array  # (n_runs, n_lanes) int32, of the first timestep, as in PackedSequences
    # (n_runs, n_lanes) int32: (group * n_rows + row) * n_powers + number of further timesteps
    cells: Array
    starts: Array  # (n_runs, n_lanes) bool
    inside: Array  # (n_runs, n_lanes) bool
    positions: Array  # (n_runs, n_lanes) int: of the first timestep in the array of pieces
    pair_counts: Array  # (n_pairs,) float64, of all timesteps
    # (n_groups, n_rows, n_powers) float64: how often each cell occurs inside; a row for each
    # syllable that is held as an emission, and one for no emission
    cell_counts: Array
    counters: Array  # (2, n_runs / 2, n_lanes) uint32, as in PackedSequences, of every two runs
    groups: Array  # (n_lanes,) int32, as in PackedSequences


class Pieces(NamedTuple):
    """The timesteps of the sequences of `PackedRuns`, cut into lanes of equal length.

    A sequence takes one lane or several, one after the other; in the last one
    timesteps may be unused. The run that the first timestep of a piece belongs to connects
    what is known of runs to what is computed in pieces.
    """

    sequences: PackedSequences  # (n_steps, n_pieces)
    run: Array  # (n_pieces,) int32: row in PackedRuns of the run of the first timestep
    lane: Array  # (n_pieces,) int32: lane of that run
    within: Array  # (n_pieces,) int32: timesteps of that run that lie before the piece


class RunData(NamedTuple):
    """Runs and pieces of the same sequences: what is computed of every timestep needs both."""

    runs: PackedRuns
    pieces: Pieces | None

    @property
    def steps(self):
        """Units that a sweep steps over: runs."""
        return self.runs

    @property
    def timesteps(self):
        """Layout of results for every timestep."""
        return self.pieces.sequences

    @property
    def n_cells(self):
        """Number of powers in the table."""
        return self.runs.cell_counts.size

    def empty_states(self):
        """Return states of the form that a draw has."""
        first, last = np.zeros((2, *self.runs.pairs.shape), np.int32)
        return RunStates(first, last, key_inside=np.zeros(2, np.uint32))


class RunStates(NamedTuple):
    """A draw of the states of all runs; what happens inside of a run follows from the key."""

    first: Array  # (n_runs, n_lanes) int32: state at the first timestep
    last: Array  # (n_runs, n_lanes) int32: state at the last timestep
    key_inside: Array  # (2,) uint32: key data of the draws inside of runs


class EmissionFactors(NamedTuple):
    """p(x[t] | x[t - 1], z[t]) by pair, scaled so that the best state has factor 1."""

    relative: Array  # (n_pairs, n_states) float32 or float64, the last row 1
    log_scale: Array  # (n_pairs,) float64, the last entry 0
    # (n_pairs, n_states) float32: log of the exact factor over `relative`; None where none is read
    rounding: Array | None


class Posterior(NamedTuple):
    """Kept draws, labels aligned; leading axes (n_chains, n_draws).

    Terms that are left out are None. Scales that are not learnt are the same in every draw.
    """

    emission_base: Array  # (n_chains, n_draws, n_syllables, n_syllables - 1)
    emission_biases: Array  # (n_chains, n_draws, n_states - 1, n_syllables - 1)
    trans_probs: Array  # (n_chains, n_draws, n_states, n_states)
    log_joint: Array  # (n_chains, n_draws), nats
    emission_usage: Array = None  # (n_chains, n_draws, n_syllables - 1)
    # (n_chains, n_draws, n_states - 1, n_syllables, n_syllables - 1)
    emission_interactions: Array = None
    sigmas: dict = None  # by name, (n_chains, n_draws): scales and concentrations that are learnt
    # of groups, an array a factor, see `Params`
    group_emissions: tuple = None
    group_states: tuple = None
    group_transitions: tuple = None
