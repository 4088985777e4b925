"""The *efficiency* part: how much data a fit takes.

Sequences like the *tutorial*'s; each repeat draws a truth of its own. Three models are
fitted to the first few sequences and judged on others:

this model
    (S + K - 1)(S - 1) emission parameters.
free
    `benchmarks._free_emissions`: a syllable transition matrix for each state, K S (S - 1)
    emission parameters, with uniform Dirichlet priors. Under those the logarithms of two
    probabilities of a row differ by as much as under the prior of this model: a variance of 2
    psi'(1) = 3.3, there 2 (1 + (K - 1) / K) = 3.6.
one state
    A Markov chain, (S - 1) S emission parameters.

The first two have the same states, the same prior of their transitions and the same method,
expectation maximisation to a mode in the logits, to the same tolerance. They start at the same
point, that of ``init="windows"``. It was found by races of this model: lest that be to the
free model's disadvantage, that one is fitted once more from the true states, which no one has.
Of its two fits the better one at each size is what this model is compared with.

Accuracy is that of the most probable state of each timestep given its sequence.
"""

import math
import statistics

from benchmarks import workloads
from benchmarks.figures import RULE, verdict
from benchmarks.sides import EFFICIENCY
from benchmarks.workloads import TUTORIAL

MODELS = ("this model", "free", "free from truth", "one state")
FREE = ("free", "free from truth")
N_TEST = 50
EMISSION_ALPHA = 1.0
# the free model is to need so many times the sequences, at least, for an equal score
TARGET_MULTIPLE = 3.0


def measure_efficiency(plan, say):
    """Fit all models to more and more sequences.

    Parameters
    ----------
    plan : workloads.Plan
    say : callable
        Told what is going on.

    Returns
    -------
    efficiency : dict
        ``repeats``, what was measured; ``rows``, `summarise_repeats` of it; ``multiples``,
        ``met``.
    """
    shape = {"n_states": TUTORIAL.n_states, "n_syllables": TUTORIAL.n_syllables}
    repeats = []
    with EFFICIENCY.worker() as worker:
        for repeat in range(plan.efficiency_repeats):
            truth = worker.request(
                "make",
                seed=workloads.DATA_SEED + 1 + repeat,
                n_train=max(plan.efficiency_sizes),
                n_test=N_TEST,
                n_timesteps=TUTORIAL.n_timesteps,
                **shape,
            )
            fits = {}
            for size in plan.efficiency_sizes:
                say(f"efficiency: repeat {repeat}, {size} sequences")
                fits[size] = worker.request(
                    "fit", n_train=size, emission_alpha=EMISSION_ALPHA, seed=repeat, **shape
                )
            repeats.append({"truth": truth, "fits": fits})
    rows = summarise_repeats(repeats)
    multiples = data_multiples(rows)
    return {
        "repeats": repeats,
        "rows": rows,
        "multiples": multiples,
        "met": meets_target(multiples),
    }


def summarise_repeats(repeats):
    """Medians and extremes over the repeats.

    Parameters
    ----------
    repeats : list of dict
        ``truth``, its ``score`` and ``accuracy`` on the test sequences; ``fits``, the same by
        number of sequences and by model.

    Returns
    -------
    rows : list of dict
        One a number of sequences, ``n_sequences``, and by model a dict of ``accuracy``,
        ``truth_accuracy`` and ``short``, the nats per transition below the truth's score:
        each a list of minimum, median and maximum.
    """
    rows = []
    for size in repeats[0]["fits"]:
        row = {"n_sequences": size}
        for model in MODELS:
            fits = [repeat["fits"][size][model] for repeat in repeats]
            truths = [repeat["truth"] for repeat in repeats]
            row[model] = {
                "accuracy": _spread([fit["accuracy"] for fit in fits]),
                "short": _spread(
                    [t["score"] - fit["score"] for t, fit in zip(truths, fits, strict=True)]
                ),
            }
        row["truth_accuracy"] = _spread([truth["accuracy"] for truth in truths])
        rows.append(row)
    return rows


def data_multiples(rows):
    """How many times the sequences the free model needs for this model's score.

    From the medians, between two numbers of sequences on the line through the logarithms of both.

    Parameters
    ----------
    rows : list of dict
        Of `summarise_repeats`, by rising number of sequences.

    Returns
    -------
    multiples : list of dict
        ``n_sequences``, ``multiple`` and ``at_least``, True where the most sequences that the
        free model was given were too few: then the multiple is at least what is
        said.
    """
    sizes = [row["n_sequences"] for row in rows]
    free = [min(row[model]["short"][1] for model in FREE) for row in rows]
    multiples = []
    for row in rows:
        short = row["this model"]["short"][1]
        enough = next((i for i, value in enumerate(free) if value <= short), None)
        if enough is None:
            needed = sizes[-1]
        elif enough == 0:
            needed = sizes[0]
        else:
            high, low = free[enough - 1], free[enough]
            # at or above the truth's score there is no logarithm to draw a line through
            part = 1.0 if short <= 0 or low <= 0 else math.log(high / short) / math.log(high / low)
            ratio = sizes[enough] / sizes[enough - 1]
            needed = sizes[enough - 1] * ratio**part
        multiples.append(
            {
                "n_sequences": row["n_sequences"],
                "multiple": needed / row["n_sequences"],
                "at_least": enough is None,
            }
        )
    return multiples


def meets_target(multiples):
    """Whether every multiple is as large as is aimed at, those that are not known left out.

    A multiple that is only known to be at least something below the target says nothing.
    """
    known = [m for m in multiples if not m["at_least"] or m["multiple"] >= TARGET_MULTIPLE]
    return all(m["multiple"] >= TARGET_MULTIPLE for m in known) if known else None


def efficiency_table(efficiency):
    """Medians by number of sequences and model, and how many times the data."""
    rows = efficiency["rows"]
    k, s = TUTORIAL.n_states, TUTORIAL.n_syllables
    short_names = {"free from truth": "from truth"}
    names = [short_names.get(model, model) for model in MODELS]
    heading = "".join(f"{name:>11}" for name in names)
    lines = [
        f"{TUTORIAL.n_timesteps:,} timesteps a sequence, {k} states, {s} syllables; {N_TEST} "
        f"sequences to test on; medians of {len(efficiency['repeats'])} truths.",
        f"Emission parameters: this model {(s + k - 1) * (s - 1):,}, free {k * s * (s - 1):,}, one "
        f"state {s * (s - 1):,}; 'from truth': free, started at",
        "the true states.",
        f"{'':>9}{'nats per transition below the true parameters':>47}{'accuracy':>41}",
        f"{'sequences':>9}{heading}  {heading}",
        RULE,
    ]
    for row in rows:
        lines.append(
            f"{row['n_sequences']:>9}"
            + "".join(f"{row[model]['short'][1]:>11.4f}" for model in MODELS)
            + "  "
            + "".join(f"{row[model]['accuracy'][1]:>11.3f}" for model in MODELS)
        )
    lines.append(f"accuracy under the true parameters: {rows[0]['truth_accuracy'][1]:.3f}")
    lines.append("times the sequences that the free model needs for the score of this model:")
    for m in efficiency["multiples"]:
        bound = "more than " if m["at_least"] else ""
        lines.append(f"{m['n_sequences']:>10}  {bound}{m['multiple']:.1f}")
    lines.append(
        f"target at least {TARGET_MULTIPLE:g} wherever that is known "
        f"(the parameters are {k * s / (s + k - 1):.1f} times as many): "
        f"{verdict(efficiency['met']) or 'open'}"
    )
    return "\n".join(lines)


def _spread(values):
    return [min(values), statistics.median(values), max(values)]
