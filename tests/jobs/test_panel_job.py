"""The panel job on a small lake: every number of the panel recomputed with pandas from what was put in."""

from __future__ import annotations

import contextlib
import dataclasses
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import Row

from conf.yearbook import load_yearbook_config
from jobs import panel
from jobs.core.errors import InputRefusedError
from jobs.core.frames import arrow_to_frame, to_rows
from jobs.core.lake import Lake, Written
from jobs.core.ledger import record_builds
from jobs.runtime.context import JobContext
from jobs.study import assembly
from jobs.study.missing import BASELINE
from schemas import firms, gold
from schemas import panel as tables
from schemas import yearbook as yearbook_tables

YEARS = range(2006, 2011)
CITIES = ("110000", "130200", "320500", "460300")  # Sansha came in 2012: no city of the study
RATE = {2006: 7.9718, 2007: 7.6040, 2008: 6.9451, 2009: 6.8310, 2010: 6.7695}
ROUNDING = 1e-10  # logarithms in the JVM and in numpy may differ in the last digit
NUMBERS = ("nonagri_population", "population", "gdp_growth", "students", "science_spending", "fdi", "road_area",
           "land_area", "employees", "unemployed")  # fmt: skip


class MemoryLake(Lake):
    """Tables kept in memory under the lake's names, conformed as on write: the job's logic without Delta's seconds."""

    def __init__(self, spark):
        super().__init__(spark, "memory")
        self.frames, self.versions = {}, {}

    def exists(self, table):
        return table.name in self.frames

    def version(self, table):
        return self.versions.get(table.name, -1)

    def commits(self, table, *, after=-1):
        return []

    def read(self, table, *, version=None):
        return self.frames.get(table.name) or self.spark.createDataFrame([], table.struct())

    def arrow(self, table, *, version=None, columns=None):
        return self.read(table).select(*(columns or "*")).toArrow()

    def overwrite(self, table, frame, *, metadata=None):
        frame = arrow_to_frame(self.spark, frame) if isinstance(frame, pa.Table) else frame
        self.frames[table.name], self.versions[table.name] = table.conform(frame), self.version(table) + 1
        return Written(self.versions[table.name], 0)

    def append_rows(self, table, rows):
        # the ledger asks for these a dozen times: remembered as rows, they cost no Spark job
        kept = self.remembered.get(table.name, (None, []))[1]
        new = [Row(**{name: row.get(name) for name in table.columns}) for row in rows]
        self.versions[table.name] = self.version(table) + 1
        self.remembered[table.name] = (self.versions[table.name], [*kept, *new])

    def lock(self, *tables):
        return contextlib.nullcontext()


def source_numbers() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    index = pd.MultiIndex.from_product([CITIES[:3], YEARS], names=["city_id", "year"])
    frame = pd.DataFrame({name: np.round(rng.uniform(20, 90, len(index)), 2) for name in NUMBERS}, index=index)
    frame["gdp_growth"] = np.round(rng.uniform(5, 15, len(index)), 1)
    frame["value_usd"] = np.round(rng.uniform(1e6, 1e9, len(index)), 2)
    frame["n_products"] = rng.integers(5, 900, len(index))
    frame["n_destinations"] = rng.integers(2, 90, len(index))
    frame["ln_pro"] = rng.normal(0, 0.3, len(index))
    return frame


@pytest.fixture(scope="module")
def numbers():
    return source_numbers()


@pytest.fixture(scope="module")
def context(spark, settings, numbers):
    lake = MemoryLake(spark)
    units = {name: one.unit for name, one in load_yearbook_config().indicators.items()}
    long = numbers[list(NUMBERS)].stack().rename("indicator_value").reset_index().rename(columns={"level_2": "indicator"})
    # the students of one city-year were refused, the roads of another never printed, a third has no row at all
    is_gone = (
        ((long["city_id"] == "130200") & (long["year"] == 2007) & (long["indicator"] == "students"))
        | ((long["city_id"] == "110000") & (long["year"] == 2006) & (long["indicator"] == "road_area"))
        | ((long["city_id"] == "320500") & (long["year"] == 2010))
    )
    long = long[~is_gone].assign(
        area="districts", indicator_unit=long["indicator"].map(units), value_printed="x", unit_printed="x", city_printed="x",
        edition=long["year"] + 1, source_cell="x", is_corrected=False, correction_source=None,
    )  # fmt: skip
    refused = pd.DataFrame([{
        "primary_reason": "typing_error", "detail": "", "source_cell": "2008.xlsx!2-18!D9", "edition": 2008, "year": 2007,
        "city_id": "130200", "city_printed": "x", "indicator": "students", "area": "districts", "value_printed": "1",
        "unit_printed": "x",
    }])  # fmt: skip
    wide = numbers.reset_index()
    exports = wide[["city_id", "year", "n_products", "n_destinations"]].assign(
        value_usd=[Decimal(f"{value:.2f}") for value in wide["value_usd"]], city_name=None, province_code=None,
        n_products_converted=1, n_products_family=1, n_partner_codes=wide["n_destinations"] + 1, n_pairs=10_000, n_firms=1,
        n_records=1, share_value_by_fallback=0.0, share_value_ambiguous=0.0, n_records_postcode_unknown=0,
        share_value_postcode_unknown=0.0,
    )  # fmt: skip
    exports = exports[~((exports["city_id"] == "110000") & (exports["year"] == 2007))]
    productivity = wide[["city_id", "year", "ln_pro"]].assign(
        tfp_weights="simple", tfp_relative="industry", ln_tfp_simple=0.0, ln_tfp_output=0.0, ln_tfp_employment=0.0,
        n_city_firms=1, n_city_industries=1, share_imputed=0.25, tfp_source="given",
    )  # fmt: skip
    zones = pd.DataFrame([("320500", 2008, None, "x")], columns=["city_id", "approved_year", "closed_year", "zone_source"])
    series = pd.DataFrame(
        [("cny_per_usd", "000000", year, rate, "x") for year, rate in RATE.items()],
        columns=["series", "province_code", "year", "series_value", "series_source"],
    )
    for table, frame in (
        (yearbook_tables.YEARBOOK, long), (yearbook_tables.YEARBOOK_QUARANTINE, refused), (gold.CITY_EXPORTS, exports),
        (firms.CITY_PRODUCTIVITY, productivity), (yearbook_tables.DEVELOPMENT_ZONE, zones),
        (yearbook_tables.YEARLY_SERIES, series),
    ):  # fmt: skip
        lake.overwrite(table, to_rows(frame, table))
    # 2011 is in the study, but nothing is loaded for it
    record_builds(lake, "run-0", gold.CITY_EXPORTS, Written(0, 0), dict.fromkeys(YEARS, "x"), dict.fromkeys(YEARS, 3))
    study = settings.replaced("study", first_year=2006, last_year=2011)
    return JobContext(spark, lake, study, "run-1")


@pytest.fixture(scope="module")
def built(context):
    outcome = panel.run(context)
    frames = {}
    for table in tables.TABLES:
        frame = frames[table.name] = context.lake.read(table).toPandas()
        assert not frame.duplicated(list(table.key)).any(), table.name
    return outcome, frames


def test_every_variable_is_its_formula_on_the_numbers_put_in(built, numbers):
    made = built[1]["gold.city_panel"].set_index(["city_id", "year"]).sort_index()
    assert made.index.get_level_values("city_id").nunique() == 287
    mine = numbers
    base = mine["gdp_growth"].xs(2008, level="year")
    growth = 1 + mine["gdp_growth"] / 100
    index = 100 * growth / (1 + mine.index.get_level_values("city_id").map(base) / 100)
    rate = mine.index.get_level_values("year").map(RATE)
    expected = {
        "lnvalue": np.log(mine["value_usd"]), "lnnum": np.log(mine["n_products"]), "lnnumcou": np.log(mine["n_destinations"]),
        "lnAgg": np.log(mine["nonagri_population"]), "lnRes": np.log(index), "lnGrowth": np.log(100 * growth),
        "lnResc": np.log(index.groupby(level="city_id").transform(lambda x: x.rolling(3).mean())),
        "lnRunepd": np.log(mine["unemployed"] / (mine["unemployed"] + mine["employees"])), "lnPro": mine["ln_pro"],
        "lnphumc": np.log1p(mine["students"] / mine["population"]), "lnrd": np.log1p(mine["science_spending"]),
        "lnfdi": np.log1p(mine["fdi"] * rate), "lnroadper": np.log1p(mine["road_area"] / mine["population"]),
        "land_area": mine["land_area"],
    }  # fmt: skip
    for name, values in expected.items():
        found = made.loc[mine.index, name]
        present = found.notna()
        assert present.sum() >= 8, name
        np.testing.assert_allclose(found[present], values[present], rtol=ROUNDING, err_msg=name)
    assert made.loc["320500", "ETDZ"].tolist() == [0, 0, 1, 1, 1]
    assert made.loc[("320500", 2008), "share_imputed"] == 0.25
    assert (made["lnRunepd_flipped"].dropna() == -made["lnRunepd"].dropna()).all()


def test_city_years_lost_are_counted_with_their_reason(built):
    report = built[1]["gold.panel_missing"]
    mine = report[report["city_id"].isin(CITIES)].set_index(["city_id", "year", "variable"])
    reason = mine["missing_reason"]
    assert reason["130200", 2007, "lnphumc"] == "refused"
    assert "2008.xlsx!2-18!D9" in mine["missing_detail"]["130200", 2007, "lnphumc"]
    assert reason["110000", 2006, "lnroadper"] == "not_printed"
    assert set(reason["320500", 2010]) == {"city_not_in_yearbook"}
    assert set(reason["110000", 2007]) == {"no_exports"}
    assert "460300" not in set(report["city_id"])
    others = report[~report["city_id"].isin(CITIES)]
    assert set(others.loc[others["variable"] == "lnPro", "missing_reason"]) == {"no_firms"}
    panel_frame = built[1]["gold.city_panel"]
    assert panel_frame["is_complete"].sum() == 3 * 5 - 4
    cells = panel_frame["missing_variables"].map(len).sum()
    assert cells == len(report)


def test_constants_stored_beside_the_panel_reproduce_its_standardised_columns(built):
    frame = built[1]["gold.city_panel"]
    stored = built[1]["gold.panel_constants"].set_index(["variable", "statistic"])["constant_value"]
    complete = frame[frame["is_complete"]]
    for first, second in tables.PRODUCTS:
        centred = (frame[first] - stored[first, "mean"]) * (frame[second] - stored[second, "mean"])
        name = tables.product_name(first, second)
        np.testing.assert_allclose(frame[name].dropna(), centred.dropna(), rtol=ROUNDING)
    for name in (*BASELINE, "lnAgg_x_lnPro"):
        again = (frame[name] - stored[name, "mean"]) / stored[name, "sd"]
        np.testing.assert_allclose(frame[f"z_{name}"].dropna(), again.dropna(), rtol=ROUNDING)
        assert stored[name, "n"] == len(complete)
        assert abs(complete[f"z_{name}"].mean()) < ROUNDING
        assert complete[f"z_{name}"].std(ddof=1) == pytest.approx(1)


def test_second_run_does_nothing_and_another_option_rebuilds(context, built, monkeypatch):
    class RebuiltError(Exception):
        pass

    def collect(*arguments):
        raise RebuiltError

    monkeypatch.setattr(panel, "assemble_natural_panel", collect)
    assert not panel.run(context).changed
    other = dataclasses.replace(context, settings=context.settings.replaced("panel", zones="ever"))
    with pytest.raises(RebuiltError):
        panel.run(other)


def test_panel_covers_the_loaded_years_of_the_study_whatever_years_a_run_works_on(context):
    assert assembly.panel_years(dataclasses.replace(context, years=frozenset({2010}))) == list(YEARS)
    later = context.settings.replaced("study", first_year=2012, last_year=2014)
    with pytest.raises(InputRefusedError, match="study's years 2012-2014; the lake has 2006-2010"):
        assembly.panel_years(dataclasses.replace(context, settings=later))


def test_minmax_resilience_warns(context, monkeypatch, caplog):
    def collect(*arguments):
        raise InputRefusedError("far enough")

    monkeypatch.setattr(panel, "assemble_natural_panel", collect)
    monkeypatch.setattr(panel.log, "propagate", True)
    other = dataclasses.replace(context, settings=context.settings.replaced("panel", resilience="minmax"))
    with pytest.raises(InputRefusedError, match="far enough"), caplog.at_level("WARNING"):
        panel.run(other)
    assert "makes the weakest city-year an outlier" in caplog.text


def test_shipped_zones_are_doubted_in_years_they_do_not_cover(context, monkeypatch, caplog):
    class FarEnoughError(Exception):
        pass

    def widen(*arguments):
        raise FarEnoughError

    zones = pd.DataFrame(
        [("320500", 1992, None, "development_zones.csv, list")],
        columns=["city_id", "approved_year", "closed_year", "zone_source"],
    )
    lake = MemoryLake(context.spark)
    lake.overwrite(yearbook_tables.DEVELOPMENT_ZONE, to_rows(zones, yearbook_tables.DEVELOPMENT_ZONE))
    monkeypatch.setattr(assembly, "widen_yearbook", widen)
    monkeypatch.setattr(panel.log, "propagate", True)
    for years, warned in (([2010, 2011], False), ([2011, 2012], True)):
        caplog.clear()
        with pytest.raises(FarEnoughError), caplog.at_level("WARNING"):
            assembly.assemble_natural_panel(dataclasses.replace(context, lake=lake), years)
        assert ("ends with 2011" in caplog.text) == warned


def test_lake_without_exports_is_refused_with_the_remedy(spark, settings):
    with pytest.raises(InputRefusedError, match="Run `customs-lake count` first"):
        panel.run(JobContext(spark, MemoryLake(spark), settings, "run-1"))
