"""The place book turned into the small tables that records are joined with, one row per key and span of months.

Time is counted in months (``year * 12 + month - 1``), so one table serves both conventions: with ``year_end`` every change
of a year holds for the whole year (state at 31 December), with ``approval`` it holds from the month of its approval on.
Under one key the spans never overlap: a join on the key whose span contains the record's month finds at most one row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal

from conf.settings import CONVENTIONS
from jobs.reference.place_book import PlaceBook
from jobs.transforms.places import PlaceReference, place_number
from schemas.places import CITY_KINDS, INSIDE_TYPES, OPEN_END

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

Convention = Literal["year_end", "approval"]
ZONE_ENDINGS = (
    "其他", "其它", "开发区", "经济开发区", "经济技术开发区", "高新区", "高新技术开发区", "高新技术产业开发区",
    "保税区", "保税港区", "综合保税区", "出口加工区", "保税物流园区", "物流园区",
)
"""What customs writes after a place for its zones and its rest; the place stays the same."""
KINDS_WITH_ENDINGS = ("province", "prefecture", "prefecture_short", "with_province", "unit", "historic", "misspelt")
SURE_OF_VOTE = {0: 0.90, 1: 0.70, 2: 0.92, 3: 0.98}
"""Confidence in a unit by the number of lists that agree; 0 = a delivery area that is wholly one city."""
SURE_OF_USER = 0.99
PLACE_TYPE = (
    "place bigint, prefecture_code string, city_id string, is_whole boolean, in_ambiguous_city boolean, unit_code string,"
    " unit_type string, method string, digits int, n_sources int, share double, is_shared boolean"
)
LOCAL_RELATION_THRESHOLD = "spark.sql.execution.arrow.localRelationThreshold"
SPAN_TYPE = "from_month int, to_month int"


@dataclass(frozen=True, slots=True)
class Lookups:
    """Rows of the three look-ups as dictionaries.

    Attributes
    ----------
    postcodes : list of dict
        ``prefix4, from_month, to_month, place, digits``; where four digits do not settle the place, ``place`` is None
        and ``digits`` says how many are needed.
    shared : list of dict
        ``key, from_month, to_month, places``: the heads of these postcodes with their candidates, best first.
    texts : list of dict
        ``alias, from_month, to_month, province_code, place``; ``place`` is None for a province.
    districts : list of dict
        ``code4, from_month, to_month, place``.
    """

    postcodes: list[dict]
    shared: list[dict]
    texts: list[dict]
    districts: list[dict]


def build_lookups(book: PlaceBook, *, convention: Convention = "year_end") -> Lookups:
    """Turn a place book into look-ups.

    Raises
    ------
    ValueError
        If the convention is unknown.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"convention: expected one of {', '.join(CONVENTIONS)}; found {convention!r}.")
    gazetteer = Gazetteer(book, convention)
    plain, shared = _postcode_rows(book, gazetteer)
    return Lookups(
        postcodes=plain,
        shared=shared,
        texts=list(_text_rows(book, gazetteer)),
        districts=list(_district_rows(book, gazetteer)),
    )


class Gazetteer:
    """Units and prefectures by code and month."""

    def __init__(self, book: PlaceBook, convention: Convention) -> None:
        self._by_approval = convention == "approval"
        self.units: dict[str, list[tuple[int, int, str, str]]] = {}
        for row in book.units.itertuples():
            span = (self._month(row.valid_from, row.approved_on), self._month(row.valid_to, row.ended_on))
            self.units.setdefault(row.unit_code, []).append((*span, row.unit_type, row.prefecture_code))
        self.prefectures: dict[str, list] = {}
        for row in book.prefectures.itertuples():
            self.prefectures.setdefault(row.prefecture_code, []).append(row)
        self._ambiguous: dict[str, list[tuple[int, int]]] = {}
        for row in book.ambiguous.itertuples():
            self._ambiguous.setdefault(row.city_id, []).append((row.valid_from, row.valid_to))

    def _month(self, year: int, date: str) -> int:
        if self._by_approval and date[:4] == str(year):
            return year * 12 + int(date[5:7]) - 1
        return year * 12

    def unit_spans(self, code: str, start: int, end: int) -> Iterator[tuple[int, int, str, str]]:
        """Spans of a unit, cut to years ``[start, end)`` widened to the months its own changes took effect.

        A span is cut again where its prefecture changes: what a unit means depends on both.
        """
        for a, b, kind, prefecture in self.units.get(code, ()):
            if a // 12 < end and start * 12 < b:
                first, last = max(a, start * 12), (b if b // 12 <= end else min(b, end * 12))
                edges = [first, *(month for month in self._changes(prefecture) if first < month < last), last]
                for left, right in zip(edges, edges[1:], strict=False):
                    yield left, right, kind, prefecture

    def _changes(self, prefecture: str) -> list[int]:
        """Months in which a prefecture's kind, name, undivided state or ambiguity begins or ends."""
        months = {12 * year for row in self.prefectures.get(prefecture, ()) for year in (row.valid_from, row.valid_to)}
        months |= {month for a, b, kind, _ in self.units.get(prefecture, ()) if kind == "whole_city" for month in (a, b)}
        months |= {12 * year for span in self._ambiguous.get(prefecture, ()) for year in span}
        return sorted(months)

    def prefecture(self, code: str, month: int):
        """The row of a prefecture in a month; outside its span the nearest row."""
        rows = self.prefectures.get(code, ())
        year = month // 12
        return min(rows, key=lambda r: max(r.valid_from - year, year - r.valid_to + 1, 0), default=None)

    def place(self, prefecture_code: str, month: int, *, unit: str | None = None, kind: str | None = None) -> dict:
        """A place as the look-ups carry it."""
        row = self.prefecture(prefecture_code, month)
        is_city = row is not None and row.kind in CITY_KINDS
        whole = any(a <= month < b and k == "whole_city" for a, b, k, _ in self.units.get(prefecture_code, ()))
        spans = self._ambiguous.get(prefecture_code, ())
        return {
            "prefix": None,
            "prefecture_code": prefecture_code,
            "city_id": row.city_id if is_city else None,
            "unit_code": prefecture_code if whole else unit,
            "unit_type": "whole_city" if whole else kind,
            "n_sources": None,
            "share": None,
            "is_shared": False,
            "is_whole": whole,
            "in_ambiguous_city": any(a <= month // 12 < b for a, b in spans),
        }


def _postcode_rows(book: PlaceBook, gazetteer: Gazetteer) -> tuple[list[dict], list[dict]]:
    """Rows by four digits, and rows by as many digits as it takes for areas of which four do not settle the place."""
    claims: dict[str, list[tuple]] = {}
    for row in book.prefixes.itertuples():
        for start, end, kind, prefecture in gazetteer.unit_spans(row.unit_code, row.valid_from, row.valid_to):
            claims.setdefault(row.prefix[:4], []).append((start, end, row, kind, prefecture))
    plain, shared = [], []
    for prefix4, rows in claims.items():
        spans = [
            (start, end, _candidates([r for r in rows if r[0] <= start < r[1]], gazetteer, start))
            for start, end in _segments((a, b) for a, b, *_ in rows)
        ]
        for start, end, candidates in _merge_equal(spans):
            span = {"from_month": start, "to_month": end}
            settled = list(candidates) == [prefix4] and len(candidates[prefix4]) == 1
            digits = max(map(len, candidates))
            place = candidates[prefix4][0] if settled else None
            plain.append({"prefix4": prefix4, **span, "place": place, "digits": None if settled else digits})
            if not settled:
                shared += _shared_rows(prefix4, digits, candidates, span)
    return plain, shared


def _shared_rows(prefix4: str, digits: int, candidates: dict[str, list[dict]], span: dict) -> Iterator[dict]:
    """One row per postcode head of the given length, with the candidates of its longest prefix."""
    for tail in product("0123456789", repeat=digits - 4):
        key = prefix4 + "".join(tail)
        matching = [prefix for prefix in candidates if key.startswith(prefix)]
        if matching:
            yield {"key": key, **span, "places": candidates[max(matching, key=len)]}


def _candidates(rows: list[tuple], gazetteer: Gazetteer, month: int) -> dict[str, list[dict]]:
    """Prefix to the places it may be, best vote first, districts before counties on a tie."""
    by_prefix: dict[str, list[tuple]] = {}
    for _, _, row, kind, prefecture in rows:
        by_prefix.setdefault(row.prefix, []).append((row, kind, prefecture))
    return {prefix: _places_of(prefix, claims, gazetteer, month) for prefix, claims in sorted(by_prefix.items())}


def _places_of(prefix: str, claims: list[tuple], gazetteer: Gazetteer, month: int) -> list[dict]:
    """Units of one type in one prefecture need no telling apart: they are one place, without a unit code."""
    shared = len({(kind in INSIDE_TYPES, prefecture) for _, kind, prefecture in claims}) > 1
    votes = sum(max(row.n_agree, 1) for row, _, _ in claims)
    groups: dict[tuple[str, str], list] = {}
    for row, kind, prefecture in claims:
        groups.setdefault((prefecture, kind), []).append(row)
    found = []
    for (prefecture, kind), members in groups.items():
        best = max(members, key=lambda row: row.n_agree)
        sure = SURE_OF_USER if best.is_user else SURE_OF_VOTE[best.n_agree]
        weight = sum(max(row.n_agree, 1) for row in members) / votes if shared else 1.0
        unit = best.unit_code if len(members) == 1 else None
        found.append(
            gazetteer.place(prefecture, month, unit=unit, kind=kind)
            | {
                "prefix": prefix, "n_sources": int(best.n_agree), "share": round(sure * weight, 3), "is_shared": shared,
            }
        )
    return sorted(found, key=lambda p: (-p["n_sources"], p["unit_type"] not in INSIDE_TYPES, p["unit_code"] or ""))


def _text_rows(book: PlaceBook, gazetteer: Gazetteer) -> Iterator[dict]:
    provinces = {row.prefecture_code: row.province_code for row in book.prefectures.itertuples()}
    claims: dict[str, list[tuple[int, int, str, dict | None]]] = {}
    for row in book.names.itertuples():
        for start, end, province, place in _named_places(row, gazetteer, provinces):
            for alias in _with_endings(row, place):
                claims.setdefault(alias, []).append((start, end, province, place, alias == row.alias))
    for alias, rows in claims.items():
        # a spelling that is listed as such wins over one that only arises from an ending
        own = [row for row in rows if row[4]] or rows
        places = {(row[2], (row[3] or {}).get("prefecture_code"), (row[3] or {}).get("unit_code")) for row in own}
        reached = 0
        for start, end, province, place, listed in sorted(own, key=lambda row: row[:2]):
            start = max(start, reached)
            if start < end and (listed or len({p[1] for p in places}) == 1):
                yield {
                    "alias": alias, "from_month": start, "to_month": end, "province_code": province, "place": place,
                }
                reached = end


def _named_places(row, gazetteer: Gazetteer, provinces: dict[str, str]) -> Iterator[tuple]:
    if row.kind == "unknown":
        return
    if row.kind == "province":
        yield row.valid_from * 12, row.valid_to * 12, row.prefecture_code, None
        return
    province = provinces[row.prefecture_code]
    if row.unit_code:
        for start, end, kind, prefecture in gazetteer.unit_spans(row.unit_code, row.valid_from, row.valid_to):
            yield start, end, province, gazetteer.place(prefecture, start, unit=row.unit_code, kind=kind)
    for start, end in _prefecture_spans(row, gazetteer):
        if not row.unit_code or not gazetteer.units.get(row.unit_code):
            yield start, end, province, gazetteer.place(row.prefecture_code, start)


def _prefecture_spans(row, gazetteer: Gazetteer) -> Iterator[tuple[int, int]]:
    """Spans in which a prefecture's attributes stay the same, within the spelling's years."""
    years = {row.valid_from, row.valid_to}
    for other in gazetteer.prefectures.get(row.prefecture_code, ()):
        years |= {other.valid_from, other.valid_to}
    for start, end, kind, _ in gazetteer.units.get(row.prefecture_code, ()):
        if kind == "whole_city":
            years |= {start // 12, end // 12}
    for start, end in gazetteer._ambiguous.get(row.prefecture_code, ()):
        years |= {start, end}
    first = min((r.valid_from for r in gazetteer.prefectures.get(row.prefecture_code, ())), default=0)
    last = max((r.valid_to for r in gazetteer.prefectures.get(row.prefecture_code, ())), default=0)
    kept = sorted(y for y in years if max(row.valid_from, first) <= y <= min(row.valid_to, last))
    for start, end in zip(kept, kept[1:], strict=False):
        yield start * 12, end * 12


def _with_endings(row, place: dict | None) -> Iterable[str]:
    yield row.alias
    if row.kind in KINDS_WITH_ENDINGS and (place is None or place["unit_type"] in (None, "county_city", "whole_city")):
        for ending in ZONE_ENDINGS:
            yield row.alias + ending


def _district_rows(book: PlaceBook, gazetteer: Gazetteer) -> Iterator[dict]:
    """Customs' four-digit places: own numbers from the table, otherwise the first four digits of the GB prefecture."""
    own = {row.code: row for row in book.customs_places.itertuples()}
    for code, rows in gazetteer.prefectures.items():
        municipality = rows[0].kind == "municipality"
        numbers = [f"{code[:2]}{n:02d}" for n in range(1, 90)] if municipality else [code[:4]]
        for row in rows:
            for start, end in _prefecture_spans(row, gazetteer):
                for number in numbers:
                    if number not in own and row.kind != "province_direct":
                        yield {
                            "code4": number, "from_month": start, "to_month": end,
                            "place": gazetteer.place(code, start),
                        }
    for row in own.values():
        spans = gazetteer.unit_spans(row.unit_code, 0, OPEN_END) if row.unit_code else ()
        for start, end, kind, prefecture in spans:
            yield {
                "code4": row.code, "from_month": start, "to_month": end,
                "place": gazetteer.place(prefecture, start, unit=row.unit_code, kind=kind),
            }
        if not row.unit_code:
            yield {
                "code4": row.code, "from_month": 0, "to_month": OPEN_END * 12,
                "place": gazetteer.place(row.prefecture_code, 2000 * 12),
            }


def _segments(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    spans = list(spans)
    edges = sorted({edge for span in spans for edge in span})
    for start, end in zip(edges, edges[1:], strict=False):
        if any(a <= start < b for a, b in spans):
            yield start, end


def _merge_equal(spans: list[tuple[int, int, dict]]) -> list[tuple[int, int, dict]]:
    merged: list[tuple[int, int, dict]] = []
    for start, end, value in spans:
        if merged and merged[-1][1] == start and merged[-1][2] == value:
            merged[-1] = (merged[-1][0], end, value)
        else:
            merged.append((start, end, value))
    return merged


def place_reference(spark: SparkSession, book: PlaceBook, *, convention: Convention = "year_end") -> PlaceReference:
    """Turn a place book into the frames that :func:`jobs.transforms.places.resolve_places` joins.

    Parameters
    ----------
    spark : SparkSession
        Session that holds the frames.
    book : PlaceBook
        Shipped or overlaid tables.
    convention : str
        ``year_end`` or ``approval``.
    """
    lookups = build_lookups(book, convention=convention)
    numbers = _PlaceNumbers()
    postcodes = [row | {"place": numbers.of(row["place"])} for row in lookups.postcodes]
    shared = [row | {"places": [*map(numbers.of, row["places"])]} for row in lookups.shared]
    texts = [
        row | {"place": numbers.of(row["place"]), "province": int(row["province_code"][:2])} for row in lookups.texts
    ]
    districts = [row | {"place": numbers.of(row["place"])} for row in lookups.districts]
    return PlaceReference(
        postcodes=to_frame(spark, postcodes, f"prefix4 string, {SPAN_TYPE}, place bigint, digits int"),
        shared=to_frame(spark, shared, f"key string, {SPAN_TYPE}, places array<bigint>"),
        texts=to_frame(spark, texts, f"alias string, {SPAN_TYPE}, province int, place bigint"),
        districts=to_frame(spark, districts, f"code4 string, {SPAN_TYPE}, place bigint"),
        places=to_frame(spark, numbers.rows(), PLACE_TYPE),
        convention=convention,
    )


class _PlaceNumbers:
    """Numbers for places: equal ones share a number (jobs.transforms.places.PlaceReference says how it is made)."""

    def __init__(self) -> None:
        self._numbers: dict[tuple, int] = {}
        self._serials: Counter[tuple[str, str | None]] = Counter()

    def of(self, place: dict | None) -> int | None:
        if place is None:
            return None
        key = tuple(place.items())
        if key not in self._numbers:
            standing = place["prefecture_code"], place["unit_type"]
            self._serials[standing] += 1
            self._numbers[key] = place_number(*standing, self._serials[standing])
        return self._numbers[key]

    def rows(self) -> list[dict]:
        return [
            place | {
                "place": number, "digits": len(place["prefix"] or "") or None,
                "method": f"postcode{len(place['prefix'])}" if place["prefix"] else None,
            }
            for number, place in ((number, dict(key)) for key, number in self._numbers.items())
        ]


def to_frame(spark: SparkSession, rows: list[dict], ddl: str) -> DataFrame:
    """A small look-up as a frame whose rows stand outside the query plan."""
    import pyarrow as pa
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import StructType

    return arrow_to_frame(spark, pa.Table.from_pylist(rows, schema=to_arrow_schema(StructType.fromDDL(ddl))), ddl)


def arrow_to_frame(spark: SparkSession, table: pa.Table, ddl: str | None = None) -> DataFrame:
    """An Arrow table as a frame whose rows stand outside the query plan."""
    before = spark.conf.get(LOCAL_RELATION_THRESHOLD)
    # rows inside the plan are copied by every later step: a run over one record took 9 s, without them 1.3 s
    spark.conf.set(LOCAL_RELATION_THRESHOLD, "0")
    try:
        return spark.createDataFrame(table, schema=ddl)
    finally:
        spark.conf.set(LOCAL_RELATION_THRESHOLD, before)
