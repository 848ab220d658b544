"""References: the look-up tables written to the lake, and handed to the jobs as frames.

In: ``schemas/reference/*.csv`` and a user's own files named in the settings. Out: the ``ref`` tables, so that a study can
name the versions it used. A table is written again when its content changed.
"""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from conf.settings import Places, Settings
from jobs.core.ledger import build_rows, builds_of, fingerprint
from jobs.reference.codebooks import partner_reference, product_reference
from jobs.reference.place_book import configured_place_book, user_files_hash
from jobs.reference.place_lookups import place_reference
from jobs.runtime.context import JobContext, Outcome, job_main
from jobs.transforms.partners import PartnerReference
from jobs.transforms.places import PlaceReference
from jobs.transforms.products import ProductReference
from schemas import ops
from schemas.reference.shipped import TABLE_NAMES, read_shipped
from schemas.table import Table

# the year a table without years is recorded under in ops.build
TIMELESS = 0
WRITERS = 4


@dataclass(frozen=True, slots=True)
class References:
    """Look-up frames of the cleaning job."""

    places: PlaceReference
    products: ProductReference
    partners: PartnerReference


def run(context: JobContext) -> Outcome:
    """Write the reference tables whose content changed."""
    from schemas.places import TABLES

    lake = context.lake
    wanted = {table: fingerprint(content=_content_hash(_csv_name(table))) for table in TABLES}
    stale = [table for table in TABLES if builds_of(lake, table).fingerprints.get(TIMELESS) != wanted[table]]
    if not stale:
        return Outcome("reference tables are up to date", changed=False)
    with lake.lock(*stale), ThreadPoolExecutor(WRITERS) as pool:
        written = list(pool.map(lambda table: lake.overwrite(table, packaged_frame(context.spark, table)), stale))
    complete = [
        row
        for table, commit in zip(stale, written, strict=True)
        for row in build_rows(context.run_id, table, commit, {TIMELESS: wanted[table]}, {TIMELESS: commit.n_rows})
    ]
    # one commit for all: the ledger would cost more than the tables
    lake.append_rows(ops.BUILD, complete)
    return Outcome(f"{len(stale)} tables, {sum(commit.n_rows for commit in written):,} rows")


@cache
def load_references(spark: SparkSession, places: Places) -> References:
    """Return the look-up frames under the settings of places."""
    return References(
        places=place_reference(spark, configured_place_book(places), convention=places.convention),
        products=product_reference(spark),
        partners=partner_reference(spark),
    )


def references_for(context: JobContext) -> References:
    """Return the look-up frames under a context's settings."""
    return load_references(context.spark, context.settings.places)


def reference_hash(settings: Settings) -> str:
    """Hash of all reference content a record's place, product and partner depend on, user files included."""
    places = settings.places
    own = user_files_hash(places.user_postcodes, places.user_units, places.user_cities)
    return hashlib.sha256("".join([*map(_content_hash, TABLE_NAMES), own]).encode()).hexdigest()


def city_names(spark: SparkSession, places: Places) -> DataFrame:
    """One row per city: ``city_id, city_name, province_code``, the latest name."""
    table = configured_place_book(places).prefectures
    table = table.sort_values("valid_from").drop_duplicates("city_id", keep="last")
    table = table[table["city_id"] != ""].rename(columns={"name_zh": "city_name"})
    return spark.createDataFrame(table[["city_id", "city_name", "province_code"]])


def packaged_frame(spark: SparkSession, table: Table) -> DataFrame:
    """A packaged table as a frame of its schema's types; empty cells are null."""
    columns = read_shipped(_csv_name(table))
    texts = spark.createDataFrame(columns.astype(object).where(columns != "", None), schema=_all_strings(columns))
    return texts.select(*(texts[field.name].cast(field.type).alias(field.name) for field in table.fields))


def _all_strings(columns: pd.DataFrame) -> str:
    return ", ".join(f"`{name}` string" for name in columns.columns)


def _csv_name(table: Table) -> str:
    return table.name.split(".")[1]


@cache
def _content_hash(name: str) -> str:
    return hashlib.sha256((resources.files("schemas") / "reference" / f"{name}.csv").read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(job_main("references", run, __doc__))
