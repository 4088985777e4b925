"""Coming from hmmlearn.

``hmmlearn.hmm.CategoricalHMM`` models a syllable given the state; `EfficientHHMM` models a
syllable given the state *and the syllable before*. A hidden Markov model of the first kind has
to spend its states on the order of syllables; here that is the base, and states are left for
what changes slowly.

==============================  ==================================================================
hmmlearn                        here
==============================  ==================================================================
``fit(X, lengths)``, X long     ``fit(X)``, X a 2-D array or a list of 1-D arrays, one a sequence
``n_components``                ``n_states``
``n_features``                  ``n_syllables``
``n_iter``, ``tol``             ``max_iter``, ``tol``
``transmat_``                   ``trans_probs_``
``startprob_``                  uniform, not fitted
``emissionprob_`` (K, S)        ``syllable_trans_probs_`` (K, S, S)
``transmat_prior``              ``trans_beta``, and ``trans_kappa`` on the diagonal
``decode``                      ``decode``: log probabilities by sequence, and states
``predict``, ``predict_proba``  the same names; output in the form of X
``score`` (total, nats)         ``score_samples(X).sum()``; ``score`` is per observed transition
``sample(n)``                   ``sample(n_sequences, n_timesteps)``
``monitor_.converged``          ``converged_``
==============================  ==================================================================

One long array with lengths becomes a list of sequences:

>>> import numpy as np
>>> X, lengths = np.array([0, 1, 1, 2, 0, 2, 1]), [4, 3]
>>> sequences = np.split(X, np.cumsum(lengths)[:-1])
>>> [len(sequence) for sequence in sequences]
[4, 3]

Expectation maximisation with the same meaning is ``algorithm="em"``. The default, ``"gibbs"``,
samples the posterior instead, and tells how certain the parameters are. The probabilities of a
path agree with hmmlearn's where the model can be written in both: the tests of this package
compare them.
"""
