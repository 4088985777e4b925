"""What is run, how often, and what is aimed at."""

from typing import NamedTuple

# settings of the published model, which is what the reference fits
PUBLISHED = {
    "emission_usage_sigma": 0,
    "emission_base_sigma": 1,
    "emission_biases_sigma": 1,
    "self_transitions": True,
    "emission_sampler": "laplace",
}


class Workload(NamedTuple):
    """Simulated data, and how the two sides are set for it."""

    name: str
    n_sequences: int
    n_timesteps: int
    n_states: int
    n_syllables: int
    reference_gd_iters: int = 1000  # gradient steps of the reference's emission solve
    mean_run: int = 1  # timesteps that a syllable is held, on average
    from_truth: bool = False  # whether this library's chain starts at the true states

    @property
    def n_frames(self):
        """Timesteps of all sequences."""
        return self.n_sequences * self.n_timesteps

    def describe(self):
        """One line: the size of the data."""
        held = f", syllables held {self.mean_run} timesteps" if self.mean_run > 1 else ""
        return (
            f"{self.name}: {self.n_sequences} x {self.n_timesteps:,}{held}, "
            f"{self.n_states} states, {self.n_syllables} syllables"
        )


class Regimes(NamedTuple):
    """The hard problem of the part *modes*; what its fields are says `benchmarks._regimes`."""

    seed: int = 0
    n_sequences: int = 60
    lengths: tuple = (1200, 2400)
    durations: tuple = (120, 400)
    kinds: tuple = (0, 0, 1, 1, 2)
    n_syllables: int = 27
    between_kinds: float = 0.6
    within_kind: float = 0.25

    def describe(self, n_timesteps):
        """Two lines: the size of the data."""
        return (
            f"regimes: {self.n_sequences} sequences of {self.lengths[0]:,} to "
            f"{self.lengths[1]:,}, {n_timesteps:,} timesteps in all, {self.n_syllables} "
            f"syllables,\n{len(self.kinds)} regimes of {max(self.kinds) + 1} kinds that last "
            f"{self.durations[0]} to {self.durations[1]} timesteps each"
        )


class Calibration(NamedTuple):
    """Data sets of the part *calibration*, and the fit of each."""

    n_data_sets: int
    n_sweeps: int = 800  # the first half is left out
    n_draws: int = 19
    lengths: tuple = (40, 30, 30, 25, 20, 10)
    missing: float = 0.1  # fraction of the timesteps
    n_states: int = 2
    n_syllables: int = 4
    priors: dict = {  # noqa: RUF012
        "emission_base_sigma": 1.0,
        "emission_biases_sigma": 1.0,
        "trans_beta": 1.0,
        "trans_kappa": 10.0,
    }


class Axis(NamedTuple):
    """Workloads that differ in one thing."""

    name: str
    fixed: str  # what they share
    values: tuple  # of the one thing
    workloads: tuple
    fitted: tuple  # fields of `scaling.Cell` whose exponent is fitted


class Plan(NamedTuple):
    """How often things are measured, and on how much data."""

    rounds: int  # turns of one side, then the other
    hhmm_sweeps: int  # a turn
    reference_sweeps: int  # a turn
    cold_processes: int  # of each side
    apart_rounds: int  # of this library, before the reference and again after it
    apart_sweeps: int  # of this library, a turn
    apart_reference_sweeps: int  # in all
    recovery_seeds: int
    kernel_rounds: int  # turns of each library
    kernel_calls: int  # of each kernel, a turn
    scaling_seconds: float  # spent on the sweeps of one size, about
    wide: Workload
    keypoint: Workload
    axes: tuple
    sampler_rounds: int  # turns of each sampler
    sampler_sweeps: dict  # a turn, by workload
    sampler_fit_sweeps: dict  # of the fit whose acceptance is reported, over its second half
    mode_seeds: int  # of the start that is judged
    other_seeds: int  # of the starts beside it, and of each number of states of song
    regimes: Regimes
    song_states: tuple
    calibration: Calibration
    efficiency_repeats: int
    efficiency_sizes: tuple  # numbers of sequences
    precision_timesteps: tuple  # numbers of timesteps
    n_kills: int  # of a fit of each kind
    n_fuzz: int  # inputs
    n_mutants: int  # of a group of modules


class Target(NamedTuple):
    """What is aimed at: `limit` is on the ratio to the peer, or on the figure itself."""

    limit: float
    of_ratio: bool


def _frames(values):
    return Axis(
        "frames",
        "10 sequences, syllables held 40 frames, 10 states, 100 syllables",
        values,
        tuple(
            Workload(f"frames-{n}", 10, n // 10, 10, 100, mean_run=40, from_truth=True)
            for n in values
        ),
        ("states", "sweep", "memory"),
    )


def _syllables(values):
    return Axis(
        "syllables",
        "20 sequences of 1,000, 5 states",
        values,
        tuple(Workload(f"syllables-{n}", 20, 1000, 5, n, from_truth=True) for n in values),
        ("emissions", "sweep", "hessian_product", "memory"),
    )


def _states(values):
    return Axis(
        "states",
        "200 sequences of 1,000, 100 syllables",
        values,
        tuple(Workload(f"states-{n}", 200, 1000, n, 100, from_truth=True) for n in values),
        ("states", "emissions", "sweep", "hessian_product", "memory"),
    )


def _sequences(values, n_frames):
    return Axis(
        "sequences",
        f"{n_frames:,} frames, syllables held 40 frames, 10 states, 100 syllables",
        values,
        tuple(
            Workload(f"sequences-{n}", n, n_frames // n, 10, 100, mean_run=40, from_truth=True)
            for n in values
        ),
        ("states", "sweep", "memory"),
    )


TUTORIAL = Workload("tutorial", 200, 1000, 5, 20, reference_gd_iters=500)
WIDE = Workload("wide", 20, 20_000, 10, 100)
# 21 hours of one camera at 120 frames a second
KEYPOINT = Workload("keypoint", 21, 432_000, 10, 100, mean_run=40, from_truth=True)
DATA_SEED = 0

FULL = Plan(
    rounds=15,
    hhmm_sweeps=20,
    reference_sweeps=5,
    cold_processes=3,
    apart_rounds=5,
    apart_sweeps=4,
    apart_reference_sweeps=2,
    recovery_seeds=10,
    kernel_rounds=15,
    kernel_calls=5,
    scaling_seconds=4.0,
    wide=WIDE,
    keypoint=KEYPOINT,
    axes=(
        _frames((100_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000)),
        _syllables((20, 100, 300, 1000)),
        _states((2, 5, 10, 20, 50)),
        _sequences((1, 10, 100, 1000, 10_000), n_frames=1_000_000),
    ),
    sampler_rounds=9,
    sampler_sweeps={"tutorial": 20, "wide": 2},
    sampler_fit_sweeps={"tutorial": 100, "wide": 100},
    mode_seeds=20,
    other_seeds=5,
    regimes=Regimes(),
    song_states=(2, 3, 4, 5, 6, 8),
    calibration=Calibration(300),
    efficiency_repeats=3,
    efficiency_sizes=(1, 2, 5, 10, 20, 50, 100, 200),
    precision_timesteps=(100_000, 1_000_000, 10_000_000),
    n_kills=10,
    n_fuzz=100_000,
    n_mutants=30,
)
# everything in a few minutes, to see that it works
QUICK = Plan(
    rounds=3,
    hhmm_sweeps=10,
    reference_sweeps=3,
    cold_processes=1,
    apart_rounds=1,
    apart_sweeps=3,
    apart_reference_sweeps=1,
    recovery_seeds=2,
    kernel_rounds=3,
    kernel_calls=3,
    scaling_seconds=0.5,
    wide=WIDE._replace(n_timesteps=2000),
    keypoint=KEYPOINT._replace(n_timesteps=20_000),
    axes=(
        _frames((20_000, 200_000)),
        _syllables((20, 100)),
        _states((2, 10)),
        _sequences((10, 1000), n_frames=100_000),
    ),
    sampler_rounds=2,
    sampler_sweeps={"tutorial": 5, "wide": 2},
    sampler_fit_sweeps={"tutorial": 20, "wide": 10},
    mode_seeds=1,
    other_seeds=1,
    regimes=Regimes(n_sequences=12),
    song_states=(2, 3),
    calibration=Calibration(20, n_sweeps=200),
    efficiency_repeats=1,
    efficiency_sizes=(25, 50),
    precision_timesteps=(10_000, 100_000),
    n_kills=3,
    n_fuzz=500,
    n_mutants=2,
)

# Sweeps before anything is timed: Newton's warm start has something to start from.
WARM_SWEEPS = 10
SCALING_WARM_SWEEPS = 3
COLD_SWEEPS = 100
RECOVERY_SWEEPS = 100

TUTORIAL_SWEEP = Target(1 / 8, of_ratio=True)
TUTORIAL_COLD = Target(1 / 3, of_ratio=True)
WIDE_SWEEP = Target(1 / 300, of_ratio=True)
WIDE_MEMORY = Target(1.5, of_ratio=False)  # GB
KEYPOINT_SWEEP = Target(1 / 200, of_ratio=True)
KEYPOINT_STATES = Target(1 / 30, of_ratio=True)
KEYPOINT_MEMORY = Target(2.0, of_ratio=False)  # GB

# by kernel and peer
KERNEL_TARGETS = {
    ("filter", "hmmlearn"): Target(1 / 4, of_ratio=True),
    ("filter", "dynamax"): Target(1 / 6, of_ratio=True),
    ("log_likelihood", "hmmlearn"): Target(1 / 4, of_ratio=True),
    ("log_likelihood", "dynamax"): Target(1 / 6, of_ratio=True),
    ("smoother", "hmmlearn"): Target(1 / 4, of_ratio=True),
    ("viterbi", "hmmlearn"): Target(1 / 3, of_ratio=True),
}

# Cost is to grow no faster than the number of frames: exponent 1, and what noise adds to it.
FRAMES_EXPONENT = 1.0
FRAMES_EXPONENT_WITHIN_NOISE = 1.1

RECOVERY_ACCURACY = 0.003  # below the accuracy under the true parameters, at most
RECOVERY_NATS = 60.0  # below the log joint of the true parameters, at most
RECOVERY_FRACTION = 0.8  # of the seeds

SCORE_ERROR = 1e-7  # of log p(x), as a fraction
PRECISION_SWEEPS = 5

# The reference keeps about 15 GB at the *wide* and *keypoint* workloads.
APART_REFERENCE_MEMORY_GB = 16.0
