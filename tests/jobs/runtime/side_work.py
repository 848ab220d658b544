"""Work for processes that tests start; imported by them by name."""

from __future__ import annotations

import os
import signal
import time

import pyarrow as pa

from jobs.core.errors import InvalidRowsError


class OddError(Exception):
    """An error that does not travel."""

    def __reduce__(self):
        raise TypeError("not to be pickled")


def work(task, factor):
    """What a task does here: a number times a factor, its process and threads; or what its name says."""
    if task == "refused":
        raise InvalidRowsError("2 rows break a check")
    if task == "odd":
        raise OddError("of its own")
    if task == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    result = f"{int(task) * factor} {os.getpid()} {os.environ.get('POLARS_MAX_THREADS')}"
    yield pa.RecordBatch.from_pydict({"result": [result]})
