"""Turn printed tables into long rows, one per table, column, variable and statistic, for the lake; and back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from estimation.dynamic_panel.summary import stars as stars_of
from estimation.tables.columns import ColumnFit
from estimation.tables.printed import Number, PaperColumn, PrintedColumn, PrintedTable, print_order
from estimation.tables.spec import Column, ResultTable

#: ``variable`` of the statistics that belong to the column as a whole.
MODEL = "(model)"


def to_records(tables: Sequence[PrintedTable]) -> list[dict[str, Any]]:
    """Return the rows of some tables.

    Returns
    -------
    list of dict
        profile, result_table, result_column, dependent, sample, resilience, variable, statistic, estimate, failure.
    """
    return [record for table in tables for record in _of_table(table)]


def _of_table(table: PrintedTable) -> Iterator[dict[str, Any]]:
    for column in table.columns:
        spec = column.fit.column
        head = {
            "study_profile": table.table.profile, "result_table": table.table.name, "result_column": column.name,
            "dependent": spec.dependent, "sample": spec.sample.name, "resilience": spec.resilience,
            "failure": column.fit.failure or None,
        }
        cells: list[tuple[str, str, float | None]] = []
        for term, number in column.ours.items():
            low, high = column.interval(term)
            cells += [
                (term, "coefficient", number.coefficient), (term, "std_error", number.std_error),
                (term, "pvalue", number.pvalue), (term, "ci_low", low), (term, "ci_high", high),
            ]
        if column.paper:
            for term, number in column.paper.cells.items():
                cells += [(term, "paper_coefficient", number.coefficient), (term, "paper_std_error", number.std_error)]
        cells += [(term, "true_coefficient", value) for term, value in column.truth.items()]
        cells += [(MODEL, name, value) for name, value in column.statistics.items()]
        if column.paper:
            cells += [(MODEL, f"paper_{name}", value) for name, value in column.paper.statistics.items()]
        for variable, statistic, value in cells:
            known = value is not None and not math.isnan(value)
            yield head | {"variable": variable, "statistic": statistic, "estimate": value if known else None}



def from_records(
    table: ResultTable, records: pd.DataFrame, *, paper: Mapping[tuple[int, int], PaperColumn] | None = None,
    notes: Mapping[int, Sequence[str]] | None = None, generated: bool = False,
) -> PrintedTable:
    """Return a table in print from its recorded numbers; nothing is estimated.

    Parameters
    ----------
    records : DataFrame
        Rows of `to_records` of this table and profile: result_column, variable, statistic, estimate, failure.
    paper : mapping
        (table number, column) to the paper's numbers, which carry their printed digits.
    notes : mapping
        Column's position to what the estimator noted.
    """
    by_column = {str(name): rows for name, rows in records.groupby("result_column")}
    columns = tuple(
        _recorded_column(
            column, by_column.get(column.name, records.iloc[:0]), (paper or {}).get((table.number, column.position)),
            tuple((notes or {}).get(column.position, ())),
        )
        for column in table.columns
    )
    return PrintedTable(table, columns, print_order(columns), generated)


def _recorded_column(
    column: Column, rows: pd.DataFrame, paper: PaperColumn | None, notes: tuple[str, ...]
) -> PrintedColumn:
    cells = rows[rows["variable"] != MODEL].pivot(index="variable", columns="statistic", values="estimate")
    model = rows[(rows["variable"] == MODEL) & ~rows["statistic"].str.startswith("paper_")]
    ours, intervals, truth = {}, {}, {}
    for term, cell in cells.to_dict("index").items():
        if not math.isnan(cell.get("coefficient", math.nan)):
            ours[str(term)] = Number(
                cell["coefficient"], cell["std_error"], cell["pvalue"], stars_of(cell["pvalue"])
            )
            intervals[str(term)] = (cell["ci_low"], cell["ci_high"])
        if not math.isnan(cell.get("true_coefficient", math.nan)):
            truth[str(term)] = cell["true_coefficient"]
    statistics = {
        str(name): float(value) for name, value in zip(model["statistic"], model["estimate"], strict=True)
    }
    failure = str(rows["failure"].dropna().iloc[0]) if rows["failure"].notna().any() else ""
    if rows.empty:
        failure = "not recorded in this lake; `customs-lake estimate` estimates it."
    raw = statistics.get("n_raw", 0.0)
    fit = ColumnFit(column, None, failure, 0 if math.isnan(raw) else int(raw), np.zeros(0, dtype=bool), notes)
    return PrintedColumn(fit, ours, statistics, paper, truth, intervals)
