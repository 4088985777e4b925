"""Compare how much data this model needs with a model of free emissions.

Sequences like those of the *tutorial* workload; each repeat draws a truth of its own. Three models
are fitted to the first few sequences and judged on others:

this model
    (S + K - 1)(S - 1) emission parameters.
free
    A syllable transition matrix for each state, K S (S - 1) emission parameters. It is the model of
    base and interactions without biases, at scales under which every logit of every state is
    independent and has the same prior variance as here, 1 + (K - 1) / K.
one state
    A Markov chain, S (S - 1) emission parameters.

All have the same prior of the transitions and the same method, expectation maximisation to a mode,
to the same tolerance. This model starts at the winner of ``init="windows"``, and the free model at
the states that this winner gives. It was found by races of this model, so the free model is fitted
once more from the true states, which no user has. The better of its two fits at each size is what
this model is compared with.

Accuracy is that of the most probable state of each timestep given its sequence.
"""

import math
import statistics

from benchmarks.figures import RULE, verdict
from benchmarks.studies._study import run_study
from benchmarks.workloads import PUBLISHED, TUTORIAL
from hhmm import EfficientHHMM
from hhmm.datasets import make_hhmm
from hhmm.metrics import matched_accuracy

K, S = TUTORIAL.n_states, TUTORIAL.n_syllables
LOGIT_SIGMA = math.sqrt(1 + (K - 1) / K)
FREE = PUBLISHED | {
    "emission_base_sigma": LOGIT_SIGMA / math.sqrt(K),  # of the mean over states
    "emission_biases_sigma": 0,
    "emission_interactions_sigma": LOGIT_SIGMA,
}
# by name: label in the picture, colour that all kinds of colour vision tell apart, marker, line
MODELS = {
    "this model": ("this model, (S + K - 1)(S - 1) parameters", "#0072B2", "o", "-"),
    "free": ("free emissions, K S (S - 1), same states at the start", "#D55E00", "s", "-"),
    "from truth": ("free emissions, started at the true states", "#E69F00", "^", "--"),
    "one state": ("one state, S (S - 1)", "#009E73", "v", ":"),
}
N_TEST = 50
# the free model is to need so many times the sequences, at least, for an equal score
MULTIPLE = 3.0


def measure(quick):
    """Fit all models to more and more sequences; return the table and the medians."""
    sizes, n_repeats = ((25, 50), 1) if quick else ((1, 2, 5, 10, 20, 50, 100, 200), 3)
    repeats, ceilings = [], []
    for repeat in range(n_repeats):
        n_sequences = max(sizes) + N_TEST
        data = make_hhmm(n_sequences, TUTORIAL.n_timesteps, K, S, random_state=1 + repeat)
        test = data.X[-N_TEST:], data.states[-N_TEST:]
        truth = EfficientHHMM.from_params(
            data.emission_base, data.emission_biases, data.trans_probs
        )
        true_score, ceiling = _judge(truth, *test)
        ceilings.append(ceiling)
        fits = {}
        for size in sizes:
            print(f"repeat {repeat}, {size} sequences", flush=True)
            X, states = data.X[:size], data.states[:size]
            start = _fit(X, K, "windows", max_iter=1)
            models = {
                "this model": _fit(X, K, start),
                "free": _fit(X, K, start.predict_proba(X).argmax(axis=-1), settings=FREE),
                "from truth": _fit(X, K, states, settings=FREE),
                "one state": _fit(X, 1, "prior"),
            }
            judged = {name: _judge(model, *test) for name, model in models.items()}
            fits[size] = {
                name: (true_score - score, accuracy) for name, (score, accuracy) in judged.items()
            }
        repeats.append(fits)
    # by size and model: minimum, median and maximum of each
    spreads = {
        size: {
            model: [
                (min(values), statistics.median(values), max(values))
                for values in zip(*(fits[size][model] for fits in repeats), strict=True)
            ]
            for model in MODELS
        }
        for size in sizes
    }
    ceiling = statistics.median(ceilings)
    return _table(spreads, ceiling, n_repeats), (spreads, ceiling, n_repeats)


def _judge(model, X, states):
    """Return nats per transition, and the accuracy of the states."""
    found = model.predict_proba(X).argmax(axis=-1)
    return model.score(X), matched_accuracy(states, found)


def _fit(X, n_states, init, settings=PUBLISHED, max_iter=1000):
    return EfficientHHMM(
        n_states,
        S,
        algorithm="em",
        init=init,
        max_iter=max_iter,
        tol=1e-2,
        random_state=0,
        **settings,
    ).fit(X)


def data_multiples(ours, free):
    """Return how many times the sequences the free model needs for the score of this model.

    Between two numbers of sequences, from the line through the logarithms of both.

    Parameters
    ----------
    ours, free : dict of float
        Nats per transition below the truth, by rising number of sequences.

    Returns
    -------
    multiples : dict of (float, bool)
        By number of sequences: the multiple, and whether it is known. If the free model never
        reached the score, the multiple is only known to be larger than the one returned.
    """
    sizes, multiples = list(free), {}
    for size, short in ours.items():
        enough = next((i for i, n in enumerate(sizes) if free[n] <= short), None)
        if enough is None:
            needed = sizes[-1]
        elif enough == 0:
            needed = sizes[0]
        else:
            before, after = sizes[enough - 1 : enough + 1]
            # at or above the truth's score there is no logarithm to draw a line through
            known = min(short, free[after]) > 0
            part = (
                math.log(free[before] / short) / math.log(free[before] / free[after])
                if known
                else 1
            )
            needed = before * (after / before) ** part
        multiples[size] = needed / size, enough is not None
    return multiples


def _table(spreads, ceiling, n_repeats):
    heading = "".join(f"{name:>11}" for name in MODELS)
    lines = [
        f"{TUTORIAL.n_timesteps:,} timesteps a sequence, {K} states, {S} syllables; {N_TEST} "
        f"sequences to test on; medians of {n_repeats} truths.",
        f"Emission parameters: this model {(S + K - 1) * (S - 1):,}, free {K * S * (S - 1):,}, one "
        f"state {S * (S - 1):,}; 'from truth': free, started at",
        "the true states.",
        f"{'':>9}{'nats per transition below the true parameters':>47}{'accuracy':>41}",
        f"{'sequences':>9}{heading}  {heading}",
        RULE,
    ]
    for size, row in spreads.items():
        short = "".join(f"{row[model][0][1]:>11.4f}" for model in MODELS)
        accuracy = "".join(f"{row[model][1][1]:>11.3f}" for model in MODELS)
        lines.append(f"{size:>9}{short}  {accuracy}")
    lines.append(f"accuracy under the true parameters: {ceiling:.3f}")
    lines.append("times the sequences that the free model needs for the score of this model:")
    multiples = data_multiples(
        {size: row["this model"][0][1] for size, row in spreads.items()},
        {size: min(row["free"][0][1], row["from truth"][0][1]) for size, row in spreads.items()},
    )
    for size, (multiple, known) in multiples.items():
        lines.append(f"{size:>10}  {'' if known else 'more than '}{multiple:.1f}")
    # one that is only known to be larger than something small says nothing
    judged = [multiple for multiple, known in multiples.values() if known or multiple >= MULTIPLE]
    met = all(multiple >= MULTIPLE for multiple in judged) if judged else None
    lines.append(
        f"target at least {MULTIPLE:g} wherever that is known "
        f"(the parameters are {K * S / (S + K - 1):.1f} times as many): {verdict(met) or 'open'}"
    )
    return "\n".join(lines)


def draw(drawn, path):
    """Draw accuracy and held-out score against the number of sequences."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    spreads, ceiling, n_repeats = drawn
    figure, panels = plt.subplots(1, 2, figsize=(13, 5.4), layout="constrained")
    score, accuracy = panels
    for i, panel in enumerate(panels):
        for model, (label, colour, marker, line) in MODELS.items():
            low, middle, high = zip(*(row[model][i] for row in spreads.values()), strict=True)
            panel.plot(
                list(spreads), middle, color=colour, marker=marker, linestyle=line, label=label
            )
            panel.fill_between(list(spreads), low, high, color=colour, alpha=0.15, linewidth=0)
        panel.set_xscale("log")
        panel.set_xticks(list(spreads), [f"{size:,}" for size in spreads], minor=False)
        panel.set_xticks([], minor=True)
        panel.set_xlabel(f"sequences of {TUTORIAL.n_timesteps:,} timesteps to train on")
        panel.grid(color="0.88")
    accuracy.axhline(ceiling, color="0.3", linewidth=1, linestyle="--", label="true parameters")
    accuracy.set(ylim=(0, 1), ylabel="accuracy of the states", title="States of held-out sequences")
    score.set(
        yscale="log",
        ylabel="nats per transition below the true parameters",
        title="Prediction of held-out sequences (lower is better)",
    )
    handles, labels = accuracy.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(
        f"Data efficiency: {K} states, {S} syllables; medians and range of {n_repeats} truths"
    )
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    run_study(__file__, __doc__, measure, draw=draw)
