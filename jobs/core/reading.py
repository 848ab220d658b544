"""The lake without Spark: its tables read through the Delta protocol's own Python library, in milliseconds, never written.

Commands that only look (``plan``, ``explain``, ``describe``, ``compare``, ``export``, ``places``, ``query``) and notebooks
open a lake here. Local folders and object stores (``s3a://``, ``gs://``, ``abfss://``; keys from the environment, by the
names that AWS, Google and Azure give them) are read; for any other store the same commands start a Spark session.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import pyarrow as pa

from jobs.core.direct import SCHEMES, arrow_schema, open_table, reaches, read_rows
from jobs.core.errors import InputRefusedError, LakeError
from jobs.core.lake import MARKER, Lake
from jobs.core.stored_files import StoredFiles
from schemas.catalog import TABLES
from schemas.table import Table

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from deltalake import DeltaTable


class SessionNeededError(Exception):
    """Something is to be computed or written: what a lake opened for looking cannot do."""


class NoSession:
    """Stands where a session would: whoever asks anything of it computes or writes."""

    def __getattr__(self, name: str) -> NoReturn:
        raise SessionNeededError(f"a lake opened for looking has no session ({name})")


def can_look(root: str) -> bool:
    """Tell whether a lake's store can be read without Spark."""
    scheme, found, _ = root.partition("://")
    return reaches(root) if not found or scheme == "file" else scheme in SCHEMES


def open_lake(root: str) -> LakeReader:
    """Open a lake for reading in a notebook: ``open_lake("lake")["gold.city_exports"].to_pandas()``.

    Raises
    ------
    LakeError
        If there is no lake, or it is of another format.
    """
    return LakeReader.look(root)


class LakeReader(Lake):
    """A lake opened for looking: no session, no Java; whoever writes through it is refused.

    Parameters
    ----------
    root : str
        Local path, or the URI of an object store.
    """

    def __init__(self, root: str) -> None:
        super().__init__(NoSession(), root)  # type: ignore[arg-type]  # what needs a session is refused
        self.store = StoredFiles(self.root)

    @classmethod
    def look(cls, root: str, *, may_be_new: bool = False) -> LakeReader:
        """Open a lake; a folder that is new or empty counts as a lake without tables when that is allowed.

        Raises
        ------
        LakeError
            As :meth:`Lake.open`.
        """
        lake = cls(root)
        if lake.store.read_text(MARKER) is not None:
            lake.require_usable()
        elif may_be_new:
            lake._refuse_foreign_folder()
        else:
            lake._initialise(create=False)
        return lake

    def __getitem__(self, name: str) -> LakeTable:
        """A table by its name, ``gold.city_exports``."""
        return LakeTable(self, table_named(name))

    def __iter__(self) -> Iterator[str]:
        """Names of the tables that are there."""
        return (name for name, table in sorted(TABLES.items()) if self.exists(table))

    def arrow(self, table: Table, *, version: int | None = None, columns: Iterable[str] | None = None) -> pa.Table:
        """A table as Arrow, with the columns that this product declares."""
        if not self.exists(table):
            return arrow_schema(table, columns).empty_table()
        self._read[table.name] = self.version(table) if version is None else version
        return read_rows(open_table(self.root, table, version), table, columns)

    def scan(self, table: Table, *, version: int | None = None) -> pl.LazyFrame:
        """A table that may be large, as a lazy Polars frame: only what is asked for is read."""
        import polars as pl

        if not self.exists(table):
            empty = pl.from_arrow(arrow_schema(table).empty_table())
            return empty.lazy()  # type: ignore[union-attr]  # a table, not an array
        self._read[table.name] = self.version(table) if version is None else version
        return pl.scan_delta(open_table(self.root, table, version))

    def delta_table(self, table: Table, version: int | None = None) -> DeltaTable:
        """The table in Delta's own library."""
        return open_table(self.root, table, version)

    def read(self, table: Table, *, version: int | None = None) -> NoReturn:
        """Refused: a Spark frame needs a session."""
        raise SessionNeededError(f"{table.name}: a lake opened for looking has no Spark frames")

    @contextlib.contextmanager
    def lock(self, *tables: Table) -> Iterator[None]:
        """Nothing is held: nothing is written."""
        yield

    def append_rows(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Refused, unless there is nothing to append."""
        if rows:
            raise SessionNeededError(f"{table.name}: a lake opened for looking is not written")

    def commit(self, table: Table, *args: object, **options: object) -> NoReturn:
        """Refused: nothing is written."""
        raise SessionNeededError(f"{table.name}: a lake opened for looking is not written")

    create = _save = _ensure = commit


class LakeTable:
    """One table of a lake, for a notebook.

    Parameters
    ----------
    lake : LakeReader
    table : Table
    version : int, optional
        The latest by default.
    """

    def __init__(self, lake: LakeReader, table: Table, version: int | None = None) -> None:
        self.lake, self.table, self.version = lake, table, version

    def at(self, version: int | str | dt.datetime) -> LakeTable:
        """The same table at an older version, or as it was at a moment.

        Parameters
        ----------
        version : int, str or datetime
            A version; or a moment such as ``2024-05-01T12:00``, UTC where it says no zone.

        Raises
        ------
        LakeError
            If the table was not there yet, or its log no longer reaches back so far.
        """
        if not isinstance(version, int):
            version = self._version_at(version)
        return LakeTable(self.lake, self.table, version)

    def _version_at(self, moment: str | dt.datetime) -> int:
        when = dt.datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        when = when if when.tzinfo is not None else when.replace(tzinfo=dt.UTC)
        history = self.lake.delta_table(self.table).history()
        before = [entry["version"] for entry in history if entry["timestamp"] <= when.timestamp() * 1000]
        if not before:
            first = min(entry["timestamp"] for entry in history) / 1000
            raise LakeError(
                f"{self.table.name} had no version at {when:%Y-%m-%d %H:%M} UTC: its log begins at"
                f" {dt.datetime.fromtimestamp(first, dt.UTC):%Y-%m-%d %H:%M} UTC."
            )
        return max(before)

    def to_arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        return self.lake.arrow(self.table, version=self.version)

    def to_polars(self) -> pl.DataFrame:
        """All rows as a Polars frame."""
        return self.lake.scan(self.table, version=self.version).collect()

    def scan(self) -> pl.LazyFrame:
        """A lazy Polars frame: for tables that are larger than the memory."""
        return self.lake.scan(self.table, version=self.version)

    def to_pandas(self) -> pd.DataFrame:
        """All rows as a pandas frame: times without zone (UTC), money as exact decimals."""
        return as_pandas(self.to_arrow())


def table_named(name: str) -> Table:
    """The table of a name.

    Raises
    ------
    InputRefusedError
        If there is none; the message lists those there are.
    """
    if name not in TABLES:
        raise InputRefusedError(f"{name}: no such table. The lake has: {', '.join(sorted(TABLES))}.")
    return TABLES[name]


def as_pandas(table: pa.Table) -> pd.DataFrame:
    """An Arrow table as pandas; times are UTC without a zone, as Spark's session would give them."""
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is not None:
            table = table.set_column(index, field.name, table.column(index).cast(pa.timestamp("us")))
    return table.to_pandas()
