"""The whole job on generated surveys: known technology gives the latent city productivity back, bad input is counted."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from jobs.core.lake import Lake
from jobs.generate import NAMED_CITIES
from jobs.productivity import run
from jobs.runtime.context import JobContext
from jobs.world.firm_accounts import DIRT, TECHNOLOGY, AccountsModel, write_firm_accounts
from jobs.world.firm_tables import SURVEY
from schemas import firms as tables

CITIES = ("320400", "441900", "330600", "500000")
YEARS = (2002, 2003, 2004, 2007, 2008)
# value added is a product of a few exponentials: their logarithm returns within a few units in the last place
EXACT = 1e-12


def latent_panel(cities=CITIES, years=YEARS) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    return pd.DataFrame([(city, year, 3.0 + 0.2 * rng.standard_normal()) for city in cities for year in years],
                        columns=["city_id", "year", "ln_pro"])


def open_context(spark, settings, tmp_path, raw, **choices) -> JobContext:
    settings = settings.replaced("productivity", **choices)
    return JobContext(spark, Lake.open(spark, str(tmp_path / "lake"), create=True), settings, "run-1", raw)


def compare(lake, latent) -> pd.DataFrame:
    found = lake.read(tables.CITY_PRODUCTIVITY).toPandas()
    return found.merge(latent, on=["city_id", "year"], suffixes=("_found", "_latent"), validate="1:1")


@pytest.fixture(scope="module")
def survey(spark, settings, tmp_path_factory):
    """One run with known technology, measurement error and two dirty rows per kind and year."""
    folder = tmp_path_factory.mktemp("survey")
    latent = latent_panel()
    model = AccountsModel(firms_per_industry=1, error_sd=0.2, n_dirty=2)
    written = write_firm_accounts(latent, folder / "raw" / "firms", seed=5, model=model)
    context = open_context(
        spark, settings, folder, folder / "raw", method="known", relative="none", imputation="income_approach",
        technology=str(folder / "raw" / "firms" / "technology.csv"),
    )
    return context, latent, written, run(context)


def test_generated_city_productivity_comes_back_exactly_with_known_technology(survey):
    context, latent, written, _ = survey
    merged = compare(context.lake, latent)
    assert len(merged) == len(latent)
    assert np.abs(merged["ln_pro_found"] - merged["ln_pro_latent"]).max() < EXACT
    assert set(merged["n_city_firms"]) == {len(TECHNOLOGY)}


def test_imputed_years_are_flagged_and_their_share_stands_beside(survey):
    context, latent, _, _ = survey
    share = compare(context.lake, latent).groupby("year")["share_imputed"].agg(["min", "max"])
    assert share.loc[2007].tolist() == [0.0, 0.0]
    # 2004 reports inputs and tax: an identity, no imputation
    assert share.loc[2004].tolist() == [0.0, 0.0]
    assert share.loc[2008].tolist() == [1.0, 1.0]
    methods = {
        (row["year"], row["value_added_method"])
        for row in context.lake.read(tables.FIRM_TFP).select("year", "value_added_method").distinct().collect()
    }
    assert {(2003, "reported"), (2004, "accounting_identity"), (2008, "income_approach")} <= methods


def test_every_delivered_row_is_kept_or_refused_by_the_rule_it_was_made_for(survey):
    context, _, written, outcome = survey
    kept = context.lake.read(tables.FIRM_ACCOUNT).count()
    refused = dict(context.lake.read(tables.FIRM_QUARANTINE).groupBy("primary_reason").count().collect())
    assert kept + sum(refused.values()) == written.n_rows
    assert refused == {kind: 2 * len(YEARS) for kind in DIRT}
    assert f"{sum(refused.values())} of {written.n_rows} delivered firm-years refused" in outcome.message
    assert "refused capital_nonpositive" in outcome.detail


def test_industry_editions_and_place_codes_of_the_year_are_resolved(survey):
    context, _, _, _ = survey
    accounts = context.lake.read(tables.FIRM_ACCOUNT)
    # electrical machinery is 40 in the 1994 edition (2002 and before), 39 in the 2002 edition
    codes = {
        (row["year"], row["cic_code"][:2])
        for row in accounts.where("industry_code = '40'").select("year", "cic_code").distinct().collect()
    }
    assert (2002, "41") in codes and (2003, "40") in codes
    assert accounts.where("city_id IS NULL OR unit_type NOT IN ('district', 'whole_city')").count() == 0
    lengths = dict(accounts.groupBy("year").agg(F.max(F.length("place_code"))).collect())
    assert (lengths[2003], lengths[2004]) == (6, 12)


def test_second_run_finds_nothing_to_do_and_another_choice_rebuilds(survey):
    context, latent, _, _ = survey
    again = run(context)
    assert not again.changed
    relative = JobContext(
        context.spark, context.lake, context.settings.replaced("productivity", relative="industry"), "run-2", context.raw
    )
    assert run(relative).changed
    merged = compare(context.lake, latent)
    # every city has the same industries, so the reference shifts all by one constant
    assert np.ptp(merged["ln_pro_found"] - merged["ln_pro_latent"]) < EXACT


def test_estimated_productivity_is_off_by_the_errors_of_the_coefficients_and_by_little(spark, settings, tmp_path):
    """The survey of a generated world (``generate --firms survey``) on sixteen of its cities, Levinsohn-Petrin by industry."""
    latent = latent_panel(NAMED_CITIES, range(2003, 2008))
    written = write_firm_accounts(latent, tmp_path / "raw" / "firms", seed=6, model=SURVEY)
    context = open_context(spark, settings, tmp_path, tmp_path / "raw")
    assert "0 of 7 industries without estimate" in run(context).message
    merged = compare(context.lake, latent).set_index(["city_id", "year"])
    off = _less_mean(merged["ln_pro_found"] - merged["ln_pro_latent"])
    # every city has the same industries: what is subtracted by industry is one constant
    coefs = context.lake.read(tables.PRODUCTION_FUNCTION).toPandas().set_index("industry_code")
    true = pd.DataFrame.from_dict(TECHNOLOGY, orient="index", columns=["coef_labour", "coef_capital"])
    errors = (true - coefs[list(true)]).loc[written.firms["industry_code"]].to_numpy()
    firms = written.firms.assign(shift=(errors * written.firms[["ln_workers", "ln_capital"]].to_numpy()).sum(axis=1))
    expected = _less_mean(firms.groupby(["city_id", "year"])["shift"].mean().loc[off.index])
    assert np.abs(off - expected).max() < 1e-9
    # stated in docs/methodology/productivity.md: latent productivity has a standard deviation of .2 here
    assert np.abs(off).max() < 0.1
    assert merged["ln_pro_found"].corr(merged["ln_pro_latent"]) > 0.99


def _less_mean(values: pd.Series) -> pd.Series:
    return values - values.mean()


def test_given_productivity_is_taken_as_it_is_and_bad_rows_are_named(spark, settings, tmp_path):
    rows = [
        ("1", 2005, "320402", "13", 2.5, 100, 10), ("2", 2005, "320404", "14", 3.5, 300, 30),
        ("3", 2005, "320481", "13", 9.0, 100, 10), ("4", 2005, "110101", "13", 1.0, "", ""),
        ("5", 2005, "000000", "13", 1.0, 1, 1), ("6", 2005, "320402", "13", "n.a.", 1, 1),
        ("7", "x", "320402", "13", 1.0, 1, 1), ("1", 2005, "320402", "13", 7.0, 1, 1),
    ]
    folder = tmp_path / "raw" / "firms"
    folder.mkdir(parents=True)
    with (folder / "firm_tfp.csv").open("w", encoding="utf-8", newline="") as stream:
        heading = ("firm_id", "year", "place_code", "industry", "ln_tfp", "output", "employment")
        csv.writer(stream).writerows([heading, *rows])
    context = open_context(spark, settings, tmp_path, tmp_path / "raw", area="districts")
    outcome = run(context)
    assert "4 of 8 delivered firm-years refused" in outcome.message
    cities = {row["city_id"]: row for row in context.lake.read(tables.CITY_PRODUCTIVITY).collect()}
    # 320481 (Liyang) is a county-level city: in the table, not in the district mean
    assert cities["320400"]["ln_pro"] == pytest.approx(3.0)
    assert cities["320400"]["ln_tfp_output"] == pytest.approx((2.5 * 100 + 3.5 * 300) / 400)
    assert cities["110000"]["ln_tfp_output"] is None
    assert cities["110000"]["tfp_source"] == "given"
    refused = {
        row["legal_person_code"]: row["primary_reason"] for row in context.lake.read(tables.FIRM_QUARANTINE).collect()
    }
    assert refused == {
        "5": "place_unknown", "6": "productivity_missing", "7": "year_malformed", "1": "firm_year_repeated",
    }


def test_folder_without_firm_files_is_said_and_stops_nothing(spark, settings, tmp_path):
    (tmp_path / "raw").mkdir()
    outcome = run(open_context(spark, settings, tmp_path, tmp_path / "raw"))
    assert not outcome.changed
    assert "no firm files" in outcome.message
