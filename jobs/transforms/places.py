"""Places for Spark: batches of records handed to the rules of :mod:`jobs.kernels.placing`.

Nothing is decided here. A record's place follows from few columns, so ``jobs/cleaning/sites.py`` resolves distinct
combinations of them and not records; either way the rules run over Arrow batches, some 100,000 rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DoubleType, IntegerType, StringType, StructField, StructType

from jobs.kernels.placing import DEFAULT_POLICY, PLACE_COLUMNS, PLACE_INPUTS, PlacePolicy, PlaceTables, place_records

PLACE_TYPES = {
    "place_digits": IntegerType(), "place_sources": IntegerType(), "place_confidence": DoubleType(),
    "is_place_ambiguous": BooleanType(),
}
ROWS_AT_ONCE = 100_000
"""Rows the rules are given at a time: each call prepares the look-ups anew, a tenth of a second."""


def resolve_places(
    frame: DataFrame, tables: PlaceTables, policy: PlacePolicy = DEFAULT_POLICY, *, firm_postcodes: DataFrame | None = None
) -> DataFrame:
    """Add the place of every record and why a record is outside the study.

    Parameters
    ----------
    frame : DataFrame
        ``year`` (int), ``postcode`` (six digits or null), ``production_place`` (no whitespace, or null); used if there:
        ``month``, ``district_code``, ``firm_id``, ``firm_address``, ``has_postcode_column``.
    tables : PlaceTables
        Look-ups of the years.
    policy : PlacePolicy, optional
        What is decided by configuration.
    firm_postcodes : DataFrame, optional
        ``firm_id, history_postcode``, one row per firm, from :func:`firm_postcode_history`; without it ``firm_history``
        finds nothing.

    Returns
    -------
    DataFrame
        The frame and :data:`jobs.kernels.placing.PLACE_COLUMNS`.
    """
    kept = frame.columns
    if firm_postcodes is not None and "firm_history" in policy.fallbacks:
        needed = F.when(~F.col("has_postcode_column"), F.col("firm_id")) if "has_postcode_column" in kept else F.lit(None)
        history = firm_postcodes.select(F.col("firm_id").alias("_history_firm"), "history_postcode")
        frame = frame.join(history, on=needed == F.col("_history_firm"), how="left").drop("_history_firm")
    schema = StructType([frame.schema[name] for name in kept] + [
        StructField(name, PLACE_TYPES.get(name, StringType())) for name in PLACE_COLUMNS
    ])

    def place(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in _tables_of(batches):
            inputs = pl.from_arrow(table.select([name for name in PLACE_INPUTS if name in table.column_names]))
            placed = place_records(inputs, tables, policy).to_arrow(compat_level=pl.CompatLevel.oldest())
            for name in PLACE_COLUMNS:
                table = table.append_column(name, placed[name])
            yield from table.select([*kept, *PLACE_COLUMNS]).to_batches()

    return frame.mapInArrow(place, schema)


def _tables_of(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches put together to tables of about :data:`ROWS_AT_ONCE`."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= ROWS_AT_ONCE:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def firm_postcode_history(records: DataFrame) -> DataFrame:
    """Each firm's most frequent postcode, the latest on a tie: ``firm_id, history_postcode``, one row per firm.

    Parameters
    ----------
    records : DataFrame
        ``year, firm_id, postcode, n_records`` (how many records a row stands for) of all years that carry postcodes.
    """
    known = records.where(F.col("firm_id").isNotNull() & F.col("postcode").isNotNull())
    counted = known.groupBy("firm_id", "postcode").agg(F.sum("n_records").alias("n"), F.max("year").alias("last_year"))
    best = F.max(F.struct("n", "last_year", "postcode"))["postcode"]
    return counted.groupBy("firm_id").agg(best.alias("history_postcode"))
