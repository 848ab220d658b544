"""Reference tables of the generated world: cities, postcodes that decide, HS codes by revision, partners.

Reads the shipped look-ups (``schemas/reference``) or a folder with the same file names. The decision worth knowing: a
clean exporter gets a postcode whose longest year-valid prefix names one prefecture and one kind of unit, so the truth
does not rest on doubtful postcodes. Only the cities whose districts share every postcode with a county (Shaoxing is
one) have doubtful ones; the truth marks their records, and they count where ``places.ambiguous`` is ``in``, its default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from typing import Any

import pandas as pd

from jobs.world.errors import WorldReferenceError
from schemas.places import INSIDE_TYPES, OPEN_END

#: Year whose list of prefecture-level cities the study follows (4 municipalities and 282 cities).
CITY_LIST_YEAR = 2003
#: Years every vintage of the generator can write.
ALL_YEARS = tuple(range(2003, 2012))
#: Last digits tried after a four- or five-digit prefix; seat codes end in 00, towns in others.
SUFFIXES = {4: ("00", "01", "03", "11", "24", "38", "52", "67", "81", "96"), 5: ("0", "1", "3", "6"), 6: ("",)}
#: Postcodes kept of one prefix; more would only make the rosters slower to draw.
CODES_PER_PREFIX = 4


@dataclass(frozen=True, slots=True)
class Postcode:
    """A postcode a firm can have, with what it means in each year.

    Attributes
    ----------
    code : str
        Six digits.
    kinds : dict
        Year to ``city`` (district or undivided city), ``county``, ``county_city``; years without an answer are absent.
    prefectures : dict
        Year to prefecture code.
    units : dict
        Year to one of the county-level units that have it.
    is_doubtful : bool
        True when districts and counties of the prefecture share it; its kind is then ``city``, as the default counts it.
    """

    code: str
    kinds: dict[int, str]
    prefectures: dict[int, str]
    units: dict[int, str]
    is_doubtful: bool = False


@dataclass(frozen=True)
class WorldReference:
    """The reference tables the generator reads, all columns as text.

    Attributes
    ----------
    folder : Path or importlib.resources.abc.Traversable
        Where the tables are.
    """

    folder: Any = field(default_factory=lambda: resources.files("schemas") / "reference")

    def table(self, name: str) -> pd.DataFrame:
        """Read one table; every value stays text, so no leading zero is lost."""
        path = self.folder / f"{name}.csv"
        if not path.is_file():
            raise WorldReferenceError(
                f"reference table {name}.csv: expected in {self.folder}, found nothing there. "
                "Build it with schemas/reference/build.py or pass --reference with a folder that has it."
            )
        with path.open("r", encoding="utf-8") as handle:
            return pd.read_csv(handle, dtype=str, keep_default_na=False)

    @cached_property
    def prefectures(self) -> pd.DataFrame:
        """Prefectures with integer ``valid_from`` and ``valid_to``."""
        return with_interval(self.table("prefectures"))

    @cached_property
    def cities(self) -> pd.DataFrame:
        """Cities of the study's list in order of ``city_id``: city_id, province_code, last_year."""
        table = self.prefectures
        cities = table[table["kind"].isin(("municipality", "prefecture_city"))]
        ids = sorted(set(valid_in(cities, CITY_LIST_YEAR)["city_id"]))
        last = cities.groupby("city_id")["valid_to"].max() - 1
        province = cities.drop_duplicates("city_id").set_index("city_id")["province_code"]
        return pd.DataFrame({"city_id": ids, "province_code": province[ids].to_numpy(), "last_year": last[ids].to_numpy()})

    def city_name(self, city_id: str, year: int) -> str:
        """Name the city bears at the end of ``year``."""
        name = self._names.get((city_id, year))
        return name if name is not None else self.prefecture_name(city_id, year)

    def prefecture_name(self, prefecture_code: str, year: int) -> str:
        """Name of any prefecture at the end of ``year``, of its last year where it has gone."""
        table = self.prefectures[self.prefectures["prefecture_code"] == prefecture_code]
        current = valid_in(table, year)
        return (current if len(current) else table)["name_zh"].iloc[-1]

    @cached_property
    def province_names(self) -> dict[str, str]:
        """First two digits to the name of the province."""
        return dict(zip(self.prefectures["province_code"].str[:2], self.prefectures["province_name"], strict=True))

    @cached_property
    def customs_numbers(self) -> dict[str, str]:
        """Prefecture to the first four digits of its codes in customs' list, which are not those of GB/T 2260."""
        rests = self.table("customs_districts")
        rests = rests[(rests["zone_type"] == "other") & (rests["unit_code"] == "")]
        # one number each: the entry's own one, not that of an area it took in, and not that of the city it became
        rests = rests.sort_values("code").drop_duplicates("prefecture_code")
        rests = rests.sort_values(["code", "prefecture_code"]).drop_duplicates("code")
        numbers = dict(zip(rests["prefecture_code"], rests["code"].str[:4], strict=True))
        return {code: numbers.get(code, code[:4]) for code in self.prefectures["prefecture_code"]}

    @cached_property
    def _names(self) -> dict[tuple[str, int], str]:
        return {
            (row.city_id, year): row.name_zh
            for year in ALL_YEARS
            for row in valid_in(self.prefectures, year).itertuples()
        }

    @cached_property
    def city_of_prefecture(self) -> dict[str, str]:
        """Prefecture code to city id, for every prefecture of any year; those that are not cities stand for themselves."""
        codes, cities = self.prefectures["prefecture_code"], self.prefectures["city_id"]
        return dict(zip(codes, cities.where(cities != "", codes), strict=True))

    @cached_property
    def units_of_city(self) -> dict[tuple[str, int], tuple[list[str], list[str]]]:
        """(City id, year) to the codes of its districts (or itself when undivided) and of its other units."""
        units = with_interval(self.table("county_units"))
        cities = units["prefecture_code"].map(self.city_of_prefecture)
        is_inside = units["unit_type"].isin(INSIDE_TYPES)
        found: dict[tuple[str, int], tuple[list[str], list[str]]] = {}
        for year in ALL_YEARS:
            current = valid_in(units, year).sort_values("unit_code")
            for row, city, inside in zip(current.itertuples(), cities[current.index], is_inside[current.index], strict=True):
                found.setdefault((city, year), ([], []))[0 if inside else 1].append(row.unit_code)
        return found

    @cached_property
    def postcodes(self) -> tuple[Postcode, ...]:
        """Every postcode the generator may hand out, in order of its digits."""
        return _usable_postcodes(with_interval(self.table("postcode_prefixes")), with_interval(self.table("county_units")))

    @cached_property
    def known_prefixes(self) -> frozenset[str]:
        """Every prefix of the postcode table, of any year."""
        return frozenset(self.table("postcode_prefixes")["prefix"])

    @cached_property
    def place_texts(self) -> dict[tuple[str, int], tuple[str, ...]]:
        """(Code of a prefecture or county-level unit, year) to the spellings no other place of the year shares."""
        aliases = self.table("place_names")
        if "valid_from" not in aliases:
            aliases = aliases.assign(valid_from="", valid_to="")
        aliases = with_interval(aliases[aliases["prefecture_code"] != ""])
        place = aliases["unit_code"].where(aliases["unit_code"] != "", aliases["prefecture_code"])
        texts: dict[tuple[str, int], list[str]] = {}
        for year in ALL_YEARS:
            current = valid_in(aliases, year).assign(place=place)
            current = current[current["alias"].map(current.groupby("alias")["place"].nunique()).eq(1)]
            for code, alias in zip(current["place"], current["alias"], strict=True):
                texts.setdefault((code, year), []).append(alias)
        return {key: tuple(sorted(set(values))) for key, values in texts.items()}

    @cached_property
    def kilometres_to_sea(self) -> dict[str, float]:
        """City id to great-circle kilometres to the nearest port."""
        table = self.table("city_coordinates")
        return dict(zip(table["city_id"], table["km_nearest_port"].astype(float), strict=True))


def with_interval(table: pd.DataFrame) -> pd.DataFrame:
    """Turn the two interval columns into integers; an empty end is open, an empty start is always."""
    return table.assign(
        valid_from=table["valid_from"].replace("", "0").str[:4].astype(int),
        valid_to=table["valid_to"].replace("", str(OPEN_END)).str[:4].astype(int),
    )


def valid_in(table: pd.DataFrame, year: int) -> pd.DataFrame:
    """Rows that hold in a year."""
    return table[(table["valid_from"] <= year) & (year < table["valid_to"])]


def _usable_postcodes(prefixes: pd.DataFrame, units: pd.DataFrame) -> tuple[Postcode, ...]:
    """Build the postcodes that answer in at least one year: all certain ones, doubtful ones where a city has no other."""
    meanings = {year: _prefix_meanings(valid_in(prefixes, year), valid_in(units, year)) for year in ALL_YEARS}
    studied = prefixes[(prefixes["valid_from"] <= ALL_YEARS[-1]) & (prefixes["valid_to"] > ALL_YEARS[0])]
    ever = frozenset(studied["prefix"])
    usable: list[Postcode] = []
    for prefix in sorted(ever):
        for is_doubtful in (False, True):
            answers = {
                year: meanings[year][prefix]
                for year in ALL_YEARS
                if prefix in meanings[year] and meanings[year][prefix].is_doubtful == is_doubtful
            }
            kinds = {year: answer.kind for year, answer in answers.items()}
            owners = {year: answer.prefecture_code for year, answer in answers.items()}
            units_of = {year: answer.unit_code for year, answer in answers.items()}
            usable += [Postcode(code, kinds, owners, units_of, is_doubtful) for code in _complete(prefix, ever) if answers]
    return tuple(usable)


def _complete(prefix: str, ever: frozenset[str]) -> list[str]:
    """Complete a prefix to six digits that no longer prefix of any year decides instead."""
    codes = [prefix + suffix for suffix in SUFFIXES[len(prefix)]]
    free = [code for code in codes if not any(code[:digits] in ever for digits in range(len(prefix) + 1, 7))]
    return free[:CODES_PER_PREFIX]


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a prefix means in one year."""

    kind: str
    prefecture_code: str
    unit_code: str
    is_doubtful: bool


def _prefix_meanings(prefixes: pd.DataFrame, units: pd.DataFrame) -> dict[str, _Meaning]:
    """Map the prefixes of one year that name one prefecture, and one kind of unit or some district, to their meaning."""
    rows = prefixes.merge(units[["unit_code", "unit_type", "prefecture_code"]], on="unit_code", how="inner")
    kinds = rows["unit_type"].where(rows["unit_type"].eq("county_city"), "county")
    rows["kind"] = kinds.mask(rows["unit_type"].isin(INSIDE_TYPES), "city")
    # a doubtful prefix stands for its first district: firms there name the district beside the city
    rows = rows.sort_values(["prefix", "kind", "unit_code"])
    rows["flagged"] = rows["is_ambiguous"].isin(("1", "True", "true"))
    groups = rows.groupby("prefix")
    first = groups[["kind", "prefecture_code", "unit_code"]].first()  # "city" sorts before the counties
    n_kinds, n_prefectures = groups["kind"].nunique(), groups["prefecture_code"].nunique()
    is_certain = (n_kinds == 1) & ~groups["flagged"].any()
    usable = (n_prefectures == 1) & (is_certain | (first["kind"] == "city"))
    meanings = {}
    for row, certain in zip(first[usable].itertuples(), is_certain[usable], strict=True):
        meanings[row.Index] = _Meaning(row.kind, row.prefecture_code, row.unit_code, not certain)
    return meanings
