"""Place codes of the survey, year by year, as one small table: code to unit, prefecture and city.

A code of the year itself comes first, then one of the year before (files are coded when they are collected); a code of
neither still names its prefecture by its first four digits. Codes are known from 2000 on; earlier survey years are read
with the state of 2000.
"""

from __future__ import annotations

from collections import Counter

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from jobs.core.frames import rows_to_spark
from jobs.reference.place_book import PlaceBook
from schemas.places import CITY_KINDS

FIRST_SURVEY_YEAR, LAST_SURVEY_YEAR = 1998, 2016
FIRST_KNOWN_YEAR = 2000
COLUMNS = ("year", "code", "unit_code", "unit_type", "prefecture_code", "city_id", "firm_place_method")


def place_table(book: PlaceBook) -> pd.DataFrame:
    """Return one row per year and code of six digits (a unit) or four (a prefecture), columns :data:`COLUMNS`."""
    units = {year: _units_of(book, max(year, FIRST_KNOWN_YEAR)) for year in range(1997, LAST_SURVEY_YEAR + 1)}
    rows: list[tuple] = []
    for year in range(FIRST_SURVEY_YEAR, LAST_SURVEY_YEAR + 1):
        cities = _cities_of(book, max(year, FIRST_KNOWN_YEAR))
        now, before = units[year], units[year - 1]
        prefixes: dict[str, Counter] = {}
        for code, (kind, prefecture) in now.items():
            rows.append((year, code, code, kind, prefecture, cities.get(prefecture), "unit_of_year"))
            prefixes.setdefault(code[:4], Counter())[prefecture] += 1
        for code, (kind, prefecture) in before.items():
            if code not in now:
                rows.append((year, code, code, kind, prefecture, cities.get(prefecture), "unit_of_year_before"))
        for code, votes in prefixes.items():
            # one prefix is one prefecture but for a few counties run by the province: the most frequent one
            prefecture = min(votes, key=lambda name: (-votes[name], name))
            rows.append((year, code, None, None, prefecture, cities.get(prefecture), "prefecture_prefix"))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def place_frame(spark: SparkSession, book: PlaceBook) -> DataFrame:
    """Return :func:`place_table` as a frame."""
    schema = "year int, " + ", ".join(f"{name} string" for name in COLUMNS[1:])
    return rows_to_spark(spark, list(place_table(book).itertuples(index=False, name=None)), schema)


def _units_of(book: PlaceBook, year: int) -> dict[str, tuple[str, str]]:
    units = book.units[(book.units["valid_from"] <= year) & (year < book.units["valid_to"])]
    return {
        code: (kind, prefecture)
        for code, kind, prefecture in zip(
            units["unit_code"], units["unit_type"], units["prefecture_code"], strict=True
        )
    }


def _cities_of(book: PlaceBook, year: int) -> dict[str, str]:
    """City of each prefecture that is a prefecture-level city in the year."""
    table = book.prefectures
    table = table[(table["valid_from"] <= year) & (year < table["valid_to"]) & table["kind"].isin(CITY_KINDS)]
    return dict(zip(table["prefecture_code"], table["city_id"], strict=True))
