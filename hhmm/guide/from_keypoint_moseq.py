"""From a ``results.h5`` of keypoint-MoSeq to states by group and a figure.

For this page a small file is written first; with your own, begin at the loader.

>>> import tempfile
>>> from pathlib import Path
>>> import h5py
>>> import numpy as np
>>> from hhmm.datasets import make_hhmm
>>> folder = Path(tempfile.mkdtemp())
>>> simulated = make_hhmm(8, 60, n_states=2, n_syllables=6, random_state=0)
>>> with h5py.File(folder / "results.h5", "w") as file:
...     for i, syllables in enumerate(simulated.X):
...         held = np.repeat(syllables, 10)  # each syllable lasts ten frames
...         file[f"mouse{i}/syllable"] = held

Load. The first frames of every recording are copies of the first estimate; ``n_lags`` marks as
many as missing as ``nlags`` in the configuration of the project says:

>>> from hhmm.datasets import load_keypoint_moseq
>>> data = load_keypoint_moseq(folder / "results.h5", frame_rate=30, n_lags=3)
>>> data.names[:2], len(data.sequences), len(data.sequences[0])
(['mouse0', 'mouse1'], 8, 600)

Groups are not in that file (they are in ``moseq_df.csv``: `hhmm.datasets.load_moseq_dataframe`).
Say which recording is of which:

>>> groups = ["saline" if i % 2 else "drug" for i in range(8)]

Number the labels that occur. keypoint-MoSeq numbers more syllables than an animal shows, and the
model reserves probability for each label up to the largest. `hhmm.preprocessing.SyllableEncoder`
renumbers them; ``encoder.categories_[j]`` is the label that j had:

>>> from hhmm.preprocessing import SyllableEncoder
>>> encoder = SyllableEncoder()
>>> frames = encoder.fit_transform(data.sequences)

keypoint-MoSeq says which syllable every frame is in, and syllables last tens of frames. For how
long says little about states, so the model takes a syllable that follows itself as held:
``self_transitions="auto"``, the default, finds this in the data. States last so many frames, and so
many seconds.

Fit. The scales of the emissions are learnt from the data:

>>> import warnings
>>> from hhmm import EfficientHHMM
>>> model = EfficientHHMM(n_states=2, random_state=0)
>>> model = model.set_params(max_iter=4, init="prior")  # for this page to be quick; leave it out
>>> with warnings.catch_warnings():
...     warnings.simplefilter("ignore")  # four sweeps are too few to have settled
...     states = model.fit(frames).predict(frames)
>>> len(states), len(states[0])
(8, 600)
>>> model.self_transitions_
False

To fit runs instead of frames, collapse them with `hhmm.preprocessing.RunCollapser`: its `expand`
brings states back to frames. What is known of how long states last beforehand can be given as
`trans_kappa`, by `hhmm.model_selection.trans_kappa_from_duration`.

With `verbose=1` a fit shows how far it is; a `ConvergenceWarning` says when it should go on.

Look. Every display takes a fitted model or states, draws on axes that it is given or makes a
figure:

>>> import matplotlib
>>> matplotlib.use("Agg")  # no window; leave it out in a notebook
>>> from hhmm.plotting import EthogramDisplay, StateUsageDisplay
>>> display = EthogramDisplay.from_predictions(
...     states, names=data.names, groups=groups, frame_rate=data.frame_rate
... )
>>> display.figure_.savefig(folder / "ethogram.png")
>>> display = StateUsageDisplay.from_predictions(states, groups=groups)
>>> display.figure_.savefig(folder / "usage.png")
>>> sorted(path.name for path in folder.glob("*.png"))
['ethogram.png', 'usage.png']

What is a state? `hhmm.plotting.SyllablePreferenceDisplay` shows which syllables it promotes and
suppresses against the base, `hhmm.plotting.DurationDisplay` how long it lasts,
`hhmm.plotting.StateGraphDisplay` what follows it.

Write the states beside the recordings, one table a recording:

>>> from hhmm.datasets import save_states
>>> paths = save_states(folder / "states", states, data.names, syllables=data.sequences)
>>> paths[0].read_text().splitlines()[0]
'frame,syllable,state'

Keep the model: ``joblib.dump(model, "model.joblib")``.
"""
