"""Ctrl-C during a fit: the first one ends it after the sweep that is under way.

Python calls the handler of an interrupt in the main thread, which raises
KeyboardInterrupt wherever the program stands, and so would lose the fit. `Interrupts` puts a
handler in its place for as long as a fit runs: it notes the first interrupt, which the
fit asks for after every dispatch, and gives any further one to the handler that was there before.

Where fits follow one another, as in a grid search, the next fit must not swallow the next Ctrl-C of
somebody who wants all of them to end: an interrupt that comes within `AGAIN` seconds of
another one is a further one, whichever fit it meets.
"""

import contextlib
import signal
import threading
import time

AGAIN = 10.0  # seconds
_last = float("-inf")  # when an interrupt was noted
_plain = threading.local()


class Interrupts:
    """A context manager: notes the first interrupt meanwhile, raises at further ones.

    Outside of the main thread, where no signal arrives, and where somebody else handles interrupts
    already, it does nothing.

    Attributes
    ----------
    noted : bool
        Whether there was an interrupt.
    """

    def __init__(self):
        self.noted = False
        self._before = None

    def __enter__(self):
        is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        is_main = threading.current_thread() is threading.main_thread()
        if is_default and is_main and not getattr(_plain, "on", False):
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_):
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, number, frame):
        global _last
        before, _last = _last, time.monotonic()
        if self.noted or _last - before < AGAIN:
            self._before(number, frame)
        self.noted = True


@contextlib.contextmanager
def plain_interrupts():
    """Let the first interrupt end a fit in this block: half of one would be of no use."""
    before = getattr(_plain, "on", False)
    _plain.on = True
    try:
        yield
    finally:
        _plain.on = before
