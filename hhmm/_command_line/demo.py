"""Fit simulated data and birdsong, and print and draw what is found.

It fits simulated data, whose true states are known, and then the song of a Bengalese finch, whose
true states are not. Figures are saved as PNG files.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from hhmm import EfficientHHMM, __version__
from hhmm.datasets import load_bengalese_finch, make_hhmm
from hhmm.metrics import matched_accuracy

N_SWEEPS = 100
# simulation and fit have the same priors, so their log joints can be compared
PRIORS: dict[str, Any] = {
    "emission_usage_sigma": 0.0,
    "emission_base_sigma": 1.0,
    "emission_biases_sigma": 1.0,
    "trans_beta": 1.0,
    "trans_kappa": 100.0,
}
SONG_STATES = (2, 3, 5, 8)


def run(out: Path) -> None:
    """Run the demo, and save its figures in the folder `out`."""
    try:
        import matplotlib
    except ImportError:
        raise ImportError("The demo needs matplotlib. Run: pip install matplotlib tqdm") from None
    matplotlib.use("Agg")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"The folder {out} cannot be made: {error}") from error
    began = time.perf_counter()
    print(f"hhmm {__version__}\n")
    run_tutorial(out)
    run_song(out)
    print(f"\nFigures are in {out}/. The whole demo took {time.perf_counter() - began:.0f} s.")


def run_tutorial(out: Path) -> None:
    """Simulate, fit, and compare with the true parameters."""
    _heading("1. Simulated data: 5 slow states, 20 syllables, 200 sequences of 1000")
    data = make_hhmm(
        n_sequences=200,
        n_timesteps=1000,
        n_states=5,
        n_syllables=20,
        random_state=0,
        **PRIORS,
    )
    true = EfficientHHMM.from_params(
        data.emission_base, data.emission_biases, data.trans_probs, **PRIORS
    )
    began = time.perf_counter()
    model = EfficientHHMM(n_states=5, max_iter=N_SWEEPS, random_state=0, verbose=1, **PRIORS)
    model.fit(data.X)
    seconds = time.perf_counter() - began
    print(f"Fitted {N_SWEEPS} sweeps in {seconds:.1f} s, compilation included.\n")

    true_log_joint = true.log_joint(data.X)
    print(f"{'':<52}{'fitted':>12}{'true params':>14}")
    print(f"{'log joint (nats; last sweep)':<52}", end="")
    print(f"{model.log_joint_[0, -1]:>12,.1f}{true_log_joint:>14,.1f}")
    print(f"{'nats per transition':<52}{model.score(data.X):>12.4f}{true.score(data.X):>14.4f}")
    for name, states_of in [
        ("predicted (Viterbi)", lambda m: m.predict(data.X)),
        ("marginal (argmax of smoothed)", lambda m: m.predict_proba(data.X).argmax(axis=-1)),
        ("sampled (one posterior draw)", lambda m: m.sample_states(data.X, random_state=0)),
    ]:
        accuracies = [matched_accuracy(data.states, states_of(m)) for m in (model, true)]
        print(f"{'accuracy of states, ' + name:<52}{accuracies[0]:>12.4f}{accuracies[1]:>14.4f}")

    print("\nThe last emission solve: negative log posterior where each iteration began")
    for i, loss in enumerate(model.emission_losses_, start=1):
        print(f"  iteration {i}: {loss:,.6f} nats")

    from hhmm import plotting

    plotting.LogJointDisplay.from_estimator(
        model, reference=true_log_joint, reference_label="true parameters"
    )
    _save(out, "tutorial_log_joint.png")
    plotting.EmissionLossDisplay.from_estimator(model)
    _save(out, "tutorial_emission_losses.png")
    plotting.StateTransitionDisplay.from_estimator(model)
    _save(out, "tutorial_state_transitions.png")
    plotting.SyllableTransitionDisplay.from_estimator(model)
    _save(out, "tutorial_syllable_transitions.png")
    plotting.RasterDisplay.from_estimator(
        model,
        data.X,
        index=0,
        y_true=data.states,
        kinds=("viterbi", "marginal", "sampled"),
        random_state=0,
    )
    _save(out, "tutorial_raster.png")
    plotting.MatchedConfusionDisplay.from_estimator(model, data.X, data.states)
    _save(out, "tutorial_confusion.png")


def run_song(out: Path) -> None:
    """Score held-out songs of a bird for several numbers of states."""
    song = load_bengalese_finch()
    order = np.random.default_rng(0).permutation(len(song.sequences))
    n_train = len(order) * 4 // 5
    train = [song.sequences[i] for i in order[:n_train]]
    test = [song.sequences[i] for i in order[n_train:]]
    _heading(
        f"2. Real song: a Bengalese finch, {len(train)} songs to fit, {len(test)} held out, "
        "9 syllables"
    )
    print(
        "A song has 4 to 16 syllables, too few for slow states. These states change nearly as\n"
        "often as syllables. They stand for memory in the order of syllables that a first-order\n"
        "Markov chain does not have. So more states predict held-out songs better.\n"
    )
    print('Each number of states: one fit of 200 sweeps, all scales "auto".\n')
    print(f"{'model':<36}{'held-out nats per transition':>30}{'fit (s)':>10}")
    print(f"{'first-order Markov chain':<36}{_markov_chain_score(train, test):>30.3f}")
    models = {}
    for n_states in SONG_STATES:
        began = time.perf_counter()
        model = EfficientHHMM(
            n_states,
            n_syllables=9,
            trans_beta="auto",
            trans_kappa="auto",
            max_iter=200,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            models[n_states] = model.fit(train)
        seconds = time.perf_counter() - began
        score = models[n_states].score(test)
        print(f"{f'{n_states} states':<36}{score:>30.3f}{seconds:>10.1f}")

    from hhmm import plotting

    model = models[SONG_STATES[-1]]
    plotting.StateTransitionDisplay.from_estimator(model)
    _save(out, "song_state_transitions.png")
    plotting.SyllableTransitionDisplay.from_estimator(model)
    _save(out, "song_syllable_transitions.png")
    longest = int(np.argmax([len(x) for x in test]))
    plotting.RasterDisplay.from_estimator(
        model, test, index=longest, kinds=("viterbi", "marginal"), random_state=0
    )
    _save(out, "song_raster.png")


def _markov_chain_score(train, test, pseudocount=0.1):
    """Return held-out nats per transition of a Markov chain of syllables, by counts."""
    counts = np.full((9, 9), pseudocount)
    for x in train:
        np.add.at(counts, (x[:-1], x[1:]), 1)
    log_probs = np.log(counts / counts.sum(axis=1, keepdims=True))
    scores = np.concatenate([log_probs[x[:-1], x[1:]] for x in test])
    return scores.mean()


def _heading(text):
    print(f"\n{text}\n{'-' * len(text)}")


def _save(out, name):
    import matplotlib.pyplot as plt

    figure = plt.gcf()
    figure.savefig(out / name, dpi=150)
    plt.close(figure)
    print(f"  saved {out / name}")
