"""Names for a lake's tables in a catalog: a Hive metastore, Unity Catalog, or whatever ``spark.sql.catalog.NAME`` speaks to.

An entry is a pointer: name, place, columns and comments with the key. The lake itself is neither written nor needs it; access
by path stays the default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from jobs.core.errors import InputRefusedError, LakeError
from jobs.core.lake import Lake
from jobs.core.upkeep import existing_tables
from schemas.table import Table

SESSION_CATALOG = "spark_catalog"
#: Delta writes columns and properties into the catalog too, for those who read it without Delta.
UPDATE = "spark.databricks.delta.catalog.update.enabled"


@dataclass(frozen=True, slots=True)
class Registered:
    """What was done with one table.

    Attributes
    ----------
    name : str
        In the catalog.
    what : str
        ``new``, ``moved`` or ``as it was``.
    """

    name: str
    what: str


def register_tables(lake: Lake, catalog: str, schema: str, *, replace: bool = False) -> list[Registered]:
    """Enter every table that the lake has; safe to repeat.

    Parameters
    ----------
    lake : Lake
    catalog : str
        ``spark_catalog`` for the session's own (a Hive metastore), else the NAME of a ``spark.sql.catalog.NAME``.
    schema : str
        Made when it is not there.
    replace : bool
        Point entries of another lake to this one.

    Raises
    ------
    InputRefusedError
        If the catalog is not configured, or would be gone with the session.
    LakeError
        If a name stands for another place.
    """
    spark = lake.spark
    _require_lasting(spark, catalog)
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS {quoted(catalog, schema)}")
    before = spark.conf.get(UPDATE, None)
    spark.conf.set(UPDATE, "true")
    try:
        return [_register(lake, table, (catalog, schema), replace=replace) for table in existing_tables(lake)]
    finally:
        if before is None:
            spark.conf.unset(UPDATE)
        else:
            spark.conf.set(UPDATE, before)


def entry_name(table: Table) -> str:
    """Name of a table inside the schema: ``gold__city_exports``."""
    return table.name.replace(".", "__")


def entry_comment(table: Table) -> str:
    """What the catalog says of a table: its description and its key."""
    return f"{table.description} Key: {', '.join(table.key)}."


def create_statement(table: Table, name: Sequence[str], path: str) -> str:
    """The SQL statement that enters a table; columns and their comments are the stored table's own."""
    return f"CREATE TABLE {quoted(*name)} USING DELTA COMMENT {literal(entry_comment(table))} LOCATION {literal(path)}"


def quoted(*names: str) -> str:
    """Names as SQL identifiers."""
    return ".".join(f"`{name.replace('`', '``')}`" for name in names)


def literal(text: str) -> str:
    """A text as SQL string."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _require_lasting(spark: SparkSession, catalog: str) -> None:
    if catalog == SESSION_CATALOG:
        is_unity = "unity" in (spark.conf.get(f"spark.sql.catalog.{SESSION_CATALOG}", "") or "").lower()
        if not is_unity and spark.conf.get("spark.sql.catalogImplementation", "in-memory") != "hive":
            raise InputRefusedError(
                "this session's catalog is gone when it ends. Give it a Hive metastore: --conf"
                " spark.sql.catalogImplementation=hive --conf spark.hadoop.hive.metastore.uris=thrift://HOST:9083; or name"
                " another catalog with --catalog and --conf spark.sql.catalog.NAME=..."
            )
    elif spark.conf.get(f"spark.sql.catalog.{catalog}", None) is None:
        raise InputRefusedError(
            f"--catalog {catalog}: this session has no such catalog. Set spark.sql.catalog.{catalog} to its class (Unity"
            " Catalog: io.unitycatalog.spark.UCSingleCatalog) and what it needs; docs/operations/running.md has the line."
        )


def _register(lake: Lake, table: Table, place: tuple[str, str], *, replace: bool) -> Registered:
    name = (*place, entry_name(table))
    shown, path, spark = ".".join(name), lake.path(table), lake.spark
    there = _location(spark, name)
    if there is not None and _same_place(there, path):
        return Registered(shown, "as it was")
    if there is not None and not replace:
        raise LakeError(
            f"{shown} stands for {there}, not for {path}. Choose another --schema for this lake, or point the names here with"
            " --replace: the other lake's files stay."
        )
    if there is not None:
        _require_external(spark, name)
        spark.sql(f"DROP TABLE {quoted(*name)}")
    spark.sql(create_statement(table, name, path))
    return Registered(shown, "new" if there is None else "moved")


def _location(spark: SparkSession, name: Sequence[str]) -> str | None:
    return _described(spark, name).get("Location")


def _described(spark: SparkSession, name: Sequence[str]) -> dict[str, str]:
    try:
        rows = spark.sql(f"DESCRIBE TABLE EXTENDED {quoted(*name)}").collect()
    except AnalysisException as error:
        if "NOT_FOUND" in str(error):
            return {}
        raise
    return {row["col_name"]: row["data_type"] for row in rows}


def _require_external(spark: SparkSession, name: Sequence[str]) -> None:
    if _described(spark, name).get("Type") != "EXTERNAL":
        raise LakeError(
            f"{'.'.join(name)} is a table of its own, whose files would be lost with its name: it is not replaced. Choose"
            " another --schema."
        )


def _same_place(one: str, other: str) -> bool:
    return _plain(one) == _plain(other)


def _plain(place: str) -> str:
    """A place as text: ``file:`` addresses are paths."""
    return "/" + place.removeprefix("file:").strip("/") if place.startswith(("file:", "/")) else place.rstrip("/")
