"""What a person sees while a step is at work: one line that moves on a terminal, a plain line now and then in a log.

A step begins with :func:`moving`; whatever works inside it says how much there is (:func:`expect`) and how much is done
(:func:`advance`), wherever it stands, and says nothing where no step is shown. Under spark-submit
nothing is shown: its console has lines of its own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task
from rich.text import Text

log = logging.getLogger("customs_lake")

#: Seconds between the lines of a log, and between looks at what Spark has done.
LOG_SECONDS = 15.0
WATCH_SECONDS = 1.0
#: Before this many seconds a rate says nothing.
SETTLED_SECONDS = 1.0
MB = 1e6

#: Tasks of Spark that are done, and known so far.
Watch = Callable[[], "tuple[int, int] | None"]


@dataclass(slots=True)
class Step:
    """How far a step is.

    Attributes
    ----------
    name, unit : str
    total, done : int
        In ``unit``; a total of zero is not known.
    n_bytes, bytes_done : int
    tasks : (int, int)
        Tasks of Spark done and known so far; the share stands for ``done`` where the step counts nothing itself.
    note, place : str
        What is done at the moment; which of how many steps it is.
    """

    name: str
    unit: str = "rows"
    total: int = 0
    done: int = 0
    n_bytes: int = 0
    bytes_done: int = 0
    tasks: tuple[int, int] = (0, 0)
    note: str = ""
    place: str = ""
    started: float = field(default_factory=time.monotonic)

    def share(self) -> float | None:
        """Share that is done; None where it is not known."""
        if self.n_bytes and self.bytes_done:
            return min(self.bytes_done / self.n_bytes, 1.0)
        if self.total and self.done:
            return min(self.done / self.total, 1.0)
        return self.tasks[0] / self.tasks[1] if self.tasks[1] else None

    def text(self, now: float | None = None) -> str:
        """Rows, megabytes, rate and time left, as far as they are known."""
        seconds = (time.monotonic() if now is None else now) - self.started
        share = self.share()
        parts = [*self._amounts(share), *self._rate(share, seconds)]
        if not parts:
            parts.append(_clock(seconds))
        elif share and 0 < share < 1 and seconds >= SETTLED_SECONDS:
            parts.append(f"about {_clock(seconds * (1 - share) / share)} left")
        if self.note:
            parts.append(self.note)
        return ", ".join(parts)

    def _amounts(self, share: float | None) -> Iterator[str]:
        is_counted = bool(self.done or self.bytes_done)
        if self.total:
            done = self.done if is_counted else round((share or 0) * self.total)
            # a total that is aimed at may be passed
            yield f"{'' if is_counted or not share else 'about '}{done:,} of {max(self.total, done):,} {self.unit}"
        elif self.done:
            yield f"{self.done:,} {self.unit}"
        if self.n_bytes:
            bytes_done = self.bytes_done if is_counted else (share or 0) * self.n_bytes
            yield f"{bytes_done / MB:,.0f} of {self.n_bytes / MB:,.0f} MB"
        if not is_counted and not self.total and self.tasks[1]:
            yield f"{self.tasks[0]:,} of {self.tasks[1]:,} tasks"

    def _rate(self, share: float | None, seconds: float) -> Iterator[str]:
        if seconds < SETTLED_SECONDS:
            return
        bytes_done = self.bytes_done or (share or 0) * self.n_bytes * (not self.done)
        done = self.done or (share or 0) * self.total * (not self.bytes_done)
        if bytes_done:
            yield f"{bytes_done / MB / seconds:,.1f} MB/s"
        elif done:
            yield f"{done / seconds:,.0f} {self.unit}/s" if done > seconds else _clock(seconds)


def _clock(seconds: float) -> str:
    """``8 s``, ``2 min 5 s``, ``1 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


_current: Step | None = None
_shown: Progress | None = None


@contextlib.contextmanager
def moving(
    name: str, *, unit: str = "rows", watch: Watch | None = None, note: str = "", place: str = ""
) -> Iterator[Step]:
    """Show a step while the block works; inside another step its line goes on under the new name.

    Parameters
    ----------
    name : str
        What the line begins with.
    unit : str
        What is counted.
    watch : callable, optional
        Asked now and then for the tasks of Spark done and known.
    note : str
        What is done at the moment.
    place : str
        Which of how many steps it is, such as ``3 of 9``; a step inside it has the same.
    """
    global _current
    outer, step = _current, Step(name, unit, note=note, place=place or (_current.place if _current else ""))
    _current = step
    try:
        with _display(step, is_outermost=outer is None), _ticker(step, watch):
            yield step
    finally:
        _current = outer


def expect(total: int, unit: str = "rows", *, n_bytes: int = 0) -> None:
    """Say how much there is to do in the present step, from now on."""
    if _current is not None:
        _current.total, _current.unit, _current.n_bytes = total, unit, n_bytes
        _current.done = _current.bytes_done = 0
        _current.started = time.monotonic()


def advance(n: int = 1, *, n_bytes: int = 0, note: str = "") -> None:
    """Say that more of it is done."""
    if _current is not None:
        _current.done += n
        _current.bytes_done += n_bytes
        _current.note = note


def report(what: str, done: int, total: int) -> None:
    """Say how far something is that counts itself."""
    if _current is not None:
        _current.done, _current.total, _current.unit = done, total, what


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """Take the line away while something else is printed."""
    shown = _shown
    if shown is None:
        yield
        return
    with _uninterrupted():
        shown.stop()
    try:
        yield
    finally:
        with _uninterrupted():
            shown.start()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let a Ctrl-C wait until the line is wholly shown or wholly gone: one that is half shown cannot be taken away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = False

    def later(*_: object) -> None:
        nonlocal came
        came = True

    before = signal.signal(signal.SIGINT, later)
    try:
        yield
    finally:
        # None: a handler that was not set from Python, and cannot be set again from it
        signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)
        if came:
            signal.raise_signal(signal.SIGINT)


class StepHandler(logging.StreamHandler):
    """Log lines above the line that moves."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if _shown is None:
            super().emit(record)
        else:
            _shown.console.print(Text(self.format(record)), soft_wrap=True)


def is_submitted() -> bool:
    """Whether spark-submit (or a platform) started this process: the gateway to its JVM exists already."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def is_on_terminal() -> bool:
    """Whether somebody looks at a terminal that can take a line back."""
    try:
        return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not is_submitted()
    except (AttributeError, ValueError):
        # a stream that is closed, or none
        return False


class _StepColumn(ProgressColumn):
    """Name and figures of whatever step is at work."""

    def render(self, task: Task) -> Text:
        """The line at this moment."""
        step = _current
        if step is None:
            return Text("")
        place = f"{step.place}  " if step.place else ""
        return Text(f"{place}{step.name:<12} {step.text()}", no_wrap=True, overflow="ellipsis")


class _ShareColumn(BarColumn):
    """A bar of the share that is done; it pulses where that is not known."""

    def render(self, task: Task) -> Any:
        """The bar at this moment."""
        share = None if _current is None else _current.share()
        task.total, task.completed = (None, 0) if share is None else (1.0, share)
        return super().render(task)


@contextlib.contextmanager
def _display(step: Step, *, is_outermost: bool) -> Iterator[None]:
    global _shown
    if not is_outermost or not is_on_terminal():
        yield
        return
    # what is printed goes through the guard of the terminal; only the line itself is written below it
    _shown = Progress(
        SpinnerColumn(), _ShareColumn(bar_width=16), _StepColumn(), console=Console(stderr=True, highlight=False),
        transient=True, redirect_stdout=False, redirect_stderr=False, refresh_per_second=4,
    )
    _shown.add_task(step.name, total=None)
    try:
        with _uninterrupted():
            _shown.start()
        yield
    finally:
        with _uninterrupted():
            _shown.stop()
            _shown = None


@contextlib.contextmanager
def _ticker(step: Step, watch: Watch | None) -> Iterator[None]:
    """Look at Spark's tasks, and write a log's lines, while the block works."""
    is_quiet = _shown is None and is_submitted()
    if is_quiet or (_shown is not None and watch is None):
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_tick, args=(step, watch, ended), daemon=True, name=f"progress of {step.name}")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=5)


def _tick(step: Step, watch: Watch | None, ended: threading.Event) -> None:
    is_line = _shown is not None
    while not ended.wait(WATCH_SECONDS if is_line else LOG_SECONDS):
        if watch is not None:
            # a session that just ended has nothing to say
            with contextlib.suppress(Exception):
                step.tasks = watch() or step.tasks
        if not is_line and step is _current:
            log.info("%-9s at work: %s", step.name, step.text())
