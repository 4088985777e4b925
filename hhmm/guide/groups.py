"""Fit several animals and groups together, and compare their use of states.

Fit one model to all animals. States then have the same meaning in every animal, and the use of
states can be compared. X is a list with one sequence per recording. Keep the animal and the group
of each recording in other lists.

>>> import warnings
>>> import numpy as np
>>> from hhmm import EfficientHHMM
>>> from hhmm.datasets import make_hhmm
>>> truth = make_hhmm(1, 2, n_states=2, n_syllables=6, emission_biases_sigma=2.0, random_state=3)
>>> sequences, groups = [], []
>>> for group, stay in (("control", [0.98, 0.90]), ("drug", [0.90, 0.98])):
...     trans_probs = np.array([[stay[0], 1 - stay[0]], [1 - stay[1], stay[1]]])
...     animal = EfficientHHMM.from_params(truth.emission_base, truth.emission_biases, trans_probs)
...     X, _ = animal.sample(12, 200, random_state=len(sequences))
...     sequences += list(X)
...     groups += [group] * 12
>>> model = EfficientHHMM(2, trans_kappa=20.0, algorithm="em", init="prior", random_state=0)
>>> with warnings.catch_warnings():
...     warnings.simplefilter("ignore")
...     usage = model.fit(sequences).transform(sequences)
>>> usage.shape  # the fraction of time of each recording in each state
(24, 2)
>>> control = np.array(groups) == "control"
>>> difference = usage[control, 0].mean() - usage[~control, 0].mean()
>>> bool(abs(difference) > 0.2)
True

Because it has ``transform``, the model can be a pipeline step before a classifier.
Cross-validation then fits the states without the recordings that are classified:

>>> from sklearn.linear_model import LogisticRegression
>>> from sklearn.model_selection import StratifiedKFold, cross_val_score
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> classifier = make_pipeline(model, StandardScaler(), LogisticRegression())
>>> folds = StratifiedKFold(2, shuffle=True, random_state=0)
>>> with warnings.catch_warnings():
...     warnings.simplefilter("ignore")
...     accuracy = cross_val_score(classifier, sequences, groups, cv=folds)
>>> bool(accuracy.mean() > 0.8)
True

- Recordings of one animal are similar. Hold out whole animals: ``cv=GroupKFold(5)`` with
  ``groups=animals``.
- In a test of a difference between groups, the number of observations is the number of animals, and
  not of frames. Average over the recordings of an animal first.
- `hhmm.plotting.StateUsageDisplay` and `hhmm.plotting.EthogramDisplay` draw groups.
- If groups differ in the syllables of a state, fit one model per group. Compare the models with
  `hhmm.plotting.SyllablePreferenceDisplay`, and match their states with
  `hhmm.metrics.match_states` on recordings that both models decode.
"""
