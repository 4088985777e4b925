"""Check if there are slow states, and choose their number and their stickiness.

Are there slow states?
----------------------
A first-order Markov chain of syllables has no memory beyond a few syllables. If a syllable has
more information about much later syllables than in such a chain, there is a slow process.
`hhmm.metrics.lagged_mutual_information` compares each recording with sequences simulated from such
a chain of its own (Markov surrogates) and with shuffled pairs.
`hhmm.plotting.LaggedInformationDisplay` draws the result.

>>> import numpy as np
>>> from hhmm.datasets import make_hhmm
>>> from hhmm.metrics import lagged_mutual_information
>>> data = make_hhmm(8, 400, n_states=2, n_syllables=5, emission_biases_sigma=2.0, random_state=0)
>>> information = lagged_mutual_information(data.X, [1, 5, 10], random_state=0)
>>> (information.above > 0.5).tolist()  # are most recordings above all of their surrogates?
[False, True, True]

Without slow states, one recording in ``n_surrogates + 1`` is above its surrogates by chance. With
``pooled=True``, all recordings together are compared with one chain. Animals that differ in their
use of syllables then look like slow states: the pooled curve stays above the surrogates at all
lags. Use it for many short sequences of like animals, such as songs.

At the frame rate of a camera, every syllable is held for tens of frames, so frames at these lags
are often the same syllable. First collapse each run of frames into one timestep with
`hhmm.preprocessing.RunCollapser`.

How sticky?
-----------
``trans_kappa`` sets the prior expected duration of states. Compute it from a time, or a time from
it:

>>> from hhmm.model_selection import duration_from_trans_kappa, trans_kappa_from_duration
>>> trans_kappa_from_duration(20, n_states=3, frame_rate=30)  # 20 s at 30 frames a second
1197.0
>>> round(duration_from_trans_kappa(100.0, n_states=5), 2)  # the default, in timesteps
26.25

With enough data, the data determine the durations. With little data, or with similar states,
``trans_kappa`` determines them. So set it to the time scale of your question (seconds for actions,
minutes for moods), and check if the durations of the fit depend on it.

How many?
---------
Fit several numbers of states from several seeds, and compare their scores on held-out sequences:

>>> from hhmm import EfficientHHMM
>>> from hhmm.model_selection import scan
>>> model = EfficientHHMM()
>>> model = model.set_params(algorithm="em", init="prior", tol=0.1)  # only for speed here
>>> result = scan(
...     data.X, {"n_states": [1, 2]}, estimator=model, cv=4, n_seeds=2, random_state=0
... )
>>> result.best_params_
{'n_states': 2}

The score is in nats per transition; higher is better. With much data, it rises a little with every
further state, because no real behaviour follows this model exactly. Stop adding states when seeds
disagree (``matched_accuracy``, ``adjusted_rand``), when added states stay unused, or when the score
is within one standard error of the best. ``result.one_standard_error()`` applies the last two. The
standard error is that of the paired difference from the best score, so differences between folds
cancel. Report only states that every seed finds. `hhmm.plotting.ScanDisplay` draws all of these.

If the recordings are of several animals, give ``model_groups=animals``. Otherwise states can stand
for animals, and scores rise with states that are not real. Hold out recordings of known animals:
the effects of an unknown animal are 0. Each fold should hold out recordings of every condition: a
state counts as used if it takes 1 % of the held-out timesteps. To compare durations of states as
well, give ``EfficientHHMM(frame_rate=30)`` and a grid with ``"duration": [5, 20]``, in seconds.

Do states stand for animals?
----------------------------
`hhmm.model_checks.state_report` lists how many animals use each state:

>>> from hhmm.model_checks import state_report
>>> states = model.set_params(n_states=2).fit(data.X).predict(data.X)
>>> report = state_report(states, animals=["m1", "m2"] * 4)
>>> report.n_animals
array([2, 2])
>>> report.warnings
[]

Does the model fit?
-------------------
`hhmm.model_checks.posterior_predictive_check` simulates from the fitted model and compares
durations and usage with those of the data. In this model, durations of states have a geometric
distribution. In animals, they often do not.
"""
