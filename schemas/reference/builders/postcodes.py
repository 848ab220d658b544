"""Postcode prefixes of county units, by vote of three independent lists of seat postcodes.

Each list has one postcode per unit, its seat's. Four digits are the delivery area of one county office, so a unit gets
the four digits on which most lists agree. Only where four digits are shared by a district and a unit outside the
districts, or by two prefectures, are five, then six digits added. A prefix may have several rows, its candidates; it is
``is_ambiguous`` when they do not agree on the prefecture and on being inside the districts. Lists: libaddressinput
2010 (a), chinese-postcode 2018 (b), china-region 2019 (c); town postcodes are in none of them, so a user's directory
always knows more.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import pandas as pd

from schemas.places import INSIDE_TYPES, OPEN_END
from schemas.reference.builders.common import FIRST_YEAR, LAST_YEAR, read_source, to_intervals

LISTS = ("postcode_a", "postcode_b", "postcode_c")
DELIVERY_AREAS = {"441900": tuple(f"523{digit}" for digit in range(10))}
"""Whole cities that fill a three-digit postal zone: all of 523 is Dongguan (no list has another unit there)."""


def valid_in(table: pd.DataFrame, year: int) -> pd.DataFrame:
    """Rows of an interval table that hold in a year."""
    end = table["valid_to"].replace("", str(OPEN_END)).astype(int)
    return table[(table["valid_from"].astype(int) <= year) & (end > year)]


def vote(codes: list[str], digits: int) -> dict[str, int]:
    """Return the prefixes that stand after the vote, with the number of lists behind each.

    The most frequent prefix stands alone; when no two lists agree, all stand.

    Examples
    --------
    >>> vote(["312000", "312030", "312000"], 4)
    {'3120': 3}
    >>> vote(["210000", "221000", "221000"], 4)
    {'2210': 2}
    """
    counts = Counter(code[:digits] for code in codes)
    best = max(counts.values(), default=0)
    return {prefix: n for prefix, n in sorted(counts.items()) if n == best}


def seats_of_year(units: pd.DataFrame, seats: pd.DataFrame, year: int) -> list[tuple[str, str, str, list[str]]]:
    """Return (unit_code, unit_type, prefecture_code, postcodes of the lists) of one year."""
    by_key = {
        (row.unit_code, row.unit_name): [code for code in (row.postcode_a, row.postcode_b, row.postcode_c) if code]
        for row in valid_in(seats, year).itertuples()
    }
    by_code = {code: codes for (code, _), codes in by_key.items()}
    found = []
    for row in valid_in(units, year).itertuples():
        codes = by_key.get((row.unit_code, row.unit_name)) or by_code.get(row.unit_code) or []
        found.append((row.unit_code, row.unit_type, row.prefecture_code, codes))
    return found


def prefixes_of_year(seats: list[tuple[str, str, str, list[str]]]) -> list[tuple]:
    """Return candidate rows (prefix, unit_code, n_sources, n_agree, is_ambiguous) of one year."""
    rows = []
    contested = {""}
    for digits in (4, 5, 6):
        candidates = defaultdict(list)
        for unit, kind, prefecture, codes in seats:
            # the lists' votes decide which four digits are the unit's; below that every list's code is evidence
            standing = vote(codes, 4)
            kept = [code for code in codes if code[:4] in standing]
            prefixes = standing if digits == 4 else Counter(code[:digits] for code in kept)
            for prefix, n_agree in prefixes.items():
                if prefix[: digits - 1] in contested or digits == 4:
                    candidates[prefix].append((unit, kind in INSIDE_TYPES, prefecture, len(codes), n_agree))
        contested = set()
        for prefix, units in candidates.items():
            ambiguous = len({(inside, prefecture) for _, inside, prefecture, _, _ in units}) > 1
            if ambiguous:
                contested.add(prefix)
            rows += [(prefix, unit, total, agree, int(ambiguous)) for unit, _, _, total, agree in units]
    return rows


def build_postcode_prefixes(units: pd.DataFrame, seats: pd.DataFrame) -> pd.DataFrame:
    """Return ``postcode_prefixes.csv``."""
    rows = []
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        rows += [(year, *row) for row in prefixes_of_year(seats_of_year(units, seats, year))]
        known = {(row[1], row[2]) for row in rows if row[0] == year}
        rows += [
            (year, prefix, city, 0, 0, 0)
            for city, prefixes in DELIVERY_AREAS.items()
            for prefix in prefixes
            if (prefix, city) not in known
        ]
    values = ["prefix", "unit_code", "n_sources", "n_agree", "is_ambiguous"]
    table = to_intervals(pd.DataFrame(rows, columns=["year", *values]), values)
    return table.sort_values(["prefix", "valid_from", "unit_code"]).reset_index(drop=True)


def build_ambiguous_cities(units: pd.DataFrame, seats: pd.DataFrame) -> pd.DataFrame:
    """Return ``ambiguous_cities.csv``: cities where not even six digits tell districts from the other units."""
    rows = []
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        year_units = seats_of_year(units, seats, year)
        home = {unit: (kind in INSIDE_TYPES, prefecture) for unit, kind, prefecture, _ in year_units}
        by_prefix = defaultdict(set)
        for prefix, unit, *_ in prefixes_of_year(year_units):
            if len(prefix) == 6:
                by_prefix[prefix].add(unit)
        clashes = defaultdict(set)
        for shared in by_prefix.values():
            for unit in shared:
                inside, prefecture = home[unit]
                if not inside and (True, prefecture) in {home[other] for other in shared}:
                    clashes[prefecture].add(unit)
        rows += [(year, city, " ".join(sorted(outside))) for city, outside in clashes.items()]
    values = ["city_id", "units_outside"]
    return to_intervals(pd.DataFrame(rows, columns=["year", *values]), values)


def seats() -> pd.DataFrame:
    """The carried-over seat postcodes of the three lists, and units and cities they print under another name."""
    return pd.concat([read_source("seat_postcodes"), read_source("seat_additions")], ignore_index=True)
