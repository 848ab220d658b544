"""Plain files below a lake's root through Hadoop's file systems, and what a failing write means in words.

The only place that works through the session's own Java virtual machine. A session that has none (Spark Connect) is given
:class:`~jobs.core.stored_files.StoredFiles` in its stead: :func:`open_store` decides.

The lake's marker, its Delta logs and its folders are read here without starting a Spark job, for local folders and
object stores alike. Failures of the store itself (full, read-only, forbidden) are recognised by the text of the
innermost cause, the only thing that every Hadoop file system has in common.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError

from jobs.core.errors import CustomsLakeError, LakeError
from jobs.core.file_systems import is_remote
from jobs.core.stored_files import StoredFile, StoredFiles, changed_text
from jobs.core.waiting import WaitingSession

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# text of a cause, as Java, Hadoop or the kernel words it -> what it is
_STORE_FAILURES = {
    "No space left on device": "the disk is full",
    "Disk quota exceeded": "the disk quota is used up",
    "File too large": "a limit on the size of files was met",
    "Permission denied": "the user who runs this may not write there",
    "AccessControlException": "the user who runs this may not write there",
    "AccessDeniedException": "the user who runs this may not write there",
    "Read-only file system": "the file system is mounted read-only",
    "Mkdirs failed": "a folder could not be made",
    "Unable to create": "a folder could not be made",
}


def open_store(spark: SparkSession, root: str) -> Store | StoredFiles:
    """The files below a root, by way of the session's JVM where it has one already.

    Parameters
    ----------
    spark : SparkSession
    root : str
        Local path or URI.
    """
    return StoredFiles(root) if is_remote_session() or isinstance(spark, WaitingSession) else Store(spark, root)


def is_remote_session() -> bool:
    """Tell whether sessions are of Spark Connect; as pyspark itself tells, which a lake opened for looking need not load."""
    return "SPARK_CONNECT_MODE_ENABLED" in os.environ


class Store:
    """Files below one root.

    Parameters
    ----------
    spark : SparkSession
    root : str
        Local path or URI.
    """

    def __init__(self, spark: SparkSession, root: str) -> None:
        self._spark = spark
        self.root = root

    @property
    def is_local(self) -> bool:
        """Tell whether the root is a folder of this machine (or mounted as one)."""
        return not is_remote(self.root)

    def exists(self, relative: str) -> bool:
        """Tell whether a file or folder is there."""
        return self._filesystem.exists(self._path(relative))

    def names(self, relative: str) -> list[str]:
        """Names in a folder, empty when there is none."""
        path = self._path(relative)
        if not self._filesystem.exists(path):
            return []
        return sorted(status.getPath().getName() for status in self._filesystem.listStatus(path))

    def walk(self, relative: str) -> list[StoredFile]:
        """All files below a folder."""
        path = self._path(relative)
        if not self._filesystem.exists(path):
            return []
        prefix = path.toUri().getPath().rstrip("/") + "/"
        found, listing = [], self._filesystem.listFiles(path, True)
        while listing.hasNext():
            status = listing.next()
            name = status.getPath().toUri().getPath().removeprefix(prefix)
            found.append(StoredFile(name, int(status.getLen()), int(status.getModificationTime())))
        return sorted(found, key=lambda item: item.path)

    def read_text(self, relative: str) -> str | None:
        """Content of a small file, None when it is not there."""
        path = self._path(relative)
        if not self._filesystem.exists(path):
            return None
        stream = self._filesystem.open(path)
        try:
            return self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")
        except Py4JJavaError as error:
            if "ChecksumException" not in str(error):
                raise
            raise LakeError(changed_text(f"{self.root}/{relative}")) from error
        finally:
            stream.close()

    def write_text(self, relative: str, text: str) -> None:
        """Write a small file whole or not at all: a run killed here must not leave half of it."""
        final = self._path(relative)
        # an object appears whole when its stream is closed; a file is renamed over the former one
        target = self._path(f"{relative}.partial") if self._can_rename else final
        with explained_store_failure(self.root):
            if self._can_rename:
                # on HDFS folders that come about by themselves have the rights of those above, not what the settings leave
                self._filesystem.mkdirs(target.getParent())
            stream = self._filesystem.create(target, True)
            stream.write(bytearray(text.encode("utf-8")))
            stream.close()
            if self._can_rename:
                self._replace(target, final)

    def create_text(self, relative: str, text: str) -> None:
        """Write a small file whole or not at all, and only if it is not there.

        Raises
        ------
        LakeError
            If somebody else has written it.
        """
        if self.exists(relative):
            raise LakeError(f"{self.root}/{relative}: another program has made this table just now. Run again.")
        self.write_text(relative, text)

    def delete(self, relative: str) -> None:
        """Remove a file or a folder with all that is in it; nothing there is fine."""
        with explained_store_failure(self.root):
            self._filesystem.delete(self._path(relative), True)

    def checkpoint(self, table: str) -> None:
        """Write a checkpoint of a Delta table's log, so that readers need not replay it."""
        log_of = self._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(self._spark._jsparkSession, f"{self.root}/{table}")
        # Scala's default arguments, under the names they have in the JVM
        at_any_time, no_catalog = (getattr(log_of, f"update$default${number}")() for number in (2, 3))
        log_of.checkpoint(log_of.update(False, at_any_time, no_catalog), no_catalog)

    @cached_property
    def _filesystem(self) -> Any:
        with explained_store_failure(self.root):
            return self._path("").getFileSystem(self._spark._jsc.hadoopConfiguration())

    @property
    def _can_rename(self) -> bool:
        return self._filesystem.getUri().getScheme() in ("file", "hdfs", "viewfs")

    @property
    def _gateway(self) -> Any:
        return self._spark.sparkContext._gateway

    @property
    def _jvm(self) -> Any:
        return self._spark._jvm

    def _replace(self, source: Any, target: Any) -> None:
        hadoop = self._jvm.org.apache.hadoop.fs
        rename = getattr(hadoop, "Options$Rename")
        options = self._gateway.new_array(rename, 1)
        options[0] = rename.OVERWRITE
        context = hadoop.FileContext.getFileContext(
            self._filesystem.getUri(), self._spark._jsc.hadoopConfiguration()
        )
        context.rename(context.makeQualified(source), context.makeQualified(target), options)

    def _path(self, relative: str) -> Any:
        full = f"{self.root}/{relative}" if relative else self.root
        return self._jvm.org.apache.hadoop.fs.Path(full)


@contextlib.contextmanager
def explained_store_failure(where: str) -> Iterator[None]:
    """Turn a full, read-only or forbidden store into a LakeError; anything else passes unchanged."""
    try:
        yield
    except CustomsLakeError:
        raise
    except Exception as error:  # Java's, Spark's, Delta's own library's, Python's: what they have in common is the text
        text = str(error)
        known = next((text_ for text_ in _STORE_FAILURES if text_ in text), None)
        if known is None:
            raise
        line = next(line.strip() for line in text.splitlines() if known in line)
        raise LakeError(
            f"{where} cannot be written: {_STORE_FAILURES[known]} ({line[:200]}). Check owner, permissions and free space"
            " of the lake's folder and of Spark's local folder; then run again: what was complete is kept, the rest"
            " is done anew."
        ) from error
