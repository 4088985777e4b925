"""Fit the ``results.h5`` of keypoint-MoSeq, and draw states by group.

This page first writes a small file. If you have a file, start at the loader.

>>> import tempfile
>>> from pathlib import Path
>>> import h5py
>>> import numpy as np
>>> from hhmm.datasets import make_hhmm
>>> folder = Path(tempfile.mkdtemp())
>>> simulated = make_hhmm(8, 60, n_states=2, n_syllables=5, random_state=0)
>>> with h5py.File(folder / "results.h5", "w") as file:
...     for i, syllables in enumerate(simulated.X):
...         held = np.repeat(syllables, 10)  # each syllable lasts ten frames
...         file[f"mouse{i}/syllable"] = held

Load the file. The first frames of a recording have no estimate: the file repeats the first estimate
there. ``n_lags`` marks these frames as missing. Its value is ``nlags`` in the configuration of
keypoint-MoSeq:

>>> from hhmm.datasets import load_keypoint_moseq
>>> data = load_keypoint_moseq(folder / "results.h5", frame_rate=30, n_lags=3)
>>> data.names[:2], len(data.sequences), len(data.sequences[0])
(['mouse0', 'mouse1'], 8, 600)

This file has no groups (``moseq_df.csv`` has them: `hhmm.datasets.load_moseq_dataframe`). Give the
group of each recording:

>>> groups = ["saline" if i % 2 else "drug" for i in range(8)]

Number the labels that occur. Some labels of keypoint-MoSeq occur in no frame, but the model
reserves probability for each label up to the largest. `hhmm.preprocessing.SyllableEncoder` numbers
the others 0, 1, .... ``encoder.categories_[j]`` is the label of syllable j in the file:

>>> from hhmm.preprocessing import SyllableEncoder
>>> encoder = SyllableEncoder()
>>> frames = encoder.fit_transform(data.sequences)

keypoint-MoSeq has one label per frame, and syllables last tens of frames. Their durations have
little information about states. The default ``self_transitions="auto"`` detects such data. Then a
syllable that follows itself is not an emission. Durations of states are in frames.

Fit the model. The scales of the emissions are learnt from the data:

>>> import warnings
>>> from hhmm import EfficientHHMM
>>> model = EfficientHHMM(n_states=2, random_state=0)
>>> model = model.set_params(max_iter=60, init="prior")  # only to make this page quick
>>> with warnings.catch_warnings():
...     warnings.simplefilter("ignore")  # sixty sweeps are few
...     states = model.fit(frames).predict(frames)
>>> len(states), len(states[0])
(8, 600)
>>> model.self_transitions_
False

You can also fit syllables instead of frames: `hhmm.preprocessing.RunCollapser` collapses each run
of frames into one timestep, and its ``expand`` gives the state of each frame. If you know how long
states last, set ``trans_kappa`` with `hhmm.model_selection.trans_kappa_from_duration`.

With ``verbose=1`` a fit prints its progress. After a ``ConvergenceWarning``, increase ``max_iter``.

Draw figures. Every display takes a fitted model or states. It draws in axes that you give, or makes
a figure:

>>> import matplotlib
>>> matplotlib.use("Agg")  # no window; not needed in a notebook
>>> from hhmm.plotting import EthogramDisplay, StateUsageDisplay
>>> display = EthogramDisplay.from_predictions(
...     states, names=data.names, groups=groups, frame_rate=data.frame_rate
... )
>>> display.figure_.savefig(folder / "ethogram.png")
>>> display = StateUsageDisplay.from_predictions(states, groups=groups)
>>> display.figure_.savefig(folder / "usage.png")
>>> sorted(path.name for path in folder.glob("*.png"))
['ethogram.png', 'usage.png']

To test differences between groups, see `hhmm.guide.groups`.

To interpret a state, draw the syllables that it promotes and suppresses
(`hhmm.plotting.SyllablePreferenceDisplay`), how long it lasts (`hhmm.plotting.DurationDisplay`) and
which states follow it (`hhmm.plotting.StateGraphDisplay`).

Write the states to files, one table per recording:

>>> from hhmm.datasets import save_states
>>> paths = save_states(folder / "states", states, data.names, syllables=data.sequences)
>>> paths[0].read_text().splitlines()[0]
'frame,syllable,state'

Save the model: ``joblib.dump(model, "model.joblib")``.
"""
