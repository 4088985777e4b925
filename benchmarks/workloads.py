"""Say what is simulated and fitted, and how often it is measured."""

from typing import NamedTuple

# the settings of the published model, which is what the reference fits
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
        """Return the size of the data in one line."""
        held = f", syllables held {self.mean_run} timesteps" if self.mean_run > 1 else ""
        return (
            f"{self.name}: {self.n_sequences} x {self.n_timesteps:,}{held}, "
            f"{self.n_states} states, {self.n_syllables} syllables"
        )


class Axis(NamedTuple):
    """Workloads that differ in one size."""

    name: str
    fixed: str  # what they share
    values: tuple  # of the one size
    workloads: tuple
    fitted: tuple  # fields of `scaling.Cell` whose exponent is fitted


class Plan(NamedTuple):
    """The workloads, and how often each is measured."""

    rounds: int  # turns of one side, then the other
    hhmm_sweeps: int  # a turn
    reference_sweeps: int  # a turn
    cold_processes: int  # of each side
    apart_rounds: int  # of this library, before the reference and again after it
    apart_sweeps: int  # of this library, a turn
    apart_reference_sweeps: int  # in all
    kernel_rounds: int  # turns of each library
    kernel_calls: int  # of each kernel, a turn
    scaling_seconds: float  # spent on the sweeps of one size, about
    wide: Workload
    keypoint: Workload
    axes: tuple
    sampler_rounds: int  # turns of each sampler
    sampler_sweeps: dict  # a turn, by workload
    sampler_fit_sweeps: int  # of the fit whose acceptance is reported, over its second half


def _axis(name, fixed, values, fitted, make):
    """Return an axis whose workloads ``make(name, value)`` returns."""
    made = tuple(make(f"{name}-{n}", n)._replace(from_truth=True) for n in values)
    return Axis(name, fixed, values, made, (*fitted, "sweep", "memory"))


def _frames(*values):
    fixed = "10 sequences, syllables held 40 frames, 10 states, 100 syllables"
    return _axis(
        *("frames", fixed, values, ("states",)),
        lambda name, n: Workload(name, 10, n // 10, 10, 100, mean_run=40),
    )


def _syllables(*values):
    return _axis(
        *("syllables", "20 sequences of 1,000, 5 states", values, ("emissions",)),
        lambda name, n: Workload(name, 20, 1000, 5, n),
    )


def _states(*values):
    return _axis(
        *("states", "200 sequences of 1,000, 100 syllables", values, ("states", "emissions")),
        lambda name, n: Workload(name, 200, 1000, n, 100),
    )


def _sequences(*values, n_frames):
    fixed = f"{n_frames:,} frames, syllables held 40 frames, 10 states, 100 syllables"
    return _axis(
        *("sequences", fixed, values, ("states",)),
        lambda name, n: Workload(name, n, n_frames // n, 10, 100, mean_run=40),
    )


TUTORIAL = Workload("tutorial", 200, 1000, 5, 20, reference_gd_iters=500)
WIDE = Workload("wide", 20, 20_000, 10, 100)
# 21 hours of one camera at 120 frames a second
KEYPOINT = Workload("keypoint", 21, 432_000, 10, 100, mean_run=40, from_truth=True)

FULL = Plan(
    rounds=15,
    hhmm_sweeps=20,
    reference_sweeps=5,
    cold_processes=3,
    apart_rounds=5,
    apart_sweeps=4,
    apart_reference_sweeps=2,
    kernel_rounds=15,
    kernel_calls=5,
    scaling_seconds=4.0,
    wide=WIDE,
    keypoint=KEYPOINT,
    axes=(
        _frames(100_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000),
        _syllables(20, 100, 300, 1000),
        _states(2, 5, 10, 20, 50),
        _sequences(1, 10, 100, 1000, 10_000, n_frames=1_000_000),
    ),
    sampler_rounds=9,
    sampler_sweeps={"tutorial": 20, "wide": 2},
    sampler_fit_sweeps=100,
)
# everything in some minutes, to see that it works
QUICK = Plan(
    rounds=3,
    hhmm_sweeps=10,
    reference_sweeps=3,
    cold_processes=1,
    apart_rounds=1,
    apart_sweeps=3,
    apart_reference_sweeps=1,
    kernel_rounds=3,
    kernel_calls=3,
    scaling_seconds=0.5,
    wide=WIDE._replace(n_timesteps=2000),
    keypoint=KEYPOINT._replace(n_timesteps=20_000),
    axes=(
        _frames(20_000, 200_000),
        _syllables(20, 100),
        _states(2, 10),
        _sequences(10, 1000, n_frames=100_000),
    ),
    sampler_rounds=2,
    sampler_sweeps={"tutorial": 5, "wide": 2},
    sampler_fit_sweeps=20,
)
