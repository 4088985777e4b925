"""What is run, how often, and what is aimed at."""

from typing import NamedTuple


class Workload(NamedTuple):
    """Simulated data, and how the reference is set for it."""

    name: str
    n_sequences: int
    n_timesteps: int
    n_states: int
    n_syllables: int
    reference_gd_iters: int  # gradient steps of the reference's emission solve

    def describe(self):
        """One line: the size of the data and the settings."""
        return (
            f"{self.name}: {self.n_sequences} x {self.n_timesteps:,}, {self.n_states} states, "
            f"{self.n_syllables} syllables; the reference takes {self.reference_gd_iters} "
            "gradient steps a sweep"
        )


class Repeats(NamedTuple):
    """How often things are measured."""

    rounds: int  # turns of one side, then the other
    hhmm_sweeps: int  # a turn
    reference_sweeps: int  # a turn
    cold_processes: int  # of each side
    wide_rounds: int  # of this library, before the reference and again after it
    wide_sweeps: int  # of this library, a turn
    wide_reference_sweeps: int  # in all
    recovery_seeds: int


class Target(NamedTuple):
    """What is aimed at: `limit` is on the ratio to the reference, or on the figure itself."""

    limit: float
    of_ratio: bool


TUTORIAL = Workload("tutorial", 200, 1000, 5, 20, reference_gd_iters=500)
WIDE = Workload("wide", 20, 20_000, 10, 100, reference_gd_iters=1000)
DATA_SEED = 0

FULL = Repeats(
    rounds=15,
    hhmm_sweeps=20,
    reference_sweeps=5,
    cold_processes=3,
    wide_rounds=5,
    wide_sweeps=4,
    wide_reference_sweeps=2,
    recovery_seeds=10,
)
QUICK = Repeats(
    rounds=3,
    hhmm_sweeps=10,
    reference_sweeps=3,
    cold_processes=1,
    wide_rounds=2,
    wide_sweeps=3,
    wide_reference_sweeps=1,
    recovery_seeds=10,
)

# Sweeps before anything is timed: Newton's warm start has something to start from.
WARM_SWEEPS = 10
COLD_SWEEPS = 100
RECOVERY_SWEEPS = 100

TUTORIAL_SWEEP = Target(1 / 4, of_ratio=True)
TUTORIAL_COLD = Target(1 / 2, of_ratio=True)
WIDE_SWEEP = Target(1 / 100, of_ratio=True)
WIDE_MEMORY = Target(2.0, of_ratio=False)  # GB

RECOVERY_ACCURACY = 0.003  # below the accuracy under the true parameters, at most
RECOVERY_NATS = 60.0  # below the log joint of the true parameters, at most
RECOVERY_SEEDS = 8  # of ten

# The reference keeps about 15 GB at the *wide* workload.
WIDE_REFERENCE_MEMORY_GB = 16.0
