"""Indicators where executors reach the lake's files: from records to all parts of some cities.

What is computed of a city needs all of its records, and these lie in many files. Some millions of records are shared out by
cities: a task reads everything and keeps its own (:func:`indicators_of_share`). Of more records that would be read too often:
a first step sums what it reads to cells, by group of cities, a second takes the cells of some groups, and only cells pass
through Spark between the two, as bytes (:func:`grouped_cells`, :func:`indicators_of_groups`). Elsewhere jobs read the same
inputs through Spark (jobs/transforms/indicators.py).
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

import polars as pl
import pyarrow as pa

from jobs.core.data_files import FileTarget, FileWriter
from jobs.core.file_slices import FileSlice, read_frames, share_slices
from jobs.kernels.counting import share_of_city
from jobs.kernels.indicators.batches import FIRMS, IndicatorPlan, cents_name, parts_of_cells, table_rows
from jobs.kernels.indicators.cells import FIRM, RECORD_INPUTS, Cells, cells_of, presence_of, put_together
from schemas import silver
from schemas.fields import MONEY_TYPE
from schemas.indicators import CITY_FIRM
from schemas.table import Table

GROUPED_DDL, PARTS_DDL = "city_group int, cells binary, presence binary", "files string, parts binary"
#: Shares of cities at most, each of which reads all records.
MOST_SHARES = 8
#: Groups of cities for each partition that takes them: enough that partitions hold about equally many.
GROUPS_OF_A_PARTITION = 16
#: Reasons of the quarantine that say nothing but that a sound export was made outside the municipal districts.
OUTSIDE = ("county", "county_city", "outside_cities")
_TABLES = {table.name: table for table in (silver.DECLARATION, CITY_FIRM)}


def share_tasks(records: Sequence[FileSlice], elsewhen: Sequence[FileSlice], shares: int) -> list[str]:
    """Share work out by cities; what :func:`indicators_of_share` is given.

    Parameters
    ----------
    records : sequence of FileSlice
        Rows of ``silver.declaration`` of the years wanted and those beside them.
    elsewhen : sequence of FileSlice
        Rows of ``gold.city_firm`` of all other years.
    shares : int
    """
    slices = {table.name: [asdict(item) for item in given] for table, given in _given(records, elsewhen)}
    return [json.dumps({"slices": slices, "share": share, "shares": shares}) for share in range(shares)] if records else []


def indicators_of_share(task: str, plan: IndicatorPlan, target: FileTarget) -> Iterator[pa.RecordBatch]:
    """Compute all parts of one share of the cities; yields as :func:`indicators_of_groups`."""
    given = json.loads(task)
    is_ours = share_of_city(given["shares"]) == given["share"]
    parts = [
        _read([FileSlice(**item) for item in slices], _TABLES[name], where=is_ours) for name, slices in given["slices"].items()
    ]
    yield from _results(put_together(parts), plan, target)


def cell_tasks(records: Sequence[FileSlice], elsewhen: Sequence[FileSlice]) -> list[str]:
    """Share out what is read; what :func:`grouped_cells` is given. Parameters as of :func:`share_tasks`."""
    return [
        json.dumps({"table": table.name, "slices": [asdict(item) for item in task]})
        for table, slices in _given(records, elsewhen)
        for task in share_slices(slices)
    ]


def grouped_cells(task: str, groups: int) -> Iterator[pa.RecordBatch]:
    """Yield one task's cells, or firms of other years, by group of cities (:data:`GROUPED_DDL`).

    Parameters
    ----------
    task : str
        As :func:`cell_tasks` makes them.
    groups : int
        Number of groups.
    """
    given = json.loads(task)
    found = _read([FileSlice(**item) for item in given["slices"]], _TABLES[given["table"]])
    group = share_of_city(groups).alias("_group")
    shares = [
        frame.with_columns(group).partition_by("_group", as_dict=True, include_key=False)
        for frame in (found.cells, found.presence)
    ]
    for (group_,) in sorted({*shares[0], *shares[1]}):
        content = [pa.array([_packed(share.get((group_,)))], pa.binary()) for share in shares]
        yield pa.RecordBatch.from_arrays([pa.array([group_], pa.int32()), *content], names=["city_group", "cells", "presence"])


def indicators_of_groups(
    batches: Iterable[pa.RecordBatch], plan: IndicatorPlan, target: FileTarget
) -> Iterator[pa.RecordBatch]:
    """Compute all parts of the cities whose cells are in the batches; rows of the firm cube go into data files.

    Yields
    ------
    RecordBatch
        :data:`PARTS_DDL`, a row for each part: descriptions of the firm cube's files as JSON, the part's rows as bytes.
    """
    given = [
        Cells(_unpacked(row["cells"]), _unpacked(row["presence"])) for batch in batches for row in batch.to_pylist()
    ]
    yield from _results(put_together(given), plan, target)


def _results(given: Cells, plan: IndicatorPlan, target: FileTarget) -> Iterator[pa.RecordBatch]:
    if given.cells.is_empty():
        return
    parts = parts_of_cells(given, plan)
    with FileWriter(target) as writer:
        writer.write(table_rows(parts.pop(FIRMS).sort(CITY_FIRM.key), CITY_FIRM))
    files = json.dumps([file.to_dict() for file in writer.files])
    for name, frame in parts.items():
        content = _packed(frame.with_columns(pl.lit(name).alias("part")))
        yield pa.RecordBatch.from_arrays([pa.array([files]), pa.array([content], pa.binary())], names=["files", "parts"])
        files = "[]"


def _given(
    records: Sequence[FileSlice], elsewhen: Sequence[FileSlice]
) -> tuple[tuple[Table, Sequence[FileSlice]], ...]:
    return (silver.DECLARATION, records), (CITY_FIRM, elsewhen)


def _read(slices: Sequence[FileSlice], table: Table, *, where: pl.Expr | None = None) -> Cells:
    """Cells of declarations; of the firm cube which firms there are."""
    if table is CITY_FIRM:
        return put_together([presence_of(rows) for rows in read_frames(slices, table, FIRM, where=where)])
    columns = [name for name in RECORD_INPUTS if name not in ("partner", "cents")]
    columns += ["country_iso3", "is_destination", "value_usd"]
    return put_together([cells_of(_records(rows)) for rows in read_frames(slices, table, columns, where=where)])


def _records(declarations: pl.DataFrame) -> pl.DataFrame:
    """What of each declaration cells are made from."""
    values = {"partner": pl.when("is_destination").then("country_iso3"), "cents": in_cents("value_usd")}
    return declarations.select(values.get(name, pl.col(name)).alias(name) for name in RECORD_INPUTS)


def outside_exports(quarantine: pl.LazyFrame) -> pl.LazyFrame:
    """Sound exports from outside the municipal districts, as :func:`jobs.transforms.indicators.outside_exports`."""
    is_outside = pl.col("primary_reason").is_in(OUTSIDE) & (pl.col("reasons").list.len() == 1) & (pl.col("value_usd") > 0)
    return quarantine.filter(is_outside & pl.col("firm_id").is_not_null()).group_by(
        "year", "city_id", "firm_id", "unit_code"
    ).agg(pl.col("firm_name").max(), in_cents("value_usd").sum().alias("value_cents"))


def city_products(cube: pl.LazyFrame) -> pl.LazyFrame:
    """``city_id, year, hs6_code, partner, cents`` of destination economies, from the city x product x destination cube."""
    known = cube.filter(pl.col("is_destination") & pl.col("country_iso3").is_not_null())
    return known.group_by("city_id", "year", "hs6_code", pl.col("country_iso3").alias("partner")).agg(
        in_cents("value_usd").sum().alias("cents")
    )


def in_cents_of(table: Table, names: Sequence[str]) -> list[pl.Expr]:
    """Columns of a table by the names they have in kernels: dollars in cents."""
    in_dollars = {cents_name(column.name): column.name for column in table.fields if column.type == MONEY_TYPE}
    return [in_cents(in_dollars[name]).alias(name) if name in in_dollars else pl.col(name) for name in names]


def in_cents(column: str) -> pl.Expr:
    """Dollars with two decimals as a whole number of cents, exactly; an error where that has more than 64 bits."""
    return (pl.col(column) * 100).cast(pl.Int64)


def unpacked_parts(rows: Iterable[bytes]) -> list[pl.DataFrame]:
    """Frames of parts, from the bytes of :data:`PARTS_DDL`."""
    return [pl.read_ipc_stream(content) for content in rows]


def _packed(frame: pl.DataFrame | None) -> bytes | None:
    if frame is None:
        return None
    content = io.BytesIO()
    frame.write_ipc_stream(content)
    return content.getvalue()


def _unpacked(content: bytes | None) -> pl.DataFrame:
    return pl.read_ipc_stream(content) if content else pl.DataFrame()
