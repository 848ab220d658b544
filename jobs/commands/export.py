"""Export: hand any table of the lake out as CSV, Parquet, Excel or Stata file, at its latest or an older version."""

from __future__ import annotations

from pathlib import Path

from jobs.commands.exported_files import Changed, write_file
from jobs.core.errors import InputRefusedError
from jobs.core.lake import Lake
from jobs.core.reading import as_pandas, table_named

EXCEL_MAX_ROWS = 1_048_575


def export_table(
    lake: Lake, name: str, out: Path, *, version: int | None = None, raw_text: bool = False
) -> tuple[int, Changed]:
    """Write a table to one file; return its rows, and what the file holds differently.

    Parameters
    ----------
    name : str
        ``layer.table``.
    out : Path
        Ends in .csv, .parquet, .xlsx or .dta.
    version : int, optional
        Of the table; the latest when not given.
    raw_text : bool
        Leave texts of a CSV file as they are, also those a spreadsheet would take for formulas.

    Raises
    ------
    InputRefusedError
        For a table that is not in the lake, an ending that is not known, or too many rows for Excel.
    """
    table = table_named(name)
    if not lake.exists(table):
        raise InputRefusedError(f"{name}: not built yet in {lake.root}. Run `customs-lake run` first.")
    if out.suffix.lower() not in (".csv", ".parquet", ".xlsx", ".dta"):
        raise InputRefusedError(f"{out}: expected a file ending in .csv, .parquet, .xlsx or .dta.")
    content = lake.arrow(table, version=version)
    order = dict.fromkeys(column for column in (*table.key, *table.partition_by) if column in content.column_names)
    rows = as_pandas(content.sort_by([(column, "ascending") for column in order]) if order else content)
    if out.suffix.lower() == ".xlsx" and len(rows) > EXCEL_MAX_ROWS:
        raise InputRefusedError(
            f"{name} has {len(rows):,} rows; an Excel sheet holds {EXCEL_MAX_ROWS:,}. Export to .parquet or .csv."
        )
    labels = {field.name: f"{field.meaning} ({field.unit})" if field.unit else field.meaning for field in table.fields}
    changed = write_file(rows, out, title=table.name.replace(".", "_"), raw_text=raw_text, labels=labels)
    return len(rows), changed
