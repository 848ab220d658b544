"""Rows as delivered to bronze columns: what the layout names, the rest as ``extra``; constants, value maps and units applied.

Nothing is repaired here but what the layout says. A batch has the columns of :data:`SCHEMA`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.layouts import MULTIPLIED, Layout, simplified_characters
from jobs.kernels.content import month_of
from jobs.kernels.rows import Rows, malformed_array, marks_array
from jobs.kernels.texts import holds_any
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

#: The first or last word of a line that sums up others, perhaps with what is summed up before it.
TOTAL = (
    r"(?i)^.{0,16}(合\s*[计計]|[总總]\s*[计計]|小\s*[计計]|共\s*[计計]|累\s*[计計]|汇总|总和|\b(grand|sub)?[ -]?totals?)"
    r"\s*[:：]?\s*([(（].*[)）])?$"
)
#: Columns that say what an amount is of, and how many of them a file must have for a row without any to be no record.
_OF_WHAT, MIN_OF_WHAT = ("flow", "firm_id", "production_place", "production_place_code", "partner"), 2
_TOTAL_BYTES = tuple(word.encode() for word in ("计", "計", "汇总", "总和", "otal", "OTAL"))

#: Columns whose words the lake knows in simplified characters; names of firms and addresses stay as they are.
SIMPLIFIED = (
    "flow", "production_place", "partner", "firm_type", "trade_regime", "customs_port", "transport", "transit_country",
)


_SPACES = re.compile("[\\s\u00a0\u202f']+")
_COMMA_NUMBER = re.compile(r"[-+]?(?:[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+)(?:,[0-9]*)?")


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


def is_total_line(
    rows: Rows, headings: Sequence[str], layout: Layout, looked_at: Iterable[int]
) -> np.ndarray | None:
    """Which rows are sums of others, not records.

    A word such as 合计 stands in place of the commodity code, or beside a missing one; or there is an amount and nothing that
    it could be of: no commodity, firm, place, partner or direction.

    Parameters
    ----------
    rows : Rows
    headings : sequence of str
    layout : Layout
    looked_at : iterable of int
        Columns in which the word may stand: the same whether all columns are read or some.

    Returns
    -------
    ndarray of bool or None
        None when there is no such row.
    """
    assigned = layout.assign(headings)
    if "hs_code" not in assigned or not len(rows):
        return None
    code = rows.columns[assigned["hs_code"][0]]
    found = np.zeros(len(rows), bool)
    if holds_any(code, _TOTAL_BYTES):
        found |= _matches(code, TOTAL)
    without = np.flatnonzero(_is_blank(code))
    if len(without):
        columns = {index: rows.columns[index].take(pa.array(without)) for index in looked_at}
        for texts in columns.values():
            found[without] |= _matches(texts, TOTAL)
        others = [columns[index] for name in _OF_WHAT for index in assigned.get(name, ()) if index in columns]
        amounts = [columns[index] for index in assigned.get("value", ()) if index in columns]
        if len(others) >= MIN_OF_WHAT and amounts:
            found[without] |= np.logical_and.reduce([*map(_is_blank, others), ~_is_blank(amounts[0])])
    return found if found.any() else None


def _matches(texts: pa.Array, pattern: str) -> np.ndarray:
    return np.asarray(pc.fill_null(pc.match_substring_regex(texts, pattern), False))


def _is_blank(texts: pa.Array) -> np.ndarray:
    if not texts.null_count and not holds_any(texts, (b" ", b"\xe3\x80\x80")) and pc.min(pc.binary_length(texts)).as_py():
        return np.zeros(len(texts), bool)
    return np.asarray(pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts), ""), True))


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
    if layout.form.decimal == "," and name in MULTIPLIED:
        column = _each_distinct(column, _with_point)
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


def _with_point(text: str) -> str:
    """A number with a decimal comma, and points or spaces between thousands, as all others are written."""
    plain = _SPACES.sub("", text)
    return plain.replace(".", "").replace(",", ".") if _COMMA_NUMBER.fullmatch(plain) else text


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
