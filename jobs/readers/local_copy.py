"""Side deliveries of a raw folder that is not of this machine: yearbook sheets and firm files, copied to be read as files.

Firm files are read by executors too. These would not find a copy of the driver's, so on a cluster they open the files
where they were delivered.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

from jobs.kernels.raw_folder import RawFolder, raw_folder
from jobs.runtime.context import JobContext
from jobs.runtime.executors import has_executors_elsewhere


def local_raw(context: JobContext, folder: str, *, only: Collection[str] | None = None) -> Path:
    """Return a path below which ``folder`` can be read: the raw folder itself, or a copy of that part of a remote one.

    Parameters
    ----------
    context : JobContext
    folder : str
        What is read, such as ``yearbook``.
    only : collection of str, optional
        Names of the files that are needed; all of them when not given.

    Raises
    ------
    InputRefusedError
        When the raw folder cannot be listed.
    """
    raw = raw_folder(context.require_raw())
    if raw.is_local:
        return raw.path
    copy = Path(tempfile.mkdtemp(prefix="customs-lake-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    raw.copy_below(folder, copy, only)
    return copy


def raw_of_executors(context: JobContext, folder: str) -> RawFolder:
    """Return the raw folder as executors can open the files of ``folder``.

    That is the folder itself; where executors are of this machine and it is not, a copy, which spares them a JAR for its
    store.
    """
    raw = raw_folder(context.require_raw())
    return raw if raw.is_local or has_executors_elsewhere(context.spark) else raw_folder(local_raw(context, folder))
