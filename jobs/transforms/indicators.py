"""Declarations as the kernel of indicators takes them, exports from outside the districts, and its rows as table rows."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.kernels.indicators.batches import cents_name
from jobs.kernels.indicators.cells import RECORD_INPUTS
from jobs.kernels.indicators.files import OUTSIDE
from schemas.fields import MONEY_TYPE
from schemas.table import Table


def indicator_records(declarations: DataFrame) -> DataFrame:
    """What of each declaration the kernel asks for."""
    values = {
        "partner": F.when(F.col("is_destination"), F.col("country_iso3")), "cents": in_cents("value_usd"),
    }
    return declarations.select(*(values.get(name, F.col(name)).alias(name) for name in RECORD_INPUTS))


def firms_elsewhen(city_firm: DataFrame) -> DataFrame:
    """Firms of years that are not counted now, in the columns of records; without cents they are no records."""
    known = ("city_id", "year", "firm_id")
    nothing = {name: F.lit(None).cast("bigint" if name == "cents" else "string") for name in RECORD_INPUTS}
    return city_firm.select(*(F.col(name) if name in known else nothing[name].alias(name) for name in RECORD_INPUTS))


def outside_exports(quarantine: DataFrame) -> DataFrame:
    """Sound exports from outside the municipal districts by year, city, firm and unit.

    Returns
    -------
    DataFrame
        ``year, city_id, firm_id, unit_code, firm_name, value_cents``; city and unit are null where they are not known.
    """
    is_outside = F.col("primary_reason").isin(*OUTSIDE) & (F.size("reasons") == 1) & (F.col("value_usd") > 0)
    return quarantine.where(is_outside & F.col("firm_id").isNotNull()).groupBy("year", "city_id", "firm_id", "unit_code").agg(
        F.max("firm_name").alias("firm_name"), F.sum(in_cents("value_usd")).alias("value_cents")
    )


def city_products(cube: DataFrame) -> DataFrame:
    """``city_id, year, hs6_code, partner, cents`` of destination economies, from the city x product x destination cube."""
    known = cube.where(F.col("is_destination") & F.col("country_iso3").isNotNull())
    return known.groupBy("city_id", "year", "hs6_code", F.col("country_iso3").alias("partner")).agg(
        F.sum(in_cents("value_usd")).alias("cents")
    )


def table_rows(parts: DataFrame, table: Table) -> DataFrame:
    """The columns of a table, dollars from whole cents; what the parts do not have is null."""
    columns = []
    for field in table.fields:
        if field.type == MONEY_TYPE:
            columns.append(in_dollars(cents_name(field.name)).alias(field.name))
        elif field.name in parts.columns:
            columns.append(F.col(field.name))
        else:
            columns.append(F.lit(None).cast(field.type).alias(field.name))
    return parts.select(*columns)


def in_cents(column: str) -> Column:
    """Dollars with two decimals as a whole number of cents, exactly."""
    return (F.col(column) * 100).cast("bigint")


def in_dollars(column: str) -> Column:
    """A whole number of cents as dollars, exactly."""
    return (F.col(column).cast("decimal(20,0)") / 100).cast(MONEY_TYPE)


