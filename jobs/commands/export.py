"""Export: hand any table of the lake out as CSV, Parquet, Excel or Stata file, at its latest or an older version."""

from __future__ import annotations

import argparse
from pathlib import Path

from jobs.commands.exported_files import Changed, write_file
from jobs.core.errors import EXIT_DONE, InputRefusedError
from jobs.core.lake import Lake
from jobs.core.reading import as_pandas, table_named
from jobs.runtime.context import look_into

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


def run_command(arguments: argparse.Namespace) -> int:
    """Hand a table out and say what the file holds differently."""
    with look_into(arguments) as context:
        rows, changed = export_table(
            context.lake, arguments.table, arguments.out, version=arguments.version, raw_text=arguments.raw_text
        )
    print(f"{rows:,} rows of {arguments.table} written to {arguments.out}")
    if changed.text():
        print(changed.text())
    return EXIT_DONE
