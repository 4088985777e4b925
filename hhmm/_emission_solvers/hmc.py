"""An exact draw of the emissions given the counts, by Hamiltonian Monte Carlo.

With m the mode of the emissions and H the Hessian of the negative log posterior f there, a
state is a displacement x = (B, C) - m and a velocity w ~ Normal(0, H^-1), and

    f(m + x) + w' H w / 2

is conserved by dx/dt = w, dw/dt = -H^-1 grad f(m + x). Mode and metric are functions of the
counts alone, so using them leaves the conditional invariant. Of the acceleration, -x is that of
the normal approximation and is solved exactly, by a rotation of (x, w). The rest is applied as a
kick (a splitting: Shahbaba, Lan, Johnson & Neal 2014, "Split Hamiltonian Monte Carlo",
Statistics and Computing 24). One step of length h is

    rotate by h/2:  (x, w) <- (x cos h/2 + w sin h/2, w cos h/2 - x sin h/2)
    kick:           w <- w - h (H^-1 grad f(m + x) - x)
    rotate by h/2

Rotations of adjacent steps are merged. A step with the kick in the middle has half the leading
error of one with half a kick at each end, and n steps take n kicks instead of n + 1: for 10 states
and 100 syllables, 4 kicks are accepted with probability 0.87, where it took 6 for 0.81.

Where the posterior is normal the kicks vanish, and steps that make a quarter of a turn give an
independent draw. The Metropolis test (Duane, Kennedy, Pendleton & Roweth 1987; Neal 2011,
"MCMC using Hamiltonian dynamics", section 5.3.2) makes the rest exact. The length is jittered, so
no periodic orbit holds the chain.

The velocity is the perturb-and-solve draw of `laplace`, and each H^-1 is a run of conjugate
gradients: H is never formed. A kick is a function of x alone, however exactly it is solved, so the
map preserves volume and is reversible. The accuracy only changes how many proposals are accepted.

Tuning. While the chain warms up, the length of a step is tuned to a probability of acceptance
of 0.8, by stochastic approximation of its logarithm (Robbins & Monro 1951; Andrieu & Thoms 2008,
"A tutorial on adaptive MCMC", Statistics and Computing 18, section 4.2). Afterwards it is fixed.

Wide priors. Under a wide prior the posterior of a transition that never occurs falls off within a
few nats on one side, where counts bound it, and over a prior standard deviation or so on the other.
The Hessian at the mode sees the wide side alone, and steps in its metric that are short enough for
the steep side are far too short for all else. So where the standard deviation of a term is larger
than `WIDE`, the metric is the Hessian of counts with up to `PSEUDO_COUNT` more of every transition,
under a prior that is not wider than `FLOOR` allows. It depends on counts and scales alone, as the
mode does. The normal approximation is of no use there, so steps are those of the leapfrog method, a
straight line in place of the rotation. The tails of unseen transitions, which trajectories explore
slowly, are drawn entry by entry afterwards (see `entries`). For songs of 9 syllables fitted
with 3 states and learnt scales (14 for the base, 8 for the biases), a quarter of a turn takes 2 or
3 steps, where it took 90 to 400 in the metric of the Hessian.

In this metric the posterior is wider than one in some directions: where a syllable follows another
in one state only, its bias there may rise as far as the base falls, and only the priors bound that.
A quarter of a turn is then a short step of a random walk, so trajectories are `LONG`. For the
counts of those songs, at their scales, 3,000 draws of the worst entry are worth 2 with a quarter of
a turn, about 170 with four, 600 with eight, and 960 with sixteen, which take 1.5 times as long as
eight. Without the draws of single entries, those with eight are worth 70.

Short steps. A step of the tuned length can be too long where the posterior is steepest, and a
chain that is there would reject every proposal. So one proposal in ten, chosen without regard to
the state, takes steps of an eighth of the length. A mixture of kernels that each leave the
conditional invariant leaves it invariant. Only proposals of the tuned length are used for tuning.

Warm-up. Trajectories are accurate where the posterior is. A chain that starts far away, or whose
counts change at once, would stay where it is. So a chain starts at the mode, and while it warms up
a proposal that has next to no chance of acceptance is replaced by the mode, where the posterior is
smooth whatever the prior. Afterwards every draw leaves the conditional invariant.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hhmm._emission_solvers.entries import WIDE, draw_entries
from hhmm._emission_solvers.laplace import draw_with_hessian_covariance, noise_shape
from hhmm._emission_solvers.objective import (
    Draw,
    Tuning,
    conjugate_gradients,
    curvature,
    evaluate,
    hessian_product,
)
from hhmm._model.terms import scale_of
from hhmm._runtime.keys import to_normals, uniforms

QUARTER_TURN = np.pi / 2
# length of a trajectory under a wide prior
LONG = 8 * QUARTER_TURN
FIRST_STEP = np.pi / 6
# of each transition, and least precision of a prior, in the metric under a wide prior
PSEUDO_COUNT = 0.3
FLOOR = 0.05
SHORTEST_STEP = QUARTER_TURN / 1024
MAX_STEPS = 64
# share of proposals that go a fraction of the way, in as many steps: accurate where others diverge
SHORT_SHARE = 0.1
SHORT_LENGTH = 1 / 8
TARGET_ACCEPTANCE = 0.8
# the gain of the n-th proposal of the warm-up is n ** -GAIN_DECAY
GAIN_DECAY = 0.6
# every trajectory is up to this fraction shorter or longer
JITTER = 0.2
# an error of the energy, in nats, that no accurate trajectory makes
DIVERGENT = 1000.0
# a chance of acceptance that a chain near its target does not meet
HOPELESS = 1e-3
# Half the squared Newton decrement, in nats, of the mode: it depends on where the solve started,
# and so on the chain, by about 1e-5 posterior standard deviations: the step that follows takes it
# far below this figure.
MODE_TOL = 1e-8
# squared error of a kick, in squared posterior standard deviations, and of its squared length
KICK_TOL = 1e-2
KICK_RELATIVE_TOL = 1e-4
KICK_MAX_ITER = 500


def first_tuning():
    """Return the `Tuning` of a new chain."""
    return Tuning(np.float64(np.log(FIRST_STEP)), np.int32(0))


def tune(tuning, acceptance, target=TARGET_ACCEPTANCE):
    """Return the `Tuning` after a proposal of the warm-up accepted with this probability."""
    n_tuned = tuning.n_tuned + 1
    gain = n_tuned.astype(jnp.float64) ** -GAIN_DECAY
    log_step = tuning.log_step + gain * (acceptance - target)
    bounds = np.log(SHORTEST_STEP), np.log(QUARTER_TURN)
    return Tuning(jnp.clip(log_step, *bounds), n_tuned)


def steps(tuning, length=QUARTER_TURN):
    """Return the number of steps of a trajectory and their length.

    The steps make a trajectory of this length, and none is longer than tuned. Where that takes
    more than `MAX_STEPS`, steps have the tuned length, and the trajectory is shorter.
    """
    longest = jnp.exp(tuning.log_step)
    n_steps = jnp.clip(jnp.ceil(length / longest - 1e-9), 1, MAX_STEPS).astype(jnp.int32)
    return n_steps, jnp.minimum(length / n_steps, longest)


def draw(keys, terms, counts, priors, current, solve, warming_up, tuning):
    """Do one step of Hamiltonian Monte Carlo from the current emissions.

    Arguments and returns are those of `laplace.draw`. `current` without parameters (NaN) counts
    as the mode.
    """
    # one call makes all the noise
    shape = noise_shape(terms)
    uniform = uniforms(keys.all_at_once, (math.prod(shape) + 3,))
    noise = to_normals(uniform[:-3]).reshape(shape)
    uniform_length, uniform_kind, uniform_test = uniform[-3:]
    is_wide = has_wide_prior(terms, priors)
    added = jnp.where(is_wide, _pseudo_counts(counts.departures), 0.0)
    to_metric = functools.partial(_metric, added=terms.by_batch(added), is_wide=is_wide)
    solution = solve(
        right_hand_side=lambda metric: draw_with_hessian_covariance(noise, terms, metric),
        metric=to_metric,
        tol=MODE_TOL,
    )
    mode, velocity = terms.stack(solution.mode), solution.solved
    hessian = curvature(terms, counts, priors, mode)
    metric = to_metric(hessian)
    start = terms.stack(current) - mode
    start = jnp.where(jnp.isfinite(start), start, 0.0)
    is_short = uniform_kind < SHORT_SHARE
    n_steps, size = steps(tuning, jnp.where(is_wide, LONG, QUARTER_TURN))
    size = size * (1 + JITTER * (2 * uniform_length - 1)) * jnp.where(is_short, SHORT_LENGTH, 1)

    # One loop for the energy at the start, the kicks, and the energy at the end: what they
    # have in common is compiled once.
    def turn(i, carry):
        x, w, energies = carry
        is_kick = (i > 0) & (i <= n_steps)
        share = jnp.where((i == 1) | (i > n_steps), 0.5, 1.0) * (i > 0)
        x, w = _move(x, w, share * size, is_wide)
        value, gradient, _ = evaluate(terms, counts, priors, mode + x)
        used = jax.tree.map(lambda a, b: jnp.where(is_kick, a, b), hessian, metric)
        product = hessian_product(terms, used, jnp.where(is_kick, x, w))

        def kicked():
            # what a rotation has done already
            done = jnp.where(is_wide, 0.0, product)
            kick = conjugate_gradients(
                terms,
                metric,
                gradient - done,
                tol=KICK_TOL,
                relative_tol=KICK_RELATIVE_TOL,
                max_iter=KICK_MAX_ITER,
            )
            return w - size * kick, energies

        def measured():
            return w, jnp.stack([energies[1], value + 0.5 * jnp.vdot(w, product)])

        return x, *lax.cond(is_kick, kicked, measured)

    carry = start, velocity, jnp.zeros(2)
    end, _, (before, after) = lax.fori_loop(0, n_steps + 2, turn, carry)
    error = after - before
    diverging = ~(error < DIVERGENT)
    acceptance = jnp.where(diverging, 0.0, jnp.exp(-jnp.maximum(error, 0.0)))
    x = jnp.where(uniform_test < acceptance, end, start)
    x = jnp.where(warming_up & (acceptance < HOPELESS), 0.0, x)
    point = lax.cond(
        is_wide,
        lambda: draw_entries(keys.entries, terms, counts, priors, mode + x),
        lambda: mode + x,
    )
    tuned = tune(tuning, acceptance)
    learns = warming_up & ~is_short
    tuning = jax.tree.map(lambda new, old: jnp.where(learns, new, old), tuned, tuning)
    return Draw(terms.unstack(point), solution, acceptance, diverging, tuning)


def has_wide_prior(terms, priors):
    """Return whether the prior of a term other than of groups is wide; a flat one is not, ()."""
    scales = [scale_of(priors, term) for term in terms.present if term.factor is None]
    scales = jnp.stack(scales) if scales else jnp.zeros(1)
    return jnp.any((scales > WIDE) & jnp.isfinite(scales))


def _pseudo_counts(departures):
    """Return what is added to the count of each transition from i in context c, (C, S).

    Next to nothing where syllable i is not met in state k: what keeps states apart there, the base
    and the biases undo, and only their priors bound it.
    """
    n_syllables = departures.shape[1]
    return PSEUDO_COUNT * departures / (departures + n_syllables)


def _metric(hessian, added, is_wide):
    """Return the `Curvature` in which lengths are measured: the Hessian, or its wide-prior form."""
    by_from, by_context = hessian.sums
    return hessian._replace(
        added=added,
        departures=hessian.departures + added.shape[-1] * added,
        sums=(
            by_from + added.sum(axis=1)[..., None],
            by_context + added.sum(axis=2, keepdims=True),
        ),
        precision=jnp.maximum(hessian.precision, jnp.where(is_wide, FLOOR, 0.0)),
    )


def _move(x, w, angle, is_straight):
    """Move along a rotation, or along a straight line."""
    cos = jnp.where(is_straight, 1.0, jnp.cos(angle))
    sin = jnp.sin(angle)
    x_by_w = jnp.where(is_straight, angle, sin)
    w_by_x = jnp.where(is_straight, 0.0, sin)
    return cos * x + x_by_w * w, cos * w - w_by_x * x
