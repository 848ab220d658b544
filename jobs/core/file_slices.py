"""Parts of live data files, read where they are worked on: by Polars, some columns, a row group at a time, no Spark.

Which files are live the driver asks the log (:func:`jobs.core.file_tables.live_slices`); a task is given its slices.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import polars as pl

from jobs.core.data_files import GROUP_ROWS
from jobs.core.direct import arrow_schema
from schemas.table import Table

TASK_ROWS = 500_000
"""Rows of a task at most: seconds of work, so that what every task costs does not matter."""


@dataclass(frozen=True, slots=True)
class FileSlice:
    """Some rows of a live data file.

    Attributes
    ----------
    path : str
        On this machine.
    first, n_rows : int
    partition : dict
        Partition column to value, as a number; empty for a table without.
    """

    path: str
    first: int
    n_rows: int
    partition: Mapping[str, int] = field(default_factory=dict)


def share_slices(
    slices: Sequence[FileSlice], rows_at_most: int = TASK_ROWS, *, tasks_at_least: int = 8
) -> list[list[FileSlice]]:
    """Slices to tasks of about equal rows, in their order.

    Parameters
    ----------
    slices : sequence of FileSlice
    rows_at_most : int
        Of a task, a little more by its last slice.
    tasks_at_least : int
        Where there are rows enough for them: so many cores have something to do.
    """
    total = sum(item.n_rows for item in slices)
    limit = min(rows_at_most, max(GROUP_ROWS, -(-total // tasks_at_least)))
    tasks: list[list[FileSlice]] = []
    n_rows = limit
    for item in slices:
        if n_rows + item.n_rows > limit and n_rows:
            tasks.append([])
            n_rows = 0
        tasks[-1].append(item)
        n_rows += item.n_rows
    return tasks


def slices_to_json(slices: Sequence[FileSlice]) -> str:
    """Write the slices of a task as text."""
    return json.dumps([asdict(item) for item in slices], ensure_ascii=False)


def slices_from_json(text: str) -> list[FileSlice]:
    """Read what :func:`slices_to_json` wrote."""
    return [FileSlice(**entry) for entry in json.loads(text)]


def read_frames(
    slices: Sequence[FileSlice], table: Table, columns: Sequence[str], *, where: pl.Expr | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the rows of slices as frames of about :data:`GROUP_ROWS`, small slices put together.

    Parameters
    ----------
    slices : sequence of FileSlice
    table : Table
    columns : sequence of str
        A column that an older file lacks is null.
    where : Expr, optional
        Only these rows, by any column of the table.
    """
    waiting: list[pl.DataFrame] = []
    n_rows = 0
    for item in slices:
        frame = read_slice(item, table, columns, where=where)
        if n_rows and n_rows + len(frame) > GROUP_ROWS:
            yield pl.concat(waiting)
            waiting, n_rows = [], 0
        if len(frame):
            waiting.append(frame)
            n_rows += len(frame)
    if waiting:
        yield pl.concat(waiting)


def read_slice(item: FileSlice, table: Table, columns: Sequence[str], *, where: pl.Expr | None = None) -> pl.DataFrame:
    """The rows of a slice; its partition column is a number as in the table."""
    types = empty_frame(table, table.columns).schema
    there = pl.read_parquet_schema(item.path)
    rows = pl.scan_parquet(item.path, hive_partitioning=False, glob=False).slice(item.first, item.n_rows)
    needed = dict.fromkeys([*columns, *(where.meta.root_names() if where is not None else ())])
    # a partition's value is in no file, nor is a column that was declared after it was written
    given = {name: pl.lit(item.partition.get(name), types[name]).alias(name) for name in needed if name not in there}
    frame = rows.with_columns(*given.values()).select(*needed).collect()
    # asked of the rows that were read: inside the reader of Parquet the same took twice as long as reading
    return (frame if where is None else frame.filter(where)).select(*columns)


def empty_frame(table: Table, columns: Sequence[str]) -> pl.DataFrame:
    """No rows with some columns of a table, in their types."""
    return pl.DataFrame(pl.from_arrow(arrow_schema(table, columns).empty_table()))
