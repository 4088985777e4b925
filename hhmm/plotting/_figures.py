"""What all displays have in common: how they start, their colours, their legend.

A display checks that the estimator has what it draws, imports matplotlib, and
takes the axes it is given or makes a figure. The palette is that of Okabe and
Ito, see `hhmm.plotting`.
"""

import numpy as np
from sklearn.utils.validation import check_is_fitted

OKABE_ITO = (
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#56B4E9",  # sky blue
    "#D55E00",  # vermillion
    "#F0E442",  # yellow
    "#000000",  # black
)
MISSING_COLOR = "0.85"


def check_has(estimator, attribute):
    """Raise NotFittedError if `attribute` is missing, which a model built without fit may lack."""
    for holder, model in (("steps", "pipeline[-1]"), ("best_estimator_", "search.best_estimator_")):
        if hasattr(estimator, holder):
            raise TypeError(
                f"expected a fitted EfficientHHMM, got {type(estimator).__name__}: give the model "
                f"in it, {model}"
            )
    message = f"this %(name)s has no {attribute}: call 'fit' before plotting it"
    check_is_fitted(estimator, attribute, msg=message)


def import_pyplot():
    """matplotlib.pyplot, or an error that says how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'hhmm.plotting needs matplotlib, which comes with: pip install "hhmm[demo]"'
        ) from error
    return plt


def figure_and_axes(plt, ax, size):
    """The figure of `ax`, and `ax`; new ones of `size` (width, height) in inches if None."""
    if ax is None:
        return plt.subplots(figsize=size, layout="constrained")
    return ax.figure, ax


def legend_above(ax, handles=None):
    """A legend over the axes, where it hides nothing, in as many columns as there is room for."""
    if handles is None:
        handles, _ = ax.get_legend_handles_labels()
    width = ax.get_window_extent().width / ax.figure.dpi
    entries = [0.45 + 0.075 * len(handle.get_label()) for handle in handles]
    for n_rows in range(1, len(entries) + 1):
        n_columns = -(-len(entries) // n_rows)
        if sum(column.max() for column in np.array_split(entries, n_columns)) <= width:
            break
    return ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.3,
        ncols=n_columns,
        columnspacing=1.2,
        handlelength=1.2,
        frameon=False,
    )
