"""From the first lake format on: refused, shown, migrated, used; newer lakes and folders that are none are refused."""

from __future__ import annotations

import dataclasses
import json
import tarfile
from pathlib import Path

import pytest

from jobs import land, migrate, restore
from jobs.core import upkeep
from jobs.core.errors import LakeError
from jobs.core.lake import MARKER, Lake
from jobs.core.ledger import builds_of, latest_receipts, utc_now
from jobs.runtime.context import JobContext, run_job
from schemas import bronze, ops, silver
from schemas.catalog import TABLES
from schemas.fields import Field, fields
from schemas.migrations import (
    LAKE_FORMAT,
    AddColumns,
    Migration,
    RenameColumn,
    ReplaceCheck,
    SetProperties,
    WidenColumn,
    pending_migrations,
)
from schemas.table import Table

pytestmark = pytest.mark.lake
# written by the product when its lake format was 1: two files of 2003 received and loaded, one build recorded
FORMAT_1 = Path(__file__).with_name("data") / "lake_format_1.tar.gz"
SCRATCH = Table(name="gold.scratch", fields=fields("year!", "city_id!", "n_rows!"), key=("year",), description="for a test",
                checks={"n_rows_sign": "n_rows > 0"})


@pytest.fixture(scope="module")
def old_lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("format_1")
    with tarfile.open(FORMAT_1) as archive:
        # Python 3.11 has no filters before 3.11.4, 3.12 and later warn without one
        archive.extraction_filter = getattr(tarfile, "data_filter", None) or (lambda member, path: member)
        archive.extractall(folder)
    return folder / "lake"


def test_lake_of_format_1_is_refused_then_migrated_and_used(spark, settings, old_lake, write_delivery, tmp_path):
    with pytest.raises(LakeError, match=r"is of lake format 1, this product writes \d+\. Nothing was changed.*migrate"):
        Lake.open(spark, str(old_lake))
    lake = Lake(spark, str(old_lake))
    steps = migrate.plan_migration(lake)
    assert [item.format for item in steps] == list(range(2, LAKE_FORMAT + 1))
    assert "ops.run: add versions_read map<string,bigint>" in migrate.describe(steps)
    rows = lake.read(bronze.DECLARATION).count(), len(latest_receipts(lake))
    # killed after the first steps: the marker still says 1, and the same migration is run again from its start
    for step in steps[0].steps[:2]:
        with lake.committing(ops.RUN):
            migrate.apply_step(lake, {"ops.run": ops.RUN, "ops.build": ops.BUILD}[step.table], step)
    assert migrate.migrate(lake, steps).changed
    assert not migrate.migrate(lake, migrate.plan_migration(lake)).changed
    lake = Lake.open(spark, str(old_lake))
    assert (lake.read(bronze.DECLARATION).count(), len(latest_receipts(lake))) == rows
    for table in (ops.RUN, ops.BUILD, ops.FILE_RECEIPT):
        assert set(table.columns) <= set(lake.read(table).columns), table.name
    built = lake.read(ops.BUILD).where(f"table_name = '{silver.DECLARATION.name}'").collect()
    assert [(row["year"], row["n_rows"]) for row in built] == [(2003, 20)]
    # the fixture holds the record of that build and not the table: exactly what a lake must not work on with
    with pytest.raises(LakeError, match="knows version 1, the table is not there"):
        builds_of(lake, silver.DECLARATION)
    # the lake works on: the files it holds are known, a new one is received
    raw = write_delivery(tmp_path / "raw", [2003], months=(1, 2), n_lines=12)
    write_delivery(raw, [2004], months=(1,), n_lines=12)
    context = JobContext(spark, lake, settings, "after", raw)
    assert "1 new" in run_job("land", land.run, context).message
    # one receipt for the new file, and one for each of the two known files: format 1 did not keep what they contain
    assert lake.read(ops.RUN).where("run_id = 'after'").first()["rows_written"] == {"ops.file_receipt": 3}
    with pytest.raises(LakeError, match="before a migration of .*ops.build"):
        restore.versions_at(lake, lake.read(ops.RUN).agg({"ended_at": "min"}).first()[0])


def test_type_widens_and_column_is_renamed_without_touching_a_file(spark, tmp_path):
    lake = Lake.open(spark, str(tmp_path / "lake"), create=True)
    frame = spark.createDataFrame([(2003, "320400", 7)], "year int, city_id string, n_rows bigint")
    lake.append(SCRATCH, frame)
    files = _data_files(lake)
    steps = (
        AddColumns(SCRATCH.name, (("city_name", "string"),)), WidenColumn(SCRATCH.name, "year", "bigint"),
        RenameColumn(SCRATCH.name, "city_id", "place_id"),
        SetProperties(SCRATCH.name, (("delta.logRetentionDuration", "interval 90 days"),)),
        ReplaceCheck(SCRATCH.name, "n_rows_sign", "n_rows >= 0"),
    )
    for _ in range(2):
        for step in steps:
            with lake.committing(SCRATCH):
                migrate.apply_step(lake, SCRATCH, step)
    found = spark.read.format("delta").load(lake.path(SCRATCH))
    assert found.dtypes == [("year", "bigint"), ("place_id", "string"), ("n_rows", "bigint"), ("city_name", "string")]
    assert [tuple(row) for row in found.collect()] == [(2003, "320400", 7, None)]
    assert upkeep.constraints(lake, SCRATCH) == {"n_rows_sign": "n_rows >= 0"}
    assert _data_files(lake) == files
    assert all(commit.is_ours for commit in lake.commits(SCRATCH, after=0)), "a migration is not a foreign change"


def _data_files(lake):
    """Not the log's own: after so many commits Delta writes a checkpoint."""
    paths = (item.path for item in lake.store.walk(SCRATCH.relative_path))
    return {path for path in paths if path.endswith(".parquet") and "_delta_log" not in path}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps({"format": LAKE_FORMAT + 1}), rf"lake format {LAKE_FORMAT + 1}; this product reads up to {LAKE_FORMAT}"),
        ("{}", "its marker .* has no format"),
        ("", "its marker .* is empty"),
        (None, r"is not a lake: it has no .*, but it holds data\.csv"),
    ],
    ids=["newer", "no format", "empty", "foreign folder"],
)
def test_newer_lake_broken_marker_and_foreign_folder_are_refused(spark, tmp_path, content, message):
    (tmp_path / "data.csv").write_text("x")
    if content is not None:
        (tmp_path / MARKER).write_text(content)
    for attempt in (Lake.open, Lake.peek):
        with pytest.raises(LakeError, match=message):
            attempt(spark, str(tmp_path))
    if content is not None:
        # written by Hadoop a file has its checksum beside it: a marker changed by hand is told, not traced
        lake = Lake(spark, str(tmp_path))
        lake.store.write_text(MARKER, "{}")
        (tmp_path / MARKER).write_text(content + " ")
        with pytest.raises(LakeError, match="is not what was written: its checksum"):
            Lake.open(spark, str(tmp_path))
        (tmp_path / f".{MARKER}.crc").unlink()
    untouched = {"data.csv"} | ({MARKER} if content is not None else set())
    assert {path.name for path in tmp_path.iterdir()} == untouched


def test_lake_that_is_not_there_is_made_only_on_demand(spark, tmp_path):
    with pytest.raises(LakeError, match="no lake there"):
        Lake.open(spark, str(tmp_path / "lake"))
    assert not (tmp_path / "lake").exists()
    # what a run killed in its very first write leaves behind does not close the folder
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / f"{MARKER}.partial").write_text('{"for')
    lake = Lake.open(spark, str(tmp_path / "lake"), create=True)
    assert lake.marker()["format"] == LAKE_FORMAT and pending_migrations(LAKE_FORMAT) == ()
    assert not (tmp_path / "lake" / f"{MARKER}.partial").exists()
    assert Migration(9, "x", ()).steps == ()


def test_column_declared_since_is_added_on_opening_and_a_required_one_is_refused(spark, tmp_path, monkeypatch):
    lake = Lake.open(spark, str(tmp_path / "lake"), create=True)
    pin = {"pin_name": "paper", "table_name": "gold.city_panel", "table_version": 3, "pin_status": "pinned"}
    lake.append_rows(ops.PIN, [pin | {"pinned_at": utc_now(), "run_id": "r"}])
    assert upkeep.add_declared_columns(lake) == [], "a new lake has what is declared"

    def declare(**options):
        note = Field("pin_note", "string", "Why the study was pinned", **options)
        monkeypatch.setitem(TABLES, "ops.pin", dataclasses.replace(ops.PIN, fields=(*ops.PIN.fields, note)))

    declare(required=True)
    with pytest.raises(LakeError, match="pin_note is declared NOT NULL"):
        upkeep.add_declared_columns(lake)
    declare()
    assert upkeep.add_declared_columns(lake) == ["ops.pin.pin_note"]
    assert upkeep.add_declared_columns(lake) == []
    (row,) = lake.read(TABLES["ops.pin"]).collect()
    assert (row["pin_name"], row["pin_note"]) == ("paper", None)
    (added,) = (commit for commit in lake.commits(ops.PIN) if commit.operation == "ADD COLUMNS")
    assert added.is_ours, "the change is not taken for someone else's"
