"""Fit several animals and groups together, and compare their use of states.

Fit one model to all animals. States then have the same meaning in every animal, and the use of
states can be compared. X is a list with one sequence per recording. Keep the animal and the group
of each recording in other lists.

>>> import warnings
>>> import numpy as np
>>> from hhmm import EfficientHHMM
>>> from hhmm.datasets import make_hhmm
>>> truth = make_hhmm(1, 2, n_states=2, n_syllables=5, emission_biases_sigma=2.0, random_state=2)
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

Compare the groups. `hhmm.comparisons.compare_groups` pools the recordings of each animal. It tests
the use of each state, how long it lasts ("dwell") and which state follows. With ``syllables``, it
also tests what animals do in a state ("content"). Here each recording is one animal. Otherwise give
``animals``, a label for each recording:

>>> from hhmm.comparisons import compare_groups
>>> states = model.predict(sequences)
>>> comparison = compare_groups(states, groups=groups, syllables=sequences, random_state=0)
>>> table = comparison.to_frame().set_index(["quantity", "state"])
>>> bool((table.loc["dwell", "q_value"] < 0.05).all())  # the drug changes how long both states last
True
>>> bool((table.loc["content", "p_value"] > 0.05).all())  # and not what animals do in them
True

``print(comparison)`` shows effects with intervals, p values, q values and numbers of animals.
`hhmm.plotting.GroupComparisonDisplay` draws them:

>>> import matplotlib
>>> matplotlib.use("Agg")  # no window; not needed in a notebook
>>> from hhmm.plotting import GroupComparisonDisplay
>>> display = GroupComparisonDisplay.from_comparison(comparison, quantities=["usage", "dwell"])
>>> [ax.get_ylabel() for ax in display.axes_]
['fraction of time', 'dwell time (timesteps)']

- The number of observations is the number of animals, and not of frames or recordings. Two groups
  of three animals have 20 permutations, so no p value is below 0.1.
- There are many p values, one for each state or transition, and some are small by chance. The q
  values correct for this within a quantity: of rows with q < 0.05, about 5% at most are false.
- An animal may be in two groups, for example before and after a treatment. Groups are then compared
  within animals, which removes differences between animals. Give all recordings of an animal the
  same label in ``animals``.
- With three groups or more, there is a test of all groups together, and one for each pair.
- The row "shared_content" tests for a difference in the use of syllables that is the same in all
  states. Rows of "content" test for a change in one state that the other states do not have.
- A state that occurs in one group only is not tested, and ``status`` says so. Look at the
  recordings: it may be a state of one animal.

Groups in the model
-------------------
Animals differ in their use of syllables, whatever they do. A model that does not know the animal
may use a state to describe an animal. Most recordings then stay in one state. Give `fit` the animal
of each recording as ``groups``. (In `compare_groups`, ``groups`` are conditions.)

>>> animals = [f"mouse {i // 2}" for i in range(24)]  # two recordings of each
>>> with warnings.catch_warnings():
...     warnings.simplefilter("ignore")
...     model = model.fit(sequences, groups=animals)
>>> model.group_emissions_["group"].shape  # what each animal adds to the logits of syllables
(12, 5)
>>> states = model.predict(sequences, groups=animals)

All methods that infer states or score take the animals again. Displays of a model
(``from_estimator``), `hhmm.report` and `hhmm.model_selection.scan` call them ``model_groups``,
because their ``groups`` are those that are compared or held out.

Each animal has an effect on the logits of syllables and on those of state transitions. The scales
of these effects are learnt (`group_emissions_sigma`, `group_transitions_sigma`), so animals that do
not differ get effects near 0. `group_labels_`, `group_emissions_` and `sigmas_` hold the result:

>>> len(model.group_labels_["group"])
12
>>> bool(model.sigmas_["group_transitions_sigma"] > 0)
True

For several factors, give a data frame with a column for each, for example
``groups=pd.DataFrame({"animal": animals, "treatment": groups})``. `group_emissions_` then has an
array for "animal" and one for "treatment", and each factor has scales of its own.

- Give animals if you have several recordings of each, or long ones. States then stand for behaviour
  and not for animals. Compare conditions afterwards with `hhmm.comparisons.compare_groups`.
- Give conditions if you ask how a treatment changes the use of syllables in general
  (`group_emissions_`) or transitions (`group_trans_probs_`). To ask if it changes the syllables of
  one state, set ``group_states_sigma="auto"`` and look at `group_states_`.
- Give both to separate them. If each animal has one condition, only the prior separates the two
  effects. The learnt scales estimate which of them varies more.
- A group that the fit did not have, or ``groups=None``, has effect 0. So a cross-validation over
  animals scores a held-out animal with effect 0. scikit-learn passes ``groups`` to splitters. It
  passes them to `fit` only if metadata routing is enabled and you request it:
  ``model.set_fit_request(groups=True)``.
- A sweep takes longer with many groups: with 24 animals, 5 states and 60 syllables, about 3 times
  as long as without groups.

Classify recordings
-------------------
Because it has ``transform``, the model can be a pipeline step before a classifier. Cross-validation
then fits the states without the recordings to classify. Here the conditions are the classes ``y``:

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

- Recordings of one animal are similar. Hold out whole animals: give `cross_val_score`
  ``cv=GroupKFold(5)`` and ``groups=animals``.
- `hhmm.plotting.StateUsageDisplay` and `hhmm.plotting.EthogramDisplay` draw groups too.
- Do not fit one model per group to find out if the content of a state differs: two fits differ by
  chance in every state. Fit one model to all animals instead.
"""
