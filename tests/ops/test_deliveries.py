"""A delivery with a bad file and a file of several years, through bronze, silver and gold: one year waits, nothing is lost."""

from __future__ import annotations

import pytest
from pyspark.sql import functions as F

from jobs import clean, count, ingest, land, plan, withdraw
from jobs.core.lake import Lake
from jobs.core.ledger import blocked_years, left_out_files, new_run_id
from jobs.runtime.context import JobContext, exit_code, run_job
from schemas import bronze, gold, ops, silver

pytestmark = [pytest.mark.lake, pytest.mark.timeout(1800)]
STEPS = (("land", land), ("ingest", ingest), ("clean", clean), ("count", count))


def test_bad_file_keeps_its_year_from_being_counted_and_several_years_are_split(
    spark, settings, tmp_path, write_delivery, monkeypatch
):
    monkeypatch.setenv("CUSTOMS_LAKE_CACHE", str(tmp_path / "cache"))
    raw = write_delivery(tmp_path / "raw", [2003, 2004, 2005, 2006], months=(1,), n_lines=24)
    customs = raw / "customs"
    headings, *lines = (customs / "data200501.csv").read_text("utf-8").splitlines()
    lines += (customs / "data200601.csv").read_text("utf-8").splitlines()[1:]
    (customs / "together.csv").write_text("\n".join([headings, *lines]) + "\n", encoding="utf-8")
    for name in ("data200501.csv", "data200601.csv"):
        (customs / name).unlink()
    (customs / "data200402.csv").write_text("a,b,c\n1,2,3\n")
    root = str(tmp_path / "lake")

    def context(**options):
        return JobContext(spark, Lake.open(spark, root, create=True), settings, new_run_id(), raw, **options)

    def run(**options):
        return [run_job(name, module.run, context(**options)) for name, module in STEPS]

    def counted():
        return sorted(row[0] for row in context().lake.read(gold.CITY_EXPORTS).select("year").distinct().collect())

    outcomes = run()
    lake = context().lake
    assert exit_code(outcomes) == 4 and "2004 not counted" in outcomes[-1].unfinished
    assert counted() == [2003, 2005, 2006] and blocked_years(lake) == {2004: ["customs/data200402.csv"]}
    assert dict(lake.read(bronze.DECLARATION).groupBy("source_year").count().collect()) == {
        2003: 24, 2004: 24, 2005: 24, 2006: 24,
    }
    balance = lake.read(ops.RECONCILIATION)
    assert balance.where("is_balanced").count() == balance.count() == 4
    assert lake.read(silver.DECLARATION).where("year = 2004").count() > 0, "its declarations are there"
    quality = lake.read(ops.FILE_QUALITY).where(F.col("alarm").isNotNull())
    assert quality.count() == 0, quality.collect()
    assert plan.plan_years(context(), plan.receipts_after(land.latest_receipts(lake), None), (2004,))[1].gold == "wait"
    # nothing new: nothing is written, and it is still said what waits
    before = lake.version(ops.LEFT_OUT), lake.version(ops.FILE_RECEIPT)
    again = run()
    assert exit_code(again) == 4 and not any(outcome.changed for outcome in again)
    assert (lake.version(ops.LEFT_OUT), lake.version(ops.FILE_RECEIPT)) == before
    # somebody says that the year is to be counted without it
    assert exit_code(run(accepted=("data200402.csv",))) == 0
    assert counted() == [2003, 2004, 2005, 2006]
    (row,) = left_out_files(context().lake)
    assert row["is_accepted"] and exit_code(run()) == 3, "said once is enough"
    # a file of two years is withdrawn as a whole
    withdraw.withdraw(context(), ["customs/together.csv"], "for a test")
    run()
    assert counted() == [2003, 2004]
