"""Small tables that a user writes by hand: one reader, so that all of them are refused in the same words."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.core.errors import InputRefusedError

if TYPE_CHECKING:
    import pandas as pd


def read_user_table(
    path: Path, columns: Sequence[str] = (), *, error: type[InputRefusedError] = InputRefusedError
) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a CSV file as text without outer spaces, each with its line in the file.

    Parameters
    ----------
    columns : sequence of str
        Columns that must be there; others are kept, too.
    error : type
        What is raised.

    Raises
    ------
    InputRefusedError
        If the file cannot be read as UTF-8 text, lacks a column or has it twice, or has a row of more cells than headings.
    """
    return _rows(path, columns, error)[1]


def read_user_frame(
    path: Path, columns: Sequence[str] = (), *, error: type[InputRefusedError] = InputRefusedError
) -> pd.DataFrame:
    """Return the same as a data frame of text, labelled with the lines of the file."""
    import pandas as pd

    headings, rows = _rows(path, columns, error)
    cells = {name: [row[name] for _, row in rows] for name in headings}
    return pd.DataFrame(cells, index=[line for line, _ in rows], columns=headings, dtype=str)


def _rows(
    path: Path, columns: Sequence[str], error: type[InputRefusedError]
) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    if not path.is_file():
        raise error(f"{path}: expected a CSV file{_with(columns)}; there is no such file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
        headings = [name.strip() for name in next(reader, [])]
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as reason:
        raise error(f"{path}: expected a CSV file in UTF-8; cannot be read ({reason}).") from reason
    missing = [name for name in columns if name not in headings]
    if missing or not headings:
        found = ", ".join(headings) or "no heading line"
        raise error(f"{path}: expected a CSV file{_with(columns)}; missing {', '.join(missing) or 'all'}; found {found}.")
    twice = {name for name in headings if name and headings.count(name) > 1}
    if twice:
        raise error(f"{path}: expected each heading once; {', '.join(sorted(twice))} stands there more than once.")
    longer = next(((line, len(row)) for line, row in rows if len(row) > len(headings)), None)
    if longer:
        raise error(f"{path}, line {longer[0]}: expected {len(headings)} cells, as headings; found {longer[1]}.")
    filled = [(line, [*row, *[""] * (len(headings) - len(row))]) for line, row in rows]
    return headings, [(line, dict(zip(headings, row, strict=True))) for line, row in filled]


def _with(columns: Sequence[str]) -> str:
    return f" with columns {', '.join(columns)}" if columns else ""
