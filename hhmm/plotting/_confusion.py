"""Display of how inferred states agree with true ones, whatever their numbering."""

from numbers import Real

import numpy as np
from sklearn.utils import check_scalar

from hhmm._validation import to_float
from hhmm.metrics import matched_accuracy, matched_confusion_matrix
from hhmm.plotting._figures import (
    MISSING_COLOR,
    check_has,
    colormap,
    figure_and_axes,
    gray_ticks,
    import_pyplot,
)
from hhmm.plotting._heat_maps import (
    as_matrix,
    check_include_values,
    format_probability,
    label_cells,
    write_cells,
)
from hhmm.plotting._states import check_usage


class MatchedConfusionDisplay:
    """Confusion matrix of states after the best one-to-one relabelling.

    Parameters
    ----------
    confusion_matrix : array of shape (n_labels, n_labels)
        Fraction of the time in a true state (row) that was inferred to be in a
        state (column). A row of zeros is a state that never occurs.

    accuracy : float, default=None
        Fraction of all timesteps that agree, for the title.

    true_usage, inferred_usage : array of shape (n_labels,), default=None
        Fraction of time in each true and in each inferred state, matched. The numbers of states
        that take less than 1% are grey. If None, none is.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The heat map; rows of states that never occur are masked.

    text_ : ndarray of shape (n_labels, n_labels) of matplotlib Text, or None
        The numbers in the cells; None if they are left out.

    ax_ : matplotlib Axes
        The axes that were drawn in.

    figure_ : matplotlib Figure
        The figure they belong to.

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

    def __init__(self, confusion_matrix, *, accuracy=None, true_usage=None, inferred_usage=None):
        self.confusion_matrix = confusion_matrix
        self.accuracy = accuracy
        self.true_usage = true_usage
        self.inferred_usage = inferred_usage

    @classmethod
    def from_estimator(cls, estimator, X, y_true, *, ax=None, cmap="viridis", include_values=None):
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
        >>> from hhmm.datasets import make_hhmm
        >>> from hhmm.plotting import MatchedConfusionDisplay
        >>> data = make_hhmm(
        ...     n_sequences=4, n_timesteps=100, n_states=2, n_syllables=4, random_state=0
        ... )
        >>> model = EfficientHHMM(n_states=2, max_iter=4, n_draws=2, random_state=0).fit(data.X)
        >>> display = MatchedConfusionDisplay.from_estimator(model, data.X, data.states)
        >>> display.ax_.get_ylabel()
        'true state'
        """
        check_has(estimator, "trans_probs_")
        import_pyplot()
        return cls.from_predictions(
            y_true, estimator.predict(X), ax=ax, cmap=cmap, include_values=include_values
        )

    @classmethod
    def from_predictions(cls, y_true, y_pred, *, ax=None, cmap="viridis", include_values=None):
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
        confusion_matrix = matched_confusion_matrix(y_true, y_pred, normalize="true")
        counts = matched_confusion_matrix(y_true, y_pred)
        display = cls(
            confusion_matrix,
            accuracy=matched_accuracy(y_true, y_pred),
            true_usage=counts.sum(axis=1) / counts.sum(),
            inferred_usage=counts.sum(axis=0) / counts.sum(),
        )
        return display.plot(ax, cmap=cmap, include_values=include_values)

    def plot(self, ax=None, *, cmap="viridis", include_values=None):
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the fractions.

        include_values : bool, default=None
            Whether to write the numbers into the cells; if None, where there is
            room to read them.

        Returns
        -------
        self : MatchedConfusionDisplay
        """
        plt = import_pyplot()
        confusion = as_matrix(self.confusion_matrix, "confusion_matrix")
        check_include_values(include_values)
        cmap = colormap(plt, cmap)
        if self.accuracy is not None:
            check_scalar(self.accuracy, "accuracy", Real)
            accuracy = to_float(self.accuracy, "accuracy")
        if confusion.max() > 1 or confusion.min() < 0:
            raise ValueError(
                "confusion_matrix must hold fractions of the true states, got values from "
                f"{confusion.min():g} to {confusion.max():g}: "
                'matched_confusion_matrix(..., normalize="true") gives them'
            )
        n_labels = len(confusion)
        true_usage = check_usage(self.true_usage, n_labels, "true_usage")
        inferred_usage = check_usage(self.inferred_usage, n_labels, "inferred_usage")
        side = min(12.0, max(2.4, 0.48 * n_labels))
        self.figure_, self.ax_ = figure_and_axes(plt, ax, (side + 1.7, side + 0.8))
        occurs = confusion.any(axis=1)
        self.image_ = self.ax_.imshow(
            np.ma.masked_array(confusion, np.tile(~occurs, (n_labels, 1)).T),
            cmap=cmap.with_extremes(bad=MISSING_COLOR),
            vmin=0.0,
            vmax=1.0,
            interpolation="nearest",
        )
        self.ax_.set(xlabel="inferred state, matched", ylabel="true state")
        if self.accuracy is not None:
            self.ax_.set_title(f"matched accuracy {accuracy:.3f}")
        label_cells(self.ax_, n_labels)
        gray_ticks(self.ax_.yaxis, true_usage)
        gray_ticks(self.ax_.xaxis, inferred_usage)
        self.figure_.colorbar(self.image_, ax=self.ax_, label="fraction of true state", aspect=25)
        texts = [
            [format_probability(fraction, 2) if occurs[i] else "" for fraction in row]
            for i, row in enumerate(confusion)
        ]
        self.text_ = write_cells(self.image_, texts, include_values)
        return self
