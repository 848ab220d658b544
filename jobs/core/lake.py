"""The lake: the only module that reads and writes tables. Path tables below one root, one writer per table at a time.

Tables are Delta tables at ``<root>/<layer>/<name>``, created on first use with columns, comments, NOT NULL and CHECK
constraints from ``schemas``. Years are replaced with ``replaceWhere`` (never dynamic overwrite, never liquid
clustering: two runs on different years then both succeed). Every commit carries the product's mark, so that a change
made by someone else can be told from ours. ``file:`` needs lock files (jobs/core/locks.py), object stores one driver.

Frames of Spark are written by Spark. Rows that are on the driver already (an Arrow table) go to a local folder directly
(jobs/core/direct.py), to any other store through Spark; files that executors wrote are committed by jobs/core/file_tables.py.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import pyarrow as pa
from pyspark.sql import Row

from jobs.core.checksums import record_checksums
from jobs.core.commits import PRODUCT, Commit, Written, mark_of, parse_commit, retry_conflicts
from jobs.core.creation import first_entry
from jobs.core.damage import MARKER, parse_marker
from jobs.core.direct import (
    BeyondLibraryError,
    conformed,
    open_table,
    reaches,
    read_rows,
    rows_to_arrow,
    write_rows,
)
from jobs.core.errors import LakeError
from jobs.core.frames import arrow_to_frame
from jobs.core.locks import hold_commit, hold_work
from jobs.core.storage import explained_store_failure, open_store
from jobs.core.stored_files import StoredFiles
from schemas.catalog import declared_columns
from schemas.migrations import LAKE_FORMAT
from schemas.table import Table

if TYPE_CHECKING:
    import polars as pl
    from pyspark.sql import DataFrame, SparkSession

    Frame: TypeAlias = DataFrame | pa.Table

LOCKS = "_locks"
UNFINISHED_RESTORE = "_restore.json"
_COMMIT_FILE = re.compile(r"^(\d{20})\.json$")

log = logging.getLogger("customs_lake")


class Lake:
    """A lake below one root.

    Parameters
    ----------
    spark : SparkSession
        Session with Delta's extension.
    root : str
        Local path or any URI Hadoop knows.

    Attributes
    ----------
    scope : frozenset of int or None
        Years this process was asked to work on; its work locks cover them only. None: the whole table.
    replaces_foreign : bool
        The years are built again on demand, so that a table changed by someone else need not be refused.
    remembered : dict
        Small tables that were collected, by name: (version, rows). See ``rows``.
    """

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        self.root = root if "://" in root else str(Path(root).expanduser().resolve())
        self.store = open_store(spark, self.root)
        self.scope: frozenset[int] | None = None
        self.replaces_foreign = False
        self._commits: dict[str, Commit] = {}
        self.remembered: dict[str, tuple[int, list[Row]]] = {}
        self._read: dict[str, int] = {}
        self._wrote: dict[str, Written] = {}

    @classmethod
    def open(cls, spark: SparkSession, root: str, *, create: bool = False) -> Lake:
        """Open the lake at a root, making it when asked and the folder is new or empty.

        Raises
        ------
        LakeError
            If the folder is not a lake, was written by a newer or an older product, was left in the middle of a restore,
            does not exist (without ``create``), or cannot be written.
        """
        lake = cls(spark, root)
        if lake.store.read_text(MARKER) is None:
            lake._initialise(create=create)
        lake.require_usable()
        return lake

    def require_usable(self) -> None:
        """Refuse a lake of another format, or one left in the middle of a restore.

        Raises
        ------
        LakeError
        """
        written = self.format()
        if written < LAKE_FORMAT:
            raise LakeError(
                f"{self.root} is of lake format {written}, this product writes {LAKE_FORMAT}. Nothing was changed. See"
                f" what would be done with `customs-lake migrate --lake {self.root} --dry-run`, then run it without."
            )
        if self.store.exists(UNFINISHED_RESTORE):
            raise LakeError(
                f"{self.root}: a restore was interrupted, its tables are of different times. Finish it with"
                f" `customs-lake restore --lake {self.root} --resume`."
            )

    @classmethod
    def peek(cls, spark: SparkSession, root: str) -> Lake:
        """Open a lake for reading only; a folder that is new or empty counts as a lake without tables."""
        lake = cls(spark, root)
        if lake.store.read_text(MARKER) is None:
            lake._refuse_foreign_folder()
            return lake
        return cls.open(spark, root)

    def marker(self) -> dict[str, Any]:
        """What the lake says of itself: its format, and the versions below which its tables have an older shape."""
        marker, odd = parse_marker((self.store.read_text(MARKER) or "").encode())
        if odd:
            raise LakeError(
                f"{self.root}: its marker {MARKER} {odd}. `customs-lake repair --lake {self.root} --raw RAW` writes it anew"
                " from what the tables say."
            )
        return marker

    def format(self) -> int:
        """Lake format of the marker.

        Raises
        ------
        LakeError
            If a newer product wrote the lake.
        """
        written = self.marker()["format"]
        if written > LAKE_FORMAT:
            raise LakeError(
                f"{self.root} was written in lake format {written}; this product reads up to {LAKE_FORMAT}."
                " Use the product version that wrote it, or a newer one."
            )
        return written

    def write_marker(self, lake_format: int, floors: dict[str, int], *, columns: str = "") -> None:
        """Say the lake's format, for each table the first version of its present shape, and the columns it has."""
        marker = {"format": lake_format, "product": PRODUCT, "floors": floors, "columns": columns}
        former = self.marker() if self.store.read_text(MARKER) is not None else {}
        kept = {"origin": former["origin"]} if "origin" in former else {}
        self.store.write_text(MARKER, json.dumps(marker | kept, sort_keys=True) + "\n")

    def origin(self) -> str:
        """Whether its records are ``generated``, ``delivered`` or ``mixed``; ``unknown`` until files were loaded."""
        return str(self.marker().get("origin", "unknown"))

    def note_origin(self, origin: str) -> None:
        """Say in the marker that ``generated`` or ``delivered`` records are loaded; both make it ``mixed``, for good."""
        former = self.origin()
        now = origin if former in ("unknown", origin) else "mixed"
        if now != former:
            self.store.write_text(MARKER, json.dumps(self.marker() | {"origin": now}, sort_keys=True) + "\n")

    # --- reading -------------------------------------------------------------------------------------------------

    def path(self, table: Table) -> str:
        """Path of a table."""
        return f"{self.root}/{table.relative_path}"

    def exists(self, table: Table) -> bool:
        """Tell whether the table has been created: its log has a first entry, not only a folder."""
        return self.version(table) >= 0

    def read(self, table: Table, *, version: int | None = None) -> DataFrame:
        """Return a table, as of a version when one is given; a table not yet created is empty."""
        latest = self.version(table)
        if latest < 0:
            return self.spark.createDataFrame([], table.struct())
        self._read[table.name] = latest if version is None else version
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        return reader.load(self.path(table))

    def arrow(self, table: Table, *, version: int | None = None, columns: Iterable[str] | None = None) -> pa.Table:
        """A table as Arrow, all of it or some columns: what is handed to the estimator, to people, to other programs."""
        if reaches(self.root) and self.exists(table):
            self._read[table.name] = self.version(table) if version is None else version
            with contextlib.suppress(BeyondLibraryError):
                return read_rows(open_table(self.root, table, version), table, columns)
        frame = self.read(table, version=version)
        return (frame if columns is None else frame.select(*columns)).toArrow()

    def scan(self, table: Table, *, version: int | None = None) -> pl.LazyFrame:
        """A table as a lazy Polars frame; with a session its rows are collected first."""
        import polars as pl

        return cast(pl.DataFrame, pl.from_arrow(self.arrow(table, version=version))).lazy()

    def rows(self, table: Table) -> list[Row]:
        """All rows of a small table; collected once, and again only when someone else has written to it."""
        version = self.version(table)
        if version < 0:
            return []
        self._read[table.name] = version
        if self.remembered.get(table.name, (None,))[0] != version:
            named, columns = Row(*table.columns), list(table.columns)
            content = self.arrow(table).to_pylist(maps_as_pydicts="strict")
            self.remembered[table.name] = (version, [named(*(_naive(row[name]) for name in columns)) for row in content])
        return self.remembered[table.name][1]

    def version(self, table: Table) -> int:
        """Latest version of a table, -1 before its creation; from the names in its log, without a Spark job."""
        found = [_COMMIT_FILE.match(name) for name in self.store.names(f"{table.relative_path}/_delta_log")]
        return max((int(match.group(1)) for match in found if match), default=-1)

    def commits(self, table: Table, *, after: int = -1) -> list[Commit]:
        """Log entries after a version, oldest first; entries that Delta has cleaned up are not among them."""
        found = []
        for name in self.store.names(f"{table.relative_path}/_delta_log"):
            match = _COMMIT_FILE.match(name)
            if match and int(match.group(1)) > after:
                entry = f"{table.relative_path}/_delta_log/{name}"
                if entry not in self._commits:
                    # an entry never changes: a run that asks for the same table again need not read it again
                    self._commits[entry] = parse_commit(int(match.group(1)), self.store.read_text(entry) or "")
                found.append(self._commits[entry])
        return found

    def rows_by_year(self, table: Table, written: Written) -> dict[int, int]:
        """Rows of each year that a commit wrote to a table partitioned by year; from its log entry, without a Spark job."""
        text = self.store.read_text(f"{table.relative_path}/_delta_log/{written.version:020}.json") or ""
        rows: dict[int, int] = {}
        for line in text.splitlines():
            if line.startswith('{"add"'):
                added = json.loads(line)["add"]
                (year,) = added["partitionValues"].values()
                rows[int(year)] = rows.get(int(year), 0) + json.loads(added["stats"])["numRecords"]
        return rows

    def delta(self, table: Table) -> Any:
        """The table as a DeltaTable, for maintenance."""
        from delta.tables import DeltaTable

        return DeltaTable.forPath(self.spark, self.path(table))

    def forget_commits(self, table: Table) -> None:
        """Forget what was read of a table's log, after entries were removed from it."""
        self._commits = {name: item for name, item in self._commits.items() if not name.startswith(table.relative_path)}

    def note_read(self, table: Table, version: int) -> None:
        """Remember for the ledger that a version of a table was read, by whatever way."""
        self._read[table.name] = version

    def take_activity(self) -> tuple[dict[str, int], dict[str, Written]]:
        """Return what was read (table to version) and written since the last call, and forget it."""
        read, wrote = self._read, self._wrote
        self._read, self._wrote = {}, {}
        return read, wrote

    # --- writing -------------------------------------------------------------------------------------------------

    def append(
        self, table: Table, frame: DataFrame, *, transaction: str | None = None, metadata: dict[str, Any] | None = None
    ) -> Written:
        """Append rows; with a transaction id a repeated append is recognised by Delta and reported as skipped."""
        options = {"txnAppId": transaction, "txnVersion": 1} if transaction is not None else {}
        return self._save(table, frame, "append", metadata, **options)

    def replace_years(
        self, table: Table, frame: Frame, years: Iterable[int], *, metadata: dict[str, Any] | None = None
    ) -> Written:
        """Replace exactly the given years of a table partitioned by year; an empty frame clears them."""
        condition = f"{table.partition_by[0]} IN ({', '.join(str(int(year)) for year in sorted(years))})"
        return self._save(table, frame, "overwrite", metadata, replaceWhere=condition)

    def overwrite(self, table: Table, frame: Frame, *, metadata: dict[str, Any] | None = None) -> Written:
        """Replace the whole table (small tables: references, panel, estimates)."""
        return self._save(table, frame, "overwrite", metadata)

    def append_rows(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Append a few rows made on the driver (the ledger tables), in one file."""
        if rows:
            table.assert_unique(tuple(row.get(name) for name in table.key) for row in rows)
            written = self._save(table, rows_to_arrow(table, rows), "append", None)
            known = self.remembered.pop(table.name, None)
            if known is not None and known[0] == written.version - 1:
                # nobody wrote in between: what is in the table now is known without reading it
                named = Row(*table.columns)
                self.remembered[table.name] = (
                    written.version, [*known[1], *(named(*(row.get(name) for name in table.columns)) for row in rows)]
                )

    @contextlib.contextmanager
    def lock(self, *tables: Table) -> Iterator[None]:
        """Hold the work locks of some tables, of the years in scope; a no-op away from local files.

        Raises
        ------
        LockedError
            If another process holds one.
        """
        with self._work(tables, self.scope):
            yield

    @contextlib.contextmanager
    def lock_whole(self, *tables: Table) -> Iterator[None]:
        """Hold the work locks of some tables for all years, whatever the scope: maintenance, restore, migration."""
        with self._work(tables, None):
            yield

    @contextlib.contextmanager
    def committing(self, table: Table, metadata: dict[str, Any] | None = None) -> Iterator[None]:
        """Hold the commit lock of a table and mark as ours the commits made by SQL commands inside."""
        key = "spark.databricks.delta.commitInfo.userMetadata"
        with self._commit_lock(table), explained_store_failure(self.path(table)):
            self.spark.conf.set(key, mark_of(metadata, uuid.uuid4().hex))
            try:
                yield
            finally:
                self.spark.conf.unset(key)
            self._record_checksums(table)

    def create(self, table: Table) -> int:
        """Create the table when it is not there; return its version."""
        with self._commit_lock(table), explained_store_failure(self.path(table)):
            return self._ensure(table)

    def commit(
        self, table: Table, write: Callable[[str], None], metadata: dict[str, Any] | None = None, *,
        hashes: Mapping[str, tuple[int, str]] | None = None,
    ) -> Written:
        """Carry out a write under the table's commit lock, again after a lost race, and return what its commit did.

        Parameters
        ----------
        write : callable
            Takes the mark that its commit must carry as ``userMetadata``.
        hashes : mapping
            Path to bytes and SHA-256 of data files that need not be read again to record them.
        """
        write_id = uuid.uuid4().hex
        mark = mark_of(metadata, write_id)
        with self._commit_lock(table), explained_store_failure(self.path(table)):
            before = self._ensure(table)
            retry_conflicts(lambda: write(mark), table.name)
            written = self._written(table, before, write_id)
            self._record_checksums(table, hashes)
        former = self._wrote.get(table.name)
        n_rows = written.n_rows + (former.n_rows if former else 0)
        self._wrote[table.name] = Written(written.version, n_rows, written.skipped)
        return written

    # --- helpers -------------------------------------------------------------------------------------------------

    def _save(self, table: Table, frame: Frame, mode: str, metadata: dict[str, Any] | None, **options: Any) -> Written:
        return self.commit(table, self._writer(table, frame, mode, options), metadata)

    def _writer(self, table: Table, frame: Frame, mode: str, options: dict[str, Any]) -> Callable[[str], None]:
        """What writes a frame when it is called; called again, it writes it again."""
        if not isinstance(frame, pa.Table):
            conforming = table.conform(frame)
            return lambda mark: self._write_frame(table, conforming, mode, mark, options)
        rows = conformed(table, frame)

        def write(mark: str) -> None:
            if reaches(self.root):
                with contextlib.suppress(BeyondLibraryError):
                    condition = options.get("replaceWhere")
                    return write_rows(self.root, table, rows, mark=mark, overwrite=mode == "overwrite", condition=condition)
            self._write_frame(table, arrow_to_frame(self.spark, rows).coalesce(1), mode, mark, options)

        return write

    def _write_frame(self, table: Table, frame: DataFrame, mode: str, mark: str, options: dict[str, Any]) -> None:
        writer = frame.write.format("delta").mode(mode).option("userMetadata", mark)
        for name, value in options.items():
            writer = writer.option(name, value)
        writer.save(self.path(table))

    def _record_checksums(self, table: Table, hashes: Mapping[str, tuple[int, str]] | None = None) -> None:
        """Remember the bytes of what was just committed, so that later damage can be told (jobs/core/checksums.py)."""
        try:
            record_checksums(StoredFiles(self.root), table.relative_path, hashes=hashes)
        except (OSError, LakeError) as error:
            # the rows are committed: what was not recorded now is with the next commit
            log.warning("%s: no checksum was recorded (%s)", table.name, error)

    def _written(self, table: Table, before: int, write_id: str) -> Written:
        for commit in self.commits(table, after=before):
            if commit.metadata.get("write") == write_id:
                return Written(commit.version, commit.n_rows)
        return Written(self.version(table), 0, skipped=True)

    def _ensure(self, table: Table) -> int:
        version = self.version(table)
        if version >= 0:
            return version
        self.store.create_text(f"{table.relative_path}/_delta_log/{0:020}.json", first_entry(table, mark_of(None, "")))
        return self.version(table)

    def _work(self, tables: Sequence[Table], years: frozenset[int] | None) -> contextlib.AbstractContextManager[None]:
        if not self.store.is_local:
            return contextlib.nullcontext()
        return hold_work(self._lock_folder(), [table.name for table in tables], years)

    def _commit_lock(self, table: Table) -> contextlib.AbstractContextManager[None]:
        if not self.store.is_local:
            return contextlib.nullcontext()
        return hold_commit(self._lock_folder(), table.name)

    def _lock_folder(self) -> Path:
        return Path("/" + self.root.removeprefix("file:").lstrip("/")) / LOCKS

    def _initialise(self, *, create: bool) -> None:
        self._refuse_foreign_folder()
        if not create:
            raise LakeError(f"{self.root}: no lake there. Check --lake, or load files first with `customs-lake run`.")
        self.write_marker(LAKE_FORMAT, {}, columns=declared_columns())

    def _refuse_foreign_folder(self) -> None:
        # what a run killed at its very first write leaves behind is ours
        found = [name for name in self.store.names("") if name != LOCKS and not name.startswith((MARKER, f".{MARKER}"))]
        if found:
            raise LakeError(
                f"{self.root} is not a lake: it has no {MARKER}, but it holds {', '.join(found[:5])}."
                " Give --lake an empty or new folder, or the root of an existing lake."
            )


def _naive(value: Any) -> Any:
    """A time in UTC without its zone, as the ledger keeps it; anything else as it is."""
    return value.replace(tzinfo=None) if getattr(value, "tzinfo", None) is not None else value
