"""Other ways to count the outcomes, and city-years to leave out, for the robustness pages of the report.

In: ``gold.city_exports``, ``gold.city_product_destination``, ``silver.declaration``. The decision worth knowing: firms whose
name says trading (Ahn, Khandelwal and Wei 2011, their list of words) are intermediaries; goods "exported to China" are
re-imports and are not destinations, but count in the paper's value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from estimation.tables import StudyPanel
from jobs.core.file_tables import scan_years, takes_files
from jobs.core.lake import Lake
from jobs.core.ledger import builds_of
from jobs.runtime.context import JobContext
from schemas import gold, silver
from schemas.panel import OUTCOMES
from schemas.places import OPEN_END
from schemas.reference.shipped import read_shipped
from schemas.table import Table

#: Chinese for importer, exporter, trading, foreign economics and trade.
TRADING_WORDS = "进出口|贸易|外贸|外经|经贸|工贸|科贸"
#: The four municipalities under the central government.
MUNICIPALITIES = frozenset({"110000", "120000", "310000", "500000"})
#: Table whose builds say which years of a table are whole.
BUILT_WITH = {silver.DECLARATION.name: silver.DECLARATION, gold.CITY_PRODUCT_DESTINATION.name: gold.CITY_EXPORTS}
#: Year in which HS 2007 replaced HS 2002.
NEW_REVISION_YEAR = 2007


@dataclass(frozen=True, slots=True)
class Variants:
    """Choices for the robustness pages.

    Attributes
    ----------
    outcomes : dict
        Outcome to (choice to log values aligned with the panel's rows).
    left_out : dict
        Choice to city-years to leave out.
    """

    outcomes: Mapping[str, Mapping[str, pd.Series]]
    left_out: Mapping[str, set[tuple[str, int]]]


def collect_variants(context: JobContext, panel: StudyPanel) -> Variants:
    """Count the outcomes in other ways; a table that is not built yet leaves its variants out."""
    lake = context.lake
    outcomes: dict[str, dict[str, pd.Series]] = {outcome.name: {} for outcome in OUTCOMES}
    if lake.exists(gold.CITY_EXPORTS):
        counts = lake.arrow(gold.CITY_EXPORTS, columns=(
            "city_id", "year", "n_products", "n_products_converted", "n_products_family", "n_destinations",
            "n_partner_codes",
        )).to_pandas()
        for outcome, column, choice in (
            ("lnnum", "n_products", "codes of each year's revision"),
            ("lnnum", "n_products_converted", "codes converted to one revision"),
            ("lnnum", "n_products_family", "families linked over revisions"),
            ("lnnumcou", "n_destinations", "economies"),
            ("lnnumcou", "n_partner_codes", "customs partner codes"),
        ):
            outcomes[outcome][choice] = _aligned(panel, counts, column)
    if lake.exists(gold.CITY_PRODUCT_DESTINATION):
        cube = _counted(lake, gold.CITY_PRODUCT_DESTINATION, scan_without_reimports, count_without_reimports)
        outcomes["lnvalue"]["without re-imports and unknown partners"] = _aligned(panel, cube, "value_usd")
        outcomes["lnnum"]["without re-imports and unknown partners"] = _aligned(panel, cube, "n_products")
    if lake.exists(silver.DECLARATION):
        direct = _counted(lake, silver.DECLARATION, scan_without_intermediaries, count_without_intermediaries)
        for one in OUTCOMES:
            if one.source in direct.columns:
                outcomes[one.name]["without trading companies"] = _aligned(panel, direct, one.source)
    return Variants(outcomes, city_years_to_leave_out(panel))


def _counted(
    lake: Lake, table: Table, scan: Callable[[pl.LazyFrame], pl.LazyFrame], count: Callable[[DataFrame], DataFrame]
) -> pd.DataFrame:
    """Counts of all built years of a table: of its files where they are at hand, else through Spark."""
    if not takes_files(lake, table):
        return count(lake.read(table)).toPandas()
    years = builds_of(lake, BUILT_WITH[table.name]).n_rows
    return scan(scan_years(lake, table, years)).collect(engine="streaming").to_pandas()


def scan_without_reimports(cube: pl.LazyFrame) -> pl.LazyFrame:
    """As :func:`count_without_reimports`."""
    known = cube.filter("is_destination").group_by("city_id", "year")
    return known.agg(pl.col("value_usd").sum(), _n_distinct("hs6_code", "n_products"))


def scan_without_intermediaries(declarations: pl.LazyFrame) -> pl.LazyFrame:
    """As :func:`count_without_intermediaries`."""
    is_trader = pl.col("firm_name").str.contains(TRADING_WORDS).fill_null(False)
    partner = pl.when("is_destination").then("country_iso3").alias("_partner")
    return declarations.filter(~is_trader).with_columns(partner).group_by("city_id", "year").agg(
        pl.col("value_usd").sum(), _n_distinct("hs6_code", "n_products"), _n_distinct("_partner", "n_destinations")
    )


def _n_distinct(code: str, name: str) -> pl.Expr:
    return pl.col(code).drop_nulls().n_unique().cast(pl.Int64).alias(name)


def count_without_reimports(cube: DataFrame) -> DataFrame:
    """Sum the cube over partners that count as destinations."""
    return (
        cube.where("is_destination")
        .groupBy("city_id", "year")
        .agg(F.sum("value_usd").alias("value_usd"), F.countDistinct("hs6_code").alias("n_products"))
        .select("city_id", "year", "value_usd", "n_products")
    )


def count_without_intermediaries(declarations: DataFrame) -> DataFrame:
    """Count what firms sell themselves: records of firms whose name does not say trading."""
    is_trader = F.coalesce(F.col("firm_name").rlike(TRADING_WORDS), F.lit(False))
    return (
        declarations.where(~is_trader)
        .groupBy("city_id", "year")
        .agg(
            F.sum("value_usd").alias("value_usd"),
            F.countDistinct("hs6_code").alias("n_products"),
            F.countDistinct(F.when(F.col("is_destination"), F.col("country_iso3"))).alias("n_destinations"),
        )
        .select("city_id", "year", "value_usd", "n_products", "n_destinations")
    )


def city_years_to_leave_out(panel: StudyPanel) -> dict[str, set[tuple[str, int]]]:
    """Cities and years a referee would want out, by choice."""
    frame = panel.natural
    keys = [(str(city), int(year)) for city, year in zip(frame[panel.entity], frame[panel.time], strict=True)]
    ambiguous: set[tuple[str, int]] = set()
    for row in read_shipped("ambiguous_cities").itertuples():
        first, last = int(row.valid_from), int(row.valid_to or OPEN_END)
        ambiguous |= {key for key in keys if key[0] == row.city_id and first <= key[1] < last}
    choices = {
        "without cities whose postcodes are ambiguous": ambiguous,
        "without the four municipalities": {key for key in keys if key[0] in MUNICIPALITIES},
        f"before {NEW_REVISION_YEAR} only": {key for key in keys if key[1] >= NEW_REVISION_YEAR},
        f"from {NEW_REVISION_YEAR} on only": {key for key in keys if key[1] < NEW_REVISION_YEAR},
    }
    if "share_imputed" in frame and frame["share_imputed"].notna().any():
        imputed = (frame["share_imputed"].fillna(0.0) > 0.5).to_numpy()
        choices["without city-years of mostly imputed productivity"] = {
            key for key, is_out in zip(keys, imputed, strict=True) if is_out
        }
    return {choice: rows for choice, rows in choices.items() if rows}


def _aligned(panel: StudyPanel, counts: pd.DataFrame, column: str) -> pd.Series:
    """Log of a count or sum, in the order of the panel's rows; zero and absent are missing."""
    keyed = counts.astype({"city_id": str}).set_index(["city_id", "year"])[column].astype(float)
    index = pd.MultiIndex.from_arrays([panel.natural[panel.entity].astype(str), panel.natural[panel.time].astype(int)])
    values = keyed.reindex(index)
    return np.log(values.where(values > 0)).reset_index(drop=True)
