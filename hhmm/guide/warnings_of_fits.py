"""Warnings of a fit: what each means and what to do.

``converged_`` is False after a warning about the log joint, chains, accepted proposals or
iterations. Other warnings do not change it. The message of a warning has the figures of the fit.

+------------------------------+----------------------------------+--------------------------------+
| message                      | meaning                          | what to do                     |
+==============================+==================================+================================+
| the log joint (or            | the chain was still moving to a  | increase ``max_iter``; it can  |
| likelihood) had not settled  | mode, or jumped to another one   | take thousands of sweeps       |
+------------------------------+----------------------------------+--------------------------------+
| chains ... are not where the | chains ended in different modes; | compare fits with other values |
| best one is                  | the estimate is of the best one  | of ``random_state``; report    |
|                              |                                  | what all find                  |
+------------------------------+----------------------------------+--------------------------------+
| only one of ... searches for | the best of ``n_init`` searches  | increase ``n_init``            |
| a start found the highest    | was found once; there may be a   |                                |
| mode                         | better one                       |                                |
+------------------------------+----------------------------------+--------------------------------+
| accepted proposals ... with  | draws of the emissions hardly    | increase ``max_iter``; fix     |
| probability                  | move                             | scales at smaller values       |
+------------------------------+----------------------------------+--------------------------------+
| the emission solve did not   | the mode of the emissions was    | increase ``emission_gd_iters`` |
| converge                     | not reached in a sweep           |                                |
+------------------------------+----------------------------------+--------------------------------+
| did not converge in ...      | "em" or "gradient" had not       | increase ``max_iter`` or       |
| iterations                   | reached its mode                 | ``tol``                        |
+------------------------------+----------------------------------+--------------------------------+
| the fit was interrupted      | Ctrl-C ended it after a sweep    | continue with the same         |
|                              |                                  | checkpoint, or with            |
|                              |                                  | ``warm_start``                 |
+------------------------------+----------------------------------+--------------------------------+
| states take less than 1%     | there are more states than the   | decrease ``n_states``; compare |
|                              | data need, or a state was lost   | values of ``random_state``     |
+------------------------------+----------------------------------+--------------------------------+
| states last about as long as | states describe the order of     | increase ``trans_kappa``, or   |
| syllables                    | syllables, and are not slow      | decrease ``n_states``          |
+------------------------------+----------------------------------+--------------------------------+
| sequences are in one state   | states stand for recordings or   | fit with ``groups=animals``;   |
| for 95% of their time        | animals and not for behaviour    | compare with ``n_states=1``;   |
|                              |                                  | see `choosing`                 |
+------------------------------+----------------------------------+--------------------------------+
| self_transitions=True,       | states describe how long         | leave ``self_transitions`` at  |
| states then explain          | syllables are held               | "auto"                         |
+------------------------------+----------------------------------+--------------------------------+
| labels never occur in X      | unused labels take probability   | number the labels with a       |
|                              | from those that occur            | ``SyllableEncoder``            |
+------------------------------+----------------------------------+--------------------------------+
| observed timesteps but ...   | most neighbours of observed      | if labels are events, leave    |
| observed transition(s)       | timesteps are missing            | out the timesteps between them |
+------------------------------+----------------------------------+--------------------------------+
| of `posterior_summary`: few  | draws hardly move in a quantity, | increase ``max_iter`` and      |
| draws are effective          | or differ from chain to chain    | ``n_draws``, or ``n_init``; or |
|                              |                                  | ``emission_sampler="marginal"``|
+------------------------------+----------------------------------+--------------------------------+
| of `predict`: syllables of X | X has another frame rate, or its | collapse runs in both or in    |
| are held for                 | runs are collapsed               | neither                        |
+------------------------------+----------------------------------+--------------------------------+

If a fit has settled, and several chains or seeds agree, it can still have missed a higher mode:
``converged_`` says that the chain has stopped moving, and not that no better mode exists.

>>> import warnings
>>> from hhmm import EfficientHHMM
>>> from hhmm.datasets import make_hhmm
>>> data = make_hhmm(24, 200, n_states=2, n_syllables=5, random_state=0)
>>> with warnings.catch_warnings(record=True) as caught:
...     warnings.simplefilter("always")
...     model = EfficientHHMM(2, algorithm="em", init="prior", max_iter=2).fit(data.X)
>>> model.converged_, caught[0].category.__name__
(False, 'ConvergenceWarning')
"""
