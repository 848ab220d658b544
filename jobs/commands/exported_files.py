"""Files for other programs: a text of a record is a text there, never a formula, and half a file is never left behind."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from jobs.commands.stata_file import stata_names, write_stata

# a spreadsheet takes a cell that starts so for a formula; in a Chinese one the wide forms count too
_FORMULA = re.compile("^\\s*[=+\\-@＝＋－＠]|^[\x00-\x1f]")
#: What is put before such a text in a CSV file, the spreadsheet's own sign for a text.
TEXT_PREFIX = "'"
EXCEL_MAX_TEXT = 32_767
REPLACEMENT = "\ufffd"


@dataclass(slots=True)
class Changed:
    """What a file holds differently from the table.

    Attributes
    ----------
    prefixed : int
        Texts with an apostrophe before them.
    replaced : int
        Texts with a character replaced that Excel cannot hold.
    cut : int
        Texts cut to the length that Excel can hold.
    renamed : int
        Columns under another name, for Stata allows 32 characters and reserves some words.
    emptied : int
        Rows with cells of fewer than ``smallest`` firms, which are left empty.
    smallest : int
        Least number of firms of a cell.
    """

    prefixed: int = 0
    replaced: int = 0
    cut: int = 0
    renamed: int = 0
    emptied: int = 0
    smallest: int = 0

    def text(self) -> str:
        """In words, empty when nothing was changed."""
        parts = [
            f"{self.prefixed:,} texts that a spreadsheet would take for formulas begin with an apostrophe"
            " (--raw-text leaves them as they are)" * bool(self.prefixed),
            f"{self.replaced:,} texts hold characters that Excel cannot, replaced by {REPLACEMENT}" * bool(self.replaced),
            f"{self.cut:,} texts were longer than {EXCEL_MAX_TEXT:,} characters and are cut" * bool(self.cut),
            f"{self.renamed:,} columns have a name that Stata allows" * bool(self.renamed),
            f"{self.emptied:,} rows have cells of fewer than {self.smallest} firms, which are left empty"
            " (--set privacy.fewest_firms=0 shows them)" * bool(self.emptied),
        ]
        return "; ".join(part for part in parts if part)


def write_file(
    rows: pd.DataFrame, out: Path, *, title: str = "", raw_text: bool = False, labels: Mapping[str, str] | None = None
) -> Changed:
    """Write rows to a .csv, .parquet, .xlsx or .dta file, whole or not at all.

    Parameters
    ----------
    rows : DataFrame
    out : Path
        Its ending says the kind.
    title : str
        Of the sheet.
    raw_text : bool
        Leave texts of a CSV file as they are.
    labels : dict, optional
        Column to its meaning, for .dta.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial{out.suffix}")
    writers: dict[str, Callable[[], Changed]] = {
        ".csv": lambda: _write_csv(rows, partial, raw_text=raw_text),
        ".parquet": lambda: _write_parquet(rows, partial),
        ".xlsx": lambda: _write_excel(rows, partial, title),
        ".dta": lambda: _write_stata(rows, partial, title, labels or {}),
    }
    try:
        changed = writers[out.suffix.lower()]()
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    return changed


def safe_text(value: object) -> object:
    """A text that no spreadsheet takes for a formula; anything else as it is."""
    return f"{TEXT_PREFIX}{value}" if isinstance(value, str) and _FORMULA.search(value) else value


def _write_csv(rows: pd.DataFrame, path: Path, *, raw_text: bool) -> Changed:
    changed, texts = Changed(), [name for name in rows.columns if rows[name].dtype == object]
    if not raw_text:
        safe = {name: rows[name].map(safe_text) for name in texts}
        changed.prefixed = sum(
            sum(one is not other for one, other in zip(rows[name], column, strict=True)) for name, column in safe.items()
        )
        rows = rows.assign(**safe)
    # a carriage return outside quotes would end the line
    has_return = any(isinstance(value, str) and "\r" in value for name in texts for value in rows[name])
    rows.to_csv(path, index=False, quoting=csv.QUOTE_NONNUMERIC if has_return else csv.QUOTE_MINIMAL)
    return changed


def _write_parquet(rows: pd.DataFrame, path: Path) -> Changed:
    rows.to_parquet(path, index=False)
    return Changed()


def _write_stata(rows: pd.DataFrame, path: Path, title: str, labels: Mapping[str, str]) -> Changed:
    write_stata(rows, path, labels=labels, title=title)
    names = stata_names([str(name) for name in rows.columns])
    return Changed(renamed=sum(one != other for one, other in names.items()))


def _write_excel(rows: pd.DataFrame, path: Path, title: str) -> Changed:
    changed = Changed()
    book = Workbook(write_only=True)
    sheet = book.create_sheet(re.sub(r"[\[\]:*?/\\]", "_", title)[:31] or "data")
    sheet.append(list(map(str, rows.columns)))
    for values in rows.itertuples(index=False, name=None):
        sheet.append([_excel_cell(sheet, value, changed) for value in values])
    book.save(path)
    return changed


def _excel_cell(sheet: object, value: object, changed: Changed) -> object:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (list, tuple, dict, np.ndarray)):
        value = str(value.tolist() if isinstance(value, np.ndarray) else value)
    if value is None or not isinstance(value, str):
        return None if value is None or pd.isna(value) else value
    text = ILLEGAL_CHARACTERS_RE.sub(REPLACEMENT, value)
    changed.replaced += text != value
    if len(text) > EXCEL_MAX_TEXT:
        text, changed.cut = text[:EXCEL_MAX_TEXT], changed.cut + 1
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"
    return cell
