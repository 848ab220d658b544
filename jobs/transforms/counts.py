"""From declarations to the city x product x destination cube, and from the cube to exports of city and year.

Exact counts: the cube of one year has a few million rows at most, and sketches were wrong in 272 of 330 cells.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.transforms.place_coverage import is_postcode_unknown

CUBE_KEY = ("year", "city_id", "hs6_code", "partner_code")
CUBE_CARRIED = ("hs_revision", "hs6_converted", "hs6_family", "country_iso3", "is_destination")
POSTCODE_METHODS = ("postcode6", "postcode5", "postcode4")


def build_cube(declarations: DataFrame) -> DataFrame:
    """Sum declarations to (year, city, HS6 product, partner).

    Converted code, family, revision, ISO code and destination mark are functions of the key. They stand among the keys:
    the groups are the same, and texts among the sums would have Spark sort all records instead of hashing them.
    """
    return declarations.groupBy(*CUBE_KEY, *CUBE_CARRIED).agg(
        F.sum("value_usd").cast("decimal(20,2)").alias("value_usd"), F.count("*").alias("n_records")
    )


def count_city_exports(cube: DataFrame, declarations: DataFrame, cities: DataFrame) -> DataFrame:
    """Value, products, destinations and pairs from the cube; firms and coverage from the declarations.

    Parameters
    ----------
    cube : DataFrame
        ``gold.city_product_destination``.
    declarations : DataFrame
        ``silver.declaration`` of the same years.
    cities : DataFrame
        ``city_id, city_name, province_code``, one row per city.
    """
    counts = cube.groupBy("year", "city_id").agg(
        F.sum("value_usd").cast("decimal(20,2)").alias("value_usd"),
        _n_distinct(F.col("hs6_code")).alias("n_products"),
        _n_distinct(F.col("hs6_converted")).alias("n_products_converted"),
        _n_distinct(F.col("hs6_family")).alias("n_products_family"),
        _n_distinct(F.when(F.col("is_destination"), F.col("country_iso3"))).alias("n_destinations"),
        _n_distinct(F.col("partner_code")).alias("n_partner_codes"),
        F.count("*").alias("n_pairs"),
        F.sum("n_records").alias("n_records"),
    )
    by_fallback = ~F.col("place_method").isin(*POSTCODE_METHODS)
    coverage = declarations.groupBy("year", "city_id").agg(
        F.count_distinct("firm_id").alias("n_firms"),
        _value_share(by_fallback).alias("share_value_by_fallback"),
        _value_share(F.col("is_place_ambiguous")).alias("share_value_ambiguous"),
        F.count_if(is_postcode_unknown()).alias("n_records_postcode_unknown"),
        _value_share(is_postcode_unknown()).alias("share_value_postcode_unknown"),
    )
    return counts.join(coverage, on=["year", "city_id"], how="inner").join(
        F.broadcast(cities), on="city_id", how="left"
    )


def _n_distinct(code: Column) -> Column:
    """As ``count_distinct``, for codes that are few in every group: several of those would copy each row as often."""
    return F.size(F.collect_set(code)).cast("bigint")


def _value_share(condition: Column) -> Column:
    # summed as decimals: sums of doubles change with the partitioning
    part = F.sum(F.when(condition, F.col("value_usd")).otherwise(F.lit(0).cast("decimal(20,2)")))
    return part.cast("double") / F.sum("value_usd").cast("double")
