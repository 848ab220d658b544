"""Indicators of a small lake: equal to its counts, computed once, and again only where a compared year changed.

The same lake is held against its world's totals, with and without one month's file.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pandas as pd
import pytest

from jobs import count, erase, fsck, pipeline, plan, plausible, verify, withdraw
from jobs.core.errors import EXIT_DONE, EXIT_QUALITY
from jobs.core.lake import Lake
from jobs.core.ledger import forget_builds, recorded_builds
from jobs.counting import indicators
from jobs.generate import generate
from jobs.pipeline import run_through
from jobs.runtime.context import JobContext, exit_code, run_job
from schemas import gold, ops
from schemas.indicators import CITY_DIVERSITY, CITY_DYNAMICS, CITY_FIRM, CITY_MARGINS, TABLES, TRADE_MIX

pytestmark = pytest.mark.lake
YEARS = (2004, 2005, 2006)


@pytest.fixture(scope="module")
def context(spark, settings, tmp_path_factory) -> JobContext:
    """A lake of three years, through its comparison with the world's totals."""
    world = tmp_path_factory.mktemp("world")
    generate(world, seed=21, preset="small", n_cities=8, years=YEARS, records=6_000)
    lake = Lake.open(spark, str(tmp_path_factory.mktemp("lake") / "lake"), create=True)
    context = JobContext(spark, lake, settings, "first", raw=world / "raw")
    context.lake.outcomes = dict(zip(pipeline.STEPS, run_through(context, "plausible"), strict=False))
    return context


def _rows(context, table) -> pd.DataFrame:
    return context.lake.arrow(table).to_pandas().sort_values(list(table.key), ignore_index=True)


def test_the_five_tables_agree_with_the_counts_to_the_cent_and_keep_their_keys(context):
    exports = _rows(context, gold.CITY_EXPORTS).set_index(["city_id", "year"]).sort_index()
    firms, mix, margins = (_rows(context, table) for table in (CITY_FIRM, TRADE_MIX, CITY_MARGINS))
    assert firms.groupby(["city_id", "year"]).size().to_dict() == exports["n_firms"].to_dict()
    of_dimensions = mix.groupby(["city_id", "year", "dimension"])["value_usd"].sum().unstack()
    for dimension in of_dimensions:
        assert of_dimensions[dimension].to_dict() == exports["value_usd"].to_dict(), dimension
    whole = margins[margins["destination"] == "ALL"].set_index(["city_id", "year"])
    assert whole["value_usd"].to_dict() == firms.groupby(["city_id", "year"])["value_usd"].sum().to_dict()
    spread = _rows(context, CITY_DIVERSITY).set_index(["city_id", "year", "over"])["n_members"].unstack()
    assert spread["product"].to_dict() == exports["n_products_family"].to_dict()
    assert spread["destination"].fillna(0).to_dict() == exports["n_destinations"].to_dict()
    dynamics = _rows(context, CITY_DYNAMICS).set_index(["population", "borders", "city_id", "year"]).sort_index()
    assert (dynamics.loc[("all", "year")]["n_firms"].reindex(exports.index) == exports["n_firms"]).all()
    entered = dynamics.loc[("all", "year")]["n_entrants"].unstack()
    assert entered[2004].isna().all() and (entered[[2005, 2006]].fillna(0).sum() > 0).all()
    assert set(dynamics.reset_index()["borders"]) == {"year", "constant"}
    for table in TABLES:
        assert not _rows(context, table).duplicated(list(table.key)).any(), table.name
    assert verify.run(context).message
    checks = (fsck.check_rows, fsck.check_builds)
    assert not [finding for table in TABLES for check in checks for finding in check(context, table)]


def test_through_spark_all_counts_and_indicators_are_the_same_to_the_bit(context, monkeypatch):
    """Where executors cannot reach the lake's files; on this machine they can."""
    written = (*TABLES, gold.CITY_PRODUCT_DESTINATION, gold.CITY_EXPORTS)
    before = {table.name: _rows(context, table) for table in written}
    for module in (count, indicators):
        assert module.takes_files(context.lake, *written)
        monkeypatch.setattr(module, "takes_files", lambda *_: False)
    for name, job in (("count", count), ("indicators", indicators)):
        assert run_job(name, job.run, replace(context, run_id="frames", rebuild=True)).changed
    for table in written:
        pd.testing.assert_frame_equal(before[table.name], _rows(context, table), obj=table.name, check_exact=True)


def test_a_second_run_computes_nothing_and_a_changed_year_those_it_is_compared_with(context):
    assert not indicators.run(context).changed and not plausible.run(context).changed
    assert "never computed" not in plan.run(context).detail
    before = {table.name: _rows(context, table) for table in TABLES}
    forget_builds(context.lake, "test", CITY_FIRM, [2006])
    work = indicators.planned(context)
    assert sorted(work.cube) == [2006] and work.read == [2005, 2006] and not work.dynamics
    assert run_job("indicators", indicators.run, context).changed
    for table in TABLES:
        pd.testing.assert_frame_equal(before[table.name], _rows(context, table), obj=table.name)
    assert not indicators.planned(context).cube


def test_the_lake_agrees_with_its_world_and_a_missing_month_ends_with_exit_code_6_and_its_name(context, capsys):
    outcome = context.lake.outcomes["plausible"]
    assert not outcome.alarm and "agrees" in outcome.detail and "off" not in outcome.detail.split("verdict")[1]
    assert exit_code([outcome]) == EXIT_DONE
    run_job("withdraw", lambda given: withdraw.withdraw(given, ["*200505*"], "lost"), context)
    lost = run_job("plausible", plausible.run, replace(context, run_id="second"))
    assert "May" in lost.alarm and "2005" in lost.alarm
    assert exit_code([lost]) == EXIT_QUALITY
    assert "May" in capsys.readouterr().err
    # not compared anew as long as nothing changed
    assert not plausible.run(replace(context, run_id="third")).changed
    recorded = {row["year"]: row["is_within"] for row in context.lake.rows(ops.QUALITY)
                if row["run_id"] == "second" and row["metric"] == "plausible_export_value_all"}
    assert recorded[2005] is False
    run_job("withdraw", lambda given: withdraw.reinstate(given, ["*200505*"], "found"), context)
    assert not run_job("plausible", plausible.run, replace(context, run_id="fourth")).alarm


@pytest.mark.skipif(
    not os.environ.get("CUSTOMS_LAKE_CLUSTER_TESTS"),
    reason="erasing builds all years again, minutes: set CUSTOMS_LAKE_CLUSTER_TESTS=1",
)
def test_an_erased_firm_is_gone_from_the_firm_cube_and_its_years_are_computed_again(context):
    firms = _rows(context, CITY_FIRM)
    firm = firms.groupby("firm_id")["year"].nunique().idxmax()
    target = erase.find(context, [firm], [])
    assert target.rows[CITY_FIRM.name]
    run_job("erase", lambda given: erase.erase(given, target, "a request"), context)
    assert firm not in set(_rows(context, CITY_FIRM)["firm_id"])
    exports = _rows(context, gold.CITY_EXPORTS).set_index(["city_id", "year"])["n_firms"]
    assert _rows(context, CITY_FIRM).groupby(["city_id", "year"]).size().to_dict() == exports.to_dict()
    assert set(recorded_builds(context.lake, CITY_FIRM).fingerprints) == set(YEARS)
