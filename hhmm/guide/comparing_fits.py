"""Comparing fits: with each other, with labels, with another number of states.

States have no names. A fit numbers them by falling usage, and another fit of the same data may
well number them otherwise. `hhmm.metrics` compares states after the one-to-one relabelling that
agrees best:

>>> import warnings
>>> from hhmm import EfficientHHMM
>>> from hhmm.datasets import make_hhmm
>>> from hhmm.metrics import match_states, matched_accuracy
>>> data = make_hhmm(12, 60, n_states=2, n_syllables=4, emission_biases_sigma=2.0, random_state=0)
>>> def fit(seed):
...     model = EfficientHHMM(2, max_iter=8, init="prior", random_state=seed)
...     with warnings.catch_warnings():
...         warnings.simplefilter("ignore")  # eight sweeps are too few to have settled
...         return model.fit(data.X)
>>> one, other = fit(0), fit(1)
>>> agreement = matched_accuracy(one.predict(data.X), other.predict(data.X))
>>> 0.5 <= agreement <= 1
True
>>> new_names = match_states(one.predict(data.X), other.predict(data.X))
>>> sorted(new_names.tolist())
[0, 1]

Which of two fits is better?

- Of the same model on the same data: the one with the higher log joint, ``log_joint_[:, -1]``.
  Draws of "gibbs" lie about half as many nats below a mode as there are parameters, so compare
  draws with draws, and modes with modes.
- With other numbers of states, or another stickiness: the one that predicts held-out sequences
  better, ``score``, nats per observed transition. `sklearn.model_selection.GridSearchCV` does
  that, and `hhmm.model_selection.scan` tells more about it.
- With what is known of the animal: `matched_accuracy` against labels; for groups of more or
  fewer states than labels, `sklearn.metrics.adjusted_rand_score` on the states of all timesteps.

Do seeds agree? Fit with ``n_chains=4``: a warning tells when chains are in different modes, and
`hhmm.diagnostics.posterior_summary` gives R-hat and effective sample sizes; ``model.to_arviz()``
hands all draws to ArviZ.

>>> idata = one.to_arviz(data.X)
>>> idata.log_likelihood["X"].sizes["sequence"]
12

Parameters of one fit are taken as they are in another by ``EfficientHHMM.from_params``, and as
the place where a fit starts by ``init=model``.
"""
