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
from tests.published import PUBLISHED

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SETTINGS = {
    # at once: each that counted would raise an error or change a number
    "numbers and strictness": {
        "jax_default_matmul_precision": "bfloat16",
        "jax_default_prng_impl": "rbg",
        "jax_enable_custom_prng": True,
        "jax_enable_x64": True,
        "jax_random_seed_offset": 7,
        "jax_softmax_custom_jvp": True,
        "jax_threefry_partitionable": False,
        "jax_legacy_prng_key": "error",
        "jax_no_execution": True,
        "jax_no_tracing": True,
        "jax_numpy_dtype_promotion": "strict",
        "jax_numpy_rank_promotion": "raise",
        "jax_transfer_guard": "disallow_explicit",
    },
    # under the checks of JAX itself it traces for several times as long
    "debugging and no compilation": {
        "jax_check_tracer_leaks": True,
        "jax_debug_infs": True,
        "jax_debug_key_reuse": True,
        "jax_debug_nans": True,
        "jax_enable_checks": True,
        "jax_disable_jit": True,
    },
}


@functools.cache
def _data():
    return make_hhmm(8, 60, 2, 4, random_state=0).X


def _everything(fits):
    """Results of fits, of the methods of the last one, and of simulation."""
    X, results = _data(), [make_hhmm(2, 9, n_states=2, n_syllables=3, random_state=0).X]
    for settings in fits:
        model = _model(**settings).fit(X)
        results += [model.emission_base_, model.trans_probs_, model.log_joint_]
    results += [model.score_samples(X), model.log_joint(X), model.sample(2, 9, random_state=0)[0]]
    results += [model.predict_proba(X), model.sample_states(X, random_state=0), model.predict(X)]
    return [np.asarray(result) for result in results]


def _model(**settings):
    defaults = {"init": "prior", "max_iter": 2, "random_state": 0}
    return EfficientHHMM(2, 4, **PUBLISHED | defaults | settings)


FITS = [{"n_chains": 2}]  # in threads
MORE_FITS = [
    {"init": "windows", "emission_sampler": "hmc"},
    {"algorithm": "em", "message_passing": "compressed"},
    {"algorithm": "gradient"},
    {"algorithm": "em", "message_passing": "parallel"},
]


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        ("numbers and strictness", FITS),
        pytest.param("numbers and strictness", MORE_FITS, marks=pytest.mark.slow),
        pytest.param("debugging and no compilation", FITS, marks=pytest.mark.slow),
    ],
)
def test_results_do_not_depend_on_the_settings_of_the_user(kind, fits):
    expected = _everything(fits)
    # a version of JAX may lack a setting
    chosen = {name: to for name, to in SETTINGS[kind].items() if hasattr(jax.config, name)}
    before = {name: getattr(jax.config, name) for name in chosen}
    try:
        for name, to in chosen.items():
            jax.config.update(name, to)
        got = _everything(fits)
        assert {name: getattr(jax.config, name) for name in chosen} == chosen
    finally:
        for name, to in before.items():
            jax.config.update(name, to)
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_settings_of_a_block_count_as_little():
    X, model = _data(), _model()
    expected = model.fit(X).log_joint_
    of_checks = posterior_predictive_check(model, X, n_replicates=2, random_state=0)
    with (
        jax.debug_nans(True),
        jax.numpy_dtype_promotion("strict"),
        jax.numpy_rank_promotion("raise"),
        jax.transfer_guard("disallow"),
        jax.threefry_partitionable(False),
    ):
        before = current_settings()
        got = model.fit(X).log_joint_
        found = posterior_predictive_check(model, X, n_replicates=2, random_state=0)
        assert current_settings() == before
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(found.p_values, of_checks.p_values)


def test_callbacks_run_under_the_settings_of_the_user():
    pytest.importorskip("sklearn.callback")
    seen = []

    def note(*_, **__):
        seen.append((current_settings(), jnp.ones(3).dtype))

    class Watcher:
        setup = teardown = on_fit_task_begin = on_fit_task_end = staticmethod(note)

    monitor = FitMonitor(_data(), every=1)
    model = _model(n_chains=2).set_callbacks(Watcher(), monitor)
    with jax.numpy_rank_promotion("raise"), jax.debug_nans(True):
        users = current_settings()
        model.fit(_data())
    assert len(seen) > 4
    assert all(settings == users for settings, _ in seen)
    assert all(record["score"] is not None for record in monitor.records)
