"""Result tables: read as data, estimated column by column, printed beside the paper and the truth.

    shared, files = read_table_files()                       # parsed TOML (conf.tables)
    tables = parse_tables(shared, files, profile="paper")
    panel = StudyPanel.from_natural(frame, constants=constants)
    fits = estimate_tables(tables, panel, CityClasses.from_frames(regions, sizes))
    printed = [print_table(table, fits[table.name], paper=paper, truth=truth) for table in tables]
    print(to_text(printed[0]))

A new table is one more TOML file; docs/methodology/tables.md has the keys.
"""

from __future__ import annotations

from estimation.tables.columns import ColumnFit, estimate_column, estimate_tables
from estimation.tables.comparison import compare, count_agreement
from estimation.tables.descriptive import correlation_sheet, summary_sheet
from estimation.tables.extra import table_panel
from estimation.tables.faults import table_faults
from estimation.tables.formats import to_html, to_latex, to_markdown, to_text, write_excel
from estimation.tables.printed import PrintedTable, paper_columns, print_table
from estimation.tables.records import to_records
from estimation.tables.samples import CityClasses
from estimation.tables.spec import ResultTable, TableSpecError
from estimation.tables.study import Constant, StudyPanel
from estimation.tables.table_files import parse_tables, select_tables
from estimation.tables.word import write_word

__all__ = [
    "CityClasses",
    "ColumnFit",
    "Constant",
    "PrintedTable",
    "ResultTable",
    "StudyPanel",
    "TableSpecError",
    "compare",
    "correlation_sheet",
    "count_agreement",
    "estimate_column",
    "estimate_tables",
    "paper_columns",
    "parse_tables",
    "print_table",
    "select_tables",
    "summary_sheet",
    "table_faults",
    "table_panel",
    "to_html",
    "to_latex",
    "to_markdown",
    "to_records",
    "to_text",
    "write_excel",
    "write_word",
]
