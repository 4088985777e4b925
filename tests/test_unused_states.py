"""States that take less than 1% of the time: fits warn of them."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from hhmm import EfficientHHMM
from hhmm._inference.convergence import describe_unused
from hhmm._sequences.read import find_unused
from hhmm._validation import UnusedStatesWarning
from hhmm.metrics import state_usage
from hhmm.model_selection import scan
from tests.marks import slow_unless
from tests.published import PUBLISHED

# Find them


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ([0.6, 0.4], []),
        ([0.98, 0.01, 0.01], []),
        ([0.985, 0.0099, 0.0051], [1, 2]),
        ([60, 0, 40], [1]),
        ([1.0], []),
        ([1, 1, 1, 0], [3]),  # a timestep of three is no small share
        ([np.nan, np.nan], []),
        ([0, 0], []),
        (np.full(200, 0.005), []),  # that is an equal share
        ([*np.full(150, 1 / 150), 0, 0], [150, 151]),
    ],
)
def test_unused_states_are_found(usage, expected):
    np.testing.assert_array_equal(np.flatnonzero(find_unused(np.array(usage))), expected)


# Fits


def of_one_state():
    """Syllables that one state explains."""
    return list(np.random.default_rng(0).integers(0, 4, (2, 400)))


def model_with_unused_states(X, n_states=4, **parameters):
    """A fit that starts in state 0, which it is as good as unable to leave."""
    return EfficientHHMM(
        n_states,
        trans_kappa=1e9,
        init=[np.zeros(len(x), int) for x in X],
        max_iter=4,
        random_state=0,
        **PUBLISHED | parameters,
    )


def warnings_of(call):
    """Messages about unused states."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    own = [w for w in caught if not issubclass(w.category, ConvergenceWarning)]
    assert all(w.filename == __file__ and w.category is UnusedStatesWarning for w in own)
    return [str(w.message) for w in own]


@pytest.mark.parametrize("algorithm", slow_unless(["gibbs", "em"], ["gibbs", "em", "gradient"]))
def test_a_fit_names_states_that_it_does_not_use(algorithm):
    X = of_one_state()
    model = model_with_unused_states(X, algorithm=algorithm)
    (message,) = warnings_of(lambda: model.fit(X))
    n_used = int(np.sum(state_usage(model.states_, n_states=4) > 0))
    assert n_used < 4
    which = "state 3" if n_used == 3 else f"states {n_used} to 3"
    assert message.startswith(
        f"{4 - n_used} of 4 states take less than 1% of the 800 timesteps: {which} (none). "
        f"Decrease n_states to {n_used}{' or fewer' if n_used > 1 else ''}. "
    )
    for advice in ("random_state", "n_chains", "emission_biases_sigma"):
        assert advice in message


def test_a_fit_that_uses_its_states_does_not_warn():
    """Each state has two syllables, and takes a quarter of the time."""
    rng = np.random.default_rng(0)
    pairs = [[0, 1], [2, 3], [0, 2], [1, 3]]
    X = [np.concatenate([rng.choice(pair, 100) for pair in pairs]) for _ in range(2)]
    init = np.tile(np.repeat(np.arange(4), 100), (2, 1))
    model = EfficientHHMM(4, algorithm="em", init=init, random_state=0, **PUBLISHED)
    assert warnings_of(lambda: model.fit(X)) == []
    assert state_usage(model.states_).min() > 0.2


def test_the_model_is_fitted_where_the_warning_is_an_error():
    X = of_one_state()
    model = model_with_unused_states(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnusedStatesWarning)
        with pytest.raises(UnusedStatesWarning, match="states take less than 1%"):
            model.fit(X)
    assert model.predict(X)[0].shape == (400,)


def test_the_warning_gives_the_share_of_each_state():
    (message,) = describe_unused(np.array([1500, 480, 15, 5, 0]))
    assert message.startswith(
        "3 of 5 states take less than 1% of the 2,000 timesteps: state 2 (15 of them, 0.75%), "
        "state 3 (5 of them, 0.25%), state 4 (none). Decrease n_states to 2 or fewer. If "
        "there should be more states than 2, "
    )
    (message,) = describe_unused(np.array([1500, 480, 5]))
    assert message.startswith("1 of 3 states takes less than 1% of the 1,985 timesteps: state 2 (5")
    (message,) = describe_unused(np.array([99_960, *np.full(40, 1), *np.zeros(50, int)]))
    assert "state 10 (1 of them, 0.00%), ..., states 41 to 90 (none). " in message
    assert describe_unused(np.array([1980, 20])) == []


def test_scan_counts_used_states_and_does_not_warn():
    X = of_one_state()
    found = []

    def call():
        settings = PUBLISHED | {"trans_kappa": 1e9, "init": "prior", "max_iter": 4}
        estimator = EfficientHHMM(algorithm="em", **settings)
        fold = [0, 1], [0]  # all are for training: this shape is compiled for other fits
        found.append(scan(X, {"n_states": [4]}, estimator=estimator, cv=[fold], n_seeds=1))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert not any(issubclass(w.category, UnusedStatesWarning) for w in caught)
    assert (found[0].table["n_used_states"] < 4).all()
    assert not any("1%" in message for message in found[0].table["warnings"])
