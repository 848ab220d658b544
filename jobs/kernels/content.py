"""What a file holds, in a few numbers: enough to tell the same records in another form, whatever form that is.

Bytes say nothing about content: a month comes as csv, csv.gz and dta, and the year's file lies beside its months. So of
every file the records are summed up by the month their date column speaks of: rows, dollars, an order-free hash of the
key columns, and a sample of the records' own hashes. Hashes and dollars add up: the months of a year sum to the year's
file. The sample is the k smallest hashes (bottom-k sketch; Broder 1997, *On the resemblance and containment of
documents*): of two files it estimates the share of records they have in common.

A record's key is its commodity code, firm, dollars and quantity, each in a form that survives a change of container: codes
without lost or kept leading zeros, amounts rounded to cents.
"""

from __future__ import annotations

import base64
import calendar
import datetime as dt
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import cast

import numpy as np
import polars as pl
import pyarrow as pa

from jobs.kernels.amounts import read_cents
from jobs.kernels.plain_text import clean_text

#: Hashes kept of each month: the standard error of a share is at most 1 / (2 sqrt(k)), 6 % with 64.
SKETCH_SIZE = 64
#: Distinct flow marks remembered of a file; more of them mean that the column is something else.
MAX_FLOW_MARKS = 20
KEY_COLUMNS = ("hs_code", "firm_id", "value", "quantity")
#: A date as delivered is read no further.
PERIOD_LETTERS = 20
#: Raise it when other texts are read as numbers: sums of older readings are then not compared to the cent.
NUMBER_READER = 2
_FULL_YEAR = r"((?:19[89]|20[0-3])\d)"
_ENGLISH_MONTHS = {
    name.lower(): number for names in (calendar.month_name, calendar.month_abbr) for number, name in enumerate(names) if name
} | {"sept": 9}
_MASK = np.uint64(0xFFFFFFFFFFFFFFFF)

Month = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Part:
    """Records of one month, or of one year whose months the date column does not tell.

    Attributes
    ----------
    n_rows : int
    cents : int
        Sum of the values that can be read, in US cents.
    key_hash : int
        Sum of the records' hashes modulo 2^64: the same for the same records in any order.
    sketch : tuple of int
        The smallest distinct hashes, ascending, at most :data:`SKETCH_SIZE`.
    """

    n_rows: int = 0
    cents: int = 0
    key_hash: int = 0
    sketch: tuple[int, ...] = ()

    def __add__(self, other: Part) -> Part:
        return Part(
            self.n_rows + other.n_rows, self.cents + other.cents, (self.key_hash + other.key_hash) & int(_MASK),
            tuple(sorted({*self.sketch, *other.sketch})[:SKETCH_SIZE]),
        )

    @property
    def value_usd(self) -> Decimal:
        """Sum of the readable values in US dollars."""
        return Decimal(self.cents).scaleb(-2)

    def is_same(self, other: Part) -> bool:
        """Tell whether both hold the same records."""
        return (self.n_rows, self.key_hash) == (other.n_rows, other.key_hash)


@dataclass(frozen=True, slots=True)
class Content:
    """Summary of a file's records.

    Attributes
    ----------
    parts : dict
        (year, month) of the date column to what it holds; None where the date does not say.
    flows : dict
        Flow mark as delivered, capitals, to its records; None for no mark.
    n_postcodes : int
        Records with a postcode.
    n_unreadable_values : int
        Records whose value is not a number.
    n_damaged : int
        Records with a replacement character in a key column, the place or the partner.
    number_reader : int
        Which reader of numbers summed up the values; the oldest of several.
    """

    parts: Mapping[Month, Part] = field(default_factory=dict)
    flows: Mapping[str | None, int] = field(default_factory=dict)
    n_postcodes: int = 0
    n_unreadable_values: int = 0
    n_damaged: int = 0
    number_reader: int = NUMBER_READER

    def __add__(self, other: Content) -> Content:
        parts = dict(self.parts)
        for month, part in other.parts.items():
            parts[month] = parts[month] + part if month in parts else part
        flows = dict(self.flows)
        for mark, n_rows in other.flows.items():
            known = mark if mark in flows or len(flows) < MAX_FLOW_MARKS else "..."
            flows[known] = flows.get(known, 0) + n_rows
        return Content(
            parts, flows, self.n_postcodes + other.n_postcodes, self.n_unreadable_values + other.n_unreadable_values,
            self.n_damaged + other.n_damaged, min(self.number_reader, other.number_reader),
        )

    @property
    def total(self) -> Part:
        """All records."""
        return sum(self.parts.values(), Part())

    @property
    def n_rows(self) -> int:
        """Number of records."""
        return sum(part.n_rows for part in self.parts.values())

    @property
    def value_usd(self) -> Decimal:
        """Sum of the readable values in US dollars."""
        return self.total.value_usd

    @property
    def years(self) -> dict[int | None, int]:
        """Year of the date column to its records, ascending, None last."""
        found: dict[int | None, int] = {}
        for (year, _), part in self.parts.items():
            found[year] = found.get(year, 0) + part.n_rows
        return dict(sorted(found.items(), key=lambda item: (item[0] is None, item[0] or 0)))

    def of_year(self, year: int | None) -> Content:
        """The part of one year; only rows, dollars and hashes are known by year."""
        of_year = {month: part for month, part in self.parts.items() if month[0] == year}
        return Content(of_year, number_reader=self.number_reader)

    def to_json(self) -> dict[str, object]:
        """As JSON types; sketches as base64 of little-endian 64-bit numbers."""
        return {
            "parts": [
                [year, month, part.n_rows, part.cents, f"{part.key_hash:016x}", _packed(part.sketch)]
                for (year, month), part in sorted(self.parts.items(), key=str)
            ],
            "flows": [[mark, n_rows] for mark, n_rows in self.flows.items()],
            "n_postcodes": self.n_postcodes, "n_unreadable_values": self.n_unreadable_values,
            "n_damaged": self.n_damaged, "number_reader": self.number_reader,
        }

    @classmethod
    def from_json(cls, stored: Mapping) -> Content:
        """Inverse of :meth:`to_json`."""
        parts = {
            (year, month): Part(n_rows, cents, int(key_hash, 16), _unpacked(sketch))
            for year, month, n_rows, cents, key_hash, sketch in stored["parts"]
        }
        return cls(
            parts, dict(stored["flows"]), stored["n_postcodes"],
            stored["n_unreadable_values"], stored["n_damaged"], stored.get("number_reader", 1),
        )


def summarise(batches: Iterable[pa.RecordBatch | pa.Table]) -> Content:
    """Sum up batches of canonical string columns.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch or pyarrow.Table
        With the columns of ``schemas.fields.RAW_COLUMNS`` that the file has; others are not read. A column that is
        missing or null counts as without a value.
    """
    return sum((summarise_batch(batch) for batch in batches), Content())


def summarised(batches: Iterable[pa.RecordBatch], into: list[Content]) -> Iterator[pa.RecordBatch]:
    """Pass batches on and leave the summary of all of them in ``into``: a file is read once."""
    content = Content()
    for batch in batches:
        content = content + summarise_batch(batch)
        yield batch
    into.append(content)


def summarise_batch(batch: pa.RecordBatch | pa.Table, *, may_be_damaged: bool = True) -> Content:
    """Sum up one batch.

    Parameters
    ----------
    batch : pyarrow.RecordBatch or pyarrow.Table
    may_be_damaged : bool
        False when no text of it holds a replacement character, which then need not be looked for.
    """
    if not batch.num_rows:
        return Content()
    frame = _completed(cast(pl.DataFrame, pl.from_arrow(batch)))
    cents = read_cents(frame["value"])
    content = _by_month(frame["period"], cents, record_hashes(frame, cents))
    flows = (
        _counted(frame["flow"]).with_columns(flow=clean_text(pl.col("flow")).str.to_uppercase())
        .group_by("flow").agg(pl.col("count").sum()).sort("count", descending=True).iter_rows()
    )
    n_postcodes = _counted(frame["postcode"]).filter(clean_text(pl.col("postcode")).is_not_null())["count"].sum()
    n_damaged = 0
    if may_be_damaged:
        damage = pl.any_horizontal(
            pl.col(name).str.contains("\ufffd", literal=True).fill_null(False)
            for name in (*KEY_COLUMNS, "production_place", "partner", "postcode")
        )
        n_damaged = frame.select(damage.sum()).item()
    return content + Content({}, _few(flows), int(n_postcodes), int(cents.is_null().sum()), int(n_damaged))


def _by_month(period: pl.Series, cents: pl.Series, hashes: np.ndarray) -> Content:
    texts = period.unique()
    if len(texts) == 1:
        # a file of one month: nothing to group
        sketch = tuple(int(value) for value in smallest_distinct(hashes, SKETCH_SIZE))
        part = Part(len(period), int(cents.sum() or 0), int(hashes.sum(dtype=np.uint64)), sketch)
        return Content({month_of(_start(texts[0])): part})
    keyed = pl.DataFrame({"period": period.str.slice(0, PERIOD_LETTERS), "cents": cents, "hash": hashes})
    groups = keyed.group_by("period").agg(
        pl.len().alias("n"), pl.col("cents").sum(), pl.col("hash").sum(),
        pl.col("hash").unique().bottom_k(SKETCH_SIZE).sort().alias("sketch"),
    )
    content = Content()
    for text, n_rows, total, key_hash, sketch in groups.iter_rows():
        content = content + Content({month_of(text): Part(n_rows, int(total), int(key_hash), tuple(sketch))})
    return content


def _start(text: str | None) -> str | None:
    return None if text is None else text[:PERIOD_LETTERS]


def smallest_distinct(values: np.ndarray, k: int) -> np.ndarray:
    """The k smallest distinct numbers, ascending; all of them when there are fewer."""
    n = 4 * k
    while n < len(values):
        # the n smallest, in whatever order: complete up to their largest
        found = np.unique(np.partition(values, n - 1)[:n])
        if len(found) >= k:
            return found[:k]
        n *= 4
    return np.unique(values)[:k]


def _counted(column: pl.Series) -> pl.DataFrame:
    """Distinct texts and how often each stands: few are distinct, and what is costly is done once for each."""
    return column.value_counts(name="count")


def record_hashes(frame: pl.DataFrame, cents: pl.Series | None = None) -> np.ndarray:
    """Hash of each record's key columns, 64 bits, the same on every machine and in every release.

    Parameters
    ----------
    frame : polars.DataFrame
        Canonical string columns, at least :data:`KEY_COLUMNS`.
    cents : polars.Series, optional
        Values in cents where they are at hand.

    Returns
    -------
    ndarray of uint64, shape (n_rows,)
    """
    cents = read_cents(frame["value"]) if cents is None else cents
    value = pl.when(cents.is_not_null()).then(cents.cast(pl.String)).otherwise(clean_text(pl.col("value")))
    quantity = read_cents(frame["quantity"])
    amounts = frame.select(
        value=value, quantity=pl.when(quantity.is_not_null()).then(quantity.cast(pl.String)).otherwise(None)
    )
    state = np.zeros(frame.height, np.uint64)
    for column in (_code(frame["hs_code"]), _code(frame["firm_id"]), amounts["value"], amounts["quantity"]):
        state = _mixed(state * np.uint64(0x9E3779B97F4A7C15) + _as_numbers(column))
    return state


@lru_cache(maxsize=100_000)
def month_of(text: str | None) -> Month:
    """Year and month a date as delivered speaks of; None where it does not.

    ``200301``, ``2003-01-15``, ``2003年1月``, ``2003m1``, ``20030115``, ``2003``; ``01/15/03 00:00:00`` (what mdb-export
    writes: month, day, year); ``15mar2003``, ``Mar-03``, ``2003Q1``; ``37622``, days as Excel counts them.

    Examples
    --------
    >>> month_of("200301"), month_of("2007"), month_of("12/31/05 00:00:00"), month_of("x")
    ((2003, 1), (2007, None), (2005, 12), (None, None))
    """
    plain = unicodedata.normalize("NFKC", text or "").strip(" \t\n\x0b\x0c\r\u200b\ufeff").removeprefix("=").strip("\"'")
    clean = re.sub(r"[\sT:]+\d{1,2}:.*$|\s+", "", plain).removesuffix(".0")
    match = re.match(rf"{_FULL_YEAR}(?:年|[-/._mM]|)(0?[1-9](?!\d)|0[1-9]|1[0-2])?(.*)$", clean)
    if match and (match[2] or re.fullmatch(r"年?|0{2,4}|[-/.].*", match[3])):
        return int(match[1]), int(match[2]) if match[2] else None
    if match := re.fullmatch(rf"{_FULL_YEAR}[-_]?[Qq][1-4]", clean):
        return int(match[1]), None
    if re.fullmatch(r"(3[4-9]|4[0-4])\d{3}(\.\d+)?", clean):
        # days as Excel counts them, 1993 to 2023: a date cell that was saved as a number
        day = dt.date(1899, 12, 30) + dt.timedelta(int(clean[:5]))
        return day.year, day.month
    if named := _named_month(clean):
        return named
    match = re.match(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})(?!\d)", clean)
    if not match:
        return None, None
    first, second = int(match[1]), int(match[2])
    year = int(match[3]) if len(match[3]) == 4 else 2000 + int(match[3])
    # day first where the first number can be no month
    month = first if first <= 12 else second
    return (year, month) if 1980 <= year <= 2039 and 1 <= month <= 12 else (None, None)


def _named_month(clean: str) -> Month | None:
    """``15-Mar-2003``, ``15mar2003``, ``Mar-03``, ``March2003``, ``2003-Mar``, ``3月-03``."""
    months = "|".join(_ENGLISH_MONTHS)
    ending = r"(?:(\d{4})|(\d{2}))"
    match = re.fullmatch(rf"(?:\d{{1,2}}[-/.]?)?({months})\.?[-/.,]*{ending}", clean, re.IGNORECASE)
    if match:
        year, month = match[2] or match[3], _ENGLISH_MONTHS[match[1].lower()]
    elif match := re.fullmatch(rf"{_FULL_YEAR}[-/.]?({months})(?:[-/.]?\d{{1,2}})?", clean, re.IGNORECASE):
        year, month = match[1], _ENGLISH_MONTHS[match[2].lower()]
    elif match := re.fullmatch(rf"(1[0-2]|0?[1-9])月[-/]?{ending}", clean):
        year, month = match[2] or match[3], int(match[1])
    else:
        return None
    full = int(year) if len(year) == 4 else 2000 + int(year) if int(year) < 80 else 1900 + int(year)
    return (full, month) if 1980 <= full <= 2039 else None


def shared_records(a: Part, b: Part) -> float:
    """Share of the smaller one's distinct records that the other holds too, estimated from the samples.

    Returns
    -------
    float
        Between 0 and 1; exact when both samples are complete (at most :data:`SKETCH_SIZE` distinct records each).
    """
    small, large = sorted((a, b), key=lambda part: part.n_rows)
    # below the lower of both thresholds both samples are complete
    limit = min((part.sketch[-1] for part in (a, b) if len(part.sketch) >= SKETCH_SIZE), default=int(_MASK))
    sampled = [value for value in small.sketch if value <= limit]
    return len(set(sampled) & set(large.sketch)) / len(sampled) if sampled else 0.0


def _completed(frame: pl.DataFrame) -> pl.DataFrame:
    needed = ("period", "flow", "postcode", "production_place", "partner", *KEY_COLUMNS)
    return frame.select(
        (pl.col(name).cast(pl.String) if name in frame.columns else pl.lit(None, pl.String)).alias(name) for name in needed
    )


def _code(column: pl.Series) -> pl.Series:
    """A code without spaces, marks of a spreadsheet and a float's ending; leading zeros go where it becomes a number."""
    plain = column.cast(pl.UInt64, strict=False)
    if not (plain.is_null() & column.is_not_null()).any():
        return plain.cast(pl.String)
    frame = pl.DataFrame({"text": column})
    return frame.select(
        clean_text(pl.col("text")).str.replace(r"^['=\"]+", "").str.replace(r"\"$", "").str.replace(r"\.0+$", "")
        .str.to_uppercase()
    ).to_series()


def _as_numbers(texts: pl.Series) -> np.ndarray:
    """Texts as 64-bit numbers: whole numbers as they are, others by a hash of each distinct text, nulls as one number."""
    numbers = texts.cast(pl.Int64, strict=False)
    found = numbers.fill_null(0).to_numpy().astype(np.uint64)
    odd = (numbers.is_null() & texts.is_not_null()).to_numpy()
    found[texts.is_null().to_numpy()] = np.uint64(0x5BD1E995A1B2C3D4)
    if odd.any():
        codes = texts.filter(pl.Series(odd)).to_frame("text").with_columns(pl.col("text").rank("dense").alias("code"))
        distinct = codes.unique("code").sort("code")["text"]
        hashed = np.array([_text_hash(text) for text in distinct], np.uint64)
        found[odd] = hashed[codes["code"].to_numpy().astype(np.int64) - 1]
    return found


def _text_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _mixed(values: np.ndarray) -> np.ndarray:
    """Finaliser of SplitMix64 (Steele, Lea and Flood 2014): every bit of the input moves half of the output's."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _few(flows: Iterable[tuple[str | None, int]]) -> dict[str | None, int]:
    counted: dict[str | None, int] = {}
    for mark, n_rows in flows:
        known = mark if len(counted) < MAX_FLOW_MARKS else "..."
        counted[known] = counted.get(known, 0) + n_rows
    return counted


def _packed(sketch: tuple[int, ...]) -> str:
    return base64.b64encode(np.array(sketch, "<u8").tobytes()).decode("ascii")


def _unpacked(text: str) -> tuple[int, ...]:
    return tuple(int(value) for value in np.frombuffer(base64.b64decode(text), "<u8"))
