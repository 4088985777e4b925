"""Compare groups."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state, check_scalar

from hhmm._sequences.read import (
    check_n_states,
    read_runs,
)
from hhmm._validation import check_frame_rate, check_state_names
from hhmm.comparisons._content import compare_content
from hhmm.comparisons._result import GroupComparison, in_order, q_values
from hhmm.comparisons._units import (
    as_fractions,
    contrasts,
    count_syllables,
    lay_out_values,
    measure,
    read_units,
)
from hhmm.comparisons._values import compare_values

_MOST_RESAMPLES = 1_000_000


def compare_groups(
    states: ArrayLike,
    *,
    groups: Sequence,
    animals: Sequence | None = None,
    reference: Any = None,
    frame_rate: float | None = None,
    syllables: ArrayLike | None = None,
    n_states: int | None = None,
    state_names: Sequence[str] | None = None,
    n_resamples: int = 9999,
    confidence_level: float = 0.95,
    random_state: int | np.random.RandomState | None = None,
) -> GroupComparison:
    """Compare states between groups of animals.

    Parameters
    ----------
    states : array of shape (n_sequences, n_timesteps) or list of arrays of shape (n_timesteps_i,)
        States, integers, one sequence a recording. Negative timesteps are missing.
        Recordings of `hhmm.datasets.open_recordings` are read one by one.
    groups : sequence of n_sequences labels
        Group of each recording, for example its condition. Two groups or more.
    animals : sequence of n_sequences labels, default=None
        Animal of each recording. Recordings of an animal in a group are pooled. If None, each
        recording is an animal. An animal may be in several groups, for example before and after a
        treatment: then groups are compared within animals.
    reference : label, default=None
        The group with which others are compared, for example the control. If None, the first in
        `groups`.
    frame_rate : float, default=None
        Timesteps per second. Dwell times are in seconds if it is given, else in timesteps.
    syllables : array or list of arrays like `states`, default=None
        Syllables at the same timesteps, frames or events. A syllable that is held counts once, at
        its first timestep. If given, the content of states is compared too.
    n_states : int, default=None
        Number of states; the largest label plus one if None.
    state_names : sequence of n_states str, default=None
        Names of the states; numbers if None.
    n_resamples : int, default=9999
        Number of permutations and of bootstrap resamples. If there are fewer permutations in all,
        all are used, and the p value is exact.
    confidence_level : float, default=0.95
        Confidence level of the intervals.
    random_state : int, RandomState instance or None, default=None
        Seed of permutations and resamples.

    Returns
    -------
    comparison : GroupComparison
        It has rows for these quantities.

        ==============  ================================================  ================
        quantity        value of an animal                                effect
        ==============  ================================================  ================
        usage           fraction of its time in the state                 difference
        dwell           mean duration of its bouts of the state           ratio
        transition      fraction of the ends of the state after which     difference
                        the next state follows
        content         use of all syllables in the state, one test       distance
        shared_content  use of all syllables in all states alike          distance
        syllable        fraction of the syllables in the state that are   difference
                        this syllable
        ==============  ================================================  ================

    Raises
    ------
    TypeError, ValueError
        If labels are missing or their number is not that of the recordings, there are fewer than
        two groups, `syllables` has other timesteps than `states`, or a parameter is out of range.

    Warns
    -----
    UserWarning
        If only some of the animals of two groups are in both. The comparison is within these.

    See Also
    --------
    hhmm.plotting.GroupComparisonDisplay : Draw the comparison.

    Notes
    -----
    **Dwell times.** The estimate of an animal is its time in the state divided by the number of
    bouts that were seen to end. Bouts that the recording cuts thus count with the time that was
    seen. If no bout of an animal was seen to end, its time is divided by one: a lower bound.
    Groups are compared on a log scale.

    **Transitions.** With two states, the next state is always the other one, so there are rows only
    with three states or more.

    **Content.** A state is tested for a change beyond that of the other states. The row
    "shared_content" tests for a change in all states alike. With two states it cannot be known
    which one has changed: both have the same p value, and `status` says so. The effect is the total
    variation distance between the mean fractions of syllables in the state: 0 if both groups use
    the same syllables, 1 if they have none in common. Chance alone makes it larger than 0. Rows of
    single syllables compare fractions as they are, without removing what all states share.

    **What is not tested.** A state that is found in one group only, or in fewer than two animals of
    a group with a value, has no p value, and `status` says so. Nor has a transition where a group
    has these two states only, so that no other could follow. Intervals need four animals in each
    group.

    **Intervals and q values.** Intervals are by the bootstrap of animals with Student's t statistic
    (bootstrap-t): they are wider than percentile intervals where animals are few. Rows of the same
    quantity are corrected together, those of all groups apart.

    **Uncertain states.** States are taken as they are. A difference in the fit is a difference in
    the result: fit one model to all animals, so that states mean the same in all groups.

    Examples
    --------
    >>> import numpy as np
    >>> from hhmm.comparisons import compare_groups
    >>> rng = np.random.default_rng(0)
    >>> states, groups = [], []
    >>> for animal in range(12):
    ...     means = [20, 30] if animal % 2 else [40, 30]
    ...     lengths = rng.geometric(1 / np.array(means), size=(50, 2)).ravel()
    ...     states.append(np.repeat(np.tile([0, 1], 50), lengths))
    ...     groups.append("drug" if animal % 2 else "saline")
    >>> comparison = compare_groups(states, groups=groups, frame_rate=10, random_state=0)
    >>> dwell = comparison.quantity == "dwell"
    >>> comparison.effect[dwell].round(1)
    array([0.5, 0.9])
    >>> comparison.p_value[dwell] < 0.05
    array([ True, False])
    >>> comparison.to_frame().columns[:4].tolist()
    ['quantity', 'state', 'state_name', 'next_state']
    """
    sequences = read_runs(states, "states")
    n_states = check_n_states(n_states, sequences)
    n_sequences = sequences.lengths.size
    names = check_state_names(state_names, n_states)
    check_scalar(n_resamples, "n_resamples", Integral, min_val=1, max_val=_MOST_RESAMPLES)
    limits: dict[str, Any] = {"min_val": 0, "max_val": 1, "include_boundaries": "neither"}
    check_scalar(confidence_level, "confidence_level", Real, **limits)
    if frame_rate is not None:
        check_frame_rate(frame_rate)
    units = read_units(groups, animals, reference, n_sequences)
    rng = check_random_state(random_state)

    measured = measure(sequences, units, n_states, 1.0 if frame_rate is None else frame_rate)
    counts = None
    if syllables is not None:
        counts = count_syllables(syllables, sequences, units, n_states)
    values = lay_out_values(measured, counts)
    parts = []
    for contrast in contrasts(units):
        settings = (contrast, units.groups, n_resamples, rng)
        parts.append(compare_values(values, measured.time, *settings, confidence_level))
        if counts is not None:
            parts.append(compare_content(counts, *settings))
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    table = in_order(table)
    return GroupComparison(
        **table,
        q_value=q_values(table),
        groups=units.groups,
        animals=units.animals,
        animal_groups=units.group_index,
        usage=measured.usage,
        dwell=measured.dwell,
        transition=measured.transition,
        content=None if counts is None else as_fractions(counts),
        state_names=names,
        frame_rate=frame_rate,
        confidence_level=confidence_level,
    )
