"""What tests of displays share: a fitted model, and that a figure can be read."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from sklearn.base import BaseEstimator

from hhmm.plotting import (
    EmissionLossDisplay,
    LogJointDisplay,
    MatchedConfusionDisplay,
    RasterDisplay,
    StateTransitionDisplay,
    SyllableTransitionDisplay,
)


class FakeModel(BaseEstimator):
    """Infers a permutation of ``syllable % n_states``, in the form of the input."""

    frame_rate = None

    def __init__(self, n_states=3, n_syllables=7):
        self.n_states = n_states
        self.n_syllables = n_syllables

    def fit(self, X=None, y=None):
        rng = np.random.default_rng(self.n_states)
        n_states, n_syllables = self.n_states, self.n_syllables
        self.trans_probs_ = 0.05 * rng.dirichlet(np.ones(n_states), n_states) + 0.95 * np.eye(
            n_states
        )
        self.syllable_trans_probs_ = rng.dirichlet(
            np.ones(n_syllables), size=(n_states, n_syllables)
        )
        self.log_joint_ = -1e4 * np.exp(-np.arange(50) / 2) + rng.normal(size=(2, 50))
        self.emission_losses_ = np.array([500.0, 410.0, 400.5, 400.0])
        self.n_syllables_ = n_syllables
        return self

    def _per_sequence(self, X, function):
        if isinstance(X, list) or X.dtype == object:
            return [function(np.asarray(x)) for x in X]
        rows = np.ma.filled(np.ma.asarray(X).astype(float), np.nan)
        return np.stack([function(x) for x in rows])

    def _states(self, x):
        x = np.nan_to_num(np.asarray(x, dtype=float), nan=-1).astype(int)
        length = np.flatnonzero(x >= 0)[-1] + 1
        states = (np.maximum(x, 0) + 1) % self.n_states
        return np.where(np.arange(x.size) < length, states, -1)

    @property
    def group_labels_(self):
        return {}

    def predict(self, X, groups=None):
        X = X.to_numpy() if isinstance(X, pd.DataFrame) else X
        return self._per_sequence(X, self._states)

    def predict_proba(self, X, groups=None):
        def proba(x):
            others = 0.2 / self.n_states
            return others + 0.8 * (self._states(x)[:, np.newaxis] == np.arange(self.n_states))

        return self._per_sequence(X, proba)

    def sample_states(self, X, groups=None, random_state=None):
        shift = np.random.RandomState(random_state).randint(self.n_states)
        return self._per_sequence(
            X,
            lambda x: np.where(self._states(x) < 0, -1, (self._states(x) + shift) % self.n_states),
        )


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def cell_texts(display):
    return [[text.get_text() for text in row] for row in display.text_]


def visible_texts(figure):
    """Every text that shows: of axes, insets, ticks in view, legends and cells."""
    texts = []
    all_axes = [child for ax in figure.axes for child in (ax, *ax.child_axes)]
    for ax in dict.fromkeys(all_axes):
        texts += [*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label]
        if ax.get_legend() is not None:
            texts += ax.get_legend().get_texts()
        for axis in (ax.xaxis, ax.yaxis):
            scaled = axis.get_transform().transform
            low, high = sorted(scaled(np.array(axis.get_view_interval())))
            margin = 1e-9 * (high - low)
            for which in ("major", "minor"):
                locations = axis.get_ticklocs(minor=which == "minor")
                labels = axis.get_ticklabels(which=which)
                for location, label in zip(locations, labels, strict=False):
                    if low - margin <= scaled(location) <= high + margin and ax.axison:
                        texts.append(label)
    return [text for text in texts if text.get_visible() and text.get_text()]


def assert_readable(figure):
    """No text leaves the figure and no two overlap."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in visible_texts(figure)]
    for text, box in boxes:
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= figure.bbox.x1 + 1, text
        assert box.y1 <= figure.bbox.y1 + 1, text
    for (text, box), (other_text, other) in itertools.combinations(boxes, 2):
        x_overlap = min(box.x1, other.x1) - max(box.x0, other.x0)
        y_overlap = min(box.y1, other.y1) - max(box.y0, other.y0)
        assert min(x_overlap, y_overlap) < 1.0, (text, other_text)


def contrast(image, text, value):
    """Ratio of luminances of a text and its cell, as web guidelines define it."""

    def luminance(color):
        linear = np.array(to_rgb(color))
        linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    pair = sorted([luminance(text.get_color()), luminance(image.cmap(image.norm(value)))])
    return (pair[1] + 0.05) / (pair[0] + 0.05)


DISPLAYS = {
    "transitions": lambda: StateTransitionDisplay([[0.9, 0.1], [0.2, 0.8]]),
    "syllables": lambda: SyllableTransitionDisplay(np.full((2, 3, 3), 1 / 3)),
    "raster": lambda: RasterDisplay([0, 1, 2], [("true", [0, 0, 1])]),
    "log joint": lambda: LogJointDisplay([[-5.0, -2.0]]),
    "losses": lambda: EmissionLossDisplay([3.0, 2.0, 1.0]),
    "confusion": lambda: MatchedConfusionDisplay([[0.9, 0.1], [0.2, 0.8]], accuracy=0.85),
}


def recordings(n_syllables=7, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, n_syllables, length) for length in (60, 45, 80)]
