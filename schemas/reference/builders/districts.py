"""Customs' list of districts (国内地区代码表) with the city and the side of the district line of each, year by year.

The five digits stand for the place where goods were made, and the name of an entry is what files write under
消费地或生产地. The source gives prefecture, county-level units and side for 2000, 2005 and 2011; the years between and
after follow the units through their conversions. An entry that lies in one unit has that unit's code, and the unit's type
in the year decides; one that lies in several units of the districts is ``inside`` without a unit; one that lies in both, or
is a prefecture, is ``mixed``: the list does not say which, so the postcode has to.
"""

from __future__ import annotations

import pandas as pd

from schemas.reference.builders.common import FIRST_YEAR, LAST_YEAR, read_source, to_intervals
from schemas.reference.builders.divisions import MUNICIPALITIES
from schemas.reference.builders.succession import Succession

ZONE_TYPES = {
    "1": "special_economic_zone", "2": "development_zone", "3": "high_tech_zone", "4": "bonded_zone",
    "5": "export_processing_zone", "6": "bonded_port", "7": "bonded_logistics_park", "9": "other",
}
"""Meaning of the fifth digit."""
SNAPSHOTS = ("2000", "2005", "2011")
INSIDE_TYPES = ("district", "whole_city")
ENTRIES_OF_THE_PROVINCE = {"46901": ("469000", "460000")}
"""Entries that mean the places run by the province itself: Hainan outside Haikou and Sanya."""
VALUES = ["code", "name", "zone_type", "prefecture_code", "unit_code", "side"]


def build_customs_districts(units: pd.DataFrame, prefectures: pd.DataFrame) -> pd.DataFrame:
    """Return ``customs_districts.csv``: one row per entry and span of years in which its place stays the same."""
    succession = Succession(units, prefectures)
    rows = []
    for entry in read_source("customs_districts").to_dict("records"):
        for year in range(FIRST_YEAR, LAST_YEAR + 1):
            prefecture, unit, side = _place(entry, year, succession)
            rows.append((year, entry["code"], entry["name"], ZONE_TYPES[entry["code"][4]], prefecture, unit, side))
    table = to_intervals(pd.DataFrame(rows, columns=["year", *VALUES]), VALUES)
    table = table[[*VALUES, "valid_from", "valid_to"]]
    return table.sort_values(["code", "valid_from"]).reset_index(drop=True)


def _place(entry: dict, year: int, succession: Succession) -> tuple[str, str, str]:
    """Prefecture, unit and side of an entry in a year; empty where the list does not say."""
    snapshot = max((s for s in SNAPSHOTS if int(s) <= year), default=SNAPSHOTS[0])
    if entry["code"] in ENTRIES_OF_THE_PROVINCE:
        row = succession.prefecture(ENTRIES_OF_THE_PROVINCE[entry["code"]], year)
        return row.prefecture_code, "", "outside"
    if entry["scope"] == "province":
        code = entry["code"][:2]
        return (f"{code}0000" if code in MUNICIPALITIES else "", "", "mixed")
    units = _units(entry, year, snapshot, succession)
    if units:
        prefecture = units[0].prefecture_code
        types = {row.unit_type in INSIDE_TYPES for row in units}
        implied = "mixed" if len(types) == 2 else "inside" if types == {True} else "outside"
        side = _stated_side(entry, snapshot, implied, units)
        return prefecture, units[0].unit_code if len(units) == 1 and side == implied else "", side
    row = succession.prefecture([entry[f"prefecture_{s}"] for s in (snapshot, *SNAPSHOTS)], year)
    if row is None:
        return "", "", "mixed"
    side = entry[f"side_{snapshot}"]
    # a zone of a city without districts, or of one whose districts the source does not name
    return row.prefecture_code, "", side if entry["scope"] == "zone" else "mixed"


def _units(entry: dict, year: int, snapshot: str, succession: Succession) -> list:
    """Rows of the entry's units in the year, from the snapshot before it, otherwise from the next that has any."""
    listed = [entry[f"unit_codes_{s}"].split("|") for s in (snapshot, *SNAPSHOTS) if entry[f"unit_codes_{s}"]]
    for codes in listed:
        if all(succession.unit(code, year) is not None for code in codes):
            return succession.units(codes, year)
    return succession.units(listed[0], year) if listed else []


def _stated_side(entry: dict, snapshot: str, implied: str, units: list) -> str:
    """The source's side where it knows better than the units' types: a zone on county land run by the city."""
    stated = entry[f"side_{snapshot}"]
    listed = set(entry[f"unit_codes_{snapshot}"].split("|"))
    known_better = stated in ("inside", "outside", "mixed") and {row.unit_code for row in units} <= listed
    return stated if known_better else implied
