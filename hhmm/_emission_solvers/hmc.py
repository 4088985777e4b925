"""An exact draw of the emissions given the counts, by Hamiltonian Monte Carlo.

With m the mode of the emissions and H the Hessian of the negative log posterior f there, a
state is a displacement x = (B, C) - m and a velocity w ~ Normal(0, H^-1), and

    f(m + x) + w' H w / 2

is conserved by dx/dt = w, dw/dt = -H^-1 grad f(m + x). Mode and metric follow from the
counts alone, so they may be used without harm to the invariance of the conditional. Of the
acceleration, -x is that of the Normal approximation and solved exactly, by a rotation of
(x, w); the rest is kicked (a splitting: Shahbaba, Lan, Johnson & Neal 2014, "Split
Hamiltonian Monte Carlo", Statistics and Computing 24). One step of length h is

    w <- w - h/2 (H^-1 grad f(m + x) - x)
    (x, w) <- (x cos h + w sin h, w cos h - x sin h)
    w <- w - h/2 (H^-1 grad f(m + x) - x)

Where the posterior is Normal the kicks vanish, and what steps that make a quarter of a turn
bring is an independent draw. The Metropolis test (Duane, Kennedy, Pendleton & Roweth 1987;
Neal 2011, "MCMC using Hamiltonian dynamics", section 5.3.2) makes the rest exact. The
length is jittered, so that no periodic orbit holds the chain.

The error of the energy grows with the number of parameters, and falls with the fourth power of
the length of a step. So while the chain warms up, the length is tuned to a probability of
acceptance of 0.65 (Beskos, Pillai, Roberts, Sanz-Serna & Stuart 2013, "Optimal tuning of the hybrid
Monte Carlo algorithm", Bernoulli 19), by stochastic approximation of its logarithm (Robbins & Monro
1951; Andrieu & Thoms 2008, "A tutorial on adaptive MCMC", Statistics and Computing 18, section
4.2). From then on it is fixed, and every step leaves the posterior invariant.

The velocity is the perturb-and-solve draw of `laplace`, and each H^-1 is a run of conjugate
gradients: H is never formed. Kicks are functions of x alone, however exactly they are
solved, so that the map keeps volume and runs backwards; how exactly only sets how many
proposals are accepted. Where many steps are needed, their errors add up: the tolerance is divided
by the squared number of steps.

With wide priors the posterior is far from Normal: logits of transitions that never occur have a
wall on one side and the prior on the other. Trajectories are accurate where the posterior is, and
diverge far away. Three things keep a chain from being stuck. It starts at the mode. While it warms
up, a chain whose proposal has next to no chance is put back to the mode. And a share of proposals,
chosen at random, goes a fraction of the way in steps as much shorter, which is accurate elsewhere
too. After the warm-up every step leaves the posterior invariant: it is a mixture of two kernels
that do. Songs of a Bengalese finch, 8 states, 200 sweeps, 10 chains: with scales of base and biases
(1, 1), (4, 2), (10, 5) and (25, 10), steps are 2, 6, 13 and 32, and none of the chains has an
acceptance below 0.5 in the second half.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hhmm._emission_solvers.laplace import draw_with_hessian_covariance
from hhmm._emission_solvers.objective import (
    Draw,
    Tuning,
    conjugate_gradients,
    curvature,
    evaluate,
    hessian_product,
    syllable_probs,
)
from hhmm._random import uniforms

QUARTER_TURN = np.pi / 2
FIRST_STEP = np.pi / 6
MAX_STEPS = 64
# share of proposals that go a fraction of the way, in as many steps: accurate where others diverge
SHORT_SHARE = 0.1
SHORT_LENGTH = 1 / 8
TARGET_ACCEPTANCE = 0.65
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
KICK_TOL = 1e-10
KICK_RELATIVE_TOL = 5e-3
KICK_MAX_ITER = 500


def first_tuning():
    """`Tuning` of a chain that is new."""
    return Tuning(np.float64(np.log(FIRST_STEP)), np.int32(0))


def tune(tuning, acceptance):
    """`Tuning` after a proposal of the warm-up that is accepted with this probability."""
    n_tuned = tuning.n_tuned + 1
    gain = n_tuned.astype(jnp.float64) ** -GAIN_DECAY
    log_step = tuning.log_step + gain * (acceptance - TARGET_ACCEPTANCE)
    bounds = np.log(QUARTER_TURN / MAX_STEPS), np.log(QUARTER_TURN)
    return Tuning(jnp.clip(log_step, *bounds), n_tuned)


def steps(tuning):
    """The number of steps that make a quarter of a turn, none longer than tuned; their length."""
    n_steps = jnp.ceil(QUARTER_TURN / jnp.exp(tuning.log_step) - 1e-9).astype(jnp.int32)
    return n_steps, QUARTER_TURN / n_steps


def draw(key, terms, counts, priors, current, solve, warming_up, tuning):
    """One step of Hamiltonian Monte Carlo from the current emissions.

    Arguments and returns as of `laplace.draw`; `current` without parameters (NaN) counts as being
    at the mode.
    """
    key_velocity, key_uniforms = jax.random.split(key)
    solution = solve(
        right_hand_side=lambda hessian: draw_with_hessian_covariance(
            key_velocity, terms, counts, hessian
        ),
        tol=MODE_TOL,
    )
    mode, velocity = terms.stack(solution.mode), solution.solved
    hessian = curvature(terms, counts, priors, syllable_probs(terms, mode))
    uniform = uniforms(key_uniforms, (3,))
    start = terms.stack(current) - mode
    start = jnp.where(jnp.isfinite(start), start, 0.0)
    n_steps, size = steps(tuning)
    is_short = uniform[2] < SHORT_SHARE
    size = size * (1 + JITTER * (2 * uniform[0] - 1)) * jnp.where(is_short, SHORT_LENGTH, 1.0)

    def kick_and_rotate(i, carry):
        x, w, first_value, _ = carry
        value, gradient, _ = evaluate(terms, counts, priors, mode + x)
        kick = conjugate_gradients(
            terms,
            hessian,
            gradient - hessian_product(terms, hessian, x),
            tol=KICK_TOL,
            relative_tol=KICK_RELATIVE_TOL / n_steps**2,
            max_iter=KICK_MAX_ITER,
        )
        w = w - size * jnp.where((i == 0) | (i == n_steps), 0.5, 1.0) * kick
        angle = jnp.where(i == n_steps, 0.0, size)
        x, w = (
            jnp.cos(angle) * x + jnp.sin(angle) * w,
            jnp.cos(angle) * w - jnp.sin(angle) * x,
        )
        return x, w, jnp.where(i == 0, value, first_value), value

    nothing = jnp.zeros(())
    carry = start, velocity, nothing, nothing
    end, last, first_value, last_value = lax.fori_loop(0, n_steps + 1, kick_and_rotate, carry)
    kinetic = lax.map(
        lambda w: 0.5 * jnp.vdot(w, hessian_product(terms, hessian, w)), jnp.stack([velocity, last])
    )
    error = last_value + kinetic[1] - first_value - kinetic[0]
    diverging = ~(error < DIVERGENT)
    acceptance = jnp.where(diverging, 0.0, jnp.exp(-jnp.maximum(error, 0.0)))
    x = jnp.where(uniform[1] < acceptance, end, start)
    x = jnp.where(warming_up & (acceptance < HOPELESS), 0.0, x)
    tuned = tune(tuning, acceptance)
    tunes = warming_up & ~is_short
    tuning = jax.tree.map(lambda new, old: jnp.where(tunes, new, old), tuned, tuning)
    return Draw(terms.unstack(mode + x), solution, acceptance, diverging, tuning)
