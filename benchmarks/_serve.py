"""The inside of a worker process: one JSON request a line in, one JSON reply a line out.

Standard library only, because it runs in the environments of both sides.
"""

import json
import os
import resource
import sys
import traceback


def serve(handlers):
    """Answer requests until standard input closes.

    A request is ``{"command": name, "arguments": {...}}``; its reply is
    ``{"result": ...}`` or ``{"error": traceback}``.

    Parameters
    ----------
    handlers : dict of str to callable
        What to call, with the arguments as keywords.
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


def peak_memory():
    """Largest resident memory of this process so far, in bytes.

    Linux's own high-water mark comes first: what getrusage tells a young process there
    includes the memory of the parent that it was forked from.
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
