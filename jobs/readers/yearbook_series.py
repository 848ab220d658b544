"""Tables a user lays beside the yearbook sheets: development zones, exchange rates, deflators.

``etdz.csv``: ``city_id, approved_year`` (and, where known, ``closed_year``, ``source``), or one line per year with
``city_id, year, ETDZ``, in the place of the shipped list (schemas/reference/development_zones.csv).
``exchange_rates.csv``: ``year, cny_per_usd``, in the place of the shipped annual averages (National Bureau of
Statistics, China Statistical Yearbook, table of exchange rates). ``deflators.csv``:
``province_code, year, gdp_deflator`` on any base, since only ratios are used.

The decision worth knowing: a line that cannot be used stops the job with its number. These are small files, made by
hand, and one wrong line moves a whole variable.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import pandas as pd

from jobs.core.errors import InputRefusedError
from jobs.core.user_tables import read_user_table
from jobs.reference.city_names import CityNames
from schemas.reference.shipped import read_shipped

ZONES, EXCHANGE_RATES, DEFLATORS = "etdz.csv", "exchange_rates.csv", "deflators.csv"
SHIPPED_RATES = "conf/exchange_rates.csv"
# how the source of a shipped zone begins, and the last year whose approvals the list has
SHIPPED_ZONES, SHIPPED_ZONES_END = "development_zones.csv", 2011
NATIONAL = "000000"
ZONE_COLUMNS = ("city_id", "approved_year", "closed_year", "zone_source")
SERIES_COLUMNS = ("series", "province_code", "year", "series_value", "series_source")


def read_zones(path: Path | None, cities: CityNames) -> pd.DataFrame:
    """Return one row per city with a zone: ``city_id, approved_year, closed_year, zone_source``.

    The shipped list when no file is given.

    Raises
    ------
    InputRefusedError
        For a missing column, a city that is not one, or a value that is not a year.
    """
    if path is None:
        table = read_shipped("development_zones").astype({"approved_year": int}).assign(closed_year=None)
    else:
        table = _read_zone_file(path, cities)
    # a city with several zones has one from the first approval on
    ordered = table.sort_values(["city_id", "approved_year"])
    return ordered.drop_duplicates("city_id")[list(ZONE_COLUMNS)].reset_index(drop=True)


def read_exchange_rates(path: Path | None) -> pd.DataFrame:
    """Return yuan per US dollar by year as a series; the shipped averages when no file is given."""
    if path is None:
        shipped = resources.files("conf").joinpath("exchange_rates.csv")
        with resources.as_file(shipped) as file:
            return _read_series(file, "cny_per_usd", ("year",), source=SHIPPED_RATES)
    return _read_series(path, "cny_per_usd", ("year",), source=path.name)


def read_deflators(path: Path) -> pd.DataFrame:
    """Return deflators by province and year as a series."""
    return _read_series(path, "gdp_deflator", ("province_code", "year"), source=path.name)


def _read_zone_file(path: Path, cities: CityNames) -> pd.DataFrame:
    rows = read_user_table(path)
    by_year = bool(rows) and {"year", "ETDZ"} <= set(rows[0][1])
    return (_zones_from_years if by_year else _zones_from_approval)(rows, path, cities)


def _zones_from_approval(rows: Sequence[tuple[int, dict]], path: Path, cities: CityNames) -> pd.DataFrame:
    found = []
    for number, row in rows:
        _need(row, ("city_id", "approved_year"), path)
        _need_city(row["city_id"], cities, path, number)
        closed = row.get("closed_year", "")
        found.append(
            (
                row["city_id"], _year(row["approved_year"], path, number), _year(closed, path, number) if closed else None,
                row.get("source") or path.name,
            )
        )
    return pd.DataFrame(found, columns=list(ZONE_COLUMNS))


def _zones_from_years(rows: Sequence[tuple[int, dict]], path: Path, cities: CityNames) -> pd.DataFrame:
    years: dict[str, set[int]] = {}
    last_listed = 0
    for number, row in rows:
        _need(row, ("city_id", "year", "ETDZ"), path)
        _need_city(row["city_id"], cities, path, number)
        year = _year(row["year"], path, number)
        last_listed = max(last_listed, year)
        if row["ETDZ"] not in ("0", "1"):
            raise InputRefusedError(f"{path}: line {number}: ETDZ must be 0 or 1; found {row['ETDZ']!r}.")
        if row["ETDZ"] == "1":
            years.setdefault(row["city_id"], set()).add(year)
    found = []
    for city_id, listed in years.items():
        first, last = min(listed), max(listed)
        if len(listed) != last - first + 1:
            gap = next(year for year in range(first, last) if year not in listed)
            raise InputRefusedError(
                f"{path}: city {city_id} has a zone in {first} and {last}, but not in {gap}. A zone stays until it is closed;"
                " add the year or give approved_year and closed_year instead."
            )
        found.append((city_id, first, last + 1 if last < last_listed else None, path.name))
    return pd.DataFrame(found, columns=list(ZONE_COLUMNS))


def _read_series(path: Path, name: str, keys: tuple[str, ...], *, source: str) -> pd.DataFrame:
    found: dict[tuple[str, int], tuple] = {}
    for number, row in read_user_table(path):
        _need(row, (*keys, name), path)
        province = row.get("province_code", "") if "province_code" in keys else NATIONAL
        # two digits or six
        province = province.ljust(6, "0")
        year = _year(row["year"], path, number)
        try:
            value = float(row[name])
        except ValueError:
            value = -1.0
        if not 0 < value < float("inf"):
            raise InputRefusedError(f"{path}: line {number}: {name} must be a number above 0; found {row[name]!r}.")
        if (province, year) in found:
            raise InputRefusedError(f"{path}: line {number}: a second {name} for {province} in {year}. Keep one.")
        found[province, year] = (name, province, year, value, source)
    return pd.DataFrame(list(found.values()), columns=list(SERIES_COLUMNS))


def _need(row: dict[str, str], columns: tuple[str, ...], path: Path) -> None:
    missing = [name for name in columns if name not in row]
    if missing:
        raise InputRefusedError(f"{path}: expected columns {', '.join(columns)}; missing {', '.join(missing)}.")


def _need_city(city_id: str, cities: CityNames, path: Path, number: int) -> None:
    if not cities.is_city(city_id):
        raise InputRefusedError(
            f"{path}: line {number}: {city_id!r} is not a prefecture-level city (six-digit city_id of prefectures.csv)."
        )


def _year(text: str, path: Path, number: int) -> int:
    if not (text.isdigit() and 1949 <= int(text) <= 2100):
        raise InputRefusedError(f"{path}: line {number}: expected a year; found {text!r}.")
    return int(text)
