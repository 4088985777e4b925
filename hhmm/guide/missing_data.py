"""Handle frames without a syllable, masks and padding.

A timestep is missing if its value is negative, None, NaN or pandas' NA, if it is masked in a masked
array, or if ``mask`` is False:

- Missing timesteps at the end are padding. The sequence ends before them. Their state is -1 in
  ``predict`` and NaN in ``predict_proba``.
- A missing timestep inside a sequence is part of it. The animal continued to behave, so the state
  can change in the gap, and is inferred from both sides of it. The emission of a syllable is left
  out if it or the previous syllable is missing.

>>> import numpy as np
>>> from hhmm import EfficientHHMM
>>> from hhmm.datasets import make_hhmm
>>> data = make_hhmm(24, 200, n_states=2, n_syllables=5, random_state=0)
>>> X = data.X.copy()
>>> X[0, 20:25] = -1  # the camera was covered
>>> X[1, 40:] = -1  # a shorter recording
>>> model = EfficientHHMM(2, max_iter=60, init="prior", random_state=0)
>>> import warnings
>>> with warnings.catch_warnings():
...     warnings.simplefilter("ignore")  # sixty sweeps are few
...     states = model.fit(X).predict(X)
>>> bool((states[0] >= 0).all()), bool((states[1, 40:] == -1).all())
(True, True)

Use two sequences for two recordings. If you join them with a missing timestep between them, the
state at the end of one affects the state at the beginning of the other.

Masks
-----
``mask`` is an array of the shape of a 2-D X, True where the timestep is observed. You can
always write missing values into X instead:

>>> mask = np.ones(X.shape, bool)
>>> mask[0, 30:33] = False
>>> both = model.predict(X, mask=mask), model.predict(np.where(mask, X, -1))
>>> bool((both[0] == both[1]).all())
True

Searches and pipelines of scikit-learn pass a mask to fits and scores only if metadata routing is
enabled (``sklearn.set_config(enable_metadata_routing=True)``). The estimator requests ``mask`` by
default, so ``GridSearchCV(model, grid).fit(X, mask=mask)`` then works. Without routing,
``GridSearchCV.fit(X, mask=mask)`` passes the mask to the fits but not to the scores, and
``Pipeline.score`` ignores it. So without routing, write missing values into X.
"""
