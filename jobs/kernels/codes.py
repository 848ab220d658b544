"""Codes that a program wrote as powers of ten: got back where every digit is certain, counted where it is not.

``1.10108E+05`` has all six digits of 110108. ``3.20491E+09`` was rounded for display and may be any of ten thousand firms.
``1.101e5``, without sign and padding, is how Java, Spark and JavaScript write a number: as short as it reads back the same, so
it is exact as far as the smallest of their number types is (whole numbers to 2^24).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from conf.layouts import Layout
from jobs.kernels.parts import add_counts
from jobs.kernels.rows import POWER_OF_TEN, Rows
from jobs.kernels.texts import EXACT_IN_FLOAT, holds_any

#: Columns repaired here; commodity and firm codes are by the cleaning step, which names each of its repairs.
REPAIRED = ("production_place", "production_place_code", "partner", "postcode")
SCIENTIFIC = r"^\s*[0-9](?:\.[0-9]+)?[eE]\+?[0-9]{1,2}\s*$"
_PARTS = re.compile(r"\s*([0-9])(?:\.([0-9]+))?[eE](\+?)(0?)([0-9]{1,2})\s*")
NOTICED = "codes written as powers of ten, all digits there"


def exact_code(text: str) -> str | None:
    """The digits of a code written as a power of ten; None when some were lost, or it is no such number.

    Examples
    --------
    >>> exact_code("1.10108E+05"), exact_code("1.101e5"), exact_code("1.101E+05"), exact_code("3.20491E+09")
    ('110108', '110100', None, None)
    """
    match = _PARTS.fullmatch(text)
    if match is None:
        return None
    first, decimals, sign, padding, power = match[1], match[2] or "", match[3], match[4], int(match[5])
    digits = first + decimals
    if len(decimals) >= power:
        return digits[: power + 1] if not digits[power + 1 :].strip("0") else None
    # rounded for display unless it is the shortest form that reads back
    number = digits + "0" * (power - len(decimals))
    return number if not sign and not padding and int(number) <= EXACT_IN_FLOAT else None


def with_exact_codes(rows: Rows, headings: Sequence[str], layout: Layout) -> Rows:
    """Rows with the codes of :data:`REPAIRED` as plain digits where they are certain, each marked and counted."""
    assigned = layout.assign(headings)
    columns, marks, n_repaired = list(rows.columns), dict(rows.marks), 0
    for index in {index for name in REPAIRED for index in assigned.get(name, ())}:
        column, at = _repaired(columns[index])
        columns[index] = column
        n_repaired += len(at)
        marks |= {row: (*marks.get(row, ()), POWER_OF_TEN) for row in at}
    if not n_repaired:
        return rows
    return replace(rows, columns=tuple(columns), marks=marks, noticed=add_counts(rows.noticed, {NOTICED: n_repaired}))


def count_rounded(column: pa.Array) -> int:
    """Codes written as powers of ten whose last digits are lost."""
    if not has_power(column):
        return 0
    texts = pl.Series(pl.from_arrow(column), dtype=pl.String)
    # nearly all are whole numbers, and that is soon told
    odd = texts.filter(texts.cast(pl.UInt64, strict=False).is_null() & texts.is_not_null())
    found = odd.filter(odd.str.contains(SCIENTIFIC))
    return sum(exact_code(text) is None for text in found)


def has_power(column: pa.Array) -> bool:
    """Tell whether the letter E stands anywhere in a column of texts: without it there is no power of ten."""
    return holds_any(column, (b"e", b"E"))


def _repaired(column: pa.Array) -> tuple[pa.Array, list[int]]:
    if not has_power(column):
        return column, []
    found = pl.Series(pl.from_arrow(column), dtype=pl.String).str.contains(SCIENTIFIC).fill_null(False).to_numpy()
    if not found.any():
        return column, []
    codes = {int(row): code for row in np.flatnonzero(found) if (code := exact_code(column[int(row)].as_py()))}
    mended = pa.array([codes.get(row) for row in range(len(column))], pa.string())
    return pc.coalesce(mended, column), sorted(codes)
