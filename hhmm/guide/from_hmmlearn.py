"""Find the counterparts of hmmlearn's parameters and methods.

``hmmlearn.hmm.CategoricalHMM`` models a syllable given the state. `hhmm.EfficientHHMM` models a
syllable given the state *and the previous syllable*. The former needs states for the order of
syllables. Here a term that all states share (the base) describes the order, and states describe
slow changes.

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

``algorithm="em"`` is expectation maximisation, as in hmmlearn. The default, ``"gibbs"``, samples
the posterior, which also shows how certain the parameters are. The tests of this package compare
the probabilities of paths with hmmlearn's, for a model that both packages have.
"""
