"""Fits that take hours: checkpoints, interrupts, memory.

A fit with a checkpoint writes what it has done to a file, every ten sweeps unless told otherwise.
When it is started again after a crash, a kill or a power cut, with the same settings and data, it
goes on from there and ends with the result of a fit that nobody disturbed, to the last bit.

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

Other data or settings are refused, by what is different, and the file is left alone:

>>> other = EfficientHHMM(3, max_iter=30, init="prior")
>>> other.fit(data.X, checkpoint=path)  # doctest: +ELLIPSIS
Traceback (most recent call last):
    ...
ValueError: ...fit.npz is a checkpoint of another fit: n_states is 2 there, 3 here. The file was
left as it was: give another path, or the same settings and data

The file is an archive of NumPy, of plain arrays and a header of JSON, and nothing in it is
pickled. It is written aside and moved to its place, so that whole files alone bear its name.
Where it cannot be written, to a full disk, the fit goes on and a warning says so. One fit at a time
may use a file. `hhmm.model_selection.scan` has a ``checkpoint`` too: of whole fits, and with
``checkpoint_every`` of those under way.

Ctrl-C ends a fit after the sweep under way. The model is then fitted on the sweeps done, and a
warning tells how many. ``warm_start=True``, or the checkpoint, goes on from there. Ctrl-C a
second time, or within ten seconds of another, stops at once, as it must be in a grid search. Where
warnings are made errors, the model is fitted all the same.

What a fit takes of memory is shown before it begins with ``verbose=1``, and one for which not
enough is free (of the machine, or of what a container or a job of a cluster is granted) is refused
with what to change; see the notes of `EfficientHHMM`. A hundred million timesteps, held 40 on
average, were fitted in 3.5 GB beside the data.

JAX does not work in a process that was forked from one in which it has computed; a fit or a
prediction there is refused instead of waiting for ever. joblib's default processes are not forked.
"""
