"""What heat maps of probabilities have in common: numbers along the axes and in the cells.

The numbers in the cells are short, are left out where there is no room to read them,
and are black or white, whichever contrasts more with the colour of the cell.
"""

import math

import numpy as np

from hhmm._validation import check_flag, shorten, to_array

POINTS_PER_INCH = 72


def as_matrix(values, name):
    matrix = to_array(values, f"{name} must be a square matrix of numbers", float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"{name} must be a square matrix, got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} must hold finite numbers, got {shorten(matrix)}")
    return matrix


def check_probabilities(probs, name):
    """Raise ValueError where an array of numbers holds no probabilities, or only zeros."""
    rounded = 1 + 1e-6  # sums of float32
    if not ((probs >= 0) & (probs <= rounded)).all() or not probs.any():
        raise ValueError(
            f"{name} must hold probabilities, not all of them 0, got values from {probs.min():g} "
            f"to {probs.max():g}"
        )


def label_cells(ax, n_cells, max_labels=25):
    """Number the rows and columns of a heat map, in round steps if there are many."""
    rough = n_cells / max_labels
    decade = 10 ** max(0, math.floor(math.log10(rough)))
    step = next(decade * s for s in (1, 2, 5, 10) if decade * s >= rough)
    ticks = np.arange(0, n_cells, step)
    ax.set_xticks(ticks, ticks)
    ax.set_yticks(ticks, ticks)


def check_include_values(include_values):
    if include_values is not None:
        check_flag(include_values, "include_values")


def write_cells(image, texts, include_values):
    """Write `texts` (n_rows, n_columns) into the cells of a heat map; None if they do not fit."""
    ax = image.axes
    n_rows, n_columns = image.get_array().shape
    # The layout may yet shrink the axes, by about a tenth.
    box = ax.get_window_extent()
    cell = 0.9 * min(box.width / n_columns, box.height / n_rows)
    cell *= POINTS_PER_INCH / ax.figure.dpi
    n_characters = max(len(text) for row in texts for text in row)
    font_size = min(10.0, 0.5 * cell, 0.9 * cell / (0.62 * n_characters))
    if include_values is None:
        include_values = font_size >= 5.0
    if not include_values:
        return None

    # Relative luminance of sRGB colours; black and white contrast equally with 0.179.
    colors = image.to_rgba(image.get_array())[..., :3]
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    written = np.empty((n_rows, n_columns), dtype=object)
    for i, j in np.ndindex(n_rows, n_columns):
        color = "black" if luminance[i, j] > 0.179 else "white"
        written[i, j] = ax.text(
            j, i, texts[i][j], ha="center", va="center", color=color, fontsize=max(font_size, 4.0)
        )
    return written


def format_probability(probability, decimals):
    """A probability in few characters: 0, <.01, .50, >.99, 1."""
    if probability in (0.0, 1.0):
        return f"{probability:.0f}"
    rounded = f"{probability:.{decimals}f}"
    if float(rounded) == 0.0:
        return "<." + "0" * (decimals - 1) + "1"
    if float(rounded) >= 1.0:
        return ">." + "9" * decimals
    return rounded.lstrip("0")
