"""A session that is started by the first who needs one: steps whose files executors write themselves never do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class WaitingSession:
    """Stands where a session of this machine will be; asked for anything a session has, it starts it.

    Parameters
    ----------
    start : callable
        Returns the session.
    n_cores : int
        Of this machine that the session would work on.

    Attributes
    ----------
    tasks : (int, int)
        Done and all, of work that is shared out without a session (jobs/runtime/side_processes.py).
    """

    def __init__(self, start: Callable[[], SparkSession], n_cores: int) -> None:
        self.n_cores, self.tasks = n_cores, (0, 0)
        self._start = start
        self._session: SparkSession | None = None

    @property
    def is_started(self) -> bool:
        """Whether somebody needed it."""
        return self._session is not None

    def stop(self) -> None:
        """End the session, if there is one."""
        if self._session is not None:
            self._session.stop()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._session is None:
            self._session = self._start()
        return getattr(self._session, name)


def needs_no_session(spark: object) -> bool:
    """Tell whether a session waits still: nobody needed it so far."""
    return isinstance(spark, WaitingSession) and not spark.is_started
