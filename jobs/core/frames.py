"""Small frames made on the driver, handed to Spark or written as a table under its schema.

Through Arrow and by column name: a nullable integer, a missing text and an all-empty column keep their type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import pandas as pd
import pyarrow as pa

from jobs.core.direct import arrow_schema
from schemas.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


LOCAL_RELATION_THRESHOLD = "spark.sql.execution.arrow.localRelationThreshold"


def to_rows(frame: pd.DataFrame, table: Table) -> pa.Table:
    """Return a pandas frame as rows with the table's columns and types, to be written.

    Parameters
    ----------
    frame : DataFrame
        Must have every column of the table; others are left behind.

    Raises
    ------
    DuplicateKeyError
        If the frame repeats a key of the table.
    """
    table.assert_unique(frame[list(table.key)].itertuples(index=False, name=None))
    # NOT NULL is enforced by the Delta table itself on write
    schema = arrow_schema(table)
    columns = [
        pa.array(frame[name].astype(object).where(frame[name].notna(), None), type=schema.field(name).type)
        for name in table.columns
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def rows_to_spark(spark: SparkSession, rows: Sequence[tuple], ddl: str) -> DataFrame:
    """Return rows of plain values as a Spark frame; Arrow again, so that no Python worker is started to read them.

    Parameters
    ----------
    rows : sequence of tuple
        Values in the order of the columns.
    ddl : str
        Columns as Spark DDL.
    """
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import StructType

    schema = StructType.fromDDL(ddl)
    assert isinstance(schema, StructType)  # columns, so never a single type
    arrow_schema = to_arrow_schema(schema)
    columns = [
        pa.array([row[position] for row in rows], type=arrow_schema.field(position).type)
        for position in range(len(schema))
    ]
    return spark.createDataFrame(pa.Table.from_arrays(columns, schema=arrow_schema), schema=schema)


def lookup_frame(spark: SparkSession, rows: list[dict], ddl: str) -> DataFrame:
    """A small look-up as a frame whose rows stand outside the query plan."""
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import StructType

    schema = to_arrow_schema(cast(StructType, StructType.fromDDL(ddl)))
    return arrow_to_frame(spark, pa.Table.from_pylist(rows, schema=schema), ddl)


def arrow_to_frame(spark: SparkSession, table: pa.Table, ddl: str | None = None) -> DataFrame:
    """An Arrow table as a frame whose rows stand outside the query plan."""
    before = cast(str, spark.conf.get(LOCAL_RELATION_THRESHOLD))
    # rows inside the plan are copied by every later step: a run over one record took 9 s, without them 1.3 s
    spark.conf.set(LOCAL_RELATION_THRESHOLD, "0")
    try:
        return spark.createDataFrame(table, schema=cast(str, ddl))
    finally:
        spark.conf.set(LOCAL_RELATION_THRESHOLD, before)
