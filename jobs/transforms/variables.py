"""Every variable of the paper as a function: from yearbook numbers, exports and firms to the model's columns.

Units before the logarithm are the paper's (its table of variables): 10,000 persons, persons per 10,000, 10,000 yuan, km,
square metres. A quantity that has no logarithm gives null, never an invented number; the missing-data report names it.

The decision worth knowing: resilience is an index of the growth factor over the city's growth factor in the base year,
``100 (1 + g_t) / (1 + g_base)``. "Turned into a positive index" can be read in other ways, and they are options; the
readings correlate above 0.999, except the min-max one, which turns the weakest city-year into an outlier. Growth of the
base year is a city constant, so in first differences resilience IS growth; ``lnGrowth`` lets a study show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

ResilienceKind = Literal["growth_factor_index", "exp_diff", "shift", "minmax", "raw", "growth"]
MovingAverage = Literal["trailing", "centred"]
CITY_YEAR = ["city_id", "year"]
PER_CENT = 100.0
INDEX_BASE = 100.0  # the index is 100 in the base year
AVERAGE_YEARS = 3
AVERAGE_RANGE: Mapping[str, tuple[int, int]] = {"trailing": (-2, 0), "centred": (-1, 1)}
SECTORS = ("employees_primary", "employees_secondary", "employees_tertiary")


# --- yearbook -------------------------------------------------------------------------------------------------------


def widen_yearbook(values: DataFrame, areas: Mapping[str, str]) -> DataFrame:
    """One row per city and year, one column per indicator.

    Parameters
    ----------
    values : DataFrame
        ``silver.yearbook``.
    areas : mapping
        Indicator to the area it is taken for, ``districts`` or ``whole_city``.
    """
    return values.groupBy(*CITY_YEAR).agg(
        *(
            F.max(F.when((F.col("indicator") == name) & (F.col("area") == area), F.col("indicator_value"))).alias(name)
            for name, area in areas.items()
        )
    )


# --- controls and agglomeration ---------------------------------------------------------------------------------------


def agglomeration(people: Column) -> Column:
    """lnAgg: log of the (non-agricultural) population of the municipal districts, in 10,000 persons."""
    return F.log(people)


def human_capital(students: Column, people: Column) -> Column:
    """lnphumc: log of 1 + students in higher education per 10,000 persons; people in 10,000."""
    return F.log1p(_over(students, people))


def human_capital_published(students_per_10k: Column) -> Column:
    """lnphumc from the ratio the yearbook prints, rounded to whole persons there."""
    return F.log1p(students_per_10k)


def research(science_spending: Column) -> Column:
    """lnrd: log of 1 + science spending, in 10,000 yuan of the year."""
    return F.log1p(science_spending)


def foreign_investment(fdi_usd: Column, cny_per_usd: Column) -> Column:
    """lnfdi: log of 1 + foreign capital used, 10,000 US dollars converted at the year's average rate to 10,000 yuan."""
    return F.log1p(fdi_usd * cny_per_usd)


def roads(road_area: Column, people: Column) -> Column:
    """lnroadper: log of 1 + paved road per head; 10,000 square metres over 10,000 persons is square metres a head."""
    return F.log1p(_over(road_area, people))


def roads_published(road_area_per_head: Column) -> Column:
    """lnroadper from the square metres per head that the yearbook prints."""
    return F.log1p(road_area_per_head)


def sea_distance(kilometres: Column) -> Column:
    """lnseadis: log of 1 + great-circle distance of the city to the nearest port, in km; constant over time."""
    return F.log1p(kilometres)


def development_zone(
    approved_year: Column, closed_year: Column, year: Column, *, timing: Literal["year", "ever"]
) -> Column:
    """ETDZ: 1 from approval until closure (``year``) or in all years (``ever``) of a city with a zone, else 0."""
    is_zone = approved_year.isNotNull()
    if timing == "year":
        is_zone = is_zone & (year >= approved_year) & (closed_year.isNull() | (year < closed_year))
    return F.when(is_zone, F.lit(1.0)).otherwise(F.lit(0.0))


def unemployment(unemployed: Column, employed: Column) -> Column:
    """lnRunepd: log of the registered unemployment rate, unemployed over unemployed and employed, as a share.

    High is weak: against lnRes the sign is the other way round. Its flipped twin is minus this; in the standardised model
    flipping changes the sign of its coefficient and of its interaction and nothing else.
    """
    return F.log(_over(unemployed, unemployed + employed))


# --- growth and resilience ----------------------------------------------------------------------------------------------


def published_growth(rate_per_cent: Column) -> Column:
    """Real growth as a share from the printed rate in per cent."""
    return rate_per_cent / PER_CENT


def index_growth(index: Column) -> Column:
    """Real growth as a share from the published index, year before = 100."""
    return index / INDEX_BASE - 1


def add_deflated_growth(frame: DataFrame) -> DataFrame:
    """Add ``growth_share`` from nominal output and a deflator: growth of gdp / gdp_deflator over the calendar year before.

    Parameters
    ----------
    frame : DataFrame
        ``city_id, year, gdp, gdp_deflator``; a year missing in between gives null, a gap is never bridged.
    """
    cities = Window.partitionBy("city_id").orderBy("year")
    real = _over(F.col("gdp"), F.col("gdp_deflator"))
    follows = F.lag("year").over(cities) == F.col("year") - 1
    growth = F.when(follows, _over(real, F.lag(real).over(cities)) - 1)
    return frame.withColumn("growth_share", growth)


def add_resilience(
    frame: DataFrame,
    *,
    kind: ResilienceKind = "growth_factor_index",
    base_year: int = 2008,
    shift: float = 100.0,
    epsilon: float = 0.01,
) -> DataFrame:
    """Add ``base_growth``, ``res_index`` (before the log, null for ``raw``) and ``lnRes``.

    Parameters
    ----------
    frame : DataFrame
        ``city_id, year, growth_share``, one row per city and year.
    kind : str
        ``growth_factor_index`` ln(100 (1 + g) / (1 + g_base)); ``exp_diff`` ln(exp(g - g_base)) = g - g_base;
        ``shift`` ln(shift + 100 (g - g_base)), null where the shift is too small; ``minmax`` ln of the difference scaled
        to 0..1 over all rows, + epsilon: its value depends on the worst city-year of the sample, use it only to show
        that; ``raw`` the difference in per cent points without a logarithm; ``growth`` ln(100 (1 + g)), no base year.
    base_year : int
        Year of the shock; a city without growth in it has no resilience.

    Notes
    -----
    Growth of the base year differs between cities, not over time: in first differences every kind is (nearly) growth.
    """
    base = F.max(F.when(F.col("year") == base_year, F.col("growth_share"))).over(Window.partitionBy("city_id"))
    growth, base_growth = F.col("growth_share"), F.col("base_growth")
    difference = growth - base_growth
    frame = frame.withColumn("base_growth", base)
    index = {
        "growth_factor_index": INDEX_BASE * _over(1 + growth, 1 + base_growth),
        "exp_diff": F.exp(difference),
        "shift": shift + PER_CENT * difference,
        "raw": F.lit(None).cast("double"),
        "growth": INDEX_BASE * (1 + growth),
    }
    if kind == "minmax":
        frame, index["minmax"] = _with_minmax(frame, difference, epsilon)
    log_index = PER_CENT * difference if kind == "raw" else F.log(F.col("res_index"))
    return frame.withColumn("res_index", index[kind]).withColumn("lnRes", log_index)


def add_moving_resilience(frame: DataFrame, *, kind: MovingAverage = "trailing") -> DataFrame:
    """Add ``lnResc``: log of the three-year mean of ``res_index`` (of lnRes itself where there is no index).

    Parameters
    ----------
    frame : DataFrame
        After :func:`add_resilience`.
    kind : str
        ``trailing``: years t-2, t-1, t. ``centred``: t-1, t, t+1, which uses next year's growth and is therefore not
        predetermined. A mean needs all three calendar years; averaged noise is correlated up to three lags in
        differences, so a model with it must report AR(3) as well.
    """
    first, last = AVERAGE_RANGE[kind]
    years = Window.partitionBy("city_id").orderBy("year").rangeBetween(first, last)
    average = {
        name: F.when(F.count(name).over(years) == AVERAGE_YEARS, F.avg(name).over(years)) for name in ("res_index", "lnRes")
    }
    has_index = F.col("res_index").isNotNull()
    log_average = F.when(has_index, F.log(average["res_index"])).otherwise(average["lnRes"])
    return frame.withColumn("lnResc", log_average)


# --- published alternatives: one value per city and episode ----------------------------------------------------------------


def episode_measures(
    wide: DataFrame, *, quantity: str, shock_start: int, shock_end: int, recovery_end: int
) -> DataFrame:
    """Resilience of a city in one episode, measured as others have published it.

    Parameters
    ----------
    wide : DataFrame
        ``city_id, year``, the quantity and employees of the three sectors. The nation is the sum of the cities that have
        both years of an episode.
    quantity : str
        Column behind the first two measures (employees or output).
    shock_start, shock_end, recovery_end : int
        The shock lasts from the first to the second year, the recovery from the second to the third.

    Returns
    -------
    DataFrame
        One row per city, null where the nation (or the expected change) did not move:

        - ``res_sensitivity`` = (dr/r) / (dN/N), Martin (2012);
        - ``res_relative`` = (g_r - g_N) / abs(g_N), Lagravinese (2015);
        - ``res_resistance``, ``res_recovery`` = (dr - dr_exp) / abs(dr_exp) in the shock and after it, Martin and Gardiner
          (2019), where ``dr_exp`` is the change the city's employment would have seen if each of its sectors had grown
          like the nation's: the sum over sectors of national growth times the city's base.
    """
    episodes = {"shock": (shock_start, shock_end), "recovery": (shock_end, recovery_end)}
    years = sorted({year for pair in episodes.values() for year in pair})
    names = (quantity, *SECTORS)
    cities = wide.groupBy("city_id").agg(
        *(F.max(F.when(F.col("year") == year, F.col(name))).alias(f"{name}_{year}") for name in names for year in years)
    )
    usable = {
        "total": _has_both((quantity,), *episodes["shock"]),
        **{name: _has_both(SECTORS, *pair) for name, pair in episodes.items()},
    }
    totals = [_national_growth(quantity, *episodes["shock"], usable["total"]).alias("national")]
    for name, pair in episodes.items():
        totals += [_national_growth(sector, *pair, usable[name]).alias(f"{sector}_{name}") for sector in SECTORS]
    joined = cities.crossJoin(F.broadcast(cities.agg(*totals)))
    growth = F.col(f"{quantity}_{shock_end}") / F.col(f"{quantity}_{shock_start}") - 1
    national = F.col("national")
    is_measured = usable["total"] & (national != 0)
    return joined.select(
        "city_id",
        F.when(is_measured, growth / national).alias("res_sensitivity"),
        F.when(is_measured, (growth - national) / F.abs(national)).alias("res_relative"),
        _beyond_expected("shock", episodes["shock"], usable["shock"]).alias("res_resistance"),
        _beyond_expected("recovery", episodes["recovery"], usable["recovery"]).alias("res_recovery"),
    )


def _has_both(names: tuple[str, ...], start: int, end: int) -> Column:
    condition = F.lit(True)
    for name in names:
        condition = condition & (F.col(f"{name}_{start}") > 0) & F.col(f"{name}_{end}").isNotNull()
    return F.coalesce(condition, F.lit(False))


def _national_growth(name: str, start: int, end: int, usable: Column) -> Column:
    return F.sum(F.when(usable, F.col(f"{name}_{end}"))) / F.sum(F.when(usable, F.col(f"{name}_{start}"))) - 1


def _beyond_expected(episode: str, years: tuple[int, int], usable: Column) -> Column:
    start, end = years
    change = sum((F.col(f"{sector}_{end}") - F.col(f"{sector}_{start}") for sector in SECTORS), F.lit(0.0))
    expected = sum((F.col(f"{sector}_{episode}") * F.col(f"{sector}_{start}") for sector in SECTORS), F.lit(0.0))
    return F.when(usable & (expected != 0), (change - expected) / F.abs(expected))


def _with_minmax(frame: DataFrame, difference: Column, epsilon: float) -> tuple[DataFrame, Column]:
    bounds = frame.agg(F.min(difference).alias("res_low"), F.max(difference).alias("res_high"))
    spread = F.col("res_high") - F.col("res_low")
    return frame.crossJoin(F.broadcast(bounds)), _over(difference - F.col("res_low"), spread) + epsilon


def _over(numerator: Column, denominator: Column) -> Column:
    """Ratio where the denominator is positive, else null: ANSI division by zero would end the run."""
    return F.when(denominator > 0, numerator / denominator)
