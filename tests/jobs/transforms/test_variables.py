"""Each variable of the model against its formula written out by hand, on frames of a few rows."""

from __future__ import annotations

import math
from functools import reduce

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.panel import RESILIENCES, Panel
from conf.settings import SettingsError
from jobs.transforms import variables as v

PRECISION = 12  # digits: a logarithm and a division in double precision
GROWTH = [(2006, 0.12), (2007, 0.15), (2008, 0.10), (2009, 0.08), (2010, 0.14), (2011, -0.02)]


def values(frame, *columns):
    return {row["city_id"]: tuple(_rounded(row[name]) for name in columns) for row in frame.collect()}


def by_year(frame, column, city="a"):
    return {row["year"]: _rounded(row[column]) for row in frame.where(F.col("city_id") == city).collect()}


def _rounded(value):
    return None if value is None else round(value, PRECISION)


def test_controls_have_the_units_of_the_paper(spark):
    row = "city_id string, agg double, students double, people double, science double, fdi double, rate double,"
    row += " area double, km double, unemployed double, employed double"
    frame = spark.createDataFrame(
        [("a", 120.5, 30_000.0, 150.0, 2_500.0, 4_000.0, 8.277, 1_800.0, 96.0, 4.0, 96.0),
         ("b", 0.0, 30_000.0, 0.0, 0.0, 0.0, 8.277, 1_800.0, 0.0, 0.0, 96.0)],
        row,
    )  # fmt: skip
    made = frame.select(
        "city_id",
        v.agglomeration(F.col("agg")).alias("lnAgg"),
        v.human_capital(F.col("students"), F.col("people")).alias("lnphumc"),
        v.research(F.col("science")).alias("lnrd"),
        v.foreign_investment(F.col("fdi"), F.col("rate")).alias("lnfdi"),
        v.roads(F.col("area"), F.col("people")).alias("lnroadper"),
        v.sea_distance(F.col("km")).alias("lnseadis"),
        v.unemployment(F.col("unemployed"), F.col("employed")).alias("lnRunepd"),
        v.human_capital_published(F.col("students")).alias("published"),
        v.roads_published(F.col("area")).alias("roads_published"),
    )
    found = values(made, *made.columns[1:])
    expected = (
        math.log(120.5), math.log(1 + 200), math.log(2_501), math.log(1 + 4_000 * 8.277), math.log(1 + 12),
        math.log(97), math.log(0.04), math.log(30_001), math.log(1_801),
    )  # fmt: skip
    assert found["a"] == tuple(round(x, PRECISION) for x in expected)
    # nothing is invented where there is no logarithm or nobody to divide by; a zero amount is a zero
    assert found["b"] == (None, None, 0.0, 0.0, None, 0.0, None, *found["b"][7:])


def test_zone_starts_with_its_approval(spark):
    frame = spark.createDataFrame(
        [("none", None, None), ("open", 2005, None), ("closed", 2005, 2007)], "city_id string, first int, last int"
    ).crossJoin(spark.createDataFrame([(2004,), (2005,), (2007,)], "year int"))
    arguments = (F.col("first"), F.col("last"), F.col("year"))
    made = frame.select(
        "city_id", "year",
        v.development_zone(*arguments, timing="year").alias("z"), v.development_zone(*arguments, timing="ever").alias("ever"),
    )  # fmt: skip
    rows = {(row["city_id"], row["year"]): (row["z"], row["ever"]) for row in made.collect()}
    assert rows == {
        ("none", 2004): (0.0, 0.0), ("none", 2005): (0.0, 0.0), ("none", 2007): (0.0, 0.0),
        ("open", 2004): (0.0, 1.0), ("open", 2005): (1.0, 1.0), ("open", 2007): (1.0, 1.0),
        ("closed", 2004): (0.0, 1.0), ("closed", 2005): (1.0, 1.0), ("closed", 2007): (0.0, 1.0),
    }  # fmt: skip


@pytest.fixture(scope="module")
def growth(spark):
    rows = [("a", year, share) for year, share in GROWTH] + [("b", 2007, 0.1), ("b", 2009, 0.2)]
    return spark.createDataFrame(rows, "city_id string, year int, growth_share double").cache()


def test_every_reading_of_resilience_is_its_formula(growth):
    g = dict(GROWTH)
    low, high = min(x - 0.10 for x in g.values()), max(x - 0.10 for x in g.values())
    formulas = {
        "growth_factor_index": lambda x: math.log(100 * (1 + x) / 1.10),
        "exp_diff": lambda x: x - 0.10,
        "shift": lambda x: math.log(100 + 100 * (x - 0.10)),
        "minmax": lambda x: math.log((x - 0.10 - low) / (high - low) + 0.01),
        "raw": lambda x: 100 * (x - 0.10),
        "growth": lambda x: math.log(100 * (1 + x)),
    }
    assert set(formulas) == set(RESILIENCES)
    city = growth.where(F.col("city_id") == "a")
    parts = [
        city.transform(v.add_resilience, kind=kind).select(F.lit(kind).alias("kind"), "year", "lnRes") for kind in formulas
    ]
    rows = {(row["kind"], row["year"]): row["lnRes"] for row in reduce(DataFrame.unionByName, parts).collect()}
    expected = {(kind, year): formula(x) for kind, formula in formulas.items() for year, x in GROWTH}
    assert rows == pytest.approx(expected, abs=1e-9)


def test_index_is_100_in_the_base_year_and_missing_without_one(growth):
    made = growth.transform(v.add_resilience)
    assert by_year(made, "res_index")[2008] == 100.0
    assert set(by_year(made, "lnRes", city="b").values()) == {None}
    later = growth.transform(v.add_resilience, base_year=2009)
    assert by_year(later, "lnRes", city="b")[2009] == _rounded(math.log(100))


def test_growth_below_minus_one_hundred_per_cent_or_a_small_shift_is_missing(growth):
    assert by_year(growth.transform(v.add_resilience, kind="shift", shift=5.0), "lnRes")[2011] is None
    low = growth.withColumn("growth_share", F.when(F.col("year") == 2010, F.lit(-1.5)).otherwise(F.col("growth_share")))
    assert by_year(low.transform(v.add_resilience), "lnRes")[2010] is None


def test_moving_average_needs_three_calendar_years(growth):
    index = {year: 100 * (1 + x) / 1.10 for year, x in GROWTH}
    gap = growth.transform(v.add_resilience).where((F.col("city_id") == "a") & (F.col("year") != 2009))
    full = growth.transform(v.add_resilience)
    trailing = by_year(full.transform(v.add_moving_resilience, kind="trailing"), "lnResc")
    assert trailing[2007] is None
    assert trailing[2008] == _rounded(math.log((index[2006] + index[2007] + index[2008]) / 3))
    centred = by_year(full.transform(v.add_moving_resilience, kind="centred"), "lnResc")
    assert centred[2007] == trailing[2008]
    assert centred[2011] is None
    # the gap of 2009 is not bridged
    assert set(by_year(gap.transform(v.add_moving_resilience, kind="trailing"), "lnResc").values()) == {None, trailing[2008]}


def test_growth_from_output_and_deflator_never_crosses_a_gap(spark):
    frame = spark.createDataFrame(
        [("a", 2003, 100.0, 100.0), ("a", 2004, 132.0, 110.0), ("a", 2006, 200.0, 120.0), ("a", 2007, 210.0, 0.0)],
        "city_id string, year int, gdp double, gdp_deflator double",
    )
    assert by_year(v.add_deflated_growth(frame), "growth_share") == {2003: None, 2004: 0.2, 2006: None, 2007: None}


def test_published_rate_and_index_say_the_same(spark):
    frame = spark.createDataFrame([("a", 2004, 12.5, 112.5)], "city_id string, year int, rate double, idx double")
    row = frame.select(v.published_growth(F.col("rate")).alias("r"), v.index_growth(F.col("idx")).alias("i")).first()
    assert row["r"] == row["i"] == 0.125


def test_episode_measures_are_those_of_a_hand_calculation(spark):
    ddl = "city_id string, year int, employees double, employees_primary double, employees_secondary double,"
    ddl += " employees_tertiary double"
    frame = spark.createDataFrame(
        [("a", 2008, 100.0, 10.0, 60.0, 30.0), ("a", 2009, 90.0, 10.0, 48.0, 32.0), ("a", 2011, 99.0, 9.0, 50.0, 40.0),
         ("b", 2008, 300.0, 30.0, 90.0, 180.0), ("b", 2009, 294.0, 27.0, 87.0, 180.0),
         ("c", 2008, 50.0, 10.0, 20.0, 20.0)],  # no 2009: not in the nation either
        ddl,
    )  # fmt: skip
    made = v.episode_measures(frame, quantity="employees", shock_start=2008, shock_end=2009, recovery_end=2011)
    found = values(made, "res_sensitivity", "res_relative", "res_resistance", "res_recovery")
    nation = (90 + 294) / 400 - 1
    expected = {"primary": 37 / 40 - 1, "secondary": 135 / 150 - 1, "tertiary": 212 / 210 - 1}
    for city, growth, change, base in (("a", -0.1, -10.0, (10, 60, 30)), ("b", -0.02, -6.0, (30, 90, 180))):
        foreseen = sum(share * size for share, size in zip(expected.values(), base, strict=True))
        by_hand = (growth / nation, (growth - nation) / abs(nation), (change - foreseen) / abs(foreseen))
        assert found[city][:3] == pytest.approx(by_hand)
    # alone in the recovery, a city is the nation and does what is expected of it
    assert found["a"][3] == pytest.approx(0, abs=1e-9)
    assert found["b"][3] is None
    assert found["c"] == (None, None, None, None)


def test_wide_yearbook_takes_each_indicator_for_its_area(spark):
    frame = spark.createDataFrame(
        [("a", 2004, "gdp", "districts", 5.0), ("a", 2004, "gdp", "whole_city", 9.0), ("a", 2004, "fdi", "whole_city", 2.0)],
        "city_id string, year int, indicator string, area string, indicator_value double",
    )
    expected = spark.createDataFrame([("a", 2004, 5.0, None)], "city_id string, year int, gdp double, fdi double")
    made = v.widen_yearbook(frame, {"gdp": "districts", "fdi": "districts"})
    assert_df_equality(made, expected, ignore_nullable=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resilience": "exp"}, "resilience: expected one of growth_factor_index"),
        ({"shock_end": 2008}, "expected growing years"),
        ({"minmax_epsilon": 0.0}, "expected a number above 0"),
    ],
)
def test_impossible_options_are_refused_at_start(change, message):
    with pytest.raises(SettingsError, match=message):
        Panel(**change)
