"""Query: SQL over the lake's tables by their names, in DuckDB: ``SELECT year, sum(value_usd) FROM gold.city_exports ...``.

Every table that is there is a view; rows are read when a query asks for them, only the columns and years it names. The
lake itself cannot be written through it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.commands.exported_files import write_file
from jobs.core.errors import EXIT_DONE, InputRefusedError
from jobs.core.reading import LakeReader, as_pandas
from schemas.catalog import TABLES

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

LIMIT_ROWS = 40
PROMPT = "lake> "


def connect(lake: LakeReader) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory whose views are the lake's tables, at the versions of this moment.

    Raises
    ------
    InputRefusedError
        If DuckDB is not installed.
    """
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise InputRefusedError("query: DuckDB is not installed; pip install 'customs-lake[spark]' adds it.") from error
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for layer in sorted({name.partition(".")[0] for name in TABLES}):
        connection.execute(f"CREATE SCHEMA {layer}")
    for name in lake:
        source = f"_{name.replace('.', '_')}"
        connection.register(source, lake.delta_table(TABLES[name]).to_pyarrow_dataset())
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {source}")
    # nothing from here on touches files: a query can neither read others nor write some
    connection.execute("SET enable_external_access = false")
    return connection


def ask(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """Rows of one query.

    Raises
    ------
    InputRefusedError
        With DuckDB's sentence when it cannot be answered.
    """
    import duckdb

    try:
        found = connection.sql(sql)
    except duckdb.Error as error:
        raise InputRefusedError(f"query: {error}") from error
    if found is None:
        raise InputRefusedError("query: expected a query that returns rows; the lake is not changed through it.")
    return found.to_arrow_table()


def write(rows: pa.Table, out: Path) -> None:
    """Write the rows of a query to a .csv, .parquet or .xlsx file, whole or not at all."""
    if out.suffix.lower() not in (".csv", ".parquet", ".xlsx"):
        raise InputRefusedError(f"{out}: expected a file ending in .csv, .parquet or .xlsx.")
    write_file(as_pandas(rows), out, title="query", raw_text=False)


def render(rows: pa.Table) -> str:
    """The first rows as text."""
    shown = rows.slice(0, LIMIT_ROWS).to_pandas().to_string(index=False) if len(rows) else f"({', '.join(rows.column_names)})"
    more = f"\n... {len(rows) - LIMIT_ROWS:,} more rows; --out FILE writes all" if len(rows) > LIMIT_ROWS else ""
    return f"{shown}{more}"


def run_command(arguments: argparse.Namespace) -> int:
    """Answer one SQL query over the lake's tables."""
    rows = ask(connect(LakeReader.look(arguments.lake)), arguments.sql)
    if arguments.out is not None:
        write(rows, arguments.out)
        print(f"{len(rows):,} rows written to {arguments.out}")
    elif arguments.json:
        for row in rows.to_pylist(maps_as_pydicts="strict"):
            print(json.dumps(row, ensure_ascii=False, default=str))
    else:
        print(render(rows))
    return EXIT_DONE


def shell(lake: LakeReader) -> None:
    """Answer queries line by line until the input ends; ``tables`` lists what there is."""
    connection = connect(lake)
    print(f"{lake.root}: {', '.join(lake)}\nSQL ending in ; is run, 'tables' lists, 'quit' or Ctrl-D ends.")
    pending = ""
    while (line := _read_line("   -> " if pending else PROMPT)) is not None:
        if not pending and line.strip().rstrip(";").lower() in ("quit", "exit"):
            return
        if not pending and line.strip().rstrip(";").lower() == "tables":
            print("\n".join(lake))
            continue
        pending = f"{pending}\n{line}".strip()
        if not pending.endswith(";"):
            continue
        try:
            print(render(ask(connection, pending)))
        except InputRefusedError as error:
            print(error, file=sys.stderr)
        pending = ""


def _read_line(prompt: str) -> str | None:
    try:
        return input(prompt if sys.stdin.isatty() else "")
    except EOFError:
        return None
