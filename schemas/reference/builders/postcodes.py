"""Postcode prefixes of county units, by vote of three lists of seat postcodes and a directory of all codes.

A list has one postcode per unit, its seat's: libaddressinput 2010 (a), chinese-postcode 2018 (b), china-region 2019 (c).
The directory has every code it knows of a unit (builders/directory.py). A *claim* is a unit under four digits, by some of
these four sources. A list claims the four digits on which most lists agree, the directory all it has codes under. Claims
that do not stand:

- a postcode that is the unit's own division number (a misprint of the lists and of the directory alike);
- a claim in a zone (three digits) where no other unit of the province has a code, and a single code of the directory
  where none of the prefecture has, unless the directory and a list agree, all three lists do, or the directory has the
  unit in no other zone;
- lists against the directory, which has the unit elsewhere and the four digits for others, unless all three agree.

Where the units that stand under four digits differ in prefecture or in being inside the districts, five, then six digits
are added. Each row carries the number of codes behind it, so that a shared prefix can be weighed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from schemas.places import INSIDE_TYPES
from schemas.reference.builders.common import FIRST_YEAR, LAST_YEAR, SEAT_LISTS, to_intervals
from schemas.reference.builders.directory import directory_counts, is_misprint, lineages

DELIVERY_AREAS = {"441900": tuple(f"523{digit}" for digit in range(10))}
"""Whole cities that fill a three-digit postal zone: all of 523 is Dongguan (no list has another unit there)."""
MANY_SHARED = 0.25
"""A city is ambiguous, too, when this share of its districts' codes belongs to other units by six digits."""
PREFIX_VALUES = ["prefix", "unit_code", "n_sources", "n_agree", "n_codes", "is_ambiguous"]


@dataclass(frozen=True)
class UnitEvidence:
    """What the sources say of one unit in one year.

    Attributes
    ----------
    seats : list of str
        Postcode of the seat in each list that has the unit.
    codes : dict
        Prefix of four to six digits to the number of the directory's codes; empty when it does not have the unit.
    """

    unit_code: str
    is_inside: bool
    prefecture_code: str
    seats: Sequence[str]
    codes: Mapping[str, int]

    @property
    def standing(self) -> tuple[bool, str]:
        """What has to be told apart: inside the districts or not, and the prefecture."""
        return self.is_inside, self.prefecture_code

    @property
    def n_sources(self) -> int:
        """Sources that have the unit."""
        return len(self.seats) + bool(self.codes)

    @cached_property
    def listed(self) -> dict[str, int]:
        """The four digits on which the lists agree, with their number."""
        return vote(self.seats, 4)

    def n_lists(self, prefix: str) -> int:
        """Lists whose seat lies under a prefix."""
        if len(prefix) == 4:
            return self.listed.get(prefix, 0)
        # the vote decides which four digits are the unit's; below that every list's code is evidence
        return sum(code.startswith(prefix) for code in self.seats) if prefix[:4] in self.listed else 0

    def prefixes(self, digits: int) -> set[str]:
        """Prefixes of a length under which some source has the unit."""
        under = {code[:digits] for code in self.seats if code[:4] in self.listed}
        return under | {prefix for prefix in self.codes if len(prefix) == digits}


def valid_in(table: pd.DataFrame, year: int) -> pd.DataFrame:
    """Rows of an interval table that hold in a year."""
    end = table["valid_to"].replace("", "9999").astype(int)
    return table[(table["valid_from"].astype(int) <= year) & (end > year)]


def vote(codes: Sequence[str], digits: int) -> dict[str, int]:
    """Return the prefixes that stand after the vote of the lists, with the number of lists behind each.

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


def evidence_by_year(units: pd.DataFrame, seats: pd.DataFrame) -> Iterator[tuple[int, list[UnitEvidence]]]:
    """Every year with the evidence on each of its units."""
    counts = directory_counts()
    lineage = lineages(units, set(counts))
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        by_key = {
            (row.unit_code, row.unit_name): [
                code for code in (getattr(row, name) for name in SEAT_LISTS) if code and not is_misprint(code, row.unit_code)
            ]
            for row in valid_in(seats, year).itertuples()
        }
        by_code = {code: codes for (code, _), codes in by_key.items()}
        codes: dict[str, Counter] = defaultdict(Counter)
        for listed, reached in lineage[year].items():
            for unit in reached:
                codes[unit].update(counts[listed])
        yield year, [
            UnitEvidence(
                row.unit_code, row.unit_type in INSIDE_TYPES, row.prefecture_code,
                by_key.get((row.unit_code, row.unit_name)) or by_code.get(row.unit_code) or [], codes[row.unit_code],
            )
            for row in valid_in(units, year).itertuples()
        ]


class Zones:
    """Codes of each prefecture and province under three digits, and the four digits that are known, by the directory."""

    def __init__(self, evidence: Sequence[UnitEvidence]) -> None:
        self._of_area: Counter[tuple[str, str]] = Counter()
        for unit in evidence:
            for prefix, n in unit.codes.items():
                if len(prefix) == 4:
                    for area in (unit.prefecture_code, unit.prefecture_code[:2]):
                        self._of_area[prefix[:3], area] += n
        self._zones = {zone for zone, _ in self._of_area}
        self._known = {
            prefix for unit in evidence for prefix in unit.codes if len(prefix) == 4 and self._is_in_block(unit, prefix)
        }

    def stands(self, unit: UnitEvidence, prefix: str) -> bool:
        """Whether a claim on four digits stands (the rules are in the module's heading)."""
        is_against = prefix in self._known and prefix not in unit.codes and bool(unit.codes)
        return self._is_in_block(unit, prefix) and (not is_against or unit.n_lists(prefix) == len(SEAT_LISTS))

    def _is_in_block(self, unit: UnitEvidence, prefix: str) -> bool:
        zone, n_lists, n_codes = prefix[:3], unit.n_lists(prefix), unit.codes.get(prefix, 0)
        if zone not in self._zones or n_lists == len(SEAT_LISTS) or (n_lists and n_codes):
            return True
        # what the unit itself has in the zone does not make it its prefecture's or province's
        own = sum(n for other, n in unit.codes.items() if len(other) == 4 and other[:3] == zone)
        if all(other.startswith(zone) for other in unit.codes) and unit.codes:
            return True
        area = unit.prefecture_code if (n_lists, n_codes) == (0, 1) else unit.prefecture_code[:2]
        return self._of_area[zone, area] > own


def prefixes_of_year(evidence: Sequence[UnitEvidence]) -> list[tuple]:
    """Return candidate rows (:data:`PREFIX_VALUES`) of one year."""
    zones = Zones(evidence)
    rows, contested, standing = [], {""}, defaultdict(set)
    for digits in (4, 5, 6):
        candidates: dict[str, list[UnitEvidence]] = defaultdict(list)
        for unit in evidence:
            for prefix in unit.prefixes(digits):
                if digits == 4 and zones.stands(unit, prefix):
                    standing[unit.unit_code].add(prefix)
                if prefix[:4] in standing[unit.unit_code] and (digits == 4 or prefix[:-1] in contested):
                    candidates[prefix].append(unit)
        contested = {prefix for prefix, units in candidates.items() if len({unit.standing for unit in units}) > 1}
        rows += [
            (prefix, unit.unit_code, unit.n_sources, unit.n_lists(prefix) + (prefix in unit.codes),
             unit.codes.get(prefix, 0), int(prefix in contested))
            for prefix, units in candidates.items() for unit in units
        ]
    return rows + assumed_rows(evidence, rows)


def assumed_rows(evidence: Sequence[UnitEvidence], rows: Sequence[tuple]) -> list[tuple]:
    """Rows of four digits that no source has: whole delivery areas, and core prefixes, which are districts."""
    by_code = {unit.unit_code: unit for unit in evidence}
    known: dict[str, list[UnitEvidence]] = defaultdict(list)
    for prefix, unit, *_ in rows:
        if len(prefix) == 4:
            known[prefix].append(by_code[unit])
    whole = [
        (prefix, city) for city, prefixes in DELIVERY_AREAS.items() if city in by_code
        for prefix in prefixes if prefix not in known
    ]
    districts: dict[str, list[str]] = defaultdict(list)
    for unit in evidence:
        if unit.is_inside:
            districts[unit.prefecture_code].append(unit.unit_code)
    core = [
        (prefix, unit) for prefix, city in core_prefixes(known) if (prefix, city) not in whole for unit in districts[city]
    ]
    return [(prefix, unit, 0, 0, 0, 0) for prefix, unit in (*whole, *core)]


def core_prefixes(known: Mapping[str, Sequence[UnitEvidence]]) -> Iterator[tuple[str, str]]:
    """Four digits that no source has but that are a city's core by their place, with the city.

    In a zone all of whose known prefixes are one prefecture's: those ending in 0, which is where a zone's head office is,
    and those whose neighbours on both sides are mainly inside the districts.
    """
    zones: dict[str, dict[str, Sequence[UnitEvidence]]] = defaultdict(dict)
    for prefix, units in known.items():
        zones[prefix[:3]][prefix] = units
    for zone, prefixes in sorted(zones.items()):
        owners = {unit.prefecture_code for units in prefixes.values() for unit in units}
        if len(owners) > 1 or not any(unit.is_inside for units in prefixes.values() for unit in units):
            continue
        for prefix in sorted({f"{zone}{digit}" for digit in range(10)} - set(prefixes)):
            if is_core(prefix, {other: is_mainly_inside(other, units) for other, units in prefixes.items()}):
                yield prefix, next(iter(owners))


def is_mainly_inside(prefix: str, units: Sequence[UnitEvidence]) -> bool:
    """Whether most of the votes for a prefix, codes and lists alike, are for units inside the districts."""
    votes = {True: 0, False: 0}
    for unit in units:
        votes[unit.is_inside] += unit.codes.get(prefix, 0) + unit.n_lists(prefix)
    return votes[True] > votes[False]


def is_core(prefix: str, is_inside: Mapping[str, bool]) -> bool:
    """Whether four digits are a city's core, by their zone's other prefixes and whether those are inside the districts.

    Examples
    --------
    >>> [is_core(prefix, {"2570": True, "2572": True, "2573": False}) for prefix in ("2571", "2574")]
    [True, False]
    """
    below = [inside for other, inside in sorted(is_inside.items()) if other < prefix]
    above = [inside for other, inside in sorted(is_inside.items()) if other > prefix]
    return prefix[3] == "0" or bool(below and above and below[-1] and above[0])


def build_postcode_prefixes(units: pd.DataFrame, seats: pd.DataFrame) -> pd.DataFrame:
    """Return ``postcode_prefixes.csv``."""
    rows = [(year, *row) for year, evidence in evidence_by_year(units, seats) for row in prefixes_of_year(evidence)]
    table = to_intervals(pd.DataFrame(rows, columns=["year", *PREFIX_VALUES]), PREFIX_VALUES)
    return table.sort_values(["prefix", "valid_from", "unit_code"]).reset_index(drop=True)


def build_ambiguous_cities(units: pd.DataFrame, seats: pd.DataFrame) -> pd.DataFrame:
    """Return ``ambiguous_cities.csv``: cities where not even six digits tell districts from the other units.

    Either the lists give a unit outside the districts a seat with the very postcode of a district, and the vote gives
    that postcode to the district; or :data:`MANY_SHARED` of the districts' codes belong to units outside as well.
    """
    rows = []
    for year, evidence in evidence_by_year(units, seats):
        for city, outside in ambiguous_of_year(evidence).items():
            rows.append((year, city, " ".join(sorted(outside))))
    values = ["city_id", "units_outside"]
    return to_intervals(pd.DataFrame(rows, columns=["year", *values]), values)


def ambiguous_of_year(evidence: Sequence[UnitEvidence]) -> dict[str, set[str]]:
    """Ambiguous cities of a year with the units outside their districts that share codes."""
    by_code = {unit.unit_code: unit for unit in evidence}
    holders: dict[str, list[UnitEvidence]] = defaultdict(list)
    for prefix, unit, *_ in prefixes_of_year(evidence):
        if len(prefix) == 6:
            holders[prefix].append(by_code[unit])
    n_codes: Counter[str] = Counter()
    for unit in evidence:
        if unit.is_inside:
            n_codes[unit.prefecture_code] += sum(n for prefix, n in unit.codes.items() if len(prefix) == 4)
    sharing: dict[str, set[str]] = defaultdict(set)
    n_shared: Counter[str] = Counter()
    for members in holders.values():
        for city in {unit.prefecture_code for unit in members if unit.is_inside}:
            outside = {unit.unit_code for unit in members if unit.standing == (False, city)}
            sharing[city] |= outside
            n_shared[city] += bool(outside)
    taken: dict[str, set[str]] = defaultdict(set)
    for unit in evidence:
        if not unit.is_inside and has_lost_its_seat(unit, holders):
            taken[unit.prefecture_code].add(unit.unit_code)
    many = {city for city, n in n_shared.items() if n_codes[city] and n / n_codes[city] >= MANY_SHARED}
    return {city: taken[city] | (sharing[city] if city in many else set()) for city in sorted({*taken, *many})}


def has_lost_its_seat(unit: UnitEvidence, holders: Mapping[str, Sequence[UnitEvidence]]) -> bool:
    """Whether at least half of the lists put a unit's seat under six digits that the city's districts win or share."""
    n_lost = 0
    for seat in unit.seats:
        votes = {True: 0, False: 0}
        for other in holders.get(seat, ()):
            if other.prefecture_code == unit.prefecture_code:
                votes[other.is_inside] += other.n_lists(seat) + (seat in other.codes)
        n_lost += 0 < votes[True] >= votes[False]
    return 2 * n_lost >= len(unit.seats) > 0
