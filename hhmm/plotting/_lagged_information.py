"""Display of mutual information over lags: of data, Markov surrogates and shuffled pairs."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from hhmm._validation import check_frame_rate
from hhmm.metrics import LaggedInformation, lagged_mutual_information
from hhmm.plotting import _figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(eq=False, repr=False)
class LaggedInformationDisplay:
    """Mutual information of syllables a lag apart.

    If the data are far above the band of the first-order Markov surrogates, syllables have a
    memory that transitions from one syllable to the next do not explain, so there may be slow
    states.

    Parameters
    ----------
    information : LaggedInformation
        Return value of `hhmm.metrics.lagged_mutual_information`.
    frame_rate : float, default=None
        Timesteps per second, for an axis in seconds, minutes or hours.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The data.
    bands_ : list of matplotlib FillBetweenPolyCollection
        From the smallest to the largest surrogate: Markov, shuffled.
    legend_ : matplotlib Legend
        The names of the line and the bands.
    ax_, figure_ : matplotlib Axes and Figure

    See Also
    --------
    hhmm.metrics.lagged_mutual_information : The curves as numbers, and how to read them.

    Notes
    -----
    By default the curves are means over recordings, each compared with surrogates of its own. With
    ``pooled=True`` they are of all recordings together. Animals that differ then lift the curve of
    the data above the surrogates at all lags, also without slow states.

    `correction` "miller-madow" can lead to values of zero and below, which a logarithmic axis
    cannot show. Lines are interrupted there, and bands extend to the end of the axis.

    Examples
    --------
    >>> from hhmm.datasets import make_hhmm
    >>> from hhmm.metrics import lagged_mutual_information
    >>> from hhmm.plotting import LaggedInformationDisplay
    >>> data = make_hhmm(4, 100, n_states=2, n_syllables=4, random_state=0)
    >>> information = lagged_mutual_information(data.X, [1, 2, 5, 10, 20, 50], random_state=0)
    >>> display = LaggedInformationDisplay(information).plot()
    >>> [text.get_text() for text in display.legend_.get_texts()]
    ['data', 'Markov surrogates', 'shuffled pairs']
    """

    information: LaggedInformation
    _: KW_ONLY
    frame_rate: float | None = None

    @classmethod
    def from_sequences(
        cls,
        X: ArrayLike,
        lags: ArrayLike,
        *,
        n_syllables: int | None = None,
        pooled: bool = False,
        n_surrogates: int = 10,
        correction: str | None = None,
        random_state: int | np.random.RandomState | None = None,
        frame_rate: float | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Measure the information and plot.

        Parameters
        ----------
        X, lags, n_syllables, pooled, n_surrogates, correction, random_state
            See `hhmm.metrics.lagged_mutual_information`.
        frame_rate, ax
            See the class and `plot`.

        Returns
        -------
        display : LaggedInformationDisplay
        """
        _figures.import_pyplot()
        information = lagged_mutual_information(
            X,
            lags,
            n_syllables=n_syllables,
            pooled=pooled,
            n_surrogates=n_surrogates,
            correction=correction,
            random_state=random_state,
        )
        return cls(information, frame_rate=frame_rate).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the curves on logarithmic axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in; a new figure if None.

        Returns
        -------
        self : LaggedInformationDisplay
        """
        lags, data, markov, shuffled, _, above = self.information
        order = np.argsort(lags)
        unit = 1.0
        if self.frame_rate is not None:
            unit = 1 / check_frame_rate(self.frame_rate)
        highest = [data, *(part.max(axis=0) for part in (markov, shuffled) if len(part))]
        shown = np.concatenate([curve[curve > 0] for curve in highest])
        if not shown.size:
            raise ValueError("information must hold a positive value, got none.")

        self.figure_, self.ax_ = _figures.figure_and_axes(ax, (3.4, 3.0))
        x = unit * lags[order]
        (self.line_,) = self.ax_.plot(
            x,
            np.where(data > 0, data, np.nan)[order],
            color="black",
            marker="o" if lags.size <= 30 else None,
            markersize=3,
            linewidth=1.4,
            label="data",
        )
        floor = 0.6 * shown.min()
        self.bands_ = []
        for surrogates, color, label, hatch in (
            (markov, _figures.OKABE_ITO[0], "Markov surrogates", None),
            (shuffled, _figures.OKABE_ITO[1], "shuffled pairs", "////"),
        ):
            if len(surrogates):
                low, high = surrogates.min(axis=0)[order], surrogates.max(axis=0)[order]
                band = self.ax_.fill_between(
                    x, np.maximum(low, floor), np.maximum(high, floor), color=color
                )
                band.set(alpha=0.55, hatch=hatch, linewidth=1.0, label=label)
                self.bands_.append(band)
        self.ax_.set(xscale="log", yscale="log", ylim=(floor, 1.5 * shown.max()))
        self.ax_.set(xlabel="lag (timesteps)", ylabel="mutual information (nats)")
        if above is not None:
            self.ax_.set_ylabel("mutual information\nwithin recordings (nats)")
        _figures.finish_log_axes(self.ax_)
        if self.frame_rate is not None:
            _figures.finish_duration_axis(self.ax_, "lag")
        self.legend_ = _figures.legend_above(self.ax_, [self.line_, *self.bands_])
        return self
