"""What the machine can do: bytes a second to and from memory, and arithmetic a second.

The largest rate of several attempts is the machine's: whatever else it does only takes away.
"""

import time

import jax
import numpy as np
from jax import lax

from benchmarks._serve import serve

N_COPIED = 1 << 26  # float32: 256 MB, which no cache holds
# float32 that a core's caches hold, or all cores' together
RESIDENT = (1 << 14, 1 << 18, 1 << 20)
CHAINS = (8, 16)  # multiply-adds of a value while it is in a register
N_OPERATIONS = 1 << 32  # of an attempt
ATTEMPTS = 5


def rates():
    """Bytes a second, read and written together, and float32 operations a second."""
    return {"bytes": max(_numpy_copy(), _jax_update()), "flops": max(_multiply_adds())}


def _numpy_copy():
    source, target = np.ones(N_COPIED, np.float32), np.empty(N_COPIED, np.float32)
    return 2 * source.nbytes / _fastest(lambda: np.copyto(target, source))


def _jax_update():
    """Every value read and written in place, on all cores."""
    update = jax.jit(lambda values: values + 1, donate_argnums=0)
    held = [jax.device_put(np.ones(N_COPIED, np.float32))]

    def call():
        held[0] = update(held[0]).block_until_ready()

    return 2 * held[0].nbytes / _fastest(call)


def _multiply_adds():
    """Rates of multiply-adds over data of several sizes."""
    for size in RESIDENT:
        for chain in CHAINS:
            n_turns = N_OPERATIONS // (2 * size * chain)
            values = jax.device_put(np.ones(size, np.float32))
            call = jax.jit(lambda values, chain=chain, n=n_turns: _turns(values, chain, n))
            seconds = _fastest(lambda call=call, values=values: call(values).block_until_ready())
            yield 2 * size * chain * n_turns / seconds


def _turns(values, chain, n_turns):
    def turn(_, values):
        for _ in range(chain):
            values = values * np.float32(0.999) + np.float32(0.001)
        return values

    return lax.fori_loop(0, n_turns, turn, values)


def _fastest(function):
    """Seconds of the fastest of some calls, after one that compiles."""
    function()
    seconds = []
    for _ in range(ATTEMPTS):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    serve({"rates": rates})
