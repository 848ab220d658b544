"""Audit of the postcode table: every count that docs/methodology/places.md gives, made again from the reference tables.

    python -m tests.audit.postcodes                                  # what the shipped tables say
    python -m tests.audit.postcodes --units UNITS --seats SEATS      # ... and how right that is, by independent lists

UNITS lists county-level units with intervals (``gb_code, unit_type, prefecture_code, valid_from, valid_to``), SEATS the
postcode of their seats (``gb_code, name, libaddressinput_2010, chinese_postcode_2018, china_region_2019``). Neither is part
of the product. A seat is asked under its city's name, as the most lists give it and as each list gives it.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import polars as pl

from conf.settings import Places
from jobs.commands.explain_places import ask, decide_places
from jobs.kernels.placing import place_records
from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import place_tables
from schemas.places import CITY_KINDS, INSIDE_TYPES
from schemas.reference.builders.common import read_source, seats
from schemas.reference.builders.postcodes import (
    UnitEvidence,
    Zones,
    evidence_by_year,
    is_core,
    is_mainly_inside,
    prefixes_of_year,
)
from schemas.reference.shipped import read_shipped

YEARS = range(2003, 2012)
SEAT_COLUMNS = ("libaddressinput_2010", "chinese_postcode_2018", "china_region_2019")
SPOTS = (
    "524000 湛江", "430400 武汉", "558200 独山", "154100 鹤岗", "745200 宁县", "616250 金阳", "624300 壤塘", "245000 屯溪",
    "431400 新洲", "100101 北京", "100176 北京", "200336 上海", "510660 广州", "116600 大连", "163300 大庆", "257100 东营",
    "061700 沧县", "438800 团风", "200333 普陀", "075100 宣化",
)


def main(arguments: list[str] | None = None) -> int:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--units", type=Path, help="independent list of county-level units with intervals")
    parser.add_argument("--seats", type=Path, help="postcodes of the units' seats")
    parser.add_argument("--cities", type=Path, help="write the digits that settle each city and year to this CSV file")
    options = parser.parse_args(arguments)
    evidence = dict(evidence_by_year(read_shipped("county_units"), seats()))
    print_spots()
    print_table(evidence[2007])
    print_digits(evidence, options.cities)
    print_core(evidence[2007])
    print_ambiguous()
    if options.units and options.seats:
        for columns in (SEAT_COLUMNS, *((name,) for name in SEAT_COLUMNS)):
            print_rates(options.units, options.seats, columns)
    return 0


def print_spots() -> None:
    """Postcodes whose place is beyond doubt."""
    print("Postcodes and what they are in 2005")
    for spot in SPOTS:
        postcode, place = spot.split()
        (answer,) = decide_places([ask(postcode, 2005)], Places())
        first = answer["evidence"]["postcode"][:1]
        name = first[0]["unit_name"] if first else ""
        print(f"  {postcode} {place}: city {answer['city_id']}, unit {answer['unit_code'] or 'any of its districts'}"
              f" ({answer['unit_type']}; most codes {name}), confidence {answer['place_confidence']:.2f}")


def print_table(evidence: Sequence[UnitEvidence]) -> None:
    """Size of the table in 2007 and the claims that do not stand."""
    rows = [row for row in prefixes_of_year(evidence) if len(row[0]) == 4]
    sourced = {row[0] for row in rows if row[2]}
    zones = Zones(evidence)
    refused = [(unit, prefix) for unit in evidence for prefix in unit.prefixes(4) if not zones.stands(unit, prefix)]
    by_lists = sum(prefix not in unit.codes for unit, prefix in refused)
    print(f"\nTable of 2007: {len(sourced):,} prefixes of four digits with a source,"
          f" {len({row[0] for row in rows} - sourced)} without, {len(rows):,} rows;"
          f" {len(refused)} claims refused, {by_lists} of lists and {len(refused) - by_lists} of single codes.")


def print_digits(evidence: Mapping[int, Sequence[UnitEvidence]], path: Path | None) -> None:
    """How many of the directory's codes each length settles, per year and for the cities that need most."""
    counts = pd.DataFrame([row for year in YEARS for row in settled_by(evidence[year], year)])
    print("\nCodes of the directory in prefecture-level cities by the digits that settle city and side of the district line")
    years = counts.groupby("year")[["four", "five", "six", "not"]].sum()
    years["cities by four"] = counts[counts[["five", "six", "not"]].sum(axis=1) == 0].groupby("year").size()
    years["cities"] = counts.groupby("year").size()
    print(years.to_string())
    of_all = years[["four", "five", "six", "not"]].div(years[["four", "five", "six", "not"]].sum(axis=1), axis=0)
    print((100 * of_all).round(1).to_string())
    if path:
        counts.to_csv(path, index=False)


def settled_by(evidence: Sequence[UnitEvidence], year: int) -> Iterator[dict]:
    """One row per city: codes that four, five, six digits settle, and those that none does."""
    directory = read_source("postcode_directory").astype({"n_codes": int, "n_unit_codes": int})
    n_codes = dict(zip(directory["prefix"], directory["n_codes"], strict=True))
    children: dict[str, list[str]] = defaultdict(list)
    for prefix in n_codes:
        if len(prefix) > 4:
            children[prefix[:-1]].append(prefix)
    holders: dict[str, set] = defaultdict(set)
    for unit in evidence:
        for prefix in unit.codes:
            holders[prefix].add(unit.standing)
    cities = {row.prefecture_code: row.name_zh for row in _cities(year).itertuples()}
    found: dict[str, Counter] = {city: Counter() for city in cities}
    names = {4: "four", 5: "five", 6: "six"}

    def walk(prefix: str) -> None:
        owners = {prefecture for _, prefecture in holders[prefix]}
        if len(holders[prefix]) <= 1 or len(prefix) == 6 or not children[prefix]:
            label = names[len(prefix)] if len(holders[prefix]) == 1 else "not"
            for city in owners & set(found):
                found[city][label] += n_codes[prefix]
            return
        for child in children[prefix]:
            walk(child)

    for prefix in n_codes:
        if len(prefix) == 4:
            walk(prefix)
    for city, of in found.items():
        yield {"year": year, "city_id": city, "name": cities[city]} | {n: of[n] for n in ("four", "five", "six", "not")}


def print_core(evidence: Sequence[UnitEvidence]) -> None:
    """How often the rule of the core prefixes is right."""
    n_core, n_right = judge_core_rule(evidence)
    print(f"\nCore prefixes: of {n_core} known prefixes that the rule would call a city's core were they unknown,"
          f" {n_right} ({100 * n_right / n_core:.1f} %) are mainly its districts.")


def judge_core_rule(evidence: Sequence[UnitEvidence]) -> tuple[int, int]:
    """Each known prefix left out in turn: how many the rule would call a core, and how many of these are districts."""
    by_code = {unit.unit_code: unit for unit in evidence}
    zones: dict[str, dict[str, list[UnitEvidence]]] = defaultdict(lambda: defaultdict(list))
    for prefix, unit, n_sources, *_ in prefixes_of_year(evidence):
        if len(prefix) == 4 and n_sources:
            zones[prefix[:3]][prefix].append(by_code[unit])
    n_core = n_right = 0
    for prefixes in zones.values():
        sides = {prefix: is_mainly_inside(prefix, units) for prefix, units in prefixes.items()}
        for prefix, side in sides.items():
            others = {other: value for other, value in sides.items() if other != prefix}
            owners = {unit.prefecture_code for other in others for unit in prefixes[other]}
            if len(owners) == 1 and any(others.values()) and is_core(prefix, others):
                n_core += 1
                n_right += side and {unit.prefecture_code for unit in prefixes[prefix]} == owners
    return n_core, n_right


def print_ambiguous() -> None:
    """Cities that six digits do not separate, per year."""
    rows = _years(read_shipped("ambiguous_cities"))
    counts = {year: int(((rows["valid_from"] <= year) & (rows["valid_to"] > year)).sum()) for year in YEARS}
    print("\nAmbiguous cities: " + ", ".join(f"{year} {n}" for year, n in counts.items()))


def print_rates(units_file: Path, seats_file: Path, columns: Sequence[str]) -> None:
    """Unit-years of prefecture-level cities whose seat, under the city's name, is put on the right side."""
    rows = pd.concat([_seat_years(units_file, seats_file, columns, year) for year in YEARS], ignore_index=True)
    asked = pl.DataFrame({
        "year": rows["year"].to_list(), "postcode": rows["postcode"].to_list(), "production_place": rows["city"].to_list(),
    })
    answers = place_records(asked, place_tables(load_place_book())).to_pandas()
    side = answers["unit_type"].map(lambda kind: kind in INSIDE_TYPES, na_action="ignore")
    rows["outcome"] = "wrong"
    rows.loc[(side == rows["is_inside"]) & (answers["prefecture_code"] == rows["prefecture_code"]), "outcome"] = "right"
    rows.loc[answers["unit_type"].isna(), "outcome"] = "unknown"
    n = len(rows)
    shares = {name: int((rows["outcome"] == name).sum()) for name in ("right", "wrong", "unknown")}
    print(f"\nUnit-years {YEARS[0]}-{YEARS[-1]} of prefecture-level cities, seat by {' and '.join(columns)}: {n:,}; "
          + ", ".join(f"{name} {count:,} ({100 * count / n:.1f} %)" for name, count in shares.items()))
    if len(columns) == 1:
        return
    for is_inside, words in ((False, "outside, read as inside"), (True, "inside, read as outside")):
        wrong = rows[(rows["year"] == 2007) & (rows["outcome"] == "wrong") & (rows["is_inside"] == is_inside)]
        print(f"  2007, {words}: {len(wrong)}: " + ", ".join(f"{row.name_zh} {row.postcode}" for row in wrong.itertuples()))
    unknown = rows[(rows["year"] == 2007) & (rows["outcome"] == "unknown")]
    print(f"  2007, unknown: {len(unknown)}: " + ", ".join(f"{row.name_zh} {row.postcode}" for row in unknown.itertuples()))


def _seat_years(units_file: Path, seats_file: Path, columns: Sequence[str], year: int) -> pd.DataFrame:
    """Units of one year with the seat most lists agree on, in the cities of the year."""
    units = pd.read_csv(units_file, dtype=str, keep_default_na=False)
    units = _years(units)
    units = units[(units["valid_from"] <= year) & (units["valid_to"] > year)]
    listed = pd.read_csv(seats_file, dtype=str, keep_default_na=False)
    listed["postcode"] = [_seat(codes) for codes in listed[list(columns)].itertuples(index=False, name=None)]
    listed = listed[listed["postcode"] != ""].drop_duplicates(["gb_code", "name"])
    units = units.merge(listed[["gb_code", "name", "postcode"]], on=["gb_code", "name"], how="inner")
    units["prefecture_code"] = units["prefecture_code"].where(units["prefecture_code"] != "", units["gb_code"].str[:4] + "00")
    cities = _cities(year).set_index("prefecture_code")["name_zh"]
    units = units[units["prefecture_code"].isin(cities.index)]
    return pd.DataFrame({
        "year": year, "name_zh": units["name"], "postcode": units["postcode"], "prefecture_code": units["prefecture_code"],
        "city": units["prefecture_code"].map(cities), "is_inside": units["unit_type"].eq("district"),
    })


def _seat(codes: Sequence[str]) -> str:
    """The six digits most lists give; of equals those whose four digits have most lists."""
    each = [code for text in codes for code in text.split()]
    heads, whole = Counter(code[:4] for code in each), Counter(each)
    return max(each, key=lambda code: (whole[code], heads[code[:4]]), default="")


def _cities(year: int) -> pd.DataFrame:
    table = _years(read_shipped("prefectures"))
    return table[(table["valid_from"] <= year) & (table["valid_to"] > year) & table["kind"].isin(CITY_KINDS)]


def _years(table: pd.DataFrame) -> pd.DataFrame:
    end = table["valid_to"].replace("", "9999").astype(int)
    return table.assign(valid_from=table["valid_from"].replace("", "0").astype(int), valid_to=end)


if __name__ == "__main__":
    raise SystemExit(main())
