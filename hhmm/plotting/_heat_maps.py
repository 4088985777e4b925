"""Heat maps: numbered rows and columns, and numbers in the cells.

The numbers in the cells are short. They are left out where there is no room to read them, and
are black or white, whichever contrasts more with the colour of the cell.
"""

import math
from typing import Any

import numpy as np

from hhmm._validation import check_flag
from hhmm.plotting import _figures


def draw_state_matrix(ax, probs, *, decimals, cmap, norm, usages, bar, include_values, names=None):
    """Draw a heat map of `probs` (n_states, n_states), with a colour bar and numbers in the cells.

    `usages` are the times in the states of the rows and of the columns, each (n_states,) or None,
    and `bar` has the properties of the colour bar. `names` are those of the states, numbers if
    None. If `include_values` is None, numbers are
    written if they can be read. Return the image, and an array of matplotlib Text or None.
    """
    if include_values is not None:
        check_flag(include_values, "include_values")
    cmap = _figures.import_pyplot().get_cmap(cmap).with_extremes(bad=_figures.MISSING_COLOR)
    image = ax.imshow(probs, cmap=cmap, norm=norm, interpolation="nearest")
    ticks = label_cells(ax, len(probs))
    if names is not None:
        _name_cells(ax, ticks, names)
    _figures.gray_ticks(ax.yaxis, usages[0])
    _figures.gray_ticks(ax.xaxis, usages[1])
    ax.figure.colorbar(image, ax=ax, aspect=25, **bar)
    return image, _write_cells(image, decimals, include_values)


def label_cells(ax, n_cells, max_labels=25):
    """Number the rows and columns of a heat map, in round steps if there are many.

    Return the numbers.
    """
    rough = n_cells / max_labels
    decade = 10 ** max(0, math.floor(math.log10(rough)))
    step = next(decade * s for s in (1, 2, 5, 10) if decade * s >= rough)
    ticks = np.arange(0, n_cells, step)
    ax.set_xticks(ticks, ticks)
    ax.set_yticks(ticks, ticks)
    return ticks


def _name_cells(ax, ticks, names):
    """Name the rows and columns; long names of columns are slanted."""
    shown = [names[i] for i in ticks]
    _figures.name_ticks(ax, "y", ticks, shown)
    slant: dict[str, Any] = {}
    if max(map(len, shown)) > 3:
        slant = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    _figures.name_ticks(ax, "x", ticks, shown, **slant)


def _format_probability(probability, decimals):
    """Return a probability in few characters: 0, <.01, .50, >.99, 1; nothing if it is masked."""
    if probability is np.ma.masked:
        return ""
    if probability in (0.0, 1.0):
        return f"{probability:.0f}"
    rounded = f"{probability:.{decimals}f}"
    if float(rounded) == 0.0:
        return "<." + "0" * (decimals - 1) + "1"
    if float(rounded) >= 1.0:
        return ">." + "9" * decimals
    return rounded.lstrip("0")


def _write_cells(image, decimals, include_values):
    """Write the probabilities into the cells; return None if they do not fit."""
    ax, probs = image.axes, image.get_array()
    n_rows, n_columns = probs.shape
    box = ax.get_window_extent()
    # The layout may still shrink the axes, by about a tenth.
    cell = 0.9 * min(box.width / n_columns, box.height / n_rows)
    cell *= _figures.POINTS_PER_INCH / ax.figure.dpi
    texts = {ij: _format_probability(probs[ij], decimals) for ij in np.ndindex(probs.shape)}
    n_characters = max(map(len, texts.values()))
    font_size = min(10.0, 0.5 * cell, 0.9 * cell / (0.62 * n_characters))
    if include_values is None:
        include_values = font_size >= 5.0
    if not include_values:
        return None
    colors = _figures.text_color(image.to_rgba(probs)[..., :3])
    style = {"ha": "center", "va": "center", "fontsize": max(font_size, 4.0)}
    written = np.empty(probs.shape, dtype=object)
    for (i, j), text in texts.items():
        written[i, j] = ax.text(j, i, text, color=colors[i, j], **style)
    return written
