"""The lake: the only module that touches storage. Path tables below one root, one writer per table at a time.

Tables are Delta tables at ``<root>/<layer>/<name>``, created on first use with columns, comments, NOT NULL and CHECK
constraints from ``schemas``. Years are replaced with ``replaceWhere`` (never dynamic overwrite, never liquid
clustering: two runs on different years then both succeed). ``file:`` has no atomic rename between processes, so a lock
file per table keeps a second process out; object stores need one writing driver.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.errors import LakeError, LockedError
from schemas.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LAKE_FORMAT = 1
MARKER = "_customs_lake.json"
LOCKS = "_locks"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Written:
    """What one commit did.

    Attributes
    ----------
    version : int
        Delta version after the write.
    n_rows : int
        Rows the commit wrote.
    skipped : bool
        True when Delta had this transaction already and wrote nothing.
    """

    version: int
    n_rows: int
    skipped: bool = False


class Lake:
    """A lake below one root.

    Parameters
    ----------
    spark : SparkSession
        Session with Delta's extension.
    root : str
        Local path or any URI Hadoop knows.
    """

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        self.root = root if "://" in root else str(Path(root).expanduser().resolve())

    @classmethod
    def open(cls, spark: SparkSession, root: str, *, create: bool = False) -> Lake:
        """Open the lake at a root, making it when asked and the folder is new or empty.

        Raises
        ------
        LakeError
            If the folder is no lake, was written by a newer product, does not exist (without ``create``), or cannot
            be written.
        """
        lake = cls(spark, root)
        marker = lake._read_text(MARKER)
        if marker is None:
            lake._initialise(create=create)
            return lake
        try:
            written = int(json.loads(marker)["format"])
        except (ValueError, KeyError, TypeError) as error:
            raise LakeError(
                f"{lake.root}: its marker {MARKER} cannot be read ({error}). Expected JSON with a 'format' number;"
                " restore the file from a copy, or rebuild the lake in a new folder."
            ) from error
        if written > LAKE_FORMAT:
            raise LakeError(
                f"{lake.root} was written in lake format {written}; this product reads up to {LAKE_FORMAT}."
                " Use the product version that wrote it, or a newer one."
            )
        return lake

    # --- reading -------------------------------------------------------------------------------------------------

    def path(self, table: Table) -> str:
        """Path of a table."""
        return f"{self.root}/{table.relative_path}"

    def exists(self, table: Table) -> bool:
        """Tell whether the table has been created."""
        return self._filesystem.exists(self._hadoop_path(f"{table.relative_path}/_delta_log"))

    def read(self, table: Table, *, version: int | None = None) -> DataFrame:
        """Return a table, as of a version when one is given; a table not yet created is empty."""
        if not self.exists(table):
            return self.spark.createDataFrame([], table.struct())
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        return reader.load(self.path(table))

    def version(self, table: Table) -> int:
        """Latest version of a table, -1 before its creation."""
        if not self.exists(table):
            return -1
        return int(self._delta(table).history(1).select("version").first()["version"])

    # --- writing -------------------------------------------------------------------------------------------------

    def append(
        self, table: Table, frame: DataFrame, *, transaction: str | None = None, metadata: dict[str, Any] | None = None
    ) -> Written:
        """Append rows; with a transaction id a repeated append is recognised by Delta and reported as skipped."""
        before = self._ensure(table)
        writer = self._writer(table.conform(frame), metadata).mode("append")
        if transaction is not None:
            writer = writer.option("txnAppId", transaction).option("txnVersion", 1)
        writer.save(self.path(table))
        return self._written(table, before)

    def replace_years(
        self, table: Table, frame: DataFrame, years: Iterable[int], *, metadata: dict[str, Any] | None = None
    ) -> Written:
        """Replace exactly the given years of a table partitioned by year; an empty frame clears them."""
        column = table.partition_by[0]
        before = self._ensure(table)
        condition = f"{column} IN ({', '.join(str(int(year)) for year in sorted(years))})"
        writer = self._writer(table.conform(frame), metadata).mode("overwrite").option("replaceWhere", condition)
        writer.save(self.path(table))
        return self._written(table, before)

    def overwrite(self, table: Table, frame: DataFrame, *, metadata: dict[str, Any] | None = None) -> Written:
        """Replace the whole table (small tables: references, panel, estimates)."""
        before = self._ensure(table)
        self._writer(table.conform(frame), metadata).mode("overwrite").save(self.path(table))
        return self._written(table, before)

    def append_rows(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Append a few rows made on the driver (the ledger tables)."""
        if rows:
            ordered = [tuple(row.get(name) for name in table.columns) for row in rows]
            self.append(table, self.spark.createDataFrame(ordered, table.ddl()))

    @contextlib.contextmanager
    def lock(self, *tables: Table) -> Iterator[None]:
        """Hold the locks of some tables against other processes; a no-op away from local files.

        Raises
        ------
        LockedError
            If another process holds one.
        """
        if "://" in self.root and not self.root.startswith("file:"):
            yield
            return
        folder = Path(self.root.removeprefix("file://")) / LOCKS
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            for table in sorted(tables, key=lambda item: item.name):
                handle = stack.enter_context(open(folder / f"{table.name}.lock", "a+", encoding="utf-8"))
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    handle.seek(0)
                    holder = handle.read().strip() or "unknown"
                    raise LockedError(
                        f"{table.name} in {self.root} is being written by another run (process {holder})."
                        " Wait for it to end, then run again; nothing was changed."
                    ) from None
                handle.truncate(0)
                handle.write(str(os.getpid()))
                handle.flush()
            yield

    # --- helpers -------------------------------------------------------------------------------------------------

    def _ensure(self, table: Table) -> int:
        if self.exists(table):
            return self.version(table)
        from delta.tables import DeltaTable

        builder = (
            DeltaTable.createIfNotExists(self.spark)
            .location(self.path(table))
            .addColumns(table.struct())
            .comment(table.description)
            .property("delta.minReaderVersion", "1")
            .property("customs_lake.format", str(LAKE_FORMAT))
        )
        if table.partition_by:
            builder = builder.partitionedBy(*table.partition_by)
        for name, expression in table.check_constraints().items():
            # at creation a constraint is a property: ALTER TABLE ADD CONSTRAINT would cost a scan and a commit each
            builder = builder.property(f"delta.constraints.{name}", expression)
        for name, value in table.properties.items():
            builder = builder.property(name, value)
        if table.append_only:
            builder = builder.property("delta.appendOnly", "true")
        builder.execute()
        return 0

    def _writer(self, frame: DataFrame, metadata: dict[str, Any] | None):
        writer = frame.write.format("delta")
        if metadata:
            writer = writer.option("userMetadata", json.dumps(metadata, sort_keys=True, default=str))
        return writer

    def _written(self, table: Table, before: int) -> Written:
        last = self._delta(table).history(1).select("version", "operationMetrics").first()
        if last["version"] == before:
            return Written(before, 0, skipped=True)
        return Written(int(last["version"]), int((last["operationMetrics"] or {}).get("numOutputRows", 0)))

    def _delta(self, table: Table):
        from delta.tables import DeltaTable

        return DeltaTable.forPath(self.spark, self.path(table))

    def _initialise(self, *, create: bool) -> None:
        root = self._hadoop_path("")
        if self._filesystem.exists(root):
            found = [status.getPath().getName() for status in self._filesystem.listStatus(root)][:5]
            if found:
                raise LakeError(
                    f"{self.root} is no lake: it has no {MARKER}, but it holds {', '.join(found)}."
                    " Give --lake an empty or new folder, or the root of an existing lake."
                )
        elif not create:
            raise LakeError(f"{self.root}: no lake there. Check --lake, or load files first with `customs-lake run`.")
        self._write_text(MARKER, json.dumps({"format": LAKE_FORMAT, "product": "customs-lake"}) + "\n")

    @cached_property
    def _filesystem(self):
        return self._hadoop_path("").getFileSystem(self.spark._jsc.hadoopConfiguration())

    def _hadoop_path(self, relative: str):
        full = f"{self.root}/{relative}" if relative else self.root
        return self.spark._jvm.org.apache.hadoop.fs.Path(full)

    def _read_text(self, relative: str) -> str | None:
        path = self._hadoop_path(relative)
        if not self._filesystem.exists(path):
            return None
        stream = self._filesystem.open(path)
        try:
            return self.spark._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")
        finally:
            stream.close()

    def _write_text(self, relative: str, text: str) -> None:
        from py4j.protocol import Py4JJavaError

        try:
            stream = self._filesystem.create(self._hadoop_path(relative), True)
            stream.write(bytearray(text.encode("utf-8")))
            stream.close()
        except Py4JJavaError as error:
            reason = error.java_exception.getMessage()
            raise LakeError(
                f"{self.root} cannot be written: {reason}. Check the folder's owner, its permissions and the free"
                " space, or give --lake another folder."
            ) from error
