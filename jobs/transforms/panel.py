"""Join exports, yearbook, productivity, ports and development zones to one row per city and year of the study.

The decision worth knowing: every city-year of the city list stays, with nulls where a source has nothing, so that what is
lost can be counted by variable; resilience is computed on all yearbook years before the study's years are cut out,
because its base year and its averages may lie outside.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.panel import Panel
from jobs.transforms import variables as v
from schemas.panel import OUTCOMES

EXPORT_COLUMNS = tuple(dict.fromkeys(outcome.source for outcome in OUTCOMES))


@dataclass(frozen=True, slots=True)
class PanelSources:
    """Frames the panel is joined from, each with one row per key.

    Attributes
    ----------
    city_years : DataFrame
        ``city_id, year, city_name, province_code, km_to_port, approved_year, closed_year``: the rows of the panel and what
        is known of the city apart from the yearbook; ``has_zone_list`` says whether any list of zones was given.
    exports : DataFrame
        ``city_id, year`` and :data:`EXPORT_COLUMNS`.
    yearbook : DataFrame
        Wide yearbook (:func:`jobs.transforms.variables.widen_yearbook`), all years.
    productivity : DataFrame
        ``city_id, year, ln_pro, share_imputed``.
    rates : DataFrame
        ``year, cny_per_usd``.
    deflators : DataFrame or None
        ``province_code, year, gdp_deflator``; only for deflated growth.
    """

    city_years: DataFrame
    exports: DataFrame
    yearbook: DataFrame
    productivity: DataFrame
    rates: DataFrame
    deflators: DataFrame | None = None


def assemble_panel(sources: PanelSources, options: Panel) -> DataFrame:
    """Return the panel in natural units: the model's variables and the yearbook numbers behind them."""
    yearbook = add_yearbook_variables(sources.yearbook, sources.deflators, options)
    joined = (
        sources.city_years.join(sources.exports, on=v.CITY_YEAR, how="left")
        .join(yearbook, on=v.CITY_YEAR, how="left")
        .join(sources.productivity, on=v.CITY_YEAR, how="left")
        .join(F.broadcast(sources.rates), on="year", how="left")
    )
    episodes = v.episode_measures(
        sources.yearbook, quantity=options.episode_quantity, shock_start=options.shock_start,
        shock_end=options.shock_end, recovery_end=options.recovery_end,
    )
    joined = joined.join(F.broadcast(episodes), on="city_id", how="left")
    return joined.withColumns(_model_columns(options))


def add_yearbook_variables(yearbook: DataFrame, deflators: DataFrame | None, options: Panel) -> DataFrame:
    """Add growth and resilience to the wide yearbook."""
    if options.growth == "deflated":
        if deflators is None:
            raise ValueError("growth = 'deflated' needs deflators")
        province = F.concat(F.substring("city_id", 1, 2), F.lit("0000"))
        frame = yearbook.withColumn("province_code", province)
        frame = frame.join(F.broadcast(deflators), on=["province_code", "year"], how="left").drop("province_code")
        frame = v.add_deflated_growth(frame)
    elif options.growth == "index":
        frame = yearbook.withColumn("growth_share", v.index_growth(F.col("gdp_index")))
    else:
        frame = yearbook.withColumn("growth_share", v.published_growth(F.col("gdp_growth")))
    frame = frame.transform(
        v.add_resilience, kind=options.resilience, base_year=options.base_year, shift=options.shift,
        epsilon=options.minmax_epsilon,
    )
    return frame.transform(v.add_moving_resilience, kind=options.moving_average).withColumn("in_yearbook", F.lit(True))


def _model_columns(options: Panel) -> dict:
    heads, people = F.col(options.heads), F.col(options.agglomeration)
    employed = F.col("employees")
    if options.labour_force == "employees_and_self_employed":
        employed = employed + F.col("self_employed")
    unemployment = v.unemployment(F.col("unemployed"), employed)
    zone = v.development_zone(F.col("approved_year"), F.col("closed_year"), F.col("year"), timing=options.zones)
    return {
        **{outcome.name: F.log(F.col(outcome.source).cast("double")) for outcome in OUTCOMES},
        "lnAgg": v.agglomeration(people),
        "lnRunepd": unemployment,
        "lnRunepd_flipped": -unemployment,
        "lnGrowth": F.log(v.INDEX_BASE * (1 + F.col("growth_share"))),
        "lnPro": F.col("ln_pro"),
        "lnphumc": v.human_capital_published(F.col("students_per_10k"))
        if options.human_capital == "published"
        else v.human_capital(F.col("students"), heads),
        "lnrd": v.research(F.col("science_spending")),
        "lnseadis": v.sea_distance(F.col("km_to_port")),
        "lnfdi": v.foreign_investment(F.col("fdi"), F.col("cny_per_usd")),
        "lnroadper": v.roads_published(F.col("road_area_per_head"))
        if options.roads == "published"
        else v.roads(F.col("road_area"), heads),
        "ETDZ": F.when(F.col("has_zone_list"), zone),
    }

