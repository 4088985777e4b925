"""Syllables as keypoint-MoSeq writes them.

The files may come from strangers. So nothing in them is unpickled, no link is followed, and
sizes are compared with the size of the file before memory is allocated.
"""

from __future__ import annotations

import contextlib
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from hhmm._optional.extras import import_extra
from hhmm._validation import shorten
from hhmm.datasets._csv_files import (
    PathLike,
    TableOfOtherPackage,
    choose_column,
    find_column,
    open_table,
    open_tables,
)
from hhmm.datasets._recordings import (
    FRAME_RATE,
    N_LAGS,
    SYLLABLE_NAMES,
    Recording,
    common_name,
    existing_file,
    to_bunch,
    to_labels,
)
from hhmm.datasets._tables import Columns, read_recordings

if TYPE_CHECKING:
    import pandas

RECORDING_NAMES = ("name", "session_name", "file_name", "uuid")
# deflate, which packs best of the filters that come with HDF5, packs 1032 bytes into one at most
_MAX_COMPRESSION = 1032
# filters of HDF5 that leave data as large as they are: shuffle and a checksum
_NOT_PACKING = {2, 3}
_MAX_DEPTH = 50  # groups within groups


@validate_params(
    {
        "frame_rate": FRAME_RATE,
        "n_lags": N_LAGS,
        "max_frames": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def load_keypoint_moseq(
    path: PathLike,
    *,
    frame_rate: float | None = None,
    n_lags: int = 0,
    max_frames: int = 1_000_000_000,
) -> Bunch:
    """Load the syllables of a ``results.h5`` of keypoint-MoSeq [1]_.

    Parameters
    ----------
    path : str or Path
        HDF5 file. Every group with a dataset ``syllable`` is a recording. Nested groups become one
        name with "/".
    frame_rate : float, default=None
        Frames a second. It is stored with the data and not used here.
    n_lags : int, default=0
        Number of frames at the start of each recording to mark as missing. keypoint-MoSeq fits an
        autoregression, which has no estimate for the first ``nlags`` frames (usually 3), and
        repeats the first estimate there. ``n_lags=3`` leaves these copies out.
    max_frames : int, default=1,000,000,000
        Largest number of frames in all recordings together. A larger file raises an error before
        memory is allocated.

    Returns
    -------
    data : `~sklearn.utils.Bunch`
        As for `load_table`. Recordings are in the order of the file, which is that of their names.
        ``groups``, ``frames`` and ``times`` are None: the file has no experimental groups, and its
        frames are 0, 1, ...

    Raises
    ------
    ValueError
        If the file is not HDF5 or cannot be read, holds no recording or one without syllables, or
        a dataset of syllables is not 1-D, holds anything but integers, is a link or kept in
        another file, is packed more than once, or is larger than `max_frames` or than its file
        could hold. The message names file, recording and frame.
    FileNotFoundError, IsADirectoryError
        If `path` is no file.
    ImportError
        Without h5py, which is part of the extra ``io``.

    See Also
    --------
    load_keypoint_moseq_csv, load_moseq_dataframe : Other files of keypoint-MoSeq.
    save_states : Write states beside each recording.

    Notes
    -----
    Versions before 0.2 wrote the syllables twice: as ``syllables``, and renumbered by frequency
    as ``syllables_reindexed``. They were renumbered again whenever recordings were added, so
    these labels can differ in meaning between recordings. ``syllables`` is read. If a file has
    only the renumbered ones, they are read with a warning.

    References
    ----------
    .. [1] Weinreb, C., Pearl, J. E., Lin, S., et al. (2024). Keypoint-MoSeq: parsing behavior by
       linking point tracking to pose dynamics. Nature Methods, 21, 1329-1339.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import h5py
    >>> from hhmm.datasets import load_keypoint_moseq
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "results.h5")
    ...     with h5py.File(path, "w") as file:
    ...         file["day1/mouse1/syllable"] = [5, 5, 5, 5, 5, 0, 0]
    ...     data = load_keypoint_moseq(path, frame_rate=30, n_lags=3)
    >>> data.names
    ['day1/mouse1']
    >>> data.sequences
    [array([-1, -1, -1,  5,  5,  0,  0], dtype=int32)]
    """
    h5py = import_extra("h5py", "load_keypoint_moseq")
    path = existing_file(path)
    with open_results(path, h5py) as file:
        found = find_syllables(file, path, h5py)
        dataset = common_name(found, path, "dataset")
        n_frames = sum(
            check_dataset(datasets[dataset], f"{path}, recording {name!r}", path)
            for name, datasets in found.items()
        )
        if n_frames > max_frames:
            raise ValueError(
                f"{path}: declares {n_frames:,} frames, expected max_frames={max_frames:,} at most"
            )
        recordings = [
            Recording(name, _read_dataset(datasets[dataset], f"{path}, recording {name!r}"))
            for name, datasets in found.items()
        ]
    return to_bunch(recordings, path, "dataset", dataset, frame_rate=frame_rate, n_lags=n_lags)


@validate_params(
    {"frame_rate": FRAME_RATE, "n_lags": N_LAGS, "sep": [str]}, prefer_skip_nested_validation=True
)
def load_keypoint_moseq_csv(
    folder: PathLike, *, frame_rate: float | None = None, n_lags: int = 0, sep: str = ","
) -> Bunch:
    """Load the syllables of the ``results`` folder of keypoint-MoSeq, one CSV file a recording.

    Parameters
    ----------
    folder : str or Path
        Folder of files whose columns are ``syllable``, ``centroid x``, ``centroid y``,
        ``heading``, ``latent_state 0`` and so on, of which only the first is read. All files that
        end in ".csv" are read, but for hidden ones.
    frame_rate, n_lags
        See `load_keypoint_moseq`.
    sep : str, default=","
        Separator of the cells of a file.

    Returns
    -------
    data : `~sklearn.utils.Bunch`
        As for `load_keypoint_moseq`. Recordings are in the order of their names, which are those
        of the files: keypoint-MoSeq writes "/" in a name as "-".

    Raises
    ------
    ValueError
        If there is no file, or a file is empty or no table, has no column of syllables, is a table
        of several recordings (``moseq_df.csv``), or a label is no integer. The message names file
        and row (counted from 0, without the header).
    NotADirectoryError
        If `folder` is no folder.
    ImportError
        Without pandas, which is part of the extra ``io``.

    See Also
    --------
    load_keypoint_moseq : The same from results.h5.
    load_syllable_csv : Other files of one recording each.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from hhmm.datasets import load_keypoint_moseq_csv
    >>> with TemporaryDirectory() as folder:
    ...     text = "syllable,centroid x,centroid y,heading\\n2,9.1,4.2,0.1\\n0,9.3,4.2,0.1\\n"
    ...     _ = Path(folder, "day1-mouse1.csv").write_text(text)
    ...     data = load_keypoint_moseq_csv(folder, frame_rate=30)
    >>> data.names, data.sequences
    (['day1-mouse1'], [array([2, 0], dtype=int32)])
    """
    if not Path(folder).is_dir():
        raise NotADirectoryError(
            f"load_keypoint_moseq_csv takes a folder, got {folder}. Single files: load_syllable_csv"
        )
    tables = open_tables(folder, sep=sep, user="load_keypoint_moseq_csv")
    for table in tables.values():
        choose_column(table, SYLLABLE_NAMES)
    found = {name: table.columns for name, table in tables.items()}
    column = common_name(found, folder, "column")
    recordings = read_recordings(tables, Columns(column))
    return to_bunch(recordings, folder, "column", column, frame_rate=frame_rate, n_lags=n_lags)


@validate_params(
    {"frame_rate": FRAME_RATE, "n_lags": N_LAGS, "sep": [str], "fill_gaps": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def load_moseq_dataframe(
    path_or_dataframe: PathLike | pandas.DataFrame | TableOfOtherPackage,
    *,
    frame_rate: float | None = None,
    n_lags: int = 0,
    sep: str = ",",
    fill_gaps: bool = False,
) -> Bunch:
    """Load the syllables of a ``moseq_df.csv``: all recordings, one row a frame.

    Parameters
    ----------
    path_or_dataframe : str, Path or table
        The file, or what ``compute_moseq_df`` of keypoint-MoSeq returns, as a table of pandas,
        polars or pyarrow. Columns ``name``, ``syllable``, and, if they exist, ``frame_index`` and
        ``group`` are read. In older files the name is ``session_name``, ``file_name`` or ``uuid``,
        and the syllable ``syllables_reindexed``.
    frame_rate, n_lags
        See `load_keypoint_moseq`.
    sep : str, default=","
        Separator of the cells of a file.
    fill_gaps : bool, default=False
        Whether frames that a recording skips become missing timesteps. With False, they raise an
        error.

    Returns
    -------
    data : `~sklearn.utils.Bunch`
        As for `load_table`: ``groups`` are the experimental groups, where keypoint-MoSeq writes
        "default" if none was set, and ``frames`` the ``frame_index``. Both are None without such a
        column.

    Raises
    ------
    ValueError, FileNotFoundError, IsADirectoryError, ImportError
        As for `load_table`.

    See Also
    --------
    load_table : Any other table.

    Notes
    -----
    The column ``onset`` of the file is not used, because keypoint-MoSeq computes it over all
    recordings laid end to end: a recording that begins with the last syllable of the one before
    has no onset at its first frame.

    Rows of a recording are sorted by ``frame_index``. If a table has both ``syllable`` and
    ``syllables_reindexed``, the former is read: the latter is renumbered by frequency, see
    `load_keypoint_moseq`.

    Examples
    --------
    >>> import pandas as pd
    >>> from hhmm.datasets import load_moseq_dataframe
    >>> table = pd.DataFrame(
    ...     {
    ...         "name": ["mouse1", "mouse1", "mouse2", "mouse2"],
    ...         "syllable": [0, 3, 3, 1],
    ...         "frame_index": [0, 1, 0, 1],
    ...         "group": ["saline", "saline", "drug", "drug"],
    ...         "onset": [True, True, False, True],
    ...     }
    ... )
    >>> data = load_moseq_dataframe(table, frame_rate=30)
    >>> data.names, data.groups
    (['mouse1', 'mouse2'], ['saline', 'drug'])
    >>> data.onsets[1]
    array([ True,  True])
    """
    table = open_table(path_or_dataframe, sep=sep, user="load_moseq_dataframe")
    columns = Columns(
        syllable=choose_column(table, SYLLABLE_NAMES),
        recording=choose_column(table, RECORDING_NAMES),
        frame=find_column(table, ["frame_index"]),
        group=find_column(table, ["group"]),
    )
    recordings = read_recordings({"": table}, columns, fill_gaps=fill_gaps)
    return to_bunch(
        recordings, table.place, "column", columns.syllable, frame_rate=frame_rate, n_lags=n_lags
    )


@contextlib.contextmanager
def open_results(path, h5py):
    """Open a ``results.h5``; errors of HDF5 become a ValueError that names the file."""
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} is not an HDF5 file: expected results.h5 of keypoint-MoSeq")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, TypeError, UnicodeDecodeError) as error:
        # types that NumPy does not have, and names that are no text, are of the last two kinds
        raise ValueError(f"{path} cannot be read: {error}") from error


def find_syllables(file, path, h5py):
    """Return the datasets of syllables of each recording: {recording: {dataset: h5py.Dataset}}.

    The root group, if it has such datasets, is a recording with the name of the file. A group
    that holds only groups is a part of the names of recordings. Groups below a recording may
    hold anything.
    """
    found = {}

    def visit(name, item):
        if not isinstance(item, h5py.Group):
            return
        parts = name.split("/") if name else []
        if len(parts) > _MAX_DEPTH:
            # following them takes time with the cube of their number
            raise ValueError(
                f"{path}, group {shorten(name)}: expected at most {_MAX_DEPTH} groups in one "
                "another"
            )
        place, members = f"{path}, group {name!r}", list(item)
        datasets = {
            key: item[key]
            for key in SYLLABLE_NAMES
            if key in members and is_dataset(item, key, place, h5py)
        }
        if datasets:
            found[name] = datasets
        elif not any("/".join(parts[:i]) in found for i in range(len(parts))):
            holds_dataset = any([is_dataset(item, key, place, h5py) for key in members])
            if name and (holds_dataset or not members):
                raise ValueError(f"{place}: expected a dataset 'syllable', got {members[:10]}")

    visit("", file)
    # Meets every object once, whatever loops hard links make, and follows no other link.
    file.visititems(visit)
    if not found:
        raise ValueError(f"{path} holds no recording: expected groups with a dataset 'syllable'")
    if "" in found and path.stem in found:
        raise ValueError(f"{path}: two groups give recording {path.stem!r}")
    return {name or path.stem: datasets for name, datasets in found.items()}


def is_dataset(group, key, place, h5py):
    """Return whether a member is a dataset, without opening anything outside of the file."""
    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise ValueError(f"{place}: {key!r} is a link to elsewhere, which is not followed")
    return group.get(key, getclass=True) is h5py.Dataset


def check_dataset(values, place, path):
    """Return the number of frames that reading a dataset of syllables takes memory for.

    Raise ValueError for anything but a 1-D array of numbers in this file, of a size that the file
    can hold.
    """
    if values.shape is None or len(values.shape) != 1:
        raise ValueError(
            f"{place}: expected syllables of shape (n_frames,), got shape {values.shape}"
        )
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{place}: expected integer syllables, got dtype {values.dtype}")
    if values.is_virtual or values.external:
        raise ValueError(f"{place}: the syllables are kept in another file, which is not read")
    if values.shape[0] == 0:
        raise ValueError(f"{place} has no frames")
    filters = values.id.get_create_plist()
    codes = [filters.get_filter(i)[0] for i in range(filters.get_nfilters())]
    if sum(code not in _NOT_PACKING for code in codes) > 1:
        raise ValueError(
            f"{place}: expected syllables packed once at most, got filters {codes}, which unpack "
            "to any size"
        )
    # A chunk is read whole, however little of it is used.
    n_frames, file_size = max(values.shape + (values.chunks or ())), path.stat().st_size
    if n_frames * values.dtype.itemsize > _MAX_COMPRESSION * file_size:
        raise ValueError(
            f"{place}: declares {n_frames:,} frames, which a file of {file_size:,} bytes cannot "
            "hold"
        )
    return n_frames


def _read_dataset(values, place):
    return to_labels(values[()], lambda frame: f"{place}, frame {frame}")
