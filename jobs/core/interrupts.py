"""Ctrl-C reaches every process of a terminal; those that work for another leave it to that one."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interrupts_left_out() -> Iterator[None]:
    """Processes started inside inherit that Ctrl-C is not for them.

    Signals can be set in the main thread only; what another thread starts is left as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
