"""A directory of postcodes as counts per prefix and county unit, and the units its codes belong to in other years.

The directory lists the codes of every county unit as of 2007 or so. Carried over are not its entries but how many
codes each unit has under four digits; under five and six only where the directory or the seat lists put units there that
have to be told apart. ``python -m schemas.reference.builders.directory LISTING`` makes that table from a listing with columns
``postcode, unit_code``.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from schemas.places import INSIDE_TYPES
from schemas.reference.builders.common import FIRST_YEAR, LAST_YEAR, SEAT_LISTS, read_source, seats

DIRECTORY_YEAR = 2007
"""Year whose units the directory's codes name."""
Lineage = Mapping[str, tuple[str, ...]]


def is_misprint(postcode: str, unit_code: str) -> bool:
    """Whether a postcode is impossible: none at all, or the unit's own division number in its place.

    Examples
    --------
    >>> is_misprint("430422", "430422"), is_misprint("421001", "430422")
    (True, False)
    """
    return postcode == unit_code or not postcode.strip("0")


def count_codes(listing: pd.DataFrame, claimed: Mapping[str, set[str]], standing: Mapping[str, str]) -> pd.DataFrame:
    """Return ``sources/postcode_directory.csv``: prefix, n_codes, unit_code, n_unit_codes.

    Parameters
    ----------
    listing : DataFrame
        ``postcode, unit_code``, one row per code and unit.
    claimed : mapping
        Four digits to the units that a seat list puts there: a reason to look at more digits.
    standing : mapping
        Unit to what it is in all years; units of equal standing need no telling apart.
    """
    pairs = listing[["postcode", "unit_code"]].drop_duplicates()
    pairs = pairs[[not is_misprint(*pair) and pair[1] != "" for pair in pairs.itertuples(index=False, name=None)]]
    rows, open_prefixes = [], {""}
    for digits in (4, 5, 6):
        heads = pairs.assign(prefix=pairs["postcode"].str[:digits])
        heads = heads[[digits == 4 or prefix[:-1] in open_prefixes for prefix in heads["prefix"]]]
        open_prefixes = set()
        for prefix, group in heads.groupby("prefix"):
            counts = group["unit_code"].value_counts()
            rows += [(prefix, group["postcode"].nunique(), unit, int(n)) for unit, n in sorted(counts.items())]
            if len({standing.get(unit, unit) for unit in {*counts.index, *claimed.get(prefix[:4], ())}}) > 1:
                open_prefixes.add(prefix)
    table = pd.DataFrame(rows, columns=["prefix", "n_codes", "unit_code", "n_unit_codes"])
    return table.sort_values(["prefix", "unit_code"]).reset_index(drop=True)


def standings(units: pd.DataFrame) -> dict[str, str]:
    """Unit to its prefecture if it is a district of that one from 2000 on; every other unit stands for itself."""
    always = units[(units["valid_from"].astype(int) == FIRST_YEAR) & (units["valid_to"] == "")]
    always = always[always["unit_type"] == "district"]
    return dict(zip(always["unit_code"], always["prefecture_code"], strict=True))


def directory_counts() -> dict[str, dict[str, int]]:
    """Unit of the directory's year to its number of codes under each prefix."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for row in read_source("postcode_directory").itertuples():
        counts[row.unit_code][row.prefix] = int(row.n_unit_codes)
    return counts


def lineages(units: pd.DataFrame, directory_units: set[str]) -> dict[int, Lineage]:
    """Year to: unit of the directory to the units that have its codes in that year.

    A unit that goes on under its number keeps its codes; otherwise they pass to all its successors, and in years before
    it to all it was made from. Where no change is recorded it is followed by name; a city that has no districts, or a
    district newly made, stands for all districts of its prefecture.
    """
    there = {year: _units_of(units, year) for year in range(FIRST_YEAR, LAST_YEAR + 1)}
    events = read_source("division_events")
    forward, backward = defaultdict(set), defaultdict(set)
    for row in events[events["new_code"] != ""].itertuples():
        forward[int(row.year), row.old_code].add(row.new_code)
        backward[int(row.year), row.new_code].add(row.old_code)
    start = {}
    for unit in sorted(directory_units):
        # a few districts of the listing were merged shortly before
        merged = [code for year in (2005, 2006, 2007) for code in sorted(forward[year, unit])]
        start[unit] = (unit,) if unit in there[DIRECTORY_YEAR] else tuple(merged[:1])
    found = {DIRECTORY_YEAR: start}
    for year in range(DIRECTORY_YEAR + 1, LAST_YEAR + 1):
        found[year] = _follow(found[year - 1], year, forward, there[year - 1], there[year])
    for year in range(DIRECTORY_YEAR - 1, FIRST_YEAR - 1, -1):
        found[year] = _follow(found[year + 1], year + 1, backward, there[year + 1], there[year])
    gone = [unit for unit in start if unit not in there[DIRECTORY_YEAR]]
    return {year: of | {unit: (unit,) for unit in gone if unit in there[year]} for year, of in found.items()}


def _units_of(units: pd.DataFrame, year: int) -> dict[str, tuple[str, str, str]]:
    """Unit to its name, type and prefecture in a year."""
    end = units["valid_to"].replace("", "9999").astype(int)
    rows = units[(units["valid_from"].astype(int) <= year) & (end > year)]
    return {row.unit_code: (row.unit_name, row.unit_type, row.prefecture_code) for row in rows.itertuples()}


def _follow(
    units: Lineage, year: int, events: Mapping[tuple[int, str], set[str]], here: Mapping[str, tuple[str, str, str]],
    there: Mapping[str, tuple[str, str, str]],
) -> dict[str, tuple[str, ...]]:
    """Step one year: by number, then by the year's recorded changes, then by name, then by the prefecture's districts."""
    by_name = {(code[:2], name[:-1]): code for code, (name, _, _) in there.items()}
    districts: dict[str, list[str]] = defaultdict(list)
    for code, (_, kind, prefecture) in there.items():
        if kind in INSIDE_TYPES:
            districts[prefecture].append(code)

    def reach(code: str) -> list[str]:
        name, kind, prefecture = here[code]
        if code in there and there[code][0] == name:
            return [code]
        if after := [other for other in sorted(events.get((year, code), ())) if other in there]:
            return after
        if code in there:
            return [code]
        if same := by_name.get((code[:2], name[:-1])):
            return [same]
        return districts[prefecture] if kind in INSIDE_TYPES else []

    return {unit: tuple(sorted({other for code in codes for other in reach(code)})) for unit, codes in units.items()}


def main(arguments: list[str] | None = None) -> int:
    """Write the counts of a listing to ``sources/postcode_directory.csv``."""
    from schemas.reference.shipped import read_shipped

    (listing,) = sys.argv[1:] if arguments is None else arguments
    claimed: dict[str, set[str]] = defaultdict(set)
    for row in seats().itertuples():
        for code in (getattr(row, name) for name in SEAT_LISTS):
            if code and not is_misprint(code, row.unit_code):
                claimed[code[:4]].add(row.unit_code)
    standing = standings(read_shipped("county_units"))
    table = count_codes(pd.read_csv(listing, dtype=str, keep_default_na=False), claimed, standing)
    path = Path(__file__).parents[1] / "sources" / "postcode_directory.csv"
    path.write_text(table.to_csv(index=False, lineterminator="\n"), "utf-8")
    sys.stdout.write(f"{path.name}: {len(table):,} rows\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
