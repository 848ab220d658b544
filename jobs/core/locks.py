"""Locks between processes that share a lake in a local folder: who may work on which table and year.

``file:`` has no atomic rename, so Delta alone does not protect two processes from each other. Two kinds of lock files
in ``_locks``: a *work* lock, held for a whole step and never waited for (the second run ends with exit code 75), and a
*commit* lock, held for one write and waited for. Work on years takes the table's lock shared and each year's
exclusively, so that runs on different years go on side by side and work on the whole table excludes them all. The
kernel frees the locks of a killed process. Object stores have one writing driver and no lock files.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from jobs.core.errors import LakeError, LockedError

# a write holds its lock while Spark computes the rows: hours for a year of a full vintage on one machine
COMMIT_WAIT_SECONDS = 6 * 3600.0
_POLL_SECONDS = 0.05
_NOTICE_SECONDS = 10.0

log = logging.getLogger("customs_lake")


@contextlib.contextmanager
def hold_work(folder: Path, tables: Iterable[str], years: Iterable[int] | None) -> Iterator[None]:
    """Hold the work locks of some tables, of all their years or of the given ones.

    Raises
    ------
    LockedError
        If another process holds one.
    """
    with contextlib.ExitStack() as stack:
        for table in sorted(tables):
            whole = fcntl.LOCK_EX if years is None else fcntl.LOCK_SH
            _take(stack, folder, f"{table}.lock", whole, table)
            for year in sorted(years or ()):
                _take(stack, folder, f"{table}.{year}.lock", fcntl.LOCK_EX, f"{table}, year {year},")
        yield


@contextlib.contextmanager
def hold_commit(folder: Path, table: str) -> Iterator[None]:
    """Hold the commit lock of one table, waiting for another process to finish its write.

    Raises
    ------
    LockedError
        If it has not come free after six hours.
    """
    start, announced = time.monotonic(), False
    with _open(folder, f"{table}.commit") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - start
                if waited > COMMIT_WAIT_SECONDS:
                    raise LockedError(_busy(table, folder, handle)) from None
                if waited > _NOTICE_SECONDS and not announced:
                    log.info("%s: waiting for the write of another run (process %s)", table, _holder(handle))
                    announced = True
                time.sleep(_POLL_SECONDS)
        _sign(handle)
        yield


def is_committing(folder: Path, table: str) -> bool:
    """Tell whether a process writes to a table just now; nothing is changed."""
    try:
        with open(folder / f"{table}.commit", "rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def _take(stack: contextlib.ExitStack, folder: Path, name: str, kind: int, what: str) -> None:
    handle = stack.enter_context(_open(folder, name))
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LockedError(_busy(what, folder, handle)) from None
    _sign(handle)


def _open(folder: Path, name: str) -> IO[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return open(folder / name, "a+", encoding="utf-8")
    except OSError as error:
        raise LakeError(
            f"{folder.parent} cannot be written: {error.strerror} ({error.filename}). Check the folder's owner, its"
            " permissions and the free space."
        ) from error


def _sign(handle: IO[str]) -> None:
    """Leave the process number, so that the message to the next one can name the holder."""
    # a full disk must not turn a lock that is held into a failure: the number is only for people
    with contextlib.suppress(OSError):
        os.ftruncate(handle.fileno(), 0)
        os.write(handle.fileno(), str(os.getpid()).encode())


def _holder(handle: IO[str]) -> str:
    handle.seek(0)
    return handle.read().strip() or "unknown"


def _busy(what: str, folder: Path, handle: IO[str]) -> str:
    return (
        f"{what} in {folder.parent} is being written by another run (process {_holder(handle)})."
        " Wait for it to end, then run again; nothing was changed."
    )
