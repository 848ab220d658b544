"""The native Spark transforms against the numpy versions and small cases written out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from conf.firms import DELIVERED_COLUMNS, load_industry_editions
from conf.productivity import Productivity
from conf.rules import load_rules
from estimation.production import ProductionFunction, ProductionOptions, real_capital
from jobs.study.firm_technology import estimate_technology
from jobs.transforms.firm_capital import add_real_capital, survey_growth
from jobs.transforms.firm_imputation import impute_value_added
from jobs.transforms.firms import parse_accounts
from jobs.transforms.productivity import (
    add_index_productivity,
    add_productivity,
    add_relative_productivity,
    average_by_city,
    trim_tails,
)
from jobs.transforms.rules import apply_rules

# the same sums in another order
ROUNDING = 1e-9


def accounts_frame(spark, rows):
    """Delivered lines with the named columns; the rest is null."""
    named = [{"year": 2005, "source_row": number, **row} for number, row in enumerate(rows)]
    columns = {"year": "int", "source_row": "bigint", "malformed_row": "string", "source_file": "string"}
    columns |= dict.fromkeys(DELIVERED_COLUMNS, "string")
    values = [tuple(row.get(name) for name in columns) for row in named]
    return spark.createDataFrame(values, ", ".join(f"{name} {kind}" for name, kind in columns.items()))


SOUND = {
    "legal_person_code": "1", "place_code": "320412", "cic_code": "1310", "founded_year": "1998", "n_workers": "20",
    "output_current": "500", "value_added": "100", "intermediate_inputs": "410", "fixed_assets_original": "300",
    "fixed_assets_net": "200", "total_assets": "900",
}
# one change of the sound account, and all the filters that refuse it
FILTER_CASES = {
    "sound": ({}, []),
    "spaces, full-width digits and thousands": ({"n_workers": " ２０ ", "output_current": "1,500.50"}, []),
    "lost zero of a mining code": ({"cic_code": "610"}, ["not_manufacturing"]),
    "no code": ({"legal_person_code": " "}, ["firm_code_missing"]),
    "text for a number": ({"profit": "12x"}, ["number_malformed"]),
    "infinite": ({"profit": "1e999"}, ["number_malformed"]),
    "unknown industry": ({"cic_code": "x"}, ["industry_unknown"]),
    "no workers": ({"n_workers": None}, ["workers_missing"]),
    "seven workers": ({"n_workers": "7"}, ["workers_below_8"]),
    "no output": ({"output_current": "0"}, ["output_nonpositive"]),
    "negative value added": ({"value_added": "-1"}, ["value_added_nonpositive"]),
    "zero inputs": ({"intermediate_inputs": "0"}, ["inputs_nonpositive"]),
    "zero capital": ({"fixed_assets_original": "0"}, ["capital_nonpositive"]),
    "negative net capital": ({"fixed_assets_net": "-3"}, ["capital_nonpositive"]),
    "no capital at all": ({"fixed_assets_original": None, "fixed_assets_net": None}, ["capital_nonpositive"]),
    "current above total": ({"current_assets": "901"}, ["current_assets_above_total"]),
    "fixed above total": ({"fixed_assets_total": "901"}, ["fixed_assets_above_total"]),
    "net above total": ({"fixed_assets_net": "901"}, ["net_fixed_assets_above_total"]),
    "depreciation": ({"current_depreciation": "9", "accumulated_depreciation": "8"},
                     ["current_depreciation_above_accumulated"]),
    "paid-in": ({"paid_in_capital": "0"}, ["paid_in_capital_nonpositive"]),
    "profit": ({"profit": "501", "main_revenue": "500"}, ["profit_above_sales"]),
    "profit without revenue": ({"profit": "501", "main_revenue": "0"}, []),
    "born later": ({"founded_year": "2006"}, ["founded_invalid"]),
    "two-digit year": ({"founded_year": "98"}, ["founded_invalid"]),
    "year with month": ({"founded_year": "199805"}, []),
    "two reasons": ({"n_workers": "3", "output_current": "-1"}, ["workers_below_8", "output_nonpositive"]),
}


def test_filters_refuse_what_they_are_named_for_and_nothing_else(spark):
    rows = [SOUND | {"legal_person_code": str(number)} | change
            for number, (change, _) in enumerate(FILTER_CASES.values())]
    off = Productivity().filters_off
    rules = [rule for rule in load_rules("firm_account") if rule.name not in off]
    judged = (
        accounts_frame(spark, rows).transform(parse_accounts, load_industry_editions())
        .withColumn("prefecture_code", F.lit("320400")).transform(apply_rules, rules)
    )
    found = {row["source_row"]: row["reasons"] for row in judged.select("source_row", "reasons").collect()}
    assert {name: found[number] for number, name in enumerate(FILTER_CASES)} == {
        name: reasons for name, (_, reasons) in FILTER_CASES.items()
    }


def test_copies_keep_the_first_and_contradictions_keep_none(spark):
    sound = SOUND | {"n_workers": "40"}
    rows = [sound, sound, sound | {"legal_person_code": "2"}, sound | {"legal_person_code": "2", "n_workers": "41"}]
    judged = (
        accounts_frame(spark, rows).withColumn("source_file", F.lit("a.csv"))
        .transform(parse_accounts, load_industry_editions())
        .withColumn("prefecture_code", F.lit("320400")).transform(apply_rules, load_rules("firm_account"))
    )
    reasons = [row["reasons"] for row in judged.orderBy("source_row").collect()]
    assert reasons == [[], ["firm_year_repeated"], ["firm_year_contradictory"], ["firm_year_contradictory"]]


def test_native_capital_equals_the_recursion_over_firms(spark):
    rng = np.random.default_rng(4)
    prices = {year: 50.0 * 1.04 ** (year - 1978) for year in range(1978, 2014)}
    rows = []
    for firm in range(60):
        years = sorted(rng.choice(range(1998, 2010), size=rng.integers(1, 8), replace=False))
        born = int(rng.integers(1960, years[0] + 1))
        rows += [(str(firm), int(year), "500000" if firm % 2 else "320400", "13", born, float(rng.uniform(50, 500)))
                 for year in years]
    frame = pd.DataFrame(rows, columns=["legal_person_code", "year", "prefecture_code", "industry_code",
                                        "founded_year", "fixed_assets_original"])
    # Chongqing counts as Sichuan; 0.9 is clipped to 0.5
    growth = spark.createDataFrame([("51", "13", 0.9), (None, None, 0.12)],
                                   "province2 string, industry_code string, growth double")
    unusable = [("0", 2012, "320400", "13", 1990, None), ("1", 2012, "500000", "13", 1990, -1.0)]
    schema = ("legal_person_code string, year int, prefecture_code string, industry_code string, founded_year int, "
              "fixed_assets_original double")
    native = spark.createDataFrame(rows + unusable, schema).transform(
        add_real_capital, growth, prices, depreciation=0.09
    ).toPandas().set_index(["legal_person_code", "year"])["real_capital"]
    rate = np.where(frame["prefecture_code"] == "500000", 0.9, 0.12)
    expected = real_capital(
        frame.assign(growth=rate), prices, original_value="fixed_assets_original", birth_year="founded_year",
        growth="growth", entity="legal_person_code", time="year",
    )
    found = native.loc[list(zip(frame["legal_person_code"], frame["year"], strict=True))].to_numpy()
    assert np.abs(found / expected.to_numpy() - 1).max() < ROUNDING
    assert native.loc[[("0", 2012), ("1", 2012)]].isna().all()


def test_growth_of_the_survey_is_that_of_mean_capital(spark):
    rows = [("a", 2000, "320400", "13", 1990, 100.0), ("a", 2002, "320400", "13", 1990, 121.0),
            ("b", 2000, "330600", "13", 1990, 100.0), ("b", 2002, "330600", "13", 1990, 100.0),
            ("young", 2000, "320400", "13", 1999, 900.0)]
    schema = ("legal_person_code string, year int, prefecture_code string, industry_code string, founded_year int, "
              "fixed_assets_original double")
    growth = {(row["province2"], row["industry_code"]): row["growth"]
              for row in survey_growth(spark.createDataFrame(rows, schema)).collect()}
    assert growth[("32", "13")] == pytest.approx(0.1)
    assert growth[("33", "13")] == pytest.approx(0.0)
    assert growth[(None, None)] == pytest.approx((221 / 200) ** 0.5 - 1)


NAMES = ("year", "industry_code", "output_current", "value_added", "intermediate_inputs", "vat_payable", "wages",
         "welfare", "current_depreciation", "profit", "main_cost", "inventories", "finished_goods")
YEARS = (
    (2003, "13", 1000.0, 250.0, 780.0, 30.0, None, None, None, None, None, None, None),
    (2004, "13", 1000.0, None, 700.0, 50.0, None, None, None, None, None, None, None),
    (2008, "13", 2000.0, None, None, 20.0, 100.0, 10.0, 40.0, 130.0, 1500.0, 90.0, 60.0),
    (2008, "14", 2000.0, None, None, None, None, 10.0, 40.0, 130.0, None, 90.0, 60.0),
)
# method: value added, inputs and label of the two accounts of 2008
IMPUTED = {
    "stop_2007": [(None, None, None), (None, None, None)],
    # (250 + 350) / 2000 = .3; industry 14 has no ratio of its own and takes the national one
    "va_ratio": [(600.0, 1420.0, "va_ratio"), (600.0, 1400.0, "va_ratio")],
    "freeze_2007": [(600.0, 1420.0, "va_ratio"), (600.0, 1400.0, "va_ratio")],
    "income_approach": [(300.0, 1720.0, "income_approach"), (None, None, None)],
    # 1500 + 90 - 60 - 100 - 10 = 1420
    "cost_accounts": [(600.0, 1420.0, "cost_accounts"), (None, None, None)],
}


@pytest.mark.parametrize("method", IMPUTED)
def test_years_without_value_added_are_imputed_and_flagged(spark, method):
    schema = ", ".join(f"{name} {'int' if name == 'year' else 'string' if 'code' in name else 'double'}" for name in NAMES)
    rows = spark.createDataFrame(YEARS, schema).transform(impute_value_added, method=method).orderBy(
        "year", "industry_code"
    ).collect()
    found = [(row["value_added_used"], row["inputs_used"], row["value_added_method"], row["is_imputed"]) for row in rows]
    assert found[0] == (250.0, 780.0, "reported", False)
    assert found[1] == (350.0, 700.0, "accounting_identity", False)
    for row, (value, inputs, label) in zip(found[2:], IMPUTED[method], strict=True):
        assert row[:2] == (pytest.approx(value) if value else None, pytest.approx(inputs) if inputs else None)
        assert row[2:] == (label, label is not None)


@pytest.fixture(scope="module")
def inputs(spark):
    """Two industries of simulated firms in the columns of the job, and one that is too small."""
    from tests.fixtures.firms import simulate_firms

    parts = []
    for industry, seed, n_firms in (("13", 1, 150), ("17", 2, 120), ("26", 3, 4)):
        part = simulate_firms(n_firms, 5, seed=seed).assign(industry_code=industry)
        parts.append(part.assign(legal_person_code=industry + "-" + part["firm"].astype(str)))
    singular = parts[1].assign(industry_code="31", l=2.0, legal_person_code="31" + parts[1]["legal_person_code"])
    frame = pd.concat([*parts, singular], ignore_index=True)
    frame = frame.rename(columns={"y": "ln_output", "l": "ln_workers", "k": "ln_capital", "m": "ln_inputs"})
    frame["labour_share"] = 0.3 + 0.05 * (frame["firm"] % 5)
    frame["year"] = frame["year"].astype("int32")
    columns = ["industry_code", "legal_person_code", "year", "ln_output", "ln_workers", "ln_capital", "ln_inputs",
               "labour_share"]
    return frame[columns], spark.createDataFrame(frame[columns]).persist()


def test_industries_are_estimated_apart_and_the_impossible_ones_named(inputs):
    frame, native = inputs
    estimated = estimate_technology(native, Productivity(), n_industries=4)
    assert estimated.rdd.getNumPartitions() == 4
    table = estimated.toPandas().set_index("industry_code")
    assert table["estimate_status"].to_dict() == {
        "13": "estimated", "17": "estimated", "26": "too_small", "31": "singular",
    }
    assert "found 16" in table.loc["26", "estimate_reason"]
    assert "ln_workers is determined" in table.loc["31", "estimate_reason"]
    for industry in ("13", "17"):
        alone = ProductionFunction(
            frame[frame["industry_code"] == industry], output="ln_output", free="ln_workers", state="ln_capital",
            proxy="ln_inputs", entity="legal_person_code", time="year", options=ProductionOptions(),
        ).fit("lp")
        row = table.loc[industry]
        assert row["coef_labour"] == pytest.approx(alone.params["ln_workers"], abs=ROUNDING)
        assert row["coef_capital"] == pytest.approx(alone.params["ln_capital"], abs=1e-6)
        assert (row["n_firm_years"], row["n_pairs_used"]) == (alone.n_obs, alone.n_pairs)


def test_native_index_number_equals_numpy(inputs):
    frame, native = inputs
    found = native.where("industry_code = '13'").transform(add_index_productivity).toPandas()
    alone = ProductionFunction(
        frame[frame["industry_code"] == "13"], output="ln_output", free="ln_workers", state="ln_capital",
        shares="labour_share", entity="legal_person_code", time="year",
    ).fit("index")
    expected = frame.assign(omega=alone.omega).set_index(["legal_person_code", "year"])["omega"]
    ours = found.set_index(["legal_person_code", "year"])["ln_tfp"]
    assert np.abs(ours - expected.loc[ours.index]).max() < ROUNDING


def test_trimming_leaves_out_the_tails_of_each_industry_and_year(inputs):
    frame, native = inputs
    kept = native.transform(trim_tails, share=0.05).toPandas()
    ratios = {name: frame[name] - frame["ln_workers"] for name in ("ln_output", "ln_inputs", "ln_capital")}
    inside = pd.Series(True, index=frame.index)
    for ratio in ratios.values():
        cell = ratio.groupby([frame["industry_code"], frame["year"]])
        inside &= ratio.between(cell.transform("quantile", 0.05), cell.transform("quantile", 0.95))
    assert 0 < len(frame) - len(kept) == int((~inside).sum())


def test_firm_and_city_productivity_by_hand(spark):
    inputs = spark.createDataFrame(
        [(2005, "a", "320400", "district", "13", 10.0, 2.0, 4.0, 1.0, 1.0, True),
         (2005, "b", "320400", "county", "13", 8.0, 2.0, 2.0, 3.0, 3.0, False),
         (2005, "c", "320400", "district", "17", 5.0, 1.0, 1.0, 1.0, None, False),
         (2005, "d", None, None, "17", 6.0, 1.0, 1.0, 1.0, 1.0, False),
         (2005, "e", "320400", "district", "26", 6.0, 1.0, 1.0, 1.0, 1.0, False),
         (2005, "f", "320400", "district", "13", None, 1.0, 1.0, 1.0, 1.0, False)],
        "year int, legal_person_code string, city_id string, unit_type string, industry_code string, ln_output double, "
        "ln_workers double, ln_capital double, output_weight double, worker_weight double, is_imputed boolean",
    ).withColumns({"ln_inputs": F.lit(None).cast("double"), "tfp_source": F.lit("survey")})
    technology = spark.createDataFrame(
        [("13", 0.5, 0.25, None), ("17", 1.0, 0.0, None)],
        "industry_code string, coef_labour double, coef_capital double, coef_inputs double",
    )
    firms = inputs.transform(add_productivity, technology).transform(add_relative_productivity).persist()
    values = {row["legal_person_code"]: (row["ln_tfp"], row["ln_tfp_relative"]) for row in firms.collect()}
    # 13: 10-1-1 = 8 and 8-1-.5 = 6.5, mean 7.25; 17: 4 and 5, mean 4.5; 26 has no technology; f has no output
    assert values == {"a": (8.0, 0.75), "b": (6.5, -0.75), "c": (4.0, -0.5), "d": (5.0, 0.5)}
    whole = firms.transform(average_by_city, relative="industry", weights="output", area="whole_city").collect()
    assert len(whole) == 1
    row = whole[0]
    assert row["ln_tfp_simple"] == pytest.approx(-0.5 / 3)
    assert row["ln_pro"] == row["ln_tfp_output"] == pytest.approx((0.75 - 0.75 * 3 - 0.5) / 5)
    assert row["ln_tfp_employment"] == pytest.approx((0.75 - 0.75 * 3) / 4)
    assert (row["n_city_firms"], row["n_city_industries"]) == (3, 2)
    assert row["share_imputed"] == pytest.approx(1 / 3)
    district = firms.transform(average_by_city, relative="none", weights="simple", area="districts").collect()[0]
    assert district["ln_pro"] == pytest.approx((8.0 + 4.0) / 2)
