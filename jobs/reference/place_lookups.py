"""The place book turned into the small tables that records are joined with, one row per key and span of months.

Time is counted in months (``year * 12 + month - 1``), so one table serves both conventions: with ``year_end`` every change
of a year holds for the whole year (state at 31 December), with ``approval`` it holds from the month of its approval on.
Under one key the spans never overlap: a join on the key whose span contains the record's month finds at most one row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from conf.settings import CONVENTIONS, Convention
from jobs.kernels.placing import PlaceTables, place_number
from jobs.reference.place_texts import PlaceFrames, district_rows, text_rows
from schemas.places import CITY_KINDS, INSIDE_TYPES

SURE_OF_VOTE = {1: 0.70, 2: 0.92, 3: 0.98, 4: 0.99}
"""Confidence in a unit by the number of sources that agree."""
SURE_OF_MANY_CODES = 0.92
"""At least so sure when the directory has :data:`MANY_CODES` codes of the unit under the prefix."""
MANY_CODES = 3
DOMINANT = 0.75
"""Share of the votes of one type and prefecture with which a unit is named; below, only its type is known."""
SURE_OF_DELIVERY_AREA = 0.90
"""Confidence in a whole city that fills a zone no source lists in full."""
SURE_OF_CORE = 0.65
"""Confidence in the districts by a prefix that no source has, from its place in the zone alone."""
SURE_OF_USER = 0.99
SPAN = {"from_month": pl.Int32, "to_month": pl.Int32}
PLACE = {
    "place": pl.Int64, "prefecture_code": pl.String, "city_id": pl.String, "is_whole": pl.Boolean,
    "in_ambiguous_city": pl.Boolean, "unit_code": pl.String, "unit_type": pl.String, "method": pl.String,
    "digits": pl.Int32, "n_sources": pl.Int32, "share": pl.Float64, "is_shared": pl.Boolean,
}


@dataclass(frozen=True, slots=True)
class Lookups:
    """Rows of the three look-ups as dictionaries.

    Attributes
    ----------
    postcodes : list of dict
        ``prefix`` (four to six digits), ``from_month, to_month, places``: what it may be, best candidate first.
    texts : list of dict
        ``alias, from_month, to_month, province_code, place``; ``place`` is None for a province.
    districts : list of dict
        ``code, from_month, to_month, place``, by the five digits of customs' list..
    """

    postcodes: list[dict]
    texts: list[dict]
    districts: list[dict]


def build_lookups(book: PlaceFrames, *, convention: Convention = "year_end") -> Lookups:
    """Turn a place book into look-ups.

    Raises
    ------
    ValueError
        If the convention is unknown.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"convention: expected one of {', '.join(CONVENTIONS)}; found {convention!r}.")
    gazetteer = Gazetteer(book, convention)
    return Lookups(
        postcodes=list(_postcode_rows(book, gazetteer)),
        texts=list(text_rows(book, gazetteer)),
        districts=list(district_rows(book, gazetteer)),
    )


def build_postcodes(book: PlaceFrames, *, convention: Convention = "year_end") -> list[dict]:
    """The rows of postcodes alone, of a book cut to some of them: :attr:`Lookups.postcodes`."""
    return list(_postcode_rows(book, Gazetteer(book, convention)))


class Gazetteer:
    """Units and prefectures by code and month."""

    def __init__(self, book: PlaceFrames, convention: Convention) -> None:
        self._by_approval = convention == "approval"
        self.units: dict[str, list[tuple[int, int, str, str]]] = {}
        for row in book.units.itertuples():
            span = (self._month(row.valid_from, row.approved_on), self._month(row.valid_to, row.ended_on))
            self.units.setdefault(row.unit_code, []).append((*span, row.unit_type, row.prefecture_code))
        self.prefectures: dict[str, list] = {}
        for row in book.prefectures.itertuples():
            self.prefectures.setdefault(row.prefecture_code, []).append(row)
        self._months_of_change: dict[str, list[int]] = {}
        self._districts_only = _spans_of_districts_only(self.units)
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
        if prefecture not in self._months_of_change:
            self._months_of_change[prefecture] = self._find_changes(prefecture)
        return self._months_of_change[prefecture]

    def _find_changes(self, prefecture: str) -> list[int]:
        """Months in which a prefecture's kind, name, undivided state, ambiguity or lack of counties begins or ends."""
        months = {12 * year for row in self.prefectures.get(prefecture, ()) for year in (row.valid_from, row.valid_to)}
        months |= {month for a, b, kind, _ in self.units.get(prefecture, ()) if kind == "whole_city" for month in (a, b)}
        months |= {12 * year for span in self._ambiguous.get(prefecture, ()) for year in span}
        months |= {month for span in self._districts_only.get(prefecture, ()) for month in span}
        return sorted(months)

    def prefecture_spans(self, code: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Months in which a prefecture's attributes stay the same, within the years ``[start, end)`` and its own."""
        rows = self.prefectures.get(code, ())
        if not rows:
            return
        first = 12 * max(start, min(row.valid_from for row in rows))
        last = 12 * min(end, max(row.valid_to for row in rows))
        edges = [first, *(month for month in self._changes(code) if first < month < last), last]
        yield from (span for span in zip(edges, edges[1:], strict=False) if span[0] < span[1])

    def prefecture(self, code: str, month: int) -> Any:
        """The row of a prefecture in a month; outside its span the nearest row."""
        rows = self.prefectures.get(code, ())
        year = month // 12
        return min(rows, key=lambda r: max(r.valid_from - year, year - r.valid_to + 1, 0), default=None)

    def place(self, prefecture_code: str, month: int, *, unit: str | None = None, kind: str | None = None) -> dict:
        """A place as the look-ups carry it; in a city that has districts only, every place is one of a district."""
        row = self.prefecture(prefecture_code, month)
        is_city = row is not None and row.kind in CITY_KINDS
        whole = any(a <= month < b and k == "whole_city" for a, b, k, _ in self.units.get(prefecture_code, ()))
        spans = self._ambiguous.get(prefecture_code, ())
        if unit is None and kind is None:
            districts_only = self._districts_only.get(prefecture_code, ())
            kind = "district" if any(a <= month < b for a, b in districts_only) else None
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


def _spans_of_districts_only(units: dict[str, list[tuple[int, int, str, str]]]) -> dict[str, list[tuple[int, int]]]:
    """Prefecture to the spans of months in which all of its units are districts."""
    by_prefecture: dict[str, list[tuple[int, int, str]]] = {}
    for spans in units.values():
        for start, end, kind, prefecture in spans:
            by_prefecture.setdefault(prefecture, []).append((start, end, kind))
    found: dict[str, list[tuple[int, int]]] = {}
    for prefecture, rows in by_prefecture.items():
        for start, end in _segments((a, b) for a, b, _ in rows):
            if {kind for a, b, kind in rows if a <= start < b} == {"district"}:
                found.setdefault(prefecture, []).append((start, end))
    return found


def _postcode_rows(book: PlaceFrames, gazetteer: Gazetteer) -> Iterator[dict]:
    claims: dict[str, list[tuple]] = {}
    for row in book.prefixes.itertuples():
        for start, end, kind, prefecture in gazetteer.unit_spans(row.unit_code, row.valid_from, row.valid_to):
            claims.setdefault(row.prefix, []).append((start, end, row, kind, prefecture))
    for prefix, rows in claims.items():
        spans = [
            (start, end, _places_of(prefix, [row[2:] for row in rows if row[0] <= start < row[1]], gazetteer, start))
            for start, end in _segments((a, b) for a, b, *_ in rows)
        ]
        for start, end, places in _merge_equal(spans):
            yield {"prefix": prefix, "from_month": start, "to_month": end, "places": places}


def _places_of(prefix: str, claims: list[tuple], gazetteer: Gazetteer, month: int) -> list[dict]:
    """Units of one type in one prefecture need no telling apart: they are one place, without a unit code."""
    shared = len({(kind in INSIDE_TYPES, prefecture) for _, kind, prefecture in claims}) > 1
    votes = sum(_votes(row) for row, _, _ in claims)
    groups: dict[tuple[str, str], list] = {}
    for row, kind, prefecture in claims:
        groups.setdefault((prefecture, kind), []).append(row)
    found = []
    for (prefecture, kind), members in groups.items():
        best = max(members, key=_votes)
        own = sum(_votes(row) for row in members)
        # a neighbour's fringe does not hide the district whose area it is
        unit = best.unit_code if _votes(best) >= DOMINANT * own else None
        place = gazetteer.place(prefecture, month, unit=unit, kind=kind) | {
            "prefix": prefix, "n_sources": int(best.n_agree), "is_shared": shared,
            "share": round(_sureness(best, kind) * (own / votes if shared else 1.0), 3),
        }
        found.append((-own, kind not in INSIDE_TYPES, unit or "", place))
    return [place for *_, place in sorted(found, key=lambda row: row[:3])]


def _votes(row: Any) -> int:
    """Codes and lists behind a candidate; a row that nothing is behind counts as one."""
    return max(row.n_codes + row.n_agree - (row.n_codes > 0), 1)


def _sureness(row: Any, kind: str) -> float:
    if row.is_user:
        return SURE_OF_USER
    if row.n_agree == 0:
        return SURE_OF_DELIVERY_AREA if kind == "whole_city" else SURE_OF_CORE
    return max(SURE_OF_VOTE[row.n_agree], SURE_OF_MANY_CODES if row.n_codes >= MANY_CODES else 0.0)


def _segments(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    spans = list(spans)
    edges = sorted({edge for span in spans for edge in span})
    for start, end in zip(edges, edges[1:], strict=False):
        if any(a <= start < b for a, b in spans):
            yield start, end


def _merge_equal(spans: list[tuple[int, int, list]]) -> list[tuple[int, int, list]]:
    merged: list[tuple[int, int, list]] = []
    for start, end, value in spans:
        if merged and merged[-1][1] == start and merged[-1][2] == value:
            merged[-1] = (merged[-1][0], end, value)
        else:
            merged.append((start, end, value))
    return merged


def place_tables(book: PlaceFrames, *, convention: Convention = "year_end") -> PlaceTables:
    """Turn a place book into the tables that :func:`jobs.kernels.placing.place_records` looks up.

    Parameters
    ----------
    book : PlaceBook, or a part of one
        Shipped or overlaid tables.
    convention : str
        ``year_end`` or ``approval``.
    """
    lookups = build_lookups(book, convention=convention)
    numbers = _PlaceNumbers()
    postcodes = [row | {"places": [*map(numbers.of, row["places"])]} for row in lookups.postcodes]
    texts = [
        row | {"place": numbers.of(row["place"]), "province": int(row["province_code"][:2])} for row in lookups.texts
    ]
    districts = [row | {"place": numbers.of(row["place"])} for row in lookups.districts]
    return PlaceTables(
        postcodes=pl.DataFrame(postcodes, {"prefix": pl.String, **SPAN, "places": pl.List(pl.Int64)}),
        texts=pl.DataFrame(texts, {"alias": pl.String, **SPAN, "province": pl.Int32, "place": pl.Int64}),
        districts=pl.DataFrame(districts, {"code": pl.String, **SPAN, "place": pl.Int64}),
        places=pl.DataFrame(numbers.rows(), PLACE),
        convention=convention,
    )


class _PlaceNumbers:
    """Numbers for places: equal ones share a number (jobs.kernels.placing.PlaceTables says how it is made)."""

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
