"""Turn printed tables into long rows, one per table, column, variable and statistic, for the lake."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from estimation.tables.printed import PrintedTable

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
