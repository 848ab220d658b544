"""Rows of a lake made anew under a protection: persons left out, pseudonyms, erased firms gone; older versions removed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.core import upkeep
from jobs.core.lake import Lake
from jobs.core.protection import Protection
from jobs.kernels.protection import rows_of_firms
from jobs.runtime.executors import map_batches
from schemas import bronze
from schemas.table import Table

_KERNELS = "jobs.kernels.protection"
#: Columns that hold a firm's code.
FIRM_CODES = ("firm_id", "legal_person_code")


def firm_tables(lake: Lake) -> list[Table]:
    """Tables beside bronze that exist and have a row for each firm or a column of its code."""
    return [
        table for table in upkeep.existing_tables(lake) if table is not bronze.DECLARATION and code_column(table) is not None
    ]


def code_column(table: Table) -> str | None:
    """The column of a table that holds a firm's code."""
    return next((name for name in FIRM_CODES if name in table.columns), None)


def rewrite_bronze(
    lake: Lake, protection: Protection, years: Sequence[int], *, without_files: Sequence[str] = (), metadata: dict[str, Any]
) -> None:
    """Make the rows of some years of bronze anew, without files (SHA-256), and remove every older version.

    The lock of the table is the caller's.
    """
    table = bronze.DECLARATION
    if years:
        rows = lake.read(table).where(F.col("source_year").isin(list(years)))
        kept = rows.where(~F.col("file_sha256").isin(list(without_files))) if without_files else rows
        upkeep.rewrite_years(lake, table, _mapped(kept, "protect_bronze", (protection,)), years, metadata=metadata)
    upkeep.purge_history(lake, table, metadata=metadata)


def rewrite_firms(lake: Lake, table: Table, protection: Protection, *, metadata: dict[str, Any]) -> None:
    """Make the rows of a table of firms anew and remove every older version; the lock is the caller's."""
    rows = lake.read(table)
    mapped = _mapped(rows, "protect_firms", (protection, code_column(table)))
    years = years_of(lake, table) if table.partition_by else []
    if years or not table.partition_by:
        upkeep.rewrite_years(lake, table, mapped, years, metadata=metadata)
    upkeep.purge_history(lake, table, metadata=metadata)


def count_rows_of_firms(lake: Lake, table: Table, protection: Protection) -> dict[int, int]:
    """Year to the rows of erased firms, or that name their codes in any text; year 0 for a table without years."""
    year = table.partition_by[0] if table.partition_by else ""
    counted = map_batches(
        lake.read(table), f"{_KERNELS}.count_firms", (protection, year), "year bigint, n_rows bigint"
    )
    return {row["year"]: row["n"] for row in counted.groupBy("year").agg(F.sum("n_rows").alias("n")).collect()}


def years_of(lake: Lake, table: Table) -> list[int]:
    """Years that a table has rows of."""
    name = table.partition_by[0]
    return sorted(row[name] for row in lake.read(table).select(name).distinct().collect())


def _mapped(rows: DataFrame, kernel: str, arguments: tuple) -> DataFrame:
    schema = ", ".join(f"`{name}` {kind}" for name, kind in rows.dtypes)
    return map_batches(rows, f"{_KERNELS}.{kernel}", arguments, schema)


def files_that_name(lake: Lake, protection: Protection, codes: Sequence[str]) -> list[str]:
    """Files below a local lake's root that name a code, in their bytes or in the rows of a Parquet file, live or not."""
    if not lake.store.is_local or not codes:
        return []
    root = Path("/" + lake.root.removeprefix("file:").lstrip("/"))
    words = [code.encode() for code in codes]
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if any(word in content for word in words) or (path.suffix == ".parquet" and _parquet_names(path, protection)):
            found.append(path.relative_to(root).as_posix())
    return found


def _parquet_names(path: Path, protection: Protection) -> bool:
    with pq.ParquetFile(path) as file:
        return any(rows_of_firms(batch, protection).any() for batch in file.iter_batches())
