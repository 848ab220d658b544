"""A lake of two years through corrections, withdrawals, foreign changes, restore, maintenance: only what must change does."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from jobs import clean, count, fsck, ingest, land, maintain, pipeline, plan, restore, withdraw
from jobs.core import upkeep
from jobs.core.errors import InputRefusedError, LakeError
from jobs.core.health import table_health
from jobs.core.lake import Lake
from jobs.core.ledger import files_in_force, forget_builds, new_run_id, recorded_builds
from jobs.core.reading import LakeReader
from jobs.readers.receiving import look_at_folder, receive
from jobs.runtime.context import JobContext, Outcome, run_job
from schemas import bronze, gold, ops, silver
from schemas.catalog import TABLES

pytestmark = [pytest.mark.lake, pytest.mark.timeout(3600)]
YEARS = (2003, 2004)
RESULTS = (silver.DECLARATION, silver.QUARANTINE, gold.CITY_PRODUCT_DESTINATION, gold.CITY_EXPORTS)
STEPS = (("land", land), ("ingest", ingest), ("clean", clean), ("count", count))


class Site:
    """A raw folder, a lake and a fresh run for each command."""

    def __init__(self, spark, settings, raw, root):
        self.spark, self.settings, self.raw, self.root = spark, settings, raw, str(root)

    def context(self):
        return JobContext(
            self.spark, Lake.open(self.spark, self.root, create=True), self.settings, new_run_id(), self.raw
        )

    def run(self):
        """The four steps that know years; returns the run id and whether anything changed."""
        context = self.context()
        outcomes = [run_job(name, module.run, context) for name, module in STEPS]
        return context.run_id, any(outcome.changed for outcome in outcomes)

    def plan(self):
        return {row.year: row for row in plan.plan_years(self.context(), self._future())}

    def _future(self):
        context = self.context()
        receipts = plan.latest_receipts(context.lake)
        looked = look_at_folder(self.raw, context.settings, receipts=receipts)
        delivery = receive(looked, receipts, context.settings)
        return plan.receipts_after(receipts, delivery)

    def rows(self, *tables):
        """Content of the result tables without the stamps of a run."""
        lake = self.context().lake
        found = {}
        for table in tables or RESULTS:
            frame = lake.read(table).drop("load_id")
            found[table.name] = sorted(map(str, frame.collect()))
        return found

    def files(self, *tables):
        """Data files and log entries of tables, or of the whole lake."""
        store = self.context().lake.store
        listed = [store.walk(table.relative_path) for table in tables] if tables else [store.walk("")]
        return {item.path for part in listed for item in part if not item.path.startswith("_locks")}


@pytest.fixture(scope="module")
def site(spark, settings, tmp_path_factory, write_delivery):
    """Two years of two monthly files, loaded through the counts."""
    folder = tmp_path_factory.mktemp("site")
    site = Site(spark, settings, write_delivery(folder / "raw", YEARS), folder / "lake")
    unborn = JobContext(spark, Lake.peek(spark, site.root), settings, "plan", site.raw)
    outcome = plan.run(unborn)
    assert "2 of 2 years to do" in outcome.message and "never built" in outcome.detail
    assert not (folder / "lake").exists(), "a plan must not make the lake"
    site.first_run, _ = site.run()
    site.first_rows = site.rows()
    return site


def test_run_with_nothing_new_writes_nothing(site):
    before = site.files()
    _, changed = site.run()
    assert not changed
    assert site.files() == before
    assert all(row.is_idle for row in site.plan().values())


def test_lake_opened_without_a_session_reads_what_spark_reads(site):
    """Every table, through Delta's own library and through Spark: the same columns, types and rows."""
    lake, looked = site.context().lake, LakeReader.look(site.root)
    for name in looked:
        table = TABLES[name]
        ours, sparks = looked.arrow(table), lake.arrow(table)
        assert ours.schema.names == sparks.schema.names
        assert list(map(str, ours.schema.types)) == list(map(str, sparks.schema.types)), name
        assert sorted(map(str, ours.to_pylist())) == sorted(map(str, sparks.to_pylist())), name
        assert looked.version(table) == lake.version(table) and looked.commits(table) == lake.commits(table)
    by_name = lambda row: (row["table_name"], row["year"], row["built_at"])  # noqa: E731  # a key, used twice
    found, expected = (sorted((row.asDict() for row in one.rows(ops.BUILD)), key=by_name) for one in (looked, lake))
    assert found == expected


def test_run_with_nothing_new_needs_no_session(site):
    arguments = Namespace(
        lake=site.root, raw=site.raw, years="2003-2004", out=None, profile="test", config=None, set=[], accept=[],
        all_or_nothing=False, through="ingest",
    )
    before = site.files()
    outcomes = pipeline.look_through(arguments)
    assert outcomes is not None and not any(outcome.changed for outcome in outcomes)
    assert site.files() == before
    arguments.through = "references"
    assert pipeline.look_through(arguments) is None, "this lake has no reference tables: a session must write them"
    assert site.files() == before


def test_manifest_says_what_was_read_and_written_by_which_code(site):
    lake = site.context().lake
    rows = {row["job"]: row for row in lake.read(ops.RUN).where(F.col("run_id") == site.first_run).collect()}
    assert rows["ingest"]["rows_written"]["bronze.declaration"] == 160
    assert rows["count"]["versions_read"]["silver.declaration"] == rows["clean"]["versions_written"]["silver.declaration"]
    assert rows["clean"]["config_sha256"] == site.settings.sha256()
    assert rows["clean"]["spark_version"] == site.spark.version and rows["clean"]["run_seconds"] > 0


def test_rows_recorded_of_a_year_are_those_in_the_table(site):
    lake = site.context().lake
    for table in (silver.DECLARATION, gold.CITY_EXPORTS):
        counted = dict(lake.read(table).groupBy("year").count().collect())
        assert recorded_builds(lake, table).n_rows == counted and set(counted) == set(YEARS)


def test_corrected_withdrawn_and_returned_file_changes_its_year_only(site, write_delivery):
    lake = site.context().lake
    untouched = _files_of_year(site, 2003)
    # a correction: same name, other content; and the other year's file once more under a new name
    write_delivery(site.raw, [2004], months=(1,), salt="corrected")
    _add_column(site.raw / "customs" / "data200401.csv", "bonded_zone", "no")
    shutil.move(site.raw / "customs" / "data200301.csv", site.raw / "customs" / "copy_200301.csv")
    planned = site.plan()
    assert planned[2003].is_idle
    assert (planned[2004].bronze, planned[2004].silver, planned[2004].gold) == ("load", "rebuild", "rebuild")
    assert planned[2004].why == "its files changed"
    site.run()
    assert all(row.is_idle for row in site.plan().values())
    assert lake.read(bronze.DECLARATION).count() == 200, "bronze keeps the superseded rows"
    # the column nobody knew is kept as delivered; what silver looks like is decided by its contract alone
    extra = lake.read(bronze.DECLARATION).where("extra IS NOT NULL").select("source_file", "extra").collect()
    assert {(row["source_file"], *row["extra"].items()) for row in extra} == {
        ("customs/data200401.csv", ("bonded_zone", "no"))
    }
    assert set(lake.read(silver.DECLARATION).columns) == set(silver.DECLARATION.columns)
    assert _hashes_in_silver(lake, 2004) == _hashes_in_force(lake, 2004)
    assert site.rows() != site.first_rows
    # withdrawn: the year goes, although the files stay in the folder
    with pytest.raises(InputRefusedError, match="matches no received file.*customs/data200302.csv"):
        withdraw.withdraw(site.context(), ["customs/data2009*.csv"], "sent twice")
    withdraw.withdraw(site.context(), ["customs/data2004*.csv"], "the office sent another month")
    assert site.plan()[2004].silver == "clear"
    site.run()
    assert lake.read(gold.CITY_EXPORTS).where("year = 2004").count() == 0
    assert lake.read(silver.QUARANTINE).where("year = 2004").count() == 0
    # taken back, and the first content again: the lake is what it was
    withdraw.reinstate(site.context(), ["customs/data200402.csv"], "it was right after all")
    write_delivery(site.raw, [2004], months=(1,))
    shutil.move(site.raw / "customs" / "copy_200301.csv", site.raw / "customs" / "data200301.csv")
    site.run()
    assert site.rows() == site.first_rows
    assert lake.read(bronze.DECLARATION).count() == 200, "known content is not appended again"
    assert _files_of_year(site, 2003) == untouched


def test_change_by_someone_else_is_refused_found_and_taken_back(site, spark):
    context = site.context()
    lake, table = context.lake, gold.CITY_EXPORTS
    before = lake.version(table)
    spark.sql(f"DELETE FROM delta.`{lake.path(table)}` WHERE year = 2003")
    with pytest.raises(LakeError, match=f"changed by someone else: version {before + 1} is a DELETE.*--version {before}"):
        count.run(context)
    # another year that is built since does not hide it
    count.run(replace(site.context(), rebuild=True, years=frozenset({2004}), lake=_replacing(site)))
    with pytest.raises(LakeError, match="changed by someone else"):
        count.run(site.context())
    (found,) = fsck.check_writers(context, table)
    assert found.line().startswith("error") and f"version {before + 1} is a DELETE of someone else" in found.what
    restore.restore(lake, {table.name: before})
    assert site.rows() == site.first_rows
    assert site.plan()[2003].is_idle and site.plan()[2004].why == "to be built again on demand"
    run_job("count", count.run, site.context())
    assert all(row.is_idle for row in site.plan().values())
    assert list(fsck.check_writers(context, table)) == [], "taken back and built again: nothing is left to repair"
    # the table gone altogether: the manifest must not pass for it
    shutil.move(lake.path(table), f"{site.raw}/away")
    with pytest.raises(LakeError, match="knows version .*, the table is not there.*--rebuild"):
        count.run(context)
    (found,) = fsck.check_presence(context)
    assert found.table == table.name and "--rebuild" in found.repair
    with pytest.raises(LakeError, match=f"{table.name} is not in "):
        restore.restore(lake, {table.name: before})
    shutil.move(f"{site.raw}/away", lake.path(table))
    assert fsck.run(context).message.endswith(" 0 errors, 0 notices")


def test_lake_goes_back_to_the_state_after_a_run_as_a_whole(site, write_delivery):
    lake = site.context().lake
    write_delivery(site.raw, [2004], months=(1,), salt="again")
    site.run()
    assert site.rows() != site.first_rows
    targets = restore.versions_at(lake, restore.moment_of_run(lake, site.first_run))
    restore.restore(lake, targets)
    assert site.rows() == site.first_rows
    # the folder still holds the corrected file: the next run brings exactly it again, bronze has it already
    assert site.plan()[2004].why == "its files changed"
    write_delivery(site.raw, [2004], months=(1,))
    assert all(row.is_idle for row in site.plan().values())


def test_a_moment_before_the_first_rows_is_refused_and_a_restore_shows_what_it_would_take(site):
    lake = site.context().lake
    with pytest.raises(LakeError, match=r"2001-01-01 .* lies before the lake's first run \(its first rows were written at"):
        restore.versions_at(lake, dt.datetime(2001, 1, 1))
    table = gold.CITY_EXPORTS
    n_rows, dollars = lake.read(table).where("year = 2003").selectExpr("count(*)", "sum(value_usd)").first()
    lines = restore.differences(lake, table, 0)
    assert lines[0] == f"  2003: {n_rows} -> 0 rows (-{n_rows}), US$ {dollars:,.2f} -> 0.00" and len(lines) == len(YEARS)
    assert restore.differences(lake, table, lake.version(table)) == ["  the same number of rows in every year"]


def test_interrupted_restore_keeps_the_lake_closed_until_it_is_finished(site, monkeypatch):
    lake = site.context().lake
    version = lake.version(gold.CITY_EXPORTS)
    forget_builds(lake, "test", gold.CITY_EXPORTS, [2003])
    run_job("count", count.run, site.context())

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(restore, "_apply", killed)
    with pytest.raises(KeyboardInterrupt):
        restore.restore(lake, {gold.CITY_EXPORTS.name: version})
    monkeypatch.undo()
    with pytest.raises(LakeError, match="a restore was interrupted.*--resume"):
        site.context()
    assert restore.resume(lake).changed
    assert site.rows() == site.first_rows


def test_job_that_fails_is_in_the_run_manifest_with_its_error(site):
    context = site.context()

    def fail(given):
        raise InputRefusedError("the sheet of 2004 has no cities")

    with pytest.raises(InputRefusedError):
        run_job("yearbook", fail, context)
    (row,) = (row for row in context.lake.rows(ops.RUN) if row["run_id"] == context.run_id)
    assert (row["job"], row["run_status"]) == ("yearbook", "failed")
    assert row["message"] == "InputRefusedError: the sheet of 2004 has no cities"


def test_maintenance_changes_files_but_no_row_and_keeps_pinned_versions(site, settings):
    tight = JobContext(
        site.spark, site.context().lake, settings.replaced("operations", max_small_files=1), new_run_id(), site.raw
    )
    pinned = site.context().lake.version(silver.DECLARATION)
    maintain.pin(tight, "paper")
    for _ in range(2):  # Delta itself writes a checkpoint every tenth version: which version this is depends on earlier tests
        if table_health(tight.lake, ops.RUN, tight.settings.operations).n_log_entries < 2:
            # only a run that changed something is written down
            run_job("maintain", lambda context: Outcome("another entry in the log"), tight)
    before = site.files()
    actions, tables = ("compact", "checkpoint", "vacuum"), ["silver.declaration", "ops.run"]
    shown = maintain.maintain(tight, actions, tables=tables, dry_run=True)
    assert shown.changed, "there is something to do"
    assert "would compact" in shown.detail and "would write a checkpoint" in shown.detail and site.files() == before
    done = maintain.maintain(tight, ("compact", "checkpoint"), tables=["bronze.declaration", "ops.run"])
    assert done.changed and "files fewer" in done.detail
    assert table_health(tight.lake, ops.RUN, tight.settings.operations).n_log_entries == 0
    assert site.rows() == site.first_rows
    again = maintain.maintain(tight, ("compact",), tables=["bronze.declaration", "ops.run"])
    assert not again.changed, "a second compaction finds nothing"
    shown = maintain.maintain(tight, ("compact",), tables=["bronze.declaration", "ops.run"], dry_run=True)
    assert not shown.changed and "would" not in shown.detail
    # a pin stretches the retention to its version's age: with no retention at all its files are still there
    hours = maintain.retention_hours(tight, silver.DECLARATION)
    assert hours >= settings.operations.retention_hours("silver")
    assert tight.lake.read(silver.DECLARATION, version=pinned).count() > 0
    assert maintain.release(tight, "paper").changed
    with pytest.raises(InputRefusedError, match="no study 'paper' is pinned"):
        maintain.release(tight, "paper")
    assert all(row.is_idle for row in site.plan().values()), "compaction must not look like a change"


def test_file_of_a_killed_writer_is_found_and_vacuumed_and_nothing_else(site):
    context = site.context()
    orphan = Path(context.lake.path(ops.RUN)) / "part-00000-left-behind.snappy.parquet"
    orphan.write_bytes(b"half a file")
    assert list(fsck.check_files(context, ops.RUN)) == [], "a young file may belong to a writer at work"
    os.utime(orphan, (orphan.stat().st_mtime - 400 * 86_400,) * 2)
    (found,) = fsck.check_files(context, ops.RUN)
    assert found.kind == "notice" and "1 orphan files" in found.what and "vacuum" in found.repair
    n_rows, files = context.lake.read(ops.RUN).count(), site.files(ops.RUN)
    assert upkeep.vacuum(context.lake, ops.RUN, maintain.retention_hours(context, ops.RUN), dry_run=False, metadata={}) == 1
    assert files - site.files(ops.RUN) == {orphan.name}
    assert context.lake.read(ops.RUN).count() == n_rows


def test_rebuild_on_demand_gives_the_same_rows(site):
    context = site.context()
    forget_builds(context.lake, context.run_id, silver.DECLARATION, [2003])
    assert site.plan()[2003].why == "to be built again on demand"
    site.run()
    assert site.rows() == site.first_rows


def _replacing(site):
    """The lake of a run that was asked to build again."""
    lake = site.context().lake
    lake.replaces_foreign = True
    return lake


def _add_column(path, heading, value):
    """A delivery whose office has added a column at the end."""
    first, *lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([f"{first},{heading}", *(f"{line},{value}" for line in lines)]) + "\n", "utf-8")


def _files_of_year(site, year):
    return {
        path for table in (silver.DECLARATION, silver.QUARANTINE, gold.CITY_EXPORTS) for path in site.files(table)
        if path.startswith(f"year={year}/")
    }


def _hashes_in_silver(lake, year):
    both = lake.read(silver.DECLARATION).select("year", "file_sha256").union(
        lake.read(silver.QUARANTINE).select("year", "file_sha256")
    )
    return {row[0] for row in both.where(F.col("year") == year).select("file_sha256").distinct().collect()}


def _hashes_in_force(lake, year):
    return {row["file_sha256"] for row in files_in_force(lake) if row["source_year"] == year}
