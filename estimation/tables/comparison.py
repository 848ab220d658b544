"""Hold our numbers against the paper's and against the known truth, cell by cell and in a few counts.

The decision worth knowing: on real data a difference to the paper is a finding, not a fault, and its z uses both
standard errors as if independent (they are not: same cities), so it understates how far two numbers are apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from estimation.tables.printed import PrintedTable

COLUMNS = (
    "table", "column", "dependent", "sample", "variable", "ours", "std_error", "stars", "ci_low", "ci_high",
    "paper", "paper_std_error", "paper_stars", "difference", "difference_z", "same_sign", "same_stars",
    "paper_in_interval", "truth", "truth_in_interval",
)


def compare(tables: Sequence[PrintedTable], *, level: float = 0.95) -> pd.DataFrame:
    """Return one row per table, column and variable that we estimated; missing where paper or truth is unknown."""
    rows = []
    for table in tables:
        for column in table.columns:
            for term in table.terms:
                number = column.ours.get(term)
                if number is None:
                    continue
                low, high = column.interval(term, level)
                theirs = column.paper.cells.get(term) if column.paper else None
                truth = column.truth.get(term)
                gap = number.coefficient - theirs.coefficient if theirs else math.nan
                rows.append({
                    "table": table.table.number, "column": column.fit.column.position,
                    "dependent": column.fit.column.dependent, "sample": column.fit.column.sample.name,
                    "variable": term, "ours": number.coefficient, "std_error": number.std_error,
                    "stars": number.stars, "ci_low": low, "ci_high": high,
                    "paper": theirs.coefficient if theirs else math.nan,
                    "paper_std_error": theirs.std_error if theirs else math.nan,
                    "paper_stars": theirs.stars if theirs else None,
                    "difference": gap,
                    "difference_z": gap / math.hypot(number.std_error, theirs.std_error) if theirs else math.nan,
                    "same_sign": (number.coefficient > 0) == (theirs.coefficient > 0) if theirs else None,
                    "same_stars": number.stars == theirs.stars if theirs else None,
                    "paper_in_interval": low <= theirs.coefficient <= high if theirs else None,
                    "truth": math.nan if truth is None else truth,
                    "truth_in_interval": None if truth is None else low <= truth <= high,
                })
    return pd.DataFrame(rows, columns=list(COLUMNS))


def count_agreement(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return per table: cells compared, and the shares that agree with the paper and hold the truth."""
    rows = []
    for number, cells in [*comparison.groupby("table"), ("all", comparison)]:
        slopes = cells[cells["variable"] != "Constant"]
        with_paper = slopes[slopes["paper"].notna()]
        with_truth = slopes[slopes["truth"].notna()]
        rows.append({
            "table": number,
            "cells": len(with_paper),
            "same_sign": _share(with_paper["same_sign"]),
            "same_stars": _share(with_paper["same_stars"]),
            "paper_in_interval": _share(with_paper["paper_in_interval"]),
            "cells_with_truth": len(with_truth),
            "truth_in_interval": _share(with_truth["truth_in_interval"]),
        })
    return pd.DataFrame(rows)


def _share(values: pd.Series) -> float:
    return float(values.astype(float).mean()) if len(values) else math.nan
