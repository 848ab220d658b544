"""What a text of a production place, or a code of customs' list of districts, stands for month by month.

Three sources, the first that knows a spelling in a month wins: names of a user's own cities, customs' list of districts
with its spellings, and the names of prefectures and county-level units. Keys are those of ``schemas.reference.place_keys``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from schemas.places import OPEN_END, USER_NAME
from schemas.reference.place_keys import WITH_HEADS, place_key, province_heads, without_ending

if TYPE_CHECKING:
    from jobs.reference.place_lookups import Gazetteer

OF_USER, OF_DISTRICTS, OF_NAMES = range(3)
OF_COMPOSED = 3
"""Added to the rank of a spelling that only arises from another one with its province in front."""
REST_DIGIT = "9"
"""Fifth digit of the entry that stands for all of a place that has no entry of its own."""


class PlaceFrames(Protocol):
    """Tables of places whose rows ``itertuples`` gives: a :class:`~jobs.reference.place_book.PlaceBook`, or a part of one."""

    @property
    def units(self) -> Any:
        """Units of county level."""

    @property
    def prefectures(self) -> Any:
        """Prefectures and cities."""

    @property
    def prefixes(self) -> Any:
        """Units by the first digits of a postcode."""

    @property
    def names(self) -> Any:
        """Spellings of places."""

    @property
    def ambiguous(self) -> Any:
        """Cities with units outside their districts of the same postcode."""

    @property
    def districts(self) -> Any:
        """Customs' list of districts."""

    @property
    def district_names(self) -> Any:
        """Spellings of them."""


class Claim(NamedTuple):
    """What a key stands for from ``start`` to ``end`` (months): a place, or a whole province when ``place`` is None."""

    rank: int
    start: int
    end: int
    province: str
    place: dict | None


def text_rows(book: PlaceFrames, gazetteer: Gazetteer) -> Iterator[dict]:
    """Rows ``alias, from_month, to_month, province_code, place``; the spans of an alias never overlap."""
    provinces = {row.prefecture_code: row.province_code for row in book.prefectures.itertuples()}
    claims: dict[str, list[Claim]] = {}
    heads = province_heads(book.prefectures)
    for row in book.names.itertuples():
        key, named = place_key(row.alias), list(_named(row, gazetteer, provinces))
        claims.setdefault(key, []).extend(named)
        known_heads = heads.get(row.prefecture_code[:2], []) if row.kind in WITH_HEADS else []
        # 江苏省苏州市昆山 is written with the province's full name, which comes first
        for head in known_heads[:1] if row.kind == "unit_with_place" else known_heads:
            claims.setdefault(head + key, []).extend(claim._replace(rank=claim.rank + OF_COMPOSED) for claim in named)
    for row in _division_codes(book):
        claims.setdefault(row.alias, []).extend(_named(row, gazetteer, provinces))
    entries = _entries(book, gazetteer)
    for row in book.district_names.itertuples():
        for head in heads[row.code[:2]] if row.needs_province == "1" else ("", *heads[row.code[:2]]):
            claims.setdefault(head + row.alias, []).extend(entries[row.code])
    for key, found in claims.items():
        for claim in _first_come(found):
            yield {
                "alias": key, "from_month": claim.start, "to_month": claim.end, "province_code": claim.province,
                "place": claim.place,
            }


def district_rows(book: PlaceFrames, gazetteer: Gazetteer) -> Iterator[dict]:
    """Rows ``code, from_month, to_month, place`` by five digits; a fifth digit not listed stands for the rest."""
    entries = _entries(book, gazetteer)
    for code4 in sorted({code[:4] for code in entries}):
        rest = entries.get(code4 + REST_DIGIT) or entries.get(code4 + "1", [])
        for digit in "0123456789":
            for claim in _first_come(entries.get(code4 + digit, rest)):
                if claim.place is not None:
                    yield {
                        "code": code4 + digit, "from_month": claim.start, "to_month": claim.end, "place": claim.place,
                    }


def find_text(rows_by_alias: dict[str, list[dict]], text: str, month: int) -> dict | None:
    """The row a text finds in a month, as :func:`jobs.kernels.placing.place_records` looks it up; or None."""
    key = place_key(text)
    for candidate in (key, without_ending(key)):
        for row in rows_by_alias.get(candidate, ()):
            if row["from_month"] <= month < row["to_month"]:
                return row
    return None


class _Spelling(NamedTuple):
    """A row as of the names."""

    alias: str
    prefecture_code: str
    unit_code: str
    kind: str
    valid_from: int
    valid_to: int


def _division_codes(book: PlaceFrames) -> Iterator[_Spelling]:
    """The six digits of GB/T 2260 as spellings of a place: some vintages carry them instead of its name (``city11``)."""
    prefectures = {
        _Spelling(row.prefecture_code, row.prefecture_code, "", "code", row.valid_from, row.valid_to)
        for row in book.prefectures.itertuples()
    }
    taken = {row.alias for row in prefectures}
    units = {
        _Spelling(row.unit_code, row.prefecture_code, row.unit_code, "code", row.valid_from, row.valid_to)
        for row in book.units.itertuples() if row.unit_code not in taken
    }
    yield from sorted(prefectures)
    yield from sorted(units)


def _entries(book: PlaceFrames, gazetteer: Gazetteer) -> dict[str, list[Claim]]:
    """Code to what the entry of customs' list stands for."""
    entries: dict[str, list[Claim]] = {}
    for row in book.districts.itertuples():
        entries.setdefault(row.code, []).extend(_entry(row, gazetteer))
    return entries


def _entry(row: Any, gazetteer: Gazetteer) -> Iterator[Claim]:
    province = f"{row.code[:2]}0000"
    if not row.prefecture_code:
        yield Claim(OF_DISTRICTS, row.valid_from * 12, row.valid_to * 12, province, None)
        return
    if row.unit_code and row.unit_code in gazetteer.units:
        for start, end, kind, prefecture in gazetteer.unit_spans(row.unit_code, row.valid_from, row.valid_to):
            place = gazetteer.place(prefecture, start, unit=row.unit_code, kind=kind)
            yield Claim(OF_DISTRICTS, start, end, province, place)
        return
    side = {"inside": "district", "outside": "county"}.get(row.side)
    for start, end in gazetteer.prefecture_spans(row.prefecture_code, row.valid_from, row.valid_to):
        yield Claim(OF_DISTRICTS, start, end, province, gazetteer.place(row.prefecture_code, start, kind=side))


def _named(row: Any, gazetteer: Gazetteer, provinces: dict[str, str]) -> Iterator[Claim]:
    """What a row of the names stands for; nothing for words that say nothing."""
    rank = OF_USER if row.kind == USER_NAME else OF_NAMES
    if row.kind == "unknown":
        return
    if row.kind == "province":
        yield Claim(rank, row.valid_from * 12, row.valid_to * 12, row.prefecture_code, None)
        return
    province = provinces[row.prefecture_code]
    for start, end, kind, prefecture in gazetteer.unit_spans(row.unit_code, row.valid_from, row.valid_to):
        yield Claim(rank, start, end, province, gazetteer.place(prefecture, start, unit=row.unit_code, kind=kind))
    if not gazetteer.units.get(row.unit_code):
        for start, end in gazetteer.prefecture_spans(row.prefecture_code, row.valid_from, row.valid_to):
            yield Claim(rank, start, end, province, gazetteer.place(row.prefecture_code, start))


def _first_come(claims: list[Claim]) -> list[Claim]:
    """Claims cut so that none overlaps one of a better rank, or of its own rank that begins earlier."""
    kept: list[Claim] = []
    if len(claims) == 1:
        return claims
    for claim in sorted(claims, key=lambda one: one[:3]):
        parts = [(claim.start, min(claim.end, OPEN_END * 12))]
        for other in kept:
            parts = [
                part for a, b in parts for part in ((a, min(b, other.start)), (max(a, other.end), b)) if part[0] < part[1]
            ]
        kept += [claim._replace(start=a, end=b) for a, b in parts]
    return sorted(kept, key=lambda one: one.start)
