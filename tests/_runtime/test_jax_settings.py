"""The library computes the same whatever JAX settings the user has made, and leaves them alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hhmm import EfficientHHMM
from hhmm._runtime.precision import current_settings
from hhmm.callbacks import FitMonitor
from hhmm.datasets import make_hhmm
from hhmm.model_checks import posterior_predictive_check
from tests.marks import slow_unless
from tests.published import PUBLISHED

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SETTINGS = {
    "debugging": {
        "jax_check_tracer_leaks": True,
        "jax_debug_infs": True,
        "jax_debug_key_reuse": True,
        "jax_debug_nans": True,
        "jax_enable_checks": True,
    },
    "numbers": {
        "jax_default_matmul_precision": "bfloat16",
        "jax_default_prng_impl": "rbg",
        "jax_enable_custom_prng": True,
        "jax_enable_x64": True,
        "jax_random_seed_offset": 7,
        "jax_softmax_custom_jvp": True,
        "jax_threefry_partitionable": False,
    },
    "strictness": {
        "jax_legacy_prng_key": "error",
        "jax_no_execution": True,
        "jax_no_tracing": True,
        "jax_numpy_dtype_promotion": "strict",
        "jax_numpy_rank_promotion": "raise",
        "jax_transfer_guard": "disallow_explicit",
    },
    "no compilation": {"jax_disable_jit": True},
}


@functools.cache
def _data():
    return make_hhmm(6, 40, n_states=2, n_syllables=3, random_state=0).X


def _everything():
    """Results of every algorithm, every backend, threads and simulation."""
    X = _data()
    held = [np.repeat(x, 14) for x in X[:2]]
    results = [make_hhmm(2, 9, n_states=2, n_syllables=3, random_state=0).X]
    for settings, data in [
        (PUBLISHED | {"n_chains": 2, "emission_sampler": "hmc"}, X),
        ({"algorithm": "em", "message_passing": "compressed", "init": "prior"}, held),
        ({"algorithm": "em", "message_passing": "parallel", "init": "prior"}, X),
        (PUBLISHED | {"algorithm": "gradient", "init": "prior"}, X),
    ]:
        model = EfficientHHMM(2, max_iter=2, random_state=0, **settings).fit(data)
        results += [model.emission_base_, model.trans_probs_, model.log_joint_]
        results += [model.score_samples(data), *model.predict_proba(data), *model.predict(data)]
        results += [*model.sample_states(data, random_state=0), model.log_joint(data)]
        results += [model.syllable_trans_probs_, model.sample(2, 9, random_state=0)[0]]
    return [np.asarray(result) for result in results]


@functools.cache
def _expected():
    return _everything()


@pytest.mark.parametrize("kind", slow_unless(["numbers", "strictness"], SETTINGS))
def test_results_do_not_depend_on_the_settings_of_the_user(kind):
    expected = _expected()
    # a version of JAX may lack a setting
    chosen = {name: to for name, to in SETTINGS[kind].items() if hasattr(jax.config, name)}
    before = {name: getattr(jax.config, name) for name in chosen}
    try:
        for name, to in chosen.items():
            jax.config.update(name, to)
        got = _everything()
        assert {name: getattr(jax.config, name) for name in chosen} == chosen
    finally:
        for name, to in before.items():
            jax.config.update(name, to)
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_settings_of_a_block_count_as_little():
    expected = _expected()
    with (
        jax.debug_nans(True),
        jax.numpy_rank_promotion("raise"),
        jax.transfer_guard("disallow"),
        jax.threefry_partitionable(False),
    ):
        before = current_settings()
        got = _everything()
        assert current_settings() == before
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_model_checks_under_settings_of_the_user():
    X = _data()
    model = EfficientHHMM(2, max_iter=2, init="prior", random_state=0, **PUBLISHED).fit(X)
    expected = posterior_predictive_check(model, X, n_replicates=2, random_state=0)
    with jax.transfer_guard("disallow"), jax.numpy_dtype_promotion("strict"), jax.debug_nans(True):
        got = posterior_predictive_check(model, X, n_replicates=2, random_state=0)
    np.testing.assert_array_equal(got.p_values, expected.p_values)


def test_callbacks_run_under_the_settings_of_the_user():
    pytest.importorskip("sklearn.callback")
    seen = []

    def note(*_, **__):
        seen.append((current_settings(), jnp.ones(3).dtype))

    class Watcher:
        setup = teardown = on_fit_task_begin = on_fit_task_end = staticmethod(note)

    monitor = FitMonitor(_data(), every=1)
    settings = PUBLISHED | {"max_iter": 2, "init": "prior", "n_chains": 2}
    model = EfficientHHMM(2, random_state=0, **settings)
    model.set_callbacks(Watcher(), monitor)
    with jax.numpy_rank_promotion("raise"), jax.debug_nans(True):
        users = current_settings()
        model.fit(_data())
    assert len(seen) > 4
    assert all(settings == users for settings, _ in seen)
    assert all(record["score"] is not None for record in monitor.records)
