"""Export: hand any table of the lake out as CSV, Parquet or Excel, at its latest or an older version."""

from __future__ import annotations

import os
from pathlib import Path

from jobs.core.errors import InputRefusedError
from jobs.core.lake import Lake
from schemas.catalog import TABLES

EXCEL_MAX_ROWS = 1_048_575


def export_table(lake: Lake, name: str, out: Path, *, version: int | None = None) -> int:
    """Write a table to one file and return its rows.

    Parameters
    ----------
    name : str
        ``layer.table``.
    out : Path
        Ends in .csv, .parquet or .xlsx.

    Raises
    ------
    InputRefusedError
        For a table that is not in the lake, an ending that is not known, or too many rows for Excel.
    """
    if name not in TABLES:
        raise InputRefusedError(f"{name}: no such table. The lake has: {', '.join(sorted(TABLES))}.")
    table = TABLES[name]
    if not lake.exists(table):
        raise InputRefusedError(f"{name}: not built yet in {lake.root}. Run `customs-lake run` first.")
    if out.suffix.lower() not in (".csv", ".parquet", ".xlsx"):
        raise InputRefusedError(f"{out}: expected a file ending in .csv, .parquet or .xlsx.")
    frame = lake.read(table, version=version)
    order = [column for column in (*table.key, *table.partition_by) if column in frame.columns]
    rows = frame.orderBy(*dict.fromkeys(order)).toPandas()
    if out.suffix.lower() == ".xlsx" and len(rows) > EXCEL_MAX_ROWS:
        raise InputRefusedError(
            f"{name} has {len(rows):,} rows; an Excel sheet holds {EXCEL_MAX_ROWS:,}. Export to .parquet or .csv."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    # a reader of the target never sees half a file
    partial = out.with_name(f".{out.name}.partial{out.suffix}")
    if out.suffix.lower() == ".csv":
        rows.to_csv(partial, index=False)
    elif out.suffix.lower() == ".parquet":
        rows.to_parquet(partial, index=False)
    else:
        rows.to_excel(partial, index=False, sheet_name=table.name.replace(".", "_")[:31])
    os.replace(partial, out)
    return len(rows)
