"""Compare learnt scales with fixed ones: held-out scores, and the time of a fit.

Two models are fitted to each problem: the published one, with exact draws, and one that learns all
scales and decides by itself whether syllables are held (of frames, held syllables are left out of
both). The score is that of sequences that were held out, averaged over posterior draws, in nats per
transition. It is a mean over seeds. The last column has four chains of the second model, weighted
by stacking. The time of a fit is a median over seeds, in turn, with everything compiled. Learnt
scales may score worse by 0.002 nowhere, must be better on average, and a fit may take 1.5 times as
long at most.
"""

import statistics
import time
from typing import NamedTuple

import numpy as np

from benchmarks.figures import RULE, verdict
from benchmarks.studies._lab_mice import simulate
from benchmarks.studies._study import run_study, split_songs
from benchmarks.workloads import PUBLISHED
from hhmm import EfficientHHMM
from hhmm.datasets import load_bengalese_finch, make_hhmm

LEARNT = {
    "emission_usage_sigma": "auto",
    "emission_base_sigma": "auto",
    "emission_biases_sigma": "auto",
    "self_transitions": "auto",
}
N_SEEDS = 3
WORSE = 0.002
SLOWER = 1.5


class Problem(NamedTuple):
    """Sequences to train on and sequences to predict."""

    name: str
    n_states: int
    train: list
    test: list
    self_transitions: bool = True  # of the fixed model; the other decides by itself
    is_fast: bool = False  # whether states last for a few timesteps


class Comparison(NamedTuple):
    """Both models on one problem."""

    name: str
    scores: tuple  # fixed, learnt, and learnt by four chains, nats per transition
    seconds: tuple


def make_problems(quick):
    """Yield the problems."""
    data = make_hhmm(200, 1000, random_state=0).X
    yield Problem("tutorial", 5, list(data[:160]), list(data[160:]))
    train, test = split_songs(load_bengalese_finch().sequences)
    for n_states in (3,) if quick else range(2, 9):
        yield Problem(f"finch, {n_states} states", n_states, train, test, is_fast=True)
    if quick:
        return
    frames = simulate(seed=5, n_mice=12, minutes=(10, 15), drug_content=0.0)["frames"]
    runs = [x[np.r_[True, np.diff(x) != 0]] for x in frames]
    yield Problem("simulated lab, frames", 4, frames[::2], frames[1::2], self_transitions=False)
    yield Problem("simulated lab, runs", 4, runs[::2], runs[1::2])
    for name, n_states, settings in (
        (
            "narrow scales",
            3,
            {
                "n_sequences": 80,
                "n_timesteps": 500,
                "n_syllables": 30,
                "emission_usage_sigma": 1.5,
                "emission_base_sigma": 0.3,
                "emission_biases_sigma": 0.4,
                "trans_kappa": 50.0,
            },
        ),
        (
            "wide scales",
            4,
            {
                "n_sequences": 80,
                "n_timesteps": 300,
                "n_syllables": 12,
                "emission_base_sigma": 3.0,
                "emission_biases_sigma": 2.0,
                "trans_kappa": 20.0,
            },
        ),
        ("few data", 2, {"n_sequences": 12, "n_timesteps": 150, "n_syllables": 8}),
    ):
        data = make_hhmm(n_states=n_states, random_state=1, **settings).X
        n_train = 3 * len(data) // 4
        yield Problem(name, n_states, list(data[:n_train]), list(data[n_train:]))


def compare(problem, n_seeds):
    """Fit both models from several seeds.

    Parameters
    ----------
    problem : Problem
    n_seeds : int

    Returns
    -------
    comparison : Comparison
    """
    fixed = PUBLISHED | {"self_transitions": problem.self_transitions, "emission_sampler": "hmc"}
    learnt = LEARNT
    if problem.is_fast:
        fixed = fixed | {"trans_kappa": 1.0}
        learnt = learnt | {"trans_beta": "auto", "trans_kappa": "auto"}
    models = (fixed, learnt, learnt | {"n_chains": 4})
    scores, seconds = ([], [], []), ([], [], [])
    for seed in (0, *range(n_seeds)):  # the first is compiled
        for i, settings in enumerate(models):
            model = EfficientHHMM(problem.n_states, random_state=seed, **settings)
            began = time.perf_counter()
            model.fit(problem.train)
            seconds[i].append(time.perf_counter() - began)
            scores[i].append(model.score_samples(problem.test, average=True).sum())
    if problem.self_transitions:
        n_transitions = sum(len(x) - 1 for x in problem.test)
    else:
        n_transitions = sum(np.count_nonzero(np.diff(x)) for x in problem.test)
    return Comparison(
        problem.name,
        tuple(statistics.mean(values[1:]) / n_transitions for values in scores),
        tuple(statistics.median(values[1:]) for values in seconds),
    )


def make_table(comparisons):
    """Return scores and times with the verdict."""
    lines = [
        f"{'nats per transition':<28}{'fixed':>10}{'learnt':>10}{'gain':>10}"
        f"{'fixed':>11}{'learnt':>10}{'ratio':>8}{'4 chains':>10}",
        RULE,
    ]
    gains, ratios = [], []
    for row in comparisons:
        gains.append(row.scores[1] - row.scores[0])
        ratios.append(row.seconds[1] / row.seconds[0])
        lines.append(
            f"{row.name:<28}{row.scores[0]:>10.4f}{row.scores[1]:>10.4f}{gains[-1]:>+10.4f}"
            f"{row.seconds[0]:>9.2f} s{row.seconds[1]:>8.2f} s{ratios[-1]:>8.2f}"
            f"{row.scores[2]:>10.4f}"
        )
    mean = statistics.mean(gains)
    lines += [
        RULE,
        f"nowhere worse by more than {WORSE}: {verdict(min(gains) >= -WORSE)}",
        f"better on average, by {mean:.4f}: {verdict(mean > 0)}",
        f"no fit takes more than {SLOWER} times as long: {verdict(max(ratios) <= SLOWER)}",
    ]
    return "\n".join(lines)


def measure(quick):
    """Compare both models on all problems, and return the table."""
    comparisons = []
    for problem in make_problems(quick):
        print(problem.name, flush=True)
        comparisons.append(compare(problem, 1 if quick else N_SEEDS))
    return make_table(comparisons)


if __name__ == "__main__":
    run_study(__file__, __doc__, measure)
