"""The look-ups as the jobs take them: tables under the settings of places, and the hash of all they are made from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from conf.settings import Places, Settings
from jobs.core.direct import arrow_schema
from jobs.kernels.parsing import CodeTables
from jobs.kernels.placing import PlaceTables
from jobs.reference.codebooks import partner_table, product_table, read_correlations
from jobs.reference.place_book import configured_place_book, user_files_hash
from jobs.reference.place_lookups import place_tables
from jobs.runtime.context import JobContext
from schemas.reference.shipped import TABLE_NAMES, read_shipped
from schemas.table import Table


@dataclass(frozen=True, slots=True)
class References:
    """Look-ups of the cleaning job."""

    places: PlaceTables
    codes: CodeTables


@cache
def load_references(places: Places, base_revision: str, user_correlations: str = "") -> References:
    """Return the look-ups under the settings of places, product families joined by a user's correlations."""
    return References(
        places=place_tables(configured_place_book(places), convention=places.convention),
        codes=CodeTables(
            product_table(base_revision=base_revision, user_correlations=user_correlations), partner_table()
        ),
    )


def references_for(context: JobContext) -> References:
    """Return the look-ups under a context's settings."""
    count = context.settings.count
    return load_references(context.settings.places, count.base_revision, count.user_correlations)


def check_user_files(_: object, settings: Settings) -> None:
    """Look at the user's own reference files before a run begins; those that are not there are said elsewhere.

    Raises
    ------
    PlaceFileError, ProductFileError
    """
    places, correlations = settings.places, settings.count.user_correlations
    own = [path for path in (places.user_postcodes, places.user_units, places.user_cities) if path]
    if own and all(Path(path).is_file() for path in own):
        configured_place_book(places)
    if correlations and Path(correlations).is_file():
        read_correlations(correlations)


def reference_hash(settings: Settings) -> str:
    """Hash of all reference content a record's place, product and partner depend on, user files included."""
    places = settings.places
    own = user_files_hash(
        places.user_postcodes, places.user_units, places.user_cities, settings.count.user_correlations
    )
    return hashlib.sha256("".join([*map(content_hash, TABLE_NAMES), own]).encode()).hexdigest()


def city_names(spark: SparkSession, places: Places) -> DataFrame:
    """One row per city: ``city_id, city_name, province_code``, the latest name."""
    rows = [(city, *names) for city, names in names_of_cities(places).items()]
    return spark.createDataFrame(pd.DataFrame(rows, columns=["city_id", "city_name", "province_code"]))


def names_of_cities(places: Places) -> dict[str, tuple[str, str]]:
    """City to its latest name and its province's code."""
    table = configured_place_book(places).prefectures
    table = table.sort_values("valid_from").drop_duplicates("city_id", keep="last")
    table = table[table["city_id"] != ""]
    return {row.city_id: (row.name_zh, row.province_code) for row in table.itertuples()}


def packaged_rows(table: Table) -> pa.Table:
    """A packaged table as rows of its schema's types; empty cells are null."""
    columns, schema = read_shipped(csv_name(table)), arrow_schema(table)
    texts = columns.astype(object).where(columns != "", None)
    return pa.Table.from_arrays(
        [pa.array(texts[field.name], pa.string()).cast(field.type) for field in schema], schema=schema
    )


def csv_name(table: Table) -> str:
    """Name of the shipped file of a reference table."""
    return table.name.split(".")[1]


@cache
def content_hash(name: str) -> str:
    """Hash of a shipped reference file."""
    return hashlib.sha256((resources.files("schemas") / "reference" / f"{name}.csv").read_bytes()).hexdigest()
