"""Compare fits with each other, with labels, and with other numbers of states.

State numbers are arbitrary. A fit numbers states by decreasing usage, so another fit of the same
data may number them differently. `hhmm.metrics` first renumbers the states of one fit, one to one,
so that they agree best with the other:

>>> import warnings
>>> from hhmm import EfficientHHMM
>>> from hhmm.datasets import make_hhmm
>>> from hhmm.metrics import match_states, matched_accuracy
>>> data = make_hhmm(24, 200, n_states=2, n_syllables=5, emission_biases_sigma=2.0, random_state=0)
>>> def fit(seed):
...     model = EfficientHHMM(2, max_iter=60, init="prior", random_state=seed)
...     with warnings.catch_warnings():
...         warnings.simplefilter("ignore")  # sixty sweeps are few
...         return model.fit(data.X)
>>> one, other = fit(0), fit(1)
>>> agreement = matched_accuracy(one.predict(data.X), other.predict(data.X))
>>> 0.5 <= agreement <= 1
True
>>> new_names = match_states(one.predict(data.X), other.predict(data.X))
>>> sorted(new_names.tolist())
[0, 1]

Which of two fits is better?

- If both fits have the same settings and data, take the higher log joint, ``log_joint_[:, -1]``.
  With "gibbs" and learnt scales (the default), compare the mean of ``log_likelihood_`` over the
  last sweeps instead. The log joint of a draw of "gibbs" is about half a nat per parameter below
  that of a mode. So compare draws with draws, and modes with modes.
- If the fits differ in the number of states or the stickiness, take the model that predicts
  held-out sequences better (``score``, in nats per transition).
  `sklearn.model_selection.GridSearchCV` does this. `hhmm.model_selection.scan` also measures
  durations, usage and the agreement of seeds.
- If there are labels, compare with `hhmm.metrics.matched_accuracy`. If there are more or fewer
  states than labels, use `sklearn.metrics.adjusted_rand_score` on the states of all timesteps.

To check if different starts agree, fit with ``n_chains=4``. A warning names chains in different
modes. To look for a higher mode, fit with ``n_init=5``: of five searches for a start, the best is
kept. ``init_log_joints_`` has what each one reached, and a warning says if only one of them found
the best. `hhmm.diagnostics.posterior_summary` has R-hat and effective sample sizes.
``model.to_arviz()`` returns all draws for ArviZ.

>>> idata = one.to_arviz(data.X)
>>> idata.log_likelihood["X"].sizes["sequence"]
24

``EfficientHHMM.from_params`` makes a model with given parameters. With ``init=model``, a fit starts
at the parameters of ``model``.
"""
