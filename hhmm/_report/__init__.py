"""Write what was found as one page to read and to send on: `hhmm.report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from hhmm._optional.extras import import_extra
from hhmm._report import _page
from hhmm._report._figures import make_pictures
from hhmm._report._material import Material, examine
from hhmm._report._words import Caution, capitalised
from hhmm._runtime.files import absolute, check_file, write_whole
from hhmm._sequences.groups import read_texts
from hhmm._sequences.read import read_runs
from hhmm._validation import check_flag, check_state_names, shorten, to_list
from hhmm.datasets._lazy_recordings import Recordings

if TYPE_CHECKING:
    import pandas

    from hhmm.estimator import EfficientHHMM
    from hhmm.model_selection import ScanResult

__all__ = ["report"]


def report(
    model: EfficientHHMM,
    X: ArrayLike,
    out: str | PathLike[str],
    *,
    states: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    groups: Sequence | Mapping[str, Sequence] | pandas.DataFrame | None = None,
    animals: Sequence | None = None,
    reference: str | None = None,
    model_groups: ArrayLike | None = None,
    syllable_names: Sequence | None = None,
    scan: ScanResult | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
    overwrite: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> Path:
    """Write a report of a fitted model: one page that opens in any browser.

    The page has warnings first, then an ethogram, each state in words, comparisons of groups,
    convergence, methods and how to cite. All figures are inside the file, so it can be sent on.

    Parameters
    ----------
    model : EfficientHHMM
        A fitted model. Names of states and the frame rate are those that it keeps
        (`EfficientHHMM.set_state_names`, `frame_rate`).
    X : array of shape (n_sequences, n_timesteps) or list of arrays of shape (n_timesteps_i,)
        Syllables of the recordings to report on, as for `hhmm.EfficientHHMM.predict`.
    out : str or path-like
        File to write, for example ``"report.html"``.
    states : array or list of arrays like `X`, default=None
        States of the recordings, at the same timesteps as `X`. If None, they are
        ``model.predict(X, groups=model_groups)``. As `X`, they can be recordings of
        `hhmm.datasets.open_recordings`.
    names : sequence of n_sequences str, default=None
        Names of the recordings. If None, those of recordings in files, or numbers.
    groups : sequence of n_sequences labels, dict of them, or data frame, default=None
        Group of each recording, for example its condition, to compare. A dict or a data frame has
        a column for each factor, for example condition and sex. Each is compared by itself with
        `hhmm.comparisons.compare_groups`.
    animals : sequence of n_sequences labels, default=None
        Animal of each recording. If None, each recording is an animal.
    reference : str, default=None
        The group with which others are compared. If None, the first in `groups`.
    model_groups : array-like of shape (n_sequences,) or data frame, default=None
        ``groups`` of `EfficientHHMM.fit`, if the model was fitted with groups. If None, and the
        labels of the fit are those of `animals`, these are used.
    syllable_names : sequence of n_syllables labels, default=None
        Labels of the syllables, for example ``encoder.categories_`` of a
        `hhmm.preprocessing.SyllableEncoder`; numbers if None.
    scan : ScanResult, default=None
        The result of `hhmm.model_selection.scan`, if it chose the number of states.
    title : str, default=None
        Title of the page; "States of behaviour" if None.
    notes : sequence of str, default=()
        Sentences about the data, for the section "What was fitted".
    warnings : sequence of str, default=()
        Warnings of `fit` to show beside those that the page finds.
    overwrite : bool, default=False
        Whether an existing file is replaced.
    random_state : int, RandomState instance or None, default=None
        Seed of the comparisons.

    Returns
    -------
    path : Path
        The file. It is written as a whole or not at all.

    Raises
    ------
    FileExistsError
        If `out` exists and `overwrite` is False.
    FileNotFoundError
        If the folder of `out` does not exist.
    ValueError
        If `states` has other timesteps than `X`, or an argument does not have one item for each
        recording, state or syllable.
    TypeError
        If an argument is not as described.
    ImportError
        Without jinja2, matplotlib and pandas, which are part of the extra ``report``.

    See Also
    --------
    hhmm.model_checks.state_report : Who uses each state, as a table.
    hhmm.comparisons.compare_groups : The comparisons as a table.

    Notes
    -----
    ``python -m hhmm fit`` reads files, fits and writes the same page, with tables and figures.

    Names are text, and never become a part of the markup of the page.

    The ethogram shows about 60 recordings at most, evenly spaced in each group, and says how many
    are left out. The table of recordings has all of them.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import matplotlib
    >>> matplotlib.use("Agg")  # no window; not needed in a notebook
    >>> import hhmm
    >>> from hhmm.datasets import make_hhmm
    >>> data = make_hhmm(24, 200, n_states=2, n_syllables=5, random_state=0)
    >>> model = hhmm.EfficientHHMM(n_states=2, max_iter=60, random_state=0).fit(data.X)
    >>> groups = ["saline", "drug"] * 12
    >>> with TemporaryDirectory() as folder:
    ...     path = hhmm.report(model, data.X, Path(folder, "report.html"), groups=groups)
    ...     print(path.name, "<h2" in path.read_text(encoding="utf-8"))
    report.html True
    """
    for package in ("jinja2", "matplotlib", "pandas"):
        import_extra(package, "hhmm.report")
    path = _check_out(out, overwrite)
    material = _read(
        model,
        X,
        states=states,
        names=names,
        groups=groups,
        animals=animals,
        reference=reference,
        model_groups=model_groups,
        syllable_names=syllable_names,
        scan=scan,
        title=title,
        notes=notes,
        warnings=warnings,
        random_state=random_state,
    )
    findings = examine(material)
    page = _page.render(material, findings, make_pictures(material, findings))
    write_whole(path, lambda file: file.write(page.encode()))
    return path


def _check_out(out, overwrite):
    """Return the path to write to, if a file can be written there."""
    check_flag(overwrite, "overwrite")
    path = absolute(out, "out")
    check_file(path, "out")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists. Give another path, or overwrite=True.")
    return path


def _read(
    model,
    X,
    *,
    states,
    names,
    groups,
    animals,
    reference,
    model_groups,
    syllable_names,
    scan,
    title,
    notes,
    warnings,
    random_state,
):
    """Check the arguments of `report`; return them as `Material`."""
    check_is_fitted(model)
    if not hasattr(model, "trans_probs_"):
        raise TypeError(
            f"model must be a fitted EfficientHHMM, got {type(model).__name__}. Of a pipeline, "
            "give the last step."
        )
    syllables = read_runs(X, "X")
    n_sequences = syllables.lengths.size
    if names is None and isinstance(X, Recordings):
        names = X.names
    names = _read_names(names, n_sequences)
    if animals is not None:
        animals = read_texts(animals, "animals", n_sequences)
    if model_groups is None:
        model_groups = _groups_of_fit(model, animals)
    if states is None:
        found = model._predict_runs(X, groups=model_groups)
    else:
        found = read_runs(states, "states")
    _check_clock(found, syllables, names)
    # an array is padded at the end of its rows
    n_used = np.maximum(found.n_used, syllables.n_used)
    found, syllables = found.cut(n_used), syllables.cut(n_used)
    n_states, n_syllables = len(model.trans_probs_), int(model.n_syllables_)
    largest = found.labels.max(initial=-1)
    if largest >= n_states:
        raise ValueError(f"states must be 0 to {n_states - 1}, as the model has, got {largest}.")
    if scan is not None and not hasattr(scan, "summary"):
        raise TypeError(f"scan must be a ScanResult, got {shorten(scan)}.")
    factors = _read_factors(groups, n_sequences)
    if reference is not None and not any(str(reference) in column for column in factors.values()):
        raise ValueError(f"reference must be a label of groups, got {shorten(reference)}.")
    return Material(
        model=model,
        syllables=syllables,
        states=found,
        names=names,
        animals=animals,
        factors=factors,
        syllable_names=_labels(syllable_names, n_syllables),
        state_names=check_state_names(getattr(model, "state_names_", None), n_states),
        frame_rate=model.frame_rate,
        title="States of behaviour" if title is None else str(title),
        notes=_sentences(notes, "notes"),
        cautions=[Caution(text) for text in _sentences(warnings, "warnings")],
        scan=scan,
        reference=None if reference is None else str(reference),
        random_state=random_state,
        has_model_groups=model_groups is not None,
    )


def _check_clock(states, syllables, names):
    """Raise ValueError where states are not at the timesteps of the syllables."""
    if states.lengths.size != len(names):
        raise ValueError(
            f"states must be of {len(names)} recordings, as X is, got {states.lengths.size}."
        )
    different = np.flatnonzero(states.lengths != syllables.lengths)
    if different.size:
        i = different[0]
        raise ValueError(
            f"states of recording {names[i]!r} have {states.lengths[i]:,} timesteps, but X has "
            f"{syllables.lengths[i]:,}. Give one state for each timestep of X."
        )


def _groups_of_fit(model, animals):
    """Return the animals if they are the groups of the fit, else None."""
    if animals is None or len(model.group_labels_) != 1:
        return None
    (levels,) = model.group_labels_.values()
    return animals if set(animals) & {str(level) for level in levels} else None


def _read_names(names, n_sequences):
    if names is None:
        return [str(i) for i in range(n_sequences)]
    return read_texts(names, "names", n_sequences)


def _read_factors(groups, n_sequences):
    """Return the labels of each factor, a dict of lists of text."""
    if groups is None:
        return {}
    if hasattr(groups, "columns"):  # a data frame
        groups = {str(name): list(groups[name]) for name in groups.columns}
    if isinstance(groups, Mapping):
        return {
            str(name): read_texts(labels, f"groups[{name!r}]", n_sequences)
            for name, labels in groups.items()
        }
    return {"groups": read_texts(groups, "groups", n_sequences)}


def _sentences(texts, name):
    if isinstance(texts, str):
        raise TypeError(f"{name} must be a list of sentences, got a string: {shorten(texts)}.")
    return [
        capitalised(str(text)) for text in to_list(texts, f"{name} must be a list of sentences")
    ]


def _labels(syllable_names, n_syllables):
    if syllable_names is None:
        return [str(j) for j in range(n_syllables)]
    expected = "syllable_names must be a list of labels"
    labels: list[Any] = [str(label) for label in to_list(syllable_names, expected)]
    if len(labels) != n_syllables:
        raise ValueError(
            f"syllable_names must hold {n_syllables} labels, as many as the model has syllables, "
            f"got {len(labels)}."
        )
    return labels
