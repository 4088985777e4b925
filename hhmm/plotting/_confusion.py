"""Display of how inferred states agree with true ones, up to their numbering."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from hhmm.estimator import EfficientHHMM
from hhmm.metrics import matched_accuracy, matched_confusion_matrix
from hhmm.plotting import _figures, _heat_maps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap


@dataclass(eq=False, repr=False)
class MatchedConfusionDisplay:
    """Confusion matrix of states after the best one-to-one relabelling.

    Parameters
    ----------
    confusion_matrix : array of shape (n_labels, n_labels)
        Fraction of the time in a true state (row) at which a state (column) was inferred. A row
        of zeros is a state that never occurs.
    accuracy : float, default=None
        Fraction of all timesteps that agree, for the title.
    true_usage, inferred_usage : array of shape (n_labels,), default=None
        Fraction of time in each true and in each inferred state, matched. The numbers of states
        that take less than 1% are grey. If None, no number is grey.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The heat map; rows of states that never occur are masked.
    text_ : ndarray of shape (n_labels, n_labels) of matplotlib Text, or None
        The numbers in the cells; None if they are left out.
    ax_, figure_ : matplotlib Axes and Figure

    See Also
    --------
    hhmm.metrics.matched_confusion_matrix : The matrix as numbers, with ``normalize="true"``.

    Examples
    --------
    >>> from hhmm.plotting import MatchedConfusionDisplay
    >>> display = MatchedConfusionDisplay([[0.9, 0.1], [0.0, 1.0]], accuracy=0.95).plot()
    >>> [text.get_text() for text in display.text_.flat]
    ['.90', '.10', '0', '1']
    """

    confusion_matrix: ArrayLike
    _: KW_ONLY
    accuracy: float | None = None
    true_usage: ArrayLike | None = None
    inferred_usage: ArrayLike | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: EfficientHHMM,
        X: ArrayLike,
        y_true: ArrayLike,
        *,
        model_groups: ArrayLike | None = None,
        ax: Axes | None = None,
        cmap: str | Colormap = "viridis",
        include_values: bool | None = None,
    ) -> Self:
        """Compare ``estimator.predict(X, groups=model_groups)`` with the true states and plot.

        Parameters
        ----------
        estimator : fitted EfficientHHMM
        X : array of shape (n_sequences, n_timesteps) or list of arrays
            Syllables, in any form that the estimator takes.
        y_true : array of shape (n_sequences, n_timesteps) or list of arrays
            True states of `X`; negative where unknown.
        model_groups : array-like of shape (n_sequences,) or data frame, default=None
            ``groups`` of `EfficientHHMM.predict`, if the model was fitted with groups.
        ax, cmap, include_values
            See `plot`.

        Returns
        -------
        display : MatchedConfusionDisplay
        """
        _figures.check_has(estimator, "trans_probs_")
        predicted = estimator.predict(X, groups=model_groups)
        return cls.from_predictions(
            y_true, predicted, ax=ax, cmap=cmap, include_values=include_values
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        ax: Axes | None = None,
        cmap: str | Colormap = "viridis",
        include_values: bool | None = None,
    ) -> Self:
        """Match the predicted states to the true ones and plot.

        Parameters
        ----------
        y_true, y_pred : array of shape (n_timesteps,) or (n_sequences, n_timesteps), \
                or list of arrays of shape (n_timesteps_i,)
            States; timesteps that are negative in either are ignored.
        ax, cmap, include_values
            See `plot`.

        Returns
        -------
        display : MatchedConfusionDisplay
        """
        counts = matched_confusion_matrix(y_true, y_pred)
        display = cls(
            matched_confusion_matrix(y_true, y_pred, normalize="true"),
            accuracy=matched_accuracy(y_true, y_pred),
            true_usage=counts.sum(axis=1) / counts.sum(),
            inferred_usage=counts.sum(axis=0) / counts.sum(),
        )
        return display.plot(ax, cmap=cmap, include_values=include_values)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        cmap: str | Colormap = "viridis",
        include_values: bool | None = None,
    ) -> Self:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in; a new figure if None.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the fractions.
        include_values : bool, default=None
            True writes the numbers into the cells. None does so if there is room to read them.

        Returns
        -------
        self : MatchedConfusionDisplay
        """
        _figures.import_pyplot()
        from matplotlib.colors import Normalize

        confusion = np.asarray(self.confusion_matrix, dtype=float)
        side = min(12.0, max(2.4, 0.48 * len(confusion)))
        self.figure_, self.ax_ = _figures.figure_and_axes(ax, (side + 1.7, side + 0.8))
        self.ax_.set(xlabel="inferred state, matched", ylabel="true state")
        if self.accuracy is not None:
            self.ax_.set_title(f"matched accuracy {self.accuracy:.3f}")
        never = np.broadcast_to(~confusion.any(axis=1, keepdims=True), confusion.shape)
        self.image_, self.text_ = _heat_maps.draw_state_matrix(
            self.ax_,
            np.ma.masked_array(confusion, never),
            decimals=2,
            cmap=cmap,
            norm=Normalize(0.0, 1.0),
            usages=(self.true_usage, self.inferred_usage),
            bar={"label": "fraction of true state"},
            include_values=include_values,
        )
        return self
