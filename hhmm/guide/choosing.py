"""How many states, how sticky, and are they there at all?

Are there slow states?
----------------------
A first-order Markov chain of syllables forgets within some syllables. If syllables tell
something about syllables much later, more than such a chain would, something slow is behind
them. `hhmm.metrics.lagged_mutual_information` compares the data with Markov surrogates and with
shuffled pairs; `hhmm.plotting.LaggedInformationDisplay` draws it.

>>> import numpy as np
>>> from hhmm.datasets import make_hhmm
>>> from hhmm.metrics import lagged_mutual_information
>>> data = make_hhmm(12, 400, n_states=2, n_syllables=4, emission_biases_sigma=2.0, random_state=0)
>>> curve = lagged_mutual_information(data.X, [1, 10, 30], random_state=0)
>>> above = curve.data - curve.markov.max(axis=0)
>>> bool(above[1] > 0), bool(above[2] > 0)  # ten and thirty syllables later
(True, True)

At the frame rate of a camera every syllable is held for tens of frames, and tells about itself
for as long. Collapse the runs first, with `hhmm.preprocessing.RunCollapser`, for this question.

How sticky?
-----------
``trans_kappa`` says how long states are expected to last before the data are seen. As a time:

>>> from hhmm.model_selection import duration_from_trans_kappa, trans_kappa_from_duration
>>> trans_kappa_from_duration(20, n_states=3, frame_rate=30)  # 20 s at 30 frames a second
1197.0
>>> round(duration_from_trans_kappa(100.0, n_states=5), 2)  # the default, in timesteps
26.25

It is a prior: with enough data states last as long as the data say. Where data are few, or
states hardly differ, it decides at which time scale states are sought. So fix it by what you
want to know (seconds of actions, minutes of moods), and look whether the durations found depend
on it.

How many?
---------
Fit several numbers from several seeds, and look at what each predicts of sequences it has not
seen:

>>> from hhmm import EfficientHHMM
>>> from hhmm.model_selection import scan
>>> model = EfficientHHMM()
>>> model = model.set_params(algorithm="em", init="prior", tol=0.1)  # quick; leave it out
>>> result = scan(
...     data.X, {"n_states": [1, 2]}, estimator=model, cv=2, n_seeds=2, random_state=0
... )
>>> result.best_params_
{'n_states': 2}

The score of ever more states keeps rising a little where data are many, because behaviour is not
made by this model. Stop where seeds no longer agree (``matched_accuracy``, ``adjusted_rand``),
where states are left unused, or where the score is within a standard error of the best:
``result.one_standard_error()``. The states you write about should be those that every seed
finds. `hhmm.plotting.ScanDisplay` shows all of it.

Does the model fit?
-------------------
`hhmm.model_checks.posterior_predictive_check` simulates from the fitted model and compares
durations and usage with those of the data: durations of the states of this model are geometric,
those of animals often are not.
"""
