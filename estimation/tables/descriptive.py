"""Summary statistics and correlations as tables of a paper, in every format of a result table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pandas as pd

from estimation.tables.layout import NOTHING, Layout, Sheet, three_digits
from estimation.tables.spec import Language

#: Column of the summary to its head in English and Chinese.
SUMMARY_HEADS = {
    "n": ("N", "样本量"), "n_cities": ("Cities", "城市数"), "mean": ("Mean", "均值"), "sd": ("SD", "标准差"),
    "sd_between": ("SD between", "组间标准差"), "sd_within": ("SD within", "组内标准差"), "min": ("Min", "最小值"),
    "median": ("Median", "中位数"), "max": ("Max", "最大值"),
}  # fmt: skip
_WHOLE = ("n", "n_cities")
_PLACE = {"en": 0, "zh": 1}


def summary_sheet(
    summary: pd.DataFrame, label: Callable[[str], str] = str, *, language: Language = "en", notes: Sequence[str] = ()
) -> Sheet:
    """Return summary statistics as a table.

    Parameters
    ----------
    summary : DataFrame
        A row a variable: ``variable`` and some of ``n, n_cities, mean, sd, sd_between, sd_within, min, median, max``.
    label : callable
        Variable to its name in print.
    language : {'en', 'zh'}
        Of the heads.
    notes : sequence of str
    """
    shown = [name for name in SUMMARY_HEADS if name in summary]
    rows = tuple(
        (label(str(row["variable"])), tuple(_statistic(name, row[name]) for name in shown))
        for row in summary.to_dict("records")
    )
    heads = tuple((SUMMARY_HEADS[name][_PLACE[language]], ("ours",)) for name in shown)
    return Sheet(
        "summary", "", "", "Summary statistics", "描述性统计", Layout(heads, rows, len(rows)), tuple(notes)  # type: ignore[arg-type]  # "ours" is a side
    )


def correlation_sheet(
    correlations: pd.DataFrame, label: Callable[[str], str] = str, *, notes: Sequence[str] = ()
) -> Sheet:
    """Return the lower triangle of correlations as a table, columns by the number of their row.

    Parameters
    ----------
    correlations : DataFrame
        Square, the same names in rows and columns.
    """
    names = [str(name) for name in correlations.index]
    rows = tuple(
        (
            f"({row + 1}) {label(name)}",
            tuple(_two_decimals(correlations.iat[row, column]) if column <= row else NOTHING for column in range(len(names))),
        )
        for row, name in enumerate(names)
    )
    heads = tuple((f"({number + 1})", ("ours",)) for number in range(len(names)))
    return Sheet("correlations", "", "", "Correlations", "相关系数", Layout(heads, rows, len(rows)), tuple(notes))  # type: ignore[arg-type]  # see above


def _statistic(name: str, value: float) -> str:
    if name in _WHOLE:
        return f"{int(value):,}"
    # what rounding leaves of nothing is nothing
    value = 0.0 if abs(value) < 1e-9 else float(value)
    return three_digits(value) if abs(value) < 1000 else f"{value:,.0f}"


def _two_decimals(value: float) -> str:
    # minus nothing is nothing
    return f"{round(value, 2) + 0.0:.2f}" if math.isfinite(value) else NOTHING
