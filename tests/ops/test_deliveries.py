"""A delivery with a bad file and a file of several years, through bronze, silver and gold: one year waits, nothing is lost."""

from __future__ import annotations

from dataclasses import replace

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
    # a record without a date: of which of the two years it is, nobody knows
    lines.append(lines[0].replace("200501", "", 1))
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
        2003: 24, 2004: 24, 2005: 25, 2006: 24,
    }
    unknown = lake.read(silver.QUARANTINE).where(F.array_contains("reasons", "year_unknown")).select("year", "source_row")
    assert [tuple(row) for row in unknown.collect()] == [(2005, 49)]
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


def test_a_changed_layout_reads_files_again_in_place_of_what_was_read(spark, settings, tmp_path, write_delivery, monkeypatch):
    monkeypatch.setenv("CUSTOMS_LAKE_CACHE", str(tmp_path / "cache"))
    raw = write_delivery(tmp_path / "raw", [2003], n_lines=24)
    changed = raw / "customs" / "data200301.csv"
    changed.write_text(changed.read_text("utf-8").replace(",zip,", ",post_no,", 1), "utf-8")
    with_alias = replace(settings, aliases=replace(settings.aliases, headings={"post_no": "postcode", "unused": "email"}))

    def context(now):
        return JobContext(spark, Lake.open(spark, str(tmp_path / "lake"), create=True), now, new_run_id(), raw)

    def run(now):
        return [run_job(name, module.run, context(now)) for name, module in STEPS]

    def found():
        lake = context(settings).lake
        rows = lake.read(bronze.DECLARATION)
        return [
            rows.count(), rows.select("file_sha256", "source_row").distinct().count(), rows.where("postcode IS NULL").count(),
            lake.read(silver.DECLARATION).count() + lake.read(silver.QUARANTINE).count(),
        ]

    run(settings)
    assert found() == [48, 48, 24, 48]
    planned = plan.run(context(with_alias))
    assert "1 read anew, for their layout changed: customs/data200301.csv" in planned.detail and planned.changed
    outcomes = run(with_alias)
    assert "1 read by another layout now" in outcomes[0].message
    assert "in place of 24 that were read by another layout" in outcomes[1].message
    assert found() == [48, 48, 0, 48]
    assert context(settings).lake.read(ops.RECONCILIATION).where("is_balanced").count() == 2
    assert not any(outcome.changed for outcome in run(with_alias)), "once is enough"
    # and back: rows are replaced again, although a load of these files by this layout is on record
    run(settings)
    assert found() == [48, 48, 24, 48]
