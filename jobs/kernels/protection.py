"""Records on their way to a table: persons left out, firms under pseudonyms, erased firms gone. No Spark.

The same functions load a file, rewrite a lake and look for a firm, so that what is erased once is left out of every later
load. Erased records of a customs file stay as empty rows (``malformed_row`` says ``erased``): file, row and count remain,
so that every balance still holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.core.protection import Protection, keyed_hash
from schemas.fields import ERASED, PERSONAL_COLUMNS, RAW_COLUMNS

# what a spreadsheet puts to a code, and codes that were stored as numbers
_QUOTES = re.compile("^=?[\"'‘’`]+|[\"'’]+$")
_FLOAT = re.compile(r"^(\d{5,10})\.0+$")
_SCIENTIFIC = re.compile(r"^(\d)\.?(\d*)[eE]\+?0?(\d)$")
_SPACES = re.compile("[\\s\u200b\ufeff]+")
_TOKEN = re.compile("[0-9A-Za-z]+")
# headings of columns no layout names, that hold persons, and those that name firms
_PERSON_HEADING = re.compile(
    "电话|電話|手机|手機|传真|傳真|邮箱|郵箱|邮件|郵件|联系人|聯繫人|聯絡人|法人|负责人|負責人|姓名|微信|QQ|phone|mobile|cell|tel|fax|mail|contact"
    "|person|name of",
    re.IGNORECASE,
)
_FIRM_HEADING = re.compile(
    "企业|企業|公司|单位|單位|厂|廠|地址|社会信用|组织机构|company|firm|party|enterprise|corp|address|addr", re.IGNORECASE
)
_PLACE_DIGITS = 4
_PSEUDONYM_DIGITS = 24


def plain_code(text: str) -> str | None:
    """A firm's code as delivered, without what a spreadsheet or a float put to it; None when its digits are lost."""
    clean = _QUOTES.sub("", _SPACES.sub("", unicodedata.normalize("NFKC", text)))
    if found := _FLOAT.match(clean):
        return found.group(1)
    if found := _SCIENTIFIC.match(clean):
        return found.group(1) + found.group(2) if len(found.group(2)) == int(found.group(3)) else None
    return clean or None


def pseudonym(code: str, key: str) -> str:
    """A firm's pseudonym: the four digits of its place of registration, and a keyed hash of the whole code."""
    place = code[:_PLACE_DIGITS] if code[:_PLACE_DIGITS].isdigit() else ""
    return f"{place}p{keyed_hash(key, f'firm:{code}')[:_PSEUDONYM_DIGITS]}"


def protect_batch(batch: pa.RecordBatch, protection: Protection) -> pa.RecordBatch:
    """Protect records of ``bronze.declaration``; a batch that needs nothing is returned as it is."""
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    if protection.erased_firms:
        mask = rows_of_firms(batch, protection)
        if mask.any():
            columns |= _emptied(columns, mask)
    if protection.personal_columns != "keep":
        columns |= {name: _persons(columns[name], protection) for name in PERSONAL_COLUMNS}
    if protection.firm_codes == "pseudonymise":
        columns["firm_id"] = _each_distinct(columns["firm_id"], lambda text: _pseudonym_of(text, protection.key))
        nothing = pa.nulls(batch.num_rows, pa.string())
        columns |= {"firm_name": nothing} | ({} if protection.keeps_address else {"firm_address": nothing})
    if (protection.personal_columns, protection.firm_codes) != ("keep", "as_is"):
        columns |= _fields_of_whole_lines(columns)
        columns["malformed_row"] = _each_distinct(columns["malformed_row"], _length_only)
        columns["extra"] = _harmless(columns["extra"], protection)
    return pa.RecordBatch.from_arrays(
        [columns[field.name].cast(field.type) for field in batch.schema], schema=batch.schema
    )


def protect_bronze(batches: Iterator[pa.RecordBatch], protection: Protection) -> Iterator[pa.RecordBatch]:
    """Protect the records of a partition of bronze."""
    for batch in batches:
        yield protect_batch(batch, protection)


def protect_firms(batches: Iterator[pa.RecordBatch], protection: Protection, code: str) -> Iterator[pa.RecordBatch]:
    """Protect the lines of a table of firms: erased firms are left out, codes become pseudonyms, names go.

    Parameters
    ----------
    batches : iterator of RecordBatch
    protection : Protection
    code : str
        Column of the firm's code.
    """
    for batch in batches:
        if protection.erased_firms:
            batch = batch.filter(pa.array(~rows_of_firms(batch, protection)))
        if protection.firm_codes == "pseudonymise":
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            columns[code] = _each_distinct(columns[code], lambda text: _pseudonym_of(text, protection.key))
            for name in ("firm_name", "malformed_row"):
                if name in columns:
                    columns[name] = _each_distinct(columns[name], _length_only if name == "malformed_row" else _nothing)
            batch = pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)
        yield batch


def count_firms(batches: Iterator[pa.RecordBatch], protection: Protection, year: str) -> Iterator[pa.RecordBatch]:
    """Yield ``year, n_rows`` of the rows of erased firms; a table without years has the year 0."""
    for batch in batches:
        mask = rows_of_firms(batch, protection)
        years = np.zeros(int(mask.sum()), np.int64)
        if year:
            years = np.asarray(pc.fill_null(batch.column(year).filter(pa.array(mask)), 0), np.int64)
        values, counts = np.unique(years, return_counts=True)
        yield pa.RecordBatch.from_arrays([pa.array(values, pa.int64()), pa.array(counts, pa.int64())], ["year", "n_rows"])


def rows_of_firms(batch: pa.RecordBatch, protection: Protection) -> np.ndarray:
    """Which rows are of an erased firm, or name its code in any text.

    Returns
    -------
    ndarray of bool, shape (n_rows,)
    """
    mask = np.zeros(batch.num_rows, bool)
    known: dict[str, bool] = {}
    for column in batch.columns:
        texts, rows = _texts(column)
        if texts is None:
            continue
        coded = texts.dictionary_encode()
        hit = np.array([_names_erased(text, protection, known) for text in coded.dictionary.to_pylist()], bool)
        if hit.any():
            codes = np.asarray(pc.fill_null(coded.indices, -1))
            found = np.append(hit, False)[codes]
            mask[(np.flatnonzero(found) if rows is None else rows[found])] = True
    return mask


def _texts(column: pa.Array) -> tuple[pa.Array | None, np.ndarray | None]:
    """The texts of a column, and the rows they are of when that is not one a row."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column, None
    if pa.types.is_map(kind):
        values = column.items if hasattr(column, "items") else None
        if values is None or not (pa.types.is_string(kind.item_type) or pa.types.is_large_string(kind.item_type)):
            return None, None
        offsets = np.asarray(column.offsets)
        rows = np.repeat(np.arange(len(column)), np.diff(offsets))
        return values.slice(int(offsets[0]), int(offsets[-1] - offsets[0])), rows
    if pa.types.is_list(kind) and (pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)):
        return pc.list_flatten(column), np.asarray(pc.list_parent_indices(column))
    return None, None


def _names_erased(text: str | None, protection: Protection, known: dict[str, bool]) -> bool:
    if not text or len(text) < min(protection.lengths):
        return False
    wide = text if text.isascii() else unicodedata.normalize("NFKC", text)
    tokens = {token for token in _TOKEN.findall(wide) if len(token) in protection.lengths}
    plain = plain_code(text) if len(text) < 40 else None
    if plain is not None and len(plain) in protection.lengths:
        tokens.add(plain)
    for token in tokens:
        if token not in known:
            known[token] = protection.hash_of_firm(token) in protection.erased_firms
    return any(known[token] for token in tokens)


def _fields_of_whole_lines(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Clear the fields of lines that cannot be split: 0.1.0 kept them beside the line, and in any a person may stand."""
    is_split = pc.is_null(columns["malformed_row"])
    if pc.all(is_split).as_py():
        return {}
    return {name: pc.if_else(is_split, columns[name], pa.scalar(None, columns[name].type)) for name in RAW_COLUMNS}


def _emptied(columns: dict[str, pa.Array], mask: np.ndarray) -> dict[str, pa.Array]:
    """All that was delivered of some rows, gone; the row itself stays."""
    gone = pa.array(mask)
    emptied = {
        name: pc.if_else(gone, pa.scalar(None, columns[name].type), columns[name]) for name in RAW_COLUMNS
    }
    marks = [None if out else mark for out, mark in zip(mask, columns["reading_marks"].to_pylist(), strict=True)]
    extra = [None if out else items for out, items in zip(mask, columns["extra"].to_pylist(), strict=True)]
    malformed = pc.if_else(gone, pa.scalar(ERASED, columns["malformed_row"].type), columns["malformed_row"])
    return emptied | {
        "malformed_row": malformed, "reading_marks": pa.array(marks, columns["reading_marks"].type),
        "extra": pa.array(extra, columns["extra"].type),
    }


def _persons(column: pa.Array, protection: Protection) -> pa.Array:
    if protection.personal_columns == "leave_out":
        return pa.nulls(len(column), column.type)
    return _each_distinct(column, lambda text: _person(text, protection.key))


def _person(text: str, key: str) -> str:
    """A keyed hash, equal for equal persons; one that is a hash already stays, for a rewrite may be repeated."""
    if re.fullmatch(f"[0-9a-f]{{{_PSEUDONYM_DIGITS}}}", text):
        return text
    return keyed_hash(key, f"person:{_SPACES.sub('', text)}")[:_PSEUDONYM_DIGITS]


def _pseudonym_of(text: str, key: str) -> str | None:
    # a code whose digits are lost names a place only; a pseudonym stays one, for a rewrite may be repeated
    code = plain_code(text)
    is_pseudonym = re.fullmatch(f"[0-9]{{0,{_PLACE_DIGITS}}}p[0-9a-f]{{{_PSEUDONYM_DIGITS}}}", text)
    return text if code is None or is_pseudonym else pseudonym(code, key)


def _length_only(text: str) -> str:
    """A whole line that may hold persons, as its length; what says so itself stays."""
    return text if text == ERASED or text.startswith("(left out") else f"(left out, {len(text):,} characters)"


def _nothing(text: str) -> None:
    return None


def _harmless(extra: pa.Array, protection: Protection) -> pa.Array:
    """Columns that the layout does not name, without those whose headings speak of persons (or of firms)."""
    if extra.null_count == len(extra):
        return extra
    headings = set(pc.unique(extra.keys).to_pylist())
    unwanted = {heading for heading in headings if _is_unwanted(heading, protection)}
    if not unwanted:
        return extra
    rows = [
        None if items is None else [(heading, value) for heading, value in items if heading not in unwanted] or None
        for items in extra.to_pylist()
    ]
    return pa.array(rows, extra.type)


def _is_unwanted(heading: str, protection: Protection) -> bool:
    if protection.personal_columns != "keep" and _PERSON_HEADING.search(heading):
        return True
    return protection.firm_codes == "pseudonymise" and bool(_FIRM_HEADING.search(heading))


def _each_distinct(column: pa.Array, change: Callable[[str], str | None]) -> pa.Array:
    coded = column.dictionary_encode()
    changed: Sequence[str | None] = [change(text) for text in coded.dictionary.to_pylist()]
    return pa.array(changed, column.type).take(coded.indices)
