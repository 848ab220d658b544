"""Small tables that a user writes by hand: one reader, so that all of them are refused in the same words."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from jobs.core.errors import InputRefusedError


def read_user_table(path: Path, columns: Sequence[str] = ()) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a CSV file as text without outer spaces, each with its line in the file.

    Parameters
    ----------
    columns : sequence of str
        Columns that must be there; others are kept, too.

    Raises
    ------
    InputRefusedError
        If the file cannot be read as UTF-8 text or lacks a column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputRefusedError(f"{path}: expected a CSV file in UTF-8; cannot be read ({error}).") from error
    reader = csv.DictReader(text.splitlines())
    headings = [name.strip() for name in reader.fieldnames or ()]
    missing = [name for name in columns if name not in headings]
    if missing:
        raise InputRefusedError(
            f"{path}: expected columns {', '.join(columns)}; missing {', '.join(missing)};"
            f" found {', '.join(headings) or 'no heading line'}."
        )
    return [
        (reader.line_num, {str(name).strip(): (value or "").strip() for name, value in row.items() if name})
        for row in reader
    ]
