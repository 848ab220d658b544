"""Lay a printed table out as rows of text, once for all formats.

Each column of the table becomes up to three printed ones: ours, the paper's, the truth. A coefficient takes one row and
its standard error the next, as journals print them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

from estimation.tables.columns import CONSTANT_TERM
from estimation.tables.printed import COUNTS, STATISTICS, PrintedColumn, PrintedTable
from estimation.tables.spec import Language

Side = Literal["ours", "paper", "truth"]
SIDES: tuple[Side, ...] = ("ours", "paper", "truth")
TableLayout = Literal["beside_paper", "plain"]
LAYOUTS: dict[TableLayout, tuple[Side, ...]] = {"beside_paper": SIDES, "plain": ("ours",)}
SIDE_TITLES = {"ours": "ours", "paper": "paper", "truth": "truth"}
NOTHING = ""
FAILED = "n/a"


@dataclass(frozen=True, slots=True)
class Layout:
    """A table as text cells.

    Attributes
    ----------
    heads : tuple of (heading, sides)
        One per column of the table, with the printed columns under it.
    rows : tuple of (label, cells)
        All rows; an empty label continues the one above.
    n_coefficient_rows : int
        Rows before the statistics begin.
    """

    heads: tuple[tuple[str, tuple[Side, ...]], ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    n_coefficient_rows: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as cells with its titles and notes, ready for every format.

    Attributes
    ----------
    name : str
        ``table1``: name of its files, sheets and label.
    profile : str
        Of the estimation options; empty for a table that has none.
    number : str
        ``Table 1``, which a text processor counts by itself; empty for a table without one.
    caption, caption_zh : str
        Title without the number.
    layout : Layout
    notes : tuple of str
    """

    name: str
    profile: str
    number: str
    caption: str
    caption_zh: str
    layout: Layout
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """``Table 1. Baseline``."""
        return f"{self.number}. {self.caption}" if self.number else self.caption

    @property
    def title_zh(self) -> str:
        """Chinese title."""
        return f"{self.number.replace('Table ', '表')} {self.caption_zh}" if self.number else self.caption_zh


def sheet_of(table: PrintedTable | Sheet, sides: tuple[Side, ...] = SIDES, language: Language = "en") -> Sheet:
    """Return a table in print as cells; a sheet as it is."""
    if isinstance(table, Sheet):
        return table
    return Sheet(
        table.table.name, table.table.profile, f"Table {table.table.number}", table.table.title, table.table.title_zh,
        lay_out(table, sides=sides, language=language), table.notes,
    )


def lay_out(table: PrintedTable, *, sides: tuple[Side, ...] = SIDES, language: Language = "en") -> Layout:
    """Return the cells of a table; sides that no column has are left out."""
    label_of = partial(table.table.label, language=language)
    shown = tuple(
        side for side in sides
        if side == "ours" or (side == "paper" and table.has_paper) or (side == "truth" and table.has_truth)
    )
    heads = tuple((column.headed(label_of, language), shown) for column in table.columns)
    rows: list[tuple[str, tuple[str, ...]]] = []
    for term in table.terms:
        pairs = [_coefficient(column, term, side) for column in table.columns for side in shown]
        rows.append((label_of(term), tuple(top for top, _ in pairs)))
        rows.append((NOTHING, tuple(bottom for _, bottom in pairs)))
    n_coefficient_rows = len(rows)
    for name, label in STATISTICS.items():
        rows.append((label, tuple(_statistic(column, name, side) for column in table.columns for side in shown)))
    return Layout(heads, tuple(rows), n_coefficient_rows)


def three_digits(value: float) -> str:
    """Write a number with three significant digits, as the paper does: 0.0598, 0.200, -0.181."""
    if not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0.000"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(decimals, 6)}f}"
    # rounding may carry into one more digit: 0.09996 -> 0.1000, which has four
    if len(text.replace("-", "").replace(".", "").lstrip("0")) > 3 and "." in text and abs(value) < 100:
        text = text[:-1]
    return text


def _coefficient(column: PrintedColumn, term: str, side: Side) -> tuple[str, str]:
    if side == "ours":
        number = column.ours.get(term)
        if number is None:
            known = term == CONSTANT_TERM or term.endswith(".y") or term in column.fit.column.regressors
            return (FAILED if column.fit.failure and known else NOTHING), NOTHING
        return f"{three_digits(number.coefficient)}{number.stars}", f"({three_digits(number.std_error)})"
    if side == "paper":
        number = column.paper.cells.get(term) if column.paper else None
        if column.paper is None or number is None:
            return NOTHING, NOTHING
        coefficient, error = column.paper.texts[term]
        return f"{coefficient}{number.stars}", f"({error})"
    value = column.truth.get(term)
    return (NOTHING if value is None else three_digits(value)), NOTHING


def _statistic(column: PrintedColumn, name: str, side: Side) -> str:
    source = {"ours": column.statistics, "paper": column.paper.statistics if column.paper else {}, "truth": {}}[side]
    value = source.get(name, math.nan)
    if not math.isfinite(value):
        return NOTHING
    return f"{value:,.0f}" if name in COUNTS else f"{value:.3f}"
