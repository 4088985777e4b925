"""Fit data larger than memory, on one machine or many; checkpoints and interrupts.

More data than memory
---------------------
At the frame rate of a camera a syllable is held for tens of frames. A fit holds runs of equal
syllables and not frames, so years of video fit in the memory of a laptop.
:func:`hhmm.datasets.open_recordings` opens files without reading them. A fit reads one recording
after the other, and no array of all frames is ever made. ``predict`` and ``transform`` hold one
recording at a time, in about 20 bytes a frame and 4 more for each state.

>>> import tempfile
>>> import warnings
>>> from pathlib import Path
>>> import numpy as np
>>> from hhmm import EfficientHHMM
>>> from hhmm.datasets import make_hhmm, open_recordings
>>> folder = Path(tempfile.mkdtemp())
>>> data = make_hhmm(8, 60, n_states=2, n_syllables=5, random_state=0)
>>> for i, syllables in enumerate(data.X):
...     np.save(folder / f"mouse{i:02d}.npy", np.repeat(syllables, 10))
>>> recordings = open_recordings(folder / "*.npy")
>>> len(recordings), recordings.names[0], len(recordings[0])
(8, 'mouse00', 600)
>>> model = EfficientHHMM(2, max_iter=60, init="prior", random_state=0)
>>> with warnings.catch_warnings():
...     warnings.simplefilter("ignore")  # few sweeps, for the example
...     model = model.fit(recordings)
>>> paths = model.predict(recordings, out=folder / "states")  # a file for each recording
>>> np.load(paths[0]).shape
(600,)

The states open in the same way. Measures of their usage, durations and transitions, comparisons of
groups, displays and the report read them one after the other, as runs:

>>> from hhmm.comparisons import compare_groups
>>> from hhmm.metrics import state_usage
>>> states = open_recordings(folder / "states")
>>> state_usage(states, per_sequence=True).shape
(8, 2)
>>> groups = ["saline", "drug"] * 4
>>> comparison = compare_groups(states, groups=groups, syllables=recordings, random_state=0)

``recordings[:8]``, a list of indices, `sklearn.model_selection.KFold` and
`hhmm.model_selection.scan` choose recordings without reading them. ``score``, ``transform`` and
all other methods take them too. ``states_`` is kept as runs, and written out as frames when it is
first used: with more frames than memory, call ``predict`` with ``out`` instead. The command line
works so by itself.

Large data are split into parts of whole recordings, and each core computes one part at a time. The
states that are drawn do not depend on the parts. A recording is never cut. So a fit of 100
recordings of a few hours uses all cores, and a fit of one recording of a month uses one.

Several machines
----------------
A fit uses a Dask cluster if joblib's backend is ``"dask"`` (``pip install ".[distributed]"``).
In every sweep, each part of the recordings is then one task of a worker, which returns how often
states and syllables occurred. For a cluster with SLURM (``pip install dask-jobqueue``; many sites
need ``queue`` and ``account`` as well):

.. code-block:: python

    from dask.distributed import Client
    from dask_jobqueue import SLURMCluster
    from joblib import parallel_config
    from hhmm import EfficientHHMM
    from hhmm.datasets import open_recordings

    cluster = SLURMCluster(cores=8, processes=1, memory="32GB", walltime="12:00:00")
    cluster.scale(jobs=10)
    with Client(cluster), parallel_config(backend="dask"):
        recordings = open_recordings("/shared/archive/**/*.npy")
        model = EfficientHHMM(8, verbose=1).fit(recordings, checkpoint="fit.npz")

Workers read the files themselves, so paths must be the same on all machines. Arrays in memory are
sent to the cluster once. Start one process on each machine, with as many threads as cores: it is as
fast as one process for each core, and compiles once. ``verbose=1`` prints how many parts and
workers there are, and the dashboard of Dask shows tasks by name (``hhmm_update_states``).

What is promised: with the same data, settings, versions and kind of processor, parameters and
states are the same to the last bit, whatever the number of workers, their order, and workers that
join or are lost during the fit. A task of a lost worker is done again by another one. If the
process that fits is lost, the same call continues from its checkpoint, on any number of workers. A
fit with "gibbs" in one process, without a cluster, has equal draws; only ``log_joint_`` may differ
in the last digit. With "em", the number of parts changes expected counts by a relative 1e-12, or
1e-7 with ``message_passing="parallel"``.

What is not: a fit does not survive the loss of Dask's scheduler, except by its checkpoint. Without
workers it waits until some come, and warns after a minute; Ctrl-C twice ends it. A ``LocalCluster``
gives up workers that do not start again within 15 seconds; on a busy machine, set
``dask.config.set({"distributed.deploy.lost-worker-timeout": "300 s"})`` before you start it. All
workers need the same versions of this package, JAX and NumPy; this is checked before the first
sweep. Recordings are read once, and again where a worker is lost: if they have changed by then, the
fit stops with an error. If workers are killed for their memory again and again, the error names the
recordings. The search for a start (``init="windows"``) and the parameters are computed by the
process that fits. ``predict`` is not shared: call it for some recordings at a time, for example
with ``joblib.Parallel``. Data that a machine can sweep over in a few tenths of a second are not
shared at all; ``verbose=1`` says so.

The number of useful workers depends on the number of recordings. A worker computes recordings of
equal length together, so a part has at least ``1000 / n_states**2`` of them if syllables are held,
and ``300 / n_states`` otherwise. With 10 states and held syllables, 100 recordings make at most ten
parts.

A grid search or `hhmm.model_selection.scan` under the backend "dask" or "ray" does one fit for each
task instead. With Ray, each call of ``GridSearchCV`` starts a pool of processes, which takes about
25 seconds.

Several GPUs
------------
On one machine with several devices, groups of sequences are put on the devices in turn. Draws are
equal whatever their number. See :mod:`hhmm.guide.gpu`.

Time and memory
---------------
Measured on two cores, with 10 states, 100 syllables, held for 40 frames on average, recordings of
2.5 million frames (a day). The memory is the peak of the process. It includes 0.7 GB for Python and
the compiler, whatever the data (``python -m benchmarks.studies.scale``).

=================  ==================  =============  ========
frames             from                time: a sweep  memory
=================  ==================  =============  ========
10 million         files               0.5 s          0.7 GB
100 million        files               1.6 s          1.0 GB
300 million        arrays of 0.6 GB    3.8 s          1.9 GB
300 million        files               3.9 s          1.2 GB
1,000 million      files               11 s           1.7 GB
=================  ==================  =============  ========

Time grows with the number of frames, and falls with the number of cores. About 0.5 s of each sweep
is for parameters, whatever the number of frames, because the default model learns its scales. The
README times the published model, which does not, so its sweeps are shorter. Dask takes about 5 ms
of a sweep for each part.

With ``verbose=1`` a fit prints its estimate of memory before the first sweep. It does not count the
0.3 GB that the process has before. If the machine, the container or the cluster job does not have
enough free memory, the fit raises an error that says what to change. See the notes of
`hhmm.EfficientHHMM`.

Checkpoints
-----------
A fit with a checkpoint writes its progress to a file, every ten sweeps by default
(``checkpoint_every``). After a crash, a kill or a power cut, start it again with the same settings
and data. It continues from the file, and its result is equal to that of an undisturbed fit, to the
last bit. With a larger ``max_iter``, a completed fit continues. The result differs from that of one
long fit, which has a longer warm-up.

>>> path = folder / "fit.npz"
>>> with warnings.catch_warnings():
...     warnings.simplefilter("ignore")
...     model = model.fit(recordings, checkpoint=path)
...     again = EfficientHHMM(2, max_iter=80, init="prior", random_state=0)
...     again = again.fit(recordings, checkpoint=path)  # twenty more sweeps
>>> bool((again.log_joint_[:, :60] == model.log_joint_).all())
True

With other data or settings, an error names the difference, and the file does not change:

>>> other = EfficientHHMM(3, max_iter=80, init="prior")
>>> other.fit(recordings, checkpoint=path)  # doctest: +ELLIPSIS
Traceback (most recent call last):
    ...
ValueError: ...fit.npz is a checkpoint of another fit: n_states is 2 there, 3 here. The file was
not changed: give another path, or the same settings and data

The file is an archive of NumPy: plain arrays and a header in JSON, without pickles. It is written
under another name and then renamed, so an interrupted write never leaves a partial file. If the
disk is full, the fit continues and warns. Only one fit at a time can use a file.
`hhmm.model_selection.scan` has a ``checkpoint`` too. It stores completed fits, and with
``checkpoint_every`` also the progress of others.

Interrupts
----------
Ctrl-C ends a fit after the current sweep. The model is then fitted on the completed sweeps, and a
warning says how many. Continue with ``warm_start=True`` or the checkpoint. A second Ctrl-C stops at
once. So does one within ten seconds of one that ended a fit: press it twice to end a grid search.
If warnings are errors, the interrupted model is still fitted. Ctrl-C during the search for a start
(``init="windows"``) ends the search. The fit then does one sweep from the best start so far. With a
checkpoint it stops at once and keeps nothing of the search: the same call searches again.

JAX does not work in a process that was forked after JAX was used. A fit or a prediction there
raises an error instead of waiting for ever. Default processes of joblib are not forked.
"""
