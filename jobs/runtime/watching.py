"""How far Spark is, asked of the session's own status tracker: tasks done of those known so far, and whether any has begun."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from jobs.core.progress import Watch
from jobs.core.waiting import WaitingSession

POLL_SECONDS = 0.5


def tasks_of(session: Any) -> Watch | None:
    """Ask for the tasks of what this session runs from now on; None where there is no session on this machine."""
    if isinstance(session, WaitingSession) and not session.is_started:
        return lambda: session.tasks
    try:
        tracker = session.sparkContext.statusTracker()
    except Exception:  # a lake opened for looking has none, and a remote session no context
        return None
    seen: dict[int, tuple[int, int]] = {}

    def watch() -> tuple[int, int] | None:
        active = list(tracker.getActiveStageIds())
        for stage in active:
            info = tracker.getStageInfo(stage)
            if info is not None:
                seen[stage] = (info.numCompletedTasks, info.numTasks)
        for stage, (_, total) in seen.items():
            if stage not in active:
                seen[stage] = (total, total)
        return sum(done for done, _ in seen.values()), sum(total for _, total in seen.values())

    return watch


@contextlib.contextmanager
def executors_in_time(session: Any, seconds: float) -> Iterator[threading.Event]:
    """End the jobs inside when no task of theirs has begun in time; the event tells whether that was so."""
    context, deadline = session.sparkContext, time.monotonic() + seconds
    is_over, has_ended = threading.Event(), threading.Event()

    def has_begun() -> bool:
        tracker = context.statusTracker()
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        return any(stage.numActiveTasks or stage.numCompletedTasks or stage.numFailedTasks for stage in stages if stage)

    def watch() -> None:
        # a context that the cluster ends meanwhile: the job says so itself
        with contextlib.suppress(Exception):
            while not has_ended.wait(POLL_SECONDS) and not has_begun():
                if time.monotonic() >= deadline:
                    is_over.set()
                    context.cancelAllJobs()

    thread = threading.Thread(target=watch, name="waits for executors", daemon=True)
    thread.start()
    try:
        yield is_over
    finally:
        has_ended.set()
        thread.join(timeout=5)
