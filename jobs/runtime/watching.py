"""How far Spark is: tasks done of those known so far, asked of the session's own status tracker."""

from __future__ import annotations

from typing import Any

from jobs.core.progress import Watch


def tasks_of(session: Any) -> Watch | None:
    """Ask for the tasks of what this session runs from now on; None where there is no session on this machine."""
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
