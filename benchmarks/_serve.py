"""The inside of a worker process: one JSON request a line in, one JSON reply a line out.

Standard library and NumPy only, because this runs in the environments of all sides.
"""

import json
import os
import resource
import sys
import time
import traceback

import numpy as np


def serve(handlers):
    """Answer requests until standard input closes.

    A request is ``{"command": name, "arguments": {...}}``. Its reply is ``{"result": ...}`` or
    ``{"error": traceback}``.

    Parameters
    ----------
    handlers : dict of str to callable
        The function of each command, which takes the arguments as keywords.
    """
    # What a library prints must not come between the replies: it goes to standard error.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"result": handlers[request["command"]](**request["arguments"])}
        except Exception:
            reply = {"error": traceback.format_exc()}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def serve_kernels(load, versions):
    """Serve kernels of message passing: ``versions``, ``start`` and ``run``.

    The kernels are ``filter``, p(z[t] | x[1..t]) of every timestep, where peers return log p(x) as
    well; ``log_likelihood``, log p(x) of every sequence, of this library only; ``smoother``,
    p(z[t] | x) of every timestep; ``viterbi``, the most probable states of every sequence.

    Parameters
    ----------
    load : callable
        Takes the path of the data. Returns a dict of kernels, which compute and wait, and a
        callable that returns results to compare: ``log_likelihoods`` (n_sequences,),
        ``smoothed`` (n_sequences, n_timesteps, n_states) and ``states`` (n_sequences,
        n_timesteps).
    versions : callable
        Takes nothing.
    """
    kernels = {}

    def start(data, results):
        """Compile, and write results to compare (.npz); return the seconds of each compilation."""
        loaded, to_compare = load(data)
        kernels.update(loaded)
        seconds = {name: seconds_to_compile(kernel) for name, kernel in kernels.items()}
        np.savez(results, **to_compare())
        return seconds

    def run(kernel, n_calls):
        """Return the seconds of each call."""
        return [seconds_of(kernels[kernel]) for _ in range(n_calls)]

    serve({"versions": versions, "start": start, "run": run})


def seconds_of(function):
    """Call a function once and return the seconds that it took."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def seconds_to_compile(function):
    """Return how many seconds the first call takes more than the second, at least 0."""
    return max(seconds_of(function) - seconds_of(function), 0.0)


def peak_memory():
    """Return the largest resident memory of this process so far, in bytes.

    On Linux, getrusage of a young process includes the memory of the parent that it was forked
    from, so the kernel's own high-water mark comes first.
    """
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
