"""The panel put together: city-years of the study, the sources joined to them, and the finished panel centred and scaled."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.panel import Panel
from conf.yearbook import YearbookConfig, load_yearbook_config
from jobs.core.errors import InputRefusedError
from jobs.core.ledger import builds_of, years_text
from jobs.readers.yearbook_series import SHIPPED_ZONES, SHIPPED_ZONES_END
from jobs.reference.city_names import CityNames, load_city_names
from jobs.runtime.context import JobContext
from jobs.study.missing import MissingReport
from jobs.study.scaling import ScaledPanel, scale_panel
from jobs.transforms.panel import EXPORT_COLUMNS, PanelSources, assemble_panel
from jobs.transforms.variables import widen_yearbook
from schemas import firms, gold
from schemas import panel as tables
from schemas import yearbook as yearbook_tables
from schemas.panel import BASELINE
from schemas.reference.shipped import read_shipped

NATIONAL = "000000"
ZONES_WARNING = (
    f"the shipped list of development zones ends with {SHIPPED_ZONES_END}: in later years ETDZ is 0 in cities whose zone was"
    " approved since. Give your own list, raw/yearbook/etdz.csv"
)
CITY_YEAR_DDL = (
    "city_id string, year int, city_name string, province_code string, km_to_port double, approved_year int,"
    " closed_year int, has_zone_list boolean"
)
log = logging.getLogger("customs_lake")


def panel_years(context: JobContext) -> list[int]:
    """Return the years of the panel: those of the study from the first to the last with exports in the lake.

    ``--years`` does not narrow them: the panel is one table, and a run on one new year must not leave only that year.

    Raises
    ------
    InputRefusedError
        If no year of the study has exports.
    """
    study = context.settings.study
    counted = builds_of(context.lake, gold.CITY_EXPORTS).n_rows
    loaded = [year for year in study.years if counted.get(year, 0) > 0]
    if not loaded:
        raise InputRefusedError(
            f"panel: expected exports in some of the study's years {study.first_year}-{study.last_year}; the lake has"
            f" {years_text(year for year, n in counted.items() if n) or 'none'}. Load those years, or change the study with"
            " --set study.first_year=... and --set study.last_year=..."
        )
    return list(range(loaded[0], loaded[-1] + 1))


def assemble_natural_panel(context: JobContext, years: list[int], *, exports: DataFrame | None = None) -> pd.DataFrame:
    """Return the assembled panel in natural units on the driver, in the order of its key.

    Parameters
    ----------
    years : list of int
        Years of the panel.
    exports : DataFrame, optional
        Columns of ``gold.city_exports`` counted in another way; the table itself by default.
    """
    options, lake, spark = context.settings.panel, context.lake, context.spark
    count = context.settings.count
    # the settings choose how products and destinations are counted
    chosen = {"n_products": count.product_column, "n_destinations": count.destination_column}
    zones = lake.arrow(yearbook_tables.DEVELOPMENT_ZONE).to_pandas()
    if years[-1] > SHIPPED_ZONES_END and zones["zone_source"].str.startswith(SHIPPED_ZONES).any():
        log.warning("panel: %s", ZONES_WARNING)
    cities = load_city_names(context.settings.places.user_cities)
    areas = yearbook_areas(load_yearbook_config(), options)
    # read once, used by the variables and by the episode measures
    wide = widen_yearbook(lake.read(yearbook_tables.YEARBOOK), areas).persist()
    sources = PanelSources(
        city_years=_city_years(spark, cities, years, options, zones),
        exports=(lake.read(gold.CITY_EXPORTS) if exports is None else exports).select(
            "city_id", "year", *(F.col(chosen.get(column, column)).alias(column) for column in EXPORT_COLUMNS)
        ),
        yearbook=wide,
        productivity=lake.read(firms.CITY_PRODUCTIVITY).select("city_id", "year", "ln_pro", "share_imputed"),
        rates=_series(lake.read(yearbook_tables.YEARLY_SERIES), "cny_per_usd").drop("province_code"),
        deflators=_deflators(lake.read(yearbook_tables.YEARLY_SERIES)) if options.growth == "deflated" else None,
    )
    frame = assemble_panel(sources, options).toArrow().to_pandas()
    wide.unpersist()
    return frame.sort_values(["city_id", "year"], ignore_index=True)


def scale_city_panel(
    assembled: pd.DataFrame, report: MissingReport, options: Panel
) -> tuple[ScaledPanel, np.ndarray, list[str]]:
    """Standardise the panel; returns it, which rows are complete, and baseline variables no source has.

    A variable that no city-year has (no list of zones, no firm accounts) does not make every row incomplete: it is
    reported, and a model that asks for it says so.
    """
    absent = [name for name in BASELINE if assembled[name].isna().all()]
    needed = [name for name in BASELINE if name not in absent]
    is_complete = assembled[needed].notna().all(axis=1).to_numpy()
    if not is_complete.any():
        losses = report.losses().head(5)
        listed = ", ".join(f"{row.variable} ({row.missing:,} missing)" for row in losses.itertuples())
        raise InputRefusedError(
            f"panel: no city-year of {len(assembled):,} has all variables of the model; missing most: {listed}."
            " Look at the years of the customs files, the yearbook and the firm accounts: do they overlap?"
        )
    rows = is_complete if options.constants_from == "complete" else None
    scaled = scale_panel(
        assembled, tuple(tables.MODEL_VARIABLES), tables.PRODUCTS, rows=rows, products=options.products
    )
    return scaled, is_complete, absent


def yearbook_areas(config: YearbookConfig, options: Panel) -> dict[str, str]:
    """Area each indicator is taken for: the study's, or the only one it is printed for."""
    return {
        name: options.area if options.area in one.areas else one.areas[0] for name, one in config.indicators.items()
    }


def study_cities(cities: CityNames, years: list[int], rule: str) -> list[tuple[str, int]]:
    """City-years of the study: see ``Panel.cities``."""
    every = cities.cities(years)
    if rule == "year":
        return every
    if rule == "first_year":
        kept = {city for city, year in every if year == years[0]}
    else:
        kept = {city for city, _ in every if all(cities.exists(city, year) for year in years)}
    return [(city, year) for city, year in every if city in kept]


def refused_cells(context: JobContext) -> pd.DataFrame:
    """Cells of the yearbook that were refused, of the area each indicator is taken for."""
    areas = yearbook_areas(load_yearbook_config(), context.settings.panel)
    refused = context.lake.arrow(yearbook_tables.YEARBOOK_QUARANTINE).to_pandas()
    return refused[refused["area"] == refused["indicator"].map(areas)]


def _city_years(
    spark: SparkSession, cities: CityNames, years: list[int], options: Panel, zones: pd.DataFrame
) -> DataFrame:
    column = "km_nearest_major_port" if options.port == "major" else "km_nearest_port"
    points = read_shipped("city_coordinates")
    kilometres = {city: float(km) for city, km in zip(points["city_id"], points[column], strict=True) if km}
    approved = {row.city_id: int(row.approved_year) for row in zones.itertuples()}
    closed = {row.city_id: int(row.closed_year) for row in zones.itertuples() if pd.notna(row.closed_year)}
    rows = [
        (city, year, cities.name(city), f"{city[:2]}0000", kilometres.get(city), approved.get(city), closed.get(city),
         len(zones) > 0)
        for city, year in study_cities(cities, years, options.cities)
    ]  # fmt: skip
    return spark.createDataFrame(rows, CITY_YEAR_DDL)


def _series(frame: DataFrame, name: str) -> DataFrame:
    return frame.where(F.col("series") == name).select("province_code", "year", F.col("series_value").alias(name))


def _deflators(frame: DataFrame) -> DataFrame:
    """Deflators by province; where only the nation's is given, it stands for every province."""
    deflators = _series(frame, "gdp_deflator")
    rows = deflators.count()
    if rows == 0:
        raise InputRefusedError(
            "panel.growth = 'deflated' needs raw/yearbook/deflators.csv (province_code, year, gdp_deflator); none was given."
        )
    national = deflators.where(F.col("province_code") == NATIONAL)
    if national.count() < rows:
        return deflators.where(F.col("province_code") != NATIONAL)
    provinces = [(code,) for code in read_shipped("region_classes")["province_code"]]
    spark = frame.sparkSession
    return spark.createDataFrame(provinces, "province_code string").crossJoin(national.drop("province_code"))
