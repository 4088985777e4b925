"""Extreme data, priors and lengths: right or refused, never NaN; and what float32 messages cost.

Oracles work in logarithms and float64 throughout, since probabilities themselves underflow here.
"""

import functools
import itertools
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from hhmm import EfficientHHMM
from hhmm._emission_solvers import Newton, laplace
from hhmm._emission_solvers.objective import LogitKeys, emission_counts
from hhmm._inference import chain as chains
from hhmm._inference import choose, compiled, initialise, search, search_starts
from hhmm._inference.chain import Settings
from hhmm._inference.prepare import prepare
from hhmm._messages import BACKENDS
from hhmm._model.emissions import (
    emission_factors,
    logits_from_params,
    params_from_logits,
)
from hhmm._model.terms import Terms
from hhmm._model.transitions import SMALLEST_PROB, draw_trans_probs, trans_mode
from hhmm._runtime.keys import key_from_random_state
from hhmm._runtime.precision import double_precision
from hhmm._sequences.run_lengths import RunLengths
from hhmm._types import EmissionLogits, PackedRuns, Params, Priors, RunData, SufficientStats
from hhmm.metrics import matched_accuracy
from tests import long_sequences, oracles
from tests.marks import slow_unless
from tests.published import PUBLISHED

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_STATES, N_SYLLABLES = 3, 6
N_SEQUENCES, N_TIMESTEPS = 4, 48
BASE_AND_BIASES = ("emission_base_sigma", "emission_biases_sigma")
# One compiled sweep of each serves all data and priors.
ALGORITHMS = {
    "gibbs": {"emission_sampler": "hmc"},
    "compressed": {"message_passing": "compressed"},
    "em": {"algorithm": "em"},
    "learnt": dict.fromkeys(("emission_usage_sigma", *BASE_AND_BIASES), "auto"),
    "learnt by em": {"algorithm": "em", **dict.fromkeys(BASE_AND_BIASES, "auto")},
}


def _sequences(kind):
    """Syllables and, where they are known, states."""
    rng = np.random.default_rng(0)
    shape = N_SEQUENCES, N_TIMESTEPS
    if kind == "random":
        return rng.integers(0, N_SYLLABLES, shape), None
    if kind == "constant":
        return np.full(shape, 1), None
    if kind == "deterministic":
        return np.tile(np.arange(N_TIMESTEPS) % 3, (N_SEQUENCES, 1)), None
    if kind == "rare":  # 2 once, 3 absorbing, 4 and 5 never
        X = rng.integers(0, 2, shape)
        X[0, 20:] = 3
        X[1, 10] = 2
        return X, None
    states = np.tile(np.repeat([0, 1, 2, 0], N_TIMESTEPS // 4), (N_SEQUENCES, 1))
    return 2 * states + rng.integers(0, 2, shape), states  # no syllable in two states


def _fit(X, **given):
    arguments = {"init": "prior", "max_iter": 4, "n_draws": 2, "random_state": 0}
    arguments = PUBLISHED | {"message_passing": "sequential"} | arguments | given
    return EfficientHHMM(arguments.pop("n_states", N_STATES), N_SYLLABLES, **arguments).fit(X)


def _log_likelihood(model, x):
    """log p(x) of one sequence, in logarithms throughout."""
    q_s, q_k = oracles.helmert(model.n_syllables), oracles.helmert(model.n_states)
    base = model.emission_base @ q_s.T + model.emission_usage @ q_s.T
    biases = q_k @ model.emission_biases @ q_s.T
    log_probs = scipy.special.log_softmax(base + biases[:, None], axis=2)
    with np.errstate(divide="ignore"):
        log_trans = np.log(model.trans_probs)
    message = np.full(model.n_states, -np.log(model.n_states))
    for before, now in itertools.pairwise(x):
        message = scipy.special.logsumexp(message[:, None] + log_trans, axis=0)
        message = message + log_probs[:, before, now]
    return scipy.special.logsumexp(message)


def _check(model, X):
    """Parameters are parameters, and what is said of X is what the oracle says."""
    assert np.isfinite(model.log_joint_).all()
    names = oracles.ModelOfTerms._fields
    fitted = oracles.ModelOfTerms(*(getattr(model, f"{name}_") for name in names))
    assert fitted.self_transitions
    assert not fitted.emission_interactions.any()
    assert all(np.isfinite(part).all() for part in fitted)
    assert (fitted.trans_probs >= 0).all()
    np.testing.assert_allclose(fitted.trans_probs.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(model.syllable_trans_probs_.sum(axis=2), 1, rtol=1e-12)
    expected = [_log_likelihood(fitted, x) for x in X]
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=2), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ("deterministic", "gibbs"),
        ("rare", "gibbs"),
        ("separated", "gibbs"),
        ("deterministic", "em"),
        ("separated", "em"),
        ("constant", "learnt"),
        ("deterministic", "learnt"),
        ("separated", "learnt"),
        pytest.param("constant", "gibbs", marks=pytest.mark.slow),
        pytest.param("rare", "compressed", marks=pytest.mark.slow),
        pytest.param("rare", "learnt by em", marks=pytest.mark.slow),
    ],
)
def test_sequences_that_say_little_or_all(kind, algorithm):
    X, _ = _sequences(kind)
    _check(_fit(X, **ALGORITHMS[algorithm]), X)


@pytest.mark.parametrize("algorithm", ["gibbs", "em"])
def test_separated_states_are_all_found(algorithm, monkeypatch):
    """With a base that is next to nothing, only states can explain the syllables."""
    monkeypatch.setattr(search_starts, "MANY_STARTS", 2)
    X, states = _sequences("separated")
    given = {"emission_base_sigma": 1e-4, "emission_biases_sigma": 10.0, "max_iter": 10}
    model = _fit(X, **ALGORITHMS[algorithm], init="windows", **given)
    assert matched_accuracy(states, model.predict(X)) == 1
    assert matched_accuracy(states, model.sample_states(X, random_state=0)) == 1


EXTREME_PRIORS = [
    {"trans_kappa": 0.0},
    {"trans_kappa": 1e-6},
    {"trans_kappa": 1e8},
    {"trans_beta": 1e-6, "trans_kappa": 0.0},
    {"trans_beta": 1e-6, "trans_kappa": 1e8},
    {"trans_beta": 1e6},
    {"emission_base_sigma": 1e-8, "emission_biases_sigma": 1e-8},
    {"emission_base_sigma": 1e-4, "emission_biases_sigma": 1e3},
    {"emission_base_sigma": 1e3, "emission_biases_sigma": 1e-4},
    {"emission_base_sigma": 1e6, "emission_biases_sigma": 1e6},
    {"emission_biases_sigma": 1e6, "trans_beta": 1e-6, "trans_kappa": 0.0},
]


@pytest.mark.parametrize(
    ("priors", "algorithm", "kind"),
    [
        *(
            pytest.param(EXTREME_PRIORS[i], "compressed", "rare", marks=pytest.mark.slow)
            for i in (3, 8)
        ),
        *((EXTREME_PRIORS[i], "em", "random") for i in (1, 4, 9)),
    ],
    ids=str,
)
def test_extreme_priors(priors, algorithm, kind):
    X, _ = _sequences(kind)
    _check(_fit(X, **ALGORITHMS[algorithm], **priors), X)


@pytest.mark.parametrize("priors", EXTREME_PRIORS, ids=str)
def test_extreme_priors_of_draws(priors):
    """Of the log joint, too, whose prior the oracle knows."""
    X, _ = _sequences("random")
    fitted = _fit(X, **ALGORITHMS["gibbs"], **priors)
    _check(fitted, X)
    drawn = fitted.posterior_
    model = oracles.Model(*(part[0, -1] for part in drawn[:3]))
    given = {"emission_base_sigma": 1.0, "emission_biases_sigma": 1.0}
    given |= {"trans_beta": 1.0, "trans_kappa": 100.0} | priors
    expected = sum(_log_likelihood(model, x) for x in X) + oracles.log_prior(model, *given.values())
    np.testing.assert_allclose(drawn.log_joint[0, -1], expected, rtol=1e-6, atol=1e-3)


@pytest.mark.slow  # `test_smallest_sizes` has two states and two timesteps
def test_as_many_states_as_timesteps():
    X = _sequences("random")[0][:1, :12]
    _check(_fit(X, n_states=12, algorithm="em"), X)
    with pytest.raises(ValueError, match="n_states=13 is more than the 12 timesteps of X"):
        _fit(X, n_states=13)


@double_precision
def test_a_tiny_concentration_puts_all_on_one_state_and_on_each_as_often():
    """10,000 rows at concentration 1e-6 in all; false alarms: one in 10,000 for each test."""
    n = 100
    priors = Priors(*map(np.float64, (1.0, 1.0, 1e-6, 0.0)))
    draw = jax.jit(draw_trans_probs)
    on_device = [draw(key_from_random_state(i), np.zeros((n, n)), priors) for i in range(10)]
    settings = Settings(Newton(1), "laplace", "sequential", Terms(n, 2))
    on_host = [
        initialise.start_from_prior(np.random.RandomState(i), priors, settings=settings).trans_probs
        for i in range(10)
    ]
    for drawn in (np.concatenate(on_device), np.concatenate(on_host)):
        np.testing.assert_allclose(drawn.sum(axis=1), 1, rtol=1e-12)
        assert drawn.min() >= SMALLEST_PROB
        assert np.isfinite(scipy.stats.dirichlet(np.full(n, 1e-6)).logpdf(drawn.T)).all()
        # two of the states share in a row with probability of about 1e-3
        assert np.mean(drawn.max(axis=1) > 0.999) > 0.95
        places = np.bincount(drawn.argmax(axis=1), minlength=n)
        assert oracles.chi_square_p_value(places, np.full(n, len(drawn) / n)) > 1e-4


@double_precision
def test_what_is_not_seen_keeps_its_prior():
    """Rows of the base without a departure, and of transitions without a visit.

    False alarms: one in 10,000 for each test.
    """
    n, sigma, priors = 300, 2.0, Priors(2.0, 1.0, 0.7, 3.0)
    counts = np.random.default_rng(0).integers(1, 9, (2, 4, 4)).astype(float)
    counts[:, 3] = 0  # never left; arriving there tells of the biases, and of other rows
    terms, visits = Terms(2, 4), np.diag([0.0, 9.0])
    start = EmissionLogits(np.zeros((4, 4)), np.zeros((2, 4)))

    @jax.jit
    def draw_all(key):
        stats = emission_counts(terms, SufficientStats(None, counts))
        solve = functools.partial(Newton(50).solve, terms, stats, priors, start, tol=1e-6)

        def draw(key):
            keys = LogitKeys(*jax.random.split(key, 3))
            drawn = laplace.draw(keys, terms, stats, priors, start, solve, False, None)
            unseen = params_from_logits(drawn.logits)["emission_base"][3]
            return unseen, draw_trans_probs(key, visits, priors)[0, 0]

        return jax.lax.map(draw, jax.random.split(key, n))

    unseen, never_left = map(np.asarray, draw_all(key_from_random_state(0)))
    assert scipy.stats.kstest(np.ravel(unseen) / sigma, "norm").pvalue > 1e-4
    assert scipy.stats.kstest(never_left, scipy.stats.beta(3.7, 0.7).cdf).pvalue > 1e-4


@double_precision
def test_counts_of_a_billion():
    counts = 1e9 * np.random.default_rng(0).dirichlet(np.ones(4), (2, 4))
    posterior = oracles.EmissionPosterior(counts, 2.0, 1.0)
    base, biases = posterior.split(posterior.mode())
    terms, priors = Terms(2, 4), Priors(2.0, 1.0, 1.0, 100.0)

    visits = 1e9 * np.array([[0.25, 0.75], [1.0, 0.0]])

    @jax.jit
    def compute(counts, visits, key):
        solution = Newton(50).solve(
            terms,
            emission_counts(terms, SufficientStats(None, counts)),
            priors,
            EmissionLogits(np.zeros((4, 4)), np.zeros((2, 4))),
            tol=1e-6,
            right_hand_side=lambda hessian: jnp.zeros((6, 4)),
        )
        drawn = draw_trans_probs(key, visits, priors)
        return (
            solution.decrement,
            params_from_logits(solution.mode),
            drawn,
            trans_mode(visits, priors, visits),
        )

    decrement, found, drawn, mode = compute(counts, visits, key_from_random_state(0))
    assert decrement <= 1e-6
    # the posterior's standard deviations are about 1e-4
    np.testing.assert_allclose(found["emission_base"], base, atol=1e-7)
    np.testing.assert_allclose(found["emission_biases"], biases, atol=1e-7)
    np.testing.assert_allclose(drawn[0], [0.25, 0.75], atol=1e-4)  # seven standard deviations
    np.testing.assert_allclose(mode[1], [1, 1e-7], rtol=1e-6)


@double_precision
def test_runs_of_a_billion_timesteps():
    """1000 sequences of one syllable for 1,024,000 timesteps, in runs of 1024."""
    n, n_powers = 1000, 1024
    model = oracles.Model(np.array([[0.3], [-0.2]]), np.array([[1.0]]), None)
    stay = 1 - 1e-7
    model = model._replace(trans_probs=np.array([[stay, 1 - stay], [1 - stay, stay]]))
    cells = np.full((n, n), n_powers - 1, np.int32)
    starts = np.zeros((n, n), bool)
    starts[0] = True
    pairs = np.where(starts, 4, 0).astype(np.int32)
    cell_counts = np.zeros((1, 3, n_powers))
    cell_counts[0, 0, -1] = n**2
    runs = PackedRuns(
        pairs=pairs,
        cells=cells,
        starts=starts,
        inside=np.ones((n, n), bool),
        positions=np.zeros((n, n), np.int64),
        pair_counts=np.array([n**2 * n_powers - n, 0, 0, 0, n], float),
        cell_counts=cell_counts,
        counters=np.indices((n // 2, n), np.uint32)[::-1],
        groups=np.zeros(n, np.int32),
    )

    @jax.jit
    def sample(key, runs):
        factors = emission_factors(logits_from_params(Params(*model)), Terms(2, 2))
        return BACKENDS["compressed"].sample(
            key, factors, jnp.asarray(model.trans_probs), RunData(runs, None)
        )

    _, stats, log_likelihood = sample(key_from_random_state(0), runs)
    n_transitions = n * (n * n_powers - 1)
    assert stats.state_trans_counts.sum() == n_transitions
    by_syllables = stats.syllable_trans_counts.sum(axis=0)
    np.testing.assert_array_equal(by_syllables, [[n_transitions, 0], [0, 0]])
    transfer = model.trans_probs * oracles.syllable_trans_probs(model)[:, 0, 0]
    values, vectors = np.linalg.eig(transfer)
    weights = (np.full(2, 0.5) @ vectors) * np.linalg.solve(vectors, np.ones(2))
    powers = (n * n_powers - 1) * np.log(values)
    expected = n * scipy.special.logsumexp(powers, b=weights)
    np.testing.assert_allclose(log_likelihood, expected, rtol=1e-7)


def test_the_race_does_not_see_syllables_that_do_not_occur(monkeypatch):
    monkeypatch.setattr(search_starts, "MANY_STARTS", 1)
    x = _sequences("random")[0].astype(np.int32)
    names = np.array([0, 1, 70, 100, 150, 199])
    priors = Priors(*map(np.float64, (1.0, 1.0, 1.0, 100.0)))

    def race(sequences, n_syllables):
        settings = Settings(Newton(100), "laplace", "sequential", Terms(2, n_syllables))
        rng = np.random.RandomState(0)
        finalists, _ = double_precision(search.search)(
            rng, RunLengths.of(list(sequences)), priors, settings=settings
        )
        return finalists

    for few, many in zip(race(x, 6), race(names[x].astype(np.int32), 200), strict=True):
        assert few.log_joint == many.log_joint
        np.testing.assert_array_equal(few.logits.biases, many.logits.biases[:, names])
        rows = np.asarray(many.logits.base)
        np.testing.assert_allclose(rows.sum(axis=1), 0, atol=1e-9)
        differences = rows[names][:, names] - few.logits.base
        np.testing.assert_allclose(np.ptp(differences, axis=1), 0, atol=1e-12)
        assert (rows.min(axis=1) == rows[:, 2]).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", long_sequences.KINDS)
@double_precision
def test_the_log_likelihood_of_a_long_sequence(kind, monkeypatch):
    """As float64 has it to 1e-10; what is recorded of a sweep, to 1.2e-7 nats a timestep.

    The latter where each of 50,000 timesteps rounds alike, and is nearly certain: of one syllable,
    of syllables in turn, or of long blocks of one. It is the last place of a float32 number near 1.
    """
    monkeypatch.setattr(choose, "MIN_MEAN_RUN_PARALLEL", 0 if kind == "held" else np.inf)
    model, x = long_sequences.make(kind, 50_000)
    expected = long_sequences.log_likelihood(model, x)
    terms = Terms(model.n_states, model.n_syllables)
    factors = emission_factors(logits_from_params(Params(*model)), terms)
    for backend in ("compressed", "parallel", "sequential"):
        fitted = EfficientHHMM.from_params(*model, message_passing=backend)
        np.testing.assert_allclose(fitted.score_samples([x]), expected, rtol=1e-10)

        prepared = prepare(RunLengths.of([x]), terms, backend, every_timestep=False)
        given = factors, model.trans_probs, prepared.data
        recorded = [
            _jitted(prepared.backend, "sample")(jax.random.key(1), *given)[-1],
            _jitted(prepared.backend, "expected_counts")(*given)[-1],
        ]
        within = 1.2e-7 if kind in long_sequences.ROUNDED_ALIKE else 3e-9
        np.testing.assert_allclose(recorded, expected, atol=within * len(x), rtol=0)


@functools.cache
def _jitted(backend, name):
    """A kernel, compiled once for all sequences of equal shapes."""
    return jax.jit(getattr(BACKENDS[backend], name))


@pytest.mark.slow
def test_the_log_likelihood_of_a_million_timesteps():
    rng = np.random.default_rng(0)
    model = oracles.random_model(rng, 2, 4)
    x = long_sequences.syllables_that_change(rng, 1_000_000)
    expected = long_sequences.log_likelihood(model, x)
    found = EfficientHHMM.from_params(*model).score_samples([x])
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    short = long_sequences.log_likelihood(model, x[:500], 10)
    np.testing.assert_allclose(short, _log_likelihood(model, x[:500]), rtol=1e-12)


@pytest.mark.slow
@double_precision
def test_expected_counts_of_a_long_constant_sequence():
    """As many as there are transitions: a float32 sum of equal terms would be off by 1e-4 of it."""
    n = 400_000
    model = oracles.random_model(np.random.default_rng(0), 2, 3)
    model = model._replace(trans_probs=np.array([[0.9, 0.1], [0.23, 0.77]]))
    terms = Terms(n_states=2, n_syllables=3)
    prepared = prepare(
        RunLengths.of([np.ones(n, np.int32)]), terms, "sequential", every_timestep=False
    )

    @jax.jit
    def expected_counts(data):
        factors = emission_factors(logits_from_params(Params(*model)), terms)
        trans_probs = jnp.asarray(model.trans_probs)
        return BACKENDS["sequential"].expected_counts(factors, trans_probs, data)

    stats, _ = expected_counts(prepared.data)
    np.testing.assert_allclose(stats.state_trans_counts.sum(), n - 1, rtol=2e-6)
    np.testing.assert_allclose(stats.syllable_trans_counts.sum(), n - 1, rtol=2e-6)


def test_a_sequence_beyond_float32_is_named():
    """Two states that cannot be left, and syllables that the one it is in all but excludes."""
    model = EfficientHHMM.from_params(
        np.zeros((3, 2)), [[900.0, 300.0]], [[1.0, 0.0], [0.0, 1.0]], message_passing="sequential"
    )
    for ask in (model.score_samples, model.predict_proba, model.filter_proba):
        with pytest.raises(FloatingPointError, match="sequence 1 of X has probability 0 in"):
            ask([[0], [0, 1, 2, 0]])


# The fields of a chain in which NaN is planted where trans_kappa has this value. The value is not
# static, so that one compiled sweep serves all.
PLANTED = {"log_joint": 101.0, "logits": 102.0, "trans_probs": 103.0}


@pytest.fixture(scope="module")
def planted_nan():
    """Sweeps end with NaN in the field of `PLANTED` that trans_kappa stands for."""
    sweep = chains.sweep

    def failing(*args, **kwargs):
        chain = sweep(*args, **kwargs)

        def plant(quantity, kappa):
            is_planted = chain.priors.trans_kappa == kappa
            values = getattr(chain, quantity)
            return jax.tree.map(lambda x: jnp.where(is_planted, jnp.nan, x), values)

        return chain._replace(**{name: plant(name, kappa) for name, kappa in PLANTED.items()})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chains, "sweep", failing)
        compiled.sweeps_in_one_call.clear_cache()
        yield
    compiled.sweeps_in_one_call.clear_cache()  # what was compiled meanwhile plants NaN


@pytest.mark.usefixtures("planted_nan")
@pytest.mark.parametrize(
    ("quantity", "message"),
    [
        ("log_joint", "the log joint of sweep 0 is nan: expected a finite number"),
        ("logits", "the emission parameters of sweep 0 are not finite"),
        ("trans_probs", "the state transition probabilities of sweep 0 are not finite"),
    ],
)
def test_a_planted_nan_is_named_and_leaves_a_fit_as_it_was(quantity, message):
    X, _ = _sequences("random")
    model = _fit(X, algorithm="em").set_params(trans_kappa=PLANTED[quantity])
    before = dict(vars(model))
    with pytest.raises(FloatingPointError, match=message) as caught:
        model.fit(X)
    causes = (
        "extreme value among emission_base_sigma=1, emission_biases_sigma=1, trans_beta=1, trans"
    )
    assert causes in str(caught.value)
    assert "checkpoint" not in str(caught.value)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


@pytest.mark.usefixtures("planted_nan")
@pytest.mark.parametrize("x64", slow_unless([True], [False, True]))
def test_the_users_precision_stays_as_it_is(x64):
    """Before, after and, seen from another thread, during fits, of which one fails."""
    X, _ = _sequences("random")
    seen, begun, ended = set(), threading.Event(), threading.Event()

    def watch():
        while not ended.is_set():
            seen.add((jax.config.jax_enable_x64, jnp.zeros(1).dtype.itemsize))
            begun.set()

    users_own = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", x64)
    watcher = threading.Thread(target=watch)
    try:
        watcher.start()
        begun.wait()
        model = _fit(X, algorithm="em", max_iter=40)
        seen.add((jax.config.jax_enable_x64, jnp.zeros(1).dtype.itemsize))
        with pytest.raises(FloatingPointError):
            model.set_params(trans_kappa=PLANTED["log_joint"]).fit(X)
        seen.add((jax.config.jax_enable_x64, jnp.zeros(1).dtype.itemsize))
    finally:
        ended.set()
        watcher.join()
        jax.config.update("jax_enable_x64", users_own)
    assert seen == {(x64, 8 if x64 else 4)}
