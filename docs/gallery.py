"""Draw the pictures of the gallery and of the README.

``python docs/gallery.py`` draws the two pictures of the README into ``docs/images``. The build of
the documentation draws all.

The recordings are simulated: eight mice, ten minutes each, at ten frames per second. In each of
four slow states a mouse prefers some actions, which it holds for about a second. A drug makes two
of the states longer. The model is fitted to the actions alone.
"""

import functools
import warnings
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np

from hhmm import EfficientHHMM, plotting
from hhmm.comparisons import compare_groups
from hhmm.datasets import make_hhmm
from hhmm.metrics import match_states
from hhmm.model_selection import scan

ACTIONS = ["walk", "run", "turn", "rear", "sniff", "dig", "lick", "scratch", "wash", "rest"]
STATES = ["explore", "search", "groom", "sleep"]
PREFERRED = [
    ["walk", "run", "turn"],
    ["rear", "sniff", "dig"],
    ["lick", "scratch", "wash"],
    ["rest"],
]
SECONDS = {"saline": [40, 40, 25, 25], "drug": [20, 40, 70, 25]}
FRAME_RATE = 10
N_FRAMES = 6000


@functools.cache
def simulate():
    """Return sequences of actions, their states, names and groups."""
    rng = np.random.default_rng(0)
    order = rng.dirichlet(np.ones(len(ACTIONS)), len(ACTIONS))  # which action follows which
    preferred = np.array([[1 + 5 * (name in names) for name in ACTIONS] for names in PREFERRED])
    X, states, names, groups = [], [], [], []
    for group, seconds in SECONDS.items():
        for mouse in range(4):
            x, z, action, state, left = [], [], 0, rng.integers(len(STATES)), 0
            while len(x) < N_FRAMES:
                if left <= 0:
                    state = (state + rng.integers(1, len(STATES))) % len(STATES)
                    left = rng.exponential(seconds[state] * FRAME_RATE)
                probs = order[action] * preferred[state]
                probs[action] = 0
                action = rng.choice(len(ACTIONS), p=probs / probs.sum())
                held = 1 + rng.geometric(1 / FRAME_RATE)
                x += [action] * held
                z += [state] * held
                left -= held
            X.append(np.array(x[:N_FRAMES]))
            states.append(np.array(z[:N_FRAMES]))
            names.append(f"mouse {mouse + 4 * (group == 'drug')}")
            groups.append(group)
    return SimpleNamespace(X=X, states=states, names=names, groups=groups)


@functools.cache
def fit():
    """Return a fitted model, and names of its states."""
    data = simulate()
    model = EfficientHHMM(4, trans_kappa="auto", max_iter=60, random_state=0).fit(data.X)
    found = match_states(data.states, model.predict(data.X))
    return model, [STATES[state] for state in found]


def ethogram():
    data, (model, state_names) = simulate(), fit()
    return plotting.EthogramDisplay.from_estimator(
        model,
        data.X,
        names=data.names,
        groups=data.groups,
        state_names=state_names,
        frame_rate=FRAME_RATE,
    )


def preferences():
    model, state_names = fit()
    return plotting.SyllablePreferenceDisplay.from_estimator(
        model, syllable_names=ACTIONS, state_names=state_names
    )


def usage():
    data, (model, state_names) = simulate(), fit()
    return plotting.StateUsageDisplay.from_estimator(
        model, data.X, groups=data.groups, state_names=state_names
    )


def group_comparison():
    data, (model, state_names) = simulate(), fit()
    comparison = compare_groups(
        model.predict(data.X),
        groups=data.groups,
        animals=data.names,
        frame_rate=FRAME_RATE,
        state_names=state_names,
        random_state=0,
    )
    return plotting.GroupComparisonDisplay.from_comparison(comparison)


def durations():
    data, (model, state_names) = simulate(), fit()
    return plotting.DurationDisplay.from_estimator(
        model, data.X, state_names=state_names, frame_rate=FRAME_RATE, random_state=0
    )


def state_graph():
    model, state_names = fit()
    return plotting.StateGraphDisplay.from_estimator(model, state_names=state_names)


def state_transitions():
    return plotting.StateTransitionDisplay.from_estimator(fit()[0])


def syllable_transitions():
    return plotting.SyllableTransitionDisplay.from_estimator(fit()[0], differences=True)


def raster():
    data, (model, _) = simulate(), fit()
    return plotting.RasterDisplay.from_estimator(
        model, data.X, y_true=data.states, random_state=0, stop=3000
    )


def confusion():
    data, (model, _) = simulate(), fit()
    return plotting.MatchedConfusionDisplay.from_estimator(model, data.X, data.states)


def alignment():
    data, (model, state_names) = simulate(), fit()
    fewer = EfficientHHMM(3, trans_kappa="auto", algorithm="em", random_state=0).fit(data.X)
    return plotting.AlignmentDisplay.from_estimators(
        model, fewer, data.X, names=("4 states", "3 states"), first_names=state_names
    )


def lagged_information():
    return plotting.LaggedInformationDisplay.from_sequences(
        simulate().X,
        np.unique(np.geomspace(1, 1000, 25).astype(int)),
        n_surrogates=3,
        random_state=0,
        frame_rate=FRAME_RATE,
    )


def log_joint():
    return plotting.LogJointDisplay.from_estimator(fit()[0])


def emission_losses():
    return plotting.EmissionLossDisplay.from_estimator(fit()[0])


def scan_of_states():
    data = make_hhmm(8, 100, n_states=2, n_syllables=5, emission_biases_sigma=2.0, random_state=0)
    model = EfficientHHMM(algorithm="em", init="prior", tol=0.1, trans_kappa=10.0)
    model.set_params(emission_usage_sigma=0, emission_base_sigma=1, emission_biases_sigma=1)
    result = scan(data.X, {"n_states": [1, 2, 3]}, estimator=model, cv=2, n_seeds=2, random_state=0)
    return plotting.ScanDisplay.from_result(result)


PICTURES = (
    *(ethogram, preferences, usage, group_comparison, durations, state_graph),
    *(state_transitions, syllable_transitions, raster, confusion, alignment, lagged_information),
    *(log_joint, emission_losses, scan_of_states),
)


def draw(folder, pictures=PICTURES):
    """Save a PNG file for each picture."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of fits that are short, to be quick
            figure = picture().figure_
        figure.savefig(folder / f"{picture.__name__}.png", dpi=150)
        plt.close(figure)


if __name__ == "__main__":
    draw(Path(__file__).parent / "images", (ethogram, preferences))
