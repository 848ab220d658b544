"""Data files of a table, written in the process that has the rows: Parquet by PyArrow, no Spark, no log.

A writer takes batches and leaves finished files, which belong to no table until a commit names them
(jobs/core/file_tables.py). The lake must be in a folder that driver and executors see alike.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.core.direct import arrow_schema
from jobs.core.errors import InvalidRowsError
from jobs.core.file_statistics import delta_statistics, statistics_columns
from schemas.table import Table

GROUP_ROWS = 100_000
"""Rows of a row group, and of a frame that is read: what the kernels work on at a time, some 200 MB at most."""
FILE_BYTES = 128 << 20
"""A file is closed when it is so large."""
WAITING_BYTES = 256 << 20
"""Rows of all years that wait in memory for their row group to be full, at most."""
MOST_RUNS = 64
"""Rows that change their year more often are brought into order first."""
CODEC = "zstd"


@dataclass(frozen=True, slots=True)
class DataFile:
    """A finished data file.

    Attributes
    ----------
    path : str
        Below the table.
    n_bytes, n_rows : int
    partition : dict
        Partition column to value, as text; empty for a table without.
    stats : str
        Delta's statistics, as JSON.
    sha256 : str
    modified_ms : int
        Milliseconds since 1970, UTC.
    """

    path: str
    n_bytes: int
    n_rows: int
    partition: Mapping[str, str]
    stats: str
    sha256: str
    modified_ms: int

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FileTarget:
    """Where data files of one table are written.

    Attributes
    ----------
    folder : str
        Of the table, on this machine; it exists.
    table : Table
    write_id : str
        Part of every file's name, so that what was not committed is found again.
    umask : int
        Rights that are taken from every file and folder.
    """

    folder: str
    table: Table
    write_id: str
    umask: int = 0o077


class FileWriter:
    """Writes rows of one table as data files, one open file for each value of the partition column.

    Used in a ``with`` block; when that is left by an error, all its files are removed.

    Parameters
    ----------
    target : FileTarget

    Attributes
    ----------
    files : list of DataFile
        After the block: what was written.
    """

    def __init__(self, target: FileTarget) -> None:
        self.files: list[DataFile] = []
        self._target, self._table = target, target.table
        self._open: dict[str, _OpenFile] = {}

    def __enter__(self) -> FileWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                for value in sorted(self._open):
                    self._finish(value)
        except BaseException:
            self._remove()
            raise
        if kind is not None:
            self._remove()

    def write(self, rows: pl.DataFrame | pa.RecordBatch | pa.Table) -> None:
        """Take rows with the table's columns in any order; further columns are left behind.

        Raises
        ------
        InvalidRowsError
            If a row breaks a check of the table or lacks what is never empty, with their number.
        """
        if not len(rows):
            return
        whole = self._conformed(rows)
        self._refuse_invalid(whole, rows)
        for value, share in self._shares(whole):
            if value not in self._open:
                self._open[value] = _OpenFile(self._target, value)
            self._open[value].add(share)
            if self._open[value].n_bytes >= FILE_BYTES:
                self._finish(value)
        while sum(file.waiting_bytes for file in self._open.values()) > WAITING_BYTES:
            max(self._open.values(), key=lambda file: file.waiting_bytes).flush()

    def _conformed(self, rows: pl.DataFrame | pa.RecordBatch | pa.Table) -> pa.Table:
        chosen = rows.select(list(self._table.columns))
        if isinstance(chosen, pl.DataFrame):
            # of a text's two lengths in Arrow Parquet knows nothing
            return chosen.to_arrow(compat_level=pl.CompatLevel.oldest())
        return pa.Table.from_batches([chosen]) if isinstance(chosen, pa.RecordBatch) else chosen

    def _refuse_invalid(self, whole: pa.Table, rows: pl.DataFrame | pa.RecordBatch | pa.Table) -> None:
        n_empty = {name: whole.column(name).null_count for name in self._required if whole.column(name).null_count}
        broken = {}
        if self._checks:
            frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(pl.from_arrow(whole.select(self._checked)))
            # a check that cannot be told, for a value is missing, holds
            counted = frame.select((~check).sum().alias(name) for name, check in self._checks.items())
            broken = {name: n for name, n in counted.row(0, named=True).items() if n}
        if n_empty or broken:
            found = [f"{name} is empty in {n:,} rows" for name, n in n_empty.items()]
            found += [f"{n:,} rows break {name}" for name, n in broken.items()]
            raise InvalidRowsError(
                f"{self._table.name}: {'; '.join(found)}; nothing was written. This is a defect: report the command and"
                " this line."
            )

    @cached_property
    def _required(self) -> list[str]:
        return [column.name for column in self._table.fields if column.required]

    @cached_property
    def _checks(self) -> dict[str, pl.Expr]:
        return {name: pl.sql_expr(text) for name, text in self._table.check_constraints().items()}

    @cached_property
    def _checked(self) -> list[str]:
        return sorted({name for check in self._checks.values() for name in check.meta.root_names()})

    def _shares(self, rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """Rows by the value of the partition column, without it."""
        if not self._table.partition_by:
            yield "", rows
            return
        (name,) = self._table.partition_by
        column, rest = rows.column(name), rows.drop_columns([name])
        # rows come a year after the other: a run of them is cut out without a copy
        values = column.to_numpy()
        starts = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1, [len(values)]])
        if len(starts) > MOST_RUNS:
            order = pa.array(np.argsort(values, kind="stable"))
            yield from self._shares(rows.take(order))
            return
        for start, stop in itertools.pairwise(starts.tolist()):
            yield str(values[start]), rest.slice(start, stop - start)

    def _finish(self, value: str) -> None:
        self.files.append(self._open[value].finish())
        del self._open[value]

    def _remove(self) -> None:
        for unfinished in self._open.values():
            unfinished.abandon()
        for file in self.files:
            Path(self._target.folder, file.path).unlink(missing_ok=True)
        self._open, self.files = {}, []


class _OpenFile:
    """A data file that rows are added to; its bytes are hashed as they are written."""

    def __init__(self, target: FileTarget, value: str) -> None:
        table = target.table
        self._partition = dict.fromkeys(table.partition_by, value)
        self._schema = arrow_schema(table, [name for name in table.columns if name not in table.partition_by])
        self._statistics = statistics_columns(table)
        name = f"part-{target.write_id}-{uuid.uuid4().hex}.{CODEC}.parquet"
        self._path = "/".join([*(f"{column}={value}" for column in self._partition), name])
        self._file = Path(target.folder, self._path)
        self._sink = _HashingFile(self._file, target.umask)
        self._footers: list[pq.FileMetaData] = []
        self._writer: pq.ParquetWriter | None = None
        self._kinds: pa.Schema | None = None
        self._waiting: list[pa.Table] = []
        self._n_waiting = self._n_rows = self.waiting_bytes = 0

    @property
    def n_bytes(self) -> int:
        """Bytes written so far."""
        return self._sink.n_bytes

    def add(self, rows: pa.Table) -> None:
        """Add rows; full row groups are written."""
        if self._kinds is None:
            _refuse_other_types(rows.schema, self._schema)
            self._kinds = rows.schema
        # batches of Arrow and frames of Polars have texts of different lengths in memory
        rows = rows if rows.schema == self._kinds else rows.cast(self._kinds)
        self._waiting.append(rows)
        self._n_waiting += len(rows)
        self.waiting_bytes += rows.nbytes
        if self._n_waiting >= GROUP_ROWS:
            whole = pa.concat_tables(self._waiting)
            n_full = len(whole) // GROUP_ROWS * GROUP_ROWS
            self._write(whole.slice(0, n_full))
            rest = whole.slice(n_full)
            self._waiting, self._n_waiting = ([rest], len(rest)) if len(rest) else ([], 0)
            self.waiting_bytes = rest.nbytes

    def flush(self) -> None:
        """Write what waits as a row group."""
        if self._waiting:
            self._write(pa.concat_tables(self._waiting))
        self._waiting, self._n_waiting, self.waiting_bytes = [], 0, 0

    def finish(self) -> DataFile:
        """Write what waits and the footer."""
        self.flush()
        assert self._writer is not None  # a file is opened for rows only
        self._writer.close()
        self._sink.close()
        statistics = delta_statistics(self._footers[0], self._statistics)
        return DataFile(
            self._path, self._sink.n_bytes, self._n_rows, self._partition, statistics, self._sink.digest.hexdigest(),
            int(time.time() * 1000),
        )

    def abandon(self) -> None:
        """Close and remove the file, also where nothing more can be written to it or a write was cut short."""
        with contextlib.suppress(Exception):
            if self._writer is not None:
                self._writer.close()
        with contextlib.suppress(OSError):
            self._sink.close()
        self._file.unlink(missing_ok=True)

    def _write(self, rows: pa.Table) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._sink, rows.schema, compression=CODEC, write_statistics=list(self._statistics),
                # columns as every reader of Parquet takes them, and as numbers where Spark writes numbers
                store_schema=False, store_decimal_as_integer=True, metadata_collector=self._footers,
            )
        self._writer.write_table(rows, row_group_size=GROUP_ROWS)
        self._n_rows += len(rows)


class _HashingFile:
    """A new file that only its owner's rights leave open, written from the front; its SHA-256 is that of all it was given."""

    def __init__(self, path: Path, umask: int) -> None:
        os.makedirs(path.parent, mode=0o777 & ~umask, exist_ok=True)
        self._stream = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 & ~umask), "wb")
        self.digest, self.n_bytes = hashlib.sha256(), 0

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._stream.closed

    def write(self, content: Any) -> int:
        """Append bytes."""
        self.digest.update(content)
        self.n_bytes += len(content)
        return self._stream.write(content)

    def tell(self) -> int:
        """Bytes written so far."""
        return self.n_bytes

    def flush(self) -> None:
        """Hand all to the file system."""
        self._stream.flush()

    def close(self) -> None:
        """Close it; twice is fine."""
        self._stream.close()


def _refuse_other_types(found: pa.Schema, expected: pa.Schema) -> None:
    """A frame of other types is a defect of what made it: no reader would take its files for this table's."""
    odd = [
        f"{field.name} is {field.type}, not {expected.field(field.name).type}"
        for field in found if _plain(field.type) != _plain(expected.field(field.name).type)
    ]
    if odd:
        raise TypeError(f"data file of other types than its table: {', '.join(odd)}")


def _plain(kind: pa.DataType) -> pa.DataType:
    """A type without what is a matter of memory only."""
    if pa.types.is_large_list(kind) or pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    return {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}.get(kind, kind)
