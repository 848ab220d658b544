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

from conf.settings import load_settings
from jobs.commands.exported_files import write_file
from jobs.core.errors import EXIT_DONE, InputRefusedError
from jobs.core.reading import LakeReader, as_pandas
from jobs.study.small_cells import LOOKED_UP, RULES, lookups_of, suppressed_sql
from schemas.catalog import TABLES
from schemas.table import Table

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

LIMIT_ROWS = 40
PROMPT = "lake> "


def in_memory(command: str, instead: str = "") -> duckdb.DuckDBPyConnection:
    """An empty DuckDB in memory, whose times are UTC.

    Raises
    ------
    InputRefusedError
        If DuckDB is not installed; ``instead`` says how the command goes without.
    """
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise InputRefusedError(
            f"{command}: DuckDB is not installed; pip install 'customs-lake[spark]' adds it{instead}."
        ) from error
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def connect(lake: LakeReader, *, smallest: int = 0) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory whose views are the lake's tables, at the versions of this moment.

    Parameters
    ----------
    lake : LakeReader
    smallest : int
        Cells of fewer firms are empty.

    Raises
    ------
    InputRefusedError
        If DuckDB is not installed.
    """
    connection = in_memory("query")
    for layer in sorted({name.partition(".")[0] for name in TABLES}):
        connection.execute(f"CREATE SCHEMA {layer}")
    for name in lake:
        connection.register(_source(name), lake.delta_table(TABLES[name]).to_pyarrow_dataset())
    for name in lake:
        connection.execute(f"CREATE VIEW {name} AS {_rows_of(lake, name, smallest)}")
    # nothing from here on touches files: a query can neither read others nor write some
    connection.execute("SET enable_external_access = false")
    return connection


def small_cells_note(sql: str, smallest: int) -> str:
    """A sentence for queries of tables whose small cells are empty; empty for others."""
    named = sorted(name for name in RULES if name in sql.lower()) if smallest > 1 else []
    if not named:
        return ""
    empty = f"Cells of fewer than {smallest} firms, or of an unknown number, are empty"
    return f"{empty} in {', '.join(named)} (setting privacy.fewest_firms)."


def _rows_of(lake: LakeReader, name: str, smallest: int) -> str:
    if smallest < 2 or name not in RULES:
        return f"SELECT * FROM {_source(name)}"
    needed = {place: _whole(lake, LOOKED_UP[place]) for place in lookups_of(name) if lake.exists(LOOKED_UP[place])}
    columns = [column for column in TABLES[name].columns if column in _columns_of(lake, TABLES[name])]
    rows = suppressed_sql(TABLES[name], _whole(lake, TABLES[name]), smallest, needed, columns=columns)
    return f"SELECT * EXCLUDE (_small_cell) FROM ({rows})"


def _whole(lake: LakeReader, table: Table) -> str:
    """A relation with all columns that a cell may be judged by: those that an older lake lacks are null."""
    lacking = [f"NULL AS {column}" for column in table.columns if column not in _columns_of(lake, table)]
    return f"(SELECT {', '.join(['*', *lacking])} FROM {_source(table.name)})"


def _columns_of(lake: LakeReader, table: Table) -> set[str]:
    return {column.name for column in lake.delta_table(table).schema().fields}


def _source(name: str) -> str:
    return f"_{name.replace('.', '_')}"


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
        if found is None:
            raise InputRefusedError("query: expected a query that returns rows; the lake is not changed through it.")
        # rows are made here: a text that is no number is found now
        return found.to_arrow_table()
    except duckdb.Error as error:
        raise InputRefusedError(f"query: {error}") from error


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
    smallest = smallest_cell(arguments)
    rows = ask(connect(LakeReader.look(arguments.lake), smallest=smallest), arguments.sql)
    if note := small_cells_note(arguments.sql, smallest):
        print(note, file=sys.stderr)
    if arguments.out is not None:
        write(rows, arguments.out)
        print(f"{len(rows):,} rows written to {arguments.out}")
    elif arguments.json:
        for row in rows.to_pylist(maps_as_pydicts="strict"):
            print(json.dumps(row, ensure_ascii=False, default=str))
    else:
        print(render(rows))
    return EXIT_DONE


def smallest_cell(arguments: argparse.Namespace) -> int:
    """Least number of firms of a cell, by the settings of a command line."""
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    return settings.privacy.fewest_firms


def shell(lake: LakeReader, *, smallest: int = 0) -> None:
    """Answer queries line by line until the input ends; ``tables`` lists what there is."""
    connection = connect(lake, smallest=smallest)
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
            if note := small_cells_note(pending, smallest):
                print(note, file=sys.stderr)
        except InputRefusedError as error:
            print(error, file=sys.stderr)
        pending = ""


def _read_line(prompt: str) -> str | None:
    try:
        return input(prompt if sys.stdin.isatty() else "")
    except EOFError:
        return None
