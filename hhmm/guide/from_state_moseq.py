"""Find the counterparts of state-moseq's functions, and the differences in results.

state-moseq is the published implementation of this model. The base, the biases and their Helmert
bases, and the sticky Dirichlet prior are the same. The defaults differ. To fit the published model,
give `hhmm.EfficientHHMM` these arguments: ``emission_usage_sigma=0`` and ``self_transitions=True``
leave out what is new here, ``emission_base_sigma=1`` and ``emission_biases_sigma=1`` fix the
scales, and ``emission_sampler="laplace"`` draws from a normal approximation. Hyperparameters have
the same names. Parameters have the same form:
``EfficientHHMM.from_params(params["emission_base"], params["emission_biases"],
params["trans_probs"])``.

============================================  ====================================================
state-moseq                                   here
============================================  ====================================================
``hypparams`` dictionary                      arguments of `EfficientHHMM`; ``n_states``,
                                              ``n_syllables``, ``emission_base_sigma``,
                                              ``emission_biases_sigma``, ``trans_beta``,
                                              ``trans_kappa``, ``emission_gd_iters``,
                                              ``emission_gd_lr``
``data`` dictionary (syllables, mask)         ``fit(X, mask=mask)``, or a list of sequences
``batch``, ``unbatch``                        not needed: a list in, a list out
``initialize_params``, ``random_params``      ``init="prior"``; ``make_hhmm`` draws parameters and
                                              data
``fit_gibbs``                                 ``fit``; ``log_joint_``, ``emission_losses_``,
                                              ``states_``
``fit_gradient_descent``                      ``algorithm="gradient"``, or ``"em"`` for the same
                                              mode
``resample_params``, ``resample_states``      part of ``fit``; ``sample_states`` for states
``resample_emission_params``                  part of ``fit``: ``emission_sampler="laplace"`` or
                                              ``"hmc"``
``resample_trans_probs``                      part of ``fit``
``estimate_emission_params``                  not needed: the solver starts at the last mode
``get_syllable_trans_probs``                  ``syllable_trans_probs_``
``marginal_loglik``                           ``score_samples(X).sum()``
``log_joint_prob``, ``log_params_prob``       ``log_joint(X)``; ``log_joint(X) -
                                              score_samples(X).sum()``
``smoothed_states``, ``filtered_states``      ``predict_proba``, ``filter_proba``
``predicted_states``                          ``predict``
``simulate``                                  ``sample``
``hhmm_standard`` (free emissions)            ``emission_biases_sigma=0`` and
                                              ``emission_interactions_sigma="auto"``
``compare_states``                            `hhmm.metrics.matched_accuracy`,
                                              ``matched_confusion_matrix``
``count_transitions``                         ``numpy.add.at``; `hhmm.metrics` counts states, not
                                              transitions
``get_durations``, ``get_frequencies``        `hhmm.metrics.state_durations`, ``state_usage``
``get_adjusted_rand``                         `sklearn.metrics.adjusted_rand_score`
``lagged_mutual_information``                 `hhmm.metrics.lagged_mutual_information`
``cross_sequence_mutual_information``         `sklearn.metrics.mutual_info_score`
``simulate_markov_chain``                     part of ``lagged_mutual_information``; or a fit
                                              with ``n_states=1``
``save_hdf5``, ``load_hdf5``                  ``joblib.dump``, ``joblib.load``;
                                              `hhmm.datasets.save_states`
``plot_sankey``                               `hhmm.plotting.AlignmentDisplay`
``sample_instances``                          not here; see the example below
``generate_grid_movies``                      not here: videos are not read
helpers of linear algebra, ``viz`` of videos  not public here
============================================  ====================================================

>>> import numpy as np
>>> states = np.array([1, 1, 2, 2, 2, 0])
>>> starts = np.flatnonzero(np.diff(states, prepend=-1))  # where instances of states start
>>> list(zip(states[starts].tolist(), starts.tolist()))
[(1, 0), (2, 2), (0, 5)]

Differences in results
----------------------
- *Fitted parameters.* ``fit_gibbs`` returns its last draw. Here they are means over the kept draws,
  after states are matched between draws: of the draws of transitions, and of the mode of the
  emissions given the states of each draw. ``posterior_`` has the draws. These means predict
  held-out data better than one draw.
- *Start.* Some fits that start at a draw from the prior stay thousands of nats below the best mode.
  Here EM first runs from many starts, and the best one is used (``init="windows"``).
  ``init="prior"`` starts as state-moseq does.
- *Emission draw.* state-moseq adds 0.01 to the diagonal of the matrix that it inverts, so it draws
  from a narrower distribution than the Laplace approximation. Nothing is added here.
  ``emission_sampler="hmc"`` draws from the exact posterior.
- *Emission solve.* state-moseq takes a fixed number of gradient steps of fixed size, which may end
  before the mode. Newton's method here ends at the mode.
- *Transitions.* state-moseq masks counts at the first of two timesteps, so it counts one transition
  into padding for every sequence that is shorter than the array. Here both timesteps must be part
  of the sequence.
- *Missing timesteps inside a sequence.* state-moseq masks only the timestep itself, so the syllable
  after a gap counts as if it followed the value in the gap. Here an emission counts if both of its
  syllables are observed.
- *Random numbers.* state-moseq draws the first states and the first parameters with related keys.
  Here no key is used twice.
- *Durations and frequencies.* ``get_durations`` concatenates recordings, so a state at the end of
  one and at the beginning of the next counts as one long visit. Here visits end with their
  recording, and censored visits can be left out (``include_censored=False``).
- *Lagged information.* state-moseq has one curve per sequence. Here the curve is an average over
  sequences (see ``pooled``).
"""
