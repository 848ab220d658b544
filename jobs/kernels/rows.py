"""Rows of a table as delivered: texts by position, the lines that are not rows, and marks on single rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.kernels.decoding import DAMAGED

#: Marks on a row, as they go to bronze.
TRAILING, BREAK, STRAY_QUOTE, SWALLOWED = "trailing_separator", "line_break_in_quotes", "stray_quote", "separator_restored"
DAMAGED_TEXT = "damaged_text"
POWER_OF_TEN = "code_power_of_ten"
#: The file holds several years and the row's date names none of them; it lies with the first, and is not counted there.
YEAR_UNKNOWN = "year_unknown"


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a part.

    Attributes
    ----------
    columns : tuple of pa.Array
        One array of strings for each heading; null for an empty field.
    malformed : dict
        Row number (from 0, here) to the whole line of a row whose fields are not those of the headings.
    marks : dict
        Row number to the marks on it.
    noticed : dict
        What happened to lines that are not rows, and how often.
    is_damaged : bool
        Some text holds a mark of damage.
    """

    columns: tuple[pa.Array, ...]
    malformed: Mapping[int, str] = field(default_factory=dict)
    marks: Mapping[int, Sequence[str]] = field(default_factory=dict)
    noticed: Mapping[str, int] = field(default_factory=dict)
    is_damaged: bool = False

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def keep(self, wanted: np.ndarray, noticed: Mapping[str, int]) -> Rows:
        """Keep the rows that a mask names, and say why others went."""
        number = np.cumsum(wanted) - 1
        mask = pa.array(wanted)
        return replace(
            self,
            columns=tuple(column.filter(mask) for column in self.columns),
            malformed={int(number[row]): line for row, line in self.malformed.items() if wanted[row]},
            marks={int(number[row]): marks for row, marks in self.marks.items() if wanted[row]},
            noticed={**self.noticed, **noticed},
        )


def strings(values: Sequence[str | None]) -> pa.Array:
    """Texts as an array, empty ones null."""
    return pa.array([value or None for value in values], pa.string())


def marks_array(rows: Rows) -> pa.Array:
    """The marks of all rows, null for a row without."""
    damaged = _damaged_rows(rows) if rows.is_damaged else frozenset()
    if not rows.marks and not damaged:
        return pa.nulls(len(rows), pa.list_(pa.string()))
    marks = [[*rows.marks.get(k, ()), *([DAMAGED_TEXT] if k in damaged else [])] or None for k in range(len(rows))]
    return pa.array(marks, pa.list_(pa.string()))


def _damaged_rows(rows: Rows) -> frozenset[int]:
    found: set[int] = set()
    for column in rows.columns:
        found |= set(np.flatnonzero(pc.fill_null(pc.match_substring(column, DAMAGED), False)).tolist())
    return frozenset(found)


def malformed_array(rows: Rows) -> pa.Array:
    """The whole line of malformed rows, null for all others."""
    if not rows.malformed:
        return pa.nulls(len(rows), pa.string())
    return pa.array([rows.malformed.get(k) for k in range(len(rows))], pa.string())
