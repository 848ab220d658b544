"""Explain: walk a number of a result table back to its panel, its tables and the delivered files.

``explain table1.col1.lnAgg`` reads ``gold.estimate``, estimates the column again on the recorded version of the panel and
says whether the digits agree, then lists the constants, the versions behind the panel and the files in force.

``explain FILE#ROW --raw RAW`` shows a record of bronze, silver or quarantine as it was delivered (``source_file`` and
``source_row``), read from the raw folder by whoever may: the lake does not keep what may be a person's.
"""

from __future__ import annotations

import argparse
import datetime as dt
import difflib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conf.layouts import load_layouts, with_aliases
from estimation.tables import ColumnFit, StudyPanel, estimate_column
from estimation.tables.layout import three_digits
from estimation.tables.records import MODEL
from jobs.core.errors import EXIT_DONE, InputRefusedError
from jobs.core.ledger import files_in_force, latest_receipts
from jobs.kernels.raw_folder import raw_folder
from jobs.readers.raw_lines import raw_line
from jobs.runtime.context import (
    JobContext,
    Outcome,
    command_main,
    look_into,
)
from jobs.study.handoff import check_tables, city_classes, collect_panel, result_tables
from schemas.catalog import TABLES
from schemas.results import ESTIMATE

SHOWN_FILES = 5
#: A rerun on the same panel repeats the same floating-point operations; another machine's BLAS may differ in the last bits.
SAME_DIGITS = 1e-8
PREFLIGHT = (check_tables,)


def run(context: JobContext, name: str, *, profile: str = "defensible", table_files: Path | None = None) -> Outcome:
    """Explain one number.

    Parameters
    ----------
    name : str
        ``table.column.term``, such as ``table1.col1.lnAgg`` or ``table1.col1.lnAgg*lnPro``.
    profile : str
        Profile of the estimate.

    Raises
    ------
    InputRefusedError
        If there is no such number; the message lists what there is.
    """
    table, column, term = _parse(name)
    rows = _rows(context, profile, table, column, term)
    values = {row["result_statistic"]: row["estimate"] for row in rows}
    first = rows[0]
    lines = [f"{name} (profile {profile})", f"  {_in_words(values)}"]
    lines.append(
        f"  estimated {_time(first['estimated_at'])} by run {first['run_id']}, code {first['code_version']},"
        f" configuration {first['config_sha256'][:12]}, specification {first['spec_sha256'][:12]}"
    )
    fit, panel = _estimate_again(context, first, table_files)
    lines += _column_lines(fit, term, values, first["panel_version"])
    if fit.results is not None and term != MODEL:
        lines += _unit_lines(fit, panel, term, values)
    lines += _lineage_lines(context, json.loads(first["lineage"]))
    lines += _file_lines(context)
    return Outcome(f"{name} explained", changed=False, detail="\n".join(lines))


def explain_row(context: JobContext, name: str) -> Outcome:
    """Show a record as it was delivered.

    Parameters
    ----------
    name : str
        ``source_file#source_row``; a file by its SHA-256 or its first 12 digits too.

    Raises
    ------
    InputRefusedError
        If there is no such file or row, or no raw folder is given.
    """
    given, _, number = name.rpartition("#")
    if not number.isdigit():
        raise InputRefusedError(f"explain: expected FILE#ROW such as customs/data200501.csv#17; found {name!r}.")
    receipts = latest_receipts(context.lake)
    named = [row for row in receipts if given in (row["source_file"], row["file_sha256"], row["file_sha256"][:12])]
    if not named:
        near = difflib.get_close_matches(given, sorted({row["source_file"] for row in receipts}), n=3)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        raise InputRefusedError(f"explain: no delivered file {given!r}.{hint}")
    receipt = named[0]
    layouts = with_aliases(load_layouts(), context.settings.aliases.headings)
    lines = raw_line(raw_folder(context.require_raw()), receipt, int(number), layouts)
    first = f"{receipt['source_file']} row {int(number):,} as delivered (sha256 {receipt['file_sha256'][:12]})"
    return Outcome(f"{name} explained", changed=False, detail="\n".join([first, *lines]))


def _parse(name: str) -> tuple[str, str, str]:
    parts = name.split(".", 2)
    if len(parts) != 3 or not all(parts):
        raise InputRefusedError(f"explain: expected table.column.term such as table1.col1.lnAgg; found {name!r}.")
    table, column, term = parts
    return table, column if column.startswith("col") else f"col{column}", term


def _rows(context: JobContext, profile: str, table: str, column: str, term: str) -> list:
    estimates = [row for row in context.lake.rows(ESTIMATE) if row["study_profile"] == profile]
    found = [row for row in estimates if (row["result_table"], row["result_column"]) == (table, column)]
    if not found:
        there = sorted({f"{row['result_table']}.{row['result_column']}" for row in estimates})
        raise InputRefusedError(
            f"explain: no estimate of {table}.{column} in profile {profile}. "
            + (f"There are {', '.join(there)}." if there else "Run `customs-lake estimate` first.")
        )
    rows = [row for row in found if row["term"] == term]
    if not rows:
        terms = sorted({row["term"] for row in found})
        near = difflib.get_close_matches(term, terms, n=1)
        raise InputRefusedError(
            f"explain: {table}.{column} has no term {term!r}; it has {', '.join(terms)}."
            + (f" Did you mean {near[0]}?" if near else "")
        )
    return rows


def _in_words(values: dict) -> str:
    def number(key: str) -> str:
        return three_digits(values[key]) if values.get(key) is not None else "-"

    if "coefficient" not in values:
        return ", ".join(f"{key} {number(key)}" for key in values)
    parts = [
        f"coefficient {number('coefficient')} ({number('std_error')}), p {number('pvalue')},"
        f" 95% interval {number('ci_low')} to {number('ci_high')}"
    ]
    if values.get("paper_coefficient") is not None:
        parts.append(f"the paper prints {number('paper_coefficient')} ({number('paper_std_error')})")
    if values.get("true_coefficient") is not None:
        parts.append(f"the truth is {number('true_coefficient')}")
    return "; ".join(parts)


def _estimate_again(context: JobContext, row: Any, table_files: Path | None) -> tuple[ColumnFit, StudyPanel]:
    handed = collect_panel(context, at=row["panel_version"])
    table = result_tables(row["result_table"], row["study_profile"], table_files)[0]
    column = next(one for one in table.columns if one.name == row["result_column"])
    return estimate_column(column, handed.panel, city_classes(context.settings.places)), handed.panel


def _column_lines(fit: ColumnFit, term: str, values: dict, panel_version: int) -> list[str]:
    column = fit.column
    lines = [
        f"  the column: {column.dependent} on {', '.join(column.regressors)}; sample {column.sample.name}"
        f" ({column.sample.rule}), lags {column.options.lags[0]}-{column.options.lags[1] or 'all'}"
        f"{' collapsed' if column.options.collapse else ''}, external instruments"
        f" {', '.join(column.external_instruments) or 'none'}"
    ]
    if fit.results is None:
        return [*lines, f"  not estimated: {fit.failure}"]
    results = fit.results
    lines.append(
        f"  observations: {fit.n_raw:,} raw -> {results.nobs:,} in levels -> {results.n_transformed:,} transformed;"
        f" {results.n_groups} cities, {results.n_instruments} instruments"
    )
    if values.get("coefficient") is not None:
        again = float(results.params[fit.parameter(term)])
        same = abs(again - values["coefficient"]) <= SAME_DIGITS * max(abs(again), 1e-3)
        lines.append(
            f"  estimated again now on version {panel_version} of gold.city_panel: {again:.12g},"
            + (" the same digits" if same else f" NOT the same as stored: {values['coefficient']:.12g}")
        )
    return lines


def _unit_lines(fit: ColumnFit, panel: StudyPanel, term: str, values: dict) -> list[str]:
    if term not in fit.column.regressors or values.get("coefficient") is None:
        return []
    y, x = panel.constant(fit.column.dependent), panel.constant(term)
    if not x.sd:
        return []
    return [
        f"  constants (gold.panel_constants): {fit.column.dependent} mean {y.mean:.6g} sd {y.sd:.6g};"
        f" {term} mean {x.mean:.6g} sd {x.sd:.6g}; in natural units {values['coefficient'] * y.sd / x.sd:.6g}"
    ]


def _lineage_lines(context: JobContext, lineage: dict[str, int]) -> list[str]:
    lines = ["  behind it (table, version, written, by run):"]
    for name, version in sorted(lineage.items(), key=lambda item: _depth(item[0])):
        commits = [one for one in context.lake.commits(TABLES[name]) if one.version <= version and one.changes_rows]
        if commits:
            last = commits[-1]
            when = _time(dt.datetime.fromtimestamp(last.timestamp_ms / 1000, dt.UTC))
            lines.append(f"    {name:<34} v{version:<4} {when}  {last.metadata.get('run', '-')}")
        else:
            lines.append(f"    {name:<34} v{version:<4} its log no longer reaches back so far")
    return lines


def _depth(name: str) -> tuple[int, str]:
    order = {"gold": 0, "silver": 1, "bronze": 2, "ref": 3}
    return order.get(name.split(".")[0], 9), name


def _file_lines(context: JobContext) -> list[str]:
    files = files_in_force(context.lake)
    if not files:
        return ["  delivered files: no receipts in this lake"]
    lines = sum(row["n_lines"] for row in files)
    shown = [f"    {row['source_file']}  {row['n_lines']:,} lines  sha256 {row['file_sha256'][:12]}" for row in files]
    rest = [f"    and {len(shown) - SHOWN_FILES} more: ops.file_receipt"] if len(shown) > SHOWN_FILES else []
    return [f"  delivered files in force: {len(files)} with {lines:,} lines", *shown[:SHOWN_FILES], *rest]


def _time(value: dt.datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: ``explain.py --lake LAKE table1.col1.lnAgg``."""
    return command_main("explain", run_command, argv, checks=PREFLIGHT)


def run_command(arguments: argparse.Namespace) -> int:
    """Print the explanation and return the exit code."""
    with look_into(arguments) as context:
        if "#" in arguments.name:
            outcome = explain_row(context, arguments.name)
        else:
            outcome = run(context, arguments.name, profile=arguments.study_profile, table_files=arguments.table_files)
    print(outcome.detail)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
