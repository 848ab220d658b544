"""The place reference as tables in memory: shipped, or replaced in part by a user's own files, and checked.

In: ``schemas/reference`` and, named in the settings, a postcode directory and a list of county units. Out: a
:class:`PlaceBook`. A user's row takes precedence: for the years it covers, the shipped rows of its prefix and of every
longer prefix below it give way, and so do the shipped rows of a unit the user lists. Files that overlap, contradict
themselves or name unknown units are refused with the offending rows; gaps are reported and allowed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from jobs.errors import InputRefusedError
from schemas.reference.shipped import read_shipped

logger = logging.getLogger(__name__)

UNIT_TYPES = ("district", "county", "county_city", "whole_city")
INSIDE_TYPES = ("district", "whole_city")
CITY_KINDS = ("municipality", "prefecture_city")
OPEN_END = 9999
MAX_EXAMPLES = 5
POSTCODE_COLUMNS = ("prefix", "unit_code", "valid_from", "valid_to")
UNIT_COLUMNS = ("unit_code", "unit_name", "unit_type", "prefecture_code", "valid_from", "valid_to")
REGION_COLUMN = "province_code"


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
    customs_places : DataFrame
        ``code, prefecture_code, unit_code``.
    """

    units: pd.DataFrame
    prefectures: pd.DataFrame
    prefixes: pd.DataFrame
    names: pd.DataFrame
    ambiguous: pd.DataFrame
    customs_places: pd.DataFrame


def load_place_book(*, user_postcodes: str | Path = "", user_units: str | Path = "") -> PlaceBook:
    """Read the shipped tables and lay a user's files over them.

    Parameters
    ----------
    user_postcodes : path, optional
        CSV with ``prefix, unit_code, valid_from, valid_to``.
    user_units : path, optional
        CSV with ``unit_code, unit_name, unit_type, prefecture_code, valid_from, valid_to``.

    Raises
    ------
    PlaceFileError
        If a file lacks columns, overlaps, contradicts itself, or names units that do not exist in those years.
    """
    prefixes = with_years(read_shipped("postcode_prefixes")).assign(is_user=False)
    prefixes = prefixes.astype({"n_sources": int, "n_agree": int})
    book = PlaceBook(
        units=with_years(read_shipped("county_units")),
        prefectures=with_years(read_shipped("prefectures")),
        prefixes=prefixes.drop(columns="is_ambiguous"),
        names=with_years(read_shipped("place_names")),
        ambiguous=with_years(read_shipped("ambiguous_cities")),
        customs_places=read_shipped("customs_places"),
    )
    if user_units:
        book = overlay_units(book, read_user_file(user_units, UNIT_COLUMNS))
    if user_postcodes:
        book = overlay_postcodes(book, read_user_file(user_postcodes, POSTCODE_COLUMNS))
    return book


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
    path = Path(path)
    if not path.is_file():
        raise PlaceFileError(f"{path}: expected a CSV file with columns {', '.join(columns)}; found no such file.")
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    table.columns = [name.strip() for name in table.columns]
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise PlaceFileError(
            f"{path}: expected columns {', '.join(columns)}; missing {', '.join(missing)};"
            f" found {', '.join(table.columns)}."
        )
    table = table.apply(lambda column: column.str.strip())
    _refuse(table[~table["valid_from"].str.fullmatch(r"\d{4}")], "valid_from must be a year of four digits")
    _refuse(table[~table["valid_to"].str.fullmatch(r"(\d{4})?")], "valid_to must be empty or a year of four digits")
    table = with_years(table)
    _refuse(table[table["valid_from"] >= table["valid_to"]], "valid_to (exclusive) must be later than valid_from")
    return table


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
    _refuse(units[~units["prefecture_code"].isin(known)], "prefecture_code is none of the reference's prefectures")
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
    _refuse(units_absent(prefixes, book.units), "unit_code is no county unit, or not in all of these years")
    _refuse(overlapping(prefixes, ["prefix", "unit_code"]), "intervals of one prefix and unit overlap")
    _refuse(contradicting(prefixes, book.units), "one prefix names units of different type or prefecture in a year")
    _report_gaps(prefixes, ["prefix"], "prefix")
    shipped = subtract_intervals(
        book.prefixes, prefixes, "prefix", lambda row: {row["prefix"][:digits] for digits in (4, 5, 6)}
    )
    added = prefixes.assign(n_sources=1, n_agree=1, is_user=True)[book.prefixes.columns]
    merged = pd.concat([shipped, added], ignore_index=True).sort_values(["prefix", "valid_from", "unit_code"])
    return replace(book, prefixes=merged.reset_index(drop=True))


def load_region_classes(path: str | Path = "") -> pd.DataFrame:
    """Return the shipped region classes, or a user's file of ``province_code`` and one column per variant.

    Raises
    ------
    PlaceFileError
        If a province is unknown, repeated or missing, or a class is empty.
    """
    shipped = read_shipped("region_classes")
    if not path:
        return shipped
    path = Path(path)
    if not path.is_file():
        raise PlaceFileError(f"{path}: expected a CSV file with {REGION_COLUMN} and region columns; found no such file.")
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    if REGION_COLUMN not in table.columns or len(table.columns) < 2:
        raise PlaceFileError(f"{path}: expected {REGION_COLUMN} and a region column; found {', '.join(table.columns)}.")
    _refuse(table[~table[REGION_COLUMN].isin(shipped[REGION_COLUMN])], "province_code is none of the 31 provinces")
    _refuse(table[table[REGION_COLUMN].duplicated(keep=False)], "a province is listed twice")
    _refuse(table[(table == "").any(axis=1)], "a class is empty")
    _refuse(shipped[~shipped[REGION_COLUMN].isin(table[REGION_COLUMN])], "provinces missing from the file")
    return table


def overlapping(table: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Rows whose interval overlaps the interval before it under the same key."""
    ordered = table.sort_values([*key, "valid_from"])
    before = ordered.groupby(key)["valid_to"].transform(lambda ends: ends.shift().cummax())
    return ordered[ordered["valid_from"] < before]


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


def _refuse(rows: pd.DataFrame, what: str) -> None:
    if rows.empty:
        return
    shown = "; ".join(str(row) for row in rows.head(MAX_EXAMPLES).astype(str).to_dict("records"))
    raise PlaceFileError(f"{what}: {len(rows)} rows, e.g. {shown}. Correct the file, or leave its setting empty.")


def _report_gaps(table: pd.DataFrame, key: list[str], what: str) -> None:
    rows = gaps(table, key)
    if not rows.empty:
        shown = "; ".join(str(row) for row in rows.head(MAX_EXAMPLES)[[*key, "valid_from"]].to_dict("records"))
        logger.warning("%d %s intervals begin after a gap; the shipped rows fill it: %s", len(rows), what, shown)
