"""Side deliveries of a raw folder that is not of this machine: yearbook sheets and firm files, copied to be read as files."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from jobs.core.errors import InputRefusedError
from jobs.kernels.raw_folder import raw_folder
from jobs.runtime.context import JobContext


def local_raw(context: JobContext, folder: str, *, read_by_executors: bool = False) -> Path:
    """Return a path below which ``folder`` can be read: the raw folder itself, or a copy of that part of a remote one.

    Parameters
    ----------
    context : JobContext
    folder : str
        What is read, such as ``yearbook``.
    read_by_executors : bool
        A copy on this machine is of no use on a cluster.

    Raises
    ------
    InputRefusedError
        When the raw folder cannot be listed, or executors could not reach the copy.
    """
    raw = raw_folder(context.require_raw())
    if raw.is_local:
        return raw.path
    copy = Path(tempfile.mkdtemp(prefix="customs-lake-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    n_files = raw.copy_below(folder, copy)
    is_cluster = not (context.spark.sparkContext.master or "local").startswith("local")
    if n_files and read_by_executors and is_cluster:
        raise InputRefusedError(
            f"{raw.address}/{folder}: its files are read by every executor, as files of a folder. Give --raw as a folder"
            " that all machines of the cluster see under one name, for this step."
        )
    return copy
