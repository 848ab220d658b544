"""All indicators of some cities from their records, in one pass, as batches that Spark takes.

Four kinds of rows come out under one schema, told apart by ``part``; what a kind has no column for is null. The records of a
city must all be in one partition, with its firms of the years that are not counted now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

from jobs.core.direct import arrow_schema
from jobs.kernels.indicators.cells import Cells, read_cells
from jobs.kernels.indicators.firms import firm_cube
from jobs.kernels.indicators.margins import margins
from jobs.kernels.indicators.variety import diversity, trade_mix
from schemas.fields import MONEY_TYPE
from schemas.indicators import (
    CITY_DIVERSITY,
    CITY_FIRM,
    CITY_MARGINS,
    TRADE_MIX,
)
from schemas.table import Table

FIRMS, MIX, MARGINS, DIVERSITY = "firms", "mix", "margins", "diversity"
ROWS_OF_A_BATCH = 10_000
_POLARS = {"string": pl.String, "int": pl.Int32, "bigint": pl.Int64, "double": pl.Float64, "boolean": pl.Boolean}


@dataclass(frozen=True, slots=True)
class IndicatorPlan:
    """What is wanted of the records.

    Attributes
    ----------
    years, known_years : tuple of int
        Years wanted; years that the lake holds.
    region_of : dict
        ISO code of an economy to its region.
    possible : dict
        ``product`` and ``destination`` to the number of those that could have trade.
    names_left_out : bool
        The lake keeps no names of firms, by its settings.
    """

    years: tuple[int, ...]
    known_years: tuple[int, ...]
    region_of: Mapping[str, str] = field(default_factory=dict, hash=False)
    possible: Mapping[str, int] = field(default_factory=dict, hash=False)
    names_left_out: bool = False


def cents_name(column: str) -> str:
    """Name of a column of dollars while it holds cents."""
    return f"{column.removesuffix('_usd')}_cents"


def _part_types() -> dict[str, str]:
    types = {"part": "string"}
    for table in (CITY_FIRM, TRADE_MIX, CITY_MARGINS, CITY_DIVERSITY):
        for column in table.fields:
            is_money = column.type == MONEY_TYPE
            types[cents_name(column.name) if is_money else column.name] = "bigint" if is_money else column.type
    return types


#: Columns of the rows that come out, with their type as in DDL.
PART_TYPES = _part_types()
PART_DDL = ", ".join(f"{name} {kind}" for name, kind in PART_TYPES.items())


def indicator_batches(batches: Iterable[pa.RecordBatch], plan: IndicatorPlan) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all parts."""
    for part, frame in indicator_parts(batches, plan).items():
        table = aligned(frame.with_columns(pl.lit(part).alias("part"))).to_arrow(compat_level=pl.CompatLevel.oldest())
        yield from table.to_batches(max_chunksize=ROWS_OF_A_BATCH)


def indicator_parts(batches: Iterable[pa.RecordBatch], plan: IndicatorPlan) -> dict[str, pl.DataFrame]:
    """The same, a frame for each part."""
    return parts_of_cells(read_cells(batches), plan)


def parts_of_cells(given: Cells, plan: IndicatorPlan) -> dict[str, pl.DataFrame]:
    """All parts of some cities from their cells."""
    firms = firm_cube(given, plan.years, known_years=plan.known_years, names_left_out=plan.names_left_out)
    asked = given.cells.filter(pl.col("year").is_in(list(plan.years)))
    return {
        FIRMS: firms,
        MIX: trade_mix(asked, firms, plan.region_of, names_left_out=plan.names_left_out),
        MARGINS: margins(given.cells, plan.years, known_years=plan.known_years),
        DIVERSITY: diversity(asked, firms, plan.possible),
    }


def table_rows(frame: pl.DataFrame, table: Table) -> pa.Table:
    """A part's rows as rows of its table: dollars from cents, and null for what the part does not have."""
    arrays = []
    for column, kind in zip(table.fields, arrow_schema(table).types, strict=True):
        name = cents_name(column.name) if column.type == MONEY_TYPE else column.name
        if name not in frame.columns:
            arrays.append(pa.nulls(len(frame), kind))
            continue
        values = frame.get_column(name).to_arrow(compat_level=pl.CompatLevel.oldest())
        arrays.append(_in_dollars(values, kind) if column.type == MONEY_TYPE else values.cast(kind))
    return pa.Table.from_arrays(arrays, names=list(table.columns))


def _in_dollars(cents: pa.Array, kind: pa.DataType) -> pa.Array:
    """Whole cents as dollars: a decimal with two places is its cents, told where the point stands."""
    whole = cents.cast(pa.int64()).cast(pa.decimal128(kind.precision, 0))
    return pa.Array.from_buffers(kind, len(whole), whole.buffers(), null_count=whole.null_count, offset=whole.offset)


def no_parts() -> pl.DataFrame:
    """No rows, with the columns and types of all parts."""
    return aligned(pl.DataFrame(schema={name: _POLARS[kind] for name, kind in PART_TYPES.items()}))


def aligned(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame with the columns and types of all parts."""
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(_POLARS[kind]).alias(name)
        for name, kind in PART_TYPES.items()
    )
