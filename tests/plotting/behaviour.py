"""What tests of displays of behaviour share."""

import matplotlib.pyplot as plt
import numpy as np

from hhmm.metrics import LaggedInformation, state_usage
from tests.plotting.readable import FakeModel

COLUMN = 3.4  # inches, the width of a column of text


BLUE, ORANGE, GREEN = "#0072b2", "#e69f00", "#009e73"


STATE_NAMES = ["locomotion", "rearing", "grooming", "exploration", "rest"]


class Model(FakeModel):
    def transform(self, X, groups=None):
        return state_usage(self.predict(X), n_states=self.n_states, per_sequence=True)


def column_axes(height=3.0):
    return plt.subplots(figsize=(COLUMN, height), layout="constrained")[1]


def legend_texts(display):
    return [text.get_text() for text in display.legend_.get_texts()]


def sticky_states(seed, n_states, lengths, stay=0.95):
    rng = np.random.default_rng(seed)
    sequences = []
    for length in lengths:
        changes = rng.random(length) > stay
        changes[0] = True
        values = rng.integers(0, n_states, changes.sum())
        sequences.append(values[np.cumsum(changes) - 1])
    return sequences


def recordings(n_syllables=7, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, n_syllables, length) for length in (60, 45, 80)]


def information(n_lags=6, n_surrogates=3):
    lags = np.array([1, 2, 5, 10, 20, 50])[:n_lags]
    rng = np.random.default_rng(0)
    return LaggedInformation(
        lags,
        0.3 / lags + 0.002,
        0.001 + 0.001 * rng.random((n_surrogates, n_lags)) + 0.3 / lags**3,
        0.001 + 0.001 * rng.random((n_surrogates, n_lags)),
        np.full(n_lags, 1000),
    )
