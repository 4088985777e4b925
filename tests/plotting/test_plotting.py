"""hhmm.plotting: what is drawn, read back from the artists, and that it can be read."""

import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
from sklearn.exceptions import NotFittedError

from hhmm.plotting import (
    EmissionLossDisplay,
    LogJointDisplay,
    MatchedConfusionDisplay,
    RasterDisplay,
    StateTransitionDisplay,
    SyllableTransitionDisplay,
)
from tests.plotting.readable import DISPLAYS, FakeModel


@pytest.mark.parametrize("name", DISPLAYS)
def test_without_matplotlib_the_extra_is_named(name, monkeypatch):
    display = DISPLAYS[name]()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="install hhmm with the extra 'demo'"):
        display.plot()


def test_without_matplotlib_nothing_is_inferred(monkeypatch):
    model = FakeModel().fit()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setattr(model, "predict", None)
    for plot in (RasterDisplay.from_estimator, MatchedConfusionDisplay.from_estimator):
        with pytest.raises(ImportError, match="install hhmm with the extra 'demo'"):
            plot(model, [[0, 1]], y_true=[[0, 1]])


@pytest.mark.parametrize("name", DISPLAYS)
def test_the_constructor_only_stores(name):
    display = DISPLAYS[name]()
    assert not any(attribute.endswith("_") for attribute in vars(display))


@pytest.mark.parametrize("name", DISPLAYS)
def test_plot_makes_a_figure_or_uses_the_axes(name):
    display = DISPLAYS[name]()
    assert display.plot() is display
    assert display.ax_.figure is display.figure_
    assert display.figure_.get_layout_engine() is not None

    figure, axes = plt.subplots(1, 2)
    assert display.plot(axes[1]) is display
    assert display.figure_ is figure
    if name == "syllables":
        assert not axes[1].axison
        box = axes[1].get_position()
        for panel in display.axes_:
            assert panel.figure is figure
            assert box.x0 <= panel.get_position().x0 < panel.get_position().x1 <= box.x1
    else:
        assert display.ax_ is axes[1]
        assert axes[1].get_xlabel()
    assert not axes[0].has_data()


@pytest.mark.parametrize(
    ("plot", "attribute"),
    [
        (StateTransitionDisplay.from_estimator, "trans_probs_"),
        (SyllableTransitionDisplay.from_estimator, "syllable_trans_probs_"),
        (LogJointDisplay.from_estimator, "log_joint_"),
        (EmissionLossDisplay.from_estimator, "emission_losses_"),
        (lambda model: RasterDisplay.from_estimator(model, [[0]]), "trans_probs_"),
        (lambda model: MatchedConfusionDisplay.from_estimator(model, [[0]], [[0]]), "trans_probs_"),
    ],
)
def test_a_model_without_the_attribute(plot, attribute):
    with pytest.raises(NotFittedError, match=f"This FakeModel has no {attribute}. Call 'fit'"):
        plot(FakeModel())
    model = FakeModel().fit()
    delattr(model, attribute)
    with pytest.raises(NotFittedError, match=f"This FakeModel has no {attribute}. Call 'fit'"):
        plot(model)


@pytest.mark.parametrize("holder", ["steps", "best_estimator_"])
def test_a_pipeline_is_refused(holder):
    estimator = SimpleNamespace(**{holder: None})
    with pytest.raises(TypeError, match="estimator must be an EfficientHHMM, got SimpleNamespace"):
        LogJointDisplay.from_estimator(estimator)
