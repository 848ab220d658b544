"""Start Spark's JVM and keep two of its greetings off the terminal; everything else it says passes.

Java warns that Spark loads an incubator module, and Spark tells which log level its shell has. Neither can be switched
off (the first comes before any logging, the second ignores the log configuration), and both read like a fault of this
product. So the JVM's standard error goes through a pipe, and a thread hands every other line on. Until the session is there,
frames of stack traces stay away too: :mod:`jobs.runtime.starting` says what they are about.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any
from unittest import mock

from py4j.java_gateway import JavaGateway
from pyspark import SparkConf, java_gateway
from pyspark.java_gateway import launch_gateway

from jobs.core.interrupts import interrupts_left_out
from jobs.runtime.machine import jvm_locale

STANDARD_ERROR = 2
GREETINGS = (
    b"WARNING: Using incubator modules: jdk.incubator.vector",
    b'Setting default log level to "',
    b"To adjust logging level use sc.setLogLevel(newLevel).",
)
#: The last lines that the JVM said, for what explains a start that failed.
LAST_LINES: deque[str] = deque(maxlen=200)
_FRAME = b"\tat "
_is_starting = threading.Event()


def start_gateway(conf: SparkConf) -> JavaGateway:
    """Start the JVM with a configuration; its standard error is this process's, without the greetings."""
    reading, writing = os.pipe()
    # reads before the JVM starts: what it says when it cannot start must be seen
    _is_starting.set()
    threading.Thread(target=forward_lines, args=(reading, STANDARD_ERROR), name="jvm-stderr", daemon=True).start()
    try:
        with jvm_locale(), _without_code_of_ours_in_the_fork():
            return launch_gateway(conf, popen_kwargs={"stderr": writing})
    finally:
        os.close(writing)


@contextlib.contextmanager
def _without_code_of_ours_in_the_fork() -> Iterator[None]:
    """Let the JVM inherit that Ctrl-C is not for it, instead of running Python in the forked process to say so.

    A fork of a process with threads (Arrow's, Polars') may find a lock taken for ever: a start was seen to hang.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    popen = java_gateway.Popen

    def start(*arguments: Any, preexec_fn: object = None, **options: Any) -> Any:
        with interrupts_left_out():
            return popen(*arguments, **options)

    with mock.patch.object(java_gateway, "Popen", start):
        yield


def forward_lines(source: int, target: int) -> None:
    """Copy lines from one file descriptor to another until the first ends, all but the greetings."""
    rest = b""
    # not a file object: a thread that waits in one when the interpreter ends can block its end
    while chunk := os.read(source, 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        hidden = (*GREETINGS, _FRAME) if _is_starting.is_set() else GREETINGS
        kept = b"".join(line + b"\n" for line in lines if not line.startswith(hidden))
        if kept:
            os.write(target, kept)
            LAST_LINES.extend(kept.decode("utf-8", "replace").splitlines())
    if rest:
        os.write(target, rest)
    os.close(source)


def has_started() -> None:
    """Show stack traces of the JVM from now on."""
    _is_starting.clear()


def last_lines() -> str:
    """What the JVM said last on its standard error."""
    return "\n".join(LAST_LINES)
