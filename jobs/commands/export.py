"""Export: hand any table of the lake out as CSV, Parquet, Excel or Stata file, at its latest or an older version."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.commands.exported_files import Changed, write_file
from jobs.commands.query import in_memory
from jobs.core.errors import EXIT_DONE, InputRefusedError
from jobs.core.lake import Lake
from jobs.core.reading import as_pandas, table_named
from jobs.runtime.context import look_into
from jobs.study.small_cells import LOOKED_UP, OF_ONE_FIRM, RULES, lookups_of, suppressed_sql
from schemas.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

EXCEL_MAX_ROWS = 1_048_575


def export_table(
    lake: Lake, name: str, out: Path, *, version: int | None = None, raw_text: bool = False, smallest: int = 0
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
    smallest : int
        Cells of fewer firms are left empty.

    Raises
    ------
    InputRefusedError
        For a table that is not in the lake, an ending that is not known, too many rows for Excel, or a table whose every
        row is one firm's while small cells are to be left empty.
    """
    table = table_named(name)
    if not lake.exists(table):
        raise InputRefusedError(f"{name}: not built yet in {lake.root}. Run `customs-lake run` first.")
    if out.suffix.lower() not in (".csv", ".parquet", ".xlsx", ".dta"):
        raise InputRefusedError(f"{out}: expected a file ending in .csv, .parquet, .xlsx or .dta.")
    if smallest > 1 and table in OF_ONE_FIRM:
        raise InputRefusedError(
            f"{name}: every row is one firm's, and cells of fewer than {smallest} firms do not leave the lake. Hand it out"
            " with --set privacy.fewest_firms=0 if whoever gets it may see single firms."
        )
    content = lake.arrow(table, version=version)
    n_small = 0
    if smallest > 1 and name in RULES:
        content, n_small = without_small_cells(lake, table, content, smallest)
    order = dict.fromkeys(column for column in (*table.key, *table.partition_by) if column in content.column_names)
    rows = as_pandas(content.sort_by([(column, "ascending") for column in order]) if order else content)
    if out.suffix.lower() == ".xlsx" and len(rows) > EXCEL_MAX_ROWS:
        raise InputRefusedError(
            f"{name} has {len(rows):,} rows; an Excel sheet holds {EXCEL_MAX_ROWS:,}. Export to .parquet or .csv."
        )
    labels = {field.name: f"{field.meaning} ({field.unit})" if field.unit else field.meaning for field in table.fields}
    changed = write_file(rows, out, title=table.name.replace(".", "_"), raw_text=raw_text, labels=labels)
    changed.emptied, changed.smallest = n_small, smallest
    return len(rows), changed


def run_command(arguments: argparse.Namespace) -> int:
    """Hand a table out and say what the file holds differently."""
    with look_into(arguments) as context:
        rows, changed = export_table(
            context.lake, arguments.table, arguments.out, version=arguments.version, raw_text=arguments.raw_text,
            smallest=context.settings.privacy.fewest_firms,
        )
    print(f"{rows:,} rows of {arguments.table} written to {arguments.out}")
    if changed.text():
        print(changed.text())
    return EXIT_DONE


def without_small_cells(lake: Lake, table: Table, content: pa.Table, smallest: int) -> tuple[pa.Table, int]:
    """Rows of a table with the cells of few firms left empty, and the number of rows that lost something.

    Raises
    ------
    InputRefusedError
        If DuckDB is not installed.
    """
    import pyarrow as pa

    connection = in_memory("export", ", --set privacy.fewest_firms=0 shows the cells of few firms and goes without")
    connection.register("_cells", content)
    lookups = {}
    for place in (place for place in lookups_of(table.name) if lake.exists(LOOKED_UP[place])):
        columns = ("year", "city_id", "n_firms") if place == "exports" else (*table.key, "firm_id")
        connection.register(f"_{place}", lake.arrow(LOOKED_UP[place], columns=columns))
        lookups[place] = f"_{place}"
    found = connection.sql(suppressed_sql(table, "_cells", smallest, lookups)).to_arrow_table()
    n_small = int(connection.sql("SELECT count(*) FROM found WHERE _small_cell").fetchall()[0][0])
    # what the lake never leaves empty may be empty in what leaves it
    schema = pa.schema([field.with_nullable(True) for field in content.schema], content.schema.metadata)
    return found.drop_columns(["_small_cell"]).cast(schema), n_small
