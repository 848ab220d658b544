"""Spellings of the entries of customs' list of districts.

The official name, its pinyin; a zone without its province or city, and by its own name alone (外高桥, 漕河泾); names cut at
some length; spellings seen in files; the code itself. All are keys as ``schemas.reference.place_keys`` makes them, so words
for the same sort of zone are one. A spelling that would mean two places is left out. Provinces in front are put on when
the tables are loaded.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from schemas.reference.builders.common import read_source
from schemas.reference.builders.divisions import MUNICIPALITIES
from schemas.reference.builders.names import (
    PREFECTURE_ENDINGS,
    PROVINCE_ENDINGS,
    PROVINCE_PINYIN,
    romanise,
    strip_ending,
)
from schemas.reference.place_keys import place_key, without_ending

SHORTEST_CUT = 8
GENERIC = {"国际", "工业园", "滨海新区"}
"""What is left of some names without their city, and means nothing alone."""
UNIT_WORDS = ("区", "县", "市")
AMBIGUOUS_NAMES = ("海南",)
"""Official names that mean another place more often: 海南 is the prefecture in Qinghai in the list, the province elsewhere."""
OFFICIAL, SEEN, DERIVED, CUT = range(4)


def build_district_names(
    districts: pd.DataFrame, prefectures: pd.DataFrame, place_names: pd.DataFrame
) -> pd.DataFrame:
    """Return ``customs_district_names.csv``: alias, code, needs_province."""
    known = _Known(place_names, districts)
    claims: dict[tuple[str, str], dict[int, set[str]]] = {}
    for rank, spelling, code, needs_province in _claims(prefectures):
        alias = place_key(spelling)
        place = claims.setdefault((alias, code[:2] if needs_province else ""), {})
        place.setdefault(rank, set()).add(code)
    rows = []
    for (alias, province), ranks in claims.items():
        rank = min(ranks)
        code = known.one_place(ranks[rank])
        if code and (rank <= SEEN or known.is_free(alias, code, needs_province=bool(province))):
            rows.append((alias, code, int(bool(province))))
    table = pd.DataFrame(rows, columns=["alias", "code", "needs_province"])
    bare = set(zip(*(table.loc[table["needs_province"] == 0, c] for c in ("alias", "code")), strict=True))
    repeated = [row.needs_province == 1 and (row.alias, row.code) in bare for row in table.itertuples()]
    return table[[not one for one in repeated]].sort_values(["code", "alias"]).reset_index(drop=True)


class _Known:
    """What entries and other spellings mean, to see whether two of them mean the same."""

    def __init__(self, place_names: pd.DataFrame, districts: pd.DataFrame) -> None:
        self._names: dict[str, set[tuple[str, str]]] = {}
        for row in place_names.itertuples():
            self._names.setdefault(place_key(row.alias), set()).add((row.prefecture_code, row.unit_code))
        self._given = {place_key(alias) for alias in read_source("place_spellings")["alias"]}
        self._places: dict[str, list[tuple]] = {}
        for row in districts.itertuples():
            self._places.setdefault(row.code, []).append((row.prefecture_code, row.unit_code, row.side, row.valid_from))

    def one_place(self, codes: set[str]) -> str:
        """The entry a spelling stands for: the only one, or the first of several at one place; empty otherwise."""
        places = {tuple(self._places[code]) for code in codes}
        sides = {(code[:2], tuple((p, s, y) for p, _, s, y in self._places[code])) for code in codes}
        return min(codes) if len(places) == 1 or (len(sides) == 1 and "mixed" not in str(sides)) else ""

    def is_free(self, alias: str, code: str, *, needs_province: bool) -> bool:
        """Whether no other place has the spelling, and it is not known already to mean this one."""
        if needs_province or alias in self._given:
            return needs_province
        meanings = self._names.get(alias, set())
        here = {(prefecture, unit) for prefecture, unit, *_ in self._places[code]}
        return not meanings or (meanings != here and {p for p, _ in meanings} <= {p for p, _ in here})


def _is_zone(code: str) -> bool:
    return code[4] != "9"


def _claims(prefectures: pd.DataFrame) -> Iterator[tuple[int, str, str, bool]]:
    """Every spelling with its rank, entry, and whether it is understood only with the province in front."""
    cities = _city_stems(prefectures)
    provinces = {row.province_code[:2]: strip_ending(row.province_name, PROVINCE_ENDINGS) for row in prefectures.itertuples()}
    for entry in read_source("customs_districts").to_dict("records"):
        code, name = entry["code"], entry["name"]
        if name not in AMBIGUOUS_NAMES:
            yield OFFICIAL, name, code, False
        yield OFFICIAL, name, code, True
        yield OFFICIAL, code, code, False
        province = provinces[code[:2]]
        derived = _zone_spellings(name, code, province, cities) if _is_zone(code) else _plain_spellings(entry)
        for alias, needs_province in derived:
            yield DERIVED, alias, code, needs_province
        for alias, needs_province in _pinyin(name, code, province):
            yield DERIVED, alias, code, needs_province
        for length in range(SHORTEST_CUT, len(name)):
            yield CUT, name[:length], code, False
    for row in read_source("district_spellings").itertuples():
        yield SEEN, row.alias, row.code, False
    for row in read_source("customs_districts").itertuples():
        if row.code[:2] == "11" and row.code[4] == "9":
            park = row.name.removesuffix("其他").removesuffix("区").removesuffix("县")
            yield DERIVED, f"中关村国家自主创新示范区({park}园)", row.code, False


def _city_stems(prefectures: pd.DataFrame) -> dict[str, list[str]]:
    """Province digits to the short names of its prefectures, longest first."""
    stems: dict[str, set[str]] = {}
    for row in prefectures.itertuples():
        if row.kind != "province_direct":
            stem = strip_ending(row.name_zh, (*PREFECTURE_ENDINGS, *PROVINCE_ENDINGS))
            stems.setdefault(row.province_code[:2], set()).add(stem)
    return {province: sorted(names, key=len, reverse=True) for province, names in stems.items()}


def _zone_spellings(name: str, code: str, province: str, cities: dict[str, list[str]]) -> Iterator[tuple[str, bool]]:
    """Name of a zone without its province or city, with 市 after its city, and by its own name alone."""
    key = place_key(name)
    core = without_ending(key) if key != name or without_ending(key) != key else key
    ending = key.removeprefix(core)
    heads = {core}
    for stem in (province, *cities[code[:2]]):
        heads |= {head.removeprefix(stem) for head in heads if head.startswith(stem) and head != stem}
    own_names = {head for head in heads if len(head) >= 2 and not head.startswith((province, *cities[code[:2]]))}
    heads |= {f"{stem}市{head.removeprefix(stem)}" for stem in cities[code[:2]] for head in heads if head.startswith(stem)}
    yield from ((head + ending, False) for head in heads if len(head) >= 2 and head not in GENERIC)
    if ending:
        yield from ((head, False) for head in own_names - {core} - GENERIC)  # 外高桥, 漕河泾


def _plain_spellings(entry: dict) -> Iterator[tuple[str, bool]]:
    """Other endings of places that are not zones: 长寿区 for 长寿县, 惠民地区 for 惠民."""
    name = entry["name"].removesuffix("其他")
    if entry["scope"] == "province":
        return
    yield name, entry["code"][:2] in MUNICIPALITIES
    stem = name[:-1] if name[-1] in UNIT_WORDS and len(name) > 2 else name
    if entry["scope"] == "unit":
        yield from ((stem + word, True) for word in ("", *UNIT_WORDS))
    elif stem == name:
        yield from ((stem + word, False) for word in ("地区", "市"))


def _pinyin(name: str, code: str, province: str) -> tuple[tuple[str, bool], ...]:
    plain = name.removesuffix("其他")
    stem = plain[:-1] if plain[-1] in UNIT_WORDS and not _is_zone(code) and len(plain) > 2 else plain
    letters = PROVINCE_PINYIN.get(province, romanise(province).upper())
    spelt = romanise(stem).upper()
    if code[2:] == "909" or _is_zone(code) and stem.startswith(province):
        return () if code[2:] == "909" else ((spelt, False),)
    alone = () if code[:2] in MUNICIPALITIES and not _is_zone(code) else ((spelt, False),)
    return (*alone, (letters + spelt, False))
