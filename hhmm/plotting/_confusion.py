"""Display of how inferred states agree with true ones, up to their numbering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from hhmm.metrics import matched_accuracy, matched_confusion_matrix
from hhmm.plotting._figures import MISSING_COLOR, check_has, colormap, figure_and_axes
from hhmm.plotting._heat_maps import as_matrix, draw_state_matrix, format_probability
from hhmm.plotting._states import check_usage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

    from hhmm.estimator import EfficientHHMM


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
        The axes and the figure of the display.

    See Also
    --------
    hhmm.metrics.matched_confusion_matrix : The matrix as numbers, with
        ``normalize="true"``.

    Examples
    --------
    >>> from hhmm.plotting import MatchedConfusionDisplay
    >>> display = MatchedConfusionDisplay([[0.9, 0.1], [0.0, 1.0]], accuracy=0.95).plot()
    >>> [text.get_text() for text in display.text_.flat]
    ['.90', '.10', '0', '1']
    """

    def __init__(
        self,
        confusion_matrix: ArrayLike,
        *,
        accuracy: float | None = None,
        true_usage: ArrayLike | None = None,
        inferred_usage: ArrayLike | None = None,
    ) -> None:
        self.confusion_matrix = confusion_matrix
        self.accuracy = accuracy
        self.true_usage = true_usage
        self.inferred_usage = inferred_usage

    @classmethod
    def from_estimator(
        cls,
        estimator: EfficientHHMM,
        X: ArrayLike,
        y_true: ArrayLike,
        *,
        ax: Axes | None = None,
        cmap: str | Colormap = "viridis",
        include_values: bool | None = None,
    ) -> Self:
        """Compare ``estimator.predict(X)`` with the true states and plot.

        Parameters
        ----------
        estimator : EfficientHHMM
            A fitted model.
        X : array of shape (n_sequences, n_timesteps) or list of arrays
            Syllables, in any form that the estimator takes.
        y_true : array of shape (n_sequences, n_timesteps) or list of arrays
            True states of `X`; negative where unknown.
        ax, cmap, include_values
            See `plot`.

        Returns
        -------
        display : MatchedConfusionDisplay

        Examples
        --------
        >>> from hhmm import EfficientHHMM
        >>> from hhmm.plotting import MatchedConfusionDisplay
        >>> model = EfficientHHMM.from_params([[0], [0]], [[1]], [[0.9, 0.1], [0.1, 0.9]])
        >>> X = [[0, 0, 1, 1], [1, 0, 1, 1]]
        >>> display = MatchedConfusionDisplay.from_estimator(model, X, X)
        >>> display.ax_.get_ylabel()
        'true state'
        """
        check_has(estimator, "trans_probs_")
        return cls.from_predictions(
            y_true, estimator.predict(X), ax=ax, cmap=cmap, include_values=include_values
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

        Examples
        --------
        >>> from hhmm.plotting import MatchedConfusionDisplay
        >>> display = MatchedConfusionDisplay.from_predictions([0, 0, 1, 1], [1, 1, 0, 1])
        >>> display.ax_.get_title()
        'matched accuracy 0.750'
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
        confusion = as_matrix(self.confusion_matrix, "confusion_matrix")
        if confusion.max() > 1 or confusion.min() < 0:
            raise ValueError(
                "confusion_matrix must hold fractions of the true states, got values from "
                f"{confusion.min():g} to {confusion.max():g}. "
                'Use matched_confusion_matrix(..., normalize="true").'
            )
        n_labels = len(confusion)
        true_usage = check_usage(self.true_usage, n_labels, "true_usage")
        inferred_usage = check_usage(self.inferred_usage, n_labels, "inferred_usage")
        colors = colormap(cmap).with_extremes(bad=MISSING_COLOR)
        from matplotlib.colors import Normalize

        side = min(12.0, max(2.4, 0.48 * n_labels))
        self.figure_, self.ax_ = figure_and_axes(ax, (side + 1.7, side + 0.8))
        self.ax_.set(xlabel="inferred state, matched", ylabel="true state")
        if self.accuracy is not None:
            self.ax_.set_title(f"matched accuracy {self.accuracy:.3f}")
        occurs = np.any(confusion, axis=1)
        texts = [
            [format_probability(fraction, 2) if occurs[i] else "" for fraction in row]
            for i, row in enumerate(confusion)
        ]
        self.image_, self.text_ = draw_state_matrix(
            self.ax_,
            np.ma.masked_array(confusion, np.tile(~occurs, (n_labels, 1)).T),
            texts,
            cmap=colors,
            norm=Normalize(0.0, 1.0),
            usages=(true_usage, inferred_usage),
            bar={"label": "fraction of true state"},
            include_values=include_values,
        )
        return self
