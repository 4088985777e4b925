"""Use checkpoints and interrupts in fits that take hours, and estimate their memory.

A fit with a checkpoint writes its progress to a file, every ten sweeps by default
(``checkpoint_every``). After a crash, a kill or a power cut, start it again with the same settings
and data. It continues from the file, and its result is equal to that of an undisturbed fit, to the
last bit.

>>> import tempfile
>>> import warnings
>>> from pathlib import Path
>>> from hhmm import EfficientHHMM
>>> from hhmm.datasets import make_hhmm
>>> data = make_hhmm(12, 60, n_states=2, n_syllables=4, random_state=0)
>>> path = Path(tempfile.mkdtemp()) / "fit.npz"
>>> model = EfficientHHMM(2, max_iter=20, init="prior", random_state=0)
>>> with warnings.catch_warnings():
...     warnings.simplefilter("ignore")  # few sweeps, for the example
...     model = model.fit(data.X, checkpoint=path, checkpoint_every=5)
...     again = EfficientHHMM(2, max_iter=30, init="prior", random_state=0)
...     again = again.fit(data.X, checkpoint=path)  # ten more sweeps
>>> bool((again.log_joint_[:, :20] == model.log_joint_).all())
True

With other data or settings, an error names the difference, and the file does not change:

>>> other = EfficientHHMM(3, max_iter=30, init="prior")
>>> other.fit(data.X, checkpoint=path)  # doctest: +ELLIPSIS
Traceback (most recent call last):
    ...
ValueError: ...fit.npz is a checkpoint of another fit: n_states is 2 there, 3 here. The file was
not changed: give another path, or the same settings and data

The file is an archive of NumPy: plain arrays and a header in JSON, without pickles. It is written
under another name and then renamed, so an interrupted write never leaves a partial file. If the
disk is full, the fit continues and warns. Only one fit at a time can use a file.
`hhmm.model_selection.scan` has a ``checkpoint`` too. It stores completed fits, and with
``checkpoint_every`` also the progress of others.

Ctrl-C ends a fit after the current sweep. The model is then fitted on the completed sweeps, and a
warning says how many. Continue with ``warm_start=True`` or the checkpoint. A second Ctrl-C, or one
within ten seconds of another, stops at once, which is needed in a grid search. The model is fitted
even if warnings are errors. Ctrl-C during the search for a start (``init="windows"``) ends the
search, and the fit after one sweep from the best start so far. A fit with a checkpoint stops at
once, and the same call begins again.

With ``verbose=1`` a fit prints its estimate of memory before it starts, and the rounds of the
search. If the machine, the
container or the cluster job does not have enough free memory, the fit raises an error that says
what to change. See the notes of `hhmm.EfficientHHMM`. A fit of a hundred million timesteps, held
for 40 on average, took 3.5 GB in addition to the data.

JAX does not work in a process that was forked after JAX was used. A fit or a prediction there
raises an error instead of waiting for ever. Default processes of joblib are not forked.
"""
