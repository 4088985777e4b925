"""Missing data: frames without a syllable, masks, padding.

A timestep is missing where its value is negative or NaN, masked in a masked array, or
False in ``mask``. What follows from it:

- Missing timesteps at the end are padding. The sequence ends before them: they have no state, -1
  in `predict`, NaN in `predict_proba`.
- A missing timestep inside of a sequence stays part of it. The animal went on doing something,
  so the state moves on through the gap, and is inferred from both of its sides. The emission of
  a syllable is left out where it or the one before it is missing.

>>> import numpy as np
>>> from hhmm import EfficientHHMM
>>> from hhmm.datasets import make_hhmm
>>> data = make_hhmm(12, 60, n_states=2, n_syllables=4, random_state=0)
>>> X = data.X.copy()
>>> X[0, 20:25] = -1  # the camera was covered
>>> X[1, 40:] = -1  # a shorter recording
>>> model = EfficientHHMM(2, max_iter=8, init="prior", random_state=0)
>>> import warnings
>>> with warnings.catch_warnings():
...     warnings.simplefilter("ignore")  # eight sweeps are too few to have settled
...     states = model.fit(X).predict(X)
>>> bool((states[0] >= 0).all()), bool((states[1, 40:] == -1).all())
(True, True)

A gap between two recordings that should not touch is no missing timestep but the end of one
sequence and the beginning of another. Two recordings joined with one missing timestep between
them differ from two sequences in that the state is carried over.

Masks
-----
``mask`` is an array of the shape of a 2-D X, True where the timestep is observed. The same can
always be written into X, and then goes wherever X goes:

>>> mask = np.ones(X.shape, bool)
>>> mask[0, 30:33] = False
>>> both = model.predict(X, mask=mask), model.predict(np.where(mask, X, -1))
>>> bool((both[0] == both[1]).all())
True

In searches and pipelines scikit-learn hands a mask on only where metadata routing is on
(``sklearn.set_config(enable_metadata_routing=True)``); the estimator asks for it, so nothing
else is to be done:
``GridSearchCV(model, grid).fit(X, mask=mask)`` then slices it into the fits and the scores.
Without routing, ``GridSearchCV.fit(X, mask=mask)`` hands it to the fits alone: folds are then
scored as if nothing were missing; and ``Pipeline.score`` drops it. So without routing, write
what is missing into X.
"""
