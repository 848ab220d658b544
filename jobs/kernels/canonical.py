"""Rows as delivered to bronze columns: what the layout names, the rest as ``extra``; constants, value maps and units applied.

Nothing is repaired here but what the layout says. A batch has the columns of :data:`SCHEMA`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.layouts import Layout, simplified_characters
from jobs.kernels.content import month_of
from jobs.kernels.rows import Rows, malformed_array, marks_array
from schemas.fields import RAW_COLUMNS

#: Columns of a canonical batch. ``row_year`` and ``row_month`` are what the record's own date says, null where it is silent.
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in RAW_COLUMNS),
        ("extra", pa.map_(pa.string(), pa.string())),
        ("malformed_row", pa.string()),
        ("reading_marks", pa.list_(pa.string())),
        ("source_row", pa.int64()),
        ("row_year", pa.int32()),
        ("row_month", pa.int32()),
    ]
)

#: Columns whose words the lake knows in simplified characters; names of firms and addresses stay as they are.
SIMPLIFIED = (
    "flow", "production_place", "partner", "firm_type", "trade_regime", "customs_port", "transport", "transit_country",
)


def canonical_batch(
    rows: Rows, headings: Sequence[str], layout: Layout, *, first_row: int, constants: Mapping[str, str]
) -> pa.RecordBatch:
    """Turn rows into a batch of :data:`SCHEMA`.

    Parameters
    ----------
    rows : Rows
    headings : sequence of str
        As delivered.
    layout : Layout
    first_row : int
        Number of the first of these rows in the delivered file, from 1.
    constants : dict
        Columns that the file's name gives, beside those of the layout.
    """
    assigned = layout.assign(headings)
    n = len(rows)
    columns = [_column(name, rows, assigned.get(name, ()), layout, constants) for name in RAW_COLUMNS]
    period = columns[RAW_COLUMNS.index("period")]
    year, month = _dates(period)
    return pa.RecordBatch.from_arrays(
        [
            *columns, _extra(rows, headings, assigned), malformed_array(rows), marks_array(rows),
            pa.array(np.arange(first_row, first_row + n, dtype=np.int64)), year, month,
        ],
        schema=SCHEMA,
    )


def looked_at_batch(
    rows: Rows, headings: Sequence[str], layout: Layout, *, names: Sequence[str], constants: Mapping[str, str]
) -> pa.RecordBatch:
    """Some columns of :func:`canonical_batch` only, for a look at the rows."""
    assigned = layout.assign(headings)
    columns = [_column(name, rows, assigned.get(name, ()), layout, constants) for name in names]
    return pa.RecordBatch.from_arrays(columns, names=list(names))


def is_heading_again(rows: Rows, headings: Sequence[str], layout: Layout) -> np.ndarray | None:
    """Which rows repeat the headings (two files joined); None when none does."""
    assigned = layout.assign(headings)
    # a commodity code and a value can be anything but their own headings
    sure = [assigned[name][0] for name in ("hs_code", "value") if name in assigned]
    if not sure:
        return None
    again: pa.Array | None = None
    for index in sure:
        equal = pc.fill_null(pc.equal(rows.columns[index], headings[index].strip()), False)
        again = equal if again is None else pc.and_(again, equal)
    return np.asarray(again) if again is not None and pc.any(again).as_py() else None


def _column(
    name: str, rows: Rows, positions: Sequence[int], layout: Layout, constants: Mapping[str, str]
) -> pa.Array:
    constant = layout.constants.get(name, constants.get(name) if not positions else None)
    if constant is not None:
        return pa.repeat(pa.scalar(constant, pa.string()), len(rows)) if len(rows) else pa.array([], pa.string())
    if not positions:
        return pa.nulls(len(rows), pa.string())
    found = [rows.columns[index] for index in positions]
    column = pc.coalesce(*found) if len(found) > 1 else found[0]
    if layout.script == "traditional" and name in SIMPLIFIED:
        characters = simplified_characters()
        column = _each_distinct(column, lambda text: text.translate(characters))
    if name in layout.values:
        words = layout.values[name]
        column = _each_distinct(column, lambda text: words.get(_key(text), text) or None)
    if name in layout.units and layout.units[name] != 1:
        unit = Decimal(str(layout.units[name])).normalize()
        column = _each_distinct(column, lambda text: _multiplied(text, unit))
    return column


def _key(text: str) -> str:
    """A code as a value map writes it: without spaces and a float's ending."""
    plain = text.strip()
    head, point, decimals = plain.partition(".")
    return head if point and head.isdigit() and not decimals.strip("0") else plain


def _multiplied(text: str, unit: Decimal) -> str:
    try:
        return f"{Decimal(text.replace(',', '').strip()) * unit:f}"
    except InvalidOperation:
        return text


def _each_distinct(column: pa.Array, work: Callable[[str], str | None]) -> pa.Array:
    """Apply work to each distinct text; nulls stay."""
    coded = column.dictionary_encode()
    return pa.array([work(text) for text in coded.dictionary.to_pylist()], pa.string()).take(coded.indices)


def _dates(period: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Year and month of each date, null where it is silent."""
    coded = period.dictionary_encode()
    dates = [month_of(text) for text in coded.dictionary.to_pylist()]
    year, month = (pa.array([date[index] for date in dates], pa.int32()).take(coded.indices) for index in (0, 1))
    return year, month


def _extra(rows: Rows, headings: Sequence[str], assigned: Mapping[str, Sequence[int]]) -> pa.Array:
    """Columns the layout does not name, heading to value; a column without heading only where it holds something."""
    named = {index for positions in assigned.values() for index in positions}
    others = [
        index for index, heading in enumerate(headings)
        if index not in named and (heading.strip() or rows.columns[index].null_count < len(rows))
    ]
    n = len(rows)
    if not others or not n:
        return pa.nulls(n, pa.map_(pa.string(), pa.string()))
    keys = _distinct_keys([headings[index].strip() or f"column {index + 1}" for index in others])
    interleaved = pa.concat_arrays([rows.columns[index] for index in others]).take(
        pa.array(np.arange(len(others) * n).reshape(len(others), n).T.ravel())
    )
    offsets = pa.array(np.arange(0, len(others) * n + 1, len(others), dtype=np.int32))
    repeated = pa.array(keys, pa.string()).take(pa.array(np.tile(np.arange(len(others)), n)))
    return pa.MapArray.from_arrays(offsets, repeated, interleaved)


def _distinct_keys(keys: list[str]) -> list[str]:
    """Headings that came twice, told apart: a map has each key once."""
    seen: dict[str, int] = {}
    named = []
    for key in keys:
        seen[key] = seen.get(key, 0) + 1
        named.append(key if seen[key] == 1 else f"{key} ({seen[key]})")
    return named
