"""Groups of lanes on several devices of one machine."""

import os
import subprocess
import sys

import pytest

_SCRIPT = """
import jax
import numpy as np
from hhmm import EfficientHHMM
from hhmm._inference import parts
from hhmm._sequences import lanes
from hhmm.datasets import make_hhmm
from tests.published import PUBLISHED

lanes.MIN_GROUP_WIDTH = lanes.MIN_GROUP_WORK = 1
lanes.n_cores = parts.n_cores = lambda: 2
used = set()
put = parts.LocalParts.make.__func__

def make(cls, *arguments, **given):
    made = put(cls, *arguments, **given)
    used.update(str(device) for group in made.groups for device in group.pairs.devices())
    return made

parts.LocalParts.make = classmethod(make)
data = make_hhmm(16, 50, 2, 4, random_state=0)
model = EfficientHHMM(2, 4, init="prior", max_iter=6, n_chains=2, random_state=0, **PUBLISHED)
model.fit(data.X)
states = model.predict(data.X)
print(len(used), model.trans_probs_.tobytes().hex(), np.concatenate(model.states_).tolist())
"""


@pytest.mark.slow
def test_draws_are_equal_whatever_the_devices():
    """Four devices that XLA makes of one processor, beside the one that there is."""
    answers = []
    for n_devices in (1, 4):
        flags = f"--xla_force_host_platform_device_count={n_devices}"
        environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _SCRIPT],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        n_used, *answer = done.stdout.split(maxsplit=2)
        assert int(n_used) == n_devices
        answers.append(answer)
    assert answers[0] == answers[1]
