"""The place reference as tables in memory: shipped, or replaced in part by a user's own files, and checked.

In: ``schemas/reference`` and, named in the settings, a postcode directory, a list of county units and a list of cities.
Out: a :class:`PlaceBook`. A user's row takes precedence: for the years it covers, the shipped rows of its prefix and of
every longer prefix below it give way, and so do the shipped rows of a unit or city the user lists. Files that overlap,
contradict themselves or name unknown units are refused with the offending rows; gaps are reported and allowed.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from conf.settings import Places
from jobs.core.errors import InputRefusedError
from jobs.core.user_tables import read_user_frame
from schemas.places import CITY_KINDS, INSIDE_TYPES, OPEN_END, PREFECTURE_KINDS, USER_NAME
from schemas.reference.shipped import read_shipped

log = logging.getLogger("customs_lake")

UNIT_TYPES = ("district", "county", "county_city", "whole_city")
MAX_EXAMPLES = 5
POSTCODE_COLUMNS = ("prefix", "unit_code", "valid_from", "valid_to")
UNIT_COLUMNS = ("unit_code", "unit_name", "unit_type", "prefecture_code", "valid_from", "valid_to")
CITY_COLUMNS = ("prefecture_code", "city_id", "name_zh", "kind", "province_code", "valid_from", "valid_to")
REGION_COLUMN = "province_code"
REGION_PREFIX = "region_"


class PlaceFileError(InputRefusedError):
    """Raised when a user's postcode, unit or region file cannot be used; the message shows the offending rows."""


@dataclass(frozen=True, slots=True)
class PlaceBook:
    """Interval tables of places, years as integers, ``valid_to`` exclusive.

    Attributes
    ----------
    units : DataFrame
        ``unit_code, unit_name, unit_type, prefecture_code, valid_from, valid_to, approved_on, ended_on, source``.
    prefectures : DataFrame
        ``prefecture_code, city_id, name_zh, kind, province_code, valid_from, valid_to``.
    prefixes : DataFrame
        ``prefix, unit_code, n_sources, n_agree, is_user, valid_from, valid_to``.
    names : DataFrame
        ``alias, prefecture_code, unit_code, kind, valid_from, valid_to``.
    ambiguous : DataFrame
        ``city_id, units_outside, valid_from, valid_to``.
    districts : DataFrame
        Customs' list: ``code, name, zone_type, prefecture_code, unit_code, side, valid_from, valid_to``.
    district_names : DataFrame
        ``alias, code, needs_province``.
    """

    units: pd.DataFrame
    prefectures: pd.DataFrame
    prefixes: pd.DataFrame
    names: pd.DataFrame
    ambiguous: pd.DataFrame
    districts: pd.DataFrame
    district_names: pd.DataFrame


def configured_place_book(places: Places) -> PlaceBook:
    """Read the shipped tables and lay the files named in the settings over them."""
    return load_place_book(
        user_postcodes=places.user_postcodes, user_units=places.user_units, user_cities=places.user_cities
    )


def user_files_hash(*paths: str | Path) -> str:
    """Hash of the content of the user's files among the paths, for fingerprints; empty when none is named.

    Raises
    ------
    PlaceFileError
        If a file that is named does not exist.
    """
    named = [Path(path) for path in paths if path]
    for path in named:
        if not path.is_file():
            raise PlaceFileError(f"{path}: named in the settings ([places]), but no such file.")
    return hashlib.sha256(b"".join(path.read_bytes() for path in named)).hexdigest() if named else ""


def load_place_book(
    *, user_postcodes: str | Path = "", user_units: str | Path = "", user_cities: str | Path = ""
) -> PlaceBook:
    """Read the shipped tables and lay a user's files over them.

    Parameters
    ----------
    user_postcodes : path, optional
        CSV with ``prefix, unit_code, valid_from, valid_to``.
    user_units : path, optional
        CSV with ``unit_code, unit_name, unit_type, prefecture_code, valid_from, valid_to``.
    user_cities : path, optional
        CSV with ``prefecture_code, city_id, name_zh, kind, province_code, valid_from, valid_to``.

    Raises
    ------
    PlaceFileError
        If a file lacks columns, overlaps, contradicts itself, or names units that do not exist in those years.
    """
    prefixes = with_years(read_shipped("postcode_prefixes")).assign(is_user=False)
    prefixes = prefixes.astype({"n_sources": int, "n_agree": int, "n_codes": int})
    book = PlaceBook(
        units=with_years(read_shipped("county_units")),
        prefectures=with_years(read_shipped("prefectures")),
        prefixes=prefixes.drop(columns="is_ambiguous"),
        names=with_years(read_shipped("place_names")),
        ambiguous=with_years(read_shipped("ambiguous_cities")),
        districts=with_years(read_shipped("customs_districts")),
        district_names=read_shipped("customs_district_names"),
    )
    # postcodes are checked against the units, units against the prefectures
    for path, columns, overlay in (
        (user_cities, CITY_COLUMNS, overlay_cities),
        (user_units, UNIT_COLUMNS, overlay_units),
        (user_postcodes, POSTCODE_COLUMNS, overlay_postcodes),
    ):
        if path:
            table = read_user_file(path, columns)
            with _naming(path):
                book = overlay(book, table)
    return book


@contextlib.contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except PlaceFileError as error:
        raise PlaceFileError(f"{path}: {error}") from error


def with_years(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with its interval as integers; an empty end is :data:`OPEN_END`, an empty start 0."""
    end = table["valid_to"].replace("", str(OPEN_END)).astype(int)
    return table.assign(valid_from=table["valid_from"].replace("", "0").astype(int), valid_to=end)


def read_user_file(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a user's CSV (UTF-8, with or without byte-order mark) and check columns and years.

    Raises
    ------
    PlaceFileError
        If the file is absent, a column is missing or a year is not a number.
    """
    table = read_user_frame(Path(path), columns, error=PlaceFileError)
    with _naming(path):
        _refuse(table[~table["valid_from"].str.fullmatch(r"\d{4}")], "valid_from must be a year of four digits")
        _refuse(table[~table["valid_to"].str.fullmatch(r"(\d{4})?")], "valid_to must be empty or a year of four digits")
        table = with_years(table)
        _refuse(table[table["valid_from"] >= table["valid_to"]], "valid_to (exclusive) must be later than valid_from")
    return table


def overlay_cities(book: PlaceBook, cities: pd.DataFrame) -> PlaceBook:
    """Return the book with a user's cities in force wherever they are valid, under their names.

    A row of another kind than a city takes a prefecture off the list of cities for its years.

    Raises
    ------
    PlaceFileError
        For unknown kinds or provinces, a city without an id or another row with one, intervals of one prefecture that
        overlap, and one id given to two prefectures in a year.
    """
    provinces = book.prefectures.drop_duplicates("province_code").set_index("province_code")["province_name"]
    is_city = cities["kind"].isin(CITY_KINDS)
    _refuse(cities[~cities["prefecture_code"].str.fullmatch(r"\d{6}")], "prefecture_code must have six digits")
    _refuse(cities[~cities["kind"].isin(PREFECTURE_KINDS)], f"kind must be one of {', '.join(PREFECTURE_KINDS)}")
    _refuse(cities[~cities["province_code"].isin(provinces.index)], "province_code is not among the 31 provinces")
    _refuse(cities[cities["name_zh"] == ""], "name_zh is empty")
    _refuse(
        cities[is_city != (cities["city_id"] != "")], f"city_id belongs to rows of kind {' or '.join(CITY_KINDS)} only"
    )
    _refuse(overlapping(cities, ["prefecture_code"]), "intervals of one prefecture overlap")
    _report_gaps(cities, ["prefecture_code"], "prefecture")
    shipped = subtract_intervals(book.prefectures, cities, "prefecture_code", lambda row: (row["prefecture_code"],))
    added = cities.assign(name_en="", province_name=cities["province_code"].map(provinces))[book.prefectures.columns]
    merged = pd.concat([shipped, added], ignore_index=True).sort_values(["prefecture_code", "valid_from"])
    with_id = merged[merged["city_id"] != ""]
    _refuse(overlapping(with_id, ["city_id"]), "one city_id stands for two prefectures in a year", in_file=False)
    return replace(book, prefectures=merged.reset_index(drop=True), names=_with_city_names(book.names, cities))


def _with_city_names(names: pd.DataFrame, cities: pd.DataFrame) -> pd.DataFrame:
    """Spellings with those of a user's cities: the full name always, the short one unless it means another place."""
    full = cities.assign(alias=cities["name_zh"], kind=USER_NAME)
    short = cities.assign(alias=cities["name_zh"].str.removesuffix("市"), kind=USER_NAME)
    taken = names[~names["prefecture_code"].isin(cities["prefecture_code"]) | (names["unit_code"] != "")]
    short = short[(short["alias"] != short["name_zh"]) & ~short["alias"].isin(taken["alias"])]
    added = pd.concat([full, short], ignore_index=True).assign(unit_code="")[names.columns]
    kept = subtract_intervals(names, added, "alias", lambda row: (row["alias"],))
    return pd.concat([kept, added], ignore_index=True)


def overlay_units(book: PlaceBook, units: pd.DataFrame) -> PlaceBook:
    """Return the book with a user's units in force wherever they are valid.

    Raises
    ------
    PlaceFileError
        For unknown types or prefectures, and for intervals of one unit that overlap.
    """
    _refuse(units[~units["unit_type"].isin(UNIT_TYPES)], f"unit_type must be one of {', '.join(UNIT_TYPES)}")
    _refuse(units[~units["unit_code"].str.fullmatch(r"\d{6}")], "unit_code must have six digits")
    known = set(book.prefectures["prefecture_code"])
    _refuse(units[~units["prefecture_code"].isin(known)], "prefecture_code is not among the reference's prefectures")
    _refuse(overlapping(units, ["unit_code"]), "intervals of one unit overlap")
    _report_gaps(units, ["unit_code"], "unit")
    shipped = subtract_intervals(book.units, units, "unit_code", lambda row: (row["unit_code"],))
    added = units.assign(approved_on="", ended_on="", source="user")[book.units.columns]
    merged = pd.concat([shipped, added], ignore_index=True).sort_values(["unit_code", "valid_from"])
    return replace(book, units=merged.reset_index(drop=True))


def overlay_postcodes(book: PlaceBook, prefixes: pd.DataFrame) -> PlaceBook:
    """Return the book with a user's prefixes in force wherever they are valid.

    Raises
    ------
    PlaceFileError
        For prefixes that are not four to six digits, units that do not exist in the years claimed, repeated rows, and
        prefixes that name two units of different type or prefecture in one year.
    """
    _refuse(prefixes[~prefixes["prefix"].str.fullmatch(r"\d{4,6}")], "prefix must have four, five or six digits")
    _refuse(units_absent(prefixes, book.units), "unit_code is not a county unit, or not in all of these years")
    _refuse(overlapping(prefixes, ["prefix", "unit_code"]), "intervals of one prefix and unit overlap")
    _refuse(contradicting(prefixes, book.units), "one prefix names units of different type or prefecture in a year")
    _report_gaps(prefixes, ["prefix"], "prefix")
    shipped = subtract_intervals(
        book.prefixes, prefixes, "prefix", lambda row: {row["prefix"][:digits] for digits in (4, 5, 6)}
    )
    added = prefixes.assign(n_sources=1, n_agree=1, n_codes=1, is_user=True)[book.prefixes.columns]
    merged = pd.concat([shipped, added], ignore_index=True).sort_values(["prefix", "valid_from", "unit_code"])
    ambiguous = _still_ambiguous(book.ambiguous, merged, book.units)
    return replace(book, prefixes=merged.reset_index(drop=True), ambiguous=ambiguous)


def _still_ambiguous(ambiguous: pd.DataFrame, prefixes: pd.DataFrame, units: pd.DataFrame) -> pd.DataFrame:
    """Ambiguous cities less the years in which a user's rows tell their districts from their other units."""
    spans = prefixes[prefixes["prefix"].str.len() == 6].merge(units, on="unit_code", suffixes=("", "_unit"))
    spans = spans[spans["prefecture_code"].isin(ambiguous["city_id"])]
    settled = []
    for row in ambiguous.itertuples():
        last = min(row.valid_to, max(spans["valid_from"].max(), row.valid_from) + 1)
        for year in range(row.valid_from, last):
            now = spans[
                (spans["prefecture_code"] == row.city_id)
                & (spans[["valid_from", "valid_from_unit"]].max(axis=1) <= year)
                & (spans[["valid_to", "valid_to_unit"]].min(axis=1) > year)
            ]
            standings = now["unit_type"].isin(INSIDE_TYPES).groupby(now["prefix"]).nunique()
            if not (standings > 1).any():
                # the last year known stands for all after it
                settled.append((row.city_id, year, row.valid_to if year == last - 1 else year + 1))
    if not settled:
        return ambiguous
    gone = pd.DataFrame(settled, columns=["city_id", "valid_from", "valid_to"])
    return subtract_intervals(ambiguous, gone, "city_id", lambda row: (row["city_id"],))


def load_region_classes(path: str | Path = "") -> pd.DataFrame:
    """Return the shipped region classes; a user's file of ``province_code`` and ``region_...`` columns adds or replaces.

    Raises
    ------
    PlaceFileError
        If there is no region column, a province is unknown, repeated or missing, or a class is empty.
    """
    shipped = read_shipped("region_classes")
    if not path:
        return shipped
    table = read_user_frame(Path(path), (REGION_COLUMN,), error=PlaceFileError)
    with _naming(path):
        return _overlay_regions(shipped, table)


def _overlay_regions(shipped: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    variants = [name for name in table.columns if name.startswith(REGION_PREFIX)]
    if not variants:
        raise PlaceFileError(
            f"expected {REGION_COLUMN} and columns whose names begin with {REGION_PREFIX}, such as region_mine;"
            f" found {', '.join(table.columns)}."
        )
    table = table[[REGION_COLUMN, *variants]]
    _refuse(table[~table[REGION_COLUMN].isin(shipped[REGION_COLUMN])], "province_code is not among the 31 provinces")
    _refuse(table[table[REGION_COLUMN].duplicated(keep=False)], "a province is listed twice")
    _refuse(table[(table == "").any(axis=1)], "a class is empty")
    absent = shipped.loc[~shipped[REGION_COLUMN].isin(table[REGION_COLUMN]), [REGION_COLUMN, "province_name"]]
    _refuse(absent, "provinces missing from the file", in_file=False)
    return shipped.drop(columns=variants, errors="ignore").merge(table, on=REGION_COLUMN, validate="one_to_one")


def overlapping(table: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Rows whose interval overlaps another one under the same key, both of them."""
    ordered = table.sort_values([*key, "valid_from"])
    before = ordered.groupby(key)["valid_to"].transform(lambda ends: ends.shift().cummax())
    after = ordered.groupby(key)["valid_from"].shift(-1)
    return ordered[(ordered["valid_from"] < before) | (after < ordered["valid_to"])]


def gaps(table: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Rows that begin later than the last interval before them under the same key ended."""
    ordered = table.sort_values([*key, "valid_from"])
    before = ordered.groupby(key)["valid_to"].transform(lambda ends: ends.shift().cummax())
    return ordered[ordered["valid_from"] > before]


def units_absent(prefixes: pd.DataFrame, units: pd.DataFrame) -> pd.DataFrame:
    """Rows whose unit does not exist in every year of their interval; an open end asks only for the last known state."""
    by_unit = dict(list(units.groupby("unit_code")))
    absent = []
    for row in prefixes.itertuples():
        rows = by_unit.get(row.unit_code)
        absent.append(rows is None or not _covers(rows, row.valid_from, row.valid_to))
    return prefixes[absent]


def contradicting(prefixes: pd.DataFrame, units: pd.DataFrame) -> pd.DataFrame:
    """Rows of a prefix that in some common year mean another type or prefecture than another row of it."""
    joined = prefixes.reset_index(names="row").merge(units, on="unit_code", suffixes=("", "_unit"))
    joined["start"] = joined[["valid_from", "valid_from_unit"]].max(axis=1)
    joined["end"] = joined[["valid_to", "valid_to_unit"]].min(axis=1)
    joined = joined[joined["start"] < joined["end"]]
    pairs = joined.merge(joined, on="prefix", suffixes=("", "_other"))
    differ = (pairs["unit_type"] != pairs["unit_type_other"]) | (
        pairs["prefecture_code"] != pairs["prefecture_code_other"]
    )
    meet = (pairs["start"] < pairs["end_other"]) & (pairs["start_other"] < pairs["end"])
    return prefixes.loc[sorted(set(pairs.loc[differ & meet & (pairs["row"] != pairs["row_other"]), "row"]))]


def subtract_intervals(
    shipped: pd.DataFrame, user: pd.DataFrame, key: str, governors: Callable[[dict], Iterable[str]]
) -> pd.DataFrame:
    """Shipped rows less the years in which a user's row governs them; a row may split in two.

    ``governors`` gives the values of the user's ``key`` that would govern a shipped row.
    """
    taken: dict[str, list[tuple[int, int]]] = {}
    for value, start, end in zip(user[key], user["valid_from"], user["valid_to"], strict=True):
        taken.setdefault(value, []).append((start, end))
    kept = []
    for row in shipped.to_dict("records"):
        spans = [(row["valid_from"], row["valid_to"])]
        for start, end in (span for value in governors(row) for span in taken.get(value, ())):
            spans = [part for a, b in spans for part in ((a, min(b, start)), (max(a, end), b)) if part[0] < part[1]]
        kept += [row | {"valid_from": a, "valid_to": b} for a, b in spans]
    return pd.DataFrame(kept, columns=shipped.columns)


def _covers(rows: pd.DataFrame, start: int, end: int) -> bool:
    reached = start
    for row in rows.sort_values("valid_from").itertuples():
        if row.valid_from <= reached < row.valid_to:
            reached = row.valid_to
    return reached >= end


def _refuse(rows: pd.DataFrame, what: str, *, in_file: bool = True) -> None:
    """Refuse rows, if there are any; those of a user's file are labelled with their line."""
    if rows.empty:
        return
    shown = "".join(
        f"\n  {f'line {line}: ' if in_file else ''}{_shown(row)}"
        for line, row in rows.head(MAX_EXAMPLES).to_dict("index").items()
    )
    more = f"\n  ... and {len(rows) - MAX_EXAMPLES} more rows" if len(rows) > MAX_EXAMPLES else ""
    raise PlaceFileError(f"{what}:{shown}{more}\nCorrect the file, or leave its setting empty.")


def _shown(row: dict) -> str:
    return ", ".join(f"{name} {'' if value == OPEN_END else value}".rstrip() for name, value in row.items())


def _report_gaps(table: pd.DataFrame, key: list[str], what: str) -> None:
    rows = gaps(table, key)
    if not rows.empty:
        shown = "; ".join(
            f"line {line}: {_shown(row)}"
            for line, row in rows.head(MAX_EXAMPLES)[[*key, "valid_from"]].to_dict("index").items()
        )
        log.warning("%d %s intervals begin after a gap; the shipped rows fill it: %s", len(rows), what, shown)
